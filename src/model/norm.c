/* Numbers from fields: NormContinuous, NormDiscrete, Discretize. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"

/* What becomes of values outside the given points. */
typedef enum NormOutliers
{
	NORM_AS_IS, /* the line of the first or last two points goes on */
	NORM_AS_MISSING,
	NORM_AS_EXTREME
} NormOutliers;

#define NORM_OUTLIERS (NORM_AS_EXTREME + 1)

/* Numbers of a bin: left, right, which of them belong to it, its value. */
#define BIN_NUMBERS 4
#define BIN_LEFT_CLOSED 1
#define BIN_RIGHT_CLOSED 2

/* More numbers of bins take so long that it can be stopped. */
#define BIN_LONG 4000

/* Reads the points of NormContinuous: orig and norm of each. */
static double *
norm_points(XmlNode *node, uint32 *n)
{
	int count = xml_children(node, "LinearNorm");
	double *points = palloc(Max(count, 1) * 2 * sizeof(double));

	*n = 0;
	for (XmlNode *child = xml_child(node, "LinearNorm"); child != NULL;
		 child = xml_next(child, "LinearNorm"))
	{
		points[*n] = xml_need_number(child, "orig");
		points[*n + 1] = xml_need_number(child, "norm");
		if (*n > 0 && !(points[*n] >= points[*n - 2]))
			xml_fail(child, ERRCODE_INVALID_PARAMETER_VALUE,
					 "values of \"orig\" do not ascend");
		*n += 2;
	}
	if (*n < 4)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"%s\" needs two points", node->name);
	return points;
}

/* Compiles NormContinuous. */
Operand
norm_continuous_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	Operand value = expression_field(c, scope, node, xml_need(node, "field"));
	double missing = xml_number(node, "mapMissingTo", NAN);
	int outliers = xml_choice(node, "outliers",
							  "asIs|asMissingValues|asExtremeValues", 0);
	uint32 n;
	double *points = norm_points(node, &n);

	value = expression_cast(c, value, type_double);
	code_begin(c, OP_norm_continuous);
	code_word(c, outliers);
	code_word(c, value.at);
	code_nums(c, points, n);
	code_num(c, missing);
	pfree(points);
	return operand_make(code_end(c), type_double);
}

/* The last point but one at or before a value, which is in the range. */
static uint32
norm_find(const double *points, uint32 n, double value)
{
	uint32 low = 0;
	uint32 high = n - 2;

	while (low < high)
	{
		uint32 middle = low + (high - low + 1) / 2;

		if (points[middle * 2] <= value)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* outliers, value, points, missing. */
static double
eval_norm_continuous(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[1], row);
	const double *point = run->num + args[2];
	uint32 n = args[3] / 2;
	const double *last = point + (n - 1) * 2;
	bool below = value < point[0];

	if (isnan(value))
		return run->num[args[4]];
	if (!below && value <= last[0])
		point += norm_find(point, n, value) * 2;
	else if (args[0] == NORM_AS_MISSING)
		return run->num[args[4]];
	else if (args[0] == NORM_AS_EXTREME)
		return below ? point[1] : last[1];
	else if (!below)
		point = last - 2;
	return point[1] +
		   (value - point[0]) / (point[2] - point[0]) * (point[3] - point[1]);
}

static bool
check_norm_continuous(const Model *model, const uint32 *args)
{
	return args[0] < NORM_OUTLIERS && args[3] >= 4 && args[3] % 2 == 0;
}

const ModelOp model_op_norm_continuous = {"norm_continuous", "ixNn",
										  check_norm_continuous,
										  eval_norm_continuous, NULL};

/* Compiles NormDiscrete: 1 where the field has the value, else 0. */
Operand
norm_discrete_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	Operand field = expression_field(c, scope, node, xml_need(node, "field"));
	double value = value_parse(c, node, xml_need(node, "value"), field.type);
	double missing = xml_number(node, "mapMissingTo", NAN);

	xml_choice(node, "method", "indicator", 0);
	code_begin(c, OP_norm_discrete);
	code_word(c, field.at);
	code_num(c, value);
	code_num(c, missing);
	return operand_make(code_end(c),
						(FieldType){VALUE_DOUBLE, OPTYPE_CATEGORICAL, 0});
}

/* field, value, missing. */
static double
eval_norm_discrete(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[0], row);

	return isnan(value) ? run->num[args[2]] : value == run->num[args[1]];
}

const ModelOp model_op_norm_discrete = {"norm_discrete", "xnn", NULL,
										eval_norm_discrete, NULL};

/* Reads the interval of a bin: left, right, closure. */
static void
bin_interval(XmlNode *bin, double *numbers)
{
	XmlNode *node = xml_need_child(bin, "Interval");
	const char *left = xml_attr(node, "leftMargin");
	const char *right = xml_attr(node, "rightMargin");

	xml_need(node, "closure");
	numbers[0] = xml_number(node, "leftMargin", -INFINITY);
	numbers[1] = xml_number(node, "rightMargin", INFINITY);
	if ((left == NULL && right == NULL) || !(numbers[0] <= numbers[1]))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "interval has no margin, or its margins are exchanged");
	/* The choices are in the order of the bits BIN_*_CLOSED. */
	numbers[2] = xml_choice(node, "closure",
							"openOpen|closedOpen|openClosed|closedClosed", 0);
	if (left == NULL)
		numbers[2] = (int) numbers[2] | BIN_LEFT_CLOSED;
	if (right == NULL)
		numbers[2] = (int) numbers[2] | BIN_RIGHT_CLOSED;
}

/* Reads the bins of Discretize. */
static double *
discretize_bins(Compiler *c, XmlNode *node, FieldType type, uint32 *n)
{
	int count = xml_children(node, "DiscretizeBin");
	double *bins = palloc(Max(count, 1) * BIN_NUMBERS * sizeof(double));

	*n = 0;
	for (XmlNode *bin = xml_child(node, "DiscretizeBin"); bin != NULL;
		 bin = xml_next(bin, "DiscretizeBin"))
	{
		double *numbers = bins + *n;

		bin_interval(bin, numbers);
		numbers[3] =
			expression_written_value(c, xml_need(bin, "binValue"), type);
		*n += BIN_NUMBERS;
	}
	return bins;
}

/* Compiles Discretize. */
Operand
discretize_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	Operand value = expression_field(c, scope, node, xml_need(node, "field"));
	FieldType type = expression_written_type(node);
	double otherwise =
		expression_written_value(c, xml_attr(node, "defaultValue"), type);
	double missing =
		expression_written_value(c, xml_attr(node, "mapMissingTo"), type);
	uint32 n;
	double *bins = discretize_bins(c, node, type, &n);

	value = expression_cast(c, value, type_double);
	code_begin(c, OP_discretize);
	code_word(c, value.at);
	code_nums(c, bins, n);
	code_num(c, otherwise);
	code_num(c, missing);
	pfree(bins);
	return operand_make(code_end(c), type);
}

/* Tells whether a value is in a bin. */
static inline bool
bin_has(const double *bin, double value)
{
	int closed = (int) bin[2];

	return (value > bin[0] ||
			(value == bin[0] && (closed & BIN_LEFT_CLOSED) != 0)) &&
		   (value < bin[1] ||
			(value == bin[1] && (closed & BIN_RIGHT_CLOSED) != 0));
}

/* value, bins, otherwise, missing. Where bins overlap the last one counts. */
static double
eval_discretize(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[0], row);
	const double *bins = run->num + args[1];

	if (isnan(value))
		return run->num[args[4]];
	if (args[2] > BIN_LONG)
		CHECK_FOR_INTERRUPTS();
	for (uint32 i = args[2]; i > 0; i -= BIN_NUMBERS)
		if (bin_has(bins + i - BIN_NUMBERS, value))
			return bins[i - 1];
	return run->num[args[3]];
}

static bool
check_discretize(const Model *model, const uint32 *args)
{
	if (args[2] % BIN_NUMBERS != 0)
		return false;
	for (uint32 i = 0; i < args[2]; i += BIN_NUMBERS)
	{
		double closed = model->num[args[1] + i + 2];

		if (!(closed >= 0 && closed <= (BIN_LEFT_CLOSED | BIN_RIGHT_CLOSED)))
			return false;
	}
	return true;
}

const ModelOp model_op_discretize = {"discretize", "xNnn", check_discretize,
									 eval_discretize, NULL};
