/* Rules of code generation: which characters stand where, how many codes. */
#ifndef IAROS_PROMO_RULE_H
#define IAROS_PROMO_RULE_H

#include "postgres.h"

#include "promo/code.h"
#include "promo/random.h"
#include "utils/jsonb.h"

/* Characters that may stand at a place, one of a class. */
typedef struct PromoAlphabet
{
	int n;
	char chars[PROMO_CODE_CLASSES];
} PromoAlphabet;

/* A character that is random. */
typedef struct PromoPlace
{
	int at; /* in the code */
	int weight;
	const PromoAlphabet *alphabet;
} PromoPlace;

/*
 * A rule as it is used. counts[p][s] is the number of ways to go on at random
 * character p when the sum of classes times weights is s so far, at most
 * PROMO_SPACE_MANY.
 */
typedef struct PromoCodeRule
{
	PromoCodeText code; /* all but what is random */
	int nplaces;
	PromoPlace places[PROMO_CODE_MAX];
	int check_at; /* -1: no check character */
	int fixed_sum;
	PromoAlphabet digits;
	PromoAlphabet letters;
	PromoAlphabet either;
	char check_chars[PROMO_CODE_CLASSES]; /* of each class, 0: draw again */
	uint64 counts[PROMO_CODE_MAX + 1][PROMO_CODE_CLASSES];
} PromoCodeRule;

/* Numbers of codes are exact below this. */
#define PROMO_SPACE_MANY (UINT64CONST(1) << 56)

extern PromoCodeRule *promo_rule_read(Jsonb *json);
extern uint64 promo_rule_space(const PromoCodeRule *rule);
extern void promo_rule_draw(const PromoCodeRule *rule, PromoRandom *random,
							PromoCodeText *code);
extern void promo_rule_number(const PromoCodeRule *rule, uint64 number,
							  PromoCodeText *code);

#endif /* IAROS_PROMO_RULE_H */
