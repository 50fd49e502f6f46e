// SPDX-License-Identifier: GPL-2.0-only
/* Which driver a PCI device has, now and from the next boot on */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

static void driver_path(const struct tool *tool, const char *device, const char *file,
			char *path, size_t size)
{
	snprintf(path, size, "%s/bus/pci/devices/%s/%s", tool->sysfs, device, file);
}

static void driver_read(const struct tool *tool, const char *device, const char *file,
			char *value)
{
	char path[PATH_MAX];

	driver_path(tool, device, file, path, sizeof(path));
	if (tool_read(value, TOOL_WORD, path))
		value[0] = '\0';
}

static void driver_of(const struct tool *tool, const char *device, char *driver)
{
	char path[PATH_MAX];

	driver_path(tool, device, "driver", path, sizeof(path));
	tool_link(path, driver, TOOL_WORD);
}

static void persist_path(const struct tool *tool, const char *device, char *path,
			 size_t size)
{
	snprintf(path, size, "%s/etc/driverctl.d/pci-%s", tool->root, device);
}

/* What driverctl has saved for a device; "" if nothing */
static void persist_read(const struct tool *tool, const char *device, char *driver)
{
	char path[PATH_MAX];

	persist_path(tool, device, path, sizeof(path));
	if (tool_read(driver, TOOL_WORD, path))
		driver[0] = '\0';
}

bool tool_persist_get(const struct tool *tool, const char *device)
{
	char driver[TOOL_WORD];

	persist_read(tool, device, driver);
	return !strcmp(driver, "vfio-pci");
}

/* In the file that driverctl has for an override, so that it knows of this one; "" is none */
int tool_persist_set(const struct tool *tool, const char *device, const char *driver)
{
	char path[PATH_MAX], line[TOOL_WORD + 1], *last;

	persist_path(tool, device, path, sizeof(path));
	if (!driver[0])
		return unlink(path) && errno != ENOENT ? -errno : 0;
	last = strrchr(path, '/');
	*last = '\0';
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	*last = '/';
	snprintf(line, sizeof(line), "%s\n", driver);
	return tool_replace_file(path, line);
}

void tool_binding_read(const struct tool *tool, const char *device,
		       struct tool_binding *binding)
{
	char vendor[TOOL_WORD], id[TOOL_WORD];

	memset(binding, 0, sizeof(*binding));
	driver_read(tool, device, "vendor", vendor);
	driver_read(tool, device, "device", id);
	snprintf(binding->id, sizeof(binding->id), "%.20s:%.20s", vendor, id);
	driver_of(tool, device, binding->driver);
	driver_read(tool, device, "driver_override", binding->override);
	if (!strcmp(binding->override, "(null)"))
		binding->override[0] = '\0';
	persist_read(tool, device, binding->saved);
}

static int driver_unbind(const struct tool *tool, const char *device)
{
	char path[PATH_MAX];
	int ret;

	driver_path(tool, device, "driver/unbind", path, sizeof(path));
	ret = tool_write_file(path, device);
	/* Somebody else was faster */
	return ret == -ENODEV || ret == -ENOENT ? 0 : ret;
}

static int driver_bind(const struct tool *tool, const char *device, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s/bind", tool->sysfs, driver);
	return tool_write_file(path, device);
}

/*
 * Bind what @binding says, or nothing: -ENXIO if the device has another driver then. The
 * override is written first and last: only with it does vfio-pci match a device, and no other
 * driver gets the device in between.
 */
int tool_binding_set(const struct tool *tool, const char *device,
		     const struct tool_binding *binding)
{
	char path[PATH_MAX], now[TOOL_WORD], override[TOOL_WORD + 1];
	int ret = 0, err;

	driver_path(tool, device, "driver_override", path, sizeof(path));
	driver_of(tool, device, now);
	if (strcmp(now, binding->driver)) {
		ret = tool_write_file(path, binding->driver[0] ? binding->driver : "none");
		if (!ret && now[0])
			ret = driver_unbind(tool, device);
		if (!ret && binding->driver[0])
			ret = driver_bind(tool, device, binding->driver);
		driver_of(tool, device, now);
		if (!ret && strcmp(now, binding->driver))
			ret = -ENXIO;
	}
	/* An empty line takes the override away */
	snprintf(override, sizeof(override), "%s\n", binding->override);
	err = tool_write_file(path, override);
	return ret ? ret : err;
}

/* A program to its end; 0 if it says that it has done what it should */
static int driver_run(const char *program, const char *argument)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		execlp(program, program, argument, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

int tool_load_vfio(const struct tool *tool)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", tool->sysfs);
	if (!access(path, F_OK))
		return 0;
	return driver_run("modprobe", "vfio-pci");
}
