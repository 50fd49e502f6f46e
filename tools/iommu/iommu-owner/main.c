// SPDX-License-Identifier: GPL-2.0-only
/* iommu-owner(8): who may do DMA with which device */
#include <argp.h>
#include <errno.h>
#include <pci/pci.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

const char *argp_program_version = "iommu-owner 1";

static const char main_doc[] =
	"Show which owner has the devices of each IOMMU group, and what blocks them.\n"
	"\vCommands:\n"
	"  list                   all groups and devices (the default)\n"
	"  show DEVICE            one group; DEVICE is an address or group:N\n"
	"  why DEVICE             what stops it from being assigned, and what helps\n"
	"  trust DEVICE [LEVEL]   how far its group is trusted with DMA, or change that:\n"
	"                         full, restricted, reserved or blocked\n"
	"  clear DEVICE           end the quarantine of its group\n"
	"\n"
	"Exit status: 0 done; 1 usage; 2 no such device or group; 3 refused, or blocked;\n"
	"4 this kernel does not report owners; 5 needs root; 6 any other error.";

enum { MAIN_NO_COLOUR = 256, MAIN_SYSFS };

static const struct argp_option main_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON, version 1, errors included", 0 },
	{ "no-color", MAIN_NO_COLOUR, NULL, 0, "No colours on a terminal", 0 },
	{ "sysfs", MAIN_SYSFS, "DIR", OPTION_HIDDEN, "Where sysfs is", 0 },
	{ 0 }
};

struct main_args {
	struct tool tool;
	const char *words[3];
	unsigned int count;
};

static error_t main_parse(int key, char *arg, struct argp_state *state)
{
	struct main_args *args = state->input;

	switch (key) {
	case 'j':
		args->tool.json = true;
		return 0;
	case MAIN_NO_COLOUR:
		args->tool.colour = false;
		return 0;
	case MAIN_SYSFS:
		args->tool.sysfs = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->count == 3)
			argp_error(state, "too many words");
		args->words[args->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void main_ignore(char *msg, ...)
{
	(void)msg;
}

/* For names only: the bus is not looked at, so pci_init() is not needed. */
static struct pci_access *main_open_names(void)
{
	struct pci_access *pci = pci_alloc();

	pci->warning = main_ignore;
	pci->debug = main_ignore;
	return pci;
}

static int main_explain(const struct tool *tool, const char *what, int err)
{
	switch (err) {
	case -EACCES:
	case -EROFS:
		return tool_error(tool, TOOL_DENIED, "%s: needs root", what);
	case -EINVAL:
		return tool_error(tool, TOOL_USAGE, "%s: no such level, or not in quarantine",
				  what);
	case -EBUSY:
	case -EPERM:
		return tool_error(tool, TOOL_REFUSED, "%s: refused: %s; the log names the reason",
				  what, strerror(-err));
	default:
		return tool_error(tool, TOOL_FAILED, "%s: %s", what, strerror(-err));
	}
}

static int main_write(const struct tool *tool, const char *what, const char *file,
		      const char *value)
{
	struct tool_group group;
	int ret;

	ret = tool_get(tool, what, &group);
	if (ret)
		return ret;
	if (!group.owned)
		ret = tool_error(tool, TOOL_KERNEL,
				 "this kernel does not report owners");
	else
		ret = tool_write(tool, &group, file, value);
	tool_free_group(&group);
	if (ret < 0)
		return main_explain(tool, what, ret);
	return ret ? ret : tool_show(tool, what);
}

static int main_run(const struct main_args *args)
{
	const struct tool *tool = &args->tool;
	const char *command = args->count ? args->words[0] : "list";

	if (!strcmp(command, "list") && args->count <= 1)
		return tool_list(tool);
	if (!strcmp(command, "show") && args->count == 2)
		return tool_show(tool, args->words[1]);
	if (!strcmp(command, "why") && args->count == 2)
		return tool_why(tool, args->words[1]);
	if (!strcmp(command, "trust") && args->count == 2)
		return tool_show(tool, args->words[1]);
	if (!strcmp(command, "trust") && args->count == 3)
		return main_write(tool, args->words[1], "trust", args->words[2]);
	if (!strcmp(command, "clear") && args->count == 2)
		return main_write(tool, args->words[1], "quarantine", "clear");
	return tool_error(tool, TOOL_USAGE,
			  "no such command, or not with so many words: see --help");
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = main_options,
		.parser = main_parse,
		.args_doc = "[COMMAND [DEVICE [WORD]]]",
		.doc = main_doc,
	};
	struct main_args args = {
		.tool = {
			.sysfs = "/sys",
			.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		},
	};
	int ret;

	argp_err_exit_status = TOOL_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	args.tool.pci = main_open_names();
	ret = main_run(&args);
	pci_cleanup(args.tool.pci);
	return ret;
}
