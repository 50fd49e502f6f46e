// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions to allocate and free a PASID of the kernel, on stock and with owners:
 * with none allocated before, and with 1000. Prints as bench.c does.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sort.h>
#include <linux/timex.h>

#define RUNS	101
#define MANY	1000

static struct dev_iommu iommu = { .max_pasids = 1 << 20 };
static struct device dev = { .iommu = &iommu };
static ioasid_t many[MANY];
static u64 taken[RUNS], freed[RUNS];

static int bench_compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void bench_report(const char *name, const char *suffix, u64 *s)
{
	sort(s, RUNS, sizeof(*s), bench_compare, NULL);
	pr_err("bench %s%s %llu %llu %llu\n", name, suffix, s[RUNS / 2], s[0],
	       s[RUNS - 1]);
}

static int bench_pasids(const char *suffix)
{
	for (unsigned int i = 0; i < RUNS; i++) {
		u64 t = get_cycles();
		ioasid_t pasid = iommu_alloc_global_pasid(&dev);

		taken[i] = get_cycles() - t;
		if (pasid == IOMMU_PASID_INVALID)
			return -ENOSPC;
		t = get_cycles();
		iommu_free_global_pasid(pasid);
		freed[i] = get_cycles() - t;
	}
	bench_report("pasid-alloc", suffix, taken);
	bench_report("pasid-free", suffix, freed);
	return 0;
}

static int __init bench_init(void)
{
	int ret = bench_pasids("");

	for (unsigned int i = 0; i < MANY; i++)
		many[i] = iommu_alloc_global_pasid(&dev);
	if (!ret)
		ret = bench_pasids("-1000");
	for (unsigned int i = 0; i < MANY; i++)
		if (many[i] != IOMMU_PASID_INVALID)
			iommu_free_global_pasid(many[i]);
	/* Nothing is left to do */
	return ret ?: -EAGAIN;
}
module_init(bench_init);

MODULE_DESCRIPTION("Instructions per PASID");
MODULE_LICENSE("GPL");
