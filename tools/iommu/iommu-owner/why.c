// SPDX-License-Identifier: GPL-2.0-only
/* why: what stops a device from being assigned, and what helps */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

#define WHY_HELP	4

/**
 * struct why - One reason
 * @kind: A word for programs.
 * @text: A sentence.
 * @help: Commands, or what to change.
 */
struct why {
	char kind[TOOL_WORD];
	char text[320];
	char help[WHY_HELP][256];
};

#define WHY_MAX		64

/**
 * struct whys - All reasons
 * @blockers: What stops it now.
 * @nr_blockers: Their number.
 * @missing: Isolation that is missing: it stops it when the kernel is locked down.
 * @nr_missing: Their number.
 */
struct whys {
	struct why blockers[WHY_MAX];
	size_t nr_blockers;
	struct why missing[TOOL_BITS];
	size_t nr_missing;
};

static const struct {
	const char *bit;
	const char *help;
} why_hints[] = {
	{ "translated", "no translation: write DMA to its \"type\", or boot without iommu=pt" },
	{ "no-direct", "the firmware wants its memory mapped 1:1 (RMRR, IVMD): try another slot" },
	{ "isolated-msi", "no interrupt remapping: see the firmware, boot without intremap=off" },
	{ "acs", "a port above it does not keep its requests apart (ACS): try another slot" },
	{ "no-sibling", "a driver of the host uses a device of the group: unbind it" },
	{ "strict", "lazy invalidation: write DMA to its \"type\", or boot with iommu.strict=1" },
	{ "ats", "it says what is translated (ATS): iommu_owner.trust_ats=1 if it is trusted" },
	{ "no-foreign-pasid", "the kernel uses a PASID of the device" },
};

static struct why *why_add(struct why *whys, size_t *count, size_t max,
			   const char *kind)
{
	struct why *why;

	if (*count == max)
		return &whys[max - 1];
	why = &whys[(*count)++];
	memset(why, 0, sizeof(*why));
	snprintf(why->kind, sizeof(why->kind), "%s", kind);
	return why;
}

static struct why *why_block(struct whys *whys, const char *kind)
{
	return why_add(whys->blockers, &whys->nr_blockers, WHY_MAX, kind);
}

static void why_drivers(const struct tool *tool, const struct tool_group *group,
			struct whys *whys)
{
	struct why *why;

	for (size_t i = 0; i < group->nr_blockers; i++) {
		const struct tool_blocker *blocker = &group->blockers[i];

		why = why_block(whys, "driver");
		snprintf(why->text, sizeof(why->text), "%s is bound to %s",
			 blocker->device, blocker->driver);
		snprintf(why->help[0], sizeof(why->help[0]),
			 "echo %s > %s/bus/pci/drivers/%s/unbind", blocker->device,
			 tool->sysfs, blocker->driver);
	}
}

static void why_state(const struct tool *tool, const struct tool_group *group,
		      struct whys *whys)
{
	char owner[2 * TOOL_WORD + 32];
	struct why *why;

	tool_owner_text(group, owner, sizeof(owner));
	if (!strcmp(group->state, "user") || !strcmp(group->state, "reserved")) {
		why = why_block(whys, "owner");
		snprintf(why->text, sizeof(why->text),
			 "group %d has %s owner %s", group->id, group->state, owner);
		if (group->pid)
			snprintf(why->help[0], sizeof(why->help[0]),
				 "end process %ld in its own way", group->pid);
	} else if (!strcmp(group->state, "ending")) {
		why = why_block(whys, "ending");
		snprintf(why->text, sizeof(why->text),
			 "the ownership of group %d is ending: try again", group->id);
	} else if (!strcmp(group->state, "private")) {
		why = why_block(whys, "domain");
		snprintf(why->text, sizeof(why->text),
			 "driver %s has attached a domain of its own to group %d",
			 owner, group->id);
	} else if (!strcmp(group->state, "quarantine")) {
		why = why_block(whys, "quarantine");
		snprintf(why->text, sizeof(why->text),
			 "group %d is in quarantine: %s", group->id,
			 group->quarantine);
		snprintf(why->help[0], sizeof(why->help[0]),
			 "echo clear > %s/kernel/iommu_groups/%d/owner/quarantine",
			 tool->sysfs, group->id);
	}
	if (!strcmp(group->trust, "blocked")) {
		why = why_block(whys, "trust");
		snprintf(why->text, sizeof(why->text),
			 "group %d is trusted as blocked", group->id);
		snprintf(why->help[0], sizeof(why->help[0]),
			 "echo reserved > %s/kernel/iommu_groups/%d/owner/trust",
			 tool->sysfs, group->id);
	}
}

static void why_isolation(const struct tool_group *group, struct whys *whys)
{
	struct why *why;

	for (size_t i = 0; i < group->nr_missing; i++) {
		/* Only makes DMA coherent with the caches */
		if (!strcmp(group->missing[i], "snoop"))
			continue;
		why = why_add(whys->missing, &whys->nr_missing, TOOL_BITS,
			      group->missing[i]);
		for (size_t j = 0; j < sizeof(why_hints) / sizeof(*why_hints); j++)
			if (!strcmp(why_hints[j].bit, group->missing[i]))
				snprintf(why->text, sizeof(why->text), "%s",
					 why_hints[j].help);
	}
}

/* Is the kernel locked down? The word in brackets is the level. */
static bool why_locked_down(const struct tool *tool)
{
	char path[PATH_MAX], buf[128];

	snprintf(path, sizeof(path), "%s/kernel/security/lockdown", tool->sysfs);
	return !tool_read(buf, sizeof(buf), path) && !strstr(buf, "[none]");
}

static struct json_object *why_json(const struct why *whys, size_t count)
{
	struct json_object *array = json_object_new_array(), *object, *help;

	for (size_t i = 0; i < count; i++) {
		object = json_object_new_object();
		help = json_object_new_array();
		json_object_object_add(object, "kind",
				       json_object_new_string(whys[i].kind));
		json_object_object_add(object, "message",
				       json_object_new_string(whys[i].text));
		for (size_t j = 0; j < WHY_HELP && whys[i].help[j][0]; j++)
			json_object_array_add(help,
					      json_object_new_string(whys[i].help[j]));
		json_object_object_add(object, "help", help);
		json_object_array_add(array, object);
	}
	return array;
}

static void why_print_json(const struct tool_group *group,
			   const struct whys *whys, bool assignable, bool locked)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "group", json_object_new_int(group->id));
	json_object_object_add(object, "assignable",
			       json_object_new_boolean(assignable));
	json_object_object_add(object, "locked_down",
			       json_object_new_boolean(locked));
	json_object_object_add(object, "blockers",
			       why_json(whys->blockers, whys->nr_blockers));
	json_object_object_add(object, "missing",
			       why_json(whys->missing, whys->nr_missing));
	tool_print_json(object);
}

static void why_print(const struct tool_group *group, const struct whys *whys,
		      bool assignable, bool locked)
{
	printf("group %d: %s\n", group->id, assignable ?
	       "nothing stops its devices from being assigned" :
	       "its devices cannot be assigned now");
	for (size_t i = 0; i < whys->nr_blockers; i++) {
		printf("  %s\n", whys->blockers[i].text);
		for (size_t j = 0; j < WHY_HELP && whys->blockers[i].help[j][0]; j++)
			printf("    # %s\n", whys->blockers[i].help[j]);
	}
	if (!whys->nr_missing)
		return;
	printf("isolation that is missing%s\n", locked ?
	       ", and required as the kernel is locked down" :
	       " (refused when the kernel is locked down)");
	for (size_t i = 0; i < whys->nr_missing; i++)
		printf("  %s: %s\n", whys->missing[i].kind, whys->missing[i].text);
}

/*
 * What a driver of the group does is missing isolation as well, until it is unbound;
 * it is a blocker anyway.
 */
int tool_why(const struct tool *tool, const char *what)
{
	static struct whys whys;
	struct tool_group group;
	bool assignable, locked;
	int ret;

	ret = tool_get(tool, what, &group);
	if (ret)
		return ret;
	if (!group.owned) {
		tool_free_group(&group);
		return tool_error(tool, TOOL_KERNEL,
				  "this kernel does not report owners");
	}
	memset(&whys, 0, sizeof(whys));
	why_state(tool, &group, &whys);
	why_drivers(tool, &group, &whys);
	why_isolation(&group, &whys);
	locked = why_locked_down(tool);
	assignable = !whys.nr_blockers && !(locked && whys.nr_missing);
	if (tool->json)
		why_print_json(&group, &whys, assignable, locked);
	else
		why_print(&group, &whys, assignable, locked);
	tool_free_group(&group);
	return assignable ? TOOL_OK : TOOL_REFUSED;
}
