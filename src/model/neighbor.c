/* NearestNeighborModel: from PMML to a record. */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "miscadmin.h"
#include "model/compile.h"
#include "model/neighbor.h"
#include "utils/memutils.h"

/* A column of the table of cases. */
typedef struct Column
{
	const char *field;
	const char *cell; /* name of its elements */
	int same;         /* the first column of that name */
	double *values;   /* NULL until somebody needs them */
} Column;

/* A model while it is compiled. */
typedef struct Neighbors
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	MeasurePlan plan;
	int ncolumns;
	Column *columns;
	uint32 nrows;
	XmlNode **rows;
	const char **cells; /* texts, column by column */
	double *refs;       /* values of the compared fields, field by field */
	uint32 *ids;
	int ntargets;
	uint32 *targets; /* operands of each */
} Neighbors;

/* A category of a target, to put categories in order. */
typedef struct Category
{
	double value;
	uint32 count;
	uint32 at; /* its number among the values in order */
} Category;

/* Reads which columns the table has. */
static void
neighbor_columns(Neighbors *nb, XmlNode *instances)
{
	XmlNode *fields = xml_need_child(instances, "InstanceFields");
	FieldTable names = {0};
	int n = xml_children(fields, "InstanceField");

	nb->columns = palloc0(Max(n, 1) * sizeof(Column));
	for (XmlNode *node = xml_child(fields, "InstanceField"); node != NULL;
		 node = xml_next(node, "InstanceField"))
	{
		Column *column = &nb->columns[nb->ncolumns];
		const char *cell = xml_attr(node, "column");
		Field *known;

		column->field = xml_need(node, "field");
		column->cell = xml_local(cell == NULL ? column->field : cell);
		column->same = nb->ncolumns++;
		known = field_find(&names, column->cell);
		if (known != NULL)
		{
			column->same = known->slot;
			continue;
		}
		known = palloc0(sizeof(Field));
		known->name = column->cell;
		known->slot = column->same;
		field_add(&names, known);
	}
}

/* The column of a field, NULL if the table does not have it. */
static Column *
neighbor_column(const Neighbors *nb, const char *field)
{
	for (int i = 0; i < nb->ncolumns; i++)
		if (strcmp(nb->columns[i].field, field) == 0)
			return &nb->columns[i];
	return NULL;
}

/* The column whose elements have a name; mostly the next one. */
static int
neighbor_cell(const Neighbors *nb, const char *name, int guess)
{
	for (int i = 0; i < nb->ncolumns; i++)
	{
		int at = (guess + i) % nb->ncolumns;

		if (nb->columns[at].same == at &&
			strcmp(nb->columns[at].cell, name) == 0)
			return at;
	}
	return -1;
}

/* Reads the texts of the table. */
static void
neighbor_table(Neighbors *nb, XmlNode *instances)
{
	XmlNode *table = xml_child(instances, "InlineTable");
	uint32 i = 0;

	if (table == NULL)
		xml_fail(instances, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "training instances are not in an InlineTable");
	nb->nrows = xml_children(table, "row");
	nb->rows =
		palloc_extended((nb->nrows + 1) * sizeof(XmlNode *), MCXT_ALLOC_HUGE);
	nb->cells =
		palloc_extended(((Size) nb->nrows * nb->ncolumns + 1) * sizeof(char *),
						MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (XmlNode *row = xml_child(table, "row"); row != NULL;
		 row = xml_next(row, "row"), i++)
	{
		int guess = 0;

		CHECK_FOR_INTERRUPTS();
		nb->rows[i] = row;
		for (XmlNode *cell = xml_first(row); cell != NULL;
			 cell = xml_after(cell))
		{
			int at = neighbor_cell(nb, cell->name, guess);

			if (at < 0)
				continue;
			nb->cells[(Size) at * nb->nrows + i] = cell->text;
			guess = at + 1;
		}
	}
}

/* A value of a column; empty is missing. */
static double
neighbor_value(Neighbors *nb, uint32 row, const char *text, FieldType type)
{
	char *copy;
	int size;
	double value;

	if (text == NULL)
		return NAN;
	if (type.type == VALUE_TEXT)
		return builder_text(nb->c, text);
	while (isspace((unsigned char) *text))
		text++;
	size = strlen(text);
	while (size > 0 && isspace((unsigned char) text[size - 1]))
		size--;
	if (size == 0)
		return NAN;
	copy = pnstrdup(text, size);
	/* Values that were transformed need not be whole. */
	if (type.type == VALUE_INTEGER)
		value = xml_parse_number(nb->rows[row], copy);
	else
		value = value_parse(nb->c, nb->rows[row], copy, type);
	pfree(copy);
	return value;
}

/* The values of a column, as slots hold values of a type. */
static double *
column_values(Neighbors *nb, Column *column, FieldType type)
{
	const char **cells = nb->cells + (Size) column->same * nb->nrows;

	if (column->values != NULL)
		return column->values;
	column->values =
		palloc_extended((nb->nrows + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < nb->nrows; i++)
		column->values[i] = neighbor_value(nb, i, cells[i], type);
	return column->values;
}

/*
 * Puts the values of a case into the slots of fields of these names, or
 * without slots only reads the columns that fields in use need.
 */
static void
neighbor_fill(Neighbors *nb, uint32 row, double *slots)
{
	for (int i = 0; i < nb->ncolumns; i++)
		for (Scope *scope = nb->scope; scope != NULL; scope = scope->parent)
		{
			Column *column = &nb->columns[i];
			Field *field = field_find(&scope->fields, column->field);
			double *values;

			if (field == NULL || field->state != FIELD_READY)
				continue;
			values = column_values(nb, column, field->type);
			if (slots != NULL)
				slots[field->slot] = values[row];
		}
}

/* Keeps what a run made of a field for a case. */
static void
neighbor_keep(Neighbors *nb, const Run *run, const double *slots, uint32 row)
{
	for (int i = 0; i < nb->plan.nfields; i++)
	{
		const Field *field = nb->plan.fields[i].field;
		double value = slots[field->slot];

		if (neighbor_column(nb, field->name) != NULL)
			continue;
		if (field->type.type == VALUE_TEXT)
		{
			Size size;
			const char *text = run_text_get(run, value, &size);

			value =
				text == NULL ? NAN : builder_text(nb->c, pnstrdup(text, size));
		}
		nb->refs[(Size) i * nb->nrows + row] = value;
	}
}

/*
 * Computes derived fields of the cases by running the steps that were added
 * for them: the program as it is so far is complete enough for that.
 */
static void
neighbor_derive(Neighbors *nb, const uint32 *steps, int nsteps)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros model neighbors", ALLOCSET_DEFAULT_SIZES);
	struct varlena *compiled;
	Model model;
	Run *run;

	/* All texts must be in the dictionary before it is copied. */
	neighbor_fill(nb, 0, NULL);
	compiled = builder_finish(nb->c, 0);
	model_view(&model, compiled);
	run = run_create(&model, 1, context);
	for (uint32 row = 0; row < nb->nrows; row++)
	{
		double *slots = run_row(run, 0);

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < run->stride; i++)
			slots[i] = NAN;
		run->invalid[0] = false;
		neighbor_fill(nb, row, slots);
		for (int i = 0; i < nsteps; i++)
			model_step(run, steps[i], 0, 1);
		if (run->invalid[0])
			xml_fail(nb->rows[row], ERRCODE_INVALID_PARAMETER_VALUE,
					 "training instance is not valid");
		neighbor_keep(nb, run, slots, row);
	}
	pfree(compiled);
	MemoryContextDelete(context);
}

/* Reads the compared fields; returns the steps that they add. */
static uint32 *
neighbor_inputs(Neighbors *nb, int *nsteps)
{
	XmlNode *inputs = xml_need_child(nb->node, "KNNInputs");
	uint32 *steps = NULL;
	int before[64];
	int depth = 0;

	for (Scope *scope = nb->scope; scope != NULL && depth < lengthof(before);
		 scope = scope->parent)
		before[depth++] = scope->nsteps;
	for (XmlNode *input = xml_child(inputs, "KNNInput"); input != NULL;
		 input = xml_next(input, "KNNInput"))
		measure_field(nb->c, nb->scope, input, &nb->plan);
	if (nb->plan.nfields == 0)
		xml_fail(inputs, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no fields to compare");
	*nsteps = 0;
	while (depth-- > 0)
	{
		Scope *scope = nb->scope;
		int n;

		for (int i = 0; i < depth; i++)
			scope = scope->parent;
		n = scope->nsteps - before[depth];
		steps = steps == NULL
					? palloc((n + 1) * sizeof(uint32))
					: repalloc(steps, (*nsteps + n + 1) * sizeof(uint32));
		if (n > 0)
			memcpy(steps + *nsteps, scope->steps + before[depth],
				   n * sizeof(uint32));
		*nsteps += n;
	}
	return steps;
}

/* Fills the matrix of compared values. */
static void
neighbor_refs(Neighbors *nb, const uint32 *steps, int nsteps)
{
	Size size =
		mul_size(mul_size(nb->plan.nfields, nb->nrows), sizeof(double));
	bool derived = false;

	if (size / sizeof(double) > PG_INT32_MAX)
		xml_fail(nb->node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "model has too many training instances");
	nb->refs = palloc_extended(size + 1, MCXT_ALLOC_HUGE);
	for (int i = 0; i < nb->plan.nfields; i++)
	{
		const Field *field = nb->plan.fields[i].field;
		Column *column = neighbor_column(nb, field->name);

		if (column != NULL)
			memcpy(nb->refs + (Size) i * nb->nrows,
				   column_values(nb, column, field->type),
				   nb->nrows * sizeof(double));
		else
			derived = true;
	}
	if (derived)
		neighbor_derive(nb, steps, nsteps);
	for (int i = 0; i < nb->plan.nfields; i++)
		for (uint32 row = 0; row < nb->nrows; row++)
			measure_reference(&nb->plan, nb->rows[row], i,
							  &nb->refs[(Size) i * nb->nrows + row]);
}

/* Finds the ids of the cases: of a column, or their numbers. */
static void
neighbor_ids(Neighbors *nb)
{
	const char *name = xml_attr(nb->node, "instanceIdVariable");
	Column *column = NULL;

	if (name != NULL && (column = neighbor_column(nb, name)) == NULL)
		xml_fail(nb->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "there is no column of field \"%s\"", name);
	nb->ids =
		palloc_extended((nb->nrows + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < nb->nrows; i++)
	{
		const char *cell =
			column == NULL ? psprintf("%u", i + 1)
						   : nb->cells[(Size) column->same * nb->nrows + i];
		double id = neighbor_value(nb, i, cell, type_text);

		if (isnan(id))
			xml_fail(nb->rows[i], ERRCODE_INVALID_PARAMETER_VALUE,
					 "training instance has no id");
		nb->ids[i] = (uint32) id;
	}
}

/* Compares categories: more cases first, then by value. */
static int
compare_categories(const void *a, const void *b, void *arg)
{
	const Category *x = a;
	const Category *y = b;
	const Compiler *texts = arg;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (texts != NULL)
		return strcmp(builder_text_get(texts, (uint32) x->value),
					  builder_text_get(texts, (uint32) y->value));
	return x->value < y->value ? -1 : x->value > y->value;
}

/* Finds the different values of a target, in order, and how many have them. */
static Category *
neighbor_categories(Neighbors *nb, const double *values, uint32 *n)
{
	double *sorted =
		palloc_extended((nb->nrows + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	Category *categories =
		palloc_extended((nb->nrows + 1) * sizeof(Category), MCXT_ALLOC_HUGE);
	uint32 known = 0;

	*n = 0;
	for (uint32 i = 0; i < nb->nrows; i++)
		if (!isnan(values[i]))
			sorted[known++] = values[i];
	number_sort(sorted, known);
	for (uint32 i = 0; i < known; i++)
	{
		if (*n == 0 || categories[*n - 1].value != sorted[i])
		{
			categories[*n] = (Category){sorted[i], 0, *n};
			(*n)++;
		}
		categories[*n - 1].count++;
	}
	pfree(sorted);
	return categories;
}

/*
 * Numbers the categories of a target so that the first of equal votes wins:
 * the one that more cases have, then the smallest. Values become numbers of
 * categories; returns the categories.
 */
static double *
neighbor_encode(Neighbors *nb, FieldType type, double *values, uint32 *n)
{
	Category *categories = neighbor_categories(nb, values, n);
	double *sorted = palloc((*n + 1) * sizeof(double));
	double *labels = palloc((*n + 1) * sizeof(double));
	uint32 *place = palloc((*n + 1) * sizeof(uint32));

	for (uint32 i = 0; i < *n; i++)
		sorted[i] = categories[i].value;
	qsort_arg(categories, *n, sizeof(Category), compare_categories,
			  type.type == VALUE_TEXT ? nb->c : NULL);
	for (uint32 i = 0; i < *n; i++)
	{
		labels[i] = categories[i].value;
		place[categories[i].at] = i;
	}
	for (uint32 i = 0; i < nb->nrows; i++)
		if (!isnan(values[i]))
			values[i] = place[number_find(sorted, *n, values[i])];
	pfree(categories);
	pfree(sorted);
	pfree(place);
	return labels;
}

/* Which method a kind of target has. */
static NeighborMethod
neighbor_method(Neighbors *nb, bool continuous)
{
	NeighborMethod method =
		continuous
			? xml_choice(nb->node, "continuousScoringMethod",
						 NEIGHBOR_CONTINUOUS_WORDS, 0)
			: NEIGHBOR_VOTE + xml_choice(nb->node, "categoricalScoringMethod",
										 NEIGHBOR_CATEGORICAL_WORDS, 0);

	/* Weights are made of distances. */
	if (measure_is_similarity(nb->plan.metric) &&
		(method == NEIGHBOR_WEIGHTED_AVERAGE ||
		 method == NEIGHBOR_WEIGHTED_VOTE))
		xml_unsupported(nb->node,
						continuous ? "continuousScoringMethod"
								   : "categoricalScoringMethod",
						xml_attr(nb->node, continuous
											   ? "continuousScoringMethod"
											   : "categoricalScoringMethod"));
	return method;
}

/* Compiles a target; returns the slot of its value and its type. */
static uint32
neighbor_target(Neighbors *nb, const Field *target, FieldType *type)
{
	bool continuous = target->type.optype == OPTYPE_CONTINUOUS;
	uint32 *words = nb->targets + NEIGHBOR_TARGET_WORDS * nb->ntargets++;
	Column *column = neighbor_column(nb, target->name);
	double *values;
	double *labels = NULL;
	uint32 n = 0;

	if (column == NULL)
		xml_fail(nb->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "there is no column of field \"%s\"", target->name);
	if (continuous && target->type.type == VALUE_TEXT)
		xml_fail(nb->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "values of field \"%s\" are no numbers", target->name);
	values =
		palloc_extended((nb->nrows + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	memcpy(values, column_values(nb, column, target->type),
		   nb->nrows * sizeof(double));
	if (!continuous)
		labels = neighbor_encode(nb, target->type, values, &n);
	else if (nb->scope->single)
		for (uint32 i = 0; i < nb->nrows; i++)
			values[i] = (float) values[i];
	words[0] = neighbor_method(nb, continuous);
	words[1] = builder_nums(nb->c, values, nb->nrows);
	words[2] = nb->nrows;
	words[3] = builder_nums(nb->c, labels, n);
	words[4] = n;
	words[5] = builder_slots(nb->c, 1);
	pfree(values);
	*type = target->type;
	if (continuous)
		type->type = nb->scope->single ? VALUE_FLOAT : VALUE_DOUBLE;
	return words[5];
}

/* Writes the record of the model. */
static void
neighbor_emit(Neighbors *nb, const Result *result, int k, uint32 nearest)
{
	Compiler *c = nb->c;

	code_begin(c, OP_neighbor);
	measure_emit(c, &nb->plan);
	code_nums(c, nb->refs, nb->nrows * nb->plan.nfields);
	code_word(c, nb->nrows);
	code_word(c, k);
	code_words(c, nb->ids, nb->nrows);
	code_word(c, result->entity);
	code_word(c, result->nranked);
	code_word(c, result->ranked);
	code_word(c, result->nranked);
	code_num(c, model_round(xml_number(nb->node, "threshold", 0.001),
							nb->scope->single));
	code_word(c, nb->ntargets);
	for (int i = 0; i < nb->ntargets * NEIGHBOR_TARGET_WORDS; i++)
		code_word(c, nb->targets[i]);
	code_word(c, nearest);
	scope_step(nb->scope, code_end(c));
}

/* Gives the values of several targets the types of the targets. */
static void
neighbor_cast(Neighbors *nb, Result *result, const FieldType *types)
{
	for (int i = 0; i < result->ntargets; i++)
	{
		FieldType type = result->targets[i]->type;
		Operand value;

		if (types[i].type == type.type)
			continue;
		value = expression_slot(nb->c, result->target_slots[i], types[i]);
		value = expression_cast(nb->c, value, type);
		result->target_slots[i] = scope_set(nb->c, nb->scope, value);
	}
	result->value = result->target_slots[0];
	result->type = result->targets[0]->type;
}

/* Compiles what the model predicts, and the record. */
static void
neighbor_result(Neighbors *nb, Result *result, int k)
{
	Scope *scope = nb->scope;
	int n = scope->ntargets;
	FieldType *types = palloc((n + 1) * sizeof(FieldType));
	uint32 *slots = palloc((n + 1) * sizeof(uint32));

	nb->targets = palloc((n + 1) * NEIGHBOR_TARGET_WORDS * sizeof(uint32));
	for (int i = 0; i < n; i++)
		slots[i] = neighbor_target(nb, scope->targets[i], &types[i]);
	if (n == 0)
	{
		if (!xml_is(nb->node, "functionName", "clustering"))
			xml_fail(nb->node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "model has no target");
		slots[0] = builder_slots(nb->c, 1);
		types[0] = type_text;
	}
	result->value = slots[0];
	result->type = types[0];
	neighbor_emit(nb, result, k, n == 0 ? slots[0] : MODEL_NONE);
	if (n <= 1)
		return;
	result->ntargets = n;
	result->targets = scope->targets;
	result->target_slots = slots;
	neighbor_cast(nb, result, types);
}

/* Compiles a NearestNeighborModel. */
void
model_compile_neighbor(Compiler *c, Scope *scope, XmlNode *node,
					   Result *result)
{
	Neighbors nb = {.c = c, .scope = scope, .node = node};
	XmlNode *instances = xml_need_child(node, "TrainingInstances");
	int k;
	int nsteps;
	uint32 *steps;

	(void) xml_need(node, "numberOfNeighbors");
	k = xml_count(node, "numberOfNeighbors", 0);
	(void) xml_flag(instances, "isTransformed", false);
	(void) xml_count(instances, "recordCount", 0);
	(void) xml_count(instances, "fieldCount", 0);
	measure_begin(scope, node, &nb.plan);
	neighbor_columns(&nb, instances);
	neighbor_table(&nb, instances);
	if (k < 1 || (uint32) k > nb.nrows)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "numberOfNeighbors=\"%d\" for %u training instances", k,
				 nb.nrows);
	steps = neighbor_inputs(&nb, &nsteps);
	neighbor_refs(&nb, steps, nsteps);
	neighbor_ids(&nb);
	result->nranked = measure_ranks(node, nb.nrows);
	result->entity = builder_slots(c, result->nranked);
	result->ranked = builder_slots(c, result->nranked);
	(void) neighbor_method(&nb, true);
	(void) neighbor_method(&nb, false);
	neighbor_result(&nb, result, k);
}
