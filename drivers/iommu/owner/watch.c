// SPDX-License-Identifier: GPL-2.0-only
/*
 * End of an ownership: who is told, in which order, exactly once
 *
 * An ownership is an owner and a group. It ends in these steps:
 *
 *	1. no operation of the owner may start, DMA is blocked: under the mutex
 *	   of the group, in iommu_owner_begin_end()
 *	2. watches are told, those of the CPU side before those of the devices
 *	3. devices are quiesced
 *	4. the default domain returns, or the group goes into quarantine
 *
 * Who begins the end carries it through; the mutex of the group is dropped in
 * steps 2 and 3. There is no lock over the callbacks: an owner may end because
 * VFIO closes it, with the locks of VFIO held, or because it is revoked, and
 * then the watches of VFIO take the same locks.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/iommu.h>

#include "owner.h"

static bool other_vm(struct iommu_owner *owner,
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

/**
 * iommu_owner_watch() - Be told when ownerships of an owner end
 * @owner: The owner. The watch keeps a reference.
 * @watch: The watch, filled in up to &iommu_owner_watch.group. Must stay
 *	until iommu_owner_unwatch() has returned.
 *
 * The watch is told of each end that begins from now on, once. A watch with a
 * VM also associates the owner with that VM.
 *
 * Context: Process. Takes the lock of the owner.
 * Return: 0; -EBUSY if @owner is associated with another VM; -ESTALE if @owner
 * has been revoked; -ENOSPC if it has IOMMU_OWNER_WATCHES_MAX watches.
 */
int iommu_owner_watch(struct iommu_owner *owner,
		      struct iommu_owner_watch *watch)
{
	struct iommu_owner_watch *pos;

	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		return -ESTALE;
	if (watch->vm && other_vm(owner, watch))
		return -EBUSY;
	if (owner->nr_watches >= IOMMU_OWNER_WATCHES_MAX)
		return -ENOSPC;
	owner->nr_watches++;

	list_for_each_entry(pos, &owner->watches, node)
		if (pos->class > watch->class)
			break;
	list_add_tail(&watch->node, &pos->node);
	watch->owner = iommu_owner_get(owner);
	watch->number = ++owner->watched;
	watch->users = 0;
	watch->dead = false;
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_owner_watch);

/**
 * iommu_owner_unwatch() - Be told no more
 * @watch: The watch; nothing happens if it does not watch an owner.
 *
 * Waits for a callback of @watch that is running, so the caller has no lock
 * that the callback takes.
 *
 * Context: May sleep. Not from a callback of @watch.
 */
void iommu_owner_unwatch(struct iommu_owner_watch *watch)
{
	struct iommu_owner *owner = watch->owner;

	if (!owner)
		return;

	spin_lock(&owner->lock);
	watch->dead = true;
	wait_event_cmd(owner->wait, !watch->users,
		       spin_unlock(&owner->lock), spin_lock(&owner->lock));
	list_del(&watch->node);
	owner->nr_watches--;
	watch->owner = NULL;
	spin_unlock(&owner->lock);
	iommu_owner_put(owner);
}
EXPORT_SYMBOL_GPL(iommu_owner_unwatch);

/*
 * Run the callbacks of @owner in order, claimed() if @end is NULL, but not those
 * of watches that came after number @last: with them this could go on for ever.
 * A watch stays in its place in the list while its callback runs. Return the
 * first error.
 */
static int tell(struct iommu_owner *owner, const struct iommu_group *group,
		const struct iommu_owner_end *end, u64 last)
{
	struct iommu_owner_watch *watch;
	int err, ret = 0;

	spin_lock(&owner->lock);
	list_for_each_entry(watch, &owner->watches, node) {
		if (watch->dead || watch->number > last ||
		    (watch->group && watch->group != group) ||
		    (end ? !watch->ops->ended : !watch->ops->claimed))
			continue;
		watch->users++;
		spin_unlock(&owner->lock);

		err = 0;
		if (end)
			err = watch->ops->ended(watch, end);
		else
			watch->ops->claimed(watch);
		ret = ret ?: err;

		spin_lock(&owner->lock);
		if (!--watch->users && watch->dead)
			wake_up_all(&owner->wait);
	}
	spin_unlock(&owner->lock);
	return ret;
}

void iommu_owner_tell_claim(struct iommu_owner *owner,
			    const struct iommu_group *group)
{
	u64 last;

	/* Whoever begins to watch now does not care: nothing has ended yet */
	if (list_empty_careful(&owner->watches))
		return;
	scoped_guard(spinlock, &owner->lock)
		last = owner->watched;
	tell(owner, group, NULL, last);
}

/* Take away all that the owner has attached. */
int iommu_owner_block_dma(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	group->ownership.attaches = 0;
	if (list_empty(&group->devices))
		return 0;
	__iommu_group_remove_pasids(group);
	return __iommu_group_set_domain_internal(group, group->blocking_domain,
						 IOMMU_SET_DOMAIN_MUST_SUCCEED);
}

/* Step 1. iommu_owner_end() does the others. */
void iommu_owner_begin_end(struct iommu_owner_section *section,
			   enum iommu_owner_reason reason)
{
	struct iommu_group *group = section->group;
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner *owner = own->owner;

	lockdep_assert_held(&group->mutex);

	own->ending = true;
	own->claims = 0;
	own->reserved = false;
	iommu_owner_changed(group);
	if (iommu_owner_block_dma(group))
		own->quarantine = "DMA cannot be blocked";
	iommu_owner_report_release(group, owner);

	spin_lock(&owner->lock);
	list_del(&own->node);
	owner->ending++;
	section->watched = list_empty(&owner->watches) ? 0 : owner->watched;
	spin_unlock(&owner->lock);

	section->ended = owner;
	section->reason = reason;
}

static void forget_owner(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner *owner = own->owner;

	lockdep_assert_held(&group->mutex);

	iommu_owner_end_isolation(group);
	own->owner = NULL;
	own->ending = false;
	own->pid = 0;
	own->comm[0] = '\0';
	iommu_owner_changed(group);

	spin_lock(&owner->lock);
	/* Who waits looks at this under the lock, after it has begun to wait */
	if (!--owner->ending && waitqueue_active(&owner->wait))
		wake_up_all(&owner->wait);
	spin_unlock(&owner->lock);
	iommu_owner_events_wake(owner);
}

/* Steps 2 to 4. The caller drops the reference of the group to the owner. */
void iommu_owner_finish(struct iommu_owner_section *section)
{
	struct iommu_group *group = section->group;
	struct iommu_ownership *own = &group->ownership;
	const struct iommu_owner_end end = {
		.group = group->id,
		.reason = section->reason,
	};
	int ret = 0;

	lockdep_assert_held(&group->mutex);

	if (section->watched) {
		mutex_unlock(&group->mutex);
		ret = tell(section->ended, group, &end, section->watched);
		mutex_lock(&group->mutex);
	}
	if (ret)
		own->quarantine = "user space may still have access";
	iommu_owner_token_event(section->ended, IOMMU_OWNER_EVENT_ENDED, group,
				NULL, section->reason);
	if (!own->quarantine)
		own->quarantine = iommu_owner_quiesce_group(group, NULL);
	forget_owner(group);

	if (!own->quarantine)
		own->quarantine = iommu_owner_attach_default(group);
	if (own->quarantine)
		pr_err("group %d: quarantined: %s\n", group->id,
		       own->quarantine);
	else
		iommu_owner_reprobe(group);
}

/* The group of @owner with the lowest number over @after, with a reference */
struct iommu_group *iommu_owner_next_group(struct iommu_owner *owner, int after)
{
	struct iommu_group *group, *next = NULL;
	struct iommu_ownership *own;

	guard(spinlock)(&owner->lock);
	list_for_each_entry(own, &owner->groups, node) {
		group = container_of(own, struct iommu_group, ownership);
		if (group->id > after && (!next || group->id < next->id))
			next = group;
	}
	return next ? iommu_group_ref_get(next) : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_next_group);

/**
 * iommu_owner_revoke() - Take all groups back from an owner
 * @owner: The owner; the caller has a reference.
 *
 * When this returns, all ownerships of @owner have ended, also those that
 * another task has been ending: DMA is blocked, watches have been told. @owner
 * cannot claim again. Revoking twice is the same as once.
 *
 * Context: May sleep. The caller has no lock that a watch of @owner takes, and is
 * no callback of one.
 */
void iommu_owner_revoke(struct iommu_owner *owner)
{
	struct iommu_owner_section section;
	struct iommu_group *group;
	bool first;

	spin_lock(&owner->lock);
	first = !owner->revoked;
	WRITE_ONCE(owner->revoked, true);
	owner->ending += first;
	spin_unlock(&owner->lock);
	if (first)
		iommu_owner_token_event(owner, IOMMU_OWNER_EVENT_REVOKED, NULL,
					NULL, IOMMU_OWNER_REASON_REVOKED);

	while ((group = iommu_owner_next_group(owner, -1))) {
		iommu_owner_begin(&section, group);
		if (group->ownership.owner == owner && !group->ownership.ending)
			iommu_owner_begin_end(&section, IOMMU_OWNER_REASON_REVOKED);
		iommu_owner_end(&section);
		iommu_group_put(group);
	}

	spin_lock(&owner->lock);
	owner->ending -= first;
	if (!owner->ending)
		wake_up_all(&owner->wait);
	wait_event_cmd(owner->wait, !owner->ending,
		       spin_unlock(&owner->lock), spin_lock(&owner->lock));
	spin_unlock(&owner->lock);
	iommu_owner_events_wake(owner);
}
EXPORT_SYMBOL_GPL(iommu_owner_revoke);

/**
 * iommu_owner_revoked() - Has an owner been revoked?
 * @owner: The owner; the caller has a reference.
 *
 * Context: Any.
 * Return: true once iommu_owner_revoke() has begun.
 */
bool iommu_owner_revoked(struct iommu_owner *owner)
{
	return READ_ONCE(owner->revoked);
}
EXPORT_SYMBOL_GPL(iommu_owner_revoked);
