/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the DMA addresses of a device mean in a confidential guest
 *
 * A device starts with the shared view: it reaches memory that is shared with the host.
 * A TEE security manager (TSM) can lock it, give evidence of what it is, and let it
 * reach private memory when that was accepted. See
 * Documentation/driver-api/iommu-owner-view.rst.
 */
#ifndef __LINUX_IOMMU_VIEW_H
#define __LINUX_IOMMU_VIEW_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>
#include <uapi/linux/iommu-owner.h>

struct device;
struct pci_dev;

/**
 * enum iommu_view_state - The view of a device
 * @IOMMU_VIEW_SHARED: Memory that is shared with the host, as for every device.
 * @IOMMU_VIEW_LOCKED: Its configuration cannot change, its evidence can be read. DMA is
 *	blocked, there is no driver and no owner.
 * @IOMMU_VIEW_PRIVATE: Private memory as well. Drivers may bind.
 * @IOMMU_VIEW_ERROR: It was one of these two and is not any more. DMA is blocked.
 */
enum iommu_view_state {
	IOMMU_VIEW_SHARED,
	IOMMU_VIEW_LOCKED,
	IOMMU_VIEW_PRIVATE,
	IOMMU_VIEW_ERROR,
};

/**
 * struct iommu_view_tsm_ops - What a TSM does with a device
 * @handles: Can the TSM lock this device? May be called for any device, at any time. Does
 *	not sleep for long, and does not resume a device.
 * @lock: SHARED to LOCKED. DMA is blocked and bus mastering is off.
 * @accept: LOCKED to PRIVATE, of what the evidence describes now.
 * @unlock: To SHARED, from any state, also if it is SHARED already: what the device
 *	reached as private memory and registers it does not reach any more. Also for a
 *	device that has been removed.
 * @state: What the device is now, without an effect. Also without the lock of the device,
 *	in the noirq phase of a resume; the TSM must be able to answer then.
 * @evidence: Copy up to @length bytes from @offset to @buf, and write the whole length
 *	to @total. Return how many were copied, or an error.
 *
 * All others may sleep, for as long as the device and the firmware take. The lock of the
 * device is held, and no lock of the IOMMU core that iommu_view_lost() and
 * iommu_view_evidence_changed() need: an operation may call them. A device with a view
 * is not suspended at run time. A link TSM, which protects the
 * link of a device but cannot lock it, has none of them.
 */
struct iommu_view_tsm_ops {
	bool (*handles)(struct device *dev);
	int (*lock)(struct device *dev);
	int (*accept)(struct device *dev);
	int (*unlock)(struct device *dev);
	enum iommu_view_state (*state)(struct device *dev);
	ssize_t (*evidence)(struct device *dev,
			    enum iommu_owner_evidence_kind kind, u64 offset,
			    void *buf, size_t length, u64 *total);
};

/**
 * struct iommu_view_tsm - A TEE security manager
 * @name: Its name, as user space writes it to tsm/lock.
 * @ops: What it does; NULL for a link TSM.
 * @node: Entry in the TSMs. This and what follows is private to the core.
 * @views: The devices that it has locked.
 */
struct iommu_view_tsm {
	const char *name;
	const struct iommu_view_tsm_ops *ops;
	struct list_head node;
	struct list_head views;
};

#ifdef CONFIG_IOMMU_OWNER_VIEW

int iommu_view_register(struct iommu_view_tsm *tsm);
void iommu_view_unregister(struct iommu_view_tsm *tsm);
void iommu_view_lost(struct device *dev);
void iommu_view_evidence_changed(struct device *dev);

/* For the PCI core and VFIO */
bool iommu_view_is_locked(struct device *dev);
void iommu_view_reset(struct pci_dev *pdev);
void iommu_view_check(struct device *dev);
void iommu_view_shutdown(struct device *dev);
extern const struct attribute_group iommu_view_attr_group;

#else /* CONFIG_IOMMU_OWNER_VIEW */

static inline bool iommu_view_is_locked(struct device *dev)
{
	return false;
}

static inline void iommu_view_reset(struct pci_dev *pdev)
{
}

static inline void iommu_view_check(struct device *dev)
{
}

static inline void iommu_view_shutdown(struct device *dev)
{
}

#endif /* CONFIG_IOMMU_OWNER_VIEW */

#endif /* __LINUX_IOMMU_VIEW_H */
