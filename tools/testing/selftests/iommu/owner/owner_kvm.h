/* SPDX-License-Identifier: GPL-2.0 */
/* VMs, and the device of each that files of VFIO and tokens are added to */
#ifndef __IOMMU_OWNER_KVM_H
#define __IOMMU_OWNER_KVM_H

#include <fcntl.h>

#include <linux/kvm.h>

#include "owner_lib.h"

#define NO_KVM		"no /dev/kvm"

struct vm {
	int fd;
	int device;
};

/* The module that is for this processor */
static inline void load_kvm(void)
{
	if (load_module("kvm_amd"))
		load_module("kvm_intel");
}

static inline void vm_close(struct vm *vm)
{
	close_fd(&vm->device);
	close_fd(&vm->fd);
}

static inline int vm_open(struct vm *vm)
{
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int ret;

	*vm = (struct vm){ .fd = -1, .device = -1 };
	if (kvm < 0)
		return -errno;
	vm->fd = call(kvm, KVM_CREATE_VM, NULL);
	close_fd(&kvm);
	if (vm->fd < 0)
		return vm->fd;
	ret = call(vm->fd, KVM_CREATE_DEVICE, &cmd);
	if (ret)
		vm_close(vm);
	else
		vm->device = cmd.fd;
	return ret;
}

static inline int vm_file(const struct vm *vm, __u64 attr, int fd)
{
	struct kvm_device_attr cmd = {
		.group = KVM_DEV_VFIO_FILE, .attr = attr,
		.addr = (uintptr_t)&fd,
	};

	return call(vm->device, KVM_SET_DEVICE_ATTR, &cmd);
}

static inline int vm_add(const struct vm *vm, int fd)
{
	return vm_file(vm, KVM_DEV_VFIO_FILE_ADD, fd);
}

static inline int vm_del(const struct vm *vm, int fd)
{
	return vm_file(vm, KVM_DEV_VFIO_FILE_DEL, fd);
}

#endif /* __IOMMU_OWNER_KVM_H */
