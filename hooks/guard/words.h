/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch's words and variables, each ended with NUL, say about its image. Pure. */
#ifndef SIFGATE_GUARD_WORDS_H
#define SIFGATE_GUARD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct words {
	const char *bytes;
	size_t length;
};

/* Steps through the words; `*at` is 0 at first. Returns NULL after the last one. */
const char *words_next(const struct words *words, size_t *at);

/* Returns the value of the variable, or NULL. */
const char *words_variable(const struct words *environment, const char *name);

/* Copies the image that the starter was told to run out of ENGINE_CONFIG1…n. Returns false where there is none. */
bool words_engine_image(const struct words *environment, char *image, size_t size);

/* Returns whether a word names an image by a transport (docker://…), which only the witness can resolve. */
bool words_name_transport(const struct words *arguments);

/* What crun or runc was told. */
struct bundle {
	const char *directory;	/* NULL: the working directory */
	const char *config;	/* NULL: config.json in it */
};

/* Returns whether a container starts, and fills in where its bundle lies. */
bool words_bundle(const struct words *arguments, struct bundle *bundle);

#endif
