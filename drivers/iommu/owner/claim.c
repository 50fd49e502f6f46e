// SPDX-License-Identifier: GPL-2.0-only
/* Claim, reserve and release groups; which drivers may be probed meanwhile */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/device/driver.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/pid.h>

#include "claim.h"
#include "end.h"
#include "quarantine.h"
#include "report.h"
#include "watch.h"

/*
 * A device whose record could not be allocated has no group, and nothing keeps its
 * DMA from memory that an owner has mapped for others. Try again before a driver
 * gets it.
 */
static int claim_probe_device(struct device *dev)
{
	if (!iommu_fwspec_ops(dev_iommu_fwspec_get(dev)))
		return 0;
	return iommu_probe_device(dev) == -ENOMEM ? -EPROBE_DEFER : 0;
}

/* Does what a driver of @group has attached conflict with the DMA API? */
static bool claim_is_private(struct iommu_group *group)
{
	return iommu_owner_kernel_user(group, NULL) &&
	       (group->domain != group->default_domain ||
		!xa_empty(&group->pasid_array));
}

/* DMA may be blocked as long as there is no driver. */
static int claim_attach_default(struct iommu_group *group)
{
	if (likely(group->domain != group->blocking_domain) ||
	    iommu_owner_dma_blocked(group))
		return 0;
	return __iommu_group_set_domain_internal(group, group->default_domain,
						 0);
}

static int claim_by_driver(struct iommu_group *group, struct device *dev)
{
	struct group_device *gdev;
	int ret;

	lockdep_assert_held(&group->mutex);

	gdev = iommu_owner_find_device(group, dev);
	/* We may race against bus_iommu_probe() finalising groups */
	if (!group->default_domain || !gdev)
		return -EPROBE_DEFER;

	gdev->refused = true;
	if (iommu_owner_excludes_drivers(group) || claim_is_private(group)) {
		iommu_owner_report_refused_probe(group, dev);
		return group->ownership.state == IOMMU_OWNER_STATE_BLOCKED ?
			-EPERM : -EBUSY;
	}
	ret = iommu_owner_may_probe(group, gdev);
	if (ret)
		return ret;
	gdev->driver = dev->driver;
	ret = claim_attach_default(group);
	if (ret) {
		gdev->driver = NULL;
		return ret;
	}
	gdev->refused = false;
	iommu_owner_changed(group);
	return 0;
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
 * a lease requires what the group is missing with @dev or with a driver, or @dev
 * has not been reset since user space had it and the kernel is locked down; -EPERM if
 * a device of the group is not trusted; the error of the IOMMU driver that could not
 * attach the default domain;
 * -EPROBE_DEFER if the group is not set up yet, or there is no memory for it.
 */
int iommu_device_use_default_domain(struct device *dev)
{
	/* Caller is the driver core during the pre-probe path */
	struct iommu_group *group;
	int ret;

	if (!dev->iommu_group) {
		ret = claim_probe_device(dev);
		if (ret || !dev->iommu_group)
			return ret;
	}

	group = dev->iommu_group;
	iommu_owner_lock(group);
	iommu_owner_retry(group, dev);
	ret = claim_by_driver(group, dev);
	iommu_owner_unlock(group);
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
		if (!group->ownership.owner &&
		    !iommu_owner_kernel_user(group, NULL))
			__iommu_group_remove_pasids(group);
	}
	mutex_unlock(&group->mutex);
}

/* Add the group of @own to those of @owner. */
static int claim_link(struct iommu_owner *owner, struct iommu_ownership *own)
{
	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		return -ESTALE;
	list_add_tail(&own->node, &owner->groups);
	return 0;
}

static void claim_unlink(struct iommu_owner *owner, struct iommu_ownership *own)
{
	guard(spinlock)(&owner->lock);
	list_del(&own->node);
}

static void claim_set_owner(struct iommu_ownership *own,
			    struct iommu_owner *owner)
{
	own->owner = iommu_owner_get(owner);
	own->pid = get_pid(task_tgid(current));
	/* It always ends in a zero; a lock costs more than this is worth */
	memcpy(own->comm, current->comm, sizeof(own->comm));
}

/* A concept has refused. The caller has a reference to @owner. */
static void claim_undo(struct iommu_group *group, struct iommu_owner *owner)
{
	claim_unlink(owner, &group->ownership);
	iommu_owner_unlink(group);
	iommu_owner_put(owner);
	iommu_owner_undo_group(group);
}

/*
 * Make @owner the owner of @group, which is the kernel's, but for its state. @lender
 * is the device whose driver lends its own kernel use, or NULL.
 */
static int claim_first(struct iommu_group *group, struct iommu_owner *owner,
		       struct device *lender, bool claim)
{
	struct iommu_ownership *own = &group->ownership;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices) || !group->default_domain)
		return -ENODEV;
	if (iommu_owner_conflicts(group, lender))
		return -EBUSY;

	ret = iommu_owner_may_own(group, owner->name);
	if (ret)
		return ret;
	ret = claim ? iommu_owner_may_acquire(group, owner) : 0;
	if (ret)
		return ret;
	ret = __iommu_group_alloc_blocking_domain(group);
	if (ret)
		return ret;
	ret = claim_link(owner, own);
	if (ret)
		return ret;
	ret = __iommu_group_set_domain_internal(group, group->blocking_domain,
						0);
	if (ret) {
		claim_unlink(owner, own);
		return ret;
	}

	claim_set_owner(own, owner);
	ret = claim ? iommu_owner_acquired(group, owner) : 0;
	if (ret)
		claim_undo(group, owner);
	return ret;
}

static int claim_acquire(struct iommu_group *group, struct iommu_owner *owner,
			 struct device *lender)
{
	struct iommu_ownership *own = &group->ownership;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (iommu_owner_revoked(owner))
		ret = -ESTALE;
	else if (own->owner != owner)
		ret = claim_first(group, owner, lender, true);
	else if (own->state == IOMMU_OWNER_STATE_ENDING)
		ret = -EBUSY;
	else
		ret = iommu_owner_use(group, owner);
	if (ret) {
		if (ret == -EBUSY)
			iommu_owner_report_refused_claim(group, owner->name);
		return ret;
	}
	if (own->claims++)
		iommu_owner_changed(group);
	else
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_USER);
	iommu_owner_report_claim(group);
	return 0;
}

/* Drop one claim; the last one ends the ownership or leaves a reservation. */
static int claim_drop(struct iommu_owner_teardown *teardown,
		      struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	int ret;

	ret = iommu_owner_check(group, teardown->owner);
	if (ret)
		return ret;

	if (own->claims == 1 && !own->reserved) {
		iommu_owner_block_group(teardown, group);
		return 0;
	}
	if (--own->claims) {
		iommu_owner_changed(group);
	} else {
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_RESERVED);
		if (iommu_owner_block_dma(group)) {
			/* Tried again there */
			iommu_owner_block_group(teardown, group);
			return 0;
		}
	}
	iommu_owner_report_release(group, teardown->owner);
	iommu_owner_event(teardown->owner, IOMMU_OWNER_EVENT_RELEASED, group,
			  NULL, 0);
	return 0;
}

static int claim_group(struct iommu_owner *owner, struct iommu_group *group,
		       struct device *lender)
{
	LIST_HEAD(awake);
	int ret;

	iommu_owner_wake(group, &awake);
	iommu_owner_lock(group);
	iommu_owner_retry(group, NULL);
	if (lender && !list_is_singular(&group->devices))
		ret = -EINVAL;
	else
		ret = claim_acquire(group, owner, lender);
	iommu_owner_unlock_claimed(group);
	iommu_owner_sleep(&awake);
	if (!ret)
		iommu_owner_notify_claim(owner, group);
	return ret;
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
 * Context: May sleep. Takes the mutex of @group. If the kernel is locked down, resumes
 * the devices of @group.
 * Return: 0; -EBUSY if a driver or another owner has the group, or it is in
 * quarantine, or the last ownership has not ended yet; -ESTALE if @owner has
 * been revoked; -EPERM if a device of the group is not trusted, or the kernel is locked
 * down and the group is not isolated, see iommu_owner_isolation_lease(); -ENODEV if it
 * has no device or is not set up yet; -ENOMEM; or the error of the IOMMU driver that
 * could not block DMA.
 */
int iommu_owner_claim_group(struct iommu_owner *owner,
			    struct iommu_group *group)
{
	return claim_group(owner, group, NULL);
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
 * Return: 0; -ESTALE if the ownership has ended, or @owner has been revoked;
 * -EACCES if another owner has the group.
 */
int iommu_owner_release_group(struct iommu_owner *owner,
			      struct iommu_group *group)
{
	struct iommu_owner_teardown teardown;
	int ret;

	iommu_owner_init_teardown(&teardown, owner,
				  IOMMU_OWNER_REASON_RELEASED);
	iommu_owner_lock(group);
	ret = claim_drop(&teardown, group);
	iommu_owner_unlock(group);
	iommu_owner_finish(&teardown);
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
 * same device from time to time. Its own use does not conflict with this
 * claim and comes back with iommu_owner_release_device(). Until then what the
 * driver had mapped through the DMA API cannot be reached by the device.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: As iommu_owner_claim_device(); -EINVAL if @dev is not alone in its
 * group.
 */
int iommu_owner_handover_device(struct iommu_owner *owner, struct device *dev)
{
	if (!dev->iommu_group)
		return -ENODEV;
	return claim_group(owner, dev->iommu_group, dev);
}
EXPORT_SYMBOL_GPL(iommu_owner_handover_device);

/*
 * As iommu_owner_reserve_group(), but return 1 if @group had not been reserved
 * before, and -EPERM if it would have to be acquired without @may_acquire.
 */
int iommu_owner_reserve(struct iommu_owner *owner, struct iommu_group *group,
			bool may_acquire)
{
	struct iommu_ownership *own = &group->ownership;
	int ret;

	iommu_owner_lock(group);
	iommu_owner_retry(group, NULL);
	if (iommu_owner_revoked(owner))
		ret = -ESTALE;
	else if (own->owner == owner)
		ret = own->state == IOMMU_OWNER_STATE_ENDING ? -EBUSY : 0;
	else
		ret = may_acquire ? claim_first(group, owner, NULL, false) :
				    -EPERM;
	if (!ret && !own->reserved) {
		own->reserved = true;
		ret = 1;
		if (own->claims)
			iommu_owner_changed(group);
		else
			iommu_owner_set_state(group,
					      IOMMU_OWNER_STATE_RESERVED);
		iommu_owner_report_claim(group);
	} else if (ret == -EBUSY) {
		iommu_owner_report_refused_claim(group, owner->name);
	}
	iommu_owner_unlock_claimed(group);
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
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_reserve_group);

/* As iommu_owner_unreserve_group(), but the caller finishes @teardown. */
int iommu_owner_unreserve(struct iommu_owner_teardown *teardown,
			  struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner *owner = teardown->owner;
	int ret = 0;

	iommu_owner_lock(group);
	if (!own->owner || (own->owner == owner && !own->reserved)) {
		ret = -ESTALE;
	} else if (own->owner != owner) {
		ret = iommu_owner_revoked(owner) ? -ESTALE : -EACCES;
	} else {
		own->reserved = false;
		iommu_owner_changed(group);
		if (own->claims)
			iommu_owner_event(owner, IOMMU_OWNER_EVENT_RELEASED,
					  group, NULL, 0);
		else
			iommu_owner_block_group(teardown, group);
	}
	iommu_owner_unlock(group);
	return ret;
}

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
	struct iommu_owner_teardown teardown;
	int ret;

	iommu_owner_init_teardown(&teardown, owner,
				  IOMMU_OWNER_REASON_RELEASED);
	ret = iommu_owner_unreserve(&teardown, group);
	iommu_owner_finish(&teardown);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_unreserve_group);

/**
 * iommu_owner_group_viable() - Would a claim succeed now?
 * @group: The group; the caller has a reference.
 * @owner: The owner that would claim; NULL for a new owner of user space.
 *
 * The answer may be out of date when the caller looks at it. A refusal is logged
 * like that of a claim: a caller that asks first does not claim then.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: true if no driver, no other owner and no quarantine conflicts, and the
 * devices are trusted.
 */
bool iommu_owner_group_viable(struct iommu_group *group,
			      struct iommu_owner *owner)
{
	const struct iommu_ownership *own = &group->ownership;
	const char *who = owner ? owner->name : "user";
	bool viable;

	iommu_owner_lock(group);
	iommu_owner_retry(group, NULL);
	if (owner && own->owner == owner)
		viable = own->state != IOMMU_OWNER_STATE_ENDING;
	else
		viable = !iommu_owner_group_busy(group);
	if (!viable)
		iommu_owner_report_refused_claim(group, who);
	else if (own->state == IOMMU_OWNER_STATE_BLOCKED)
		viable = !iommu_owner_may_own(group, who);
	iommu_owner_unlock(group);
	return viable;
}
EXPORT_SYMBOL_GPL(iommu_owner_group_viable);

#if IS_ENABLED(CONFIG_KUNIT)
/* End an ownership whose devices could not be quiesced, as the end finds them. */
int iommu_owner_quarantine_group(struct iommu_owner *owner,
				 struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_teardown teardown;
	int ret = 0;

	iommu_owner_init_teardown(&teardown, owner, IOMMU_OWNER_REASON_REVOKED);
	iommu_owner_lock(group);
	if (!own->owner || (own->owner == owner &&
			    own->state == IOMMU_OWNER_STATE_ENDING)) {
		ret = -ESTALE;
	} else if (own->owner != owner) {
		ret = iommu_owner_revoked(owner) ? -ESTALE : -EACCES;
	} else {
		own->quarantine = IOMMU_OWNER_QUARANTINE_DEVICE;
		iommu_owner_block_group(&teardown, group);
	}
	iommu_owner_unlock(group);
	iommu_owner_finish(&teardown);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_quarantine_group);
#endif
