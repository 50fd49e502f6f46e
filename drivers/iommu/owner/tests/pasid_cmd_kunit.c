// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests: PASIDs through a token */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "../pasid.h"
#include "../token.h"
#include "mock.h"

#define FIRST	0xf1000
#define LAST	(FIRST + 15)
#define ARRAY_AT	PAGE_SIZE

struct stage {
	struct iommu_owner *owner;
	struct iommu_owner_token *token;
	void __user *user;
};

static const struct iommu_owner_group_ref all_groups;

static struct iommu_owner_token *token_new(struct kunit *test,
					   struct iommu_owner *owner, u32 rights)
{
	struct iommu_owner_token *token =
		iommu_owner_token_alloc(owner, &all_groups, rights);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, token);
	iommu_owner_token_open(token);
	return token;
}

static void __user *map_user(struct kunit *test, struct file *file, int prot)
{
	unsigned long flags = file ? MAP_SHARED : MAP_ANONYMOUS | MAP_PRIVATE;
	unsigned long addr = kunit_vm_mmap(test, file, 0, 4 * PAGE_SIZE, prot,
					   flags, 0);

	KUNIT_ASSERT_NE(test, 0, addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return (void __user *)addr;
}

static struct stage stage_new(struct kunit *test, const char *name)
{
	struct stage s = { mock_owner(test, name)->owner };

	s.token = token_new(test, s.owner, IOMMU_OWNER_RIGHTS_ALL);
	s.user = map_user(test, NULL, PROT_READ | PROT_WRITE);
	return s;
}

static int call(struct stage *s, unsigned int nr, void *cmd, size_t size)
{
	int ret;

	if (copy_to_user(s->user, cmd, size))
		return -ENXIO;
	ret = iommu_owner_token_ioctl(s->token, nr, s->user);
	if (copy_from_user(cmd, s->user, size))
		return -ENXIO;
	return ret;
}

static int pasid_alloc(struct stage *s, u32 min, u32 max)
{
	struct iommu_owner_pasid_alloc cmd = {
		.size = sizeof(cmd), .min = min, .max = max,
	};
	int ret = call(s, IOMMU_OWNER_PASID_ALLOC, &cmd, sizeof(cmd));

	return ret ?: cmd.out_pasid;
}

static int pasid_free(struct stage *s, u32 pasid, u32 *flags)
{
	struct iommu_owner_pasid_free cmd = {
		.size = sizeof(cmd), .pasid = pasid, .out_flags = U32_MAX,
	};
	int ret = call(s, IOMMU_OWNER_PASID_FREE, &cmd, sizeof(cmd));

	if (flags)
		*flags = cmd.out_flags;
	return ret;
}

static int pasid_map(struct stage *s, u32 flags, u32 pasid, u32 guest)
{
	struct iommu_owner_pasid_map cmd = {
		.size = sizeof(cmd), .flags = flags, .pasid = pasid,
		.guest = guest,
	};

	return call(s, IOMMU_OWNER_PASID_MAP, &cmd, sizeof(cmd));
}

static int pasid_permit(struct stage *s, int fd, u32 pasid)
{
	struct iommu_owner_pasid_permit cmd = {
		.size = sizeof(cmd), .fd = fd, .pasid = pasid,
	};

	return call(s, IOMMU_OWNER_PASID_PERMIT, &cmd, sizeof(cmd));
}

static int pasid_deny(struct stage *s, int fd, u32 pasid)
{
	struct iommu_owner_pasid_deny cmd = {
		.size = sizeof(cmd), .fd = fd, .pasid = pasid,
	};

	return call(s, IOMMU_OWNER_PASID_DENY, &cmd, sizeof(cmd));
}

static int pasid_list(struct stage *s, u32 *room, u32 size)
{
	struct iommu_owner_pasid_list cmd = {
		.size = sizeof(cmd),
		.pasids = (uintptr_t)s->user + ARRAY_AT,
		.nr_pasids = *room,
		.pasid_size = size,
	};
	int ret = call(s, IOMMU_OWNER_PASID_LIST, &cmd, sizeof(cmd));

	*room = cmd.nr_pasids;
	return ret;
}

static const struct {
	unsigned int nr;
	u32 size;
	u32 flags;
	bool revoked;
} ops[] = {
	{ IOMMU_OWNER_PASID_ALLOC, sizeof(struct iommu_owner_pasid_alloc) },
	{ IOMMU_OWNER_PASID_FREE, sizeof(struct iommu_owner_pasid_free) },
	{ IOMMU_OWNER_PASID_LIST, sizeof(struct iommu_owner_pasid_list), 0,
	  true },
	{ IOMMU_OWNER_PASID_MAP, sizeof(struct iommu_owner_pasid_map),
	  IOMMU_OWNER_PASID_UNMAP },
	{ IOMMU_OWNER_PASID_PERMIT, sizeof(struct iommu_owner_pasid_permit) },
	{ IOMMU_OWNER_PASID_DENY, sizeof(struct iommu_owner_pasid_deny) },
};

/* Right, size, tail and flags of each ioctl, after a revoke, and what QUERY says */
static void rights_and_structures(struct kunit *test)
{
	struct stage s = stage_new(test, "a");
	struct iommu_owner_token *own = s.token;

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct iommu_owner_query query = {
			.size = sizeof(query), .command = _IOC_NR(ops[i].nr),
		};
		u32 cmd[64] = { ops[i].size - 1 };

		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    call(&s, ops[i].nr, cmd, sizeof(cmd)),
				    "%u too short", i);
		cmd[0] = sizeof(cmd);
		cmd[63] = 1;
		KUNIT_EXPECT_EQ_MSG(test, -E2BIG,
				    call(&s, ops[i].nr, cmd, sizeof(cmd)),
				    "%u with a tail", i);
		cmd[0] = ops[i].size;
		cmd[1] = BIT(31);
		KUNIT_EXPECT_EQ_MSG(test, -EOPNOTSUPP,
				    call(&s, ops[i].nr, cmd, sizeof(cmd)),
				    "%u with a flag", i);
		s.token = token_new(test, s.owner, IOMMU_OWNER_RIGHTS_ALL &
						   ~IOMMU_OWNER_RIGHT_PASID);
		KUNIT_EXPECT_EQ_MSG(test, -EPERM,
				    call(&s, ops[i].nr, cmd, sizeof(cmd)),
				    "%u without the right", i);
		iommu_owner_token_close(s.token);
		s.token = own;

		KUNIT_ASSERT_EQ(test, 0,
				copy_to_user(s.user, &query, sizeof(query)));
		KUNIT_EXPECT_EQ(test, 0, iommu_owner_query_ioctl(s.user));
		KUNIT_ASSERT_EQ(test, 0,
				copy_from_user(&query, s.user, sizeof(query)));
		KUNIT_EXPECT_EQ(test, ops[i].size, query.out_command_size);
		KUNIT_EXPECT_EQ(test, ops[i].flags, query.out_command_flags);
	}
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_revoke(s.owner));
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		u32 cmd[8] = { ops[i].size };

		KUNIT_EXPECT_EQ_MSG(test, ops[i].revoked ? 0 : -ESTALE,
				    call(&s, ops[i].nr, cmd, sizeof(cmd)),
				    "%u after a revoke", i);
	}
	iommu_owner_token_close(s.token);
}

static void free_through_a_passed_file_is_checked(struct kunit *test)
{
	struct stage a = stage_new(test, "a"), b = stage_new(test, "b");
	struct iommu_owner_token *own = a.token;
	struct iommu_owner_pasid *p;
	u32 flags;

	for (u32 i = FIRST; i <= LAST; i++)
		KUNIT_EXPECT_EQ(test, i, pasid_alloc(&a, FIRST, LAST));
	KUNIT_EXPECT_EQ(test, -ENOSPC, pasid_alloc(&b, FIRST, LAST));

	/* To know a number is not to own it */
	KUNIT_EXPECT_EQ(test, -EACCES, pasid_free(&b, FIRST, NULL));
	KUNIT_EXPECT_EQ(test, -ENOENT, pasid_free(&b, LAST + 1, NULL));
	/* A token that was passed on with fewer rights */
	a.token = token_new(test, a.owner,
			    IOMMU_OWNER_RIGHTS_ALL & ~IOMMU_OWNER_RIGHT_PASID);
	KUNIT_EXPECT_EQ(test, -EPERM, pasid_free(&a, FIRST, NULL));
	iommu_owner_token_close(a.token);
	a.token = own;

	KUNIT_EXPECT_EQ(test, 0, pasid_free(&a, FIRST, &flags));
	KUNIT_EXPECT_EQ(test, 0, flags);
	KUNIT_EXPECT_EQ(test, FIRST, pasid_alloc(&b, FIRST, LAST));

	p = iommu_owner_pasid_get(a.owner, LAST);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_EXPECT_EQ(test, 0, pasid_free(&a, LAST, &flags));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_PASID_PENDING, flags);
	KUNIT_EXPECT_EQ(test, -ENOENT, pasid_free(&a, LAST, NULL));
	iommu_owner_pasid_put(p);
	iommu_owner_token_close(a.token);
	iommu_owner_token_close(b.token);
}

static void last_token_frees_all(struct kunit *test)
{
	struct stage a = stage_new(test, "a");
	struct iommu_owner_token *second =
		token_new(test, a.owner, IOMMU_OWNER_RIGHT_PASID);
	struct iommu_owner_token *other =
		token_new(test, a.owner, IOMMU_OWNER_RIGHT_INSPECT);

	for (u32 i = FIRST; i <= LAST; i++)
		KUNIT_EXPECT_EQ(test, i, pasid_alloc(&a, FIRST, LAST));
	iommu_owner_token_close(second);
	KUNIT_EXPECT_EQ(test, LAST - FIRST + 1, a.owner->nr_pasids);
	iommu_owner_token_close(a.token);
	KUNIT_EXPECT_EQ(test, 0, a.owner->nr_pasids);
	iommu_owner_token_close(other);
}

/* The structure of the caller is in memory that it can only read. */
static int call_read_only(struct stage *s, struct file *file, void __user *user,
			  unsigned int nr, const void *cmd, size_t size)
{
	loff_t pos = 0;

	if (kernel_write(file, cmd, size, &pos) != size)
		return -ENXIO;
	return iommu_owner_token_ioctl(s->token, nr, user);
}

/* After an error nothing has changed, also if the answer cannot be written. */
static void answer_cannot_be_written(struct kunit *test)
{
	struct file *file = shmem_file_setup("iommu-owner", 4 * PAGE_SIZE, 0);
	struct stage s = stage_new(test, "a");
	struct iommu_owner_pasid_alloc alloc = {
		.size = sizeof(alloc), .min = FIRST, .max = FIRST,
	};
	struct iommu_owner_pasid_free free = {
		.size = sizeof(free), .pasid = FIRST,
	};
	void __user *user;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	user = map_user(test, file, PROT_READ);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			call_read_only(&s, file, user, IOMMU_OWNER_PASID_ALLOC,
				       &alloc, sizeof(alloc)));
	KUNIT_EXPECT_EQ(test, 0, s.owner->nr_pasids);
	KUNIT_EXPECT_EQ(test, FIRST, pasid_alloc(&s, FIRST, FIRST));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			call_read_only(&s, file, user, IOMMU_OWNER_PASID_FREE,
				       &free, sizeof(free)));
	KUNIT_EXPECT_EQ(test, 1, s.owner->nr_pasids);
	KUNIT_EXPECT_EQ(test, 0, pasid_free(&s, FIRST, NULL));
	fput(file);
	iommu_owner_token_close(s.token);
}

static void list_grows(struct kunit *test)
{
	struct {
		struct iommu_owner_pasid_info info;
		u64 tail;
	} longer[4];
	struct stage s = stage_new(test, "a");
	int first = pasid_alloc(&s, FIRST, LAST);
	int second = pasid_alloc(&s, FIRST, LAST);
	struct iommu_owner_pasid *p;
	u32 room = 0;

	KUNIT_ASSERT_EQ(test, 0, pasid_map(&s, 0, second, 9));
	p = iommu_owner_pasid_get(s.owner, first);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0, pasid_free(&s, first, NULL));

	KUNIT_EXPECT_EQ(test, -EMSGSIZE, pasid_list(&s, &room, 0));
	KUNIT_EXPECT_EQ(test, 2, room);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pasid_list(&s, &room,
				   sizeof(struct iommu_owner_pasid_info) - 1));
	room = 4;
	KUNIT_EXPECT_EQ(test, -E2BIG, pasid_list(&s, &room, PAGE_SIZE + 1));
	memset(longer, 0xff, sizeof(longer));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + ARRAY_AT, longer,
					      sizeof(longer)));
	room = 1;
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, pasid_list(&s, &room, sizeof(longer[0])));
	KUNIT_EXPECT_EQ(test, 2, room);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(longer, s.user + ARRAY_AT,
						sizeof(longer)));
	KUNIT_EXPECT_EQ(test, U64_MAX, longer[1].tail);
	room = U32_MAX;
	KUNIT_EXPECT_EQ(test, 0, pasid_list(&s, &room, sizeof(longer[0])));
	KUNIT_EXPECT_EQ(test, 2, room);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(longer, s.user + ARRAY_AT,
						sizeof(longer)));
	KUNIT_EXPECT_EQ(test, first, longer[0].info.pasid);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_PASID_FREE_PENDING,
			longer[0].info.state);
	KUNIT_EXPECT_EQ(test, second, longer[1].info.pasid);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_PASID_ALLOCATED, longer[1].info.state);
	KUNIT_EXPECT_EQ(test, 9, longer[1].info.guest);
	KUNIT_EXPECT_EQ(test, 0, longer[1].info.devices);
	KUNIT_EXPECT_EQ(test, 0, longer[1].tail);
	iommu_owner_pasid_put(p);

	/* Also when it has been revoked */
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_revoke(s.owner));
	KUNIT_EXPECT_EQ(test, 0, pasid_list(&s, &room, sizeof(longer[0])));
	KUNIT_EXPECT_EQ(test, 0, room);
	iommu_owner_token_close(s.token);
}

static void map_and_unmap(struct kunit *test)
{
	struct stage a = stage_new(test, "a"), b = stage_new(test, "b");
	int x = pasid_alloc(&a, FIRST, LAST), y = pasid_alloc(&a, FIRST, LAST);

	KUNIT_EXPECT_EQ(test, 0, pasid_map(&a, 0, x, 1));
	KUNIT_EXPECT_EQ(test, -EEXIST, pasid_map(&a, 0, y, 1));
	KUNIT_EXPECT_EQ(test, -EACCES, pasid_map(&b, 0, y, 1));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pasid_map(&b, IOMMU_OWNER_PASID_UNMAP, 0, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pasid_map(&a, IOMMU_OWNER_PASID_UNMAP, x, 1));
	KUNIT_EXPECT_EQ(test, 0, pasid_map(&a, IOMMU_OWNER_PASID_UNMAP, 0, 1));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pasid_map(&a, IOMMU_OWNER_PASID_UNMAP, 0, 1));
	KUNIT_EXPECT_EQ(test, 0, pasid_map(&a, 0, y, 1));
	iommu_owner_token_close(a.token);
	iommu_owner_token_close(b.token);
}

/* A file of a device, and a file that is none */

static const struct file_operations device_fops = {};
static const struct file_operations owner_fops = {};
static struct device *file_device;
static int entered;
static unsigned int unloads;

static struct device *device_enter(struct file *file)
{
	if (!file_device)
		return ERR_PTR(-ESTALE);
	entered++;
	return file_device;
}

static void device_leave(struct file *file)
{
	entered--;
}

static struct iommu_owner_provider device_provider = {
	.fops = &device_fops,
	.enter = device_enter,
	.leave = device_leave,
};

static struct iommu_owner_provider owner_provider = { .fops = &owner_fops };

static void count_unload(struct device *dev, ioasid_t pasid)
{
	unloads++;
}

static const struct iommu_owner_pasid_ops count_ops = {
	.unload = count_unload,
};

static int install(struct kunit *test, const struct file_operations *fops)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	KUNIT_ASSERT_GE(test, fd, 0);
	file = anon_inode_getfile("[mock]", fops, NULL, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	fd_install(fd, file);
	return fd;
}

static void expect_event(struct kunit *test, struct stage *s, u32 type,
			 u32 pasid, const char *device)
{
	struct iommu_owner_event event = {};

	KUNIT_ASSERT_EQ(test, sizeof(event),
			iommu_owner_events_read(s->token, s->user,
						sizeof(event), false));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&event, s->user, sizeof(event)));
	KUNIT_EXPECT_EQ(test, type, event.type);
	KUNIT_EXPECT_EQ(test, pasid, event.pasid);
	KUNIT_EXPECT_EQ(test, -1, event.group);
	KUNIT_EXPECT_STREQ(test, device, (char *)event.device);
}

static void expect_no_event(struct kunit *test, struct stage *s)
{
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			iommu_owner_events_read(s->token, s->user,
						sizeof(struct iommu_owner_event),
						false));
}

static void permit_needs_both_files(struct kunit *test)
{
	struct mock_device *parent = mock_pasid_device(test, NULL);
	struct mock_device *mdev = mock_device_alloc(test, NULL, 0);
	struct stage a = stage_new(test, "a"), b = stage_new(test, "b");
	const char *name = dev_name(&mdev->dev);
	struct iommu_owner_pasid_device *open;
	int pasid = pasid_alloc(&a, FIRST, LAST);
	int fd, other, index;

	iommu_owner_register_provider(&device_provider);
	iommu_owner_register_provider(&owner_provider);
	fd = install(test, &device_fops);
	other = install(test, &owner_fops);
	mdev->dev.parent = &parent->dev;
	open = iommu_owner_pasid_open(&mdev->dev, &count_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, open);

	KUNIT_EXPECT_EQ(test, -EBADF, pasid_permit(&a, -1, pasid));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pasid_permit(&a, other, pasid));
	/* A file of a device that has been revoked */
	KUNIT_EXPECT_EQ(test, -ESTALE, pasid_permit(&a, fd, pasid));
	file_device = &parent->dev;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pasid_permit(&a, fd, pasid));
	file_device = &mdev->dev;
	KUNIT_EXPECT_EQ(test, -EACCES, pasid_permit(&b, fd, pasid));
	KUNIT_EXPECT_EQ(test, -ENOENT, pasid_permit(&a, fd, LAST + 1));
	KUNIT_EXPECT_EQ(test, -ENOENT, pasid_deny(&a, fd, pasid));
	KUNIT_EXPECT_EQ(test, 0, pasid_permit(&a, fd, pasid));
	KUNIT_EXPECT_EQ(test, 0, pasid_permit(&a, fd, pasid));
	index = iommu_owner_pasid_load_lock(open);
	KUNIT_EXPECT_TRUE(test, iommu_owner_pasid_allowed(open, pasid));
	KUNIT_EXPECT_FALSE(test, iommu_owner_pasid_allowed(open, LAST));
	iommu_owner_pasid_load_unlock(open, index);
	KUNIT_EXPECT_EQ(test, -EACCES, pasid_deny(&b, fd, pasid));
	file_device = NULL;
	KUNIT_EXPECT_EQ(test, -ESTALE, pasid_deny(&a, fd, pasid));
	file_device = &mdev->dev;
	KUNIT_EXPECT_EQ(test, 0, unloads);
	KUNIT_EXPECT_EQ(test, 0, pasid_deny(&a, fd, pasid));
	KUNIT_EXPECT_EQ(test, 1, unloads);
	KUNIT_EXPECT_EQ(test, 0, pasid_free(&a, pasid, NULL));
	KUNIT_EXPECT_EQ(test, 0, entered);

	expect_event(test, &a, IOMMU_OWNER_EVENT_PASID_ALLOCATED, pasid, "");
	expect_event(test, &a, IOMMU_OWNER_EVENT_PASID_BOUND, pasid, name);
	expect_event(test, &a, IOMMU_OWNER_EVENT_PASID_DENIED, LAST, name);
	expect_event(test, &a, IOMMU_OWNER_EVENT_PASID_UNBOUND, pasid, name);
	expect_event(test, &a, IOMMU_OWNER_EVENT_PASID_FREED, pasid, "");
	expect_no_event(test, &a);
	/* Nothing of it is for others */
	expect_no_event(test, &b);

	close_fd(fd);
	close_fd(other);
	flush_delayed_fput();
	iommu_owner_pasid_close(open);
	file_device = NULL;
	unloads = 0;
	mdev->dev.parent = NULL;
	iommu_owner_unregister_provider(&device_provider);
	iommu_owner_unregister_provider(&owner_provider);
	iommu_owner_token_close(a.token);
	iommu_owner_token_close(b.token);
}

/* The end of file comes after the last PASID has been reclaimed. */
static void events_end_after_the_last_pasid(struct kunit *test)
{
	struct stage s = stage_new(test, "a");
	int pasid = pasid_alloc(&s, FIRST, LAST);
	struct iommu_owner_pasid *p = iommu_owner_pasid_get(s.owner, pasid);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	expect_event(test, &s, IOMMU_OWNER_EVENT_PASID_ALLOCATED, pasid, "");
	KUNIT_EXPECT_EQ(test, 0, pasid_free(&s, pasid, NULL));
	expect_event(test, &s, IOMMU_OWNER_EVENT_PASID_FREE_PENDING, pasid, "");
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, iommu_owner_revoke(s.owner));
	expect_event(test, &s, IOMMU_OWNER_EVENT_REVOKED, 0, "");
	expect_no_event(test, &s);
	iommu_owner_pasid_put(p);
	expect_event(test, &s, IOMMU_OWNER_EVENT_PASID_FREED, pasid, "");
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_events_read(s.token, s.user,
						sizeof(struct iommu_owner_event),
						false));
	iommu_owner_token_close(s.token);
}

static int pasid_cmd_init(struct kunit *test)
{
	iommu_owner_pasid_set_capacity(PASID_MAX + 1);
	return mock_init(test);
}

static struct kunit_case pasid_cmd_cases[] = {
	KUNIT_CASE(rights_and_structures),
	KUNIT_CASE(free_through_a_passed_file_is_checked),
	KUNIT_CASE(last_token_frees_all),
	KUNIT_CASE(answer_cannot_be_written),
	KUNIT_CASE(list_grows),
	KUNIT_CASE(map_and_unmap),
	KUNIT_CASE(permit_needs_both_files),
	KUNIT_CASE_SLOW(events_end_after_the_last_pasid),
	{}
};

static struct kunit_suite pasid_cmd_suite = {
	.name = "iommu_owner_pasid_cmd",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = pasid_cmd_init,
	.exit = mock_exit,
	.test_cases = pasid_cmd_cases,
};

kunit_test_suite(pasid_cmd_suite);
