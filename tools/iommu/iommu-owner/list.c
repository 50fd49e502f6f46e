// SPDX-License-Identifier: GPL-2.0-only
/* list, show: groups and their devices */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define LIST_FORMAT	"%-14s %-16s %5s  %-10s %-10s %-9s %s\n"

static const char *list_or_dash(const char *text)
{
	return text[0] ? text : "-";
}

/* What is not as it is usually stands out. */
static const char *list_colour(const struct tool *tool,
			       const struct tool_group *group)
{
	if (!tool->colour)
		return "";
	if (!strcmp(group->state, "quarantine"))
		return "\033[31m";
	if (!strcmp(group->state, "user") || !strcmp(group->state, "reserved"))
		return "\033[36m";
	if (!strcmp(group->state, "blocked"))
		return "\033[33m";
	return "";
}

static void list_print_group(const struct tool *tool,
			     const struct tool_group *group)
{
	const char *colour = list_colour(tool, group);
	char number[16];

	for (size_t i = 0; i < group->nr_devices; i++) {
		const struct tool_device *device = &group->devices[i];

		snprintf(number, sizeof(number), "%d", group->id);
		fputs(colour, stdout);
		printf(LIST_FORMAT, device->name, list_or_dash(device->driver),
		       number, group->owned ? group->state : "?",
		       group->trust[0] ? group->trust : "?",
		       tool_isolation_word(group), device->label);
		if (colour[0])
			fputs("\033[0m", stdout);
	}
}

static int list_print_json(struct tool_group *groups, size_t count)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(array, tool_json_group(&groups[i]));
	json_object_object_add(object, "groups", array);
	tool_print_json(object);
	return TOOL_OK;
}

static int list_fail(const struct tool *tool, int err)
{
	if (err == -ENOENT)
		return tool_error(tool, TOOL_MISSING, "there is no IOMMU group");
	return tool_error(tool, TOOL_FAILED, "the groups cannot be read: %s",
			  strerror(-err));
}

int tool_list(const struct tool *tool)
{
	struct tool_group *groups;
	bool owned = true;
	size_t count;
	int ret;

	ret = tool_read_groups(tool, &groups, &count);
	if (!ret && !count)
		ret = -ENOENT;
	if (ret)
		return list_fail(tool, ret);
	if (tool->json) {
		ret = list_print_json(groups, count);
	} else {
		printf(LIST_FORMAT, "DEVICE", "DRIVER", "GROUP", "STATE", "TRUST",
		       "ISOLATION", "NAME");
		for (size_t i = 0; i < count; i++) {
			list_print_group(tool, &groups[i]);
			owned &= groups[i].owned;
		}
		if (!owned)
			fputs("iommu-owner: this kernel does not report owners\n",
			      stderr);
	}
	for (size_t i = 0; i < count; i++)
		tool_free_group(&groups[i]);
	free(groups);
	return ret;
}

static void show_words(const char *title, const char words[][TOOL_WORD],
		       size_t count)
{
	printf("%-12s", title);
	if (!count)
		fputs(" -", stdout);
	for (size_t i = 0; i < count; i++)
		printf(" %s", words[i]);
	putchar('\n');
}

static void show_group(const struct tool_group *group)
{
	char owner[2 * TOOL_WORD + 32];

	printf("%-12s %d\n", "group", group->id);
	if (group->owned) {
		tool_owner_text(group, owner, sizeof(owner));
		printf("%-12s %s\n", "state", group->state);
		printf("%-12s %s%s\n", "owner", owner,
		       group->holder ? "" : " (for root only)");
		printf("%-12s %s\n", "trust", list_or_dash(group->trust));
		if (group->quarantine[0])
			printf("%-12s %s\n", "quarantine", group->quarantine);
		show_words("held", group->held, group->nr_held);
		show_words("missing", group->missing, group->nr_missing);
	}
	printf("%-12s %s\n", "domain", list_or_dash(group->type));
	for (size_t i = 0; i < group->nr_devices; i++)
		printf("%-12s %s %s %s\n", "device", group->devices[i].name,
		       list_or_dash(group->devices[i].driver),
		       group->devices[i].label);
	for (size_t i = 0; i < group->nr_blockers; i++)
		printf("%-12s %s %s\n", "blocker", group->blockers[i].device,
		       group->blockers[i].driver);
}

int tool_show(const struct tool *tool, const char *what)
{
	struct json_object *object;
	struct tool_group group;
	int ret;

	ret = tool_get(tool, what, &group);
	if (ret)
		return ret;
	if (tool->json) {
		object = tool_json_group(&group);
		tool_print_json(object);
	} else {
		show_group(&group);
		if (!group.owned)
			fputs("iommu-owner: this kernel does not report owners\n",
			      stderr);
	}
	tool_free_group(&group);
	return TOOL_OK;
}
