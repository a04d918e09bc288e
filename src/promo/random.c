/*
 * Random words: SHA-512, of PostgreSQL, of a key and the number of a block.
 * The key comes from the system's random numbers, so that codes that are known
 * tell nothing of the others, or from a seed. Unlike the system's they can
 * start again, which a plan may ask of a function, and are the same on every
 * machine.
 */
#include "postgres.h"

#include "promo/random.h"

#include "common/cryptohash.h"
#include "common/sha2.h"

#define RANDOM_BLOCKS                                                         \
	(PROMO_RANDOM_WORDS * sizeof(uint64) / PG_SHA512_DIGEST_LENGTH)

/* Writes a number, the lowest byte first. */
static void
random_write(uint8 *to, uint64 number)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8) (number >> 8 * i);
}

/* Reads a number, the lowest byte first. */
static uint64
random_read(const uint8 *from)
{
	uint64 number = 0;

	for (int i = 7; i >= 0; i--)
		number = number << 8 | from[i];
	return number;
}

/* Hashes the key and the numbers of blocks; false when that fails. */
static bool
random_hash(pg_cryptohash_ctx *hash, const PromoRandom *random,
			uint8 (*blocks)[PG_SHA512_DIGEST_LENGTH])
{
	uint8 input[PROMO_RANDOM_KEY + 8];

	memcpy(input, random->key, PROMO_RANDOM_KEY);
	for (int i = 0; i < RANDOM_BLOCKS; i++)
	{
		random_write(input + PROMO_RANDOM_KEY, random->block + i);
		if (pg_cryptohash_init(hash) < 0 ||
			pg_cryptohash_update(hash, input, sizeof(input)) < 0 ||
			pg_cryptohash_final(hash, blocks[i], PG_SHA512_DIGEST_LENGTH) < 0)
			return false;
	}
	return true;
}

/* Makes the next words. */
void
promo_random_fill(PromoRandom *random)
{
	uint8 blocks[RANDOM_BLOCKS][PG_SHA512_DIGEST_LENGTH];
	const uint8 *next = blocks[0];
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA512);
	bool done = hash != NULL && random_hash(hash, random, blocks);

	if (!done)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not compute SHA-512: %s",
							   pg_cryptohash_error(hash)),
						errhint("The server's OpenSSL may not offer it.")));
	pg_cryptohash_free(hash);
	for (int i = 0; i < PROMO_RANDOM_WORDS; i++)
		random->words[i] = random_read(next + 8 * i);
	random->block += RANDOM_BLOCKS;
	random->at = 0;
}

/* Goes back to the first word. */
void
promo_random_rewind(PromoRandom *random)
{
	random->block = 0;
	random->at = PROMO_RANDOM_WORDS;
}

/* Takes a key that nobody can guess. */
void
promo_random_start(PromoRandom *random)
{
	if (!pg_strong_random(random->key, sizeof(random->key)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not get random numbers of the system"),
						errhint("Try again.")));
	promo_random_rewind(random);
}

/* Takes the key of a seed. */
void
promo_random_seed(PromoRandom *random, int64 seed)
{
	memset(random->key, 0, sizeof(random->key));
	random_write(random->key, (uint64) seed);
	promo_random_rewind(random);
}
