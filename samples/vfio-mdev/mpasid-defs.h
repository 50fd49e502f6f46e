/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mpasid: the registers of a device
 *
 * Region 0 has these registers of 32 bits, region 1 is a page of memory.
 */
#ifndef __MPASID_DEFS_H
#define __MPASID_DEFS_H

/* The PASID of the queue; 0 if none is loaded. Write a PASID to load it. */
#define MPASID_PASID		0x00
/* Write the number that the guest has for a PASID to load it. Reads as 0. */
#define MPASID_GUEST_PASID	0x04
/* The DMA address of MPASID_DATA, a multiple of 4 */
#define MPASID_ADDRESS		0x08
/* Writes and reads go by DMA, with the PASID of the queue */
#define MPASID_DATA		0x0c
/* Faults so far, the number that caused the last one, and why */
#define MPASID_FAULTS		0x10
#define MPASID_FAULT_PASID	0x14
#define MPASID_FAULT_REASON	0x18
#define MPASID_REGISTERS	0x1c

#define MPASID_FAULT_LOAD	1	/* the PASID may not be loaded */
#define MPASID_FAULT_DMA	2	/* nothing is mapped there, or no PASID loaded */

#endif /* __MPASID_DEFS_H */
