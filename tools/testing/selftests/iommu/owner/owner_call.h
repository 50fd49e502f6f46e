/* SPDX-License-Identifier: GPL-2.0 */
/* Not in owner_lib.h: owner_token.h is of use without the library */
#ifndef __IOMMU_OWNER_CALL_H
#define __IOMMU_OWNER_CALL_H

#include <errno.h>
#include <sys/ioctl.h>

/* What the ioctl returns, or a negative errno */
static inline int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

#endif /* __IOMMU_OWNER_CALL_H */
