/*
 * Type promo_code: 1 to 64 letters A to Z and digits, as a varlena of ASCII.
 * Characters that look alike are one class: 0 O; 1 I L; each other character
 * is a class of its own, so there are 33. Codes are compared by classes.
 */
#ifndef IAROS_PROMO_CODE_H
#define IAROS_PROMO_CODE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/nodes.h"

#define PROMO_CODE_MAX 64
#define PROMO_CODE_CLASSES 33

/* Laid out as a text: the characters, upper case, no separators. */
typedef struct varlena PromoCode;

#define DatumGetPromoCodePP(datum)                                            \
	((PromoCode *) PG_DETOAST_DATUM_PACKED(datum))
#define PG_GETARG_PROMO_CODE_PP(n) DatumGetPromoCodePP(PG_GETARG_DATUM(n))

/* A code while it is put together. */
typedef struct PromoCodeText
{
	int length;
	char data[PROMO_CODE_MAX];
} PromoCodeText;

/* The class of a character plus 1, 0 for what a code cannot have. */
extern const uint8 promo_code_values[256];
/* The character that stands for a class. */
extern const char promo_code_symbols[PROMO_CODE_CLASSES + 1];

/* Returns the class of a character of a code. */
static inline int
promo_code_class(char c)
{
	return promo_code_values[(unsigned char) c] - 1;
}

/*
 * Returns the weight of the character that so many characters follow.
 *
 * The sum of classes times weights is 0 modulo 33 in a code with a check
 * character. Changing one character changes the sum by its weight, 1 or 2,
 * times the difference of the classes; swapping neighbours changes it by the
 * difference of their weights, 1 or -1, times that of the classes. 1, 2 and
 * -1 have an inverse modulo 33, so neither product is 0 modulo 33 unless the
 * classes are equal, the check character included.
 */
static inline int
promo_code_weight(int following)
{
	return 1 + following % 2;
}

extern bool promo_code_append(PromoCodeText *code, const char *text,
							  int length, int from, const char *what,
							  Node *escontext);
extern const char *promo_code_clip(const char *text, int length);
extern PromoCode *promo_code_make(const PromoCodeText *code);
extern int promo_code_sum(const char *data, int length, int following);
extern int promo_code_check_class(int sum, int following);

/* generate.c */
extern void promo_init(void);

#endif /* IAROS_PROMO_CODE_H */
