// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: leases of isolation, what they refuse, and what lockdown demands
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/pm_domain.h>
#include <linux/pm_runtime.h>

#include "mock.h"

static bool locked_down;
static atomic_t lockdown_asked;
static atomic_t lockdown_logged;

static bool mock_locked_down(enum lockdown_reason what)
{
	if (what == LOCKDOWN_USER_DMA_QUERY)
		atomic_inc(&lockdown_asked);
	else if (READ_ONCE(locked_down))
		atomic_inc(&lockdown_logged);
	return READ_ONCE(locked_down);
}

/* Is the kernel locked down, until the test ends? */
static void mock_lock_down(bool locked)
{
	WRITE_ONCE(locked_down, locked);
}

/* How often somebody has asked since the last time */
static unsigned int mock_lockdown_asked(void)
{
	return atomic_xchg(&lockdown_asked, 0);
}

/* How many lines lockdown has logged since the last time */
static unsigned int mock_lockdown_logged(void)
{
	return atomic_xchg(&lockdown_logged, 0);
}

static int lease_init(struct kunit *test)
{
	locked_down = false;
	atomic_set(&lockdown_asked, 0);
	atomic_set(&lockdown_logged, 0);
	kunit_activate_static_stub(test, iommu_owner_locked_down,
				   mock_locked_down);
	return mock_init(test);
}

#define BIT_OF(name)	IOMMU_OWNER_ISO_##name
#define NO_DEFAULT	"a lease does not allow the default domain"

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

static ssize_t store_type(struct kunit *test, struct iommu_group *group,
			  const char *type)
{
	return mock_write_attribute(test, group, NULL, "type", type);
}

static void put_action(void *lease)
{
	iommu_owner_isolation_put(lease);
}

/* A lease that is put when the test has ended, at the latest */
static struct iommu_owner_lease *lease_new(struct kunit *test)
{
	struct iommu_owner_lease *lease;

	lease = kunit_kzalloc(test, sizeof(*lease), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lease);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, put_action, lease));
	return lease;
}

static struct iommu_owner_lease *lease_get(struct kunit *test,
					   struct mock_device *mdev,
					   u32 required)
{
	struct iommu_owner_lease *lease = lease_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_isolation_lease(&mdev->dev, required,
						    "tdx", lease));
	return lease;
}

/* A paging domain that says that it is of another type */
static struct iommu_domain *domain_of_type(struct kunit *test,
					   struct mock_device *mdev,
					   unsigned int type)
{
	struct iommu_domain *domain = mock_paging_domain(test, mdev);

	domain->type = type;
	return domain;
}

/* First of all, before the rate limit of the line is used up */
static void refusal_names_the_holder(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);

	lease_get(test, mdev, BIT_OF(TRANSLATED) | BIT_OF(NO_SIBLING));
	mock_listen(test,
		    "the probe of a driver refused: a lease of tdx requires no-sibling");
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());

	mock_default_type(0);
	mock_listen(test,
		    "an identity domain refused: a lease of tdx requires translated");
	KUNIT_EXPECT_EQ(test, -EBUSY,
			store_type(test, mdev->group, "identity"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
}

/* To take one */

static void missing_bits_are_named(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner_lease *lease = lease_new(test);

	mdev->bus_bits = BIT_OF(ATS);
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_isolation_lease(&mdev->dev,
						    IOMMU_OWNER_ISO_ALL, "tdx",
						    lease));
	KUNIT_EXPECT_EQ(test, BIT_OF(TRANSLATED) | BIT_OF(ISOLATED_MSI) |
			BIT_OF(ACS), lease->missing);

	/* It is not taken, also not in part */
	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_isolation_lease(&mdev->dev, BIT_OF(ACS) |
						    BIT_OF(NO_SIBLING), "tdx",
						    lease));
	KUNIT_EXPECT_EQ(test, BIT_OF(ACS), lease->missing);
	KUNIT_EXPECT_EQ(test, 0, mdev->group->ownership.required);
}

static void wrong_requests(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct mock_device *outside = mock_device_alloc(test, NULL, 0);
	struct iommu_owner_lease *lease = lease_new(test);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_isolation_lease(&mdev->dev, 0, "tdx",
						    lease));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_isolation_lease(&mdev->dev,
						    IOMMU_OWNER_ISO_ALL + 1,
						    "tdx", lease));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommu_owner_isolation_lease(&outside->dev,
						    BIT_OF(ACS), "tdx",
						    lease));
	KUNIT_EXPECT_EQ(test, 0, mdev->group->ownership.required);
}

static void leases_add_up(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_lease *first, *second;

	first = lease_get(test, mdev, BIT_OF(NO_SIBLING));
	second = lease_get(test, mdev, BIT_OF(NO_SIBLING) | BIT_OF(STRICT));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	iommu_owner_isolation_put(second);
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_FALSE(test, mock_bound(nic, mdev));
	iommu_owner_isolation_put(first);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	/* Putting twice is the same as once */
	iommu_owner_isolation_put(first);
}

/* What is refused, and that it is allowed without the bit */

static void identity_is_kept_out(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_domain *identity;
	struct iommu_owner_lease *lease;

	identity = domain_of_type(test, mdev, IOMMU_DOMAIN_IDENTITY);
	lease = lease_get(test, mdev, BIT_OF(TRANSLATED));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_attach_group(identity, mdev->group));
	KUNIT_EXPECT_FALSE(test, mock_reaches(mdev, identity));

	mock_default_type(0);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			store_type(test, mdev->group, "identity"));
	/* Also if it only turns out that this is what it comes to */
	mock_default_type(IOMMU_DOMAIN_IDENTITY);
	KUNIT_EXPECT_EQ(test, -EBUSY, store_type(test, mdev->group, "auto"));
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));

	iommu_owner_isolation_put(lease);
	lease = lease_get(test, mdev, IOMMU_OWNER_ISO_ALL & ~BIT_OF(TRANSLATED));
	KUNIT_EXPECT_EQ(test, 8, store_type(test, mdev->group, "identity"));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void lazy_invalidation_is_kept_out(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *lazy;
	struct iommu_owner_lease *lease;

	lazy = domain_of_type(test, mdev, IOMMU_DOMAIN_DMA_FQ);
	lease = lease_get(test, mdev, BIT_OF(STRICT));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_attach_group(lazy, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			store_type(test, mdev->group, "DMA-FQ"));

	/* Nor may the owner */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_attach_group(a, lazy, mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	iommu_owner_isolation_put(lease);
	lease_get(test, mdev, IOMMU_OWNER_ISO_ALL & ~BIT_OF(STRICT));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_group(a, lazy, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_detach_group(a, lazy, mdev->group));
}

/* The type that goes without a change of the domain */
static void flush_queue_is_kept_out(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_domain *domain = mdev->group->default_domain;
	struct iommu_owner_lease *lease = lease_get(test, mdev, BIT_OF(STRICT));

	domain->type = IOMMU_DOMAIN_DMA;
	KUNIT_EXPECT_EQ(test, -EBUSY,
			store_type(test, mdev->group, "DMA-FQ"));
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, domain->type);
	KUNIT_EXPECT_NE(test, -EBUSY, store_type(test, mdev->group, "DMA"));
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	iommu_owner_isolation_put(lease);
}

static void pasid_of_the_kernel_is_kept_out(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner_lease *lease;

	lease = lease_get(test, mdev, BIT_OF(NO_FOREIGN_PASID));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_attach_device_pasid(domain, &mdev->dev, 1, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, 1));

	/* That of the owner is not foreign */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &mdev->dev,
							1, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));

	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_attach_device_pasid(domain, &mdev->dev, 1, NULL));
	iommu_detach_device_pasid(domain, &mdev->dev, 1);
}

static void probe_is_repeated_when_put(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_lease *lease;

	mock_set_parameter(test, "reprobe", "1");
	mdev->match = true;
	lease = lease_get(test, mdev, BIT_OF(NO_SIBLING));
	KUNIT_EXPECT_NE(test, 1, device_attach(&mdev->dev));
	KUNIT_EXPECT_FALSE(test, mock_bound(nic, mdev));
	iommu_owner_isolation_put(lease);
	for (unsigned int i = 0; i < 500 && !mock_bound(nic, mdev); i++)
		msleep(20);
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, mdev));
	mock_set_parameter(test, "reprobe", "0");
}

/* A device that is missing a bit and joins */

static void late_device_is_blocked(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_lease *lease = lease_get(test, mdev, BIT_OF(ACS));
	struct mock_device *late = mock_device_alloc(test, mdev->group, 0);
	struct mock_device *good;

	late->bus_bits &= ~BIT_OF(ACS);
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_PTR_EQ(test, mdev->group, late->dev.iommu_group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, late));
	KUNIT_EXPECT_FALSE(test, mock_bound(nic, late));

	/* The others go on, and one that is missing nothing is let in */
	good = mock_device(test, mdev->group);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(good));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	mock_unbind(mdev);

	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(late));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(ACS), held(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, late));
}

/* Whatever the domain translates, it is not for this device */
static void late_device_past_the_iommu(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct mock_device *late = mock_device_alloc(test, mdev->group, 0);

	lease_get(test, mdev, BIT_OF(TRANSLATED));
	late->bus_bits &= ~BIT_OF(TRANSLATED);
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, late));
}

/* Isolated by all but itself */
static void device_past_the_iommu_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "vmm-8")->owner;

	mock_lock_down(true);
	mdev->bus_bits &= ~BIT_OF(TRANSLATED);
	mock_listen(test, "not isolated: translated missing");
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
			mock_state(mdev->group));
}

static void late_device_of_an_owner(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;
	struct iommu_owner_lease *lease;
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	lease = lease_get(test, mdev, BIT_OF(SNOOP) | BIT_OF(ISOLATED_MSI));
	late = mock_device_alloc(test, group, ilog2(MOCK_PASIDS));
	late->incoherent = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_device_used(&late->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, domain));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, &mdev->dev,
							1, NULL));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(late, 1));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, &mdev->dev,
							1));

	/* Another lease still needs what it is missing */
	lease_get(test, mdev, BIT_OF(SNOOP));
	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));

	/* The default domain does not let it in either */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
}

static void lease_ends_with_the_last_device(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_lease *lease;
	struct mock_device *next;

	lease = lease_get(test, mdev, BIT_OF(TRANSLATED) | BIT_OF(NO_SIBLING));
	KUNIT_EXPECT_FALSE(test, iommu_owner_isolation_lost(lease));
	mock_device_del(mdev);
	KUNIT_EXPECT_TRUE(test, iommu_owner_isolation_lost(lease));
	mock_default_type(IOMMU_DOMAIN_IDENTITY);
	next = mock_device(test, mdev->group);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(next));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, next));
	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(next));
}

/* What cannot be refused, and waits */

static void expect_quarantine(struct kunit *test, struct iommu_group *group,
			      const char *reason)
{
	KUNIT_EXPECT_EQ(test, reason ? IOMMU_OWNER_STATE_QUARANTINE :
				       IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_STREQ(test, reason ?: "", mock_quarantine(group) ?: "");
}

static void end_waits_for_the_lease(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;
	struct iommu_owner_lease *lease, *other;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	lease = lease_get(test, mdev, BIT_OF(TRANSLATED));
	other = lease_get(test, mdev, BIT_OF(TRANSLATED) | BIT_OF(ACS));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	expect_quarantine(test, group, NO_DEFAULT);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, held(mdev) & BIT_OF(TRANSLATED));

	/* Who wants the group gets it as little as who clears */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_clear_quarantine(group));
	iommu_owner_isolation_put(other);
	expect_quarantine(test, group, NO_DEFAULT);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	iommu_owner_isolation_put(lease);
	expect_quarantine(test, group, NULL);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

/* The driver that has lent its device would be back at work */
static void lender_waits_for_the_lease(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner_lease *lease;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_handover_device(a, &mdev->dev));
	lease = lease_get(test, mdev, BIT_OF(NO_SIBLING));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_device(a, &mdev->dev));
	expect_quarantine(test, mdev->group, NO_DEFAULT);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL, held(mdev));

	iommu_owner_isolation_put(lease);
	expect_quarantine(test, mdev->group, NULL);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(mdev));
}

static void private_domain_goes_to_blocking(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *sibling = mock_device(test, mdev->group);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;
	struct iommu_owner_lease *lease;

	KUNIT_ASSERT_EQ(test, 0, iommu_attach_group(domain, group));
	lease = lease_get(test, mdev, BIT_OF(TRANSLATED));
	iommu_detach_group(domain, group);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, held(mdev) & BIT_OF(TRANSLATED));
	/* Its DMA would not work */
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, sibling));

	iommu_owner_isolation_put(lease);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, sibling));
}

/* Unsafe interrupts */

static void unsafe_interrupts_wait(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner_lease *lease;
	bool allow = false;

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_set_unsafe_interrupts(&allow, true, "t"));
	KUNIT_EXPECT_TRUE(test, allow);
	lease = lease_get(test, mdev, BIT_OF(ISOLATED_MSI));
	/* Nothing is switched on by this */
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_set_unsafe_interrupts(&allow, true, "t"));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_set_unsafe_interrupts(&allow, false, "t"));
	KUNIT_EXPECT_FALSE(test, allow);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_set_unsafe_interrupts(&allow, true, "t"));
	KUNIT_EXPECT_FALSE(test, allow);

	iommu_owner_isolation_put(lease);
	lease_get(test, mdev, IOMMU_OWNER_ISO_ALL & ~BIT_OF(ISOLATED_MSI));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_set_unsafe_interrupts(&allow, true, "t"));
	KUNIT_EXPECT_TRUE(test, allow);
}

/* Lockdown */

static u32 required(struct mock_device *mdev)
{
	guard(mutex)(&mdev->group->mutex);
	return mdev->group->ownership.required;
}

static void without_lockdown_nothing_is_demanded(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mdev->bus_bits = 0;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, required(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void isolated_group_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mdev->incoherent = true;
	mock_lock_down(true);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_ISO_ALL & ~BIT_OF(SNOOP),
			required(mdev));
	KUNIT_EXPECT_EQ(test, 1, mock_lockdown_asked());

	/* Nobody asks again */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	KUNIT_EXPECT_EQ(test, 0, mock_lockdown_asked());
	/* A line would say that something was refused */
	KUNIT_EXPECT_EQ(test, 0, mock_lockdown_logged());
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_NE(test, 0, required(mdev));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, required(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

/* The DMA of a group that cannot be had is not disturbed */
static void group_that_is_not_isolated(struct kunit *test)
{
	const struct {
		u32 bus_bits;
		bool direct;
	} missing[] = {
		{ BIT_OF(ISOLATED_MSI) }, { BIT_OF(ACS) }, { .direct = true },
	};
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_lock_down(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(missing); i++) {
		struct mock_device *mdev = mock_device_alloc(test, NULL, 0);

		mdev->bus_bits &= ~missing[i].bus_bits;
		mdev->direct = missing[i].direct;
		KUNIT_ASSERT_EQ(test, 0, mock_device_add(mdev));
		KUNIT_EXPECT_EQ(test, -EPERM,
				iommu_owner_claim_group(a, mdev->group));
		KUNIT_EXPECT_EQ(test, 1, mock_lockdown_logged());
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
				mock_state(mdev->group));
		KUNIT_EXPECT_STREQ(test, "I", mdev->history);
		KUNIT_EXPECT_EQ(test, 0, required(mdev));
	}
}

static void lockdown_names_what_is_missing(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "vmm-7")->owner;

	mock_lock_down(true);
	mdev->bus_bits = BIT_OF(ATS);
	mock_listen(test, "not isolated: isolated-msi acs missing; needs interrupt remapping");
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
}

/* ATS that the blocking domain does not switch off is seen only then */
static void ats_that_stays_on(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mock_lock_down(true);
	mdev->bus_bits &= ~BIT_OF(ATS);
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 1, mock_lockdown_logged());
	KUNIT_EXPECT_STREQ(test, "IBI", mdev->history);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_release_group(a, group));

	mdev->bus_bits |= BIT_OF(ATS);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));

	/* A group that cannot have its default domain back is nobody's */
	mdev->bus_bits &= ~BIT_OF(ATS);
	mock_fail_attach(mdev, MOCK_DEFAULT, 1);
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
}

static void reservation_needs_no_lease(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mock_lock_down(true);
	mdev->bus_bits = 0;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, mock_lockdown_asked());
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	mdev->bus_bits = IOMMU_OWNER_ISO_ALL;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_NE(test, 0, required(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
}

static void lockdown_after_the_claim(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mdev->bus_bits &= ~BIT_OF(ATS);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	mock_lock_down(true);
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 1, mock_claims(group));

	mdev->bus_bits |= BIT_OF(ATS);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_NE(test, 0, required(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void late_device_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct mock_device *late;

	mock_lock_down(true);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	late = mock_device_alloc(test, mdev->group, 0);
	late->bus_bits = 0;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(late));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_device_used(&late->dev));

	/* The end of the ownership is the end of its lease */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(late));
}

/* Devices that were quiesced, but not reset */

/* A device whose group can get a default domain that translates */
static struct mock_device *translated_device(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);

	if (!IS_ENABLED(CONFIG_IOMMU_DMA))
		kunit_skip(test, "needs CONFIG_IOMMU_DMA");
	mock_default_type(0);
	return mdev;
}

static unsigned int default_domain_type(struct iommu_group *group)
{
	guard(mutex)(&group->mutex);
	return group->default_domain->type;
}

/* @quiesced: what comes of quiescing @mdev at the end */
static void use_and_release(struct kunit *test, struct iommu_owner *owner,
			    struct mock_device *mdev, int quiesced)
{
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	mock_fail_quiesce(mdev, quiesced, 1);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(owner, mdev->group));
}

static void use_without_reset(struct kunit *test, struct iommu_owner *owner,
			      struct mock_device *mdev)
{
	use_and_release(test, owner, mdev, IOMMU_OWNER_NOT_RESET);
}

static void without_reset_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = translated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	use_without_reset(test, a, mdev);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));

	mock_lock_down(true);
	use_without_reset(test, a, mdev);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, default_domain_type(group));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_lockdown_logged());

	/* And stays so, until the device has been reset */
	KUNIT_EXPECT_EQ(test, -EBUSY, store_type(test, group, "identity"));
	KUNIT_EXPECT_EQ(test, 1, mock_lockdown_logged());
	KUNIT_EXPECT_EQ(test, -EBUSY, store_type(test, group, "DMA-FQ"));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_LT(test, 0, store_type(test, group, "identity"));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

/* There is no domain that would do. */
static void without_reset_and_domain(struct kunit *test)
{
	struct mock_device *mdev = translated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mock_lock_down(true);
	mock_fail_alloc("U");
	use_without_reset(test, a, mdev);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	mock_fail_alloc(NULL);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, default_domain_type(group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
}

/* To clear a quarantine resets nothing. */
static void clear_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = translated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	mock_lock_down(true);
	use_and_release(test, a, mdev, -EIO);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, default_domain_type(group));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, store_type(test, group, "identity"));
}

/* Use @mdev, which is left as @quiesced says; remove it and find it again. */
static struct mock_device *found_after_use(struct kunit *test,
					   struct mock_device *mdev,
					   struct iommu_group *group,
					   int quiesced)
{
	struct mock_device *again;

	mock_give_address(mdev);
	use_and_release(test, mock_owner(test, "a")->owner, mdev, quiesced);
	mock_device_del(mdev);
	mock_default_type(group ? 0 : IOMMU_DOMAIN_IDENTITY);
	again = mock_device_again(test, mdev, group);
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(again));
	return again;
}

/* Another device to the kernel, but what user space has armed is the same. */
static void found_again_under_lockdown(struct kunit *test)
{
	static const int left[] = { IOMMU_OWNER_NOT_RESET, -EIO };
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *again;

	mock_lock_down(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(left); i++) {
		again = found_after_use(test, translated_device(test), NULL,
					left[i]);
		/* The driver demands identity */
		KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_IDENTITY,
				default_domain_type(again->group));
		KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(again));
		KUNIT_EXPECT_NULL(test, strchr(again->history, 'I'));
		KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, again));
		mock_default_type(0);
		KUNIT_EXPECT_LT(test, 0, store_type(test, again->group, "DMA"));
		KUNIT_EXPECT_EQ(test, -EBUSY,
				store_type(test, again->group, "identity"));
		KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
		mock_unbind(again);
		mock_default_type(IOMMU_DOMAIN_IDENTITY);
	}
}

/* User space may have it again: what an owner attaches is no harm. */
static void found_again_and_claimed(struct kunit *test)
{
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct mock_device *again;
	struct iommu_domain *domain;

	mock_lock_down(true);
	again = found_after_use(test, translated_device(test), NULL, -EIO);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, again->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(again));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&again->dev));
	domain = mock_paging_domain(test, again);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_group(b, domain, again->group));
	KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(again));
	iommu_owner_detach_group(b, domain, again->group);

	/* It is reset this time */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(b, again->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(again->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(again));
}

/* Translated requests reach all of memory, with whatever domain. */
static void ats_stays_off_without_reset(struct kunit *test)
{
	struct mock_device *mdev = translated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_give_address(mdev);
	mock_lock_down(true);
	KUNIT_EXPECT_FALSE(test, iommu_owner_refuses_ats(&mdev->dev));
	use_without_reset(test, a, mdev);
	KUNIT_EXPECT_TRUE(test, iommu_owner_refuses_ats(&mdev->dev));
	mock_lock_down(false);
	KUNIT_EXPECT_FALSE(test, iommu_owner_refuses_ats(&mdev->dev));
	mock_lock_down(true);
	use_and_release(test, a, mdev, 0);
	KUNIT_EXPECT_FALSE(test, iommu_owner_refuses_ats(&mdev->dev));
}

/* Without lockdown, and after a reset, it is a device as any other. */
static void found_again_without_lockdown(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *again;

	again = found_after_use(test, translated_device(test), NULL, -EIO);
	KUNIT_EXPECT_STREQ(test, "I", again->history);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
	mock_unbind(again);

	mock_default_type(IOMMU_DOMAIN_IDENTITY);
	mock_lock_down(true);
	again = found_after_use(test, translated_device(test), NULL, 0);
	KUNIT_EXPECT_STREQ(test, "I", again->history);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
}

static void found_without_reset_in_a_group(struct kunit *test)
{
	struct mock_device *neighbour = mock_device(test, NULL);
	struct mock_device *mdev = translated_device(test);
	struct mock_device *again;

	mock_lock_down(true);
	again = found_after_use(test, mdev, neighbour->group,
				IOMMU_OWNER_NOT_RESET);
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA,
			default_domain_type(neighbour->group));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(again));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(neighbour));
}

/* The domain cannot be changed: a neighbour has a driver. */
static void found_without_reset_beside_a_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *neighbour = mock_device(test, NULL);
	struct mock_device *mdev = translated_device(test);
	struct iommu_domain *domain;
	struct mock_device *again;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, neighbour));
	mock_lock_down(true);
	again = found_after_use(test, mdev, neighbour->group,
				IOMMU_OWNER_NOT_RESET);
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_IDENTITY,
			default_domain_type(neighbour->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(again));
	KUNIT_EXPECT_NULL(test, strchr(again->history, 'I'));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(neighbour));
	mock_lockdown_logged();
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, again));
	KUNIT_EXPECT_EQ(test, 1, mock_lockdown_logged());

	/* The neighbour gets its domain back */
	domain = mock_paging_domain(test, neighbour);
	KUNIT_ASSERT_EQ(test, 0, iommu_attach_group(domain, neighbour->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(again));
	iommu_detach_group(domain, neighbour->group);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(neighbour));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(again));

	/* What the log says */
	mock_unbind(neighbour);
	KUNIT_EXPECT_LT(test, 0, store_type(test, neighbour->group, "DMA"));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, neighbour));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
}

/* The parameter trusts a device with ATS, lockdown does not trust the parameter */
static void ats_is_not_trusted_under_lockdown(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	bool was = iommu_owner_trust_ats;
	struct pci_dev *pdev;

	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	pdev->dev.iommu_group = mdev->group;
	lease_get(test, mdev, BIT_OF(ATS));

	iommu_owner_trust_ats = true;
	KUNIT_EXPECT_FALSE(test, iommu_owner_refuses_ats(&pdev->dev));
	mock_lock_down(true);
	KUNIT_EXPECT_TRUE(test, iommu_owner_refuses_ats(&pdev->dev));
	KUNIT_EXPECT_FALSE(test, iommu_owner_ats_trusted(&pdev->dev));

	/* It is not asked where it makes no difference */
	mock_lockdown_asked();
	pdev->untrusted = true;
	KUNIT_EXPECT_TRUE(test, iommu_owner_refuses_ats(&pdev->dev));
	pdev->untrusted = false;
	iommu_owner_trust_ats = false;
	KUNIT_EXPECT_TRUE(test, iommu_owner_refuses_ats(&pdev->dev));
	KUNIT_EXPECT_EQ(test, 0, mock_lockdown_asked());
	iommu_owner_trust_ats = was;
}

/* Races */

#define ROUNDS	300

/**
 * struct race - What the tasks share
 * @test: The test.
 * @mdev: The device whose group they race for.
 * @owner: Who claims.
 * @running: Tasks other than those that take leases.
 * @violations: How often the device reached what a lease forbids.
 * @errors: Results that nobody should see.
 * @leased: Leases that were given.
 * @lacked: Leases that were not.
 * @changed: Changes that were made.
 * @refused: Changes that were not.
 */
struct race {
	struct kunit *test;
	struct mock_device *mdev;
	struct iommu_owner *owner;
	atomic_t running;
	atomic_t violations;
	atomic_t errors;
	atomic_t leased;
	atomic_t lacked;
	atomic_t changed;
	atomic_t refused;
};

static void look(struct race *race)
{
	if (mock_reach(race->mdev) == MOCK_DEFAULT ||
	    !(held(race->mdev) & BIT_OF(TRANSLATED)))
		atomic_inc(&race->violations);
}

static void lease_and_look(void *arg)
{
	struct race *race = arg;
	struct iommu_owner_lease lease;
	int ret;

	while (atomic_read(&race->running)) {
		ret = iommu_owner_isolation_lease(&race->mdev->dev,
						  BIT_OF(TRANSLATED), "racer",
						  &lease);
		if (ret == -EPERM) {
			atomic_inc(&race->lacked);
			mock_dawdle();
			continue;
		}
		if (ret) {
			atomic_inc(&race->errors);
			continue;
		}
		atomic_inc(&race->leased);
		look(race);
		mock_dawdle();
		look(race);
		iommu_owner_isolation_put(&lease);
		mock_dawdle();
	}
}

static void count(struct race *race, bool done, bool refused)
{
	if (done)
		atomic_inc(&race->changed);
	else if (refused)
		atomic_inc(&race->refused);
	else
		atomic_inc(&race->errors);
}

static void change_type(void *arg)
{
	struct race *race = arg;
	ssize_t ret;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		mock_default_type(0);
		ret = store_type(race->test, race->mdev->group, "identity");
		count(race, ret == 8, ret == -EBUSY);
		mock_dawdle();
		mock_default_type(IOMMU_DOMAIN_UNMANAGED);
		ret = store_type(race->test, race->mdev->group, "auto");
		if (ret != 4)
			atomic_inc(&race->errors);
		mock_dawdle();
	}
	atomic_dec(&race->running);
}

/* Only an owner makes this group isolated; its end waits for the lease. */
static void claim_and_release(void *arg)
{
	struct race *race = arg;
	struct iommu_group *group = race->mdev->group;
	int ret;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		ret = iommu_owner_claim_group(race->owner, group);
		count(race, !ret, ret == -EBUSY);
		mock_dawdle();
		if (!ret && iommu_owner_release_group(race->owner, group))
			atomic_inc(&race->errors);
		mock_dawdle();
	}
	atomic_dec(&race->running);
}

static struct race *run_race(struct kunit *test, struct mock_device *mdev,
			     void (*fn)(void *arg))
{
	struct mock_thread *threads[3];
	struct race *race;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	race->test = test;
	race->mdev = mdev;
	race->owner = mock_owner(test, "racer")->owner;
	atomic_set(&race->running, 1);
	threads[0] = mock_thread(test, lease_and_look, race);
	threads[1] = mock_thread(test, lease_and_look, race);
	threads[2] = mock_thread(test, fn, race);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		mock_thread_join(threads[i]);

	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race->violations));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race->errors));
	KUNIT_EXPECT_GT(test, atomic_read(&race->leased), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->lacked), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->changed), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->refused), 0);
	expect_quarantine(test, mdev->group, NULL);
	return race;
}

static void race_with_the_type(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);

	run_race(test, mdev, change_type);
	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_reach(mdev));
}

static void race_with_an_owner(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);

	run_race(test, mdev, claim_and_release);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

#ifdef CONFIG_PM
/* Devices that do not answer while they sleep */

static bool resumed_with_the_mutex;

static bool fake_needs_lease(struct iommu_group *group)
{
	return READ_ONCE(locked_down) && !group->ownership.lease.required;
}

static int fake_resume(struct device *dev)
{
	resumed_with_the_mutex |= mock_group_is_locked(dev->iommu_group);
	return 0;
}

static u32 bits_if_awake(struct device *dev)
{
	return pm_runtime_suspended(dev) ? 0 : to_mock_device(dev)->bus_bits;
}

static struct dev_pm_domain sleeping_domain = {
	.ops = { .runtime_resume = fake_resume },
};

static void remove_from_domain(void *mdev)
{
	pm_runtime_disable(&((struct mock_device *)mdev)->dev);
	((struct mock_device *)mdev)->dev.pm_domain = NULL;
}

static void put_to_sleep(struct kunit *test, struct mock_device *mdev)
{
	mdev->dev.pm_domain = &sleeping_domain;
	pm_runtime_enable(&mdev->dev);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, remove_from_domain,
						  mdev));
	KUNIT_ASSERT_TRUE(test, pm_runtime_suspended(&mdev->dev));
}

static void lock_down(struct kunit *test)
{
	mock_lock_down(true);
	resumed_with_the_mutex = false;
	kunit_activate_static_stub(test, iommu_owner_may_need_lease,
				   fake_needs_lease);
	kunit_activate_static_stub(test, iommu_owner_bus_bits, bits_if_awake);
}

static void claim_wakes_the_group(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct mock_device *sibling = mock_pasid_device(test, mdev->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	lock_down(test);
	put_to_sleep(test, mdev);
	put_to_sleep(test, sibling);
	KUNIT_EXPECT_EQ(test, 0, held(mdev) & BIT_OF(ACS));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_FALSE(test, resumed_with_the_mutex);

	/* They may sleep again, and with a lease nobody wakes them */
	pm_runtime_suspend(&mdev->dev);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
}

static void claim_wakes_nobody_without_lockdown(struct kunit *test)
{
	struct mock_device *mdev = isolated_device(test);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	lock_down(test);
	mock_lock_down(false);
	put_to_sleep(test, mdev);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
}
#else
static void claim_wakes_the_group(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PM");
}

static void claim_wakes_nobody_without_lockdown(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PM");
}
#endif

static struct kunit_case lease_cases[] = {
	KUNIT_CASE(refusal_names_the_holder),
	KUNIT_CASE(missing_bits_are_named),
	KUNIT_CASE(wrong_requests),
	KUNIT_CASE(leases_add_up),
	KUNIT_CASE(identity_is_kept_out),
	KUNIT_CASE(lazy_invalidation_is_kept_out),
	KUNIT_CASE(flush_queue_is_kept_out),
	KUNIT_CASE(pasid_of_the_kernel_is_kept_out),
	KUNIT_CASE(probe_is_repeated_when_put),
	KUNIT_CASE(late_device_is_blocked),
	KUNIT_CASE(late_device_past_the_iommu),
	KUNIT_CASE(device_past_the_iommu_under_lockdown),
	KUNIT_CASE(late_device_of_an_owner),
	KUNIT_CASE(lease_ends_with_the_last_device),
	KUNIT_CASE(end_waits_for_the_lease),
	KUNIT_CASE(lender_waits_for_the_lease),
	KUNIT_CASE(private_domain_goes_to_blocking),
	KUNIT_CASE(unsafe_interrupts_wait),
	KUNIT_CASE(without_lockdown_nothing_is_demanded),
	KUNIT_CASE(isolated_group_under_lockdown),
	KUNIT_CASE(group_that_is_not_isolated),
	KUNIT_CASE(lockdown_names_what_is_missing),
	KUNIT_CASE(ats_that_stays_on),
	KUNIT_CASE(reservation_needs_no_lease),
	KUNIT_CASE(lockdown_after_the_claim),
	KUNIT_CASE(late_device_under_lockdown),
	KUNIT_CASE(without_reset_under_lockdown),
	KUNIT_CASE(without_reset_and_domain),
	KUNIT_CASE(clear_under_lockdown),
	KUNIT_CASE(found_again_under_lockdown),
	KUNIT_CASE(found_again_and_claimed),
	KUNIT_CASE(ats_stays_off_without_reset),
	KUNIT_CASE(found_again_without_lockdown),
	KUNIT_CASE(found_without_reset_in_a_group),
	KUNIT_CASE(found_without_reset_beside_a_driver),
	KUNIT_CASE(ats_is_not_trusted_under_lockdown),
	KUNIT_CASE(race_with_the_type),
	KUNIT_CASE(race_with_an_owner),
	KUNIT_CASE(claim_wakes_the_group),
	KUNIT_CASE(claim_wakes_nobody_without_lockdown),
	{}
};

static struct kunit_suite lease_suite = {
	.name = "iommu_owner_lease",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = lease_init,
	.exit = mock_exit,
	.test_cases = lease_cases,
};

kunit_test_suite(lease_suite);
