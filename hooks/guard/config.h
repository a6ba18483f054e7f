/* SPDX-License-Identifier: Apache-2.0 */
/* What the site has chosen: flags, and a flat file of `key value` lines that only root can change. */
#ifndef SIFGATE_GUARD_CONFIG_H
#define SIFGATE_GUARD_CONFIG_H

#include "message.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFIG_TARGETS 64u
#define CONFIG_ALLOWED 64u
#define CONFIG_WORDS 256u

enum level { LEVEL_RUNTIME, LEVEL_IMAGE };

/* A file to watch: a pattern of glob(7) below the tree, or a directory whose file system is marked. */
struct target {
	enum kind kind;
	char path[256];
	char test[256];		/* of a file system: the file of an ordinary user for the self-test */
};

/* A program that may read images; with words, only where its first word is one of them. */
struct allowed {
	char path[256];
	char words[CONFIG_WORDS];	/* blank before and after each; empty: whatever its words are */
};

struct config {
	enum level level;
	unsigned deadline_ms;	/* no opener waits longer, whatever happens */
	unsigned watchdog_ms;	/* a responder silent for so long is killed */
	unsigned askers;
	unsigned late_budget;	/* late answers that are `allow`, per user and window */
	unsigned late_window_s;
	unsigned flush_s;	/* how long a file that was no image may pass unseen while it is not written to */
	char socket[108];
	char posture[256];
	char state[256];	/* where the watchdog writes how things are; empty: nowhere */
	char tree[256];		/* the root directory in which the targets lie */
	struct target targets[CONFIG_TARGETS];
	size_t target_count;
	struct allowed allowed[CONFIG_ALLOWED];
	size_t allowed_count;
};

/* Fills in the defaults: level runtime, Apptainer's, SingularityCE's, crun's and runc's usual places. */
void config_defaults(struct config *config);

/* Takes one line of the file. Returns NULL, or what is wrong with it. */
const char *config_line(struct config *config, char *line);

/* Returns NULL where the values fit together, else what does not. */
const char *config_check(const struct config *config);

/* Reads the file; one that is not there is empty. Returns 0, or -1 after writing into `problem`. */
int config_read(struct config *config, const char *path, char *problem, size_t size);

/* Milliseconds after which the responder answers: its own death included, the opener waits `deadline_ms` at most. */
unsigned config_answer_ms(const struct config *config);

#endif
