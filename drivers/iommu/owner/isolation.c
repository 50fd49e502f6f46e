// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a group isolated?
 *
 * The answer is a set of bits, of the group as a whole: each one says that one
 * way past the IOMMU is closed. What is not known is not held.
 *
 * A bit is computed when somebody asks, under the mutex of the group, and the
 * generation of the group moves with every change that the mutex orders:
 * domain, PASID, device, driver, ATS. Nothing is stored, so that a claim or a
 * probe does not pay for it. See lease.c for what keeps a bit as it is.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/sysfs.h>
#include <trace/events/iommu_owner.h>

#include "isolation.h"

static bool trust_ats;
module_param(trust_ats, bool, 0444);
MODULE_PARM_DESC(trust_ats,
		 "Devices with ATS keep to the translations that they were given (default: false)");

static const char * const bit_names[] = {
	[ilog2(IOMMU_OWNER_ISO_TRANSLATED)]		= "translated",
	[ilog2(IOMMU_OWNER_ISO_NO_DIRECT)]		= "no-direct",
	[ilog2(IOMMU_OWNER_ISO_ISOLATED_MSI)]		= "isolated-msi",
	[ilog2(IOMMU_OWNER_ISO_ACS)]			= "acs",
	[ilog2(IOMMU_OWNER_ISO_NO_SIBLING)]		= "no-sibling",
	[ilog2(IOMMU_OWNER_ISO_STRICT)]			= "strict",
	[ilog2(IOMMU_OWNER_ISO_ATS)]			= "ats",
	[ilog2(IOMMU_OWNER_ISO_SNOOP)]			= "snoop",
	[ilog2(IOMMU_OWNER_ISO_NO_FOREIGN_PASID)]	= "no-foreign-pasid",
};

/* Print the names of @bits to @buf; there is a space between two. */
void iommu_owner_isolation_names(u32 bits, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(bit_names); i++)
		if (bits & BIT(i))
			len += scnprintf(buf + len, size - len, "%s%s",
					 len ? " " : "", bit_names[i]);
}

/* What @domain holds, whatever it is attached to */
u32 iommu_owner_domain_bits(const struct iommu_domain *domain)
{
	if (!domain)
		return 0;

	switch (domain->type) {
	case IOMMU_DOMAIN_BLOCKED:
	case IOMMU_DOMAIN_UNMANAGED:
	case IOMMU_DOMAIN_DMA:
	case IOMMU_DOMAIN_SVA:
	case IOMMU_DOMAIN_NESTED:
		return IOMMU_OWNER_ISO_TRANSLATED | IOMMU_OWNER_ISO_STRICT;
	case IOMMU_DOMAIN_DMA_FQ:
		return IOMMU_OWNER_ISO_TRANSLATED;
	case IOMMU_DOMAIN_IDENTITY:
		return IOMMU_OWNER_ISO_STRICT;
	default:
		return 0;
	}
}

/* Does the administrator trust @dev, of the PCI bus, with ATS? */
bool iommu_owner_ats_trusted(struct device *dev)
{
	return trust_ats && !to_pci_dev(dev)->untrusted;
}

#ifdef CONFIG_PCI
#define REDIRECT	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

/* Like a bus of its own: devices below it share the group in any case */
static bool isolation_bridge_to_pci(struct pci_dev *port)
{
	return !pci_is_pcie(port) ||
	       pci_pcie_type(port) == PCI_EXP_TYPE_PCI_BRIDGE;
}

static bool isolation_redirected(struct pci_dev *pdev)
{
	struct pci_dev *port = pci_upstream_bridge(pdev);

	while (port && isolation_bridge_to_pci(port))
		port = pci_upstream_bridge(port);
	return !port || pci_acs_path_enabled(port, NULL, REDIRECT);
}

static u32 isolation_pci_bits(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	u32 bits = 0;

	if (isolation_redirected(pdev))
		bits |= IOMMU_OWNER_ISO_ACS;
	if (!pdev->ats_enabled || iommu_owner_ats_trusted(dev))
		bits |= IOMMU_OWNER_ISO_ATS;
	return bits;
}
#else
static u32 isolation_pci_bits(struct device *dev)
{
	return 0;
}
#endif

/*
 * What the interrupts and the bus of @dev hold. There is no ATS and no way
 * around the IOMMU on a bus that is not PCI.
 */
VISIBLE_IF_KUNIT u32 iommu_owner_bus_bits(struct device *dev)
{
	u32 bits = 0;

	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_bus_bits, dev);
	if (msi_device_has_isolated_msi(dev))
		bits |= IOMMU_OWNER_ISO_ISOLATED_MSI;
	if (dev_is_pci(dev))
		bits |= isolation_pci_bits(dev);
	else
		bits |= IOMMU_OWNER_ISO_ACS | IOMMU_OWNER_ISO_ATS;
	return bits;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_bus_bits);

static bool isolation_has_direct(struct device *dev)
{
	struct iommu_resv_region *region;
	bool direct = dev->iommu->require_direct;
	LIST_HEAD(regions);

	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list)
		direct |= region->type == IOMMU_RESV_DIRECT;
	iommu_put_resv_regions(dev, &regions);
	return direct;
}

/* What @dev holds by itself: all of IOMMU_OWNER_ISO_DEVICE that it does */
u32 iommu_owner_device_bits(struct device *dev)
{
	u32 bits = iommu_owner_bus_bits(dev);

	if (!dev->iommu || !dev->iommu->iommu_dev)
		return bits;
	if (!isolation_has_direct(dev))
		bits |= IOMMU_OWNER_ISO_NO_DIRECT;
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
		bits |= IOMMU_OWNER_ISO_SNOOP;
	return bits;
}

static bool isolation_has_sibling(struct iommu_group *group)
{
	/* A driver that has handed its use over cannot use it now */
	if (group->ownership.owner || iommu_owner_dma_blocked(group))
		return false;
	return iommu_owner_kernel_user(group, NULL);
}

/* What @group holds now. A device that is blocked on its own reaches nothing. */
u32 iommu_owner_group_bits(struct iommu_group *group)
{
	u32 bits = iommu_owner_domain_bits(group->domain);
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices))
		return 0;
	if (!isolation_has_sibling(group))
		bits |= IOMMU_OWNER_ISO_NO_SIBLING;
	if (group->ownership.owner || xa_empty(&group->pasid_array))
		bits |= IOMMU_OWNER_ISO_NO_FOREIGN_PASID;

	bits |= IOMMU_OWNER_ISO_DEVICE;
	for_each_group_device(group, gdev) {
		if (gdev->blocked && !gdev->unblocked)
			continue;
		bits &= ~IOMMU_OWNER_ISO_DEVICE |
			iommu_owner_device_bits(gdev->dev);
		/* Of what a crash kernel has found nothing is known */
		if (gdev->dev->iommu && gdev->dev->iommu->attach_deferred)
			bits &= ~IOMMU_OWNER_ISO_TRANSLATED;
	}
	return bits;
}

void iommu_owner_isolation_of(struct iommu_group *group,
			      struct iommu_owner_isolation_report *report)
{
	guard(mutex)(&group->mutex);
	report->group = group->id;
	report->generation = group->ownership.generation;
	report->held = iommu_owner_group_bits(group);
	report->missing = IOMMU_OWNER_ISO_ALL & ~report->held;
}

/**
 * iommu_owner_isolation() - Is the group of a device isolated?
 * @dev: The device. The caller is the driver that is bound to it, or keeps it
 *	in its group otherwise.
 * @report: Filled in.
 *
 * All of @report is from one moment; the same generation again says that it is
 * still so, see iommu_owner_isolation_lease() for how to keep it so.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -ENODEV if @dev has no group.
 */
int iommu_owner_isolation(struct device *dev,
			  struct iommu_owner_isolation_report *report)
{
	memset(report, 0, sizeof(*report));
	if (!dev->iommu_group)
		return -ENODEV;
	iommu_owner_isolation_of(dev->iommu_group, report);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_isolation);

static void isolation_changed(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	u32 bits;

	lockdep_assert_held(&group->mutex);

	if (!trace_iommu_owner_isolation_enabled())
		return;
	bits = iommu_owner_group_bits(group);
	if (bits == own->traced)
		return;
	trace_iommu_owner_isolation(group->id, own->traced, bits,
				    own->generation);
	own->traced = bits;
}

static const struct iommu_owner_concept isolation_concept = {
	.changed = isolation_changed,
};

static int __init isolation_init(void)
{
	iommu_owner_add_concept(&isolation_concept);
	return 0;
}
core_initcall(isolation_init);
