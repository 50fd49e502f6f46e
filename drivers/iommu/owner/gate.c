// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shut the host's raw ways to the devices of a group, and tell who tried them
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pci-gate.h>

#include <trace/events/iommu_owner.h>

#include "owner.h"

void iommu_owner_gate_device(struct iommu_group *group, struct device *dev,
			     bool gated)
{
	lockdep_assert_held(&group->mutex);

	if (!dev_is_pci(dev))
		return;
	if (gated)
		pci_gate_close(to_pci_dev(dev));
	else
		pci_gate_open(to_pci_dev(dev));
}

void iommu_owner_gate_group(struct iommu_group *group, bool gated)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		iommu_owner_gate_device(group, gdev->dev, gated);
}

/**
 * iommu_owner_report_access() - Tell of an access to a device of an owner
 * @access: The access; what it points to is referenced by the caller.
 *
 * In the log and by tracepoint, and to the tokens of the owner if the access was
 * refused.
 *
 * Context: May sleep. Takes the mutex of the group.
 */
void iommu_owner_report_access(const struct iommu_owner_access *access)
{
	struct iommu_group *group = access->group;
	const struct iommu_ownership *own = &group->ownership;
	enum iommu_owner_state state;

	guard(mutex)(&group->mutex);
	state = iommu_owner_group_state(group);
	trace_iommu_owner_access(group->id, dev_name(access->dev), access->path,
				 access->comm, access->pid, access->refused,
				 state, iommu_owner_group_holder(group),
				 own->pid);
	dev_warn_ratelimited(access->dev,
			     "iommu-owner: %s by %s (pid %d) %s: group %d has %s owner %s (%s, pid %d)\n",
			     access->path, access->comm, access->pid,
			     access->refused ? "refused" : "let through",
			     group->id, iommu_owner_state_name(state),
			     iommu_owner_group_holder(group),
			     own->owner ? own->comm : "-", own->pid);
	if (own->owner && access->refused)
		iommu_owner_token_access(own->owner, access);
}
