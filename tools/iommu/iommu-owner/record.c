// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was bound before assign, in /run/iommu-owner/assigned.json, written before anything
 * is changed: restore understands it whatever became of the process that wrote it.
 *
 *	{ "devices": { "0000:01:00.0": { "id": "8086:10d3", "driver": "e1000e",
 *		"override": null, "persisted": false, "saved": null } } }
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

/* Nobody but root can open the file, and so keep others from it. */
static int record_lock(const struct tool *tool)
{
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/run/iommu-owner", tool->root);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/run/iommu-owner/lock", tool->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ret = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

static int record_read(struct tool_record *record)
{
	struct json_object *file, *devices;

	record->devices = json_object_new_object();
	if (access(record->path, F_OK))
		return errno == ENOENT ? 0 : -errno;
	file = json_object_from_file(record->path);
	if (!json_object_object_get_ex(file, "devices", &devices) ||
	    !json_object_is_type(devices, json_type_object)) {
		json_object_put(file);
		return -EBADMSG;
	}
	json_object_put(record->devices);
	record->devices = json_object_get(devices);
	json_object_put(file);
	return 0;
}

/* Nobody else has it until tool_record_close(); -EWOULDBLOCK if somebody has. */
int tool_record_open(const struct tool *tool, struct tool_record *record)
{
	int ret;

	memset(record, 0, sizeof(*record));
	snprintf(record->path, sizeof(record->path), "%s/run/iommu-owner/assigned.json",
		 tool->root);
	record->lock = record_lock(tool);
	if (record->lock < 0)
		return record->lock;
	ret = record_read(record);
	if (ret)
		tool_record_close(record);
	return ret;
}

/* One that is in memory only */
void tool_record_init(struct tool_record *record)
{
	memset(record, 0, sizeof(*record));
	record->lock = -1;
	record->devices = json_object_new_object();
}

void tool_record_close(struct tool_record *record)
{
	json_object_put(record->devices);
	record->devices = NULL;
	if (record->lock >= 0)
		close(record->lock);
}

/* It is the old file or the new one, whole, at any time. */
int tool_record_write(const struct tool_record *record)
{
	struct json_object *file = json_object_new_object();
	const char *text;
	int ret;

	json_object_object_add(file, "devices", json_object_get(record->devices));
	text = json_object_to_json_string_ext(file, JSON_C_TO_STRING_PRETTY);
	ret = tool_replace_file(record->path, text);
	json_object_put(file);
	return ret;
}

static void record_string(struct json_object *entry, const char *key, char *value)
{
	struct json_object *string;

	value[0] = '\0';
	if (json_object_object_get_ex(entry, key, &string) && string)
		snprintf(value, TOOL_WORD, "%s", json_object_get_string(string));
}

bool tool_record_get(const struct tool_record *record, const char *device,
		     struct tool_binding *binding)
{
	struct json_object *entry, *persisted;

	memset(binding, 0, sizeof(*binding));
	if (!json_object_object_get_ex(record->devices, device, &entry))
		return false;
	record_string(entry, "id", binding->id);
	record_string(entry, "driver", binding->driver);
	record_string(entry, "override", binding->override);
	record_string(entry, "saved", binding->saved);
	if (json_object_object_get_ex(entry, "persisted", &persisted))
		binding->persisted = json_object_get_boolean(persisted);
	return true;
}

void tool_record_put(struct tool_record *record, const char *device,
		     const struct tool_binding *binding)
{
	struct json_object *entry = json_object_new_object();

	tool_json_add(entry, "id", binding->id);
	tool_json_add(entry, "driver", binding->driver);
	tool_json_add(entry, "override", binding->override);
	json_object_object_add(entry, "persisted",
			       json_object_new_boolean(binding->persisted));
	tool_json_add(entry, "saved", binding->saved);
	json_object_object_add(record->devices, device, entry);
}

void tool_record_del(struct tool_record *record, const char *device)
{
	json_object_object_del(record->devices, device);
}
