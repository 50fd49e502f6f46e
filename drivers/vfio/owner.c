// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO files and the owner of the IOMMU group
 *
 * Each group file has an owner of its own, from the moment that somebody needs
 * it: with VFIO_GROUP_SET_CONTAINER, with IOMMU_OWNER_GET_TOKEN, or when user
 * space names one. A file that is put into an iommufd before that claims as
 * the owner of the iommufd. A device file has the owner that claimed for it.
 *
 * A file can be added to VMs before it has an owner. Their watches are kept
 * with the file, and watch the owner as soon as there is one.
 */
#include <linux/cleanup.h>
#include <linux/iommu-owner.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "vfio.h"

/* A device file stands for its device, not for all that the owner has */
#define VFIO_DEVICE_RIGHTS \
	(IOMMU_OWNER_RIGHT_INSPECT | IOMMU_OWNER_RIGHT_ASSOCIATE)

/**
 * struct vfio_owner_vm - A VM that a file was added to
 * @node: Entry in &vfio_owner.vms.
 * @watch: The watch of the VM.
 */
struct vfio_owner_vm {
	struct list_head node;
	struct iommu_owner_watch *watch;
};

void vfio_owner_init(struct vfio_owner *own)
{
	spin_lock_init(&own->lock);
	own->rights = IOMMU_OWNER_RIGHTS_ALL;
	INIT_LIST_HEAD(&own->vms);
}

/* KVM has a reference to the file while a VM watches: none does any more. */
void vfio_owner_cleanup(struct vfio_owner *own)
{
	WARN_ON(!list_empty(&own->vms));
	iommu_owner_put(own->owner);
}

/* Let each VM of the file watch @owner that does not do so already. */
static int owner_watch_all(struct vfio_owner *own, struct iommu_owner *owner)
{
	struct vfio_owner_vm *vm;
	int ret;

	lockdep_assert_held(&own->lock);

	list_for_each_entry(vm, &own->vms, node) {
		ret = vm->watch->owner ? 0 : iommu_owner_watch(owner, vm->watch);
		if (ret)
			return ret;
	}
	return 0;
}

static int owner_set_locked(struct vfio_owner *own, struct iommu_owner *owner,
			    u32 rights)
{
	int ret;

	lockdep_assert_held(&own->lock);

	ret = owner_watch_all(own, owner);
	/* If some watch it now, it is the owner; the next call does the others */
	if (ret && !list_first_entry(&own->vms, struct vfio_owner_vm,
				     node)->watch->owner)
		return ret;
	own->owner = iommu_owner_get(owner);
	own->rights = rights;
	return ret;
}

/**
 * vfio_owner_set() - Set the owner of a file that has none yet
 * @own: What the file keeps of its owner.
 * @owner: The owner; a reference is acquired.
 * @rights: What the file allows to do with @owner.
 *
 * Context: Any.
 * Return: 0, also if there is an owner; -ESTALE if @owner has been revoked;
 * -EBUSY if it belongs to another VM than the file; -ENOSPC if it has too many
 * watches for the VMs of the file.
 */
int vfio_owner_set(struct vfio_owner *own, struct iommu_owner *owner,
		   u32 rights)
{
	guard(spinlock)(&own->lock);
	if (own->owner)
		return owner_watch_all(own, own->owner);
	return owner_set_locked(own, owner, rights);
}

/*
 * Claim as the owner of an iommufd from now on, or as none, if user space has
 * not named one. VMs that watch it keep the owner with the file, -EBUSY for
 * another iommufd, and so does a revocation: -ESTALE.
 */
int vfio_owner_inherit(struct vfio_owner *own, struct iommu_owner *owner)
{
	struct iommu_owner *old = NULL;
	int ret = 0;

	scoped_guard(spinlock, &own->lock) {
		if (own->owner && iommu_owner_revoked(own->owner))
			return -ESTALE;
		if (own->inherited && list_empty(&own->vms)) {
			old = own->owner;
			own->owner = NULL;
			own->inherited = false;
		}
		if (owner && own->inherited && own->owner != owner) {
			ret = -EBUSY;
		} else if (owner && own->owner) {
			ret = owner_watch_all(own, own->owner);
		} else if (owner) {
			ret = owner_set_locked(own, owner,
					       IOMMU_OWNER_RIGHTS_ALL);
			own->inherited = own->owner;
		}
	}
	iommu_owner_put(old);
	return ret;
}

/* The caller sees to it that the file does not claim meanwhile. */
static int owner_replace(struct vfio_owner *own, struct iommu_owner *owner,
			 u32 rights)
{
	struct iommu_owner *old;

	scoped_guard(spinlock, &own->lock) {
		if (own->owner && iommu_owner_revoked(own->owner))
			return -ESTALE;
		if (!list_empty(&own->vms))
			return -EBUSY;
		old = own->owner;
		own->owner = iommu_owner_get(owner);
		own->rights = rights;
		own->inherited = false;
	}
	iommu_owner_put(old);
	return 0;
}

/* Once true it stays so: the owner of such a file does not change. */
bool vfio_owner_revoked(struct vfio_owner *own)
{
	guard(spinlock)(&own->lock);
	return own->owner && iommu_owner_revoked(own->owner);
}

/* A reference to the owner of a file, or NULL if it has none yet */
struct iommu_owner *vfio_owner_get(struct vfio_owner *own)
{
	guard(spinlock)(&own->lock);
	return own->owner ? iommu_owner_get(own->owner) : NULL;
}

/* Make an owner for a file that has none yet. */
int vfio_owner_make(struct vfio_owner *own)
{
	struct iommu_owner *owner;
	int ret;

	scoped_guard(spinlock, &own->lock)
		if (own->owner)
			return owner_watch_all(own, own->owner);

	owner = iommu_owner_alloc("vfio");
	if (IS_ERR(owner))
		return PTR_ERR(owner);
	ret = vfio_owner_set(own, owner, IOMMU_OWNER_RIGHTS_ALL);
	iommu_owner_put(owner);
	return ret;
}

/* The last VM that the file was added to, or NULL */
const struct iommu_owner_vm *vfio_owner_vm(struct vfio_owner *own)
{
	lockdep_assert_held(&own->lock);

	if (list_empty(&own->vms))
		return NULL;
	return list_last_entry(&own->vms, struct vfio_owner_vm,
			       node)->watch->vm;
}

static struct iommu_owner *owner_for_token(struct vfio_owner *own, u32 *rights)
{
	guard(spinlock)(&own->lock);
	if (!own->owner)
		return ERR_PTR(-ENODEV);
	if (iommu_owner_revoked(own->owner))
		return ERR_PTR(-ESTALE);
	*rights = own->rights;
	return iommu_owner_get(own->owner);
}

static int owner_link_vm(struct vfio_owner *own, struct vfio_owner_vm *vm)
{
	int ret;

	guard(spinlock)(&own->lock);
	if (!(own->rights & IOMMU_OWNER_RIGHT_ASSOCIATE))
		return -EPERM;
	ret = own->owner ? iommu_owner_watch(own->owner, vm->watch) : 0;
	if (!ret)
		list_add_tail(&vm->node, &own->vms);
	return ret;
}

static int owner_watch(struct vfio_owner *own, struct iommu_owner_watch *watch)
{
	struct vfio_owner_vm *vm;
	int ret;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	vm->watch = watch;
	ret = owner_link_vm(own, vm);
	if (ret)
		kfree(vm);
	return ret;
}

static void owner_unwatch(struct vfio_owner *own,
			  struct iommu_owner_watch *watch)
{
	struct vfio_owner_vm *vm;

	scoped_guard(spinlock, &own->lock) {
		list_for_each_entry(vm, &own->vms, node)
			if (vm->watch == watch)
				break;
		list_del(&vm->node);
	}
	iommu_owner_unwatch(watch);
	kfree(vm);
}

#if IS_ENABLED(CONFIG_VFIO_GROUP)
static struct iommu_owner *owner_group_owner(struct file *file, u32 *rights)
{
	struct vfio_group_file *gf = vfio_group_file(file);
	int ret;

	/* Without an IOMMU nothing could be revoked */
	if (gf->group->type != VFIO_IOMMU)
		return ERR_PTR(-EOPNOTSUPP);
	/* With an owner, a VM that cannot watch it is no reason to give no token */
	ret = vfio_owner_make(&gf->own);
	return ret && ret != -ENOSPC ? ERR_PTR(ret) :
				       owner_for_token(&gf->own, rights);
}

static int owner_group_set_owner(struct file *file, struct iommu_owner *owner,
				 u32 rights)
{
	struct vfio_group_file *gf = vfio_group_file(file);
	int ret;

	if (gf->group->type != VFIO_IOMMU)
		return -EINVAL;

	/* An operation of the file may wait for its user */
	if (mutex_lock_interruptible(&gf->lock))
		return -EINTR;
	if (vfio_owner_revoked(&gf->own))
		ret = -ESTALE;
	else if (gf->container || gf->iommufd || atomic_read(&gf->device_files))
		ret = -EBUSY;
	else
		ret = owner_replace(&gf->own, owner, rights);
	mutex_unlock(&gf->lock);
	return ret;
}

static int owner_group_watch(struct file *file, struct iommu_owner_watch *watch)
{
	struct vfio_group_file *gf = vfio_group_file(file);

	watch->group = gf->iommu_group;
	return owner_watch(&gf->own, watch);
}

static void owner_group_unwatch(struct file *file,
				struct iommu_owner_watch *watch)
{
	owner_unwatch(&vfio_group_file(file)->own, watch);
}

static bool owner_group_enforced_coherent(struct file *file)
{
	return vfio_group_enforced_coherent(vfio_group_file(file)->group);
}

static struct iommu_owner_provider group_provider = {
	.owner = owner_group_owner,
	.set_owner = owner_group_set_owner,
	.watch = owner_group_watch,
	.unwatch = owner_group_unwatch,
	.enforced_coherent = owner_group_enforced_coherent,
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

static struct iommu_owner *owner_device_owner(struct file *file, u32 *rights)
{
	struct vfio_device_file *df = file->private_data;
	struct iommu_owner *owner;

	if (!vfio_device_has_owner(df->device))
		return ERR_PTR(-EOPNOTSUPP);
	owner = owner_for_token(&df->own, rights);
	if (!IS_ERR(owner))
		*rights &= VFIO_DEVICE_RIGHTS;
	return owner;
}

static struct iommu_group *owner_device_token_group(struct file *file)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;
	struct iommu_group *group;

	/* Without its driver it may not be in the group any more */
	if (!vfio_device_try_get_registration(device))
		return ERR_PTR(-ENODEV);
	group = iommu_group_get(device->dev);
	vfio_device_put_registration(device);
	return group ?: ERR_PTR(-ENODEV);
}

static int owner_device_set_owner(struct file *file, struct iommu_owner *owner,
				  u32 rights)
{
	struct vfio_device_file *df = file->private_data;
	int ret;

	if (df->group_file || !vfio_device_has_owner(df->device))
		return -EINVAL;

	/* Another device of the set may be closed, which may wait for its user */
	if (mutex_lock_interruptible(&df->device->dev_set->lock))
		return -EINTR;
	if (vfio_owner_revoked(&df->own))
		ret = -ESTALE;
	else if (df->open || df->binding)
		ret = -EBUSY;
	else
		ret = owner_replace(&df->own, owner, rights);
	mutex_unlock(&df->device->dev_set->lock);
	return ret;
}

static int owner_device_watch(struct file *file, struct iommu_owner_watch *watch)
{
	struct vfio_device_file *df = file->private_data;

	watch->group = READ_ONCE(df->device->dev->iommu_group);
	return owner_watch(&df->own, watch);
}

static void owner_device_unwatch(struct file *file,
				 struct iommu_owner_watch *watch)
{
	struct vfio_device_file *df = file->private_data;

	owner_unwatch(&df->own, watch);
}

static bool owner_device_enforced_coherent(struct file *file)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;
	bool ret;

	/* Without its driver it may not be there any more */
	if (!vfio_device_try_get_registration(device))
		return true;
	ret = device_iommu_capable(device->dev,
				   IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	vfio_device_put_registration(device);
	return ret;
}

static struct device *owner_device_enter(struct file *file)
{
	struct vfio_device_file *df = file->private_data;
	int ret = vfio_df_enter(df);

	return ret ? ERR_PTR(ret) : df->device->dev;
}

static void owner_device_leave(struct file *file)
{
	vfio_df_leave(file->private_data);
}

static struct iommu_owner_provider device_provider = {
	.fops = &vfio_device_fops,
	.owner = owner_device_owner,
	.set_owner = owner_device_set_owner,
	.watch = owner_device_watch,
	.unwatch = owner_device_unwatch,
	.enforced_coherent = owner_device_enforced_coherent,
	.token_group = owner_device_token_group,
	.enter = owner_device_enter,
	.leave = owner_device_leave,
};

void vfio_device_offer_owner(void)
{
	iommu_owner_register_provider(&device_provider);
}

void vfio_device_withdraw_owner(void)
{
	iommu_owner_unregister_provider(&device_provider);
}
