/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of tokens; each returns 0, a file or a negative errno */
#ifndef __IOMMU_OWNER_TOKEN_H
#define __IOMMU_OWNER_TOKEN_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#define TOKEN_DEVICE	"/dev/iommu-owner"
#define NO_TOKENS	"no " TOKEN_DEVICE
#define ALL_RIGHTS	IOMMU_OWNER_RIGHTS_ALL

static inline int token_call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static inline int token_create(const char *name, __u32 rights)
{
	struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = rights,
	};
	int fd = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	snprintf((char *)cmd.name, sizeof(cmd.name), "%s", name);
	ret = token_call(fd, IOMMU_OWNER_CREATE, &cmd);
	close(fd);
	return ret ? ret : cmd.out_fd;
}

/* The token of a VFIO group or device, or of an iommufd */
static inline int token_of(int fd, __u32 rights)
{
	struct iommu_owner_get_token cmd = {
		.size = sizeof(cmd), .rights = rights,
	};
	int ret = token_call(fd, IOMMU_OWNER_GET_TOKEN, &cmd);

	return ret ? ret : cmd.out_fd;
}

static inline int token_dup(int token, __u32 rights)
{
	struct iommu_owner_dup cmd = { .size = sizeof(cmd), .rights = rights };
	int ret = token_call(token, IOMMU_OWNER_DUP, &cmd);

	return ret ? ret : cmd.out_fd;
}

static inline int token_reserve(int token, __u32 group)
{
	struct iommu_owner_reserve cmd = {
		.size = sizeof(cmd), .nr_groups = 1,
		.groups = (uintptr_t)&group,
	};

	return token_call(token, IOMMU_OWNER_RESERVE, &cmd);
}

static inline int token_use(int token, int fd)
{
	struct iommu_owner_use cmd = { .size = sizeof(cmd), .fd = fd };

	return token_call(token, IOMMU_OWNER_USE, &cmd);
}

static inline int token_revoke(int token)
{
	struct iommu_owner_revoke cmd = { .size = sizeof(cmd) };

	return token_call(token, IOMMU_OWNER_REVOKE, &cmd);
}

#endif /* __IOMMU_OWNER_TOKEN_H */
