/*
 * segment_kmeans(): customers who are like each other.
 *
 * Fields are clipped at their first and last percentile and standardized.
 * The method of Lloyd (1982) starts from centroids drawn as k-means++ says
 * (Arthur and Vassilvitskii 2007): several draws are tried on some of the
 * rows, and the best goes on with all. Chance comes from a seed and sums run
 * over rows in their order, so that the same rows give the same digits.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/like.h"
#include "utils/builtins.h"

#define CLUSTER_MAX 256

/* Rows that fields are clipped by, and that draws are tried on. */
#define CLUSTER_SAMPLE 10000
#define CLUSTER_DRAWS 5
#define CLUSTER_STEPS_DRAW 30
#define CLUSTER_STEPS 100

/* Settled: no more than one row of so many moves in a step. */
#define CLUSTER_STILL 10000

/* Centroids, field by field: k values of the first one, then the next. */
typedef struct Centroids
{
	int k;
	int nfields;
	float4 *at;
} Centroids;

/* Which cluster each of some rows is in. */
typedef struct Assignment
{
	SegmentRow **rows;
	uint64 n;
	int16 *cluster;
	double squares; /* sum of squared distances to the centroids */
} Assignment;

/* The rows of the result. */
typedef struct ClusterRows
{
	CoreRows rows;
	Centroids centroids;
	Assignment assignment;
	int16 *numbers;  /* of the clusters, 1 for the largest */
	double variance; /* of a field within clusters */
} ClusterRows;

/* A cluster that is to get its number. */
typedef struct ClusterRank
{
	int cluster;
	uint64 n;
	int64 key; /* the lowest in it */
} ClusterRank;

/* Clips and standardizes a field of all rows; what is not known is 0. */
static void
cluster_standardize_field(const SegmentMatrix *matrix, int field,
						  float4 *values)
{
	int known = segment_values(matrix->rows, Min(matrix->n, CLUSTER_SAMPLE),
							   field, values);
	float4 low;
	float4 high;
	double sum = 0;
	double squares = 0;
	double mean;
	double deviation;
	uint64 n = 0;

	qsort(values, known, sizeof(float4), segment_float_compare);
	low = known > 0 ? values[known / 100] : 0;
	high = known > 0 ? values[known - 1 - known / 100] : 0;
	for (uint64 i = 0; i < matrix->n; i++)
	{
		float4 *value = &matrix->rows[i]->values[field];

		if (isnan(*value))
			continue;
		*value = Min(Max(*value, low), high);
		/* From low, so that large numbers keep their digits. */
		sum += *value - low;
		squares += ((double) *value - low) * (*value - low);
		n++;
	}
	mean = n > 0 ? sum / n : 0;
	deviation = n > 0 ? sqrt(Max(squares / n - mean * mean, 0)) : 0;
	for (uint64 i = 0; i < matrix->n; i++)
	{
		float4 *value = &matrix->rows[i]->values[field];

		*value = isnan(*value) || deviation == 0
					 ? 0
					 : (*value - low - mean) / deviation;
	}
}

/* Clips and standardizes all fields. */
static void
cluster_standardize(const SegmentMatrix *matrix)
{
	float4 *values = palloc(CLUSTER_SAMPLE * sizeof(float4));

	for (int i = 0; i < matrix->nfields; i++)
	{
		CHECK_FOR_INTERRUPTS();
		cluster_standardize_field(matrix, i, values);
	}
	pfree(values);
}

/* Computes the squared distances of a row to all centroids. */
static inline void
centroids_distances(const Centroids *centroids, const SegmentRow *row,
					float4 *restrict squares)
{
	const float4 *restrict at = centroids->at;
	int k = centroids->k;

	memset(squares, 0, k * sizeof(float4));
	for (int i = 0; i < centroids->nfields; i++, at += k)
	{
		float4 value = row->values[i];

		for (int c = 0; c < k; c++)
			squares[c] += (value - at[c]) * (value - at[c]);
	}
}

/* Returns the nearest centroid, the first one of equals. */
static inline int
centroids_nearest(const float4 *squares, int k)
{
	int nearest = 0;

	for (int c = 1; c < k; c++)
		if (squares[c] < squares[nearest])
			nearest = c;
	return nearest;
}

/* Puts centroid c where a row is. */
static void
centroids_set(Centroids *centroids, int stride, int c, const SegmentRow *row)
{
	for (int i = 0; i < centroids->nfields; i++)
		centroids->at[i * stride + c] = row->values[i];
}

/* Returns the squared distance between two rows. */
static float4
row_distance(const SegmentRow *a, const SegmentRow *b, int nfields)
{
	float4 sum = 0;

	for (int i = 0; i < nfields; i++)
		sum += (a->values[i] - b->values[i]) * (a->values[i] - b->values[i]);
	return sum;
}

/* Draws a row with a chance as its weight; the sum of weights is total. */
static uint64
draw_row(const double *weights, uint64 n, double total, pg_prng_state *chance)
{
	double left = pg_prng_double(chance) * total;
	uint64 drawn = n;

	for (uint64 i = 0; i < n; i++)
	{
		if (weights[i] <= 0)
			continue;
		drawn = i;
		left -= weights[i];
		if (left < 0)
			break;
	}
	return drawn;
}

/*
 * Draws up to k centroids: the first one any row, each further one a row
 * with a chance as its squared distance to the nearest one so far. There
 * are fewer when no other row is left.
 */
static void
centroids_draw(Centroids *centroids, SegmentRow **rows, uint64 n, int k,
			   pg_prng_state *chance)
{
	double *weights = palloc(n * sizeof(double));
	SegmentRow **drawn = palloc(k * sizeof(SegmentRow *));
	double total = n;

	for (uint64 i = 0; i < n; i++)
		weights[i] = 1;
	centroids->k = 0;
	while (centroids->k < k && total > 0)
	{
		const SegmentRow *next = rows[draw_row(weights, n, total, chance)];

		CHECK_FOR_INTERRUPTS();
		total = 0;
		for (uint64 i = 0; i < n; i++)
		{
			double square = row_distance(rows[i], next, centroids->nfields);

			if (centroids->k == 0 || square < weights[i])
				weights[i] = square;
			total += weights[i];
		}
		drawn[centroids->k++] = unconstify(SegmentRow *, next);
	}
	for (int c = 0; c < centroids->k; c++)
		centroids_set(centroids, centroids->k, c, drawn[c]);
	pfree(weights);
	pfree(drawn);
}

/* Assigns each row to its nearest centroid; returns how many moved. */
static uint64
cluster_assign(Assignment *assignment, const Centroids *centroids)
{
	float4 squares[CLUSTER_MAX];
	uint64 moved = 0;

	assignment->squares = 0;
	for (uint64 i = 0; i < assignment->n; i++)
	{
		int nearest;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		centroids_distances(centroids, assignment->rows[i], squares);
		nearest = centroids_nearest(squares, centroids->k);
		moved += assignment->cluster[i] != nearest;
		assignment->cluster[i] = nearest;
		assignment->squares += squares[nearest];
	}
	return moved;
}

/* Moves each centroid to the mean of its rows; one without rows stays. */
static void
cluster_move(const Assignment *assignment, Centroids *centroids)
{
	int k = centroids->k;
	double *sums = palloc0(k * centroids->nfields * sizeof(double));
	uint64 *counts = palloc0(k * sizeof(uint64));

	for (uint64 i = 0; i < assignment->n; i++)
	{
		int c = assignment->cluster[i];

		counts[c]++;
		for (int f = 0; f < centroids->nfields; f++)
			sums[f * k + c] += assignment->rows[i]->values[f];
	}
	for (int f = 0; f < centroids->nfields; f++)
		for (int c = 0; c < k; c++)
			if (counts[c] > 0)
				centroids->at[f * k + c] = sums[f * k + c] / counts[c];
	pfree(sums);
	pfree(counts);
}

/* Moves centroids and rows in turn until they settle, or steps are over. */
static void
cluster_settle(Assignment *assignment, Centroids *centroids, int steps)
{
	memset(assignment->cluster, -1, assignment->n * sizeof(int16));
	for (int i = 0; i < steps; i++)
	{
		if (cluster_assign(assignment, centroids) <=
			assignment->n / CLUSTER_STILL)
			return;
		cluster_move(assignment, centroids);
	}
	cluster_assign(assignment, centroids);
}

/* Makes room for an assignment of the first n rows. */
static Assignment
cluster_assignment(const SegmentMatrix *matrix, uint64 n)
{
	return (Assignment){
		.rows = matrix->rows,
		.n = n,
		.cluster = MemoryContextAllocHuge(CurrentMemoryContext,
										  mul_size(n, sizeof(int16))),
	};
}

/* Makes room for k centroids. */
static Centroids
cluster_centroids(const SegmentMatrix *matrix, int k)
{
	return (Centroids){
		.k = k,
		.nfields = matrix->nfields,
		.at = palloc(k * matrix->nfields * sizeof(float4)),
	};
}

/* Finds centroids: the best of several draws, settled among some rows. */
static Centroids
cluster_start(const SegmentMatrix *matrix, int k, int64 seed)
{
	Assignment sample =
		cluster_assignment(matrix, Min(matrix->n, CLUSTER_SAMPLE));
	Centroids best = cluster_centroids(matrix, k);
	double least = INFINITY;
	pg_prng_state chance;

	pg_prng_seed(&chance, (uint64) seed);
	for (int i = 0; i < CLUSTER_DRAWS; i++)
	{
		Centroids drawn = cluster_centroids(matrix, k);

		centroids_draw(&drawn, sample.rows, sample.n, k, &chance);
		cluster_settle(&sample, &drawn, CLUSTER_STEPS_DRAW);
		if (i == 0 || sample.squares < least)
		{
			least = sample.squares;
			best = drawn;
		}
	}
	return best;
}

/* Orders clusters, the largest first, for qsort(). */
static int
rank_compare(const void *a, const void *b)
{
	const ClusterRank *x = a;
	const ClusterRank *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->key > y->key) - (x->key < y->key);
}

/* Numbers the clusters. */
static void
cluster_number(ClusterRows *result)
{
	int k = result->centroids.k;
	const Assignment *assignment = &result->assignment;
	ClusterRank *ranks = palloc0(k * sizeof(ClusterRank));

	for (int c = 0; c < k; c++)
		ranks[c] = (ClusterRank){.cluster = c, .key = PG_INT64_MAX};
	for (uint64 i = 0; i < assignment->n; i++)
	{
		ClusterRank *rank = &ranks[assignment->cluster[i]];

		rank->n++;
		rank->key = Min(rank->key, assignment->rows[i]->head.key);
	}
	qsort(ranks, k, sizeof(ClusterRank), rank_compare);
	result->numbers = palloc(k * sizeof(int16));
	for (int c = 0; c < k; c++)
		result->numbers[ranks[c].cluster] = c + 1;
	pfree(ranks);
}

/*
 * Returns how sure it is that a row belongs to its cluster: its chance if
 * clusters were round, equally wide and equally likely.
 */
static double
cluster_confidence(const float4 *squares, int k, int cluster, double variance)
{
	double sum = 0;

	for (int c = 0; c < k; c++)
		if (variance > 0)
			sum += exp((squares[cluster] - squares[c]) / (2 * variance));
		else
			sum += squares[c] <= squares[cluster];
	return 1 / sum;
}

/* Fills in row i of the result. */
static void
cluster_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
			bool *nulls)
{
	const ClusterRows *result = (const ClusterRows *) rows;
	const SegmentRow *row = result->assignment.rows[i];
	int cluster = result->assignment.cluster[i];
	float4 squares[CLUSTER_MAX];

	centroids_distances(&result->centroids, row, squares);
	memset(nulls, false, 4 * sizeof(bool));
	values[0] = Int64GetDatum(row->head.key);
	values[1] = Int32GetDatum(result->numbers[cluster]);
	values[2] = Float8GetDatum(sqrt(squares[cluster]));
	values[3] = Float8GetDatum(cluster_confidence(squares, result->centroids.k,
												  cluster, result->variance));
}

PG_FUNCTION_INFO_V1(segment_kmeans);

/* SQL: segment_kmeans(source text, k integer, seed bigint, key text) */
Datum
segment_kmeans(PG_FUNCTION_ARGS)
{
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int32 k = PG_GETARG_INT32(1);
	int64 seed = PG_GETARG_INT64(2);
	char *key = text_to_cstring(PG_GETARG_TEXT_PP(3));
	ClusterRows *result = palloc0(sizeof(ClusterRows));
	SegmentMatrix *matrix;

	if (k < 1 || k > CLUSTER_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of clusters \"%d\" is not between 1 and %d", k,
						CLUSTER_MAX)));
	matrix = segment_matrix_read(source, key, NULL, false);
	result->rows.get = cluster_get;
	result->rows.n = matrix->n;
	if (matrix->n > 0)
	{
		cluster_standardize(matrix);
		result->centroids = cluster_start(matrix, k, seed);
		result->assignment = cluster_assignment(matrix, matrix->n);
		cluster_settle(&result->assignment, &result->centroids, CLUSTER_STEPS);
		result->variance =
			result->assignment.squares / matrix->n / matrix->nfields;
		cluster_number(result);
	}
	return core_rows_return(fcinfo, &result->rows);
}
