// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probe drivers again on the devices that were refused one while their group had
 * an owner, or was not trusted. The former is off unless the administrator asks for
 * it: the tools that unbind a device from VFIO bind the next driver themselves.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "owner.h"

static bool reprobe;
module_param(reprobe, bool, 0644);
MODULE_PARM_DESC(reprobe,
		 "Probe drivers that were refused while the group had an owner when it has none any more");

/**
 * struct reprobe - Devices to be probed once more
 * @work: Does it; the mutex of the group is not held then.
 * @count: Number of @devs.
 * @devs: The devices, with references.
 */
struct reprobe {
	struct work_struct work;
	unsigned int count;
	struct device *devs[] __counted_by(count);
};

static void reprobe_work(struct work_struct *work)
{
	struct reprobe *job = container_of(work, struct reprobe, work);

	for (unsigned int i = 0; i < job->count; i++) {
		if (device_attach(job->devs[i]) < 0)
			dev_dbg(job->devs[i],
				"iommu-owner: probing again failed\n");
		put_device(job->devs[i]);
	}
	kfree(job);
}

static unsigned int reprobe_count(struct iommu_group *group)
{
	struct group_device *gdev;
	unsigned int count = 0;

	for_each_group_device(group, gdev)
		count += gdev->refused;
	return count;
}

/*
 * Probe drivers again that @group has refused. A device that is refused again, because
 * the first driver has attached a domain of its own, waits for the next end.
 */
void iommu_owner_reprobe(struct iommu_group *group)
{
	struct group_device *gdev;
	struct reprobe *job;
	unsigned int count;

	lockdep_assert_held(&group->mutex);

	count = reprobe_count(group);
	if (!count)
		return;
	job = kzalloc(struct_size(job, devs, count), GFP_KERNEL);
	if (!job)
		return;
	INIT_WORK(&job->work, reprobe_work);
	job->count = count;
	count = 0;
	for_each_group_device(group, gdev) {
		if (!gdev->refused)
			continue;
		gdev->refused = false;
		job->devs[count++] = get_device(gdev->dev);
	}
	queue_work(system_unbound_wq, &job->work);
}

static void reprobe_returned(struct iommu_group *group)
{
	if (READ_ONCE(reprobe))
		iommu_owner_reprobe(group);
}

static const struct iommu_owner_concept reprobe_concept = {
	.returned = reprobe_returned,
};

static int __init reprobe_init(void)
{
	iommu_owner_add_concept(&reprobe_concept);
	return 0;
}
core_initcall(reprobe_init);
