/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire protocol v1 (docs/protocol.md, section 1): bytes <-> messages. Knows no verb's meaning and no socket.
 *
 *   sifgate/1 VERB\n
 *   key:LENGTH=bytes\n      any number; the length governs, bytes may hold anything
 */
#ifndef SIFGATE_WIRE_H
#define SIFGATE_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#define SIFGATE_PACKET_LIMIT 65536u         /* bytes of one packet; longer messages travel as a memfd */
#define SIFGATE_MESSAGE_LIMIT (4u << 20)    /* bytes of the longest message */
#define SIFGATE_FIELDS_LIMIT 262144u        /* fields of one message */

/* A message being written; all zero is a good start. After an error it stays broken, so callers check once. */
struct wire_writer {
	char *bytes;
	size_t length;
	size_t capacity;
	size_t fields;
	bool broken;	/* out of memory, a bad key, or larger than the limits */
};

/* Bytes inside a received message; nothing is copied and nothing ends with NUL. */
struct wire_text {
	const char *bytes;
	size_t length;
};

struct wire_field {
	struct wire_text key;
	struct wire_text value;
};

void wire_begin(struct wire_writer *writer, const char *verb);
void wire_bytes(struct wire_writer *writer, const char *key, const void *bytes, size_t length);
void wire_string(struct wire_writer *writer, const char *key, const char *text);
void wire_number(struct wire_writer *writer, const char *key, long long number);
void wire_free(struct wire_writer *writer);

/* Returns 0 and the verb where all of `bytes` is one message, -1 otherwise. */
int wire_check(const char *bytes, size_t length, struct wire_text *verb);

/* Steps through the fields of a checked message; `*at` is 0 at first. Returns false after the last one. */
bool wire_next(const char *bytes, size_t length, size_t *at, struct wire_field *field);

/* The first value of `key` in a checked message; returns false where there is none. */
bool wire_first(const char *bytes, size_t length, const char *key, struct wire_text *value);

bool wire_is(struct wire_text text, const char *word);

#endif
