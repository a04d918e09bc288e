/*
 * The segments of a few customers, answered at once. The rules, the query
 * that makes the records they are asked of, and the program that answers
 * them are kept by the backend until a segment changes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "segment/live.h"
#include "segment/program.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* The segments that are asked: those in real time, or all of them. */
typedef struct SegmentLive
{
	CoreCache cache;
	bool realtime;
	bool checked; /* without those whose fields fail */
	bool busy;
	ArrayType *ids; /* of the segments; NULL: there are none */
	ArrayType *rules;
	SPIPlanPtr plan;     /* of the records: $1 as_of, $2 customer_ids */
	MemoryContext bound; /* of what follows, known with the first record */
	TupleDesc desc;
	SegmentProgram *program;
	Datum *values;
	bool *nulls;
	Datum *held;
} SegmentLive;

static SegmentLive lives[4] = {
	{.cache = {.relname = "segment"}},
	{.cache = {.relname = "segment"}, .realtime = true},
	{.cache = {.relname = "segment"}, .checked = true},
	{.cache = {.relname = "segment"}, .checked = true, .realtime = true},
};

/* Registers the copies of the rules; at library load. */
void
segment_live_init(void)
{
	for (int i = 0; i < lengthof(lives); i++)
		core_cache_register(&lives[i].cache);
}

/*
 * Reads the rules and plans the query that makes the records, one for each
 * customer even where a table of a field has lost its unique index since.
 * Fields are tried on the customers that are asked for, as of the time of
 * the question.
 */
static void
live_read(SegmentLive *live, TimestampTz as_of, Datum customer_ids)
{
	Oid types[] = {BOOLOID, BOOLOID, TIMESTAMPTZOID, INT8ARRAYOID};
	Datum args[] = {BoolGetDatum(live->checked), BoolGetDatum(live->realtime),
					TimestampTzGetDatum(as_of), customer_ids};
	Oid params[] = {TIMESTAMPTZOID, INT8ARRAYOID};
	MemoryContext caller;
	SPIPlanPtr plan;
	HeapTuple row;
	TupleDesc desc;
	bool isnull;
	Datum ids;

	if (SPI_execute_with_args(
			"SELECT x.ids, x.rules, "
			"format('SELECT DISTINCT ON (i.id) i.id AS \"iaros.asked\", s.* "
			"FROM unnest($2) AS i(id) "
			"LEFT JOIN (%s) s ON s.customer_id = i.id', "
			"iaros.segment_source_text(x.rules, '$1', '$2', "
			"'$2 || ARRAY(SELECT a.customer_id FROM iaros.customer_alias a "
			"WHERE a.master_id = ANY ($2))')) FROM (SELECT "
			"array_agg(c.segment_id ORDER BY c.segment_id) "
			"AS ids, array_agg(c.rule ORDER BY c.segment_id) AS rules "
			"FROM iaros.segment_compile($1, $3, $4) c JOIN iaros.segment s "
			"ON s.segment_id = c.segment_id "
			"WHERE c.error IS NULL AND (s.realtime OR NOT $2)) x",
			4, types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot read the rules of segments");
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	ids = SPI_getbinval(row, desc, 1, &isnull);
	if (isnull)
		return;
	caller = MemoryContextSwitchTo(live->cache.context);
	live->ids = DatumGetArrayTypePCopy(ids);
	live->rules = DatumGetArrayTypePCopy(SPI_getbinval(row, desc, 2, &isnull));
	live->bound = AllocSetContextCreate(
		live->cache.context, "iaros live segments", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	plan = SPI_prepare_cursor(SPI_getvalue(row, desc, 3), 2, params,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "cannot plan the records of segments");
	live->plan = plan;
}

/*
 * Makes the copy of the rules new. Which fields fail is not announced: a
 * copy without them is taken as long as it works, see segment_live().
 */
static void
live_fill(SegmentLive *live, TimestampTz as_of, Datum customer_ids)
{
	SPIPlanPtr plan = live->plan;

	live->ids = NULL;
	live->plan = NULL;
	live->program = NULL;
	if (plan != NULL)
		SPI_freeplan(plan);
	core_cache_begin(&live->cache);
	live_read(live, as_of, customer_ids);
	core_cache_end(&live->cache);
}

/* Binds the rules to the type of the records. */
static void
live_bind(SegmentLive *live, TupleDesc desc)
{
	MemoryContext caller;
	const SegmentRule **rules;
	int nrules;

	if (live->program != NULL && equalTupleDescs(live->desc, desc))
		return;
	live->program = NULL;
	MemoryContextReset(live->bound);
	caller = MemoryContextSwitchTo(live->bound);
	live->desc = CreateTupleDescCopy(desc);
	live->values = palloc(desc->natts * sizeof(Datum));
	live->nulls = palloc(desc->natts * sizeof(bool));
	rules = segment_rules(live->rules, &nrules);
	live->held = palloc(nrules * sizeof(Datum));
	live->program = segment_program_bind(
		live->bound, segment_source(live->desc), rules, nrules, false);
	MemoryContextSwitchTo(caller);
}

/*
 * Returns the segments whose rules hold for a record: its first columns are
 * the customer that was asked for, and the one that it is of, or NULL.
 */
static Datum
live_held(SegmentLive *live, HeapTuple record)
{
	SegmentProgram *program = live->program;
	const int64 *ids = (const int64 *) ARR_DATA_PTR(live->ids);
	int n = 0;

	heap_deform_tuple(record, live->desc, live->values, live->nulls);
	segment_program_row(program, live->values, live->nulls);
	for (int i = 0; i < program->nrules && !live->nulls[1]; i++)
		if (segment_program_true(program, program->roots[i]))
			live->held[n++] = Int64GetDatum(ids[i]);
	return PointerGetDatum(construct_array(live->held, n, INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/* Writes a row for each of the customers, also for ids of nobody. */
static void
live_answer(SegmentLive *live, TimestampTz as_of, Datum customer_ids,
			ReturnSetInfo *result)
{
	Datum args[] = {TimestampTzGetDatum(as_of), customer_ids};
	SPITupleTable *table;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_plan(live->plan, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot read the records of segments");
	table = SPI_tuptable;
	live_bind(live, table->tupdesc);
	segment_program_at(live->program, as_of,
					   segment_zone(core_setting("brand_time_zone")));
	for (uint64 i = 0; i < table->numvals; i++)
	{
		Datum held = live_held(live, table->vals[i]);
		Datum row[] = {live->values[0], PointerGetDatum(live->ids), held};
		bool nulls[] = {live->nulls[0], false, false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
	}
	SPI_finish();
}

PG_FUNCTION_INFO_V1(segment_live);

/*
 * SQL: segment_live(customer_ids bigint[], as_of timestamptz, realtime
 * boolean, attempt integer) returns table (customer_id bigint, asked
 * bigint[], held bigint[])
 */
Datum
segment_live(PG_FUNCTION_ARGS)
{
	Datum customer_ids = PG_GETARG_DATUM(0);
	TimestampTz as_of = PG_GETARG_TIMESTAMPTZ(1);
	int attempt = PG_GETARG_INT32(3);
	SegmentLive *live =
		&lives[(attempt > 0 ? 2 : 0) + (PG_GETARG_BOOL(2) ? 1 : 0)];

	SetSingleFuncCall(fcinfo, 0);
	/* A field that asks for segments would ask for itself. */
	if (live->busy)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("segments are asked for while they are computed"),
				 errhint("Let no field of segments call customer_segments() "
						 "or segment_apply().")));
	live->busy = true;
	PG_TRY();
	{
		if (attempt > 1 || !core_cache_usable(&live->cache))
			live_fill(live, as_of, customer_ids);
		if (live->ids != NULL)
			live_answer(live, as_of, customer_ids,
						(ReturnSetInfo *) fcinfo->resultinfo);
	}
	PG_FINALLY();
	{
		live->busy = false;
	}
	PG_END_TRY();
	return (Datum) 0;
}
