// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the view of a device, with a TSM without hardware
 *
 * Memory has two sides. What a device finds at an address depends on what was mapped
 * there, and on what the device is at that moment, which only the TSM knows: an address
 * that is used after the view has changed is found by what it reads.
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/random.h>

#include "../trust.h"
#include "../view.h"
#include "mock.h"

#define PAGES		2
#define ON_SHARED	0x5a
#define ON_PRIVATE	0xa5
#define DEVICES		4
#define EVIDENCE_SIZE	(3 * SZ_1M + 17)

/**
 * struct fake_device - What the hardware of the TSM knows of a device
 * @dev: The device, or NULL.
 * @is: What it is.
 * @locks: How often it was locked, with or without success.
 * @accepts: How often it was accepted.
 * @unlocks: How often it was unlocked.
 */
struct fake_device {
	struct device *dev;
	enum iommu_view_state is;
	unsigned int locks;
	unsigned int accepts;
	unsigned int unlocks;
};

/**
 * struct fake - A TSM
 * @tsm: As the core knows it.
 * @devices: Its devices.
 * @blind: It handles no device.
 * @any: It handles devices of other buses as well.
 * @error: What the next operation returns ...
 * @works: ... although it does what it was asked for.
 * @during: Called in each operation. Optional.
 * @changes: The evidence changes while it is read.
 * @registered: The core knows it.
 */
struct fake {
	struct iommu_view_tsm tsm;
	struct fake_device devices[DEVICES];
	bool blind;
	bool any;
	int error;
	bool works;
	void (*during)(struct device *dev);
	bool changes;
	bool registered;
};

static struct fake *fake;

static struct fake_device *fake_of(struct device *dev)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		if (!fake->devices[i].dev)
			fake->devices[i].dev = dev;
		if (fake->devices[i].dev == dev)
			return &fake->devices[i];
	}
	return NULL;
}

static bool fake_handles(struct device *dev)
{
	return fake->any || (!fake->blind && dev->bus &&
			     !strcmp(dev->bus->name, "iommu_owner_mock"));
}

static int fake_do(struct device *dev, enum iommu_view_state to)
{
	int error = fake->error;

	if (fake->during)
		fake->during(dev);
	fake->error = 0;
	if (!error || fake->works)
		WRITE_ONCE(fake_of(dev)->is, to);
	return error;
}

static int fake_lock(struct device *dev)
{
	fake_of(dev)->locks++;
	return fake_do(dev, IOMMU_VIEW_LOCKED);
}

static int fake_accept(struct device *dev)
{
	fake_of(dev)->accepts++;
	return fake_do(dev, IOMMU_VIEW_PRIVATE);
}

static int fake_unlock(struct device *dev)
{
	fake_of(dev)->unlocks++;
	return fake_do(dev, IOMMU_VIEW_SHARED);
}

static enum iommu_view_state fake_state(struct device *dev)
{
	return READ_ONCE(fake_of(dev)->is);
}

static u8 evidence_byte(enum iommu_owner_evidence_kind kind, u64 offset)
{
	return offset * 7 + (offset >> 8) + kind;
}

static ssize_t fake_evidence(struct device *dev,
			     enum iommu_owner_evidence_kind kind, u64 offset,
			     void *buf, size_t length, u64 *total)
{
	u8 *bytes = buf;

	*total = EVIDENCE_SIZE;
	if (offset >= EVIDENCE_SIZE)
		return 0;
	length = min_t(u64, length, EVIDENCE_SIZE - offset);
	for (size_t i = 0; i < length; i++)
		bytes[i] = evidence_byte(kind, offset + i);
	if (fake->changes)
		iommu_view_evidence_changed(dev);
	return length;
}

static const struct iommu_view_tsm_ops fake_ops = {
	.handles = fake_handles,
	.lock = fake_lock,
	.accept = fake_accept,
	.unlock = fake_unlock,
	.state = fake_state,
	.evidence = fake_evidence,
};

static void fake_unregister(void *unused)
{
	if (fake->registered)
		iommu_view_remove_tsm(&fake->tsm);
	fake->registered = false;
}

/* The hardware leaves what it was, and the TSM reports it. */
static void fake_error(struct mock_device *mdev)
{
	WRITE_ONCE(fake_of(&mdev->dev)->is, IOMMU_VIEW_ERROR);
	iommu_view_lost(&mdev->dev);
}

/* Memory */

static u8 *memory[PAGES];

/* What @mdev reads at @iova now; 0 for nothing */
static u8 dma_read(struct mock_device *mdev, dma_addr_t iova)
{
	bool private = fake_state(&mdev->dev) == IOMMU_VIEW_PRIVATE;
	phys_addr_t phys;
	int prot;

	if (mock_dma(mdev, iova, &phys, &prot))
		return 0;
	for (unsigned int i = 0; i < PAGES; i++)
		if (phys == virt_to_phys(memory[i]))
			return private && !(prot & IOMMU_CC_SHARED) ?
				ON_PRIVATE + i : ON_SHARED + i;
	return 0;
}

static dma_addr_t dma_map(struct kunit *test, struct mock_device *mdev,
			  unsigned int page, unsigned long attrs)
{
	dma_addr_t iova;

	iova = dma_map_single_attrs(&mdev->dev, memory[page], PAGE_SIZE,
				    DMA_BIDIRECTIONAL, attrs);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(&mdev->dev, iova));
	return iova;
}

static void dma_unmap(struct mock_device *mdev, dma_addr_t iova)
{
	dma_unmap_single(&mdev->dev, iova, PAGE_SIZE, DMA_BIDIRECTIONAL);
}

/* Devices */

static struct mock_device *device(struct kunit *test, struct iommu_group *group)
{
	struct mock_device *mdev = mock_device(test, group);

	mdev->dev.dma_mask = &mdev->dev.coherent_dma_mask;
	KUNIT_ASSERT_EQ(test, 0,
			dma_set_mask_and_coherent(&mdev->dev, DMA_BIT_MASK(32)));
	fake_of(&mdev->dev);
	return mdev;
}

static enum iommu_view_state view_of(struct mock_device *mdev)
{
	struct iommu_view *view __free(view) = iommu_view_get(&mdev->dev);

	return view ? view->state : IOMMU_VIEW_SHARED;
}

static u64 generation_of(struct mock_device *mdev)
{
	struct iommu_view *view __free(view) = iommu_view_get(&mdev->dev);

	return view ? view->generation : 0;
}

static bool driver_goes(struct mock_driver *mdrv, struct mock_device *mdev)
{
	for (unsigned int i = 0; i < 500 && mock_bound(mdrv, mdev); i++)
		msleep(20);
	return !mock_bound(mdrv, mdev);
}

static bool state_comes(struct mock_device *mdev, enum iommu_owner_state state)
{
	for (unsigned int i = 0; i < 500 && mock_state(mdev->group) != state; i++)
		msleep(20);
	return mock_state(mdev->group) == state;
}

static void lock(struct kunit *test, struct mock_device *mdev)
{
	KUNIT_ASSERT_EQ(test, 0, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_ASSERT_EQ(test, IOMMU_VIEW_LOCKED, view_of(mdev));
}

static void accept(struct kunit *test, struct mock_device *mdev)
{
	lock(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_view_accept(&mdev->dev, generation_of(mdev)));
	KUNIT_ASSERT_EQ(test, IOMMU_VIEW_PRIVATE, view_of(mdev));
}

static void expect_blocked(struct kunit *test, struct mock_device *mdev)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic2", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio2", true);
	struct mock_owner *owner = mock_owner(test, "vfio2");

	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(vfio, mdev));
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_reserve_group(owner->owner, mdev->group));
	driver_unregister(&nic->pdrv.driver);
	driver_unregister(&vfio->pdrv.driver);
	list_del(&nic->list);
	list_del(&vfio->list);
}

/* The way from T=0 to T=1 and back, and what the device reads at each step */

static void private_and_shared(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;
	dma_addr_t iova, shared;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	iova = dma_map(test, mdev, 0, 0);
	KUNIT_EXPECT_EQ(test, ON_SHARED, dma_read(mdev, iova));

	/* Refused, and nothing has changed */
	mock_listen(test, "change of view refused: iommu_owner_mock");
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, ON_SHARED, dma_read(mdev, iova));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->locks);
	dma_unmap(mdev, iova);
	KUNIT_EXPECT_EQ(test, 0, dma_read(mdev, iova));
	mock_unbind(mdev);

	lock(test, mdev);
	expect_blocked(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_view_accept(&mdev->dev, generation_of(mdev)));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA,
			mdev->group->default_domain->type);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_unlock(&mdev->dev, "fake0"));
	iova = dma_map(test, mdev, 0, 0);
	shared = dma_map(test, mdev, 1, DMA_ATTR_CC_SHARED);
	KUNIT_EXPECT_EQ(test, ON_PRIVATE, dma_read(mdev, iova));
	KUNIT_EXPECT_EQ(test, ON_SHARED + 1, dma_read(mdev, shared));
	dma_unmap(mdev, shared);
	KUNIT_EXPECT_EQ(test, 0, dma_read(mdev, shared));

	/* Lost in flight: it reads nothing, and the driver can still unmap */
	fake_error(mdev);
	KUNIT_EXPECT_EQ(test, 0, dma_read(mdev, iova));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	dma_unmap(mdev, iova);
	KUNIT_EXPECT_TRUE(test, driver_goes(nic, mdev));
	expect_blocked(test, mdev);

	/* And back */
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	iova = dma_map(test, mdev, 0, 0);
	KUNIT_EXPECT_EQ(test, ON_SHARED, dma_read(mdev, iova));
	dma_unmap(mdev, iova);
}

/* After a lock the driver that was refused has its turn when it is unlocked. */
static void lock_then_unlock(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = device(test, NULL);

	lock(test, mdev);
	mdev->match = true;
	KUNIT_EXPECT_NE(test, 1, device_attach(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	KUNIT_EXPECT_TRUE(test, mock_becomes_bound(nic, mdev));
	/* The default domain as it was */
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void accepted_and_probed(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;
	u64 generation;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 7, mock_set_trust(test, mdev, "blocked"));
	lock(test, mdev);
	mdev->match = true;
	KUNIT_EXPECT_NE(test, 1, device_attach(&mdev->dev));
	generation = mock_generation(mdev->group);
	KUNIT_ASSERT_EQ(test, 0, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_LT(test, generation, mock_generation(mdev->group));
	/* What it is trusted as is another question */
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_TRUE(test, mock_becomes_bound(nic, mdev));
	KUNIT_EXPECT_EQ(test, 1, nic->probes);
	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, mdev->group->domain->type);
}

/* Its bus mastering stays on, so its DMA is blocked without a driver. */
static void private_without_a_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	KUNIT_EXPECT_TRUE(test, iommu_view_is_locked(&mdev->dev));
	for (unsigned int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL,
				mock_state(mdev->group));
		KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
		KUNIT_EXPECT_TRUE(test,
				  mock_reaches(mdev, mdev->group->default_domain));
		mock_unbind(mdev);
	}
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, mdev->group->default_domain));
	KUNIT_EXPECT_FALSE(test, iommu_view_is_locked(&mdev->dev));
}

/* A member of a group that has no IOMMU, as VFIO makes for itself */
static void no_iommu(struct kunit *test)
{
	struct iommu_group *group = iommu_group_alloc();
	struct device *dev = root_device_register("iommu_owner_view");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, group);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	fake->any = true;
	KUNIT_EXPECT_EQ(test, 0, iommu_group_add_device(group, dev));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_view_lock(dev, "fake0"));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_accept(dev, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_unlock(dev, "fake0"));
	iommu_view_lost(dev);
	iommu_view_evidence_changed(dev);
	iommu_view_check(dev);
	iommu_group_remove_device(dev);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_view_lock(dev, "fake0"));
	iommu_view_lost(dev);
	root_device_unregister(dev);
	iommu_group_put(group);
}

/* What a TSM is asked for, and what not */

static void wrong_names_and_states(struct kunit *test)
{
	struct iommu_view_tsm link = { .name = "link0" };
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0, iommu_view_add_tsm(&link));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_view_add_tsm(&link));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_lock(&mdev->dev, "fake1"));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_lock(&mdev->dev, ""));
	KUNIT_EXPECT_EQ(test, -ENXIO, iommu_view_lock(&mdev->dev, "link0"));
	fake->blind = true;
	KUNIT_EXPECT_EQ(test, -ENXIO, iommu_view_lock(&mdev->dev, "fake0"));
	fake->blind = false;
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, mdev->group->default_domain));

	lock(test, mdev);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_unlock(&mdev->dev, "link0"));
	KUNIT_ASSERT_EQ(test, 0, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 1, fake_of(&mdev->dev)->locks);
	KUNIT_EXPECT_EQ(test, 1, fake_of(&mdev->dev)->accepts);
	iommu_view_remove_tsm(&link);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_PRIVATE, view_of(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_unlock(&mdev->dev, "fake0"));
}

static void not_changed_in_use(struct kunit *test)
{
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_lock(&mdev->dev, "fake0"));
	mock_unbind(mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_reserve_group(owner->owner, mdev->group));
	mock_listen(test, "change of view refused: the group has reserved owner");
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	iommu_owner_unreserve_group(owner->owner, mdev->group);

	accept(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "blocked"));
	iommu_owner_release_group(owner->owner, mdev->group);
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->unlocks);
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
}

static int master_is_on(struct device *dev)
{
	return 1;
}

static int does_not_answer(struct device *dev)
{
	return -ENODEV;
}

static void bus_mastering_is_off(struct kunit *test)
{
	struct mock_device *mdev = device(test, NULL);

	kunit_activate_static_stub(test, iommu_view_bus_master, master_is_on);
	mock_listen(test, "not locked: bus mastering is on");
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	kunit_deactivate_static_stub(test, iommu_view_bus_master);
	kunit_activate_static_stub(test, iommu_view_bus_master, does_not_answer);
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->locks);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void direct_is_not_locked(struct kunit *test)
{
	struct mock_device *mdev = mock_device_alloc(test, NULL, 0);

	mdev->direct = true;
	KUNIT_ASSERT_EQ(test, 0, mock_device_add(mdev));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(mdev));
}

static void not_locked_unless_blocked(struct kunit *test)
{
	struct mock_device *mdev = device(test, NULL);

	/* However often it is tried */
	mock_fail_attach(mdev, MOCK_BLOCKED, 100);
	KUNIT_EXPECT_EQ(test, -EIO, iommu_view_lock(&mdev->dev, "fake0"));
	mock_fail_attach(mdev, MOCK_BLOCKED, 0);
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->locks);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
	lock(test, mdev);
}

/* A mapping that a driver has forgotten, and one that it has not */
static void mapping_is_left(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;
	dma_addr_t iova, other;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	iova = dma_map(test, mdev, 0, 0);
	other = dma_map(test, mdev, 1, 0);
	dma_unmap(mdev, other);
	mock_unbind(mdev);
	mock_listen(test, "change of view refused: a driver has left a mapping at 0x");
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	mock_listen(test, "change of trust refused: a driver has left a mapping at 0x");
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_set_trust(test, mdev, "blocked"));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, ON_SHARED, dma_read(mdev, iova));
	dma_unmap(mdev, iova);
	lock(test, mdev);
}

static bool tables_are_shared(struct device *dev)
{
	return true;
}

static void tables_must_be_private(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	lock(test, mdev);
	kunit_activate_static_stub(test, iommu_view_tables_are_shared,
				   tables_are_shared);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->accepts);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_LOCKED, view_of(mdev));
	expect_blocked(test, mdev);
}

/* The driver of the IOMMU demands a default domain that does not translate. */
static void identity_is_not_accepted(struct kunit *test)
{
	struct mock_device *mdev = device(test, NULL);

	lock(test, mdev);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_LOCKED, view_of(mdev));
}

/* Private memory does not pass through bounce buffers, which are shared. */
static void private_is_not_bounced(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_ASSERT_EQ(test, 10, mock_set_trust(test, mdev, "restricted"));
	lock(test, mdev);
	mock_listen(test, "not accepted: trust is restricted");
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
	KUNIT_EXPECT_EQ(test, 0, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_set_trust(test, mdev, "restricted"));
	KUNIT_EXPECT_FALSE(test, mdev->dev.iommu->untrusted);
#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	mdev->dev.dma_coherent = false;
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, mdev));
	mdev->dev.dma_coherent = true;
#endif
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

static struct iommu_group *restricted_group;
static int restricted_result;

static void restrict_it(struct device *dev)
{
	restricted_result = iommu_owner_set_trust(restricted_group,
						  IOMMU_OWNER_TRUST_RESTRICTED);
}

/* Nor does it change while the TSM is at the device. */
static void not_restricted_meanwhile(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	lock(test, mdev);
	restricted_group = mdev->group;
	restricted_result = 0;
	fake->during = restrict_it;
	KUNIT_EXPECT_EQ(test, 0, iommu_view_accept(&mdev->dev, 0));
	fake->during = NULL;
	KUNIT_EXPECT_EQ(test, -EBUSY, restricted_result);
	KUNIT_EXPECT_FALSE(test, mdev->dev.iommu->untrusted);
}

/* The default domain stays one that translates, and PASIDs have no view. */
static void private_is_translated(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct iommu_domain *paging;
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = mock_pasid_device(test, NULL);
	paging = mock_paging_domain(test, mdev);
	accept(test, mdev);
	KUNIT_EXPECT_EQ(test, -EPERM,
			mock_write_attribute(test, mdev->group, NULL, "type",
					     "identity"));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_attach_device_pasid(owner->owner, paging,
							&mdev->dev, 1, NULL));
	iommu_owner_release_group(owner->owner, mdev->group);
}

/* The TSM fails, and may have done it or not */

static void lock_fails(struct kunit *test)
{
	struct mock_device *mdev = device(test, NULL);

	fake->error = -ENODATA;
	KUNIT_EXPECT_EQ(test, -ENODATA, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->unlocks);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));

	fake->error = -ENODATA;
	fake->works = true;
	KUNIT_EXPECT_EQ(test, -ENODATA, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	lock(test, mdev);
}

static void accept_fails(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	lock(test, mdev);
	fake->error = -ENODATA;
	KUNIT_EXPECT_EQ(test, -ENODATA, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_LOCKED, view_of(mdev));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->unlocks);
	expect_blocked(test, mdev);

	/* It runs, and nobody knows as what: it is stopped */
	fake->error = -ENODATA;
	fake->works = true;
	KUNIT_EXPECT_EQ(test, -ENODATA, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
}

static void unlock_fails(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	fake->error = -ENODATA;
	KUNIT_EXPECT_EQ(test, -ENODATA, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
}

/* Loss */

static void lose_it(struct device *dev)
{
	fake->during = NULL;
	iommu_view_lost(dev);
}

static void lost_between(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	fake->during = lose_it;
	KUNIT_EXPECT_EQ(test, -EIO, iommu_view_lock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	expect_blocked(test, mdev);
	KUNIT_ASSERT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));

	lock(test, mdev);
	fake_error(mdev);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_accept(&mdev->dev, 0));
	KUNIT_ASSERT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));

	lock(test, mdev);
	fake->during = lose_it;
	KUNIT_EXPECT_EQ(test, -EIO, iommu_view_accept(&mdev->dev, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	expect_blocked(test, mdev);
	fake->during = lose_it;
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
	expect_blocked(test, mdev);
}

/* What comes after the device has been unlocked is not the business of the loss. */
static void lost_while_it_is_unlocked(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	for (unsigned int i = 0; i < 20; i++) {
		accept(test, mdev);
		fake->during = lose_it;
		KUNIT_ASSERT_EQ(test, 0,
				iommu_view_unlock(&mdev->dev, "fake0"));
		KUNIT_ASSERT_EQ(test, 4, mock_set_trust(test, mdev, "full"));
		KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
		msleep(20);
		KUNIT_ASSERT_TRUE(test, mock_bound(nic, mdev));
		mock_unbind(mdev);
	}
}

/* The one that is left stays with its user. */
static void one_of_two_is_pulled_out(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev, *other;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	other = device(test, mdev->group);
	accept(test, mdev);
	accept(test, other);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	mock_device_del(other);
	for (unsigned int i = 0; i < 500; i++) {
		if (fake_state(&other->dev) == IOMMU_VIEW_SHARED)
			break;
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&other->dev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_PRIVATE, view_of(mdev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
}

/* One that the TSM cannot unlock when it goes is lost for ever. */
static void tsm_leaves_it_locked(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	fake->error = -ENODATA;
	fake_unregister(NULL);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	mock_set_trust(test, mdev, "full");
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_unlock(&mdev->dev, "fake0"));
}

static int lose_in_probe(struct mock_driver *mdrv, struct mock_device *mdev)
{
	fake_error(mdev);
	return 0;
}

/* Also while its driver is probed, and only once */
static void lost_in_probe(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	nic->probe = lose_in_probe;
	mock_listen(test, "the private view is lost, DMA is blocked");
	mock_bind(nic, mdev);
	iommu_view_lost(&mdev->dev);
	KUNIT_EXPECT_EQ(test, 1, mock_heard());
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, driver_goes(nic, mdev));
	expect_blocked(test, mdev);
}

static void lost_by_an_owner(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct iommu_domain *paging;
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	paging = mock_paging_domain(test, mdev);
	accept(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(owner->owner, paging,
						 mdev->group));
	KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, paging));
	fake_error(mdev);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	/* Whatever the owner still does */
	iommu_owner_attach_group(owner->owner, paging, mdev->group);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, state_comes(mdev, IOMMU_OWNER_STATE_BLOCKED));
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_release_group(owner->owner, mdev->group));
	KUNIT_EXPECT_FALSE(test, iommu_owner_revoked(owner->owner));
	expect_blocked(test, mdev);
}

/* What quiesces a device resets it. */
static void lost_when_quiesced(struct kunit *test)
{
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(owner->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED, mock_state(mdev->group));
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
}

/* A device that has been switched off is another one. */
static void lost_without_power(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	iommu_view_check(&mdev->dev);
	accept(test, mdev);
	iommu_view_check(&mdev->dev);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_PRIVATE, view_of(mdev));
	fake_of(&mdev->dev)->is = IOMMU_VIEW_SHARED;
	iommu_view_check(&mdev->dev);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_ERROR, view_of(mdev));
	expect_blocked(test, mdev);
	/* kexec */
	KUNIT_EXPECT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	accept(test, mdev);
	scoped_guard(device, &mdev->dev)
		iommu_view_shutdown(&mdev->dev);
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
}

static void tsm_goes_away(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *bound, *owned, *locked;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	bound = device(test, NULL);
	owned = device(test, NULL);
	locked = device(test, NULL);
	accept(test, bound);
	accept(test, owned);
	lock(test, locked);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, bound));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(owner->owner, owned->group));
	fake_unregister(NULL);
	KUNIT_EXPECT_FALSE(test, mock_bound(nic, bound));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_BLOCKED,
			mock_state(owned->group));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(bound));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(owned));
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, view_of(locked));
	for (unsigned int i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, 1, fake->devices[i].unlocks);
		KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake->devices[i].is);
	}
	expect_blocked(test, bound);
	expect_blocked(test, owned);
	expect_blocked(test, locked);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_view_lock(&locked->dev, "fake0"));
}

static void pulled_out(struct kunit *test)
{
	struct mock_device *mdev;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	mock_device_del(mdev);
	for (unsigned int i = 0; i < 500; i++) {
		if (fake_state(&mdev->dev) == IOMMU_VIEW_SHARED)
			break;
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 1, fake_of(&mdev->dev)->unlocks);
}

/* Groups of several devices */

static void one_group_has_one_view(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_owner *owner = mock_owner(test, "vfio");
	struct mock_device *first, *second;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	first = device(test, NULL);
	second = device(test, first->group);
	accept(test, first);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_owner_claim_group(owner->owner, first->group));
	accept(test, second);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, second));

	/* What the other one has stays as it is until its driver goes */
	fake_error(second);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	KUNIT_EXPECT_TRUE(test,
			  mock_reaches(first, first->group->default_domain));
	KUNIT_EXPECT_TRUE(test, driver_goes(nic, second));
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, first));
	mock_unbind(first);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, first));
}

/* A device that joins has the shared view. */
static void joins_a_private_one(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev, *late;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	accept(test, mdev);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	late = device(test, mdev->group);
	KUNIT_EXPECT_EQ(test, -EPERM, mock_bind(nic, late));
	KUNIT_EXPECT_TRUE(test, mock_bound(nic, mdev));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	mock_device_del(late);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

/* Evidence */

static void expect_evidence(struct kunit *test, struct mock_device *mdev,
			    enum iommu_owner_evidence_kind kind, size_t chunk)
{
	u8 *buf = kunit_kmalloc(test, chunk, GFP_KERNEL);
	u64 generation = 0, total, offset = 0;
	unsigned int wrong = 0;
	ssize_t ret;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	while ((ret = iommu_view_evidence(&mdev->dev, kind, &generation, offset,
					  buf, chunk, &total)) > 0) {
		KUNIT_EXPECT_EQ(test, EVIDENCE_SIZE, total);
		for (ssize_t i = 0; i < ret; i++)
			wrong += buf[i] != evidence_byte(kind, offset + i);
		offset += ret;
	}
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, EVIDENCE_SIZE, offset);
	KUNIT_EXPECT_EQ(test, 0, wrong);
	KUNIT_EXPECT_EQ(test, generation, generation_of(mdev));
}

static void evidence_in_parts(struct kunit *test)
{
	u64 generation = 0, total;
	struct mock_device *mdev;
	u8 byte;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	mdev = device(test, NULL);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_view_evidence(&mdev->dev, 0, &generation, 0, &byte,
					    1, &total));
	lock(test, mdev);
	expect_evidence(test, mdev, IOMMU_OWNER_EVIDENCE_CERTIFICATES, SZ_64K);
	expect_evidence(test, mdev, IOMMU_OWNER_EVIDENCE_MEASUREMENTS, 4093);

	/* It changes: the rest of the old one is not that of the new one */
	generation = generation_of(mdev);
	iommu_view_evidence_changed(&mdev->dev);
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			iommu_view_evidence(&mdev->dev, 0, &generation, 0, &byte,
					    1, &total));
	KUNIT_EXPECT_EQ(test, -EAGAIN, iommu_view_accept(&mdev->dev, generation));
	KUNIT_EXPECT_EQ(test, 0, fake_of(&mdev->dev)->accepts);
	fake->changes = true;
	generation = 0;
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			iommu_view_evidence(&mdev->dev, 0, &generation, 0, &byte,
					    1, &total));
	KUNIT_EXPECT_EQ(test, 0, generation);
	fake->changes = false;

	/* While it is accepted: it does not stay accepted */
	generation = generation_of(mdev);
	fake->during = iommu_view_evidence_changed;
	KUNIT_EXPECT_EQ(test, -EAGAIN, iommu_view_accept(&mdev->dev, generation));
	fake->during = NULL;
	KUNIT_EXPECT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	expect_blocked(test, mdev);
	KUNIT_EXPECT_EQ(test, -EIO,
			iommu_view_evidence(&mdev->dev, 0, &generation, 0, &byte,
					    1, &total));

	/* What was read before the lock was undone is never that of the next */
	KUNIT_ASSERT_EQ(test, 0, iommu_view_unlock(&mdev->dev, "fake0"));
	lock(test, mdev);
	KUNIT_EXPECT_EQ(test, -EAGAIN, iommu_view_accept(&mdev->dev, generation));
}

/* Every event in every state of trust and view */

enum table_state {
	T_BLOCKED,	/* its trust */
	T_IDLE,
	T_BOUND,
	T_MANAGED,	/* a driver that manages DMA itself is bound */
	T_USER,
	T_RESERVED,
	T_LOCKED,
	T_PRIVATE,
	T_PRIVATE_BOUND,
	T_PRIVATE_USER,
	T_LOST,
	NR_TABLE_STATES,
};

enum table_event {
	BIND,
	BIND_MANAGED,
	CLAIM,
	RESERVE,	/* by another owner */
	TRUST,
	DISTRUST,
	LOCK,
	ACCEPT,
	UNLOCK,
	LOSE,
	JOIN,
	LEAVE,
	NR_TABLE_EVENTS,
};

static const struct table_look {
	const char *name;
	enum iommu_owner_state state;
	enum iommu_view_state view;
	char reach;
} table_looks[NR_TABLE_STATES] = {
	[T_BLOCKED] = { "blocked", IOMMU_OWNER_STATE_BLOCKED,
			IOMMU_VIEW_SHARED, MOCK_BLOCKED },
	[T_IDLE] = { "idle", IOMMU_OWNER_STATE_KERNEL,
		     IOMMU_VIEW_SHARED, MOCK_PAGING },
	[T_BOUND] = { "bound", IOMMU_OWNER_STATE_KERNEL,
		      IOMMU_VIEW_SHARED, MOCK_PAGING },
	[T_MANAGED] = { "managed", IOMMU_OWNER_STATE_KERNEL,
			IOMMU_VIEW_SHARED, MOCK_PAGING },
	[T_USER] = { "user", IOMMU_OWNER_STATE_USER,
		     IOMMU_VIEW_SHARED, MOCK_BLOCKED },
	[T_RESERVED] = { "reserved", IOMMU_OWNER_STATE_RESERVED,
			 IOMMU_VIEW_SHARED, MOCK_BLOCKED },
	[T_LOCKED] = { "locked", IOMMU_OWNER_STATE_BLOCKED,
		       IOMMU_VIEW_LOCKED, MOCK_BLOCKED },
	[T_PRIVATE] = { "private", IOMMU_OWNER_STATE_KERNEL,
			IOMMU_VIEW_PRIVATE, MOCK_BLOCKED },
	[T_PRIVATE_BOUND] = { "private_bound", IOMMU_OWNER_STATE_KERNEL,
			      IOMMU_VIEW_PRIVATE, MOCK_PAGING },
	[T_PRIVATE_USER] = { "private_user", IOMMU_OWNER_STATE_USER,
			     IOMMU_VIEW_PRIVATE, MOCK_BLOCKED },
	[T_LOST] = { "lost", IOMMU_OWNER_STATE_BLOCKED,
		     IOMMU_VIEW_ERROR, MOCK_BLOCKED },
};

/* In the order of the events: the error, or where it leads to */
#define TO(state)	(1 + (state))
static const int table[NR_TABLE_STATES][NR_TABLE_EVENTS] = {
	[T_BLOCKED] = {
		-EPERM, -EPERM, -EPERM, -EPERM, TO(T_IDLE), TO(T_BLOCKED),
		TO(T_LOCKED), -EINVAL, -EINVAL, 0, 0, 0 },
	[T_IDLE] = {
		TO(T_BOUND), TO(T_MANAGED), TO(T_USER), TO(T_RESERVED), 0,
		TO(T_BLOCKED), TO(T_LOCKED), -EINVAL, -EINVAL, 0, 0, 0 },
	[T_BOUND] = {
		-EBUSY, -EBUSY, -EBUSY, -EBUSY, -EBUSY, -EBUSY,
		-EBUSY, -EINVAL, -EINVAL, 0, 0, 0 },
	[T_MANAGED] = {
		-EBUSY, -EBUSY, TO(T_USER), TO(T_RESERVED), -EBUSY, -EBUSY,
		-EBUSY, -EINVAL, -EINVAL, 0, 0, 0 },
	[T_USER] = {
		-EBUSY, 0, 0, -EBUSY, -EBUSY, -EBUSY,
		-EBUSY, -EINVAL, -EINVAL, 0, 0, 0 },
	[T_RESERVED] = {
		-EBUSY, 0, TO(T_USER), -EBUSY, -EBUSY, -EBUSY,
		-EBUSY, -EINVAL, -EINVAL, 0, 0, 0 },
	[T_LOCKED] = {
		-EPERM, -EPERM, -EPERM, -EPERM, 0, 0,
		-EINVAL, TO(T_PRIVATE), TO(T_IDLE), TO(T_LOST), 0, 0 },
	[T_PRIVATE] = {
		TO(T_PRIVATE_BOUND), 0, TO(T_PRIVATE_USER), 0, 0, 0,
		-EINVAL, -EINVAL, TO(T_IDLE), TO(T_LOST), 0, 0 },
	[T_PRIVATE_BOUND] = {
		-EBUSY, -EBUSY, -EBUSY, -EBUSY, -EBUSY, -EBUSY,
		-EINVAL, -EINVAL, -EBUSY, TO(T_LOST), 0, 0 },
	[T_PRIVATE_USER] = {
		-EBUSY, 0, 0, -EBUSY, -EBUSY, -EBUSY,
		-EINVAL, -EINVAL, -EBUSY, TO(T_LOST), 0, 0 },
	[T_LOST] = {
		-EPERM, -EPERM, -EPERM, -EPERM, 0, 0,
		-EINVAL, -EINVAL, TO(T_BLOCKED), 0, 0, 0 },
};

/* What a private device becomes that is reserved, distrusted, or not alone any more */
static const struct table_look table_private[NR_TABLE_EVENTS] = {
	[RESERVE] = { "reserved", IOMMU_OWNER_STATE_RESERVED,
		      IOMMU_VIEW_PRIVATE, MOCK_BLOCKED },
	[DISTRUST] = { "blocked", IOMMU_OWNER_STATE_BLOCKED,
		       IOMMU_VIEW_PRIVATE, MOCK_BLOCKED },
	[JOIN] = { "blocked", IOMMU_OWNER_STATE_BLOCKED,
		   IOMMU_VIEW_PRIVATE, MOCK_BLOCKED },
};

/**
 * struct table_cast - What one cell of the table is about
 * @mdev: The device.
 * @nic: A driver that uses the DMA API.
 * @vfio: One that manages DMA itself.
 * @a: The owner in the states that have one.
 * @b: Another owner.
 */
struct table_cast {
	struct mock_device *mdev;
	struct mock_driver *nic;
	struct mock_driver *vfio;
	struct mock_owner *a;
	struct mock_owner *b;
};

static int table_do(struct kunit *test, struct table_cast *cast,
		    enum table_event event)
{
	struct mock_device *mdev = cast->mdev;
	ssize_t ret;

	switch (event) {
	case BIND:
		return mock_bind(cast->nic, mdev);
	case BIND_MANAGED:
		return mock_bind(cast->vfio, mdev);
	case CLAIM:
		return iommu_owner_claim_group(cast->a->owner, mdev->group);
	case RESERVE:
		return iommu_owner_reserve_group(cast->b->owner, mdev->group);
	case TRUST:
		ret = mock_set_trust(test, mdev, "full");
		return min_t(ssize_t, ret, 0);
	case DISTRUST:
		ret = mock_set_trust(test, mdev, "blocked");
		return min_t(ssize_t, ret, 0);
	case LOCK:
		return iommu_view_lock(&mdev->dev, "fake0");
	case ACCEPT:
		return iommu_view_accept(&mdev->dev, 0);
	case UNLOCK:
		return iommu_view_unlock(&mdev->dev, "fake0");
	case LOSE:
		if (view_of(mdev) != IOMMU_VIEW_SHARED)
			fake_error(mdev);
		return 0;
	case JOIN:
		device(test, mdev->group);
		return 0;
	case LEAVE:
		mock_device_del(mdev);
		return 0;
	default:
		return -EINVAL;
	}
}

static void table_enter(struct kunit *test, struct table_cast *cast,
			enum table_state state)
{
	static const enum table_event ways[NR_TABLE_STATES][3] = {
		[T_BLOCKED] = { DISTRUST, NR_TABLE_EVENTS },
		[T_IDLE] = { NR_TABLE_EVENTS },
		[T_BOUND] = { BIND, NR_TABLE_EVENTS },
		[T_MANAGED] = { BIND_MANAGED, NR_TABLE_EVENTS },
		[T_USER] = { CLAIM, NR_TABLE_EVENTS },
		[T_LOCKED] = { LOCK, NR_TABLE_EVENTS },
		[T_PRIVATE] = { LOCK, ACCEPT, NR_TABLE_EVENTS },
		[T_PRIVATE_BOUND] = { LOCK, ACCEPT, BIND },
		[T_PRIVATE_USER] = { LOCK, ACCEPT, CLAIM },
		[T_LOST] = { LOCK, ACCEPT, LOSE },
	};

	if (state == T_RESERVED) {
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_reserve_group(cast->a->owner,
							  cast->mdev->group));
		return;
	}
	for (unsigned int i = 0; i < 3 && ways[state][i] != NR_TABLE_EVENTS; i++)
		KUNIT_ASSERT_EQ(test, 0, table_do(test, cast, ways[state][i]));
}

static void table_expect(struct kunit *test, struct mock_device *mdev,
			 const struct table_look *look, const char *from,
			 enum table_event event)
{
	KUNIT_EXPECT_TRUE_MSG(test, state_comes(mdev, look->state),
			      "%s, event %u: state %u", from, event,
			      mock_state(mdev->group));
	KUNIT_EXPECT_EQ_MSG(test, look->view, view_of(mdev), "%s, event %u",
			    from, event);
	KUNIT_EXPECT_EQ_MSG(test, look->reach, mock_reach(mdev),
			    "%s, event %u", from, event);
}

/* Nothing of the device is left with the TSM. */
static void table_leave(struct kunit *test, struct mock_device *mdev)
{
	mock_unbind(mdev);
	mock_device_del(mdev);
	for (unsigned int i = 0; i < 500 && view_of(mdev); i++)
		msleep(20);
	KUNIT_ASSERT_EQ(test, IOMMU_VIEW_SHARED, view_of(mdev));
	KUNIT_ASSERT_EQ(test, IOMMU_VIEW_SHARED, fake_state(&mdev->dev));
	memset(fake->devices, 0, sizeof(fake->devices));
}

static void each_event_in_each_state(struct kunit *test)
{
	struct table_cast cast = {};

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	cast.nic = mock_driver(test, "mock_nic", false);
	cast.vfio = mock_driver(test, "mock_vfio", true);
	for (enum table_state from = 0; from < NR_TABLE_STATES; from++) {
		for (enum table_event event = 0; event < NR_TABLE_EVENTS; event++) {
			const struct table_look *look = &table_looks[from];
			int cell = table[from][event];

			cast.a = mock_owner(test, "a");
			cast.b = mock_owner(test, "b");
			cast.mdev = device(test, NULL);
			table_enter(test, &cast, from);
			table_expect(test, cast.mdev, look, look->name, event);
			KUNIT_EXPECT_EQ_MSG(test, min(cell, 0),
					    table_do(test, &cast, event),
					    "%s, event %u", look->name, event);
			if (from == T_PRIVATE && table_private[event].name)
				look = &table_private[event];
			else if (cell > 0)
				look = &table_looks[cell - 1];
			if (event != LEAVE)
				table_expect(test, cast.mdev, look,
					     table_looks[from].name, event);
			table_leave(test, cast.mdev);
		}
	}
}

/* Races */

#define ROUNDS	(IS_ENABLED(CONFIG_KASAN) ? 1500 : 600)

/**
 * struct race - What all threads of a race know
 * @mdev: The device.
 * @nic: A driver that looks at the meaning of its addresses.
 * @owner: An owner.
 * @wrong: How often an address meant something else than when it was mapped.
 * @done: How often each thread came through with what it does.
 * @stop: The threads come to their end.
 */
struct race {
	struct mock_device *mdev;
	struct mock_driver *nic;
	struct mock_owner *owner;
	atomic_t wrong;
	atomic_t done[6];
	bool stop;
};

/* From probe to remove an address means what it did, or nothing. */
static int race_probe(struct mock_driver *mdrv, struct mock_device *mdev)
{
	struct race *race = mdrv->data;
	dma_addr_t iova;
	u8 first, now;

	iova = dma_map_single(&mdev->dev, memory[0], PAGE_SIZE,
			      DMA_BIDIRECTIONAL);
	if (dma_mapping_error(&mdev->dev, iova))
		return -ENOMEM;
	first = dma_read(mdev, iova);
	for (unsigned int i = 0; i < 8; i++) {
		mock_dawdle();
		now = dma_read(mdev, iova);
		if (now != first && now)
			atomic_inc(&race->wrong);
	}
	dma_unmap(mdev, iova);
	atomic_inc(&race->done[0]);
	return 0;
}

static void race_bind(void *arg)
{
	struct race *race = arg;

	while (!READ_ONCE(race->stop)) {
		mock_bind(race->nic, race->mdev);
		mock_dawdle();
		mock_unbind(race->mdev);
	}
}

static void race_claim(void *arg)
{
	struct race *race = arg;

	while (!READ_ONCE(race->stop)) {
		if (!iommu_owner_claim_group(race->owner->owner,
					     race->mdev->group)) {
			atomic_inc(&race->done[1]);
			mock_dawdle();
			iommu_owner_release_group(race->owner->owner,
						  race->mdev->group);
		}
		mock_dawdle();
	}
}

static void race_lose(void *arg)
{
	struct race *race = arg;

	while (!READ_ONCE(race->stop)) {
		for (unsigned int i = 0; i < 40; i++)
			mock_dawdle();
		if (fake_state(&race->mdev->dev) != IOMMU_VIEW_PRIVATE)
			continue;
		iommu_view_lost(&race->mdev->dev);
		atomic_inc(&race->done[2]);
	}
}

/* As long as the view is not settled, DMA is blocked. */
static void race_look(void *arg)
{
	struct race *race = arg;
	struct mock_device *mdev = race->mdev;

	while (!READ_ONCE(race->stop)) {
		scoped_guard(mutex, &mdev->group->mutex)
			if (iommu_view_blocks(&mdev->dev) &&
			    mock_reach(mdev) != MOCK_BLOCKED)
				atomic_inc(&race->wrong);
		mock_dawdle();
	}
}

static void race_trust(void *arg)
{
	struct race *race = arg;

	while (!READ_ONCE(race->stop)) {
		if (!iommu_owner_set_trust(race->mdev->group,
					   get_random_u32_below(4) ?
					   IOMMU_OWNER_TRUST_FULL :
					   IOMMU_OWNER_TRUST_BLOCKED))
			atomic_inc(&race->done[3]);
		mock_dawdle();
	}
}

static void dawdle(struct device *dev)
{
	mock_dawdle();
}

/* Has each thread come through, and more than once? */
static bool race_is_over(struct race *race)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(race->done); i++)
		if (atomic_read(&race->done[i]) < 5)
			return false;
	return true;
}

static void flip_against_all(struct kunit *test)
{
	struct mock_thread *threads[5];
	struct race *race;

	if (!mock_translates())
		kunit_skip(test, MOCK_NO_TRANSLATION);
	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	race->mdev = device(test, NULL);
	race->nic = mock_driver(test, "mock_nic", false);
	race->owner = mock_owner(test, "vfio");
	race->nic->probe = race_probe;
	race->nic->data = race;
	fake->during = dawdle;
	threads[0] = mock_thread(test, race_bind, race);
	threads[1] = mock_thread(test, race_claim, race);
	threads[2] = mock_thread(test, race_lose, race);
	threads[3] = mock_thread(test, race_trust, race);
	threads[4] = mock_thread(test, race_look, race);
	for (unsigned int i = 0;
	     i < ROUNDS || (i < 50 * ROUNDS && !race_is_over(race)); i++) {
		if (!iommu_view_lock(&race->mdev->dev, "fake0")) {
			atomic_inc(&race->done[4]);
			mock_dawdle();
			if (!iommu_view_accept(&race->mdev->dev, 0))
				atomic_inc(&race->done[5]);
			for (unsigned int j = 0; j < 8; j++)
				mock_dawdle();
		}
		iommu_view_unlock(&race->mdev->dev, "fake0");
		mock_dawdle();
	}
	WRITE_ONCE(race->stop, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		mock_thread_join(threads[i]);
	kunit_info(test, "probes %d, claims %d, losses %d, trust %d, locks %d, accepts %d\n",
		   atomic_read(&race->done[0]), atomic_read(&race->done[1]),
		   atomic_read(&race->done[2]), atomic_read(&race->done[3]),
		   atomic_read(&race->done[4]), atomic_read(&race->done[5]));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race->wrong));
	for (unsigned int i = 0; i < ARRAY_SIZE(race->done); i++)
		KUNIT_EXPECT_LT_MSG(test, 0, atomic_read(&race->done[i]),
				    "%u", i);
}

static int view_test_init(struct kunit *test)
{
	int ret;

	ret = mock_init(test);
	if (ret)
		return ret;
	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	for (unsigned int i = 0; i < PAGES; i++) {
		memory[i] = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
		if (!memory[i] || !PAGE_ALIGNED(memory[i]))
			return -ENOMEM;
	}
	fake->tsm.name = "fake0";
	fake->tsm.ops = &fake_ops;
	ret = iommu_view_add_tsm(&fake->tsm);
	fake->registered = !ret;
	return ret;
}

static void view_test_exit(struct kunit *test)
{
	if (fake)
		fake_unregister(NULL);
	mock_set_parameter(test, "trust", "full");
	mock_exit(test);
	fake = NULL;
}

static struct kunit_case view_cases[] = {
	KUNIT_CASE(private_and_shared),
	KUNIT_CASE(lock_then_unlock),
	KUNIT_CASE(private_without_a_driver),
	KUNIT_CASE(no_iommu),
	KUNIT_CASE(accepted_and_probed),
	KUNIT_CASE(wrong_names_and_states),
	KUNIT_CASE(not_changed_in_use),
	KUNIT_CASE(bus_mastering_is_off),
	KUNIT_CASE(direct_is_not_locked),
	KUNIT_CASE(not_locked_unless_blocked),
	KUNIT_CASE(mapping_is_left),
	KUNIT_CASE(tables_must_be_private),
	KUNIT_CASE(identity_is_not_accepted),
	KUNIT_CASE(private_is_not_bounced),
	KUNIT_CASE(not_restricted_meanwhile),
	KUNIT_CASE(private_is_translated),
	KUNIT_CASE(lock_fails),
	KUNIT_CASE(accept_fails),
	KUNIT_CASE(unlock_fails),
	KUNIT_CASE(lost_between),
	KUNIT_CASE(lost_while_it_is_unlocked),
	KUNIT_CASE(lost_in_probe),
	KUNIT_CASE(lost_by_an_owner),
	KUNIT_CASE(lost_when_quiesced),
	KUNIT_CASE(lost_without_power),
	KUNIT_CASE(tsm_goes_away),
	KUNIT_CASE(tsm_leaves_it_locked),
	KUNIT_CASE(pulled_out),
	KUNIT_CASE(one_of_two_is_pulled_out),
	KUNIT_CASE(one_group_has_one_view),
	KUNIT_CASE(joins_a_private_one),
	KUNIT_CASE(evidence_in_parts),
	KUNIT_CASE(each_event_in_each_state),
	KUNIT_CASE_SLOW(flip_against_all),
	{ }
};

static struct kunit_suite view_suite = {
	.name = "iommu_owner_view",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = view_test_init,
	.exit = view_test_exit,
	.test_cases = view_cases,
};

kunit_test_suite(view_suite);
