// SPDX-License-Identifier: GPL-2.0
/* Tokens: files that refer to an owner */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "owner_test.h"
#include "owner_token.h"

#define RECORD		sizeof(struct iommu_owner_event)
#define NOBODY		65534

SIZE_IS(iommu_owner_query, 40);
OFFSET_IS(iommu_owner_query, command, 8);
OFFSET_IS(iommu_owner_query, out_features, 16);
OFFSET_IS(iommu_owner_query, out_rights, 24);
OFFSET_IS(iommu_owner_query, out_command_flags, 36);
SIZE_IS(iommu_owner_create, 48);
OFFSET_IS(iommu_owner_create, rights, 8);
OFFSET_IS(iommu_owner_create, out_fd, 12);
OFFSET_IS(iommu_owner_create, name, 16);
SIZE_IS(iommu_owner_get_token, 16);
OFFSET_IS(iommu_owner_get_token, out_fd, 12);
SIZE_IS(iommu_owner_group_ref, 16);
OFFSET_IS(iommu_owner_group_ref, group, 8);
SIZE_IS(iommu_owner_group_info, 32);
OFFSET_IS(iommu_owner_group_info, group, 8);
OFFSET_IS(iommu_owner_group_info, devices, 24);
SIZE_IS(iommu_owner_device_info, 112);
OFFSET_IS(iommu_owner_device_info, flags, 8);
OFFSET_IS(iommu_owner_device_info, device, 16);
OFFSET_IS(iommu_owner_device_info, driver, 80);
SIZE_IS(iommu_owner_get_info, 96);
OFFSET_IS(iommu_owner_get_info, out_sequence, 16);
OFFSET_IS(iommu_owner_get_info, groups, 24);
OFFSET_IS(iommu_owner_get_info, devices, 32);
OFFSET_IS(iommu_owner_get_info, nr_groups, 40);
OFFSET_IS(iommu_owner_get_info, nr_devices, 48);
OFFSET_IS(iommu_owner_get_info, out_claims, 56);
OFFSET_IS(iommu_owner_get_info, out_name, 64);
SIZE_IS(iommu_owner_dup, 16);
SIZE_IS(iommu_owner_check, 48);
OFFSET_IS(iommu_owner_check, groups, 8);
OFFSET_IS(iommu_owner_check, blockers, 16);
OFFSET_IS(iommu_owner_check, nr_groups, 24);
OFFSET_IS(iommu_owner_check, nr_blockers, 32);
OFFSET_IS(iommu_owner_check, out_group, 40);
SIZE_IS(iommu_owner_reserve, 32);
OFFSET_IS(iommu_owner_reserve, groups, 8);
OFFSET_IS(iommu_owner_reserve, out_group, 24);
SIZE_IS(iommu_owner_release, 32);
OFFSET_IS(iommu_owner_release, groups, 8);
OFFSET_IS(iommu_owner_release, out_group, 24);
SIZE_IS(iommu_owner_revoke, 8);
SIZE_IS(iommu_owner_use, 16);
SIZE_IS(iommu_owner_event, 192);
OFFSET_IS(iommu_owner_event, sequence, 8);
OFFSET_IS(iommu_owner_event, generation, 24);
OFFSET_IS(iommu_owner_event, group, 32);
OFFSET_IS(iommu_owner_event, lost, 48);
OFFSET_IS(iommu_owner_event, pid, 52);
OFFSET_IS(iommu_owner_event, comm, 56);
OFFSET_IS(iommu_owner_event, driver, 72);
OFFSET_IS(iommu_owner_event, device, 104);
OFFSET_IS(iommu_owner_event, pasid, 168);

static int create(__u32 rights)
{
	return token_create("token-test", rights);
}

static int get_info(int token, struct iommu_owner_get_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return call(token, IOMMU_OWNER_GET_INFO, info);
}

static void nonblock(int token)
{
	fcntl(token, F_SETFL, fcntl(token, F_GETFL) | O_NONBLOCK);
}

static ssize_t read_events(int token, struct iommu_owner_event *events,
			   size_t size)
{
	ssize_t ret = read(token, events, size);

	return ret < 0 ? -errno : ret;
}

/* The file and the structures; no group is touched */

FIXTURE(token) {
	int device;
};

FIXTURE_SETUP(token)
{
	self->device = open(TOKEN_DEVICE, O_RDWR | O_CLOEXEC);
	if (self->device < 0)
		SKIP(return, NO_TOKENS);
}

FIXTURE_TEARDOWN(token)
{
	close(self->device);
}

TEST_F(token, device_is_private)
{
	struct stat stat;

	ASSERT_EQ(0, fstat(self->device, &stat));
	EXPECT_EQ(S_IFCHR | 0600, stat.st_mode);
	EXPECT_EQ(0, stat.st_uid);
}

TEST_F(token, create_gives_a_token)
{
	struct iommu_owner_get_info info;
	int token = create(ALL_RIGHTS);

	ASSERT_LE(0, token);
	EXPECT_EQ(FD_CLOEXEC, fcntl(token, F_GETFD));
	ASSERT_EQ(0, get_info(token, &info));
	EXPECT_EQ(ALL_RIGHTS, info.out_rights);
	EXPECT_EQ(IOMMU_OWNER_INFO_EXPLICIT, info.out_flags);
	EXPECT_STREQ("token-test", (char *)info.out_name);
	EXPECT_EQ(0, info.nr_groups);
	EXPECT_EQ(0, close(token));
}

TEST_F(token, create_rules)
{
	struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = ALL_RIGHTS, .name = "a",
	};
	union {
		struct iommu_owner_create cmd;
		__u8 bytes[sizeof(cmd) + 1];
	} longer = { .cmd = cmd };

	EXPECT_EQ(-EINVAL, create(0));
	EXPECT_EQ(-EOPNOTSUPP, create(ALL_RIGHTS | (1U << 31)));
	EXPECT_EQ(-EINVAL, token_create("", ALL_RIGHTS));
	EXPECT_EQ(-EINVAL, token_create("a b", ALL_RIGHTS));
	EXPECT_EQ(-EINVAL, token_create("a\n", ALL_RIGHTS));
	EXPECT_EQ(-EINVAL, token_create("\xc3\xa4", ALL_RIGHTS));
	EXPECT_EQ(-EINVAL,
		  token_create("0123456789abcdef0123456789abcdef", ALL_RIGHTS));
	cmd.name[2] = 'b';
	EXPECT_EQ(-EINVAL, call(self->device, IOMMU_OWNER_CREATE, &cmd));
	cmd.name[2] = 0;
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->device, IOMMU_OWNER_CREATE, &cmd));
	cmd.flags = 0;
	cmd.size--;
	EXPECT_EQ(-EINVAL, call(self->device, IOMMU_OWNER_CREATE, &cmd));
	longer.cmd.size = sizeof(longer.bytes);
	longer.bytes[sizeof(cmd)] = 1;
	EXPECT_EQ(-E2BIG, call(self->device, IOMMU_OWNER_CREATE, &longer));
	longer.bytes[sizeof(cmd)] = 0;
	EXPECT_EQ(0, call(self->device, IOMMU_OWNER_CREATE, &longer));
	close(longer.cmd.out_fd);
	EXPECT_EQ(-EFAULT, call(self->device, IOMMU_OWNER_CREATE, NULL));
	EXPECT_EQ(-ENOTTY, call(self->device, IOMMU_OWNER_DUP, &cmd));
}

/* A structure in memory that can be read only: no file is left behind */
TEST_F(token, no_file_without_answer)
{
	static const struct iommu_owner_create cmd = {
		.size = sizeof(cmd), .rights = ALL_RIGHTS, .name = "a",
	};
	int next = dup(self->device);

	close(next);
	EXPECT_EQ(-EFAULT, call(self->device, IOMMU_OWNER_CREATE,
				(void *)&cmd));
	EXPECT_EQ(next, dup(self->device));
	close(next);
}

static const struct {
	unsigned long request;
	__u32 size;
	__u32 right;
} ops[] = {
	{ IOMMU_OWNER_GET_INFO, sizeof(struct iommu_owner_get_info),
	  IOMMU_OWNER_RIGHT_INSPECT },
	{ IOMMU_OWNER_DUP, sizeof(struct iommu_owner_dup),
	  IOMMU_OWNER_RIGHT_GRANT },
	{ IOMMU_OWNER_CHECK, sizeof(struct iommu_owner_check),
	  IOMMU_OWNER_RIGHT_INSPECT },
	{ IOMMU_OWNER_RESERVE, sizeof(struct iommu_owner_reserve),
	  IOMMU_OWNER_RIGHT_RESERVE },
	{ IOMMU_OWNER_RELEASE, sizeof(struct iommu_owner_release),
	  IOMMU_OWNER_RIGHT_RESERVE },
	{ IOMMU_OWNER_REVOKE, sizeof(struct iommu_owner_revoke),
	  IOMMU_OWNER_RIGHT_REVOKE },
	{ IOMMU_OWNER_USE, sizeof(struct iommu_owner_use),
	  IOMMU_OWNER_RIGHT_CLAIM },
	{ IOMMU_OWNER_PASID_ALLOC, sizeof(struct iommu_owner_pasid_alloc),
	  IOMMU_OWNER_RIGHT_PASID },
	{ IOMMU_OWNER_PASID_FREE, sizeof(struct iommu_owner_pasid_free),
	  IOMMU_OWNER_RIGHT_PASID },
	{ IOMMU_OWNER_PASID_LIST, sizeof(struct iommu_owner_pasid_list),
	  IOMMU_OWNER_RIGHT_PASID },
	{ IOMMU_OWNER_PASID_MAP, sizeof(struct iommu_owner_pasid_map),
	  IOMMU_OWNER_RIGHT_PASID },
	{ IOMMU_OWNER_PASID_PERMIT, sizeof(struct iommu_owner_pasid_permit),
	  IOMMU_OWNER_RIGHT_PASID },
	{ IOMMU_OWNER_PASID_DENY, sizeof(struct iommu_owner_pasid_deny),
	  IOMMU_OWNER_RIGHT_PASID },
};

/* PASIDs are a part of the series that comes later than tokens. */
static bool is_there(__u32 right)
{
	return right != IOMMU_OWNER_RIGHT_PASID ||
	       !access("/sys/module/iommu_owner/parameters/pasid_quota", F_OK);
}

TEST_F(token, query)
{
	struct {
		struct iommu_owner_query q;
		__u64 tail;
	} longer = { .q.size = sizeof(longer) };
	struct iommu_owner_query q = {
		.size = sizeof(q), .command = IOMMU_OWNER_CMD_RELEASE,
	};
	int token;

	ASSERT_EQ(0, call(self->device, IOMMU_OWNER_QUERY, &q));
	EXPECT_EQ(IOMMU_OWNER_VERSION, q.out_version);
	EXPECT_EQ(ALL_RIGHTS, q.out_rights);
	EXPECT_EQ(IOMMU_OWNER_RELEASE_ALL, q.out_command_flags);
	EXPECT_LT(IOMMU_OWNER_EVENT_DEVICE_REMOVED, q.out_event_types);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!is_there(ops[i].right))
			continue;
		q.command = _IOC_NR(ops[i].request);
		ASSERT_EQ(0, call(self->device, IOMMU_OWNER_QUERY, &q));
		EXPECT_EQ(ops[i].size, q.out_command_size);
	}
	q.command = 0x7f;
	EXPECT_EQ(0, call(self->device, IOMMU_OWNER_QUERY, &q));
	EXPECT_EQ(0, q.out_command_size);

	/* What a right says is known is known, and nothing else */
	token = create(q.out_rights);
	EXPECT_LE(0, token);
	close(token);
	EXPECT_EQ(-EOPNOTSUPP, create(q.out_rights + 1));

	q.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->device, IOMMU_OWNER_QUERY, &q));
	q.flags = 0;
	q.size--;
	EXPECT_EQ(-EINVAL, call(self->device, IOMMU_OWNER_QUERY, &q));
	EXPECT_EQ(0, call(self->device, IOMMU_OWNER_QUERY, &longer));
	longer.tail = 1;
	EXPECT_EQ(-E2BIG, call(self->device, IOMMU_OWNER_QUERY, &longer));
	EXPECT_EQ(-EFAULT, call(self->device, IOMMU_OWNER_QUERY, NULL));
}

TEST_F(token, limit)
{
	const unsigned int max = IOMMU_OWNER_TOKENS_MAX;
	struct rlimit limit = { .rlim_cur = max + 64, .rlim_max = max + 64 };
	int *tokens = calloc(max, sizeof(*tokens));

	ASSERT_NE(NULL, tokens);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	tokens[0] = create(ALL_RIGHTS);
	for (unsigned int i = 1; i < max; i++) {
		tokens[i] = token_dup(tokens[0], ALL_RIGHTS);
		ASSERT_LE(0, tokens[i]);
	}
	EXPECT_EQ(-ENOSPC, token_dup(tokens[0], ALL_RIGHTS));
	close(tokens[max - 1]);
	tokens[max - 1] = token_dup(tokens[0], ALL_RIGHTS);
	EXPECT_LE(0, tokens[max - 1]);
	for (unsigned int i = 0; i < max; i++)
		close(tokens[i]);
	free(tokens);
}

TEST_F(token, structures)
{
	int token = create(ALL_RIGHTS);
	__u32 cmd[64];

	ASSERT_LE(0, token);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!is_there(ops[i].right))
			continue;
		memset(cmd, 0, sizeof(cmd));
		cmd[0] = ops[i].size - 1;
		EXPECT_EQ(-EINVAL, call(token, ops[i].request, cmd));
		cmd[0] = sizeof(cmd);
		cmd[63] = 1;
		EXPECT_EQ(-E2BIG, call(token, ops[i].request, cmd));
		cmd[63] = 0;
		cmd[1] = 1U << 31;
		EXPECT_EQ(-EOPNOTSUPP, call(token, ops[i].request, cmd));
		EXPECT_EQ(-EFAULT, call(token, ops[i].request, NULL));
	}
	EXPECT_EQ(-ENOTTY, call(token, IOMMU_OWNER_CREATE, cmd));
	EXPECT_EQ(-ENOTTY, call(token, IOMMU_OWNER_GET_TOKEN, cmd));
	close(token);
}

TEST_F(token, rights)
{
	__u32 cmd[64];
	int token;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!is_there(ops[i].right))
			continue;
		token = create(ALL_RIGHTS & ~ops[i].right);
		ASSERT_LE(0, token);
		memset(cmd, 0, sizeof(cmd));
		cmd[0] = ops[i].size;
		EXPECT_EQ(-EPERM, call(token, ops[i].request, cmd));
		close(token);
	}
}

TEST_F(token, dup_drops_rights)
{
	const __u32 few = IOMMU_OWNER_RIGHT_GRANT | IOMMU_OWNER_RIGHT_INSPECT;
	struct iommu_owner_get_info info;
	int token = create(ALL_RIGHTS), copy;

	ASSERT_LE(0, token);
	copy = token_dup(token, few);
	ASSERT_LE(0, copy);
	EXPECT_EQ(FD_CLOEXEC, fcntl(copy, F_GETFD));
	EXPECT_EQ(0, get_info(copy, &info));
	EXPECT_EQ(few, info.out_rights);
	EXPECT_EQ(-EPERM, token_dup(copy, few | IOMMU_OWNER_RIGHT_CLAIM));
	EXPECT_EQ(-EOPNOTSUPP, token_dup(copy, 1U << 31));
	EXPECT_EQ(-EINVAL, token_dup(copy, 0));
	close(token);
	token = token_dup(copy, IOMMU_OWNER_RIGHT_INSPECT);
	ASSERT_LE(0, token);
	EXPECT_EQ(-EPERM, token_dup(token, IOMMU_OWNER_RIGHT_INSPECT));
	close(copy);
	close(token);
}

TEST_F(token, use_wrong_file)
{
	int token = create(ALL_RIGHTS);

	ASSERT_LE(0, token);
	EXPECT_EQ(-EBADF, token_use(token, -1));
	EXPECT_EQ(-EBADFD, token_use(token, self->device));
	EXPECT_EQ(-EOPNOTSUPP, token_use(token, token));
	close(token);
}

TEST_F(token, revoked)
{
	int token = create(ALL_RIGHTS), other = token_dup(token, ALL_RIGHTS);
	struct iommu_owner_get_info info;
	struct iommu_owner_event event;
	__u32 group = 0, room = 0;

	ASSERT_LE(0, other);
	EXPECT_EQ(0, token_revoke(token));
	EXPECT_EQ(0, token_revoke(other));
	EXPECT_EQ(-ESTALE, token_dup(other, ALL_RIGHTS));
	EXPECT_EQ(-ESTALE, token_check(other, &group, 1, NULL, &room));
	EXPECT_EQ(-ESTALE, token_reserve(other, group));
	EXPECT_EQ(-ESTALE, token_release(other, NULL, 0));
	EXPECT_EQ(-ESTALE, token_use(other, -1));
	EXPECT_EQ(0, get_info(other, &info));
	EXPECT_EQ(IOMMU_OWNER_INFO_EXPLICIT | IOMMU_OWNER_INFO_REVOKED,
		  info.out_flags);
	EXPECT_EQ(RECORD, read_events(other, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_REVOKED, event.type);
	EXPECT_EQ(-1, event.group);
	EXPECT_EQ(getpid(), event.pid);
	EXPECT_EQ(0, read_events(other, &event, RECORD));
	close(token);
	close(other);
}

/* With groups: an edu device alone, and one that shares its group with a card */

FIXTURE(reserve) {
	struct pdev edu;
	struct pdev nic;
	__u32 group;
	int token;
};

FIXTURE_SETUP(reserve)
{
	self->token = -1;
	if (access(TOKEN_DEVICE, F_OK))
		SKIP(return, NO_TOKENS);
	load_modules();
	if (!find_shared(&self->edu, &self->nic))
		SKIP(return, NO_SHARED);
	driver_clear(&self->nic);
	driver_clear(&self->edu);
	self->group = self->nic.group;
	self->token = create(ALL_RIGHTS);
	ASSERT_LE(0, self->token);
}

FIXTURE_TEARDOWN(reserve)
{
	close(self->token);
	driver_clear(&self->edu);
	driver_clear(&self->nic);
}

TEST_F(reserve, check_names_blockers)
{
	struct iommu_owner_device_info blockers[4] = {};
	__u32 room = 0, none = 0x7fffffff;

	EXPECT_EQ(0, token_check(self->token, &self->group, 1, NULL, &room));
	EXPECT_EQ(0, room);
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(-EMSGSIZE, token_check(self->token, &self->group, 1, NULL, &room));
	EXPECT_EQ(2, room);
	room = 4;
	ASSERT_EQ(0, token_check(self->token, &self->group, 1, blockers, &room));
	ASSERT_EQ(2, room);
	for (int i = 0; i < 2; i++) {
		bool is_nic = !strcmp((char *)blockers[i].device,
				      self->nic.bdf);

		EXPECT_STREQ(is_nic ? self->nic.bdf : self->edu.bdf,
			     (char *)blockers[i].device);
		EXPECT_STREQ(is_nic ? NIC_DRIVER : KERNEL_DRIVER,
			     (char *)blockers[i].driver);
		EXPECT_EQ(self->group, blockers[i].group);
		EXPECT_EQ(IOMMU_OWNER_STATE_KERNEL, blockers[i].state);
	}
	EXPECT_EQ(-ENODEV, token_check(self->token, &none, 1, blockers, &room));
}

TEST_F(reserve, check_names_other_owner)
{
	struct iommu_owner_device_info blocker = {};
	int other = token_create("other", ALL_RIGHTS);
	__u32 room = 1;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, token_reserve(other, self->group));
	ASSERT_EQ(0, token_check(self->token, &self->group, 1, &blocker, &room));
	ASSERT_EQ(1, room);
	EXPECT_EQ(IOMMU_OWNER_STATE_RESERVED, blocker.state);
	EXPECT_EQ(0, blocker.device[0]);
	EXPECT_EQ(0, blocker.driver[0]);
	EXPECT_EQ(-EBUSY, token_reserve(self->token, self->group));
	close(other);
	EXPECT_EQ(0, token_reserve(self->token, self->group));
}

TEST_F(reserve, all_or_none)
{
	struct pdev lone;
	__u32 groups[2], failed = 0;

	if (!find_edu(&lone))
		SKIP(return, NO_EDU);
	driver_clear(&lone);
	groups[0] = lone.group;
	groups[1] = self->group;
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_EQ(-EBUSY,
		  token_reserve_groups(self->token, groups, 2, &failed));
	EXPECT_EQ(self->group, failed);
	EXPECT_TRUE(state_is(lone.group, "kernel"));
	EXPECT_TRUE(driver_is(&self->nic, NIC_DRIVER));

	/* What was reserved before stays */
	ASSERT_EQ(0, token_reserve_groups(self->token, groups, 1, NULL));
	EXPECT_EQ(-EBUSY, token_reserve_groups(self->token, groups, 2, NULL));
	EXPECT_TRUE(state_is(lone.group, "reserved"));

	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_EQ(0, token_reserve_groups(self->token, groups, 2, NULL));
	EXPECT_TRUE(state_is(self->group, "reserved"));
	EXPECT_EQ(0, token_release(self->token, NULL, 0));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	EXPECT_TRUE(state_is(lone.group, "kernel"));
}

TEST_F(reserve, no_kernel_driver_binds)
{
	struct iommu_owner_event event;

	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_EQ(-EBUSY, driver_bind(&self->edu, KERNEL_DRIVER));
	EXPECT_EQ(0, driver_bind(&self->edu, USER_DRIVER));

	ASSERT_EQ(RECORD, read_events(self->token, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_CLAIMED, event.type);
	EXPECT_EQ(IOMMU_OWNER_STATE_RESERVED, event.state);
	EXPECT_EQ(self->group, event.group);
	ASSERT_EQ(RECORD, read_events(self->token, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_PROBE_REFUSED, event.type);
	EXPECT_STREQ(self->nic.bdf, (char *)event.device);
	EXPECT_STREQ(NIC_DRIVER, (char *)event.driver);

	ASSERT_EQ(0, token_release(self->token, &self->group, 1));
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_EQ(-ENOENT, token_release(self->token, &self->group, 1));
}

TEST_F(reserve, info_lists_devices)
{
	struct iommu_owner_device_info devices[8] = {};
	struct iommu_owner_group_info group = {};
	struct iommu_owner_get_info info;
	bool seen = false;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(-EMSGSIZE, get_info(self->token, &info));
	EXPECT_EQ(1, info.nr_groups);
	ASSERT_GE(8, info.nr_devices);
	info.groups = (uintptr_t)&group;
	info.group_size = sizeof(group);
	info.devices = (uintptr_t)devices;
	info.device_size = sizeof(devices[0]);
	ASSERT_EQ(0, call(self->token, IOMMU_OWNER_GET_INFO, &info));
	EXPECT_EQ(self->group, group.group);
	EXPECT_EQ(IOMMU_OWNER_STATE_RESERVED, group.state);
	EXPECT_EQ(IOMMU_OWNER_GROUP_RESERVED, group.flags);
	EXPECT_EQ(info.nr_devices, group.devices);
	EXPECT_EQ(generation(self->group), group.generation);
	for (__u32 i = 0; i < info.nr_devices; i++) {
		if (strcmp((char *)devices[i].device, self->edu.bdf))
			continue;
		seen = true;
		EXPECT_STREQ(USER_DRIVER, (char *)devices[i].driver);
	}
	EXPECT_TRUE(seen);
}

/* Without TAKE a token keeps groups of the owner, but acquires none. */
TEST_F(reserve, needs_take)
{
	int token = token_dup(self->token,
			      ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_TAKE);

	ASSERT_LE(0, token);
	EXPECT_EQ(-EPERM, token_reserve(token, self->group));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(0, token_reserve(token, self->group));
	close(token);
}

/* No file gives TAKE, whatever it claims with. */
TEST_F(reserve, no_take_from_files)
{
	struct vfio vfio;

	ASSERT_EQ(0, driver_bind(&self->edu, USER_DRIVER));
	ASSERT_EQ(0, vfio_open(&vfio, PATH_CONTAINER, &self->edu));
	EXPECT_EQ(-EPERM, token_of(vfio.group, ALL_RIGHTS));
	ASSERT_EQ(0, token_use(self->token, vfio.group));
	EXPECT_EQ(-EPERM, token_of(vfio.group, IOMMU_OWNER_RIGHT_TAKE));
	vfio_close(&vfio);
}

static int reserve_ref(int token, __u32 group, __u64 generation)
{
	struct iommu_owner_group_ref ref = {
		.group = group, .generation = generation,
	};
	struct iommu_owner_reserve cmd = {
		.size = sizeof(cmd), .nr_groups = 1, .group_size = sizeof(ref),
		.groups = (uintptr_t)&ref,
	};

	return call(token, IOMMU_OWNER_RESERVE, &cmd);
}

TEST_F(reserve, generation)
{
	__u64 seen = generation(self->group);

	EXPECT_EQ(-ESTALE, reserve_ref(self->token, self->group, 1ULL << 60));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	/* Changes meanwhile do not matter: it is the same group */
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, driver_unbind(&self->nic));
	EXPECT_NE(seen, generation(self->group));
	EXPECT_EQ(0, reserve_ref(self->token, self->group, seen));
	EXPECT_TRUE(state_is(self->group, "reserved"));
}

/* Elements of a newer program, and room for some of them only */
TEST_F(reserve, element_sizes)
{
	struct {
		struct iommu_owner_device_info info;
		__u64 tail;
	} blockers[2];
	struct {
		struct iommu_owner_group_ref ref;
		__u64 tail;
	} group = { .ref.group = self->group };
	struct iommu_owner_check cmd = {
		.size = sizeof(cmd), .nr_groups = 1, .nr_blockers = 1,
		.groups = (uintptr_t)&group, .group_size = sizeof(group),
		.blockers = (uintptr_t)blockers,
		.blocker_size = sizeof(blockers[0]),
	};

	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, driver_bind(&self->edu, KERNEL_DRIVER));
	memset(blockers, 0xff, sizeof(blockers));
	EXPECT_EQ(-EMSGSIZE, call(self->token, IOMMU_OWNER_CHECK, &cmd));
	EXPECT_EQ(2, cmd.nr_blockers);
	EXPECT_EQ(self->group, blockers[0].info.group);
	EXPECT_EQ(0, blockers[0].tail);
	EXPECT_EQ(0xffffffff, blockers[1].info.group);
	EXPECT_EQ(0, call(self->token, IOMMU_OWNER_CHECK, &cmd));
	EXPECT_EQ(self->group, blockers[1].info.group);
	EXPECT_EQ(0, blockers[1].tail);

	group.tail = 1;
	EXPECT_EQ(-E2BIG, call(self->token, IOMMU_OWNER_CHECK, &cmd));
	group.tail = 0;
	cmd.group_size = sizeof(group.ref) - 1;
	EXPECT_EQ(-EINVAL, call(self->token, IOMMU_OWNER_CHECK, &cmd));
	cmd.group_size = sizeof(group.ref);
	cmd.blocker_size = sizeof(blockers[0].info) - 1;
	EXPECT_EQ(-EINVAL, call(self->token, IOMMU_OWNER_CHECK, &cmd));
}

/* Read the event of @token in a pid namespace of its own; what is its pid? */
static int read_in_namespace(int token)
{
	struct iommu_owner_event event = {};
	int status;
	pid_t pid = fork();

	if (pid) {
		waitpid(pid, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	if (unshare(CLONE_NEWPID))
		_exit(100);
	pid = fork();
	if (pid) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 101);
	}
	if (read(token, &event, RECORD) != RECORD)
		_exit(102);
	_exit(event.pid);
}

/* The first process of a pid namespace reserves. */
static int reserve_in_namespace(int token, __u32 group)
{
	int status;
	pid_t pid = fork();

	if (pid) {
		waitpid(pid, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	if (unshare(CLONE_NEWPID))
		_exit(100);
	pid = fork();
	if (!pid) {
		struct iommu_owner_event event = {};

		if (token_reserve(token, group))
			_exit(101);
		if (read(token, &event, RECORD) != RECORD)
			_exit(102);
		_exit(event.pid);
	}
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 103);
}

TEST_F(reserve, pid_namespace)
{
	int other = token_dup(self->token, ALL_RIGHTS);
	struct iommu_owner_event event;

	ASSERT_LE(0, other);
	/* Of this process, which the namespace of the reader does not have */
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(0, read_in_namespace(self->token));
	ASSERT_EQ(RECORD, read_events(other, &event, RECORD));
	EXPECT_EQ(getpid(), event.pid);
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	ASSERT_EQ(RECORD, read_events(self->token, &event, RECORD));
	ASSERT_EQ(RECORD, read_events(other, &event, RECORD));

	/* Of the first process there, which has another number here */
	EXPECT_EQ(1, reserve_in_namespace(self->token, self->group));
	ASSERT_EQ(RECORD, read_events(other, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_CLAIMED, event.type);
	EXPECT_LT(1, event.pid);
	EXPECT_NE(getpid(), event.pid);
	close(other);
}

/* Whichever process has the token last, and however it ends */
static pid_t keep(int token)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

TEST_F(reserve, ends_with_last_holder)
{
	int poor = token_dup(self->token,
			     ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_RESERVE);
	pid_t pid;

	ASSERT_LE(0, poor);
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	pid = keep(self->token);
	ASSERT_LT(0, pid);
	close(self->token);
	EXPECT_TRUE(state_is(self->group, "reserved"));
	EXPECT_EQ(-EBUSY, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	close(poor);
	self->token = -1;
}

TEST_F(reserve, exec_keeps_if_asked)
{
	pid_t pid;

	for (int stay = 0; stay < 2; stay++) {
		int token = create(ALL_RIGHTS);

		ASSERT_LE(0, token);
		ASSERT_EQ(0, token_reserve(token, self->group));
		fcntl(token, F_SETFD, stay ? 0 : FD_CLOEXEC);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			execlp("sleep", "sleep", "1000", NULL);
			_exit(1);
		}
		close(token);
		for (int i = 0; i < 100 && !stay; i++) {
			if (state_is(self->group, "kernel"))
				break;
			nap(100);
		}
		if (stay)
			nap(1000);
		EXPECT_TRUE(state_is(self->group,
				     stay ? "reserved" : "kernel"));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		EXPECT_TRUE(state_is(self->group, "kernel"));
	}
}

/* Return the number of what went wrong. */
static int act_as_nobody(int sock, __u32 group)
{
	int token;

	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	if (open(TOKEN_DEVICE, O_RDWR) >= 0 || errno != EACCES)
		return 2;
	token = receive_fd(sock);
	if (token < 0)
		return 3;
	if (token_reserve(token, group))
		return 4;
	if (token_revoke(token) != -EPERM)
		return 5;
	if (token_dup(token, IOMMU_OWNER_RIGHT_RESERVE) != -EPERM)
		return 6;
	if (write(sock, "", 1) != 1)
		return 7;
	pause();
	return 8;
}

TEST_F(reserve, passed_to_another_user)
{
	int sock[2], token, status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	token = token_dup(self->token, IOMMU_OWNER_RIGHT_RESERVE |
			  IOMMU_OWNER_RIGHT_TAKE);
	ASSERT_LE(0, token);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->token);
		close(token);
		close(sock[0]);
		_exit(act_as_nobody(sock[1], self->group));
	}
	close(sock[1]);
	ASSERT_EQ(0, send_fd(sock[0], token));
	close(token);
	if (read(sock[0], &byte, 1) != 1) {
		waitpid(pid, &status, 0);
		ASSERT_EQ(0, WEXITSTATUS(status));
	}
	close(self->token);
	self->token = -1;
	EXPECT_TRUE(state_is(self->group, "reserved"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	close(sock[0]);
}

/* A file in a socket that nobody reads is open; it goes with the socket */
TEST_F(reserve, in_flight)
{
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	ASSERT_EQ(0, send_fd(sock[0], self->token));
	close(self->token);
	self->token = -1;
	EXPECT_TRUE(state_is(self->group, "reserved"));
	close(sock[0]);
	close(sock[1]);
	EXPECT_TRUE(state_is(self->group, "kernel"));
}

TEST_F(reserve, revoke)
{
	struct iommu_owner_event events[4];

	ASSERT_EQ(0, token_reserve(self->token, self->group));
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	EXPECT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	ASSERT_EQ(3 * RECORD,
		  read_events(self->token, events, sizeof(events)));
	EXPECT_EQ(IOMMU_OWNER_EVENT_CLAIMED, events[0].type);
	EXPECT_EQ(IOMMU_OWNER_EVENT_REVOKED, events[1].type);
	EXPECT_EQ(IOMMU_OWNER_EVENT_ENDED, events[2].type);
	EXPECT_EQ(IOMMU_OWNER_REASON_REVOKED, events[2].reason);
	EXPECT_EQ(IOMMU_OWNER_STATE_KERNEL, events[2].state);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(RECORD, events[i].size);
	EXPECT_LE(events[0].time, events[2].time);
	EXPECT_EQ(0, read_events(self->token, events, sizeof(events)));
}

TEST_F(reserve, read_sizes)
{
	int blind = token_dup(self->token,
			      ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_INSPECT);
	static const struct iommu_owner_event read_only;
	struct iommu_owner_event events[3];

	ASSERT_LE(0, blind);
	EXPECT_EQ(-EPERM, read_events(blind, events, RECORD));
	close(blind);
	nonblock(self->token);
	EXPECT_EQ(-EAGAIN, read_events(self->token, events, RECORD));
	EXPECT_EQ(-EINVAL, read_events(self->token, events, RECORD - 1));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(-EFAULT, read_events(self->token, (void *)&read_only,
				       RECORD));
	ASSERT_EQ(0, token_release(self->token, NULL, 0));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(2 * RECORD,
		  read_events(self->token, events, 3 * RECORD - 1));
	EXPECT_EQ(1, events[1].sequence);
	EXPECT_EQ(IOMMU_OWNER_EVENT_ENDED, events[1].type);
	EXPECT_EQ(RECORD, read_events(self->token, events, 3 * RECORD));
	EXPECT_EQ(2, events[0].sequence);
	EXPECT_EQ(-ESPIPE, lseek(self->token, 0, SEEK_SET) < 0 ? -errno : 0);
}

static int polled(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, timeout) < 0 ? -errno : pfd.revents;
}

TEST_F(reserve, poll)
{
	int blind = token_dup(self->token,
			      ALL_RIGHTS & ~IOMMU_OWNER_RIGHT_INSPECT);
	int other = token_dup(self->token, ALL_RIGHTS);
	struct iommu_owner_event events[8];

	ASSERT_LE(0, other);
	EXPECT_EQ(POLLERR, polled(blind, 0));
	EXPECT_EQ(0, polled(self->token, 0));
	ASSERT_EQ(0, token_reserve(self->token, self->group));
	EXPECT_EQ(POLLIN, polled(self->token, 0));
	EXPECT_EQ(POLLIN, polled(other, 0));
	ASSERT_EQ(RECORD, read_events(self->token, events, sizeof(events)));
	EXPECT_EQ(0, polled(self->token, 0));
	/* Each token has a queue of its own */
	EXPECT_EQ(POLLIN, polled(other, 0));
	ASSERT_EQ(0, token_revoke(self->token));
	EXPECT_EQ(POLLIN | POLLHUP, polled(self->token, 0));
	ASSERT_EQ(2 * RECORD,
		  read_events(self->token, events, sizeof(events)));
	EXPECT_EQ(POLLHUP, polled(self->token, 0));
	close(blind);
	close(other);
}

TEST_F(reserve, epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(0);
	pid_t pid;

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->token, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		nap(300);
		_exit(token_reserve(self->token, self->group) ? 1 : 0);
	}
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, WAIT_MS));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	close(epoll);
}

static void on_alarm(int signal)
{
}

TEST_F(reserve, blocking_read)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct iommu_owner_event event = {};
	pid_t pid;

	/* A signal ends the wait */
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (int i = 0; i < 50; i++) {
			nap(100);
			kill(getppid(), SIGUSR1);
		}
		_exit(0);
	}
	EXPECT_EQ(-EINTR, read_events(self->token, &event, RECORD));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));

	/* So does an event, and the revocation */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		nap(300);
		if (token_reserve(self->token, self->group))
			_exit(1);
		nap(300);
		_exit(token_revoke(self->token) ? 1 : 0);
	}
	EXPECT_EQ(RECORD, read_events(self->token, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_CLAIMED, event.type);
	EXPECT_EQ(pid, event.pid);
	EXPECT_STREQ("token_test", (char *)event.comm);
	EXPECT_EQ(RECORD, read_events(self->token, &event, RECORD));
	EXPECT_EQ(RECORD, read_events(self->token, &event, RECORD));
	EXPECT_EQ(IOMMU_OWNER_EVENT_ENDED, event.type);
	EXPECT_EQ(0, read_events(self->token, &event, RECORD));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
}

/* Readers of one queue, and the file is closed under them */
static void *read_until_end(void *arg)
{
	struct iommu_owner_event event;
	__u64 *count = arg;
	int token = (int)*count;

	*count = 0;
	while (read(token, &event, RECORD) == RECORD)
		++*count;
	return NULL;
}

TEST_F(reserve, readers_and_close)
{
	__u64 count[4], sum = 0;
	pthread_t thread[4];

	for (int i = 0; i < 4; i++) {
		count[i] = self->token;
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, read_until_end,
					    &count[i]));
	}
	nap(200);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, token_reserve(self->token, self->group));
		ASSERT_EQ(0, token_release(self->token, NULL, 0));
		nap(10);
	}
	ASSERT_EQ(0, token_revoke(self->token));
	close(self->token);
	self->token = -1;
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		sum += count[i];
	}
	EXPECT_EQ(21, sum);
}

TEST_F(reserve, overflow_is_reported)
{
	struct iommu_owner_event event;
	struct iommu_owner_get_info info;
	__u64 next = 0, lost = 0;

	nonblock(self->token);
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, token_reserve(self->token, self->group));
		ASSERT_EQ(0, token_release(self->token, &self->group, 1));
	}
	EXPECT_EQ(0, get_info(self->token, &info));
	EXPECT_EQ(200, info.out_sequence);
	while (read_events(self->token, &event, RECORD) == RECORD) {
		EXPECT_EQ(RECORD, event.size);
		if (event.type == IOMMU_OWNER_EVENT_LOST) {
			EXPECT_EQ(next + event.lost - 1, event.sequence);
			lost += event.lost;
		} else {
			EXPECT_EQ(next, event.sequence);
		}
		next = event.sequence + 1;
	}
	EXPECT_EQ(200, next);
	EXPECT_LT(0, lost);
}

/* The example of the documentation, next to this program */
TEST_F(reserve, example)
{
	char dir[256] = {}, command[512];

	ASSERT_LT(0, readlink("/proc/self/exe", dir, sizeof(dir) - 1));
	*strrchr(dir, '/') = '\0';
	snprintf(command, sizeof(command),
		 "%s/token_example %u -- grep -q reserved /sys/kernel/iommu_groups/%u/owner/state",
		 dir, self->group, self->group);
	EXPECT_EQ(0, system(command));
	EXPECT_TRUE(state_is(self->group, "kernel"));
	ASSERT_EQ(0, driver_bind(&self->nic, NIC_DRIVER));
	EXPECT_NE(0, system(command));
}

TEST_HARNESS_MAIN
