/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "allowlist.h"
#include "converse.h"
#include "environment.h"
#include "journal.h"
#include "json.h"
#include "link.h"
#include "opener.h"
#include "posture.h"
#include "process.h"
#include "screen.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONFIG_LIMIT (1u << 20)		/* of a bundle's config.json */
#define MARGIN_MS 1200u			/* what converse() may take beyond its deadline, and a little */
#define LEAST_MS 100u

struct event_case {
	const struct config *config;
	const struct work *work;
	struct process process;
	int pidfd;
	int event;
	int64_t until_ms;
	char image[PATH_MAX];	/* empty: the words say it */
};

/* What the agent wants to see: the event's own file where that is the image, else what the process would open. */
static int open_image(void *context, const char *path, const char *cwd)
{
	struct event_case *launch = context;

	if (launch->work->kind == KIND_IMAGE) {
		int copy = fcntl(launch->event, F_DUPFD_CLOEXEC, 3);

		return copy >= 0 ? copy : -errno;
	}
	return opener_open(&launch->process, path, cwd, launch->until_ms);
}

static void say(void *context, struct wire_text text)
{
	struct event_case *launch = context;
	char line[512];

	(void)snprintf(line, sizeof(line), "%.*s", text.length < 500 ? (int)text.length : 500, text.bytes);
	screen_print(&launch->process, line);
}

static void add_facts(const struct event_case *launch, struct wire_writer *ask)
{
	static const char *const ranks[] = {"SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"};
	const struct process *process = &launch->process;

	wire_string(ask, "door", "guard");
	wire_number(ask, "uid", process->uid);
	wire_number(ask, "gid", process->gid);
	wire_number(ask, "pid", process_launch(process));
	wire_number(ask, "deadline_ms", launch->work->left_ms > MARGIN_MS ? launch->work->left_ms - MARGIN_MS : LEAST_MS);
	if (process->cwd[0] == '/')
		wire_string(ask, "cwd", process->cwd);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
		const char *rank = words_variable(&process->environment, ranks[i]);

		if (rank != NULL && rank[0] != '\0' && strspn(rank, "0123456789") == strlen(rank) && strlen(rank) < 10) {
			wire_string(ask, "rank", rank);
			return;
		}
	}
}

static void add_words(const struct event_case *launch, struct wire_writer *ask)
{
	const char *word;

	if (launch->image[0] != '\0') {
		wire_string(ask, "path", launch->image);
		return;
	}
	for (size_t at = 0; (word = words_next(&launch->process.arguments, &at)) != NULL;)
		wire_string(ask, "arg", word);
	for (size_t at = 0; (word = words_next(&launch->process.environment, &at)) != NULL;) {
		if (environment_is_read(word))
			wire_string(ask, "env", word);
	}
}

static void compose(const struct event_case *launch, struct wire_writer *ask)
{
	wire_begin(ask, "ask");
	add_facts(launch, ask);
	add_words(launch, ask);
	if (!ask->broken)
		return;
	wire_begin(ask, "ask");		/* too long to send: say so, the state is `unresolved` */
	add_facts(launch, ask);
	wire_string(ask, "truncated", "1");
}

/* Nobody decided: the site's posture does, and it is recorded. */
static enum action without_agent(const struct event_case *launch, const struct answer *answer)
{
	struct posture posture;
	enum action action;

	posture_read(launch->config->posture, &posture);
	action = posture.agent_unreachable;
	journal_line(WEIGHT_WARNING, "gap: uid %u pid %d was %s without a decision: %s%s%s", launch->process.uid,
		     (int)launch->process.pid, action == ACTION_BLOCK ? "refused" : "allowed", answer->failure,
		     posture.problem[0] != '\0' ? "; " : "", posture.problem);
	if (action == ACTION_BLOCK)
		screen_print(&launch->process, "sifgate: launch refused: the agent of this node gives no answer");
	return action;
}

static bool ask_agent(struct event_case *launch, struct verdict *verdict)
{
	unsigned left = launch->work->left_ms;
	struct conversation conversation = {
		.socket = launch->config->socket,
		.deadline_ms = left > MARGIN_MS ? left - MARGIN_MS : LEAST_MS,
		.open_image = open_image,
		.progress = say,
		.context = launch,
	};
	struct wire_writer ask = {0};
	struct answer answer;
	enum action action;

	compose(launch, &ask);
	converse(&conversation, &ask, &answer);
	wire_free(&ask);
	verdict->undecided = !answer.decided;
	action = answer.decided ? answer.action : without_agent(launch, &answer);
	if (answer.decided && answer.notice != NULL && action >= ACTION_WARN && (action == ACTION_BLOCK || !answer.quiet))
		screen_print(&launch->process, answer.notice);
	answer_free(&answer);
	return action == ACTION_BLOCK;
}

/* The image that the starter was told to run: exact, whatever the words of the command line tool said. */
static bool find_engine_image(struct event_case *launch)
{
	return words_engine_image(&launch->process.environment, launch->image, sizeof(launch->image)) &&
	       launch->image[0] == '/';
}

/* Whether the process runs the very file that it opens: then its words are those of crun or runc. */
static bool runs_event(const struct event_case *launch)
{
	struct stat event;
	struct stat program;

	return fstat(launch->event, &event) == 0 && fstatat(launch->process.directory, "exe", &program, 0) == 0 &&
	       event.st_dev == program.st_dev && event.st_ino == program.st_ino;
}

static void read_root(struct event_case *launch, const char *config, char *root, size_t size)
{
	static const char *const keys[] = {"root", "path", NULL};
	char *json = malloc(CONFIG_LIMIT);
	int fd = json != NULL ? opener_open(&launch->process, config, "", launch->until_ms) : -1;
	ssize_t length = fd >= 0 ? pread(fd, json, CONFIG_LIMIT, 0) : -1;

	if (length <= 0 || !json_string(json, (size_t)length, keys, root, size))
		(void)snprintf(root, size, "rootfs");
	if (fd >= 0)
		close(fd);
	free(json);
}

/* runc executes itself for its container, and the child shows the words of the first: which lies in its bundle by then.
 * Returns whether this is such a child, and puts the first in its place. */
static bool take_first(struct event_case *launch)
{
	struct process parent;
	struct process child = launch->process;
	bool is_child = false;
	bool same;

	do {
		same = process_read(&parent, child.parent) && parent.uid == child.uid;
		launch->process = parent;
		same = same && runs_event(launch) && words_bundle(&parent.arguments, &(struct bundle){0});
		process_close(same ? &child : &parent);
		child = same ? parent : child;
		is_child = is_child || same;
	} while (same && child.parent > 1);
	launch->process = child;
	return is_child;
}

static bool find_bundle_image(struct event_case *launch)
{
	char config[PATH_MAX];
	char root[PATH_MAX];
	struct bundle bundle;
	int length;

	if (!runs_event(launch) || !words_bundle(&launch->process.arguments, &bundle))
		return false;
	if (take_first(launch))
		bundle = (struct bundle){0};	/* and where it is now says more than its words */
	if (bundle.directory == NULL || bundle.directory[0] == '\0')
		bundle.directory = ".";
	length = bundle.config != NULL ? snprintf(config, sizeof(config), "%s", bundle.config) :
					 snprintf(config, sizeof(config), "%s/config.json", bundle.directory);
	if (length < 0 || (size_t)length >= sizeof(config))
		return false;	/* too long for a path: the runtime cannot open it either */
	read_root(launch, config, root, sizeof(root));
	length = root[0] == '/' ? snprintf(launch->image, sizeof(launch->image), "%s", root) :
				  snprintf(launch->image, sizeof(launch->image), "%s/%s", bundle.directory, root);
	return length > 0 && (size_t)length < sizeof(launch->image);
}

static bool find_opened_image(struct event_case *launch)
{
	char link[64];
	ssize_t length;

	if (launch->process.uid == 0 && launch->process.euid == 0)
		return false;
	if (allowlist_holds(launch->config, &launch->process))
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", launch->event);
	length = readlink(link, launch->image, sizeof(launch->image) - 1);
	launch->image[length > 0 ? length : 0] = '\0';
	if (launch->image[0] != '/')
		(void)strcpy(launch->image, "/(unreachable)");
	return true;
}

/* Returns whether there is something to ask about, and finds out what. */
static bool is_launch(struct event_case *launch)
{
	switch ((enum kind)launch->work->kind) {
	case KIND_STARTER:
		/* What a transport stands for is known to the witness only; everything else is refused best here. */
		return !words_name_transport(&launch->process.arguments);
	case KIND_WITNESS:
	case KIND_MOUNTER:
		return find_engine_image(launch);
	case KIND_OCI:
		return find_bundle_image(launch);
	case KIND_IMAGE:
		return find_opened_image(launch);
	case KIND_FILESYSTEM:
		break;
	}
	return false;
}

/* The starter does not mind that ecl.toml cannot be read: it is ended, before the open is answered. */
static void end_process(const struct event_case *launch)
{
	if (launch->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
	else
		(void)kill(launch->process.pid, SIGKILL);	/* it waits in the kernel, its number is its own */
}

void judge(const struct config *config, const struct work *work, int process, int event, struct verdict *verdict)
{
	struct event_case launch = {
		.config = config,
		.work = work,
		.pidfd = process,
		.event = event,
		.until_ms = link_now_ms() + (work->left_ms > MARGIN_MS ? work->left_ms - MARGIN_MS : LEAST_MS),
	};

	*verdict = (struct verdict){.id = work->id};
	if (process_read(&launch.process, work->pid) && is_launch(&launch)) {
		verdict->deny = ask_agent(&launch, verdict);
		if (verdict->deny && work->kind == KIND_WITNESS)
			end_process(&launch);
	}
	process_close(&launch.process);
}
