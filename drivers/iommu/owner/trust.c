// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trust: what a device may do with DMA, from the moment it is found
 *
 * It changes only while nothing is bound to a device of the group and nobody owns it, so
 * what a driver has found out about its DMA stays true. A group is trusted as the least
 * trusted of its devices. A device that joins while others are in use does not change
 * what these have: it is blocked on its own until they are not.
 *
 * A device whose view is neither shared nor private, or is not that of the other devices
 * of its group, counts as blocked, whatever it is trusted as.
 */
#define pr_fmt(fmt) "iommu-owner: " fmt

#include <kunit/visibility.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/sysfs.h>

#include "../dma-iommu.h"
#include "report.h"
#include "trust.h"

/* What somebody has said */
static enum iommu_owner_trust trust_given(struct device *dev)
{
	return dev->iommu ? dev->iommu->trust : IOMMU_OWNER_TRUST_FULL;
}

static enum iommu_owner_trust trust_of(struct device *dev)
{
	return iommu_view_blocks(dev) ? IOMMU_OWNER_TRUST_BLOCKED :
					trust_given(dev);
}

/* It passes on what others do, whatever driver it has. */
static bool trust_is_bridge(struct device *dev)
{
	return dev_is_pci(dev) && pci_is_bridge(to_pci_dev(dev));
}

/* As the least trusted device that is no bridge is, by what somebody has said */
static enum iommu_owner_trust trust_group_given(struct iommu_group *group)
{
	enum iommu_owner_trust trust = IOMMU_OWNER_TRUST_FULL;
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (!trust_is_bridge(gdev->dev))
			trust = max(trust, trust_given(gdev->dev));
	return trust;
}

static bool trust_has_view(struct iommu_group *group,
			   enum iommu_view_state state)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (!trust_is_bridge(gdev->dev) &&
		    iommu_view_of(gdev->dev) == state)
			return true;
	return false;
}

/* Is a TSM at a device of @group? */
static bool trust_is_changing(struct iommu_group *group)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (iommu_view_is_changing(gdev->dev))
			return true;
	return false;
}

/*
 * Is there a view that keeps everybody from using @group? No IOMMU of today gives one
 * group two views.
 */
static bool trust_view_blocks(struct iommu_group *group)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (iommu_view_blocks(gdev->dev))
			return true;
	return trust_has_view(group, IOMMU_VIEW_PRIVATE) &&
	       trust_has_view(group, IOMMU_VIEW_SHARED);
}

/* How far @group is trusted */
enum iommu_owner_trust iommu_owner_group_trust(struct iommu_group *group)
{
	return trust_view_blocks(group) ? IOMMU_OWNER_TRUST_BLOCKED :
					  trust_group_given(group);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_group_trust);

/* What is for an owner only may do what that allows. */
static bool trust_is_untrusted(enum iommu_owner_trust trust)
{
	return trust == IOMMU_OWNER_TRUST_RESTRICTED ||
	       trust == IOMMU_OWNER_TRUST_BLOCKED;
}

/* Has @group a device that must not use ATS and PASIDs? Then none of it does. */
static bool trust_has_untrusted(struct iommu_group *group)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (!trust_is_bridge(gdev->dev) &&
		    trust_is_untrusted(trust_of(gdev->dev)))
			return true;
	return false;
}

/**
 * iommu_owner_init_trust() - Find out how far a new device is trusted
 * @dev: The device. It has no group yet.
 *
 * Context: Any. The caller is probing the IOMMU of @dev.
 */
void iommu_owner_init_trust(struct device *dev)
{
	dev->iommu->trust = iommu_owner_trust_found(dev);
	dev->iommu->untrusted = trust_is_untrusted(trust_of(dev));
}

/**
 * iommu_device_is_trusted() - May a device use ATS, and are its buffers not bounced?
 * @dev: The device.
 *
 * The answer changes only while no driver is bound to a device of the group.
 *
 * Context: Any.
 * Return: false if a device of the group is trusted as restricted or blocked.
 */
bool iommu_device_is_trusted(struct device *dev)
{
	return !dev->iommu || !dev->iommu->untrusted;
}

/* Does @dev need a default domain that translates? */
bool iommu_owner_needs_translation(struct device *dev)
{
	return trust_of(dev) != IOMMU_OWNER_TRUST_FULL ||
	       iommu_view_of(dev) != IOMMU_VIEW_SHARED;
}

/* Are buffers of the devices bounced, and may their view not be private therefore? */
bool iommu_owner_trust_bounces(struct iommu_group *group)
{
	return trust_group_given(group) == IOMMU_OWNER_TRUST_RESTRICTED;
}

static bool trust_is_strict(const struct iommu_domain *domain)
{
	return domain->type == IOMMU_DOMAIN_DMA;
}

/* A device that needs a 1:1 mapping cannot be blocked. */
static bool trust_has_direct(struct iommu_group *group)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (gdev->dev->iommu && gdev->dev->iommu->require_direct)
			return true;
	return false;
}

/*
 * The bus mastering of a private device stays on when its driver goes, since to clear it
 * is an error for the device. So its DMA is blocked.
 */
static bool trust_is_blocked_when_idle(struct iommu_group *group)
{
	return iommu_owner_group_trust(group) != IOMMU_OWNER_TRUST_FULL ||
	       trust_has_view(group, IOMMU_VIEW_PRIVATE);
}

static bool trust_blocks(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	return trust_is_blocked_when_idle(group) &&
	       !iommu_owner_kernel_user(group, NULL) &&
	       !trust_has_direct(group) &&
	       /* Before the first attach it is not there yet */
	       (group->blocking_domain || !group->domain);
}

/*
 * Must @gdev be blocked on its own while @group has @domain? The others may be used by
 * a driver, or belong to an owner, that does not know of it; or they cannot be blocked.
 */
bool iommu_owner_trust_blocks(struct iommu_group *group,
			      struct group_device *gdev,
			      const struct iommu_domain *domain)
{
	enum iommu_owner_trust trust = trust_of(gdev->dev);

	lockdep_assert_held(&group->mutex);

	if (likely(trust == IOMMU_OWNER_TRUST_FULL) ||
	    domain == group->blocking_domain ||
	    gdev->dev->iommu->require_direct || trust_is_bridge(gdev->dev))
		return false;
	switch (trust) {
	case IOMMU_OWNER_TRUST_RESTRICTED:
		return domain == group->default_domain && !trust_is_strict(domain);
	case IOMMU_OWNER_TRUST_RESERVED:
		return !group->ownership.owner;
	default:
		return true;
	}
}

/* Why a group is not trusted fully, and what an administrator can do about it */
#define TRUST_REASON	"%s is %s, see %s"

static const char *trust_what(struct iommu_group *group)
{
	return trust_view_blocks(group) ? "view" : "trust";
}

static const char *trust_value(struct iommu_group *group)
{
	if (!trust_view_blocks(group))
		return iommu_owner_trust_name(trust_group_given(group));
	if (trust_has_view(group, IOMMU_VIEW_ERROR))
		return "lost";
	if (trust_has_view(group, IOMMU_VIEW_LOCKED))
		return "locked";
	if (trust_is_changing(group))
		return "changing";
	return "not the same for all devices";
}

static const char *trust_file(struct iommu_group *group)
{
	return trust_view_blocks(group) ? "tsm/state of its devices" :
					  "owner/trust";
}

/* May not @what be done to @group, as a device is not trusted? It is logged. */
static bool trust_refuses(struct iommu_group *group, const char *what)
{
	pr_warn_ratelimited("group %d: %s refused: " TRUST_REASON "\n",
			    group->id, what, trust_what(group),
			    trust_value(group), trust_file(group));
	return true;
}

/* 0 is the type that is usual for the devices, which is one that translates. */
bool iommu_owner_trust_refuses_type(struct iommu_group *group, unsigned int type)
{
	if (!type || type == IOMMU_DOMAIN_DMA)
		return false;
	if (likely(iommu_owner_group_trust(group) == IOMMU_OWNER_TRUST_FULL) &&
	    !trust_has_view(group, IOMMU_VIEW_PRIVATE))
		return false;
	return trust_refuses(group, "a default domain of this type");
}

/* The view is one of the device, and not of its PASIDs. */
bool iommu_owner_trust_refuses_pasid(struct iommu_group *group)
{
	return (trust_has_untrusted(group) ||
		trust_has_view(group, IOMMU_VIEW_PRIVATE)) &&
	       trust_refuses(group, "a PASID");
}

/* The drivers of all devices rely on this. */
static void trust_latch(struct iommu_group *group)
{
	bool untrusted = trust_has_untrusted(group);
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (gdev->dev->iommu)
			gdev->dev->iommu->untrusted = untrusted ||
				trust_is_untrusted(trust_of(gdev->dev));
}

/*
 * What a group that is not trusted fully needs. Only a driver needs the default domain,
 * and is refused if it does not translate.
 */
static int trust_prepare(struct iommu_group *group, enum iommu_owner_trust trust)
{
	int ret;

	ret = __iommu_group_alloc_blocking_domain(group);
	if (ret || trust_is_strict(group->default_domain))
		return ret;
	ret = __iommu_group_set_default_type(group, IOMMU_DOMAIN_DMA);
	return trust == IOMMU_OWNER_TRUST_RESTRICTED ? ret : 0;
}

/*
 * A device that has a driver, or is being bound or unbound; without those whose driver
 * manages DMA itself if @dma_api. The mutex does not order this, but who binds looks at
 * the trust under it afterwards, and iommu_device_unbound() comes after all that a driver
 * leaves behind.
 */
static struct group_device *trust_bound_device(struct iommu_group *group,
					       bool dma_api)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (READ_ONCE(gdev->dev->driver) && !trust_is_bridge(gdev->dev) &&
		    !(dma_api && gdev->managed))
			return gdev;
	return NULL;
}

static bool trust_is_in_use(struct iommu_group *group)
{
	return !group->default_domain || list_empty(&group->devices) ||
	       iommu_owner_conflicts(group, NULL) ||
	       trust_bound_device(group, true);
}

/* Attach what was blocked on its own, and block what must be. */
static void trust_update_devices(struct iommu_group *group)
{
	struct group_device *gdev;
	int ret;

	for_each_group_device(group, gdev) {
		bool kept = iommu_owner_trust_blocks(group, gdev, group->domain);

		if (kept == gdev->blocked && !gdev->unblocked)
			continue;
		ret = kept ? __iommu_group_block_device(group, gdev) :
			     __iommu_group_attach_device(group, gdev);
		if (ret)
			dev_err(gdev->dev, "iommu-owner: %s: %d\n",
				kept ? "cannot be blocked" : "cannot be attached",
				ret);
	}
}

/* The group is what its devices make it, and what was refused may be tried again. */
static void trust_update_state(struct iommu_group *group,
			       enum iommu_owner_trust trust)
{
	bool blocked = group->ownership.state == IOMMU_OWNER_STATE_BLOCKED;

	if (trust >= IOMMU_OWNER_TRUST_RESERVED && !blocked) {
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_BLOCKED);
	} else if (trust < IOMMU_OWNER_TRUST_RESERVED && blocked) {
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_KERNEL);
		iommu_owner_reprobe(group);
	}
}

static bool trust_needs_update(struct iommu_group *group)
{
	if (likely(!trust_is_blocked_when_idle(group)) &&
	    group->ownership.state != IOMMU_OWNER_STATE_BLOCKED)
		return false;
	return !trust_is_in_use(group);
}

static void trust_update(struct iommu_group *group)
{
	trust_update_state(group, iommu_owner_group_trust(group));
	__iommu_group_set_core_domain(group);
	trust_update_devices(group);
}

/* Make the state and the domains of @group fit its devices, unless it is in use. */
void iommu_owner_update_trust(struct iommu_group *group)
{
	enum iommu_owner_trust trust = iommu_owner_group_trust(group);
	bool strict;
	int ret = 0;

	lockdep_assert_held(&group->mutex);

	if (!trust_needs_update(group))
		return;
	trust_latch(group);
	strict = trust_is_strict(group->default_domain);
	if (trust != IOMMU_OWNER_TRUST_FULL)
		ret = trust_prepare(group, trust);
	else if (group->ownership.state == IOMMU_OWNER_STATE_BLOCKED)
		ret = __iommu_group_set_default_type(group, 0);
	if (ret)
		pr_err_ratelimited("group %d: no domain that restricts DMA: %d\n",
				   group->id, ret);
	trust_update(group);
	/* A device that has joined beside another one may have its driver now */
	if (trust == IOMMU_OWNER_TRUST_RESTRICTED && !strict && !ret)
		iommu_owner_reprobe(group);
}

/* The first domain of a new group is what its state says. */
static void trust_joining(struct iommu_group *group, struct group_device *gdev)
{
	struct device *dev = gdev->dev;

	if (trust_of(dev) < IOMMU_OWNER_TRUST_RESERVED || trust_is_bridge(dev))
		return;
	dev_info(dev, "iommu-owner: DMA is blocked, trust is %s\n",
		 iommu_owner_trust_name(trust_of(dev)));
	if (!group->default_domain &&
	    group->ownership.state == IOMMU_OWNER_STATE_KERNEL)
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_BLOCKED);
}

static void trust_joined(struct iommu_group *group, struct device *dev)
{
	if (dev->iommu && dev->iommu->require_direct &&
	    trust_of(dev) != IOMMU_OWNER_TRUST_FULL)
		dev_warn(dev, "iommu-owner: needs a 1:1 mapping, its DMA is not blocked\n");
	iommu_owner_update_trust(group);
}

/* @dev is still attached: the default domain is not replaced, which would free it. */
static void trust_left(struct iommu_group *group, struct device *dev)
{
	/* With the last one, all that was not trusted has gone */
	if (list_empty(&group->devices) &&
	    group->ownership.state == IOMMU_OWNER_STATE_BLOCKED)
		iommu_owner_set_state(group, IOMMU_OWNER_STATE_KERNEL);
	if (!trust_needs_update(group))
		return;
	trust_latch(group);
	trust_update(group);
}

static int trust_may_own(struct iommu_group *group, const char *who)
{
	if (iommu_owner_group_trust(group) != IOMMU_OWNER_TRUST_BLOCKED)
		return 0;
	iommu_owner_report_refused_claim(group, who);
	return -EPERM;
}

static void trust_refuse_driver(struct group_device *gdev,
				struct iommu_group *group)
{
	struct device *dev = gdev->dev;

	gdev->refused = true;
	dev_warn_ratelimited(dev,
			     "iommu-owner: driver %s refused: group %d: " TRUST_REASON "\n",
			     dev->driver->name, group->id, trust_what(group),
			     trust_value(group), trust_file(group));
}

/*
 * A device that is not coherent bounces what shares a cache line. The kernel knows that
 * of it when a driver is probed only.
 */
static bool trust_view_allows(struct iommu_group *group, struct device *dev)
{
	return !trust_view_blocks(group) &&
	       (iommu_view_of(dev) != IOMMU_VIEW_PRIVATE ||
		dev_is_dma_coherent(dev));
}

/* The group is the kernel's: others of it may be in use. */
static int trust_may_probe(struct iommu_group *group, struct group_device *gdev)
{
	enum iommu_owner_trust trust = trust_of(gdev->dev);

	if (trust_view_allows(group, gdev->dev) &&
	    (likely(trust == IOMMU_OWNER_TRUST_FULL) ||
	     (trust == IOMMU_OWNER_TRUST_RESTRICTED &&
	      trust_is_strict(group->default_domain))))
		return 0;
	trust_refuse_driver(gdev, group);
	return -EPERM;
}

/**
 * iommu_device_use_own_domain() - A driver that manages DMA itself is probed
 * @dev: The device.
 *
 * The counterpart of iommu_device_use_default_domain() for drivers with
 * driver_managed_dma: they do not conflict with an owner, but with trust. A
 * refusal is logged.
 *
 * Context: May sleep. The lock of @dev is held. Takes the mutex of the group.
 * Return: 0; -EPERM if a device of the group is not trusted at all.
 */
int iommu_device_use_own_domain(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	struct group_device *gdev;
	int ret = 0;

	if (!group)
		return 0;
	iommu_owner_lock(group);
	gdev = iommu_owner_find_device(group, dev);
	if (gdev && !trust_is_bridge(dev) &&
	    iommu_owner_group_trust(group) == IOMMU_OWNER_TRUST_BLOCKED) {
		trust_refuse_driver(gdev, group);
		ret = -EPERM;
	} else if (gdev) {
		gdev->managed = dev->driver;
		/* Until now it looked as if it might use the DMA API */
		iommu_owner_update_trust(group);
	}
	iommu_owner_unlock(group);
	return ret;
}

/**
 * iommu_device_unbound() - A device has no driver any more
 * @dev: The device.
 *
 * Of the driver, nothing is left that uses DMA, also no mapping that its removal or
 * the failure of its probe has undone: so a group that is not trusted is blocked again.
 *
 * Context: May sleep. The lock of @dev is held. Takes the mutex of the group.
 */
void iommu_device_unbound(struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	struct group_device *gdev;

	if (!group)
		return;
	iommu_owner_lock(group);
	gdev = iommu_owner_find_device(group, dev);
	if (gdev)
		gdev->managed = NULL;
	iommu_owner_update_trust(group);
	iommu_owner_unlock(group);
}

/*
 * May the trust of @group, or the view of a device of it, change? -EBUSY: it is in use;
 * -EOPNOTSUPP: there is no IOMMU. It is logged what of.
 */
int iommu_owner_trust_may_change(struct iommu_group *group, const char *what)
{
	struct group_device *gdev = trust_bound_device(group, false);
	char why[IOMMU_OWNER_DESCRIPTION];
	dma_addr_t iova;

	lockdep_assert_held(&group->mutex);

	if (gdev) {
		/* The name of a driver that is not recorded could go away */
		const struct device_driver *driver =
			gdev->driver ?: gdev->managed;

		pr_warn_ratelimited("group %d: change of %s refused: %s is bound to %s\n",
				    group->id, what, dev_name(gdev->dev),
				    driver ? driver->name : "a driver");
		return -EBUSY;
	}
	if (!group->default_domain)
		return -EOPNOTSUPP;
	if (trust_is_in_use(group)) {
		iommu_owner_describe(group, why, sizeof(why));
		pr_warn_ratelimited("group %d: change of %s refused: the group %s\n",
				    group->id, what, why);
		return -EBUSY;
	}
	if (iommu_dma_find_mapping(group->default_domain, &iova)) {
		pr_warn_ratelimited("group %d: change of %s refused: a driver has left a mapping at %pad\n",
				    group->id, what, &iova);
		return -EBUSY;
	}
	return 0;
}

static void trust_assign(struct iommu_group *group, enum iommu_owner_trust trust)
{
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		if (gdev->dev->iommu && !trust_is_bridge(gdev->dev))
			gdev->dev->iommu->trust = trust;
	trust_latch(group);
}

/* A default domain as for a device that has just been found */
static int trust_restore_default(struct iommu_group *group)
{
	int ret;

	ret = __iommu_group_set_default_type(group, 0);
	if (ret)
		return ret;
	return __iommu_group_set_domain_internal(group,
						 iommu_owner_kernel_domain(group),
						 0);
}

static int trust_change(struct iommu_group *group, enum iommu_owner_trust trust)
{
	enum iommu_owner_trust old = trust_group_given(group);
	int ret;

	ret = iommu_owner_trust_may_change(group, "trust");
	if (ret)
		return ret;
	/* The TSM does not expect it */
	if (trust_is_changing(group))
		return -EBUSY;
	/* Private memory must not be bounced through memory that is shared */
	if (trust == IOMMU_OWNER_TRUST_RESTRICTED &&
	    trust_has_view(group, IOMMU_VIEW_PRIVATE))
		return -EPERM;
	/* First, as the IOMMU driver is asked for the type of domain that fits */
	trust_assign(group, trust);
	if (iommu_owner_group_trust(group) != IOMMU_OWNER_TRUST_FULL)
		ret = trust_prepare(group, iommu_owner_group_trust(group));
	else if (old != trust)
		ret = trust_restore_default(group);
	if (ret) {
		/* All devices as the least trusted one, as the group was */
		trust_assign(group, old);
		__iommu_group_set_core_domain(group);
		return ret;
	}
	trust_update(group);
	if (trust != old) {
		iommu_owner_reprobe(group);
		iommu_owner_report_change(group);
	}
	return 0;
}

/**
 * iommu_owner_set_trust() - Say how far the devices of a group are trusted
 * @group: The group; the caller has a reference.
 * @trust: How far.
 *
 * Drivers that were refused are probed once, later, if they may be now.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -EBUSY if a driver is bound to a device of @group, or it has an owner, or
 * is in quarantine, or a driver has left a mapping, which is logged, or if a TSM is at a
 * device; -EPERM for "restricted" if a device has the private view; -EOPNOTSUPP if there
 * is no IOMMU that could restrict it; -ENOMEM, or the error of the IOMMU driver that has
 * no domain for it: nothing has changed then.
 */
int iommu_owner_set_trust(struct iommu_group *group,
			  enum iommu_owner_trust trust)
{
	int ret;

	iommu_owner_lock(group);
	ret = trust_change(group, trust);
	iommu_owner_unlock(group);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_set_trust);

static ssize_t trust_show(struct iommu_group *group, char *buf)
{
	guard(mutex)(&group->mutex);
	return sysfs_emit(buf, "%s\n",
			  iommu_owner_trust_name(trust_group_given(group)));
}

static ssize_t trust_store(struct iommu_group *group, const char *buf,
			   size_t count)
{
	int trust = iommu_owner_trust_parse(buf);
	int ret;

	/* The default domain is replaced, as by a write to "type" */
	if (!capable(CAP_SYS_ADMIN) || !capable(CAP_SYS_RAWIO))
		return -EACCES;
	if (trust < 0)
		return trust;
	ret = iommu_owner_set_trust(group, trust);
	return ret ?: count;
}

static struct iommu_group_attribute trust_attr =
	__ATTR(trust, 0644, trust_show, trust_store);

static struct attribute *trust_attrs[] = {
	&trust_attr.attr,
	NULL
};

/* Joins the other files of the ownership */
const struct attribute_group iommu_owner_trust_attr_group = {
	.name = "owner",
	.attrs = trust_attrs,
};

static const struct iommu_owner_concept trust_concept = {
	.may_own = trust_may_own,
	.may_probe = trust_may_probe,
	.joining = trust_joining,
	.joined = trust_joined,
	.left = trust_left,
	.returned = iommu_owner_update_trust,
	.blocks = trust_blocks,
};

static int __init trust_init(void)
{
	iommu_owner_add_concept(&trust_concept);
	return 0;
}
core_initcall(trust_init);
