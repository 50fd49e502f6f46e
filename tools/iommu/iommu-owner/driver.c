// SPDX-License-Identifier: GPL-2.0-only
/* Which driver a PCI device has, now and from the next boot on */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static void driver_of(const struct tool *tool, const char *device, char *driver)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t length;

	driver[0] = '\0';
	driver_path(tool, device, "driver", path, sizeof(path));
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	last = strrchr(target, '/');
	snprintf(driver, TOOL_WORD, "%s", last ? last + 1 : target);
}

void tool_binding_read(const struct tool *tool, const char *device,
		       struct tool_binding *binding)
{
	char path[PATH_MAX];

	memset(binding, 0, sizeof(*binding));
	driver_of(tool, device, binding->driver);
	driver_path(tool, device, "driver_override", path, sizeof(path));
	tool_read(binding->override, sizeof(binding->override), path);
	if (!strcmp(binding->override, "(null)"))
		binding->override[0] = '\0';
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
 * Bind what @binding says, or nothing: -ENXIO if the device has another driver then. The override is written first and last: only with it
 * does vfio-pci match a device, and no other driver gets the device in between.
 */
int tool_binding_set(const struct tool *tool, const char *device,
		     const struct tool_binding *binding)
{
	char path[PATH_MAX], now[TOOL_WORD], override[TOOL_WORD + 1];
	int ret = 0;

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
	return tool_write_file(path, override) ?: ret;
}

/* A program to its end; 0 if it says that it has done what it should */
static int driver_run(const char *program, const char *argument)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
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

static void persist_path(const struct tool *tool, const char *device, char *path,
			 size_t size)
{
	snprintf(path, size, "%s/etc/driverctl.d/pci-%s", tool->root, device);
}

bool tool_persist_get(const struct tool *tool, const char *device)
{
	char path[PATH_MAX], driver[TOOL_WORD];

	persist_path(tool, device, path, sizeof(path));
	return !tool_read(driver, sizeof(driver), path) && !strcmp(driver, "vfio-pci");
}

/* The file that driverctl has for an override, so that it knows of this one */
int tool_persist_set(const struct tool *tool, const char *device, bool on)
{
	static const char word[] = "vfio-pci\n";
	char path[PATH_MAX], *last;
	int fd, ret = 0;

	persist_path(tool, device, path, sizeof(path));
	if (!on)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	last = strrchr(path, '/');
	*last = '\0';
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	*last = '/';
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, word, strlen(word)) != (ssize_t)strlen(word))
		ret = -errno;
	close(fd);
	return ret;
}
