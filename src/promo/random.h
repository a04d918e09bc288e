/* Random words that nobody can guess, or that a seed repeats. */
#ifndef IAROS_PROMO_RANDOM_H
#define IAROS_PROMO_RANDOM_H

#include "postgres.h"

#define PROMO_RANDOM_WORDS 16

/* A key, and the block of words that is being read. */
typedef struct PromoRandom
{
	uint32 key[8];
	uint64 block; /* number of the next block */
	int at;       /* in words */
	uint32 words[PROMO_RANDOM_WORDS];
} PromoRandom;

extern void promo_random_start(PromoRandom *random);
extern void promo_random_seed(PromoRandom *random, int64 seed);
extern void promo_random_rewind(PromoRandom *random);
extern void promo_random_fill(PromoRandom *random);

/* Returns the next 64 random bits. */
static inline uint64
promo_random_next(PromoRandom *random)
{
	uint64 low;

	if (random->at == PROMO_RANDOM_WORDS)
		promo_random_fill(random);
	low = random->words[random->at];
	random->at += 2;
	return (uint64) random->words[random->at - 1] << 32 | low;
}

/* Returns a random number below n, n < 2^32, even to 1 part in 2^32. */
static inline uint64
promo_random_below(PromoRandom *random, uint64 n)
{
	uint64 word = promo_random_next(random);

	return ((word >> 32) * n + ((word & 0xFFFFFFFF) * n >> 32)) >> 32;
}

#endif /* IAROS_PROMO_RANDOM_H */
