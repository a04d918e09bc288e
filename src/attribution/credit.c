/* The shares of the touches of a path, and amounts divided by them. */
#include "attribution/credit.h"

#include <math.h>

#include "attribution/share.h"
#include "miscadmin.h"

/* Up to so many touches the largest remainders are found without sorting. */
#define CREDIT_FEW 16

/* Below this many units a double holds each of them. */
#define CREDIT_DOUBLE (INT64CONST(1) << 53)

/* A touch and what was left over when its part was rounded down. */
typedef struct CreditRest
{
	double rest;
	uint32 touch;
} CreditRest;

#define ST_SORT rest_sort
#define ST_ELEMENT_TYPE CreditRest
#define ST_COMPARE(a, b)                                                      \
	((a)->rest != (b)->rest    ? ((a)->rest > (b)->rest ? -1 : 1)             \
	 : (a)->touch < (b)->touch ? -1                                           \
							   : (a)->touch > (b)->touch)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Makes room for touches. */
static void
credit_path_room(CreditPath *path, uint32 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	if (path->room > 0)
	{
		pfree(path->at);
		pfree(path->weight);
		pfree(path->label);
		pfree(path->stage);
		pfree(path->share);
		pfree(path->part);
	}
	path->room = Max(n, 64);
	path->at = palloc_array(TimestampTz, path->room);
	path->weight = palloc_array(double, path->room);
	path->label = palloc_array(uint32, path->room);
	path->stage = palloc_array(uint8, path->room);
	path->share = palloc_array(double, path->room);
	path->part = palloc_array(int64, path->room);
	MemoryContextSwitchTo(old);
}

/* Reads the touches of a path; room for them is made in the context. */
void
credit_path_read(CreditPath *path, PathReader *reader, MemoryContext context)
{
	PathTouch touch;
	uint32 n = 0;

	if (reader->ntouches > path->room)
		credit_path_room(path, reader->ntouches, context);
	path->timed = reader->timed;
	while (path_next(reader, &touch))
	{
		path->at[n] = touch.at;
		path->weight[n] = touch.weight;
		path->label[n] = touch.label;
		path->stage[n++] = (uint8) touch.stage;
	}
	path->n = n;
}

/* Is this the channel of visits that nothing led to? */
bool
credit_direct(const PathLabel *label)
{
	static const char name[] = "(direct)";
	int length = label->channel_length;

	return (length == 6 && pg_strncasecmp(label->channel, name + 1, 6) == 0) ||
		   (length == 8 && pg_strncasecmp(label->channel, name, 8) == 0);
}

/* Returns the last touch that is not direct, or the last one. */
static uint32
share_last_non_direct(const CreditPath *path, const bool *direct)
{
	for (uint32 i = path->n; i > 0; i--)
		if (!direct[path->label[i - 1]])
			return i - 1;
	return path->n - 1;
}

/* Weighs touches by half for each half-life before the last one. */
static void
share_time_decay(CreditPath *path, double half_life)
{
	TimestampTz last = path->at[path->n - 1];

	if (!path->timed)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("model time_decay needs the times of touches"),
						errdetail("The path was made without times.")));
	for (uint32 i = 0; i < path->n; i++)
		path->share[i] = exp2((double) (path->at[i] - last) / half_life);
}

/* Divides what anchors leave among the touches that are none. */
static void
share_rest(CreditPath *path, double rest, const uint32 *anchors,
		   const double *shares, int nanchors)
{
	uint32 others = path->n;

	for (uint32 i = 0; i < path->n; i++)
		path->share[i] = -1;
	for (int i = 0; i < nanchors; i++)
		if (path->share[anchors[i]] < 0)
		{
			path->share[anchors[i]] = 0;
			others--;
		}
	for (uint32 i = 0; i < path->n; i++)
		if (path->share[i] < 0)
			path->share[i] = Max(rest, 0.0) / others;
	for (int i = 0; i < nanchors; i++)
		path->share[anchors[i]] += shares[i];
}

/* Weighs the first touch, the last and those between. */
static void
share_u_shaped(CreditPath *path, const double *params)
{
	uint32 anchors[2] = {0, path->n - 1};

	share_rest(path, 1.0 - params[0] - params[1], anchors, params, 2);
}

/* Weighs the first touch, the middle, the last and those between. */
static void
share_w_shaped(CreditPath *path, const double *params)
{
	uint32 anchors[3] = {0, (path->n - 1) / 2, path->n - 1};
	double shares[3] = {params[0], params[1], params[2]};

	if (path->n <= 2)
		shares[1] = 0; /* there is no middle */
	share_rest(path, 1.0 - params[0] - params[1] - params[2], anchors, shares,
			   3);
}

/* Weighs the first touch, those that began lead and opportunity, the rest. */
static void
share_w_shaped_stage(CreditPath *path, const double *params)
{
	uint32 anchors[3] = {0};
	double shares[3] = {params[0]};
	int n = 1;

	for (int stage = PATH_STAGE_LEAD; stage <= PATH_STAGE_OPPORTUNITY; stage++)
		for (uint32 i = 0; i < path->n; i++)
			if (path->stage[i] == stage)
			{
				anchors[n] = i;
				shares[n++] = params[stage];
				break;
			}
	share_rest(path, 1.0 - params[0] - params[1] - params[2], anchors, shares,
			   n);
}

/* Makes the shares add up to 1; equal ones when all are 0. */
static void
share_normal(CreditPath *path)
{
	double sum = 0;

	for (uint32 i = 0; i < path->n; i++)
		sum += path->share[i];
	if (isinf(sum))
	{
		/* Weights near the largest number. */
		for (uint32 i = 0; i < path->n; i++)
			path->share[i] /= path->n;
		share_normal(path);
		return;
	}
	for (uint32 i = 0; i < path->n; i++)
		path->share[i] = sum > 0 ? path->share[i] / sum : 1.0 / path->n;
}

/*
 * Returns the only touch that gets credit, or -1 after it filled in share,
 * which adds up to 1 but for rounding.
 */
int64
credit_share(const CreditModel *model, CreditPath *path, const bool *direct)
{
	if (path->n == 1 || model->kind == CREDIT_FIRST)
		return 0;
	switch (model->kind)
	{
		case CREDIT_FIRST:
			return 0;
		case CREDIT_LAST:
			return path->n - 1;
		case CREDIT_LAST_NON_DIRECT:
			return share_last_non_direct(path, direct);
		case CREDIT_LINEAR:
			for (uint32 i = 0; i < path->n; i++)
				path->share[i] = 1.0;
			break;
		case CREDIT_TIME_DECAY:
			share_time_decay(path, model->params[0]);
			break;
		case CREDIT_U_SHAPED:
			share_u_shaped(path, model->params);
			break;
		case CREDIT_W_SHAPED:
			share_w_shaped(path, model->params);
			break;
		case CREDIT_W_SHAPED_STAGE:
			share_w_shaped_stage(path, model->params);
			break;
		case CREDIT_CUSTOM:
			for (uint32 i = 0; i < path->n; i++)
				path->share[i] = model->params[Min(i, model->nparams - 1)];
			break;
		case CREDIT_WEIGHT:
			memcpy(path->share, path->weight, path->n * sizeof(double));
			break;
	}
	share_normal(path);
	return -1;
}

/* Gives single units to the touches with the largest remainders, of a few. */
static void
divide_rest_few(CreditPath *path, double *rest, uint32 left)
{
	for (; left > 0; left--)
	{
		uint32 best = 0;

		for (uint32 i = 1; i < path->n; i++)
			if (rest[i] > rest[best])
				best = i;
		path->part[best]++;
		rest[best] = -1.0;
	}
}

/* The same of many. */
static void
divide_rest(CreditPath *path, const double *rest, uint32 left)
{
	CreditRest *order = palloc_array(CreditRest, path->n);

	for (uint32 i = 0; i < path->n; i++)
		order[i] = (CreditRest){rest[i], i};
	rest_sort(order, path->n);
	for (uint32 i = 0; i < left; i++)
		path->part[order[i].touch]++;
	pfree(order);
}

/* Divides an amount so large that a double does not hold its units. */
static void
divide_large(CreditPath *path, int64 amount)
{
	int128 *parts = palloc_array(int128, path->n);

	share_divide(amount, path->share, parts, path->n);
	for (uint32 i = 0; i < path->n; i++)
		path->part[i] = (int64) parts[i];
	pfree(parts);
}

/*
 * Divides an amount by the shares: each touch gets its share rounded down,
 * and those with the largest remainders one unit more, the earlier of equal
 * ones first. A negative amount is divided as the positive one.
 */
void
credit_divide(CreditPath *path, int64 amount)
{
	double few[CREDIT_FEW];
	double *rest = few;
	int64 size = amount < 0 ? -amount : amount;
	int64 left = size;

	if (size >= CREDIT_DOUBLE)
	{
		divide_large(path, amount);
		return;
	}
	if (path->n > CREDIT_FEW)
		rest = palloc_array(double, path->n);
	for (uint32 i = 0; i < path->n; i++)
	{
		double part = (double) size * path->share[i];

		path->part[i] = (int64) part;
		rest[i] = part - (double) path->part[i];
		left -= path->part[i];
	}
	if (left > 0 && rest == few)
		divide_rest_few(path, rest, (uint32) left);
	else if (left > 0)
		divide_rest(path, rest, (uint32) left);
	if (amount < 0)
		for (uint32 i = 0; i < path->n; i++)
			path->part[i] = -path->part[i];
	if (rest != few)
		pfree(rest);
}
