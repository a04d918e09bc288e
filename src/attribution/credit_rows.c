/* What models credited, as rows: of many conversions and of one. */
#include "attribution/credit_state.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Decimals in which conversions are returned. */
#define ROWS_CONVERSION_SCALE 6
#define ROWS_CONVERSION_UNIT INT64CONST(1000000000000)

/* A channel of one model, and its conversions in units that are shown. */
typedef struct RowsEntry
{
	uint32 channel;
	const StateChannel *name;
	int128 credit;
	int128 conversions;
	int64 rest;
} RowsEntry;

/* Compares channels by name, no touch last. */
static int
entry_name_cmp(const RowsEntry *a, const RowsEntry *b)
{
	int result;

	if (a->channel == 0 || b->channel == 0)
		return (a->channel == 0) - (b->channel == 0);
	result = memcmp(a->name->name, b->name->name,
					Min(a->name->length, b->name->length));
	return result != 0 ? result : a->name->length - b->name->length;
}

/* Orders channels by what conversions lost by rounding, then name. */
static int
entry_rest_cmp(const RowsEntry *a, const RowsEntry *b)
{
	if (a->rest != b->rest)
		return a->rest > b->rest ? -1 : 1;
	return entry_name_cmp(a, b);
}

/* Orders channels by credit, then conversions, then name. */
static int
entry_credit_cmp(const RowsEntry *a, const RowsEntry *b)
{
	if (a->credit != b->credit)
		return a->credit > b->credit ? -1 : 1;
	if (a->conversions != b->conversions)
		return a->conversions > b->conversions ? -1 : 1;
	return entry_name_cmp(a, b);
}

#define ST_SORT entry_sort
#define ST_ELEMENT_TYPE RowsEntry
#define ST_COMPARE_RUNTIME_POINTER
#define ST_DECLARE
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Writes the digits of a number from its end; returns where they begin. */
static char *
rows_digits(char *end, uint128 number)
{
	do
	{
		*--end = '0' + (int) (number % 10);
		number /= 10;
	} while (number > 0);
	return end;
}

/* Returns a number of units as numeric, without zeros behind least decimals.
 */
static Datum
rows_numeric(int128 units, int scale, int least)
{
	char text[64];
	char *end = text + sizeof(text) - 1;
	uint128 size = units < 0 ? -(uint128) units : (uint128) units;
	uint128 one = 1;
	char *at;

	*end = '\0';
	for (; scale > least && size % 10 == 0; scale--)
		size /= 10;
	for (int i = 0; i < scale; i++)
		one *= 10;
	at = end;
	if (scale > 0)
	{
		at = rows_digits(end, size % one);
		while (end - at < scale)
			*--at = '0';
		*--at = '.';
	}
	at = rows_digits(at, size / one);
	if (units < 0)
		*--at = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(at),
							   ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/*
 * Rounds the conversions of a model so that they still add up: those that
 * lose most by rounding down get a unit more.
 */
static void
rows_round(RowsEntry *entries, uint32 n)
{
	int128 left = 0;

	for (uint32 i = 0; i < n; i++)
	{
		entries[i].rest =
			(int64) (entries[i].conversions % ROWS_CONVERSION_UNIT);
		entries[i].conversions /= ROWS_CONVERSION_UNIT;
		left += entries[i].rest;
	}
	left = (left + ROWS_CONVERSION_UNIT / 2) / ROWS_CONVERSION_UNIT;
	entry_sort(entries, n, entry_rest_cmp);
	for (uint32 i = 0; i < n && i < left; i++)
		entries[i].conversions++;
}

/* Collects the channels of a model that were in some path, in order. */
static uint32
rows_entries(const AttributionState *state, int model, RowsEntry *entries)
{
	uint32 n = 0;

	for (uint32 i = 0; i < state->nchannels; i++)
	{
		const StateSum *sum = &state->sums[(Size) i * state->nmodels + model];

		if (i == 0 && sum->conversions == 0 && sum->credit == 0)
			continue;
		entries[n++] = (RowsEntry){.channel = i,
								   .name = &state->channels[i],
								   .credit = sum->credit,
								   .conversions = sum->conversions};
	}
	rows_round(entries, n);
	entry_sort(entries, n, entry_credit_cmp);
	return n;
}

/* Puts the rows of a model into the result. */
static void
rows_put(ReturnSetInfo *result, const AttributionState *state, int model,
		 const RowsEntry *entries, uint32 n)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros attribution rows", ALLOCSET_SMALL_SIZES);

	for (uint32 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		bool nulls[4] = {false, entries[i].channel == 0, false, false};
		Datum values[4] = {0};

		CHECK_FOR_INTERRUPTS();
		values[0] = CStringGetTextDatum(state->models[model].name);
		if (!nulls[1])
			values[1] = PointerGetDatum(cstring_to_text_with_len(
				entries[i].name->name, entries[i].name->length));
		values[2] =
			rows_numeric(entries[i].credit, STATE_SCALE, state->decimals);
		values[3] =
			rows_numeric(entries[i].conversions, ROWS_CONVERSION_SCALE, 0);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(attribution_rows);

/* SQL: attribution_rows(state attribution_state) */
Datum
attribution_rows(PG_FUNCTION_ARGS)
{
	AttributionState *state = credit_state_from_datum(PG_GETARG_DATUM(0));
	RowsEntry *entries;

	SetSingleFuncCall(fcinfo, 0);
	entries = MemoryContextAllocHuge(
		CurrentMemoryContext, mul_size(state->nchannels, sizeof(RowsEntry)));
	for (int m = 0; m < state->nmodels; m++)
		rows_put((ReturnSetInfo *) fcinfo->resultinfo, state, m, entries,
				 rows_entries(state, m, entries));
	return (Datum) 0;
}

/* What is known of the credits of one conversion. */
typedef struct CreditRows
{
	PathReader reader;
	CreditPath path;
	bool valued;
	int scale;
	int decimals;
} CreditRows;

/* Fills in shares and parts of a path by a model. */
static void
credit_compute(CreditRows *rows, const CreditModel *model, int64 amount)
{
	bool *direct = palloc0_array(bool, Max(rows->reader.nlabels, 1));
	int64 only;

	for (uint32 i = 0; i < rows->reader.nlabels; i++)
		direct[i] = credit_direct(&rows->reader.labels[i]);
	only = credit_share(model, &rows->path, direct);
	if (only < 0)
	{
		credit_divide(&rows->path, amount);
		return;
	}
	memset(rows->path.share, 0, rows->path.n * sizeof(double));
	memset(rows->path.part, 0, rows->path.n * sizeof(int64));
	rows->path.share[only] = 1.0;
	rows->path.part[only] = amount;
}

/* Fills in the row of a touch. */
static void
credit_row(const CreditRows *rows, uint32 i, Datum *values, bool *nulls)
{
	const PathLabel *label = &rows->reader.labels[rows->path.label[i]];

	memset(nulls, false, 6 * sizeof(bool));
	values[0] = Int32GetDatum((int32) i + 1);
	values[1] = TimestampTzGetDatum(rows->path.at[i]);
	nulls[1] = !rows->path.timed;
	values[2] = PointerGetDatum(
		cstring_to_text_with_len(label->channel, label->channel_length));
	nulls[3] = label->campaign == NULL;
	if (!nulls[3])
		values[3] = PointerGetDatum(
			cstring_to_text_with_len(label->campaign, label->campaign_length));
	values[4] = Float8GetDatum(rows->path.share[i]);
	nulls[5] = !rows->valued;
	if (rows->valued)
		values[5] =
			rows_numeric(rows->path.part[i], rows->scale, rows->decimals);
}

/* Puts the rows of all touches into the result. */
static void
credit_put(ReturnSetInfo *result, const CreditRows *rows)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros credit rows", ALLOCSET_SMALL_SIZES);

	for (uint32 i = 0; i < rows->path.n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Datum values[6] = {0};
		bool nulls[6];

		CHECK_FOR_INTERRUPTS();
		credit_row(rows, i, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/* Reads the model and the decimals of a call. */
static void
credit_args(FunctionCallInfo fcinfo, CreditRows *rows, CreditModel *model)
{
	text *name;

	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("model and decimals must not be NULL")));
	name = PG_GETARG_TEXT_PP(2);
	credit_parse(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), model);
	rows->decimals = credit_state_decimals(PG_GETARG_INT32(3));
}

PG_FUNCTION_INFO_V1(attribution_credit);

/*
 * SQL: attribution_credit(path touch_path, value numeric, model text, decimals
 * integer)
 */
Datum
attribution_credit(PG_FUNCTION_ARGS)
{
	CreditRows rows = {.valued = !PG_ARGISNULL(1)};
	CreditModel model;
	int64 amount = 0;

	SetSingleFuncCall(fcinfo, 0);
	credit_args(fcinfo, &rows, &model);
	if (rows.valued)
		amount = credit_state_amount(PG_GETARG_DATUM(1), rows.decimals,
									 &rows.scale);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	path_read(&rows.reader, path_flat(PG_GETARG_DATUM(0)));
	if (rows.reader.ntouches == 0)
		return (Datum) 0;
	credit_path_read(&rows.path, &rows.reader, CurrentMemoryContext);
	credit_compute(&rows, &model, amount);
	credit_put((ReturnSetInfo *) fcinfo->resultinfo, &rows);
	return (Datum) 0;
}
