// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quiesce devices that user space had
 *
 * A device that user space could program may have DMA in flight or armed. It
 * must not see the default domain, which maps memory of the kernel, before its
 * bus mastering is off, its transactions have ended and, if it can, it has been
 * reset.
 *
 * That it has not been reset is known by address as well: a PCI device that is
 * removed and found again is another one, with the same DMA armed.
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
#include <linux/xarray.h>

#ifdef CONFIG_PCI
#include "../../pci/pci.h"
#endif
#include "quiesce.h"

#define NO_ADDRESS	ULONG_MAX

/*
 * The addresses of PCI devices that have not been reset since user space had them.
 * Written with the mutex of their group held.
 */
static DEFINE_XARRAY(quiesce_addresses);

VISIBLE_IF_KUNIT unsigned long iommu_owner_quiesce_address(struct device *dev)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_quiesce_address, dev);
#ifdef CONFIG_PCI
	if (dev_is_pci(dev)) {
		struct pci_dev *pdev = to_pci_dev(dev);

		return (unsigned long)pci_domain_nr(pdev->bus) << 16 |
		       pci_dev_id(pdev);
	}
#endif
	return NO_ADDRESS;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_quiesce_address);

/* Has the device at the address of @dev not been reset since user space had it? */
bool iommu_owner_is_remembered(struct device *dev)
{
	unsigned long address = iommu_owner_quiesce_address(dev);

	return address != NO_ADDRESS && xa_load(&quiesce_addresses, address);
}

static int quiesce_remember(struct device *dev)
{
	unsigned long address = iommu_owner_quiesce_address(dev);

	if (address == NO_ADDRESS)
		return 0;
	return xa_err(xa_store(&quiesce_addresses, address, xa_mk_value(0),
			       GFP_KERNEL));
}

static void quiesce_forget(struct device *dev)
{
	unsigned long address = iommu_owner_quiesce_address(dev);

	if (address != NO_ADDRESS)
		xa_erase(&quiesce_addresses, address);
}

/* @gdev was used. @ret is what iommu_owner_quiesce() has returned for it. */
void iommu_owner_update_quiesced(struct group_device *gdev, int ret)
{
	gdev->used = ret < 0;
	gdev->armed = ret > 0;
	if (!ret)
		quiesce_forget(gdev->dev);
}

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
		if (!ret)
			ret = quiesce_remember(dev);
		if (!ret)
			gdev->used = true;
		return ret;
	}
	iommu_owner_update_quiesced(gdev, 0);
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
 * Context: May sleep. Takes the mutex of the group. If the kernel is locked down, may
 * resume the devices of the group.
 * Return: 0; -ENODEV if @dev has no group; -ESTALE if the group has no owner, or
 * its ownership is ending; -EBUSY if the DMA of @dev is blocked because it has
 * joined the group and cannot be attached, or is missing what a lease requires; -EPERM
 * if the kernel has been locked down since the group was claimed, and it is not
 * isolated; -ENOMEM.
 */
int iommu_owner_device_used(struct device *dev)
{
	LIST_HEAD(awake);
	int ret;

	/* If it is a member, it stays one: its driver calls */
	if (dev->iommu_group)
		iommu_owner_wake(dev->iommu_group, &awake);
	ret = quiesce_mark(dev, true);
	iommu_owner_sleep(&awake);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_device_used);

#ifdef CONFIG_PCI
/* As long as the kernel waits for any device after its reset */
#define QUIESCE_RESET_MS	(60 * MSEC_PER_SEC)

/*
 * Does a device answer? One that has just been reset may say for some time, up to @timeout
 * ms, that it is not ready. The identity of a VF says nothing, so its PF and its command
 * register are asked.
 */
static bool quiesce_answers(struct pci_dev *pdev, int timeout)
{
	struct pci_dev *physfn = pci_physfn(pdev);
	u16 command;
	u32 id;

	if (pci_dev_is_disconnected(physfn) ||
	    !pci_bus_read_dev_vendor_id(physfn->bus, physfn->devfn, &id,
					timeout))
		return false;
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return !PCI_POSSIBLE_ERROR(command);
}
#endif

/* Can a reset that the driver has asked for have reached the device? */
static bool quiesce_was_reached(struct device *dev)
{
#ifdef CONFIG_PCI
	return !dev_is_pci(dev) ||
	       quiesce_answers(to_pci_dev(dev), QUIESCE_RESET_MS);
#else
	return true;
#endif
}

/**
 * iommu_owner_device_quiesced() - A device has been reset since its last use
 * @dev: The device. The caller is its driver; user space has no access.
 *
 * Nothing is left to do for it when the ownership ends. A PCI device that does not
 * answer is not known to have been reset, whatever the reset of its bus has returned.
 *
 * Context: May sleep. Takes the mutex of the group. The device is not suspended.
 * Return: 0; -ENODEV if @dev has no group; -EIO if it does not answer.
 */
int iommu_owner_device_quiesced(struct device *dev)
{
	if (!quiesce_was_reached(dev))
		return -EIO;
	return quiesce_mark(dev, false);
}
EXPORT_SYMBOL_GPL(iommu_owner_device_quiesced);

#ifdef CONFIG_PCI
static noinline int quiesce_reset(struct pci_dev *pdev)
{
	int ret;

	ret = pci_reset_function_locked(pdev);
	if (ret && ret != -ENOTTY)
		return ret;
	/* There is no reset, or none after which the device answers */
	if (!quiesce_answers(pdev, QUIESCE_RESET_MS))
		return -ENODEV;
	return ret ? IOMMU_OWNER_NOT_RESET : 0;
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

	/* What it does when it answers again is not known; it is asked again then */
	if (!quiesce_answers(pdev, 0))
		return -ENODEV;

	pci_clear_master(pdev);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command))
		return -ENODEV;
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
	if (locked) {
		pci_cfg_access_lock(pdev);
		ret = quiesce_locked(dev);
		pci_cfg_access_unlock(pdev);
		return ret;
	}
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
	return IOMMU_OWNER_NOT_RESET;
}
#endif

/*
 * Turn off what @dev could do by itself. @locked: the caller has its lock,
 * which a reset needs. IOMMU_OWNER_NOT_RESET: there is no reset, but its bus mastering
 * is off, if the bus has such a thing. -EAGAIN: another task has the lock, or removes
 * it, try again later. -ENODEV: the device does not answer.
 */
int iommu_owner_quiesce(struct device *dev, bool locked)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_quiesce, dev, locked);
	/* Drivers of other buses say when they have reset a device */
	return dev_is_pci(dev) ? quiesce_pci(dev, locked) :
				 IOMMU_OWNER_NOT_RESET;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_quiesce);

/* Whatever has become of it while it was away: only its address is known. */
static void quiesce_joining(struct iommu_group *group, struct group_device *gdev)
{
	gdev->armed = iommu_owner_is_remembered(gdev->dev);
}

static const struct iommu_owner_concept quiesce_concept = {
	.joining = quiesce_joining,
};

static int __init quiesce_init(void)
{
	iommu_owner_add_concept(&quiesce_concept);
	return 0;
}
core_initcall(quiesce_init);
