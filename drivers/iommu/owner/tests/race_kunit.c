// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: claims, releases, drivers, removals and snapshots at the same
 * time
 */
#include <linux/delay.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "mock.h"

#define RACERS	8
#define ROUNDS	200

/**
 * struct race - What the racers share
 * @group: The group that they race for.
 * @mdev: A device of it.
 * @driver: A driver that uses the DMA API.
 * @holders: How many think that the group is theirs.
 * @violations: How often there was more than one.
 * @errors: Results that nobody should see.
 * @won: Claims that succeeded.
 * @lost: Claims that were refused.
 * @stop: The racers without a number of rounds end.
 * @look: Take snapshots.
 * @states: What they say: the state as a value, by generation.
 */
struct race {
	struct iommu_group *group;
	struct mock_device *mdev;
	struct mock_driver *driver;
	atomic_t holders;
	atomic_t violations;
	atomic_t errors;
	atomic_t won;
	atomic_t lost;
	bool stop;
	bool look;
	struct xarray states;
};

struct racer {
	struct work_struct work;
	struct race *race;
	struct iommu_owner *owner;
	int ret;
};

static void keep(struct race *race)
{
	if (atomic_inc_return(&race->holders) != 1)
		atomic_inc(&race->violations);
	mock_dawdle();
	if (atomic_dec_return(&race->holders))
		atomic_inc(&race->violations);
}

/* All snapshots of a generation agree, and each agrees with itself. */
static void check_snapshot(struct race *race, u64 *last)
{
	struct iommu_owner_info info;
	bool user, owned;
	void *state;

	if (!race->look)
		return;
	if (iommu_owner_snapshot(race->group, &info))
		atomic_inc(&race->errors);
	iommu_owner_snapshot_free(&info);

	user = info.state == IOMMU_OWNER_STATE_USER;
	owned = user || info.state == IOMMU_OWNER_STATE_ENDING;
	if (user != !!info.claims || owned != !!info.pid ||
	    owned == !strcmp(info.name, "kernel"))
		atomic_inc(&race->violations);
	if (info.generation < *last)
		atomic_inc(&race->violations);
	*last = info.generation;
	state = xa_cmpxchg(&race->states, info.generation, NULL,
			   xa_mk_value(info.state), GFP_KERNEL);
	if (state && state != xa_mk_value(info.state))
		atomic_inc(&race->violations);
}

static void claim_and_release(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);
	struct race *race = racer->race;
	u64 last = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		int ret = iommu_owner_claim_group(racer->owner, race->group);

		if (ret == -EBUSY) {
			atomic_inc(&race->lost);
			mock_dawdle();
			continue;
		}
		if (ret) {
			atomic_inc(&race->errors);
			continue;
		}
		atomic_inc(&race->won);
		check_snapshot(race, &last);
		keep(race);
		if (iommu_owner_release_group(racer->owner, race->group))
			atomic_inc(&race->errors);
		check_snapshot(race, &last);
		cond_resched();
	}
}

/* Start @count racers and wait until all are done. */
static void run(struct kunit *test, struct racer *racers, unsigned int count)
{
	struct workqueue_struct *wq;

	wq = alloc_workqueue("iommu_owner_race", WQ_UNBOUND, 0);
	KUNIT_ASSERT_NOT_NULL(test, wq);
	for (unsigned int i = 0; i < count; i++)
		queue_work(wq, &racers[i].work);
	destroy_workqueue(wq);
}

static struct racer *racers_new(struct kunit *test, struct race *race,
				unsigned int count, work_func_t fn)
{
	struct racer *racers;

	racers = kunit_kcalloc(test, count, sizeof(*racers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, racers);
	for (unsigned int i = 0; i < count; i++) {
		INIT_WORK(&racers[i].work, fn);
		racers[i].race = race;
		racers[i].owner = mock_owner(test, "racer")->owner;
	}
	return racers;
}

static struct race *race_new(struct kunit *test)
{
	struct race *race;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	race->mdev = mock_device(test, NULL);
	race->group = race->mdev->group;
	race->driver = mock_driver(test, "mock_nic", false);
	return race;
}

static void expect_clean(struct kunit *test, struct race *race)
{
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race->violations));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&race->errors));
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_STATE_KERNEL, mock_state(race->group));
	KUNIT_EXPECT_EQ(test, 0, mock_claims(race->group));
	KUNIT_EXPECT_TRUE(test, mock_viable(race->group));
}

static void one_owner_at_a_time(struct kunit *test)
{
	struct race *race = race_new(test);

	run(test, racers_new(test, race, RACERS, claim_and_release), RACERS);
	KUNIT_EXPECT_GT(test, atomic_read(&race->won), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->lost), 0);
	expect_clean(test, race);
	KUNIT_EXPECT_EQ(test, MOCK_DEFAULT, mock_reach(race->mdev));
}

/* A driver that is bound holds the group as much as an owner does */

static int probe_holds(struct mock_driver *mdrv, struct mock_device *mdev)
{
	struct race *race = mdrv->data;

	if (atomic_inc_return(&race->holders) != 1)
		atomic_inc(&race->violations);
	if (mock_reach(mdev) != MOCK_DEFAULT)
		atomic_inc(&race->violations);
	return 0;
}

static void remove_lets_go(struct mock_driver *mdrv, struct mock_device *mdev)
{
	struct race *race = mdrv->data;

	if (mock_reach(mdev) != MOCK_DEFAULT)
		atomic_inc(&race->violations);
	if (atomic_dec_return(&race->holders))
		atomic_inc(&race->violations);
}

static void bind_and_unbind(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);
	struct race *race = racer->race;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		int ret = mock_bind(race->driver, race->mdev);

		if (ret && ret != -EBUSY)
			atomic_inc(&race->errors);
		mock_dawdle();
		mock_unbind(race->mdev);
		mock_dawdle();
	}
}

static void no_driver_while_claimed(struct kunit *test)
{
	struct race *race = race_new(test);
	struct racer *racers;

	race->driver->probe = probe_holds;
	race->driver->remove = remove_lets_go;
	race->driver->data = race;
	racers = racers_new(test, race, 4, claim_and_release);
	INIT_WORK(&racers[0].work, bind_and_unbind);

	run(test, racers, 4);
	KUNIT_EXPECT_GT(test, atomic_read(&race->won), 0);
	KUNIT_EXPECT_GT(test, race->driver->probes, 0);
	expect_clean(test, race);
}

/* The end of an ownership, from several sides */

static void release_once(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);

	racer->ret = iommu_owner_release_group(racer->owner,
					       racer->race->group);
}

static void quarantine_once(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);

	racer->ret = iommu_owner_quarantine_group(racer->owner,
						  racer->race->group);
}

static void remove_once(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);

	mock_device_del(racer->race->mdev);
}

/* Two releases, a quarantine and the removal of the only device */
static void ends_once(struct kunit *test)
{
	static const work_func_t ends[] = {
		release_once, quarantine_once, remove_once, release_once,
	};
	struct race *race = race_new(test);
	struct mock_owner *owner;
	struct racer *racers;

	racers = racers_new(test, race, ARRAY_SIZE(ends), release_once);
	for (unsigned int round = 0; round < 50; round++) {
		unsigned int ended = 0;

		race->mdev = mock_device(test, NULL);
		race->group = race->mdev->group;
		owner = mock_owner(test, "vmm");
		KUNIT_ASSERT_EQ(test, 0,
				iommu_owner_claim_group(owner->owner,
							race->group));
		for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
			INIT_WORK(&racers[i].work,
				  ends[(i + round) % ARRAY_SIZE(ends)]);
			racers[i].owner = owner->owner;
			racers[i].ret = -ESTALE;
		}
		run(test, racers, ARRAY_SIZE(ends));
		for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++)
			ended += !racers[i].ret;
		KUNIT_EXPECT_LE(test, ended, 1);
		mock_owner_put(owner);
		KUNIT_EXPECT_TRUE(test, mock_released(owner));
	}
}

/* Snapshots are of one moment, and do not go back in time */
static void watch_snapshots(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);
	struct race *race = racer->race;
	u64 last = 0;

	while (!READ_ONCE(race->stop)) {
		check_snapshot(race, &last);
		usleep_range(20, 40);
	}
}

static void claim_until_done(struct work_struct *work)
{
	struct racer *racer = container_of(work, struct racer, work);

	claim_and_release(work);
	WRITE_ONCE(racer->race->stop, true);
}

static void snapshots_are_of_one_moment(struct kunit *test)
{
	struct race *race = race_new(test);
	struct racer *racers;

	xa_init(&race->states);
	race->look = true;
	racers = racers_new(test, race, 4, watch_snapshots);
	INIT_WORK(&racers[0].work, claim_until_done);
	INIT_WORK(&racers[1].work, claim_and_release);
	run(test, racers, 4);
	KUNIT_EXPECT_FALSE(test, xa_empty(&race->states));
	xa_destroy(&race->states);
	KUNIT_EXPECT_GT(test, atomic_read(&race->won), 0);
	expect_clean(test, race);
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE(one_owner_at_a_time),
	KUNIT_CASE(no_driver_while_claimed),
	KUNIT_CASE(ends_once),
	KUNIT_CASE(snapshots_are_of_one_moment),
	{}
};

static struct kunit_suite race_suite = {
	.name = "iommu_owner_race",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);
