// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO files and the owner of the IOMMU group
 *
 * A group file has an owner while it is open, and a device file that is opened
 * through its group gets the same. Another device file has none before it is
 * bound, unless user space names one; from then on it is the one that has
 * claimed.
 *
 * A file can be added to a VM before it has an owner. The watch of the VM is
 * kept with the file, and watches the owner as soon as there is one.
 */
#include <linux/cleanup.h>
#include <linux/iommu-owner.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "vfio.h"

void vfio_owner_init(struct vfio_owner *own)
{
	spin_lock_init(&own->lock);
	own->rights = IOMMU_OWNER_RIGHTS_ALL;
}

/* Also when a VM still watches the owner; its watch keeps a reference. */
void vfio_owner_cleanup(struct vfio_owner *own)
{
	struct iommu_owner *owner;

	scoped_guard(spinlock, &own->lock) {
		owner = own->owner;
		own->owner = NULL;
		own->rights = IOMMU_OWNER_RIGHTS_ALL;
		own->watch = NULL;
		own->file = NULL;
	}
	iommu_owner_put(owner);
}

/* A file that was revoked, and whose place another file has taken */
static bool own_stale(struct vfio_owner *own, struct file *file)
{
	lockdep_assert_held(&own->lock);
	return own->file && own->file != file;
}

/**
 * vfio_owner_set() - Set the owner of a file that has none yet
 * @own: What the file keeps of its owner.
 * @owner: The owner; a reference is taken.
 * @rights: What the holder of the file may do with @owner.
 *
 * Return: 0; -EBUSY if the owner belongs to another VM than the file; -ESTALE
 * if it has been revoked.
 */
int vfio_owner_set(struct vfio_owner *own, struct iommu_owner *owner,
		   u32 rights)
{
	int ret;

	guard(spinlock)(&own->lock);
	if (own->owner)
		return 0;
	if (own->watch) {
		ret = iommu_owner_watch(owner, own->watch);
		if (ret)
			return ret;
	}
	own->owner = iommu_owner_get(owner);
	own->rights = rights;
	return 0;
}

/* The caller sees to it that the file does not claim meanwhile. */
static int vfio_owner_replace(struct vfio_owner *own, struct iommu_owner *owner,
			      u32 rights)
{
	struct iommu_owner *old;

	scoped_guard(spinlock, &own->lock) {
		if (own->watch)
			return -EBUSY;
		old = own->owner;
		own->owner = iommu_owner_get(owner);
		own->rights = rights;
	}
	iommu_owner_put(old);
	return 0;
}

/**
 * vfio_device_get_kvm_safe() - Take a reference to the VM of a file
 * @device: The device that is opened.
 * @own: What the file keeps of its owner.
 *
 * The VM is in &vfio_device.kvm for drivers until vfio_device_put_kvm().
 */
void vfio_device_get_kvm_safe(struct vfio_device *device,
			      struct vfio_owner *own)
{
	const struct iommu_owner_vm *vm;

	lockdep_assert_held(&device->dev_set->lock);

	guard(spinlock)(&own->lock);
	if (!own->watch)
		return;

	vm = own->watch->vm;
	if (!try_module_get(vm->module))
		return;
	if (!vm->get(vm->kvm)) {
		module_put(vm->module);
		return;
	}
	device->kvm = vm->kvm;
	device->put_kvm = vm->put;
	device->kvm_module = vm->module;
}

void vfio_device_put_kvm(struct vfio_device *device)
{
	lockdep_assert_held(&device->dev_set->lock);

	if (!device->kvm)
		return;

	device->put_kvm(device->kvm);
	device->kvm = NULL;
	module_put(device->kvm_module);
}

static struct iommu_owner *own_owner(struct vfio_owner *own, struct file *file,
				     u32 *rights)
{
	guard(spinlock)(&own->lock);
	if (own_stale(own, file))
		return ERR_PTR(-ESTALE);
	if (!own->owner)
		return ERR_PTR(-ENODEV);
	*rights = own->rights;
	return iommu_owner_get(own->owner);
}

static int own_watch(struct vfio_owner *own, struct file *file,
		     struct iommu_owner_watch *watch)
{
	int ret = 0;

	guard(spinlock)(&own->lock);
	if (own_stale(own, file))
		return -ESTALE;
	if (!(own->rights & IOMMU_OWNER_RIGHT_ASSOCIATE))
		return -EPERM;
	if (own->owner && iommu_owner_revoked(own->owner))
		return -ESTALE;
	if (own->watch)
		return -EBUSY;
	if (own->owner)
		ret = iommu_owner_watch(own->owner, watch);
	if (!ret)
		own->watch = watch;
	return ret;
}

static void own_unwatch(struct vfio_owner *own, struct iommu_owner_watch *watch)
{
	scoped_guard(spinlock, &own->lock)
		if (own->watch == watch)
			own->watch = NULL;
	iommu_owner_unwatch(watch);
}

#if IS_ENABLED(CONFIG_VFIO_GROUP)
static struct iommu_owner *group_owner(struct file *file, u32 *rights)
{
	return own_owner(&vfio_group_from_file(file)->own, file, rights);
}

static int group_set_owner(struct file *file, struct iommu_owner *owner,
			   u32 rights)
{
	struct vfio_group *group = vfio_group_from_file(file);

	if (group->type != VFIO_IOMMU)
		return -EINVAL;

	guard(mutex)(&group->group_lock);
	if (group->opened_file != file)
		return -ESTALE;
	if (group->container || group->iommufd)
		return -EBUSY;
	return vfio_owner_replace(&group->own, owner, rights);
}

static int group_watch(struct file *file, struct iommu_owner_watch *watch)
{
	struct vfio_group *group = vfio_group_from_file(file);

	watch->group = READ_ONCE(group->iommu_group);
	return own_watch(&group->own, file, watch);
}

static void group_unwatch(struct file *file, struct iommu_owner_watch *watch)
{
	own_unwatch(&vfio_group_from_file(file)->own, watch);
}

static bool group_enforced_coherent(struct file *file)
{
	return vfio_group_enforced_coherent(vfio_group_from_file(file));
}

static struct iommu_owner_provider group_provider = {
	.owner = group_owner,
	.set_owner = group_set_owner,
	.watch = group_watch,
	.unwatch = group_unwatch,
	.enforced_coherent = group_enforced_coherent,
	.group = vfio_file_iommu_group,
};

void vfio_group_offer_owner(const struct file_operations *fops)
{
	group_provider.fops = fops;
	iommu_owner_register_provider(&group_provider);
}

void vfio_group_withdraw_owner(void)
{
	iommu_owner_unregister_provider(&group_provider);
}
#endif

/* The device of @df, unless it has been taken away */
static struct vfio_device *get_device_of(struct vfio_device_file *df)
{
	guard(spinlock)(&df->own.lock);
	if (!df->registered || !vfio_device_try_get_registration(df->device))
		return NULL;
	return df->device;
}

static struct iommu_owner *device_owner(struct file *file, u32 *rights)
{
	struct vfio_device_file *df = file->private_data;

	return own_owner(&df->own, file, rights);
}

static int device_set_owner(struct file *file, struct iommu_owner *owner,
			    u32 rights)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device;
	int ret;

	if (df->group)
		return -EINVAL;

	device = get_device_of(df);
	if (!device)
		return -ESTALE;
	mutex_lock(&device->dev_set->lock);
	ret = df->access_granted ? -EBUSY :
				   vfio_owner_replace(&df->own, owner, rights);
	mutex_unlock(&device->dev_set->lock);
	vfio_device_put_registration(device);
	return ret;
}

static int device_watch(struct file *file, struct iommu_owner_watch *watch)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = get_device_of(df);

	if (!device)
		return -ESTALE;
	watch->group = device->dev->iommu_group;
	vfio_device_put_registration(device);
	return own_watch(&df->own, file, watch);
}

static void device_unwatch(struct file *file, struct iommu_owner_watch *watch)
{
	struct vfio_device_file *df = file->private_data;

	own_unwatch(&df->own, watch);
}

static bool device_enforced_coherent(struct file *file)
{
	struct vfio_device *device = get_device_of(file->private_data);
	bool ret;

	if (!device)
		return true;
	ret = device_iommu_capable(device->dev,
				   IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	vfio_device_put_registration(device);
	return ret;
}

static struct iommu_owner_provider device_provider = {
	.fops = &vfio_device_fops,
	.owner = device_owner,
	.set_owner = device_set_owner,
	.watch = device_watch,
	.unwatch = device_unwatch,
	.enforced_coherent = device_enforced_coherent,
};

void vfio_device_offer_owner(void)
{
	iommu_owner_register_provider(&device_provider);
}

void vfio_device_withdraw_owner(void)
{
	iommu_owner_unregister_provider(&device_provider);
}
