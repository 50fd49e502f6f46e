// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: ATS in the context entries
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/iommu-owner.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "iommu.h"

#define TEST_BUS	0
#define TEST_DEVFN	PCI_DEVFN(3, 0)

struct context_test {
	struct intel_iommu iommu;
	struct root_entry *root;
	struct context_entry *context;
	struct iommu_domain_info domain_info;
	struct dmar_domain domain;
	struct device_domain_info info;
	struct pci_ops pci_ops;
	struct pci_bus bus;
	struct pci_dev pdev;
	unsigned int flushes;
};

static void context_flushed(struct intel_iommu *iommu, u16 did, u16 sid, u8 fm,
			    u64 type)
{
	container_of(iommu, struct context_test, iommu)->flushes++;
}

static void iotlb_flushed(struct intel_iommu *iommu, u16 did, u64 addr,
			  unsigned int size_order, u64 type)
{
}

static int read_config(struct pci_bus *bus, unsigned int devfn, int where,
		       int size, u32 *val)
{
	*val = PCI_ATS_CAP_PAGE_ALIGNED;
	return PCIBIOS_SUCCESSFUL;
}

static bool refuse_ats(struct device *dev)
{
	return true;
}

static bool allow_ats(struct device *dev)
{
	return false;
}

static void domain_destroy(void *domain)
{
	xa_destroy(&((struct dmar_domain *)domain)->iommu_array);
}

/* A device with ATS behind a coherent IOMMU in legacy mode */
static int context_init(struct kunit *test)
{
	struct context_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->root = kunit_kzalloc(test, VTD_PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->root);
	t->context = kunit_kzalloc(test, VTD_PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->context);
	t->root[TEST_BUS].lo = virt_to_phys(t->context) | 1;

	spin_lock_init(&t->iommu.lock);
	t->iommu.root_entry = t->root;
	t->iommu.ecap = BIT_ULL(0);	/* coherent */
	t->iommu.cap = BIT_ULL(7);	/* caching mode: no write buffer */
	t->iommu.flush.flush_context = context_flushed;
	t->iommu.flush.flush_iotlb = iotlb_flushed;

	t->pci_ops.read = read_config;
	t->bus.ops = &t->pci_ops;
	t->pdev.bus = &t->bus;
	t->pdev.devfn = TEST_DEVFN;
	t->pdev.ats_cap = PCI_CFG_SPACE_SIZE;

	t->info.iommu = &t->iommu;
	t->info.bus = TEST_BUS;
	t->info.devfn = TEST_DEVFN;
	t->info.dev = &t->pdev.dev;
	t->info.ats_supported = 1;

	spin_lock_init(&t->domain.lock);
	INIT_LIST_HEAD(&t->domain.devices);
	list_add(&t->info.link, &t->domain.devices);
	t->domain.pgd = kunit_kzalloc(test, VTD_PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->domain.pgd);
	t->domain_info.did = 5;
	xa_init(&t->domain.iommu_array);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, domain_destroy,
						  &t->domain));
	KUNIT_ASSERT_EQ(test, 0,
			xa_err(xa_store(&t->domain.iommu_array,
					t->iommu.seq_id, &t->domain_info,
					GFP_KERNEL)));
	test->priv = t;
	return 0;
}

static unsigned int translation_type(struct context_test *t)
{
	return t->context[TEST_DEVFN].lo >> 2 & 3;
}

/* Map the device by a new entry, which is present then. */
static void map_context(struct kunit *test)
{
	struct context_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0,
			domain_context_mapping_one(&t->domain, &t->iommu,
						   TEST_BUS, TEST_DEVFN));
	KUNIT_EXPECT_TRUE(test, context_present(&t->context[TEST_DEVFN]));
}

static void translation_type_follows_the_lease(struct kunit *test)
{
	struct context_test *t = test->priv;
	struct context_entry *context = &t->context[TEST_DEVFN];

	kunit_activate_static_stub(test, iommu_owner_refuses_ats, allow_ats);
	map_context(test);
	KUNIT_EXPECT_EQ(test, CONTEXT_TT_DEV_IOTLB, translation_type(t));
	KUNIT_EXPECT_TRUE(test, context_has_ats(context));

	context_clear_entry(context);
	KUNIT_EXPECT_FALSE(test, context_has_ats(context));

	kunit_activate_static_stub(test, iommu_owner_refuses_ats, refuse_ats);
	map_context(test);
	KUNIT_EXPECT_EQ(test, CONTEXT_TT_MULTI_LEVEL, translation_type(t));
	KUNIT_EXPECT_FALSE(test, context_has_ats(context));
}

static void pass_through_is_without_ats(struct kunit *test)
{
	struct context_test *t = test->priv;
	struct context_entry *context = &t->context[TEST_DEVFN];

	context_set_translation_type(context, CONTEXT_TT_PASS_THROUGH);
	context_set_present(context);
	KUNIT_EXPECT_FALSE(test, context_has_ats(context));
}

static void dte_is_cleared_and_flushed(struct kunit *test)
{
	struct context_test *t = test->priv;
	struct context_entry *context = &t->context[TEST_DEVFN];
	u64 before;

	/* Nothing to set in an entry that is not there */
	device_set_sm_dte(&t->info, true);
	KUNIT_EXPECT_EQ(test, 0, context->lo);

	context_set_address_root(context, virt_to_phys(t->domain.pgd));
	context_set_present(context);
	before = context->lo;
	device_set_sm_dte(&t->info, true);
	KUNIT_EXPECT_TRUE(test, context_has_ats(context));
	KUNIT_EXPECT_EQ(test, 1, t->flushes);

	device_set_sm_dte(&t->info, false);
	KUNIT_EXPECT_FALSE(test, context_has_ats(context));
	KUNIT_EXPECT_EQ(test, before, context->lo);
	KUNIT_EXPECT_EQ(test, 2, t->flushes);

	device_set_sm_dte(&t->info, false);
	KUNIT_EXPECT_EQ(test, 2, t->flushes);
}

static struct kunit_case context_cases[] = {
	KUNIT_CASE(translation_type_follows_the_lease),
	KUNIT_CASE(pass_through_is_without_ats),
	KUNIT_CASE(dte_is_cleared_and_flushed),
	{}
};

static struct kunit_suite context_suite = {
	.name = "intel_iommu_context",
	.init = context_init,
	.test_cases = context_cases,
};

kunit_test_suite(context_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of the Intel IOMMU driver");
MODULE_LICENSE("GPL");
