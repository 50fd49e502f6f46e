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
#include <dirent.h>
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

#include "owner_park.h"
#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define PAGE		4096
#define NO_GATE		"no parameter gate of iommu_owner"
#define NO_ECAM		"no ECAM that can be mapped"
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

static int map_at(__u64 at)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);

	return access_map(fd < 0 ? -errno : fd, at);
}

/* One page of it that stays mapped, or MAP_FAILED */
static void *map_devmem_page(__u64 at)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	void *map;

	if (fd < 0)
		return MAP_FAILED;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	close(fd);
	return map;
}

static int map_devmem(const struct pdev *pdev)
{
	return map_at(bar_start(pdev, find_bar(pdev, BAR_MEM), BAR_MEM));
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

/* As write_devmem() */
static int read_at(__u64 at)
{
	int fd = open("/dev/mem", O_RDONLY | O_SYNC), ret;
	__u32 data;

	ret = access_fd(fd < 0 ? -errno : fd, &data, 4, at, false);
	return ret == -EFAULT ? ABSENT : ret;
}

static int read_devmem(const struct pdev *pdev)
{
	return read_at(bar_start(pdev, find_bar(pdev, BAR_MEM), BAR_MEM));
}

/* Nobody maps registers that a driver has requested, with CONFIG_IO_STRICT_DEVMEM */
static bool iomem_is_strict(void)
{
	char line[4096];

	return !get(line, sizeof(line), "/proc/cmdline") &&
	       strstr(line, "iomem=strict");
}

/* Where the config space of a function is, or 0 */
static __u64 ecam_start(const struct pdev *pdev)
{
	unsigned int domain, bus, slot, function, segment, first, last;
	FILE *iomem = fopen("/proc/iomem", "r");
	unsigned long long start, end;
	__u64 found = 0;
	char line[128];

	if (!iomem || iomem_is_strict() ||
	    sscanf(pdev->bdf, "%x:%x:%x.%x", &domain, &bus, &slot,
		   &function) != 4)
		return 0;
	while (fgets(line, sizeof(line), iomem))
		if (sscanf(line, " %llx-%llx : PCI ECAM %x [bus %x-%x]", &start,
			   &end, &segment, &first, &last) == 5 &&
		    segment == domain && first <= bus && bus <= last)
			found = start + ((__u64)(bus - first) << 20) +
				(slot << 15) + (function << 12);
	fclose(iomem);
	return found;
}

static int map_ecam(const struct pdev *pdev)
{
	__u64 start = ecam_start(pdev);

	return start ? map_at(start) : ABSENT;
}

#define VGA_MEM		0xa0000
#define LOW_END		0x100000

/* On x86 */
static bool has_vga_resource(void)
{
	FILE *iomem = fopen("/proc/iomem", "r");
	unsigned long long start, end;
	bool there = false;
	char line[128];

	while (iomem && fgets(line, sizeof(line), iomem))
		if (sscanf(line, " %llx-%llx", &start, &end) == 2)
			there |= start == VGA_MEM;
	if (iomem)
		fclose(iomem);
	return there;
}

static bool has_vga_memory(const struct pdev *pdev)
{
	char class[16];

	return has_vga_resource() &&
	       !get(class, sizeof(class), PCI "/devices/%s/class", pdev->bdf) &&
	       !strncmp(class, "0x0300", 6);
}

static int map_vga(const struct pdev *pdev)
{
	return has_vga_memory(pdev) ? map_at(VGA_MEM) : ABSENT;
}

static int read_vga(const struct pdev *pdev)
{
	return has_vga_memory(pdev) ? read_at(VGA_MEM) : ABSENT;
}

/* What they are by default */
static int set_reset_method(const struct pdev *pdev)
{
	return put_dev(pdev, "reset_method", "default");
}

static int set_msi_bus(const struct pdev *pdev)
{
	return put_dev(pdev, "msi_bus", "1");
}

static int set_d3cold(const struct pdev *pdev)
{
	return put_dev(pdev, "d3cold_allowed", "1");
}

static int set_link(const struct pdev *pdev)
{
	static const char * const files[] = {
		"l0s_aspm", "l1_aspm", "l1_1_aspm", "l1_2_aspm", "l1_1_pcipm",
		"l1_2_pcipm", "clkpm",
	};
	int ret = ABSENT;
	char file[32];

	for (size_t i = 0; i < ARRAY_SIZE(files) && ret >= 0; i++) {
		snprintf(file, sizeof(file), "link/%s", files[i]);
		if (exists(PCI "/devices/%s/%s", pdev->bdf, file))
			ret = put_dev(pdev, file, "0");
	}
	return ret;
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
	{ "reset_method", set_reset_method },
	{ "msi_bus", set_msi_bus },
	{ "d3cold_allowed", set_d3cold },
	{ "link", set_link },
	{ "/dev/mem mmap", map_devmem, true },
	{ "/dev/mem write", write_devmem, true },
	{ "/dev/mem read", read_devmem, true },
	{ "ECAM mmap", map_ecam, true },
	{ "VGA memory mmap", map_vga, true },
	{ "VGA memory read", read_vga, true },
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
#define CARDS		4

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
	/* VGA memory; not on all machines */
	cards[3].there = find_alone(&cards[3].pdev, "0x1234", "0x1111");
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
	/* Which the gate refuses by now */
	ASSERT_EQ(0, gate_set("off"));
	put("default", PCI "/devices/%s/reset_method", card->pdev.bdf);
	ASSERT_EQ(0, gate_set("enforce"));
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

	if (how == 2)
		return map_devmem_page(start);
	fd = how == 1 ? open_procfs_map(edu) :
			dev_open(edu, "resource0", O_RDWR);
	if (fd < 0)
		return MAP_FAILED;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   how == 3 ? MAP_PRIVATE : MAP_SHARED, fd,
		   how == 1 ? start : 0);
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

/* As a debugger reads it: without a signal */
static bool can_read(const void *map)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	__u32 word;
	bool ret;

	ret = pread(fd, &word, sizeof(word), (uintptr_t)map) == sizeof(word);
	close(fd);
	return ret;
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

/* By the file of a driver that has been unbound since */
TEST_F(mapped, by_uio)
{
	void *map;
	int fd;

	if (load_module(UIO_MODULE))
		SKIP(return, "no " UIO_MODULE);
	ASSERT_EQ(0, driver_bind(&self->edu, UIO_DRIVER));
	fd = uio_open(&self->edu);
	ASSERT_LE(0, fd);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* The mapping keeps the file open */
	close(fd);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(edu_try_answers(map));
	EXPECT_NE(0, unload_module(UIO_MODULE));

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	EXPECT_FALSE(edu_try_answers(map));
	EXPECT_FALSE(child_sees(map));
	vfio_close(&self->vfio);
	munmap(map, PAGE);
	EXPECT_EQ(0, unload_module(UIO_MODULE));
}

/* What was unmapped for an owner does not come back for the next driver's registers. */
TEST_F(mapped, registers_of_a_driver)
{
	void *bar;

	if (!iomem_is_strict())
		SKIP(return, "registers of a driver may be mapped");
	if (load_module(UIO_MODULE))
		SKIP(return, "no " UIO_MODULE);
	bar = edu_open_sysfs(&self->edu);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_try_answers(bar));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_FALSE(edu_try_answers(bar));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));

	/* It has requested them */
	ASSERT_EQ(0, driver_bind(&self->edu, UIO_DRIVER));
	EXPECT_FALSE(edu_try_answers(bar));
	driver_clear(&self->edu);
	EXPECT_TRUE(edu_try_answers(bar));
	edu_close(bar);
	EXPECT_EQ(0, unload_module(UIO_MODULE));
}

/* As by UIO */
TEST_F(mapped, by_framebuffer)
{
	char path[32] = "";
	struct pdev card;
	void *map;
	int fd;

	if (!find_alone(&card, "0x1013", "0x00b8") || load_module("cirrusfb"))
		SKIP(return, "no cirrus-vga alone in its group, or no cirrusfb");
	ASSERT_EQ(0, driver_bind(&card, "cirrusfb"));
	for (int n = 0; n < 8; n++)
		if (exists(PCI "/devices/%s/graphics/fb%d", card.bdf, n))
			snprintf(path, sizeof(path), "/dev/fb%d", n);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(can_read(map));
	driver_clear(&card);
	ASSERT_EQ(0, token_reserve(self->token, card.group));
	EXPECT_FALSE(can_read(map));
	munmap(map, PAGE);
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

/* As a BAR: the config space, which /dev/mem maps by its address */
TEST_F(mapped, config_space)
{
	__u64 start = ecam_start(&self->edu);
	__u32 *map;

	if (!start)
		SKIP(return, NO_ECAM);
	map = map_devmem_page(start);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(can_read(map));
	EXPECT_EQ(0x11e81234, *map);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_FALSE(can_read(map));
	EXPECT_EQ(-EBUSY, map_ecam(&self->edu));
	EXPECT_TRUE(reads_config(&self->edu));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_TRUE(can_read(map));
	munmap(map, PAGE);
}

/* Callers of the BIOS map VGA memory and ROMs at once, which are no BARs. */
TEST_F(mapped, low_megabyte)
{
	int fd = open("/dev/mem", O_RDONLY);
	char *map;

	if (!has_vga_resource())
		SKIP(return, "no VGA memory");
	ASSERT_LE(0, fd);
	map = mmap(NULL, LOW_END - VGA_MEM, PROT_READ, MAP_SHARED, fd, VGA_MEM);
	close(fd);
	ASSERT_NE(MAP_FAILED, map);
	for (size_t at = 0; at < LOW_END - VGA_MEM; at += 0x10000) {
		EXPECT_TRUE(can_read(map + at))
			TH_LOG("%zx", VGA_MEM + at);
	}
	munmap(map, LOW_END - VGA_MEM);
}

/* It does not go on into a page that the process has lost. */
TEST_F(mapped, by_debugger_across_pages)
{
	__u64 start = bar_start(&self->edu, 0, BAR_MEM);
	int devmem = open("/dev/mem", O_RDWR | O_SYNC);
	int fd = open("/proc/self/mem", O_RDONLY);
	__u32 words[2] = {};
	char *map;

	ASSERT_LE(0, devmem);
	ASSERT_LE(0, fd);
	/* The page below the BAR, and its first one */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, devmem,
		   start - PAGE);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(8, pread(fd, words, 8, (uintptr_t)map + PAGE - 4));
	EXPECT_EQ(0xed, words[1] & 0xff);
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(4, pread(fd, words, 8, (uintptr_t)map + PAGE - 4));
	close(devmem);
	close(fd);
	munmap(map, 2 * PAGE);
}

#define MEMTYPES	"/sys/kernel/debug/x86/pat_memtype_list"

/* Does x86 have write-combining reserved for this page? */
static bool combines(__u64 page)
{
	unsigned long long start, end;
	char line[128], type[32];
	FILE *list = fopen(MEMTYPES, "r");
	bool ret = false;

	if (!list)
		return false;
	while (fgets(line, sizeof(line), list))
		if (sscanf(line, "PAT: [mem %llx-%llx] %31s", &start, &end,
			   type) == 3 && start <= page && page < end)
			ret |= !strcmp(type, "write-combining");
	fclose(list);
	return ret;
}

/* The memory type is reserved until the last copy of the last part has gone. */
TEST_F(mapped, write_combining)
{
	char file[32], *map;
	int go[2], bar, fd;
	struct pdev pdev;
	__u64 start;
	pid_t pid;

	if (access(MEMTYPES, R_OK))
		SKIP(return, "no memory types at " MEMTYPES);
	if (!find_alone(&pdev, "0x1af4", "0x1041"))
		SKIP(return, "no virtio-net alone in its IOMMU group");
	driver_clear(&pdev);
	bar = find_bar(&pdev, BAR_PREFETCH);
	ASSERT_LE(0, bar);
	start = bar_start(&pdev, bar, BAR_PREFETCH);
	snprintf(file, sizeof(file), "resource%d_wc", bar);
	fd = dev_open(&pdev, file, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_FALSE(combines(start));
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(combines(start));
	__atomic_load_n((__u32 *)map, __ATOMIC_RELAXED);
	EXPECT_TRUE(combines(start));

	ASSERT_EQ(0, munmap(map, PAGE));
	EXPECT_TRUE(combines(start + PAGE));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		(void)!read(go[0], file, 1);
		_exit(0);
	}
	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	EXPECT_TRUE(combines(start + PAGE));
	close(go[0]);
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_FALSE(combines(start));
	EXPECT_FALSE(combines(start + PAGE));
	put(pdev.bdf, PCI "/drivers_probe");
}

/* It is found by the gate, whatever its file. */
TEST_F(mapped, write_combining_before_the_claim)
{
	struct pdev pdev;
	char file[32];
	__u32 *map;
	int bar, fd;

	if (!find_alone(&pdev, "0x1af4", "0x1041"))
		SKIP(return, "no virtio-net alone in its IOMMU group");
	driver_clear(&pdev);
	bar = find_bar(&pdev, BAR_PREFETCH);
	ASSERT_LE(0, bar);
	snprintf(file, sizeof(file), "resource%d_wc", bar);
	fd = dev_open(&pdev, file, O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(can_read(map));
	ASSERT_EQ(0, token_reserve(self->token, pdev.group));
	EXPECT_FALSE(can_read(map));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_TRUE(can_read(map));
	munmap(map, PAGE);
	put(pdev.bdf, PCI "/drivers_probe");
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

static void remove_edu(struct __test_metadata *_metadata, struct pdev *edu)
{
	EXPECT_EQ(0, put("1", PCI "/devices/%s/remove", edu->bdf));
	EXPECT_FALSE(exists(PCI "/devices/%s", edu->bdf));
}

static void rescan_edu(struct __test_metadata *_metadata, struct pdev *edu)
{
	__u64 end = now_ms() + WAIT_MS;

	EXPECT_EQ(0, put("1", PCI "/rescan"));
	while (!exists(PCI "/devices/%s", edu->bdf) && now_ms() < end)
		nap(20);
	edu->group = dev_group(edu->bdf);
	EXPECT_TRUE(state_is(edu->group, "kernel"));
}

/* Removal asks nobody: the ownership ends with the device. */
TEST_F(mapped, remove_works)
{
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	ASSERT_EQ(-EBUSY, write_config(&self->edu));
	remove_edu(_metadata, &self->edu);
	rescan_edu(_metadata, &self->edu);
	EXPECT_EQ(0, write_config(&self->edu));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_EQ(-EBUSY, write_config(&self->edu));
}

/* Addresses that were no BAR when they were mapped are one by now. */
TEST_F(mapped, before_the_device)
{
	__u64 start = bar_start(&self->edu, 0, BAR_MEM);
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	void *map;

	ASSERT_LE(0, fd);
	remove_edu(_metadata, &self->edu);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
	close(fd);
	rescan_edu(_metadata, &self->edu);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(start, bar_start(&self->edu, 0, BAR_MEM));
	edu_close(edu_open_sysfs(&self->edu));
	EXPECT_TRUE(edu_try_answers(map));
	ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
	EXPECT_FALSE(edu_try_answers(map));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	edu_close(edu_open_sysfs(&self->edu));
	EXPECT_TRUE(edu_try_answers(map));
	munmap(map, PAGE);
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

/* What a gated device depends on */

#define NIC_IN_PORT_ACS	"'driver':'e1000e','id':'gate-nic','bus':'port2'"
#define NO_PORT		"no e1000e in a root port of another group, nor a port2 for one"

FIXTURE(above) {
	struct pdev port;
	struct pdev nic;
	int token;
	int klog;
	bool plugged;
};

static bool find_in_port(struct pdev *nic)
{
	return find_device_last("0x8086", "0x10d3", nic) &&
	       dev_is_below(nic->bdf, ROOT_PORT);
}

static bool plug_in_port(struct pdev *nic)
{
	__u64 end = now_ms() + WAIT_MS;

	if (!monitor_there() || monitor_ask("device_add", NIC_IN_PORT_ACS))
		return false;
	while (!find_in_port(nic) && now_ms() < end)
		nap(20);
	/* Also waits for a hot-plug that goes on */
	put("1", PCI "/rescan");
	return find_in_port(nic);
}

/* The device that has @pdev below it */
static bool find_above(const struct pdev *pdev, struct pdev *above)
{
	char path[PATH_MAX], real[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/devices/%s/..", pdev->bdf);
	if (!realpath(path, real))
		return false;
	snprintf(above->bdf, sizeof(above->bdf), "%.15s",
		 strrchr(real, '/') + 1);
	above->group = dev_group(above->bdf);
	return true;
}

FIXTURE_SETUP(above)
{
	load_modules();
	self->token = -1;
	if (gate_set("enforce") == -ENOENT)
		SKIP(return, NO_GATE);
	if (locked_down())
		SKIP(return, LOCKED);
	if (!find_in_port(&self->nic)) {
		self->plugged = plug_in_port(&self->nic);
		if (!self->plugged)
			SKIP(return, NO_PORT);
	}
	self->nic.group = dev_group(self->nic.bdf);
	ASSERT_TRUE(find_above(&self->nic, &self->port));
	if (self->nic.group < 0 || self->nic.group == self->port.group)
		SKIP(return, NO_PORT);
	driver_clear(&self->nic);
	ASSERT_TRUE(driver_is(&self->nic, NULL));
	self->token = token_create("gate", ALL_RIGHTS);
	if (self->token < 0)
		SKIP(return, NO_TOKENS);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(above)
{
	gate_set("enforce");
	if (self->token >= 0)
		close(self->token);
	put(self->port.bdf, PCI "/drivers_probe");
	if (self->plugged) {
		monitor_ask("device_del", "'id':'gate-nic'");
		monitor_gone("gate-nic");
	}
}

static int reset_below(const struct pdev *pdev)
{
	return put_dev(pdev, "reset_subordinate", "1");
}

static int disable(const struct pdev *pdev)
{
	return put_dev(pdev, "enable", "0");
}

/* What hurts the devices below; the port has no driver */
static const struct {
	const char *name;
	int (*go)(const struct pdev *pdev);
} above_ways[] = {
	{ "config", write_config },
	{ "procfs", write_procfs },
	{ "pciconfig_write", write_pciconfig },
	{ "reset", reset },
	{ "reset_subordinate", reset_below },
	{ "disable", disable },
	{ "msi_bus", set_msi_bus },
	{ "d3cold_allowed", set_d3cold },
};

static void expect_above(struct __test_metadata *_metadata,
			 const struct pdev *port, int expected)
{
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(above_ways); i++) {
		ret = above_ways[i].go(port);
		if (ret != ABSENT) {
			EXPECT_EQ(expected, ret)
				TH_LOG("%s", above_ways[i].name);
		}
	}
	EXPECT_TRUE(reads_config(port));
}

TEST_F(above, bridge)
{
	char path[48];

	klog_recover();
	driver_unbind(&self->port);
	ASSERT_EQ(0, write_config(&self->port));
	ASSERT_EQ(0, token_reserve(self->token, self->nic.group));
	expect_above(_metadata, &self->port, -EBUSY);
	snprintf(path, sizeof(path), "config write %s", self->port.bdf);
	EXPECT_TRUE(klog_find(self->klog, self->nic.bdf, path, "refused"));

	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_EQ(0, write_config(&self->port));
	EXPECT_EQ(0, set_msi_bus(&self->port));
}

/* The config space of the port is as out of reach by its address. */
TEST_F(above, config_space)
{
	__u64 start = ecam_start(&self->port);
	void *map;

	if (!start)
		SKIP(return, NO_ECAM);
	map = map_devmem_page(start);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(can_read(map));
	ASSERT_EQ(0, token_reserve(self->token, self->nic.group));
	EXPECT_FALSE(can_read(map));
	EXPECT_EQ(-EBUSY, map_ecam(&self->port));
	EXPECT_TRUE(reads_config(&self->port));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_TRUE(can_read(map));
	munmap(map, PAGE);
}

/* A device beside it, and what is not behind the port, are not affected. */
TEST_F(above, neighbour)
{
	struct pdev edu;

	if (!find_edu(&edu))
		SKIP(return, NO_EDU);
	driver_clear(&edu);
	ASSERT_EQ(0, token_reserve(self->token, edu.group));
	ASSERT_EQ(-EBUSY, write_config(&edu));
	EXPECT_EQ(0, write_config(&self->port));
	EXPECT_EQ(0, write_config(&self->nic));
}

/* Both ends of the link belong to it. */
TEST_F(above, link)
{
	int ret = set_link(&self->nic);

	if (ret == ABSENT)
		SKIP(return, "no link whose power management can be set");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, token_reserve(self->token, self->nic.group));
	EXPECT_EQ(-EBUSY, set_link(&self->nic));
}

#define ASPM_POLICY	"/sys/module/pcie_aspm/parameters/policy"

TEST_F(above, link_policy)
{
	char policies[128], *old;

	/* "[default] performance powersave powersupersave" */
	if (set_link(&self->nic) == ABSENT ||
	    get(policies, sizeof(policies), ASPM_POLICY))
		SKIP(return, "no link whose power management can be set");
	old = strtok(strchr(policies, '[') + 1, "]");
	ASSERT_EQ(0, put("performance", ASPM_POLICY));
	ASSERT_EQ(0, put("default", ASPM_POLICY));
	ASSERT_EQ(0, token_reserve(self->token, self->nic.group));
	EXPECT_EQ(-EBUSY, put("performance", ASPM_POLICY));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_EQ(0, put(old, ASPM_POLICY));
}

static bool find_pf(struct pdev *pf)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	load_module("igb");		/* of the column igb; nvme is there */
	dir = opendir(PCI "/devices");
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(pf->bdf, sizeof(pf->bdf), "%.15s", entry->d_name);
		if (!exists(PCI "/devices/%s/sriov_numvfs", pf->bdf))
			continue;
		/* Its driver enables the VFs */
		driver_clear(pf);
		put(pf->bdf, PCI "/drivers_probe");
		found = !put_dev(pf, "sriov_numvfs", "0") &&
			!put_dev(pf, "sriov_numvfs", "1");
	}
	if (dir)
		closedir(dir);
	pf->group = dev_group(pf->bdf);
	return found;
}

static bool find_vf(const struct pdev *pf, struct pdev *vf)
{
	char path[PATH_MAX], real[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/devices/%s/virtfn0", pf->bdf);
	if (!realpath(path, real))
		return false;
	snprintf(vf->bdf, sizeof(vf->bdf), "%.15s", strrchr(real, '/') + 1);
	vf->group = dev_group(vf->bdf);
	return vf->group >= 0 && vf->group != pf->group;
}

TEST_F(mapped, physical_function)
{
	struct pdev pf, vf;

	if (!find_pf(&pf) || !find_vf(&pf, &vf))
		SKIP(return, "no VF in a group of its own");
	driver_clear(&vf);
	ASSERT_EQ(0, write_config(&pf));
	ASSERT_EQ(0, token_reserve(self->token, vf.group));
	EXPECT_EQ(-EBUSY, write_config(&vf));
	EXPECT_EQ(-EBUSY, write_config(&pf));
	EXPECT_EQ(-EBUSY, write_procfs(&pf));
	EXPECT_EQ(-EBUSY, reset(&pf));
	EXPECT_EQ(-EBUSY, put_dev(&pf, "sriov_numvfs", "0"));
	EXPECT_TRUE(reads_config(&pf));
	EXPECT_TRUE(exists(PCI "/devices/%s", vf.bdf));

	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_EQ(0, write_config(&pf));
	EXPECT_EQ(0, put_dev(&pf, "sriov_numvfs", "0"));
	EXPECT_FALSE(exists(PCI "/devices/%s", vf.bdf));
}

/* A receiver error, which is corrected; what /dev/aer_inject reads */
static int inject_error(const struct pdev *pdev)
{
	struct {
		__u8 bus, dev, fn;
		__u32 uncorrectable, correctable, header[4], domain;
	} error = { .correctable = PCI_ERR_COR_RCVR };
	unsigned int bus, dev, fn;
	ssize_t ret;
	int fd;

	if (sscanf(pdev->bdf, "%x:%x:%x.%x", &error.domain, &bus, &dev,
		   &fn) != 4)
		return -EINVAL;
	error.bus = bus;
	error.dev = dev;
	error.fn = fn;
	fd = open("/dev/aer_inject", O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, &error, sizeof(error)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* The interrupt of an error before may be pending still: then it is busy, too. */
static int inject_error_soon(const struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;
	int ret;

	while ((ret = inject_error(pdev)) == -EBUSY && now_ms() < end)
		nap(20);
	return ret;
}

/* The recovery from an error resets the bus. */
TEST_F(mapped, error_injection)
{
	struct pdev rng;

	if (!find_device("0x1af4", "0x1044", &rng) || rng.group < 0)
		SKIP(return, "no device with AER");
	ASSERT_EQ(0, load_module("aer_inject"));
	driver_clear(&rng);
	EXPECT_EQ(0, inject_error_soon(&rng));
	ASSERT_EQ(0, token_reserve(self->token, rng.group));
	EXPECT_EQ(-EBUSY, inject_error(&rng));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_EQ(0, inject_error_soon(&rng));
	put(rng.bdf, PCI "/drivers_probe");
}

/* Accesses that have begun when the gate is shut, and wait */

static void *write_slowly(void *data)
{
	struct parked *parked = data;

	/* The offset is in the place of the command */
	parked->ret = 0;
	if (pwrite(parked->fd, parked_where(parked), 4, parked->cmd) < 0)
		parked->ret = -errno;
	return NULL;
}

static int open_procfs_slowly(struct parked *parked, const struct pdev *pdev)
{
	parked->cmd = PCI_INTERRUPT_LINE;
	return proc_open(pdev);
}

/* On x86 only the BARs below the end of memory can be written */
static int open_devmem_slowly(struct parked *parked, const struct pdev *pdev)
{
	__u32 zero = 0;
	int fd = open("/dev/mem", O_RDWR | O_SYNC);

	parked->cmd = bar_start(pdev, 0, BAR_MEM) + 4;
	if (fd >= 0 && pwrite(fd, &zero, 4, parked->cmd) != 4)
		close_fd(&fd);
	return fd;
}

#ifdef __NR_pciconfig_write
static void *pciconfig_slowly(void *data)
{
	struct parked *parked = data;

	/* Bus and function are in the place of the command */
	parked->ret = 0;
	if (syscall(__NR_pciconfig_write, parked->cmd >> 8, parked->cmd & 0xff,
		    PCI_INTERRUPT_LINE, 1, parked_where(parked)) < 0)
		parked->ret = -errno;
	return NULL;
}

static int open_pciconfig_slowly(struct parked *parked, const struct pdev *pdev)
{
	unsigned int bus, slot, function;

	if (write_pciconfig(pdev) == ABSENT ||
	    sscanf(pdev->bdf + 5, "%x:%x.%x", &bus, &slot, &function) != 3)
		return -1;
	parked->cmd = bus << 8 | slot << 3 | function;
	return open("/dev/null", O_RDONLY);
}
#endif

/* The file is -1 if this machine does not have the way */
static const struct slow_way {
	const char *name;
	int (*open)(struct parked *parked, const struct pdev *pdev);
	void *(*write)(void *parked);
} slow_ways[] = {
	{ "procfs", open_procfs_slowly, write_slowly },
#ifdef __NR_pciconfig_write
	{ "pciconfig_write", open_pciconfig_slowly, pciconfig_slowly },
#endif
	{ "/dev/mem", open_devmem_slowly, write_slowly },
};

/* A write that waits for a page of its caller is refused when the page comes. */
TEST_F(mapped, waits_for_a_page)
{
	const struct slow_way *way;
	struct parked parked;
	int fd;

	for (way = slow_ways; way < slow_ways + ARRAY_SIZE(slow_ways); way++) {
		fd = way->open(&parked, &self->edu);
		if (fd < 0) {
			TH_LOG("not on this machine: %s", way->name);
			continue;
		}
		if (!parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING))
			SKIP(return, NO_USERFAULTFD);
		ASSERT_EQ(0, parked_call(&parked, way->write, fd, WAIT_MS));
		ASSERT_EQ(0, token_reserve(self->token, self->edu.group));
		EXPECT_EQ(-EBUSY, parked_end(&parked)) TH_LOG("%s", way->name);
		ASSERT_EQ(0, token_release(self->token, NULL, 0));
		close(fd);
	}
}

/* A write to sysfs in a thread: a process would keep the files of VFIO open */
struct slow_put {
	pthread_t thread;
	const char *value;
	char path[PATH_MAX];
	int ret;
};

#define STILL_WAITS	1

static void *put_slowly(void *data)
{
	struct slow_put *slow = data;
	int ret = put(slow->value, "%s", slow->path);

	__atomic_store_n(&slow->ret, ret, __ATOMIC_RELEASE);
	return NULL;
}

/* STILL_WAITS, or what it returned within @ms */
static int slow_result(struct slow_put *slow, unsigned int ms)
{
	__u64 end = now_ms() + ms;
	int ret;

	do {
		ret = __atomic_load_n(&slow->ret, __ATOMIC_ACQUIRE);
		if (ret != STILL_WAITS)
			break;
		nap(20);
	} while (now_ms() < end);
	return ret;
}

static int slow_start(struct slow_put *slow, const char *value)
{
	slow->value = value;
	slow->ret = STILL_WAITS;
	if (pthread_create(&slow->thread, NULL, put_slowly, slow))
		return -EAGAIN;
	return slow_result(slow, 500);
}

/*
 * A write that waits for the lock of the device is refused when it gets it. The
 * unbind of the driver has the lock while the device is open; the gate is off when
 * the write begins.
 */
TEST_F(mapped, waits_for_the_lock)
{
	static const char * const files[] = { "reset", "enable" };
	struct slow_put unbind, writers[ARRAY_SIZE(files)];
	struct pdev nic;
	int token;

	if (!find_alone(&nic, "0x8086", "0x10d3"))
		SKIP(return, "no e1000e alone in its IOMMU group");
	driver_clear(&nic);
	ASSERT_EQ(0, driver_bind(&nic, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &nic));
	token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	ASSERT_LE(0, token);
	ASSERT_EQ(0, token_reserve(token, nic.group));

	snprintf(unbind.path, sizeof(unbind.path), PCI "/drivers/%s/unbind",
		 USER_DRIVER);
	ASSERT_EQ(STILL_WAITS, slow_start(&unbind, nic.bdf));
	ASSERT_EQ(0, gate_set("off"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(writers[i].path, sizeof(writers[i].path),
			 PCI "/devices/%s/%s", nic.bdf, files[i]);
		EXPECT_EQ(STILL_WAITS, slow_start(&writers[i], "1"))
			TH_LOG("%s", files[i]);
	}
	ASSERT_EQ(0, gate_set("enforce"));
	vfio_close(&self->vfio);
	EXPECT_EQ(0, slow_result(&unbind, WAIT_MS));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(-EBUSY, slow_result(&writers[i], WAIT_MS))
			TH_LOG("%s", files[i]);
	}
	EXPECT_TRUE(state_is(nic.group, "reserved"));
	close(token);
	driver_clear(&nic);
	put(nic.bdf, PCI "/drivers_probe");
}

TEST_HARNESS_MAIN
