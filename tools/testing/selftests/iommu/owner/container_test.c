// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls of a container while its last group leaves it
 *
 * IOMMU_OWNER_RACES in the environment says how often the two race; without it
 * a thousand times.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "owner_test.h"

#define IOVA		0x100000
#define NO_USERFAULTFD	"no userfaultfd"
#define PAGE		((size_t)sysconf(_SC_PAGESIZE))

/* An ioctl that sleeps in the page fault for its argument */
struct parked {
	pthread_t thread;
	int uffd;
	int fd;
	unsigned long request;
	void *arg;
	int ret;
};

FIXTURE(container) {
	struct pdev edu;
	struct vfio vfio;
	unsigned char *page;
	union {
		struct vfio_iommu_type1_dma_map map;
		struct vfio_iommu_type1_dma_unmap unmap;
		char page[1];
	} *arg;
	struct parked parked;
};

FIXTURE_VARIANT(container) {
	bool close;	/* the group, not VFIO_GROUP_UNSET_CONTAINER */
};

FIXTURE_VARIANT_ADD(container, unset) { .close = false };
FIXTURE_VARIANT_ADD(container, close) { .close = true };

/* A container can have groups again after the last one has left it */
static int container_join(struct vfio *vfio, const struct pdev *edu)
{
	int ret = 0;

	if (vfio->group < 0) {
		struct vfio next;

		ret = vfio_open(&next, PATH_CONTAINER, edu);
		if (ret)
			return ret;
		vfio->group = next.group;
		close_fd(&next.container);
	}
	ret = vfio_claim(vfio, edu);
	if (ret)
		return ret;
	return call(vfio->container, VFIO_SET_IOMMU,
		    (void *)VFIO_TYPE1v2_IOMMU);
}

static int container_leave(struct vfio *vfio, bool close)
{
	if (!close)
		return call(vfio->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	close_fd(&vfio->group);
	return 0;
}

static void *parked_ioctl(void *data)
{
	struct parked *parked = data;

	parked->ret = call(parked->fd, parked->request, parked->arg);
	return NULL;
}

static int park(struct parked *parked, int fd, unsigned long request)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;

	parked->fd = fd;
	parked->request = request;
	parked->arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range = (struct uffdio_range){ (uintptr_t)parked->arg, PAGE };
	if (parked->arg == MAP_FAILED ||
	    call(parked->uffd, UFFDIO_API, &api) ||
	    call(parked->uffd, UFFDIO_REGISTER, &range) ||
	    pthread_create(&parked->thread, NULL, parked_ioctl, parked) ||
	    read(parked->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return -EIO;
	return 0;
}

/* Let it go on with @arg, which is a page, and return what it returns */
static int unpark(struct parked *parked, const void *arg)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)parked->arg,
		.src = (uintptr_t)arg,
		.len = PAGE,
	};
	int ret = call(parked->uffd, UFFDIO_COPY, &copy);

	if (ret)
		return ret;
	pthread_join(parked->thread, NULL);
	return parked->ret;
}

FIXTURE_SETUP(container)
{
	self->vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
	self->parked.uffd = -1;
	load_modules();
	if (!find_edu(&self->edu))
		SKIP(return, NO_EDU);
	self->parked.uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (self->parked.uffd < 0)
		SKIP(return, NO_USERFAULTFD);
	self->page = page_alloc(PATTERN);
	self->arg = (void *)page_alloc(0);
	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_open(&self->vfio, PATH_CONTAINER, &self->edu));
	ASSERT_EQ(0, container_join(&self->vfio, &self->edu));
}

FIXTURE_TEARDOWN(container)
{
	vfio_close(&self->vfio);
	close_fd(&self->parked.uffd);
	driver_clear(&self->edu);
}

/* It ends on the IOMMU that it began with, and that has no mapping any more. */
TEST_F(container, unmap_does_not_meet_the_next_iommu)
{
	struct vfio_iommu_type1_dma_unmap *result;
	__u64 begin;

	ASSERT_EQ(0, vfio_map(&self->vfio, self->page, IOVA, PAGE));
	self->arg->unmap = (struct vfio_iommu_type1_dma_unmap){
		.argsz = sizeof(self->arg->unmap), .iova = IOVA, .size = PAGE,
	};
	ASSERT_EQ(0, park(&self->parked, self->vfio.container,
			  VFIO_IOMMU_UNMAP_DMA));
	begin = now_ms();
	EXPECT_EQ(0, container_leave(&self->vfio, variant->close));
	EXPECT_GT(begin + WAIT_MS, now_ms());
	EXPECT_EQ(-EINVAL, vfio_map(&self->vfio, self->page, IOVA, PAGE));

	ASSERT_EQ(0, container_join(&self->vfio, &self->edu));
	ASSERT_EQ(0, vfio_map(&self->vfio, self->page, IOVA, PAGE));
	result = self->parked.arg;
	EXPECT_EQ(0, unpark(&self->parked, self->arg));
	EXPECT_EQ(0, result->size);
	EXPECT_EQ(-EEXIST, vfio_map(&self->vfio, self->page, IOVA, PAGE));
	EXPECT_EQ(0, vfio_unmap(&self->vfio, IOVA, PAGE));
}

TEST_F(container, map_does_not_meet_the_next_iommu)
{
	self->arg->map = (struct vfio_iommu_type1_dma_map){
		.argsz = sizeof(self->arg->map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)self->page, .iova = IOVA, .size = PAGE,
	};
	ASSERT_EQ(0, park(&self->parked, self->vfio.container,
			  VFIO_IOMMU_MAP_DMA));
	EXPECT_EQ(0, container_leave(&self->vfio, variant->close));
	ASSERT_EQ(0, container_join(&self->vfio, &self->edu));
	EXPECT_EQ(0, unpark(&self->parked, self->arg));
	EXPECT_EQ(0, vfio_map(&self->vfio, self->page, IOVA, PAGE));
}

/* The code that it runs stays, too. */
TEST_F(container, ioctl_pins_the_driver)
{
	if (!exists("/sys/module/vfio_iommu_type1/initstate"))
		SKIP(return, "VFIO is not a module");
	self->arg->unmap = (struct vfio_iommu_type1_dma_unmap){
		.argsz = sizeof(self->arg->unmap), .iova = IOVA, .size = PAGE,
	};
	ASSERT_EQ(0, park(&self->parked, self->vfio.container,
			  VFIO_IOMMU_UNMAP_DMA));
	EXPECT_EQ(0, container_leave(&self->vfio, variant->close));
	EXPECT_EQ(-1, syscall(__NR_delete_module, "vfio_iommu_type1",
			      O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, unpark(&self->parked, self->arg));
	EXPECT_EQ(0, syscall(__NR_delete_module, "vfio_iommu_type1",
			     O_NONBLOCK));
	load_modules();
}

struct unmapper {
	struct vfio vfio;
	atomic_bool stop;
	unsigned int hits;	/* there was something to unmap from */
	int other;		/* what nobody expects */
};

static void *unmap_all_the_time(void *data)
{
	struct unmapper *unmapper = data;
	int ret;

	while (!atomic_load(&unmapper->stop)) {
		ret = vfio_unmap(&unmapper->vfio, IOVA, PAGE);
		if (!ret)
			unmapper->hits++;
		else if (ret != -EINVAL)
			unmapper->other = ret;
	}
	return NULL;
}

TEST_F_TIMEOUT(container, unmap_races_with_leave, 600)
{
	const char *text = getenv("IOMMU_OWNER_RACES");
	unsigned int n = text ? strtoul(text, NULL, 10) : 1000;
	struct unmapper unmapper = { .vfio = self->vfio };
	pthread_t thread;
	int ret = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, unmap_all_the_time,
				    &unmapper));
	for (unsigned int i = 0; i < n && !ret; i++) {
		ret = container_leave(&self->vfio, variant->close);
		if (!ret)
			ret = container_join(&self->vfio, &self->edu);
		if (!ret)
			ret = vfio_map(&self->vfio, self->page, IOVA, PAGE);
	}
	atomic_store(&unmapper.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, unmapper.other);
	EXPECT_LT(0, unmapper.hits);
	TH_LOG("%u rounds, %u times unmapped", n, unmapper.hits);
}

TEST_HARNESS_MAIN
