/*
 * ModelVerification: inputs and results that the producer of a model put
 * beside it. A model that does not give them is refused.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "model/bind.h"
#include "model/import.h"
#include "utils/memutils.h"

/* What PMML says where a field tells nothing. */
#define VERIFY_PRECISION 1e-6
#define VERIFY_ZERO 1e-16

/*
 * Precision is at least this. Producers write 1e-13 and less, which the last
 * bits of exp() in another library may exceed; and 32 bits hold no more.
 */
#define VERIFY_FINEST 1e-9
#define VERIFY_FINEST_SINGLE 1e-6

/* A field of the verification. */
typedef struct VerifyField
{
	XmlNode *node;
	const char *column;
	double precision;
	double zero;
	const ModelInput *input;   /* or NULL */
	const ModelOutput *output; /* or NULL */
} VerifyField;

/* Tells whether a text of a model is a name. */
static bool
verify_is(const Model *model, uint32 code, const char *name)
{
	Size size;
	const char *text = model_text(model, code, &size);

	return strlen(name) == size && memcmp(text, name, size) == 0;
}

/* Finds what a field of the verification is in the model. */
static void
verify_field(const Model *model, const ModelRoot *root, XmlNode *node,
			 VerifyField *field)
{
	const char *name = xml_need(node, "field");
	const char *column = xml_attr(node, "column");

	field->node = node;
	field->column = xml_local(column == NULL ? name : column);
	field->precision = xml_number(node, "precision", VERIFY_PRECISION);
	field->zero = xml_number(node, "zeroThreshold", VERIFY_ZERO);
	field->input = NULL;
	field->output = NULL;
	for (uint32 i = 0; i < root->ninputs; i++)
		if (verify_is(model, root->inputs[i].name, name))
			field->input = &root->inputs[i];
	for (uint32 i = 0; i < root->noutputs; i++)
		if (verify_is(model, root->outputs[i].name, name))
			field->output = &root->outputs[i];
}

/*
 * Where output fields are verified, the target's column holds what was seen,
 * not what is expected.
 */
static void
verify_ignore_targets(VerifyField *fields, int n)
{
	bool outputs = false;

	for (int i = 0; i < n; i++)
		outputs =
			outputs || (fields[i].output != NULL &&
						!(fields[i].output->flags & MODEL_OUTPUT_TARGET));
	for (int i = 0; outputs && i < n; i++)
		if (fields[i].output != NULL &&
			(fields[i].output->flags & MODEL_OUTPUT_TARGET))
			fields[i].output = NULL;
}

/* Tells whether a number is near enough to what is expected. */
static bool
verify_near(const VerifyField *field, double expected, double actual)
{
	double finest = field->output->type == VALUE_FLOAT ? VERIFY_FINEST_SINGLE
													   : VERIFY_FINEST;
	double precision = Max(field->precision, finest);
	double low = expected * (1 - precision);
	double high = expected * (1 + precision);

	if (fabs(expected) <= field->zero)
		return fabs(actual) <= Max(field->zero, finest);
	return actual >= Min(low, high) && actual <= Max(low, high);
}

/* Tells whether an output is what a text expects. */
static bool
verify_equal(const Run *run, const VerifyField *field, const char *expected,
			 double actual, char **shown)
{
	const ModelOutput *output = field->output;
	double value;

	*shown = bind_value_text(run, output->type, actual);
	if (*shown == NULL)
		return false;
	if (output->type != VALUE_TEXT)
		return value_from_text(expected, output->type, (int) output->year,
							   &value) &&
			   verify_near(field, value, actual);
	/* Labels that are numbers may be written as 1 or 1.0. */
	return strcmp(*shown, expected) == 0 ||
		   (value_from_text(expected, VALUE_DOUBLE, 0, &value) &&
			value_from_text(*shown, VALUE_DOUBLE, 0, &actual) &&
			value == actual);
}

/* Runs the model for a row of the verification and compares. */
static void
verify_row(Run *run, const ModelRoot *root, const VerifyField *fields, int n,
		   XmlNode *line)
{
	double *row = run_row(run, 0);

	run_begin(run);
	for (uint32 i = 0; i < root->ninputs; i++)
		row[root->inputs[i].slot] = NAN;
	for (int i = 0; i < n; i++)
	{
		XmlNode *cell = xml_child(line, fields[i].column);

		if (fields[i].input != NULL && cell != NULL && cell->text != NULL)
			row[fields[i].input->slot] = bind_text(
				run, fields[i].input, cell->text, strlen(cell->text));
	}
	run_block(run, 1);
	for (int i = 0; i < n; i++)
	{
		XmlNode *cell = xml_child(line, fields[i].column);
		char *shown;

		if (fields[i].output == NULL || cell == NULL || cell->text == NULL)
			continue;
		if (!verify_equal(run, &fields[i], cell->text,
						  run->invalid[0] ? NAN : row[fields[i].output->slot],
						  &shown))
			xml_fail(cell, ERRCODE_DATA_EXCEPTION,
					 "model gives %s for \"%s\", not %s as it should",
					 shown == NULL ? "nothing" : shown,
					 xml_need(fields[i].node, "field"), cell->text);
	}
}

/* Refuses a model that does not give what its ModelVerification says. */
void
verify_model(XmlNode *node, const struct varlena *compiled)
{
	XmlNode *verification = xml_child(node, "ModelVerification");
	XmlNode *declared;
	XmlNode *table;
	VerifyField *fields;
	int n = 0;
	Model model;
	ModelRoot root;
	Run *run;

	if (verification == NULL)
		return;
	xml_attr(verification, "recordCount");
	xml_attr(verification, "fieldCount");
	declared = xml_need_child(verification, "VerificationFields");
	table = xml_need_child(verification, "InlineTable");
	model_view(&model, compiled);
	model_root(&model, &root);
	fields = palloc(Max(1, xml_children(declared, "VerificationField")) *
					sizeof(VerifyField));
	for (XmlNode *at = xml_child(declared, "VerificationField"); at != NULL;
		 at = xml_next(at, "VerificationField"))
		verify_field(&model, &root, at, &fields[n++]);
	verify_ignore_targets(fields, n);
	run = run_create(&model, 1, CurrentMemoryContext);
	for (XmlNode *line = xml_child(table, "row"); line != NULL;
		 line = xml_next(line, "row"))
		verify_row(run, &root, fields, n, line);
	xml_skip(verification);
}
