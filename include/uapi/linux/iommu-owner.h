/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Ownership tokens: file descriptors that refer to the owner of IOMMU groups
 *
 * See Documentation/userspace-api/iommu-owner.rst.
 */
#ifndef _UAPI_LINUX_IOMMU_OWNER_H
#define _UAPI_LINUX_IOMMU_OWNER_H

/**
 * DOC: rights
 *
 * What the holder of a token may do with its owner.
 *
 * IOMMU_OWNER_RIGHT_INSPECT: see the owner, its groups and its events.
 * IOMMU_OWNER_RIGHT_ASSOCIATE: make the owner belong to a virtual machine.
 * IOMMU_OWNER_RIGHT_CLAIM: claim groups through VFIO as the owner.
 * IOMMU_OWNER_RIGHT_PASID: allocate PASIDs for the owner.
 * IOMMU_OWNER_RIGHT_RESERVE: reserve groups for the owner and release them.
 * IOMMU_OWNER_RIGHT_REVOKE: take the groups back from the owner.
 * IOMMU_OWNER_RIGHT_GRANT: duplicate the token.
 */
#define IOMMU_OWNER_RIGHT_INSPECT	(1U << 0)
#define IOMMU_OWNER_RIGHT_ASSOCIATE	(1U << 1)
#define IOMMU_OWNER_RIGHT_CLAIM		(1U << 2)
#define IOMMU_OWNER_RIGHT_PASID		(1U << 3)
#define IOMMU_OWNER_RIGHT_RESERVE	(1U << 4)
#define IOMMU_OWNER_RIGHT_REVOKE	(1U << 5)
#define IOMMU_OWNER_RIGHT_GRANT		(1U << 6)
#define IOMMU_OWNER_RIGHTS_ALL		((1U << 7) - 1)

#endif /* _UAPI_LINUX_IOMMU_OWNER_H */
