/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_ISOLATION_H
#define __IOMMU_OWNER_ISOLATION_H

#include <linux/security.h>

#include "owner.h"

#define IOMMU_OWNER_ISO_NAMES	96	/* bytes that the names of all bits need */

void iommu_owner_isolation_names(u32 bits, char *buf, size_t size);
const char *iommu_owner_isolation_needs(u32 missing);
u32 iommu_owner_domain_bits(const struct iommu_domain *domain);
u32 iommu_owner_device_bits(struct device *dev);
u32 iommu_owner_group_bits(struct iommu_group *group);
void iommu_owner_isolation_of(struct iommu_group *group,
			      struct iommu_owner_isolation_report *report);
bool iommu_owner_locked_down(enum lockdown_reason what);
bool iommu_owner_ats_trusted(struct device *dev);
#if IS_ENABLED(CONFIG_KUNIT)
extern bool iommu_owner_trust_ats;
u32 iommu_owner_bus_bits(struct device *dev);
bool iommu_owner_may_need_lease(struct iommu_group *group);
#endif

#endif /* __IOMMU_OWNER_ISOLATION_H */
