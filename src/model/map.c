/*
 * MapValues: looking fields up in a table. The rows are kept in the order of
 * their keys, so that a row is found in a few steps.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "model/expression.h"

/* Most fields that are looked up at once. */
#define MAP_MAX_KEYS 64

typedef struct MapColumn
{
	const char *name;
	FieldType type;
	uint32 value; /* expression of the field; unused for the last */
} MapColumn;

typedef struct MapTable
{
	int nkeys;
	MapColumn columns[MAP_MAX_KEYS + 1]; /* keys, then the output */
	double *rows; /* of each: keys, its number, output */
	uint32 nrows;
	uint32 size;
} MapTable;

/* Reads which fields are looked up in which columns. */
static void
map_columns(Compiler *c, Scope *scope, XmlNode *node, MapTable *table)
{
	MapColumn *output;

	for (XmlNode *pair = xml_child(node, "FieldColumnPair"); pair != NULL;
		 pair = xml_next(pair, "FieldColumnPair"))
	{
		MapColumn *column = &table->columns[table->nkeys];
		Operand field;

		if (table->nkeys == MAP_MAX_KEYS)
			xml_fail(pair, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					 "more than %d fields are mapped at once", MAP_MAX_KEYS);
		field = expression_field(c, scope, pair, xml_need(pair, "field"));
		column->name = xml_local(xml_need(pair, "column"));
		column->type = field.type;
		column->value = field.at;
		table->nkeys++;
	}
	if (table->nkeys == 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"%s\" lacks element \"%s\"", node->name,
				 "FieldColumnPair");
	output = &table->columns[table->nkeys];
	output->name = xml_local(xml_need(node, "outputColumn"));
	output->type = expression_written_type(node);
}

/* Reads a row of the table; one that lacks a key would never be found. */
static void
map_row(Compiler *c, XmlNode *node, MapTable *table)
{
	double *numbers = table->rows + (Size) table->nrows * (table->nkeys + 2);

	for (int i = 0; i <= table->nkeys; i++)
	{
		MapColumn *column = &table->columns[i];
		XmlNode *cell = xml_child(node, column->name);
		const char *text;

		if (cell == NULL && i < table->nkeys)
			return;
		if (cell == NULL)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "row lacks column \"%s\"", column->name);
		text = cell->text == NULL ? "" : cell->text;
		if (i == table->nkeys)
			numbers[i + 1] = expression_written_value(c, text, column->type);
		else if (isnan(numbers[i] = value_parse(c, cell, text, column->type)))
			return;
	}
	numbers[table->nkeys] = table->nrows;
	table->nrows++;
}

/* Reads the rows of the table. Columns that nobody asks for may be there. */
static void
map_rows(Compiler *c, XmlNode *node, MapTable *table)
{
	XmlNode *inline_table = xml_child(node, "InlineTable");

	if (inline_table == NULL)
		xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "only an InlineTable is supported in \"%s\"", node->name);
	for (XmlNode *row = xml_child(inline_table, "row"); row != NULL;
		 row = xml_next(row, "row"))
	{
		CHECK_FOR_INTERRUPTS();
		if (table->nrows == table->size)
		{
			Size size;

			table->size = Max(64, table->size * 2);
			size = mul_size(table->size, (table->nkeys + 2) * sizeof(double));
			table->rows = table->rows == NULL
							  ? palloc_extended(size, MCXT_ALLOC_HUGE)
							  : repalloc_huge(table->rows, size);
		}
		map_row(c, row, table);
		xml_skip(row);
	}
}

/* Compares the first numbers. */
static int
map_compare(const double *left, const double *right, int n)
{
	for (int i = 0; i < n; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

/* Puts rows into the order of keys, rows alike into that of the table. */
static int
map_order(const void *a, const void *b, void *arg)
{
	return map_compare(a, b, *(int *) arg + 1);
}

/* Sorts the rows; only the first of rows with the same keys is kept. */
static double *
map_sort(MapTable *table, uint32 *n)
{
	int nkeys = table->nkeys;
	double *to = table->rows;
	double *last = NULL;

	if (table->nrows > 0)
		qsort_arg(table->rows, table->nrows, (nkeys + 2) * sizeof(double),
				  map_order, &table->nkeys);
	for (uint32 i = 0; i < table->nrows; i++)
	{
		double *row = table->rows + (Size) i * (nkeys + 2);

		if (last != NULL && map_compare(row, last, nkeys) == 0)
			continue;
		last = to;
		memmove(to, row, nkeys * sizeof(double));
		to[nkeys] = row[nkeys + 1];
		to += nkeys + 1;
	}
	*n = (uint32) (to - table->rows);
	return table->rows;
}

/* Compiles MapValues. */
Operand
map_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	MapTable *table = palloc0(sizeof(MapTable));
	const char *missing = xml_attr(node, "mapMissingTo");
	const char *otherwise = xml_attr(node, "defaultValue");
	FieldType type;
	double *rows;
	uint32 n;

	map_columns(c, scope, node, table);
	type = table->columns[table->nkeys].type;
	map_rows(c, node, table);
	rows = map_sort(table, &n);
	code_begin(c, OP_map);
	code_word(c, table->nkeys);
	for (int i = 0; i < table->nkeys; i++)
		code_word(c, table->columns[i].value);
	code_nums(c, rows, n);
	code_num(c, expression_written_value(c, otherwise, type));
	code_num(c, expression_written_value(c, missing, type));
	return operand_make(code_end(c), type);
}

/* Finds a row by its keys; NULL if there is none. */
static const double *
map_find(const double *rows, uint32 nrows, const double *keys, int nkeys)
{
	uint32 low = 0;
	uint32 high = nrows;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		const double *row = rows + (Size) middle * (nkeys + 1);
		int order = map_compare(row, keys, nkeys);

		if (order == 0)
			return row;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* fields, rows, otherwise, missing. */
static double
eval_map(const Run *run, const uint32 *args, const double *row)
{
	uint32 nkeys = args[0];
	const uint32 *rest = args + 1 + nkeys;
	double keys[MAP_MAX_KEYS];
	const double *found;

	check_stack_depth();
	for (uint32 i = 0; i < nkeys; i++)
	{
		keys[i] = expression_eval(run, args[1 + i], row);
		if (isnan(keys[i]))
			return run->num[rest[3]];
	}
	found = map_find(run->num + rest[0], rest[1] / (nkeys + 1), keys, nkeys);
	return found == NULL ? run->num[rest[2]] : found[nkeys];
}

static bool
check_map(const Model *model, const uint32 *args)
{
	uint32 nkeys = args[0];

	return nkeys > 0 && nkeys <= MAP_MAX_KEYS &&
		   args[1 + nkeys + 1] % (nkeys + 1) == 0;
}

const ModelOp model_op_map = {"map", "*xNnn", check_map, eval_map, NULL};
