/*
 * Text form of an audience: {1,2,5-9}, ids and ranges of ids. It is read in
 * any order, and an id may come more than once; it is written ascending, with
 * ranges for three ids and more.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "segment/audience_layout.h"
#include "utils/builtins.h"

/* Bytes of the longest item: two ids, a hyphen and a comma. */
#define ITEM_MAX 40

/* Runs that a chunk can have. */
#define CHUNK_RUNS (AUDIENCE_CHUNK / 2)

typedef struct Range
{
	uint64 first;
	uint64 last;
} Range;

typedef struct Ranges
{
	Range *items;
	Size n;
	Size room;
	bool ascending;
} Ranges;

/* Raises the error for text that is no audience. */
static void
error_syntax(const char *text, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type audience: \"%.*s\"",
					pg_mbcliplen(text, (int) strnlen(text, 64), 64), text),
			 errdetail("%s", detail)));
}

/* Returns what follows after blanks. */
static const char *
skip_blanks(const char *at)
{
	while (isspace((unsigned char) *at))
		at++;
	return at;
}

/* Reads an id and returns what follows it. */
static const char *
read_id(const char *text, const char *at, uint64 *id)
{
	const char *start = at;
	uint64 value = 0;
	bool fits = *at != '-';

	at += *at == '-';
	if (!isdigit((unsigned char) *at))
		error_syntax(text, "It is a list of ids and ranges, such as "
						   "{1,2,5-9}.");
	for (; isdigit((unsigned char) *at); at++)
	{
		int digit = *at - '0';

		fits = fits && value <= (PG_INT64_MAX - digit) / 10;
		if (fits)
			value = value * 10 + digit;
	}
	if (!fits)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("id %.*s is out of range for an audience",
							   (int) Min(at - start, 64), start),
						errdetail("Ids are 0 to 9223372036854775807.")));
	*id = value;
	return at;
}

/* Adds a range to a list. */
static void
add_range(Ranges *ranges, Range range)
{
	if (ranges->n == ranges->room)
	{
		ranges->room *= 2;
		ranges->items =
			repalloc_huge(ranges->items, ranges->room * sizeof(Range));
		CHECK_FOR_INTERRUPTS();
	}
	if (ranges->n > 0 && range.first <= ranges->items[ranges->n - 1].last)
		ranges->ascending = false;
	ranges->items[ranges->n++] = range;
}

/* Reads the items of a list, up to the brace that ends it. */
static const char *
read_items(const char *text, const char *at, Ranges *ranges)
{
	for (;;)
	{
		Range range;

		at = skip_blanks(at);
		at = skip_blanks(read_id(text, at, &range.first));
		range.last = range.first;
		if (*at == '-')
			at = skip_blanks(read_id(text, skip_blanks(at + 1), &range.last));
		if (range.last < range.first)
			error_syntax(text, "A range ends before it begins.");
		add_range(ranges, range);
		if (*at == '}')
			return at;
		if (*at++ != ',')
			error_syntax(text, "Items are separated by commas, and \"}\" "
							   "ends them.");
	}
}

/* Compares two ranges by their first ids. */
static int
compare_ranges(const void *a, const void *b)
{
	const Range *x = a;
	const Range *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts ranges and joins those that overlap or touch each other. */
static void
join_ranges(Ranges *ranges)
{
	Range *items = ranges->items;
	Size n = 0;

	if (!ranges->ascending)
		qsort(items, ranges->n, sizeof(Range), compare_ranges);
	for (Size i = 0; i < ranges->n; i++)
	{
		if (n > 0 && items[i].first <= items[n - 1].last + 1)
			items[n - 1].last = Max(items[n - 1].last, items[i].last);
		else
			items[n++] = items[i];
	}
	ranges->n = n;
}

/* Begins an audience that has room for ranges. */
static void
begin_ranges(AudienceWriter *writer, const Ranges *ranges)
{
	uint64 entries = 0;
	uint64 pieces = 0;
	uint64 before = PG_UINT64_MAX;

	for (Size i = 0; i < ranges->n; i++)
	{
		uint64 first = ranges->items[i].first >> 16;
		uint64 last = ranges->items[i].last >> 16;

		/* What lies between the ends of a range needs no data. */
		pieces += 2;
		entries += last - first + (first != before);
		before = last;
		if (entries > AUDIENCE_ENTRIES_MAX)
			audience_error_size();
	}
	audience_write_begin(writer, entries, pieces * 8);
}

/* Writes ranges that are joined. */
static Audience *
write_ranges(const Ranges *ranges)
{
	AudienceRun *runs = palloc(CHUNK_RUNS * sizeof(AudienceRun));
	uint32 nruns = 0;
	uint64 key = 0;
	AudienceWriter writer;

	begin_ranges(&writer, ranges);
	for (Size i = 0; i < ranges->n; i++)
	{
		uint64 first = ranges->items[i].first;
		uint64 last = ranges->items[i].last;

		for (uint64 at = first >> 16; at <= last >> 16; at++)
		{
			uint16 low = at == first >> 16 ? (uint16) first : 0;
			uint16 high = at == last >> 16 ? (uint16) last : PG_UINT16_MAX;

			if (at != key)
			{
				CHECK_FOR_INTERRUPTS();
				audience_write_runs(&writer, key, runs, nruns);
				nruns = 0;
				key = at;
			}
			runs[nruns].first = low;
			runs[nruns++].more = high - low;
		}
	}
	audience_write_runs(&writer, key, runs, nruns);
	pfree(runs);
	return audience_write_end(&writer);
}

PG_FUNCTION_INFO_V1(audience_in);

/* SQL: input of type audience */
Datum
audience_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *at = skip_blanks(text);
	Ranges ranges = {.room = 16, .ascending = true};
	Audience *audience;

	if (*at++ != '{')
		error_syntax(text, "It begins with \"{\".");
	ranges.items = palloc(ranges.room * sizeof(Range));
	at = skip_blanks(at);
	if (*at != '}')
		at = read_items(text, at, &ranges);
	if (*skip_blanks(at + 1) != '\0')
		error_syntax(text, "There is more after the \"}\".");
	join_ranges(&ranges);
	audience = write_ranges(&ranges);
	pfree(ranges.items);
	PG_RETURN_AUDIENCE_P(audience);
}

/* Writes an id and returns what follows it. */
static char *
write_id(char *at, uint64 id)
{
	return at + pg_ulltoa_n(id, at);
}

/* Writes the ids from first to last, each followed by a comma. */
static char *
write_run(char *at, uint64 first, uint64 last)
{
	at = write_id(at, first);
	if (last > first)
	{
		*at++ = last == first + 1 ? ',' : '-';
		at = write_id(at, last);
	}
	*at++ = ',';
	return at;
}

PG_FUNCTION_INFO_V1(audience_out);

/* SQL: output of type audience */
Datum
audience_out(PG_FUNCTION_ARGS)
{
	AudienceCursor cursor = {.audience = PG_GETARG_AUDIENCE_P(0)};
	StringInfoData text;
	uint64 first;
	uint64 last;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	while (audience_next_run(&cursor, &first, &last))
	{
		if (text.len > MaxAllocSize - 2 * ITEM_MAX)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("audience is too large to be text"),
							errhint("Read it in binary form, or by "
									"audience_ids().")));
		enlargeStringInfo(&text, ITEM_MAX + 2);
		text.len =
			(int) (write_run(text.data + text.len, first, last) - text.data);
	}
	text.len -= text.data[text.len - 1] == ',';
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}
