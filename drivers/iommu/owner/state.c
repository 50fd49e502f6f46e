// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ownership of IOMMU groups: the state of a group, and the points at which
 * concepts plug in
 *
 * A group is wholly the kernel's or wholly one owner's:
 *
 *	KERNEL		no owner; any number of drivers use the DMA API
 *	USER		an owner has claims; DMA goes where the owner maps
 *	RESERVED	an owner without claims; DMA is blocked
 *	ENDING		an owner whose ownership ends; DMA is blocked
 *	QUARANTINE	no owner; DMA is blocked and no driver may bind
 *	BLOCKED		no owner; a device is not trusted, DMA is blocked and no
 *			driver may use the DMA API
 *
 * Reports show KERNEL as PRIVATE while a driver has attached a domain of its own.
 *
 * Lock order, outermost first:
 *
 *	iommu_owner::reserve_lock
 *	  device_lock() or a lock of the caller (VFIO group, iommufd igroup)
 *	    the lock of the PASIDs of an owner, see pasid.c
 *	    iommu_probe_device_lock
 *	      iommu_group::mutex, which protects struct iommu_ownership and the
 *	      fields of struct group_device
 *		iommu_owner::lock, which protects the groups, the watches and
 *		the tokens of an owner
 *		iommu_owner_acs_lock, which is only tried here
 *		the lock of the leases, see lease.c
 *		gate_lock of drivers/pci/gate.c, which page faults take, too
 *
 * Nothing that can call back runs under the mutex of a group: uevents, watches
 * and resets run without it. Two groups are never locked at a time.
 */
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>

#include "owner.h"

#define NR_STATES	(IOMMU_OWNER_STATE_BLOCKED + 1)

/* The legal transitions, by the event that causes them */
static const char * const transitions[NR_STATES][NR_STATES] = {
	[IOMMU_OWNER_STATE_KERNEL][IOMMU_OWNER_STATE_USER] = "claim",
	[IOMMU_OWNER_STATE_KERNEL][IOMMU_OWNER_STATE_RESERVED] = "reserve",
	[IOMMU_OWNER_STATE_KERNEL][IOMMU_OWNER_STATE_QUARANTINE] = "undo",
	[IOMMU_OWNER_STATE_USER][IOMMU_OWNER_STATE_RESERVED] = "release",
	[IOMMU_OWNER_STATE_USER][IOMMU_OWNER_STATE_ENDING] = "end",
	[IOMMU_OWNER_STATE_RESERVED][IOMMU_OWNER_STATE_USER] = "claim",
	[IOMMU_OWNER_STATE_RESERVED][IOMMU_OWNER_STATE_ENDING] = "end",
	[IOMMU_OWNER_STATE_ENDING][IOMMU_OWNER_STATE_KERNEL] = "return",
	[IOMMU_OWNER_STATE_ENDING][IOMMU_OWNER_STATE_QUARANTINE] = "fail",
	[IOMMU_OWNER_STATE_QUARANTINE][IOMMU_OWNER_STATE_KERNEL] = "clear",
	[IOMMU_OWNER_STATE_KERNEL][IOMMU_OWNER_STATE_BLOCKED] = "block",
	[IOMMU_OWNER_STATE_BLOCKED][IOMMU_OWNER_STATE_KERNEL] = "trust",
	[IOMMU_OWNER_STATE_BLOCKED][IOMMU_OWNER_STATE_USER] = "claim",
	[IOMMU_OWNER_STATE_BLOCKED][IOMMU_OWNER_STATE_RESERVED] = "reserve",
	[IOMMU_OWNER_STATE_BLOCKED][IOMMU_OWNER_STATE_QUARANTINE] = "undo",
};

#define MAX_CONCEPTS	8
#define POINT_SIZE	sizeof(void (*)(void))
#define NR_POINTS	(sizeof(struct iommu_owner_concept) / POINT_SIZE)

/*
 * The concepts that have an operation at a point, in order, and NULL. A claim passes
 * most of the points, and few concepts have something to do at each of them.
 */
static const struct iommu_owner_concept *
points[NR_POINTS][MAX_CONCEPTS + 1] __ro_after_init;

#define for_each_concept(concept, point)				\
	for (const struct iommu_owner_concept **_at =			\
		points[offsetof(struct iommu_owner_concept, point) /	\
		       POINT_SIZE];					\
	     ((concept) = *_at); _at++)

/**
 * iommu_owner_add_concept() - Plug a concept in
 * @concept: The concept, for ever. Concepts are called in the order of their
 *	initcalls.
 *
 * Context: Initcall.
 */
void __init iommu_owner_add_concept(const struct iommu_owner_concept *concept)
{
	void (*const *ops)(void) = (void *)concept;

	for (unsigned int i = 0; i < NR_POINTS; i++) {
		unsigned int n = 0;

		if (!ops[i])
			continue;
		while (points[i][n])
			n++;
		if (!WARN_ON(n == MAX_CONCEPTS))
			points[i][n] = concept;
	}
}

void iommu_owner_wake(struct iommu_group *group, struct list_head *awake)
{
	const struct iommu_owner_concept *concept;

	lockdep_assert_not_held(&group->mutex);

	for_each_concept(concept, wake)
		concept->wake(group, awake);
}

void iommu_owner_sleep(struct list_head *awake)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, sleep)
		concept->sleep(awake);
}

int iommu_owner_may_own(struct iommu_group *group, const char *who)
{
	const struct iommu_owner_concept *concept;
	int ret;

	for_each_concept(concept, may_own) {
		ret = concept->may_own(group, who);
		if (ret)
			return ret;
	}
	return 0;
}

int iommu_owner_may_acquire(struct iommu_group *group, struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;
	int ret;

	for_each_concept(concept, may_acquire) {
		ret = concept->may_acquire(group, owner);
		if (ret)
			return ret;
	}
	return 0;
}

int iommu_owner_acquired(struct iommu_group *group, struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;
	int ret;

	for_each_concept(concept, acquired) {
		ret = concept->acquired(group, owner);
		if (ret)
			return ret;
	}
	return 0;
}

int iommu_owner_use(struct iommu_group *group, struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;
	int ret;

	for_each_concept(concept, use) {
		ret = concept->use(group, owner);
		if (ret)
			return ret;
	}
	return 0;
}

int iommu_owner_may_probe(struct iommu_group *group, struct group_device *gdev)
{
	const struct iommu_owner_concept *concept;
	int ret;

	for_each_concept(concept, may_probe) {
		ret = concept->may_probe(group, gdev);
		if (ret)
			return ret;
	}
	return 0;
}

/* Is DMA blocked although @group has no owner? */
static bool state_is_blocked(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, blocks)
		if (concept->blocks(group))
			return true;
	return false;
}

/* The domain that @group has when it has no owner */
struct iommu_domain *iommu_owner_kernel_domain(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	return state_is_blocked(group) ? group->blocking_domain :
					 group->default_domain;
}

enum iommu_owner_quarantine iommu_owner_may_return(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;
	enum iommu_owner_quarantine reason;

	for_each_concept(concept, may_return) {
		reason = concept->may_return(group);
		if (reason)
			return reason;
	}
	return IOMMU_OWNER_QUARANTINE_NONE;
}

void iommu_owner_ended(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, ended)
		concept->ended(group);
}

void iommu_owner_quiescing(struct device *dev)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, quiescing)
		concept->quiescing(dev);
}

void iommu_owner_returned(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, returned)
		concept->returned(group);
}

void iommu_owner_event(struct iommu_owner *owner,
		       enum iommu_owner_event_type type,
		       struct iommu_group *group, struct device *dev,
		       enum iommu_owner_reason reason)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, event)
		concept->event(owner, type, group, dev, reason);
}

void iommu_owner_access(struct iommu_owner *owner,
			const struct iommu_owner_access *access)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, access)
		concept->access(owner, access);
}

void iommu_owner_pasid_event(struct iommu_owner *owner,
			     enum iommu_owner_event_type type, ioasid_t pasid,
			     struct device *dev)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, pasid)
		concept->pasid(owner, type, pasid, dev);
}

void iommu_owner_revoking(struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, revoke)
		concept->revoke(owner);
}

bool iommu_owner_busy(struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, busy)
		if (concept->busy(owner))
			return true;
	return false;
}

void iommu_owner_unused(struct iommu_owner *owner, u32 rights)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, unused)
		concept->unused(owner, rights);
}

ssize_t iommu_owner_show_pasids(struct iommu_group *group, char *buf)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, show_pasids)
		return concept->show_pasids(group, buf);
	return 0;
}

void iommu_owner_settled(struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, settled)
		concept->settled(owner);
}

void iommu_owner_freed(struct iommu_owner *owner)
{
	const struct iommu_owner_concept *concept;

	for_each_concept(concept, free)
		concept->free(owner);
}

/*
 * The first generation of a group. A number is used again when its group has
 * gone: the generations of two groups differ.
 */
static u64 state_first_generation(void)
{
	static atomic64_t groups;

	return (u64)atomic64_inc_return(&groups) << IOMMU_OWNER_GENERATION_BITS;
}

/**
 * iommu_owner_init_group() - Initialize the ownership of a new group
 * @group: The group.
 *
 * Context: Any.
 */
void iommu_owner_init_group(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;

	group->ownership.generation = state_first_generation();
	for_each_concept(concept, init)
		concept->init(group);
}

void iommu_owner_changed(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;
	u64 *generation = &group->ownership.generation;

	lockdep_assert_held(&group->mutex);

	/* After too many changes it counts as another group */
	if (!(++*generation & GENMASK_ULL(IOMMU_OWNER_GENERATION_BITS - 1, 0)))
		*generation = state_first_generation();
	for_each_concept(concept, changed)
		concept->changed(group);
}

/* The only place that changes &iommu_ownership.state. */
void iommu_owner_set_state(struct iommu_group *group,
			   enum iommu_owner_state state)
{
	struct iommu_ownership *own = &group->ownership;
	enum iommu_owner_state old = own->state;
	const struct iommu_owner_concept *concept;

	lockdep_assert_held(&group->mutex);

	WARN_ONCE(!transitions[old][state], "iommu-owner: state %d after %d\n",
		  state, old);
	WARN_ON_ONCE(!own->claims == (state == IOMMU_OWNER_STATE_USER));
	/* While it is ending, the reason may be known already */
	WARN_ON_ONCE(state != IOMMU_OWNER_STATE_ENDING && !own->quarantine ==
		     (state == IOMMU_OWNER_STATE_QUARANTINE));
	own->state = state;
	iommu_owner_changed(group);
	for_each_concept(concept, state)
		concept->state(group, old);
}

static bool state_is_core_domain(struct iommu_group *group)
{
	return !group->domain || group->domain == group->default_domain ||
	       group->domain == group->blocking_domain;
}

/* The state as it is reported */
enum iommu_owner_state iommu_owner_group_state(struct iommu_group *group)
{
	enum iommu_owner_state state = group->ownership.state;

	lockdep_assert_held(&group->mutex);

	if (state == IOMMU_OWNER_STATE_KERNEL && !state_is_core_domain(group))
		return IOMMU_OWNER_STATE_PRIVATE;
	return state;
}

/**
 * iommu_owner_lock() - Lock a group whose ownership or domain may change
 * @group: The group; the caller has a reference.
 *
 * Context: May sleep. Takes the mutex of @group until iommu_owner_unlock().
 */
void iommu_owner_lock(struct iommu_group *group)
{
	mutex_lock(&group->mutex);
}

static void state_unlock_and_unmap(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;
	const struct iommu_owner_concept *concept;

	own->unmap = false;
	own->unmapping++;
	mutex_unlock(&group->mutex);
	for_each_concept(concept, unmap)
		concept->unmap(group);
	guard(mutex)(&group->mutex);
	own->unmapping--;
}

/* Something has changed that uevents announce. */
void iommu_owner_report_change(struct iommu_group *group)
{
	const struct iommu_owner_concept *concept;

	iommu_owner_changed(group);
	for_each_concept(concept, report)
		concept->report(group);
}

/**
 * iommu_owner_unlock() - Unlock a group and report its state if that is new
 * @group: The group; the caller has a reference.
 *
 * That an ownership is ending is not announced: its end is.
 *
 * Context: Releases the mutex of @group. May sleep: registers of its devices that
 * the host had mapped are unmapped without the mutex before this returns.
 */
void iommu_owner_unlock(struct iommu_group *group)
{
	enum iommu_owner_state state = iommu_owner_group_state(group);
	struct iommu_ownership *own = &group->ownership;

	if (state != own->reported && state != IOMMU_OWNER_STATE_ENDING) {
		own->reported = state;
		iommu_owner_report_change(group);
	}
	if (unlikely(own->unmap))
		state_unlock_and_unmap(group);
	else
		mutex_unlock(&group->mutex);
}

/*
 * The same after a claim or a reservation: nothing is mapped any more when the caller
 * returns to user space. Who comes second unmaps as well, it does not wait.
 */
void iommu_owner_unlock_claimed(struct iommu_group *group)
{
	struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	own->unmap |= own->unmapping;
	iommu_owner_unlock(group);
}

struct group_device *iommu_owner_find_device(struct iommu_group *group,
					     struct device *dev)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->dev == dev)
			return gdev;
	return NULL;
}

/* A device of @group, other than @except, whose driver uses the DMA API */
struct group_device *iommu_owner_kernel_user(struct iommu_group *group,
					     struct device *except)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->driver && gdev->dev != except)
			return gdev;
	return NULL;
}

/* The driver of @gdev if it conflicts with a claim of @group */
const struct device_driver *
iommu_owner_blocking_driver(struct iommu_group *group,
			    struct group_device *gdev)
{
	lockdep_assert_held(&group->mutex);

	/* A driver that has handed its use over does not conflict */
	return group->ownership.owner ? NULL : gdev->driver;
}

/* The name of the owner for reports */
const char *iommu_owner_group_owner(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	if (group->ownership.owner)
		return group->ownership.owner->name;
	if (iommu_owner_group_state(group) == IOMMU_OWNER_STATE_PRIVATE) {
		gdev = iommu_owner_kernel_user(group, NULL);
		if (gdev)
			return gdev->driver->name;
	}
	return "kernel";
}

/*
 * May @owner, or the kernel if it is NULL, change the domains and PASIDs of
 * @group? -EBUSY: the group has an owner or is in quarantine; -EACCES: another
 * owner; -ESTALE: the ownership has ended, or the owner has been revoked.
 */
int iommu_owner_check(struct iommu_group *group, struct iommu_owner *owner)
{
	const struct iommu_ownership *own = &group->ownership;

	lockdep_assert_held(&group->mutex);

	if (!owner)
		return iommu_owner_excludes_drivers(group) ? -EBUSY : 0;
	if (!own->owner)
		return -ESTALE;
	if (own->owner != owner)
		return READ_ONCE(owner->revoked) ? -ESTALE : -EACCES;
	return own->state == IOMMU_OWNER_STATE_USER ? 0 : -ESTALE;
}

/* Does anything but the use by @lender, which may be NULL, conflict with a claim? */
bool iommu_owner_conflicts(struct iommu_group *group, struct device *lender)
{
	lockdep_assert_held(&group->mutex);

	return (iommu_owner_excludes_drivers(group) &&
		group->ownership.state != IOMMU_OWNER_STATE_BLOCKED) ||
	       iommu_owner_kernel_user(group, lender) ||
	       !state_is_core_domain(group) || !xa_empty(&group->pasid_array);
}

/* Does anybody rely on the default domain staying as it is? */
bool iommu_owner_group_busy(struct iommu_group *group)
{
	return iommu_owner_conflicts(group, NULL);
}

/* Does the state of @group keep drivers that use the DMA API from being probed? */
bool iommu_owner_excludes_drivers(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	return group->ownership.state != IOMMU_OWNER_STATE_KERNEL;
}

/* Is the blocking domain the one that the core falls back to? */
bool iommu_owner_dma_blocked(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	switch (group->ownership.state) {
	case IOMMU_OWNER_STATE_KERNEL:
	case IOMMU_OWNER_STATE_BLOCKED:
		return state_is_blocked(group);
	default:
		return true;
	}
}

/* @gdev has been added to @group, but has no domain yet. */
void iommu_owner_device_joining(struct iommu_group *group,
				struct group_device *gdev)
{
	const struct iommu_owner_concept *concept;

	lockdep_assert_held(&group->mutex);

	for_each_concept(concept, joining)
		concept->joining(group, gdev);
}

/* @gdev has a domain. */
void iommu_owner_device_joined(struct iommu_group *group,
			       struct group_device *gdev)
{
	struct iommu_owner *owner = group->ownership.owner;
	const struct iommu_owner_concept *concept;

	iommu_owner_changed(group);
	for_each_concept(concept, joined)
		concept->joined(group, gdev->dev);
	if (owner)
		iommu_owner_event(owner, IOMMU_OWNER_EVENT_DEVICE_ADDED, group,
				  gdev->dev, 0);
}

/* @dev is no longer in @group. */
void iommu_owner_left(struct iommu_group *group, struct device *dev)
{
	const struct iommu_owner_concept *concept;

	iommu_owner_changed(group);
	for_each_concept(concept, left)
		concept->left(group, dev);
}
