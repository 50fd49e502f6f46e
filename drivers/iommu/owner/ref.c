// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to groups, by number and generation: those that an ioctl names, and
 * the one that a token may be limited to
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "token.h"

/*
 * Copy @count references of @size bytes each. The caller frees @groups with
 * kvfree().
 */
int iommu_owner_copy_groups(struct iommu_owner_group_ref **groups, u64 from,
			    u32 count, u32 size)
{
	struct iommu_owner_group_ref *copy __free(kvfree) = NULL;
	int ret;

	if (!count || count > IOMMU_OWNER_GROUPS_MAX)
		return -EINVAL;
	ret = iommu_owner_check_element(size, TOKEN_REF_SIZE);
	if (ret)
		return ret;
	copy = kvmalloc_array(count, sizeof(*copy), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	for (u32 i = 0; i < count; i++) {
		ret = copy_struct_from_user(&copy[i], sizeof(*copy),
					    u64_to_user_ptr(from) +
					    (size_t)i * size, size);
		if (ret)
			return ret;
		if (copy[i].__reserved)
			return -EOPNOTSUPP;
	}
	*groups = no_free_ptr(copy);
	return 0;
}

/* Is @group, which has the right number, the one that the caller has seen? */
int iommu_owner_check_ref(struct iommu_group *group,
			  const struct iommu_owner_group_ref *ref)
{
	const struct iommu_ownership *own = &group->ownership;

	if (!ref->generation)
		return 0;
	guard(mutex)(&group->mutex);
	if (!iommu_owner_same_group(ref->generation, own->generation) ||
	    ref->generation > own->generation)
		return -ESTALE;
	return 0;
}

/* -ENODEV if there is no such group, -ESTALE if it is another one now */
int iommu_owner_find_group(const struct iommu_owner_group_ref *ref,
			   struct iommu_group **group)
{
	int ret;

	*group = iommu_group_get_by_id(ref->group);
	if (!*group)
		return -ENODEV;
	ret = iommu_owner_check_ref(*group, ref);
	if (ret)
		iommu_group_put(*group);
	return ret;
}

/* Does @token give access to a group that has, or had, this generation? */
bool iommu_owner_token_covers(const struct iommu_owner_token *token, u32 group,
			      u64 generation)
{
	const struct iommu_owner_group_ref *only = &token->only;

	return !only->generation ||
	       (only->group == group &&
		iommu_owner_same_group(only->generation, generation));
}

/* As iommu_owner_next_group(), of the groups that @token gives access to */
struct iommu_group *
iommu_owner_token_next_group(const struct iommu_owner_token *token, int id)
{
	struct iommu_group *group;

	while ((group = iommu_owner_next_group(token->owner, id))) {
		/* What is compared of the generation never changes */
		if (iommu_owner_token_covers(token, group->id,
					     READ_ONCE(group->ownership.generation)))
			return group;
		id = group->id;
		iommu_group_put(group);
	}
	return NULL;
}
