// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: PASIDs of the system-wide space, their owners, and the devices that
 * may load them
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/misc_cgroup.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>

#include "../pasid.h"
#include "mock.h"

/* Far from the numbers that the kernel gives out */
#define FIRST	0xf0000
#define LAST	(FIRST + 63)
/* What the mock IOMMU can attach to: below MOCK_PASIDS */
#define LOW	1
#define HIGH	(MOCK_PASIDS - 1)

/**
 * struct child - A device on a shared function
 * @dev: The device.
 * @open: What stands for it while it is open.
 * @list: Entry in the children.
 * @loaded: The PASIDs, modulo 64, that its hardware has.
 * @unloads: How often the driver was asked to unload.
 * @reached: What the parent reached with the last of them then.
 * @hang: The driver does not return from there ...
 * @hanging: ... and is there now.
 * @go_on: Until it may.
 */
struct child {
	struct device dev;
	struct iommu_owner_pasid_device *open;
	struct list_head list;
	DECLARE_BITMAP(loaded, 64);
	atomic_t unloads;
	char reached;
	bool hang;
	struct completion hanging;
	struct completion go_on;
};

static LIST_HEAD(children);

static void child_release(struct device *dev)
{
	kfree(container_of(dev, struct child, dev));
}

static void child_unload(struct device *dev, ioasid_t pasid)
{
	struct child *child = container_of(dev, struct child, dev);

	if (pasid < MOCK_PASIDS)
		child->reached = mock_pasid_reach(to_mock_device(dev->parent),
						  pasid);
	if (READ_ONCE(child->hang)) {
		complete(&child->hanging);
		wait_for_completion(&child->go_on);
	}
	clear_bit(pasid % 64, child->loaded);
	atomic_inc(&child->unloads);
}

static const struct iommu_owner_pasid_ops child_ops = { .unload = child_unload };

static void child_open(struct kunit *test, struct child *child)
{
	child->open = iommu_owner_pasid_open(&child->dev, &child_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, child->open);
}

static void child_close(struct child *child)
{
	if (!IS_ERR_OR_NULL(child->open))
		iommu_owner_pasid_close(child->open);
	child->open = NULL;
}

static struct child *child_new(struct kunit *test, struct mock_device *parent)
{
	struct child *child = kzalloc(sizeof(*child), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, child);
	device_initialize(&child->dev);
	child->dev.release = child_release;
	child->dev.parent = &parent->dev;
	dev_set_name(&child->dev, "mock-child%u",
		     (unsigned int)list_count_nodes(&children));
	init_completion(&child->hanging);
	init_completion(&child->go_on);
	KUNIT_ASSERT_EQ(test, 0, device_add(&child->dev));
	list_add_tail(&child->list, &children);
	child_open(test, child);
	return child;
}

static void child_go_on(struct child *child)
{
	WRITE_ONCE(child->hang, false);
	complete_all(&child->go_on);
}

static bool allowed(struct child *child, ioasid_t pasid)
{
	int index = iommu_owner_pasid_load_lock(child->open);
	bool ret = iommu_owner_pasid_allowed(child->open, pasid);

	iommu_owner_pasid_load_unlock(child->open, index);
	return ret;
}

/* What the driver of a device does with a number that its guest has written */
static int load(struct child *child, ioasid_t pasid)
{
	int index = iommu_owner_pasid_load_lock(child->open);
	int ret = -EACCES;

	if (iommu_owner_pasid_allowed(child->open, pasid)) {
		set_bit(pasid % 64, child->loaded);
		ret = 0;
	}
	iommu_owner_pasid_load_unlock(child->open, index);
	return ret;
}

static bool loaded(struct child *child, ioasid_t pasid)
{
	return test_bit(pasid % 64, child->loaded);
}

static ioasid_t translate(struct child *child, ioasid_t guest)
{
	int index = iommu_owner_pasid_load_lock(child->open);
	ioasid_t pasid = iommu_owner_pasid_translate(child->open, guest);

	iommu_owner_pasid_load_unlock(child->open, index);
	return pasid;
}

static int alloc(struct iommu_owner *owner, ioasid_t min, ioasid_t max)
{
	struct iommu_owner_pasid *p = iommu_owner_pasid_reserve(owner, min, max);
	ioasid_t pasid;
	int ret;

	if (IS_ERR(p))
		return PTR_ERR(p);
	pasid = p->pasid;
	ret = iommu_owner_pasid_link(p);
	return ret ?: pasid;
}

static ioasid_t pasid_new(struct kunit *test, struct iommu_owner *owner)
{
	int pasid = alloc(owner, LOW, HIGH);

	KUNIT_ASSERT_GE(test, pasid, LOW);
	KUNIT_ASSERT_LE(test, pasid, HIGH);
	return pasid;
}

static int find(struct iommu_owner *owner, ioasid_t pasid)
{
	struct iommu_owner_pasid *p = iommu_owner_pasid_get(owner, pasid);

	if (IS_ERR(p))
		return PTR_ERR(p);
	iommu_owner_pasid_put(p);
	return 0;
}

/* The number is free: exactly this one can be allocated, and is freed again. */
static bool is_free(struct iommu_owner *owner, ioasid_t pasid)
{
	int ret = alloc(owner, pasid, pasid);

	if (ret == pasid)
		iommu_owner_pasid_free(owner, pasid);
	return ret == pasid;
}

/* What the tracepoint says, one letter each */

#define DIARY	64

struct diary {
	char text[DIARY];
	unsigned int length;
};

static void see_pasid(void *data, u32 pasid, const char *owner,
		      unsigned int event, const char *device, unsigned int refs)
{
	struct diary *diary = data;

	if (diary->length < DIARY - 1)
		diary->text[diary->length++] =
			"ABUPF"[event - IOMMU_OWNER_EVENT_PASID_ALLOCATED];
}

static struct diary *diary_new(struct kunit *test)
{
	struct diary *diary = kunit_kzalloc(test, sizeof(*diary), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, diary);
	mock_trace(test, "iommu_owner_pasid", see_pasid, diary);
	return diary;
}

/* The space */

static void numbers_are_in_the_range(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	DECLARE_BITMAP(seen, LAST - FIRST + 1) = {};

	KUNIT_EXPECT_EQ(test, -EINVAL, alloc(a, 0, 5));
	KUNIT_EXPECT_EQ(test, -EINVAL, alloc(a, LAST, FIRST));
	KUNIT_EXPECT_EQ(test, -EINVAL, alloc(a, 1, PASID_MAX + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, alloc(a, 1, IOMMU_PASID_INVALID));

	for (unsigned int i = 0; i <= LAST - FIRST; i++) {
		int pasid = alloc(i % 2 ? a : b, FIRST, LAST);

		KUNIT_ASSERT_GE(test, pasid, FIRST);
		KUNIT_ASSERT_LE(test, pasid, LAST);
		KUNIT_EXPECT_FALSE(test, test_and_set_bit(pasid - FIRST, seen));
	}
	/* The range is exhausted, for both */
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(b, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(b, FIRST));
	KUNIT_EXPECT_EQ(test, FIRST, alloc(a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, 33, a->nr_pasids);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(b));
}

/* All owners together get half of what the hardware has. */
static void owners_leave_numbers_to_the_kernel(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	int pasid[4];

	iommu_owner_pasid_set_capacity(8);
	for (unsigned int i = 0; i < 4; i++) {
		pasid[i] = alloc(i % 2 ? a : b, LOW, HIGH);
		KUNIT_EXPECT_GE(test, pasid[i], LOW);
	}
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, LOW, HIGH));
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(b, LOW, HIGH));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, pasid[1]));
	KUNIT_EXPECT_EQ(test, pasid[1], alloc(b, LOW, HIGH));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(b));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	iommu_owner_pasid_set_capacity(0);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			alloc(mock_owner(test, "c")->owner, LOW, HIGH));
}

static void owners_are_apart(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "victim")->owner;
	struct iommu_owner *b = mock_owner(test, "attacker")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct child *child = child_new(test, parent);
	struct child *other = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a), own = pasid_new(test, b);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(child->open, a, pasid));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_pasid_attach(child->open, domain, pasid));
	KUNIT_ASSERT_EQ(test, 0, load(child, pasid));

	KUNIT_EXPECT_EQ(test, -EACCES, find(b, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_pasid_free(b, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_pasid_map(b, pasid, 7));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_permit(other->open, b, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_deny(child->open, b, pasid));
	/* The device is that of the victim: it gets no other PASIDs */
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_permit(child->open, b, own));
	/* What was refused has not made the other one the attacker's */
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_attach(other->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES, load(other, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(b));

	KUNIT_EXPECT_EQ(test, MOCK_PAGING, mock_pasid_reach(parent, pasid));
	KUNIT_EXPECT_TRUE(test, loaded(child, pasid));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&child->unloads));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, pasid));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(parent, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, IOMMU_PASID_INVALID));
}

static void the_kernel_has_the_same_space(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *child = child_new(test, parent);
	ioasid_t pasid[MOCK_PASIDS], own = pasid_new(test, a);
	unsigned int n = 0;

	while (n < MOCK_PASIDS &&
	       (pasid[n] = iommu_alloc_global_pasid(&parent->dev)) !=
	       IOMMU_PASID_INVALID) {
		KUNIT_EXPECT_NE(test, own, pasid[n]);
		n++;
	}
	KUNIT_ASSERT_GT(test, n, 0);
	KUNIT_EXPECT_LT(test, n, HIGH);
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, LOW, HIGH));
	KUNIT_EXPECT_EQ(test, -EACCES, find(a, pasid[0]));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_pasid_free(a, pasid[0]));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_permit(child->open, a, pasid[0]));
	KUNIT_EXPECT_EQ(test, -EACCES, iommu_owner_pasid_map(a, pasid[0], 7));
	while (n--)
		iommu_free_global_pasid(pasid[n]);
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, pasid[0]));
	KUNIT_EXPECT_TRUE(test, is_free(a, pasid[0]));
}

/* A number is not found before it was returned to user space. */
static void reserved_number_is_not_found(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner_pasid *p = iommu_owner_pasid_reserve(a, FIRST, FIRST);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, FIRST));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommu_owner_pasid_free(a, FIRST));
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, FIRST));
	iommu_owner_pasid_unreserve(p);
	KUNIT_EXPECT_TRUE(test, is_free(a, FIRST));

	/* A revoke does not wait for a copy to user space */
	p = iommu_owner_pasid_reserve(a, FIRST, FIRST);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, -ESTALE, iommu_owner_pasid_link(p));
	KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	KUNIT_EXPECT_TRUE(test, is_free(mock_owner(test, "b")->owner, FIRST));
}

/* Free, and what is left then; named after defects of sets that there were */

static void lookup_heeds_free_pending(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct diary *diary = diary_new(test);
	ioasid_t pasid = pasid_new(test, a);
	struct iommu_owner_pasid *p;

	/* The reference comes first: it keeps the number */
	p = iommu_owner_pasid_get(a, pasid);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_EXPECT_EQ(test, 1, iommu_owner_pasid_free(a, pasid));
	/* The free comes first: no reference */
	KUNIT_EXPECT_EQ(test, -ENOENT, find(a, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommu_owner_pasid_free(a, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommu_owner_pasid_map(a, pasid, 17));
	KUNIT_EXPECT_FALSE(test, is_free(a, pasid));
	KUNIT_EXPECT_EQ(test, 1, a->nr_pasids);
	KUNIT_EXPECT_STREQ(test, "AP", diary->text);
	KUNIT_EXPECT_TRUE(test, iommu_owner_pasid_put(p));
	/* Each is sent once */
	KUNIT_EXPECT_STREQ(test, "APF", diary->text);
	KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	KUNIT_EXPECT_TRUE(test, is_free(a, pasid));
}

static void revoke_waits_for_references(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_owner_pasid *p;
	int pasid[8];

	for (unsigned int i = 0; i < 8; i++)
		pasid[i] = alloc(a, FIRST, LAST);
	p = iommu_owner_pasid_get(a, pasid[3]);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, -ESTALE, alloc(a, FIRST, LAST));
	for (unsigned int i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, i != 3, is_free(b, pasid[i]));
	iommu_owner_pasid_put(p);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_TRUE(test, is_free(b, pasid[3]));
}

static void quota_returns_when_the_set_is_freed(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	unsigned int had = iommu_owner_pasid_quota;

	iommu_owner_pasid_quota = 3;
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < 3; i++)
			KUNIT_EXPECT_GE(test, alloc(a, FIRST, LAST), FIRST);
		KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
		/* That of one owner is not that of another */
		KUNIT_EXPECT_TRUE(test, is_free(b, LAST));
		iommu_owner_pasid_free_all(a);
		KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	}
	iommu_owner_pasid_quota = had;
}

/* What is attached to PASIDs of its devices counts as its numbers do. */
static void quota_is_for_devices_as_well(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	unsigned int had = iommu_owner_pasid_quota;
	struct device *dev = &mdev->dev;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, dev));
	iommu_owner_pasid_quota = 2;
	KUNIT_EXPECT_EQ(test, FIRST, alloc(a, FIRST, FIRST));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a, domain, dev, 1,
							NULL));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			iommu_owner_attach_device_pasid(a, domain, dev, 2,
							NULL));
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_detach_device_pasid(a, domain, dev, 1));
	KUNIT_EXPECT_EQ(test, FIRST + 1, alloc(a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, 2, a->nr_pasids);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	iommu_owner_pasid_quota = had;
}

/* Cgroups that only these tests have: a root, a cgroup and its child */

#ifdef CONFIG_CGROUP_MISC

struct cgroups {
	struct misc_cg cg[3];
	struct completion gone[3];
	struct misc_cg *current_cg;
};

static struct cgroups *cgroups;

static void cgroup_is_gone(struct percpu_ref *ref)
{
	for (unsigned int i = 0; i < 3; i++)
		if (ref == &cgroups->cg[i].css.refcnt)
			complete(&cgroups->gone[i]);
}

static struct misc_cg *current_cgroup(void)
{
	css_get(&cgroups->current_cg->css);
	return cgroups->current_cg;
}

static struct misc_res *cgroup_res(unsigned int i)
{
	return &cgroups->cg[i].res[MISC_CG_RES_IOMMU_PASID];
}

static u64 charged(unsigned int i)
{
	return atomic64_read(&cgroup_res(i)->usage);
}

static void cgroups_new(struct kunit *test)
{
	cgroups = kunit_kzalloc(test, sizeof(*cgroups), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cgroups);
	for (unsigned int i = 0; i < 3; i++) {
		struct misc_cg *cg = &cgroups->cg[i];

		init_completion(&cgroups->gone[i]);
		KUNIT_ASSERT_EQ(test, 0,
				percpu_ref_init(&cg->css.refcnt, cgroup_is_gone,
						0, GFP_KERNEL));
		cg->css.parent = i ? &cgroups->cg[i - 1].css : NULL;
		cgroup_res(i)->max = U64_MAX;
	}
	cgroups->current_cg = &cgroups->cg[2];
	kunit_activate_static_stub(test, iommu_owner_pasid_cgroup,
				   current_cgroup);
}

/* rmdir */
static void cgroup_remove(unsigned int i)
{
	percpu_ref_kill(&cgroups->cg[i].css.refcnt);
}

/* Nothing is charged any more; once removed, each goes, as nothing refers to it. */
static void cgroups_are_gone(struct kunit *test)
{
	kunit_deactivate_static_stub(test, iommu_owner_pasid_cgroup);
	for (unsigned int i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, 0, charged(i));
		if (!percpu_ref_is_dying(&cgroups->cg[i].css.refcnt))
			cgroup_remove(i);
		KUNIT_EXPECT_NE(test, 0,
				wait_for_completion_timeout(&cgroups->gone[i],
							    5 * HZ));
		percpu_ref_exit(&cgroups->cg[i].css.refcnt);
	}
}

static void charges_are_hierarchical(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	ioasid_t pasid;

	cgroups_new(test);
	cgroup_res(1)->max = 3;
	for (unsigned int i = 0; i < 3; i++)
		KUNIT_EXPECT_GE(test, alloc(a, FIRST, LAST), FIRST);
	for (unsigned int i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, 3, charged(i));
	/* The limit of a parent, which misc calls -EBUSY */
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
	/* The kernel's own are not charged */
	pasid = iommu_alloc_global_pasid(&parent->dev);
	KUNIT_EXPECT_NE(test, IOMMU_PASID_INVALID, pasid);
	for (unsigned int i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, 3, charged(i));
	iommu_free_global_pasid(pasid);
	iommu_owner_pasid_free_all(a);
	cgroups_are_gone(test);
}

/* Nothing stays charged if there is no number, no room, or no owner any more. */
static void failed_allocs_are_uncharged(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	unsigned int had = iommu_owner_pasid_quota;
	struct iommu_owner_pasid *p;

	KUNIT_ASSERT_EQ(test, FIRST, alloc(a, FIRST, FIRST));
	cgroups_new(test);
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, FIRST));
	KUNIT_EXPECT_EQ(test, 0, charged(2));
	iommu_owner_pasid_quota = 1;
	KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
	iommu_owner_pasid_quota = had;
	KUNIT_EXPECT_EQ(test, 0, charged(2));
	p = iommu_owner_pasid_reserve(a, FIRST, LAST);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_EXPECT_EQ(test, 1, charged(2));
	iommu_owner_pasid_unreserve(p);
	KUNIT_EXPECT_EQ(test, 0, charged(2));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, -ESTALE, alloc(a, FIRST, LAST));
	cgroups_are_gone(test);
}

static void uncharge_goes_to_the_charged_cgroup(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner_pasid *p;
	int pasid;

	cgroups_new(test);
	pasid = alloc(a, FIRST, LAST);
	p = iommu_owner_pasid_get(a, pasid);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	/* The task moves, or another one frees */
	cgroups->current_cg = &cgroups->cg[1];
	KUNIT_EXPECT_EQ(test, 1, iommu_owner_pasid_free(a, pasid));
	/* Not before the number is free */
	KUNIT_EXPECT_EQ(test, 1, charged(2));
	iommu_owner_pasid_put(p);
	cgroups_are_gone(test);
}

/* rmdir before the free, and after it */
static void cgroup_that_is_gone_gets_its_charge(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	int first, second;

	cgroups_new(test);
	first = alloc(a, FIRST, LAST);
	cgroups->current_cg = &cgroups->cg[1];
	second = alloc(a, FIRST, LAST);

	cgroup_remove(2);
	msleep(20);
	KUNIT_EXPECT_FALSE(test, completion_done(&cgroups->gone[2]));
	KUNIT_EXPECT_EQ(test, 2, charged(1));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, first));
	KUNIT_EXPECT_EQ(test, 0, charged(2));
	KUNIT_EXPECT_EQ(test, 1, charged(1));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, second));
	cgroup_remove(1);
	cgroups_are_gone(test);
}

static void limits_that_are_hit_are_counted(struct kunit *test)
{
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	cgroups_new(test);
	cgroup_res(2)->max = 0;
	for (unsigned int i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, -ENOSPC, alloc(a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, 5, atomic64_read(&cgroup_res(2)->events_local));
	KUNIT_EXPECT_EQ(test, 5, atomic64_read(&cgroup_res(2)->events));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&cgroup_res(1)->events_local));
	KUNIT_EXPECT_EQ(test, 5, atomic64_read(&cgroup_res(1)->events));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&cgroup_res(2)->watermark));
	cgroups_are_gone(test);
}

struct process {
	struct iommu_owner *owner;
	int pasid;
};

static void process_allocates(void *arg)
{
	struct process *process = arg;
	struct mm_struct *mm = mm_alloc();

	process->pasid = -ENOMEM;
	if (!mm)
		return;
	kthread_use_mm(mm);
	process->pasid = alloc(process->owner, FIRST, LAST);
	kthread_unuse_mm(mm);
	mmput(mm);
}

/* The task, its mm and its cgroup are gone: the number and the charge are released. */
static void nothing_leaks_when_the_mm_dies(struct kunit *test)
{
	struct process process = { mock_owner(test, "a")->owner };

	cgroups_new(test);
	mock_thread_join(mock_thread(test, process_allocates, &process));
	KUNIT_ASSERT_GE(test, process.pasid, FIRST);
	KUNIT_EXPECT_EQ(test, 1, charged(2));
	cgroup_remove(2);
	/* Nobody frees it: the owner ends */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(process.owner));
	cgroups_are_gone(test);
	KUNIT_EXPECT_TRUE(test, is_free(mock_owner(test, "b")->owner,
					process.pasid));
}

#endif /* CONFIG_CGROUP_MISC */

/* Allow lists */

static void a_device_starts_with_none(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *one = child_new(test, parent);
	struct child *two = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a);

	KUNIT_ASSERT_EQ(test, PASID_MAX, alloc(a, PASID_MAX, PASID_MAX));
	KUNIT_EXPECT_EQ(test, -EACCES, load(one, pasid));
	KUNIT_EXPECT_FALSE(test, allowed(one, IOMMU_NO_PASID));
	KUNIT_EXPECT_FALSE(test, allowed(one, PASID_MAX + 1));
	KUNIT_EXPECT_FALSE(test, allowed(one, IOMMU_PASID_INVALID));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommu_owner_pasid_deny(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommu_owner_pasid_permit(one->open, a, LAST));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommu_owner_pasid_permit(one->open, a,
						 IOMMU_PASID_INVALID));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY),
			    iommu_owner_pasid_open(&one->dev, &child_ops));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_pasid_permit(one->open, a, PASID_MAX));
	KUNIT_EXPECT_EQ(test, 0, load(one, pasid));
	KUNIT_EXPECT_EQ(test, 0, load(one, PASID_MAX));
	KUNIT_EXPECT_EQ(test, -EACCES, load(two, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES, load(two, PASID_MAX));
	KUNIT_EXPECT_EQ(test, -EACCES, load(one, pasid + 1));
	KUNIT_EXPECT_EQ(test, -EACCES, load(one, PASID_MAX - 1));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_deny(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&one->unloads));
	KUNIT_EXPECT_FALSE(test, loaded(one, pasid));
	KUNIT_EXPECT_EQ(test, -EACCES, load(one, pasid));
	KUNIT_EXPECT_EQ(test, 0, load(one, PASID_MAX));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommu_owner_pasid_deny(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&two->unloads));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&one->unloads));
}

/* The list ends with the use of the device: the next user starts with none. */
static void close_ends_permits(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct child *one = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a), other = pasid_new(test, b);
	struct diary *diary = diary_new(test);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_ASSERT_EQ(test, 0, load(one, pasid));
	child_close(one);
	KUNIT_EXPECT_FALSE(test, loaded(one, pasid));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, one->reached);
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(parent, pasid));
	/* The PASID stays */
	KUNIT_EXPECT_EQ(test, 0, find(a, pasid));
	KUNIT_EXPECT_STREQ(test, "BU", diary->text);

	child_open(test, one);
	KUNIT_EXPECT_EQ(test, -EACCES, load(one, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, b, other));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_permit(one->open, a, pasid));
}

static void attach_needs_the_list(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct mock_device *second = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_domain *other = mock_paging_domain(test, parent);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *one = child_new(test, parent);
	struct child *two = child_new(test, parent);
	struct child *three = child_new(test, second);
	ioasid_t pasid = pasid_new(test, a), next = pasid_new(test, a);

	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, next));
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, 0, parent->pasid_changes);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	/* One page table on one function, but one on each */
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_pasid_permit(two->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(three->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_pasid_attach(one->open, other, pasid));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_pasid_attach(three->open, other, pasid));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(parent, pasid, domain));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, pasid, other));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_deny(one->open, a, pasid));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, one->reached);
	KUNIT_EXPECT_EQ(test, -EACCES,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_TRUE(test, mock_pasid_reaches(second, pasid, other));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(two->open, a, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, pasid));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, three->reached);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
}

static void failed_attach_changes_nothing(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *vmm = mock_owner(test, "vmm")->owner;
	struct child *one = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	/* The function is not the kernel's */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(vmm, parent->group));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(parent, pasid));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(vmm, parent->group));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_pasid_attach(one->open, domain, pasid));
	/* And it stays so while something is attached */
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_claim_group(vmm, parent->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_claim_group(vmm, parent->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(vmm, parent->group));
}

static void refused_loads_are_reported_within_limits(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "victim")->owner;
	struct iommu_owner *b = mock_owner(test, "attacker")->owner;
	struct child *one = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a);

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_pasid_permit(one->open, b,
						 pasid_new(test, b)));
	mock_listen(test, "is not on the list of the device");
	/* However often it tries */
	for (unsigned int i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, -EACCES, load(one, pasid));
	KUNIT_EXPECT_EQ(test, 10, mock_heard());
}

static void sysfs_lists_what_devices_may_load(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct mock_device *other = mock_pasid_device(test, NULL);
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	char *line = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct iommu_owner *a = mock_owner(test, "vmm")->owner;
	struct child *one = child_new(test, parent);
	ioasid_t pasid = pasid_new(test, a);
	umode_t mode;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_NOT_NULL(test, line);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, pasid));
	KUNIT_EXPECT_GT(test, mock_read_attribute(test, parent->group, "owner",
						  "pasids", &mode, buf), 0);
	KUNIT_EXPECT_EQ(test, 0400, mode & 0777);
	snprintf(line, PAGE_SIZE, "%s %u vmm 2 allocated\n",
		 dev_name(&one->dev), pasid);
	KUNIT_EXPECT_STREQ(test, line, buf);
	KUNIT_EXPECT_EQ(test, 0, mock_read_attribute(test, other->group, "owner",
						     "pasids", &mode, buf));
	/* The set of its own owner */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, other->group));
	KUNIT_EXPECT_GT(test, mock_read_attribute(test, other->group, "owner",
						  "pasids", &mode, buf), 0);
	snprintf(line, PAGE_SIZE, "- %u vmm 2 allocated\n", pasid);
	KUNIT_EXPECT_STREQ(test, line, buf);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, other->group));
}

/* The map */

static void map_is_unique_both_ways(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct child *one = child_new(test, parent);
	struct child *two = child_new(test, parent);
	ioasid_t x = pasid_new(test, a), y = pasid_new(test, a);
	ioasid_t z = pasid_new(test, b);

	KUNIT_EXPECT_EQ(test, -ENOENT, iommu_owner_pasid_unmap(a, 5));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_map(a, x, 5));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_map(a, x, 5));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_owner_pasid_map(a, y, 5));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_owner_pasid_map(a, x, 6));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_map(a, y, 6));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_owner_pasid_map(a, y, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_pasid_map(a, y, PASID_MAX + 1));
	/* Another guest has numbers of its own */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_map(b, z, 5));

	/* A device has no owner before the first permit */
	KUNIT_EXPECT_EQ(test, IOMMU_PASID_INVALID, translate(one, 5));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, x));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(two->open, b, z));
	KUNIT_EXPECT_EQ(test, x, translate(one, 5));
	KUNIT_EXPECT_EQ(test, y, translate(one, 6));
	KUNIT_EXPECT_EQ(test, z, translate(two, 5));
	KUNIT_EXPECT_EQ(test, IOMMU_PASID_INVALID, translate(two, 6));
	KUNIT_EXPECT_EQ(test, IOMMU_PASID_INVALID, translate(one, 0));
	/* In the map, and not on the list */
	KUNIT_EXPECT_FALSE(test, allowed(one, y));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_unmap(a, 5));
	KUNIT_EXPECT_EQ(test, IOMMU_PASID_INVALID, translate(one, 5));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_map(a, x, 7));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, x));
	KUNIT_EXPECT_EQ(test, IOMMU_PASID_INVALID, translate(one, 7));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_TRUE(test, xa_empty(&a->pasids.guests));
	KUNIT_EXPECT_EQ(test, z, translate(two, 5));
}

/* Both orders of what may happen at a time */

struct change {
	struct child *child;
	struct iommu_owner *owner;
	struct iommu_domain *domain;
	ioasid_t pasid;
	int ret;
};

static void call_deny(void *arg)
{
	struct change *c = arg;

	c->ret = iommu_owner_pasid_deny(c->child->open, c->owner, c->pasid);
}

static void call_permit(void *arg)
{
	struct change *c = arg;

	c->ret = iommu_owner_pasid_permit(c->child->open, c->owner, c->pasid);
}

static void call_attach(void *arg)
{
	struct change *c = arg;

	c->ret = iommu_owner_pasid_attach(c->child->open, c->domain, c->pasid);
}

static void call_free(void *arg)
{
	struct change *c = arg;

	c->ret = iommu_owner_pasid_free(c->owner, c->pasid);
}

static void call_revoke(void *arg)
{
	struct change *c = arg;

	c->ret = iommu_owner_revoke(c->owner);
}

static void call_close(void *arg)
{
	struct change *c = arg;

	child_close(c->child);
	c->ret = 0;
}

/* A load that has started ends before the driver unloads; none starts after. */
static void end_waits_for_a_load(struct kunit *test)
{
	void (*const how[])(void *) = { call_deny, call_free, call_revoke };
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *one = child_new(test, parent);
	struct change c = { one, a, domain, pasid_new(test, a), 1 };
	struct mock_thread *thread;

	for (unsigned int i = 0; i < ARRAY_SIZE(how); i++) {
		int index;

		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_pasid_permit(one->open, a, c.pasid));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_pasid_attach(one->open, domain,
							 c.pasid));
		index = iommu_owner_pasid_load_lock(one->open);
		KUNIT_ASSERT_TRUE(test, iommu_owner_pasid_allowed(one->open,
								  c.pasid));
		thread = mock_thread(test, how[i], &c);
		KUNIT_EXPECT_FALSE(test, mock_thread_done(thread));
		KUNIT_EXPECT_EQ(test, i, atomic_read(&one->unloads));
		/* It has no DMA any more, and the next load is refused */
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(parent, c.pasid));
		KUNIT_EXPECT_FALSE(test, allowed(one, c.pasid));
		set_bit(c.pasid % 64, one->loaded);
		iommu_owner_pasid_load_unlock(one->open, index);
		mock_thread_join(thread);
		KUNIT_EXPECT_EQ(test, 0, c.ret);
		KUNIT_EXPECT_EQ(test, i + 1, atomic_read(&one->unloads));
		KUNIT_EXPECT_FALSE(test, loaded(one, c.pasid));
		if (how[i] == call_free)
			c.pasid = pasid_new(test, a);
	}
}

/* While a device drains, the PASID is not permitted again: an unload would follow. */
static void permit_meets_a_deny(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *one = child_new(test, parent);
	struct change c = { one, a, NULL, pasid_new(test, a), 1 };
	struct change again = c;
	struct mock_thread *deny, *second;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, c.pasid));
	one->hang = true;
	deny = mock_thread(test, call_deny, &c);
	wait_for_completion(&one->hanging);
	second = mock_thread(test, call_deny, &again);
	KUNIT_EXPECT_FALSE(test, mock_thread_done(second));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_owner_pasid_permit(one->open, a, c.pasid));
	KUNIT_EXPECT_FALSE(test, allowed(one, c.pasid));
	child_go_on(one);
	mock_thread_join(deny);
	mock_thread_join(second);
	KUNIT_EXPECT_EQ(test, 0, c.ret);
	KUNIT_EXPECT_EQ(test, 0, again.ret);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&one->unloads));
	/* The other order */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, c.pasid));
	KUNIT_EXPECT_EQ(test, 0, load(one, c.pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_free(a, c.pasid));
	KUNIT_EXPECT_FALSE(test, loaded(one, c.pasid));
}

/*
 * Two of them wait for the same lock, in both orders: whatever comes second sees the
 * first, and after an end nothing is attached, loaded or permitted.
 */
static void end_meets_permit_and_attach(struct kunit *test)
{
	void (*const ends[])(void *) = { call_deny, call_free, call_revoke,
					 call_close };
	void (*const uses[])(void *) = { call_permit, call_attach };
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct child *one = child_new(test, parent);

	for (unsigned int i = 0; i < 2 * 2 * ARRAY_SIZE(ends); i++) {
		struct iommu_owner *a = mock_owner(test, "a")->owner;
		struct change end = { one, a, domain, pasid_new(test, a), 1 };
		struct mock_thread *first, *second;
		struct change use = end;
		bool attach = i % 2, end_first = i / 2 % 2;
		void (*how)(void *) = ends[i / 4];

		/* What is closed is not used any more: the driver sees to that */
		if (how == call_close && end_first)
			continue;
		if (attach || how == call_deny || how == call_close)
			KUNIT_ASSERT_EQ(test, 0,
					iommu_owner_pasid_permit(one->open, a,
								 end.pasid));
		mutex_lock(&a->pasids.lock);
		first = mock_thread(test, end_first ? how : uses[attach],
				    end_first ? &end : &use);
		KUNIT_EXPECT_FALSE(test, mock_thread_done(first));
		if (how == call_close) {
			mutex_unlock(&a->pasids.lock);
			mock_thread_join(first);
			second = mock_thread(test, how, &end);
		} else {
			second = mock_thread(test, end_first ? uses[attach] : how,
					     end_first ? &use : &end);
			KUNIT_EXPECT_FALSE(test, mock_thread_done(second));
			mutex_unlock(&a->pasids.lock);
			mock_thread_join(first);
		}
		mock_thread_join(second);

		KUNIT_EXPECT_GE(test, end.ret, 0);
		KUNIT_EXPECT_TRUE(test, !use.ret || use.ret == -EACCES ||
				  use.ret == -ENOENT || use.ret == -EBUSY);
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(parent, end.pasid));
		if (one->open && !(how == call_deny && !attach && !use.ret))
			KUNIT_EXPECT_FALSE(test, allowed(one, end.pasid));
		child_close(one);
		KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
				mock_pasid_reach(parent, end.pasid));
		iommu_owner_pasid_free_all(a);
		KUNIT_EXPECT_TRUE(test, is_free(b, end.pasid));
		child_open(test, one);
	}
}

/*
 * A driver that hangs delays the end of one owner, with all DMA of it blocked, and
 * stops no other owner and no other device.
 */
static void hung_driver_stops_its_own_device_only(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, parent);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct child *one = child_new(test, parent);
	struct child *two = child_new(test, parent);
	struct child *three = child_new(test, parent);
	ioasid_t first = pasid_new(test, a), second = pasid_new(test, a);
	ioasid_t other = pasid_new(test, b);
	struct diary *diary = diary_new(test);
	unsigned long start = jiffies;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(one->open, a, first));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(two->open, a, second));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_pasid_permit(three->open, b, other));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_pasid_attach(one->open, domain, first));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_pasid_attach(two->open, domain, second));
	KUNIT_ASSERT_EQ(test, 0, load(two, second));
	one->hang = true;
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, iommu_owner_revoke(a));
	KUNIT_EXPECT_TRUE(test, time_in_range(jiffies, start + 4 * HZ,
					      start + 15 * HZ));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(parent, first));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(parent, second));
	KUNIT_EXPECT_FALSE(test, allowed(one, first));
	/* The other device has been drained */
	KUNIT_EXPECT_FALSE(test, loaded(two, second));
	KUNIT_EXPECT_TRUE(test, is_free(b, second));
	KUNIT_EXPECT_FALSE(test, is_free(b, first));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_deny(three->open, b, other));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_pasid_permit(three->open, b, other));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(b));

	child_go_on(one);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	KUNIT_EXPECT_EQ(test, 0, a->nr_pasids);
	KUNIT_EXPECT_NOT_NULL(test, strchr(diary->text, 'P'));
}

/* One grace period covers all that is blocked of a device, however many. */
static void end_waits_once(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct child *one = child_new(test, parent);
	unsigned long one_takes, all_take;

	for (unsigned int i = 0; i < 512; i++) {
		int pasid = alloc(a, FIRST, FIRST + 511);

		KUNIT_ASSERT_GE(test, pasid, FIRST);
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_pasid_permit(one->open, a, pasid));
	}
	one_takes = jiffies;
	for (unsigned int i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_pasid_deny(one->open, a, FIRST + i));
	one_takes = jiffies - one_takes;
	all_take = jiffies;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(a));
	all_take = jiffies - all_take;
	KUNIT_EXPECT_EQ(test, 512, atomic_read(&one->unloads));
	kunit_info(test, "8 denies: %lu jiffies, revoke of 504: %lu\n",
		   one_takes, all_take);
	/* One for each would take 63 times as long */
	KUNIT_EXPECT_LE(test, all_take, 16 * one_takes + HZ);
}

/* By chance */

#define RACERS	4

struct race {
	struct iommu_owner *owner;
	struct child *child;
	struct iommu_domain *domain;
	atomic_t errors;
	atomic_t gets;
	atomic_t allocs;
	bool stop;
};

/* Allocate, permit, attach, deny and free; until the owner is revoked */
static void race_use(void *arg)
{
	struct race *race = arg;
	struct iommu_owner_pasid_device *open = race->child->open;

	while (!READ_ONCE(race->stop)) {
		int ret, pasid = alloc(race->owner, LOW, HIGH);

		if (pasid == -ENOSPC) {
			mock_dawdle();
			continue;
		}
		if (pasid == -ESTALE)
			return;
		if (pasid < 0) {
			atomic_inc(&race->errors);
			return;
		}
		atomic_inc(&race->allocs);
		ret = iommu_owner_pasid_permit(open, race->owner, pasid);
		if (ret && ret != -ENOENT)
			atomic_inc(&race->errors);
		ret = iommu_owner_pasid_attach(open, race->domain, pasid);
		if (ret && ret != -EACCES)
			atomic_inc(&race->errors);
		mock_dawdle();
		ret = iommu_owner_pasid_free(race->owner, pasid);
		if (ret < 0 && ret != -ENOENT)
			atomic_inc(&race->errors);
	}
}

/* Guess numbers, refer to what is found, and load what is permitted. */
static void race_look(void *arg)
{
	struct race *race = arg;
	struct iommu_owner_pasid_device *open = race->child->open;

	while (!READ_ONCE(race->stop)) {
		ioasid_t pasid = get_random_u32_inclusive(LOW, HIGH);
		struct iommu_owner_pasid *p;
		int index;

		p = iommu_owner_pasid_get(race->owner, pasid);
		if (!IS_ERR(p)) {
			mock_dawdle();
			if (p->pasid != pasid || p->owner != race->owner)
				atomic_inc(&race->errors);
			atomic_inc(&race->gets);
			iommu_owner_pasid_put(p);
		}
		index = iommu_owner_pasid_load_lock(open);
		if (iommu_owner_pasid_allowed(open, pasid)) {
			set_bit(pasid, race->child->loaded);
			mock_dawdle();
			/* A deny waits for this */
			if (!test_bit(pasid, race->child->loaded))
				atomic_inc(&race->errors);
		}
		iommu_owner_pasid_load_unlock(open, index);
		cond_resched();
	}
}

static void race_of_free_get_load_and_revoke(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct mock_thread *threads[RACERS];
	struct race race = {
		.child = child_new(test, parent),
		.domain = mock_paging_domain(test, parent),
	};

	for (unsigned int round = 0; round < 20; round++) {
		race.owner = mock_owner(test, "a")->owner;
		race.stop = false;
		for (unsigned int i = 0; i < RACERS; i++)
			threads[i] = mock_thread(test,
						 i % 2 ? race_use : race_look,
						 &race);
		msleep(20);
		KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(race.owner));
		/* Nothing of it can be found, loaded or reached by any task */
		for (ioasid_t pasid = LOW; pasid <= HIGH; pasid++) {
			KUNIT_EXPECT_FALSE(test, loaded(race.child, pasid));
			KUNIT_EXPECT_FALSE(test, allowed(race.child, pasid));
			KUNIT_EXPECT_EQ(test, MOCK_NOTHING,
					mock_pasid_reach(parent, pasid));
			KUNIT_EXPECT_EQ(test, -ENOENT, find(race.owner, pasid));
		}
		WRITE_ONCE(race.stop, true);
		for (unsigned int i = 0; i < RACERS; i++)
			mock_thread_join(threads[i]);
		KUNIT_EXPECT_EQ(test, 0, race.owner->nr_pasids);
		child_close(race.child);
		child_open(test, race.child);
	}
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race.errors));
	KUNIT_EXPECT_GT(test, atomic_read(&race.gets), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race.allocs), 0);
	for (ioasid_t pasid = LOW; pasid <= HIGH; pasid++)
		KUNIT_EXPECT_TRUE(test, is_free(b, pasid));
}

/* Random operations against a model that has no locks and no states but these */

#define OPERATIONS	1000000
#define NUMBERS		24
#define OWNERS		2

struct model {
	int owner;	/* -1: free */
	unsigned int refs;
	bool freed;
	bool permitted;	/* on the device of the owner */
	ioasid_t guest;
	struct iommu_owner_pasid *ref;
};

struct model_run {
	struct kunit *test;
	struct rnd_state rnd;
	struct iommu_owner *owners[OWNERS];
	struct child *devices[OWNERS];
	struct model models[NUMBERS];
};

static int model_check_owner(const struct model *m, int owner)
{
	if (m->owner < 0)
		return -ENOENT;
	if (m->owner != owner)
		return -EACCES;
	return m->freed ? -ENOENT : 0;
}

static void model_reclaim(struct model *m)
{
	if (m->freed && !m->refs)
		*m = (struct model) { .owner = -1 };
}

static bool model_has_free(const struct model_run *run)
{
	for (unsigned int i = 0; i < NUMBERS; i++)
		if (run->models[i].owner < 0)
			return true;
	return false;
}

static struct model *model_of_guest(struct model_run *run, int owner,
				    ioasid_t guest)
{
	for (unsigned int i = 0; i < NUMBERS; i++)
		if (run->models[i].owner == owner && run->models[i].guest == guest)
			return &run->models[i];
	return NULL;
}

static bool model_alloc(struct model_run *run, int o)
{
	int want = model_has_free(run) ? 0 : -ENOSPC;
	int ret = alloc(run->owners[o], FIRST, FIRST + NUMBERS - 1);
	struct model *m;

	if (ret < 0)
		return ret == want;
	m = &run->models[ret - FIRST];
	if (want || m->owner != -1)
		return false;
	m->owner = o;
	return true;
}

static bool model_free(struct model_run *run, int o, unsigned int n)
{
	struct model *m = &run->models[n];
	int want = model_check_owner(m, o) ?: !!m->refs;
	int ret = iommu_owner_pasid_free(run->owners[o], FIRST + n);

	if (want >= 0) {
		m->freed = true;
		m->guest = 0;
		m->permitted = false;
		model_reclaim(m);
	}
	return ret == want;
}

static bool model_get(struct model_run *run, int o, unsigned int n)
{
	struct model *m = &run->models[n];
	struct iommu_owner_pasid *p =
		iommu_owner_pasid_get(run->owners[o], FIRST + n);

	if (PTR_ERR_OR_ZERO(p) != model_check_owner(m, o))
		return false;
	if (!IS_ERR(p)) {
		m->refs++;
		m->ref = p;
	}
	return true;
}

static bool model_put(struct model_run *run, unsigned int n)
{
	struct model *m = &run->models[n];
	bool want = m->freed && m->refs == 1;
	bool ret;

	if (!m->refs)
		return true;
	ret = iommu_owner_pasid_put(m->ref);
	m->refs--;
	model_reclaim(m);
	return ret == want;
}

static bool model_map(struct model_run *run, int o, unsigned int n, ioasid_t g)
{
	struct model *m = &run->models[n];
	int want = model_check_owner(m, o);

	if (!want && m->guest != g && (m->guest || model_of_guest(run, o, g)))
		want = -EEXIST;
	if (!want)
		m->guest = g;
	return iommu_owner_pasid_map(run->owners[o], FIRST + n, g) == want;
}

static bool model_unmap(struct model_run *run, int o, ioasid_t g)
{
	struct model *mapped = model_of_guest(run, o, g);

	if (mapped)
		mapped->guest = 0;
	return iommu_owner_pasid_unmap(run->owners[o], g) ==
	       (mapped ? 0 : -ENOENT);
}

static bool model_translate(struct model_run *run, int o, ioasid_t g)
{
	struct model *mapped = model_of_guest(run, o, g);
	ioasid_t want = mapped ? FIRST + (mapped - run->models) :
				 IOMMU_PASID_INVALID;

	return translate(run->devices[o], g) == want;
}

/* Device d has been made that of owner d. */
static bool model_permit(struct model_run *run, int o, int d, unsigned int n)
{
	struct model *m = &run->models[n];
	int want = model_check_owner(m, o) ?: o == d ? 0 : -EACCES;

	/* On one device of the function at most */
	if (want == -EACCES && m->owner == o && m->permitted)
		want = -EBUSY;
	if (!want)
		m->permitted = true;
	return iommu_owner_pasid_permit(run->devices[d]->open, run->owners[o],
					FIRST + n) == want;
}

static bool model_deny(struct model_run *run, int o, int d, unsigned int n)
{
	struct model *m = &run->models[n];
	int want = model_check_owner(m, o) ?:
		   (o == d && m->permitted ? 0 : -ENOENT);

	if (!want)
		m->permitted = false;
	return iommu_owner_pasid_deny(run->devices[d]->open, run->owners[o],
				      FIRST + n) == want;
}

static bool model_step(struct model_run *run, unsigned int what)
{
	unsigned int n = prandom_u32_state(&run->rnd) % NUMBERS;
	int o = prandom_u32_state(&run->rnd) % OWNERS;
	int d = prandom_u32_state(&run->rnd) % OWNERS;
	ioasid_t g = 1 + prandom_u32_state(&run->rnd) % 8;
	const struct model *m = &run->models[n];

	switch (what) {
	case 0:
		return model_permit(run, o, d, n);
	case 1:
		return model_deny(run, o, d, n);
	case 2 ... 1024:
		return model_alloc(run, o);
	case 1025 ... 1700:
		return model_free(run, o, n);
	case 1701 ... 2200:
		return model_get(run, o, n);
	case 2201 ... 2700:
		return model_put(run, n);
	case 2701 ... 3000:
		return model_map(run, o, n, g);
	case 3001 ... 3200:
		return model_unmap(run, o, g);
	case 3201 ... 3600:
		return model_translate(run, o, g);
	default:
		return allowed(run->devices[d], FIRST + n) ==
		       (m->permitted && m->owner == d);
	}
}

static void random_operations_agree_with_a_model(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct model_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	unsigned int i, what, bad = 0;

	KUNIT_ASSERT_NOT_NULL(test, run);
	prandom_seed_state(&run->rnd, 13);
	for (i = 0; i < OWNERS; i++) {
		int pasid;

		run->owners[i] = mock_owner(test, "model")->owner;
		run->devices[i] = child_new(test, parent);
		pasid = pasid_new(test, run->owners[i]);
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_pasid_permit(run->devices[i]->open,
							 run->owners[i], pasid));
	}
	for (i = 0; i < NUMBERS; i++)
		run->models[i].owner = -1;

	/* A deny waits for a grace period, so there are few of them */
	for (i = 0; i < OPERATIONS && !bad; i++) {
		what = prandom_u32_state(&run->rnd) % 4096;
		if (!model_step(run, what)) {
			kunit_err(test, "step %u: operation %u\n", i, what);
			bad++;
		}
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, OPERATIONS, i);
	KUNIT_EXPECT_EQ(test, 0, bad);
	for (i = 0; i < NUMBERS; i++)
		while (run->models[i].refs--)
			iommu_owner_pasid_put(run->models[i].ref);
	for (i = 0; i < OWNERS; i++)
		KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(run->owners[i]));
}

static int pasid_test_init(struct kunit *test)
{
	iommu_owner_pasid_set_capacity(PASID_MAX + 1);
	return mock_init(test);
}

/* The devices on shared functions go before those, and PASIDs before their owners */
static void pasid_test_exit(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct mock_owner *mowner;
	struct child *child, *next;

	list_for_each_entry_safe(child, next, &children, list) {
		child_go_on(child);
		child_close(child);
		list_del(&child->list);
		device_unregister(&child->dev);
	}
	list_for_each_entry(mowner, &mock->owners, list)
		if (!mowner->put)
			iommu_owner_pasid_free_all(mowner->owner);
	mock_exit(test);
}

/* The capacity is that of the IOMMUs again when the mock IOMMU has gone. */
static struct kunit_case pasid_cases[] = {
	KUNIT_CASE(numbers_are_in_the_range),
	KUNIT_CASE(owners_leave_numbers_to_the_kernel),
	KUNIT_CASE(owners_are_apart),
	KUNIT_CASE(the_kernel_has_the_same_space),
	KUNIT_CASE(reserved_number_is_not_found),
	KUNIT_CASE(lookup_heeds_free_pending),
	KUNIT_CASE_SLOW(revoke_waits_for_references),
	KUNIT_CASE(quota_returns_when_the_set_is_freed),
	KUNIT_CASE(quota_is_for_devices_as_well),
#ifdef CONFIG_CGROUP_MISC
	KUNIT_CASE(charges_are_hierarchical),
	KUNIT_CASE(failed_allocs_are_uncharged),
	KUNIT_CASE(uncharge_goes_to_the_charged_cgroup),
	KUNIT_CASE(cgroup_that_is_gone_gets_its_charge),
	KUNIT_CASE(limits_that_are_hit_are_counted),
	KUNIT_CASE(nothing_leaks_when_the_mm_dies),
#endif
	KUNIT_CASE(a_device_starts_with_none),
	KUNIT_CASE(close_ends_permits),
	KUNIT_CASE(attach_needs_the_list),
	KUNIT_CASE(failed_attach_changes_nothing),
	KUNIT_CASE(refused_loads_are_reported_within_limits),
	KUNIT_CASE(sysfs_lists_what_devices_may_load),
	KUNIT_CASE(map_is_unique_both_ways),
	KUNIT_CASE(end_waits_for_a_load),
	KUNIT_CASE(permit_meets_a_deny),
	KUNIT_CASE_SLOW(end_meets_permit_and_attach),
	KUNIT_CASE_SLOW(hung_driver_stops_its_own_device_only),
	KUNIT_CASE_SLOW(end_waits_once),
	KUNIT_CASE_SLOW(race_of_free_get_load_and_revoke),
	KUNIT_CASE_SLOW(random_operations_agree_with_a_model),
	{}
};

static struct kunit_suite pasid_suite = {
	.name = "iommu_owner_pasid",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = pasid_test_init,
	.exit = pasid_test_exit,
	.test_cases = pasid_cases,
};

kunit_test_suite(pasid_suite);
