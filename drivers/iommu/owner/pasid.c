// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of functions that several owners share: one system-wide space of numbers, in
 * which each has one owner
 *
 * The IOMMU distinguishes functions by the requester, and the devices on one function
 * by the PASID only. So a number of this space means the same on every device, and only
 * its owner uses it:
 *
 *	KERNEL		allocated by iommu_alloc_global_pasid(); only the number is
 *			stored
 *	reserved	acquired for an owner, and not returned to user space yet
 *	ALLOCATED	in the set of an owner
 *	FREE_PENDING	no new references; reclaimed when the last one is put
 *
 * A device that an owner has for itself needs none of these: the owner numbers its
 * PASIDs as it likes.
 *
 * Lock order, outermost first:
 *
 *	devices_lock of pasid_allow.c
 *	  iommu_owner_pasids::lock, which protects a set, the permits of its PASIDs and
 *	  what is attached for them
 *	    iommu_group::mutex of the parent of a device
 *	      iommu_owner::lock
 *		the lock of the space, which is also taken in interrupts
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/misc_cgroup.h>
#include <linux/slab.h>

#include "pasid.h"
#include <trace/events/iommu_owner.h>

#define PASID_KERNEL	xa_mk_value(0)

/*
 * PASID_KERNEL, a &struct iommu_owner_pasid, or a reserved entry. An mm drops its PASID
 * with interrupts off.
 */
static DEFINE_XARRAY_FLAGS(pasid_space, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);

/* Numbers that owners may have in all, and those that they have */
static unsigned int pasid_capacity;
static atomic_t pasid_count;

/**
 * iommu_owner_pasid_alloc_kernel() - Allocate a PASID for the kernel
 * @min: Lowest number.
 * @max: Highest number.
 *
 * Context: May sleep, interrupts are on.
 * Return: The number, or IOMMU_PASID_INVALID if none is free or there is no memory.
 */
ioasid_t iommu_owner_pasid_alloc_kernel(ioasid_t min, ioasid_t max)
{
	ioasid_t pasid;

	if (xa_alloc_irq(&pasid_space, &pasid, PASID_KERNEL,
			 XA_LIMIT(min, max), GFP_KERNEL))
		return IOMMU_PASID_INVALID;
	return pasid;
}

static void pasid_return_number(ioasid_t pasid)
{
	unsigned long flags;

	xa_lock_irqsave(&pasid_space, flags);
	__xa_erase(&pasid_space, pasid);
	xa_unlock_irqrestore(&pasid_space, flags);
}

/**
 * iommu_owner_pasid_free_kernel() - Free a PASID of the kernel
 * @pasid: The number, from iommu_owner_pasid_alloc_kernel().
 *
 * Context: Any.
 */
void iommu_owner_pasid_free_kernel(ioasid_t pasid)
{
	/* Not a number of an owner */
	if (!WARN_ON_ONCE(xa_load(&pasid_space, pasid) != PASID_KERNEL))
		pasid_return_number(pasid);
}

/**
 * iommu_owner_pasid_set_capacity() - An IOMMU has been registered or has gone
 * @max_pasids: Number of PASIDs that the largest IOMMU supports.
 *
 * Half of them can be allocated for owners: the rest is left to the kernel. A function
 * with fewer PASIDs has no share of its own: owners may have all numbers that it has.
 *
 * Context: Any.
 */
void iommu_owner_pasid_set_capacity(u32 max_pasids)
{
	WRITE_ONCE(pasid_capacity, max_pasids / 2);
	misc_cg_set_capacity(MISC_CG_RES_IOMMU_PASID, max_pasids / 2);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_set_capacity);

/* Something has happened to @p, on @dev if that is not NULL. */
void iommu_owner_pasid_report(struct iommu_owner_pasid *p,
			      enum iommu_owner_event_type type,
			      struct device *dev)
{
	lockdep_assert_held(&p->owner->pasids.lock);

	trace_iommu_owner_pasid(p->pasid, p->owner->name, type,
				dev ? dev_name(dev) : "", kref_read(&p->ref));
	iommu_owner_pasid_event(p->owner, type, p->pasid, dev);
}

/* The cgroup to charge, with a reference */
VISIBLE_IF_KUNIT struct misc_cg *iommu_owner_pasid_cgroup(void)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_pasid_cgroup);
	return get_current_misc_cg();
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_cgroup);

/*
 * Count @p for its owner, for all owners and for a cgroup. @p->cg is uncharged, also if
 * the process that allocates moves or exits.
 */
static int pasid_charge(struct iommu_owner_pasid *p)
{
	int ret;

	lockdep_assert_held(&p->owner->pasids.lock);

	ret = iommu_owner_count_pasid(p->owner);
	if (ret)
		return ret;
	p->cg = iommu_owner_pasid_cgroup();
	if (atomic_inc_return(&pasid_count) > READ_ONCE(pasid_capacity))
		ret = -ENOSPC;
	else
		ret = misc_cg_try_charge(MISC_CG_RES_IOMMU_PASID, p->cg, 1);
	if (!ret)
		return 0;

	atomic_dec(&pasid_count);
	put_misc_cg(p->cg);
	iommu_owner_uncount_pasid(p->owner);
	/* misc returns -EBUSY at a limit, which means a conflict in all other calls */
	if (ret == -EBUSY)
		return -ENOSPC;
	/* It knows no PASIDs any more, or not yet */
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

static void pasid_uncharge(struct iommu_owner_pasid *p)
{
	misc_cg_uncharge(MISC_CG_RES_IOMMU_PASID, p->cg, 1);
	put_misc_cg(p->cg);
	atomic_dec(&pasid_count);
	iommu_owner_uncount_pasid(p->owner);
}

/* For iommu_owner_pasid_reserve() */
static int pasid_take_number(struct iommu_owner_pasid *p, ioasid_t min,
			     ioasid_t max)
{
	int ret;

	/* After the event that a PASID was freed, this waits until it has gone */
	guard(mutex)(&p->owner->pasids.lock);
	ret = pasid_charge(p);
	if (ret)
		return ret;
	ret = xa_alloc_irq(&pasid_space, &p->pasid, NULL, XA_LIMIT(min, max),
			   GFP_KERNEL);
	if (!ret)
		return 0;
	pasid_uncharge(p);
	return ret == -EBUSY ? -ENOSPC : ret;
}

/**
 * iommu_owner_pasid_reserve() - Reserve a PASID for an owner
 * @owner: The owner; the caller has a reference.
 * @min: Lowest number, at least IOMMU_FIRST_GLOBAL_PASID.
 * @max: Highest number, of at most 20 bits.
 *
 * Nobody finds it before iommu_owner_pasid_link(). It is charged to the misc cgroup of
 * the current task, as a resource iommu_pasid.
 *
 * Context: May sleep, interrupts are on.
 * Return: The PASID, for iommu_owner_pasid_link() or iommu_owner_pasid_unreserve(); or
 * an ERR_PTR: -ENOSPC if no number of that range is free, the owner has
 * iommu_owner.pasid_quota PASIDs, those that it has attached on its devices included,
 * all owners have as many numbers as they may, or a limit of the cgroup is reached;
 * -EINVAL if there is no such range; -EOPNOTSUPP if no IOMMU has PASIDs; -ENOMEM.
 */
struct iommu_owner_pasid *iommu_owner_pasid_reserve(struct iommu_owner *owner,
						    ioasid_t min, ioasid_t max)
{
	struct iommu_owner_pasid *p;
	int ret;

	if (min < IOMMU_FIRST_GLOBAL_PASID || min > max || max > PASID_MAX)
		return ERR_PTR(-EINVAL);
	if (!READ_ONCE(pasid_capacity))
		return ERR_PTR(-EOPNOTSUPP);
	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return ERR_PTR(-ENOMEM);
	kref_init(&p->ref);
	INIT_LIST_HEAD(&p->permits);
	p->owner = iommu_owner_get(owner);

	ret = pasid_take_number(p, min, max);
	if (!ret)
		return p;

	iommu_owner_put(p->owner);
	kfree(p);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_reserve);

/* The number is free when this returns. The caller has a reference to the owner. */
static void pasid_release(struct iommu_owner_pasid *p)
{
	lockdep_assert_held(&p->owner->pasids.lock);

	pasid_uncharge(p);
	pasid_return_number(p->pasid);
	iommu_owner_put(p->owner);
	kfree_rcu(p, rcu);
}

/**
 * iommu_owner_pasid_unreserve() - Return a PASID that was reserved
 * @p: From iommu_owner_pasid_reserve(); not valid afterwards.
 *
 * Context: May sleep. The caller has a reference to the owner.
 */
void iommu_owner_pasid_unreserve(struct iommu_owner_pasid *p)
{
	struct iommu_owner *owner = p->owner;

	guard(mutex)(&owner->pasids.lock);
	pasid_release(p);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_unreserve);

/**
 * iommu_owner_pasid_link() - Add a reserved PASID to the set of its owner
 * @p: From iommu_owner_pasid_reserve(); not valid afterwards: another task may find and
 *	free it.
 *
 * Context: May sleep. The caller has a reference to the owner.
 * Return: 0; -ESTALE if the owner has been revoked, and the PASID was returned.
 */
int iommu_owner_pasid_link(struct iommu_owner_pasid *p)
{
	struct iommu_owner *owner = p->owner;

	guard(mutex)(&owner->pasids.lock);
	/* A revoke sets this before it frees what is in the set */
	if (iommu_owner_revoked(owner)) {
		pasid_release(p);
		return -ESTALE;
	}
	list_add_tail(&p->node, &owner->pasids.list);
	iommu_owner_pasid_report(p, IOMMU_OWNER_EVENT_PASID_ALLOCATED, NULL);
	/* The slot is reserved, so there is nothing to allocate */
	xa_store_irq(&pasid_space, p->pasid, p, GFP_KERNEL);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_link);

/*
 * Find a PASID of @owner: -EACCES if it is another owner's or the kernel's, -ENOENT if
 * it is not allocated or being freed.
 */
struct iommu_owner_pasid *iommu_owner_pasid_find(struct iommu_owner *owner,
						 ioasid_t pasid)
{
	struct iommu_owner_pasid *p;

	lockdep_assert_held(&owner->pasids.lock);

	/* Of another owner, it may go meanwhile */
	guard(rcu)();
	p = xa_load(&pasid_space, pasid);
	if (!p)
		return ERR_PTR(-ENOENT);
	if (xa_is_value(p) || p->owner != owner)
		return ERR_PTR(-EACCES);
	return p->state == IOMMU_OWNER_PASID_ALLOCATED ? p : ERR_PTR(-ENOENT);
}

static void pasid_reclaim(struct kref *ref)
{
	struct iommu_owner_pasid *p =
		container_of(ref, struct iommu_owner_pasid, ref);

	iommu_owner_pasid_report(p, IOMMU_OWNER_EVENT_PASID_FREED, NULL);
	list_del(&p->node);
	pasid_release(p);
}

/* True if it was the last reference. The caller has one to the owner. */
bool iommu_owner_pasid_put_locked(struct iommu_owner_pasid *p)
{
	lockdep_assert_held(&p->owner->pasids.lock);

	return kref_put(&p->ref, pasid_reclaim);
}

/* Unlock a set of which a PASID may have been reclaimed, or drained on a device. */
void iommu_owner_pasid_unlock(struct iommu_owner *owner)
{
	bool empty = list_empty(&owner->pasids.list);

	mutex_unlock(&owner->pasids.lock);
	wake_up_all(&owner->wait);
	if (empty)
		iommu_owner_settled(owner);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* With a reference, or as iommu_owner_pasid_find() */
struct iommu_owner_pasid *iommu_owner_pasid_get(struct iommu_owner *owner,
						ioasid_t pasid)
{
	struct iommu_owner_pasid *p;

	guard(mutex)(&owner->pasids.lock);
	p = iommu_owner_pasid_find(owner, pasid);
	if (!IS_ERR(p))
		kref_get(&p->ref);
	return p;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_get);

bool iommu_owner_pasid_put(struct iommu_owner_pasid *p)
{
	struct iommu_owner *owner = iommu_owner_get(p->owner);
	bool last;

	mutex_lock(&owner->pasids.lock);
	last = iommu_owner_pasid_put_locked(p);
	iommu_owner_pasid_unlock(owner);
	iommu_owner_put(owner);
	return last;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_put);
#endif

/*
 * @p is being freed: it gets no new references, and has no number in the guest. The
 * reference of the set is the caller's from now on.
 */
void iommu_owner_pasid_stop(struct iommu_owner_pasid *p)
{
	struct iommu_owner_pasids *set = &p->owner->pasids;

	lockdep_assert_held(&set->lock);

	p->state = IOMMU_OWNER_PASID_FREE_PENDING;
	if (p->guest)
		xa_erase(&set->guests, p->guest);
	p->guest = 0;
	if (kref_read(&p->ref) > 1)
		iommu_owner_pasid_report(p, IOMMU_OWNER_EVENT_PASID_FREE_PENDING,
					 NULL);
}

/**
 * iommu_owner_pasid_map() - Set the number of a PASID in the guest
 * @owner: The owner; the caller has a reference.
 * @pasid: The PASID.
 * @guest: Number in the guest: at least 1, of at most 20 bits.
 *
 * The map is unique both ways. To map to the same number again changes nothing.
 *
 * Context: May sleep.
 * Return: 0; -EEXIST if @guest is another PASID, or @pasid has another number; -EINVAL
 * for a @guest that is no PASID; -EACCES if @pasid is another owner's or the kernel's;
 * -ENOENT if it is not allocated, or being freed; -ENOMEM.
 */
int iommu_owner_pasid_map(struct iommu_owner *owner, ioasid_t pasid,
			  ioasid_t guest)
{
	struct iommu_owner_pasid *p;
	int ret;

	if (!guest || guest > PASID_MAX)
		return -EINVAL;
	guard(mutex)(&owner->pasids.lock);
	p = iommu_owner_pasid_find(owner, pasid);
	if (IS_ERR(p))
		return PTR_ERR(p);
	if (p->guest)
		return p->guest == guest ? 0 : -EEXIST;
	ret = xa_insert(&owner->pasids.guests, guest, p, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? -EEXIST : ret;
	p->guest = guest;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_map);

/**
 * iommu_owner_pasid_unmap() - Remove the number of a PASID in the guest
 * @owner: The owner; the caller has a reference.
 * @guest: The number.
 *
 * Context: May sleep.
 * Return: 0; -ENOENT if it is no PASID in the guest.
 */
int iommu_owner_pasid_unmap(struct iommu_owner *owner, ioasid_t guest)
{
	struct iommu_owner_pasid *p;

	guard(mutex)(&owner->pasids.lock);
	p = xa_erase(&owner->pasids.guests, guest);
	if (!p)
		return -ENOENT;
	p->guest = 0;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_unmap);
