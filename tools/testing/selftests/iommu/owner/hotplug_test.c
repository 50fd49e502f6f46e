// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that leave and join a group that is owned
 *
 * In two ways: the PCI core lets go of the device and scans the bus again, or
 * QEMU unplugs and plugs it. The second one needs a virtio-serial port named
 * owner.monitor that is connected to the monitor (QMP) of the QEMU that runs
 * this, and devices edu1 and e1000a at slots 1 and 2 of a bridge0 that can
 * hot-plug, or edu2 and e1000b in root ports port0 and port1 that can.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>

#include "owner_test.h"

#define PCI	"/sys/bus/pci"
#define IOVA	0x10000000ULL
#define NO_PLACE "edu and e1000 are not where they can be plugged"
#define NO_SLOT	"edu and e1000 are in no slot in /sys/bus/pci/slots"
#define NO_DMA	"the IOMMU does not know edu by the id that it has on its bus"

/* The devices of the shared group, and how QEMU gets them back */
struct place {
	const char *parent;
	const char *edu;
	const char *plug_edu;
	const char *nic;
	const char *plug_nic;
};

static const struct place places[] = {
	{ PCI_BRIDGE, "edu1", EDU_IN_BRIDGE, "e1000a", NIC_IN_BRIDGE },
	{ ROOT_PORT, "edu2", EDU_IN_PORT, "e1000b", NIC_IN_PORT },
};

FIXTURE(hotplug) {
	struct pdev edu;
	struct pdev nic;
	const struct place *place;
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

static bool unplug_edu(struct _test_data_hotplug *self, bool monitor)
{
	return unplug(monitor, &self->edu, self->place->edu);
}

static bool unplug_nic(struct _test_data_hotplug *self, bool monitor)
{
	return unplug(monitor, &self->nic, self->place->nic);
}

static bool plug_edu(struct _test_data_hotplug *self, bool monitor)
{
	return plug(monitor, &self->edu, self->place->plug_edu);
}

static bool plug_nic(struct _test_data_hotplug *self, bool monitor)
{
	return plug(monitor, &self->nic, self->place->plug_nic);
}

/* Is there a slot for the device that a hot-plug driver looks after? */
static bool has_slot(const struct pdev *pdev)
{
	struct dirent *entry;
	bool found = false;
	char buf[32];
	DIR *dir;

	dir = opendir(PCI "/slots");
	while (dir && !found && (entry = readdir(dir)))
		found = !get(buf, sizeof(buf), PCI "/slots/%s/address",
			     entry->d_name) &&
			!strncmp(buf, pdev->bdf, strlen("0000:00:00"));
	if (dir)
		closedir(dir);
	return found;
}

static const struct place *find_place(const struct pdev *edu,
				      const struct pdev *nic)
{
	const struct place *place = places;

	for (; place < places + ARRAY_SIZE(places); place++)
		if (dev_is_below(edu->bdf, place->parent) &&
		    dev_is_below(nic->bdf, place->parent))
			return place;
	return NULL;
}

FIXTURE_SETUP(hotplug)
{
	if (variant->monitor && !monitor_there())
		SKIP(return, NO_MONITOR);
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	self->place = find_place(&self->edu, &self->nic);
	if (!self->place)
		SKIP(return, NO_PLACE);
	if (variant->monitor &&
	    (!has_slot(&self->edu) || !has_slot(&self->nic)))
		SKIP(return, NO_SLOT);
	/* The device is programmed past its owner */
	gate_set("off");
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
	if (!self->place)
		return;
	if (!exists(PCI "/devices/%s", self->edu.bdf))
		plug_edu(self, variant->monitor);
	if (!exists(PCI "/devices/%s", self->nic.bdf))
		plug_nic(self, variant->monitor);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	gate_set("enforce");
}

/* It comes without its driver, and gets it when the group is free */
TEST_F(hotplug, added_device_gets_no_driver)
{
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	ASSERT_TRUE(unplug_nic(self, variant->monitor));
	ASSERT_TRUE(plug_nic(self, variant->monitor));
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
	ASSERT_TRUE(unplug_nic(self, variant->monitor));
	ASSERT_TRUE(plug_nic(self, variant->monitor));
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
	ASSERT_TRUE(unplug_nic(self, variant->monitor));
	between = generation(self->edu.group);
	EXPECT_LT(before, between);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	ASSERT_TRUE(plug_nic(self, variant->monitor));
	EXPECT_LT(between, generation(self->edu.group));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
}

/*
 * Does edu reach what is mapped for itself? QEMU's amd-iommu knows what is below
 * a bridge when the machine starts by bus number 0.
 */
static bool dma_works(struct _test_data_hotplug *self)
{
	bool works = false;

	if (driver_bind(&self->edu, USER_DRIVER) ||
	    vfio_start(&self->vfio, PATH_CDEV, &self->edu))
		return false;
	self->bar = edu_open_vfio(&self->vfio);
	if (self->bar &&
	    !vfio_map(&self->vfio, self->data, IOVA, self->size) &&
	    !vfio_map(&self->vfio, self->target, IOVA + self->size,
		      self->size) &&
	    !edu_read_ram(self->bar, IOVA) &&
	    !edu_write_ram(self->bar, IOVA + self->size))
		works = page_is(self->target, PATTERN);
	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	memset(self->target, CANARY, self->size);
	return works;
}

/*
 * From its first moment in the group the new device reaches what the owner
 * mapped, no more. Where firmware tables name its IOMMU, that moment is when its
 * first driver binds.
 */
TEST_F(hotplug, added_device_starts_in_domain_of_owner)
{
	__u64 physical = page_physical(self->canary);

	ASSERT_NE(0, physical);
	if (!variant->monitor && !dma_works(self))
		SKIP(return, NO_DMA);
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->nic));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->target, IOVA + self->size,
			      self->size));

	ASSERT_TRUE(unplug_edu(self, variant->monitor));
	ASSERT_TRUE(plug_edu(self, variant->monitor));
	if (dev_group(self->edu.bdf) < 0)
		ASSERT_EQ(0, driver_bind(&self->edu, STUB_DRIVER));
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
	char path[PATH_MAX], id[64];
	pid_t pid = 0;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, PATH_CDEV, &self->edu));
	if (variant->monitor) {
		snprintf(id, sizeof(id), "'id':'%s'", self->place->edu);
		ASSERT_EQ(0, monitor_ask("device_del", id));
	} else {
		snprintf(path, sizeof(path), PCI "/devices/%s/remove",
			 self->edu.bdf);
		pid = put_async("1", path);
	}
	EXPECT_TRUE(holder_requested(&self->holder, WAIT_MS));
	EXPECT_TRUE(exists(PCI "/devices/%s", self->edu.bdf));
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(left(variant->monitor, &self->edu, self->place->edu));
	if (pid > 0) {
		ASSERT_TRUE(exited(pid, WAIT_MS));
		waitpid(pid, NULL, 0);
	}
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_TRUE(plug_edu(self, variant->monitor));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_HARNESS_MAIN
