/* SPDX-License-Identifier: GPL-2.0-only */
/* An owner, and the state of a group: what all files of the core stand on */
#ifndef __IOMMU_OWNER_OWNER_H
#define __IOMMU_OWNER_OWNER_H

#include <linux/iommu-owner.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "../iommu-priv.h"

/* Of a generation: the rest is different for each group that there ever was */
#define IOMMU_OWNER_GENERATION_BITS	36

struct iommu_owner_events;

/**
 * struct iommu_owner_pasids - The PASIDs of an owner, see pasid.c
 * @lock: Protects what follows, the PASIDs in it, and what devices may load of them.
 * @list: The &struct iommu_owner_pasid in the order in which they were allocated.
 * @guests: Them by the number that the guest has. Also read under RCU.
 */
struct iommu_owner_pasids {
	struct mutex lock;	/* outside the mutex of a group */
	struct list_head list;
	struct xarray guests;
};

/**
 * struct iommu_owner - The party that owns groups
 * @ref: References: one per holder of a pointer, one per group that is owned.
 * @explicit: Made by user space. Belongs to one VM at most.
 * @reserve_lock: Makes one step of what a token does with reservations. Outside
 *	the mutex of a group.
 * @lock: Protects the fields below. Inside the mutex of a group.
 * @groups: The &struct iommu_ownership of its groups, but those that end.
 * @watches: The watches that are notified of ends, by class.
 * @watched: Number of watches that have ever been added.
 * @nr_watches: Number of @watches.
 * @nr_vms: Those of them that have a VM.
 * @tokens: Number of &struct iommu_owner_token.
 * @revokers: Those of them that have the right to revoke.
 * @irrevocable: Number of things that it has and that cannot be revoked: there
 *	are no @revokers then.
 * @reservers: Number of tokens that have the right to reserve, and are open.
 * @pasid_users: Those that have the right to use PASIDs.
 * @nr_pasids: PASIDs that it has attached on its groups, and those in @pasids.
 * @events: Number of events in @ring so far.
 * @ring: What its tokens read; NULL before the first token that may. Also read
 *	without the lock: once set, it stays.
 * @wait: For a watch whose callback runs, for watches that drain, and for
 *	@ending.
 * @ending: Number of ownerships that are ending; and one while the owner is
 *	being revoked.
 * @unblocked: The DMA of a group could not be blocked at an end.
 * @revoked: Nothing can be claimed any more.
 * @pasids: Its PASIDs of the system-wide space.
 * @name: Name for reports.
 */
struct iommu_owner {
	refcount_t ref;
	bool explicit;
	struct mutex reserve_lock;	/* of tokens */
	spinlock_t lock;
	struct list_head groups;
	struct list_head watches;
	u64 watched;
	unsigned int nr_watches;
	unsigned int nr_vms;
	unsigned int tokens;
	unsigned int revokers;
	unsigned int irrevocable;
	unsigned int reservers;
	unsigned int pasid_users;
	unsigned int nr_pasids;
	u64 events;
	struct iommu_owner_events *ring;
	wait_queue_head_t wait;
	unsigned int ending;
	bool unblocked;
	bool revoked;
	struct iommu_owner_pasids pasids;
	char name[];
};

/**
 * struct iommu_owner_concept - What plugs into the life of an ownership
 * @init: A group is allocated.
 * @wake: A claim starts. What the operations below read from devices must answer
 *	until @sleep, which gets the list that this fills. Without a mutex.
 * @sleep: The claim is over. Without a mutex.
 * @may_own: May anybody own the group, @who for example? An error refuses the claim or
 *	the reservation, and is logged.
 * @may_acquire: May an owner claim a group that is the kernel's? DMA is not blocked
 *	yet; an error refuses the claim.
 * @acquired: The owner has claimed it, DMA is blocked. An error undoes the claim.
 * @use: The owner claims a group once more, or user space gets access to one of
 *	its devices. An error refuses it.
 * @ended: The owner has gone, the default domain has not returned.
 * @quiescing: A device that user space had is about to be reset. Without the mutex.
 * @may_return: May the default domain return? If not, for which reason the group
 *	goes into quarantine.
 * @returned: The default domain has returned, or nothing prevents drivers from
 *	being probed any more.
 * @may_probe: May a driver that uses the DMA API be probed on a device? An error
 *	refuses it, and is logged.
 * @blocks: Is DMA to be blocked although the group has no owner?
 * @joining: A device joins; it has no domain yet.
 * @joined: It has one.
 * @left: A device has left.
 * @state: The stored state has changed from @old.
 * @report: The reported state has changed.
 * @changed: Anything that a report shows has changed.
 * @event: Something has happened that the tokens of @owner are sent. Without
 *	the mutex if @group is NULL.
 * @access: The host was refused access to a device of @owner.
 * @pasid: Something has happened to a PASID of @owner, or to its device @dev with a
 *	PASID. Without the mutex; does not sleep.
 * @unmap: The mutex has been dropped after &iommu_ownership.unmap was set. Without
 *	a mutex of a group.
 * @revoke: @owner is being revoked, its groups are blocked, and it gets nothing any
 *	more. Block all other DMA, and wait for nothing. Without a mutex.
 * @busy: Is something of @owner left that a revoke has to wait for? The waiters of
 *	the owner are woken when it has gone. Does not sleep.
 * @unused: The last token of @owner that had @rights has been closed. Without a mutex.
 * @show_pasids: What the file pasids of a group in sysfs shows. Without a mutex.
 * @settled: The last ownership of @owner may have ended. Without a mutex.
 * @free: @owner is freed. Without a mutex.
 *
 * All are optional, and run under the mutex of the group, but for @init and where
 * it says so. There are only operations in it.
 */
struct iommu_owner_concept {
	void (*init)(struct iommu_group *group);
	void (*wake)(struct iommu_group *group, struct list_head *awake);
	void (*sleep)(struct list_head *awake);
	int (*may_own)(struct iommu_group *group, const char *who);
	int (*may_acquire)(struct iommu_group *group, struct iommu_owner *owner);
	int (*acquired)(struct iommu_group *group, struct iommu_owner *owner);
	int (*use)(struct iommu_group *group, struct iommu_owner *owner);
	void (*ended)(struct iommu_group *group);
	void (*quiescing)(struct device *dev);
	enum iommu_owner_quarantine (*may_return)(struct iommu_group *group);
	void (*returned)(struct iommu_group *group);
	int (*may_probe)(struct iommu_group *group, struct group_device *gdev);
	bool (*blocks)(struct iommu_group *group);
	void (*joining)(struct iommu_group *group, struct group_device *gdev);
	void (*joined)(struct iommu_group *group, struct device *dev);
	void (*left)(struct iommu_group *group, struct device *dev);
	void (*state)(struct iommu_group *group, enum iommu_owner_state old);
	void (*report)(struct iommu_group *group);
	void (*changed)(struct iommu_group *group);
	void (*event)(struct iommu_owner *owner,
		      enum iommu_owner_event_type type,
		      struct iommu_group *group, struct device *dev,
		      enum iommu_owner_reason reason);
	void (*access)(struct iommu_owner *owner,
		       const struct iommu_owner_access *access);
	void (*pasid)(struct iommu_owner *owner,
		      enum iommu_owner_event_type type, ioasid_t pasid,
		      struct device *dev);
	void (*unmap)(struct iommu_group *group);
	void (*revoke)(struct iommu_owner *owner);
	bool (*busy)(struct iommu_owner *owner);
	void (*unused)(struct iommu_owner *owner, u32 rights);
	ssize_t (*show_pasids)(struct iommu_group *group, char *buf);
	void (*settled)(struct iommu_owner *owner);
	void (*free)(struct iommu_owner *owner);
};

/* owner.c */
struct iommu_group *iommu_owner_next_group(struct iommu_owner *owner,
					   int after);

/* reprobe.c */
void iommu_owner_reprobe(struct iommu_group *group);

/* device_pasid.c */
int iommu_owner_count_pasid(struct iommu_owner *owner);
void iommu_owner_uncount_pasid(struct iommu_owner *owner);
#if IS_ENABLED(CONFIG_KUNIT)
extern unsigned int iommu_owner_pasid_quota;
#endif

/* state.c; the mutex of the group is held */
void iommu_owner_add_concept(const struct iommu_owner_concept *concept);
/* These two without the mutex */
void iommu_owner_wake(struct iommu_group *group, struct list_head *awake);
void iommu_owner_sleep(struct list_head *awake);
int iommu_owner_may_own(struct iommu_group *group, const char *who);
int iommu_owner_may_acquire(struct iommu_group *group, struct iommu_owner *owner);
int iommu_owner_acquired(struct iommu_group *group, struct iommu_owner *owner);
int iommu_owner_use(struct iommu_group *group, struct iommu_owner *owner);
void iommu_owner_ended(struct iommu_group *group);
void iommu_owner_quiescing(struct device *dev);	/* without the mutex */
enum iommu_owner_quarantine iommu_owner_may_return(struct iommu_group *group);
void iommu_owner_returned(struct iommu_group *group);
int iommu_owner_may_probe(struct iommu_group *group, struct group_device *gdev);
struct iommu_domain *iommu_owner_kernel_domain(struct iommu_group *group);
bool iommu_owner_excludes_drivers(struct iommu_group *group);
void iommu_owner_report_change(struct iommu_group *group);
void iommu_owner_left(struct iommu_group *group, struct device *dev);
/*
 * Send the tokens of @owner an event. @group may be NULL. @dev is the device that
 * a driver was refused, with its lock held, or that was added or removed. Does
 * not sleep.
 */
void iommu_owner_event(struct iommu_owner *owner,
		       enum iommu_owner_event_type type,
		       struct iommu_group *group, struct device *dev,
		       enum iommu_owner_reason reason);
void iommu_owner_access(struct iommu_owner *owner,
			const struct iommu_owner_access *access);
void iommu_owner_pasid_event(struct iommu_owner *owner,
			     enum iommu_owner_event_type type, ioasid_t pasid,
			     struct device *dev);

void iommu_owner_revoking(struct iommu_owner *owner);
bool iommu_owner_busy(struct iommu_owner *owner);
void iommu_owner_unused(struct iommu_owner *owner, u32 rights);
ssize_t iommu_owner_show_pasids(struct iommu_group *group, char *buf);
void iommu_owner_settled(struct iommu_owner *owner);
void iommu_owner_freed(struct iommu_owner *owner);

void iommu_owner_unlock_claimed(struct iommu_group *group);
void iommu_owner_set_state(struct iommu_group *group,
			   enum iommu_owner_state state);
enum iommu_owner_state iommu_owner_group_state(struct iommu_group *group);
struct group_device *iommu_owner_find_device(struct iommu_group *group,
					     struct device *dev);
struct group_device *iommu_owner_kernel_user(struct iommu_group *group,
					     struct device *except);
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev);
const char *iommu_owner_group_owner(struct iommu_group *group);
bool iommu_owner_conflicts(struct iommu_group *group, struct device *lender);

/* Are these generations of one group? */
static inline bool iommu_owner_same_group(u64 a, u64 b)
{
	return a >> IOMMU_OWNER_GENERATION_BITS ==
	       b >> IOMMU_OWNER_GENERATION_BITS;
}

/* Can user space, or a device without an owner, do harm through raw access? */
static inline bool iommu_owner_state_is_gated(enum iommu_owner_state state)
{
	return state != IOMMU_OWNER_STATE_KERNEL;
}

#endif /* __IOMMU_OWNER_OWNER_H */
