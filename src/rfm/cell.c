/*
 * Type rfm: three scores in two bytes, and the segment that iaros ships for
 * each cell of scores from 1 to 5.
 *
 * Comparison, order and hash are those of smallint, which has the same bytes;
 * the SQL names the server's functions for them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/stream.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "rfm/rfm.h"
#include "utils/builtins.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

/* The shipped map knows scores from 1 to so many. */
#define RULE_LEVELS 5

/* An error message quotes at most so many bytes of an input. */
#define RFM_QUOTED 64

/* A shipped rule: the segment of the cells in three ranges of scores. */
typedef struct RfmRule
{
	const char *segment;
	uint8 r[2]; /* first and last score */
	uint8 f[2];
	uint8 m[2];
} RfmRule;

#define ONE(score)                                                            \
	{                                                                         \
		score, score                                                          \
	}
#define FROM(score)                                                           \
	{                                                                         \
		score, RULE_LEVELS                                                    \
	}
#define ANY                                                                   \
	{                                                                         \
		1, RULE_LEVELS                                                        \
	}
#define CELL(r, f, m) ONE(r), ONE(f), ONE(m)

/*
 * The first rule that matches a cell names its segment. First come the cells
 * that are listed, three a segment; 511 is listed for Promising, too, and
 * the first holds. The others go by ranges.
 */
/* clang-format off */
static const RfmRule rfm_rules[] = {
	{"Champions", CELL(5, 5, 5)},
	{"Champions", CELL(5, 5, 4)},
	{"Champions", CELL(5, 4, 4)},
	{"Loyal Customers", CELL(5, 4, 5)},
	{"Loyal Customers", CELL(4, 5, 5)},
	{"Loyal Customers", CELL(4, 5, 4)},
	{"Potential Loyalists", CELL(5, 4, 3)},
	{"Potential Loyalists", CELL(4, 4, 4)},
	{"Potential Loyalists", CELL(4, 3, 5)},
	{"Recent Customers", CELL(5, 1, 1)},
	{"Recent Customers", CELL(5, 1, 2)},
	{"Recent Customers", CELL(5, 2, 1)},
	{"Promising", CELL(4, 2, 1)},
	{"Promising", CELL(4, 1, 2)},
	{"Needs Attention", CELL(4, 3, 3)},
	{"Needs Attention", CELL(3, 4, 3)},
	{"Needs Attention", CELL(3, 3, 4)},
	{"About to Sleep", CELL(3, 3, 1)},
	{"About to Sleep", CELL(3, 2, 1)},
	{"About to Sleep", CELL(3, 1, 2)},
	{"At Risk", CELL(2, 3, 3)},
	{"At Risk", CELL(2, 3, 4)},
	{"At Risk", CELL(2, 4, 4)},
	{"Can't Lose Them", CELL(1, 5, 5)},
	{"Can't Lose Them", CELL(1, 5, 4)},
	{"Can't Lose Them", CELL(1, 4, 4)},
	{"Hibernating", CELL(2, 2, 1)},
	{"Hibernating", CELL(2, 2, 2)},
	{"Hibernating", CELL(2, 2, 3)},
	{"Lost", CELL(1, 1, 1)},
	{"Lost", CELL(1, 1, 2)},
	{"Lost", CELL(1, 2, 1)},
	{"Loyal Customers", FROM(4), FROM(4), FROM(4)},
	{"Potential Loyalists", FROM(4), FROM(3), ANY},
	{"Potential Loyalists", FROM(4), ANY, FROM(4)},
	{"Recent Customers", ONE(5), ANY, ANY},
	{"Promising", ONE(4), ANY, ANY},
	{"Needs Attention", ONE(3), FROM(4), ANY},
	{"Needs Attention", ONE(3), ANY, FROM(4)},
	{"Needs Attention", CELL(3, 3, 3)},
	{"About to Sleep", ONE(3), ANY, ANY},
	{"Can't Lose Them", ONE(1), FROM(4), FROM(4)},
	{"At Risk", {1, 2}, FROM(3), FROM(3)},
	{"Hibernating", ONE(2), ANY, ANY},
	{"Hibernating", ONE(1), FROM(3), ANY},
	{"Hibernating", ONE(1), ANY, FROM(3)},
	{"Lost", ONE(1), ANY, ANY},
};
/* clang-format on */

/* Ranks leave room for rules of a user between two shipped ones. */
#define RULE_RANK(i) (((i) + 1) * 10)

/* Is the score in the range of a rule? */
static inline bool
rule_holds(const uint8 range[2], int score)
{
	return score >= range[0] && score <= range[1];
}

/* Finds the segment of a cell; NULL when the map has no such cell. */
static const char *
rule_segment(Rfm cell)
{
	for (int i = 0; i < lengthof(rfm_rules); i++)
	{
		const RfmRule *rule = &rfm_rules[i];

		if (rule_holds(rule->r, RFM_R(cell)) &&
			rule_holds(rule->f, RFM_F(cell)) &&
			rule_holds(rule->m, RFM_M(cell)))
			return rule->segment;
	}
	return NULL;
}

/*
 * Checks a number that shall be a cell; shown is how the caller wrote it.
 * Every way into the type ends here.
 */
static Datum
rfm_checked(int32 number, int sqlstate, const char *shown, Node *escontext)
{
	if (!rfm_valid(number))
		ereturn(escontext, (Datum) 0,
				(errcode(sqlstate), errmsg("invalid RFM cell: \"%s\"", shown),
				 errdetail("A cell is three scores from %d to %d: recency, "
						   "frequency and monetary value.",
						   RFM_SCORE_MIN, RFM_SCORE_MAX),
				 errhint("Write it like 543.")));
	return RfmGetDatum((Rfm) number);
}

/* Checks a cell that the caller wrote as a number. */
static Datum
rfm_checked_number(int32 number, int sqlstate)
{
	char shown[12];

	pg_ltoa(number, shown);
	return rfm_checked(number, sqlstate, shown, NULL);
}

/* Reads three digits; 0, which is no cell, for any other text. */
static int32
parse_cell(const char *input)
{
	int32 number = 0;

	if (strlen(input) != 3)
		return 0;
	for (int i = 0; i < 3; i++)
	{
		if (input[i] < '0' || input[i] > '9')
			return 0;
		number = number * 10 + (input[i] - '0');
	}
	return number;
}

/* Copies an input for a message, clipped if it is long. */
const char *
rfm_quote(const char *input)
{
	int length = (int) strlen(input);

	if (length <= RFM_QUOTED)
		return input;
	length = pg_mbcliplen(input, length, RFM_QUOTED);
	return psprintf("%.*s...", length, input);
}

PG_FUNCTION_INFO_V1(rfm_in);
/* Reads the text form of a cell. */
PGDLLEXPORT Datum
rfm_in(PG_FUNCTION_ARGS)
{
	const char *input = PG_GETARG_CSTRING(0);
	int32 number = parse_cell(input);

	if (number == 0)
		input = rfm_quote(input);
	return rfm_checked(number, ERRCODE_INVALID_TEXT_REPRESENTATION, input,
					   fcinfo->context);
}

PG_FUNCTION_INFO_V1(rfm_out);
/* Writes the text form of a cell. */
PGDLLEXPORT Datum
rfm_out(PG_FUNCTION_ARGS)
{
	char *result = palloc(8);

	pg_itoa(PG_GETARG_RFM(0), result);
	PG_RETURN_CSTRING(result);
}

PG_FUNCTION_INFO_V1(rfm_recv);
/* Reads the binary form of a cell, an integer of two bytes. */
PGDLLEXPORT Datum
rfm_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);

	return rfm_checked_number((int16) pq_getmsgint(message, sizeof(int16)),
							  ERRCODE_INVALID_BINARY_REPRESENTATION);
}

PG_FUNCTION_INFO_V1(rfm_send);
/* Writes the binary form of a cell. */
PGDLLEXPORT Datum
rfm_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint16(&message, PG_GETARG_RFM(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

PG_FUNCTION_INFO_V1(rfm_from_integer);
/* Casts an integer such as 543. */
PGDLLEXPORT Datum
rfm_from_integer(PG_FUNCTION_ARGS)
{
	return rfm_checked_number(PG_GETARG_INT32(0),
							  ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
}

PG_FUNCTION_INFO_V1(rfm_to_integer);
/* Casts to an integer such as 543. */
PGDLLEXPORT Datum
rfm_to_integer(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_RFM(0));
}

PG_FUNCTION_INFO_V1(rfm_make);
/* Makes a cell of three scores. */
PGDLLEXPORT Datum
rfm_make(PG_FUNCTION_ARGS)
{
	int32 number = 0;

	for (int i = 0; i < 3; i++)
	{
		int32 score = PG_GETARG_INT32(i);

		if (score < RFM_SCORE_MIN || score > RFM_SCORE_MAX)
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("score \"%d\" is out of range", score),
							errdetail("A score is an integer from %d to %d.",
									  RFM_SCORE_MIN, RFM_SCORE_MAX)));
		number = number * 10 + score;
	}
	return rfm_checked_number(number, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
}

PG_FUNCTION_INFO_V1(rfm_r);
/* Tells the score of recency. */
PGDLLEXPORT Datum
rfm_r(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(RFM_R(PG_GETARG_RFM(0)));
}

PG_FUNCTION_INFO_V1(rfm_f);
/* Tells the score of frequency. */
PGDLLEXPORT Datum
rfm_f(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(RFM_F(PG_GETARG_RFM(0)));
}

PG_FUNCTION_INFO_V1(rfm_m);
/* Tells the score of monetary value. */
PGDLLEXPORT Datum
rfm_m(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(RFM_M(PG_GETARG_RFM(0)));
}

PG_FUNCTION_INFO_V1(rfm_segment);
/* Names the segment that iaros ships for a cell. */
PGDLLEXPORT Datum
rfm_segment(PG_FUNCTION_ARGS)
{
	const char *segment = rule_segment(PG_GETARG_RFM(0));

	if (segment == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(segment));
}

/* Makes an int4range of a rule's scores. */
static Datum
rule_range(TypeCacheEntry *type, const uint8 range[2])
{
	RangeBound lower = {Int32GetDatum(range[0]), false, true, true};
	RangeBound upper = {Int32GetDatum(range[1] + 1), false, false, false};

	return RangeTypePGetDatum(make_range(type, &lower, &upper, false));
}

/* Fills in the row of a rule. */
static void
rule_row(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	TypeCacheEntry *type =
		lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);
	const RfmRule *rule = &rfm_rules[i];

	values[0] = Int32GetDatum(RULE_RANK(i));
	values[1] = CStringGetTextDatum(rule->segment);
	values[2] = rule_range(type, rule->r);
	values[3] = rule_range(type, rule->f);
	values[4] = rule_range(type, rule->m);
	memset(nulls, false, 5 * sizeof(bool));
}

PG_FUNCTION_INFO_V1(rfm_shipped_rules);
/* Lists the shipped rules in the order in which they are tried. */
PGDLLEXPORT Datum
rfm_shipped_rules(PG_FUNCTION_ARGS)
{
	const CoreRows rows = {.n = lengthof(rfm_rules), .get = rule_row};

	return core_rows_return(fcinfo, &rows);
}
