/*
 * attribution_agg(): many models over the paths of conversions in one scan,
 * and type attribution_state, its result.
 */
#include "attribution/credit_state.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Arguments of the transition function. */
enum
{
	ARG_STATE,
	ARG_PATH,
	ARG_VALUE,
	ARG_MODELS,
	ARG_CONVERSIONS,
	ARG_DECIMALS
};

#define STATE_DECIMALS 2

/* Amounts stay below this many units. */
#define STATE_AMOUNT_MAX INT64CONST(1000000000000000000)

/* Makes the state flat, once for a change. */
static struct varlena *
state_flat(AttributionState *state)
{
	if (state->flat == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(state->hdr.eoh_context);

		state->flat = credit_state_wire_write(state);
		MemoryContextSwitchTo(old);
	}
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(state_flat((AttributionState *) header));
}

/* Expanded object: the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	memcpy(result, state_flat((AttributionState *) header), size);
}

static const ExpandedObjectMethods state_methods = {state_flat_size,
													state_flatten};

/* Makes an object of a state that was just made. */
static AttributionState *
state_expand(AttributionState *state)
{
	EOH_init_header(&state->hdr, &state_methods, state->hdr.eoh_context);
	return state;
}

/* Returns the state of a datum if it is one in memory, else NULL. */
static AttributionState *
state_expanded(Datum datum)
{
	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return NULL;
	return (AttributionState *) DatumGetEOHP(datum);
}

/* Returns the state of a value, not to be changed. */
AttributionState *
credit_state_from_datum(Datum datum)
{
	AttributionState *state = state_expanded(datum);

	if (state != NULL)
		return state;
	return state_expand(credit_state_wire_read(PG_DETOAST_DATUM_PACKED(datum),
											   CurrentMemoryContext));
}

/* Returns the flat form of a value. */
static struct varlena *
state_flat_datum(Datum datum)
{
	AttributionState *state = state_expanded(datum);

	return state != NULL ? state_flat(state) : PG_DETOAST_DATUM_PACKED(datum);
}

/* Returns the state in the first argument as one that may be changed. */
static AttributionState *
state_writable(FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	Datum datum = PG_GETARG_DATUM(ARG_STATE);

	if (AggCheckCallContext(fcinfo, &context) != 0 &&
		VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
	{
		AttributionState *state = state_expanded(datum);

		if (state->flat != NULL)
			pfree(state->flat);
		state->flat = NULL;
		return state;
	}
	return state_expand(
		credit_state_wire_read(state_flat_datum(datum), context));
}

/* Raises an error unless credits can have so many decimals. */
int
credit_state_decimals(int32 decimals)
{
	if (decimals < 0 || decimals > STATE_SCALE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("credits cannot have %d decimals", decimals),
						errhint("Give a number from 0 to %d.", STATE_SCALE)));
	return decimals;
}

/* Returns how many decimals credits have at least. */
static int
arg_decimals(FunctionCallInfo fcinfo)
{
	if (PG_NARGS() <= ARG_DECIMALS || PG_ARGISNULL(ARG_DECIMALS))
		return STATE_DECIMALS;
	return credit_state_decimals(PG_GETARG_INT32(ARG_DECIMALS));
}

/* Reads the models in an array. */
static void
state_read_models(AttributionState *state, Datum *texts, bool *nulls)
{
	for (int i = 0; i < state->nmodels; i++)
	{
		text *model;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a model must not be NULL")));
		model = DatumGetTextPP(texts[i]);
		credit_parse(VARDATA_ANY(model), VARSIZE_ANY_EXHDR(model),
					 &state->models[i]);
		for (int j = 0; j < i; j++)
			if (strcmp(state->models[i].name, state->models[j].name) == 0)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("model \"%s\" is given twice",
									   state->models[i].name)));
	}
}

/* Makes the state of the models of a call. */
static AttributionState *
state_first(FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	ArrayType *array;
	AttributionState *state;
	Datum *texts;
	bool *nulls;
	int n;

	if (PG_ARGISNULL(ARG_MODELS))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("models must not be NULL")));
	AggCheckCallContext(fcinfo, &context);
	array = PG_GETARG_ARRAYTYPE_P(ARG_MODELS);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls,
					  &n);
	if (ARR_NDIM(array) != 1 || n > STATE_MODEL_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot attribute by %d models", n),
						errhint("Give an array of 1 to %d models.",
								STATE_MODEL_MAX)));
	state =
		state_expand(credit_state_create(context, n, arg_decimals(fcinfo)));
	old = MemoryContextSwitchTo(state->hdr.eoh_context);
	state_read_models(state, texts, nulls);
	state->given = (struct varlena *) palloc(VARSIZE(array));
	memcpy(state->given, array, VARSIZE(array));
	MemoryContextSwitchTo(old);
	return state;
}

/* Raises an error when the models differ from those of the state. */
static void
state_check_models(FunctionCallInfo fcinfo, AttributionState *state)
{
	ArrayType *array = NULL;
	AttributionState *other;

	if (!PG_ARGISNULL(ARG_MODELS))
		array = PG_GETARG_ARRAYTYPE_P(ARG_MODELS);
	if (array != NULL && state->given != NULL &&
		VARSIZE(array) == VARSIZE(state->given) &&
		memcmp(array, state->given, VARSIZE(array)) == 0 &&
		arg_decimals(fcinfo) == state->decimals)
		return;
	other = state_first(fcinfo);
	if (!credit_state_same_models(state, other))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("models and decimals must be the same in all "
							   "rows")));
	if (state->given == NULL)
	{
		state->given =
			MemoryContextAlloc(state->hdr.eoh_context, VARSIZE(array));
		memcpy(state->given, array, VARSIZE(array));
	}
	DeleteExpandedObject(EOHPGetRWDatum(&other->hdr));
}

/* Raises the error for a value that is no amount. */
static void
pg_attribute_noreturn() state_fail_amount(Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value of a conversion out of range: \"%.100s\"",
					DatumGetCString(DirectFunctionCall1(numeric_out, value))),
			 errdetail("It must be finite and, with the decimals of credits, "
					   "have at most 18 digits.")));
}

/*
 * Returns a numeric in units of at least so many decimals, more if it needs
 * them. What does not fit 18 digits or STATE_SCALE decimals is rounded.
 */
int64
credit_state_amount(Datum value, int decimals, int *scale)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);
	int64 amount = 0;

	for (*scale = decimals; *scale <= STATE_SCALE; (*scale)++)
		if (core_numeric_fits_scale(number, *scale))
			break;
	for (*scale = Min(*scale, STATE_SCALE); *scale >= decimals; (*scale)--)
	{
		if (!core_numeric_fits_scale(number, *scale))
			number = DatumGetNumeric(DirectFunctionCall2(
				numeric_round, value, Int32GetDatum(*scale)));
		if (core_numeric_scaled(number, *scale, &amount) &&
			amount < STATE_AMOUNT_MAX && amount > -STATE_AMOUNT_MAX)
			return amount;
	}
	state_fail_amount(value);
}

/* Returns how many conversions a row stands for. */
static int64
arg_conversions(FunctionCallInfo fcinfo)
{
	int64 conversions = 1;

	if (PG_NARGS() > ARG_CONVERSIONS)
		conversions = PG_ARGISNULL(ARG_CONVERSIONS)
						  ? 0
						  : PG_GETARG_INT64(ARG_CONVERSIONS);
	if (conversions < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there cannot be " INT64_FORMAT " conversions",
							   conversions)));
	return conversions;
}

PG_FUNCTION_INFO_V1(attribution_agg_transition);

/*
 * SQL: attribution_agg_transition(attribution_state, path touch_path, value
 * numeric, models text[] [, conversions bigint [, decimals integer]])
 */
Datum
attribution_agg_transition(PG_FUNCTION_ARGS)
{
	AttributionState *state;
	struct varlena *path = NULL;
	int64 conversions = arg_conversions(fcinfo);
	int64 amount = 0;
	int scale = 0;

	if (PG_ARGISNULL(ARG_STATE))
		state = state_first(fcinfo);
	else
	{
		state = state_writable(fcinfo);
		state_check_models(fcinfo, state);
	}
	if (!PG_ARGISNULL(ARG_PATH))
		path = path_flat(PG_GETARG_DATUM(ARG_PATH));
	if (!PG_ARGISNULL(ARG_VALUE))
		amount = credit_state_amount(PG_GETARG_DATUM(ARG_VALUE),
									 state->decimals, &scale);
	if (conversions > 0)
		credit_state_add(state, path, conversions, amount, scale);
	PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
}

PG_FUNCTION_INFO_V1(attribution_state_merge);

/* SQL: attribution_state_merge(attribution_state, attribution_state) */
Datum
attribution_state_merge(PG_FUNCTION_ARGS)
{
	AttributionState *state;
	MemoryContext context = CurrentMemoryContext;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
	{
		AggCheckCallContext(fcinfo, &context);
		state = state_expand(credit_state_wire_read(
			state_flat_datum(PG_GETARG_DATUM(1)), context));
		PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
	}
	state = state_writable(fcinfo);
	credit_state_merge(state, credit_state_from_datum(PG_GETARG_DATUM(1)));
	PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
}

/* Returns the flat form of a state that was read from bytes. */
static struct varlena *
state_validate(const struct varlena *bytes)
{
	return state_flat(
		state_expand(credit_state_wire_read(bytes, CurrentMemoryContext)));
}

PG_FUNCTION_INFO_V1(attribution_state_in);

/* SQL: input of type attribution_state, the hexadecimal form of its bytes */
Datum
attribution_state_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type attribution_state"),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	PG_RETURN_POINTER(state_validate(
		DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(text)))));
}

PG_FUNCTION_INFO_V1(attribution_state_out);

/* SQL: output of type attribution_state */
Datum
attribution_state_out(PG_FUNCTION_ARGS)
{
	struct varlena *flat = state_flat_datum(PG_GETARG_DATUM(0));
	Size size = VARSIZE_ANY_EXHDR(flat);
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("attribution_state is too large to be text"),
						errhint("Read it in binary form, or by "
								"attribution_rows().")));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(flat), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(attribution_state_recv);

/* SQL: binary input of type attribution_state */
Datum
attribution_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int size = message->len - message->cursor;
	struct varlena *bytes = palloc(VARHDRSZ + (Size) size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	pq_copymsgbytes(message, VARDATA(bytes), size);
	PG_RETURN_POINTER(state_validate(bytes));
}

PG_FUNCTION_INFO_V1(attribution_state_send);

/* SQL: binary output of type attribution_state */
Datum
attribution_state_send(PG_FUNCTION_ARGS)
{
	struct varlena *flat = state_flat_datum(PG_GETARG_DATUM(0));

	PG_RETURN_BYTEA_P(DatumGetByteaPCopy(PointerGetDatum(flat)));
}

PG_FUNCTION_INFO_V1(attribution_state_eq);

/* SQL: attribution_state = attribution_state */
Datum
attribution_state_eq(PG_FUNCTION_ARGS)
{
	struct varlena *a = state_flat_datum(PG_GETARG_DATUM(0));
	struct varlena *b = state_flat_datum(PG_GETARG_DATUM(1));

	PG_RETURN_BOOL(
		VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0);
}

PG_FUNCTION_INFO_V1(attribution_state_ne);

/* SQL: attribution_state <> attribution_state */
Datum
attribution_state_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(attribution_state_eq(fcinfo)));
}
