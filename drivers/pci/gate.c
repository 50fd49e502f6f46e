// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate before the raw access paths of the host to an owned PCI device
 *
 * While user space owns the IOMMU group of a device, has it reserved, or left it
 * in quarantine, the files by which the host writes the config space of the
 * device and reaches its BARs past every driver are shut. The access path of the
 * owner, VFIO, is another one and does not come by here.
 *
 * A BAR is mapped page by page, when it is touched, and each fault asks the gate.
 * That is how a mapping that races with the gate loses: a page that came before
 * is unmapped when the gate closes, a fault that comes later sees the gate. The
 * pages are looked up by number, not by device: one page can hold small BARs
 * of several devices, a mapping may outlive the file that it came from, and
 * /dev/mem knows no devices.
 *
 * Lock order: the mutex of an IOMMU group or the mmap_lock, then gate_lock. A
 * fault never takes the mutex of a group.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iommu-owner.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/pci-gate.h>
#include <linux/pid.h>
#include <linux/pfn_t.h>
#include <linux/rwsem.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "pci.h"

/* It belongs to the parameters of the ownership */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "iommu_owner."

/* The access is allowed, but logged */
#define GATE_LOGGED	1

static DECLARE_RWSEM(gate_lock);	/* protects what follows */
static LIST_HEAD(gated);		/* by pci_dev::gate_node */
static enum pci_gate_mode gate_mode;

static const char * const gate_mode_names[] = {
	[PCI_GATE_ENFORCE]	= "enforce",
	[PCI_GATE_LOG]		= "log",
	[PCI_GATE_OFF]		= "off",
};

/* 0: allowed; GATE_LOGGED; or the error of a refusal, which is reported */
VISIBLE_IF_KUNIT int pci_gate_decide(bool gated, enum pci_gate_mode mode,
				     bool locked_down)
{
	if (!gated)
		return 0;
	if (locked_down)
		return -EPERM;
	if (mode == PCI_GATE_ENFORCE)
		return -EBUSY;
	return mode == PCI_GATE_LOG ? GATE_LOGGED : 0;
}
EXPORT_SYMBOL_IF_KUNIT(pci_gate_decide);

static bool gate_is_closed(const struct pci_dev *pdev)
{
	return test_bit(PCI_DEV_GATED, &pdev->priv_flags);
}

/*
 * Decide about an access by current to @pdev, which may be NULL. If the result is
 * not 0, @access is filled in for the report: a gated device has not left its
 * group, for that opens the gate.
 */
static int gate_check_locked(struct pci_dev *pdev, const char *path,
			     struct iommu_owner_access *access)
{
	int ret;

	lockdep_assert_held(&gate_lock);

	if (!pdev || !gate_is_closed(pdev))
		return 0;
	ret = pci_gate_decide(true, gate_mode,
			      security_locked_down(LOCKDOWN_PCI_ACCESS));
	if (!ret)
		return 0;

	access->dev = get_device(&pdev->dev);
	access->group = iommu_group_get(&pdev->dev);
	access->refused = ret < 0;
	access->pid = task_tgid_nr(current);
	access->process = get_pid(task_tgid(current));
	strscpy(access->comm, current->comm);
	strscpy(access->path, path);
	return ret;
}

static void gate_put_access(const struct iommu_owner_access *access)
{
	put_pid(access->process);
	iommu_group_put(access->group);
	put_device(access->dev);
}

static void gate_report(const struct iommu_owner_access *access)
{
	iommu_owner_report_access(access);
	gate_put_access(access);
}

struct gate_report_entry {
	struct list_head node;
	struct iommu_owner_access access;
};

static LIST_HEAD(gate_pending);
static DEFINE_SPINLOCK(gate_pending_lock);	/* protects gate_pending */

static void gate_report_pending(struct work_struct *work)
{
	struct gate_report_entry *job, *next;
	LIST_HEAD(jobs);

	scoped_guard(spinlock, &gate_pending_lock)
		list_splice_init(&gate_pending, &jobs);
	list_for_each_entry_safe(job, next, &jobs, node) {
		gate_report(&job->access);
		kfree(job);
	}
}

static DECLARE_WORK(gate_pending_work, gate_report_pending);

static bool gate_same_access(const struct iommu_owner_access *a,
			     const struct iommu_owner_access *b)
{
	return a->dev == b->dev && a->pid == b->pid &&
	       a->refused == b->refused && !strcmp(a->path, b->path);
}

/* False if a report of the same access is pending */
static bool gate_add_pending(struct gate_report_entry *job)
{
	struct gate_report_entry *other;

	guard(spinlock)(&gate_pending_lock);
	list_for_each_entry(other, &gate_pending, node)
		if (gate_same_access(&other->access, &job->access))
			return false;
	list_add_tail(&job->node, &gate_pending);
	return true;
}

/* With the mmap_lock, which must not wait for the mutex of a group */
static void gate_report_later(const struct iommu_owner_access *access)
{
	struct gate_report_entry *job = kmalloc(sizeof(*job), GFP_KERNEL);

	if (job) {
		job->access = *access;
		if (gate_add_pending(job)) {
			schedule_work(&gate_pending_work);
			return;
		}
		kfree(job);
	}
	gate_put_access(access);
}

static int gate_check(struct pci_dev *pdev, const char *path,
		      void (*report)(const struct iommu_owner_access *access))
{
	struct iommu_owner_access access;
	int ret;

	if (likely(!gate_is_closed(pdev)))
		return 0;
	scoped_guard(rwsem_read, &gate_lock)
		ret = gate_check_locked(pdev, path, &access);
	if (ret)
		report(&access);
	return min(ret, 0);
}

/**
 * pci_gate_check() - May the host reach a device past its driver?
 * @pdev: The device; the caller has a reference.
 * @path: The access path, in a word.
 *
 * A refusal is reported to the tokens of the owner, in the log and by tracepoint.
 * An access that is still under way when the gate closes is not waited for.
 *
 * Context: May sleep. Takes the mutex of the group of @pdev.
 * Return: 0; -EBUSY if the group has an owner in user space, is reserved or in
 * quarantine; -EPERM if it is, and the kernel is locked down.
 */
int pci_gate_check(struct pci_dev *pdev, const char *path)
{
	return gate_check(pdev, path, gate_report);
}

/**
 * pci_gate_check_mmap() - May the host map a BAR of a device?
 * @pdev: The device; the caller has a reference.
 * @path: The access path, in a word.
 *
 * As pci_gate_check(), but the report comes a little later, from a work.
 *
 * Context: May sleep. The mmap_lock is held.
 * Return: As pci_gate_check().
 */
int pci_gate_check_mmap(struct pci_dev *pdev, const char *path)
{
	return gate_check(pdev, path, gate_report_later);
}

static struct pci_bus *gate_root_bus(struct pci_bus *bus)
{
	while (!pci_is_root_bus(bus))
		bus = bus->parent;
	return bus;
}

static bool gate_is_below(const struct pci_dev *pdev, const struct pci_bus *top)
{
	for (struct pci_bus *bus = pdev->bus; bus; bus = bus->parent)
		if (bus == top)
			return true;
	return false;
}

/**
 * pci_gate_check_below() - May the host do what changes all devices of a bus?
 * @bus: The bus; the caller has a reference.
 * @path: The access path, in a word.
 *
 * The same as pci_gate_check() for a device that the bus leads to, if one of them
 * is gated. The report comes a little later, from a work.
 *
 * Context: May sleep.
 * Return: As pci_gate_check().
 */
int pci_gate_check_below(struct pci_bus *bus, const char *path)
{
	struct iommu_owner_access access;
	struct pci_dev *pdev;
	int ret = 0;

	guard(rwsem_read)(&gate_lock);
	list_for_each_entry(pdev, &gated, gate_node) {
		if (!gate_is_below(pdev, bus))
			continue;
		ret = gate_check_locked(pdev, path, &access);
		if (ret)
			gate_report_later(&access);
		break;
	}
	return min(ret, 0);
}

/**
 * pci_gate_check_bus() - May the host reach legacy addresses of a bus?
 * @bus: The bus; the caller has a reference.
 * @path: The access path, in a word.
 *
 * A legacy address is decoded by whatever device the host bridge leads to.
 * Therefore as pci_gate_check_below(), with all of them.
 *
 * Context: May sleep.
 * Return: As pci_gate_check().
 */
int pci_gate_check_bus(struct pci_bus *bus, const char *path)
{
	return pci_gate_check_below(gate_root_bus(bus), path);
}

struct gate_pages {
	unsigned long first;
	unsigned long last;
};

static bool gate_iobar_pages(struct pci_dev *pdev, int bar,
			     struct gate_pages *pages)
{
	struct vm_area_struct vma = {};

	if (!arch_can_pci_mmap_io())
		return false;
	/* It only moves the offset */
	if (pci_iobar_pfn(pdev, bar, &vma))
		return false;
	pages->first = vma.vm_pgoff;
	pages->last = pages->first +
		      ((pci_resource_len(pdev, bar) - 1) >> PAGE_SHIFT);
	return true;
}

/* The pages by which user space can map a BAR, if it can at all */
static bool gate_bar_pages(struct pci_dev *pdev, int bar,
			   struct gate_pages *pages)
{
	const struct resource *res = &pdev->resource[bar];

	/* The shadow of a ROM is memory of the host */
	if (!pci_resource_len(pdev, bar) ||
	    res->flags & (IORESOURCE_UNSET | IORESOURCE_ROM_SHADOW))
		return false;
	if (res->flags & IORESOURCE_IO)
		return gate_iobar_pages(pdev, bar, pages);
	if (!(res->flags & IORESOURCE_MEM))
		return false;
	pages->first = PHYS_PFN(res->start);
	pages->last = PHYS_PFN(res->end);
	return true;
}

static bool gate_has_page(struct pci_dev *pdev, const struct gate_pages *pages)
{
	struct gate_pages own;

	for (int bar = 0; bar <= PCI_ROM_RESOURCE; bar++)
		if (gate_bar_pages(pdev, bar, &own) && own.first <= pages->last &&
		    own.last >= pages->first)
			return true;
	return false;
}

static struct pci_dev *gate_find_device(const struct gate_pages *pages)
{
	struct pci_dev *pdev;

	lockdep_assert_held(&gate_lock);

	list_for_each_entry(pdev, &gated, gate_node)
		if (gate_has_page(pdev, pages))
			return pdev;
	return NULL;
}

/**
 * pci_gate_check_phys() - May the host write at a physical address?
 * @addr: The address.
 * @size: Number of bytes.
 * @path: The access path, in a word.
 *
 * As pci_gate_check() for a device that has a BAR in one of these pages.
 *
 * Context: May sleep. Takes the mutex of the group of that device.
 * Return: As pci_gate_check().
 */
int pci_gate_check_phys(phys_addr_t addr, size_t size, const char *path)
{
	const struct gate_pages pages = {
		.first = PHYS_PFN(addr),
		.last = PHYS_PFN(addr + size - 1),
	};
	struct iommu_owner_access access;
	int ret;

	scoped_guard(rwsem_read, &gate_lock)
		ret = gate_check_locked(gate_find_device(&pages), path, &access);
	if (ret)
		gate_report(&access);
	return min(ret, 0);
}

/*
 * On x86, what a page is cached like follows from what is reserved for it; the
 * default is not to write-combine. A reservation for the life of the mapping
 * would need a notification of its end, which sysfs does not offer.
 */
static vm_fault_t gate_insert(struct vm_fault *vmf, bool write_combine)
{
	struct vm_area_struct *vma = vmf->vma;
	pgprot_t prot = vma->vm_page_prot;
	resource_size_t addr = PFN_PHYS(vmf->pgoff);
	bool reserved;
	vm_fault_t ret;

	/*
	 * The protection of sysfs faults at the first write. A user that maps the
	 * page for DMA does not write, and needs to know that writes are allowed.
	 */
	if (vma->vm_flags & VM_SHARED)
		prot = pgprot_modify(prot, vm_get_page_prot(vma->vm_flags));
	reserved = write_combine && !arch_io_reserve_memtype_wc(addr, PAGE_SIZE);
	if (vma->vm_flags & VM_MIXEDMAP)
		ret = vmf_insert_mixed(vma, vmf->address,
				       __pfn_to_pfn_t(vmf->pgoff, PFN_DEV));
	else
		ret = vmf_insert_pfn_prot(vma, vmf->address, vmf->pgoff, prot);
	if (reserved)
		arch_io_free_memtype_wc(addr, PAGE_SIZE);
	return ret;
}

static vm_fault_t gate_fault(struct vm_fault *vmf, bool write_combine)
{
	const struct gate_pages page = { .first = vmf->pgoff, .last = vmf->pgoff };
	struct iommu_owner_access access;
	int ret;

	guard(rwsem_read)(&gate_lock);
	ret = gate_check_locked(gate_find_device(&page), "fault", &access);
	if (ret)
		gate_report_later(&access);
	return ret < 0 ? VM_FAULT_SIGBUS : gate_insert(vmf, write_combine);
}

static vm_fault_t gate_fault_uc(struct vm_fault *vmf)
{
	return gate_fault(vmf, false);
}

static vm_fault_t gate_fault_wc(struct vm_fault *vmf)
{
	return gate_fault(vmf, true);
}

#ifdef CONFIG_HAVE_IOREMAP_PROT
/* For a debugger, which may be the first to look at a page */
static int gate_access_phys(struct vm_area_struct *vma, unsigned long addr,
			    void *buf, int len, int write)
{
	int ret = generic_access_phys(vma, addr, buf, len, write);

	if (ret >= 0 ||
	    fixup_user_fault(vma->vm_mm, addr, write ? FAULT_FLAG_WRITE : 0,
			     NULL))
		return ret;
	return generic_access_phys(vma, addr, buf, len, write);
}
#endif

static const struct vm_operations_struct gate_uc_vm_ops = {
	.fault = gate_fault_uc,
#ifdef CONFIG_HAVE_IOREMAP_PROT
	.access = gate_access_phys,
#endif
};

static const struct vm_operations_struct gate_wc_vm_ops = {
	.fault = gate_fault_wc,
#ifdef CONFIG_HAVE_IOREMAP_PROT
	.access = gate_access_phys,
#endif
};

static int gate_map(struct vm_area_struct *vma, bool write_combine)
{
	vm_flags_t kind = VM_PFNMAP;

	/* A page of a private mapping can be put in later only with this */
	if (is_cow_mapping(vma->vm_flags))
		kind = VM_MIXEDMAP;
	vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTDUMP | kind);
	vma->vm_ops = write_combine ? &gate_wc_vm_ops : &gate_uc_vm_ops;
	return 0;
}

/**
 * pci_gate_mmap_bar() - Map a BAR for user space
 * @vma: The mapping. Its offset is the number of the page at its start, its
 *	protection says how it is cached, and its file has the mapping of
 *	iomem_get_mapping().
 * @write_combine: It is to be write-combined.
 *
 * The pages come with the faults, unless the gate is shut then: SIGBUS. They go
 * when the gate is shut, and come again by a fault after that has ended.
 *
 * Context: The mmap_lock is held for writing.
 * Return: 0.
 */
int pci_gate_mmap_bar(struct vm_area_struct *vma, bool write_combine)
{
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	return gate_map(vma, write_combine);
}

static bool gate_has_bar(const struct gate_pages *pages)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (gate_has_page(pdev, pages)) {
			pci_dev_put(pdev);
			return true;
		}
	}
	return false;
}

/**
 * pci_gate_mmap_phys() - Map physical addresses for user space
 * @vma: The mapping, as for pci_gate_mmap_bar().
 *
 * If there is a BAR among the addresses, all of them are mapped as by
 * pci_gate_mmap_bar(). A report comes a little later, from a work.
 *
 * Context: May sleep. The mmap_lock is held for writing.
 * Return: 1 if the mapping is set up; 0 if there is no BAR, and the caller is to
 * do it; -EBUSY and -EPERM as pci_gate_check().
 */
int pci_gate_mmap_phys(struct vm_area_struct *vma)
{
	const struct gate_pages pages = {
		.first = vma->vm_pgoff,
		.last = vma->vm_pgoff + vma_pages(vma) - 1,
	};
	struct iommu_owner_access access;
	int ret;

	scoped_guard(rwsem_read, &gate_lock)
		ret = gate_check_locked(gate_find_device(&pages), "/dev/mem mmap", &access);
	if (ret)
		gate_report_later(&access);
	if (ret < 0)
		return ret;
	if (!gate_has_bar(&pages))
		return 0;
	gate_map(vma, false);
	return 1;
}

/* Also of private copies, as for a driver that takes a BAR for itself */
static void gate_unmap(struct pci_dev *pdev)
{
	struct address_space *mapping = iomem_get_mapping();
	struct gate_pages pages;

	/* A page that has come by a fault is in a mapping that is known */
	if (!mapping_mapped(mapping))
		return;
	for (int bar = 0; bar <= PCI_ROM_RESOURCE; bar++)
		if (gate_bar_pages(pdev, bar, &pages))
			unmap_mapping_pages(mapping, pages.first,
					    pages.last - pages.first + 1, true);
}

/**
 * pci_gate_close() - Shut the raw access paths of the host to a device
 * @pdev: The device. It is in an IOMMU group.
 *
 * When this returns, no mapping of a BAR by sysfs, procfs or /dev/mem leads to
 * the device any more, if the gate is enforced.
 *
 * Context: May sleep. The mutex of the group is held.
 */
void pci_gate_close(struct pci_dev *pdev)
{
	scoped_guard(rwsem_write, &gate_lock) {
		if (test_and_set_bit(PCI_DEV_GATED, &pdev->priv_flags))
			return;
		list_add(&pdev->gate_node, &gated);
	}
	/* Earlier faults are unmapped, later ones see the bit */
	gate_unmap(pdev);
}

/**
 * pci_gate_open() - Open the raw access paths of the host to a device again
 * @pdev: The device. It has not left its IOMMU group yet.
 *
 * Context: May sleep. The mutex of the group is held.
 */
void pci_gate_open(struct pci_dev *pdev)
{
	guard(rwsem_write)(&gate_lock);
	if (test_and_clear_bit(PCI_DEV_GATED, &pdev->priv_flags))
		list_del(&pdev->gate_node);
}

static int gate_mode_set(const char *val, const struct kernel_param *kp)
{
	int new = sysfs_match_string(gate_mode_names, val);
	struct pci_dev *pdev;

	if (new < 0)
		return new;
	if (security_locked_down(LOCKDOWN_PCI_ACCESS))
		return -EPERM;

	down_write(&gate_lock);
	gate_mode = new;
	downgrade_write(&gate_lock);
	/* What was mapped under the old mode has to ask again */
	list_for_each_entry(pdev, &gated, gate_node)
		gate_unmap(pdev);
	up_read(&gate_lock);
	return 0;
}

static int gate_mode_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", gate_mode_names[READ_ONCE(gate_mode)]);
}

static const struct kernel_param_ops gate_mode_ops = {
	.set = gate_mode_set,
	.get = gate_mode_get,
};

module_param_cb(gate, &gate_mode_ops, NULL, 0644);
MODULE_PARM_DESC(gate,
		 "Access of the host to PCI devices that user space owns: enforce (refuse it), log or off");
