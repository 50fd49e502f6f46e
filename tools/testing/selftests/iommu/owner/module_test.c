// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO and KVM as modules: what is in use stays, in whatever order its files are
 * closed; what is not can be unloaded in every order, and loaded again
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>

#include "owner_kvm.h"
#include "owner_test.h"
#include "owner_token.h"

/* Each test loads and unloads all modules several times */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600

#define ROUNDS		2
#define NO_MODULES	"VFIO or KVM is not a module"

/* The one that there is takes the place of this name */
#define KVM_CPU		"kvm_cpu"

static const char *const orders[][8] = {
	{ "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio", "iommufd",
	  KVM_CPU, "kvm" },
	{ KVM_CPU, "kvm", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1",
	  "vfio", "iommufd" },
	{ "vfio_iommu_type1", KVM_CPU, "vfio_pci", "kvm", "vfio_pci_core",
	  "vfio", "iommufd" },
	{ KVM_CPU, "vfio_pci", "vfio_pci_core", "kvm", "vfio_iommu_type1",
	  "vfio", "iommufd" },
};

FIXTURE(module) {
	struct pdev edu;
	struct vfio vfio;
	int token;
	struct vm vm;
};

FIXTURE_VARIANT(module) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(module, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(module, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(module, cdev) { .path = PATH_CDEV };

static const char *kvm_cpu(void)
{
	return exists("/sys/module/kvm_intel") ? "kvm_intel" : "kvm_amd";
}

/* Loading is slow: each path takes every other order, and all are taken. */
static const char *const *order_of(enum vfio_path path, unsigned int round)
{
	return orders[(path + 2 * round) % ARRAY_SIZE(orders)];
}

/* -EAGAIN: it is in use */
static int unload(const char *name)
{
	if (!strcmp(name, KVM_CPU))
		name = kvm_cpu();
	return syscall(__NR_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static bool is_module(const char *name)
{
	return exists("/sys/module/%s/initstate", name);
}

/* What has been closed may be freed a little later */
static int unload_soon(const char *name)
{
	__u64 end = now_ms() + 5000;
	int ret;

	while ((ret = unload(name)) == -EAGAIN && now_ms() < end)
		nap(50);
	return ret;
}

static void load_all(void)
{
	load_modules();
	load_kvm();
}

FIXTURE_SETUP(module)
{
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	self->vm = (struct vm){ .fd = -1, .device = -1 };
	load_all();
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	if (access("/dev/kvm", F_OK))
		SKIP(return, NO_KVM);
	if (!is_module("kvm") || !is_module("vfio") || !is_module("vfio_pci"))
		SKIP(return, NO_MODULES);
}

FIXTURE_TEARDOWN(module)
{
	vfio_close(&self->vfio);
	vm_close(&self->vm);
	if (self->token >= 0)
		close(self->token);
	load_all();
	driver_clear(&self->edu);
}

/* As QEMU does it: the VM has the file before the device is open. */
static void use(struct __test_metadata *_metadata,
		struct _test_data_module *self, enum vfio_path path)
{
	load_all();
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vm_open(&self->vm));
	ASSERT_EQ(0, vfio_open(&self->vfio, path, &self->edu));
	ASSERT_EQ(0, vm_add(&self->vm, vfio_claimer(&self->vfio)));
	ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	ASSERT_EQ(0, vfio_attach(&self->vfio, &self->edu));
	for (const char *const *name = orders[0]; *name; name++) {
		/* The others do without it */
		if (path != PATH_CONTAINER && !strcmp(*name, "vfio_iommu_type1"))
			continue;
		EXPECT_EQ(-EAGAIN, unload(*name)) TH_LOG("%s", *name);
	}
}

static void unload_all(struct __test_metadata *_metadata,
		       const char *const *order)
{
	for (; *order; order++)
		EXPECT_EQ(0, unload_soon(*order)) TH_LOG("%s", *order);
	EXPECT_FALSE(exists("/sys/module/vfio"));
	EXPECT_FALSE(exists("/sys/module/kvm"));
}

/* The VM has a reference to the file of VFIO. */
TEST_F(module, vfio_is_closed_first)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		use(_metadata, self, variant->path);
		vfio_close(&self->vfio);
		/* With iommufd the claim is the device's, not the group's */
		EXPECT_EQ(variant->path != PATH_COMPAT,
			  state_is(self->edu.group, "user"));
		EXPECT_EQ(-EAGAIN, unload("vfio"));
		vm_close(&self->vm);
		EXPECT_TRUE(state_is(self->edu.group, "kernel"));
		unload_all(_metadata, order_of(variant->path, i));
	}
}

/* The open device has a reference to the VM. */
TEST_F(module, vm_is_closed_first)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		use(_metadata, self, variant->path);
		vm_close(&self->vm);
		EXPECT_TRUE(state_is(self->edu.group, "user"));
		EXPECT_EQ(-EAGAIN, unload(KVM_CPU));
		EXPECT_EQ(-EAGAIN, unload("kvm"));
		vfio_close(&self->vfio);
		EXPECT_TRUE(state_is(self->edu.group, "kernel"));
		unload_all(_metadata, order_of(variant->path, i));
	}
}

/* A process that is killed closes all in an order of its own. */
TEST_F(module, process_is_killed)
{
	pid_t pid;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		use(_metadata, self, variant->path);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			pause();
			_exit(0);
		}
		vfio_close(&self->vfio);
		vm_close(&self->vm);
		EXPECT_TRUE(state_is(self->edu.group, "user"));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		unload_all(_metadata, order_of(variant->path, i));
	}
}

/* Files of a device that was taken away do not hold the VM. */
TEST_F(module, kvm_goes_before_a_revoked_file)
{
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	use(_metadata, self, variant->path);
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(-EAGAIN, unload(KVM_CPU));
	vm_close(&self->vm);
	EXPECT_EQ(0, unload_soon(KVM_CPU));
	EXPECT_EQ(0, unload_soon("kvm"));
	EXPECT_EQ(-EAGAIN, unload("vfio_pci"));
	close(self->token);
	self->token = -1;
	vfio_close(&self->vfio);
	EXPECT_EQ(0, unload_soon("vfio_pci"));
	EXPECT_EQ(0, unload_soon("vfio_pci_core"));
}

TEST_HARNESS_MAIN
