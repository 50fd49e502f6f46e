// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: what becomes of an access of the host to a device, and which
 * devices it concerns
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci-gate.h>

#define REPORT	1

static const struct cell {
	bool gated;
	enum pci_gate_mode mode;
	bool locked_down;
	int verdict;
} cells[] = {
	{ false, PCI_GATE_ENFORCE, false, 0 },
	{ false, PCI_GATE_LOG, false, 0 },
	{ false, PCI_GATE_OFF, false, 0 },
	/* What stock does not refuse then is not refused */
	{ false, PCI_GATE_ENFORCE, true, 0 },
	{ false, PCI_GATE_LOG, true, 0 },
	{ false, PCI_GATE_OFF, true, 0 },
	{ true, PCI_GATE_ENFORCE, false, -EBUSY },
	{ true, PCI_GATE_LOG, false, REPORT },
	{ true, PCI_GATE_OFF, false, 0 },
	{ true, PCI_GATE_ENFORCE, true, -EPERM },
	{ true, PCI_GATE_LOG, true, -EPERM },
	{ true, PCI_GATE_OFF, true, -EPERM },
};

static void cell_desc(const struct cell *cell, char *desc)
{
	static const char * const modes[] = { "enforce", "log", "off" };

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s %s %s",
		 cell->gated ? "gated" : "free", modes[cell->mode],
		 cell->locked_down ? "locked down" : "not locked down");
}

KUNIT_ARRAY_PARAM(cell, cells, cell_desc);

static void verdict(struct kunit *test)
{
	const struct cell *cell = test->param_value;

	KUNIT_EXPECT_EQ(test, cell->verdict,
			pci_gate_decide(cell->gated, cell->mode,
					cell->locked_down));
}

/* VGA memory is at fixed addresses besides the BARs, on x86. */
static void vga_memory(struct kunit *test)
{
	bool x86 = IS_ENABLED(CONFIG_X86);
	struct pci_dev *real, *pdev;

	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	real = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, NULL);
	if (!real)
		kunit_skip(test, "no PCI device, and so no bus");
	pdev->bus = real->bus;

	pdev->class = PCI_CLASS_NETWORK_ETHERNET << 8;
	KUNIT_EXPECT_FALSE(test, pci_gate_decodes(pdev, 0xa0000));
	pdev->class = PCI_CLASS_DISPLAY_3D << 8;
	KUNIT_EXPECT_FALSE(test, pci_gate_decodes(pdev, 0xa0000));
	pdev->class = PCI_CLASS_DISPLAY_VGA << 8;
	KUNIT_EXPECT_FALSE(test, pci_gate_decodes(pdev, 0x9ffff));
	KUNIT_EXPECT_EQ(test, x86, pci_gate_decodes(pdev, 0xa0000));
	KUNIT_EXPECT_EQ(test, x86, pci_gate_decodes(pdev, 0xbffff));
	KUNIT_EXPECT_FALSE(test, pci_gate_decodes(pdev, 0xc0000));
	pci_dev_put(real);
}

/* A root port with a PF below, and a device beside the port */
struct tree {
	struct pci_bus root;
	struct pci_bus secondary;
	struct pci_bus virtual;
	struct pci_dev port;
	struct pci_dev pf;
	struct pci_dev vf;
	struct pci_dev beside;
};

static struct tree *tree_alloc(struct kunit *test)
{
	struct tree *tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tree);
	tree->port.bus = &tree->root;
	tree->port.subordinate = &tree->secondary;
	tree->beside.bus = &tree->root;
	tree->secondary.parent = &tree->root;
	tree->secondary.self = &tree->port;
	tree->pf.bus = &tree->secondary;
	tree->pf.is_physfn = 1;
	/* As the PCI core makes it for VFs that the bus of the PF has no room for */
	tree->virtual.parent = &tree->secondary;
	tree->vf.bus = &tree->virtual;
	return tree;
}

static void behind_a_bridge(struct kunit *test)
{
	struct tree *tree = tree_alloc(test);

	KUNIT_EXPECT_TRUE(test, pci_gate_is_behind(&tree->pf, &tree->port));
	KUNIT_EXPECT_TRUE(test, pci_gate_is_behind(&tree->vf, &tree->port));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->port, &tree->port));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->beside, &tree->port));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->port, &tree->pf));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->pf, &tree->beside));
}

#ifdef CONFIG_PCI_IOV
static void behind_a_pf(struct kunit *test)
{
	struct tree *tree = tree_alloc(test);

	/* Below the same port, not a VF of this PF */
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->vf, &tree->pf));
	tree->vf.is_virtfn = 1;
	tree->vf.physfn = &tree->pf;
	KUNIT_EXPECT_TRUE(test, pci_gate_is_behind(&tree->vf, &tree->pf));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->pf, &tree->pf));
	KUNIT_EXPECT_FALSE(test, pci_gate_is_behind(&tree->pf, &tree->vf));
}
#endif

#define VPD_CAP	0x50

static u32 vpd_written;

static int vpd_read(struct pci_bus *bus, unsigned int devfn, int where,
		    int size, u32 *val)
{
	/* With this, a write is over */
	*val = 0;
	return PCIBIOS_SUCCESSFUL;
}

static int vpd_write(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 val)
{
	if (where == VPD_CAP + PCI_VPD_DATA)
		vpd_written = val;
	return PCIBIOS_SUCCESSFUL;
}

static int refuse(struct pci_dev *pdev, const char *path)
{
	return -EBUSY;
}

/* VFIO writes VPD for the owner by the function that drivers use. */
static void vpd_of_the_owner(struct kunit *test)
{
	static struct pci_ops vpd_ops = { .read = vpd_read, .write = vpd_write };
	u32 data = cpu_to_le32(0x12345678);
	struct pci_dev *pdev;
	struct pci_bus *bus;

	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	bus = kunit_kzalloc(test, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	bus->ops = &vpd_ops;
	pdev->bus = bus;
	pdev->vpd.cap = VPD_CAP;
	pdev->vpd.len = sizeof(data);
	mutex_init(&pdev->vpd.lock);
	kunit_activate_static_stub(test, pci_gate_check, refuse);

	vpd_written = 0;
	KUNIT_EXPECT_EQ(test, (ssize_t)sizeof(data),
			pci_write_vpd(pdev, 0, sizeof(data), &data));
	KUNIT_EXPECT_EQ(test, 0x12345678, vpd_written);
}

static struct kunit_case gate_cases[] = {
	KUNIT_CASE_PARAM(verdict, cell_gen_params),
	KUNIT_CASE(vga_memory),
	KUNIT_CASE(vpd_of_the_owner),
	KUNIT_CASE(behind_a_bridge),
#ifdef CONFIG_PCI_IOV
	KUNIT_CASE(behind_a_pf),
#endif
	{}
};

static struct kunit_suite gate_suite = {
	.name = "iommu_owner_gate",
	.test_cases = gate_cases,
};

kunit_test_suite(gate_suite);
