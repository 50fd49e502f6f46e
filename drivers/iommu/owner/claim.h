/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_CLAIM_H
#define __IOMMU_OWNER_CLAIM_H

#include "owner.h"

int iommu_owner_reserve(struct iommu_owner *owner, struct iommu_group *group,
			bool may_take);
int iommu_owner_unreserve(struct iommu_owner_teardown *teardown,
			  struct iommu_group *group);

#endif /* __IOMMU_OWNER_CLAIM_H */
