/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_LEASE_H
#define __IOMMU_OWNER_LEASE_H

#include "owner.h"

#if IS_ENABLED(CONFIG_KUNIT)
bool iommu_owner_locked_down(void);
#endif

#endif /* __IOMMU_OWNER_LEASE_H */
