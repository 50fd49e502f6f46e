// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a group isolated?
 *
 * The answer is a set of bits, of the group as a whole: each one says that one
 * way past the IOMMU is closed. What is not known is not held: registers of a
 * device or a port that does not answer, be it asleep or being reset, say nothing.
 *
 * A bit is computed when somebody asks, under the mutex of the group, and the
 * generation of the group moves with every change that the mutex orders:
 * domain, PASID, device, driver, ATS; and with a raw write to ACS, see acs.c.
 * Nothing is stored, so that a claim or a probe does not pay for it. See lease.c
 * for what keeps a bit as it is.
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
#include <linux/pm_runtime.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <trace/events/iommu_owner.h>

#include "isolation.h"

VISIBLE_IF_KUNIT bool iommu_owner_trust_ats;
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_trust_ats);
module_param_named(trust_ats, iommu_owner_trust_ats, bool, 0444);
MODULE_PARM_DESC(trust_ats,
		 "Devices with ATS keep to the translations that they were given (default: false)");

/* The name of a bit, and what an administrator can do if it is missing */
static const struct {
	const char *name;
	const char *needs;
} bit_texts[] = {
	[ilog2(IOMMU_OWNER_ISO_TRANSLATED)] = {
		"translated", "an IOMMU that translates for the device",
	},
	[ilog2(IOMMU_OWNER_ISO_NO_DIRECT)] = {
		"no-direct", "firmware without memory for it",
	},
	[ilog2(IOMMU_OWNER_ISO_ISOLATED_MSI)] = {
		"isolated-msi", "interrupt remapping",
	},
	[ilog2(IOMMU_OWNER_ISO_ACS)] = {
		"acs", "ACS in the ports above",
	},
	[ilog2(IOMMU_OWNER_ISO_NO_SIBLING)] = {
		"no-sibling", "no driver on a device of the group",
	},
	[ilog2(IOMMU_OWNER_ISO_STRICT)] = {
		"strict", "iommu.strict=1",
	},
	[ilog2(IOMMU_OWNER_ISO_ATS)] = {
		"ats", "the device without ATS",
	},
	[ilog2(IOMMU_OWNER_ISO_SNOOP)] = {
		"snoop", "an IOMMU that enforces cache coherency",
	},
	[ilog2(IOMMU_OWNER_ISO_NO_FOREIGN_PASID)] = {
		"no-foreign-pasid", "no PASID of a driver on the group",
	},
};

/* The first of what @missing, which is not 0, needs */
const char *iommu_owner_isolation_needs(u32 missing)
{
	return bit_texts[__ffs(missing)].needs;
}

/* Print the names of @bits to @buf; there is a space between two. */
void iommu_owner_isolation_names(u32 bits, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(bit_texts); i++)
		if (bits & BIT(i))
			len += scnprintf(buf + len, size - len, "%s%s",
					 len ? " " : "", bit_texts[i].name);
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

/*
 * Must DMA by user space be isolated? LOCKDOWN_USER_DMA is for a refusal, which
 * lockdown logs, LOCKDOWN_USER_DMA_QUERY for a question.
 */
bool iommu_owner_locked_down(enum lockdown_reason what)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_locked_down, what);
	return security_locked_down(what);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_locked_down);

/*
 * Is @dev, of the PCI bus, trusted with ATS? Ask when it has ATS. Lockdown does not
 * trust the administrator, see waiver.c.
 */
bool iommu_owner_ats_trusted(struct device *dev)
{
	return iommu_owner_trust_ats && !to_pci_dev(dev)->untrusted &&
	       !iommu_owner_locked_down(LOCKDOWN_USER_DMA_QUERY);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_ats_trusted);

#ifdef CONFIG_PCI
#define REDIRECT	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

/* Like a bus of its own: devices below it share the group in any case */
static bool isolation_bridge_to_pci(struct pci_dev *port)
{
	return !pci_is_pcie(port) ||
	       pci_pcie_type(port) == PCI_EXP_TYPE_PCI_BRIDGE;
}

/*
 * Does @port route some requests to its peers in spite of REDIRECT: translated ones,
 * or those that its egress vector lets pass? A port that does not answer has all bits set.
 */
static bool isolation_overrides_redirect(struct pci_dev *port)
{
	u16 ctrl;

	if (!port->acs_cap)
		return false;
	return pci_read_config_word(port, port->acs_cap + PCI_ACS_CTRL, &ctrl) ||
	       (ctrl & (PCI_ACS_EC | PCI_ACS_DT));
}

static bool isolation_redirected(struct pci_dev *pdev)
{
	struct pci_dev *port = pci_upstream_bridge(pdev);

	while (port && isolation_bridge_to_pci(port))
		port = pci_upstream_bridge(port);
	if (port && !pci_acs_path_enabled(port, NULL, REDIRECT))
		return false;
	for (; port; port = pci_upstream_bridge(port))
		if (isolation_overrides_redirect(port))
			return false;
	return true;
}

#define CXL_DVSEC_DEVICE	0
#define CXL_DVSEC_CTRL		0x0c
#define  CXL_DVSEC_CACHE_ENABLE	BIT(0)

/* As pci_dev_wait() asks: no device has all bits of this set */
static bool isolation_answers(struct pci_dev *pdev)
{
	u32 command;

	return !pci_read_config_dword(pdev, PCI_COMMAND, &command) &&
	       !PCI_POSSIBLE_ERROR(command);
}

/*
 * The IOMMU does not look at CXL.cache. A VF takes part in that of its PF, and all
 * functions in that of function 0.
 */
static bool isolation_has_cxl_cache(struct pci_dev *pdev)
{
	struct pci_dev *first = NULL;
	bool enabled = false;
	u16 pos, ctrl;

	pdev = pci_physfn(pdev);
	/* Without a lock of the bus, which others hold when they wait for a group */
	if (pdev->multifunction)
		first = pci_get_domain_bus_and_slot(pci_domain_nr(pdev->bus),
						    pdev->bus->number,
						    pdev->devfn & ~7);
	if (first)
		pdev = first;
	pos = pci_find_dvsec_capability(pdev, PCI_VENDOR_ID_CXL,
					CXL_DVSEC_DEVICE);
	if (pos)
		enabled = pci_read_config_word(pdev, pos + CXL_DVSEC_CTRL,
					       &ctrl) ||
			  (ctrl & CXL_DVSEC_CACHE_ENABLE);
	/* Nothing is found in a device that does not answer */
	if (!enabled)
		enabled = !isolation_answers(pdev);
	pci_dev_put(first);
	return enabled;
}

static u32 isolation_pci_bits(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	u32 bits = 0;

	if (!pdev->iommu_bypass && !isolation_has_cxl_cache(pdev))
		bits |= IOMMU_OWNER_ISO_TRANSLATED;
	if (isolation_redirected(pdev))
		bits |= IOMMU_OWNER_ISO_ACS;
	/* The enable bit is in the device, which need not obey it */
	if (device_iommu_capable(dev, IOMMU_CAP_BLOCKS_TRANSLATED) ||
	    iommu_owner_ats_trusted(dev))
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
 * What the interrupts and the bus of @dev hold; "translated" if its requests go to
 * the IOMMU. There is no ATS and no way around the IOMMU on a bus that is not PCI.
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
		bits |= IOMMU_OWNER_ISO_TRANSLATED | IOMMU_OWNER_ISO_ACS |
			IOMMU_OWNER_ISO_ATS;
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

	/* What the domain decides as well is there already, or missing */
	bits |= IOMMU_OWNER_ISO_DEVICE & ~IOMMU_OWNER_ISO_DOMAIN;
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

struct isolation_awake {
	struct list_head node;
	struct device *dev;
};

static int isolation_add_awake(struct device *dev, void *awake)
{
	struct isolation_awake *entry = kmalloc(sizeof(*entry), GFP_KERNEL);

	if (!entry)
		return -ENOMEM;
	entry->dev = get_device(dev);
	list_add_tail(&entry->node, awake);
	return 0;
}

/* A guess before the mutex is taken; with it, lease.c asks and decides. */
VISIBLE_IF_KUNIT bool iommu_owner_may_need_lease(struct iommu_group *group)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_may_need_lease, group);
	/* With a lease, user space may have put its device to sleep */
	return !READ_ONCE(group->ownership.lease.required) &&
	       security_locked_down(LOCKDOWN_USER_DMA_QUERY);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_may_need_lease);

/*
 * Resume the devices of @group, and so the ports above, if a claim is going to need a
 * lease: an idle device below a port that sleeps does not answer. If there is no
 * memory for one, it is what does not answer that is missing.
 */
static void isolation_wake(struct iommu_group *group, struct list_head *awake)
{
	struct isolation_awake *entry;

	if (!iommu_owner_may_need_lease(group))
		return;
	iommu_group_for_each_dev(group, awake, isolation_add_awake);
	list_for_each_entry(entry, awake, node)
		pm_runtime_get_sync(entry->dev);
}

static void isolation_sleep(struct list_head *awake)
{
	struct isolation_awake *entry, *next;

	list_for_each_entry_safe(entry, next, awake, node) {
		pm_runtime_put(entry->dev);
		put_device(entry->dev);
		kfree(entry);
	}
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
	.wake = isolation_wake,
	.sleep = isolation_sleep,
	.changed = isolation_changed,
};

static int __init isolation_init(void)
{
	iommu_owner_add_concept(&isolation_concept);
	return 0;
}
core_initcall(isolation_init);
