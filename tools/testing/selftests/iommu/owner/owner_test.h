/* SPDX-License-Identifier: GPL-2.0 */
/* Fixture parts that the test programs share; include it in each of them once */
#ifndef __IOMMU_OWNER_TEST_H
#define __IOMMU_OWNER_TEST_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "owner_lib.h"

/* The machine is emulated more often than not, and some waits are the kernel's */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 180

#endif /* __IOMMU_OWNER_TEST_H */
