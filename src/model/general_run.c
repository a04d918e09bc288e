/* Running general regression: linear predictors, links, classes, hazards. */
#include "postgres.h"

#include "model/general.h"
#include "model/model.h"

/*
 * Operands of a linear predictor. Parameters follow, two words each: the
 * estimate, and where its terms end; then their number of terms, and the
 * terms, four words each: kind, slot, first number, how many numbers.
 */
enum
{
	PREDICTOR_SINGLE,
	PREDICTOR_LINK,
	PREDICTOR_NUMBER, /* of the link function */
	PREDICTOR_OFFSET,
	PREDICTOR_TRIALS,
	PREDICTOR_CELLS,
	PREDICTOR_HEAD
};

/* The number that stands for a category, missing if it has none. */
static double
term_contrast(const double *pairs, uint32 n, double value)
{
	for (uint32 i = 0; i < n; i += 2)
		if (pairs[i] == value)
			return pairs[i + 1];
	return NAN;
}

/* What a predictor contributes to the product. */
static double
term_value(const Run *run, const uint32 *term, double value)
{
	const double *number = run->num + term[2];

	switch (term[0])
	{
		case TERM_FACTOR:
			return value == *number ? 1 : 0;
		case TERM_CONTRAST:
			return term_contrast(number, term[3], value);
		case TERM_COVARIATE:
			return value;
	}
	return pow(value, *number);
}

/*
 * The product that a parameter's estimate is multiplied by. Factors come
 * first; once they make it 0, covariates may be missing.
 */
static double
predictor_product(const Run *run, const uint32 *term, uint32 n,
				  const double *row, bool single)
{
	double product = 1;

	for (uint32 i = 0; i < n; i++, term += 4)
	{
		double value = row[term[1]];

		if (term[0] >= TERM_COVARIATE && product == 0)
			return 0;
		if (isnan(value))
			return NAN;
		value = model_round(term_value(run, term, value), single);
		product = model_round(product * value, single);
	}
	return product;
}

/* The sum of all parameters' estimates times their products. */
static double
predictor_sum(const Run *run, const uint32 *args, const double *row)
{
	bool single = args[PREDICTOR_SINGLE] != 0;
	uint32 n = args[PREDICTOR_CELLS];
	const uint32 *cell = args + PREDICTOR_HEAD;
	const uint32 *terms = cell + 2 * n + 1;
	uint32 from = 0;
	double sum = 0;

	for (uint32 i = 0; i < n; i++, cell += 2)
	{
		double x = predictor_product(run, terms + 4 * from, cell[1] - from,
									 row, single);

		x = model_round(model_round(run->num[cell[0]], single) * x, single);
		sum = model_round(sum + x, single);
		from = cell[1];
	}
	return sum;
}

/* Inverse links with a number of their own. */
static double
link_numbered(uint32 link, double x, double number, bool single)
{
	switch (link)
	{
		case GENERAL_LINK_NEGBIN:
			return 1 / (number * (model_exp(-x, single) - 1));
		case GENERAL_LINK_ODDSPOWER:
			return number == 0 ? 1 / (1 + model_exp(-x, single))
							   : 1 / (1 + pow(1 + number * x, -(1 / number)));
	}
	return number == 0 ? model_exp(x, single) : pow(x, 1 / number);
}

/* The inverse of a link function. */
static double
link_inverse(uint32 link, double x, double number, bool single)
{
	switch (link)
	{
		case GENERAL_LINK_IDENTITY:
			return x;
		case GENERAL_LINK_LOG:
			return model_exp(x, single);
		case GENERAL_LINK_LOGC:
			return 1 - model_exp(x, single);
		case GENERAL_LINK_LOGIT:
			return 1 / model_round(1 + model_exp(-x, single), single);
		case GENERAL_LINK_LOGLOG:
			return model_exp(-model_exp(-x, single), single);
		case GENERAL_LINK_CLOGLOG:
			return 1 - model_exp(-model_exp(x, single), single);
		case GENERAL_LINK_PROBIT:
			return 0.5 * erfc(-x * M_SQRT1_2);
		case GENERAL_LINK_CAUCHIT:
			return 0.5 + atan(x) * M_1_PI;
	}
	return link_numbered(link, x, number, single);
}

/* Terms of a parameter: factors first, each with the numbers it needs. */
static bool
check_terms(const uint32 *term, uint32 n)
{
	for (uint32 i = 0; i < n; i++, term += 4)
	{
		if (term[0] > TERM_POWER)
			return false;
		if (term[0] == TERM_CONTRAST
				? term[3] % 2 != 0
				: term[0] != TERM_COVARIATE && term[3] != 1)
			return false;
	}
	return true;
}

/* Parameters have their terms one after the other, and all are used. */
static bool
check_predictor(const Model *model, const uint32 *args)
{
	uint32 n = args[PREDICTOR_CELLS];
	const uint32 *cell = args + PREDICTOR_HEAD;
	uint32 nterms = cell[2 * n];
	uint32 from = 0;

	for (uint32 i = 0; i < n; i++, cell += 2)
	{
		if (cell[1] < from || cell[1] > nterms)
			return false;
		from = cell[1];
	}
	return from == nterms && args[PREDICTOR_LINK] <= GENERAL_LINK_POWER &&
		   check_terms(cell + 1, nterms);
}

/* The linear predictor, or the prediction that follows from it. */
static double
eval_predictor(const Run *run, const uint32 *args, const double *row)
{
	bool single = args[PREDICTOR_SINGLE] != 0;
	double x = predictor_sum(run, args, row);

	if (args[PREDICTOR_LINK] == GENERAL_LINK_NONE)
		return x;
	if (args[PREDICTOR_OFFSET] != MODEL_NONE)
		x = model_round(x + model_eval(run, args[PREDICTOR_OFFSET], row),
						single);
	x = model_round(link_inverse(args[PREDICTOR_LINK], x,
								 run->num[args[PREDICTOR_NUMBER]], single),
					single);
	if (args[PREDICTOR_TRIALS] != MODEL_NONE)
		x = model_round(x * model_eval(run, args[PREDICTOR_TRIALS], row),
						single);
	return x;
}

const ModelOp model_op_general_regression = {
	"general_regression", "iin?x?x*(ni)*(isN)", check_predictor,
	eval_predictor, NULL};

/* Probabilities are odds divided by their sum. */
static void
class_multinomial(double *slot, uint32 n, bool single)
{
	double sum = 0;

	slot[n - 1] = 0;
	for (uint32 i = 0; i < n; i++)
	{
		slot[i] = model_exp(slot[i], single);
		sum = model_round(sum + slot[i], single);
	}
	if (sum == 1)
		return;
	for (uint32 i = 0; i < n; i++)
		slot[i] = model_round(slot[i] / sum, single);
}

/* Probabilities are what each sum has more than the one before. */
static void
class_cumulative(double *slot, uint32 n, bool single)
{
	slot[n - 1] = 1;
	for (uint32 i = n - 1; i > 0; i--)
		slot[i] = model_round(slot[i] - slot[i - 1], single);
}

/* Makes probabilities of what was found for one row. */
static void
class_row(double *slot, uint32 n, uint32 kind, bool single)
{
	bool missing = false;

	for (uint32 i = 0; i + 1 < n; i++)
		missing = missing || isnan(slot[i]);
	if (missing)
		for (uint32 i = 0; i < n; i++)
			slot[i] = NAN;
	else if (kind == CLASS_MULTINOMIAL)
		class_multinomial(slot, n, single);
	else if (kind == CLASS_CUMULATIVE)
		class_cumulative(slot, n, single);
	else
		slot[n - 1] = model_round(1 - slot[n - 2], single);
}

/* Operands: single, how, first slot, number of slots. */
static bool
check_class(const Model *model, const uint32 *args)
{
	return args[1] <= CLASS_CUMULATIVE && args[3] >= 2;
}

/* Makes probabilities in the slots of all labels but the last. */
static void
step_class(Run *run, const uint32 *args, int first, int n)
{
	for (int i = first; i < first + n; i++)
		class_row(run_row(run, i) + args[2], args[3], args[1], args[0] != 0);
}

const ModelOp model_op_general_class = {"general_class", "iiS", check_class,
										NULL, step_class};

/*
 * Operands of a hazard. Tables follow, six words each: the stratum they are
 * for, the last time they hold, the times in order, and the hazards from
 * then on.
 */
enum
{
	HAZARD_SINGLE,
	HAZARD_RISK,
	HAZARD_TIME,
	HAZARD_STRATUM,
	HAZARD_REFERENCE, /* linear predictor of the baseline */
	HAZARD_TABLES,
	HAZARD_HEAD
};

/* Each table has as many hazards as times. */
static bool
check_hazard(const Model *model, const uint32 *args)
{
	const uint32 *table = args + HAZARD_HEAD;

	for (uint32 i = 0; i < args[HAZARD_TABLES]; i++, table += 6)
		if (table[3] == 0 || table[3] != table[5])
			return false;
	return args[HAZARD_TABLES] > 0;
}

/* The table of a row's stratum, or NULL. */
static const uint32 *
hazard_table(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *table = args + HAZARD_HEAD;
	double stratum;

	if (args[HAZARD_STRATUM] == MODEL_NONE)
		return table;
	stratum = model_eval(run, args[HAZARD_STRATUM], row);
	for (uint32 i = 0; i < args[HAZARD_TABLES]; i++, table += 6)
		if (run->num[table[0]] == stratum)
			return table;
	return NULL;
}

/* How many of the times, in order, are not after a time. */
static uint32
hazard_before(const double *times, uint32 n, double time)
{
	uint32 low = 0;

	while (low < n)
	{
		uint32 middle = low + (n - low) / 2;

		if (times[middle] <= time)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* The cumulative hazard of a row at its time. */
static double
eval_hazard(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *table = hazard_table(run, args, row);
	bool single = args[HAZARD_SINGLE] != 0;
	double time = model_eval(run, args[HAZARD_TIME], row);
	double risk;
	uint32 n;

	if (table == NULL || isnan(time) || time > run->num[table[1]])
		return NAN;
	n = hazard_before(run->num + table[2], table[3], time);
	if (n == 0)
		return 0;
	risk = model_round(model_eval(run, args[HAZARD_RISK], row) -
						   run->num[args[HAZARD_REFERENCE]],
					   single);
	risk = model_exp(risk, single);
	return model_round(risk * run->num[table[4] + n - 1], single);
}

const ModelOp model_op_hazard = {"hazard", "ixx?xn*(nnNN)", check_hazard,
								 eval_hazard, NULL};
