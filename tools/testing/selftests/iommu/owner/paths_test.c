// SPDX-License-Identifier: GPL-2.0
/*
 * Is each file by which the host may reach a device of an owner accounted for?
 *
 * access_paths.tsv says of each whether the gate refuses it, or why not. What can be
 * written on the machine that this runs on, and is not there, is an error: the
 * kernel has a new path, or another driver.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <sys/stat.h>

#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define TABLE		"access_paths.tsv"

struct row {
	char path[64];
	char kind[8];
	char why[128];
};

struct table {
	struct row rows[128];
	unsigned int count;
	unsigned int seen;
	unsigned int unlisted;
};

/* 0, or the number of the line that is wrong */
static int table_read(struct table *table)
{
	FILE *file = fopen(TABLE, "r");
	int number = 0, wrong = 0;
	char line[512], rest;

	if (!file)
		return -errno;
	memset(table, 0, sizeof(*table));
	while (!wrong && fgets(line, sizeof(line), file)) {
		struct row *row = &table->rows[table->count];

		number++;
		if (line[0] == '#')
			continue;
		if (table->count++ == 128 ||
		    sscanf(line, "%63[^\t]\t%7[a-z]\t%127[^\t\n]%c", row->path,
			   row->kind, row->why, &rest) != 4 || rest != '\n' ||
		    (strcmp(row->kind, "gated") && strcmp(row->kind, "open")))
			wrong = number;
	}
	fclose(file);
	return wrong;
}

static void check_path(struct table *table, const char *path)
{
	table->seen++;
	for (unsigned int i = 0; i < table->count; i++)
		if (!fnmatch(table->rows[i].path, path, 0))
			return;
	table->unlisted++;
	ksft_print_msg("not in %s: %s\n", TABLE, path);
}

/* 0000:00:00.0, and not the service of a port behind that */
static bool is_device(const char *name)
{
	unsigned int part[4];
	int end = 0;

	return sscanf(name, "%x:%x:%x.%x%n", &part[0], &part[1], &part[2],
		      &part[3], &end) == 4 && !name[end];
}

/* What can be written below @dir, which the table has as @as; no other device */
static void check_dir(struct table *table, const char *dir, const char *as)
{
	char path[PATH_MAX], name[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *d;

	d = opendir(dir);
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		snprintf(name, sizeof(name), "%s/%s", as, entry->d_name);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && !is_device(entry->d_name))
			check_dir(table, path, name);
		if (S_ISREG(st.st_mode) && st.st_mode & 0222)
			check_path(table, name);
	}
	if (d)
		closedir(d);
}

static void check_device(struct table *table, const char *bdf, const char *as)
{
	char dir[PATH_MAX], real[PATH_MAX];

	snprintf(dir, sizeof(dir), PCI "/devices/%s", bdf);
	if (realpath(dir, real))
		check_dir(table, real, as);
}

FIXTURE(paths) {
	struct table table;
};

FIXTURE_SETUP(paths)
{
	load_modules();
	ASSERT_EQ(0, table_read(&self->table)) TH_LOG("%s", TABLE);
	ASSERT_LT(0, self->table.count);
}

FIXTURE_TEARDOWN(paths)
{
}

/* With the driver of VFIO, and reserved, so that it is gated */
TEST_F(paths, of_a_device)
{
	static const struct {
		const char *vendor;
		const char *device;
	} ids[] = {
		{ "0x1234", "0x11e8" },
		/* A ROM, a reset, I/O ports; a BAR that can be prefetched */
		{ "0x8086", "0x10d3" },
		{ "0x1af4", "0x1041" },
	};
	struct pdev pdev;
	int token;

	token = token_create("paths", ALL_RIGHTS);
	if (token < 0)
		SKIP(return, NO_TOKENS);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (!find_alone(&pdev, ids[i].vendor, ids[i].device))
			continue;
		ASSERT_EQ(0, driver_bind(&pdev, USER_DRIVER));
		ASSERT_EQ(0, token_reserve(token, pdev.group));
		check_device(&self->table, pdev.bdf, "device");
		ASSERT_EQ(0, token_release(token, NULL, 0));
		driver_clear(&pdev);
		put(pdev.bdf, PCI "/drivers_probe");
	}
	close(token);
	EXPECT_EQ(0, self->table.unlisted);
	EXPECT_LT(0, self->table.seen);
}

/* Every bridge, and every PF: each may have an owned device behind it */
TEST_F(paths, above)
{
	struct dirent *entry;
	char class[16];
	DIR *dir;

	dir = opendir(PCI "/devices");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (!is_device(entry->d_name) ||
		    get(class, sizeof(class), PCI "/devices/%s/class",
			entry->d_name))
			continue;
		if (!strncmp(class, "0x0604", 6) ||
		    exists(PCI "/devices/%s/sriov_totalvfs", entry->d_name))
			check_device(&self->table, entry->d_name, "above");
	}
	closedir(dir);
	EXPECT_EQ(0, self->table.unlisted);
	EXPECT_LT(0, self->table.seen);
}

/* What the bus, its drivers and its slots have */
TEST_F(paths, of_the_bus)
{
	check_dir(&self->table, PCI, PCI);
	EXPECT_EQ(0, self->table.unlisted);
	EXPECT_LT(0, self->table.seen);
}

/* A path that is new to the kernel is found: this is no test if nothing is. */
TEST_F(paths, unlisted_path_is_found)
{
	check_path(&self->table, "device/config");
	EXPECT_EQ(0, self->table.unlisted);
	check_path(&self->table, "device/config2");
	EXPECT_EQ(1, self->table.unlisted);
}

TEST_HARNESS_MAIN
