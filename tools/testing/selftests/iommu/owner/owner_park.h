/* SPDX-License-Identifier: GPL-2.0 */
/* Operations that wait for a page of their user: include it in a program once */
#ifndef __IOMMU_OWNER_PARK_H
#define __IOMMU_OWNER_PARK_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "owner_lib.h"

#define NO_USERFAULTFD		"no userfaultfd"

/* A thread that is in an operation and waits there for a page that nobody fills */
struct parked {
	pthread_t thread;
	struct uffdio_range range;
	int uffd;
	int fd;
	unsigned long cmd;
	void *arg;
	int ret;
};

static inline void *parked_ioctl(void *data)
{
	struct parked *parked = data;

	parked->ret = call(parked->fd, parked->cmd, parked->arg);
	return NULL;
}

/* @mode: the first access to the page waits, or only the first write */
static inline void *parked_page(struct parked *parked, __u64 mode)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = mode == UFFDIO_REGISTER_MODE_WP ?
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register range = { .mode = mode };
	size_t size = sysconf(_SC_PAGESIZE);
	void *page;

	parked->uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (parked->uffd < 0)
		return NULL;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	parked->range = (struct uffdio_range){ (uintptr_t)page, size };
	range.range = parked->range;
	if (call(parked->uffd, UFFDIO_API, &api) ||
	    call(parked->uffd, UFFDIO_REGISTER, &range)) {
		close(parked->uffd);
		return NULL;
	}
	return page;
}

static inline void *parked_where(const struct parked *parked)
{
	return (void *)(uintptr_t)parked->range.start;
}

/*
 * Run @run, which does something with @fd and the page and sets the result, in a
 * thread. Returns when that waits; -EIO if it does not within @ms.
 */
static inline int parked_call(struct parked *parked, void *(*run)(void *),
			      int fd, unsigned int ms)
{
	struct pollfd pollfd = { .fd = parked->uffd, .events = POLLIN };
	struct uffd_msg msg;

	parked->fd = fd;
	if (pthread_create(&parked->thread, NULL, run, parked) ||
	    poll(&pollfd, 1, ms) != 1 ||
	    read(parked->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return -EIO;
	return 0;
}

static inline int parked_try(struct parked *parked, int fd, unsigned long cmd,
			     void *arg, unsigned int ms)
{
	parked->cmd = cmd;
	parked->arg = arg;
	return parked_call(parked, parked_ioctl, fd, ms);
}

static inline int parked_start(struct parked *parked, int fd,
			       unsigned long cmd, void *arg)
{
	return parked_try(parked, fd, cmd, arg, WAIT_MS);
}

/* What the operation returned */
static inline int parked_end(struct parked *parked)
{
	struct uffdio_zeropage zero = { .range = parked->range };
	struct uffdio_writeprotect write = { .range = parked->range };

	if (call(parked->uffd, UFFDIO_ZEROPAGE, &zero))
		call(parked->uffd, UFFDIO_WRITEPROTECT, &write);
	pthread_join(parked->thread, NULL);
	close(parked->uffd);
	return parked->ret;
}

#endif /* __IOMMU_OWNER_PARK_H */
