/*
 * When the conditions on time of a row may turn next. A condition compares
 * a time with as_of moved by a duration, so it turns when as_of is the time
 * moved the other way. Months have no exact way back: as_of - 1 month may
 * even go back while as_of goes on, at the ends of months. So does local
 * time where the clock is put back. There, a condition may turn at any time
 * in a window, and a row is due at once as long as as_of is in it.
 */
#include "postgres.h"

#include "common/int.h"
#include "segment/due.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* No turn is to come. */
#define DUE_NEVER PG_INT64_MAX

/* After a time moved by months, as_of moved back may lag so much. */
#define DUE_MONTH_WINDOW (4 * USECS_PER_DAY)

/* The most that local times around a turn of the clock may differ. */
#define DUE_CLOCK_WINDOW (26 * USECS_PER_HOUR)

/* The mean length of a month, and how much others differ from it at most. */
#define DUE_MONTH (INT64CONST(2629746) * USECS_PER_SEC)
#define DUE_MONTH_ERROR (12 * USECS_PER_DAY)

/* The most that the turn of a day may be away from the time moved. */
#define DUE_DAY_ERROR (4 * USECS_PER_DAY)

/* More days than two hundred years have, and the last that as_of may be. */
#define DUE_DAYS_FAR INT64CONST(100000)
#define DUE_QUARTER (15 * USECS_PER_MINUTE)
#define DUE_AS_OF_MAX INT64CONST(9000000000000000000)

/* Keys of days of the year. */
#define DUE_CALENDAR (13 * 32)

/* Months as rules name them: this, last and next. */
enum
{
	DUE_THIS,
	DUE_LAST,
	DUE_NEXT,
	DUE_MONTHS
};

/* What the conditions on a column wait for. */
typedef struct DueColumn
{
	const SegmentColumn *column;
	int number;
	int nlengths; /* exact lengths, ascending: to be added to the time */
	int64 *lengths;
	int nmonths; /* the same in months */
	int64 *months;
	/* Of conditions on days of the year: */
	bool named[DUE_MONTHS];
	int nspans; /* of ANNIVERSARY, in days */
	int64 *spans;
	TimestampTz turns[DUE_CALENDAR]; /* by key; 0: not yet known */
} DueColumn;

struct SegmentDue
{
	MemoryContext context;
	TimestampTz as_of;
	int64 day;       /* of as_of, in UTC */
	int64 local_day; /* in the zone */
	SegmentZone *zone;
	int ncolumns;
	DueColumn *columns;
	TimestampTz next[SEGMENT_BATCH];
	AudienceBuilder *slots[SEGMENT_DUE_SLOTS];
};

/* Adds a number to a list. */
static void
numbers_add(int64 **list, int *n, int64 value)
{
	/* The room is always the next power of two. */
	if (*n == 0)
		*list = palloc(sizeof(int64));
	else if ((*n & (*n - 1)) == 0)
		*list = repalloc(*list, *n * 2 * sizeof(int64));
	(*list)[(*n)++] = value;
}

/* Orders numbers. */
static int
number_order(const void *a, const void *b)
{
	int64 one = *(const int64 *) a;
	int64 two = *(const int64 *) b;

	return (one > two) - (one < two);
}

/* Sorts a list and drops repeats. */
static void
numbers_sort(int64 *list, int *n)
{
	int kept = 0;

	if (*n == 0)
		return;
	qsort(list, *n, sizeof(int64), number_order);
	for (int i = 1; i < *n; i++)
		if (list[i] != list[kept])
			list[++kept] = list[i];
	*n = kept + 1;
}

/* Adds what a condition waits for: so many units after the time. */
static void
due_length(DueColumn *due, const RuleDuration *unit, int64 units)
{
	RuleDuration length = segment_duration(unit, units);

	if (length.months != 0)
		numbers_add(&due->months, &due->nmonths, length.months);
	else
		numbers_add(&due->lengths, &due->nlengths, length.micros);
}

/* Adds what NEXT waits for: the time itself, and a duration before it. */
static void
due_ahead(DueColumn *due, const RuleDuration *length)
{
	/* It turns after these times, not with them. */
	numbers_add(&due->lengths, &due->nlengths, 1);
	if (length->months != 0)
		numbers_add(&due->months, &due->nmonths, -length->months);
	else
		numbers_add(&due->lengths, &due->nlengths, 1 - length->micros);
}

/* Adds what comparisons with ages wait for. */
static void
due_ages(DueColumn *due, const RuleNode *node)
{
	for (int i = 0; i < node->nvalues; i++)
	{
		const RuleDuration *age = &node->values[i].duration;

		if (node->values[i].kind != RULE_DURATION)
			continue;
		/* Some need one of them only; to be early does no harm. */
		due_length(due, age, age->count);
		due_length(due, age, (int64) age->count + 1);
	}
}

/* Adds what a condition on days of the year waits for. */
static void
due_calendar(DueColumn *due, const RuleNode *node)
{
	for (int i = 0; i < node->nvalues; i++)
	{
		const RuleValue *value = &node->values[i];

		if (node->operator== RULE_ANNIVERSARY)
			numbers_add(&due->spans, &due->nspans,
						value->duration.micros / USECS_PER_DAY);
		else if (value->kind == RULE_TEXT)
			due->named[strcmp(value->text, "this") == 0   ? DUE_THIS
					   : strcmp(value->text, "last") == 0 ? DUE_LAST
														  : DUE_NEXT] = true;
	}
}

/* Adds what the conditions of a node wait for. */
static void
due_node(DueColumn *due, const RuleNode *node)
{
	for (int i = 0; i < node->nchildren; i++)
		due_node(due, node->children[i]);
	if (node->nchildren > 0 || node->kind != RULE_FIELD)
		return;
	switch (node->operator)
	{
		case RULE_MONTH:
		case RULE_ANNIVERSARY:
			due_calendar(due, node);
			break;
		case RULE_WITHIN:
			numbers_add(&due->lengths, &due->nlengths, 0);
			due_length(due, &node->values[0].duration,
					   node->values[0].duration.count);
			break;
		case RULE_BEFORE:
			due_length(due, &node->values[0].duration,
					   node->values[0].duration.count);
			break;
		case RULE_NEXT:
			due_ahead(due, &node->values[0].duration);
			break;
		default:
			due_ages(due, node);
	}
}

/* Collects what the conditions on a column wait for; false for nothing. */
static bool
due_collect(DueColumn *due, const SegmentProgram *program, int number)
{
	const SegmentColumn *column = &program->columns[number];

	memset(due, 0, sizeof(DueColumn));
	due->column = column;
	due->number = number;
	for (int i = 0; i < column->nleaves; i++)
	{
		const SegmentTerm *leaf = &program->terms[column->leaves[i]];

		for (int j = 0; j < leaf->nmembers; j++)
			due_node(due, leaf->members[j].node);
	}
	numbers_sort(due->lengths, &due->nlengths);
	numbers_sort(due->months, &due->nmonths);
	numbers_sort(due->spans, &due->nspans);
	return due->nlengths + due->nmonths + due->nspans > 0 ||
		   due->named[DUE_THIS] || due->named[DUE_LAST] ||
		   due->named[DUE_NEXT];
}

/* Prepares to find what is due after the moment of a program. */
SegmentDue *
segment_due_create(const SegmentProgram *program)
{
	SegmentDue *due = palloc0(sizeof(SegmentDue));

	if (program->time.as_of > DUE_AS_OF_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("as_of is too late to tell what is due")));
	due->context = CurrentMemoryContext;
	due->as_of = program->time.as_of;
	due->day = segment_time_floor(due->as_of);
	due->local_day = program->time.day;
	due->zone = program->zone;
	due->columns = palloc(Max(program->ncolumns, 1) * sizeof(DueColumn));
	for (int i = 0; i < program->ncolumns; i++)
		if (program->columns[i].timed &&
			due_collect(&due->columns[due->ncolumns], program, i))
			due->ncolumns++;
	for (int i = 0; i < SEGMENT_BATCH; i++)
		due->next[i] = DUE_NEVER;
	return due;
}

/* Returns the next turn in a window. */
static inline TimestampTz
due_window(const SegmentDue *due, TimestampTz first, TimestampTz last)
{
	return due->as_of < first  ? first
		   : due->as_of < last ? due->as_of
							   : DUE_NEVER;
}

/* Returns how far local time is ahead of UTC. */
static inline int64
due_offset(const SegmentDue *due, TimestampTz at)
{
	return segment_zone_local(due->zone, at) - at;
}

/*
 * Returns the moment of a local time, and in *window how much earlier or
 * later local time may also be the same.
 */
static TimestampTz
due_utc(const SegmentDue *due, Timestamp local, int64 *window)
{
	int64 offset = due_offset(due, local);
	TimestampTz at = local - offset;

	*window = due_offset(due, at - DUE_CLOCK_WINDOW) == offset &&
					  due_offset(due, at + DUE_CLOCK_WINDOW) == offset
				  ? 0
				  : DUE_CLOCK_WINDOW;
	return at;
}

/* Returns the next turn at a local time, or in a window that starts there. */
static TimestampTz
due_local(const SegmentDue *due, Timestamp local, int64 length)
{
	int64 window;
	TimestampTz at = due_utc(due, local, &window);

	return due_window(due, at - window, at + window + length);
}

/* Counts the days from 2000-01-01 to a day of the calendar. */
static int64
calendar_day(int year, int month, int day)
{
	return (int64) date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
}

/* Returns the length of a month. */
static inline int
calendar_length(int year, int month)
{
	return day_tab[isleap(year)][month - 1];
}

/* Moves a time by months, as PostgreSQL does. */
static Timestamp
time_add_months(Timestamp at, int64 months)
{
	int64 number = segment_time_floor(at);
	int year;
	int month;
	int day;

	j2date((int) (number + POSTGRES_EPOCH_JDATE), &year, &month, &day);
	months += (int64) year * MONTHS_PER_YEAR + month - 1;
	/* Before the year 1 months are negative. */
	year = (int) ((months < 0 ? months - MONTHS_PER_YEAR + 1 : months) /
				  MONTHS_PER_YEAR);
	month = (int) (months - (int64) year * MONTHS_PER_YEAR) + 1;
	day = Min(day, calendar_length(year, month));
	return calendar_day(year, month, day) * USECS_PER_DAY +
		   (at - number * USECS_PER_DAY);
}

/* Returns the first number of a list that is above a bound. */
static int
numbers_above(const int64 *list, int n, int64 bound)
{
	int low = 0;

	while (low < n)
	{
		int middle = (low + n) / 2;

		if (list[middle] > bound)
			n = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Returns the next turn of a time moved, in a window of that length. */
static TimestampTz
due_moved(const SegmentDue *due, SegmentKind kind, Timestamp at, int64 clock,
		  int64 length)
{
	int64 rest;

	if (kind != SEGMENT_DATE)
		return due_window(due, at - clock, at + clock + length);
	/* Days begin at midnight. */
	rest = at - segment_time_floor(at) * USECS_PER_DAY;
	return due_local(due, rest == 0 ? at : at - rest + USECS_PER_DAY, length);
}

/* Returns the next turn of a time moved by lengths of time. */
static TimestampTz
due_lengths(const SegmentDue *due, const DueColumn *column, Timestamp at,
			int64 clock)
{
	TimestampTz next = DUE_NEVER;
	int i = numbers_above(column->lengths, column->nlengths,
						  due->as_of - at - DUE_DAY_ERROR);

	/* Near turns of the clock, a later one may count from earlier on. */
	for (; i < column->nlengths &&
		   (next == DUE_NEVER ||
			at + column->lengths[i] - DUE_DAY_ERROR <= next);
		 i++)
		next = Min(next, due_moved(due, column->column->kind,
								   at + column->lengths[i], clock, 0));
	return next;
}

/* Returns the next turn of a time moved by months. */
static TimestampTz
due_months(const SegmentDue *due, const DueColumn *column, Timestamp at,
		   int64 clock)
{
	int64 error = DUE_MONTH_ERROR + DUE_DAY_ERROR;
	TimestampTz next = DUE_NEVER;
	int i = numbers_above(
		column->months, column->nmonths,
		(due->as_of - at - error - DUE_MONTH_WINDOW) / DUE_MONTH - 1);

	for (; i < column->nmonths &&
		   (next == DUE_NEVER ||
			at + column->months[i] * DUE_MONTH - error <= next);
		 i++)
		next = Min(next, due_moved(due, column->column->kind,
								   time_add_months(at, column->months[i]),
								   clock, DUE_MONTH_WINDOW));
	return next;
}

/* Returns the next turn of conditions that compare a time with as_of. */
static TimestampTz
due_time(const SegmentDue *due, const DueColumn *column, int64 key)
{
	SegmentKind kind = column->column->kind;
	int64 ahead =
		(kind == SEGMENT_DATE ? key : segment_time_floor(key)) - due->day;
	Timestamp at;
	int64 clock = 0;

	/* No duration is that long; the arithmetic below has room for less. */
	if (ahead < -DUE_DAYS_FAR)
		return DUE_NEVER;
	if (ahead > DUE_DAYS_FAR)
		return due->as_of + DUE_DAYS_FAR * USECS_PER_DAY;
	at = kind == SEGMENT_DATE ? key * USECS_PER_DAY : key;
	if (kind == SEGMENT_TIMESTAMP)
		at = due_utc(due, at, &clock);
	return Min(due_lengths(due, column, at, clock),
			   due_months(due, column, at, clock));
}

/* Returns when a month begins next, of 1 to 12 or one before or after. */
static TimestampTz
due_month(const SegmentDue *due, int month)
{
	int year;
	int this_month;
	int day;
	TimestampTz next = DUE_NEVER;

	j2date((int) (due->local_day + POSTGRES_EPOCH_JDATE), &year, &this_month,
		   &day);
	month = (month + 11) % 12 + 1;
	for (int i = 0; i <= 1 && next == DUE_NEVER; i++)
		next = due_local(due, calendar_day(year + i, month, 1) * USECS_PER_DAY,
						 0);
	return next;
}

/* Returns when a day of the year comes next, from today on. */
static int64
due_next_day(const SegmentDue *due, int month, int day)
{
	int year;
	int this_month;
	int today;
	int64 next;

	j2date((int) (due->local_day + POSTGRES_EPOCH_JDATE), &year, &this_month,
		   &today);
	do
	{
		next =
			calendar_day(year, month, Min(day, calendar_length(year, month)));
		year++;
	} while (next < due->local_day);
	return next;
}

/* Returns the next turn of the conditions on a day of the year. */
static TimestampTz
due_day(const SegmentDue *due, const DueColumn *column, int key)
{
	/* The month of as_of in which it is this, last or next month. */
	static const int names[DUE_MONTHS] = {0, 1, -1};
	int month = key / 32;
	int64 day = due_next_day(due, month, key % 32);
	TimestampTz next = DUE_NEVER;

	for (int i = 0; i < DUE_MONTHS; i++)
		for (int j = 0; j <= 1 && column->named[i]; j++)
			next = Min(next, due_month(due, month + names[i] + j));
	for (int i = 0; i < column->nspans; i++)
	{
		/* It begins to count so many days before, and ends after it. */
		TimestampTz turn =
			due_local(due, (day - column->spans[i]) * USECS_PER_DAY, 0);

		if (turn == DUE_NEVER)
			turn = due_local(due, (day + 1) * USECS_PER_DAY, 0);
		next = Min(next, turn);
	}
	return next;
}

/* Finds the next turns of a column for a batch. */
static void
due_column(SegmentDue *due, DueColumn *column, const SegmentBatch *batch)
{
	const int64 *keys = batch->keys + (Size) column->number * SEGMENT_KEYS;
	const uint8 *nulls = batch->nulls + (Size) column->number * SEGMENT_NULLS;
	bool calendar = column->column->use == SEGMENT_CALENDAR;
	bool date = column->column->kind == SEGMENT_DATE;

	for (int row = 0; row < batch->n; row++)
	{
		int64 key = keys[row];
		TimestampTz turn;

		if (nulls[row])
			continue;
		if (calendar)
		{
			if (column->turns[key] == 0)
				column->turns[key] = due_day(due, column, (int) key);
			turn = column->turns[key];
		}
		else if (date ? DATE_NOT_FINITE(key) : TIMESTAMP_NOT_FINITE(key))
			continue;
		else
			turn = due_time(due, column, key);
		due->next[row] = Min(due->next[row], turn);
	}
}

/* Notes a time at which the answers about a row may change, or at once. */
void
segment_due_note(SegmentDue *due, int row, TimestampTz at)
{
	if (!TIMESTAMP_IS_NOEND(at))
		due->next[row] = Min(due->next[row], Max(at, due->as_of));
}

/* Returns the slot in which a time is. */
static int
due_slot(const SegmentDue *due, TimestampTz at)
{
	int64 day = segment_time_floor(at) - due->day;

	return day == 0
			   ? (int) ((at - due->day * USECS_PER_DAY) / DUE_QUARTER)
			   : (int) Min(SEGMENT_DUE_QUARTERS + day, SEGMENT_DUE_SLOTS) - 1;
}

/* Adds the ids of a batch to the slots in which they are due. */
void
segment_due_add(SegmentDue *due, const SegmentBatch *batch, const uint64 *ids)
{
	for (int i = 0; i < due->ncolumns; i++)
		due_column(due, &due->columns[i], batch);
	for (int row = 0; row < batch->n; row++)
	{
		TimestampTz next = due->next[row];

		if (next == DUE_NEVER)
			continue;
		due->next[row] = DUE_NEVER;
		audience_builder_add(segment_due_open(due, due_slot(due, next)),
							 ids[row]);
	}
}

/* Returns the ids due in a slot, or NULL. */
AudienceBuilder *
segment_due_slot(const SegmentDue *due, int slot)
{
	return due->slots[slot];
}

/* Returns the ids due in a slot, none at first. */
AudienceBuilder *
segment_due_open(SegmentDue *due, int slot)
{
	Assert(slot >= 0 && slot < SEGMENT_DUE_SLOTS);
	if (due->slots[slot] == NULL)
		due->slots[slot] = audience_builder_create(due->context);
	return due->slots[slot];
}

/* Returns when a slot begins. */
TimestampTz
segment_due_start(const SegmentDue *due, int slot)
{
	int days = slot - SEGMENT_DUE_QUARTERS + 1;

	return due->day * USECS_PER_DAY +
		   (days > 0 ? days * USECS_PER_DAY : slot * DUE_QUARTER);
}
