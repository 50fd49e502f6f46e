// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the report of the isolation of a group, bit by bit
 */
#include <kunit/static_stub.h>
#include <linux/pci.h>

#include "mock.h"

#define BIT_OF(name)	IOMMU_OWNER_ISO_##name

/* A device whose group holds all bits */
static struct mock_device *isolated_device(struct kunit *test)
{
	mock_default_type(IOMMU_DOMAIN_UNMANAGED);
	return mock_pasid_device(test, NULL);
}

static u32 held(struct mock_device *mdev)
{
	struct iommu_owner_isolation_report report;

	if (iommu_owner_isolation(&mdev->dev, &report))
		return U32_MAX;
	return report.held;
}

static void all_bits_can_be_held(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_isolation_report report;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_isolation(&mdev->dev, &report));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, report.held);
	KUNIT_EXPECT_EQ(test, 0, report.missing);
	KUNIT_EXPECT_EQ(test, iommu_group_id(mdev->group), report.group);
	KUNIT_EXPECT_EQ(test, mock_generation(mdev->group), report.generation);
}

static void device_without_group(struct kunit *test)
{
	struct mock_device *mdev = mock_device_alloc(test, NULL, 0);
	struct iommu_owner_isolation_report report = { .held = U32_MAX };

	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommu_owner_isolation(&mdev->dev, &report));
	KUNIT_EXPECT_EQ(test, 0, report.held);
}

/* What a device is missing, its group is missing, whichever of its devices that is */

struct missing {
	const char *name;
	u32 bits;
	bool direct;
	bool incoherent;
	u32 bus_bits;
};

static const struct missing missing_bits[] = {
	{ "translated", BIT_OF(TRANSLATED), .bus_bits = BIT_OF(TRANSLATED) },
	{ "no_direct", BIT_OF(NO_DIRECT), .direct = true },
	{ "snoop", BIT_OF(SNOOP), .incoherent = true },
	{ "isolated_msi", BIT_OF(ISOLATED_MSI), .bus_bits = BIT_OF(ISOLATED_MSI) },
	{ "acs", BIT_OF(ACS), .bus_bits = BIT_OF(ACS) },
	{ "ats", BIT_OF(ATS), .bus_bits = BIT_OF(ATS) },
};

static void missing_desc(const struct missing *missing, char *desc)
{
	strscpy(desc, missing->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(missing, missing_bits, missing_desc);

static void bit_of_any_device(struct kunit *test)
{
	const struct missing *missing = test->param_value;
	struct mock_device *first = isolated_device(test);
	struct mock_device *second = mock_device_alloc(test, first->group, 0);
	struct mock_device *third;

	second->direct = missing->direct;
	second->incoherent = missing->incoherent;
	second->bus_bits &= ~missing->bus_bits;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(second));
	third = mock_device(test, first->group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~missing->bits, held(first));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~missing->bits, held(third));

	mock_device_del(second);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(first));
}

/* Types that are not known hold nothing */

struct domain_type {
	const char *name;
	unsigned int type;
	u32 missing;
};

#define NO_DOMAIN_BIT	(BIT_OF(TRANSLATED) | BIT_OF(STRICT))

static const struct domain_type domain_types[] = {
	{ "blocked", IOMMU_DOMAIN_BLOCKED, 0 },
	{ "identity", IOMMU_DOMAIN_IDENTITY, BIT_OF(TRANSLATED) },
	{ "unmanaged", IOMMU_DOMAIN_UNMANAGED, 0 },
	{ "dma", IOMMU_DOMAIN_DMA, 0 },
	{ "dma_fq", IOMMU_DOMAIN_DMA_FQ, BIT_OF(STRICT) },
	{ "sva", IOMMU_DOMAIN_SVA, 0 },
	{ "nested", IOMMU_DOMAIN_NESTED, 0 },
	{ "platform", IOMMU_DOMAIN_PLATFORM, NO_DOMAIN_BIT },
	{ "later", 1U << 20, NO_DOMAIN_BIT },
};

static void type_desc(const struct domain_type *type, char *desc)
{
	strscpy(desc, type->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(domain_type, domain_types, type_desc);

static void bits_of_the_domain(struct kunit *test)
{
	const struct domain_type *type = test->param_value;
	struct mock_device *mdev = isolated_device(test);
	struct iommu_domain *domain = mdev->group->domain;
	unsigned int was = domain->type;

	domain->type = type->type;
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~type->missing,
			held(mdev));
	domain->type = was;
}

static void identity_default_domain(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(TRANSLATED),
			held(mdev));
	/* The blocking domain of an owner translates */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(TRANSLATED),
			held(mdev));
}

/* A crash kernel goes on with what the kernel before it has set up */
static void deferred_attach_is_unknown(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);

	mdev->dev.iommu->attach_deferred = 1;
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(TRANSLATED),
			held(mdev));
	mdev->dev.iommu->attach_deferred = 0;
}

static void sibling_with_a_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *user = mock_driver(test, "mock_user", true);
	struct mock_device *mdev = isolated_device(test);
	struct mock_device *sibling = mock_device(test, mdev->group);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(user, mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, sibling));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(NO_SIBLING),
			held(mdev));
	mock_unbind(sibling);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
}

static void driver_that_hands_over(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(NO_SIBLING),
			held(mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_handover_device(a, &mdev->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_device(a, &mdev->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(NO_SIBLING),
			held(mdev));
}

static void pasid_of_the_kernel(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	u64 before = mock_generation(mdev->group);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_attach_device_pasid(domain, &mdev->dev, 1, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(NO_FOREIGN_PASID),
			held(mdev));
	KUNIT_EXPECT_GT(test, mock_generation(mdev->group), before);
	before = mock_generation(mdev->group);
	iommu_detach_device_pasid(domain, &mdev->dev, 1);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_EXPECT_GT(test, mock_generation(mdev->group), before);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &mdev->dev,
							1, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
}

#ifdef CONFIG_PCI
/* A PCI device below a root port with ACS. If one @sleeps, neither answers. */

#define ACS_CAP		0x148
#define REDIRECT	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

struct fake_pci {
	struct pci_dev pdev;
	struct pci_dev port;
	struct pci_bus bus;
	struct pci_bus root;
	struct iommu_device iommu_dev;
	struct dev_iommu iommu;
	u16 acs_ctrl;
	bool sleeps;
};

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *val)
{
	const struct fake_pci *pci = bus->sysdata;

	*val = 0;
	if (pci->sleeps)
		PCI_SET_ERROR_RESPONSE(val);
	else if (bus == &pci->root && where == ACS_CAP + PCI_ACS_CAP)
		*val = REDIRECT | PCI_ACS_EC | PCI_ACS_DT;
	else if (bus == &pci->root && where == ACS_CAP + PCI_ACS_CTRL)
		*val = pci->acs_ctrl;
	return PCIBIOS_SUCCESSFUL;
}

static struct fake_pci *fake_pci(struct kunit *test)
{
	static struct pci_ops fake_ops = { .read = fake_read };
	static const struct iommu_ops no_ops;
	struct fake_pci *pci;

	pci = kunit_kzalloc(test, sizeof(*pci), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pci);
	pci->root.ops = &fake_ops;
	pci->root.sysdata = pci;
	pci->port.bus = &pci->root;
	pci->port.pcie_cap = 0x40;
	pci->port.pcie_flags_reg = PCI_EXP_TYPE_ROOT_PORT << 4;
	pci->port.acs_cap = ACS_CAP;
	pci->acs_ctrl = REDIRECT;
	pci->bus.ops = &fake_ops;
	pci->bus.sysdata = pci;
	pci->bus.parent = &pci->root;
	pci->bus.self = &pci->port;
	pci->pdev.bus = &pci->bus;
	pci->pdev.untrusted = true;	/* whatever the command line says */
	pci->pdev.dev.bus = &pci_bus_type;
	pci->pdev.dev.iommu = &pci->iommu;
	pci->iommu.iommu_dev = &pci->iommu_dev;
	pci->iommu_dev.ops = &no_ops;
	return pci;
}

/* What it holds of the bits that registers say */
static u32 register_bits(struct fake_pci *pci)
{
	return iommu_owner_bus_bits(&pci->pdev.dev) &
	       (BIT_OF(TRANSLATED) | BIT_OF(ACS));
}

static bool blocks_translated(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_BLOCKS_TRANSLATED;
}

static bool blocks_nothing(struct device *dev, enum iommu_cap cap)
{
	return false;
}

static u32 ats_bit(struct kunit *test, bool ats_enabled,
		   bool (*capable)(struct device *dev, enum iommu_cap cap))
{
	const struct iommu_ops ops = { .capable = capable };
	struct fake_pci *pci = fake_pci(test);

	pci->pdev.ats_enabled = ats_enabled;
	pci->iommu_dev.ops = &ops;
	return iommu_owner_bus_bits(&pci->pdev.dev) & BIT_OF(ATS);
}

static void only_the_iommu_is_asked_for_ats(struct kunit *test)
{
	kunit_deactivate_static_stub(test, iommu_owner_bus_bits);
	KUNIT_EXPECT_EQ(test, 0, ats_bit(test, false, NULL));
	KUNIT_EXPECT_EQ(test, 0, ats_bit(test, false, blocks_nothing));
	KUNIT_EXPECT_EQ(test, BIT_OF(ATS),
			ats_bit(test, false, blocks_translated));
	KUNIT_EXPECT_EQ(test, BIT_OF(ATS),
			ats_bit(test, true, blocks_translated));
}

static void acs_of_the_port(struct kunit *test)
{
	struct fake_pci *pci = fake_pci(test);
	u32 both = BIT_OF(TRANSLATED) | BIT_OF(ACS);

	kunit_deactivate_static_stub(test, iommu_owner_bus_bits);
	KUNIT_EXPECT_EQ(test, both, register_bits(pci));
	pci->acs_ctrl = REDIRECT | PCI_ACS_TB;
	KUNIT_EXPECT_EQ(test, both, register_bits(pci));
	pci->acs_ctrl = REDIRECT & ~PCI_ACS_RR;
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED), register_bits(pci));
	/* What these let pass goes straight to a peer */
	pci->acs_ctrl = REDIRECT | PCI_ACS_EC;
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED), register_bits(pci));
	pci->acs_ctrl = REDIRECT | PCI_ACS_DT;
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED), register_bits(pci));
	pci->acs_ctrl = REDIRECT;
	pci->port.acs_cap = 0;
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED), register_bits(pci));
}

/* All ones would enable ACS, and have no CXL.cache */
static void no_answer_is_no_evidence(struct kunit *test)
{
	struct fake_pci *pci = fake_pci(test);

	kunit_deactivate_static_stub(test, iommu_owner_bus_bits);
	pci->pdev.cfg_size = PCI_CFG_SPACE_EXP_SIZE;
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED) | BIT_OF(ACS),
			register_bits(pci));
	pci->sleeps = true;
	KUNIT_EXPECT_EQ(test, 0, register_bits(pci));
}
#else
static void only_the_iommu_is_asked_for_ats(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PCI");
}

static void acs_of_the_port(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PCI");
}

static void no_answer_is_no_evidence(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PCI");
}
#endif

/* sysfs */

static void free_page_action(void *buf)
{
	free_page((unsigned long)buf);
}

static void expect_file(struct kunit *test, struct iommu_group *group,
			const char *want)
{
	char *buf = (char *)get_zeroed_page(GFP_KERNEL);
	umode_t mode;
	ssize_t len;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_page_action, buf));
	len = mock_read_attribute(test, group, "owner", "isolation", &mode,
				  buf);
	KUNIT_EXPECT_EQ(test, (ssize_t)strlen(want), len);
	KUNIT_EXPECT_STREQ(test, want, buf);
	KUNIT_EXPECT_EQ(test, 0444, mode);
}

static void file_names_the_bits(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_group *group = mdev->group;

	expect_file(test, group,
		    "held: translated no-direct isolated-msi acs no-sibling strict ats snoop no-foreign-pasid\n"
		    "missing:\n");

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	mdev->bus_bits &= ~(BIT_OF(ISOLATED_MSI) | BIT_OF(ATS));
	expect_file(test, group,
		    "held: translated no-direct acs strict snoop no-foreign-pasid\n"
		    "missing: isolated-msi no-sibling ats\n");
	mock_unbind(mdev);

	mock_device_del(mdev);
	expect_file(test, group,
		    "held:\n"
		    "missing: translated no-direct isolated-msi acs no-sibling strict ats snoop no-foreign-pasid\n");
}

/* The tracepoint */

struct traced {
	int group;
	unsigned int count;
	u32 old;
	u32 new;
	u64 generation;
};

static void see_isolation(void *data, int group, u32 old, u32 new,
			  u64 generation)
{
	struct traced *traced = data;

	if (traced->group != group)
		return;
	traced->count++;
	traced->old = old;
	traced->new = new;
	traced->generation = generation;
}

static void changes_are_traced(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct traced *traced;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	traced = kunit_kzalloc(test, sizeof(*traced), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, traced);
	traced->group = iommu_group_id(mdev->group);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	mock_trace(test, "iommu_owner_isolation", see_isolation, traced);
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 1, traced->count);
	KUNIT_EXPECT_EQ(test, 0, traced->old);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, traced->new);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 2, traced->count);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, traced->old);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(NO_SIBLING),
			traced->new);
	KUNIT_EXPECT_EQ(test, mock_generation(mdev->group), traced->generation);
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 3, traced->count);

	/* Changes that leave the bits as they are */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 3, traced->count);
}

/* Nobody asks, nobody pays */
static void claim_computes_nothing(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mdev->bits_asked = 0;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, mdev->bits_asked);
	held(mdev);
	KUNIT_EXPECT_EQ(test, 1, mdev->bits_asked);
}

static struct kunit_case isolation_cases[] = {
	KUNIT_CASE(all_bits_can_be_held),
	KUNIT_CASE(device_without_group),
	KUNIT_CASE_PARAM(bit_of_any_device, missing_gen_params),
	KUNIT_CASE_PARAM(bits_of_the_domain, domain_type_gen_params),
	KUNIT_CASE(identity_default_domain),
	KUNIT_CASE(deferred_attach_is_unknown),
	KUNIT_CASE(sibling_with_a_driver),
	KUNIT_CASE(driver_that_hands_over),
	KUNIT_CASE(pasid_of_the_kernel),
	KUNIT_CASE(only_the_iommu_is_asked_for_ats),
	KUNIT_CASE(acs_of_the_port),
	KUNIT_CASE(no_answer_is_no_evidence),
	KUNIT_CASE(file_names_the_bits),
	KUNIT_CASE(changes_are_traced),
	KUNIT_CASE(claim_computes_nothing),
	{}
};

static struct kunit_suite isolation_suite = {
	.name = "iommu_owner_isolation",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = isolation_cases,
};

kunit_test_suite(isolation_suite);
