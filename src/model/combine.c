/*
 * Combining the results of segments: sums, averages, medians, votes,
 * probabilities.
 */
#include "postgres.h"

#include "miscadmin.h"
#include <math.h>

#include "model/ensemble.h"
#include "model/model.h"

/* Where the operands are. */
enum
{
	COMBINE_ARG_METHOD,
	COMBINE_ARG_MISSING,
	COMBINE_ARG_SINGLE,
	COMBINE_ARG_THRESHOLD,
	COMBINE_ARG_VALUE,
	COMBINE_ARG_SLOTS, /* of probabilities: first, number */
	COMBINE_ARG_NSLOTS,
	COMBINE_ARG_LABELS, /* first, number */
	COMBINE_ARG_NLABELS,
	COMBINE_ARG_NPARTS,
	COMBINE_ARG_PARTS
};

/* Operands of a segment: slots of whether it ran and of its value, weight,
 * first slot of its probabilities. */
#define PART_WORDS 4

/* A segment that counts, and its weight. */
typedef struct Vote
{
	double value;
	double weight;
	uint32 probability;
} Vote;

/* A row whose segments are being combined. */
typedef struct Ballot
{
	Run *run;
	const uint32 *args;
	double *row;
	CombineMethod method;
	bool single;
	Vote *votes;
	uint32 nvotes;
	double missing; /* votes for no result */
	double *sums;   /* of the labels, and more behind */
} Ballot;

/* Does a method use weights? */
static bool
combine_is_weighted(CombineMethod method)
{
	return method == COMBINE_WEIGHTED_SUM ||
		   method == COMBINE_WEIGHTED_AVERAGE ||
		   method == COMBINE_WEIGHTED_MEDIAN ||
		   method == COMBINE_WEIGHTED_VOTE ||
		   method == COMBINE_WEIGHTED_PROBABILITY;
}

/* Is it of votes for labels? */
static bool
combine_is_vote(CombineMethod method)
{
	return method == COMBINE_VOTE || method == COMBINE_WEIGHTED_VOTE;
}

/*
 * Collects the segments that ran for a row and have results. Returns false
 * if the whole has none.
 */
static bool
ballot_collect(Ballot *ballot)
{
	const uint32 *args = ballot->args;
	const uint32 *part = args + COMBINE_ARG_PARTS;
	MissingPrediction treatment = args[COMBINE_ARG_MISSING];
	double weights = 0;
	double lost = 0;

	ballot->nvotes = 0;
	ballot->missing = 0;
	for (uint32 i = 0; i < args[COMBINE_ARG_NPARTS]; i++, part += PART_WORDS)
	{
		double weight = ballot->run->num[part[2]];
		Vote *vote = &ballot->votes[ballot->nvotes];

		if (part[0] != MODEL_NONE && ballot->row[part[0]] != 1)
			continue;
		weights += weight;
		vote->value = ballot->row[part[1]];
		vote->weight = combine_is_weighted(ballot->method) ? weight : 1;
		vote->probability = part[3];
		if (!isnan(vote->value))
		{
			ballot->nvotes++;
			continue;
		}
		if (treatment == MISSING_RETURN || (treatment == MISSING_CONTINUE &&
											!combine_is_vote(ballot->method)))
			return false;
		lost += weight;
		ballot->missing += vote->weight;
	}
	if (lost / weights > ballot->run->num[args[COMBINE_ARG_THRESHOLD]])
		return false;
	return ballot->nvotes > 0 ||
		   (weights > 0 && ballot->method <= COMBINE_WEIGHTED_SUM);
}

/* A weight times a value, as wide as the model calculates. */
static double
ballot_product(const Ballot *ballot, double weight, double value)
{
	value = model_round(value, ballot->single);
	if (weight == 1)
		return value;
	return model_round(model_round(weight, ballot->single) * value,
					   ballot->single);
}

/* The sum of the weights. */
static double
ballot_weights(const Ballot *ballot)
{
	double sum = 0;

	for (uint32 i = 0; i < ballot->nvotes; i++)
		sum = model_round(
			sum + model_round(ballot->votes[i].weight, ballot->single),
			ballot->single);
	return sum;
}

/* Orders votes by value. */
static int
vote_compare(const void *left, const void *right)
{
	double a = ((const Vote *) left)->value;
	double b = ((const Vote *) right)->value;

	return a < b ? -1 : a > b;
}

/* The middle of numbers, which it sorts. */
static double
numbers_median(double *values, uint32 n)
{
	double low;

	number_sort(values, n);
	if (n % 2 == 1)
		return values[n / 2];
	low = values[n / 2 - 1];
	return low + 0.5 * (values[n / 2] - low);
}

/* The value at which half of the weight is reached. */
static double
ballot_weighted_median(Ballot *ballot)
{
	double half = 0.5 * ballot_weights(ballot);
	double sum = 0;

	qsort(ballot->votes, ballot->nvotes, sizeof(Vote), vote_compare);
	for (uint32 i = 0; i < ballot->nvotes; i++)
	{
		sum += model_round(ballot->votes[i].weight, ballot->single);
		if (sum >= half)
			return model_round(ballot->votes[i].value, ballot->single);
	}
	return NAN;
}

/* The middle of the values. */
static double
ballot_median(Ballot *ballot)
{
	for (uint32 i = 0; i < ballot->nvotes; i++)
		ballot->sums[i] = model_round(ballot->votes[i].value, ballot->single);
	return model_round(numbers_median(ballot->sums, ballot->nvotes),
					   ballot->single);
}

/* The sum of the values, weighted or not. */
static double
ballot_sum(const Ballot *ballot)
{
	double sum = 0;

	for (uint32 i = 0; i < ballot->nvotes; i++)
		sum = model_round(sum + ballot_product(ballot, ballot->votes[i].weight,
											   ballot->votes[i].value),
						  ballot->single);
	return sum;
}

/* Combines numbers. */
static double
combine_values(Ballot *ballot)
{
	double weights;

	switch (ballot->method)
	{
		case COMBINE_MEDIAN:
			return ballot_median(ballot);
		case COMBINE_WEIGHTED_MEDIAN:
			return ballot_weighted_median(ballot);
		case COMBINE_AVERAGE:
		case COMBINE_WEIGHTED_AVERAGE:
			weights = ballot_weights(ballot);
			if (weights == 0)
				return NAN;
			return model_round(ballot_sum(ballot) / weights, ballot->single);
		default:
			return ballot_sum(ballot);
	}
}

/* The number of a label; the number of labels if it is none. */
static uint32
label_find(const Ballot *ballot, double value)
{
	const double *labels = ballot->run->num + ballot->args[COMBINE_ARG_LABELS];
	uint32 n = ballot->args[COMBINE_ARG_NLABELS];

	for (uint32 i = 0; i < n; i++)
		if (labels[i] == value)
			return i;
	return n;
}

/*
 * Counts votes for labels: numbers of labels follow the sums, in the order in
 * which they got their first vote. Returns how many did; 0 if a vote is for
 * no label.
 */
static uint32
ballot_count(Ballot *ballot)
{
	uint32 nlabels = ballot->args[COMBINE_ARG_NLABELS];
	double *order = ballot->sums + nlabels;
	uint32 seen = 0;

	for (uint32 i = 0; i < nlabels; i++)
		ballot->sums[i] = NAN;
	for (uint32 i = 0; i < ballot->nvotes; i++)
	{
		uint32 label = label_find(ballot, ballot->votes[i].value);
		double weight = model_round(ballot->votes[i].weight, ballot->single);

		CHECK_FOR_INTERRUPTS();
		if (label == nlabels)
			return 0;
		if (isnan(ballot->sums[label]))
		{
			order[seen++] = label;
			ballot->sums[label] = 0;
		}
		ballot->sums[label] =
			model_round(ballot->sums[label] + weight, ballot->single);
	}
	return seen;
}

/* Writes shares of the votes, and the label with most; the first of equals. */
static void
combine_votes(Ballot *ballot)
{
	const uint32 *args = ballot->args;
	uint32 nlabels = args[COMBINE_ARG_NLABELS];
	uint32 seen = ballot_count(ballot);
	const double *order = ballot->sums + nlabels;
	double sum = 0;
	uint32 best;

	if (seen == 0)
	{
		run_refuse(ballot->run, ballot->row);
		return;
	}
	best = (uint32) order[0];
	for (uint32 i = 0; i < seen; i++)
	{
		double votes = ballot->sums[(uint32) order[i]];

		sum = model_round(sum + votes, ballot->single);
		if (votes > ballot->sums[best])
			best = (uint32) order[i];
	}
	if (args[COMBINE_ARG_MISSING] == MISSING_CONTINUE &&
		ballot->missing > ballot->sums[best])
		return;
	ballot->row[args[COMBINE_ARG_VALUE]] =
		ballot->run->num[args[COMBINE_ARG_LABELS] + best];
	for (uint32 i = 0; i < args[COMBINE_ARG_NSLOTS]; i++)
		ballot->row[args[COMBINE_ARG_SLOTS] + i] =
			isnan(ballot->sums[i])
				? 0
				: model_round(ballot->sums[i] / sum, ballot->single);
}

/* Averages the probabilities of the segments that still have a weight. */
static void
ballot_average(Ballot *ballot)
{
	const uint32 *args = ballot->args;
	double weights = ballot_weights(ballot);

	for (uint32 i = 0; i < args[COMBINE_ARG_NSLOTS]; i++)
	{
		double sum = 0;

		for (uint32 v = 0; v < ballot->nvotes; v++)
		{
			const Vote *vote = &ballot->votes[v];

			if (vote->weight != 0)
				sum += ballot_product(ballot, vote->weight,
									  ballot->row[vote->probability + i]);
			sum = model_round(sum, ballot->single);
		}
		if (weights != 0)
			ballot->row[args[COMBINE_ARG_SLOTS] + i] =
				model_round(sum / weights, ballot->single);
	}
}

/* The largest or the middle of the probabilities of a label. */
static double
ballot_typical(Ballot *ballot, uint32 label)
{
	double most = -INFINITY;

	for (uint32 v = 0; v < ballot->nvotes; v++)
	{
		double value = ballot->row[ballot->votes[v].probability + label];

		ballot->sums[v] = value;
		if (value > most)
			most = value;
	}
	if (ballot->method == COMBINE_MAX_PROBABILITY)
		return most;
	return numbers_median(ballot->sums, ballot->nvotes);
}

/*
 * Keeps, of the segments, those whose probability of the label that wins is
 * nearest to what it wins with.
 */
static void
ballot_elect(Ballot *ballot)
{
	uint32 winner = 0;
	double won = -INFINITY;
	double nearest = INFINITY;

	for (uint32 i = 0; i < ballot->args[COMBINE_ARG_NSLOTS]; i++)
	{
		double typical = ballot_typical(ballot, i);

		if (typical > won)
		{
			winner = i;
			won = typical;
		}
	}
	for (uint32 v = 0; v < ballot->nvotes; v++)
		nearest = fmin(
			nearest,
			fabs(won - ballot->row[ballot->votes[v].probability + winner]));
	for (uint32 v = 0; v < ballot->nvotes; v++)
		if (fabs(won - ballot->row[ballot->votes[v].probability + winner]) !=
			nearest)
			ballot->votes[v].weight = 0;
}

/* Writes probabilities, and the label of the largest. */
static void
combine_probabilities(Ballot *ballot)
{
	const uint32 *args = ballot->args;
	const double *slots = ballot->row + args[COMBINE_ARG_SLOTS];
	uint32 best = 0;

	if (ballot->method >= COMBINE_MEDIAN_PROBABILITY)
		ballot_elect(ballot);
	ballot_average(ballot);
	for (uint32 i = 1; i < args[COMBINE_ARG_NSLOTS]; i++)
		if (slots[i] > slots[best])
			best = i;
	if (!isnan(slots[best]))
		ballot->row[args[COMBINE_ARG_VALUE]] =
			ballot->run->num[args[COMBINE_ARG_LABELS] + best];
}

/* Combines the segments of a row. */
static void
combine_row(Ballot *ballot)
{
	const uint32 *args = ballot->args;

	ballot->row[args[COMBINE_ARG_VALUE]] = NAN;
	for (uint32 i = 0; i < args[COMBINE_ARG_NSLOTS]; i++)
		ballot->row[args[COMBINE_ARG_SLOTS] + i] = NAN;
	if (!ballot_collect(ballot))
		return;
	if (combine_is_vote(ballot->method))
		combine_votes(ballot);
	else if (ballot->method >= COMBINE_PROBABILITY)
		combine_probabilities(ballot);
	else
		ballot->row[args[COMBINE_ARG_VALUE]] = combine_values(ballot);
}

/* Combines the segments of rows. */
static void
combine_step(Run *run, const uint32 *args, int first, int n)
{
	uint32 nparts = args[COMBINE_ARG_NPARTS];
	Size doubles = sizeof(Vote) / sizeof(double);
	Ballot ballot = {run, args};

	ballot.sums =
		run_scratch(run, nparts + 2 * (Size) args[COMBINE_ARG_NLABELS] +
							 doubles * ((Size) nparts + 1));
	ballot.votes =
		(Vote *) (ballot.sums + nparts + 2 * (Size) args[COMBINE_ARG_NLABELS]);
	ballot.method = args[COMBINE_ARG_METHOD];
	ballot.single = args[COMBINE_ARG_SINGLE] != 0;
	for (int r = first; r < first + n; r++)
	{
		ballot.row = run_row(run, r);
		combine_row(&ballot);
	}
}

/* Labels belong to votes and to probabilities, which each segment has. */
static bool
combine_check(const Model *model, const uint32 *args)
{
	uint32 method = args[COMBINE_ARG_METHOD];
	uint32 nslots = args[COMBINE_ARG_NSLOTS];
	const uint32 *part = args + COMBINE_ARG_PARTS;

	if (method > COMBINE_MAX_PROBABILITY ||
		args[COMBINE_ARG_MISSING] > MISSING_RETURN ||
		args[COMBINE_ARG_SINGLE] > 1)
		return false;
	if (method < COMBINE_VOTE)
		return nslots == 0;
	if (nslots != args[COMBINE_ARG_NLABELS] || nslots == 0)
		return false;
	if (method < COMBINE_PROBABILITY)
		return true;
	for (uint32 i = 0; i < args[COMBINE_ARG_NPARTS]; i++, part += PART_WORDS)
		if (part[3] == MODEL_NONE || nslots > model->head->nslots - part[3])
			return false;
	return true;
}

const ModelOp model_op_combine = {"combine", "iiinsSN*(?ssn?s)", combine_check,
								  NULL, combine_step};
