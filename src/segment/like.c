/*
 * segment_similar(): who is like the customers of a seed.
 *
 * Every field is cut into bins, each of which gets its weight of evidence:
 * the logarithm of the share of the seed in it over the share of the others.
 * A logistic regression on these weights, which takes fields that say the
 * same together, then tells the seed from the others (weights of evidence
 * and regression as for scorecards: Siddiqi 2006). Some of the others are
 * like the seed and only not known to be; as long as the seed is a sample of
 * all who are, this does not change who comes before whom (Elkan and Noto
 * 2008). Sums run over rows in their order, so that the same rows give the
 * same digits.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/like.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Rows of the seed, and of the others, that bins are cut by. */
#define LIKE_SAMPLE 10000

/* Rows of the seed, and of the others, that the regression learns from. */
#define LIKE_TRAIN_SEEDS 20000
#define LIKE_TRAIN_OTHERS 50000

/* Bins: below and between so many cuts, or a text each, and not known. */
#define LIKE_TILES 10
#define LIKE_CUTS 30
#define LIKE_BINS (LIKE_CUTS + 2)

/* So many customers who are as all are join the seed in each field. */
#define LIKE_PRIOR 10.0

/* Penalty on the squares of the coefficients. */
#define LIKE_RIDGE 1.0
#define LIKE_STEPS 50
#define LIKE_STEP_MIN 1e-7

/*
 * The regression sees of each row the evidence of the rows that are not in
 * its fold: else a field that says nothing would seem to know the rows that
 * it was weighed by.
 */
#define LIKE_FOLDS 5

/* Reasons of a row: none that weighs less than the first one by so much. */
#define LIKE_REASONS 3
#define LIKE_REASON_SHARE 10

/* A field: how it is cut, and what each bin speaks for. */
typedef struct LikeField
{
	int ncuts;
	float4 cuts[LIKE_CUTS];              /* ascending */
	double weights[LIKE_BINS];           /* of evidence, then of the score */
	float4 folds[LIKE_FOLDS][LIKE_BINS]; /* of evidence, without a fold */
} LikeField;

/* What is computed on. */
typedef struct LikeWork
{
	const SegmentMatrix *matrix;
	SegmentRow **seeds;
	SegmentRow **others;
	uint64 nseeds;
	uint64 nothers;
	LikeField *fields;
	int ncoefficients;    /* of the fields, then the constant */
	double *coefficients; /* of the regression */
} LikeWork;

/* Rows that the regression learns from: the weights of evidence of each. */
typedef struct LikeTraining
{
	int n;
	int nseeds;
	double seed_weight; /* rows of the seed that one of them stands for */
	double other_weight;
	float4 *evidence; /* nfields for each */
} LikeTraining;

/* Derivatives of the loss. */
typedef struct LikeSlope
{
	double loss;
	double *gradient;
	double *hessian; /* lower triangle, row by row */
} LikeSlope;

/* One of the others and its score. */
typedef struct LikeScore
{
	double score;
	const SegmentRow *row;
} LikeScore;

/* The rows of the result. */
typedef struct LikeRows
{
	CoreRows rows;
	LikeWork *work;
	LikeScore *scores;
	double level; /* mean chance of the seed */
} LikeRows;

/* Orders scores, highest first, then by key. */
static inline int
score_compare(const LikeScore *a, const LikeScore *b)
{
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->row->head.key < b->row->head.key ? -1 : 1;
}

#define ST_SORT score_sort
#define ST_ELEMENT_TYPE LikeScore
#define ST_COMPARE(a, b) score_compare(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* A text and in how many rows of the sample it is. */
typedef struct LikeText
{
	float4 hash;
	int n;
} LikeText;

/* Orders texts, most frequent first, for qsort(). */
static int
text_compare(const void *a, const void *b)
{
	const LikeText *x = a;
	const LikeText *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Parts the rows into those of the seed and the others. */
static LikeWork *
like_work(const SegmentMatrix *matrix)
{
	LikeWork *work = palloc0(sizeof(LikeWork));

	work->matrix = matrix;
	work->seeds = MemoryContextAllocHuge(
		CurrentMemoryContext, mul_size(matrix->nseeds, sizeof(SegmentRow *)));
	work->others = MemoryContextAllocHuge(
		CurrentMemoryContext,
		mul_size(matrix->n - matrix->nseeds, sizeof(SegmentRow *)));
	for (uint64 i = 0; i < matrix->n; i++)
		if (matrix->rows[i]->head.order != 0)
			work->seeds[work->nseeds++] = matrix->rows[i];
		else
			work->others[work->nothers++] = matrix->rows[i];
	work->fields = palloc0(matrix->nfields * sizeof(LikeField));
	work->ncoefficients = matrix->nfields + 1;
	work->coefficients = palloc0(work->ncoefficients * sizeof(double));
	return work;
}

/* Adds a cut to a field. */
static void
field_cut(LikeField *field, float4 cut)
{
	for (int i = 0; i < field->ncuts; i++)
		if (field->cuts[i] == cut)
			return;
	field->cuts[field->ncuts++] = cut;
}

/* Cuts a field where the values, which are sorted, part into tiles. */
static void
field_cut_tiles(LikeField *field, float4 *values, int n)
{
	qsort(values, n, sizeof(float4), segment_float_compare);
	for (int i = 1; i < LIKE_TILES && n > 0; i++)
		field_cut(field, values[(int64) i * n / LIKE_TILES]);
}

/* Makes each of the most frequent texts a cut. */
static void
field_cut_texts(LikeField *field, float4 *values, int n)
{
	LikeText *texts = palloc(Max(n, 1) * sizeof(LikeText));
	int ntexts = 0;

	qsort(values, n, sizeof(float4), segment_float_compare);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || values[i] != values[i - 1])
			texts[ntexts++] = (LikeText){.hash = values[i]};
		texts[ntexts - 1].n++;
	}
	qsort(texts, ntexts, sizeof(LikeText), text_compare);
	for (int i = 0; i < Min(ntexts, LIKE_CUTS); i++)
		field_cut(field, texts[i].hash);
	pfree(texts);
}

/* Cuts a field by rows of the seed and of the others. */
static void
like_cut(LikeWork *work, int i, float4 *values)
{
	LikeField *field = &work->fields[i];
	uint64 nseeds = Min(work->nseeds, LIKE_SAMPLE);
	uint64 nothers = Min(work->nothers, LIKE_SAMPLE);
	int n = segment_values(work->seeds, nseeds, i, values);

	if (work->matrix->texts[i])
	{
		n += segment_values(work->others, nothers, i, values + n);
		field_cut_texts(field, values, n);
	}
	else
	{
		field_cut_tiles(field, values, n);
		n = segment_values(work->others, nothers, i, values);
		field_cut_tiles(field, values, n);
	}
	qsort(field->cuts, field->ncuts, sizeof(float4), segment_float_compare);
}

/* Returns the bin of a value: the last one when it is not known. */
static inline int
field_bin(const LikeField *field, bool text, float4 value)
{
	int low = 0;
	int high = field->ncuts;

	if (isnan(value))
		return field->ncuts + 1;
	/* How many cuts are not above the value. */
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (field->cuts[middle] <= value)
			low = middle + 1;
		else
			high = middle;
	}
	/* A text is in the bin of its cut, or with all that have none. */
	if (text && (low == 0 || field->cuts[low - 1] != value))
		return 0;
	return low;
}

/* How many rows of a fold are in each bin of a field, and in all. */
typedef struct LikeCounts
{
	uint64 bins[LIKE_FOLDS][LIKE_BINS];
	uint64 all[LIKE_FOLDS];
} LikeCounts;

/* Counts the rows in each bin of a field; fold by fold in turn. */
static void
like_count(const LikeWork *work, int i, SegmentRow **rows, uint64 n,
		   LikeCounts *counts)
{
	memset(counts, 0, sizeof(LikeCounts));
	for (uint64 r = 0; r < n; r++)
	{
		counts->bins[r % LIKE_FOLDS][field_bin(
			&work->fields[i], work->matrix->texts[i], rows[r]->values[i])]++;
		counts->all[r % LIKE_FOLDS]++;
	}
}

/* Sums up a bin, or with -1 all of them, without a fold (-1: with all). */
static double
counts_sum(const LikeCounts *counts, int bin, int without)
{
	uint64 sum = 0;

	for (int fold = 0; fold < LIKE_FOLDS; fold++)
		if (fold != without)
			sum += bin < 0 ? counts->all[fold] : counts->bins[fold][bin];
	return sum;
}

/* Returns the weight of evidence of a bin, learned without a fold. */
static double
like_weight(const LikeCounts *seeds, const LikeCounts *others, int nbins,
			int bin, int without)
{
	double usual = (counts_sum(others, bin, without) + 0.5) /
				   (counts_sum(others, -1, without) + 0.5 * nbins);
	double found = (counts_sum(seeds, bin, without) + LIKE_PRIOR * usual) /
				   (counts_sum(seeds, -1, without) + LIKE_PRIOR);

	return log(found / usual);
}

/* Finds the weight of evidence of each bin of a field. */
static void
like_weigh(LikeWork *work, int i)
{
	LikeField *field = &work->fields[i];
	int nbins = field->ncuts + 2;
	LikeCounts seeds;
	LikeCounts others;

	like_count(work, i, work->seeds, work->nseeds, &seeds);
	like_count(work, i, work->others, work->nothers, &others);
	for (int bin = 0; bin < nbins; bin++)
	{
		field->weights[bin] = like_weight(&seeds, &others, nbins, bin, -1);
		for (int fold = 0; fold < LIKE_FOLDS; fold++)
			field->folds[fold][bin] =
				like_weight(&seeds, &others, nbins, bin, fold);
	}
}

/* Writes the weights of evidence of some rows, each without its fold. */
static void
like_evidence(const LikeWork *work, SegmentRow **rows, int n, float4 *to)
{
	int nfields = work->matrix->nfields;

	for (int r = 0; r < n; r++)
		for (int i = 0; i < nfields; i++)
		{
			const LikeField *field = &work->fields[i];
			int bin =
				field_bin(field, work->matrix->texts[i], rows[r]->values[i]);

			*to++ = field->folds[r % LIKE_FOLDS][bin];
		}
}

/* Takes the rows that the regression learns from, the seed first. */
static LikeTraining *
like_training(const LikeWork *work)
{
	LikeTraining *training = palloc(sizeof(LikeTraining));
	int nseeds = Min(work->nseeds, LIKE_TRAIN_SEEDS);
	int nothers = Min(work->nothers, LIKE_TRAIN_OTHERS);
	Size nfields = work->matrix->nfields;

	training->n = nseeds + nothers;
	training->nseeds = nseeds;
	training->seed_weight = (double) work->nseeds / nseeds;
	training->other_weight = (double) work->nothers / nothers;
	training->evidence = MemoryContextAllocHuge(
		CurrentMemoryContext,
		mul_size(mul_size(training->n, nfields), sizeof(float4)));
	like_evidence(work, work->seeds, nseeds, training->evidence);
	like_evidence(work, work->others, nothers,
				  training->evidence + nseeds * nfields);
	return training;
}

/* Adds a row to the derivatives. */
static void
slope_add(LikeSlope *slope, const float4 *evidence, int n, double slant,
		  double bend)
{
	double *hessian = slope->hessian;

	for (int i = 0; i < n; i++)
	{
		double x = bend * evidence[i];

		slope->gradient[i] += slant * evidence[i];
		for (int j = 0; j <= i; j++)
			hessian[j] += x * evidence[j];
		hessian += i + 1;
	}
	/* The constant, whose evidence is 1. */
	slope->gradient[n] += slant;
	for (int j = 0; j < n; j++)
		hessian[j] += bend * evidence[j];
	hessian[n] += bend;
}

/* Adds the penalty on the coefficients of the fields. */
static void
slope_add_ridge(LikeSlope *slope, const double *coefficients, int n)
{
	double *hessian = slope->hessian;

	for (int i = 0; i < n; i++)
	{
		slope->loss += 0.5 * LIKE_RIDGE * coefficients[i] * coefficients[i];
		slope->gradient[i] += LIKE_RIDGE * coefficients[i];
		hessian[i] += LIKE_RIDGE;
		hessian += i + 1;
	}
}

/* Computes the loss at the coefficients, and its derivatives. */
static void
like_slope(const LikeTraining *training, const double *coefficients, int n,
		   LikeSlope *slope)
{
	const float4 *evidence = training->evidence;

	slope->loss = 0;
	memset(slope->gradient, 0, (n + 1) * sizeof(double));
	memset(slope->hessian, 0, (n + 1) * (n + 2) / 2 * sizeof(double));
	for (int r = 0; r < training->n; r++, evidence += n)
	{
		bool seed = r < training->nseeds;
		double weight = seed ? training->seed_weight : training->other_weight;
		double score = coefficients[n];
		double chance;

		if (r % 256 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			score += coefficients[i] * evidence[i];
		chance = 1 / (1 + exp(-score));
		/* log(1 + exp(x)) without overflow. */
		slope->loss +=
			weight * (Max(score, 0) + log1p(exp(-fabs(score))) - seed * score);
		slope_add(slope, evidence, n, weight * (chance - seed),
				  weight * chance * (1 - chance));
	}
	slope_add_ridge(slope, coefficients, n);
}

/*
 * Solves hessian * step = gradient by Cholesky's method, in place: the step
 * is left in the gradient.
 */
static void
slope_solve(LikeSlope *slope, int n)
{
	double *a = slope->hessian;
	double *b = slope->gradient;

	for (int i = 0; i < n; i++)
	{
		double *row = a + i * (i + 1) / 2;

		for (int j = 0; j <= i; j++)
		{
			const double *above = a + j * (j + 1) / 2;
			double sum = row[j];

			for (int k = 0; k < j; k++)
				sum -= row[k] * above[k];
			/* Rounding may leave nothing where everything is the same. */
			row[j] = i == j ? sqrt(Max(sum, 1e-12)) : sum / above[j];
		}
		for (int k = 0; k < i; k++)
			b[i] -= row[k] * b[k];
		b[i] /= row[i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < n; k++)
			b[i] -= a[k * (k + 1) / 2 + i] * b[k];
		b[i] /= a[i * (i + 1) / 2 + i];
	}
}

/* Finds the coefficients by Newton's method, with steps halved as needed. */
static void
like_regress(LikeWork *work, const LikeTraining *training)
{
	int n = work->matrix->nfields;
	double *best = work->coefficients;
	double *tried = palloc((n + 1) * sizeof(double));
	double *step = palloc0((n + 1) * sizeof(double));
	double loss = INFINITY;
	LikeSlope slope = {
		.gradient = palloc((n + 1) * sizeof(double)),
		.hessian = palloc((n + 1) * (n + 2) / 2 * sizeof(double)),
	};

	best[n] = log((double) work->nseeds / work->nothers);
	for (int i = 0; i < LIKE_STEPS; i++)
	{
		double largest = 0;

		for (int j = 0; j <= n; j++)
			tried[j] = best[j] - step[j];
		like_slope(training, tried, n, &slope);
		if (slope.loss < loss)
		{
			loss = slope.loss;
			memcpy(best, tried, (n + 1) * sizeof(double));
			slope_solve(&slope, n + 1);
			memcpy(step, slope.gradient, (n + 1) * sizeof(double));
		}
		else
			for (int j = 0; j <= n; j++)
				step[j] /= 2;
		for (int j = 0; j <= n; j++)
			largest = Max(largest, fabs(step[j]));
		if (largest < LIKE_STEP_MIN)
			break;
	}
}

/* Makes the weights of evidence parts of the score. */
static void
like_finish(LikeWork *work)
{
	for (int i = 0; i < work->matrix->nfields; i++)
		for (int bin = 0; bin < LIKE_BINS; bin++)
			work->fields[i].weights[bin] *= work->coefficients[i];
}

/* Returns what a field adds to the score of a row. */
static inline double
like_part(const LikeWork *work, const SegmentRow *row, int i)
{
	const LikeField *field = &work->fields[i];

	return field
		->weights[field_bin(field, work->matrix->texts[i], row->values[i])];
}

/* Returns the score of a row: the logarithm of its odds. */
static double
like_score(const LikeWork *work, const SegmentRow *row)
{
	double score = work->coefficients[work->matrix->nfields];

	for (int i = 0; i < work->matrix->nfields; i++)
		score += like_part(work, row, i);
	return score;
}

/* Learns what the seed is like. */
static LikeWork *
like_learn(const SegmentMatrix *matrix)
{
	LikeWork *work = like_work(matrix);
	float4 *values = palloc(2 * LIKE_SAMPLE * sizeof(float4));

	for (int i = 0; i < matrix->nfields; i++)
	{
		CHECK_FOR_INTERRUPTS();
		like_cut(work, i, values);
		like_weigh(work, i);
	}
	like_regress(work, like_training(work));
	like_finish(work);
	return work;
}

/* Scores the others and keeps the first n of them. */
static void
like_rank(LikeRows *result, uint64 n)
{
	const LikeWork *work = result->work;

	result->scores = MemoryContextAllocHuge(
		CurrentMemoryContext, mul_size(work->nothers, sizeof(LikeScore)));
	for (uint64 i = 0; i < work->nothers; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		result->scores[i].row = work->others[i];
		result->scores[i].score = like_score(work, work->others[i]);
	}
	score_sort(result->scores, work->nothers);
	for (uint64 i = 0; i < work->nseeds; i++)
		result->level +=
			1 / (1 + exp(-like_score(work, work->seeds[i]))) / work->nseeds;
	result->rows.n = Min(n, work->nothers);
}

/* Returns the fields that speak most for a row. */
static Datum
like_reasons(const LikeWork *work, const SegmentRow *row)
{
	int best[LIKE_REASONS];
	double parts[LIKE_REASONS];
	Datum names[LIKE_REASONS];
	int n = 0;

	for (int i = 0; i < work->matrix->nfields; i++)
	{
		double part = like_part(work, row, i);
		int at = n;

		if (part <= 0)
			continue;
		while (at > 0 && parts[at - 1] < part)
			at--;
		if (at == LIKE_REASONS)
			continue;
		n = Min(n + 1, LIKE_REASONS);
		for (int k = n - 1; k > at; k--)
		{
			best[k] = best[k - 1];
			parts[k] = parts[k - 1];
		}
		best[at] = i;
		parts[at] = part;
	}
	while (n > 0 && parts[n - 1] < parts[0] / LIKE_REASON_SHARE)
		n--;
	for (int i = 0; i < n; i++)
		names[i] = CStringGetTextDatum(work->matrix->names[best[i]]);
	return PointerGetDatum(
		construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Fills in row i of the result. */
static void
like_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	const LikeRows *result = (const LikeRows *) rows;
	const LikeScore *score = &result->scores[i];

	memset(nulls, false, 3 * sizeof(bool));
	values[0] = Int64GetDatum(score->row->head.key);
	values[1] = Float8GetDatum(1 / (1 + exp(-score->score)) / result->level);
	values[2] = like_reasons(result->work, score->row);
}

/* Raises the error for a source in which nobody is of the seed. */
static void
like_error_no_seed(const char *seed)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("no row of the source is of the seed"),
					errdetail("Column \"%s\" is true in none of them.", seed),
					errhint("Give a seed of some hundred customers; a few "
							"say little about what they have in common.")));
}

PG_FUNCTION_INFO_V1(segment_similar);

/* SQL: segment_similar(source text, n integer, key text, seed text) */
Datum
segment_similar(PG_FUNCTION_ARGS)
{
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int32 n = PG_GETARG_INT32(1);
	char *key = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char *seed = text_to_cstring(PG_GETARG_TEXT_PP(3));
	LikeRows *result = palloc0(sizeof(LikeRows));
	SegmentMatrix *matrix;

	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of customers \"%d\" is below zero", n)));
	matrix = segment_matrix_read(source, key, seed, true);
	if (matrix->nseeds == 0)
		like_error_no_seed(seed);
	result->rows.get = like_get;
	if (matrix->nseeds < matrix->n)
	{
		result->work = like_learn(matrix);
		like_rank(result, n);
	}
	return core_rows_return(fcinfo, &result->rows);
}
