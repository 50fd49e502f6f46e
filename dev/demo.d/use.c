// SPDX-License-Identifier: GPL-2.0
/*
 * What a virtual machine monitor has to add to claim with a token: preloaded
 * into an unmodified QEMU, this tells each VFIO group that it opens which owner
 * to claim with. The token is in TOKEN_FD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../tools/testing/selftests/iommu/owner/owner_token.h"

static int use(const char *path, int fd)
{
	const char *token = getenv("TOKEN_FD");
	int group, end = 0, ret;

	if (fd < 0 || !token || sscanf(path, "/dev/vfio/%d%n", &group, &end) < 1 ||
	    path[end])
		return fd;
	ret = token_use(atoi(token), fd);
	if (!ret)
		return fd;
	fprintf(stderr, "%s: IOMMU_OWNER_USE: %s\n", path, strerror(-ret));
	close(fd);
	errno = -ret;
	return -1;
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *path, int flags, ...) = dlsym(RTLD_NEXT, "open64");
	unsigned int mode;
	va_list args;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, unsigned int) : 0;
	va_end(args);
	return use(path, real(path, flags, mode));
}

int __open64_2(const char *path, int flags)
{
	int (*real)(const char *path, int flags) = dlsym(RTLD_NEXT, "__open64_2");

	return use(path, real(path, flags));
}
