/* Paths made of paths, and what can be asked of one. */
#include "attribution/path_list.h"
#include "attribution/paths.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Reads the path in the first argument. */
static PathList *
change_arg(FunctionCallInfo fcinfo)
{
	return path_list_read(path_flat(PG_GETARG_DATUM(0)));
}

/* Do two labels name the same channel? */
static bool
same_channel(const PathLabel *a, const PathLabel *b)
{
	return a->channel_length == b->channel_length &&
		   memcmp(a->channel, b->channel, a->channel_length) == 0;
}

/*
 * Returns for each label the number of the first one of its channel. Labels
 * of a flat path that are of one channel stand side by side.
 */
static uint32 *
channel_numbers(const PathList *list)
{
	uint32 *numbers = palloc_array(uint32, Max(list->nlabels, 1));

	for (uint32 i = 0; i < list->nlabels; i++)
		numbers[i] =
			i > 0 && same_channel(&list->labels[i - 1], &list->labels[i])
				? numbers[i - 1]
				: i;
	return numbers;
}

/* Keeps the touches that are marked. */
static struct varlena *
keep_marked(PathList *list, const bool *keep)
{
	uint32 n = 0;

	for (uint32 i = 0; i < list->ntouches; i++)
		if (keep[i])
			list->touches[n++] = list->touches[i];
	list->ntouches = n;
	return path_list_make(list);
}

/* Reads which touch of several is kept: the first or the last. */
static bool
keep_last(text *keep)
{
	char *name = text_to_cstring(keep);

	if (strcmp(name, "first") != 0 && strcmp(name, "last") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot keep the \"%s\" touch", name),
						errhint("Give first or last.")));
	return name[0] == 'l';
}

/* Marks the first, or last, touch of each channel. */
static bool *
mark_unique(const PathList *list, bool last)
{
	bool *keep = palloc0_array(bool, Max(list->ntouches, 1));
	bool *seen = palloc0_array(bool, Max(list->nlabels, 1));
	uint32 *numbers = channel_numbers(list);

	for (uint32 i = 0; i < list->ntouches; i++)
	{
		uint32 touch = last ? list->ntouches - 1 - i : i;
		uint32 channel = numbers[list->touches[touch].label];

		keep[touch] = !seen[channel];
		seen[channel] = true;
	}
	return keep;
}

/* Marks the first, or last, touch of each run of one channel. */
static bool *
mark_exposure(const PathList *list, bool last)
{
	bool *keep = palloc0_array(bool, Max(list->ntouches, 1));
	uint32 *numbers = channel_numbers(list);

	for (uint32 i = 0; i < list->ntouches; i++)
	{
		uint32 beside = last ? i + 1 : i - 1;

		keep[i] =
			beside >= list->ntouches || numbers[list->touches[beside].label] !=
											numbers[list->touches[i].label];
	}
	return keep;
}

PG_FUNCTION_INFO_V1(touch_path_unique);

/* SQL: touch_path_unique(path touch_path, keep text) */
Datum
touch_path_unique(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);

	PG_RETURN_POINTER(
		keep_marked(list, mark_unique(list, keep_last(PG_GETARG_TEXT_PP(1)))));
}

PG_FUNCTION_INFO_V1(touch_path_exposure);

/* SQL: touch_path_exposure(path touch_path, keep text) */
Datum
touch_path_exposure(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);

	PG_RETURN_POINTER(keep_marked(
		list, mark_exposure(list, keep_last(PG_GETARG_TEXT_PP(1)))));
}

/* Compares the channel of a label with a text. */
static int
channel_cmp(const PathLabel *label, Datum name)
{
	text *channel = DatumGetTextPP(name);
	PathLabel other = {.channel = VARDATA_ANY(channel),
					   .channel_length = VARSIZE_ANY_EXHDR(channel)};
	PathLabel bare = {.channel = label->channel,
					  .channel_length = label->channel_length};

	return path_label_cmp(&bare, &other);
}

/* Marks the labels of the channels that an array names. */
static bool *
mark_labels(const PathList *list, ArrayType *channels)
{
	bool *marks = palloc0_array(bool, Max(list->nlabels, 1));
	Datum *names;
	bool *nulls;
	int n;

	deconstruct_array(channels, TEXTOID, -1, false, TYPALIGN_INT, &names,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		uint32 from = 0;
		uint32 to = list->nlabels;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		while (from < to)
		{
			uint32 middle = from + (to - from) / 2;

			if (channel_cmp(&list->labels[middle], names[i]) < 0)
				from = middle + 1;
			else
				to = middle;
		}
		for (; from < list->nlabels &&
			   channel_cmp(&list->labels[from], names[i]) == 0;
			 from++)
			marks[from] = true;
	}
	return marks;
}

PG_FUNCTION_INFO_V1(touch_path_drop);

/* SQL: touch_path_drop(path touch_path, channels text[], unless_all boolean)
 */
Datum
touch_path_drop(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);
	bool *labels = mark_labels(list, PG_GETARG_ARRAYTYPE_P(1));
	bool *keep = palloc_array(bool, Max(list->ntouches, 1));
	uint32 kept = 0;

	for (uint32 i = 0; i < list->ntouches; i++)
	{
		keep[i] = !labels[list->touches[i].label];
		kept += keep[i];
	}
	if (kept == 0 && PG_GETARG_BOOL(2))
		memset(keep, true, list->ntouches * sizeof(bool));
	PG_RETURN_POINTER(keep_marked(list, keep));
}

PG_FUNCTION_INFO_V1(touch_path_last);

/* SQL: touch_path_last(path touch_path, n integer) */
Datum
touch_path_last(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);
	int32 n = PG_GETARG_INT32(1);

	if (n < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot keep the last %d touches", n),
						errhint("Give a number from 0 on.")));
	if (n < list->ntouches)
	{
		list->touches += list->ntouches - n;
		list->ntouches = n;
	}
	PG_RETURN_POINTER(path_list_make(list));
}

PG_FUNCTION_INFO_V1(touch_path_within);

/* SQL: touch_path_within(path touch_path, window interval, until timestamptz)
 */
Datum
touch_path_within(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);
	int64 length = paths_length(&fcinfo->args[1], "window");
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(2);
	bool *keep = palloc_array(bool, Max(list->ntouches, 1));

	if (!list->timed && list->ntouches > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the path has no times")));
	for (uint32 i = 0; i < list->ntouches; i++)
		keep[i] = list->touches[i].at < until &&
				  (int128) until - list->touches[i].at <= length;
	PG_RETURN_POINTER(keep_marked(list, keep));
}

PG_FUNCTION_INFO_V1(touch_path_by_campaign);

/* SQL: touch_path_by_campaign(path touch_path, missing text) */
Datum
touch_path_by_campaign(PG_FUNCTION_ARGS)
{
	PathList *list = change_arg(fcinfo);
	text *missing = PG_GETARG_TEXT_PP(1);

	path_check_name("campaign", VARDATA_ANY(missing),
					VARSIZE_ANY_EXHDR(missing));
	for (uint32 i = 0; i < list->nlabels; i++)
	{
		PathLabel *label = &list->labels[i];

		label->channel =
			label->campaign != NULL ? label->campaign : VARDATA_ANY(missing);
		label->channel_length = label->campaign != NULL
									? label->campaign_length
									: VARSIZE_ANY_EXHDR(missing);
		label->campaign = NULL;
		label->campaign_length = 0;
	}
	PG_RETURN_POINTER(path_list_make(list));
}

PG_FUNCTION_INFO_V1(touch_path_length);

/* SQL: touch_path_length(path touch_path) */
Datum
touch_path_length(PG_FUNCTION_ARGS)
{
	PathReader reader;

	path_read(&reader, path_flat(PG_GETARG_DATUM(0)));
	PG_RETURN_INT32((int32) reader.ntouches);
}

PG_FUNCTION_INFO_V1(touch_path_text);

/* SQL: touch_path_text(path touch_path, separator text) */
Datum
touch_path_text(PG_FUNCTION_ARGS)
{
	text *separator = PG_GETARG_TEXT_PP(1);
	StringInfoData out;
	PathReader reader;
	PathTouch touch;

	initStringInfo(&out);
	path_read(&reader, path_flat(PG_GETARG_DATUM(0)));
	while (path_next(&reader, &touch))
	{
		const PathLabel *label = &reader.labels[touch.label];

		CHECK_FOR_INTERRUPTS();
		if (reader.next > 1)
			appendBinaryStringInfo(&out, VARDATA_ANY(separator),
								   VARSIZE_ANY_EXHDR(separator));
		appendBinaryStringInfo(&out, label->channel, label->channel_length);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

PG_FUNCTION_INFO_V1(touch_path_channels);

/* SQL: touch_path_channels(path touch_path) */
Datum
touch_path_channels(PG_FUNCTION_ARGS)
{
	PathReader reader;
	PathTouch touch;
	Datum *names;
	Datum *labels;
	uint32 n = 0;

	path_read(&reader, path_flat(PG_GETARG_DATUM(0)));
	names = palloc_array(Datum, Max(reader.ntouches, 1));
	labels = palloc_array(Datum, Max(reader.nlabels, 1));
	for (uint32 i = 0; i < reader.nlabels; i++)
		labels[i] = PointerGetDatum(cstring_to_text_with_len(
			reader.labels[i].channel, reader.labels[i].channel_length));
	while (path_next(&reader, &touch))
		names[n++] = labels[touch.label];
	PG_RETURN_ARRAYTYPE_P(
		construct_array(names, (int) n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Fills in the row of a touch. */
static void
touch_row(const PathReader *reader, const PathTouch *touch, Datum *values,
		  bool *nulls)
{
	const PathLabel *label = &reader->labels[touch->label];

	memset(nulls, false, 6 * sizeof(bool));
	values[0] = Int32GetDatum((int32) reader->next);
	values[1] = TimestampTzGetDatum(touch->at);
	nulls[1] = !reader->timed;
	values[2] = PointerGetDatum(
		cstring_to_text_with_len(label->channel, label->channel_length));
	nulls[3] = label->campaign == NULL;
	if (!nulls[3])
		values[3] = PointerGetDatum(
			cstring_to_text_with_len(label->campaign, label->campaign_length));
	values[4] = Float8GetDatum(touch->weight);
	nulls[5] = touch->stage == PATH_STAGE_NONE;
	if (!nulls[5])
		values[5] = CStringGetTextDatum(path_stage_name(touch->stage));
}

PG_FUNCTION_INFO_V1(touch_path_touches);

/* SQL: touch_path_touches(path touch_path) */
Datum
touch_path_touches(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext row = AllocSetContextCreate(
		CurrentMemoryContext, "iaros touch", ALLOCSET_SMALL_SIZES);
	PathReader reader;
	PathTouch touch;

	SetSingleFuncCall(fcinfo, 0);
	path_read(&reader, path_flat(PG_GETARG_DATUM(0)));
	while (path_next(&reader, &touch))
	{
		Datum values[6];
		bool nulls[6];
		MemoryContext old = MemoryContextSwitchTo(row);

		CHECK_FOR_INTERRUPTS();
		touch_row(&reader, &touch, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row);
	}
	MemoryContextDelete(row);
	return (Datum) 0;
}
