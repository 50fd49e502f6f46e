// SPDX-License-Identifier: GPL-2.0
/* A kernel driver and a device whose group has an owner, however it is asked */
#define _GNU_SOURCE
#include "owner_test.h"

#define PCI	"/sys/bus/pci"
#define NIC_ID	"8086 100e"

FIXTURE(bind) {
	struct pdev edu;
	struct pdev nic;
	struct holder holder;
	char holder_text[96];
	int klog;
};

FIXTURE_VARIANT(bind) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(bind, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(bind, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(bind, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(bind)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	snprintf(self->holder_text, sizeof(self->holder_text),
		 "group %d has user owner %s (%s, pid %d)", self->nic.group,
		 vfio_owner_name(variant->path), HOLDER_COMM,
		 self->holder.pid);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(bind)
{
	put(NIC_ID, PCI "/drivers/%s/remove_id", KERNEL_DRIVER);
	put(NIC_ID, PCI "/drivers/%s/remove_id", STUB_DRIVER);
	holder_end(&self->holder, HOLDER_KILL);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	load_modules();
	trace_stop();
}

/* The line names device, driver, group, state, owner, command and process */
static bool logged(struct _test_data_bind *self, const char *driver)
{
	char refused[64];

	snprintf(refused, sizeof(refused), "driver %s refused", driver);
	return klog_find(self->klog, self->nic.bdf, "iommu-owner: ", refused,
			 self->holder_text);
}

/* Ask for the driver; true if it did not get the device, as it should be */
typedef bool (*request)(struct _test_data_bind *self);

static bool ask_bind(struct _test_data_bind *self)
{
	return put(self->nic.bdf, PCI "/drivers/%s/bind",
		   NIC_DRIVER) == -EBUSY;
}

static bool ask_drivers_probe(struct _test_data_bind *self)
{
	return put(self->nic.bdf, PCI "/drivers_probe") == -EINVAL;
}

static bool ask_override(struct _test_data_bind *self)
{
	return !put(KERNEL_DRIVER, PCI "/devices/%s/driver_override",
		    self->nic.bdf) &&
	       ask_drivers_probe(self);
}

static bool ask_new_id(struct _test_data_bind *self)
{
	put(NIC_ID, PCI "/drivers/%s/remove_id", KERNEL_DRIVER);
	return !put(NIC_ID, PCI "/drivers/%s/new_id", KERNEL_DRIVER) &&
	       driver_is(&self->nic, NULL);
}

static bool ask_module(struct _test_data_bind *self)
{
	return !unload_module(NIC_DRIVER) && !load_module(NIC_DRIVER) &&
	       exists(PCI "/drivers/%s", NIC_DRIVER) &&
	       driver_is(&self->nic, NULL);
}

/* The rate limit may hold back the line of the first refusal */
static bool refused_and_logged(struct _test_data_bind *self,
			       const char *driver, request ask)
{
	if (!ask(self))
		return false;
	if (logged(self, driver))
		return true;
	return klog_limited(self->nic.group) && ask(self) &&
	       logged(self, driver);
}

TEST_F(bind, sysfs_bind)
{
	EXPECT_TRUE(ask_bind(self));
	EXPECT_TRUE(driver_is(&self->nic, NULL));
}

TEST_F(bind, sysfs_bind_logged)
{
	EXPECT_TRUE(refused_and_logged(self, NIC_DRIVER, ask_bind));
}

/* The interface has one errno for everything */
TEST_F(bind, drivers_probe)
{
	EXPECT_TRUE(ask_drivers_probe(self));
	EXPECT_TRUE(driver_is(&self->nic, NULL));
}

TEST_F(bind, drivers_probe_logged)
{
	EXPECT_TRUE(refused_and_logged(self, NIC_DRIVER, ask_drivers_probe));
}

TEST_F(bind, driver_override)
{
	EXPECT_TRUE(ask_override(self));
	EXPECT_TRUE(driver_is(&self->nic, NULL));
	EXPECT_EQ(-EBUSY, put(self->nic.bdf, PCI "/drivers/%s/bind",
			      KERNEL_DRIVER));
	EXPECT_TRUE(driver_is(&self->nic, NULL));
}

TEST_F(bind, driver_override_logged)
{
	EXPECT_TRUE(refused_and_logged(self, KERNEL_DRIVER, ask_override));
}

/* The identifier is taken, the device is not */
TEST_F(bind, new_id)
{
	EXPECT_TRUE(ask_new_id(self));
}

TEST_F(bind, new_id_logged)
{
	EXPECT_TRUE(refused_and_logged(self, KERNEL_DRIVER, ask_new_id));
}

TEST_F(bind, module_load)
{
	EXPECT_TRUE(ask_module(self));
}

TEST_F(bind, module_load_logged)
{
	EXPECT_TRUE(refused_and_logged(self, NIC_DRIVER, ask_module));
}

TEST_F(bind, trace_names_device_and_holder)
{
	char device[64], holder[64], pid[32];

	if (!trace_there())
		SKIP(return, NO_TRACING);
	ASSERT_EQ(0, trace_start("iommu_owner_refuse"));
	ASSERT_EQ(-EBUSY, put(self->nic.bdf, PCI "/drivers/%s/bind",
			      NIC_DRIVER));
	snprintf(device, sizeof(device), "device=%s ", self->nic.bdf);
	snprintf(holder, sizeof(holder), "holder=%s ",
		 vfio_owner_name(variant->path));
	snprintf(pid, sizeof(pid), "pid=%d", self->holder.pid);
	EXPECT_TRUE(trace_find("iommu_owner_refuse:", device, holder, pid,
			       "state=user"));
}

TEST_F(bind, compatible_driver_binds)
{
	EXPECT_EQ(0, driver_bind(&self->nic, STUB_DRIVER));
	EXPECT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
}

/* The network driver stands before the stub on the list of the bus */
TEST_F(bind, compatible_driver_has_its_turn)
{
	ASSERT_EQ(0, unload_module(STUB_DRIVER));
	ASSERT_EQ(0, unload_module(NIC_DRIVER));
	ASSERT_EQ(0, load_module(NIC_DRIVER));
	ASSERT_EQ(0, load_module(STUB_DRIVER));
	ASSERT_EQ(0, put(NIC_ID, PCI "/drivers/%s/new_id", STUB_DRIVER));
	ASSERT_EQ(0, driver_unbind(&self->nic));

	EXPECT_EQ(0, put(self->nic.bdf, PCI "/drivers_probe"));
	EXPECT_TRUE(driver_is(&self->nic, STUB_DRIVER));
}

/* After the end the same request is granted, in each way */
TEST_F(bind, works_after_release)
{
	ASSERT_EQ(-EBUSY, put(self->nic.bdf, PCI "/drivers/%s/bind",
			      NIC_DRIVER));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, put(self->nic.bdf, PCI "/drivers/%s/bind", NIC_DRIVER));
	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_EQ(0, put(self->nic.bdf, PCI "/drivers_probe"));
	EXPECT_TRUE(driver_is(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, unload_module(NIC_DRIVER));
	EXPECT_EQ(0, load_module(NIC_DRIVER));
	EXPECT_TRUE(driver_is(&self->nic, NIC_DRIVER));
	EXPECT_TRUE(exists(PCI "/devices/%s/net", self->nic.bdf));
}

TEST_HARNESS_MAIN
