// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that cannot be revoked have no token that revokes: those of a driver that
 * maps registers when user space calls mmap(). Mediated devices have none at all.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "owner_test.h"
#include "owner_token.h"

/* A driver of VFIO without &vfio_device_ops.revoke, which takes any PCI device */
#define MAPPING_DRIVER	"nvgrace_gpu_vfio_pci"
#define NO_DRIVER	"no module " MAPPING_DRIVER

#define MDEV_UUID	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define MDEV_CREATE	"/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create"
#define MDEV_DEVICE	"/sys/bus/mdev/devices/" MDEV_UUID
#define NO_MDEV		"no module mtty"

FIXTURE(irrevocable) {
	struct pdev edu;
	struct vfio vfio;
	int token;
};

FIXTURE_VARIANT(irrevocable) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(irrevocable, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(irrevocable, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(irrevocable, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(irrevocable)
{
	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	if (load_module(MAPPING_DRIVER))
		SKIP(return, NO_DRIVER);
	driver_clear(&self->edu);
	ASSERT_EQ(0, driver_bind(&self->edu, MAPPING_DRIVER));
}

FIXTURE_TEARDOWN(irrevocable)
{
	vfio_close(&self->vfio);
	close_fd(&self->token);
	driver_clear(&self->edu);
	unload_module(MAPPING_DRIVER);
}

TEST_F(irrevocable, no_token)
{
	ASSERT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	EXPECT_EQ(-EOPNOTSUPP, self->token);
	self->token = token_of(self->vfio.device, IOMMU_OWNER_RIGHT_INSPECT);
	EXPECT_LE(0, self->token);
	close_fd(&self->token);
	EXPECT_TRUE(state_is(self->edu.group, "user"));

	/* The owner has nothing of the kind when the device is closed */
	close_fd(&self->vfio.device);
	self->token = token_of(vfio_owner_file(&self->vfio), FILE_RIGHTS);
	EXPECT_LE(0, self->token);
}

TEST_F(irrevocable, no_device_for_a_token)
{
	int ret;

	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	self->token = token_create("orchestrator", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_use(self->token, vfio_claimer(&self->vfio)));
	ret = vfio_claim(&self->vfio, &self->edu);
	if (!ret)
		ret = vfio_attach(&self->vfio, &self->edu);
	EXPECT_EQ(-EOPNOTSUPP, ret);
	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, vfio_start(&self->vfio, variant->path, &self->edu));
}

FIXTURE(mediated) {
	int container;
	int group;
	int device;
	int token;
};

FIXTURE_SETUP(mediated)
{
	char path[64];

	load_modules();
	self->container = -1;
	self->group = -1;
	self->device = -1;
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (load_module("mtty"))
		SKIP(return, NO_MDEV);
	ASSERT_EQ(0, put(MDEV_UUID, MDEV_CREATE));
	self->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container);
	snprintf(path, sizeof(path), "/dev/vfio/%d",
		 link_number(MDEV_DEVICE "/iommu_group"));
	self->group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->group)
		TH_LOG("%s: %m", path);
}

FIXTURE_TEARDOWN(mediated)
{
	close_fd(&self->device);
	close_fd(&self->group);
	close_fd(&self->container);
	close_fd(&self->token);
	if (exists(MDEV_DEVICE))
		EXPECT_EQ(0, put("1", MDEV_DEVICE "/remove"));
	unload_module("mtty");
}

TEST_F(mediated, no_token)
{
	ASSERT_EQ(0, call(self->group, VFIO_GROUP_SET_CONTAINER,
			  &self->container));
	ASSERT_EQ(0, call(self->container, VFIO_SET_IOMMU,
			  (void *)VFIO_TYPE1v2_IOMMU));
	self->device = call(self->group, VFIO_GROUP_GET_DEVICE_FD, MDEV_UUID);
	ASSERT_LE(0, self->device);
	self->token = token_of(self->group, FILE_RIGHTS);
	EXPECT_EQ(-EOPNOTSUPP, self->token);
	self->token = token_of(self->device, IOMMU_OWNER_RIGHT_INSPECT);
	EXPECT_EQ(-EOPNOTSUPP, self->token);
}

/* Nor does a token claim for it: the answer would be worth nothing. */
TEST_F(mediated, no_use_of_a_token)
{
	self->token = token_create("orchestrator", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	EXPECT_EQ(-EINVAL, token_use(self->token, self->group));
}

TEST_HARNESS_MAIN
