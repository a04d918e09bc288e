/* segment_match() and segment_matches(): rules on one record. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "segment/program.h"
#include "utils/array.h"

/* Arguments of both functions. */
static const SegmentArgs match_args = {
	.rules = 0, .record = 1, .as_of = 2, .zone = 3};

PG_FUNCTION_INFO_V1(segment_match);

/*
 * SQL: segment_match(rule segment_rule, record record, as_of timestamptz,
 * zone text)
 */
Datum
segment_match(PG_FUNCTION_ARGS)
{
	const SegmentProgram *program =
		segment_call_evaluate(fcinfo, &match_args, false)->program;

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
	SegmentCall *call = segment_call_evaluate(fcinfo, &match_args, true);
	const SegmentProgram *program = call->program;
	int n = 0;

	for (int i = 0; i < program->nrules; i++)
	{
		call->found[n] = i + 1;
		n += segment_program_true(program, program->roots[i]);
	}
	PG_RETURN_ARRAYTYPE_P(match_array(call->found, n));
}
