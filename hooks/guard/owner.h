/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_OWNER_H
#define SIFGATE_GUARD_OWNER_H

#include <sys/types.h>

/* Returns who answers for a process with this real uid: below the host's user namespace, who made the outermost one
 * that it is in. A user has tens of thousands of subordinate ids, and none of them is a user of its own. */
uid_t owner_of(pid_t pid, uid_t uid);

#endif
