// SPDX-License-Identifier: GPL-2.0
/*
 * An orchestrator in small, for the demo
 *
 *	token hold GROUP	reserve the group; stays in the background
 *	token run COMMAND...	run a command with a token in TOKEN_FD
 *	token revoke		take the group back from whoever uses it
 *	token drop		give it up
 *
 * The token that "run" hands over, by SCM_RIGHTS, can claim and no more.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "../../tools/testing/selftests/iommu/owner/owner_token.h"

#define VMM_RIGHTS	(IOMMU_OWNER_RIGHT_CLAIM | IOMMU_OWNER_RIGHT_ASSOCIATE)

static const struct sockaddr_un name = {
	.sun_family = AF_UNIX, .sun_path = "/run/token",
};

/* What came of a request, and perhaps a file with it */
struct answer {
	int ret;
	int ms;
};

struct message {
	struct iovec iov;
	struct msghdr header;
	char control[CMSG_SPACE(sizeof(int))];
};

static void prepare(struct message *msg, struct answer *answer)
{
	*msg = (struct message){ .iov = { answer, sizeof(*answer) } };
	msg->header.msg_iov = &msg->iov;
	msg->header.msg_iovlen = 1;
	msg->header.msg_control = msg->control;
	msg->header.msg_controllen = sizeof(msg->control);
}

static void send_answer(int to, struct answer *answer, int fd)
{
	struct message msg;
	struct cmsghdr *cmsg;

	prepare(&msg, answer);
	if (fd < 0) {
		msg.header.msg_controllen = 0;
	} else {
		cmsg = CMSG_FIRSTHDR(&msg.header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	sendmsg(to, &msg.header, 0);
}

static int receive_answer(int from, struct answer *answer)
{
	struct message msg;
	int fd = -1;

	prepare(&msg, answer);
	if (recvmsg(from, &msg.header, 0) != sizeof(*answer))
		*answer = (struct answer){ .ret = -EPIPE };
	else if (CMSG_FIRSTHDR(&msg.header))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg.header)), sizeof(int));
	return fd;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void serve(int token, int client)
{
	struct answer answer = {};
	long begin = now_ms();
	char request = 0;
	int fd = -1;

	read(client, &request, 1);
	switch (request) {
	case 'r':	/* run */
		fd = token_dup(token, VMM_RIGHTS);
		answer.ret = fd < 0 ? fd : 0;
		break;
	case 'v':	/* revoke */
		answer.ret = token_revoke(token);
		answer.ms = now_ms() - begin;
		break;
	case 'd':	/* drop */
		close(token);
		break;
	}
	send_answer(client, &answer, fd);
	if (request == 'd')
		exit(0);
	if (fd >= 0)
		close(fd);
	close(client);
}

static int hold(int group)
{
	int token, ret, server;

	token = token_create("orchestrator", ALL_RIGHTS);
	if (token < 0)
		return token;
	ret = token_reserve(token, group);
	if (ret)
		return ret;
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(name.sun_path);
	if (bind(server, (struct sockaddr *)&name, sizeof(name)) ||
	    listen(server, 4))
		return -errno;
	printf("token: group %d is reserved\n", group);
	fflush(stdout);
	if (daemon(0, 0))
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	for (;;)
		serve(token, accept(server, NULL, NULL));
}

/* The file that comes with the answer, or -1 */
static int ask(char request, struct answer *answer)
{
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	*answer = (struct answer){ .ret = -ECONNREFUSED };
	if (connect(client, (struct sockaddr *)&name, sizeof(name)) ||
	    write(client, &request, 1) != 1)
		return -1;
	fd = receive_answer(client, answer);
	close(client);
	return fd;
}

static int run(char **argv)
{
	struct answer answer;
	int fd = ask('r', &answer);
	char number[16];

	if (answer.ret)
		return answer.ret;
	snprintf(number, sizeof(number), "%d", fd);
	setenv("TOKEN_FD", number, 1);
	execvp(argv[0], argv);
	return -errno;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct answer answer = { .ret = -EINVAL };

	if (argc == 3 && !strcmp(what, "hold"))
		answer.ret = hold(atoi(argv[2]));
	else if (argc > 2 && !strcmp(what, "run"))
		answer.ret = run(argv + 2);
	else if (argc == 2 && !strcmp(what, "revoke"))
		ask('v', &answer);
	else if (argc == 2 && !strcmp(what, "drop"))
		ask('d', &answer);

	if (answer.ret)
		fprintf(stderr, "token: %s: %s\n", what, strerror(-answer.ret));
	else if (!strcmp(what, "revoke"))
		printf("token: revoked in %d ms\n", answer.ms);
	return !!answer.ret;
}
