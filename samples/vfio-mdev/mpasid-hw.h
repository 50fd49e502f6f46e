/* SPDX-License-Identifier: GPL-2.0-only */
/* mpasid: the hardware, which is made of software */
#ifndef __MPASID_HW_H
#define __MPASID_HW_H

#include <linux/types.h>

struct device;

struct device *mpasid_hw_create(void);
void mpasid_hw_destroy(struct device *dev);
int mpasid_hw_dma(struct device *dev, u32 pasid, u64 address, u32 *value,
		  bool write);

#endif /* __MPASID_HW_H */
