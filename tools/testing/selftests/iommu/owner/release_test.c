// SPDX-License-Identifier: GPL-2.0
/* The end of an ownership, in every way that it can come about */
#define _GNU_SOURCE
#include <limits.h>

#include <linux/vfio.h>

#include "owner_test.h"

#define PCI "/sys/bus/pci"

FIXTURE(release) {
	struct pdev edu;
	struct pdev nic;
	struct holder holder;
};

FIXTURE_VARIANT(release) {
	enum vfio_path path;
};

FIXTURE_VARIANT_ADD(release, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(release, compat) { .path = PATH_COMPAT };
FIXTURE_VARIANT_ADD(release, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(release)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, holder_start(&self->holder, variant->path, &self->edu));
	ASSERT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
}

FIXTURE_TEARDOWN(release)
{
	holder_end(&self->holder, HOLDER_KILL);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

/* The group is the kernel's again: both drivers bind, one has its network */
static void check_free(struct __test_metadata *_metadata,
		       struct _test_data_release *self)
{
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_TRUE(exists(PCI "/devices/%s/net", self->nic.bdf));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_F(release, by_close)
{
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	check_free(_metadata, self);
}

TEST_F(release, by_exit)
{
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_EXIT));
	check_free(_metadata, self);
}

TEST_F(release, by_kill)
{
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_KILL));
	check_free(_metadata, self);
}

/* An administrator takes the device: the process is asked and lets go */
TEST_F(release, by_unbind)
{
	char path[PATH_MAX];
	pid_t pid;

	snprintf(path, sizeof(path), PCI "/drivers/%s/unbind", USER_DRIVER);
	pid = put_async(self->edu.bdf, path);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(holder_requested(&self->holder, WAIT_MS));
	EXPECT_FALSE(exited(pid, 300));
	/* Still owned while the answer is awaited */
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	ASSERT_TRUE(exited(pid, WAIT_MS));
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(driver_is(&self->edu, NULL));
	check_free(_metadata, self);
}

TEST_F(release, claim_again)
{
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, holder_end(&self->holder, i % 3));
		EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE,
			  vfio_status(self->edu.group));
		ASSERT_EQ(0, holder_start(&self->holder, variant->path,
					  &self->edu));
	}
}

/* The reports follow, whatever the way */
TEST_F(release, state_is_kernel_after)
{
	static const enum holder_end how[] = {
		HOLDER_CLOSE, HOLDER_EXIT, HOLDER_KILL
	};
	char blockers[64], holder[64];
	int group = self->edu.group;

	for (unsigned int i = 0; i < ARRAY_SIZE(how); i++) {
		ASSERT_TRUE(state_is(group, "user"));
		ASSERT_EQ(0, holder_end(&self->holder, how[i]));
		EXPECT_TRUE(state_is(group, "kernel"));
		ASSERT_EQ(0, owner_get(group, "holder", holder,
				       sizeof(holder)));
		EXPECT_EQ(0, strncmp(holder, "0 kernel", 8));
		ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
		ASSERT_EQ(0, owner_get(group, "blockers", blockers,
				       sizeof(blockers)));
		EXPECT_NE(NULL, strstr(blockers, NIC_DRIVER));
		driver_unbind(&self->nic);
		ASSERT_EQ(0, holder_start(&self->holder, variant->path,
					  &self->edu));
	}
}

/* The files of the owner in another process: the last one ends it */
TEST_F(release, after_last_file_only)
{
	struct vfio vfio;
	pid_t pid;

	ASSERT_EQ(0, holder_end(&self->holder, HOLDER_CLOSE));
	ASSERT_EQ(0, vfio_start(&vfio, variant->path, &self->edu));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	vfio_close(&vfio);
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	check_free(_metadata, self);
}

TEST_HARNESS_MAIN
