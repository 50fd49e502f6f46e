// SPDX-License-Identifier: GPL-2.0-only
/* Owners: their names, references and groups */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/slab.h>

#include "owner.h"

/**
 * iommu_owner_alloc() - Allocate an owner
 * @name: Name for reports, without white space; copied.
 *
 * Context: May sleep.
 * Return: The owner with one reference, or an ERR_PTR: -EINVAL for an empty
 * @name, -ENOMEM.
 */
struct iommu_owner *iommu_owner_alloc(const char *name)
{
	struct iommu_owner *owner;
	size_t len;

	if (!name || !*name)
		return ERR_PTR(-EINVAL);

	len = strlen(name) + 1;
	owner = kzalloc(struct_size(owner, name, len), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return ERR_PTR(-ENOMEM);

	memcpy(owner->name, name, len);
	refcount_set(&owner->ref, 1);
	mutex_init(&owner->reserve_lock);
	spin_lock_init(&owner->lock);
	INIT_LIST_HEAD(&owner->groups);
	INIT_LIST_HEAD(&owner->watches);
	init_waitqueue_head(&owner->wait);
	mutex_init(&owner->pasids.lock);
	INIT_LIST_HEAD(&owner->pasids.list);
	xa_init_flags(&owner->pasids.guests, XA_FLAGS_ACCOUNT);
	return owner;
}
EXPORT_SYMBOL_GPL(iommu_owner_alloc);

/**
 * iommu_owner_get() - Get a reference to an owner
 * @owner: The owner.
 *
 * Context: Any. The caller has a reference.
 * Return: @owner.
 */
struct iommu_owner *iommu_owner_get(struct iommu_owner *owner)
{
	refcount_inc(&owner->ref);
	return owner;
}
EXPORT_SYMBOL_GPL(iommu_owner_get);

/**
 * iommu_owner_put() - Put a reference to an owner
 * @owner: The owner; NULL and error pointers are ignored.
 *
 * A group that is claimed or reserved has a reference of its own: putting the
 * last one of the caller does not end an ownership.
 *
 * Context: May sleep. No mutex of a group is held.
 */
void iommu_owner_put(struct iommu_owner *owner)
{
	if (IS_ERR_OR_NULL(owner) || !refcount_dec_and_test(&owner->ref))
		return;
	might_sleep();
	iommu_owner_freed(owner);
	/* Nodes that an insertion without memory has left */
	xa_destroy(&owner->pasids.guests);
	kfree(owner);
}
EXPORT_SYMBOL_GPL(iommu_owner_put);

/**
 * iommu_owner_revoked() - Has an owner been revoked?
 * @owner: The owner; the caller has a reference.
 *
 * Context: Any.
 * Return: true once iommu_owner_revoke() has been called.
 */
bool iommu_owner_revoked(struct iommu_owner *owner)
{
	return READ_ONCE(owner->revoked);
}
EXPORT_SYMBOL_GPL(iommu_owner_revoked);

/**
 * iommu_owner_forbid_revoke() - An owner gets what cannot be revoked
 * @owner: The owner; the caller has a reference.
 *
 * A revoke promises that nothing is left of the user. For what cannot keep that,
 * such as a device whose driver cannot revoke it, there must be no token with the
 * right to revoke. iommu_owner_allow_revoke() undoes this.
 *
 * Context: Any.
 * Return: 0; -EOPNOTSUPP if there is such a token of @owner, or user space made
 * @owner.
 */
int iommu_owner_forbid_revoke(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	if (owner->explicit || owner->revokers)
		return -EOPNOTSUPP;
	owner->irrevocable++;
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_owner_forbid_revoke);

/**
 * iommu_owner_allow_revoke() - What could not be revoked is gone
 * @owner: The owner, after iommu_owner_forbid_revoke().
 *
 * Context: Any.
 */
void iommu_owner_allow_revoke(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	owner->irrevocable--;
}
EXPORT_SYMBOL_GPL(iommu_owner_allow_revoke);

/* The group of @owner with the lowest number over @after, with a reference */
struct iommu_group *iommu_owner_next_group(struct iommu_owner *owner, int after)
{
	struct iommu_group *group, *next = NULL;
	struct iommu_ownership *own;

	guard(spinlock)(&owner->lock);
	list_for_each_entry(own, &owner->groups, node) {
		group = container_of(own, struct iommu_group, ownership);
		if (group->id > after && (!next || group->id < next->id))
			next = group;
	}
	return next ? iommu_group_ref_get(next) : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_next_group);
