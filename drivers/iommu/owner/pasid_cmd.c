// SPDX-License-Identifier: GPL-2.0-only
/* PASIDs through a token */
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/slab.h>

#include "pasid.h"
#include "token.h"

/* Size of the elements of the array when it was introduced */
#define CMD_PASID_SIZE	offsetofend(struct iommu_owner_pasid_info, devices)

static int cmd_alloc(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_alloc *alloc = cmd->buf;
	struct iommu_owner_pasid *p;
	int ret;

	if (alloc->flags || alloc->__reserved)
		return -EOPNOTSUPP;
	p = iommu_owner_pasid_reserve(cmd->token->owner, alloc->min,
				      alloc->max);
	if (IS_ERR(p))
		return PTR_ERR(p);
	/* Nobody can find the number, or free it, before it is known */
	alloc->out_pasid = p->pasid;
	ret = iommu_owner_cmd_respond(cmd, sizeof(*alloc));
	if (!ret)
		return iommu_owner_pasid_link(p);
	iommu_owner_pasid_unreserve(p);
	return ret;
}

static int cmd_free(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_free *free = cmd->buf;
	int ret;

	if (free->flags)
		return -EOPNOTSUPP;
	/* What cannot be answered changes nothing */
	free->out_flags = 0;
	ret = iommu_owner_cmd_respond(cmd, sizeof(*free));
	if (ret)
		return ret;
	ret = iommu_owner_pasid_free(cmd->token->owner, free->pasid);
	if (ret <= 0)
		return ret;
	free->out_flags = IOMMU_OWNER_PASID_PENDING;
	return iommu_owner_cmd_respond(cmd, sizeof(*free));
}

/* Copy what fits into @room elements of @info, and return how many there are. */
static unsigned int cmd_copy_set(struct iommu_owner_pasids *set,
				 struct iommu_owner_pasid_info *info,
				 unsigned int room)
{
	struct iommu_owner_pasid *p;
	unsigned int n = 0;

	guard(mutex)(&set->lock);
	list_for_each_entry(p, &set->list, node) {
		if (n < room)
			info[n] = (struct iommu_owner_pasid_info) {
				.pasid = p->pasid,
				.guest = p->guest,
				.state = p->state,
				.devices = list_count_nodes(&p->permits),
			};
		n++;
	}
	return n;
}

/*
 * Allocate @infos with the first of at most @room PASIDs, and return how many there are
 * in all.
 */
static int cmd_snapshot_set(struct iommu_owner_pasids *set,
			    struct iommu_owner_pasid_info **infos, u32 room)
{
	unsigned int allocated, n;

	for (;;) {
		allocated = min(room, cmd_copy_set(set, NULL, 0));
		*infos = kvmalloc_array(allocated, sizeof(**infos),
					GFP_KERNEL_ACCOUNT);
		if (!*infos)
			return -ENOMEM;
		n = cmd_copy_set(set, *infos, allocated);
		if (n <= allocated || allocated == room)
			return n;
		/* There are more meanwhile */
		kvfree(*infos);
	}
}

static int cmd_list(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_info *infos __free(kvfree) = NULL;
	struct iommu_owner_pasids *set = &cmd->token->owner->pasids;
	struct iommu_owner_pasid_list *list = cmd->buf;
	u32 room = list->nr_pasids;
	int ret;

	if (list->flags)
		return -EOPNOTSUPP;
	if (room) {
		ret = iommu_owner_check_element(list->pasid_size,
						CMD_PASID_SIZE);
		if (ret)
			return ret;
	}
	ret = cmd_snapshot_set(set, &infos, room);
	if (ret < 0)
		return ret;
	list->nr_pasids = ret;
	/* The lock is not held over an access to the memory of the user */
	for (u32 i = 0; i < min(room, list->nr_pasids); i++) {
		ret = iommu_owner_put_element(list->pasids, i,
					      list->pasid_size, &infos[i],
					      sizeof(infos[i]));
		if (ret)
			return ret;
	}
	ret = iommu_owner_cmd_respond(cmd, sizeof(*list));
	return ret ?: list->nr_pasids > room ? -EMSGSIZE : 0;
}

static int cmd_map(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_map *map = cmd->buf;
	struct iommu_owner *owner = cmd->token->owner;

	if (map->flags & ~IOMMU_OWNER_PASID_UNMAP)
		return -EOPNOTSUPP;
	if (!(map->flags & IOMMU_OWNER_PASID_UNMAP))
		return iommu_owner_pasid_map(owner, map->pasid, map->guest);
	if (map->pasid)
		return -EINVAL;
	return iommu_owner_pasid_unmap(owner, map->guest);
}

typedef int (*cmd_change_fn)(struct iommu_owner_pasid_device *device,
			     struct iommu_owner *owner, ioasid_t pasid);

/* Do @change for the owner of the token, with the device of @file, which is open */
static int cmd_change_device(struct iommu_owner_cmd *cmd, struct file *file,
			     u32 pasid, cmd_change_fn change)
{
	const struct iommu_owner_provider *provider = iommu_owner_provider(file);
	struct iommu_owner_pasid_device *device;
	struct device *dev;
	int ret;

	if (!provider)
		return -EBADFD;
	if (!provider->enter)
		return -EOPNOTSUPP;
	dev = provider->enter(file);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	device = iommu_owner_pasid_device(dev);
	ret = device ? change(device, cmd->token->owner, pasid) : -EOPNOTSUPP;
	provider->leave(file);
	return ret;
}

static int cmd_change(struct iommu_owner_cmd *cmd, s32 fd, u32 pasid,
		      cmd_change_fn change)
{
	struct file *file __free(fput) = fget(fd);

	return file ? cmd_change_device(cmd, file, pasid, change) : -EBADF;
}

static int cmd_permit(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_permit *permit = cmd->buf;

	if (permit->flags)
		return -EOPNOTSUPP;
	return cmd_change(cmd, permit->fd, permit->pasid,
			  iommu_owner_pasid_permit);
}

static int cmd_deny(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_pasid_deny *deny = cmd->buf;

	if (deny->flags)
		return -EOPNOTSUPP;
	return cmd_change(cmd, deny->fd, deny->pasid, iommu_owner_pasid_deny);
}

static const struct iommu_owner_token_op cmd_ops[] __initconst = {
	TOKEN_OP(IOMMU_OWNER_PASID_ALLOC, cmd_alloc,
		 struct iommu_owner_pasid_alloc, __reserved, PASID, false, 0),
	TOKEN_OP(IOMMU_OWNER_PASID_FREE, cmd_free,
		 struct iommu_owner_pasid_free, out_flags, PASID, false, 0),
	TOKEN_OP(IOMMU_OWNER_PASID_LIST, cmd_list,
		 struct iommu_owner_pasid_list, pasid_size, PASID, true, 0),
	TOKEN_OP(IOMMU_OWNER_PASID_MAP, cmd_map, struct iommu_owner_pasid_map,
		 guest, PASID, false, IOMMU_OWNER_PASID_UNMAP),
	TOKEN_OP(IOMMU_OWNER_PASID_PERMIT, cmd_permit,
		 struct iommu_owner_pasid_permit, pasid, PASID, false, 0),
	TOKEN_OP(IOMMU_OWNER_PASID_DENY, cmd_deny,
		 struct iommu_owner_pasid_deny, pasid, PASID, false, 0),
};

static int __init cmd_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd_ops); i++)
		iommu_owner_add_token_op(&cmd_ops[i]);
	return 0;
}
core_initcall(cmd_init);
