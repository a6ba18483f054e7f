/* SPDX-License-Identifier: Apache-2.0 */
#include "desk.h"

#include "journal.h"
#include "link.h"
#include "process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PULSE_MS 200
#define RESERVE 256u		/* descriptors for everything but the pending opens */
#define TRIES_MAX 2u		/* askers that may die of one open */
#define LINES_ALL 50u		/* of what happens often: each of the first, */
#define LINES_EACH 100u		/* then one of so many */
#define LEAST_LEFT_MS 300	/* below that it is not worth asking */

void desk_pulse(struct desk *desk, uint32_t kill_asker)
{
	desk->pulse.kill_asker = kill_asker;
	desk->pulse.pending = (uint32_t)desk->table.count;
	if (send(desk->staff.control, &desk->pulse, sizeof(desk->pulse), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EAGAIN)
		_exit(0);	/* the watchdog is gone */
	desk->pulsed_ms = link_now_ms();
}

/* A reply that the kernel does not take would leave the opener waiting for good: a plain one follows, or our death. */
void desk_answer(int group, int event, bool deny)
{
	struct fanotify_response response = {.fd = event, .response = deny ? FAN_DENY : FAN_ALLOW};

	if (write(group, &response, sizeof(response)) < 0 && errno != ENOENT) {
		response.response = FAN_ALLOW;
		if (write(group, &response, sizeof(response)) < 0 && errno != ENOENT)
			abort();
	}
	close(event);
}

static void conclude(struct desk *desk, struct pending *pending, bool deny)
{
	desk_answer(pending->group, pending->event, deny);
	desk->pulse.denied += deny;
	if (pending->process >= 0)
		close(pending->process);
	table_remove(&desk->table, pending);
}

/* Users can bring gaps about: all are counted, but the log is not theirs to fill. */
static bool worth_a_line(uint64_t times)
{
	return times <= LINES_ALL || times % LINES_EACH == 0;
}

/* Answers without knowing: `allow`, unless this user has made too many answers late. */
static void conclude_late(struct desk *desk, struct pending *pending, const char *why)
{
	bool allow = budget_take(&desk->budget, pending->uid, link_now_ms());

	if (allow)
		desk->pulse.late++;
	else
		desk->pulse.over_budget++;
	if (worth_a_line(desk->pulse.late + desk->pulse.over_budget))
		journal_line(WEIGHT_WARNING, "gap: uid %u pid %d was %s without a decision: %s%s", pending->uid,
			     (int)pending->pid, allow ? "allowed" : "refused", why, allow ? "" : ", too often for this user");
	if (pending->asker != NO_ASKER)
		desk->stale[pending->asker] = link_now_ms();
	conclude(desk, pending, !allow);
}

static bool hand_over(struct desk *desk, struct pending *pending, uint32_t asker)
{
	struct work work = {
		.id = pending->id,
		.pid = pending->pid,
		.kind = pending->kind,
		.left_ms = (uint32_t)(pending->until_ms - link_now_ms()),
		.has_pidfd = pending->process >= 0,
	};
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec part = {.iov_base = &work, .iov_len = sizeof(work)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *rights = (struct cmsghdr *)control;
	int descriptors[2] = {pending->event, pending->process};
	size_t count = pending->process >= 0 ? 2 : 1;

	header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
	if (sendmsg(desk->staff.askers[asker], &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	table_assign(&desk->table, pending, asker);
	desk->busy[asker] = pending->id;
	desk->stale[asker] = 0;
	desk->pulse.asked++;
	return true;
}

/* Gives waiting opens to idle askers; no user holds more than half of them. */
void desk_dispatch(struct desk *desk)
{
	size_t share = desk->config->askers / 2;

	for (uint32_t asker = 0; asker < desk->config->askers && desk->table.unasked > 0; asker++) {
		struct pending *pending;

		if (desk->staff.askers[asker] < 0 || desk->busy[asker] != 0)
			continue;
		pending = table_next(&desk->table, share);
		if (pending == NULL)
			return;
		if (pending->until_ms - link_now_ms() < LEAST_LEFT_MS)
			conclude_late(desk, pending, "nobody had time to ask");
		else
			(void)hand_over(desk, pending, asker);
	}
}

/* Answers an open for which there is no room, as a late one: a user who fills the table gains nothing. */
static void turn_away(struct desk *desk, int group, const struct fanotify_event_metadata *event, uid_t uid)
{
	bool allow = budget_take(&desk->budget, uid, link_now_ms());

	if (worth_a_line(++desk->pulse.overflow))
		journal_line(WEIGHT_WARNING, "gap: uid %u pid %d was %s without a decision: %zu opens wait already", uid,
			     event->pid, allow ? "allowed" : "refused", desk->table.count);
	desk_answer(group, event->fd, !allow);
}

void desk_wait(struct desk *desk, int group, const struct fanotify_event_metadata *event, int process, enum kind kind)
{
	struct pending *pending;
	uid_t uid = 0;
	bool alive = process_owner(event->pid, &uid) == 0;

	pending = alive ? table_add(&desk->table) : NULL;
	if (pending == NULL) {
		if (alive)
			turn_away(desk, group, event, uid);
		else
			desk_answer(group, event->fd, false);	/* nobody is left to run anything */
		if (process >= 0)
			close(process);
		return;
	}
	pending->until_ms = link_now_ms() + (int64_t)config_answer_ms(desk->config);
	pending->group = group;
	pending->event = event->fd;
	pending->process = process;
	pending->pid = event->pid;
	pending->uid = uid;
	pending->kind = kind;
}

void desk_take_verdict(struct desk *desk, uint32_t asker)
{
	struct verdict verdict;
	struct pending *pending;

	if (recv(desk->staff.askers[asker], &verdict, sizeof(verdict), MSG_DONTWAIT) != (ssize_t)sizeof(verdict)) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		close(desk->staff.askers[asker]);	/* dead: the watchdog sends another one */
		desk->staff.askers[asker] = -1;
	}
	pending = table_find(&desk->table, desk->busy[asker]);
	desk->busy[asker] = 0;
	desk->stale[asker] = 0;
	if (pending == NULL)
		return;
	if (desk->staff.askers[asker] >= 0 && verdict.id == pending->id) {
		desk->pulse.undecided += verdict.undecided;
		conclude(desk, pending, verdict.deny != 0);
		return;
	}
	table_assign(&desk->table, pending, NO_ASKER);
	if (++pending->tries >= TRIES_MAX)
		conclude_late(desk, pending, "who asked died twice");
}

/* Receives a descriptor with a message of fixed size; returns false where there is none now. */
bool desk_receive(int socket, void *message, size_t size, int *descriptor)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = {.iov_base = message, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	const struct cmsghdr *rights;
	ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*descriptor = -1;
	if (got == 0)
		_exit(0);	/* watchdog or scout are gone: the watchdog starts us all again */
	if (got != (ssize_t)size)
		return false;
	rights = CMSG_FIRSTHDR(&header);
	if (rights != NULL && rights->cmsg_type == SCM_RIGHTS)
		memcpy(descriptor, CMSG_DATA(rights), sizeof(int));
	return true;
}

void desk_take_renewal(struct desk *desk)
{
	struct renewal renewal;
	int fd;

	while (desk_receive(desk->staff.control, &renewal, sizeof(renewal), &fd)) {
		struct pending *pending;

		if (renewal.asker >= ASKERS_MAX || fd < 0)
			continue;
		if (desk->staff.askers[renewal.asker] >= 0)
			close(desk->staff.askers[renewal.asker]);
		desk->staff.askers[renewal.asker] = fd;
		pending = table_find(&desk->table, desk->busy[renewal.asker]);
		desk->busy[renewal.asker] = 0;
		desk->stale[renewal.asker] = 0;
		if (pending != NULL)
			table_assign(&desk->table, pending, NO_ASKER);
	}
}

/* Answers what is overdue, and has askers ended that are still at it a while later. */
void desk_keep_time(struct desk *desk)
{
	int64_t now = link_now_ms();
	struct pending *pending;

	while ((pending = table_overdue(&desk->table, now)) != NULL)
		conclude_late(desk, pending, pending->asker == NO_ASKER ? "nobody had time to ask" : "no answer in time");
	for (uint32_t asker = 0; asker < desk->config->askers; asker++) {
		if (desk->stale[asker] != 0 && now - desk->stale[asker] > (int64_t)desk->config->watchdog_ms / 2) {
			desk->stale[asker] = now;
			desk_pulse(desk, asker + 1);
		}
	}
	if (now - desk->pulsed_ms >= PULSE_MS)
		desk_pulse(desk, 0);
}

/* The kernel refuses an open for which it has no descriptor: there are always some left. */
static size_t capacity(void)
{
	struct rlimit limit = {.rlim_cur = 1024, .rlim_max = 1024};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > RESERVE + 64 ? (size_t)(limit.rlim_cur - RESERVE) / 2 : 32;
}

void desk_init(struct desk *desk, const struct config *config, const struct staff *staff)
{
	memset(desk, 0, sizeof(*desk));
	desk->config = config;
	desk->staff = *staff;
	table_init(&desk->table, capacity());
	budget_init(&desk->budget, config->late_budget, (int64_t)config->late_window_s * 1000);
}
