/* The flat form of touch_path, see path.h: reading and making it. */
#include "attribution/path.h"

#include "attribution/path_build.h"
#include "core/wire.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Units of time in microseconds, by the number that is stored. */
const int64 path_units[PATH_UNITS] = {
	1, 1000, USECS_PER_SEC, USECS_PER_MINUTE, USECS_PER_HOUR, USECS_PER_DAY};

/* Labels that are numbered without allocating. */
#define PATH_FEW 32

/* Compares touches by everything that they are, the time first. */
static inline int
touch_cmp(const PathTouch *a, const PathTouch *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->label != b->label)
		return a->label < b->label ? -1 : 1;
	if (a->stage != b->stage)
		return a->stage < b->stage ? -1 : 1;
	return a->weight < b->weight ? -1 : a->weight > b->weight;
}

#define ST_SORT touch_sort
#define ST_ELEMENT_TYPE PathTouch
#define ST_COMPARE(a, b) touch_cmp(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

#define ST_SORT label_sort
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const PathLabel
#define ST_COMPARE(a, b, labels) path_label_cmp(&labels[*(a)], &labels[*(b)])
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Compares texts byte by byte; NULL comes first. */
static inline int
name_cmp(const char *a, int a_length, const char *b, int b_length)
{
	int result;

	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	result = memcmp(a, b, Min(a_length, b_length));
	return result != 0 ? result : a_length - b_length;
}

/* Compares labels by channel, then campaign; none comes first. */
int
path_label_cmp(const PathLabel *a, const PathLabel *b)
{
	int result =
		name_cmp(a->channel, a->channel_length, b->channel, b->channel_length);

	return result != 0 ? result
					   : name_cmp(a->campaign, a->campaign_length, b->campaign,
								  b->campaign_length);
}

/* Returns a flat value, made of that of an aggregate if need be. */
struct varlena *
path_flat(Datum datum)
{
	struct varlena *path = PG_DETOAST_DATUM_PACKED(datum);

	if (path_is_build(path))
		return path_build_finish(path);
	return path;
}

/* Reads the labels at the cursor. */
static void
read_labels(PathReader *reader, PathLabel *labels)
{
	const unsigned char *at = reader->cursor;

	for (uint32 i = 0; i < reader->nlabels; i++)
	{
		PathLabel *label = &labels[i];

		label->channel_length = (int) core_wire_get(&at);
		label->channel = (const char *) at;
		at += label->channel_length;
		label->campaign = NULL;
		label->campaign_length = 0;
		if (reader->flags & PATH_CAMPAIGNS)
		{
			uint64 length = core_wire_get(&at);

			if (length > 0)
			{
				label->campaign = (const char *) at;
				label->campaign_length = (int) length - 1;
				at += length - 1;
			}
		}
	}
	reader->labels = labels;
	reader->cursor = at;
}

/* Begins to read a flat value, which must stay; reads the labels. */
void
path_read(PathReader *reader, const struct varlena *path)
{
	const unsigned char *at = (const unsigned char *) VARDATA_ANY(path);

	Assert(at[0] == PATH_VERSION);
	reader->flags = at[1] & PATH_FLAGS;
	reader->timed = (reader->flags & PATH_TIMED) != 0;
	reader->unit = path_units[at[1] >> PATH_UNIT_SHIFT];
	reader->cursor = at + 2;
	reader->ntouches = (uint32) core_wire_get(&reader->cursor);
	reader->nlabels = (uint32) core_wire_get(&reader->cursor);
	read_labels(reader, reader->nlabels <= PATH_READER_LABELS
							? reader->few
							: palloc_array(PathLabel, reader->nlabels));
	reader->next = 0;
	reader->at = 0;
	if (reader->timed)
		reader->at = (TimestampTz) core_wire_get_word(&reader->cursor);
}

/* Reads the next touch; false after the last. */
bool
path_next(PathReader *reader, PathTouch *touch)
{
	if (reader->next == reader->ntouches)
		return false;
	reader->next++;
	touch->label = (uint32) core_wire_get(&reader->cursor);
	if (reader->timed)
		reader->at += (int64) core_wire_get(&reader->cursor) * reader->unit;
	touch->at = reader->at;
	touch->stage = PATH_STAGE_NONE;
	if (reader->flags & PATH_STAGES)
		touch->stage = *reader->cursor++;
	touch->weight = 1.0;
	if (reader->flags & PATH_WEIGHTS)
	{
		uint64 word = core_wire_get_word(&reader->cursor);

		memcpy(&touch->weight, &word, sizeof(word));
	}
	return true;
}

/* Frees what path_read() allocated for many labels. */
void
path_read_end(PathReader *reader)
{
	if (reader->labels != reader->few)
		pfree(unconstify(PathLabel *, reader->labels));
}

/*
 * Numbers the labels that touches have, in their order, equal ones alike:
 * sorted gets those that are stored, codes the number of each. Returns how
 * many are stored.
 */
static uint32
number_labels(const PathLabel *labels, uint32 nlabels,
			  const PathTouch *touches, uint32 ntouches, uint32 *sorted,
			  uint32 *codes)
{
	uint32 n = 0;
	uint32 stored = 0;

	memset(codes, 0, nlabels * sizeof(uint32));
	for (uint32 i = 0; i < ntouches; i++)
		codes[touches[i].label] = 1;
	for (uint32 i = 0; i < nlabels; i++)
		if (codes[i] != 0)
			sorted[n++] = i;
	label_sort(sorted, n, labels);
	for (uint32 i = 0; i < n; i++)
	{
		uint32 label = sorted[i];

		if (i == 0 ||
			path_label_cmp(&labels[sorted[stored - 1]], &labels[label]) != 0)
			sorted[stored++] = label;
		codes[label] = stored - 1;
	}
	return stored;
}

/* Puts touches in order, which they mostly are in already. */
static void
order_touches(PathTouch *touches, uint32 n)
{
	uint32 i = 1;

	while (i < n && touch_cmp(&touches[i - 1], &touches[i]) <= 0)
		i++;
	if (i >= n)
		return;
	touch_sort(touches, n);
}

/* Returns the number of the largest unit that all steps of time have. */
static int
fit_unit(const PathTouch *touches, uint32 n)
{
	int unit = PATH_UNITS - 1;

	for (uint32 i = 1; i < n && unit > 0; i++)
		while ((touches[i].at - touches[i - 1].at) % path_units[unit] != 0)
			unit--;
	return unit;
}

/* Returns the flags of a path. */
static int
path_form(const PathLabel *labels, const uint32 *sorted, uint32 nlabels,
		  const PathTouch *touches, uint32 ntouches, bool timed)
{
	int flags = 0;

	if (timed && ntouches > 0)
		flags = PATH_TIMED | fit_unit(touches, ntouches) << PATH_UNIT_SHIFT;
	for (uint32 i = 0; i < nlabels; i++)
		if (labels[sorted[i]].campaign != NULL)
			flags |= PATH_CAMPAIGNS;
	for (uint32 i = 0; i < ntouches; i++)
	{
		if (touches[i].stage != PATH_STAGE_NONE)
			flags |= PATH_STAGES;
		if (touches[i].weight != 1.0)
			flags |= PATH_WEIGHTS;
	}
	return flags;
}

/* Returns how many bytes a path takes at most. */
static Size
path_bound(const PathLabel *labels, const uint32 *sorted, uint32 nlabels,
		   uint32 ntouches, int flags)
{
	Size touch = CORE_WIRE_MAX / 2;
	Size size = VARHDRSZ + 2 + CORE_WIRE_MAX + sizeof(int64);

	for (uint32 i = 0; i < nlabels; i++)
		size = add_size(size, labels[sorted[i]].channel_length +
								  labels[sorted[i]].campaign_length +
								  CORE_WIRE_MAX);
	if (flags & PATH_TIMED)
		touch += CORE_WIRE_MAX;
	if (flags & PATH_STAGES)
		touch++;
	if (flags & PATH_WEIGHTS)
		touch += sizeof(float8);
	return add_size(size, mul_size(ntouches, touch));
}

/* Writes a label. */
static unsigned char *
write_label(unsigned char *to, const PathLabel *label, int flags)
{
	to = core_wire_put(to, label->channel_length);
	memcpy(to, label->channel, label->channel_length);
	to += label->channel_length;
	if ((flags & PATH_CAMPAIGNS) == 0)
		return to;
	if (label->campaign == NULL)
		return core_wire_put(to, 0);
	to = core_wire_put(to, (uint64) label->campaign_length + 1);
	memcpy(to, label->campaign, label->campaign_length);
	return to + label->campaign_length;
}

/* Writes the touches. */
static unsigned char *
write_touches(unsigned char *to, const PathTouch *touches, uint32 n, int flags)
{
	int64 unit = path_units[flags >> PATH_UNIT_SHIFT];

	if (flags & PATH_TIMED)
		to = core_wire_put_word(to, (uint64) touches[0].at);
	for (uint32 i = 0; i < n; i++)
	{
		to = core_wire_put(to, touches[i].label);
		if (flags & PATH_TIMED)
			to = core_wire_put(
				to, i == 0 ? 0 : (touches[i].at - touches[i - 1].at) / unit);
		if (flags & PATH_STAGES)
			*to++ = (unsigned char) touches[i].stage;
		if (flags & PATH_WEIGHTS)
		{
			uint64 word;

			memcpy(&word, &touches[i].weight, sizeof(word));
			to = core_wire_put_word(to, word);
		}
	}
	return to;
}

/* Makes a flat value of touches whose labels have room to be numbered in. */
static struct varlena *
make_numbered(const PathLabel *labels, uint32 nlabels, PathTouch *touches,
			  uint32 ntouches, bool timed, uint32 *sorted, uint32 *codes)
{
	uint32 stored =
		number_labels(labels, nlabels, touches, ntouches, sorted, codes);
	struct varlena *path;
	unsigned char *to;
	Size size;
	int flags;

	for (uint32 i = 0; i < ntouches; i++)
		touches[i].label = codes[touches[i].label];
	if (timed)
		order_touches(touches, ntouches);
	flags = path_form(labels, sorted, stored, touches, ntouches, timed);
	size = path_bound(labels, sorted, stored, ntouches, flags);
	if (size > MaxAllocSize)
		path_fail_size();
	path = palloc(size);
	to = (unsigned char *) VARDATA(path);
	*to++ = PATH_VERSION;
	*to++ = (unsigned char) flags;
	to = core_wire_put(to, ntouches);
	to = core_wire_put(to, stored);
	for (uint32 i = 0; i < stored; i++)
		to = write_label(to, &labels[sorted[i]], flags);
	to = write_touches(to, touches, ntouches, flags);
	Assert(to <= (unsigned char *) path + size);
	SET_VARSIZE(path, to - (unsigned char *) path);
	Assert(path_invalid(path) == NULL);
	return path;
}

/*
 * Makes a flat value of touches, which are sorted in place when timed. Labels
 * may repeat and come in any order.
 */
struct varlena *
path_make(const PathLabel *labels, uint32 nlabels, PathTouch *touches,
		  uint32 ntouches, bool timed)
{
	uint32 few[2][PATH_FEW];
	uint32 *many;
	struct varlena *path;

	if (ntouches > PATH_TOUCH_MAX)
		path_fail_size();
	if (nlabels <= PATH_FEW)
		return make_numbered(labels, nlabels, touches, ntouches, timed, few[0],
							 few[1]);
	many = palloc_array(uint32, mul_size(nlabels, 2));
	path = make_numbered(labels, nlabels, touches, ntouches, timed, many,
						 many + nlabels);
	pfree(many);
	return path;
}
