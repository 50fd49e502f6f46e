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

static inline enum iommu_view_state iommu_view_of(struct device *dev)
{
	if (!IS_ENABLED(CONFIG_IOMMU_OWNER_VIEW) || !dev->iommu ||
	    !dev->iommu->view)
		return IOMMU_VIEW_SHARED;
	return dev->iommu->view->state;
}

static inline bool iommu_view_is_changing(struct device *dev)
{
	return IS_ENABLED(CONFIG_IOMMU_OWNER_VIEW) && dev->iommu &&
	       dev->iommu->view && dev->iommu->view->changing;
}

/* Is the view none with which @dev may do DMA? */
static inline bool iommu_view_blocks(struct device *dev)
{
	return iommu_view_is_changing(dev) ||
	       iommu_view_of(dev) == IOMMU_VIEW_LOCKED ||
	       iommu_view_of(dev) == IOMMU_VIEW_ERROR;
}

/* view.c */
struct iommu_view *iommu_view_get(struct device *dev);
void iommu_view_put(struct iommu_view *view);
DEFINE_FREE(view, struct iommu_view *, if (_T) iommu_view_put(_T))
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
