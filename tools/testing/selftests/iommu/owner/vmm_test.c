// SPDX-License-Identifier: GPL-2.0
/*
 * An orchestrator reserves a device, VMMs come and go: claims through a token,
 * and owners that belong to a VM
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/vfio.h>

#include "owner_kvm.h"
#include "owner_test.h"
#include "owner_token.h"

#define IOVA	0x10000000ULL
#define NOBODY	65534
#define VMM_RIGHTS \
	(IOMMU_OWNER_RIGHT_CLAIM | IOMMU_OWNER_RIGHT_ASSOCIATE)

FIXTURE(vmm) {
	struct pdev edu;
	struct vfio vfio;
	struct vfio other;
	unsigned char *canary;
	int token;
	struct vm vm[2];
};

FIXTURE_VARIANT(vmm) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(vmm, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(vmm, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(vmm, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(vmm)
{
	load_modules();
	/* The device is programmed past its owner */
	gate_set("off");
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->other = self->vfio;
	self->token = -1;
	for (int i = 0; i < 2; i++)
		self->vm[i] = (struct vm){ .fd = -1, .device = -1 };
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	self->canary = page_alloc(CANARY);
	self->token = token_create("orchestrator", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
}

FIXTURE_TEARDOWN(vmm)
{
	vfio_close(&self->vfio);
	vfio_close(&self->other);
	for (int i = 0; i < 2; i++)
		vm_close(&self->vm[i]);
	if (self->token >= 0)
		close(self->token);
	driver_clear(&self->edu);
	gate_set("enforce");
}

static int start_with(struct vfio *vfio, enum vfio_path path,
		      const struct pdev *pdev, int token)
{
	int ret = vfio_open(vfio, path, pdev);

	if (!ret)
		ret = token_use(token, vfio_claimer(vfio));
	if (!ret)
		ret = vfio_claim(vfio, pdev);
	if (!ret)
		ret = vfio_attach(vfio, pdev);
	if (ret)
		vfio_close(vfio);
	return ret;
}

TEST_F(vmm, claims_with_the_token)
{
	char holder[64], expected[64];

	ASSERT_EQ(0, start_with(&self->vfio, variant->path, &self->edu,
				self->token));
	ASSERT_EQ(0, owner_get(self->edu.group, "holder", holder,
			       sizeof(holder)));
	snprintf(expected, sizeof(expected), "%d orchestrator", getpid());
	EXPECT_EQ(0, strncmp(holder, expected, strlen(expected)))
		TH_LOG("%s", holder);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
}

/* QEMU asks before it claims. What the owner has is not in its own way. */
TEST_F(vmm, reserved_group_is_viable)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (variant->path == PATH_CDEV)
		return;
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	ASSERT_EQ(0, ioctl(self->vfio.group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_FALSE(status.flags & VFIO_GROUP_FLAGS_VIABLE);
	ASSERT_EQ(0, token_use(self->token, self->vfio.group));
	ASSERT_EQ(0, ioctl(self->vfio.group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_TRUE(status.flags & VFIO_GROUP_FLAGS_VIABLE);
}

TEST_F(vmm, use_is_before_the_claim)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
	EXPECT_EQ(-EBUSY, token_use(self->token, vfio_claimer(&self->vfio)));
}

TEST_F(vmm, use_needs_the_right)
{
	int inspect = token_dup(self->token, IOMMU_OWNER_RIGHT_INSPECT);

	ASSERT_LE(0, inspect);
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	EXPECT_EQ(-EPERM, token_use(inspect, vfio_claimer(&self->vfio)));
	EXPECT_EQ(variant->path == PATH_CONTAINER ? -EBADFD : -EOPNOTSUPP,
		  token_use(self->token, self->vfio.container));
	close(inspect);
}

/* The rights of the token go with the claim: the VFIO file gives no more. */
TEST_F(vmm, no_rights_are_gained)
{
	int vmm = token_dup(self->token, VMM_RIGHTS);

	ASSERT_LE(0, vmm);
	ASSERT_EQ(0, start_with(&self->vfio, variant->path, &self->edu, vmm));
	EXPECT_EQ(-EPERM, token_of(self->vfio.device, FILE_RIGHTS));
	EXPECT_EQ(-EPERM, token_of(self->vfio.device,
				   IOMMU_OWNER_RIGHT_REVOKE));
	EXPECT_EQ(-EPERM, token_of(vfio_claimer(&self->vfio),
				   IOMMU_OWNER_RIGHT_RESERVE));
	close(vmm);
	EXPECT_EQ(-EPERM, token_of(self->vfio.device, VMM_RIGHTS));
	vmm = token_of(self->vfio.device, IOMMU_OWNER_RIGHT_ASSOCIATE);
	EXPECT_LE(0, vmm);
	close(vmm);
}

static int blocked_write(const struct pdev *edu, unsigned char *canary)
{
	void *bar = edu_open_sysfs(edu);
	int ret;

	if (!bar)
		return -EIO;
	ret = edu_write_ram(bar, page_physical(canary));
	edu_close(bar);
	return ret ? ret : page_is(canary, CANARY) ? 0 : -EFAULT;
}

/* A VMM dies, the next one gets the device; nobody else does in between. */
TEST_F(vmm, reservation_outlives_the_vmm)
{
	unsigned char *canary = self->canary;
	pid_t pid;

	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_TRUE(state_is(self->edu.group, "reserved"));
	EXPECT_EQ(0, blocked_write(&self->edu, canary));

	pid = fork();
	if (!pid) {
		if (start_with(&self->vfio, variant->path, &self->edu,
			       self->token))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	EXPECT_TRUE(state_is(self->edu.group, "reserved"));
	EXPECT_EQ(0, blocked_write(&self->edu, canary));
	EXPECT_NE(0, vfio_start(&self->other, variant->path, &self->edu));
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_EQ(-EBUSY, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(0, blocked_write(&self->edu, canary));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));

	ASSERT_EQ(0, start_with(&self->vfio, variant->path, &self->edu,
				self->token));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "reserved"));
	EXPECT_EQ(0, blocked_write(&self->edu, canary));
	close(self->token);
	self->token = -1;
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
}

/*
 * The DMA of a device that never stops hits nothing from the reservation to its
 * end, however others claim meanwhile.
 */
TEST_F(vmm, canary_lives_all_the_time)
{
	pid_t pid;

	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	pid = fork();
	if (!pid) {
		void *bar = edu_open_sysfs(&self->edu);
		__u64 address = page_physical(self->canary);

		while (bar && !edu_write_ram(bar, address))
			;
		_exit(1);
	}
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
		ASSERT_EQ(0, token_use(self->token, vfio_claimer(&self->vfio)));
		ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
		vfio_close(&self->vfio);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

/* The VMM is another user, and has nothing but the files that it is sent. */
TEST_F(vmm, unprivileged_vmm)
{
	int sockets[2], status, vmm;
	struct vfio vfio;
	pid_t pid;

	vmm = token_dup(self->token, VMM_RIGHTS);
	ASSERT_LE(0, vmm);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));

	pid = fork();
	if (!pid) {
		close(self->token);
		vfio_close(&self->vfio);
		if (setresgid(NOBODY, NOBODY, NOBODY) ||
		    setresuid(NOBODY, NOBODY, NOBODY))
			_exit(10);
		vfio = (struct vfio){
			.path = variant->path, .group = -1, .device = -1,
		};
		vmm = receive_fd(sockets[1]);
		vfio.container = receive_fd(sockets[1]);
		if (vfio.path == PATH_CDEV)
			vfio.device = receive_fd(sockets[1]);
		else
			vfio.group = receive_fd(sockets[1]);
		if (token_create("own", ALL_RIGHTS) != -EACCES)
			_exit(11);
		if (token_reserve(vmm, self->edu.group) != -EPERM ||
		    token_revoke(vmm) != -EPERM)
			_exit(12);
		if (token_use(vmm, vfio_claimer(&vfio)))
			_exit(13);
		if (vfio_claim(&vfio, &self->edu) ||
		    vfio_attach(&vfio, &self->edu))
			_exit(14);
		_exit(0);
	}
	ASSERT_EQ(0, send_fd(sockets[0], vmm));
	ASSERT_EQ(0, send_fd(sockets[0], self->vfio.container));
	ASSERT_EQ(0, send_fd(sockets[0], vfio_claimer(&self->vfio)));
	vfio_close(&self->vfio);
	close(vmm);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("step %d", WEXITSTATUS(status));
	EXPECT_TRUE(state_is(self->edu.group, "reserved"));
	close(sockets[0]);
	close(sockets[1]);
}

/* A foreign claim is refused, and the log says who has the group. */
TEST_F(vmm, foreign_claim_is_named)
{
	int log = klog_open();

	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(-EPERM, vfio_start(&self->vfio, variant->path, &self->edu));
	EXPECT_TRUE(klog_find(log, "refused", "reserved owner orchestrator"));
	close(log);
}

static bool make_vms(struct _test_data_vmm *self)
{
	load_kvm();
	return !vm_open(&self->vm[0]) && !vm_open(&self->vm[1]);
}

/* An owner that user space has made; others are as many VMs' as on stock. */
TEST_F(vmm, one_owner_one_vm)
{
	if (!make_vms(self))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, start_with(&self->vfio, variant->path, &self->edu,
				self->token));
	ASSERT_EQ(0, vm_add(&self->vm[0], vfio_claimer(&self->vfio)));
	EXPECT_EQ(-EEXIST, vm_add(&self->vm[0], vfio_claimer(&self->vfio)));
	EXPECT_EQ(-EBUSY, vm_add(&self->vm[1], vfio_claimer(&self->vfio)));
	ASSERT_EQ(0, vm_del(&self->vm[0], vfio_claimer(&self->vfio)));
	EXPECT_EQ(-ENOENT, vm_del(&self->vm[0], vfio_claimer(&self->vfio)));
	EXPECT_EQ(0, vm_add(&self->vm[1], vfio_claimer(&self->vfio)));
}

/* As QEMU does it: the file is added before the device is bound. */
TEST_F(vmm, vm_before_the_claim)
{
	if (!make_vms(self))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	ASSERT_EQ(0, vm_add(&self->vm[0], vfio_claimer(&self->vfio)));
	ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	EXPECT_EQ(0, vm_add(&self->vm[1], vfio_claimer(&self->vfio)));
	EXPECT_EQ(-EBUSY, token_use(self->token, vfio_claimer(&self->vfio)));
	EXPECT_EQ(0, vm_del(&self->vm[0], vfio_claimer(&self->vfio)));
}

TEST_F(vmm, token_in_a_vm)
{
	int claim = token_dup(self->token, IOMMU_OWNER_RIGHT_CLAIM);

	if (!make_vms(self))
		SKIP(return, NO_KVM);
	EXPECT_EQ(-EPERM, vm_add(&self->vm[0], claim));
	close(claim);
	ASSERT_EQ(0, vm_add(&self->vm[0], self->token));
	EXPECT_EQ(-EBUSY, vm_add(&self->vm[1], self->token));
	ASSERT_EQ(0, start_with(&self->vfio, variant->path, &self->edu,
				self->token));
	/* The file has the same owner */
	EXPECT_EQ(-EBUSY, vm_add(&self->vm[1], self->vfio.device));
	EXPECT_EQ(0, vm_add(&self->vm[0], self->vfio.device));
	EXPECT_EQ(0, vm_del(&self->vm[0], self->token));
	EXPECT_EQ(-EBUSY, vm_add(&self->vm[1], self->token));
	EXPECT_EQ(0, vm_del(&self->vm[0], self->vfio.device));
	EXPECT_EQ(0, vm_add(&self->vm[1], self->token));
}

/* The VM lives on without its device, in whatever order its files go. */
TEST_F(vmm, vm_outlives_the_ownership)
{
	int token;

	if (!make_vms(self))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
	ASSERT_EQ(0, vm_add(&self->vm[0], vfio_claimer(&self->vfio)));
	token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, token);
	ASSERT_EQ(0, token_revoke(token));
	close(token);

	EXPECT_LE(0, ioctl(self->vm[0].fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-ESTALE, vm_add(&self->vm[1], vfio_claimer(&self->vfio)));
	ASSERT_EQ(0, vfio_start(&self->other, variant->path, &self->edu));
	EXPECT_EQ(0, vm_add(&self->vm[1], vfio_claimer(&self->other)));
	EXPECT_EQ(0, vm_del(&self->vm[0], vfio_claimer(&self->vfio)));
	EXPECT_EQ(0, vm_add(&self->vm[0], vfio_claimer(&self->other)));
}

TEST_HARNESS_MAIN
