/* Rows of a table, JSON and texts as inputs of a model; results as JSON. */
#ifndef IAROS_MODEL_BIND_H
#define IAROS_MODEL_BIND_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "model/layout.h"
#include "model/model.h"
#include "utils/jsonb.h"

/* How values of a column become those of an input. */
typedef enum BindKind
{
	BIND_NONE, /* there is no such column */
	BIND_FLOAT8,
	BIND_FLOAT4,
	BIND_INT2,
	BIND_INT4,
	BIND_INT8,
	BIND_NUMERIC,
	BIND_BOOL,
	BIND_TEXT,
	BIND_CHAR, /* character(n) */
	BIND_DATE,
	BIND_TIME,
	BIND_TIMESTAMP,
	BIND_LIST,  /* an array: of texts in the end */
	BIND_OUTPUT /* by the output function of the type */
} BindKind;

/* Where an input comes from. */
typedef struct BindInput
{
	BindKind kind;
	int attno; /* from 0 */
	Oid typoutput;
	Oid element; /* of an array */
} BindInput;

extern BindInput *bind_columns(const Model *model, TupleDesc desc);
extern void bind_row(Run *run, const ModelRoot *root, const BindInput *inputs,
					 double *row, const Datum *values, const bool *nulls);
extern void bind_json(Run *run, const ModelRoot *root, double *row,
					  Jsonb *json);
extern double bind_text(Run *run, const ModelInput *input, const char *text,
						Size size);
extern double bind_server_text(Run *run, const ModelInput *input,
							   const char *text, Size size);
extern Jsonb *bind_results(const Run *run, const ModelRoot *root, int row);
extern char *bind_value_text(const Run *run, ValueType type, double value);

#endif /* IAROS_MODEL_BIND_H */
