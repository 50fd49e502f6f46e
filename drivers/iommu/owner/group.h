/* SPDX-License-Identifier: GPL-2.0-only */
/* What the IOMMU core keeps per group for the ownership, and calls for it */
#ifndef __IOMMU_OWNER_GROUP_H
#define __IOMMU_OWNER_GROUP_H

#include <linux/iommu-owner.h>
#include <linux/list.h>
#include <linux/workqueue.h>

struct attribute_group;
struct group_device;

/**
 * enum iommu_owner_quarantine - Why a group is in quarantine
 * @IOMMU_OWNER_QUARANTINE_NONE: It is not.
 * @IOMMU_OWNER_QUARANTINE_DMA: The blocking domain could not be attached.
 * @IOMMU_OWNER_QUARANTINE_ACCESS: A watch has not drained yet. Ends by itself
 *	when it has.
 * @IOMMU_OWNER_QUARANTINE_BUSY: A device could not be reset because another
 *	task has its lock. Tried again.
 * @IOMMU_OWNER_QUARANTINE_NO_ANSWER: A device does not answer or does not
 *	resume. Tried again.
 * @IOMMU_OWNER_QUARANTINE_DEVICE: A device could not be quiesced.
 * @IOMMU_OWNER_QUARANTINE_LEASE: A lease does not allow the default domain.
 *	Tried again when a lease goes.
 * @IOMMU_OWNER_QUARANTINE_MEMORY: No memory for the default domain. Tried again.
 * @IOMMU_OWNER_QUARANTINE_DOMAIN: The default domain could not be attached.
 * @IOMMU_OWNER_QUARANTINE_LOCKDOWN: The kernel is locked down, a device has not
 *	been reset, and there is no default domain that keeps it from memory of the
 *	kernel. Tried again.
 */
enum iommu_owner_quarantine {
	IOMMU_OWNER_QUARANTINE_NONE,
	IOMMU_OWNER_QUARANTINE_DMA,
	IOMMU_OWNER_QUARANTINE_ACCESS,
	IOMMU_OWNER_QUARANTINE_BUSY,
	IOMMU_OWNER_QUARANTINE_NO_ANSWER,
	IOMMU_OWNER_QUARANTINE_DEVICE,
	IOMMU_OWNER_QUARANTINE_LEASE,
	IOMMU_OWNER_QUARANTINE_MEMORY,
	IOMMU_OWNER_QUARANTINE_DOMAIN,
	IOMMU_OWNER_QUARANTINE_LOCKDOWN,
};

/**
 * struct iommu_ownership - The ownership of a group
 * @state: KERNEL, USER, RESERVED, ENDING, QUARANTINE or BLOCKED, changed by
 *	iommu_owner_set_state() only. PRIVATE is never stored: it is KERNEL with
 *	a domain that a driver has attached.
 * @reported: The state that was reported last, PRIVATE included.
 * @quarantine: The reason in state QUARANTINE. Before, in ENDING, what is known
 *	to prevent the return of the group.
 * @owner: The owner, with a reference, in USER, RESERVED and ENDING; else NULL.
 * @node: Entry in the groups of @owner in USER and RESERVED, and in those of a
 *	&struct iommu_owner_teardown in ENDING.
 * @generation: Moves with every change of what a report shows.
 * @claims: Claims of @owner; not zero in USER only.
 * @attaches: Shared attaches of the current domain by @owner.
 * @pid: Process that claimed or reserved the group first, with a reference.
 * @comm: Command of that process.
 * @reserved: @owner keeps the group when its last claim goes.
 * @quiescer: The task that quiesces devices with the mutex dropped, in ENDING or
 *	QUARANTINE; or NULL.
 * @draining: Watches through which user space may still have access. Protected
 *	by the lock of their owner.
 * @retry: Ends a quarantine when its reason has gone.
 * @retry_delay: Time until @retry runs again, in jiffies.
 * @uevent: Sends the uevent for @reported.
 * @sent: The generation of the last uevent.
 * @unmap: Registers have to be unmapped when the mutex is dropped.
 * @unmapping: Tasks that are doing so.
 * @lease: The lease that lockdown requires of @owner.
 * @leases: That one and those of others.
 * @required: The bits that @leases require. Also read without the mutex.
 * @traced: The bits that the last tracepoint reported.
 *
 * Protected by the mutex of the group. The kernel's own use is not counted
 * here: it is the set of devices in the group that have a driver recorded.
 */
struct iommu_ownership {
	enum iommu_owner_state state;
	enum iommu_owner_state reported;
	enum iommu_owner_quarantine quarantine;
	struct iommu_owner *owner;
	struct list_head node;
	u64 generation;
	unsigned int claims;
	unsigned int attaches;
	struct pid *pid;
	char comm[TASK_COMM_LEN];
	bool reserved;
	struct task_struct *quiescer;
	unsigned int draining;
	struct delayed_work retry;
	unsigned long retry_delay;
	struct delayed_work uevent;
	u64 sent;
	bool unmap;
	unsigned int unmapping;
	struct iommu_owner_lease lease;
	struct hlist_head leases;
	u32 required;
	u32 traced;
};

/**
 * struct iommu_owner_teardown - Ownerships of one owner that end together
 * @owner: The owner.
 * @reason: Why they end.
 * @groups: The &struct iommu_ownership that are ending, each with a reference
 *	to its group.
 * @watched: Number of the last watch of @owner that is notified.
 */
struct iommu_owner_teardown {
	struct iommu_owner *owner;
	enum iommu_owner_reason reason;
	struct list_head groups;
	u64 watched;
};

/* state.c */
void iommu_owner_init_group(struct iommu_group *group);
void iommu_owner_lock(struct iommu_group *group);
void iommu_owner_unlock(struct iommu_group *group);
void iommu_owner_changed(struct iommu_group *group);
int iommu_owner_check(struct iommu_group *group, struct iommu_owner *owner);
bool iommu_owner_group_busy(struct iommu_group *group);
bool iommu_owner_dma_blocked(struct iommu_group *group);
void iommu_owner_device_joining(struct iommu_group *group,
				struct group_device *gdev);
void iommu_owner_device_joined(struct iommu_group *group,
			       struct group_device *gdev);

/* device_pasid.c */
int iommu_owner_charge_pasid(struct iommu_group *group);
void iommu_owner_uncharge_pasid(struct iommu_group *group);

/* end.c */
void iommu_owner_device_left(struct iommu_owner_teardown *teardown,
			     struct iommu_group *group, struct device *dev);
void iommu_owner_finish(struct iommu_owner_teardown *teardown);

/* pasid.c */
ioasid_t iommu_owner_pasid_alloc_kernel(ioasid_t min, ioasid_t max);
void iommu_owner_pasid_free_kernel(ioasid_t pasid);
void iommu_owner_pasid_set_capacity(u32 max_pasids);

/* lease.c; a refusal is logged */
bool iommu_owner_lease_refuses(struct iommu_group *group, u32 bits,
			       const char *what);
bool iommu_owner_lease_refuses_domain(struct iommu_group *group,
				      const struct iommu_domain *domain);
bool iommu_owner_lease_refuses_type(struct iommu_group *group,
				    unsigned int type);
bool iommu_owner_lease_blocks(struct iommu_group *group,
			      struct group_device *gdev,
			      const struct iommu_domain *domain);

/* trust.c */
void iommu_owner_init_trust(struct device *dev);
bool iommu_owner_needs_translation(struct device *dev);
bool iommu_owner_trust_blocks(struct iommu_group *group,
			      struct group_device *gdev,
			      const struct iommu_domain *domain);
bool iommu_owner_trust_refuses_type(struct iommu_group *group,
				    unsigned int type);
bool iommu_owner_trust_refuses_pasid(struct iommu_group *group);
void iommu_owner_update_trust(struct iommu_group *group);
extern const struct attribute_group iommu_owner_trust_attr_group;

/* sysfs.c */
extern const struct attribute_group iommu_owner_attr_group;

#endif /* __IOMMU_OWNER_GROUP_H */
