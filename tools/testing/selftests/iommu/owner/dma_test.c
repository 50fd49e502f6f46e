// SPDX-License-Identifier: GPL-2.0
/*
 * Where the DMA of a device lands before, during and after an ownership
 *
 * The edu device copies EDU_LEN bytes to the bus address that it is given. The
 * address is either one that the owner mapped, or the physical address of a
 * page of this process: a canary that nobody has mapped.
 */
#define _GNU_SOURCE
#include "owner_test.h"

#define GROUPS	"/sys/kernel/iommu_groups"
#define IOVA	0x10000000ULL

FIXTURE(dma) {
	struct pdev edu;
	struct vfio vfio;
	unsigned char *data;
	unsigned char *target;
	unsigned char *canary;
	__u64 physical;
	__u64 size;
	void *bar;
};

FIXTURE_VARIANT(dma) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(dma, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(dma, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(dma, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(dma)
{
	load_modules();
	/* The device is programmed past its owner */
	gate_set("off");
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
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

FIXTURE_TEARDOWN(dma)
{
	edu_close(self->bar);
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	put("DMA", GROUPS "/%d/type", self->edu.group);
	gate_set("enforce");
}

/* Map both pages and let the device write the pattern to the second one */
static void own_and_write(struct __test_metadata *_metadata,
			  struct _test_data_dma *self, enum vfio_path path)
{
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, path, &self->edu));
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->target, IOVA + self->size,
			      self->size));
	ASSERT_EQ(0, edu_read_ram(self->bar, IOVA));
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
}

static void poke(struct __test_metadata *_metadata, struct _test_data_dma *self,
		 __u64 iova)
{
	self->bar = edu_open_sysfs(&self->edu);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, edu_write_ram(self->bar, iova));
	edu_close(self->bar);
	self->bar = NULL;
}

/*
 * That the canary can be hit at all, and that the tests below would see it:
 * without translation the device reaches it.
 */
TEST_F(dma, identity_reaches_the_canary)
{
	own_and_write(_metadata, self, variant->path);
	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	ASSERT_EQ(0, driver_unbind(&self->edu));
	if (put("identity", GROUPS "/%d/type", self->edu.group))
		SKIP(return, "no identity domain");
	poke(_metadata, self, self->physical);
	EXPECT_FALSE(page_is(self->canary, CANARY));
	ASSERT_EQ(0, put("DMA", GROUPS "/%d/type", self->edu.group));
}

TEST_F(dma, before)
{
	poke(_metadata, self, self->physical);
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

TEST_F(dma, during_lands_where_mapped)
{
	own_and_write(_metadata, self, variant->path);
	EXPECT_TRUE(page_is(self->target, PATTERN));
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

TEST_F(dma, during_not_elsewhere)
{
	own_and_write(_metadata, self, variant->path);
	ASSERT_EQ(0, edu_write_ram(self->bar, self->physical));
	EXPECT_TRUE(page_is(self->canary, CANARY));

	/* Nor at an address that is mapped no more */
	memset(self->target, CANARY, self->size);
	vfio_unmap(&self->vfio, IOVA + self->size, self->size);
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, CANARY));
}

/* Claimed, nothing mapped: not even what the kernel has for this device */
TEST_F(dma, claimed_and_not_attached)
{
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	poke(_metadata, self, self->physical);
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

TEST_F(dma, after)
{
	own_and_write(_metadata, self, variant->path);
	ASSERT_TRUE(page_is(self->target, PATTERN));
	edu_close(self->bar);
	self->bar = NULL;
	vfio_close(&self->vfio);
	memset(self->target, CANARY, self->size);

	/* The device still has the addresses, and its data */
	poke(_metadata, self, IOVA + self->size);
	EXPECT_TRUE(page_is(self->target, CANARY));
	poke(_metadata, self, self->physical);
	EXPECT_TRUE(page_is(self->canary, CANARY));

	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	poke(_metadata, self, IOVA + self->size);
	EXPECT_TRUE(page_is(self->target, CANARY));
	poke(_metadata, self, self->physical);
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

TEST_F(dma, after_kill)
{
	struct holder holder;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&holder, variant->path, &self->edu));
	ASSERT_EQ(0, holder_end(&holder, HOLDER_KILL));
	poke(_metadata, self, self->physical);
	EXPECT_TRUE(page_is(self->canary, CANARY));
}

/* The next owner does not inherit the mappings of the last one */
TEST_F(dma, next_owner)
{
	own_and_write(_metadata, self, variant->path);
	ASSERT_TRUE(page_is(self->target, PATTERN));
	edu_close(self->bar);
	vfio_close(&self->vfio);
	memset(self->target, CANARY, self->size);

	ASSERT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	ASSERT_EQ(0, edu_read_ram(self->bar, IOVA));
	ASSERT_EQ(0, edu_write_ram(self->bar, IOVA + self->size));
	EXPECT_TRUE(page_is(self->target, CANARY));
}

TEST_HARNESS_MAIN
