// SPDX-License-Identifier: GPL-2.0
/*
 * How far a device is trusted with DMA: owner/trust of its group, and what it gets
 * when it is found
 *
 * In a machine with IOMMU_OWNER_COLUMN=trust, the command line of the kernel has an
 * entry of each form; see dev/test.d/matrix.tsv.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "owner_test.h"
#include "owner_token.h"

#define PCI		"/sys/bus/pci"
#define GROUPS		"/sys/kernel/iommu_groups"
#define FOUND		"/sys/module/iommu_owner/parameters/trust"
#define CARD_DRIVER	"e1000e"

#define MASTER		(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

#define NO_TRUST	"no " FOUND
#define NO_CARD		"no e1000e alone in its IOMMU group"

/* The slots of the machine that its command line names; the last one has a typo */
#define AT_BLOCKED	"0000:00:10.0"
#define AT_RESERVED	"0000:00:12.0"
#define AT_BAD		"0000:00:13.0"
#define BAD_ENTRY	"00:13.0:blokced"

static bool type_is(int group, const char *type)
{
	char buf[16] = "";

	get(buf, sizeof(buf), GROUPS "/%d/type", group);
	buf[strcspn(buf, "\n")] = '\0';
	return !strcmp(buf, type);
}

/* The driver of a device that may get one is probed later. */
static bool driver_comes(const struct pdev *pdev, const char *driver)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!driver_is(pdev, driver) && now_ms() < end)
		nap(20);
	return driver_is(pdev, driver);
}

FIXTURE(trust) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
	unsigned char *canary;
	bool plugged;
	int token;
	int klog;
};

FIXTURE_SETUP(trust)
{
	load_modules();
	ASSERT_EQ(0, load_module(CARD_DRIVER));
	/* The device is programmed past its owner */
	gate_set("off");
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (getenv("IOMMU_OWNER_COLUMN"))
		SKIP(return, "devices of the usual machine");
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	if (!exists(FOUND))
		SKIP(return, NO_TRUST);
	if (!find_device("0x8086", "0x10d3", &self->nic) ||
	    self->nic.group < 0)
		SKIP(return, NO_CARD);
	driver_clear(&self->edu);
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->canary);
	self->token = token_create("trust", ALL_RIGHTS);
	if (self->token < 0)
		SKIP(return, NO_TOKENS);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(trust)
{
	vfio_close(&self->vfio);
	close_fd(&self->token);
	put("full", FOUND);
	driver_clear(&self->edu);
	trust_set(self->edu.group, "full");
	put("DMA", GROUPS "/%d/type", self->edu.group);
	driver_clear(&self->nic);
	trust_set(self->nic.group, "full");
	put(self->nic.bdf, PCI "/drivers_probe");
	if (self->plugged) {
		monitor_ask("device_del", "'id':'e1000b'");
		monitor_gone("e1000b");
	}
	gate_set("enforce");
}

/* Nobody gets it, and its DMA gets nowhere, whatever it does. */
TEST_F(trust, blocked)
{
	int group = self->edu.group;

	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", group));
	ASSERT_TRUE(canary_dies(&self->edu, self->canary));
	ASSERT_EQ(0, trust_set(group, "blocked"));
	EXPECT_TRUE(trust_is(group, "blocked"));
	EXPECT_TRUE(state_is(group, "blocked"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));

	EXPECT_EQ(-EPERM, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_TRUE(klog_find(self->klog, KERNEL_DRIVER, "refused", "blocked"));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, USER_DRIVER));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, STUB_DRIVER));
	EXPECT_EQ(-EPERM, token_reserve(self->token, group));

	driver_clear(&self->edu);
	/* The default domain is what it is for a device that is found now */
	ASSERT_EQ(0, trust_set(group, "full"));
	EXPECT_TRUE(state_is(group, "kernel"));
	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", group));
	EXPECT_TRUE(canary_dies(&self->edu, self->canary));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

/* With enforcement, the host does not get at its registers, either. */
TEST_F(trust, blocked_is_gated)
{
	gate_set("enforce");
	ASSERT_EQ(0, trust_set(self->edu.group, "blocked"));
	EXPECT_EQ(-EBUSY, dev_command(&self->edu, MASTER));
	EXPECT_EQ(-EBUSY, put("1", PCI "/devices/%s/enable", self->edu.bdf));
	ASSERT_EQ(0, trust_set(self->edu.group, "full"));
	EXPECT_EQ(0, dev_command(&self->edu, MASTER));
}

TEST_F(trust, not_changed_in_use)
{
	int group = self->edu.group;

	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(-EBUSY, trust_set(group, "blocked"));
	EXPECT_TRUE(klog_find(self->klog, "change of trust refused",
			      self->edu.bdf, KERNEL_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	EXPECT_EQ(-EBUSY, trust_set(group, "restricted"));
	EXPECT_TRUE(klog_find(self->klog, "change of trust refused",
			      self->edu.bdf, USER_DRIVER));
	driver_clear(&self->edu);
	ASSERT_EQ(0, token_reserve(self->token, group));
	EXPECT_EQ(-EBUSY, trust_set(group, "full"));
	EXPECT_TRUE(klog_find(self->klog, "change of trust refused",
			      "reserved owner trust"));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_TRUE(trust_is(group, "full"));
	EXPECT_EQ(-EINVAL, trust_set(group, "half"));
	EXPECT_EQ(0, trust_set(group, "blocked"));
}

/* A card for virtual machines: its driver does not get it between two of them. */
TEST_F(trust, reserved)
{
	int group = self->nic.group;

	driver_unbind(&self->nic);
	ASSERT_EQ(0, trust_set(group, "reserved"));
	EXPECT_TRUE(trust_is(group, "reserved"));
	put(self->nic.bdf, PCI "/drivers_probe");
	EXPECT_TRUE(driver_is(&self->nic, NULL));
	EXPECT_EQ(-EPERM, driver_bind(&self->nic, CARD_DRIVER));

	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, vfio_start(&self->vfio,
					i ? PATH_CDEV : PATH_CONTAINER,
					&self->nic));
		EXPECT_TRUE(state_is(group, "user"));
		vfio_close(&self->vfio);
		EXPECT_TRUE(state_becomes(group, "blocked"));
	}
	ASSERT_EQ(0, driver_unbind(&self->nic));
	put("\n", PCI "/devices/%s/driver_override", self->nic.bdf);
	put(self->nic.bdf, PCI "/drivers_probe");
	EXPECT_TRUE(driver_is(&self->nic, NULL));

	ASSERT_EQ(0, trust_set(group, "full"));
	EXPECT_TRUE(driver_comes(&self->nic, CARD_DRIVER));
}

/* The driver works; without it, there is no DMA. */
TEST_F(trust, restricted)
{
	int group = self->nic.group;

	driver_unbind(&self->nic);
	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", group));
	ASSERT_EQ(0, trust_set(group, "restricted"));
	EXPECT_TRUE(state_is(group, "kernel"));
	EXPECT_TRUE(type_is(group, "DMA"));
	EXPECT_EQ(-EPERM, put("DMA-FQ", GROUPS "/%d/type", group));
	EXPECT_GT(0, put("identity", GROUPS "/%d/type", group));
	ASSERT_EQ(0, put("\n", PCI "/devices/%s/driver_override",
			 self->nic.bdf));
	ASSERT_EQ(0, put(self->nic.bdf, PCI "/drivers_probe"));
	EXPECT_TRUE(driver_comes(&self->nic, CARD_DRIVER));
	EXPECT_TRUE(exists(PCI "/devices/%s/net", self->nic.bdf));
	EXPECT_EQ(-EPERM, put("DMA-FQ", GROUPS "/%d/type", group));
}

TEST_F(trust, restricted_without_a_driver)
{
	int group = self->edu.group;

	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", group));
	ASSERT_TRUE(canary_dies(&self->edu, self->canary));
	ASSERT_EQ(0, trust_set(group, "restricted"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->edu));
	vfio_close(&self->vfio);
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
}

/* Whoever plugs something in while the screen is locked */
TEST_F(trust, found_later)
{
	struct pdev card;
	__u64 end = now_ms() + WAIT_MS;

	if (!monitor_there())
		SKIP(return, NO_MONITOR);
	EXPECT_EQ(-EINVAL, put("half", FOUND));
	ASSERT_EQ(0, put("blocked", FOUND));
	ASSERT_EQ(0, monitor_ask("device_add", NIC_IN_PORT));
	self->plugged = true;
	while ((!find_device_last("0x8086", "0x100e", &card) ||
		!dev_is_below(card.bdf, ROOT_PORT) || card.group < 0) &&
	       now_ms() < end)
		nap(20);
	/* Also waits for a hot-plug that goes on */
	put("1", PCI "/rescan");
	ASSERT_LE(0, card.group);
	EXPECT_TRUE(trust_is(card.group, "blocked"));
	EXPECT_TRUE(state_is(card.group, "blocked"));
	EXPECT_TRUE(driver_is(&card, NULL));

	/* What was there before stays as it is */
	EXPECT_TRUE(trust_is(self->edu.group, "full"));
	ASSERT_EQ(0, put("full", FOUND));
	ASSERT_EQ(0, trust_set(card.group, "full"));
	EXPECT_TRUE(driver_comes(&card, NIC_DRIVER));
}

/* The command line */

static bool find_at(const char *bdf, struct pdev *pdev)
{
	snprintf(pdev->bdf, sizeof(pdev->bdf), "%s", bdf);
	pdev->group = dev_group(bdf);
	return pdev->group >= 0;
}

FIXTURE(boot) {
	struct vfio vfio;
};

FIXTURE_SETUP(boot)
{
	const char *column = getenv("IOMMU_OWNER_COLUMN");

	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	if (!column || strcmp(column, "trust"))
		SKIP(return, NO_COLUMN);
	load_modules();
	ASSERT_EQ(0, load_module(CARD_DRIVER));
	ASSERT_EQ(0, load_module("nvme"));
	if (!exists(FOUND))
		SKIP(return, NO_TRUST);
}

FIXTURE_TEARDOWN(boot)
{
	vfio_close(&self->vfio);
	gate_set("enforce");
}

/* A probe of the whole boot, on the command line: domain and device of each attach */
#define BOOT_TRACE	"/sys/kernel/tracing/trace"
#define NO_BOOT_TRACE	"no trace of the boot"

/* How often was a domain attached to the device at @bdf, blocking domains aside? */
static int attached(const char *bdf, bool (*counts)(unsigned int type))
{
	char line[512], name[64];
	unsigned int type;
	const char *at;
	int n = 0;
	FILE *f = fopen(BOOT_TRACE, "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "type=");
		if (at && sscanf(at, "type=%u name=\"%63[^\"]", &type, name) == 2 &&
		    counts(type) && (!bdf || !strcmp(name, bdf)))
			n++;
	}
	fclose(f);
	return n;
}

/* Values of the kernel: 0 blocks, bit 2 is identity */
static bool is_open(unsigned int type)
{
	return type;
}

static bool is_identity(unsigned int type)
{
	return type & 4;
}

/*
 * From its first attach to this program, which is the first one. Stands first, since the
 * tests below change what is trusted.
 */
TEST_F(boot, never_attached)
{
	struct pdev card;

	if (attached(NULL, is_open) <= 0)
		SKIP(return, NO_BOOT_TRACE);
	/* What all others have got is in the trace */
	EXPECT_LT(0, attached(NULL, is_identity));
	EXPECT_EQ(0, attached(AT_BLOCKED, is_open));
	EXPECT_EQ(0, attached(AT_RESERVED, is_open));
	EXPECT_EQ(0, attached(AT_BAD, is_open));
	/* Its driver is bound, and needs a domain; this one translates */
	ASSERT_TRUE(find_device("0x8086", "0x10d3", &card));
	EXPECT_LT(0, attached(card.bdf, is_open));
	EXPECT_EQ(0, attached(card.bdf, is_identity));
}

/* Its DMA would have been free until now: all domains are identity domains here. */
TEST_F(boot, by_address)
{
	unsigned char *canary = page_alloc(CANARY);
	struct pdev edu;

	ASSERT_NE(NULL, canary);
	ASSERT_TRUE(find_at(AT_BLOCKED, &edu));
	EXPECT_TRUE(trust_is(edu.group, "blocked"));
	EXPECT_TRUE(state_is(edu.group, "blocked"));
	EXPECT_EQ(-EPERM, driver_bind(&edu, USER_DRIVER));
	driver_clear(&edu);
	gate_set("off");
	EXPECT_FALSE(canary_dies(&edu, canary));
	ASSERT_EQ(0, trust_set(edu.group, "full"));
	EXPECT_TRUE(canary_dies(&edu, canary));
	ASSERT_EQ(0, trust_set(edu.group, "blocked"));
	EXPECT_FALSE(canary_dies(&edu, canary));
}

/* The module of its driver is there, and has not got it. */
TEST_F(boot, reserved)
{
	struct pdev disk;

	ASSERT_TRUE(find_at(AT_RESERVED, &disk));
	EXPECT_TRUE(trust_is(disk.group, "reserved"));
	EXPECT_TRUE(exists(PCI "/drivers/nvme"));
	EXPECT_TRUE(driver_is(&disk, NULL));
	put(disk.bdf, PCI "/drivers_probe");
	EXPECT_TRUE(driver_is(&disk, NULL));
	ASSERT_EQ(0, driver_bind(&disk, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &disk));
	EXPECT_TRUE(state_is(disk.group, "user"));
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_becomes(disk.group, "blocked"));
	driver_clear(&disk);
}

/* The default domain of all others is an identity domain. */
TEST_F(boot, by_id)
{
	struct pdev card;

	ASSERT_TRUE(find_device("0x8086", "0x10d3", &card));
	EXPECT_TRUE(trust_is(card.group, "restricted"));
	EXPECT_TRUE(driver_is(&card, CARD_DRIVER));
	EXPECT_TRUE(type_is(card.group, "DMA"));
}

/* What cannot be read blocks what it names, and one line says so. */
TEST_F(boot, typing_error)
{
	struct pdev bad;
	int klog;

	ASSERT_TRUE(find_at(AT_BAD, &bad));
	EXPECT_TRUE(trust_is(bad.group, "blocked"));
	EXPECT_TRUE(driver_is(&bad, NULL));
	/* From the start of the machine on */
	klog = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, klog);
	EXPECT_TRUE(klog_find(klog, "\"" BAD_ENTRY "\"",
			      "what it names is blocked"));
	close(klog);
}

TEST_HARNESS_MAIN
