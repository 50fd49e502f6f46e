/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_TRUST_H
#define __IOMMU_OWNER_TRUST_H

#include "view.h"

/**
 * enum iommu_owner_trust - How far a device is trusted with DMA
 * @IOMMU_OWNER_TRUST_FULL: As without this.
 * @IOMMU_OWNER_TRUST_RESTRICTED: A driver of the kernel gets a domain that translates
 *	and invalidates at once, buffers that share a page are bounced, and there is no
 *	ATS and no PASID. DMA is blocked as long as no driver is bound.
 * @IOMMU_OWNER_TRUST_RESERVED: For user space: DMA is blocked as long as nobody owns
 *	the group, and drivers that use the DMA API are refused.
 * @IOMMU_OWNER_TRUST_BLOCKED: DMA is blocked, no driver is bound, and nobody can own
 *	the group.
 *
 * In this order, the least trusted device is the one that its group is trusted as.
 */
enum iommu_owner_trust {
	IOMMU_OWNER_TRUST_FULL,
	IOMMU_OWNER_TRUST_RESTRICTED,
	IOMMU_OWNER_TRUST_RESERVED,
	IOMMU_OWNER_TRUST_BLOCKED,
};

/* The view of a device, which trust depends on; the mutex of its group is held */

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

/* trust_param.c */
int iommu_owner_trust_parse(const char *name);
const char *iommu_owner_trust_name(enum iommu_owner_trust trust);
enum iommu_owner_trust iommu_owner_trust_found(struct device *dev);
#if IS_ENABLED(CONFIG_KUNIT)
bool iommu_owner_trust_param(const char *param, struct device *dev,
			     enum iommu_owner_trust *trust);
#endif

/* trust.c */
int iommu_owner_set_trust(struct iommu_group *group,
			  enum iommu_owner_trust trust);
enum iommu_owner_trust iommu_owner_group_trust(struct iommu_group *group);
int iommu_owner_trust_may_change(struct iommu_group *group, const char *what);
bool iommu_owner_trust_bounces(struct iommu_group *group);

#endif /* __IOMMU_OWNER_TRUST_H */
