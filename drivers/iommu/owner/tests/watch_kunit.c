// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the end of an ownership, who is told of it, and revocation
 */
#include <linux/delay.h>

#include "mock.h"

#define DIARY 32

/* What has happened, one letter each, in order */
struct diary {
	spinlock_t lock;
	char text[DIARY];
	unsigned int length;
};

/**
 * struct watcher - A watch and what it was told
 * @watch: The watch.
 * @test: For expectations in the callbacks.
 * @letter: Of this watch, for @diary.
 * @diary: Optional.
 * @ended: Number of ends.
 * @claimed: Number of claims.
 * @end: The last end.
 * @group: A group whose mutex nobody holds in the callbacks. Optional.
 * @locked: Its mutex was held.
 * @on_end: What the test does in ended(). Optional.
 * @data: For @on_end.
 * @entered: ended() has been called.
 * @leave: ended() may return, if @blocks.
 * @blocks: The first ended() waits.
 */
struct watcher {
	struct iommu_owner_watch watch;
	struct kunit *test;
	char letter;
	struct diary *diary;
	atomic_t ended;
	atomic_t claimed;
	struct iommu_owner_end end;
	struct iommu_group *group;
	bool locked;
	void (*on_end)(struct watcher *watcher);
	void *data;
	struct completion entered;
	struct completion leave;
	bool blocks;
};

static void note(struct diary *diary, char letter)
{
	if (!diary)
		return;
	guard(spinlock)(&diary->lock);
	if (diary->length < DIARY - 1)
		diary->text[diary->length++] = letter;
}

static void see_end(struct iommu_owner_watch *watch,
		    const struct iommu_owner_end *end)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	atomic_inc(&w->ended);
	w->end = *end;
	note(w->diary, w->letter);
	if (w->group && mutex_is_locked(&w->group->mutex))
		w->locked = true;
	if (w->on_end)
		w->on_end(w);
	if (w->blocks) {
		w->blocks = false;
		complete(&w->entered);
		wait_for_completion(&w->leave);
	}
}

static void see_claim(struct iommu_owner_watch *watch)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	atomic_inc(&w->claimed);
	if (w->group && mutex_is_locked(&w->group->mutex))
		w->locked = true;
}

static const struct iommu_owner_watch_ops watch_ops = {
	.ended = see_end,
	.claimed = see_claim,
};

static const struct iommu_owner_watch_ops end_only_ops = {
	.ended = see_end,
};

static struct watcher *watcher_new(struct kunit *test, char letter,
				   enum iommu_owner_watch_class class)
{
	struct watcher *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->test = test;
	w->letter = letter;
	w->watch.ops = &watch_ops;
	w->watch.class = class;
	init_completion(&w->entered);
	init_completion(&w->leave);
	return w;
}

/* A watch; the test takes it away. */
static struct watcher *watcher(struct kunit *test, struct iommu_owner *owner,
			       enum iommu_owner_watch_class class)
{
	struct watcher *w = watcher_new(test, 'w', class);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(owner, &w->watch));
	return w;
}

static struct diary *diary_new(struct kunit *test)
{
	struct diary *diary = kunit_kzalloc(test, sizeof(*diary), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, diary);
	spin_lock_init(&diary->lock);
	return diary;
}

static void expect_told(struct kunit *test, struct watcher *w,
			unsigned int times, struct iommu_group *group,
			enum iommu_owner_reason reason)
{
	KUNIT_EXPECT_EQ(test, times, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, iommu_group_id(group), w->end.group);
	KUNIT_EXPECT_EQ(test, reason, w->end.reason);
	KUNIT_EXPECT_FALSE(test, w->locked);
}

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
	KUNIT_EXPECT_EQ(w->test, 0, m->first->quieted);
	nothing_works_for_the_owner(w->test, m);
	nothing_works_for_others(w->test, m);
	if (!m->late)
		m->late = mock_device(w->test, m->first->group);
	KUNIT_EXPECT_STREQ(w->test, "B", m->late->history);
}

static void note_quiet(struct mock_device *mdev)
{
	struct kunit *test = kunit_get_current_test();
	struct meanwhile *m = mdev->data;

	note(m->diary, 'q');
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
	m.first->on_quiet = note_quiet;
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
	expect_told(test, cpu, 1, group, IOMMU_OWNER_RELEASED);
	expect_told(test, device, 1, group, IOMMU_OWNER_RELEASED);
	KUNIT_EXPECT_STREQ(test, "wwq", m.diary->text);
	KUNIT_EXPECT_STREQ(test, "IBUBI", m.first->history);
	KUNIT_EXPECT_STREQ(test, "BI", m.late->history);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(group));
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

static void each_way_is_told_once(struct kunit *test)
{
	static const enum iommu_owner_reason reasons[] = {
		[RELEASE] = IOMMU_OWNER_RELEASED,
		[UNRESERVE] = IOMMU_OWNER_RELEASED,
		[QUARANTINE] = IOMMU_OWNER_RELEASED,
		[REVOKE] = IOMMU_OWNER_REVOKED,
		[REMOVE] = IOMMU_OWNER_REMOVED,
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
		expect_told(test, cpu, 1, group, reasons[way]);
		expect_told(test, device, 1, group, reasons[way]);

		/* and never again */
		iommu_owner_revoke(a->owner);
		mock_device_del(mdev);
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&cpu->ended));
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&device->ended));

		iommu_owner_unwatch(&cpu->watch);
		iommu_owner_unwatch(&device->watch);
		mock_owner_put(a);
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));
	}
}

static void only_the_end_is_told(struct kunit *test)
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
	expect_told(test, w, 1, group, IOMMU_OWNER_RELEASED);
	iommu_owner_unwatch(&w->watch);
}

static void each_group_is_told(struct kunit *test)
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
	expect_told(test, w, 1, mdev[1]->group, IOMMU_OWNER_RELEASED);
	end_by(test, REMOVE, a, mdev[2]);
	expect_told(test, w, 2, mdev[2]->group, IOMMU_OWNER_REMOVED);
	end_by(test, REVOKE, a, mdev[0]);
	expect_told(test, w, 3, mdev[0]->group, IOMMU_OWNER_REVOKED);
	iommu_owner_unwatch(&w->watch);
}

static void claims_are_told(struct kunit *test)
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
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&a->released));
	iommu_owner_unwatch(&late->watch);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));

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

struct call {
	struct iommu_owner *owner;
	struct iommu_group *group;
	int ret;
};

static void call_release(void *arg)
{
	struct call *call = arg;

	call->ret = iommu_owner_release_group(call->owner, call->group);
}

static void call_revoke(void *arg)
{
	struct call *call = arg;

	iommu_owner_revoke(call->owner);
}

static void call_unwatch(void *arg)
{
	iommu_owner_unwatch(arg);
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
	expect_told(test, last, 1, other->group, IOMMU_OWNER_RELEASED);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(release));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	complete(&w->leave);
	mock_thread_join(release);
	expect_told(test, last, 2, mdev->group, IOMMU_OWNER_RELEASED);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	iommu_owner_unwatch(&w->watch);
	iommu_owner_unwatch(&last->watch);
}

/* The group may lose its devices, or get new ones, while watches are told. */
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
	expect_told(test, w, 1, mdev->group, IOMMU_OWNER_RELEASED);
	KUNIT_EXPECT_EQ(test, 0, mdev->quieted);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(again));
	iommu_owner_unwatch(&w->watch);
	mock_owner_put(a);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));
}

static struct kunit_case watch_cases[] = {
	KUNIT_CASE(cpu_comes_before_device),
	KUNIT_CASE(nothing_starts_while_it_ends),
	KUNIT_CASE(each_way_is_told_once),
	KUNIT_CASE(only_the_end_is_told),
	KUNIT_CASE(each_group_is_told),
	KUNIT_CASE(claims_are_told),
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

static void owner_belongs_to_one_vm(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *same = vm_watcher(test, 1);
	struct watcher *two = vm_watcher(test, 2);
	struct watcher *none = watcher(test, a, IOMMU_OWNER_WATCH_DEVICE);

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

static void vm_that_leaves_is_in_nobodys_way(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct watcher *one = vm_watcher(test, 1);
	struct watcher *two = vm_watcher(test, 2);
	struct call call = { a, mdev->group };
	struct mock_thread *release, *unwatch;

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
	KUNIT_CASE(owner_belongs_to_one_vm),
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
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_REVOKED, w->end.reason);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(reserved->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(twice->group));
	KUNIT_EXPECT_STREQ(test, "IBI", twice->history);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_USER, mock_kind(others->group));
	KUNIT_EXPECT_STREQ(test, "IB", others->history);
	KUNIT_EXPECT_STREQ(test, "I", unowned->history);

	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_claim_group(a, group));
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
		int late = i ? -EACCES : -ESTALE;

		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_detach_group(a, domain, group));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_attach_group(a, domain, group));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_attach_device_pasid(a, domain,
								&mdev->dev, 1,
								NULL));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_detach_device_pasid(a, domain,
								&mdev->dev, 1));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_quarantine_group(a, group));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_unreserve_group(a, group));
		KUNIT_EXPECT_EQ(test, late,
				iommu_owner_release_group(a, group));
		if (i)
			break;
		KUNIT_EXPECT_STREQ(test, "IBUBI", mdev->history);
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL, mock_kind(group));
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_group(b, domain, group));
	}
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_USER, mock_kind(group));
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
	expect_told(test, w, 1, mdev->group, IOMMU_OWNER_RELEASED);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	iommu_owner_unwatch(&w->watch);
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
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));
}

static void revoke_of_busy_device_quarantines(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	mock_fail_quiet(mdev, -EIO, 1);
	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_QUARANTINE, mock_kind(mdev->group));
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

static void dawdle(unsigned int n)
{
	if (n % 4)
		cond_resched();
	else
		usleep_range(10, 30);
}

static void dawdle_in_callback(struct watcher *w)
{
	dawdle(atomic_read(&w->ended) + iommu_group_id(w->group));
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
	/* All is over, whoever began it. */
	if (mock_kind(rush->mdev->group) == IOMMU_OWNER_USER ||
	    mock_kind(rush->mdev->group) == IOMMU_OWNER_RESERVED)
		atomic_inc(&rush->errors);
}

static void one_of_many_ends_it(struct kunit *test)
{
	static void (* const enders[])(void *arg) = {
		rush_release, rush_revoke, rush_remove, rush_unreserve,
		rush_quarantine, rush_revoke, rush_release,
	};
	unsigned int reasons[IOMMU_OWNER_REMOVED + 1] = {};
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
		KUNIT_EXPECT_LE(test, rush.mdev->quieted, 1);
		reasons[cpu->end.reason]++;

		iommu_owner_unwatch(&cpu->watch);
		iommu_owner_unwatch(&device->watch);
		mock_owner_put(a);
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));
		mock_device_del(rush.mdev);
	}
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_RELEASED], 0);
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_REVOKED], 0);
	KUNIT_EXPECT_GT(test, reasons[IOMMU_OWNER_REMOVED], 0);
}

/* Watch, wait a while, unwatch: then no callback is running or starts. */

struct passer_by {
	struct iommu_owner_watch watch;
	struct rush *rush;
	atomic_t inside;
	bool gone;
};

static void see_end_passing_by(struct iommu_owner_watch *watch,
			       const struct iommu_owner_end *end)
{
	struct passer_by *p = container_of(watch, struct passer_by, watch);

	atomic_inc(&p->inside);
	dawdle(end->group);
	if (READ_ONCE(p->gone))
		atomic_inc(&p->rush->late);
	atomic_dec(&p->inside);
}

static void see_claim_passing_by(struct iommu_owner_watch *watch)
{
	see_end_passing_by(watch, &(struct iommu_owner_end) {});
}

static const struct iommu_owner_watch_ops passer_by_ops = {
	.ended = see_end_passing_by,
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
		dawdle(i);
		iommu_owner_unwatch(&p.watch);
		WRITE_ONCE(p.gone, true);
		if (atomic_read(&p.inside))
			atomic_inc(&rush->late);
		dawdle(i + 1);
	}
}

static void rush_claim_and_release(void *arg)
{
	struct call *call = arg;

	for (unsigned int i = 0; i < ROUNDS && !call->ret; i++) {
		call->ret = iommu_owner_claim_group(call->owner, call->group);
		dawdle(i);
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
	/* The one that stays has missed none, and none was told twice. */
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
	unsigned int i = 0;

	do {
		call->ret = iommu_owner_claim_group(call->owner, call->group);
		dawdle(i++);
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
		dawdle(round);
		iommu_owner_revoke(a->owner);
		for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++)
			KUNIT_EXPECT_EQ(test, IOMMU_OWNER_KERNEL,
					mock_kind(mdev[i]->group));
		for (unsigned int i = 0; i < ARRAY_SIZE(mdev); i++) {
			mock_thread_join(threads[i]);
			KUNIT_EXPECT_TRUE(test, calls[i].ret == -ESTALE ||
						calls[i].ret == -EBUSY);
		}
		mock_owner_put(a);
		KUNIT_EXPECT_EQ(test, 1, atomic_read(&a->released));
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

kunit_test_suites(&watch_suite, &vm_suite, &revoke_suite, &rush_suite);
