// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open devices, and how they are revoked
 *
 * What is revoked is the open device, with all of its files. From then on no
 * operation starts, and mappings are gone. When the last operation has left,
 * the device is closed for all files at once, whether they are closed or not:
 * it can be opened by the next user then, or lose its driver. A file that stays
 * open keeps the memory of the device and the module of the driver, which its
 * mappings refer to.
 *
 * An operation may wait for its user, in a page fault, for as long as the user
 * likes. DMA is blocked by then, and so are interrupts; the owner core puts the
 * group into quarantine until the device is closed.
 *
 * Operations are counted per CPU. The count is that of one opening of the
 * device: once it is dead, the files of that opening are dead for ever.
 */
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/iommu-owner.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "vfio.h"

static struct workqueue_struct *open_wq;

static void open_zap(struct vfio_open *open)
{
	unmap_mapping_range(open->device->inode->i_mapping, 0, 0, true);
}

static void open_release(struct kref *kref)
{
	struct vfio_open *open = container_of(kref, struct vfio_open, kref);

	percpu_ref_exit(&open->users);
	iommu_owner_put(open->owner);
	if (open->group_file)
		vfio_group_file_put(open->group_file);
	kfree(open);
}

void vfio_open_put(struct vfio_open *open)
{
	kref_put(&open->kref, open_release);
}

/* No operation runs, and none can start. */
static void open_idle(struct percpu_ref *ref)
{
	struct vfio_open *open = container_of(ref, struct vfio_open, users);

	queue_work(open_wq, &open->close_work);
}

/* The device is closed, no lock is held: tasks that wait for that may go on. */
static void open_finish(struct vfio_open *open)
{
	struct vfio_device *device = open->device;

	iommu_owner_unwatch(&open->watch);
	if (open->irrevocable)
		iommu_owner_allow_revoke(open->owner);
	/* For the driver that waits until the device is closed */
	vfio_device_put_registration(device);
	vfio_open_put(open);
}

static int open_put_file(void *file)
{
	__fput_sync(file);
	module_put_and_kthread_exit(0);
}

/*
 * Closing the group file may wait for an operation of its container, for as long
 * as the user likes. That is no work for a queue in which others wait, nor for
 * fput(), which leaves it to one work for all.
 */
static void open_put_group_file(struct file *file)
{
	struct task_struct *task;

	__module_get(THIS_MODULE);
	task = kthread_run(open_put_file, file, "vfio-group-put");
	if (!IS_ERR(task))
		return;
	__fput_sync(file);
	module_put(THIS_MODULE);
}

static void open_close_revoked(struct work_struct *work)
{
	struct vfio_open *open =
		container_of(work, struct vfio_open, close_work);
	struct file *file;

	/* A page fault may have mapped again until now */
	open_zap(open);
	vfio_open_lock_group(open);
	file = vfio_open_get_file(open);
	vfio_mmio_unmap(open->device);
	vfio_open_close(open);
	vfio_open_unlock_group(open);
	open_finish(open);
	if (file)
		open_put_group_file(file);
}

/* The lock of the device set may be held by the user of another device. */
static int open_shut(struct iommu_owner_watch *watch,
		     const struct iommu_owner_end *end)
{
	struct vfio_open *open = container_of(watch, struct vfio_open, watch);
	struct vfio_device *device = open->device;

	/* On a release the device is closed already, or this does it */
	if (end->reason != IOMMU_OWNER_REASON_REVOKED &&
	    end->reason != IOMMU_OWNER_REASON_LOST)
		return 0;
	if (atomic_cmpxchg(&open->state, VFIO_OPEN, VFIO_OPEN_REVOKED) !=
	    VFIO_OPEN)
		return -EINPROGRESS;

	/* Either this sees what a page fault maps, or vfio_file_leave() does */
	smp_mb();
	open_zap(open);
	/* If not, it does not before it is closed: nobody has access yet */
	if (smp_load_acquire(&open->opened) && device->ops->revoke)
		device->ops->revoke(device);
	percpu_ref_kill(&open->users);
	return -EINPROGRESS;
}

static const struct iommu_owner_watch_ops open_watch_ops = {
	.shut = open_shut,
};

int __init vfio_open_init(void)
{
	/* A work may wait for its user, and the others do not wait for it */
	open_wq = alloc_workqueue("vfio_revoke", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return open_wq ? 0 : -ENOMEM;
}

/* The last work may still return when nothing refers to the module any more. */
void vfio_open_cleanup(void)
{
	destroy_workqueue(open_wq);
}

/**
 * vfio_open_alloc() - Prepare to open a device
 * @df: The file that opens it, with a reference to the registered device.
 *
 * Context: May sleep. The lock of the device set is held.
 * Return: The open device, or an ERR_PTR: -ENOMEM.
 */
struct vfio_open *vfio_open_alloc(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;
	struct vfio_open *open;
	int ret;

	open = kzalloc(sizeof(*open), GFP_KERNEL_ACCOUNT);
	if (!open)
		return ERR_PTR(-ENOMEM);
	ret = percpu_ref_init(&open->users, open_idle, 0, GFP_KERNEL_ACCOUNT);
	if (ret) {
		kfree(open);
		return ERR_PTR(ret);
	}
	kref_init(&open->kref);
	open->device = device;
	open->iommufd = df->iommufd;
	if (df->group_file) {
		open->group_file = df->group_file;
		vfio_group_file_get(open->group_file);
	}
	INIT_WORK(&open->close_work, open_close_revoked);
	init_completion(&open->closed);
	open->watch.ops = &open_watch_ops;
	open->watch.class = IOMMU_OWNER_WATCH_DEVICE;
	open->watch.group = device->dev->iommu_group;
	return open;
}

/* Make @df one of the files of an open device. */
void vfio_df_link(struct vfio_device_file *df, struct vfio_open *open)
{
	lockdep_assert_held(&open->device->dev_set->lock);

	kref_get(&open->kref);
	df->open = open;
	vfio_df_count(df, 1);
	/* The device is open: its driver is there */
	df->module = open->device->dev->driver->owner;
	__module_get(df->module);
}

/**
 * vfio_open_watch() - Have an open device revoked with its owner
 * @open: The device; no operation can start yet.
 * @owner: The owner that is going to claim its group; NULL for a device without
 *	one.
 *
 * Also acquires a reference to the registered device, as long as it is open. A
 * device whose driver has no &vfio_device_ops.revoke is for owners that no token
 * revokes.
 *
 * Context: The lock of the device set is held.
 * Return: 0; -ESTALE if the owner has been revoked meanwhile; -EOPNOTSUPP if the
 * driver cannot revoke the device, and a token can revoke the owner.
 */
int vfio_open_watch(struct vfio_open *open, struct iommu_owner *owner)
{
	int ret;

	lockdep_assert_held(&open->device->dev_set->lock);

	/* The file that opens it has one as well */
	refcount_inc(&open->device->refcount);
	if (!owner)
		return 0;
	open->owner = iommu_owner_get(owner);
	if (!open->device->ops->revoke) {
		ret = iommu_owner_forbid_revoke(owner);
		if (ret)
			return ret;
		open->irrevocable = true;
	}
	return iommu_owner_watch(owner, &open->watch);
}

/**
 * vfio_df_retry_open() - Wait while the device is being closed
 * @df: A file that vfio_df_open() was called for, and not open.
 * @ret: What that returned: 1 if the device is being closed. Then 0, or
 *	-ERESTARTSYS if the task is killed.
 *
 * Not for a device that has been revoked: its former user may see to it that it
 * is not closed for long.
 *
 * Context: May sleep. No lock of VFIO is held.
 * Return: true if the device has been closed, and is to be opened again.
 */
bool vfio_df_retry_open(struct vfio_device_file *df, int *ret)
{
	struct vfio_device *device = df->device;
	struct vfio_open *open = NULL;

	if (*ret <= 0)
		return false;
	scoped_guard(mutex, &device->dev_set->lock) {
		if (device->open && vfio_open_closing(device->open)) {
			open = device->open;
			kref_get(&open->kref);
		}
	}
	*ret = 0;
	if (open) {
		*ret = wait_for_completion_killable(&open->closed);
		vfio_open_put(open);
	}
	return !*ret;
}

/**
 * vfio_df_end() - End the use of a device by its file
 * @df: The file. No operation runs.
 *
 * The last file of a device closes it. When the device has been revoked that
 * has been done for all files, or will be without this one.
 *
 * Context: May sleep. No lock of VFIO is held.
 */
void vfio_df_end(struct vfio_device_file *df)
{
	struct vfio_open *open = df->open;
	struct vfio_device *device = df->device;
	bool last = false;

	if (!open)
		return;

	vfio_open_lock_group(open);
	scoped_guard(mutex, &device->dev_set->lock) {
		if (atomic_read(&open->state) == VFIO_OPEN &&
		    device->open_count > 1)
			device->open_count--;
		else
			last = atomic_cmpxchg(&open->state, VFIO_OPEN,
					      VFIO_OPEN_CLOSING) == VFIO_OPEN;
		/* A driver that goes waits for vfio_df_put(), unless revoked */
		if (!df->registered && !vfio_open_revoked(open)) {
			refcount_inc(&device->refcount);
			df->registered = true;
		}
		df->open = NULL;
		df->access_granted = false;
	}
	if (last) {
		vfio_mmio_unmap(device);
		vfio_open_close(open);
	}
	vfio_open_unlock_group(open);
	vfio_df_count(df, -1);
	if (last)
		open_finish(open);
	vfio_open_put(open);
}

/**
 * vfio_file_enter() - Start an operation on a device file
 * @file: The device file.
 *
 * For operations that the file does not see, such as a page fault of a mapping.
 * The device is valid only in between.
 *
 * Context: Any.
 * Return: 0; the caller calls vfio_file_leave() when it is done. -ESTALE if the
 * device has been revoked, -EINVAL if the file has no access yet.
 */
int vfio_file_enter(struct file *file)
{
	return vfio_df_enter(file->private_data);
}
EXPORT_SYMBOL_GPL(vfio_file_enter);

/**
 * vfio_file_leave() - Finish what vfio_file_enter() started
 * @file: The device file.
 *
 * What was mapped in between is gone if the device is revoked meanwhile.
 *
 * Context: May sleep.
 */
void vfio_file_leave(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	/* Paired with open_shut(), which does not wait for another operation */
	smp_mb();
	if (unlikely(vfio_open_revoked(df->open)))
		open_zap(df->open);
	vfio_df_leave(df);
}
EXPORT_SYMBOL_GPL(vfio_file_leave);
