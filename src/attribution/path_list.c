/* The touches of a path in memory; paths made of arrays and of text. */
#include "attribution/path_list.h"

#include "attribution/path_build.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Makes an empty list with room for touches. */
PathList *
path_list_create(uint32 room)
{
	PathList *list = palloc0(sizeof(PathList));

	list->label_room = list->touch_room = Max(room, 1);
	list->labels = palloc_array(PathLabel, list->label_room);
	list->touches = palloc_array(PathTouch, list->touch_room);
	return list;
}

/* Adds a touch and its label, whose texts must stay. */
void
path_list_add(PathList *list, const PathLabel *label, const PathTouch *touch)
{
	if (list->ntouches == PATH_TOUCH_MAX)
		path_fail_size();
	if (list->nlabels == list->label_room)
	{
		list->label_room *= 2;
		list->labels = repalloc_huge(
			list->labels, mul_size(list->label_room, sizeof(PathLabel)));
	}
	if (list->ntouches == list->touch_room)
	{
		list->touch_room *= 2;
		list->touches = repalloc_huge(
			list->touches, mul_size(list->touch_room, sizeof(PathTouch)));
	}
	list->touches[list->ntouches] = *touch;
	list->touches[list->ntouches++].label = list->nlabels;
	list->labels[list->nlabels++] = *label;
}

/* Reads a flat path, which must stay. */
PathList *
path_list_read(const struct varlena *path)
{
	PathList *list = palloc0(sizeof(PathList));
	PathReader reader;

	path_read(&reader, path);
	list->timed = reader.timed;
	list->nlabels = list->label_room = reader.nlabels;
	list->labels = palloc_array(PathLabel, Max(reader.nlabels, 1));
	memcpy(list->labels, reader.labels, reader.nlabels * sizeof(PathLabel));
	list->touch_room = reader.ntouches;
	list->touches = palloc_array(PathTouch, Max(reader.ntouches, 1));
	while (path_next(&reader, &list->touches[list->ntouches]))
		if (++list->ntouches == reader.ntouches)
			break;
	path_read_end(&reader);
	return list;
}

/* Makes the flat path of a list. */
struct varlena *
path_list_make(PathList *list)
{
	return path_make(list->labels, list->nlabels, list->touches,
					 list->ntouches, list->timed);
}

/* Returns the elements of an array of one dimension. */
static int
array_elements(ArrayType *array, Oid type, int16 length, bool byval,
			   char align, Datum **values, bool **nulls)
{
	int n;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("the array has %d dimensions, not one",
							   ARR_NDIM(array))));
	deconstruct_array(array, type, length, byval, align, values, nulls, &n);
	return n;
}

/* Fills in the channel of a touch. */
static void
list_channel(PathLabel *label, text *channel)
{
	label->channel = VARDATA_ANY(channel);
	label->channel_length = VARSIZE_ANY_EXHDR(channel);
	path_check_name("channel", label->channel, label->channel_length);
}

/* Adds the touches of two arrays; times may be missing. */
static void
list_add_arrays(PathList *list, ArrayType *channels, ArrayType *times)
{
	Datum *names;
	Datum *at = NULL;
	bool *name_nulls;
	bool *at_nulls = NULL;
	int n = array_elements(channels, TEXTOID, -1, false, TYPALIGN_INT, &names,
						   &name_nulls);

	list->timed = times != NULL;
	if (times != NULL &&
		array_elements(times, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL,
					   TYPALIGN_DOUBLE, &at, &at_nulls) != n)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there are not as many times as channels")));
	for (int i = 0; i < n; i++)
	{
		PathLabel label = {0};
		PathTouch touch = {.weight = 1.0};

		CHECK_FOR_INTERRUPTS();
		if (name_nulls[i] || (times != NULL && at_nulls[i]))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("channels and times must not be NULL"),
							errdetail("Element %d is.", i + 1)));
		list_channel(&label, DatumGetTextPP(names[i]));
		if (times != NULL)
		{
			touch.at = DatumGetTimestampTz(at[i]);
			path_check_time(touch.at);
		}
		path_list_add(list, &label, &touch);
	}
}

PG_FUNCTION_INFO_V1(touch_path_make);

/* SQL: touch_path_make(channels text[], at timestamptz[]) */
Datum
touch_path_make(PG_FUNCTION_ARGS)
{
	PathList *list;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	list = path_list_create(16);
	list_add_arrays(list, PG_GETARG_ARRAYTYPE_P(0),
					PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
	PG_RETURN_POINTER(path_list_make(list));
}

/* Adds the text between two separators, without blanks around it. */
static void
list_add_part(PathList *list, const char *from, const char *to)
{
	PathLabel label = {0};

	while (from < to && *from == ' ')
		from++;
	while (from < to && to[-1] == ' ')
		to--;
	if (from == to)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("channel %u of a path is empty", list->ntouches + 1),
				 errhint("Write the channels as \"email > direct\".")));
	label.channel = from;
	label.channel_length = to - from;
	path_check_name("channel", label.channel, label.channel_length);
	path_list_add(list, &label, &(PathTouch){.weight = 1.0});
}

/* Returns where a separator begins, or the end. */
static const char *
find_separator(const char *at, const char *end, const char *separator,
			   int length)
{
	while (end - at >= length)
	{
		at = memchr(at, separator[0], end - at - length + 1);
		if (at == NULL)
			return end;
		if (memcmp(at, separator, length) == 0)
			return at;
		at++;
	}
	return end;
}

/* Adds the channels of a text. */
static void
list_add_text(PathList *list, const char *at, const char *end,
			  const char *separator, int length)
{
	bool last;

	do
	{
		const char *stop = find_separator(at, end, separator, length);

		CHECK_FOR_INTERRUPTS();
		last = stop == end;
		list_add_part(list, at, stop);
		at = stop + length;
	} while (!last);
}

PG_FUNCTION_INFO_V1(touch_path_parse);

/* SQL: touch_path_parse(path text, separator text) */
Datum
touch_path_parse(PG_FUNCTION_ARGS)
{
	text *path = PG_GETARG_TEXT_PP(0);
	text *separator = PG_GETARG_TEXT_PP(1);
	const char *at = VARDATA_ANY(path);
	const char *end = at + VARSIZE_ANY_EXHDR(path);
	PathList *list = path_list_create(16);

	if (VARSIZE_ANY_EXHDR(separator) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the separator must not be empty")));
	while (at < end && *at == ' ')
		at++;
	if (at < end)
		list_add_text(list, at, end, VARDATA_ANY(separator),
					  VARSIZE_ANY_EXHDR(separator));
	PG_RETURN_POINTER(path_list_make(list));
}
