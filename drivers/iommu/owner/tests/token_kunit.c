// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: tokens, their rights, reservations and events
 *
 * The ioctls are called as a user would: their structures are in memory of a
 * user that the test has mapped.
 */
#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "../token.h"
#include "mock.h"

#define USER_SIZE	(16 * PAGE_SIZE)
/* Where in that memory what is */
#define ARRAY_AT	PAGE_SIZE
#define OUT_AT		(4 * PAGE_SIZE)

/* What most tests need: two groups, an owner, and all that may disturb it */
struct stage {
	struct mock_device *mdev[2];
	u32 id[2];
	struct mock_driver *driver;
	struct iommu_owner *owner;
	struct iommu_owner_token *token;
	void __user *user;
};

static const struct iommu_owner_group_ref all_groups;

static struct iommu_owner_token *token_new(struct kunit *test,
					   struct iommu_owner *owner,
					   u32 rights)
{
	struct iommu_owner_token *token =
		iommu_owner_token_alloc(owner, &all_groups, rights);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, token);
	iommu_owner_token_open(token);
	return token;
}

static struct stage stage_new(struct kunit *test, bool explicit)
{
	struct stage s = {};
	unsigned long addr;

	for (int i = 0; i < 2; i++) {
		s.mdev[i] = mock_device(test, NULL);
		s.id[i] = iommu_group_id(s.mdev[i]->group);
	}
	s.driver = mock_driver(test, "mock-driver", false);
	s.owner = mock_owner(test, "orchestrator")->owner;
	s.owner->explicit = explicit;
	s.token = token_new(test, s.owner, IOMMU_OWNER_RIGHTS_ALL);
	addr = kunit_vm_mmap(test, NULL, 0, USER_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, 0, addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	s.user = (void __user *)addr;
	return s;
}

/* Execute an ioctl on the structure @cmd; its answer is in @cmd then. */
static int call(struct stage *s, struct iommu_owner_token *token,
		unsigned int nr, void *cmd, size_t size)
{
	int ret;

	if (copy_to_user(s->user, cmd, size))
		return -ENXIO;
	ret = iommu_owner_token_ioctl(token, nr, s->user);
	if (copy_from_user(cmd, s->user, size))
		return -ENXIO;
	return ret;
}

static u64 put_refs(struct stage *s, const struct iommu_owner_group_ref *refs,
		    unsigned int count)
{
	if (copy_to_user(s->user + ARRAY_AT, refs, count * sizeof(*refs)))
		return 0;
	return (uintptr_t)s->user + ARRAY_AT;
}

static u64 put_groups(struct stage *s, const u32 *ids, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct iommu_owner_group_ref ref = { .group = ids[i] };

		if (copy_to_user(s->user + ARRAY_AT + i * sizeof(ref), &ref,
				 sizeof(ref)))
			return 0;
	}
	return (uintptr_t)s->user + ARRAY_AT;
}

static int reserve(struct stage *s, struct iommu_owner_token *token,
		   const u32 *ids, unsigned int count, u32 *failed)
{
	struct iommu_owner_reserve cmd = {
		.size = sizeof(cmd),
		.nr_groups = count,
		.group_size = sizeof(struct iommu_owner_group_ref),
		.groups = put_groups(s, ids, count),
	};
	int ret = call(s, token, IOMMU_OWNER_RESERVE, &cmd, sizeof(cmd));

	if (failed)
		*failed = cmd.out_group;
	return ret;
}

static int release(struct stage *s, struct iommu_owner_token *token,
		   const u32 *ids, unsigned int count)
{
	struct iommu_owner_release cmd = {
		.size = sizeof(cmd),
		.nr_groups = count,
		.group_size = sizeof(struct iommu_owner_group_ref),
		.groups = count ? put_groups(s, ids, count) : 0,
		.flags = count ? 0 : IOMMU_OWNER_RELEASE_ALL,
	};

	return call(s, token, IOMMU_OWNER_RELEASE, &cmd, sizeof(cmd));
}

static int check(struct stage *s, const u32 *ids, unsigned int count,
		 struct iommu_owner_device_info *out, u32 *room)
{
	struct iommu_owner_check cmd = {
		.size = sizeof(cmd),
		.nr_groups = count,
		.group_size = sizeof(struct iommu_owner_group_ref),
		.groups = put_groups(s, ids, count),
		.nr_blockers = *room,
		.blocker_size = sizeof(*out),
		.blockers = (uintptr_t)s->user + OUT_AT,
	};
	int ret = call(s, s->token, IOMMU_OWNER_CHECK, &cmd, sizeof(cmd));

	if (copy_from_user(out, s->user + OUT_AT, *room * sizeof(*out)))
		return -ENXIO;
	*room = cmd.nr_blockers;
	return ret;
}

static int dup(struct stage *s, struct iommu_owner_token *token, u32 rights,
	       int *fd)
{
	struct iommu_owner_dup cmd = {
		.size = sizeof(cmd),
		.rights = rights,
		.out_fd = -1,
	};
	int ret = call(s, token, IOMMU_OWNER_DUP, &cmd, sizeof(cmd));

	*fd = cmd.out_fd;
	return ret;
}

static void stop_using(int fd)
{
	close_fd(fd);
	flush_delayed_fput();
}

static enum iommu_owner_state state(struct stage *s, unsigned int i)
{
	return mock_state(s->mdev[i]->group);
}

/* Rights */

static const struct op {
	const char *name;
	unsigned int nr;
	size_t size;
	u32 right;
	bool revoked;
} ops[] = {
	{ "get_info", IOMMU_OWNER_GET_INFO, sizeof(struct iommu_owner_get_info),
	  IOMMU_OWNER_RIGHT_INSPECT, true },
	{ "dup", IOMMU_OWNER_DUP, sizeof(struct iommu_owner_dup),
	  IOMMU_OWNER_RIGHT_GRANT, false },
	{ "check", IOMMU_OWNER_CHECK, sizeof(struct iommu_owner_check),
	  IOMMU_OWNER_RIGHT_INSPECT, false },
	{ "reserve", IOMMU_OWNER_RESERVE, sizeof(struct iommu_owner_reserve),
	  IOMMU_OWNER_RIGHT_RESERVE, false },
	{ "release", IOMMU_OWNER_RELEASE, sizeof(struct iommu_owner_release),
	  IOMMU_OWNER_RIGHT_RESERVE, false },
	{ "revoke", IOMMU_OWNER_REVOKE, sizeof(struct iommu_owner_revoke),
	  IOMMU_OWNER_RIGHT_REVOKE, true },
	{ "use", IOMMU_OWNER_USE, sizeof(struct iommu_owner_use),
	  IOMMU_OWNER_RIGHT_CLAIM, false },
};

/* A call of @op that would change something or succeed */
static int execute(struct stage *s, struct iommu_owner_token *token,
		   const struct op *op, u32 rights)
{
	struct iommu_owner_get_info info = { .size = sizeof(info) };
	struct iommu_owner_revoke revoke = { .size = sizeof(revoke) };
	struct iommu_owner_use use = { .size = sizeof(use), .fd = -1 };
	struct iommu_owner_device_info none;
	struct iommu_owner_token *had = s->token;
	u32 room = 0;
	int ret, fd;

	switch (op->nr) {
	case IOMMU_OWNER_GET_INFO:
		ret = call(s, token, op->nr, &info, sizeof(info));
		return ret == -EMSGSIZE ? 0 : ret;
	case IOMMU_OWNER_DUP:
		ret = dup(s, token, rights, &fd);
		if (!ret)
			stop_using(fd);
		return ret;
	case IOMMU_OWNER_CHECK:
		s->token = token;
		ret = check(s, s->id, 2, &none, &room);
		s->token = had;
		return ret;
	case IOMMU_OWNER_RESERVE:
		return reserve(s, token, s->id, 2, NULL);
	case IOMMU_OWNER_RELEASE:
		return release(s, token, s->id, 1);
	case IOMMU_OWNER_REVOKE:
		return call(s, token, op->nr, &revoke, sizeof(revoke));
	default:
		ret = call(s, token, op->nr, &use, sizeof(use));
		return ret == -EBADF ? 0 : ret;
	}
}

/* With every right but the one that it needs, each operation changes nothing. */
static void token_without_right(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		u64 generation = mock_generation(s.mdev[0]->group);
		u64 events = s.owner->events;
		struct iommu_owner_token *token;

		token = token_new(test, s.owner,
				  IOMMU_OWNER_RIGHTS_ALL & ~ops[i].right);
		KUNIT_EXPECT_EQ_MSG(test, -EPERM,
				    execute(&s, token, &ops[i], ops[i].right),
				    "%s", ops[i].name);
		KUNIT_EXPECT_EQ(test, generation,
				mock_generation(s.mdev[0]->group));
		KUNIT_EXPECT_EQ(test, events, s.owner->events);
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 1));
		KUNIT_EXPECT_FALSE(test, s.owner->revoked);
		iommu_owner_token_close(token);
	}
	iommu_owner_token_close(s.token);
}

/* Each right gives the operations that need it, and no other. */
static void token_single_right(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	for (u32 right = 1; right < IOMMU_OWNER_RIGHTS_ALL; right <<= 1) {
		struct iommu_owner_token *token =
			token_new(test, s.owner, right);

		for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
			if (ops[i].nr == IOMMU_OWNER_REVOKE &&
			    right == ops[i].right)
				continue;
			KUNIT_EXPECT_EQ_MSG(test,
					    right == ops[i].right ? 0 : -EPERM,
					    execute(&s, token, &ops[i], right),
					    "%s with 0x%x", ops[i].name, right);
		}
		iommu_owner_token_close(token);
	}
	KUNIT_EXPECT_FALSE(test, s.owner->revoked);
	iommu_owner_token_close(s.token);
}

static void token_dup_never_more(struct kunit *test)
{
	const u32 few = IOMMU_OWNER_RIGHT_GRANT | IOMMU_OWNER_RIGHT_INSPECT;
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *token = token_new(test, s.owner, few);
	struct iommu_owner_token *copy;
	struct file *file;
	int fd;

	for (u32 rights = 1; rights <= IOMMU_OWNER_RIGHTS_ALL; rights++) {
		int ret = dup(&s, token, rights, &fd);

		KUNIT_EXPECT_EQ(test, rights & ~few ? -EPERM : 0, ret);
		if (ret) {
			KUNIT_EXPECT_EQ(test, -1, fd);
			continue;
		}
		file = fget(fd);
		KUNIT_ASSERT_NOT_NULL(test, file);
		copy = file->private_data;
		KUNIT_EXPECT_EQ(test, rights, copy->rights);
		KUNIT_EXPECT_PTR_EQ(test, s.owner, copy->owner);
		fput(file);
		stop_using(fd);
	}
	KUNIT_EXPECT_EQ(test, -EINVAL, dup(&s, token, 0, &fd));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dup(&s, token, few | BIT(8), &fd));
	iommu_owner_token_close(token);
	iommu_owner_token_close(s.token);
}

/* Size, tail and flags of the structure of each operation */
static void token_structures(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		u8 cmd[256] = {};
		u32 *words = (u32 *)cmd;

		words[0] = ops[i].size - 1;
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    call(&s, s.token, ops[i].nr, cmd, 256),
				    "%s too short", ops[i].name);
		words[0] = 0;
		KUNIT_EXPECT_EQ(test, -EINVAL,
				call(&s, s.token, ops[i].nr, cmd, 256));
		words[0] = 256;
		cmd[255] = 1;
		KUNIT_EXPECT_EQ_MSG(test, -E2BIG,
				    call(&s, s.token, ops[i].nr, cmd, 256),
				    "%s with a tail", ops[i].name);
		cmd[255] = 0;
		words[0] = PAGE_SIZE + 1;
		KUNIT_EXPECT_EQ(test, -E2BIG,
				call(&s, s.token, ops[i].nr, cmd, 256));
		words[0] = ops[i].size;
		words[1] = BIT(31);
		KUNIT_EXPECT_EQ_MSG(test, -EOPNOTSUPP,
				    call(&s, s.token, ops[i].nr, cmd, 256),
				    "%s with a flag", ops[i].name);
		KUNIT_EXPECT_EQ(test, -EFAULT,
				iommu_owner_token_ioctl(s.token, ops[i].nr,
							NULL));
	}
	KUNIT_EXPECT_EQ(test, -ENOTTY,
			iommu_owner_token_ioctl(s.token, IOMMU_OWNER_CREATE,
						s.user));
	KUNIT_EXPECT_EQ(test, -ENOTTY,
			iommu_owner_token_ioctl(s.token,
						_IO(IOMMU_OWNER_TYPE, 0x1f),
						s.user));
	KUNIT_EXPECT_EQ(test, -ENOTTY,
			iommu_owner_token_ioctl(s.token,
						_IO('!', IOMMU_OWNER_CMD_DUP),
						s.user));
	KUNIT_EXPECT_FALSE(test, s.owner->revoked);
	iommu_owner_token_close(s.token);
}

/* Reservations */

static void token_reserve_all_or_none(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	u32 ids[3] = { s.id[0], s.id[1], s.id[0] };
	u32 missing[2] = { s.id[0], INT_MAX };
	u32 *many, failed;

	many = kunit_kcalloc(test, IOMMU_OWNER_GROUPS_MAX + 1, sizeof(*many),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, many);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(s.driver, s.mdev[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, reserve(&s, s.token, s.id, 2, &failed));
	KUNIT_EXPECT_EQ(test, s.id[1], failed);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(s.mdev[0]));

	KUNIT_EXPECT_EQ(test, -ENODEV,
			reserve(&s, s.token, missing, 2, &failed));
	KUNIT_EXPECT_EQ(test, INT_MAX, failed);
	missing[1] = U32_MAX;
	KUNIT_EXPECT_EQ(test, -ENODEV,
			reserve(&s, s.token, missing, 2, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));

	mock_unbind(s.mdev[1]);
	KUNIT_EXPECT_EQ(test, 0, reserve(&s, s.token, ids, 3, NULL));
	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, i));
		KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(s.mdev[i]));
		KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(s.driver, s.mdev[i]));
	}
	KUNIT_EXPECT_EQ(test, -EINVAL, reserve(&s, s.token, ids, 0, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			reserve(&s, s.token, many, IOMMU_OWNER_GROUPS_MAX + 1,
				NULL));
	iommu_owner_token_close(s.token);
}

/* What was reserved before stays when more cannot be had. */
static void token_reserve_keeps_old(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct mock_device *third = mock_device(test, NULL);
	u32 ids[3] = { s.id[0], iommu_group_id(third->group), s.id[1] };

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(s.driver, s.mdev[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, reserve(&s, s.token, ids, 3, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(third->group));
	iommu_owner_token_close(s.token);
}

static void token_reservation_lifetime(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *other =
		token_new(test, s.owner, IOMMU_OWNER_RIGHT_RESERVE);
	struct iommu_owner_token *poor =
		token_new(test, s.owner, IOMMU_OWNER_RIGHTS_ALL &
			  ~IOMMU_OWNER_RIGHT_RESERVE);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(s.owner, s.mdev[1]->group));
	iommu_owner_token_close(s.token);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	iommu_owner_token_close(other);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(s.mdev[0]));

	/* The claim stays with who has claimed */
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, state(&s, 1));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(s.owner, s.mdev[1]->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 1));

	/* Another token can start over */
	other = token_new(test, s.owner, IOMMU_OWNER_RIGHT_RESERVE |
			  IOMMU_OWNER_RIGHT_TAKE);
	KUNIT_EXPECT_EQ(test, 0, reserve(&s, other, s.id, 2, NULL));
	iommu_owner_token_close(poor);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	iommu_owner_token_close(other);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
}

static void token_release(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	KUNIT_EXPECT_EQ(test, -ENOENT, release(&s, s.token, s.id, 2));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	KUNIT_EXPECT_EQ(test, 0, release(&s, s.token, s.id, 1));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, release(&s, s.token, s.id, 1));

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	KUNIT_EXPECT_EQ(test, 0, release(&s, s.token, NULL, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 1));
	KUNIT_EXPECT_EQ(test, 0, release(&s, s.token, NULL, 0));
	iommu_owner_token_close(s.token);
}

/* Without TAKE the owner can keep what it has, no more, however it was made. */
static void token_without_take(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	u32 failed;

	iommu_owner_token_close(s.token);
	s.token = token_new(test, s.owner,
			    IOMMU_OWNER_RIGHTS_ALL & ~IOMMU_OWNER_RIGHT_TAKE);
	KUNIT_EXPECT_EQ(test, -EPERM, reserve(&s, s.token, s.id, 1, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));

	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(s.owner, s.mdev[0]->group));
	KUNIT_EXPECT_EQ(test, -EPERM, reserve(&s, s.token, s.id, 2, &failed));
	KUNIT_EXPECT_EQ(test, s.id[1], failed);
	KUNIT_EXPECT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(s.owner, s.mdev[0]->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 1));
	iommu_owner_token_close(s.token);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
}

static void token_take_needs_reserve(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *token =
		token_new(test, s.owner, IOMMU_OWNER_RIGHT_TAKE);

	KUNIT_EXPECT_EQ(test, -EPERM, reserve(&s, token, s.id, 1, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	iommu_owner_token_close(token);
	iommu_owner_token_close(s.token);
}

/* The three ioctls that name groups, with one reference */
static void call_with_ref(struct stage *s, u32 id, u64 generation, int ret[3])
{
	struct iommu_owner_group_ref ref = {
		.group = id, .generation = generation,
	};
	struct iommu_owner_check check = {
		.size = sizeof(check), .nr_groups = 1,
		.group_size = sizeof(ref), .groups = put_refs(s, &ref, 1),
	};
	struct iommu_owner_reserve reserve = {
		.size = sizeof(reserve), .nr_groups = 1,
		.group_size = sizeof(ref), .groups = check.groups,
	};
	struct iommu_owner_release release = {
		.size = sizeof(release), .nr_groups = 1,
		.group_size = sizeof(ref), .groups = check.groups,
	};

	ret[0] = call(s, s->token, IOMMU_OWNER_CHECK, &check, sizeof(check));
	ret[1] = call(s, s->token, IOMMU_OWNER_RESERVE, &reserve,
		      sizeof(reserve));
	ret[2] = call(s, s->token, IOMMU_OWNER_RELEASE, &release,
		      sizeof(release));
}

/* The number of a group that is gone belongs to another group. */
static void token_recycled_number(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	u64 first = mock_generation(s.mdev[0]->group), last, now;
	struct mock_device *next;
	int ret[3];

	/* Each that the group ever had names it, but none that it never had */
	KUNIT_ASSERT_NE(test, 0, first);
	call_with_ref(&s, s.id[0], first, ret);
	KUNIT_EXPECT_EQ(test, 0, ret[0] ?: ret[1] ?: ret[2]);
	last = mock_generation(s.mdev[0]->group);
	KUNIT_EXPECT_LT(test, first, last);
	call_with_ref(&s, s.id[0], first, ret);
	KUNIT_EXPECT_EQ(test, 0, ret[0] ?: ret[1] ?: ret[2]);
	last = mock_generation(s.mdev[0]->group);
	call_with_ref(&s, s.id[0], last + 1, ret);
	KUNIT_EXPECT_EQ(test, -ESTALE, ret[0]);
	KUNIT_EXPECT_EQ(test, -ESTALE, ret[1]);
	KUNIT_EXPECT_EQ(test, -ENOENT, ret[2]);

	mock_device_del(s.mdev[0]);
	iommu_owner_flush_uevent(s.mdev[0]->group);
	iommu_group_put(s.mdev[0]->group);
	s.mdev[0]->group = NULL;
	next = mock_device(test, NULL);
	KUNIT_ASSERT_EQ(test, s.id[0], iommu_group_id(next->group));
	now = mock_generation(next->group);
	for (u64 seen = first; seen <= last; seen += max(last - first, 1)) {
		call_with_ref(&s, s.id[0], seen, ret);
		KUNIT_EXPECT_EQ(test, -ESTALE, ret[0]);
		KUNIT_EXPECT_EQ(test, -ESTALE, ret[1]);
	}
	KUNIT_EXPECT_EQ(test, now, mock_generation(next->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(next->group));
	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	call_with_ref(&s, s.id[0], last, ret);
	KUNIT_EXPECT_EQ(test, -ESTALE, ret[2]);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED,
			mock_state(next->group));
	call_with_ref(&s, s.id[0], now, ret);
	KUNIT_EXPECT_EQ(test, 0, ret[0] ?: ret[1] ?: ret[2]);
	iommu_owner_token_close(s.token);
}

/* Programs of another age: sizes, and what the kernel knows */

static int query(struct stage *s, struct iommu_owner_query *query, u32 size)
{
	int ret;

	query->size = size;
	if (copy_to_user(s->user, query, sizeof(*query)))
		return -ENXIO;
	ret = iommu_owner_query_ioctl(s->user);
	if (copy_from_user(query, s->user, sizeof(*query)))
		return -ENXIO;
	return ret;
}

static void token_query(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct {
		struct iommu_owner_query q;
		u64 tail;
	} longer = {};
	struct iommu_owner_query q = { .command = IOMMU_OWNER_CMD_RELEASE };

	KUNIT_EXPECT_EQ(test, 0, query(&s, &q, sizeof(q)));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_VERSION, q.out_version);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_RIGHTS_ALL, q.out_rights);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_EVENT_PASID_DENIED + 1,
			q.out_event_types);
	KUNIT_EXPECT_EQ(test, sizeof(struct iommu_owner_release),
			q.out_command_size);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_RELEASE_ALL, q.out_command_flags);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		q.command = _IOC_NR(ops[i].nr);
		KUNIT_EXPECT_EQ(test, 0, query(&s, &q, sizeof(q)));
		KUNIT_EXPECT_EQ_MSG(test, ops[i].size, q.out_command_size, "%s",
				    ops[i].name);
	}
	q.command = U32_MAX;
	KUNIT_EXPECT_EQ(test, 0, query(&s, &q, sizeof(q)));
	KUNIT_EXPECT_EQ(test, 0, q.out_command_size);

	KUNIT_EXPECT_EQ(test, -EINVAL, query(&s, &q, sizeof(q) - 1));
	q.flags = 1;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, query(&s, &q, sizeof(q)));
	longer.q.size = sizeof(longer);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user, &longer, sizeof(longer)));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_query_ioctl(s.user));
	longer.tail = 1;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user, &longer, sizeof(longer)));
	KUNIT_EXPECT_EQ(test, -E2BIG, iommu_owner_query_ioctl(s.user));
	iommu_owner_token_close(s.token);
}

/* References that are longer, shorter, or say what the kernel does not know */
static void token_ref_elements(struct kunit *test)
{
	struct {
		struct iommu_owner_group_ref ref;
		u64 tail;
	} refs[2] = {};
	struct stage s = stage_new(test, true);
	struct iommu_owner_reserve cmd = {
		.size = sizeof(cmd), .nr_groups = 2, .group_size = sizeof(refs[0]),
		.groups = (uintptr_t)s.user + ARRAY_AT,
	};

	refs[0].ref.group = s.id[0];
	refs[1].ref.group = s.id[1];
	refs[1].tail = 1;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + ARRAY_AT, refs,
					      sizeof(refs)));
	KUNIT_EXPECT_EQ(test, -E2BIG, call(&s, s.token, IOMMU_OWNER_RESERVE,
					   &cmd, sizeof(cmd)));
	refs[1].tail = 0;
	refs[1].ref.__reserved = 1;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + ARRAY_AT, refs,
					      sizeof(refs)));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			call(&s, s.token, IOMMU_OWNER_RESERVE, &cmd,
			     sizeof(cmd)));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	refs[1].ref.__reserved = 0;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + ARRAY_AT, refs,
					      sizeof(refs)));
	cmd.group_size = sizeof(refs[0].ref) - 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, call(&s, s.token, IOMMU_OWNER_RESERVE,
					    &cmd, sizeof(cmd)));
	cmd.group_size = PAGE_SIZE + 1;
	KUNIT_EXPECT_EQ(test, -E2BIG, call(&s, s.token, IOMMU_OWNER_RESERVE,
					   &cmd, sizeof(cmd)));
	cmd.group_size = sizeof(refs[0]);
	KUNIT_EXPECT_EQ(test, 0, call(&s, s.token, IOMMU_OWNER_RESERVE, &cmd,
				      sizeof(cmd)));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 1));
	iommu_owner_token_close(s.token);
}

/* Entries that are longer than the kernel's, and room for some of them only */
static void token_info_elements(struct kunit *test)
{
	struct big_group {
		struct iommu_owner_group_info info;
		u64 tail;
	} groups[3];
	struct big_device {
		struct iommu_owner_device_info info;
		u64 tail;
	} devices[3];
	struct stage s = stage_new(test, true);
	struct iommu_owner_get_info cmd = {
		.size = sizeof(cmd), .nr_groups = 2, .nr_devices = 1,
		.group_size = sizeof(groups[0]),
		.device_size = sizeof(devices[0]),
		.groups = (uintptr_t)s.user + ARRAY_AT,
		.devices = (uintptr_t)s.user + OUT_AT,
	};

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	memset(groups, 0xff, sizeof(groups));
	memset(devices, 0xff, sizeof(devices));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + ARRAY_AT, groups,
					      sizeof(groups)));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s.user + OUT_AT, devices,
					      sizeof(devices)));
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					      &cmd, sizeof(cmd)));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(groups, s.user + ARRAY_AT,
						sizeof(groups)));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(devices, s.user + OUT_AT,
						sizeof(devices)));
	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, s.id[i], groups[i].info.group);
		KUNIT_EXPECT_EQ(test, 0, groups[i].tail);
	}
	KUNIT_EXPECT_EQ(test, U64_MAX, groups[2].info.generation);
	KUNIT_EXPECT_STREQ(test, dev_name(&s.mdev[0]->dev),
			   devices[0].info.device);
	KUNIT_EXPECT_EQ(test, 0, devices[0].tail);
	/* What did not fit has not been written */
	KUNIT_EXPECT_EQ(test, U32_MAX, devices[1].info.group);
	KUNIT_EXPECT_EQ(test, 2, cmd.nr_devices);

	cmd.device_size = sizeof(devices[0].info) - 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					    &cmd, sizeof(cmd)));
	cmd.device_size = sizeof(devices[0].info);
	cmd.group_size = sizeof(groups[0].info) - 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					    &cmd, sizeof(cmd)));
	cmd.group_size = PAGE_SIZE + 1;
	KUNIT_EXPECT_EQ(test, -E2BIG, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					   &cmd, sizeof(cmd)));
	iommu_owner_token_close(s.token);
}

/* Limits */

static void token_limit(struct kunit *test)
{
	struct iommu_owner_token **tokens;
	struct stage s = stage_new(test, true);
	unsigned int n = IOMMU_OWNER_TOKENS_MAX - 1;
	int fd;

	tokens = kunit_kcalloc(test, n, sizeof(*tokens), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tokens);
	for (unsigned int i = 0; i < n; i++)
		tokens[i] = token_new(test, s.owner, IOMMU_OWNER_RIGHT_INSPECT);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			dup(&s, s.token, IOMMU_OWNER_RIGHT_INSPECT, &fd));
	iommu_owner_token_close(tokens[--n]);
	KUNIT_EXPECT_EQ(test, 0,
			dup(&s, s.token, IOMMU_OWNER_RIGHT_INSPECT, &fd));
	stop_using(fd);
	while (n)
		iommu_owner_token_close(tokens[--n]);
	iommu_owner_token_close(s.token);
	KUNIT_EXPECT_EQ(test, 0, s.owner->tokens);
}

/* Tokens of device files are half of them: one to revoke can always be made. */
static void token_one_group_limit(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	const struct iommu_owner_group_ref only = {
		.generation = mock_generation(s.mdev[0]->group),
		.group = s.id[0],
	};
	unsigned int n = IOMMU_OWNER_TOKENS_MAX / 2 - 1;
	struct iommu_owner_token **tokens, *token;

	tokens = kunit_kcalloc(test, n, sizeof(*tokens), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tokens);
	for (unsigned int i = 0; i < n; i++) {
		tokens[i] = iommu_owner_token_alloc(s.owner, &only,
						    IOMMU_OWNER_RIGHT_INSPECT);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tokens[i]);
	}
	token = iommu_owner_token_alloc(s.owner, &only,
					IOMMU_OWNER_RIGHT_INSPECT);
	KUNIT_EXPECT_EQ(test, -ENOSPC, PTR_ERR_OR_ZERO(token));
	token = token_new(test, s.owner, IOMMU_OWNER_RIGHT_REVOKE);
	iommu_owner_token_close(token);
	while (n)
		iommu_owner_token_close(tokens[--n]);
	iommu_owner_token_close(s.token);
}

/* What cannot be revoked and a token that revokes: one of them only */
static void token_irrevocable(struct kunit *test)
{
	struct iommu_owner *owner = mock_owner(test, "backend")->owner;
	struct iommu_owner_token *token;

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_forbid_revoke(owner));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_forbid_revoke(owner));
	iommu_owner_allow_revoke(owner);
	token = iommu_owner_token_alloc(owner, &all_groups,
					IOMMU_OWNER_RIGHT_REVOKE);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR_OR_ZERO(token));
	if (!IS_ERR(token))
		iommu_owner_token_close(token);
	/* It revokes nothing */
	token = token_new(test, owner, IOMMU_OWNER_RIGHT_INSPECT |
				       IOMMU_OWNER_RIGHT_ASSOCIATE);
	iommu_owner_allow_revoke(owner);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_forbid_revoke(owner));
	iommu_owner_allow_revoke(owner);
	iommu_owner_token_close(token);

	token = token_new(test, owner, IOMMU_OWNER_RIGHT_REVOKE);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_owner_forbid_revoke(owner));
	iommu_owner_token_close(token);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_forbid_revoke(owner));
	iommu_owner_allow_revoke(owner);

	/* User space may still have a token of it, or use one of its files */
	owner->explicit = true;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_owner_forbid_revoke(owner));
}

static void token_watch_limit(struct kunit *test)
{
	static const struct iommu_owner_watch_ops no_ops;
	static const struct iommu_owner_vm vm;
	struct iommu_owner *owner = mock_owner(test, "watched")->owner;
	const unsigned int n = IOMMU_OWNER_WATCHES_MAX;
	struct iommu_owner_watch *watches;

	watches = kvcalloc(n + 1, sizeof(*watches), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, watches);
	for (unsigned int i = 0; i <= n; i++) {
		watches[i].ops = &no_ops;
		watches[i].class = IOMMU_OWNER_WATCH_DEVICE;
		KUNIT_EXPECT_EQ(test, i < n ? 0 : -ENOSPC,
				iommu_owner_watch(owner, &watches[i]));
	}
	iommu_owner_unwatch(&watches[0]);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(owner, &watches[n]));
	for (unsigned int i = 1; i <= n; i++)
		iommu_owner_unwatch(&watches[i]);

	/* VMs leave half of them to devices */
	memset(watches, 0, (n + 1) * sizeof(*watches));
	for (unsigned int i = 0; i <= n / 2; i++) {
		watches[i].ops = &no_ops;
		watches[i].vm = &vm;
		KUNIT_EXPECT_EQ(test, i < n / 2 ? 0 : -ENOSPC,
				iommu_owner_watch(owner, &watches[i]));
	}
	watches[n].ops = &no_ops;
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(owner, &watches[n]));
	iommu_owner_unwatch(&watches[n]);
	iommu_owner_unwatch(&watches[0]);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_watch(owner, &watches[n / 2]));
	for (unsigned int i = 1; i <= n / 2; i++)
		iommu_owner_unwatch(&watches[i]);
	kvfree(watches);
}

static void token_revoked(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	iommu_owner_revoke(s.owner);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		KUNIT_EXPECT_EQ_MSG(test, ops[i].revoked ? 0 : -ESTALE,
				    execute(&s, s.token, &ops[i],
					    IOMMU_OWNER_RIGHT_INSPECT),
				    "%s", ops[i].name);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
	iommu_owner_token_close(s.token);
}

/* CHECK and GET_INFO */

static void token_check(struct kunit *test)
{
	struct iommu_owner *other = mock_owner(test, "other")->owner;
	struct iommu_owner_device_info out[4] = {};
	struct stage s = stage_new(test, true);
	struct mock_device *twin = mock_device(test, s.mdev[0]->group);
	u32 room = 4, missing = INT_MAX;

	KUNIT_EXPECT_EQ(test, 0, check(&s, s.id, 2, out, &room));
	KUNIT_EXPECT_EQ(test, 0, room);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(s.driver, s.mdev[0]));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(s.driver, twin));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_reserve_group(other, s.mdev[1]->group));
	room = 0;
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, check(&s, s.id, 2, out, &room));
	KUNIT_EXPECT_EQ(test, 3, room);
	room = 2;
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, check(&s, s.id, 2, out, &room));
	KUNIT_EXPECT_EQ(test, 3, room);
	KUNIT_EXPECT_EQ(test, 0, out[2].state);
	KUNIT_EXPECT_STREQ(test, dev_name(&twin->dev), out[1].device);
	KUNIT_EXPECT_EQ(test, 0, check(&s, s.id, 2, out, &room));
	KUNIT_EXPECT_STREQ(test, dev_name(&s.mdev[0]->dev), out[0].device);
	KUNIT_EXPECT_STREQ(test, "mock-driver", out[0].driver);
	KUNIT_EXPECT_EQ(test, s.id[0], out[0].group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, out[0].state);
	KUNIT_EXPECT_EQ(test, s.id[1], out[2].group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, out[2].state);
	KUNIT_EXPECT_STREQ(test, "", out[2].device);
	KUNIT_EXPECT_EQ(test, -ENODEV, check(&s, &missing, 1, out, &room));

	/* A group of the owner itself does not conflict */
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_unreserve_group(other, s.mdev[1]->group));
	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, &s.id[1], 1, NULL));
	room = 4;
	KUNIT_EXPECT_EQ(test, 0, check(&s, &s.id[1], 1, out, &room));
	KUNIT_EXPECT_EQ(test, 0, room);
	iommu_owner_token_close(s.token);
}

static void token_info(struct kunit *test)
{
	struct iommu_owner_get_info cmd = {
		.size = sizeof(cmd),
		.group_size = sizeof(struct iommu_owner_group_info),
		.device_size = sizeof(struct iommu_owner_device_info),
	};
	struct iommu_owner_device_info devices[3];
	struct iommu_owner_group_info groups[2];
	struct stage s = stage_new(test, true);
	struct mock_driver *managed = mock_driver(test, "mock-vfio", true);
	struct mock_device *twin = mock_device(test, s.mdev[0]->group);

	KUNIT_ASSERT_EQ(test, 0, mock_bind(managed, twin));
	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 2, NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(s.owner, s.mdev[0]->group));
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					      &cmd, sizeof(cmd)));
	KUNIT_EXPECT_EQ(test, 2, cmd.nr_groups);
	KUNIT_EXPECT_EQ(test, 3, cmd.nr_devices);
	KUNIT_EXPECT_EQ(test, 1, cmd.out_claims);
	KUNIT_EXPECT_EQ(test, 3, cmd.out_sequence);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_RIGHTS_ALL, cmd.out_rights);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_INFO_EXPLICIT, cmd.out_flags);
	KUNIT_EXPECT_STREQ(test, "orchestrator", cmd.out_name);

	cmd.groups = (uintptr_t)s.user + ARRAY_AT;
	cmd.devices = (uintptr_t)s.user + OUT_AT;
	cmd.nr_groups = 1;
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					      &cmd, sizeof(cmd)));
	cmd.nr_devices = 2;
	KUNIT_EXPECT_EQ(test, -EMSGSIZE, call(&s, s.token, IOMMU_OWNER_GET_INFO,
					      &cmd, sizeof(cmd)));
	KUNIT_EXPECT_EQ(test, 3, cmd.nr_devices);
	cmd.groups = (uintptr_t)s.user + ARRAY_AT;
	cmd.devices = (uintptr_t)s.user + OUT_AT;
	KUNIT_EXPECT_EQ(test, 0, call(&s, s.token, IOMMU_OWNER_GET_INFO, &cmd,
				      sizeof(cmd)));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(groups, s.user + ARRAY_AT,
						sizeof(groups)));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(devices, s.user + OUT_AT,
						sizeof(devices)));
	KUNIT_EXPECT_EQ(test, s.id[0], groups[0].group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, groups[0].state);
	KUNIT_EXPECT_EQ(test, 1, groups[0].claims);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_GROUP_RESERVED, groups[0].flags);
	KUNIT_EXPECT_EQ(test, 2, groups[0].devices);
	KUNIT_EXPECT_EQ(test, mock_generation(s.mdev[0]->group),
			groups[0].generation);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, groups[1].state);
	KUNIT_EXPECT_STREQ(test, dev_name(&twin->dev), devices[1].device);
	KUNIT_EXPECT_STREQ(test, "mock-vfio", devices[1].driver);
	KUNIT_EXPECT_STREQ(test, "", devices[0].driver);
	KUNIT_EXPECT_EQ(test, s.id[1], devices[2].group);

	/* The task that has the lock may be binding, or waiting for this one */
	device_lock(&twin->dev);
	KUNIT_EXPECT_EQ(test, 0, call(&s, s.token, IOMMU_OWNER_GET_INFO, &cmd,
				      sizeof(cmd)));
	device_unlock(&twin->dev);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(devices, s.user + OUT_AT,
						sizeof(devices)));
	KUNIT_EXPECT_EQ(test, 0, devices[0].flags);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_DEVICE_LOCKED, devices[1].flags);
	KUNIT_EXPECT_STREQ(test, "", devices[1].driver);

	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(s.owner, s.mdev[0]->group));
	iommu_owner_revoke(s.owner);
	KUNIT_EXPECT_EQ(test, 0, call(&s, s.token, IOMMU_OWNER_GET_INFO, &cmd,
				      sizeof(cmd)));
	KUNIT_EXPECT_EQ(test, 0, cmd.nr_groups);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_INFO_EXPLICIT |
			IOMMU_OWNER_INFO_REVOKED, cmd.out_flags);
	iommu_owner_token_close(s.token);
}

/* Events */

#define RECORD	sizeof(struct iommu_owner_event)

static ssize_t read_events(struct stage *s, struct iommu_owner_token *token,
			   struct iommu_owner_event *events, size_t size)
{
	ssize_t ret = iommu_owner_events_read(token, s->user, size, false);

	if (ret > 0 && copy_from_user(events, s->user, ret))
		return -ENXIO;
	return ret;
}

/* The next event, which is to be of this type */
static struct iommu_owner_event next_event(struct kunit *test, struct stage *s,
					   enum iommu_owner_event_type type)
{
	struct iommu_owner_event event = {};

	KUNIT_EXPECT_EQ(test, RECORD,
			read_events(s, s->token, &event, RECORD));
	KUNIT_EXPECT_EQ(test, type, event.type);
	return event;
}

static void token_events(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_group *group = s.mdev[0]->group;
	struct iommu_owner_event event;
	struct mock_device *twin;

	KUNIT_EXPECT_EQ(test, -EAGAIN,
			read_events(&s, s.token, &event, RECORD));
	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_CLAIMED);
	KUNIT_EXPECT_EQ(test, 0, event.sequence);
	KUNIT_EXPECT_EQ(test, s.id[0], event.group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, event.state);
	KUNIT_EXPECT_EQ(test, RECORD, event.size);
	KUNIT_EXPECT_STREQ(test, current->comm, event.comm);
	KUNIT_EXPECT_EQ(test, task_tgid_nr(current), event.pid);

	/* To reserve again is no event */
	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(s.owner, group));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_CLAIMED);
	KUNIT_EXPECT_EQ(test, 1, event.sequence);
	KUNIT_EXPECT_EQ(test, 1, event.claims);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, event.state);
	/* The change of state, which comes last, has moved it once more */
	KUNIT_EXPECT_EQ(test, mock_generation(group), event.generation + 1);

	KUNIT_ASSERT_EQ(test, -EBUSY, mock_bind(s.driver, s.mdev[0]));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_PROBE_REFUSED);
	KUNIT_EXPECT_STREQ(test, "mock-driver", event.driver);
	KUNIT_EXPECT_STREQ(test, dev_name(&s.mdev[0]->dev), event.device);

	twin = mock_device(test, group);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_DEVICE_ADDED);
	KUNIT_EXPECT_STREQ(test, dev_name(&twin->dev), event.device);
	KUNIT_EXPECT_EQ(test, s.id[0], event.group);
	mock_device_del(twin);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_DEVICE_REMOVED);
	KUNIT_EXPECT_STREQ(test, dev_name(&twin->dev), event.device);
	KUNIT_EXPECT_EQ(test, s.id[0], event.group);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, event.state);

	KUNIT_ASSERT_EQ(test, 0, release(&s, s.token, s.id, 1));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_RELEASED);
	KUNIT_EXPECT_EQ(test, 1, event.claims);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(s.owner, group));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_ENDED);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_REASON_RELEASED, event.reason);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, event.state);
	KUNIT_EXPECT_EQ(test, 0, event.claims);
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			read_events(&s, s.token, &event, RECORD));

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	next_event(test, &s, IOMMU_OWNER_EVENT_CLAIMED);
	iommu_owner_revoke(s.owner);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_REVOKED);
	KUNIT_EXPECT_EQ(test, -1, event.group);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_ENDED);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_REASON_REVOKED, event.reason);
	KUNIT_EXPECT_EQ(test, 0, read_events(&s, s.token, &event, RECORD));
	iommu_owner_token_close(s.token);
}

static void token_read_sizes(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *blind =
		token_new(test, s.owner, IOMMU_OWNER_RIGHTS_ALL &
			  ~IOMMU_OWNER_RIGHT_INSPECT);
	struct iommu_owner_event events[3];

	KUNIT_EXPECT_EQ(test, -EPERM,
			read_events(&s, blind, events, RECORD));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			read_events(&s, s.token, events, RECORD - 1));
	for (int i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(s.owner,
							s.mdev[0]->group));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iommu_owner_events_read(s.token, NULL, RECORD, false));
	KUNIT_EXPECT_EQ(test, 2 * RECORD,
			read_events(&s, s.token, events, 3 * RECORD - 1));
	KUNIT_EXPECT_EQ(test, 0, events[0].sequence);
	KUNIT_EXPECT_EQ(test, 1, events[1].sequence);
	KUNIT_EXPECT_EQ(test, RECORD,
			read_events(&s, s.token, events, 3 * RECORD));
	KUNIT_EXPECT_EQ(test, 2, events[0].sequence);
	while (!iommu_owner_release_group(s.owner, s.mdev[0]->group))
		;
	iommu_owner_token_close(blind);
	iommu_owner_token_close(s.token);
}

/* Claim the first group so many times: each is an event. */
static void claim_often(struct kunit *test, struct stage *s, unsigned int times)
{
	while (times--)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(s->owner,
							s->mdev[0]->group));
}

/* Read events as from @next on: those that are missing, then @count others. */
static u64 expect_events(struct kunit *test, struct stage *s, u64 next,
			 u32 missing, unsigned int count)
{
	struct iommu_owner_event event;

	if (missing) {
		event = next_event(test, s, IOMMU_OWNER_EVENT_LOST);
		KUNIT_EXPECT_EQ(test, missing, event.lost);
		KUNIT_EXPECT_EQ(test, next + missing - 1, event.sequence);
		KUNIT_EXPECT_NE(test, 0, event.time);
		KUNIT_EXPECT_EQ(test, -1, event.group);
		KUNIT_EXPECT_EQ(test, 0, event.pid);
		next += missing;
	}
	for (; count; count--) {
		event = next_event(test, s, IOMMU_OWNER_EVENT_CLAIMED);
		KUNIT_EXPECT_EQ(test, next, event.sequence);
		KUNIT_EXPECT_EQ(test, 0, event.lost);
		next++;
	}
	return next;
}

static void token_overflow(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_event event;
	u64 next = 0;

	/* Just as many as fit, then one more, then many more */
	claim_often(test, &s, TOKEN_EVENTS);
	next = expect_events(test, &s, next, 0, TOKEN_EVENTS);
	claim_often(test, &s, TOKEN_EVENTS + 1);
	next = expect_events(test, &s, next, 1, TOKEN_EVENTS);
	claim_often(test, &s, 3 * TOKEN_EVENTS);
	next = expect_events(test, &s, next, 2 * TOKEN_EVENTS, 2);
	/* Those that have been read make room, the others do not */
	claim_often(test, &s, 3);
	next = expect_events(test, &s, next, 1, TOKEN_EVENTS);
	KUNIT_EXPECT_EQ(test, s.owner->events, next);
	KUNIT_EXPECT_EQ(test, -EAGAIN, read_events(&s, s.token, &event, RECORD));
	while (!iommu_owner_release_group(s.owner, s.mdev[0]->group))
		;
	iommu_owner_token_close(s.token);
}

/* Each token reads all events from its opening on, whatever the others read. */
static void token_positions(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *first = s.token;

	claim_often(test, &s, 2);
	s.token = token_new(test, s.owner, IOMMU_OWNER_RIGHT_INSPECT);
	claim_often(test, &s, 2);
	expect_events(test, &s, 2, 0, 2);
	iommu_owner_token_close(s.token);
	s.token = first;
	expect_events(test, &s, 0, 0, 4);
	while (!iommu_owner_release_group(s.owner, s.mdev[0]->group))
		;
	iommu_owner_token_close(s.token);
}

/* A token for one group */

static const struct file_operations device_fops = {};

/* The file of a device that is in @group of the owner */
struct device_file {
	struct file file;
	struct iommu_owner_provider provider;
	struct iommu_owner *owner;
	struct iommu_group *group;
};

static struct iommu_owner *device_file_owner(struct file *file, u32 *rights)
{
	*rights = IOMMU_OWNER_RIGHTS_ALL;
	return iommu_owner_get(container_of(file, struct device_file, file)->owner);
}

static struct iommu_group *device_file_group(struct file *file)
{
	struct iommu_group *group =
		container_of(file, struct device_file, file)->group;

	return group ? iommu_group_ref_get(group) : ERR_PTR(-ENODEV);
}

static void device_file_unregister(void *provider)
{
	iommu_owner_unregister_provider(provider);
}

/* The file that GET_TOKEN of the device in the second group gives */
static struct file *device_token(struct kunit *test, struct stage *s)
{
	struct iommu_owner_get_token get = {
		.size = sizeof(get),
		.rights = IOMMU_OWNER_RIGHT_INSPECT |
			  IOMMU_OWNER_RIGHT_ASSOCIATE | IOMMU_OWNER_RIGHT_GRANT,
	};
	struct device_file *df = kunit_kzalloc(test, sizeof(*df), GFP_KERNEL);
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, df);
	df->file.f_op = &device_fops;
	df->provider.fops = &device_fops;
	df->provider.owner = device_file_owner;
	df->provider.token_group = device_file_group;
	df->owner = s->owner;
	iommu_owner_register_provider(&df->provider);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, device_file_unregister,
						  &df->provider));

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(s->user, &get, sizeof(get)));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			iommu_owner_token_from_file_ioctl(&df->file, s->user));
	df->group = s->mdev[1]->group;
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_token_from_file_ioctl(&df->file, s->user));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&get, s->user, sizeof(get)));
	file = fget(get.out_fd);
	close_fd(get.out_fd);
	KUNIT_ASSERT_NOT_NULL(test, file);
	return file;
}

static void close_file(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

/* It shows one group, in GET_INFO and in CHECK, and so does its duplicate. */
static void token_one_group(struct kunit *test)
{
	struct iommu_owner_get_info info = {
		.size = sizeof(info),
		.nr_groups = 2,
		.group_size = sizeof(struct iommu_owner_group_info),
		.nr_devices = 2,
		.device_size = sizeof(struct iommu_owner_device_info),
	};
	struct iommu_owner_group_info group = {};
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *all = s.token;
	struct file *file = device_token(test, &s), *copy;
	struct iommu_owner_device_info none;
	u32 room = 0;
	int fd;

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, all, s.id, 2, NULL));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(s.owner, s.mdev[0]->group));
	KUNIT_ASSERT_EQ(test, 0, dup(&s, file->private_data,
				     IOMMU_OWNER_RIGHT_INSPECT, &fd));
	copy = fget(fd);
	close_fd(fd);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	s.token = copy->private_data;
	info.groups = (uintptr_t)s.user + ARRAY_AT;
	info.devices = (uintptr_t)s.user + OUT_AT;
	KUNIT_EXPECT_EQ(test, 0, call(&s, s.token, IOMMU_OWNER_GET_INFO, &info,
				      sizeof(info)));
	KUNIT_EXPECT_EQ(test, 1, info.nr_groups);
	KUNIT_EXPECT_EQ(test, 1, info.nr_devices);
	KUNIT_EXPECT_EQ(test, 0, info.out_claims);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_INFO_EXPLICIT |
			IOMMU_OWNER_INFO_ONE_GROUP, info.out_flags);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&group, s.user + ARRAY_AT,
						sizeof(group)));
	KUNIT_EXPECT_EQ(test, s.id[1], group.group);

	KUNIT_EXPECT_EQ(test, 0, check(&s, &s.id[1], 1, &none, &room));
	KUNIT_EXPECT_EQ(test, -EPERM, check(&s, s.id, 1, &none, &room));
	KUNIT_EXPECT_EQ(test, -EPERM, check(&s, s.id, 2, &none, &room));

	close_file(copy);
	close_file(file);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_release_group(s.owner, s.mdev[0]->group));
	iommu_owner_token_close(all);
}

/* Events of another group are not shown, do not wake and need no read. */
static void token_one_group_events(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct iommu_owner_token *all = s.token;
	struct file *file = device_token(test, &s);
	struct iommu_owner_event event;

	s.token = file->private_data;
	claim_often(test, &s, 2);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_events_poll(s.token, NULL, NULL));
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			read_events(&s, s.token, &event, RECORD));
	claim_often(test, &s, TOKEN_EVENTS);
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_claim_group(s.owner, s.mdev[1]->group));
	claim_often(test, &s, 1);
	/* More than the ring has; then one of its own among the others */
	event = next_event(test, &s, IOMMU_OWNER_EVENT_LOST);
	KUNIT_EXPECT_EQ(test, 2, event.lost);
	KUNIT_EXPECT_EQ(test, EPOLLIN | EPOLLRDNORM,
			iommu_owner_events_poll(s.token, NULL, NULL));
	event = next_event(test, &s, IOMMU_OWNER_EVENT_CLAIMED);
	KUNIT_EXPECT_EQ(test, s.id[1], event.group);
	KUNIT_EXPECT_EQ(test, 2 + TOKEN_EVENTS, event.sequence);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_owner_events_poll(s.token, NULL, NULL));

	iommu_owner_revoke(s.owner);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_REVOKED);
	event = next_event(test, &s, IOMMU_OWNER_EVENT_ENDED);
	KUNIT_EXPECT_EQ(test, s.id[1], event.group);
	KUNIT_EXPECT_EQ(test, 0, read_events(&s, s.token, &event, RECORD));
	close_file(file);
	iommu_owner_token_close(all);
}

/* A VM that gets it cares for one group. */
static void token_one_group_watch(struct kunit *test)
{
	static const struct iommu_owner_watch_ops no_ops;
	struct iommu_owner_watch watch = { .ops = &no_ops };
	struct stage s = stage_new(test, true);
	struct file *file = device_token(test, &s);
	const struct iommu_owner_provider *provider =
		iommu_owner_provider(file);

	KUNIT_ASSERT_NOT_NULL(test, provider);
	KUNIT_ASSERT_EQ(test, 0, provider->watch(file, &watch));
	KUNIT_EXPECT_PTR_EQ(test, s.mdev[1]->group, watch.group);
	provider->unwatch(file, &watch);
	close_file(file);
	iommu_owner_token_close(s.token);
}

/* A poller that looks who wakes it */
struct poller {
	struct wait_queue_entry entry;
	poll_table table;
	wait_queue_head_t *head;
	struct completion woken;
	bool by_worker;
};

static void poller_queue(struct file *file, wait_queue_head_t *head,
			 poll_table *table)
{
	container_of(table, struct poller, table)->head = head;
}

static int poller_wake(struct wait_queue_entry *entry, unsigned int mode,
		       int flags, void *key)
{
	struct poller *poller = container_of(entry, struct poller, entry);

	poller->by_worker = current->flags & PF_WQ_WORKER;
	complete(&poller->woken);
	return 0;
}

static void expect_woken(struct kunit *test, struct poller *poller)
{
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&poller->woken, 5 * HZ));
	KUNIT_EXPECT_TRUE(test, poller->by_worker);
	reinit_completion(&poller->woken);
}

/* The task that causes an event has locks, and does not walk the pollers. */
static void token_wakes_elsewhere(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct poller poller = {};

	init_completion(&poller.woken);
	init_poll_funcptr(&poller.table, poller_queue);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_events_poll(s.token, NULL,
							 &poller.table));
	KUNIT_ASSERT_NOT_NULL(test, poller.head);
	init_waitqueue_func_entry(&poller.entry, poller_wake);
	add_wait_queue(poller.head, &poller.entry);

	KUNIT_ASSERT_EQ(test, 0, reserve(&s, s.token, s.id, 1, NULL));
	expect_woken(test, &poller);
	KUNIT_EXPECT_EQ(test, EPOLLIN | EPOLLRDNORM,
			iommu_owner_events_poll(s.token, NULL, NULL));
	/* The end of a revoked owner is no event of its own */
	iommu_owner_revoke(s.owner);
	expect_woken(test, &poller);
	while (!(iommu_owner_events_poll(s.token, NULL, NULL) & EPOLLHUP))
		expect_woken(test, &poller);
	remove_wait_queue(poller.head, &poller.entry);
	iommu_owner_token_close(s.token);
}

/* However many wait for the events of one token, it is no other one's time. */
static void token_readers_wait_apart(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct poller poller[2] = {};
	struct iommu_owner_token *token[2];

	token[0] = s.token;
	token[1] = token_new(test, s.owner, IOMMU_OWNER_RIGHT_INSPECT);
	for (unsigned int i = 0; i < ARRAY_SIZE(token); i++) {
		init_poll_funcptr(&poller[i].table, poller_queue);
		iommu_owner_events_poll(token[i], NULL, &poller[i].table);
		KUNIT_ASSERT_NOT_NULL(test, poller[i].head);
	}
	KUNIT_EXPECT_PTR_NE(test, poller[0].head, poller[1].head);
	iommu_owner_token_close(token[1]);
	iommu_owner_token_close(token[0]);
}

/* What the token of a watch sees while the owner is being revoked */
struct onlooker {
	struct iommu_owner_watch watch;
	struct stage *stage;
	int group;
	int reserve;
	ssize_t read;
};

static int look_on(struct iommu_owner_watch *watch,
		   const struct iommu_owner_end *end)
{
	struct onlooker *o = container_of(watch, struct onlooker, watch);
	struct stage *s = o->stage;
	struct iommu_owner_event event;

	/* Once, when the first group ends and the second has not begun to */
	if (o->group >= 0)
		return 0;
	o->group = end->group;
	do {
		o->read = read_events(s, s->token, &event, RECORD);
	} while (o->read == RECORD);
	o->reserve = iommu_owner_reserve(s->owner, s->mdev[1]->group, true);
	return 0;
}

static const struct iommu_owner_watch_ops onlooker_ops = {
	.shut = look_on,
};

static void token_during_revoke(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct onlooker o = {
		.watch.ops = &onlooker_ops,
		.watch.class = IOMMU_OWNER_WATCH_DEVICE,
		.stage = &s,
		.group = -1,
	};

	for (int i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(s.owner,
							s.mdev[i]->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_watch(s.owner, &o.watch));
	iommu_owner_revoke(s.owner);
	KUNIT_EXPECT_EQ(test, s.id[0], o.group);
	/* More events will come, but nothing new can be had */
	KUNIT_EXPECT_EQ(test, -EAGAIN, o.read);
	KUNIT_EXPECT_EQ(test, -ESTALE, o.reserve);
	next_event(test, &s, IOMMU_OWNER_EVENT_ENDED);
	next_event(test, &s, IOMMU_OWNER_EVENT_ENDED);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 1));
	iommu_owner_unwatch(&o.watch);
	iommu_owner_token_close(s.token);
}

/* Races */

struct closing {
	struct work_struct work;
	struct iommu_owner_token *token;
};

static void close_work(struct work_struct *work)
{
	iommu_owner_token_close(container_of(work, struct closing,
					     work)->token);
}

/* A new token comes while the last one is being closed: it has reserved. */
static void token_opened_during_close(struct kunit *test)
{
	struct stage s = stage_new(test, true);
	struct closing closing = { .token = s.token };

	INIT_WORK_ONSTACK(&closing.work, close_work);
	mutex_lock(&s.owner->reserve_lock);
	queue_work(system_unbound_wq, &closing.work);
	while (READ_ONCE(s.owner->reservers))
		cond_resched();
	s.token = token_new(test, s.owner, IOMMU_OWNER_RIGHT_RESERVE);
	KUNIT_EXPECT_EQ(test, 1, iommu_owner_reserve(s.owner,
						     s.mdev[0]->group, true));
	mutex_unlock(&s.owner->reserve_lock);
	flush_work(&closing.work);
	destroy_work_on_stack(&closing.work);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, state(&s, 0));
	iommu_owner_token_close(s.token);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(&s, 0));
}

#define ROUNDS	200

struct racer {
	struct work_struct work;
	struct iommu_owner *owner;
	struct iommu_group *group;
};

/* A token that is the last one now and then, and its reservation */
static void race_close(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);
	struct iommu_owner_token *token;

	for (int i = 0; i < ROUNDS; i++) {
		token = iommu_owner_token_alloc(racer->owner, &all_groups,
						IOMMU_OWNER_RIGHT_RESERVE);
		if (IS_ERR(token))
			continue;
		iommu_owner_token_open(token);
		scoped_guard(mutex, &racer->owner->reserve_lock)
			iommu_owner_reserve(racer->owner, racer->group, true);
		mock_dawdle();
		iommu_owner_token_close(token);
	}
}

static void race_revoke(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);

	iommu_owner_revoke(racer->owner);
}

static void run_racers(struct kunit *test, struct stage *s, bool revoke)
{
	struct racer *racers = kunit_kcalloc(test, 4, sizeof(*racers),
					     GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, racers);
	for (int i = 0; i < 4; i++) {
		racers[i].owner = s->owner;
		racers[i].group = s->mdev[0]->group;
		INIT_WORK(&racers[i].work,
			  revoke && i > 1 ? race_revoke : race_close);
		queue_work(system_unbound_wq, &racers[i].work);
	}
	for (int i = 0; i < 4; i++)
		flush_work(&racers[i].work);
	KUNIT_EXPECT_EQ(test, 0, s->owner->reservers);
	KUNIT_EXPECT_EQ(test, 0, s->owner->ending);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, state(s, 0));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(s->mdev[0]));
}

/* Whichever is last: no reservation is left behind. */
static void token_race_last_close(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	iommu_owner_token_close(s.token);
	run_racers(test, &s, false);
}

static void token_race_revoke(struct kunit *test)
{
	struct stage s = stage_new(test, true);

	iommu_owner_token_close(s.token);
	run_racers(test, &s, true);
	KUNIT_EXPECT_EQ(test, -ESTALE,
			iommu_owner_claim_group(s.owner, s.mdev[0]->group));
}

static struct kunit_case token_cases[] = {
	KUNIT_CASE(token_without_right),
	KUNIT_CASE(token_single_right),
	KUNIT_CASE(token_dup_never_more),
	KUNIT_CASE(token_structures),
	KUNIT_CASE(token_reserve_all_or_none),
	KUNIT_CASE(token_reserve_keeps_old),
	KUNIT_CASE(token_reservation_lifetime),
	KUNIT_CASE(token_release),
	KUNIT_CASE(token_without_take),
	KUNIT_CASE(token_take_needs_reserve),
	KUNIT_CASE(token_recycled_number),
	KUNIT_CASE(token_query),
	KUNIT_CASE(token_ref_elements),
	KUNIT_CASE(token_info_elements),
	KUNIT_CASE(token_limit),
	KUNIT_CASE(token_one_group_limit),
	KUNIT_CASE(token_irrevocable),
	KUNIT_CASE(token_watch_limit),
	KUNIT_CASE(token_revoked),
	KUNIT_CASE(token_check),
	KUNIT_CASE(token_info),
	KUNIT_CASE(token_events),
	KUNIT_CASE(token_read_sizes),
	KUNIT_CASE(token_overflow),
	KUNIT_CASE(token_positions),
	KUNIT_CASE(token_one_group),
	KUNIT_CASE(token_one_group_events),
	KUNIT_CASE(token_one_group_watch),
	KUNIT_CASE(token_wakes_elsewhere),
	KUNIT_CASE(token_readers_wait_apart),
	KUNIT_CASE(token_during_revoke),
	KUNIT_CASE(token_opened_during_close),
	KUNIT_CASE_SLOW(token_race_last_close),
	KUNIT_CASE_SLOW(token_race_revoke),
	{}
};

static struct kunit_suite token_suite = {
	.name = "iommu_owner_token",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = token_cases,
};

kunit_test_suite(token_suite);
