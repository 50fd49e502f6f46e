// SPDX-License-Identifier: GPL-2.0-only
/* iommu-owner(8): who may do DMA with which device */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <pci/pci.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define MAIN_WORDS	256

const char *argp_program_version = "iommu-owner 1";

static const char main_doc[] =
	"Show which owner has the devices of each IOMMU group, and what blocks them; "
	"assign them to virtual machines.\n"
	"\vDEVICE is an address or group:N. Commands:\n"
	"  list                  all groups and devices (the default)\n"
	"  show DEVICE           one group\n"
	"  why DEVICE            what stops it from being assigned, and what helps\n"
	"  isolation DEVICE      what isolates it, and what is missing\n"
	"  graph                 the groups as a graph for Graphviz\n"
	"  watch [DEVICE...]     what happens to the groups, until interrupted\n"
	"  assign DEVICE...      bind all devices of their groups to vfio-pci\n"
	"  restore DEVICE...     bind what was bound before\n"
	"  reserve DEVICE... -- COMMAND\n"
	"                        run a command that has the groups, and keep them\n"
	"                        when it crashes\n"
	"  revoke DEVICE         take its group from its owner, and all others that\n"
	"                        this has\n"
	"  trust DEVICE [LEVEL]  how far its group is trusted with DMA, or change it:\n"
	"                        full, restricted, reserved or blocked\n"
	"  clear DEVICE          end the quarantine of its group\n"
	"\n"
	"Exit status: 0 done; 1 usage; 2 no such device or group; 3 refused, or\n"
	"blocked; 4 this kernel does not report owners; 5 needs root; 6 any other\n"
	"error.";

enum {
	MAIN_NO_COLOUR = 256, MAIN_VERSION, MAIN_TREE, MAIN_PASIDS, MAIN_PERSIST,
	MAIN_RESTART, MAIN_NAME, MAIN_ROOT,
};

static const struct argp_option main_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON, errors included", 0 },
	{ "output-format-version", MAIN_VERSION, "N", 0,
	  "Fail if the JSON is not of version N; this is 1", 0 },
	{ "no-color", MAIN_NO_COLOUR, NULL, 0, "No colours on a terminal", 0 },
	{ "tree", MAIN_TREE, NULL, 0, "list: bridges, and what is behind them", 1 },
	{ "pasids", MAIN_PASIDS, NULL, 0, "list, show: PASIDs as well", 1 },
	{ "force", 'f', NULL, 0, "assign: also a device that is in use", 1 },
	{ "persist", MAIN_PERSIST, NULL, 0,
	  "assign, restore: also from the next boot on, as driverctl does", 1 },
	{ "restart", MAIN_RESTART, "N", 0,
	  "reserve: start the command again after up to N crashes", 1 },
	{ "name", MAIN_NAME, "NAME", 0, "reserve: name of the owner", 1 },
	{ NULL, 'T', "FORMAT", 0, "graph: draw it with dot, as svg, png, ...", 1 },
	{ "root", MAIN_ROOT, "DIR", OPTION_HIDDEN, "What stands before /sys", 0 },
	{ 0 }
};

static const struct main_command {
	const char *name;
	unsigned int min;
	unsigned int max;
	int (*run)(const struct tool *tool, char **words, unsigned int count);
} main_commands[] = {
	{ "list",	0, 0, tool_list },
	{ "show",	1, 1, tool_show },
	{ "why",	1, 1, tool_why },
	{ "isolation",	1, 1, tool_isolation },
	{ "graph",	0, 0, tool_graph },
	{ "watch",	0, MAIN_WORDS, tool_watch },
	{ "assign",	1, MAIN_WORDS, tool_assign },
	{ "restore",	1, MAIN_WORDS, tool_restore },
	{ "reserve",	1, MAIN_WORDS, tool_reserve },
	{ "revoke",	1, 1, tool_revoke },
	{ "trust",	1, 2, tool_trust },
	{ "clear",	1, 1, tool_clear },
};

struct main_args {
	struct tool tool;
	char *words[MAIN_WORDS];
	unsigned int count;
	char sysfs[PATH_MAX];
};

static unsigned long main_number(const char *arg, const char *what,
				 struct argp_state *state)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(arg, &end, 10);
	if (errno || *end || end == arg || arg[0] == '-' || value > INT_MAX)
		argp_error(state, "%s is no %s", arg, what);
	return value;
}

static error_t main_parse(int key, char *arg, struct argp_state *state)
{
	struct main_args *args = state->input;
	struct tool *tool = &args->tool;

	switch (key) {
	case 'j':
		tool->json = true;
		return 0;
	case 'f':
		tool->force = true;
		return 0;
	case 'T':
		tool->format = arg;
		return 0;
	case MAIN_VERSION:
		if (main_number(arg, "version", state) != TOOL_JSON_VERSION)
			argp_error(state, "the version is %d", TOOL_JSON_VERSION);
		return 0;
	case MAIN_NO_COLOUR:
		tool->colour = false;
		return 0;
	case MAIN_TREE:
		tool->tree = true;
		return 0;
	case MAIN_PASIDS:
		tool->pasids = true;
		return 0;
	case MAIN_PERSIST:
		tool->persist = true;
		return 0;
	case MAIN_RESTART:
		tool->restart = main_number(arg, "number", state);
		return 0;
	case MAIN_NAME:
		tool->name = arg;
		return 0;
	case MAIN_ROOT:
		tool->root = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->count == MAIN_WORDS)
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

static int main_run(struct main_args *args)
{
	const struct tool *tool = &args->tool;
	const char *name = args->count ? args->words[0] : "list";
	unsigned int count = args->count ? args->count - 1 : 0;
	bool runs;

	for (size_t i = 0; i < sizeof(main_commands) / sizeof(*main_commands); i++) {
		const struct main_command *command = &main_commands[i];

		if (strcmp(command->name, name))
			continue;
		if (count < command->min || count > command->max)
			break;
		/* Only reserve runs something */
		runs = command->run == tool_reserve;
		if (runs != !!tool->command)
			break;
		return command->run(tool, args->words + 1, count);
	}
	return tool_error(tool, TOOL_USAGE,
			  "no such command, or not with so many words: see --help");
}

/* What stands after "--" is not for argp, and ends the words before it. */
static char **main_split(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--"))
			continue;
		argv[i] = NULL;
		*argc = i;
		return argv[i + 1] ? argv + i + 1 : NULL;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = main_options,
		.parser = main_parse,
		.args_doc = "[COMMAND [DEVICE...] [WORD]]",
		.doc = main_doc,
	};
	struct main_args args = {
		.tool = {
			.root = "",
			.name = "iommu-owner",
			.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		},
	};
	int ret;

	/* What a caller ignores is not what this program counts on. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	argp_err_exit_status = TOOL_USAGE;
	args.tool.command = main_split(&argc, argv);
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	snprintf(args.sysfs, sizeof(args.sysfs), "%s/sys", args.tool.root);
	args.tool.sysfs = args.sysfs;
	args.tool.pci = main_open_names();
	ret = main_run(&args);
	pci_cleanup(args.tool.pci);
	if (fflush(stdout) && !ret)
		ret = TOOL_FAILED;
	return ret;
}
