/*
 * Type segment_rule: a condition on records, written as JSON, kept in a
 * canonical form. Rules that mean the same after nested groups of one logic
 * are joined, parts sorted, repeated parts dropped and NOT is taken into
 * single conditions have the same bytes.
 */
#ifndef IAROS_SEGMENT_RULE_H
#define IAROS_SEGMENT_RULE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"

/* Bounds of a rule. */
#define RULE_TEXT_MAX 65536  /* bytes of its JSON */
#define RULE_DEPTH_MAX 20    /* groups in groups */
#define RULE_LIST_MAX 1000   /* values of IN */
#define RULE_VALUE_MAX 1000  /* bytes of a text */
#define RULE_NAME_MAX 63     /* bytes of a field, kind of event or property */
#define RULE_SEGMENT_MAX 400 /* bytes of the name of a segment */
#define RULE_KEYS_MAX 100    /* properties of where */

/* Bounds of what segment_rule_replace() and its like make. */
#define RULE_NODES_MAX 10000   /* conditions and groups */
#define RULE_LEVELS_MAX 100    /* groups in groups */
#define RULE_BYTES_MAX 1048576 /* of the stored form */

typedef enum RuleKind
{
	RULE_AND,
	RULE_OR,
	RULE_NOT,     /* of one child */
	RULE_FIELD,   /* name, operator, values */
	RULE_EVENT,   /* name is the kind of event; counts */
	RULE_SEGMENT, /* name is that of a segment */
} RuleKind;

typedef enum RuleOperator
{
	RULE_EQ,
	RULE_NE,
	RULE_LT,
	RULE_LE,
	RULE_GT,
	RULE_GE,
	RULE_IN,
	RULE_NOT_IN,
	RULE_BETWEEN,
	RULE_CONTAINS,
	RULE_STARTS_WITH,
	RULE_IS_NULL,
	RULE_IS_NOT_NULL,
	RULE_WITHIN,      /* as_of - value < field <= as_of */
	RULE_BEFORE,      /* field <= as_of - value */
	RULE_NEXT,        /* as_of <= field < as_of + value */
	RULE_MONTH,       /* month of the field: 1 to 12, or this, last, next */
	RULE_ANNIVERSARY, /* month and day come again within value days */
	RULE_TOP,         /* among the value percent with the most */
	RULE_BOTTOM,
} RuleOperator;

typedef enum RuleValueKind
{
	RULE_BOOLEAN,
	RULE_NUMBER,
	RULE_TEXT,     /* also days and times: the type of the column decides */
	RULE_DURATION, /* a text of that form, such as 30 days */
} RuleValueKind;

/*
 * A length of time: months are of the calendar, the rest is exact. After <,
 * >=, WITHIN, BEFORE, NEXT and ANNIVERSARY only the length counts, and is
 * written in the largest unit but weeks that divides it; after the other
 * operators the unit is that of the age in whole units, and is kept.
 */
typedef struct RuleDuration
{
	int32 months;
	int64 micros;
	int32 count; /* as written: 30 days is 30 units of ... */
	char unit;   /* s, m (minutes), h, d, w, M (months), y */
} RuleDuration;

/* A day or a time as rules write them. */
typedef struct RuleMoment
{
	bool day;     /* no time of day: the day as a whole */
	bool zoned;   /* at is UTC; else local time of the zone of the question */
	Timestamp at; /* the time, or the start of the day */
} RuleMoment;

typedef struct RuleValue
{
	RuleValueKind kind;
	/*
	 * Canonical; also of booleans and numbers. After =, !=, IN and NOT IN a
	 * text is as written, even if it reads as a duration, a day or a time,
	 * since the column may be a text.
	 */
	const char *text;
	int length;
	RuleDuration duration; /* of RULE_DURATION */
} RuleValue;

typedef struct RuleNode
{
	RuleKind kind;
	RuleOperator operator;
	const char *name; /* field, kind of event or segment */
	const char *fact; /* column that the condition reads, see below */
	int nvalues;
	RuleValue *values;
	int nchildren;
	struct RuleNode **children;
	/* Of RULE_EVENT: at_least <= count <= at_most (-1: no bound). */
	int32 at_least;
	int32 at_most;
	bool bounded;          /* only events of the time within */
	RuleDuration within;   /* of as_of */
	const char *condition; /* canonical JSON of where, or NULL */
} RuleNode;

/*
 * The column that a condition reads:
 *   RULE_FIELD     the field by its name
 *   TOP, BOTTOM    boolean top:<percent>:<field>, bottom:<percent>:<field>
 *   RULE_EVENT     bigint event:<16 hex digits>, a hash of the canonical
 *                  JSON of kind, within and where
 *   RULE_SEGMENT   boolean segment:<name>
 */

/* The stored form: a varlena; the nodes follow in an order of rule.c. */
typedef struct SegmentRule
{
	int32 vl_len_; /* varlena header, not to be touched directly */
	uint8 version;
	uint8 depth;
	uint16 nnodes;
	char data[FLEXIBLE_ARRAY_MEMBER];
} SegmentRule;

#define RULE_VERSION 1

#define DatumGetSegmentRuleP(datum) ((SegmentRule *) PG_DETOAST_DATUM(datum))
#define SegmentRulePGetDatum(rule) PointerGetDatum(rule)
#define PG_GETARG_SEGMENT_RULE_P(n) DatumGetSegmentRuleP(PG_GETARG_DATUM(n))
#define PG_RETURN_SEGMENT_RULE_P(rule) PG_RETURN_POINTER(rule)

/* rule_parse.c: JSON text to a tree that is not yet canonical. */
extern RuleNode *rule_parse(const char *json, int length);

/* rule.c; a tree points into a copy of the rule in the current context. */
extern SegmentRule *rule_make(RuleNode *tree); /* canonical and flat */
extern RuleNode *rule_tree(const SegmentRule *rule);
extern void rule_check_size(int nnodes, int depth, Size size);
extern char *rule_json(const RuleNode *node); /* canonical JSON */
/* Of the fact that a condition reads, not of a group. */
extern char *rule_fact_json(const RuleNode *node);
/* JSON of where; NULL without properties, which are IN conditions. */
extern char *rule_condition_json(RuleNode **properties, int n);
extern const char *rule_operator_name(RuleOperator operator);

/* rule_value.c */
extern bool rule_duration_parse(const char *text, int length,
								RuleDuration *duration);
extern void rule_duration_shorten(RuleDuration *duration);
extern char *rule_duration_text(const RuleDuration *duration);
extern bool rule_moment_parse(const char *text, int length,
							  RuleMoment *moment);
extern char *rule_moment_text(const RuleMoment *moment);
extern char *rule_number_text(const char *number);
extern int rule_number_compare(const char *a, const char *b);
extern bool rule_ordered(const RuleValue *low, const RuleValue *high);
/* as_of minus (sign -1) or plus (sign 1) a duration; months in UTC. */
extern TimestampTz rule_duration_shift(TimestampTz as_of,
									   const RuleDuration *duration, int sign);

#endif /* IAROS_SEGMENT_RULE_H */
