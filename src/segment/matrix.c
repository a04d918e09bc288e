/*
 * Reads the rows of a source as numbers: every column but the key, and the
 * one that tells who is of the seed, is a field.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/core.h"
#include "core/source.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/like.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Hashes of texts are whole numbers that a float4 holds exactly. */
#define MATRIX_HASH_MASK 0xffffff

/* The sink's arguments: where the key, the seed and the fields are. */
typedef struct MatrixArgs
{
	int16 key;
	int16 seed; /* 0: there is none */
	Oid key_type;
	int nfields;
	int16 attnos[SEGMENT_FIELDS_MAX];
	Oid types[SEGMENT_FIELDS_MAX];
} MatrixArgs;

/* The sink's state. */
typedef struct MatrixState
{
	MatrixArgs args;
	CoreGroup *rows;
	Size size;            /* of the values of a row */
	MemoryContext memory; /* what reading one row takes */
} MatrixState;

/* Tells whether a column of this type can be a field. */
static bool
matrix_type_fits(Oid type, bool texts)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case BOOLOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return texts;
		default:
			return false;
	}
}

/* Raises the error for a column whose type does not fit. */
static void
matrix_error_type(const char *column, Oid type, const char *wanted)
{
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" of the source is of type %s", column,
						   format_type_be(type)),
					errdetail("It must be %s.", wanted),
					errhint("Make it one in a query as the source, or leave "
							"it out there.")));
}

/* Returns the number of a column that must be there. */
static int
matrix_column(const CoreSource *source, const char *name)
{
	int attno = core_source_attno(source, name);

	if (attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the source does not exist", name),
				 errdetail("The source has %s.", core_source_columns(source)),
				 errhint("Names are taken as they are, case included.")));
	return attno;
}

/* Binds the key and the seed to columns of the source. */
static void
matrix_bind_heads(MatrixArgs *args, const CoreSource *source, const char *key,
				  const char *seed)
{
	Form_pg_attribute column;

	args->key = matrix_column(source, key);
	column = TupleDescAttr(source->desc, args->key - 1);
	args->key_type = getBaseType(column->atttypid);
	if (args->key_type != INT8OID && args->key_type != INT4OID &&
		args->key_type != INT2OID)
		matrix_error_type(key, column->atttypid,
						  "smallint, integer or bigint");
	if (seed == NULL)
		return;
	args->seed = matrix_column(source, seed);
	column = TupleDescAttr(source->desc, args->seed - 1);
	if (getBaseType(column->atttypid) != BOOLOID)
		matrix_error_type(seed, column->atttypid, "boolean");
}

/* Binds every other column of the source to a field. */
static void
matrix_bind(MatrixArgs *args, const CoreSource *source, bool texts)
{
	for (int i = 0; i < source->desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(source->desc, i);
		Oid type = getBaseType(column->atttypid);

		if (i + 1 == args->key || i + 1 == args->seed)
			continue;
		if (!matrix_type_fits(type, texts))
			matrix_error_type(NameStr(column->attname), column->atttypid,
							  texts ? "a number, a boolean, a time or a text"
									: "a number, a boolean or a time");
		if (args->nfields == SEGMENT_FIELDS_MAX)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("the source has more than %d fields",
								   SEGMENT_FIELDS_MAX)));
		args->attnos[args->nfields] = i + 1;
		args->types[args->nfields++] = type;
	}
	if (args->nfields == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the source has no fields"),
				 errdetail("The source has %s.", core_source_columns(source)),
				 errhint("Every column beside the key is a field.")));
}

/* Reads a numeric, which is NaN where it is not finite. */
static double
matrix_numeric(Datum value)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);
	int64 scaled;

	if (core_numeric_scaled(number, CORE_MONEY_SCALE, &scaled))
		return scaled / 10000.0;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  PointerGetDatum(number)));
}

/* Hashes a text; what a bpchar has at its end does not count. */
static double
matrix_text(Datum value, Oid type)
{
	text *string = DatumGetTextPP(value);
	const char *bytes = VARDATA_ANY(string);
	int length = VARSIZE_ANY_EXHDR(string);

	while (type == BPCHAROID && length > 0 && bytes[length - 1] == ' ')
		length--;
	return hash_bytes((const unsigned char *) bytes, length) &
		   MATRIX_HASH_MASK;
}

/* Reads a value as a number; times are days. */
static double
matrix_number(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case NUMERICOID:
			return matrix_numeric(value);
		case BOOLOID:
			return DatumGetBool(value);
		case DATEOID:
			return DATE_NOT_FINITE(DatumGetDateADT(value))
					   ? NAN
					   : DatumGetDateADT(value);
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value))
					   ? NAN
					   : DatumGetTimestamp(value) / (double) USECS_PER_DAY;
		default:
			return matrix_text(value, type);
	}
}

/* Sink: begins a store of rows. */
static void *
matrix_begin(const void *bytes, double rows)
{
	MatrixState *state = palloc(sizeof(MatrixState));

	memcpy(&state->args, bytes, sizeof(MatrixArgs));
	state->size = MAXALIGN(state->args.nfields * sizeof(float4));
	state->rows =
		core_group_create(offsetof(SegmentRow, values) + state->size);
	state->memory = AllocSetContextCreate(
		CurrentMemoryContext, "iaros matrix row", ALLOCSET_SMALL_SIZES);
	return state;
}

/* Reads the key of a row. */
static int64
matrix_key(const MatrixArgs *args, const TupleTableSlot *slot)
{
	Datum value = slot->tts_values[args->key - 1];

	if (slot->tts_isnull[args->key - 1])
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a row of the source has no key"),
						errhint("Leave such rows out in a query as the "
								"source.")));
	if (args->key_type == INT8OID)
		return DatumGetInt64(value);
	return args->key_type == INT4OID ? DatumGetInt32(value)
									 : DatumGetInt16(value);
}

/* Sink: stores a row. */
static void
matrix_receive(void *sink_state, TupleTableSlot *slot)
{
	MatrixState *state = sink_state;
	const MatrixArgs *args = &state->args;
	MemoryContext caller;
	SegmentRow *row;
	bool seed;

	slot_getallattrs(slot);
	seed = args->seed > 0 && !slot->tts_isnull[args->seed - 1] &&
		   DatumGetBool(slot->tts_values[args->seed - 1]);
	row = core_group_add(state->rows, matrix_key(args, slot), seed);
	memset(row->values, 0, state->size);
	caller = MemoryContextSwitchTo(state->memory);
	for (int i = 0; i < args->nfields; i++)
	{
		int attno = args->attnos[i];
		double value =
			slot->tts_isnull[attno - 1]
				? NAN
				: matrix_number(slot->tts_values[attno - 1], args->types[i]);

		row->values[i] = fabs(value) <= FLT_MAX ? (float4) value : NAN;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->memory);
}

/* Sink: a worker's rows go to shared memory. */
static dsa_pointer
matrix_publish(void *state, dsa_area *area)
{
	return core_group_publish(((MatrixState *) state)->rows, area);
}

/* Sink: the leader takes a worker's rows. */
static void
matrix_merge(void *state, dsa_area *area, dsa_pointer published)
{
	core_group_adopt(((MatrixState *) state)->rows, area, published);
}

static const CoreSink matrix_sink = {
	.name = "segment_matrix",
	.begin = matrix_begin,
	.receive = matrix_receive,
	.publish = matrix_publish,
	.merge = matrix_merge,
};

/* Lists the rows of a store, each of which must have a key of its own. */
static void
matrix_list(SegmentMatrix *matrix, CoreGroup *rows)
{
	CoreWalk walk;

	matrix->rows = MemoryContextAllocHuge(
		CurrentMemoryContext,
		mul_size(Max(core_group_count(rows), 1), sizeof(SegmentRow *)));
	core_walk_begin(&walk, &rows, 1);
	while (core_walk_next(&walk))
	{
		SegmentRow *row = (SegmentRow *) walk.spans[0].first;

		if (walk.spans[0].n > 1)
			ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
							errmsg("the source has key " INT64_FORMAT
								   " " UINT64_FORMAT " times",
								   walk.key, walk.spans[0].n),
							errhint("Give one row a customer.")));
		matrix->rows[matrix->n++] = row;
		matrix->nseeds += row->head.order;
	}
}

/*
 * Reads a source. seed is the column that tells who is of the seed, or NULL;
 * texts tells whether fields may be texts.
 */
SegmentMatrix *
segment_matrix_read(const char *source, const char *key, const char *seed,
					bool texts)
{
	SegmentMatrix *matrix = palloc0(sizeof(SegmentMatrix));
	CoreSource *opened = core_source_open(source);
	MatrixArgs args = {0};
	MatrixState *state;

	matrix_bind_heads(&args, opened, key, seed);
	matrix_bind(&args, opened, texts);
	matrix->nfields = args.nfields;
	matrix->names = palloc(args.nfields * sizeof(char *));
	matrix->texts = palloc(args.nfields * sizeof(bool));
	for (int i = 0; i < args.nfields; i++)
	{
		matrix->names[i] = pstrdup(
			NameStr(TupleDescAttr(opened->desc, args.attnos[i] - 1)->attname));
		matrix->texts[i] = args.types[i] == TEXTOID ||
						   args.types[i] == VARCHAROID ||
						   args.types[i] == BPCHAROID;
	}
	state = core_source_run(opened, &matrix_sink, &args, sizeof(args));
	matrix_list(matrix, state->rows);
	return matrix;
}

/* Takes what is known of a field in some rows; returns how many values. */
int
segment_values(SegmentRow **rows, uint64 n, int field, float4 *values)
{
	int found = 0;

	for (uint64 i = 0; i < n; i++)
		if (!isnan(rows[i]->values[field]))
			values[found++] = rows[i]->values[field];
	return found;
}

/* Compares two float4 that are numbers, for qsort(). */
int
segment_float_compare(const void *a, const void *b)
{
	float4 x = *(const float4 *) a;
	float4 y = *(const float4 *) b;

	return (x > y) - (x < y);
}

/* Makes the reading of matrices known to parallel workers. */
void
segment_like_init(void)
{
	core_sink_register(&matrix_sink);
}
