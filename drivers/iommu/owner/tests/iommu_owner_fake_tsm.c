// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TSM without hardware, for the tests of the view on devices
 *
 * It handles the devices "edu" and "e1000e" of QEMU, and protects nothing. As TDISP demands of a
 * device, one that is locked leaves that state when its memory decoding or its bus
 * mastering is turned off, or a BAR is moved: it is looked at again and again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/iommu-view.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#define FAKE_PERIOD	(HZ / 50)
#define FAKE_EVIDENCE	(2 * SZ_1M + 5)

/**
 * struct fake_tdi - A device that is not what it was when it was found
 * @pdev: The device, with a reference.
 * @is: What it is.
 * @command: Of its command register, the bits that must not be cleared.
 * @bars: Its BARs when it was locked.
 */
struct fake_tdi {
	struct pci_dev *pdev;
	enum iommu_view_state is;
	u16 command;
	u32 bars[PCI_STD_NUM_BARS];
};

/* By the ID of the device, protected by the mutex, which is inside the lock of a device */
static DEFINE_XARRAY(fake_tdis);
static DEFINE_MUTEX(fake_lock);

static void fake_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(fake_work, fake_look);

/* The next operation of this name fails, and with '!' before it does what it should */
static char fake_fail[16];
module_param_string(fail, fake_fail, sizeof(fake_fail), 0600);
MODULE_PARM_DESC(fail, "Let the next lock, accept or unlock fail; with ! it works nevertheless");

static bool fake_changes;
module_param_named(changes, fake_changes, bool, 0600);
MODULE_PARM_DESC(changes, "The evidence changes whenever it is read");

static const struct pci_device_id fake_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x10d3) },
	{ }
};

static bool fake_handles(struct device *dev)
{
	return dev_is_pci(dev) && pci_match_id(fake_ids, to_pci_dev(dev));
}

static struct fake_tdi *fake_find(struct pci_dev *pdev)
{
	struct fake_tdi *tdi = xa_load(&fake_tdis, pci_dev_id(pdev));

	return tdi && tdi->pdev == pdev ? tdi : NULL;
}

static void fake_read_bars(struct pci_dev *pdev, u32 *bars)
{
	for (unsigned int i = 0; i < PCI_STD_NUM_BARS; i++)
		pci_read_config_dword(pdev, PCI_BASE_ADDRESS_0 + 4 * i, &bars[i]);
}

static u16 fake_read_command(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return command & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Has somebody changed what must not change? */
static bool fake_was_changed(struct fake_tdi *tdi)
{
	u32 bars[PCI_STD_NUM_BARS];
	u16 command;

	if (tdi->is != IOMMU_VIEW_LOCKED && tdi->is != IOMMU_VIEW_PRIVATE)
		return false;
	command = fake_read_command(tdi->pdev);
	fake_read_bars(tdi->pdev, bars);
	if ((command & tdi->command) != tdi->command ||
	    memcmp(bars, tdi->bars, sizeof(bars)))
		return true;
	tdi->command |= command;
	return false;
}

static void fake_look(struct work_struct *work)
{
	struct pci_dev *lost = NULL;
	struct fake_tdi *tdi;
	unsigned long id;

	scoped_guard(mutex, &fake_lock)
		xa_for_each(&fake_tdis, id, tdi)
			if (!lost && fake_was_changed(tdi)) {
				tdi->is = IOMMU_VIEW_ERROR;
				lost = pci_dev_get(tdi->pdev);
			}
	if (lost)
		iommu_view_lost(&lost->dev);
	pci_dev_put(lost);
	schedule_delayed_work(&fake_work, FAKE_PERIOD);
}

/* Does the operation fail, and does it do what it should? */
static int fake_error(const char *name, bool *works)
{
	const char *fail = fake_fail + (fake_fail[0] == '!');
	size_t length = strcspn(fail, "\n");

	*works = true;
	if (strlen(name) != length || strncmp(fail, name, length))
		return 0;
	*works = fake_fail[0] == '!';
	fake_fail[0] = '\0';
	return -ENODATA;
}

static int fake_tsm_lock(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	struct fake_tdi *tdi;
	bool works;
	int error;

	guard(mutex)(&fake_lock);
	error = fake_error("lock", &works);
	if (!works)
		return error;
	tdi = kzalloc(sizeof(*tdi), GFP_KERNEL);
	if (!tdi)
		return -ENOMEM;
	tdi->pdev = pci_dev_get(pdev);
	tdi->is = IOMMU_VIEW_LOCKED;
	tdi->command = fake_read_command(pdev);
	fake_read_bars(pdev, tdi->bars);
	if (xa_insert(&fake_tdis, pci_dev_id(pdev), tdi, GFP_KERNEL)) {
		pci_dev_put(pdev);
		kfree(tdi);
		return -EBUSY;
	}
	return error;
}

static int fake_tsm_accept(struct device *dev)
{
	struct fake_tdi *tdi;
	bool works;
	int error;

	guard(mutex)(&fake_lock);
	error = fake_error("accept", &works);
	tdi = fake_find(to_pci_dev(dev));
	if (!tdi || tdi->is != IOMMU_VIEW_LOCKED)
		return -EINVAL;
	if (works)
		tdi->is = IOMMU_VIEW_PRIVATE;
	return error;
}

static int fake_tsm_unlock(struct device *dev)
{
	struct fake_tdi *tdi;
	bool works;
	int error;

	guard(mutex)(&fake_lock);
	error = fake_error("unlock", &works);
	tdi = fake_find(to_pci_dev(dev));
	if (!tdi || !works)
		return error;
	xa_erase(&fake_tdis, pci_dev_id(tdi->pdev));
	pci_dev_put(tdi->pdev);
	kfree(tdi);
	return error;
}

static enum iommu_view_state fake_tsm_state(struct device *dev)
{
	struct fake_tdi *tdi;

	guard(mutex)(&fake_lock);
	tdi = fake_find(to_pci_dev(dev));
	return tdi ? tdi->is : IOMMU_VIEW_SHARED;
}

static ssize_t fake_tsm_evidence(struct device *dev,
				 enum iommu_owner_evidence_kind kind, u64 offset,
				 void *buf, size_t length, u64 *total)
{
	u8 *bytes = buf;

	*total = FAKE_EVIDENCE;
	if (offset >= FAKE_EVIDENCE)
		return 0;
	length = min_t(u64, length, FAKE_EVIDENCE - offset);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (offset + i) * 7 + ((offset + i) >> 8) + kind;
	if (fake_changes)
		iommu_view_evidence_changed(dev);
	return length;
}

static const struct iommu_view_tsm_ops fake_ops = {
	.handles = fake_handles,
	.lock = fake_tsm_lock,
	.accept = fake_tsm_accept,
	.unlock = fake_tsm_unlock,
	.state = fake_tsm_state,
	.evidence = fake_tsm_evidence,
};

static struct iommu_view_tsm fake_tsm = { .name = "fake0", .ops = &fake_ops };
static struct iommu_view_tsm fake_link = { .name = "link0" };

static int __init fake_init(void)
{
	int ret;

	ret = iommu_view_register(&fake_link);
	if (ret)
		return ret;
	ret = iommu_view_register(&fake_tsm);
	if (ret) {
		iommu_view_unregister(&fake_link);
		return ret;
	}
	schedule_delayed_work(&fake_work, FAKE_PERIOD);
	return 0;
}
module_init(fake_init);

static void __exit fake_exit(void)
{
	cancel_delayed_work_sync(&fake_work);
	iommu_view_unregister(&fake_tsm);
	iommu_view_unregister(&fake_link);
	WARN_ON(!xa_empty(&fake_tdis));
}
module_exit(fake_exit);

MODULE_DESCRIPTION("TSM without hardware for tests of the private view of devices");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_LICENSE("GPL");
