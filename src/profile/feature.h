/* Features: numbers about customers, made of rows of series in windows. */
#ifndef IAROS_PROFILE_FEATURE_H
#define IAROS_PROFILE_FEATURE_H

#include "postgres.h"

#include "core/group.h"
#include "core/source.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/* Most features of one computation, and most different windows. */
#define FEATURE_MAX 10000
#define FEATURE_WINDOWS_MAX 64
#define FEATURE_DAYS_MAX 36500

/* Decimals of values that are summed as integers. */
#define FEATURE_SCALE 4
#define FEATURE_UNIT 10000.0

typedef enum FeatureAggregate
{
	FEATURE_COUNT,
	FEATURE_SUM,
	FEATURE_MEAN,
	FEATURE_MIN,
	FEATURE_MAX_VALUE,
	FEATURE_DAYS,
	FEATURE_RECENCY,
	FEATURE_TENURE
} FeatureAggregate;

/* One aggregate of a series in a window. */
typedef struct FeaturePart
{
	const char *series;
	FeatureAggregate aggregate;
	int32 days; /* of the window, 0 for lifetime */
	int slot;   /* number of the series */
	int window; /* number of the window */
} FeaturePart;

/* A feature: a part, or a part divided by another. */
typedef struct Feature
{
	char *name;
	FeaturePart part;
	bool divided;
	FeaturePart divisor;
} Feature;

/* Which facts of a series any feature asks for. */
#define FEATURE_WANT_VALUES 0x01
#define FEATURE_WANT_DAYS 0x02

/*
 * Features with their series, in the order of bytes, and their windows,
 * shortest first. A row belongs to its series and to those whose names are
 * the beginning of its own up to a dot.
 */
typedef struct FeaturePlan
{
	int nfeatures;
	Feature *features;
	int nslots;
	const char **series;
	int *parents;  /* the series that a series is part of, -1 for none */
	uint8 *wanted; /* by series */
	int nwindows;
	int32 *windows; /* in days, the last 0 when there is a lifetime */
	bool forever;   /* some feature looks at all rows before as_of */
} FeaturePlan;

/* How the value of a row is written. */
typedef enum FeatureValue
{
	FEATURE_VALUE_NULL,
	FEATURE_VALUE_SCALED, /* value / 10^FEATURE_SCALE */
	FEATURE_VALUE_FLOAT,  /* the bits of a float8 */
	FEATURE_VALUE_ITEM    /* a hash: later rows with it do not count */
} FeatureValue;

/* A row of the source, 32 bytes. */
typedef struct FeatureRow
{
	CoreRecord head; /* person, time */
	int64 value;
	int32 slot;  /* series, -1 for a row that does not count */
	uint32 kind; /* FeatureValue */
} FeatureRow;

/* A request, 24 bytes. */
typedef struct FeatureRequest
{
	CoreRecord head;   /* person, as_of */
	int64 customer_id; /* as requested */
} FeatureRequest;

/* What was read: stores of the requests and of the rows. */
typedef struct FeatureData
{
	CoreGroup *requests;
	CoreGroup *rows;
	int workers;
} FeatureData;

/* feature.c */
extern FeaturePlan *feature_plan(ArrayType *expressions);

/* feature_read.c */
extern FeatureData feature_read(const FeaturePlan *plan, const char *source,
								const char *requests, const char *aliases);
extern void feature_read_init(void);

/* feature_sum.c */
typedef struct FeatureSums FeatureSums;

extern FeatureSums *feature_sums_create(const FeaturePlan *plan);
extern void feature_sums_begin(FeatureSums *sums, const CoreSpan *rows);
extern void feature_sums_compute(FeatureSums *sums, const CoreSpan *rows,
								 TimestampTz as_of, float8 *values,
								 bool *nulls);

/* feature_compute.c */
extern void feature_init(void);

#endif /* IAROS_PROFILE_FEATURE_H */
