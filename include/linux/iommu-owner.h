/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA ownership of IOMMU groups
 *
 * A group is wholly the kernel's or wholly one owner's. See
 * Documentation/driver-api/iommu-owner.rst.
 */
#ifndef __LINUX_IOMMU_OWNER_H
#define __LINUX_IOMMU_OWNER_H

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <uapi/linux/iommu-owner.h>

/*
 * Those that this kernel knows, those that a token of a file may have, and those
 * of a token for one group
 */
#define IOMMU_OWNER_RIGHTS_ALL	((IOMMU_OWNER_RIGHT_PASID << 1) - 1)
#define IOMMU_OWNER_RIGHTS_FILE	(IOMMU_OWNER_RIGHTS_ALL & \
				 ~(IOMMU_OWNER_RIGHT_TAKE | \
				   IOMMU_OWNER_RIGHT_PASID))
#define IOMMU_OWNER_RIGHTS_GROUP (IOMMU_OWNER_RIGHT_INSPECT | \
				  IOMMU_OWNER_RIGHT_ASSOCIATE | \
				  IOMMU_OWNER_RIGHT_GRANT)

struct device;
struct file;
struct iommu_owner;
struct iommu_owner_pasid_device;
struct kvm;
struct module;
struct pci_dev;
struct pid;

/**
 * struct iommu_owner_end - The end of an ownership
 * @group: Number of the group.
 * @reason: Why.
 */
struct iommu_owner_end {
	int group;
	enum iommu_owner_reason reason;
};

/**
 * enum iommu_owner_watch_class - Order in which watches are notified
 * @IOMMU_OWNER_WATCH_CPU: What runs a guest, first.
 * @IOMMU_OWNER_WATCH_DEVICE: What hands devices to user space.
 */
enum iommu_owner_watch_class {
	IOMMU_OWNER_WATCH_CPU,
	IOMMU_OWNER_WATCH_DEVICE,
};

struct iommu_owner_watch;

/**
 * struct iommu_owner_watch_ops - Notifications of a watch
 * @shut: An ownership ends: DMA is blocked and stays so. Revoke what user
 *	space has of the group, without waiting for user space, for an operation,
 *	or for a lock that an operation has. Called once for each end, also for
 *	several groups at a time, and with locks of the caller that released the
 *	group if @end says released. Return 0 if nothing is left, or
 *	-EINPROGRESS: then iommu_owner_watch_drained() follows, which may come
 *	first. Only for a watch of one group. Optional.
 * @claimed: The owner has claimed a group. Optional.
 *
 * In process context, with no lock of the IOMMU core held.
 */
struct iommu_owner_watch_ops {
	int (*shut)(struct iommu_owner_watch *watch,
		    const struct iommu_owner_end *end);
	void (*claimed)(struct iommu_owner_watch *watch);
};

/**
 * struct iommu_owner_vm - A virtual machine that an owner can belong to
 * @kvm: The VM. An owner belongs to one at most.
 * @module: Holds @get and @put.
 * @get: Take a reference to the VM, or return false if it is going away.
 * @put: Drop it.
 */
struct iommu_owner_vm {
	struct kvm *kvm;
	struct module *module;
	bool (*get)(struct kvm *kvm);
	void (*put)(struct kvm *kvm);
};

/**
 * struct iommu_owner_watch - A party that is notified when an ownership ends
 * @ops: Callbacks.
 * @class: When in the order.
 * @vm: The VM that the owner is associated with by this watch, or NULL.
 * @group: The only group that matters, or NULL. Must stay until the watch has
 *	drained.
 * @owner: The owner that is watched, with a reference, or NULL. This and what
 *	follows is private to the core.
 * @node: Entry in the watches of @owner.
 * @number: In the order in which watches of @owner came.
 * @users: Callbacks that run now.
 * @dead: No callback may start.
 * @draining: User space may still have access through what the watch stands for.
 */
struct iommu_owner_watch {
	const struct iommu_owner_watch_ops *ops;
	enum iommu_owner_watch_class class;
	const struct iommu_owner_vm *vm;
	struct iommu_group *group;
	struct iommu_owner *owner;
	struct list_head node;
	u64 number;
	unsigned int users;
	bool dead;
	bool draining;
};

/**
 * struct iommu_owner_provider - A kind of files that stand for an owner
 * @fops: The files. Its module holds the callbacks while a file is open.
 * @owner: The owner of a file, with a reference, and the rights of the holder of
 *	the file; -ENODEV if it has none yet, -ESTALE if it has been revoked.
 * @set_owner: Claim with this owner and these rights from now on; -EBUSY if
 *	the file has claimed or belongs to a VM, -EINVAL if it never claims.
 *	Optional.
 * @watch: Watch the owner of a file, now or as soon as it has one, and
 *	associate it with the VM of the watch: -EBUSY if it belongs to another
 *	VM, -EPERM without the right. -ENODEV is no error here. Optional, with
 *	@unwatch and @enforced_coherent.
 * @unwatch: Undo @watch; may sleep until the callback has returned.
 * @enforced_coherent: Is all DMA of the file coherent with the caches?
 * @group: The group of a file with a reference, or NULL. Optional.
 * @token_group: The only group that tokens of a file give access to, with a
 *	reference; -ENODEV if its device is gone. Tokens of a file without this
 *	are for all groups of the owner. Called after @owner. Optional.
 * @enter: Start an operation on the device of a file, which is returned: it is open
 *	until @leave, and @file has access to it. An ERR_PTR otherwise: -EINVAL if
 *	it has none yet, -ESTALE if the device has been revoked. Optional, with @leave.
 * @leave: Finish the operation.
 * @node: Entry in the providers.
 *
 * All may sleep, are called with a reference to the file and without locks of
 * the IOMMU core.
 */
struct iommu_owner_provider {
	const struct file_operations *fops;
	struct iommu_owner *(*owner)(struct file *file, u32 *rights);
	int (*set_owner)(struct file *file, struct iommu_owner *owner,
			 u32 rights);
	int (*watch)(struct file *file, struct iommu_owner_watch *watch);
	void (*unwatch)(struct file *file, struct iommu_owner_watch *watch);
	bool (*enforced_coherent)(struct file *file);
	struct iommu_group *(*group)(struct file *file);
	struct iommu_group *(*token_group)(struct file *file);
	struct device *(*enter)(struct file *file);
	void (*leave)(struct file *file);
	struct list_head node;
};

/**
 * struct iommu_owner_pasid_ops - Callbacks of a driver that loads PASIDs
 * @unload: A PASID was denied to the device of the driver, and no load of it can
 *	start: stop what uses it. When this returns, the device issues nothing with the
 *	PASID. Its page table is detached already, so what is in flight may fault.
 *	Once for each PASID that leaves the list.
 *
 * In process context, with no lock of the IOMMU core held. They must not wait for user
 * space, for a load or for a lock that is held around iommu_owner_pasid_close(), and
 * must not call functions of PASIDs.
 */
struct iommu_owner_pasid_ops {
	void (*unload)(struct device *dev, ioasid_t pasid);
};

/**
 * struct iommu_owner_blocker - One device that conflicts with a claim
 * @dev: The device; a reference is held.
 * @driver: Name of the driver that uses the DMA API on it.
 */
struct iommu_owner_blocker {
	struct device *dev;
	char *driver;
};

/**
 * struct iommu_owner_access - The host reaches for a device past its driver
 * @dev: The device.
 * @group: Its group.
 * @pid: The process that does it, in the initial namespace.
 * @process: The same, with a reference.
 * @refused: It was refused; else it was allowed.
 * @comm: Command of that process.
 * @path: The way that it takes, in a word.
 */
struct iommu_owner_access {
	struct device *dev;
	struct iommu_group *group;
	pid_t pid;
	struct pid *process;
	bool refused;
	char comm[TASK_COMM_LEN];
	char path[IOMMU_OWNER_DRIVER_LEN];
};

/**
 * struct iommu_owner_info - One locked view of the ownership of a group
 * @generation: Moves with every change of the ownership.
 * @state: State of ownership.
 * @name: Name of the owner, of the driver for PRIVATE, "kernel" otherwise.
 * @comm: Command of the task that claimed the group; empty for the kernel.
 * @pid: Process id of that task in the namespace of the caller; 0 for the kernel.
 * @quarantine: What keeps the group in quarantine, or NULL.
 * @group: Number of the group.
 * @claims: Number of claims that the owner has on the group.
 * @devices: Number of devices in the group.
 * @nr_blockers: Number of entries in @blockers.
 * @blockers: The devices whose drivers conflict with a claim.
 */
struct iommu_owner_info {
	u64 generation;
	enum iommu_owner_state state;
	char name[IOMMU_OWNER_NAME_LEN];
	char comm[TASK_COMM_LEN];
	pid_t pid;
	const char *quarantine;
	int group;
	unsigned int claims;
	unsigned int devices;
	unsigned int nr_blockers;
	struct iommu_owner_blocker *blockers;
};

/**
 * enum iommu_owner_isolation_bit - What keeps a group apart from everything else
 * @IOMMU_OWNER_ISO_TRANSLATED: The IOMMU translates or blocks all DMA, and no
 *	device is emulated in a way that does not ask it.
 * @IOMMU_OWNER_ISO_NO_DIRECT: No device has a reserved region that is mapped to
 *	itself; those that the kernel may take away do not count.
 * @IOMMU_OWNER_ISO_ISOLATED_MSI: Each device can raise its own interrupts only.
 * @IOMMU_OWNER_ISO_ACS: Each port above a PCI device sends requests up to the
 *	IOMMU and nowhere else. Also held without a port above, and by devices
 *	that are not on a PCI bus.
 * @IOMMU_OWNER_ISO_NO_SIBLING: No driver uses the DMA API on a device.
 * @IOMMU_OWNER_ISO_STRICT: What is unmapped is out of reach at once.
 * @IOMMU_OWNER_ISO_ATS: The IOMMU refuses what a device says to be translated,
 *	or the administrator trusts the device with it (iommu_owner.trust_ats) and
 *	the kernel is not locked down.
 * @IOMMU_OWNER_ISO_SNOOP: The IOMMU can make all DMA coherent with the caches.
 *	VFIO and iommufd have it do so where it can.
 * @IOMMU_OWNER_ISO_NO_FOREIGN_PASID: Nobody but the owner has attached a PASID.
 *
 * Each holds for all devices of the group. An unknown property counts as missing.
 */
enum iommu_owner_isolation_bit {
	IOMMU_OWNER_ISO_TRANSLATED		= BIT(0),
	IOMMU_OWNER_ISO_NO_DIRECT		= BIT(1),
	IOMMU_OWNER_ISO_ISOLATED_MSI		= BIT(2),
	IOMMU_OWNER_ISO_ACS			= BIT(3),
	IOMMU_OWNER_ISO_NO_SIBLING		= BIT(4),
	IOMMU_OWNER_ISO_STRICT			= BIT(5),
	IOMMU_OWNER_ISO_ATS			= BIT(6),
	IOMMU_OWNER_ISO_SNOOP			= BIT(7),
	IOMMU_OWNER_ISO_NO_FOREIGN_PASID	= BIT(8),
};

#define IOMMU_OWNER_ISO_ALL	(BIT(9) - 1)
/*
 * Those that a domain decides, and those that each device decides for itself. For
 * one, both have to agree.
 */
#define IOMMU_OWNER_ISO_DOMAIN	(IOMMU_OWNER_ISO_TRANSLATED | \
				 IOMMU_OWNER_ISO_STRICT)
#define IOMMU_OWNER_ISO_DEVICE	(IOMMU_OWNER_ISO_TRANSLATED | \
				 IOMMU_OWNER_ISO_NO_DIRECT | \
				 IOMMU_OWNER_ISO_ISOLATED_MSI | \
				 IOMMU_OWNER_ISO_ACS | IOMMU_OWNER_ISO_ATS | \
				 IOMMU_OWNER_ISO_SNOOP)

/**
 * struct iommu_owner_isolation_report - One locked view of a group's isolation
 * @generation: Of the group, see &iommu_owner_info.generation.
 * @group: Number of the group.
 * @held: The bits of &enum iommu_owner_isolation_bit that are held.
 * @missing: All others.
 */
struct iommu_owner_isolation_report {
	u64 generation;
	int group;
	u32 held;
	u32 missing;
};

/**
 * struct iommu_owner_lease - Somebody relies on a group staying isolated
 * @missing: The bits for want of which the lease was refused.
 * @required: The bits that stay held. This and what follows is private to the
 *	core.
 * @lost: See iommu_owner_isolation_lost().
 * @holder: Name for reports.
 * @group: The group, with a reference; NULL in the lease of an owner.
 * @node: Entry in the leases of the group.
 * @msi_node: Entry in those of all groups that require isolated interrupts.
 */
struct iommu_owner_lease {
	u32 missing;
	u32 required;
	bool lost;
	const char *holder;
	struct iommu_group *group;
	struct hlist_node node;
	struct hlist_node msi_node;
};

#ifdef CONFIG_IOMMU_API

struct iommu_owner *iommu_owner_alloc(const char *name);
struct iommu_owner *iommu_owner_get(struct iommu_owner *owner);
void iommu_owner_put(struct iommu_owner *owner);

int iommu_owner_claim_group(struct iommu_owner *owner,
			    struct iommu_group *group);
int iommu_owner_release_group(struct iommu_owner *owner,
			      struct iommu_group *group);
int iommu_owner_claim_device(struct iommu_owner *owner, struct device *dev);
int iommu_owner_release_device(struct iommu_owner *owner, struct device *dev);
int iommu_owner_handover_device(struct iommu_owner *owner, struct device *dev);

int iommu_owner_reserve_group(struct iommu_owner *owner,
			      struct iommu_group *group);
int iommu_owner_unreserve_group(struct iommu_owner *owner,
				struct iommu_group *group);
int iommu_owner_clear_quarantine(struct iommu_group *group);

int iommu_owner_device_used(struct device *dev);
int iommu_owner_device_quiesced(struct device *dev);
void iommu_owner_retry_device(struct device *dev);

int iommu_owner_watch(struct iommu_owner *owner,
		      struct iommu_owner_watch *watch);
void iommu_owner_unwatch(struct iommu_owner_watch *watch);
void iommu_owner_watch_drained(struct iommu_owner_watch *watch);
int iommu_owner_revoke(struct iommu_owner *owner);
bool iommu_owner_revoked(struct iommu_owner *owner);
int iommu_owner_forbid_revoke(struct iommu_owner *owner);
void iommu_owner_allow_revoke(struct iommu_owner *owner);

void iommu_owner_register_provider(struct iommu_owner_provider *provider);
void iommu_owner_unregister_provider(struct iommu_owner_provider *provider);
const struct iommu_owner_provider *iommu_owner_provider(struct file *file);
struct iommu_owner *iommu_owner_from_file(struct file *file, u32 *rights);

int iommu_owner_attach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group);
int iommu_owner_detach_group(struct iommu_owner *owner,
			     struct iommu_domain *domain,
			     struct iommu_group *group);
int iommu_owner_attach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev);
int iommu_owner_detach_device(struct iommu_owner *owner,
			      struct iommu_domain *domain, struct device *dev);
int iommu_owner_attach_device_pasid(struct iommu_owner *owner,
				    struct iommu_domain *domain,
				    struct device *dev, ioasid_t pasid,
				    struct iommu_attach_handle *handle);
int iommu_owner_replace_device_pasid(struct iommu_owner *owner,
				     struct iommu_domain *domain,
				     struct device *dev, ioasid_t pasid,
				     struct iommu_attach_handle *handle);
int iommu_owner_detach_device_pasid(struct iommu_owner *owner,
				    struct iommu_domain *domain,
				    struct device *dev, ioasid_t pasid);

struct iommu_owner_pasid_device *
iommu_owner_pasid_open(struct device *dev,
		       const struct iommu_owner_pasid_ops *ops);
void iommu_owner_pasid_close(struct iommu_owner_pasid_device *device);
int iommu_owner_pasid_load_lock(struct iommu_owner_pasid_device *device);
void iommu_owner_pasid_load_unlock(struct iommu_owner_pasid_device *device,
				   int index);
ioasid_t iommu_owner_pasid_translate(struct iommu_owner_pasid_device *device,
				     ioasid_t guest);
bool iommu_owner_pasid_allowed(struct iommu_owner_pasid_device *device,
			       ioasid_t pasid);
int iommu_owner_pasid_attach(struct iommu_owner_pasid_device *device,
			     struct iommu_domain *domain, ioasid_t pasid);

bool iommu_owner_group_viable(struct iommu_group *group,
			      struct iommu_owner *owner);
int iommu_owner_snapshot(struct iommu_group *group,
			 struct iommu_owner_info *info);
void iommu_owner_snapshot_free(struct iommu_owner_info *info);
const char *iommu_owner_state_name(enum iommu_owner_state state);

int iommu_owner_isolation(struct device *dev,
			  struct iommu_owner_isolation_report *report);
int iommu_owner_isolation_lease(struct device *dev, u32 required,
				const char *holder,
				struct iommu_owner_lease *lease);
bool iommu_owner_isolation_lost(const struct iommu_owner_lease *lease);
void iommu_owner_isolation_put(struct iommu_owner_lease *lease);
bool iommu_owner_refuses_ats(struct device *dev);
int iommu_owner_acs_may_write(struct pci_dev *port, int pos, size_t size);
int iommu_owner_acs_write_start(struct pci_dev *port, int pos, size_t size);
void iommu_owner_acs_write_end(struct pci_dev *port, int pos, size_t size);
int iommu_owner_set_unsafe_interrupts(bool *allow, bool value, const char *who);
extern const struct kernel_param_ops iommu_owner_waiver_ops;
extern const struct kernel_param_ops iommu_owner_msi_waiver_ops;
bool iommu_owner_waived(const bool *waiver);

#else /* !CONFIG_IOMMU_API */

static inline struct iommu_owner *iommu_owner_alloc(const char *name)
{
	return ERR_PTR(-ENODEV);
}

static inline struct iommu_owner *iommu_owner_get(struct iommu_owner *owner)
{
	return owner;
}

static inline void iommu_owner_put(struct iommu_owner *owner)
{
}

static inline int iommu_owner_claim_group(struct iommu_owner *owner,
					  struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_release_group(struct iommu_owner *owner,
					    struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_claim_device(struct iommu_owner *owner,
					   struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_release_device(struct iommu_owner *owner,
					     struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_handover_device(struct iommu_owner *owner,
					      struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_reserve_group(struct iommu_owner *owner,
					    struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_unreserve_group(struct iommu_owner *owner,
					      struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_clear_quarantine(struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_device_used(struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_device_quiesced(struct device *dev)
{
	return -ENODEV;
}

static inline void iommu_owner_retry_device(struct device *dev)
{
}

static inline int iommu_owner_watch(struct iommu_owner *owner,
				    struct iommu_owner_watch *watch)
{
	return -ENODEV;
}

static inline void iommu_owner_unwatch(struct iommu_owner_watch *watch)
{
}

static inline void
iommu_owner_watch_drained(struct iommu_owner_watch *watch)
{
}

static inline int iommu_owner_revoke(struct iommu_owner *owner)
{
	return -ENODEV;
}

static inline bool iommu_owner_revoked(struct iommu_owner *owner)
{
	return false;
}

static inline int iommu_owner_forbid_revoke(struct iommu_owner *owner)
{
	return 0;
}

static inline void iommu_owner_allow_revoke(struct iommu_owner *owner)
{
}

static inline void
iommu_owner_register_provider(struct iommu_owner_provider *provider)
{
}

static inline void
iommu_owner_unregister_provider(struct iommu_owner_provider *provider)
{
}

static inline const struct iommu_owner_provider *
iommu_owner_provider(struct file *file)
{
	return NULL;
}

static inline struct iommu_owner *iommu_owner_from_file(struct file *file,
							u32 *rights)
{
	return ERR_PTR(-EBADFD);
}

static inline int iommu_owner_attach_group(struct iommu_owner *owner,
					   struct iommu_domain *domain,
					   struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_detach_group(struct iommu_owner *owner,
					   struct iommu_domain *domain,
					   struct iommu_group *group)
{
	return -ENODEV;
}

static inline int iommu_owner_attach_device(struct iommu_owner *owner,
					    struct iommu_domain *domain,
					    struct device *dev)
{
	return -ENODEV;
}

static inline int iommu_owner_detach_device(struct iommu_owner *owner,
					    struct iommu_domain *domain,
					    struct device *dev)
{
	return -ENODEV;
}

static inline int
iommu_owner_attach_device_pasid(struct iommu_owner *owner,
				struct iommu_domain *domain,
				struct device *dev, ioasid_t pasid,
				struct iommu_attach_handle *handle)
{
	return -ENODEV;
}

static inline int
iommu_owner_replace_device_pasid(struct iommu_owner *owner,
				 struct iommu_domain *domain,
				 struct device *dev, ioasid_t pasid,
				 struct iommu_attach_handle *handle)
{
	return -ENODEV;
}

static inline int
iommu_owner_detach_device_pasid(struct iommu_owner *owner,
				struct iommu_domain *domain,
				struct device *dev, ioasid_t pasid)
{
	return -ENODEV;
}

static inline bool iommu_owner_group_viable(struct iommu_group *group,
					    struct iommu_owner *owner)
{
	return false;
}

static inline int iommu_owner_snapshot(struct iommu_group *group,
				       struct iommu_owner_info *info)
{
	return -ENODEV;
}

static inline void iommu_owner_snapshot_free(struct iommu_owner_info *info)
{
}

static inline const char *iommu_owner_state_name(enum iommu_owner_state state)
{
	return "";
}

static inline int
iommu_owner_isolation(struct device *dev,
		      struct iommu_owner_isolation_report *report)
{
	return -ENODEV;
}

static inline int iommu_owner_isolation_lease(struct device *dev, u32 required,
					      const char *holder,
					      struct iommu_owner_lease *lease)
{
	return -ENODEV;
}

static inline void iommu_owner_isolation_put(struct iommu_owner_lease *lease)
{
}

static inline bool iommu_owner_refuses_ats(struct device *dev)
{
	return false;
}

static inline int iommu_owner_acs_may_write(struct pci_dev *port, int pos,
					    size_t size)
{
	return 0;
}

static inline int iommu_owner_acs_write_start(struct pci_dev *port, int pos,
					      size_t size)
{
	return 0;
}

static inline void iommu_owner_acs_write_end(struct pci_dev *port, int pos,
					     size_t size)
{
}

static inline int iommu_owner_set_unsafe_interrupts(bool *allow, bool value,
						    const char *who)
{
	*allow = value;
	return 0;
}

#endif /* CONFIG_IOMMU_API */

#ifdef CONFIG_IOMMU_OWNER_GATE
void iommu_owner_report_access(const struct iommu_owner_access *access);
#endif

#ifdef CONFIG_IOMMU_OWNER_TOKEN
int iommu_owner_token_from_file_ioctl(struct file *file, void __user *arg);
#else
static inline int iommu_owner_token_from_file_ioctl(struct file *file,
						    void __user *arg)
{
	return -ENOTTY;
}
#endif

#endif /* __LINUX_IOMMU_OWNER_H */
