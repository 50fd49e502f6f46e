// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quiesce devices that user space had, and the quarantine of those that are not
 *
 * A device that user space could program may have DMA in flight or armed. It
 * must not see the default domain, which maps memory of the kernel, before its
 * bus mastering is off, its transactions have ended and, if it can, it has been
 * reset.
 *
 * A group in quarantine has its DMA blocked and gets no driver. If the reason goes
 * by itself, such as a device lock that another task has, the end of the ownership
 * completes by itself as well: a work tries again, and so does whatever needs the
 * group.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/error-injection.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/wait_bit.h>

#ifdef CONFIG_PCI
#include "../../pci/pci.h"
#endif
#include "quiesce.h"
#include "report.h"

#define QUIESCE_RETRY_MAX	(10 * HZ)

static int quiesce_mark(struct device *dev, bool used)
{
	struct iommu_group *group = dev->iommu_group;
	struct iommu_ownership *own;
	struct group_device *gdev;
	int ret;

	if (!group)
		return -ENODEV;

	guard(mutex)(&group->mutex);
	gdev = iommu_owner_find_device(group, dev);
	if (!gdev)
		return -ENODEV;
	own = &group->ownership;
	if (used) {
		if (!own->owner || own->state == IOMMU_OWNER_STATE_ENDING)
			return -ESTALE;
		if (gdev->blocked)
			return -EBUSY;
		ret = iommu_owner_use(group, own->owner);
		if (ret)
			return ret;
	}
	gdev->used = used;
	if (!used)
		gdev->armed = false;
	return 0;
}

/**
 * iommu_owner_device_used() - User space gets access to a device
 * @dev: The device, in a group with an owner. The caller is its driver.
 *
 * At the end of the ownership the device is quiesced before anything else can
 * use it. On an error the caller must not give access: the device would not be
 * quiesced afterwards. May be called for each user.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -ENODEV if @dev has no group; -ESTALE if the group has no owner, or
 * its ownership is ending; -EBUSY if the DMA of @dev is blocked because it has
 * joined the group and cannot be attached, or is missing what a lease requires; -EPERM
 * if the kernel has been locked down since the group was claimed, and it is not
 * isolated; -ENOMEM.
 */
int iommu_owner_device_used(struct device *dev)
{
	return quiesce_mark(dev, true);
}
EXPORT_SYMBOL_GPL(iommu_owner_device_used);

/**
 * iommu_owner_device_quiesced() - A device has been reset since its last use
 * @dev: The device. The caller is its driver; user space has no access.
 *
 * Nothing is left to do for it when the ownership ends.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -ENODEV if @dev has no group.
 */
int iommu_owner_device_quiesced(struct device *dev)
{
	return quiesce_mark(dev, false);
}
EXPORT_SYMBOL_GPL(iommu_owner_device_quiesced);

#ifdef CONFIG_PCI
static noinline int quiesce_reset(struct pci_dev *pdev)
{
	int ret;

	ret = pci_reset_function_locked(pdev);
	if (ret != -ENOTTY)
		return ret;
	/* There is no reset, or none after which the device answers */
	return pci_device_is_present(pdev) ? IOMMU_OWNER_NOT_RESET : -ENODEV;
}

/* Not in other kernels: where lockdown allows BPF, root could skip the reset */
#if IS_ENABLED(CONFIG_IOMMU_OWNER_KUNIT_TEST)
ALLOW_ERROR_INJECTION(quiesce_reset, ERRNO);
#endif

static int quiesce_function(struct pci_dev *pdev)
{
	bool pending;
	u16 command;
	int ret;

	/* What it does when it answers again is not known */
	if (!pci_device_is_present(pdev))
		return -ENODEV;

	pci_clear_master(pdev);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER)
		return -EIO;

	pending = !pci_wait_for_pending_transaction(pdev);
	ret = quiesce_reset(pdev);
	if (ret >= 0 && pending && !pci_wait_for_pending_transaction(pdev))
		ret = -EIO;
	return ret;
}

static int quiesce_locked(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int ret;

	/* -EACCES: runtime PM is off, and the device in whatever state it is */
	ret = pm_runtime_get_sync(dev);
	if (ret < 0 && ret != -EACCES)
		ret = -ENODEV;
	else
		ret = quiesce_function(pdev);
	pm_runtime_put(dev);
	return ret;
}

/* As long as the lock is held, the device is not removed; the caller may remove it. */
static int quiesce_pci(struct device *dev, bool locked)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return 0;
	if (locked)
		return quiesce_locked(dev);
	if (!pci_dev_trylock(pdev))
		return -EAGAIN;
	/*
	 * If not, it is being removed, or found just now: its address may be that
	 * of another device, with a driver
	 */
	ret = pci_dev_is_added(pdev) ? quiesce_locked(dev) : -EAGAIN;
	pci_dev_unlock(pdev);
	return ret;
}
#else
static int quiesce_pci(struct device *dev, bool locked)
{
	return 0;
}
#endif

/*
 * Turn off what @dev could do by itself. @locked: the caller has its lock,
 * which a reset needs. IOMMU_OWNER_NOT_RESET: its bus mastering is off, but there is no
 * reset. -EAGAIN: another task has the lock, or removes it, try again later.
 * -ENODEV: the device does not answer.
 */
VISIBLE_IF_KUNIT int iommu_owner_quiesce(struct device *dev, bool locked)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_quiesce, dev, locked);
	return dev_is_pci(dev) ? quiesce_pci(dev, locked) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_quiesce);

static struct group_device *quiesce_used_device(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->used)
			return gdev;
	return NULL;
}

static enum iommu_owner_quarantine quiesce_reason(struct device *dev, int err)
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

/* What iommu_owner_quiesce() has returned for @gdev */
static void quiesce_update(struct group_device *gdev, int ret)
{
	gdev->used = ret < 0;
	gdev->armed = ret;
}

/*
 * Quiesce all devices of @group that user space had. The mutex is dropped
 * meanwhile: the state of the group keeps owners and drivers away. Return what
 * keeps it in quarantine.
 */
static enum iommu_owner_quarantine quiesce_devices(struct iommu_group *group,
						   struct device *locked)
{
	struct iommu_ownership *own = &group->ownership;
	enum iommu_owner_quarantine reason;
	struct group_device *gdev;
	struct device *dev;
	int ret = 0;

	lockdep_assert_held(&group->mutex);

	reason = IOMMU_OWNER_QUARANTINE_NONE;
	own->quiescer = current;
	while (!reason && (gdev = quiesce_used_device(group))) {
		dev = get_device(gdev->dev);
		mutex_unlock(&group->mutex);
		ret = iommu_owner_quiesce(dev, dev == locked);
		mutex_lock(&group->mutex);
		gdev = iommu_owner_find_device(group, dev);
		if (gdev)
			quiesce_update(gdev, ret);
		/* A device that has gone keeps nobody from the others */
		if (gdev && ret < 0)
			reason = quiesce_reason(dev, ret);
		put_device(dev);
	}
	store_release_wake_up(&own->quiescer, NULL);
	return reason;
}

/*
 * May the default domain return? One that does not do for a device without a reset
 * is replaced, unless a driver relies on it.
 */
static enum iommu_owner_quarantine quiesce_may_return(struct iommu_group *group)
{
	enum iommu_owner_quarantine reason = iommu_owner_may_return(group);

	if (reason == IOMMU_OWNER_QUARANTINE_LOCKDOWN &&
	    !iommu_owner_kernel_user(group, NULL) &&
	    !__iommu_group_set_default_type(group, IOMMU_DOMAIN_DMA))
		return IOMMU_OWNER_QUARANTINE_NONE;
	return reason;
}

/* Return what keeps @group in quarantine. */
static enum iommu_owner_quarantine
quiesce_attach_default(struct iommu_group *group)
{
	enum iommu_owner_quarantine reason;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices))
		return IOMMU_OWNER_QUARANTINE_NONE;
	reason = quiesce_may_return(group);
	if (reason)
		return reason;
	ret = __iommu_group_set_domain_internal(group, group->default_domain,
						0);
	if (ret == -ENOMEM)
		return IOMMU_OWNER_QUARANTINE_MEMORY;
	return ret ? IOMMU_OWNER_QUARANTINE_DOMAIN :
		     IOMMU_OWNER_QUARANTINE_NONE;
}

/* Does the reason go without anything that the core notices? */
static bool quiesce_must_poll(enum iommu_owner_quarantine reason)
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

static void quiesce_poll(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (!quiesce_must_poll(own->quarantine))
		return;
	iommu_owner_queue_retry_in(group, own->retry_delay);
	own->retry_delay = min(2 * own->retry_delay, QUIESCE_RETRY_MAX);
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

static void quiesce_enter_quarantine(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	iommu_owner_set_state(group, IOMMU_OWNER_STATE_QUARANTINE);
	iommu_owner_report_quarantine(group);
	own->retry_delay = 1;
	quiesce_poll(group);
	/* The last watch may have drained before it could see the quarantine */
	if (own->quarantine == IOMMU_OWNER_QUARANTINE_ACCESS)
		iommu_owner_queue_retry(group);
}

static void quiesce_leave_quarantine(struct iommu_group *group)
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

	own->quarantine = quiesce_attach_default(group);
	if (own->quarantine)
		quiesce_enter_quarantine(group);
}

/* Pass 4 of an end, see end.c: quiesce the devices of @group. */
void iommu_owner_quiesce_group(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	if (!own->quarantine)
		own->quarantine = quiesce_devices(group, NULL);
}

/* Pass 5: the default domain returns, or the group goes into quarantine. */
void iommu_owner_return_group(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	/* Nothing of what was to be quiesced is left */
	if (list_empty(&group->devices))
		own->quarantine = IOMMU_OWNER_QUARANTINE_NONE;
	else if (!own->quarantine)
		own->quarantine = quiesce_attach_default(group);
	if (own->quarantine) {
		quiesce_enter_quarantine(group);
		return;
	}
	iommu_owner_set_state(group, IOMMU_OWNER_STATE_KERNEL);
	iommu_owner_returned(group);
}

static bool quiesce_may_retry(struct iommu_ownership *own)
{
	if (own->state != IOMMU_OWNER_STATE_QUARANTINE || own->quiescer)
		return false;
	if (own->quarantine == IOMMU_OWNER_QUARANTINE_ACCESS)
		return !READ_ONCE(own->draining);
	return quiesce_must_poll(own->quarantine) ||
	       own->quarantine == IOMMU_OWNER_QUARANTINE_LEASE ||
	       own->quarantine == IOMMU_OWNER_QUARANTINE_LOCKDOWN;
}

/*
 * Another task quiesces. It does not wait for the lock of a device, and fails for
 * want of one that the caller has.
 */
static void quiesce_wait(struct iommu_group *group)
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

	quiesce_wait(group);
	if (!quiesce_may_retry(own))
		return;

	reason = quiesce_devices(group, locked);
	if (!reason)
		reason = quiesce_attach_default(group);
	if (!reason) {
		quiesce_leave_quarantine(group);
	} else if (reason != own->quarantine) {
		own->quarantine = reason;
		iommu_owner_changed(group);
		iommu_owner_report_quarantine(group);
		own->retry_delay = 1;
		quiesce_poll(group);
	}
}

static void quiesce_retry_work(struct work_struct *work)
{
	struct iommu_ownership *own =
		container_of(work, struct iommu_ownership, retry.work);
	struct iommu_group *group =
		container_of(own, struct iommu_group, ownership);

	iommu_owner_lock(group);
	iommu_owner_retry(group, NULL);
	if (own->state == IOMMU_OWNER_STATE_QUARANTINE)
		quiesce_poll(group);
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

static int quiesce_errno(enum iommu_owner_quarantine reason)
{
	if (reason == IOMMU_OWNER_QUARANTINE_LOCKDOWN)
		return -EPERM;
	return reason ? -EBUSY : 0;
}

/* The administrator trusts the devices of @group, which is in quarantine. */
static int quiesce_clear(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct group_device *gdev;
	int ret;

	if (own->quiescer || READ_ONCE(own->draining))
		return -EBUSY;
	ret = quiesce_errno(quiesce_may_return(group));
	if (!ret)
		ret = __iommu_group_set_domain_internal(group,
							group->default_domain,
							0);
	if (ret)
		return ret;
	while ((gdev = quiesce_used_device(group)))
		quiesce_update(gdev, IOMMU_OWNER_NOT_RESET);
	quiesce_leave_quarantine(group);
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
	      quiesce_clear(group) : -EINVAL;
	iommu_owner_unlock(group);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_clear_quarantine);

/* The last device has left: nothing is left to be quiesced. */
static void quiesce_left(struct iommu_group *group, struct device *dev)
{
	struct iommu_ownership *own = &group->ownership;

	/* quiesce_devices() is the one that ends it */
	if (list_empty(&group->devices) && !own->quiescer &&
	    own->state == IOMMU_OWNER_STATE_QUARANTINE)
		quiesce_leave_quarantine(group);
}

static void quiesce_init_group(struct iommu_group *group)
{
	INIT_DELAYED_WORK(&group->ownership.retry, quiesce_retry_work);
}

static const struct iommu_owner_concept quiesce_concept = {
	.init = quiesce_init_group,
	.left = quiesce_left,
};

static int __init quiesce_init(void)
{
	iommu_owner_add_concept(&quiesce_concept);
	return 0;
}
core_initcall(quiesce_init);
