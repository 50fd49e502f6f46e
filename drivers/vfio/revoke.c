// SPDX-License-Identifier: GPL-2.0-only
/*
 * Take an open device away from the file that has it
 *
 * When the owner of the group is revoked, no operation of a device file may
 * start any more, and its mappings are gone. The device is closed as soon as the
 * operations that run have left, whether the file is closed or not: by then it
 * can be opened by the next user, or lose its driver. What stays with the file
 * until it is closed is the memory of the device and the module of the driver,
 * which mappings refer to.
 *
 * An operation may wait for its user, in a page fault, for as long as the user
 * likes. DMA is blocked by then. The group goes into quarantine if that takes
 * too long.
 */
#include <linux/cleanup.h>
#include <linux/iommu-owner.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "vfio.h"

static void zap_mappings(struct vfio_device_file *df)
{
	unmap_mapping_range(df->device->inode->i_mapping, 0, 0, true);
}

/* No operation runs, and none can begin. */
void vfio_df_close_later(struct vfio_device_file *df)
{
	queue_work(system_unbound_wq, &df->close_work);
}

/* From here on the device may go away. */
static void vfio_df_unregister(struct vfio_device_file *df)
{
	bool registered;

	scoped_guard(spinlock, &df->own.lock) {
		registered = df->registered;
		df->registered = false;
	}
	if (registered)
		vfio_device_put_registration(df->device);
}

/* The last operation has left. */
static void close_revoked(struct work_struct *work)
{
	struct vfio_device_file *df =
		container_of(work, struct vfio_device_file, close_work);
	struct vfio_device *device = df->device;

	/* A page fault may have mapped again until now */
	zap_mappings(df);

	/* For vfio_df_put(). The device is open: its driver is there. */
	get_device(device->dev);
	get_device(&device->device);
	df->module = device->dev->driver->owner;
	__module_get(df->module);

	vfio_df_close_file(df);
	if (df->group)
		vfio_group_revoke_container(df->group);
	vfio_df_unregister(df);
	iommu_owner_watch_drained(&df->end_watch);
	complete_all(&df->closed);
}

static int df_shut(struct iommu_owner_watch *watch,
		   const struct iommu_owner_end *end)
{
	struct vfio_device_file *df =
		container_of(watch, struct vfio_device_file, end_watch);

	/* Whoever releases a claim has closed the device */
	if (end->reason != IOMMU_OWNER_REASON_REVOKED)
		return 0;

	WRITE_ONCE(df->revoked, true);
	/* Either this sees what a page fault maps, or vfio_file_leave() does */
	smp_mb();
	zap_mappings(df);
	if (atomic_add_return(VFIO_DF_SHUT, &df->active) == VFIO_DF_SHUT)
		vfio_df_close_later(df);
	return -EINPROGRESS;
}

static const struct iommu_owner_watch_ops df_watch_ops = {
	.shut = df_shut,
};

void vfio_df_init(struct vfio_device_file *df)
{
	vfio_owner_init(&df->own);
	atomic_set(&df->active, VFIO_DF_SHUT);
	INIT_WORK(&df->close_work, close_revoked);
	init_completion(&df->closed);
	df->end_watch.ops = &df_watch_ops;
	df->end_watch.class = IOMMU_OWNER_WATCH_DEVICE;
}

/**
 * vfio_df_grant() - Give a device file access to its device
 * @df: The file; its device has been opened and its group claimed.
 *
 * Context: The lock of the device set is held.
 * Return: 0; -ESTALE if the owner has been revoked meanwhile.
 */
int vfio_df_grant(struct vfio_device_file *df)
{
	struct vfio_owner *own = vfio_df_own(df);
	int ret;

	lockdep_assert_held(&df->device->dev_set->lock);

	if (own != &df->own) {
		ret = vfio_owner_set(&df->own, own->owner, own->rights);
		if (ret)
			return ret;
	}
	if (df->own.owner) {
		df->end_watch.group = df->device->dev->iommu_group;
		ret = iommu_owner_watch(df->own.owner, &df->end_watch);
		if (ret)
			return ret;
	}
	/* Paired with smp_load_acquire() in vfio_file_has_device_access() */
	smp_store_release(&df->access_granted, true);
	/* It may have been revoked since it is watched */
	if (atomic_sub_return(VFIO_DF_SHUT, &df->active) == VFIO_DF_SHUT)
		vfio_df_close_later(df);
	return 0;
}

/**
 * vfio_df_end() - End the use of a device by its file
 * @df: The file. No operation runs.
 *
 * Waits for a revocation that has begun.
 *
 * Context: May sleep. No lock of VFIO is held.
 */
void vfio_df_end(struct vfio_device_file *df)
{
	iommu_owner_unwatch(&df->end_watch);
	if (READ_ONCE(df->revoked))
		wait_for_completion(&df->closed);
	else
		vfio_df_close_file(df);
}

/* Free what the file has; the last use of it. */
void vfio_df_put(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;

	vfio_df_unregister(df);
	if (READ_ONCE(df->revoked)) {
		struct device *dev = device->dev;

		put_device(&device->device);
		put_device(dev);
		module_put(df->module);
	}
	vfio_owner_cleanup(&df->own);
	kfree(df);
}

/**
 * vfio_file_enter() - Begin an operation on a device file
 * @file: The device file.
 *
 * For operations that the file does not see, such as a page fault of a mapping.
 * The device is valid only in between.
 *
 * Context: Any.
 * Return: 0; the caller calls vfio_file_leave() when it is done. -ESTALE if the
 * device has been taken away, -EINVAL if it was never given.
 */
int vfio_file_enter(struct file *file)
{
	return vfio_df_enter(file->private_data);
}
EXPORT_SYMBOL_GPL(vfio_file_enter);

/**
 * vfio_file_leave() - End what vfio_file_enter() began
 * @file: The device file.
 *
 * What was mapped in between is gone if the device is taken away meanwhile.
 *
 * Context: May sleep.
 */
void vfio_file_leave(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	/* Paired with df_shut(), which may wait in vain for another operation */
	smp_mb();
	if (READ_ONCE(df->revoked))
		zap_mappings(df);
	vfio_df_leave(df);
}
EXPORT_SYMBOL_GPL(vfio_file_leave);
