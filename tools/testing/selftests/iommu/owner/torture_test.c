// SPDX-License-Identifier: GPL-2.0
/*
 * Race torture: processes that claim, release, reserve, revoke, are killed, bind
 * and unbind drivers, hot-plug devices and add files to VMs, all at the same time
 * on the same two groups
 *
 * Each operation may succeed or fail, but only with an errno that is documented
 * for it. Who has a group for itself must be the only one. When all is over the
 * groups are the kernel's, drivers bind, and the devices do DMA. What the kernel
 * reports about itself meanwhile is checked by the caller.
 *
 * With IOMMU_OWNER_SLOW in the environment, operations may take longer than a revoke
 * waits for them: it may time out, and the groups must then end by themselves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "owner_kvm.h"
#include "owner_lib.h"
#include "owner_park.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define IOVA		0x10000000ULL
#define SECONDS		60
#define MORE_SECONDS	300
#define ERRORS		160
#define DEVICES		3

/*
 * What is done, and the errors that it may end with beside success, its own and
 * those of the operations that it consists of. The owner may be revoked, and
 * the device be removed, at any moment.
 */
#define MAX_ALLOWED	8
#define STEP(op)	(1ULL << (op))

enum op {
	OP_OPEN, OP_CLAIM, OP_ATTACH, OP_MAP, OP_UNMAP, OP_INFO, OP_RESET,
	OP_CONFIG, OP_IRQ, OP_BAR, OP_DMA, OP_STATUS, OP_CLOSE, OP_KILL,
	OP_CREATE, OP_GET_TOKEN, OP_DUP, OP_GET_INFO, OP_CHECK, OP_RESERVE,
	OP_RELEASE, OP_REVOKE, OP_USE, OP_READ, OP_BIND, OP_UNBIND, OP_REMOVE,
	OP_RESCAN, OP_UNPLUG, OP_PLUG, OP_VM_ADD, OP_VM_DEL, OP_LOOK,
	OP_SECOND, OP_REOPEN, OP_SWITCH, OP_OTHER_PATH, OP_PEER, OP_HANG,
	OP_COUNT,
};

static const struct {
	const char *name;
	int allowed[MAX_ALLOWED];
	unsigned long long steps;
} ops[OP_COUNT] = {
	[OP_OPEN] = { "open", { ENOENT, ENODEV, ENXIO, EBUSY } },
	[OP_CLAIM] = {
		"claim", { EPERM, EBUSY, ENODEV, EINVAL, EAGAIN, ESTALE }
	},
	[OP_ATTACH] = { "attach", { EBUSY, ENODEV, EINVAL, EAGAIN, ESTALE } },
	[OP_MAP] = { "map", { EEXIST, EADDRINUSE, ESTALE } },
	[OP_UNMAP] = { "unmap", { ENOENT, ESTALE } },
	[OP_INFO] = { "device info", { ESTALE } },
	[OP_RESET] = { "device reset", { EINVAL, EAGAIN, ESTALE } },
	[OP_CONFIG] = { "config read", { ESTALE } },
	[OP_IRQ] = { "interrupts", { ESTALE } },
	[OP_BAR] = { "map the BAR", { ESTALE } },
	[OP_DMA] = { "DMA", { EFAULT } },
	[OP_STATUS] = { "group status", { ENODEV, ESTALE } },
	[OP_CLOSE] = { "close" },
	[OP_KILL] = { "kill -9" },
	[OP_CREATE] = { "create" },
	[OP_GET_TOKEN] = { "get token", { ESTALE, EPERM } },
	[OP_DUP] = { "dup", { ESTALE } },
	[OP_GET_INFO] = { "info", { EMSGSIZE } },
	[OP_CHECK] = { "check", { EMSGSIZE, ENODEV, ESTALE } },
	[OP_RESERVE] = { "reserve", { EBUSY, ENODEV, ESTALE } },
	[OP_RELEASE] = { "release", { ENOENT, ESTALE } },
	[OP_REVOKE] = { "revoke" },
	[OP_USE] = { "use", { EBUSY, ESTALE } },
	[OP_READ] = { "read events", { EAGAIN } },
	[OP_BIND] = { "bind", { EBUSY, ENODEV, ENOENT, EAGAIN } },
	[OP_UNBIND] = { "unbind", { ENODEV, ENOENT } },
	[OP_REMOVE] = { "remove", { ENOENT, ENODEV } },
	[OP_RESCAN] = { "rescan" },
	[OP_UNPLUG] = { "unplug", { EIO } },
	[OP_PLUG] = { "plug", { EIO } },
	[OP_VM_ADD] = { "VM add", { EBUSY, EEXIST, ESTALE } },
	[OP_VM_DEL] = { "VM del", { ENOENT } },
	[OP_LOOK] = { "look at sysfs", { ENOENT, ENODEV } },
	[OP_SECOND] = { "second device file", { ENODEV, EBUSY, EINVAL, ESTALE } },
	[OP_REOPEN] = {
		.name = "open again",
		.steps = STEP(OP_OPEN) | STEP(OP_CLAIM) | STEP(OP_ATTACH) |
			 STEP(OP_SECOND),
	},
	[OP_SWITCH] = { "change the owner", { EINVAL }, STEP(OP_USE) },
	[OP_OTHER_PATH] = {
		.name = "open by the other path",
		.steps = STEP(OP_OPEN) | STEP(OP_CLAIM),
	},
	[OP_PEER] = {
		"map for a peer", { EFAULT }, STEP(OP_BAR) | STEP(OP_MAP)
	},
	[OP_HANG] = { "hang", { EFAULT, ENOENT, ENOTTY, ESTALE } },
};

/* What all processes share */
static struct {
	unsigned int count[OP_COUNT][ERRORS];
	unsigned int strange;	/* errors that are not documented */
	unsigned int draws;	/* groups with two owners */
	unsigned int words;	/* kinds that there are not */
	unsigned int quarantines;
	int holder[2];		/* number of who has the group for itself, or 0 */
	int holds;
	bool stop;
} *shared;

static struct pdev devices[DEVICES];	/* edu alone; edu and e1000 together */
static unsigned char *canary;
static unsigned int seed;
static bool kvm_there;
static bool slow;

static unsigned int draw(unsigned int n)
{
	return rand_r(&seed) / 16 % n;
}

static bool chance(unsigned int percent)
{
	return draw(100) < percent;
}

static void doze(unsigned int ms)
{
	usleep(draw(ms * 1000 + 1));
}

static void __printf(2, 3) complain(unsigned int *counter, const char *what, ...)
{
	char text[256];
	va_list args;

	if (__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST) > 10)
		return;
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	ksft_print_msg("torture: pid %d: %s\n", getpid(), text);
	fflush(stdout);
}

static bool is_allowed(enum op op, int error)
{
	if (slow && op == OP_REVOKE && error == ETIMEDOUT)
		return true;
	for (unsigned int i = 0; i < MAX_ALLOWED; i++)
		if (ops[op].allowed[i] == error)
			return true;
	for (enum op step = 0; step < OP_COUNT; step++)
		if (ops[op].steps & STEP(step) && is_allowed(step, error))
			return true;
	return false;
}

/* Count an operation; @ret is what it returned. */
static int note(enum op op, int ret)
{
	int error = ret < 0 ? -ret : 0;

	if (error >= ERRORS)
		error = ERRORS - 1;
	__atomic_add_fetch(&shared->count[op][error], 1, __ATOMIC_RELAXED);
	if (error && !is_allowed(op, error))
		complain(&shared->strange, "%s: %s", ops[op].name,
			 strerror(error));
	return ret;
}

/* A device, as it is now: it may come back in another group. */
static struct pdev pick(void)
{
	struct pdev pdev = devices[draw(DEVICES)];

	pdev.group = dev_group(pdev.bdf);
	return pdev;
}

static bool is_edu(const struct pdev *pdev)
{
	return strcmp(pdev->bdf, devices[2].bdf);
}

static int *holder_of(const struct pdev *pdev)
{
	return &shared->holder[!!strcmp(pdev->bdf, devices[0].bdf)];
}

/* From a claim that nobody can take away until it is released */
static int begin_alone(const struct pdev *pdev)
{
	int me = __atomic_add_fetch(&shared->holds, 1, __ATOMIC_SEQ_CST);
	int none = 0;

	if (!__atomic_compare_exchange_n(holder_of(pdev), &none, me, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		complain(&shared->draws, "%s has two owners", pdev->bdf);
	return me;
}

static void end_alone(const struct pdev *pdev, int me)
{
	__atomic_compare_exchange_n(holder_of(pdev), &me, 0, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Who had it for himself before and after must not have had it in between. */
static int claim_only(struct vfio *vfio, const struct pdev *pdev)
{
	int before, ret;

	before = __atomic_load_n(holder_of(pdev), __ATOMIC_SEQ_CST);
	ret = note(OP_CLAIM, vfio_claim(vfio, pdev));
	if (!ret && before &&
	    before == __atomic_load_n(holder_of(pdev), __ATOMIC_SEQ_CST))
		complain(&shared->draws, "%s has two owners", pdev->bdf);
	return ret;
}

/* Without the wait of vfio_open() for a node that is not there yet */
static int try_open(struct vfio *vfio, const struct pdev *pdev)
{
	enum vfio_path path = draw(3);

	*vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	if (pdev->group < 0 || !driver_is(pdev, USER_DRIVER) ||
	    (path != PATH_CDEV && !exists("/dev/vfio/%d", pdev->group))) {
		doze(5);
		return note(OP_OPEN, -ENOENT);
	}
	return note(OP_OPEN, vfio_open(vfio, path, pdev));
}

/* The files go in any order. */
static void close_all(struct vfio *vfio)
{
	int *fds[] = { &vfio->container, &vfio->group, &vfio->device };
	unsigned int first = draw(3);

	for (unsigned int i = 0; i < 3; i++) {
		int *fd = fds[(first + i) % 3];

		if (*fd >= 0)
			note(OP_CLOSE, close(*fd) ? -errno : 0);
		*fd = -1;
	}
}

/* Where the memory of the kernel and of others is, if nobody blocks it */
static int dma(void *bar)
{
	return edu_try_write_ram(bar, page_physical(canary));
}

/* One of the things that a user does with his device */
static void use_device(struct vfio *vfio, const struct pdev *pdev, void *page)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	size_t size = sysconf(_SC_PAGESIZE);
	char word[4];
	void *bar;
	int ret;

	switch (draw(9)) {
	case 0:
		note(OP_INFO, call(vfio->device, VFIO_DEVICE_GET_INFO, &info));
		break;
	case 1:
		note(OP_RESET, call(vfio->device, VFIO_DEVICE_RESET, NULL));
		break;
	case 2:
		ret = pread(vfio->device, word, 4, PCI_CONFIG) < 0;
		note(OP_CONFIG, ret ? -errno : 0);
		break;
	case 3:
		ret = note(OP_IRQ, vfio_request_event(vfio));
		if (ret >= 0)
			close(ret);
		break;
	case 4:
	case 5:
		note(OP_MAP, vfio_map(vfio, page, IOVA, size));
		break;
	case 6:
		note(OP_UNMAP, vfio_unmap(vfio, IOVA, size));
		break;
	case 7:
		if (vfio->group >= 0)
			note(OP_STATUS, call(vfio->group, VFIO_GROUP_GET_STATUS,
					     &status));
		break;
	default:
		if (!is_edu(pdev))
			break;
		errno = 0;
		bar = edu_open_vfio(vfio);
		note(OP_BAR, bar ? 0 : -errno);
		if (bar)
			note(OP_DMA, dma(bar));
		edu_close(bar);
	}
}

static bool claim(struct vfio *vfio, const struct pdev *pdev)
{
	return !claim_only(vfio, pdev) &&
	       !note(OP_ATTACH, vfio_attach(vfio, pdev));
}

static void *get_page(void)
{
	static void *page;

	if (!page)
		page = page_alloc(PATTERN);
	return page;
}

/* A user who has the group for itself, until it lets go */
static void squat(void)
{
	struct pdev pdev = pick();
	struct vfio vfio;
	int me;

	if (!try_open(&vfio, &pdev) && !claim_only(&vfio, &pdev)) {
		me = begin_alone(&pdev);
		if (!note(OP_ATTACH, vfio_attach(&vfio, &pdev)))
			for (unsigned int i = draw(6); i; i--)
				use_device(&vfio, &pdev, get_page());
		doze(20);
		end_alone(&pdev, me);
	}
	close_all(&vfio);
}

/* A user who is killed at any point of all this */
static void be_killed(void)
{
	struct pdev pdev;
	struct vfio vfio;
	pid_t pid;

	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = seed * 1103515245 + 12345;
		for (;;) {
			pdev = pick();
			if (!try_open(&vfio, &pdev) &&
			    claim(&vfio, &pdev))
				for (unsigned int i = 0; i < 20; i++)
					use_device(&vfio, &pdev, get_page());
			close_all(&vfio);
			doze(2);
		}
	}
	doze(100);
	note(OP_KILL, kill(pid, SIGKILL) ? -errno : 0);
	waitpid(pid, NULL, 0);
}

static void *revoke_soon(void *arg)
{
	usleep(rand() % 5000);
	note(OP_REVOKE, token_revoke(*(int *)arg));
	return NULL;
}

/* A user whose device is taken away while he uses it */
static void be_revoked(void)
{
	struct pdev pdev = pick();
	pthread_t thread[2];
	struct vfio vfio;
	int token, ret;

	if (!try_open(&vfio, &pdev) && claim(&vfio, &pdev)) {
		ret = vfio_owner_file(&vfio);
		token = note(OP_GET_TOKEN, token_of(ret, FILE_RIGHTS));
		if (token >= 0) {
			if (chance(30))
				note(OP_RESERVE, token_reserve(token, pdev.group));
			for (unsigned int i = 0; i < 2; i++)
				pthread_create(&thread[i], NULL, revoke_soon,
					       &token);
			for (unsigned int i = 0; i < 8; i++)
				use_device(&vfio, &pdev, get_page());
			if (chance(50))
				close_all(&vfio);
			for (unsigned int i = 0; i < 2; i++)
				pthread_join(thread[i], NULL);
			doze(20);
			close(token);
		}
	}
	close_all(&vfio);
}

static int get_device(int group, const struct pdev *pdev)
{
	return call(group, VFIO_GROUP_GET_DEVICE_FD, (void *)pdev->bdf);
}

/* The group is closed and opened again, for the same container. */
static int reopen(struct vfio *vfio, const struct pdev *pdev)
{
	char path[64];
	int fd, ret;

	close_fd(&vfio->group);
	snprintf(path, sizeof(path), "/dev/vfio/%d", pdev->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	vfio->group = fd;
	ret = call(fd, VFIO_GROUP_SET_CONTAINER, &vfio->container);
	if (ret)
		return ret;
	if (vfio->path == PATH_CONTAINER)
		call(vfio->container, VFIO_SET_IOMMU,
		     (void *)VFIO_TYPE1v2_IOMMU);
	ret = get_device(fd, pdev);
	return ret < 0 ? ret : close(ret);
}

/* Another owner for files of an open device. */
static int switch_owner(struct vfio *vfio)
{
	int token = token_create("other", ALL_RIGHTS);
	int ret;

	if (token < 0)
		return 0;
	if (vfio->group >= 0)
		call(vfio->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	ret = token_use(token, vfio_claimer(vfio));
	if (vfio->group >= 0)
		call(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container);
	close(token);
	return ret;
}

/* The same device by cdev if it is open by its group, and the other way round */
static int open_other_path(const struct vfio *vfio, const struct pdev *pdev)
{
	struct vfio other;
	int ret;

	ret = vfio_open(&other, vfio->path == PATH_CDEV ? PATH_COMPAT :
							  PATH_CDEV, pdev);
	if (ret)
		return ret;
	ret = vfio_claim(&other, pdev);
	vfio_close(&other);
	return ret;
}

/* Registers in the address space of the device itself, as QEMU has them */
static int map_peer(struct vfio *vfio)
{
	void *bar = edu_open_vfio(vfio);
	int ret;

	if (!bar)
		return -ESTALE;
	ret = vfio_map(vfio, bar, 2 * IOVA, sysconf(_SC_PAGESIZE));
	if (!ret && chance(50))
		vfio_unmap(vfio, 2 * IOVA, sysconf(_SC_PAGESIZE));
	edu_close(bar);
	return ret;
}

/* An operation that waits for a page for some time */
static int hang(struct vfio *vfio)
{
	struct parked parked;
	void *page;
	int ret;

	page = parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING);
	if (!page)
		return -ENOENT;
	/* It does not hang if the device has been revoked */
	if (!parked_try(&parked, vfio->device, VFIO_DEVICE_GET_INFO, page, 50))
		doze(50);
	ret = parked_end(&parked);
	munmap(page, sysconf(_SC_PAGESIZE));
	/* A structure of zeroes is too short */
	return ret == -EINVAL ? 0 : ret;
}

/* More than one file of a device, while it is taken away or not */
static void open_again(void)
{
	struct pdev pdev = pick();
	struct vfio vfio;
	int token, file;

	if (try_open(&vfio, &pdev) || !claim(&vfio, &pdev)) {
		close_all(&vfio);
		return;
	}
	token = token_of(vfio_owner_file(&vfio), FILE_RIGHTS);
	for (unsigned int i = 1 + draw(6); i; i--) {
		switch (draw(7)) {
		case 0:
			if (vfio.group < 0)
				break;
			file = note(OP_SECOND, get_device(vfio.group, &pdev));
			if (file >= 0)
				close(file);
			break;
		case 1:
			if (vfio.group >= 0 &&
			    note(OP_REOPEN, reopen(&vfio, &pdev)))
				i = 1;
			break;
		case 2:
			note(OP_SWITCH, switch_owner(&vfio));
			break;
		case 3:
			note(OP_OTHER_PATH, open_other_path(&vfio, &pdev));
			break;
		case 4:
			if (vfio.path == PATH_CONTAINER && is_edu(&pdev))
				note(OP_PEER, map_peer(&vfio));
			break;
		case 5:
			note(OP_HANG, hang(&vfio));
			break;
		default:
			if (token >= 0)
				note(OP_REVOKE, token_revoke(token));
		}
	}
	if (token >= 0)
		close(token);
	close_all(&vfio);
}

static int look(int token)
{
	struct iommu_owner_group_info groups[4];
	struct iommu_owner_device_info dev[8];
	struct iommu_owner_get_info info = {
		.size = sizeof(info),
		.nr_groups = draw(5), .groups = (uintptr_t)groups,
		.group_size = sizeof(groups[0]),
		.nr_devices = draw(9), .devices = (uintptr_t)dev,
		.device_size = sizeof(dev[0]),
	};

	return call(token, IOMMU_OWNER_GET_INFO, &info);
}

static int check(int token, __u32 *ids, unsigned int n)
{
	struct iommu_owner_device_info dev[8];
	__u32 room = draw(9);

	return token_check(token, ids, n, dev, &room);
}

static int read_events(int token)
{
	struct iommu_owner_event event[8];
	ssize_t ret = read(token, event, sizeof(event));

	return ret < 0 ? -errno : 0;
}

/* One of the things that an orchestrator does with a token */
static void use_token(int token)
{
	struct pdev pdev[2] = { pick(), pick() };
	__u32 ids[2] = { pdev[0].group, pdev[1].group };
	unsigned int n = 1 + draw(2);
	int ret;

	switch (draw(8)) {
	case 0:
		note(OP_GET_INFO, look(token));
		break;
	case 1:
		note(OP_CHECK, check(token, ids, n));
		break;
	case 2:
	case 3:
		note(OP_RESERVE, token_reserve_groups(token, ids, n, NULL));
		break;
	case 4:
		note(OP_RELEASE, token_release(token, ids, draw(3)));
		break;
	case 5:
		note(OP_READ, read_events(token));
		break;
	case 6:
		ret = note(OP_DUP, token_dup(token, 1 + draw(ALL_RIGHTS)));
		if (ret >= 0)
			close(ret);
		break;
	default:
		if (chance(30))
			note(OP_REVOKE, token_revoke(token));
	}
	doze(5);
}

static void vmm(int token)
{
	struct pdev pdev = pick();
	struct vfio vfio;

	if (!try_open(&vfio, &pdev) &&
	    !note(OP_USE, token_use(token, vfio_claimer(&vfio))) &&
	    claim(&vfio, &pdev)) {
		for (unsigned int i = draw(6); i; i--)
			use_device(&vfio, &pdev, get_page());
		doze(20);
	}
	close_all(&vfio);
}

/* Reserve, let VMMs claim, revoke; VMMs are killed, and so is the token */
static void orchestrate(void)
{
	pid_t pid[2];
	int token;

	token = note(OP_CREATE, token_create("torture", ALL_RIGHTS));
	if (token < 0)
		return;
	fcntl(token, F_SETFL, O_NONBLOCK);
	for (unsigned int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			seed = seed * 1103515245 + 12345 + i;
			for (;;)
				vmm(token);
		}
	}
	for (unsigned int i = draw(20); i; i--)
		use_token(token);
	if (chance(50))
		close(token);
	for (unsigned int i = 0; i < 2; i++) {
		note(OP_KILL, kill(pid[i], SIGKILL) ? -errno : 0);
		waitpid(pid[i], NULL, 0);
	}
	close(token);
}

static void change_driver(const struct pdev *pdev, const char *driver)
{
	if (!driver_is(pdev, NULL))
		note(OP_UNBIND, put(pdev->bdf, PCI "/devices/%s/driver/unbind",
				    pdev->bdf));
	put(driver, PCI "/devices/%s/driver_override", pdev->bdf);
	note(OP_BIND, put(pdev->bdf, PCI "/drivers/%s/bind", driver));
}

/* Any driver comes and goes; but most of the time VFIO has the devices. */
static void bind_any(void)
{
	static const char *const drivers[] = {
		USER_DRIVER, KERNEL_DRIVER, STUB_DRIVER, NIC_DRIVER,
	};
	struct pdev pdev = pick();

	doze(20);
	if (pdev.group < 0)
		return;
	if (!driver_is(&pdev, USER_DRIVER))
		change_driver(&pdev, USER_DRIVER);
	else if (chance(5))
		change_driver(&pdev, drivers[draw(is_edu(&pdev) ? 3 : 4)]);
}

static bool unplugged(const char *id)
{
	for (unsigned int i = 0; i < (slow ? 10 : 1); i++)
		if (monitor_gone(id))
			return true;
	return false;
}

/* QEMU takes a device and gives a new one. */
static void plug_monitor(bool edu)
{
	const char *id = edu ? "edu1" : "e1000a";
	char arguments[64];
	int ret;

	snprintf(arguments, sizeof(arguments), "'id':'%s'", id);
	ret = monitor_ask("device_del", arguments);
	if (!ret && !unplugged(id))
		ret = -ETIMEDOUT;
	if (!note(OP_UNPLUG, ret))
		note(OP_PLUG, monitor_ask("device_add", edu ? EDU_IN_BRIDGE :
							      NIC_IN_BRIDGE));
}

static void plug_any(void)
{
	unsigned int which = draw(DEVICES);
	static unsigned int turn;

	doze(2000);
	if (turn++ % 4 == 0) {
		plug_monitor(chance(50));
		return;
	}
	note(OP_REMOVE, put("1", PCI "/devices/%s/remove", devices[which].bdf));
	doze(20);
	note(OP_RESCAN, put("1", PCI "/rescan"));
}

/*
 * The reset of a bus, which VFIO tries when it closes the last device, locks
 * those that are on the bus and unlocks those that are there by then. So
 * nothing is plugged but beside a device that VFIO does not have.
 */
static bool drop_anchor(struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	*pdev = devices[2];
	snprintf(strrchr(pdev->bdf, ':'), 6, ":03.0");
	if (monitor_ask("device_add",
			"'driver':'e1000','id':'anchor','bus':'bridge0','addr':'3.0'"))
		return false;
	while (driver_bind(pdev, STUB_DRIVER) && now_ms() < end) {
		put("1", PCI "/rescan");
		nap(200);
	}
	return driver_is(pdev, STUB_DRIVER) &&
	       dev_group(pdev->bdf) == devices[2].group;
}

static bool weigh_anchor(void)
{
	return !monitor_ask("device_del", "'id':'anchor'") &&
	       monitor_gone("anchor");
}

/* Two VMs that want the same device */
static void run_vms(void)
{
	struct pdev pdev = pick();
	int fd, token = -1;
	struct vfio vfio;
	struct vm vm[2];

	for (unsigned int i = 0; i < 2; i++)
		vm_open(&vm[i]);
	if (!try_open(&vfio, &pdev)) {
		fd = vfio_claimer(&vfio);
		if (chance(50))
			note(OP_VM_ADD, vm_add(&vm[draw(2)], fd));
		if (claim(&vfio, &pdev)) {
			token = note(OP_GET_TOKEN,
				     token_of(vfio_owner_file(&vfio),
					      FILE_RIGHTS));
			for (unsigned int i = 1 + draw(8); i; i--) {
				int file[] = { fd, vfio.device };
				unsigned int v = draw(2), f = draw(2);

				note(OP_VM_ADD, vm_add(&vm[v], file[f]));
				/* What was added, or what may not be there */
				if (chance(50))
					f = draw(2);
				note(OP_VM_DEL, vm_del(&vm[v], file[f]));
				if (token >= 0 && chance(10))
					note(OP_REVOKE, token_revoke(token));
			}
		}
	}
	if (chance(50))
		close_all(&vfio);
	for (unsigned int i = 0; i < 2; i++)
		vm_close(&vm[i]);
	if (token >= 0)
		close(token);
	close_all(&vfio);
}

static bool is_state(const char *state)
{
	static const char *const states[] = {
		"kernel", "private", "user", "reserved", "ending",
		"quarantine",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++)
		if (!strcmp(state, states[i]))
			return true;
	return false;
}

/*
 * A quarantine that waits for a lock or, on a slow machine, for an operation ends by
 * itself; any other is a failure.
 */
static void check_quarantine(int group)
{
	char why[128];

	if (owner_get(group, "quarantine", why, sizeof(why)) || !*why ||
	    strstr(why, "has to wait") ||
	    (slow && strstr(why, "may still have access")))
		return;
	complain(&shared->quarantines, "group %d: %s", group, why);
	clear_quarantine(group);
}

static void watch_sysfs(void)
{
	static const char *const attrs[] = {
		"state", "holder", "generation", "blockers",
	};
	struct pdev pdev = pick();
	char text[4096];

	for (unsigned int i = 0; i < ARRAY_SIZE(attrs) && pdev.group >= 0; i++) {
		if (note(OP_LOOK, owner_get(pdev.group, attrs[i], text,
					    sizeof(text))) || i)
			continue;
		if (!is_state(text))
			complain(&shared->words, "group %d: state \"%s\"",
				 pdev.group, text);
		if (!strcmp(text, "quarantine"))
			check_quarantine(pdev.group);
	}
	doze(5);
}

/* Who works, and how many of them */
static const struct {
	void (*work)(void);
	const char *name;
	unsigned int count;
} workers[] = {
	{ squat,	"squat",	2 },
	{ be_killed,	"be_killed",	1 },
	{ be_revoked,	"be_revoked",	2 },
	{ open_again,	"open_again",	2 },
	{ orchestrate,	"orchestrate",	1 },
	{ bind_any,	"bind_any",	2 },
	{ plug_any,	"plug_any",	1 },
	{ run_vms,	"run_vms",	1 },
	{ watch_sysfs,	"watch_sysfs",	1 },
};

#define MAX_WORKERS	16

static pid_t start_worker(unsigned int kind, unsigned int number)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, workers[kind].name);
	seed += 1000 * number;
	srand(seed);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_SEQ_CST))
		workers[kind].work();
	_exit(0);
}

static bool tried(enum op op)
{
	for (unsigned int e = 0; e < ERRORS; e++)
		if (shared->count[op][e])
			return true;
	return false;
}

/* All must have succeeded at least once, or it tortured nothing. */
static bool all_done(bool print)
{
	bool ret = true;

	for (unsigned int op = 0; op < OP_COUNT; op++) {
		if (shared->count[op][0])
			continue;
		/* The devices may have no reset */
		if (op == OP_RESET)
			continue;
		/* Refused unless the device has been revoked before */
		if ((op == OP_OTHER_PATH || op == OP_SWITCH) && tried(op))
			continue;
		if ((op == OP_VM_ADD || op == OP_VM_DEL) && !kvm_there)
			continue;
		if (print)
			ksft_print_msg("torture: never: %s\n", ops[op].name);
		ret = false;
	}
	return ret;
}

/* Return whether all have ended when they were asked to. */
static bool run(unsigned int seconds, bool plug)
{
	struct { pid_t pid; const char *name; } running[MAX_WORKERS];
	unsigned int n = 0;
	bool ret = true;
	char stack[2048];
	int status;

	shared->stop = false;
	for (unsigned int i = 0; i < ARRAY_SIZE(workers); i++) {
		if ((workers[i].work == plug_any && !plug) ||
		    (workers[i].work == run_vms && !kvm_there))
			continue;
		for (unsigned int j = 0; j < workers[i].count; j++) {
			running[n].pid = start_worker(i, n);
			running[n++].name = workers[i].name;
		}
	}
	while (seconds--)
		sleep(1);
	/* A slow machine gets more time for what is rare */
	for (unsigned int i = 0; plug && i < MORE_SECONDS && !all_done(false); i++)
		sleep(1);
	__atomic_store_n(&shared->stop, true, __ATOMIC_SEQ_CST);

	for (unsigned int i = 0; i < n; i++) {
		if (exited(running[i].pid, 2 * WAIT_MS)) {
			waitpid(running[i].pid, &status, 0);
			if (!status)
				continue;
			ksft_print_msg("torture: %s: status %x\n",
				       running[i].name, status);
		} else {
			get(stack, sizeof(stack), "/proc/%d/stack",
			    running[i].pid);
			ksft_print_msg("torture: %s does not end:\n%s",
				       running[i].name, stack);
		}
		ret = false;
	}
	return ret;
}

static void print_counts(void)
{
	char line[512];
	size_t len;

	for (unsigned int op = 0; op < OP_COUNT; op++) {
		len = snprintf(line, sizeof(line), "%u ok",
			       shared->count[op][0]);
		for (unsigned int e = 1; e < ERRORS; e++) {
			if (!shared->count[op][e] || len >= sizeof(line))
				continue;
			len += snprintf(line + len, sizeof(line) - len,
					", %u %s", shared->count[op][e],
					strerrorname_np(e) ?: "other");
		}
		ksft_print_msg("torture: %s: %s\n", ops[op].name, line);
	}
}

static unsigned int total(bool failed)
{
	unsigned int sum = 0;

	for (unsigned int op = 0; op < OP_COUNT; op++)
		for (unsigned int e = failed; e < (failed ? ERRORS : 1); e++)
			sum += shared->count[op][e];
	return sum;
}

static bool all_there(void)
{
	__u64 end = now_ms() + WAIT_MS;
	unsigned int n;

	do {
		put("1", PCI "/rescan");
		n = 0;
		for (unsigned int i = 0; i < DEVICES; i++) {
			devices[i].group = dev_group(devices[i].bdf);
			n += devices[i].group >= 0;
		}
		if (n == DEVICES)
			return true;
		nap(200);
	} while (now_ms() < end);
	return false;
}

static bool groups_are_kernels(void)
{
	__u64 end = now_ms() + WAIT_MS;
	char state[64];
	bool ret = true;

	for (unsigned int i = 0; i < DEVICES; i++) {
		int group = devices[i].group;

		/* A quarantine that has to wait ends when the group is wanted */
		while (!state_is(group, "kernel") && now_ms() < end) {
			driver_clear(&devices[i]);
			driver_bind(&devices[i], KERNEL_DRIVER);
			nap(100);
		}
		owner_get(group, "state", state, sizeof(state));
		if (!strcmp(state, "kernel"))
			continue;
		ret = false;
		ksft_print_msg("torture: group %d is %s\n", group, state);
		get(state, sizeof(state), GROUPS "/%d/owner/holder", group);
		ksft_print_msg("torture: holder %s", state);
	}
	return ret;
}

static bool drivers_bind(void)
{
	bool ret = true;
	int err;

	for (unsigned int i = 0; i < DEVICES; i++) {
		driver_clear(&devices[i]);
		err = driver_bind(&devices[i],
				  i == 2 ? NIC_DRIVER : KERNEL_DRIVER);
		if (err)
			ksft_print_msg("torture: bind of %s: %s\n",
				       devices[i].bdf, strerror(-err));
		ret &= !err;
		driver_clear(&devices[i]);
	}
	return ret;
}

/* Each edu device reads and writes through each path. */
static bool dma_works(void)
{
	size_t size = sysconf(_SC_PAGESIZE);
	struct vfio vfio;
	int ret = 0;
	void *bar;

	for (unsigned int i = 0; i < 2 && !ret; i++) {
		unsigned char *from = page_alloc(PATTERN);
		unsigned char *to = page_alloc(CANARY);

		ret = driver_bind(&devices[i], USER_DRIVER);
		if (!ret)
			ret = vfio_start(&vfio, i ? PATH_CDEV : PATH_CONTAINER,
					 &devices[i]);
		if (ret)
			break;
		bar = edu_open_vfio(&vfio);
		ret = vfio_map(&vfio, from, IOVA, size);
		if (!ret)
			ret = vfio_map(&vfio, to, IOVA + size, size);
		if (!bar || ret || edu_read_ram(bar, IOVA) ||
		    edu_write_ram(bar, IOVA + size) || !page_is(to, PATTERN))
			ret = ret ?: -EIO;
		edu_close(bar);
		vfio_close(&vfio);
		driver_clear(&devices[i]);
	}
	if (ret)
		ksft_print_msg("torture: DMA: %s\n", strerror(-ret));
	return !ret;
}

static void print_usage(const char *name)
{
	printf("usage: %s [SECONDS [SEED]]\n"
	       "Without SECONDS as long as IOMMU_OWNER_TORTURE in the environment says, else\n"
	       "%u. With the same SEED the processes draw the same lots.\n",
	       name, SECONDS);
	exit(KSFT_PASS);
}

static void prepare(void)
{
	load_modules();
	load_kvm();
	kvm_there = !access("/dev/kvm", R_OK | W_OK);
	if (access(TOKEN_DEVICE, F_OK))
		ksft_exit_skip(NO_TOKENS "\n");
	if (!find_edu(&devices[0]))
		ksft_exit_skip(NO_EDU "\n");
	if (!find_shared(&devices[1], &devices[2]))
		ksft_exit_skip(NO_SHARED "\n");
	if (!monitor_there())
		ksft_exit_skip(NO_MONITOR "\n");
	if (!kvm_there)
		ksft_print_msg("torture: " NO_KVM "\n");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	canary = page_alloc(CANARY);
	if (shared == MAP_FAILED || !canary)
		ksft_exit_fail_msg("no memory\n");
	for (unsigned int i = 0; i < DEVICES; i++)
		if (driver_bind(&devices[i], USER_DRIVER))
			ksft_exit_fail_msg("cannot bind %s\n", devices[i].bdf);
}

int main(int argc, char **argv)
{
	const char *text = getenv("IOMMU_OWNER_TORTURE");
	bool ends, anchored;
	struct pdev pdev;
	unsigned int seconds;

	if (argc > 1 && argv[1][0] == '-')
		print_usage(argv[0]);
	if (argc > 1)
		text = argv[1];
	seconds = text ? strtoul(text, NULL, 10) : SECONDS;
	seed = argc > 2 ? strtoul(argv[2], NULL, 10) : getpid() ^ now_ms();

	slow = getenv("IOMMU_OWNER_SLOW");

	ksft_print_header();
	prepare();
	ksft_set_plan(10);
	ksft_print_msg("torture: %u seconds, seed %u\n", seconds, seed);
	fflush(stdout);

	ends = run(seconds - seconds / 2, false);
	anchored = drop_anchor(&pdev);
	if (anchored)
		ends &= run(seconds / 2, true);
	print_counts();
	ksft_print_msg("torture: all: %u ok, %u failed as expected\n",
		       total(false), total(true) - shared->strange);
	ksft_test_result(ends, "all_end\n");
	ksft_test_result(anchored && weigh_anchor(), "hotplug\n");
	ksft_test_result(all_done(true), "all_operations_succeed_once\n");
	ksft_test_result(!shared->strange, "errors_are_documented\n");
	ksft_test_result(!shared->draws, "one_owner_at_a_time\n");
	ksft_test_result(!shared->words && !shared->quarantines,
			 "states_are_expected\n");
	ksft_test_result(page_is(canary, CANARY), "canary_lives\n");
	ksft_test_result(all_there() && groups_are_kernels(),
			 "groups_are_the_kernels\n");
	ksft_test_result(drivers_bind(), "drivers_bind\n");
	ksft_test_result(dma_works(), "dma_works\n");
	ksft_finished();
}
