/* SPDX-License-Identifier: GPL-2.0-only */
/* What the IOMMU core keeps per group for the ownership, and calls for it */
#ifndef __IOMMU_OWNER_GROUP_H
#define __IOMMU_OWNER_GROUP_H

#include <linux/iommu-owner.h>

struct attribute_group;
struct group_device;

/**
 * struct iommu_ownership - Who has a group
 * @owner: The owner, with a reference; NULL while the group is the kernel's.
 * @node: Entry in the groups of @owner, until the ownership begins to end.
 * @generation: Grows with every change of what a report shows. No two groups
 *	ever have the same.
 * @first_generation: Its first value. All that this group ever had are from
 *	here up to @generation.
 * @told: The state that the last uevent told.
 * @claims: Claims of @owner. Zero with an @owner: the group is reserved.
 * @attaches: Shared attaches of the current domain by @owner.
 * @pid: Process that claimed or reserved the group first.
 * @comm: Command of that process.
 * @quarantine: Why DMA stays blocked and no driver binds, or NULL. With an
 *	@owner only while its ownership ends.
 * @reserved: @owner keeps the group when its last claim goes.
 * @ending: DMA is blocked for good, but @owner has not gone yet: watches are
 *	told, devices are quiesced.
 * @retry: In quarantine only because a device was in use by another task, for
 *	want of memory, or for a lease.
 * @quiescing: That is tried again now, with the mutex dropped: @quarantine stays.
 * @lease: What the kernel, locked down, demands of @owner.
 * @leases: That one and those of others.
 * @required: The bits that @leases require. Also read without the mutex.
 * @traced: The bits that the last tracepoint told.
 * @gated: The host's raw ways to the devices are shut.
 *
 * Protected by the mutex of the group. The kernel's own use is not counted
 * here: it is the set of devices in the group that have a driver recorded.
 */
struct iommu_ownership {
	struct iommu_owner *owner;
	struct list_head node;
	u64 generation;
	u64 first_generation;
	enum iommu_owner_state told;
	unsigned int claims;
	unsigned int attaches;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	const char *quarantine;
	bool reserved;
	bool ending;
	bool retry;
	bool quiescing;
	struct iommu_owner_lease lease;
	struct hlist_head leases;
	u32 required;
	u32 traced;
	bool gated;
};

/**
 * struct iommu_owner_section - A critical section that may change an ownership
 * @group: The group; its mutex is held from begin to end, but for the time in
 *	which watches are told and devices are quiesced.
 * @reason: Why the ownership of @ended ends.
 * @ended: Owner whose ownership the section ends.
 * @watched: Number of the last watch of @ended that is told.
 * @claimed: Owner that has claimed the group in this section.
 */
struct iommu_owner_section {
	struct iommu_group *group;
	enum iommu_owner_reason reason;
	struct iommu_owner *ended;
	u64 watched;
	struct iommu_owner *claimed;
};

void iommu_owner_begin(struct iommu_owner_section *section,
		       struct iommu_group *group);
void iommu_owner_end(struct iommu_owner_section *section);

void iommu_owner_changed(struct iommu_group *group);
int iommu_owner_check(struct iommu_group *group, struct iommu_owner *owner);
bool iommu_owner_group_busy(struct iommu_group *group);
bool iommu_owner_dma_blocked(struct iommu_group *group);
void iommu_owner_device_added(struct iommu_group *group);
void iommu_owner_device_removed(struct iommu_owner_section *section,
				struct device *dev);

/* lease.c; a refusal is logged */
bool iommu_owner_lease_refuses(struct iommu_group *group, u32 bits,
			       const char *what);
bool iommu_owner_lease_refuses_domain(struct iommu_group *group,
				      const struct iommu_domain *domain);
bool iommu_owner_lease_refuses_type(struct iommu_group *group,
				    unsigned int type);
bool iommu_owner_lease_refuses_default(struct iommu_group *group);
void iommu_owner_hold_out(struct iommu_group *group, struct group_device *gdev);

extern const struct attribute_group iommu_owner_attr_group;

#endif /* __IOMMU_OWNER_GROUP_H */
