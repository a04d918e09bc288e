/*
 * model_scan(): a model for all rows of a source. Rows come slot by slot, in
 * parallel where the plan allows, and are scored in blocks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/source.h"
#include "core/stream.h"
#include "miscadmin.h"
#include "model/bind.h"
#include "model/init.h"
#include "model/score.h"
#include "model/store.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Parameters of the function. */
enum
{
	PARAM_MODEL,
	PARAM_SOURCE,
	PARAM_KEY,
	PARAM_LABEL
};

/* Columns of its rows. */
enum
{
	COLUMN_KEY,
	COLUMN_SCORE,
	COLUMN_LABEL
};

/* The slot of the score is that of the predicted class, row by row. */
#define SCORE_OF_BEST (MODEL_NONE - 1)

/* The sink's arguments; where inputs are and the model follow. */
typedef struct ScanArgs
{
	Size size;
	int key; /* number of the column of keys, from 0 */
	Oid key_type;
	int last;     /* columns up to this one are read */
	uint32 score; /* slot, SCORE_OF_BEST, or MODEL_NONE */
	bool labels;  /* the predicted value is kept, too */
	uint32 ninputs;
} ScanArgs;

/* What is kept of the rows. */
typedef struct ScanKept
{
	uint64 n;
	uint64 size;
	int64 *keys;
	double *scores;
	double *labels; /* or NULL */
} ScanKept;

/* The sink's state. */
typedef struct ScanState
{
	const ScanArgs *args;
	const BindInput *inputs;
	Model model;
	ModelRoot root;
	Run *run;
	int nrows; /* in the block */
	int64 keys[MODEL_BLOCK];
	ScanKept kept;
	MemoryContext context; /* of the state */
	MemoryContext block;   /* of values while they become numbers */
} ScanState;

/* What a worker publishes: so many rows, then keys, scores, labels. */
typedef struct ScanPublished
{
	uint64 n;
	int64 numbers[FLEXIBLE_ARRAY_MEMBER];
} ScanPublished;

/* The rows of a call. */
typedef struct ScanRows
{
	CoreRows rows;
	ScanState *state;
} ScanRows;

/* Where the places of inputs are in the arguments. */
static inline BindInput *
args_inputs(const ScanArgs *args)
{
	return (BindInput *) ((char *) args + MAXALIGN(sizeof(ScanArgs)));
}

/* Where the model is. */
static inline char *
args_model(const ScanArgs *args)
{
	return (char *) args_inputs(args) +
		   MAXALIGN(args->ninputs * sizeof(BindInput));
}

/* Begins a process's part of the scan. */
static void *
scan_begin(const void *sink_args, double rows)
{
	ScanState *state = palloc0(sizeof(ScanState));
	const ScanArgs *args = sink_args;

	state->args = args;
	state->inputs = args_inputs(args);
	state->context = CurrentMemoryContext;
	state->block = AllocSetContextCreate(
		CurrentMemoryContext, "iaros model block", ALLOCSET_DEFAULT_SIZES);
	model_view(&state->model, args_model(args));
	model_root(&state->model, &state->root);
	state->run = run_create(&state->model,
							model_is_large(&state->model) ? MODEL_BLOCK
														  : MODEL_BLOCK_SMALL,
							CurrentMemoryContext);
	run_begin(state->run);
	return state;
}

/* Makes room for more rows. */
static void
scan_grow(ScanState *state, uint64 more)
{
	ScanKept *kept = &state->kept;
	uint64 want = kept->n + more;
	double **columns[] = {&kept->scores, &kept->labels};
	MemoryContext old;

	if (want <= kept->size)
		return;
	want = Max(Max(want, kept->size * 2), 4096);
	old = MemoryContextSwitchTo(state->context);
	kept->keys = kept->keys == NULL
					 ? palloc_extended(want * sizeof(int64), MCXT_ALLOC_HUGE)
					 : repalloc_huge(kept->keys, want * sizeof(int64));
	for (int i = 0; i < (state->args->labels ? 2 : 1); i++)
		*columns[i] =
			*columns[i] == NULL
				? palloc_extended(want * sizeof(double), MCXT_ALLOC_HUGE)
				: repalloc_huge(*columns[i], want * sizeof(double));
	kept->size = want;
	MemoryContextSwitchTo(old);
}

/* The score of a row of the block. */
static double
scan_score(const ScanState *state, const double *row)
{
	uint32 slot = state->args->score;

	if (slot == MODEL_NONE)
		return NAN;
	if (slot != SCORE_OF_BEST)
		return row[slot];
	for (uint32 i = 0; i < state->root.nlabels; i++)
		if (state->root.labels[i] == row[state->root.value])
			return row[state->root.probability + i];
	return NAN;
}

/* Scores the rows of the block and keeps what came out. */
static void
scan_flush(ScanState *state)
{
	ScanKept *kept = &state->kept;
	Run *run = state->run;

	if (state->nrows == 0)
		return;
	run_block(run, state->nrows);
	scan_grow(state, state->nrows);
	for (int i = 0; i < state->nrows; i++)
	{
		const double *row = run_row(run, i);
		bool invalid = run->invalid[i];

		kept->keys[kept->n] = state->keys[i];
		kept->scores[kept->n] = invalid ? NAN : scan_score(state, row);
		if (kept->labels != NULL)
			kept->labels[kept->n] = invalid ? NAN : row[state->root.value];
		kept->n++;
	}
	state->nrows = 0;
	run_begin(run);
	MemoryContextReset(state->block);
}

/* The key of a row. */
static inline int64
scan_key_value(Oid type, Datum value)
{
	switch (type)
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt16(value);
	}
}

/* Takes a row of the source. */
static void
scan_receive(void *sink_state, TupleTableSlot *slot)
{
	ScanState *state = sink_state;
	const ScanArgs *args = state->args;
	MemoryContext old;

	slot_getsomeattrs(slot, args->last + 1);
	if (slot->tts_isnull[args->key])
		return;
	old = MemoryContextSwitchTo(state->block);
	state->keys[state->nrows] =
		scan_key_value(args->key_type, slot->tts_values[args->key]);
	bind_row(state->run, &state->root, state->inputs,
			 run_row(state->run, state->nrows), slot->tts_values,
			 slot->tts_isnull);
	if (++state->nrows == state->run->nrows)
		scan_flush(state);
	MemoryContextSwitchTo(old);
}

/* Publishes what a worker kept. */
static dsa_pointer
scan_publish(void *sink_state, dsa_area *area)
{
	ScanState *state = sink_state;
	ScanKept *kept = &state->kept;
	ScanPublished *published;
	dsa_pointer pointer;
	int64 *at;

	scan_flush(state);
	pointer = dsa_allocate_extended(
		area, offsetof(ScanPublished, numbers) + 3 * kept->n * sizeof(int64),
		DSA_ALLOC_HUGE);
	published = dsa_get_address(area, pointer);
	published->n = kept->n;
	at = published->numbers;
	if (kept->n == 0)
		return pointer;
	memcpy(at, kept->keys, kept->n * sizeof(int64));
	memcpy(at + kept->n, kept->scores, kept->n * sizeof(double));
	if (kept->labels != NULL)
		memcpy(at + 2 * kept->n, kept->labels, kept->n * sizeof(double));
	return pointer;
}

/* Adds what a worker published. */
static void
scan_merge(void *sink_state, dsa_area *area, dsa_pointer pointer)
{
	ScanState *state = sink_state;
	ScanKept *kept = &state->kept;
	ScanPublished *published = dsa_get_address(area, pointer);
	const int64 *at = published->numbers;
	uint64 n = published->n;

	if (n > 0)
	{
		scan_grow(state, n);
		memcpy(kept->keys + kept->n, at, n * sizeof(int64));
		memcpy(kept->scores + kept->n, at + n, n * sizeof(double));
		if (kept->labels != NULL)
			memcpy(kept->labels + kept->n, at + 2 * n, n * sizeof(double));
		kept->n += n;
	}
	dsa_free(area, pointer);
}

static const CoreSink scan_sink = {
	.name = "model_scan",
	.begin = scan_begin,
	.receive = scan_receive,
	.publish = scan_publish,
	.merge = scan_merge,
};

/* Fills in the wanted columns of a row. */
static void
scan_get(const CoreRows *core_rows, uint64 i, const bool *wanted,
		 Datum *values, bool *nulls)
{
	const ScanState *state = ((const ScanRows *) core_rows)->state;
	const ScanKept *kept = &state->kept;
	char *label;

	values[COLUMN_KEY] = Int64GetDatum(kept->keys[i]);
	nulls[COLUMN_KEY] = false;
	values[COLUMN_SCORE] = Float8GetDatum(kept->scores[i]);
	nulls[COLUMN_SCORE] = isnan(kept->scores[i]);
	nulls[COLUMN_LABEL] = true;
	if (!wanted[COLUMN_LABEL] || kept->labels == NULL)
		return;
	label =
		bind_value_text(state->run, state->root.value_type, kept->labels[i]);
	if (label == NULL)
		return;
	values[COLUMN_LABEL] = CStringGetTextDatum(label);
	nulls[COLUMN_LABEL] = false;
}

/* Which number of the model is the score: slot, or see ScanArgs. */
static uint32
scan_score_slot(const Model *model, const ModelRoot *root,
				const NullableDatum *label)
{
	Run *run = run_create(model, 1, CurrentMemoryContext);

	if (!label->isnull)
		return score_slot(run, root, DatumGetTextPP(label->value));
	if (root->nlabels > 2)
		return SCORE_OF_BEST;
	if (root->nlabels == 0 && root->value_type == VALUE_TEXT)
		return MODEL_NONE;
	return score_slot(run, root, NULL);
}

/* Finds the column of keys. */
static void
scan_key(ScanArgs *args, CoreSource *source, const NullableDatum *key)
{
	char *name = key->isnull ? "customer_id" : TextDatumGetCString(key->value);
	int attno = core_source_attno(source, name);

	if (attno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("source has no column \"%s\"", name),
				 errdetail("Its columns are %s.", core_source_columns(source)),
				 errhint("Name the column of keys as third argument.")));
	args->key = attno - 1;
	args->key_type =
		getBaseType(TupleDescAttr(source->desc, attno - 1)->atttypid);
	if (args->key_type != INT2OID && args->key_type != INT4OID &&
		args->key_type != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is not of an integer type", name)));
}

/* Refuses a model that predicts lists, which a column of texts cannot show. */
static void
scan_refuse_lists(const ModelRoot *root)
{
	for (uint32 i = 0; i < root->noutputs; i++)
		if ((root->outputs[i].flags & MODEL_OUTPUT_TARGET) &&
			(root->outputs[i].flags & MODEL_OUTPUT_LIST))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("model_scan() cannot return what this model "
							"predicts"),
					 errdetail("It predicts a list."),
					 errhint("Use model_predict().")));
}

/* Makes the arguments of the sink. */
static ScanArgs *
scan_args(const Model *model, CoreSource *source, const NullableDatum *params)
{
	BindInput *inputs = bind_columns(model, source->desc);
	ScanArgs head = {0};
	ScanArgs *args;
	ModelRoot root;

	model_root(model, &root);
	scan_refuse_lists(&root);
	head.ninputs = root.ninputs;
	head.size = args_model(&head) - (char *) &head + VARSIZE(model->head);
	args = palloc_extended(head.size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	*args = head;
	memcpy(args_inputs(args), inputs, root.ninputs * sizeof(BindInput));
	memcpy(args_model(args), model->head, VARSIZE(model->head));
	scan_key(args, source, &params[PARAM_KEY]);
	args->last = args->key;
	for (uint32 i = 0; i < root.ninputs; i++)
		args->last = Max(args->last, inputs[i].attno);
	args->score = scan_score_slot(model, &root, &params[PARAM_LABEL]);
	args->labels = root.nlabels > 0 || root.value_type == VALUE_TEXT;
	return args;
}

/* Opens model_scan(): scores all rows of the source. */
static CoreRows *
scan_open(TupleDesc desc, const NullableDatum *params)
{
	ScanRows *rows = palloc0(sizeof(ScanRows));
	const Model *model;
	CoreSource *source;
	ScanArgs *args;
	ModelKey key;

	if (params[PARAM_MODEL].isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("model must not be NULL")));
	model = store_open(params[PARAM_MODEL].value, &key, CurrentMemoryContext);
	source = core_source_open(
		params[PARAM_SOURCE].isnull
			? NULL
			: TextDatumGetCString(params[PARAM_SOURCE].value));
	args = scan_args(model, source, params);
	rows->state = core_source_run(source, &scan_sink, args, args->size);
	scan_flush(rows->state);
	rows->rows.n = rows->state->kept.n;
	rows->rows.get = scan_get;
	rows->rows.workers = source->workers;
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(model_scan);

static const CoreStream scan_stream = {
	.name = "model_scan",
	.function = model_scan,
	.open = scan_open,
};

/* SQL: model_scan(model, source text, key text, label text) */
Datum
model_scan(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &scan_stream);
}

/* Makes model_scan() known to the nodes that run it, and more. */
void
model_init(void)
{
	store_init();
	core_sink_register(&scan_sink);
	core_stream_register(&scan_stream);
}
