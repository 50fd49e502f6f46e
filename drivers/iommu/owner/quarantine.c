// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last passes of an end: the devices are quiesced and the default domain
 * returns, or the group goes into quarantine
 *
 * A group in quarantine has its DMA blocked and gets no driver. If the reason goes
 * by itself, such as a device lock that another task has, the end of the ownership
 * completes by itself as well: a work tries again, and so does whatever needs the
 * group.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/wait_bit.h>

#include "quarantine.h"
#include "quiesce.h"
#include "report.h"

#define QUARANTINE_RETRY_MAX	(10 * HZ)

static struct group_device *quarantine_used_device(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->used)
			return gdev;
	return NULL;
}

static enum iommu_owner_quarantine quarantine_reason(struct device *dev, int err)
{
	switch (err) {
	case -EAGAIN:
		return IOMMU_OWNER_QUARANTINE_BUSY;
	case -ENODEV:
		return IOMMU_OWNER_QUARANTINE_NO_ANSWER;
	default:
		dev_err(dev, "iommu-owner: cannot be quiesced: %d\n", err);
		return IOMMU_OWNER_QUARANTINE_DEVICE;
	}
}

/*
 * Quiesce all devices of @group that user space had. The mutex is dropped
 * meanwhile: the state of the group keeps owners and drivers away. Return what
 * keeps it in quarantine.
 */
static enum iommu_owner_quarantine
quarantine_quiesce(struct iommu_group *group, struct device *locked)
{
	struct iommu_ownership *own = &group->ownership;
	enum iommu_owner_quarantine reason;
	struct group_device *gdev;
	struct device *dev;
	int ret = 0;

	lockdep_assert_held(&group->mutex);

	reason = IOMMU_OWNER_QUARANTINE_NONE;
	own->quiescer = current;
	while (!reason && (gdev = quarantine_used_device(group))) {
		dev = get_device(gdev->dev);
		mutex_unlock(&group->mutex);
		iommu_owner_quiescing(dev);
		ret = iommu_owner_quiesce(dev, dev == locked);
		mutex_lock(&group->mutex);
		gdev = iommu_owner_find_device(group, dev);
		if (gdev)
			iommu_owner_update_quiesced(gdev, ret);
		/* A device that has gone keeps nobody from the others */
		if (gdev && ret < 0)
			reason = quarantine_reason(dev, ret);
		put_device(dev);
	}
	store_release_wake_up(&own->quiescer, NULL);
	return reason;
}

/*
 * May the default domain return? One that does not do for a device without a reset
 * is replaced, unless a driver relies on it.
 */
static enum iommu_owner_quarantine quarantine_may_return(struct iommu_group *group)
{
	enum iommu_owner_quarantine reason = iommu_owner_may_return(group);

	if (reason == IOMMU_OWNER_QUARANTINE_LOCKDOWN &&
	    !iommu_owner_kernel_user(group, NULL) &&
	    !__iommu_group_set_default_type(group, IOMMU_DOMAIN_DMA))
		return IOMMU_OWNER_QUARANTINE_NONE;
	return reason;
}

static int quarantine_set_domain(struct iommu_group *group)
{
	struct iommu_domain *domain = iommu_owner_kernel_domain(group);

	return __iommu_group_set_domain_internal(group, domain, 0);
}

/* Return what keeps @group in quarantine. */
static enum iommu_owner_quarantine
quarantine_attach_default(struct iommu_group *group)
{
	enum iommu_owner_quarantine reason;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices))
		return IOMMU_OWNER_QUARANTINE_NONE;
	reason = quarantine_may_return(group);
	if (reason)
		return reason;
	ret = quarantine_set_domain(group);
	if (ret == -ENOMEM)
		return IOMMU_OWNER_QUARANTINE_MEMORY;
	return ret ? IOMMU_OWNER_QUARANTINE_DOMAIN :
		     IOMMU_OWNER_QUARANTINE_NONE;
}

/* Does the reason go without anything that the core notices? */
static bool quarantine_must_poll(enum iommu_owner_quarantine reason)
{
	return reason == IOMMU_OWNER_QUARANTINE_BUSY ||
	       reason == IOMMU_OWNER_QUARANTINE_NO_ANSWER ||
	       reason == IOMMU_OWNER_QUARANTINE_MEMORY;
}

VISIBLE_IF_KUNIT void iommu_owner_queue_retry_in(struct iommu_group *group,
						 unsigned long delay)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_queue_retry_in, group, delay);
	/* A pending work has a reference already */
	iommu_group_ref_get(group);
	if (mod_delayed_work(system_freezable_wq, &group->ownership.retry,
			     delay))
		iommu_group_put(group);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_queue_retry_in);

#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_retry(struct iommu_group *group)
{
	flush_delayed_work(&group->ownership.retry);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_flush_retry);
#endif

static void quarantine_poll(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (!quarantine_must_poll(own->quarantine))
		return;
	iommu_owner_queue_retry_in(group, own->retry_delay);
	own->retry_delay = min(2 * own->retry_delay, QUARANTINE_RETRY_MAX);
}

/**
 * iommu_owner_queue_retry() - End a quarantine soon if its reason has gone
 * @group: The group; the caller has a reference.
 *
 * Context: Any.
 */
void iommu_owner_queue_retry(struct iommu_group *group)
{
	iommu_owner_queue_retry_in(group, 0);
}

static void quarantine_enter(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	iommu_owner_set_state(group, IOMMU_OWNER_STATE_QUARANTINE);
	iommu_owner_report_quarantine(group);
	own->retry_delay = 1;
	quarantine_poll(group);
	/* The last watch may have drained before it could see the quarantine */
	if (own->quarantine == IOMMU_OWNER_QUARANTINE_ACCESS)
		iommu_owner_queue_retry(group);
}

static void quarantine_leave(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	bool reported = own->quarantine != IOMMU_OWNER_QUARANTINE_BUSY;

	own->quarantine = IOMMU_OWNER_QUARANTINE_NONE;
	iommu_owner_set_state(group, IOMMU_OWNER_STATE_KERNEL);
	if (reported)
		iommu_owner_report_quarantine(group);
	iommu_owner_returned(group);
}

/* A claim is undone: the default domain returns, but no state has changed. */
void iommu_owner_undo_group(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	own->quarantine = quarantine_attach_default(group);
	if (own->quarantine)
		quarantine_enter(group);
}

/* Pass 4 of an end, see end.c: quiesce the devices of @group. */
void iommu_owner_quiesce_group(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	if (!own->quarantine)
		own->quarantine = quarantine_quiesce(group, NULL);
}

/* Pass 5: the default domain returns, or the group goes into quarantine. */
void iommu_owner_return_group(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	/* Nothing of what was to be quiesced is left */
	if (list_empty(&group->devices))
		own->quarantine = IOMMU_OWNER_QUARANTINE_NONE;
	else if (!own->quarantine)
		own->quarantine = quarantine_attach_default(group);
	if (own->quarantine) {
		quarantine_enter(group);
		return;
	}
	iommu_owner_set_state(group, IOMMU_OWNER_STATE_KERNEL);
	iommu_owner_returned(group);
}

static bool quarantine_may_retry(struct iommu_ownership *own)
{
	if (own->state != IOMMU_OWNER_STATE_QUARANTINE || own->quiescer)
		return false;
	if (own->quarantine == IOMMU_OWNER_QUARANTINE_ACCESS)
		return !READ_ONCE(own->draining);
	return quarantine_must_poll(own->quarantine) ||
	       own->quarantine == IOMMU_OWNER_QUARANTINE_LEASE ||
	       own->quarantine == IOMMU_OWNER_QUARANTINE_LOCKDOWN;
}

/*
 * Another task quiesces. It does not wait for the lock of a device, and fails for
 * want of one that the caller has.
 */
static void quarantine_wait(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	while (own->quiescer && own->quiescer != current) {
		mutex_unlock(&group->mutex);
		wait_var_event(&own->quiescer, !READ_ONCE(own->quiescer));
		mutex_lock(&group->mutex);
	}
}

void __iommu_owner_retry(struct iommu_group *group, struct device *locked)
{
	struct iommu_ownership *own = &group->ownership;
	enum iommu_owner_quarantine reason;

	lockdep_assert_held(&group->mutex);

	quarantine_wait(group);
	if (!quarantine_may_retry(own))
		return;

	reason = quarantine_quiesce(group, locked);
	if (!reason)
		reason = quarantine_attach_default(group);
	if (!reason) {
		quarantine_leave(group);
	} else if (reason != own->quarantine) {
		own->quarantine = reason;
		iommu_owner_changed(group);
		iommu_owner_report_quarantine(group);
		own->retry_delay = 1;
		quarantine_poll(group);
	}
}

static void quarantine_retry_work(struct work_struct *work)
{
	struct iommu_ownership *own =
		container_of(work, struct iommu_ownership, retry.work);
	struct iommu_group *group =
		container_of(own, struct iommu_group, ownership);

	iommu_owner_lock(group);
	iommu_owner_retry(group, NULL);
	if (own->state == IOMMU_OWNER_STATE_QUARANTINE)
		quarantine_poll(group);
	iommu_owner_unlock(group);
	iommu_group_put(group);
}

/**
 * iommu_owner_retry_device() - Complete an end that waits for a device lock
 * @dev: The device. User space has no access to it any more.
 *
 * For the driver of @dev when it is removed: the task that closed the device for
 * user space could not reset it, because the lock was taken for the removal.
 *
 * Context: May sleep. The lock of @dev is held. Takes the mutex of the group.
 */
void iommu_owner_retry_device(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;

	device_lock_assert(dev);

	if (!group)
		return;
	iommu_owner_lock(group);
	iommu_owner_retry(group, dev);
	iommu_owner_unlock(group);
}
EXPORT_SYMBOL_GPL(iommu_owner_retry_device);

static int quarantine_errno(enum iommu_owner_quarantine reason)
{
	if (reason == IOMMU_OWNER_QUARANTINE_LOCKDOWN)
		return -EPERM;
	return reason ? -EBUSY : 0;
}

/* The administrator trusts the devices of @group, which is in quarantine. */
static int quarantine_clear(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct group_device *gdev;
	int ret;

	if (own->quiescer || READ_ONCE(own->draining))
		return -EBUSY;
	ret = quarantine_errno(quarantine_may_return(group));
	if (!ret)
		ret = quarantine_set_domain(group);
	if (ret)
		return ret;
	while ((gdev = quarantine_used_device(group)))
		iommu_owner_update_quiesced(gdev, IOMMU_OWNER_NOT_RESET);
	quarantine_leave(group);
	return 0;
}

/**
 * iommu_owner_clear_quarantine() - Trust the devices of a group again
 * @group: The group; the caller has a reference.
 *
 * The default domain returns and drivers may bind.
 *
 * Under lockdown they get a default domain that translates.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -EINVAL if @group is not in quarantine; -EBUSY if another task is
 * quiescing its devices now, if user space may still have access, or if a lease
 * does not allow the default domain; -EPERM if the kernel is locked down and there
 * is no default domain that translates; or the error of the IOMMU driver that could
 * not attach the default domain: the quarantine goes on.
 */
int iommu_owner_clear_quarantine(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	int ret;

	iommu_owner_lock(group);
	ret = own->state == IOMMU_OWNER_STATE_QUARANTINE ?
	      quarantine_clear(group) : -EINVAL;
	iommu_owner_unlock(group);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_clear_quarantine);

/* The last device has left: nothing is left to be quiesced. */
static void quarantine_left(struct iommu_group *group, struct device *dev)
{
	struct iommu_ownership *own = &group->ownership;

	/* quarantine_quiesce() is the one that ends it */
	if (list_empty(&group->devices) && !own->quiescer &&
	    own->state == IOMMU_OWNER_STATE_QUARANTINE)
		quarantine_leave(group);
}

/*
 * A device that could not be reset must not find memory of the kernel. Until the
 * domain can change, it is blocked on its own.
 */
static void quarantine_joined(struct iommu_group *group, struct device *dev)
{
	if (!iommu_owner_find_device(group, dev)->armed ||
	    !group->default_domain || iommu_owner_dma_blocked(group))
		return;
	/* It is what remains if the kernel is locked down later */
	__iommu_group_alloc_blocking_domain(group);
	quarantine_may_return(group);
}

static void quarantine_init_group(struct iommu_group *group)
{
	INIT_DELAYED_WORK(&group->ownership.retry, quarantine_retry_work);
}

static const struct iommu_owner_concept quarantine_concept = {
	.init = quarantine_init_group,
	.joined = quarantine_joined,
	.left = quarantine_left,
};

static int __init quarantine_init(void)
{
	iommu_owner_add_concept(&quarantine_concept);
	return 0;
}
core_initcall(quarantine_init);
