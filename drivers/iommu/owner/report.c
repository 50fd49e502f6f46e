// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports of the ownership of a group: snapshots, tracepoints and log lines
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/visibility.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/slab.h>

#include "isolation.h"
#include "report.h"

#define CREATE_TRACE_POINTS
#include <trace/events/iommu_owner.h>

static const char * const state_names[] = {
	[IOMMU_OWNER_STATE_KERNEL]		= "kernel",
	[IOMMU_OWNER_STATE_PRIVATE]		= "private",
	[IOMMU_OWNER_STATE_USER]		= "user",
	[IOMMU_OWNER_STATE_RESERVED]		= "reserved",
	[IOMMU_OWNER_STATE_ENDING]		= "ending",
	[IOMMU_OWNER_STATE_QUARANTINE]	= "quarantine",
	[IOMMU_OWNER_STATE_BLOCKED]		= "blocked",
};

/**
 * iommu_owner_state_name() - Name of a state of ownership
 * @state: The state.
 *
 * Context: Any.
 * Return: The word that sysfs, uevents and log lines use.
 */
const char *iommu_owner_state_name(enum iommu_owner_state state)
{
	return state_names[state];
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_state_name);

void iommu_owner_report_claim(struct iommu_group *group)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);
	if (trace_iommu_owner_claim_enabled())
		trace_iommu_owner_claim(group->id, own->owner->name,
					iommu_owner_group_state(group),
					own->claims, own->generation);
	iommu_owner_event(own->owner, IOMMU_OWNER_EVENT_CLAIMED, group, NULL,
			  0);
}

void iommu_owner_report_release(struct iommu_group *group,
				struct iommu_owner *owner)
{
	lockdep_assert_held(&group->mutex);
	trace_iommu_owner_release(group->id, owner->name,
				  iommu_owner_group_state(group),
				  group->ownership.claims,
				  group->ownership.generation);
}

static const char * const quarantine_names[] = {
	[IOMMU_OWNER_QUARANTINE_DMA]		= "DMA cannot be blocked",
	[IOMMU_OWNER_QUARANTINE_ACCESS]		= "user space may still have access",
	[IOMMU_OWNER_QUARANTINE_BUSY]		= "a reset has to wait for another task",
	[IOMMU_OWNER_QUARANTINE_NO_ANSWER]	= "a device does not answer",
	[IOMMU_OWNER_QUARANTINE_DEVICE]		= "a device cannot be quiesced",
	[IOMMU_OWNER_QUARANTINE_LEASE]		= "a lease does not allow the default domain",
	[IOMMU_OWNER_QUARANTINE_MEMORY]		= "no memory for the default domain",
	[IOMMU_OWNER_QUARANTINE_DOMAIN]		= "the default domain cannot be attached",
	[IOMMU_OWNER_QUARANTINE_LOCKDOWN]	= "locked down, and a device was not reset",
};

void iommu_owner_report_quarantine(struct iommu_group *group)
{
	enum iommu_owner_quarantine reason = group->ownership.quarantine;

	lockdep_assert_held(&group->mutex);

	/* A reset that waits for another task is no error. */
	if (reason == IOMMU_OWNER_QUARANTINE_BUSY)
		pr_debug("group %d: quarantined: %s\n", group->id,
			 quarantine_names[reason]);
	else if (reason)
		pr_err("group %d: quarantined: %s\n", group->id,
		       quarantine_names[reason]);
	else
		pr_info("group %d: the quarantine has ended\n", group->id);
}

static void report_trace_refusal(struct iommu_group *group, const char *device,
				 const char *who)
{
	trace_iommu_owner_refuse(group->id, device, who,
				 iommu_owner_group_state(group),
				 iommu_owner_group_owner(group),
				 pid_nr(group->ownership.pid));
}

/* What conflicts with somebody else's use of @group, as the rest of a sentence */
void iommu_owner_describe(struct iommu_group *group, char *buf, size_t size)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (own->state == IOMMU_OWNER_STATE_QUARANTINE)
		snprintf(buf, size, "is in quarantine: %s",
			 quarantine_names[own->quarantine]);
	else if (own->state == IOMMU_OWNER_STATE_BLOCKED)
		snprintf(buf, size,
			 "is blocked, see owner/trust or tsm/state of its devices");
	else
		snprintf(buf, size, "has %s owner %s (%s, pid %d)",
			 iommu_owner_state_name(iommu_owner_group_state(group)),
			 iommu_owner_group_owner(group),
			 own->owner ? own->comm : "-", pid_nr(own->pid));
}

void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev)
{
	struct iommu_owner *owner = group->ownership.owner;
	char why[IOMMU_OWNER_DESCRIPTION];

	lockdep_assert_held(&group->mutex);
	report_trace_refusal(group, dev_name(dev), dev->driver->name);
	iommu_owner_describe(group, why, sizeof(why));
	dev_warn_ratelimited(dev,
			     "iommu-owner: driver %s refused: group %d %s\n",
			     dev->driver->name, group->id, why);
	if (owner)
		iommu_owner_event(owner, IOMMU_OWNER_EVENT_PROBE_REFUSED,
				  group, dev, 0);
}

/* Print "and N more" if @count, which includes the one that is named, says so */
static void report_more(char *buf, size_t size, unsigned int count)
{
	*buf = '\0';
	if (count > 1)
		snprintf(buf, size, " (and %u more)", count - 1);
}

void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who)
{
	struct group_device *gdev, *first = NULL;
	char why[IOMMU_OWNER_DESCRIPTION];
	unsigned int blockers = 0;

	lockdep_assert_held(&group->mutex);
	report_trace_refusal(group, "", who);

	for_each_group_device(group, gdev) {
		if (!iommu_owner_blocking_driver(group, gdev))
			continue;
		if (!blockers++)
			first = gdev;
	}

	if (first) {
		report_more(why, sizeof(why), blockers);
		pr_warn_ratelimited("group %d: claim by %s (%s, pid %d) refused: %s is bound to %s%s\n",
				    group->id, who, current->comm,
				    task_tgid_nr(current),
				    dev_name(first->dev), first->driver->name,
				    why);
	} else {
		iommu_owner_describe(group, why, sizeof(why));
		pr_warn_ratelimited("group %d: claim by %s (%s, pid %d) refused: the group %s\n",
				    group->id, who, current->comm,
				    task_tgid_nr(current), why);
	}
}

void iommu_owner_report_not_isolated(struct iommu_group *group,
				     struct iommu_owner *owner, u32 missing)
{
	char names[IOMMU_OWNER_ISO_NAMES];

	lockdep_assert_held(&group->mutex);
	report_trace_refusal(group, "", owner->name);
	iommu_owner_isolation_names(missing, names, sizeof(names));
	pr_warn_ratelimited("group %d: %s (%s, pid %d) refused: the kernel is locked down, and the group is not isolated: %s missing; needs %s\n",
			    group->id, owner->name, current->comm,
			    task_tgid_nr(current), names,
			    iommu_owner_isolation_needs(missing));
}

static int report_blockers(struct iommu_group *group,
			   struct iommu_owner_info *info)
{
	const struct device_driver *driver;
	struct iommu_owner_blocker *blocker;
	struct group_device *gdev;
	unsigned int count = 0;

	for_each_group_device(group, gdev) {
		info->devices++;
		if (iommu_owner_blocking_driver(group, gdev))
			count++;
	}
	if (!count)
		return 0;

	info->blockers = kcalloc(count, sizeof(*info->blockers), GFP_KERNEL);
	if (!info->blockers)
		return -ENOMEM;

	for_each_group_device(group, gdev) {
		driver = iommu_owner_blocking_driver(group, gdev);
		if (!driver)
			continue;
		blocker = &info->blockers[info->nr_blockers];
		blocker->driver = kstrdup(driver->name, GFP_KERNEL);
		if (!blocker->driver)
			return -ENOMEM;
		blocker->dev = get_device(gdev->dev);
		info->nr_blockers++;
	}
	return 0;
}

/**
 * iommu_owner_snapshot() - Report the owner of a group, and what blocks a claim
 * @group: The group; the caller has a reference.
 * @info: Filled in. The caller frees it with iommu_owner_snapshot_free(),
 *	also after an error.
 *
 * All of @info is from one moment.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0 or -ENOMEM.
 */
int iommu_owner_snapshot(struct iommu_group *group,
			 struct iommu_owner_info *info)
{
	const struct iommu_ownership *own = &group->ownership;
	int ret;

	memset(info, 0, sizeof(*info));
	mutex_lock(&group->mutex);
	info->generation = own->generation;
	info->state = iommu_owner_group_state(group);
	strscpy(info->name, iommu_owner_group_owner(group));
	info->quarantine = own->state == IOMMU_OWNER_STATE_QUARANTINE ?
		quarantine_names[own->quarantine] : NULL;
	if (own->owner) {
		strscpy(info->comm, own->comm);
		info->pid = pid_vnr(own->pid);
	}
	info->group = group->id;
	info->claims = own->claims;
	ret = report_blockers(group, info);
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_snapshot);

/**
 * iommu_owner_snapshot_free() - Free what a snapshot holds
 * @info: Filled in by iommu_owner_snapshot().
 *
 * Context: May sleep.
 */
void iommu_owner_snapshot_free(struct iommu_owner_info *info)
{
	while (info->nr_blockers) {
		struct iommu_owner_blocker *blocker =
			&info->blockers[--info->nr_blockers];

		put_device(blocker->dev);
		kfree(blocker->driver);
	}
	kfree(info->blockers);
	info->blockers = NULL;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_snapshot_free);

