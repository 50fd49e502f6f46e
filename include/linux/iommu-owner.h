/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA ownership of IOMMU groups
 *
 * A group is wholly the kernel's or wholly one owner's. See
 * Documentation/driver-api/iommu-owner.rst.
 */
#ifndef __LINUX_IOMMU_OWNER_H
#define __LINUX_IOMMU_OWNER_H

#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/types.h>

struct device;
struct iommu_owner;

/**
 * enum iommu_owner_kind - Who may do DMA with the devices of a group
 * @IOMMU_OWNER_KERNEL: Drivers that use the DMA API, shared by all of them; a
 *	group without any driver is the kernel's too.
 * @IOMMU_OWNER_PRIVATE: A kernel driver with a domain of its own.
 * @IOMMU_OWNER_USER: User space drives the DMA.
 * @IOMMU_OWNER_RESERVED: Held for an owner that has no device open; DMA is
 *	blocked.
 * @IOMMU_OWNER_QUARANTINE: The owner is gone, but the devices are not known to
 *	be quiet; DMA is blocked and no driver may bind.
 *
 * An owner is allocated as PRIVATE or USER; a group can be in any of these.
 */
enum iommu_owner_kind {
	IOMMU_OWNER_KERNEL,
	IOMMU_OWNER_PRIVATE,
	IOMMU_OWNER_USER,
	IOMMU_OWNER_RESERVED,
	IOMMU_OWNER_QUARANTINE,
};

#define IOMMU_OWNER_NAME_LEN 32

/**
 * struct iommu_owner_ops - What the subsystem behind an owner is told
 * @release: The last reference to the owner is gone. Called once, in process
 *	context, with no lock of the IOMMU core held. Optional.
 */
struct iommu_owner_ops {
	void (*release)(struct iommu_owner *owner);
};

/**
 * struct iommu_owner_blocker - One device that stands in the way of a claim
 * @dev: The device; a reference is held.
 * @driver: Name of the driver that uses the DMA API on it.
 */
struct iommu_owner_blocker {
	struct device *dev;
	char *driver;
};

/**
 * struct iommu_owner_info - One locked view of the ownership of a group
 * @generation: Moves with every change of the ownership.
 * @kind: Kind of ownership.
 * @name: Name of the owner, of the driver for PRIVATE, "kernel" otherwise.
 * @comm: Command of the task that claimed the group; empty for the kernel.
 * @pid: Process id of that task in the initial namespace; 0 for the kernel.
 * @group: Number of the group.
 * @claims: Number of claims that the owner has on the group.
 * @devices: Number of devices in the group.
 * @nr_blockers: Number of entries in @blockers.
 * @blockers: The devices whose drivers stand in the way of a claim.
 */
struct iommu_owner_info {
	u64 generation;
	enum iommu_owner_kind kind;
	char name[IOMMU_OWNER_NAME_LEN];
	char comm[TASK_COMM_LEN];
	pid_t pid;
	int group;
	unsigned int claims;
	unsigned int devices;
	unsigned int nr_blockers;
	struct iommu_owner_blocker *blockers;
};

#ifdef CONFIG_IOMMU_API

struct iommu_owner *iommu_owner_alloc(enum iommu_owner_kind kind,
				      const char *name,
				      const struct iommu_owner_ops *ops);
struct iommu_owner *iommu_owner_get(struct iommu_owner *owner);
void iommu_owner_put(struct iommu_owner *owner);

int iommu_owner_claim_group(struct iommu_owner *owner,
			    struct iommu_group *group);
int iommu_owner_release_group(struct iommu_owner *owner,
			      struct iommu_group *group);
int iommu_owner_claim_device(struct iommu_owner *owner, struct device *dev);
int iommu_owner_release_device(struct iommu_owner *owner, struct device *dev);
int iommu_owner_handover_device(struct iommu_owner *owner, struct device *dev);

int iommu_owner_reserve_group(struct iommu_owner *owner,
			      struct iommu_group *group);
int iommu_owner_unreserve_group(struct iommu_owner *owner,
				struct iommu_group *group);
int iommu_owner_quarantine_group(struct iommu_owner *owner,
				 struct iommu_group *group);
int iommu_owner_clear_quarantine(struct iommu_group *group);

int iommu_owner_attach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group);
int iommu_owner_detach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group);
int iommu_owner_attach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev);
int iommu_owner_detach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev);
int iommu_owner_attach_device_pasid(struct iommu_owner *owner,
				    struct iommu_domain *domain,
				    struct device *dev, ioasid_t pasid,
				    struct iommu_attach_handle *handle);
int iommu_owner_detach_device_pasid(struct iommu_owner *owner,
				    struct iommu_domain *domain,
				    struct device *dev, ioasid_t pasid);

bool iommu_owner_group_viable(struct iommu_group *group, const char *who);
int iommu_owner_snapshot(struct iommu_group *group,
			 struct iommu_owner_info *info);
void iommu_owner_snapshot_free(struct iommu_owner_info *info);
const char *iommu_owner_kind_name(enum iommu_owner_kind kind);

#else /* !CONFIG_IOMMU_API */

static inline struct iommu_owner *
iommu_owner_alloc(enum iommu_owner_kind kind, const char *name,
		  const struct iommu_owner_ops *ops)
{
	return ERR_PTR(-ENODEV);
}

static inline struct iommu_owner *iommu_owner_get(struct iommu_owner *owner)
{
	return owner;
}

static inline void iommu_owner_put(struct iommu_owner *owner)
{
}

static inline int iommu_owner_claim_group(struct iommu_owner *owner,
					  struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_release_group(struct iommu_owner *owner,
					    struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_claim_device(struct iommu_owner *owner,
					   struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_release_device(struct iommu_owner *owner,
					     struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_handover_device(struct iommu_owner *owner,
					      struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_reserve_group(struct iommu_owner *owner,
					    struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_unreserve_group(struct iommu_owner *owner,
					      struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_quarantine_group(struct iommu_owner *owner,
					       struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_clear_quarantine(struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_attach_group(struct iommu_owner *owner,
					   struct iommu_domain *domain,
					   struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_detach_group(struct iommu_owner *owner,
					   struct iommu_domain *domain,
					   struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_attach_device(struct iommu_owner *owner,
					    struct iommu_domain *domain,
					    struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_detach_device(struct iommu_owner *owner,
					    struct iommu_domain *domain,
					    struct device *dev)
{
	return -ENODEV;
}

static inline int
iommu_owner_attach_device_pasid(struct iommu_owner *owner,
				struct iommu_domain *domain,
				struct device *dev, ioasid_t pasid,
				struct iommu_attach_handle *handle)
{
	return -ENODEV;
}

static inline int
iommu_owner_detach_device_pasid(struct iommu_owner *owner,
				struct iommu_domain *domain,
				struct device *dev, ioasid_t pasid)
{
	return -ENODEV;
}

static inline bool iommu_owner_group_viable(struct iommu_group *group,
					    const char *who)
{
	return false;
}

static inline int iommu_owner_snapshot(struct iommu_group *group,
				       struct iommu_owner_info *info)
{
	return -ENODEV;
}

static inline void iommu_owner_snapshot_free(struct iommu_owner_info *info)
{
}

static inline const char *iommu_owner_kind_name(enum iommu_owner_kind kind)
{
	return "";
}

#endif /* CONFIG_IOMMU_API */

#endif /* __LINUX_IOMMU_OWNER_H */
