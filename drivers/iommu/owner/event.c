// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of an owner, in a queue for each token that may see them
 *
 * A queue has a fixed length. When it is full, its last record counts what is
 * missing at that place: nothing is dropped in silence, and the records before
 * and after stay in order.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "token.h"

int iommu_owner_events_alloc(struct iommu_owner_token *token)
{
	/* A record is written as a whole before it can be read */
	token->events = kvmalloc_array(TOKEN_EVENTS, sizeof(*token->events),
				       GFP_KERNEL_ACCOUNT);
	return token->events ? 0 : -ENOMEM;
}

static struct iommu_owner_event *record(struct iommu_owner_token *token,
					unsigned int index)
{
	return &token->events[(token->head + index) % TOKEN_EVENTS];
}

static void lose(struct iommu_owner_token *token,
		 const struct iommu_owner_event *event)
{
	struct iommu_owner_event *last = record(token, token->count - 1);

	if (last->type != IOMMU_OWNER_EVENT_LOST) {
		last = record(token, token->count++);
		memset(last, 0, sizeof(*last));
		last->type = IOMMU_OWNER_EVENT_LOST;
		last->group = -1;
	}
	last->sequence = event->sequence;
	last->time = event->time;
	last->lost++;
}

static void push(struct iommu_owner_token *token,
		 const struct iommu_owner_event *event)
{
	lockdep_assert_held(&token->owner->lock);

	if (token->count >= TOKEN_EVENTS - 1)
		lose(token, event);
	else
		*record(token, token->count++) = *event;
}

static void describe_group(struct iommu_owner_event *event,
			   struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	event->group = group->id;
	event->generation = group->ownership.generation;
	event->state = iommu_owner_group_state(group);
	event->claims = group->ownership.claims;
}

static void tell(struct iommu_owner *owner, struct iommu_owner_event *event)
{
	struct iommu_owner_token *token;

	guard(spinlock)(&owner->lock);
	event->sequence = owner->events++;
	list_for_each_entry(token, &owner->tokens, node)
		if (token->events)
			push(token, event);
	wake_up_interruptible_all(&owner->wait);
}

/* As iommu_owner_event() */
static void event_send(struct iommu_owner *owner,
		       enum iommu_owner_event_type type,
		       struct iommu_group *group, struct device *dev,
		       enum iommu_owner_reason reason)
{
	struct iommu_owner_event event = {
		.type = type,
		.group = -1,
		.reason = reason,
	};

	/* A token that is opened now cannot know that this was later */
	if (list_empty_careful(&owner->tokens))
		return;

	event.time = ktime_get_ns();
	event.pid = task_tgid_nr(current);
	strscpy(event.comm, current->comm);
	if (group)
		describe_group(&event, group);
	if (dev)
		strscpy(event.device, dev_name(dev));
	if (type == IOMMU_OWNER_EVENT_PROBE_REFUSED)
		strscpy(event.driver, dev->driver->name);
	tell(owner, &event);
}

/* The host was refused a device of @owner. The mutex of its group is held. */
static void event_access(struct iommu_owner *owner,
			 const struct iommu_owner_access *access)
{
	struct iommu_owner_event event = {
		.type = IOMMU_OWNER_EVENT_ACCESS_REFUSED,
	};

	if (list_empty_careful(&owner->tokens))
		return;

	event.time = ktime_get_ns();
	event.pid = access->pid;
	strscpy(event.comm, access->comm);
	describe_group(&event, access->group);
	strscpy(event.device, dev_name(access->dev));
	strscpy(event.driver, access->path);
	tell(owner, &event);
}

/* Nothing can happen to an owner that is revoked and has nothing */
static bool silent(struct iommu_owner *owner)
{
	lockdep_assert_held(&owner->lock);
	return owner->revoked && !owner->ending && list_empty(&owner->groups);
}

static bool readable(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	return token->count || silent(token->owner);
}

static bool peek(struct iommu_owner_token *token,
		 struct iommu_owner_event *event)
{
	guard(spinlock)(&token->owner->lock);
	if (!token->count)
		return false;
	*event = *record(token, 0);
	return true;
}

static void drop(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	token->head = (token->head + 1) % TOKEN_EVENTS;
	token->count--;
}

/* As many whole records as there are and fit; -EFAULT if not even one did. */
static ssize_t copy_records(struct iommu_owner_token *token, char __user *buf,
			    size_t size)
{
	struct iommu_owner_event event;
	ssize_t done = 0;

	if (mutex_lock_interruptible(&token->read_lock))
		return -ERESTARTSYS;
	while (size - done >= sizeof(event) && peek(token, &event)) {
		if (copy_to_user(buf + done, &event, sizeof(event))) {
			done = done ?: -EFAULT;
			break;
		}
		drop(token);
		done += sizeof(event);
	}
	mutex_unlock(&token->read_lock);
	return done;
}

static bool at_end(struct iommu_owner_token *token)
{
	guard(spinlock)(&token->owner->lock);
	return !token->count && silent(token->owner);
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
		ret = copy_records(token, buf, size);
		if (ret || at_end(token))
			return ret;
		if (!wait)
			return -EAGAIN;
		if (wait_event_interruptible(token->owner->wait,
					     readable(token)))
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

	poll_wait(file, &owner->wait, table);
	guard(spinlock)(&owner->lock);
	if (token->count)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (silent(owner))
		mask |= EPOLLHUP;
	return mask;
}

static struct iommu_owner_concept event_concept = {
	.event = event_send,
	.access = event_access,
};

static int __init event_init(void)
{
	iommu_owner_add_concept(&event_concept);
	return 0;
}
core_initcall(event_init);
