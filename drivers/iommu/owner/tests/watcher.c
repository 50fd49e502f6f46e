// SPDX-License-Identifier: GPL-2.0-only
/* Watches that remember their calls, for the KUnit tests */

#include "watcher.h"

void diary_note(struct diary *diary, char letter)
{
	if (!diary)
		return;
	guard(spinlock)(&diary->lock);
	if (diary->length < DIARY - 1)
		diary->text[diary->length++] = letter;
}

static int see_end(struct iommu_owner_watch *watch,
		   const struct iommu_owner_end *end)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	atomic_inc(&w->ended);
	w->end = *end;
	diary_note(w->diary, w->letter);
	if (w->group && mock_group_is_locked(w->group))
		w->locked = true;
	if (w->on_end)
		w->on_end(w);
	if (w->blocks) {
		w->blocks = false;
		complete(&w->entered);
		wait_for_completion(&w->leave);
	}
	return w->drains ? -EINPROGRESS : 0;
}

static void see_claim(struct iommu_owner_watch *watch)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	atomic_inc(&w->claimed);
	if (w->group && mock_group_is_locked(w->group))
		w->locked = true;
}

static const struct iommu_owner_watch_ops watch_ops = {
	.shut = see_end,
	.claimed = see_claim,
};

struct watcher *watcher_new(struct kunit *test, char letter,
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
struct watcher *watcher(struct kunit *test, struct iommu_owner *owner,
			enum iommu_owner_watch_class class)
{
	struct watcher *w = watcher_new(test, 'w', class);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(owner, &w->watch));
	return w;
}

struct diary *diary_new(struct kunit *test)
{
	struct diary *diary = kunit_kzalloc(test, sizeof(*diary), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, diary);
	spin_lock_init(&diary->lock);
	return diary;
}

void expect_notified(struct kunit *test, struct watcher *w, unsigned int times,
		     struct iommu_group *group, enum iommu_owner_reason reason)
{
	KUNIT_EXPECT_EQ(test, times, atomic_read(&w->ended));
	KUNIT_EXPECT_EQ(test, iommu_group_id(group), w->end.group);
	KUNIT_EXPECT_EQ(test, reason, w->end.reason);
	KUNIT_EXPECT_FALSE(test, w->locked);
}

/* For threads */

void call_release(void *arg)
{
	struct call *call = arg;

	call->ret = iommu_owner_release_group(call->owner, call->group);
}

void call_revoke(void *arg)
{
	struct call *call = arg;

	call->ret = iommu_owner_revoke(call->owner);
}

void call_unwatch(void *arg)
{
	iommu_owner_unwatch(arg);
}
