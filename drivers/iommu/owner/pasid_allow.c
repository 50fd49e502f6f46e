// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices may load which PASIDs, and how PASIDs end
 *
 * A driver of a shared function opens each of its devices here when user space does.
 * The device starts with an empty list. The owner of a PASID adds it, and the driver
 * asks before it loads a PASID into hardware: a bit of the device, without a lock.
 * The first PASID makes the device one of that owner until it is closed.
 *
 * What is denied, freed, revoked or closed goes through two passes:
 *
 *	1. Block: the bit is cleared, and the page table is detached from the parent.
 *	   Nothing is waited for.
 *	2. Drain, by a work of the device: loads that have seen a bit end, all at once,
 *	   and the driver unloads.
 */
#include <kunit/visibility.h>
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/nospec.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "pasid.h"

#define DRAIN_TIMEOUT	(5 * HZ)

/* The bits of a device come in chunks of a page: most devices need one */
#define CHUNK_BITS	(PAGE_SIZE * BITS_PER_BYTE)
#define NR_CHUNKS	DIV_ROUND_UP(PASID_MAX + 1, CHUNK_BITS)

/**
 * struct iommu_owner_pasid_device - An open device that loads PASIDs
 * @dev: The device. Its parent is what the IOMMU knows.
 * @ops: Callbacks of its driver.
 * @node: Entry in the open devices.
 * @srcu: Read-locked while the driver loads a PASID.
 * @owner: The owner of all that is on its list, with a reference; NULL before the first
 *	permit. Once set, it stays.
 * @permits: Its &struct pasid_permit, but those that @drain has. This and what follows
 *	is protected by the lock of the PASIDs of @owner.
 * @nr_blocked: Permits that have not been drained yet. Also read without the lock.
 * @drain: Drains them.
 * @refusals: Limits the reports of PASIDs that the driver was refused.
 * @chunks: A bit for each PASID that may be loaded. A chunk comes with its first bit.
 *	Also read without the lock.
 */
struct iommu_owner_pasid_device {
	struct device *dev;
	const struct iommu_owner_pasid_ops *ops;
	struct list_head node;
	struct srcu_struct srcu;
	struct iommu_owner *owner;
	struct list_head permits;
	unsigned int nr_blocked;
	struct work_struct drain;
	struct ratelimit_state refusals;
	unsigned long *chunks[NR_CHUNKS];
};

/**
 * struct pasid_permit - A device may load a PASID
 * @pasid: The PASID, with a reference.
 * @device: The device; it is not closed before this has gone.
 * @of_pasid: Entry in the permits of @pasid.
 * @of_device: Entry in those of @device.
 * @domain: What is attached on the parent of @device, or NULL.
 * @blocked: It goes when @device has been drained.
 *
 * Protected by the lock of the PASIDs of the owner.
 */
struct pasid_permit {
	struct iommu_owner_pasid *pasid;
	struct iommu_owner_pasid_device *device;
	struct list_head of_pasid;
	struct list_head of_device;
	struct iommu_domain *domain;
	bool blocked;
};

static LIST_HEAD(devices);
static DEFINE_MUTEX(devices_lock);	/* for devices */

/* NULL before the first permit */
static struct iommu_owner *device_owner(const struct iommu_owner_pasid_device *device)
{
	/* Paired with the cmpxchg() in iommu_owner_pasid_permit() */
	return smp_load_acquire(&device->owner);
}

/* Pass 1 */
static void permit_block(struct pasid_permit *permit)
{
	struct iommu_owner_pasid_device *device = permit->device;
	ioasid_t pasid = permit->pasid->pasid;

	lockdep_assert_held(&permit->pasid->owner->pasids.lock);

	if (permit->blocked)
		return;
	permit->blocked = true;
	clear_bit(pasid % CHUNK_BITS, device->chunks[pasid / CHUNK_BITS]);
	/* If nothing is attached any more, the core has detached it */
	if (permit->domain)
		iommu_detach_device_pasid(permit->domain, device->dev->parent,
					  pasid);
	WRITE_ONCE(device->nr_blocked, device->nr_blocked + 1);
	queue_work(system_unbound_wq, &device->drain);
}

static void permit_remove(struct pasid_permit *permit)
{
	struct iommu_owner_pasid_device *device = permit->device;

	iommu_owner_pasid_report(permit->pasid, IOMMU_OWNER_EVENT_PASID_UNBOUND,
				 device->dev);
	list_del(&permit->of_pasid);
	list_del(&permit->of_device);
	WRITE_ONCE(device->nr_blocked, device->nr_blocked - 1);
	iommu_owner_pasid_put_locked(permit->pasid);
	kfree(permit);
}

/* Pass 2 for all that has been blocked so far; what follows queues it again. */
static void device_drain(struct work_struct *work)
{
	struct iommu_owner_pasid_device *device =
		container_of(work, struct iommu_owner_pasid_device, drain);
	struct iommu_owner *owner = device->owner;
	struct pasid_permit *permit, *next;
	LIST_HEAD(blocked);

	scoped_guard(mutex, &owner->pasids.lock)
		list_for_each_entry_safe(permit, next, &device->permits,
					 of_device)
			if (permit->blocked)
				list_move_tail(&permit->of_device, &blocked);

	synchronize_srcu(&device->srcu);
	list_for_each_entry(permit, &blocked, of_device)
		device->ops->unload(device->dev, permit->pasid->pasid);

	mutex_lock(&owner->pasids.lock);
	list_for_each_entry_safe(permit, next, &blocked, of_device)
		permit_remove(permit);
	iommu_owner_pasid_unlock(owner);
}

static struct iommu_owner_pasid_device *device_find(const struct device *dev)
{
	struct iommu_owner_pasid_device *device;

	lockdep_assert_held(&devices_lock);

	list_for_each_entry(device, &devices, node)
		if (device->dev == dev)
			return device;
	return NULL;
}

/* The open device of @dev, which is not closed meanwhile; NULL if there is none */
struct iommu_owner_pasid_device *iommu_owner_pasid_device(const struct device *dev)
{
	guard(mutex)(&devices_lock);
	return device_find(dev);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_device);

static int device_link(struct iommu_owner_pasid_device *device)
{
	guard(mutex)(&devices_lock);
	if (device_find(device->dev))
		return -EBUSY;
	list_add_tail(&device->node, &devices);
	return 0;
}

/**
 * iommu_owner_pasid_open() - Open a device that loads PASIDs
 * @dev: The device, such as an mdev. Its parent is the function that issues the DMA.
 * @ops: Callbacks; must stay until the device is closed.
 *
 * The driver calls it when user space opens the device, before it may use it.
 *
 * Context: May sleep.
 * Return: What stands for the open device in other calls; or an ERR_PTR: -ENODEV if
 * @dev has no parent, -EBUSY if it is open, -ENOMEM.
 */
struct iommu_owner_pasid_device *
iommu_owner_pasid_open(struct device *dev,
		       const struct iommu_owner_pasid_ops *ops)
{
	struct iommu_owner_pasid_device *device __free(kfree) = NULL;
	int ret;

	if (!dev->parent)
		return ERR_PTR(-ENODEV);
	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	if (!device)
		return ERR_PTR(-ENOMEM);
	device->dev = dev;
	device->ops = ops;
	INIT_LIST_HEAD(&device->permits);
	INIT_WORK(&device->drain, device_drain);
	ratelimit_default_init(&device->refusals);
	/* How many it suppresses is not worth a line */
	ratelimit_set_flags(&device->refusals, RATELIMIT_MSG_ON_RELEASE);
	ret = init_srcu_struct(&device->srcu);
	if (ret)
		return ERR_PTR(ret);
	ret = device_link(device);
	if (ret) {
		cleanup_srcu_struct(&device->srcu);
		return ERR_PTR(ret);
	}
	return no_free_ptr(device);
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_open);

/**
 * iommu_owner_pasid_close() - Close a device that loads PASIDs
 * @device: From iommu_owner_pasid_open(); not valid afterwards.
 *
 * The driver calls it when user space has closed the device. All that is on the list
 * is denied.
 *
 * Context: May sleep. The caller has no lock that the callbacks take, and loads no
 * PASID any more.
 */
void iommu_owner_pasid_close(struct iommu_owner_pasid_device *device)
{
	struct iommu_owner *owner = device->owner;
	struct pasid_permit *permit;

	scoped_guard(mutex, &devices_lock)
		list_del(&device->node);
	if (owner) {
		scoped_guard(mutex, &owner->pasids.lock)
			list_for_each_entry(permit, &device->permits, of_device)
				permit_block(permit);
		flush_work(&device->drain);
		iommu_owner_put(owner);
	}
	cleanup_srcu_struct(&device->srcu);
	for (unsigned int i = 0; i < NR_CHUNKS; i++)
		kfree(device->chunks[i]);
	kfree(device);
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_close);

/**
 * iommu_owner_pasid_load_lock() - A driver is about to load a PASID
 * @device: The open device.
 *
 * What iommu_owner_pasid_allowed() and iommu_owner_pasid_translate() return is good
 * until iommu_owner_pasid_load_unlock(): a deny waits for that, and then the driver
 * unloads.
 *
 * Context: Any but interrupts. The caller may sleep until it unlocks.
 * Return: What iommu_owner_pasid_load_unlock() needs.
 */
int iommu_owner_pasid_load_lock(struct iommu_owner_pasid_device *device)
	__acquires(&device->srcu)
{
	return srcu_read_lock(&device->srcu);
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_load_lock);

/**
 * iommu_owner_pasid_load_unlock() - A driver has loaded a PASID, or has not
 * @device: The open device.
 * @index: From iommu_owner_pasid_load_lock().
 *
 * Context: Any but interrupts.
 */
void iommu_owner_pasid_load_unlock(struct iommu_owner_pasid_device *device,
				   int index)
	__releases(&device->srcu)
{
	srcu_read_unlock(&device->srcu, index);
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_load_unlock);

/**
 * iommu_owner_pasid_translate() - The PASID that has a number in the guest
 * @device: The open device, locked by iommu_owner_pasid_load_lock().
 * @guest: Any number that the guest has written.
 *
 * It is in the set of the owner, which does not mean that the device may load it.
 *
 * Context: Any but interrupts. Takes no lock.
 * Return: The PASID; IOMMU_PASID_INVALID if the owner has not mapped @guest.
 */
ioasid_t iommu_owner_pasid_translate(struct iommu_owner_pasid_device *device,
				     ioasid_t guest)
{
	struct iommu_owner *owner = device_owner(device);
	struct iommu_owner_pasid *p;

	if (!owner)
		return IOMMU_PASID_INVALID;
	guard(rcu)();
	p = xa_load(&owner->pasids.guests, guest);
	return p ? p->pasid : IOMMU_PASID_INVALID;
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_translate);

/*
 * The owner of the device learns of it, not that of the number. The limit of a device
 * is a new one with each open, so the log has one of its own.
 */
static void device_refuse(struct iommu_owner_pasid_device *device,
			  ioasid_t pasid)
{
	static DEFINE_RATELIMIT_STATE(refusals, DEFAULT_RATELIMIT_INTERVAL,
				      10 * DEFAULT_RATELIMIT_BURST);
	struct iommu_owner *owner = device_owner(device);

	if (!__ratelimit(&device->refusals))
		return;
	if (__ratelimit(&refusals))
		dev_warn(device->dev, "iommu-owner: PASID %u is not on the list of the device\n",
			 pasid);
	if (owner && !iommu_owner_revoked(owner))
		iommu_owner_pasid_event(owner, IOMMU_OWNER_EVENT_PASID_DENIED,
					pasid, device->dev);
}

/**
 * iommu_owner_pasid_allowed() - May a device load a PASID?
 * @device: The open device, locked by iommu_owner_pasid_load_lock().
 * @pasid: Any number, also one that a guest has written.
 *
 * A refusal is logged and sent to the owner of the device, if it has one; the driver
 * reports a fault to its user. The answer says nothing of what is attached on the
 * parent, whose group may have got an owner since: the driver attaches in the same
 * section before it loads, see iommu_owner_pasid_attach().
 *
 * Context: Any but interrupts. Takes no lock, but for a refusal.
 * Return: true if the owner of @device has permitted it.
 */
bool iommu_owner_pasid_allowed(struct iommu_owner_pasid_device *device,
			       ioasid_t pasid)
{
	const unsigned long *chunk;

	RCU_LOCKDEP_WARN(!srcu_read_lock_held(&device->srcu),
			 "PASID is checked without iommu_owner_pasid_load_lock()");
	if (likely(pasid <= PASID_MAX)) {
		pasid = array_index_nospec(pasid, PASID_MAX + 1);
		/* Paired with the release in permit_set() */
		chunk = READ_ONCE(device->chunks[pasid / CHUNK_BITS]);
		if (likely(chunk && test_bit(pasid % CHUNK_BITS, chunk)))
			return true;
	}
	device_refuse(device, pasid);
	return false;
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_allowed);

static struct pasid_permit *
permit_find(const struct iommu_owner_pasid *p,
	    const struct iommu_owner_pasid_device *device)
{
	struct pasid_permit *permit;

	lockdep_assert_held(&p->owner->pasids.lock);

	list_for_each_entry(permit, &p->permits, of_pasid)
		if (permit->device == device)
			return permit;
	return NULL;
}

/* May another permit of @p be made? A parent has one page table for it. */
static int permit_check(const struct iommu_owner_pasid *p,
			const struct iommu_owner_pasid_device *device)
{
	const struct pasid_permit *permit;

	list_for_each_entry(permit, &p->permits, of_pasid)
		if (permit->device->dev->parent == device->dev->parent)
			return -EBUSY;
	return 0;
}

static void permit_set(struct pasid_permit *permit, unsigned long **chunk)
{
	struct iommu_owner_pasid_device *device = permit->device;
	struct iommu_owner_pasid *p = permit->pasid;
	unsigned long **slot = &device->chunks[p->pasid / CHUNK_BITS];

	if (!*slot) {
		/* Paired with the one in iommu_owner_pasid_allowed(): it is clear */
		smp_store_release(slot, *chunk);
		*chunk = NULL;
	}
	kref_get(&p->ref);
	list_add_tail(&permit->of_pasid, &p->permits);
	list_add_tail(&permit->of_device, &device->permits);
	iommu_owner_pasid_report(p, IOMMU_OWNER_EVENT_PASID_BOUND, device->dev);
	set_bit(p->pasid % CHUNK_BITS, *slot);
}

/**
 * iommu_owner_pasid_permit() - Let a device load a PASID
 * @device: The open device.
 * @owner: The owner of @pasid; the caller has a reference.
 * @pasid: The PASID.
 *
 * The caller has been given the device by user space, and @owner by a token. To permit
 * again changes nothing.
 *
 * Context: May sleep. @device is not closed meanwhile.
 * Return: 0; -EACCES if @pasid is another owner's or the kernel's, or @device is
 * another owner's; -ENOENT if @pasid is not allocated, or being freed; -EBUSY if it is on
 * the list of another device of the same parent, or has been denied to @device, which
 * has not been drained; -ENOMEM.
 */
int iommu_owner_pasid_permit(struct iommu_owner_pasid_device *device,
			     struct iommu_owner *owner, ioasid_t pasid)
{
	struct pasid_permit *permit __free(kfree) = NULL;
	unsigned long *chunk __free(kfree) = NULL;
	struct iommu_owner_pasid *p;
	struct pasid_permit *old;
	int ret;

	if (pasid > PASID_MAX)
		return -ENOENT;
	permit = kzalloc(sizeof(*permit), GFP_KERNEL_ACCOUNT);
	if (!permit)
		return -ENOMEM;
	if (!READ_ONCE(device->chunks[pasid / CHUNK_BITS])) {
		chunk = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
		if (!chunk)
			return -ENOMEM;
	}
	guard(mutex)(&owner->pasids.lock);
	p = iommu_owner_pasid_find(owner, pasid);
	if (IS_ERR(p))
		return PTR_ERR(p);
	old = permit_find(p, device);
	if (old)
		return old->blocked ? -EBUSY : 0;
	ret = permit_check(p, device);
	if (ret)
		return ret;
	if (device->owner != owner) {
		if (cmpxchg(&device->owner, NULL, owner))
			return -EACCES;
		iommu_owner_get(owner);
	}
	permit->pasid = p;
	permit->device = device;
	permit_set(no_free_ptr(permit), &chunk);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_permit);

/* Wait until what @condition says has been drained. */
#define pasid_wait(owner, condition)					\
({									\
	long _ret = wait_event_killable_timeout((owner)->wait,		\
						condition, DRAIN_TIMEOUT); \
									\
	_ret > 0 ? 0 : _ret ? -EINTR : -ETIMEDOUT;			\
})

/**
 * iommu_owner_pasid_deny() - Let a device load a PASID no more
 * @device: The open device.
 * @owner: The owner of @pasid; the caller has a reference.
 * @pasid: The PASID.
 *
 * When this returns 0, the device does no DMA with @pasid and cannot load it: what was
 * attached for it is detached, and the driver has unloaded it. With -ETIMEDOUT or
 * -EINTR its DMA is blocked, too, but the driver has not unloaded; denying again waits
 * again.
 *
 * Context: May sleep, for 5 s at most. @device is not closed meanwhile.
 * Return: 0; -EACCES if @pasid is another owner's or the kernel's; -ENOENT if it is not
 * allocated, being freed, or not on the list of the device; -ETIMEDOUT; -EINTR if the
 * caller was killed.
 */
int iommu_owner_pasid_deny(struct iommu_owner_pasid_device *device,
			   struct iommu_owner *owner, ioasid_t pasid)
{
	struct pasid_permit *permit;
	struct iommu_owner_pasid *p;

	scoped_guard(mutex, &owner->pasids.lock) {
		p = iommu_owner_pasid_find(owner, pasid);
		if (IS_ERR(p))
			return PTR_ERR(p);
		permit = permit_find(p, device);
		if (!permit)
			return -ENOENT;
		permit_block(permit);
	}
	return pasid_wait(owner, !READ_ONCE(device->nr_blocked));
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_deny);

/**
 * iommu_owner_pasid_attach() - Attach a page table on the parent of a device
 * @device: The open device.
 * @domain: The domain. It stays until @pasid has been unloaded or @device is closed.
 * @pasid: The PASID, which is on the list of @device.
 *
 * The function is the kernel's, which attaches on behalf of the owner. It is detached
 * when the PASID is denied or freed, @device is closed, or the owner is revoked, each
 * time before the driver unloads. To attach the same domain again changes nothing.
 *
 * Context: May sleep. Takes the mutex of the group of the parent.
 * Return: 0; -EACCES if @pasid is not on the list of @device, and nothing has changed;
 * -EINVAL if the parent of @device has no such PASID; -EBUSY if another domain is
 * attached to it, or the group of the parent has an owner; or the error of
 * iommu_attach_device_pasid().
 */
int iommu_owner_pasid_attach(struct iommu_owner_pasid_device *device,
			     struct iommu_domain *domain, ioasid_t pasid)
{
	struct iommu_owner *owner = device_owner(device);
	struct device *parent = device->dev->parent;
	struct pasid_permit *permit;
	struct iommu_owner_pasid *p;
	int ret;

	if (!owner)
		return -EACCES;
	guard(mutex)(&owner->pasids.lock);
	p = iommu_owner_pasid_find(owner, pasid);
	permit = IS_ERR(p) ? NULL : permit_find(p, device);
	if (!permit || permit->blocked)
		return -EACCES;
	if (permit->domain)
		return permit->domain == domain ? 0 : -EBUSY;
	/* The core skips devices without PASIDs */
	if (!parent->iommu || pasid >= parent->iommu->max_pasids)
		return -EINVAL;
	ret = iommu_attach_device_pasid(domain, parent, pasid, NULL);
	if (!ret)
		permit->domain = domain;
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_pasid_attach);

/* No device does DMA with @p any more, nor gets it. The caller puts a reference. */
static void pasid_block(struct iommu_owner_pasid *p)
{
	struct pasid_permit *permit;

	iommu_owner_pasid_stop(p);
	list_for_each_entry(permit, &p->permits, of_pasid)
		permit_block(permit);
}

/**
 * iommu_owner_pasid_free() - Free a PASID of an owner
 * @owner: The owner; the caller has a reference.
 * @pasid: The number.
 *
 * It is denied to all devices, and has no number in the guest any more. If devices have
 * not been drained, or there are other references, the number is not allocated again,
 * and stays charged, until that is done; its DMA is blocked nevertheless.
 *
 * Context: May sleep, for 5 s at most.
 * Return: 0; 1 if the PASID is FREE_PENDING; -EACCES if it is another owner's or the
 * kernel's; -ENOENT if it is not allocated, or being freed.
 */
int iommu_owner_pasid_free(struct iommu_owner *owner, ioasid_t pasid)
{
	struct iommu_owner_pasid *p;
	bool last;

	scoped_guard(mutex, &owner->pasids.lock) {
		p = iommu_owner_pasid_find(owner, pasid);
		if (IS_ERR(p))
			return PTR_ERR(p);
		pasid_block(p);
	}
	/* The reference of the set is kept meanwhile */
	pasid_wait(owner, list_empty_careful(&p->permits));
	mutex_lock(&owner->pasids.lock);
	last = iommu_owner_pasid_put_locked(p);
	iommu_owner_pasid_unlock(owner);
	return last ? 0 : 1;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_free);

/**
 * iommu_owner_pasid_free_all() - Free all PASIDs of an owner
 * @owner: The owner; the caller has a reference.
 *
 * The DMA of all of them is blocked when this returns; they are free when their
 * devices have been drained, for which nothing waits here.
 *
 * Context: May sleep.
 */
void iommu_owner_pasid_free_all(struct iommu_owner *owner)
{
	struct iommu_owner_pasid *p, *next;

	mutex_lock(&owner->pasids.lock);
	list_for_each_entry_safe(p, next, &owner->pasids.list, node) {
		cond_resched();
		if (p->state != IOMMU_OWNER_PASID_ALLOCATED)
			continue;
		pasid_block(p);
		iommu_owner_pasid_put_locked(p);
	}
	iommu_owner_pasid_unlock(owner);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_pasid_free_all);

/* sysfs */

static const char * const pasid_states[] = {
	[IOMMU_OWNER_PASID_ALLOCATED]	 = "allocated",
	[IOMMU_OWNER_PASID_FREE_PENDING] = "free-pending",
};

/* Room for one line: names of devices and owners are short */
#define PASID_LINE	256

static ssize_t pasid_show(const struct iommu_owner_pasid *p, const char *device,
			  char *buf, ssize_t len)
{
	/* No part of a line */
	if (len > PAGE_SIZE - PASID_LINE)
		return 0;
	return sysfs_emit_at(buf, len, "%s %u %s %u %s\n", device, p->pasid,
			     p->owner->name, kref_read(&p->ref),
			     pasid_states[p->state]);
}

static ssize_t pasid_show_set(struct iommu_owner *owner, char *buf)
{
	struct iommu_owner_pasid *p;
	ssize_t len = 0;

	guard(mutex)(&owner->pasids.lock);
	list_for_each_entry(p, &owner->pasids.list, node)
		len += pasid_show(p, "-", buf, len);
	return len;
}

static ssize_t device_show(struct iommu_owner_pasid_device *device, char *buf,
			   ssize_t len)
{
	struct iommu_owner *owner = device_owner(device);
	struct pasid_permit *permit;
	ssize_t more = 0;

	if (!owner)
		return 0;
	guard(mutex)(&owner->pasids.lock);
	list_for_each_entry(permit, &device->permits, of_device)
		more += pasid_show(permit->pasid, dev_name(device->dev), buf,
				   len + more);
	return more;
}

/*
 * The PASIDs of the owner of @group, and those that devices on the devices of @group may
 * load: device, number, owner, references, state. What does not fit into a page is left
 * out.
 */
static ssize_t pasid_show_group(struct iommu_group *group, char *buf)
{
	struct iommu_owner_pasid_device *device;
	struct iommu_owner *owner = NULL;
	ssize_t len = 0;

	scoped_guard(mutex, &group->mutex)
		if (group->ownership.owner)
			owner = iommu_owner_get(group->ownership.owner);
	if (owner)
		len = pasid_show_set(owner, buf);
	iommu_owner_put(owner);

	guard(mutex)(&devices_lock);
	list_for_each_entry(device, &devices, node)
		if (device->dev->parent->iommu_group == group)
			len += device_show(device, buf, len);
	return len;
}

static bool pasid_busy(struct iommu_owner *owner)
{
	return !list_empty_careful(&owner->pasids.list);
}

static void pasid_unused(struct iommu_owner *owner, u32 rights)
{
	if (rights & IOMMU_OWNER_RIGHT_PASID)
		iommu_owner_pasid_free_all(owner);
}

static const struct iommu_owner_concept pasid_concept = {
	.revoke = iommu_owner_pasid_free_all,
	.busy = pasid_busy,
	.unused = pasid_unused,
	.show_pasids = pasid_show_group,
};

static int __init pasid_init(void)
{
	iommu_owner_add_concept(&pasid_concept);
	return 0;
}
core_initcall(pasid_init);
