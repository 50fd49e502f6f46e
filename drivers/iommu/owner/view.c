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
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "end.h"
#include "trust.h"
#include "view.h"

/*
 * Protects the TSMs, and keeps them while one is asked. Inside the lock of a device,
 * outside the mutex of a group.
 */
static DECLARE_RWSEM(view_sem);
static LIST_HEAD(view_tsms);

/* All views, by device. Found under RCU: nothing else of the device has to be there. */
static DEFINE_XARRAY(view_devices);

static u64 view_next_generation(void)
{
	static atomic64_t generations;

	return atomic64_inc_return(&generations);
}

void iommu_view_put(struct iommu_view *view)
{
	if (!view || !refcount_dec_and_test(&view->ref))
		return;
	pm_runtime_put(view->dev);
	put_device(view->dev);
	iommu_group_put(view->group);
	kfree_rcu(view, rcu);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_put);

/* The view of @dev with a reference, or NULL if it is SHARED */
struct iommu_view *iommu_view_get(struct device *dev)
{
	struct iommu_view *view;

	guard(rcu)();
	view = xa_load(&view_devices, (unsigned long)dev);
	return view && refcount_inc_not_zero(&view->ref) ? view : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_get);

/**
 * iommu_view_is_locked() - Must a device not be reset, and its bus mastering stay on?
 * @dev: The device.
 *
 * Context: Any.
 * Return: true if it is locked or private.
 */
bool iommu_view_is_locked(struct device *dev)
{
	enum iommu_view_state state = IOMMU_VIEW_SHARED;
	struct iommu_view *view;

	guard(rcu)();
	view = xa_load(&view_devices, (unsigned long)dev);
	if (view)
		state = READ_ONCE(view->state);
	return state == IOMMU_VIEW_LOCKED || state == IOMMU_VIEW_PRIVATE;
}
EXPORT_SYMBOL_GPL(iommu_view_is_locked);

/* Lock the group of @view. NULL: the device is no member of it, or has another view. */
static struct group_device *view_lock_group(struct iommu_view *view)
{
	struct group_device *gdev;

	iommu_owner_lock(view->group);
	gdev = iommu_owner_find_device(view->group, view->dev);
	return gdev && view->dev->iommu && view->dev->iommu->view == view ?
	       gdev : NULL;
}

static void view_unlock_group(struct iommu_view *view)
{
	iommu_owner_unlock(view->group);
}

/* What uses the DMA of a device */

/* The ownership of a group ends because a device of it has lost its view. */
static void view_end_ownership(struct iommu_view *view)
{
	struct iommu_ownership *own = &view->group->ownership;
	struct iommu_owner_teardown teardown;
	struct iommu_owner *owner = NULL;

	if (view_lock_group(view) && view->state == IOMMU_VIEW_ERROR &&
	    (own->state == IOMMU_OWNER_STATE_USER ||
	     own->state == IOMMU_OWNER_STATE_RESERVED)) {
		owner = iommu_owner_get(own->owner);
		iommu_owner_init_teardown(&teardown, owner,
					  IOMMU_OWNER_REASON_LOST);
		iommu_owner_block_group(&teardown, view->group);
	}
	view_unlock_group(view);
	if (!owner)
		return;
	iommu_owner_finish(&teardown);
	iommu_owner_put(owner);
}

/* Is a driver bound that was there when the view was lost? No other one may bind. */
static bool view_has_driver(struct iommu_view *view)
{
	struct group_device *gdev = view_lock_group(view);
	bool driver = gdev && gdev->driver && view->state == IOMMU_VIEW_ERROR;

	view_unlock_group(view);
	return driver;
}

static void view_leave_tsm(struct iommu_view *view)
{
	guard(rwsem_write)(&view_sem);
	list_del_init(&view->node);
	view->tsm = NULL;
}

/* The TSM has nothing to do with @view any more, and nobody finds it. */
static void view_unlink(struct iommu_view *view)
{
	view_leave_tsm(view);
	xa_erase(&view_devices, (unsigned long)view->dev);
	iommu_view_put(view);
}

static int view_unlock_device(struct iommu_view *view)
{
	int ret = view->tsm->ops->unlock(view->dev);

	if (ret)
		dev_err(view->dev, "iommu-owner: TSM %s cannot unlock the device\n",
			view->tsm->name);
	return ret;
}

/*
 * The TSM lets go of a device that has left, or that it leaves. One that it cannot
 * unlock stays lost for ever.
 */
static void view_abandon(struct iommu_view *view)
{
	struct device *dev = view->dev;
	bool failed;

	guard(device)(dev);
	if (!view->tsm)
		return;
	failed = view_unlock_device(view);
	if (view_lock_group(view) && !failed) {
		dev->iommu->view = NULL;
		iommu_owner_update_trust(view->group);
		iommu_owner_report_change(view->group);
	} else if (!READ_ONCE(view->left)) {
		view_unlock_group(view);
		view_leave_tsm(view);
		return;
	}
	view_unlock_group(view);
	view_unlink(view);
}

static void view_work(struct work_struct *work)
{
	struct iommu_view *view = container_of(work, struct iommu_view, work);

	view_end_ownership(view);
	if (view_has_driver(view))
		device_release_driver(view->dev);
	if (READ_ONCE(view->left))
		view_abandon(view);
	iommu_view_put(view);
}

/* Drivers are not removed while the system is asleep, so not in the middle of a resume. */
static void view_queue(struct iommu_view *view)
{
	refcount_inc(&view->ref);
	if (!queue_work(system_freezable_wq, &view->work))
		iommu_view_put(view);
}

/* Loss */

/* An owner loses the group, and a driver its device only. */
static int view_block(struct iommu_group *group, struct group_device *gdev)
{
	return group->ownership.owner ? iommu_owner_block_dma(group) :
					__iommu_group_block_device(group, gdev);
}

static void view_lose(struct iommu_view *view, struct group_device *gdev)
{
	struct iommu_group *group = view->group;
	struct device *dev = view->dev;
	int ret;

	lockdep_assert_held(&group->mutex);

	if (view->state == IOMMU_VIEW_ERROR)
		return;
	WRITE_ONCE(view->state, IOMMU_VIEW_ERROR);
	WRITE_ONCE(view->generation, view_next_generation());
	dev->iommu->trust = IOMMU_OWNER_TRUST_BLOCKED;
	ret = view_block(group, gdev);
	/* It is in error already: that this is another one does not matter */
	if (ret && dev_is_pci(dev))
		pci_clear_master(to_pci_dev(dev));
	dev_err(dev, "iommu-owner: the private view is lost, DMA is %s until owner/trust is written\n",
		ret ? "NOT blocked" : "blocked");
	group->ownership.unmap = true;
	iommu_owner_update_trust(group);
	iommu_owner_report_change(group);
	view_queue(view);
}

/**
 * iommu_view_lost() - A device is not what was locked or accepted any more
 * @dev: The device; the caller has a reference.
 *
 * When this returns, its DMA is blocked. What uses it goes afterwards: a driver that uses
 * the DMA API is unbound, the ownership of the group ends. It stays blocked until an
 * administrator has written to tsm/unlock and to owner/trust. Nothing happens to a device
 * with the shared view.
 *
 * Context: May sleep. Takes the mutex of the group of @dev, whose lock may be held.
 */
void iommu_view_lost(struct device *dev)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);
	struct group_device *gdev;

	if (likely(!view))
		return;
	gdev = view_lock_group(view);
	if (gdev)
		view_lose(view, gdev);
	view_unlock_group(view);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_lost);

/* Does a reset of @reset reach @pdev? It may be a PF, or a bridge. */
static bool view_is_reset(struct pci_dev *pdev, struct pci_dev *reset)
{
	struct pci_dev *above = pci_physfn(pdev);

	while (above && above != reset)
		above = pci_upstream_bridge(above);
	return above || pdev == reset;
}

/* The next view, after *@index, of what a reset of @reset reaches, with a reference */
static struct iommu_view *view_next_reset(struct pci_dev *reset,
					  unsigned long *index)
{
	struct iommu_view *view;

	guard(rcu)();
	while ((view = xa_find_after(&view_devices, index, ULONG_MAX,
				     XA_PRESENT)))
		if (dev_is_pci(view->dev) &&
		    view_is_reset(to_pci_dev(view->dev), reset) &&
		    refcount_inc_not_zero(&view->ref))
			return view;
	return NULL;
}

/**
 * iommu_view_reset() - A device is about to be reset
 * @pdev: The device: it, its VFs, and what is below it are lost.
 *
 * Context: May sleep. Takes mutexes of groups.
 */
void iommu_view_reset(struct pci_dev *pdev)
{
	struct iommu_view *view;
	unsigned long index = 0;

	while ((view = view_next_reset(pdev, &index))) {
		iommu_view_lost(view->dev);
		iommu_view_put(view);
	}
}

/**
 * iommu_view_evidence_changed() - The evidence of a device is not what it was
 * @dev: The device; the caller has a reference.
 *
 * A read of it that has begun fails, and so does accepting what was read. A device that
 * is private stays so: if it must not, that is iommu_view_lost().
 *
 * Context: May sleep. Takes the mutex of the group of @dev, whose lock may be held.
 */
void iommu_view_evidence_changed(struct device *dev)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);

	if (!view)
		return;
	if (view_lock_group(view))
		WRITE_ONCE(view->generation, view_next_generation());
	view_unlock_group(view);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_evidence_changed);

/* Is the device what the core believes? Nothing is known while a TSM is at it. */
static bool view_is_true(struct iommu_view *view, enum iommu_view_state *was)
{
	guard(rwsem_read)(&view_sem);
	*was = READ_ONCE(view->state);
	return !view->tsm || READ_ONCE(view->changing) ||
	       view->tsm->ops->state(view->dev) == *was;
}

/**
 * iommu_view_check() - A device may have lost its view while it had no power
 * @dev: The device.
 *
 * Context: May sleep, also in the noirq phase of a resume.
 */
void iommu_view_check(struct device *dev)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);
	enum iommu_view_state was;
	struct group_device *gdev;

	if (likely(!view) || view_is_true(view, &was))
		return;
	gdev = view_lock_group(view);
	/* If it is another one, a TSM has changed it since */
	if (gdev && !view->changing && view->state == was)
		view_lose(view, gdev);
	view_unlock_group(view);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_check);

/* Changes */

static int view_pci_master(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command))
		return -ENODEV;
	return !!(command & PCI_COMMAND_MASTER);
}

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

	lockdep_assert_held(&view_sem);

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

/*
 * From now on the view can be found, and iommu_view_remove_tsm() waits for what is done
 * with it.
 */
static int view_link(struct iommu_view *view, const char *name)
{
	struct iommu_view_tsm *tsm;
	int ret;

	guard(rwsem_write)(&view_sem);
	tsm = view_find_tsm(name);
	if (!tsm)
		return -EINVAL;
	if (!view_tsm_handles(tsm, view->dev))
		return -ENXIO;
	ret = xa_insert(&view_devices, (unsigned long)view->dev, view,
			GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? -EINVAL : ret;
	refcount_inc(&view->ref);
	view->tsm = tsm;
	list_add_tail(&view->node, &tsm->views);
	return 0;
}

static struct iommu_view *view_alloc(struct device *dev)
{
	struct iommu_view *view = kzalloc(sizeof(*view), GFP_KERNEL);

	if (!view)
		return NULL;
	refcount_set(&view->ref, 1);
	view->dev = get_device(dev);
	view->group = iommu_group_get(dev);
	view->generation = view_next_generation();
	INIT_LIST_HEAD(&view->node);
	INIT_WORK(&view->work, view_work);
	/* Also if it fails, as it does where there is no runtime PM */
	pm_runtime_get_sync(dev);
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
	WRITE_ONCE(view->changing, true);
	iommu_owner_update_trust(group);
	if (view_is_blocked(group, gdev))
		return 0;
	WRITE_ONCE(view->changing, false);
	iommu_owner_update_trust(group);
	return gdev->dev->iommu->require_direct ? -EOPNOTSUPP : -EIO;
}

/* A device gets a view that a TSM has to do with. */
static int view_enter_new(struct iommu_view *view)
{
	struct iommu_group *group = view->group;
	struct device *dev = view->dev;
	struct group_device *gdev;
	int ret = -EOPNOTSUPP;

	if (!group)
		return ret;
	iommu_owner_lock(group);
	gdev = iommu_owner_find_device(group, dev);
	if (gdev && dev->iommu) {
		dev->iommu->view = view;
		ret = view_enter_locked(view, group, gdev);
		if (ret)
			dev->iommu->view = NULL;
	}
	iommu_owner_unlock(group);
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
	struct group_device *gdev = view_lock_group(view);
	int ret = -ENODEV;

	if (gdev)
		ret = view_may_accept(view, view->group, generation);
	if (!ret)
		ret = view_enter_locked(view, view->group, gdev);
	view_unlock_group(view);
	return ret;
}

static int view_enter_unlock(struct iommu_view *view)
{
	struct group_device *gdev = view_lock_group(view);
	int ret = -ENODEV;

	if (gdev)
		ret = view_enter_locked(view, view->group, gdev);
	view_unlock_group(view);
	return ret;
}

/*
 * The device has been unlocked, and its DMA is still blocked: its bus mastering, which
 * was left on when a driver had gone, can be cleared now.
 */
static void view_clear_master(struct iommu_view *view)
{
	WRITE_ONCE(view->state, IOMMU_VIEW_SHARED);
	if (dev_is_pci(view->dev))
		pci_clear_master(to_pci_dev(view->dev));
}

/*
 * A TSM has come to an end with @view, which is @state now. Not if it was lost
 * meanwhile: -EIO; if its evidence is not @generation, which may be 0: -EAGAIN; if the
 * device has gone: -ENODEV.
 */
static int view_settle(struct iommu_view *view, enum iommu_view_state state,
		       u64 generation)
{
	struct group_device *gdev = view_lock_group(view);
	struct device *dev = view->dev;
	int ret = 0;

	if (!gdev)
		ret = -ENODEV;
	else if (state != IOMMU_VIEW_SHARED && view->state == IOMMU_VIEW_ERROR)
		ret = -EIO;
	else if (generation && generation != view->generation)
		ret = -EAGAIN;
	if (gdev && ret != -EAGAIN) {
		WRITE_ONCE(view->changing, false);
		if (state == IOMMU_VIEW_SHARED)
			dev->iommu->view = NULL;
		if (!ret)
			WRITE_ONCE(view->state, state);
		iommu_owner_update_trust(view->group);
		iommu_owner_report_change(view->group);
	}
	view_unlock_group(view);
	if (!ret && state == IOMMU_VIEW_SHARED)
		view_unlink(view);
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
		view_settle(view, before, 0);
		return ret;
	}
	if (ops->unlock(dev) || ops->state(dev) != IOMMU_VIEW_SHARED) {
		dev_err(dev, "iommu-owner: TSM %s cannot unlock the device\n",
			view->tsm->name);
	} else if (before == IOMMU_VIEW_SHARED) {
		view_settle(view, before, 0);
		return ret;
	}
	iommu_view_lost(dev);
	view_settle(view, IOMMU_VIEW_ERROR, 0);
	return ret;
}

/**
 * iommu_view_lock() - Lock the configuration of a device
 * @dev: The device.
 * @name: The TSM that does it.
 *
 * Context: May sleep for as long as the TSM takes. Takes the lock of @dev and the mutex
 * of its group.
 * Return: 0; -EINVAL if there is no TSM of that name, or one has locked the device
 * already; -ENXIO if the TSM cannot lock this device; -EBUSY if a driver is bound to a device of
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
	return view_settle(view, IOMMU_VIEW_LOCKED, 0);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_lock);

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
	if (!ret && ops->state(dev) != IOMMU_VIEW_PRIVATE)
		ret = -EIO;
	if (!ret)
		ret = view_settle(view, IOMMU_VIEW_PRIVATE, generation);
	return ret ? view_fail(view, IOMMU_VIEW_LOCKED, ret) : 0;
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
 * Return: 0; -EINVAL if it is not locked, or by another TSM; -EBUSY, -ENODEV, -EOPNOTSUPP
 * and -EIO as for iommu_view_lock(); or the error of the TSM: then it is lost.
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
	if (!ret) {
		view_clear_master(view);
		return view_settle(view, IOMMU_VIEW_SHARED, 0);
	}
	iommu_view_lost(dev);
	view_settle(view, IOMMU_VIEW_ERROR, 0);
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
	struct iommu_view *view __free(view) = iommu_view_get(dev);
	struct group_device *gdev;

	if (likely(!view))
		return;
	device_lock_assert(dev);
	gdev = view_lock_group(view);
	if (gdev)
		view_block(view->group, gdev);
	view_unlock_group(view);
	if (view->tsm)
		view_unlock_device(view);
	/* Whatever it is now, bus mastering must not stay on */
	WRITE_ONCE(view->state, IOMMU_VIEW_ERROR);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_shutdown);

static ssize_t view_read_evidence(struct iommu_view *view,
				  enum iommu_owner_evidence_kind kind,
				  u64 *generation, u64 offset, void *buf,
				  size_t length, u64 *total)
{
	u64 first = READ_ONCE(view->generation);
	ssize_t ret;

	device_lock_assert(view->dev);

	if (READ_ONCE(view->state) == IOMMU_VIEW_ERROR)
		return -EIO;
	if (*generation && *generation != first)
		return -EAGAIN;
	*total = 0;
	ret = view->tsm->ops->evidence(view->dev, kind, offset, buf, length,
				       total);
	if (ret < 0)
		return ret;
	if (WARN_ON_ONCE(ret > length))
		return -EIO;
	if (READ_ONCE(view->generation) != first)
		return -EAGAIN;
	*generation = first;
	return ret;
}

/*
 * Read the evidence of generation *@generation, or of any if that is 0: it is set to the
 * one that was read. Return the number of bytes; -EINVAL if the device is not locked;
 * -EAGAIN if it is another generation, also if it changes now; -EIO if the view is lost;
 * -EINTR; or the error of the TSM. The lock of the device is taken.
 */
ssize_t iommu_view_evidence(struct device *dev,
			    enum iommu_owner_evidence_kind kind, u64 *generation,
			    u64 offset, void *buf, size_t length, u64 *total)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);
	ssize_t ret = -EINVAL;

	if (!view)
		return ret;
	if (device_lock_interruptible(dev))
		return -EINTR;
	if (view->tsm)
		ret = view_read_evidence(view, kind, generation, offset, buf,
					 length, total);
	device_unlock(dev);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_evidence);

/* TSMs */

/* Can any TSM lock @dev? */
bool iommu_view_is_handled(struct device *dev)
{
	struct iommu_view_tsm *tsm;

	guard(rwsem_read)(&view_sem);
	list_for_each_entry(tsm, &view_tsms, node)
		if (view_tsm_handles(tsm, dev))
			return true;
	return false;
}

int iommu_view_add_tsm(struct iommu_view_tsm *tsm)
{
	guard(rwsem_write)(&view_sem);
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

	guard(rwsem_read)(&view_sem);
	view = list_first_entry_or_null(&tsm->views, struct iommu_view, node);
	if (view)
		refcount_inc(&view->ref);
	return view;
}

/*
 * When this returns, no operation of @tsm runs. With the lock of a device none is in the
 * middle of something, and from the loss on none begins but to unlock it.
 */
void iommu_view_remove_tsm(struct iommu_view_tsm *tsm)
{
	struct iommu_view *view;

	scoped_guard(rwsem_write, &view_sem)
		list_del(&tsm->node);
	while ((view = view_next(tsm))) {
		scoped_guard(device, view->dev)
			iommu_view_lost(view->dev);
		flush_work(&view->work);
		view_abandon(view);
		iommu_view_put(view);
	}
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_remove_tsm);

/* The life of a group */

/*
 * Without a group there is no view. What the TSM has of it goes later; until then the
 * device does not get another one.
 */
static void view_left(struct iommu_group *group, struct device *dev)
{
	struct iommu_view *view = dev->iommu ? dev->iommu->view : NULL;

	lockdep_assert_held(&group->mutex);

	if (!view)
		return;
	dev->iommu->view = NULL;
	WRITE_ONCE(view->left, true);
	view_queue(view);
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
