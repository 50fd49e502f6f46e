// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: entries of the device table
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "amd_iommu.h"

/* Domain 0, so that no command is sent to an IOMMU */
struct dte_test {
	struct amd_iommu_pci_seg seg;
	struct amd_iommu iommu;
	struct dev_table_entry dte;
	struct protection_domain domain;
	struct iommu_dev_data dev_data;
};

static int dte_init(struct kunit *test)
{
	struct dte_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->seg.dev_table = &t->dte;
	t->iommu.pci_seg = &t->seg;
	t->domain.iop.mode = PAGE_MODE_NONE;
	t->dev_data.domain = &t->domain;
	test->priv = t;
	return 0;
}

static void dte_expect(struct kunit *test, bool iotlb)
{
	struct dte_test *t = test->priv;

	KUNIT_EXPECT_TRUE(test, t->dte.data[0] & DTE_FLAG_V);
	KUNIT_EXPECT_EQ(test, iotlb, !!(t->dte.data[1] & DTE_FLAG_IOTLB));
}

static void iotlb_follows_ats(struct kunit *test)
{
	struct dte_test *t = test->priv;

	set_dte_entry(&t->iommu, &t->dev_data);
	dte_expect(test, false);

	t->dev_data.ats_enabled = 1;
	set_dte_entry(&t->iommu, &t->dev_data);
	dte_expect(test, true);

	/* Attached again, with ATS refused */
	t->dev_data.ats_enabled = 0;
	set_dte_entry(&t->iommu, &t->dev_data);
	dte_expect(test, false);
}

static void iotlb_is_cleared_when_blocked(struct kunit *test)
{
	const u64 other = DTE_FLAG_MASK & ~DTE_FLAG_IOTLB;
	struct dte_test *t = test->priv;

	t->dte.data[1] = other;
	t->dev_data.ats_enabled = 1;
	set_dte_entry(&t->iommu, &t->dev_data);
	dte_expect(test, true);

	clear_dte_entry(&t->iommu, 0);
	dte_expect(test, false);
	/* What the firmware has set for the device stays */
	KUNIT_EXPECT_EQ(test, other, t->dte.data[1]);
}

static struct kunit_case dte_cases[] = {
	KUNIT_CASE(iotlb_follows_ats),
	KUNIT_CASE(iotlb_is_cleared_when_blocked),
	{}
};

static struct kunit_suite dte_suite = {
	.name = "amd_iommu_dte",
	.init = dte_init,
	.test_cases = dte_cases,
};

kunit_test_suite(dte_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of the AMD IOMMU driver");
MODULE_LICENSE("GPL");
