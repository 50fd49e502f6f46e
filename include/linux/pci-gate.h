/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate on the host's raw ways to a PCI device that somebody else drives
 *
 * See drivers/pci/gate.c.
 */
#ifndef __LINUX_PCI_GATE_H
#define __LINUX_PCI_GATE_H

#include <linux/errno.h>
#include <linux/types.h>

struct iommu_group;
struct pci_bus;
struct pci_dev;
struct vm_area_struct;

/**
 * enum pci_gate_mode - What becomes of an access to a gated device
 * @PCI_GATE_ENFORCE: It is refused and reported.
 * @PCI_GATE_LOG: It is reported.
 * @PCI_GATE_OFF: Nothing.
 */
enum pci_gate_mode {
	PCI_GATE_ENFORCE,
	PCI_GATE_LOG,
	PCI_GATE_OFF,
};

#ifdef CONFIG_IOMMU_OWNER_GATE

/* For the core of the ownership, with the mutex of the group held */
bool pci_gate_close(struct pci_dev *pdev);
void pci_gate_open(struct pci_dev *pdev);
/* ... and without it */
void pci_gate_unmap(const struct iommu_group *group);

/* For the ways to the device */
int pci_gate_check(struct pci_dev *pdev, const char *path);
int pci_gate_check_mmap(struct pci_dev *pdev, const char *path);
int pci_gate_check_bus(struct pci_bus *bus, const char *path);
int pci_gate_check_behind(struct pci_dev *top, const char *path);
int pci_gate_check_tree(struct pci_dev *top, const char *path);
int pci_gate_check_phys(phys_addr_t addr, size_t size, const char *path);
int pci_gate_mmap_bar(struct vm_area_struct *vma);
int pci_gate_mmap_phys(struct vm_area_struct *vma);
int pci_gate_mmap_driver(struct vm_area_struct *vma, unsigned long pfn,
			 const char *path);

#else

static inline int pci_gate_check(struct pci_dev *pdev, const char *path)
{
	return 0;
}

static inline int pci_gate_check_mmap(struct pci_dev *pdev, const char *path)
{
	return 0;
}

static inline int pci_gate_check_bus(struct pci_bus *bus, const char *path)
{
	return 0;
}

static inline int pci_gate_check_behind(struct pci_dev *top, const char *path)
{
	return 0;
}

static inline int pci_gate_check_tree(struct pci_dev *top, const char *path)
{
	return 0;
}

static inline int pci_gate_check_phys(phys_addr_t addr, size_t size,
				      const char *path)
{
	return 0;
}

static inline int pci_gate_mmap_bar(struct vm_area_struct *vma)
{
	return -ENODEV;
}

static inline int pci_gate_mmap_phys(struct vm_area_struct *vma)
{
	return 0;
}

static inline int pci_gate_mmap_driver(struct vm_area_struct *vma,
				       unsigned long pfn, const char *path)
{
	return 0;
}

#endif

#if IS_ENABLED(CONFIG_KUNIT)
int pci_gate_decide(bool gated, enum pci_gate_mode mode, bool locked_down);
bool pci_gate_decodes(struct pci_dev *pdev, phys_addr_t addr);
bool pci_gate_is_behind(struct pci_dev *pdev, const struct pci_dev *top);
#endif

#endif /* __LINUX_PCI_GATE_H */
