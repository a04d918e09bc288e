/* The best attempt of a customer at a funnel. */
#include "postgres.h"

#include "analytics/funnel.h"

/* Is a time within the window of an attempt? */
static inline bool
attempt_open(const FunnelRun *run, const FunnelAttempt *attempt, int64 at)
{
	return at - attempt->at[0] <= run->terms.window;
}

/* Makes an attempt the one before it with a step more. */
static inline void
attempt_extend(FunnelAttempt *attempt, const FunnelAttempt *before, int64 at)
{
	memcpy(attempt->at, before->at, before->level * sizeof(int64));
	attempt->at[before->level] = at;
	attempt->level = before->level + 1;
}

/* Keeps an attempt as the best. */
static inline void
attempt_copy(FunnelRun *run, const FunnelAttempt *attempt)
{
	memcpy(run->best.at, attempt->at, attempt->level * sizeof(int64));
	run->best.level = attempt->level;
}

/* Keeps an attempt if it got further than those before it. */
static inline void
attempt_keep(FunnelRun *run, const FunnelAttempt *attempt)
{
	if (attempt->level > run->best.level)
		attempt_copy(run, attempt);
}

/*
 * Steps in order, whatever happens in between. Of the attempts that reached
 * a step the one that started last can do whatever the others can, so one
 * for each step is enough.
 */
static void
funnel_ordered(FunnelRun *run, const TrackSpan *span)
{
	FunnelAttempt *attempts = run->attempts;

	for (uint64 i = 0; i < span->n && run->best.level < run->terms.steps; i++)
	{
		int64 at = TRACK_AT(span->events[i].mark);
		int step = TRACK_STEP(span->events[i].mark);
		const FunnelAttempt *before;

		if (step == 1)
		{
			attempts[0].at[0] = at;
			attempts[0].level = 1;
			attempt_keep(run, &attempts[0]);
			continue;
		}
		if (step == 0 || step > run->best.level + 1 || step > run->terms.steps)
			continue;
		before = &attempts[step - 2];
		if (!attempt_open(run, before, at) ||
			(step <= run->best.level &&
			 before->at[0] <= attempts[step - 1].at[0]))
			continue;
		attempt_extend(&attempts[step - 1], before, at);
		attempt_keep(run, &attempts[step - 1]);
	}
}

/* Steps in order, with no other event of the customer in between. */
static void
funnel_strict(FunnelRun *run, const TrackSpan *span)
{
	FunnelAttempt *attempt = &run->attempts[0];

	attempt->level = 0;
	for (uint64 i = 0; i < span->n && run->best.level < run->terms.steps; i++)
	{
		int64 at = TRACK_AT(span->events[i].mark);
		int step = TRACK_STEP(span->events[i].mark);

		if (step == 1)
			attempt->level = 0;
		else if (attempt->level == 0 || step != attempt->level + 1 ||
				 !attempt_open(run, attempt, at))
		{
			attempt->level = 0;
			continue;
		}
		attempt->at[attempt->level++] = at;
		attempt_keep(run, attempt);
	}
}

/* Makes an attempt of the last times of steps that are within a window. */
static void
attempt_collect(FunnelAttempt *attempt, const FunnelRun *run,
				const int64 *last, int64 at)
{
	attempt->level = 0;
	for (int step = 0; step < run->terms.steps; step++)
	{
		int place = attempt->level;

		if (last[step] < at - run->terms.window)
			continue;
		while (place > 0 && attempt->at[place - 1] > last[step])
		{
			attempt->at[place] = attempt->at[place - 1];
			place--;
		}
		attempt->at[place] = last[step];
		attempt->level++;
	}
}

/* Does an attempt with that many steps at a time become the best? */
static bool
attempt_better(const FunnelRun *run, int level, int64 at)
{
	if (level != run->best.level)
		return level > run->best.level;
	/* At the same moment another step may have made it begin later. */
	return at == run->best.at[level - 1];
}

/* As many different steps as possible within a window, in any order. */
static void
funnel_unordered(FunnelRun *run, const TrackSpan *span)
{
	int64 last[FUNNEL_STEPS];

	for (int step = 0; step < run->terms.steps; step++)
		last[step] = PG_INT64_MIN;
	for (uint64 i = 0; i < span->n; i++)
	{
		int64 at = TRACK_AT(span->events[i].mark);
		int step = TRACK_STEP(span->events[i].mark);
		int level = 0;

		if (step == 0 || step > run->terms.steps)
			continue;
		last[step - 1] = at;
		for (int other = 0; other < run->terms.steps; other++)
			level += last[other] >= at - run->terms.window;
		if (!attempt_better(run, level, at))
			continue;
		attempt_collect(&run->attempts[0], run, last, at);
		attempt_copy(run, &run->attempts[0]);
	}
}

/* Finds the best attempt of a customer, which has level 0 if there is none. */
void
funnel_attempt(FunnelRun *run, const TrackSpan *span)
{
	run->best.level = 0;
	switch (run->terms.mode)
	{
		case FUNNEL_ORDERED:
			funnel_ordered(run, span);
			break;
		case FUNNEL_STRICT:
			funnel_strict(run, span);
			break;
		case FUNNEL_UNORDERED:
			funnel_unordered(run, span);
			break;
	}
}
