// SPDX-License-Identifier: GPL-2.0
/*
 * The host's raw ways to a PCI device that somebody else drives
 *
 * The table asks each way in each state of the group and in each mode of the gate,
 * for the level of lockdown that the kernel has. IOMMU_OWNER_COLUMN=integrity, or
 * confidentiality, in the environment raises it once there is a quarantine, which
 * cannot be made afterwards; it stays raised until the machine is booted again.
 *
 * IOMMU_OWNER_RACES in the environment says how often something races; without
 * it, a thousand times.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/pci.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define PAGE		4096
#define NO_GATE		"no parameter gate of iommu_owner"
#define LOCKED		"the kernel is locked down"

/* Not there: this device, kernel or machine does not have it */
#define ABSENT		1

static bool locked_down(void)
{
	return lockdown_level() > NONE;
}

static int dev_open(const struct pdev *pdev, const char *file, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", pdev->bdf, file);
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

static int proc_open(const struct pdev *pdev)
{
	char path[PATH_MAX];
	int fd;

	/* DDDD:BB:DD.F, and in procfs BB/DD.F */
	snprintf(path, sizeof(path), "/proc/bus/pci/%.2s/%s", pdev->bdf + 5,
		 pdev->bdf + 8);
	fd = open(path, O_RDWR);
	return fd < 0 ? -errno : fd;
}

/* Where a BAR is, or 0 if it is none of this kind */
static __u64 bar_start(const struct pdev *pdev, unsigned int bar, __u64 kind)
{
	unsigned long long start, end, flags;
	char buf[4096], *line = buf;

	if (get(buf, sizeof(buf), PCI "/devices/%s/resource", pdev->bdf))
		return 0;
	while (bar--) {
		line = strchr(line, '\n');
		if (!line++)
			return 0;
	}
	if (sscanf(line, "%llx %llx %llx", &start, &end, &flags) != 3)
		return 0;
	return flags & kind ? start : 0;
}

#define BAR_IO		0x100
#define BAR_MEM		0x200
#define BAR_PREFETCH	0x2000

static int find_bar(const struct pdev *pdev, __u64 kind)
{
	for (int bar = 0; bar < 6; bar++)
		if (bar_start(pdev, bar, kind))
			return bar;
	return -1;
}

/* One access of one byte or word; what it answers is of no interest */
static int access_fd(int fd, void *data, size_t size, off_t at, bool write)
{
	ssize_t len;
	int ret = 0;

	if (fd < 0)
		return fd;
	len = write ? pwrite(fd, data, size, at) : pread(fd, data, size, at);
	if (len < 0)
		ret = -errno;
	else if (len != (ssize_t)size)
		ret = -ENODATA;
	close(fd);
	return ret;
}

/* Map a page, read a register by it */
static int access_map(int fd, off_t at)
{
	__u32 *page;

	if (fd < 0)
		return fd;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	close(fd);
	if (page == MAP_FAILED)
		return -errno;
	__atomic_load_n(page, __ATOMIC_RELAXED);
	munmap(page, PAGE);
	return 0;
}

static int put_dev(const struct pdev *pdev, const char *file, const char *value)
{
	if (!exists(PCI "/devices/%s/%s", pdev->bdf, file))
		return ABSENT;
	return put(value, PCI "/devices/%s/%s", pdev->bdf, file);
}

static int write_config(const struct pdev *pdev)
{
	__u8 line = 0xff;

	return access_fd(dev_open(pdev, "config", O_RDWR), &line, 1,
			 PCI_INTERRUPT_LINE, true);
}

static int write_procfs(const struct pdev *pdev)
{
	__u8 line = 0xff;

	return access_fd(proc_open(pdev), &line, 1, PCI_INTERRUPT_LINE, true);
}

static int ioctl_procfs(const struct pdev *pdev)
{
	int fd = proc_open(pdev), ret;

	if (fd < 0)
		return fd;
	ret = ioctl(fd, PCIIOC_CONTROLLER, 0) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int open_procfs_map(const struct pdev *pdev)
{
	int fd = proc_open(pdev);

	/* If it is refused, so is the mmap() that comes next */
	if (fd >= 0)
		(void)!ioctl(fd, PCIIOC_MMAP_IS_MEM, 0);
	return fd;
}

static int map_procfs(const struct pdev *pdev)
{
	int bar = find_bar(pdev, BAR_MEM);

	return access_map(open_procfs_map(pdev),
			  bar_start(pdev, bar, BAR_MEM));
}

static int write_pciconfig(const struct pdev *pdev)
{
#ifdef __NR_pciconfig_write
	unsigned int bus, slot, function;
	__u8 line;

	if (sscanf(pdev->bdf + 5, "%x:%x.%x", &bus, &slot, &function) != 3)
		return -EINVAL;
	/* Not every machine has the two */
	if (syscall(__NR_pciconfig_read, bus, slot << 3 | function,
		    PCI_INTERRUPT_LINE, 1, &line) < 0)
		return ABSENT;
	if (syscall(__NR_pciconfig_write, bus, slot << 3 | function,
		    PCI_INTERRUPT_LINE, 1, &line) < 0)
		return -errno;
	return 0;
#else
	return ABSENT;
#endif
}

static int map_resource(const struct pdev *pdev)
{
	char file[32];

	snprintf(file, sizeof(file), "resource%d", find_bar(pdev, BAR_MEM));
	return access_map(dev_open(pdev, file, O_RDWR), 0);
}

static int map_resource_wc(const struct pdev *pdev)
{
	char file[32];
	int bar = find_bar(pdev, BAR_PREFETCH);

	if (bar < 0)
		return ABSENT;
	snprintf(file, sizeof(file), "resource%d_wc", bar);
	return access_map(dev_open(pdev, file, O_RDWR), 0);
}

static int access_io(const struct pdev *pdev, bool write)
{
	int bar = find_bar(pdev, BAR_IO);
	char file[32];
	__u32 zero = 0;

	if (bar < 0)
		return ABSENT;
	snprintf(file, sizeof(file), "resource%d", bar);
	return access_fd(dev_open(pdev, file, O_RDWR), &zero, 4, 0, write);
}

static int read_io(const struct pdev *pdev)
{
	return access_io(pdev, false);
}

static int write_io(const struct pdev *pdev)
{
	return access_io(pdev, true);
}

static int resize(const struct pdev *pdev)
{
	char file[] = "resource0_resize", size[32];

	for (int bar = 0; bar < 6; bar++, file[8]++)
		if (!get(size, sizeof(size), PCI "/devices/%s/%s", pdev->bdf,
			 file))
			/* No size at all: what is asked before it counts */
			return put_dev(pdev, file, "63") == -EINVAL ? 0 :
			       put_dev(pdev, file, "63");
	return ABSENT;
}

static int enable_rom(const struct pdev *pdev)
{
	return put_dev(pdev, "rom", "1");
}

static int read_rom(const struct pdev *pdev)
{
	__u8 data;

	if (!exists(PCI "/devices/%s/rom", pdev->bdf))
		return ABSENT;
	return access_fd(dev_open(pdev, "rom", O_RDONLY), &data, 1, 0, false);
}

static int reset(const struct pdev *pdev)
{
	return put_dev(pdev, "reset", "1");
}

static int enable(const struct pdev *pdev)
{
	int ret = put_dev(pdev, "enable", "1");

	return ret ? ret : put_dev(pdev, "enable", "0");
}

static int write_vpd(const struct pdev *pdev)
{
	return put_dev(pdev, "vpd", "1");
}

static int map_devmem(const struct pdev *pdev)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC), bar;

	bar = find_bar(pdev, BAR_MEM);
	return access_map(fd < 0 ? -errno : fd, bar_start(pdev, bar, BAR_MEM));
}

/* /dev/mem writes no address that is higher than all memory */
static int write_devmem(const struct pdev *pdev)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC), bar, ret;
	__u32 zero = 0;

	bar = find_bar(pdev, BAR_MEM);
	ret = access_fd(fd < 0 ? -errno : fd, &zero, 4,
			bar_start(pdev, bar, BAR_MEM) + 4, true);
	return ret == -EFAULT ? ABSENT : ret;
}

/*
 * @locked: refused under lockdown, whatever the device
 * @stock_bound: what stock says if the device has a driver
 */
static const struct way {
	const char *name;
	int (*go)(const struct pdev *pdev);
	bool locked;
	int stock_bound;
} ways[] = {
	{ "config", write_config, true },
	{ "procfs", write_procfs, true },
	{ "procfs ioctl", ioctl_procfs, true },
	{ "procfs mmap", map_procfs, true },
	{ "pciconfig_write", write_pciconfig, true },
	{ "resourceN mmap", map_resource, true },
	{ "resourceN_wc mmap", map_resource_wc, true },
	{ "resourceN read", read_io },
	{ "resourceN write", write_io, true },
	{ "resourceN_resize", resize, true, -EBUSY },
	{ "rom write", enable_rom },
	{ "rom read", read_rom },
	{ "reset", reset },
	{ "enable", enable, false, -EBUSY },
	{ "vpd write", write_vpd },
	{ "/dev/mem mmap", map_devmem, true },
	{ "/dev/mem write", write_devmem, true },
};

static const char * const modes[] = { "enforce", "log", "off" };

enum state { UNOWNED, OWNED, RESERVED, QUARANTINED };

static int expected(const struct way *way, enum state state, const char *mode,
		    bool locked)
{
	if (locked && (way->locked || state != UNOWNED))
		return -EPERM;
	if (state != UNOWNED && !strcmp(mode, "enforce"))
		return -EBUSY;
	return state == OWNED ? way->stock_bound : 0;
}

static bool reads_config(const struct pdev *pdev)
{
	__u16 id = 0;

	return !access_fd(dev_open(pdev, "config", O_RDONLY), &id, 2,
			  PCI_DEVICE_ID, false) && id != 0 && id != 0xffff &&
	       !access_fd(proc_open(pdev), &id, 2, PCI_DEVICE_ID, false);
}

/* The devices that have, between them, all ways: found by their ids */
#define CARDS		3

struct card {
	struct pdev pdev;
	struct vfio vfio;
	bool there;
};

static bool find_cards(struct card *cards)
{
	cards[0].there = find_edu(&cards[0].pdev);
	/* I/O ports, a ROM and a reset; a BAR that can be prefetched */
	cards[1].there = find_alone(&cards[1].pdev, "0x8086", "0x10d3");
	cards[2].there = find_alone(&cards[2].pdev, "0x1af4", "0x1041");
	return cards[0].there;
}

FIXTURE(gate) {
	struct card cards[CARDS];
	int token;
};

FIXTURE_VARIANT(gate) {
	enum state state;
	const char *kind;
};

/* The first: lockdown is raised once there is a quarantine */
FIXTURE_VARIANT_ADD(gate, quarantined) {
	.state = QUARANTINED, .kind = "quarantine",
};

FIXTURE_VARIANT_ADD(gate, unowned) { .state = UNOWNED, .kind = "kernel" };
FIXTURE_VARIANT_ADD(gate, owned) { .state = OWNED, .kind = "user" };
FIXTURE_VARIANT_ADD(gate, reserved) { .state = RESERVED, .kind = "reserved" };

static void own(struct __test_metadata *_metadata, struct card *card)
{
	ASSERT_EQ(0, driver_bind(&card->pdev, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&card->vfio, PATH_CONTAINER, &card->pdev));
}

/* VFIO has no reset for it; the one at the end of the ownership fails. */
static void quarantine(struct __test_metadata *_metadata, struct card *card)
{
	put("\n", PCI "/devices/%s/reset_method", card->pdev.bdf);
	own(_metadata, card);
	ASSERT_EQ(0, fail_reset(EIO));
	vfio_close(&card->vfio);
	let_reset();
	driver_clear(&card->pdev);
	put("default", PCI "/devices/%s/reset_method", card->pdev.bdf);
}

/* As the column of the matrix says */
static void raise_lockdown(struct __test_metadata *_metadata)
{
	const char *column = getenv("IOMMU_OWNER_COLUMN");
	enum lockdown level = NONE;

	if (column && !strcmp(column, "integrity"))
		level = INTEGRITY;
	if (column && !strcmp(column, "confidentiality"))
		level = CONFIDENTIALITY;
	ASSERT_EQ(0, level == NONE ? 0 : lockdown_raise(level));
}

FIXTURE_SETUP(gate)
{
	struct card *card;
	int ret;

	load_modules();
	self->token = -1;
	for (card = self->cards; card < self->cards + CARDS; card++)
		card->vfio = (struct vfio){
			.container = -1, .group = -1, .device = -1
		};
	if (gate_set("enforce") == -ENOENT)
		SKIP(return, NO_GATE);
	if (!find_cards(self->cards))
		SKIP(return, NO_EDU);
	if (variant->state == QUARANTINED) {
		ret = fail_reset(EIO);
		let_reset();
		if (ret)
			SKIP(return, NO_FAIL);
	}
	if (variant->state == RESERVED) {
		self->token = token_create("gate", ALL_RIGHTS);
		if (self->token < 0)
			SKIP(return, NO_TOKENS);
	}
	for (card = self->cards; card < self->cards + CARDS; card++) {
		if (!card->there)
			continue;
		clear_quarantine(card->pdev.group);
		driver_clear(&card->pdev);
		put("1", PCI "/devices/%s/rom", card->pdev.bdf);
		if (variant->state == OWNED)
			own(_metadata, card);
		if (variant->state == QUARANTINED)
			quarantine(_metadata, card);
		if (variant->state == RESERVED) {
			ASSERT_EQ(0, token_reserve(self->token,
						   card->pdev.group));
		}
		ASSERT_TRUE(state_is(card->pdev.group, variant->kind));
	}
	if (variant->state == QUARANTINED)
		raise_lockdown(_metadata);
}

FIXTURE_TEARDOWN(gate)
{
	struct card *card;

	if (self->token >= 0)
		close(self->token);
	for (card = self->cards; card < self->cards + CARDS; card++) {
		if (!card->there)
			continue;
		vfio_close(&card->vfio);
		if (variant->state == QUARANTINED)
			clear_quarantine(card->pdev.group);
		put("0", PCI "/devices/%s/rom", card->pdev.bdf);
		driver_clear(&card->pdev);
		put(card->pdev.bdf, PCI "/drivers_probe");
	}
	gate_set("enforce");
}

/* Every way, in this state of the group and all modes, at this level of lockdown */
TEST_F(gate, every_way)
{
	unsigned int cells = 0, seen[ARRAY_SIZE(ways)] = {};
	bool locked = locked_down();
	struct card *card;
	int ret;

	for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
		ASSERT_EQ(locked ? -EPERM : 0, gate_set(modes[m]));
		for (card = self->cards; card < self->cards + CARDS; card++) {
			if (!card->there)
				continue;
			for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
				ret = ways[w].go(&card->pdev);
				if (ret == ABSENT)
					continue;
				seen[w]++;
				cells++;
				EXPECT_EQ(expected(&ways[w], variant->state,
						   modes[m], locked), ret)
					TH_LOG("%s of %s, gate=%s",
					       ways[w].name, card->pdev.bdf,
					       modes[m]);
			}
			EXPECT_TRUE(reads_config(&card->pdev));
			EXPECT_TRUE(state_is(card->pdev.group, variant->kind));
		}
	}
	for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
		if (!seen[w])
			TH_LOG("not on this machine: %s", ways[w].name);
	TH_LOG("%u accesses, lockdown %s", cells, locked ? "on" : "off");
	EXPECT_LT(60, cells);
}

FIXTURE(mapped) {
	struct pdev edu;
	struct vfio vfio;
	int token;
	int klog;
};

FIXTURE_SETUP(mapped)
{
	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (gate_set("enforce") == -ENOENT)
		SKIP(return, NO_GATE);
	if (locked_down())
		SKIP(return, LOCKED);
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	self->token = token_create("gate", ALL_RIGHTS);
	if (self->token < 0)
		SKIP(return, NO_TOKENS);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	/* Its memory is not decoded before */
	edu_close(edu_open_sysfs(&self->edu));
}

FIXTURE_TEARDOWN(mapped)
{
	gate_set("enforce");
	vfio_close(&self->vfio);
	if (self->token >= 0)
		close(self->token);
	driver_clear(&self->edu);
	if (trace_there())
		trace_stop();
}

#define MAPS		4
#define ALL_MAPS	((1U << MAPS) - 1)

/* By sysfs, procfs, /dev/mem, and private */
static void *map_edu(const struct pdev *edu, unsigned int how)
{
	__u64 start = bar_start(edu, 0, BAR_MEM);
	void *map;
	int fd;

	if (how == 1)
		fd = open_procfs_map(edu);
	else if (how == 2)
		fd = open("/dev/mem", O_RDWR | O_SYNC);
	else
		fd = dev_open(edu, "resource0", O_RDWR);
	if (fd < 0)
		return MAP_FAILED;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   how == 3 ? MAP_PRIVATE : MAP_SHARED, fd,
		   how == 1 || how == 2 ? start : 0);
	close(fd);
	return map;
}

/* As map_edu(), and it leads to the device */
static bool map_all(struct _test_data_mapped *self, void *maps[])
{
	for (int i = 0; i < MAPS; i++) {
		maps[i] = map_edu(&self->edu, i);
		if (maps[i] == MAP_FAILED || !edu_try_answers(maps[i]))
			return false;
	}
	return true;
}

static void unmap_all(void *maps[])
{
	for (int i = 0; i < MAPS; i++)
		munmap(maps[i], PAGE);
}

/* Those that lead to the device, as bits */
static unsigned int answering(void *maps[])
{
	unsigned int bits = 0;

	for (int i = 0; i < MAPS; i++)
		bits |= edu_try_answers(maps[i]) << i;
	return bits;
}

static bool child_sees(void *map)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(edu_try_answers(map));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status);
}

/* A mapping is dead while the group is owned, and lives again afterwards. */
TEST_F(mapped, before_the_claim)
{
	void *maps[MAPS];

	ASSERT_TRUE(map_all(self, maps));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	EXPECT_EQ(0, answering(maps));
	for (int i = 0; i < MAPS; i++) {
		EXPECT_FALSE(child_sees(maps[i])) TH_LOG("mapping %d", i);
		EXPECT_EQ(MAP_FAILED, map_edu(&self->edu, i));
		EXPECT_EQ(EBUSY, errno);
	}
	vfio_close(&self->vfio);
	edu_close(edu_open_sysfs(&self->edu));
	EXPECT_EQ(ALL_MAPS, answering(maps));
	unmap_all(maps);
}

/* A process that has the mapping by fork() loses it as well. */
TEST_F(mapped, inherited)
{
	void *maps[MAPS];
	int go[2], status;
	pid_t pid;
	char word;

	ASSERT_TRUE(map_all(self, maps));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		(void)!read(go[0], &word, 1);
		_exit(answering(maps));
	}
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(1, write(go[1], "g", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(go[0]);
	close(go[1]);
	unmap_all(maps);
}

/* What a debugger sees is what the process would see. */
TEST_F(mapped, by_debugger)
{
	void *map = map_edu(&self->edu, 0);
	int fd = open("/proc/self/mem", O_RDONLY);
	__u32 id = 0;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_LE(0, fd);
	/* The first to touch the page */
	EXPECT_EQ(4, pread(fd, &id, 4, (uintptr_t)map));
	EXPECT_EQ(0xed, id & 0xff);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_GT(0, pread(fd, &id, 4, (uintptr_t)map));
	close(fd);
	munmap(map, PAGE);
}

/* The owner of the device reaches it as ever. */
TEST_F(mapped, owner_has_access)
{
	void *bar;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_answers(bar));
	ASSERT_EQ(-EBUSY, write_config(&self->edu));
	ASSERT_EQ(0, gate_set("off"));
	ASSERT_EQ(0, gate_set("enforce"));
	EXPECT_TRUE(edu_answers(bar));
	edu_close(bar);
}

TEST_F(mapped, by_mode)
{
	void *maps[MAPS];

	ASSERT_TRUE(map_all(self, maps));
	ASSERT_EQ(0, gate_set("log"));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(ALL_MAPS, answering(maps));
	ASSERT_EQ(0, gate_set("enforce"));
	EXPECT_EQ(0, answering(maps));
	ASSERT_EQ(0, gate_set("off"));
	EXPECT_EQ(ALL_MAPS, answering(maps));
	unmap_all(maps);
}

static bool mode_is(const char *mode)
{
	char buf[32];

	return !get(buf, sizeof(buf), GATE) && !strncmp(buf, mode, strlen(mode));
}

TEST_F(mapped, parameter)
{
	EXPECT_TRUE(mode_is("enforce"));
	EXPECT_EQ(-EINVAL, gate_set("maybe"));
	EXPECT_TRUE(mode_is("enforce"));
	EXPECT_EQ(0, gate_set("log"));
	EXPECT_TRUE(mode_is("log"));
	EXPECT_EQ(0, gate_set("off"));
	EXPECT_TRUE(mode_is("off"));
}

/* Removal asks nobody: the ownership ends with the device. */
TEST_F(mapped, remove_works)
{
	__u64 end = now_ms() + WAIT_MS;

	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(-EBUSY, write_config(&self->edu));
	EXPECT_EQ(0, put("1", PCI "/devices/%s/remove", self->edu.bdf));
	EXPECT_FALSE(exists(PCI "/devices/%s", self->edu.bdf));
	EXPECT_EQ(0, put("1", PCI "/rescan"));
	while (!exists(PCI "/devices/%s", self->edu.bdf) && now_ms() < end)
		nap(20);
	self->edu.group = dev_group(self->edu.bdf);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, write_config(&self->edu));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(-EBUSY, write_config(&self->edu));
}

static bool event_is_sent(int token, const struct pdev *pdev, const char *path)
{
	struct pollfd fd = { .fd = token, .events = POLLIN };
	struct iommu_owner_event event;

	while (poll(&fd, 1, 5000) == 1 &&
	       read(token, &event, sizeof(event)) == sizeof(event))
		if (event.type == IOMMU_OWNER_EVENT_ACCESS_REFUSED &&
		    !strcmp((char *)event.device, pdev->bdf) &&
		    !strcmp((char *)event.driver, path) &&
		    event.group == pdev->group && event.pid == getpid() &&
		    !strcmp((char *)event.comm, "gate-test"))
			return true;
	return false;
}

static bool comm_is_set(void)
{
	return !put("gate-test", "/proc/self/comm");
}

/* Each access path is reported by its name, also those that are reported a little later. */
TEST_F(mapped, refusal_is_reported)
{
	static const struct {
		int (*go)(const struct pdev *pdev);
		const char *path;
	} refused[] = {
		{ write_config, "config write" },
		{ write_procfs, "procfs write" },
		{ ioctl_procfs, "procfs ioctl" },
		{ enable, "enable" },
		{ map_resource, "resource0" },
		{ map_devmem, "/dev/mem mmap" },
	};
	char who[64];
	void *map;

	klog_recover();
	ASSERT_TRUE(comm_is_set());
	map = map_edu(&self->edu, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, trace_there() ? trace_start("iommu_owner_access") : 0);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	snprintf(who, sizeof(who), "by gate-test (pid %d) refused", getpid());
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(-EBUSY, refused[i].go(&self->edu));
		EXPECT_TRUE(event_is_sent(self->token, &self->edu,
					  refused[i].path))
			TH_LOG("%s", refused[i].path);
		EXPECT_TRUE(klog_find(self->klog, self->edu.bdf, refused[i].path,
				      who, "reserved owner gate (gate-test"))
			TH_LOG("%s", refused[i].path);
		if (trace_there()) {
			EXPECT_TRUE(trace_find("iommu_owner_access",
					       self->edu.bdf, refused[i].path,
					       "refused=1", "state=reserved"))
				TH_LOG("%s", refused[i].path);
		}
	}
	EXPECT_FALSE(edu_try_answers(map));
	EXPECT_TRUE(event_is_sent(self->token, &self->edu, "fault"));
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf, "fault", who));
	munmap(map, PAGE);
}

/* In this mode it is allowed, and reported to the administrator alone. */
TEST_F(mapped, log_mode_is_logged)
{
	klog_recover();
	ASSERT_TRUE(comm_is_set());
	ASSERT_EQ(0, gate_set("log"));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(0, write_config(&self->edu));
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf, "config write by gate-test",
			      "allowed"));
	EXPECT_EQ(0, map_resource(&self->edu));
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf,
			      "resource0 by gate-test", "allowed"));
	EXPECT_FALSE(event_is_sent(self->token, &self->edu, "config write"));
}

/* The devices of one group are shut together, also one that joins it. */
TEST_F(mapped, whole_group)
{
	struct pdev edu, nic;
	char rom[16];

	if (!find_shared(&edu, &nic))
		SKIP(return, NO_SHARED);
	snprintf(rom, sizeof(rom), "%s", nic.bdf);
	driver_clear(&edu);
	driver_clear(&nic);
	ASSERT_EQ(0, write_config(&edu));
	ASSERT_EQ(0, write_config(&nic));
	ASSERT_EQ(0, token_reserve(self->token, edu.group));
	EXPECT_EQ(-EBUSY, write_config(&edu));
	EXPECT_EQ(-EBUSY, write_config(&nic));

	ASSERT_EQ(0, put("1", PCI "/devices/%s/remove", nic.bdf));
	EXPECT_EQ(-EBUSY, write_config(&edu));
	ASSERT_EQ(0, put("1", PCI "/rescan"));
	ASSERT_EQ(edu.group, dev_group(nic.bdf));
	EXPECT_EQ(-EBUSY, write_config(&nic));
	EXPECT_EQ(-EBUSY, map_resource(&nic));

	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_EQ(0, write_config(&edu));
	EXPECT_EQ(0, write_config(&nic));
	driver_clear(&nic);
}

/* Races */

struct racers {
	const struct pdev *edu;
	unsigned int arrived;
	unsigned int rounds;
	void *map;
	bool done;
};

static unsigned int rounds(void)
{
	const char *text = getenv("IOMMU_OWNER_RACES");

	return text ? strtoul(text, NULL, 10) : 1000;
}

/* Wait for the other one; @phase counts the meetings. */
static void meet(struct racers *race, unsigned int *phase)
{
	++*phase;
	__atomic_add_fetch(&race->arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->arrived, __ATOMIC_SEQ_CST) < 2 * *phase)
		sched_yield();
}

/* Map the BAR while the other thread takes the group; now and then touch it. */
static void *race_to_map(void *arg)
{
	unsigned int phase = 0, seed = 1;
	struct racers *race = arg;

	for (unsigned int n = 0; n < race->rounds; n++) {
		meet(race, &phase);
		for (int i = rand_r(&seed) % 200; i; i--)
			__asm__ volatile("" ::: "memory");
		race->map = map_edu(race->edu, n % MAPS);
		if (race->map != MAP_FAILED && n / MAPS % 2)
			edu_try_answers(race->map);
		meet(race, &phase);
		/* The group is taken: the mapping is looked at */
		meet(race, &phase);
		if (race->map != MAP_FAILED)
			munmap(race->map, PAGE);
	}
	return NULL;
}

#define DELAY_STEP	5000

TEST_F_TIMEOUT(mapped, racing_mmap, 900)
{
	struct racers race = { .edu = &self->edu, .rounds = 3 * rounds() };
	unsigned int alive = 0, mapped = 0, refused = 0, failed = 0;
	unsigned int delay[MAPS] = {}, phase = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, race_to_map, &race));
	for (unsigned int n = 0; n < race.rounds; n++) {
		unsigned int *wait = &delay[n % MAPS];
		int ret;

		meet(&race, &phase);
		for (unsigned int i = *wait; i; i--)
			__asm__ volatile("" ::: "memory");
		ret = token_reserve(self->token, self->edu.group);
		meet(&race, &phase);
		failed += ret < 0;
		/* The one that has lost comes a little earlier the next time */
		if (race.map == MAP_FAILED) {
			refused++;
			*wait += DELAY_STEP;
		} else {
			mapped++;
			if (*wait)
				*wait -= DELAY_STEP;
			alive += edu_try_answers(race.map);
		}
		meet(&race, &phase);
		token_release(self->token, NULL, 0);
	}
	pthread_join(thread, NULL);
	TH_LOG("%u rounds: %u mapped, %u refused", race.rounds, mapped, refused);
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, alive);
	/* Else nothing has raced */
	EXPECT_LT(0, mapped);
	EXPECT_LT(0, refused);
}

/* As above with claims through VFIO, which are slower */
TEST_F_TIMEOUT(mapped, racing_claim, 900)
{
	struct racers race = { .edu = &self->edu, .rounds = rounds() / 5 + 1 };
	unsigned int alive = 0, mapped = 0, failed = 0, phase = 0;
	pthread_t thread;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, pthread_create(&thread, NULL, race_to_map, &race));
	for (unsigned int n = 0; n < race.rounds; n++) {
		int ret;

		meet(&race, &phase);
		ret = vfio_start(&self->vfio, n % 2 ? PATH_CONTAINER : PATH_CDEV,
				 &self->edu);
		meet(&race, &phase);
		failed += ret < 0;
		if (race.map != MAP_FAILED) {
			mapped++;
			alive += edu_try_answers(race.map);
		}
		meet(&race, &phase);
		vfio_close(&self->vfio);
	}
	pthread_join(thread, NULL);
	TH_LOG("%u rounds: %u mapped", race.rounds, mapped);
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, alive);
}

static void *race_to_enforce(void *arg)
{
	struct racers *race = arg;
	unsigned int phase = 0;

	for (unsigned int n = 0; n < race->rounds; n++) {
		meet(race, &phase);
		gate_set("enforce");
		meet(race, &phase);
		meet(race, &phase);
	}
	return NULL;
}

/* Touch a mapping without end: a fault meets everything else */
static void *race_to_touch(void *arg)
{
	struct racers *race = arg;

	while (!__atomic_load_n(&race->done, __ATOMIC_RELAXED))
		edu_try_answers(race->map);
	return NULL;
}

TEST_F_TIMEOUT(mapped, racing_mode, 900)
{
	struct racers race = { .edu = &self->edu, .rounds = rounds() };
	unsigned int alive = 0, phase = 0;
	pthread_t setter, toucher;

	race.map = map_edu(&self->edu, 0);
	ASSERT_NE(MAP_FAILED, race.map);
	ASSERT_EQ(0, pthread_create(&toucher, NULL, race_to_touch, &race));
	ASSERT_EQ(0, pthread_create(&setter, NULL, race_to_enforce, &race));
	for (unsigned int n = 0; n < race.rounds; n++) {
		ASSERT_EQ(0, gate_set(modes[1 + n % 2]));
		meet(&race, &phase);
		ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
		meet(&race, &phase);
		/* Whichever came first, both have come */
		alive += edu_try_answers(race.map);
		alive += !write_config(&self->edu);
		meet(&race, &phase);
		token_release(self->token, NULL, 0);
	}
	__atomic_store_n(&race.done, true, __ATOMIC_RELAXED);
	pthread_join(toucher, NULL);
	pthread_join(setter, NULL);
	EXPECT_EQ(0, alive);
	EXPECT_TRUE(edu_try_answers(race.map));
	munmap(race.map, PAGE);
}

/* The bus that leads to a device that somebody has is not reset under it. */
TEST_F(mapped, bus_reset)
{
	char bridge[PATH_MAX], path[PATH_MAX + 32];
	struct pdev edu, nic;

	if (!find_shared(&edu, &nic))
		SKIP(return, NO_SHARED);
	snprintf(path, sizeof(path), PCI "/devices/%s/..", edu.bdf);
	ASSERT_NE(NULL, realpath(path, bridge));
	snprintf(path, sizeof(path), "%s/reset_subordinate", bridge);
	if (access(path, F_OK))
		SKIP(return, "no reset_subordinate of the bridge");
	driver_clear(&edu);
	driver_clear(&nic);
	ASSERT_EQ(0, token_reserve(self->token, edu.group));
	EXPECT_EQ(-EBUSY, put("1", "%s", path));
	EXPECT_EQ(0, put("0", "%s", path));
}

TEST_HARNESS_MAIN
