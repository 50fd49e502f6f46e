// SPDX-License-Identifier: GPL-2.0-only
/*
 * Structures and arrays of the ioctls: both come with a size, and grow at their
 * end
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "token.h"

/* Copy the structure of the caller, which may be older or newer than the kernel. */
int iommu_owner_cmd_copy(struct iommu_owner_cmd *cmd, size_t known_size,
			 size_t min_size)
{
	if (get_user(cmd->size, (u32 __user *)cmd->arg))
		return -EFAULT;
	if (cmd->size < min_size)
		return -EINVAL;
	if (cmd->size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(cmd->buf, known_size, cmd->arg, cmd->size);
}

/* Is @size, of the elements of an array of the caller, possible? */
int iommu_owner_check_element(size_t size, size_t min_size)
{
	if (size < min_size)
		return -EINVAL;
	return size > PAGE_SIZE ? -E2BIG : 0;
}

/*
 * Write element number @index of @array, whose elements have @size bytes for
 * the caller.
 */
int iommu_owner_put_element(u64 array, u32 index, size_t size,
			    const void *element, size_t known_size)
{
	void __user *to = u64_to_user_ptr(array) + (size_t)index * size;
	size_t common = min(size, known_size);

	if (copy_to_user(to, element, common) ||
	    clear_user(to + common, size - common))
		return -EFAULT;
	return 0;
}

/* Give the caller as much of the answer as it knows of. */
int iommu_owner_cmd_respond(const struct iommu_owner_cmd *cmd,
			    size_t known_size)
{
	if (copy_to_user(cmd->arg, cmd->buf,
			 min_t(size_t, cmd->size, known_size)))
		return -EFAULT;
	return 0;
}
