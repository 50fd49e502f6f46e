// SPDX-License-Identifier: GPL-2.0-only
/* assign, restore: bind groups to vfio-pci, all or nothing, and back */
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct tool_binding assign_vfio = { .driver = "vfio-pci",
						 .override = "vfio-pci" };
/* For a bridge, which vfio-pci does not drive */
static const struct tool_binding assign_none = { .override = "none" };

/* A bridge stays what it is, unless it has a driver that blocks a claim. */
static bool assign_stays(const struct tool_device *device)
{
	return device->bridge &&
	       (!device->driver[0] || !strcmp(device->driver, "pcieport"));
}

/* Call @run for each device of @groups that an assignment is about, until it says no. */
static int assign_each(const struct tool *tool, struct tool_groups *groups,
		       struct tool_record *record,
		       int (*run)(const struct tool *tool, struct tool_group *group,
				  struct tool_device *device, struct tool_record *record))
{
	int ret = 0;

	for (size_t i = 0; i < groups->count; i++) {
		struct tool_group *group = &groups->groups[i];

		for (size_t j = 0; j < group->nr_devices && !ret; j++)
			if (!assign_stays(&group->devices[j]))
				ret = run(tool, group, &group->devices[j], record);
	}
	return ret;
}

static int assign_check_group(const struct tool *tool, const struct tool_group *group)
{
	struct tool_why why;

	if (!tool_why_state(group, &why, 1))
		return TOOL_OK;
	return tool_error(tool, TOOL_REFUSED, "%s%s%s", why.text,
			  why.help[0] ? ": " : "", why.help);
}

static int assign_check(const struct tool *tool, struct tool_group *group,
			struct tool_device *device, struct tool_record *record)
{
	char why[TOOL_LINE];

	(void)record;
	if (!device->pci)
		return tool_error(tool, TOOL_REFUSED,
				  "%s of group %d is no PCI device: it has no vfio-pci",
				  device->name, group->id);
	if (tool->force || !strcmp(device->driver, "vfio-pci") ||
	    !tool_in_use(tool, device, why, sizeof(why)))
		return TOOL_OK;
	return tool_error(tool, TOOL_REFUSED, "%s is in use: %s; --force takes it anyway",
			  device->name, why);
}

/* What was bound before the first assign counts. */
static int assign_note(const struct tool *tool, struct tool_group *group,
		       struct tool_device *device, struct tool_record *record)
{
	struct tool_binding binding;

	(void)group;
	if (!tool_record_get(record, device->name, &binding))
		tool_binding_read(tool, device->name, &binding);
	binding.persisted |= tool->persist && !device->bridge &&
			     !tool_persist_get(tool, device->name);
	tool_record_put(record, device->name, &binding);
	return TOOL_OK;
}

/* Somebody who wants to stop it gets back what was there. */
static bool assign_interrupted(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
	       sigismember(&pending, SIGHUP);
}

static int assign_fail(const struct tool *tool, const char *device, const char *driver,
		       int err)
{
	if (err == -ENXIO)
		return tool_error(tool, TOOL_FAILED, "%s: %s was not bound", device,
				  driver[0] ? driver : "no driver");
	return tool_errno(tool, device, err);
}

static int assign_bind(const struct tool *tool, struct tool_group *group,
		       struct tool_device *device, struct tool_record *record)
{
	int ret;

	(void)group;
	(void)record;
	if (assign_interrupted())
		return tool_error(tool, TOOL_FAILED, "interrupted");
	ret = tool_binding_set(tool, device->name,
			       device->bridge ? &assign_none : &assign_vfio);
	if (!ret && tool->persist && !device->bridge)
		ret = tool_persist_set(tool, device->name, true);
	return ret ? assign_fail(tool, device->name, "vfio-pci", ret) : TOOL_OK;
}

static int assign_unbind(const struct tool *tool, struct tool_group *group,
			 struct tool_device *device, struct tool_record *record)
{
	struct tool_binding binding;
	int ret;

	(void)group;
	if (!tool_record_get(record, device->name, &binding))
		return TOOL_OK;
	ret = tool_binding_set(tool, device->name, &binding);
	if (!ret && binding.persisted)
		ret = tool_persist_set(tool, device->name, false);
	if (ret)
		return assign_fail(tool, device->name, binding.driver, ret);
	tool_record_del(record, device->name);
	return TOOL_OK;
}

/* A device that cannot be brought back stays in the record; the others do not wait for it. */
static int assign_roll_back(const struct tool *tool, struct tool_groups *groups,
			    struct tool_record *record)
{
	int ret = TOOL_OK, err;

	for (size_t i = 0; i < groups->count; i++) {
		struct tool_group *group = &groups->groups[i];

		for (size_t j = group->nr_devices; j-- > 0;) {
			err = assign_unbind(tool, group, &group->devices[j], record);
			ret = ret ? ret : err;
		}
	}
	return ret;
}

static int assign_write(const struct tool *tool, const struct tool_record *record)
{
	int ret = tool_record_write(record);

	return ret ? tool_errno(tool, record->path, ret) : TOOL_OK;
}

static int assign_run(const struct tool *tool, struct tool_groups *groups,
		      struct tool_record *record)
{
	int ret;

	ret = assign_each(tool, groups, record, assign_note);
	if (!ret)
		ret = assign_write(tool, record);
	if (ret)
		return ret;
	ret = assign_each(tool, groups, record, assign_bind);
	if (ret) {
		assign_roll_back(tool, groups, record);
		assign_write(tool, record);
	}
	return ret;
}

static void assign_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What the groups are now */
static int assign_show(const struct tool *tool, const struct tool_groups *groups)
{
	char word[32], *words[] = { word };
	struct json_object *object;
	struct tool_groups now = { 0 };
	int ret = TOOL_OK;

	if (!tool->json) {
		for (size_t i = 0; i < groups->count && !ret; i++) {
			snprintf(word, sizeof(word), "group:%d", groups->groups[i].id);
			ret = tool_show(tool, words, 1);
		}
		return ret;
	}
	for (size_t i = 0; i < groups->count; i++) {
		struct tool_group *group = tool_grow((void **)&now.groups, &now.count,
						     sizeof(*group));

		if (group && tool_read_group(tool, groups->groups[i].id, group))
			now.count--;
	}
	object = tool_json_groups(tool, &now);
	tool_print_json(object);
	tool_free_groups(&now);
	return ret;
}

static int assign_open(const struct tool *tool, struct tool_record *record)
{
	int ret = tool_record_open(tool, record);

	if (ret == -EBADMSG)
		return tool_error(tool, TOOL_FAILED, "%s is damaged", record->path);
	return ret ? tool_errno(tool, record->path, ret) : TOOL_OK;
}

static int assign_groups(const struct tool *tool, struct tool_groups *groups)
{
	struct tool_record record;
	int ret = TOOL_OK;

	for (size_t i = 0; i < groups->count && !ret; i++)
		ret = assign_check_group(tool, &groups->groups[i]);
	if (!ret)
		ret = assign_each(tool, groups, NULL, assign_check);
	if (ret)
		return ret;
	if (tool_load_vfio(tool))
		return tool_error(tool, TOOL_FAILED, "the module vfio-pci cannot be loaded");
	assign_block_signals();
	ret = assign_open(tool, &record);
	if (ret)
		return ret;
	ret = assign_run(tool, groups, &record);
	tool_record_close(&record);
	return ret;
}

int tool_assign(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_groups groups;
	int ret;

	ret = tool_get_groups(tool, words, count, &groups);
	if (ret)
		return ret;
	ret = assign_groups(tool, &groups);
	if (!ret)
		ret = assign_show(tool, &groups);
	tool_free_groups(&groups);
	return ret;
}

/* vfio-pci waits in unbind until its user is gone: do not begin. */
static int restore_check(const struct tool *tool, const struct tool_group *group)
{
	char owner[2 * TOOL_WORD + 32];

	if (strcmp(group->state, "user") && strcmp(group->state, "reserved"))
		return TOOL_OK;
	tool_owner_text(group, owner, sizeof(owner));
	return tool_error(tool, TOOL_REFUSED, "group %d has %s owner %s: end it first",
			  group->id, group->state, owner);
}

/*
 * After a reboot, what was bound before is not known any more. Of a device that is
 * vfio-pci's from boot on, it is what the driver core finds.
 */
static int restore_persisted(const struct tool *tool, struct tool_group *group,
			     struct tool_device *device, struct tool_record *record)
{
	static const struct tool_binding nothing;
	struct tool_binding binding;
	char path[320];
	int ret;

	(void)group;
	if (!tool->persist || tool_record_get(record, device->name, &binding) ||
	    !tool_persist_get(tool, device->name))
		return TOOL_OK;
	ret = tool_persist_set(tool, device->name, false);
	if (!ret)
		ret = tool_binding_set(tool, device->name, &nothing);
	if (ret)
		return tool_errno(tool, device->name, ret);
	snprintf(path, sizeof(path), "%s/bus/pci/drivers_probe", tool->sysfs);
	tool_write_file(path, device->name);
	return TOOL_OK;
}

static int restore_known(const struct tool *tool, struct tool_group *group,
			 struct tool_device *device, struct tool_record *record)
{
	struct tool_binding binding;

	(void)group;
	return tool_record_get(record, device->name, &binding) ||
	       (tool->persist && tool_persist_get(tool, device->name));
}

static int restore_groups(const struct tool *tool, struct tool_groups *groups)
{
	struct tool_record record;
	int ret = TOOL_OK, err;

	for (size_t i = 0; i < groups->count && !ret; i++)
		ret = restore_check(tool, &groups->groups[i]);
	if (ret)
		return ret;
	assign_block_signals();
	ret = assign_open(tool, &record);
	if (ret)
		return ret;
	if (!assign_each(tool, groups, &record, restore_known)) {
		tool_record_close(&record);
		return tool_error(tool, TOOL_MISSING, "no device of that was assigned");
	}
	ret = assign_each(tool, groups, &record, restore_persisted);
	err = assign_roll_back(tool, groups, &record);
	ret = ret ? ret : err;
	err = assign_write(tool, &record);
	tool_record_close(&record);
	return ret ? ret : err;
}

int tool_restore(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_groups groups;
	int ret;

	ret = tool_get_groups(tool, words, count, &groups);
	if (ret)
		return ret;
	ret = restore_groups(tool, &groups);
	if (!ret)
		ret = assign_show(tool, &groups);
	tool_free_groups(&groups);
	return ret;
}
