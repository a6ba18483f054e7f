/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the agent: packets out and in, each with a deadline. Descriptors go out, never in. */
#ifndef SIFGATE_LINK_H
#define SIFGATE_LINK_H

#include "wire.h"

#include <stdint.h>
#include <sys/types.h>

#define LINK_SILENCE_MS 2000u	/* no sign of life for so long: the agent counts as unreachable */

/* Milliseconds of the monotonic clock. */
int64_t link_now_ms(void);

/* Returns a connected socket, or -errno: at once where nobody listens, after `wait_ms` where the queue is full.
 * -EPERM where who listens is neither root nor the user who runs this. */
int link_open(const char *path, unsigned wait_ms);

/* Sends one packet over a socket of whatever peer, with a descriptor unless it is < 0; `flags` as for sendmsg(2).
 * Returns 0, -ETIMEDOUT where there is no room, or -errno. */
int link_send_packet(int socket, const void *bytes, size_t length, int descriptor, int flags);

/* Sends a message, as a packet or as a sealed memfd; `descriptor` < 0 sends none. Returns 0 or -errno. */
int link_send(int link, const struct wire_writer *message, int descriptor);

/* Waits until `until_ms` for a packet. Returns its length, 0 at the end of the conversation, -ETIMEDOUT,
 * -EINTR where a signal came first, or -errno.
 * Descriptors that came with it are closed by the kernel: there is no room for any. */
ssize_t link_receive(int link, char *packet, size_t size, int64_t until_ms);

#endif
