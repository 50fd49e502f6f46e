// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes that want the same group at the same time
 *
 * IOMMU_OWNER_RACES in the environment says how often; without it a thousand
 * times.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>

#include "owner_test.h"

#define PCI	"/sys/bus/pci"
#define RACERS	2

struct shared {
	unsigned int arrived;
	int result[RACERS];
};

static unsigned int rounds(unsigned int def)
{
	const char *text = getenv("IOMMU_OWNER_RACES");
	unsigned int n = text ? strtoul(text, NULL, 10) : 1000;

	return def < 1000 ? (n * def + 999) / 1000 : n;
}

FIXTURE(race) {
	struct pdev edu;
	struct pdev nic;
	struct shared *shared;
	pid_t child;
	unsigned int phase;
	enum vfio_path path;
};

FIXTURE_SETUP(race)
{
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	self->shared = mmap(NULL, sizeof(*self->shared),
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->nic, USER_DRIVER));
}

FIXTURE_TEARDOWN(race)
{
	if (self->child > 0) {
		kill(self->child, SIGKILL);
		waitpid(self->child, NULL, 0);
	}
	driver_clear(&self->edu);
	driver_clear(&self->nic);
	klog_recover();
}

/* Wait for the other one. */
static void meet(struct _test_data_race *self)
{
	unsigned int *arrived = &self->shared->arrived;

	self->phase++;
	__atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) <
	       self->phase * RACERS)
		sched_yield();
}

/* One round of one racer: open, race, report, close */
typedef int (*racer)(struct _test_data_race *self, unsigned int who);

/* One file for the group: who has it has won the half of it */
static int try_group(struct _test_data_race *self, unsigned int who)
{
	struct vfio vfio;
	int ret;

	meet(self);
	ret = vfio_start(&vfio, self->path, &self->edu);
	self->shared->result[who] = ret;
	meet(self);
	if (!ret)
		vfio_close(&vfio);
	return ret;
}

/* Each has a device of its own in the group: only the ownership decides */
static int try_cdev(struct _test_data_race *self, unsigned int who)
{
	const struct pdev *pdev = who ? &self->nic : &self->edu;
	struct vfio vfio;
	int ret;

	ret = vfio_open(&vfio, PATH_CDEV, pdev);
	meet(self);
	if (!ret)
		ret = vfio_claim(&vfio, pdev);
	self->shared->result[who] = ret;
	meet(self);
	vfio_close(&vfio);
	return ret;
}

/* A kernel driver against a claim: never both, never a mixture */
static int try_driver(struct _test_data_race *self, unsigned int who)
{
	struct vfio vfio;
	int ret;

	if (who) {
		put(KERNEL_DRIVER, PCI "/devices/%s/driver_override",
		    self->nic.bdf);
		meet(self);
		ret = put(self->nic.bdf, PCI "/drivers/%s/bind", KERNEL_DRIVER);
		self->shared->result[who] = ret;
		meet(self);
		driver_unbind(&self->nic);
		return ret;
	}
	ret = vfio_open(&vfio, PATH_CDEV, &self->edu);
	meet(self);
	if (!ret)
		ret = vfio_claim(&vfio, &self->edu);
	self->shared->result[who] = ret;
	meet(self);
	vfio_close(&vfio);
	return ret;
}

static void run(struct __test_metadata *_metadata, struct _test_data_race *self,
		racer try, unsigned int n, int refused, int other)
{
	unsigned int wins[RACERS] = { 0 }, draws = 0;

	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		for (unsigned int i = 0; i < n; i++) {
			try(self, 1);
			meet(self);
		}
		_exit(0);
	}
	for (unsigned int i = 0; i < n; i++) {
		int *result = self->shared->result;

		try(self, 0);
		if (!result[0] == !result[1])
			draws++;
		if (!result[0])
			wins[0]++;
		else
			EXPECT_EQ(refused, result[0]);
		if (!result[1])
			wins[1]++;
		else
			EXPECT_EQ(other, result[1]);
		meet(self);
	}
	EXPECT_EQ(0, draws)
		TH_LOG("rounds without exactly one winner: %u of %u", draws, n);
	EXPECT_EQ(n, wins[0] + wins[1]);
	TH_LOG("%u rounds, won %u and %u", n, wins[0], wins[1]);
}

TEST_F_TIMEOUT(race, container, 600)
{
	self->path = PATH_CONTAINER;
	run(_metadata, self, try_group, rounds(1000), -EBUSY, -EBUSY);
}

TEST_F_TIMEOUT(race, compat, 600)
{
	self->path = PATH_COMPAT;
	run(_metadata, self, try_group, rounds(1000), -EBUSY, -EBUSY);
}

TEST_F_TIMEOUT(race, cdev, 600)
{
	run(_metadata, self, try_cdev, rounds(1000), -EPERM, -EPERM);
	/* And nothing is left of it */
	ASSERT_EQ(0, driver_unbind(&self->edu));
	EXPECT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
}

TEST_F_TIMEOUT(race, driver_against_claim, 600)
{
	driver_clear(&self->nic);
	run(_metadata, self, try_driver, rounds(200), -EPERM, -EBUSY);
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
}

/* Refusals in a row do not fill the log */
TEST_F(race, log_is_rate_limited)
{
	unsigned int lines = 0, n = 50;
	int klog = klog_open();
	struct vfio vfio;

	ASSERT_LE(0, klog);
	ASSERT_EQ(0, vfio_start(&vfio, PATH_CDEV, &self->edu));
	ASSERT_EQ(0, driver_unbind(&self->nic));
	for (unsigned int i = 0; i < n; i++)
		ASSERT_EQ(-EBUSY, driver_bind(&self->nic, KERNEL_DRIVER));
	while (lines < n && klog_find(klog, self->nic.bdf, "refused"))
		lines++;
	EXPECT_LT(0, lines);
	EXPECT_GT(n, lines);
	vfio_close(&vfio);
}

TEST_HARNESS_MAIN
