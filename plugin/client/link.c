/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char memfd_message[] = "sifgate/1 memfd\n";

int64_t link_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The peer gets descriptors of the user's files and decides: it must be root (or us, in tests). */
static bool peer_is_trusted(int link)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(link, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	return peer.uid == geteuid() || foreign_may_be_root(peer.uid);
}

int link_open(const char *path, unsigned wait_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = (wait_ms % 1000) * 1000};
	size_t length = strlen(path);
	int link;
	int error = 0;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length + 1);
	link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (link < 0)
		return -errno;
	if (setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    connect(link, (const struct sockaddr *)&address, sizeof(address)) != 0)
		error = errno == EAGAIN ? ETIMEDOUT : errno;
	else if (!peer_is_trusted(link))
		error = EPERM;
	if (error == 0)
		return link;
	close(link);
	return -error;
}

int link_send_packet(int socket, const void *bytes, size_t length, int descriptor, int flags)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights;
	ssize_t sent;

	if (descriptor >= 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
	}
	do {
		sent = sendmsg(socket, &header, MSG_NOSIGNAL | flags);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* Returns a memfd that holds the message and can never change again, or -errno. */
static int seal(const struct wire_writer *message)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int memory = memfd_create("sifgate-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;
	int error;

	if (memory < 0)
		return -errno;
	while (done < message->length) {
		ssize_t wrote = write(memory, message->bytes + done, message->length - done);

		if (wrote < 0 && errno != EINTR)
			break;
		if (wrote > 0)
			done += (size_t)wrote;
	}
	if (done == message->length && fcntl(memory, F_ADD_SEALS, seals) == 0)
		return memory;
	error = errno;
	close(memory);
	return -error;
}

int link_send(int link, const struct wire_writer *message, int descriptor)
{
	int memory;
	int result;

	if (message->broken)
		return -EMSGSIZE;
	if (message->length <= SIFGATE_PACKET_LIMIT)
		return link_send_packet(link, message->bytes, message->length, descriptor, 0);
	if (descriptor >= 0)
		return -EINVAL;
	memory = seal(message);
	if (memory < 0)
		return memory;
	result = link_send_packet(link, memfd_message, sizeof(memfd_message) - 1, memory, 0);
	close(memory);
	return result;
}

ssize_t link_receive(int link, char *packet, size_t size, int64_t until_ms)
{
	struct pollfd poll_link = {.fd = link, .events = POLLIN};
	bool was_reset = false;

	for (;;) {
		int64_t left = until_ms - link_now_ms();
		ssize_t got;
		int ready;

		if (left < 0)
			left = 0;
		ready = poll(&poll_link, 1, (int)left);
		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0)
			return -errno;
		got = recv(link, packet, size, MSG_DONTWAIT | MSG_TRUNC);
		if (got >= 0)
			return (size_t)got <= size ? got : -EMSGSIZE;
		if (errno == ECONNRESET && !was_reset)
			was_reset = true;	/* our words were not read any more; what the other said before still waits */
		else if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}
