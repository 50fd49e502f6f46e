/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of iommu-owner(8) share */
#ifndef __IOMMU_OWNER_TOOL_H
#define __IOMMU_OWNER_TOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TOOL_JSON_VERSION	1
#define TOOL_WORD		64
/* One line of what the kernel or this program says */
#define TOOL_LINE		320

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
 * @tree: list prints bridges and what is behind them.
 * @pasids: list prints PASIDs as well.
 * @force: assign takes a device that the machine uses.
 * @persist: assign and restore change what holds from the next boot on, too.
 * @restart: How often reserve starts its command again after a crash.
 * @name: Name of the owner that reserve makes.
 * @format: Format of graph other than Graphviz' own, or NULL.
 * @command: What reserve runs, or NULL.
 * @root: What stands before /dev, /etc, /proc and /run: empty, but for tests.
 * @sysfs: Where sysfs is.
 * @pci: For names.
 */
struct tool {
	bool json;
	bool colour;
	bool tree;
	bool pasids;
	bool force;
	bool persist;
	unsigned int restart;
	const char *name;
	const char *format;
	char **command;
	const char *root;
	const char *sysfs;
	struct pci_access *pci;
};

/**
 * struct tool_device - A device of a group
 * @name: Its name in sysfs, an address if it is on a PCI bus.
 * @parent: The bridge above it, or "".
 * @driver: Its driver, or "".
 * @label: What it is, or "".
 * @pci: It is on a PCI bus.
 * @bridge: It is a bridge: it stays with the kernel.
 */
struct tool_device {
	char name[TOOL_WORD];
	char parent[TOOL_WORD];
	char driver[TOOL_WORD];
	char label[160];
	bool pci;
	bool bridge;
};

/**
 * struct tool_blocker - A device whose driver blocks a claim
 * @device: Its name.
 * @driver: The driver; "" if it is not known, as another task has locked the device.
 */
struct tool_blocker {
	char device[TOOL_WORD];
	char driver[TOOL_WORD];
};

/**
 * struct tool_pasid - A PASID of the system-wide space
 * @device: The device that may load it, or "-".
 * @pasid: Its number.
 * @owner: Name of its owner.
 * @refs: References that the kernel has.
 * @state: "allocated" or "free-pending".
 */
struct tool_pasid {
	char device[TOOL_WORD];
	unsigned int pasid;
	char owner[TOOL_WORD];
	unsigned int refs;
	char state[TOOL_WORD];
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
 * @has_pasids: They were asked for and could be read, which needs root.
 * @pasids: PASIDs of its owner, and of devices on its devices.
 * @nr_pasids: Their number.
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
	bool has_pasids;
	struct tool_pasid *pasids;
	size_t nr_pasids;
	char missing[TOOL_BITS][TOOL_WORD];
	size_t nr_missing;
	char held[TOOL_BITS][TOOL_WORD];
	size_t nr_held;
};

/**
 * struct tool_groups - Some groups
 * @groups: Each of them once.
 * @count: Their number.
 */
struct tool_groups {
	struct tool_group *groups;
	size_t count;
};

/* sysfs.c: a negative errno, but for tool_get*(), which print what is wrong */
int tool_read(char *buf, size_t size, const char *path);
void tool_link(const char *path, char *buf, size_t size);
void tool_first_entry(const char *path, char *buf, size_t size);
int tool_write_file(const char *path, const char *value);
int tool_replace_file(const char *path, const char *text);
void *tool_grow(void **array, size_t *count, size_t size);
int tool_read_group(const struct tool *tool, int id, struct tool_group *group);
void tool_free_group(struct tool_group *group);
int tool_read_groups(const struct tool *tool, struct tool_groups *groups);
void tool_free_groups(struct tool_groups *groups);
int tool_get(const struct tool *tool, const char *what, struct tool_group *group);
int tool_get_owned(const struct tool *tool, const char *what, struct tool_group *group);
int tool_get_groups(const struct tool *tool, char **words, unsigned int count,
		    struct tool_groups *groups);
int tool_write(const struct tool *tool, const struct tool_group *group,
	       const char *file, const char *value);
bool tool_locked_down(const struct tool *tool);

/* output.c */
int tool_error(const struct tool *tool, enum tool_exit code, const char *fmt, ...);
int tool_errno(const struct tool *tool, const char *what, int err);
int tool_no_owners(const struct tool *tool);
struct json_object *tool_json_group(const struct tool *tool, const struct tool_group *group);
struct json_object *tool_json_groups(const struct tool *tool,
				     const struct tool_groups *groups);
void tool_json_add(struct json_object *object, const char *key, const char *text);
void tool_print_json(struct json_object *object);
void tool_print_json_line(struct json_object *object);
const char *tool_isolation_word(const struct tool_group *group);
bool tool_is_owned(const struct tool_group *group);
void tool_owner_text(const struct tool_group *group, char *buf, size_t size);

/* isolation.c */
const char *tool_isolation_meaning(const char *bit);
const char *tool_isolation_help(const char *bit);

/* why.c */
struct tool_why {
	char kind[TOOL_WORD];
	char text[TOOL_LINE];
	char help[TOOL_LINE];
};

size_t tool_why_state(const struct tool_group *group, struct tool_why *why, size_t max);

/* token.c: file descriptors of /dev/iommu-owner; a negative errno */
int tool_token_create(const struct tool *tool, const char *name, uint32_t rights);
int tool_token_reserve(int token, const struct tool_groups *groups, int *group);
int tool_token_check(int token, struct tool_group *group);
int tool_token_of_file(int file, uint32_t rights);
bool tool_token_has(int token, int group, struct tool_groups *all, char *name);
int tool_token_revoke(int token);
int tool_token_rights(int token, uint32_t *rights);
int tool_token_dup(int token, uint32_t rights);
int tool_token_use(int token, int file);

/* inuse.c: what this machine and its processes use */
long tool_vfio_user(const struct tool *tool, int group);
bool tool_in_use(const struct tool *tool, const struct tool_device *device,
		 char *why, size_t size);

/* driver.c: which driver a device has; a negative errno */
struct tool_binding {
	char id[TOOL_WORD];		/* vendor and device: is it still the same? */
	char driver[TOOL_WORD];
	char override[TOOL_WORD];
	char saved[TOOL_WORD];		/* what driverctl has saved for the next boot */
	bool persisted;			/* assign has changed that */
};

void tool_binding_read(const struct tool *tool, const char *device,
		       struct tool_binding *binding);
int tool_binding_set(const struct tool *tool, const char *device,
		     const struct tool_binding *binding);
int tool_load_vfio(const struct tool *tool);
int tool_persist_set(const struct tool *tool, const char *device, const char *driver);
bool tool_persist_get(const struct tool *tool, const char *device);

/* record.c: what was bound before assign; a negative errno */
struct tool_record {
	int lock;
	struct json_object *devices;
	char path[PATH_MAX];
};

int tool_record_open(const struct tool *tool, struct tool_record *record);
int tool_record_write(const struct tool_record *record);
void tool_record_init(struct tool_record *record);
void tool_record_close(struct tool_record *record);
bool tool_record_get(const struct tool_record *record, const char *device,
		     struct tool_binding *binding);
void tool_record_put(struct tool_record *record, const char *device,
		     const struct tool_binding *binding);
void tool_record_del(struct tool_record *record, const char *device);

/* Commands; each returns enum tool_exit */
int tool_list(const struct tool *tool, char **words, unsigned int count);
int tool_show(const struct tool *tool, char **words, unsigned int count);
int tool_why(const struct tool *tool, char **words, unsigned int count);
int tool_isolation(const struct tool *tool, char **words, unsigned int count);
int tool_trust(const struct tool *tool, char **words, unsigned int count);
int tool_clear(const struct tool *tool, char **words, unsigned int count);
int tool_assign(const struct tool *tool, char **words, unsigned int count);
int tool_restore(const struct tool *tool, char **words, unsigned int count);
int tool_reserve(const struct tool *tool, char **words, unsigned int count);
int tool_revoke(const struct tool *tool, char **words, unsigned int count);
int tool_watch(const struct tool *tool, char **words, unsigned int count);
int tool_graph(const struct tool *tool, char **words, unsigned int count);

#endif /* __IOMMU_OWNER_TOOL_H */
