// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpasid: a driver of a function whose devices belong to several users, each with
 * PASIDs of its own
 *
 * A device has a queue that issues DMA with the PASID that its user, a guest, writes
 * into a register. The guest may write any number, also that of another user. The
 * driver loads what an owner has permitted for this device, and nothing else:
 *
 *	open		the list of the device is empty
 *	register write	lock, translate what a guest calls it, check, attach, load, unlock
 *	unload		the PASID was denied or freed, or its owner revoked
 *	close		all that is left on the list goes
 *
 * See Documentation/driver-api/iommu-owner.rst.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/iommu-owner.h>
#include <linux/iommu.h>
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "mpasid-defs.h"
#include "mpasid-hw.h"

#define MPASID_REGION_SHIFT	40
#define MPASID_MEMORY		1

/**
 * struct mpasid - A device
 * @vdev: What user space opens.
 * @open: Its list of PASIDs while it is open.
 * @page: Its memory.
 * @domain: The page table of its DMA: @page at address 0.
 * @lock: Protects what follows, and makes one step of a DMA.
 * @pasid: The PASID that is loaded, or 0.
 * @address: MPASID_ADDRESS.
 * @faults: MPASID_FAULTS, and what follows it.
 * @fault_pasid: MPASID_FAULT_PASID.
 * @fault_reason: MPASID_FAULT_REASON.
 */
struct mpasid {
	struct vfio_device vdev;
	struct iommu_owner_pasid_device *open;
	struct page *page;
	struct iommu_domain *domain;
	struct mutex lock;	/* of the registers */
	u32 pasid;
	u32 address;
	u32 faults;
	u32 fault_pasid;
	u32 fault_reason;
};

static struct device *mpasid_function;

static struct mpasid *to_mpasid(struct vfio_device *vdev)
{
	return container_of(vdev, struct mpasid, vdev);
}

static void mpasid_fault(struct mpasid *mpasid, u32 pasid, u32 reason)
{
	lockdep_assert_held(&mpasid->lock);

	mpasid->faults++;
	mpasid->fault_pasid = pasid;
	mpasid->fault_reason = reason;
}

/* No load of @pasid can start, and its page table is detached. */
static void mpasid_unload(struct device *dev, ioasid_t pasid)
{
	struct mpasid *mpasid = dev_get_drvdata(dev);

	/* A DMA that runs ends before */
	guard(mutex)(&mpasid->lock);
	if (mpasid->pasid == pasid)
		mpasid->pasid = 0;
}

static const struct iommu_owner_pasid_ops mpasid_pasid_ops = {
	.unload = mpasid_unload,
};

/* The guest has written @number. */
static void mpasid_load(struct mpasid *mpasid, u32 number, bool guest)
{
	int index = iommu_owner_pasid_load_lock(mpasid->open);
	ioasid_t pasid = number;
	int ret = -EACCES;

	lockdep_assert_held(&mpasid->lock);

	if (guest)
		pasid = iommu_owner_pasid_translate(mpasid->open, number);
	if (iommu_owner_pasid_allowed(mpasid->open, pasid))
		ret = iommu_owner_pasid_attach(mpasid->open, mpasid->domain,
					       pasid);
	if (ret)
		mpasid_fault(mpasid, number, MPASID_FAULT_LOAD);
	else
		mpasid->pasid = pasid;
	iommu_owner_pasid_load_unlock(mpasid->open, index);
}

static void mpasid_dma(struct mpasid *mpasid, u32 *value, bool write)
{
	int ret = -EFAULT;

	lockdep_assert_held(&mpasid->lock);

	if (mpasid->pasid)
		ret = mpasid_hw_dma(mpasid_function, mpasid->pasid,
				    mpasid->address, value, write);
	if (ret)
		mpasid_fault(mpasid, mpasid->pasid, MPASID_FAULT_DMA);
}

static void mpasid_register_write(struct mpasid *mpasid, u32 offset, u32 value)
{
	guard(mutex)(&mpasid->lock);
	switch (offset) {
	case MPASID_PASID:
		if (value)
			mpasid_load(mpasid, value, false);
		else
			mpasid->pasid = 0;
		break;
	case MPASID_GUEST_PASID:
		mpasid_load(mpasid, value, true);
		break;
	case MPASID_ADDRESS:
		mpasid->address = value;
		break;
	case MPASID_DATA:
		mpasid_dma(mpasid, &value, true);
		break;
	}
}

static u32 mpasid_register_read(struct mpasid *mpasid, u32 offset)
{
	u32 value = 0;

	guard(mutex)(&mpasid->lock);
	switch (offset) {
	case MPASID_PASID:
		return mpasid->pasid;
	case MPASID_ADDRESS:
		return mpasid->address;
	case MPASID_DATA:
		mpasid_dma(mpasid, &value, false);
		return value;
	case MPASID_FAULTS:
		return mpasid->faults;
	case MPASID_FAULT_PASID:
		return mpasid->fault_pasid;
	case MPASID_FAULT_REASON:
		return mpasid->fault_reason;
	}
	return 0;
}

/* VFIO */

/* The size of the region that @pos is in */
static size_t mpasid_region_size(u64 pos)
{
	switch (pos >> MPASID_REGION_SHIFT) {
	case 0:
		return MPASID_REGISTERS;
	case MPASID_MEMORY:
		return PAGE_SIZE;
	default:
		return 0;
	}
}

static bool mpasid_access_ok(loff_t pos, size_t count)
{
	u64 offset = pos & GENMASK_ULL(MPASID_REGION_SHIFT - 1, 0);
	size_t size = mpasid_region_size(pos);

	if (offset >= size || count > size - offset)
		return false;
	return pos >> MPASID_REGION_SHIFT ||
	       (count == sizeof(u32) && IS_ALIGNED(offset, sizeof(u32)));
}

static ssize_t mpasid_read(struct vfio_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct mpasid *mpasid = to_mpasid(vdev);
	u32 value;

	if (!mpasid_access_ok(*ppos, count))
		return -EINVAL;
	if (*ppos >> MPASID_REGION_SHIFT) {
		if (copy_to_user(buf, page_address(mpasid->page) +
				 offset_in_page(*ppos), count))
			return -EFAULT;
	} else {
		value = mpasid_register_read(mpasid, *ppos);
		if (copy_to_user(buf, &value, count))
			return -EFAULT;
	}
	*ppos += count;
	return count;
}

static ssize_t mpasid_write(struct vfio_device *vdev, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	struct mpasid *mpasid = to_mpasid(vdev);
	u32 value;

	if (!mpasid_access_ok(*ppos, count))
		return -EINVAL;
	if (*ppos >> MPASID_REGION_SHIFT) {
		if (copy_from_user(page_address(mpasid->page) +
				   offset_in_page(*ppos), buf, count))
			return -EFAULT;
	} else {
		if (copy_from_user(&value, buf, count))
			return -EFAULT;
		mpasid_register_write(mpasid, *ppos, value);
	}
	*ppos += count;
	return count;
}

static long mpasid_get_info(void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	info.flags = 0;
	info.num_regions = MPASID_MEMORY + 1;
	info.num_irqs = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static long mpasid_get_region_info(void __user *arg)
{
	size_t size = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size || info.index > MPASID_MEMORY)
		return -EINVAL;
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info.cap_offset = 0;
	info.offset = (u64)info.index << MPASID_REGION_SHIFT;
	info.size = mpasid_region_size(info.offset);
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static long mpasid_ioctl(struct vfio_device *vdev, unsigned int cmd,
			 unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return mpasid_get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return mpasid_get_region_info((void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int mpasid_open_device(struct vfio_device *vdev)
{
	struct mpasid *mpasid = to_mpasid(vdev);
	struct iommu_owner_pasid_device *open;

	open = iommu_owner_pasid_open(vdev->dev, &mpasid_pasid_ops);
	if (IS_ERR(open))
		return PTR_ERR(open);
	mpasid->open = open;
	return 0;
}

static void mpasid_close_device(struct vfio_device *vdev)
{
	struct mpasid *mpasid = to_mpasid(vdev);

	/* The lock is not held: mpasid_unload() is called */
	iommu_owner_pasid_close(mpasid->open);
	mpasid->address = 0;
	mpasid->faults = 0;
	mpasid->fault_pasid = 0;
	mpasid->fault_reason = 0;
	clear_page(page_address(mpasid->page));
}

static int mpasid_init(struct vfio_device *vdev)
{
	struct mpasid *mpasid = to_mpasid(vdev);
	int ret;

	mutex_init(&mpasid->lock);
	mpasid->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!mpasid->page)
		return -ENOMEM;
	mpasid->domain = iommu_paging_domain_alloc(mpasid_function);
	if (IS_ERR(mpasid->domain)) {
		ret = PTR_ERR(mpasid->domain);
		goto err_page;
	}
	ret = iommu_map(mpasid->domain, 0, page_to_phys(mpasid->page),
			PAGE_SIZE, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
	if (!ret)
		return 0;

	iommu_domain_free(mpasid->domain);
err_page:
	__free_page(mpasid->page);
	return ret;
}

static void mpasid_release(struct vfio_device *vdev)
{
	struct mpasid *mpasid = to_mpasid(vdev);

	iommu_unmap(mpasid->domain, 0, PAGE_SIZE);
	iommu_domain_free(mpasid->domain);
	__free_page(mpasid->page);
	mutex_destroy(&mpasid->lock);
}

static const struct vfio_device_ops mpasid_ops = {
	.name = "mpasid",
	.init = mpasid_init,
	.release = mpasid_release,
	.open_device = mpasid_open_device,
	.close_device = mpasid_close_device,
	.read = mpasid_read,
	.write = mpasid_write,
	.ioctl = mpasid_ioctl,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int mpasid_probe(struct mdev_device *mdev)
{
	struct mpasid *mpasid;
	int ret;

	mpasid = vfio_alloc_device(mpasid, vdev, &mdev->dev, &mpasid_ops);
	if (IS_ERR(mpasid))
		return PTR_ERR(mpasid);
	dev_set_drvdata(&mdev->dev, mpasid);
	ret = vfio_register_emulated_iommu_dev(&mpasid->vdev);
	if (ret)
		vfio_put_device(&mpasid->vdev);
	return ret;
}

static void mpasid_remove(struct mdev_device *mdev)
{
	struct mpasid *mpasid = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&mpasid->vdev);
	vfio_put_device(&mpasid->vdev);
}

static struct mdev_driver mpasid_driver = {
	.device_api = "mpasid",
	.max_instances = 16,
	.driver = {
		.name = "mpasid",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
	.probe = mpasid_probe,
	.remove = mpasid_remove,
};

static struct mdev_type mpasid_type = {
	.sysfs_name = "queue",
	.pretty_name = "A queue that issues DMA with PASIDs",
};

static struct mdev_type *mpasid_types[] = { &mpasid_type };

static struct mdev_parent mpasid_parent;

static int __init mpasid_module_init(void)
{
	int ret;

	mpasid_function = mpasid_hw_create();
	if (IS_ERR(mpasid_function))
		return PTR_ERR(mpasid_function);
	ret = mdev_register_driver(&mpasid_driver);
	if (ret)
		goto err_hw;
	ret = mdev_register_parent(&mpasid_parent, mpasid_function,
				   &mpasid_driver, mpasid_types,
				   ARRAY_SIZE(mpasid_types));
	if (!ret)
		return 0;

	mdev_unregister_driver(&mpasid_driver);
err_hw:
	mpasid_hw_destroy(mpasid_function);
	return ret;
}
module_init(mpasid_module_init);

static void __exit mpasid_module_exit(void)
{
	mdev_unregister_parent(&mpasid_parent);
	mdev_unregister_driver(&mpasid_driver);
	mpasid_hw_destroy(mpasid_function);
}
module_exit(mpasid_module_exit);

MODULE_DESCRIPTION("Mediated devices that issue DMA with PASIDs of their owners");
MODULE_LICENSE("GPL");
