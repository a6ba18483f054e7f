/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for the admin: to syslog and to standard error, and never waiting for either. */
#ifndef SIFGATE_GUARD_JOURNAL_H
#define SIFGATE_GUARD_JOURNAL_H

enum weight { WEIGHT_WARNING = 4, WEIGHT_NOTICE = 5 };	/* as in syslog */

/* Writes one line; what a reader is too slow for is lost. */
__attribute__((format(printf, 2, 3)))
void journal_line(enum weight weight, const char *format, ...);

/* Tells systemd (sd_notify(3)) where it has asked to be told. */
void journal_notify(const char *state);

#endif
