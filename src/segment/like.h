/*
 * Customers as rows of numbers: who is like the customers of a segment
 * (like.c), and who is like each other (cluster.c). matrix.c reads them.
 */
#ifndef IAROS_SEGMENT_LIKE_H
#define IAROS_SEGMENT_LIKE_H

#include "postgres.h"

#include "core/group.h"

/* Most fields that a source can have beside the key. */
#define SEGMENT_FIELDS_MAX 200

/*
 * A row of the matrix. A field that is not known is NaN; one that is a text
 * holds a hash of it, a whole number below 2^24.
 */
typedef struct SegmentRow
{
	CoreRecord head; /* key: the customer; order: 1 for one of the seed */
	float4 values[FLEXIBLE_ARRAY_MEMBER];
} SegmentRow;

/*
 * The rows of a source, in the order of a hash of their keys: the first ones
 * are rows by chance, the same ones each time.
 */
typedef struct SegmentMatrix
{
	uint64 n;
	uint64 nseeds;
	int nfields;
	char **names; /* of the fields */
	bool *texts;  /* which of them are texts */
	SegmentRow **rows;
} SegmentMatrix;

/* matrix.c */
extern SegmentMatrix *segment_matrix_read(const char *source, const char *key,
										  const char *seed, bool texts);
extern int segment_values(SegmentRow **rows, uint64 n, int field,
						  float4 *values);
extern int segment_float_compare(const void *a, const void *b);
extern void segment_like_init(void);

#endif /* IAROS_SEGMENT_LIKE_H */
