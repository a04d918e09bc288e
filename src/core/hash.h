/*
 * Hashes of bytes that nobody can foresee: what is hashed, such as names,
 * comes from outside, and must not be chosen for one slot of a table.
 */
#ifndef IAROS_CORE_HASH_H
#define IAROS_CORE_HASH_H

#include "postgres.h"

/* An odd number whose bits are mixed well: 2^64 over the golden ratio. */
#define CORE_HASH_FACTOR UINT64CONST(0x9E3779B97F4A7C15)

/* hash.c: a number of this backend that is not 0. */
extern uint64 core_salt(void);

/* Multiplies to 128 bits and folds them. */
static inline uint64
core_hash_fold(uint64 a, uint64 b)
{
	uint128 product = (uint128) a * b;

	return (uint64) product ^ (uint64) (product >> 64);
}

/* Reads up to eight bytes as a number; those of one length differ. */
static inline uint64
core_hash_word(const unsigned char *bytes, Size length)
{
	uint64 word = 0;
	uint32 half = 0;

	if (length >= sizeof(half))
	{
		memcpy(&half, bytes, sizeof(half));
		word = (uint64) half << 32;
		memcpy(&half, bytes + length - sizeof(half), sizeof(half));
		return word | half;
	}
	for (Size i = 0; i < length; i++)
		word = (word << 8) | bytes[i];
	return word;
}

/* Hashes some bytes. */
static inline uint64
core_hash_bytes(uint64 salt, const void *data, Size length)
{
	const unsigned char *bytes = data;
	uint64 hash = salt ^ (length * CORE_HASH_FACTOR);
	uint64 word;

	for (; length > sizeof(word); length -= sizeof(word))
	{
		memcpy(&word, bytes, sizeof(word));
		hash = core_hash_fold(hash ^ word, salt | 1) ^ CORE_HASH_FACTOR;
		bytes += sizeof(word);
	}
	word = core_hash_word(bytes, length);
	return core_hash_fold(core_hash_fold(hash ^ word, salt | 1) ^ salt,
						  CORE_HASH_FACTOR);
}

#endif /* IAROS_CORE_HASH_H */
