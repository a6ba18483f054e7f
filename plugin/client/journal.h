/* SPDX-License-Identifier: Apache-2.0 */
/* One line for the system's log. Unlike syslog(3) it never waits and leaves no descriptor behind. */
#ifndef SIFGATE_JOURNAL_H
#define SIFGATE_JOURNAL_H

/* Sends "sifgate: …" to /dev/log as LOG_AUTH | LOG_WARNING; where nobody takes it at once, it is lost. */
__attribute__((format(printf, 1, 2)))
void journal_write(const char *format, ...);

#endif
