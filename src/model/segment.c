/*
 * Running the segments of a model for the rows that they are for, and taking
 * over what the segment found that decides.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "model/ensemble.h"
#include "model/expression.h"

/* Where the operands of a segment are. */
enum
{
	SEGMENT_ARG_FLAGS,
	SEGMENT_ARG_CONDITION,
	SEGMENT_ARG_STEP,
	SEGMENT_ARG_OVER,  /* slot: SEGMENT_GOING … */
	SEGMENT_ARG_VALUE, /* slot of the result */
	SEGMENT_ARG_RAN,   /* slot: 1 or 0 */
	SEGMENT_ARG_RESET  /* slots that are missing when it does not run */
};

/* Does a segment run for a row? */
static bool
segment_is_for(const Run *run, const uint32 *args, const double *row)
{
	if (args[SEGMENT_ARG_OVER] != MODEL_NONE &&
		row[args[SEGMENT_ARG_OVER]] != SEGMENT_GOING)
		return false;
	return args[SEGMENT_ARG_CONDITION] == MODEL_NONE ||
		   model_eval(run, args[SEGMENT_ARG_CONDITION], row) == 1;
}

/* Notes that a segment ran, and whether it is the last one of the row. */
static void
segment_done(const uint32 *args, double *row)
{
	uint32 flags = args[SEGMENT_ARG_FLAGS];
	bool missing = args[SEGMENT_ARG_VALUE] != MODEL_NONE &&
				   isnan(row[args[SEGMENT_ARG_VALUE]]);

	if (args[SEGMENT_ARG_RAN] != MODEL_NONE)
		row[args[SEGMENT_ARG_RAN]] = 1;
	if (args[SEGMENT_ARG_OVER] == MODEL_NONE)
		return;
	if (missing && (flags & SEGMENT_STOP_MISSING) != 0)
		row[args[SEGMENT_ARG_OVER]] = SEGMENT_MISSED;
	else if ((flags & SEGMENT_STOP_FOUND) != 0 &&
			 !(missing && (flags & SEGMENT_PASS_MISSING) != 0))
		row[args[SEGMENT_ARG_OVER]] = SEGMENT_FOUND;
}

/* Empties the results of a segment that does not run for a row. */
static void
segment_reset(const uint32 *args, double *row)
{
	const uint32 *range = args + SEGMENT_ARG_RESET;

	for (uint32 n = *range++; n > 0; n--, range += 2)
		for (uint32 i = 0; i < range[1]; i++)
			row[range[0] + i] = NAN;
	if (args[SEGMENT_ARG_RAN] != MODEL_NONE)
		row[args[SEGMENT_ARG_RAN]] = 0;
}

/* Runs a segment, rows that stand together at once. */
static void
segment_step(Run *run, const uint32 *args, int first, int n)
{
	bool is_for[MODEL_BLOCK];
	int end = first + n;

	memset(is_for + first, 0, n);
	for (int r = first; r < end; r++)
		is_for[r] = segment_is_for(run, args, run_row(run, r));
	for (int r = first, to; r < end; r = to)
	{
		for (to = r + 1; to < end && is_for[to] == is_for[r];)
			to++;
		if (is_for[r])
			model_step(run, args[SEGMENT_ARG_STEP], r, to - r);
		for (int i = r; i < to; i++)
			if (is_for[r])
				segment_done(args, run_row(run, i));
			else
				segment_reset(args, run_row(run, i));
	}
}

static bool
segment_check(const Model *model, const uint32 *args)
{
	return (args[SEGMENT_ARG_FLAGS] & ~SEGMENT_FLAGS) == 0;
}

const ModelOp model_op_segment = {"segment", "i?xm?s?s?s*S", segment_check,
								  NULL, segment_step};

/*
 * Takes over the results of a segment, if a slot is 1, and its id. A result
 * that it does not have is 0, or missing if the slot of the value, named
 * second, is.
 */
static void
take_step(Run *run, const uint32 *args, int first, int n)
{
	for (int r = first; r < first + n; r++)
	{
		double *row = run_row(run, r);
		const uint32 *pair = args + 4;

		if (row[args[0]] != 1)
			continue;
		if (args[2] != MODEL_NONE)
			row[args[2]] = run->num[args[3]];
		for (uint32 i = *pair++; i > 0; i--, pair += 2)
			if (pair[0] != MODEL_NONE)
				row[pair[1]] = row[pair[0]];
			else if (args[1] == MODEL_NONE || isnan(row[args[1]]))
				row[pair[1]] = NAN;
			else
				row[pair[1]] = 0;
	}
}

const ModelOp model_op_take = {"take", "s?s?sn*(?ss)", NULL, NULL, take_step};

/* Appends a value of a slot to a list as text. */
static void
gather_append(const Run *run, StringInfo list, ValueType type, double value)
{
	char buffer[VALUE_FORMAT_SIZE];
	const char *text = buffer;
	Size size;

	if (type == VALUE_TEXT)
		text = run_text_get(run, value, &size);
	else
		size = value_format(buffer, type, value);
	if (text != NULL)
		appendBinaryStringInfo(list, text, (int) size);
}

/* Writes the values of the segments that ran as one text, a list. */
static void
gather_step(Run *run, const uint32 *args, int first, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int r = first; r < first + n; r++)
	{
		double *row = run_row(run, r);
		const uint32 *part = args + 3;
		bool any = false;

		resetStringInfo(&list);
		for (uint32 i = 0; i < args[2]; i++, part += 2)
		{
			if (row[part[0]] != 1)
				continue;
			if (any)
				appendStringInfoChar(&list, MODEL_LIST_SEPARATOR);
			any = true;
			if (!isnan(row[part[1]]))
				gather_append(run, &list, args[0], row[part[1]]);
		}
		row[args[1]] = any ? run_text(run, list.data, list.len) : NAN;
	}
	pfree(list.data);
}

/* args: type, where to, and whether a segment ran, its value. */
static bool
gather_check(const Model *model, const uint32 *args)
{
	return args[0] < VALUE_TYPES;
}

const ModelOp model_op_gather = {"gather", "is*(ss)", gather_check, NULL,
								 gather_step};
