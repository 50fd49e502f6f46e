// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: revocation, and ends from several sides at the same time
 */
#include <linux/sched/signal.h>

#include "watcher.h"

/* Revocation */

static void revoke_takes_all_of_one_owner(struct kunit *test)
{
	struct mock_device *claimed = mock_device(test, NULL);
	struct mock_device *reserved = mock_device(test, NULL);
	struct mock_device *twice = mock_device(test, NULL);
	struct mock_device *others = mock_device(test, NULL);
	struct mock_device *unowned = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct iommu_group *group = claimed->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, reserved->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, twice->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, twice->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, others->group));

	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_REASON_REVOKED, w->end.reason);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(reserved->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(twice->group));
	KUNIT_EXPECT_STREQ(test, "IBI", twice->history);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(others->group));
	KUNIT_EXPECT_STREQ(test, "IB", others->history);
	KUNIT_EXPECT_STREQ(test, "I", unowned->history);

	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_claim_group(a, others->group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_claim_device(a, &claimed->dev));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_handover_device(a, &claimed->dev));
	KUNIT_EXPECT_STREQ(test, "IBI", claimed->history);
	KUNIT_EXPECT_TRUE(test, mock_viable(group));

	/* The second time there is nothing to do */
	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&w->ended));
	iommu_owner_unwatch(&w->watch);
}

/* Also when another owner has the group */
static void revoked_user_is_late(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	iommu_owner_revoke(a);

	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_detach_group(a, domain, group));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_attach_group(a, domain, group));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_attach_device_pasid(a, domain,
								&mdev->dev, 1,
								NULL));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_detach_device_pasid(a, domain,
								&mdev->dev, 1));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_quarantine_group(a, group));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_unreserve_group(a, group));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				iommu_owner_release_group(a, group));
		if (i)
			break;
		KUNIT_EXPECT_STREQ(test, "IBUBI", mdev->history);
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_group(b, domain, group));
	}
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));
	KUNIT_EXPECT_EQ(test, 1, mock_claims(group));
	KUNIT_EXPECT_STREQ(test, "IBUBIBU", mdev->history);
	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(b, group));
}

static void revoke_waits_for_ends_of_others(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct call call = { a, mdev->group };
	struct mock_thread *release, *revoke, *again;

	w->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	release = mock_thread(test, call_release, &call);
	wait_for_completion(&w->entered);
	revoke = mock_thread(test, call_revoke, &call);
	again = mock_thread(test, call_revoke, &call);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(revoke));
	KUNIT_EXPECT_FALSE(test, mock_thread_done(again));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	complete(&w->leave);
	mock_thread_join(revoke);
	mock_thread_join(again);
	mock_thread_join(release);
	KUNIT_EXPECT_EQ(test, 0, call.ret);
	expect_notified(test, w, 1, mdev->group, IOMMU_OWNER_REASON_RELEASED);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	iommu_owner_unwatch(&w->watch);
}

/* Passes: each one for all groups, before the next one */

#define GROUPS 4

struct passes {
	struct mock_device *mdev[GROUPS];
	struct watcher *device[GROUPS];
	struct iommu_owner *a;
	struct diary *diary;
};

static void all_are_blocked(struct watcher *w)
{
	struct passes *p = w->data;

	for (unsigned int i = 0; i < GROUPS; i++) {
		KUNIT_EXPECT_EQ(w->test, MOCK_BLOCKED, mock_reach(p->mdev[i]));
		KUNIT_EXPECT_EQ(w->test, IOMMU_OWNER_STATE_ENDING,
				mock_state(p->mdev[i]->group));
		KUNIT_EXPECT_EQ(w->test, 0, p->mdev[i]->quiesced);
	}
}

static void note_quiesce_pass(struct mock_device *mdev)
{
	diary_note(mdev->data, 'q');
}

static void passes_init(struct kunit *test, struct passes *p)
{
	p->a = mock_owner(test, "a")->owner;
	p->diary = diary_new(test);
	for (unsigned int i = 0; i < GROUPS; i++) {
		p->mdev[i] = mock_device(test, NULL);
		p->mdev[i]->on_quiesce = note_quiesce_pass;
		p->mdev[i]->data = p->diary;
		p->device[i] = watcher_new(test, 'd', IOMMU_OWNER_WATCH_DEVICE);
		p->device[i]->watch.group = p->mdev[i]->group;
		p->device[i]->diary = p->diary;
		p->device[i]->on_end = all_are_blocked;
		p->device[i]->data = p;
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_watch(p->a, &p->device[i]->watch));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(p->a, p->mdev[i]->group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_device_used(&p->mdev[i]->dev));
	}
}

static void passes_exit(struct passes *p)
{
	for (unsigned int i = 0; i < GROUPS; i++)
		iommu_owner_unwatch(&p->device[i]->watch);
}

/* Revoke in a thread, which is in shut() of the last watch when this returns. */
static struct mock_thread *passes_start(struct kunit *test, struct passes *p,
					struct call *call, void (*fn)(void *))
{
	struct mock_thread *revoke;

	passes_init(test, p);
	*call = (struct call) { p->a };
	for (unsigned int i = 0; i < GROUPS; i++)
		p->device[i]->drains = true;
	p->device[GROUPS - 1]->blocks = true;
	revoke = mock_thread(test, fn, call);
	wait_for_completion(&p->device[GROUPS - 1]->entered);
	return revoke;
}

static void each_pass_is_for_all_groups(struct kunit *test)
{
	struct passes p;
	struct watcher *cpu;

	passes_init(test, &p);
	cpu = watcher(test, p.a, IOMMU_OWNER_WATCH_CPU);
	cpu->diary = p.diary;
	cpu->on_end = all_are_blocked;
	cpu->data = &p;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(p.a));
	KUNIT_EXPECT_STREQ(test, "wwwwddddqqqq", p.diary->text);
	for (unsigned int i = 0; i < GROUPS; i++)
		KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(p.mdev[i]));
	iommu_owner_unwatch(&cpu->watch);
	passes_exit(&p);
}

static void expect_access(struct kunit *test, struct mock_device *mdev)
{
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE,
			mock_state(mdev->group));
	KUNIT_EXPECT_STREQ(test, "user space may still have access",
			   mock_quarantine(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mdev->quiesced);
}

/* Operations that do not return: one deadline, and the rest comes by itself. */
static void hung_users_share_one_deadline(struct kunit *test)
{
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	unsigned long start = jiffies;
	struct passes p;

	passes_init(test, &p);
	for (unsigned int i = 0; i < GROUPS; i++)
		p.device[i]->drains = true;
	/* One that returns at once is not kept waiting for by the others */
	p.device[1]->drains = false;
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, iommu_owner_revoke(p.a));
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + 9 * HZ));
	for (unsigned int i = 0; i < GROUPS; i++)
		if (i != 1)
			expect_access(test, p.mdev[i]);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
			mock_state(p.mdev[1]->group));

	/* Nobody gets such a group, nor is it declared safe */
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_claim_group(b, p.mdev[0]->group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_clear_quarantine(p.mdev[0]->group));

	mock_let_retry(test);
	for (unsigned int i = 0; i < GROUPS; i++) {
		iommu_owner_watch_drained(&p.device[i]->watch);
		iommu_owner_watch_drained(&p.device[i]->watch);
		iommu_owner_flush_retry(p.mdev[i]->group);
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
				mock_state(p.mdev[i]->group));
		KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(p.mdev[i]));
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&p.device[i]->ended));
	}
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(p.a));
	passes_exit(&p);
}

static void call_revoke_killable(void *arg)
{
	allow_signal(SIGKILL);
	call_revoke(arg);
	flush_signals(current);
}

/* The task that revokes need not wait; the rest comes by itself. */
static void killed_task_does_not_wait(struct kunit *test)
{
	struct mock_thread *revoke;
	struct passes p;
	struct call call;

	revoke = passes_start(test, &p, &call, call_revoke_killable);
	send_sig(SIGKILL, revoke->task, 1);
	complete(&p.device[GROUPS - 1]->leave);
	mock_thread_join(revoke);
	KUNIT_EXPECT_EQ(test, -EINTR, call.ret);
	for (unsigned int i = 0; i < GROUPS; i++)
		expect_access(test, p.mdev[i]);

	mock_let_retry(test);
	for (unsigned int i = 0; i < GROUPS; i++) {
		iommu_owner_watch_drained(&p.device[i]->watch);
		iommu_owner_flush_retry(p.mdev[i]->group);
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
				mock_state(p.mdev[i]->group));
	}
	passes_exit(&p);
}

static void revoke_waits_for_the_last_user(struct kunit *test)
{
	struct mock_thread *revoke;
	struct passes p;
	struct call call;

	revoke = passes_start(test, &p, &call, call_revoke);
	/* Before shut() has returned, and after it */
	iommu_owner_watch_drained(&p.device[GROUPS - 1]->watch);
	complete(&p.device[GROUPS - 1]->leave);
	for (unsigned int i = 0; i < GROUPS - 1; i++) {
		KUNIT_EXPECT_FALSE(test, mock_thread_done(revoke));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_ENDING,
				mock_state(p.mdev[i]->group));
		iommu_owner_watch_drained(&p.device[i]->watch);
	}
	mock_thread_join(revoke);
	KUNIT_EXPECT_EQ(test, 0, call.ret);
	for (unsigned int i = 0; i < GROUPS; i++)
		KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(p.mdev[i]));
	passes_exit(&p);
}

static void unwatch_is_the_last_of_a_user(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w = watcher_new(test, 'w', IOMMU_OWNER_WATCH_DEVICE);
	struct mock_thread *revoke;
	struct call call = { a };

	w->watch.group = mdev->group;
	w->drains = true;
	w->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(a, &w->watch));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	revoke = mock_thread(test, call_revoke, &call);
	wait_for_completion(&w->entered);
	complete(&w->leave);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(revoke));
	iommu_owner_unwatch(&w->watch);
	mock_thread_join(revoke);
	KUNIT_EXPECT_EQ(test, 0, call.ret);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void revoke_of_nothing(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct watcher *w = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);

	iommu_owner_revoke(a->owner);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_claim_group(a->owner, mdev->group));
	iommu_owner_unwatch(&w->watch);
	mock_owner_put(a);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
}

static void revoke_of_busy_device_quarantines(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	mock_fail_quiesce(mdev, -EIO, 1);
	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(mdev->group));
	KUNIT_EXPECT_STREQ(test, "IB", mdev->history);
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_release_group(a, mdev->group));
}

static void groups_are_found_in_order(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group;
	struct mock_device *mdev[4];
	int after = -1;

	for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++)
		mdev[i] = mock_device(test, NULL);
	/* Claimed from the last to the first, and not the third */
	for (int i = ARRAY_SIZE(mdev) - 1; i >= 0; i--)
		if (i != 2)
			KUNIT_ASSERT_EQ(test, 0,
					iommu_owner_claim_group(a, mdev[i]->group));
	for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++) {
		if (i == 2)
			continue;
		group = iommu_owner_next_group(a, after);
		KUNIT_ASSERT_PTR_EQ(test, mdev[i]->group, group);
		after = iommu_group_id(group);
		iommu_group_put(group);
	}
	KUNIT_EXPECT_NULL(test, iommu_owner_next_group(a, after));
	iommu_owner_revoke(a);
	KUNIT_EXPECT_NULL(test, iommu_owner_next_group(a, -1));
}

static struct kunit_case revoke_cases[] = {
	KUNIT_CASE(revoke_takes_all_of_one_owner),
	KUNIT_CASE(revoked_user_is_late),
	KUNIT_CASE(revoke_waits_for_ends_of_others),
	KUNIT_CASE(each_pass_is_for_all_groups),
	KUNIT_CASE(hung_users_share_one_deadline),
	KUNIT_CASE(killed_task_does_not_wait),
	KUNIT_CASE(revoke_waits_for_the_last_user),
	KUNIT_CASE(unwatch_is_the_last_of_a_user),
	KUNIT_CASE(revoke_of_nothing),
	KUNIT_CASE(revoke_of_busy_device_quarantines),
	KUNIT_CASE(groups_are_found_in_order),
	{}
};

static struct kunit_suite revoke_suite = {
	.name = "iommu_owner_revoke",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = revoke_cases,
};

/* All at the same time */

#define ROUNDS 200

/**
 * struct rush - What several tasks do to one owner
 * @owner: The owner.
 * @mdev: Its device.
 * @stop: Those without a number of rounds end.
 * @errors: Results that nobody should see.
 * @late: Callbacks after iommu_owner_unwatch().
 */
struct rush {
	struct iommu_owner *owner;
	struct mock_device *mdev;
	bool stop;
	atomic_t errors;
	atomic_t late;
};

static void dawdle_in_callback(struct watcher *w)
{
	mock_dawdle();
}

static void rush_release(void *arg)
{
	struct rush *rush = arg;
	int ret = iommu_owner_release_group(rush->owner, rush->mdev->group);

	if (ret && ret != -ESTALE)
		atomic_inc(&rush->errors);
}

static void rush_unreserve(void *arg)
{
	struct rush *rush = arg;
	int ret = iommu_owner_unreserve_group(rush->owner,
					      rush->mdev->group);

	if (ret && ret != -ESTALE)
		atomic_inc(&rush->errors);
}

static void rush_quarantine(void *arg)
{
	struct rush *rush = arg;
	int ret = iommu_owner_quarantine_group(rush->owner,
					       rush->mdev->group);

	if (ret && ret != -ESTALE)
		atomic_inc(&rush->errors);
}

static void rush_remove(void *arg)
{
	struct rush *rush = arg;

	mock_device_del(rush->mdev);
}

static void rush_revoke(void *arg)
{
	struct rush *rush = arg;

	iommu_owner_revoke(rush->owner);
	/* All is over, whichever task began it. */
	if (mock_state(rush->mdev->group) == IOMMU_OWNER_STATE_USER ||
	    mock_state(rush->mdev->group) == IOMMU_OWNER_STATE_RESERVED)
		atomic_inc(&rush->errors);
}

static void one_of_many_ends_it(struct kunit *test)
{
	static void (* const enders[])(void *arg) = {
		rush_release, rush_revoke, rush_remove, rush_unreserve,
		rush_quarantine, rush_revoke, rush_release,
	};
	unsigned int reasons[IOMMU_OWNER_REASON_REMOVED + 1] = {};
	struct mock_thread *threads[ARRAY_SIZE(enders)];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct mock_owner *a = mock_owner(test, "a");
		struct watcher *cpu, *device;
		struct rush rush = {
			.owner = a->owner,
			.mdev = mock_device(test, NULL),
		};
		struct iommu_group *group = rush.mdev->group;
		unsigned int n = 2 + round % (ARRAY_SIZE(enders) - 1);

		device = watcher(test, a->owner, IOMMU_OWNER_WATCH_DEVICE);
		cpu = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);
		cpu->on_end = dawdle_in_callback;
		device->on_end = dawdle_in_callback;
		cpu->group = group;
		device->group = group;
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(a->owner, group));
		if (round % 2)
			KUNIT_ASSERT_EQ(test, 0,
					iommu_owner_reserve_group(a->owner,
								  group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_device_used(&rush.mdev->dev));

		for (unsigned int i = 0; i < n; i++)
			threads[i] = mock_thread(test,
						 enders[(i + round) %
							ARRAY_SIZE(enders)],
						 &rush);
		for (unsigned int i = 0; i < n; i++)
			mock_thread_join(threads[i]);
		iommu_owner_revoke(a->owner);

		KUNIT_EXPECT_EQ(test, 0, atomic_read(&rush.errors));
		KUNIT_ASSERT_EQ(test, 1, atomic_read(&cpu->ended));
		KUNIT_ASSERT_EQ(test, 1, atomic_read(&device->ended));
		KUNIT_EXPECT_EQ(test, iommu_group_id(group), cpu->end.group);
		KUNIT_EXPECT_EQ(test, cpu->end.reason, device->end.reason);
		KUNIT_EXPECT_LE(test, rush.mdev->quiesced, 1);
		reasons[cpu->end.reason]++;

		iommu_owner_unwatch(&cpu->watch);
		iommu_owner_unwatch(&device->watch);
		mock_owner_put(a);
		KUNIT_EXPECT_TRUE(test, mock_released(a));
		mock_device_del(rush.mdev);
	}
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_REASON_RELEASED], 0);
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_REASON_REVOKED], 0);
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_REASON_REMOVED], 0);
}

/* Watch, wait a while, unwatch: then no callback is running or starts. */

struct passer_by {
	struct iommu_owner_watch watch;
	struct rush *rush;
	atomic_t inside;
	bool gone;
};

static int see_end_passing_by(struct iommu_owner_watch *watch,
			      const struct iommu_owner_end *end)
{
	struct passer_by *p = container_of(watch, struct passer_by, watch);

	atomic_inc(&p->inside);
	mock_dawdle();
	if (READ_ONCE(p->gone))
		atomic_inc(&p->rush->late);
	atomic_dec(&p->inside);
	return 0;
}

static void see_claim_passing_by(struct iommu_owner_watch *watch)
{
	see_end_passing_by(watch, NULL);
}

static const struct iommu_owner_watch_ops passer_by_ops = {
	.shut = see_end_passing_by,
	.claimed = see_claim_passing_by,
};

static void rush_pass_by(void *arg)
{
	struct rush *rush = arg;

	for (unsigned int i = 0; !READ_ONCE(rush->stop); i++) {
		struct passer_by p = {
			.watch = {
				.ops = &passer_by_ops,
				.class = i % 2 ? IOMMU_OWNER_WATCH_CPU :
						 IOMMU_OWNER_WATCH_DEVICE,
			},
			.rush = rush,
		};

		if (iommu_owner_watch(rush->owner, &p.watch))
			atomic_inc(&rush->errors);
		mock_dawdle();
		iommu_owner_unwatch(&p.watch);
		WRITE_ONCE(p.gone, true);
		if (atomic_read(&p.inside))
			atomic_inc(&rush->late);
		mock_dawdle();
	}
}

static void rush_claim_and_release(void *arg)
{
	struct call *call = arg;

	for (unsigned int i = 0; i < ROUNDS && !call->ret; i++) {
		call->ret = iommu_owner_claim_group(call->owner, call->group);
		mock_dawdle();
		if (!call->ret)
			call->ret = iommu_owner_release_group(call->owner,
							      call->group);
	}
}

static void watches_come_and_go_all_the_time(struct kunit *test)
{
	struct mock_thread *claimers[4], *passers[4];
	struct rush rush = { .owner = mock_owner(test, "a")->owner };
	struct watcher *stay = watcher(test, rush.owner, IOMMU_OWNER_WATCH_CPU);
	struct call calls[ARRAY_SIZE(claimers)];

	for (unsigned int i = 0; i < ARRAY_SIZE(passers); i++)
		passers[i] = mock_thread(test, rush_pass_by, &rush);
	for (unsigned int i = 0; i < ARRAY_SIZE(claimers); i++) {
		calls[i] = (struct call) {
			rush.owner, mock_device(test, NULL)->group,
		};
		claimers[i] = mock_thread(test, rush_claim_and_release,
					  &calls[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(claimers); i++) {
		mock_thread_join(claimers[i]);
		KUNIT_EXPECT_EQ(test, 0, calls[i].ret);
	}
	WRITE_ONCE(rush.stop, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(passers); i++)
		mock_thread_join(passers[i]);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&rush.errors));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&rush.late));
	/* The one that stays has missed none, and none was called twice. */
	KUNIT_EXPECT_EQ(test, ROUNDS * ARRAY_SIZE(claimers),
			atomic_read(&stay->ended));
	KUNIT_EXPECT_EQ(test, ROUNDS * ARRAY_SIZE(claimers),
			atomic_read(&stay->claimed));
	iommu_owner_unwatch(&stay->watch);
}

/* Nothing slips past a revocation: what was claimed before it has ended. */
static void rush_claim_until_revoked(void *arg)
{
	struct call *call = arg;

	do {
		call->ret = iommu_owner_claim_group(call->owner, call->group);
		mock_dawdle();
	} while (!call->ret);
}

static void no_claim_slips_past_a_revocation(struct kunit *test)
{
	struct mock_device *mdev[4];
	struct mock_thread *threads[ARRAY_SIZE(mdev)];
	struct call calls[ARRAY_SIZE(mdev)];

	for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++)
		mdev[i] = mock_device(test, NULL);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct mock_owner *a = mock_owner(test, "a");

		for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++) {
			calls[i] = (struct call) { a->owner, mdev[i]->group };
			threads[i] = mock_thread(test, rush_claim_until_revoked,
						 &calls[i]);
		}
		mock_dawdle();
		iommu_owner_revoke(a->owner);
		for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++)
			KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
					mock_state(mdev[i]->group));
		for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++) {
			mock_thread_join(threads[i]);
			if (calls[i].ret != -EBUSY)
				KUNIT_EXPECT_EQ(test, -ESTALE, calls[i].ret);
		}
		mock_owner_put(a);
		KUNIT_EXPECT_TRUE(test, mock_released(a));
	}
}

static struct kunit_case rush_cases[] = {
	KUNIT_CASE(one_of_many_ends_it),
	KUNIT_CASE(watches_come_and_go_all_the_time),
	KUNIT_CASE(no_claim_slips_past_a_revocation),
	{}
};

static struct kunit_suite rush_suite = {
	.name = "iommu_owner_watch_race",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = rush_cases,
};

kunit_test_suites(&revoke_suite, &rush_suite);
