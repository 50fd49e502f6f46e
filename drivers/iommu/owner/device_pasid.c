// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many PASIDs an owner has: those that it has attached on its devices, and its
 * numbers of the system-wide space, see pasid.c
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/lockdep.h>
#include <linux/moduleparam.h>

#include "owner.h"

VISIBLE_IF_KUNIT unsigned int iommu_owner_pasid_quota = 1024;
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_quota);
module_param_named(pasid_quota, iommu_owner_pasid_quota, uint, 0644);
MODULE_PARM_DESC(pasid_quota, "PASIDs that one owner may have");

/*
 * @owner gets a PASID. Memory is charged to the cgroup of the caller, but IOMMU drivers
 * also need time for each of them, with locks held: so there is a limit, whatever the
 * width of the devices.
 */
int iommu_owner_count_pasid(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	if (owner->nr_pasids >= READ_ONCE(iommu_owner_pasid_quota))
		return -ENOSPC;
	owner->nr_pasids++;
	return 0;
}

void iommu_owner_uncount_pasid(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	owner->nr_pasids--;
}

/* The owner of @group, if it has one, attaches a PASID. */
int iommu_owner_charge_pasid(struct iommu_group *group)
{
	struct iommu_owner *owner = group->ownership.owner;

	lockdep_assert_held(&group->mutex);

	return owner ? iommu_owner_count_pasid(owner) : 0;
}

/* A PASID of @group has been detached. */
void iommu_owner_uncharge_pasid(struct iommu_group *group)
{
	struct iommu_owner *owner = group->ownership.owner;

	lockdep_assert_held(&group->mutex);

	if (owner)
		iommu_owner_uncount_pasid(owner);
}
