/*
 * touch_path from and to text and bytes. Its text is a JSON array with an
 * object for each touch, or a string when nothing but its channel is known.
 */
#include "attribution/path_build.h"

#include "attribution/path_list.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

extern Datum load_time(PG_FUNCTION_ARGS);

/* Raises the error for text that is no path. */
static void
pg_attribute_noreturn() input_fail(uint32 touch, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type touch_path"),
					errdetail("Touch %u: %s.", touch + 1, detail),
					errhint("Give a JSON array such as [{\"at\": "
							"\"2026-01-31T12:00:00Z\", \"channel\": "
							"\"email\"}] or [\"email\", \"direct\"].")));
}

/* Reads the time of a touch. */
static TimestampTz
input_time(uint32 touch, const JsonbValue *value)
{
	LOCAL_FCINFO(call, 1);
	Datum at;

	if (value->type != jbvString)
		input_fail(touch, "\"at\" is not a string");
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = PointerGetDatum(cstring_to_text_with_len(
		value->val.string.val, value->val.string.len));
	call->args[0].isnull = false;
	at = load_time(call);
	if (call->isnull)
		input_fail(touch, "\"at\" is not a time of the years 1000 to 2999 "
						  "in ISO 8601 form");
	return DatumGetTimestampTz(at);
}

/* Reads a name. */
static void
input_name(uint32 touch, const char *what, const JsonbValue *value,
		   const char **name, int *length)
{
	if (value->type != jbvString)
		input_fail(touch, "a channel, campaign or stage is not a string");
	*name = value->val.string.val;
	*length = value->val.string.len;
	path_check_name(what, *name, *length);
}

/* Reads the weight of a touch. */
static double
input_weight(uint32 touch, const JsonbValue *value)
{
	double weight;

	if (value->type != jbvNumeric)
		input_fail(touch, "\"weight\" is not a number");
	weight = DatumGetFloat8(DirectFunctionCall1(
				 numeric_float8, NumericGetDatum(value->val.numeric))) +
			 0.0;
	path_check_weight(weight);
	return weight;
}

/* Is this the key of a member? */
static bool
input_key(const JsonbValue *key, const char *name)
{
	return key->val.string.len == strlen(name) &&
		   memcmp(key->val.string.val, name, key->val.string.len) == 0;
}

/* Takes a member of the object of a touch; returns whether it is its time. */
static bool
input_member(uint32 number, const JsonbValue *key, const JsonbValue *value,
			 PathLabel *label, PathTouch *touch)
{
	if (input_key(key, "at"))
	{
		touch->at = input_time(number, value);
		return true;
	}
	if (input_key(key, "channel"))
		input_name(number, "channel", value, &label->channel,
				   &label->channel_length);
	else if (input_key(key, "campaign"))
		input_name(number, "campaign", value, &label->campaign,
				   &label->campaign_length);
	else if (input_key(key, "weight"))
		touch->weight = input_weight(number, value);
	else if (input_key(key, "stage"))
	{
		const char *name;
		int length;

		input_name(number, "stage", value, &name, &length);
		touch->stage = path_stage(name, length);
	}
	else
		input_fail(number, "it has another member than at, channel, "
						   "campaign, weight and stage");
	return false;
}

/* Reads the object of a touch. */
static void
input_object(PathList *list, JsonbIterator **iterator)
{
	uint32 number = list->ntouches;
	PathLabel label = {0};
	PathTouch touch = {.weight = 1.0};
	bool timed = false;
	JsonbValue key;
	JsonbValue value;

	while (JsonbIteratorNext(iterator, &key, true) == WJB_KEY)
	{
		JsonbIteratorNext(iterator, &value, true);
		timed |= input_member(number, &key, &value, &label, &touch);
	}
	if (label.channel == NULL)
		input_fail(number, "it has no channel");
	if (number > 0 && timed != list->timed)
		input_fail(number, "some touches have a time, others have not");
	list->timed = timed;
	path_list_add(list, &label, &touch);
}

/* Reads a path from its text. */
static struct varlena *
input_path(Jsonb *json)
{
	PathList *list = path_list_create(8);
	JsonbIterator *iterator = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue value;

	if (JB_ROOT_IS_SCALAR(json) ||
		JsonbIteratorNext(&iterator, &value, true) != WJB_BEGIN_ARRAY)
		input_fail(0, "the text is not a JSON array");
	while ((token = JsonbIteratorNext(&iterator, &value, false)) !=
		   WJB_END_ARRAY)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_OBJECT)
			input_object(list, &iterator);
		else if (token == WJB_ELEM && value.type == jbvString)
		{
			PathLabel label = {0};

			if (list->timed)
				input_fail(list->ntouches,
						   "some touches have a time, others have not");
			input_name(list->ntouches, "channel", &value, &label.channel,
					   &label.channel_length);
			path_list_add(list, &label, &(PathTouch){.weight = 1.0});
		}
		else
			input_fail(list->ntouches, "it is neither a string nor an object");
	}
	return path_list_make(list);
}

PG_FUNCTION_INFO_V1(touch_path_in);

/* SQL: input of type touch_path */
Datum
touch_path_in(PG_FUNCTION_ARGS)
{
	Datum json = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(input_path(DatumGetJsonbP(json)));
}

/* Writes a time in UTC, in ISO 8601 form. */
static void
output_time(StringInfo out, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(at, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "time of a touch out of range");
	appendStringInfo(out, "\"at\": \"%04d-%02d-%02dT%02d:%02d:%02d",
					 tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
					 tm.tm_sec);
	if (fraction != 0)
		appendStringInfo(out, ".%06d", (int) fraction);
	appendStringInfoString(out, "Z\", ");
}

/* Writes a text as a JSON string. */
static void
output_string(StringInfo out, const char *text, int length)
{
	char *copy = pnstrdup(text, length);

	escape_json(out, copy);
	pfree(copy);
}

/* Writes a touch. */
static void
output_touch(StringInfo out, const PathReader *reader, const PathTouch *touch)
{
	const PathLabel *label = &reader->labels[touch->label];
	bool bare = !reader->timed && label->campaign == NULL &&
				touch->stage == PATH_STAGE_NONE && touch->weight == 1.0;

	if (!bare)
	{
		appendStringInfoChar(out, '{');
		if (reader->timed)
			output_time(out, touch->at);
		appendStringInfoString(out, "\"channel\": ");
	}
	output_string(out, label->channel, label->channel_length);
	if (label->campaign != NULL)
	{
		appendStringInfoString(out, ", \"campaign\": ");
		output_string(out, label->campaign, label->campaign_length);
	}
	if (touch->stage != PATH_STAGE_NONE)
		appendStringInfo(out, ", \"stage\": \"%s\"",
						 path_stage_name(touch->stage));
	if (touch->weight != 1.0)
	{
		char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

		double_to_shortest_decimal_buf(touch->weight, digits);
		appendStringInfo(out, ", \"weight\": %s", digits);
	}
	if (!bare)
		appendStringInfoChar(out, '}');
}

PG_FUNCTION_INFO_V1(touch_path_out);

/* SQL: output of type touch_path */
Datum
touch_path_out(PG_FUNCTION_ARGS)
{
	PathReader reader;
	PathTouch touch;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	path_read(&reader, path_flat(PG_GETARG_DATUM(0)));
	while (path_next(&reader, &touch))
	{
		CHECK_FOR_INTERRUPTS();
		if (reader.next > 1)
			appendStringInfoString(&out, ", ");
		output_touch(&out, &reader, &touch);
	}
	appendStringInfoChar(&out, ']');
	PG_RETURN_CSTRING(out.data);
}

PG_FUNCTION_INFO_V1(touch_path_recv);

/* SQL: binary input of type touch_path */
Datum
touch_path_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int size = message->len - message->cursor;
	struct varlena *path = palloc(VARHDRSZ + (Size) size);
	const char *wrong;

	SET_VARSIZE(path, VARHDRSZ + size);
	pq_copymsgbytes(message, VARDATA(path), size);
	wrong = path_invalid(path);
	if (wrong != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid bytes for type touch_path"),
						errdetail("What is wrong: %s.", wrong)));
	PG_RETURN_POINTER(path);
}

PG_FUNCTION_INFO_V1(touch_path_send);

/* SQL: binary output of type touch_path */
Datum
touch_path_send(PG_FUNCTION_ARGS)
{
	struct varlena *path = path_flat(PG_GETARG_DATUM(0));

	PG_RETURN_BYTEA_P(DatumGetByteaPCopy(PointerGetDatum(path)));
}

/* Compares two paths byte by byte, the shorter of like beginnings first. */
static int
path_cmp_internal(FunctionCallInfo fcinfo)
{
	struct varlena *a = path_flat(PG_GETARG_DATUM(0));
	struct varlena *b = path_flat(PG_GETARG_DATUM(1));
	Size a_size = VARSIZE_ANY_EXHDR(a);
	Size b_size = VARSIZE_ANY_EXHDR(b);
	int result = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_size, b_size));

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result != 0 ? result : (a_size > b_size) - (a_size < b_size);
}

#define PATH_COMPARISON(name, test)                                           \
	PG_FUNCTION_INFO_V1(name);                                                \
	Datum name(PG_FUNCTION_ARGS)                                              \
	{                                                                         \
		PG_RETURN_BOOL(path_cmp_internal(fcinfo) test 0);                     \
	}                                                                         \
	extern int no_such_variable

/* SQL: the comparisons of two touch_path */
PATH_COMPARISON(touch_path_eq, ==);
PATH_COMPARISON(touch_path_ne, !=);
PATH_COMPARISON(touch_path_lt, <);
PATH_COMPARISON(touch_path_le, <=);
PATH_COMPARISON(touch_path_gt, >);
PATH_COMPARISON(touch_path_ge, >=);

PG_FUNCTION_INFO_V1(touch_path_cmp);

/* SQL: touch_path_cmp(touch_path, touch_path) */
Datum
touch_path_cmp(PG_FUNCTION_ARGS)
{
	int result = path_cmp_internal(fcinfo);

	PG_RETURN_INT32((result > 0) - (result < 0));
}

PG_FUNCTION_INFO_V1(touch_path_hash);

/* SQL: touch_path_hash(touch_path) */
Datum
touch_path_hash(PG_FUNCTION_ARGS)
{
	struct varlena *path = path_flat(PG_GETARG_DATUM(0));
	Datum hash =
		hash_any((unsigned char *) VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));

	PG_FREE_IF_COPY(path, 0);
	PG_RETURN_DATUM(hash);
}

PG_FUNCTION_INFO_V1(touch_path_hash_extended);

/* SQL: touch_path_hash_extended(touch_path, bigint) */
Datum
touch_path_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *path = path_flat(PG_GETARG_DATUM(0));
	Datum hash =
		hash_any_extended((unsigned char *) VARDATA_ANY(path),
						  VARSIZE_ANY_EXHDR(path), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(path, 0);
	PG_RETURN_DATUM(hash);
}
