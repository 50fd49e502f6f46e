// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO without an IOMMU, and what lockdown leaves of it: nothing
 *
 * For a machine that has no IOMMU. The levels of lockdown follow each other, since
 * they cannot be lowered again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "owner_test.h"
#include "owner_token.h"

#define GROUPS		"/sys/kernel/iommu_groups"
#define NOIOMMU		"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

FIXTURE(noiommu) {
	struct pdev edu;
	struct vfio vfio;
	unsigned char *data;
	unsigned char *canary;
	__u64 physical;
	void *bar;
};

FIXTURE_VARIANT(noiommu) {
	enum lockdown level;
};

FIXTURE_VARIANT_ADD(noiommu, none) { .level = NONE };
FIXTURE_VARIANT_ADD(noiommu, integrity) { .level = INTEGRITY };
FIXTURE_VARIANT_ADD(noiommu, confidentiality) { .level = CONFIDENTIALITY };

FIXTURE_SETUP(noiommu)
{
	char name[32] = "";

	load_modules();
	if (!find_device("0x1234", "0x11e8", &self->edu))
		SKIP(return, "no edu device");
	/* VFIO makes a group for the device when it has none */
	if (self->edu.group >= 0)
		get(name, sizeof(name), GROUPS "/%d/name", self->edu.group);
	if (self->edu.group >= 0 && strcmp(name, "vfio-noiommu\n"))
		SKIP(return, "this machine has an IOMMU");
	if (lockdown_level() < 0)
		SKIP(return, NO_LOCKDOWN);
	if (lockdown_level() > (int)variant->level)
		SKIP(return, NOT_LOWER);

	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
	self->data = page_alloc(PATTERN);
	self->canary = page_alloc(CANARY);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->canary);
	self->physical = page_physical(self->canary);
	ASSERT_NE(0, self->physical)
		TH_LOG("no physical address in /proc/self/pagemap");
}

/* The devices stay bound: once locked down, they would not get a group again */
FIXTURE_TEARDOWN(noiommu)
{
	edu_close(self->bar);
	vfio_close(&self->vfio);
}

/* VFIO without an IOMMU, step by step. @path is that of the container. */
static int noiommu_open(struct vfio *vfio, enum vfio_path path,
			const struct pdev *pdev)
{
	char name[64];

	*vfio = (struct vfio){
		.path = path, .container = -1, .group = -1, .device = -1,
	};
	vfio->container = open(path == PATH_COMPAT ? "/dev/iommu" :
			       "/dev/vfio/vfio", O_RDWR);
	if (vfio->container < 0)
		return -errno;
	snprintf(name, sizeof(name), "/dev/vfio/noiommu-%d",
		 dev_group(pdev->bdf));
	vfio->group = open(name, O_RDWR);
	return vfio->group < 0 ? -errno : 0;
}

/* The steps to a device without an IOMMU */
enum step { OPEN, CONTAINER, IOMMU, DEVICE, STEPS };

static int noiommu_step(struct vfio *vfio, enum step step,
			enum vfio_path path, const struct pdev *pdev)
{
	int ret;

	switch (step) {
	case OPEN:
		return noiommu_open(vfio, path, pdev);
	case CONTAINER:
		return call(vfio->group, VFIO_GROUP_SET_CONTAINER,
			    &vfio->container);
	case IOMMU:
		return call(vfio->container, VFIO_SET_IOMMU,
			    (void *)VFIO_NOIOMMU_IOMMU);
	default:
		ret = call(vfio->group, VFIO_GROUP_GET_DEVICE_FD,
			   (void *)pdev->bdf);
		if (ret < 0)
			return ret;
		vfio->device = ret;
		return 0;
	}
}

/* All steps before @end; what the first one that fails returns */
static int noiommu_steps(struct vfio *vfio, enum step end, enum vfio_path path,
			 const struct pdev *pdev)
{
	int ret = 0;

	for (enum step step = OPEN; !ret && step < end; step++)
		ret = noiommu_step(vfio, step, path, pdev);
	return ret;
}

/* The kernel makes the group while it is not locked down; then it stays */
static int noiommu_group(const struct pdev *pdev)
{
	int ret;

	if (lockdown_level() > NONE)
		return driver_is(pdev, USER_DRIVER) ? 0 : -EINVAL;
	ret = put("Y", NOIOMMU);
	return ret ? ret : driver_bind(pdev, USER_DRIVER);
}

/* How far a device has got when the kernel is locked down */
static const struct stage {
	const char *vendor;
	const char *device;
	enum vfio_path path;
	enum step step;
} stages[] = {
	{ "0x8086", "0x10d3", PATH_CONTAINER, CONTAINER },
	{ "0x8086", "0x100e", PATH_CONTAINER, IOMMU },
	{ "0x1b36", "0x0010", PATH_CONTAINER, DEVICE },
	{ "0x1af4", "0x1041", PATH_COMPAT, CONTAINER },
	{ "0x1234", "0x11e8", PATH_COMPAT, DEVICE },
};

#define STAGES	ARRAY_SIZE(stages)

/*
 * First, since it begins at the level before: each step is refused on its own,
 * also when those before it were done while the kernel was not locked down.
 */
TEST_F(noiommu, each_step)
{
	int refused = variant->level > NONE ? -EPERM : 0;
	int before = lockdown_level();
	struct pdev pdev[STAGES];
	struct vfio vfio[STAGES];

	for (unsigned int i = 0; i < STAGES; i++) {
		const struct stage *s = &stages[i];

		ASSERT_TRUE(find_device(s->vendor, s->device, &pdev[i]));
		ASSERT_EQ(0, noiommu_group(&pdev[i]))
			TH_LOG("%s", pdev[i].bdf);
		EXPECT_EQ(before > NONE ? -EPERM : 0,
			  noiommu_steps(&vfio[i], before > NONE ? 1 : s->step,
					s->path, &pdev[i]))
			TH_LOG("%s before step %d", pdev[i].bdf, s->step);
	}
	ASSERT_EQ(0, lockdown_raise(variant->level));
	for (unsigned int i = 0; i < STAGES; i++) {
		if (before == NONE) {
			EXPECT_EQ(refused,
				  noiommu_step(&vfio[i], stages[i].step,
					       stages[i].path, &pdev[i]))
				TH_LOG("%s at step %d", pdev[i].bdf,
				       stages[i].step);
		}
		vfio_close(&vfio[i]);
	}
}

TEST_F(noiommu, parameter)
{
	ASSERT_EQ(0, lockdown_raise(variant->level));
	EXPECT_EQ(variant->level > NONE ? -EPERM : 0, put("Y", NOIOMMU));
	EXPECT_EQ(-EINVAL, put("maybe", NOIOMMU));
	/* What is safe is not refused; but the next level begins with Y */
	EXPECT_EQ(0, variant->level == NONE ? put("N", NOIOMMU) : 0);
}

/* With the parameter on since before, there is no new device to be had */
TEST_F(noiommu, bind)
{
	int expected = variant->level > NONE ? -EINVAL : 0;
	struct pdev ahci;

	ASSERT_EQ(0, variant->level == NONE ? put("Y", NOIOMMU) : 0);
	ASSERT_EQ(0, lockdown_raise(variant->level));
	ASSERT_TRUE(find_device("0x8086", "0x2922", &ahci));
	driver_clear(&ahci);
	EXPECT_EQ(expected, driver_bind(&ahci, USER_DRIVER));
}

/*
 * The attack: root drives a device that has no IOMMU before it, and lets it
 * write a page of memory by its physical address.
 */
TEST_F(noiommu, writes_any_page)
{
	int refused = variant->level > NONE ? -EPERM : 0;
	int no_token = access(TOKEN_DEVICE, F_OK) ? -ENOTTY : -EOPNOTSUPP;

	ASSERT_EQ(0, variant->level == NONE ? noiommu_group(&self->edu) : 0);
	ASSERT_EQ(0, lockdown_raise(variant->level));
	EXPECT_EQ(refused, noiommu_steps(&self->vfio, STEPS, PATH_CONTAINER,
					 &self->edu));
	if (self->vfio.device >= 0) {
		/* A revoke would take nothing back */
		EXPECT_EQ(no_token, token_of(self->vfio.group, FILE_RIGHTS));
		EXPECT_EQ(no_token, token_of(self->vfio.device,
					     IOMMU_OWNER_RIGHT_INSPECT));
		self->bar = edu_open_vfio(&self->vfio);
		ASSERT_NE(NULL, self->bar);
		ASSERT_EQ(0, edu_read_ram(self->bar,
					  page_physical(self->data)));
		ASSERT_EQ(0, edu_write_ram(self->bar, self->physical));
	}
	EXPECT_EQ(variant->level > NONE, page_is(self->canary, CANARY));
	EXPECT_EQ(variant->level == NONE, page_is(self->canary, PATTERN));
}

TEST_HARNESS_MAIN
