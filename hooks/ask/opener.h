/* SPDX-License-Identifier: Apache-2.0 */
/* Opens for the agent what the user named, with the user's ids. */
#ifndef SIFGATE_ASK_OPENER_H
#define SIFGATE_ASK_OPENER_H

#include <sys/types.h>

/* Says in whose name to open where that is another than who runs this. */
void opener_act_for(uid_t uid, gid_t gid);

/* Returns a descriptor, or -errno. The first call of root that acts for somebody gives root's rights up for good. */
int opener_open(const char *path, const char *cwd);

#endif
