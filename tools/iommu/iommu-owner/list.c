// SPDX-License-Identifier: GPL-2.0-only
/* list, show, trust, clear: groups and their devices */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define LIST_FORMAT	"%-*s %-16s %5s  %-10s %-10s %-9s %s\n"
#define LIST_WIDTH	14
#define LIST_PASID	"%-14s %5s  %7s  %-16s %4s  %s\n"

/* A device with its group, for what is not sorted by group */
struct list_row {
	const struct tool_group *group;
	const struct tool_device *device;
};

struct list_rows {
	struct list_row *rows;
	size_t count;
	int width;
};

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
	if (tool_is_owned(group))
		return "\033[36m";
	if (!strcmp(group->state, "blocked"))
		return "\033[33m";
	return "";
}

static void list_print_device(const struct tool *tool, const struct list_row *row,
			      int depth, int width)
{
	const char *colour = list_colour(tool, row->group);
	char number[16], name[TOOL_WORD + 32];

	snprintf(number, sizeof(number), "%d", row->group->id);
	snprintf(name, sizeof(name), "%*s%s", 2 * depth, "", row->device->name);
	fputs(colour, stdout);
	printf(LIST_FORMAT, width, name, list_or_dash(row->device->driver), number,
	       row->group->owned ? row->group->state : "?",
	       row->group->trust[0] ? row->group->trust : "?",
	       tool_isolation_word(row->group), row->device->label);
	if (colour[0])
		fputs("\033[0m", stdout);
}

static int list_compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct list_row *)a)->device->name,
		      ((const struct list_row *)b)->device->name);
}

static bool list_has(const struct list_rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (!strcmp(rows->rows[i].device->name, name))
			return true;
	return false;
}

/* What is behind @parent; "" is what is behind nothing that has a group */
static void list_print_behind(const struct tool *tool, const struct list_rows *rows,
			      const char *parent, int depth)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct tool_device *device = rows->rows[i].device;

		if (parent[0] ? strcmp(device->parent, parent) :
				device->parent[0] && list_has(rows, device->parent))
			continue;
		list_print_device(tool, &rows->rows[i], depth, rows->width);
		if (depth < 15)
			list_print_behind(tool, rows, device->name, depth + 1);
	}
}

static int list_print(const struct tool *tool, const struct tool_groups *groups)
{
	struct list_rows rows = { .width = tool->tree ? LIST_WIDTH + 8 : LIST_WIDTH };
	struct list_row *row;

	for (size_t i = 0; i < groups->count; i++) {
		for (size_t j = 0; j < groups->groups[i].nr_devices; j++) {
			row = tool_grow((void **)&rows.rows, &rows.count, sizeof(*row));
			if (!row)
				return -ENOMEM;
			row->group = &groups->groups[i];
			row->device = &groups->groups[i].devices[j];
		}
	}
	printf(LIST_FORMAT, rows.width, "DEVICE", "DRIVER", "GROUP", "STATE", "TRUST",
	       "ISOLATION", "NAME");
	if (tool->tree && rows.count) {
		qsort(rows.rows, rows.count, sizeof(*rows.rows), list_compare_rows);
		list_print_behind(tool, &rows, "", 0);
	}
	for (size_t i = 0; i < rows.count && !tool->tree; i++)
		list_print_device(tool, &rows.rows[i], 0, rows.width);
	free(rows.rows);
	return 0;
}

static void list_print_pasids(const struct tool_group *group)
{
	char number[16], pasid[16], refs[16];

	snprintf(number, sizeof(number), "%d", group->id);
	for (size_t i = 0; i < group->nr_pasids; i++) {
		snprintf(pasid, sizeof(pasid), "%u", group->pasids[i].pasid);
		snprintf(refs, sizeof(refs), "%u", group->pasids[i].refs);
		printf(LIST_PASID, group->pasids[i].device, number, pasid,
		       group->pasids[i].owner, refs, group->pasids[i].state);
	}
}

static int list_fail(const struct tool *tool, int err)
{
	if (err == -ENOENT)
		return tool_error(tool, TOOL_MISSING, "there is no IOMMU group");
	return tool_error(tool, TOOL_FAILED, "the groups cannot be read: %s",
			  strerror(-err));
}

int tool_list(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_groups groups;
	bool owned = true;
	int ret;

	(void)words;
	(void)count;
	ret = tool_read_groups(tool, &groups);
	if (!ret && !groups.count)
		ret = -ENOENT;
	if (!ret && !tool->json)
		ret = list_print(tool, &groups);
	if (ret) {
		tool_free_groups(&groups);
		return list_fail(tool, ret);
	}
	if (tool->json) {
		tool_print_json(tool_json_groups(tool, &groups));
	} else {
		if (tool->pasids)
			printf("\n" LIST_PASID, "DEVICE", "GROUP", "PASID", "OWNER",
			       "REFS", "STATE");
		for (size_t i = 0; i < groups.count; i++) {
			list_print_pasids(&groups.groups[i]);
			owned &= groups.groups[i].owned;
		}
		if (!owned)
			fputs("iommu-owner: this kernel does not report owners\n",
			      stderr);
	}
	tool_free_groups(&groups);
	return TOOL_OK;
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
	for (size_t i = 0; i < group->nr_pasids; i++)
		printf("%-12s %u %s %s (%u references, %s)\n", "pasid",
		       group->pasids[i].pasid, group->pasids[i].owner,
		       group->pasids[i].device, group->pasids[i].refs,
		       group->pasids[i].state);
}

int tool_show(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_group group;
	int ret;

	(void)count;
	ret = tool_get(tool, words[0], &group);
	if (ret)
		return ret;
	if (tool->json) {
		tool_print_json(tool_json_group(tool, &group));
	} else {
		show_group(&group);
		if (!group.owned)
			fputs("iommu-owner: this kernel does not report owners\n",
			      stderr);
	}
	tool_free_group(&group);
	return TOOL_OK;
}

static int show_write(const struct tool *tool, char **words, const char *file,
		      const char *value)
{
	struct tool_group group;
	int ret;

	ret = tool_get_owned(tool, words[0], &group);
	if (ret)
		return ret;
	ret = tool_write(tool, &group, file, value);
	tool_free_group(&group);
	if (ret == -EINVAL && strcmp(file, "trust"))
		return tool_error(tool, TOOL_REFUSED, "%s: not in quarantine", words[0]);
	if (ret == -EINVAL)
		return tool_error(tool, TOOL_REFUSED, "%s: these devices cannot be %s",
				  words[0], value);
	if (ret)
		return tool_errno(tool, words[0], ret);
	return tool_show(tool, words, 1);
}

int tool_trust(const struct tool *tool, char **words, unsigned int count)
{
	static const char * const levels[] = { "full", "restricted", "reserved", "blocked" };

	if (count == 1)
		return tool_show(tool, words, 1);
	for (size_t i = 0; strcmp(levels[i], words[1]);)
		if (++i == sizeof(levels) / sizeof(*levels))
			return tool_error(tool, TOOL_USAGE, "%s is no level of trust",
					  words[1]);
	return show_write(tool, words, "trust", words[1]);
}

int tool_clear(const struct tool *tool, char **words, unsigned int count)
{
	(void)count;
	return show_write(tool, words, "quarantine", "clear");
}
