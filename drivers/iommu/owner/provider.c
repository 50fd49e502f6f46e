// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a file to its owner: providers hand files to user space that stand for an
 * owner (VFIO, tokens), and what others (KVM, tokens) ask of such a file
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/iommu-owner.h>
#include <linux/mutex.h>
#include <linux/rculist.h>

static LIST_HEAD(providers);
static DEFINE_MUTEX(providers_lock);	/* for changes of the list */

/**
 * iommu_owner_register_provider() - Offer files that stand for an owner
 * @provider: The provider; must stay until it is unregistered.
 *
 * Context: May sleep.
 */
void iommu_owner_register_provider(struct iommu_owner_provider *provider)
{
	guard(mutex)(&providers_lock);
	list_add_tail_rcu(&provider->node, &providers);
}
EXPORT_SYMBOL_GPL(iommu_owner_register_provider);

/**
 * iommu_owner_unregister_provider() - Take the offer back
 * @provider: The provider. No file of its kind is open any more.
 *
 * Context: May sleep.
 */
void iommu_owner_unregister_provider(struct iommu_owner_provider *provider)
{
	scoped_guard(mutex, &providers_lock)
		list_del_rcu(&provider->node);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(iommu_owner_unregister_provider);

/**
 * iommu_owner_provider() - The provider of a file
 * @file: The file; the caller has a reference.
 *
 * An open file holds the module that made it, and so the provider.
 *
 * Context: Any.
 * Return: The provider, valid as long as @file; NULL if @file does not stand
 * for an owner.
 */
const struct iommu_owner_provider *iommu_owner_provider(struct file *file)
{
	const struct iommu_owner_provider *provider;

	guard(rcu)();
	list_for_each_entry_rcu(provider, &providers, node)
		if (provider->fops == file->f_op)
			return provider;
	return NULL;
}
EXPORT_SYMBOL_GPL(iommu_owner_provider);

/**
 * iommu_owner_from_file() - The owner that a file stands for
 * @file: The file; the caller has a reference.
 * @rights: Set to the rights (IOMMU_OWNER_RIGHT_*) that the holder of @file has.
 *
 * Context: May sleep.
 * Return: The owner, with a reference, or an ERR_PTR: -EBADFD if @file does not
 * stand for an owner; -ENODEV if it has none yet.
 */
struct iommu_owner *iommu_owner_from_file(struct file *file, u32 *rights)
{
	const struct iommu_owner_provider *provider = iommu_owner_provider(file);

	if (!provider)
		return ERR_PTR(-EBADFD);
	return provider->owner(file, rights);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_from_file);
