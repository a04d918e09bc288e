/*
 * Effects of removal in a chain of order 1, by one inverse: what is lost
 * without a channel is the chance to come to it, N[start, c] / N[c, c] of the
 * fundamental matrix N, times what is to be had from there.
 *
 * The matrix is eliminated without subtraction (W. K. Grassmann, M. I.
 * Taksar, D. P. Heyman, Regenerative Analysis and Steady State Distributions
 * for Markov Chains, Operations Research 33, 1985): each pivot is the sum of
 * the weights that leave a state for those that are left and for the end.
 * All numbers stay positive, so that each result has nearly all its digits,
 * however small it is.
 */
#include "attribution/markov.h"

#include "miscadmin.h"

/* States in elimination; the last is the start, which nothing leads to. */
typedef struct FirstMatrix
{
	int n;
	double *w;     /* n * n weights; eliminated: both triangles */
	double *pivot; /* its inverse, 0 for a state that nobody comes to */
	double *leave; /* weight to the end */
	double *base;  /* chance of a conversion */
	double *value; /* expected value */
	double *upper; /* inverses of the triangles, the lower one transposed */
	double *lower;
} FirstMatrix;

/* Returns the row of a state: the channels, then the start. */
static inline int
first_row(const MarkovChain *chain, uint32 state)
{
	uint32 channel = chain->states[state].channel;

	return channel == MARKOV_NONE ? (int) chain->nchannels : (int) channel;
}

/* Fills a matrix in with the weights of a chain. */
static void
first_fill(FirstMatrix *matrix, const MarkovChain *chain)
{
	int n = matrix->n;

	for (uint32 i = 0; i < chain->nedges; i++)
	{
		const MarkovEdge *edge = &chain->edges[i];

		matrix->w[first_row(chain, edge->from) * n +
				  first_row(chain, edge->to)] = (double) edge->weight;
	}
	for (uint32 i = 0; i < chain->nstates; i++)
	{
		const MarkovState *state = &chain->states[i];
		int row = first_row(chain, i);

		matrix->leave[row] = (double) (state->conversions + state->nulls);
		matrix->base[row] = (double) state->conversions;
		matrix->value[row] = state->value;
	}
}

/* Allocates a matrix with all its numbers in one piece. */
static FirstMatrix *
first_create(int n)
{
	FirstMatrix *matrix = palloc(sizeof(FirstMatrix));
	Size square = (Size) n * n;
	double *all = palloc_extended((3 * square + 4 * n) * sizeof(double),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	*matrix = (FirstMatrix){.n = n,
							.w = all,
							.upper = all + square,
							.lower = all + 2 * square,
							.pivot = all + 3 * square};
	matrix->leave = matrix->pivot + n;
	matrix->base = matrix->leave + n;
	matrix->value = matrix->base + n;
	return matrix;
}

/* Takes a state out of the way of one that comes later. */
static void
first_eliminate_row(FirstMatrix *matrix, int k, int i)
{
	int n = matrix->n;
	double *row = matrix->w + (Size) i * n;
	const double *out = matrix->w + (Size) k * n;
	double factor = row[k] * matrix->pivot[k];

	row[k] = factor;
	if (factor == 0.0)
		return;
	for (int j = k + 1; j < n; j++)
		row[j] += factor * out[j];
	matrix->leave[i] += factor * matrix->leave[k];
	matrix->base[i] += factor * matrix->base[k];
	matrix->value[i] += factor * matrix->value[k];
}

/* Eliminates all states in their order. */
static void
first_eliminate(FirstMatrix *matrix)
{
	int n = matrix->n;

	for (int k = 0; k < n; k++)
	{
		double sum = matrix->leave[k];

		CHECK_FOR_INTERRUPTS();
		for (int j = k + 1; j < n; j++)
			sum += matrix->w[(Size) k * n + j];
		matrix->pivot[k] = sum > 0.0 ? 1.0 / sum : 0.0;
		for (int i = k + 1; i < n; i++)
			first_eliminate_row(matrix, k, i);
	}
}

/* Solves for the chances and values of all states, the last one first. */
static void
first_solve(FirstMatrix *matrix)
{
	int n = matrix->n;

	for (int k = n - 1; k >= 0; k--)
	{
		const double *row = matrix->w + (Size) k * n;
		double base = matrix->base[k];
		double value = matrix->value[k];

		for (int j = k + 1; j < n; j++)
		{
			base += row[j] * matrix->base[j];
			value += row[j] * matrix->value[j];
		}
		matrix->base[k] = base * matrix->pivot[k];
		matrix->value[k] = value * matrix->pivot[k];
	}
}

/* Inverts the upper triangle: row k from those below it. */
static void
first_invert_upper(FirstMatrix *matrix)
{
	int n = matrix->n;

	for (int k = n - 1; k >= 0; k--)
	{
		const double *row = matrix->w + (Size) k * n;
		double *result = matrix->upper + (Size) k * n;

		CHECK_FOR_INTERRUPTS();
		for (int j = k + 1; j < n; j++)
		{
			const double *below = matrix->upper + (Size) j * n;
			double factor = row[j];

			if (factor != 0.0)
				for (int i = j; i < n; i++)
					result[i] += factor * below[i];
		}
		for (int i = k + 1; i < n; i++)
			result[i] *= matrix->pivot[k];
		result[k] = matrix->pivot[k];
	}
}

/* Inverts the lower triangle, transposed: row k has its column k. */
static void
first_invert_lower(FirstMatrix *matrix)
{
	int n = matrix->n;

	for (int k = n - 1; k >= 0; k--)
	{
		double *result = matrix->lower + (Size) k * n;

		CHECK_FOR_INTERRUPTS();
		result[k] = 1.0;
		for (int j = k + 1; j < n; j++)
		{
			const double *later = matrix->lower + (Size) j * n;
			double factor = matrix->w[(Size) j * n + k];

			if (factor != 0.0)
				for (int i = j; i < n; i++)
					result[i] += factor * later[i];
		}
	}
}

/* Returns an entry of the inverse, the product of both triangles'. */
static double
first_inverse(const FirstMatrix *matrix, int i, int j)
{
	const double *row = matrix->upper + (Size) i * matrix->n;
	const double *column = matrix->lower + (Size) j * matrix->n;
	double sum = 0.0;

	for (int k = Max(i, j); k < matrix->n; k++)
		sum += row[k] * column[k];
	return sum;
}

/* Computes the effects of removal of a chain of order 1. */
void
markov_first_effects(const MarkovChain *chain, MarkovEffects *effects)
{
	int start = (int) chain->nchannels;
	FirstMatrix *matrix = first_create(start + 1);

	first_fill(matrix, chain);
	first_eliminate(matrix);
	first_solve(matrix);
	first_invert_upper(matrix);
	first_invert_lower(matrix);
	effects->base = matrix->base[start];
	effects->value = matrix->value[start];
	for (int c = 0; c < start; c++)
	{
		double often = first_inverse(matrix, c, c);
		double reach =
			often > 0.0 ? first_inverse(matrix, start, c) / often : 0.0;

		effects->lost[c] = reach * matrix->base[c];
		effects->lost_value[c] = reach * matrix->value[c];
	}
	pfree(matrix->w);
	pfree(matrix);
}
