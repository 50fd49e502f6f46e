// SPDX-License-Identifier: GPL-2.0
/*
 * What lockdown leaves of the ways in which root can let a device do DMA
 *
 * The machine is a column of a table, and its name is in IOMMU_OWNER_COLUMN: what
 * isolates the devices differs between columns. The levels of lockdown follow
 * each other, since they cannot be lowered again. For a machine without an IOMMU,
 * see noiommu_test.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/nvme_ioctl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "owner_call.h"
#include "owner_test.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define NOIOMMU		"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define TYPE1_UNSAFE \
	"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define IOMMUFD_UNSAFE	"/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define NVME		"/dev/nvme0"
#define IOVA		0x10000000ULL

/*
 * One machine: what the group of the edu device is missing when it has no owner; whether
 * that is the isolation of interrupts, which can be waived; and what VFIO with the
 * device returns at each level. With @lease it is the isolation lease that refuses.
 */
static const struct column {
	const char *name;
	const char *missing;
	int vfio[LOCKDOWN_LEVELS];
	bool unsafe;
	bool port;
	bool lease;
} columns[] = {
	{ "base", "", { 0, 0, 0 } },
	{ "pt", "translated", { 0, 0, 0 } },
	{ "snoop-off", "snoop", { 0, 0, 0 } },
	{ "lazy", "strict", { 0, 0, 0 } },
	{ "no-acs", "acs", { 0, -EPERM, -EPERM }, .port = true, .lease = true },
	{ "no-intremap", "isolated-msi", { -EPERM, -EPERM, -EPERM },
	  .unsafe = true },
	{ "nosid", "isolated-msi", { -EPERM, -EPERM, -EPERM },
	  .unsafe = true },
	{ "amd", "", { 0, 0, 0 } },
	{ "virtio", "isolated-msi snoop", { -EPERM, -EPERM, -EPERM },
	  .unsafe = true },
};

static const struct column *find_column(void)
{
	const char *name = getenv("IOMMU_OWNER_COLUMN");

	for (unsigned int i = 0; name && i < ARRAY_SIZE(columns); i++)
		if (!strcmp(columns[i].name, name))
			return &columns[i];
	return NULL;
}

FIXTURE(lockdown) {
	const struct column *column;
	struct pdev edu;
	struct vfio vfio;
	unsigned char *data;
	unsigned char *target;
	unsigned char *canary;
	__u64 physical;
	__u64 size;
	void *bar;
};

FIXTURE_VARIANT(lockdown) {
	enum lockdown level;
};

FIXTURE_VARIANT_ADD(lockdown, none) { .level = NONE };
FIXTURE_VARIANT_ADD(lockdown, integrity) { .level = INTEGRITY };
FIXTURE_VARIANT_ADD(lockdown, confidentiality) { .level = CONFIDENTIALITY };

FIXTURE_SETUP(lockdown)
{
	const struct column *column = find_column();

	if (!column)
		SKIP(return, NO_COLUMN);
	if (lockdown_level() < 0)
		SKIP(return, NO_LOCKDOWN);
	if (lockdown_level() > (int)variant->level)
		SKIP(return, NOT_LOWER);
	ASSERT_EQ(0, lockdown_raise(variant->level));

	load_modules();
	self->column = column;
	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
	ASSERT_TRUE(column->port ? find_edu_below_port(&self->edu) :
		    find_edu(&self->edu));
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(PATTERN);
	self->target = page_alloc(CANARY);
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->target);
	ASSERT_NE(NULL, self->canary);
	self->physical = page_physical(self->canary);
	ASSERT_NE(0, self->physical)
		TH_LOG("no physical address in /proc/self/pagemap");
}

FIXTURE_TEARDOWN(lockdown)
{
	edu_close(self->bar);
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
}

static int put_unsafe(const char *value)
{
	int ret = put(value, TYPE1_UNSAFE);

	return ret ? ret : put(value, IOMMUFD_UNSAFE);
}

TEST_F(lockdown, noiommu_parameter)
{
	EXPECT_EQ(variant->level > NONE ? -EPERM : 0, put("Y", NOIOMMU));
	EXPECT_EQ(-EINVAL, put("maybe", NOIOMMU));
	/* What is safe is not refused */
	EXPECT_EQ(0, put("N", NOIOMMU));
}

TEST_F(lockdown, unsafe_interrupts_parameters)
{
	static const char *const names[] = { TYPE1_UNSAFE, IOMMUFD_UNSAFE };
	int refused = variant->level > NONE ? -EPERM : 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(refused, put("Y", "%s", names[i]))
			TH_LOG("%s", names[i]);
		EXPECT_EQ(-EINVAL, put("maybe", "%s", names[i]));
		/* The levels above must find it on, and could not switch it on */
		if (variant->level == NONE) {
			EXPECT_EQ(0, put("N", "%s", names[i]));
			EXPECT_EQ(0, put("Y", "%s", names[i]));
		}
	}
}

/*
 * Switched on before lockdown, the parameters have no effect on a device that
 * needs them, and do not block one that does not.
 */
TEST_F(lockdown, unsafe_interrupts_use)
{
	const struct column *column = self->column;
	int expected = column->vfio[variant->level];
	char buf[8];

	if (variant->level == NONE) {
		ASSERT_EQ(0, put_unsafe("Y"));
		expected = 0;
	}
	if (column->lease && variant->level > NONE &&
	    !exists(GROUPS "/%d/owner/isolation", self->edu.group))
		SKIP(return, "no isolation leases");
	ASSERT_EQ(0, get(buf, sizeof(buf), TYPE1_UNSAFE));
	EXPECT_EQ('Y', buf[0]);
	ASSERT_EQ(0, get(buf, sizeof(buf), IOMMUFD_UNSAFE));
	EXPECT_EQ('Y', buf[0]);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	for (enum vfio_path path = PATH_CONTAINER; path <= PATH_CDEV; path++) {
		EXPECT_EQ(expected, vfio_start(&self->vfio, path, &self->edu))
			TH_LOG("path %d", path);
		vfio_close(&self->vfio);
	}
}

/* Map both pages, let the device write to one of them, and past them */
static void dma_stays_inside(struct __test_metadata *_metadata,
			     FIXTURE_DATA(lockdown) * self)
{
	struct vfio *vfio = &self->vfio;

	self->bar = edu_open_vfio(vfio);
	ASSERT_NE(NULL, self->bar);
	memset(self->target, CANARY, self->size);
	ASSERT_EQ(0, vfio_map(vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, vfio_map(vfio, self->target, IOVA + self->size,
			      self->size));
	ASSERT_EQ(0, edu_read_ram(self->bar, IOVA));
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, PATTERN));
	ASSERT_EQ(0, edu_write_ram(self->bar, self->physical));
	EXPECT_TRUE(page_is(self->canary, CANARY));
	edu_close(self->bar);
	self->bar = NULL;
}

/* An isolated device works at each level, and one that is not is refused */
TEST_F(lockdown, vfio)
{
	const struct column *column = self->column;
	int ret, expected = column->vfio[variant->level];

	if (column->lease && variant->level > NONE &&
	    !exists(GROUPS "/%d/owner/isolation", self->edu.group))
		SKIP(return, "no isolation leases");
	ASSERT_EQ(0, variant->level == NONE ? put_unsafe("N") : 0);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	for (enum vfio_path path = PATH_CONTAINER; path <= PATH_CDEV; path++) {
		ret = vfio_start(&self->vfio, path, &self->edu);
		EXPECT_EQ(expected, ret)
			TH_LOG("path %d", path);
		if (!ret)
			dma_stays_inside(_metadata, self);
		vfio_close(&self->vfio);
	}
	/* As the levels above expect it */
	ASSERT_EQ(0, variant->level == NONE ? put_unsafe("Y") : 0);
}

/* A register of the config space; ~0 if it cannot be read */
static __u32 config_of(const struct pdev *pdev, unsigned int offset)
{
	__u32 value;

	return dev_config(pdev, offset, &value) ? value : ~0;
}

/* Offset of the ATS capability, or 0 */
static unsigned int find_ats(const struct pdev *pdev)
{
	unsigned int at = PCI_CFG_SPACE_SIZE;
	__u32 header;

	while (at >= PCI_CFG_SPACE_SIZE) {
		header = config_of(pdev, at);
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ATS)
			return at;
		at = header == ~0u ? 0 : PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

static bool ats_is_on(const struct pdev *pdev, unsigned int ats)
{
	return config_of(pdev, ats + PCI_ATS_CAP) >> 16 & PCI_ATS_CTRL_ENABLE;
}

/* What a device translates itself passes the IOMMU. */
TEST_F(lockdown, ats)
{
	unsigned int ats = 0;
	struct pdev rng;

	if (find_device("0x1af4", "0x1044", &rng))
		ats = find_ats(&rng);
	if (!ats)
		SKIP(return, "no device with ATS");
	ASSERT_EQ(0, driver_bind(&rng, USER_DRIVER));
	for (enum vfio_path path = PATH_CONTAINER; path <= PATH_CDEV; path++) {
		EXPECT_EQ(0, vfio_start(&self->vfio, path, &rng))
			TH_LOG("path %d", path);
		EXPECT_EQ(variant->level == NONE, ats_is_on(&rng, ats))
			TH_LOG("path %d", path);
		vfio_close(&self->vfio);
	}
	driver_clear(&rng);
}

/* Two drivers in one group: at no level a claim beside one that does DMA */
TEST_F(lockdown, vfio_beside_a_driver)
{
	int alone = self->column->unsafe && variant->level > NONE ? -EPERM : 0;
	struct pdev edu, nic;

	ASSERT_TRUE(find_shared(&edu, &nic));
	ASSERT_EQ(0, driver_bind(&edu, USER_DRIVER));
	ASSERT_EQ(0, driver_bind(&nic, NIC_DRIVER));
	for (enum vfio_path path = PATH_CONTAINER; path <= PATH_CDEV; path++) {
		EXPECT_EQ(-EPERM, vfio_start(&self->vfio, path, &edu))
			TH_LOG("path %d", path);
		vfio_close(&self->vfio);
	}
	driver_clear(&nic);
	for (enum vfio_path path = PATH_CONTAINER; path <= PATH_CDEV; path++) {
		EXPECT_EQ(alone, vfio_start(&self->vfio, path, &edu))
			TH_LOG("path %d without the driver", path);
		vfio_close(&self->vfio);
	}
	driver_clear(&edu);
}

#define LATE_DEVICE \
	"'driver':'virtio-rng-pci','id':'late0','bus':'bridge0','addr':'3.0'," \
	"'iommu_platform':false"

static bool appears(struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!exists(PCI "/devices/%s", pdev->bdf)) {
		if (now_ms() > end)
			return false;
		nap(20);
	}
	/* Waits for a hot-plug that goes on */
	if (put("1", PCI "/rescan"))
		return false;
	pdev->group = dev_group(pdev->bdf);
	return true;
}

/* What joins the group and passes the IOMMU gets no user: it has joined blocked */
TEST_F(lockdown, late_device)
{
	int alone = self->column->unsafe && variant->level > NONE ? -EPERM : 0;
	struct pdev edu, nic, late;
	int device;

	if (!monitor_there())
		SKIP(return, NO_MONITOR);
	if (!find_shared(&edu, &nic) || !dev_is_below(edu.bdf, PCI_BRIDGE))
		SKIP(return, "no group behind the bridge");
	driver_clear(&nic);
	ASSERT_EQ(0, driver_bind(&edu, USER_DRIVER));
	ASSERT_EQ(alone, vfio_start(&self->vfio, PATH_CONTAINER, &edu));
	if (alone) {
		driver_clear(&edu);
		return;
	}
	snprintf(late.bdf, sizeof(late.bdf), "%.8s03.0", edu.bdf);
	ASSERT_EQ(0, monitor_ask("device_add", LATE_DEVICE));
	ASSERT_TRUE(appears(&late));
	EXPECT_EQ(edu.group, late.group);
	EXPECT_EQ(0, driver_bind(&late, USER_DRIVER));
	device = call(self->vfio.group, VFIO_GROUP_GET_DEVICE_FD, late.bdf);
	EXPECT_EQ(variant->level > NONE ? -EBUSY : 0, device < 0 ? device : 0);
	if (device >= 0)
		close(device);
	vfio_close(&self->vfio);
	driver_clear(&late);
	driver_clear(&edu);
	EXPECT_EQ(0, monitor_ask("device_del", "'id':'late0'"));
	EXPECT_TRUE(monitor_gone("late0"));
}

/* The bits that a group is missing; SKIP if the kernel has no report */
static int missing_bits(int group, char *buf, size_t size)
{
	char *line;
	int ret = get(buf, size, GROUPS "/%d/owner/isolation", group);

	if (ret)
		return ret;
	line = strstr(buf, "missing:");
	if (!line)
		return -EINVAL;
	line += strlen("missing:");
	line[strcspn(line, "\n")] = '\0';
	memmove(buf, line + strspn(line, " "), strlen(line) + 1 -
		strspn(line, " "));
	return 0;
}

TEST_F(lockdown, report)
{
	struct pdev edu, nic;
	char buf[1024];
	int ret;

	ret = missing_bits(self->edu.group, buf, sizeof(buf));
	if (ret == -ENOENT)
		SKIP(return, "no isolation report");
	ASSERT_EQ(0, ret);
	EXPECT_STREQ(self->column->missing, buf);

	/* The group of two: one that has a driver is missing one bit more */
	ASSERT_TRUE(find_shared(&edu, &nic));
	ASSERT_EQ(0, driver_bind(&nic, NIC_DRIVER));
	ASSERT_EQ(0, missing_bits(nic.group, buf, sizeof(buf)));
	EXPECT_NE(NULL, strstr(buf, "no-sibling"));
	driver_clear(&nic);
	ASSERT_EQ(0, missing_bits(nic.group, buf, sizeof(buf)));
	EXPECT_EQ(NULL, strstr(buf, "no-sibling"));
}

TEST_F(lockdown, uio_maps_a_bar)
{
	void *bar;
	int fd;

	if (load_module(UIO_MODULE))
		SKIP(return, "no " UIO_MODULE);
	ASSERT_EQ(0, driver_bind(&self->edu, UIO_DRIVER));
	fd = uio_open(&self->edu);
	ASSERT_LE(0, fd);
	bar = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (variant->level > NONE) {
		EXPECT_EQ(MAP_FAILED, bar);
		EXPECT_EQ(EPERM, errno);
	} else {
		ASSERT_NE(MAP_FAILED, bar);
		EXPECT_TRUE(edu_answers(bar));
	}
	if (bar != MAP_FAILED)
		munmap(bar, self->size);
	close(fd);
}

/* The status of the controller, or a negative errno */
static int nvme_admin(int fd, __u8 opcode, __u32 cdw10)
{
	struct nvme_admin_cmd cmd = { .opcode = opcode, .cdw10 = cdw10 };
	int ret = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);

	return ret < 0 ? -errno : ret;
}

/* A queue in memory of the user has addresses that nobody checks */
TEST_F(lockdown, nvme_queues)
{
	enum { CREATE_SQ = 0x01, CREATE_CQ = 0x05, DOORBELLS = 0x7c };
	/* No controller has this one */
	const __u32 queue = 0xffff;
	int fd = open(NVME, O_RDWR);

	if (fd < 0)
		SKIP(return, "no " NVME);
	if (variant->level > NONE) {
		EXPECT_EQ(-EACCES, nvme_admin(fd, CREATE_SQ, queue));
		EXPECT_EQ(-EACCES, nvme_admin(fd, CREATE_CQ, queue));
		EXPECT_EQ(-EACCES, nvme_admin(fd, DOORBELLS, 0));
	} else {
		/* It is the controller that refuses */
		EXPECT_LT(0, nvme_admin(fd, CREATE_SQ, queue));
		EXPECT_LT(0, nvme_admin(fd, CREATE_CQ, queue));
	}
	close(fd);
}

/* Write to a register what it has */
static int rewrite_config(const char *path)
{
	unsigned char line = 0;
	int fd, ret = 0;

	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	if (pread(fd, &line, 1, PCI_INTERRUPT_LINE) != 1 ||
	    pwrite(fd, &line, 1, PCI_INTERRUPT_LINE) != 1)
		ret = -errno;
	close(fd);
	return ret;
}

/* The host's own raw paths stay shut, be the device isolated or not */
TEST_F(lockdown, raw_access)
{
	int refused = variant->level > NONE ? -EPERM : 0;
	unsigned int bus, slot, function;
	char path[128];
	int n;

	snprintf(path, sizeof(path), PCI "/devices/%s/config", self->edu.bdf);
	EXPECT_EQ(refused, rewrite_config(path));
	n = sscanf(self->edu.bdf, "%*x:%x:%x.%x", &bus, &slot, &function);
	ASSERT_EQ(3, n);
	snprintf(path, sizeof(path), "/proc/bus/pci/%02x/%02x.%x", bus, slot,
		 function);
	EXPECT_EQ(refused, rewrite_config(path));
	self->bar = edu_open_sysfs(&self->edu);
	EXPECT_EQ(variant->level > NONE, !self->bar);
}

TEST_HARNESS_MAIN
