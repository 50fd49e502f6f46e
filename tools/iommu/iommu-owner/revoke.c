// SPDX-License-Identifier: GPL-2.0-only
/*
 * revoke: take a group from its owner. Whoever may look into the processes that have files
 * of the owner has its rights: one of these files gives a token.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#include "tool.h"

#define REVOKE_RIGHTS	(IOMMU_OWNER_RIGHT_INSPECT | IOMMU_OWNER_RIGHT_REVOKE)

/**
 * struct revoke - What is looked for, and what was found
 * @group: Number of the group.
 * @token: A token of its owner that may revoke; -1 if there is none yet.
 * @name: Name of the owner.
 * @pid: The process whose file it is.
 * @all: All groups of the owner.
 * @denied: A process could not be looked into.
 */
struct revoke {
	int group;
	int token;
	char name[TOOL_WORD];
	long pid;
	struct tool_groups all;
	bool denied;
};

static bool revoke_is_token(const char *target)
{
	return !strcmp(target, "anon_inode:[iommu-owner]");
}

/*
 * Is it a VFIO group or an iommufd? The file of a device never gives the right to revoke. The
 * name of a file is what its process wants it to be, the number of a device is not. Nothing is
 * asked of the file system that it is in.
 */
static bool revoke_is_candidate(const struct tool *tool, const char *path,
				const char *target)
{
	char link[PATH_MAX], real[PATH_MAX];
	struct statx stx;

	if (revoke_is_token(target))
		return true;
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) ||
	    !S_ISCHR(stx.stx_mode))
		return false;
	snprintf(link, sizeof(link), "%s/dev/char/%u:%u", tool->sysfs, stx.stx_rdev_major,
		 stx.stx_rdev_minor);
	return realpath(link, real) &&
	       (strstr(real, "/vfio/") || strstr(real, "/misc/iommu"));
}

/* A token that may revoke from a file of another process, which is closed then */
static int revoke_token(int file, bool is_token)
{
	uint32_t rights;
	int token;

	if (is_token) {
		if (!tool_token_rights(file, &rights) &&
		    (rights & REVOKE_RIGHTS) == REVOKE_RIGHTS)
			return file;
		token = -EPERM;
	} else {
		token = tool_token_of_file(file, REVOKE_RIGHTS);
	}
	close(file);
	return token;
}

static void revoke_try(struct revoke *revoke, long pid, int process, int number,
		       bool is_token)
{
	int file = syscall(SYS_pidfd_getfd, process, number, 0), token;

	if (file < 0) {
		revoke->denied |= errno == EPERM;
		return;
	}
	token = revoke_token(file, is_token);
	if (token < 0)
		return;
	if (tool_token_has(token, revoke->group, &revoke->all, revoke->name)) {
		revoke->token = token;
		revoke->pid = pid;
		return;
	}
	close(token);
}

static void revoke_try_process(struct revoke *revoke, const struct tool *tool, long pid)
{
	char dir[PATH_MAX], path[PATH_MAX + 300], target[PATH_MAX];
	int process = syscall(SYS_pidfd_open, (pid_t)pid, 0);
	struct dirent *entry;
	ssize_t length;
	DIR *d;

	if (process < 0)
		return;
	snprintf(dir, sizeof(dir), "%s/proc/%ld/fd", tool->root, pid);
	d = opendir(dir);
	revoke->denied |= !d && errno == EACCES;
	while (d && revoke->token < 0 && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (revoke_is_candidate(tool, path, target))
			revoke_try(revoke, pid, process, atoi(entry->d_name),
				   revoke_is_token(target));
	}
	if (d)
		closedir(d);
	close(process);
}

static void revoke_find(struct revoke *revoke, const struct tool *tool)
{
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir;
	long pid;

	snprintf(path, sizeof(path), "%s/proc", tool->root);
	dir = opendir(path);
	while (dir && revoke->token < 0 && (entry = readdir(dir))) {
		pid = strtol(entry->d_name, NULL, 10);
		if (pid > 0)
			revoke_try_process(revoke, tool, pid);
	}
	if (dir)
		closedir(dir);
}

static void revoke_print(const struct tool *tool, const struct revoke *revoke)
{
	struct json_object *object, *array;

	if (!tool->json) {
		printf("revoked %s (pid %ld):", revoke->name, revoke->pid);
		for (size_t i = 0; i < revoke->all.count; i++)
			printf(" group %d%s", revoke->all.groups[i].id,
			       i + 1 < revoke->all.count ? "," : "\n");
		return;
	}
	object = json_object_new_object();
	array = json_object_new_array();
	for (size_t i = 0; i < revoke->all.count; i++)
		json_object_array_add(array,
				      json_object_new_int(revoke->all.groups[i].id));
	tool_json_add(object, "owner", revoke->name);
	json_object_object_add(object, "pid", json_object_new_int64(revoke->pid));
	json_object_object_add(object, "revoked", array);
	tool_print_json(object);
}

static int revoke_end(const struct tool *tool, const struct revoke *revoke)
{
	int ret = tool_token_revoke(revoke->token);

	switch (ret) {
	case 0:
		revoke_print(tool, revoke);
		return TOOL_OK;
	case -ETIMEDOUT:
		return tool_error(tool, TOOL_REFUSED,
				  "%s: DMA is blocked, but process %ld still runs an operation: its groups are in quarantine until it has ended",
				  revoke->name, revoke->pid);
	default:
		return tool_errno(tool, revoke->name, ret);
	}
}

int tool_revoke(const struct tool *tool, char **words, unsigned int count)
{
	struct revoke revoke = { .token = -1 };
	struct tool_group group;
	int ret;

	(void)count;
	ret = tool_get_owned(tool, words[0], &group);
	if (ret)
		return ret;
	revoke.group = group.id;
	if (!tool_is_owned(&group))
		ret = tool_error(tool, TOOL_REFUSED,
				 "group %d has no owner in user space: it is %s",
				 group.id, group.state);
	tool_free_group(&group);
	if (ret)
		return ret;
	revoke_find(&revoke, tool);
	if (revoke.token < 0)
		return tool_error(tool, revoke.denied ? TOOL_DENIED : TOOL_REFUSED,
				  "group %d: no process has a file that may revoke its owner%s",
				  revoke.group, revoke.denied ?
				  ", as far as can be seen without root" : "");
	ret = revoke_end(tool, &revoke);
	tool_free_groups(&revoke.all);
	close(revoke.token);
	return ret;
}
