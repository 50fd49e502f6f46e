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
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iommu-owner.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/pci-ecam.h>
#include <linux/pci-gate.h>
#include <linux/pid.h>
#include <linux/pfn_t.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/security.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#ifdef CONFIG_PCI_MMCONFIG
#include <asm/pci_x86.h>
#endif

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
	KUNIT_STATIC_STUB_REDIRECT(pci_gate_check, pdev, path);
	return gate_check(pdev, path, gate_report);
}
EXPORT_SYMBOL_GPL(pci_gate_check);

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

static int gate_check_later(struct pci_dev *pdev, const char *path)
{
	struct iommu_owner_access access;
	int ret = gate_check_locked(pdev, path, &access);

	if (ret)
		gate_report_later(&access);
	return min(ret, 0);
}

/* Is @top the PF of @pdev, or a bridge above it? */
VISIBLE_IF_KUNIT bool pci_gate_is_behind(struct pci_dev *pdev,
					 const struct pci_dev *top)
{
	if (pdev->is_virtfn && pci_physfn(pdev) == top)
		return true;
	/* The bus of a VF may have no bridge, but its parent has */
	for (struct pci_bus *bus = pdev->bus; bus; bus = bus->parent)
		if (bus->self == top)
			return true;
	return false;
}
EXPORT_SYMBOL_IF_KUNIT(pci_gate_is_behind);

static noinline int gate_check_behind(struct pci_dev *top, const char *path)
{
	char where[sizeof_field(struct iommu_owner_access, path)];
	struct pci_dev *pdev;

	snprintf(where, sizeof(where), "%s %s", path, pci_name(top));
	guard(rwsem_read)(&gate_lock);
	list_for_each_entry(pdev, &gated, gate_node)
		if (pci_gate_is_behind(pdev, top))
			return gate_check_later(pdev, where);
	return 0;
}

/**
 * pci_gate_check_behind() - May the host do what hurts the devices behind one?
 * @top: A bridge, a PF, or a device that is neither; the caller has a reference.
 * @path: The access path, in a word.
 *
 * As pci_gate_check() for the devices below the bridge and the VFs of the PF, if
 * one of them is gated. @top itself does not count. The report names @top, and
 * comes a little later, from a work.
 *
 * Context: May sleep.
 * Return: As pci_gate_check().
 */
int pci_gate_check_behind(struct pci_dev *top, const char *path)
{
	/* As good as an answer that came before the gate was shut */
	if (list_empty(&gated) || (!top->subordinate && !top->is_physfn))
		return 0;
	return gate_check_behind(top, path);
}
EXPORT_SYMBOL_GPL(pci_gate_check_behind);

/**
 * pci_gate_check_tree() - May the host do what hurts a device and those behind it?
 * @top: The device; the caller has a reference.
 * @path: The access path, in a word.
 *
 * Context: May sleep. Takes the mutex of the group of @top.
 * Return: As pci_gate_check().
 */
int pci_gate_check_tree(struct pci_dev *top, const char *path)
{
	return pci_gate_check(top, path) ?: pci_gate_check_behind(top, path);
}
EXPORT_SYMBOL_GPL(pci_gate_check_tree);

/**
 * pci_gate_check_bus() - May the host reach legacy addresses of a bus?
 * @bus: The bus; the caller has a reference.
 * @path: The access path, in a word.
 *
 * A legacy address is decoded by whatever device the host bridge leads to.
 * Therefore as pci_gate_check() for one of them that is gated. The report comes a
 * little later, from a work.
 *
 * Context: May sleep.
 * Return: As pci_gate_check().
 */
int pci_gate_check_bus(struct pci_bus *bus, const char *path)
{
	const struct pci_bus *root = gate_root_bus(bus);
	struct pci_dev *pdev;

	guard(rwsem_read)(&gate_lock);
	list_for_each_entry(pdev, &gated, gate_node)
		if (gate_root_bus(pdev->bus) == root)
			return gate_check_later(pdev, path);
	return 0;
}

struct gate_pages {
	unsigned long first;
	unsigned long last;
};

static struct gate_pages gate_resource_pages(const struct resource *res)
{
	return (struct gate_pages){
		.first = PHYS_PFN(res->start),
		.last = PHYS_PFN(res->end),
	};
}

static bool gate_pages_overlap(const struct gate_pages *a,
			       const struct gate_pages *b)
{
	return a->first <= b->last && a->last >= b->first;
}

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
	*pages = gate_resource_pages(res);
	return true;
}

/* Where the config space of a bus is, if it is memory, and its size as a power of 2 */
#if defined(CONFIG_PCI_MMCONFIG)
static bool gate_ecam(struct pci_bus *bus, phys_addr_t *start,
		      unsigned int *shift)
{
	const struct pci_mmcfg_region *cfg;

	guard(rcu)();
	cfg = pci_mmconfig_lookup(pci_domain_nr(bus), bus->number);
	if (!cfg)
		return false;
	*shift = PCIE_ECAM_BUS_SHIFT;
	*start = cfg->address + PCI_MMCFG_BUS_OFFSET(bus->number);
	return true;
}
#elif defined(CONFIG_PCI_ECAM)
static bool gate_ecam(struct pci_bus *bus, phys_addr_t *start,
		      unsigned int *shift)
{
	const struct pci_config_window *cfg = bus->sysdata;

	if (bus->ops->map_bus != pci_ecam_map_bus)
		return false;
	*shift = cfg->ops->bus_shift ?: PCIE_ECAM_BUS_SHIFT;
	*start = cfg->res.start +
		 ((phys_addr_t)(bus->number - cfg->busr.start) << *shift);
	return true;
}
#else
static bool gate_ecam(struct pci_bus *bus, phys_addr_t *start,
		      unsigned int *shift)
{
	return false;
}
#endif

static bool gate_config_pages(struct pci_dev *pdev, struct gate_pages *pages)
{
	unsigned int shift;
	phys_addr_t start;

	if (!gate_ecam(pdev->bus, &start, &shift))
		return false;
	/* 256 functions */
	shift -= 8;
	start += (phys_addr_t)pdev->devfn << shift;
	pages->first = PHYS_PFN(start);
	pages->last = PHYS_PFN(start + BIT(shift) - 1);
	return true;
}

/*
 * Which device decodes them is up to the bridges, and to whoever had /dev/vga_arbiter
 * or VFIO change that last. Elsewhere they are not at these addresses.
 */
static bool gate_vga_pages(struct pci_dev *pdev, struct gate_pages *pages)
{
	if (!IS_ENABLED(CONFIG_X86) || !pci_is_vga(pdev))
		return false;
	pages->first = PHYS_PFN(0xa0000);
	pages->last = PHYS_PFN(0xbffff);
	return true;
}

/* What a device decodes: first its BARs and its ROM */
enum { GATE_CONFIG = PCI_ROM_RESOURCE + 1, GATE_VGA, GATE_REGIONS };

static bool gate_region_pages(struct pci_dev *pdev, int region,
			      struct gate_pages *pages)
{
	if (region == GATE_CONFIG)
		return gate_config_pages(pdev, pages);
	if (region == GATE_VGA)
		return gate_vga_pages(pdev, pages);
	return gate_bar_pages(pdev, region, pages);
}

static bool gate_has_page(struct pci_dev *pdev, const struct gate_pages *pages)
{
	struct gate_pages own;

	for (int region = 0; region < GATE_REGIONS; region++)
		if (gate_region_pages(pdev, region, &own) &&
		    gate_pages_overlap(&own, pages))
			return true;
	return false;
}

#if IS_ENABLED(CONFIG_KUNIT)
bool pci_gate_decodes(struct pci_dev *pdev, phys_addr_t addr)
{
	const struct gate_pages page = {
		.first = PHYS_PFN(addr),
		.last = PHYS_PFN(addr),
	};

	return gate_has_page(pdev, &page);
}
EXPORT_SYMBOL_IF_KUNIT(pci_gate_decodes);
#endif

/* Is the config space of the PF of @pdev, or of a bridge above it, there? */
static bool gate_above_has_page(struct pci_dev *pdev,
				const struct gate_pages *pages)
{
	struct gate_pages config;

	/* Otherwise they may have gone */
	lockdep_assert_held(&gate_lock);

	do {
		pdev = pdev->is_virtfn ? pci_physfn(pdev) :
					 pci_upstream_bridge(pdev);
		if (pdev && gate_config_pages(pdev, &config) &&
		    gate_pages_overlap(&config, pages))
			return true;
	} while (pdev);
	return false;
}

static struct pci_dev *gate_find_device(const struct gate_pages *pages)
{
	struct pci_dev *pdev;

	lockdep_assert_held(&gate_lock);

	list_for_each_entry(pdev, &gated, gate_node)
		if (gate_has_page(pdev, pages) ||
		    gate_above_has_page(pdev, pages))
			return pdev;
	return NULL;
}

/**
 * pci_gate_check_phys() - May the host access a physical address?
 * @addr: The address.
 * @size: Number of bytes.
 * @path: The access path, in a word.
 *
 * As pci_gate_check() for a device that has a BAR or its config space in one of these
 * pages, that of its PF or of a bridge above, or may decode them as legacy VGA memory.
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

	if (likely(list_empty(&gated)))
		return 0;
	scoped_guard(rwsem_read, &gate_lock)
		ret = gate_check_locked(gate_find_device(&pages), path, &access);
	if (ret)
		gate_report(&access);
	return min(ret, 0);
}

static vm_fault_t gate_insert(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	pgprot_t prot = vma->vm_page_prot;

	if (vma->vm_flags & VM_MIXEDMAP)
		return vmf_insert_mixed(vma, vmf->address,
					__pfn_to_pfn_t(vmf->pgoff, PFN_DEV));
	/*
	 * The protection of sysfs faults at the first write. A user that maps the
	 * page for DMA does not write, and needs to know that writes are allowed.
	 */
	if (vma->vm_flags & VM_SHARED)
		prot = pgprot_modify(prot, vm_get_page_prot(vma->vm_flags));
	return vmf_insert_pfn_prot(vma, vmf->address, vmf->pgoff, prot);
}

static vm_fault_t gate_fault(struct vm_fault *vmf)
{
	const struct gate_pages page = { .first = vmf->pgoff, .last = vmf->pgoff };
	struct iommu_owner_access access;
	int ret;

	guard(rwsem_read)(&gate_lock);
	ret = gate_check_locked(gate_find_device(&page), "fault", &access);
	if (ret)
		gate_report_later(&access);
	return ret < 0 ? VM_FAULT_SIGBUS : gate_insert(vmf);
}

/* Has a driver claimed the page for itself, see revoke_iomem()? */
static bool gate_page_is_exclusive(const struct vm_fault *vmf)
{
	/* As devmem_is_allowed(), for callers of the BIOS */
	if (IS_ENABLED(CONFIG_X86) && vmf->pgoff < PHYS_PFN(SZ_1M))
		return false;
	return iomem_is_exclusive(PFN_PHYS(vmf->pgoff));
}

/* Of the host's raw access: the registers of a driver may be out of its reach */
static vm_fault_t gate_fault_raw(struct vm_fault *vmf)
{
	vm_fault_t ret;

	if (gate_page_is_exclusive(vmf))
		return VM_FAULT_SIGBUS;
	ret = gate_fault(vmf);
	/* A driver that has come meanwhile may not have found the page */
	if (gate_page_is_exclusive(vmf)) {
		unmap_mapping_pages(iomem_get_mapping(), vmf->pgoff, 1, true);
		return VM_FAULT_SIGBUS;
	}
	return ret;
}

#ifdef CONFIG_HAVE_IOREMAP_PROT
/* For a debugger, which may be the first to look at a page */
static int gate_access_phys(struct vm_area_struct *vma, unsigned long addr,
			    void *buf, int len, int write)
{
	int ret;

	/* That looks one page up; the next may be another device's, or gated */
	len = min_t(int, len, PAGE_SIZE - offset_in_page(addr));
	ret = generic_access_phys(vma, addr, buf, len, write);
	if (ret >= 0 ||
	    fixup_user_fault(vma->vm_mm, addr, write ? FAULT_FLAG_WRITE : 0,
			     NULL))
		return ret;
	return generic_access_phys(vma, addr, buf, len, write);
}
#endif

static const struct vm_operations_struct gate_raw_vm_ops = {
	.fault = gate_fault_raw,
#ifdef CONFIG_HAVE_IOREMAP_PROT
	.access = gate_access_phys,
#endif
};

/* A driver may map what it has claimed */
static const struct vm_operations_struct gate_driver_vm_ops = {
	.fault = gate_fault,
#ifdef CONFIG_HAVE_IOREMAP_PROT
	.access = gate_access_phys,
#endif
};

static void gate_map(struct vm_area_struct *vma,
		     const struct vm_operations_struct *ops)
{
	vm_flags_t kind = VM_PFNMAP;

	/* A page of a private mapping can be put in later only with this */
	if (is_cow_mapping(vma->vm_flags))
		kind = VM_MIXEDMAP;
	vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTDUMP | kind);
	vma->vm_ops = ops;
}

/* The file of a mapping, which takes the place of @base there */
struct gate_file {
	struct file *base;
	unsigned long pfn;
	unsigned long size;
};

static int gate_file_release(struct inode *inode, struct file *file)
{
	struct gate_file *gfile = file->private_data;

	untrack_pfn(NULL, gfile->pfn, gfile->size, true);
	fput(gfile->base);
	kfree(gfile);
	return 0;
}

static const struct file_operations gate_file_fops = {
	.fsync = noop_fsync,
	.release = gate_file_release,
};

/*
 * A file can be missing what a mapping of registers needs.
 *
 * On x86, a fault takes the caching of a page from the memory type that is reserved
 * for it, and whoever else maps the page has to agree with that. So it has to be
 * reserved for as long as a part or a copy of the mapping exists, and sysfs does not
 * say when that ends. And the gate looks for pages by number in the mapping of
 * iomem_get_mapping(), where the files of drivers are not.
 *
 * All parts and copies have one file, so give them a file of their own. It has the
 * name of the other one, which stays open, and no number in any process.
 */
static int gate_set_file(struct vm_area_struct *vma)
{
	struct gate_file *gfile __free(kfree) =
		kmalloc(sizeof(*gfile), GFP_KERNEL);
	struct file *file;
	int ret;

	if (!gfile)
		return -ENOMEM;
	gfile->pfn = vma->vm_pgoff;
	gfile->size = vma->vm_end - vma->vm_start;
	ret = track_pfn_remap(NULL, &vma->vm_page_prot, gfile->pfn, 0,
			      gfile->size);
	if (ret)
		return ret;
	file = alloc_file_clone(vma->vm_file, O_RDONLY, &gate_file_fops);
	if (IS_ERR(file)) {
		untrack_pfn(NULL, gfile->pfn, gfile->size, true);
		return PTR_ERR(file);
	}
	/* Nobody has opened it: no event, no reference to a character device */
	file->f_mode |= FMODE_PATH | FMODE_NONOTIFY;
	file->f_mapping = iomem_get_mapping();
	gfile->base = get_file(vma->vm_file);
	file->private_data = no_free_ptr(gfile);
	vma_set_file(vma, file);
	fput(file);
	return 0;
}

/* Map by faults, by a file of the mapping's own. */
static int gate_map_file(struct vm_area_struct *vma,
			 const struct vm_operations_struct *ops)
{
	int ret = gate_set_file(vma);

	if (ret)
		return ret;
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	gate_map(vma, ops);
	return 0;
}

/**
 * pci_gate_mmap_bar() - Map a BAR for user space
 * @vma: The mapping. Its offset is the number of the page at its start, its
 *	protection says how it is cached, and its file has the mapping of
 *	iomem_get_mapping().
 *
 * The pages come with the faults, unless the gate is shut then: SIGBUS. They go
 * when the gate is shut, and come again by a fault after that has ended.
 *
 * The mapping gets another file, with the same name.
 *
 * Context: May sleep. The mmap_lock is held for writing.
 * Return: 0; -ENOMEM, -ENFILE; -EBUSY or -EINVAL if the pages are mapped otherwise
 * in a way that does not allow this one.
 */
int pci_gate_mmap_bar(struct vm_area_struct *vma)
{
	return gate_map_file(vma, &gate_raw_vm_ops);
}

/* Addresses that the host bridge of @pdev forwards: BARs may come to be there */
static bool gate_window_has_page(struct pci_dev *pdev,
				 const struct gate_pages *pages)
{
	struct gate_pages window;
	struct resource *res;

	if (!pci_is_root_bus(pdev->bus))
		return false;
	pci_bus_for_each_resource(pdev->bus, res) {
		if (!res || !(res->flags & IORESOURCE_MEM))
			continue;
		window = gate_resource_pages(res);
		if (gate_pages_overlap(&window, pages))
			return true;
	}
	return false;
}

/* The config space of all devices below that host bridge, wherever they may be */
static bool gate_ecam_has_page(struct pci_dev *pdev,
			       const struct gate_pages *pages)
{
	struct pci_bus *bus = pdev->bus;
	struct gate_pages all;
	unsigned int shift;
	phys_addr_t start;

	if (!pci_is_root_bus(bus) || !gate_ecam(bus, &start, &shift))
		return false;
	all.first = PHYS_PFN(start);
	start += resource_size(&bus->busn_res) << shift;
	all.last = PHYS_PFN(start - 1);
	return gate_pages_overlap(&all, pages);
}

/* Does a device decode them, or can one that is yet to come? */
static bool gate_may_be_decoded(const struct gate_pages *pages)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (gate_window_has_page(pdev, pages) ||
		    gate_ecam_has_page(pdev, pages) ||
		    gate_has_page(pdev, pages)) {
			pci_dev_put(pdev);
			return true;
		}
	}
	return false;
}

/* 1 if the gate has to map the pages, 0 if no device can decode any, or a refusal */
static int gate_check_pages(struct vm_area_struct *vma, unsigned long pfn,
			    const char *path)
{
	const struct gate_pages pages = {
		.first = pfn,
		.last = pfn + vma_pages(vma) - 1,
	};
	struct iommu_owner_access access;
	int ret;

	scoped_guard(rwsem_read, &gate_lock)
		ret = gate_check_locked(gate_find_device(&pages), path, &access);
	if (ret)
		gate_report_later(&access);
	return ret < 0 ? ret : gate_may_be_decoded(&pages);
}

/**
 * pci_gate_mmap_phys() - Map physical addresses for user space
 * @vma: The mapping, as for pci_gate_mmap_bar().
 *
 * If a host bridge forwards some of the addresses, or they are config space, all of
 * them are mapped as by pci_gate_mmap_bar(), whether there is a device by now or not.
 * A report comes a little later, from a work.
 *
 * Context: May sleep. The mmap_lock is held for writing.
 * Return: 1 if the mapping is set up; 0 if no device can be there, and the caller is
 * to do it; -EBUSY and -EPERM as pci_gate_check().
 */
int pci_gate_mmap_phys(struct vm_area_struct *vma)
{
	int ret = gate_check_pages(vma, vma->vm_pgoff, "/dev/mem mmap");

	if (ret > 0)
		gate_map(vma, &gate_raw_vm_ops);
	return ret;
}

/**
 * pci_gate_mmap_driver() - Map registers for user space by the file of a driver
 * @vma: The mapping. Its protection says how it is cached.
 * @pfn: Number of the page at its start.
 * @path: The access path, in a word.
 *
 * As pci_gate_mmap_phys(), for a file whose offsets are not physical addresses. What
 * the driver maps stays mapped when it is unbound, until the device gets an owner. If
 * the mapping is set up, its file and its offset are others than before; the driver's
 * file is not released before the mapping has gone.
 *
 * Context: May sleep. The mmap_lock is held for writing.
 * Return: As pci_gate_mmap_phys(), or an error of pci_gate_mmap_bar().
 */
int pci_gate_mmap_driver(struct vm_area_struct *vma, unsigned long pfn,
			 const char *path)
{
	int ret = gate_check_pages(vma, pfn, path);

	if (ret <= 0)
		return ret;
	vma->vm_pgoff = pfn;
	return gate_map_file(vma, &gate_driver_vm_ops) ?: 1;
}
EXPORT_SYMBOL_GPL(pci_gate_mmap_driver);

static bool gate_is_of(struct pci_dev *pdev, const struct iommu_group *group)
{
	return gate_is_closed(pdev) &&
	       (!group || READ_ONCE(pdev->dev.iommu_group) == group);
}

/* Is @top the PF of a gated device of @group, or a bridge above one? */
static bool gate_is_above(struct pci_dev *top, const struct iommu_group *group)
{
	struct pci_dev *pdev;

	if (!top->subordinate && !top->is_physfn)
		return false;
	guard(rwsem_read)(&gate_lock);
	list_for_each_entry(pdev, &gated, gate_node)
		if (gate_is_of(pdev, group) && pci_gate_is_behind(pdev, top))
			return true;
	return false;
}

/* Also of private copies, as for a driver that takes a BAR for itself */
static void gate_unmap_region(struct pci_dev *pdev, int region)
{
	struct gate_pages pages;

	if (gate_region_pages(pdev, region, &pages))
		unmap_mapping_pages(iomem_get_mapping(), pages.first,
				    pages.last - pages.first + 1, true);
}

/*
 * The gated devices of @group, or all if it is NULL. MMU notifiers take their time:
 * gate_lock is not held, which those wait for who have the mutex of a group.
 */
static void gate_unmap(const struct iommu_group *group)
{
	struct pci_dev *pdev = NULL;

	/* A page that has come by a fault is in a mapping that is known */
	if (!mapping_mapped(iomem_get_mapping()))
		return;
	for_each_pci_dev(pdev) {
		if (gate_is_of(pdev, group)) {
			for (int region = 0; region < GATE_REGIONS; region++)
				gate_unmap_region(pdev, region);
		} else if (gate_is_above(pdev, group)) {
			gate_unmap_region(pdev, GATE_CONFIG);
		}
	}
}

/**
 * pci_gate_close() - Shut the raw access paths of the host to a device
 * @pdev: The device. It is in an IOMMU group.
 *
 * From now on no page of it is mapped if the gate is enforced; what has been mapped
 * before goes with pci_gate_unmap().
 *
 * Context: May sleep. The mutex of the group is held.
 * Return: true if anything is mapped, so that pci_gate_unmap() has to be called.
 */
bool pci_gate_close(struct pci_dev *pdev)
{
	guard(rwsem_write)(&gate_lock);
	if (!test_and_set_bit(PCI_DEV_GATED, &pdev->priv_flags))
		list_add(&pdev->gate_node, &gated);
	/* Pages are mapped by faults: the mapping has been there before */
	return mapping_mapped(iomem_get_mapping());
}

/**
 * pci_gate_unmap() - Unmap what was mapped before the gate was shut
 * @group: The group of the devices.
 *
 * When this returns, no mapping by sysfs, procfs, /dev/mem or the file of a driver
 * that uses pci_gate_mmap_driver() leads to a gated device of @group any more, if
 * the gate is enforced. In the other modes a page is mapped again when it is touched.
 *
 * Context: May sleep. Calls MMU notifiers, so the mutex of a group is not held.
 */
void pci_gate_unmap(const struct iommu_group *group)
{
	/* Later faults see that the gate is shut */
	gate_unmap(group);
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
	bool any;

	if (new < 0)
		return new;
	if (security_locked_down(LOCKDOWN_PCI_ACCESS))
		return -EPERM;

	scoped_guard(rwsem_write, &gate_lock) {
		gate_mode = new;
		any = !list_empty(&gated);
	}
	/*
	 * What was mapped under the old mode has to ask again. There is nothing
	 * yet, not even a mapping to look in, when the command line is parsed.
	 */
	if (any)
		gate_unmap(NULL);
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
