// SPDX-License-Identifier: GPL-2.0
/*
 * The view of a device: the files in tsm/ and the evidence, with a TSM without hardware
 * that handles the edu device, and e1000e as a device with a reset and a driver
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
#define TSM_MODULE	"iommu_owner_fake_tsm"
#define TSM		"fake0"
#define LINK_TSM	"link0"
#define PARAMETER	"/sys/module/" TSM_MODULE "/parameters/"
#define EVIDENCE_LEN	(2 * 1024 * 1024 + 5)

#define CARD_DRIVER	"e1000e"

#define NO_TSM		"no module " TSM_MODULE
#define NO_CARD		"no e1000e alone in its IOMMU group"

SIZE_IS(iommu_owner_evidence, 120);
OFFSET_IS(iommu_owner_evidence, generation, 16);
OFFSET_IS(iommu_owner_evidence, out_total, 48);

static int tsm_put(const struct pdev *pdev, const char *file, const char *value)
{
	return put(value, PCI "/devices/%s/tsm/%s", pdev->bdf, file);
}

static bool tsm_is(const struct pdev *pdev, const char *file, const char *value)
{
	char buf[32] = "";

	get(buf, sizeof(buf), PCI "/devices/%s/tsm/%s", pdev->bdf, file);
	buf[strcspn(buf, "\n")] = '\0';
	return !strcmp(buf, value);
}

static bool tsm_becomes(const struct pdev *pdev, const char *state)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!tsm_is(pdev, "state", state) && now_ms() < end)
		nap(20);
	return tsm_is(pdev, "state", state);
}

/* The driver goes later. */
static bool driver_goes(const struct pdev *pdev)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!driver_is(pdev, NULL) && now_ms() < end)
		nap(20);
	return driver_is(pdev, NULL);
}

/* A part of the evidence; the number of bytes, or a negative errno */
static int evidence(const struct pdev *pdev, __u32 kind, __u64 offset, void *to,
		    __u32 length, __u64 *generation)
{
	struct iommu_owner_evidence cmd = {
		.size = sizeof(cmd), .group = pdev->group, .kind = kind,
		.generation = *generation, .offset = offset,
		.data = (uintptr_t)to, .length = length,
	};
	int fd = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	memcpy(cmd.device, pdev->bdf, strlen(pdev->bdf));
	ret = call(fd, IOMMU_OWNER_EVIDENCE, &cmd);
	close(fd);
	if (ret)
		return ret;
	*generation = cmd.generation;
	return cmd.out_total == EVIDENCE_LEN ? (int)cmd.length : -EPROTO;
}

FIXTURE(view) {
	struct pdev edu;
	struct vfio vfio;
	unsigned char *canary;
	int token;
	int klog;
};

FIXTURE_SETUP(view)
{
	load_modules();
	/* The device is programmed past its owner */
	gate_set("off");
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	if (load_module(TSM_MODULE))
		SKIP(return, NO_TSM);
	driver_clear(&self->edu);
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->canary);
	self->token = token_create("view", ALL_RIGHTS);
	if (self->token < 0)
		SKIP(return, NO_TOKENS);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	/* A device that an administrator leaves alone, and a way to see what it does */
	ASSERT_EQ(0, put("identity", GROUPS "/%d/type", self->edu.group));
	ASSERT_TRUE(canary_dies(&self->edu, self->canary));
	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MEMORY));
}

FIXTURE_TEARDOWN(view)
{
	vfio_close(&self->vfio);
	close_fd(&self->token);
	driver_clear(&self->edu);
	unload_module(TSM_MODULE);
	trust_set(self->edu.group, "full");
	put("DMA", GROUPS "/%d/type", self->edu.group);
	gate_set("enforce");
}

#define lock_edu()	tsm_put(&self->edu, "lock", TSM)
#define accept_edu()	tsm_put(&self->edu, "accept", "1")
#define unlock_edu()	tsm_put(&self->edu, "unlock", TSM)

TEST_F(view, files)
{
	struct pdev other;

	EXPECT_TRUE(exists(PCI "/devices/%s/tsm/state", self->edu.bdf));
	if (find_device("0x8086", "0x100e", &other))
		EXPECT_FALSE(exists(PCI "/devices/%s/tsm", other.bdf));
	EXPECT_TRUE(tsm_is(&self->edu, "state", "shared"));
	EXPECT_TRUE(tsm_is(&self->edu, "lock", ""));
	EXPECT_TRUE(tsm_is(&self->edu, "accept", "0"));

	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "lock", "nobody"));
	EXPECT_EQ(-ENXIO, tsm_put(&self->edu, "lock", LINK_TSM));
	EXPECT_EQ(-EINVAL, accept_edu());
	EXPECT_EQ(-EINVAL, unlock_edu());
	ASSERT_EQ(0, lock_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "lock", TSM));
	EXPECT_EQ(-EINVAL, lock_edu());
	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "unlock", LINK_TSM));
	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "accept", "0"));
	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "accept", "maybe"));
	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "accept", "1 0"));
	EXPECT_EQ(-EINVAL, tsm_put(&self->edu, "accept", "1 it"));
	EXPECT_EQ(-EAGAIN, tsm_put(&self->edu, "accept", "1 18446744073709551615"));
	EXPECT_EQ(0, tsm_put(&self->edu, "accept", "yes"));
	EXPECT_TRUE(tsm_is(&self->edu, "accept", "1"));
	EXPECT_EQ(-EINVAL, accept_edu());

	ASSERT_EQ(0, unload_module(TSM_MODULE));
	EXPECT_FALSE(exists(PCI "/devices/%s/tsm", self->edu.bdf));
}

/* From the lock to the driver; before, nobody gets it, and its DMA gets nowhere. */
TEST_F(view, lock_accept_bind)
{
	int group = self->edu.group;

	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MEMORY |
					     PCI_COMMAND_MASTER));
	EXPECT_EQ(-EBUSY, lock_edu());
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf, "bus mastering is on"));
	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(-EBUSY, lock_edu());
	EXPECT_TRUE(klog_find(self->klog, "change of view refused", self->edu.bdf,
			      KERNEL_DRIVER));
	driver_clear(&self->edu);
	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MEMORY));

	ASSERT_EQ(0, lock_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "locked"));
	EXPECT_TRUE(state_is(group, "blocked"));
	EXPECT_TRUE(trust_is(group, "full"));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_TRUE(klog_find(self->klog, KERNEL_DRIVER, "refused", "tsm/state"));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, USER_DRIVER));
	EXPECT_EQ(-EPERM, token_reserve(self->token, group));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
	driver_clear(&self->edu);

	ASSERT_EQ(0, accept_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "private"));
	EXPECT_TRUE(state_is(group, "kernel"));
	EXPECT_GT(0, put("identity", GROUPS "/%d/type", group));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(-EBUSY, unlock_edu());
	EXPECT_EQ(-EBUSY, trust_set(group, "blocked"));
	driver_clear(&self->edu);
}

/* Whatever makes the device leave what it was accepted as */
static void lose(struct __test_metadata *_metadata, struct _test_data_view *self,
		 int (*how)(const struct pdev *pdev))
{
	int group = self->edu.group;

	ASSERT_EQ(0, lock_edu());
	ASSERT_EQ(0, accept_edu());
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MEMORY |
					     PCI_COMMAND_MASTER));
	nap(200);
	EXPECT_TRUE(tsm_is(&self->edu, "state", "private"));
	ASSERT_EQ(0, how(&self->edu));
	EXPECT_TRUE(tsm_becomes(&self->edu, "error"));
	EXPECT_TRUE(driver_goes(&self->edu));
	EXPECT_TRUE(klog_find(self->klog, self->edu.bdf,
			      "the private view is lost"));
	EXPECT_TRUE(trust_is(group, "blocked"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, KERNEL_DRIVER));
	driver_clear(&self->edu);
	EXPECT_EQ(0, unlock_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "shared"));
	EXPECT_TRUE(state_is(group, "blocked"));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, KERNEL_DRIVER));
	driver_clear(&self->edu);
	EXPECT_EQ(0, trust_set(group, "full"));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

/* A BAR is moved, and moved back */
static int move_bar(const struct pdev *pdev)
{
	__u32 bar, there;
	int ret;

	if (!dev_config(pdev, PCI_BASE_ADDRESS_0, &bar))
		return -EIO;
	there = bar ^ 0x01000000;
	ret = dev_config_write(pdev, PCI_BASE_ADDRESS_0, &there, sizeof(there));
	tsm_becomes(pdev, "error");
	return ret ?: dev_config_write(pdev, PCI_BASE_ADDRESS_0, &bar,
				       sizeof(bar));
}

static int stop_master(const struct pdev *pdev)
{
	return dev_command(pdev, PCI_COMMAND_MEMORY);
}

static int stop_memory(const struct pdev *pdev)
{
	return dev_command(pdev, PCI_COMMAND_MASTER);
}

TEST_F(view, lost_by_bar)
{
	lose(_metadata, self, move_bar);
}

TEST_F(view, lost_by_bus_mastering)
{
	lose(_metadata, self, stop_master);
}

TEST_F(view, lost_by_memory_decoding)
{
	lose(_metadata, self, stop_memory);
}

/* A device that is not there any more has nothing left that is locked. */
TEST_F(view, lost_by_tsm)
{
	int group = self->edu.group;

	ASSERT_EQ(0, lock_edu());
	ASSERT_EQ(0, accept_edu());
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	ASSERT_EQ(0, unload_module(TSM_MODULE));
	EXPECT_TRUE(driver_is(&self->edu, NULL));
	EXPECT_TRUE(trust_is(group, "blocked"));
	EXPECT_TRUE(state_is(group, "blocked"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
	EXPECT_EQ(-EPERM, driver_bind(&self->edu, KERNEL_DRIVER));
}

/* The user of the device is not asked, and nothing of it is left. */
TEST_F(view, lost_by_an_owner)
{
	int group = self->edu.group;
	void *bar;

	ASSERT_EQ(0, lock_edu());
	ASSERT_EQ(0, accept_edu());
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->edu));
	ASSERT_TRUE(state_is(group, "user"));
	ASSERT_TRUE(tsm_is(&self->edu, "state", "private"));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->canary, 0x100000, 4096));
	bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, edu_write_ram(bar, 0x100000));
	EXPECT_FALSE(page_is(self->canary, CANARY));

	ASSERT_EQ(0, dev_command(&self->edu, PCI_COMMAND_MASTER));
	EXPECT_TRUE(tsm_becomes(&self->edu, "error"));
	EXPECT_TRUE(state_becomes(group, "blocked"));
	EXPECT_FALSE(edu_try_answers(bar));
	vfio_close(&self->vfio);
	EXPECT_TRUE(trust_is(group, "blocked"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
}

/* What the TSM does and what it says are two things. */
TEST_F(view, tsm_fails)
{
	ASSERT_EQ(0, put("lock", PARAMETER "fail"));
	EXPECT_EQ(-ENODATA, lock_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "shared"));
	ASSERT_EQ(0, put("!lock", PARAMETER "fail"));
	EXPECT_EQ(-ENODATA, lock_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "shared"));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	ASSERT_EQ(0, lock_edu());
	ASSERT_EQ(0, put("accept", PARAMETER "fail"));
	EXPECT_EQ(-ENODATA, accept_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "locked"));
	ASSERT_EQ(0, put("!accept", PARAMETER "fail"));
	EXPECT_EQ(-ENODATA, accept_edu());
	EXPECT_TRUE(tsm_is(&self->edu, "state", "error"));
	EXPECT_FALSE(canary_dies(&self->edu, self->canary));
	ASSERT_EQ(0, put("unlock", PARAMETER "fail"));
	EXPECT_EQ(0, unlock_edu() == -ENODATA ? unlock_edu() : -EPROTO);
	EXPECT_TRUE(tsm_is(&self->edu, "state", "shared"));
}

TEST_F(view, evidence)
{
	static unsigned char part[IOMMU_OWNER_EVIDENCE_MAX];
	__u64 generation = 0, old, offset = 0;
	char line[40];
	int ret;

	EXPECT_EQ(-EINVAL, evidence(&self->edu, IOMMU_OWNER_EVIDENCE_REPORT, 0,
				    part, 1, &generation));
	ASSERT_EQ(0, lock_edu());
	while ((ret = evidence(&self->edu, IOMMU_OWNER_EVIDENCE_REPORT, offset,
			       part, sizeof(part), &generation)) > 0) {
		for (int i = 0; i < ret; i++)
			ASSERT_EQ((__u8)((offset + i) * 7 + ((offset + i) >> 8) +
					 IOMMU_OWNER_EVIDENCE_REPORT), part[i]);
		offset += ret;
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(EVIDENCE_LEN, offset);
	EXPECT_EQ(-EINVAL, evidence(&self->edu, IOMMU_OWNER_EVIDENCE_REPORT + 1,
				    0, part, 1, &generation));
	EXPECT_EQ(-EINVAL, evidence(&self->edu, 0, 0, part, 0, &generation));
	EXPECT_EQ(-EINVAL, evidence(&self->edu, 0, 0, part, sizeof(part) + 1,
				    &generation));
	EXPECT_EQ(-EFAULT, evidence(&self->edu, 0, 0, NULL, 1, &generation));

	old = generation;
	ASSERT_EQ(0, put("1", PARAMETER "changes"));
	EXPECT_EQ(-EAGAIN, evidence(&self->edu, 0, 0, part, 1, &generation));
	ASSERT_EQ(0, put("0", PARAMETER "changes"));
	EXPECT_EQ(-EAGAIN, evidence(&self->edu, 0, 1, part, 1, &generation));
	snprintf(line, sizeof(line), "1 %llu", (unsigned long long)old);
	EXPECT_EQ(-EAGAIN, tsm_put(&self->edu, "accept", line));
	generation = 0;
	EXPECT_EQ(1, evidence(&self->edu, 0, 0, part, 1, &generation));
	EXPECT_NE(old, generation);
	snprintf(line, sizeof(line), "1 %llu", (unsigned long long)generation);
	EXPECT_EQ(0, tsm_put(&self->edu, "accept", line));
	EXPECT_EQ(1, evidence(&self->edu, 0, 0, part, 1, &generation));
}

FIXTURE(view_card) {
	struct pdev card;
	struct vfio vfio;
};

FIXTURE_SETUP(view_card)
{
	load_modules();
	ASSERT_EQ(0, load_module(CARD_DRIVER));
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	if (!find_device("0x8086", "0x10d3", &self->card) ||
	    self->card.group < 0)
		SKIP(return, NO_CARD);
	if (load_module(TSM_MODULE))
		SKIP(return, NO_TSM);
	driver_clear(&self->card);
	ASSERT_EQ(0, dev_command(&self->card, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, tsm_put(&self->card, "lock", TSM));
	ASSERT_EQ(0, tsm_put(&self->card, "accept", "1"));
}

FIXTURE_TEARDOWN(view_card)
{
	vfio_close(&self->vfio);
	driver_clear(&self->card);
	unload_module(TSM_MODULE);
	trust_set(self->card.group, "full");
	put(self->card.bdf, PCI "/drivers_probe");
}

/* Its driver comes and goes; bus mastering stays on, and the TSM sees no error. */
TEST_F(view_card, driver_comes_and_goes)
{
	__u32 command;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, driver_bind(&self->card, CARD_DRIVER));
		EXPECT_TRUE(exists(PCI "/devices/%s/net", self->card.bdf));
		ASSERT_EQ(0, driver_unbind(&self->card));
		/* Time for the TSM to look */
		nap(200);
		EXPECT_TRUE(tsm_is(&self->card, "state", "private"));
		ASSERT_TRUE(dev_config(&self->card, PCI_COMMAND, &command));
		EXPECT_TRUE(command & PCI_COMMAND_MASTER);
	}
	driver_clear(&self->card);
	EXPECT_EQ(0, tsm_put(&self->card, "unlock", TSM));
	ASSERT_TRUE(dev_config(&self->card, PCI_COMMAND, &command));
	EXPECT_FALSE(command & PCI_COMMAND_MASTER);
	EXPECT_EQ(0, driver_bind(&self->card, CARD_DRIVER));
}

TEST_F(view_card, lost_by_reset)
{
	ASSERT_EQ(0, driver_bind(&self->card, CARD_DRIVER));
	/* The driver goes for good, or as the reset of the device finds it */
	put("1", PCI "/devices/%s/reset", self->card.bdf);
	EXPECT_TRUE(tsm_is(&self->card, "state", "error"));
	EXPECT_TRUE(driver_goes(&self->card));
	EXPECT_TRUE(trust_is(self->card.group, "blocked"));
	EXPECT_EQ(-EPERM, driver_bind(&self->card, CARD_DRIVER));
}

/* It is what was accepted as long as the user has it, and then nobody knows. */
TEST_F(view_card, given_to_a_user)
{
	ASSERT_EQ(0, driver_bind(&self->card, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CDEV, &self->card));
	nap(200);
	EXPECT_TRUE(tsm_is(&self->card, "state", "private"));
	EXPECT_TRUE(state_is(self->card.group, "user"));
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_becomes(self->card.group, "blocked"));
	EXPECT_TRUE(tsm_is(&self->card, "state", "error"));
	EXPECT_TRUE(trust_is(self->card.group, "blocked"));
}

TEST_HARNESS_MAIN
