// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of an owner, in one ring that all of its tokens read
 *
 * An event is written once, however many tokens there are. Each token has a
 * position of its own. If the ring has moved on past it, the token first reads
 * how many events it has missed: nothing is dropped silently, and what it reads
 * is in order. A token for one group passes over the events of the others.
 *
 * Waiting readers are woken by a work item, with no lock of the core held, and
 * through a wait queue of their token: their number is theirs to choose, and no
 * other token waits for it.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "token.h"

/**
 * struct event_slot - Place of an event in the ring
 * @event: The record, without the process id; undefined if the slot is empty.
 * @pid: The process, with a reference; NULL if the slot is empty.
 */
struct event_slot {
	struct iommu_owner_event event;
	struct pid *pid;
};

/**
 * struct iommu_owner_events - The ring of an owner
 * @tokens: Those that read it; also read under RCU.
 * @wake: Wakes their readers.
 * @lost_time: Time of the last event that was overwritten.
 * @slots: The last TOKEN_EVENTS events; that with number n is in slot
 *	n % TOKEN_EVENTS.
 *
 * It comes with the first token that may read it, and stays as long as the
 * owner. @tokens, @lost_time and @slots are protected by the lock of the owner.
 */
struct iommu_owner_events {
	struct list_head tokens;
	struct work_struct wake;
	u64 lost_time;
	struct event_slot slots[TOKEN_EVENTS];
};

static void event_wake_work(struct work_struct *work)
{
	struct iommu_owner_events *ring =
		container_of(work, struct iommu_owner_events, wake);
	struct iommu_owner_token *token;

	guard(rcu)();
	list_for_each_entry_rcu(token, &ring->tokens, reader)
		wake_up_interruptible_all(&token->wait);
}

/* Give @owner a ring, if it has none. */
static int event_alloc_ring(struct iommu_owner *owner)
{
	struct iommu_owner_events *ring;

	if (READ_ONCE(owner->ring))
		return 0;
	/* Not cleared: that would cost ten times what a token does */
	ring = kvmalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return -ENOMEM;
	INIT_LIST_HEAD(&ring->tokens);
	INIT_WORK(&ring->wake, event_wake_work);
	ring->lost_time = 0;
	for (unsigned int i = 0; i < TOKEN_EVENTS; i++)
		ring->slots[i].pid = NULL;
	scoped_guard(spinlock, &owner->lock) {
		if (!owner->ring) {
			/* Found without the lock, it is initialised */
			smp_store_release(&owner->ring, ring);
			return 0;
		}
	}
	kvfree(ring);
	return 0;
}

/*
 * @token may read events of its owner from now on, until it is closed. It is
 * freed after an RCU grace period then.
 */
int iommu_owner_events_open(struct iommu_owner_token *token)
{
	struct iommu_owner *owner = token->owner;
	int ret;

	ret = event_alloc_ring(owner);
	if (ret)
		return ret;
	init_waitqueue_head(&token->wait);
	guard(spinlock)(&owner->lock);
	list_add_tail_rcu(&token->reader, &owner->ring->tokens);
	return 0;
}

void iommu_owner_events_close(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	list_del_rcu(&token->reader);
}

/* The last reference to @owner is gone. */
static void event_free(struct iommu_owner *owner)
{
	struct iommu_owner_events *ring = owner->ring;

	if (!ring)
		return;
	cancel_work_sync(&ring->wake);
	for (unsigned int i = 0; i < TOKEN_EVENTS; i++)
		put_pid(ring->slots[i].pid);
	kvfree(ring);
}

/* Something has changed that readers of @owner may wait for. Does not sleep. */
static void event_wake(struct iommu_owner *owner)
{
	struct iommu_owner_events *ring = READ_ONCE(owner->ring);
	struct iommu_owner_token *token;

	if (!ring)
		return;
	guard(rcu)();
	list_for_each_entry_rcu(token, &ring->tokens, reader) {
		/* Readers look under the lock of the owner after they began to wait */
		if (wq_has_sleeper(&token->wait)) {
			queue_work(system_unbound_wq, &ring->wake);
			return;
		}
	}
}

static void event_describe_group(struct iommu_owner_event *event,
				 struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	event->group = group->id;
	event->generation = group->ownership.generation;
	event->claims = group->ownership.claims;
	event->state = iommu_owner_group_state(group);
}

/* Write @event, which @pid has caused. @owner has a ring. */
static void event_push(struct iommu_owner *owner,
		       struct iommu_owner_event *event, struct pid *pid)
{
	struct iommu_owner_events *ring = owner->ring;
	struct event_slot *slot;
	struct pid *old;

	event->size = sizeof(*event);
	get_pid(pid);
	scoped_guard(spinlock, &owner->lock) {
		event->time = ktime_get_ns();
		event->sequence = owner->events++;
		slot = &ring->slots[event->sequence % TOKEN_EVENTS];
		old = slot->pid;
		if (old)
			ring->lost_time = slot->event.time;
		slot->event = *event;
		slot->pid = pid;
	}
	put_pid(old);
	event_wake(owner);
}

/* As iommu_owner_event() */
static void event_send(struct iommu_owner *owner,
		       enum iommu_owner_event_type type,
		       struct iommu_group *group, struct device *dev,
		       enum iommu_owner_reason reason)
{
	struct iommu_owner_event event;

	/* A token that is opened now gets the events from now on */
	if (!READ_ONCE(owner->ring))
		return;

	event = (struct iommu_owner_event) {
		.type = type,
		.group = -1,
		.reason = reason,
	};
	strscpy(event.comm, current->comm);
	if (group)
		event_describe_group(&event, group);
	if (dev)
		strscpy(event.device, dev_name(dev));
	if (type == IOMMU_OWNER_EVENT_PROBE_REFUSED)
		strscpy(event.driver, dev->driver->name);
	event_push(owner, &event, task_tgid(current));
}

/* The host was refused a device of @owner. The mutex of its group is held. */
static void event_access(struct iommu_owner *owner,
			 const struct iommu_owner_access *access)
{
	struct iommu_owner_event event;

	if (!READ_ONCE(owner->ring))
		return;

	event = (struct iommu_owner_event) {
		.type = IOMMU_OWNER_EVENT_ACCESS_REFUSED,
	};
	strscpy(event.comm, access->comm);
	event_describe_group(&event, access->group);
	strscpy(event.device, dev_name(access->dev));
	strscpy(event.driver, access->path);
	event_push(owner, &event, access->process);
}

/* As iommu_owner_pasid_event() */
static void event_pasid(struct iommu_owner *owner,
			enum iommu_owner_event_type type, ioasid_t pasid,
			struct device *dev)
{
	struct iommu_owner_event event;

	if (!READ_ONCE(owner->ring))
		return;

	event = (struct iommu_owner_event) {
		.type = type,
		.group = -1,
		.pasid = pasid,
	};
	strscpy(event.comm, current->comm);
	if (dev)
		strscpy(event.device, dev_name(dev));
	event_push(owner, &event, task_tgid(current));
}

/* Nothing can happen to an owner that is revoked and has nothing. */
static bool event_none_follows(struct iommu_owner *owner)
{
	lockdep_assert_held(&owner->lock);
	return owner->revoked && !owner->ending &&
	       list_empty(&owner->groups) && !iommu_owner_busy(owner);
}

static const struct event_slot *event_next(const struct iommu_owner_token *token)
{
	return &token->owner->ring->slots[token->next % TOKEN_EVENTS];
}

/*
 * Is the event that comes next about a group that @token is not for? PASIDs and the
 * devices that load them are of no group.
 */
static bool event_is_foreign(const struct iommu_owner_token *token)
{
	const struct iommu_owner_event *event = &event_next(token)->event;

	if (event->type >= IOMMU_OWNER_EVENT_PASID_ALLOCATED)
		return token->only.generation;
	return event->group >= 0 &&
	       !iommu_owner_token_covers(token, event->group,
					 event->generation);
}

/* Events that @token has not read, also those that it has missed */
static u64 event_count(struct iommu_owner_token *token)
{
	const struct iommu_owner *owner = token->owner;
	u64 count;

	lockdep_assert_held(&owner->lock);

	while ((count = owner->events - token->next)) {
		if (count > TOKEN_EVENTS || !event_is_foreign(token))
			break;
		token->next++;
	}
	return count;
}

/* The record for those in front of the ring that @token has missed */
static void event_lost(const struct iommu_owner_token *token,
		       struct iommu_owner_event *event)
{
	const struct iommu_owner *owner = token->owner;
	u64 last = owner->events - TOKEN_EVENTS - 1;

	*event = (struct iommu_owner_event) {
		.size = sizeof(*event),
		.type = IOMMU_OWNER_EVENT_LOST,
		.sequence = last,
		.time = owner->ring->lost_time,
		.group = -1,
		.lost = min_t(u64, last + 1 - token->next, U32_MAX),
	};
}

/* The next record of @token, as the current task may see it; false if none */
static bool event_peek(struct iommu_owner_token *token,
		       struct iommu_owner_event *event)
{
	const struct event_slot *slot;
	struct pid *pid;

	lockdep_assert_held(&token->read_lock);

	scoped_guard(spinlock, &token->owner->lock) {
		u64 count = event_count(token);

		if (!count)
			return false;
		if (count > TOKEN_EVENTS) {
			event_lost(token, event);
			return true;
		}
		slot = event_next(token);
		*event = slot->event;
		pid = get_pid(slot->pid);
	}
	event->pid = pid_vnr(pid);
	put_pid(pid);
	return true;
}

/* @event has been read. */
static void event_pass(struct iommu_owner_token *token,
		       const struct iommu_owner_event *event)
{
	guard(spinlock)(&token->owner->lock);
	token->next = event->sequence + 1;
}

/* As many whole records as there are and fit; -EFAULT if not even one did. */
static ssize_t event_copy(struct iommu_owner_token *token, char __user *buf,
			  size_t size)
{
	struct iommu_owner_event event;
	ssize_t done = 0;

	if (mutex_lock_interruptible(&token->read_lock))
		return -ERESTARTSYS;
	while (size - done >= sizeof(event) && event_peek(token, &event)) {
		if (copy_to_user(buf + done, &event, sizeof(event))) {
			done = done ?: -EFAULT;
			break;
		}
		event_pass(token, &event);
		done += sizeof(event);
	}
	mutex_unlock(&token->read_lock);
	return done;
}

static bool event_readable(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	return event_count(token) || event_none_follows(token->owner);
}

static bool event_at_end(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	return !event_count(token) && event_none_follows(token->owner);
}

ssize_t iommu_owner_events_read(struct iommu_owner_token *token,
				char __user *buf, size_t size, bool wait)
{
	ssize_t ret;

	if (!(token->rights & IOMMU_OWNER_RIGHT_INSPECT))
		return -EPERM;
	if (size < sizeof(struct iommu_owner_event))
		return -EINVAL;

	/* Another reader may be faster */
	for (;;) {
		ret = event_copy(token, buf, size);
		if (ret || event_at_end(token))
			return ret;
		if (!wait)
			return -EAGAIN;
		if (wait_event_interruptible(token->wait, event_readable(token)))
			return -ERESTARTSYS;
	}
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_events_read);

__poll_t iommu_owner_events_poll(struct iommu_owner_token *token,
				 struct file *file, poll_table *table)
{
	struct iommu_owner *owner = token->owner;
	__poll_t mask = 0;

	if (!(token->rights & IOMMU_OWNER_RIGHT_INSPECT))
		return EPOLLERR;

	poll_wait(file, &token->wait, table);
	guard(spinlock)(&owner->lock);
	if (event_count(token))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (event_none_follows(owner))
		mask |= EPOLLHUP;
	return mask;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_events_poll);

static const struct iommu_owner_concept event_concept = {
	.event = event_send,
	.access = event_access,
	.pasid = event_pasid,
	.settled = event_wake,
	.free = event_free,
};

static int __init event_init(void)
{
	iommu_owner_add_concept(&event_concept);
	return 0;
}
core_initcall(event_init);
