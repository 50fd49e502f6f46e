// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw writes of user space to the ACS controls of a port
 *
 * Whether the ports above a device redirect is read from their registers whenever
 * somebody asks. The kernel sets these when it finds a port, and to the same
 * again when it restores one. User space can change them through the files of the
 * config space: not while a lease of a group below requires ACS, and if it may,
 * the generations of these groups move.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/sched.h>

#include "isolation.h"
#include "lease.h"

/* The control register, and the one behind it: some ports of Intel have it there */
#define ACS_CONTROLS_END	(PCI_ACS_EGRESS_CTL_V + sizeof(u32))

/* Of what does not change: it is asked before and after the write */
static bool acs_is_control(struct pci_dev *port, int pos, size_t size)
{
	return port->acs_cap && pci_is_bridge(port) &&
	       pos < port->acs_cap + ACS_CONTROLS_END &&
	       pos + size > port->acs_cap + PCI_ACS_CTRL;
}

static bool acs_is_below(struct pci_dev *pdev, struct pci_dev *port)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);

	while (bridge && bridge != port)
		bridge = pci_upstream_bridge(bridge);
	return bridge;
}

/*
 * The next device below @port, with a reference. Without a lock of the bus, which
 * others hold when they wait for a group.
 */
VISIBLE_IF_KUNIT struct pci_dev *
iommu_owner_acs_next(struct pci_dev *port, struct pci_dev *from)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_acs_next, port, from);
	do {
		from = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, from);
	} while (from && !acs_is_below(from, port));
	return from;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_acs_next);

static bool acs_lease_refuses(struct pci_dev *port, struct pci_dev *below)
{
	struct iommu_group *group = iommu_group_get(&below->dev);
	char what[96];
	bool refused;

	if (!group)
		return false;
	snprintf(what, sizeof(what), "write to ACS of %s by %s (pid %d)",
		 pci_name(port), current->comm, task_tgid_nr(current));
	refused = iommu_owner_lease_refuses_unlocked(group, IOMMU_OWNER_ISO_ACS,
						     what);
	iommu_group_put(group);
	return refused;
}

/**
 * iommu_owner_acs_may_write() - May user space write ACS controls of a port?
 * @port: The device that is written to; the caller has a reference.
 * @pos: Offset in its config space.
 * @size: Number of bytes.
 *
 * The answer may be out of date when the caller looks at it: it is for the error
 * that user space gets. iommu_owner_acs_write_start() decides. A refusal is logged.
 *
 * Context: May sleep.
 * Return: 0; -EBUSY if @port is a bridge, ACS controls are written, and a lease of
 * a group below requires ACS.
 */
int iommu_owner_acs_may_write(struct pci_dev *port, int pos, size_t size)
{
	struct pci_dev *below = NULL;

	if (likely(!acs_is_control(port, pos, size)))
		return 0;

	while ((below = iommu_owner_acs_next(port, below))) {
		if (acs_lease_refuses(port, below)) {
			pci_dev_put(below);
			return -EBUSY;
		}
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_acs_may_write);

/**
 * iommu_owner_acs_write_start() - User space writes to the config space
 * @port: The device that is written to; the caller has a reference.
 * @pos: Offset in its config space.
 * @size: Number of bytes.
 *
 * If it returns 0, no lease of a group below is granted that requires ACS, until
 * iommu_owner_acs_write_end() with the same arguments.
 *
 * Context: May sleep.
 * Return: As iommu_owner_acs_may_write().
 */
int iommu_owner_acs_write_start(struct pci_dev *port, int pos, size_t size)
{
	int ret;

	if (likely(!acs_is_control(port, pos, size)))
		return 0;

	down_write(&iommu_owner_acs_lock);
	ret = iommu_owner_acs_may_write(port, pos, size);
	if (ret)
		up_write(&iommu_owner_acs_lock);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_acs_write_start);

/**
 * iommu_owner_acs_write_end() - User space has written to the config space
 * @port: The device that is written to; the caller has a reference.
 * @pos: Offset in its config space.
 * @size: Number of bytes.
 *
 * Context: May sleep. Takes the mutex of groups, one after the other.
 */
void iommu_owner_acs_write_end(struct pci_dev *port, int pos, size_t size)
{
	struct pci_dev *below = NULL;
	struct iommu_group *group;

	if (likely(!acs_is_control(port, pos, size)))
		return;

	up_write(&iommu_owner_acs_lock);
	while ((below = iommu_owner_acs_next(port, below))) {
		group = iommu_group_get(&below->dev);
		if (!group)
			continue;
		scoped_guard(mutex, &group->mutex)
			iommu_owner_changed(group);
		iommu_group_put(group);
	}
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_acs_write_end);
