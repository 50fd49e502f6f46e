// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shut the raw access paths of the host to the devices of a group, and report
 * attempts
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pci-gate.h>

#include <trace/events/iommu_owner.h>

#include "report.h"

/* MMU notifiers must not run under the mutex: iommu_owner_unlock() unmaps. */
static void gate_close(struct iommu_group *group, struct device *dev)
{
	if (!dev_is_pci(dev))
		return;
	group->ownership.unmap |= pci_gate_close(to_pci_dev(dev));
}

static void gate_open(struct device *dev)
{
	if (dev_is_pci(dev))
		pci_gate_open(to_pci_dev(dev));
}

static void gate_state(struct iommu_group *group, enum iommu_owner_state old)
{
	bool gated = iommu_owner_state_is_gated(group->ownership.state);
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	if (gated == iommu_owner_state_is_gated(old))
		return;
	for_each_group_device(group, gdev) {
		if (gated)
			gate_close(group, gdev->dev);
		else
			gate_open(gdev->dev);
	}
}

static void gate_joined(struct iommu_group *group, struct device *dev)
{
	if (iommu_owner_state_is_gated(group->ownership.state))
		gate_close(group, dev);
}

/* Whatever the state is by now: the gate refers to the device. */
static void gate_left(struct iommu_group *group, struct device *dev)
{
	gate_open(dev);
}

static void gate_unmap(struct iommu_group *group)
{
	lockdep_assert_not_held(&group->mutex);
	pci_gate_unmap(group);
}

/**
 * iommu_owner_report_access() - Report a raw access to a device of an owner
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
	char why[IOMMU_OWNER_DESCRIPTION];
	enum iommu_owner_state state;

	guard(mutex)(&group->mutex);
	state = iommu_owner_group_state(group);
	trace_iommu_owner_access(group->id, dev_name(access->dev), access->path,
				 access->comm, access->pid, access->refused,
				 state, iommu_owner_group_owner(group),
				 pid_nr(own->pid));
	iommu_owner_describe(group, why, sizeof(why));
	dev_warn_ratelimited(access->dev,
			     "iommu-owner: %s by %s (pid %d) %s: group %d %s\n",
			     access->path, access->comm, access->pid,
			     access->refused ? "refused" : "allowed",
			     group->id, why);
	if (own->owner && access->refused)
		iommu_owner_access(own->owner, access);
}

static const struct iommu_owner_concept gate_concept = {
	.state = gate_state,
	.joined = gate_joined,
	.left = gate_left,
	.unmap = gate_unmap,
};

static int __init gate_init(void)
{
	iommu_owner_add_concept(&gate_concept);
	return 0;
}
core_initcall(gate_init);
