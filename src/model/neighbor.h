/* The record of a NearestNeighborModel, for writing and running it. */
#ifndef IAROS_MODEL_NEIGHBOR_H
#define IAROS_MODEL_NEIGHBOR_H

#include "model/measure.h"

/* How the values of neighbours become one. */
typedef enum NeighborMethod
{
	NEIGHBOR_AVERAGE,
	NEIGHBOR_MEDIAN,
	NEIGHBOR_WEIGHTED_AVERAGE,
	NEIGHBOR_VOTE,
	NEIGHBOR_WEIGHTED_VOTE
} NeighborMethod;

#define NEIGHBOR_METHODS (NEIGHBOR_WEIGHTED_VOTE + 1)
#define NEIGHBOR_CONTINUOUS_WORDS "average|median|weightedAverage"
#define NEIGHBOR_CATEGORICAL_WORDS "majorityVote|weightedMajorityVote"

/*
 * Operands: the measure; cases, field by field; their number, how many
 * decide, their ids; slots of the ids and distances of the nearest; what is
 * added to distances that weigh; of each target the method, the values of
 * cases or the numbers of their categories, the categories and the slot; the
 * slot of the id of the nearest, if that is what the model predicts.
 */
#define NEIGHBOR_SIGNATURE MEASURE_SIGNATURE "Nii*tSSn*(iNNs)?s"
#define NEIGHBOR_TARGET_WORDS 6

#endif /* IAROS_MODEL_NEIGHBOR_H */
