/* SQL functions of type segment_rule: input, output, comparison, casts. */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "segment/rule.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

/* Reads a rule from JSON, the one way in. */
static SegmentRule *
rule_read(const char *json, int length)
{
	SegmentRule *rule = rule_make(rule_parse(json, length));
	int written = strlen(rule_json(rule_tree(rule)));

	/* What is written must be short enough to be read. */
	if (written > RULE_TEXT_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rule is longer than %d bytes", RULE_TEXT_MAX),
						errdetail("At the top. In canonical form it takes %d "
								  "bytes.",
								  written)));
	return rule;
}

/* Compares two rules by their bytes. */
static int
rule_compare(const SegmentRule *a, const SegmentRule *b)
{
	int alength = VARSIZE(a) - offsetof(SegmentRule, data);
	int blength = VARSIZE(b) - offsetof(SegmentRule, data);
	int diff = memcmp(a->data, b->data, Min(alength, blength));

	return diff != 0 ? diff : alength - blength;
}

/* Compares the rules that a comparison function got. */
static int
rule_compare_arguments(FunctionCallInfo fcinfo)
{
	SegmentRule *a = PG_GETARG_SEGMENT_RULE_P(0);
	SegmentRule *b = PG_GETARG_SEGMENT_RULE_P(1);
	int result = rule_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

PG_FUNCTION_INFO_V1(segment_rule_in);
/* Input function: JSON. */
Datum
segment_rule_in(PG_FUNCTION_ARGS)
{
	const char *json = PG_GETARG_CSTRING(0);

	PG_RETURN_SEGMENT_RULE_P(rule_read(json, strlen(json)));
}

PG_FUNCTION_INFO_V1(segment_rule_out);
/* Output function: canonical JSON. */
Datum
segment_rule_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(rule_json(rule_tree(PG_GETARG_SEGMENT_RULE_P(0))));
}

PG_FUNCTION_INFO_V1(segment_rule_recv);
/* Binary input function: a version and JSON. */
Datum
segment_rule_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	char *json;
	int length;

	if (message->cursor >= message->len ||
		pq_getmsgbyte(message) != RULE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("version of a segment_rule is not known"),
				 errhint("The first byte is the version, %d.", RULE_VERSION)));
	json = pq_getmsgtext(message, message->len - message->cursor, &length);
	PG_RETURN_SEGMENT_RULE_P(rule_read(json, length));
}

PG_FUNCTION_INFO_V1(segment_rule_send);
/* Binary output function: a version and canonical JSON. */
Datum
segment_rule_send(PG_FUNCTION_ARGS)
{
	char *json = rule_json(rule_tree(PG_GETARG_SEGMENT_RULE_P(0)));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbyte(&message, RULE_VERSION);
	pq_sendtext(&message, json, strlen(json));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

PG_FUNCTION_INFO_V1(segment_rule_from_jsonb);
/* Cast from jsonb. */
Datum
segment_rule_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	char *json = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));

	PG_RETURN_SEGMENT_RULE_P(rule_read(json, strlen(json)));
}

PG_FUNCTION_INFO_V1(segment_rule_to_jsonb);
/* Cast to jsonb. */
Datum
segment_rule_to_jsonb(PG_FUNCTION_ARGS)
{
	char *json = rule_json(rule_tree(PG_GETARG_SEGMENT_RULE_P(0)));

	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

PG_FUNCTION_INFO_V1(segment_rule_cmp);
/* Order of the bytes. */
Datum
segment_rule_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(rule_compare_arguments(fcinfo));
}

PG_FUNCTION_INFO_V1(segment_rule_eq);
/* Equal. */
Datum
segment_rule_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(segment_rule_ne);
/* Not equal. */
Datum
segment_rule_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(segment_rule_lt);
/* Before. */
Datum
segment_rule_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(segment_rule_le);
/* Before or equal. */
Datum
segment_rule_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(segment_rule_gt);
/* After. */
Datum
segment_rule_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(segment_rule_ge);
/* After or equal. */
Datum
segment_rule_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(segment_rule_hash);
/* Hash of 32 bits. */
Datum
segment_rule_hash(PG_FUNCTION_ARGS)
{
	SegmentRule *rule = PG_GETARG_SEGMENT_RULE_P(0);
	uint32 hash =
		hash_bytes((unsigned char *) rule->data,
				   (int) (VARSIZE(rule) - offsetof(SegmentRule, data)));

	PG_FREE_IF_COPY(rule, 0);
	PG_RETURN_INT32((int32) hash);
}

PG_FUNCTION_INFO_V1(segment_rule_hash_extended);
/* Hash of 64 bits for a seed. */
Datum
segment_rule_hash_extended(PG_FUNCTION_ARGS)
{
	SegmentRule *rule = PG_GETARG_SEGMENT_RULE_P(0);
	uint64 hash = hash_bytes_extended(
		(unsigned char *) rule->data,
		(int) (VARSIZE(rule) - offsetof(SegmentRule, data)),
		(uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(rule, 0);
	PG_RETURN_INT64((int64) hash);
}
