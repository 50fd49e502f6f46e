// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs of the system-wide space, through tokens, and devices of two owners on one
 * function: the sample samples/vfio-mdev/mpasid.c
 *
 * The program plays the guest: it writes what a guest would write to the registers of a
 * device. Whether a DMA went through is seen in the memory that it should have reached.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/vfio.h>

#include "../../../../../samples/vfio-mdev/mpasid-defs.h"
#include "owner_test.h"
#include "owner_token.h"

#define NO_PASIDS	"no IOMMU that supports PASIDs"
#define NO_RIGHT	"no IOMMU_OWNER_RIGHT_PASID"
#define NO_MISC		"no misc controller in a cgroup v2 hierarchy"
#define NO_SAMPLE	"no mpasid-queue"
#define NO_FAULTS	"no fault injection"
#define QUOTA		"/sys/module/iommu_owner/parameters/pasid_quota"
#define PARENT		"/sys/class/mdev_bus/mpasid"
#define MDEV		"/sys/bus/mdev/devices"

/* Far from what the kernel gives out, and 16 numbers */
#define FIRST		0xf2000
#define LAST		(FIRST + 15)

SIZE_IS(iommu_owner_pasid_alloc, 24);
OFFSET_IS(iommu_owner_pasid_alloc, min, 8);
OFFSET_IS(iommu_owner_pasid_alloc, out_pasid, 16);
SIZE_IS(iommu_owner_pasid_free, 16);
OFFSET_IS(iommu_owner_pasid_free, out_flags, 12);
SIZE_IS(iommu_owner_pasid_info, 16);
OFFSET_IS(iommu_owner_pasid_info, devices, 12);
SIZE_IS(iommu_owner_pasid_list, 24);
OFFSET_IS(iommu_owner_pasid_list, pasids, 8);
OFFSET_IS(iommu_owner_pasid_list, nr_pasids, 16);
SIZE_IS(iommu_owner_pasid_map, 16);
OFFSET_IS(iommu_owner_pasid_map, guest, 12);
SIZE_IS(iommu_owner_pasid_permit, 16);
OFFSET_IS(iommu_owner_pasid_permit, pasid, 12);
SIZE_IS(iommu_owner_pasid_deny, 16);
SIZE_IS(iommu_owner_event, 192);

static int pasid_alloc(int token, __u32 min, __u32 max)
{
	struct iommu_owner_pasid_alloc cmd = {
		.size = sizeof(cmd), .min = min, .max = max,
	};
	int ret = call(token, IOMMU_OWNER_PASID_ALLOC, &cmd);

	return ret ? ret : (int)cmd.out_pasid;
}

static int pasid_free(int token, __u32 pasid)
{
	struct iommu_owner_pasid_free cmd = {
		.size = sizeof(cmd), .pasid = pasid,
	};

	return call(token, IOMMU_OWNER_PASID_FREE, &cmd);
}

static int pasid_map(int token, __u32 flags, __u32 pasid, __u32 guest)
{
	struct iommu_owner_pasid_map cmd = {
		.size = sizeof(cmd), .flags = flags, .pasid = pasid,
		.guest = guest,
	};

	return call(token, IOMMU_OWNER_PASID_MAP, &cmd);
}

static int pasid_permit(int token, int fd, __u32 pasid)
{
	struct iommu_owner_pasid_permit cmd = {
		.size = sizeof(cmd), .fd = fd, .pasid = pasid,
	};

	return call(token, IOMMU_OWNER_PASID_PERMIT, &cmd);
}

static int pasid_deny(int token, int fd, __u32 pasid)
{
	struct iommu_owner_pasid_deny cmd = {
		.size = sizeof(cmd), .fd = fd, .pasid = pasid,
	};

	return call(token, IOMMU_OWNER_PASID_DENY, &cmd);
}

static int pasid_list(int token, struct iommu_owner_pasid_info *pasids,
		      __u32 *count)
{
	struct iommu_owner_pasid_list cmd = {
		.size = sizeof(cmd), .pasids = (uintptr_t)pasids,
		.nr_pasids = *count, .pasid_size = sizeof(*pasids),
	};
	int ret = call(token, IOMMU_OWNER_PASID_LIST, &cmd);

	*count = cmd.nr_pasids;
	return ret;
}

/* A file that is closed may be put a little later */
static int pasid_alloc_soon(int token, __u32 pasid)
{
	int ret = -ENOSPC;

	for (int i = 0; i < 500 && ret == -ENOSPC; i++) {
		ret = pasid_alloc(token, pasid, pasid);
		nap(10);
	}
	return ret;
}

FIXTURE(pasid_set) {
	int victim;
	int attacker;
};

FIXTURE_SETUP(pasid_set)
{
	struct iommu_owner_query query = { .size = sizeof(query) };
	int fd = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC), ret;

	self->victim = -1;
	self->attacker = -1;
	if (fd < 0)
		SKIP(return, NO_TOKENS);
	ret = call(fd, IOMMU_OWNER_QUERY, &query);
	close(fd);
	if (ret || !(query.out_rights & IOMMU_OWNER_RIGHT_PASID))
		SKIP(return, NO_RIGHT);
	if (access(PARENT, F_OK))
		(void)!system("modprobe -q mpasid-queue");
	self->victim = token_create("victim", ALL_RIGHTS);
	self->attacker = token_create("attacker", ALL_RIGHTS);
	ASSERT_LE(0, self->victim);
	ASSERT_LE(0, self->attacker);
	ret = pasid_alloc(self->victim, FIRST, LAST);
	if (ret == -EOPNOTSUPP)
		SKIP(return, NO_PASIDS);
	ASSERT_EQ(FIRST, ret);
	ASSERT_EQ(0, pasid_free(self->victim, FIRST));
}

FIXTURE_TEARDOWN(pasid_set)
{
	close_fd(&self->victim);
	close_fd(&self->attacker);
}

TEST_F(pasid_set, right)
{
	int token = token_create("none", ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_PASID);
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	struct iommu_owner_pasid_info info[1];
	__u32 count = 1;

	ASSERT_LE(0, token);
	EXPECT_EQ(-EPERM, pasid_alloc(token, FIRST, LAST));
	EXPECT_EQ(-EPERM, pasid_free(token, FIRST));
	EXPECT_EQ(-EPERM, pasid_map(token, 0, FIRST, 1));
	EXPECT_EQ(-EPERM, pasid_list(token, info, &count));
	EXPECT_EQ(-EPERM, pasid_permit(token, token, FIRST));
	EXPECT_EQ(-EPERM, pasid_deny(token, token, FIRST));
	close(token);

	/* Anybody may open an iommufd: it does not give the right */
	ASSERT_LE(0, iommufd);
	EXPECT_EQ(-EPERM, token_of(iommufd, IOMMU_OWNER_RIGHT_PASID));
	close(iommufd);
}

TEST_F(pasid_set, alloc)
{
	EXPECT_EQ(-EINVAL, pasid_alloc(self->victim, 0, LAST));
	EXPECT_EQ(-EINVAL, pasid_alloc(self->victim, LAST, FIRST));
	EXPECT_EQ(-EINVAL, pasid_alloc(self->victim, FIRST, 1U << 20));
	for (int i = FIRST; i <= LAST; i++)
		EXPECT_EQ(i, pasid_alloc(self->victim, FIRST, LAST));
	EXPECT_EQ(-ENOSPC, pasid_alloc(self->attacker, FIRST, LAST));
	EXPECT_EQ(-EACCES, pasid_free(self->attacker, FIRST + 3));
	EXPECT_EQ(0, pasid_free(self->victim, FIRST + 3));
	EXPECT_EQ(-ENOENT, pasid_free(self->victim, FIRST + 3));
	EXPECT_EQ(FIRST + 3, pasid_alloc(self->attacker, FIRST, LAST));
}

/* What can be freed through a file that is passed on is what its rights say */
TEST_F(pasid_set, passed_file)
{
	int few = token_dup(self->victim, ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_PASID);
	int all = token_dup(self->victim, IOMMU_OWNER_RIGHT_PASID);
	int pasid = pasid_alloc(self->victim, FIRST, LAST);
	int status;
	pid_t pid;

	ASSERT_LE(0, few);
	ASSERT_LE(0, all);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pasid_free(few, pasid) != -EPERM ||
		      pasid_free(all, pasid));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, pasid_free(self->victim, pasid));
	close(few);
	close(all);
}

TEST_F(pasid_set, list_and_map)
{
	struct iommu_owner_pasid_info info[4];
	__u32 count = 0;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(FIRST + i, pasid_alloc(self->victim, FIRST, LAST));
	EXPECT_EQ(0, pasid_map(self->victim, 0, FIRST + 1, 5));
	EXPECT_EQ(0, pasid_map(self->victim, 0, FIRST + 1, 5));
	EXPECT_EQ(-EEXIST, pasid_map(self->victim, 0, FIRST + 2, 5));
	EXPECT_EQ(-EEXIST, pasid_map(self->victim, 0, FIRST + 1, 6));
	EXPECT_EQ(-EINVAL, pasid_map(self->victim, 0, FIRST, 0));
	EXPECT_EQ(-EINVAL, pasid_map(self->victim, 0, FIRST, 1U << 20));
	EXPECT_EQ(-EOPNOTSUPP, pasid_map(self->victim, 2, FIRST, 8));
	EXPECT_EQ(-EACCES, pasid_map(self->attacker, 0, FIRST, 8));
	EXPECT_EQ(-ENOENT,
		  pasid_map(self->attacker, IOMMU_OWNER_PASID_UNMAP, 0, 5));

	EXPECT_EQ(-EMSGSIZE, pasid_list(self->victim, NULL, &count));
	EXPECT_EQ(4, count);
	EXPECT_EQ(-EFAULT, pasid_list(self->victim, NULL, &count));
	count = 4;
	EXPECT_EQ(0, pasid_list(self->victim, info, &count));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(FIRST + i, info[i].pasid);
		EXPECT_EQ(i == 1 ? 5 : 0, info[i].guest);
		EXPECT_EQ(0, info[i].devices);
		EXPECT_EQ(IOMMU_OWNER_PASID_ALLOCATED, info[i].state);
	}
	EXPECT_EQ(0, pasid_list(self->attacker, info, &count));
	EXPECT_EQ(0, count);
	EXPECT_EQ(0, pasid_map(self->victim, IOMMU_OWNER_PASID_UNMAP, 0, 5));
}

TEST_F(pasid_set, permit_wrong_file)
{
	int pasid = pasid_alloc(self->victim, FIRST, LAST);
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-EBADF, pasid_permit(self->victim, -1, pasid));
	EXPECT_EQ(-EBADFD, pasid_permit(self->victim, fds[0], pasid));
	/* It stands for an owner, and for no device */
	EXPECT_EQ(-EOPNOTSUPP, pasid_permit(self->victim, self->victim, pasid));
	EXPECT_EQ(-EBADF, pasid_deny(self->victim, -1, pasid));
	EXPECT_EQ(-EBADFD, pasid_deny(self->victim, fds[0], pasid));
	close(fds[0]);
	close(fds[1]);
}

/* The end of the owner frees all: by a revoke, a close, and a death */
TEST_F(pasid_set, freed_by_revoke)
{
	ASSERT_EQ(FIRST, pasid_alloc(self->victim, FIRST, FIRST));
	EXPECT_EQ(-ENOSPC, pasid_alloc(self->attacker, FIRST, FIRST));
	EXPECT_EQ(0, token_revoke(self->victim));
	EXPECT_EQ(-ESTALE, pasid_alloc(self->victim, FIRST, LAST));
	EXPECT_EQ(-ESTALE, pasid_free(self->victim, FIRST));
	EXPECT_EQ(FIRST, pasid_alloc(self->attacker, FIRST, FIRST));
}

TEST_F(pasid_set, freed_by_close)
{
	int other = token_dup(self->victim, IOMMU_OWNER_RIGHT_PASID);
	int inspect = token_dup(self->victim, IOMMU_OWNER_RIGHT_INSPECT);

	ASSERT_LE(0, other);
	ASSERT_LE(0, inspect);
	ASSERT_EQ(FIRST, pasid_alloc(self->victim, FIRST, FIRST));
	close_fd(&self->victim);
	/* There is a token still */
	EXPECT_EQ(-ENOSPC, pasid_alloc(self->attacker, FIRST, FIRST));
	/* The other one cannot free it */
	close(other);
	EXPECT_EQ(FIRST, pasid_alloc(self->attacker, FIRST, FIRST));
	close(inspect);
}

/* The mm of the process is gone with it */
TEST_F(pasid_set, freed_by_kill)
{
	int fds[2], token;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		token = token_create("killed", ALL_RIGHTS);
		c = pasid_alloc(token, FIRST, FIRST) == FIRST;
		if (write(fds[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(fds[0], &c, 1));
	ASSERT_EQ(1, c);
	EXPECT_EQ(-ENOSPC, pasid_alloc(self->attacker, FIRST, FIRST));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(FIRST, pasid_alloc_soon(self->attacker, FIRST));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(pasid_set, quota)
{
	char had[32];

	ASSERT_LE(0, get(had, sizeof(had), QUOTA));
	ASSERT_EQ(0, put("3", QUOTA));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(FIRST + i,
				  pasid_alloc(self->victim, FIRST, LAST));
		EXPECT_EQ(-ENOSPC, pasid_alloc(self->victim, FIRST, LAST));
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(0, pasid_free(self->victim, FIRST + i));
	}
	EXPECT_EQ(0, put(had, QUOTA));
}

/* Limits of a cgroup */

static bool misc_mount(char *path, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	char controllers[512];
	bool found = false;

	while (mounts && !found && (mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_type, "cgroup2"))
			continue;
		found = get(controllers, sizeof(controllers),
			    "%s/cgroup.controllers", mount->mnt_dir) >= 0 &&
			strstr(controllers, "misc");
		snprintf(path, size, "%s", mount->mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* The number behind @key in a file of a cgroup; -1 if there is none */
static long misc_value(const char *cgroup, const char *file, const char *key)
{
	char text[512], *found;

	if (get(text, sizeof(text), "%s/%s", cgroup, file) < 0)
		return -1;
	found = strstr(text, key);
	return found ? strtol(found + strlen(key), NULL, 10) : -1;
}

TEST_F(pasid_set, cgroup)
{
	char mount[256], cgroup[512], text[32];
	int status;
	pid_t pid;

	if (!misc_mount(mount, sizeof(mount)) ||
	    put("+misc", "%s/cgroup.subtree_control", mount))
		SKIP(return, NO_MISC);
	EXPECT_LT(0, misc_value(mount, "misc.capacity", "iommu_pasid "));
	snprintf(cgroup, sizeof(cgroup), "%s/pasid-test-%d", mount, getpid());
	ASSERT_EQ(0, mkdir(cgroup, 0755));
	ASSERT_EQ(0, put("iommu_pasid 3", "%s/misc.max", cgroup));

	/* Allocated in there, by a process that ends */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		snprintf(text, sizeof(text), "%d", getpid());
		if (put(text, "%s/cgroup.procs", cgroup))
			_exit(1);
		for (int i = 0; i < 3; i++)
			if (pasid_alloc(self->victim, FIRST, LAST) != FIRST + i)
				_exit(2);
		if (pasid_alloc(self->victim, FIRST, LAST) != -ENOSPC)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(3, misc_value(cgroup, "misc.current", "iommu_pasid "));
	EXPECT_EQ(3, misc_value(cgroup, "misc.peak", "iommu_pasid "));
	EXPECT_EQ(1, misc_value(cgroup, "misc.events", "iommu_pasid.max "));
	EXPECT_EQ(1, misc_value(cgroup, "misc.events.local", "iommu_pasid.max "));

	/* Freed out here, one of them when the cgroup is gone */
	EXPECT_EQ(0, pasid_free(self->victim, FIRST));
	EXPECT_EQ(0, pasid_free(self->victim, FIRST + 1));
	EXPECT_EQ(1, misc_value(cgroup, "misc.current", "iommu_pasid "));
	EXPECT_EQ(0, rmdir(cgroup));
	EXPECT_EQ(0, token_revoke(self->victim));
	EXPECT_EQ(0, misc_value(mount, "misc.current", "iommu_pasid "));
}

/* Devices of two owners on one function */

struct queue {
	char uuid[40];
	int device;
	int iommufd;
};

static int queue_open(struct queue *q)
{
	char path[PATH_MAX], name[64] = "";
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), MDEV "/%s/vfio-dev", q->uuid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(name, sizeof(name), "%.60s", entry->d_name);
	closedir(dir);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	for (int i = 0; i < 200; i++) {
		q->device = open(path, O_RDWR | O_CLOEXEC);
		if (q->device >= 0 || errno != ENOENT)
			break;
		nap(10);
	}
	return q->device < 0 ? -errno : 0;
}

static int queue_bind(struct queue *q)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };

	q->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (q->iommufd < 0)
		return -errno;
	bind.iommufd = q->iommufd;
	return call(q->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static void queue_close(struct queue *q)
{
	close_fd(&q->device);
	close_fd(&q->iommufd);
}

static __u32 reg_read(const struct queue *q, off_t offset)
{
	__u32 value = ~0U;

	if (pread(q->device, &value, sizeof(value), offset) != sizeof(value))
		return ~0U;
	return value;
}

static int reg_write(const struct queue *q, off_t offset, __u32 value)
{
	return pwrite(q->device, &value, sizeof(value), offset) ==
	       sizeof(value) ? 0 : -errno;
}

/* The memory of a device, past its DMA */
static __u32 memory(const struct queue *q, unsigned int address)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 1 };
	__u32 value = ~0U;

	if (call(q->device, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    pread(q->device, &value, sizeof(value), info.offset + address) !=
	    sizeof(value))
		return ~0U;
	return value;
}

static void load(const struct queue *q, __u32 pasid)
{
	reg_write(q, MPASID_PASID, pasid);
}

static void dma_write(const struct queue *q, unsigned int address, __u32 value)
{
	reg_write(q, MPASID_ADDRESS, address);
	reg_write(q, MPASID_DATA, value);
}

FIXTURE(pasid_queue) {
	int victim;
	int attacker;
	struct queue mine;	/* of the victim */
	struct queue other;	/* of the attacker */
	__u32 pasid;
	__u32 own;		/* of the attacker */
};

FIXTURE_SETUP(pasid_queue)
{
	struct queue *queues[] = { &self->mine, &self->other };

	self->victim = -1;
	self->attacker = -1;
	for (unsigned int i = 0; i < 2; i++) {
		queues[i]->device = -1;
		queues[i]->iommufd = -1;
		queues[i]->uuid[0] = '\0';
	}
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	if (access(PARENT, F_OK))
		(void)!system("modprobe -q mpasid-queue");
	if (access(PARENT, F_OK))
		SKIP(return, NO_SAMPLE);
	self->victim = token_create("victim", ALL_RIGHTS);
	self->attacker = token_create("attacker", ALL_RIGHTS);
	ASSERT_LE(0, self->victim);
	ASSERT_LE(0, self->attacker);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(queues[i]->uuid, sizeof(queues[i]->uuid),
			 "0a1b2c3d-0000-4000-8000-%06x%06x", getpid(), i);
		ASSERT_EQ(0, put(queues[i]->uuid, PARENT
				 "/mdev_supported_types/mpasid-queue/create"));
		ASSERT_EQ(0, queue_open(queues[i]));
		ASSERT_EQ(0, queue_bind(queues[i]));
	}
	self->pasid = pasid_alloc(self->victim, FIRST, LAST);
	self->own = pasid_alloc(self->attacker, FIRST, LAST);
	ASSERT_LE(FIRST, self->pasid);
	ASSERT_LE(FIRST, self->own);
	ASSERT_EQ(0, pasid_permit(self->victim, self->mine.device, self->pasid));
	load(&self->mine, self->pasid);
	ASSERT_EQ(self->pasid, reg_read(&self->mine, MPASID_PASID));
}

FIXTURE_TEARDOWN(pasid_queue)
{
	queue_close(&self->mine);
	queue_close(&self->other);
	if (self->mine.uuid[0])
		put("1", MDEV "/%s/remove", self->mine.uuid);
	if (self->other.uuid[0])
		put("1", MDEV "/%s/remove", self->other.uuid);
	close_fd(&self->victim);
	close_fd(&self->attacker);
}

/* DMA of a device reaches its own memory. */
static void expect_dma(struct __test_metadata *_metadata, const struct queue *q,
		       __u32 value)
{
	dma_write(q, 64, value);
	EXPECT_EQ(value, memory(q, 64));
	EXPECT_EQ(value, reg_read(q, MPASID_DATA));
}

/* The guest asks for a PASID that is not on the list: a fault record, and no load */
TEST_F(pasid_queue, load_needs_a_permit)
{
	struct queue *q = &self->other;

	EXPECT_EQ(0, reg_read(q, MPASID_PASID));
	load(q, self->own);
	EXPECT_EQ(0, reg_read(q, MPASID_PASID));
	EXPECT_EQ(1, reg_read(q, MPASID_FAULTS));
	EXPECT_EQ(self->own, reg_read(q, MPASID_FAULT_PASID));
	EXPECT_EQ(MPASID_FAULT_LOAD, reg_read(q, MPASID_FAULT_REASON));
	dma_write(q, 0, 0x1111);
	EXPECT_EQ(2, reg_read(q, MPASID_FAULTS));
	EXPECT_EQ(MPASID_FAULT_DMA, reg_read(q, MPASID_FAULT_REASON));
	EXPECT_EQ(0, memory(q, 0));

	EXPECT_EQ(0, pasid_permit(self->attacker, q->device, self->own));
	load(q, self->own);
	EXPECT_EQ(self->own, reg_read(q, MPASID_PASID));
	expect_dma(_metadata, q, 0x2222);
	EXPECT_EQ(0, memory(&self->mine, 64));
	EXPECT_EQ(2, reg_read(q, MPASID_FAULTS));
	/* Past the memory */
	dma_write(q, 0x10000, 0x3333);
	EXPECT_EQ(3, reg_read(q, MPASID_FAULTS));
}

TEST_F(pasid_queue, attack)
{
	struct queue *q = &self->other;
	__u32 value = 0xa000;

	expect_dma(_metadata, &self->mine, value);
	load(q, self->pasid);
	EXPECT_EQ(MPASID_FAULT_LOAD, reg_read(q, MPASID_FAULT_REASON));
	dma_write(q, 64, 0xbad);
	EXPECT_EQ(value, memory(&self->mine, 64));
	EXPECT_EQ(0, reg_read(q, MPASID_DATA));

	EXPECT_EQ(-EACCES, pasid_permit(self->attacker, q->device, self->pasid));
	EXPECT_EQ(-EACCES, pasid_free(self->attacker, self->pasid));
	EXPECT_EQ(-EACCES, pasid_map(self->attacker, 0, self->pasid, 1));
	/* Even with the file of the device of the victim */
	EXPECT_EQ(-EACCES, pasid_permit(self->attacker, self->mine.device,
					self->own));
	EXPECT_EQ(-EACCES, pasid_deny(self->attacker, self->mine.device,
				      self->pasid));
	EXPECT_EQ(-ENOENT, pasid_deny(self->attacker, self->mine.device,
				      self->own));
	expect_dma(_metadata, &self->mine, ++value);

	/* A number that the victim has, in the guest of the attacker */
	EXPECT_EQ(0, pasid_permit(self->attacker, q->device, self->own));
	EXPECT_EQ(0, pasid_map(self->victim, 0, self->pasid, 1));
	reg_write(q, MPASID_GUEST_PASID, 1);
	EXPECT_EQ(0, reg_read(q, MPASID_PASID));
	EXPECT_EQ(0, token_revoke(self->attacker));
	load(q, self->pasid);
	load(q, self->own);
	EXPECT_EQ(0, reg_read(q, MPASID_PASID));
	dma_write(q, 64, 0xbad);
	expect_dma(_metadata, &self->mine, ++value);
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_FAULTS));
}

/* Two guests have the same number for PASIDs of their own. */
TEST_F(pasid_queue, guest_numbers)
{
	EXPECT_EQ(0, pasid_permit(self->attacker, self->other.device, self->own));
	EXPECT_EQ(0, pasid_map(self->victim, 0, self->pasid, 1));
	EXPECT_EQ(0, pasid_map(self->attacker, 0, self->own, 1));
	reg_write(&self->mine, MPASID_GUEST_PASID, 1);
	reg_write(&self->other, MPASID_GUEST_PASID, 1);
	EXPECT_EQ(self->pasid, reg_read(&self->mine, MPASID_PASID));
	EXPECT_EQ(self->own, reg_read(&self->other, MPASID_PASID));
	expect_dma(_metadata, &self->mine, 0x10);
	expect_dma(_metadata, &self->other, 0x20);
	EXPECT_EQ(0x10, memory(&self->mine, 64));

	reg_write(&self->mine, MPASID_GUEST_PASID, 2);
	EXPECT_EQ(2, reg_read(&self->mine, MPASID_FAULT_PASID));
	EXPECT_EQ(0, pasid_map(self->victim, IOMMU_OWNER_PASID_UNMAP, 0, 1));
	reg_write(&self->mine, MPASID_GUEST_PASID, 1);
	EXPECT_EQ(2, reg_read(&self->mine, MPASID_FAULTS));
}

TEST_F(pasid_queue, deny_takes_effect)
{
	struct iommu_owner_pasid_info info;
	__u32 count = 1;

	expect_dma(_metadata, &self->mine, 0x30);
	EXPECT_EQ(0, pasid_list(self->victim, &info, &count));
	EXPECT_EQ(1, info.devices);
	EXPECT_EQ(0, pasid_deny(self->victim, self->mine.device, self->pasid));
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
	dma_write(&self->mine, 64, 0xbad);
	EXPECT_EQ(0x30, memory(&self->mine, 64));
	load(&self->mine, self->pasid);
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
	EXPECT_EQ(-ENOENT, pasid_deny(self->victim, self->mine.device,
				      self->pasid));
	EXPECT_EQ(0, pasid_permit(self->victim, self->mine.device, self->pasid));
	load(&self->mine, self->pasid);
	expect_dma(_metadata, &self->mine, 0x31);
	EXPECT_EQ(0, pasid_free(self->victim, self->pasid));
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
}

TEST_F(pasid_queue, revoke_takes_effect)
{
	expect_dma(_metadata, &self->mine, 0x40);
	EXPECT_EQ(0, token_revoke(self->victim));
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
	dma_write(&self->mine, 64, 0xbad);
	EXPECT_EQ(0x40, memory(&self->mine, 64));
	EXPECT_EQ(-ESTALE, pasid_permit(self->victim, self->mine.device,
					self->pasid));
	/* The number is free, and still not for that device */
	EXPECT_EQ(self->pasid,
		  pasid_alloc(self->attacker, self->pasid, self->pasid));
	EXPECT_EQ(-EACCES, pasid_permit(self->attacker, self->mine.device,
					self->pasid));
	EXPECT_EQ(0, pasid_permit(self->attacker, self->other.device,
				  self->pasid));
	load(&self->other, self->pasid);
	expect_dma(_metadata, &self->other, 0x41);
	EXPECT_EQ(0x40, memory(&self->mine, 64));
}

/* The list is that of one use of the device. */
TEST_F(pasid_queue, close_ends_permits)
{
	expect_dma(_metadata, &self->mine, 0x50);
	queue_close(&self->mine);
	ASSERT_EQ(0, queue_open(&self->mine));
	/* No access yet */
	EXPECT_EQ(-EINVAL, pasid_permit(self->attacker, self->mine.device,
					self->own));
	ASSERT_EQ(0, queue_bind(&self->mine));
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
	load(&self->mine, self->pasid);
	EXPECT_EQ(0, reg_read(&self->mine, MPASID_PASID));
	EXPECT_EQ(0, pasid_permit(self->attacker, self->mine.device, self->own));
	load(&self->mine, self->own);
	expect_dma(_metadata, &self->mine, 0x51);
	EXPECT_EQ(-EACCES, pasid_permit(self->victim, self->mine.device,
					self->pasid));
	/* A PASID has one page table on a function */
	EXPECT_EQ(-EBUSY, pasid_permit(self->attacker, self->other.device,
				       self->own));
}

/* kill -9 of a VMM that has it all */
TEST_F(pasid_queue, kill_ends_all)
{
	int fds[2], token;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(fds));
	queue_close(&self->other);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		token = token_create("killed", ALL_RIGHTS);
		c = pasid_alloc(token, LAST, LAST) == LAST &&
		    !queue_open(&self->other) && !queue_bind(&self->other) &&
		    !pasid_permit(token, self->other.device, LAST);
		load(&self->other, LAST);
		c = c && reg_read(&self->other, MPASID_PASID) == LAST;
		if (write(fds[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(fds[0], &c, 1));
	EXPECT_EQ(1, c);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(LAST, pasid_alloc_soon(self->attacker, LAST));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(pasid_queue, sysfs)
{
	char text[4096], line[128];

	ASSERT_LE(0, get(text, sizeof(text),
			 "/sys/bus/mpasid/devices/mpasid/iommu_group/owner/pasids"));
	snprintf(line, sizeof(line), "%s %u victim 2 allocated",
		 self->mine.uuid, self->pasid);
	EXPECT_NE(NULL, strstr(text, line));
	EXPECT_EQ(NULL, strstr(text, self->other.uuid));
}

static void expect_event(struct __test_metadata *_metadata, int token,
			 __u32 type, __u32 pasid, const char *device)
{
	struct iommu_owner_event event = {};

	ASSERT_EQ(sizeof(event), read(token, &event, sizeof(event)));
	EXPECT_EQ(type, event.type);
	EXPECT_EQ(pasid, event.pasid);
	EXPECT_EQ(-1, event.group);
	EXPECT_STREQ(device, (char *)event.device);
}

TEST_F(pasid_queue, events)
{
	struct iommu_owner_event event;
	int token = self->victim;
	__u32 pasid = self->pasid;

	fcntl(token, F_SETFL, O_NONBLOCK);
	fcntl(self->attacker, F_SETFL, O_NONBLOCK);
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_ALLOCATED, pasid,
		     "");
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_BOUND, pasid,
		     self->mine.uuid);
	/* Refused on the device of the victim, and on that of the attacker */
	load(&self->mine, self->own);
	load(&self->other, pasid);
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_DENIED, self->own,
		     self->mine.uuid);
	EXPECT_EQ(0, pasid_free(token, pasid));
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_FREE_PENDING,
		     pasid, "");
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_UNBOUND, pasid,
		     self->mine.uuid);
	expect_event(_metadata, token, IOMMU_OWNER_EVENT_PASID_FREED, pasid, "");
	EXPECT_EQ(-1, read(token, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
	/* Nothing of it is for others */
	expect_event(_metadata, self->attacker,
		     IOMMU_OWNER_EVENT_PASID_ALLOCATED, self->own, "");
	EXPECT_EQ(-1, read(self->attacker, &event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
}

/*
 * Each ioctl fails at its first allocation or copy, at its second, ... until it
 * succeeds. After a failure nothing has changed.
 */

struct operation {
	const char *name;
	int (*run)(int token, int device, __u32 pasid);
	int (*undo)(int token, int device, __u32 pasid);
	int done;	/* what it returns when it was done before */
};

static int do_alloc(int token, int device, __u32 pasid)
{
	int ret = pasid_alloc(token, pasid, pasid);

	return ret < 0 ? ret : 0;
}

static int do_free(int token, int device, __u32 pasid)
{
	return pasid_free(token, pasid);
}

static int do_permit(int token, int device, __u32 pasid)
{
	return pasid_permit(token, device, pasid);
}

static int do_deny(int token, int device, __u32 pasid)
{
	return pasid_deny(token, device, pasid);
}

static int do_map(int token, int device, __u32 pasid)
{
	return pasid_map(token, 0, pasid, 9);
}

static int do_unmap(int token, int device, __u32 pasid)
{
	return pasid_map(token, IOMMU_OWNER_PASID_UNMAP, 0, 9);
}

static int do_list(int token, int device, __u32 pasid)
{
	struct iommu_owner_pasid_info info[4];
	__u32 count = 4;

	return pasid_list(token, info, &count);
}

static const struct operation operations[] = {
	{ "alloc", do_alloc, do_free },
	{ "permit", do_permit, do_deny },
	{ "deny", do_deny, do_permit },
	{ "map", do_map, do_unmap },
	{ "unmap", do_unmap, do_map },
	{ "list", do_list },
	{ "free", do_free, do_alloc },
};

static bool faults_there(void)
{
	if (put("N", "/sys/kernel/debug/failslab/ignore-gfp-wait"))
		return false;
	put("0", "/sys/kernel/debug/failslab/verbose");
	put("0", "/sys/kernel/debug/fail_usercopy/verbose");
	return true;
}

/* False if the operation had ended before the failure */
static bool inject(int nth, unsigned int n, const struct operation *op,
		   int token, int device, __u32 pasid, int *ret)
{
	char left[16] = "", text[16];
	ssize_t len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(nth, text, len, 0) != len)
		return false;
	*ret = op->run(token, device, pasid);
	if (pread(nth, left, sizeof(left) - 1, 0) < 0)
		return false;
	if (pwrite(nth, "0", 1, 0) != 1)
		(void)!pwrite(nth, "0", 1, 0);
	return atoi(left) == 0;
}

TEST_F(pasid_queue, fails_cleanly)
{
	int nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	int token = self->attacker, device = self->other.device, ret = 0;
	struct iommu_owner_pasid_info before[4], after[4];
	__u32 pasid = LAST, had, has;

	if (nth < 0 || !faults_there())
		SKIP(return, NO_FAULTS);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++) {
		const struct operation *op = &operations[i];
		unsigned int n, failed = 0;

		for (n = 1; n < 1000; n++) {
			had = 4;
			ASSERT_EQ(0, pasid_list(token, before, &had));
			if (!inject(nth, n, op, token, device, pasid, &ret))
				break;
			if (!ret) {
				/* It did without */
				if (op->undo)
					ASSERT_EQ(0, op->undo(token, device,
							      pasid));
				continue;
			}
			failed++;
			EXPECT_TRUE(ret == -ENOMEM || ret == -EFAULT);
			has = 4;
			ASSERT_EQ(0, pasid_list(token, after, &has));
			EXPECT_EQ(had, has);
			EXPECT_EQ(0, memcmp(before, after,
					    had * sizeof(before[0])));
		}
		EXPECT_EQ(0, ret);
		/* These allocate */
		if (op->run == do_alloc || op->run == do_permit)
			EXPECT_LT(0, failed);
		TH_LOG("%s: failed at %u of %u", op->name, failed, n - 1);
	}
	close(nth);
}

/* Nobody has a queue */
TEST(sample_is_unloaded)
{
	if (access(PARENT, F_OK))
		(void)!system("modprobe -q mpasid-queue");
	if (access(PARENT, F_OK))
		SKIP(return, NO_SAMPLE);
	EXPECT_EQ(0, system("modprobe -r mpasid-queue"));
	EXPECT_NE(0, access(PARENT, F_OK));
	EXPECT_EQ(0, system("modprobe mpasid-queue"));
	EXPECT_EQ(0, access(PARENT, F_OK));
}

TEST_HARNESS_MAIN
