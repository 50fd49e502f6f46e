// SPDX-License-Identifier: GPL-2.0
/*
 * What is revoked is the device, with all files that refer to it: second files,
 * changes of the owner, files that stay open, and operations that do not return
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "owner_kvm.h"
#include "owner_park.h"
#include "owner_test.h"
#include "owner_token.h"

#define IOVA			0x10000000ULL
#define DEVICE_RIGHTS \
	(IOMMU_OWNER_RIGHT_INSPECT | IOMMU_OWNER_RIGHT_ASSOCIATE)

/* Shorter than the time after which a revocation gives up waiting */
#define PROMPT_MS		3000

static const struct vfio closed = {
	.container = -1, .group = -1, .device = -1,
};

static int open_group(const struct pdev *pdev)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", pdev->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int get_device(int group, const struct pdev *pdev)
{
	return call(group, VFIO_GROUP_GET_DEVICE_FD, (void *)pdev->bdf);
}

static int read_config(int device)
{
	char word[4];

	return pread(device, word, 4, PCI_CONFIG) == 4 ? 0 : -errno;
}

FIXTURE(revoke_device) {
	struct pdev edu;
	struct vfio vfio;
	struct vfio next;
	unsigned char *data;
	__u64 size;
	void *bar;
	int token;
	int group;
	int device;
	pthread_barrier_t barrier;
	struct vm vm[2];
};

FIXTURE_SETUP(revoke_device)
{
	load_modules();
	self->vfio = closed;
	self->next = closed;
	self->token = -1;
	self->group = -1;
	self->device = -1;
	for (int i = 0; i < 2; i++)
		self->vm[i] = (struct vm){ .fd = -1, .device = -1 };
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(PATTERN);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
}

FIXTURE_TEARDOWN(revoke_device)
{
	edu_close(self->bar);
	close_fd(&self->device);
	close_fd(&self->group);
	vfio_close(&self->vfio);
	vfio_close(&self->next);
	for (int i = 0; i < 2; i++)
		vm_close(&self->vm[i]);
	close_fd(&self->token);
	driver_clear(&self->edu);
}

/*
 * The group file is closed and opened again while the device is open, with the
 * same iommufd. The token is from before.
 */
TEST_F(revoke_device, second_group_file)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_COMPAT, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	close_fd(&self->vfio.group);
	self->group = open_group(&self->edu);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, call(self->group, VFIO_GROUP_SET_CONTAINER,
			  &self->vfio.container));
	self->device = get_device(self->group, &self->edu);
	ASSERT_LE(0, self->device);
	ASSERT_EQ(0, read_config(self->device));
	self->next.device = self->device;
	self->bar = edu_open_vfio(&self->next);
	self->next.device = -1;
	ASSERT_NE(NULL, self->bar);

	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(-ESTALE, read_config(self->vfio.device));
	EXPECT_EQ(-ESTALE, read_config(self->device));
	EXPECT_FALSE(edu_try_answers(self->bar));
}

/* No file that is open changes hands. */
TEST_F(revoke_device, no_other_owner_while_open)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_COMPAT, &self->edu));
	ASSERT_EQ(0, call(self->vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	self->token = token_create("other", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	EXPECT_EQ(-EBUSY, token_use(self->token, self->vfio.group));
	EXPECT_EQ(0, read_config(self->vfio.device));

	/* Neither does another group file open it for another owner. */
	close_fd(&self->vfio.group);
	self->group = open_group(&self->edu);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, token_use(self->token, self->group));
	ASSERT_EQ(0, call(self->group, VFIO_GROUP_SET_CONTAINER,
			  &self->vfio.container));
	self->device = get_device(self->group, &self->edu);
	EXPECT_EQ(-EBUSY, self->device);
	EXPECT_EQ(0, read_config(self->vfio.device));
}

static bool make_vms(struct _test_data_revoke_device *self)
{
	load_kvm();
	return !vm_open(&self->vm[0]) && !vm_open(&self->vm[1]);
}

/* A dead file is not added to a VM, and does not block the next one. */
TEST_F(revoke_device, dead_file_and_vm)
{
	if (!make_vms(self))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	self->group = open_group(&self->edu);
	ASSERT_LE(0, self->group);
	close_fd(&self->group);

	EXPECT_EQ(-ESTALE, vm_add(&self->vm[0], self->vfio.group));
	ASSERT_EQ(0, vfio_start(&self->next, PATH_CONTAINER, &self->edu));
	EXPECT_EQ(-ESTALE, vm_add(&self->vm[0], self->vfio.group));
	EXPECT_EQ(0, vm_add(&self->vm[1], self->next.group));
}

static void *open_and_close(void *arg)
{
	struct _test_data_revoke_device *self = arg;
	int fd;

	while (!__atomic_load_n(&self->device, __ATOMIC_RELAXED)) {
		fd = open_group(&self->edu);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

/* Nor does it ever give a token of the next owner. */
TEST_F(revoke_device, dead_file_gives_no_token)
{
	int token, others = 0, last = -ESTALE;
	__u64 end = now_ms() + PROMPT_MS;
	pthread_t thread;

	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));

	self->device = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, open_and_close, self));
	while (now_ms() < end) {
		token = token_of(self->vfio.group, FILE_RIGHTS);
		if (token == -ESTALE)
			continue;
		last = token;
		others++;
		if (token >= 0)
			close(token);
	}
	__atomic_store_n(&self->device, -1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, others) TH_LOG("last %d", last);
}

static void *unmap_all_the_time(void *arg)
{
	struct vfio *vfio = arg;

	while (vfio_unmap(vfio, IOVA, 0x1000) != -EBADF)
		;
	return NULL;
}

#define UNMAP_THREADS	4
#define UNMAP_ROUNDS	25

/* A process that unmaps and never closes; it sends its token */
static void unmapper(const struct pdev *pdev, int sock)
{
	struct vfio vfio;
	pthread_t thread;

	if (vfio_start(&vfio, PATH_CONTAINER, pdev))
		_exit(1);
	for (int i = 0; i < UNMAP_THREADS; i++)
		if (pthread_create(&thread, NULL, unmap_all_the_time, &vfio))
			_exit(2);
	if (send_fd(sock, token_of(vfio.group, FILE_RIGHTS)))
		_exit(3);
	pause();
	_exit(0);
}

static pid_t open_in_a_loop(const struct pdev *pdev)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	for (;;) {
		fd = open_group(pdev);
		if (fd >= 0)
			close(fd);
	}
}

/*
 * The next user of the group has nothing to do with the container of the one
 * before: a kernel that frees it here dies, or says so in its log.
 */
TEST_F(revoke_device, unmap_while_next_user_opens)
{
	int sockets[2];
	pid_t pid, next;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				sockets));
	for (int i = 0; i < UNMAP_ROUNDS; i++) {
		pid = fork();
		if (!pid)
			unmapper(&self->edu, sockets[1]);
		self->token = receive_fd(sockets[0]);
		ASSERT_LE(0, self->token);
		next = open_in_a_loop(&self->edu);
		nap(5);
		EXPECT_EQ(0, token_revoke(self->token));
		close_fd(&self->token);
		nap(20);
		kill(pid, SIGKILL);
		kill(next, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_EQ(next, waitpid(next, NULL, 0));
	}
	close(sockets[0]);
	close(sockets[1]);
}

static int open_container(struct vfio *vfio, const struct pdev *pdev)
{
	int ret;

	ret = vfio_open(vfio, PATH_CONTAINER, pdev);
	if (!ret)
		ret = vfio_claim(vfio, pdev);
	return ret ? ret : call(vfio->container, VFIO_SET_IOMMU,
				(void *)VFIO_TYPE1v2_IOMMU);
}

/* Its group has an owner, but no device of it is open. */
TEST_F(revoke_device, container_without_device)
{
	ASSERT_EQ(0, open_container(&self->vfio, &self->edu));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(-ESTALE, vfio_map(&self->vfio, self->data, IOVA + self->size,
				    self->size));
	EXPECT_EQ(-ESTALE, call(self->vfio.container, VFIO_CHECK_EXTENSION,
				(void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, vfio_unmap(&self->vfio, IOVA, self->size));
}

/* Two groups in one container, each with an owner, and an open device in one */
TEST_F(revoke_device, container_with_two_owners)
{
	struct pdev other, nic;

	if (!find_shared(&other, &nic))
		SKIP(return, NO_SHARED);
	driver_clear(&nic);
	driver_clear(&other);
	ASSERT_EQ(0, driver_bind(&other, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	ASSERT_EQ(0, vfio_open(&self->next, PATH_CONTAINER, &other));
	ASSERT_EQ(0, call(self->next.group, VFIO_GROUP_SET_CONTAINER,
			  &self->vfio.container));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	close_fd(&self->token);
	self->token = token_of(self->next.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(-ESTALE, vfio_map(&self->vfio, self->data, IOVA + self->size,
				    self->size));
	vfio_close(&self->next);
	driver_clear(&other);
	driver_clear(&nic);
}

/* One ioctl of the old process hangs in the container. */
TEST_F(revoke_device, unmap_hangs_while_next_user_opens)
{
	struct parked parked;
	void *page;

	page = parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING);
	if (!page)
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, parked_start(&parked, self->vfio.container,
				  VFIO_IOMMU_UNMAP_DMA, page));
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, vfio_start(&self->next, PATH_CONTAINER, &self->edu));
	/* The structure is all zeroes: too short */
	EXPECT_EQ(-EINVAL, parked_end(&parked));
	EXPECT_EQ(0, vfio_map(&self->next, self->data, IOVA, self->size));
}

static int dirty_pages(int container, void *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.head.argsz = sizeof(cmd.head),
		.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};

	if (bitmap) {
		cmd.head.argsz = sizeof(cmd);
		cmd.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
		cmd.get.iova = IOVA;
		cmd.get.size = sysconf(_SC_PAGESIZE);
		cmd.get.bitmap.pgsize = cmd.get.size;
		cmd.get.bitmap.size = sizeof(__u64);
		cmd.get.bitmap.data = bitmap;
	}
	return call(container, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static void *ask_for_dirty_pages(void *arg)
{
	struct parked *parked = arg;

	parked->ret = dirty_pages(parked->fd, parked_where(parked));
	return NULL;
}

/* It hangs with the lock of its container, which nobody needs any more. */
TEST_F(revoke_device, driver_goes_while_container_hangs)
{
	struct parked parked;
	pid_t unbind;

	if (!parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING))
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, dirty_pages(self->vfio.container, NULL));
	ASSERT_EQ(0, parked_call(&parked, ask_for_dirty_pages,
				 self->vfio.container, WAIT_MS));

	EXPECT_EQ(0, token_revoke(self->token));
	unbind = put_async(self->edu.bdf,
			   "/sys/bus/pci/drivers/" USER_DRIVER "/unbind");
	ASSERT_LT(0, unbind);
	EXPECT_TRUE(exited(unbind, WAIT_MS));
	EXPECT_TRUE(driver_is(&self->edu, NULL));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(0, parked_end(&parked));
}

/* A dead group file does not block the character device. */
TEST_F(revoke_device, bind_past_a_dead_group_file)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(0, vfio_start(&self->next, PATH_CDEV, &self->edu));
	EXPECT_EQ(0, read_config(self->next.device));
	close_fd(&self->vfio.device);
	close_fd(&self->vfio.group);
	EXPECT_EQ(0, read_config(self->next.device));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
}

static int bind_to(struct vfio *vfio, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = iommufd,
	};

	return call(vfio->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* A dead file stays open when the driver leaves, and when it comes back. */
TEST_F(revoke_device, bind_of_a_dead_file_without_driver)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->edu));
	self->token = token_of(self->vfio.container, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_EQ(-ESTALE, bind_to(&self->vfio, self->vfio.container));
	EXPECT_EQ(-ESTALE, token_of(self->vfio.device, DEVICE_RIGHTS));

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->next, PATH_CDEV, &self->edu));
	EXPECT_EQ(-ESTALE, bind_to(&self->vfio, self->next.container));
	EXPECT_EQ(0, read_config(self->next.device));
}

/* Bind the device, and let an ioctl of the iommufd have it until @page comes */
static int bind_and_park(struct _test_data_revoke_device *self,
			 struct parked *parked, struct iommu_hw_info *info,
			 void *page)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = self->vfio.container,
	};
	int ret;

	ret = call(self->vfio.device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (ret)
		return ret;
	*info = (struct iommu_hw_info){
		.size = sizeof(*info), .dev_id = bind.out_devid,
		.data_len = self->size, .data_uptr = (uintptr_t)page,
	};
	return parked_start(parked, self->vfio.container, IOMMU_GET_HW_INFO,
			    info);
}

/*
 * An ioctl of the iommufd has the device. However long that takes, the revoke does
 * not return 0 before, and then everything goes on at once.
 */
TEST_F(revoke_device, iommufd_hangs_with_the_device)
{
	struct iommu_hw_info info;
	struct parked parked;
	void *page;

	page = parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING);
	if (!page)
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
	self->token = token_create("hangs", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_use(self->token, self->vfio.device));
	ASSERT_EQ(0, bind_and_park(self, &parked, &info, page));

	EXPECT_EQ(-ETIMEDOUT, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "quarantine"));
	EXPECT_NE(0, vfio_start(&self->next, PATH_CONTAINER, &self->edu));
	vfio_close(&self->next);
	EXPECT_EQ(0, parked_end(&parked));
	EXPECT_TRUE(state_becomes(self->edu.group, "kernel"));
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(0, vfio_start(&self->next, PATH_CONTAINER, &self->edu));
}

/* The container has no IOMMU yet, so each open fails, until the group is closed. */
static void *open_in_vain(void *data)
{
	FIXTURE_DATA(revoke_device) * self = data;
	int ret;

	pthread_barrier_wait(&self->barrier);
	do {
		ret = get_device(self->vfio.group, &self->edu);
	} while (ret == -EINVAL || ret == -EBUSY);
	/* Only one has to close it, and nothing else opens files meanwhile */
	close(self->vfio.group);
	return NULL;
}

/* An open that fails has no reference to the group file, which goes with it. */
TEST_F(revoke_device, revoked_while_an_open_fails)
{
	pthread_t thread[2];

	pthread_barrier_init(&self->barrier, NULL, ARRAY_SIZE(thread) + 1);
	for (unsigned int round = 0; round < 100; round++) {
		ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CONTAINER, &self->edu));
		ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
		self->token = token_of(self->vfio.group, FILE_RIGHTS);
		ASSERT_LE(0, self->token);
		for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL,
						    open_in_vain, self));
		pthread_barrier_wait(&self->barrier);
		/* At some moment of an open */
		usleep(rand() % 1000);
		EXPECT_EQ(0, token_revoke(self->token));
		for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
			pthread_join(thread[i], NULL);
		self->vfio.group = -1;
		vfio_close(&self->vfio);
		close_fd(&self->token);
		EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	}
	pthread_barrier_destroy(&self->barrier);
}

/* An orchestrator that is killed does not wait for what the file is doing. */
TEST_F(revoke_device, use_while_the_file_hangs)
{
	struct parked parked;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = IOVA,
		.size = self->size,
	};
	pid_t pid;

	map.vaddr = (uintptr_t)parked_page(&parked,
					   UFFDIO_REGISTER_MODE_MISSING);
	if (!map.vaddr)
		SKIP(return, NO_USERFAULTFD);
	self->token = token_create("killed", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_COMPAT, &self->edu));
	ASSERT_EQ(0, call(self->vfio.group, VFIO_GROUP_SET_CONTAINER,
			  &self->vfio.container));
	ASSERT_EQ(0, call(self->vfio.container, VFIO_SET_IOMMU,
			  (void *)VFIO_TYPE1v2_IOMMU));
	/* Nothing is pinned before there is a device */
	ASSERT_EQ(0, call(self->vfio.container, VFIO_IOMMU_MAP_DMA, &map));
	ASSERT_EQ(0, parked_start(&parked, self->vfio.group,
				  VFIO_GROUP_GET_DEVICE_FD, self->edu.bdf));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-token_use(self->token, self->vfio.group));
	EXPECT_FALSE(exited(pid, 200));
	kill(pid, SIGKILL);
	EXPECT_TRUE(exited(pid, WAIT_MS));
	self->vfio.device = parked_end(&parked);
	waitpid(pid, NULL, 0);
	EXPECT_LE(0, self->vfio.device);
}

/* A device file stands for its device, not for all that the iommufd has. */
TEST_F(revoke_device, rights_of_a_device_file)
{
	int token;

	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->edu));
	for (__u32 right = 1; right & ALL_RIGHTS; right <<= 1) {
		token = token_of(self->vfio.device, right);
		EXPECT_EQ(!(right & DEVICE_RIGHTS), token == -EPERM)
			TH_LOG("right %#x: %d", right, token);
		close_fd(&token);
	}
	token = token_of(self->vfio.container, FILE_RIGHTS);
	EXPECT_LE(0, token);
	close_fd(&token);
}

/* On a stock kernel the last VM that a file was added to has it. */
TEST_F(revoke_device, two_vms_one_file)
{
	if (!make_vms(self))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
	EXPECT_EQ(0, vm_add(&self->vm[0], self->vfio.device));
	EXPECT_EQ(0, vm_add(&self->vm[1], self->vfio.device));
	ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	EXPECT_EQ(0, vm_del(&self->vm[0], self->vfio.device));
	EXPECT_EQ(0, vm_add(&self->vm[0], self->vfio.device));
}

static void *bind_thread(void *arg)
{
	struct vfio *vfio = arg;

	return (void *)(intptr_t)bind_to(vfio, vfio->container);
}

/*
 * A bind resets the device, which takes a while. When the revoke returns 0, it has
 * undone that, and the next user gets the device at once.
 */
TEST_F(revoke_device, revoked_while_it_is_opened)
{
	unsigned int meanwhile = 0;
	pthread_t thread;
	int start;
	void *ret;

	for (int i = 0; i < 30; i++) {
		self->token = token_create("orchestrator", ALL_RIGHTS);
		ASSERT_LE(0, self->token);
		ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
		ASSERT_EQ(0, token_use(self->token, self->vfio.device));
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_thread,
					    &self->vfio));
		usleep(i * 2000);
		EXPECT_EQ(0, token_revoke(self->token));
		start = vfio_start(&self->next, PATH_CDEV, &self->edu);
		/* A bind that comes after the revoke fails, in no time */
		for (int n = 0; n < 5 && start == -EBUSY; n++) {
			usleep(2000);
			start = vfio_start(&self->next, PATH_CDEV, &self->edu);
		}
		EXPECT_EQ(0, start);
		vfio_close(&self->next);
		ASSERT_EQ(0, pthread_join(thread, &ret));
		meanwhile += (intptr_t)ret == -ESTALE;
		vfio_close(&self->vfio);
		close_fd(&self->token);
	}
	TH_LOG("%u of 30 revoked while the device was opened", meanwhile);
	EXPECT_LT(0, meanwhile);
}

static void *close_thread(void *arg)
{
	close_fd(arg);
	return NULL;
}

/*
 * A file that is bound while the last one of the device is closed gets the device
 * then. The close takes a while, since an ioctl of the iommufd has the device.
 */
TEST_F(revoke_device, bind_while_it_is_closed)
{
	struct iommu_hw_info info;
	pthread_t closing, binding;
	struct parked parked;
	void *page, *ret;
	pid_t pid;

	page = parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING);
	if (!page)
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
	ASSERT_EQ(0, vfio_open(&self->next, PATH_CDEV, &self->edu));
	ASSERT_EQ(0, bind_and_park(self, &parked, &info, page));
	ASSERT_EQ(0, pthread_create(&closing, NULL, close_thread,
				    &self->vfio.device));
	/* Time for the reset */
	nap(PROMPT_MS);

	/* A task that waits for it can be killed. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-bind_to(&self->next, self->next.container));
	EXPECT_FALSE(exited(pid, 200));
	kill(pid, SIGKILL);
	EXPECT_TRUE(exited(pid, WAIT_MS));
	waitpid(pid, NULL, 0);

	ASSERT_EQ(0, pthread_create(&binding, NULL, bind_thread, &self->next));
	nap(200);
	EXPECT_EQ(0, parked_end(&parked));
	pthread_join(closing, NULL);
	pthread_join(binding, &ret);
	EXPECT_EQ(0, (intptr_t)ret);
	EXPECT_EQ(0, read_config(self->next.device));
}

/*
 * A group file leaves its iommufd while its device is open, which that allows. When
 * the device is closed, it has nothing to do with that iommufd any more.
 */
static int leave_iommufd(struct _test_data_revoke_device *self)
{
	int ret;

	ret = vfio_start(&self->vfio, PATH_COMPAT, &self->edu);
	if (!ret)
		ret = call(self->vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (ret)
		return ret;
	self->token = token_of(self->vfio.container, FILE_RIGHTS);
	return self->token < 0 ? self->token : 0;
}

TEST_F(revoke_device, next_iommufd_of_a_group_file)
{
	ASSERT_EQ(0, leave_iommufd(self));
	self->next.container = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->next.container);
	ASSERT_EQ(0, call(self->vfio.group, VFIO_GROUP_SET_CONTAINER,
			  &self->next.container));
	EXPECT_EQ(0, read_config(self->vfio.device));
	close_fd(&self->vfio.device);

	self->vfio.device = get_device(self->vfio.group, &self->edu);
	EXPECT_LE(0, self->vfio.device);
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	EXPECT_EQ(0, read_config(self->vfio.device));
}

TEST_F(revoke_device, container_after_an_iommufd)
{
	ASSERT_EQ(0, leave_iommufd(self));
	self->next.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->next.container);
	/* The iommufd still has the device. */
	EXPECT_EQ(-EPERM, call(self->vfio.group, VFIO_GROUP_SET_CONTAINER,
			       &self->next.container));
	close_fd(&self->vfio.device);
	ASSERT_EQ(0, call(self->vfio.group, VFIO_GROUP_SET_CONTAINER,
			  &self->next.container));
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	EXPECT_EQ(0, call(self->next.container, VFIO_SET_IOMMU,
			  (void *)VFIO_TYPE1v2_IOMMU));
	self->vfio.device = get_device(self->vfio.group, &self->edu);
	EXPECT_LE(0, self->vfio.device);
}

/* The token of one device of two that an iommufd has */
TEST_F(revoke_device, token_of_a_device_file)
{
	struct iommu_owner_group_info groups[2] = {};
	struct iommu_owner_get_info info = {
		.size = sizeof(info),
		.groups = (uintptr_t)groups,
		.nr_groups = 2,
		.group_size = sizeof(groups[0]),
	};
	struct pollfd pollfd = { .events = POLLIN };
	struct iommu_owner_device_info blocker;
	struct pdev other, nic;
	__u32 ids[2], room = 1;

	if (!find_shared(&other, &nic))
		SKIP(return, NO_SHARED);
	driver_clear(&nic);
	driver_clear(&other);
	ASSERT_EQ(0, driver_bind(&other, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->edu));
	self->token = token_of(self->vfio.device, IOMMU_OWNER_RIGHT_INSPECT);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, vfio_open(&self->next, PATH_CDEV, &other));
	ASSERT_EQ(0, bind_to(&self->next, self->vfio.container));

	EXPECT_EQ(-EMSGSIZE, call(self->token, IOMMU_OWNER_GET_INFO, &info));
	EXPECT_EQ(1, info.nr_groups);
	EXPECT_EQ(1, info.nr_devices);
	EXPECT_TRUE(info.out_flags & IOMMU_OWNER_INFO_ONE_GROUP);
	EXPECT_EQ(self->edu.group, groups[0].group);
	ids[0] = self->edu.group;
	ids[1] = other.group;
	EXPECT_EQ(0, token_check(self->token, ids, 1, &blocker, &room));
	EXPECT_EQ(-EPERM, token_check(self->token, ids, 2, &blocker, &room));
	pollfd.fd = self->token;
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	vfio_close(&self->next);
	EXPECT_TRUE(state_becomes(other.group, "kernel"));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	driver_clear(&other);
	driver_clear(&nic);
}

FIXTURE(revoke_shared) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
	struct vfio other;
	int token;
	int group;
	struct vm vm[2];
};

FIXTURE_SETUP(revoke_shared)
{
	load_modules();
	self->vfio = closed;
	self->other = closed;
	self->token = -1;
	self->group = -1;
	for (int i = 0; i < 2; i++)
		self->vm[i] = (struct vm){ .fd = -1, .device = -1 };
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
}

FIXTURE_TEARDOWN(revoke_shared)
{
	vfio_close(&self->vfio);
	vfio_close(&self->other);
	close_fd(&self->group);
	for (int i = 0; i < 2; i++)
		vm_close(&self->vm[i]);
	close_fd(&self->token);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

/* A second device by a second group file with the same iommufd */
TEST_F(revoke_shared, second_group_file_and_device)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_COMPAT, &self->edu));
	close_fd(&self->vfio.group);
	self->group = open_group(&self->edu);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, call(self->group, VFIO_GROUP_SET_CONTAINER,
			  &self->vfio.container));
	self->other.device = get_device(self->group, &self->nic);
	EXPECT_LE(0, self->other.device);
	EXPECT_EQ(0, read_config(self->other.device));
	EXPECT_EQ(0, read_config(self->vfio.device));
}

/* One process with two VMs and one iommufd */
TEST_F(revoke_shared, two_vms_one_iommufd)
{
	load_kvm();
	if (vm_open(&self->vm[0]) || vm_open(&self->vm[1]))
		SKIP(return, NO_KVM);
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
	ASSERT_EQ(0, vfio_open(&self->other, PATH_CDEV, &self->nic));
	EXPECT_EQ(0, vm_add(&self->vm[0], self->vfio.device));
	EXPECT_EQ(0, vm_add(&self->vm[1], self->other.device));
	EXPECT_EQ(0, bind_to(&self->vfio, self->vfio.container));
	EXPECT_EQ(0, bind_to(&self->other, self->vfio.container));
}

/* Two files that are going to claim as the owner of self->token */
static int open_for_one_owner(struct _test_data_revoke_shared *self)
{
	int ret;

	self->token = token_create("orchestrator", ALL_RIGHTS);
	if (self->token < 0)
		return self->token;
	ret = vfio_open(&self->vfio, PATH_CDEV, &self->edu);
	if (!ret)
		ret = vfio_open(&self->other, PATH_CDEV, &self->nic);
	if (!ret)
		ret = token_use(self->token, self->vfio.device);
	return ret ? ret : token_use(self->token, self->other.device);
}

/* One owner has claimed for both, but a context only resets what is bound to it. */
TEST_F(revoke_shared, hot_reset_in_another_context)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	ASSERT_EQ(0, open_for_one_owner(self));
	ASSERT_EQ(0, bind_to(&self->vfio, self->vfio.container));
	EXPECT_EQ(0, call(self->vfio.device, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	ASSERT_EQ(0, bind_to(&self->other, self->other.container));
	EXPECT_EQ(-EINVAL,
		  call(self->vfio.device, VFIO_DEVICE_PCI_HOT_RESET, &reset));
}

/* A device whose reset goes with that of another waits for its user. */
TEST_F(revoke_shared, bind_of_the_neighbour_hangs)
{
	struct uffdio_writeprotect protect = {
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct vfio_device_bind_iommufd *bind;
	struct parked parked;
	__u64 start;

	bind = parked_page(&parked, UFFDIO_REGISTER_MODE_WP);
	if (!bind)
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, open_for_one_owner(self));
	ASSERT_EQ(0, bind_to(&self->vfio, self->vfio.container));

	*bind = (struct vfio_device_bind_iommufd){
		.argsz = sizeof(*bind), .iommufd = self->other.container,
	};
	protect.range = parked.range;
	ASSERT_EQ(0, call(parked.uffd, UFFDIO_WRITEPROTECT, &protect));
	ASSERT_EQ(0, parked_start(&parked, self->other.device,
				  VFIO_DEVICE_BIND_IOMMUFD, bind));
	start = now_ms();
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_GT(start + PROMPT_MS, now_ms());
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(-ESTALE, parked_end(&parked));
}

TEST_HARNESS_MAIN
