// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: thousands of groups
 */
#include <linux/ktime.h>

#include "mock.h"

#define GROUPS			2000
#define DEVICES_PER_GROUP	2
/* For all groups together, on a slow machine that emulates a slow one */
#define LIMIT_MS		20000

static struct iommu_group **groups_new(struct kunit *test)
{
	struct iommu_group **groups;

	groups = kunit_kcalloc(test, GROUPS, sizeof(*groups), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, groups);
	for (unsigned int i = 0; i < GROUPS; i++) {
		groups[i] = mock_device(test, NULL)->group;
		for (unsigned int j = 1; j < DEVICES_PER_GROUP; j++)
			mock_device(test, groups[i]);
	}
	return groups;
}

static unsigned int count_state(struct iommu_group **groups,
				enum iommu_owner_state state)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < GROUPS; i++)
		count += mock_state(groups[i]) == state;
	return count;
}

static s64 claim_all(struct kunit *test, struct iommu_group **groups,
		     struct iommu_owner *owner)
{
	ktime_t start = ktime_get();
	unsigned int failed = 0;

	for (unsigned int i = 0; i < GROUPS; i++)
		failed += !!iommu_owner_claim_group(owner, groups[i]);
	KUNIT_EXPECT_EQ(test, 0, failed);
	return ktime_ms_delta(ktime_get(), start);
}

static s64 release_all(struct kunit *test, struct iommu_group **groups,
		       struct iommu_owner *owner)
{
	ktime_t start = ktime_get();
	unsigned int failed = 0;

	for (unsigned int i = 0; i < GROUPS; i++)
		failed += !!iommu_owner_release_group(owner, groups[i]);
	KUNIT_EXPECT_EQ(test, 0, failed);
	return ktime_ms_delta(ktime_get(), start);
}

static void one_owner_has_all_groups(struct kunit *test)
{
	struct iommu_group **groups = groups_new(test);
	struct mock_owner *a = mock_owner(test, "a");
	unsigned int refs = refcount_read(&a->owner->ref);
	struct mock *mock = test->priv;
	struct mock_device *mdev;
	unsigned int blocked = 0;
	s64 claim_ms, release_ms;

	claim_ms = claim_all(test, groups, a->owner);
	KUNIT_EXPECT_EQ(test, GROUPS, count_state(groups, IOMMU_OWNER_STATE_USER));
	KUNIT_EXPECT_EQ(test, refs + GROUPS, refcount_read(&a->owner->ref));
	list_for_each_entry(mdev, &mock->devices, list)
		blocked += mock_reach(mdev) == MOCK_BLOCKED;
	KUNIT_EXPECT_EQ(test, GROUPS * DEVICES_PER_GROUP, blocked);

	release_ms = release_all(test, groups, a->owner);
	KUNIT_EXPECT_EQ(test, GROUPS, count_state(groups, IOMMU_OWNER_STATE_KERNEL));
	KUNIT_EXPECT_EQ(test, refs, refcount_read(&a->owner->ref));
	/* One default and one blocking domain per group, not one per claim */
	KUNIT_EXPECT_EQ(test, 2 * GROUPS, mock_live_domains());

	kunit_info(test, "%u groups: claim %lld ms, release %lld ms\n", GROUPS,
		   claim_ms, release_ms);
	KUNIT_EXPECT_LT(test, claim_ms, LIMIT_MS);
	KUNIT_EXPECT_LT(test, release_ms, LIMIT_MS);
}

static void owner_goes_with_its_devices(struct kunit *test)
{
	struct iommu_group **groups = groups_new(test);
	struct mock_owner *a = mock_owner(test, "a");
	struct mock *mock = test->priv;
	struct mock_device *mdev;

	claim_all(test, groups, a->owner);
	mock_owner_put(a);
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	list_for_each_entry(mdev, &mock->devices, list)
		mock_device_del(mdev);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, 0, mock_live_domains());
}

static void revoke_takes_all_groups(struct kunit *test)
{
	struct iommu_group **groups = groups_new(test);
	struct mock_owner *a = mock_owner(test, "a");
	unsigned int refs = refcount_read(&a->owner->ref);
	ktime_t start;
	s64 ms;

	claim_all(test, groups, a->owner);
	start = ktime_get();
	iommu_owner_revoke(a->owner);
	ms = ktime_ms_delta(ktime_get(), start);
	KUNIT_EXPECT_EQ(test, GROUPS, count_state(groups, IOMMU_OWNER_STATE_KERNEL));
	KUNIT_EXPECT_EQ(test, refs, refcount_read(&a->owner->ref));
	kunit_info(test, "%u groups: revoke %lld ms\n", GROUPS, ms);
	KUNIT_EXPECT_LT(test, ms, LIMIT_MS);
}

static struct kunit_case scale_cases[] = {
	KUNIT_CASE_SLOW(one_owner_has_all_groups),
	KUNIT_CASE_SLOW(owner_goes_with_its_devices),
	KUNIT_CASE_SLOW(revoke_takes_all_groups),
	{}
};

static struct kunit_suite scale_suite = {
	.name = "iommu_owner_scale",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = scale_cases,
};

kunit_test_suite(scale_suite);
