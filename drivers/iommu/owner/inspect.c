// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a token can see: its owner with groups and devices, and what is in the
 * way of a claim
 *
 * Each group is told with one look under its mutex, into a buffer, and copied
 * to user space when the mutex is released.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "token.h"

/**
 * struct list - Devices of one group, and where they go
 * @to: Array of user space.
 * @room: Entries that fit there.
 * @count: Entries so far, also those that did not fit.
 * @buf: Entries of one group.
 * @size: Room in @buf.
 * @used: Entries of that group, also those that did not fit into @buf.
 */
struct list {
	struct iommu_owner_device_info __user *to;
	u32 room;
	u32 count;
	struct iommu_owner_device_info *buf;
	u32 size;
	u32 used;
};

DEFINE_FREE(list_buf, struct list, kvfree(_T.buf))

/* A driver is freed after the grace period in which its module goes. */
static void copy_driver_name(struct iommu_owner_device_info *info,
			     struct device *dev)
{
	const struct device_driver *driver;

	guard(rcu)();
	driver = READ_ONCE(dev->driver);
	if (driver)
		strscpy(info->driver, driver->name);
}

static struct iommu_owner_device_info *add_entry(struct list *list,
						 struct iommu_group *group)
{
	struct iommu_owner_device_info *info;

	lockdep_assert_held(&group->mutex);

	if (list->used++ >= list->size)
		return NULL;
	info = &list->buf[list->used - 1];
	memset(info, 0, sizeof(*info));
	info->group = group->id;
	info->state = iommu_owner_group_state(group);
	return info;
}

static void add_device(struct list *list, struct iommu_group *group,
		       struct group_device *gdev)
{
	struct iommu_owner_device_info *info = add_entry(list, group);

	if (!info)
		return;
	strscpy(info->device, dev_name(gdev->dev));
	copy_driver_name(info, gdev->dev);
}

/* Make room for @list->used entries of the next group. */
static int grow(struct list *list)
{
	kvfree(list->buf);
	list->size = 0;
	list->buf = kvmalloc_array(list->used, sizeof(*list->buf),
				   GFP_KERNEL_ACCOUNT);
	if (!list->buf)
		return -ENOMEM;
	list->size = list->used;
	return 0;
}

/*
 * Run @look, which fills @list, until all that user space has room for has been
 * seen in one look.
 */
static int look_at(struct list *list, struct iommu_group *group,
		   void (*look)(struct list *list, struct iommu_group *group,
				void *data), void *data)
{
	u32 left = list->room - min(list->room, list->count);
	u32 copied;
	int ret;

	for (;;) {
		list->used = 0;
		mutex_lock(&group->mutex);
		look(list, group, data);
		mutex_unlock(&group->mutex);
		if (min(left, list->used) <= list->size)
			break;
		ret = grow(list);
		if (ret)
			return ret;
	}

	copied = min(left, list->used);
	if (copy_to_user(list->to + list->count, list->buf,
			 array_size(copied, sizeof(*list->buf))))
		return -EFAULT;
	list->count += list->used;
	return 0;
}

/* look_at(): the group itself, and its devices */
static void look_group(struct list *list, struct iommu_group *group, void *data)
{
	const struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_group_info *info = data;
	struct group_device *gdev;

	for_each_group_device(group, gdev)
		add_device(list, group, gdev);

	memset(info, 0, sizeof(*info));
	info->generation = own->generation;
	info->group = group->id;
	info->state = iommu_owner_group_state(group);
	info->claims = own->claims;
	if (own->reserved)
		info->flags |= IOMMU_OWNER_GROUP_RESERVED;
	info->devices = list->used;
}

static void describe_owner(struct iommu_owner_token *token,
			   struct iommu_owner_get_info *info)
{
	struct iommu_owner *owner = token->owner;

	info->out_rights = token->rights;
	info->out_flags = owner->explicit ? IOMMU_OWNER_INFO_EXPLICIT : 0;
	info->out_claims = 0;
	memset(info->out_name, 0, sizeof(info->out_name));
	strscpy(info->out_name, owner->name);

	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		info->out_flags |= IOMMU_OWNER_INFO_REVOKED;
	info->out_sequence = owner->events;
}

/* Count the groups of the owner in @info, and copy those that fit. */
static int list_groups(struct iommu_owner *owner, struct list *devices,
		       struct iommu_owner_get_info *info)
{
	struct iommu_owner_group_info __user *to =
		u64_to_user_ptr(info->groups);
	struct iommu_owner_group_info entry;
	struct iommu_group *group;
	u32 room = info->nr_groups;
	int id = -1;
	int ret;

	info->nr_groups = 0;
	while ((group = iommu_owner_next_group(owner, id))) {
		id = group->id;
		ret = look_at(devices, group, look_group, &entry);
		iommu_group_put(group);
		if (ret)
			return ret;
		if (info->nr_groups < room &&
		    copy_to_user(to + info->nr_groups, &entry, sizeof(entry)))
			return -EFAULT;
		info->nr_groups++;
		info->out_claims += entry.claims;
	}
	return info->nr_groups > room ? -EMSGSIZE : 0;
}

int iommu_owner_cmd_get_info(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_get_info *info = cmd->buf;
	struct list devices __free(list_buf) = {
		.to = u64_to_user_ptr(info->devices),
		.room = info->nr_devices,
	};
	int ret, err;

	if (info->flags || info->__reserved)
		return -EOPNOTSUPP;

	describe_owner(cmd->token, info);
	ret = list_groups(cmd->token->owner, &devices, info);
	if (ret && ret != -EMSGSIZE)
		return ret;
	info->nr_devices = devices.count;
	if (devices.count > devices.room)
		ret = -EMSGSIZE;
	err = iommu_owner_cmd_respond(cmd, sizeof(*info));
	return err ?: ret;
}

/* look_at(): what is in the way of a claim by the owner @data */
static void look_blockers(struct list *list, struct iommu_group *group,
			  void *data)
{
	struct group_device *gdev;
	struct iommu_owner_device_info *info;

	if (group->ownership.owner == data &&
	    group->ownership.state != IOMMU_OWNER_STATE_ENDING)
		return;
	for_each_group_device(group, gdev) {
		const struct device_driver *driver =
			iommu_owner_blocking_driver(group, gdev);

		if (!driver)
			continue;
		info = add_entry(list, group);
		if (!info)
			continue;
		strscpy(info->device, dev_name(gdev->dev));
		strscpy(info->driver, driver->name);
	}
	/* No driver is to blame */
	if (!list->used && iommu_owner_group_busy(group))
		add_entry(list, group);
}

static int check_groups(struct iommu_owner *owner, struct list *blockers,
			const u32 *groups, struct iommu_owner_check *check)
{
	struct iommu_group *group;
	int ret = 0;

	for (u32 i = 0; i < check->nr_groups && !ret; i++) {
		group = iommu_group_get_by_id(groups[i]);
		if (!group) {
			check->out_group = groups[i];
			return -ENODEV;
		}
		ret = look_at(blockers, group, look_blockers, owner);
		iommu_group_put(group);
	}
	return ret;
}

int iommu_owner_cmd_check(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_check *check = cmd->buf;
	struct list blockers __free(list_buf) = {
		.to = u64_to_user_ptr(check->blockers),
		.room = check->nr_blockers,
	};
	u32 *groups __free(kvfree) = NULL;
	int ret, err;

	if (check->flags || check->__reserved)
		return -EOPNOTSUPP;
	ret = iommu_owner_copy_groups(&groups, check->groups,
				      check->nr_groups, 1);
	if (ret)
		return ret;

	ret = check_groups(cmd->token->owner, &blockers, groups, check);
	if (ret && ret != -ENODEV)
		return ret;
	check->nr_blockers = blockers.count;
	if (!ret && blockers.count > blockers.room)
		ret = -EMSGSIZE;
	err = iommu_owner_cmd_respond(cmd, sizeof(*check));
	return err ?: ret;
}
