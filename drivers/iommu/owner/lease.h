/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_LEASE_H
#define __IOMMU_OWNER_LEASE_H

#include <linux/rwsem.h>

#include "owner.h"

struct pci_dev;

extern struct rw_semaphore iommu_owner_acs_lock;

bool iommu_owner_lease_refuses_unlocked(struct iommu_group *group, u32 bits,
					const char *what);

#if IS_ENABLED(CONFIG_KUNIT)
struct pci_dev *iommu_owner_acs_next(struct pci_dev *port,
				     struct pci_dev *from);
#endif

#endif /* __IOMMU_OWNER_LEASE_H */
