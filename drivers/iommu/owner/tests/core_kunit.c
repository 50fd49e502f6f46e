// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: claim and release, the driver-core gate, devices that come and go
 */
#include "mock.h"

/* Parameters */

static void alloc_checks_parameters(struct kunit *test)
{
	struct iommu_owner *owner;

	owner = iommu_owner_alloc("");
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(owner));
	owner = iommu_owner_alloc(NULL);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR_OR_ZERO(owner));

	owner = iommu_owner_alloc("driver");
	KUNIT_EXPECT_EQ(test, 0, PTR_ERR_OR_ZERO(owner));
	iommu_owner_put(owner);
	iommu_owner_put(NULL);
	iommu_owner_put(ERR_PTR(-ENOMEM));
}

static void device_without_group_is_refused(struct kunit *test)
{
	struct mock_device *outside = mock_device_alloc(test, NULL, 0);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct device *dev = &outside->dev;

	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_claim_device(a, dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_handover_device(a, dev));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommu_owner_attach_device(a, domain, dev));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommu_owner_detach_device(a, domain, dev));
}

static void empty_group_is_refused(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = iommu_group_alloc();

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, group);
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	iommu_group_put(group);
}

/* Kernel drivers */

static void group_is_the_kernels(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);

	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_STREQ(test, "I", mdev->history);
}

static void drivers_share_a_group(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *disk = mock_driver(test, "mock_disk", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);

	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(disk, second));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(first->group));
	KUNIT_EXPECT_FALSE(test, mock_viable(first->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(second));

	mock_unbind(first);
	KUNIT_EXPECT_FALSE(test, mock_viable(first->group));
	mock_unbind(second);
	KUNIT_EXPECT_TRUE(test, mock_viable(first->group));
}

static int probe_fails(struct mock_driver *mdrv, struct mock_device *mdev)
{
	return -ENXIO;
}

static void failed_probe_leaves_no_user(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	nic->probe = probe_fails;
	KUNIT_EXPECT_EQ(test, -ENXIO, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 1, nic->probes);
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
}

/* Claims */

static void claim_blocks_dma(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_group *group = first->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));
	KUNIT_EXPECT_FALSE(test, mock_viable(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_TRUE(test, mock_viable(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(second));
	KUNIT_EXPECT_STREQ(test, "IBI", first->history);
	KUNIT_EXPECT_STREQ(test, "IBI", second->history);
}

static void bound_driver_refuses_claim(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, first->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_device(a, &first->dev));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_reserve_group(a, first->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(first->group));
	KUNIT_EXPECT_STREQ(test, "I", first->history);
	KUNIT_EXPECT_STREQ(test, "I", second->history);

	mock_unbind(second);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
}

static void managed_driver_allows_claim(struct kunit *test)
{
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, first));
	KUNIT_EXPECT_TRUE(test, mock_viable(first->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_device(a, &first->dev));
	/* The other way around */
	KUNIT_EXPECT_EQ(test, 0, mock_bind(vfio, second));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &first->dev));
	KUNIT_EXPECT_TRUE(test, mock_bound(vfio, first));
}

static void second_owner_is_refused(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_device(b, &mdev->dev));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_release_group(b, group));
	KUNIT_EXPECT_EQ(test, 1, mock_claims(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(b, group));
}

static void claims_are_counted(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = first->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &second->dev));
	KUNIT_EXPECT_EQ(test, 2, mock_claims(group));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &first->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, group));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &second->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_release_device(a, &second->dev));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(a, group));
}

static void claim_keeps_the_owner(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(a->owner, mdev->group));
	mock_owner_put(a);
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(a->owner, mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
}

/* Owners are told apart by what they are, not by what they are called */
static void name_is_no_identity(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "vmm")->owner;
	struct iommu_owner *b = mock_owner(test, "vmm")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, mdev->group));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_release_group(b, mdev->group));
}

/* What the IOMMU driver cannot do */

static void failed_block_refuses_claim(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_group *group = first->group;

	mock_fail_attach(second, MOCK_BLOCKED, 1);
	KUNIT_EXPECT_EQ(test, -EIO, iommu_owner_claim_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(second));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_release_group(a->owner, group));

	mock_fail_attach(first, MOCK_BLOCKED, 1);
	KUNIT_EXPECT_EQ(test, -EIO, iommu_owner_reserve_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	mock_owner_put(a);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, first));
}

static void empty_domain_blocks(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_fail_alloc("B");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_STREQ(test, "IUI", mdev->history);
}

static void no_memory_refuses_claim(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_fail_alloc("BU");
	KUNIT_EXPECT_EQ(test, -ENOMEM, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_STREQ(test, "I", mdev->history);
	mock_fail_alloc(NULL);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
}

/* The driver-core gate */

static void probe_is_refused(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
	KUNIT_EXPECT_FALSE(test, device_is_bound(&first->dev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, 2, nic->probes);
	KUNIT_EXPECT_STREQ(test, "IBI", first->history);
}

static void compatible_driver_has_its_turn(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	mdev->match = true;
	KUNIT_EXPECT_EQ(test, 1, device_attach(&mdev->dev));
	KUNIT_EXPECT_TRUE(test, mock_bound(vfio, mdev));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);

	/* Without an owner the first in the list is taken, as ever */
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, device_attach(&mdev->dev));
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, mdev));
}

static void refusal_of_all_drivers_is_logged(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_driver(test, "mock_nic", false);
	mock_driver(test, "mock_disk", false);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, device_attach(&mdev->dev));
	mdev->match = true;
	KUNIT_EXPECT_EQ(test, -EBUSY, device_attach(&mdev->dev));
	KUNIT_EXPECT_FALSE(test, device_is_bound(&mdev->dev));
}

/* Handover */

static void handover_lends_and_gets_back(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_handover_device(a, dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_handover_device(b, dev));
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, mdev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	/* The driver uses the DMA API again */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, mdev->group));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(b, mdev->group));
}

static void handover_needs_a_device_alone(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_handover_device(a, &first->dev));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(first->group));

	mock_device_del(second);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_handover_device(a, &first->dev));
}

static void driver_may_leave_during_handover(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_handover_device(a, &mdev->dev));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &mdev->dev));
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));
}

static struct kunit_case claim_cases[] = {
	KUNIT_CASE(alloc_checks_parameters),
	KUNIT_CASE(device_without_group_is_refused),
	KUNIT_CASE(empty_group_is_refused),
	KUNIT_CASE(group_is_the_kernels),
	KUNIT_CASE(drivers_share_a_group),
	KUNIT_CASE(failed_probe_leaves_no_user),
	KUNIT_CASE(claim_blocks_dma),
	KUNIT_CASE(bound_driver_refuses_claim),
	KUNIT_CASE(managed_driver_allows_claim),
	KUNIT_CASE(second_owner_is_refused),
	KUNIT_CASE(claims_are_counted),
	KUNIT_CASE(claim_keeps_the_owner),
	KUNIT_CASE(name_is_no_identity),
	KUNIT_CASE(failed_block_refuses_claim),
	KUNIT_CASE(empty_domain_blocks),
	KUNIT_CASE(no_memory_refuses_claim),
	KUNIT_CASE(probe_is_refused),
	KUNIT_CASE(compatible_driver_has_its_turn),
	KUNIT_CASE(refusal_of_all_drivers_is_logged),
	KUNIT_CASE(handover_lends_and_gets_back),
	KUNIT_CASE(handover_needs_a_device_alone),
	KUNIT_CASE(driver_may_leave_during_handover),
	{}
};

static struct kunit_suite claim_suite = {
	.name = "iommu_owner_claim",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = claim_cases,
};

/* Devices that come and go */

static void new_device_is_blocked(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	late = mock_device_alloc(test, first->group, 0);
	late->match = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_PTR_EQ(test, first->group, late->dev.iommu_group);
	KUNIT_EXPECT_STREQ(test, "B", late->history);
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
	KUNIT_EXPECT_FALSE(test, device_is_bound(&late->dev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(late));
	KUNIT_EXPECT_EQ(test, 1, device_attach(&late->dev));
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, late));
}

static void new_device_gets_the_owners_domain(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(a, domain, first->group));
	late = mock_device(test, first->group);
	KUNIT_EXPECT_TRUE(test, mock_reaches(late, domain));
	KUNIT_EXPECT_STREQ(test, "U", late->history);

	/* The claim covers the new device as well as the old one */
	mock_device_del(first);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(first->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(late, domain));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_STREQ(test, "UBI", late->history);
}

/* It must not escape to a kernel driver because it cannot be attached. */
static void new_device_that_cannot_be_attached(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	late = mock_device_alloc(test, first->group, 0);
	late->match = true;
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(a, domain, first->group));
	mock_fail_attach(late, MOCK_PAGING, 2);
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_PTR_EQ(test, first->group, late->dev.iommu_group);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_device_used(&late->dev));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);

	/* The owner goes on without it */
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_group(a, domain, first->group));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_group(a, domain, first->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(first, domain));
	KUNIT_EXPECT_STREQ(test, "B", late->history);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(late));
	KUNIT_EXPECT_EQ(test, 1, device_attach(&late->dev));
}

/* A direct mapping is in the default domain only: no other may be attached. */
static void new_device_with_direct_mapping(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	late = mock_device_alloc(test, first->group, 0);
	late->match = true;
	late->direct = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_PTR_EQ(test, first->group, late->dev.iommu_group);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_group(a, domain, first->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(first, domain));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(first->group));
	KUNIT_EXPECT_STREQ(test, "BI", late->history);
	KUNIT_EXPECT_EQ(test, 1, device_attach(&late->dev));

	/* and such a group cannot be claimed */
	mock_unbind(late);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_claim_group(a, first->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(first->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
}

static void new_device_of_quarantine_is_blocked(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, first->group));
	late = mock_device(test, first->group);
	KUNIT_EXPECT_STREQ(test, "B", late->history);
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, late));
}

/* Neither the owner's domain nor the blocking one: the end says so, or mends it. */
static void late_device_is_not_blocked(struct kunit *test, bool direct)
{
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = first->group;
	struct mock_device *late;

	for (unsigned int failures = 1; failures < 3; failures++) {
		struct iommu_owner *owner = failures == 1 ? a : b;

		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(owner, group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_group(owner, domain, group));
		late = mock_device_alloc(test, group, 0);
		late->direct = direct;
		/* The domain of the owner, if it is tried, and the blocking one */
		mock_fail_attach(late, MOCK_ANY, failures + !direct);
		KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_reach(late));

		KUNIT_EXPECT_EQ(test, failures == 1 ? 0 : -EIO,
				iommu_owner_revoke(owner));
		if (failures == 1)
			KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
					mock_state(group));
		mock_device_del(late);
	}
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
}

static void new_device_that_cannot_be_blocked(struct kunit *test)
{
	late_device_is_not_blocked(test, false);
}

static void direct_device_that_cannot_be_blocked(struct kunit *test)
{
	late_device_is_not_blocked(test, true);
}

/* Without a record the device is in no group, and its DMA is not the owner's. */
static void new_device_without_memory(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	late = mock_device_alloc(test, first->group, 0);
	late->no_memory = 2;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_PTR_EQ(test, NULL, late->dev.iommu_group);

	KUNIT_ASSERT_EQ(test, 0, mock_device_find_iommu(late));
	KUNIT_EXPECT_EQ(test, -EAGAIN, mock_bind(nic, late));
	KUNIT_EXPECT_EQ(test, 0, late->no_memory);
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
	KUNIT_EXPECT_STREQ(test, "", late->history);

	/* When there is memory again, the device joins before its driver */
	KUNIT_ASSERT_EQ(test, 0, mock_device_find_iommu(late));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, late));
	KUNIT_EXPECT_PTR_EQ(test, first->group, late->dev.iommu_group);
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
	KUNIT_EXPECT_STREQ(test, "B", late->history);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, late));
}

static void last_device_ends_the_ownership(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_group *group = first->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a->owner,
							  &first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a->owner,
							  &second->dev));
	mock_owner_put(a);

	mock_device_del(second);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	mock_device_del(first);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, 0, mock_claims(group));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, 0, mock_live_domains());
}

static void end_by_removal_is_stale(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;
	struct mock_device *again;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	mock_device_del(mdev);
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_unreserve_group(a, group));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_claim_group(a, group));

	/* A new device in the old group owes nothing to the old owner */
	again = mock_device(test, group);
	KUNIT_EXPECT_STREQ(test, "I", again->history);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
}

static void removal_ends_quarantine(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, group));
	mock_device_del(mdev);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mock_device(test, group)));
}

static void removal_of_bound_device_frees_the_group(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, second));
	mock_device_del(second);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
}

static void removal_with_pasid_leaves_nothing(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &mdev->dev,
							1, NULL));
	mock_device_del(mdev);
	KUNIT_EXPECT_TRUE(test, xa_empty(&group->pasid_array));
	mock_device(test, group);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
}

static struct kunit_case hotplug_cases[] = {
	KUNIT_CASE(new_device_is_blocked),
	KUNIT_CASE(new_device_gets_the_owners_domain),
	KUNIT_CASE(new_device_that_cannot_be_attached),
	KUNIT_CASE(new_device_with_direct_mapping),
	KUNIT_CASE(new_device_of_quarantine_is_blocked),
	KUNIT_CASE(new_device_that_cannot_be_blocked),
	KUNIT_CASE(direct_device_that_cannot_be_blocked),
	KUNIT_CASE(new_device_without_memory),
	KUNIT_CASE(last_device_ends_the_ownership),
	KUNIT_CASE(end_by_removal_is_stale),
	KUNIT_CASE(removal_ends_quarantine),
	KUNIT_CASE(removal_of_bound_device_frees_the_group),
	KUNIT_CASE(removal_with_pasid_leaves_nothing),
	{}
};

static struct kunit_suite hotplug_suite = {
	.name = "iommu_owner_hotplug",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = hotplug_cases,
};

kunit_test_suites(&claim_suite, &hotplug_suite);
