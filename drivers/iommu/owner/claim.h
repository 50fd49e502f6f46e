/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_CLAIM_H
#define __IOMMU_OWNER_CLAIM_H

#include "owner.h"

int iommu_owner_reserve(struct iommu_owner *owner, struct iommu_group *group,
			bool may_acquire);
int iommu_owner_unreserve(struct iommu_owner_teardown *teardown,
			  struct iommu_group *group);
#if IS_ENABLED(CONFIG_KUNIT)
int iommu_owner_quarantine_group(struct iommu_owner *owner,
				 struct iommu_group *group);
#endif

#endif /* __IOMMU_OWNER_CLAIM_H */
