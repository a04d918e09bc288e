/* Checks bytes of unclear origin that should be a path_set. */
#include "attribution/path_set.h"

#include "attribution/path.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* Where the check is, and what it found so far. */
typedef struct SetChecker
{
	const unsigned char *at;
	const unsigned char *end;
	uint64 nchannels;
	int decimals;
	bool *used;
	uint64 nused;
	bool exact; /* some value needs all decimals */
	int64 total;
	const unsigned char *before; /* touches of the path before */
	const unsigned char *before_end;
} SetChecker;

/* Checks the names of the channels. */
static const char *
flaw_names(SetChecker *checker)
{
	const unsigned char *before = NULL;
	uint64 before_length = 0;

	for (uint64 i = 0; i < checker->nchannels; i++)
	{
		const char *name;
		uint64 length;
		int order;

		CHECK_FOR_INTERRUPTS();
		if (!core_wire_read(&checker->at, checker->end, &length) ||
			length == 0 || length > PATH_NAME_MAX ||
			length > checker->end - checker->at)
			return "The length of a name is out of range.";
		name = (const char *) checker->at;
		if (memchr(name, '\0', length) != NULL ||
			!pg_verifymbstr(name, (int) length, true))
			return "A name is not valid in the encoding of the database.";
		order = before == NULL
					? -1
					: memcmp(before, name, Min(before_length, length));
		if (order > 0 || (order == 0 && before_length >= length))
			return "The names are out of order.";
		before = checker->at;
		before_length = length;
		checker->at += length;
	}
	return NULL;
}

/* Checks the touches of a path, and that it comes after the one before. */
static const char *
flaw_touches(SetChecker *checker, uint64 size)
{
	const unsigned char *first = checker->at;
	const unsigned char *end = first + size;
	const unsigned char *before = checker->before;
	bool after = before == NULL;

	while (checker->at < end)
	{
		uint64 channel;

		if (!core_wire_read(&checker->at, end, &channel) ||
			channel >= checker->nchannels)
			return "A channel is out of range.";
		checker->nused += !checker->used[channel];
		checker->used[channel] = true;
		if (!after && before < checker->before_end)
		{
			uint32 other = path_set_touch(&before);

			if (channel < other)
				return "The paths are out of order.";
			after = channel > other;
		}
		else
			after = true;
	}
	if (!after)
		return "The paths are out of order.";
	checker->before = first;
	checker->before_end = end;
	return NULL;
}

/* Checks what a path counts. */
static const char *
flaw_counts(SetChecker *checker)
{
	uint64 conversions;
	uint64 nulls;
	uint128 folded;
	int128 limit = 1;

	if (!core_wire_read(&checker->at, checker->end, &conversions) ||
		!core_wire_read(&checker->at, checker->end, &nulls) ||
		conversions > PG_INT64_MAX || nulls > PG_INT64_MAX ||
		pg_add_s64_overflow(checker->total, conversions, &checker->total) ||
		pg_add_s64_overflow(checker->total, nulls, &checker->total))
		return "A count is out of range.";
	for (int i = 0; i < PATH_SET_VALUE_DIGITS + checker->decimals; i++)
		limit *= 10;
	if (!core_wire_read_wide(&checker->at, checker->end, &folded) ||
		path_set_unfold(folded) >= limit || path_set_unfold(folded) <= -limit)
		return "A value is out of range.";
	if (conversions == 0 && nulls == 0 && folded == 0)
		return "A path counts nothing.";
	if (path_set_unfold(folded) % 10 != 0)
		checker->exact = true;
	return NULL;
}

/* Checks the paths. */
static const char *
flaw_paths(SetChecker *checker)
{
	uint64 npaths;

	if (!core_wire_read(&checker->at, checker->end, &npaths) ||
		npaths > checker->end - checker->at)
		return "There are fewer bytes than paths need.";
	for (uint64 i = 0; i < npaths; i++)
	{
		uint64 size;
		const char *flaw;

		CHECK_FOR_INTERRUPTS();
		if (!core_wire_read(&checker->at, checker->end, &size) ||
			size > checker->end - checker->at)
			return "A path goes beyond the end.";
		flaw = flaw_touches(checker, size);
		if (flaw == NULL)
			flaw = flaw_counts(checker);
		if (flaw != NULL)
			return flaw;
	}
	return NULL;
}

/* Returns what is wrong with the bytes of a set, or NULL. */
const char *
path_set_flaw(const struct varlena *set)
{
	SetChecker checker = {.at = (const unsigned char *) VARDATA_ANY(set)};
	const char *flaw;

	checker.end = checker.at + VARSIZE_ANY_EXHDR(set);
	if (checker.end - checker.at < 2)
		return "It is too short.";
	if (*checker.at++ != PATH_SET_VERSION)
		return "Its version is not 1.";
	checker.decimals = *checker.at++;
	if (checker.decimals > PATH_SET_SCALE)
		return "It has too many decimals.";
	if (!core_wire_read(&checker.at, checker.end, &checker.nchannels) ||
		checker.nchannels > checker.end - checker.at)
		return "There are fewer bytes than channels need.";
	flaw = flaw_names(&checker);
	if (flaw != NULL)
		return flaw;
	checker.used = palloc0(checker.nchannels + 1);
	flaw = flaw_paths(&checker);
	if (flaw != NULL)
		return flaw;
	if (checker.at != checker.end)
		return "There are bytes after its end.";
	if (checker.nused != checker.nchannels)
		return "A channel is in no path.";
	return checker.exact || checker.decimals == 0
			   ? NULL
			   : "It has more decimals than its values need.";
}
