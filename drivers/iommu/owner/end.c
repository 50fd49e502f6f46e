// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of ownerships, of one group or of all groups of an owner
 *
 * All groups of an end go through each of these passes together:
 *
 *	1. Block: state ENDING, no operation of the owner starts, PASIDs are
 *	   detached, the blocking domain is attached. Nothing is waited for.
 *	2. Shut: watches are notified, those of the CPU side first.
 *	3. Drain: wait for the watches through which user space still has
 *	   access, for all groups together no longer than END_DRAIN_TIMEOUT.
 *	4. Quiesce the devices.
 *	5. Return: the default domain, or quarantine. A group whose watches have
 *	   not drained is quarantined, and completes by itself when they have.
 *
 * The task that has blocked a group carries it through.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "end.h"
#include "quarantine.h"
#include "report.h"
#include "watch.h"

#define END_DRAIN_TIMEOUT	(5 * HZ)

void iommu_owner_init_teardown(struct iommu_owner_teardown *teardown,
			       struct iommu_owner *owner,
			       enum iommu_owner_reason reason)
{
	teardown->owner = owner;
	teardown->reason = reason;
	teardown->watched = 0;
	INIT_LIST_HEAD(&teardown->groups);
}

static struct iommu_group *end_group(struct iommu_ownership *own)
{
	return container_of(own, struct iommu_group, ownership);
}

#define for_each_ending(own, next, teardown)				\
	list_for_each_entry_safe(own, next, &(teardown)->groups, node)

/* Detach all that the owner has attached. */
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

/* Pass 1. iommu_owner_finish() does the others. */
void iommu_owner_block_group(struct iommu_owner_teardown *teardown,
			     struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner *owner = teardown->owner;

	lockdep_assert_held(&group->mutex);

	own->claims = 0;
	own->reserved = false;
	iommu_owner_set_state(group, IOMMU_OWNER_STATE_ENDING);
	if (iommu_owner_block_dma(group))
		own->quarantine = IOMMU_OWNER_QUARANTINE_DMA;
	iommu_owner_report_release(group, owner);

	scoped_guard(spinlock, &owner->lock) {
		list_move_tail(&own->node, &teardown->groups);
		owner->ending++;
		if (own->quarantine == IOMMU_OWNER_QUARANTINE_DMA)
			owner->unblocked = true;
	}
	teardown->watched = iommu_owner_last_watch(owner);
	iommu_group_ref_get(group);
}

static void end_shut(struct iommu_owner_teardown *teardown)
{
	struct iommu_ownership *own, *next;

	if (!teardown->watched)
		return;
	for (int class = IOMMU_OWNER_WATCH_CPU;
	     class <= IOMMU_OWNER_WATCH_DEVICE; class++)
		for_each_ending(own, next, teardown)
			iommu_owner_shut_group(teardown->owner, end_group(own),
					       class, teardown->reason,
					       teardown->watched);
}

static bool end_drained(struct iommu_owner_teardown *teardown)
{
	struct iommu_ownership *own, *next;

	for_each_ending(own, next, teardown)
		if (READ_ONCE(own->draining))
			return false;
	return true;
}

/* Operations of other tasks: only the caller of a revoke may stop waiting. */
static void end_drain(struct iommu_owner_teardown *teardown)
{
	struct iommu_owner *owner = teardown->owner;

	if (!teardown->watched)
		return;
	if (teardown->reason == IOMMU_OWNER_REASON_REVOKED)
		wait_event_killable_timeout(owner->wait, end_drained(teardown),
					    END_DRAIN_TIMEOUT);
	else
		wait_event_timeout(owner->wait, end_drained(teardown),
				   END_DRAIN_TIMEOUT);
}

static void end_quiesce(struct iommu_owner_teardown *teardown)
{
	struct iommu_ownership *own, *next;
	struct iommu_group *group;

	for_each_ending(own, next, teardown) {
		group = end_group(own);
		iommu_owner_lock(group);
		if (READ_ONCE(own->draining) && !own->quarantine)
			WRITE_ONCE(own->quarantine,
				   IOMMU_OWNER_QUARANTINE_ACCESS);
		/*
		 * Paired with the one in watch_drained(): either that sees the
		 * reason, or the retry sees that the watch has drained
		 */
		smp_mb();
		iommu_owner_quiesce_group(group);
		iommu_owner_unlock(group);
	}
}

/* @group has no owner any more; the caller puts the reference to it. */
void iommu_owner_unlink(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	iommu_owner_ended(group);
	own->owner = NULL;
	put_pid(own->pid);
	own->pid = NULL;
	own->comm[0] = '\0';
}

static void end_return_group(struct iommu_owner_teardown *teardown,
			     struct iommu_group *group)
{
	struct iommu_owner *owner = teardown->owner;
	bool last;

	iommu_owner_lock(group);
	list_del(&group->ownership.node);
	iommu_owner_unlink(group);
	iommu_owner_return_group(group);
	iommu_owner_event(owner, IOMMU_OWNER_EVENT_ENDED, group, NULL,
			  teardown->reason);
	iommu_owner_unlock(group);

	spin_lock(&owner->lock);
	/* A waiter checks this under the lock, after it has started to wait */
	last = !--owner->ending && waitqueue_active(&owner->wait);
	spin_unlock(&owner->lock);
	if (last)
		wake_up_all(&owner->wait);
	iommu_owner_settled(owner);
	iommu_owner_put(owner);
	iommu_group_put(group);
}

/**
 * iommu_owner_finish() - Finish the end of ownerships
 * @teardown: The ownerships; their groups have been blocked. Nothing happens if
 *	there are none.
 *
 * Context: May sleep. No mutex of a group is held, and no lock that a watch of
 * the owner takes.
 */
void iommu_owner_finish(struct iommu_owner_teardown *teardown)
{
	struct iommu_ownership *own, *next;

	if (list_empty(&teardown->groups))
		return;

	end_shut(teardown);
	end_drain(teardown);
	end_quiesce(teardown);
	for_each_ending(own, next, teardown)
		end_return_group(teardown, end_group(own));
}

/**
 * iommu_owner_device_left() - A device has left a group
 * @teardown: Filled in. The caller passes it to iommu_owner_finish() when it has
 *	unlocked @group.
 * @group: The group, locked.
 * @dev: The device; it is not in the list of @group any more.
 *
 * A group without devices has nothing that could be owned, and its domains go
 * with its last device.
 *
 * Context: May sleep.
 */
void iommu_owner_device_left(struct iommu_owner_teardown *teardown,
			     struct iommu_group *group, struct device *dev)
{
	struct iommu_ownership *own = &group->ownership;

	iommu_owner_init_teardown(teardown, own->owner,
				  IOMMU_OWNER_REASON_REMOVED);
	iommu_owner_left(group, dev);
	if (own->owner)
		iommu_owner_event(own->owner,
				  IOMMU_OWNER_EVENT_DEVICE_REMOVED, group, dev,
				  0);
	if (!list_empty(&group->devices))
		return;
	if (own->owner && own->state != IOMMU_OWNER_STATE_ENDING)
		iommu_owner_block_group(teardown, group);
}

/* Pass 1 for all groups that @teardown->owner still has */
static void end_block_all(struct iommu_owner_teardown *teardown)
{
	struct iommu_owner *owner = teardown->owner;
	struct iommu_group *group;

	while ((group = iommu_owner_next_group(owner, -1))) {
		iommu_owner_lock(group);
		if (group->ownership.owner == owner &&
		    group->ownership.state != IOMMU_OWNER_STATE_ENDING)
			iommu_owner_block_group(teardown, group);
		iommu_owner_unlock(group);
		iommu_group_put(group);
	}
}

/* Has every ownership of @owner ended, and nothing is left of its users? */
static bool end_is_complete(struct iommu_owner *owner)
{
	scoped_guard(spinlock, &owner->lock)
		if (owner->ending)
			return false;
	return !iommu_owner_draining(owner) && !iommu_owner_busy(owner);
}

/* Also those that another task has started, or that are left in quarantine */
static int end_wait_for_others(struct iommu_owner *owner, unsigned long deadline)
{
	long left = (long)(deadline - jiffies);
	long ret;

	ret = wait_event_killable_timeout(owner->wait, end_is_complete(owner),
					  max(left, 0L));
	if (READ_ONCE(owner->unblocked))
		return -EIO;
	if (ret > 0)
		return 0;
	return ret ? -EINTR : -ETIMEDOUT;
}

/**
 * iommu_owner_revoke() - Take all groups from an owner
 * @owner: The owner; the caller has a reference.
 *
 * When this returns 0, all ownerships of @owner have ended, also those that
 * another task has been ending: DMA is blocked, and user space has no access to a
 * device. @owner cannot claim again. With -ETIMEDOUT and -EINTR, DMA is blocked as
 * well, but an operation of the former user still runs; its groups are in
 * quarantine, and complete by themselves. Revoking again waits again.
 *
 * Context: May sleep, for 5 s at most plus the time that resets take. The caller
 * has no lock that a watch of @owner takes, and is no callback of one.
 * Return: 0; -ETIMEDOUT if user space may still have access; -EINTR if the
 * caller was killed before it was known; -EIO if the IOMMU driver could not block
 * the DMA of a group, which is in quarantine, whatever else is left.
 */
int iommu_owner_revoke(struct iommu_owner *owner)
{
	unsigned long deadline = jiffies + END_DRAIN_TIMEOUT;
	struct iommu_owner_teardown teardown;
	bool first, last;

	spin_lock(&owner->lock);
	first = !owner->revoked;
	WRITE_ONCE(owner->revoked, true);
	owner->ending += first;
	spin_unlock(&owner->lock);
	if (first)
		iommu_owner_event(owner, IOMMU_OWNER_EVENT_REVOKED, NULL, NULL,
				  IOMMU_OWNER_REASON_REVOKED);

	iommu_owner_init_teardown(&teardown, owner, IOMMU_OWNER_REASON_REVOKED);
	end_block_all(&teardown);
	iommu_owner_revoking(owner);
	iommu_owner_finish(&teardown);

	spin_lock(&owner->lock);
	owner->ending -= first;
	last = !owner->ending;
	spin_unlock(&owner->lock);
	if (last)
		wake_up_all(&owner->wait);
	iommu_owner_settled(owner);
	return end_wait_for_others(owner, deadline);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_revoke);
