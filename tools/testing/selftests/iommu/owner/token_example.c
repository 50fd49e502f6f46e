// SPDX-License-Identifier: GPL-2.0
/*
 * Hold IOMMU groups while another program uses them
 *
 *	token_example GROUP... -- COMMAND [ARGUMENT]...
 *
 * Reserves the groups, all or none, runs the command with a token in the environment
 * variable TOKEN_FD, and prints what happens to the groups until it exits. The
 * command can be run again and again, and may crash: no kernel driver gets the
 * devices meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommu-owner.h>

#define MAX_GROUPS	64
#define MAX_BLOCKERS	64

static int create_token(const char *name)
{
	struct iommu_owner_create create = {
		.size = sizeof(create),
		.rights = IOMMU_OWNER_RIGHT_INSPECT |
			  IOMMU_OWNER_RIGHT_ASSOCIATE |
			  IOMMU_OWNER_RIGHT_CLAIM |
			  IOMMU_OWNER_RIGHT_RESERVE | IOMMU_OWNER_RIGHT_TAKE |
			  IOMMU_OWNER_RIGHT_GRANT,
	};
	int device = open("/dev/iommu-owner", O_RDWR | O_CLOEXEC);
	int ret;

	if (device < 0)
		return -1;
	memcpy(create.name, name, strnlen(name, sizeof(create.name) - 1));
	ret = ioctl(device, IOMMU_OWNER_CREATE, &create);
	close(device);
	return ret ? -1 : create.out_fd;
}

/* What a virtual machine monitor needs, and no more */
static int user_token(int token)
{
	struct iommu_owner_dup dup = {
		.size = sizeof(dup),
		.rights = IOMMU_OWNER_RIGHT_INSPECT |
			  IOMMU_OWNER_RIGHT_ASSOCIATE |
			  IOMMU_OWNER_RIGHT_CLAIM,
	};

	return ioctl(token, IOMMU_OWNER_DUP, &dup) ? -1 : dup.out_fd;
}

/* The group that has this number now; 0 as its generation means any */
static struct iommu_owner_group_ref find_group(const char *number)
{
	struct iommu_owner_group_ref ref = { .group = atoi(number) };
	unsigned long long generation = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path),
		 "/sys/kernel/iommu_groups/%u/owner/generation", ref.group);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%llu", &generation) == 1)
			ref.generation = generation;
		fclose(file);
	}
	return ref;
}

static void print_blockers(int token,
			   const struct iommu_owner_group_ref *groups,
			   __u32 count)
{
	struct iommu_owner_device_info blockers[MAX_BLOCKERS];
	struct iommu_owner_check check = {
		.size = sizeof(check),
		.nr_groups = count,
		.group_size = sizeof(groups[0]),
		.groups = (uintptr_t)groups,
		.nr_blockers = MAX_BLOCKERS,
		.blocker_size = sizeof(blockers[0]),
		.blockers = (uintptr_t)blockers,
	};

	if (ioctl(token, IOMMU_OWNER_CHECK, &check) && errno != EMSGSIZE) {
		perror("IOMMU_OWNER_CHECK");
		return;
	}
	for (__u32 i = 0; i < check.nr_blockers && i < MAX_BLOCKERS; i++) {
		if (blockers[i].device[0])
			printf("group %u: %s is bound to %s\n",
			       blockers[i].group, blockers[i].device,
			       blockers[i].driver);
		else
			printf("group %u: has another owner, state %u\n",
			       blockers[i].group, blockers[i].state);
	}
}

static int reserve(int token, const struct iommu_owner_group_ref *groups,
		   __u32 count)
{
	struct iommu_owner_reserve reserve = {
		.size = sizeof(reserve),
		.nr_groups = count,
		.group_size = sizeof(groups[0]),
		.groups = (uintptr_t)groups,
	};

	if (!ioctl(token, IOMMU_OWNER_RESERVE, &reserve))
		return 0;
	fprintf(stderr, "group %u cannot be reserved: %s\n", reserve.out_group,
		strerror(errno));
	print_blockers(token, groups, count);
	return -1;
}

static pid_t run(int token, char **argv)
{
	pid_t pid = fork();
	char fd[16];

	if (pid)
		return pid;
	/* A token is closed on exec; this one is meant for the command */
	fcntl(token, F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", token);
	setenv("TOKEN_FD", fd, 1);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void print_event(const struct iommu_owner_event *event)
{
	switch (event->type) {
	case IOMMU_OWNER_EVENT_LOST:
		printf("%u events are missing\n", event->lost);
		break;
	case IOMMU_OWNER_EVENT_CLAIMED:
		printf("group %d: claimed by %s (%d), %u claims\n",
		       event->group, event->comm, event->pid, event->claims);
		break;
	case IOMMU_OWNER_EVENT_RELEASED:
		printf("group %d: released by %s (%d), %u claims\n",
		       event->group, event->comm, event->pid, event->claims);
		break;
	case IOMMU_OWNER_EVENT_ENDED:
		printf("group %d: ended, reason %u\n", event->group,
		       event->reason);
		break;
	case IOMMU_OWNER_EVENT_PROBE_REFUSED:
		printf("group %d: %s was refused %s\n", event->group,
		       event->driver, event->device);
		break;
	case IOMMU_OWNER_EVENT_DEVICE_ADDED:
		printf("group %d: %s was added\n", event->group,
		       event->device);
		break;
	case IOMMU_OWNER_EVENT_DEVICE_REMOVED:
		printf("group %d: %s was removed\n", event->group,
		       event->device);
		break;
	}
}

/*
 * Print what there is; the token is in non-blocking mode. The records of a
 * newer kernel may be longer than this program knows them.
 */
static void print_events(int token)
{
	union {
		struct iommu_owner_event event;
		char bytes[4096];
	} buffer;
	ssize_t size;

	while ((size = read(token, &buffer, sizeof(buffer))) > 0) {
		const struct iommu_owner_event *event = &buffer.event;

		for (; size > 0; size -= event->size,
		     event = (const void *)event + event->size)
			print_event(event);
	}
}

static int watch(int token, pid_t pid)
{
	struct pollfd pfd = { .fd = token, .events = POLLIN };
	int status;

	fcntl(token, F_SETFL, O_NONBLOCK);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		poll(&pfd, 1, 100);
		print_events(token);
	}
	print_events(token);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main(int argc, char **argv)
{
	struct iommu_owner_group_ref groups[MAX_GROUPS];
	__u32 count = 0;
	int token, user, arg = 1;
	pid_t pid;

	for (; arg < argc && strcmp(argv[arg], "--"); arg++)
		if (count < MAX_GROUPS)
			groups[count++] = find_group(argv[arg]);
	if (!count || arg + 1 >= argc) {
		fprintf(stderr, "usage: %s GROUP... -- COMMAND...\n", argv[0]);
		return 2;
	}

	token = create_token("example");
	if (token < 0) {
		perror("/dev/iommu-owner");
		return 1;
	}
	if (reserve(token, groups, count))
		return 1;
	user = user_token(token);
	if (user < 0) {
		perror("IOMMU_OWNER_DUP");
		return 1;
	}
	pid = run(user, argv + arg + 1);
	if (pid < 0) {
		perror("fork");
		return 1;
	}
	close(user);
	return watch(token, pid);
}
