// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reservations through a token: all groups or none
 *
 * The reserve lock of the owner makes one step of it: what one token takes back
 * because it could not have all groups is not what another token has reserved.
 */
#include <linux/cleanup.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "claim.h"
#include "token.h"

/* The caller frees @groups with kvfree(). */
int iommu_owner_copy_groups(u32 **groups, u64 from, u32 count, u32 min)
{
	u32 *copy __free(kvfree) = NULL;

	if (count < min || count > IOMMU_OWNER_GROUPS_MAX)
		return -EINVAL;
	copy = kvmalloc_array(count ?: 1, sizeof(*copy), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	if (copy_from_user(copy, u64_to_user_ptr(from), count * sizeof(*copy)))
		return -EFAULT;
	*groups = no_free_ptr(copy);
	return 0;
}

static int reserve_one(struct iommu_owner *owner, u32 id)
{
	struct iommu_group *group = iommu_group_get_by_id(id);
	int ret;

	if (!group)
		return -ENODEV;
	ret = iommu_owner_reserve(owner, group, owner->explicit);
	iommu_group_put(group);
	return ret;
}

/* The group of @owner with this number, with a reference, or NULL */
static struct iommu_group *own_group(struct iommu_owner *owner, u32 id)
{
	struct iommu_group *group;

	if (id > INT_MAX)
		return NULL;
	group = iommu_owner_next_group(owner, (int)id - 1);
	if (group && group->id == id)
		return group;
	iommu_group_put(group);
	return NULL;
}

static void unreserve_one(struct iommu_owner *owner, u32 id)
{
	struct iommu_group *group = own_group(owner, id);

	if (!group)
		return;
	iommu_owner_unreserve_group(owner, group);
	iommu_group_put(group);
}

static bool has_reserved(struct iommu_owner *owner, u32 id)
{
	struct iommu_group *group = own_group(owner, id);
	bool reserved;

	if (!group)
		return false;
	mutex_lock(&group->mutex);
	reserved = group->ownership.owner == owner && group->ownership.reserved;
	mutex_unlock(&group->mutex);
	iommu_group_put(group);
	return reserved;
}

/* Keep in front of @groups, which has @count entries, those that are new. */
static int reserve_all(struct iommu_owner *owner, u32 *groups, u32 count,
		       u32 *failed)
{
	u32 fresh = 0;
	int ret = 0;

	guard(mutex)(&owner->reserve_lock);
	for (u32 i = 0; i < count; i++) {
		ret = reserve_one(owner, groups[i]);
		if (ret < 0) {
			*failed = groups[i];
			break;
		}
		if (ret)
			groups[fresh++] = groups[i];
	}
	if (ret >= 0)
		return 0;
	while (fresh)
		unreserve_one(owner, groups[--fresh]);
	return ret;
}

static int release_named(struct iommu_owner *owner, const u32 *groups,
			 u32 count, u32 *failed)
{
	guard(mutex)(&owner->reserve_lock);
	for (u32 i = 0; i < count; i++) {
		if (!has_reserved(owner, groups[i])) {
			*failed = groups[i];
			return -ENOENT;
		}
	}
	for (u32 i = 0; i < count; i++)
		unreserve_one(owner, groups[i]);
	return 0;
}

static void unreserve_all(struct iommu_owner *owner)
{
	struct iommu_group *group;
	int id = -1;

	lockdep_assert_held(&owner->reserve_lock);

	while ((group = iommu_owner_next_group(owner, id))) {
		id = group->id;
		iommu_owner_unreserve_group(owner, group);
		iommu_group_put(group);
	}
}

static bool has_reservers(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	return owner->reservers;
}

/* Nobody is there any more who could release what @owner has reserved. */
void iommu_owner_unreserve_all(struct iommu_owner *owner)
{
	guard(mutex)(&owner->reserve_lock);
	if (!has_reservers(owner))
		unreserve_all(owner);
}

int iommu_owner_cmd_reserve(struct iommu_owner_cmd *cmd)
{
	u32 *groups __free(kvfree) = NULL;
	struct iommu_owner_reserve *reserve = cmd->buf;
	int ret, err;

	if (reserve->flags)
		return -EOPNOTSUPP;
	ret = iommu_owner_copy_groups(&groups, reserve->groups,
				      reserve->nr_groups, 1);
	if (ret)
		return ret;
	ret = reserve_all(cmd->token->owner, groups, reserve->nr_groups,
			  &reserve->out_group);
	if (!ret)
		return 0;
	err = iommu_owner_cmd_respond(cmd, sizeof(*reserve));
	return err ?: ret;
}

int iommu_owner_cmd_release(struct iommu_owner_cmd *cmd)
{
	u32 *groups __free(kvfree) = NULL;
	struct iommu_owner_release *release = cmd->buf;
	struct iommu_owner *owner = cmd->token->owner;
	int ret, err;

	if (release->flags & ~IOMMU_OWNER_RELEASE_ALL)
		return -EOPNOTSUPP;
	if (release->flags & IOMMU_OWNER_RELEASE_ALL) {
		if (release->nr_groups || release->groups)
			return -EINVAL;
		guard(mutex)(&owner->reserve_lock);
		unreserve_all(owner);
		return 0;
	}
	ret = iommu_owner_copy_groups(&groups, release->groups,
				      release->nr_groups, 1);
	if (ret)
		return ret;
	ret = release_named(owner, groups, release->nr_groups,
			    &release->out_group);
	if (!ret)
		return 0;
	err = iommu_owner_cmd_respond(cmd, sizeof(*release));
	return err ?: ret;
}
