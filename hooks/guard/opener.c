/* SPDX-License-Identifier: Apache-2.0 */
#include "opener.h"

#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* The descriptors through which the child finds its way, taken before it changes anything about itself. */
struct way {
	int root;
	int cwd;
	int descriptors;	/* of the process: /proc/PID/fd */
	int namespace;		/* -1: the same as ours */
};

static bool find_way(const struct process *process, struct way *way)
{
	struct stat mine;
	struct stat its;

	way->root = openat(process->directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	way->cwd = openat(process->directory, "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	way->descriptors = openat(process->directory, "fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	way->namespace = openat(process->directory, "ns/mnt", O_RDONLY | O_CLOEXEC);
	if (way->root < 0 || way->cwd < 0 || way->namespace < 0 || fstat(way->namespace, &its) != 0)
		return false;
	if (stat("/proc/self/ns/mnt", &mine) == 0 && mine.st_ino == its.st_ino && mine.st_dev == its.st_dev)
		way->namespace = -1;
	return true;
}

static bool become(const struct process *process, const struct way *way)
{
	if (way->namespace >= 0 && setns(way->namespace, CLONE_NEWNS) != 0)
		return false;
	if (fchdir(way->root) != 0 || chroot(".") != 0 || fchdir(way->cwd) != 0)
		return false;
	return setgroups(process->group_count, process->groups) == 0 &&
	       setresgid(process->gid, process->gid, process->gid) == 0 &&
	       setresuid(process->uid, process->uid, process->uid) == 0;
}

/* Returns what follows a prefix that means the process itself, NULL for any other path. */
static const char *own_descriptor(const char *path)
{
	static const char *const prefixes[] = {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"};

	if (strcmp(path, "/dev/stdin") == 0)
		return "0";
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strlen(prefixes[i]);

		if (strncmp(path, prefixes[i], length) == 0 && strspn(path + length, "0123456789") == strlen(path + length))
			return path + length;
	}
	return NULL;
}

static int open_there(const struct process *process, const struct way *way, const char *path, const char *cwd)
{
	const char *descriptor = own_descriptor(path);
	int fd;

	if (cwd[0] != '\0' && strcmp(cwd, process->cwd) != 0 && chdir(cwd) != 0)
		return -errno;
	fd = descriptor != NULL ? openat(way->descriptors, descriptor, FLAGS) : open(path, FLAGS);
	return fd >= 0 ? fd : -errno;
}

static void send_descriptor(int pair, int result)
{
	(void)link_send_packet(pair, &result, sizeof(result), result, 0);
}

static _Noreturn void child(const struct process *process, const char *path, const char *cwd, int pair)
{
	pid_t parent = getppid();
	struct way way;
	int result = -EPERM;

	if (!find_way(process, &way) || !become(process, &way))
		result = errno > 0 ? -errno : -EPERM;
	else if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)	/* changing ids has cleared it */
		result = open_there(process, &way, path, cwd);
	send_descriptor(pair, result);
	_exit(0);
}

static int receive_descriptor(int pair, int64_t until_ms)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	int result = -EIO;
	struct iovec part = {.iov_base = &result, .iov_len = sizeof(result)};
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights = (struct cmsghdr *)control;
	struct pollfd wait = {.fd = pair, .events = POLLIN};
	int64_t left = until_ms - link_now_ms();

	if (left <= 0 || poll(&wait, 1, (int)left) != 1)
		return -ETIMEDOUT;
	if (recvmsg(pair, &header, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(result))
		return -EIO;
	if (result < 0)
		return result;
	if (header.msg_controllen < CMSG_LEN(sizeof(int)) || rights->cmsg_type != SCM_RIGHTS)
		return -EIO;
	memcpy(&result, CMSG_DATA(rights), sizeof(int));
	return result;
}

int opener_open(const struct process *process, const char *path, const char *cwd, int64_t until_ms)
{
	int pair[2];
	int result;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child(process, path, cwd, pair[1]);
	close(pair[1]);
	result = pid > 0 ? receive_descriptor(pair[0], until_ms) : -EAGAIN;
	close(pair[0]);
	if (pid > 0)
		(void)kill(pid, SIGKILL);	/* still ours: nobody has waited for it */
	while (waitpid(-1, NULL, WNOHANG) > 0)	/* what does not die at once is reaped the next time */
		;
	return result;
}
