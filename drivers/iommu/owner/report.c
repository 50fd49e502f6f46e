// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of the ownership of a group: snapshots, sysfs, uevents,
 * tracepoints and log lines
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "owner.h"

#define CREATE_TRACE_POINTS
#include <trace/events/iommu_owner.h>

static const char * const state_names[] = {
	[IOMMU_OWNER_STATE_KERNEL]		= "kernel",
	[IOMMU_OWNER_STATE_PRIVATE]		= "private",
	[IOMMU_OWNER_STATE_USER]		= "user",
	[IOMMU_OWNER_STATE_RESERVED]		= "reserved",
	[IOMMU_OWNER_STATE_ENDING]		= "ending",
	[IOMMU_OWNER_STATE_QUARANTINE]		= "quarantine",
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
EXPORT_SYMBOL_GPL(iommu_owner_state_name);

void iommu_owner_report_claim(struct iommu_group *group)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);
	if (trace_iommu_owner_claim_enabled())
		trace_iommu_owner_claim(group->id, own->owner->name,
					iommu_owner_group_state(group),
					own->claims, own->generation);
	iommu_owner_token_event(own->owner, IOMMU_OWNER_EVENT_CLAIMED, group,
				NULL, 0);
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

static void trace_refusal(struct iommu_group *group, const char *device,
			  const char *who)
{
	trace_iommu_owner_refuse(group->id, device, who,
				 iommu_owner_group_state(group),
				 iommu_owner_group_holder(group),
				 group->ownership.pid);
}

void iommu_owner_report_refused_probe(struct iommu_group *group,
				      struct device *dev)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);
	trace_refusal(group, dev_name(dev), dev->driver->name);
	dev_warn_ratelimited(dev,
			     "iommu-owner: driver %s refused: group %d has %s owner %s (%s, pid %d)\n",
			     dev->driver->name, group->id,
			     iommu_owner_state_name(iommu_owner_group_state(group)),
			     iommu_owner_group_holder(group),
			     own->owner ? own->comm : "-", own->pid);
	if (own->owner)
		iommu_owner_token_event(own->owner,
					IOMMU_OWNER_EVENT_PROBE_REFUSED, group,
					dev, 0);
}

void iommu_owner_report_refused_claim(struct iommu_group *group,
				      const char *who)
{
	const struct iommu_ownership *own = &group->ownership;
	struct group_device *gdev, *first = NULL;
	unsigned int blockers = 0;

	lockdep_assert_held(&group->mutex);
	trace_refusal(group, "", who);

	for_each_group_device(group, gdev) {
		if (!iommu_owner_blocking_driver(group, gdev))
			continue;
		if (!blockers++)
			first = gdev;
	}

	if (first)
		pr_warn_ratelimited("group %d: claim by %s (%s, pid %d) refused: %s is bound to %s, %u more in the way\n",
				    group->id, who, current->comm,
				    task_tgid_nr(current),
				    dev_name(first->dev), first->driver->name,
				    blockers - 1);
	else
		pr_warn_ratelimited("group %d: claim by %s (%s, pid %d) refused: the group has %s owner %s (%s, pid %d)\n",
				    group->id, who, current->comm,
				    task_tgid_nr(current),
				    iommu_owner_state_name(iommu_owner_group_state(group)),
				    iommu_owner_group_holder(group),
				    own->owner ? own->comm : "-", own->pid);
}

void iommu_owner_report_not_isolated(struct iommu_group *group,
				     struct iommu_owner *owner, u32 missing)
{
	char names[IOMMU_OWNER_ISO_NAMES];

	lockdep_assert_held(&group->mutex);
	trace_refusal(group, "", owner->name);
	iommu_owner_isolation_names(missing, names, sizeof(names));
	pr_warn_ratelimited("group %d: %s (%s, pid %d) refused: the kernel is locked down, and the group is not isolated: %s missing\n",
			    group->id, owner->name, current->comm,
			    task_tgid_nr(current), names);
}

#define STATE_CHANGES	14

/**
 * struct state_event - Changes of state of a group that have not been told yet
 * @node: Entry in the events.
 * @group: The group, with a reference.
 * @nr: Number of @changes.
 * @changes: The generation of each change, and the new state.
 */
struct state_event {
	struct list_head node;
	struct iommu_group *group;
	unsigned int nr;
	struct {
		u64 generation;
		enum iommu_owner_state state;
	} changes[STATE_CHANGES];
};

static LIST_HEAD(state_events);
static DEFINE_SPINLOCK(state_lock);	/* protects the events */

/* Everybody can read a uevent: it says what has changed, not who has it. */
static void send_uevent(struct iommu_group *group, u64 generation,
			enum iommu_owner_state state)
{
	char state_var[32], generation_var[48];
	char *envp[3] = { state_var, generation_var, NULL };

	snprintf(state_var, sizeof(state_var), "IOMMU_OWNER_STATE=%s",
		 iommu_owner_state_name(state));
	snprintf(generation_var, sizeof(generation_var),
		 "IOMMU_OWNER_GENERATION=%llu", generation);
	kobject_uevent_env(&group->kobj, KOBJ_CHANGE, envp);
}

static void send_state_events(struct work_struct *work)
{
	struct state_event *event, *next;
	LIST_HEAD(events);

	scoped_guard(spinlock, &state_lock)
		list_splice_init(&state_events, &events);
	list_for_each_entry_safe(event, next, &events, node) {
		for (unsigned int i = 0; i < event->nr; i++)
			send_uevent(event->group, event->changes[i].generation,
				    event->changes[i].state);
		iommu_group_put(event->group);
		kfree(event);
	}
}

static DECLARE_DELAYED_WORK(state_work, send_state_events);

static void add_change(struct state_event *event, enum iommu_owner_state state)
{
	event->changes[event->nr].generation =
		event->group->ownership.generation;
	event->changes[event->nr].state = state;
	event->nr++;
}

/* Is @state told with what @group has become just before? */
static bool add_to_last(struct iommu_group *group, enum iommu_owner_state state)
{
	struct state_event *event;

	guard(spinlock)(&state_lock);
	if (list_empty(&state_events))
		return false;
	event = list_last_entry(&state_events, struct state_event, node);
	if (event->group != group || event->nr == STATE_CHANGES)
		return false;
	add_change(event, state);
	return true;
}

/*
 * A uevent costs more than a claim, and nothing may call back here: it is sent
 * a little later, each one and in order.
 */
void iommu_owner_report_state(struct iommu_group *group,
			     enum iommu_owner_state state)
{
	struct state_event *event;
	bool first;

	lockdep_assert_held(&group->mutex);

	if (add_to_last(group, state))
		return;

	event = kmalloc(sizeof(*event), GFP_KERNEL | __GFP_NOFAIL);
	event->group = iommu_group_ref_get(group);
	event->nr = 0;
	add_change(event, state);
	scoped_guard(spinlock, &state_lock) {
		first = list_empty(&state_events);
		list_add_tail(&event->node, &state_events);
	}
	if (first)
		schedule_delayed_work(&state_work, 1);
}

#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_uevents(void)
{
	flush_delayed_work(&state_work);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_flush_uevents);
#endif

/**
 * iommu_owner_group_viable() - Would a claim succeed now?
 * @group: The group; the caller has a reference.
 * @owner: Who would claim; NULL for a new owner of user space.
 *
 * The answer may be out of date when the caller looks at it. A no is logged
 * like a refused claim: who asks first does not claim then.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: true if no driver, no other owner and no quarantine is in the way.
 */
bool iommu_owner_group_viable(struct iommu_group *group,
			      struct iommu_owner *owner)
{
	const struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_section section;
	bool viable;

	iommu_owner_begin(&section, group);
	iommu_owner_retry_quiesce(group, NULL);
	if (owner && own->owner == owner)
		viable = !own->ending;
	else
		viable = !iommu_owner_group_busy(group);
	if (!viable)
		iommu_owner_report_refused_claim(group,
						 owner ? owner->name : "user");
	iommu_owner_end(&section);
	return viable;
}
EXPORT_SYMBOL_GPL(iommu_owner_group_viable);

static int collect_blockers(struct iommu_group *group,
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
 * iommu_owner_snapshot() - Who has a group, and what blocks a claim of it
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
	strscpy(info->name, iommu_owner_group_holder(group));
	info->quarantine = own->quarantine;
	if (own->owner) {
		strscpy(info->comm, own->comm);
		info->pid = own->pid;
	}
	info->group = group->id;
	info->claims = own->claims;
	ret = collect_blockers(group, info);
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_snapshot);

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
EXPORT_SYMBOL_GPL(iommu_owner_snapshot_free);

/* One snapshot, printed by @emit */
static ssize_t show(struct iommu_group *group, char *buf,
		    ssize_t (*emit)(const struct iommu_owner_info *info,
				    char *buf))
{
	struct iommu_owner_info info;
	ssize_t ret;

	ret = iommu_owner_snapshot(group, &info);
	if (!ret)
		ret = emit(&info, buf);
	iommu_owner_snapshot_free(&info);
	return ret;
}

static ssize_t state_emit(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%s\n", iommu_owner_state_name(info->state));
}

static ssize_t holder_emit(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%d %s %s\n", info->pid, info->name,
			  *info->comm ? info->comm : "-");
}

static ssize_t generation_emit(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%llu\n", info->generation);
}

static ssize_t blockers_emit(const struct iommu_owner_info *info, char *buf)
{
	ssize_t len = 0;

	for (unsigned int i = 0; i < info->nr_blockers; i++)
		len += sysfs_emit_at(buf, len, "%s %s\n",
				     dev_name(info->blockers[i].dev),
				     info->blockers[i].driver);
	return len;
}

#define OWNER_ATTR(_name, _mode)						\
static ssize_t _name##_show(struct iommu_group *group, char *buf)	\
{									\
	return show(group, buf, _name##_emit);				\
}									\
static struct iommu_group_attribute owner_attr_##_name =		\
	__ATTR(_name, _mode, _name##_show, NULL)

OWNER_ATTR(state, 0444);
OWNER_ATTR(holder, 0400);
OWNER_ATTR(generation, 0444);
OWNER_ATTR(blockers, 0444);

static ssize_t quarantine_emit(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%s\n", info->quarantine ?: "");
}

static ssize_t quarantine_show(struct iommu_group *group, char *buf)
{
	return show(group, buf, quarantine_emit);
}

static ssize_t quarantine_store(struct iommu_group *group, const char *buf,
				size_t count)
{
	int ret;

	if (!sysfs_streq(buf, "clear"))
		return -EINVAL;
	ret = iommu_owner_clear_quarantine(group);
	return ret ?: count;
}

static struct iommu_group_attribute owner_attr_quarantine =
	__ATTR(quarantine, 0644, quarantine_show, quarantine_store);

static struct iommu_group_attribute owner_attr_isolation =
	__ATTR(isolation, 0444, iommu_owner_isolation_show, NULL);

static struct attribute *owner_attrs[] = {
	&owner_attr_state.attr,
	&owner_attr_holder.attr,
	&owner_attr_generation.attr,
	&owner_attr_blockers.attr,
	&owner_attr_quarantine.attr,
	&owner_attr_isolation.attr,
	NULL
};

const struct attribute_group iommu_owner_attr_group = {
	.name = "owner",
	.attrs = owner_attrs,
};
