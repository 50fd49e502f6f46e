// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that leave and join a group that is owned
 *
 * In two ways: the PCI core lets go of the device and scans the bus again, or
 * QEMU unplugs and plugs it. The second one needs a virtio-serial port named
 * owner.monitor that is connected to the monitor (QMP) of the QEMU that runs
 * this, and devices edu1 and e1000a at slots 1 and 2 of a bridge0 that can
 * hot-plug.
 */
#define _GNU_SOURCE
#include <limits.h>

#include "owner_test.h"

#define PCI	"/sys/bus/pci"
#define IOVA	0x10000000ULL

FIXTURE(hotplug) {
	struct pdev edu;
	struct pdev nic;
	struct holder holder;
	struct vfio vfio;
	unsigned char *data;
	unsigned char *target;
	unsigned char *canary;
	__u64 size;
	void *bar;
	int klog;
};

FIXTURE_VARIANT(hotplug) {
	bool monitor;
};

FIXTURE_VARIANT_ADD(hotplug, rescan) { .monitor = false };
FIXTURE_VARIANT_ADD(hotplug, monitor) { .monitor = true };

static bool present(const struct pdev *pdev, bool there)
{
	__u64 end = now_ms() + WAIT_MS;

	do {
		if (exists(PCI "/devices/%s", pdev->bdf) == there)
			return true;
		nap(20);
	} while (now_ms() < end);
	return false;
}

/* QEMU lets go of a device when the kernel is done with it, after sysfs is */
static bool left(bool monitor, const struct pdev *pdev, const char *id)
{
	return present(pdev, false) && (!monitor || monitor_gone(id));
}

static bool unplug(bool monitor, const struct pdev *pdev, const char *id)
{
	char arguments[64];
	int ret;

	snprintf(arguments, sizeof(arguments), "'id':'%s'", id);
	if (monitor)
		ret = monitor_ask("device_del", arguments);
	else
		ret = put("1", PCI "/devices/%s/remove", pdev->bdf);
	return !ret && left(monitor, pdev, id);
}

static bool plug(bool monitor, const struct pdev *pdev, const char *arguments)
{
	int ret;

	if (monitor) {
		ret = monitor_ask("device_add", arguments);
		if (ret || !present(pdev, true))
			return false;
	}
	/* Also waits for a hot-plug that goes on */
	ret = put("1", PCI "/rescan");
	return !ret && present(pdev, true);
}

static bool plug_edu(bool monitor, const struct pdev *pdev)
{
	return plug(monitor, pdev, EDU_IN_BRIDGE);
}

static bool plug_nic(bool monitor, const struct pdev *pdev)
{
	return plug(monitor, pdev, NIC_IN_BRIDGE);
}

FIXTURE_SETUP(hotplug)
{
	if (variant->monitor && !monitor_there())
		SKIP(return, NO_MONITOR);
	load_modules();
	/* The device is told what to do past its owner */
	gate_set("off");
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(PATTERN);
	self->target = page_alloc(CANARY);
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->target);
	ASSERT_NE(NULL, self->canary);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(hotplug)
{
	edu_close(self->bar);
	vfio_close(&self->vfio);
	holder_end(&self->holder, HOLDER_KILL);
	if (!exists(PCI "/devices/%s", self->edu.bdf))
		plug_edu(variant->monitor, &self->edu);
	if (!exists(PCI "/devices/%s", self->nic.bdf))
		plug_nic(variant->monitor, &self->nic);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	gate_set("enforce");
}

/* It comes without its driver, and gets it when the group is free */
TEST_F(hotplug, added_device_gets_no_driver)
{
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	ASSERT_TRUE(unplug(variant->monitor, &self->nic, "e1000a"));
	ASSERT_TRUE(plug_nic(variant->monitor, &self->nic));
	EXPECT_EQ(self->edu.group, dev_group(self->nic.bdf));
	nap(500);
	EXPECT_TRUE(driver_is(&self->nic, NULL));
	EXPECT_EQ(-EBUSY, put(self->nic.bdf, PCI "/drivers/%s/bind",
			      NIC_DRIVER));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, put(self->nic.bdf, PCI "/drivers_probe"));
	EXPECT_TRUE(driver_is(&self->nic, NIC_DRIVER));
}

TEST_F(hotplug, refusal_of_added_device_is_logged)
{
	char owner[64];

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	ASSERT_TRUE(unplug(variant->monitor, &self->nic, "e1000a"));
	ASSERT_TRUE(plug_nic(variant->monitor, &self->nic));
	snprintf(owner, sizeof(owner), "(%s, pid %d)", HOLDER_COMM,
		 self->holder.pid);
	EXPECT_TRUE(klog_find(self->klog, self->nic.bdf,
			      "driver " NIC_DRIVER " refused", owner));
}

TEST_F(hotplug, generation_moves)
{
	__u64 before, between;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	before = generation(self->edu.group);
	ASSERT_NE(0, before);
	ASSERT_TRUE(unplug(variant->monitor, &self->nic, "e1000a"));
	between = generation(self->edu.group);
	EXPECT_LT(before, between);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	ASSERT_TRUE(plug_nic(variant->monitor, &self->nic));
	EXPECT_LT(between, generation(self->edu.group));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
}

/* From its first moment the new device reaches what the owner mapped, no more */
TEST_F(hotplug, added_device_starts_in_domain_of_owner)
{
	__u64 physical = page_physical(self->canary);

	ASSERT_NE(0, physical);
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->nic));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->target, IOVA + self->size,
			      self->size));

	ASSERT_TRUE(unplug(variant->monitor, &self->edu, "edu1"));
	ASSERT_TRUE(plug_edu(variant->monitor, &self->edu));
	ASSERT_EQ(self->nic.group, dev_group(self->edu.bdf));
	self->bar = edu_open_sysfs(&self->edu);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, edu_read_ram(self->bar, IOVA));
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, PATTERN));
	ASSERT_EQ(0, edu_write_ram(self->bar, physical));
	EXPECT_TRUE(page_is(self->canary, CANARY));

	vfio_close(&self->vfio);
	memset(self->target, CANARY, self->size);
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, CANARY));
}

/* The device itself goes while it is owned: its owner is asked and lets go */
TEST_F(hotplug, owned_device_leaves)
{
	char path[PATH_MAX];
	pid_t pid = 0;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	if (variant->monitor) {
		ASSERT_EQ(0, monitor_ask("device_del", "'id':'edu1'"));
	} else {
		snprintf(path, sizeof(path), PCI "/devices/%s/remove",
			 self->edu.bdf);
		pid = put_async("1", path);
	}
	EXPECT_TRUE(holder_requested(&self->holder, WAIT_MS));
	EXPECT_TRUE(exists(PCI "/devices/%s", self->edu.bdf));
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(left(variant->monitor, &self->edu, "edu1"));
	if (pid > 0) {
		ASSERT_TRUE(exited(pid, WAIT_MS));
		waitpid(pid, NULL, 0);
	}
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_TRUE(plug_edu(variant->monitor, &self->edu));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_HARNESS_MAIN
