/*
 * segment_match() and segment_matches(): rules on one record. The program
 * of the last call is kept while its rules and the type of the record are
 * the same; another moment changes its bounds only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "segment/program.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Arguments of both functions. */
enum
{
	ARG_RULES,
	ARG_RECORD,
	ARG_AS_OF,
	ARG_ZONE
};

/* What calls of one place in a query have in common. */
typedef struct MatchCache
{
	MemoryContext context; /* of what is below */
	bool constant;         /* the rules never change */
	struct varlena *rules; /* a copy of the argument */
	uint64 row_type;       /* as the type cache knows it */
	TupleDesc desc;
	Datum *values;
	bool *nulls;
	SegmentProgram *program; /* NULL: none of the above is valid */
	char zone_name[TZ_STRLEN_MAX + 1];
	pg_tz *zone;
	int32 *found; /* rules that are true */
} MatchCache;

/* Tells whether an argument is a constant of the query. */
static bool
match_constant(const FmgrInfo *flinfo, int arg)
{
	const FuncExpr *call = (const FuncExpr *) flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) &&
		   list_length(call->args) > arg &&
		   IsA(list_nth(call->args, arg), Const);
}

/* Returns the cache of a call. */
static MatchCache *
match_cache(FunctionCallInfo fcinfo)
{
	MatchCache *cache = fcinfo->flinfo->fn_extra;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									   sizeof(MatchCache));
		cache->context =
			AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
								  "iaros segment match", ALLOCSET_SMALL_SIZES);
		cache->constant = match_constant(fcinfo->flinfo, ARG_RULES);
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

/* Tells whether the rules are those of the cache. */
static bool
match_same_rules(const MatchCache *cache, const struct varlena *rules)
{
	return VARSIZE(rules) == VARSIZE(cache->rules) &&
		   memcmp(rules, cache->rules, VARSIZE(rules)) == 0;
}

/* Binds rules to the type of a record. */
static void
match_bind(MatchCache *cache, const struct varlena *rules, bool array,
		   HeapTupleHeader record, uint64 row_type)
{
	MemoryContext caller;
	const SegmentRule *one;
	const SegmentRule **all = &one;
	int nrules = 1;

	cache->program = NULL;
	MemoryContextReset(cache->context);
	caller = MemoryContextSwitchTo(cache->context);
	cache->rules = memcpy(palloc(VARSIZE(rules)), rules, VARSIZE(rules));
	cache->row_type = row_type;
	cache->desc = lookup_rowtype_tupdesc_copy(
		HeapTupleHeaderGetTypeId(record), HeapTupleHeaderGetTypMod(record));
	if (array)
		all = segment_rules((ArrayType *) cache->rules, &nrules);
	else
		one = (const SegmentRule *) cache->rules;
	cache->found = palloc(Max(nrules, 1) * sizeof(int32));
	cache->program = segment_program_bind(
		cache->context, segment_source(cache->desc), all, nrules, !array);
	cache->values = palloc(Max(cache->desc->natts, 1) * sizeof(Datum));
	cache->nulls = palloc(Max(cache->desc->natts, 1) * sizeof(bool));
	MemoryContextSwitchTo(caller);
}

/* Returns the zone of a call. */
static pg_tz *
match_zone(MatchCache *cache, const text *name)
{
	int length = VARSIZE_ANY_EXHDR(name);

	if (cache->zone == NULL || strlen(cache->zone_name) != length ||
		memcmp(cache->zone_name, VARDATA_ANY(name), length) != 0)
	{
		char *copy = text_to_cstring(name);

		cache->zone = segment_zone(copy);
		strlcpy(cache->zone_name, copy, sizeof(cache->zone_name));
		pfree(copy);
	}
	return cache->zone;
}

/* Evaluates the rules of a call on its record. */
static MatchCache *
match_evaluate(FunctionCallInfo fcinfo, bool array)
{
	MatchCache *cache = match_cache(fcinfo);
	HeapTupleHeader record = PG_GETARG_HEAPTUPLEHEADER(ARG_RECORD);
	uint64 row_type = assign_record_type_identifier(
		HeapTupleHeaderGetTypeId(record), HeapTupleHeaderGetTypMod(record));
	HeapTupleData tuple;

	if (cache->program == NULL || cache->row_type != row_type ||
		!cache->constant)
	{
		struct varlena *rules = PG_DETOAST_DATUM(PG_GETARG_DATUM(ARG_RULES));

		if (cache->program == NULL || cache->row_type != row_type ||
			!match_same_rules(cache, rules))
			match_bind(cache, rules, array, record, row_type);
		PG_FREE_IF_COPY(rules, ARG_RULES);
	}
	segment_program_at(cache->program, PG_GETARG_TIMESTAMPTZ(ARG_AS_OF),
					   match_zone(cache, PG_GETARG_TEXT_PP(ARG_ZONE)));
	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, cache->desc, cache->values, cache->nulls);
	segment_program_row(cache->program, cache->values, cache->nulls);
	PG_FREE_IF_COPY(record, ARG_RECORD);
	return cache;
}

PG_FUNCTION_INFO_V1(segment_match);

/*
 * SQL: segment_match(rule segment_rule, record record, as_of timestamptz,
 * zone text)
 */
Datum
segment_match(PG_FUNCTION_ARGS)
{
	const SegmentProgram *program = match_evaluate(fcinfo, false)->program;

	if (segment_program_true(program, program->roots[0]))
		PG_RETURN_BOOL(true);
	if (segment_program_true(program, program->denials[0]))
		PG_RETURN_BOOL(false);
	PG_RETURN_NULL();
}

/* Returns numbers as an array of integers. */
static ArrayType *
match_array(const int32 *numbers, int n)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + (Size) n * sizeof(int32);
	ArrayType *array;

	if (n == 0)
		return construct_empty_array(INT4OID);
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = INT4OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), numbers, n * sizeof(int32));
	return array;
}

PG_FUNCTION_INFO_V1(segment_matches);

/*
 * SQL: segment_matches(rules segment_rule[], record record, as_of
 * timestamptz, zone text)
 */
Datum
segment_matches(PG_FUNCTION_ARGS)
{
	MatchCache *cache = match_evaluate(fcinfo, true);
	const SegmentProgram *program = cache->program;
	int n = 0;

	for (int i = 0; i < program->nrules; i++)
	{
		cache->found[n] = i + 1;
		n += segment_program_true(program, program->roots[i]);
	}
	PG_RETURN_ARRAYTYPE_P(match_array(cache->found, n));
}
