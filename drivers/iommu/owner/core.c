// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ownership of IOMMU groups: states, claim and release, the driver-core gate
 *
 * A group is wholly the kernel's or wholly one owner's:
 *
 *	KERNEL		no owner; any number of drivers use the DMA API
 *	PRIVATE		no owner; a driver has attached a domain of its own
 *	USER		an owner has claims; DMA goes where the owner maps
 *	RESERVED	an owner without claims; DMA is blocked
 *	QUARANTINE	no owner; DMA is blocked and no driver may bind
 *
 * Lock order, outermost first:
 *
 *	iommu_owner::reserve_lock
 *	  device_lock() or a lock of the caller (VFIO group, iommufd igroup)
 *	    iommu_probe_device_lock
 *	      iommu_group::mutex, which protects struct iommu_ownership and the
 *	      fields of struct group_device
 *		iommu_owner::lock, which protects the groups, the watches and
 *		the tokens of an owner
 *		the lock of the leases, see lease.c
 *		gate_lock of drivers/pci/gate.c, which page faults take, too
 *
 * Nothing that can call back is run under the mutex of a group: uevents,
 * watches, resets and the release of an owner wait for iommu_owner_end(). Two
 * groups are never locked at a time.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/device/driver.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <trace/events/iommu_owner.h>

#include "owner.h"

/**
 * iommu_owner_alloc() - Make an owner
 * @name: Name for reports, without white space; copied.
 *
 * Context: May sleep.
 * Return: The owner with one reference, or an ERR_PTR: -EINVAL for an empty
 * @name, -ENOMEM.
 */
struct iommu_owner *iommu_owner_alloc(const char *name)
{
	struct iommu_owner *owner;
	size_t len;

	if (!name || !*name)
		return ERR_PTR(-EINVAL);

	len = strlen(name) + 1;
	owner = kzalloc(struct_size(owner, name, len), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return ERR_PTR(-ENOMEM);

	memcpy(owner->name, name, len);
	refcount_set(&owner->ref, 1);
	mutex_init(&owner->reserve_lock);
	spin_lock_init(&owner->lock);
	INIT_LIST_HEAD(&owner->groups);
	INIT_LIST_HEAD(&owner->watches);
	init_waitqueue_head(&owner->wait);
	return owner;
}
EXPORT_SYMBOL_GPL(iommu_owner_alloc);

/**
 * iommu_owner_get() - Take a reference to an owner
 * @owner: The owner.
 *
 * Context: Any. The caller has a reference.
 * Return: @owner.
 */
struct iommu_owner *iommu_owner_get(struct iommu_owner *owner)
{
	refcount_inc(&owner->ref);
	return owner;
}
EXPORT_SYMBOL_GPL(iommu_owner_get);

/**
 * iommu_owner_put() - Drop a reference to an owner
 * @owner: The owner; NULL and error pointers are ignored.
 *
 * A group that is claimed or reserved has a reference of its own: dropping
 * the last one of the caller does not end an ownership.
 *
 * Context: May sleep. No lock of the IOMMU core is held.
 */
void iommu_owner_put(struct iommu_owner *owner)
{
	if (IS_ERR_OR_NULL(owner) || !refcount_dec_and_test(&owner->ref))
		return;

	might_sleep();
	iommu_owner_events_free(owner);
	kfree(owner);
}
EXPORT_SYMBOL_GPL(iommu_owner_put);

static bool domain_is_core(struct iommu_group *group)
{
	return !group->domain || group->domain == group->default_domain ||
	       group->domain == group->blocking_domain;
}

enum iommu_owner_state iommu_owner_group_state(struct iommu_group *group)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (own->quarantine)
		return IOMMU_OWNER_STATE_QUARANTINE;
	if (own->owner)
		return own->claims ? IOMMU_OWNER_STATE_USER :
				     IOMMU_OWNER_STATE_RESERVED;
	return domain_is_core(group) ? IOMMU_OWNER_STATE_KERNEL : IOMMU_OWNER_STATE_PRIVATE;
}

struct group_device *iommu_owner_find_device(struct iommu_group *group,
					     struct device *dev)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->dev == dev)
			return gdev;
	return NULL;
}

/* A device of @group, other than @except, whose driver uses the DMA API */
static struct group_device *kernel_user(struct iommu_group *group,
					struct device *except)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->driver && gdev->dev != except)
			return gdev;
	return NULL;
}

/* Who has @group, in one word */
const char *iommu_owner_group_holder(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	if (group->ownership.owner)
		return group->ownership.owner->name;
	if (iommu_owner_group_state(group) == IOMMU_OWNER_STATE_PRIVATE) {
		gdev = kernel_user(group, NULL);
		if (gdev)
			return gdev->driver->name;
	}
	return "kernel";
}

/* The driver of @gdev if it stands in the way of a claim of @group */
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev)
{
	lockdep_assert_held(&group->mutex);

	/* A driver that has handed its use over is not in the way */
	return group->ownership.owner ? NULL : gdev->driver;
}

/* Of all groups: what was seen of one never fits another */
static atomic64_t generations;

void iommu_owner_changed(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);
	own->generation = atomic64_inc_return(&generations);
	if (!own->first_generation)
		own->first_generation = own->generation;
	if (trace_iommu_owner_isolation_enabled())
		iommu_owner_trace_isolation(group);
}

/* Enter a section that may change the ownership or the domain of @group. */
void iommu_owner_begin(struct iommu_owner_section *section,
		       struct iommu_group *group)
{
	mutex_lock(&group->mutex);
	section->group = group;
	section->ended = NULL;
	section->claimed = NULL;
}

/*
 * Who ends an ownership tells what the group has become; the others that come
 * meanwhile do not tell of the way there.
 */
static void report_change(struct iommu_group *group, enum iommu_owner_state state)
{
	if (state == group->ownership.told || group->ownership.ending)
		return;
	group->ownership.told = state;
	iommu_owner_changed(group);
	iommu_owner_report_state(group, state);
}

/* Is somebody in user space, or nobody at all, trusted with the devices? */
static bool state_is_gated(enum iommu_owner_state state)
{
	return state == IOMMU_OWNER_STATE_USER || state == IOMMU_OWNER_STATE_RESERVED ||
	       state == IOMMU_OWNER_STATE_QUARANTINE;
}

static void update_gate(struct iommu_group *group, enum iommu_owner_state state)
{
	struct iommu_ownership *own = &group->ownership;
	bool gated = state_is_gated(state);

	if (gated == own->gated)
		return;
	own->gated = gated;
	iommu_owner_gate_group(group, gated);
}

/* The caller has a reference to the group. */
void iommu_owner_end(struct iommu_owner_section *section)
{
	struct iommu_group *group = section->group;
	enum iommu_owner_state state;

	if (section->ended)
		iommu_owner_finish(section);
	state = iommu_owner_group_state(group);
	update_gate(group, state);
	report_change(group, state);
	mutex_unlock(&group->mutex);

	lockdep_assert_not_held(&group->mutex);
	if (section->claimed)
		iommu_owner_tell_claim(section->claimed, group);
	iommu_owner_put(section->ended);
}

/*
 * May @owner, or the kernel if it is NULL, change the domains and PASIDs of
 * @group? The error says what is in the way: -EBUSY an owner or the quarantine
 * is in the kernel's, -EACCES another owner, -ESTALE the ownership has ended.
 */
int iommu_owner_check(struct iommu_group *group, struct iommu_owner *owner)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (!owner)
		return iommu_owner_dma_blocked(group) ? -EBUSY : 0;
	if (!own->owner)
		return -ESTALE;
	if (own->owner != owner)
		return -EACCES;
	return own->claims ? 0 : -ESTALE;
}

/* Is there anything but @lender, which may be NULL, in the way of a claim? */
static bool in_use(struct iommu_group *group, struct device *lender)
{
	lockdep_assert_held(&group->mutex);

	return iommu_owner_dma_blocked(group) || kernel_user(group, lender) ||
	       !domain_is_core(group) || !xa_empty(&group->pasid_array);
}

/* Is there anybody who relies on the default domain staying as it is? */
bool iommu_owner_group_busy(struct iommu_group *group)
{
	return in_use(group, NULL);
}

/* Is the blocking domain the one that the core falls back to? */
bool iommu_owner_dma_blocked(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	return group->ownership.owner || group->ownership.quarantine;
}

/* The device that was added is the last of @group. */
void iommu_owner_device_added(struct iommu_group *group)
{
	struct iommu_owner *owner = group->ownership.owner;
	struct group_device *gdev;

	iommu_owner_changed(group);
	gdev = list_last_entry(&group->devices, struct group_device, list);
	if (group->ownership.gated)
		iommu_owner_gate_device(group, gdev->dev, true);
	if (!owner)
		return;
	iommu_owner_token_event(owner, IOMMU_OWNER_EVENT_DEVICE_ADDED, group,
				gdev->dev, 0);
}

/*
 * A group without devices has nothing that could be owned, and its domains go
 * with its last device.
 */
void iommu_owner_device_removed(struct iommu_owner_section *section,
				struct device *dev)
{
	struct iommu_group *group = section->group;
	struct iommu_ownership *own = &group->ownership;

	iommu_owner_changed(group);
	if (own->gated)
		iommu_owner_gate_device(group, dev, false);
	if (own->owner)
		iommu_owner_token_event(own->owner,
					IOMMU_OWNER_EVENT_DEVICE_REMOVED, group,
					dev, 0);
	if (!list_empty(&group->devices))
		return;
	iommu_owner_forget_leases(group);
	__iommu_group_remove_pasids(group);
	if (!own->quiescing)
		own->quarantine = NULL;
	own->retry = false;
	if (own->owner && !own->ending)
		iommu_owner_begin_end(section, IOMMU_OWNER_REASON_REMOVED);
}

/**
 * iommu_device_use_default_domain() - Device driver wants to handle device
 *                                     DMA through the kernel DMA API.
 * @dev: The device.
 *
 * The KERNEL claim: called by the driver core before a driver is probed that
 * does not manage DMA itself. A refusal is logged.
 *
 * Context: May sleep. The lock of @dev is held.
 * Return: 0 if the driver may be probed; -EBUSY if the group has an owner, is
 * in quarantine, or another driver of it has attached a domain or a PASID, or
 * a lease requires what the group lacks with @dev or with a driver;
 * -EPROBE_DEFER if the group is not set up yet.
 */
int iommu_device_use_default_domain(struct device *dev)
{
	/* Caller is the driver core during the pre-probe path */
	struct iommu_group *group = dev->iommu_group;
	struct iommu_owner_section section;
	struct group_device *gdev;
	int ret = 0;

	if (!group)
		return 0;

	iommu_owner_begin(&section, group);
	iommu_owner_retry_quiesce(group, dev);
	gdev = iommu_owner_find_device(group, dev);
	if (!group->default_domain || !gdev) {
		/* We may race against bus_iommu_probe() finalising groups */
		ret = -EPROBE_DEFER;
	} else if (iommu_owner_dma_blocked(group) ||
		   (kernel_user(group, NULL) &&
		    (group->domain != group->default_domain ||
		     !xa_empty(&group->pasid_array)))) {
		iommu_owner_report_refused_probe(group, dev);
		gdev->refused = true;
		ret = -EBUSY;
	} else if (iommu_owner_lease_refuses_probe(group, gdev)) {
		gdev->refused = true;
		ret = -EBUSY;
	} else {
		gdev->driver = dev->driver;
		gdev->refused = false;
		iommu_owner_changed(group);
	}
	iommu_owner_end(&section);
	return ret;
}

/**
 * iommu_device_unuse_default_domain() - Device driver stops handling device
 *                                       DMA through the kernel DMA API.
 * @dev: The device.
 *
 * The device driver doesn't want to do DMA through kernel DMA API anymore.
 * It must be called after iommu_device_use_default_domain(). A PASID that the
 * last driver of the group has left attached is detached.
 *
 * Context: May sleep. The lock of @dev is held.
 */
void iommu_device_unuse_default_domain(struct device *dev)
{
	/* Caller is the driver core during the post-probe path */
	struct iommu_group *group = dev->iommu_group;
	struct group_device *gdev;

	if (!group)
		return;

	mutex_lock(&group->mutex);
	gdev = iommu_owner_find_device(group, dev);
	/* No driver is recorded if the group is younger than the binding */
	if (gdev && gdev->driver) {
		gdev->driver = NULL;
		iommu_owner_changed(group);
		if (!group->ownership.owner && !kernel_user(group, NULL))
			__iommu_group_remove_pasids(group);
	}
	mutex_unlock(&group->mutex);
}

/* Count the group of @own among those of @owner. */
static int hold(struct iommu_owner *owner, struct iommu_ownership *own)
{
	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		return -ESTALE;
	list_add_tail(&own->node, &owner->groups);
	return 0;
}

static void let_go(struct iommu_owner *owner, struct iommu_ownership *own)
{
	guard(spinlock)(&owner->lock);
	list_del(&own->node);
}

static void set_owner(struct iommu_ownership *own, struct iommu_owner *owner)
{
	own->owner = iommu_owner_get(owner);
	own->pid = task_tgid_nr(current);
	/* It always ends in a zero; a lock costs more than this is worth */
	memcpy(own->comm, current->comm, sizeof(own->comm));
}

/* Undo take(). The caller has a reference to @owner. */
static void give_back(struct iommu_group *group, struct iommu_owner *owner)
{
	struct iommu_ownership *own = &group->ownership;

	let_go(owner, own);
	own->owner = NULL;
	own->pid = 0;
	own->comm[0] = '\0';
	iommu_owner_put(owner);
	own->quarantine = iommu_owner_attach_default(group);
}

/*
 * Make @owner the owner of @group, for a claim or a reservation. @lender is the
 * device whose driver lends its own kernel use, or NULL.
 */
static int take(struct iommu_group *group, struct iommu_owner *owner,
		struct device *lender, bool claim)
{
	struct iommu_ownership *own = &group->ownership;
	bool isolate;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices) || !group->default_domain)
		return -ENODEV;
	if (in_use(group, lender))
		return -EBUSY;

	isolate = claim && iommu_owner_must_isolate(group, owner);
	ret = isolate ? iommu_owner_check_isolation(group, owner) : 0;
	if (ret)
		return ret;

	ret = __iommu_group_alloc_blocking_domain(group);
	if (ret)
		return ret;
	ret = hold(owner, own);
	if (ret)
		return ret;
	ret = __iommu_group_set_domain_internal(group, group->blocking_domain,
						0);
	if (ret) {
		let_go(owner, own);
		return ret;
	}

	set_owner(own, owner);
	/* ATS is off now, and the lease keeps it so when the owner attaches */
	ret = isolate ? iommu_owner_isolate(group, owner) : 0;
	if (ret)
		give_back(group, owner);
	return ret;
}

static int claim(struct iommu_owner_section *section, struct iommu_owner *owner,
		 struct device *lender)
{
	struct iommu_group *group = section->group;
	struct iommu_ownership *own = &group->ownership;
	int ret = 0;

	lockdep_assert_held(&group->mutex);

	if (iommu_owner_revoked(owner))
		ret = -ESTALE;
	else if (own->owner != owner)
		ret = take(group, owner, lender, true);
	else if (own->ending)
		ret = -EBUSY;
	else if (iommu_owner_must_isolate(group, owner))
		ret = iommu_owner_isolate(group, owner);
	if (ret) {
		if (ret == -EBUSY)
			iommu_owner_report_refused_claim(group, owner->name);
		return ret;
	}
	own->claims++;
	section->claimed = owner;
	iommu_owner_changed(group);
	iommu_owner_report_claim(group);
	return 0;
}

/* Drop one claim; the last one ends the ownership or leaves a reservation. */
static int release(struct iommu_owner_section *section,
		   struct iommu_owner *owner)
{
	struct iommu_group *group = section->group;
	struct iommu_ownership *own = &group->ownership;
	int ret;

	ret = iommu_owner_check(group, owner);
	if (ret)
		return ret;

	if (own->claims == 1 && !own->reserved) {
		iommu_owner_begin_end(section, IOMMU_OWNER_REASON_RELEASED);
		return 0;
	}
	if (!--own->claims && iommu_owner_block_dma(group)) {
		own->quarantine = "DMA cannot be blocked";
		iommu_owner_begin_end(section, IOMMU_OWNER_REASON_RELEASED);
		return 0;
	}
	iommu_owner_changed(group);
	iommu_owner_report_release(group, owner);
	iommu_owner_token_event(owner, IOMMU_OWNER_EVENT_RELEASED, group, NULL,
				0);
	return 0;
}

/**
 * iommu_owner_claim_group() - Claim a group
 * @owner: The owner.
 * @group: The group; the caller has a reference.
 *
 * All DMA of the group is blocked until the owner attaches a domain. An owner
 * may claim a group several times, through the group or through its devices;
 * each claim is released on its own. A refused claim is logged with what is in
 * the way.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -EBUSY if a driver or another owner has the group, or it is in
 * quarantine, or the last ownership has not ended yet; -ESTALE if @owner has
 * been revoked; -EPERM if the kernel is locked down and the group is not
 * isolated, see iommu_owner_isolation_lease(); -ENODEV if it has no device or is
 * not set up yet; -ENOMEM; or the error of the IOMMU driver that could not block
 * DMA.
 */
int iommu_owner_claim_group(struct iommu_owner *owner,
			    struct iommu_group *group)
{
	struct iommu_owner_section section;
	int ret;

	iommu_owner_begin(&section, group);
	iommu_owner_retry_quiesce(group, NULL);
	ret = claim(&section, owner, NULL);
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_claim_group);

/**
 * iommu_owner_release_group() - Release one claim of a group
 * @owner: The owner that claimed.
 * @group: The group; the caller has a reference.
 *
 * With the last claim the ownership ends, unless the owner has reserved the
 * group: DMA is blocked, PASIDs that are still attached are detached, and then
 * the default domain returns. If that fails, the group is quarantined.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -ESTALE if the ownership has ended; -EACCES if another owner has
 * the group.
 */
int iommu_owner_release_group(struct iommu_owner *owner,
			      struct iommu_group *group)
{
	struct iommu_owner_section section;
	int ret;

	iommu_owner_begin(&section, group);
	ret = release(&section, owner);
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_release_group);

/**
 * iommu_owner_claim_device() - Claim the group of a device
 * @owner: The owner.
 * @dev: The device. The caller is the driver that is bound to it.
 *
 * The whole group is claimed, see iommu_owner_claim_group().
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: As iommu_owner_claim_group(); -ENODEV if @dev has no group.
 */
int iommu_owner_claim_device(struct iommu_owner *owner, struct device *dev)
{
	if (!dev->iommu_group)
		return -ENODEV;
	return iommu_owner_claim_group(owner, dev->iommu_group);
}
EXPORT_SYMBOL_GPL(iommu_owner_claim_device);

/**
 * iommu_owner_release_device() - Release one claim of the group of a device
 * @owner: The owner that claimed.
 * @dev: The device. The caller is the driver that is bound to it.
 *
 * Also takes back what was handed over by iommu_owner_handover_device(): the
 * driver of @dev is then a user of the DMA API again.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: As iommu_owner_release_group(); -ENODEV if @dev has no group.
 */
int iommu_owner_release_device(struct iommu_owner *owner, struct device *dev)
{
	if (!dev->iommu_group)
		return -ENODEV;
	return iommu_owner_release_group(owner, dev->iommu_group);
}
EXPORT_SYMBOL_GPL(iommu_owner_release_device);

/**
 * iommu_owner_handover_device() - Claim the group of one's own device
 * @owner: The owner that gets the group.
 * @dev: The device. The caller is the driver that is bound to it, or acts for
 *	that driver.
 *
 * For a driver that uses the DMA API and lets user space drive the DMA of the
 * same device from time to time. Its own use does not stand in the way of this
 * claim and comes back with iommu_owner_release_device(). Until then what the
 * driver had mapped through the DMA API cannot be reached by the device.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: As iommu_owner_claim_device(); -EINVAL if @dev is not alone in its
 * group.
 */
int iommu_owner_handover_device(struct iommu_owner *owner, struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_owner_section section;
	int ret;

	if (!group)
		return -ENODEV;

	iommu_owner_begin(&section, group);
	iommu_owner_retry_quiesce(group, NULL);
	if (list_is_singular(&group->devices))
		ret = claim(&section, owner, dev);
	else
		ret = -EINVAL;
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_handover_device);

/*
 * As iommu_owner_reserve_group(), but return 1 if @group had not been reserved
 * before, and -EPERM if it would have to be taken without @may_take.
 */
int iommu_owner_reserve(struct iommu_owner *owner, struct iommu_group *group,
			bool may_take)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_section section;
	int ret = 0;

	iommu_owner_begin(&section, group);
	iommu_owner_retry_quiesce(group, NULL);
	if (iommu_owner_revoked(owner))
		ret = -ESTALE;
	else if (own->owner == owner)
		ret = own->ending ? -EBUSY : 0;
	else
		ret = may_take ? take(group, owner, NULL, false) : -EPERM;
	if (!ret && !own->reserved) {
		own->reserved = true;
		ret = 1;
		iommu_owner_changed(group);
		iommu_owner_report_claim(group);
	} else if (ret == -EBUSY) {
		iommu_owner_report_refused_claim(group, owner->name);
	}
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_reserve);

/**
 * iommu_owner_reserve_group() - Keep a group for an owner
 * @owner: The owner. It may have claimed the group already.
 * @group: The group; the caller has a reference.
 *
 * From here on the group stays with @owner, with or without claims. Without
 * claims DMA is blocked. Reserving twice is the same as once.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: As iommu_owner_claim_group().
 */
int iommu_owner_reserve_group(struct iommu_owner *owner,
			      struct iommu_group *group)
{
	return min(iommu_owner_reserve(owner, group, true), 0);
}
EXPORT_SYMBOL_GPL(iommu_owner_reserve_group);

/**
 * iommu_owner_unreserve_group() - Keep a group no longer
 * @owner: The owner that reserved.
 * @group: The group; the caller has a reference.
 *
 * Ends the ownership if @owner has no claim on the group.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -ESTALE if @group is not reserved any more; -EACCES if another
 * owner has the group.
 */
int iommu_owner_unreserve_group(struct iommu_owner *owner,
				struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_section section;
	int ret = 0;

	iommu_owner_begin(&section, group);
	if (!own->owner || (own->owner == owner && !own->reserved)) {
		ret = -ESTALE;
	} else if (own->owner != owner) {
		ret = -EACCES;
	} else {
		own->reserved = false;
		iommu_owner_changed(group);
		if (own->claims)
			iommu_owner_token_event(owner,
						IOMMU_OWNER_EVENT_RELEASED,
						group, NULL, 0);
		else
			iommu_owner_begin_end(&section, IOMMU_OWNER_REASON_RELEASED);
	}
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_unreserve_group);
