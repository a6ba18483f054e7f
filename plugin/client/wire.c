/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERB_MAX 16u
#define KEY_MAX 32u
#define LENGTH_DIGITS 7u	/* of SIFGATE_MESSAGE_LIMIT */

static const char magic[] = "sifgate/1 ";
#define MAGIC_LENGTH (sizeof(magic) - 1)

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_key(const char *key, size_t length)
{
	if (length == 0 || length > KEY_MAX || !is_letter(key[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		if (!is_letter(key[i]) && !is_digit(key[i]) && key[i] != '_')
			return false;
	}
	return true;
}

static bool is_verb(const char *verb, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!is_letter(verb[i]))
			return false;
	}
	return length > 0 && length <= VERB_MAX;
}

static bool reserve(struct wire_writer *writer, size_t more)
{
	size_t capacity = writer->capacity ? writer->capacity : 4096;
	char *bytes;

	if (writer->broken || more > SIFGATE_MESSAGE_LIMIT - writer->length)
		return false;
	while (capacity < writer->length + more)
		capacity *= 2;
	if (capacity == writer->capacity)
		return true;
	bytes = realloc(writer->bytes, capacity);
	if (bytes == NULL)
		return false;
	writer->bytes = bytes;
	writer->capacity = capacity;
	return true;
}

static void append(struct wire_writer *writer, const void *bytes, size_t length)
{
	if (length > 0)
		memcpy(writer->bytes + writer->length, bytes, length);
	writer->length += length;
}

void wire_begin(struct wire_writer *writer, const char *verb)
{
	size_t length = strlen(verb);

	writer->length = 0;
	writer->fields = 0;
	writer->broken = false;
	writer->broken = !is_verb(verb, length) || !reserve(writer, MAGIC_LENGTH + length + 1);
	if (writer->broken)
		return;
	append(writer, magic, MAGIC_LENGTH);
	append(writer, verb, length);
	append(writer, "\n", 1);
}

void wire_bytes(struct wire_writer *writer, const char *key, const void *bytes, size_t length)
{
	char head[KEY_MAX + 24];
	int headed;

	if (writer->broken)
		return;
	writer->broken = true;
	if (!is_key(key, strlen(key)) || length > SIFGATE_MESSAGE_LIMIT || writer->fields >= SIFGATE_FIELDS_LIMIT)
		return;
	headed = snprintf(head, sizeof(head), "%s:%zu=", key, length);
	if (headed < 0 || (size_t)headed >= sizeof(head))
		return;
	writer->broken = false;
	if (!reserve(writer, (size_t)headed + length + 1)) {
		writer->broken = true;
		return;
	}
	append(writer, head, (size_t)headed);
	append(writer, bytes, length);
	append(writer, "\n", 1);
	writer->fields++;
}

void wire_string(struct wire_writer *writer, const char *key, const char *text)
{
	wire_bytes(writer, key, text, strlen(text));
}

void wire_number(struct wire_writer *writer, const char *key, long long number)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%lld", number);
	wire_string(writer, key, digits);
}

void wire_free(struct wire_writer *writer)
{
	free(writer->bytes);
	memset(writer, 0, sizeof(*writer));
}

/* Reads one field that begins at `*at`; returns false where the grammar is broken. */
static bool read_field(const char *bytes, size_t length, size_t *at, struct wire_field *field)
{
	size_t i = *at;
	size_t size = 0;
	size_t digits;

	while (i < length && i - *at <= KEY_MAX && bytes[i] != ':')
		i++;
	if (i >= length || bytes[i] != ':' || !is_key(bytes + *at, i - *at))
		return false;
	field->key = (struct wire_text){bytes + *at, i - *at};
	digits = ++i;
	while (i < length && i - digits < LENGTH_DIGITS && is_digit(bytes[i]))
		size = size * 10 + (size_t)(bytes[i++] - '0');
	if (i == digits || i >= length || bytes[i] != '=' || (bytes[digits] == '0' && i - digits > 1))
		return false;
	i++;
	if (size >= length - i || bytes[i + size] != '\n')
		return false;
	field->value = (struct wire_text){bytes + i, size};
	*at = i + size + 1;
	return true;
}

int wire_check(const char *bytes, size_t length, struct wire_text *verb)
{
	struct wire_field field;
	size_t fields = 0;
	size_t at = MAGIC_LENGTH;

	if (length > SIFGATE_MESSAGE_LIMIT || length < MAGIC_LENGTH || memcmp(bytes, magic, MAGIC_LENGTH) != 0)
		return -1;
	while (at < length && at - MAGIC_LENGTH < VERB_MAX && is_letter(bytes[at]))
		at++;
	if (at == MAGIC_LENGTH || at >= length || bytes[at] != '\n')
		return -1;
	*verb = (struct wire_text){bytes + MAGIC_LENGTH, at - MAGIC_LENGTH};
	at++;
	while (at < length) {
		if (!read_field(bytes, length, &at, &field) || ++fields > SIFGATE_FIELDS_LIMIT)
			return -1;
	}
	return 0;
}

bool wire_next(const char *bytes, size_t length, size_t *at, struct wire_field *field)
{
	if (*at == 0) {
		const char *end = memchr(bytes, '\n', length);

		if (end == NULL)
			return false;
		*at = (size_t)(end - bytes) + 1;
	}
	return *at < length && read_field(bytes, length, at, field);
}

bool wire_is(struct wire_text text, const char *word)
{
	return text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

bool wire_first(const char *bytes, size_t length, const char *key, struct wire_text *value)
{
	struct wire_field field;
	size_t at = 0;

	while (wire_next(bytes, length, &at, &field)) {
		if (wire_is(field.key, key)) {
			*value = field.value;
			return true;
		}
	}
	return false;
}
