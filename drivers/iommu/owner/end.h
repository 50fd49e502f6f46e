/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_END_H
#define __IOMMU_OWNER_END_H

#include "owner.h"

void iommu_owner_init_teardown(struct iommu_owner_teardown *teardown,
			       struct iommu_owner *owner,
			       enum iommu_owner_reason reason);
int iommu_owner_block_dma(struct iommu_group *group);
void iommu_owner_unlink(struct iommu_group *group);
void iommu_owner_block_group(struct iommu_owner_teardown *teardown,
			     struct iommu_group *group);

#endif /* __IOMMU_OWNER_END_H */
