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
#include <linux/security.h>
#include <linux/spinlock.h>

#include "owner.h"

/*
 * With the mutex of the group, protects its leases and what they require: each
 * of the two is enough to look. Innermost.
 */
static DEFINE_SPINLOCK(lease_lock);
/* Those, of all groups, that require isolated interrupts */
static HLIST_HEAD(msi_leases);

static void require(struct iommu_ownership *own)
{
	struct iommu_owner_lease *lease;
	u32 required = 0;

	lockdep_assert_held(&lease_lock);

	hlist_for_each_entry(lease, &own->leases, node)
		required |= lease->required;
	WRITE_ONCE(own->required, required);
}

static void add_lease(struct iommu_group *group,
		      struct iommu_owner_lease *lease)
{
	lockdep_assert_held(&group->mutex);

	guard(spinlock)(&lease_lock);
	hlist_add_head(&lease->node, &group->ownership.leases);
	if (lease->required & IOMMU_OWNER_ISO_ISOLATED_MSI)
		hlist_add_head(&lease->msi_node, &msi_leases);
	require(&group->ownership);
}

static void del_lease(struct iommu_group *group,
		      struct iommu_owner_lease *lease)
{
	lockdep_assert_held(&group->mutex);

	guard(spinlock)(&lease_lock);
	if (hlist_unhashed(&lease->node))
		return;
	hlist_del_init(&lease->node);
	hlist_del_init(&lease->msi_node);
	lease->required = 0;
	require(&group->ownership);
}

/* Take @lease, but no reference to @group. */
static int take_lease(struct iommu_group *group, u32 required,
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
	add_lease(group, lease);
	return 0;
}

/* What @dev lacks and a lease of @group requires of every device */
static u32 lacks(struct iommu_group *group, struct device *dev)
{
	u32 required = group->ownership.required & IOMMU_OWNER_ISO_DEVICE;

	return required ? required & ~iommu_owner_device_bits(dev) : 0;
}

/* Let a device of @group in that no lease holds out any more. */
static void let_in(struct iommu_group *group, struct group_device *gdev)
{
	int ret;

	gdev->held_out = lacks(group, gdev->dev);
	if (gdev->held_out)
		return;
	ret = __iommu_group_attach_device(group, gdev->dev);
	if (ret)
		dev_err(gdev->dev, "iommu-owner: cannot be attached: %d\n",
			ret);
}

/* What a lease has kept away may come now. */
static void leases_changed(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	iommu_owner_changed(group);
	for_each_group_device(group, gdev)
		if (gdev->held_out)
			let_in(group, gdev);
}

/* The default domain that a lease has kept away from a group without owner */
static void restore_default(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	if (list_empty(&group->devices) || iommu_owner_dma_blocked(group) ||
	    group->domain != group->blocking_domain ||
	    iommu_owner_lease_refuses_default(group))
		return;
	if (__iommu_group_set_domain_internal(group, group->default_domain, 0))
		pr_err("group %d: the default domain cannot be attached\n",
		       group->id);
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
 * the default domain of the group lacks one, the group goes into quarantine at
 * the end of an ownership until the lease is put. A lease of a group whose last
 * device leaves has nothing to keep any more.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -EPERM if bits are not held, which &iommu_owner_lease.missing then
 * names; -EINVAL if @required has unknown bits or none; -ENODEV if @dev has no
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
	ret = take_lease(group, required, holder, lease);
	if (!ret)
		lease->group = iommu_group_ref_get(group);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_isolation_lease);

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
	struct iommu_owner_section section;

	if (!group)
		return;

	iommu_owner_begin(&section, group);
	del_lease(group, lease);
	leases_changed(group);
	iommu_owner_retry_quiesce(group, NULL);
	restore_default(group);
	if (!iommu_owner_dma_blocked(group))
		iommu_owner_reprobe(group);
	iommu_owner_end(&section);
	lease->group = NULL;
	iommu_group_put(group);
}
EXPORT_SYMBOL_GPL(iommu_owner_isolation_put);

/* The last device has left @group. */
void iommu_owner_forget_leases(struct iommu_group *group)
{
	struct iommu_owner_lease *lease;
	struct hlist_node *next;

	lockdep_assert_held(&group->mutex);

	hlist_for_each_entry_safe(lease, next, &group->ownership.leases, node)
		del_lease(group, lease);
}

/*
 * Under lockdown, user space that drives the DMA of a device needs all but the
 * snoop control: without that the IOMMU driver and KVM keep the caches coherent.
 */
#define DEMANDED	(IOMMU_OWNER_ISO_ALL & ~IOMMU_OWNER_ISO_SNOOP)
/* Of these what is missing is so whoever has the group */
#define DEMANDED_FIRST	(IOMMU_OWNER_ISO_NO_DIRECT | \
			 IOMMU_OWNER_ISO_ISOLATED_MSI | IOMMU_OWNER_ISO_ACS)

VISIBLE_IF_KUNIT bool iommu_owner_locked_down(void)
{
	KUNIT_STATIC_STUB_REDIRECT(iommu_owner_locked_down);
	return security_locked_down(LOCKDOWN_USER_DMA);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_locked_down);

/*
 * Is @group to stay isolated while @owner has it? Nobody asks again once it
 * does: lockdown logs the question.
 */
bool iommu_owner_must_isolate(struct iommu_group *group,
			      struct iommu_owner *owner)
{
	lockdep_assert_held(&group->mutex);

	return !group->ownership.lease.required && iommu_owner_locked_down();
}

/* Before @group is taken for @owner: is it worth to stop its DMA? */
int iommu_owner_check_isolation(struct iommu_group *group,
				struct iommu_owner *owner)
{
	u32 missing = DEMANDED_FIRST & ~iommu_owner_group_bits(group);

	if (!missing)
		return 0;
	iommu_owner_report_not_isolated(group, owner, missing);
	return -EPERM;
}

/* The lease that goes with the ownership of @group */
int iommu_owner_isolate(struct iommu_group *group, struct iommu_owner *owner)
{
	struct iommu_owner_lease *lease = &group->ownership.lease;
	int ret;

	ret = take_lease(group, DEMANDED, owner->name, lease);
	if (ret == -EPERM)
		iommu_owner_report_not_isolated(group, owner, lease->missing);
	return ret;
}

/* The ownership of @group ends. */
void iommu_owner_end_isolation(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	if (!group->ownership.lease.required)
		return;
	del_lease(group, &group->ownership.lease);
	leases_changed(group);
}

/* The mutex of @group need not be held. */
void iommu_owner_report_lease(struct iommu_group *group, u32 bits,
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

/*
 * Is there a lease of @group in the way of @what, which loses @bits? A yes is
 * logged.
 */
bool iommu_owner_lease_refuses(struct iommu_group *group, u32 bits,
			       const char *what)
{
	lockdep_assert_held(&group->mutex);

	bits &= group->ownership.required;
	if (likely(!bits))
		return false;
	iommu_owner_report_lease(group, bits, what);
	return true;
}

static const char *domain_name(unsigned int type)
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

/* Would @domain lose what a lease of @group requires? A yes is logged. */
bool iommu_owner_lease_refuses_domain(struct iommu_group *group,
				      const struct iommu_domain *domain)
{
	if (likely(!group->ownership.required))
		return false;
	return iommu_owner_lease_refuses(group,
					 IOMMU_OWNER_ISO_DOMAIN &
					 ~iommu_owner_domain_bits(domain),
					 domain_name(domain->type));
}

/* The same for a default domain of this type; 0 if that is not known yet */
bool iommu_owner_lease_refuses_type(struct iommu_group *group,
				    unsigned int type)
{
	const struct iommu_domain domain = { .type = type };

	return type && iommu_owner_lease_refuses_domain(group, &domain);
}

/*
 * Would @group lose what a lease requires if it were the kernel's again? A yes
 * is logged.
 */
bool iommu_owner_lease_refuses_default(struct iommu_group *group)
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

/* May a driver that uses the DMA API be probed on @gdev? A no is logged. */
bool iommu_owner_lease_refuses_probe(struct iommu_group *group,
				     struct group_device *gdev)
{
	if (likely(!group->ownership.required && !gdev->held_out))
		return false;
	if (iommu_owner_lease_refuses(group, gdev->held_out |
				      IOMMU_OWNER_ISO_NO_SIBLING,
				      "the probe of a driver"))
		return true;
	/* What a lease has kept away would not come back for this driver */
	return group->domain != group->default_domain &&
	       iommu_owner_lease_refuses_default(group);
}

/*
 * @gdev joins @group. If it lacks what a lease requires, it stays without a
 * domain, which is no way to memory, and gets no driver and no user. It
 * cannot be left without a group: then a driver would be probed on it.
 */
void iommu_owner_hold_out(struct iommu_group *group, struct group_device *gdev)
{
	lockdep_assert_held(&group->mutex);

	gdev->held_out = lacks(group, gdev->dev);
	iommu_owner_lease_refuses(group, gdev->held_out, dev_name(gdev->dev));
}

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
 * Return: 0, and @allow is set; -EBUSY if a lease is in the way.
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
EXPORT_SYMBOL_GPL(iommu_owner_set_unsafe_interrupts);
