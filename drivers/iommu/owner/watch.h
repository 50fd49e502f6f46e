/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_WATCH_H
#define __IOMMU_OWNER_WATCH_H

#include "owner.h"

u64 iommu_owner_last_watch(struct iommu_owner *owner);
void iommu_owner_shut_group(struct iommu_owner *owner,
			    struct iommu_group *group,
			    enum iommu_owner_watch_class class,
			    enum iommu_owner_reason reason, u64 last);
bool iommu_owner_draining(struct iommu_owner *owner);
void iommu_owner_notify_claim(struct iommu_owner *owner,
			      const struct iommu_group *group);

#endif /* __IOMMU_OWNER_WATCH_H */
