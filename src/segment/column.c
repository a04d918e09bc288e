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

/* Cuts that are counted one by one. */
#define SEARCH_FEW_MAX 4

/* Entries of a table, and cuts that may be left to count after it. */
#define SEARCH_TABLE_MAX 4096
#define SEARCH_STEPS_MAX 6

/* Bytes of a uuid as text. */
#define UUID_TEXT_LENGTH 36

/* A text that a column is compared with. */
typedef struct SegmentWord
{
	uint32 hash;
	int length;
	const char *text;
} SegmentWord;

/* Hashes a short text: eight bytes at a time, the last ones overlapping. */
static inline uint32
word_hash(const char *text, int length)
{
	uint64 hash = (uint64) length * UINT64CONST(0x9E3779B97F4A7C15);
	uint64 part;

	while (length >= 8)
	{
		memcpy(&part, text, 8);
		hash = (hash ^ part) * UINT64CONST(0xFF51AFD7ED558CCD);
		hash ^= hash >> 32;
		text += 8;
		length -= 8;
	}
	part = 0;
	if (length >= 4)
	{
		uint32 low;
		uint32 high;

		memcpy(&low, text, 4);
		memcpy(&high, text + length - 4, 4);
		part = low | (uint64) high << 32;
	}
	else if (length > 0)
		part = (uint8) text[0] | (uint64) (uint8) text[length / 2] << 8 |
			   (uint64) (uint8) text[length - 1] << 16;
	hash = (hash ^ part) * UINT64CONST(0xFF51AFD7ED558CCD);
	return (uint32) (hash >> 32);
}

/* Returns the number of a text, from 1; 0 when it is none of the words. */
int
segment_words_find(const SegmentWords *words, const char *text, int length)
{
	uint32 hash;
	uint32 slot;

	if (words->n == 0)
		return 0;
	hash = word_hash(text, length);
	for (slot = hash & words->mask; words->slots[slot] != 0;
		 slot = (slot + 1) & words->mask)
	{
		const SegmentWord *word = &words->words[words->slots[slot] - 1];

		if (word->hash == hash && word->length == length &&
			memcmp(word->text, text, length) == 0)
			return words->slots[slot];
	}
	return 0;
}

/* Enters a word among those that can be found. */
static void
words_index(SegmentWords *words, int number)
{
	uint32 slot = words->words[number - 1].hash & words->mask;

	while (words->slots[slot] != 0)
		slot = (slot + 1) & words->mask;
	words->slots[slot] = number;
}

/* Makes room for one more word. */
static void
words_room(SegmentWords *words)
{
	if (words->n < words->room)
		return;
	words->room = Max(8, words->room * 2);
	words->words =
		words->words == NULL
			? palloc(words->room * sizeof(SegmentWord))
			: repalloc(words->words, words->room * sizeof(SegmentWord));
	if (words->slots != NULL)
		pfree(words->slots);
	words->mask = words->room * 4 - 1;
	words->slots = palloc0((Size) words->room * 4 * sizeof(int32));
	for (int i = 1; i <= words->n; i++)
		words_index(words, i);
}

/* Adds a text, which stays where it is, unless it is a word already. */
void
segment_words_add(SegmentWords *words, const char *text, int length)
{
	if (segment_words_find(words, text, length) != 0)
		return;
	words_room(words);
	words->words[words->n++] = (SegmentWord){
		.hash = word_hash(text, length), .length = length, .text = text};
	words_index(words, words->n);
}

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

/* Returns the key of a numeric. */
static inline int64
key_numeric(const SegmentColumn *column, Datum value)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);
	int64 key;

	if (likely(!column->wide))
		return core_numeric_key(number, column->scale);
	key = key_among_bounds(column, DatumGetNumeric(PointerGetDatum(number)));
	return key;
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
			value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
			text = VARDATA_ANY(DatumGetPointer(value));
			*length = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
			if (kind == SEGMENT_BPCHAR)
				while (*length > 0 && text[*length - 1] == ' ')
					(*length)--;
			return text;
	}
}

/* Tells whether a text has the pattern of a column. */
static inline bool
text_matches(const SegmentColumn *column, const char *text, int length)
{
	if (length < column->pattern_length)
		return false;
	if (column->prefix)
		return memcmp(text, column->pattern, column->pattern_length) == 0;
	return memmem(text, length, column->pattern, column->pattern_length) !=
		   NULL;
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
	if (column->use == SEGMENT_PATTERN)
		return text_matches(column, text, length);
	return segment_words_find(column->words, text, length);
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
	if (ncuts <= SEARCH_FEW_MAX)
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

/* Returns the entry of a table for a key, which is moved between the cuts. */
static inline uint64
table_entry(const SegmentColumn *column, int64 *key)
{
	*key = Max(*key, column->base);
	*key = Min(*key, column->cuts[column->ncuts - 1]);
	return ((uint64) *key - (uint64) column->base) >> column->shift;
}

/* Looks the number of cuts up. */
static void
codes_table(const SegmentColumn *column, const int64 *keys, int n,
			uint16 *codes)
{
	for (int i = 0; i < n; i++)
	{
		int64 key = keys[i];

		codes[i] = column->table[table_entry(column, &key)];
	}
}

/* Counts cuts by looking where to begin. */
static void
codes_bucket(const SegmentColumn *column, const int64 *keys, int n,
			 uint16 *codes)
{
	const int64 *cuts = column->cuts;
	int steps = column->steps;

	for (int i = 0; i < n; i++)
	{
		int64 key = keys[i];
		uint32 code = column->table[table_entry(column, &key)];

		/* After the last cut comes one that is above all keys. */
		for (int step = 0; step < steps; step++)
			code += cuts[code] <= key;
		codes[i] = code;
	}
}

/* Counts for each key the cuts up to it. */
static void
codes_count(const SegmentColumn *column, const int64 *keys, int n,
			uint16 *codes)
{
	switch (column->search)
	{
		case SEGMENT_SEARCH_FEW:
			memset(codes, 0, n * sizeof(uint16));
			for (int cut = 0; cut < column->ncuts; cut++)
			{
				int64 from = column->cuts[cut];

				for (int i = 0; i < n; i++)
					codes[i] += keys[i] >= from;
			}
			break;
		case SEGMENT_SEARCH_TABLE:
			codes_table(column, keys, n, codes);
			break;
		case SEGMENT_SEARCH_BUCKET:
			codes_bucket(column, keys, n, codes);
			break;
		case SEGMENT_SEARCH_HALVES:
			for (int i = 0; i < n; i++)
				codes[i] = cuts_count(column->cuts, column->ncuts, keys[i]);
	}
}

/*
 * Writes the codes of a batch of keys, 0 where nulls is 255, in one byte
 * each if the column is narrow, else in two.
 */
void
segment_column_codes(const SegmentColumn *column, const int64 *keys,
					 const uint8 *nulls, int n, void *codes)
{
	uint16 counts[SEGMENT_BATCH];

	codes_count(column, keys, n, counts);
	if (segment_column_narrow(column))
	{
		uint8 *narrow = codes;

		for (int i = 0; i < n; i++)
			narrow[i] = (uint8) (counts[i] + 1) & (uint8) ~nulls[i];
	}
	else
	{
		uint16 *wide = codes;

		for (int i = 0; i < n; i++)
			wide[i] = nulls[i] ? 0 : counts[i] + 1;
	}
}
