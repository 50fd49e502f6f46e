// SPDX-License-Identifier: GPL-2.0
/*
 * Groups whose IOMMU has TCE tables (POWER): they are claimed and released as
 * others, and have no tokens. The edu and the e1000 are behind a PCI host bridge
 * that has no other device: each bridge is a group.
 */
#define _GNU_SOURCE
#include <sys/resource.h>

#include <linux/vfio.h>

#include "owner_test.h"
#include "owner_token.h"

#define NO_TCE	"no container of type SPAPR TCE"

FIXTURE(spapr) {
	struct pdev edu;
	struct pdev nic;
	struct vfio vfio;
	struct vfio_iommu_spapr_tce_info info;
	unsigned char *data;
	unsigned char *target;
	__u64 size;
	void *bar;
	int token;
};

static bool have_tce(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return false;
	ret = call(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_SPAPR_TCE_IOMMU);
	close(fd);
	return ret > 0;
}

FIXTURE_SETUP(spapr)
{
	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->token = -1;
	if (!have_tce())
		SKIP(return, NO_TCE);
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(PATTERN);
	self->target = page_alloc(CANARY);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->target);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CONTAINER, &self->edu));
}

FIXTURE_TEARDOWN(spapr)
{
	edu_close(self->bar);
	close_fd(&self->token);
	vfio_close(&self->vfio);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

static int set_tce(struct vfio *vfio)
{
	return call(vfio->container, VFIO_SET_IOMMU,
		    (void *)VFIO_SPAPR_TCE_IOMMU);
}

/* From the claim to memory that can be mapped */
static int start(struct _test_data_spapr *self)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct vfio *v = &self->vfio;
	int ret;

	/* The whole window is charged */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	ret = vfio_claim(v, &self->edu);
	if (!ret)
		ret = set_tce(v);
	if (ret)
		return ret;
	v->device = call(v->group, VFIO_GROUP_GET_DEVICE_FD, self->edu.bdf);
	if (v->device < 0)
		return v->device;
	self->info.argsz = sizeof(self->info);
	ret = call(v->container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &self->info);
	return ret ? ret : call(v->container, VFIO_IOMMU_ENABLE, NULL);
}

TEST_F(spapr, claim_is_refused_while_a_driver_is_bound)
{
	char expected[64], seen[256];

	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_EQ(-EPERM, vfio_claim(&self->vfio, &self->edu));
	ASSERT_EQ(0, owner_get(self->edu.group, "blockers", seen,
			       sizeof(seen)));
	snprintf(expected, sizeof(expected), "%s %s", self->nic.bdf,
		 NIC_DRIVER);
	EXPECT_STREQ(expected, seen);
	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_EQ(0, vfio_claim(&self->vfio, &self->edu));
}

TEST_F(spapr, claimed_and_released)
{
	char holder[64], expected[64];

	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	ASSERT_EQ(0, start(self));
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	snprintf(expected, sizeof(expected), "%d vfio ", getpid());
	ASSERT_EQ(0, owner_get(self->edu.group, "holder", holder,
			       sizeof(holder)));
	EXPECT_EQ(0, strncmp(holder, expected, strlen(expected)))
		TH_LOG("holder %s", holder);
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));

	vfio_close(&self->vfio);
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
}

TEST_F(spapr, released_by_kill)
{
	int pipes[2], ret = -1;
	pid_t pid;

	vfio_close(&self->vfio);
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ret = vfio_open(&self->vfio, PATH_CONTAINER, &self->edu);
		if (!ret)
			ret = start(self);
		if (write(pipes[1], &ret, sizeof(ret)) == sizeof(ret))
			pause();
		_exit(1);
	}
	EXPECT_EQ((ssize_t)sizeof(ret), read(pipes[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(state_is(self->edu.group, "kernel"));
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	close(pipes[0]);
	close(pipes[1]);
}

/* A revoke would leave the windows: what cannot be revoked has no token */
TEST_F(spapr, no_token)
{
	ASSERT_EQ(0, start(self));
	self->token = token_of(self->vfio.group, FILE_RIGHTS);
	EXPECT_EQ(-EOPNOTSUPP, self->token);
	self->token = token_of(self->vfio.device, IOMMU_OWNER_RIGHT_INSPECT);
	EXPECT_LE(0, self->token);
	EXPECT_TRUE(state_is(self->edu.group, "user"));
}

/* Nor does a group with a token get a container of this type */
TEST_F(spapr, no_container_for_a_token)
{
	self->token = token_create("orchestrator", ALL_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_use(self->token, self->vfio.group));
	ASSERT_EQ(0, vfio_claim(&self->vfio, &self->edu));
	EXPECT_EQ(-EOPNOTSUPP, set_tce(&self->vfio));
}

TEST_F(spapr, dma_lands_where_mapped)
{
	__u64 iova;

	ASSERT_EQ(0, start(self));
	iova = self->info.dma32_window_start;
	ASSERT_GE(self->info.dma32_window_size, 4 * self->size);
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, iova, self->size));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->target, iova + self->size,
			      self->size));
	ASSERT_EQ(0, edu_read_ram(self->bar, iova));
	ASSERT_EQ(0, edu_write_ram(self->bar, iova + self->size));
	EXPECT_TRUE(page_is(self->target, PATTERN));

	memset(self->target, CANARY, self->size);
	ASSERT_EQ(0, vfio_unmap(&self->vfio, iova + self->size, self->size));
	ASSERT_EQ(0, edu_write_ram(self->bar, iova + self->size));
	EXPECT_TRUE(page_is(self->target, CANARY));
}

TEST_HARNESS_MAIN
