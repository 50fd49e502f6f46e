// SPDX-License-Identifier: GPL-2.0-only
/* reserve: run a command that has groups, and keep them when it crashes */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#include "tool.h"

#define RESERVE_RIGHTS	(IOMMU_OWNER_RIGHT_INSPECT | IOMMU_OWNER_RIGHT_ASSOCIATE | \
			 IOMMU_OWNER_RIGHT_CLAIM | IOMMU_OWNER_RIGHT_RESERVE | \
			 IOMMU_OWNER_RIGHT_TAKE | IOMMU_OWNER_RIGHT_REVOKE | \
			 IOMMU_OWNER_RIGHT_GRANT | IOMMU_OWNER_RIGHT_PASID)
/* What a virtual machine monitor needs, and no more */
#define RESERVE_CHILD	(IOMMU_OWNER_RIGHT_INSPECT | IOMMU_OWNER_RIGHT_ASSOCIATE | \
			 IOMMU_OWNER_RIGHT_CLAIM | IOMMU_OWNER_RIGHT_PASID)
#define RESERVE_FILES	64

/**
 * struct reserve - One run of the command
 * @tool: The command line.
 * @token: What the command gets.
 * @words: The command, with numbers in place of "{fd:ADDRESS}".
 * @files: The files that are meant.
 * @nr_files: Their number.
 */
struct reserve {
	const struct tool *tool;
	int token;
	char **words;
	int files[RESERVE_FILES];
	size_t nr_files;
};

static int reserve_explain(const struct tool *tool, struct tool_group *group, int token,
			   int err)
{
	struct tool_why why;
	char what[32];

	if (!tool_token_check(token, group) && group->nr_blockers)
		return tool_error(tool, TOOL_REFUSED, "group %d: %s is bound to %s",
				  group->id, group->blockers[0].device,
				  group->blockers[0].driver);
	if (tool_why_state(group, &why, 1))
		return tool_error(tool, TOOL_REFUSED, "%s", why.text);
	snprintf(what, sizeof(what), "group %d", group->id);
	return tool_errno(tool, what, err);
}

/* A token for the groups, in @token; else an error that is printed */
static int reserve_groups(const struct tool *tool, const struct tool_groups *groups,
			  int *token)
{
	int ret, id;

	*token = tool_token_create(tool, tool->name, RESERVE_RIGHTS);
	if (*token == -ENOENT)
		return tool_no_owners(tool);
	if (*token == -EINVAL)
		return tool_error(tool, TOOL_USAGE, "%s is no name of an owner", tool->name);
	if (*token < 0)
		return tool_errno(tool, "/dev/iommu-owner", *token);
	ret = tool_token_reserve(*token, groups, &id);
	if (!ret)
		return TOOL_OK;
	for (size_t i = 0; i < groups->count; i++)
		if (groups->groups[i].id == id)
			return reserve_explain(tool, &groups->groups[i], *token, ret);
	return tool_errno(tool, "reserve", ret);
}

/* The file of a device in /dev/vfio/devices, which claims with the token */
static int reserve_open(const struct tool *tool, const char *device, int token)
{
	char path[PATH_MAX], name[TOOL_WORD];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/vfio-dev", tool->sysfs, device);
	tool_first_entry(path, name, sizeof(name));
	if (!name[0])
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/%s", tool->root, name);
	/* Not closed on exec: it is for the command */
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	ret = tool_token_use(token, fd);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* One word of the command: "{fd:ADDRESS}" becomes the number of a file, wherever it is. */
static int reserve_word(struct reserve *run, const char *from, char **to)
{
	char *text, *end, device[TOOL_WORD], *word = strdup(from);
	int fd;

	while (word && (text = strstr(word, "{fd:")) && (end = strchr(text, '}'))) {
		snprintf(device, sizeof(device), "%.*s", (int)(end - text - 4), text + 4);
		if (run->nr_files == RESERVE_FILES)
			return tool_error(run->tool, TOOL_USAGE, "too many {fd:...}");
		fd = reserve_open(run->tool, device, run->token);
		if (fd == -ENOENT)
			return tool_error(run->tool, TOOL_MISSING,
					  "%s: not bound to vfio-pci, or no device file",
					  device);
		if (fd < 0)
			return tool_errno(run->tool, device, fd);
		run->files[run->nr_files++] = fd;
		*text = '\0';
		if (asprintf(to, "%s%d%s", word, fd, end + 1) < 0)
			*to = NULL;
		free(word);
		word = *to;
	}
	*to = word;
	return word ? TOOL_OK : tool_errno(run->tool, from, -ENOMEM);
}

static int reserve_words(struct reserve *run)
{
	size_t count = 0;
	int ret = TOOL_OK;

	while (run->tool->command[count])
		count++;
	run->words = calloc(count + 1, sizeof(*run->words));
	if (!run->words)
		return tool_errno(run->tool, "reserve", -ENOMEM);
	for (size_t i = 0; i < count && !ret; i++)
		ret = reserve_word(run, run->tool->command[i], &run->words[i]);
	return ret;
}

static void reserve_free(struct reserve *run)
{
	for (size_t i = 0; run->words && run->words[i]; i++)
		free(run->words[i]);
	free(run->words);
	for (size_t i = 0; i < run->nr_files; i++)
		close(run->files[i]);
	close(run->token);
}

static void reserve_exec(const struct reserve *run, const sigset_t *mask)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", run->token);
	setenv("IOMMU_OWNER_TOKEN_FD", number, 1);
	fcntl(run->token, F_SETFD, 0);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(run->words[0], run->words);
	fprintf(stderr, "iommu-owner: %s: %s\n", run->words[0], strerror(errno));
	_exit(127);
}

/*
 * What is for this process is for the command, which gets what comes from a terminal anyway.
 * Returns how that has ended; in @told, whether it was told to.
 */
static int reserve_wait(pid_t pid, const sigset_t *set, bool *told)
{
	siginfo_t info;
	int status, sig;
	pid_t ret;

	for (;;) {
		ret = waitpid(pid, &status, WNOHANG);
		if (ret == pid)
			return status;
		if (ret < 0 && errno != EINTR)
			return 0;
		sig = sigwaitinfo(set, &info);
		if (sig <= 0 || sig == SIGCHLD)
			continue;
		*told = true;
		if (info.si_code != SI_KERNEL)
			kill(pid, sig);
	}
}

/* Run the command once: how it has ended in @status, or an error that is printed */
static int reserve_once(const struct tool *tool, int token, int *status, bool *told,
			const sigset_t *set, const sigset_t *mask)
{
	struct reserve run = { .tool = tool };
	pid_t pid;
	int ret;

	run.token = tool_token_dup(token, RESERVE_CHILD);
	if (run.token < 0)
		return tool_errno(tool, "token", run.token);
	ret = reserve_words(&run);
	if (ret) {
		reserve_free(&run);
		return ret;
	}
	fflush(NULL);
	pid = fork();
	if (!pid)
		reserve_exec(&run, mask);
	ret = pid < 0 ? tool_errno(tool, "fork", -errno) : TOOL_OK;
	/* The command has its own, and only those */
	reserve_free(&run);
	if (!ret)
		*status = reserve_wait(pid, set, told);
	return ret;
}

static bool reserve_crashed(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : SIGTERM;

	return sig != SIGTERM && sig != SIGINT && sig != SIGHUP && sig != SIGQUIT;
}

static int reserve_run(const struct tool *tool, int token)
{
	unsigned int left = tool->restart;
	sigset_t set, mask;
	bool told = false;
	int status = 0, ret;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &mask);
	for (;;) {
		ret = reserve_once(tool, token, &status, &told, &set, &mask);
		if (ret || told || !reserve_crashed(status))
			break;
		fprintf(stderr, "iommu-owner: %s: %s\n", tool->command[0],
			strsignal(WTERMSIG(status)));
		if (!left--)
			break;
		fprintf(stderr, "iommu-owner: its groups stay reserved, it is started again\n");
	}
	if (ret)
		return ret;
	/* As a shell does */
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int tool_reserve(const struct tool *tool, char **words, unsigned int count)
{
	struct tool_groups groups;
	int token = -1, ret;

	ret = tool_get_groups(tool, words, count, &groups);
	if (ret)
		return ret;
	if (!groups.groups[0].owned)
		ret = tool_no_owners(tool);
	else
		ret = reserve_groups(tool, &groups, &token);
	if (!ret)
		ret = reserve_run(tool, token);
	if (token >= 0)
		close(token);
	tool_free_groups(&groups);
	return ret;
}
