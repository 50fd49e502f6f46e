// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: devices are quiesced, quarantine of those that are not, and
 * drivers that are probed again
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/pm_domain.h>
#include <linux/pm_runtime.h>

#include "mock.h"

#define NOT_QUIESCED	"a device cannot be quiesced"
#define HAS_TO_WAIT	"a reset has to wait for another task"

/* Claim the group of @mdev, use @mdev, release. */
static void use(struct kunit *test, struct iommu_owner *owner,
		struct mock_device *mdev)
{
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(owner, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(owner, mdev->group));
}

static void expect_quarantine(struct kunit *test, struct iommu_group *group,
			      const char *reason)
{
	KUNIT_EXPECT_EQ(test, reason ? IOMMU_OWNER_STATE_QUARANTINE :
				       IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_STREQ(test, reason ?: "", mock_quarantine(group) ?: "");
}

/* Use */

static void only_used_devices_are_quiesced(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_device *third = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = first->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&third->dev));
	KUNIT_EXPECT_EQ(test, 0, first->quiesced);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 1, first->quiesced);
	KUNIT_EXPECT_EQ(test, 0, second->quiesced);
	KUNIT_EXPECT_EQ(test, 1, third->quiesced);
	KUNIT_EXPECT_FALSE(test, first->quiesce_locked);
	expect_quarantine(test, group, NULL);

	/* Once is enough */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, 1, first->quiesced);
	KUNIT_EXPECT_EQ(test, 1, third->quiesced);
}

static void reset_device_is_left_alone(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_quiesced(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, mdev->quiesced);
	expect_quarantine(test, mdev->group, NULL);
}

static void use_outlives_a_reservation(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	use(test, a, mdev);
	KUNIT_EXPECT_EQ(test, 0, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
}

static void use_needs_an_owner(struct kunit *test)
{
	struct mock_device *outside = mock_device_alloc(test, NULL, 0);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_device_used(&outside->dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_device_quiesced(&outside->dev));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	iommu_owner_revoke(a);
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_device_used(&mdev->dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_device_quiesced(&mdev->dev));
}

static void use_is_refused_at_the_end(struct mock_device *mdev)
{
	struct mock_device *other = mdev->data;

	KUNIT_EXPECT_EQ(kunit_get_current_test(), -ESTALE,
			iommu_owner_device_used(&other->dev));
}

static void no_use_begins_at_the_end(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_device *other = mock_device(test, mdev->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mdev->on_quiesce = use_is_refused_at_the_end;
	mdev->data = other;
	use(test, a, mdev);
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, 0, other->quiesced);
}

/* Quarantine */

static void not_quiesced_is_quarantined(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = mdev->group;

	mock_fail_quiesce(mdev, -EIO, 1);
	use(test, a->owner, mdev);
	mock_owner_put(a);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	expect_quarantine(test, group, NOT_QUIESCED);
	KUNIT_EXPECT_STREQ(test, "IB", mdev->history);

	/* It does not end by itself */
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_reserve_group(b, group));
	KUNIT_EXPECT_FALSE(test, mock_viable(group));
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	/* and when it has ended it is forgotten */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
	expect_quarantine(test, group, NULL);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(b, group));
	KUNIT_EXPECT_EQ(test, 1, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
}

static void busy_device_is_tried_at_the_next_probe(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = first->group;

	mock_fail_quiesce(first, -EAGAIN, 1);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&second->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	expect_quarantine(test, group, HAS_TO_WAIT);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));

	/* The driver core has the lock of the device that is probed only. */
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_EXPECT_EQ(test, 2, first->quiesced);
	KUNIT_EXPECT_TRUE(test, first->quiesce_locked);
	KUNIT_EXPECT_FALSE(test, second->quiesce_locked);
	expect_quarantine(test, group, NULL);
	KUNIT_EXPECT_STREQ(test, "IBI", first->history);

	/* It is over for the other one, too. */
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, second));
	KUNIT_EXPECT_EQ(test, 2, first->quiesced);
	KUNIT_EXPECT_EQ(test, 1, second->quiesced);
}

static void busy_device_is_tried_at_the_next_claim(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = mdev->group;

	mock_fail_quiesce(mdev, -EAGAIN, 3);
	use(test, a, mdev);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_reserve_group(b, group));
	expect_quarantine(test, group, HAS_TO_WAIT);
	KUNIT_EXPECT_STREQ(test, "IB", mdev->history);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(b, group));
	KUNIT_EXPECT_EQ(test, 4, mdev->quiesced);
	KUNIT_EXPECT_FALSE(test, mdev->quiesce_locked);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(b, group));
	KUNIT_EXPECT_EQ(test, 4, mdev->quiesced);
}

/* The task that has the lock of the device need not come back. */
static void busy_device_completes_by_itself(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_let_retry(test);
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	for (int i = 0; i < 500 && mock_quarantine(mdev->group); i++)
		msleep(20);
	expect_quarantine(test, mdev->group, NULL);
	KUNIT_EXPECT_STREQ(test, "IBI", mdev->history);
}

static void busy_device_completes_at_its_removal(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	expect_quarantine(test, mdev->group, HAS_TO_WAIT);
	device_lock(&mdev->dev);
	iommu_owner_retry_device(&mdev->dev);
	device_unlock(&mdev->dev);
	KUNIT_EXPECT_TRUE(test, mdev->quiesce_locked);
	expect_quarantine(test, mdev->group, NULL);
}

static void device_that_does_not_answer(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_fail_quiesce(mdev, -ENODEV, 2);
	use(test, a, mdev);
	expect_quarantine(test, mdev->group, "a device does not answer");
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	/* It answers again */
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 3, mdev->quiesced);
	expect_quarantine(test, mdev->group, NULL);
}

#ifdef CONFIG_PCI
static int resume_fails(struct device *dev)
{
	return -EIO;
}

static int suspend_succeeds(struct device *dev)
{
	return 0;
}

static struct dev_pm_domain stuck_domain = {
	.ops = {
		.runtime_suspend = suspend_succeeds,
		.runtime_resume = resume_fails,
	},
};

/* A device of QEMU without a driver */
static struct pci_dev *edu_get(struct kunit *test)
{
	struct pci_dev *pdev = pci_get_device(0x1234, 0x11e8, NULL);

	if (!pdev || pdev->dev.driver || !IS_ENABLED(CONFIG_PM)) {
		pci_dev_put(pdev);
		kunit_skip(test, "needs an edu device without a driver, and CONFIG_PM");
	}
	kunit_deactivate_static_stub(test, iommu_owner_quiesce);
	return pdev;
}

/* It is suspended and stays so. */
static void device_that_does_not_resume(struct kunit *test)
{
	struct pci_dev *pdev = edu_get(test);
	struct device *dev = &pdev->dev;

	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_NOT_RESET,
			iommu_owner_quiesce(dev, false));

	dev_pm_domain_set(dev, &stuck_domain);
	pm_runtime_allow(dev);
	pm_runtime_suspend(dev);
	KUNIT_EXPECT_TRUE(test, pm_runtime_suspended(dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_owner_quiesce(dev, false));

	pm_runtime_disable(dev);
	pm_runtime_set_active(dev);
	pm_runtime_enable(dev);
	pm_runtime_forbid(dev);
	dev_pm_domain_set(dev, NULL);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_NOT_RESET,
			iommu_owner_quiesce(dev, false));
	pci_dev_put(pdev);
}

static bool edu_is_master(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return command & PCI_COMMAND_MASTER;
}

/* It is not quiesced by that; what is in its place now is left alone. */
static void device_that_was_removed(struct kunit *test)
{
	struct pci_dev *next, *pdev = edu_get(test);
	struct pci_bus *bus = pdev->bus;

	pci_stop_and_remove_bus_device_locked(pdev);
	pci_lock_rescan_remove();
	pci_rescan_bus(bus);
	pci_unlock_rescan_remove();
	next = pci_get_slot(bus, pdev->devfn);
	KUNIT_ASSERT_NOT_NULL(test, next);
	KUNIT_ASSERT_PTR_NE(test, next, pdev);
	pci_set_master(next);
	KUNIT_EXPECT_EQ(test, -EAGAIN, iommu_owner_quiesce(&pdev->dev, false));
	KUNIT_EXPECT_TRUE(test, edu_is_master(next));

	/* The same for the device itself, while another task has its lock */
	device_lock(&next->dev);
	KUNIT_EXPECT_EQ(test, -EAGAIN, iommu_owner_quiesce(&next->dev, false));
	KUNIT_EXPECT_TRUE(test, edu_is_master(next));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_NOT_RESET,
			iommu_owner_quiesce(&next->dev, true));
	KUNIT_EXPECT_FALSE(test, edu_is_master(next));
	device_unlock(&next->dev);
	pci_dev_put(next);
	pci_dev_put(pdev);
}
#else
static void device_that_was_removed(struct kunit *test)
{
	kunit_skip(test, "needs an edu device");
}

static void device_that_does_not_resume(struct kunit *test)
{
	kunit_skip(test, "needs an edu device");
}
#endif

/* A quarantine is an error with an end; a reset that has to wait is none. */
static void end_of_a_quarantine_is_logged(struct kunit *test)
{
	struct mock_device *silent = mock_device(test, NULL);
	struct mock_device *busy = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	static char line[64];

	mock_fail_quiesce(silent, -ENODEV, 1);
	use(test, a, silent);
	snprintf(line, sizeof(line), "group %d: the quarantine has ended",
		 iommu_group_id(silent->group));
	mock_listen(test, line);
	mock_let_retry(test);
	iommu_owner_queue_retry_in(silent->group, 0);
	iommu_owner_flush_retry(silent->group);
	expect_quarantine(test, silent->group, NULL);
	KUNIT_EXPECT_EQ(test, 1, mock_heard());

	snprintf(line, sizeof(line), "group %d: ", iommu_group_id(busy->group));
	mock_listen(test, line);
	mock_fail_quiesce(busy, -EAGAIN, 1);
	use(test, a, busy);
	iommu_owner_flush_retry(busy->group);
	expect_quarantine(test, busy->group, NULL);
	KUNIT_EXPECT_EQ(test, 0, mock_heard());
}

static void group_of_busy_device_is_viable(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_fail_quiesce(mdev, -EAGAIN, 2);
	use(test, a, mdev);
	KUNIT_EXPECT_FALSE(test, mock_viable(mdev->group));
	/* Who asks first would never claim otherwise. */
	KUNIT_EXPECT_TRUE(test, mock_viable(mdev->group));
	expect_quarantine(test, mdev->group, NULL);
	KUNIT_EXPECT_STREQ(test, "IBI", mdev->history);
}

static void reason_is_the_last_one(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;
	u64 before;

	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	expect_quarantine(test, group, HAS_TO_WAIT);
	before = mock_generation(group);
	mock_fail_quiesce(mdev, -EIO, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	expect_quarantine(test, group, NOT_QUIESCED);
	KUNIT_EXPECT_GT(test, mock_generation(group), before);

	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 2, mdev->quiesced);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));

	/* Quiet, but the default domain does not come back */
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	mock_fail_attach(mdev, MOCK_DEFAULT, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	expect_quarantine(test, group,
			  "the default domain cannot be attached");
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
}

static void asked_for_quarantine_stays(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	/* What was to be tried again before does not count. */
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_clear_quarantine(group));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, group));
	expect_quarantine(test, group, NOT_QUIESCED);
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, group));
	expect_quarantine(test, group, NOT_QUIESCED);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

/* While the mutex of the group is dropped */

static void remove_device(struct mock_device *mdev)
{
	mock_device_del(mdev);
}

static void device_goes_while_quiesced(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_group *group = first->group;

	/* What cannot be quiesced and is gone is in nobody's way. */
	first->on_quiesce = remove_device;
	mock_fail_quiesce(first, -EIO, 1);
	use(test, a->owner, first);
	expect_quarantine(test, group, NULL);
	KUNIT_EXPECT_EQ(test, 1, first->quiesced);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(second));

	second->on_quiesce = remove_device;
	mock_fail_quiesce(second, -EAGAIN, 1);
	use(test, a->owner, second);
	expect_quarantine(test, group, NULL);
	KUNIT_EXPECT_EQ(test, 1, second->quiesced);
	mock_owner_put(a);
	KUNIT_EXPECT_TRUE(test, mock_released(a));
}

static void replace_device(struct mock_device *mdev)
{
	struct kunit *test = kunit_get_current_test();
	struct mock_device **late = mdev->data;
	struct iommu_group *group = mdev->group;

	mock_device_del(mdev);
	*late = mock_device_alloc(test, group, 0);
	(*late)->direct = mdev->direct;
	KUNIT_EXPECT_EQ(test, 0, mock_device_add(*late));
	KUNIT_EXPECT_STREQ(test, "B", (*late)->history);
}

/* The domains of the group have gone with the last device, the end has not. */
static void joins_an_empty_group(struct kunit *test, bool direct)
{
	struct mock_device *first = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct mock_device *late = NULL;

	/* Of the one that comes: the first one was claimed */
	first->direct = direct;
	first->on_quiesce = replace_device;
	first->data = &late;
	use(test, a, first);
	KUNIT_ASSERT_NOT_NULL(test, late);
	KUNIT_EXPECT_STREQ(test, "BI", late->history);
	expect_quarantine(test, late->group, NULL);
}

static void device_joins_an_empty_group_that_is_ending(struct kunit *test)
{
	joins_an_empty_group(test, false);
}

static void direct_device_joins_an_empty_group(struct kunit *test)
{
	joins_an_empty_group(test, true);
}

static void last_device_goes_while_tried_again(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	for (int i = 0; i < 3; i++) {
		struct mock_device *mdev = mock_device(test, NULL);
		struct iommu_group *group = mdev->group;
		struct mock_device *again;

		mock_fail_quiesce(mdev, -EAGAIN, 1);
		use(test, a, mdev);
		expect_quarantine(test, group, HAS_TO_WAIT);
		mdev->on_quiesce = remove_device;
		if (i == 0)
			KUNIT_EXPECT_EQ(test, -ENODEV,
					iommu_owner_claim_group(a, group));
		else if (i == 1)
			KUNIT_EXPECT_EQ(test, -ENODEV,
					iommu_owner_reserve_group(a, group));
		else
			mock_viable(group);
		KUNIT_EXPECT_EQ(test, 2, mdev->quiesced);
		expect_quarantine(test, group, NULL);

		again = mock_device(test, group);
		KUNIT_EXPECT_STREQ(test, "I", again->history);
		KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, again));
	}
}

/* What others try while a device is quiesced again */
struct intruder {
	struct iommu_owner *owner;
	struct mock_driver *nic;
	struct mock_device *mdev;
	struct mock_device *late;
};

static void all_is_refused(struct mock_device *mdev)
{
	struct kunit *test = kunit_get_current_test();
	struct intruder *in = mdev->data;
	struct iommu_group *group = mdev->group;

	KUNIT_EXPECT_FALSE(test, mock_group_is_locked(group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_claim_group(in->owner, group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_reserve_group(in->owner, group));
	KUNIT_EXPECT_FALSE(test, mock_viable(group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(in->nic, in->mdev));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_device_used(&mdev->dev));
	expect_quarantine(test, group, HAS_TO_WAIT);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

static void nobody_gets_a_group_that_is_tried_again(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct intruder in = {
		.owner = mock_owner(test, "b")->owner,
		.nic = mock_driver(test, "mock_nic", false),
		.mdev = mock_device(test, mdev->group),
	};

	mock_fail_quiesce(mdev, -EAGAIN, 2);
	use(test, a, mdev);
	mdev->on_quiesce = all_is_refused;
	mdev->data = &in;
	/* One that does not help, and one that does */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 2, mdev->quiesced);
	expect_quarantine(test, mdev->group, HAS_TO_WAIT);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 3, mdev->quiesced);
}

static void add_device(struct mock_device *mdev)
{
	struct intruder *in = mdev->data;

	in->late = mock_device(kunit_get_current_test(), mdev->group);
}

static void handover_sees_a_device_that_came_meanwhile(struct kunit *test)
{
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct intruder in = {};

	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, mdev));
	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	mdev->on_quiesce = add_device;
	mdev->data = &in;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_handover_device(a, &mdev->dev));
	KUNIT_EXPECT_STREQ(test, "BI", in.late->history);
	expect_quarantine(test, mdev->group, NULL);
}

/* A new owner after a removal owes nothing to a device of the old one. */
static void swap_devices(struct mock_device *mdev)
{
	struct kunit *test = kunit_get_current_test();
	struct intruder *in = mdev->data;

	mock_device_del(mdev);
	in->late = mock_device(test, mdev->group);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_claim_group(in->owner, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(in->nic, in->late));
}

static void new_device_waits_until_the_old_is_quiesced(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct intruder in = {
		.owner = mock_owner(test, "b")->owner,
		.nic = mock_driver(test, "mock_nic", false),
	};

	mock_fail_quiesce(mdev, -EAGAIN, 1);
	use(test, a, mdev);
	mdev->on_quiesce = swap_devices;
	mdev->data = &in;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, in.late->quiesced);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(in.nic, in.late));
}

static struct kunit_case quiesce_cases[] = {
	KUNIT_CASE(only_used_devices_are_quiesced),
	KUNIT_CASE(reset_device_is_left_alone),
	KUNIT_CASE(use_outlives_a_reservation),
	KUNIT_CASE(use_needs_an_owner),
	KUNIT_CASE(no_use_begins_at_the_end),
	KUNIT_CASE(not_quiesced_is_quarantined),
	KUNIT_CASE(busy_device_is_tried_at_the_next_probe),
	KUNIT_CASE(busy_device_is_tried_at_the_next_claim),
	KUNIT_CASE(busy_device_completes_by_itself),
	KUNIT_CASE(busy_device_completes_at_its_removal),
	KUNIT_CASE(device_that_does_not_answer),
	KUNIT_CASE(device_that_does_not_resume),
	KUNIT_CASE(device_that_was_removed),
	KUNIT_CASE(end_of_a_quarantine_is_logged),
	KUNIT_CASE(group_of_busy_device_is_viable),
	KUNIT_CASE(reason_is_the_last_one),
	KUNIT_CASE(asked_for_quarantine_stays),
	KUNIT_CASE(device_goes_while_quiesced),
	KUNIT_CASE(device_joins_an_empty_group_that_is_ending),
	KUNIT_CASE(direct_device_joins_an_empty_group),
	KUNIT_CASE(last_device_goes_while_tried_again),
	KUNIT_CASE(nobody_gets_a_group_that_is_tried_again),
	KUNIT_CASE(handover_sees_a_device_that_came_meanwhile),
	KUNIT_CASE(new_device_waits_until_the_old_is_quiesced),
	{}
};

static struct kunit_suite quiesce_suite = {
	.name = "iommu_owner_quiesce",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = quiesce_cases,
};

/* Drivers that were refused */

/* Is @mdev bound, given some time to get there? */
static bool gets_bound(struct mock_driver *nic, struct mock_device *mdev)
{
	for (int i = 0; i < 500 && !mock_bound(nic, mdev); i++)
		msleep(20);
	return mock_bound(nic, mdev);
}

static bool stays_unbound(struct mock_device *mdev)
{
	msleep(50);
	return !device_is_bound(&mdev->dev);
}

/* A device of @group that drivers match */
static struct mock_device *matched_device(struct kunit *test,
					  struct iommu_group *group)
{
	struct mock_device *mdev = mock_device(test, group);

	mdev->match = true;
	return mdev;
}

static void reprobe_is_off(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = matched_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(mdev));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
}

static void refused_driver_is_probed_again(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = matched_device(test, NULL);
	struct mock_device *second = matched_device(test, first->group);
	struct mock_device *third = matched_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = first->group;

	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&first->dev));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&third->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(first));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_TRUE(test, gets_bound(nic, first));
	KUNIT_EXPECT_TRUE(test, gets_bound(nic, third));
	/* Nobody had tried this one */
	KUNIT_EXPECT_TRUE(test, stays_unbound(second));
	KUNIT_EXPECT_EQ(test, 2, nic->probes);
}

static void next_owner_comes_before_the_driver(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = matched_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(mdev));
	iommu_owner_revoke(a);
	KUNIT_EXPECT_TRUE(test, gets_bound(nic, mdev));
}

static void quarantine_is_not_probed(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = matched_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(mdev));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_clear_quarantine(mdev->group));
	KUNIT_EXPECT_TRUE(test, gets_bound(nic, mdev));
}

static void refusal_is_made_up_for_once(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = matched_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&mdev->dev));
	/* The driver is not for this device any more */
	mdev->match = false;
	atomic_set(&mdev->matched, 0);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	for (int i = 0; i < 500 && !atomic_read(&mdev->matched); i++)
		msleep(20);
	KUNIT_ASSERT_NE(test, 0, atomic_read(&mdev->matched));

	mdev->match = true;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(mdev));
	KUNIT_EXPECT_EQ(test, 0, nic->probes);
}

/* The first driver makes the group private, which refuses the second one again. */
static void refusal_by_a_private_domain_is_final(struct kunit *test)
{
	struct mock_driver *gpu = mock_driver(test, "mock_gpu", false);
	struct mock_device *first = matched_device(test, NULL);
	struct mock_device *second = matched_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	int tried;

	mock_attach_own_domain(test, gpu, first);
	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&first->dev));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&second->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_TRUE(test, gets_bound(gpu, first));
	KUNIT_EXPECT_TRUE(test, stays_unbound(second));
	tried = atomic_read(&second->matched);
	KUNIT_EXPECT_TRUE(test, stays_unbound(second));
	KUNIT_EXPECT_EQ(test, tried, atomic_read(&second->matched));
	mock_unbind(first);
}

static void end_of_the_wait_lets_all_probe(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = matched_device(test, NULL);
	struct mock_device *second = matched_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	mock_set_parameter(test, "reprobe", "1");
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, first->group));
	KUNIT_ASSERT_EQ(test, -EBUSY, device_attach(&second->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&first->dev));
	mock_fail_quiesce(first, -EAGAIN, 1);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_EXPECT_TRUE(test, stays_unbound(second));
	KUNIT_EXPECT_EQ(test, 1, device_attach(&first->dev));
	KUNIT_EXPECT_TRUE(test, gets_bound(nic, second));
}

static struct kunit_case reprobe_cases[] = {
	KUNIT_CASE(reprobe_is_off),
	KUNIT_CASE(refused_driver_is_probed_again),
	KUNIT_CASE(next_owner_comes_before_the_driver),
	KUNIT_CASE(quarantine_is_not_probed),
	KUNIT_CASE(refusal_is_made_up_for_once),
	KUNIT_CASE(refusal_by_a_private_domain_is_final),
	KUNIT_CASE(end_of_the_wait_lets_all_probe),
	{}
};

static void reprobe_exit(struct kunit *test)
{
	mock_set_parameter(test, "reprobe", "0");
	mock_exit(test);
}

static struct kunit_suite reprobe_suite = {
	.name = "iommu_owner_reprobe",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = reprobe_exit,
	.test_cases = reprobe_cases,
};

kunit_test_suites(&quiesce_suite, &reprobe_suite);
