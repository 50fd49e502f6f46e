// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quiet devices after user space had them, and quarantine for those that are
 * not
 *
 * A device that user space could program may have DMA in flight or armed. It
 * must not see the default domain, which maps memory of the kernel, before its
 * bus mastering is off, its transactions have ended and, if it can, it has been
 * reset.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/error-injection.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "owner.h"

static int mark(struct device *dev, bool used)
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
	if (used && (!own->owner || own->ending))
		return -ESTALE;
	if (used && gdev->held_out)
		return -EBUSY;
	if (used && iommu_owner_must_isolate(group, own->owner)) {
		ret = iommu_owner_isolate(group, own->owner);
		if (ret)
			return ret;
	}
	gdev->used = used;
	return 0;
}

/**
 * iommu_owner_device_used() - User space gets access to a device
 * @dev: The device, in a group with an owner. The caller is its driver.
 *
 * At the end of the ownership the device is quiesced before anything else
 * can use it. Who is refused must not give access: nobody would make the device
 * quiesce it afterwards. May be called for each user.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -ENODEV if @dev has no group; -ESTALE if the group has no owner, or
 * its ownership is ending; -EBUSY if @dev has joined the group while a lease
 * requires what it lacks; -EPERM if the kernel has been locked down since the
 * group was claimed, and it is not isolated; -ENOMEM.
 */
int iommu_owner_device_used(struct device *dev)
{
	return mark(dev, true);
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
	return mark(dev, false);
}
EXPORT_SYMBOL_GPL(iommu_owner_device_quiesced);

#ifdef CONFIG_PCI
static noinline int reset_function(struct pci_dev *pdev, bool locked)
{
	int ret;

	ret = locked ? pci_reset_function_locked(pdev) :
		       pci_try_reset_function(pdev);
	return ret == -ENOTTY ? 0 : ret;
}
ALLOW_ERROR_INJECTION(reset_function, ERRNO);

static int quiesce_function(struct pci_dev *pdev, bool locked)
{
	bool pending;
	u16 command;
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    !pci_device_is_present(pdev))
		return 0;

	pci_clear_master(pdev);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER)
		return -EIO;

	pending = !pci_wait_for_pending_transaction(pdev);
	ret = reset_function(pdev, locked);
	if (!ret && pending && !pci_wait_for_pending_transaction(pdev))
		ret = -EIO;
	return ret;
}

static int quiesce_pci(struct device *dev, bool locked)
{
	int ret;

	pm_runtime_get_sync(dev);
	ret = quiesce_function(to_pci_dev(dev), locked);
	pm_runtime_put(dev);
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
 * which a reset needs. -EAGAIN: somebody else has it, try again later.
 */
VISIBLE_IF_KUNIT int iommu_owner_quiesce(struct device *dev, bool locked)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_quiesce, dev, locked);
	return dev_is_pci(dev) ? quiesce_pci(dev, locked) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_quiesce);

struct group_device *iommu_owner_used_device(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->used)
			return gdev;
	return NULL;
}

void iommu_owner_forget_use(struct iommu_group *group)
{
	struct group_device *gdev;

	while ((gdev = iommu_owner_used_device(group)))
		gdev->used = false;
}

/*
 * Quiesce all devices of @group. The mutex is dropped meanwhile: the caller
 * sees to it that no owner or driver gets the group. @locked is a device whose
 * lock the caller has, or NULL. Return what keeps the group in quarantine.
 */
const char *iommu_owner_quiesce_group(struct iommu_group *group,
				    struct device *locked)
{
	struct group_device *gdev;
	struct device *dev;
	int ret;

	lockdep_assert_held(&group->mutex);

	group->ownership.retry = false;
	while ((gdev = iommu_owner_used_device(group))) {
		dev = get_device(gdev->dev);
		mutex_unlock(&group->mutex);
		ret = iommu_owner_quiesce(dev, dev == locked);
		if (ret)
			dev_err(dev, "iommu-owner: cannot be quiesced: %d\n",
				ret);
		mutex_lock(&group->mutex);
		gdev = iommu_owner_find_device(group, dev);
		if (gdev)
			gdev->used = ret;
		put_device(dev);
		if (gdev && ret)
			break;
	}
	if (!gdev)
		return NULL;
	group->ownership.retry = ret == -EAGAIN;
	return ret == -EAGAIN ? "a reset has to wait for another task" :
				"a device cannot be quiesced";
}

/*
 * The last step of an end. Return what keeps the group in quarantine; memory may
 * be there for the next who wants the group, and a lease be gone.
 */
const char *iommu_owner_attach_default(struct iommu_group *group)
{
	int ret;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices))
		return NULL;
	if (iommu_owner_lease_refuses_default(group)) {
		group->ownership.retry = true;
		return "a lease keeps the default domain away";
	}
	ret = __iommu_group_set_domain_internal(group, group->default_domain,
						0);
	if (!ret)
		return NULL;
	group->ownership.retry = ret == -ENOMEM;
	return "the default domain cannot be attached";
}

/* The mutex is dropped meanwhile, but the quarantine stays: nobody gets the group. */
void __iommu_owner_retry_quiesce(struct iommu_group *group, struct device *locked)
{
	struct iommu_ownership *own = &group->ownership;
	const char *reason;

	lockdep_assert_held(&group->mutex);

	own->quiescing = true;
	reason = iommu_owner_quiesce_group(group, locked);
	own->quiescing = false;
	if (!reason)
		reason = iommu_owner_attach_default(group);
	if (reason != own->quarantine) {
		own->quarantine = reason;
		iommu_owner_changed(group);
	}
	if (!reason)
		iommu_owner_reprobe(group);
}

/**
 * iommu_owner_quarantine_group() - End an ownership without trust
 * @owner: The owner.
 * @group: The group; the caller has a reference.
 *
 * For an owner whose devices could not be quiesced. All its claims and its
 * reservation are gone afterwards, DMA is blocked and no driver binds until
 * iommu_owner_clear_quarantine().
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -ESTALE if the ownership has ended; -EACCES if another owner has
 * the group.
 */
int iommu_owner_quarantine_group(struct iommu_owner *owner,
				 struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_section section;
	int ret = 0;

	iommu_owner_begin(&section, group);
	if (!own->owner || (own->owner == owner && own->ending)) {
		ret = -ESTALE;
	} else if (own->owner != owner) {
		ret = -EACCES;
	} else {
		own->quarantine = "the devices are not known to be quiesced";
		iommu_owner_begin_end(&section, IOMMU_OWNER_REASON_RELEASED);
	}
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_quarantine_group);

/**
 * iommu_owner_clear_quarantine() - Trust the devices of a group again
 * @group: The group; the caller has a reference.
 *
 * The default domain returns and drivers may bind.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -EINVAL if @group is not in quarantine; -EBUSY if another task is
 * quiescing its devices now, or a lease keeps the default domain away; or the
 * error of the IOMMU driver that could not attach the default domain: the
 * quarantine goes on.
 */
int iommu_owner_clear_quarantine(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_section section;
	int ret = -EINVAL;

	iommu_owner_begin(&section, group);
	if (own->quiescing) {
		ret = -EBUSY;
	} else if (own->quarantine && !own->owner &&
		   iommu_owner_lease_refuses_default(group)) {
		ret = -EBUSY;
	} else if (own->quarantine && !own->owner) {
		ret = __iommu_group_set_domain_internal(group,
							group->default_domain,
							0);
		if (!ret) {
			iommu_owner_forget_use(group);
			own->quarantine = NULL;
			own->retry = false;
			iommu_owner_reprobe(group);
		}
	}
	iommu_owner_end(&section);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_clear_quarantine);
