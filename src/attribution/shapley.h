/* Shapley values: what each player adds to a game, over all orders. */
#ifndef IAROS_ATTRIBUTION_SHAPLEY_H
#define IAROS_ATTRIBUTION_SHAPLEY_H

#include "postgres.h"

#include "attribution/path_set.h"

/* Most players of a game whose coalitions are all looked at. */
#define SHAPLEY_EXACT_MAX 20

/* Channels that were seen together, of all paths with just these. */
typedef struct ShapleyCoalition
{
	uint64 first; /* of its channels in members */
	uint32 n;
	int64 conversions;
	int64 nulls;
} ShapleyCoalition;

typedef struct ShapleyGame
{
	uint32 nchannels;
	uint32 *members;
	uint64 nmembers;
	Size members_size;
	ShapleyCoalition *coalitions;
	uint32 ncoalitions;
	uint32 coalitions_size;
	uint32 *slots;
	int bits;
	uint64 salt;
	uint32 *stamp; /* of each channel: when it was last seen */
	uint32 clock;
} ShapleyGame;

/* shapley_game.c */
extern ShapleyGame *shapley_game_create(uint32 nchannels);
extern uint32 shapley_game_path(ShapleyGame *game, const PathSetPath *path);
extern void shapley_values_exact(int n, const double *worth, double *values);
extern void shapley_rate_exact(const ShapleyGame *game, double *values);
extern void shapley_rate_sampled(const ShapleyGame *game, int samples,
								 int64 seed, double *values, double *bounds);

#endif /* IAROS_ATTRIBUTION_SHAPLEY_H */
