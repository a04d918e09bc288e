/*
 * Set algebra on audiences: both directories are walked side by side, and
 * each pair of containers of a chunk is combined. Runs are combined as an
 * array when they have few members, else as bits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "segment/audience_layout.h"

/* An array this many times smaller is looked up value by value. */
#define SEARCH_RATIO 32

/* From this many values in both on, one array is marked in bits. */
#define MARKS_FROM 64

/* A container, of which runs are written out. */
typedef struct View
{
	bool bits;
	uint32 members;
	const uint16 *values;
	const uint64 *words;
} View;

/* Room for a view. */
typedef union ViewRoom
{
	uint16 values[AUDIENCE_ARRAY_MAX];
	uint64 words[AUDIENCE_WORDS];
} ViewRoom;

/* One step through two directories. */
typedef struct Step
{
	const Audience *a;
	const Audience *b;
	uint32 i; /* next entries */
	uint32 k;
	const AudienceEntry *of_a; /* of this step, or NULL */
	const AudienceEntry *of_b;
} Step;

/* Goes to the next chunk that has a container in a or b. */
static inline bool
step_next(Step *step)
{
	const AudienceEntry *a = &step->a->entries[step->i];
	const AudienceEntry *b = &step->b->entries[step->k];
	bool has_a = step->i < step->a->nentries;
	bool has_b = step->k < step->b->nentries;

	if (!has_a && !has_b)
		return false;
	if (has_a && has_b)
	{
		has_a = audience_key(a) <= audience_key(b);
		has_b = audience_key(b) <= audience_key(a);
	}
	step->of_a = has_a ? a : NULL;
	step->of_b = has_b ? b : NULL;
	step->i += has_a;
	step->k += has_b;
	return true;
}

/* Returns whether a container holds all ids of its chunk. */
static inline bool
is_full(const AudienceEntry *entry)
{
	return audience_members(entry) == AUDIENCE_CHUNK;
}

/* Views a container as an array or as bits. */
static View
view_container(const Audience *audience, const AudienceEntry *entry,
			   ViewRoom *room)
{
	const void *data = audience_data(audience, entry);
	const AudienceRun *runs = data;
	View view = {.members = audience_members(entry)};
	uint32 n = 0;

	view.bits = view.members > AUDIENCE_ARRAY_MAX;
	if (entry->kind == AUDIENCE_RUNS)
	{
		if (view.bits)
		{
			memset(room->words, 0, sizeof(room->words));
			audience_bits_add(room->words, runs, AUDIENCE_RUNS, entry->nruns);
		}
		else
			for (uint32 i = 0; i < entry->nruns; i++)
				for (uint32 k = 0; k <= runs[i].more; k++)
					room->values[n++] = (uint16) (runs[i].first + k);
		data = room;
	}
	view.values = data;
	view.words = data;
	return view;
}

/* Combines two arrays; none of the branches depends on their values. */
static pg_attribute_always_inline uint32
merge_body(const View *a, const View *b, uint16 *result, AudienceOp op)
{
	uint32 i = 0;
	uint32 k = 0;
	uint32 n = 0;

	while (i < a->members && k < b->members)
	{
		uint16 x = a->values[i];
		uint16 y = b->values[k];

		result[n] = Min(x, y);
		n += op == AUDIENCE_OR      ? 1
			 : op == AUDIENCE_AND   ? x == y
			 : op == AUDIENCE_MINUS ? x < y
									: x != y;
		i += x <= y;
		k += y <= x;
	}
	if (op == AUDIENCE_AND)
		return n;
	memcpy(&result[n], &a->values[i], (a->members - i) * sizeof(uint16));
	n += a->members - i;
	if (op == AUDIENCE_MINUS)
		return n;
	memcpy(&result[n], &b->values[k], (b->members - k) * sizeof(uint16));
	return n + b->members - k;
}

/* Combines two arrays into one. */
static uint32
merge_arrays(const View *a, const View *b, uint16 *result, AudienceOp op)
{
	switch (op)
	{
		case AUDIENCE_OR:
			return merge_body(a, b, result, AUDIENCE_OR);
		case AUDIENCE_AND:
			return merge_body(a, b, result, AUDIENCE_AND);
		case AUDIENCE_MINUS:
			return merge_body(a, b, result, AUDIENCE_MINUS);
		case AUDIENCE_XOR:
			return merge_body(a, b, result, AUDIENCE_XOR);
	}
	pg_unreachable();
}

/* Keeps the values of an array whose bit is set, or not set. */
static uint32
filter_array(const View *array, const uint64 *words, bool set, uint16 *result)
{
	uint32 n = 0;

	for (uint32 i = 0; i < array->members; i++)
	{
		uint16 value = array->values[i];

		result[n] = value;
		n += (words[value >> 6] >> (value & 63) & 1) == set;
	}
	return n;
}

/* Returns the words of a view, written to room when it is an array. */
static const uint64 *
view_words(const View *view, uint64 *room)
{
	if (view->bits)
		return view->words;
	memset(room, 0, AUDIENCE_BITS_SIZE);
	audience_bits_add(room, view->values, AUDIENCE_ARRAY, view->members);
	return room;
}

/* Returns whether a value is in an array. */
static bool
find_value(const View *array, uint16 value)
{
	uint32 low = 0;
	uint32 high = array->members;

	while (low < high)
	{
		uint32 middle = (low + high) / 2;

		if (array->values[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < array->members && array->values[low] == value;
}

/*
 * Keeps the values of an array that another has, or has not. Their numbers
 * decide how: by one look for each, by marks, or side by side.
 */
static uint32
filter_by_array(const View *array, const View *other, bool has, uint16 *result)
{
	ViewRoom marks;
	uint32 n = 0;

	if (array->members * SEARCH_RATIO < other->members)
	{
		for (uint32 i = 0; i < array->members; i++)
			if (find_value(other, array->values[i]) == has)
				result[n++] = array->values[i];
		return n;
	}
	if (array->members + other->members < MARKS_FROM)
		return merge_arrays(array, other, result,
							has ? AUDIENCE_AND : AUDIENCE_MINUS);
	return filter_array(array, view_words(other, marks.words), has, result);
}

/* Combines the two containers of a chunk. */
static void
combine_pair(AudienceWriter *writer, const Step *step, AudienceOp op)
{
	uint64 key = audience_key(step->of_a);
	ViewRoom room[3];
	ViewRoom words[2];
	View a = view_container(step->a, step->of_a, &room[0]);
	View b = view_container(step->b, step->of_b, &room[1]);
	ViewRoom *result = &room[2];
	bool shrinks = op == AUDIENCE_AND || op == AUDIENCE_MINUS;

	if (!a.bits && !b.bits && shrinks)
	{
		/* Of an intersection, look for the few among the many. */
		bool swap = op == AUDIENCE_AND && b.members < a.members;

		audience_write_array(writer, key, result->values,
							 filter_by_array(swap ? &b : &a, swap ? &a : &b,
											 op == AUDIENCE_AND,
											 result->values));
	}
	else if (!a.bits && !b.bits && a.members + b.members <= AUDIENCE_ARRAY_MAX)
		audience_write_array(writer, key, result->values,
							 merge_arrays(&a, &b, result->values, op));
	else if (!a.bits && shrinks)
		audience_write_array(
			writer, key, result->values,
			filter_array(&a, b.words, op == AUDIENCE_AND, result->values));
	else if (!b.bits && op == AUDIENCE_AND)
		audience_write_array(writer, key, result->values,
							 filter_array(&b, a.words, true, result->values));
	else
		audience_write_bits(writer, key, result->words,
							audience_kernels()->combine[op](
								result->words, view_words(&a, words[0].words),
								view_words(&b, words[1].words)));
}

/* Writes what comes of a chunk. */
static void
combine_step(AudienceWriter *writer, const Step *step, AudienceOp op)
{
	if (step->of_b == NULL)
	{
		if (op != AUDIENCE_AND)
			audience_write_entry(writer, step->a, step->of_a);
	}
	else if (step->of_a == NULL)
	{
		if (op == AUDIENCE_OR || op == AUDIENCE_XOR)
			audience_write_entry(writer, step->b, step->of_b);
	}
	else if (is_full(step->of_b) && op == AUDIENCE_AND)
		audience_write_entry(writer, step->a, step->of_a);
	else if (is_full(step->of_a) && (op == AUDIENCE_AND || op == AUDIENCE_OR))
		audience_write_entry(writer, op == AUDIENCE_OR ? step->a : step->b,
							 op == AUDIENCE_OR ? step->of_a : step->of_b);
	else if (is_full(step->of_b) && op != AUDIENCE_XOR)
	{
		if (op == AUDIENCE_OR)
			audience_write_entry(writer, step->b, step->of_b);
	}
	else
		combine_pair(writer, step, op);
}

/* Returns the most bytes that the data of a chunk can take. */
static Size
step_room(const Step *step, AudienceOp op)
{
	uint32 a = step->of_a == NULL ? 0 : audience_members(step->of_a);
	uint32 b = step->of_b == NULL ? 0 : audience_members(step->of_b);
	uint32 units = (a == 0 ? 0 : audience_units(step->of_a)) +
				   (b == 0 ? 0 : audience_units(step->of_b));
	Size members = op == AUDIENCE_AND     ? Min(a, b)
				   : op == AUDIENCE_MINUS ? a
										  : (Size) a + b;
	Size room = Min(members * sizeof(uint16), units * sizeof(AudienceRun));

	return TYPEALIGN(8, Min(room, AUDIENCE_BITS_SIZE));
}

/* Combines two audiences. */
Audience *
audience_combine(const Audience *a, const Audience *b, AudienceOp op)
{
	Step step = {.a = a, .b = b};
	AudienceWriter writer;
	Size entries = 0;
	Size room = 0;

	while (step_next(&step))
	{
		Size most = step_room(&step, op);

		entries += most > 0;
		room += most;
	}
	audience_write_begin(&writer, entries, room);
	step.i = step.k = 0;
	while (step_next(&step))
	{
		CHECK_FOR_INTERRUPTS();
		combine_step(&writer, &step, op);
	}
	return audience_write_end(&writer);
}

/* Counts the ids of an array whose bit is set. */
static uint32
count_filtered(const View *array, const uint64 *words)
{
	uint32 n = 0;

	for (uint32 i = 0; i < array->members; i++)
		n += words[array->values[i] >> 6] >> (array->values[i] & 63) & 1;
	return n;
}

/* Counts the ids that both arrays hold. */
static uint32
count_arrays(const View *a, const View *b)
{
	ViewRoom room;

	if (b->members < a->members)
		return count_arrays(b, a);
	if (a->members * SEARCH_RATIO < b->members ||
		a->members + b->members < MARKS_FROM)
		return filter_by_array(a, b, true, room.values);
	return count_filtered(a, view_words(b, room.words));
}

/* Counts the ids that both containers of a chunk hold. */
static uint32
overlap_pair(const Step *step)
{
	ViewRoom room[2];
	View a;
	View b;

	if (is_full(step->of_a))
		return audience_members(step->of_b);
	if (is_full(step->of_b))
		return audience_members(step->of_a);
	a = view_container(step->a, step->of_a, &room[0]);
	b = view_container(step->b, step->of_b, &room[1]);
	if (a.bits && b.bits)
		return audience_kernels()->count_and(a.words, b.words);
	if (a.bits)
		return count_filtered(&b, a.words);
	return b.bits ? count_filtered(&a, b.words) : count_arrays(&a, &b);
}

/* Counts the ids that are in both audiences. */
uint64
audience_overlap(const Audience *a, const Audience *b)
{
	Step step = {.a = a, .b = b};
	uint64 count = 0;

	while (step_next(&step))
	{
		CHECK_FOR_INTERRUPTS();
		if (step.of_a != NULL && step.of_b != NULL)
			count += overlap_pair(&step);
	}
	return count;
}

/* Returns the number of ids. */
uint64
audience_cardinality(const Audience *audience)
{
	return audience->cardinality;
}

/* Returns the ids that are in a or b. */
Audience *
audience_union(const Audience *a, const Audience *b)
{
	return audience_combine(a, b, AUDIENCE_OR);
}
