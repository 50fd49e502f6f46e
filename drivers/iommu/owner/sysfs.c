// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ownership of a group in sysfs, and its uevents
 *
 * A uevent costs more than a claim, and nothing may call back under the mutex of
 * the group: it is sent a jiffy later, with the state that the group has by then.
 * There is one pending uevent for each group; states that a group has had for a
 * moment only may never be sent.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "isolation.h"
#include "quarantine.h"
#include "report.h"
#include "sysfs.h"

/* Everybody can read a uevent: it says what has changed, not who owns it. */
static void sysfs_send_uevent(struct work_struct *work)
{
	struct iommu_ownership *own =
		container_of(to_delayed_work(work), struct iommu_ownership,
			     uevent);
	struct iommu_group *group =
		container_of(own, struct iommu_group, ownership);
	char state_var[32], generation_var[48];
	char *envp[3] = { state_var, generation_var, NULL };
	bool sent;

	mutex_lock(&group->mutex);
	snprintf(state_var, sizeof(state_var), "IOMMU_OWNER_STATE=%s",
		 iommu_owner_state_name(own->reported));
	snprintf(generation_var, sizeof(generation_var),
		 "IOMMU_OWNER_GENERATION=%llu", own->generation);
	/* Queued again before it had the mutex: nothing is new */
	sent = own->sent == own->generation;
	own->sent = own->generation;
	mutex_unlock(&group->mutex);
	if (!sent)
		kobject_uevent_env(&group->kobj, KOBJ_CHANGE, envp);
	iommu_group_put(group);
}

static void sysfs_init_group(struct iommu_group *group)
{
	INIT_DELAYED_WORK(&group->ownership.uevent, sysfs_send_uevent);
}

static void sysfs_report(struct iommu_group *group)
{
	lockdep_assert_held(&group->mutex);

	if (queue_delayed_work(system_unbound_wq, &group->ownership.uevent, 1))
		iommu_group_ref_get(group);
}

#if IS_ENABLED(CONFIG_KUNIT)
void iommu_owner_flush_uevent(struct iommu_group *group)
{
	flush_delayed_work(&group->ownership.uevent);
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_flush_uevent);
#endif

static const struct iommu_owner_concept sysfs_concept = {
	.init = sysfs_init_group,
	.report = sysfs_report,
};

static int __init sysfs_owner_init(void)
{
	iommu_owner_add_concept(&sysfs_concept);
	return 0;
}
core_initcall(sysfs_owner_init);

/* One snapshot, printed by @emit */
static ssize_t attr_show(struct iommu_group *group, char *buf,
			 ssize_t (*emit)(const struct iommu_owner_info *info,
					 char *buf))
{
	struct iommu_owner_info info;
	ssize_t ret;

	ret = iommu_owner_snapshot(group, &info);
	if (!ret)
		ret = emit(&info, buf);
	iommu_owner_snapshot_free(&info);
	return ret;
}

static ssize_t attr_emit_state(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%s\n", iommu_owner_state_name(info->state));
}

static ssize_t attr_emit_holder(const struct iommu_owner_info *info, char *buf)
{
	return sysfs_emit(buf, "%d %s %s\n", info->pid, info->name,
			  *info->comm ? info->comm : "-");
}

static ssize_t attr_emit_generation(const struct iommu_owner_info *info,
				    char *buf)
{
	return sysfs_emit(buf, "%llu\n", info->generation);
}

static ssize_t attr_emit_blockers(const struct iommu_owner_info *info, char *buf)
{
	ssize_t len = 0;

	for (unsigned int i = 0; i < info->nr_blockers; i++)
		len += sysfs_emit_at(buf, len, "%s %s\n",
				     dev_name(info->blockers[i].dev),
				     info->blockers[i].driver);
	return len;
}

#define OWNER_ATTR(_name, _mode)						\
static ssize_t attr_show_##_name(struct iommu_group *group, char *buf)	\
{									\
	return attr_show(group, buf, attr_emit_##_name);			\
}									\
static struct iommu_group_attribute owner_attr_##_name =		\
	__ATTR(_name, _mode, attr_show_##_name, NULL)

OWNER_ATTR(state, 0444);
OWNER_ATTR(holder, 0400);
OWNER_ATTR(generation, 0444);
OWNER_ATTR(blockers, 0444);

static ssize_t attr_emit_quarantine(const struct iommu_owner_info *info,
				    char *buf)
{
	return sysfs_emit(buf, "%s\n", info->quarantine ?: "");
}

static ssize_t attr_show_quarantine(struct iommu_group *group, char *buf)
{
	return attr_show(group, buf, attr_emit_quarantine);
}

static ssize_t attr_store_quarantine(struct iommu_group *group,
				     const char *buf, size_t count)
{
	int ret;

	if (!sysfs_streq(buf, "clear"))
		return -EINVAL;
	ret = iommu_owner_clear_quarantine(group);
	return ret ?: count;
}

static struct iommu_group_attribute owner_attr_quarantine =
	__ATTR(quarantine, 0644, attr_show_quarantine, attr_store_quarantine);

static ssize_t attr_show_isolation(struct iommu_group *group, char *buf)
{
	char held[IOMMU_OWNER_ISO_NAMES], missing[IOMMU_OWNER_ISO_NAMES];
	struct iommu_owner_isolation_report report;

	iommu_owner_isolation_of(group, &report);
	iommu_owner_isolation_names(report.held, held, sizeof(held));
	iommu_owner_isolation_names(report.missing, missing, sizeof(missing));
	return sysfs_emit(buf, "held:%s%s\nmissing:%s%s\n",
			  *held ? " " : "", held, *missing ? " " : "", missing);
}

static struct iommu_group_attribute owner_attr_isolation =
	__ATTR(isolation, 0444, attr_show_isolation, NULL);

static struct iommu_group_attribute owner_attr_pasids =
	__ATTR(pasids, 0400, iommu_owner_show_pasids, NULL);

static struct attribute *owner_attrs[] = {
	&owner_attr_state.attr,
	&owner_attr_holder.attr,
	&owner_attr_generation.attr,
	&owner_attr_blockers.attr,
	&owner_attr_quarantine.attr,
	&owner_attr_isolation.attr,
	&owner_attr_pasids.attr,
	NULL
};

const struct attribute_group iommu_owner_attr_group = {
	.name = "owner",
	.attrs = owner_attrs,
};
