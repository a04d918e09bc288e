/*
 * Names of what touches are of: each process numbers the channels and
 * campaigns that it meets, the leader those of all.
 */
#include "attribution/paths.h"

#include "core/hash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Slots of the smallest table, as a power of 2. */
#define NAMES_BITS 6

/* Most names: the table has 32-bit numbers and is at most half full. */
#define NAMES_MAX (UINT32_C(1) << 30)

struct PathsNames
{
	MemoryContext context;
	uint32 n;
	uint32 room;
	int bits;
	uint32 *slots;  /* number + 1, or 0 */
	uint32 *hashes; /* by number */
	PathLabel *labels;
};

/* What a worker publishes: this, then for each name its head and texts. */
typedef struct NamesPublished
{
	uint32 n;
} NamesPublished;

typedef struct NameHead
{
	int32 channel_length;
	int32 campaign_length; /* -1: none */
} NameHead;

#define ST_SORT rank_sort
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const PathLabel
#define ST_COMPARE(a, b, labels) path_label_cmp(&labels[*(a)], &labels[*(b)])
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Allocates in the memory of the names. */
static void *
names_allocate(const PathsNames *names, Size n, Size size)
{
	return MemoryContextAllocExtended(names->context, mul_size(n, size),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Begins without names, in the current memory context. */
PathsNames *
paths_names_create(void)
{
	PathsNames *names = palloc0(sizeof(PathsNames));

	names->context = CurrentMemoryContext;
	names->bits = NAMES_BITS;
	names->room = 1 << (NAMES_BITS - 1);
	names->slots = names_allocate(names, 2 * names->room, sizeof(uint32));
	names->hashes = names_allocate(names, names->room, sizeof(uint32));
	names->labels = names_allocate(names, names->room, sizeof(PathLabel));
	return names;
}

/* Returns a number that equal names share. */
static inline uint32
name_hash(const PathLabel *label)
{
	uint64 hash =
		core_hash_bytes(core_salt(), label->channel, label->channel_length);

	if (label->campaign != NULL)
		hash =
			core_hash_bytes(hash | 1, label->campaign, label->campaign_length);
	return (uint32) (hash >> 32);
}

/* Are two names the same? */
static inline bool
name_equal(const PathLabel *a, const PathLabel *b)
{
	return a->channel_length == b->channel_length &&
		   (a->campaign == NULL) == (b->campaign == NULL) &&
		   a->campaign_length == b->campaign_length &&
		   memcmp(a->channel, b->channel, a->channel_length) == 0 &&
		   (a->campaign == NULL ||
			memcmp(a->campaign, b->campaign, a->campaign_length) == 0);
}

/* Makes a larger array of what another begins with. */
static void *
names_enlarge(const PathsNames *names, void *old, Size size)
{
	void *larger = names_allocate(names, 2 * (Size) names->room, size);

	memcpy(larger, old, names->room * size);
	pfree(old);
	return larger;
}

/* Doubles the room. */
static void
names_grow(PathsNames *names)
{
	uint32 mask;

	if (names->room >= NAMES_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("there are too many channels and campaigns")));
	names->hashes = names_enlarge(names, names->hashes, sizeof(uint32));
	names->labels = names_enlarge(names, names->labels, sizeof(PathLabel));
	names->room *= 2;
	names->bits++;
	pfree(names->slots);
	names->slots =
		names_allocate(names, (Size) 1 << names->bits, sizeof(uint32));
	mask = (uint32) ((UINT64CONST(1) << names->bits) - 1);
	for (uint32 i = 0; i < names->n; i++)
	{
		uint32 slot = names->hashes[i] & mask;

		while (names->slots[slot] != 0)
			slot = (slot + 1) & mask;
		names->slots[slot] = i + 1;
	}
}

/* Keeps a name that is not there yet and returns its number. */
static uint32
names_add(PathsNames *names, const PathLabel *label, uint32 hash)
{
	PathLabel *kept = &names->labels[names->n];
	char *texts;

	path_check_name("channel", label->channel, label->channel_length);
	if (label->campaign != NULL)
		path_check_name("campaign", label->campaign, label->campaign_length);
	texts = MemoryContextAlloc(names->context,
							   label->channel_length + label->campaign_length);
	memcpy(texts, label->channel, label->channel_length);
	*kept = *label;
	kept->channel = texts;
	if (label->campaign != NULL)
	{
		kept->campaign = texts + label->channel_length;
		memcpy(texts + label->channel_length, label->campaign,
			   label->campaign_length);
	}
	names->hashes[names->n] = hash;
	return names->n++;
}

/* Returns the number of a name, which is new if nobody had it. */
uint32
paths_names_put(PathsNames *names, const PathLabel *label)
{
	uint32 hash = name_hash(label);
	uint32 mask = (uint32) ((UINT64CONST(1) << names->bits) - 1);
	uint32 slot = hash & mask;

	for (; names->slots[slot] != 0; slot = (slot + 1) & mask)
	{
		uint32 number = names->slots[slot] - 1;

		if (names->hashes[number] == hash &&
			name_equal(&names->labels[number], label))
			return number;
	}
	if (names->n == names->room)
	{
		names_grow(names);
		return paths_names_put(names, label);
	}
	names->slots[slot] = names->n + 1;
	return names_add(names, label, hash);
}

/* Worker: writes the names, in the order of their numbers. */
dsa_pointer
paths_names_publish(const PathsNames *names, dsa_area *area)
{
	Size size = sizeof(NamesPublished);
	dsa_pointer pointer;
	char *to;

	for (uint32 i = 0; i < names->n; i++)
		size += sizeof(NameHead) + names->labels[i].channel_length +
				names->labels[i].campaign_length;
	pointer = dsa_allocate_extended(area, size, DSA_ALLOC_HUGE);
	to = dsa_get_address(area, pointer);
	((NamesPublished *) to)->n = names->n;
	to += sizeof(NamesPublished);
	for (uint32 i = 0; i < names->n; i++)
	{
		const PathLabel *label = &names->labels[i];
		NameHead head = {.channel_length = label->channel_length,
						 .campaign_length = label->campaign == NULL
												? -1
												: label->campaign_length};

		memcpy(to, &head, sizeof(head));
		to += sizeof(head);
		memcpy(to, label->channel, label->channel_length);
		to += label->channel_length;
		if (label->campaign != NULL)
			memcpy(to, label->campaign, label->campaign_length);
		to += label->campaign_length;
	}
	return pointer;
}

/* Leader: takes a worker's names; returns the numbers that they have here. */
uint32 *
paths_names_adopt(PathsNames *names, dsa_area *area, dsa_pointer pointer)
{
	const char *at = dsa_get_address(area, pointer);
	uint32 n = ((const NamesPublished *) at)->n;
	uint32 *numbers = names_allocate(names, Max(n, 1), sizeof(uint32));

	at += sizeof(NamesPublished);
	for (uint32 i = 0; i < n; i++)
	{
		PathLabel label = {0};
		NameHead head;

		CHECK_FOR_INTERRUPTS();
		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		label.channel = at;
		label.channel_length = head.channel_length;
		at += head.channel_length;
		if (head.campaign_length >= 0)
		{
			label.campaign = at;
			label.campaign_length = head.campaign_length;
			at += head.campaign_length;
		}
		numbers[i] = paths_names_put(names, &label);
	}
	dsa_free(area, pointer);
	return numbers;
}

/*
 * Returns the names in their order, and for each number the place of its
 * name among them. No name can be added after this.
 */
const PathLabel *
paths_names_sort(PathsNames *names, uint32 *nlabels, uint32 **ranks)
{
	uint32 n = names->n;
	uint32 *order = names_allocate(names, Max(n, 1), sizeof(uint32));
	PathLabel *sorted = names_allocate(names, Max(n, 1), sizeof(PathLabel));

	for (uint32 i = 0; i < n; i++)
		order[i] = i;
	rank_sort(order, n, names->labels);
	*ranks = names_allocate(names, Max(n, 1), sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
	{
		sorted[i] = names->labels[order[i]];
		(*ranks)[order[i]] = i;
	}
	pfree(order);
	*nlabels = n;
	return sorted;
}
