/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_OWNER_H
#define __IOMMU_OWNER_OWNER_H

#include <linux/iommu-owner.h>
#include <linux/refcount.h>

#include "../iommu-priv.h"

/**
 * struct iommu_owner - The party that has a group
 * @ref: References: one per holder of a pointer, one per group that is owned.
 * @kind: IOMMU_OWNER_PRIVATE or IOMMU_OWNER_USER.
 * @name: Name for reports.
 * @ops: Callbacks, may be NULL.
 *
 * Immutable but for @ref. What an owner has is stored in the groups.
 */
struct iommu_owner {
	refcount_t ref;
	enum iommu_owner_kind kind;
	const char *name;
	const struct iommu_owner_ops *ops;
};

/* core.c */
enum iommu_owner_kind iommu_owner_group_kind(struct iommu_group *group);
const char *iommu_owner_group_holder(struct iommu_group *group);
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev);

/* report.c */
void iommu_owner_report_claim(struct iommu_group *group);
void iommu_owner_report_release(struct iommu_group *group,
				struct iommu_owner *owner);
void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who);
void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev);
void iommu_owner_report_kind(struct iommu_group *group,
			     enum iommu_owner_kind kind, u64 generation);

#endif /* __IOMMU_OWNER_OWNER_H */
