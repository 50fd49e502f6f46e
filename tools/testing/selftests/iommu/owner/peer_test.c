// SPDX-License-Identifier: GPL-2.0
/*
 * One device reaches the registers of another by DMA, and no longer than the user
 * of both has the other one
 *
 * The first device copies a register of the second one to memory. The register
 * keeps what was written into it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include <linux/vfio.h>

#include "owner_park.h"
#include "owner_test.h"
#include "owner_token.h"

#define IOVA		0x10000000ULL
#define PEER_IOVA	0x20000000ULL
#define PEER_SIZE	0x100000ULL
/* A register that can be read in any way, and what is written into it */
#define PEER_REGISTER	0x80
#define MARK		0x5ec7e71dULL

FIXTURE(peer) {
	struct pdev edu;
	struct pdev peer;
	struct pdev nic;
	struct vfio vfio;
	struct vfio other;
	unsigned char *data;
	__u64 size;
	void *bar;
	void *peer_bar;
	int token;
};

FIXTURE_VARIANT(peer) {
	enum vfio_path path;	/* of the device that is reached */
};

FIXTURE_VARIANT_ADD(peer, container) { .path = PATH_CONTAINER };
FIXTURE_VARIANT_ADD(peer, cdev) { .path = PATH_CDEV };

FIXTURE_SETUP(peer)
{
	load_modules();
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->other = self->vfio;
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (!find_edu(&self->edu) || !find_shared(&self->peer, &self->nic))
		SKIP(return, NO_EDU);
	driver_clear(&self->edu);
	driver_clear(&self->peer);
	driver_clear(&self->nic);
	self->size = sysconf(_SC_PAGESIZE);
	self->data = page_alloc(0);
	ASSERT_NE(NULL, self->data);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->vfio, PATH_CONTAINER, &self->edu));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->data, IOVA, self->size));
	self->bar = edu_open_vfio(&self->vfio);
	ASSERT_NE(NULL, self->bar);
}

FIXTURE_TEARDOWN(peer)
{
	edu_close(self->bar);
	edu_close(self->peer_bar);
	vfio_close(&self->other);
	vfio_close(&self->vfio);
	close_fd(&self->token);
	driver_clear(&self->edu);
	driver_clear(&self->peer);
}

static void mark(void *bar)
{
	__atomic_store_n((__u64 *)((char *)bar + PEER_REGISTER), MARK,
			 __ATOMIC_SEQ_CST);
}

/* Does the first device reach the marked register of the second one? */
static bool reaches(struct _test_data_peer *self)
{
	memset(self->data, 0, self->size);
	if (edu_read_ram(self->bar, IOVA) ||
	    edu_read_ram(self->bar, PEER_IOVA + PEER_REGISTER) ||
	    edu_write_ram(self->bar, IOVA))
		return true;
	return __atomic_load_n((__u64 *)self->data, __ATOMIC_SEQ_CST) == MARK;
}

/* The same when the second device is the kernel's again */
static bool reaches_past_its_user(struct _test_data_peer *self)
{
	void *bar = edu_open_sysfs(&self->peer);
	bool ret = true;

	if (bar) {
		mark(bar);
		ret = reaches(self);
	}
	edu_close(bar);
	return ret;
}

static void open_peer(struct __test_metadata *_metadata,
		      struct _test_data_peer *self, enum vfio_path path)
{
	ASSERT_EQ(0, driver_bind(&self->peer, USER_DRIVER));
	ASSERT_EQ(0, vfio_start(&self->other, path, &self->peer));
	self->peer_bar = edu_open_vfio(&self->other);
	ASSERT_NE(NULL, self->peer_bar);
	mark(self->peer_bar);
}

static void map_peer(struct __test_metadata *_metadata,
		     struct _test_data_peer *self)
{
	ASSERT_EQ(0, vfio_map(&self->vfio, self->peer_bar, PEER_IOVA,
			      PEER_SIZE));
	ASSERT_TRUE(reaches(self));
}

TEST_F(peer, revoked)
{
	open_peer(_metadata, self, variant->path);
	map_peer(_metadata, self);
	self->token = token_of(vfio_owner_file(&self->other), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_FALSE(reaches_past_its_user(self));

	/* As if the user had unmapped it */
	EXPECT_EQ(0, vfio_unmap(&self->vfio, PEER_IOVA, PEER_SIZE));
	EXPECT_EQ(0, vfio_map(&self->vfio, self->data, PEER_IOVA, self->size));
}

TEST_F(peer, closed)
{
	open_peer(_metadata, self, variant->path);
	map_peer(_metadata, self);
	edu_close(self->peer_bar);
	self->peer_bar = NULL;
	EXPECT_TRUE(reaches(self));
	vfio_close(&self->other);
	EXPECT_FALSE(reaches_past_its_user(self));
}

/* Mapped through sysfs, by root, when nobody had the device */
TEST_F(peer, mapped_before_it_is_open)
{
	self->peer_bar = edu_open_sysfs(&self->peer);
	ASSERT_NE(NULL, self->peer_bar);
	mark(self->peer_bar);
	map_peer(_metadata, self);
	edu_close(self->peer_bar);
	self->peer_bar = NULL;

	open_peer(_metadata, self, variant->path);
	EXPECT_FALSE(reaches(self));
	/* The user of both may map it. */
	map_peer(_metadata, self);
}

/* Who has mapped the registers is in an operation that does not return. */
TEST_F(peer, revoked_while_its_user_hangs)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} dirty = {
		.head = { .argsz = sizeof(dirty) },
		.get = {
			.iova = IOVA, .size = self->size,
			.bitmap = { .pgsize = self->size, .size = 8 },
		},
	};
	struct parked parked;
	void *page;

	open_peer(_metadata, self, variant->path);
	map_peer(_metadata, self);
	self->token = token_of(vfio_owner_file(&self->other), FILE_RIGHTS);
	ASSERT_LE(0, self->token);
	page = parked_page(&parked, UFFDIO_REGISTER_MODE_MISSING);
	if (!page)
		SKIP(return, NO_USERFAULTFD);
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	ASSERT_EQ(0, call(self->vfio.container, VFIO_IOMMU_DIRTY_PAGES,
			  &dirty));
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	dirty.get.bitmap.data = page;
	ASSERT_EQ(0, parked_start(&parked, self->vfio.container,
				  VFIO_IOMMU_DIRTY_PAGES, &dirty));

	EXPECT_EQ(-ETIMEDOUT, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->peer.group, "quarantine"));
	EXPECT_EQ(0, parked_end(&parked));
	/* Completes by itself */
	EXPECT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_becomes(self->peer.group, "kernel"));
	EXPECT_FALSE(reaches_past_its_user(self));
}

/* Addresses at which there is nothing: as the registers of a large device */
#define FAR_ADDRESS	0x4000000000LL
#define FAR_SIZE	0x800000ULL

/*
 * Open and close a device all the time, on the same CPU as the test, and before it.
 * The container has no IOMMU, so the open fails, and takes little time.
 */
static pid_t open_all_the_time(struct _test_data_peer *self)
{
	struct sched_param param = { .sched_priority = 1 };
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (vfio_open(&self->other, PATH_CONTAINER, &self->peer) ||
	    vfio_claim(&self->other, &self->peer) ||
	    sched_setscheduler(0, SCHED_FIFO, &param))
		_exit(1);
	for (;;) {
		call(self->other.group, VFIO_GROUP_GET_DEVICE_FD,
		     self->peer.bdf);
		usleep(1000);
	}
}

/* The CPU time that it takes to map registers for DMA, in us; less than 0 if it fails */
static long long map_registers(struct _test_data_peer *self, void *registers)
{
	struct timespec begin, end;
	int ret;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	ret = vfio_map(&self->vfio, registers, PEER_IOVA, FAR_SIZE);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	if (!ret)
		ret = vfio_unmap(&self->vfio, PEER_IOVA, FAR_SIZE);
	return ret ? ret : (end.tv_sec - begin.tv_sec) * 1000000LL +
			   (end.tv_nsec - begin.tv_nsec) / 1000;
}

/* They look at what is mapped, but do not keep others from mapping. */
TEST_F(peer, mapped_while_others_open_devices)
{
	long long alone, together;
	void *registers;
	cpu_set_t cpu;
	pid_t pid;
	int fd;

	if (variant->path != PATH_CONTAINER)
		return;
	fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	registers = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 FAR_ADDRESS);
	ASSERT_NE(MAP_FAILED, registers);
	close(fd);
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	ASSERT_EQ(0, driver_bind(&self->peer, USER_DRIVER));
	alone = map_registers(self, registers);
	ASSERT_LT(0, alone);

	pid = open_all_the_time(self);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(state_becomes(self->peer.group, "user"));
	/* The host may have taken the CPU of the guest meanwhile */
	for (int i = 0; i < 5; i++) {
		together = map_registers(self, registers);
		if (together < 5 * alone)
			break;
	}
	EXPECT_FALSE(exited(pid, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(registers, FAR_SIZE);
	TH_LOG("%lld us alone, %lld us while others open devices", alone,
	       together);
	EXPECT_LT(0, together);
	EXPECT_GT(5 * alone, together);
}

TEST_HARNESS_MAIN
