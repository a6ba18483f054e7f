/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces in which root of the node has no name: there its files and processes seem to belong to nobody. */
#ifndef SIFGATE_FOREIGN_H
#define SIFGATE_FOREIGN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Returns whether `uid`, as the kernel shows it to this process, may be root of the node: uid 0, or the kernel's word
 * for ids without a name (65534) inside a user namespace. What is believed of such a uid must lie where only root of
 * the node can put things: in a user's own namespaces it is all that a shim can know.
 */
bool foreign_may_be_root(uid_t uid);

#endif
