// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a token can see: its owner with groups and devices, and what blocks a
 * claim
 *
 * Each group is described with one look under its mutex, into a buffer, and
 * copied to user space when the mutex is released.
 *
 * The mutex does not order the binding of drivers that manage DMA themselves,
 * and it is inside the lock of the device, which does. So their names are read
 * afterwards, and the look is repeated if the group has changed meanwhile. The
 * owner can change it without end: after some rounds the names are left out.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "token.h"

#define INSPECT_ROUNDS	8

/**
 * struct inspect_entry - A device of one group
 * @info: What user space gets.
 * @dev: The device, if the name of its driver is read outside the mutex; with a
 *	reference until then.
 */
struct inspect_entry {
	struct iommu_owner_device_info info;
	struct device *dev;
};

/**
 * struct inspect - Devices of one group, and where they go
 * @owner: The owner of the token that asks.
 * @to: Array of user space.
 * @size: Size of its elements.
 * @room: Entries that fit there.
 * @count: Entries so far, also those that did not fit.
 * @entries: Entries of one group.
 * @fit: Room in @entries.
 * @used: Entries of that group, also those that did not fit into @entries.
 */
struct inspect {
	struct iommu_owner *owner;
	u64 to;
	u32 size;
	u32 room;
	u32 count;
	struct inspect_entry *entries;
	u32 fit;
	u32 used;
};

DEFINE_FREE(inspect_entries, struct inspect, kvfree(_T.entries))

static int inspect_check_size(const struct inspect *inspect)
{
	if (!inspect->room)
		return 0;
	return iommu_owner_check_element(inspect->size, TOKEN_DEVICE_SIZE);
}

static struct inspect_entry *inspect_add(struct inspect *inspect,
					 struct iommu_group *group)
{
	struct inspect_entry *entry;

	lockdep_assert_held(&group->mutex);

	if (inspect->used++ >= inspect->fit)
		return NULL;
	entry = &inspect->entries[inspect->used - 1];
	memset(entry, 0, sizeof(*entry));
	entry->info.group = group->id;
	entry->info.state = iommu_owner_group_state(group);
	return entry;
}

static void inspect_add_device(struct inspect *inspect,
			       struct iommu_group *group,
			       struct group_device *gdev)
{
	struct inspect_entry *entry = inspect_add(inspect, group);

	if (!entry)
		return;
	strscpy(entry->info.device, dev_name(gdev->dev));
	entry->dev = get_device(gdev->dev);
}

/*
 * Do not wait: the task that has the lock may wait for this one. An unbind of
 * vfio-pci waits until its files are closed.
 */
static void inspect_driver(struct device *dev,
			   struct iommu_owner_device_info *info)
{
	if (!device_trylock(dev)) {
		info->flags |= IOMMU_OWNER_DEVICE_LOCKED;
		return;
	}
	if (dev->driver)
		strscpy(info->driver, dev->driver->name);
	device_unlock(dev);
}

static void inspect_name_drivers(struct inspect *inspect)
{
	u32 used = min(inspect->used, inspect->fit);

	for (u32 i = 0; i < used; i++) {
		struct inspect_entry *entry = &inspect->entries[i];

		if (!entry->dev)
			continue;
		inspect_driver(entry->dev, &entry->info);
		put_device(entry->dev);
	}
}

/* They may not be from the moment of the look. */
static void inspect_drop_drivers(struct inspect *inspect)
{
	u32 used = min(inspect->used, inspect->fit);

	for (u32 i = 0; i < used; i++) {
		struct iommu_owner_device_info *info = &inspect->entries[i].info;

		if (!inspect->entries[i].dev)
			continue;
		memset(info->driver, 0, sizeof(info->driver));
		info->flags |= IOMMU_OWNER_DEVICE_LOCKED;
	}
}

static u64 inspect_generation(struct iommu_group *group)
{
	guard(mutex)(&group->mutex);
	return group->ownership.generation;
}

/* Make room for @inspect->used entries of the next group. */
static int inspect_grow(struct inspect *inspect)
{
	kvfree(inspect->entries);
	inspect->fit = 0;
	inspect->entries = kvmalloc_array(inspect->used,
					  sizeof(*inspect->entries),
					  GFP_KERNEL_ACCOUNT);
	if (!inspect->entries)
		return -ENOMEM;
	inspect->fit = inspect->used;
	return 0;
}

/*
 * Run @look, which fills @inspect, until all that user space has room for has
 * been seen in one look, and the group has not changed since.
 */
static int inspect_group(struct inspect *inspect, struct iommu_group *group,
			 void (*look)(struct inspect *inspect,
				      struct iommu_group *group, void *data),
			 void *data)
{
	u32 left = inspect->room - min(inspect->room, inspect->count);
	unsigned int rounds = 0;
	u64 generation;
	u32 copied;
	int ret;

	for (;;) {
		inspect->used = 0;
		mutex_lock(&group->mutex);
		look(inspect, group, data);
		generation = group->ownership.generation;
		mutex_unlock(&group->mutex);
		inspect_name_drivers(inspect);
		if (min(left, inspect->used) > inspect->fit) {
			ret = inspect_grow(inspect);
			if (ret)
				return ret;
			continue;
		}
		if (inspect_generation(group) == generation)
			break;
		if (++rounds == INSPECT_ROUNDS) {
			inspect_drop_drivers(inspect);
			break;
		}
		cond_resched();
	}

	copied = min(left, inspect->used);
	for (u32 i = 0; i < copied; i++) {
		ret = iommu_owner_put_element(inspect->to, inspect->count + i,
					      inspect->size,
					      &inspect->entries[i].info,
					      sizeof(inspect->entries[i].info));
		if (ret)
			return ret;
	}
	inspect->count += inspect->used;
	return 0;
}

/*
 * inspect_group(): the group itself, and its devices. Its generation is 0 if the
 * owner has lost it meanwhile.
 */
static void inspect_look(struct inspect *inspect, struct iommu_group *group,
			 void *data)
{
	const struct iommu_ownership *own = &group->ownership;
	struct iommu_owner_group_info *info = data;
	struct group_device *gdev;

	memset(info, 0, sizeof(*info));
	if (own->owner != inspect->owner ||
	    own->state == IOMMU_OWNER_STATE_ENDING)
		return;

	for_each_group_device(group, gdev)
		inspect_add_device(inspect, group, gdev);

	info->generation = own->generation;
	info->group = group->id;
	info->state = iommu_owner_group_state(group);
	info->claims = own->claims;
	if (own->reserved)
		info->flags |= IOMMU_OWNER_GROUP_RESERVED;
	info->devices = inspect->used;
}

static void inspect_owner(struct iommu_owner_token *token,
			  struct iommu_owner_get_info *info)
{
	struct iommu_owner *owner = token->owner;

	info->out_rights = token->rights;
	info->out_flags = owner->explicit ? IOMMU_OWNER_INFO_EXPLICIT : 0;
	if (token->only.generation)
		info->out_flags |= IOMMU_OWNER_INFO_ONE_GROUP;
	info->out_claims = 0;
	memset(info->out_name, 0, sizeof(info->out_name));
	strscpy(info->out_name, owner->name);

	guard(spinlock)(&owner->lock);
	if (owner->revoked)
		info->out_flags |= IOMMU_OWNER_INFO_REVOKED;
	info->out_sequence = owner->events;
}

/* Count the groups of @token in @info, and copy those that fit. */
static int inspect_groups(struct iommu_owner_token *token,
			  struct inspect *devices,
			  struct iommu_owner_get_info *info)
{
	struct iommu_owner_group_info entry;
	struct iommu_group *group;
	u32 room = info->nr_groups;
	int id = -1;
	int ret;

	info->nr_groups = 0;
	while ((group = iommu_owner_token_next_group(token, id))) {
		id = group->id;
		ret = inspect_group(devices, group, inspect_look, &entry);
		iommu_group_put(group);
		if (!ret && !entry.generation)
			continue;
		if (!ret && info->nr_groups < room)
			ret = iommu_owner_put_element(info->groups,
						      info->nr_groups,
						      info->group_size, &entry,
						      sizeof(entry));
		if (ret)
			return ret;
		info->nr_groups++;
		info->out_claims += entry.claims;
	}
	return info->nr_groups > room ? -EMSGSIZE : 0;
}

int iommu_owner_cmd_get_info(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_get_info *info = cmd->buf;
	struct inspect devices __free(inspect_entries) = {
		.owner = cmd->token->owner,
		.to = info->devices,
		.size = info->device_size,
		.room = info->nr_devices,
	};
	int ret, err;

	if (info->flags || info->__reserved)
		return -EOPNOTSUPP;
	ret = inspect_check_size(&devices);
	if (!ret && info->nr_groups)
		ret = iommu_owner_check_element(info->group_size,
						TOKEN_GROUP_SIZE);
	if (ret)
		return ret;

	inspect_owner(cmd->token, info);
	ret = inspect_groups(cmd->token, &devices, info);
	if (ret && ret != -EMSGSIZE)
		return ret;
	info->nr_devices = devices.count;
	if (devices.count > devices.room)
		ret = -EMSGSIZE;
	err = iommu_owner_cmd_respond(cmd, sizeof(*info));
	return err ?: ret;
}

/*
 * inspect_group(): what blocks a claim by the owner. A driver that does is
 * recorded under the mutex of the group, and stays for as long.
 */
static void inspect_blockers(struct inspect *inspect, struct iommu_group *group,
			     void *data)
{
	struct group_device *gdev;
	struct inspect_entry *entry;

	if (group->ownership.owner == inspect->owner &&
	    group->ownership.state != IOMMU_OWNER_STATE_ENDING)
		return;
	for_each_group_device(group, gdev) {
		const struct device_driver *driver =
			iommu_owner_blocking_driver(group, gdev);

		if (!driver)
			continue;
		entry = inspect_add(inspect, group);
		if (!entry)
			continue;
		strscpy(entry->info.device, dev_name(gdev->dev));
		strscpy(entry->info.driver, driver->name);
	}
	/* Not because of a driver */
	if (!inspect->used && iommu_owner_group_busy(group))
		inspect_add(inspect, group);
}

static int inspect_check(struct iommu_owner_token *token,
			 struct inspect *blockers,
			 struct iommu_owner_group_ref *groups,
			 struct iommu_owner_check *check)
{
	struct iommu_group *group;
	int ret;

	for (u32 i = 0; i < check->nr_groups; i++) {
		if (!groups[i].generation)
			groups[i].generation = token->only.generation;
		if (!iommu_owner_token_covers(token, groups[i].group,
					      groups[i].generation))
			return -EPERM;
	}
	for (u32 i = 0; i < check->nr_groups; i++) {
		ret = iommu_owner_find_group(&groups[i], &group);
		if (ret) {
			check->out_group = groups[i].group;
			return ret;
		}
		ret = inspect_group(blockers, group, inspect_blockers, NULL);
		iommu_group_put(group);
		if (ret)
			return ret;
	}
	return 0;
}

int iommu_owner_cmd_check(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_check *check = cmd->buf;
	struct inspect blockers __free(inspect_entries) = {
		.owner = cmd->token->owner,
		.to = check->blockers,
		.size = check->blocker_size,
		.room = check->nr_blockers,
	};
	struct iommu_owner_group_ref *groups __free(kvfree) = NULL;
	int ret, err;

	if (check->flags || check->__reserved)
		return -EOPNOTSUPP;
	ret = inspect_check_size(&blockers);
	if (ret)
		return ret;
	ret = iommu_owner_copy_groups(&groups, check->groups, check->nr_groups,
				      check->group_size);
	if (ret)
		return ret;

	ret = inspect_check(cmd->token, &blockers, groups, check);
	if (ret && ret != -ENODEV && ret != -ESTALE)
		return ret;
	if (!ret) {
		check->nr_blockers = blockers.count;
		if (blockers.count > blockers.room)
			ret = -EMSGSIZE;
	}
	err = iommu_owner_cmd_respond(cmd, sizeof(*check));
	return err ?: ret;
}
