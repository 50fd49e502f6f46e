// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of a guest of dev/boot that has another architecture than the host: no
 * file system of the host, no shell. Runs the programs that are its arguments, which
 * the kernel takes from after "--" on its command line, with the environment that is
 * also there. Prints what run_kselftest.sh prints, and powers off.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS	"/tests"
#define COLLECTION	"iommu/owner"
#define PORTS		"/dev/virtio-ports"
#define OUTPUT		PORTS "/owner.out"
#define STATUS		PORTS "/owner.status"
#define KSFT_SKIP	4

static const struct {
	const char *type;
	const char *dir;
} mounts[] = {
	{ "proc", "/proc" },
	{ "sysfs", "/sys" },
	{ "devtmpfs", "/dev" },
	{ "tmpfs", "/tmp" },
	{ "debugfs", "/sys/kernel/debug" },
	{ "tracefs", "/sys/kernel/tracing" },
	{ "securityfs", "/sys/kernel/security" },
};

/* The names that udev gives to the ports of virtio-serial */
static void name_ports(void)
{
	char path[512], name[128], node[512];
	struct dirent *entry;
	FILE *file;
	DIR *dir;

	mkdir(PORTS, 0755);
	dir = opendir("/sys/class/virtio-ports");
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%127s", name) == 1) {
			snprintf(path, sizeof(path), PORTS "/%s", name);
			snprintf(node, sizeof(node), "../%s", entry->d_name);
			if (symlink(node, path))
				perror(path);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
}

/* Each line of the program is a comment of what the runner prints */
static int run(const char *program)
{
	char path[512], *line = NULL;
	size_t size = 0;
	int pipes[2], status;
	FILE *from;
	pid_t pid;

	snprintf(path, sizeof(path), PROGRAMS "/%s", program);
	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execl(path, program, NULL);
		printf("%s: %s\n", path, strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	close(pipes[1]);
	from = fdopen(pipes[0], "r");
	while (from && getline(&line, &size, from) > 0) {
		printf("# %s", line);
		fflush(stdout);
	}
	free(line);
	if (from)
		fclose(from);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end(int status)
{
	FILE *file = fopen(STATUS, "w");

	if (file) {
		fprintf(file, "%d\n", status);
		fclose(file);
	} else {
		perror(STATUS);
	}
	sync();
	reboot(RB_POWER_OFF);
	pause();
}

int main(int argc, char **argv)
{
	int status;

	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		mkdir(mounts[i].dir, 0755);
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0, NULL))
			perror(mounts[i].dir);
	}
	name_ports();
	if (!freopen(OUTPUT, "w", stdout)) {
		perror(OUTPUT);
		end(1);
	}
	if (chdir(PROGRAMS))
		perror(PROGRAMS);

	printf("TAP version 13\n1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		printf("# selftests: " COLLECTION ": %s\n", argv[i]);
		fflush(stdout);
		status = run(argv[i]);
		printf("%s %d selftests: " COLLECTION ": %s",
		       !status || status == KSFT_SKIP ? "ok" : "not ok", i, argv[i]);
		if (status == KSFT_SKIP)
			printf(" # SKIP");
		else if (status)
			printf(" # exit=%d", status);
		printf("\n");
	}
	printf("# in-guest: done\n");
	fflush(stdout);
	end(0);
	return 0;
}
