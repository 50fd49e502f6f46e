// SPDX-License-Identifier: GPL-2.0-only
/* The evidence of a device that a TSM has locked, by ioctl on /dev/iommu-owner */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "token.h"
#include "view.h"

static struct device *evidence_find_device(const struct iommu_owner_evidence *cmd)
{
	struct iommu_group *group = iommu_group_get_by_id(cmd->group);
	struct device *dev = NULL;
	struct group_device *gdev;

	if (!group)
		return NULL;
	mutex_lock(&group->mutex);
	for_each_group_device(group, gdev)
		if (!strncmp(dev_name(gdev->dev), cmd->device,
			     IOMMU_OWNER_DEVICE_LEN)) {
			dev = get_device(gdev->dev);
			break;
		}
	mutex_unlock(&group->mutex);
	iommu_group_put(group);
	return dev;
}

static int evidence_check(const struct iommu_owner_evidence *cmd)
{
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->kind > IOMMU_OWNER_EVIDENCE_REPORT || !cmd->length ||
	    cmd->length > IOMMU_OWNER_EVIDENCE_MAX || cmd->group > INT_MAX ||
	    !memchr(cmd->device, 0, IOMMU_OWNER_DEVICE_LEN))
		return -EINVAL;
	return 0;
}

/* What the caller gets is written only when nothing can fail any more but a fault. */
static int evidence_read(struct iommu_owner_evidence *cmd)
{
	u32 kind = array_index_nospec(cmd->kind, IOMMU_OWNER_EVIDENCE_REPORT + 1);
	u64 generation = cmd->generation;
	u64 total;
	ssize_t ret;
	struct device *dev __free(put_device) = NULL;
	void *buf __free(kvfree) = NULL;

	dev = evidence_find_device(cmd);
	if (!dev)
		return -ENODEV;
	buf = kvzalloc(cmd->length, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	ret = iommu_view_evidence(dev, kind, &generation, cmd->offset, buf,
				  cmd->length, &total);
	if (ret < 0)
		return ret;
	if (copy_to_user(u64_to_user_ptr(cmd->data), buf, ret))
		return -EFAULT;
	cmd->generation = generation;
	cmd->length = ret;
	cmd->out_total = total;
	return 0;
}

static int evidence_ioctl(void __user *arg)
{
	struct iommu_owner_evidence evidence = {};
	struct iommu_owner_cmd cmd = { .arg = arg, .buf = &evidence };
	int ret;

	ret = iommu_owner_cmd_copy(&cmd, sizeof(evidence),
				   offsetofend(struct iommu_owner_evidence,
					       device));
	if (!ret)
		ret = evidence_check(&evidence);
	if (!ret)
		ret = evidence_read(&evidence);
	return ret ?: iommu_owner_cmd_respond(&cmd, sizeof(evidence));
}

static const struct iommu_owner_token_op evidence_op __initconst = {
	.nr = IOMMU_OWNER_EVIDENCE,
	.size = sizeof(struct iommu_owner_evidence),
	.device = evidence_ioctl,
};

static int __init evidence_init(void)
{
	iommu_owner_add_token_op(&evidence_op);
	return 0;
}
core_initcall(evidence_init);
