// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: what becomes of an access of the host to a device
 */
#include <kunit/test.h>
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

static struct kunit_case gate_cases[] = {
	KUNIT_CASE_PARAM(verdict, cell_gen_params),
	{}
};

static struct kunit_suite gate_suite = {
	.name = "iommu_owner_gate",
	.test_cases = gate_cases,
};

kunit_test_suite(gate_suite);
