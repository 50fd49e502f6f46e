/* SPDX-License-Identifier: GPL-2.0-only */
/* PASIDs of the system-wide space, and the devices that may load them */
#ifndef __IOMMU_OWNER_PASID_H
#define __IOMMU_OWNER_PASID_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/rcupdate.h>

#include "owner.h"

struct misc_cg;

/* PASIDs have 20 bits in PCIe */
#define PASID_MAX	((1U << 20) - 1)

/**
 * struct iommu_owner_pasid - A PASID of an owner
 * @ref: References: one of the set until the PASID is freed, one of each permit, and
 *	those of iommu_owner_pasid_get().
 * @pasid: Its number; never changes.
 * @owner: The owner, with a reference; never changes.
 * @state: ALLOCATED, then FREE_PENDING.
 * @guest: Number that the guest has for it; 0 if none.
 * @node: Entry in the set of @owner.
 * @permits: The &struct pasid_permit, see pasid_allow.c.
 * @cg: The cgroup that is charged, with a reference.
 * @rcu: Frees it: @owner is compared under RCU.
 *
 * Protected by the lock of the set, but for what never changes.
 */
struct iommu_owner_pasid {
	struct kref ref;
	ioasid_t pasid;
	struct iommu_owner *owner;
	enum iommu_owner_pasid_state state;
	ioasid_t guest;
	struct list_head node;
	struct list_head permits;
	struct misc_cg *cg;
	struct rcu_head rcu;
};

/* pasid.c */
struct iommu_owner_pasid *iommu_owner_pasid_reserve(struct iommu_owner *owner,
						    ioasid_t min, ioasid_t max);
void iommu_owner_pasid_unreserve(struct iommu_owner_pasid *p);
int iommu_owner_pasid_link(struct iommu_owner_pasid *p);
struct iommu_owner_pasid *iommu_owner_pasid_find(struct iommu_owner *owner,
						 ioasid_t pasid);
bool iommu_owner_pasid_put_locked(struct iommu_owner_pasid *p);
void iommu_owner_pasid_unlock(struct iommu_owner *owner);
void iommu_owner_pasid_report(struct iommu_owner_pasid *p,
			      enum iommu_owner_event_type type,
			      struct device *dev);
void iommu_owner_pasid_stop(struct iommu_owner_pasid *p);
int iommu_owner_pasid_map(struct iommu_owner *owner, ioasid_t pasid,
			  ioasid_t guest);
int iommu_owner_pasid_unmap(struct iommu_owner *owner, ioasid_t guest);
#if IS_ENABLED(CONFIG_KUNIT)
struct iommu_owner_pasid *iommu_owner_pasid_get(struct iommu_owner *owner,
						ioasid_t pasid);
bool iommu_owner_pasid_put(struct iommu_owner_pasid *p);
struct misc_cg *iommu_owner_pasid_cgroup(void);
#endif

/* pasid_allow.c */
struct iommu_owner_pasid_device *iommu_owner_pasid_device(const struct device *dev);
int iommu_owner_pasid_permit(struct iommu_owner_pasid_device *device,
			     struct iommu_owner *owner, ioasid_t pasid);
int iommu_owner_pasid_deny(struct iommu_owner_pasid_device *device,
			   struct iommu_owner *owner, ioasid_t pasid);
int iommu_owner_pasid_free(struct iommu_owner *owner, ioasid_t pasid);
void iommu_owner_pasid_free_all(struct iommu_owner *owner);

#endif /* __IOMMU_OWNER_PASID_H */
