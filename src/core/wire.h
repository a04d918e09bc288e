/*
 * Numbers as bytes, for the flat forms of states: 7 bits a byte, lowest
 * first, the upper bit set when more follow, in as few bytes as possible.
 */
#ifndef IAROS_CORE_WIRE_H
#define IAROS_CORE_WIRE_H

#include "postgres.h"

#include "port/pg_bswap.h"

/* Most bytes of a number, and of one of 128 bits. */
#define CORE_WIRE_MAX 10
#define CORE_WIRE_WIDE_MAX 19

/* Writes a number and returns where the next byte goes. */
static inline unsigned char *
core_wire_put(unsigned char *to, uint64 number)
{
	while (number >= 0x80)
	{
		*to++ = (unsigned char) number | 0x80;
		number >>= 7;
	}
	*to++ = (unsigned char) number;
	return to;
}

/* Returns how many bytes a number takes. */
static inline int
core_wire_size(uint64 number)
{
	int size = 1;

	while (number >= 0x80)
	{
		number >>= 7;
		size++;
	}
	return size;
}

/* Reads a number of bytes that were checked. */
static inline uint64
core_wire_get(const unsigned char **at)
{
	const unsigned char *from = *at;
	uint64 number = *from & 0x7F;

	for (int shift = 7; *from++ & 0x80; shift += 7)
		number |= (uint64) (*from & 0x7F) << shift;
	*at = from;
	return number;
}

/*
 * Reads a number of bytes that nobody checked; false when they end, or the
 * number is too large or has more bytes than it needs.
 */
static inline bool
core_wire_read(const unsigned char **at, const unsigned char *end,
			   uint64 *number)
{
	*number = 0;
	for (int shift = 0; shift < 64; shift += 7)
	{
		unsigned char byte;

		if (*at >= end)
			return false;
		byte = *(*at)++;
		if (shift == 63 && byte > 1)
			return false;
		*number |= (uint64) (byte & 0x7F) << shift;
		if ((byte & 0x80) == 0)
			return shift == 0 || byte != 0;
	}
	return false;
}

/* A signed number as one without sign: small ones stay small. */
static inline uint64
core_wire_fold(int64 number)
{
	return ((uint64) number << 1) ^ (uint64) (number >> 63);
}

/* And back. */
static inline int64
core_wire_unfold(uint64 number)
{
	return (int64) (number >> 1) ^ -(int64) (number & 1);
}

/* The same of 128 bits: a signed number as one without sign. */
static inline uint128
core_wire_fold_wide(int128 number)
{
	return ((uint128) number << 1) ^ (uint128) (number >> 127);
}

/* And back. */
static inline int128
core_wire_unfold_wide(uint128 number)
{
	return (int128) (number >> 1) ^ -(int128) (number & 1);
}

/* Writes a number of 128 bits. */
static inline unsigned char *
core_wire_put_wide(unsigned char *to, uint128 number)
{
	while (number >= 0x80)
	{
		*to++ = (unsigned char) number | 0x80;
		number >>= 7;
	}
	*to++ = (unsigned char) number;
	return to;
}

/* Reads a number of 128 bits of bytes that nobody checked. */
static inline bool
core_wire_read_wide(const unsigned char **at, const unsigned char *end,
					uint128 *number)
{
	*number = 0;
	for (int shift = 0; shift < 128; shift += 7)
	{
		unsigned char byte;

		if (*at >= end)
			return false;
		byte = *(*at)++;
		if (shift == 126 && byte > 3)
			return false;
		*number |= (uint128) (byte & 0x7F) << shift;
		if ((byte & 0x80) == 0)
			return shift == 0 || byte != 0;
	}
	return false;
}

/* Writes 8 bytes, the lowest first. */
static inline unsigned char *
core_wire_put_word(unsigned char *to, uint64 word)
{
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	memcpy(to, &word, sizeof(word));
	return to + sizeof(word);
}

/* Reads 8 bytes, the lowest first. */
static inline uint64
core_wire_get_word(const unsigned char **at)
{
	uint64 word;

	memcpy(&word, *at, sizeof(word));
	*at += sizeof(word);
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	return word;
}

#endif /* IAROS_CORE_WIRE_H */
