/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of tokens; each returns 0, a file or a negative errno */
#ifndef __IOMMU_OWNER_TOKEN_H
#define __IOMMU_OWNER_TOKEN_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#include "owner_call.h"

#define TOKEN_DEVICE	"/dev/iommu-owner"
#define NO_TOKENS	"no " TOKEN_DEVICE
/* Those that IOMMU_OWNER_CREATE and IOMMU_OWNER_GET_TOKEN can give */
#define ALL_RIGHTS	((IOMMU_OWNER_RIGHT_PASID << 1) - 1)
#define FILE_RIGHTS	(ALL_RIGHTS & ~(IOMMU_OWNER_RIGHT_TAKE | \
					IOMMU_OWNER_RIGHT_PASID))

/* The structures are the same for 32-bit and 64-bit callers */
#define SIZE_IS(_type, _size) \
	static_assert(sizeof(struct _type) == (_size), #_type)
#define OFFSET_IS(_type, _member, _offset) \
	static_assert(offsetof(struct _type, _member) == (_offset), #_member)

/* A name that is too long is the kernel's to refuse */
static inline int token_create(const char *name, __u32 rights)
{
	struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = rights, .out_fd = -1,
	};
	int fd = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	memcpy(cmd.name, name, strnlen(name, sizeof(cmd.name)));
	ret = call(fd, IOMMU_OWNER_CREATE, &cmd);
	close(fd);
	return ret ? ret : cmd.out_fd;
}

/* The token of a VFIO group or device, or of an iommufd */
static inline int token_of(int fd, __u32 rights)
{
	struct iommu_owner_get_token cmd = {
		.size = sizeof(cmd), .rights = rights, .out_fd = -1,
	};
	int ret = call(fd, IOMMU_OWNER_GET_TOKEN, &cmd);

	return ret ? ret : cmd.out_fd;
}

static inline int token_dup(int token, __u32 rights)
{
	struct iommu_owner_dup cmd = {
		.size = sizeof(cmd), .rights = rights, .out_fd = -1,
	};
	int ret = call(token, IOMMU_OWNER_DUP, &cmd);

	return ret ? ret : cmd.out_fd;
}

/* References to @count groups, which are at most 16, of any generation */
static inline __u64 token_refs(struct iommu_owner_group_ref refs[16],
			       const __u32 *groups, __u32 count)
{
	memset(refs, 0, 16 * sizeof(*refs));
	for (__u32 i = 0; i < count && i < 16; i++)
		refs[i].group = groups[i];
	return (uintptr_t)refs;
}

/* @failed: the group that caused an error. Optional. */
static inline int token_reserve_groups(int token, const __u32 *groups,
				       __u32 count, __u32 *failed)
{
	struct iommu_owner_group_ref refs[16];
	struct iommu_owner_reserve cmd = {
		.size = sizeof(cmd), .nr_groups = count,
		.group_size = sizeof(refs[0]),
		.groups = token_refs(refs, groups, count),
	};
	int ret = call(token, IOMMU_OWNER_RESERVE, &cmd);

	if (failed)
		*failed = cmd.out_group;
	return ret;
}

static inline int token_reserve(int token, __u32 group)
{
	return token_reserve_groups(token, &group, 1, NULL);
}

/* All groups if @count is 0 */
static inline int token_release(int token, const __u32 *groups, __u32 count)
{
	struct iommu_owner_group_ref refs[16];
	struct iommu_owner_release cmd = {
		.size = sizeof(cmd),
		.flags = count ? 0 : IOMMU_OWNER_RELEASE_ALL,
		.nr_groups = count,
		.group_size = sizeof(refs[0]),
		.groups = count ? token_refs(refs, groups, count) : 0,
	};

	return call(token, IOMMU_OWNER_RELEASE, &cmd);
}

/* What blocks a claim; @room: entries of @blockers, then those that there are */
static inline int token_check(int token, const __u32 *groups, __u32 count,
			      struct iommu_owner_device_info *blockers,
			      __u32 *room)
{
	struct iommu_owner_group_ref refs[16];
	struct iommu_owner_check cmd = {
		.size = sizeof(cmd),
		.nr_groups = count,
		.group_size = sizeof(refs[0]),
		.groups = token_refs(refs, groups, count),
		.nr_blockers = *room,
		.blocker_size = sizeof(*blockers),
		.blockers = (uintptr_t)blockers,
	};
	int ret = call(token, IOMMU_OWNER_CHECK, &cmd);

	*room = cmd.nr_blockers;
	return ret;
}

static inline int token_use(int token, int fd)
{
	struct iommu_owner_use cmd = { .size = sizeof(cmd), .fd = fd };

	return call(token, IOMMU_OWNER_USE, &cmd);
}

static inline int token_revoke(int token)
{
	struct iommu_owner_revoke cmd = { .size = sizeof(cmd) };

	return call(token, IOMMU_OWNER_REVOKE, &cmd);
}

#endif /* __IOMMU_OWNER_TOKEN_H */
