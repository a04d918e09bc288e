/*
 * Rule models: how the value of one conversion is divided among the touches
 * before it, by their places, times, marks or weights.
 */
#ifndef IAROS_ATTRIBUTION_CREDIT_H
#define IAROS_ATTRIBUTION_CREDIT_H

#include "postgres.h"

#include "attribution/path.h"

typedef enum CreditKind
{
	CREDIT_FIRST,
	CREDIT_LAST,
	CREDIT_LAST_NON_DIRECT,
	CREDIT_LINEAR,
	CREDIT_TIME_DECAY,
	CREDIT_U_SHAPED,
	CREDIT_W_SHAPED,
	CREDIT_W_SHAPED_STAGE,
	CREDIT_CUSTOM,
	CREDIT_WEIGHT
} CreditKind;

/* Most weights of model custom. */
#define CREDIT_WEIGHT_MAX 100

typedef struct CreditModel
{
	CreditKind kind;
	int nparams;
	double params[CREDIT_WEIGHT_MAX]; /* time_decay: half-life, microseconds */
	char *name;                       /* in its usual form */
} CreditModel;

/* The touches of a path side by side, with room for what is made of them. */
typedef struct CreditPath
{
	bool timed;
	uint32 n;
	uint32 room;
	TimestampTz *at;
	double *weight;
	uint32 *label;
	uint8 *stage;
	double *share; /* of one model */
	int64 *part;   /* of one amount */
} CreditPath;

/* credit_parse.c */
extern void credit_parse(const char *text, int length, CreditModel *model);

/* credit.c */
extern void credit_path_read(CreditPath *path, PathReader *reader,
							 MemoryContext context);
extern bool credit_direct(const PathLabel *label);
/*
 * Returns the only touch that gets credit, or -1 after it filled in share,
 * which adds up to 1 but for rounding. direct tells of each label whether
 * model last_non_direct passes over it.
 */
extern int64 credit_share(const CreditModel *model, CreditPath *path,
						  const bool *direct);
/* Divides an amount by the shares, exactly; fills in part. */
extern void credit_divide(CreditPath *path, int64 amount);

#endif /* IAROS_ATTRIBUTION_CREDIT_H */
