// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: uevents
 */
#include <linux/kobject.h>

#include "mock.h"

#define UEVENTS 16

/* What goes out, as the kset of the groups sees it */
struct uevents {
	struct kset *kset;
	const struct kset_uevent_ops *saved;
	struct iommu_group *group;
	unsigned int count;
	char state[UEVENTS][16];
	u64 generation[UEVENTS];
	bool blocks;
	struct completion entered;
	struct completion leave;
};

static struct uevents *uevents;

static void parse_uevent(const struct kobj_uevent_env *env)
{
	static const char state[] = "IOMMU_OWNER_STATE=";
	static const char generation[] = "IOMMU_OWNER_GENERATION=";
	unsigned int n = uevents->count++;
	unsigned int known = 0;

	if (n >= UEVENTS)
		return;
	for (int i = 0; i < env->envp_idx; i++) {
		const char *line = env->envp[i];
		size_t len;

		known += !strcmp(line, "ACTION=change");
		known += !strcmp(line, "SUBSYSTEM=iommu_groups");
		len = str_has_prefix(line, state);
		if (len)
			known += strscpy(uevents->state[n], line + len) > 0;
		len = str_has_prefix(line, generation);
		if (len)
			known += !kstrtou64(line + len, 10,
					    &uevents->generation[n]);
	}
	if (known != 4)
		strscpy(uevents->state[n], "incomplete");
}

static int see_uevent(const struct kobject *kobj, struct kobj_uevent_env *env)
{
	if (&uevents->group->kobj != kobj)
		return 0;
	parse_uevent(env);
	if (uevents->blocks) {
		uevents->blocks = false;
		complete(&uevents->entered);
		wait_for_completion(&uevents->leave);
	}
	return 0;
}

static const struct kset_uevent_ops see_uevent_ops = {
	.uevent = see_uevent,
};

static void stop_uevents(void *unused)
{
	iommu_owner_flush_uevent(uevents->group);
	uevents->kset->uevent_ops = uevents->saved;
	/* The devices of the test, and their references, have gone before */
	iommu_group_put(uevents->group);
}

static void see_uevents(struct kunit *test, struct iommu_group *group)
{
	iommu_owner_flush_uevent(group);
	uevents = kunit_kzalloc(test, sizeof(*uevents), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, uevents);
	init_completion(&uevents->entered);
	init_completion(&uevents->leave);
	uevents->group = iommu_group_ref_get(group);
	uevents->kset = group->kobj.kset;
	uevents->saved = uevents->kset->uevent_ops;
	uevents->kset->uevent_ops = &see_uevent_ops;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, stop_uevents, NULL));
}

/*
 * The last state sent since the last call, after @most changes: one pending event
 * stands for all of them. None at all if @most is 0.
 */
static void expect_uevents(struct kunit *test, unsigned int most,
			   enum iommu_owner_state state)
{
	u64 generation = 0;

	iommu_owner_flush_uevent(uevents->group);
	KUNIT_EXPECT_LE(test, uevents->count, most);
	if (most)
		KUNIT_EXPECT_GE(test, uevents->count, 1);
	for (unsigned int i = 0; i < min(most, uevents->count); i++) {
		KUNIT_EXPECT_GT(test, uevents->generation[i], generation);
		generation = uevents->generation[i];
	}
	if (most && uevents->count)
		KUNIT_EXPECT_STREQ(test, iommu_owner_state_name(state),
				   uevents->state[uevents->count - 1]);
	KUNIT_EXPECT_GE(test, mock_generation(uevents->group), generation);
	uevents->count = 0;
}

static void change_of_state_is_sent(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	see_uevents(test, group);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	expect_uevents(test, 0, 0);
	iommu_attach_group(domain, group);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_PRIVATE);
	iommu_detach_group(domain, group);
	mock_unbind(mdev);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_KERNEL);

	iommu_owner_claim_group(a, group);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_USER);
	iommu_owner_claim_group(a, group);
	iommu_owner_claim_group(b, group);
	iommu_owner_attach_group(a, domain, group);
	iommu_owner_reserve_group(a, group);
	iommu_owner_release_group(a, group);
	expect_uevents(test, 0, 0);
	iommu_owner_release_group(a, group);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_RESERVED);
	iommu_owner_unreserve_group(a, group);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_KERNEL);

	iommu_owner_reserve_group(a, group);
	iommu_owner_quarantine_group(a, group);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_QUARANTINE);
	iommu_owner_clear_quarantine(group);
	iommu_owner_claim_group(a, group);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_USER);
	iommu_owner_revoke(a);
	expect_uevents(test, 1, IOMMU_OWNER_STATE_KERNEL);

	iommu_owner_claim_group(b, group);
	mock_device_del(mdev);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_KERNEL);
}

/* While one event is being sent, one is pending, however many changes there are. */
static void events_do_not_pile_up(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	see_uevents(test, group);
	uevents->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	wait_for_completion(&uevents->entered);
	for (unsigned int i = 0; i < 100; i++) {
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	}
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	complete(&uevents->leave);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_KERNEL);
}

static int clear_meanwhile(struct iommu_owner_watch *watch,
			   const struct iommu_owner_end *end)
{
	iommu_owner_claim_group(watch->owner, uevents->group);
	iommu_owner_clear_quarantine(uevents->group);
	iommu_owner_release_group(watch->owner, uevents->group);
	return 0;
}

/* Others come and go while the mutex of the group is dropped */
static void no_change_is_sent_twice(struct kunit *test)
{
	static const struct iommu_owner_watch_ops ops = {
		.shut = clear_meanwhile,
	};
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner_watch watch = { .ops = &ops };

	see_uevents(test, mdev->group);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(a, &watch));
	iommu_owner_claim_group(a, mdev->group);
	iommu_owner_release_group(a, mdev->group);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_KERNEL);

	iommu_owner_claim_group(a, mdev->group);
	iommu_owner_quarantine_group(a, mdev->group);
	iommu_owner_clear_quarantine(mdev->group);
	expect_uevents(test, 3, IOMMU_OWNER_STATE_KERNEL);
	iommu_owner_unwatch(&watch);

	iommu_owner_claim_group(a, mdev->group);
	iommu_owner_device_used(&mdev->dev);
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	iommu_owner_release_group(a, mdev->group);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_QUARANTINE);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	expect_uevents(test, 1, IOMMU_OWNER_STATE_KERNEL);
}

static void remove_meanwhile(struct mock_device *mdev)
{
	mock_device_del(mdev);
}

/* The first to see a change reports it. */
static void change_by_another_is_sent_once(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	see_uevents(test, group);
	iommu_owner_claim_group(a, group);
	iommu_owner_device_used(&mdev->dev);
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	iommu_owner_release_group(a, group);
	expect_uevents(test, 2, IOMMU_OWNER_STATE_QUARANTINE);
	mdev->on_quiesce = remove_meanwhile;
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_claim_group(a, group));
	expect_uevents(test, 1, IOMMU_OWNER_STATE_KERNEL);
}

/* An event keeps the group, whatever becomes of it. */
static void uevent_outlives_the_devices(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");

	iommu_owner_claim_group(a->owner, mdev->group);
	mock_device_del(mdev);
	iommu_owner_flush_uevent(mdev->group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
}

static struct kunit_case uevent_cases[] = {
	KUNIT_CASE(change_of_state_is_sent),
	KUNIT_CASE(events_do_not_pile_up),
	KUNIT_CASE(no_change_is_sent_twice),
	KUNIT_CASE(change_by_another_is_sent_once),
	KUNIT_CASE(uevent_outlives_the_devices),
	{}
};

static struct kunit_suite uevent_suite = {
	.name = "iommu_owner_uevent",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = uevent_cases,
};

kunit_test_suite(uevent_suite);
