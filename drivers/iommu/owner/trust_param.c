// SPDX-License-Identifier: GPL-2.0-only
/*
 * How far a device is trusted when it is found
 *
 * By iommu.trust= on the command line, a list of WHAT:LEVEL with commas between them:
 *
 *	WHAT	[DOMAIN:]BUS:DEVICE.FUNCTION, VENDOR:DEVICE, or "external" for what is
 *		behind a port that the firmware says leads out of the machine
 *	LEVEL	blocked, reserved, restricted or full
 *
 * An address is more exact than an ID, and that than "external". What no entry names
 * gets iommu_owner.trust, or "restricted" if it is external and that is "full".
 */
#define pr_fmt(fmt) "iommu.trust: " fmt

#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/string.h>

#include <asm/setup.h>

#include "trust.h"

static const char * const trust_names[] = {
	[IOMMU_OWNER_TRUST_FULL]	= "full",
	[IOMMU_OWNER_TRUST_RESTRICTED]	= "restricted",
	[IOMMU_OWNER_TRUST_RESERVED]	= "reserved",
	[IOMMU_OWNER_TRUST_BLOCKED]	= "blocked",
};

/* In the order of how exact they are */
enum param_kind { PARAM_NONE, PARAM_EXTERNAL, PARAM_ID, PARAM_ADDRESS };

/**
 * struct param_entry - One entry of the list
 * @kind: What the entry is about.
 * @domain: Of the address.
 * @bus: Of the address, or the vendor.
 * @device: Of the address, or of the ID.
 * @function: Of the address.
 * @trust: The level; blocked if it could not be read.
 * @bad: A part of the entry could not be read.
 */
struct param_entry {
	enum param_kind kind;
	unsigned int domain, bus, device, function;
	enum iommu_owner_trust trust;
	bool bad;
};

static char param_list[COMMAND_LINE_SIZE] __ro_after_init;

/* For what no entry names */
static enum iommu_owner_trust param_default;

/* Return the level, or -EINVAL. */
int iommu_owner_trust_parse(const char *name)
{
	return sysfs_match_string(trust_names, name);
}

const char *iommu_owner_trust_name(enum iommu_owner_trust trust)
{
	return trust_names[trust];
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_trust_name);

/* Are the numbers in their range? */
static bool param_is_valid(const struct param_entry *entry)
{
	switch (entry->kind) {
	case PARAM_ADDRESS:
		return entry->bus < 256 && entry->device < 32 &&
		       entry->function < 8;
	case PARAM_ID:
		return entry->bus <= U16_MAX && entry->device <= U16_MAX;
	default:
		return true;
	}
}

static bool param_parse_what(const char *what, struct param_entry *entry)
{
	int end = 0;

	entry->kind = PARAM_NONE;
	if (!strcmp(what, "external")) {
		entry->kind = PARAM_EXTERNAL;
		return true;
	}
	if (sscanf(what, "%x:%x:%x.%x%n", &entry->domain, &entry->bus,
		   &entry->device, &entry->function, &end) == 4) {
		entry->kind = PARAM_ADDRESS;
	} else {
		entry->domain = 0;
		if (sscanf(what, "%x:%x.%x%n", &entry->bus, &entry->device,
			   &entry->function, &end) == 3)
			entry->kind = PARAM_ADDRESS;
		else if (sscanf(what, "%x:%x%n", &entry->bus, &entry->device,
				&end) == 2)
			entry->kind = PARAM_ID;
	}
	if (what[end] || !param_is_valid(entry))
		entry->kind = PARAM_NONE;
	return entry->kind != PARAM_NONE;
}

/* @text, which is changed, without its comma. What a bad entry names is blocked. */
static void param_parse_entry(char *text, struct param_entry *entry)
{
	char *level = strrchr(text, ':');
	int trust = -EINVAL;

	memset(entry, 0, sizeof(*entry));
	entry->trust = IOMMU_OWNER_TRUST_BLOCKED;
	/* As a whole: the level is missing */
	entry->bad = param_parse_what(text, entry);
	if (entry->bad || !level) {
		entry->bad = true;
		return;
	}
	*level++ = '\0';
	trust = match_string(trust_names, ARRAY_SIZE(trust_names), level);
	if (!param_parse_what(text, entry) || trust < 0)
		entry->bad = true;
	else
		entry->trust = trust;
}

/* Cut the next entry out of @list, into @text. */
static const char *param_next(const char *list, char *text, size_t size)
{
	const char *end = strchrnul(list, ',');

	strscpy(text, list, min_t(size_t, size, end - list + 1));
	return *end ? end + 1 : end;
}

static bool param_matches(const struct param_entry *entry, struct device *dev)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	switch (entry->kind) {
	case PARAM_ADDRESS:
		return entry->domain == pci_domain_nr(pdev->bus) &&
		       entry->bus == pdev->bus->number &&
		       PCI_DEVFN(entry->device, entry->function) == pdev->devfn;
	case PARAM_ID:
		return entry->bus == pdev->vendor &&
		       entry->device == pdev->device;
	case PARAM_EXTERNAL:
		return pdev->untrusted;
	default:
		return false;
	}
}

/*
 * What @list says of @dev. Of two entries that are as exact as each other the one that
 * trusts less wins.
 */
VISIBLE_IF_KUNIT bool iommu_owner_trust_param(const char *list,
					      struct device *dev,
					      enum iommu_owner_trust *trust)
{
	enum param_kind best = PARAM_NONE;
	struct param_entry entry;
	char text[48];

	while (*list) {
		list = param_next(list, text, sizeof(text));
		param_parse_entry(text, &entry);
		if (entry.kind < best || !param_matches(&entry, dev))
			continue;
		if (entry.kind > best || entry.trust > *trust)
			*trust = entry.trust;
		best = entry.kind;
	}
	return best != PARAM_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(iommu_owner_trust_param);

/* @dev has been found. What a PF is not trusted with its VFs are not, either. */
enum iommu_owner_trust iommu_owner_trust_found(struct device *dev)
{
	enum iommu_owner_trust trust;
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return READ_ONCE(param_default);
	pdev = to_pci_dev(dev);
	trust = pdev->untrusted ? IOMMU_OWNER_TRUST_RESTRICTED :
				  IOMMU_OWNER_TRUST_FULL;
	/* A bridge passes on what others do; it is restricted only if it is external */
	if (pci_is_bridge(pdev))
		return trust;
	if (!iommu_owner_trust_param(param_list, dev, &trust))
		trust = max(trust, READ_ONCE(param_default));
	if (pdev->is_virtfn && pci_physfn(pdev)->dev.iommu)
		trust = max_t(enum iommu_owner_trust, trust,
			      pci_physfn(pdev)->dev.iommu->trust);
	return trust;
}

static int __init param_setup(char *list)
{
	size_t length = strlen(param_list);

	if (length)
		strlcat(param_list, ",", sizeof(param_list));
	strlcat(param_list, list ?: "", sizeof(param_list));
	return 0;
}
early_param("iommu.trust", param_setup);

/* Once, and not for each device */
static int __init param_check(void)
{
	const char *list = param_list;
	struct param_entry entry;
	char text[48], whole[48];

	while (*list) {
		list = param_next(list, text, sizeof(text));
		strscpy(whole, text);
		param_parse_entry(text, &entry);
		if (!entry.bad)
			continue;
		pr_err("\"%s\" is not WHAT:LEVEL: %s\n", whole,
		       entry.kind ? "what it names is blocked" : "ignored");
	}
	return 0;
}
core_initcall(param_check);

static int param_set_default(const char *val, const struct kernel_param *kp)
{
	int trust = iommu_owner_trust_parse(val);

	if (trust < 0)
		return trust;
	WRITE_ONCE(param_default, trust);
	return 0;
}

static int param_get_default(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  iommu_owner_trust_name(READ_ONCE(param_default)));
}

static const struct kernel_param_ops param_default_ops = {
	.set = param_set_default,
	.get = param_get_default,
};
module_param_cb(trust, &param_default_ops, NULL, 0644);
MODULE_PARM_DESC(trust,
		 "How far devices are trusted that are found from now on: full, restricted, reserved or blocked");
