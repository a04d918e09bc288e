/*
 * segment_scan(): many rules on all rows of a source, in one pass. Rows come
 * slot by slot, in parallel where the plan allows, and are evaluated in
 * batches; what the rules say of a block of rows is kept as bits and then
 * added to their audiences in the order of the ids.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/source.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/audience.h"
#include "segment/block.h"
#include "segment/due.h"
#include "segment/live.h"
#include "segment/note.h"
#include "segment/program.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Parameters of the function. */
enum
{
	PARAM_RULES,
	PARAM_SOURCE,
	PARAM_KEY,
	PARAM_AS_OF,
	PARAM_ZONE,
	PARAM_DUE
};

/* Columns of its rows. */
enum
{
	COLUMN_RULE,
	COLUMN_DUE_AT,
	COLUMN_MEMBERS
};

/* The sink's arguments; types, names and rules follow. */
typedef struct ScanArgs
{
	Size size;
	TimestampTz as_of;
	char zone[TZ_STRLEN_MAX + 1];
	bool due;
	int due_at; /* number of the column of that name, from 0, or -1 */
	int key;    /* and of the column of ids */
	Oid key_type;
	int natts;
	int nrules;
} ScanArgs;

/* The sink's state. */
typedef struct ScanState
{
	SegmentProgram *program;
	SegmentBatch *batch;
	SegmentBlock *block;
	SegmentDue *due; /* NULL: not asked for */
	int due_at;
	int key;
	Oid key_type;
	int last; /* columns up to this one are read */
	int nrules;
	AudienceBuilder **members; /* by rule */
} ScanState;

/* What workers publish: members of rules, then what is due by slot. */
typedef struct ScanPublished
{
	int n;
	dsa_pointer audiences[FLEXIBLE_ARRAY_MEMBER]; /* invalid for none */
} ScanPublished;

/* The rows of a call. */
typedef struct ScanRows
{
	CoreRows rows;
	ScanState *state;
	int slots[SEGMENT_DUE_SLOTS]; /* in which something is due */
} ScanRows;

/* Where the types of the columns are in the arguments. */
static inline Oid *
args_types(const ScanArgs *args)
{
	return (Oid *) ((char *) args + MAXALIGN(sizeof(ScanArgs)));
}

/* Where the names of the columns are. */
static inline NameData *
args_names(const ScanArgs *args)
{
	return (NameData *) (args_types(args) + args->natts);
}

/* Where the rules are, each at an aligned place. */
static inline char *
args_rules(const ScanArgs *args)
{
	return (char *) args +
		   MAXALIGN((char *) (args_names(args) + args->natts) - (char *) args);
}

/* Puts the columns of a source and rules into arguments of a sink. */
static ScanArgs *
args_make(TupleDesc desc, const SegmentRule **rules, int nrules)
{
	ScanArgs head = {.natts = desc->natts, .nrules = nrules};
	ScanArgs *args;
	char *at;

	head.size = args_rules(&head) - (char *) &head;
	for (int i = 0; i < nrules; i++)
		head.size = add_size(head.size, MAXALIGN(VARSIZE(rules[i])));
	args = palloc_extended(head.size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	*args = head;
	for (int i = 0; i < desc->natts; i++)
	{
		args_types(args)[i] = TupleDescAttr(desc, i)->atttypid;
		args_names(args)[i] = TupleDescAttr(desc, i)->attname;
	}
	at = args_rules(args);
	for (int i = 0; i < nrules; i++)
	{
		memcpy(at, rules[i], VARSIZE(rules[i]));
		at += MAXALIGN(VARSIZE(rules[i]));
	}
	return args;
}

/* Binds the program of the arguments. */
static SegmentProgram *
args_bind(const ScanArgs *args)
{
	SegmentSource source = {.natts = args->natts, .types = args_types(args)};
	const SegmentRule **rules =
		palloc(Max(args->nrules, 1) * sizeof(SegmentRule *));
	char *at = args_rules(args);
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros segment program", ALLOCSET_DEFAULT_SIZES);
	SegmentProgram *program;

	source.names = palloc(Max(args->natts, 1) * sizeof(char *));
	for (int i = 0; i < args->natts; i++)
		source.names[i] = NameStr(args_names(args)[i]);
	for (int i = 0; i < args->nrules; i++)
	{
		rules[i] = (const SegmentRule *) at;
		at += MAXALIGN(VARSIZE(rules[i]));
	}
	program =
		segment_program_bind(context, &source, rules, args->nrules, false);
	segment_program_at(program, args->as_of, segment_zone(args->zone));
	return program;
}

/* Sink: begins with empty audiences. */
static void *
scan_begin(const void *bytes, double rows)
{
	const ScanArgs *args = bytes;
	ScanState *state = palloc0(sizeof(ScanState));

	state->program = args_bind(args);
	state->batch = segment_batch_create(state->program);
	state->key = args->key;
	state->key_type = args->key_type;
	state->last = Max(state->program->last, args->key + 1);
	state->nrules = args->nrules;
	state->block = segment_block_create(args->nrules);
	state->members = palloc(Max(args->nrules, 1) * sizeof(AudienceBuilder *));
	for (int i = 0; i < args->nrules; i++)
		state->members[i] = audience_builder_create(CurrentMemoryContext);
	state->due_at = args->due_at;
	state->last = Max(state->last, args->due_at + 1);
	if (args->due)
		state->due = segment_due_create(state->program);
	return state;
}

/* Evaluates the batch and keeps what it says in the block. */
static void
scan_evaluate(ScanState *state)
{
	SegmentBatch *batch = state->batch;

	segment_batch_evaluate(batch);
	if (state->due != NULL)
		segment_due_add(state->due, batch, segment_block_ids(state->block));
	for (int i = 0; i < state->nrules; i++)
		segment_block_put(state->block, i,
						  batch->masks +
							  (Size) state->program->roots[i] * SEGMENT_WORDS);
	segment_block_advance(state->block, batch->n);
	batch->n = 0;
	if (segment_block_full(state->block))
		segment_block_flush(state->block, state->members);
}

/* Evaluates what is left. */
static void
scan_finish(ScanState *state)
{
	if (state->batch->n > 0)
		scan_evaluate(state);
	segment_block_flush(state->block, state->members);
}

/* Returns the id of a row. */
static inline uint64
scan_id(Datum value, Oid type)
{
	int64 id = type == INT8OID   ? DatumGetInt64(value)
			   : type == INT4OID ? DatumGetInt32(value)
								 : DatumGetInt16(value);

	return likely(id >= 0) ? (uint64) id : audience_id_check(id);
}

/* Sink: adds a row to the batch. */
static void
scan_receive(void *sink_state, TupleTableSlot *slot)
{
	ScanState *state = sink_state;
	SegmentBatch *batch = state->batch;

	slot_getsomeattrs(slot, state->last);
	if (unlikely(slot->tts_isnull[state->key]))
		return;
	segment_block_id(state->block, batch->n,
					 scan_id(slot->tts_values[state->key], state->key_type));
	if (state->due_at >= 0 && !slot->tts_isnull[state->due_at])
		segment_due_note(state->due, batch->n,
						 DatumGetTimestampTz(slot->tts_values[state->due_at]));
	segment_batch_put(batch, slot->tts_values, slot->tts_isnull);
	if (batch->n == SEGMENT_BATCH)
		scan_evaluate(state);
}

/* Returns how many audiences a state may have. */
static inline int
scan_audiences(const ScanState *state)
{
	return state->nrules + (state->due != NULL ? SEGMENT_DUE_SLOTS : 0);
}

/* Puts an audience into shared memory. */
static dsa_pointer
scan_publish_audience(AudienceBuilder *builder, dsa_area *area)
{
	Audience *audience;
	dsa_pointer published;

	if (builder == NULL)
		return InvalidDsaPointer;
	audience = audience_builder_finish(builder);
	published = dsa_allocate_extended(area, VARSIZE(audience), DSA_ALLOC_HUGE);
	memcpy(dsa_get_address(area, published), audience, VARSIZE(audience));
	pfree(audience);
	return published;
}

/* Sink: a worker's audiences go to shared memory. */
static dsa_pointer
scan_publish(void *sink_state, dsa_area *area)
{
	ScanState *state = sink_state;
	int n = scan_audiences(state);
	dsa_pointer pointer = dsa_allocate_extended(
		area,
		offsetof(ScanPublished, audiences) + (Size) n * sizeof(dsa_pointer),
		DSA_ALLOC_HUGE);
	ScanPublished *published = dsa_get_address(area, pointer);

	scan_finish(state);
	published->n = n;
	for (int i = 0; i < n; i++)
		published->audiences[i] = scan_publish_audience(
			i < state->nrules
				? state->members[i]
				: segment_due_slot(state->due, i - state->nrules),
			area);
	return pointer;
}

/* Sink: the leader adds a worker's audiences to its own. */
static void
scan_merge(void *sink_state, dsa_area *area, dsa_pointer pointer)
{
	ScanState *state = sink_state;
	ScanPublished *published = dsa_get_address(area, pointer);

	for (int i = 0; i < published->n; i++)
	{
		dsa_pointer audience = published->audiences[i];

		if (!DsaPointerIsValid(audience))
			continue;
		audience_builder_merge(
			i < state->nrules
				? state->members[i]
				: segment_due_open(state->due, i - state->nrules),
			dsa_get_address(area, audience));
		dsa_free(area, audience);
	}
	dsa_free(area, pointer);
}

static const CoreSink scan_sink = {
	.name = "segment",
	.begin = scan_begin,
	.receive = scan_receive,
	.publish = scan_publish,
	.merge = scan_merge,
};

/* Finds the column of ids. */
static void
scan_key(ScanArgs *args, const CoreSource *source, const char *name)
{
	int attno = core_source_attno(source, name);
	Oid type;

	if (attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the source does not exist", name),
				 errdetail("The source has %s.", core_source_columns(source)),
				 errhint("Name the column of ids in key.")));
	type = TupleDescAttr(source->desc, attno - 1)->atttypid;
	args->key = attno - 1;
	args->key_type = getBaseType(type);
	if (args->key_type != INT2OID && args->key_type != INT4OID &&
		args->key_type != INT8OID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of the source is of type %s",
							   name, format_type_be(type)),
						errdetail("It must be smallint, integer or bigint.")));
}

/* Finds the column that says when something else of a row may change. */
static void
scan_due_at(ScanArgs *args, const CoreSource *source)
{
	Oid type;

	args->due_at = args->due ? core_source_attno(source, "due_at") - 1 : -1;
	if (args->due_at < 0)
		return;
	type = TupleDescAttr(source->desc, args->due_at)->atttypid;
	if (getBaseType(type) != TIMESTAMPTZOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of the source is of type %s",
							   "due_at", format_type_be(type)),
						errdetail("It must be timestamp with time zone.")));
}

/* Fills in the wanted columns of a row. */
static void
scan_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	const ScanRows *scan = (const ScanRows *) rows;
	const ScanState *state = scan->state;
	bool due = i >= state->nrules;
	int slot = due ? scan->slots[i - state->nrules] : 0;

	nulls[COLUMN_RULE] = due;
	values[COLUMN_RULE] = Int32GetDatum((int32) i + 1);
	nulls[COLUMN_DUE_AT] = !due;
	if (due)
		values[COLUMN_DUE_AT] =
			TimestampTzGetDatum(segment_due_start(state->due, slot));
	nulls[COLUMN_MEMBERS] = !wanted[COLUMN_MEMBERS];
	if (wanted[COLUMN_MEMBERS])
		values[COLUMN_MEMBERS] = AudiencePGetDatum(audience_builder_finish(
			due ? segment_due_slot(state->due, slot) : state->members[i]));
}

/* Counts the rows of a call. */
static void
scan_rows(ScanRows *rows)
{
	const ScanState *state = rows->state;
	int n = 0;

	for (int slot = 0; state->due != NULL && slot < SEGMENT_DUE_SLOTS; slot++)
		if (segment_due_slot(state->due, slot) != NULL)
			rows->slots[n++] = slot;
	rows->rows.n = state->nrules + n;
	rows->rows.get = scan_get;
}

/* Returns the time zone of a call as workers know it. */
static const char *
scan_zone(const NullableDatum *zone)
{
	return pg_get_timezone_name(
		segment_zone(zone->isnull ? "UTC" : TextDatumGetCString(zone->value)));
}

/* Opens segment_scan(): evaluates the rules on all rows of the source. */
static CoreRows *
scan_open(TupleDesc desc, const NullableDatum *params)
{
	ScanRows *rows = palloc0(sizeof(ScanRows));
	CoreSource *source;
	const SegmentRule **rules;
	ScanArgs *args;
	int nrules;

	if (params[PARAM_RULES].isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("rules must not be NULL")));
	rules =
		segment_rules(DatumGetArrayTypeP(params[PARAM_RULES].value), &nrules);
	source = core_source_open(
		params[PARAM_SOURCE].isnull
			? NULL
			: TextDatumGetCString(params[PARAM_SOURCE].value));
	args = args_make(source->desc, rules, nrules);
	scan_key(args, source,
			 params[PARAM_KEY].isnull
				 ? "customer_id"
				 : TextDatumGetCString(params[PARAM_KEY].value));
	args->as_of = params[PARAM_AS_OF].isnull
					  ? GetCurrentTransactionStartTimestamp()
					  : DatumGetTimestampTz(params[PARAM_AS_OF].value);
	strlcpy(args->zone, scan_zone(&params[PARAM_ZONE]), sizeof(args->zone));
	args->due =
		!params[PARAM_DUE].isnull && DatumGetBool(params[PARAM_DUE].value);
	scan_due_at(args, source);
	rows->state = core_source_run(source, &scan_sink, args, args->size);
	scan_finish(rows->state);
	scan_rows(rows);
	rows->rows.workers = source->workers;
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(segment_scan);

static const CoreStream scan_stream = {
	.name = "segment_scan",
	.function = segment_scan,
	.open = scan_open,
};

/*
 * SQL: segment_scan(rules segment_rule[], source text, key text, as_of
 * timestamptz, zone text, due boolean)
 */
Datum
segment_scan(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &scan_stream);
}

/* Makes segment_scan() known to the nodes that run it, and more. */
void
segment_init(void)
{
	core_sink_register(&scan_sink);
	core_stream_register(&scan_stream);
	segment_note_init();
	segment_live_init();
}
