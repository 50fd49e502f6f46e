// SPDX-License-Identifier: GPL-2.0-only
/*
 * Try drivers again on the devices that were refused one while their group had
 * an owner. Off unless the administrator asks for it: the tools that unbind a
 * device from VFIO bind the next driver themselves.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "owner.h"

static bool reprobe;
module_param(reprobe, bool, 0644);
MODULE_PARM_DESC(reprobe,
		 "Probe drivers that were refused while the group had an owner when it has none any more");

struct reprobe {
	struct work_struct work;
	struct iommu_group *group;
};

static struct group_device *refused_device(struct iommu_group *group)
{
	struct group_device *gdev;

	lockdep_assert_held(&group->mutex);

	for_each_group_device(group, gdev)
		if (gdev->refused)
			return gdev;
	return NULL;
}

static struct device *next_refused(struct iommu_group *group)
{
	struct group_device *gdev;

	guard(mutex)(&group->mutex);
	if (iommu_owner_dma_blocked(group))
		return NULL;
	gdev = refused_device(group);
	if (!gdev)
		return NULL;
	gdev->refused = false;
	return get_device(gdev->dev);
}

static void reprobe_work(struct work_struct *work)
{
	struct reprobe *job = container_of(work, struct reprobe, work);
	struct device *dev;

	while ((dev = next_refused(job->group))) {
		if (device_attach(dev) < 0)
			dev_dbg(dev, "iommu-owner: probing again failed\n");
		put_device(dev);
	}
	iommu_group_put(job->group);
	kfree(job);
}

/* The group is free of its owner. The probes wait until its mutex is released. */
void iommu_owner_reprobe(struct iommu_group *group)
{
	struct reprobe *job;

	lockdep_assert_held(&group->mutex);

	if (!READ_ONCE(reprobe) || !refused_device(group))
		return;

	job = kmalloc(sizeof(*job), GFP_KERNEL);
	if (!job)
		return;
	INIT_WORK(&job->work, reprobe_work);
	job->group = iommu_group_ref_get(group);
	queue_work(system_unbound_wq, &job->work);
}
