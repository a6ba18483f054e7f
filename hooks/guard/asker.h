/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_ASKER_H
#define SIFGATE_GUARD_ASKER_H

#include "config.h"

/* Judges what arrives on the socket, one event after the other, until the other side closes it. Never returns. */
_Noreturn void asker_run(const struct config *config, int socket);

#endif
