/* GeneralRegressionModel: its parameters, and what they make of a row. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/compile.h"
#include "model/general.h"

#define GENERAL_TYPES                                                         \
	"regression|generalLinear|generalizedLinear|multinomialLogistic|"         \
	"ordinalMultinomial|CoxRegression"

/* An operand of a linear predictor, see general_run.c. */
typedef struct Term
{
	uint32 kind;
	uint32 slot;
	uint32 first;
	uint32 n;
} Term;

/* Refuses a model that contradicts itself or lacks something. */
void
general_fail(XmlNode *node, const char *what)
{
	xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE, "%s", what);
}

/* An expression for a field that must hold numbers. */
Operand
general_number(General *g, const char *name)
{
	Operand value = expression_field(g->c, g->scope, g->node, name);

	if (value.type.type == VALUE_TEXT)
		xml_fail(g->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "field \"%s\" does not hold numbers", name);
	return value;
}

/* Reads the rows of a contrast matrix. */
static void
predictor_rows(Predictor *p, XmlNode *matrix)
{
	int row = 0;

	for (XmlNode *array = xml_child(matrix, "Array"); array != NULL;
		 array = xml_next(array, "Array"), row++)
	{
		int n;
		double *numbers = value_numbers(array, &n);

		if (row >= p->ncategories || n > p->ncategories ||
			(row > 0 && n != p->ncolumns))
			general_fail(array, "contrast matrix has a wrong size");
		if (row == 0)
			p->entries =
				palloc(mul_size(mul_size(p->ncategories, n), sizeof(double)));
		p->ncolumns = n;
		memcpy(p->entries + (Size) row * n, numbers, n * sizeof(double));
	}
	if (row != p->ncategories)
		general_fail(matrix, "contrast matrix has a wrong size");
}

/* Reads the categories and the contrast matrix of a factor. */
static void
predictor_contrast(Predictor *p)
{
	XmlNode *matrix = xml_child(p->node, "Matrix");
	XmlNode *list = xml_child(p->node, "Categories");
	int n = list == NULL ? 0 : xml_children(list, "Category");
	XmlNode *category = list == NULL ? NULL : xml_child(list, "Category");

	p->categories = palloc(mul_size(n, sizeof(XmlNode *)));
	for (; category != NULL; category = xml_next(category, "Category"))
	{
		xml_need(category, "value");
		p->categories[p->ncategories++] = category;
	}
	xml_attr(p->node, "contrastMatrixType");
	if (matrix == NULL)
		return;
	if (list == NULL)
		xml_unsupported(matrix, NULL, NULL);
	if (xml_choice(matrix, "kind", "any", 0) != 0 ||
		xml_child(matrix, "MatCell") != NULL)
		xml_unsupported(matrix, NULL, NULL);
	xml_attr(matrix, "nbRows");
	xml_attr(matrix, "nbCols");
	predictor_rows(p, matrix);
}

/* Reads factors or covariates. */
static void
general_predictors(General *g, const char *name, bool factors)
{
	XmlNode *list = xml_child(g->node, name);
	int n = list == NULL ? 0 : xml_children(list, "Predictor");
	XmlNode *node = n == 0 ? NULL : xml_child(list, "Predictor");
	Size size = mul_size(g->npredictors + n, sizeof(Predictor));

	if (n == 0)
		return;
	g->predictors =
		g->predictors == NULL ? palloc(size) : repalloc(g->predictors, size);
	for (; node != NULL; node = xml_next(node, "Predictor"))
	{
		Predictor *p = &g->predictors[g->npredictors++];

		memset(p, 0, sizeof(Predictor));
		p->name = xml_need(node, "name");
		p->node = node;
		p->factor = factors;
		if (factors)
			predictor_contrast(p);
		else
			xml_attr(node, "contrastMatrixType");
	}
}

/* The factor or covariate that a cell is about. */
static Predictor *
general_predictor(General *g, XmlNode *node)
{
	const char *name = xml_attr(node, "predictorName");

	if (name == NULL)
		name = xml_need(node, "field");
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < g->npredictors; i++)
		if (strcmp(g->predictors[i].name, name) == 0)
		{
			Predictor *p = &g->predictors[i];

			if (p->field == NULL)
				p->field = scope_field(g->c, g->scope, node, name);
			return p;
		}
	xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
			 "\"%s\" is neither a factor nor a covariate", name);
}

/* Reads what both kinds of cells have. */
static void
general_cell(General *g, Cell *cell, XmlNode *node, int order)
{
	const char *label = xml_attr(node, "targetCategory");

	memset(cell, 0, sizeof(Cell));
	cell->node = node;
	cell->parameter = xml_need(node, "parameterName");
	cell->order = order;
	cell->label = NAN;
	if (label != NULL)
		cell->label = scope_label(g->c, g->scope, node, label);
}

/* Orders cells by parameter, factors before covariates, as in the document. */
static int
cell_compare(const void *left, const void *right)
{
	const Cell *a = left;
	const Cell *b = right;
	int order = strcmp(a->parameter, b->parameter);

	if (order != 0)
		return order;
	if (a->predictor->factor != b->predictor->factor)
		return a->predictor->factor ? -1 : 1;
	return a->order - b->order;
}

/* Reads the matrix of predictors and parameters. */
static void
general_terms(General *g)
{
	XmlNode *matrix = xml_need_child(g->node, "PPMatrix");
	XmlNode *node = xml_child(matrix, "PPCell");

	g->terms = palloc(mul_size(xml_children(matrix, "PPCell"), sizeof(Cell)));
	for (; node != NULL; node = xml_next(node, "PPCell"))
	{
		Cell *cell = &g->terms[g->nterms];

		general_cell(g, cell, node, g->nterms++);
		cell->predictor = general_predictor(g, node);
		/* Read even where the parameter turns out to have no estimate. */
		xml_attr(node, "value");
	}
	qsort(g->terms, g->nterms, sizeof(Cell), cell_compare);
}

/* Reads the estimates of the parameters. */
static void
general_cells(General *g)
{
	XmlNode *matrix = xml_need_child(g->node, "ParamMatrix");
	XmlNode *node = xml_child(matrix, "PCell");

	g->cells = palloc(mul_size(xml_children(matrix, "PCell"), sizeof(Cell)));
	for (; node != NULL; node = xml_next(node, "PCell"))
	{
		Cell *cell = &g->cells[g->ncells];

		general_cell(g, cell, node, g->ncells++);
		cell->beta = xml_need_number(node, "beta");
		xml_attr(node, "df");
	}
}

/* Tells whether a cell is for the label, or for all where it is missing. */
static bool
cell_is_for(const Cell *cell, double label)
{
	return isnan(label) ? isnan(cell->label) : cell->label == label;
}

/* How many of the cells are for a label. */
int
general_cells_count(const Cell *cells, int n, double label)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += cell_is_for(&cells[i], label);
	return count;
}

/* The number of the category of a contrast matrix that a cell names. */
static int
term_category(const Predictor *p, const Cell *cell, const char *value)
{
	for (int i = 0; i < p->ncategories && i < p->ncolumns; i++)
		if (strcmp(xml_need(p->categories[i], "value"), value) == 0)
			return i;
	xml_fail(cell->node, ERRCODE_INVALID_PARAMETER_VALUE,
			 "\"%s\" has no column in the contrast matrix", value);
}

/* A factor with a contrast matrix: what stands for each of its categories. */
static Term
term_contrast(General *g, const Cell *cell, const char *value)
{
	Predictor *p = cell->predictor;
	int column = term_category(p, cell, value);
	double *pairs = palloc(mul_size(p->ncategories, 2 * sizeof(double)));
	Term term = {TERM_CONTRAST, p->field->slot, 0, 2 * p->ncategories};

	for (int i = 0; i < p->ncategories; i++)
	{
		pairs[2 * i] =
			value_parse(g->c, p->categories[i],
						xml_need(p->categories[i], "value"), p->field->type);
		pairs[2 * i + 1] = p->entries[(Size) i * p->ncolumns + column];
	}
	term.first = builder_nums(g->c, pairs, term.n);
	pfree(pairs);
	return term;
}

/* What a cell of the matrix of predictors and parameters multiplies by. */
static Term
general_term(General *g, const Cell *cell)
{
	Predictor *p = cell->predictor;
	const char *value = xml_need(cell->node, "value");
	Term term = {TERM_FACTOR, p->field->slot, 0, 0};
	double number;

	if (p->entries != NULL)
		return term_contrast(g, cell, value);
	if (p->factor)
		number = value_parse(g->c, cell->node, value, p->field->type);
	else
	{
		if (p->field->type.type == VALUE_TEXT)
			general_fail(cell->node, "covariate does not hold numbers");
		number = xml_parse_number(cell->node, value);
		term.kind = number == 1 ? TERM_COVARIATE : TERM_POWER;
	}
	if (term.kind != TERM_COVARIATE)
	{
		term.first = builder_num(g->c, number);
		term.n = 1;
	}
	return term;
}

/* The first cell of the terms that belongs to a parameter. */
static int
general_find(const General *g, const char *parameter)
{
	int low = 0;
	int high = g->nterms;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (strcmp(g->terms[middle].parameter, parameter) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Estimates and terms of a linear predictor that is being put together. */
typedef struct Sum
{
	uint32 ncells;
	uint32 *cells; /* pairs: number, end of its terms */
	uint32 nterms;
	uint32 maxterms;
	Term *terms;
} Sum;

/* Adds a parameter and its terms, which are for a label or for all. */
static void
sum_add(General *g, Sum *sum, const Cell *cell, double label)
{
	for (int i = general_find(g, cell->parameter);
		 i < g->nterms && strcmp(g->terms[i].parameter, cell->parameter) == 0;
		 i++)
	{
		if (!cell_is_for(&g->terms[i], label))
			continue;
		CHECK_FOR_INTERRUPTS();
		sum->terms = builder_grow(sum->terms, sum->nterms, 1, &sum->maxterms,
								  sizeof(Term));
		sum->terms[sum->nterms++] = general_term(g, &g->terms[i]);
	}
	sum->cells[2 * sum->ncells] = builder_num(g->c, cell->beta);
	sum->cells[2 * sum->ncells++ + 1] = sum->nterms;
}

/* Writes the record of a linear predictor. */
static uint32
sum_write(General *g, const Sum *sum)
{
	Compiler *c = g->c;

	code_begin(c, OP_general_regression);
	code_word(c, g->scope->single);
	code_word(c, g->link);
	code_num(c, g->number);
	code_word(c, g->offset);
	code_word(c, g->trials);
	code_word(c, sum->ncells);
	for (uint32 i = 0; i < 2 * sum->ncells; i++)
		code_word(c, sum->cells[i]);
	code_word(c, sum->nterms);
	for (uint32 i = 0; i < sum->nterms; i++)
	{
		code_word(c, sum->terms[i].kind);
		code_word(c, sum->terms[i].slot);
		code_word(c, sum->terms[i].first);
		code_word(c, sum->terms[i].n);
	}
	return code_end(c);
}

/*
 * The linear predictor of a label: its own estimates, then those for all
 * labels if common says so. Terms that are for the label replace the others.
 */
uint32
general_sum(General *g, double label, bool own, bool common)
{
	Sum sum = {0};
	double terms = label;
	uint32 at;

	if (isnan(label) || general_cells_count(g->terms, g->nterms, label) == 0)
	{
		terms = NAN;
		if (g->nterms > 0 &&
			general_cells_count(g->terms, g->nterms, NAN) == 0)
			general_fail(g->node, "PPMatrix does not cover all categories");
	}
	sum.cells = palloc(mul_size(Max(g->ncells, 1), 2 * sizeof(uint32)));
	for (int i = 0; own && i < g->ncells; i++)
		if (cell_is_for(&g->cells[i], label))
			sum_add(g, &sum, &g->cells[i], terms);
	for (int i = 0; common && i < g->ncells; i++)
		if (cell_is_for(&g->cells[i], NAN))
			sum_add(g, &sum, &g->cells[i], terms);
	at = sum_write(g, &sum);
	pfree(sum.cells);
	if (sum.terms != NULL)
		pfree(sum.terms);
	return at;
}

/* The linear predictor of a model that predicts a number. */
uint32
general_sum_all(General *g)
{
	if (g->ncells == 0 ||
		general_cells_count(g->cells, g->ncells, NAN) != g->ncells)
		general_fail(g->node,
					 "ParamMatrix of a regression needs estimates, and none "
					 "of them for a category");
	return general_sum(g, NAN, false, true);
}

/* Reads the number that a link function has. */
static void
general_link_number(General *g)
{
	const char *number = xml_attr(g->node, "linkParameter");

	if (g->link == GENERAL_LINK_NEGBIN)
		g->number = xml_need_number(g->node, "distParameter");
	else if (g->link == GENERAL_LINK_ODDSPOWER ||
			 g->link == GENERAL_LINK_POWER)
		g->number = xml_need_number(g->node, "linkParameter");
	else if (number != NULL)
		xml_unsupported(g->node, "linkParameter", number);
}

/* Reads the link function. */
static void
general_link(General *g)
{
	static const GeneralLink links[] = {
		GENERAL_LINK_IDENTITY, GENERAL_LINK_LOG,    GENERAL_LINK_LOGC,
		GENERAL_LINK_LOGIT,    GENERAL_LINK_LOGLOG, GENERAL_LINK_CLOGLOG,
		GENERAL_LINK_PROBIT,   GENERAL_LINK_NEGBIN, GENERAL_LINK_ODDSPOWER,
		GENERAL_LINK_POWER};
	static const GeneralLink cumulative[] = {
		GENERAL_LINK_LOGIT, GENERAL_LINK_PROBIT, GENERAL_LINK_CLOGLOG,
		GENERAL_LINK_LOGLOG, GENERAL_LINK_CAUCHIT};
	const char *name = xml_attr(g->node, "cumulativeLinkFunction") == NULL
						   ? "cumulativeLink"
						   : "cumulativeLinkFunction";

	xml_attr(g->node, name);
	xml_attr(g->node, "linkFunction");
	if (g->type == GENERAL_ORDINAL)
	{
		xml_need(g->node, name);
		g->link = cumulative[xml_choice(
			g->node, name, "logit|probit|cloglog|loglog|cauchit", 0)];
	}
	else if (g->type == GENERAL_GENERALIZED)
	{
		xml_need(g->node, "linkFunction");
		g->link = links[xml_choice(g->node, "linkFunction",
								   "identity|log|logc|logit|loglog|cloglog|"
								   "probit|negbin|oddspower|power",
								   0)];
		general_link_number(g);
	}
}

/* Reads a field or a number that goes into the prediction. */
static uint32
general_operand(General *g, const char *variable, const char *value,
				bool allowed, double neutral)
{
	const char *name = xml_attr(g->node, variable);
	double number = xml_number(g->node, value, neutral);

	if (name != NULL && !allowed)
		xml_unsupported(g->node, variable, name);
	if (name != NULL)
		return general_number(g, name).at;
	if (number == neutral)
		return MODEL_NONE;
	if (!allowed)
		xml_unsupported(g->node, value, xml_attr(g->node, value));
	return expression_number(g->c, number, type_double).at;
}

/* Reads what describes the model as a whole. */
static void
general_read(General *g)
{
	static const char *const informational[] = {
		"targetVariableName", "distribution",   "distParameter",    "modelDF",
		"subjectIDVariable",  "statusVariable", "startTimeVariable"};

	for (int i = 0; i < lengthof(informational); i++)
		xml_attr(g->node, informational[i]);
	g->offset = g->trials = MODEL_NONE;
	g->type = xml_choice(g->node, "modelType", GENERAL_TYPES, -1);
	if ((int) g->type == -1)
		xml_need(g->node, "modelType");
	xml_skip(xml_need_child(g->node, "ParameterList"));
	if (xml_child(g->node, "PCovMatrix") != NULL)
		xml_skip(xml_child(g->node, "PCovMatrix"));
	if (xml_child(g->node, "EventValues") != NULL)
		xml_skip(xml_child(g->node, "EventValues"));
	general_predictors(g, "FactorList", true);
	general_predictors(g, "CovariateList", false);
	general_terms(g);
	general_cells(g);
	general_link(g);
	g->offset = general_operand(
		g, "offsetVariable", "offsetValue",
		g->type == GENERAL_GENERALIZED || g->type == GENERAL_ORDINAL, 0);
	g->trials = general_operand(g, "trialsVariable", "trialsValue",
								g->type == GENERAL_GENERALIZED, 1);
}

/* Compiles a general regression model. */
void
model_compile_general(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	General g = {c, scope, node};
	Operand value = {0, type_real(scope->single)};

	general_read(&g);
	if (scope->classifies)
	{
		general_class(&g, result);
		return;
	}
	xml_attr(node, "targetReferenceCategory");
	if (g.type == GENERAL_ORDINAL || g.type == GENERAL_MULTINOMIAL)
		general_fail(node, "type of the model does not predict numbers");
	if (g.type == GENERAL_COX)
		value = general_hazard(&g);
	else
		value.at = general_sum_all(&g);
	result->type = value.type;
	result->value = scope_set(c, scope, value);
}
