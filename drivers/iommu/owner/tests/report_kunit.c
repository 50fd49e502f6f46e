// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: snapshots, sysfs attributes and tracepoints
 */
#include "mock.h"

static void states_have_names(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, "kernel",
			   iommu_owner_state_name(IOMMU_OWNER_STATE_KERNEL));
	KUNIT_EXPECT_STREQ(test, "private",
			   iommu_owner_state_name(IOMMU_OWNER_STATE_PRIVATE));
	KUNIT_EXPECT_STREQ(test, "user",
			   iommu_owner_state_name(IOMMU_OWNER_STATE_USER));
	KUNIT_EXPECT_STREQ(test, "reserved",
			   iommu_owner_state_name(IOMMU_OWNER_STATE_RESERVED));
	KUNIT_EXPECT_STREQ(test, "quarantine",
			   iommu_owner_state_name(IOMMU_OWNER_STATE_QUARANTINE));
}

/* Snapshots */

static void snapshot_of_free_group(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner_info info;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(mdev->group, &info));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, info.state);
	KUNIT_EXPECT_STREQ(test, "kernel", info.name);
	KUNIT_EXPECT_STREQ(test, "", info.comm);
	KUNIT_EXPECT_EQ(test, 0, info.pid);
	KUNIT_EXPECT_EQ(test, iommu_group_id(mdev->group), info.group);
	KUNIT_EXPECT_EQ(test, 0, info.claims);
	KUNIT_EXPECT_EQ(test, 1, info.devices);
	KUNIT_EXPECT_EQ(test, 0, info.nr_blockers);
	iommu_owner_snapshot_free(&info);
}

static void snapshot_of_owned_group(struct kunit *test)
{
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct iommu_owner *a = mock_owner(test, "vmm-7")->owner;
	struct iommu_owner_info info;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &first->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_device(a, &second->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(first->group, &info));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, info.state);
	KUNIT_EXPECT_STREQ(test, "vmm-7", info.name);
	KUNIT_EXPECT_STREQ(test, current->comm, info.comm);
	KUNIT_EXPECT_EQ(test, task_tgid_nr(current), info.pid);
	KUNIT_EXPECT_EQ(test, 2, info.claims);
	KUNIT_EXPECT_EQ(test, 2, info.devices);
	KUNIT_EXPECT_EQ(test, 0, info.nr_blockers);
	iommu_owner_snapshot_free(&info);

	/* Nothing of the owner stays when it has gone */
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, first->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(first->group, &info));
	KUNIT_EXPECT_STREQ(test, "kernel", info.name);
	KUNIT_EXPECT_STREQ(test, "", info.comm);
	KUNIT_EXPECT_EQ(test, 0, info.pid);
	KUNIT_EXPECT_EQ(test, 0, info.claims);
	iommu_owner_snapshot_free(&info);
}

static void snapshot_of_reserved_group(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "orchestrator")->owner;
	struct iommu_owner_info info;

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(mdev->group, &info));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_RESERVED, info.state);
	KUNIT_EXPECT_STREQ(test, "orchestrator", info.name);
	KUNIT_EXPECT_EQ(test, 0, info.claims);
	iommu_owner_snapshot_free(&info);
}

static void snapshot_of_private_group(struct kunit *test)
{
	struct mock_driver *gpu = mock_driver(test, "mock_gpu", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_owner_info info;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(gpu, mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_attach_device(domain, &mdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(mdev->group, &info));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_PRIVATE, info.state);
	KUNIT_EXPECT_STREQ(test, "mock_gpu", info.name);
	KUNIT_EXPECT_STREQ(test, "", info.comm);
	KUNIT_EXPECT_EQ(test, 1, info.nr_blockers);
	iommu_owner_snapshot_free(&info);
}

static void long_name_is_cut(struct kunit *test)
{
	static const char name[] = "an-owner-with-a-name-that-is-longer-than-allowed";
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, name)->owner;
	struct iommu_owner_info info;

	KUNIT_ASSERT_GT(test, strlen(name), IOMMU_OWNER_NAME_LEN);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, mdev->group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(mdev->group, &info));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_NAME_LEN - 1, strlen(info.name));
	KUNIT_EXPECT_TRUE(test, str_has_prefix(name, info.name));
	iommu_owner_snapshot_free(&info);
}

static void blockers_are_named(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_driver *disk = mock_driver(test, "mock_disk", false);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_device *third = mock_device(test, first->group);
	struct iommu_owner_info info;

	mock_device(test, first->group);
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, second));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(disk, third));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(first->group, &info));
	KUNIT_EXPECT_EQ(test, 4, info.devices);
	KUNIT_ASSERT_EQ(test, 2, info.nr_blockers);
	KUNIT_EXPECT_PTR_EQ(test, &first->dev, info.blockers[0].dev);
	KUNIT_EXPECT_STREQ(test, "mock_nic", info.blockers[0].driver);
	KUNIT_EXPECT_PTR_EQ(test, &third->dev, info.blockers[1].dev);
	KUNIT_EXPECT_STREQ(test, "mock_disk", info.blockers[1].driver);
	iommu_owner_snapshot_free(&info);
	KUNIT_EXPECT_EQ(test, 0, info.nr_blockers);
	KUNIT_EXPECT_NULL(test, info.blockers);
}

static void snapshot_keeps_the_blocker(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	unsigned int refs = kref_read(&mdev->dev.kobj.kref);
	struct iommu_owner_info info;

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, mdev));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_snapshot(mdev->group, &info));
	KUNIT_ASSERT_EQ(test, 1, info.nr_blockers);
	mock_unbind(mdev);
	mock_device_del(mdev);
	KUNIT_EXPECT_STREQ(test, dev_name(&mdev->dev),
			   dev_name(info.blockers[0].dev));
	KUNIT_EXPECT_STREQ(test, "mock_nic", info.blockers[0].driver);
	iommu_owner_snapshot_free(&info);
	KUNIT_EXPECT_LT(test, kref_read(&mdev->dev.kobj.kref), refs);
}

/* The generation */

/* Whether @action, an expression, moves the generation of the group g */
#define EXPECT_MOVES(action)						\
do {									\
	u64 before = mock_generation(g);				\
									\
	action;								\
	KUNIT_EXPECT_GT_MSG(test, mock_generation(g), before, #action);	\
} while (0)

#define EXPECT_STAYS(action)						\
do {									\
	u64 before = mock_generation(g);				\
									\
	action;								\
	KUNIT_EXPECT_EQ_MSG(test, mock_generation(g), before, #action);	\
} while (0)

static void generation_moves_with_each_change(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *g = mdev->group;
	struct mock_device *late;

	EXPECT_MOVES(mock_bind(nic, mdev));
	EXPECT_MOVES(iommu_attach_group(domain, g));
	EXPECT_MOVES(iommu_detach_group(domain, g));
	EXPECT_MOVES(mock_unbind(mdev));
	EXPECT_MOVES(iommu_owner_claim_group(a, g));
	EXPECT_MOVES(iommu_owner_attach_group(a, domain, g));
	EXPECT_MOVES(iommu_owner_detach_group(a, domain, g));
	EXPECT_MOVES(iommu_owner_claim_group(a, g));
	EXPECT_MOVES(iommu_owner_release_group(a, g));
	EXPECT_MOVES(iommu_owner_reserve_group(a, g));
	EXPECT_MOVES(iommu_owner_release_group(a, g));
	EXPECT_MOVES(iommu_owner_claim_group(a, g));
	EXPECT_MOVES(iommu_owner_unreserve_group(a, g));
	EXPECT_MOVES(iommu_owner_release_group(a, g));
	EXPECT_MOVES(iommu_owner_claim_group(a, g));
	EXPECT_MOVES(iommu_owner_quarantine_group(a, g));
	EXPECT_MOVES(iommu_owner_clear_quarantine(g));
	EXPECT_MOVES(late = mock_device(test, g));
	EXPECT_MOVES(mock_device_del(late));
	EXPECT_MOVES(mock_device_del(mdev));
}

static void generation_stays_without_change(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct iommu_domain *domain = mock_paging_domain(test, mdev);
	struct iommu_group *g = mdev->group;

	EXPECT_STAYS(mock_viable(g));
	EXPECT_STAYS(iommu_owner_release_group(a, g));
	EXPECT_STAYS(iommu_owner_clear_quarantine(g));
	EXPECT_STAYS(iommu_owner_attach_group(a, domain, g));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, g));
	EXPECT_STAYS(iommu_owner_claim_group(b, g));
	EXPECT_STAYS(iommu_owner_reserve_group(b, g));
	EXPECT_STAYS(iommu_owner_release_group(b, g));
	EXPECT_STAYS(iommu_owner_unreserve_group(b, g));
	EXPECT_STAYS(iommu_owner_quarantine_group(b, g));
	EXPECT_STAYS(iommu_owner_attach_group(b, domain, g));
	EXPECT_STAYS(iommu_owner_detach_group(a, domain, g));
	EXPECT_STAYS(iommu_attach_group(domain, g));
	EXPECT_STAYS(mock_bind(nic, mdev));
}

/* sysfs */

static ssize_t write_quarantine(struct kunit *test, struct iommu_group *group,
				const char *text)
{
	return mock_write_attribute(test, group, "owner", "quarantine", text);
}

static void free_page_action(void *buf)
{
	free_page((unsigned long)buf);
}

static void expect_attribute(struct kunit *test, struct iommu_group *group,
			     const char *name, umode_t want_mode,
			     const char *want)
{
	char *buf = (char *)get_zeroed_page(GFP_KERNEL);
	umode_t mode;
	ssize_t len;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_page_action, buf));
	len = mock_read_attribute(test, group, "owner", name, &mode, buf);
	KUNIT_EXPECT_EQ(test, (ssize_t)strlen(want), len);
	KUNIT_EXPECT_STREQ(test, want, buf);
	KUNIT_EXPECT_EQ_MSG(test, want_mode, mode, "%s", name);
}

static void expect_holder(struct kunit *test, struct iommu_group *group,
			  pid_t pid, const char *name, const char *comm)
{
	char want[64];

	snprintf(want, sizeof(want), "%d %s %s\n", pid, name, comm);
	expect_attribute(test, group, "holder", 0400, want);
}

static void attributes_of_free_group(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_driver *vfio = mock_driver(test, "mock_vfio", true);
	struct mock_device *first = mock_device(test, NULL);
	struct mock_device *second = mock_device(test, first->group);
	struct mock_device *third = mock_device(test, first->group);
	struct iommu_group *group = first->group;
	char want[128];

	expect_attribute(test, group, "state", 0444, "kernel\n");
	expect_holder(test, group, 0, "kernel", "-");
	expect_attribute(test, group, "blockers", 0444, "");

	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, first));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(vfio, second));
	KUNIT_ASSERT_EQ(test, 0, mock_bind(nic, third));
	snprintf(want, sizeof(want), "%s mock_nic\n%s mock_nic\n",
		 dev_name(&first->dev), dev_name(&third->dev));
	expect_attribute(test, group, "blockers", 0444, want);
	snprintf(want, sizeof(want), "%llu\n", mock_generation(group));
	expect_attribute(test, group, "generation", 0444, want);
}

static void attributes_of_owned_group(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "vmm-7")->owner;
	struct iommu_group *group = mdev->group;
	pid_t pid = task_tgid_nr(current);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	expect_attribute(test, group, "state", 0444, "user\n");
	expect_holder(test, group, pid, "vmm-7", current->comm);
	expect_attribute(test, group, "blockers", 0444, "");

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_reserve_group(a, group));
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	expect_attribute(test, group, "state", 0444, "reserved\n");
	expect_holder(test, group, pid, "vmm-7", current->comm);

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_quarantine_group(a, group));
	expect_attribute(test, group, "state", 0444, "quarantine\n");
	expect_holder(test, group, 0, "kernel", "-");
}

static void quarantine_is_shown_and_cleared(struct kunit *test)
{
	static const char * const wrong[] = { "", "\n", "1", "cleared", "c" };
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_group *group = mdev->group;

	expect_attribute(test, group, "quarantine", 0644, "\n");
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_quarantine(test, group, "clear"));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_claim_group(a, group));
	expect_attribute(test, group, "quarantine", 0644, "\n");
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_quarantine(test, group, "clear"));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, mock_state(group));

	KUNIT_ASSERT_EQ(test, 0, iommu_owner_device_used(&mdev->dev));
	mock_fail_quiesce(mdev, -EIO, 1);
	KUNIT_ASSERT_EQ(test, 0, iommu_owner_release_group(a, group));
	expect_attribute(test, group, "quarantine", 0644,
			 "a device cannot be quiesced\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    write_quarantine(test, group,
						     wrong[i]), "%s", wrong[i]);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_QUARANTINE, mock_state(group));

	mock_fail_attach(mdev, MOCK_DEFAULT, 1);
	KUNIT_EXPECT_EQ(test, -EIO,
			write_quarantine(test, group, "clear\n"));
	KUNIT_EXPECT_EQ(test, 6,
			write_quarantine(test, group, "clear\n"));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(group));
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(mdev));
	expect_attribute(test, group, "quarantine", 0644, "\n");
}

/* Tracepoints */

/* The last event of a state, and how many there were for the group */
struct traced {
	int group;
	unsigned int count;
	enum iommu_owner_state state;
	unsigned int claims;
	char device[32];
	char who[32];
	char holder[32];
};

static void see_group_event(void *data, int group, const char *owner,
			    enum iommu_owner_state state, unsigned int claims,
			    u64 generation)
{
	struct traced *traced = data;

	if (traced->group != group)
		return;
	traced->count++;
	traced->state = state;
	traced->claims = claims;
	strscpy(traced->who, owner);
}

static void see_refusal(void *data, int group, const char *device,
			const char *who, enum iommu_owner_state state,
			const char *holder, int pid)
{
	struct traced *traced = data;

	if (traced->group != group)
		return;
	traced->count++;
	traced->state = state;
	strscpy(traced->device, device);
	strscpy(traced->who, who);
	strscpy(traced->holder, holder);
}

static struct traced *trace(struct kunit *test, struct iommu_group *group,
			    const char *name, void *probe)
{
	struct traced *traced;

	traced = kunit_kzalloc(test, sizeof(*traced), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, traced);
	traced->group = iommu_group_id(group);
	mock_trace(test, name, probe, traced);
	return traced;
}

static void claims_and_releases_are_traced(struct kunit *test)
{
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "vmm-7")->owner;
	struct traced *claim, *release;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	claim = trace(test, mdev->group, "iommu_owner_claim", see_group_event);
	release = trace(test, mdev->group, "iommu_owner_release",
			see_group_event);

	iommu_owner_claim_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 1, claim->count);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, claim->state);
	KUNIT_EXPECT_EQ(test, 1, claim->claims);
	KUNIT_EXPECT_STREQ(test, "vmm-7", claim->who);
	iommu_owner_claim_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 2, claim->count);
	KUNIT_EXPECT_EQ(test, 2, claim->claims);

	iommu_owner_release_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 1, release->count);
	KUNIT_EXPECT_EQ(test, 1, release->claims);
	iommu_owner_release_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 2, release->count);
	KUNIT_EXPECT_EQ(test, 0, release->claims);
	KUNIT_EXPECT_STREQ(test, "vmm-7", release->who);

	/* A refused release is no release */
	iommu_owner_release_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 2, release->count);
	KUNIT_EXPECT_EQ(test, 2, claim->count);
}

static void refusals_are_traced(struct kunit *test)
{
	struct mock_driver *nic = mock_driver(test, "mock_nic", false);
	struct mock_device *mdev = mock_device(test, NULL);
	struct iommu_owner *a = mock_owner(test, "a")->owner;
	struct iommu_owner *b = mock_owner(test, "b")->owner;
	struct traced *refuse;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	refuse = trace(test, mdev->group, "iommu_owner_refuse", see_refusal);

	iommu_owner_claim_group(a, mdev->group);
	KUNIT_EXPECT_EQ(test, 0, refuse->count);
	iommu_owner_claim_group(b, mdev->group);
	KUNIT_EXPECT_EQ(test, 1, refuse->count);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_USER, refuse->state);
	KUNIT_EXPECT_STREQ(test, "", refuse->device);
	KUNIT_EXPECT_STREQ(test, "b", refuse->who);
	KUNIT_EXPECT_STREQ(test, "a", refuse->holder);

	mock_bind(nic, mdev);
	KUNIT_EXPECT_EQ(test, 2, refuse->count);
	KUNIT_EXPECT_STREQ(test, dev_name(&mdev->dev), refuse->device);
	KUNIT_EXPECT_STREQ(test, "mock_nic", refuse->who);
	KUNIT_EXPECT_STREQ(test, "a", refuse->holder);
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE(states_have_names),
	KUNIT_CASE(snapshot_of_free_group),
	KUNIT_CASE(snapshot_of_owned_group),
	KUNIT_CASE(snapshot_of_reserved_group),
	KUNIT_CASE(snapshot_of_private_group),
	KUNIT_CASE(long_name_is_cut),
	KUNIT_CASE(blockers_are_named),
	KUNIT_CASE(snapshot_keeps_the_blocker),
	KUNIT_CASE(generation_moves_with_each_change),
	KUNIT_CASE(generation_stays_without_change),
	KUNIT_CASE(attributes_of_free_group),
	KUNIT_CASE(attributes_of_owned_group),
	KUNIT_CASE(quarantine_is_shown_and_cleared),
	KUNIT_CASE(claims_and_releases_are_traced),
	KUNIT_CASE(refusals_are_traced),
	{}
};

static struct kunit_suite report_suite = {
	.name = "iommu_owner_report",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = report_cases,
};

kunit_test_suite(report_suite);
