/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of the guard say to each other, over SOCK_SEQPACKET pairs made by the watchdog.
 *
 *   watchdog ── control ── responder ── work ── askers
 *                              └─────── finds ── scout
 */
#ifndef SIFGATE_GUARD_MESSAGE_H
#define SIFGATE_GUARD_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#define ASKERS_MAX 32u

/* What an event tells of. */
enum kind {
	KIND_STARTER,		/* starter or starter-suid is about to be executed by the runtime's command line tool */
	KIND_WITNESS,		/* the starter reads ecl.toml: its environment holds the image that it resolved */
	KIND_MOUNTER,		/* squashfuse is about to be executed */
	KIND_OCI,		/* crun or runc opens itself, its own words in /proc */
	KIND_IMAGE,		/* somebody opens a SIF or squashfs on a marked file system */
	KIND_FILESYSTEM,	/* of a find only: the file system of this directory is to be marked */
};

/* responder -> asker, with two descriptors: the process (pidfd) and the file of the event. */
struct work {
	uint64_t id;
	int32_t pid;
	uint32_t kind;
	uint32_t left_ms;	/* until the responder answers by itself */
	uint32_t has_pidfd;
};

/* asker -> responder. */
struct verdict {
	uint64_t id;
	uint32_t deny;
	uint32_t undecided;	/* no agent decided: the posture did */
};

/* scout -> responder, with an O_PATH descriptor of what is to be marked; `last` comes without one, after a round. */
struct find {
	uint32_t kind;
	uint32_t last;
	uint64_t device;
	uint64_t inode;
	uint64_t mount;
	char name[200];
};

/* responder -> watchdog, every 200 ms and with each gap: a sign of life. */
struct pulse {
	uint32_t kill_asker;	/* 1 + index of an asker that is to be ended; 0: none */
	uint32_t marks;
	uint32_t ready;		/* one round of finds is marked */
	uint32_t pending;
	uint64_t asked;
	uint64_t denied;
	uint64_t late;
	uint64_t over_budget;
	uint64_t undecided;
	uint64_t overflow;
};

/* watchdog -> responder, with the socket of a new asker. */
struct renewal {
	uint32_t asker;
	uint32_t pid;
};

#endif
