// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: from a file to its owner
 */
#include <linux/fs.h>

#include "mock.h"

static const struct file_operations group_fops = {};
static const struct file_operations device_fops = {};
static const struct file_operations other_fops = {};

static struct iommu_owner *the_owner;

static struct iommu_owner *group_owner(struct file *file, u32 *rights)
{
	*rights = IOMMU_OWNER_RIGHT_CLAIM;
	return iommu_owner_get(the_owner);
}

static struct iommu_owner *device_owner(struct file *file, u32 *rights)
{
	return ERR_PTR(-ENODEV);
}

/* A file that is only looked at */
static struct file *file_of(struct kunit *test,
			    const struct file_operations *fops)
{
	struct file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, file);
	file->f_op = fops;
	return file;
}

static void unregister_action(void *provider)
{
	iommu_owner_unregister_provider(provider);
}

static void files_have_providers(struct kunit *test)
{
	struct iommu_owner_provider group = {
		.fops = &group_fops, .owner = group_owner,
	};
	struct iommu_owner_provider device = {
		.fops = &device_fops, .owner = device_owner,
	};
	struct file *file = file_of(test, &group_fops);
	struct file *second = file_of(test, &device_fops);
	struct file *other = file_of(test, &other_fops);

	KUNIT_EXPECT_NULL(test, iommu_owner_provider(file));
	iommu_owner_register_provider(&group);
	iommu_owner_register_provider(&device);
	KUNIT_EXPECT_PTR_EQ(test, &group, iommu_owner_provider(file));
	KUNIT_EXPECT_PTR_EQ(test, &device, iommu_owner_provider(second));
	KUNIT_EXPECT_NULL(test, iommu_owner_provider(other));

	iommu_owner_unregister_provider(&group);
	KUNIT_EXPECT_NULL(test, iommu_owner_provider(file));
	KUNIT_EXPECT_PTR_EQ(test, &device, iommu_owner_provider(second));
	iommu_owner_unregister_provider(&device);
	KUNIT_EXPECT_NULL(test, iommu_owner_provider(second));
}

static void files_stand_for_owners(struct kunit *test)
{
	static struct iommu_owner_provider group = {
		.fops = &group_fops, .owner = group_owner,
	};
	static struct iommu_owner_provider device = {
		.fops = &device_fops, .owner = device_owner,
	};
	struct mock_owner *a = mock_owner(test, "a");
	struct iommu_owner *owner;
	u32 rights = 0;

	the_owner = a->owner;
	iommu_owner_register_provider(&group);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, unregister_action,
						  &group));
	iommu_owner_register_provider(&device);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, unregister_action,
						  &device));

	owner = iommu_owner_from_file(file_of(test, &group_fops), &rights);
	KUNIT_ASSERT_PTR_EQ(test, a->owner, owner);
	KUNIT_EXPECT_EQ(test, IOMMU_OWNER_RIGHT_CLAIM, rights);
	mock_owner_put(a);
	KUNIT_EXPECT_FALSE(test, mock_released(a));
	iommu_owner_put(owner);
	KUNIT_EXPECT_TRUE(test, mock_released(a));

	owner = iommu_owner_from_file(file_of(test, &device_fops), &rights);
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR_OR_ZERO(owner));
	owner = iommu_owner_from_file(file_of(test, &other_fops), &rights);
	KUNIT_EXPECT_EQ(test, -EBADFD, PTR_ERR_OR_ZERO(owner));
}

static struct kunit_case provider_cases[] = {
	KUNIT_CASE(files_have_providers),
	KUNIT_CASE(files_stand_for_owners),
	{}
};

static struct kunit_suite provider_suite = {
	.name = "iommu_owner_provider",
	.suite_init = mock_suite_init,
	.suite_exit = mock_suite_exit,
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = provider_cases,
};

kunit_test_suite(provider_suite);
