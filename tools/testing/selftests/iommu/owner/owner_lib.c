// SPDX-License-Identifier: GPL-2.0
/* What the tests of the ownership of IOMMU groups share, see owner_lib.h */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "owner_lib.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define FAIL		"/sys/kernel/debug/fail_function"
#define RESET		"quiesce_reset"
#define TRACING		"/sys/kernel/tracing/instances/iommu_owner_test"
#define SECURITYFS	"/sys/kernel/security"
#define MONITOR		"/dev/virtio-ports/owner.monitor"

__u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void nap(unsigned int ms)
{
	usleep(ms * 1000);
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int put_path(const char *value, const char *path)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int put(const char *value, const char *path, ...)
{
	char name[PATH_MAX];
	va_list args;

	va_start(args, path);
	vsnprintf(name, sizeof(name), path, args);
	va_end(args);
	return put_path(value, name);
}

static int get_path(char *buf, size_t size, const char *path)
{
	ssize_t len;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return len;
	buf[len] = '\0';
	return 0;
}

int get(char *buf, size_t size, const char *path, ...)
{
	char name[PATH_MAX];
	va_list args;

	va_start(args, path);
	vsnprintf(name, sizeof(name), path, args);
	va_end(args);
	return get_path(buf, size, name);
}

bool exists(const char *path, ...)
{
	char name[PATH_MAX];
	va_list args;

	va_start(args, path);
	vsnprintf(name, sizeof(name), path, args);
	va_end(args);
	return !access(name, F_OK);
}

/* Run a command without its output; its exit status, or -errno */
static int run(const char *const argv[])
{
	int status, null;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int load_module(const char *name)
{
	const char *const argv[] = { "modprobe", name, NULL };

	return run(argv);
}

int unload_module(const char *name)
{
	const char *const argv[] = { "modprobe", "-r", name, NULL };

	return run(argv);
}

void load_modules(void)
{
	const char *const argv[] = {
		"modprobe", "-a", USER_DRIVER, "vfio_iommu_type1", "iommufd",
		STUB_DRIVER, KERNEL_DRIVER, NIC_DRIVER, NULL
	};

	/* modprobe may live where only the path of root leads */
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	run(argv);
}

int link_number(const char *path)
{
	char link[PATH_MAX];
	ssize_t len;

	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = '\0';
	return atoi(strrchr(link, '/') + 1);
}

int dev_group(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/devices/%s/iommu_group", bdf);
	return link_number(path);
}

bool dev_config(const struct pdev *pdev, unsigned int offset, __u32 *value)
{
	char path[PATH_MAX];
	bool done;
	int fd;

	*value = 0;
	snprintf(path, sizeof(path), PCI "/devices/%s/config", pdev->bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	done = pread(fd, value, sizeof(*value), offset) == sizeof(*value);
	close(fd);
	if (!done)
		*value = 0;
	return done;
}

int dev_config_write(const struct pdev *pdev, unsigned int offset,
		     const void *value, size_t size)
{
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), PCI "/devices/%s/config", pdev->bdf);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	ret = pwrite(fd, value, size, offset) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int dev_command(const struct pdev *pdev, __u16 command)
{
	return dev_config_write(pdev, PCI_COMMAND, &command, sizeof(command));
}

/* The bridges of QEMU have the vendor of Red Hat */
bool dev_is_below(const char *bdf, const char *parent)
{
	char buf[16];

	return !get(buf, sizeof(buf), PCI "/devices/%s/../vendor", bdf) &&
	       !strncmp(buf, "0x1b36", 6) &&
	       !get(buf, sizeof(buf), PCI "/devices/%s/../device", bdf) &&
	       !strncmp(buf, parent, strlen(parent));
}

static bool dev_has_id(const char *bdf, const char *vendor, const char *device)
{
	char buf[16];

	return !get(buf, sizeof(buf), PCI "/devices/%s/vendor", bdf) &&
	       !strncmp(buf, vendor, strlen(vendor)) &&
	       !get(buf, sizeof(buf), PCI "/devices/%s/device", bdf) &&
	       !strncmp(buf, device, strlen(device));
}

/* Number of devices in a group; @found is the first that has this id */
static unsigned int group_find(int group, const char *vendor,
			       const char *device, struct pdev *found)
{
	struct dirent *entry;
	char path[PATH_MAX];
	unsigned int n = 0;
	DIR *dir;

	found->bdf[0] = '\0';
	snprintf(path, sizeof(path), GROUPS "/%d/devices", group);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		if (found->bdf[0] || !dev_has_id(entry->d_name, vendor, device))
			continue;
		snprintf(found->bdf, sizeof(found->bdf), "%.15s",
			 entry->d_name);
		found->group = group;
	}
	closedir(dir);
	return n;
}

struct pci_id {
	const char *vendor;
	const char *device;
};

static const struct pci_id edu_id = { "0x1234", "0x11e8" };
static const struct pci_id nic_id = { "0x8086", "0x100e" };
static const struct pci_id port_id = { "0x1b36", "0x000c" };

/*
 * Where ACPI (VIOT, IORT) or a device tree names the IOMMU of a device, the
 * device gets its group with its first driver, not before.
 */
static void make_groups(const struct pci_id *id)
{
	struct pdev pdev = {};
	struct dirent *entry;
	DIR *dir;

	/* No IOMMU at all */
	if (!exists(GROUPS "/0"))
		return;
	dir = opendir(PCI "/devices");
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!dev_has_id(entry->d_name, id->vendor, id->device) ||
		    dev_group(entry->d_name) >= 0)
			continue;
		snprintf(pdev.bdf, sizeof(pdev.bdf), "%.15s", entry->d_name);
		driver_bind(&pdev, STUB_DRIVER);
		driver_clear(&pdev);
	}
	closedir(dir);
}

/* A group with a device of @id that is alone, or with one of @mate_id */
static bool find_group(const struct pci_id *id, const struct pci_id *mate_id,
		       struct pdev *pdev, struct pdev *mate)
{
	struct dirent *entry;
	bool found = false;
	unsigned int n;
	DIR *dir;

	make_groups(id);
	if (mate_id)
		make_groups(mate_id);
	dir = opendir(GROUPS);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		n = group_find(atoi(entry->d_name), id->vendor, id->device,
			       pdev);
		if (!pdev->bdf[0])
			continue;
		if (!mate_id) {
			found = n == 1;
			continue;
		}
		group_find(pdev->group, mate_id->vendor, mate_id->device, mate);
		found = mate->bdf[0];
	}
	closedir(dir);
	return found;
}

bool find_alone(struct pdev *pdev, const char *vendor, const char *device)
{
	const struct pci_id id = { vendor, device };

	return find_group(&id, NULL, pdev, NULL);
}

bool find_edu(struct pdev *edu)
{
	return find_group(&edu_id, NULL, edu, NULL);
}

bool find_shared(struct pdev *edu, struct pdev *nic)
{
	return find_group(&edu_id, &nic_id, edu, nic);
}

bool find_edu_below_port(struct pdev *edu)
{
	struct pdev port;

	return find_group(&edu_id, &port_id, edu, &port);
}

static bool find_id(const char *vendor, const char *device, int order,
		    struct pdev *found)
{
	struct dirent *entry;
	DIR *dir;

	found->bdf[0] = '\0';
	dir = opendir(PCI "/devices");
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (!dev_has_id(entry->d_name, vendor, device) ||
		    (found->bdf[0] &&
		     strcmp(entry->d_name, found->bdf) * order < 0))
			continue;
		snprintf(found->bdf, sizeof(found->bdf), "%.15s",
			 entry->d_name);
	}
	closedir(dir);
	found->group = dev_group(found->bdf);
	return found->bdf[0];
}

bool find_device(const char *vendor, const char *device, struct pdev *found)
{
	return find_id(vendor, device, -1, found);
}

bool find_device_last(const char *vendor, const char *device,
		      struct pdev *found)
{
	return find_id(vendor, device, 1, found);
}

static bool driver_get(const struct pdev *pdev, char *name, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/devices/%s/driver", pdev->bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = '\0';
	snprintf(name, size, "%s", strrchr(link, '/') + 1);
	return true;
}

bool driver_is(const struct pdev *pdev, const char *driver)
{
	char name[64];

	if (!driver_get(pdev, name, sizeof(name)))
		return !driver;
	return driver && !strcmp(name, driver);
}

int driver_unbind(const struct pdev *pdev)
{
	if (driver_is(pdev, NULL))
		return 0;
	return put(pdev->bdf, PCI "/devices/%s/driver/unbind", pdev->bdf);
}

int driver_bind(const struct pdev *pdev, const char *driver)
{
	int ret;

	if (driver_is(pdev, driver))
		return 0;
	ret = driver_unbind(pdev);
	if (!ret)
		ret = put(driver, PCI "/devices/%s/driver_override", pdev->bdf);
	if (!ret)
		ret = put(pdev->bdf, PCI "/drivers/%s/bind", driver);
	return ret;
}

void driver_clear(const struct pdev *pdev)
{
	driver_unbind(pdev);
	put("\n", PCI "/devices/%s/driver_override", pdev->bdf);
}

int uio_open(const struct pdev *pdev)
{
	char path[64];

	/* Numbers begin at 0, and there are few */
	for (int n = 0; n < 8; n++) {
		if (!exists(PCI "/devices/%s/uio/uio%d", pdev->bdf, n))
			continue;
		snprintf(path, sizeof(path), "/dev/uio%d", n);
		return open(path, O_RDWR);
	}
	return -1;
}

static const char *const lockdown_levels[LOCKDOWN_LEVELS] = {
	"none", "integrity", "confidentiality"
};

int lockdown_level(void)
{
	char buf[128], name[32];
	int ret;

	if (!exists(SECURITYFS "/lockdown"))
		mount("securityfs", SECURITYFS, "securityfs", 0, NULL);
	ret = get(buf, sizeof(buf), SECURITYFS "/lockdown");
	if (ret)
		return ret;
	for (int i = 0; i < LOCKDOWN_LEVELS; i++) {
		snprintf(name, sizeof(name), "[%s]", lockdown_levels[i]);
		if (strstr(buf, name))
			return i;
	}
	return -EINVAL;
}

int lockdown_raise(enum lockdown level)
{
	if (lockdown_level() == (int)level)
		return 0;
	return put(lockdown_levels[level], SECURITYFS "/lockdown");
}

int owner_get(int group, const char *attr, char *buf, size_t size)
{
	int ret = get(buf, size, GROUPS "/%d/owner/%s", group, attr);
	size_t len = strlen(buf);

	if (len && buf[len - 1] == '\n')
		buf[len - 1] = '\0';
	return ret;
}

bool state_is(int group, const char *state)
{
	char buf[64];

	return !owner_get(group, "state", buf, sizeof(buf)) &&
	       !strcmp(buf, state);
}

bool state_becomes(int group, const char *state)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!state_is(group, state) && now_ms() < end)
		nap(10);
	return state_is(group, state);
}

__u64 generation(int group)
{
	char buf[64];

	if (owner_get(group, "generation", buf, sizeof(buf)))
		return 0;
	return strtoull(buf, NULL, 10);
}

int trust_set(int group, const char *trust)
{
	return put(trust, GROUPS "/%d/owner/trust", group);
}

bool trust_is(int group, const char *trust)
{
	char buf[32];

	return !owner_get(group, "trust", buf, sizeof(buf)) &&
	       !strcmp(buf, trust);
}

int clear_quarantine(int group)
{
	return put("clear", GROUPS "/%d/owner/quarantine", group);
}

int fail_reset(int error)
{
	char result[32];
	int ret = put(RESET, FAIL "/inject");

	snprintf(result, sizeof(result), "0x%llx", -(long long)error);
	if (!ret)
		ret = put(result, FAIL "/" RESET "/retval");
	if (!ret)
		ret = put("0", FAIL "/verbose");
	if (!ret)
		ret = put("-1", FAIL "/times");
	if (!ret)
		ret = put("100", FAIL "/probability");
	return ret;
}

void let_reset(void)
{
	put("0", FAIL "/probability");
	put("\n", FAIL "/inject");
}

int gate_set(const char *mode)
{
	return put(mode, GATE);
}

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static bool has_all(const char *text, va_list args)
{
	const char *needle;
	va_list copy;
	bool all = true;

	va_copy(copy, args);
	while (all && (needle = va_arg(copy, const char *)))
		all = strstr(text, needle);
	va_end(copy);
	return all;
}

bool klog_find_all(int fd, ...)
{
	__u64 end = now_ms() + 2000;
	bool found = false;
	char line[4096];
	va_list args;
	ssize_t len;

	va_start(args, fd);
	while (!found && now_ms() < end) {
		len = read(fd, line, sizeof(line) - 1);
		/* EPIPE: the oldest lines were overwritten */
		if (len < 0 && errno != EAGAIN && errno != EPIPE)
			break;
		if (len < 0) {
			nap(20);
			continue;
		}
		line[len] = '\0';
		found = has_all(line, args);
	}
	va_end(args);
	return found;
}

void klog_recover(void)
{
	/* DEFAULT_RATELIMIT_INTERVAL is 5 s */
	nap(5500);
}

bool klog_limited(int group)
{
	if (!exists(GROUPS "/%d/owner", group))
		return false;
	klog_recover();
	return true;
}

bool trace_there(void)
{
	return exists("/sys/kernel/tracing/instances") &&
	       lockdown_level() != CONFIDENTIALITY;
}

int trace_start(const char *event)
{
	int ret;

	if (mkdir(TRACING, 0700) && errno != EEXIST)
		return -errno;
	ret = put("1", TRACING "/events/iommu_owner/%s/enable", event);
	if (!ret)
		ret = put("\n", TRACING "/trace");
	return ret;
}

bool trace_find_all(const char *event, ...)
{
	bool found = false;
	char line[1024];
	va_list args;
	FILE *file;

	file = fopen(TRACING "/trace", "r");
	if (!file)
		return false;
	va_start(args, event);
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, event) && has_all(line, args);
	va_end(args);
	fclose(file);
	return found;
}

void trace_stop(void)
{
	put("0", TRACING "/events/enable");
	rmdir(TRACING);
}

bool exited(pid_t pid, unsigned int ms)
{
	__u64 end = now_ms() + ms;
	siginfo_t info;

	do {
		info.si_pid = 0;
		if (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT))
			return true;
		if (info.si_pid)
			return true;
		nap(10);
	} while (now_ms() < end);
	return false;
}

pid_t put_async(const char *value, const char *path)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-put_path(value, path));
	return pid;
}

unsigned char *page_alloc(int fill)
{
	size_t size = sysconf(_SC_PAGESIZE);
	unsigned char *page;

	page = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	mlock(page, size);
	memset(page, fill, size);
	return page;
}

bool page_is(const unsigned char *page, int fill)
{
	for (unsigned int i = 0; i < EDU_LEN; i++)
		if (__atomic_load_n(&page[i], __ATOMIC_RELAXED) != fill)
			return false;
	return true;
}

__u64 page_physical(const unsigned char *page)
{
	size_t size = sysconf(_SC_PAGESIZE);
	__u64 entry = 0;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (uintptr_t)page / size * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	/* Bit 63: present; bits 0-54: page frame */
	if (!(entry >> 63))
		return 0;
	return (entry & ((1ULL << 55) - 1)) * size;
}

bool monitor_there(void)
{
	return !access(MONITOR, F_OK);
}

static int monitor_answer(int fd, char *buf, size_t size)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	__u64 end = now_ms() + WAIT_MS;
	size_t have = 0;
	ssize_t len;

	while (now_ms() < end && have < size - 1) {
		if (poll(&pollfd, 1, 100) <= 0)
			continue;
		len = read(fd, buf + have, size - 1 - have);
		if (len <= 0) {
			nap(20);
			continue;
		}
		have += len;
		buf[have] = '\0';
		if (buf[have - 1] != '\n')
			continue;
		if (strstr(buf, "\"return\""))
			return 0;
		/* Negotiated by somebody before */
		if (strstr(buf, "CommandNotFound"))
			return 0;
		if (strstr(buf, "\"error\""))
			return -EIO;
	}
	return -ETIMEDOUT;
}

static int monitor_command(int fd, const char *command, const char *arguments,
			   char *answer, size_t size)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"execute\":\"%s\",\"arguments\":{%s}}\n",
		 command, arguments);
	if (write(fd, text, strlen(text)) < 0)
		return -errno;
	return monitor_answer(fd, answer, size);
}

static int monitor_answer_to(const char *command, const char *arguments,
			     char *answer, size_t size)
{
	int fd, ret;

	/* One user at a time */
	for (unsigned int i = 0; i < 50; i++) {
		fd = open(MONITOR, O_RDWR | O_NONBLOCK);
		if (fd >= 0)
			break;
		nap(100);
	}
	if (fd < 0)
		return -errno;
	ret = monitor_command(fd, "qmp_capabilities", "", answer, size);
	if (!ret)
		ret = monitor_command(fd, command, arguments, answer, size);
	close(fd);
	return ret;
}

int monitor_ask(const char *command, const char *arguments)
{
	char answer[8192];

	return monitor_answer_to(command, arguments, answer, sizeof(answer));
}

int monitor_number(const char *arguments, __u64 *number)
{
	char answer[8192];
	int ret = monitor_answer_to("qom-get", arguments, answer,
				    sizeof(answer));

	if (ret)
		return ret;
	if (sscanf(strstr(answer, "\"return\""), "\"return\": %llu", number) != 1)
		return -EINVAL;
	return 0;
}

static int monitor_device(const char *id)
{
	char arguments[128];

	snprintf(arguments, sizeof(arguments),
		 "'path':'/machine/peripheral/%s','property':'type'", id);
	return monitor_ask("qom-get", arguments);
}

bool monitor_gone_now(const char *id)
{
	return monitor_device(id) == -EIO;
}

bool monitor_gone(const char *id)
{
	__u64 end = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = monitor_device(id);
		if (ret)
			return ret == -EIO;
		nap(20);
	} while (now_ms() < end);
	return false;
}
