// SPDX-License-Identifier: GPL-2.0-only
/* why: what stops a device from being assigned, and what helps */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#include "tool.h"

#define WHY_MAX		64

/**
 * struct whys - All reasons
 * @blockers: What stops it now.
 * @nr_blockers: Their number.
 * @missing: Isolation that is missing: it stops it when the kernel is locked down.
 * @nr_missing: Their number.
 * @asked: The kernel was asked to try, not only what sysfs shows.
 */
struct whys {
	struct tool_why blockers[WHY_MAX];
	size_t nr_blockers;
	struct tool_why missing[TOOL_BITS];
	size_t nr_missing;
	bool asked;
};

static struct tool_why *why_set(struct tool_why *why, const char *kind)
{
	memset(why, 0, sizeof(*why));
	snprintf(why->kind, sizeof(why->kind), "%s", kind);
	return why;
}

/* A CLAIM would say the same: a token that can only look, for an owner of nothing */
static bool why_ask(const struct tool *tool, struct tool_group *group)
{
	int token, ret;

	token = tool_token_create(tool, "iommu-owner", IOMMU_OWNER_RIGHT_INSPECT);
	if (token < 0)
		return false;
	ret = tool_token_check(token, group);
	close(token);
	return !ret;
}

static void why_drivers(const struct tool_group *group, struct whys *whys)
{
	for (size_t i = 0; i < group->nr_blockers && whys->nr_blockers < WHY_MAX; i++) {
		const struct tool_blocker *blocker = &group->blockers[i];
		struct tool_why *why;

		why = why_set(&whys->blockers[whys->nr_blockers++], "driver");
		if (!blocker->driver[0]) {
			snprintf(why->text, sizeof(why->text),
				 "another task has %s locked: try again",
				 blocker->device);
			continue;
		}
		snprintf(why->text, sizeof(why->text), "%s is bound to %s",
			 blocker->device, blocker->driver);
		snprintf(why->help, sizeof(why->help), "iommu-owner assign %s",
			 blocker->device);
	}
}

static void why_owner(const struct tool_group *group, struct tool_why *why)
{
	char owner[2 * TOOL_WORD + 32];

	tool_owner_text(group, owner, sizeof(owner));
	why_set(why, "owner");
	snprintf(why->text, sizeof(why->text), "group %d has %s owner %s",
		 group->id, group->state, owner);
	snprintf(why->help, sizeof(why->help), "iommu-owner revoke group:%d",
		 group->id);
}

static void why_private(const struct tool_group *group, struct tool_why *why)
{
	why_set(why, "domain");
	snprintf(why->text, sizeof(why->text),
		 "driver %s has attached a domain of its own to group %d",
		 group->holder ? group->owner : "?", group->id);
}

/* For most reasons the kernel retries; what is final says that something cannot be. */
static void why_quarantine(const struct tool_group *group, struct tool_why *why)
{
	bool final = strstr(group->quarantine, "cannot be");

	why_set(why, "quarantine");
	snprintf(why->text, sizeof(why->text), "group %d is in quarantine: %s%s",
		 group->id, group->quarantine, final ? "" : " (the kernel retries)");
	if (final)
		snprintf(why->help, sizeof(why->help), "iommu-owner clear group:%d",
			 group->id);
}

/* What stops the whole group, but for drivers: how many reasons are in @why now */
size_t tool_why_state(const struct tool_group *group, struct tool_why *why, size_t max)
{
	size_t count = 0;

	if (count < max && tool_is_owned(group))
		why_owner(group, &why[count++]);
	if (count < max && !strcmp(group->state, "ending")) {
		why_set(&why[count], "ending");
		snprintf(why[count++].text, TOOL_LINE,
			 "the ownership of group %d is ending: try again", group->id);
	}
	if (count < max && !strcmp(group->state, "private"))
		why_private(group, &why[count++]);
	if (count < max && !strcmp(group->state, "quarantine"))
		why_quarantine(group, &why[count++]);
	if (count < max && !strcmp(group->trust, "blocked")) {
		why_set(&why[count], "trust");
		snprintf(why[count].text, TOOL_LINE, "the trust of group %d is \"blocked\"",
			 group->id);
		snprintf(why[count++].help, TOOL_LINE,
			 "iommu-owner trust group:%d reserved", group->id);
	}
	return count;
}

static void why_isolation(const struct tool_group *group, struct whys *whys)
{
	struct tool_why *why;

	for (size_t i = 0; i < group->nr_missing; i++) {
		/* Only makes DMA coherent with the caches */
		if (!strcmp(group->missing[i], "snoop"))
			continue;
		/* Assigning it unbinds that driver */
		if (!strcmp(group->missing[i], "no-sibling") && group->nr_blockers)
			continue;
		why = why_set(&whys->missing[whys->nr_missing++], group->missing[i]);
		snprintf(why->text, sizeof(why->text), "%s",
			 tool_isolation_help(group->missing[i]));
	}
}

static struct json_object *why_json(const struct tool_why *whys, size_t count)
{
	struct json_object *array = json_object_new_array(), *object;

	for (size_t i = 0; i < count; i++) {
		object = json_object_new_object();
		tool_json_add(object, "kind", whys[i].kind);
		tool_json_add(object, "message", whys[i].text);
		tool_json_add(object, "help", whys[i].help);
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
	json_object_object_add(object, "asked", json_object_new_boolean(whys->asked));
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
		if (whys->blockers[i].help[0])
			printf("    # %s\n", whys->blockers[i].help);
	}
	if (!whys->nr_missing)
		return;
	printf("isolation that is missing%s\n", locked ?
	       ", and required as the kernel is locked down" :
	       " (refused when the kernel is locked down)");
	for (size_t i = 0; i < whys->nr_missing; i++)
		printf("  %s: %s\n", whys->missing[i].kind, whys->missing[i].text);
}

int tool_why(const struct tool *tool, char **words, unsigned int count)
{
	static struct whys whys;
	struct tool_group group;
	bool assignable, locked;
	int ret;

	(void)count;
	ret = tool_get_owned(tool, words[0], &group);
	if (ret)
		return ret;
	whys.asked = why_ask(tool, &group);
	whys.nr_blockers = tool_why_state(&group, whys.blockers, WHY_MAX);
	why_drivers(&group, &whys);
	why_isolation(&group, &whys);
	locked = tool_locked_down(tool);
	assignable = !whys.nr_blockers && !(locked && whys.nr_missing);
	if (tool->json)
		why_print_json(&group, &whys, assignable, locked);
	else
		why_print(&group, &whys, assignable, locked);
	tool_free_group(&group);
	return assignable ? TOOL_OK : TOOL_REFUSED;
}
