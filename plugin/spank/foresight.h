/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer at submission: what the job's launch would meet, as far as the agent of this node knows. Never refuses,
 * never waits longer than FORESIGHT_MS, says nothing where there is no agent. The image is handed over, so that its
 * scan begins now.
 */
#ifndef SIFGATE_FORESIGHT_H
#define SIFGATE_FORESIGHT_H

#define FORESIGHT_MS 50u

/* To be called before the program reads its standard input. */
void foresight_prepare(const char *socket);

/* Asks through `socket` and tells the user; once in a process, however often it is called. */
void foresight_tell(const char *socket, const char *reason);

#endif
