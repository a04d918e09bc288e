/*
 * attribution_paths(): the touches that came before each conversion, made
 * person by person as the rows of the result are asked for.
 */
#include "attribution/paths.h"

#include "attribution/path_build.h"
#include "core/core.h"
#include "core/stream.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Columns of the result. */
enum
{
	ROW_CUSTOMER,
	ROW_CONVERSION,
	ROW_AT,
	ROW_VALUE,
	ROW_PATH,
	ROW_COLUMNS
};

/* No touch of the path. */
#define STEP_NONE UINT32_MAX

/* A touch of a person, and whether it was only looked at. */
typedef struct PathsStep
{
	PathTouch touch; /* label: its rank */
	bool view;
} PathsStep;

/* What the path being made has of a label. */
typedef struct PathsUse
{
	uint64 path;   /* the last path that used it */
	uint32 number; /* among the labels of the path */
	uint32 last;   /* its last touch in the path */
	bool viewed;   /* which was only looked at */
} PathsUse;

/* A range of touches: of a conversion, or of a journey without. */
typedef struct PathsRange
{
	uint64 from;
	uint64 to;
} PathsRange;

/* The rows of the result. */
typedef struct PathsRows
{
	CoreRows rows;
	PathsRules rules;
	PathsData data;
	CoreWalk walk;
	uint64 next; /* row that comes next */

	/* Of the person. */
	const PathsGoal *goals;
	uint64 ngoals;
	uint64 goal; /* that comes next */
	uint64 ntouches;
	PathsRange range;     /* of the conversion */
	TimestampTz previous; /* conversion before it */
	PathsRange journey;
	uint64 after; /* first conversion after the journey's end */
	bool loaded;  /* steps are those of the person */
	PathsStep *steps;
	uint64 room; /* of steps and touches */

	/* Of the path. */
	uint64 npaths; /* that were made */
	PathsUse *uses;
	PathLabel *labels;
	uint32 nlabels;
	PathTouch *touches;
} PathsRows;

/* Orders touches of one moment: what counts for more comes first. */
static inline int
step_cmp(const PathsStep *a, const PathsStep *b)
{
	if (a->touch.label != b->touch.label)
		return a->touch.label < b->touch.label ? -1 : 1;
	if (a->touch.stage != b->touch.stage)
		return a->touch.stage > b->touch.stage ? -1 : 1;
	if (a->view != b->view)
		return a->view ? 1 : -1;
	return (a->touch.weight < b->touch.weight) -
		   (a->touch.weight > b->touch.weight);
}

#define ST_SORT step_sort
#define ST_ELEMENT_TYPE PathsStep
#define ST_COMPARE(a, b) step_cmp(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Returns the time of a touch of the person. */
static inline TimestampTz
touch_at(const PathsRows *rows, uint64 i)
{
	return ((const CoreRecord *) (rows->walk.spans[1].first +
								  i * rows->data.touch_size))
		->order;
}

/* Returns the touch of a record. */
static inline PathsStep
step_of(const PathsRows *rows, const PathsTouch *touch)
{
	const PathsData *data = &rows->data;
	uint32 number = touch->process == 0
						? touch->label
						: data->numbers[touch->process][touch->label];

	return (PathsStep){
		.touch = {.at = touch->head.order,
				  .weight = data->touch_size == sizeof(PathsWeighted)
								? ((const PathsWeighted *) touch)->weight
								: 1.0,
				  .label = data->ranks[number],
				  .stage = touch->stage},
		.view = touch->view};
}

/* Makes room for the touches of a person. */
static void
rows_reserve(PathsRows *rows, uint64 n)
{
	if (n <= rows->room)
		return;
	if (n > PATH_TOUCH_MAX)
		path_fail_size();
	rows->room = Max(n, 2 * rows->room);
	if (rows->steps != NULL)
	{
		pfree(rows->steps);
		pfree(rows->touches);
	}
	rows->steps = MemoryContextAllocHuge(GetMemoryChunkContext(rows),
										 rows->room * sizeof(PathsStep));
	rows->touches = MemoryContextAllocHuge(GetMemoryChunkContext(rows),
										   rows->room * sizeof(PathTouch));
}

/* Lists the touches of the person, in an order that is that of data. */
static void
rows_load(PathsRows *rows)
{
	const char *at = rows->walk.spans[1].first;
	uint64 first = 0;

	rows_reserve(rows, rows->ntouches);
	for (uint64 i = 0; i < rows->ntouches; i++)
	{
		CHECK_FOR_INTERRUPTS();
		rows->steps[i] = step_of(rows, (const PathsTouch *) at);
		at += rows->data.touch_size;
		if (rows->steps[first].touch.at == rows->steps[i].touch.at)
			continue;
		if (i - first > 1)
			step_sort(&rows->steps[first], i - first);
		first = i;
	}
	if (rows->ntouches - first > 1)
		step_sort(&rows->steps[first], rows->ntouches - first);
}

/* Goes to the next person; false when there is none. */
static bool
rows_person(PathsRows *rows)
{
	if (!core_walk_next(&rows->walk))
		return false;
	rows->goals = (const PathsGoal *) rows->walk.spans[0].first;
	rows->ngoals = rows->walk.spans[0].n;
	rows->goal = 0;
	rows->ntouches = rows->walk.spans[1].n;
	rows->range = (PathsRange){0, 0};
	rows->previous = DT_NOBEGIN;
	rows->journey = (PathsRange){0, 0};
	rows->after = 0;
	rows->loaded = false;
	return true;
}

/* Finds the touches in the look-back of the next conversion. */
static void
rows_goal_range(PathsRows *rows)
{
	const PathsGoal *goal = &rows->goals[rows->goal];
	TimestampTz at = goal->head.order;
	TimestampTz from = paths_before(at, rows->rules.window);
	PathsRange *range = &rows->range;

	if (rows->goal > 0 && goal[-1].head.order < at)
		rows->previous = goal[-1].head.order;
	if (rows->rules.restart)
		from = Max(from, rows->previous);
	while (range->from < rows->ntouches && touch_at(rows, range->from) < from)
		range->from++;
	while (range->to < rows->ntouches && touch_at(rows, range->to) < at)
		range->to++;
}

/* Is a touch in nobody's look-back? To be asked in the order of touches. */
static inline bool
journey_has(PathsRows *rows, uint64 touch)
{
	TimestampTz at = touch_at(rows, touch);

	while (rows->after < rows->ngoals &&
		   rows->goals[rows->after].head.order <= at)
		rows->after++;
	return rows->after == rows->ngoals ||
		   at < paths_before(rows->goals[rows->after].head.order,
							 rows->rules.window);
}

/*
 * Goes to the next journey that is over: touches that no conversion followed
 * in time, none of them later than a window after the one before. Between
 * two of them is no touch of a conversion. False when there is none.
 */
static bool
journey_next(PathsRows *rows)
{
	int64 window = rows->rules.window;
	uint64 n = rows->ntouches;
	uint64 i = rows->journey.to;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		while (i < n && !journey_has(rows, i))
			i++;
		if (i == n)
			return false;
		rows->journey.from = i++;
		while (i < n &&
			   paths_before(touch_at(rows, i), window) <=
				   touch_at(rows, i - 1) &&
			   journey_has(rows, i))
			i++;
		rows->journey.to = i;
		if (touch_at(rows, i - 1) <= rows->rules.closed_until)
			return true;
	}
}

/* Begins a walk through the persons. */
static void
rows_begin(PathsRows *rows)
{
	CoreGroup *stores[2] = {rows->data.goals, rows->data.touches};

	core_walk_begin(&rows->walk, stores, 2);
	rows->next = 0;
	rows->goal = rows->ngoals = 0;
	rows->ntouches = 0;
	rows->journey = (PathsRange){0, 0};
}

/* Counts the journeys without a conversion. */
static uint64
journeys_count(PathsRows *rows)
{
	uint64 n = 0;

	if (!rows->rules.journeys)
		return 0;
	rows_begin(rows);
	while (rows_person(rows))
		while (journey_next(rows))
			n++;
	return n;
}

/* Returns what the path being made has of a label. */
static inline PathsUse *
path_use(PathsRows *rows, uint32 label)
{
	PathsUse *use = &rows->uses[label];

	if (use->path == rows->npaths)
		return use;
	use->path = rows->npaths;
	use->number = rows->nlabels;
	use->last = STEP_NONE;
	use->viewed = false;
	rows->labels[rows->nlabels++] = rows->data.labels[label];
	return use;
}

/* How much a touch counts beside another of its channel and campaign. */
static inline int
step_weight(PathStage stage, bool view)
{
	return stage != PATH_STAGE_NONE ? 2 : !view;
}

/*
 * Is a touch a repetition of the last one of its channel and campaign? One
 * that counts for more takes its place.
 */
static bool
path_repeats(PathsRows *rows, const PathsUse *use, const PathsStep *step)
{
	PathTouch *last;

	if (use->last == STEP_NONE)
		return false;
	last = &rows->touches[use->last];
	if (step->touch.at - last->at >= rows->rules.dedupe ||
		(step->touch.stage != PATH_STAGE_NONE &&
		 last->stage != PATH_STAGE_NONE && step->touch.stage != last->stage))
		return false;
	if (step_weight(step->touch.stage, step->view) <=
		step_weight(last->stage, use->viewed))
		return true;
	last->label = STEP_NONE;
	return false;
}

/* Is there a touch in a range that was more than looked at? */
static bool
path_clicked(const PathsRows *rows, const PathsRange *range)
{
	for (uint64 i = range->from; i < range->to; i++)
		if (!rows->steps[i].view)
			return true;
	return false;
}

/* Takes the touches out that others took the place of. */
static uint32
path_compact(PathTouch *touches, uint32 n)
{
	uint32 kept = 0;

	for (uint32 i = 0; i < n; i++)
		if (touches[i].label != STEP_NONE)
			touches[kept++] = touches[i];
	return kept;
}

/* Chooses the touches of a path; views count from a time on. */
static uint32
path_choose(PathsRows *rows, const PathsRange *range, TimestampTz views_from)
{
	uint32 n = 0;

	if (rows->rules.click_over_view && path_clicked(rows, range))
		views_from = DT_NOEND;
	rows->npaths++;
	rows->nlabels = 0;
	for (uint64 i = range->from; i < range->to; i++)
	{
		const PathsStep *step = &rows->steps[i];
		PathsUse *use;

		CHECK_FOR_INTERRUPTS();
		if (step->view && step->touch.at < views_from)
			continue;
		use = path_use(rows, step->touch.label);
		if (rows->rules.dedupe > 0)
		{
			if (path_repeats(rows, use, step))
				continue;
			use->last = n;
			use->viewed = step->view;
		}
		rows->touches[n] = step->touch;
		rows->touches[n++].label = use->number;
	}
	return rows->rules.dedupe > 0 ? path_compact(rows->touches, n) : n;
}

/* Makes the path of a range of touches. */
static Datum
path_datum(PathsRows *rows, const PathsRange *range, TimestampTz views_from)
{
	uint32 n;

	if (!rows->loaded)
		rows_load(rows);
	rows->loaded = true;
	n = path_choose(rows, range, views_from);
	if (n > 0)
	{
		path_check_time(rows->touches[0].at);
		path_check_time(rows->touches[n - 1].at);
	}
	return PointerGetDatum(
		path_make(rows->labels, rows->nlabels, rows->touches, n, true));
}

/* Returns the value of a conversion that has one. */
static Datum
goal_value(const PathsRows *rows, const PathsGoal *goal)
{
	if (goal->kept == PATHS_VALUE_HERE)
		return PointerGetDatum(goal->value.here);
	return PointerGetDatum(rows->data.values[goal->value.aside.process] +
						   goal->value.aside.place);
}

/* Fills in the row of the next conversion of the person. */
static void
goal_get(PathsRows *rows, const bool *wanted, Datum *values, bool *nulls)
{
	const PathsGoal *goal = &rows->goals[rows->goal];
	TimestampTz at = goal->head.order;

	rows_goal_range(rows);
	rows->goal++;
	memset(nulls, false, ROW_COLUMNS * sizeof(bool));
	values[ROW_CUSTOMER] = Int64GetDatum(goal->customer_id);
	values[ROW_CONVERSION] = Int64GetDatum(goal->conversion_id);
	nulls[ROW_CONVERSION] = !goal->identified;
	values[ROW_AT] = TimestampTzGetDatum(at);
	nulls[ROW_VALUE] = goal->kept == PATHS_VALUE_NULL;
	if (!nulls[ROW_VALUE])
		values[ROW_VALUE] = goal_value(rows, goal);
	nulls[ROW_PATH] = !wanted[ROW_PATH];
	if (wanted[ROW_PATH])
		values[ROW_PATH] = path_datum(
			rows, &rows->range, paths_before(at, rows->rules.view_window));
}

/* Fills in the row of a journey of the person. */
static void
journey_get(PathsRows *rows, const bool *wanted, Datum *values, bool *nulls)
{
	memset(nulls, true, ROW_COLUMNS * sizeof(bool));
	values[ROW_CUSTOMER] = Int64GetDatum(rows->walk.key);
	nulls[ROW_CUSTOMER] = false;
	nulls[ROW_PATH] = !wanted[ROW_PATH];
	if (wanted[ROW_PATH])
		values[ROW_PATH] = path_datum(rows, &rows->journey, DT_NOBEGIN);
}

/* Fills in row i, which is the next one or the first. */
static void
paths_get(const CoreRows *core, uint64 i, const bool *wanted, Datum *values,
		  bool *nulls)
{
	PathsRows *rows = (PathsRows *) core;

	if (i == 0)
		rows_begin(rows);
	Assert(i == rows->next);
	rows->next++;
	CHECK_FOR_INTERRUPTS();
	for (;;)
	{
		if (rows->goal < rows->ngoals)
		{
			goal_get(rows, wanted, values, nulls);
			return;
		}
		if (rows->rules.journeys && journey_next(rows))
		{
			journey_get(rows, wanted, values, nulls);
			return;
		}
		if (!rows_person(rows))
			elog(ERROR, "there are no more paths");
	}
}

/* Raises an error for an argument that is NULL. */
static const NullableDatum *
argument(const NullableDatum *args, int i, const char *name)
{
	if (args[i].isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be NULL", name)));
	return &args[i];
}

/* Reads the rules. */
static PathsRules
paths_rules(const NullableDatum *args)
{
	PathsRules rules = {0};

	rules.window = paths_length(argument(args, 2, "window"), "window");
	rules.view_window = paths_length(&args[3], "view_window");
	if (rules.view_window == 0)
		rules.view_window = rules.window;
	if (rules.view_window > rules.window)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("view_window is longer than window"),
				 errhint("Views count in the window, or a shorter one.")));
	rules.dedupe = paths_length(&args[4], "dedupe");
	rules.click_over_view =
		DatumGetBool(argument(args, 5, "click_over_view")->value);
	rules.restart = DatumGetBool(argument(args, 6, "restart")->value);
	rules.journeys = !args[8].isnull;
	if (rules.journeys)
	{
		rules.closed_until = DatumGetTimestampTz(args[8].value);
		if (!TIMESTAMP_NOT_FINITE(rules.closed_until))
			rules.closed_until =
				paths_before(rules.closed_until, rules.window);
	}
	return rules;
}

/* Reads the sources and prepares the rows. */
static CoreRows *
paths_open(TupleDesc desc, const NullableDatum *args)
{
	PathsRows *rows = palloc0(sizeof(PathsRows));

	core_require_install();
	rows->rules = paths_rules(args);
	rows->data = paths_read(
		&rows->rules, TextDatumGetCString(argument(args, 0, "touches")->value),
		TextDatumGetCString(argument(args, 1, "conversions")->value),
		args[7].isnull ? NULL : TextDatumGetCString(args[7].value));
	rows->uses = MemoryContextAllocExtended(
		CurrentMemoryContext,
		mul_size(Max(rows->data.nlabels, 1), sizeof(PathsUse)),
		MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rows->labels = MemoryContextAllocHuge(
		CurrentMemoryContext,
		mul_size(Max(rows->data.nlabels, 1), sizeof(PathLabel)));
	rows->rows.n = core_group_count(rows->data.goals) + journeys_count(rows);
	rows->rows.workers = rows->data.workers;
	rows->rows.get = paths_get;
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(attribution_paths);

static const CoreStream paths_stream = {
	.name = "attribution_paths",
	.function = attribution_paths,
	.open = paths_open,
};

/*
 * SQL: attribution_paths(touches text, conversions text, window interval,
 * view_window interval, dedupe interval, click_over_view boolean, restart
 * boolean, aliases text, nulls_until timestamptz)
 */
Datum
attribution_paths(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &paths_stream);
}

/* Starts the part of the domain. */
void
paths_init(void)
{
	paths_read_init();
	core_stream_register(&paths_stream);
}
