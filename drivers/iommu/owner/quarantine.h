/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_QUARANTINE_H
#define __IOMMU_OWNER_QUARANTINE_H

#include "owner.h"

void iommu_owner_quiesce_group(struct iommu_group *group);
void iommu_owner_return_group(struct iommu_group *group);
void iommu_owner_undo_group(struct iommu_group *group);
void iommu_owner_queue_retry(struct iommu_group *group);
void __iommu_owner_retry(struct iommu_group *group, struct device *locked);
#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_queue_retry_in(struct iommu_group *group, unsigned long delay);
void iommu_owner_flush_retry(struct iommu_group *group);
#endif

/*
 * End the quarantine of @group if its reason has gone, for a caller that wants the
 * group. @locked is a device whose lock the caller has, or NULL. The mutex is
 * dropped meanwhile; the caller checks the group afterwards.
 */
static inline void iommu_owner_retry(struct iommu_group *group,
				     struct device *locked)
{
	if (unlikely(group->ownership.quarantine || group->ownership.quiescer))
		__iommu_owner_retry(group, locked);
}

#endif /* __IOMMU_OWNER_QUARANTINE_H */
