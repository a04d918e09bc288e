/* The history of a person in memory: what it is made of and how it changes. */
#include "postgres.h"

#include "miscadmin.h"
#include "profile/profile.h"
#include "utils/memutils.h"

/* First room of an array. */
#define HISTORY_ROOM 8

#define COMPARE(a, b) ((a) < (b) ? -1 : (a) > (b))

/* Order of a history. */
static inline int
history_compare_bookings(const ProfileBooking *a, const ProfileBooking *b)
{
	if (a->at != b->at)
		return COMPARE(a->at, b->at);
	if (a->owner != b->owner)
		return COMPARE(a->owner, b->owner);
	return COMPARE(a->id, b->id);
}

/* Order of keys. */
static inline int
history_compare_keys(const ProfileBooking *a, const ProfileBooking *b)
{
	if (a->owner != b->owner)
		return COMPARE(a->owner, b->owner);
	return COMPARE(a->id, b->id);
}

/* Order of a series. */
static inline int
history_compare_entries(const ProfileEntry *a, const ProfileEntry *b)
{
	if (a->at != b->at)
		return COMPARE(a->at, b->at);
	if (a->id != b->id)
		return COMPARE(a->id, b->id);
	return COMPARE(a->value, b->value);
}

#define ST_SORT history_sort_bookings
#define ST_ELEMENT_TYPE ProfileBooking
#define ST_COMPARE(a, b) history_compare_bookings(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

#define ST_SORT history_sort_keys
#define ST_ELEMENT_TYPE ProfileBooking
#define ST_COMPARE(a, b) history_compare_keys(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

#define ST_SORT history_sort_entries
#define ST_ELEMENT_TYPE ProfileEntry
#define ST_COMPARE(a, b) history_compare_entries(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Makes an empty history, whose parts live in a context. */
ProfileHistory *
profile_history_create(MemoryContext context)
{
	ProfileHistory *history =
		MemoryContextAllocZero(context, sizeof(ProfileHistory));

	history->context = context;
	return history;
}

/* Makes room for elements of an array; the array and its room come back. */
static void *
history_grow(MemoryContext context, void *array, int *room, int64 wanted,
			 Size size)
{
	int64 grown;

	if (wanted <= *room)
		return array;
	grown = Max(wanted, Max(HISTORY_ROOM, (int64) *room * 2));
	if (grown > PG_INT32_MAX || grown * size > MaxAllocHugeSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the history of one person is too long"),
						errdetail("It would hold " INT64_FORMAT " entries.",
								  wanted)));
	*room = (int) grown;
	if (array == NULL)
		return MemoryContextAllocHuge(context, grown * size);
	return repalloc_huge(array, grown * size);
}

/* Returns the index of a name, which is added when it is new. */
int
profile_history_name(ProfileHistory *history, const char *text, int length)
{
	char *copy;

	for (int i = 0; i < history->nnames; i++)
		if (history->names[i].length == length &&
			memcmp(history->names[i].text, text, length) == 0)
			return i;
	if (history->nnames == PROFILE_NAMES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the history of one person has more than %d names",
						PROFILE_NAMES_MAX),
				 errdetail("Sales channels, and kinds of events, contacts "
						   "and consents, are names.")));
	history->names =
		history_grow(history->context, history->names, &history->names_room,
					 (int64) history->nnames + 1, sizeof(ProfileName));
	copy = MemoryContextAlloc(history->context, Max(length, 1));
	memcpy(copy, text, length);
	history->names[history->nnames].text = copy;
	history->names[history->nnames].length = length;
	return history->nnames++;
}

/* Returns a new booking at the end, all zero but that it has no channel. */
ProfileBooking *
profile_history_add_booking(ProfileHistory *history)
{
	ProfileBooking *booking;

	history->bookings = history_grow(
		history->context, history->bookings, &history->bookings_room,
		(int64) history->nbookings + 1, sizeof(ProfileBooking));
	booking = &history->bookings[history->nbookings++];
	memset(booking, 0, sizeof(ProfileBooking));
	booking->departure = PROFILE_NO_DEPARTURE;
	booking->channel = -1;
	return booking;
}

/* Returns the series of a name, which is added when it is new. */
ProfileSeries *
profile_history_series(ProfileHistory *history, const char *text, int length,
					   uint8 flags)
{
	int name = profile_history_name(history, text, length);
	ProfileSeries *series;

	for (int i = 0; i < history->nseries; i++)
		if (history->series[i].name == name)
		{
			history->series[i].flags |= flags;
			return &history->series[i];
		}
	history->series =
		history_grow(history->context, history->series, &history->series_room,
					 (int64) history->nseries + 1, sizeof(ProfileSeries));
	series = &history->series[history->nseries++];
	memset(series, 0, sizeof(ProfileSeries));
	series->name = name;
	series->flags = flags;
	return series;
}

/* Makes room for more entries of a series. */
void
profile_history_reserve(ProfileHistory *history, ProfileSeries *series, int n)
{
	series->entries =
		history_grow(history->context, series->entries, &series->room,
					 (int64) series->n + n, sizeof(ProfileEntry));
}

/* Adds an entry at the end of a series. */
void
profile_history_add(ProfileHistory *history, ProfileSeries *series,
					TimestampTz at, int64 id, int64 value)
{
	ProfileEntry *entry;

	profile_history_reserve(history, series, 1);
	entry = &series->entries[series->n++];
	entry->at = at;
	entry->id = id;
	entry->value = value;
}

/* Returns the series of a name, NULL when there is none. */
const ProfileSeries *
profile_history_find(const ProfileHistory *history, const char *text)
{
	int length = strlen(text);

	for (int i = 0; i < history->nseries; i++)
	{
		const ProfileName *name = &history->names[history->series[i].name];

		if (name->length == length && memcmp(name->text, text, length) == 0)
			return &history->series[i];
	}
	return NULL;
}

/* Sorts the bookings by key, for profile_history_key(). */
void
profile_history_sort_keys(ProfileHistory *history)
{
	if (history->nbookings > 1)
		history_sort_keys(history->bookings, history->nbookings);
}

/* Returns the booking of a key, NULL when there is none. */
ProfileBooking *
profile_history_key(ProfileHistory *history, int64 owner, int64 id)
{
	ProfileBooking key = {.owner = owner, .id = id};
	int low = 0;
	int high = history->nbookings;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		int order = history_compare_keys(&history->bookings[middle], &key);

		if (order == 0)
			return &history->bookings[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Takes out the bookings that have the keys of those of another. */
static void
history_remove_bookings(ProfileHistory *history, const ProfileHistory *other)
{
	ProfileHistory sorted = {.nbookings = other->nbookings};
	Size size = (Size) other->nbookings * sizeof(ProfileBooking);
	int kept = 0;

	if (other->nbookings == 0 || history->nbookings == 0)
		return;
	sorted.bookings = MemoryContextAllocHuge(CurrentMemoryContext, size);
	memcpy(sorted.bookings, other->bookings, size);
	profile_history_sort_keys(&sorted);
	for (int i = 0; i < history->nbookings; i++)
		if (profile_history_key(&sorted, history->bookings[i].owner,
								history->bookings[i].id) == NULL)
		{
			if (kept < i)
				history->bookings[kept] = history->bookings[i];
			kept++;
		}
	history->nbookings = kept;
	pfree(sorted.bookings);
}

/* Drops the bookings that another history has. */
void
profile_history_skip(ProfileHistory *history, const ProfileHistory *other)
{
	int kept = 0;

	profile_history_sort_keys(history);
	for (int i = 0; i < other->nbookings; i++)
	{
		ProfileBooking *booking = profile_history_key(
			history, other->bookings[i].owner, other->bookings[i].id);

		if (booking != NULL)
			booking->status = PROFILE_SKIPPED;
	}
	for (int i = 0; i < history->nbookings; i++)
		if (history->bookings[i].status != PROFILE_SKIPPED)
			history->bookings[kept++] = history->bookings[i];
	history->nbookings = kept;
}

/*
 * Adds another history. Bookings of the same key are replaced; entries of
 * series are all added.
 */
void
profile_history_merge(ProfileHistory *history, const ProfileHistory *other)
{
	history_remove_bookings(history, other);
	for (int i = 0; i < other->nbookings; i++)
	{
		ProfileBooking *booking = profile_history_add_booking(history);

		*booking = other->bookings[i];
		if (booking->channel >= 0)
		{
			const ProfileName *name = &other->names[booking->channel];

			booking->channel =
				profile_history_name(history, name->text, name->length);
		}
	}
	for (int i = 0; i < other->nseries; i++)
	{
		const ProfileSeries *from = &other->series[i];
		const ProfileName *name = &other->names[from->name];
		ProfileSeries *to = profile_history_series(history, name->text,
												   name->length, from->flags);

		if (from->n == 0)
			continue;
		profile_history_reserve(history, to, from->n);
		memcpy(&to->entries[to->n], from->entries,
			   (Size) from->n * sizeof(ProfileEntry));
		to->n += from->n;
	}
}

/* Takes entries out of a series, both sorted; what is not there is not. */
static void
history_remove_entries(ProfileSeries *series, const ProfileSeries *removed)
{
	int kept = 0;
	int j = 0;

	for (int i = 0; i < series->n; i++)
	{
		int order = 1;

		while (j < removed->n)
		{
			order = history_compare_entries(&removed->entries[j],
											&series->entries[i]);
			if (order >= 0)
				break;
			j++;
		}
		if (j < removed->n && order == 0)
			j++;
		else
			series->entries[kept++] = series->entries[i];
	}
	series->n = kept;
}

/*
 * Takes out what another history holds: bookings by their key, entries of
 * series one for one. Both must be sorted; what is not there is passed over.
 */
void
profile_history_remove(ProfileHistory *history, const ProfileHistory *removed)
{
	history_remove_bookings(history, removed);
	for (int i = 0; i < removed->nseries; i++)
	{
		const ProfileName *name = &removed->names[removed->series[i].name];

		for (int j = 0; j < history->nseries; j++)
		{
			const ProfileName *own = &history->names[history->series[j].name];

			if (own->length == name->length &&
				memcmp(own->text, name->text, name->length) == 0)
				history_remove_entries(&history->series[j],
									   &removed->series[i]);
		}
	}
}

/* Order of names: shorter ones first, since that is quick. */
static int
history_compare_names(const ProfileName *a, const ProfileName *b)
{
	if (a->length != b->length)
		return COMPARE(a->length, b->length);
	return memcmp(a->text, b->text, a->length);
}

/* Sorts the names, drops those that are not used, and renumbers. */
static void
history_sort_names(ProfileHistory *history)
{
	int *place = palloc0(Max(history->nnames, 1) * sizeof(int));
	ProfileName *names;
	int used = 0;

	for (int i = 0; i < history->nbookings; i++)
		if (history->bookings[i].channel >= 0)
			place[history->bookings[i].channel] = 1;
	for (int i = 0; i < history->nseries; i++)
		place[history->series[i].name] = 1;
	names = palloc(Max(history->nnames, 1) * sizeof(ProfileName));
	/* Few names: each finds its place among those before it. */
	for (int i = 0; i < history->nnames; i++)
	{
		int to = used;

		if (place[i] == 0)
			continue;
		for (; to > 0 &&
			   history_compare_names(&history->names[i], &names[to - 1]) < 0;
			 to--)
			names[to] = names[to - 1];
		names[to] = history->names[i];
		used++;
	}
	for (int i = 0; i < history->nnames; i++)
		for (int j = 0; j < used; j++)
			if (names[j].text == history->names[i].text)
				place[i] = j;
	for (int i = 0; i < history->nbookings; i++)
		if (history->bookings[i].channel >= 0)
			history->bookings[i].channel = place[history->bookings[i].channel];
	for (int i = 0; i < history->nseries; i++)
		history->series[i].name = place[history->series[i].name];
	if (used > 0)
		memcpy(history->names, names, used * sizeof(ProfileName));
	history->nnames = used;
	pfree(names);
	pfree(place);
}

/* Sorts the series by name and drops those without entries. */
static void
history_sort_series(ProfileHistory *history)
{
	int used = 0;

	for (int i = 0; i < history->nseries; i++)
		if (history->series[i].n > 0)
			history->series[used++] = history->series[i];
	history->nseries = used;
}

/* Orders the series by the numbers of their names. */
static void
history_order_series(ProfileHistory *history)
{
	for (int i = 1; i < history->nseries; i++)
	{
		ProfileSeries moved = history->series[i];
		int to = i;

		for (; to > 0 && history->series[to - 1].name > moved.name; to--)
			history->series[to] = history->series[to - 1];
		history->series[to] = moved;
	}
}

/* Brings a history into its order. */
void
profile_history_sort(ProfileHistory *history)
{
	history_sort_series(history);
	history_sort_names(history);
	history_order_series(history);
	if (history->nbookings > 1)
		history_sort_bookings(history->bookings, history->nbookings);
	for (int i = 0; i < history->nseries; i++)
		history_sort_entries(history->series[i].entries, history->series[i].n);
}
