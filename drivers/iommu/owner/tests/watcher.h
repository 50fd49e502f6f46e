/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches that remember their calls, for the KUnit tests */
#ifndef __IOMMU_OWNER_TESTS_WATCHER_H
#define __IOMMU_OWNER_TESTS_WATCHER_H

#include <linux/spinlock.h>

#include "mock.h"

#define DIARY 32

/* What has happened, one letter each, in order */
struct diary {
	spinlock_t lock;	/* for all below */
	char text[DIARY];
	unsigned int length;
};

/**
 * struct watcher - A watch and its calls
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
 * @drains: shut() returns before the user has gone.
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
	bool drains;
};

/* For mock_thread() */
struct call {
	struct iommu_owner *owner;
	struct iommu_group *group;
	int ret;
};

void call_release(void *arg);
void call_revoke(void *arg);
void call_unwatch(void *arg);

struct diary *diary_new(struct kunit *test);
void diary_note(struct diary *diary, char letter);

struct watcher *watcher_new(struct kunit *test, char letter,
			    enum iommu_owner_watch_class class);
struct watcher *watcher(struct kunit *test, struct iommu_owner *owner,
			enum iommu_owner_watch_class class);
void expect_notified(struct kunit *test, struct watcher *w, unsigned int times,
		     struct iommu_group *group, enum iommu_owner_reason reason);

#endif /* __IOMMU_OWNER_TESTS_WATCHER_H */
