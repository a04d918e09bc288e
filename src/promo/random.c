/*
 * The stream cipher ChaCha20 (D. J. Bernstein, 2008; RFC 8439, here with a
 * counter of 64 bits) as a source of random words. Its key comes from the
 * system's random numbers, so that codes that are known tell nothing of the
 * others, or from a seed. Unlike the system's it can start again, which a
 * plan may ask of a function, and gives the same on every machine.
 */
#include "postgres.h"

#include "promo/random.h"

#include "port/pg_bitutils.h"

#define CHACHA_DOUBLE_ROUNDS 10

/* "expand 32-byte k" */
static const uint32 chacha_constants[4] = {0x61707865, 0x3320646e, 0x79622d32,
										   0x6b206574};

/* Mixes four words. */
static inline void
chacha_quarter(uint32 *a, uint32 *b, uint32 *c, uint32 *d)
{
	*a += *b;
	*d = pg_rotate_left32(*d ^ *a, 16);
	*c += *d;
	*b = pg_rotate_left32(*b ^ *c, 12);
	*a += *b;
	*d = pg_rotate_left32(*d ^ *a, 8);
	*c += *d;
	*b = pg_rotate_left32(*b ^ *c, 7);
}

/* Makes the next block of words. */
void
promo_random_fill(PromoRandom *random)
{
	uint32 start[PROMO_RANDOM_WORDS] = {0};
	uint32 x[PROMO_RANDOM_WORDS];

	memcpy(start, chacha_constants, sizeof(chacha_constants));
	memcpy(start + 4, random->key, sizeof(random->key));
	start[12] = (uint32) random->block;
	start[13] = (uint32) (random->block >> 32);
	memcpy(x, start, sizeof(x));
	for (int i = 0; i < CHACHA_DOUBLE_ROUNDS; i++)
	{
		for (int k = 0; k < 4; k++)
			chacha_quarter(&x[k], &x[4 + k], &x[8 + k], &x[12 + k]);
		for (int k = 0; k < 4; k++)
			chacha_quarter(&x[k], &x[4 + (k + 1) % 4], &x[8 + (k + 2) % 4],
						   &x[12 + (k + 3) % 4]);
	}
	for (int i = 0; i < PROMO_RANDOM_WORDS; i++)
		random->words[i] = x[i] + start[i];
	random->block++;
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
	random->key[0] = (uint32) (uint64) seed;
	random->key[1] = (uint32) ((uint64) seed >> 32);
	promo_random_rewind(random);
}
