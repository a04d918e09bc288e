/*
 * Sets of 64-bit keys as ranges, both ends included, ascending and apart:
 * what a condition on one column asks for.
 */
#ifndef IAROS_SEGMENT_SET_H
#define IAROS_SEGMENT_SET_H

#include "postgres.h"

typedef struct SegmentRange
{
	int64 first;
	int64 last;
} SegmentRange;

/* Keys of values, and whether NULL is a member, too. */
typedef struct SegmentSet
{
	bool null;
	int n;
	int room;
	SegmentRange *ranges;
} SegmentSet;

extern SegmentSet segment_set_all(void);
extern void segment_set_add(SegmentSet *set, int64 first, int64 last);
extern void segment_set_join(SegmentSet *set, const SegmentSet *other);
extern void segment_set_sort(SegmentSet *set);
extern SegmentSet segment_set_rest(const SegmentSet *set);
extern SegmentSet segment_set_and(const SegmentSet *a, const SegmentSet *b);

#endif /* IAROS_SEGMENT_SET_H */
