/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_REPORT_H
#define __IOMMU_OWNER_REPORT_H

#include "owner.h"

#define IOMMU_OWNER_DESCRIPTION	128	/* bytes that a description needs */

void iommu_owner_report_claim(struct iommu_group *group);
void iommu_owner_report_release(struct iommu_group *group,
				struct iommu_owner *owner);
void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who);
void iommu_owner_report_not_isolated(struct iommu_group *group,
				     struct iommu_owner *owner, u32 missing);
void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev);
void iommu_owner_report_quarantine(struct iommu_group *group);
void iommu_owner_describe(struct iommu_group *group, char *buf, size_t size);

#endif /* __IOMMU_OWNER_REPORT_H */
