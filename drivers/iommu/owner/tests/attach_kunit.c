// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: who may attach domains, to devices and to PASIDs
 */
#include "mock.h"

/* Domains of the owner */

static void owner_attaches_group(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct iommu_domain *other = mock_paging_domain(test, first);
	struct iommu_group *group = first->group;

	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_group(a, domain, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_attach_group(b, domain, group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(first, domain));
	KUNIT_EXPECT_TRUE(test, mock_reaches(second, domain));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_attach_group(a, other, group));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_detach_group(b, domain, group));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_group(a, other, group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(first, domain));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_detach_group(a, domain, group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_group(a, other, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_group(a, other, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_group(a, other, group));
	/* The default domain is the last thing to come, through blocked DMA */
	KUNIT_EXPECT_STREQ(test, "IBUBUBI", first->history);
	KUNIT_EXPECT_STREQ(test, "IBUBUBI", second->history);
}

static void device_attaches_are_counted(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct iommu_domain *other = mock_paging_domain(test, first);
	struct device *dev1 = &first->dev, *dev2 = &second->dev;

	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_device(a, domain, dev1));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev1));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev2));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device(a, domain, dev1));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_device(a, domain, dev1));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_device(a, domain, dev2));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_attach_device(a, other, dev2));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_attach_device(b, domain, dev2));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_detach_device(b, domain, dev2));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device(a, other, dev2));

	/* The call that does not count cannot undo those that do */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_group(a, domain, first->group));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_detach_device(a, domain, dev1));
	KUNIT_EXPECT_TRUE(test, mock_reaches(first, domain));
	KUNIT_EXPECT_TRUE(test, mock_reaches(second, domain));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_detach_device(a, domain, dev2));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device(a, domain, dev2));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_device(a, other, dev1));
}

static void attaches_end_with_the_ownership(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_device(a, domain, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_STREQ(test, "IBUBI", mdev->history);

	/* The count of the old owner must not keep the domain of the new one */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(b, dev));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device(b, domain, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_device(b, domain, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_detach_device(b, domain, dev));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

static void failed_attach_leaves_dma_blocked(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	mock_fail_attach(second, MOCK_PAGING, 2);
	KUNIT_EXPECT_EQ(test, -EIO, iommu_owner_attach_device(a, domain, dev));
	KUNIT_EXPECT_EQ(test, -EIO,
			iommu_owner_attach_group(a, domain, first->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	/* The failed attach was not counted */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_device(a, domain, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_detach_device(a, domain, dev));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
}

/* The kernel on a group that has an owner */

static void kernel_attach_is_refused(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_domain *other = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_device(other, &mdev->dev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_group(other, group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	iommu_detach_device(domain, &mdev->dev);
	iommu_detach_group(domain, group);
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, domain));
	KUNIT_EXPECT_STREQ(test, "IBU", mdev->history);
}

static void kernel_attach_in_quarantine_is_refused(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_device(domain, &mdev->dev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_group(domain, group));
	iommu_detach_group(domain, group);
	KUNIT_EXPECT_STREQ(test, "IB", mdev->history);
}

/* A kernel driver with a domain of its own */

static void own_domain_makes_group_private(struct kunit *test)
{
	struct mock_driver *gpu = mock_driver(test, "mock_gpu", false);
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = first->group;

	mock_attach_own_domain(test, gpu, first);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(gpu, first));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_PRIVATE, mock_state(group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(second, gpu->data));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);

	mock_unbind(first);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, second));
}

static void shared_group_goes_private_only_with_attach(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_attach_device(domain, &mdev->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_PRIVATE, mock_state(mdev->group));
	iommu_detach_device(domain, &mdev->dev);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_STREQ(test, "IUI", mdev->history);
}

static void managed_driver_with_own_domain_refuses_claim(struct kunit *test)
{
	struct mock_driver *gpu = mock_driver(test, "mock_gpu", true);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_attach_own_domain(test, gpu, mdev);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(gpu, mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_PRIVATE, mock_state(mdev->group));
	KUNIT_EXPECT_FALSE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, gpu->data));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
}

static struct kunit_case attach_cases[] = {
	KUNIT_CASE(owner_attaches_group),
	KUNIT_CASE(device_attaches_are_counted),
	KUNIT_CASE(attaches_end_with_the_ownership),
	KUNIT_CASE(failed_attach_leaves_dma_blocked),
	KUNIT_CASE(kernel_attach_is_refused),
	KUNIT_CASE(kernel_attach_in_quarantine_is_refused),
	KUNIT_CASE(own_domain_makes_group_private),
	KUNIT_CASE(shared_group_goes_private_only_with_attach),
	KUNIT_CASE(managed_driver_with_own_domain_refuses_claim),
	{}
};

static struct kunit_suite attach_suite = {
	.name = "iommu_owner_attach",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = attach_cases,
};

/* PASIDs */

#define PASID 3

static void owner_attaches_pasid(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(second, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID + 1));
	/* The device itself stays blocked */
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_attach_device_pasid(a, domain, dev,
							MOCK_PASIDS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_attach_device_pasid(a, domain, dev,
							IOMMU_NO_PASID, NULL));

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, dev, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(second, PASID));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device_pasid(a, domain, dev, PASID));
}

static void pasid_of_another_is_refused(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_device_pasid(b, domain, dev, PASID,
							NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_attach_device_pasid(b, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_detach_device_pasid(b, domain, dev, PASID));
	iommu_detach_device_pasid(domain, dev, PASID);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(mdev, PASID));
}

static void wrong_domain_detaches_nothing(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_domain *other = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {};
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev,
							PASID + 1, &handle));
	for (ioasid_t pasid = PASID; pasid <= PASID + 1; pasid++) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				iommu_owner_detach_device_pasid(a, other, dev,
								pasid));
		KUNIT_EXPECT_EQ(test, MOCK_PAGING,
				mock_pasid_reach(mdev, pasid));
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_detach_device_pasid(a, domain, dev,
								pasid));
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(mdev, pasid));
	}
}

static void kernel_attaches_pasid(struct kunit *test)
{
	struct mock_driver *dsa = mock_driver(test, "mock_dsa", false);
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(dsa, first));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_device_pasid(a, domain, dev, PASID));
	iommu_detach_device_pasid(domain, dev, PASID);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, second));
}

static void pasid_of_managed_driver_refuses_claim(struct kunit *test)
{
	struct mock_driver *gpu = mock_driver(test, "mock_gpu", true);
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(gpu, mdev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	KUNIT_EXPECT_FALSE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_device(a, dev));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(mdev, PASID));
	iommu_detach_device_pasid(domain, dev, PASID);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_device(a, dev));
}

static void leftover_pasid_is_detached_at_release(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {};
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev,
							PASID + 1, &handle));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID + 1));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_device(a, dev));
}

static void leftover_pasid_is_detached_at_reservation(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

static void leftover_pasid_is_detached_at_unbind(struct kunit *test)
{
	struct mock_driver *dsa = mock_driver(test, "mock_dsa", false);
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(dsa, mdev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(dsa, mdev));
}

static void leftover_pasid_is_detached_at_removal(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	mock_device_del(mdev);
	KUNIT_EXPECT_EQ(test, 0, mdev->pasids_left);
}

static struct kunit_case pasid_cases[] = {
	KUNIT_CASE(owner_attaches_pasid),
	KUNIT_CASE(pasid_of_another_is_refused),
	KUNIT_CASE(wrong_domain_detaches_nothing),
	KUNIT_CASE(kernel_attaches_pasid),
	KUNIT_CASE(pasid_of_managed_driver_refuses_claim),
	KUNIT_CASE(leftover_pasid_is_detached_at_release),
	KUNIT_CASE(leftover_pasid_is_detached_at_reservation),
	KUNIT_CASE(leftover_pasid_is_detached_at_unbind),
	KUNIT_CASE(leftover_pasid_is_detached_at_removal),
	{}
};

static struct kunit_suite pasid_suite = {
	.name = "iommu_owner_pasid_attach",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = pasid_cases,
};

kunit_test_suites(&attach_suite, &pasid_suite);
