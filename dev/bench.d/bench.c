// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per operation, seen from user space. Meant for QEMU with
 * -icount shift=0, where the time stamp counter counts guest instructions.
 *
 * bench BDF: the device is bound to vfio-pci; prints "bench NAME MEDIAN MIN MAX".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef KVM_DEV_VFIO_FILE	/* the distribution's headers are older */
#define KVM_DEV_VFIO_FILE	1
#define KVM_DEV_VFIO_FILE_ADD	1
#define KVM_DEV_VFIO_FILE_DEL	2
#endif

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

static void bar(const char *bdf)
{
	int fd = check(sysfs_open(bdf, "resource0", O_RDWR | O_SYNC), "resource0");

	for (int i = 0; i < RUNS; i++) {
		uint64_t t = now();
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		sample[i] = now() - t;
		if (p == MAP_FAILED)
			fail("BAR mmap");
		munmap(p, 4096);
	}
	report("bar-mmap", sample, RUNS);
	close(fd);
}

static int group_open(const char *bdf)
{
	char link[PATH_MAX], target[PATH_MAX], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(link, target, sizeof(target) - 1);
	check(n, "iommu_group");
	target[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
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
		kvm(argv[2]);
		return 0;
	}
	fprintf(stderr, "bench boot | host BDF | bind BDF DRIVER | vfio BDF\n");
	return 2;
}
