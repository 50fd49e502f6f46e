// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per operation, seen from user space. Meant for QEMU with
 * -icount shift=0, where the time stamp counter counts guest instructions.
 *
 * Prints "bench NAME MEDIAN MIN MAX".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/iommu-owner.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"

#ifndef KVM_DEV_VFIO_FILE	/* the distribution's headers are older */
#define KVM_DEV_VFIO_FILE	1
#define KVM_DEV_VFIO_FILE_ADD	1
#define KVM_DEV_VFIO_FILE_DEL	2
#endif

#define ALL_RIGHTS	0x7f

#define RUNS 101

static uint64_t sample[RUNS];

static uint64_t now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

/* For what sleeps on the way: only the time that this thread ran. */
static uint64_t ran(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void fail(const char *what)
{
	printf("bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		fail(what);
	return ret;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, uint64_t *s, int n)
{
	qsort(s, n, sizeof(*s), compare);
	printf("bench %s %llu %llu %llu\n", name, (unsigned long long)s[n / 2],
	       (unsigned long long)s[0], (unsigned long long)s[n - 1]);
	fflush(stdout);
}

#define TIME(i, call, what) do {			\
	uint64_t t_ = now();				\
							\
	check(call, what);				\
	sample[i] = now() - t_;				\
} while (0)

static int sysfs_open(const char *bdf, const char *file, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	return open(path, flags);
}

static void put(const char *bdf, const char *path, const char *what)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		fail(what);
	if (write(fd, bdf, strlen(bdf)) < 0)
		fail(what);
	close(fd);
}

/* Bind and unbind of a driver that uses the DMA API. */
static void bind(const char *bdf, const char *driver, int runs)
{
	static uint64_t off[RUNS];
	char file[PATH_MAX];

	for (int i = 0; i < runs; i++) {
		uint64_t t = ran();

		snprintf(file, sizeof(file), "/sys/bus/pci/drivers/%s/bind", driver);
		put(bdf, file, file);
		sample[i] = ran() - t;
		snprintf(file, sizeof(file), "/sys/bus/pci/drivers/%s/unbind", driver);
		t = ran();
		put(bdf, file, file);
		off[i] = ran() - t;
	}
	snprintf(file, sizeof(file), "bind-%s", driver);
	report(file, sample, runs);
	snprintf(file, sizeof(file), "unbind-%s", driver);
	report(file, off, runs);
}

static void config(const char *bdf)
{
	uint32_t val;
	uint8_t line;
	int fd = check(sysfs_open(bdf, "config", O_RDWR), "config");

	for (int i = 0; i < RUNS; i++)
		TIME(i, pread(fd, &val, 4, 0x10), "config read");
	report("config-read", sample, RUNS);
	check(pread(fd, &line, 1, 0x3c), "config read");
	for (int i = 0; i < RUNS; i++)
		TIME(i, pwrite(fd, &line, 1, 0x3c), "config write");
	report("config-write", sample, RUNS);
	close(fd);
}

#define EDU_SIZE	0x100000	/* of its BAR */
#define EDU_SCRATCH	0x4		/* gives back the inverse of what it got */

/* Map @size bytes of a BAR, read a register, unmap: what a tool does */
static void map_bar(const char *name, int fd, off_t at, size_t size)
{
	for (int i = 0; i < RUNS; i++) {
		uint64_t t = now();
		volatile uint32_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					    MAP_SHARED, fd, at);

		if (p == MAP_FAILED)
			fail(name);
		(void)*p;
		munmap((void *)p, size);
		sample[i] = now() - t;
	}
	report(name, sample, RUNS);
}

static void bar(const char *bdf)
{
	uint16_t command = 0x6;	/* decode memory, as it may not be yet */
	int config = check(sysfs_open(bdf, "config", O_RDWR), "config");
	int fd = check(sysfs_open(bdf, "resource0", O_RDWR | O_SYNC), "resource0");

	check(pwrite(config, &command, 2, 4), "config write");
	close(config);
	map_bar("bar-mmap", fd, 0, EDU_SIZE);
	map_bar("bar-mmap-page", fd, 0, 4096);
	close(fd);
}

static uint32_t group_number(const char *bdf)
{
	char link[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(link, target, sizeof(target) - 1);
	check(n, "iommu_group");
	target[n] = 0;
	return atoi(strrchr(target, '/') + 1);
}

static int group_open(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/dev/vfio/%u", group_number(bdf));
	return check(open(path, O_RDWR), path);
}

static void container(const char *bdf)
{
	static uint64_t leave[RUNS], iommu[RUNS];

	for (int i = 0; i < RUNS; i++) {
		int c = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
		int g = group_open(bdf);
		uint64_t t;

		TIME(i, ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "SET_CONTAINER");
		t = now();
		check(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
		iommu[i] = now() - t;
		t = now();
		close(g);
		leave[i] = now() - t;
		close(c);
	}
	report("set-container", sample, RUNS);
	report("set-iommu", iommu, RUNS);
	report("group-close", leave, RUNS);
}

static void device(const char *bdf)
{
	static uint64_t shut[RUNS];
	int c = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
	int g = group_open(bdf);
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .vaddr = (uintptr_t)mem, .iova = 0x100000, .size = 4096,
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	};

	check(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "SET_CONTAINER");
	check(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	for (int i = 0; i < RUNS; i++) {
		uint64_t t = ran();
		int d = check(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, bdf), "GET_DEVICE_FD");

		sample[i] = ran() - t;
		t = ran();
		close(d);
		shut[i] = ran() - t;
	}
	report("device-open", sample, RUNS);
	report("device-close", shut, RUNS);
	for (int i = 0; i < RUNS; i++) {
		struct vfio_iommu_type1_dma_unmap unmap = {
			.argsz = sizeof(unmap), .iova = map.iova, .size = map.size,
		};
		uint64_t t;

		TIME(i, ioctl(c, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
		t = now();
		check(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &unmap), "UNMAP_DMA");
		shut[i] = now() - t;
	}
	report("dma-map", sample, RUNS);
	report("dma-unmap", shut, RUNS);
	close(g);
	close(c);
}

struct vfio {
	int container, group, device;
	struct vfio_region_info bar, config;
};

/* Open a device that decodes memory */
static void vfio_open(struct vfio *vfio, const char *bdf)
{
	uint16_t command = 0x6;
	int d;

	*vfio = (struct vfio){
		.container = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio"),
		.group = group_open(bdf),
		.bar = { sizeof(vfio->bar), .index = VFIO_PCI_BAR0_REGION_INDEX },
		.config = { sizeof(vfio->config), .index = VFIO_PCI_CONFIG_REGION_INDEX },
	};
	check(ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container), "SET_CONTAINER");
	check(ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	d = check(ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, bdf), "GET_DEVICE_FD");
	check(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &vfio->bar), "REGION_INFO");
	check(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &vfio->config), "REGION_INFO");
	check(pwrite(d, &command, 2, vfio->config.offset + 4), "VFIO config write");
	vfio->device = d;
}

static void vfio_close(struct vfio *vfio)
{
	close(vfio->device);
	close(vfio->group);
	close(vfio->container);
}

/* The owner's own access to its BAR */
static void vfio_bar(const char *bdf)
{
	static uint64_t written[RUNS];
	struct vfio_region_info info;
	volatile uint32_t *p;
	struct vfio vfio;
	uint32_t val = 0;
	int d;

	vfio_open(&vfio, bdf);
	info = vfio.bar;
	d = vfio.device;
	map_bar("vfio-bar-mmap", d, info.offset, EDU_SIZE);

	p = mmap(NULL, EDU_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d, info.offset);
	if (p == MAP_FAILED)
		fail("VFIO BAR mmap");
	(void)*p;
	for (int i = 0; i < RUNS; i++) {
		uint64_t t = now();

		for (int n = 0; n < 1000; n++)
			(void)p[0];
		sample[i] = now() - t;
		t = now();
		for (int n = 0; n < 1000; n++)
			p[EDU_SCRATCH / 4] = n;
		written[i] = now() - t;
	}
	if (p[EDU_SCRATCH / 4] != ~999U)
		fail("VFIO BAR write");
	report("vfio-bar-read", sample, RUNS);
	report("vfio-bar-write", written, RUNS);
	munmap((void *)p, EDU_SIZE);

	for (int i = 0; i < RUNS; i++) {
		uint64_t t;

		TIME(i, pread(d, &val, 4, info.offset), "VFIO BAR pread");
		t = now();
		check(pwrite(d, &val, 4, info.offset + EDU_SCRATCH), "VFIO BAR pwrite");
		written[i] = now() - t;
	}
	report("vfio-bar-pread", sample, RUNS);
	report("vfio-bar-pwrite", written, RUNS);
	vfio_close(&vfio);
}

#define LINES_CALLS	2000

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(sched_setaffinity(0, sizeof(set), &set), "affinity");
}

/* An ioctl that stays in the kernel, or a register that the device answers for */
static void read_device(const struct vfio *vfio, bool bar)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t val;

	for (int i = 0; i < LINES_CALLS; i++) {
		if (bar)
			check(pread(vfio->device, &val, 4, vfio->bar.offset), "BAR pread");
		else
			check(ioctl(vfio->device, VFIO_DEVICE_GET_INFO, &info), "GET_INFO");
	}
}

/*
 * A process on each CPU uses the same device. They are not threads: those count the
 * users of their files in a line that they share.
 */
static void lines(int round, const struct vfio *vfio)
{
	volatile uint8_t *mark = mmap((void *)MARK, 2 * MARK_PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	pid_t pid[LINES_CPUS];
	int status;

	if (mark == MAP_FAILED)
		fail("mark");
	mark[MARK_PAGE] = 0;	/* the page is there: nothing was started */
	mark[MARK_AT(round, LINES_CALLS)] = 0;
	for (int i = 0; i < LINES_CPUS; i++) {
		pid[i] = check(fork(), "fork");
		if (pid[i])
			continue;
		on_cpu(i);
		read_device(vfio, round);
		_exit(0);
	}
	for (int i = 0; i < LINES_CPUS; i++)
		if (waitpid(pid[i], &status, 0) < 0 || status)
			fail("a reader");
	mark[MARK_PAGE] = 0;
	munmap((void *)MARK, 2 * MARK_PAGE);
}

static void lines_all(const char *bdf)
{
	struct vfio vfio;

	uint32_t val;

	vfio_open(&vfio, bdf);
	/* Two first reads at a time fail: only one of them gets the region */
	check(pread(vfio.device, &val, 4, vfio.bar.offset), "BAR pread");
	for (int round = 0; round < 2; round++)
		lines(round, &vfio);
	vfio_close(&vfio);
}

static void kvm(const char *bdf)
{
	static uint64_t del[RUNS];
	int k = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int vm = check(ioctl(k, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_VFIO };
	int c = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
	int32_t g = group_open(bdf);
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE, .addr = (uintptr_t)&g,
	};

	check(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "SET_CONTAINER");
	check(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	check(ioctl(vm, KVM_CREATE_DEVICE, &dev), "KVM_CREATE_DEVICE");
	for (int i = 0; i < RUNS; i++) {
		uint64_t t;

		attr.attr = KVM_DEV_VFIO_FILE_ADD;
		TIME(i, ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr), "FILE_ADD");
		attr.attr = KVM_DEV_VFIO_FILE_DEL;
		t = now();
		check(ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr), "FILE_DEL");
		del[i] = now() - t;
	}
	report("kvm-file-add", sample, RUNS);
	report("kvm-file-del", del, RUNS);
	close(dev.fd);
	close(vm);
	close(k);
	close(g);
	close(c);
}

static int token_create(int maker)
{
	struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = ALL_RIGHTS, .name = "bench",
	};

	check(ioctl(maker, IOMMU_OWNER_CREATE, &cmd), "CREATE");
	return cmd.out_fd;
}

static int token_dup(int token)
{
	struct iommu_owner_dup cmd = { .size = sizeof(cmd), .rights = ALL_RIGHTS };

	check(ioctl(token, IOMMU_OWNER_DUP, &cmd), "DUP");
	return cmd.out_fd;
}

static void tokens(int maker, const char *bdf)
{
	static uint64_t end[RUNS];
	struct iommu_owner_group_ref ref = { .group = group_number(bdf) };
	struct iommu_owner_reserve reserve = {
		.size = sizeof(reserve), .groups = (uintptr_t)&ref, .nr_groups = 1,
		.group_size = sizeof(ref),
	};
	struct iommu_owner_release release = {
		.size = sizeof(release), .groups = (uintptr_t)&ref, .nr_groups = 1,
		.group_size = sizeof(ref),
	};
	int token;

	for (int i = 0; i < RUNS; i++) {
		uint64_t t = now();

		token = token_create(maker);
		sample[i] = now() - t;
		t = now();
		close(token);
		end[i] = now() - t;
	}
	report("token-create", sample, RUNS);
	report("token-close", end, RUNS);

	token = token_create(maker);
	for (int i = 0; i < RUNS; i++) {
		uint64_t t;

		TIME(i, ioctl(token, IOMMU_OWNER_RESERVE, &reserve), "RESERVE");
		t = now();
		check(ioctl(token, IOMMU_OWNER_RELEASE, &release), "RELEASE");
		end[i] = now() - t;
	}
	report("reserve", sample, RUNS);
	report("release", end, RUNS);
	close(token);
}

/*
 * Revoke an owner whose device is open and given to a VM. As many tokens are
 * told of it: each of them is a watch of its owner.
 */
static uint64_t revoke_once(int maker, int kvm_fd, const char *bdf, int watches)
{
	static int watch[1000];
	struct iommu_owner_revoke revoke = { .size = sizeof(revoke) };
	struct iommu_owner_use use = { .size = sizeof(use) };
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE, .attr = KVM_DEV_VFIO_FILE_ADD,
	};
	int vm = check(ioctl(kvm_fd, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int c = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
	int32_t g = group_open(bdf);
	uint64_t t;
	int d;

	watch[0] = token_create(maker);
	for (int i = 1; i < watches; i++)
		watch[i] = token_dup(watch[0]);
	use.fd = g;
	check(ioctl(watch[0], IOMMU_OWNER_USE, &use), "USE");
	check(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "SET_CONTAINER");
	check(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	check(ioctl(vm, KVM_CREATE_DEVICE, &dev), "KVM_CREATE_DEVICE");
	attr.addr = (uintptr_t)&g;
	check(ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr), "FILE_ADD");
	d = check(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, bdf), "GET_DEVICE_FD");

	t = now();
	check(ioctl(watch[0], IOMMU_OWNER_REVOKE, &revoke), "REVOKE");
	t = now() - t;

	close(d);
	close(dev.fd);
	close(vm);
	close(g);
	close(c);
	for (int i = 0; i < watches; i++)
		close(watch[i]);
	return t;
}

static void owner(const char *bdf)
{
	static const struct {
		const char *name;
		int watches, runs;
	} revoke[] = {
		{ "revoke-1", 1, 25 }, { "revoke-10", 10, 25 }, { "revoke-1000", 1000, 5 },
	};
	struct rlimit files = { 2048, 2048 };
	int maker = open("/dev/iommu-owner", O_RDWR);
	int k;

	if (maker < 0)	/* a kernel without tokens */
		return;
	tokens(maker, bdf);
	check(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
	k = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	for (unsigned int i = 0; i < sizeof(revoke) / sizeof(revoke[0]); i++) {
		for (int n = 0; n < revoke[i].runs; n++)
			sample[n] = revoke_once(maker, k, bdf, revoke[i].watches);
		report(revoke[i].name, sample, revoke[i].runs);
	}
	close(k);
	close(maker);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "boot")) {
		uint64_t t = now();

		report("boot-to-init", &t, 1);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "bind")) {
		bind(argv[2], argv[3], strcmp(argv[3], "e1000e") ? RUNS : 9);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "host")) {
		config(argv[2]);
		bar(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "vfio")) {
		container(argv[2]);
		device(argv[2]);
		vfio_bar(argv[2]);
		kvm(argv[2]);
		owner(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "lines")) {
		lines_all(argv[2]);
		return 0;
	}
	fprintf(stderr, "bench boot | host BDF | bind BDF DRIVER | vfio BDF | lines BDF\n");
	return 2;
}
