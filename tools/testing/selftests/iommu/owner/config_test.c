// SPDX-License-Identifier: GPL-2.0
/*
 * What a write to the config region of VFIO does to the real config space
 *
 * One test for each class of registers: everything is written through VFIO, and
 * compared with what the host reads. No write may move a real BAR, or enable what
 * is not the device's own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "owner_test.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define TARGETS		ARRAY_SIZE(ids)
#define SPACE_SIZE	4096
#define CXL_VENDOR	0x1e98
#define CXL_CTRL	0x0c
#define CXL_CACHE_ENABLE	0x1

/* What the tests take: of each the one that is plugged in last */
static const struct {
	const char *vendor;
	const char *device;
} ids[] = {
	{ "0x1234", "0x11e8" },		/* edu: not PCIe, MSI */
	{ "0x8086", "0x10d3" },		/* e1000e: ROM, PM, MSI, MSI-X, link */
	{ "0x1b36", "0x0010" },		/* nvme: no link, SR-IOV, ARI */
	{ "0x1af4", "0x1044" },		/* virtio-rng: vendor, ATS, AER, FLR */
	{ "0x8086", "0x0d93" },		/* cxl-type3: DVSEC, DOE */
};

struct target {
	struct pdev pdev;
	struct vfio vfio;
	off_t region;
	int real;
	unsigned int size;
	unsigned char before[SPACE_SIZE];
	char resources[2048];
};

FIXTURE(config) {
	struct target targets[TARGETS];
	unsigned int count;
};

static int target_open(struct target *t, const char *bdf)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	char path[PATH_MAX];
	int ret;

	snprintf(t->pdev.bdf, sizeof(t->pdev.bdf), "%.15s", bdf);
	t->pdev.group = dev_group(bdf);
	t->real = -1;
	ret = driver_bind(&t->pdev, USER_DRIVER);
	if (!ret)
		ret = vfio_start(&t->vfio, PATH_CONTAINER, &t->pdev);
	if (ret)
		return ret;
	if (ioctl(t->vfio.device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -errno;
	t->region = info.offset;
	snprintf(path, sizeof(path), PCI "/devices/%s/config", bdf);
	t->real = open(path, O_RDONLY);
	if (t->real < 0)
		return -errno;
	ret = pread(t->real, t->before, sizeof(t->before), 0);
	if (ret < 0)
		return -errno;
	t->size = ret;
	return get(t->resources, sizeof(t->resources),
		   PCI "/devices/%s/resource", bdf);
}

/* The machine of the column has a device for each test; another may not */
static bool has_all(void)
{
	const char *name = getenv("IOMMU_OWNER_COLUMN");

	return name && !strcmp(name, "config");
}

FIXTURE_SETUP(config)
{
	struct pdev edu, pdev;
	int ret;

	load_modules();
	if (!find_edu(&edu))
		SKIP(return, NO_EDU);
	for (unsigned int i = 0; i < TARGETS; i++) {
		if (!find_device_last(ids[i].vendor, ids[i].device, &pdev))
			continue;
		/* That of the shared group has a card for a neighbour */
		if (i == 0)
			pdev = edu;
		ret = target_open(&self->targets[self->count++], pdev.bdf);
		ASSERT_EQ(0, ret)
			TH_LOG("%s", pdev.bdf);
	}
	ASSERT_LT(0, self->count);
}

FIXTURE_TEARDOWN(config)
{
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		vfio_close(&t->vfio);
		if (t->real >= 0)
			close(t->real);
		driver_clear(&t->pdev);
	}
	gate_set("enforce");
}

/* Registers are little-endian, as the machine that this runs on */
static __u32 real_get(struct target *t, unsigned int pos, unsigned int len)
{
	__u32 value = 0;

	if (pread(t->real, &value, len, pos) != (ssize_t)len)
		ksft_print_msg("%s: cannot read %#x\n", t->pdev.bdf, pos);
	return value;
}

static __u32 user_get(struct target *t, unsigned int pos, unsigned int len)
{
	__u32 value = 0;

	if (pread(t->vfio.device, &value, len, t->region + pos) != (ssize_t)len)
		ksft_print_msg("%s: cannot read %#x of VFIO\n", t->pdev.bdf,
			       pos);
	return value;
}

static int user_put(struct target *t, unsigned int pos, unsigned int len,
		    __u32 value)
{
	ssize_t ret = pwrite(t->vfio.device, &value, len, t->region + pos);

	return ret == (ssize_t)len ? 0 : -errno;
}

static __u32 before(struct target *t, unsigned int pos, unsigned int len)
{
	__u32 value = 0;

	memcpy(&value, t->before + pos, len);
	return value;
}

/* The host sees in [@from, @to) what it saw before the test */
static void expect_same(struct __test_metadata *_metadata, struct target *t,
			unsigned int from, unsigned int to)
{
	for (unsigned int pos = from; pos < to; pos++) {
		EXPECT_EQ(t->before[pos], real_get(t, pos, 1))
			TH_LOG("%s: register %#x", t->pdev.bdf, pos);
	}
}

/* Where the device decodes is where it was */
static void expect_in_place(struct __test_metadata *_metadata, struct target *t)
{
	char now[sizeof(t->resources)];

	expect_same(_metadata, t, PCI_BASE_ADDRESS_0, PCI_CARDBUS_CIS);
	expect_same(_metadata, t, PCI_ROM_ADDRESS, PCI_ROM_ADDRESS + 4);
	ASSERT_EQ(0, get(now, sizeof(now), PCI "/devices/%s/resource",
			 t->pdev.bdf));
	EXPECT_STREQ(t->resources, now);
}

static void fill(struct target *t, unsigned int from, unsigned int to,
		 unsigned int step, __u32 value)
{
	for (unsigned int pos = from; pos + step <= to; pos += step)
		user_put(t, pos, step, value);
}

/* No write of any size changes anything in [@from, @to) */
static void expect_read_only(struct __test_metadata *_metadata,
			     struct target *t, unsigned int from,
			     unsigned int to)
{
	for (unsigned int step = 1; step <= 4; step *= 2) {
		fill(t, from, to, step, ~0U);
		expect_same(_metadata, t, from, to);
		fill(t, from, to, step, 0);
		expect_same(_metadata, t, from, to);
	}
	expect_in_place(_metadata, t);
}

/* Both lists of capabilities, as @get reads them; 0 if there is none */
typedef __u32 (*getter)(struct target *t, unsigned int pos, unsigned int len);

static unsigned int find_cap(struct target *t, getter get_reg, unsigned int id)
{
	unsigned int pos, loops = 48;

	if (!(get_reg(t, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (pos = get_reg(t, PCI_CAPABILITY_LIST, 1) & ~3U; pos && loops--;
	     pos = get_reg(t, pos + PCI_CAP_LIST_NEXT, 1) & ~3U)
		if (get_reg(t, pos, 1) == id)
			return pos;
	return 0;
}

static unsigned int find_ext_cap(struct target *t, getter get_reg,
				 unsigned int id)
{
	unsigned int pos, loops = 480;
	__u32 header;

	if (t->size <= PCI_CFG_SPACE_SIZE)
		return 0;
	for (pos = PCI_CFG_SPACE_SIZE; pos && loops--;
	     pos = PCI_EXT_CAP_NEXT(header)) {
		header = get_reg(t, pos, 4);
		if (header && PCI_EXT_CAP_ID(header) == id)
			return pos;
	}
	return 0;
}

TEST_F(config, command)
{
	/* INTx is masked for the user when it asks for it */
	const __u32 own = PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
			  PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			  PCI_COMMAND_SERR | PCI_COMMAND_INVALIDATE |
			  PCI_COMMAND_FAST_BACK | PCI_COMMAND_INTX_DISABLE;
	struct target *t;
	__u32 was;

	for (t = self->targets; t < self->targets + self->count; t++) {
		was = before(t, PCI_COMMAND, 2);
		for (unsigned int len = 1; len <= 4; len *= 2) {
			ASSERT_EQ(0, user_put(t, PCI_COMMAND, len, ~0U));
			EXPECT_EQ(was & ~own,
				  real_get(t, PCI_COMMAND, 2) & ~own)
				TH_LOG("%s", t->pdev.bdf);
			expect_in_place(_metadata, t);
			ASSERT_EQ(0, user_put(t, PCI_COMMAND, len, 0));
			EXPECT_EQ(0, real_get(t, PCI_COMMAND, 2) &
				     (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
			expect_in_place(_metadata, t);
		}
	}
}

TEST_F(config, bars)
{
	static const __u32 values[] = { ~0U, 0, 0x00100000, 0xfee00000 };
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(values); i++)
			for (unsigned int step = 1; step <= 4; step *= 2) {
				fill(t, PCI_BASE_ADDRESS_0, PCI_CARDBUS_CIS,
				     step, values[i]);
				expect_in_place(_metadata, t);
				/* Not when it begins to decode either */
				user_put(t, PCI_COMMAND, 2, 0);
				user_put(t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY |
							    PCI_COMMAND_IO);
				expect_in_place(_metadata, t);
			}
	}
}

/* A write that begins before the BARs and ends behind them */
TEST_F(config, whole_header)
{
	unsigned char header[PCI_STD_HEADER_SIZEOF];
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		for (int fill = 0; fill <= 0xff; fill += 0xff) {
			memset(header, fill, sizeof(header));
			for (unsigned int pos = 0; pos < 8; pos++) {
				ASSERT_EQ(sizeof(header) - pos,
					  pwrite(t->vfio.device, header,
						 sizeof(header) - pos,
						 t->region + pos));
				expect_in_place(_metadata, t);
			}
		}
		expect_same(_metadata, t, PCI_VENDOR_ID, PCI_COMMAND);
		expect_same(_metadata, t, PCI_CLASS_REVISION,
			    PCI_CACHE_LINE_SIZE);
		expect_same(_metadata, t, PCI_CARDBUS_CIS, 64);
	}
}

TEST_F(config, rom)
{
	unsigned int roms = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		/* Where it is, enabled */
		user_put(t, PCI_ROM_ADDRESS, 4,
			 before(t, PCI_ROM_ADDRESS, 4) | PCI_ROM_ADDRESS_ENABLE);
		expect_in_place(_metadata, t);
		EXPECT_EQ(0, real_get(t, PCI_ROM_ADDRESS, 4) &
			     PCI_ROM_ADDRESS_ENABLE);
		expect_read_only(_metadata, t, PCI_ROM_ADDRESS,
				 PCI_ROM_ADDRESS + 4);
		roms += !!(before(t, PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_MASK);
	}
	EXPECT_LT(0, roms)
		TH_LOG("no device with a ROM");
}

TEST_F(config, interrupt_line_and_pin)
{
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		expect_read_only(_metadata, t, PCI_INTERRUPT_LINE,
				 PCI_MAX_LAT + 1);
		/* The line is a note of the user, the pin a fact */
		ASSERT_EQ(0, user_put(t, PCI_INTERRUPT_LINE, 2, 0x5a5a));
		EXPECT_EQ(0x5a, user_get(t, PCI_INTERRUPT_LINE, 1));
		EXPECT_NE(0x5a, user_get(t, PCI_INTERRUPT_PIN, 1));
	}
}

TEST_F(config, power)
{
	unsigned int pos, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_PM);
		if (!pos)
			continue;
		found++;
		expect_read_only(_metadata, t, pos, pos + PCI_PM_CTRL);
		/* No wake-up that the host would have to handle */
		ASSERT_EQ(0, user_put(t, pos + PCI_PM_CTRL, 2,
				      PCI_PM_CTRL_PME_ENABLE));
		EXPECT_EQ(0, real_get(t, pos + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_PME_ENABLE);
		ASSERT_EQ(0, user_put(t, pos + PCI_PM_CTRL, 2, 3));
		EXPECT_EQ(3, real_get(t, pos + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
		ASSERT_EQ(0, user_put(t, pos + PCI_PM_CTRL, 2, 0));
		EXPECT_EQ(0, real_get(t, pos + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
		user_put(t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		expect_in_place(_metadata, t);
	}
	EXPECT_LT(0, found);
}

/* Address and data of an interrupt are the kernel's, and so is the switch */
TEST_F(config, msi)
{
	unsigned int pos, end, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_MSI);
		if (!pos)
			continue;
		found++;
		end = before(t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT ?
		      PCI_MSI_DATA_64 + 2 : PCI_MSI_DATA_32 + 2;
		for (unsigned int step = 1; step <= 4; step *= 2) {
			fill(t, pos, pos + end, step, ~0U);
			EXPECT_EQ(before(t, pos + PCI_MSI_FLAGS, 2) &
				  ~PCI_MSI_FLAGS_QSIZE,
				  real_get(t, pos + PCI_MSI_FLAGS, 2) &
				  ~PCI_MSI_FLAGS_QSIZE)
				TH_LOG("%s", t->pdev.bdf);
			expect_same(_metadata, t, pos, pos + PCI_MSI_FLAGS);
			expect_same(_metadata, t, pos + PCI_MSI_ADDRESS_LO,
				    pos + end);
			expect_in_place(_metadata, t);
		}
	}
	EXPECT_LT(0, found);
}

TEST_F(config, msix)
{
	unsigned int pos, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_MSIX);
		if (!pos)
			continue;
		found++;
		expect_read_only(_metadata, t, pos, pos + PCI_CAP_MSIX_SIZEOF);
	}
	EXPECT_LT(0, found);
}

/* What the link, the port above and other functions depend on */
TEST_F(config, express)
{
	const __u32 shared = PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_PAYLOAD;
	unsigned int pos, flags, found = 0, links = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_EXP);
		if (!pos)
			continue;
		found++;
		for (int ones = 0; ones < 2; ones++) {
			/* All but the reset, which has a test of its own */
			ASSERT_EQ(0, user_put(t, pos + PCI_EXP_DEVCTL, 2,
					      ones ? 0x7fff : 0));
			EXPECT_EQ(before(t, pos + PCI_EXP_DEVCTL, 2) & shared,
				  real_get(t, pos + PCI_EXP_DEVCTL, 2) & shared)
				TH_LOG("%s", t->pdev.bdf);
			if ((before(t, pos + PCI_EXP_FLAGS, 2) &
			     PCI_EXP_FLAGS_VERS) < 2)
				continue;
			ASSERT_EQ(0, user_put(t, pos + PCI_EXP_DEVCTL2, 2,
					      ones ? 0xffff : 0));
			EXPECT_EQ(before(t, pos + PCI_EXP_DEVCTL2, 2) &
				  PCI_EXP_DEVCTL2_ARI,
				  real_get(t, pos + PCI_EXP_DEVCTL2, 2) &
				  PCI_EXP_DEVCTL2_ARI);
		}
		expect_read_only(_metadata, t, pos, pos + PCI_EXP_DEVCTL);
		flags = before(t, pos + PCI_EXP_FLAGS, 2);
		if ((flags & PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_RC_END)
			continue;
		links++;
		expect_read_only(_metadata, t, pos + PCI_EXP_LNKCAP,
				 pos + PCI_EXP_SLTCAP);
		if ((flags & PCI_EXP_FLAGS_VERS) > 1)
			expect_read_only(_metadata, t, pos + PCI_EXP_LNKCAP2,
					 pos + PCI_EXP_SLTCAP2);
	}
	if (!found && !has_all())
		SKIP(return, "no PCIe device");
	EXPECT_LT(0, found);
	EXPECT_TRUE(links || !has_all());
}

/* A reset puts the BARs of the hardware to zero; the host puts them back */
TEST_F(config, function_level_reset)
{
	unsigned int pos, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_EXP);
		if (!pos || !(before(t, pos + PCI_EXP_DEVCAP, 4) &
			      PCI_EXP_DEVCAP_FLR))
			continue;
		found++;
		ASSERT_EQ(0, user_put(t, pos + PCI_EXP_DEVCTL, 2,
				      PCI_EXP_DEVCTL_BCR_FLR));
		expect_in_place(_metadata, t);
		EXPECT_EQ(0, user_get(t, pos + PCI_EXP_DEVCTL, 2) &
			     PCI_EXP_DEVCTL_BCR_FLR);
		user_put(t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		expect_in_place(_metadata, t);
	}
	EXPECT_LT(0, found);
}

/*
 * Extended capabilities that change how the device takes part in the fabric:
 * nothing of them is for the user, virtual functions least of all.
 */
TEST_F(config, extended)
{
	static const struct {
		unsigned int id;
		unsigned int len;
		const char *name;
		bool emulated;
	} caps[] = {
		{ PCI_EXT_CAP_ID_DSN, PCI_EXT_CAP_DSN_SIZEOF, "DSN", true },
		{ PCI_EXT_CAP_ID_ARI, PCI_EXT_CAP_ARI_SIZEOF, "ARI", true },
		{ PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF, "ATS", true },
		{ PCI_EXT_CAP_ID_SRIOV, PCI_EXT_CAP_SRIOV_SIZEOF, "SR-IOV",
		  true },
		/* Not emulated by QEMU 7.2; tested where a machine has them */
		{ PCI_EXT_CAP_ID_ACS, 8, "ACS" },
		{ PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF, "PRI" },
		{ PCI_EXT_CAP_ID_REBAR, 12, "Resizable BAR" },
		{ PCI_EXT_CAP_ID_LTR, PCI_EXT_CAP_LTR_SIZEOF, "LTR" },
		{ PCI_EXT_CAP_ID_TPH, PCI_TPH_BASE_SIZEOF, "TPH" },
	};
	unsigned int pos, found, all = 0;
	struct target *t;

	for (unsigned int i = 0; i < ARRAY_SIZE(caps); i++) {
		found = 0;
		for (t = self->targets; t < self->targets + self->count; t++) {
			pos = find_ext_cap(t, real_get, caps[i].id);
			if (!pos)
				continue;
			found++;
			expect_read_only(_metadata, t, pos, pos + caps[i].len);
		}
		all += found;
		if (caps[i].emulated && has_all()) {
			EXPECT_LT(0, found)
				TH_LOG("no device with %s", caps[i].name);
		}
	}
	if (!all && !has_all())
		SKIP(return, "no device with such a capability");
}

/* Its errors and which of them are reported are the device's own */
TEST_F(config, error_reporting)
{
	unsigned int pos, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_ext_cap(t, real_get, PCI_EXT_CAP_ID_ERR);
		if (!pos)
			continue;
		found++;
		fill(t, pos, pos + PCI_ERR_ROOT_COMMAND, 4, ~0U);
		expect_same(_metadata, t, pos, pos + 4);
		expect_same(_metadata, t, 0, PCI_COMMAND);
		expect_in_place(_metadata, t);
	}
	if (!found && !has_all())
		SKIP(return, "no device that reports errors");
	EXPECT_LT(0, found);
}

/* Vendor capabilities are passed on: what is written stays inside of them */
TEST_F(config, vendor)
{
	unsigned int pos, end, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = find_cap(t, real_get, PCI_CAP_ID_VNDR);
		if (!pos)
			continue;
		found++;
		end = pos + before(t, pos + PCI_CAP_FLAGS, 1);
		fill(t, pos, end, 4, ~0U);
		fill(t, pos, end, 1, 0);
		expect_same(_metadata, t, PCI_CLASS_REVISION, pos);
		expect_same(_metadata, t, end, t->size);
		expect_in_place(_metadata, t);
	}
	if (!found && !has_all())
		SKIP(return, "no device with a vendor capability");
	EXPECT_LT(0, found);
}

static bool in_header_or_cap(const unsigned char *taken, unsigned int pos)
{
	return pos < PCI_STD_HEADER_SIZEOF || taken[pos];
}

/* Mark what the list of the host has, with the length that @lens knows */
static void mark_caps(struct target *t, unsigned char *taken)
{
	static const unsigned char lens[PCI_CAP_ID_MAX + 1] = {
		[PCI_CAP_ID_PM] = PCI_PM_SIZEOF,
		[PCI_CAP_ID_MSI] = 24,
		[PCI_CAP_ID_EXP] = 60,
		[PCI_CAP_ID_MSIX] = PCI_CAP_MSIX_SIZEOF,
		[PCI_CAP_ID_SATA] = 8,
	};
	unsigned int pos, id, len;

	for (pos = t->before[PCI_CAPABILITY_LIST] & ~3U; pos;
	     pos = t->before[pos + PCI_CAP_LIST_NEXT] & ~3U) {
		id = t->before[pos];
		len = id == PCI_CAP_ID_VNDR ? t->before[pos + PCI_CAP_FLAGS] :
		      id <= PCI_CAP_ID_MAX ? lens[id] : 0;
		memset(taken + pos, 1, len ? len : 4);
	}
}

/* Between the capabilities VFIO passes writes on: they may not leak out */
TEST_F(config, gaps)
{
	unsigned char taken[SPACE_SIZE];
	unsigned int pos, gaps = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		memset(taken, 0, sizeof(taken));
		mark_caps(t, taken);
		for (pos = 0; pos < PCI_CFG_SPACE_SIZE; pos++) {
			if (in_header_or_cap(taken, pos))
				continue;
			gaps++;
			user_put(t, pos, 1, 0xff);
			user_put(t, pos, 1, 0);
			user_put(t, pos, 1, t->before[pos]);
		}
		expect_same(_metadata, t, 0, PCI_COMMAND);
		expect_same(_metadata, t, PCI_CLASS_REVISION,
			    PCI_CFG_SPACE_SIZE);
		expect_in_place(_metadata, t);
	}
	EXPECT_LT(0, gaps);
}

/* A capability that VFIO does not want the user to have cannot be written */
TEST_F(config, hidden)
{
	static const struct {
		unsigned int id;
		unsigned int len;
		bool emulated;
	} caps[] = {
		{ PCI_EXT_CAP_ID_DOE, PCI_DOE_CAP_SIZEOF, true },
		/* Not emulated by QEMU 7.2; tested where a machine has them */
		{ PCI_EXT_CAP_ID_PASID, PCI_EXT_CAP_PASID_SIZEOF },
		{ PCI_EXT_CAP_ID_PTM, 12 },
		{ PCI_EXT_CAP_ID_L1SS, 16 },
	};
	unsigned int pos, found, all = 0;
	struct target *t;

	for (unsigned int i = 0; i < ARRAY_SIZE(caps); i++) {
		found = 0;
		for (t = self->targets; t < self->targets + self->count; t++) {
			pos = find_ext_cap(t, real_get, caps[i].id);
			if (!pos)
				continue;
			found++;
			expect_read_only(_metadata, t, pos, pos + caps[i].len);
		}
		all += found;
		if (caps[i].emulated && has_all()) {
			EXPECT_LT(0, found)
				TH_LOG("no device with %#x", caps[i].id);
		}
	}
	if (!all && !has_all())
		SKIP(return, "no device with a hidden capability");
}

/* The DVSEC of CXL behind that at @pos, or the first one; 0 if there is none */
static unsigned int next_cxl(struct target *t, unsigned int pos)
{
	unsigned int loops = 480;

	if (t->size <= PCI_CFG_SPACE_SIZE)
		return 0;
	do {
		pos = pos ? PCI_EXT_CAP_NEXT(before(t, pos, 4)) :
			    PCI_CFG_SPACE_SIZE;
		if (pos && PCI_EXT_CAP_ID(before(t, pos, 4)) ==
		    PCI_EXT_CAP_ID_DVSEC &&
		    before(t, pos + PCI_DVSEC_HEADER1, 2) == CXL_VENDOR)
			return pos;
	} while (pos && loops--);
	return 0;
}

/* What CXL defines: one bit there lets the device reach memory past the IOMMU */
TEST_F(config, cxl)
{
	unsigned int pos, len, found = 0;
	struct target *t;

	for (t = self->targets; t < self->targets + self->count; t++) {
		for (pos = next_cxl(t, 0); pos; pos = next_cxl(t, pos)) {
			found++;
			len = PCI_DVSEC_HEADER1_LEN(before(t, pos +
						    PCI_DVSEC_HEADER1, 4));
			expect_read_only(_metadata, t, pos, pos + len);
			/* It can be found */
			EXPECT_EQ(PCI_EXT_CAP_ID_DVSEC,
				  PCI_EXT_CAP_ID(user_get(t, pos, 4)));
			EXPECT_EQ(before(t, pos + PCI_DVSEC_HEADER1, 4),
				  user_get(t, pos + PCI_DVSEC_HEADER1, 4));
		}
	}
	if (!found && !has_all())
		SKIP(return, "no CXL device");
	EXPECT_LT(0, found);
}

static bool is_translated(struct target *t)
{
	char report[512];

	return !get(report, sizeof(report), GROUPS "/%d/owner/isolation",
		    t->pdev.group) && strstr(report, "held: translated");
}

/* Enabled by the host, where VFIO does not let the user */
TEST_F(config, cxl_cache_is_not_translated)
{
	unsigned int pos, found = 0;
	char path[PATH_MAX];
	struct target *t;
	__u16 ctrl;
	int fd;

	if (gate_set("off") == -ENOENT)
		SKIP(return, "no isolation report");
	for (t = self->targets; t < self->targets + self->count; t++) {
		pos = next_cxl(t, 0);
		while (pos && before(t, pos + PCI_DVSEC_HEADER2, 2))
			pos = next_cxl(t, pos);
		if (!pos)
			continue;
		found++;
		ctrl = before(t, pos + CXL_CTRL, 2);
		ASSERT_EQ(0, ctrl & CXL_CACHE_ENABLE);
		EXPECT_TRUE(is_translated(t));
		snprintf(path, sizeof(path), PCI "/devices/%.15s/config",
			 t->pdev.bdf);
		fd = open(path, O_WRONLY);
		ASSERT_LE(0, fd);
		ctrl |= CXL_CACHE_ENABLE;
		ASSERT_EQ(2, pwrite(fd, &ctrl, 2, pos + CXL_CTRL));
		EXPECT_FALSE(is_translated(t));
		ctrl &= ~CXL_CACHE_ENABLE;
		ASSERT_EQ(2, pwrite(fd, &ctrl, 2, pos + CXL_CTRL));
		EXPECT_TRUE(is_translated(t));
		close(fd);
	}
	if (!found && !has_all())
		SKIP(return, "no CXL device");
	EXPECT_LT(0, found);
}

/* VFIO takes no bridge: its windows decide where all behind it decode */
TEST_F(config, no_bridge)
{
	struct pdev port;

	ASSERT_TRUE(find_device("0x1b36", "0x000c", &port));
	EXPECT_EQ(-EINVAL, driver_bind(&port, USER_DRIVER));
	driver_clear(&port);
	EXPECT_EQ(0, put(port.bdf, PCI "/drivers_probe"));
}

TEST_HARNESS_MAIN
