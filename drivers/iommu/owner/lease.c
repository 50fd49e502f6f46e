// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: a group stays isolated for as long as somebody relies on it
 *
 * A lease has bits that the group held when it was taken. Whatever would lose
 * one is refused, with a line that says whose lease it was. What comes by itself
 * and cannot be refused, a device or the end of an ownership, waits: the
 * device without a domain and without a driver, the group in quarantine.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "isolation.h"
#include "lease.h"
#include "quarantine.h"
#include "quiesce.h"
#include "report.h"

/*
 * With the mutex of the group, protects its leases and what they require: each
 * of the two is enough to look. Innermost.
 */
static DEFINE_SPINLOCK(lease_lock);
/* Those, of all groups, that require isolated interrupts */
static HLIST_HEAD(msi_leases);
/*
 * Held for reading from the look at ACS to the lease that requires it, and for
 * writing while user space writes ACS controls. That may wait for a reset, so the
 * former, with the mutex of a group, only tries it.
 */
DECLARE_RWSEM(iommu_owner_acs_lock);

static void lease_update_required(struct iommu_ownership *own)
{
	struct iommu_owner_lease *lease;
	u32 required = 0;

	lockdep_assert_held(&lease_lock);

	hlist_for_each_entry(lease, &own->leases, node)
		required |= lease->required;
	WRITE_ONCE(own->required, required);
}

static void lease_add(struct iommu_group *group,
		      struct iommu_owner_lease *lease)
{
	lockdep_assert_held(&group->mutex);

	guard(spinlock)(&lease_lock);
	hlist_add_head(&lease->node, &group->ownership.leases);
	if (lease->required & IOMMU_OWNER_ISO_ISOLATED_MSI)
		hlist_add_head(&lease->msi_node, &msi_leases);
	lease_update_required(&group->ownership);
}

static void lease_del(struct iommu_group *group,
		      struct iommu_owner_lease *lease)
{
	lockdep_assert_held(&group->mutex);

	guard(spinlock)(&lease_lock);
	if (hlist_unhashed(&lease->node))
		return;
	hlist_del_init(&lease->node);
	hlist_del_init(&lease->msi_node);
	lease->required = 0;
	lease_update_required(&group->ownership);
}

/* For lease_acquire() */
static int lease_check(struct iommu_group *group, u32 required,
		       const char *holder, struct iommu_owner_lease *lease)
{
	int ret;

	lockdep_assert_held(&group->mutex);

	lease->missing = required & ~iommu_owner_group_bits(group);
	if (lease->missing)
		return -EPERM;

	/* It is what remains if the default domain may not return */
	if (required & IOMMU_OWNER_ISO_DOMAIN) {
		ret = __iommu_group_alloc_blocking_domain(group);
		if (ret)
			return ret;
	}
	lease->holder = holder;
	lease->required = required;
	lease_add(group, lease);
	return 0;
}

/* Take @lease, but no reference to @group. */
static int lease_acquire(struct iommu_group *group, u32 required,
			 const char *holder, struct iommu_owner_lease *lease)
{
	int ret;

	if (!(required & IOMMU_OWNER_ISO_ACS))
		return lease_check(group, required, holder, lease);
	if (!down_read_trylock(&iommu_owner_acs_lock))
		return -EBUSY;
	ret = lease_check(group, required, holder, lease);
	up_read(&iommu_owner_acs_lock);
	return ret;
}

/* What a lease of @group requires of every device and @dev is missing */
static u32 lease_missing(struct iommu_group *group, struct device *dev)
{
	u32 required = group->ownership.required & IOMMU_OWNER_ISO_DEVICE;

	return required ? required & ~iommu_owner_device_bits(dev) : 0;
}

/* Attach a device of @group that no lease keeps blocked any more. */
static void lease_admit(struct iommu_group *group, struct group_device *gdev)
{
	int ret;

	gdev->missing = lease_missing(group, gdev->dev);
	if (gdev->missing)
		return;
	ret = __iommu_group_attach_device(group, gdev);
	if (ret)
		dev_err(gdev->dev, "iommu-owner: cannot be attached: %d\n",
			ret);
}

/* What a lease has kept waiting goes on. */
static void lease_changed(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	iommu_owner_changed(group);
	for_each_group_device(group, gdev)
		if (gdev->missing)
			lease_admit(group, gdev);
}

/**
 * iommu_owner_isolation_lease() - Keep the group of a device isolated
 * @dev: The device. The caller is the driver that is bound to it, or keeps it
 *	in its group otherwise.
 * @required: The bits, of &enum iommu_owner_isolation_bit, that shall stay held.
 * @holder: Name for reports. Must stay until the lease is put.
 * @lease: Memory of the caller, zeroed. Filled in; must stay until it is put.
 *
 * Until iommu_owner_isolation_put() whatever would lose one of these bits fails
 * with -EBUSY, also for the owner of the group and for the administrator. If
 * the default domain of the group is missing one, the group goes into quarantine at
 * the end of an ownership until the lease is put. A lease of a group whose last
 * device leaves has nothing to keep any more: iommu_owner_isolation_lost() says so.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -EPERM if bits are not held, which &iommu_owner_lease.missing then
 * names; -EBUSY if ACS is required, and user space is writing ACS controls of a
 * port; -EINVAL if @required has unknown bits or none; -ENODEV if @dev has no
 * group; -ENOMEM, or the error of the IOMMU driver that has no way to block
 * DMA.
 */
int iommu_owner_isolation_lease(struct device *dev, u32 required,
				const char *holder,
				struct iommu_owner_lease *lease)
{
	struct iommu_group *group = dev->iommu_group;
	int ret;

	memset(lease, 0, sizeof(*lease));
	if (!required || (required & ~IOMMU_OWNER_ISO_ALL))
		return -EINVAL;
	if (!group)
		return -ENODEV;

	guard(mutex)(&group->mutex);
	ret = lease_acquire(group, required, holder, lease);
	if (!ret)
		lease->group = iommu_group_ref_get(group);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_isolation_lease);

/* Leases end with the last device of @group. */
static void lease_left(struct iommu_group *group, struct device *dev)
{
	struct iommu_owner_lease *lease;
	struct hlist_node *next;

	lockdep_assert_held(&group->mutex);

	if (!list_empty(&group->devices))
		return;
	hlist_for_each_entry_safe(lease, next, &group->ownership.leases, node) {
		lease_del(group, lease);
		store_release_wake_up(&lease->lost, true);
	}
}

/*
 * Under lockdown, user space that drives the DMA of a device needs all but the
 * snoop control: without that the IOMMU driver and KVM keep the caches coherent.
 */
#define LEASE_LOCKDOWN		(IOMMU_OWNER_ISO_ALL & ~IOMMU_OWNER_ISO_SNOOP)
/* Of these, what is missing does not depend on the owner */
#define LEASE_LOCKDOWN_FIRST	(IOMMU_OWNER_ISO_NO_DIRECT | \
			 IOMMU_OWNER_ISO_ISOLATED_MSI | IOMMU_OWNER_ISO_ACS)

/* Once the ownership has a lease nobody asks again. */
static bool lease_is_required(struct iommu_group *group)
{
	return !group->ownership.lease.required &&
	       iommu_owner_locked_down(LOCKDOWN_USER_DMA_QUERY);
}

/* Lockdown logs who was refused, and we what and why. */
static int lease_refuse(struct iommu_group *group, struct iommu_owner *owner,
			u32 missing)
{
	iommu_owner_locked_down(LOCKDOWN_USER_DMA);
	iommu_owner_report_not_isolated(group, owner, missing);
	return -EPERM;
}

/* What is missing with every owner is no reason to stop DMA. */
static int lease_may_acquire(struct iommu_group *group,
			     struct iommu_owner *owner)
{
	u32 missing;

	group->ownership.lease.holder = NULL;
	if (!lease_is_required(group))
		return 0;
	missing = LEASE_LOCKDOWN_FIRST & ~iommu_owner_group_bits(group);
	if (missing)
		return lease_refuse(group, owner, missing);
	/* For lease_acquired(), which need not ask again */
	group->ownership.lease.holder = owner->name;
	return 0;
}

static int lease_of_owner(struct iommu_group *group, struct iommu_owner *owner)
{
	struct iommu_owner_lease *lease = &group->ownership.lease;
	int ret;

	ret = lease_acquire(group, LEASE_LOCKDOWN, owner->name, lease);
	return ret == -EPERM ? lease_refuse(group, owner, lease->missing) : ret;
}

/* ATS is off now, and the lease keeps it so when the owner attaches. */
static int lease_acquired(struct iommu_group *group, struct iommu_owner *owner)
{
	return group->ownership.lease.holder ? lease_of_owner(group, owner) : 0;
}

static int lease_use(struct iommu_group *group, struct iommu_owner *owner)
{
	return lease_is_required(group) ? lease_of_owner(group, owner) : 0;
}

static void lease_ended(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	group->ownership.lease.holder = NULL;
	if (!group->ownership.lease.required)
		return;
	lease_del(group, &group->ownership.lease);
	lease_changed(group);
}

/* The mutex of @group need not be held. */
static void lease_report_refusal(struct iommu_group *group, u32 bits,
				 const char *what)
{
	struct iommu_owner_lease *lease;
	char names[IOMMU_OWNER_ISO_NAMES];

	guard(spinlock)(&lease_lock);
	hlist_for_each_entry(lease, &group->ownership.leases, node) {
		if (!(lease->required & bits))
			continue;
		iommu_owner_isolation_names(lease->required & bits, names,
					    sizeof(names));
		pr_warn_ratelimited("group %d: %s refused: a lease of %s requires %s\n",
				    group->id, what, lease->holder, names);
		return;
	}
}

/* As iommu_owner_lease_refuses(), but a lease may come or go meanwhile. */
bool iommu_owner_lease_refuses_unlocked(struct iommu_group *group, u32 bits,
					const char *what)
{
	bits &= READ_ONCE(group->ownership.required);
	if (likely(!bits))
		return false;
	lease_report_refusal(group, bits, what);
	return true;
}

/*
 * Does a lease of @group prevent @what, which loses @bits? A yes is
 * logged.
 */
bool iommu_owner_lease_refuses(struct iommu_group *group, u32 bits,
			       const char *what)
{
	lockdep_assert_held(&group->mutex);

	return iommu_owner_lease_refuses_unlocked(group, bits, what);
}

static const char *lease_domain_name(unsigned int type)
{
	switch (type) {
	case IOMMU_DOMAIN_IDENTITY:
		return "an identity domain";
	case IOMMU_DOMAIN_DMA_FQ:
		return "a domain with lazy invalidation";
	default:
		return "a domain of unknown type";
	}
}

/* Does @domain lead to memory of the kernel, which is locked down? */
static bool lease_is_unsafe(const struct iommu_domain *domain,
			    enum lockdown_reason what)
{
	return (~iommu_owner_domain_bits(domain) & IOMMU_OWNER_ISO_DOMAIN) &&
	       iommu_owner_locked_down(what);
}

/*
 * Has user space had a device of @group that has not been reset since? It may have DMA
 * armed, which a driver would let go. @blocked: one that is blocked on its own counts.
 */
static bool lease_has_armed(struct iommu_group *group, bool blocked)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if ((gdev->armed || gdev->used) && (blocked || !gdev->blocked))
			return true;
	return false;
}

/* Would @domain lose what a lease of @group requires? A yes is logged. */
bool iommu_owner_lease_refuses_domain(struct iommu_group *group,
				      const struct iommu_domain *domain)
{
	u32 lost = IOMMU_OWNER_ISO_DOMAIN & ~iommu_owner_domain_bits(domain);

	if (likely(!lost))
		return false;
	return iommu_owner_lease_refuses(group, lost,
					 lease_domain_name(domain->type)) ||
	       (lease_has_armed(group, false) &&
		lease_is_unsafe(domain, LOCKDOWN_USER_DMA));
}

/* The same for a default domain of this type; 0 if that is not known yet */
bool iommu_owner_lease_refuses_type(struct iommu_group *group,
				    unsigned int type)
{
	const struct iommu_domain domain = { .type = type };

	return type && iommu_owner_lease_refuses_domain(group, &domain);
}

/*
 * Must @gdev stay blocked on its own while @group has @domain? It has joined, and is
 * missing what a lease requires, or user space may have armed its DMA, or it could not
 * even be quiesced.
 */
bool iommu_owner_lease_blocks(struct iommu_group *group,
			      struct group_device *gdev,
			      const struct iommu_domain *domain)
{
	lockdep_assert_held(&group->mutex);

	return gdev->missing ||
	       (gdev->armed &&
		lease_is_unsafe(domain, LOCKDOWN_USER_DMA_QUERY));
}

/* The domains of an owner do for a device that the default domain does not do for. */
static void lease_state(struct iommu_group *group, enum iommu_owner_state old)
{
	struct group_device *gdev;

	if (old != IOMMU_OWNER_STATE_KERNEL && old != IOMMU_OWNER_STATE_BLOCKED)
		return;
	for_each_group_device(group, gdev)
		if (gdev->armed && !gdev->missing &&
		    !gdev->dev->iommu->require_direct)
			gdev->blocked = false;
}

/*
 * Would @group lose what a lease requires if it were the kernel's again? A yes
 * is logged.
 */
static bool lease_refuses_default(struct iommu_group *group)
{
	struct group_device *gdev;
	u32 lost;

	lockdep_assert_held(&group->mutex);

	if (likely(!group->ownership.required))
		return false;
	lost = IOMMU_OWNER_ISO_DOMAIN &
	       ~iommu_owner_domain_bits(group->default_domain);
	/* A driver that has handed its use over would have it back */
	for_each_group_device(group, gdev)
		if (gdev->driver)
			lost |= IOMMU_OWNER_ISO_NO_SIBLING;
	return iommu_owner_lease_refuses(group, lost, "the default domain");
}

/* The default domain that a lease did not allow in a group without owner */
static void lease_restore_default(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices) || iommu_owner_dma_blocked(group) ||
	    group->domain != group->blocking_domain ||
	    lease_refuses_default(group))
		return;
	if (__iommu_group_set_domain_internal(group, group->default_domain, 0))
		pr_err("group %d: the default domain cannot be attached\n",
		       group->id);
}

/**
 * iommu_owner_isolation_put() - The group need not stay isolated any more
 * @lease: The lease; nothing happens if it has not been taken.
 *
 * What the lease has kept waiting goes on, unless another lease is in its way.
 *
 * Context: May sleep. Takes the mutex of the group.
 */
void iommu_owner_isolation_put(struct iommu_owner_lease *lease)
{
	struct iommu_group *group = lease->group;

	if (!group)
		return;

	iommu_owner_lock(group);
	lease_del(group, lease);
	lease_changed(group);
	iommu_owner_retry(group, NULL);
	lease_restore_default(group);
	if (!iommu_owner_excludes_drivers(group))
		iommu_owner_returned(group);
	iommu_owner_unlock(group);
	lease->group = NULL;
	iommu_group_put(group);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_isolation_put);

/**
 * iommu_owner_isolation_lost() - Has a lease ended by itself?
 * @lease: A lease that was taken.
 *
 * It has when the last device of its group has left. To wait for that, use
 * wait_var_event() with &iommu_owner_lease.lost. The lease still has to be put.
 *
 * Context: Any.
 * Return: true if nothing is kept isolated any more.
 */
bool iommu_owner_isolation_lost(const struct iommu_owner_lease *lease)
{
	/* Paired with store_release_wake_up() in lease_left() */
	return smp_load_acquire(&lease->lost);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_isolation_lost);

static enum iommu_owner_quarantine lease_may_return(struct iommu_group *group)
{
	if (lease_refuses_default(group))
		return IOMMU_OWNER_QUARANTINE_LEASE;
	if (lease_has_armed(group, true) &&
	    lease_is_unsafe(group->default_domain, LOCKDOWN_USER_DMA_QUERY))
		return IOMMU_OWNER_QUARANTINE_LOCKDOWN;
	return IOMMU_OWNER_QUARANTINE_NONE;
}

/* Would a driver of @gdev start what user space has programmed? A yes is logged. */
static bool lease_is_armed(struct iommu_group *group, struct group_device *gdev)
{
	if (likely(!gdev->armed) ||
	    !lease_is_unsafe(group->default_domain, LOCKDOWN_USER_DMA))
		return false;
	dev_err(gdev->dev,
		"iommu-owner: probe refused: not reset after its use by user space, set the type of group %d to DMA\n",
		group->id);
	return true;
}

/* May a driver that uses the DMA API be probed on @gdev? A refusal is logged. */
static int lease_may_probe(struct iommu_group *group,
			   struct group_device *gdev)
{
	if (lease_is_armed(group, gdev))
		return -EBUSY;
	if (likely(!group->ownership.required && !gdev->missing))
		return 0;
	if (iommu_owner_lease_refuses(group, gdev->missing |
				      IOMMU_OWNER_ISO_NO_SIBLING,
				      "the probe of a driver"))
		return -EBUSY;
	/* What a lease has kept waiting would not come back for this driver */
	if (group->domain != group->default_domain &&
	    lease_refuses_default(group))
		return -EBUSY;
	return 0;
}

/*
 * A device that is missing what a lease requires is blocked, and gets no driver and no
 * user. It cannot be left without a group: then a driver would be probed on it.
 */
static void lease_joining(struct iommu_group *group, struct group_device *gdev)
{
	lockdep_assert_held(&group->mutex);

	gdev->missing = lease_missing(group, gdev->dev);
	iommu_owner_lease_refuses(group, gdev->missing, dev_name(gdev->dev));
}

/*
 * Translated requests pass the IOMMU, whatever domain is attached: user space may
 * have armed them. Without a lock, as the address of @dev does not change.
 */
static bool lease_refuses_armed_ats(struct device *dev)
{
	if (likely(!iommu_owner_is_remembered(dev)) ||
	    !iommu_owner_locked_down(LOCKDOWN_USER_DMA_QUERY))
		return false;
	dev_warn_ratelimited(dev,
			     "iommu-owner: ATS refused: not reset after its use by user space\n");
	return true;
}

/**
 * iommu_owner_refuses_ats() - Must ATS stay off?
 * @dev: The device, of the PCI bus. The caller is its IOMMU driver.
 *
 * A refusal is logged.
 *
 * Context: Any. The caller has the mutex of the group or, as long as @dev has
 * none, is probing it.
 * Return: true if a lease of its group requires that ATS is off, and the device
 * is not trusted with it; also if it has not been reset since user space had it, and
 * the kernel is locked down.
 */
bool iommu_owner_refuses_ats(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;

	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_refuses_ats, dev);
	/*
	 * An attach has the mutex, and so has the caller that gets a lease: it sees what
	 * the attach has done. But for the attach that a crash kernel defers,
	 * which no lease knows of as long as the old translation goes on.
	 * A device without a group is looked at when it joins one.
	 */
	if (!group ||
	    !(READ_ONCE(group->ownership.required) & IOMMU_OWNER_ISO_ATS) ||
	    iommu_owner_ats_trusted(dev))
		return lease_refuses_armed_ats(dev);

	lease_report_refusal(group, IOMMU_OWNER_ISO_ATS, "ATS");
	return true;
}
EXPORT_SYMBOL_GPL(iommu_owner_refuses_ats);

/**
 * iommu_owner_set_unsafe_interrupts() - Allow interrupts without isolation
 * @allow: Where the parameter is stored. Read it with READ_ONCE().
 * @value: What it shall be.
 * @who: Name of the module, for reports.
 *
 * For the parameters that let user space drive devices whose interrupts are not
 * isolated. Such a device can raise the interrupts of every other one, so this
 * is refused for as long as there is a lease, of any group, that requires
 * isolated interrupts.
 *
 * Context: Any but interrupts.
 * Return: 0, and @allow is set; -EBUSY if a lease prevents it.
 */
int iommu_owner_set_unsafe_interrupts(bool *allow, bool value, const char *who)
{
	struct iommu_owner_lease *lease;

	guard(spinlock)(&lease_lock);
	if (value && !*allow && !hlist_empty(&msi_leases)) {
		lease = hlist_entry(msi_leases.first, struct iommu_owner_lease,
				    msi_node);
		pr_warn_ratelimited("%s: unsafe interrupts refused: a lease of %s requires isolated-msi\n",
				    who, lease->holder);
		return -EBUSY;
	}
	WRITE_ONCE(*allow, value);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_set_unsafe_interrupts);

static const struct iommu_owner_concept lease_concept = {
	.may_acquire = lease_may_acquire,
	.acquired = lease_acquired,
	.use = lease_use,
	.ended = lease_ended,
	.may_return = lease_may_return,
	.may_probe = lease_may_probe,
	.joining = lease_joining,
	.left = lease_left,
	.state = lease_state,
};

static int __init lease_init(void)
{
	iommu_owner_add_concept(&lease_concept);
	return 0;
}
core_initcall(lease_init);
