/* What turns the sums of a regression into its results. */
#ifndef IAROS_MODEL_NORMALIZE_H
#define IAROS_MODEL_NORMALIZE_H

/* How the sums of the tables of a model become its results. */
typedef enum NormalKind
{
	NORMAL_EACH,        /* each for itself: a regression */
	NORMAL_BINOMIAL,    /* the second is what the first leaves */
	NORMAL_MULTINOMIAL, /* together they make 1 */
	NORMAL_ORDINAL      /* cumulative */
} NormalKind;

typedef enum NormalLink
{
	LINK_NONE,
	LINK_LOGIT,
	LINK_PROBIT,
	LINK_CLOGLOG,
	LINK_LOGLOG,
	LINK_CAUCHIT,
	LINK_EXP,
	LINK_SIMPLEMAX,
	LINK_SOFTMAX
} NormalLink;

#endif /* IAROS_MODEL_NORMALIZE_H */
