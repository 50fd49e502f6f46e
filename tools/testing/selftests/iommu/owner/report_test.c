// SPDX-License-Identifier: GPL-2.0
/* What sysfs, uevents and tracepoints tell of the ownership of a group */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/stat.h>

#include "owner_test.h"

#define GROUPS "/sys/kernel/iommu_groups"

typedef void (*group_check)(struct __test_metadata *_metadata, int group);

/* Call @check for each group; the number of groups */
static unsigned int check_groups(struct __test_metadata *_metadata,
				 group_check check)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	dir = opendir(GROUPS);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		check(_metadata, atoi(entry->d_name));
		n++;
	}
	closedir(dir);
	return n;
}

static void check_modes(struct __test_metadata *_metadata, int group)
{
	static const struct {
		const char *name;
		mode_t mode;
	} attrs[] = {
		{ "state", 0444 },
		{ "holder", 0400 },
		{ "generation", 0444 },
		{ "blockers", 0444 },
		{ "quarantine", 0644 },
	};
	char path[256], buf[4096];
	struct stat st;

	for (unsigned int i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), GROUPS "/%d/owner/%s", group,
			 attrs[i].name);
		ASSERT_EQ(0, stat(path, &st))
			TH_LOG("%s: %s", path, strerror(errno));
		EXPECT_EQ(attrs[i].mode, st.st_mode & 0777)
			TH_LOG("mode of %s", path);
		EXPECT_EQ(0, get(buf, sizeof(buf), "%s", path));
	}
}

TEST(every_group_has_owner_files)
{
	unsigned int n = check_groups(_metadata, check_modes);

	if (!n)
		SKIP(return, "no IOMMU group");
}

/* What blocks a group, put together from the drivers of its devices */
static void check_blockers(struct __test_metadata *_metadata, int group)
{
	char path[256], line[128], link[256], buf[4096];
	unsigned int expected = 0, lines = 0;
	struct dirent *entry;
	const char *driver;
	ssize_t len;
	DIR *dir;

	ASSERT_EQ(0, owner_get(group, "state", line, sizeof(line)));
	EXPECT_STREQ("kernel", line)
		TH_LOG("group %d", group);
	ASSERT_EQ(0, get(buf, sizeof(buf), GROUPS "/%d/owner/blockers", group));

	snprintf(path, sizeof(path), GROUPS "/%d/devices", group);
	dir = opendir(path);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), GROUPS "/%d/devices/%.32s/driver",
			 group, entry->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		if (len < 0)
			continue;
		link[len] = '\0';
		driver = strrchr(link, '/') + 1;
		/* These manage DMA themselves */
		if (!strcmp(driver, USER_DRIVER) ||
		    !strcmp(driver, STUB_DRIVER) || !strcmp(driver, "pcieport"))
			continue;
		expected++;
		snprintf(line, sizeof(line), "%.32s %.32s\n", entry->d_name,
			 driver);
		EXPECT_NE(NULL, strstr(buf, line))
			TH_LOG("group %d: no '%s' in '%s'", group, line, buf);
	}
	closedir(dir);

	for (const char *c = buf; *c; c++)
		lines += *c == '\n';
	EXPECT_EQ(expected, lines)
		TH_LOG("group %d: '%s'", group, buf);
}

FIXTURE(report) {
	struct pdev edu;
	struct pdev nic;
	struct holder holder;
	int uevents;
};

FIXTURE_VARIANT(report) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(report, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(report, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(report, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(report)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	self->uevents = uevent_open();
	ASSERT_LE(0, self->uevents);
}

FIXTURE_TEARDOWN(report)
{
	holder_end(&self->holder, HOLDER_KILL);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	trace_stop();
}

TEST_F(report, state_follows_ownership)
{
	int group = self->edu.group;

	ASSERT_TRUE(state_is(group, "kernel"));
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	EXPECT_TRUE(state_is(group, "user"));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(state_is(group, "kernel"));
}

TEST_F(report, holder_names_the_process)
{
	char expected[128], seen[128];

	ASSERT_EQ(0, owner_get(self->edu.group, "holder", seen, sizeof(seen)));
	EXPECT_EQ(0, strncmp(seen, "0 kernel", 8))
		TH_LOG("holder '%s'", seen);

	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	ASSERT_EQ(0, owner_get(self->edu.group, "holder", seen, sizeof(seen)));
	snprintf(expected, sizeof(expected), "%d %s %s", self->holder.pid,
		 vfio_owner_name(variant->path), HOLDER_COMM);
	EXPECT_STREQ(expected, seen);

	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	ASSERT_EQ(0, owner_get(self->edu.group, "holder", seen, sizeof(seen)));
	EXPECT_EQ(0, strncmp(seen, "0 kernel", 8))
		TH_LOG("holder '%s'", seen);
}

TEST_F(report, generation_moves_with_changes_only)
{
	int group = self->edu.group;
	__u64 last, now;

	last = generation(group);
	ASSERT_NE(0, last);
	EXPECT_EQ(last, generation(group));

	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	now = generation(group);
	EXPECT_LT(last, now);
	EXPECT_EQ(now, generation(group));

	/* A refusal changes nothing */
	EXPECT_NE(0, driver_bind(&self->nic, KERNEL_DRIVER));
	EXPECT_EQ(now, generation(group));

	last = now;
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	now = generation(group);
	EXPECT_LT(last, now);

	last = now;
	ASSERT_EQ(0, driver_bind(&self->nic, KERNEL_DRIVER));
	now = generation(group);
	EXPECT_LT(last, now);

	last = now;
	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_LT(last, generation(group));
}

TEST_F(report, uevent_on_change_of_state)
{
	__u64 claimed = 0, released = 0;
	int group = self->edu.group;

	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	ASSERT_TRUE(uevent_find(self->uevents, group, "user", &claimed, 2000));
	EXPECT_GE(generation(group), claimed);

	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	ASSERT_TRUE(uevent_find(self->uevents, group, "kernel", &released,
				2000));
	EXPECT_LT(claimed, released);
	EXPECT_EQ(generation(group), released);
}

TEST_F(report, tracepoints_claim_and_release)
{
	char group[32], owner[32];

	if (!trace_there())
		SKIP(return, NO_TRACING);
	ASSERT_EQ(0, trace_start("iommu_owner_claim"));
	ASSERT_EQ(0, trace_start("iommu_owner_release"));
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	snprintf(group, sizeof(group), "group=%d ", self->edu.group);
	snprintf(owner, sizeof(owner), "owner=%s ",
		 vfio_owner_name(variant->path));
	EXPECT_TRUE(trace_find("iommu_owner_claim:", group, owner,
			       "state=user", HOLDER_COMM));
	EXPECT_FALSE(trace_find("iommu_owner_release:", group));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(trace_find("iommu_owner_release:", group, owner));
}

FIXTURE(kernel) {
	struct pdev edu;
	struct pdev nic;
};

FIXTURE_SETUP(kernel)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

FIXTURE_TEARDOWN(kernel)
{
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

TEST_F(kernel, blockers_are_the_bound_drivers)
{
	check_groups(_metadata, check_blockers);
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	check_groups(_metadata, check_blockers);
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	check_groups(_metadata, check_blockers);
	ASSERT_EQ(0, driver_bind(&self->edu, STUB_DRIVER));
	check_groups(_metadata, check_blockers);
}

TEST_F(kernel, no_uevent_for_a_driver)
{
	int fd = uevent_open();
	__u64 unused;

	/* The file is there: silence is no proof on a kernel without uevents */
	ASSERT_TRUE(state_is(self->edu.group, "kernel"));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_FALSE(uevent_find(fd, self->edu.group, NULL, &unused, 500));
	close(fd);
}

TEST_F(kernel, holder_is_for_root_only)
{
	char buf[64];
	int status;
	pid_t pid;

	ASSERT_EQ(0, owner_get(self->edu.group, "holder", buf, sizeof(buf)));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (owner_get(self->edu.group, "state", buf, sizeof(buf)))
			_exit(2);
		_exit(-owner_get(self->edu.group, "holder", buf, sizeof(buf)));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EACCES, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
