// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs reports of the isolation of a group, and what a kernel that is locked
 * down demands of it
 *
 * Beside the devices of the other tests this wants two empty root ports: port0
 * at 00:15.0 without ACS, port2 at 00:16.0 with it. Whether the kernel is locked
 * down is decided on its command line.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "owner_test.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define NO_PORT		"no hot-plug into the root ports"
#define NOT_RESET	"the device has not been reset since its last user"
#define NOT_LOCKED	"the kernel is not locked down"
#define NO_ECAP		"no IOMMU of Intel"

#define ECAP_INTREMAP	0x8
#define ECAP_SNOOP	0x80

static const char * const names[] = {
	"translated", "no-direct", "isolated-msi", "acs", "no-sibling",
	"strict", "ats", "snoop", "no-foreign-pasid",
};

/* Is @name a word of the line of @report that begins with @title? */
static bool listed(const char *report, const char *title, const char *name)
{
	char line[512], *word, *rest;
	const char *start = strstr(report, title);

	if (!start)
		return false;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(start, "\n"), start);
	for (word = strtok_r(line, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest))
		if (!strcmp(word, name))
			return true;
	return false;
}

/* 1 or 0; -1 if the file says neither or both */
static int is_held(int group, const char *name)
{
	char report[512];
	bool yes, no;

	if (get(report, sizeof(report), GROUPS "/%d/owner/isolation", group))
		return -1;
	yes = listed(report, "held:", name);
	no = listed(report, "missing:", name);
	return yes == no ? -1 : yes;
}

/* The bits of @group that are missing, but for snoop, with a space after each */
static const char *missing(int group)
{
	static char list[512];

	list[0] = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], "snoop") || is_held(group, names[i]) == 1)
			continue;
		strcat(list, names[i]);
		strcat(list, " ");
	}
	return list;
}

static int read_ecap(__u64 *value)
{
	char buf[64];
	int ret = get(buf, sizeof(buf),
		      "/sys/class/iommu/dmar0/intel-iommu/ecap");

	if (!ret)
		*value = strtoull(buf, NULL, 16);
	return ret;
}

/* The type of the default domain of a group without driver */
static int set_type(int group, const char *type)
{
	return put(type, GROUPS "/%d/type", group);
}

/* Under lockdown, as a device was used and has no reset */
static bool stays_translated(int group)
{
	return lockdown_level() > NONE && set_type(group, "identity") == -EBUSY;
}

TEST(every_group_names_each_bit_once)
{
	struct dirent *entry;
	unsigned int n = 0;
	char path[256];
	struct stat st;
	DIR *dir;

	dir = opendir(GROUPS);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), GROUPS "/%.32s/owner/isolation",
			 entry->d_name);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0444, st.st_mode & 0777);
		for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
			EXPECT_NE(-1, is_held(atoi(entry->d_name), names[i]))
				TH_LOG("%s: %s", path, names[i]);
		}
		n++;
	}
	closedir(dir);
	if (!n)
		SKIP(return, "no IOMMU group");
}

/* A device that is alone in its group, on the root bus */

FIXTURE(alone) {
	struct pdev edu;
	char type[32];
};

FIXTURE_SETUP(alone)
{
	load_modules();
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	ASSERT_EQ(0, get(self->type, sizeof(self->type), GROUPS "/%d/type",
			 self->edu.group));
	if (stays_translated(self->edu.group))
		SKIP(return, NOT_RESET);
}

FIXTURE_TEARDOWN(alone)
{
	driver_clear(&self->edu);
	if (self->type[0])
		EXPECT_EQ(0, set_type(self->edu.group, self->type));
	trace_stop();
}

TEST_F(alone, type_of_the_domain)
{
	int group = self->edu.group;

	ASSERT_EQ(0, set_type(group, "DMA"));
	EXPECT_STREQ("", missing(group));
	ASSERT_EQ(0, set_type(group, "DMA-FQ"));
	EXPECT_STREQ("strict ", missing(group));
	ASSERT_EQ(0, set_type(group, "identity"));
	EXPECT_STREQ("translated ", missing(group));
	ASSERT_EQ(0, set_type(group, "DMA"));
	EXPECT_STREQ("", missing(group));
}

TEST_F(alone, generation_moves_with_the_type)
{
	int group = self->edu.group;
	__u64 last;

	ASSERT_EQ(0, set_type(group, "DMA"));
	last = generation(group);
	ASSERT_EQ(0, set_type(group, "DMA-FQ"));
	EXPECT_LT(last, generation(group));
	last = generation(group);
	ASSERT_EQ(0, set_type(group, "identity"));
	EXPECT_LT(last, generation(group));
}

TEST_F(alone, driver_of_the_kernel)
{
	int group = self->edu.group;

	ASSERT_EQ(0, set_type(group, "DMA"));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_STREQ("no-sibling ", missing(group));
	ASSERT_EQ(0, driver_bind(&self->edu, STUB_DRIVER));
	EXPECT_STREQ("", missing(group));
}

TEST_F(alone, snoop_and_interrupts_are_what_the_iommu_can)
{
	__u64 value;

	if (read_ecap(&value))
		SKIP(return, NO_ECAP);
	EXPECT_EQ(!!(value & ECAP_SNOOP), is_held(self->edu.group, "snoop"));
	EXPECT_EQ(!!(value & ECAP_INTREMAP),
		  is_held(self->edu.group, "isolated-msi"));
}

TEST_F(alone, change_is_traced)
{
	char group[32];

	if (!trace_there())
		SKIP(return, NO_TRACING);
	snprintf(group, sizeof(group), "group=%d ", self->edu.group);
	ASSERT_EQ(0, set_type(self->edu.group, "DMA"));
	ASSERT_EQ(0, trace_start("iommu_owner_isolation"));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_TRUE(trace_find("iommu_owner_isolation:", group,
			       "acs strict", "acs no-sibling strict"));
}

FIXTURE(owned) {
	struct pdev edu;
	struct holder holder;
	char type[32];
};

FIXTURE_VARIANT(owned) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(owned, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(owned, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(owned, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(owned)
{
	load_modules();
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	ASSERT_EQ(0, get(self->type, sizeof(self->type), GROUPS "/%d/type",
			 self->edu.group));
	if (stays_translated(self->edu.group))
		SKIP(return, NOT_RESET);
	ASSERT_EQ(0, set_type(self->edu.group, "identity"));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
}

FIXTURE_TEARDOWN(owned)
{
	holder_end(&self->holder, HOLDER_KILL);
	driver_clear(&self->edu);
	if (self->type[0])
		EXPECT_EQ(0, set_type(self->edu.group, self->type));
}

TEST_F(owned, isolated_while_it_is_owned)
{
	int group = self->edu.group;

	EXPECT_STREQ("translated ", missing(group));
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	EXPECT_STREQ("", missing(group));
	/* Refused as ever; the report does not change */
	EXPECT_NE(0, set_type(group, "identity"));
	EXPECT_NE(0, set_type(group, "DMA-FQ"));
	EXPECT_STREQ("", missing(group));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_STREQ("translated ", missing(group));
}

TEST(driver_of_a_sibling)
{
	struct pdev edu, nic;

	load_modules();
	if (!find_shared(&edu, &nic))
		SKIP(return, NO_SHARED);
	driver_clear(&edu);
	driver_clear(&nic);
	EXPECT_EQ(1, is_held(edu.group, "no-sibling"));
	/* Behind a bridge to PCI there is no port that could have ACS */
	EXPECT_EQ(1, is_held(edu.group, "acs"));
	ASSERT_EQ(0, driver_bind(&nic, NIC_DRIVER));
	EXPECT_EQ(0, is_held(edu.group, "no-sibling"));
	driver_clear(&nic);
	EXPECT_EQ(1, is_held(edu.group, "no-sibling"));
}

/* A device below a root port */

FIXTURE(port) {
	struct pdev edu;
	struct holder holder;
	char sysfs[64];
	bool plugged;
	int klog;
};

FIXTURE_VARIANT(port) {
	const char *id;
	const char *bdf;
	bool acs;
};

FIXTURE_VARIANT_ADD(port, without_acs)
{
	.id = "port0",
	.bdf = "0000:00:15.0",
	.acs = false,
};

FIXTURE_VARIANT_ADD(port, with_acs)
{
	.id = "port2",
	.bdf = "0000:00:16.0",
	.acs = true,
};

/* The first device below the bridge at @bdf */
static bool find_below(const char *bdf, struct pdev *pdev)
{
	struct dirent *entry;
	bool found = false;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), PCI "/devices/%s", bdf);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, "0000:", 5) &&
			!strcmp(entry->d_name + 7, ":00.0");
		snprintf(pdev->bdf, sizeof(pdev->bdf), "%.15s", entry->d_name);
	}
	closedir(dir);
	if (!found)
		return false;
	pdev->group = dev_group(pdev->bdf);
	return pdev->group >= 0;
}

static bool wait_below(const char *bdf, struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!find_below(bdf, pdev)) {
		if (now_ms() > end)
			return false;
		nap(20);
	}
	/* Waits for a hot-plug that goes on */
	return !put("1", PCI "/rescan");
}

FIXTURE_SETUP(port)
{
	char arguments[128];

	if (!monitor_there())
		SKIP(return, NO_MONITOR);
	load_modules();
	snprintf(arguments, sizeof(arguments),
		 "'driver':'edu','id':'below0','bus':'%s'", variant->id);
	if (monitor_ask("device_add", arguments))
		SKIP(return, NO_PORT);
	self->plugged = true;
	ASSERT_TRUE(wait_below(variant->bdf, &self->edu));
	driver_clear(&self->edu);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(port)
{
	holder_end(&self->holder, HOLDER_KILL);
	if (!self->plugged)
		return;
	driver_clear(&self->edu);
	EXPECT_EQ(0, monitor_ask("device_del", "'id':'below0'"));
	EXPECT_TRUE(monitor_gone("below0"));
}

TEST_F(port, acs_of_the_port)
{
	EXPECT_EQ(variant->acs, is_held(self->edu.group, "acs"))
		TH_LOG("missing: %s", missing(self->edu.group));
	/* Nothing is above the port */
	EXPECT_EQ(variant->acs,
		  is_held(dev_group(variant->bdf), "acs"));
}

#define EXT_CAP_FIRST	0x100
#define EXT_CAP_ACS	0xd
#define ACS_CTRL	6
#define ACS_CTRL_DT	0x40

/* Where the ACS control register is, or 0 */
static off_t find_acs_control(int config)
{
	__u32 header;

	for (off_t at = EXT_CAP_FIRST; at >= EXT_CAP_FIRST; at = header >> 20) {
		if (pread(config, &header, sizeof(header), at) !=
		    sizeof(header) || !header)
			return 0;
		if ((header & 0xffff) == EXT_CAP_ACS)
			return at + ACS_CTRL;
	}
	return 0;
}

TEST_F(port, generation_moves_with_acs)
{
	int group = self->edu.group, config;
	__u16 control, direct, off = 0;
	char path[64];
	__u64 last;
	off_t at;

	if (!variant->acs)
		SKIP(return, "a port without ACS");
	/* Raw writes are seen where they may be refused */
	if (!exists("/sys/module/iommu_owner/parameters/gate"))
		SKIP(return, "no parameter gate of iommu_owner");
	if (lockdown_level() > NONE)
		SKIP(return, "the kernel is locked down");
	snprintf(path, sizeof(path), PCI "/devices/%s/config", variant->bdf);
	config = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, config);
	at = find_acs_control(config);
	ASSERT_NE(0, at);
	ASSERT_EQ(2, pread(config, &control, 2, at));

	last = generation(group);
	ASSERT_EQ(2, pwrite(config, &off, 2, at));
	EXPECT_EQ(0, is_held(group, "acs"));
	EXPECT_LT(last, generation(group));

	last = generation(group);
	ASSERT_EQ(2, pwrite(config, &control, 2, at));
	EXPECT_EQ(1, is_held(group, "acs"));
	EXPECT_LT(last, generation(group));

	/* What a device marks as translated goes to a device beside it */
	direct = control | ACS_CTRL_DT;
	ASSERT_EQ(2, pwrite(config, &direct, 2, at));
	ASSERT_EQ(2, pread(config, &direct, 2, at));
	if (direct & ACS_CTRL_DT)
		EXPECT_EQ(0, is_held(group, "acs"));
	ASSERT_EQ(2, pwrite(config, &control, 2, at));
	EXPECT_EQ(1, is_held(group, "acs"));

	/* Another register of the port, as it is */
	last = generation(group);
	ASSERT_EQ(2, pread(config, &control, 2, 4));
	ASSERT_EQ(2, pwrite(config, &control, 2, 4));
	EXPECT_EQ(last, generation(group));
	close(config);
}

TEST_F(port, what_lockdown_says)
{
	int ret;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ret = holder_start(&self->holder, PATH_CONTAINER, &self->edu);
	if (variant->acs || lockdown_level() <= NONE) {
		EXPECT_EQ(0, ret);
		return;
	}
	EXPECT_EQ(-EPERM, ret);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_TRUE(klog_find(self->klog, "not isolated: acs missing"));
}

/*
 * A virtio device. Without the platform feature its emulation takes addresses for
 * physical ones, and the domain of its group makes no difference.
 */

FIXTURE(emulated) {
	struct pdev rng;
	struct holder holder;
	bool plugged;
	int klog;
};

FIXTURE_VARIANT(emulated) {
	const char *platform;
	bool translated;
};

FIXTURE_VARIANT_ADD(emulated, past_the_iommu)
{
	.platform = "false",
	.translated = false,
};

FIXTURE_VARIANT_ADD(emulated, behind_the_iommu)
{
	.platform = "true",
	.translated = true,
};

FIXTURE_SETUP(emulated)
{
	char arguments[128];

	if (!monitor_there())
		SKIP(return, NO_MONITOR);
	load_modules();
	snprintf(arguments, sizeof(arguments),
		 "'driver':'virtio-rng-pci','id':'rng0','bus':'port2','iommu_platform':%s",
		 variant->platform);
	if (monitor_ask("device_add", arguments))
		SKIP(return, NO_PORT);
	self->plugged = true;
	ASSERT_TRUE(wait_below("0000:00:16.0", &self->rng));
	driver_clear(&self->rng);
	ASSERT_EQ(0, set_type(self->rng.group, "DMA"));
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(emulated)
{
	holder_end(&self->holder, HOLDER_KILL);
	if (!self->plugged)
		return;
	driver_clear(&self->rng);
	EXPECT_EQ(0, monitor_ask("device_del", "'id':'rng0'"));
	EXPECT_TRUE(monitor_gone("rng0"));
}

TEST_F(emulated, is_translated_if_it_says_so)
{
	int ret;

	EXPECT_EQ(variant->translated, is_held(self->rng.group, "translated"));
	ASSERT_EQ(0, driver_bind(&self->rng, USER_DRIVER));
	ret = holder_start(&self->holder, PATH_CONTAINER, &self->rng);
	if (variant->translated || lockdown_level() <= NONE) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(variant->translated,
			  is_held(self->rng.group, "translated"));
		return;
	}
	EXPECT_EQ(-EPERM, ret);
	EXPECT_TRUE(state_is(self->rng.group, "kernel"));
	EXPECT_TRUE(klog_find(self->klog, "not isolated: translated missing") ||
		    klog_limited(self->rng.group));
}

/* Isolated devices work when the kernel is locked down */

FIXTURE(lockdown) {
	struct pdev edu;
	struct holder holder;
	char type[32];
	int klog;
};

FIXTURE_VARIANT(lockdown) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(lockdown, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(lockdown, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(lockdown, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(lockdown)
{
	int ret;

	if (lockdown_level() <= NONE)
		SKIP(return, NOT_LOCKED);
	load_modules();
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	ASSERT_EQ(0, get(self->type, sizeof(self->type), GROUPS "/%d/type",
			 self->edu.group));
	/* A device that user space had, and that has no reset, stays translated */
	ret = set_type(self->edu.group, "identity");
	ASSERT_TRUE(!ret || ret == -EBUSY);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(lockdown)
{
	holder_end(&self->holder, HOLDER_KILL);
	driver_clear(&self->edu);
	if (self->type[0])
		EXPECT_EQ(0, set_type(self->edu.group, self->type));
}

TEST_F(lockdown, lease_goes_with_the_ownership)
{
	int group = self->edu.group;
	char line[128];

	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	EXPECT_STREQ("", missing(group));
	EXPECT_EQ(-EBUSY, set_type(group, "identity"));
	snprintf(line, sizeof(line),
		 "group %d: an identity domain refused: a lease of %s requires translated",
		 group, vfio_owner_name(variant->path));
	EXPECT_TRUE(klog_find(self->klog, line) || klog_limited(group));

	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(state_is(group, "kernel"));
	driver_clear(&self->edu);
	EXPECT_EQ(0, set_type(group, "DMA"));
}

#define LOCKDOWN_LINE	"DMA by user space to unchecked addresses is restricted"

/* The edu device has no reset: what it has armed must not reach the kernel. */
TEST_F(lockdown, device_without_reset_is_translated)
{
	int group = self->edu.group;
	char type[32];

	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(state_is(group, "kernel"));
	EXPECT_STREQ("", missing(group));
	ASSERT_EQ(0, get(type, sizeof(type), GROUPS "/%d/type", group));
	EXPECT_STREQ("DMA\n", type);
	EXPECT_FALSE(klog_find(self->klog, LOCKDOWN_LINE));

	driver_clear(&self->edu);
	EXPECT_EQ(-EBUSY, set_type(group, "identity"));
	EXPECT_TRUE(klog_find(self->klog, LOCKDOWN_LINE));
}

TEST_HARNESS_MAIN
