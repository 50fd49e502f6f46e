// SPDX-License-Identifier: GPL-2.0-only
/* What the commands print */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const char * const exit_words[] = {
	[TOOL_OK]	= "ok",
	[TOOL_USAGE]	= "usage",
	[TOOL_MISSING]	= "missing",
	[TOOL_REFUSED]	= "refused",
	[TOOL_KERNEL]	= "kernel",
	[TOOL_DENIED]	= "denied",
	[TOOL_FAILED]	= "failed",
};

static void output_json(struct json_object *object, int flags)
{
	json_object_object_add(object, "version",
			       json_object_new_int(TOOL_JSON_VERSION));
	puts(json_object_to_json_string_ext(object, flags | JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	fflush(stdout);
}

void tool_print_json(struct json_object *object)
{
	output_json(object, JSON_C_TO_STRING_PRETTY);
}

/* For what prints many: each is one line */
void tool_print_json_line(struct json_object *object)
{
	output_json(object, 0);
}

/* Print why the program ends, and return with what */
int tool_error(const struct tool *tool, enum tool_exit code, const char *fmt, ...)
{
	struct json_object *object, *error;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!tool->json) {
		fprintf(stderr, "iommu-owner: %s\n", text);
		return code;
	}
	object = json_object_new_object();
	error = json_object_new_object();
	json_object_object_add(error, "code",
			       json_object_new_string(exit_words[code]));
	json_object_object_add(error, "message", json_object_new_string(text));
	json_object_object_add(object, "error", error);
	tool_print_json(object);
	return code;
}

/* The same for an errno of the kernel, @what being what was done or looked for */
int tool_errno(const struct tool *tool, const char *what, int err)
{
	switch (err) {
	case -EACCES:
	case -EROFS:
		return tool_error(tool, TOOL_DENIED, "%s: needs root", what);
	case -EBUSY:
	case -EPERM:
		return tool_error(tool, TOOL_REFUSED,
				  "%s: refused: %s; the kernel log names the reason",
				  what, strerror(-err));
	case -ENOENT:
	case -ENODEV:
	case -ESTALE:
		return tool_error(tool, TOOL_MISSING, "%s: is gone", what);
	default:
		return tool_error(tool, TOOL_FAILED, "%s: %s", what, strerror(-err));
	}
}

int tool_no_owners(const struct tool *tool)
{
	return tool_error(tool, TOOL_KERNEL, "this kernel does not report owners");
}

/* null if it is empty */
void tool_json_add(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text[0] ? json_object_new_string(text) : NULL);
}

static struct json_object *output_words(char words[][TOOL_WORD], size_t count)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(array, json_object_new_string(words[i]));
	return array;
}

static struct json_object *output_devices(const struct tool_group *group)
{
	struct json_object *array = json_object_new_array(), *object;

	for (size_t i = 0; i < group->nr_devices; i++) {
		object = json_object_new_object();
		tool_json_add(object, "name", group->devices[i].name);
		tool_json_add(object, "parent", group->devices[i].parent);
		tool_json_add(object, "driver", group->devices[i].driver);
		json_object_object_add(object, "bridge",
				       json_object_new_boolean(group->devices[i].bridge));
		tool_json_add(object, "label", group->devices[i].label);
		json_object_array_add(array, object);
	}
	return array;
}

static struct json_object *output_blockers(const struct tool_group *group)
{
	struct json_object *array = json_object_new_array(), *object;

	for (size_t i = 0; i < group->nr_blockers; i++) {
		object = json_object_new_object();
		tool_json_add(object, "device", group->blockers[i].device);
		tool_json_add(object, "driver", group->blockers[i].driver);
		json_object_array_add(array, object);
	}
	return array;
}

static struct json_object *output_pasids(const struct tool_group *group)
{
	struct json_object *array = json_object_new_array(), *object;

	for (size_t i = 0; i < group->nr_pasids; i++) {
		const struct tool_pasid *pasid = &group->pasids[i];

		object = json_object_new_object();
		tool_json_add(object, "device", strcmp(pasid->device, "-") ?
			      pasid->device : "");
		json_object_object_add(object, "pasid",
				       json_object_new_int64(pasid->pasid));
		tool_json_add(object, "owner", pasid->owner);
		json_object_object_add(object, "references",
				       json_object_new_int64(pasid->refs));
		tool_json_add(object, "state", pasid->state);
		json_object_array_add(array, object);
	}
	return array;
}

static struct json_object *output_owner(const struct tool_group *group)
{
	struct json_object *object;

	if (!group->holder)
		return NULL;
	object = json_object_new_object();
	tool_json_add(object, "name", group->owner);
	json_object_object_add(object, "pid", json_object_new_int64(group->pid));
	tool_json_add(object, "command", strcmp(group->comm, "-") ? group->comm : "");
	return object;
}

static struct json_object *output_isolation(const struct tool_group *group)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "held",
			       output_words((char (*)[TOOL_WORD])group->held,
					    group->nr_held));
	json_object_object_add(object, "missing",
			       output_words((char (*)[TOOL_WORD])group->missing,
					    group->nr_missing));
	return object;
}

/* All that is known of a group; what this kernel or this user does not know is null */
struct json_object *tool_json_group(const struct tool *tool, const struct tool_group *group)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "group", json_object_new_int(group->id));
	tool_json_add(object, "state", group->state);
	json_object_object_add(object, "owner", output_owner(group));
	json_object_object_add(object, "generation", group->owned ?
			       json_object_new_uint64(group->generation) : NULL);
	tool_json_add(object, "trust", group->trust);
	tool_json_add(object, "quarantine", group->quarantine);
	tool_json_add(object, "type", group->type);
	json_object_object_add(object, "isolation",
			       group->owned ? output_isolation(group) : NULL);
	json_object_object_add(object, "blockers",
			       group->owned ? output_blockers(group) : NULL);
	json_object_object_add(object, "devices", output_devices(group));
	if (tool->pasids)
		json_object_object_add(object, "pasids",
				       group->has_pasids ? output_pasids(group) : NULL);
	return object;
}

struct json_object *tool_json_groups(const struct tool *tool,
				     const struct tool_groups *groups)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < groups->count; i++)
		json_object_array_add(array, tool_json_group(tool, &groups->groups[i]));
	json_object_object_add(object, "groups", array);
	return object;
}

/* "full" means all but what only makes DMA coherent with the caches */
const char *tool_isolation_word(const struct tool_group *group)
{
	size_t missing = group->nr_missing;

	if (!group->owned)
		return "?";
	for (size_t i = 0; i < group->nr_missing; i++)
		if (!strcmp(group->missing[i], "snoop"))
			missing--;
	return missing ? "partial" : "full";
}

/* Has a program the group? */
bool tool_is_owned(const struct tool_group *group)
{
	return !strcmp(group->state, "user") || !strcmp(group->state, "reserved");
}

void tool_owner_text(const struct tool_group *group, char *buf, size_t size)
{
	if (!group->owned || !group->holder)
		snprintf(buf, size, "?");
	else if (!strcmp(group->owner, "kernel"))
		snprintf(buf, size, "-");
	else if (group->pid)
		snprintf(buf, size, "%s (%s, pid %ld)", group->owner, group->comm,
			 group->pid);
	else
		snprintf(buf, size, "%s", group->owner);
}
