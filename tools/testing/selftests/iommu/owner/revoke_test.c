// SPDX-License-Identifier: GPL-2.0
/*
 * A device is taken away from a process that has it open, and that never closes
 * its files
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "owner_park.h"
#include "owner_test.h"
#include "owner_token.h"

#define IOVA		0x10000000ULL

FIXTURE(revoke) {
	struct pdev edu;
	struct vfio vfio;
	struct vfio next;
	unsigned char *data;
	unsigned char *target;
	__u64 size;
	void *bar;
	int token;
};

FIXTURE_VARIANT(revoke) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(revoke, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(revoke, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(revoke, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(revoke)
{
	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->next = self->vfio;
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(PATTERN);
	self->target = page_alloc(CANARY);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->target, IOVA + self->size,
			      self->size));
	ASSERT_EQ(0, edu_read_ram(self->bar, IOVA));
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
}

FIXTURE_TEARDOWN(revoke)
{
	edu_close(self->bar);
	vfio_close(&self->vfio);
	vfio_close(&self->next);
	if (self->token >= 0)
		close(self->token);
	driver_clear(&self->edu);
}

TEST_F(revoke, mapping_faults)
{
	ASSERT_TRUE(edu_try_answers(self->bar));
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_FALSE(edu_try_answers(self->bar));
	EXPECT_FALSE(edu_try_answers(self->bar));
}

TEST_F(revoke, group_is_the_kernels)
{
	ASSERT_TRUE(state_is(self->edu.group, "user"));
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, token_revoke(self->token)) TH_LOG("twice");
}

TEST_F(revoke, dma_is_blocked)
{
	void *bar;

	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	ASSERT_TRUE(page_is(self->target, PATTERN));
	ASSERT_EQ(0, token_revoke(self->token));

	memset(self->target, CANARY, self->size);
	bar = edu_open_sysfs(&self->edu);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(0, edu_write_ram(bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, CANARY));
	edu_close(bar);
}

static void *transfer(void *arg)
{
	struct _test_data_revoke *self = arg;

	while (!edu_try_write_ram(self->bar, IOVA + self->size))
		;
	return NULL;
}

/* The device is made to write all the time while it is revoked */
TEST_F(revoke, dma_in_flight_is_blocked)
{
	pthread_t thread;
	__u64 end;

	ASSERT_EQ(0, pthread_create(&thread, NULL, transfer, self));
	end = now_ms() + WAIT_MS;
	while (!page_is(self->target, PATTERN) && now_ms() < end)
		nap(1);
	ASSERT_EQ(0, token_revoke(self->token));
	memset(self->target, CANARY, self->size);
	pthread_join(thread, NULL);
	nap(200);
	EXPECT_TRUE(page_is(self->target, CANARY));
}

TEST_F(revoke, everything_is_stale)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = self->vfio.container,
	};
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	char word[4] = {};

	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(-ESTALE, call(self->vfio.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-ESTALE, call(self->vfio.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ESTALE, call(self->vfio.device, VFIO_DEVICE_BIND_IOMMUFD,
				&bind));
	EXPECT_EQ(-ESTALE, vfio_request_event(&self->vfio));
	EXPECT_EQ(-1, pread(self->vfio.device, word, 4, PCI_CONFIG));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(-1, pwrite(self->vfio.device, word, 4, PCI_CONFIG + 4));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->size, PROT_READ, MAP_SHARED,
				   self->vfio.device, 0));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(-ESTALE, token_of(self->vfio.device, FILE_RIGHTS));
	EXPECT_EQ(-ESTALE, token_reserve(self->token, self->edu.group));

	/* What is mapped may still be unmapped */
	EXPECT_EQ(0, vfio_unmap(&self->vfio, IOVA, self->size));
	EXPECT_EQ(-ESTALE, vfio_map(&self->vfio, self->data, IOVA, self->size));
	if (variant->path == PATH_CDEV) {
		EXPECT_EQ(-ESTALE, call(self->vfio.container, IOMMU_IOAS_ALLOC,
					&alloc));
		return;
	}
	EXPECT_EQ(-ESTALE, call(self->vfio.group, VFIO_GROUP_GET_STATUS,
				&status));
	EXPECT_EQ(-ESTALE, call(self->vfio.group, VFIO_GROUP_SET_CONTAINER,
				&self->vfio.container));
	EXPECT_EQ(-ESTALE, call(self->vfio.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	EXPECT_EQ(-ESTALE, call(self->vfio.group, VFIO_GROUP_GET_DEVICE_FD,
				self->edu.bdf));
}

static bool has_interrupt(const char *bdf)
{
	char line[1024];
	bool found = false;
	FILE *file = fopen("/proc/interrupts", "r");

	while (file && fgets(line, sizeof(line), file))
		found |= strstr(line, bdf) && strstr(line, "vfio");
	if (file)
		fclose(file);
	return found;
}

TEST_F(revoke, interrupts_are_off)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
	};

	irq.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, irq.fd);
	ASSERT_EQ(0, call(self->vfio.device, VFIO_DEVICE_SET_IRQS, &irq));
	ASSERT_TRUE(has_interrupt(self->edu.bdf));
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_FALSE(has_interrupt(self->edu.bdf));
	close(irq.fd);
}

/* The old files stay; neither they nor their end disturb the next user. */
TEST_F(revoke, next_user_has_the_device)
{
	void *bar;

	ASSERT_EQ(0, token_revoke(self->token));
	ASSERT_EQ(0, vfio_start(&self->next, variant->path, &self->edu));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	bar = edu_open_vfio(&self->next);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_try_answers(bar));
	EXPECT_FALSE(edu_try_answers(self->bar));
	EXPECT_EQ(-ESTALE, token_of(self->vfio.device, FILE_RIGHTS));

	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	EXPECT_TRUE(edu_try_answers(bar));
	memset(self->target, CANARY, self->size);
	EXPECT_EQ(0, vfio_map(&self->next, self->data, IOVA, self->size));
	EXPECT_EQ(0, vfio_map(&self->next, self->target, IOVA + self->size,
			      self->size));
	EXPECT_EQ(0, edu_read_ram(bar, IOVA));
	EXPECT_EQ(0, edu_write_ram(bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, PATTERN));
	edu_close(bar);
}

TEST_F(revoke, driver_goes_while_files_stay)
{
	ASSERT_EQ(0, token_revoke(self->token));
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_FALSE(edu_try_answers(self->bar));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_NE(0, unload_module("vfio-pci"))
		TH_LOG("the mapping refers to its code");
}

TEST_F(revoke, token_tells_of_it)
{
	struct iommu_owner_event event[16];
	bool revoked = false, ended = false;
	ssize_t len;

	ASSERT_EQ(0, token_revoke(self->token));
	len = read(self->token, event, sizeof(event));
	ASSERT_LT(0, len);
	for (size_t i = 0; i < len / sizeof(*event); i++) {
		if (event[i].type == IOMMU_OWNER_EVENT_REVOKED)
			revoked = true;
		if (event[i].type != IOMMU_OWNER_EVENT_ENDED)
			continue;
		EXPECT_TRUE(revoked);
		EXPECT_FALSE(ended);
		EXPECT_EQ(IOMMU_OWNER_REASON_REVOKED, event[i].reason);
		EXPECT_EQ(self->edu.group, event[i].group);
		ended = true;
	}
	EXPECT_TRUE(ended);
}

/* A process that waits for itself inside the kernel */
static void *read_config(void *arg)
{
	struct parked *parked = arg;

	/* It has started before the device is revoked */
	parked->ret = pread(parked->fd, parked_where(parked), 4, PCI_CONFIG);
	return NULL;
}

/*
 * The revocation does not wait for such a process: the group is in quarantine,
 * which nobody can clear, and which ends by itself when the process has left.
 */
TEST_F(revoke, stuck_user_is_quarantined)
{
	struct parked parked;
	__u64 begin;

	if (!parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING))
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, parked_call(&parked, read_config, self->vfio.device,
				 WAIT_MS));

	begin = now_ms();
	EXPECT_EQ(-ETIMEDOUT, token_revoke(self->token));
	EXPECT_GT(begin + WAIT_MS, now_ms());
	EXPECT_TRUE(state_is(self->edu.group, "quarantine"));
	EXPECT_EQ(-EBUSY, clear_quarantine(self->edu.group));
	EXPECT_FALSE(edu_try_answers(self->bar));
	EXPECT_NE(0, vfio_start(&self->next, variant->path, &self->edu));

	EXPECT_EQ(4, parked_end(&parked));
	EXPECT_TRUE(state_becomes(self->edu.group, "kernel"));
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(0, vfio_start(&self->next, variant->path, &self->edu));
}

/* A device that is on its way out is still in use by such a process. */
TEST_F(revoke, stuck_user_and_unbind)
{
	struct parked parked;
	pid_t unbind;

	if (!parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING))
		SKIP(return, NO_USERFAULTFD);
	ASSERT_EQ(0, parked_call(&parked, read_config, self->vfio.device,
				 WAIT_MS));
	EXPECT_EQ(-ETIMEDOUT, token_revoke(self->token));
	unbind = put_async(self->edu.bdf, "/sys/bus/pci/drivers/" USER_DRIVER "/unbind");
	EXPECT_FALSE(exited(unbind, 500));

	/* A group file that opens is of no use yet */
	EXPECT_NE(0, vfio_start(&self->next, PATH_CONTAINER, &self->edu));

	EXPECT_EQ(4, parked_end(&parked));
	EXPECT_TRUE(exited(unbind, WAIT_MS));
	EXPECT_FALSE(driver_is(&self->edu, USER_DRIVER));
	EXPECT_TRUE(state_becomes(self->edu.group, "kernel"));
}

TEST_HARNESS_MAIN
