/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_TOKEN_H
#define __IOMMU_OWNER_TOKEN_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/poll.h>

#include "owner.h"

/* Sizes of the elements of arrays when they were introduced */
#define TOKEN_REF_SIZE	offsetofend(struct iommu_owner_group_ref, __reserved)
#define TOKEN_GROUP_SIZE offsetofend(struct iommu_owner_group_info, __reserved)
#define TOKEN_DEVICE_SIZE offsetofend(struct iommu_owner_device_info, driver)

/* Events of an owner that its tokens can still read */
#define TOKEN_EVENTS	128

/**
 * struct iommu_owner_token - An open file that refers to an owner
 * @owner: The owner, with a reference. It does not refer to the groups: what is
 *	claimed stays claimed when the token is closed.
 * @only: The only group of the owner that the token gives access to; with
 *	generation 0 all of them. No reference: the group may go.
 * @rights: IOMMU_OWNER_RIGHT_*; never change.
 * @opened: User space has the file. Protected by the lock of the owner.
 * @reader: In the list of the ring, if the token may read events.
 * @wait: Its readers that wait and poll.
 * @rcu: Frees it.
 * @read_lock: Makes the records of one read() follow each other.
 * @next: Number of the event that is to be read next. Protected by the lock of
 *	the owner; with @read_lock held as well it moves past an event that the
 *	token can read.
 */
struct iommu_owner_token {
	struct iommu_owner *owner;
	struct iommu_owner_group_ref only;
	u32 rights;
	bool opened;
	struct list_head reader;
	wait_queue_head_t wait;
	struct rcu_head rcu;
	struct mutex read_lock;	/* of readers of records */
	u64 next;
};

/**
 * struct iommu_owner_cmd - An ioctl that is being executed
 * @token: The token.
 * @arg: The structure of the caller.
 * @size: Its size, as the caller says.
 * @buf: Its copy, of the size that the kernel knows.
 */
struct iommu_owner_cmd {
	struct iommu_owner_token *token;
	void __user *arg;
	u32 size;
	void *buf;
};

/* Size of the largest structure of an ioctl of a token */
#define TOKEN_CMD_SIZE	128

/**
 * struct iommu_owner_token_op - An ioctl of a token
 * @nr: The whole number.
 * @size: Size of its structure.
 * @min_size: Size that the structure had when it was introduced.
 * @flags: The flags of its structure.
 * @right: The right that it needs.
 * @revoked: It works when the owner has been revoked.
 * @execute: Do it. NULL if it is none of a token.
 * @device: Do it on /dev/iommu-owner. NULL if it is none of that file, or of token.c.
 */
struct iommu_owner_token_op {
	unsigned int nr;
	unsigned int size;
	unsigned int min_size;
	u32 flags;
	u32 right;
	bool revoked;
	int (*execute)(struct iommu_owner_cmd *cmd);
	int (*device)(void __user *arg);
};

#define TOKEN_OP(_nr, _execute, _struct, _last, _right, _revoked, _flags) { \
		.nr = _nr,						\
		.size = sizeof(_struct) +				\
			BUILD_BUG_ON_ZERO(sizeof(_struct) >		\
					  TOKEN_CMD_SIZE),		\
		.min_size = offsetofend(_struct, _last),		\
		.flags = _flags,					\
		.right = IOMMU_OWNER_RIGHT_##_right,			\
		.revoked = _revoked,					\
		.execute = _execute,					\
	}

/* cmd.c */
int iommu_owner_cmd_copy(struct iommu_owner_cmd *cmd, size_t known_size,
			 size_t min_size);
int iommu_owner_cmd_respond(const struct iommu_owner_cmd *cmd,
			    size_t known_size);
int iommu_owner_check_element(size_t size, size_t min_size);
int iommu_owner_put_element(u64 array, u32 index, size_t size,
			    const void *element, size_t known_size);

/* token.c */
struct iommu_owner_token *iommu_owner_token_alloc(struct iommu_owner *owner,
						  const struct iommu_owner_group_ref *only,
						  u32 rights);
void iommu_owner_token_open(struct iommu_owner_token *token);
void iommu_owner_token_close(struct iommu_owner_token *token);
#if IS_ENABLED(CONFIG_KUNIT)
int iommu_owner_query_ioctl(void __user *arg);
#endif
void iommu_owner_add_token_op(const struct iommu_owner_token_op *op);
long iommu_owner_token_ioctl(struct iommu_owner_token *token, unsigned int nr,
			     void __user *arg);

/* ref.c */
int iommu_owner_copy_groups(struct iommu_owner_group_ref **groups, u64 from,
			    u32 count, u32 size);
int iommu_owner_check_ref(struct iommu_group *group,
			  const struct iommu_owner_group_ref *ref);
int iommu_owner_find_group(const struct iommu_owner_group_ref *ref,
			   struct iommu_group **group);
bool iommu_owner_token_covers(const struct iommu_owner_token *token, u32 group,
			      u64 generation);
struct iommu_group *
iommu_owner_token_next_group(const struct iommu_owner_token *token, int id);

/* reserve.c */
int iommu_owner_cmd_reserve(struct iommu_owner_cmd *cmd);
int iommu_owner_cmd_release(struct iommu_owner_cmd *cmd);
void iommu_owner_unreserve_all(struct iommu_owner *owner);

/* inspect.c */
int iommu_owner_cmd_get_info(struct iommu_owner_cmd *cmd);
int iommu_owner_cmd_check(struct iommu_owner_cmd *cmd);

/* event.c */
int iommu_owner_events_open(struct iommu_owner_token *token);
void iommu_owner_events_close(struct iommu_owner_token *token);
ssize_t iommu_owner_events_read(struct iommu_owner_token *token,
				char __user *buf, size_t size, bool wait);
__poll_t iommu_owner_events_poll(struct iommu_owner_token *token,
				 struct file *file, poll_table *table);

#endif /* __IOMMU_OWNER_TOKEN_H */
