/* SPDX-License-Identifier: Apache-2.0 */
#include "asker.h"

#include "judge.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 2

/* Receives one piece of work; `descriptors` are -1 where none came. Returns false at the end. */
static bool receive(int socket, struct work *work, int *descriptors)
{
	char control[CMSG_SPACE(DESCRIPTORS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = {.iov_base = work, .iov_len = sizeof(*work)};
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	const struct cmsghdr *rights;
	size_t count;
	ssize_t got;

	do {
		got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*work))
		return false;
	descriptors[0] = descriptors[1] = -1;
	rights = CMSG_FIRSTHDR(&header);
	count = rights != NULL && rights->cmsg_type == SCM_RIGHTS ? (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	if (count > 0)
		memcpy(descriptors, CMSG_DATA(rights), count * sizeof(int));
	return true;
}

_Noreturn void asker_run(const struct config *config, int socket)
{
	int descriptors[DESCRIPTORS];
	struct work work;

	(void)prctl(PR_SET_NAME, "guard-asker");
	(void)signal(SIGPIPE, SIG_IGN);
	while (receive(socket, &work, descriptors)) {
		int process = work.has_pidfd != 0 ? descriptors[1] : -1;
		struct verdict verdict;

		judge(config, &work, process, descriptors[0], &verdict);
		(void)send(socket, &verdict, sizeof(verdict), MSG_NOSIGNAL);
		for (size_t i = 0; i < DESCRIPTORS; i++) {
			if (descriptors[i] >= 0)
				close(descriptors[i]);
		}
	}
	_exit(0);
}
