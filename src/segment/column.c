/*
 * Values of a column become keys, and keys become codes: how many of the
 * cuts that the conditions on the column make are not above the key.
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "fmgr.h"
#include "segment/program.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Entries of a table, and cuts that may be left to count after it. */
#define SEARCH_TABLE_MAX 4096
#define SEARCH_STEPS_MAX 6

/* Bytes of a uuid as text. */
#define UUID_TEXT_LENGTH 36

/* Returns a key in the order of floats: -0 is 0, NaN the greatest. */
int64
segment_float_key(float8 value)
{
	int64 bits;

	if (isnan(value))
		return PG_INT64_MAX;
	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return bits < 0 ? bits ^ PG_INT64_MAX : bits;
}

/* Returns the key of a value of a numeric column by comparing with bounds. */
static int64
key_among_bounds(const SegmentColumn *column, Numeric value)
{
	int low = 0;
	int high = column->nbounds;

	while (low < high)
	{
		int middle = (low + high) / 2;
		int order = DatumGetInt32(
			DirectFunctionCall2(numeric_cmp, NumericGetDatum(value),
								NumericGetDatum(column->bounds[middle])));

		if (order == 0)
			return 2 * middle + 1;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 2 * low;
}

/* Returns a value that is whole and not compressed. */
static inline struct varlena *
value_packed(Datum value)
{
	struct varlena *packed = (struct varlena *) DatumGetPointer(value);

	return likely(!VARATT_IS_COMPRESSED(packed) && !VARATT_IS_EXTERNAL(packed))
			   ? packed
			   : pg_detoast_datum_packed(packed);
}

/* Returns the key of a numeric. */
static inline int64
key_numeric(const SegmentColumn *column, Datum value)
{
	Numeric number = (Numeric) value_packed(value);

	if (likely(!column->wide))
		return core_numeric_key(number, column->scale);
	return key_among_bounds(column, DatumGetNumeric(PointerGetDatum(number)));
}

/* Writes a uuid as text. */
static void
uuid_text(const pg_uuid_t *uuid, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid->data[i] >> 4];
		*text++ = digits[uuid->data[i] & 15];
	}
}

/* Returns a value as text; room is for those that are not stored so. */
static inline const char *
value_text(SegmentKind kind, Datum value, char *room, int *length)
{
	const struct varlena *packed;
	const char *text;

	switch (kind)
	{
		case SEGMENT_NAME:
			text = NameStr(*DatumGetName(value));
			*length = strnlen(text, NAMEDATALEN);
			return text;
		case SEGMENT_CHAR:
			room[0] = DatumGetChar(value);
			*length = room[0] != '\0';
			return room;
		case SEGMENT_UUID:
			uuid_text(DatumGetUUIDP(value), room);
			*length = UUID_TEXT_LENGTH;
			return room;
		default:
			packed = value_packed(value);
			text = VARDATA_ANY(packed);
			*length = VARSIZE_ANY_EXHDR(packed);
			if (kind == SEGMENT_BPCHAR)
				while (*length > 0 && text[*length - 1] == ' ')
					(*length)--;
			return text;
	}
}

/* Returns the key of a text that was read. */
static inline int64
key_of_text(const SegmentColumn *column, const char *text, int length)
{
	if (column->use == SEGMENT_PATTERN)
		return segment_text_matches(column, text, length);
	if (column->use == SEGMENT_PREFIX)
		return segment_text_prefix(text, length);
	return segment_words_find(column->words, text, length);
}

/* Returns the key of a text. */
static int64
key_text(const SegmentColumn *column, Datum value)
{
	char room[UUID_TEXT_LENGTH];
	int length;
	const char *text;

	/* Where only NULL matters, the text need not be read. */
	if (column->use == SEGMENT_VALUE && column->words->n == 0)
		return 0;
	text = value_text(column->kind, value, room, &length);
	return key_of_text(column, text, length);
}

/* Writes the keys that columns in different uses have of one text. */
void
segment_column_texts(const SegmentFetch *fetches, int n, Datum value, int row)
{
	char room[UUID_TEXT_LENGTH];
	int length;
	const char *text =
		value_text(fetches[0].column->kind, value, room, &length);

	for (int i = 0; i < n; i++)
		fetches[i].keys[row] = key_of_text(fetches[i].column, text, length);
}

/* Writes month and day of a time; false when it has none. */
static bool
key_calendar(const SegmentColumn *column, const SegmentProgram *program,
			 Datum value, int64 *key)
{
	int64 day;

	if (column->kind == SEGMENT_DATE)
	{
		day = DatumGetDateADT(value);
		if (DATE_NOT_FINITE(day))
			return false;
	}
	else
	{
		Timestamp at = DatumGetTimestamp(value);

		if (TIMESTAMP_NOT_FINITE(at))
			return false;
		if (column->kind == SEGMENT_TIMESTAMPTZ)
			at = segment_zone_local(program->zone, at);
		day = segment_time_floor(at);
	}
	*key = segment_time_calendar(day);
	return true;
}

/* Writes the key of a value; false when it counts as NULL. */
bool
segment_column_key(const SegmentColumn *column, const SegmentProgram *program,
				   Datum value, int64 *key)
{
	if (column->use == SEGMENT_CALENDAR)
		return key_calendar(column, program, value, key);
	switch (column->kind)
	{
		case SEGMENT_OTHER:
			*key = 0;
			break;
		case SEGMENT_BOOL:
			*key = DatumGetBool(value);
			break;
		case SEGMENT_INT2:
			*key = DatumGetInt16(value);
			break;
		case SEGMENT_INT4:
		case SEGMENT_DATE:
			*key = DatumGetInt32(value);
			break;
		case SEGMENT_INT8:
		case SEGMENT_TIMESTAMP:
		case SEGMENT_TIMESTAMPTZ:
			*key = DatumGetInt64(value);
			break;
		case SEGMENT_NUMERIC:
			*key = key_numeric(column, value);
			break;
		case SEGMENT_FLOAT4:
			*key = segment_float_key(DatumGetFloat4(value));
			break;
		case SEGMENT_FLOAT8:
			*key = segment_float_key(DatumGetFloat8(value));
			break;
		case SEGMENT_ENUM:
			*key = DatumGetObjectId(value);
			break;
		default:
			*key = key_text(column, value);
	}
	return true;
}

/* Turns the values of a batch of a column by value into their keys. */
void
segment_column_keys(const SegmentColumn *column, const SegmentProgram *program,
					int n, int64 *keys, uint8 *nulls)
{
	if (column->use == SEGMENT_CALENDAR)
	{
		for (int i = 0; i < n; i++)
			if (!nulls[i] &&
				!key_calendar(column, program, (Datum) keys[i], &keys[i]))
				nulls[i] = PG_UINT8_MAX;
		return;
	}
	switch (column->kind)
	{
		case SEGMENT_BOOL:
			for (int i = 0; i < SEGMENT_BATCH; i++)
				keys[i] = DatumGetBool((Datum) keys[i]);
			break;
		case SEGMENT_INT2:
			for (int i = 0; i < SEGMENT_BATCH; i++)
				keys[i] = DatumGetInt16((Datum) keys[i]);
			break;
		case SEGMENT_INT4:
		case SEGMENT_DATE:
			for (int i = 0; i < SEGMENT_BATCH; i++)
				keys[i] = DatumGetInt32((Datum) keys[i]);
			break;
		case SEGMENT_FLOAT8:
			for (int i = 0; i < SEGMENT_BATCH; i++)
				keys[i] = segment_float_key(DatumGetFloat8((Datum) keys[i]));
			break;
		default:
			Assert(column->kind == SEGMENT_INT8 ||
				   column->kind == SEGMENT_TIMESTAMP ||
				   column->kind == SEGMENT_TIMESTAMPTZ);
	}
}

/*
 * Returns how the values of a column are taken from a row: those by value
 * are copied first and become keys a batch at a time.
 */
SegmentTake
segment_column_take(const SegmentColumn *column)
{
	switch (column->kind)
	{
		case SEGMENT_BOOL:
		case SEGMENT_INT2:
		case SEGMENT_INT4:
		case SEGMENT_DATE:
			return SEGMENT_TAKE_COPY;
		case SEGMENT_INT8:
		case SEGMENT_TIMESTAMP:
		case SEGMENT_TIMESTAMPTZ:
		case SEGMENT_FLOAT8:
			return FLOAT8PASSBYVAL ? SEGMENT_TAKE_COPY : SEGMENT_TAKE_KEY;
		case SEGMENT_TEXT:
		case SEGMENT_BPCHAR:
		case SEGMENT_NAME:
		case SEGMENT_CHAR:
		case SEGMENT_UUID:
			return column->use == SEGMENT_VALUE && column->words->n == 0
					   ? SEGMENT_TAKE_KEY
					   : SEGMENT_TAKE_TEXT;
		default:
			return SEGMENT_TAKE_KEY;
	}
}

/* Counts the cuts up to a key. */
static inline int
cuts_count(const int64 *cuts, int n, int64 key)
{
	const int64 *from = cuts;

	/* Of n cuts from here, those below are known to be up to the key. */
	while (n > 1)
	{
		int half = n / 2;

		from += from[half - 1] <= key ? half : 0;
		n -= half;
	}
	return (int) (from - cuts) + (n == 1 && *from <= key);
}

/* Returns the code of a key. */
int
segment_column_code(const SegmentColumn *column, int64 key)
{
	return 1 + cuts_count(column->cuts, column->ncuts, key);
}

/* Makes the table of a column: cuts up to the first key of each entry. */
static void
column_table(SegmentColumn *column, int entries)
{
	int last = column->ncuts - 1;

	column->table = palloc(entries * sizeof(uint16));
	column->steps = 0;
	for (int i = 0; i < entries; i++)
	{
		uint64 from = (uint64) column->base + ((uint64) i << column->shift);
		uint64 to = from + ((UINT64CONST(1) << column->shift) - 1);
		int below = cuts_count(column->cuts, column->ncuts, (int64) from);
		int upto;

		/* The last entry may reach beyond the last cut. */
		if (to - (uint64) column->base > column->span)
			to = (uint64) column->cuts[last];
		upto = cuts_count(column->cuts, column->ncuts, (int64) to);
		column->table[i] = below;
		column->steps = Max(column->steps, upto - below);
	}
}

/* Gives a column its cuts, ascending, and the fastest way to search them. */
void
segment_column_cut(SegmentColumn *column, int64 *cuts, int ncuts)
{
	column->cuts = cuts;
	column->ncuts = ncuts;
	column->search = SEGMENT_SEARCH_FEW;
	if (ncuts <= segment_kernels()->count_most)
		return;
	/* No condition is about the last key, so that all below has room. */
	Assert(cuts[0] > PG_INT64_MIN);
	column->base = cuts[0] - 1;
	column->span = (uint64) cuts[ncuts - 1] - (uint64) column->base;
	column->shift = 0;
	while (column->span >> column->shift >= SEARCH_TABLE_MAX)
		column->shift++;
	column_table(column, (column->span >> column->shift) + 1);
	column->search = column->steps == 0 ? SEGMENT_SEARCH_TABLE
					 : column->steps <= SEARCH_STEPS_MAX
						 ? SEGMENT_SEARCH_BUCKET
						 : SEGMENT_SEARCH_HALVES;
}

/* Looks the number of cuts up. */
static void
codes_table(const SegmentColumn *column, const int64 *keys, uint16 *codes)
{
	const int64 low = column->base;
	const int64 high = column->cuts[column->ncuts - 1];
	const uint16 *table = column->table;
	int shift = column->shift;

	for (int i = 0; i < SEGMENT_BATCH; i++)
	{
		int64 key = Min(Max(keys[i], low), high);

		codes[i] = table[((uint64) key - (uint64) low) >> shift];
	}
}

/* Counts cuts by looking where to begin. */
static void
codes_bucket(const SegmentColumn *column, const int64 *keys, uint16 *codes)
{
	const int64 *cuts = column->cuts;
	const int64 low = column->base;
	const int64 high = cuts[column->ncuts - 1];
	const uint16 *table = column->table;
	uint32 ncuts = column->ncuts;
	int shift = column->shift;
	int steps = column->steps;

	for (int i = 0; i < SEGMENT_BATCH; i++)
	{
		int64 key = Min(Max(keys[i], low), high);
		uint32 code = table[((uint64) key - (uint64) low) >> shift];

		/* After the last cut comes the largest number, which may be a key. */
		for (int step = 0; step < steps; step++)
			code += (cuts[code] <= key) & (code < ncuts);
		codes[i] = code;
	}
}

/* Counts for each key the cuts up to it. */
static void
codes_count(const SegmentColumn *column, const int64 *keys, uint16 *codes)
{
	switch (column->search)
	{
		case SEGMENT_SEARCH_FEW:
			segment_kernels()->count(keys, column->cuts, column->ncuts, codes);
			break;
		case SEGMENT_SEARCH_TABLE:
			codes_table(column, keys, codes);
			break;
		case SEGMENT_SEARCH_BUCKET:
			codes_bucket(column, keys, codes);
			break;
		case SEGMENT_SEARCH_HALVES:
			for (int i = 0; i < SEGMENT_BATCH; i++)
				codes[i] = cuts_count(column->cuts, column->ncuts, keys[i]);
	}
}

/*
 * Writes the codes of a batch of keys, 0 where nulls is 255, in one byte
 * each if the column is narrow, else in two.
 */
void
segment_column_codes(const SegmentColumn *column, const int64 *keys,
					 const uint8 *nulls, void *codes)
{
	uint16 counts[SEGMENT_BATCH];
	uint16 *wide = codes;

	codes_count(column, keys, counts);
	if (segment_column_narrow(column))
		segment_kernels()->narrow(counts, nulls, codes);
	else
		for (int i = 0; i < SEGMENT_BATCH; i++)
			wide[i] = nulls[i] ? 0 : counts[i] + 1;
}
