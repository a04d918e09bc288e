/* Random words that nobody can guess, or that a seed repeats. */
#ifndef IAROS_PROMO_RANDOM_H
#define IAROS_PROMO_RANDOM_H

#include "postgres.h"

#define PROMO_RANDOM_KEY 32   /* bytes */
#define PROMO_RANDOM_WORDS 64 /* made at once */

/* A key, and the words that are being read. */
typedef struct PromoRandom
{
	uint8 key[PROMO_RANDOM_KEY];
	uint64 block; /* number of the next block of 64 bytes */
	int at;       /* in words */
	uint64 words[PROMO_RANDOM_WORDS];
} PromoRandom;

extern void promo_random_start(PromoRandom *random);
extern void promo_random_seed(PromoRandom *random, int64 seed);
extern void promo_random_rewind(PromoRandom *random);
extern void promo_random_fill(PromoRandom *random);

/* Returns the next 64 random bits. */
static inline uint64
promo_random_next(PromoRandom *random)
{
	if (random->at == PROMO_RANDOM_WORDS)
		promo_random_fill(random);
	return random->words[random->at++];
}

/* Returns a random number below n, n < 2^32, even to 1 part in 2^32. */
static inline uint64
promo_random_below(PromoRandom *random, uint64 n)
{
	uint64 word = promo_random_next(random);

	return ((word >> 32) * n + ((word & 0xFFFFFFFF) * n >> 32)) >> 32;
}

#endif /* IAROS_PROMO_RANDOM_H */
