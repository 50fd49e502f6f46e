// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the PASIDs of devices that an owner has alone: what replaces what, what
 * a device has that joins or leaves, how many there are, and what an error leaves
 */
#include <linux/random.h>

#include "mock.h"

#define PASID	3

static void replace_switches_pasid(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *old = mock_paging_domain(test, first);
	struct iommu_domain *new = mock_paging_domain(test, first);
	struct iommu_attach_handle handle = {}, next = {};
	struct device *dev = &first->dev;
	u64 before;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, old, dev, PASID,
							&handle));
	before = mock_generation(first->group);

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(first, PASID, new));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, PASID, new));
	KUNIT_EXPECT_GT(test, mock_generation(first->group), before);
	/* Attached and replaced: nothing in between */
	KUNIT_EXPECT_EQ(test, 2, first->pasid_changes);
	KUNIT_EXPECT_EQ(test, 2, second->pasid_changes);
	KUNIT_EXPECT_PTR_EQ(test, &next,
			    iommu_attach_handle_get(first->group, PASID, 0));

	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_detach_device_pasid(a, old, dev, PASID));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, new, dev, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID));
}

static void replace_by_the_same_domain(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {};
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	/* Without a handle */
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_replace_device_pasid(a, domain, dev, PASID,
							 &handle));
	KUNIT_EXPECT_EQ(test, 1, mdev->pasid_changes);
	KUNIT_EXPECT_PTR_EQ(test, &handle,
			    iommu_attach_handle_get(mdev->group, PASID, 0));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, dev, PASID));
}

static void replace_is_refused(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *old = mock_paging_domain(test, mdev);
	struct iommu_domain *new = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {}, next = {};
	struct device *dev = &mdev->dev;

	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 &next));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	/* Nothing to replace */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, old, dev, PASID,
							&handle));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_replace_device_pasid(a, new, dev,
							 IOMMU_NO_PASID,
							 &next));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_replace_device_pasid(a, new, dev,
							 MOCK_PASIDS, &next));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 NULL));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_replace_device_pasid(b, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_replace_device_pasid(NULL, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(mdev, PASID, old));
	KUNIT_EXPECT_EQ(test, 1, mdev->pasid_changes);
	KUNIT_EXPECT_NULL(test, next.domain);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
}

static void failed_replace_keeps_old_domain(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *old = mock_paging_domain(test, first);
	struct iommu_domain *new = mock_paging_domain(test, first);
	struct iommu_attach_handle handle = {}, next = {};
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, old, dev, PASID,
							&handle));
	mock_fail_attach(second, MOCK_PAGING, 1);
	KUNIT_EXPECT_EQ(test, -EIO,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(first, PASID, old));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, PASID, old));
	KUNIT_EXPECT_PTR_EQ(test, &handle,
			    iommu_attach_handle_get(first->group, PASID, 0));
	KUNIT_EXPECT_NULL(test, next.domain);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_replace_device_pasid(a, new, dev, PASID,
							 &next));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, PASID, new));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
}

static void failed_attach_leaves_nothing(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct iommu_attach_handle handle = {};
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	mock_fail_attach(second, MOCK_PAGING, 1);
	KUNIT_EXPECT_EQ(test, -EIO,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							&handle));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(second, PASID));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
			    iommu_attach_handle_get(first->group, PASID, 0));
	KUNIT_EXPECT_NULL(test, handle.domain);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							&handle));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
}

static void equal_numbers_do_not_meet(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *of_a = mock_paging_domain(test, first);
	struct iommu_domain *of_b = mock_paging_domain(test, second);
	struct iommu_attach_handle handle = {};

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(b, &second->dev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, of_a, &first->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(b, of_b, &second->dev,
							PASID, NULL));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(first, PASID, of_a));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, PASID, of_b));

	/* By its number, neither gets at the PASID of the other */
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_detach_device_pasid(a, of_b, &second->dev,
							PASID));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_replace_device_pasid(a, of_a, &second->dev,
							 PASID, &handle));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &first->dev));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(first, PASID));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, PASID, of_b));
	KUNIT_EXPECT_EQ(test, 1, second->pasid_changes);
}

static void pasid_is_as_wide_as_the_device(struct kunit *test)
{
	struct mock_device *wide = mock_pasid_device(test, NULL);
	struct mock_device *narrow = mock_device_alloc(test, wide->group, 1);
	struct mock_device *none = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, wide);

	KUNIT_ASSERT_EQ(test, 0, mock_device_add(narrow));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &wide->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &none->dev));

	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_attach_device_pasid(a, domain, &wide->dev,
							2, NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &wide->dev,
							1, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(narrow, 1));
	/* A device that has none has no PASID 1 either */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_attach_device_pasid(a, domain, &none->dev,
							1, NULL));
}

static void device_without_pasids_is_skipped(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct mock_device *none = mock_device(test, mdev->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &none->dev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &none->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(none, PASID));
}

static void what_cannot_be_blocked_is_not_attached(struct kunit *test)
{
	/* No device with PASIDs in this test: the IOMMU cannot block any */
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &mdev->dev));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			iommu_owner_attach_device_pasid(a, domain, &mdev->dev,
							PASID, NULL));
}

static void ended_owner_has_no_pasids(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *old = mock_paging_domain(test, mdev);
	struct iommu_domain *new = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {}, next = {}, third = {};
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a->owner, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a->owner, old, dev,
							PASID, &handle));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_replace_device_pasid(a->owner, new, dev,
							 PASID, &next));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a->owner));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
			    iommu_attach_handle_get(mdev->group, PASID, 0));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_replace_device_pasid(a->owner, old, dev,
							 PASID, &third));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_device_pasid(a->owner, new, dev,
							PASID));

	/* The number is free for the next owner, and not for the last one */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(b, dev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(b, old, dev, PASID,
							&third));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_device_pasid(a->owner, old, dev,
							PASID));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(mdev, PASID, old));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(b, dev));
}

static void late_device_gets_pasids(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_domain *other = mock_paging_domain(test, mdev);
	struct iommu_attach_handle handle = {};
	struct device *dev = &mdev->dev;
	struct mock_device *late, *none;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	late = mock_pasid_device(test, mdev->group);
	none = mock_device(test, mdev->group);
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(late, PASID, domain));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(none, PASID));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_replace_device_pasid(a, other, dev, PASID,
							 &handle));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(late, PASID, other));

	/* The first device leaves, with all others there */
	mock_device_del(mdev);
	KUNIT_EXPECT_EQ(test, 0, mdev->pasids_left);
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(late, PASID, other));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, late->group));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, PASID));
}

static void late_device_without_room_is_blocked(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct mock_device *late = mock_device_alloc(test, mdev->group, 1);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_device(a, domain, dev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, 1,
							NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, PASID,
							NULL));
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	/* It has no PASID 3, so it has nothing */
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, 1));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(mdev, 1));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, dev, PASID));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, dev, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(late));
}

/* What is attached to a PASID of the kernel when a device joins is not that device's. */
static void late_device_lacks_pasids_of_kernel(struct kunit *test)
{
	struct mock_driver *dsa = mock_driver(test, "mock_dsa", false);
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct mock_device *late, *leaves;
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(dsa, mdev));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	late = mock_pasid_device(test, mdev->group);
	leaves = mock_pasid_device(test, mdev->group);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, PASID));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID + 1,
						  NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(late, PASID + 1));

	/* It leaves with the one that it has */
	mock_device_del(leaves);
	KUNIT_EXPECT_EQ(test, 0, leaves->pasids_left);
	KUNIT_EXPECT_EQ(test, 2, leaves->pasid_changes);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(mdev, PASID));

	iommu_detach_device_pasid(domain, dev, PASID);
	iommu_detach_device_pasid(domain, dev, PASID + 1);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, PASID));
	KUNIT_EXPECT_EQ(test, 2, late->pasid_changes);

	/* The number is not the old one any more */
	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, dev, PASID, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(late, PASID));
	iommu_detach_device_pasid(domain, dev, PASID);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, PASID));
}

static void blocked_device_has_no_pasids(struct kunit *test)
{
	struct mock_device *none = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, none);
	struct mock_device *late;

	/* With one of these on the bus, the IOMMU can block PASIDs */
	mock_pasid_device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &none->dev));
	late = mock_device_alloc(test, none->group, ilog2(MOCK_PASIDS));
	late->direct = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_ASSERT_EQ(test, MOCK_BLOCKED, mock_reach(late));

	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_attach_device_pasid(a, domain, &none->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, PASID));
}

/* The last device fails, and then one of the others cannot return to the old domain. */
static void failed_return_detaches(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, first->group);
	struct mock_device *last = mock_pasid_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *old = mock_paging_domain(test, first);
	struct iommu_domain *new = mock_paging_domain(test, first);
	struct iommu_attach_handle handle = {}, next = {};
	struct device *dev = &first->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	for (unsigned int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_device_pasid(a, old, dev,
								PASID,
								&handle));
		mock_fail_attach_after(i ? second : first, MOCK_PAGING, 1, 1);
		mock_fail_attach(last, MOCK_PAGING, 1);
		KUNIT_EXPECT_EQ(test, -EIO,
				iommu_owner_replace_device_pasid(a, new, dev,
								 PASID, &next));
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(first, PASID));
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(second, PASID));
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(last, PASID));
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
				    iommu_attach_handle_get(first->group,
							    PASID, 0));
		KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
		KUNIT_EXPECT_EQ(test, -EINVAL,
				iommu_owner_detach_device_pasid(a, old, dev,
								PASID));
	}

	/* As if it had never been attached */
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, new, dev, PASID,
							&next));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(last, PASID, new));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, dev));
}

static void limit_of_pasids(struct kunit *test)
{
	struct mock_device *first = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, first);
	struct mock_device *of_b = mock_pasid_device(test, NULL);
	const unsigned int before = iommu_owner_pasid_quota - 2;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &second->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(b, &of_b->dev));
	/* As if there were more devices, with more PASIDs */
	a->nr_pasids = before;
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &first->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &second->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			iommu_owner_attach_device_pasid(a, domain, &first->dev,
							PASID + 1, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
			mock_pasid_reach(first, PASID + 1));
	/* What there is has its error first; of another owner it is no matter */
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_attach_device_pasid(a, domain, &first->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(b, domain, &of_b->dev,
							PASID, NULL));

	/* Each way to detach counts */
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, &first->dev,
							PASID));
	KUNIT_EXPECT_EQ(test, before + 1, a->nr_pasids);
	mock_fail_attach(first, MOCK_PAGING, 1);
	KUNIT_EXPECT_EQ(test, -EIO,
			iommu_owner_attach_device_pasid(a, domain, &first->dev,
							PASID, NULL));
	KUNIT_EXPECT_EQ(test, before + 1, a->nr_pasids);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &first->dev,
							PASID + 1, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_device(a, &first->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, before, a->nr_pasids);
	a->nr_pasids = 0;
}

/* Operations by chance, and what they should have done */

#define RANDOM_OPERATIONS	100000
#define RANDOM_DOMAINS		3

/**
 * struct model - What there should be
 * @owner: The owner of both devices, which are a group.
 * @mdev: The devices.
 * @domain: What can be attached.
 * @has: What each PASID has, or NULL.
 * @handle: The handles, two for each PASID: one that is in use, and the next one.
 * @used: The one that is in use.
 */
struct model {
	struct iommu_owner *owner;
	struct mock_device *mdev[2];
	struct iommu_domain *domain[RANDOM_DOMAINS];
	struct iommu_domain *has[MOCK_PASIDS];
	struct iommu_attach_handle handle[MOCK_PASIDS][2];
	unsigned int used[MOCK_PASIDS];
};

static int model_attach(struct model *model, ioasid_t pasid,
			struct iommu_domain *domain, bool fails)
{
	int ret = fails ? -EIO : 0;

	if (pasid == IOMMU_NO_PASID)
		ret = -EINVAL;
	else if (model->has[pasid])
		ret = -EBUSY;
	if (!ret)
		model->has[pasid] = domain;
	return ret;
}

static int model_replace(struct model *model, ioasid_t pasid,
			 struct iommu_domain *domain, bool fails)
{
	if (pasid == IOMMU_NO_PASID || !model->has[pasid])
		return -EINVAL;
	if (model->has[pasid] == domain)
		fails = false;
	if (fails)
		return -EIO;
	model->has[pasid] = domain;
	model->used[pasid] ^= 1;
	return 0;
}

static int model_detach(struct model *model, ioasid_t pasid,
			struct iommu_domain *domain)
{
	if (!model->has[pasid] || model->has[pasid] != domain)
		return -EINVAL;
	model->has[pasid] = NULL;
	return 0;
}

static void model_step(struct kunit *test, struct model *model)
{
	struct iommu_domain *domain =
		model->domain[get_random_u32_below(RANDOM_DOMAINS)];
	ioasid_t pasid = get_random_u32_below(MOCK_PASIDS);
	struct iommu_attach_handle *handle = model->handle[pasid];
	struct device *dev = &model->mdev[get_random_u32_below(2)]->dev;
	bool fails = !get_random_u32_below(8);
	int expected, ret;

	mock_fail_attach(model->mdev[1], MOCK_PAGING, fails);
	switch (get_random_u32_below(3)) {
	case 0:
		expected = model_attach(model, pasid, domain, fails);
		ret = iommu_owner_attach_device_pasid(model->owner, domain, dev,
						      pasid,
						      &handle[model->used[pasid]]);
		break;
	case 1:
		handle = &handle[!model->used[pasid]];
		expected = model_replace(model, pasid, domain, fails);
		ret = iommu_owner_replace_device_pasid(model->owner, domain,
						       dev, pasid, handle);
		break;
	default:
		expected = model_detach(model, pasid, domain);
		ret = iommu_owner_detach_device_pasid(model->owner, domain, dev,
						      pasid);
	}
	KUNIT_ASSERT_EQ(test, expected, ret);
	mock_fail_attach(model->mdev[1], MOCK_PAGING, 0);
}

static void model_check(struct kunit *test, struct model *model)
{
	struct iommu_attach_handle *handle;
	unsigned int attached = 0;

	for (ioasid_t pasid = 1; pasid < MOCK_PASIDS; pasid++) {
		attached += !!model->has[pasid];
		for (unsigned int i = 0; i < ARRAY_SIZE(model->mdev); i++)
			KUNIT_ASSERT_TRUE(test,
					  mock_pasid_reaches(model->mdev[i],
							     pasid,
							     model->has[pasid]));
		handle = iommu_attach_handle_get(model->mdev[0]->group, pasid,
						 0);
		if (model->has[pasid])
			KUNIT_ASSERT_PTR_EQ(test, handle,
					    &model->handle[pasid][model->used[pasid]]);
		else
			KUNIT_ASSERT_PTR_EQ(test, handle, ERR_PTR(-ENOENT));
	}
	KUNIT_ASSERT_EQ(test, attached, model->owner->nr_pasids);
}

static void random_operations(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	struct mock_device *mdev;

	KUNIT_ASSERT_NOT_NULL(test, model);
	mdev = mock_pasid_device(test, NULL);
	model->owner = mock_owner(test, "a")->owner;
	model->mdev[0] = mdev;
	model->mdev[1] = mock_pasid_device(test, mdev->group);
	for (unsigned int i = 0; i < RANDOM_DOMAINS; i++)
		model->domain[i] = mock_paging_domain(test, mdev);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_device(model->owner, &mdev->dev));
	for (unsigned int i = 0; i < RANDOM_OPERATIONS; i++) {
		model_step(test, model);
		model_check(test, model);
		if (!(i % 1024))
			cond_resched();
	}
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_device(model->owner, &mdev->dev));
}

/* An attach while the ownership ends: in either order nothing is left. */

struct attacher {
	struct iommu_owner *owner;
	struct iommu_domain *domain;
	struct device *dev;
	unsigned int attached;
	int ret;
};

static void attach_until_refused(void *arg)
{
	struct attacher *attacher = arg;
	ioasid_t pasid = 1;
	int ret;

	do {
		ret = iommu_owner_attach_device_pasid(attacher->owner,
						      attacher->domain,
						      attacher->dev, pasid,
						      NULL);
		if (ret == -EBUSY)
			ret = iommu_owner_detach_device_pasid(attacher->owner,
							      attacher->domain,
							      attacher->dev,
							      pasid);
		else if (!ret)
			attacher->attached++;
		pasid = pasid % (MOCK_PASIDS - 1) + 1;
		mock_dawdle();
	} while (!ret);
	attacher->ret = ret;
}

static void end_races_with_attach(struct kunit *test)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct mock_device *mdev = mock_pasid_device(test, NULL);
		struct iommu_owner *a = mock_owner(test, "a")->owner;
		struct attacher attacher = {
			.owner = a,
			.domain = mock_paging_domain(test, mdev),
			.dev = &mdev->dev,
		};
		struct mock_thread *thread;

		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &mdev->dev));
		thread = mock_thread(test, attach_until_refused, &attacher);
		while (READ_ONCE(attacher.attached) < i)
			mock_dawdle();
		KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
		mock_thread_join(thread);
		KUNIT_EXPECT_EQ(test, -ESTALE, attacher.ret);
		for (ioasid_t pasid = 1; pasid < MOCK_PASIDS; pasid++)
			KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
					mock_pasid_reach(mdev, pasid));
		KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	}
}

static struct kunit_case device_pasid_cases[] = {
	KUNIT_CASE(replace_switches_pasid),
	KUNIT_CASE(replace_by_the_same_domain),
	KUNIT_CASE(replace_is_refused),
	KUNIT_CASE(failed_replace_keeps_old_domain),
	KUNIT_CASE(failed_attach_leaves_nothing),
	KUNIT_CASE(equal_numbers_do_not_meet),
	KUNIT_CASE(pasid_is_as_wide_as_the_device),
	KUNIT_CASE(device_without_pasids_is_skipped),
	KUNIT_CASE(what_cannot_be_blocked_is_not_attached),
	KUNIT_CASE(ended_owner_has_no_pasids),
	KUNIT_CASE(late_device_gets_pasids),
	KUNIT_CASE(late_device_without_room_is_blocked),
	KUNIT_CASE(late_device_lacks_pasids_of_kernel),
	KUNIT_CASE(blocked_device_has_no_pasids),
	KUNIT_CASE(failed_return_detaches),
	KUNIT_CASE(limit_of_pasids),
	KUNIT_CASE(random_operations),
	KUNIT_CASE(end_races_with_attach),
	{}
};

static struct kunit_suite device_pasid_suite = {
	.name = "iommu_owner_device_pasid",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = device_pasid_cases,
};

kunit_test_suite(device_pasid_suite);
