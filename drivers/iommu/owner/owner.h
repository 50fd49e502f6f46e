/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_OWNER_H
#define __IOMMU_OWNER_OWNER_H

#include <linux/iommu-owner.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../iommu-priv.h"

/**
 * struct iommu_owner - The party that has a group
 * @ref: References: one per holder of a pointer, one per group that is owned.
 * @kind: IOMMU_OWNER_PRIVATE or IOMMU_OWNER_USER.
 * @name: Name for reports.
 * @ops: Callbacks, may be NULL.
 * @lock: Protects the fields below. Inside the mutex of a group.
 * @groups: The &struct iommu_ownership of its groups, but those that end.
 * @watches: Who is told of ends, by class.
 * @watched: Number of watches that have ever come.
 * @wait: For a watch whose callback runs, and for @ending.
 * @ending: Number of ownerships that have begun to end, but not ended.
 * @revoked: Nothing can be claimed any more.
 */
struct iommu_owner {
	refcount_t ref;
	enum iommu_owner_kind kind;
	const char *name;
	const struct iommu_owner_ops *ops;
	spinlock_t lock;
	struct list_head groups;
	struct list_head watches;
	u64 watched;
	wait_queue_head_t wait;
	unsigned int ending;
	bool revoked;
};

/* core.c */
enum iommu_owner_kind iommu_owner_group_kind(struct iommu_group *group);
const char *iommu_owner_group_holder(struct iommu_group *group);
struct group_device *iommu_owner_find_device(struct iommu_group *group,
					     struct device *dev);
void iommu_owner_changed(struct iommu_group *group);
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev);

/* quiet.c */
struct group_device *iommu_owner_used_device(struct iommu_group *group);
void iommu_owner_forget_use(struct iommu_group *group);
const char *iommu_owner_quiet_group(struct iommu_group *group,
				    struct device *locked);
void iommu_owner_retry_quiet(struct iommu_group *group, struct device *locked);
#if IS_ENABLED(CONFIG_KUNIT)
int iommu_owner_quiet(struct device *dev, bool locked);
#endif

/* reprobe.c */
void iommu_owner_reprobe(struct iommu_group *group);

/* watch.c */
int iommu_owner_block_dma(struct iommu_group *group);
void iommu_owner_begin_end(struct iommu_owner_section *section,
			   enum iommu_owner_reason reason);
void iommu_owner_finish(struct iommu_owner_section *section);
void iommu_owner_tell_claim(struct iommu_owner *owner,
			    const struct iommu_group *group);
struct iommu_group *iommu_owner_next_group(struct iommu_owner *owner,
					   int after);

/* report.c */
void iommu_owner_report_claim(struct iommu_group *group);
void iommu_owner_report_release(struct iommu_group *group,
				struct iommu_owner *owner);
void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who);
void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev);
void iommu_owner_report_kind(struct iommu_group *group,
			     enum iommu_owner_kind kind);
#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_uevents(void);
#endif

#endif /* __IOMMU_OWNER_OWNER_H */
