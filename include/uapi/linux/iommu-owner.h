/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Ownership tokens: file descriptors that refer to the owner of IOMMU groups
 *
 * See Documentation/userspace-api/iommu-owner.rst.
 */
#ifndef _UAPI_LINUX_IOMMU_OWNER_H
#define _UAPI_LINUX_IOMMU_OWNER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMU_OWNER_TYPE (';')

/**
 * DOC: General ioctl format
 *
 * Each ioctl takes a pointer to a structure that begins with its size and with
 * flags. The structures grow at their end. The kernel accepts a structure that
 * is shorter than its own as if zeros followed, down to the size that the
 * structure had when it was introduced, and one that is longer if all that it
 * does not know is zero.
 *
 * The elements of an array grow at their end as well, so the size of one
 * element comes with the array. Of an array that the kernel reads, what it does
 * not know must be zero. In an array that the kernel fills, what it does not
 * know becomes zero, and what the caller does not know is left out. An element
 * is at least as long as it was when it was introduced. The size is ignored
 * where the array has no element.
 *
 * Errors that every ioctl can give:
 *
 *  - ENOTTY: the ioctl is not known on this kind of file
 *  - EFAULT: the structure, or an array that it points to, cannot be accessed
 *  - E2BIG: a part of the structure, or of an element, that the kernel does not
 *    know is not zero, or either is longer than a page
 *  - EOPNOTSUPP: a flag, a right or a reserved field is set that the kernel
 *    does not know
 *  - EINVAL: the structure, or an element, is too short, or a value in it is
 *    not valid
 *  - EPERM: the token does not have the right that the ioctl needs
 *  - ESTALE: the owner has been revoked
 *  - ENOMEM: out of memory
 *
 * After an error nothing has changed, and nothing but a count, the group that
 * caused it or entries of an array has been written, where the structure says so.
 */
enum {
	IOMMU_OWNER_CMD_CREATE = 0x00,
	IOMMU_OWNER_CMD_GET_TOKEN,
	IOMMU_OWNER_CMD_GET_INFO,
	IOMMU_OWNER_CMD_DUP,
	IOMMU_OWNER_CMD_CHECK,
	IOMMU_OWNER_CMD_RESERVE,
	IOMMU_OWNER_CMD_RELEASE,
	IOMMU_OWNER_CMD_REVOKE,
	IOMMU_OWNER_CMD_USE,
	IOMMU_OWNER_CMD_QUERY,
	IOMMU_OWNER_CMD_PASID_ALLOC,
	IOMMU_OWNER_CMD_PASID_FREE,
	IOMMU_OWNER_CMD_PASID_LIST,
	IOMMU_OWNER_CMD_PASID_MAP,
	IOMMU_OWNER_CMD_PASID_PERMIT,
	IOMMU_OWNER_CMD_PASID_DENY,
	IOMMU_OWNER_CMD_EVIDENCE,
};

/**
 * DOC: rights
 *
 * What the holder of a token may do with its owner.
 *
 * IOMMU_OWNER_RIGHT_INSPECT: see the owner, its groups and its events.
 * IOMMU_OWNER_RIGHT_ASSOCIATE: make the owner belong to a virtual machine.
 * IOMMU_OWNER_RIGHT_CLAIM: claim groups through VFIO as the owner.
 * IOMMU_OWNER_RIGHT_RESERVE: reserve groups that the owner has, and release
 * them.
 * IOMMU_OWNER_RIGHT_TAKE: with RESERVE, reserve groups that the owner does not
 * have yet. Only IOMMU_OWNER_CREATE gives it.
 * IOMMU_OWNER_RIGHT_REVOKE: revoke the owner.
 * IOMMU_OWNER_RIGHT_GRANT: duplicate the token.
 * IOMMU_OWNER_RIGHT_PASID: allocate, list and free PASIDs of the owner, and permit
 * devices to load them. Only IOMMU_OWNER_CREATE gives it.
 *
 * IOMMU_OWNER_QUERY returns those that the kernel knows.
 */
#define IOMMU_OWNER_RIGHT_INSPECT	(1U << 0)
#define IOMMU_OWNER_RIGHT_ASSOCIATE	(1U << 1)
#define IOMMU_OWNER_RIGHT_CLAIM		(1U << 2)
#define IOMMU_OWNER_RIGHT_RESERVE	(1U << 3)
#define IOMMU_OWNER_RIGHT_TAKE		(1U << 4)
#define IOMMU_OWNER_RIGHT_REVOKE	(1U << 5)
#define IOMMU_OWNER_RIGHT_GRANT		(1U << 6)
#define IOMMU_OWNER_RIGHT_PASID		(1U << 7)

/* With the terminating zero; a longer name of a device or driver is cut */
#define IOMMU_OWNER_NAME_LEN	32
#define IOMMU_OWNER_COMM_LEN	16
#define IOMMU_OWNER_DRIVER_LEN	32
#define IOMMU_OWNER_DEVICE_LEN	64

/* Groups that one ioctl may name */
#define IOMMU_OWNER_GROUPS_MAX	1024
/* Tokens that an owner may have at a time, and half as many of device files */
#define IOMMU_OWNER_TOKENS_MAX	1024
/*
 * Devices and virtual machines that may watch an owner at a time, and half as many
 * virtual machines, counted for each of their files
 */
#define IOMMU_OWNER_WATCHES_MAX	4096

/**
 * enum iommu_owner_state - Who may do DMA with the devices of a group
 * @IOMMU_OWNER_STATE_KERNEL: Drivers that use the DMA API, shared by all of them; a
 *	group without any driver is the kernel's too.
 * @IOMMU_OWNER_STATE_PRIVATE: A kernel driver with a domain of its own.
 * @IOMMU_OWNER_STATE_USER: User space drives the DMA.
 * @IOMMU_OWNER_STATE_RESERVED: Held for an owner that has no device open; DMA is
 *	blocked.
 * @IOMMU_OWNER_STATE_ENDING: The ownership is being torn down; DMA is blocked.
 * @IOMMU_OWNER_STATE_QUARANTINE: The owner is gone, but the devices are not known to
 *	be quiesced; DMA is blocked and no driver may bind.
 * @IOMMU_OWNER_STATE_BLOCKED: A device of the group is not trusted with DMA by a
 *	driver of the kernel: DMA is blocked. See owner/trust in sysfs.
 */
enum iommu_owner_state {
	IOMMU_OWNER_STATE_KERNEL,
	IOMMU_OWNER_STATE_PRIVATE,
	IOMMU_OWNER_STATE_USER,
	IOMMU_OWNER_STATE_RESERVED,
	IOMMU_OWNER_STATE_ENDING,
	IOMMU_OWNER_STATE_QUARANTINE,
	IOMMU_OWNER_STATE_BLOCKED,
};

/**
 * enum iommu_owner_reason - Why an ownership has ended
 * @IOMMU_OWNER_REASON_RELEASED: The last claim was released, or the reservation given
 *	up: close, exit and death of a process, unbind of its driver.
 * @IOMMU_OWNER_REASON_REVOKED: The owner was revoked.
 * @IOMMU_OWNER_REASON_REMOVED: The last device of the group is gone.
 * @IOMMU_OWNER_REASON_LOST: A device of the group has lost its private view.
 */
enum iommu_owner_reason {
	IOMMU_OWNER_REASON_RELEASED,
	IOMMU_OWNER_REASON_REVOKED,
	IOMMU_OWNER_REASON_REMOVED,
	IOMMU_OWNER_REASON_LOST,
};

/**
 * struct iommu_owner_query - ioctl(IOMMU_OWNER_QUERY) on /dev/iommu-owner
 * @size: sizeof(struct iommu_owner_query)
 * @flags: Must be 0
 * @command: IOMMU_OWNER_CMD_*: the ioctl that @out_command_size and
 *	@out_command_flags are about
 * @out_version: Version of the interface, from 1. A version has all that the
 *	versions before it have
 * @out_features: Optional parts that this kernel has; none are defined yet
 * @out_rights: IOMMU_OWNER_RIGHT_* that the kernel knows
 * @out_event_types: The kernel knows the types of events below this number
 * @out_command_size: Size of the structure of that ioctl, as far as the kernel
 *	knows it; 0 if it does not know the ioctl
 * @out_command_flags: Flags of that ioctl that the kernel knows
 *
 * What does this kernel know? A program that was built against newer headers
 * asks before it uses what came later. Nothing is opened or changed.
 *
 * Return: 0.
 */
struct iommu_owner_query {
	__u32 size;
	__u32 flags;
	__u32 command;
	__u32 out_version;
#define IOMMU_OWNER_VERSION	1
	__aligned_u64 out_features;
	__u32 out_rights;
	__u32 out_event_types;
	__u32 out_command_size;
	__u32 out_command_flags;
};

#define IOMMU_OWNER_QUERY _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_QUERY)

/**
 * struct iommu_owner_create - ioctl(IOMMU_OWNER_CREATE) on /dev/iommu-owner
 * @size: sizeof(struct iommu_owner_create)
 * @flags: Must be 0
 * @rights: IOMMU_OWNER_RIGHT_* of the token, at least one
 * @out_fd: The token, closed on exec
 * @name: Name of the owner for reports: printable ASCII without white space,
 *	with zeros up to the end, at least one of them
 *
 * Make an owner and a token for it. Only such a token, and its duplicates, can
 * have IOMMU_OWNER_RIGHT_TAKE.
 *
 * Return: 0; EMFILE or ENFILE if there are too many open files.
 */
struct iommu_owner_create {
	__u32 size;
	__u32 flags;
	__u32 rights;
	__s32 out_fd;
	__u8 name[IOMMU_OWNER_NAME_LEN];
};

#define IOMMU_OWNER_CREATE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_CREATE)

/**
 * struct iommu_owner_get_token - ioctl(IOMMU_OWNER_GET_TOKEN) on a file that
 *	stands for an owner: a VFIO group or device, an iommufd
 * @size: sizeof(struct iommu_owner_get_token)
 * @flags: Must be 0
 * @rights: IOMMU_OWNER_RIGHT_* of the token, at least one
 * @out_fd: The token, closed on exec
 *
 * Get a token for the owner that the file claims with. The rights are no more
 * than those that the file has, and never IOMMU_OWNER_RIGHT_TAKE. The token of a
 * VFIO device has INSPECT and ASSOCIATE at most, and is for the group of that
 * device alone: it shows no other group of the owner and no event of one.
 *
 * Return: 0; EPERM if @rights has more than that; ENODEV if the file has no
 * owner yet, or its device is gone; EBADFD if it never has one; EOPNOTSUPP also
 * for a file without an owner (mediated, no IOMMU), and for REVOKE if the owner
 * has something that cannot be revoked; ENOSPC if the owner has
 * IOMMU_OWNER_TOKENS_MAX tokens, or half as many and the file is that of a device;
 * EMFILE or ENFILE if there are too many open files.
 */
struct iommu_owner_get_token {
	__u32 size;
	__u32 flags;
	__u32 rights;
	__s32 out_fd;
};

#define IOMMU_OWNER_GET_TOKEN _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_GET_TOKEN)

/**
 * struct iommu_owner_group_ref - A group, as an ioctl names it
 * @generation: 0, or a generation of the group that the caller has seen: in
 *	sysfs, in &iommu_owner_group_info or in an event
 * @group: Number of the group
 * @__reserved: Must be 0
 *
 * The number of a group that is gone may be given to another group. No two
 * groups ever have the same generation: with one, the reference is to that
 * group only, and if the number belongs to another one the error is ESTALE.
 */
struct iommu_owner_group_ref {
	__aligned_u64 generation;
	__u32 group;
	__u32 __reserved;
};

/**
 * struct iommu_owner_group_info - A group of an owner
 * @generation: Grows with every change of the ownership of the group; never 0
 * @group: Number of the group, as in /sys/kernel/iommu_groups
 * @state: enum iommu_owner_state
 * @claims: Claims of the owner on the group
 * @flags: IOMMU_OWNER_GROUP_RESERVED: the group stays with the owner when the
 *	last claim goes
 * @devices: Number of devices in the group
 * @__reserved: 0
 *
 * All of it, and the devices of the group, is from one moment.
 */
struct iommu_owner_group_info {
	__aligned_u64 generation;
	__u32 group;
	__u32 state;
	__u32 claims;
	__u32 flags;
#define IOMMU_OWNER_GROUP_RESERVED	(1U << 0)
	__u32 devices;
	__u32 __reserved;
};

/**
 * struct iommu_owner_device_info - A device, and the driver that is bound to it
 * @group: Number of its group
 * @state: enum iommu_owner_state of the group
 * @device: Name of the device; of a PCI device it is the address. Empty where
 *	the entry is about the group as a whole
 * @driver: Name of the driver; empty if there is none
 * @flags: IOMMU_OWNER_DEVICE_LOCKED: @driver is not known: another task has locked
 *	the device, to bind or unbind a driver or to reset it, or the group changes
 *	all the time
 * @__reserved: 0
 */
struct iommu_owner_device_info {
	__u32 group;
	__u32 state;
	__u32 flags;
#define IOMMU_OWNER_DEVICE_LOCKED	(1U << 0)
	__u32 __reserved;
	__u8 device[IOMMU_OWNER_DEVICE_LEN];
	__u8 driver[IOMMU_OWNER_DRIVER_LEN];
};

/**
 * struct iommu_owner_get_info - ioctl(IOMMU_OWNER_GET_INFO) on a token
 * @size: sizeof(struct iommu_owner_get_info)
 * @flags: Must be 0
 * @out_rights: Rights of the token
 * @out_flags: IOMMU_OWNER_INFO_*
 * @out_sequence: Number of events of the owner so far. The groups are at least
 *	as new: an event with a sequence of @out_sequence or more may or may not
 *	be in them
 * @groups: Array of &struct iommu_owner_group_info, in the order of the numbers
 * @devices: Array of &struct iommu_owner_device_info
 * @nr_groups: Room in @groups; on return the number of groups
 * @group_size: sizeof(struct iommu_owner_group_info)
 * @nr_devices: Room in @devices; on return the number of devices
 * @device_size: sizeof(struct iommu_owner_device_info)
 * @out_claims: Claims of the owner on these groups
 * @__reserved: Must be 0
 * @out_name: Name of the owner
 *
 * Needs INSPECT. Works after a revoke. With room for nothing it counts: call
 * it again with the room that it asked for. A group whose ownership is ending is
 * not among the groups any more; its IOMMU_OWNER_EVENT_ENDED follows. A token
 * for one group shows, and counts, that group only.
 *
 * Return: 0; EMSGSIZE if there is more than room: everything but what did not
 * fit has been written.
 */
struct iommu_owner_get_info {
	__u32 size;
	__u32 flags;
	__u32 out_rights;
	__u32 out_flags;
#define IOMMU_OWNER_INFO_EXPLICIT	(1U << 0) /* by IOMMU_OWNER_CREATE */
#define IOMMU_OWNER_INFO_REVOKED	(1U << 1)
#define IOMMU_OWNER_INFO_ONE_GROUP	(1U << 2) /* the token is for one group */
	__aligned_u64 out_sequence;
	__aligned_u64 groups;
	__aligned_u64 devices;
	__u32 nr_groups;
	__u32 group_size;
	__u32 nr_devices;
	__u32 device_size;
	__u32 out_claims;
	__u32 __reserved;
	__u8 out_name[IOMMU_OWNER_NAME_LEN];
};

#define IOMMU_OWNER_GET_INFO _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_GET_INFO)

/**
 * struct iommu_owner_dup - ioctl(IOMMU_OWNER_DUP) on a token
 * @size: sizeof(struct iommu_owner_dup)
 * @flags: Must be 0
 * @rights: IOMMU_OWNER_RIGHT_* of the new token, at least one
 * @out_fd: The new token, closed on exec
 *
 * Needs GRANT. Make another token for the same owner, with the same rights or
 * fewer. It reads the events from now on.
 *
 * Return: 0; EPERM if @rights has more than the token; ENOSPC if the owner has
 * IOMMU_OWNER_TOKENS_MAX tokens; EMFILE or ENFILE if there are too many open
 * files.
 */
struct iommu_owner_dup {
	__u32 size;
	__u32 flags;
	__u32 rights;
	__s32 out_fd;
};

#define IOMMU_OWNER_DUP _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_DUP)

/**
 * struct iommu_owner_check - ioctl(IOMMU_OWNER_CHECK) on a token
 * @size: sizeof(struct iommu_owner_check)
 * @flags: Must be 0
 * @groups: Array of &struct iommu_owner_group_ref
 * @blockers: Array of &struct iommu_owner_device_info
 * @nr_groups: Number of groups in @groups, 1 to IOMMU_OWNER_GROUPS_MAX
 * @group_size: sizeof(struct iommu_owner_group_ref)
 * @nr_blockers: Room in @blockers; on return the number of blockers
 * @blocker_size: sizeof(struct iommu_owner_device_info)
 * @out_group: If the error is ENODEV or ESTALE: the group that does not exist
 * @__reserved: Must be 0
 *
 * Needs INSPECT. What blocks a claim of these groups by the owner? A driver
 * that is bound to a device of a group of the kernel is one blocker with the
 * name of both. A group that another owner has, or that is in quarantine, is one
 * blocker with the state alone. The answer may be out of date when the caller
 * looks at it.
 *
 * Return: 0; EPERM also for a group that the token is not for; EMSGSIZE if there
 * are more blockers than room: everything but what did not fit has been written;
 * ENODEV if there is no such group; ESTALE also if the number belongs to another
 * group now.
 */
struct iommu_owner_check {
	__u32 size;
	__u32 flags;
	__aligned_u64 groups;
	__aligned_u64 blockers;
	__u32 nr_groups;
	__u32 group_size;
	__u32 nr_blockers;
	__u32 blocker_size;
	__u32 out_group;
	__u32 __reserved;
};

#define IOMMU_OWNER_CHECK _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_CHECK)

/**
 * struct iommu_owner_reserve - ioctl(IOMMU_OWNER_RESERVE) on a token
 * @size: sizeof(struct iommu_owner_reserve)
 * @flags: Must be 0
 * @groups: Array of &struct iommu_owner_group_ref
 * @nr_groups: Number of groups in @groups, 1 to IOMMU_OWNER_GROUPS_MAX
 * @group_size: sizeof(struct iommu_owner_group_ref)
 * @out_group: After an error: the group that caused it
 * @__reserved: Must be 0
 *
 * Needs RESERVE, and TAKE for a group that the owner does not have. Reserve all
 * of these groups, or none of them: they stay with the owner whether it has
 * claims or not, DMA is blocked while it has none, and no kernel driver binds.
 * To reserve a group again changes nothing. The reservations end with
 * IOMMU_OWNER_RELEASE, or when the last token of the owner that has RESERVE is
 * closed.
 *
 * Return: 0; EPERM also if the owner does not have a group and the token does
 * not have TAKE; EBUSY if a driver or another owner has a group, or its last
 * ownership has not ended yet; ENODEV if there is no such group; ESTALE also if
 * the number belongs to another group now; EINTR if the caller was killed; EIO or
 * another error of the IOMMU driver if it cannot block DMA.
 */
struct iommu_owner_reserve {
	__u32 size;
	__u32 flags;
	__aligned_u64 groups;
	__u32 nr_groups;
	__u32 group_size;
	__u32 out_group;
	__u32 __reserved;
};

#define IOMMU_OWNER_RESERVE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_RESERVE)

/**
 * struct iommu_owner_release - ioctl(IOMMU_OWNER_RELEASE) on a token
 * @size: sizeof(struct iommu_owner_release)
 * @flags: IOMMU_OWNER_RELEASE_ALL: all groups that the owner has reserved
 * @groups: Array of &struct iommu_owner_group_ref; 0 with
 *	IOMMU_OWNER_RELEASE_ALL
 * @nr_groups: Number of groups in @groups, 1 to IOMMU_OWNER_GROUPS_MAX; 0 with
 *	IOMMU_OWNER_RELEASE_ALL
 * @group_size: sizeof(struct iommu_owner_group_ref)
 * @out_group: After an error: the group that is not reserved
 * @__reserved: Must be 0
 *
 * Needs RESERVE. Undo the reservation of these groups. A group with claims stays
 * until the last of them is released, the others are given up at once.
 *
 * Return: 0; ENOENT if the owner has not reserved one of the groups; ESTALE
 * also if it has reserved another group of that number; EINTR if the caller was
 * killed.
 */
struct iommu_owner_release {
	__u32 size;
	__u32 flags;
#define IOMMU_OWNER_RELEASE_ALL		(1U << 0)
	__aligned_u64 groups;
	__u32 nr_groups;
	__u32 group_size;
	__u32 out_group;
	__u32 __reserved;
};

#define IOMMU_OWNER_RELEASE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_RELEASE)

/**
 * struct iommu_owner_revoke - ioctl(IOMMU_OWNER_REVOKE) on a token
 * @size: sizeof(struct iommu_owner_revoke)
 * @flags: Must be 0
 *
 * Needs REVOKE. End all ownerships of the owner. When it returns 0, no DMA and
 * no access of its user is left. With -ETIMEDOUT and -EINTR DMA is blocked as
 * well, but an operation of the user still runs; the groups are in quarantine until
 * it is over. The owner can never have a group again. To revoke again changes
 * nothing, and waits again.
 *
 * Return: 0; -ETIMEDOUT if user space may still have access; -EINTR if the caller
 * was killed before it was known; -EIO if the IOMMU driver could not block the DMA
 * of a group: its devices may still reach the memory of the user.
 */
struct iommu_owner_revoke {
	__u32 size;
	__u32 flags;
};

#define IOMMU_OWNER_REVOKE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_REVOKE)

/**
 * struct iommu_owner_use - ioctl(IOMMU_OWNER_USE) on a token
 * @size: sizeof(struct iommu_owner_use)
 * @flags: Must be 0
 * @fd: A file that claims groups: a VFIO group or device
 * @__reserved: Must be 0
 *
 * Needs CLAIM. From now on @fd claims as the owner of the token, with the
 * rights of the token. The token may be closed then.
 *
 * Return: 0; EBADF if @fd is not open; EBADFD if it does not stand for an owner;
 * EOPNOTSUPP if its owner cannot be set; EBUSY if it has claimed; EINTR if a
 * signal came while an operation of the file ran.
 */
struct iommu_owner_use {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 __reserved;
};

#define IOMMU_OWNER_USE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_USE)

/**
 * struct iommu_owner_pasid_alloc - ioctl(IOMMU_OWNER_PASID_ALLOC) on a token
 * @size: sizeof(struct iommu_owner_pasid_alloc)
 * @flags: Must be 0
 * @min: Lowest number, at least 1
 * @max: Highest number, below 2^20
 * @out_pasid: The PASID. Also written if the owner is revoked meanwhile (ESTALE)
 * @__reserved: Must be 0
 *
 * Needs PASID. Allocate a PASID for devices that share their function with devices of
 * other users. The number is no other owner's on any device, and no device may load it
 * before IOMMU_OWNER_PASID_PERMIT. It is charged to the misc cgroup of the caller as
 * iommu_pasid until it is free again: after IOMMU_OWNER_PASID_FREE, after the owner has
 * been revoked, or after its last token with this right has been closed.
 *
 * Return: 0; ENOSPC if no number of that range is free, or a limit is reached: of the
 * owner (iommu_owner.pasid_quota, which what it has attached to PASIDs of its devices
 * counts for as well), of the cgroup, or half of what the IOMMUs support for
 * all owners; EOPNOTSUPP also if no IOMMU supports PASIDs.
 */
struct iommu_owner_pasid_alloc {
	__u32 size;
	__u32 flags;
	__u32 min;
	__u32 max;
	__u32 out_pasid;
	__u32 __reserved;
};

#define IOMMU_OWNER_PASID_ALLOC _IO(IOMMU_OWNER_TYPE, \
				    IOMMU_OWNER_CMD_PASID_ALLOC)

/**
 * struct iommu_owner_pasid_free - ioctl(IOMMU_OWNER_PASID_FREE) on a token
 * @size: sizeof(struct iommu_owner_pasid_free)
 * @flags: Must be 0
 * @pasid: The PASID
 * @out_flags: IOMMU_OWNER_PASID_PENDING: a device has not unloaded it within 5 s, or
 *	the caller was killed. The number is free when IOMMU_OWNER_EVENT_PASID_FREED
 *	comes. Otherwise 0, also after an error
 *
 * Needs PASID. The PASID is denied to all devices first, as by
 * IOMMU_OWNER_PASID_DENY, and it has no number in the guest any more.
 *
 * Return: 0; EACCES if the PASID is not the owner's; ENOENT if it is not allocated,
 * or being freed.
 */
struct iommu_owner_pasid_free {
	__u32 size;
	__u32 flags;
	__u32 pasid;
	__u32 out_flags;
#define IOMMU_OWNER_PASID_PENDING	(1U << 0)
};

#define IOMMU_OWNER_PASID_FREE _IO(IOMMU_OWNER_TYPE, \
				   IOMMU_OWNER_CMD_PASID_FREE)

/**
 * enum iommu_owner_pasid_state - State of a PASID
 * @IOMMU_OWNER_PASID_ALLOCATED: The owner can use it.
 * @IOMMU_OWNER_PASID_FREE_PENDING: It is being freed. Its DMA is blocked, but a device
 *	has not unloaded it yet, or the kernel refers to it.
 */
enum iommu_owner_pasid_state {
	IOMMU_OWNER_PASID_ALLOCATED,
	IOMMU_OWNER_PASID_FREE_PENDING,
};

/**
 * struct iommu_owner_pasid_info - A PASID of an owner
 * @pasid: Its number
 * @guest: Its number in the guest; 0 if it has none
 * @state: enum iommu_owner_pasid_state
 * @devices: Number of devices that may load it, or have not unloaded it yet
 */
struct iommu_owner_pasid_info {
	__u32 pasid;
	__u32 guest;
	__u32 state;
	__u32 devices;
};

/**
 * struct iommu_owner_pasid_list - ioctl(IOMMU_OWNER_PASID_LIST) on a token
 * @size: sizeof(struct iommu_owner_pasid_list)
 * @flags: Must be 0
 * @pasids: Array of &struct iommu_owner_pasid_info, in the order in which they were
 *	allocated
 * @nr_pasids: Room in @pasids; on return the number of PASIDs
 * @pasid_size: sizeof(struct iommu_owner_pasid_info)
 *
 * Needs PASID. Works after a revoke. What is written was true at one time.
 *
 * Return: 0; EMSGSIZE if there are more than room: what fits has been written.
 */
struct iommu_owner_pasid_list {
	__u32 size;
	__u32 flags;
	__aligned_u64 pasids;
	__u32 nr_pasids;
	__u32 pasid_size;
};

#define IOMMU_OWNER_PASID_LIST _IO(IOMMU_OWNER_TYPE, \
				   IOMMU_OWNER_CMD_PASID_LIST)

/**
 * struct iommu_owner_pasid_map - ioctl(IOMMU_OWNER_PASID_MAP) on a token
 * @size: sizeof(struct iommu_owner_pasid_map)
 * @flags: IOMMU_OWNER_PASID_UNMAP: @guest is no PASID any more
 * @pasid: The PASID; 0 with IOMMU_OWNER_PASID_UNMAP
 * @guest: Number that the guest has for it, at least 1 and below 2^20
 *
 * Needs PASID. A number in the guest is one PASID, and a PASID has one number there.
 * To map to the same number again changes nothing. Drivers of devices whose guest writes
 * PASIDs into registers translate them.
 *
 * Return: 0; EEXIST if @guest is another PASID, or @pasid has another number; EACCES
 * if @pasid is not the owner's; ENOENT if @pasid is not allocated or being freed, or
 * if @guest that is to be unmapped is no PASID.
 */
struct iommu_owner_pasid_map {
	__u32 size;
	__u32 flags;
#define IOMMU_OWNER_PASID_UNMAP		(1U << 0)
	__u32 pasid;
	__u32 guest;
};

#define IOMMU_OWNER_PASID_MAP _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_PASID_MAP)

/**
 * struct iommu_owner_pasid_permit - ioctl(IOMMU_OWNER_PASID_PERMIT) on a token
 * @size: sizeof(struct iommu_owner_pasid_permit)
 * @flags: Must be 0
 * @fd: File of an open VFIO device whose driver loads PASIDs
 * @pasid: The PASID
 *
 * Needs PASID. The device may load the PASID until IOMMU_OWNER_PASID_DENY, until the
 * PASID is freed or until the device is closed. A device may load none when it is
 * opened, and belongs to the owner of the first one until it is closed. To permit again
 * changes nothing.
 *
 * Return: 0; EBADF if @fd is not open; EBADFD if it is no file of VFIO or iommufd;
 * EOPNOTSUPP also if it is no device, or its driver does not load PASIDs; EINVAL also if
 * the file has no access to the device yet; ESTALE also if the device has been revoked;
 * EACCES if @pasid is not the owner's, or the device is another owner's; ENOENT if
 * @pasid is not allocated, or being freed; EBUSY if another device of the same function
 * may load it, or this one has not unloaded it since it was denied.
 */
struct iommu_owner_pasid_permit {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 pasid;
};

#define IOMMU_OWNER_PASID_PERMIT _IO(IOMMU_OWNER_TYPE, \
				     IOMMU_OWNER_CMD_PASID_PERMIT)

/**
 * struct iommu_owner_pasid_deny - ioctl(IOMMU_OWNER_PASID_DENY) on a token
 * @size: sizeof(struct iommu_owner_pasid_deny)
 * @flags: Must be 0
 * @fd: File of an open VFIO device
 * @pasid: The PASID
 *
 * Needs PASID. Undo IOMMU_OWNER_PASID_PERMIT. When it returns, the DMA of the device
 * with the PASID is blocked; when it returns 0, the device has unloaded it as well.
 *
 * Return: As IOMMU_OWNER_PASID_PERMIT, but for EBUSY; ENOENT also if the device may not
 * load the PASID; ETIMEDOUT if the device has not unloaded it within 5 s, EINTR if the
 * caller was killed: to deny again waits again.
 */
struct iommu_owner_pasid_deny {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 pasid;
};

#define IOMMU_OWNER_PASID_DENY _IO(IOMMU_OWNER_TYPE, \
				   IOMMU_OWNER_CMD_PASID_DENY)

/* Bytes of evidence that one ioctl gives at most */
#define IOMMU_OWNER_EVIDENCE_MAX	65536

/**
 * enum iommu_owner_evidence_kind - What a device shows to be trusted with private memory
 * @IOMMU_OWNER_EVIDENCE_CERTIFICATES: Its certificate chain.
 * @IOMMU_OWNER_EVIDENCE_VCA: What was negotiated for the measurements.
 * @IOMMU_OWNER_EVIDENCE_MEASUREMENTS: The signed measurements of its firmware.
 * @IOMMU_OWNER_EVIDENCE_REPORT: The report of the interface that was locked.
 *
 * In the formats of SPDM and TDISP; the kernel does not look into them.
 */
enum iommu_owner_evidence_kind {
	IOMMU_OWNER_EVIDENCE_CERTIFICATES,
	IOMMU_OWNER_EVIDENCE_VCA,
	IOMMU_OWNER_EVIDENCE_MEASUREMENTS,
	IOMMU_OWNER_EVIDENCE_REPORT,
};

/**
 * struct iommu_owner_evidence - ioctl(IOMMU_OWNER_EVIDENCE) on /dev/iommu-owner
 * @size: sizeof(struct iommu_owner_evidence)
 * @flags: Must be 0
 * @group: Number of the group of the device
 * @kind: enum iommu_owner_evidence_kind
 * @generation: 0, or the generation that the caller has read a part of; on return the
 *	one that this part is of, to be written to tsm/accept with the decision
 * @offset: Where the part begins, in bytes
 * @data: Where it goes
 * @length: Room at @data, 1 to IOMMU_OWNER_EVIDENCE_MAX; on return the bytes of the part,
 *	0 at the end
 * @__reserved: Must be 0
 * @out_total: Length of the whole evidence of this kind, in bytes
 * @device: Name of the device
 *
 * Read a part of the evidence of a device that a TEE security manager has locked.
 *
 * Return: 0; EINVAL also if the device is not locked, or @kind is none; EAGAIN if the
 * evidence is not that of @generation any more: start again from the beginning; EIO if
 * the view of the device is lost; ENODEV if there is no such device; EINTR if the caller
 * was interrupted; or the error of the TEE security manager.
 */
struct iommu_owner_evidence {
	__u32 size;
	__u32 flags;
	__u32 group;
	__u32 kind;
	__aligned_u64 generation;
	__aligned_u64 offset;
	__aligned_u64 data;
	__u32 length;
	__u32 __reserved;
	__aligned_u64 out_total;
	__u8 device[IOMMU_OWNER_DEVICE_LEN];
};

#define IOMMU_OWNER_EVIDENCE _IO(IOMMU_OWNER_TYPE, IOMMU_OWNER_CMD_EVIDENCE)

/**
 * enum iommu_owner_event_type - What has happened to an owner
 * @IOMMU_OWNER_EVENT_LOST: The token was read too late: &iommu_owner_event.lost
 *	events that were to be read now are missing.
 * @IOMMU_OWNER_EVENT_CLAIMED: A group was claimed or reserved.
 * @IOMMU_OWNER_EVENT_RELEASED: A claim or the reservation of a group was
 *	released, and the ownership goes on.
 * @IOMMU_OWNER_EVENT_REVOKED: The owner is being revoked.
 * @IOMMU_OWNER_EVENT_ENDED: The ownership of a group has ended. The state is what
 *	the group has become: the kernel's, or in quarantine.
 * @IOMMU_OWNER_EVENT_PROBE_REFUSED: A driver was refused a device.
 * @IOMMU_OWNER_EVENT_DEVICE_ADDED: A device has joined a group.
 * @IOMMU_OWNER_EVENT_ACCESS_REFUSED: A process of the host tried to reach a
 *	device past its driver and was refused: by sysfs, procfs, a system call
 *	or /dev/mem, or in a mapping that it had made before.
 * @IOMMU_OWNER_EVENT_DEVICE_REMOVED: A device has left a group. If it was the
 *	last one, the end of the ownership follows.
 * @IOMMU_OWNER_EVENT_PASID_ALLOCATED: A PASID was allocated.
 * @IOMMU_OWNER_EVENT_PASID_BOUND: A device may load a PASID.
 * @IOMMU_OWNER_EVENT_PASID_UNBOUND: A device may not load a PASID any more, and does
 *	no DMA with it.
 * @IOMMU_OWNER_EVENT_PASID_FREE_PENDING: A PASID is being freed, and is reclaimed when
 *	no device and nothing else in the kernel refers to it any more.
 * @IOMMU_OWNER_EVENT_PASID_FREED: A PASID has been reclaimed.
 * @IOMMU_OWNER_EVENT_PASID_DENIED: The user of a device of the owner had it load a
 *	PASID that it may not load, and was refused. At most ten in 5 s for each open
 *	device.
 */
enum iommu_owner_event_type {
	IOMMU_OWNER_EVENT_LOST,
	IOMMU_OWNER_EVENT_CLAIMED,
	IOMMU_OWNER_EVENT_RELEASED,
	IOMMU_OWNER_EVENT_REVOKED,
	IOMMU_OWNER_EVENT_ENDED,
	IOMMU_OWNER_EVENT_PROBE_REFUSED,
	IOMMU_OWNER_EVENT_DEVICE_ADDED,
	IOMMU_OWNER_EVENT_ACCESS_REFUSED,
	IOMMU_OWNER_EVENT_DEVICE_REMOVED,
	IOMMU_OWNER_EVENT_PASID_ALLOCATED,
	IOMMU_OWNER_EVENT_PASID_BOUND,
	IOMMU_OWNER_EVENT_PASID_UNBOUND,
	IOMMU_OWNER_EVENT_PASID_FREE_PENDING,
	IOMMU_OWNER_EVENT_PASID_FREED,
	IOMMU_OWNER_EVENT_PASID_DENIED,
};

/**
 * struct iommu_owner_event - Record that read() of a token gives
 * @size: Size of this record: the next one follows at that distance
 * @type: enum iommu_owner_event_type; ignore what is not known
 * @sequence: Number of the event, counted for each owner from 0. A token for one
 *	group does not see them all
 * @time: When, in nanoseconds of CLOCK_MONOTONIC
 * @generation: Generation of the group; a change of its state, which comes last,
 *	moves it once more
 * @group: Number of the group; -1 if the event is about the owner
 * @state: enum iommu_owner_state of the group
 * @reason: enum iommu_owner_reason, if the ownership has ended
 * @claims: Claims of the owner on the group
 * @lost: Number of events of the owner that are missing; the last of them is
 *	@sequence
 * @pid: Process that caused it, in the pid namespace of the reader; 0 if it has
 *	none there
 * @comm: Command of that process
 * @driver: Name of the driver, if one was refused; if an access was refused, the
 *	access path: the name of the file in sysfs, "config write", "procfs write",
 *	"procfs mmap", "procfs ioctl", "pciconfig_write", "/dev/mem", "/dev/mem
 *	mmap", or "fault" for a mapping that was there before. There may be others
 * @device: Name of the device, if one was added or removed, a driver or an access
 *	was refused, or it may or may not load a PASID
 * @pasid: The PASID, if the event is about one
 * @__reserved32: 0
 * @__reserved: 0
 *
 * Needs INSPECT. read() gives as many whole records as there are and fit. It
 * waits for the first, or fails with EAGAIN if the file is in non-blocking mode.
 * After the owner has been revoked and its last event read it returns 0, and
 * poll() returns POLLHUP. It fails with EINVAL if not even one record fits.
 * Records do not get longer than this one: what is new goes into @__reserved.
 */
struct iommu_owner_event {
	__u32 size;
	__u32 type;
	__aligned_u64 sequence;
	__aligned_u64 time;
	__aligned_u64 generation;
	__s32 group;
	__u32 state;
	__u32 reason;
	__u32 claims;
	__u32 lost;
	__s32 pid;
	__u8 comm[IOMMU_OWNER_COMM_LEN];
	__u8 driver[IOMMU_OWNER_DRIVER_LEN];
	__u8 device[IOMMU_OWNER_DEVICE_LEN];
	__u32 pasid;
	__u32 __reserved32;
	__aligned_u64 __reserved[2];
};

#endif /* _UAPI_LINUX_IOMMU_OWNER_H */
