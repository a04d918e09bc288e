/*
 * Reading for paths: the conversions of a source, then the touches of
 * another that may be in the look-back of one of them.
 */
#include "attribution/paths.h"

#include "access/parallel.h"
#include "attribution/paths_query.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/source.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "postmaster/bgworker_internals.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Processes that may read. */
#define READ_PROCESSES (1 + MAX_PARALLEL_WORKER_LIMIT)

/* Hulls: so many for each person, within bounds, as powers of 2. */
#define HULLS_EACH 2
#define HULL_BITS_MIN 6
#define HULL_BITS_MAX 22

/* Touches whose hulls are fetched from memory together. */
#define TOUCH_BATCH 32

/* Times in a hull have so many bits. */
#define HULL_TIME_BITS 16

/*
 * The times in which the look-backs of some persons lie, those that share
 * it by their hash: touches at other times are in no path.
 */
typedef struct PathsHull
{
	uint16 from;
	uint16 to; /* before from: no time */
} PathsHull;

/* Arguments of the sinks. */
typedef struct ReadArgs
{
	PathsColumns columns;
	bool all;         /* touches of all persons at all times */
	int bits;         /* there are 2^bits hulls */
	int shift;        /* their unit of time is 2^shift microseconds */
	TimestampTz base; /* their first time */
	PathsHull hulls[FLEXIBLE_ARRAY_MEMBER];
} ReadArgs;

/* State of the sink of conversions. */
typedef struct GoalState
{
	const ReadArgs *args;
	CoreGroup *goals;
	StringInfoData values; /* kept aside */
	char **others;         /* in the leader, by process */
	MemoryContext row;     /* what reading one row takes */
} GoalState;

/* State of the sink of touches. */
typedef struct TouchState
{
	const ReadArgs *args;
	CoreGroup *touches;
	PathsNames *names;
	uint32 **numbers; /* in the leader, by process: those of its own names */
	MemoryContext row;
	int nwaiting;
	PathsWeighted waiting[TOUCH_BATCH]; /* while their hulls are fetched */
} TouchState;

/* What a worker leaves in shared memory. */
typedef struct ReadPublished
{
	int process;
	dsa_pointer records;
	dsa_pointer extra; /* values, or names */
	Size extra_size;
} ReadPublished;

/* Returns the number of this process, 0 for the leader. */
static inline int
read_process(void)
{
	return ParallelWorkerNumber + 1;
}

/* Returns an integer of one of the three types. */
static inline int64
read_integer(Datum value, Oid type)
{
	if (type == INT8OID)
		return DatumGetInt64(value);
	return type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

/* Is a column there, and its value not NULL? Returns the value. */
static inline bool
read_value(const ReadArgs *args, const TupleTableSlot *slot, int column,
		   Datum *value)
{
	int place = args->columns.places[column];

	if (place < 0 || slot->tts_isnull[place])
		return false;
	*value = slot->tts_values[place];
	return true;
}

/* Writes into shared memory what a worker has read. */
static dsa_pointer
read_publish(CoreGroup *records, dsa_pointer extra, Size extra_size,
			 dsa_area *area)
{
	dsa_pointer pointer = dsa_allocate0(area, sizeof(ReadPublished));
	dsa_pointer published = core_group_publish(records, area);
	ReadPublished *head = dsa_get_address(area, pointer);

	*head = (ReadPublished){.process = read_process(),
							.records = published,
							.extra = extra,
							.extra_size = extra_size};
	return pointer;
}

/* Takes the records that a worker published; returns what else it did. */
static ReadPublished
read_adopt(CoreGroup *records, dsa_area *area, dsa_pointer pointer)
{
	ReadPublished head = *(ReadPublished *) dsa_get_address(area, pointer);

	core_group_adopt(records, area, head.records);
	dsa_free(area, pointer);
	return head;
}

/* Returns memory for what one row takes. */
static MemoryContext
read_context(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "iaros path row",
								 ALLOCSET_SMALL_SIZES);
}

/* Sink of conversions: begins a store. */
static void *
goal_begin(const void *args, double rows)
{
	GoalState *state = palloc0(sizeof(GoalState));

	state->args = args;
	state->goals = core_group_create(sizeof(PathsGoal));
	state->others = palloc0_array(char *, READ_PROCESSES);
	initStringInfo(&state->values);
	state->row = read_context();
	return state;
}

/* Returns a number of any type as numeric. */
static Numeric
goal_numeric(Datum value, Oid type)
{
	switch (type)
	{
		case NUMERICOID:
			return (Numeric) PG_DETOAST_DATUM_PACKED(value);
		case FLOAT8OID:
			return DatumGetNumeric(DirectFunctionCall1(float8_numeric, value));
		case FLOAT4OID:
			return DatumGetNumeric(DirectFunctionCall1(float4_numeric, value));
		default:
			return int64_to_numeric(read_integer(value, type));
	}
}

/* Is a numeric, of whatever header, NaN or infinite? */
static bool
goal_is_special(const char *data)
{
	uint16 head;

	/* Its first word says so, see core/numeric.c. */
	memcpy(&head, data, sizeof(head));
	return (head & 0xC000) == 0xC000;
}

/* Keeps a long value aside. */
static void
goal_put_aside(GoalState *state, PathsGoal *goal, const char *data, Size size)
{
	static const char zeros[sizeof(uint64)] = {0};
	varattrib_4b header;

	goal->kept = PATHS_VALUE_ASIDE;
	goal->value.aside.hash =
		hash_bytes_extended((const unsigned char *) data, (int) size, 0);
	goal->value.aside.place = state->values.len;
	goal->value.aside.process = read_process();
	SET_VARSIZE(&header, size + VARHDRSZ);
	appendBinaryStringInfo(&state->values, (char *) &header, VARHDRSZ);
	appendBinaryStringInfo(&state->values, data, (int) size);
	/* The next one begins aligned. */
	appendBinaryStringInfo(&state->values, zeros,
						   MAXALIGN(state->values.len) - state->values.len);
}

/* Writes the value of a conversion. */
static void
goal_put_value(GoalState *state, PathsGoal *goal, Datum value, Oid type)
{
	Numeric number = goal_numeric(value, type);
	const char *data = VARDATA_ANY(number);
	Size size = VARSIZE_ANY_EXHDR(number);

	if (goal_is_special(data))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value of a conversion of customer " INT64_FORMAT
						" is not finite",
						goal->customer_id)));
	if (size + VARHDRSZ_SHORT > PATHS_VALUE_ROOM)
	{
		goal_put_aside(state, goal, data, size);
		return;
	}
	goal->kept = PATHS_VALUE_HERE;
	SET_VARSIZE_SHORT(goal->value.here, size + VARHDRSZ_SHORT);
	memcpy(goal->value.here + VARHDRSZ_SHORT, data, size);
}

/* Sink of conversions: adds a row, unless it belongs to nobody. */
static void
goal_receive(void *sink_state, TupleTableSlot *slot)
{
	GoalState *state = sink_state;
	const ReadArgs *args = state->args;
	const Oid *types = args->columns.types;
	PathsGoal goal = {{0}};
	Datum person;
	Datum at;
	Datum value;
	MemoryContext caller;

	slot_getallattrs(slot);
	if (!read_value(args, slot, PATHS_CUSTOMER, &person) ||
		!read_value(args, slot, PATHS_AT, &at))
		return;
	goal.head.key = read_integer(person, types[PATHS_CUSTOMER]);
	goal.head.order = DatumGetTimestampTz(at);
	goal.customer_id = goal.head.key;
	if (read_value(args, slot, PATHS_ORIGINAL, &value))
		goal.customer_id = read_integer(value, types[PATHS_ORIGINAL]);
	paths_check_goal_time(goal.head.order, goal.customer_id);
	if (read_value(args, slot, PATHS_ID, &value))
	{
		goal.identified = true;
		goal.conversion_id = read_integer(value, types[PATHS_ID]);
	}
	caller = MemoryContextSwitchTo(state->row);
	if (read_value(args, slot, PATHS_VALUE, &value))
		goal_put_value(state, &goal, value, types[PATHS_VALUE]);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row);
	memcpy(core_group_add(state->goals, goal.head.key, goal.head.order), &goal,
		   sizeof(goal));
}

/* Sink of conversions: a worker's go to shared memory. */
static dsa_pointer
goal_publish(void *sink_state, dsa_area *area)
{
	GoalState *state = sink_state;
	dsa_pointer values = InvalidDsaPointer;

	if (state->values.len > 0)
	{
		values =
			dsa_allocate_extended(area, state->values.len, DSA_ALLOC_HUGE);
		memcpy(dsa_get_address(area, values), state->values.data,
			   state->values.len);
	}
	return read_publish(state->goals, values, state->values.len, area);
}

/* Sink of conversions: the leader takes those of a worker. */
static void
goal_merge(void *sink_state, dsa_area *area, dsa_pointer published)
{
	GoalState *state = sink_state;
	ReadPublished head = read_adopt(state->goals, area, published);

	if (head.extra_size == 0)
		return;
	state->others[head.process] =
		MemoryContextAllocHuge(GetMemoryChunkContext(state), head.extra_size);
	memcpy(state->others[head.process], dsa_get_address(area, head.extra),
		   head.extra_size);
	dsa_free(area, head.extra);
}

static const CoreSink goal_sink = {
	.name = "path conversions",
	.begin = goal_begin,
	.receive = goal_receive,
	.publish = goal_publish,
	.merge = goal_merge,
};

/* Returns the place of a person among 2^bits hulls. */
static inline uint32
hull_place(int64 person, int bits)
{
	uint64 hash = (uint64) person * UINT64CONST(0x9e3779b97f4a7c15);

	/* The partitions of a store take the upper bits of this product. */
	return (uint32) ((hash ^ (hash >> 29)) & ((UINT64CONST(1) << bits) - 1));
}

/* May a touch be in a path? */
static inline bool
hull_has(const ReadArgs *args, int64 person, TimestampTz at)
{
	const PathsHull *hull;
	uint64 time;

	if (at < args->base)
		return false;
	hull = &args->hulls[hull_place(person, args->bits)];
	time = ((uint64) at - (uint64) args->base) >> args->shift;
	return time >= hull->from && time <= hull->to;
}

/* Sink of touches: begins a store. */
static void *
touch_begin(const void *bytes, double rows)
{
	TouchState *state = palloc0(sizeof(TouchState));

	state->args = bytes;
	state->touches = core_group_create(state->args->columns.record);
	state->names = paths_names_create();
	state->numbers = palloc0_array(uint32 *, READ_PROCESSES);
	state->row = read_context();
	return state;
}

/* Returns the number of the channel and campaign of a touch. */
static inline uint32
touch_label(TouchState *state, const TupleTableSlot *slot, Datum channel)
{
	text *name = (text *) PG_DETOAST_DATUM_PACKED(channel);
	PathLabel label = {.channel = VARDATA_ANY(name),
					   .channel_length = VARSIZE_ANY_EXHDR(name)};
	Datum campaign;

	if (read_value(state->args, slot, PATHS_CAMPAIGN, &campaign))
	{
		name = (text *) PG_DETOAST_DATUM_PACKED(campaign);
		if (VARSIZE_ANY_EXHDR(name) > 0)
		{
			label.campaign = VARDATA_ANY(name);
			label.campaign_length = VARSIZE_ANY_EXHDR(name);
		}
	}
	return paths_names_put(state->names, &label);
}

/* Tells whether a kind of touch is one that was only looked at. */
static bool
touch_is_view(Datum kind)
{
	static const char *const kinds[] = {"click", "visit", "impression", "view",
										"open"};
	text *name = (text *) PG_DETOAST_DATUM_PACKED(kind);
	int length = VARSIZE_ANY_EXHDR(name);

	for (int i = 0; i < lengthof(kinds); i++)
		if (strlen(kinds[i]) == length &&
			pg_strncasecmp(kinds[i], VARDATA_ANY(name), length) == 0)
			return i >= 2;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%.*s\" is not a kind of touch",
					pg_mbcliplen(VARDATA_ANY(name), length, 40),
					VARDATA_ANY(name)),
			 errhint("Kinds are click and visit, or NULL, and impression, "
					 "view and open, which are views.")));
}

/* Returns the weight of a touch. */
static float8
touch_weight(Datum value, Oid type)
{
	float8 weight = paths_number(value, type);

	path_check_weight(weight);
	/* Not the zero below 0. */
	return weight + 0.0;
}

/* Fills in a record but its head. */
static void
touch_fill(TouchState *state, const TupleTableSlot *slot, Datum channel,
		   PathsWeighted *record)
{
	const ReadArgs *args = state->args;
	Datum value;

	record->touch.label = touch_label(state, slot, channel);
	record->touch.process = (uint16) read_process();
	if (read_value(args, slot, PATHS_STAGE, &value))
	{
		text *name = (text *) PG_DETOAST_DATUM_PACKED(value);

		record->touch.stage =
			path_stage(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	}
	/* Who became a lead did more than look. */
	if (record->touch.stage == PATH_STAGE_NONE &&
		read_value(args, slot, PATHS_KIND, &value))
		record->touch.view = touch_is_view(value);
	record->weight = 1.0;
	if (read_value(args, slot, PATHS_WEIGHT, &value))
		record->weight =
			touch_weight(value, args->columns.types[PATHS_WEIGHT]);
}

/* Adds the touches that wait and may be in a path. */
static void
touch_flush(TouchState *state)
{
	const ReadArgs *args = state->args;

	for (int i = 0; i < state->nwaiting; i++)
	{
		const PathsWeighted *record = &state->waiting[i];
		CoreRecord head = record->touch.head;

		if (args->all || hull_has(args, head.key, head.order))
			memcpy(core_group_add(state->touches, head.key, head.order),
				   record, args->columns.record);
	}
	state->nwaiting = 0;
}

/* Sink of touches: takes a row, unless it belongs to nobody. */
static void
touch_receive(void *sink_state, TupleTableSlot *slot)
{
	TouchState *state = sink_state;
	const ReadArgs *args = state->args;
	PathsWeighted *record = &state->waiting[state->nwaiting];
	Datum person;
	Datum at;
	Datum channel;
	MemoryContext caller;

	slot_getallattrs(slot);
	if (!read_value(args, slot, PATHS_CUSTOMER, &person) ||
		!read_value(args, slot, PATHS_AT, &at) ||
		!read_value(args, slot, PATHS_CHANNEL, &channel) ||
		TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(at)))
		return;
	memset(record, 0, sizeof(*record));
	record->touch.head.key =
		read_integer(person, args->columns.types[PATHS_CUSTOMER]);
	record->touch.head.order = DatumGetTimestampTz(at);
	__builtin_prefetch(
		&args->hulls[hull_place(record->touch.head.key, args->bits)]);
	caller = MemoryContextSwitchTo(state->row);
	touch_fill(state, slot, channel, record);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row);
	if (++state->nwaiting == TOUCH_BATCH)
		touch_flush(state);
}

/* Sink of touches: a worker's go to shared memory. */
static dsa_pointer
touch_publish(void *sink_state, dsa_area *area)
{
	TouchState *state = sink_state;

	touch_flush(state);
	return read_publish(state->touches,
						paths_names_publish(state->names, area), 0, area);
}

/* Sink of touches: the leader takes those of a worker. */
static void
touch_merge(void *sink_state, dsa_area *area, dsa_pointer published)
{
	TouchState *state = sink_state;
	ReadPublished head = read_adopt(state->touches, area, published);

	state->numbers[head.process] =
		paths_names_adopt(state->names, area, head.extra);
}

static const CoreSink touch_sink = {
	.name = "path touches",
	.begin = touch_begin,
	.receive = touch_receive,
	.publish = touch_publish,
	.merge = touch_merge,
};

/* What conversions say about the touches to read. */
typedef struct GoalExtent
{
	uint64 persons;
	TimestampTz first; /* of all look-backs */
	TimestampTz last;
	int64 *listed; /* the persons, when they are few */
} GoalExtent;

/* Finds out about conversions. */
static GoalExtent
goal_extent(CoreGroup *goals, const PathsRules *rules)
{
	GoalExtent extent = {.first = DT_NOEND, .last = DT_NOBEGIN};
	CoreWalk walk;

	extent.listed = palloc_array(int64, PATHS_LISTED_MAX);
	core_walk_begin(&walk, &goals, 1);
	while (core_walk_next(&walk))
	{
		const PathsGoal *goal = (const PathsGoal *) walk.spans[0].first;

		if (extent.persons < PATHS_LISTED_MAX)
			extent.listed[extent.persons] = walk.key;
		extent.persons++;
		extent.first = Min(extent.first, goal[0].head.order);
		extent.last = Max(extent.last, goal[walk.spans[0].n - 1].head.order);
	}
	extent.first = paths_before(extent.first, rules->window);
	return extent;
}

/* Makes room in a hull for the look-backs of a person. */
static void
hull_extend(ReadArgs *args, int64 person, TimestampTz from, TimestampTz to)
{
	PathsHull *hull = &args->hulls[hull_place(person, args->bits)];
	uint16 first =
		(uint16) (((uint64) from - (uint64) args->base) >> args->shift);
	uint16 last =
		(uint16) (((uint64) to - (uint64) args->base) >> args->shift);

	hull->from = Min(hull->from, first);
	hull->to = Max(hull->to, last);
}

/* Makes the arguments of the sink of touches. */
static ReadArgs *
touch_args(CoreGroup *goals, const GoalExtent *extent, const PathsRules *rules,
		   Size *size)
{
	int bits = HULL_BITS_MIN;
	ReadArgs *args;
	CoreWalk walk;

	while (!rules->journeys && bits < HULL_BITS_MAX &&
		   UINT64CONST(1) << bits < extent->persons * HULLS_EACH)
		bits++;
	*size = offsetof(ReadArgs, hulls) + sizeof(PathsHull) * ((Size) 1 << bits);
	args = palloc_extended(*size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	args->all = rules->journeys;
	args->bits = bits;
	if (args->all || extent->persons == 0)
		return args;
	args->base = extent->first;
	while (((uint64) extent->last - (uint64) extent->first) >> args->shift >>
		   HULL_TIME_BITS)
		args->shift++;
	for (uint32 i = 0; i < (uint32) 1 << bits; i++)
		args->hulls[i] = (PathsHull){.from = UINT16_MAX, .to = 0};
	core_walk_begin(&walk, &goals, 1);
	while (core_walk_next(&walk))
	{
		const PathsGoal *goal = (const PathsGoal *) walk.spans[0].first;

		hull_extend(args, walk.key,
					paths_before(goal[0].head.order, rules->window),
					goal[walk.spans[0].n - 1].head.order);
	}
	return args;
}

/* Reads the conversions. */
static void
read_goals(PathsData *data, const char *text, const char *aliases)
{
	ReadArgs args = {0};
	CoreSource *source;
	GoalState *state;
	char *query = paths_query_goals(text, aliases, &args.columns);

	source = core_source_open(query);
	state = core_source_run(source, &goal_sink, &args, sizeof(args));
	data->goals = state->goals;
	data->values = state->others;
	data->values[0] = state->values.data;
	data->workers = source->workers;
}

/* Reads the touches, for which the conversions are known. */
static void
read_touches(PathsData *data, const PathsRules *rules, PathsQuery *query)
{
	GoalExtent extent = goal_extent(data->goals, rules);
	Size size;
	ReadArgs *args = touch_args(data->goals, &extent, rules, &size);
	CoreSource *source;
	TouchState *state;

	args->columns = query->columns;
	data->touch_size = args->columns.record;
	if (!rules->journeys && extent.persons == 0)
	{
		data->touches = core_group_create(data->touch_size);
		return;
	}
	if (!rules->journeys)
		paths_query_limit(query, extent.first, extent.last, extent.listed,
						  extent.persons);
	source = core_source_open(query->text.data);
	state = core_source_run(source, &touch_sink, args, size);
	touch_flush(state);
	data->touches = state->touches;
	data->numbers = state->numbers;
	data->labels =
		paths_names_sort(state->names, &data->nlabels, &data->ranks);
	data->workers = Max(data->workers, source->workers);
}

/* Reads conversions and touches. */
PathsData
paths_read(const PathsRules *rules, const char *touches,
		   const char *conversions, const char *aliases)
{
	PathsData data = {0};
	PathsQuery query;

	/* Whether their columns fit is told before anything runs. */
	paths_query_touches(&query, touches, aliases);
	read_goals(&data, conversions, aliases);
	read_touches(&data, rules, &query);
	return data;
}

/* Makes the sinks known; at library load. */
void
paths_read_init(void)
{
	core_sink_register(&goal_sink);
	core_sink_register(&touch_sink);
}
