/* How far customers get in a funnel. */
#ifndef IAROS_ANALYTICS_FUNNEL_H
#define IAROS_ANALYTICS_FUNNEL_H

#include "postgres.h"

#include "analytics/track.h"

/* Steps are 1 to this. */
#define FUNNEL_STEPS (TRACK_STEPS - 1)

typedef enum FunnelMode
{
	FUNNEL_ORDERED,
	FUNNEL_STRICT,
	FUNNEL_UNORDERED
} FunnelMode;

/* What is asked of a track. */
typedef struct FunnelTerms
{
	int steps;
	int64 window; /* microseconds, from the first step of an attempt */
	FunnelMode mode;
} FunnelTerms;

/* An attempt: when each of its steps was reached. */
typedef struct FunnelAttempt
{
	int level; /* how many there are */
	int64 at[FUNNEL_STEPS];
} FunnelAttempt;

/* For each step the attempt that reached it and started last. */
typedef struct FunnelRun
{
	FunnelTerms terms;
	FunnelAttempt best; /* the first that got that far */
	FunnelAttempt attempts[FUNNEL_STEPS];
} FunnelRun;

extern void funnel_attempt(FunnelRun *run, const TrackSpan *span);

#endif /* IAROS_ANALYTICS_FUNNEL_H */
