/* Rows of a table, JSON and texts as inputs of a model; results as JSON. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "model/bind.h"
#include "model/expression.h"
#include "model/treat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Most columns that an error names. */
#define BIND_MAX_LISTED 20

/* Most decimals of a numeric that is divided rather than parsed. */
#define BIND_MAX_SCALE 15

static const double powers_of_ten[BIND_MAX_SCALE + 1] = {
	1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
	1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* How values of a type become those of an input. */
static BindKind
bind_kind(Oid type)
{
	switch (type)
	{
		case FLOAT8OID:
			return BIND_FLOAT8;
		case FLOAT4OID:
			return BIND_FLOAT4;
		case INT2OID:
			return BIND_INT2;
		case INT4OID:
			return BIND_INT4;
		case INT8OID:
			return BIND_INT8;
		case NUMERICOID:
			return BIND_NUMERIC;
		case BOOLOID:
			return BIND_BOOL;
		case TEXTOID:
		case VARCHAROID:
			return BIND_TEXT;
		case BPCHAROID:
			return BIND_CHAR;
		case DATEOID:
			return BIND_DATE;
		case TIMEOID:
			return BIND_TIME;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return BIND_TIMESTAMP;
		default:
			return OidIsValid(get_element_type(type)) ? BIND_LIST
													  : BIND_OUTPUT;
	}
}

/*
 * The column with a name, else in any case; -1 if there is none. Inputs often
 * stand in the order of columns, so the one after the last is tried first.
 */
static int
bind_column(TupleDesc desc, const char *name, int next)
{
	int found = -1;

	for (int i = 0; i < desc->natts; i++)
	{
		int attno = (next + i) % desc->natts;
		Form_pg_attribute attr = TupleDescAttr(desc, attno);

		if (attr->attisdropped)
			continue;
		if (strcmp(NameStr(attr->attname), name) == 0)
			return attno;
		if (pg_strcasecmp(NameStr(attr->attname), name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("row has several columns for input \"%s\"", name),
					 errdetail("They differ only in case."),
					 errhint("Give one of them the very name.")));
		found = attno;
	}
	return found;
}

/* The names of the first columns of a row, for an error. */
static char *
bind_list_columns(TupleDesc desc)
{
	StringInfoData list;
	int n = 0;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts && n < BIND_MAX_LISTED; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			appendStringInfo(&list, "%s\"%s\"", n++ > 0 ? ", " : "",
							 NameStr(TupleDescAttr(desc, i)->attname));
	if (n == 0)
		appendStringInfoString(&list, "no columns");
	else if (n == BIND_MAX_LISTED)
		appendStringInfoString(&list, " and maybe more");
	return list.data;
}

/* Finds the column of an input. */
static void
bind_input(const Model *model, const ModelInput *input, TupleDesc desc,
		   BindInput *bind, int next)
{
	char *name = model_name(model, input->name);
	Oid type;
	bool varlena;

	bind->kind = BIND_NONE;
	/* No column has a longer name: PostgreSQL cuts them. */
	if (strlen(name) >= NAMEDATALEN)
		name[pg_mbcliplen(name, (int) strlen(name), NAMEDATALEN - 1)] = '\0';
	bind->attno = bind_column(desc, name, next);
	if (bind->attno < 0)
	{
		if (input->flags & MODEL_INPUT_LABEL)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("row has no column \"%s\"", name),
				 errdetail("The model has an input of this name; the row "
						   "has %s.",
						   bind_list_columns(desc)),
				 errhint("A column that is NULL is a missing value; "
						 "rename or add the column.")));
	}
	type = TupleDescAttr(desc, bind->attno)->atttypid;
	bind->kind = bind_kind(type);
	if (bind->kind != BIND_OUTPUT && bind->kind != BIND_LIST)
		return;
	bind->kind = bind_kind(getBaseType(type));
	bind->element = get_element_type(getBaseType(type));
	getTypeOutputInfo(type, &bind->typoutput, &varlena);
}

/* Finds the columns of all inputs; an input without one is an error. */
BindInput *
bind_columns(const Model *model, TupleDesc desc)
{
	ModelRoot root;
	BindInput *inputs;
	int next = 0;

	model_root(model, &root);
	inputs = palloc0(Max(root.ninputs, 1) * sizeof(BindInput));
	for (uint32 i = 0; i < root.ninputs; i++)
	{
		bind_input(model, &root.inputs[i], desc, &inputs[i], next);
		next = inputs[i].attno + 1;
	}
	return inputs;
}

/* A value that does not have the type of its input. */
static double
bind_incompatible(Run *run, const char *text, Size size)
{
	run->incompatible = true;
	return treat_incompatible(run_text(run, text, size));
}

/* A text, which may be the value of any type. */
double
bind_text(Run *run, const ModelInput *input, const char *text, Size size)
{
	char buffer[128];
	double value;

	if (input->type == VALUE_TEXT)
		return run_text(run, text, size);
	if (size < sizeof(buffer))
	{
		memcpy(buffer, text, size);
		buffer[size] = '\0';
		if (strlen(buffer) == size &&
			value_from_text(buffer, input->type, input->year, &value))
			return value;
	}
	return bind_incompatible(run, text, size);
}

/* As bind_text(), of a text in the encoding of the database. */
double
bind_server_text(Run *run, const ModelInput *input, const char *text,
				 Size size)
{
	char *utf8;
	double value;

	if (GetDatabaseEncoding() == PG_UTF8)
		return bind_text(run, input, text, size);
	utf8 = pg_server_to_any(text, (int) size, PG_UTF8);
	value = bind_text(run, input, utf8, strlen(utf8));
	if (utf8 != text)
		pfree(utf8);
	return value;
}

/* A number of a column, as a value of an input; type is that of the column. */
static double
bind_number(Run *run, const ModelInput *input, double value, ValueType type)
{
	char buffer[VALUE_FORMAT_SIZE];
	int size;

	switch ((ValueType) input->type)
	{
		case VALUE_DOUBLE:
			return value;
		case VALUE_FLOAT:
			return (float) value;
		case VALUE_INTEGER:
		case VALUE_DAYS_SINCE:
		case VALUE_SECONDS_SINCE:
		case VALUE_SECONDS:
			if (isnan(value) || (value == floor(value) && !isinf(value)))
				return value;
			break;
		case VALUE_BOOLEAN:
			if (isnan(value) || value == 0 || value == 1)
				return value;
			break;
		default:
			break;
	}
	if (isnan(value))
		return value;
	size = value_format(buffer, type, value);
	if (input->type == VALUE_TEXT)
		return run_text(run, buffer, size);
	return bind_incompatible(run, buffer, size);
}

/* The number nearest to a numeric. */
static double
bind_numeric(Datum datum)
{
	Numeric value = DatumGetNumeric(datum);
	int64 scaled;

	/* Both are exact, so that one division rounds correctly. */
	for (int scale = 0; scale <= BIND_MAX_SCALE; scale += 5)
		if (core_numeric_scaled(value, scale, &scaled) &&
			scaled < INT64CONST(1) << 53 && scaled > -(INT64CONST(1) << 53))
			return (double) scaled / powers_of_ten[scale];
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  NumericGetDatum(value)));
}

/* A numeric as a value of an input. */
static double
bind_numeric_value(Run *run, const ModelInput *input, Datum datum)
{
	double value;
	char *text;

	if (input->type != VALUE_TEXT)
	{
		value = bind_numeric(datum);
		return bind_number(run, input, value,
						   value == floor(value) ? VALUE_INTEGER
												 : VALUE_DOUBLE);
	}
	text = DatumGetCString(DirectFunctionCall1(numeric_out, datum));
	value = run_text(run, text, strlen(text));
	pfree(text);
	return value;
}

/* The items of an array as one text. */
static double
bind_list(Run *run, const ModelInput *input, const BindInput *bind,
		  Datum datum)
{
	ArrayType *array = DatumGetArrayTypeP(datum);
	StringInfoData list;
	ArrayIterator items = array_create_iterator(array, 0, NULL);
	Oid typoutput;
	bool varlena;
	bool isnull;
	Datum item;
	double value;

	getTypeOutputInfo(bind->element, &typoutput, &varlena);
	initStringInfo(&list);
	while (array_iterate(items, &item, &isnull))
	{
		if (isnull)
			continue;
		if (list.len > 0)
			appendStringInfoChar(&list, MODEL_LIST_SEPARATOR);
		appendStringInfoString(&list, OidOutputFunctionCall(typoutput, item));
	}
	array_free_iterator(items);
	value = bind_server_text(run, input, list.data, list.len);
	pfree(list.data);
	return value;
}

/* Days since 1970-01-01, or seconds, as a value of an input. */
static double
bind_time(Run *run, const ModelInput *input, ValueType type, double value)
{
	double cast = cast_value(type, 0, input->type, (int) input->year, value);
	char buffer[VALUE_FORMAT_SIZE];
	int size;

	if (!isnan(cast))
		return cast;
	size = value_format(buffer, type, value);
	if (size == 0)
		return bind_incompatible(run, "", 0);
	return bind_text(run, input, buffer, size);
}

/* A value of a type of which only the text counts. */
static double
bind_output(Run *run, const ModelInput *input, const BindInput *bind,
			Datum datum)
{
	char *text = OidOutputFunctionCall(bind->typoutput, datum);
	double value = bind_server_text(run, input, text, strlen(text));

	pfree(text);
	return value;
}

/* A text of a column. */
static double
bind_varlena(Run *run, const ModelInput *input, Datum datum)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(datum);
	double value = bind_server_text(run, input, VARDATA_ANY(text),
									VARSIZE_ANY_EXHDR(text));

	if ((Pointer) text != DatumGetPointer(datum))
		pfree(text);
	return value;
}

/* A text of a column that is filled up with blanks. */
static double
bind_char(Run *run, const ModelInput *input, Datum datum)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(datum);

	return bind_server_text(
		run, input, VARDATA_ANY(text),
		bpchartruelen(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)));
}

/* A value of a column that is not a usual number. */
static double
bind_other(Run *run, const ModelInput *input, const BindInput *bind,
		   Datum datum)
{
	switch (bind->kind)
	{
		case BIND_NUMERIC:
			return bind_numeric_value(run, input, datum);
		case BIND_BOOL:
			if (input->type == VALUE_TEXT)
				return run_text(run, DatumGetBool(datum) ? "true" : "false",
								DatumGetBool(datum) ? 4 : 5);
			return bind_number(run, input, DatumGetBool(datum), VALUE_INTEGER);
		case BIND_TEXT:
			return bind_varlena(run, input, datum);
		case BIND_CHAR:
			return bind_char(run, input, datum);
		case BIND_DATE:
			if (DATE_NOT_FINITE(DatumGetDateADT(datum)))
				return bind_incompatible(run, "infinity", 8);
			return bind_time(run, input, VALUE_DATE,
							 DatumGetDateADT(datum) +
								 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE));
		case BIND_TIME:
			return bind_time(
				run, input, VALUE_TIME,
				floor((double) DatumGetTimeADT(datum) / USECS_PER_SEC));
		case BIND_TIMESTAMP:
			if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(datum)))
				return bind_incompatible(run, "infinity", 8);
			return bind_time(
				run, input, VALUE_TIMESTAMP,
				floor((double) DatumGetTimestamp(datum) / USECS_PER_SEC) +
					(double) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
						SECS_PER_DAY);
		case BIND_LIST:
			return bind_list(run, input, bind, datum);
		default:
			break;
	}
	return bind_output(run, input, bind, datum);
}

/* Puts the values of a row into the slots of the inputs. */
void
bind_row(Run *run, const ModelRoot *root, const BindInput *inputs, double *row,
		 const Datum *values, const bool *nulls)
{
	for (uint32 i = 0; i < root->ninputs; i++)
	{
		const ModelInput *input = &root->inputs[i];
		const BindInput *bind = &inputs[i];
		double value;

		if (bind->kind == BIND_NONE || nulls[bind->attno])
		{
			row[input->slot] = NAN;
			continue;
		}
		switch (bind->kind)
		{
			case BIND_FLOAT8:
				value = DatumGetFloat8(values[bind->attno]);
				break;
			case BIND_FLOAT4:
				value = DatumGetFloat4(values[bind->attno]);
				break;
			case BIND_INT2:
				value = DatumGetInt16(values[bind->attno]);
				break;
			case BIND_INT4:
				value = DatumGetInt32(values[bind->attno]);
				break;
			case BIND_INT8:
				value = (double) DatumGetInt64(values[bind->attno]);
				break;
			default:
				row[input->slot] =
					bind_other(run, input, bind, values[bind->attno]);
				continue;
		}
		if (input->type == VALUE_FLOAT)
			value = (float) value;
		else if (input->type != VALUE_DOUBLE)
			value = bind_number(run, input, value,
								bind->kind == BIND_FLOAT8   ? VALUE_DOUBLE
								: bind->kind == BIND_FLOAT4 ? VALUE_FLOAT
															: VALUE_INTEGER);
		row[input->slot] = value;
	}
}

/* Adds an item of a JSON array, what is neither a value nor null left out. */
static void
bind_json_item(StringInfo list, const JsonbValue *item)
{
	if (item->type != jbvString && item->type != jbvNumeric &&
		item->type != jbvBool)
		return;
	if (list->len > 0)
		appendStringInfoChar(list, MODEL_LIST_SEPARATOR);
	if (item->type == jbvString)
		appendBinaryStringInfo(list, item->val.string.val,
							   item->val.string.len);
	else if (item->type == jbvBool)
		appendStringInfoString(list, item->val.boolean ? "true" : "false");
	else
		appendStringInfoString(
			list, DatumGetCString(DirectFunctionCall1(
					  numeric_out, NumericGetDatum(item->val.numeric))));
}

/* The items of a JSON array as one text. */
static double
bind_json_list(Run *run, const ModelInput *input, JsonbContainer *array)
{
	StringInfoData list;
	uint32 n = JsonContainerSize(array);

	initStringInfo(&list);
	for (uint32 i = 0; i < n; i++)
		bind_json_item(&list, getIthJsonbValueFromContainer(array, i));
	return bind_server_text(run, input, list.data, list.len);
}

/* A value of a JSON object as a value of an input. */
static double
bind_json_value(Run *run, const ModelInput *input, JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NAN;
		case jbvNumeric:
			return bind_numeric_value(run, input,
									  NumericGetDatum(value->val.numeric));
		case jbvBool:
			if (input->type == VALUE_TEXT)
				return run_text(run, value->val.boolean ? "true" : "false",
								value->val.boolean ? 4 : 5);
			return bind_number(run, input, value->val.boolean, VALUE_INTEGER);
		case jbvString:
			return bind_server_text(run, input, value->val.string.val,
									value->val.string.len);
		default:
			if (value->type == jbvBinary &&
				JsonContainerIsArray(value->val.binary.data))
				return bind_json_list(run, input, value->val.binary.data);
			return bind_incompatible(run, "{}", 2);
	}
}

/*
 * The value of a JSON object for an input, NULL if there is none. An object
 * that was made of a row has keys that are cut as names of columns are.
 */
static JsonbValue *
bind_json_find(const Run *run, const ModelInput *input, Jsonb *json,
			   JsonbValue *found)
{
	Size size;
	const char *name = model_text(run->model, input->name, &size);
	char *key = pg_any_to_server(name, (int) size, PG_UTF8);
	JsonbValue *value;

	if (key != name)
		size = strlen(key);
	value = getKeyJsonValueFromContainer(&json->root, key, (int) size, found);
	if (value != NULL || size < NAMEDATALEN)
		return value;
	return getKeyJsonValueFromContainer(
		&json->root, key, pg_mbcliplen(key, (int) size, NAMEDATALEN - 1),
		found);
}

/*
 * Puts the values of a JSON object into the slots of the inputs. A key that
 * is not there is a missing value, as null is.
 */
void
bind_json(Run *run, const ModelRoot *root, double *row, Jsonb *json)
{
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("inputs of a model are not a JSON object"),
						errhint("Pass an object with a key for each input.")));
	for (uint32 i = 0; i < root->ninputs; i++)
	{
		const ModelInput *input = &root->inputs[i];
		JsonbValue found;
		JsonbValue *value = bind_json_find(run, input, json, &found);

		row[input->slot] =
			value == NULL ? NAN : bind_json_value(run, input, value);
	}
}

/* A value as text, as it is compared and shown. */
char *
bind_value_text(const Run *run, ValueType type, double value)
{
	char buffer[VALUE_FORMAT_SIZE];
	const char *text;
	Size size;

	if (isnan(value))
		return NULL;
	if (type == VALUE_TEXT)
	{
		text = run_text_get(run, value, &size);
		return text == NULL ? NULL : model_server_text(text, size);
	}
	return value_format(buffer, type, value) == 0 ? NULL : pstrdup(buffer);
}

/* A number as JSON: the fewest digits that tell it. */
static void
json_number(JsonbValue *json, double value, bool single)
{
	char buffer[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isinf(value))
	{
		json->type = jbvString;
		json->val.string.val = pstrdup(value > 0 ? "Infinity" : "-Infinity");
		json->val.string.len = (int) strlen(json->val.string.val);
		return;
	}
	if (single)
		float_to_shortest_decimal_buf((float) value, buffer);
	else
		double_to_shortest_decimal_buf(value, buffer);
	json->type = jbvNumeric;
	json->val.numeric = DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(buffer),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* A value of an output as JSON. */
static void
json_value(const Run *run, const ModelOutput *output, double value,
		   JsonbValue *json)
{
	char *text;

	json->type = jbvNull;
	if (isnan(value))
		return;
	switch ((ValueType) output->type)
	{
		case VALUE_DOUBLE:
		case VALUE_FLOAT:
		case VALUE_INTEGER:
		case VALUE_DAYS_SINCE:
		case VALUE_SECONDS_SINCE:
		case VALUE_SECONDS:
			json_number(json, value, output->type == VALUE_FLOAT);
			return;
		case VALUE_BOOLEAN:
			json->type = jbvBool;
			json->val.boolean = value != 0;
			return;
		default:
			break;
	}
	text = bind_value_text(run, output->type, value);
	if (text == NULL)
		return;
	json->type = jbvString;
	json->val.string.val = text;
	json->val.string.len = (int) strlen(text);
}

/* Adds the items of a list to the object. */
static void
json_list(JsonbParseState **state, char *text)
{
	char *at = text;

	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	while (at != NULL && *at != '\0')
	{
		char *end = strchr(at, MODEL_LIST_SEPARATOR);
		JsonbValue item;

		item.type = jbvString;
		item.val.string.val = at;
		item.val.string.len =
			end == NULL ? (int) strlen(at) : (int) (end - at);
		pushJsonbValue(state, WJB_ELEM, &item);
		at = end == NULL ? NULL : end + 1;
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* Adds an output to the object. */
static void
json_output(const Run *run, const ModelOutput *output, double value,
			JsonbParseState **state)
{
	char *key = model_name(run->model, output->name);
	JsonbValue json;

	json.type = jbvString;
	json.val.string.val = key;
	json.val.string.len = (int) strlen(key);
	pushJsonbValue(state, WJB_KEY, &json);
	json_value(run, output, value, &json);
	if ((output->flags & MODEL_OUTPUT_LIST) && json.type == jbvString)
		json_list(state, pnstrdup(json.val.string.val, json.val.string.len));
	else
		pushJsonbValue(state, WJB_VALUE, &json);
}

/* The targets and output fields of a row as a JSON object. */
Jsonb *
bind_results(const Run *run, const ModelRoot *root, int row)
{
	const double *slots = run_row(run, row);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint32 i = 0; i < root->noutputs; i++)
	{
		const ModelOutput *output = &root->outputs[i];

		json_output(run, output, run->invalid[row] ? NAN : slots[output->slot],
					&state);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
