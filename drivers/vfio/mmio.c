// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of a device that another device reaches by DMA
 *
 * A container maps the registers of a device for the DMA of others if its user
 * asks for it, so that devices can talk to each other ("peer to peer"). Such a
 * mapping goes by physical address: it would outlive the use of the device, and
 * lead into what the next user does with it. Therefore it ends with the use, and
 * one that is older than the use, through sysfs, ends when that starts.
 *
 * Only PCI devices: no driver of another bus takes its device back.
 */
#include <linux/export.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/pfn.h>

#include "vfio.h"

static BLOCKING_NOTIFIER_HEAD(mmio_notifier);

/**
 * vfio_register_mmio_notifier() - Be notified when registers must be unmapped
 * @nb: Called with a &struct vfio_mmio_pages. When it returns, no DMA reaches
 *	these pages. It may wait for an operation of the user that mapped them.
 *
 * Context: May sleep.
 * Return: 0.
 */
int vfio_register_mmio_notifier(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&mmio_notifier, nb);
}
EXPORT_SYMBOL_GPL(vfio_register_mmio_notifier);

/**
 * vfio_unregister_mmio_notifier() - Be notified no more
 * @nb: As registered. Nothing is mapped.
 *
 * Context: May sleep.
 */
void vfio_unregister_mmio_notifier(struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&mmio_notifier, nb);
}
EXPORT_SYMBOL_GPL(vfio_unregister_mmio_notifier);

/**
 * vfio_mmio_unmap() - Unmap the registers of a device for the DMA of others
 * @device: The device. It is open, or its group is claimed and nobody has it open;
 *	no mapping of its registers by a CPU is left or can come before this
 *	returns, but by the caller.
 *
 * Context: May sleep, also for an operation of the user that mapped them. No lock
 * is held that another user needs.
 */
void vfio_mmio_unmap(struct vfio_device *device)
{
	struct vfio_mmio_pages pages;
	struct resource *res;

	if (!dev_is_pci(device->dev))
		return;
	for (int bar = 0; bar <= PCI_ROM_RESOURCE; bar++) {
		res = &to_pci_dev(device->dev)->resource[bar];
		if (!(res->flags & IORESOURCE_MEM) || !resource_size(res) ||
		    res->flags & (IORESOURCE_UNSET | IORESOURCE_ROM_SHADOW))
			continue;
		pages.first = PHYS_PFN(res->start);
		pages.last = PHYS_PFN(res->end);
		blocking_notifier_call_chain(&mmio_notifier, 0, &pages);
	}
}
