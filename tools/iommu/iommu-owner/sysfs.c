// SPDX-License-Identifier: GPL-2.0-only
/* Groups and devices, as sysfs has them */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* Reads of one group that do not belong together, before it is given up */
#define SYSFS_ROUNDS	16

/* The content of a file without what is blank at its end; a negative errno */
int tool_read(char *buf, size_t size, const char *path)
{
	ssize_t length;
	int fd, err;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, buf, size - 1);
	err = errno;
	close(fd);
	if (length < 0)
		return -err;
	buf[length] = '\0';
	while (length && isspace((unsigned char)buf[length - 1]))
		buf[--length] = '\0';
	return 0;
}

/* The name of what is in a directory; "" if there is nothing */
void tool_first_entry(const char *path, char *buf, size_t size)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	buf[0] = '\0';
	while (dir && !buf[0] && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(buf, size, "%s", entry->d_name);
	if (dir)
		closedir(dir);
}

/* Write to a file that is there; a negative errno */
int tool_write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Put @text in place of what is in a file: it is the old one or the new one, whole. */
int tool_replace_file(const char *path, const char *text)
{
	char new[PATH_MAX];
	int fd, ret = 0;

	snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) ||
	    rename(new, path))
		ret = -errno;
	close(fd);
	return ret;
}

static void sysfs_copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static int sysfs_read(const struct tool *tool, int id, const char *file,
		      char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/%s",
		 tool->sysfs, id, file);
	return tool_read(buf, size, path);
}

/* Where a symbolic link leads, without what is before the last '/' */
void tool_link(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	const char *last;

	buf[0] = '\0';
	if (length < 0)
		return;
	target[length] = '\0';
	last = strrchr(target, '/');
	sysfs_copy(buf, size, last ? last + 1 : target);
}

/* A number of a device in sysfs; -1 if it has none */
static long sysfs_number(const char *path, const char *file)
{
	char name[PATH_MAX + 16], buf[32];

	snprintf(name, sizeof(name), "%s/%s", path, file);
	if (tool_read(buf, sizeof(buf), name))
		return -1;
	return strtol(buf, NULL, 16);
}

/* What vfio-pci drives is said by the type of the header, not by the class. */
static bool sysfs_is_bridge(const char *path, long class)
{
	char name[PATH_MAX + 16];
	unsigned char header;
	ssize_t length = -1;
	int fd;

	snprintf(name, sizeof(name), "%s/config", path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = pread(fd, &header, 1, PCI_HEADER_TYPE);
		close(fd);
	}
	if (length == 1)
		return (header & 0x7f) != PCI_HEADER_TYPE_NORMAL;
	return class >> 8 == PCI_CLASS_BRIDGE_PCI;
}

static void sysfs_read_pci(const struct tool *tool, const char *path,
			   struct tool_device *device)
{
	long vendor = sysfs_number(path, "vendor");
	long id = sysfs_number(path, "device");
	long class = sysfs_number(path, "class");
	char *name;

	if (vendor < 0 || id < 0)
		return;
	device->pci = true;
	device->bridge = sysfs_is_bridge(path, class);
	name = pci_lookup_name(tool->pci, device->label, sizeof(device->label),
			       PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE,
			       (int)vendor, (int)id);
	if (!name)
		device->label[0] = '\0';
	else if (name != device->label)
		sysfs_copy(device->label, sizeof(device->label), name);
}

/* The directory that a device is in, if that is a PCI device */
static void sysfs_read_parent(const char *path, struct tool_device *device)
{
	char real[PATH_MAX], *last;
	unsigned int n;

	if (!realpath(path, real))
		return;
	for (n = 0; n < 2; n++) {
		last = strrchr(real, '/');
		if (!last)
			return;
		if (n && strchr(last, ':') && strchr(last, '.'))
			sysfs_copy(device->parent, sizeof(device->parent), last + 1);
		*last = '\0';
	}
}

static int sysfs_compare_devices(const void *a, const void *b)
{
	return strcmp(((const struct tool_device *)a)->name,
		      ((const struct tool_device *)b)->name);
}

/* One more at the end of an array, zeroed */
void *tool_grow(void **array, size_t *count, size_t size)
{
	char *grown = realloc(*array, (*count + 1) * size);

	if (!grown)
		return NULL;
	*array = grown;
	memset(grown + *count * size, 0, size);
	return grown + (*count)++ * size;
}

static int sysfs_read_devices(const struct tool *tool, struct tool_group *group)
{
	char path[PATH_MAX], link[PATH_MAX + 300];
	struct tool_device *device;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/devices",
		 tool->sysfs, group->id);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		device = tool_grow((void **)&group->devices, &group->nr_devices,
				   sizeof(*device));
		if (!device)
			break;
		sysfs_copy(device->name, sizeof(device->name), entry->d_name);
		snprintf(link, sizeof(link), "%s/%s/driver", path, entry->d_name);
		tool_link(link, device->driver, sizeof(device->driver));
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		sysfs_read_pci(tool, link, device);
		sysfs_read_parent(link, device);
	}
	closedir(dir);
	if (group->nr_devices)
		qsort(group->devices, group->nr_devices,
		      sizeof(*group->devices), sysfs_compare_devices);
	return 0;
}

static void sysfs_parse_blockers(struct tool_group *group, char *text)
{
	char *save, *line = strtok_r(text, "\n", &save);
	struct tool_blocker *blocker;
	char *space;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		space = strchr(line, ' ');
		if (!space)
			continue;
		*space = '\0';
		blocker = tool_grow((void **)&group->blockers,
				    &group->nr_blockers, sizeof(*blocker));
		if (!blocker)
			return;
		sysfs_copy(blocker->device, sizeof(blocker->device), line);
		sysfs_copy(blocker->driver, sizeof(blocker->driver), space + 1);
	}
}

static void sysfs_parse_pasids(struct tool_group *group, char *text)
{
	char *save, *line = strtok_r(text, "\n", &save);
	struct tool_pasid *pasid, read;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%63s %u %63s %u %63s", read.device, &read.pasid,
			   read.owner, &read.refs, read.state) != 5)
			continue;
		pasid = tool_grow((void **)&group->pasids, &group->nr_pasids,
				  sizeof(*pasid));
		if (!pasid)
			return;
		*pasid = read;
	}
}

static void sysfs_parse_words(char words[TOOL_BITS][TOOL_WORD], size_t *count,
			      char *line)
{
	char *save, *word = strtok_r(line, " ", &save);

	for (; word && *count < TOOL_BITS; word = strtok_r(NULL, " ", &save))
		sysfs_copy(words[(*count)++], TOOL_WORD, word);
}

static void sysfs_parse_isolation(struct tool_group *group, char *text)
{
	char *save, *line = strtok_r(text, "\n", &save);

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "held:", 5))
			sysfs_parse_words(group->held, &group->nr_held, line + 5);
		else if (!strncmp(line, "missing:", 8))
			sysfs_parse_words(group->missing, &group->nr_missing,
					  line + 8);
	}
}

/* The command is what the process says that it is, and may be empty. */
static void sysfs_parse_holder(struct tool_group *group, const char *text)
{
	char owner[TOOL_WORD], comm[TOOL_WORD] = "";

	if (sscanf(text, "%ld %63s %63[^\n]", &group->pid, owner, comm) < 2)
		return;
	for (char *c = comm; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	sysfs_copy(group->owner, sizeof(group->owner), owner);
	sysfs_copy(group->comm, sizeof(group->comm), comm);
	group->holder = true;
}

static int sysfs_read_generation(const struct tool *tool, int id, uint64_t *value)
{
	char buf[32];
	int ret = sysfs_read(tool, id, "owner/generation", buf, sizeof(buf));

	*value = strtoull(buf, NULL, 10);
	return ret;
}

static int sysfs_read_once(const struct tool *tool, struct tool_group *group)
{
	char buf[4096];
	int ret;

	ret = sysfs_read_devices(tool, group);
	if (ret)
		return ret;
	sysfs_read(tool, group->id, "type", group->type, sizeof(group->type));
	if (!group->owned)
		return 0;
	ret = sysfs_read(tool, group->id, "owner/state", group->state,
			 sizeof(group->state));
	if (ret)
		return ret;
	if (!sysfs_read(tool, group->id, "owner/holder", buf, sizeof(buf)))
		sysfs_parse_holder(group, buf);
	if (!sysfs_read(tool, group->id, "owner/blockers", buf, sizeof(buf)))
		sysfs_parse_blockers(group, buf);
	if (!sysfs_read(tool, group->id, "owner/isolation", buf, sizeof(buf)))
		sysfs_parse_isolation(group, buf);
	if (tool->pasids && !sysfs_read(tool, group->id, "owner/pasids", buf, sizeof(buf))) {
		group->has_pasids = true;
		sysfs_parse_pasids(group, buf);
	}
	sysfs_read(tool, group->id, "owner/trust", group->trust,
		   sizeof(group->trust));
	sysfs_read(tool, group->id, "owner/quarantine", group->quarantine,
		   sizeof(group->quarantine));
	return 0;
}

void tool_free_group(struct tool_group *group)
{
	free(group->devices);
	free(group->blockers);
	free(group->pasids);
	memset(group, 0, sizeof(*group));
}

/*
 * Read a group again and again until nothing has changed in between. A negative errno:
 * -ENOENT if it is not there, -EAGAIN if it never stands still.
 */
int tool_read_group(const struct tool *tool, int id, struct tool_group *group)
{
	uint64_t before, after;
	int ret;

	for (int i = 0; i < SYSFS_ROUNDS; i++) {
		memset(group, 0, sizeof(*group));
		group->id = id;
		group->owned = !sysfs_read_generation(tool, id, &before);
		ret = sysfs_read_once(tool, group);
		if (!ret && !group->owned)
			return 0;
		if (!ret)
			ret = sysfs_read_generation(tool, id, &after);
		if (!ret && before == after) {
			group->generation = before;
			return 0;
		}
		tool_free_group(group);
		if (ret)
			return ret;
	}
	return -EAGAIN;
}

static int sysfs_compare_groups(const void *a, const void *b)
{
	return ((const struct tool_group *)a)->id -
	       ((const struct tool_group *)b)->id;
}

void tool_free_groups(struct tool_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		tool_free_group(&groups->groups[i]);
	free(groups->groups);
	memset(groups, 0, sizeof(*groups));
}

static int sysfs_add_group(struct tool_groups *groups, const struct tool_group *group)
{
	struct tool_group *new = tool_grow((void **)&groups->groups, &groups->count,
					   sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = *group;
	return 0;
}

/* All groups, by number. One that has gone meanwhile is left out. */
int tool_read_groups(const struct tool *tool, struct tool_groups *groups)
{
	char path[PATH_MAX], *end;
	struct tool_group group;
	struct dirent *entry;
	DIR *dir;
	long id;
	int ret = 0;

	memset(groups, 0, sizeof(*groups));
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", tool->sysfs);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir))) {
		id = strtol(entry->d_name, &end, 10);
		if (*end || end == entry->d_name)
			continue;
		ret = tool_read_group(tool, (int)id, &group);
		if (!ret)
			ret = sysfs_add_group(groups, &group);
		else if (ret == -ENOENT || ret == -ENODEV)
			ret = 0;
	}
	closedir(dir);
	if (groups->count)
		qsort(groups->groups, groups->count, sizeof(*groups->groups),
		      sysfs_compare_groups);
	return ret;
}

/* The group of a device, by its name or by its address without a domain */
static int sysfs_group_of(const struct tool *tool, const char *name)
{
	char path[PATH_MAX], link[TOOL_WORD];
	const char * const buses[] = { "pci", "platform", "amba", "fsl-mc", "cdx" };

	for (size_t i = 0; i < sizeof(buses) / sizeof(*buses); i++) {
		for (int domain = 0; domain < 2; domain++) {
			snprintf(path, sizeof(path), "%s/bus/%s/devices/%s%s/iommu_group",
				 tool->sysfs, buses[i], domain ? "0000:" : "", name);
			tool_link(path, link, sizeof(link));
			if (link[0])
				return (int)strtol(link, NULL, 10);
		}
	}
	return -ENOENT;
}

/* The group that @what names: "group:N", or a device of it; a negative errno */
static int sysfs_find(const struct tool *tool, const char *what, struct tool_group *group)
{
	char *end;
	int id;

	if (strchr(what, '/'))
		return -ENOENT;
	if (!strncmp(what, "group:", 6)) {
		id = (int)strtol(what + 6, &end, 10);
		if (*end || end == what + 6)
			return -ENOENT;
	} else {
		id = sysfs_group_of(tool, what);
		if (id < 0)
			return id;
	}
	return tool_read_group(tool, id, group);
}

/* The same, with an error that is printed and TOOL_*; 0 is TOOL_OK */
int tool_get(const struct tool *tool, const char *what, struct tool_group *group)
{
	int ret = sysfs_find(tool, what, group);

	if (!ret)
		return TOOL_OK;
	if (ret == -ENOENT || ret == -ENODEV)
		return tool_error(tool, TOOL_MISSING,
				  "%s: no such device with an IOMMU group", what);
	return tool_error(tool, TOOL_FAILED, "%s: %s", what, strerror(-ret));
}

/* The same, for what needs a kernel that reports owners */
int tool_get_owned(const struct tool *tool, const char *what, struct tool_group *group)
{
	int ret = tool_get(tool, what, group);

	if (ret || group->owned)
		return ret;
	tool_free_group(group);
	return tool_no_owners(tool);
}

/* The groups that @words name, each once; with an error that is printed and TOOL_* */
int tool_get_groups(const struct tool *tool, char **words, unsigned int count,
		    struct tool_groups *groups)
{
	struct tool_group group;
	bool known;
	int ret = 0;

	memset(groups, 0, sizeof(*groups));
	for (unsigned int i = 0; i < count && !ret; i++) {
		ret = tool_get(tool, words[i], &group);
		if (ret)
			break;
		known = false;
		for (size_t j = 0; j < groups->count; j++)
			known |= groups->groups[j].id == group.id;
		if (!known && !sysfs_add_group(groups, &group))
			continue;
		tool_free_group(&group);
		if (!known)
			ret = tool_errno(tool, words[i], -ENOMEM);
	}
	if (ret)
		tool_free_groups(groups);
	return ret;
}

/* Write to a file in owner/ of @group; a negative errno */
int tool_write(const struct tool *tool, const struct tool_group *group,
	       const char *file, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/owner/%s",
		 tool->sysfs, group->id, file);
	return tool_write_file(path, value);
}

/* Is the kernel locked down? The word in brackets is the level. */
bool tool_locked_down(const struct tool *tool)
{
	char path[PATH_MAX], buf[128];

	snprintf(path, sizeof(path), "%s/kernel/security/lockdown", tool->sysfs);
	return !tool_read(buf, sizeof(buf), path) && !strstr(buf, "[none]");
}
