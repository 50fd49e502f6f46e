// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an owner attaches to its groups: domains, for a group or shared by its
 * devices
 */
#include <linux/export.h>
#include <linux/iommu.h>

#include "owner.h"

/**
 * iommu_owner_attach_group() - Attach a domain to a group as its owner
 * @owner: The owner of @group.
 * @domain: The domain to attach.
 * @group: The group; the caller has a reference.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -ESTALE or -EACCES if @owner has no claim on @group; -EBUSY if it
 * has attached another domain; -EINVAL if the domain does not fit; or the
 * error of the IOMMU driver.
 */
int iommu_owner_attach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group)
{
	int ret;

	mutex_lock(&group->mutex);
	ret = iommu_owner_check(group, owner);
	if (!ret)
		ret = __iommu_attach_group(domain, group);
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_attach_group);

/**
 * iommu_owner_detach_group() - Detach the domain of a group as its owner
 * @owner: The owner of @group.
 * @domain: The domain that is attached.
 * @group: The group; the caller has a reference.
 *
 * DMA is blocked afterwards.
 *
 * Context: May sleep. Takes the mutex of @group.
 * Return: 0; -ESTALE or -EACCES if @owner has no claim on @group; -EINVAL if
 * another domain is attached, or this one by iommu_owner_attach_device().
 */
int iommu_owner_detach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group)
{
	int ret;

	mutex_lock(&group->mutex);
	ret = iommu_owner_check(group, owner);
	if (!ret && (group->domain != domain || group->ownership.attaches))
		ret = -EINVAL;
	if (!ret)
		__iommu_group_set_core_domain(group);
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_detach_group);

/**
 * iommu_owner_attach_device() - Attach a domain for one of several devices
 * @owner: The owner of the group of @dev.
 * @domain: The domain to attach.
 * @dev: The device.
 *
 * Several devices of a group may attach the same domain on behalf of the same
 * owner; the attaches are counted and the domain stays until the last one is
 * detached.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: As iommu_owner_attach_group(); -ENODEV if @dev has no group.
 */
int iommu_owner_attach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	int ret;

	if (!group)
		return -ENODEV;

	mutex_lock(&group->mutex);
	ret = iommu_owner_check(group, owner);
	if (!ret && !(group->ownership.attaches && group->domain == domain))
		ret = __iommu_attach_group(domain, group);
	if (!ret)
		group->ownership.attaches++;
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_attach_device);

/**
 * iommu_owner_detach_device() - Undo iommu_owner_attach_device()
 * @owner: The owner of the group of @dev.
 * @domain: The domain that was attached.
 * @dev: The device.
 *
 * Context: May sleep. Takes the mutex of the group.
 * Return: 0; -ESTALE or -EACCES if @owner has no claim on the group; -EINVAL
 * if @domain is not attached; -ENODEV if @dev has no group.
 */
int iommu_owner_detach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev)
{
	struct iommu_group *group = dev->iommu_group;
	int ret;

	if (!group)
		return -ENODEV;

	mutex_lock(&group->mutex);
	ret = iommu_owner_check(group, owner);
	if (!ret && (group->domain != domain || !group->ownership.attaches))
		ret = -EINVAL;
	if (!ret && !--group->ownership.attaches)
		__iommu_group_set_core_domain(group);
	mutex_unlock(&group->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_owner_detach_device);
