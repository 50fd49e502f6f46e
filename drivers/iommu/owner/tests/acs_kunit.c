// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: raw writes to the ACS controls of a port above a group
 */
#include <kunit/static_stub.h>
#include <linux/pci.h>

#include "../lease.h"
#include "mock.h"

#define BIT_OF(name)	IOMMU_OWNER_ISO_##name
#define ACS_CAP		0x148
#define ACS_CTRL	(ACS_CAP + PCI_ACS_CTRL)

/* A port, and a device below it that is in the group of a mock device */
struct acs_test {
	struct pci_dev port;
	struct pci_dev below;
	struct iommu_group *group;
};

static struct acs_test *acs;

static struct pci_dev *acs_next(struct pci_dev *port, struct pci_dev *from)
{
	pci_dev_put(from);
	return from ? NULL : pci_dev_get(&acs->below);
}

static void fake_release(struct device *dev)
{
}

static void put_device_action(void *dev)
{
	put_device(dev);
}

static void put_lease_action(void *lease)
{
	iommu_owner_isolation_put(lease);
}

static struct mock_device *acs_device(struct kunit *test)
{
	struct mock_device *mdev;

	mock_default_type(IOMMU_DOMAIN_UNMANAGED);
	mdev = mock_device(test, NULL);
	acs = kunit_kzalloc(test, sizeof(*acs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, acs);
	acs->port.dev.init_name = "port0";
	acs->port.hdr_type = PCI_HEADER_TYPE_BRIDGE;
	acs->port.acs_cap = ACS_CAP;
	acs->below.dev.release = fake_release;
	device_initialize(&acs->below.dev);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, put_device_action,
						  &acs->below.dev));
	acs->below.dev.iommu_group = mdev->group;
	kunit_activate_static_stub(test, iommu_owner_acs_next, acs_next);
	return mdev;
}

static struct iommu_owner_lease *acs_lease(struct kunit *test,
					   struct mock_device *mdev,
					   u32 required, int want)
{
	struct iommu_owner_lease *lease;

	lease = kunit_kzalloc(test, sizeof(*lease), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lease);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, put_lease_action,
						  lease));
	KUNIT_EXPECT_EQ(test, want,
			iommu_owner_isolation_lease(&mdev->dev, required, "tdx",
						    lease));
	return lease;
}

/* What user space gets for a write of @size bytes to @pos */
static int acs_write(int pos, size_t size)
{
	int ret = iommu_owner_acs_may_write(&acs->port, pos, size);

	if (ret || iommu_owner_acs_write_start(&acs->port, pos, size))
		return -EBUSY;
	iommu_owner_acs_write_end(&acs->port, pos, size);
	return 0;
}

/*
 * First, before the rate limit of the line is used up. The other tests leave
 * enough of it for the suite of leases, which comes later.
 */
static void refusal_names_the_port_and_the_lease(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);
	static char line[128];

	snprintf(line, sizeof(line),
		 "write to ACS of port0 by %s (pid %d) refused: a lease of tdx requires acs",
		 current->comm, task_tgid_nr(current));
	acs_lease(test, mdev, BIT_OF(ACS), 0);
	mock_listen(test, line);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_acs_write_start(&acs->port, ACS_CTRL, 2));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
}

static void lease_refuses_all_that_touch_acs(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);
	struct iommu_owner_lease *lease;
	u64 before;

	lease = acs_lease(test, mdev, BIT_OF(ACS) | BIT_OF(STRICT), 0);
	before = mock_generation(mdev->group);
	KUNIT_EXPECT_EQ(test, -EBUSY, acs_write(ACS_CTRL, 2));
	KUNIT_EXPECT_EQ(test, -EBUSY, acs_write(ACS_CTRL + 1, 1));
	KUNIT_EXPECT_EQ(test, -EBUSY, acs_write(ACS_CAP + 4, 4));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			acs_write(ACS_CAP + PCI_ACS_EGRESS_CTL_V, 4));
	KUNIT_EXPECT_EQ(test, -EBUSY, acs_write(0, 4096));

	KUNIT_EXPECT_EQ(test, 0, acs_write(ACS_CAP + 4, 2));
	KUNIT_EXPECT_EQ(test, 0, acs_write(ACS_CAP + 12, 4));
	KUNIT_EXPECT_EQ(test, 0, acs_write(PCI_COMMAND, 2));
	KUNIT_EXPECT_EQ(test, before, mock_generation(mdev->group));

	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, 0, acs_write(ACS_CTRL, 2));
}

static void lease_of_something_else(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);

	acs_lease(test, mdev, BIT_OF(TRANSLATED) | BIT_OF(STRICT), 0);
	KUNIT_EXPECT_EQ(test, 0, acs_write(ACS_CTRL, 2));
}

static void device_that_is_no_port(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);

	acs_lease(test, mdev, BIT_OF(ACS), 0);
	acs->port.acs_cap = 0;
	KUNIT_EXPECT_EQ(test, 0, acs_write(0, 4096));
	acs->port.acs_cap = ACS_CAP;
	acs->port.hdr_type = PCI_HEADER_TYPE_NORMAL;
	KUNIT_EXPECT_EQ(test, 0, acs_write(ACS_CTRL, 2));
}

static void generation_moves_with_a_write(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);
	u64 before = mock_generation(mdev->group);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_acs_write_start(&acs->port, ACS_CTRL, 2));
	KUNIT_EXPECT_EQ(test, before, mock_generation(mdev->group));
	iommu_owner_acs_write_end(&acs->port, ACS_CTRL, 2);
	KUNIT_EXPECT_GT(test, mock_generation(mdev->group), before);
}

/* The bit might be gone when the lease has been granted */
static void no_lease_during_a_write(struct kunit *test)
{
	struct mock_device *mdev = acs_device(test);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_acs_write_start(&acs->port, ACS_CTRL, 2));
	acs_lease(test, mdev, BIT_OF(ACS), -EBUSY);
	acs_lease(test, mdev, BIT_OF(STRICT), 0);
	iommu_owner_acs_write_end(&acs->port, ACS_CTRL, 2);
	acs_lease(test, mdev, BIT_OF(ACS), 0);
}

static struct kunit_case acs_cases[] = {
	KUNIT_CASE(refusal_names_the_port_and_the_lease),
	KUNIT_CASE(lease_refuses_all_that_touch_acs),
	KUNIT_CASE(lease_of_something_else),
	KUNIT_CASE(device_that_is_no_port),
	KUNIT_CASE(generation_moves_with_a_write),
	KUNIT_CASE(no_lease_during_a_write),
	{}
};

static struct kunit_suite acs_suite = {
	.name = "iommu_owner_acs",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = acs_cases,
};

kunit_test_suite(acs_suite);
