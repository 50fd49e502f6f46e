// SPDX-License-Identifier: GPL-2.0-only
/* assign, restore: bind groups to vfio-pci, all or nothing, and back */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static const struct tool_binding assign_vfio = { .driver = "vfio-pci",
						 .override = "vfio-pci" };
/* For a bridge, which vfio-pci does not drive */
static const struct tool_binding assign_none = { .override = "none" };

/**
 * struct assign - One run
 * @tool: The command line.
 * @groups: What it is about, as of when the record was locked.
 * @record: What was bound before the first assign; in the file.
 * @undo: What was bound before this one.
 * @bound: Devices that are bound to vfio-pci.
 */
struct assign {
	const struct tool *tool;
	struct tool_groups groups;
	struct tool_record record;
	struct tool_record undo;
	unsigned int bound;
};

/* A bridge stays what it is, unless it has a driver that blocks a claim. */
static bool assign_stays(const struct tool_device *device)
{
	return device->bridge &&
	       (!device->driver[0] || !strcmp(device->driver, "pcieport"));
}

/* Call @run for each device that an assignment is about, until it says no. */
static int assign_each(struct assign *assign,
		       int (*run)(struct assign *assign, const struct tool_group *group,
				  const struct tool_device *device))
{
	int ret = 0;

	for (size_t i = 0; i < assign->groups.count; i++) {
		const struct tool_group *group = &assign->groups.groups[i];

		for (size_t j = 0; j < group->nr_devices && !ret; j++)
			if (!assign_stays(&group->devices[j]))
				ret = run(assign, group, &group->devices[j]);
	}
	return ret;
}

/* Everything that can be refused without having changed anything */
static int assign_check_groups(struct assign *assign)
{
	const struct tool *tool = assign->tool;
	struct tool_why why;
	long pid;

	for (size_t i = 0; i < assign->groups.count; i++) {
		const struct tool_group *group = &assign->groups.groups[i];

		if (tool_why_state(group, &why, 1))
			return tool_error(tool, TOOL_REFUSED, "%s%s%s", why.text,
					  why.help[0] ? ": " : "", why.help);
		pid = group->owned ? 0 : tool_vfio_user(tool, group->id);
		if (pid)
			return tool_error(tool, TOOL_REFUSED, "process %ld has group %d",
					  pid, group->id);
	}
	return TOOL_OK;
}

static int assign_check(struct assign *assign, const struct tool_group *group,
			const struct tool_device *device)
{
	const struct tool *tool = assign->tool;
	char why[TOOL_LINE];

	if (!device->pci)
		return tool_error(tool, TOOL_REFUSED,
				  "%s of group %d is no PCI device: it has no vfio-pci",
				  device->name, group->id);
	assign->bound += !device->bridge;
	if (tool->force || !strcmp(device->driver, "vfio-pci") ||
	    !tool_in_use(tool, device, why, sizeof(why)))
		return TOOL_OK;
	return tool_error(tool, TOOL_REFUSED, "%s is in use: %s; --force takes it anyway",
			  device->name, why);
}

/* Is what the record has of a device about this device, and still the case? */
static bool assign_is_recorded(struct assign *assign, const char *device,
			       const struct tool_binding *now,
			       struct tool_binding *recorded)
{
	return tool_record_get(&assign->record, device, recorded) &&
	       !strcmp(recorded->id, now->id) &&
	       !strcmp(now->override, assign_vfio.override);
}

/* What was bound before the first assign counts. */
static int assign_note(struct assign *assign, const struct tool_group *group,
		       const struct tool_device *device)
{
	struct tool_binding now, first;

	(void)group;
	tool_binding_read(assign->tool, device->name, &now);
	tool_record_put(&assign->undo, device->name, &now);
	if (!assign_is_recorded(assign, device->name, &now, &first))
		first = now;
	first.persisted |= assign->tool->persist && !device->bridge;
	tool_record_put(&assign->record, device->name, &first);
	return TOOL_OK;
}

/* Somebody who wants to stop it gets back what was there. */
static bool assign_interrupted(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
	       sigismember(&pending, SIGHUP) || sigismember(&pending, SIGQUIT);
}

static int assign_fail(const struct tool *tool, const char *device, const char *driver,
		       int err)
{
	if (err == -ENXIO)
		return tool_error(tool, TOOL_FAILED, "%s: %s was not bound", device,
				  driver[0] ? driver : "no driver");
	return tool_errno(tool, device, err);
}

static int assign_bind(struct assign *assign, const struct tool_group *group,
		       const struct tool_device *device)
{
	const struct tool *tool = assign->tool;
	int ret;

	(void)group;
	if (assign_interrupted())
		return tool_error(tool, TOOL_FAILED, "interrupted");
	ret = tool_binding_set(tool, device->name,
			       device->bridge ? &assign_none : &assign_vfio);
	if (!ret && tool->persist && !device->bridge)
		ret = tool_persist_set(tool, device->name, "vfio-pci");
	return ret ? assign_fail(tool, device->name, "vfio-pci", ret) : TOOL_OK;
}

/* Bind what @from says, and save what it says for the next boot. A negative errno */
static int assign_undo(const struct tool *tool, const char *device,
		       const struct tool_binding *from, bool persisted)
{
	int ret = tool_binding_set(tool, device, from), err = 0;

	if (persisted)
		err = tool_persist_set(tool, device, from->saved);
	return ret ? ret : err;
}

/*
 * Back to what was before this run. What cannot be brought back stays in the record, for
 * restore; the first error has been printed, these go beside it.
 */
static void assign_roll_back(struct assign *assign)
{
	struct tool_binding before, first;

	json_object_object_foreach(assign->undo.devices, device, entry) {
		int ret;

		(void)entry;
		tool_record_get(&assign->undo, device, &before);
		ret = assign_undo(assign->tool, device, &before, assign->tool->persist);
		if (ret) {
			fprintf(stderr, "iommu-owner: %s: not rolled back: %s\n", device,
				strerror(-ret));
			continue;
		}
		/* One that was assigned before is still */
		if (strcmp(before.override, assign_vfio.override)) {
			tool_record_del(&assign->record, device);
		} else if (tool_record_get(&assign->record, device, &first)) {
			first.persisted = strcmp(first.saved, before.saved);
			tool_record_put(&assign->record, device, &first);
		}
	}
}

static int assign_write(struct assign *assign)
{
	int ret = tool_record_write(&assign->record);

	return ret ? tool_errno(assign->tool, assign->record.path, ret) : TOOL_OK;
}

/* Has a device joined meanwhile, or has somebody else changed a driver? */
static int assign_verify(struct assign *assign)
{
	struct tool_group group;
	int ret = TOOL_OK;

	for (size_t i = 0; i < assign->groups.count && !ret; i++) {
		int id = assign->groups.groups[i].id;

		if (tool_read_group(assign->tool, id, &group))
			return tool_error(assign->tool, TOOL_MISSING, "group %d is gone", id);
		for (size_t j = 0; j < group.nr_devices && !ret; j++)
			if (!group.devices[j].bridge &&
			    strcmp(group.devices[j].driver, "vfio-pci"))
				ret = tool_error(assign->tool, TOOL_REFUSED,
						 "group %d has changed: %s is not bound to vfio-pci",
						 id, group.devices[j].name);
		tool_free_group(&group);
	}
	return ret;
}

static int assign_run(struct assign *assign)
{
	int ret;

	assign_each(assign, assign_note);
	ret = assign_write(assign);
	if (ret)
		return ret;
	ret = assign_each(assign, assign_bind);
	if (!ret)
		ret = assign_verify(assign);
	if (ret) {
		assign_roll_back(assign);
		if (tool_record_write(&assign->record))
			fprintf(stderr, "iommu-owner: %s: not written\n",
				assign->record.path);
	}
	return ret;
}

/* From here on, nothing stops this program but SIGKILL. */
static void assign_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What the groups are now */
static int assign_show(const struct tool *tool, const struct tool_groups *groups)
{
	char word[32], *words[] = { word };
	struct tool_groups now = { 0 };
	struct tool_group *group;
	int ret = TOOL_OK;

	for (size_t i = 0; i < groups->count && !ret && !tool->json; i++) {
		snprintf(word, sizeof(word), "group:%d", groups->groups[i].id);
		ret = tool_show(tool, words, 1);
	}
	if (!tool->json)
		return ret;
	for (size_t i = 0; i < groups->count; i++) {
		group = tool_grow((void **)&now.groups, &now.count, sizeof(*group));
		if (group && tool_read_group(tool, groups->groups[i].id, group))
			now.count--;
	}
	tool_print_json(tool_json_groups(tool, &now));
	tool_free_groups(&now);
	return TOOL_OK;
}

/* Lock the record, then look at the groups: nobody else assigns or restores meanwhile. */
static int assign_open(struct assign *assign, char **words, unsigned int count)
{
	const struct tool *tool = assign->tool;
	int ret = tool_record_open(tool, &assign->record);

	if (ret == -EBADMSG)
		return tool_error(tool, TOOL_FAILED, "%s is damaged", assign->record.path);
	if (ret == -EWOULDBLOCK)
		return tool_error(tool, TOOL_REFUSED, "another iommu-owner assigns or restores");
	if (ret)
		return tool_errno(tool, assign->record.path, ret);
	ret = tool_get_groups(tool, words, count, &assign->groups);
	if (ret)
		tool_record_close(&assign->record);
	else
		tool_record_init(&assign->undo);
	return ret;
}

static void assign_close(struct assign *assign)
{
	tool_record_close(&assign->record);
	tool_record_close(&assign->undo);
	tool_free_groups(&assign->groups);
}

int tool_assign(const struct tool *tool, char **words, unsigned int count)
{
	struct assign assign = { .tool = tool };
	struct tool_groups groups;
	int ret;

	/* Whether they are there, before anything is made */
	ret = tool_get_groups(tool, words, count, &groups);
	if (ret)
		return ret;
	tool_free_groups(&groups);
	if (!tool->root[0] && geteuid())
		return tool_error(tool, TOOL_DENIED, "assign: needs root");
	if (tool_load_vfio(tool))
		return tool_error(tool, TOOL_FAILED, "the module vfio-pci cannot be loaded");
	ret = assign_open(&assign, words, count);
	if (ret)
		return ret;
	ret = assign_check_groups(&assign);
	if (!ret)
		ret = assign_each(&assign, assign_check);
	if (!ret && !assign.bound)
		ret = tool_error(tool, TOOL_REFUSED, "there are only bridges");
	if (!ret) {
		assign_block_signals();
		ret = assign_run(&assign);
	}
	if (!ret)
		ret = assign_show(tool, &assign.groups);
	assign_close(&assign);
	return ret;
}

/* vfio-pci waits in unbind until its user is gone: do not begin. */
static int restore_check(const struct tool *tool, const struct tool_group *group)
{
	char owner[2 * TOOL_WORD + 32];
	long pid = group->owned ? 0 : tool_vfio_user(tool, group->id);

	if (pid)
		return tool_error(tool, TOOL_REFUSED, "process %ld has group %d: end it first",
				  pid, group->id);
	if (!tool_is_owned(group))
		return TOOL_OK;
	tool_owner_text(group, owner, sizeof(owner));
	return tool_error(tool, TOOL_REFUSED, "group %d has %s owner %s: end it first",
			  group->id, group->state, owner);
}

/* What is to be bound, if that is known, and whether the next boot is concerned */
static bool restore_wants(struct assign *assign, const char *device,
			  struct tool_binding *binding, bool *probe)
{
	struct tool_binding now;

	*probe = false;
	tool_binding_read(assign->tool, device, &now);
	if (tool_record_get(&assign->record, device, binding)) {
		if (!strcmp(binding->id, now.id))
			return true;
		/* Another device has come to that address */
		tool_record_del(&assign->record, device);
	}
	/*
	 * After a reboot, what was bound before is not known any more. Of a device that is
	 * vfio-pci's from boot on, it is what the driver core finds.
	 */
	memset(binding, 0, sizeof(*binding));
	binding->persisted = true;
	*probe = true;
	return assign->tool->persist && tool_persist_get(assign->tool, device);
}

static int restore_device(struct assign *assign, const char *device,
			  const struct tool_binding *binding, bool probe)
{
	char path[PATH_MAX];
	int ret = assign_undo(assign->tool, device, binding, binding->persisted);

	if (!ret && probe) {
		snprintf(path, sizeof(path), "%s/bus/pci/drivers_probe", assign->tool->sysfs);
		ret = tool_write_file(path, device);
	}
	if (!ret)
		tool_record_del(&assign->record, device);
	return ret;
}

/* One that cannot be restored does not keep the others from it. */
static int restore_run(struct assign *assign, unsigned int *known)
{
	struct tool_binding binding;
	int ret = TOOL_OK, err;
	bool probe;

	for (size_t i = 0; i < assign->groups.count; i++) {
		const struct tool_group *group = &assign->groups.groups[i];

		for (size_t j = group->nr_devices; j-- > 0;) {
			const char *device = group->devices[j].name;

			if (!restore_wants(assign, device, &binding, &probe))
				continue;
			(*known)++;
			err = restore_device(assign, device, &binding, probe);
			if (err && ret)
				fprintf(stderr, "iommu-owner: %s: %s\n", device,
					strerror(-err));
			else if (err)
				ret = assign_fail(assign->tool, device, binding.driver, err);
		}
	}
	return ret;
}

int tool_restore(const struct tool *tool, char **words, unsigned int count)
{
	struct assign assign = { .tool = tool };
	unsigned int known = 0;
	int ret, err;

	if (!tool->root[0] && geteuid())
		return tool_error(tool, TOOL_DENIED, "restore: needs root");
	ret = assign_open(&assign, words, count);
	if (ret)
		return ret;
	for (size_t i = 0; i < assign.groups.count && !ret; i++)
		ret = restore_check(tool, &assign.groups.groups[i]);
	if (!ret) {
		assign_block_signals();
		ret = restore_run(&assign, &known);
		err = tool_record_write(&assign.record);
		if (!ret && err)
			ret = tool_errno(tool, assign.record.path, err);
		if (!ret && !known)
			ret = tool_error(tool, TOOL_MISSING, "no device of that was assigned");
	}
	if (!ret)
		ret = assign_show(tool, &assign.groups);
	assign_close(&assign);
	return ret;
}
