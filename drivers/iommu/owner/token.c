// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tokens: files that refer to an owner, with rights
 *
 * A token is made by /dev/iommu-owner together with its owner, from a file that
 * stands for an owner, or from another token. It is a capability: the file
 * gives the rights, not the user. Rights only ever get fewer on the way.
 *
 * A token keeps its owner, and nothing that the owner has keeps a token. What
 * the owner has claimed stays with the file that claimed it. What it has reserved goes
 * with the last token that could release it.
 */
#include <kunit/visibility.h>
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "token.h"

/* Tokens for one group leave room: that to revoke the owner can still be made. */
static int token_count(struct iommu_owner *owner, u32 rights, bool one_group)
{
	unsigned int max = IOMMU_OWNER_TOKENS_MAX / (one_group ? 2 : 1);
	bool revokes = rights & IOMMU_OWNER_RIGHT_REVOKE;

	guard(spinlock)(&owner->lock);
	if (revokes && owner->irrevocable)
		return -EOPNOTSUPP;
	if (owner->tokens >= max)
		return -ENOSPC;
	owner->tokens++;
	owner->revokers += revokes;
	return 0;
}

/*
 * A token for the group @only, or for all that @owner has if its generation is 0.
 * Receives no events and keeps no reservation until it is opened.
 */
struct iommu_owner_token *iommu_owner_token_alloc(struct iommu_owner *owner,
						  const struct iommu_owner_group_ref *only,
						  u32 rights)
{
	struct iommu_owner_token *token __free(kfree) = NULL;
	int ret;

	token = kzalloc(sizeof(*token), GFP_KERNEL_ACCOUNT);
	if (!token)
		return ERR_PTR(-ENOMEM);
	ret = token_count(owner, rights, only->generation);
	if (ret)
		return ERR_PTR(ret);
	token->rights = rights;
	mutex_init(&token->read_lock);
	INIT_LIST_HEAD(&token->reader);
	token->owner = iommu_owner_get(owner);
	token->only = *only;
	if (rights & IOMMU_OWNER_RIGHT_INSPECT) {
		ret = iommu_owner_events_open(token);
		if (ret) {
			iommu_owner_token_close(no_free_ptr(token));
			return ERR_PTR(ret);
		}
	}
	return no_free_ptr(token);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_token_alloc);

void iommu_owner_token_open(struct iommu_owner_token *token)
{
	struct iommu_owner *owner = token->owner;

	guard(spinlock)(&owner->lock);
	token->opened = true;
	token->next = owner->events;
	if (token->rights & IOMMU_OWNER_RIGHT_RESERVE)
		owner->reservers++;
	if (token->rights & IOMMU_OWNER_RIGHT_PASID)
		owner->pasid_users++;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_token_open);

/* The rights for which @token was the last one: what was done with them is undone. */
static u32 token_uncount(struct iommu_owner_token *token)
{
	struct iommu_owner *owner = token->owner;
	u32 last = 0;

	guard(spinlock)(&owner->lock);
	owner->tokens--;
	owner->revokers -= !!(token->rights & IOMMU_OWNER_RIGHT_REVOKE);
	if (!token->opened)
		return 0;
	if ((token->rights & IOMMU_OWNER_RIGHT_RESERVE) && !--owner->reservers)
		last |= IOMMU_OWNER_RIGHT_RESERVE;
	if ((token->rights & IOMMU_OWNER_RIGHT_PASID) && !--owner->pasid_users)
		last |= IOMMU_OWNER_RIGHT_PASID;
	return last;
}

void iommu_owner_token_close(struct iommu_owner_token *token)
{
	u32 last;

	iommu_owner_events_close(token);
	last = token_uncount(token);
	if (last & IOMMU_OWNER_RIGHT_RESERVE)
		iommu_owner_unreserve_all(token->owner);
	if (last)
		iommu_owner_unused(token->owner, last);
	iommu_owner_put(token->owner);
	mutex_destroy(&token->read_lock);
	kfree_rcu(token, rcu);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_token_close);

static int token_release(struct inode *inode, struct file *file)
{
	iommu_owner_token_close(file->private_data);
	return 0;
}

static ssize_t token_read(struct file *file, char __user *buf, size_t size,
			  loff_t *pos)
{
	return iommu_owner_events_read(file->private_data, buf, size,
				       !(file->f_flags & O_NONBLOCK));
}

static __poll_t token_poll(struct file *file, poll_table *table)
{
	return iommu_owner_events_poll(file->private_data, file, table);
}

static long token_fops_ioctl(struct file *file, unsigned int nr,
			     unsigned long arg)
{
	return iommu_owner_token_ioctl(file->private_data, nr,
				       (void __user *)arg);
}

static const struct file_operations token_fops = {
	.owner = THIS_MODULE,
	.release = token_release,
	.read = token_read,
	.poll = token_poll,
	.unlocked_ioctl = token_fops_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int token_check_rights(u32 rights)
{
	if (rights & ~IOMMU_OWNER_RIGHTS_ALL)
		return -EOPNOTSUPP;
	return rights ? 0 : -EINVAL;
}

static struct file *token_file(struct iommu_owner *owner,
			       const struct iommu_owner_group_ref *only,
			       u32 rights)
{
	struct iommu_owner_token *token;
	struct file *file;

	token = iommu_owner_token_alloc(owner, only, rights);
	if (IS_ERR(token))
		return ERR_CAST(token);
	file = anon_inode_getfile("[iommu-owner]", &token_fops, token,
				  O_RDONLY);
	if (IS_ERR(file))
		iommu_owner_token_close(token);
	else
		stream_open(file_inode(file), file);
	return file;
}

/*
 * Give the caller a new token, see iommu_owner_token_alloc(), with its number in
 * @out_fd of the structure in @cmd. From fd_install() on nothing can fail.
 */
static int token_install(const struct iommu_owner_cmd *cmd, size_t known_size,
			 struct iommu_owner *owner,
			 const struct iommu_owner_group_ref *only, u32 rights,
			 s32 *out_fd)
{
	struct file *file;
	int fd, ret;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = token_file(owner, only, rights);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto err_fd;
	}
	*out_fd = fd;
	ret = iommu_owner_cmd_respond(cmd, known_size);
	if (ret)
		goto err_file;
	iommu_owner_token_open(file->private_data);
	fd_install(fd, file);
	return 0;

err_file:
	fput(file);
err_fd:
	put_unused_fd(fd);
	return ret;
}

DEFINE_FREE(owner, struct iommu_owner *, iommu_owner_put(_T))

static const struct iommu_owner_group_ref token_all_groups;

/* The group that tokens of @file are for; unchanged if it is for all */
static int token_file_group(struct file *file,
			    struct iommu_owner_group_ref *only)
{
	const struct iommu_owner_provider *provider = iommu_owner_provider(file);
	struct iommu_group *group;

	if (!provider->token_group)
		return 0;
	group = provider->token_group(file);
	if (IS_ERR(group))
		return PTR_ERR(group);
	only->group = group->id;
	mutex_lock(&group->mutex);
	only->generation = group->ownership.generation;
	mutex_unlock(&group->mutex);
	iommu_group_put(group);
	return 0;
}

/**
 * iommu_owner_token_from_file_ioctl() - IOMMU_OWNER_GET_TOKEN on a file that
 *	stands for an owner
 * @file: The file; its subsystem has registered as a provider.
 * @arg: struct iommu_owner_get_token of the caller.
 *
 * The token has the rights that are asked for, no more than those of @file, and
 * not the one to acquire other groups. It is for one group if @file is.
 *
 * Context: May sleep. The caller has no lock that the provider takes.
 * Return: 0; -ENOTTY without CONFIG_IOMMU_OWNER_TOKEN; -EBADFD if @file does not
 * stand for an owner; -ENODEV if it has none yet, or its device is gone; -ESTALE
 * if its owner has been revoked; -EPERM if it does not have all the rights; -EINVAL for a short
 * structure or no right at all; -EOPNOTSUPP for an unknown flag or right, or for
 * the right to revoke if the owner has something that cannot be revoked; -E2BIG for an unknown
 * field that is not zero; -ENOSPC if the owner has too many
 * tokens; -EFAULT; -EMFILE, -ENFILE; -ENOMEM.
 */
int iommu_owner_token_from_file_ioctl(struct file *file, void __user *arg)
{
	struct iommu_owner *owner __free(owner) = NULL;
	struct iommu_owner_get_token get = {};
	struct iommu_owner_cmd cmd = { .arg = arg, .buf = &get };
	struct iommu_owner_group_ref only = {};
	u32 allowed = 0;
	int ret;

	ret = iommu_owner_cmd_copy(&cmd, sizeof(get),
				   offsetofend(struct iommu_owner_get_token, out_fd));
	if (ret)
		return ret;
	if (get.flags)
		return -EOPNOTSUPP;
	ret = token_check_rights(get.rights);
	if (ret)
		return ret;

	owner = iommu_owner_from_file(file, &allowed);
	if (IS_ERR(owner))
		return PTR_ERR(owner);
	if (iommu_owner_revoked(owner))
		return -ESTALE;
	ret = token_file_group(file, &only);
	if (ret)
		return ret;
	allowed &= only.generation ? IOMMU_OWNER_RIGHTS_GROUP :
				     IOMMU_OWNER_RIGHTS_FILE;
	if (get.rights & ~allowed)
		return -EPERM;
	return token_install(&cmd, sizeof(get), owner, &only, get.rights,
			     &get.out_fd);
}
EXPORT_SYMBOL_GPL(iommu_owner_token_from_file_ioctl);

static int token_dup(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_dup *dup = cmd->buf;
	int ret;

	if (dup->flags)
		return -EOPNOTSUPP;
	ret = token_check_rights(dup->rights);
	if (ret)
		return ret;
	if (dup->rights & ~cmd->token->rights)
		return -EPERM;
	return token_install(cmd, sizeof(*dup), cmd->token->owner,
			     &cmd->token->only, dup->rights, &dup->out_fd);
}

static int token_revoke(struct iommu_owner_cmd *cmd)
{
	struct iommu_owner_revoke *revoke = cmd->buf;

	if (revoke->flags)
		return -EOPNOTSUPP;
	return iommu_owner_revoke(cmd->token->owner);
}

static int token_use(struct iommu_owner_cmd *cmd)
{
	const struct iommu_owner_provider *provider;
	struct iommu_owner_use *use = cmd->buf;
	struct file *file __free(fput) = NULL;

	if (use->flags || use->__reserved)
		return -EOPNOTSUPP;
	file = fget(use->fd);
	if (!file)
		return -EBADF;
	provider = iommu_owner_provider(file);
	if (!provider)
		return -EBADFD;
	if (!provider->set_owner)
		return -EOPNOTSUPP;
	return provider->set_owner(file, cmd->token->owner, cmd->token->rights);
}

/* By number: those of tokens, those of other files, and what concepts add */
static struct iommu_owner_token_op token_ops[IOMMU_OWNER_CMD_EVIDENCE + 1]
__ro_after_init = {
	[IOMMU_OWNER_CMD_CREATE] = { .size = sizeof(struct iommu_owner_create) },
	[IOMMU_OWNER_CMD_GET_TOKEN] = {
		.size = sizeof(struct iommu_owner_get_token) },
	[IOMMU_OWNER_CMD_QUERY] = { .size = sizeof(struct iommu_owner_query) },
	[IOMMU_OWNER_CMD_GET_INFO] =
		TOKEN_OP(IOMMU_OWNER_GET_INFO, iommu_owner_cmd_get_info,
			 struct iommu_owner_get_info, out_name, INSPECT, true,
			 0),
	[IOMMU_OWNER_CMD_DUP] =
		TOKEN_OP(IOMMU_OWNER_DUP, token_dup, struct iommu_owner_dup,
			 out_fd, GRANT, false, 0),
	[IOMMU_OWNER_CMD_CHECK] =
		TOKEN_OP(IOMMU_OWNER_CHECK, iommu_owner_cmd_check,
			 struct iommu_owner_check, __reserved, INSPECT, false,
			 0),
	[IOMMU_OWNER_CMD_RESERVE] =
		TOKEN_OP(IOMMU_OWNER_RESERVE, iommu_owner_cmd_reserve,
			 struct iommu_owner_reserve, __reserved, RESERVE,
			 false, 0),
	[IOMMU_OWNER_CMD_RELEASE] =
		TOKEN_OP(IOMMU_OWNER_RELEASE, iommu_owner_cmd_release,
			 struct iommu_owner_release, __reserved, RESERVE,
			 false, IOMMU_OWNER_RELEASE_ALL),
	[IOMMU_OWNER_CMD_REVOKE] =
		TOKEN_OP(IOMMU_OWNER_REVOKE, token_revoke,
			 struct iommu_owner_revoke, flags, REVOKE, true, 0),
	[IOMMU_OWNER_CMD_USE] =
		TOKEN_OP(IOMMU_OWNER_USE, token_use, struct iommu_owner_use,
			 __reserved, CLAIM, false, 0),
};

void __init iommu_owner_add_token_op(const struct iommu_owner_token_op *op)
{
	token_ops[_IOC_NR(op->nr)] = *op;
}

long iommu_owner_token_ioctl(struct iommu_owner_token *token, unsigned int nr,
			     void __user *arg)
{
	unsigned int index = _IOC_NR(nr);
	const struct iommu_owner_token_op *op;
	u64 buf[TOKEN_CMD_SIZE / sizeof(u64)] = {};
	struct iommu_owner_cmd cmd = {
		.token = token,
		.arg = arg,
		.buf = buf,
	};
	int ret;

	if (index >= ARRAY_SIZE(token_ops))
		return -ENOTTY;
	op = &token_ops[index];
	if (!op->execute || op->nr != nr)
		return -ENOTTY;
	ret = iommu_owner_cmd_copy(&cmd, op->size, op->min_size);
	if (ret)
		return ret;
	if (!(token->rights & op->right))
		return -EPERM;
	if (!op->revoked && iommu_owner_revoked(token->owner))
		return -ESTALE;
	return op->execute(&cmd);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_token_ioctl);

static struct iommu_owner *token_owner(struct file *file, u32 *rights)
{
	struct iommu_owner_token *token = file->private_data;

	*rights = token->rights;
	return iommu_owner_get(token->owner);
}

static int token_watch(struct file *file, struct iommu_owner_watch *watch)
{
	struct iommu_owner_token *token = file->private_data;
	int ret;

	if (!(token->rights & IOMMU_OWNER_RIGHT_ASSOCIATE))
		return -EPERM;
	/* With a reference, until token_unwatch() */
	if (token->only.generation &&
	    iommu_owner_find_group(&token->only, &watch->group))
		return -ESTALE;
	ret = iommu_owner_watch(token->owner, watch);
	if (ret)
		iommu_group_put(watch->group);
	return ret;
}

static void token_unwatch(struct file *file, struct iommu_owner_watch *watch)
{
	iommu_owner_unwatch(watch);
	iommu_group_put(watch->group);
}

static int token_is_incoherent(struct device *dev, void *data)
{
	return !device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
}

static bool token_enforced_coherent(struct file *file)
{
	struct iommu_owner_token *token = file->private_data;
	struct iommu_group *group;
	int id = -1, incoherent;

	while ((group = iommu_owner_token_next_group(token, id))) {
		id = group->id;
		incoherent = iommu_group_for_each_dev(group, NULL,
						      token_is_incoherent);
		iommu_group_put(group);
		if (incoherent)
			return false;
	}
	return true;
}

static struct iommu_owner_provider token_provider = {
	.fops = &token_fops,
	.owner = token_owner,
	.watch = token_watch,
	.unwatch = token_unwatch,
	.enforced_coherent = token_enforced_coherent,
};

static bool token_name_is_valid(const u8 *name)
{
	size_t length = strnlen(name, IOMMU_OWNER_NAME_LEN);

	if (!length || memchr_inv(name + length, 0,
				  IOMMU_OWNER_NAME_LEN - length))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii(name[i]) || !isgraph(name[i]))
			return false;
	return length < IOMMU_OWNER_NAME_LEN;
}

static int token_create(void __user *arg)
{
	struct iommu_owner *owner __free(owner) = NULL;
	struct iommu_owner_create create = {};
	struct iommu_owner_cmd cmd = { .arg = arg, .buf = &create };
	int ret;

	ret = iommu_owner_cmd_copy(&cmd, sizeof(create),
				   offsetofend(struct iommu_owner_create, name));
	if (ret)
		return ret;
	if (create.flags)
		return -EOPNOTSUPP;
	ret = token_check_rights(create.rights);
	if (ret)
		return ret;
	if (!token_name_is_valid(create.name))
		return -EINVAL;

	owner = iommu_owner_alloc(create.name);
	if (IS_ERR(owner))
		return PTR_ERR(owner);
	owner->explicit = true;
	return token_install(&cmd, sizeof(create), owner, &token_all_groups,
			     create.rights, &create.out_fd);
}

VISIBLE_IF_KUNIT int iommu_owner_query_ioctl(void __user *arg)
{
	struct iommu_owner_query query = {};
	struct iommu_owner_cmd cmd = { .arg = arg, .buf = &query };
	int ret;

	ret = iommu_owner_cmd_copy(&cmd, sizeof(query),
				   offsetofend(struct iommu_owner_query,
					       out_command_flags));
	if (ret)
		return ret;
	if (query.flags)
		return -EOPNOTSUPP;
	query.out_version = IOMMU_OWNER_VERSION;
	query.out_features = 0;
	query.out_rights = IOMMU_OWNER_RIGHTS_ALL;
	query.out_event_types = IOMMU_OWNER_EVENT_PASID_DENIED + 1;
	query.out_command_size = 0;
	query.out_command_flags = 0;
	if (query.command < ARRAY_SIZE(token_ops)) {
		u32 nr = array_index_nospec(query.command,
					    ARRAY_SIZE(token_ops));

		query.out_command_size = token_ops[nr].size;
		query.out_command_flags = token_ops[nr].flags;
	}
	return iommu_owner_cmd_respond(&cmd, sizeof(query));
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_query_ioctl);

/* What concepts have added */
static int token_device_ioctl(unsigned int nr, void __user *arg)
{
	const struct iommu_owner_token_op *op;

	if (_IOC_NR(nr) >= ARRAY_SIZE(token_ops))
		return -ENOTTY;
	op = &token_ops[array_index_nospec(_IOC_NR(nr), ARRAY_SIZE(token_ops))];
	return op->device && op->nr == nr ? op->device(arg) : -ENOTTY;
}

static long token_create_ioctl(struct file *file, unsigned int nr,
			       unsigned long arg)
{
	switch (nr) {
	case IOMMU_OWNER_CREATE:
		return token_create((void __user *)arg);
	case IOMMU_OWNER_QUERY:
		return iommu_owner_query_ioctl((void __user *)arg);
	default:
		return token_device_ioctl(nr, (void __user *)arg);
	}
}

static const struct file_operations create_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = token_create_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice create_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu-owner",
	.fops = &create_fops,
	.mode = 0600,
};

static int __init token_init(void)
{
	iommu_owner_register_provider(&token_provider);
	return misc_register(&create_device);
}
device_initcall(token_init);
