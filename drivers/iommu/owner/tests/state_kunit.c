// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: every operation in every state of a group, and the quarantine
 */
#include "mock.h"

/* Owner a is the one that has the group in most of the states. */
enum state {
	FREE,		/* the kernel's, no driver */
	BOUND,		/* a driver uses the DMA API */
	PRIVATE,	/* that driver has attached a domain */
	A_1,		/* one claim by a */
	A_2,		/* two claims by a */
	A_0R,		/* reserved by a */
	A_1R,		/* reserved and claimed by a */
	QUARANTINE,
	NR_START_STATES,
	/* Reached only */
	A_3 = NR_START_STATES,
	A_2R,
	B_1,
	B_0R,
	NR_STATES,
};

enum operation {
	A_CLAIMS, B_CLAIMS,
	A_RELEASES, B_RELEASES,
	A_RESERVES, B_RESERVES,
	A_UNRESERVES, B_UNRESERVES,
	A_QUARANTINES, B_QUARANTINES,
	CLEAR,
	A_IS_REVOKED,
	DEVICE_IS_USED,
	A_ATTACHES, B_ATTACHES,
	KERNEL_ATTACHES,
	DRIVER_BINDS,
	NR_OPERATIONS,
};

static const struct state_desc {
	const char *name;
	enum iommu_owner_state state;
	unsigned int claims;
	bool reserved;
	char reach;
} states[NR_STATES] = {
	[FREE]	= { "free", IOMMU_OWNER_STATE_KERNEL, 0, false, MOCK_DEFAULT },
	[BOUND]	= { "bound", IOMMU_OWNER_STATE_KERNEL, 0, false, MOCK_DEFAULT },
	[PRIVATE] = { "private", IOMMU_OWNER_STATE_PRIVATE, 0, false, MOCK_PAGING },
	[A_1]	= { "claimed", IOMMU_OWNER_STATE_USER, 1, false, MOCK_BLOCKED },
	[A_2]	= { "claimed_twice", IOMMU_OWNER_STATE_USER, 2, false, MOCK_BLOCKED },
	[A_3]	= { "claimed_thrice", IOMMU_OWNER_STATE_USER, 3, false, MOCK_BLOCKED },
	[A_0R]	= { "reserved", IOMMU_OWNER_STATE_RESERVED, 0, true, MOCK_BLOCKED },
	[A_1R]	= { "reserved_claimed", IOMMU_OWNER_STATE_USER, 1, true,
		    MOCK_BLOCKED },
	[A_2R]	= { "reserved_claimed_twice", IOMMU_OWNER_STATE_USER, 2, true,
		    MOCK_BLOCKED },
	[B_1]	= { "claimed_by_b", IOMMU_OWNER_STATE_USER, 1, false, MOCK_BLOCKED },
	[B_0R]	= { "reserved_by_b", IOMMU_OWNER_STATE_RESERVED, 0, true,
		    MOCK_BLOCKED },
	[QUARANTINE] = { "quarantine", IOMMU_OWNER_STATE_QUARANTINE, 0, false,
			 MOCK_BLOCKED },
};

static const char * const operations[NR_OPERATIONS] = {
	[A_CLAIMS] = "a claims",
	[B_CLAIMS] = "b claims",
	[A_RELEASES] = "a releases",
	[B_RELEASES] = "b releases",
	[A_RESERVES] = "a reserves",
	[B_RESERVES] = "b reserves",
	[A_UNRESERVES] = "a unreserves",
	[B_UNRESERVES] = "b unreserves",
	[A_QUARANTINES] = "a quarantines",
	[B_QUARANTINES] = "b quarantines",
	[CLEAR] = "clear",
	[A_IS_REVOKED] = "a is revoked",
	[DEVICE_IS_USED] = "a device is used",
	[A_ATTACHES] = "a attaches",
	[B_ATTACHES] = "b attaches",
	[KERNEL_ATTACHES] = "kernel attaches",
	[DRIVER_BINDS] = "driver binds",
};

static const struct transition {
	int ret;
	enum state next;
} transitions[NR_START_STATES][NR_OPERATIONS] = {
	[FREE] = {
		[A_CLAIMS] = { 0, A_1 },
		[B_CLAIMS] = { 0, B_1 },
		[A_RELEASES] = { -ESTALE, FREE },
		[B_RELEASES] = { -ESTALE, FREE },
		[A_RESERVES] = { 0, A_0R },
		[B_RESERVES] = { 0, B_0R },
		[A_UNRESERVES] = { -ESTALE, FREE },
		[B_UNRESERVES] = { -ESTALE, FREE },
		[A_QUARANTINES] = { -ESTALE, FREE },
		[B_QUARANTINES] = { -ESTALE, FREE },
		[CLEAR] = { -EINVAL, FREE },
		[A_IS_REVOKED] = { 0, FREE },
		[DEVICE_IS_USED] = { -ESTALE, FREE },
		[A_ATTACHES] = { -ESTALE, FREE },
		[B_ATTACHES] = { -ESTALE, FREE },
		[KERNEL_ATTACHES] = { 0, PRIVATE },
		[DRIVER_BINDS] = { 0, BOUND },
	},
	[BOUND] = {
		[A_CLAIMS] = { -EBUSY, BOUND },
		[B_CLAIMS] = { -EBUSY, BOUND },
		[A_RELEASES] = { -ESTALE, BOUND },
		[B_RELEASES] = { -ESTALE, BOUND },
		[A_RESERVES] = { -EBUSY, BOUND },
		[B_RESERVES] = { -EBUSY, BOUND },
		[A_UNRESERVES] = { -ESTALE, BOUND },
		[B_UNRESERVES] = { -ESTALE, BOUND },
		[A_QUARANTINES] = { -ESTALE, BOUND },
		[B_QUARANTINES] = { -ESTALE, BOUND },
		[CLEAR] = { -EINVAL, BOUND },
		[A_IS_REVOKED] = { 0, BOUND },
		[DEVICE_IS_USED] = { -ESTALE, BOUND },
		[A_ATTACHES] = { -ESTALE, BOUND },
		[B_ATTACHES] = { -ESTALE, BOUND },
		[KERNEL_ATTACHES] = { 0, PRIVATE },
		[DRIVER_BINDS] = { 0, BOUND },
	},
	[PRIVATE] = {
		[A_CLAIMS] = { -EBUSY, PRIVATE },
		[B_CLAIMS] = { -EBUSY, PRIVATE },
		[A_RELEASES] = { -ESTALE, PRIVATE },
		[B_RELEASES] = { -ESTALE, PRIVATE },
		[A_RESERVES] = { -EBUSY, PRIVATE },
		[B_RESERVES] = { -EBUSY, PRIVATE },
		[A_UNRESERVES] = { -ESTALE, PRIVATE },
		[B_UNRESERVES] = { -ESTALE, PRIVATE },
		[A_QUARANTINES] = { -ESTALE, PRIVATE },
		[B_QUARANTINES] = { -ESTALE, PRIVATE },
		[CLEAR] = { -EINVAL, PRIVATE },
		[A_IS_REVOKED] = { 0, PRIVATE },
		[DEVICE_IS_USED] = { -ESTALE, PRIVATE },
		[A_ATTACHES] = { -ESTALE, PRIVATE },
		[B_ATTACHES] = { -ESTALE, PRIVATE },
		[KERNEL_ATTACHES] = { -EBUSY, PRIVATE },
		[DRIVER_BINDS] = { -EBUSY, PRIVATE },
	},
	[A_1] = {
		[A_CLAIMS] = { 0, A_2 },
		[B_CLAIMS] = { -EBUSY, A_1 },
		[A_RELEASES] = { 0, FREE },
		[B_RELEASES] = { -EACCES, A_1 },
		[A_RESERVES] = { 0, A_1R },
		[B_RESERVES] = { -EBUSY, A_1 },
		[A_UNRESERVES] = { -ESTALE, A_1 },
		[B_UNRESERVES] = { -EACCES, A_1 },
		[A_QUARANTINES] = { 0, QUARANTINE },
		[B_QUARANTINES] = { -EACCES, A_1 },
		[CLEAR] = { -EINVAL, A_1 },
		[A_IS_REVOKED] = { 0, FREE },
		[DEVICE_IS_USED] = { 0, A_1 },
		[A_ATTACHES] = { 0, A_1 },
		[B_ATTACHES] = { -EACCES, A_1 },
		[KERNEL_ATTACHES] = { -EBUSY, A_1 },
		[DRIVER_BINDS] = { -EBUSY, A_1 },
	},
	[A_2] = {
		[A_CLAIMS] = { 0, A_3 },
		[B_CLAIMS] = { -EBUSY, A_2 },
		[A_RELEASES] = { 0, A_1 },
		[B_RELEASES] = { -EACCES, A_2 },
		[A_RESERVES] = { 0, A_2R },
		[B_RESERVES] = { -EBUSY, A_2 },
		[A_UNRESERVES] = { -ESTALE, A_2 },
		[B_UNRESERVES] = { -EACCES, A_2 },
		[A_QUARANTINES] = { 0, QUARANTINE },
		[B_QUARANTINES] = { -EACCES, A_2 },
		[CLEAR] = { -EINVAL, A_2 },
		[A_IS_REVOKED] = { 0, FREE },
		[DEVICE_IS_USED] = { 0, A_2 },
		[A_ATTACHES] = { 0, A_2 },
		[B_ATTACHES] = { -EACCES, A_2 },
		[KERNEL_ATTACHES] = { -EBUSY, A_2 },
		[DRIVER_BINDS] = { -EBUSY, A_2 },
	},
	[A_0R] = {
		[A_CLAIMS] = { 0, A_1R },
		[B_CLAIMS] = { -EBUSY, A_0R },
		[A_RELEASES] = { -ESTALE, A_0R },
		[B_RELEASES] = { -EACCES, A_0R },
		[A_RESERVES] = { 0, A_0R },
		[B_RESERVES] = { -EBUSY, A_0R },
		[A_UNRESERVES] = { 0, FREE },
		[B_UNRESERVES] = { -EACCES, A_0R },
		[A_QUARANTINES] = { 0, QUARANTINE },
		[B_QUARANTINES] = { -EACCES, A_0R },
		[CLEAR] = { -EINVAL, A_0R },
		[A_IS_REVOKED] = { 0, FREE },
		[DEVICE_IS_USED] = { 0, A_0R },
		[A_ATTACHES] = { -ESTALE, A_0R },
		[B_ATTACHES] = { -EACCES, A_0R },
		[KERNEL_ATTACHES] = { -EBUSY, A_0R },
		[DRIVER_BINDS] = { -EBUSY, A_0R },
	},
	[A_1R] = {
		[A_CLAIMS] = { 0, A_2R },
		[B_CLAIMS] = { -EBUSY, A_1R },
		[A_RELEASES] = { 0, A_0R },
		[B_RELEASES] = { -EACCES, A_1R },
		[A_RESERVES] = { 0, A_1R },
		[B_RESERVES] = { -EBUSY, A_1R },
		[A_UNRESERVES] = { 0, A_1 },
		[B_UNRESERVES] = { -EACCES, A_1R },
		[A_QUARANTINES] = { 0, QUARANTINE },
		[B_QUARANTINES] = { -EACCES, A_1R },
		[CLEAR] = { -EINVAL, A_1R },
		[A_IS_REVOKED] = { 0, FREE },
		[DEVICE_IS_USED] = { 0, A_1R },
		[A_ATTACHES] = { 0, A_1R },
		[B_ATTACHES] = { -EACCES, A_1R },
		[KERNEL_ATTACHES] = { -EBUSY, A_1R },
		[DRIVER_BINDS] = { -EBUSY, A_1R },
	},
	[QUARANTINE] = {
		[A_CLAIMS] = { -EBUSY, QUARANTINE },
		[B_CLAIMS] = { -EBUSY, QUARANTINE },
		[A_RELEASES] = { -ESTALE, QUARANTINE },
		[B_RELEASES] = { -ESTALE, QUARANTINE },
		[A_RESERVES] = { -EBUSY, QUARANTINE },
		[B_RESERVES] = { -EBUSY, QUARANTINE },
		[A_UNRESERVES] = { -ESTALE, QUARANTINE },
		[B_UNRESERVES] = { -ESTALE, QUARANTINE },
		[A_QUARANTINES] = { -ESTALE, QUARANTINE },
		[B_QUARANTINES] = { -ESTALE, QUARANTINE },
		[CLEAR] = { 0, FREE },
		[A_IS_REVOKED] = { 0, QUARANTINE },
		[DEVICE_IS_USED] = { -ESTALE, QUARANTINE },
		[A_ATTACHES] = { -ESTALE, QUARANTINE },
		[B_ATTACHES] = { -ESTALE, QUARANTINE },
		[KERNEL_ATTACHES] = { -EBUSY, QUARANTINE },
		[DRIVER_BINDS] = { -EBUSY, QUARANTINE },
	},
};

/* A group of two devices, and all that may want something of it */
struct cast {
	struct mock_device *first;
	struct mock_device *second;
	struct iommu_group *group;
	struct mock_driver *driver;
	struct iommu_domain *domain;
	struct iommu_owner *a;
	struct iommu_owner *b;
};

static struct cast cast_new(struct kunit *test, const struct cast *from)
{
	struct cast cast = *from;

	cast.first = mock_device(test, NULL);
	cast.group = cast.first->group;
	cast.second = mock_device(test, cast.group);
	cast.domain = mock_paging_domain(test, cast.first);
	cast.a = mock_owner(test, "a")->owner;
	cast.b = mock_owner(test, "b")->owner;
	return cast;
}

static void enter(struct kunit *test, const struct cast *c, enum state state)
{
	if (state == BOUND || state == PRIVATE)
		KUNIT_ASSERT_EQ(test, 0, mock_bind(c->driver, c->first));
	if (state == PRIVATE)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_attach_group(c->domain, c->group));
	if (state == A_1 || state == A_2 || state == A_1R ||
	    state == QUARANTINE)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(c->a, c->group));
	if (state == A_2)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(c->a, c->group));
	if (state == A_0R || state == A_1R)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_reserve_group(c->a, c->group));
	if (state == QUARANTINE)
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_quarantine_group(c->a, c->group));
}

static int operate(const struct cast *c, enum operation operation)
{
	switch (operation) {
	case A_CLAIMS:
		return iommu_owner_claim_group(c->a, c->group);
	case B_CLAIMS:
		return iommu_owner_claim_group(c->b, c->group);
	case A_RELEASES:
		return iommu_owner_release_group(c->a, c->group);
	case B_RELEASES:
		return iommu_owner_release_group(c->b, c->group);
	case A_RESERVES:
		return iommu_owner_reserve_group(c->a, c->group);
	case B_RESERVES:
		return iommu_owner_reserve_group(c->b, c->group);
	case A_UNRESERVES:
		return iommu_owner_unreserve_group(c->a, c->group);
	case B_UNRESERVES:
		return iommu_owner_unreserve_group(c->b, c->group);
	case A_QUARANTINES:
		return iommu_owner_quarantine_group(c->a, c->group);
	case B_QUARANTINES:
		return iommu_owner_quarantine_group(c->b, c->group);
	case CLEAR:
		return iommu_owner_clear_quarantine(c->group);
	case A_IS_REVOKED:
		iommu_owner_revoke(c->a);
		return 0;
	case DEVICE_IS_USED:
		return iommu_owner_device_used(&c->first->dev);
	case A_ATTACHES:
		return iommu_owner_attach_group(c->a, c->domain, c->group);
	case B_ATTACHES:
		return iommu_owner_attach_group(c->b, c->domain, c->group);
	case KERNEL_ATTACHES:
		return iommu_attach_group(c->domain, c->group);
	case DRIVER_BINDS:
		return mock_bind(c->driver, c->second);
	case NR_OPERATIONS:
		break;
	}
	return -EINVAL;
}

/* The reservation cannot be seen from outside: look at the group itself. */
static bool reserved(struct iommu_group *group)
{
	bool ret;

	mutex_lock(&group->mutex);
	ret = group->ownership.reserved;
	mutex_unlock(&group->mutex);
	return ret;
}

static void check_transition(struct kunit *test, const struct cast *c,
			     enum state state, enum operation operation)
{
	const struct transition *want = &transitions[state][operation];
	const struct state_desc *next = &states[want->next];
	char reach = next->reach;
	int ret;

	if (operation == A_ATTACHES && !want->ret)
		reach = MOCK_PAGING;

	ret = operate(c, operation);
	KUNIT_EXPECT_EQ_MSG(test, want->ret, ret, "%s, %s", states[state].name,
			    operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, next->state, mock_state(c->group), "%s, %s",
			    states[state].name, operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, next->claims, mock_claims(c->group),
			    "%s, %s", states[state].name,
			    operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, next->reserved, reserved(c->group), "%s, %s",
			    states[state].name, operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, reach, mock_reach(c->first), "%s, %s",
			    states[state].name, operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, reach, mock_reach(c->second), "%s, %s",
			    states[state].name, operations[operation]);
	KUNIT_EXPECT_EQ_MSG(test, want->next == FREE,
			    mock_viable(c->group), "%s, %s",
			    states[state].name, operations[operation]);
}

static void operations_in_state(struct kunit *test)
{
	const struct state_desc *desc = test->param_value;
	const struct cast common = {
		.driver = mock_driver(test, "mock_nic", false),
	};
	enum state state = desc - states;

	for (enum operation op = 0; op < NR_OPERATIONS; op++) {
		struct cast cast = cast_new(test, &common);

		enter(test, &cast, state);
		KUNIT_EXPECT_EQ(test, desc->state, mock_state(cast.group));
		KUNIT_EXPECT_EQ(test, desc->reach, mock_reach(cast.first));
		check_transition(test, &cast, state, op);
	}
}

static const void *start_state_gen(const void *prev, char *desc)
{
	const struct state_desc *state = prev;

	state = state ? state + 1 : states;
	if (state - states >= NR_START_STATES)
		return NULL;
	strscpy(desc, state->name, KUNIT_PARAM_DESC_SIZE);
	return state;
}

/* Reservation */

/* A group of an owner conflicts with all other owners, not with that one */
static void owner_does_not_conflict_with_itself(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = mdev->group;

	KUNIT_EXPECT_TRUE(test, iommu_owner_group_viable(group, a));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	KUNIT_EXPECT_TRUE(test, iommu_owner_group_viable(group, a));
	KUNIT_EXPECT_FALSE(test, iommu_owner_group_viable(group, b));
	KUNIT_EXPECT_FALSE(test, mock_viable(group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, group));
	KUNIT_EXPECT_TRUE(test, iommu_owner_group_viable(group, b));
}

static void reservation_outlives_claims(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a->owner, group));
	mock_owner_put(a);
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));

	for (int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_device(a->owner, &mdev->dev));
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_attach_device(a->owner, domain,
							  &mdev->dev));
		KUNIT_EXPECT_TRUE(test, mock_reaches(mdev, domain));
		/* Without a detach: DMA is blocked all the same */
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_release_device(a->owner,
							   &mdev->dev));
		KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
		KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, mock_state(group));
	}
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a->owner, group));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_STREQ(test, "IBUBUBI", mdev->history);
}

static void unreserve_keeps_claims(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(mdev->group));
}

/* Quarantine */

static void quarantine_takes_all(struct kunit *test)
{
	struct mock_device *mdev = mock_pasid_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a->owner, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a->owner, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a->owner, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(a->owner, domain, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_device_pasid(a->owner, domain,
							&mdev->dev, 1, NULL));
	mock_owner_put(a);

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_quarantine_group(a->owner, group));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, MOCK_NOTHING, mock_pasid_reach(mdev, 1));
	KUNIT_EXPECT_STREQ(test, "IBUB", mdev->history);
}

static void clear_lets_drivers_bind(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(vfio, mdev));
	mock_unbind(mdev);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommu_owner_clear_quarantine(mdev->group));
}

static void failed_default_quarantines(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_group *group = first->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a->owner, group));
	mock_owner_put(a);
	mock_fail_attach(second, MOCK_DEFAULT, 2);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));
	KUNIT_EXPECT_EQ(test, -EBUSY, mock_bind(nic, first));

	KUNIT_EXPECT_EQ(test, -EIO, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(first));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(second));

	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(first));
	KUNIT_EXPECT_EQ(test, 0, mock_bind(nic, first));
}

static void failed_block_at_the_end_quarantines(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_attach_group(a, domain, group));
	mock_fail_attach(mdev, MOCK_BLOCKED, 1);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
}

static void failed_block_of_reservation_quarantines(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a->owner, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a->owner, group));
	KUNIT_ASSERT_EQ(test, 0,
			iommu_owner_attach_group(a->owner, domain, group));
	mock_owner_put(a);
	mock_fail_attach(mdev, MOCK_BLOCKED, 2);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a->owner, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_NE(test, MOCK_DEFAULT, mock_reach(mdev));
	KUNIT_EXPECT_TRUE(test, mock_released(a));
}

/* A detach cannot fail; what it could not block is blocked at the next chance. */
static void failed_block_is_tried_again(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *group = mdev->group;
	/* What has failed once is no reservation, but ends as others do */
	static const struct {
		enum iommu_owner_state state;
		char reach;
	} after[] = {
		{ IOMMU_OWNER_STATE_RESERVED, MOCK_BLOCKED },
		{ IOMMU_OWNER_STATE_KERNEL, MOCK_DEFAULT },
		{ IOMMU_OWNER_STATE_QUARANTINE, MOCK_PAGING },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(after); i++) {
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
		KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_attach_group(a, domain, group));
		mock_fail_attach(mdev, MOCK_BLOCKED, i + 1);
		KUNIT_EXPECT_EQ(test, 0,
				iommu_owner_detach_group(a, domain, group));
		KUNIT_EXPECT_NE(test, MOCK_BLOCKED, mock_reach(mdev));
		KUNIT_EXPECT_EQ(test, 0, iommu_owner_release_group(a, group));
		KUNIT_EXPECT_EQ(test, after[i].state, mock_state(group));
		KUNIT_EXPECT_EQ(test, after[i].reach, mock_reach(mdev));
	}
}

static void failed_default_at_unreserve_quarantines(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	mock_fail_attach(mdev, MOCK_DEFAULT, 1);
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_unreserve_group(a, mdev->group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(mdev->group));
	KUNIT_EXPECT_EQ(test, MOCK_BLOCKED, mock_reach(mdev));
}

/* Memory comes and goes; other errors stay until somebody looks at them. */
static void default_that_lacked_memory_is_tried_again(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_group *group = mdev->group;

	mdev->fail_error = -ENOMEM;
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	mock_fail_attach(mdev, MOCK_DEFAULT, 2);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(b, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(b, group));

	mdev->fail_error = -EIO;
	mock_fail_attach(mdev, MOCK_DEFAULT, 1);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(b, group));
	for (int i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, -EBUSY, iommu_owner_claim_group(a, group));
	KUNIT_EXPECT_EQ(test, 0, iommu_owner_clear_quarantine(group));
}

static struct kunit_case state_cases[] = {
	KUNIT_CASE_PARAM(operations_in_state, start_state_gen),
	KUNIT_CASE(owner_does_not_conflict_with_itself),
	KUNIT_CASE(reservation_outlives_claims),
	KUNIT_CASE(unreserve_keeps_claims),
	KUNIT_CASE(quarantine_takes_all),
	KUNIT_CASE(clear_lets_drivers_bind),
	KUNIT_CASE(failed_default_quarantines),
	KUNIT_CASE(failed_block_at_the_end_quarantines),
	KUNIT_CASE(failed_block_of_reservation_quarantines),
	KUNIT_CASE(failed_block_is_tried_again),
	KUNIT_CASE(failed_default_at_unreserve_quarantines),
	KUNIT_CASE(default_that_lacked_memory_is_tried_again),
	{}
};

static struct kunit_suite state_suite = {
	.name = "iommu_owner_state",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = state_cases,
};

kunit_test_suite(state_suite);
