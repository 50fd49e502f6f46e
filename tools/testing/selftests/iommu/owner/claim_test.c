// SPDX-License-Identifier: GPL-2.0
/* A claim by user space: what refuses it, and what is reported about that */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "owner_test.h"

FIXTURE(blocked) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
	int klog;
};

FIXTURE_VARIANT(blocked) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(blocked, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(blocked, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(blocked, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(blocked)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
}

FIXTURE_TEARDOWN(blocked)
{
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	trace_stop();
}

TEST_F(blocked, errno_is_eperm)
{
	EXPECT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	/* The driver of the sibling is not disturbed */
	EXPECT_TRUE(driver_is(&self->nic, NIC_DRIVER));
}

TEST_F(blocked, log_names_blocker_and_claimer)
{
	char blocker[64], claimer[64];
	bool found;

	snprintf(blocker, sizeof(blocker), "%s is bound to %s", self->nic.bdf,
		 NIC_DRIVER);
	snprintf(claimer, sizeof(claimer), "claim by %s (%s, pid %d) refused",
		 vfio_owner_name(variant->path), "claim_test", getpid());
	ASSERT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	found = klog_find(self->klog, "iommu-owner: group", claimer, blocker);
	if (!found && klog_limited(self->edu.group)) {
		vfio_close(&self->vfio);
		ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
		ASSERT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
		found = klog_find(self->klog, "iommu-owner: group", claimer,
				  blocker);
	}
	EXPECT_TRUE(found);
}

TEST_F(blocked, trace_names_claimer)
{
	char group[32], who[32];

	if (!trace_there())
		SKIP(return, NO_TRACING);
	ASSERT_EQ(0, trace_start("iommu_owner_refuse"));
	ASSERT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	snprintf(group, sizeof(group), "group=%d ", self->edu.group);
	snprintf(who, sizeof(who), "who=%s ", vfio_owner_name(variant->path));
	EXPECT_TRUE(trace_find("iommu_owner_refuse:", group, who,
			       "state=kernel"));
}

TEST_F(blocked, blockers_name_device_and_driver)
{
	char expected[64], seen[256];

	ASSERT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	ASSERT_EQ(0, owner_get(self->edu.group, "blockers", seen,
			       sizeof(seen)));
	snprintf(expected, sizeof(expected), "%s %s", self->nic.bdf,
		 NIC_DRIVER);
	EXPECT_STREQ(expected, seen);

	ASSERT_EQ(0, driver_unbind(&self->nic));
	ASSERT_EQ(0, owner_get(self->edu.group, "blockers", seen,
			       sizeof(seen)));
	EXPECT_STREQ("", seen);
}

TEST_F(blocked, works_after_unbind)
{
	ASSERT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	vfio_close(&self->vfio);
	ASSERT_EQ(0, driver_unbind(&self->nic));
	ASSERT_EQ(0, vfio_open(&self->vfio, variant->path, &self->edu));
	EXPECT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	EXPECT_EQ(0, vfio_attach(&self->vfio, &self->edu));
}

TEST_F(blocked, works_with_compatible_sibling)
{
	ASSERT_EQ(0, driver_bind(&self->nic, STUB_DRIVER));
	EXPECT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	EXPECT_EQ(0, vfio_attach(&self->vfio, &self->edu));
}

FIXTURE(legacy) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
};

FIXTURE_SETUP(legacy)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
}

FIXTURE_TEARDOWN(legacy)
{
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

TEST_F(legacy, viable_flag)
{
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_EQ(0, vfio_status(self->edu.group));
	ASSERT_EQ(0, driver_bind(&self->nic, STUB_DRIVER));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, vfio_status(self->edu.group));
	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, vfio_status(self->edu.group));
}

/* The group file in the states that a program takes it through */
TEST_F(legacy, errno_of_group_ioctls)
{
	struct vfio_group_status status = { .argsz = 1 };
	struct vfio *v = &self->vfio;
	int null, bad = -1, second;
	char path[64];

	ASSERT_EQ(0, vfio_open(v, PATH_CONTAINER, &self->edu));
	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);

	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_GET_DEVICE_FD,
				self->edu.bdf));
	EXPECT_EQ(-EFAULT, call(v->group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EBADF, call(v->group, VFIO_GROUP_SET_CONTAINER, &bad));
	EXPECT_EQ(-EBADFD, call(v->group, VFIO_GROUP_SET_CONTAINER, &null));
	EXPECT_EQ(-ENOTTY, call(v->group, VFIO_CHECK_EXTENSION, NULL));
	EXPECT_EQ(-EINVAL, call(v->container, VFIO_SET_IOMMU,
				(void *)VFIO_TYPE1v2_IOMMU));

	snprintf(path, sizeof(path), "/dev/vfio/%d", self->edu.group);
	second = open(path, O_RDWR);
	EXPECT_EQ(-1, second);
	EXPECT_EQ(EBUSY, errno);

	ASSERT_EQ(0, vfio_claim(v, &self->edu));
	status.argsz = sizeof(status);
	EXPECT_EQ(0, call(v->group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  status.flags);
	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_SET_CONTAINER,
				&v->container));
	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_GET_DEVICE_FD,
				self->edu.bdf));

	ASSERT_EQ(0, call(v->container, VFIO_SET_IOMMU,
			  (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENODEV, call(v->group, VFIO_GROUP_GET_DEVICE_FD,
				"0000:ff:1f.7"));
	v->device = call(v->group, VFIO_GROUP_GET_DEVICE_FD, self->edu.bdf);
	ASSERT_LE(0, v->device);
	EXPECT_EQ(-EBUSY, call(v->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	close(v->device);
	v->device = -1;
	EXPECT_EQ(0, call(v->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(-EINVAL, call(v->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	close(null);
}

/* The group is free between UNSET_CONTAINER and the next SET_CONTAINER */
TEST_F(legacy, unset_container_releases)
{
	struct vfio *v = &self->vfio;

	ASSERT_EQ(0, vfio_open(v, PATH_CONTAINER, &self->edu));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, vfio_claim(v, &self->edu));
		EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
		ASSERT_EQ(0, call(v->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
		EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
		EXPECT_EQ(-EPERM, vfio_claim(v, &self->edu));
		ASSERT_EQ(0, driver_unbind(&self->nic));
	}
}

TEST_F(legacy, errno_of_device_ioctls)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach), .pt_id = 0x1000,
	};
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio *v = &self->vfio;
	char path[64];
	int group;

	ASSERT_EQ(0, vfio_open(v, PATH_CDEV, &self->edu));
	EXPECT_EQ(-EINVAL, call(v->device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, call(v->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&attach));
	bind.iommufd = -1;
	EXPECT_EQ(-EINVAL, call(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.iommufd = open("/dev/null", O_RDWR);
	EXPECT_EQ(-EBADFD, call(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	close(bind.iommufd);

	ASSERT_EQ(0, vfio_claim(v, &self->edu));
	bind.iommufd = v->container;
	EXPECT_EQ(-EINVAL, call(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-ENOENT, call(v->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&attach));

	/* The group file and the device file exclude each other */
	snprintf(path, sizeof(path), "/dev/vfio/%d", self->edu.group);
	group = open(path, O_RDWR);
	EXPECT_EQ(-1, group);
	EXPECT_EQ(EBUSY, errno);
}

TEST_F(legacy, log_names_the_other_owner)
{
	char first[96], second[96];
	struct vfio *v = &self->vfio;
	struct holder holder;
	int klog, ret;

	klog = klog_open();
	ASSERT_LE(0, klog);
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&holder, PATH_CDEV, &self->edu));
	ret = vfio_open(v, PATH_CDEV, &self->nic);
	if (!ret)
		ret = vfio_claim(v, &self->nic);
	EXPECT_EQ(-EPERM, ret);
	snprintf(first, sizeof(first), "has user owner iommufd (%s, pid %d)",
		 HOLDER_COMM, holder.pid);
	snprintf(second, sizeof(second),
		 "claim by iommufd (claim_test, pid %d) refused", getpid());
	EXPECT_TRUE(klog_find(klog, "iommu-owner: group", first, second));
	holder_end(&holder, HOLDER_CLOSE);
	close(klog);
}

FIXTURE(owned) {
	struct pdev edu;
	struct pdev nic;
	struct holder holder;
	struct vfio vfio;
};

FIXTURE_VARIANT(owned) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(owned, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(owned, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(owned, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(owned)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
	self->vfio = (struct vfio){
		.container = -1, .group = -1, .device = -1
	};
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
}

FIXTURE_TEARDOWN(owned)
{
	holder_end(&self->holder, HOLDER_KILL);
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

TEST_F(owned, second_owner_is_refused)
{
	struct vfio *v = &self->vfio;
	int ret = vfio_open(v, PATH_CDEV, &self->nic);

	/* With the group file open the device file does not even open */
	if (!ret)
		ret = vfio_claim(v, &self->nic);
	EXPECT_EQ(variant->path == PATH_CDEV ? -EPERM : -EBUSY, ret);
	vfio_close(v);

	EXPECT_EQ(-EBUSY, vfio_open(v, PATH_CONTAINER, &self->nic));

	/* The first owner goes, the second one has its turn */
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, vfio_start(v, variant->path, &self->nic));
}

TEST_F(owned, type_of_domain_cannot_change)
{
	char before[32], after[32];

	ASSERT_EQ(0, get(before, sizeof(before),
			 "/sys/kernel/iommu_groups/%d/type", self->edu.group));
	EXPECT_EQ(-EPERM, put("identity", "/sys/kernel/iommu_groups/%d/type",
			      self->edu.group));
	ASSERT_EQ(0, get(after, sizeof(after),
			 "/sys/kernel/iommu_groups/%d/type", self->edu.group));
	EXPECT_STREQ(before, after);
}

/* Two devices of one group for one owner: it has the group until both go */
TEST_F(owned, second_device_of_the_same_owner)
{
	struct vfio first, second;

	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	ASSERT_EQ(0, vfio_start(&first, variant->path, &self->edu));
	if (variant->path == PATH_CDEV) {
		struct vfio_device_attach_iommufd_pt attach = {
			.argsz = sizeof(attach), .pt_id = first.ioas,
		};

		ASSERT_EQ(0, vfio_open(&second, PATH_CDEV, &self->nic));
		close(second.container);
		second.container = dup(first.container);
		ASSERT_EQ(0, vfio_claim(&second, &self->nic));
		ASSERT_EQ(0, call(second.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				  &attach));
		close(first.device);
		first.device = -1;
	} else {
		int device = call(first.group, VFIO_GROUP_GET_DEVICE_FD,
				  self->nic.bdf);

		ASSERT_LE(0, device);
		close(first.device);
		first.device = device;
		second = (struct vfio){
			.container = -1, .group = -1, .device = -1
		};
	}
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_EQ(-EBUSY, driver_bind(&self->edu, KERNEL_DRIVER));
	vfio_close(&second);
	vfio_close(&first);
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_HARNESS_MAIN
