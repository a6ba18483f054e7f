/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

#define DEPTH_MAX 64
#define KEY_MAX 64u
#define ASIDE 1000u		/* below a key that is not on the way */

struct reader {
	const char *at;
	const char *end;
	const char *const *keys;
	size_t key_count;
	char *text;
	size_t size;
	bool found;
};

struct sink {
	char *bytes;
	size_t size;
	size_t length;
	bool full;
};

static void put(struct sink *sink, unsigned char byte)
{
	if (sink->length + 1 >= sink->size || byte == 0)
		sink->full = true;
	else
		sink->bytes[sink->length++] = (char)byte;
}

static void put_rune(struct sink *sink, unsigned rune)
{
	if (rune < 0x80) {
		put(sink, (unsigned char)rune);
	} else if (rune < 0x800) {
		put(sink, (unsigned char)(0xC0 | rune >> 6));
		put(sink, (unsigned char)(0x80 | (rune & 0x3F)));
	} else if (rune < 0x10000) {
		put(sink, (unsigned char)(0xE0 | rune >> 12));
		put(sink, (unsigned char)(0x80 | (rune >> 6 & 0x3F)));
		put(sink, (unsigned char)(0x80 | (rune & 0x3F)));
	} else {
		put(sink, (unsigned char)(0xF0 | rune >> 18));
		put(sink, (unsigned char)(0x80 | (rune >> 12 & 0x3F)));
		put(sink, (unsigned char)(0x80 | (rune >> 6 & 0x3F)));
		put(sink, (unsigned char)(0x80 | (rune & 0x3F)));
	}
}

static bool hex4(struct reader *reader, unsigned *rune)
{
	*rune = 0;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdefABCDEF";
		const char *digit = reader->at < reader->end ? memchr(digits, *reader->at, 22) : NULL;
		unsigned value;

		if (digit == NULL)
			return false;
		value = (unsigned)(digit - digits);
		*rune = *rune * 16 + (value < 16 ? value : value - 6);
		reader->at++;
	}
	return true;
}

static bool escaped(struct reader *reader, struct sink *sink)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *simple;
	unsigned rune;
	unsigned low;

	if (reader->at >= reader->end)
		return false;
	simple = memchr(from, *reader->at, sizeof(from) - 1);
	if (simple != NULL) {
		put(sink, (unsigned char)to[simple - from]);
		reader->at++;
		return true;
	}
	if (*reader->at++ != 'u' || !hex4(reader, &rune))
		return false;
	if (rune >= 0xD800 && rune < 0xDC00 && reader->end - reader->at >= 6 && memcmp(reader->at, "\\u", 2) == 0) {
		reader->at += 2;
		if (!hex4(reader, &low))
			return false;
		rune = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((rune - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
	}
	put_rune(sink, rune);
	return true;
}

/* Reads a string into the sink; what does not fit is passed over. */
static bool string(struct reader *reader, struct sink *sink)
{
	if (reader->at >= reader->end || *reader->at++ != '"')
		return false;
	while (reader->at < reader->end) {
		char byte = *reader->at++;

		if (byte == '"') {
			sink->bytes[sink->length] = '\0';
			return true;
		}
		if (byte != '\\')
			put(sink, (unsigned char)byte);
		else if (!escaped(reader, sink))
			return false;
	}
	return false;
}

/* Go folds two letters beyond ASCII onto ASCII ones: the long s and the Kelvin sign. */
static bool same_key(const char *key, const char *wanted)
{
	while (*key != '\0' && *wanted != '\0') {
		char letter = *key;

		if (strncmp(key, "\xC5\xBF", 2) == 0) {
			letter = 's';
			key++;
		} else if (strncmp(key, "\xE2\x84\xAA", 3) == 0) {
			letter = 'k';
			key += 2;
		}
		key++;
		if ((letter | 0x20) != (*wanted++ | 0x20))
			return false;
	}
	return *key == '\0' && *wanted == '\0';
}

static void blank(struct reader *reader)
{
	while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4) != NULL)
		reader->at++;
}

/* Passes one byte, with the blanks around it. */
static bool pass(struct reader *reader, char byte)
{
	blank(reader);
	if (reader->at >= reader->end || *reader->at != byte)
		return false;
	reader->at++;
	blank(reader);
	return true;
}

static bool value(struct reader *reader, int depth, size_t matched);

static bool member(struct reader *reader, int depth, size_t matched)
{
	char key[KEY_MAX];
	struct sink sink = {.bytes = key, .size = sizeof(key)};
	bool on_the_way;

	if (!string(reader, &sink) || !pass(reader, ':'))
		return false;
	on_the_way = matched < reader->key_count && !sink.full && same_key(key, reader->keys[matched]);
	return value(reader, depth + 1, on_the_way ? matched + 1 : ASIDE);
}

static bool sequence(struct reader *reader, int depth, size_t matched, char close)
{
	reader->at++;
	blank(reader);
	if (pass(reader, close))
		return true;
	do {
		if (!(close == '}' ? member(reader, depth, matched) : value(reader, depth + 1, ASIDE)))
			return false;
	} while (pass(reader, ','));
	return pass(reader, close);
}

static bool value(struct reader *reader, int depth, size_t matched)
{
	char aside[1];
	struct sink sink = {.bytes = aside, .size = sizeof(aside)};

	blank(reader);
	if (depth > DEPTH_MAX || reader->at >= reader->end)
		return false;
	if (*reader->at == '{')
		return sequence(reader, depth, matched, '}');
	if (*reader->at == '[')
		return sequence(reader, depth, ASIDE, ']');
	if (*reader->at == '"') {
		if (matched == reader->key_count)
			sink = (struct sink){.bytes = reader->text, .size = reader->size};
		if (!string(reader, &sink))
			return false;
		if (matched == reader->key_count)
			reader->found = !sink.full;
		return true;
	}
	while (reader->at < reader->end && memchr(",]} \t\r\n", *reader->at, 7) == NULL)
		reader->at++;	/* a number, true, false, null */
	return true;
}

bool json_string(const char *json, size_t length, const char *const *keys, char *text, size_t size)
{
	struct reader reader = {.at = json, .end = json + length, .keys = keys, .text = text, .size = size};

	while (keys[reader.key_count] != NULL)
		reader.key_count++;
	return value(&reader, 0, 0) && reader.found;
}
