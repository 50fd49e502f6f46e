// SPDX-License-Identifier: GPL-2.0-only
/* The files of a PCI device by which an administrator has a TSM lock and accept it */
#include <kunit/visibility.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/kstrtox.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "view.h"

static const char * const view_names[] = {
	[IOMMU_VIEW_SHARED]	= "shared",
	[IOMMU_VIEW_LOCKED]	= "locked",
	[IOMMU_VIEW_PRIVATE]	= "private",
	[IOMMU_VIEW_ERROR]	= "error",
};

static ssize_t lock_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct iommu_view *view __free(view) = NULL;

	guard(device)(dev);
	view = iommu_view_get(dev);
	return sysfs_emit(buf, "%s\n",
			  view && view->tsm ? view->tsm->name : "");
}

/* The default domain of the group is replaced, as by a write to its "type". */
static bool view_may_write(void)
{
	return capable(CAP_SYS_ADMIN) && capable(CAP_SYS_RAWIO);
}

/* @buf without the line feed at its end */
static char *view_copy_word(const char *buf)
{
	char *word = kstrdup(buf, GFP_KERNEL);

	return word ? strim(word) : NULL;
}

static ssize_t lock_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	char *name __free(kfree) = view_copy_word(buf);

	if (!view_may_write())
		return -EACCES;
	return name ? iommu_view_lock(dev, name) ?: count : -ENOMEM;
}
static DEVICE_ATTR_RW(lock);

static ssize_t unlock_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	char *name __free(kfree) = view_copy_word(buf);

	if (!view_may_write())
		return -EACCES;
	return name ? iommu_view_unlock(dev, name) ?: count : -ENOMEM;
}
static DEVICE_ATTR_WO(unlock);

static enum iommu_view_state view_read_state(struct device *dev)
{
	struct iommu_view *view __free(view) = iommu_view_get(dev);

	return view ? READ_ONCE(view->state) : IOMMU_VIEW_SHARED;
}

static ssize_t accept_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  view_read_state(dev) == IOMMU_VIEW_PRIVATE);
}

/* "1", or "1 GENERATION" of the evidence that was found to be good */
static ssize_t accept_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	char *copy __free(kfree) = kstrdup(buf, GFP_KERNEL);
	char *rest = copy;
	u64 generation = 0;
	bool accept;
	int ret;

	if (!view_may_write())
		return -EACCES;
	if (!copy)
		return -ENOMEM;
	ret = kstrtobool(strsep(&rest, " "), &accept);
	if (!ret && rest)
		ret = kstrtou64(strim(rest), 0, &generation);
	if (ret)
		return ret;
	/* 0 would accept any */
	if (!accept || (rest && !generation))
		return -EINVAL;
	return iommu_view_accept(dev, generation) ?: count;
}
static DEVICE_ATTR_RW(accept);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", view_names[view_read_state(dev)]);
}
static DEVICE_ATTR_RO(state);

static struct attribute *view_attrs[] = {
	&dev_attr_lock.attr,
	&dev_attr_unlock.attr,
	&dev_attr_accept.attr,
	&dev_attr_state.attr,
	NULL
};

static bool view_group_visible(struct kobject *kobj)
{
	return iommu_view_is_handled(kobj_to_dev(kobj));
}

DEFINE_SIMPLE_SYSFS_GROUP_VISIBLE(view);

const struct attribute_group iommu_view_attr_group = {
	.name = "tsm",
	.attrs = view_attrs,
	.is_visible = SYSFS_GROUP_VISIBLE(view),
};

/*
 * Let the files appear for what a new TSM handles, or disappear. Those of others are not
 * touched: they may be open.
 */
static void view_update_files(const struct iommu_view_tsm *tsm)
{
	static DEFINE_MUTEX(view_files_lock);	/* of two TSMs at a time */
	struct pci_dev *pdev = NULL;

	if (!tsm->ops)
		return;
	guard(mutex)(&view_files_lock);
	for_each_pci_dev(pdev)
		if (device_is_registered(&pdev->dev) &&
		    tsm->ops->handles(&pdev->dev))
			sysfs_update_group(&pdev->dev.kobj,
					   &iommu_view_attr_group);
}

/**
 * iommu_view_register() - A TSM is there
 * @tsm: The TSM, until iommu_view_unregister().
 *
 * Context: May sleep.
 * Return: 0; -EEXIST if there is one of that name; -EINVAL if it has no name, or one
 * that cannot be written to a file.
 */
int iommu_view_register(struct iommu_view_tsm *tsm)
{
	int ret;

	if (!tsm->name || !*tsm->name || strpbrk(tsm->name, " \t\n"))
		return -EINVAL;
	ret = iommu_view_add_tsm(tsm);
	if (!ret)
		view_update_files(tsm);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_register);

/**
 * iommu_view_unregister() - A TSM goes away
 * @tsm: The TSM. No operation of it runs when this returns.
 *
 * Devices that it has locked are lost, what uses them goes, and they are unlocked.
 *
 * Context: May sleep, for as long as their drivers take. No lock of a device that @tsm
 * handles is held.
 */
void iommu_view_unregister(struct iommu_view_tsm *tsm)
{
	iommu_view_remove_tsm(tsm);
	view_update_files(tsm);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_view_unregister);
