/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the process tree: starts scout, askers and responder, never has a fanotify descriptor, and kills a
 * responder that is silent: the kernel then lets every waiting open go.
 */
#ifndef SIFGATE_GUARD_WATCHDOG_H
#define SIFGATE_GUARD_WATCHDOG_H

#include "abilities.h"

/* Watches until it is told to end (SIGTERM, SIGINT). Returns the exit status. */
int watchdog_run(const struct config *config, const struct features *features);

#endif
