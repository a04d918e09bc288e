/* Running a NearestNeighborModel. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/neighbor.h"

/* Where the operands of a record are. */
typedef struct NeighborArgs
{
	Measure measure;
	const double *num;
	const double *refs;
	uint32 nrows;
	uint32 k;
	const uint32 *ids;
	uint32 entity;
	uint32 nranked;
	uint32 ranked;
	double threshold;
	uint32 ntargets;
	const uint32 *targets;
	uint32 nearest;
	uint32 nselect;   /* the more of k and nranked */
	double *distance; /* of all cases */
	double *work;     /* a number for each neighbour or category */
	uint32 *best;     /* the nearest cases */
} NeighborArgs;

/* Finds the operands of a record, and makes room. */
static void
neighbor_args(Run *run, const uint32 *args, NeighborArgs *nb)
{
	uint32 nwork;

	args = measure_read(&nb->measure, run, args);
	nb->num = run->num;
	nb->refs = run->num + args[0];
	nb->nrows = args[2];
	nb->k = args[3];
	nb->ids = args + 5;
	args = nb->ids + args[4];
	nb->entity = args[0];
	nb->nranked = args[1];
	nb->ranked = args[2];
	nb->threshold = run->num[args[4]];
	nb->ntargets = args[5];
	nb->targets = args + 6;
	nb->nearest = nb->targets[nb->ntargets * NEIGHBOR_TARGET_WORDS];
	nb->nselect = Max(nb->k, nb->nranked);
	nwork = nb->k;
	for (uint32 i = 0; i < nb->ntargets; i++)
		nwork = Max(nwork, nb->targets[i * NEIGHBOR_TARGET_WORDS + 4]);
	nb->distance = run_scratch(run, (Size) nb->nrows + nwork + nb->nselect);
	nb->work = nb->distance + nb->nrows;
	nb->best = (uint32 *) (nb->work + nwork);
}

/* The weight of a neighbour. */
static inline double
neighbor_weight(const NeighborArgs *nb, uint32 i, bool weighted)
{
	bool single = nb->measure.single;
	double d;

	if (!weighted)
		return 1;
	d = model_round(nb->distance[nb->best[i]] + nb->threshold, single);
	return model_round(1 / d, single);
}

/* The average of the values of neighbours. */
static double
neighbor_average(const NeighborArgs *nb, const double *values, bool weighted)
{
	bool single = nb->measure.single;
	double sum = 0;
	double weights = 0;

	for (uint32 i = 0; i < nb->k; i++)
	{
		double weight = neighbor_weight(nb, i, weighted);

		sum = model_round(
			sum + model_round(weight * values[nb->best[i]], single), single);
		weights = model_round(weights + weight, single);
	}
	return model_round(sum / weights, single);
}

/* The value in the middle, or the average of two. */
static double
neighbor_median(const NeighborArgs *nb, const double *values)
{
	uint32 n = nb->k;
	bool single = nb->measure.single;
	double *work = nb->work;

	for (uint32 i = 0; i < n; i++)
		work[i] = values[nb->best[i]];
	number_sort(work, n);
	if (n % 2 == 1)
		return work[n / 2];
	return model_round((work[n / 2 - 1] + work[n / 2]) / 2, single);
}

/* The category with the most votes, of equal ones the first. */
static double
neighbor_vote(const NeighborArgs *nb, const double *values,
			  const double *labels, uint32 nlabels, bool weighted)
{
	double *votes = nb->work;
	uint32 best = 0;

	memset(votes, 0, nlabels * sizeof(double));
	for (uint32 i = 0; i < nb->k; i++)
	{
		double *vote = &votes[(uint32) values[nb->best[i]]];

		*vote = model_round(*vote + neighbor_weight(nb, i, weighted),
							nb->measure.single);
	}
	for (uint32 i = 1; i < nlabels; i++)
		if (votes[i] > votes[best])
			best = i;
	return labels[best];
}

/* The value of a target; missing if a neighbour has none. */
static double
neighbor_target(const NeighborArgs *nb, const uint32 *target)
{
	const double *values = nb->num + target[1];
	const double *labels = nb->num + target[3];

	for (uint32 i = 0; i < nb->k; i++)
		if (isnan(values[nb->best[i]]))
			return NAN;
	switch ((NeighborMethod) target[0])
	{
		case NEIGHBOR_AVERAGE:
			return neighbor_average(nb, values, false);
		case NEIGHBOR_MEDIAN:
			return neighbor_median(nb, values);
		case NEIGHBOR_WEIGHTED_AVERAGE:
			return neighbor_average(nb, values, true);
		case NEIGHBOR_VOTE:
			return neighbor_vote(nb, values, labels, target[4], false);
		case NEIGHBOR_WEIGHTED_VOTE:
			return neighbor_vote(nb, values, labels, target[4], true);
	}
	return NAN;
}

/* Puts what the neighbours of a row tell into slots; false if nothing. */
static bool
neighbor_row(const NeighborArgs *nb, double *row)
{
	if (!measure_run(&nb->measure, row, NULL, nb->refs, nb->nrows,
					 nb->distance))
		return false;
	measure_select(nb->distance, nb->nrows, nb->nselect,
				   measure_is_similarity(nb->measure.metric), nb->best);
	for (uint32 i = 0; i < nb->nranked; i++)
	{
		row[nb->entity + i] = nb->ids[nb->best[i]];
		row[nb->ranked + i] = nb->distance[nb->best[i]];
	}
	if (nb->nearest != MODEL_NONE)
		row[nb->nearest] = nb->ids[nb->best[0]];
	for (uint32 i = 0; i < nb->ntargets; i++)
	{
		const uint32 *target = nb->targets + i * NEIGHBOR_TARGET_WORDS;
		double value = neighbor_target(nb, target);

		CHECK_FOR_INTERRUPTS();
		row[target[5]] = value;
		if (isnan(value))
			return false;
	}
	return true;
}

/* Makes the results of a row missing. */
static void
neighbor_nothing(const NeighborArgs *nb, double *row)
{
	for (uint32 i = 0; i < nb->nranked; i++)
		row[nb->entity + i] = row[nb->ranked + i] = NAN;
	for (uint32 i = 0; i < nb->ntargets; i++)
		row[nb->targets[i * NEIGHBOR_TARGET_WORDS + 5]] = NAN;
	if (nb->nearest != MODEL_NONE)
		row[nb->nearest] = NAN;
}

/* Finds the neighbours of rows. */
static void
neighbor_step(Run *run, const uint32 *args, int first, int n)
{
	NeighborArgs nb;

	neighbor_args(run, args, &nb);
	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);

		CHECK_FOR_INTERRUPTS();
		if (neighbor_row(&nb, row))
			continue;
		run->invalid[i] = true;
		neighbor_nothing(&nb, row);
	}
}

/* Checks a target: a value for each case, which is one of the categories. */
static bool
neighbor_check_target(const Model *model, const uint32 *target, uint32 nrows)
{
	const double *values = model->num + target[1];

	CHECK_FOR_INTERRUPTS();
	if (target[0] >= NEIGHBOR_METHODS || target[2] != nrows)
		return false;
	if (target[0] < NEIGHBOR_VOTE)
		return true;
	for (uint32 i = 0; i < nrows; i++)
		if (!isnan(values[i]) && (!(values[i] >= 0 && values[i] < target[4]) ||
								  values[i] != floor(values[i])))
			return false;
	return true;
}

/* Checks what the signature of the record cannot tell. */
static bool
neighbor_check(const Model *model, const uint32 *args)
{
	uint32 nfields;
	uint32 nrows;
	const uint32 *at = measure_check(model, args, &nfields);

	if (at == NULL)
		return false;
	nrows = at[2];
	if (nrows == 0 || at[1] != (uint64) nrows * nfields || at[3] < 1 ||
		at[3] > nrows || at[4] != nrows)
		return false;
	at += 5 + nrows;
	if (at[1] < 1 || at[1] > nrows || at[3] != at[1])
		return false;
	at += 5;
	for (uint32 i = 0; i < at[0]; i++)
		if (!neighbor_check_target(model, at + 1 + i * NEIGHBOR_TARGET_WORDS,
								   nrows))
			return false;
	return true;
}

const ModelOp model_op_neighbor = {"neighbor", NEIGHBOR_SIGNATURE,
								   neighbor_check, NULL, neighbor_step};
