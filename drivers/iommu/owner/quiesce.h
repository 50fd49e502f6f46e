/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_QUIESCE_H
#define __IOMMU_OWNER_QUIESCE_H

#include "owner.h"

#define IOMMU_OWNER_NOT_RESET	1	/* of iommu_owner_quiesce(), see there */

int iommu_owner_quiesce(struct device *dev, bool locked);
bool iommu_owner_is_remembered(struct device *dev);
void iommu_owner_update_quiesced(struct group_device *gdev, int ret);
#if IS_ENABLED(CONFIG_KUNIT)
unsigned long iommu_owner_quiesce_address(struct device *dev);
#endif

#endif /* __IOMMU_OWNER_QUIESCE_H */
