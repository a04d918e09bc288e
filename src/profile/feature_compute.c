/*
 * feature_compute() and feature_records(): features of customers at times,
 * computed person by person as the rows of the result are asked for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "profile/feature.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Columns before the features. */
#define COMPUTE_HEAD 2

/* The rows of the result. */
typedef struct FeatureRows
{
	CoreRows rows; /* one a request */
	const FeaturePlan *plan;
	FeatureData data;
	FeatureSums *sums;
	bool records; /* a column a feature, not an array */
	CoreWalk walk;
	uint64 next; /* row that comes next */
	uint64 left; /* requests of the person that are not done */
	const FeatureRequest *request;
	TimestampTz as_of; /* of the values */
	float8 *values;
	bool *nulls;
} FeatureRows;

/* Begins a walk, before the first request. */
static void
compute_begin(FeatureRows *result)
{
	CoreGroup *stores[2] = {result->data.requests, result->data.rows};

	core_walk_begin(&result->walk, stores, 2);
	result->next = 0;
	result->left = 0;
}

/* Goes to the next request and computes its features. */
static void
compute_next(FeatureRows *result)
{
	bool fresh = result->left == 0;

	while (result->left == 0)
	{
		if (!core_walk_next(&result->walk))
			elog(ERROR, "there are no more requests");
		result->request = (FeatureRequest *) result->walk.spans[0].first - 1;
		result->left = result->walk.spans[0].n;
		if (result->left > 0)
			feature_sums_begin(result->sums, &result->walk.spans[1]);
	}
	CHECK_FOR_INTERRUPTS();
	result->request++;
	result->left--;
	result->next++;
	if (!fresh && result->as_of == result->request->head.order)
		return;
	result->as_of = result->request->head.order;
	feature_sums_compute(result->sums, &result->walk.spans[1], result->as_of,
						 result->values, result->nulls);
}

/* Makes an array of the features. */
static Datum
compute_array(const FeatureRows *result)
{
	int n = result->plan->nfeatures;
	int nnulls = 0;
	Size head;
	Size size;
	ArrayType *array;
	float8 *to;

	for (int i = 0; i < n; i++)
		nnulls += result->nulls[i];
	head = nnulls > 0 ? ARR_OVERHEAD_WITHNULLS(1, n) : ARR_OVERHEAD_NONULLS(1);
	size = head + (n - nnulls) * sizeof(float8);
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = nnulls > 0 ? head : 0;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	to = (float8 *) ARR_DATA_PTR(array);
	for (int i = 0; i < n; i++)
	{
		if (result->nulls[i])
			continue;
		*to++ = result->values[i];
		if (nnulls > 0)
			ARR_NULLBITMAP(array)[i / 8] |= 1 << (i % 8);
	}
	return PointerGetDatum(array);
}

/* Fills in row i, which is the next one or the first. */
static void
compute_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
			bool *nulls)
{
	FeatureRows *result = (FeatureRows *) rows;
	int natts = result->records ? result->plan->nfeatures : 1;

	if (i == 0)
		compute_begin(result);
	Assert(i == result->next);
	compute_next(result);
	memset(nulls, false, (COMPUTE_HEAD + natts) * sizeof(bool));
	values[0] = Int64GetDatum(result->request->customer_id);
	values[1] = TimestampTzGetDatum(result->as_of);
	if (!result->records)
	{
		values[COMPUTE_HEAD] =
			wanted[COMPUTE_HEAD] ? compute_array(result) : (Datum) 0;
		nulls[COMPUTE_HEAD] = !wanted[COMPUTE_HEAD];
		return;
	}
	for (int f = 0; f < natts; f++)
	{
		values[COMPUTE_HEAD + f] = Float8GetDatum(result->values[f]);
		nulls[COMPUTE_HEAD + f] = result->nulls[f];
	}
}

/* Returns the text of an argument, which must not be NULL. */
static char *
compute_text(const NullableDatum *arg, const char *name)
{
	if (arg->isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be NULL", name)));
	return TextDatumGetCString(arg->value);
}

/* Reads the source and prepares the rows. */
static FeatureRows *
compute_prepare(const NullableDatum *args)
{
	FeatureRows *result = palloc0(sizeof(FeatureRows));
	FeaturePlan *plan;

	core_require_install();
	if (args[2].isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("features must not be NULL")));
	plan = feature_plan(DatumGetArrayTypeP(args[2].value));
	result->plan = plan;
	result->data = feature_read(
		plan, compute_text(&args[0], "source"),
		compute_text(&args[1], "requests"),
		args[3].isnull ? NULL : TextDatumGetCString(args[3].value));
	result->sums = feature_sums_create(plan);
	result->values = palloc(plan->nfeatures * sizeof(float8));
	result->nulls = palloc(plan->nfeatures * sizeof(bool));
	result->rows.n = core_group_count(result->data.requests);
	result->rows.workers = result->data.workers;
	result->rows.get = compute_get;
	return result;
}

/* Opens feature_compute(). */
static CoreRows *
compute_open(TupleDesc desc, const NullableDatum *args)
{
	return &compute_prepare(args)->rows;
}

/* Raises an error unless the columns are those of the features. */
static void
records_check(TupleDesc desc, const FeaturePlan *plan)
{
	bool fits = desc->natts == COMPUTE_HEAD + plan->nfeatures;

	for (int i = 0; fits && i < desc->natts; i++)
		fits = TupleDescAttr(desc, i)->atttypid ==
			   (i == 0 ? INT8OID : (i == 1 ? TIMESTAMPTZOID : FLOAT8OID));
	if (!fits)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("columns do not fit the features"),
			 errdetail("They must be bigint, timestamp with time zone, "
					   "and double precision for each feature; there are %d.",
					   plan->nfeatures),
			 errhint("Let iaros.feature_matrix_sql() write the "
					 "statement.")));
}

/* Opens feature_records(). */
static CoreRows *
records_open(TupleDesc desc, const NullableDatum *args)
{
	FeatureRows *result = compute_prepare(args);

	result->records = true;
	records_check(desc, result->plan);
	return &result->rows;
}

PG_FUNCTION_INFO_V1(feature_compute);

static const CoreStream compute_stream = {
	.name = "feature_compute",
	.function = feature_compute,
	.open = compute_open,
};

/*
 * SQL: feature_compute(source text, requests text, features text[], aliases
 * text)
 */
Datum
feature_compute(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &compute_stream);
}

PG_FUNCTION_INFO_V1(feature_records);

static const CoreStream records_stream = {
	.name = "feature_records",
	.function = feature_records,
	.open = records_open,
};

/*
 * SQL: feature_records(source text, requests text, features text[], aliases
 * text)
 */
Datum
feature_records(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &records_stream);
}

/* Starts the part of the domain. */
void
feature_init(void)
{
	feature_read_init();
	core_stream_register(&compute_stream);
	core_stream_register(&records_stream);
}
