// SPDX-License-Identifier: GPL-2.0-only
/* graph: ports, bridges, groups, devices and owners, for Graphviz */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

/*
 * For paper: what is not as it is usually is drawn with another line, not only with
 * another colour.
 */
static const struct {
	const char *state;
	const char *look;
} graph_looks[] = {
	{ "user", "style=\"filled,bold\" color=\"#0b5394\" fillcolor=\"#dbe9f6\"" },
	{ "reserved", "style=\"filled,dashed\" color=\"#0b5394\" fillcolor=\"#eef4fa\"" },
	{ "private", "style=\"filled,bold\" color=\"#38761d\" fillcolor=\"#e5f1df\"" },
	{ "ending", "style=\"filled,dotted\" color=\"#990000\" fillcolor=\"#fbe9e7\"" },
	{ "quarantine", "style=\"filled,bold\" color=\"#990000\" fillcolor=\"#f4cccc\"" },
	{ "blocked", "style=\"filled,dashed\" color=\"#7f6000\" fillcolor=\"#fff2cc\"" },
};

static const char *graph_look(const char *state)
{
	for (size_t i = 0; i < sizeof(graph_looks) / sizeof(*graph_looks); i++)
		if (!strcmp(graph_looks[i].state, state))
			return graph_looks[i].look;
	return "style=filled color=\"#888888\" fillcolor=\"#f7f7f7\"";
}

/* In quotes, as Graphviz wants it */
static void graph_string(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

/* A long name goes on in the next line, at a space. */
static void graph_label(FILE *out, const char *text)
{
	char copy[160], *line = copy, *cut;

	snprintf(copy, sizeof(copy), "%s", text);
	while (strlen(line) > 28) {
		for (cut = line + 28; cut > line && *cut != ' '; cut--)
			;
		if (cut == line)
			break;
		*cut = '\0';
		fputs("\\n", out);
		graph_string(out, line);
		line = cut + 1;
	}
	if (line[0]) {
		fputs("\\n", out);
		graph_string(out, line);
	}
}

static void graph_device(FILE *out, const struct tool_device *device)
{
	fputs("\t\t\"", out);
	graph_string(out, device->name);
	fputs("\" [label=\"", out);
	graph_string(out, device->name);
	fputs("\\n", out);
	graph_string(out, device->driver[0] ? device->driver : "no driver");
	graph_label(out, device->label);
	fprintf(out, "\"%s];\n", device->bridge ? " shape=box style=rounded" : "");
}

static void graph_group(FILE *out, const struct tool_group *group)
{
	char owner[2 * TOOL_WORD + 32];

	fprintf(out, "\tsubgraph cluster_%d {\n\t\t%s;\n\t\tlabel=\"group %d", group->id,
		graph_look(group->state), group->id);
	if (group->owned)
		fprintf(out, ": %s", group->state);
	if (group->holder && strcmp(group->owner, "kernel")) {
		tool_owner_text(group, owner, sizeof(owner));
		fputs("\\n", out);
		graph_string(out, owner);
	}
	if (group->trust[0] && strcmp(group->trust, "full")) {
		fputs("\\ntrust: ", out);
		graph_string(out, group->trust);
	}
	fputs("\";\n", out);
	for (size_t i = 0; i < group->nr_devices; i++)
		graph_device(out, &group->devices[i]);
	fputs("\t}\n", out);
}

static bool graph_has(const struct tool_groups *groups, const char *name)
{
	for (size_t i = 0; i < groups->count; i++)
		for (size_t j = 0; j < groups->groups[i].nr_devices; j++)
			if (!strcmp(groups->groups[i].devices[j].name, name))
				return true;
	return false;
}

static void graph_edges(FILE *out, const struct tool_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++) {
		for (size_t j = 0; j < groups->groups[i].nr_devices; j++) {
			const struct tool_device *device = &groups->groups[i].devices[j];

			if (!device->parent[0] || !graph_has(groups, device->parent))
				continue;
			fputs("\t\"", out);
			graph_string(out, device->parent);
			fputs("\" -> \"", out);
			graph_string(out, device->name);
			fputs("\";\n", out);
		}
	}
}

static void graph_print(FILE *out, const struct tool_groups *groups)
{
	fputs("digraph \"IOMMU groups\" {\n"
	      "\trankdir=LR;\n"
	      "\tfontname=\"Helvetica\"; fontsize=11; labeljust=l;\n"
	      "\tnode [shape=box fontname=\"Helvetica\" fontsize=10 style=filled fillcolor=white];\n"
	      "\tedge [arrowhead=none color=\"#666666\"];\n", out);
	for (size_t i = 0; i < groups->count; i++)
		graph_group(out, &groups->groups[i]);
	graph_edges(out, groups);
	fputs("}\n", out);
}

/* Through dot, which writes to where this program would */
static int graph_draw(const struct tool *tool, const struct tool_groups *groups)
{
	char option[64];
	int ends[2], status;
	pid_t pid;
	FILE *out;

	snprintf(option, sizeof(option), "-T%s", tool->format);
	if (pipe(ends))
		return tool_errno(tool, "dot", -errno);
	pid = fork();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("dot", "dot", option, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	out = pid < 0 ? NULL : fdopen(ends[1], "w");
	if (!out) {
		close(ends[1]);
		return tool_errno(tool, "dot", -errno);
	}
	graph_print(out, groups);
	fclose(out);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return tool_error(tool, TOOL_FAILED, "dot has not come to its end");
	if (WEXITSTATUS(status) == 127)
		return tool_error(tool, TOOL_FAILED, "dot is missing: install Graphviz");
	return WEXITSTATUS(status) ?
	       tool_error(tool, TOOL_FAILED, "dot cannot draw that as %s", tool->format) :
	       TOOL_OK;
}

int tool_graph(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_groups groups;
	int ret;

	(void)words;
	(void)count;
	ret = tool_read_groups(tool, &groups);
	if (ret)
		return tool_error(tool, TOOL_FAILED, "the groups cannot be read: %s",
				  strerror(-ret));
	if (tool->json)
		tool_print_json(tool_json_groups(tool, &groups));
	else if (tool->format)
		ret = graph_draw(tool, &groups);
	else
		graph_print(stdout, &groups);
	tool_free_groups(&groups);
	return ret;
}
