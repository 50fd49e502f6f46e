// SPDX-License-Identifier: GPL-2.0
/* Owning a device from user space, and the edu device, see owner_lib.h */
#define _GNU_SOURCE
#include <byteswap.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/netlink.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "owner_lib.h"

#define PCI	"/sys/bus/pci"

static int open_rdwr(const char *path)
{
	__u64 end = now_ms() + 2000;
	int fd;

	/* The node is made soon after the device */
	do {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			break;
		nap(10);
	} while (now_ms() < end);
	return -errno;
}

static int open_cdev(const struct pdev *pdev)
{
	char path[PATH_MAX], name[PATH_MAX] = "";
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), PCI "/devices/%s/vfio-dev", pdev->bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(name, sizeof(name), "/dev/vfio/devices/%.64s",
				 entry->d_name);
	closedir(dir);
	return name[0] ? open_rdwr(name) : -ENOENT;
}

static int open_group(int group)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	return open_rdwr(path);
}

void vfio_close(struct vfio *vfio)
{
	close_fd(&vfio->device);
	close_fd(&vfio->group);
	close_fd(&vfio->container);
	vfio->attached = false;
}

int vfio_open(struct vfio *vfio, enum vfio_path path, const struct pdev *pdev)
{
	int ret;

	*vfio = (struct vfio) {
		.path = path, .container = -1, .group = -1, .device = -1,
	};
	vfio->container = open_rdwr(path == PATH_CONTAINER ? "/dev/vfio/vfio" :
				    "/dev/iommu");
	if (vfio->container < 0)
		return vfio->container;
	if (path == PATH_CDEV) {
		vfio->device = open_cdev(pdev);
		ret = vfio->device;
	} else {
		vfio->group = open_group(pdev->group);
		ret = vfio->group;
	}
	if (ret >= 0)
		return 0;
	vfio_close(vfio);
	return ret;
}

static int set_iommu(struct vfio *vfio)
{
	return call(vfio->container, VFIO_SET_IOMMU,
		    (void *)VFIO_TYPE1v2_IOMMU);
}

static int get_device(struct vfio *vfio, const struct pdev *pdev)
{
	int ret = call(vfio->group, VFIO_GROUP_GET_DEVICE_FD,
		       (void *)pdev->bdf);

	if (ret < 0)
		return ret;
	vfio->device = ret;
	return 0;
}

int vfio_claim(struct vfio *vfio, const struct pdev *pdev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = vfio->container,
	};
	int ret;

	if (vfio->path == PATH_CDEV)
		return call(vfio->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	ret = call(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container);
	if (ret || vfio->path == PATH_CONTAINER)
		return ret;

	/* iommufd takes a group with its first device */
	ret = set_iommu(vfio);
	return ret ? ret : get_device(vfio, pdev);
}

int vfio_attach(struct vfio *vfio, const struct pdev *pdev)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret = 0;

	if (vfio->path == PATH_CONTAINER) {
		ret = set_iommu(vfio);
		if (!ret)
			ret = get_device(vfio, pdev);
	} else if (vfio->path == PATH_CDEV) {
		ret = call(vfio->container, IOMMU_IOAS_ALLOC, &alloc);
		if (ret)
			return ret;
		vfio->ioas = alloc.out_ioas_id;
		attach.pt_id = alloc.out_ioas_id;
		ret = call(vfio->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
			   &attach);
	}
	vfio->attached = !ret;
	return ret;
}

int vfio_start(struct vfio *vfio, enum vfio_path path, const struct pdev *pdev)
{
	int ret;

	ret = vfio_open(vfio, path, pdev);
	if (ret)
		return ret;
	ret = vfio_claim(vfio, pdev);
	if (!ret)
		ret = vfio_attach(vfio, pdev);
	if (ret)
		vfio_close(vfio);
	return ret;
}

int vfio_map(struct vfio *vfio, void *mem, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_map type1 = {
		.argsz = sizeof(type1),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = size,
	};
	struct iommu_ioas_map ioas = {
		.size = sizeof(ioas),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = vfio->ioas,
		.user_va = (uintptr_t)mem,
		.length = size,
		.iova = iova,
	};

	if (vfio->path == PATH_CDEV)
		return call(vfio->container, IOMMU_IOAS_MAP, &ioas);
	return call(vfio->container, VFIO_IOMMU_MAP_DMA, &type1);
}

int vfio_unmap(struct vfio *vfio, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap type1 = {
		.argsz = sizeof(type1), .iova = iova, .size = size,
	};
	struct iommu_ioas_unmap ioas = {
		.size = sizeof(ioas), .ioas_id = vfio->ioas,
		.iova = iova, .length = size,
	};

	if (vfio->path == PATH_CDEV)
		return call(vfio->container, IOMMU_IOAS_UNMAP, &ioas);
	return call(vfio->container, VFIO_IOMMU_UNMAP_DMA, &type1);
}

/* An eventfd that is signalled when the kernel requests the device */
int vfio_request_event(struct vfio *vfio)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
	};
	int ret;

	irq.fd = eventfd(0, EFD_CLOEXEC);
	if (irq.fd < 0)
		return -errno;
	ret = call(vfio->device, VFIO_DEVICE_SET_IRQS, &irq);
	if (!ret)
		return irq.fd;
	close(irq.fd);
	return ret;
}

int vfio_status(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int fd, ret;

	fd = open_group(group);
	if (fd < 0)
		return fd;
	ret = call(fd, VFIO_GROUP_GET_STATUS, &status);
	close(fd);
	return ret ? ret : (int)status.flags;
}

const char *vfio_owner_name(enum vfio_path path)
{
	return path == PATH_CONTAINER ? "vfio" : "iommufd";
}

int vfio_owner_file(const struct vfio *vfio)
{
	return vfio->path == PATH_CDEV ? vfio->container : vfio->group;
}

int vfio_claimer(const struct vfio *vfio)
{
	return vfio->path == PATH_CDEV ? vfio->device : vfio->group;
}

static void holder_run(struct holder *holder, enum vfio_path path,
		       const struct pdev *pdev)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	__u64 count;
	struct vfio vfio;
	char word;
	int ret;

	prctl(PR_SET_NAME, HOLDER_COMM);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = vfio_start(&vfio, path, pdev);
	if (!ret) {
		fds[1].fd = vfio_request_event(&vfio);
		ret = fds[1].fd < 0 ? fds[1].fd : 0;
	}
	if (write(holder->from, &ret, sizeof(ret)) != sizeof(ret) || ret)
		_exit(1);

	fds[0].fd = holder->to;
	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents & POLLIN) {
			if (read(fds[1].fd, &count, sizeof(count)) < 0 ||
			    write(holder->from, "r", 1) < 0)
				break;
		}
		if (!fds[0].revents)
			continue;
		if (read(fds[0].fd, &word, 1) == 1 && word == HOLDER_CLOSE)
			vfio_close(&vfio);
		break;
	}
	_exit(0);
}

int holder_start(struct holder *holder, enum vfio_path path,
		 const struct pdev *pdev)
{
	int to[2], from[2], ret = -EPIPE;
	struct holder child;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -errno;
	holder->pid = fork();
	if (holder->pid < 0)
		return -errno;
	if (!holder->pid) {
		close(to[1]);
		close(from[0]);
		child = (struct holder) { .to = to[0], .from = from[1] };
		holder_run(&child, path, pdev);
	}
	close(to[0]);
	close(from[1]);
	holder->to = to[1];
	holder->from = from[0];
	if (read(holder->from, &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPIPE;
	if (ret)
		holder_end(holder, HOLDER_KILL);
	return ret;
}

bool holder_requested(struct holder *holder, unsigned int ms)
{
	struct pollfd fd = { .fd = holder->from, .events = POLLIN };
	char word;

	return poll(&fd, 1, ms) == 1 && read(holder->from, &word, 1) == 1;
}

/* Idempotent: a teardown may call it for a holder that has ended */
int holder_end(struct holder *holder, enum holder_end how)
{
	char word = how;
	int status = 0;

	if (holder->pid <= 0)
		return 0;
	if (how == HOLDER_KILL)
		kill(holder->pid, SIGKILL);
	else if (write(holder->to, &word, 1) != 1)
		status = -errno;
	if (waitpid(holder->pid, NULL, 0) != holder->pid)
		status = -errno;
	close(holder->to);
	close(holder->from);
	holder->pid = 0;
	return status;
}

int send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

#define EDU_SIZE	0x100000
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_START	0x1
#define EDU_DMA_TO_RAM	0x2
#define EDU_BUFFER	0x40000

#define EDU_ID		0xed	/* the last byte, in all versions */

/* The registers have the byte order of QEMU's target, which is not the guest's */
static bool edu_is_swapped(void *bar)
{
	return __atomic_load_n((__u32 *)bar, __ATOMIC_RELAXED) >> 24 == EDU_ID;
}

static __u64 edu64(void *bar, __u64 value)
{
	return edu_is_swapped(bar) ? bswap_64(value) : value;
}

static void *map_bar(int fd, off_t offset)
{
	void *bar = mmap(NULL, EDU_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, offset);

	return bar == MAP_FAILED ? NULL : bar;
}

/* Memory decoding and bus mastering on */
static int let_master(int fd, off_t config)
{
	__u16 command;

	if (pread(fd, &command, 2, config + PCI_COMMAND) != 2)
		return -errno;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(fd, &command, 2, config + PCI_COMMAND) != 2)
		return -errno;
	return 0;
}

void *edu_open_vfio(struct vfio *vfio)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};

	if (call(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    call(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    let_master(vfio->device, config.offset))
		return NULL;
	return map_bar(vfio->device, bar.offset);
}

void *edu_open_sysfs(const struct pdev *pdev)
{
	char path[PATH_MAX];
	void *bar;
	int fd, ret;

	snprintf(path, sizeof(path), PCI "/devices/%s/config", pdev->bdf);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return NULL;
	ret = let_master(fd, 0);
	close(fd);
	if (ret)
		return NULL;

	snprintf(path, sizeof(path), PCI "/devices/%s/resource0", pdev->bdf);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return NULL;
	bar = map_bar(fd, 0);
	close(fd);
	return bar;
}

void edu_close(void *bar)
{
	if (bar)
		munmap(bar, EDU_SIZE);
}

bool edu_answers(void *bar)
{
	__u32 id = __atomic_load_n((__u32 *)bar, __ATOMIC_RELAXED);

	return (id & 0xff) == EDU_ID || id >> 24 == EDU_ID;
}

static void edu_set(void *bar, unsigned int reg, __u64 value)
{
	__atomic_store_n((__u64 *)((char *)bar + reg), edu64(bar, value),
			 __ATOMIC_SEQ_CST);
}

static int edu_dma(void *bar, __u64 src, __u64 dst, __u64 command)
{
	__u64 *reg = (void *)((char *)bar + EDU_DMA_CMD);
	__u64 end = now_ms() + 10000;

	edu_set(bar, EDU_DMA_SRC, src);
	edu_set(bar, EDU_DMA_DST, dst);
	edu_set(bar, EDU_DMA_COUNT, EDU_LEN);
	edu_set(bar, EDU_DMA_CMD, command | EDU_DMA_START);
	while (edu64(bar, __atomic_load_n(reg, __ATOMIC_SEQ_CST)) & EDU_DMA_START) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		nap(5);
	}
	return 0;
}

int edu_read_ram(void *bar, __u64 iova)
{
	return edu_dma(bar, iova, EDU_BUFFER, 0);
}

int edu_write_ram(void *bar, __u64 iova)
{
	return edu_dma(bar, EDU_BUFFER, iova, EDU_DMA_TO_RAM);
}

bool canary_dies(const struct pdev *edu, unsigned char *canary)
{
	void *bar;
	int ret;

	if (dev_command(edu, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER))
		return false;
	bar = edu_open_sysfs(edu);
	if (!bar)
		return false;
	memset(canary, CANARY, EDU_LEN);
	ret = edu_write_ram(bar, page_physical(canary));
	edu_close(bar);
	return !ret && !page_is(canary, CANARY);
}

static __thread sigjmp_buf fault;
static __thread bool trying;

static void on_fault(int number)
{
	if (trying)
		siglongjmp(fault, 1);
	/* Not ours: once more, without us */
	signal(number, SIG_DFL);
}

/* Several threads may be here: the handler stays */
static int edu_try(void *bar, const __u64 *iova)
{
	struct sigaction action = { .sa_handler = on_fault };
	int ret;

	sigaction(SIGBUS, &action, NULL);
	trying = true;
	if (sigsetjmp(fault, 1))
		ret = -EFAULT;
	else
		ret = iova ? edu_write_ram(bar, *iova) : edu_answers(bar);
	trying = false;
	return ret;
}

bool edu_try_answers(void *bar)
{
	return edu_try(bar, NULL) > 0;
}

int edu_try_write_ram(void *bar, __u64 iova)
{
	return edu_try(bar, &iova);
}

int uevent_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int size = 1 << 20, fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return fd;
}

/* The value of a variable in a message of strings that end in zeroes */
static const char *uevent_value(const char *msg, size_t len, const char *name)
{
	const char *end = msg + len;
	size_t n = strlen(name);

	for (; msg < end; msg += strlen(msg) + 1)
		if (!strncmp(msg, name, n) && msg[n] == '=')
			return msg + n + 1;
	return NULL;
}

bool uevent_find(int fd, int group, const char *state, __u64 *generation,
		 unsigned int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	__u64 end = now_ms() + ms;
	const char *value;
	char msg[8192], head[64];
	ssize_t len;

	snprintf(head, sizeof(head), "change@/kernel/iommu_groups/%d", group);
	do {
		poll(&pollfd, 1, 20);
		len = recv(fd, msg, sizeof(msg) - 1, 0);
		if (len <= 0)
			continue;
		msg[len] = '\0';
		if (strcmp(msg, head))
			continue;
		value = uevent_value(msg, len, "IOMMU_OWNER_STATE");
		if (!value || (state && strcmp(value, state)))
			continue;
		value = uevent_value(msg, len, "IOMMU_OWNER_GENERATION");
		if (!value)
			continue;
		*generation = strtoull(value, NULL, 10);
		return true;
	} while (now_ms() < end);
	return false;
}
