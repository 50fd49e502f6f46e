// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bus without hardware, behind an IOMMU without hardware, for the KUnit tests
 * of the ownership
 */
#include <kunit/static_stub.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/kernfs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/property.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "mock.h"

/**
 * struct mock_page - A page that is mapped
 * @phys: Where.
 * @prot: As what, IOMMU_*.
 */
struct mock_page {
	phys_addr_t phys;
	int prot;
};

struct mock_domain {
	struct iommu_domain domain;
	struct list_head list;
	atomic_t users;
	char letter;
	struct xarray pages;
};

static struct iommu_device mock_iommu;
static struct notifier_block mock_nb;
static atomic_t live_domains;
static atomic_t freed_in_use;
static atomic_t wrong_old;
static atomic_t serial;
static atomic_t complaints;
static const char *listen_for;
static atomic_t heard;
static struct tracepoint *console_tp;
static const char *fail_alloc_letters;
static unsigned int default_type;

static struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

/* The mock IOMMU */

static void move_user(struct mock_domain **slot, struct mock_domain *to)
{
	if (to)
		atomic_inc(&to->users);
	if (*slot)
		atomic_dec(&(*slot)->users);
	*slot = to;
}

static void record(struct mock_device *mdev, char letter)
{
	if (mdev->length < MOCK_HISTORY - 1)
		mdev->history[mdev->length++] = letter;
}

static int attach_error(struct mock_device *mdev, struct mock_domain *mdomain)
{
	if (!mdev->fail_count || (mdev->fail_letter != mdomain->letter &&
				  mdev->fail_letter != MOCK_ANY))
		return 0;
	if (mdev->fail_after) {
		mdev->fail_after--;
		return 0;
	}
	mdev->fail_count--;
	return mdev->fail_error ?: -EIO;
}

static int mock_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	struct mock_device *mdev = to_mock_device(dev);
	struct mock_domain *mdomain = to_mock_domain(domain);
	int ret;

	ret = attach_error(mdev, mdomain);
	if (ret)
		return ret;
	move_user(&mdev->reach, mdomain);
	record(mdev, mdomain->letter);
	/* Let others run while the group is locked */
	cond_resched();
	return 0;
}

static int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
			      ioasid_t pasid, struct iommu_domain *old)
{
	struct mock_device *mdev = to_mock_device(dev);
	struct mock_domain *mdomain = to_mock_domain(domain);
	int ret;

	if (pasid >= MOCK_PASIDS)
		return -EINVAL;
	if (mdev->pasid[pasid] != (old ? to_mock_domain(old) : NULL))
		atomic_inc(&wrong_old);
	ret = attach_error(mdev, mdomain);
	if (ret)
		return ret;
	move_user(&mdev->pasid[pasid], mdomain);
	mdev->pasid_changes++;
	return 0;
}

static int mock_block_dev_pasid(struct iommu_domain *domain, struct device *dev,
				ioasid_t pasid, struct iommu_domain *old)
{
	struct mock_device *mdev = to_mock_device(dev);

	if (pasid >= MOCK_PASIDS)
		return -EINVAL;
	if (!old || mdev->pasid[pasid] != to_mock_domain(old))
		atomic_inc(&wrong_old);
	move_user(&mdev->pasid[pasid], NULL);
	mdev->pasid_changes++;
	return 0;
}

static int mock_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t size, size_t count, int prot,
			  gfp_t gfp, size_t *mapped)
{
	struct mock_domain *mdomain = to_mock_domain(domain);
	struct mock_page *page;
	int ret;

	for (size_t i = 0; i < count; i++, *mapped += size) {
		page = kmalloc(sizeof(*page), gfp);
		if (!page)
			return -ENOMEM;
		page->phys = phys + i * size;
		page->prot = prot;
		ret = xa_insert(&mdomain->pages, iova / PAGE_SIZE + i, page, gfp);
		if (ret) {
			kfree(page);
			return ret;
		}
	}
	return 0;
}

static size_t mock_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t size, size_t count,
			       struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mdomain = to_mock_domain(domain);

	for (size_t i = 0; i < count; i++)
		kfree(xa_erase(&mdomain->pages, iova / PAGE_SIZE + i));
	return size * count;
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	struct mock_domain *mdomain = to_mock_domain(domain);
	struct mock_page *page;

	/* Nobody unmaps meanwhile */
	page = xa_load(&mdomain->pages, iova / PAGE_SIZE);
	return page ? page->phys + offset_in_page(iova) : 0;
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mdomain = to_mock_domain(domain);
	struct mock_page *page;
	unsigned long index;

	xa_for_each(&mdomain->pages, index, page)
		kfree(page);
	xa_destroy(&mdomain->pages);
	if (atomic_read(&mdomain->users))
		atomic_inc(&freed_in_use);
	atomic_dec(&live_domains);
	kfree(mdomain);
}

static const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_attach_dev,
	.set_dev_pasid = mock_set_dev_pasid,
	.map_pages = mock_map_pages,
	.unmap_pages = mock_unmap_pages,
	.iova_to_phys = mock_iova_to_phys,
	.free = mock_domain_free,
};

/* The only domain that can be attached to PASIDs to block them */
static struct mock_domain mock_blocked = {
	.domain = {
		.type = IOMMU_DOMAIN_BLOCKED,
		.ops = &(const struct iommu_domain_ops) {
			.attach_dev = mock_attach_dev,
			.set_dev_pasid = mock_block_dev_pasid,
		},
	},
	.letter = MOCK_BLOCKED,
};

static struct iommu_domain *domain_new(char letter)
{
	struct mock_domain *mdomain;

	if (fail_alloc_letters && strchr(fail_alloc_letters, letter))
		return NULL;

	mdomain = kzalloc(sizeof(*mdomain), GFP_KERNEL);
	if (!mdomain)
		return NULL;
	INIT_LIST_HEAD(&mdomain->list);
	xa_init_flags(&mdomain->pages, XA_FLAGS_LOCK_IRQ);
	mdomain->letter = letter;
	atomic_inc(&live_domains);
	return &mdomain->domain;
}

static struct iommu_domain *mock_domain_alloc(unsigned int type)
{
	if (type == IOMMU_DOMAIN_IDENTITY)
		return domain_new(MOCK_DEFAULT);
	if (type == IOMMU_DOMAIN_BLOCKED)
		return domain_new(MOCK_BLOCKED);
	return NULL;
}

static struct iommu_domain *mock_domain_alloc_paging(struct device *dev)
{
	return domain_new(MOCK_PAGING);
}

static int mock_def_domain_type(struct device *dev)
{
	return default_type;
}

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_ENFORCE_CACHE_COHERENCY &&
	       !to_mock_device(dev)->incoherent;
}

static struct iommu_device *mock_probe_device(struct device *dev)
{
	struct mock_device *mdev = to_mock_device(dev);

	if (mdev->no_memory) {
		mdev->no_memory--;
		return ERR_PTR(-ENOMEM);
	}
	return &mock_iommu;
}

static void mock_release_device(struct device *dev)
{
	struct mock_device *mdev = to_mock_device(dev);

	move_user(&mdev->reach, NULL);
	for (unsigned int i = 0; i < MOCK_PASIDS; i++) {
		mdev->pasids_left += !!mdev->pasid[i];
		move_user(&mdev->pasid[i], NULL);
	}
}

static struct iommu_group *mock_device_group(struct device *dev)
{
	struct mock_device *mdev = to_mock_device(dev);
	struct iommu_group *group;

	if (mdev->group)
		return iommu_group_ref_get(mdev->group);

	group = iommu_group_alloc();
	if (!IS_ERR(group))
		mdev->group = iommu_group_ref_get(group);
	return group;
}

static void mock_get_resv_regions(struct device *dev, struct list_head *head)
{
	struct iommu_resv_region *region;

	if (!to_mock_device(dev)->direct)
		return;
	region = iommu_alloc_resv_region(PAGE_SIZE, PAGE_SIZE,
					 IOMMU_READ | IOMMU_WRITE,
					 IOMMU_RESV_DIRECT, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, head);
}

static struct iommu_ops mock_iommu_ops = {
	.domain_alloc = mock_domain_alloc,
	.domain_alloc_paging = mock_domain_alloc_paging,
	.def_domain_type = mock_def_domain_type,
	.capable = mock_capable,
	.probe_device = mock_probe_device,
	.release_device = mock_release_device,
	.device_group = mock_device_group,
	.get_resv_regions = mock_get_resv_regions,
	.default_domain_ops = &mock_domain_ops,
	.pgsize_bitmap = PAGE_SIZE,
	.owner = THIS_MODULE,
};

/*
 * The mock bus. Around probe it does what the platform bus does, by calling it:
 * what the five buses call there is not exported to modules.
 */

static struct mock_driver *to_mock_driver(const struct device_driver *drv)
{
	return container_of(drv, struct mock_driver, pdrv.driver);
}

static int mock_bus_match(struct device *dev, const struct device_driver *drv)
{
	struct mock_device *mdev = to_mock_device(dev);
	bool match = READ_ONCE(mdev->match);

	atomic_inc(&mdev->matched);
	return match;
}

static int mock_bus_probe(struct device *dev)
{
	struct mock_driver *mdrv = to_mock_driver(dev->driver);

	mdrv->probes++;
	return mdrv->probe ? mdrv->probe(mdrv, to_mock_device(dev)) : 0;
}

static void mock_bus_remove(struct device *dev)
{
	struct mock_driver *mdrv = to_mock_driver(dev->driver);

	if (mdrv->remove)
		mdrv->remove(mdrv, to_mock_device(dev));
}

static int mock_bus_dma_configure(struct device *dev)
{
	return platform_bus_type.dma_configure(dev);
}

static void mock_bus_dma_cleanup(struct device *dev)
{
	platform_bus_type.dma_cleanup(dev);
}

static const struct bus_type mock_bus = {
	.name = "iommu_owner_mock",
	.match = mock_bus_match,
	.probe = mock_bus_probe,
	.remove = mock_bus_remove,
	.dma_configure = mock_bus_dma_configure,
	.dma_cleanup = mock_bus_dma_cleanup,
};

/* Complaints of the kernel: whatever it prints passes the tracepoint "console" */

static void see_console(void *data, const char *text, size_t len)
{
	const char *part = READ_ONCE(listen_for);

	if (part && strnstr(text, part, len))
		atomic_inc(&heard);
	if (strnstr(text, "WARNING: ", len) || strnstr(text, "BUG: ", len))
		atomic_inc(&complaints);
}

static void match_console(struct tracepoint *tp, void *priv)
{
	if (!strcmp(tp->name, "console"))
		console_tp = tp;
}

static void listen_to_console(void)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		return;
	for_each_kernel_tracepoint(match_console, NULL);
	if (console_tp &&
	    tracepoint_probe_register(console_tp, see_console, NULL))
		console_tp = NULL;
}

static void stop_listening(void)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS) || !console_tp)
		return;
	tracepoint_probe_unregister(console_tp, see_console, NULL);
	tracepoint_synchronize_unregister();
	console_tp = NULL;
}

/* Count what the kernel prints with @part in it, until the test ends. */
void mock_listen(struct kunit *test, const char *part)
{
	if (!console_tp)
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	atomic_set(&heard, 0);
	WRITE_ONCE(listen_for, part);
}

unsigned int mock_heard(void)
{
	return atomic_xchg(&heard, 0);
}

int mock_suite_init(struct kunit_suite *suite)
{
	int ret;

	ret = bus_register(&mock_bus);
	if (ret)
		return ret;

	/* No other IOMMU has this node: its ops are never taken for ours */
	mock_iommu.fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(mock_iommu.fwnode)) {
		ret = PTR_ERR(mock_iommu.fwnode);
		goto err_bus;
	}
	ret = iommu_device_sysfs_add(&mock_iommu, NULL, NULL,
				     "iommu_owner_mock");
	if (ret)
		goto err_fwnode;

	mock_iommu.max_pasids = MOCK_PASIDS;
	ret = iommu_device_register_bus(&mock_iommu, &mock_iommu_ops, &mock_bus,
					&mock_nb);
	if (ret)
		goto err_sysfs;
	listen_to_console();
	return 0;

err_sysfs:
	iommu_device_sysfs_remove(&mock_iommu);
err_fwnode:
	fwnode_remove_software_node(mock_iommu.fwnode);
err_bus:
	bus_unregister(&mock_bus);
	return ret;
}

void mock_suite_exit(struct kunit_suite *suite)
{
	stop_listening();
	iommu_device_unregister_bus(&mock_iommu, &mock_bus, &mock_nb);
	iommu_device_sysfs_remove(&mock_iommu);
	fwnode_remove_software_node(mock_iommu.fwnode);
	bus_unregister(&mock_bus);
}

/* Devices */

static void device_release(struct device *dev)
{
	kfree(to_mock_device(dev));
}

static void device_give_up(struct mock_device *mdev)
{
	mock_device_del(mdev);
	list_del(&mdev->list);
	if (mdev->group) {
		/* They have references: the next test expects rising numbers. */
		iommu_owner_flush_uevent(mdev->group);
		iommu_owner_flush_retry(mdev->group);
		iommu_group_put(mdev->group);
	}
	put_device(&mdev->dev);
}

/* A device that is not yet on the bus */
struct mock_device *mock_device_alloc(struct kunit *test,
				      struct iommu_group *group,
				      unsigned int pasid_bits)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", pasid_bits),
		{ }
	};
	struct mock *mock = test->priv;
	struct mock_device *mdev;

	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mdev);

	mdev->bus_bits = IOMMU_OWNER_ISO_TRANSLATED |
			 IOMMU_OWNER_ISO_ISOLATED_MSI | IOMMU_OWNER_ISO_ACS |
			 IOMMU_OWNER_ISO_ATS;
	mdev->dev.bus = &mock_bus;
	mdev->dev.release = device_release;
	device_initialize(&mdev->dev);
	if (group)
		mdev->group = iommu_group_ref_get(group);
	list_add_tail(&mdev->list, &mock->devices);

	KUNIT_ASSERT_EQ(test, 0,
			dev_set_name(&mdev->dev, "iommu_owner_mock%d",
				     atomic_inc_return(&serial)));
	if (pasid_bits)
		KUNIT_ASSERT_EQ(test, 0,
				device_create_managed_software_node(&mdev->dev,
								    properties,
								    NULL));
	return mdev;
}

int mock_device_add(struct mock_device *mdev)
{
	int ret;

	ret = iommu_device_add_mock(&mock_iommu, &mdev->dev);
	mdev->added = !ret;
	return ret;
}

/*
 * A failed probe of the IOMMU forgets which IOMMU the device has; firmware tables
 * name it again before a driver is probed.
 */
int mock_device_find_iommu(struct mock_device *mdev)
{
	return iommu_device_add_mock(&mock_iommu, &mdev->dev);
}

void mock_device_del(struct mock_device *mdev)
{
	if (mdev->added)
		device_del(&mdev->dev);
	mdev->added = false;
}

static struct mock_device *device_in_group(struct kunit *test,
					   struct iommu_group *group,
					   unsigned int pasid_bits)
{
	struct mock_device *mdev = mock_device_alloc(test, group, pasid_bits);

	KUNIT_ASSERT_EQ(test, 0, mock_device_add(mdev));
	KUNIT_ASSERT_PTR_EQ(test, mdev->dev.iommu_group, mdev->group);
	return mdev;
}

/* A device on the bus, in @group or in a group of its own */
struct mock_device *mock_device(struct kunit *test, struct iommu_group *group)
{
	return device_in_group(test, group, 0);
}

/*
 * From the first such device to the end of the test, the domain that blocks groups
 * is not allocated: the one that blocks PASIDs is used.
 */
struct mock_device *mock_pasid_device(struct kunit *test,
				      struct iommu_group *group)
{
	mock_iommu_ops.blocked_domain = &mock_blocked.domain;
	return device_in_group(test, group, ilog2(MOCK_PASIDS));
}

/* Devices are quiesced here in every test that mock_init() begins. */
static int mock_quiesce(struct device *dev, bool locked)
{
	struct mock_device *mdev = to_mock_device(dev);

	mdev->quiesced++;
	mdev->quiesce_locked = locked;
	if (mdev->on_quiesce)
		mdev->on_quiesce(mdev);
	if (!mdev->quiesce_errors)
		return 0;
	mdev->quiesce_errors--;
	return mdev->quiesce_error;
}

static unsigned long mock_address(struct device *dev)
{
	return to_mock_device(dev)->address ?: ULONG_MAX;
}

/* An address that no device has had. Past those of the PCI bus on 64 bits. */
void mock_give_address(struct mock_device *mdev)
{
	mdev->address = ULONG_MAX - atomic_inc_return(&serial);
}

/* The device at the address of one that was removed; it is not yet on the bus. */
struct mock_device *mock_device_again(struct kunit *test,
				      const struct mock_device *removed,
				      struct iommu_group *group)
{
	struct mock_device *mdev = mock_device_alloc(test, group, 0);

	mdev->address = removed->address;
	return mdev;
}

/* A quarantine ends when the test wants the group, unless it lets it retry. */
static void mock_queue_retry(struct iommu_group *group, unsigned long delay)
{
}

/* From now on a quarantine ends by itself, by the work of the core. */
void mock_let_retry(struct kunit *test)
{
	kunit_deactivate_static_stub(test, iommu_owner_queue_retry_in);
}

/* The mock bus has no interrupts, no ports and no ATS. */
static u32 mock_bus_bits(struct device *dev)
{
	struct mock_device *mdev = to_mock_device(dev);

	mdev->bits_asked++;
	return mdev->bus_bits;
}

/* The type of default domains from now on, or 0 for any, until the test ends */
void mock_default_type(unsigned int type)
{
	default_type = type;
}

/* Default domains of type DMA from now on, where there are any */
bool mock_translates(void)
{
	if (!IS_ENABLED(CONFIG_IOMMU_DMA))
		return false;
	mock_default_type(IOMMU_DOMAIN_DMA);
	return true;
}

/* Let the next @count attempts to quiesce @mdev fail. */
void mock_fail_quiesce(struct mock_device *mdev, int error, unsigned int count)
{
	mdev->quiesce_error = error;
	mdev->quiesce_errors = count;
}

/* Drivers */

/* A driver on the bus; drivers are tried in the order in which they come */
struct mock_driver *mock_driver(struct kunit *test, const char *name,
				bool managed_dma)
{
	struct mock *mock = test->priv;
	struct mock_driver *mdrv;

	mdrv = kunit_kzalloc(test, sizeof(*mdrv), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mdrv);
	mdrv->pdrv.driver.name = name;
	mdrv->pdrv.driver.bus = &mock_bus;
	mdrv->pdrv.driver.owner = THIS_MODULE;
	mdrv->pdrv.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	mdrv->pdrv.driver_managed_dma = managed_dma;
	KUNIT_ASSERT_EQ(test, 0, driver_register(&mdrv->pdrv.driver));
	list_add_tail(&mdrv->list, &mock->drivers);
	return mdrv;
}

static int attach_own_domain(struct mock_driver *mdrv,
			     struct mock_device *mdev)
{
	return iommu_attach_group(mdrv->data, mdev->group);
}

static void detach_own_domain(struct mock_driver *mdrv,
			      struct mock_device *mdev)
{
	iommu_detach_group(mdrv->data, mdev->group);
}

/* Bound to the group of @mdev, the driver attaches a domain of its own. */
void mock_attach_own_domain(struct kunit *test, struct mock_driver *mdrv,
			    struct mock_device *mdev)
{
	mdrv->probe = attach_own_domain;
	mdrv->remove = detach_own_domain;
	mdrv->data = mock_paging_domain(test, mdev);
}

int mock_bind(struct mock_driver *mdrv, struct mock_device *mdev)
{
	return device_driver_attach(&mdrv->pdrv.driver, &mdev->dev);
}

void mock_unbind(struct mock_device *mdev)
{
	device_release_driver(&mdev->dev);
}

bool mock_bound(struct mock_driver *mdrv, struct mock_device *mdev)
{
	return device_is_bound(&mdev->dev) && mdev->dev.driver == &mdrv->pdrv.driver;
}

/* The same for a driver that is probed later */
bool mock_becomes_bound(struct mock_driver *mdrv, struct mock_device *mdev)
{
	for (unsigned int i = 0; i < 500 && !mock_bound(mdrv, mdev); i++)
		msleep(20);
	return mock_bound(mdrv, mdev);
}

/* Owners */

struct mock_owner *mock_owner(struct kunit *test, const char *name)
{
	struct mock *mock = test->priv;
	struct mock_owner *mowner;

	mowner = kunit_kzalloc(test, sizeof(*mowner), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mowner);
	mowner->owner = iommu_owner_alloc(name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mowner->owner);
	iommu_owner_get(mowner->owner);
	list_add_tail(&mowner->list, &mock->owners);
	return mowner;
}

/* Is the reference that mock_exit() drops the only one left? */
bool mock_released(struct mock_owner *mowner)
{
	return refcount_read(&mowner->owner->ref) == 1;
}

/* Drop the reference of the test. */
void mock_owner_put(struct mock_owner *mowner)
{
	if (mowner->put)
		return;
	mowner->put = true;
	iommu_owner_put(mowner->owner);
}

/* Domains */

/* A paging domain that lives until the end of the test */
struct iommu_domain *mock_paging_domain(struct kunit *test,
					struct mock_device *mdev)
{
	struct mock *mock = test->priv;
	struct iommu_domain *domain;

	domain = iommu_paging_domain_alloc(&mdev->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	list_add_tail(&to_mock_domain(domain)->list, &mock->domains);
	return domain;
}

static char letter_of(struct mock_domain *mdomain)
{
	return mdomain ? mdomain->letter : MOCK_NOTHING;
}

/* What the device can reach now */
char mock_reach(struct mock_device *mdev)
{
	return letter_of(mdev->reach);
}

char mock_pasid_reach(struct mock_device *mdev, ioasid_t pasid)
{
	return letter_of(mdev->pasid[pasid]);
}

bool mock_reaches(struct mock_device *mdev, struct iommu_domain *domain)
{
	return mdev->reach == to_mock_domain(domain);
}

bool mock_pasid_reaches(struct mock_device *mdev, ioasid_t pasid,
			struct iommu_domain *domain)
{
	return mdev->pasid[pasid] == to_mock_domain(domain);
}

/*
 * What @mdev gets from where it does DMA to @iova: the page, and as what it was
 * mapped. -EFAULT: nothing is mapped there.
 */
int mock_dma(struct mock_device *mdev, dma_addr_t iova, phys_addr_t *phys,
	     int *prot)
{
	struct mock_domain *mdomain = mdev->reach;
	struct mock_page *page;

	page = mdomain ? xa_load(&mdomain->pages, iova / PAGE_SIZE) : NULL;
	if (!page)
		return -EFAULT;
	*phys = page->phys + offset_in_page(iova);
	*prot = page->prot;
	return 0;
}

/* Let the next @count attaches of a kind of domain to @mdev fail. */
void mock_fail_attach(struct mock_device *mdev, char letter, unsigned int count)
{
	mock_fail_attach_after(mdev, letter, 0, count);
}

/* The same, but @after of them work before. */
void mock_fail_attach_after(struct mock_device *mdev, char letter,
			    unsigned int after, unsigned int count)
{
	mdev->fail_letter = letter;
	mdev->fail_after = after;
	mdev->fail_count = count;
}

/* Let allocations of these kinds of domains fail, until the test ends. */
void mock_fail_alloc(const char *letters)
{
	fail_alloc_letters = letters;
}

unsigned int mock_live_domains(void)
{
	return atomic_read(&live_domains);
}

/* Threads */

static int thread_main(void *data)
{
	struct mock_thread *thread = data;

	current->kunit_test = thread->test;
	thread->fn(thread->arg);
	current->kunit_test = NULL;
	kthread_complete_and_exit(&thread->done, 0);
}

/* Each must be joined before the test ends. */
struct mock_thread *mock_thread(struct kunit *test, void (*fn)(void *arg),
				void *arg)
{
	struct mock_thread *thread;

	thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, thread);
	thread->test = test;
	thread->fn = fn;
	thread->arg = arg;
	init_completion(&thread->done);
	thread->task = kthread_run(thread_main, thread, "iommu_owner_mock");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread->task);
	return thread;
}

/* Has it come to its end, given some time to get there? */
bool mock_thread_done(struct mock_thread *thread)
{
	msleep(20);
	return completion_done(&thread->done);
}

void mock_thread_join(struct mock_thread *thread)
{
	wait_for_completion(&thread->done);
}

/*
 * Give the others a chance, now and then for long enough to fall asleep. By chance:
 * with a fixed rhythm tasks that all wake at the same tick keep step for ever.
 */
void mock_dawdle(void)
{
	if (get_random_u32_below(8))
		cond_resched();
	else
		usleep_range(20, 40);
}

/* Parameters */

static struct kernfs_node *walk(struct kernfs_node *from, const char *name)
{
	struct kernfs_node *to = kernfs_find_and_get(from, name);

	kernfs_put(from);
	return to;
}

static struct kernfs_node *group_file(struct kunit *test,
				      struct iommu_group *group,
				      const char *dir, const char *name)
{
	struct kernfs_node *node = group->kobj.sd;

	kernfs_get(node);
	if (dir)
		node = walk(node, dir);
	KUNIT_ASSERT_NOT_NULL_MSG(test, node, "%s", dir);
	node = walk(node, name);
	KUNIT_ASSERT_NOT_NULL_MSG(test, node, "%s", name);
	return node;
}

/* Read a file of @group, in @dir or directly, as sysfs would for a reader. */
ssize_t mock_read_attribute(struct kunit *test, struct iommu_group *group,
			    const char *dir, const char *name, umode_t *mode,
			    char *buf)
{
	struct kernfs_node *file = group_file(test, group, dir, name);
	ssize_t ret;

	*mode = file->mode & 0777;
	ret = group->kobj.ktype->sysfs_ops->show(&group->kobj, file->priv, buf);
	kernfs_put(file);
	return ret;
}

ssize_t mock_write_attribute(struct kunit *test, struct iommu_group *group,
			     const char *dir, const char *name,
			     const char *text)
{
	struct kernfs_node *file = group_file(test, group, dir, name);
	ssize_t ret;

	ret = group->kobj.ktype->sysfs_ops->store(&group->kobj, file->priv,
						  text, strlen(text));
	kernfs_put(file);
	return ret;
}

ssize_t mock_set_trust(struct kunit *test, struct mock_device *mdev,
		       const char *trust)
{
	return mock_write_attribute(test, mdev->group, "owner", "trust", trust);
}

/* Tracepoints */

struct tracer {
	const char *name;
	void *probe;
	void *data;
	struct tracepoint *tp;
};

static void match_tracepoint(struct tracepoint *tp, void *priv)
{
	struct tracer *tracer = priv;

	if (!strcmp(tp->name, tracer->name))
		tracer->tp = tp;
}

static void stop_tracing(void *priv)
{
	struct tracer *tracer = priv;

	tracepoint_probe_unregister(tracer->tp, tracer->probe, tracer->data);
	tracepoint_synchronize_unregister();
}

/*
 * Call @probe for each event, until the test ends. Found by name: the
 * tracepoints are not exported to modules.
 */
void mock_trace(struct kunit *test, const char *name, void *probe, void *data)
{
	struct tracer *tracer;

	tracer = kunit_kzalloc(test, sizeof(*tracer), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tracer);
	tracer->name = name;
	tracer->probe = probe;
	tracer->data = data;

	for_each_kernel_tracepoint(match_tracepoint, tracer);
	KUNIT_ASSERT_NOT_NULL_MSG(test, tracer->tp, "%s", name);
	KUNIT_ASSERT_EQ(test, 0,
			tracepoint_probe_register(tracer->tp, probe, data));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, stop_tracing, tracer));
}

/* Write to a file in /sys/module/iommu_owner/parameters. */
void mock_set_parameter(struct kunit *test, const char *name,
			const char *value)
{
	const char * const path[] = {
		"module", "iommu_owner", "parameters", name,
	};
	struct kernfs_node *node = mock_iommu.dev->kobj.sd;
	struct kobject *kobj;

	while (node->parent)
		node = node->parent;
	kernfs_get(node);
	for (unsigned int i = 0; i < ARRAY_SIZE(path); i++) {
		node = walk(node, path[i]);
		KUNIT_ASSERT_NOT_NULL_MSG(test, node, "%s", path[i]);
	}
	kobj = node->parent->priv;
	KUNIT_EXPECT_EQ(test, (ssize_t)strlen(value),
			kobj->ktype->sysfs_ops->store(kobj, node->priv, value,
						      strlen(value)));
	kernfs_put(node);
}

/* Reports */

static struct iommu_owner_info snapshot(struct iommu_group *group)
{
	struct iommu_owner_info info;

	iommu_owner_snapshot(group, &info);
	iommu_owner_snapshot_free(&info);
	return info;
}

enum iommu_owner_state mock_state(struct iommu_group *group)
{
	return snapshot(group).state;
}

bool mock_viable(struct iommu_group *group)
{
	return iommu_owner_group_viable(group, NULL);
}

unsigned int mock_claims(struct iommu_group *group)
{
	return snapshot(group).claims;
}

u64 mock_generation(struct iommu_group *group)
{
	return snapshot(group).generation;
}

const char *mock_quarantine(struct iommu_group *group)
{
	return snapshot(group).quarantine;
}

/* Can the mutex of @group be locked? Another task may have it for a moment. */
bool mock_group_is_locked(struct iommu_group *group)
{
	for (int i = 0; i < 500; i++) {
		if (mutex_trylock(&group->mutex)) {
			mutex_unlock(&group->mutex);
			return false;
		}
		msleep(20);
	}
	return true;
}

/* Before and after each test */

/* Once there was a warning, the taint flag does not show the next one. */
static bool kernel_tainted(void)
{
	return test_taint(TAINT_WARN) ||
	       (IS_ENABLED(CONFIG_LOCKDEP) && !debug_locks);
}

int mock_init(struct kunit *test)
{
	struct mock *mock;

	mock = kunit_kzalloc(test, sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return -ENOMEM;
	INIT_LIST_HEAD(&mock->devices);
	INIT_LIST_HEAD(&mock->drivers);
	INIT_LIST_HEAD(&mock->owners);
	INIT_LIST_HEAD(&mock->domains);
	mock->tainted = kernel_tainted();
	atomic_set(&complaints, 0);
	fail_alloc_letters = NULL;
	default_type = IOMMU_DOMAIN_IDENTITY;
	listen_for = NULL;
	test->priv = mock;
	kunit_activate_static_stub(test, iommu_owner_quiesce, mock_quiesce);
	kunit_activate_static_stub(test, iommu_owner_quiesce_address,
				   mock_address);
	kunit_activate_static_stub(test, iommu_owner_queue_retry_in,
				   mock_queue_retry);
	kunit_activate_static_stub(test, iommu_owner_bus_bits, mock_bus_bits);
	return 0;
}

/*
 * Remove all that the test has made, in whatever state it has left it, and see
 * that nothing has leaked and that nothing has warned.
 */
void mock_exit(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct mock_domain *mdomain, *next_domain;
	struct mock_device *mdev, *next_dev;
	struct mock_owner *mowner;
	struct mock_driver *mdrv;

	if (!mock)
		return;

	list_for_each_entry(mdrv, &mock->drivers, list)
		driver_unregister(&mdrv->pdrv.driver);
	list_for_each_entry(mowner, &mock->owners, list)
		mock_owner_put(mowner);
	list_for_each_entry_safe(mdev, next_dev, &mock->devices, list)
		device_give_up(mdev);
	list_for_each_entry_safe(mdomain, next_domain, &mock->domains, list) {
		list_del(&mdomain->list);
		iommu_domain_free(&mdomain->domain);
	}
	list_for_each_entry(mowner, &mock->owners, list) {
		KUNIT_EXPECT_TRUE(test, mock_released(mowner));
		KUNIT_EXPECT_EQ(test, 0, mowner->owner->nr_pasids);
		iommu_owner_put(mowner->owner);
	}
	KUNIT_EXPECT_EQ(test, 0, atomic_xchg(&live_domains, 0));
	KUNIT_EXPECT_EQ(test, 0, atomic_xchg(&freed_in_use, 0));
	KUNIT_EXPECT_EQ(test, 0, atomic_xchg(&wrong_old, 0));
	KUNIT_EXPECT_EQ(test, 0, atomic_xchg(&mock_blocked.users, 0));
	mock_iommu_ops.blocked_domain = NULL;
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&complaints));
	if (!mock->tainted)
		KUNIT_EXPECT_FALSE(test, kernel_tainted());
}

MODULE_IMPORT_NS(IOMMUFD_INTERNAL);
MODULE_DESCRIPTION("KUnit tests for the ownership of IOMMU groups");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_LICENSE("GPL");
