// SPDX-License-Identifier: GPL-2.0-only
/* isolation: what keeps the devices of a group from memory that is not theirs */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct {
	const char *bit;
	const char *meaning;
	const char *help;
} isolation_bits[] = {
	{ "translated", "the IOMMU translates all DMA",
	  "write DMA to its \"type\", or boot without iommu=pt" },
	{ "no-direct", "the firmware has no memory mapped 1:1 for it",
	  "RMRR or IVMD of the firmware: try another slot, see the options of the firmware" },
	{ "isolated-msi", "it raises only its own interrupts",
	  "turn interrupt remapping on: in the firmware, and boot without intremap=off" },
	{ "acs", "the ports above it send its requests to the IOMMU, not to a neighbour",
	  "a port without ACS: try another slot" },
	{ "no-sibling", "no driver of the host uses a device of the group",
	  "unbind it: iommu-owner assign does" },
	{ "strict", "what is unmapped is out of reach at once",
	  "write DMA to its \"type\", or boot with iommu.strict=1" },
	{ "ats", "the IOMMU checks what the device says to be translated",
	  "boot with iommu_owner.trust_ats=1 if the device is trusted, or with pci=noats" },
	{ "snoop", "the IOMMU makes its DMA coherent with the caches", "-" },
	{ "no-foreign-pasid", "nobody else has attached a PASID of it",
	  "end what uses it through SVA, such as idxd" },
};

#define ISOLATION_BITS	(sizeof(isolation_bits) / sizeof(*isolation_bits))

/* A later kernel may have bits that this program does not know. */
const char *tool_isolation_meaning(const char *bit)
{
	for (size_t i = 0; i < ISOLATION_BITS; i++)
		if (!strcmp(isolation_bits[i].bit, bit))
			return isolation_bits[i].meaning;
	return "-";
}

const char *tool_isolation_help(const char *bit)
{
	for (size_t i = 0; i < ISOLATION_BITS; i++)
		if (!strcmp(isolation_bits[i].bit, bit))
			return isolation_bits[i].help;
	return "-";
}

static struct json_object *isolation_json(const char words[][TOOL_WORD], size_t count,
					  bool held)
{
	struct json_object *array = json_object_new_array(), *object;
	const char *help;

	for (size_t i = 0; i < count; i++) {
		object = json_object_new_object();
		tool_json_add(object, "property", words[i]);
		tool_json_add(object, "meaning", tool_isolation_meaning(words[i]));
		help = held ? "-" : tool_isolation_help(words[i]);
		tool_json_add(object, "help", strcmp(help, "-") ? help : "");
		json_object_array_add(array, object);
	}
	return array;
}

static void isolation_print(const struct tool_group *group)
{
	printf("group %d: %s\n", group->id, tool_isolation_word(group));
	for (size_t i = 0; i < group->nr_held; i++)
		printf("  + %-16s %s\n", group->held[i],
		       tool_isolation_meaning(group->held[i]));
	for (size_t i = 0; i < group->nr_missing; i++) {
		const char *help = tool_isolation_help(group->missing[i]);

		printf("  - %-16s %s\n", group->missing[i],
		       tool_isolation_meaning(group->missing[i]));
		if (strcmp(help, "-"))
			printf("    %-16s %s\n", "", help);
	}
}

int tool_isolation(const struct tool *tool, char **words, unsigned int count)
{
	struct json_object *object;
	struct tool_group group;
	int ret;

	(void)count;
	ret = tool_get_owned(tool, words[0], &group);
	if (ret)
		return ret;
	if (tool->json) {
		object = json_object_new_object();
		json_object_object_add(object, "group", json_object_new_int(group.id));
		tool_json_add(object, "isolation", tool_isolation_word(&group));
		json_object_object_add(object, "held",
				       isolation_json(group.held, group.nr_held, true));
		json_object_object_add(object, "missing",
				       isolation_json(group.missing, group.nr_missing,
						      false));
		tool_print_json(object);
	} else {
		isolation_print(&group);
	}
	tool_free_group(&group);
	return ret;
}
