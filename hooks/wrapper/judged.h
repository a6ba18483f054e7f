/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that were handed to the agent. Where the site wants it, the one that was judged is run through its
 * descriptor (/proc/self/fd/N) in place of its name, so that nothing can be put into its place in between.
 */
#ifndef SIFGATE_JUDGED_H
#define SIFGATE_JUDGED_H

#include "launch.h"

#define JUDGED_MAX 8	/* images of one launch that are remembered; there is one, and perhaps overlays */

struct judged {
	bool kept;	/* the site wants the descriptor itself to run */
	unsigned count;
	struct {
		char *path;	/* as the agent named it */
		int image;
	} opened[JUDGED_MAX];
	unsigned word;	/* which word was pulled; 0: none */
	char *pulled;	/* what takes its place */
};

/* Opens an image for the agent, with the user's ids. Returns a descriptor or -errno. */
int judged_open(struct judged *judged, const char *path, const char *cwd);

/* Remembers that what `word` names was pulled and lies in `path`, of which `image` is a descriptor. */
void judged_pulled(struct judged *judged, unsigned word, const char *path, int image);

/*
 * Puts what was judged into the launch; `word` is what the decision says, 0 for nothing. Returns false where the site
 * wants nothing else to run and the judged file is gone from its directory: no runtime would find it.
 */
bool judged_apply(struct judged *judged, const struct launch *launch, unsigned word);

#endif
