/*
 * Scoring single rows: models, and how the columns of the row are their
 * inputs, are kept from call to call.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/bind.h"
#include "model/score.h"
#include "model/store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* Most classes that an error names. */
#define SCORE_MAX_LISTED 20

/* Models that a call site keeps, as a query may score by many. */
#define SCORE_MODELS 64

/* What a call site keeps of a model. */
typedef struct ScoreCall
{
	struct ScoreCall *next; /* used before this one */
	MemoryContext context;  /* of all of this */
	ModelKey key;
	const Model *model;
	ModelRoot root;
	Run *run;
	uint32 slot; /* of the score when no class is named; MODEL_NONE: unknown */
	/* Of the row type, in a context of its own. */
	MemoryContext row;
	Oid type;
	int32 typmod;
	uint64 version; /* another one after ALTER TYPE, ALTER TABLE */
	TupleDesc desc;
	BindInput *inputs;
	Datum *values;
	bool *nulls;
} ScoreCall;

/* All that a call site keeps. */
typedef struct ScoreSite
{
	ScoreCall *first; /* the one used last */
	int n;
} ScoreSite;

PG_FUNCTION_INFO_V1(model_score_record);
PG_FUNCTION_INFO_V1(model_score_json);
PG_FUNCTION_INFO_V1(model_predict_record);
PG_FUNCTION_INFO_V1(model_predict_json);
PG_FUNCTION_INFO_V1(model_scores_record);
PG_FUNCTION_INFO_V1(model_scores_json);

/* Begins to use a model at a call site. */
static ScoreCall *
score_open(MemoryContext parent, Datum model)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "iaros score", ALLOCSET_SMALL_SIZES);
	ScoreCall *call = MemoryContextAllocZero(context, sizeof(ScoreCall));

	call->context = context;
	call->model = store_open(model, &call->key, context);
	model_root(call->model, &call->root);
	call->run = run_create(call->model, 1, context);
	call->slot = MODEL_NONE;
	return call;
}

/* Lets go of the model that was not used for the longest time. */
static void
score_evict(ScoreSite *site)
{
	ScoreCall **last = &site->first;
	MemoryContext context;

	while ((*last)->next != NULL)
		last = &(*last)->next;
	context = (*last)->context;
	*last = NULL;
	site->n--;
	MemoryContextDelete(context);
}

/* What this call site keeps of the model that it is called with. */
static ScoreCall *
score_call(FunctionCallInfo fcinfo)
{
	FmgrInfo *flinfo = fcinfo->flinfo;
	ScoreSite *site = flinfo->fn_extra;
	ScoreCall *call;

	if (site == NULL)
		site = flinfo->fn_extra =
			MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(ScoreSite));
	for (ScoreCall **at = &site->first; (call = *at) != NULL; at = &call->next)
		if (store_same(&call->key, PG_GETARG_DATUM(0)))
		{
			*at = call->next;
			call->next = site->first;
			site->first = call;
			return call;
		}
	if (site->n == SCORE_MODELS)
		score_evict(site);
	call = score_open(flinfo->fn_mcxt, PG_GETARG_DATUM(0));
	call->next = site->first;
	site->first = call;
	site->n++;
	return call;
}

/* Finds the columns of a row type. */
static void
score_bind(ScoreCall *call, Oid type, int32 typmod, uint64 version)
{
	MemoryContext old;
	TupleDesc desc;

	/* Rows of one call site may be of types that alternate. */
	call->type = InvalidOid;
	if (call->row == NULL)
		call->row = AllocSetContextCreate(call->context, "iaros score row",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(call->row);
	old = MemoryContextSwitchTo(call->row);
	desc = lookup_rowtype_tupdesc_copy(type, typmod);
	call->inputs = bind_columns(call->model, desc);
	call->desc = desc;
	call->values = palloc(desc->natts * sizeof(Datum));
	call->nulls = palloc(desc->natts * sizeof(bool));
	call->type = type;
	call->typmod = typmod;
	call->version = version;
	MemoryContextSwitchTo(old);
}

/* Runs the model for a row. */
static void
score_record(ScoreCall *call, HeapTupleHeader record)
{
	Oid type = HeapTupleHeaderGetTypeId(record);
	int32 typmod = HeapTupleHeaderGetTypMod(record);
	uint64 version = assign_record_type_identifier(type, typmod);
	HeapTupleData tuple;

	if (call->type != type || call->typmod != typmod ||
		call->version != version)
		score_bind(call, type, typmod, version);
	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, call->desc, call->values, call->nulls);
	run_begin(call->run);
	bind_row(call->run, &call->root, call->inputs, run_row(call->run, 0),
			 call->values, call->nulls);
	run_block(call->run, 1);
}

/* Runs the model for a JSON object. */
static void
score_json(ScoreCall *call, Jsonb *json)
{
	run_begin(call->run);
	bind_json(call->run, &call->root, run_row(call->run, 0), json);
	run_block(call->run, 1);
}

/* The model gives no number: an error that says what to do. */
static void
score_no_number(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model does not give one number"), errdetail("%s", detail),
			 errhint("Name a class as third argument, or use "
					 "model_scores() or model_predict().")));
}

/* The first labels of a model, for an error. */
static char *
score_labels(const Run *run, const ModelRoot *root)
{
	StringInfoData list;

	initStringInfo(&list);
	for (uint32 i = 0; i < root->nlabels && i < SCORE_MAX_LISTED; i++)
	{
		char *label = bind_value_text(run, root->value_type, root->labels[i]);

		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "",
						 label == NULL ? "" : label);
	}
	if (root->nlabels > SCORE_MAX_LISTED)
		appendStringInfoString(&list, " and more");
	return list.data;
}

/* The place of a label among those of a model. */
static int
score_label(const Run *run, const ModelRoot *root, const text *label)
{
	ModelInput type = {.type = root->value_type, .year = root->value_year};
	double value;

	if (root->nlabels == 0)
		score_no_number("It gives no probabilities of classes.");
	if (label == NULL)
	{
		if (root->nlabels != 2)
			score_no_number("It tells apart more than two classes.");
		return (int) root->positive;
	}
	value = bind_server_text(unconstify(Run *, run), &type, VARDATA_ANY(label),
							 VARSIZE_ANY_EXHDR(label));
	for (uint32 i = 0; i < root->nlabels; i++)
		if (root->labels[i] == value)
			return (int) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model has no class \"%s\"", text_to_cstring(label)),
			 errdetail("Its classes are %s.", score_labels(run, root))));
}

/* The number that a model gives: of a slot of its row. */
uint32
score_slot(const Run *run, const ModelRoot *root, const text *label)
{
	if (root->nlabels == 0 && label == NULL)
	{
		if (root->value_type == VALUE_TEXT)
			score_no_number("It gives a text.");
		return root->value;
	}
	return root->probability + score_label(run, root, label);
}

/* The score of the row that was run. */
static Datum
score_result(FunctionCallInfo fcinfo, ScoreCall *call)
{
	text *label =
		PG_NARGS() > 2 && !PG_ARGISNULL(2) ? PG_GETARG_TEXT_PP(2) : NULL;
	uint32 slot = call->slot;
	double value;

	/* Another class may be named from row to row. */
	if (label != NULL || slot == MODEL_NONE)
		slot = score_slot(call->run, &call->root, label);
	if (label == NULL)
		call->slot = slot;
	value = run_row(call->run, 0)[slot];
	if (call->run->invalid[0] || isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

/* SQL: model_score(model, record, label text) returns float8 */
PGDLLEXPORT Datum
model_score_record(PG_FUNCTION_ARGS)
{
	ScoreCall *call;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	call = score_call(fcinfo);
	score_record(call, PG_GETARG_HEAPTUPLEHEADER(1));
	return score_result(fcinfo, call);
}

/* SQL: model_score(model, jsonb, label text) returns float8 */
PGDLLEXPORT Datum
model_score_json(PG_FUNCTION_ARGS)
{
	ScoreCall *call;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	call = score_call(fcinfo);
	score_json(call, PG_GETARG_JSONB_P(1));
	return score_result(fcinfo, call);
}

/* SQL: model_predict(model, record) returns jsonb */
PGDLLEXPORT Datum
model_predict_record(PG_FUNCTION_ARGS)
{
	ScoreCall *call = score_call(fcinfo);

	score_record(call, PG_GETARG_HEAPTUPLEHEADER(1));
	PG_RETURN_JSONB_P(bind_results(call->run, &call->root, 0));
}

/* SQL: model_predict(model, jsonb) returns jsonb */
PGDLLEXPORT Datum
model_predict_json(PG_FUNCTION_ARGS)
{
	ScoreCall *call = score_call(fcinfo);

	score_json(call, PG_GETARG_JSONB_P(1));
	PG_RETURN_JSONB_P(bind_results(call->run, &call->root, 0));
}

/* Returns a row for each label of the row that was run. */
static Datum
scores_rows(FunctionCallInfo fcinfo, ScoreCall *call)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const double *row = run_row(call->run, 0);

	if (call->root.nlabels == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("model does not give probabilities of classes"),
						errhint("Use model_score() or model_predict().")));
	for (uint32 i = 0; i < call->root.nlabels; i++)
	{
		double probability = row[call->root.probability + i];
		char *label = bind_value_text(call->run, call->root.value_type,
									  call->root.labels[i]);
		Datum values[2];
		bool nulls[2];

		nulls[0] = label == NULL;
		values[0] = label == NULL ? (Datum) 0 : CStringGetTextDatum(label);
		nulls[1] = call->run->invalid[0] || isnan(probability);
		values[1] = Float8GetDatum(probability);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/* SQL: model_scores(model, record) returns table (label, probability) */
PGDLLEXPORT Datum
model_scores_record(PG_FUNCTION_ARGS)
{
	ScoreCall *call;

	SetSingleFuncCall(fcinfo, 0);
	call = score_call(fcinfo);
	score_record(call, PG_GETARG_HEAPTUPLEHEADER(1));
	return scores_rows(fcinfo, call);
}

/* SQL: model_scores(model, jsonb) returns table (label, probability) */
PGDLLEXPORT Datum
model_scores_json(PG_FUNCTION_ARGS)
{
	ScoreCall *call;

	SetSingleFuncCall(fcinfo, 0);
	call = score_call(fcinfo);
	score_json(call, PG_GETARG_JSONB_P(1));
	return scores_rows(fcinfo, call);
}
