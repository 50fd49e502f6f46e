/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_VIEW_H
#define __IOMMU_OWNER_VIEW_H

#include <linux/cleanup.h>
#include <linux/iommu-view.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#include "owner.h"

/**
 * struct iommu_view - The view of a device, unless it is SHARED and stays so
 * @ref: One as long as the device, or its TSM, has this view, one of @work, and those of
 *	tasks that look at it.
 * @rcu: Frees it.
 * @dev: The device, with a reference, also one of runtime PM: without power, it is lost.
 * @group: Its group, with a reference.
 * @state: The view. This, @changing and @generation are protected by the mutex of the
 *	group, and also read without it.
 * @changing: A TSM is at it.
 * @left: The device has left its group.
 * @generation: Of the evidence; no other evidence ever has the same.
 * @tsm: Who has locked it. Changed with the lock of the device held.
 * @node: Entry in the views of @tsm.
 * @work: Ends what uses the device when the view is lost.
 */
struct iommu_view {
	refcount_t ref;
	struct rcu_head rcu;
	struct device *dev;
	struct iommu_group *group;
	enum iommu_view_state state;
	bool changing;
	bool left;
	u64 generation;
	struct iommu_view_tsm *tsm;
	struct list_head node;
	struct work_struct work;
};

/* view.c */
struct iommu_view *iommu_view_get(struct device *dev);
void iommu_view_put(struct iommu_view *view);
DEFINE_FREE(view, struct iommu_view *, iommu_view_put(_T))
int iommu_view_add_tsm(struct iommu_view_tsm *tsm);
void iommu_view_remove_tsm(struct iommu_view_tsm *tsm);
bool iommu_view_is_handled(struct device *dev);
int iommu_view_lock(struct device *dev, const char *name);
int iommu_view_accept(struct device *dev, u64 generation);
int iommu_view_unlock(struct device *dev, const char *name);
ssize_t iommu_view_evidence(struct device *dev,
			    enum iommu_owner_evidence_kind kind, u64 *generation,
			    u64 offset, void *buf, size_t length, u64 *total);
#if IS_ENABLED(CONFIG_KUNIT)
int iommu_view_bus_master(struct device *dev);
bool iommu_view_tables_are_shared(struct device *dev);
#endif

#endif /* __IOMMU_OWNER_VIEW_H */
