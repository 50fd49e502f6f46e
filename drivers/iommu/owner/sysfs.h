/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_SYSFS_H
#define __IOMMU_OWNER_SYSFS_H

#include "owner.h"

#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_uevent(struct iommu_group *group);
#endif

#endif /* __IOMMU_OWNER_SYSFS_H */
