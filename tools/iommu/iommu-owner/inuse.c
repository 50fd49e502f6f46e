// SPDX-License-Identifier: GPL-2.0-only
/* Does this machine use a device: a file system, a network link, a display? */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tool.h"

/**
 * struct inuse - What is looked for
 * @tool: The command line.
 * @below: What the path of everything below the device begins with.
 * @why: Where the reason goes.
 * @size: Its room.
 */
struct inuse {
	const struct tool *tool;
	char below[PATH_MAX];
	char *why;
	size_t size;
};

static bool inuse_is_below(const struct inuse *inuse, const char *path)
{
	char real[PATH_MAX];

	return realpath(path, real) &&
	       !strncmp(real, inuse->below, strlen(inuse->below));
}

/* The number of a process that has @file open, as far as can be seen; 0 if there is none */
static long inuse_has_open(const struct tool *tool, const char *file)
{
	char path[PATH_MAX], target[PATH_MAX];
	glob_t files;
	ssize_t length;
	long pid = 0;

	snprintf(path, sizeof(path), "%s/proc/[0-9]*/fd/*", tool->root);
	if (glob(path, GLOB_NOSORT, NULL, &files))
		return 0;
	for (size_t i = 0; i < files.gl_pathc && !pid; i++) {
		length = readlink(files.gl_pathv[i], target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!strcmp(target, file))
			pid = atol(files.gl_pathv[i] + strlen(tool->root) + strlen("/proc/"));
	}
	globfree(&files);
	return pid;
}

/* Who has a group open, for kernels that do not report owners */
long tool_vfio_user(const struct tool *tool, int group)
{
	char file[32];

	snprintf(file, sizeof(file), "/dev/vfio/%d", group);
	return inuse_has_open(tool, file);
}

/*
 * Call @check for each entry of a directory, such as one of a class, that is below the device,
 * until one is in use.
 */
static bool inuse_class(const struct inuse *inuse, const char *class,
			bool (*check)(const struct inuse *inuse, const char *name))
{
	char dir[PATH_MAX], path[PATH_MAX + 300];
	struct dirent *entry;
	bool used = false;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/%s", inuse->tool->sysfs, class);
	d = opendir(dir);
	if (!d)
		return false;
	while (!used && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.' && inuse_is_below(inuse, path))
			used = check(inuse, entry->d_name);
	}
	closedir(d);
	return used;
}

/* Where the block device with number @dev is mounted, as far as this process can see */
static bool inuse_mounted(const struct inuse *inuse, const char *dev, char *where)
{
	char path[PATH_MAX], line[PATH_MAX * 2], number[32];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", inuse->tool->root);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d %*d %31s %*s %255s", number, where) == 2 &&
			!strcmp(number, dev);
	fclose(f);
	return found;
}

/*
 * A disk with several paths is a device of its own, and each path of it one that has no
 * file. Of nvme0c1n2, that is nvme0n2.
 */
static void inuse_whole_disk(const char *name, char *disk, size_t size)
{
	unsigned int subsystem, path, namespace;

	if (sscanf(name, "nvme%uc%un%u", &subsystem, &path, &namespace) == 3)
		snprintf(disk, size, "nvme%un%u", subsystem, namespace);
	else
		snprintf(disk, size, "%s", name);
}

static bool inuse_block_part(const struct inuse *inuse, const char *name)
{
	char path[PATH_MAX], dev[32], where[256], holder[256];
	int fd;

	snprintf(path, sizeof(path), "%s/class/block/%s/holders", inuse->tool->sysfs, name);
	tool_first_entry(path, holder, sizeof(holder));
	if (holder[0]) {
		snprintf(inuse->why, inuse->size, "%s is a part of %s", name, holder);
		return true;
	}
	snprintf(path, sizeof(path), "%s/class/block/%s/dev", inuse->tool->sysfs, name);
	if (!tool_read(dev, sizeof(dev), path) && inuse_mounted(inuse, dev, where)) {
		snprintf(inuse->why, inuse->size, "%s is mounted on %s", name, where);
		return true;
	}
	/* Swap, what other namespaces have mounted, and all else that wants it for itself */
	snprintf(path, sizeof(path), "%s/dev/%s", inuse->tool->root, name);
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EBUSY) {
		snprintf(inuse->why, inuse->size, "%s is in use", name);
		return true;
	}
	if (fd >= 0)
		close(fd);
	return false;
}

/* The whole disk of a path, and its partitions, which are not below the device */
static bool inuse_block(const struct inuse *inuse, const char *name)
{
	char disk[TOOL_WORD], dir[PATH_MAX];
	struct dirent *entry;
	bool used;
	DIR *d;

	inuse_whole_disk(name, disk, sizeof(disk));
	used = inuse_block_part(inuse, disk);
	if (used || !strcmp(disk, name))
		return used;
	snprintf(dir, sizeof(dir), "%s/class/block/%s", inuse->tool->sysfs, disk);
	d = opendir(dir);
	while (d && !used && (entry = readdir(d)))
		if (!strncmp(entry->d_name, disk, strlen(disk)))
			used = inuse_block_part(inuse, entry->d_name);
	if (d)
		closedir(d);
	return used;
}

/* An address that only says that the link is up does not count. */
static bool inuse_counts(const struct sockaddr *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;

	if (!address)
		return false;
	if (address->sa_family == AF_INET6)
		return !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
	return address->sa_family == AF_INET;
}

/* Is a link stacked on it, such as a bridge, a bond, a VLAN or a macvtap? */
static bool inuse_has_link(const struct inuse *inuse, const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/class/net/%s", inuse->tool->sysfs, name);
	d = opendir(path);
	while (d && !found && (entry = readdir(d)))
		found = !strcmp(entry->d_name, "master") ||
			!strncmp(entry->d_name, "upper_", 6);
	if (d)
		closedir(d);
	return found;
}

static bool inuse_net(const struct inuse *inuse, const char *name)
{
	struct ifaddrs *addresses, *address;
	size_t length = strlen(name);
	bool used = false;

	if (inuse_has_link(inuse, name)) {
		snprintf(inuse->why, inuse->size, "network link %s is part of another", name);
		return true;
	}
	if (getifaddrs(&addresses)) {
		snprintf(inuse->why, inuse->size, "the addresses cannot be read");
		return true;
	}
	/* A label may follow the name */
	for (address = addresses; address && !used; address = address->ifa_next)
		used = !strncmp(address->ifa_name, name, length) &&
		       (!address->ifa_name[length] || address->ifa_name[length] == ':') &&
		       inuse_counts(address->ifa_addr);
	freeifaddrs(addresses);
	if (used)
		snprintf(inuse->why, inuse->size, "network link %s has an address", name);
	return used;
}

static bool inuse_display(const struct inuse *inuse, const char *name)
{
	char path[PATH_MAX], buf[32];

	snprintf(path, sizeof(path), "%s/class/drm/%s/enabled", inuse->tool->sysfs, name);
	if (tool_read(buf, sizeof(buf), path) || strcmp(buf, "enabled"))
		return false;
	snprintf(inuse->why, inuse->size, "display %s is on", name);
	return true;
}

static bool inuse_console(const struct inuse *inuse, const char *name)
{
	if (strncmp(name, "fb", 2))
		return false;
	snprintf(inuse->why, inuse->size, "it is the console %s", name);
	return true;
}

/* Also by programs that show nothing, but compute with it */
static bool inuse_render(const struct inuse *inuse, const char *name)
{
	char file[TOOL_WORD];
	long pid;

	snprintf(file, sizeof(file), "/dev/dri/%.40s", name);
	pid = inuse_has_open(inuse->tool, file);
	if (pid)
		snprintf(inuse->why, inuse->size, "process %ld has %s open", pid, file);
	return pid;
}

static bool inuse_input(const struct inuse *inuse, const char *name)
{
	if (strncmp(name, "event", 5))
		return false;
	snprintf(inuse->why, inuse->size, "%s is behind it: a keyboard or the like", name);
	return true;
}

static bool inuse_child(const struct inuse *inuse, const char *name)
{
	snprintf(inuse->why, inuse->size, "%s is made from it, for a virtual machine", name);
	return true;
}

/* The one that the firmware has shown its messages on */
static bool inuse_firmware(const struct inuse *inuse)
{
	char path[PATH_MAX + 16], buf[32];

	snprintf(path, sizeof(path), "%sboot_vga", inuse->below);
	if (tool_read(buf, sizeof(buf), path) || strcmp(buf, "1"))
		return false;
	snprintf(inuse->why, inuse->size, "it is the display of the firmware");
	return true;
}

static bool inuse_functions(const struct inuse *inuse)
{
	char path[PATH_MAX + 16], buf[32];

	snprintf(path, sizeof(path), "%ssriov_numvfs", inuse->below);
	if (tool_read(buf, sizeof(buf), path) || atoi(buf) <= 0)
		return false;
	snprintf(inuse->why, inuse->size, "it has %d virtual functions", atoi(buf));
	return true;
}

/* Whether the machine uses @device, and then what for */
bool tool_in_use(const struct tool *tool, const struct tool_device *device,
		 char *why, size_t size)
{
	struct inuse inuse = { .tool = tool, .why = why, .size = size };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", tool->sysfs, device->name);
	if (!realpath(path, inuse.below) || strlen(inuse.below) > PATH_MAX - 2) {
		snprintf(why, size, "it cannot be looked at");
		return true;
	}
	strcat(inuse.below, "/");
	return inuse_class(&inuse, "class/block", inuse_block) ||
	       inuse_class(&inuse, "class/net", inuse_net) ||
	       inuse_class(&inuse, "class/drm", inuse_display) ||
	       inuse_class(&inuse, "class/graphics", inuse_console) ||
	       inuse_class(&inuse, "class/drm", inuse_render) ||
	       inuse_class(&inuse, "class/input", inuse_input) ||
	       inuse_class(&inuse, "bus/mdev/devices", inuse_child) ||
	       inuse_class(&inuse, "bus/vdpa/devices", inuse_child) ||
	       inuse_firmware(&inuse) || inuse_functions(&inuse);
}
