/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_OWNER_TOKEN_H
#define __IOMMU_OWNER_TOKEN_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/poll.h>

#include "owner.h"

/* Records in the queue of a token; the last of them can only tell of a loss */
#define TOKEN_EVENTS	128

/**
 * struct iommu_owner_token - An open file that refers to an owner
 * @owner: The owner, with a reference. It does not refer to the groups: whoever
 *	has them keeps them.
 * @rights: IOMMU_OWNER_RIGHT_*; never change.
 * @node: Entry in the tokens of @owner.
 * @read_lock: Makes the records of one read() follow each other.
 * @events: Queue of TOKEN_EVENTS records; NULL without the right to inspect.
 * @head: Index of the oldest record. Moved with @read_lock held as well, so that
 *	a record stays until it has been copied.
 * @count: Number of records.
 *
 * @node, the records, @head and @count are protected by the lock of the owner.
 */
struct iommu_owner_token {
	struct iommu_owner *owner;
	u32 rights;
	struct list_head node;
	struct mutex read_lock;	/* of those who read records */
	struct iommu_owner_event *events;
	unsigned int head;
	unsigned int count;
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

/* token.c */
int iommu_owner_cmd_respond(const struct iommu_owner_cmd *cmd,
			    size_t known_size);
struct iommu_owner_token *iommu_owner_token_alloc(struct iommu_owner *owner,
						  u32 rights);
void iommu_owner_token_open(struct iommu_owner_token *token);
void iommu_owner_token_close(struct iommu_owner_token *token);
long iommu_owner_token_ioctl(struct iommu_owner_token *token, unsigned int nr,
			     void __user *arg);

/* reserve.c */
int iommu_owner_copy_groups(u32 **groups, u64 from, u32 count, u32 min);
int iommu_owner_cmd_reserve(struct iommu_owner_cmd *cmd);
int iommu_owner_cmd_release(struct iommu_owner_cmd *cmd);
void iommu_owner_unreserve_all(struct iommu_owner *owner);

/* inspect.c */
int iommu_owner_cmd_get_info(struct iommu_owner_cmd *cmd);
int iommu_owner_cmd_check(struct iommu_owner_cmd *cmd);

/* event.c */
int iommu_owner_events_alloc(struct iommu_owner_token *token);
ssize_t iommu_owner_events_read(struct iommu_owner_token *token,
				char __user *buf, size_t size, bool wait);
__poll_t iommu_owner_events_poll(struct iommu_owner_token *token,
				 struct file *file, poll_table *table);

#endif /* __IOMMU_OWNER_TOKEN_H */
