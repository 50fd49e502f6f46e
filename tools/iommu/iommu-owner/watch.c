// SPDX-License-Identifier: GPL-2.0-only
/* watch: each change of a group and each refusal, one line each, as they happen */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libudev.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

/**
 * struct watch - What is looked at
 * @tool: The command line.
 * @groups: Only these; all if there are none.
 * @udev: libudev.
 * @monitor: Where the kernel reports changes.
 * @log: The kernel log, or -1 if this user may not read it.
 * @signals: SIGINT and SIGTERM.
 */
struct watch {
	const struct tool *tool;
	struct tool_groups groups;
	struct udev *udev;
	struct udev_monitor *monitor;
	int log;
	int signals;
};

static bool watch_wants(const struct watch *watch, int id)
{
	for (size_t i = 0; i < watch->groups.count; i++)
		if (watch->groups.groups[i].id == id)
			return true;
	return !watch->groups.count;
}

static void watch_time(char *buf, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t length;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	length = strftime(buf, size, "%FT%T", &tm);
	snprintf(buf + length, size - length, ".%03ld", now.tv_nsec / 1000000);
}

/* A group that is gone has no device and no owner any more. */
static void watch_print_group(const struct watch *watch, const char *state,
			      struct tool_group *group)
{
	char time[40], owner[2 * TOOL_WORD + 32];
	struct json_object *object;

	watch_time(time, sizeof(time));
	if (watch->tool->json) {
		object = tool_json_group(watch->tool, group);
		tool_json_add(object, "event", "state");
		tool_json_add(object, "time", time);
		tool_json_add(object, "state", state);
		tool_print_json_line(object);
		return;
	}
	tool_owner_text(group, owner, sizeof(owner));
	printf("%s group %d: %s", time, group->id, state);
	if (group->holder && strcmp(group->owner, "kernel"))
		printf(", owner %s", owner);
	if (group->quarantine[0])
		printf(": %s", group->quarantine);
	for (size_t i = 0; i < group->nr_devices; i++)
		printf("%s%s", i ? " " : "; ", group->devices[i].name);
	putchar('\n');
	fflush(stdout);
}

/* The state that was sent; what else there is to say is of now. */
static void watch_change(const struct watch *watch)
{
	struct udev_device *event = udev_monitor_receive_device(watch->monitor);
	struct tool_group group;
	const char *state;
	int id;

	if (!event) {
		if (errno == ENOBUFS)
			fputs("iommu-owner: events are lost\n", stderr);
		return;
	}
	state = udev_device_get_property_value(event, "IOMMU_OWNER_STATE");
	id = atoi(udev_device_get_sysname(event));
	if (state && watch_wants(watch, id)) {
		if (tool_read_group(watch->tool, id, &group)) {
			memset(&group, 0, sizeof(group));
			group.id = id;
		}
		/* An owner that came later is not the one of that state */
		if (strcmp(group.state, state))
			group.holder = false;
		watch_print_group(watch, state, &group);
		tool_free_group(&group);
	}
	udev_device_unref(event);
}

static bool watch_wants_line(const struct watch *watch, const char *text)
{
	char word[32];

	if (!strstr(text, "iommu-owner: "))
		return false;
	if (!watch->groups.count)
		return true;
	for (size_t i = 0; i < watch->groups.count; i++) {
		const struct tool_group *group = &watch->groups.groups[i];

		snprintf(word, sizeof(word), "group %d", group->id);
		for (const char *at = text; (at = strstr(at, word)); at++)
			if (!strchr("0123456789", at[strlen(word)]) || !at[strlen(word)])
				return true;
	}
	return false;
}

static void watch_print_line(const struct watch *watch, const char *text)
{
	struct json_object *object;
	char time[40];

	watch_time(time, sizeof(time));
	if (!watch->tool->json) {
		printf("%s %s\n", time, text);
		fflush(stdout);
		return;
	}
	object = json_object_new_object();
	tool_json_add(object, "event", "log");
	tool_json_add(object, "time", time);
	tool_json_add(object, "message", text);
	tool_print_json_line(object);
}

/* One record is "level,number,time,...;text", and what continues it on further lines. */
static void watch_log(struct watch *watch)
{
	char buf[8192], *text, *end;
	ssize_t length;

	for (;;) {
		length = read(watch->log, buf, sizeof(buf) - 1);
		if (length < 0 && errno == EPIPE)
			continue;	/* some are lost */
		if (length <= 0)
			return;
		buf[length] = '\0';
		text = strchr(buf, ';');
		if (!text)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = '\0';
		if (watch_wants_line(watch, text))
			watch_print_line(watch, text);
	}
}

static int watch_open(struct watch *watch)
{
	char path[PATH_MAX];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC);
	watch->udev = udev_new();
	watch->monitor = watch->udev ? udev_monitor_new_from_netlink(watch->udev, "kernel") :
				       NULL;
	if (watch->signals < 0 || !watch->monitor ||
	    udev_monitor_filter_add_match_subsystem_devtype(watch->monitor,
							    "iommu_groups", NULL) < 0 ||
	    udev_monitor_enable_receiving(watch->monitor) < 0)
		return -EIO;
	snprintf(path, sizeof(path), "%s/dev/kmsg", watch->tool->root);
	watch->log = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (watch->log >= 0)
		lseek(watch->log, 0, SEEK_END);
	return 0;
}

static int watch_run(struct watch *watch)
{
	struct pollfd fds[] = {
		{ .fd = watch->signals, .events = POLLIN },
		{ .fd = udev_monitor_get_fd(watch->monitor), .events = POLLIN },
		{ .fd = watch->log, .events = POLLIN },
	};

	/* Whoever started it knows from here on that nothing is missed. */
	fprintf(stderr, "iommu-owner: watching%s\n",
		watch->log < 0 ? "; refusals are in the kernel log, for root only" : "");
	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return tool_errno(watch->tool, "watch", -errno);
		if (fds[1].revents)
			watch_change(watch);
		if (fds[2].revents)
			watch_log(watch);
		if (fds[0].revents)
			return TOOL_OK;
	}
}

int tool_watch(const struct tool *tool, char **words, unsigned int count)
{
	struct watch watch = { .tool = tool, .log = -1, .signals = -1 };
	struct tool_groups all;
	int ret;

	ret = tool_get_groups(tool, words, count, &watch.groups);
	if (ret)
		return ret;
	if (!tool_read_groups(tool, &all)) {
		if (all.count && !all.groups[0].owned)
			ret = tool_no_owners(tool);
		tool_free_groups(&all);
	}
	if (!ret && watch_open(&watch))
		ret = tool_error(tool, TOOL_FAILED, "the kernel's events cannot be received");
	if (!ret)
		ret = watch_run(&watch);
	udev_monitor_unref(watch.monitor);
	udev_unref(watch.udev);
	if (watch.log >= 0)
		close(watch.log);
	if (watch.signals >= 0)
		close(watch.signals);
	tool_free_groups(&watch.groups);
	return ret;
}
