// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the end of an ownership, who is notified of it, and virtual machines
 */
#include "watcher.h"

/* Order */

static void cpu_comes_before_device(struct kunit *test)
{
	static const struct {
		char letter;
		enum iommu_owner_watch_class class;
	} order[] = {
		{ 'd', IOMMU_OWNER_WATCH_DEVICE },
		{ 'c', IOMMU_OWNER_WATCH_CPU },
		{ 'e', IOMMU_OWNER_WATCH_DEVICE },
		{ 'b', IOMMU_OWNER_WATCH_CPU },
		{ 'f', IOMMU_OWNER_WATCH_DEVICE },
	};
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w[ARRAY_SIZE(order)];
	struct diary *diary = diary_new(test);

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		w[i] = watcher_new(test, order[i].letter, order[i].class);
		w[i]->diary = diary;
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(a, &w[i]->watch));
	}
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_STREQ(test, "cbdef", diary->text);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		iommu_owner_unwatch(&w[i]->watch);
}

/* Who wants something of a group while its ownership ends */
struct meanwhile {
	struct mock_device *first;
	struct mock_device *second;
	struct mock_device *late;
	struct mock_driver *nic;
	struct iommu_domain *domain;
	struct iommu_owner *a;
	struct iommu_owner *b;
	struct diary *diary;
};

static void nothing_works_for_the_owner(struct kunit *test,
					struct meanwhile *m)
{
	struct iommu_group *group = m->first->group;
	struct device *dev = &m->first->dev;

	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(m->a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_reserve_group(m->a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(m->a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_unreserve_group(m->a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_quarantine_group(m->a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_group(m->a, m->domain, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_group(m->a, m->domain, group));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_device(m->a, m->domain, dev));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_device(m->a, m->domain, dev));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_attach_device_pasid(m->a, m->domain, dev, 2,
							NULL));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_detach_device_pasid(m->a, m->domain, dev,
							1));
}

static void nothing_works_for_others(struct kunit *test, struct meanwhile *m)
{
	struct iommu_group *group = m->first->group;

	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(m->b, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_reserve_group(m->b, group));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_release_group(m->b, group));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_quarantine_group(m->b, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_group(m->domain, group));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(m->nic, m->second));
	KUNIT_EXPECT_FALSE(test, mock_viable(group));
}

static void look_around(struct watcher *w)
{
	struct meanwhile *m = w->data;

	KUNIT_EXPECT_EQ(w->test, MOCK_BLOCKED, mock_reach(m->first));
	KUNIT_EXPECT_EQ(w->test, MOCK_BLOCKED, mock_reach(m->second));
	KUNIT_EXPECT_EQ(w->test, MOCK_NOTHING, mock_pasid_reach(m->first, 1));
	KUNIT_EXPECT_EQ(w->test, 0, m->first->quiesced);
	nothing_works_for_the_owner(w->test, m);
	nothing_works_for_others(w->test, m);
	if (!m->late)
		m->late = mock_device(w->test, m->first->group);
	KUNIT_EXPECT_STREQ(w->test, "B", m->late->history);
}

static void note_quiesce(struct mock_device *mdev)
{
	struct kunit *test = kunit_get_current_test();
	struct meanwhile *m = mdev->data;

	diary_note(m->diary, 'q');
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(m->first));
	nothing_works_for_the_owner(test, m);
	nothing_works_for_others(test, m);
}

static void nothing_starts_while_it_ends(struct kunit *test)
{
	struct meanwhile m = {
		.first = mock_pasid_device(test, NULL),
		.nic = mock_driver(test, "mock_nic", false),
		.a = mock_owner(test, "a")->owner,
		.b = mock_owner(test, "b")->owner,
		.diary = diary_new(test),
	};
	struct iommu_group *group = m.first->group;
	struct watcher *cpu, *device;

	m.second = mock_device(test, group);
	m.domain = mock_paging_domain(test, m.first);
	device = watcher(test, m.a, IOMMU_OWNER_WATCH_DEVICE);
	cpu = watcher(test, m.a, IOMMU_OWNER_WATCH_CPU);
	cpu->group = group;
	device->group = group;
	cpu->diary = m.diary;
	device->diary = m.diary;
	cpu->on_end = look_around;
	device->on_end = look_around;
	cpu->data = &m;
	device->data = &m;
	m.first->on_quiesce = note_quiesce;
	m.first->data = &m;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(m.a, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(m.a, m.domain, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(m.a, m.domain,
							&m.first->dev, 1,
							NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&m.first->dev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(m.a, group));
	expect_notified(test, cpu, 1, group, IOMMU_OWNER_REASON_RELEASED);
	expect_notified(test, device, 1, group, IOMMU_OWNER_REASON_RELEASED);
	KUNIT_EXPECT_STREQ(test, "wwq", m.diary->text);
	KUNIT_EXPECT_STREQ(test, "IBUBI", m.first->history);
	KUNIT_EXPECT_STREQ(test, "BI", m.late->history);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(m.nic, m.second));

	iommu_owner_unwatch(&cpu->watch);
	iommu_owner_unwatch(&device->watch);
}

/* Exactly once */

enum way {
	RELEASE,
	UNRESERVE,
	QUARANTINE,
	REVOKE,
	REMOVE,
};

static void end_by(struct kunit *test, enum way way, struct iommu_owner *owner,
		   struct mock_device *mdev)
{
	switch (way) {
	case RELEASE:
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_release_group(owner, mdev->group));
		return;
	case UNRESERVE:
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_unreserve_group(owner,
							    mdev->group));
		return;
	case QUARANTINE:
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_quarantine_group(owner,
							     mdev->group));
		return;
	case REVOKE:
		iommu_owner_revoke(owner);
		return;
	case REMOVE:
		mock_device_del(mdev);
		return;
	}
}

static void each_way_is_notified_once(struct kunit *test)
{
	static const enum iommu_owner_reason reasons[] = {
		[RELEASE] = IOMMU_OWNER_REASON_RELEASED,
		[UNRESERVE] = IOMMU_OWNER_REASON_RELEASED,
		[QUARANTINE] = IOMMU_OWNER_REASON_REVOKED,
		[REVOKE] = IOMMU_OWNER_REASON_REVOKED,
		[REMOVE] = IOMMU_OWNER_REASON_REMOVED,
	};

	for (enum way way = 0; way < ARRAY_SIZE(reasons); way++) {
		struct mock_device *mdev = mock_device(test, NULL);
		struct mock_owner *a = mock_owner(test, "a");
		struct iommu_group *group = mdev->group;
		struct watcher *cpu, *device;

		cpu = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);
		device = watcher(test, a->owner, IOMMU_OWNER_WATCH_DEVICE);
		cpu->group = group;
		device->group = group;
		if (way != UNRESERVE)
			KUNIT_ASSERT_EQ(test, 0,
					iommu_owner_claim_group(a->owner,
								group));
		if (way != RELEASE)
			KUNIT_ASSERT_EQ(test, 0,
					iommu_owner_reserve_group(a->owner,
								  group));
		end_by(test, way, a->owner, mdev);
		expect_notified(test, cpu, 1, group, reasons[way]);
		expect_notified(test, device, 1, group, reasons[way]);

		/* and never again */
		iommu_owner_revoke(a->owner);
		mock_device_del(mdev);
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&cpu->ended));
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&device->ended));

		iommu_owner_unwatch(&cpu->watch);
		iommu_owner_unwatch(&device->watch);
		mock_owner_put(a);
		KUNIT_EXPECT_TRUE(test, mock_released(a));
	}
}

static void only_the_end_is_notified(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *other = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_release_group(b, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, other->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(b, other->group));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&w->ended));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, group));
	expect_notified(test, w, 1, group, IOMMU_OWNER_REASON_RELEASED);
	iommu_owner_unwatch(&w->watch);
}

static void each_group_is_notified(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct mock_device *mdev[3];

	for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++) {
		mdev[i] = mock_device(test, NULL);
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(a, mdev[i]->group));
	}
	end_by(test, RELEASE, a, mdev[1]);
	expect_notified(test, w, 1, mdev[1]->group, IOMMU_OWNER_REASON_RELEASED);
	end_by(test, REMOVE, a, mdev[2]);
	expect_notified(test, w, 2, mdev[2]->group, IOMMU_OWNER_REASON_REMOVED);
	end_by(test, REVOKE, a, mdev[0]);
	expect_notified(test, w, 3, mdev[0]->group, IOMMU_OWNER_REASON_REVOKED);
	iommu_owner_unwatch(&w->watch);
}

static int note_end(struct iommu_owner_watch *watch,
		    const struct iommu_owner_end *end)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	atomic_inc(&w->ended);
	return 0;
}

static const struct iommu_owner_watch_ops end_only_ops = {
	.shut = note_end,
};

static void claims_are_notified(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *other = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct watcher *deaf = watcher_new(test, 'w', IOMMU_OWNER_WATCH_CPU);

	w->group = mdev->group;
	deaf->watch.ops = &end_only_ops;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(a, &deaf->watch));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&w->claimed));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &mdev->dev));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&w->claimed));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_handover_device(a, &other->dev));
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&w->claimed));
	KUNIT_EXPECT_FALSE(test, w->locked);

	/* No claim of this owner */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, other->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(b, other->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, other->group));
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&w->claimed));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&deaf->claimed));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&deaf->ended));

	iommu_owner_unwatch(&w->watch);
	iommu_owner_unwatch(&deaf->watch);
}

/* Watches that come and go */

static void watch_is_for_what_comes(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct watcher *early = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);
	struct watcher *late;

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(a->owner, mdev->group));
	iommu_owner_unwatch(&early->watch);
	iommu_owner_unwatch(&early->watch);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_release_group(a->owner, mdev->group));
	late = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&early->ended));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&late->ended));

	/* A watch keeps the owner */
	mock_owner_put(a);
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	iommu_owner_unwatch(&late->watch);
	KUNIT_EXPECT_TRUE(test, mock_released(a));

	/* A watch that was never taken */
	iommu_owner_unwatch(&watcher_new(test, 'w', IOMMU_OWNER_WATCH_CPU)->watch);
}

static void unwatch_the_others(struct watcher *w)
{
	struct watcher **others = w->data;

	for (; *others; others++)
		iommu_owner_unwatch(&(*others)->watch);
}

static void watch_may_go_in_a_callback(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *first = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct watcher *next = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct watcher *last = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct watcher *others[] = { first, next, NULL };

	w->on_end = unwatch_the_others;
	w->data = others;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&first->ended));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&next->ended));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&last->ended));
	iommu_owner_unwatch(&w->watch);
	iommu_owner_unwatch(&last->watch);
}

static void unwatch_waits_for_the_callback(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *other = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct watcher *last = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct call call = { a, mdev->group };
	struct mock_thread *release, *unwatch;

	w->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, other->group));
	release = mock_thread(test, call_release, &call);
	wait_for_completion(&w->entered);
	unwatch = mock_thread(test, call_unwatch, &w->watch);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(unwatch));

	/* No callback starts while it waits. */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, other->group));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&last->ended));
	KUNIT_EXPECT_FALSE(test, mock_thread_done(unwatch));

	complete(&w->leave);
	mock_thread_join(unwatch);
	mock_thread_join(release);
	KUNIT_EXPECT_EQ(test, 0, call.ret);
	KUNIT_EXPECT_NULL(test, w->watch.owner);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&last->ended));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&w->ended));
	iommu_owner_unwatch(&last->watch);
}

static void slow_watch_holds_up_its_end_only(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *other = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *w = watcher(test, a, IOMMU_OWNER_WATCH_CPU);
	struct watcher *last = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);
	struct call call = { a, mdev->group };
	struct mock_thread *release;

	w->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, other->group));
	release = mock_thread(test, call_release, &call);
	wait_for_completion(&w->entered);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&last->ended));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, other->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(other));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&w->ended));
	expect_notified(test, last, 1, other->group, IOMMU_OWNER_REASON_RELEASED);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(release));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	complete(&w->leave);
	mock_thread_join(release);
	expect_notified(test, last, 2, mdev->group, IOMMU_OWNER_REASON_RELEASED);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	iommu_owner_unwatch(&w->watch);
	iommu_owner_unwatch(&last->watch);
}

/* The group may lose its devices, or get new ones, while watches are notified. */
static void devices_go_while_it_ends(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct watcher *w = watcher(test, a->owner, IOMMU_OWNER_WATCH_CPU);
	struct call call = { a->owner, mdev->group };
	struct mock_thread *release;
	struct mock_device *again;

	w->blocks = true;
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(a->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	release = mock_thread(test, call_release, &call);
	wait_for_completion(&w->entered);
	mock_device_del(mdev);
	again = mock_device(test, mdev->group);
	complete(&w->leave);
	mock_thread_join(release);

	KUNIT_EXPECT_EQ(test, 0, call.ret);
	expect_notified(test, w, 1, mdev->group, IOMMU_OWNER_REASON_RELEASED);
	KUNIT_EXPECT_EQ(test, 0, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(again));
	iommu_owner_unwatch(&w->watch);
	mock_owner_put(a);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
}

static struct kunit_case watch_cases[] = {
	KUNIT_CASE(cpu_comes_before_device),
	KUNIT_CASE(nothing_starts_while_it_ends),
	KUNIT_CASE(each_way_is_notified_once),
	KUNIT_CASE(only_the_end_is_notified),
	KUNIT_CASE(each_group_is_notified),
	KUNIT_CASE(claims_are_notified),
	KUNIT_CASE(watch_is_for_what_comes),
	KUNIT_CASE(watch_may_go_in_a_callback),
	KUNIT_CASE(unwatch_waits_for_the_callback),
	KUNIT_CASE(slow_watch_holds_up_its_end_only),
	KUNIT_CASE(devices_go_while_it_ends),
	{}
};

static struct kunit_suite watch_suite = {
	.name = "iommu_owner_watch",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = watch_cases,
};

/* Virtual machines: only the address of one counts */

static struct watcher *vm_watcher(struct kunit *test, unsigned long kvm)
{
	struct iommu_owner_vm *vm = kunit_kzalloc(test, sizeof(*vm),
						  GFP_KERNEL);
	struct watcher *w = watcher_new(test, 'v', IOMMU_OWNER_WATCH_CPU);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm->kvm = (struct kvm *)kvm;
	w->watch.vm = vm;
	return w;
}

static void explicit_owner_belongs_to_one_vm(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *same = vm_watcher(test, 1);
	struct watcher *two = vm_watcher(test, 2);
	struct watcher *none = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);

	a->explicit = true;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &one->watch));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &same->watch));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_watch(a, &two->watch));
	KUNIT_EXPECT_NULL(test, two->watch.owner);

	/* Another owner is another matter. */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(b, &two->watch));
	iommu_owner_unwatch(&two->watch);

	iommu_owner_unwatch(&one->watch);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_watch(a, &two->watch));
	iommu_owner_unwatch(&same->watch);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &two->watch));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_watch(a, &one->watch));
	iommu_owner_unwatch(&two->watch);
	iommu_owner_unwatch(&none->watch);
}

static void other_owners_may_have_several_vms(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *two = vm_watcher(test, 2);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &one->watch));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &two->watch));
	iommu_owner_unwatch(&one->watch);
	iommu_owner_unwatch(&two->watch);
}

static void vm_that_leaves_is_in_nobodys_way(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *two = vm_watcher(test, 2);
	struct call call = { a, mdev->group };
	struct mock_thread *release, *unwatch;

	a->explicit = true;
	one->blocks = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(a, &one->watch));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	release = mock_thread(test, call_release, &call);
	wait_for_completion(&one->entered);
	unwatch = mock_thread(test, call_unwatch, &one->watch);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(unwatch));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(a, &two->watch));
	complete(&one->leave);
	mock_thread_join(unwatch);
	mock_thread_join(release);
	iommu_owner_unwatch(&two->watch);
}

static void revoked_owner_belongs_to_no_vm(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *w = watcher_new(test, 'w', IOMMU_OWNER_WATCH_DEVICE);

	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_watch(a, &one->watch));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_watch(a, &w->watch));
	KUNIT_EXPECT_NULL(test, one->watch.owner);
}

static struct kunit_case vm_cases[] = {
	KUNIT_CASE(explicit_owner_belongs_to_one_vm),
	KUNIT_CASE(other_owners_may_have_several_vms),
	KUNIT_CASE(vm_that_leaves_is_in_nobodys_way),
	KUNIT_CASE(revoked_owner_belongs_to_no_vm),
	{}
};

static struct kunit_suite vm_suite = {
	.name = "iommu_owner_vm",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = vm_cases,
};

kunit_test_suites(&watch_suite, &vm_suite);
