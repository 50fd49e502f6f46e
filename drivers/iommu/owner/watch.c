// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches: notifications of the start and the end of ownerships
 *
 * A watch is notified of each end once, without a lock of the IOMMU core held and
 * without being waited for. There is no lock over the callbacks: an ownership may
 * end because VFIO closes a device, with the locks of VFIO held, or because its
 * owner is revoked, and then the watches of VFIO take the same locks.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>

#include "quarantine.h"
#include "watch.h"

static bool watch_other_vm(struct iommu_owner *owner,
			   struct iommu_owner_watch *watch)
{
	struct iommu_owner_watch *other;

	lockdep_assert_held(&owner->lock);

	list_for_each_entry(other, &owner->watches, node)
		if (other->vm && !other->dead &&
		    other->vm->kvm != watch->vm->kvm)
			return true;
	return false;
}

/* Watches of VMs leave room for those of devices, which must be revoked. */
static bool watch_too_many(const struct iommu_owner *owner,
			   const struct iommu_owner_watch *watch)
{
	lockdep_assert_held(&owner->lock);

	if (watch->vm && owner->nr_vms >= IOMMU_OWNER_WATCHES_MAX / 2)
		return true;
	return owner->nr_watches >= IOMMU_OWNER_WATCHES_MAX;
}

/**
 * iommu_owner_watch() - Be notified when ownerships of an owner end
 * @owner: The owner. The watch keeps a reference.
 * @watch: The watch, filled in up to &iommu_owner_watch.group. Must stay
 *	until iommu_owner_unwatch() has returned.
 *
 * The watch is notified of each end that starts from now on, once. A watch with
 * a VM also associates the owner with that VM; an owner that user space has made
 * belongs to one VM.
 *
 * Context: Process. Takes the lock of the owner.
 * Return: 0; -EBUSY if @owner is associated with another VM; -ESTALE if @owner
 * has been revoked; -ENOSPC if it has IOMMU_OWNER_WATCHES_MAX watches, or half as
 * many with a VM, and @watch has one.
 */
int iommu_owner_watch(struct iommu_owner *owner,
		      struct iommu_owner_watch *watch)
{
	struct iommu_owner_watch *pos;

	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		return -ESTALE;
	if (owner->explicit && watch->vm && watch_other_vm(owner, watch))
		return -EBUSY;
	if (watch_too_many(owner, watch))
		return -ENOSPC;
	owner->nr_watches++;
	owner->nr_vms += !!watch->vm;

	list_for_each_entry(pos, &owner->watches, node)
		if (pos->class > watch->class)
			break;
	list_add_tail(&watch->node, &pos->node);
	watch->owner = iommu_owner_get(owner);
	watch->number = ++owner->watched;
	watch->users = 0;
	watch->dead = false;
	watch->draining = false;
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_owner_watch);

static void watch_start_draining(struct iommu_owner_watch *watch)
{
	lockdep_assert_held(&watch->owner->lock);

	if (!watch->group || watch->draining)
		return;
	watch->draining = true;
	watch->group->ownership.draining++;
}

/* If true, the caller wakes the waiters of the owner when it has unlocked it. */
static bool watch_drained(struct iommu_owner_watch *watch)
{
	struct iommu_ownership *own;

	lockdep_assert_held(&watch->owner->lock);

	if (!watch->draining)
		return false;
	watch->draining = false;
	own = &watch->group->ownership;
	WRITE_ONCE(own->draining, own->draining - 1);
	if (own->draining)
		return false;
	/* Paired with the one in end_quiesce(), which sets the reason */
	smp_mb();
	/* The end may wait for this, or have given up and left a quarantine */
	if (READ_ONCE(own->quarantine) == IOMMU_OWNER_QUARANTINE_ACCESS)
		iommu_owner_queue_retry(watch->group);
	return true;
}

/**
 * iommu_owner_watch_drained() - Nothing is left of the user of a device
 * @watch: The watch, whose shut() has returned -EINPROGRESS or is going to. No
 *	operation of the former user runs, nothing is mapped, no interrupt is on.
 *
 * Context: May sleep, takes the lock of the owner. Not after
 * iommu_owner_unwatch().
 */
void iommu_owner_watch_drained(struct iommu_owner_watch *watch)
{
	/* The task that was waited for may remove the watch at once */
	struct iommu_owner *owner = iommu_owner_get(watch->owner);
	bool drained;

	scoped_guard(spinlock, &owner->lock)
		drained = watch_drained(watch);
	if (drained)
		wake_up_all(&owner->wait);
	iommu_owner_put(owner);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_watch_drained);

/**
 * iommu_owner_unwatch() - Be notified no more
 * @watch: The watch; nothing happens if it does not watch an owner.
 *
 * Waits for a callback of @watch that is running, so the caller has no lock
 * that the callback takes. The watch counts as drained.
 *
 * Context: May sleep. Not from a callback of @watch.
 */
void iommu_owner_unwatch(struct iommu_owner_watch *watch)
{
	struct iommu_owner *owner = watch->owner;
	bool drained;

	if (!owner)
		return;

	spin_lock(&owner->lock);
	watch->dead = true;
	wait_event_cmd(owner->wait, !watch->users,
		       spin_unlock(&owner->lock), spin_lock(&owner->lock));
	drained = watch_drained(watch);
	list_del(&watch->node);
	owner->nr_watches--;
	owner->nr_vms -= !!watch->vm;
	watch->owner = NULL;
	spin_unlock(&owner->lock);
	if (drained)
		wake_up_all(&owner->wait);
	iommu_owner_put(owner);
}
EXPORT_SYMBOL_GPL(iommu_owner_unwatch);

/* With owner->lock: keep @watch in its place while it is dropped. */
static void watch_get(struct iommu_owner_watch *watch)
	__releases(&watch->owner->lock)
{
	watch->users++;
	spin_unlock(&watch->owner->lock);
}

static void watch_put(struct iommu_owner_watch *watch)
	__acquires(&watch->owner->lock)
{
	struct iommu_owner *owner = watch->owner;

	spin_lock(&owner->lock);
	if (!--watch->users && watch->dead)
		wake_up_all(&owner->wait);
}

static bool watch_concerns(const struct iommu_owner_watch *watch,
			   const struct iommu_group *group, u64 last)
{
	return !watch->dead && watch->number <= last &&
	       (!watch->group || watch->group == group);
}

/* The number of the last watch of @owner, 0 if it has none */
u64 iommu_owner_last_watch(struct iommu_owner *owner)
{
	/* Watches added later need no notification */
	if (list_empty_careful(&owner->watches))
		return 0;
	guard(spinlock)(&owner->lock);
	return owner->watched;
}

/*
 * Pass 2 of an end, see end.c: notify the watches of a class. Those that came
 * after number @last are left out: with them this could go on for ever.
 */
void iommu_owner_shut_group(struct iommu_owner *owner,
			    struct iommu_group *group,
			    enum iommu_owner_watch_class class,
			    enum iommu_owner_reason reason, u64 last)
{
	const struct iommu_owner_end end = {
		.group = group->id,
		.reason = reason,
	};
	struct iommu_owner_watch *watch;
	bool drained = false;
	int ret;

	spin_lock(&owner->lock);
	list_for_each_entry(watch, &owner->watches, node) {
		if (watch->class != class || !watch->ops->shut ||
		    !watch_concerns(watch, group, last))
			continue;
		watch_start_draining(watch);
		watch_get(watch);
		ret = watch->ops->shut(watch, &end);
		watch_put(watch);
		if (ret != -EINPROGRESS)
			drained |= watch_drained(watch);
	}
	spin_unlock(&owner->lock);
	if (drained)
		wake_up_all(&owner->wait);
}

/* Does a watch of @owner drain, of whatever group? */
bool iommu_owner_draining(struct iommu_owner *owner)
{
	struct iommu_owner_watch *watch;

	guard(spinlock)(&owner->lock);
	list_for_each_entry(watch, &owner->watches, node)
		if (watch->draining)
			return true;
	return false;
}

void iommu_owner_notify_claim(struct iommu_owner *owner,
			      const struct iommu_group *group)
{
	u64 last = iommu_owner_last_watch(owner);
	struct iommu_owner_watch *watch;

	if (!last)
		return;

	spin_lock(&owner->lock);
	list_for_each_entry(watch, &owner->watches, node) {
		if (!watch->ops->claimed || !watch_concerns(watch, group, last))
			continue;
		watch_get(watch);
		watch->ops->claimed(watch);
		watch_put(watch);
	}
	spin_unlock(&owner->lock);
}
