/* Type model: input, output, and what a compiled model says of itself. */
#include "postgres.h"

#include "common/base64.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "model/import.h"
#include "model/layout.h"
#include "model/model.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(model_in);
PG_FUNCTION_INFO_V1(model_out);
PG_FUNCTION_INFO_V1(model_recv);
PG_FUNCTION_INFO_V1(model_send);
PG_FUNCTION_INFO_V1(model_compile);
PG_FUNCTION_INFO_V1(model_summary);
PG_FUNCTION_INFO_V1(model_hash_bytes);

/* A copy of bytes from outside as a compiled form, if they are one. */
static struct varlena *
model_from_bytes(const char *bytes, int size)
{
	struct varlena *result = palloc(MAXALIGN(Max(size, sizeof(ModelHead))));

	memset(result, 0, sizeof(ModelHead));
	memcpy(result, bytes, size);
	/* The length is not part of what is sent: servers write it their way. */
	SET_VARSIZE(result, size);
	model_check(result, size);
	return result;
}

/* Adds a text of a model as the server's encoding has it. */
static void
type_add_text(StringInfo out, const Model *model, uint32 code)
{
	Size size;
	const char *text = model_text(model, code, &size);

	appendStringInfoString(
		out, pg_any_to_server(pnstrdup(text, size), (int) size, PG_UTF8));
}

/* Adds what a reader wants to know of a model, before its bytes. */
static void
type_add_summary(StringInfo out, const struct varlena *compiled)
{
	const ModelHead *head = (const ModelHead *) compiled;
	ModelRoot root;
	Model model;

	if (head->layout != MODEL_LAYOUT)
	{
		appendStringInfo(out, "model of layout %u: ", head->layout);
		return;
	}
	model_view(&model, compiled);
	model_root(&model, &root);
	type_add_text(out, &model, root.element);
	appendStringInfoString(out, ", ");
	type_add_text(out, &model, root.function);
	appendStringInfo(out,
					 ", inputs %u, outputs %u, tree nodes %u: ", root.ninputs,
					 root.noutputs, head->nnodes - 1);
}

/* A text without white space around it. */
static char *
type_trim(const char *text)
{
	Size size;

	text += strspn(text, " \t\r\n");
	size = strlen(text);
	while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
		size--;
	return pnstrdup(text, size);
}

/* The model that base64 stands for. */
static struct varlena *
type_decode(const char *text)
{
	int size = (int) strlen(text);
	char *bytes = palloc(pg_b64_dec_len(size) + 1);
	int n = pg_b64_decode(text, size, bytes, pg_b64_dec_len(size));

	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "model"),
				 errdetail("A compiled model is written in base64."),
				 errhint("model_compile() makes one of PMML, model_get() "
						 "finds one by name.")));
	return model_from_bytes(bytes, n);
}

/*
 * SQL: input of type model: base64 of the binary form, maybe after what
 * output writes before it.
 */
PGDLLEXPORT Datum
model_in(PG_FUNCTION_ARGS)
{
	const char *text = type_trim(PG_GETARG_CSTRING(0));
	const char *space = strrchr(text, ' ');
	struct varlena *result = type_decode(space == NULL ? text : space + 1);
	StringInfoData summary;

	if (space == NULL)
		PG_RETURN_POINTER(result);
	initStringInfo(&summary);
	type_add_summary(&summary, result);
	if (strlen(summary.data) != space + 1 - text ||
		strncmp(summary.data, text, summary.len) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "model"),
				 errdetail("What stands before the bytes does not describe "
						   "them.")));
	PG_RETURN_POINTER(result);
}

/* SQL: output of type model: a summary, then base64 of the binary form. */
PGDLLEXPORT Datum
model_out(PG_FUNCTION_ARGS)
{
	struct varlena *model = PG_GETARG_VARLENA_P(0);
	int size = VARSIZE(model);
	int space = pg_b64_enc_len(size);
	StringInfoData out;
	int n;

	initStringInfo(&out);
	type_add_summary(&out, model);
	enlargeStringInfo(&out, space);
	n = pg_b64_encode((const char *) model, size, out.data + out.len, space);
	out.len += n;
	out.data[out.len] = '\0';
	PG_RETURN_CSTRING(out.data);
}

/* SQL: binary input of type model. */
PGDLLEXPORT Datum
model_recv(PG_FUNCTION_ARGS)
{
	StringInfo buffer = (StringInfo) PG_GETARG_POINTER(0);
	int size = buffer->len - buffer->cursor;

	PG_RETURN_POINTER(model_from_bytes(pq_getmsgbytes(buffer, size), size));
}

/* SQL: binary output of type model. */
PGDLLEXPORT Datum
model_send(PG_FUNCTION_ARGS)
{
	struct varlena *model = PG_GETARG_VARLENA_P(0);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, (const char *) model, VARSIZE(model));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* SQL: model_compile(pmml text) returns model */
PGDLLEXPORT Datum
model_compile(PG_FUNCTION_ARGS)
{
	text *pmml = PG_GETARG_TEXT_PP(0);
	const char *data = VARDATA_ANY(pmml);
	Size size = VARSIZE_ANY_EXHDR(pmml);
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros PMML", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	char *utf8 = pg_server_to_any(data, (int) size, PG_UTF8);
	struct varlena *compiled;
	struct varlena *result;

	if (utf8 != data)
		size = strlen(utf8);
	compiled = model_compile_pmml(utf8, size);
	/* What is stored can be dumped and restored: input checks it as well. */
	model_check(compiled, VARSIZE(compiled));
	MemoryContextSwitchTo(old);
	result = palloc(VARSIZE(compiled));
	memcpy(result, compiled, VARSIZE(compiled));
	MemoryContextDelete(context);
	PG_RETURN_POINTER(result);
}

/* Adds a key with a text of the model. */
static void
summary_text(StringInfo json, const Model *model, const char *key, uint32 code)
{
	appendStringInfo(json, "\"%s\": ", key);
	escape_json(json, model_name(model, code));
	appendStringInfoString(json, ", ");
}

/* Adds the names of fields; stride words from name to name. */
static void
summary_names(StringInfo json, const Model *model, const char *key,
			  const uint32 *names, uint32 n, int stride)
{
	appendStringInfo(json, "\"%s\": [", key);
	for (uint32 i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(json, ", ");
		escape_json(json, model_name(model, names[i * stride]));
	}
	appendStringInfoString(json, "], ");
}

/* SQL: model_summary(model) returns jsonb */
PGDLLEXPORT Datum
model_summary(PG_FUNCTION_ARGS)
{
	struct varlena *compiled = PG_GETARG_VARLENA_P(0);
	StringInfoData json;
	ModelRoot root;
	Model model;

	model_check_layout(compiled);
	model_view(&model, compiled);
	model_root(&model, &root);
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	summary_text(&json, &model, "name", root.name);
	summary_text(&json, &model, "element", root.element);
	summary_text(&json, &model, "function", root.function);
	summary_names(&json, &model, "inputs", &root.inputs->name, root.ninputs,
				  MODEL_INPUT_WORDS);
	summary_names(&json, &model, "outputs", &root.outputs->name, root.noutputs,
				  MODEL_OUTPUT_WORDS);
	appendStringInfo(&json,
					 "\"tree_nodes\": %u, \"slots\": %u, \"layout\": %u, "
					 "\"bytes\": %u, \"hash\": \"",
					 model.head->nnodes - 1, model.head->nslots,
					 model.head->layout, (uint32) VARSIZE(compiled));
	for (int i = 0; i < lengthof(model.head->hash); i++)
		appendStringInfo(&json, "%02x", model.head->hash[i]);
	appendStringInfoString(&json, "\"}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* SQL: model_hash(model) returns bytea */
PGDLLEXPORT Datum
model_hash_bytes(PG_FUNCTION_ARGS)
{
	struct varlena *head = (struct varlena *) PG_GETARG_BYTEA_P_SLICE(
		0, 0, sizeof(ModelHead) - VARHDRSZ);
	bytea *result = palloc(VARHDRSZ + sizeof(((ModelHead *) head)->hash));

	SET_VARSIZE(result, VARHDRSZ + sizeof(((ModelHead *) head)->hash));
	memcpy(VARDATA(result), ((ModelHead *) head)->hash,
		   sizeof(((ModelHead *) head)->hash));
	PG_RETURN_BYTEA_P(result);
}
