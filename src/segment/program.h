/*
 * Rules as a program on the columns of one type of row. Every condition on
 * a column becomes a set of 64-bit keys, and all conditions on a column
 * together cut its keys into ranges; a value becomes the number of its
 * range, a code of one or two bytes, and a condition a few ranges of codes.
 * NOT is taken into the conditions, so that it is enough to know where each
 * is true: where a value is NULL, neither a condition nor its negation is.
 */
#ifndef IAROS_SEGMENT_PROGRAM_H
#define IAROS_SEGMENT_PROGRAM_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "pgtime.h"
#include "segment/rule.h"
#include "segment/set.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/numeric.h"

/* Rows that are evaluated together. */
#define SEGMENT_BATCH 1024
#define SEGMENT_WORDS (SEGMENT_BATCH / 64)

/*
 * From the keys of a column of a batch to those of the next, and from its
 * nulls. They are more than the rows, so that what columns have of one row
 * is not all in the same set of the cache.
 */
#define SEGMENT_KEYS (SEGMENT_BATCH + 8)
#define SEGMENT_NULLS (SEGMENT_BATCH + 64)

/* Families of types, by the way that their values are read. */
typedef enum SegmentKind
{
	SEGMENT_OTHER, /* can only be NULL or not */
	SEGMENT_BOOL,
	SEGMENT_INT2,
	SEGMENT_INT4,
	SEGMENT_INT8,
	SEGMENT_NUMERIC,
	SEGMENT_FLOAT4,
	SEGMENT_FLOAT8,
	SEGMENT_DATE,
	SEGMENT_TIMESTAMP,
	SEGMENT_TIMESTAMPTZ,
	SEGMENT_TEXT,
	SEGMENT_BPCHAR,
	SEGMENT_NAME,
	SEGMENT_CHAR, /* "char", one byte */
	SEGMENT_UUID,
	SEGMENT_ENUM,
} SegmentKind;

/* Bytes that a text may have to begin with in the use for that. */
#define SEGMENT_PREFIX_MAX 8

/* What of its values a condition looks at. */
typedef enum SegmentUse
{
	SEGMENT_VALUE,    /* keys in the order of the values */
	SEGMENT_PREFIX,   /* the first bytes of a text, in its order */
	SEGMENT_PATTERN,  /* 1 where a text has the pattern, else 0 */
	SEGMENT_CALENDAR, /* 32 * month + day */
} SegmentUse;

/* The moment of a question: only the conditions on time depend on it. */
typedef struct SegmentTime
{
	TimestampTz as_of;
	pg_tz *zone;
	DateADT day; /* of as_of in the zone */
} SegmentTime;

/* Offsets of a zone, by days. */
typedef struct SegmentZone SegmentZone;

/* The texts that conditions compare a column with, by number from 1. */
typedef struct SegmentWords
{
	int n;
	int room;
	struct SegmentWord *words;
	uint32 mask;
	int32 *slots; /* numbers of words, 0: free */
} SegmentWords;

/* How keys are turned into codes. */
typedef enum SegmentSearch
{
	SEGMENT_SEARCH_FEW,    /* count the cuts up to the key */
	SEGMENT_SEARCH_TABLE,  /* look a small range of keys up */
	SEGMENT_SEARCH_BUCKET, /* look where to begin, then count */
	SEGMENT_SEARCH_HALVES, /* binary search */
} SegmentSearch;

/* A column of the row, in one use. */
typedef struct SegmentColumn
{
	int attno; /* from 0 */
	SegmentKind kind;
	SegmentUse use;
	Oid type;    /* without domains */
	bool timed;  /* its sets depend on the moment */
	int nvalues; /* of its conditions */
	int nleaves;
	int *leaves; /* numbers of the terms that read it */

	/* Of numeric: keys are 2 * floor(value * 10^scale), + 1 if inexact. */
	int scale;
	bool wide; /* they do not fit: keys are places among the bounds */
	int nbounds;
	Numeric *bounds;
	int nnumbers; /* that it is compared with */
	int numbers_room;
	const RuleValue **numbers;
	int decimals;  /* the most of them */
	int64 largest; /* whole part of the largest, + 1 */

	SegmentWords *words; /* of texts */
	const char *pattern;
	int pattern_length;
	bool prefix; /* the pattern stands at the start */

	/* Known when the moment is: code = 1 + cuts up to the key, 0 of NULL. */
	int ncuts;
	int64 *cuts;
	SegmentSearch search;
	int64 base; /* lowest key of the table */
	uint64 span;
	int shift;
	int steps;
	uint16 *table;
} SegmentColumn;

/* A condition, or a group of conditions, of which one column is read. */
typedef struct SegmentMember
{
	const RuleNode *node;
	bool negated;
} SegmentMember;

typedef enum SegmentTermKind
{
	SEGMENT_LEAF,
	SEGMENT_AND,
	SEGMENT_OR,
} SegmentTermKind;

/* Codes first to first + width. */
typedef struct SegmentCodes
{
	uint16 first;
	uint16 width;
} SegmentCodes;

/* What has one mask: a leaf reads a column, the others read masks. */
typedef struct SegmentTerm
{
	SegmentTermKind kind;
	uint32 hash;
	/* Of a leaf. */
	int column;
	bool all; /* all members hold, else one of them */
	int nmembers;
	SegmentMember *members;
	int ncodes; /* known when the moment is */
	SegmentCodes *codes;
	uint8 *table; /* instead, 1 for each code in the set */
	/* Of a group: terms, which come before it. */
	int nparts;
	int *parts;
} SegmentTerm;

/* What stands for the number of a column where there is none. */
#define SEGMENT_MISSING (-1)
#define SEGMENT_AMBIGUOUS (-2)

/* The columns that a row has. */
typedef struct SegmentSource
{
	int natts;
	const char **names; /* NULL for one that was dropped */
	Oid *types;
} SegmentSource;

typedef struct SegmentProgram
{
	MemoryContext context;
	MemoryContext bounds; /* what depends on the moment */
	int nrules;
	int *roots;   /* the term of each rule */
	int *denials; /* and that of its negation, or NULL */
	int ncolumns;
	int columns_room;
	SegmentColumn *columns;
	int nterms;
	int terms_room;
	SegmentTerm *terms;
	int last; /* columns up to this one are read */
	bool timed;
	bool ready; /* the moment is known */
	SegmentTime time;
	SegmentZone *zone;
	struct SegmentRow *row; /* for one row at a time, or NULL */
} SegmentProgram;

/* How the value of a column is taken from a row. */
typedef enum SegmentTake
{
	SEGMENT_TAKE_COPY, /* as it is; keys are made later */
	SEGMENT_TAKE_TEXT, /* read once for all columns that are next */
	SEGMENT_TAKE_KEY,
} SegmentTake;

#define SEGMENT_TAKES (SEGMENT_TAKE_KEY + 1)

/* Where the values of a column go. */
typedef struct SegmentFetch
{
	const SegmentColumn *column;
	int attno;
	int64 *keys;
	uint8 *nulls;
} SegmentFetch;

/* Rows on their way to masks. */
typedef struct SegmentBatch
{
	const SegmentProgram *program;
	int n;
	int64 *keys;             /* by column, SEGMENT_KEYS each */
	uint8 *nulls;            /* by column, SEGMENT_NULLS each, 0 or 255 */
	uint8 *codes;            /* by column, SEGMENT_BATCH of 2 bytes each */
	uint64 *masks;           /* by term, SEGMENT_WORDS each */
	SegmentFetch *fetches;   /* columns by SegmentTake and attribute */
	int ends[SEGMENT_TAKES]; /* of the ways in this order */
	MemoryContext scratch;
} SegmentBatch;

/* Loops over a batch, built for more than one kind of processor. */
typedef struct SegmentKernels
{
	/* Up to so many cuts, count() is the fastest search. */
	int count_most;
	/* Writes for each key how many cuts are not above it. */
	void (*count)(const int64 *keys, const int64 *cuts, int ncuts,
				  uint16 *counts);
	/* Writes codes of one byte, 0 where nulls is 255. */
	void (*narrow)(const uint16 *counts, const uint8 *nulls, uint8 *codes);
	/* Masks the rows whose codes are in ranges, codes of one or two bytes. */
	void (*mask_narrow)(const uint8 *codes, const SegmentCodes *ranges,
						int nranges, uint64 *mask);
	void (*mask_wide)(const uint16 *codes, const SegmentCodes *ranges,
					  int nranges, uint64 *mask);
} SegmentKernels;

/* The places of the arguments of a function that asks rules of a record. */
typedef struct SegmentArgs
{
	int rules;
	int record;
	int as_of; /* these two may be beyond the last argument */
	int zone;
} SegmentArgs;

/* Rules bound to a type of record: what calls that follow have in common. */
typedef struct SegmentCall
{
	MemoryContext context; /* of all of it */
	uint64 enums;          /* how often enums had changed when it was made */
	bool array;            /* of rules */
	struct varlena *rules; /* a copy of the argument */
	uint64 row_type;       /* as the type cache knows it */
	TupleDesc desc;
	Datum *values;
	bool *nulls;
	SegmentProgram *program;
	char zone_name[TZ_STRLEN_MAX + 1];
	pg_tz *zone;
	uint64 hash;  /* of the rules */
	int32 *found; /* rules that are true */
} SegmentCall;

/* program.c */
extern SegmentSource *segment_source(TupleDesc desc);
extern int segment_source_find(const SegmentSource *source, const char *name);
extern SegmentProgram *segment_program_bind(MemoryContext context,
											const SegmentSource *source,
											const SegmentRule **rules,
											int nrules, bool denials);
extern void segment_program_at(SegmentProgram *program, TimestampTz as_of,
							   pg_tz *zone);
extern const SegmentRule **segment_rules(ArrayType *array, int *nrules);

extern uint64 segment_rules_hash(const SegmentRule **rules, int nrules);

/* call.c */
extern SegmentCall *segment_call_evaluate(FunctionCallInfo fcinfo,
										  const SegmentArgs *args, bool array);

/* condition.c */
extern SegmentKind segment_kind(Oid type);
extern SegmentUse segment_condition_use(const RuleNode *node,
										SegmentKind kind);
extern bool segment_condition_fits(const RuleNode *node, SegmentKind kind,
								   const RuleValue **misfit);
extern bool segment_condition_timed(const RuleNode *node, SegmentKind kind);
extern void segment_condition_learn(SegmentColumn *column,
									const RuleNode *node);
extern RuleDuration segment_duration(const RuleDuration *duration,
									 int64 units);
extern void segment_column_settle(SegmentColumn *column);
extern SegmentSet segment_condition_set(const SegmentColumn *column,
										const RuleNode *node, bool negated,
										const SegmentTime *time);

/* time.c */
extern pg_tz *segment_zone(const char *name);
extern SegmentTime segment_time(TimestampTz as_of, pg_tz *zone);
extern Timestamp segment_time_local(TimestampTz at, pg_tz *zone);
extern TimestampTz segment_time_utc(Timestamp local, pg_tz *zone);
extern int64 segment_time_floor(Timestamp at);
extern int segment_time_calendar(int64 day);
extern SegmentZone *segment_zone_create(MemoryContext context, pg_tz *zone);
extern Timestamp segment_zone_local(SegmentZone *cache, TimestampTz at);

/* words.c */
extern int segment_words_find(const SegmentWords *words, const char *text,
							  int length);
extern void segment_words_add(SegmentWords *words, const char *text,
							  int length);
extern int64 segment_text_prefix(const char *text, int length);
extern bool segment_text_matches(const SegmentColumn *column, const char *text,
								 int length);

/* kernel.c */
extern const SegmentKernels *segment_kernels(void);

/* column.c */
extern int64 segment_float_key(float8 value);
extern void segment_column_cut(SegmentColumn *column, int64 *cuts, int ncuts);
extern int segment_column_code(const SegmentColumn *column, int64 key);
extern bool segment_column_key(const SegmentColumn *column,
							   const SegmentProgram *program, Datum value,
							   int64 *key);
extern SegmentTake segment_column_take(const SegmentColumn *column);
extern void segment_column_texts(const SegmentFetch *fetches, int n,
								 Datum value, int row);
extern void segment_column_keys(const SegmentColumn *column,
								const SegmentProgram *program, int n,
								int64 *keys, uint8 *nulls);
extern void segment_column_codes(const SegmentColumn *column,
								 const int64 *keys, const uint8 *nulls,
								 void *codes);

/* Tells whether codes have one byte. */
static inline bool
segment_column_narrow(const SegmentColumn *column)
{
	return column->ncuts <= PG_UINT8_MAX - 1;
}

/* evaluate.c */
extern SegmentBatch *segment_batch_create(const SegmentProgram *program);
extern void segment_batch_put(SegmentBatch *batch, const Datum *values,
							  const bool *nulls);
extern void segment_batch_evaluate(SegmentBatch *batch);
extern void segment_program_row(SegmentProgram *program, const Datum *values,
								const bool *nulls);
/* Of the row given last: is the term true? */
extern bool segment_program_true(const SegmentProgram *program, int term);

/* agg.c */
extern void segment_agg_init(void);

/* scan.c */
extern void segment_init(void);

#endif /* IAROS_SEGMENT_PROGRAM_H */
