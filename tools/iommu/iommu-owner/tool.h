/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of iommu-owner(8) share */
#ifndef __IOMMU_OWNER_TOOL_H
#define __IOMMU_OWNER_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_JSON_VERSION	1
#define TOOL_WORD		64

/* What the program returns; in the manual page */
enum tool_exit {
	TOOL_OK		= 0,
	TOOL_USAGE	= 1,	/* no such command, option or word */
	TOOL_MISSING	= 2,	/* no such device or group */
	TOOL_REFUSED	= 3,	/* the kernel refuses it, or something blocks it */
	TOOL_KERNEL	= 4,	/* this kernel does not report owners */
	TOOL_DENIED	= 5,	/* needs root */
	TOOL_FAILED	= 6,	/* anything else */
};

struct json_object;
struct pci_access;

/**
 * struct tool - What the command line says
 * @json: Print JSON instead of text.
 * @colour: Use colours.
 * @sysfs: Where sysfs is.
 * @pci: For names.
 */
struct tool {
	bool json;
	bool colour;
	const char *sysfs;
	struct pci_access *pci;
};

/**
 * struct tool_device - A device of a group
 * @name: Its name in sysfs, an address if it is on a PCI bus.
 * @driver: Its driver, or "".
 * @label: What it is, or "".
 * @pci: It is on a PCI bus.
 */
struct tool_device {
	char name[TOOL_WORD];
	char driver[TOOL_WORD];
	char label[160];
	bool pci;
};

/**
 * struct tool_blocker - A device whose driver blocks a claim
 * @device: Its name.
 * @driver: The driver.
 */
struct tool_blocker {
	char device[TOOL_WORD];
	char driver[TOOL_WORD];
};

#define TOOL_BITS	32

/**
 * struct tool_group - A group, as of one moment
 * @id: Its number.
 * @owned: The kernel reports owners; else only @devices and @type are known.
 * @state: Its state.
 * @holder: The owner is known, which needs root.
 * @owner: Its name.
 * @pid: Its process.
 * @comm: The command of that.
 * @generation: When.
 * @trust: How far it is trusted, or "".
 * @quarantine: Why it is in quarantine, or "".
 * @type: Type of its default domain.
 * @devices: The devices, by name.
 * @nr_devices: Their number.
 * @blockers: What blocks a claim.
 * @nr_blockers: Their number.
 * @missing: The isolation that is missing.
 * @nr_missing: Its number.
 * @held: The isolation that there is.
 * @nr_held: Its number.
 */
struct tool_group {
	int id;
	bool owned;
	char state[TOOL_WORD];
	bool holder;
	char owner[TOOL_WORD];
	long pid;
	char comm[TOOL_WORD];
	uint64_t generation;
	char trust[TOOL_WORD];
	char quarantine[160];
	char type[TOOL_WORD];
	struct tool_device *devices;
	size_t nr_devices;
	struct tool_blocker *blockers;
	size_t nr_blockers;
	char missing[TOOL_BITS][TOOL_WORD];
	size_t nr_missing;
	char held[TOOL_BITS][TOOL_WORD];
	size_t nr_held;
};

/* sysfs.c */
int tool_read(char *buf, size_t size, const char *path);
int tool_read_group(const struct tool *tool, int id, struct tool_group *group);
void tool_free_group(struct tool_group *group);
int tool_read_groups(const struct tool *tool, struct tool_group **groups,
		     size_t *count);
int tool_get(const struct tool *tool, const char *what, struct tool_group *group);
int tool_write(const struct tool *tool, const struct tool_group *group,
	       const char *file, const char *value);

/* output.c */
int tool_error(const struct tool *tool, enum tool_exit code, const char *fmt, ...);
struct json_object *tool_json_group(const struct tool_group *group);
void tool_print_json(struct json_object *object);
const char *tool_isolation_word(const struct tool_group *group);
void tool_owner_text(const struct tool_group *group, char *buf, size_t size);

/* Commands; each returns enum tool_exit */
int tool_list(const struct tool *tool);
int tool_show(const struct tool *tool, const char *what);
int tool_why(const struct tool *tool, const char *what);

#endif /* __IOMMU_OWNER_TOOL_H */
