/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the ownership of IOMMU groups share.
 *
 * Functions that can fail return 0 or a negative errno, so that a test can say
 * which one it expects. The devices that the tests need are those of QEMU:
 *
 *	edu		an edu device that is alone in its group
 *	edu + e1000	an edu device and an e1000 network card that share a
 *			group, for example behind -device pcie-pci-bridge
 */
#ifndef __IOMMU_OWNER_LIB_H
#define __IOMMU_OWNER_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/vfio.h>

#include "../../kselftest.h"
#include "owner_call.h"

/* The driver that a test binds to make a device the kernel's: it is quick */
#define KERNEL_DRIVER	"uio_pci_generic"
#define NIC_DRIVER	"e1000"
#define STUB_DRIVER	"pci-stub"
#define USER_DRIVER	"vfio-pci"

#define NO_EDU		"no edu device alone in its IOMMU group"
#define NO_SHARED	"no edu and e1000 that share an IOMMU group"
#define NO_TRACING	"no tracefs at /sys/kernel/tracing, or locked away"
#define NO_LOCKDOWN	"no lockdown in securityfs"
#define NO_FAIL		"no fail_function in debugfs for resets"
#define NO_COLUMN	"IOMMU_OWNER_COLUMN names no column of this program"
#define NOT_LOWER	"lockdown cannot be lowered"
#define NO_MONITOR	"no port owner.monitor to the monitor of QEMU"

/* Every wait for something that the kernel does in its own time ends here */
#define WAIT_MS		30000

/* sysfs */
int __printf(2, 3) put(const char *value, const char *path, ...);
int __printf(3, 4) get(char *buf, size_t size, const char *path, ...);
bool __printf(1, 2) exists(const char *path, ...);
/* The number that a symbolic link ends in */
int link_number(const char *path);
__u64 now_ms(void);
void nap(unsigned int ms);

/* The number of a closed file is -1 */
void close_fd(int *fd);

/* Modules; all that the tests use are there after load_modules() */
void load_modules(void);
int load_module(const char *name);
int unload_module(const char *name);

/* PCI devices */
struct pdev {
	char bdf[16];
	int group;
};

/* The first that has this id and its group for itself, as "0x1234" */
bool find_alone(struct pdev *pdev, const char *vendor, const char *device);
bool find_edu(struct pdev *edu);
bool find_shared(struct pdev *edu, struct pdev *nic);
/* The first and the last device with this id; its group is -ENOENT if it has none */
bool find_device(const char *vendor, const char *device, struct pdev *found);
bool find_device_last(const char *vendor, const char *device,
		      struct pdev *found);
/* An edu that shares a group with the port above it */
bool find_edu_below_port(struct pdev *edu);
int dev_group(const char *bdf);
/* A register of the config space; false, and 0, if it cannot be read */
bool dev_config(const struct pdev *pdev, unsigned int offset, __u32 *value);
/* Write a register, and the command register; 0 or a negative errno */
int dev_config_write(const struct pdev *pdev, unsigned int offset,
		     const void *value, size_t size);
int dev_command(const struct pdev *pdev, __u16 command);
/* Is the device on the bus behind one of these? */
#define PCI_BRIDGE	"0x000e"
#define ROOT_PORT	"0x000c"
bool dev_is_below(const char *bdf, const char *parent);
int driver_bind(const struct pdev *pdev, const char *driver);
int driver_unbind(const struct pdev *pdev);
void driver_clear(const struct pdev *pdev);
bool driver_is(const struct pdev *pdev, const char *driver);

/* A driver of UIO that offers BAR 0 of whatever it is bound to, and its file */
#define UIO_MODULE	"uio_cif"
#define UIO_DRIVER	"hilscher"
int uio_open(const struct pdev *pdev);

/* Lockdown can be raised, never lowered */
enum lockdown { NONE, INTEGRITY, CONFIDENTIALITY, LOCKDOWN_LEVELS };

int lockdown_level(void);
int lockdown_raise(enum lockdown level);

/* Ownership as sysfs reports it; the attributes are those of owner/ */
int owner_get(int group, const char *attr, char *buf, size_t size);
bool state_is(int group, const char *state);
/* It is at once, or within WAIT_MS */
bool state_becomes(int group, const char *state);
__u64 generation(int group);
int trust_set(int group, const char *trust);
bool trust_is(int group, const char *trust);
/* Give a group in quarantine back to the kernel */
int clear_quarantine(int group);
/* Make resets of PCI functions fail with -@error */
int fail_reset(int error);
void let_reset(void);

/*
 * Whether the host may touch a device that somebody has: "enforce", "log" or
 * "off". -ENOENT on a kernel that does not ask.
 */
#define GATE	"/sys/module/iommu_owner/parameters/gate"
int gate_set(const char *mode);

/* Lines that the kernel logs from klog_open() on; found in the order of time */
int klog_open(void);
bool klog_find_all(int fd, ...);
#define klog_find(fd, ...)	klog_find_all(fd, __VA_ARGS__, NULL)
/* Let the rate limit of the log lines recover */
void klog_recover(void);
/* The same after a line was not found; false if the kernel has none to limit */
bool klog_limited(int group);

/* Tracepoints of iommu_owner */
bool trace_there(void);
int trace_start(const char *event);
bool trace_find_all(const char *event, ...);
#define trace_find(event, ...)	trace_find_all(event, __VA_ARGS__, NULL)
void trace_stop(void);

/* Uevents of a group that tell of a state */
int uevent_open(void);
bool uevent_find(int fd, int group, const char *state, __u64 *generation,
		 unsigned int ms);

/* Where a device file of VFIO has the configuration space of a PCI device */
#define PCI_CONFIG	((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

/* Three ways to own a device from user space */
enum vfio_path {
	PATH_CONTAINER,	/* /dev/vfio/vfio and the group */
	PATH_COMPAT,	/* /dev/iommu as the container of the group */
	PATH_CDEV,	/* /dev/iommu and the device */
};

struct vfio {
	enum vfio_path path;
	int container;
	int group;
	int device;
	__u32 ioas;
	bool attached;
};

int vfio_open(struct vfio *vfio, enum vfio_path path, const struct pdev *pdev);
/* The step at which this path takes the group */
int vfio_claim(struct vfio *vfio, const struct pdev *pdev);
/* All that is missing until memory can be mapped */
int vfio_attach(struct vfio *vfio, const struct pdev *pdev);
int vfio_start(struct vfio *vfio, enum vfio_path path, const struct pdev *pdev);
void vfio_close(struct vfio *vfio);
int vfio_map(struct vfio *vfio, void *mem, __u64 iova, __u64 size);
int vfio_unmap(struct vfio *vfio, __u64 iova, __u64 size);
int vfio_request_event(struct vfio *vfio);
/* VFIO_GROUP_FLAGS_* of a group, or a negative errno */
int vfio_status(int group);
/* Name of the owner in reports */
const char *vfio_owner_name(enum vfio_path path);
/* The file that stands for the owner with all rights, if none was named */
int vfio_owner_file(const struct vfio *vfio);
/* The file that says which owner claims */
int vfio_claimer(const struct vfio *vfio);

/* A process that owns a device */
#define HOLDER_COMM	"owner-holder"

struct holder {
	pid_t pid;
	int to;
	int from;
};

enum holder_end {
	HOLDER_CLOSE,	/* close the files, then exit */
	HOLDER_EXIT,	/* exit with the files open */
	HOLDER_KILL,	/* killed by signal 9 */
};

int holder_start(struct holder *holder, enum vfio_path path,
		 const struct pdev *pdev);
bool holder_requested(struct holder *holder, unsigned int ms);
int holder_end(struct holder *holder, enum holder_end how);
/* Pass a file through a socket */
int send_fd(int sock, int fd);
int receive_fd(int sock);
/* Run put() in a process of its own: it may block */
pid_t put_async(const char *value, const char *path);
bool exited(pid_t pid, unsigned int ms);

/*
 * The registers of the edu device, through VFIO or past every driver; the latter
 * needs the gate to be off if somebody has the device
 */
#define EDU_LEN		128

void *edu_open_vfio(struct vfio *vfio);
void *edu_open_sysfs(const struct pdev *pdev);
void edu_close(void *bar);
bool edu_answers(void *bar);
/* Both return when the device has done it; EDU_LEN bytes go over the bus */
int edu_read_ram(void *bar, __u64 iova);
int edu_write_ram(void *bar, __u64 iova);
/* The same for a mapping that may fault: if it does, false or -EFAULT */
bool edu_try_answers(void *bar);
int edu_try_write_ram(void *bar, __u64 iova);

/* Memory with a pattern, and its address on the bus if nothing translates */
#define PATTERN		0xa5
#define CANARY		0x5a

unsigned char *page_alloc(int fill);
bool page_is(const unsigned char *page, int fill);
__u64 page_physical(const unsigned char *page);
/* Can the edu device write at the physical address of the canary, if it may master? */
bool canary_dies(const struct pdev *edu, unsigned char *canary);

/* Hot-plug through the monitor of QEMU */
bool monitor_there(void);
/* A command of QMP, and its arguments as the inside of a JSON object */
int monitor_ask(const char *command, const char *arguments);
/* The number that the command qom-get answers with */
int monitor_number(const char *arguments, __u64 *number);
/* Has QEMU no device of this id? The first one waits until it has none. */
bool monitor_gone(const char *id);
bool monitor_gone_now(const char *id);
/* The arguments that plug the devices of the shared group where they were */
#define EDU_IN_BRIDGE \
	"'driver':'edu','id':'edu1','bus':'bridge0','addr':'1.0'," \
	"'dma_mask':281474976710655"
#define NIC_IN_BRIDGE \
	"'driver':'e1000','id':'e1000a','bus':'bridge0','addr':'2.0'"
#define EDU_IN_PORT \
	"'driver':'edu','id':'edu2','bus':'port0','dma_mask':281474976710655"
#define NIC_IN_PORT	"'driver':'e1000','id':'e1000b','bus':'port1'"

#endif /* __IOMMU_OWNER_LIB_H */
