// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: how far a device is trusted with DMA
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/pci.h>

#include "../trust.h"
#include "mock.h"

/* What is found from now on is trusted as far as this. */
static void found(struct kunit *test, const char *trust)
{
	mock_set_parameter(test, "trust", trust);
}

static void expect_trust(struct kunit *test, struct mock_device *mdev,
			 const char *trust)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_LT(test, 0,
			mock_read_attribute(test, mdev->group, "owner", "trust",
					    &mode, buf));
	KUNIT_EXPECT_EQ(test, 0644, mode & 0777);
	KUNIT_EXPECT_STREQ(test, trust, strim(buf));
}

/* Has @mdev ever had another domain than the one that blocks? */
static bool was_always_blocked(struct mock_device *mdev)
{
	for (unsigned int i = 0; i < mdev->length; i++)
		if (mdev->history[i] != MOCK_BLOCKED)
			return false;
	return mdev->length;
}

/* Blocked */

static void blocked_when_found(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	found(test, "blocked");
	mock_listen(test, "DMA is blocked, trust is blocked");
	mdev = mock_device(test, NULL);
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	expect_trust(test, mdev, "blocked");

	mock_listen(test, "driver mock_nic refused: group");
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(vfio, mdev));
	mock_listen(test, "is blocked, see owner/trust");
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_reserve_group(owner->owner, mdev->group));
	KUNIT_EXPECT_FALSE(test, mock_viable(mdev->group));
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
}

static void trusted_later(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;
	u64 generation;

	found(test, "blocked");
	mdev = mock_device(test, NULL);
	mdev->match = true;
	KUNIT_EXPECT_NE(test, 1, device_attach(&mdev->dev));
	generation = mock_generation(mdev->group);
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_TRUE(test, mock_becomes_bound(nic, mdev));
	KUNIT_EXPECT_EQ(test, 1, nic->probes);
	KUNIT_EXPECT_LT(test, generation, mock_generation(mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	expect_trust(test, mdev, "full");
}

static void not_changed_in_use(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev = mock_device(test, NULL);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	mock_listen(test, "is bound to mock_nic");
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "blocked"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	mock_unbind(mdev);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, mdev));
	mock_listen(test, "is bound to mock_vfio");
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "blocked"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	mock_unbind(mdev);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_reserve_group(owner->owner, mdev->group));
	mock_listen(test, "has reserved owner vfio");
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	iommu_owner_unreserve_group(owner->owner, mdev->group);

	KUNIT_EXPECT_EQ(test, -EINVAL, mock_set_trust(test, mdev, "half"));
	KUNIT_EXPECT_EQ(test, 7, mock_set_trust(test, mdev, "blocked"));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
}

/* Nothing is changed if there is no memory for the domain that blocks. */
static void no_memory_to_block(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);

	mock_fail_alloc("BU");
	KUNIT_EXPECT_GT(test, 0, mock_set_trust(test, mdev, "blocked"));
	mock_fail_alloc(NULL);
	expect_trust(test, mdev, "full");
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

/* A device with a direct-mapped region gets no driver, but keeps its domain. */
static void direct_is_not_blocked(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device_alloc(test, NULL, 0);

	found(test, "blocked");
	mdev->direct = true;
	mock_listen(test, "needs a 1:1 mapping, its DMA is not blocked");
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(mdev));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_NE(test, MOCK_NOTHING, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
}

/* Reserved for user space */

static void reserved_for_user_space(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	found(test, "reserved");
	mdev = mock_device(test, NULL);
	mdev->match = true;
	KUNIT_EXPECT_NE(test, 1, device_attach(&mdev->dev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, mdev));
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));

	/* Also after the first one has gone */
	for (unsigned int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(owner->owner,
							mdev->group));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER,
				mock_state(mdev->group));
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_release_group(owner->owner,
							  mdev->group));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED,
				mock_state(mdev->group));
	}
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_TRUE(test, mock_becomes_bound(nic, mdev));
}

/* Restricted */

static void restricted_without_a_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct iommu_domain *paging;
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	found(test, "restricted");
	mdev = mock_device(test, NULL);
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_TRUE(test, mdev->dev.iommu->untrusted);
	KUNIT_EXPECT_TRUE(test, mdev->dev.dma_iommu);

	for (unsigned int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
		KUNIT_EXPECT_TRUE(test,
				  mock_reaches(mdev, mdev->group->default_domain));
		KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA,
				mdev->group->default_domain->type);
		mock_unbind(mdev);
		KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	}

	/* Lazy invalidation is a hole for as long as it is lazy */
	KUNIT_EXPECT_EQ(test, -EPERM,
			mock_write_attribute(test, mdev->group, NULL, "type",
					     "DMA-FQ"));
	KUNIT_EXPECT_GT(test, 0,
			mock_write_attribute(test, mdev->group, NULL, "type",
					     "identity"));

	paging = mock_paging_domain(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_group(owner->owner, paging,
						 mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, paging));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

/* The driver is refused if its domain cannot be attached, and may try again. */
static void restricted_without_its_domain(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	found(test, "restricted");
	mdev = mock_device(test, NULL);
	mock_fail_attach(mdev, MOCK_PAGING, 1);
	KUNIT_EXPECT_EQ(test, -EIO, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, mdev->group->default_domain));
}

/* An owner claims the group of @mdev and attaches to a PASID; a refusal changes nothing. */
static void expect_pasid(struct kunit *test, struct mock_owner *owner,
			 struct mock_device *mdev, int expected)
{
	struct iommu_domain *paging = mock_paging_domain(test, mdev);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, expected,
			iommu_owner_attach_device_pasid(owner->owner, paging,
							&mdev->dev, 1, NULL));
	KUNIT_EXPECT_EQ(test, expected ? MOCK_NOTHING : MOCK_PAGING,
			mock_pasid_reach(mdev, 1));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
}

static void restricted_has_no_pasid(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	found(test, "restricted");
	mdev = mock_pasid_device(test, NULL);
	expect_pasid(test, owner, mdev, -EPERM);
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	expect_pasid(test, owner, mdev, 0);
}

/* One that is reserved beside it has none, either. */
static void restricted_beside_reserved(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;
	struct mock_device *late;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	found(test, "reserved");
	mdev = mock_pasid_device(test, NULL);
	KUNIT_EXPECT_FALSE(test, mdev->dev.iommu->untrusted);
	found(test, "restricted");
	late = mock_pasid_device(test, mdev->group);
	KUNIT_EXPECT_TRUE(test, mdev->dev.iommu->untrusted);
	KUNIT_EXPECT_TRUE(test, late->dev.iommu->untrusted);
	expect_pasid(test, owner, mdev, -EPERM);
	mock_device_del(late);
	KUNIT_EXPECT_FALSE(test, mdev->dev.iommu->untrusted);
	expect_pasid(test, owner, mdev, 0);
}

/* A driver that demands an identity domain cannot be restricted. */
static void identity_cannot_be_restricted(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);

	KUNIT_EXPECT_GT(test, 0, mock_set_trust(test, mdev, "restricted"));
	expect_trust(test, mdev, "full");
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

/* Groups: the least trusted device decides */

static void joins_an_idle_group(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *late;

	found(test, "blocked");
	late = mock_device(test, mdev->group);
	KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));

	/* And is the reason no longer when it has left */
	mock_device_del(late);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

static void joins_beside_a_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	found(test, "blocked");
	late = mock_device(test, mdev->group);
	KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_FALSE(test, mdev->dev.iommu->untrusted);
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, late));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(vfio, late));

	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, late, "full"));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(late));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, late));
}

static void joins_an_owned_group(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *paging = mock_paging_domain(test, mdev);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(owner->owner, paging,
						 mdev->group));
	found(test, "blocked");
	late = mock_device(test, mdev->group);
	KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, paging));

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
	KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_claim_group(owner->owner, mdev->group));

	/* An owner gets all of them, once they are trusted so far */
	KUNIT_EXPECT_EQ(test, 8, mock_set_trust(test, late, "reserved"));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(owner->owner, paging,
						 mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, paging));
	KUNIT_EXPECT_TRUE(test, mock_reaches(late, paging));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
}

/* What joins before the owner attaches does not get what others get then. */
static void joins_before_the_attach(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *paging = mock_paging_domain(test, mdev);
	struct mock_device *late;

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	found(test, "blocked");
	late = mock_device(test, mdev->group);
	for (unsigned int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_group(owner->owner, paging,
							 mdev->group));
		KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, paging));
		KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
		iommu_owner_detach_group(owner->owner, paging, mdev->group);
	}
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
}

/* A device that cannot be blocked does not save the others. */
static void joins_a_direct_device(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *direct = mock_device_alloc(test, NULL, 0);
	struct mock_device *mdev;

	direct->direct = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(direct));
	mdev = mock_device(test, direct->group);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_ASSERT_EQ(test, 7, mock_set_trust(test, mdev, "blocked"));
	KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(direct));
	KUNIT_EXPECT_NE(test, MOCK_NOTHING, mock_reach(direct));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, direct));
	KUNIT_ASSERT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

static void direct_joins_a_blocked_group(struct kunit *test)
{
	struct mock_device *direct;
	struct mock_device *mdev;

	found(test, "blocked");
	mdev = mock_device(test, NULL);
	direct = mock_device_alloc(test, mdev->group, 0);
	direct->direct = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(direct));
	KUNIT_EXPECT_PTR_EQ(test, mdev->group, direct->dev.iommu_group);
	KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(direct));
	KUNIT_EXPECT_NE(test, MOCK_NOTHING, mock_reach(direct));
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
	mock_device_del(direct);
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
}

/* What a driver leaves to be undone, and is undone after its end, finds its domain. */
static void look_at_domain(void *data)
{
	struct mock_device *mdev = data;

	mdev->data = mdev->reach;
}

static int let_look(struct mock_driver *mdrv, struct mock_device *mdev)
{
	return devm_add_action(&mdev->dev, look_at_domain, mdev);
}

static void blocked_after_the_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_domain *reach;
	struct mock_device *late;

	nic->probe = let_look;
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	reach = mdev->reach;
	found(test, "blocked");
	late = mock_device(test, mdev->group);
	mock_unbind(mdev);
	KUNIT_EXPECT_PTR_EQ(test, (void *)reach, mdev->data);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, was_always_blocked(late));
}

/* Neither the end of a quarantine nor one that fails changes the trust. */
static void quarantine_ends_blocked(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	found(test, "reserved");
	mdev = mock_device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_quarantine_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE,
			mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	KUNIT_EXPECT_TRUE(test, was_always_blocked(mdev));
}

/* The command line */

static const struct param_case {
	const char *list;
	int trust;	/* -1: no entry is about the device */
} param_cases[] = {
	{ "0000:03:00.1:blocked", IOMMU_OWNER_TRUST_BLOCKED },
	{ "03:00.1:reserved", IOMMU_OWNER_TRUST_RESERVED },
	{ "3:0.1:restricted", IOMMU_OWNER_TRUST_RESTRICTED },
	{ "0001:03:00.1:blocked", -1 },
	{ "03:00.0:blocked", -1 },
	{ "8086:1521:restricted", IOMMU_OWNER_TRUST_RESTRICTED },
	{ "8086:1522:restricted", -1 },
	{ "external:blocked", IOMMU_OWNER_TRUST_BLOCKED },
	/* The most exact one wins, wherever it is */
	{ "external:blocked,8086:1521:restricted,03:00.1:full",
	  IOMMU_OWNER_TRUST_FULL },
	{ "03:00.1:full,8086:1521:restricted,external:blocked",
	  IOMMU_OWNER_TRUST_FULL },
	{ "8086:1521:full,external:blocked", IOMMU_OWNER_TRUST_FULL },
	{ "8086:1521:full,8086:1521:blocked", IOMMU_OWNER_TRUST_BLOCKED },
	{ "8086:1521:blocked,8086:1521:full", IOMMU_OWNER_TRUST_BLOCKED },
	/* What cannot be read blocks what it names, and the rest holds */
	{ "03:00.1:ful", IOMMU_OWNER_TRUST_BLOCKED },
	{ "03:00.1:", IOMMU_OWNER_TRUST_BLOCKED },
	{ "03:00.1", IOMMU_OWNER_TRUST_BLOCKED },
	{ "0000:03:00.1", IOMMU_OWNER_TRUST_BLOCKED },
	{ "8086:1521", IOMMU_OWNER_TRUST_BLOCKED },
	{ "external", IOMMU_OWNER_TRUST_BLOCKED },
	{ "8086:1521:", IOMMU_OWNER_TRUST_BLOCKED },
	{ "nonsense:full,8086:1521:restricted", IOMMU_OWNER_TRUST_RESTRICTED },
	{ ",,8086:1521:restricted,", IOMMU_OWNER_TRUST_RESTRICTED },
	{ "nonsense", -1 },
	{ "0x8086:0x1521:restricted", IOMMU_OWNER_TRUST_RESTRICTED },
	{ "10000:03:00.1:blocked", -1 },
	{ "03:20.1:blocked", -1 },
	{ "03:00.9:blocked", -1 },
	{ "103:00.1:blocked", -1 },
	{ "18086:1521:blocked", -1 },
	{ "03:00.1x:full", -1 },
	{ "a-very-long-entry-that-is-longer-than-there-is-room-for-it:full", -1 },
	{ "", -1 },
};

static void command_line(struct kunit *test)
{
	struct pci_bus *bus;
	struct pci_dev *pdev;

	if (!IS_ENABLED(CONFIG_PCI))
		kunit_skip(test, "no PCI");
	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	bus = kunit_kzalloc(test, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	KUNIT_ASSERT_NOT_NULL(test, bus);
#ifdef CONFIG_PCI
	pdev->dev.bus = &pci_bus_type;
#endif
	pdev->bus = bus;
	bus->number = 3;
	bus->sysdata = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	pdev->devfn = PCI_DEVFN(0, 1);
	pdev->vendor = 0x8086;
	pdev->device = 0x1521;
	pdev->untrusted = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(param_cases); i++) {
		const struct param_case *param = &param_cases[i];
		enum iommu_owner_trust trust;
		int ret;

		ret = iommu_owner_trust_param(param->list, &pdev->dev, &trust) ?
		      trust : -1;
		KUNIT_EXPECT_EQ_MSG(test, param->trust, ret, "%s", param->list);
	}
}

static void parameter(struct kunit *test)
{
	struct mock_device *mdev;

	found(test, "restricted");
	found(test, "full");
	mdev = mock_device(test, NULL);
	expect_trust(test, mdev, "full");
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void trust_exit(struct kunit *test)
{
	found(test, "full");
	mock_exit(test);
}

static struct kunit_case trust_cases[] = {
	KUNIT_CASE(blocked_when_found),
	KUNIT_CASE(trusted_later),
	KUNIT_CASE(not_changed_in_use),
	KUNIT_CASE(no_memory_to_block),
	KUNIT_CASE(direct_is_not_blocked),
	KUNIT_CASE(reserved_for_user_space),
	KUNIT_CASE(restricted_without_a_driver),
	KUNIT_CASE(restricted_without_its_domain),
	KUNIT_CASE(restricted_has_no_pasid),
	KUNIT_CASE(restricted_beside_reserved),
	KUNIT_CASE(identity_cannot_be_restricted),
	KUNIT_CASE(joins_an_idle_group),
	KUNIT_CASE(joins_beside_a_driver),
	KUNIT_CASE(joins_an_owned_group),
	KUNIT_CASE(joins_before_the_attach),
	KUNIT_CASE(joins_a_direct_device),
	KUNIT_CASE(direct_joins_a_blocked_group),
	KUNIT_CASE(blocked_after_the_driver),
	KUNIT_CASE(quarantine_ends_blocked),
	KUNIT_CASE(command_line),
	KUNIT_CASE(parameter),
	{}
};

static struct kunit_suite trust_suite = {
	.name = "iommu_owner_trust",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = trust_exit,
	.test_cases = trust_cases,
};

kunit_test_suite(trust_suite);
