// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpasid: a function that issues DMA with PASIDs, and the IOMMU that it is behind
 *
 * A driver of real hardware has nothing of this. The DMA is a copy, to where the IOMMU
 * translates the address: what is not attached to the PASID is not reached.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../../drivers/iommu/iommu-priv.h"
#include "mpasid-hw.h"

#define HW_PASID_BITS	20

/**
 * struct hw_function - The function
 * @dev: The device.
 * @lock: Makes one step of a DMA: nothing is in flight when a PASID was detached.
 * @pasids: The &struct hw_domain of each PASID. Protected by @lock.
 */
struct hw_function {
	struct device dev;
	struct mutex lock;	/* of @pasids */
	struct xarray pasids;
};

/**
 * struct hw_domain - A page table
 * @domain: The domain.
 * @pages: The number of the page that each page of DMA addresses is mapped to.
 */
struct hw_domain {
	struct iommu_domain domain;
	struct xarray pages;
};

static struct iommu_device hw_iommu;
static struct notifier_block hw_nb;

static const struct bus_type hw_bus = {
	.name = "mpasid",
};

static struct hw_function *to_function(struct device *dev)
{
	return container_of(dev, struct hw_function, dev);
}

static struct hw_domain *to_hw_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct hw_domain, domain);
}

/* Only PASIDs do DMA. */
static int hw_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	return 0;
}

static int hw_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
			    ioasid_t pasid, struct iommu_domain *old)
{
	struct hw_function *function = to_function(dev);

	guard(mutex)(&function->lock);
	return xa_err(xa_store(&function->pasids, pasid, to_hw_domain(domain),
			       GFP_KERNEL));
}

static int hw_block_dev_pasid(struct iommu_domain *domain, struct device *dev,
			      ioasid_t pasid, struct iommu_domain *old)
{
	struct hw_function *function = to_function(dev);

	guard(mutex)(&function->lock);
	xa_erase(&function->pasids, pasid);
	return 0;
}

static int hw_map_pages(struct iommu_domain *domain, unsigned long iova,
			phys_addr_t paddr, size_t pgsize, size_t pgcount,
			int prot, gfp_t gfp, size_t *mapped)
{
	struct hw_domain *hdomain = to_hw_domain(domain);
	int ret;

	for (*mapped = 0; pgcount--; *mapped += pgsize) {
		ret = xa_err(xa_store(&hdomain->pages,
				      (iova + *mapped) >> PAGE_SHIFT,
				      xa_mk_value((paddr + *mapped) >> PAGE_SHIFT),
				      gfp));
		if (ret)
			return ret;
	}
	return 0;
}

static size_t hw_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			     size_t pgsize, size_t pgcount,
			     struct iommu_iotlb_gather *gather)
{
	size_t unmapped;

	for (unmapped = 0; pgcount--; unmapped += pgsize)
		xa_erase(&to_hw_domain(domain)->pages,
			 (iova + unmapped) >> PAGE_SHIFT);
	return unmapped;
}

static phys_addr_t hw_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	void *entry = xa_load(&to_hw_domain(domain)->pages, iova >> PAGE_SHIFT);

	return entry ? PFN_PHYS(xa_to_value(entry)) + offset_in_page(iova) : 0;
}

static void hw_domain_free(struct iommu_domain *domain)
{
	xa_destroy(&to_hw_domain(domain)->pages);
	kfree(to_hw_domain(domain));
}

static const struct iommu_domain_ops hw_paging_ops = {
	.attach_dev = hw_attach_dev,
	.set_dev_pasid = hw_set_dev_pasid,
	.map_pages = hw_map_pages,
	.unmap_pages = hw_unmap_pages,
	.iova_to_phys = hw_iova_to_phys,
	.free = hw_domain_free,
};

static struct iommu_domain *hw_domain_alloc_paging(struct device *dev)
{
	struct hw_domain *hdomain = kzalloc(sizeof(*hdomain), GFP_KERNEL);

	if (!hdomain)
		return NULL;
	xa_init(&hdomain->pages);
	hdomain->domain.geometry.aperture_end = U32_MAX;
	hdomain->domain.geometry.force_aperture = true;
	return &hdomain->domain;
}

static struct iommu_domain hw_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = hw_attach_dev,
		.set_dev_pasid = hw_block_dev_pasid,
	},
};

static struct iommu_domain hw_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = hw_attach_dev,
	},
};

static int hw_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static struct iommu_device *hw_probe_device(struct device *dev)
{
	return &hw_iommu;
}

static const struct iommu_ops hw_ops = {
	.identity_domain = &hw_identity_domain,
	.blocked_domain = &hw_blocked_domain,
	.def_domain_type = hw_def_domain_type,
	.domain_alloc_paging = hw_domain_alloc_paging,
	.probe_device = hw_probe_device,
	.device_group = generic_device_group,
	.default_domain_ops = &hw_paging_ops,
	.pgsize_bitmap = PAGE_SIZE,
	/* No owner: behind it is the device of this module only, which would pin it */
};

/* Read or write @value at @address; -EFAULT if the IOMMU does not translate that. */
int mpasid_hw_dma(struct device *dev, u32 pasid, u64 address, u32 *value,
		  bool write)
{
	struct hw_function *function = to_function(dev);
	struct hw_domain *hdomain;
	phys_addr_t phys;
	u32 *data;

	guard(mutex)(&function->lock);
	hdomain = xa_load(&function->pasids, pasid);
	phys = hdomain ? hw_iova_to_phys(&hdomain->domain, address) : 0;
	if (!phys || !IS_ALIGNED(phys, sizeof(*data)))
		return -EFAULT;
	data = kmap_local_page(pfn_to_page(PHYS_PFN(phys))) +
	       offset_in_page(phys);
	if (write)
		WRITE_ONCE(*data, *value);
	else
		*value = READ_ONCE(*data);
	kunmap_local(data);
	return 0;
}

static void hw_release(struct device *dev)
{
	xa_destroy(&to_function(dev)->pasids);
	kfree(to_function(dev));
}

static int hw_register_iommu(void)
{
	int ret;

	hw_iommu.fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(hw_iommu.fwnode))
		return PTR_ERR(hw_iommu.fwnode);
	ret = iommu_device_sysfs_add(&hw_iommu, NULL, NULL, "mpasid-iommu");
	if (ret)
		goto err_fwnode;
	hw_iommu.max_pasids = 1U << HW_PASID_BITS;
	ret = iommu_device_register_bus(&hw_iommu, &hw_ops, &hw_bus, &hw_nb);
	if (!ret)
		return 0;

	iommu_device_sysfs_remove(&hw_iommu);
err_fwnode:
	fwnode_remove_software_node(hw_iommu.fwnode);
	return ret;
}

static void hw_unregister_iommu(void)
{
	iommu_device_unregister_bus(&hw_iommu, &hw_bus, &hw_nb);
	iommu_device_sysfs_remove(&hw_iommu);
	fwnode_remove_software_node(hw_iommu.fwnode);
}

static struct device *hw_add_function(void)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", HW_PASID_BITS),
		{ }
	};
	struct hw_function *function = kzalloc(sizeof(*function), GFP_KERNEL);
	int ret;

	if (!function)
		return ERR_PTR(-ENOMEM);
	mutex_init(&function->lock);
	xa_init(&function->pasids);
	device_initialize(&function->dev);
	function->dev.bus = &hw_bus;
	function->dev.release = hw_release;
	ret = dev_set_name(&function->dev, "mpasid");
	if (!ret)
		ret = device_create_managed_software_node(&function->dev,
							  properties, NULL);
	if (!ret)
		ret = iommu_device_add_mock(&hw_iommu, &function->dev);
	if (!ret)
		return &function->dev;
	put_device(&function->dev);
	return ERR_PTR(ret);
}

/* The function, behind its IOMMU, or an ERR_PTR */
struct device *mpasid_hw_create(void)
{
	struct device *dev;
	int ret;

	ret = bus_register(&hw_bus);
	if (ret)
		return ERR_PTR(ret);
	ret = hw_register_iommu();
	if (ret)
		goto err_bus;
	dev = hw_add_function();
	if (!IS_ERR(dev))
		return dev;

	ret = PTR_ERR(dev);
	hw_unregister_iommu();
err_bus:
	bus_unregister(&hw_bus);
	return ERR_PTR(ret);
}

void mpasid_hw_destroy(struct device *dev)
{
	device_unregister(dev);
	hw_unregister_iommu();
	bus_unregister(&hw_bus);
}
