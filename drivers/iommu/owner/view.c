// SPDX-License-Identifier: GPL-2.0-only
/*
 * The view of a device: does it reach memory that is shared with the host, or private
 * memory of a confidential guest as well?
 *
 * Only a TSM moves it, and only while nothing is bound to a device of the group and
 * nobody owns it, so what an address of the DMA API means stays true until it is
 * unmapped. The exception is a loss, which blocks DMA before anything else.
 *
 *	SHARED -- lock --> LOCKED -- accept --> PRIVATE
 *	LOCKED, PRIVATE -- loss --> ERROR
 *	LOCKED, PRIVATE, ERROR -- unlock --> SHARED
 *
 * An operation of a TSM takes long, so it runs with the lock of the device, which keeps
 * drivers away, and without the mutex of the group: meanwhile the view is "changing",
 * which blocks DMA, drivers and owners.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cc_platform.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "end.h"
#include "trust.h"
#include "view.h"

/*
 * Protects the TSMs and their devices. Inside the lock of a device, outside the mutex
 * of a group.
 */
static DEFINE_MUTEX(view_lock);
static LIST_HEAD(view_tsms);

static u64 view_next_generation(void)
{
	static atomic64_t generations;

	return atomic64_inc_return(&generations);
}

void iommu_view_put(struct iommu_view *view)
{
	if (!refcount_dec_and_test(&view->ref))
		return;
	put_device(view->dev);
	kfree(view);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_put);

static struct iommu_view *view_ref(struct iommu_view *view)
{
	refcount_inc(&view->ref);
	return view;
}

/* The group of @dev, locked, or NULL. @gdev is NULL if it is no member any more. */
static struct iommu_group *view_lock_group(struct device *dev,
					   struct group_device **gdev)
{
	struct iommu_group *group = iommu_group_get(dev);

	*gdev = NULL;
	if (!group)
		return NULL;
	iommu_owner_lock(group);
	*gdev = iommu_owner_find_device(group, dev);
	return group;
}

static void view_unlock_group(struct iommu_group *group)
{
	if (!group)
		return;
	iommu_owner_unlock(group);
	iommu_group_put(group);
}

/* The view of @dev with a reference, or NULL if it is SHARED */
struct iommu_view *iommu_view_get(struct device *dev)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(dev, &gdev);
	struct iommu_view *view = NULL;

	if (gdev && dev->iommu->view)
		view = view_ref(dev->iommu->view);
	view_unlock_group(group);
	return view;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_get);

/* What uses the DMA of a device */

/* The ownership of a group ends because a device of it has lost its view. */
static void view_end_ownership(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner *owner = NULL;
	struct iommu_owner_teardown teardown;

	iommu_owner_lock(group);
	if (own->state == IOMMU_OWNER_STATE_USER ||
	    own->state == IOMMU_OWNER_STATE_RESERVED) {
		owner = iommu_owner_get(own->owner);
		iommu_owner_init_teardown(&teardown, owner,
					  IOMMU_OWNER_REASON_LOST);
		iommu_owner_block_group(&teardown, group);
	}
	iommu_owner_unlock(group);
	if (!owner)
		return;
	iommu_owner_finish(&teardown);
	iommu_owner_put(owner);
}

static void view_unlink(struct iommu_view *view)
{
	mutex_lock(&view_lock);
	list_del_init(&view->node);
	view->tsm = NULL;
	mutex_unlock(&view_lock);
	iommu_view_put(view);
}

/* The TSM lets go of the device, which has left or loses its TSM. */
static void view_abandon(struct iommu_view *view)
{
	struct device *dev = view->dev;
	struct group_device *gdev;
	struct iommu_group *group;
	bool last = false;

	guard(device)(dev);
	if (!view->tsm)
		return;
	view->tsm->ops->unlock(dev);
	view_unlink(view);
	group = view_lock_group(dev, &gdev);
	if (gdev && dev->iommu->view == view) {
		dev->iommu->view = NULL;
		last = true;
		iommu_owner_update_trust(group);
		iommu_owner_report_change(group);
	}
	view_unlock_group(group);
	if (last)
		iommu_view_put(view);
}

static bool view_has_driver(struct iommu_view *view)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(view->dev, &gdev);
	bool driver = gdev && gdev->driver;

	view_unlock_group(group);
	return driver;
}

static void view_work(struct work_struct *work)
{
	struct iommu_view *view = container_of(work, struct iommu_view, work);
	struct iommu_group *group = iommu_group_get(view->dev);

	if (group) {
		view_end_ownership(group);
		iommu_group_put(group);
	}
	/* Only a driver that was there before can be: no other one may bind */
	if (view_has_driver(view))
		device_release_driver(view->dev);
	if (READ_ONCE(view->left))
		view_abandon(view);
	iommu_view_put(view);
}

static void view_queue(struct iommu_view *view)
{
	view_ref(view);
	if (!queue_work(system_unbound_wq, &view->work))
		iommu_view_put(view);
}

/* Loss */

static void view_lose(struct iommu_group *group, struct group_device *gdev,
		      struct iommu_view *view)
{
	struct device *dev = gdev->dev;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (view->state == IOMMU_VIEW_ERROR)
		return;
	view->state = IOMMU_VIEW_ERROR;
	view->generation = view_next_generation();
	dev->iommu->trust = IOMMU_OWNER_TRUST_BLOCKED;
	/* An owner loses the group, and a driver its device only */
	ret = group->ownership.owner ? iommu_owner_block_dma(group) :
				       __iommu_group_block_device(group, gdev);
	dev_err(dev, "iommu-owner: the private view is lost, DMA is %s until owner/trust is written\n",
		ret ? "NOT blocked" : "blocked");
	group->ownership.unmap = true;
	iommu_owner_update_trust(group);
	iommu_owner_report_change(group);
	view_queue(view);
}

/**
 * iommu_view_lost() - A device is not what was locked or accepted any more
 * @dev: The device.
 *
 * When this returns, its DMA is blocked. What uses it goes afterwards: the driver is
 * unbound, or the ownership of the group ends. It stays blocked until an administrator
 * has written to tsm/unlock and to owner/trust. Nothing happens to a device with the
 * shared view.
 *
 * Context: May sleep. Takes the mutex of the group of @dev, whose lock may be held.
 */
void iommu_view_lost(struct device *dev)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(dev, &gdev);

	if (gdev && dev->iommu->view)
		view_lose(group, gdev, dev->iommu->view);
	view_unlock_group(group);
}
EXPORT_SYMBOL_GPL(iommu_view_lost);

/**
 * iommu_view_evidence_changed() - The evidence of a device is not what it was
 * @dev: The device.
 *
 * A read of it that has begun fails, and so does accepting what was read.
 *
 * Context: May sleep. Takes the mutex of the group of @dev, whose lock may be held.
 */
void iommu_view_evidence_changed(struct device *dev)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(dev, &gdev);

	if (gdev && dev->iommu->view)
		dev->iommu->view->generation = view_next_generation();
	view_unlock_group(group);
}
EXPORT_SYMBOL_GPL(iommu_view_evidence_changed);

/**
 * iommu_view_check() - A device may have lost its view while it had no power
 * @dev: The device.
 *
 * Context: May sleep, also in the noirq phase of a resume.
 */
void iommu_view_check(struct device *dev)
{
	struct iommu_view *view __free(view) = NULL;
	bool lost;

	/* Nothing is asked of the others, which are nearly all */
	if (!dev->iommu || !READ_ONCE(dev->iommu->view))
		return;
	view = iommu_view_get(dev);
	if (!view)
		return;
	scoped_guard(mutex, &view_lock)
		lost = view->tsm && !READ_ONCE(view->changing) &&
		       view->tsm->ops->state(dev) != READ_ONCE(view->state);
	if (lost)
		iommu_view_lost(dev);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_check);

/* Changes */

#ifdef CONFIG_PCI
static int view_pci_master(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command))
		return -ENODEV;
	return !!(command & PCI_COMMAND_MASTER);
}
#else
static int view_pci_master(struct pci_dev *pdev)
{
	return 0;
}
#endif

/* Is the device on, as far as its bus knows? */
VISIBLE_IF_KUNIT int iommu_view_bus_master(struct device *dev)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_view_bus_master, dev);
	return dev_is_pci(dev) ? view_pci_master(to_pci_dev(dev)) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_bus_master);

/*
 * In a confidential guest, are the page tables of the IOMMU in memory that the host
 * can write? Then they must not decide what a device does with private memory.
 */
VISIBLE_IF_KUNIT bool iommu_view_tables_are_shared(struct device *dev)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_view_tables_are_shared, dev);
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) &&
	       !device_iommu_capable(dev, IOMMU_CAP_PRIVATE_TABLES);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_tables_are_shared);

static struct iommu_view_tsm *view_find_tsm(const char *name)
{
	struct iommu_view_tsm *tsm;

	lockdep_assert_held(&view_lock);

	list_for_each_entry(tsm, &view_tsms, node)
		if (!strcmp(tsm->name, name))
			return tsm;
	return NULL;
}

static bool view_tsm_handles(const struct iommu_view_tsm *tsm,
			     struct device *dev)
{
	return tsm->ops && tsm->ops->handles(dev);
}

/* From now on iommu_view_remove_tsm() waits for what is done with the view. */
static int view_link(struct iommu_view *view, const char *name)
{
	struct iommu_view_tsm *tsm;

	guard(mutex)(&view_lock);
	tsm = view_find_tsm(name);
	if (!tsm)
		return -EINVAL;
	if (!view_tsm_handles(tsm, view->dev))
		return -ENXIO;
	view->tsm = tsm;
	list_add_tail(&view_ref(view)->node, &tsm->views);
	return 0;
}

static struct iommu_view *view_alloc(struct device *dev)
{
	struct iommu_view *view = kzalloc(sizeof(*view), GFP_KERNEL);

	if (!view)
		return NULL;
	refcount_set(&view->ref, 1);
	view->dev = get_device(dev);
	view->generation = view_next_generation();
	INIT_LIST_HEAD(&view->node);
	INIT_WORK(&view->work, view_work);
	return view;
}

static bool view_is_blocked(struct iommu_group *group, struct group_device *gdev)
{
	return (group->domain == group->blocking_domain || gdev->blocked) &&
	       !gdev->unblocked;
}

/* Let a TSM change @view, which belongs to @gdev: block DMA, drivers and owners. */
static int view_enter_locked(struct iommu_view *view, struct iommu_group *group,
			     struct group_device *gdev)
{
	int ret;

	lockdep_assert_held(&group->mutex);

	ret = iommu_owner_trust_may_change(group, "view");
	if (ret)
		return ret;
	view->changing = true;
	iommu_owner_update_trust(group);
	if (view_is_blocked(group, gdev))
		return 0;
	view->changing = false;
	iommu_owner_update_trust(group);
	return gdev->dev->iommu->require_direct ? -EOPNOTSUPP : -EIO;
}

/* A device gets a view that a TSM has to do with. */
static int view_enter_new(struct iommu_view *view)
{
	struct device *dev = view->dev;
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(dev, &gdev);
	int ret = -EOPNOTSUPP;

	if (gdev && dev->iommu->view) {
		ret = -EINVAL;
	} else if (gdev) {
		dev->iommu->view = view;
		ret = view_enter_locked(view, group, gdev);
		if (ret)
			dev->iommu->view = NULL;
		else
			view_ref(view);
	}
	view_unlock_group(group);
	return ret;
}

/* May what is LOCKED become PRIVATE? */
static int view_may_accept(struct iommu_view *view, struct iommu_group *group,
			   u64 generation)
{
	if (view->state != IOMMU_VIEW_LOCKED)
		return -EINVAL;
	if (generation && generation != view->generation)
		return -EAGAIN;
	/* Private memory must not be bounced through memory that is shared */
	if (iommu_owner_trust_bounces(group)) {
		dev_warn(view->dev,
			 "iommu-owner: not accepted: trust is restricted, see owner/trust\n");
		return -EPERM;
	}
	if (group->default_domain->type != IOMMU_DOMAIN_DMA ||
	    iommu_view_tables_are_shared(view->dev)) {
		dev_warn(view->dev,
			 "iommu-owner: not accepted: the IOMMU cannot keep private memory private\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int view_enter_accept(struct iommu_view *view, u64 generation)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(view->dev, &gdev);
	int ret = -ENODEV;

	if (gdev)
		ret = view_may_accept(view, group, generation);
	if (!ret)
		ret = view_enter_locked(view, group, gdev);
	view_unlock_group(group);
	return ret;
}

static int view_enter_unlock(struct iommu_view *view)
{
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(view->dev, &gdev);
	int ret = -ENODEV;

	if (gdev)
		ret = view_enter_locked(view, group, gdev);
	view_unlock_group(group);
	return ret;
}

/*
 * A TSM has come to an end with @view, which is @state now. Not if it was lost
 * meanwhile: -EIO, or if the device has gone: -ENODEV.
 */
static int view_settle(struct iommu_view *view, enum iommu_view_state state)
{
	struct device *dev = view->dev;
	struct group_device *gdev;
	struct iommu_group *group = view_lock_group(dev, &gdev);
	bool gone = false;
	int ret = 0;

	if (!gdev || view->left) {
		ret = -ENODEV;
		goto out;
	}
	view->changing = false;
	if (state == IOMMU_VIEW_SHARED) {
		dev->iommu->view = NULL;
		gone = true;
	} else if (view->state == IOMMU_VIEW_ERROR) {
		ret = -EIO;
	} else {
		view->state = state;
	}
	iommu_owner_update_trust(group);
	iommu_owner_report_change(group);
out:
	view_unlock_group(group);
	if (gone) {
		view_unlink(view);
		iommu_view_put(view);
	}
	return ret;
}

/*
 * The TSM could not do what it was asked for, or was not to: nothing may go on in the
 * device. @ret is the error.
 */
static int view_fail(struct iommu_view *view, enum iommu_view_state before,
		     int ret)
{
	const struct iommu_view_tsm_ops *ops = view->tsm->ops;
	struct device *dev = view->dev;

	if (ops->state(dev) == before) {
		view_settle(view, before);
		return ret;
	}
	if (ops->unlock(dev) || ops->state(dev) != IOMMU_VIEW_SHARED)
		dev_err(dev, "iommu-owner: TSM %s cannot unlock the device\n",
			view->tsm->name);
	else if (before == IOMMU_VIEW_SHARED)
		return view_settle(view, before) ?: ret;
	iommu_view_lost(dev);
	view_settle(view, IOMMU_VIEW_ERROR);
	return ret;
}

/**
 * iommu_view_lock() - Lock the configuration of a device
 * @dev: The device.
 * @name: The TSM that does it.
 *
 * Context: May sleep for as long as the TSM takes. Takes the lock of @dev and the mutex
 * of its group.
 * Return: 0; -EINVAL if there is no TSM of that name, or the device is locked already;
 * -ENXIO if the TSM cannot lock this device; -EBUSY if a driver is bound to a device of
 * the group, it has an owner or is in quarantine, a driver has left a mapping, or bus
 * mastering is on, which is logged; -EOPNOTSUPP if there is no IOMMU that can block the
 * device; -ENODEV if it does not answer or is removed; -EIO if DMA could not be blocked,
 * or the device was lost meanwhile; -ENOMEM, or the error of the TSM.
 */
int iommu_view_lock(struct device *dev, const char *name)
{
	struct iommu_view *view __free(view) = view_alloc(dev);
	int ret;

	if (!view)
		return -ENOMEM;
	guard(device)(dev);
	ret = view_link(view, name);
	if (ret)
		return ret;
	ret = view_enter_new(view);
	if (ret) {
		view_unlink(view);
		return ret;
	}
	ret = iommu_view_bus_master(dev);
	if (ret > 0) {
		dev_warn(dev, "iommu-owner: not locked: bus mastering is on\n");
		ret = -EBUSY;
	}
	if (!ret)
		ret = view->tsm->ops->lock(dev);
	if (ret)
		return view_fail(view, IOMMU_VIEW_SHARED, ret);
	return view_settle(view, IOMMU_VIEW_LOCKED);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_lock);

/* Was the evidence the same until the end? */
static bool view_evidence_is(struct iommu_view *view, u64 generation)
{
	return !generation || READ_ONCE(view->generation) == generation;
}

/**
 * iommu_view_accept() - Let a device reach private memory
 * @dev: The device, which is locked.
 * @generation: Of the evidence that was found to be good; 0 for any.
 *
 * Drivers that were refused are probed once, later, if its trust allows it.
 *
 * Context: May sleep for as long as the TSM takes. Takes the lock of @dev and the mutex
 * of its group.
 * Return: 0; -EINVAL if it is not locked; -EAGAIN if the evidence is another one;
 * -EPERM if its trust is "restricted"; -EBUSY, -ENODEV and -EIO as for
 * iommu_view_lock(); -EOPNOTSUPP if the IOMMU cannot keep private memory private; or
 * the error of the TSM. After an error it is locked as before, or lost.
 */
int iommu_view_accept(struct device *dev, u64 generation)
{
	struct iommu_view *view __free(view) = NULL;
	const struct iommu_view_tsm_ops *ops;
	int ret;

	guard(device)(dev);
	view = iommu_view_get(dev);
	if (!view || !view->tsm)
		return -EINVAL;
	ret = view_enter_accept(view, generation);
	if (ret)
		return ret;
	ops = view->tsm->ops;
	ret = ops->accept(dev);
	if (!ret && !view_evidence_is(view, generation))
		ret = -EAGAIN;
	if (!ret && ops->state(dev) != IOMMU_VIEW_PRIVATE)
		ret = -EIO;
	if (!ret)
		ret = view_settle(view, IOMMU_VIEW_PRIVATE);
	else
		return view_fail(view, IOMMU_VIEW_LOCKED, ret);
	/* It was lost after it had been accepted */
	if (ret == -EIO)
		ops->unlock(dev);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_accept);

/**
 * iommu_view_unlock() - Let a device have the shared view again
 * @dev: The device.
 * @name: The TSM that has locked it.
 *
 * Its trust stays as it is: "blocked" after a loss.
 *
 * Context: May sleep for as long as the TSM takes. Takes the lock of @dev and the mutex
 * of its group.
 * Return: 0; -EINVAL if it is not locked, or by another TSM; -EBUSY and -ENODEV as for
 * iommu_view_lock(); or the error of the TSM: then it is lost.
 */
int iommu_view_unlock(struct device *dev, const char *name)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);
	int ret;

	if (!view)
		return -EINVAL;
	/* After a loss, without the lock that it needs */
	flush_work(&view->work);
	guard(device)(dev);
	if (!view->tsm || strcmp(view->tsm->name, name))
		return -EINVAL;
	ret = view_enter_unlock(view);
	if (ret)
		return ret;
	ret = view->tsm->ops->unlock(dev);
	if (!ret)
		return view_settle(view, IOMMU_VIEW_SHARED);
	iommu_view_lost(dev);
	view_settle(view, IOMMU_VIEW_ERROR);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_unlock);

/**
 * iommu_view_shutdown() - Another kernel is started while a device may be locked
 * @dev: The device.
 *
 * It is unlocked before its bus mastering is cleared, which is an error for a device
 * that is locked.
 *
 * Context: May sleep. The lock of @dev is held, its driver has shut it down.
 */
void iommu_view_shutdown(struct device *dev)
{
	struct iommu_view *view __free(view) = NULL;

	if (!dev->iommu || !READ_ONCE(dev->iommu->view))
		return;
	view = iommu_view_get(dev);
	if (!view || !view->tsm)
		return;
	view->tsm->ops->unlock(dev);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_shutdown);

/*
 * Read the evidence of generation *@generation, or of any if that is 0: set to the
 * one that was read. Return the number of bytes; -EINVAL if the device is not locked; -EAGAIN if it
 * is another generation, also if it changes now; -EIO if the view is lost; or the error
 * of the TSM. The lock of the device is taken.
 */
ssize_t iommu_view_evidence(struct device *dev,
			    enum iommu_owner_evidence_kind kind, u64 *generation,
			    u64 offset, void *buf, size_t length, u64 *total)
{
	struct iommu_view *view __free(view) = NULL;
	u64 first;
	ssize_t ret;

	guard(device)(dev);
	view = iommu_view_get(dev);
	if (!view || !view->tsm)
		return -EINVAL;
	first = READ_ONCE(view->generation);
	if (READ_ONCE(view->state) == IOMMU_VIEW_ERROR)
		return -EIO;
	if (*generation && *generation != first)
		return -EAGAIN;
	*total = 0;
	ret = view->tsm->ops->evidence(dev, kind, offset, buf, length, total);
	if (ret < 0)
		return ret;
	if (WARN_ON_ONCE(ret > length))
		return -EIO;
	if (!view_evidence_is(view, first))
		return -EAGAIN;
	*generation = first;
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_evidence);

/* TSMs */

/* Can any TSM lock @dev? */
bool iommu_view_is_handled(struct device *dev)
{
	struct iommu_view_tsm *tsm;

	guard(mutex)(&view_lock);
	list_for_each_entry(tsm, &view_tsms, node)
		if (view_tsm_handles(tsm, dev))
			return true;
	return false;
}

int iommu_view_add_tsm(struct iommu_view_tsm *tsm)
{
	guard(mutex)(&view_lock);
	if (view_find_tsm(tsm->name))
		return -EEXIST;
	INIT_LIST_HEAD(&tsm->views);
	list_add_tail(&tsm->node, &view_tsms);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_add_tsm);

static struct iommu_view *view_next(struct iommu_view_tsm *tsm)
{
	struct iommu_view *view;

	guard(mutex)(&view_lock);
	view = list_first_entry_or_null(&tsm->views, struct iommu_view, node);
	return view ? view_ref(view) : NULL;
}

/* When this returns, no operation of @tsm runs, and all its devices are unlocked. */
void iommu_view_remove_tsm(struct iommu_view_tsm *tsm)
{
	struct iommu_view *view;

	scoped_guard(mutex, &view_lock)
		list_del(&tsm->node);
	while ((view = view_next(tsm))) {
		iommu_view_lost(view->dev);
		flush_work(&view->work);
		view_abandon(view);
		iommu_view_put(view);
	}
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_remove_tsm);

/* The life of a group */

/* Without a group there is no view. What the TSM has of it goes later. */
static void view_left(struct iommu_group *group, struct device *dev)
{
	struct iommu_view *view = dev->iommu ? dev->iommu->view : NULL;

	lockdep_assert_held(&group->mutex);

	if (!view)
		return;
	dev->iommu->view = NULL;
	WRITE_ONCE(view->left, true);
	view_queue(view);
	iommu_view_put(view);
}

static const struct iommu_owner_concept view_concept = {
	.left = view_left,
	.quiescing = iommu_view_lost,
};

static int __init view_init(void)
{
	iommu_owner_add_concept(&view_concept);
	return 0;
}
core_initcall(view_init);
