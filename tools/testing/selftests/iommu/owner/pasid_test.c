// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs of a device that its user has for itself: what VFIO and iommufd accept and
 * refuse for a device without PASIDs, and, with the mock device of the selftest of
 * iommufd, what is attached when, also when the ownership ends.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "owner_test.h"
#include "owner_token.h"

#define PASID		100
#define NO_MOCK		"no CONFIG_IOMMUFD_TEST"
#define NO_FAULTS	"no fault injection"
#define FAILSLAB	"/sys/kernel/debug/failslab"
#define QUOTA		"/sys/module/iommu_owner/parameters/pasid_quota"

/* What programs are built against, here or on mainline */
static_assert(IOMMU_HWPT_ALLOC_PASID == 1 << 3, "flag");
static_assert(IOMMU_HW_CAP_PCI_PASID_EXEC == 1 << 1, "capability");
static_assert(IOMMU_HW_CAP_PCI_PASID_PRIV == 1 << 2, "capability");
static_assert(offsetof(struct iommu_hw_info, out_max_pasid_log2) == 28,
	      "layout");
static_assert(VFIO_DEVICE_ATTACH_PASID == 1 << 0, "flag");
static_assert(VFIO_DEVICE_DETACH_PASID == 1 << 0, "flag");
static_assert(offsetof(struct vfio_device_attach_iommufd_pt, pasid) == 12,
	      "layout");
static_assert(sizeof(struct vfio_device_attach_iommufd_pt) == 16, "layout");
static_assert(offsetof(struct vfio_device_detach_iommufd_pt, pasid) == 8,
	      "layout");
static_assert(sizeof(struct vfio_device_detach_iommufd_pt) == 12, "layout");

static int hw_info(int iommufd, __u32 dev_id, struct iommu_hw_info *info)
{
	*info = (struct iommu_hw_info){
		.size = sizeof(*info), .dev_id = dev_id,
		.out_max_pasid_log2 = 0xff,
	};
	return call(iommufd, IOMMU_GET_HW_INFO, info);
}

static int destroy(int iommufd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(iommufd, IOMMU_DESTROY, &cmd);
}

static int hwpt_alloc(int iommufd, __u32 dev_id, __u32 ioas, __u32 flags,
		      __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev_id,
		.pt_id = ioas,
	};
	int ret = call(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return ret;
}

/* A device of VFIO that has no PASIDs, which is all that QEMU emulates */

FIXTURE(none) {
	struct pdev edu;
	struct vfio vfio;
	__u32 dev_id;
};

FIXTURE_SETUP(none)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CDEV, &self->edu));
	bind.iommufd = self->vfio.container;
	ASSERT_EQ(0, call(self->vfio.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	self->dev_id = bind.out_devid;
	ASSERT_EQ(0, call(self->vfio.container, IOMMU_IOAS_ALLOC, &ioas));
	self->vfio.ioas = ioas.out_ioas_id;
	attach.pt_id = ioas.out_ioas_id;
	ASSERT_EQ(0, call(self->vfio.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
			  &attach));
	self->vfio.attached = true;
}

FIXTURE_TEARDOWN(none)
{
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
}

static int attach_pt(int device, __u32 argsz, __u32 flags, __u32 pasid,
		     __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = argsz, .flags = flags, .pt_id = pt_id, .pasid = pasid,
	};

	return call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int detach_pt(int device, __u32 argsz, __u32 flags, __u32 pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = argsz, .flags = flags, .pasid = pasid,
	};

	return call(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

TEST_F(none, hardware_has_no_width)
{
	struct iommu_hw_info info;

	ASSERT_EQ(0, hw_info(self->vfio.container, self->dev_id, &info));
	EXPECT_EQ(0, info.out_max_pasid_log2);
	EXPECT_EQ(0, info.out_capabilities & (IOMMU_HW_CAP_PCI_PASID_EXEC |
					      IOMMU_HW_CAP_PCI_PASID_PRIV));
}

TEST_F(none, sizes_and_flags)
{
	int device = self->vfio.device;
	__u32 ioas = self->vfio.ioas;

	/* What was built before there were PASIDs */
	EXPECT_EQ(0, attach_pt(device, 12, 0, PASID, ioas));
	EXPECT_EQ(-EINVAL, attach_pt(device, 8, 0, 0, ioas));
	EXPECT_EQ(-EINVAL, attach_pt(device, 16, 1 << 1, PASID, ioas));
	EXPECT_EQ(-EINVAL, attach_pt(device, 12, VFIO_DEVICE_ATTACH_PASID,
				     PASID, ioas));
	EXPECT_EQ(-EINVAL, detach_pt(device, 12, 1 << 1, PASID));
	EXPECT_EQ(-EINVAL, detach_pt(device, 8, VFIO_DEVICE_DETACH_PASID,
				     PASID));
	EXPECT_EQ(-EINVAL, detach_pt(device, 4, 0, 0));
	EXPECT_EQ(0, detach_pt(device, 8, 0, PASID));
}

TEST_F(none, attach_is_refused)
{
	int device = self->vfio.device;
	__u32 ioas = self->vfio.ioas;

	EXPECT_EQ(-EINVAL, attach_pt(device, 16, VFIO_DEVICE_ATTACH_PASID,
				     0, ioas));
	EXPECT_EQ(-EINVAL, attach_pt(device, 16, VFIO_DEVICE_ATTACH_PASID,
				     PASID, ioas));
	EXPECT_EQ(-ENOENT, attach_pt(device, 16, VFIO_DEVICE_ATTACH_PASID,
				     PASID, UINT_MAX));
	EXPECT_EQ(-ENOSPC, attach_pt(device, 16, VFIO_DEVICE_ATTACH_PASID,
				     UINT_MAX, ioas));
}

TEST_F(none, attach_is_refused_by_the_width)
{
	int device = self->vfio.device;
	__u32 ioas = self->vfio.ioas;
	__u32 hwpt;
	int ret;

	ret = hwpt_alloc(self->vfio.container, self->dev_id, ioas,
			 IOMMU_HWPT_ALLOC_PASID, &hwpt);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no PASIDs");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, attach_pt(device, 16, 0, 0, hwpt));
	/* The IOMMU has PASIDs, the device has not */
	EXPECT_EQ(-EINVAL, attach_pt(device, 16, VFIO_DEVICE_ATTACH_PASID,
				     PASID, hwpt));
	EXPECT_EQ(0, attach_pt(device, 16, 0, 0, ioas));
	EXPECT_EQ(0, destroy(self->vfio.container, hwpt));
}

TEST_F(none, detach_leaves_the_device_attached)
{
	unsigned char *page = page_alloc(CANARY);
	void *bar;

	ASSERT_NE(NULL, page);
	ASSERT_EQ(0, vfio_map(&self->vfio, page, 0, getpagesize()));
	/* As in mainline, this is no error */
	EXPECT_EQ(0, detach_pt(self->vfio.device, 12, VFIO_DEVICE_DETACH_PASID,
			       PASID));
	EXPECT_EQ(0, detach_pt(self->vfio.device, 12, VFIO_DEVICE_DETACH_PASID,
			       0));
	bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(0, edu_write_ram(bar, 0));
	EXPECT_FALSE(page_is(page, CANARY));
	edu_close(bar);
}

/* The mock device, which has 20 bits of PASIDs or none */

FIXTURE(mock) {
	int iommufd;
	int token;
	int fault;
	int nth;
	__u32 ioas;
	__u32 stdev;
	__u32 dev_id;
	__u32 hwpt;
	__u32 other;
	__u32 plain;
};

static int mock_device(int iommufd, __u32 ioas, __u32 flags, __u32 *stdev,
		       __u32 *dev_id)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = ioas,
		.mock_domain_flags = { .dev_flags = flags },
	};
	int ret = call(iommufd, IOMMU_TEST_CMD, &cmd);

	*stdev = cmd.mock_domain_flags.out_stdev_id;
	*dev_id = cmd.mock_domain_flags.out_idev_id;
	return ret;
}

static int mock_change(int iommufd, __u32 op, __u32 stdev, __u32 pasid,
		       __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = op, .id = stdev,
		.pasid_attach = { .pasid = pasid, .pt_id = pt_id },
	};

	return call(iommufd, IOMMU_TEST_CMD, &cmd);
}

#define attach(_pasid, _pt)						\
	mock_change(self->iommufd, IOMMU_TEST_OP_PASID_ATTACH,		\
		    self->stdev, _pasid, _pt)
#define replace(_pasid, _pt)						\
	mock_change(self->iommufd, IOMMU_TEST_OP_PASID_REPLACE,		\
		    self->stdev, _pasid, _pt)
#define detach(_pasid)							\
	mock_change(self->iommufd, IOMMU_TEST_OP_PASID_DETACH,		\
		    self->stdev, _pasid, 0)
#define has(_pasid, _pt)						\
	(!mock_change(self->iommufd, IOMMU_TEST_OP_PASID_CHECK_HWPT,	\
		      self->stdev, _pasid, _pt))

/* Without a PASID */
static int mock_replace_rid(int iommufd, __u32 stdev, __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = stdev,
		.mock_domain_replace = { .pt_id = pt_id },
	};

	return call(iommufd, IOMMU_TEST_CMD, &cmd);
}

FIXTURE_SETUP(mock)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int ret;

	load_modules();
	self->token = -1;
	self->fault = -1;
	self->nth = -1;
	self->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, call(self->iommufd, IOMMU_IOAS_ALLOC, &ioas));
	self->ioas = ioas.out_ioas_id;
	ret = mock_device(self->iommufd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
			  &self->stdev, &self->dev_id);
	if (ret == -ENOTTY)
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->dev_id, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &self->hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->dev_id, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &self->other));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->dev_id, self->ioas, 0,
				&self->plain));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, self->stdev, self->hwpt));
}

FIXTURE_TEARDOWN(mock)
{
	close_fd(&self->nth);
	close_fd(&self->fault);
	close_fd(&self->token);
	close_fd(&self->iommufd);
}

TEST_F(mock, hardware_has_a_width)
{
	struct iommu_hw_info info;

	ASSERT_EQ(0, hw_info(self->iommufd, self->dev_id, &info));
	EXPECT_EQ(MOCK_PASID_WIDTH, info.out_max_pasid_log2);
}

TEST_F(mock, attach_replace_detach)
{
	EXPECT_EQ(0, detach(PASID));
	EXPECT_EQ(-EINVAL, replace(PASID, self->hwpt));
	EXPECT_TRUE(has(PASID, 0));

	ASSERT_EQ(0, attach(PASID, self->hwpt));
	EXPECT_TRUE(has(PASID, self->hwpt));
	EXPECT_TRUE(has(PASID + 1, 0));
	EXPECT_EQ(-EBUSY, attach(PASID, self->hwpt));
	EXPECT_EQ(-EBUSY, attach(PASID, self->other));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->hwpt));
	EXPECT_EQ(0, replace(PASID, self->hwpt));

	ASSERT_EQ(0, replace(PASID, self->other));
	EXPECT_TRUE(has(PASID, self->other));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->other));

	ASSERT_EQ(0, detach(PASID));
	EXPECT_TRUE(has(PASID, 0));
	EXPECT_EQ(0, destroy(self->iommufd, self->other));
}

TEST_F(mock, width)
{
	__u32 last = (1 << MOCK_PASID_WIDTH) - 1;

	EXPECT_EQ(0, attach(last, self->hwpt));
	EXPECT_TRUE(has(last, self->hwpt));
	EXPECT_EQ(-EINVAL, attach(last + 1, self->hwpt));
	EXPECT_EQ(-EINVAL, attach(UINT_MAX, self->hwpt));
	/* Here, that is the device itself, which has a page table */
	EXPECT_EQ(-EBUSY, attach(0, self->hwpt));
}

TEST_F(mock, page_tables_have_to_fit)
{
	/* The PASID, and the device */
	EXPECT_EQ(-EINVAL, attach(PASID, self->plain));
	EXPECT_EQ(-EINVAL, attach(PASID, self->ioas));
	EXPECT_TRUE(has(PASID, 0));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, self->stdev, self->plain));
	EXPECT_EQ(-EINVAL, attach(PASID, self->hwpt));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, self->stdev, self->other));

	/* And as long as the PASID is attached */
	ASSERT_EQ(0, attach(PASID, self->hwpt));
	EXPECT_EQ(-EINVAL, mock_replace_rid(self->iommufd, self->stdev,
					    self->plain));
	EXPECT_EQ(-EINVAL, mock_replace_rid(self->iommufd, self->stdev,
					    self->ioas));
	EXPECT_EQ(-EINVAL, replace(PASID, self->plain));
	EXPECT_TRUE(has(PASID, self->hwpt));
	EXPECT_TRUE(has(0, self->other));
	ASSERT_EQ(0, detach(PASID));
	EXPECT_EQ(0, mock_replace_rid(self->iommufd, self->stdev, self->plain));
}

TEST_F(mock, failed_replace_changes_nothing)
{
	ASSERT_EQ(0, attach(IOMMU_TEST_PASID_RESERVED, self->hwpt));
	EXPECT_EQ(-ENOMEM, replace(IOMMU_TEST_PASID_RESERVED, self->other));
	EXPECT_TRUE(has(IOMMU_TEST_PASID_RESERVED, self->hwpt));
	EXPECT_EQ(0, destroy(self->iommufd, self->other));
	EXPECT_EQ(0, detach(IOMMU_TEST_PASID_RESERVED));
}

TEST_F(mock, equal_numbers_do_not_meet)
{
	__u32 stdev, dev_id;

	ASSERT_EQ(0, mock_device(self->iommufd, self->ioas,
				 MOCK_FLAGS_DEVICE_PASID, &stdev, &dev_id));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, stdev, self->hwpt));
	ASSERT_EQ(0, attach(PASID, self->hwpt));
	ASSERT_EQ(0, mock_change(self->iommufd, IOMMU_TEST_OP_PASID_ATTACH,
				 stdev, PASID, self->other));
	EXPECT_TRUE(has(PASID, self->hwpt));
	ASSERT_EQ(0, destroy(self->iommufd, stdev));
	EXPECT_TRUE(has(PASID, self->hwpt));
	EXPECT_EQ(0, destroy(self->iommufd, self->other));
}

TEST_F(mock, device_without_pasids)
{
	__u32 stdev, dev_id;

	ASSERT_EQ(0, mock_device(self->iommufd, self->ioas, 0, &stdev,
				 &dev_id));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, stdev, self->hwpt));
	EXPECT_EQ(-EINVAL, mock_change(self->iommufd,
				       IOMMU_TEST_OP_PASID_ATTACH, stdev,
				       PASID, self->hwpt));
	EXPECT_EQ(0, mock_change(self->iommufd, IOMMU_TEST_OP_PASID_DETACH,
				 stdev, PASID, 0));
}

TEST_F(mock, device_goes_with_its_pasids)
{
	ASSERT_EQ(0, attach(PASID, self->other));
	ASSERT_EQ(0, destroy(self->iommufd, self->stdev));
	EXPECT_EQ(0, destroy(self->iommufd, self->other));
	EXPECT_EQ(0, destroy(self->iommufd, self->hwpt));
}

TEST_F(mock, faults_have_a_pasid)
{
	struct iommu_fault_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_hwpt_selftest data = {
		.iotlb = IOMMU_TEST_IOTLB_DEFAULT,
	};
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent), .dev_id = self->dev_id,
		.pt_id = self->ioas, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	};
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested), .dev_id = self->dev_id,
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data), .data_uptr = (uintptr_t)&data,
	};
	struct iommu_test_cmd trigger = {
		.size = sizeof(trigger), .op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = {
			.dev_id = self->dev_id, .pasid = PASID, .grpid = 2,
			.perm = IOMMU_PGFAULT_PERM_READ, .addr = 0xdeadbeaf,
		},
	};
	struct iommu_hwpt_page_response response = {};
	struct iommu_hwpt_pgfault fault = {};
	struct pollfd pollfd = { .events = POLLIN };
	int ret;

	ASSERT_EQ(0, call(self->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &alloc));
	self->fault = alloc.out_fault_fd;
	ASSERT_EQ(0, call(self->iommufd, IOMMU_HWPT_ALLOC, &parent));
	nested.pt_id = parent.out_hwpt_id;
	nested.fault_id = alloc.out_fault_id;
	ASSERT_EQ(0, call(self->iommufd, IOMMU_HWPT_ALLOC, &nested));

	ret = attach(PASID, nested.out_hwpt_id);
	if (ret == -ENODEV)
		SKIP(return, "no CONFIG_IOMMU_IOPF");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, call(self->iommufd, IOMMU_TEST_CMD, &trigger));
	ASSERT_EQ(sizeof(fault), read(self->fault, &fault, sizeof(fault)));
	EXPECT_EQ(PASID, fault.pasid);
	EXPECT_EQ(self->dev_id, fault.dev_id);
	EXPECT_TRUE(fault.flags & IOMMU_PGFAULT_FLAGS_PASID_VALID);
	response.cookie = fault.cookie;
	response.code = IOMMUFD_PAGE_RESP_SUCCESS;
	EXPECT_EQ(sizeof(response),
		  write(self->fault, &response, sizeof(response)));

	/* One that is not answered when the PASID gets another page table */
	trigger.trigger_iopf.grpid++;
	ASSERT_EQ(0, call(self->iommufd, IOMMU_TEST_CMD, &trigger));
	ASSERT_EQ(0, replace(PASID, self->hwpt));
	pollfd.fd = self->fault;
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, detach(PASID));
	EXPECT_EQ(0, destroy(self->iommufd, nested.out_hwpt_id));
}

/*
 * The core detaches the PASIDs; what iommufd has of them goes later, in silence. That
 * they reach nothing is seen by KUnit: the iommufd does nothing more than destroy.
 */
TEST_F(mock, revoked_with_pasids)
{
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	ASSERT_EQ(0, attach(PASID, self->hwpt));
	ASSERT_EQ(0, attach(PASID + 1, self->other));
	self->token = token_of(self->iommufd, FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));

	EXPECT_EQ(-ESTALE, attach(PASID + 2, self->hwpt));
	EXPECT_EQ(-ESTALE, replace(PASID, self->other));
	EXPECT_EQ(-ESTALE, detach(PASID));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->other));
	EXPECT_EQ(0, destroy(self->iommufd, self->stdev));
	EXPECT_EQ(0, destroy(self->iommufd, self->other));
	EXPECT_EQ(0, destroy(self->iommufd, self->hwpt));
	EXPECT_EQ(0, destroy(self->iommufd, self->plain));
	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
}

/* All devices of an owner together; what goes makes room. */
TEST_F(mock, limit)
{
	__u32 stdev, dev_id, n, quota;
	char text[32];

	ASSERT_LE(0, get(text, sizeof(text), QUOTA));
	quota = atoi(text);
	ASSERT_EQ(0, mock_device(self->iommufd, self->ioas,
				 MOCK_FLAGS_DEVICE_PASID, &stdev, &dev_id));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, stdev, self->hwpt));
	for (n = 1; n < quota; n++)
		ASSERT_EQ(0, attach(n * 7, self->hwpt));
	ASSERT_EQ(0, mock_change(self->iommufd, IOMMU_TEST_OP_PASID_ATTACH,
				 stdev, PASID, self->hwpt));
	EXPECT_EQ(-ENOSPC, attach(PASID, self->hwpt));
	EXPECT_TRUE(has(PASID, 0));
	EXPECT_EQ(-ENOSPC, mock_change(self->iommufd,
				       IOMMU_TEST_OP_PASID_ATTACH, stdev,
				       PASID + 1, self->hwpt));
	EXPECT_EQ(0, replace(7, self->other));

	EXPECT_EQ(0, detach(14));
	EXPECT_EQ(0, attach(PASID, self->hwpt));
	EXPECT_EQ(-ENOSPC, attach(14, self->hwpt));
	EXPECT_EQ(0, destroy(self->iommufd, stdev));
	EXPECT_EQ(0, attach(14, self->hwpt));
}

/*
 * An IOAS keeps the reserved regions of a device whose page table could not be
 * replaced by another one of the same IOAS.
 */
TEST_F(mock, failed_replace_keeps_reserved_regions)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map), .ioas_id = self->ioas,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.length = MOCK_RESERVED_SIZE, .iova = MOCK_APERTURE_START,
	};
	__u32 stdev, dev_id, dirty;
	void *buffer;

	buffer = mmap(NULL, MOCK_RESERVED_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buffer);
	map.user_va = (uintptr_t)buffer;
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->dev_id, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty));
	ASSERT_EQ(0, mock_device(self->iommufd, self->ioas,
				 MOCK_FLAGS_DEVICE_RESERVED |
				 MOCK_FLAGS_DEVICE_NO_DIRTY, &stdev, &dev_id));
	ASSERT_EQ(-EINVAL, call(self->iommufd, IOMMU_IOAS_MAP, &map));

	/* This device cannot have dirty tracking */
	ASSERT_EQ(-EINVAL, mock_replace_rid(self->iommufd, stdev, dirty));
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	ASSERT_EQ(0, mock_replace_rid(self->iommufd, stdev, self->plain));
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_IOAS_MAP, &map));

	/* Without the device it is as any other memory */
	ASSERT_EQ(0, destroy(self->iommufd, stdev));
	EXPECT_EQ(0, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	munmap(buffer, MOCK_RESERVED_SIZE);
}

/* Each allocation of an operation fails once: then nothing has changed. */

static bool faults_there(void)
{
	put("0", FAILSLAB "/verbose");
	return !put("N", FAILSLAB "/ignore-gfp-wait");
}

static void set_nth(int nth, unsigned int n)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* Even this can be what fails */
	if (pwrite(nth, text, len, 0) != len && pwrite(nth, text, len, 0) != len)
		abort();
}

/* Has the operation since set_nth() run into it? */
static bool nth_failed(int nth)
{
	char left[12] = "";
	ssize_t len = pread(nth, left, sizeof(left) - 1, 0);

	set_nth(nth, 0);
	return len > 0 && !atoi(left);
}

/*
 * With FAULT_INJECTION_USERCOPY the answer is what fails last. iommufd has failures of
 * its own: it does not find what is named.
 */
static bool is_fault(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT || ret == -ENOENT;
}

TEST_F(mock, fails_cleanly)
{
	bool failed;
	int ret;

	self->nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth < 0 || !faults_there())
		SKIP(return, NO_FAULTS);
	/* A page fault of the test itself is not to fail */
	mlockall(MCL_CURRENT | MCL_FUTURE);

	failed = true;
	for (unsigned int n = 1; failed; n++) {
		set_nth(self->nth, n);
		ret = attach(PASID, self->hwpt);
		failed = nth_failed(self->nth);
		/* What fails with a lock held may be tried again without it */
		ASSERT_TRUE(!ret || (failed && is_fault(ret)))
			TH_LOG("allocation %u: %d, failed %d", n, ret, failed);
		ASSERT_TRUE(has(PASID, ret ? 0 : self->hwpt));
		if (!ret)
			ASSERT_EQ(0, detach(PASID));
		ASSERT_GT(100, n);
	}

	ASSERT_EQ(0, attach(PASID, self->hwpt));
	failed = true;
	for (unsigned int n = 1; failed; n++) {
		set_nth(self->nth, n);
		ret = replace(PASID, self->other);
		failed = nth_failed(self->nth);
		ASSERT_TRUE(!ret || (failed && is_fault(ret)))
			TH_LOG("allocation %u: %d, failed %d", n, ret, failed);
		if (ret != -EFAULT)
			ASSERT_TRUE(has(PASID, ret ? self->hwpt : self->other));
		ASSERT_EQ(0, replace(PASID, self->hwpt));
		ASSERT_GT(100, n);
	}

	failed = true;
	for (unsigned int n = 1; failed; n++) {
		set_nth(self->nth, n);
		ret = detach(PASID);
		failed = nth_failed(self->nth);
		/* There is nothing to allocate */
		ASSERT_TRUE(!ret || (failed && is_fault(ret) && ret != -ENOMEM));
		ASSERT_GT(100, n);
	}
	EXPECT_TRUE(has(PASID, 0));
}

TEST_HARNESS_MAIN
