/* How the results of the segments of a model become one. */
#ifndef IAROS_MODEL_ENSEMBLE_H
#define IAROS_MODEL_ENSEMBLE_H

typedef enum CombineMethod
{
	COMBINE_SUM,
	COMBINE_WEIGHTED_SUM,
	COMBINE_AVERAGE,
	COMBINE_WEIGHTED_AVERAGE,
	COMBINE_MEDIAN,
	COMBINE_WEIGHTED_MEDIAN,
	COMBINE_VOTE,
	COMBINE_WEIGHTED_VOTE,
	COMBINE_PROBABILITY, /* from here on of probabilities: average */
	COMBINE_WEIGHTED_PROBABILITY,
	COMBINE_MEDIAN_PROBABILITY,
	COMBINE_MAX_PROBABILITY
} CombineMethod;

/* What a segment without a result does to the whole. */
typedef enum MissingPrediction
{
	MISSING_CONTINUE,
	MISSING_SKIP,
	MISSING_RETURN
} MissingPrediction;

/* What ends the segments of a row. */
#define SEGMENT_STOP_FOUND 0x01   /* a segment ran */
#define SEGMENT_STOP_MISSING 0x02 /* one ran without a result */
#define SEGMENT_PASS_MISSING 0x04 /* one ran without a result: not found */
#define SEGMENT_FLAGS 0x07

/* In the slot that tells whether the segments of a row are over. */
#define SEGMENT_GOING 0
#define SEGMENT_MISSED 1
#define SEGMENT_FOUND 2

#endif /* IAROS_MODEL_ENSEMBLE_H */
