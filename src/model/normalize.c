/*
 * What turns sums into predictions: inverses of link functions, probabilities
 * that make 1, the best label.
 */
#include "postgres.h"

#include <math.h>

#include "model/model.h"
#include "model/normalize.h"

/* What the inverse of a link function makes of a sum. */
static double
link_apply(NormalLink link, double value, bool single)
{
	double power;

	switch (link)
	{
		case LINK_LOGIT:
			power = model_exp(-value, single);
			return model_round(1 / model_round(1 + power, single), single);
		case LINK_PROBIT:
			return model_round(0.5 * erfc(-value * M_SQRT1_2), single);
		case LINK_CLOGLOG:
			power = model_exp(-model_exp(value, single), single);
			return model_round(1 - power, single);
		case LINK_LOGLOG:
			return model_exp(-model_exp(-value, single), single);
		case LINK_CAUCHIT:
			power = model_round(atan(value), single);
			power *= model_round(1 / model_round(M_PI, single), single);
			return model_round(0.5 + model_round(power, single), single);
		case LINK_EXP:
			return model_exp(value, single);
		default:
			return value;
	}
}

/* The same for a probability, which a sum as such is between 0 and 1 only. */
static double
link_probability(NormalLink link, double value, bool single)
{
	if (link == LINK_NONE)
		return value < 0 ? 0 : value > 1 ? 1 : value;
	return link_apply(link, value, single);
}

/* Divides values by their sum. */
static void
normalize_sum(double *value, uint32 n, bool single)
{
	double sum = value[0];

	for (uint32 i = 1; i < n; i++)
		sum = model_round(sum + value[i], single);
	if (sum == 1)
		return;
	for (uint32 i = 0; i < n; i++)
		value[i] = model_round(value[i] / sum, single);
}

/* Powers of e, made smaller alike so that none is too large, of a sum of 1. */
static void
normalize_softmax(double *value, uint32 n, bool single)
{
	double most = value[0];

	for (uint32 i = 1; i < n; i++)
		if (value[i] > most)
			most = value[i];
	for (uint32 i = 0; i < n; i++)
		value[i] = model_exp(model_round(value[i] - most, single), single);
	normalize_sum(value, n, single);
}

/* Makes the last value what the others leave of 1. */
static void
normalize_last(double *value, uint32 n, bool single)
{
	double sum = value[0];

	for (uint32 i = 1; i + 1 < n; i++)
		sum = model_round(sum + value[i], single);
	value[n - 1] = model_round(1 - sum, single);
}

/* Values that together make 1. */
static void
normalize_multinomial(NormalLink link, double *value, uint32 n, bool single)
{
	switch (link)
	{
		case LINK_SOFTMAX:
			normalize_softmax(value, n, single);
			break;
		case LINK_SIMPLEMAX:
			normalize_sum(value, n, single);
			break;
		case LINK_NONE:
			normalize_last(value, n, single);
			break;
		default:
			for (uint32 i = 0; i < n; i++)
				value[i] = link_apply(link, value[i], single);
			normalize_sum(value, n, single);
			break;
	}
}

/* Probabilities of categories from those of being at most a category. */
static void
normalize_ordinal(NormalLink link, double *value, uint32 n, bool single)
{
	double sum = link_probability(link, value[0], single);

	value[0] = sum;
	for (uint32 i = 1; i + 1 < n; i++)
	{
		value[i] = link_probability(link, value[i], single);
		value[i] = model_round(value[i] - sum, single);
		sum = model_round(sum + value[i], single);
	}
	value[n - 1] = model_round(1 - sum, single);
}

/* Turns the sums of a row into results; one that is missing hides all. */
static void
normalize_row(const uint32 *args, double *value)
{
	NormalLink link = args[1];
	bool single = args[2] != 0;
	uint32 n = args[4];

	for (uint32 i = 0; i < n; i++)
		if (isnan(value[i]))
		{
			for (i = 0; i < n; i++)
				value[i] = NAN;
			return;
		}
	switch ((NormalKind) args[0])
	{
		case NORMAL_EACH:
			for (uint32 i = 0; i < n; i++)
				value[i] = link_apply(link, value[i], single);
			break;
		case NORMAL_BINOMIAL:
			value[0] = link_probability(link, value[0], single);
			value[1] = model_round(1 - value[0], single);
			break;
		case NORMAL_MULTINOMIAL:
			normalize_multinomial(link, value, n, single);
			break;
		case NORMAL_ORDINAL:
			normalize_ordinal(link, value, n, single);
			break;
	}
}

static void
normalize_step(Run *run, const uint32 *args, int first, int n)
{
	for (int r = first; r < first + n; r++)
		normalize_row(args, run_row(run, r) + args[3]);
}

/* args: kind, link, is it 32 bits wide, slots. */
static bool
normalize_check(const Model *model, const uint32 *args)
{
	if (args[0] > NORMAL_ORDINAL || args[1] > LINK_SOFTMAX || args[2] > 1)
		return false;
	if (args[0] == NORMAL_BINOMIAL)
		return args[4] == 2;
	return args[4] >= (args[0] == NORMAL_EACH ? 1 : 2);
}

const ModelOp model_op_normalize = {"normalize", "iiiS", normalize_check, NULL,
									normalize_step};

/* The number of the best of values; the first of equals; n if all miss. */
static uint32
best_of(const double *value, uint32 n, bool smallest)
{
	uint32 best = n;

	for (uint32 i = 0; i < n; i++)
	{
		if (isnan(value[i]))
			continue;
		if (best == n ||
			(smallest ? value[i] < value[best] : value[i] > value[best]))
			best = i;
	}
	return best;
}

/* Writes the label of the largest or the smallest of the slots. */
static void
best_step(Run *run, const uint32 *args, int first, int n)
{
	for (int r = first; r < first + n; r++)
	{
		double *row = run_row(run, r);
		uint32 best = best_of(row + args[2], args[3], args[0] != 0);

		row[args[1]] = best < args[3] ? run->num[args[4] + best] : NAN;
	}
}

/* args: is it the smallest, where to, slots, labels. */
static bool
best_check(const Model *model, const uint32 *args)
{
	return args[0] <= 1 && args[3] == args[5];
}

const ModelOp model_op_best = {"best", "isSN", best_check, NULL, best_step};
