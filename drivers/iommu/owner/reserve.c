// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reservations through a token: all groups or none
 *
 * The reserve lock of the owner makes one step of it: what one token gives up
 * because it could not get all groups is not what another token has reserved.
 * Groups that are given up end together, after the lock is released.
 */
#include <linux/cleanup.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "claim.h"
#include "end.h"
#include "token.h"

static int reserve_one(struct iommu_owner *owner,
		       const struct iommu_owner_group_ref *ref, bool may_acquire)
{
	struct iommu_group *group;
	int ret;

	ret = iommu_owner_find_group(ref, &group);
	if (ret)
		return ret;
	ret = iommu_owner_reserve(owner, group, may_acquire);
	iommu_group_put(group);
	return ret;
}

/* The group of @owner with this number, with a reference, or NULL */
static struct iommu_group *reserve_find(struct iommu_owner *owner, u32 id)
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

static void reserve_release_one(struct iommu_owner_teardown *teardown, u32 id)
{
	struct iommu_group *group = reserve_find(teardown->owner, id);

	if (!group)
		return;
	iommu_owner_unreserve(teardown, group);
	iommu_group_put(group);
}

/* Has @owner reserved the group of @ref? -ENOENT, or -ESTALE for another one */
static int reserve_check(struct iommu_owner *owner,
			 const struct iommu_owner_group_ref *ref)
{
	struct iommu_group *group = reserve_find(owner, ref->group);
	bool reserved;
	int ret;

	if (!group)
		return -ENOENT;
	mutex_lock(&group->mutex);
	reserved = group->ownership.owner == owner && group->ownership.reserved;
	mutex_unlock(&group->mutex);
	ret = reserved ? iommu_owner_check_ref(group, ref) : -ENOENT;
	iommu_group_put(group);
	return ret;
}

/* Keep in front of @groups, which has @count entries, those that are new. */
static int reserve_all(struct iommu_owner_teardown *teardown,
		       struct iommu_owner_group_ref *groups, u32 count,
		       bool may_acquire, u32 *failed)
{
	struct iommu_owner *owner = teardown->owner;
	u32 fresh = 0;
	int ret = 0;

	lockdep_assert_held(&owner->reserve_lock);

	for (u32 i = 0; i < count; i++) {
		/* Each may complete the end of an ownership first */
		ret = fatal_signal_pending(current) ? -EINTR :
		      reserve_one(owner, &groups[i], may_acquire);
		if (ret < 0) {
			*failed = groups[i].group;
			break;
		}
		if (ret)
			groups[fresh++] = groups[i];
	}
	if (ret >= 0)
		return 0;
	while (fresh)
		reserve_release_one(teardown, groups[--fresh].group);
	return ret;
}

static int
reserve_release_named(struct iommu_owner_teardown *teardown,
		      const struct iommu_owner_group_ref *groups, u32 count,
		      u32 *failed)
{
	struct iommu_owner *owner = teardown->owner;
	int ret;

	lockdep_assert_held(&owner->reserve_lock);

	for (u32 i = 0; i < count; i++) {
		ret = reserve_check(owner, &groups[i]);
		if (ret) {
			*failed = groups[i].group;
			return ret;
		}
	}
	for (u32 i = 0; i < count; i++)
		reserve_release_one(teardown, groups[i].group);
	return 0;
}

static void reserve_release_all(struct iommu_owner_teardown *teardown)
{
	struct iommu_owner *owner = teardown->owner;
	struct iommu_group *group;
	int id = -1;

	lockdep_assert_held(&owner->reserve_lock);

	while ((group = iommu_owner_next_group(owner, id))) {
		id = group->id;
		iommu_owner_unreserve(teardown, group);
		iommu_group_put(group);
	}
}

static bool reserve_has_tokens(struct iommu_owner *owner)
{
	guard(spinlock)(&owner->lock);
	return owner->reservers;
}

/* No token is left that could release what @owner has reserved. */
void iommu_owner_unreserve_all(struct iommu_owner *owner)
{
	struct iommu_owner_teardown teardown;

	iommu_owner_init_teardown(&teardown, owner, IOMMU_OWNER_REASON_RELEASED);
	scoped_guard(mutex, &owner->reserve_lock)
		if (!reserve_has_tokens(owner))
			reserve_release_all(&teardown);
	iommu_owner_finish(&teardown);
}

int iommu_owner_cmd_reserve(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_group_ref *groups __free(kvfree) = NULL;
	struct iommu_owner_reserve *reserve = cmd->buf;
	struct iommu_owner_token *token = cmd->token;
	struct iommu_owner_teardown teardown;
	int ret, err;

	if (reserve->flags || reserve->__reserved)
		return -EOPNOTSUPP;
	ret = iommu_owner_copy_groups(&groups, reserve->groups,
				      reserve->nr_groups, reserve->group_size);
	if (ret)
		return ret;
	iommu_owner_init_teardown(&teardown, token->owner,
				  IOMMU_OWNER_REASON_RELEASED);
	if (mutex_lock_killable(&token->owner->reserve_lock))
		return -EINTR;
	ret = reserve_all(&teardown, groups, reserve->nr_groups,
			  token->rights & IOMMU_OWNER_RIGHT_TAKE,
			  &reserve->out_group);
	mutex_unlock(&token->owner->reserve_lock);
	iommu_owner_finish(&teardown);
	if (!ret)
		return 0;
	err = iommu_owner_cmd_respond(cmd, sizeof(*reserve));
	return err ?: ret;
}

int iommu_owner_cmd_release(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_group_ref *groups __free(kvfree) = NULL;
	struct iommu_owner_release *release = cmd->buf;
	struct iommu_owner *owner = cmd->token->owner;
	struct iommu_owner_teardown teardown;
	int ret, err;

	if ((release->flags & ~IOMMU_OWNER_RELEASE_ALL) || release->__reserved)
		return -EOPNOTSUPP;
	iommu_owner_init_teardown(&teardown, owner, IOMMU_OWNER_REASON_RELEASED);
	if (release->flags & IOMMU_OWNER_RELEASE_ALL) {
		if (release->nr_groups || release->groups)
			return -EINVAL;
		if (mutex_lock_killable(&owner->reserve_lock))
			return -EINTR;
		reserve_release_all(&teardown);
		mutex_unlock(&owner->reserve_lock);
		iommu_owner_finish(&teardown);
		return 0;
	}
	ret = iommu_owner_copy_groups(&groups, release->groups,
				      release->nr_groups, release->group_size);
	if (ret)
		return ret;
	if (mutex_lock_killable(&owner->reserve_lock))
		return -EINTR;
	ret = reserve_release_named(&teardown, groups, release->nr_groups,
				    &release->out_group);
	mutex_unlock(&owner->reserve_lock);
	iommu_owner_finish(&teardown);
	if (!ret)
		return 0;
	err = iommu_owner_cmd_respond(cmd, sizeof(*release));
	return err ?: ret;
}
