// SPDX-License-Identifier: GPL-2.0-only
/* Tokens: file descriptors that refer to the owner of groups */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#include "tool.h"

/* Answers that grow while they are read, before it is given up */
#define TOKEN_ROUNDS	8

/* A token of a new owner; a negative errno, -ENOENT if the kernel has none */
int tool_token_create(const struct tool *tool, const char *name, uint32_t rights)
{
	struct iommu_owner_create create = { .size = sizeof(create), .rights = rights };
	char path[PATH_MAX];
	int fd, ret;

	if (strlen(name) >= sizeof(create.name))
		return -EINVAL;
	memcpy(create.name, name, strlen(name));
	snprintf(path, sizeof(path), "%s/dev/iommu-owner", tool->root);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, IOMMU_OWNER_CREATE, &create) ? -errno : create.out_fd;
	close(fd);
	return ret;
}

static struct iommu_owner_group_ref *token_refs(const struct tool_groups *groups)
{
	struct iommu_owner_group_ref *refs = calloc(groups->count, sizeof(*refs));

	for (size_t i = 0; refs && i < groups->count; i++) {
		refs[i].generation = groups->groups[i].generation;
		refs[i].group = groups->groups[i].id;
	}
	return refs;
}

/* Reserve all of @groups or none, and say in @group which one fails */
int tool_token_reserve(int token, const struct tool_groups *groups, int *group)
{
	struct iommu_owner_reserve reserve = {
		.size = sizeof(reserve),
		.nr_groups = groups->count,
		.group_size = sizeof(struct iommu_owner_group_ref),
	};
	struct iommu_owner_group_ref *refs = token_refs(groups);
	int ret = 0;

	if (!refs)
		return -ENOMEM;
	reserve.groups = (uintptr_t)refs;
	if (ioctl(token, IOMMU_OWNER_RESERVE, &reserve))
		ret = -errno;
	*group = reserve.out_group;
	free(refs);
	return ret;
}

static void token_copy(char *to, const unsigned char *from, size_t size)
{
	snprintf(to, TOOL_WORD, "%.*s", (int)strnlen((const char *)from, size),
		 (const char *)from);
}

static int token_add_blockers(struct tool_group *group,
			      const struct iommu_owner_device_info *infos, size_t count)
{
	struct tool_blocker *blocker;

	free(group->blockers);
	group->blockers = NULL;
	group->nr_blockers = 0;
	for (size_t i = 0; i < count; i++) {
		/* About the group as a whole: its state says it */
		if (!infos[i].device[0])
			continue;
		blocker = tool_grow((void **)&group->blockers, &group->nr_blockers,
				    sizeof(*blocker));
		if (!blocker)
			return -ENOMEM;
		token_copy(blocker->device, infos[i].device, sizeof(infos[i].device));
		token_copy(blocker->driver, infos[i].driver, sizeof(infos[i].driver));
	}
	return 0;
}

/* Ask the kernel what blocks a claim of @group, and put that in place of what sysfs says */
int tool_token_check(int token, struct tool_group *group)
{
	struct iommu_owner_group_ref ref = {
		.generation = group->generation, .group = group->id,
	};
	struct iommu_owner_check check = {
		.size = sizeof(check),
		.groups = (uintptr_t)&ref,
		.nr_groups = 1,
		.group_size = sizeof(ref),
		.blocker_size = sizeof(struct iommu_owner_device_info),
	};
	struct iommu_owner_device_info *infos = NULL;
	int ret = -EMSGSIZE;

	for (int i = 0; i < TOKEN_ROUNDS && ret == -EMSGSIZE; i++) {
		free(infos);
		infos = calloc(check.nr_blockers + 1, sizeof(*infos));
		if (!infos)
			return -ENOMEM;
		check.blockers = (uintptr_t)infos;
		ret = ioctl(token, IOMMU_OWNER_CHECK, &check) ? -errno : 0;
	}
	if (!ret)
		ret = token_add_blockers(group, infos, check.nr_blockers);
	free(infos);
	return ret;
}

/* The owner that a file of VFIO or iommufd stands for, as a token */
int tool_token_of_file(int file, uint32_t rights)
{
	struct iommu_owner_get_token get = { .size = sizeof(get), .rights = rights };

	return ioctl(file, IOMMU_OWNER_GET_TOKEN, &get) ? -errno : get.out_fd;
}

int tool_token_dup(int token, uint32_t rights)
{
	struct iommu_owner_dup dup = { .size = sizeof(dup), .rights = rights };

	return ioctl(token, IOMMU_OWNER_DUP, &dup) ? -errno : dup.out_fd;
}

int tool_token_rights(int token, uint32_t *rights)
{
	struct iommu_owner_get_info info = { .size = sizeof(info) };

	if (ioctl(token, IOMMU_OWNER_GET_INFO, &info) && errno != EMSGSIZE)
		return -errno;
	*rights = info.out_rights;
	return 0;
}

/*
 * Does the owner of a token have the group with number @group? Then say its name, in
 * TOOL_WORD bytes, and the numbers of all that it has.
 */
bool tool_token_has(int token, int group, struct tool_groups *all, char *name)
{
	struct iommu_owner_get_info info = {
		.size = sizeof(info),
		.group_size = sizeof(struct iommu_owner_group_info),
		.device_size = sizeof(struct iommu_owner_device_info),
	};
	struct iommu_owner_group_info *infos = NULL;
	struct tool_group *new;
	bool found = false;
	int ret = -EMSGSIZE;

	memset(all, 0, sizeof(*all));
	/* Devices are not asked for: there is never room for them */
	for (int i = 0; i < TOKEN_ROUNDS && ret == -EMSGSIZE; i++) {
		uint32_t room = info.nr_groups;

		free(infos);
		infos = calloc(room + 1, sizeof(*infos));
		if (!infos)
			return false;
		info.groups = (uintptr_t)infos;
		info.nr_devices = 0;
		ret = ioctl(token, IOMMU_OWNER_GET_INFO, &info) ? -errno : 0;
		if (ret == -EMSGSIZE && info.nr_groups <= room)
			ret = 0;
	}
	for (size_t i = 0; !ret && i < info.nr_groups; i++) {
		new = tool_grow((void **)&all->groups, &all->count, sizeof(*new));
		if (!new)
			break;
		new->id = infos[i].group;
		found |= new->id == group;
	}
	free(infos);
	if (found)
		token_copy(name, info.out_name, sizeof(info.out_name));
	else
		tool_free_groups(all);
	return found;
}

int tool_token_revoke(int token)
{
	struct iommu_owner_revoke revoke = { .size = sizeof(revoke) };

	return ioctl(token, IOMMU_OWNER_REVOKE, &revoke) ? -errno : 0;
}

int tool_token_use(int token, int file)
{
	struct iommu_owner_use use = { .size = sizeof(use), .fd = file };

	return ioctl(token, IOMMU_OWNER_USE, &use) ? -errno : 0;
}
