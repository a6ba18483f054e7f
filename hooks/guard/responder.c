/* SPDX-License-Identifier: Apache-2.0 */
#include "responder.h"

#include "desk.h"
#include "journal.h"
#include "link.h"
#include "magic.h"
#include "marks.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_MS 100
#define BATCH_BYTES 2048u	/* of events at a time: each may bring two descriptors */

struct responder {
	const struct config *config;
	struct marks marks;
	struct desk desk;
	int64_t flushed_ms;
	pid_t group;		/* of processes: ours */
};

/* Whether the process is one of ours: nobody of another session can enter our process group. */
static bool is_own(const struct responder *responder, pid_t pid)
{
	return pid == 0 || getpgid(pid) == responder->group;
}

static void take_runtime(struct responder *responder, const struct fanotify_event_metadata *event)
{
	const struct fanotify_event_info_pidfd *info = (const void *)(event + 1);
	bool has_info = event->event_len >= event->metadata_len + sizeof(*info) &&
			info->hdr.info_type == FAN_EVENT_INFO_TYPE_PIDFD;
	int process = has_info ? info->pidfd : -1;
	enum kind kind;

	if (!is_own(responder, event->pid) && marks_kind(&responder->marks, event->fd, &kind)) {
		desk_wait(&responder->desk, responder->marks.runtime, event, process, kind);
		return;
	}
	desk_answer(responder->marks.runtime, event->fd, false);
	if (process >= 0)
		close(process);
}

/* The mark comes before the look: what is written in between takes it away again. */
static void take_image(struct responder *responder, const struct fanotify_event_metadata *event)
{
	char head[MAGIC_BYTES];
	struct stat status;
	ssize_t got;
	bool ignored;

	if (is_own(responder, event->pid) || fstat(event->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		desk_answer(responder->marks.image, event->fd, false);
		return;
	}
	ignored = marks_ignore(&responder->marks, event->fd);
	got = pread(event->fd, head, sizeof(head), 0);
	if (got < 0 || !magic_is_image(head, (size_t)got)) {
		desk_answer(responder->marks.image, event->fd, false);
		return;
	}
	if (ignored)
		marks_notice(&responder->marks, event->fd);
	desk_wait(&responder->desk, responder->marks.image, event, -1, KIND_IMAGE);
}

static void read_events(struct responder *responder, int group,
			void (*take)(struct responder *, const struct fanotify_event_metadata *))
{
	char batch[BATCH_BYTES] __attribute__((aligned(8)));
	ssize_t got = read(group, batch, sizeof(batch));
	const struct fanotify_event_metadata *event = (const void *)batch;

	if (got < 0 && errno != EAGAIN && errno != EINTR)
		journal_line(WEIGHT_WARNING, "gap: an open was refused by the kernel: %s", strerror(errno));
	for (; got > 0 && FAN_EVENT_OK(event, got); event = FAN_EVENT_NEXT(event, got)) {
		if (event->vers == FANOTIFY_METADATA_VERSION && event->fd >= 0)
			take(responder, event);
		else if ((event->mask & FAN_Q_OVERFLOW) != 0)
			responder->desk.pulse.overflow++;
	}
}

static void take_find(struct responder *responder)
{
	struct find find;
	int fd;

	while (desk_receive(responder->desk.staff.scout, &find, sizeof(find), &fd)) {
		find.name[sizeof(find.name) - 1] = '\0';
		if (fd >= 0) {
			marks_take(&responder->marks, &find, fd);
			responder->desk.pulse.marks = (uint32_t)responder->marks.count;
			close(fd);
		}
		if (find.last != 0 && responder->desk.pulse.ready == 0) {
			responder->desk.pulse.ready = 1;
			desk_pulse(&responder->desk, 0);
		}
	}
}

static void flush(struct responder *responder)
{
	int64_t now = link_now_ms();

	if (responder->marks.image < 0 || now - responder->flushed_ms < (int64_t)responder->config->flush_s * 1000)
		return;
	marks_flush(&responder->marks);
	responder->flushed_ms = now;
}

static void loop(struct responder *responder)
{
	struct pollfd wait[4 + ASKERS_MAX];

	for (;;) {
		nfds_t count = 4;

		wait[0] = (struct pollfd){.fd = responder->marks.runtime, .events = POLLIN};
		wait[1] = (struct pollfd){.fd = responder->marks.image, .events = POLLIN};
		wait[2] = (struct pollfd){.fd = responder->desk.staff.control, .events = POLLIN};
		wait[3] = (struct pollfd){.fd = responder->desk.staff.scout, .events = POLLIN};
		for (uint32_t asker = 0; asker < responder->config->askers; asker++)
			wait[count++] = (struct pollfd){.fd = responder->desk.staff.askers[asker], .events = POLLIN};
		(void)poll(wait, count, table_wait(&responder->desk.table, link_now_ms(), WAIT_MS));
		for (uint32_t asker = 0; asker < responder->config->askers; asker++) {
			if (wait[4 + asker].revents != 0)
				desk_take_verdict(&responder->desk, asker);
		}
		if (wait[2].revents != 0)
			desk_take_renewal(&responder->desk);
		if (wait[3].revents != 0)
			take_find(responder);
		if (wait[0].revents != 0)
			read_events(responder, responder->marks.runtime, take_runtime);
		if (wait[1].revents != 0)
			read_events(responder, responder->marks.image, take_image);
		desk_dispatch(&responder->desk);
		desk_keep_time(&responder->desk);
		flush(responder);
	}
}

_Noreturn void responder_run(const struct config *config, const struct features *features, const struct staff *staff)
{
	struct responder *responder = calloc(1, sizeof(*responder));
	int error = responder != NULL ? marks_open(&responder->marks, features, config->level) : -ENOMEM;

	(void)prctl(PR_SET_NAME, "guard-responder");
	(void)signal(SIGPIPE, SIG_IGN);
	if (responder == NULL || error != 0) {
		journal_line(WEIGHT_WARNING, "fanotify: %s", strerror(-error));
		_exit(1);
	}
	responder->config = config;
	responder->group = getpgid(0);
	responder->flushed_ms = link_now_ms();
	desk_init(&responder->desk, config, staff);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	loop(responder);
	_exit(0);
}
