/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

#include "asker.h"
#include "crew.h"
#include "journal.h"
#include "link.h"
#include "responder.h"
#include "scout.h"
#include "statefile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 100
#define TELL_MS 1000
#define PAUSE_LEAST_MS 100u
#define PAUSE_MOST_MS 10000u
#define PROVEN_MS 60000		/* a crew that lived so long has not failed at its start */

struct watchdog {
	const struct config *config;
	const struct features *features;
	struct crew crew;
	struct pulse pulse;
	int64_t heard_ms;
	int64_t told_ms;	/* when systemd was */
	uint64_t restarts;
	bool ready;
};

static void take_pulse(struct watchdog *watchdog)
{
	struct pulse pulse;

	while (recv(watchdog->crew.control, &pulse, sizeof(pulse), MSG_DONTWAIT) == (ssize_t)sizeof(pulse)) {
		bool changed = !watchdog->ready || pulse.late != watchdog->pulse.late || pulse.marks != watchdog->pulse.marks ||
			       pulse.denied != watchdog->pulse.denied || pulse.over_budget != watchdog->pulse.over_budget ||
			       pulse.undecided != watchdog->pulse.undecided || pulse.overflow != watchdog->pulse.overflow;

		watchdog->heard_ms = link_now_ms();
		watchdog->pulse = pulse;
		if (pulse.kill_asker > 0 && pulse.kill_asker <= watchdog->config->askers)
			crew_kill_asker(&watchdog->crew, pulse.kill_asker - 1);
		if (pulse.ready != 0 && !watchdog->ready) {
			watchdog->ready = true;
			journal_line(WEIGHT_NOTICE, "ready: level %s, %u marks",
				     watchdog->config->level == LEVEL_IMAGE ? "image" : "runtime", pulse.marks);
			journal_notify("READY=1");
		}
		if (changed)
			statefile_write(watchdog->config, &pulse, watchdog->ready, watchdog->restarts);
	}
	if (link_now_ms() - watchdog->told_ms >= TELL_MS) {
		watchdog->told_ms = link_now_ms();
		journal_notify("WATCHDOG=1");
	}
}

/* Returns why the crew has to be started again, NULL while it works. */
static const char *failure(struct watchdog *watchdog)
{
	const char *why = NULL;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == watchdog->crew.responder)
			why = "the responder has ended";
		else if (pid == watchdog->crew.scout)
			why = why == NULL ? "the scout has ended" : why;
		else
			crew_replace_asker(&watchdog->crew, watchdog->config, pid);
	}
	if (why != NULL)
		return why;
	if (link_now_ms() - watchdog->heard_ms > (int64_t)watchdog->config->watchdog_ms - LOOK_MS)
		return "the responder was silent";
	return NULL;
}

/* Returns false where the watchdog is to end. */
static bool watch(struct watchdog *watchdog, int signals, unsigned patience_ms)
{
	int64_t end = link_now_ms() + patience_ms;

	do {
		struct pollfd wait[2] = {
			{.fd = signals, .events = POLLIN}, {.fd = watchdog->crew.control, .events = POLLIN},
		};
		struct signalfd_siginfo signal;
		const char *why;

		(void)poll(wait, 2, LOOK_MS);
		while (read(signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
			if (signal.ssi_signo != SIGCHLD)
				return false;
		}
		if (watchdog->crew.control < 0)
			continue;	/* nobody works: only time passes */
		take_pulse(watchdog);
		why = failure(watchdog);
		if (why != NULL) {
			journal_line(WEIGHT_WARNING, "gap: %s: waiting opens are allowed, starting again", why);
			return true;
		}
	} while (patience_ms == 0 || link_now_ms() < end);
	return true;
}

static int watch_signals(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int watchdog_run(const struct config *config, const struct features *features)
{
	struct watchdog watchdog = {.config = config, .features = features, .crew = {.control = -1}};
	unsigned pause = PAUSE_LEAST_MS;
	int signals = watch_signals();
	bool goes_on = signals >= 0;

	(void)setsid();		/* the responder knows its own by their process group, which nobody of another session enters */
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_NAME, "sifgate-guard");
	while (goes_on) {
		int64_t began = link_now_ms();

		watchdog.heard_ms = began;
		watchdog.ready = false;
		if (crew_start(&watchdog.crew, config, features))
			goes_on = watch(&watchdog, signals, 0);
		crew_end(&watchdog.crew);
		watchdog.restarts++;
		if (goes_on)
			statefile_write(config, &watchdog.pulse, false, watchdog.restarts);
		pause = link_now_ms() - began > PROVEN_MS ? PAUSE_LEAST_MS : pause;
		if (goes_on)
			goes_on = watch(&watchdog, signals, pause);
		pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
	}
	journal_notify("STOPPING=1");
	statefile_remove(config);
	return 0;
}
