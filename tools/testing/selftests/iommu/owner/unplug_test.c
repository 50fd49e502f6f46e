// SPDX-License-Identifier: GPL-2.0
/*
 * A device vanishes while it has an owner, and nobody was asked
 *
 * QEMU drops the device when the slot of its port is asked to eject it, which is
 * what a kernel does at the end of a hot-unplug. Here the monitor does it, and the
 * kernel learns of it later. This needs a virtio-serial port named owner.monitor
 * that is connected to the monitor (QMP) of the QEMU that runs this, a q35 machine
 * with hot-plug by ACPI, and an empty root port port2 at 00:16.0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>

#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define PORT		PCI "/devices/0000:00:16.0"
#define NO_PORT		"no hot-plug into port2"

/* Where a q35 machine has the selector of the bus and the slots to eject */
#define EJECT		"o /w 0xcc8 0x1"
#define SELECT		"o /w 0xcd0 %llu"

FIXTURE(unplug) {
	struct pdev edu;
	struct vfio vfio;
	__u64 bus;
	void *bar;
	int token;
	bool plugged;
};

FIXTURE_VARIANT(unplug) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(unplug, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(unplug, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(unplug, cdev) { .path = PATH_CDEV };

static bool find_plugged(struct pdev *pdev)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir = opendir(PORT);

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, "0000:", 5) &&
			!strcmp(entry->d_name + 7, ":00.0");
		snprintf(pdev->bdf, sizeof(pdev->bdf), "%.15s", entry->d_name);
	}
	closedir(dir);
	if (!found)
		return false;
	pdev->group = dev_group(pdev->bdf);
	return pdev->group >= 0;
}

static bool plug(struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	if (monitor_ask("device_add",
			"'driver':'edu','id':'gone0','bus':'port2','dma_mask':281474976710655"))
		return false;
	while (!find_plugged(pdev)) {
		if (now_ms() > end)
			return false;
		nap(20);
	}
	/* Waits for a hot-plug that goes on */
	return !put("1", PCI "/rescan");
}

/* The device is gone at once; the kernel has not been notified. */
static int vanish(__u64 bus)
{
	char command[64];
	int ret;

	snprintf(command, sizeof(command), "'command-line':'" SELECT "'", bus);
	ret = monitor_ask("human-monitor-command", command);
	if (!ret)
		ret = monitor_ask("human-monitor-command",
				  "'command-line':'" EJECT "'");
	return ret || monitor_gone("gone0") ? ret : -EBUSY;
}

static bool left(const struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	while (exists(PCI "/devices/%s", pdev->bdf)) {
		if (now_ms() > end)
			return false;
		nap(20);
	}
	return true;
}

FIXTURE_SETUP(unplug)
{
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!monitor_there())
		SKIP(return, NO_MONITOR);
	load_modules();
	if (monitor_number("'path':'/machine/peripheral/port2/port2','property':'acpi-pcihp-bsel'",
			   &self->bus))
		SKIP(return, NO_PORT);
	self->plugged = plug(&self->edu);
	ASSERT_TRUE(self->plugged);
}

FIXTURE_TEARDOWN(unplug)
{
	struct pdev pdev;

	edu_close(self->bar);
	vfio_close(&self->vfio);
	if (self->token >= 0)
		close(self->token);
	if (!self->plugged)
		return;
	if (!monitor_gone_now("gone0"))
		vanish(self->bus);
	if (find_plugged(&pdev))
		put("1", PCI "/devices/%s/remove", pdev.bdf);
}

static void own_it(struct __test_metadata *_metadata,
		   struct _test_data_unplug *self, enum vfio_path path)
{
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, path, &self->edu));
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
	ASSERT_TRUE(edu_answers(self->bar));
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
}

/* By a process that does not have the files of the user */
static pid_t remove_async(struct _test_data_unplug *self)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	edu_close(self->bar);
	vfio_close(&self->vfio);
	_exit(-put("1", PCI "/devices/%s/remove", self->edu.bdf));
}

/* How often did the token tell of an end, and why the last time? */
static unsigned int ends(int token, int group, __u32 *reason)
{
	struct pollfd fd = { .fd = token, .events = POLLIN };
	struct iommu_owner_event event;
	unsigned int n = 0;

	while (poll(&fd, 1, 500) == 1 && (fd.revents & POLLIN) &&
	       read(token, &event, sizeof(event)) == sizeof(event)) {
		if (event.type != IOMMU_OWNER_EVENT_ENDED ||
		    event.group != group)
			continue;
		*reason = event.reason;
		n++;
	}
	return n;
}

static bool has_group(int token)
{
	struct iommu_owner_get_info info = { .size = sizeof(info) };
	int ret = call(token, IOMMU_OWNER_GET_INFO, &info);

	return ret == -EMSGSIZE || (!ret && info.nr_groups);
}

static void check_next_device(struct __test_metadata *_metadata,
			      struct _test_data_unplug *self)
{
	EXPECT_FALSE(exists(GROUPS "/%d/devices/%s", self->edu.group,
			    self->edu.bdf));
	ASSERT_TRUE(plug(&self->edu));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

/* As with every removal, the user is asked and lets go. */
TEST_F(unplug, user_closes)
{
	__u32 reason = -1;
	struct pollfd request = { .events = POLLIN };
	pid_t pid;

	own_it(_metadata, self, variant->path);
	request.fd = vfio_request_event(&self->vfio);
	ASSERT_LE(0, request.fd);
	ASSERT_EQ(0, vanish(self->bus));
	EXPECT_FALSE(edu_answers(self->bar));
	EXPECT_TRUE(state_is(self->edu.group, "user"));

	pid = remove_async(self);
	EXPECT_EQ(1, poll(&request, 1, WAIT_MS));
	EXPECT_FALSE(exited(pid, 300));
	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	EXPECT_TRUE(exited(pid, WAIT_MS));
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(left(&self->edu));
	EXPECT_EQ(1, ends(self->token, self->edu.group, &reason));
	EXPECT_EQ(IOMMU_OWNER_REASON_RELEASED, reason);
	EXPECT_FALSE(has_group(self->token));
	close(request.fd);
	check_next_device(_metadata, self);
}

TEST_F(unplug, user_is_killed)
{
	__u32 reason = -1;
	pid_t pid, remover;

	own_it(_metadata, self, variant->path);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->token);
		pause();
		_exit(0);
	}
	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	ASSERT_EQ(0, vanish(self->bus));
	remover = remove_async(self);
	EXPECT_FALSE(exited(remover, 300));
	EXPECT_EQ(0, ends(self->token, self->edu.group, &reason));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(exited(remover, WAIT_MS));
	waitpid(remover, NULL, 0);
	EXPECT_TRUE(left(&self->edu));
	EXPECT_EQ(1, ends(self->token, self->edu.group, &reason));
	EXPECT_EQ(IOMMU_OWNER_REASON_RELEASED, reason);
	check_next_device(_metadata, self);
}

/* It was the only device of the group, and the kernel knows that it is gone. */
TEST_F(unplug, reserved_group_goes)
{
	__u32 reason = -1;

	self->token = token_create("orchestrator", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(0, vanish(self->bus));
	EXPECT_TRUE(state_is(self->edu.group, "reserved"));
	ASSERT_EQ(0, put("1", PCI "/devices/%s/remove", self->edu.bdf));
	EXPECT_EQ(1, ends(self->token, self->edu.group, &reason));
	EXPECT_EQ(IOMMU_OWNER_REASON_REMOVED, reason);
	EXPECT_FALSE(has_group(self->token));
	check_next_device(_metadata, self);
}

/* All that the kernel knows is that it does not answer. Its removal settles that. */
TEST_F(unplug, revoke_of_what_is_gone)
{
	__u32 reason = -1;
	__u64 begin;

	own_it(_metadata, self, variant->path);
	ASSERT_EQ(0, vanish(self->bus));
	begin = now_ms();
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_GT(begin + WAIT_MS, now_ms());
	EXPECT_TRUE(state_is(self->edu.group, "quarantine"));
	EXPECT_EQ(1, ends(self->token, self->edu.group, &reason));
	EXPECT_EQ(IOMMU_OWNER_REASON_REVOKED, reason);
	/* Nobody is asked: the files that are still open have no device */
	ASSERT_EQ(0, put("1", PCI "/devices/%s/remove", self->edu.bdf));
	EXPECT_TRUE(left(&self->edu));
	check_next_device(_metadata, self);
}

TEST_HARNESS_MAIN
