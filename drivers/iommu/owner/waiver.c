// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters with which the administrator waives a part of the isolation:
 * VFIO without an IOMMU, devices whose interrupts nobody keeps apart.
 *
 * Lockdown does not trust the administrator. To switch a waiver on is refused
 * then, and one that was on before has no effect. What the command line of the
 * kernel or of modprobe says is accepted, without effect: a module that does not
 * load because of it would take VFIO of isolated devices away as well.
 */
#include <linux/iommu-owner.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/security.h>

static bool waiver_at_load(const struct kernel_param *kp)
{
#ifdef CONFIG_MODULES
	if (kp->mod)
		return kp->mod->state != MODULE_STATE_LIVE;
#endif
	return system_state < SYSTEM_RUNNING;
}

static int waiver_locked_down(const struct kernel_param *kp)
{
	return waiver_at_load(kp) ? 0 : security_locked_down(LOCKDOWN_USER_DMA);
}

static int waiver_parse(const char *val, const struct kernel_param *kp,
			bool *on)
{
	struct kernel_param parsed = *kp;

	parsed.arg = on;
	return param_set_bool(val, &parsed);
}

static int waiver_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret;

	ret = waiver_parse(val, kp, &on);
	if (!ret && on)
		ret = waiver_locked_down(kp);
	if (!ret)
		WRITE_ONCE(*(bool *)kp->arg, on);
	return ret;
}

/*
 * For module_param_cb() of a bool that does without the IOMMU: to switch it on is
 * -EPERM under lockdown.
 */
const struct kernel_param_ops iommu_owner_waiver_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = waiver_set,
	.get = param_get_bool,
};
EXPORT_SYMBOL_GPL(iommu_owner_waiver_ops);

static int waiver_msi_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret;

	ret = waiver_parse(val, kp, &on);
	if (!ret && on)
		ret = waiver_locked_down(kp);
	if (ret)
		return ret;
	return iommu_owner_set_unsafe_interrupts(kp->arg, on, kp->name);
}

/* The same for a bool that does without isolated interrupts */
const struct kernel_param_ops iommu_owner_msi_waiver_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = waiver_msi_set,
	.get = param_get_bool,
};
EXPORT_SYMBOL_GPL(iommu_owner_msi_waiver_ops);

/**
 * iommu_owner_waived - May a part of the isolation be missing?
 * @waiver: The parameter with which the administrator waives it.
 *
 * Call it when the part is known to be missing: under lockdown the refusal is
 * logged.
 *
 * Context: Any context.
 * Return: true if @waiver is on and the kernel is not locked down.
 */
bool iommu_owner_waived(const bool *waiver)
{
	return READ_ONCE(*waiver) && !security_locked_down(LOCKDOWN_USER_DMA);
}
EXPORT_SYMBOL_GPL(iommu_owner_waived);
