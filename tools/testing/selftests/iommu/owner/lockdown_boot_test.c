// SPDX-License-Identifier: GPL-2.0
/*
 * Switches that waive the isolation, given on the command line of a kernel that is
 * locked down from the start: the modules load all the same, without the effect.
 */
#define _GNU_SOURCE
#include "owner_test.h"

#define MODULES		"/sys/module"

FIXTURE(lockdown_boot) {
	struct pdev edu;
};

FIXTURE_SETUP(lockdown_boot)
{
	if (lockdown_level() < 0)
		SKIP(return, NO_LOCKDOWN);
	if (lockdown_level() == NONE)
		SKIP(return, "the kernel is not locked down");
	load_modules();
	if (!find_device("0x1234", "0x11e8", &self->edu))
		SKIP(return, "no edu device");
}

FIXTURE_TEARDOWN(lockdown_boot)
{
	driver_clear(&self->edu);
}

TEST_F(lockdown_boot, modules_load)
{
	static const char *const parameters[] = {
		"vfio/parameters/enable_unsafe_noiommu_mode",
		"vfio_iommu_type1/parameters/allow_unsafe_interrupts",
		"iommufd/parameters/allow_unsafe_interrupts",
	};
	char value[8];

	for (unsigned int i = 0; i < ARRAY_SIZE(parameters); i++) {
		ASSERT_EQ(0, get(value, sizeof(value), MODULES "/%s",
				 parameters[i]))
			TH_LOG("%s", parameters[i]);
		EXPECT_EQ('Y', value[0])
			TH_LOG("%s", parameters[i]);
		EXPECT_EQ(-EPERM, put("Y", MODULES "/%s", parameters[i]));
	}
}

TEST_F(lockdown_boot, no_group_without_an_iommu)
{
	ASSERT_EQ(-ENOENT, self->edu.group)
		TH_LOG("this machine has an IOMMU");
	EXPECT_EQ(-EINVAL, driver_bind(&self->edu, USER_DRIVER));
	EXPECT_EQ(-ENOENT, dev_group(self->edu.bdf));
}

TEST_HARNESS_MAIN
