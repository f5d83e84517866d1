/* SPDX-License-Identifier: BSD-3-Clause */
/* Escaping and number formats. Nothing here knows what a region is. */
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

/*
 * Zero-width and direction controls, and private use: printable for the C library, but they can make a line read as
 * another.
 */
static bool is_invisible(wint_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xe000 && c <= 0xf8ff) ||
	       (c >= 0xfff9 && c <= 0xfffb) || c >= 0xe0000;
}

/* Bytes of the printable character at `in`; 0: its first byte must be escaped. */
static size_t printable(const char *in)
{
	unsigned char byte = (unsigned char)*in;
	if (byte < 0x80)
		return byte >= 0x20 && byte != 0x7f;
	wchar_t c;
	mbstate_t state = {0};
	size_t size = mbrtowc(&c, in, strlen(in), &state);
	if (size == 0 || size > 4 || !iswprint((wint_t)c) || is_invisible((wint_t)c) || wcwidth(c) < 1)
		return 0;
	return size;
}

void text_escape(char *out, size_t size, const char *in)
{
	size_t used = 0;
	while (*in) {
		size_t take = printable(in);
		size_t room = take ? take : 4;
		if (used + room >= size)
			break;
		if (take)
			memcpy(out + used, in, take);
		else
			(void)snprintf(out + used, 5, "\\x%02x", (unsigned)(unsigned char)*in);
		used += room;
		in += take ? take : 1;
	}
	out[used] = 0;
}

unsigned text_width(const char *text)
{
	unsigned width = 0;
	mbstate_t state = {0};
	size_t left = strlen(text);
	while (left) {
		wchar_t c;
		size_t size = mbrtowc(&c, text, left, &state);
		if (size == 0 || size > left) {
			memset(&state, 0, sizeof(state));
			size = 1;
			c = L'?';
		}
		int columns = wcwidth(c);
		width += columns > 0 ? (unsigned)columns : 0;
		text += size;
		left -= size;
	}
	return width;
}

void text_cut(char *text, unsigned width)
{
	mbstate_t state = {0};
	unsigned columns = 0;
	char *at = text;
	if (text_width(text) <= width)
		return;
	while (*at) {
		wchar_t c;
		size_t size = mbrtowc(&c, at, strlen(at), &state);
		int own = size && size <= 4 ? wcwidth(c) : -1;
		if (own < 0 || columns + (unsigned)own >= width)
			break;
		columns += (unsigned)own;
		at += size;
	}
	(void)strcpy(at, width ? "~" : "");
}

/* Three digits are enough for people: 1.21, 12.1, 121; whole numbers without a dot. */
static void three_digits(char *out, double value, const char *unit)
{
	int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	char number[TEXT_SIZE / 2];
	(void)snprintf(number, sizeof(number), "%.*f", digits, value);
	if (strchr(number, '.')) {
		char *end = number + strlen(number) - 1;
		while (*end == '0')
			*end-- = 0;
		if (*end == '.')
			*end = 0;
	}
	(void)snprintf(out, TEXT_SIZE, "%.15s%.8s", number, unit);
}

static const char *binary_units(char *out, double value, const char *const units[7])
{
	unsigned unit = 0;
	while (value >= 1023.5 && unit < 6) {
		value /= 1024;
		unit++;
	}
	three_digits(out, value, units[unit]);
	return out;
}

const char *text_bytes(char *out, uint64_t bytes)
{
	static const char *const units[7] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
	return binary_units(out, (double)bytes, units);
}

const char *text_amount(char *out, uint64_t bytes)
{
	char size[TEXT_SIZE];
	if (bytes < 1024)
		(void)snprintf(out, TEXT_AMOUNT, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
	else
		(void)snprintf(out, TEXT_AMOUNT, "%s (%" PRIu64 " bytes)", text_bytes(size, bytes), bytes);
	return out;
}

const char *text_rate(char *out, double bytes_per_second)
{
	static const char *const units[7] = {" B/s", " KiB/s", " MiB/s", " GiB/s", " TiB/s", " PiB/s", " EiB/s"};
	return binary_units(out, bytes_per_second < 1 ? 0 : bytes_per_second, units);
}

const char *text_count(char *out, uint64_t count)
{
	static const char *const units[7] = {"", "k", "M", "G", "T", "P", "E"};
	double value = (double)count;
	unsigned unit = 0;
	while (value >= 999.5 && unit < 6) {
		value /= 1000;
		unit++;
	}
	three_digits(out, value, units[unit]);
	return out;
}

const char *text_time(char *out, double ns)
{
	static const char *const units[] = {" ns", " us", " ms", " s"};
	unsigned unit = 0;
	while (ns >= 999.5 && unit < 3) {
		ns /= 1000;
		unit++;
	}
	three_digits(out, ns, units[unit]);
	return out;
}

const char *text_age(char *out, uint64_t ns)
{
	uint64_t s = ns / 1000000000u;
	if (s < 60)
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 "s", s);
	else if (s < 3600)
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return out;
}

const char *text_clock(char *out, uint64_t ns)
{
	uint64_t s = ns / 1000000000u;
	if (s < 3600)
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		(void)snprintf(out, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
	return out;
}

const char *text_date(char *out, uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / 1000000000u);
	struct tm parts;
	if (!localtime_r(&seconds, &parts) || !strftime(out, TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts))
		(void)snprintf(out, TEXT_SIZE, "?");
	return out;
}
