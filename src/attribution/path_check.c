/* What a touch_path may hold: checks of its parts, and of its bytes. */
#include "attribution/path_build.h"

#include <math.h>

#include "core/wire.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Times from 1000-01-01 and before 3000-01-01, as microseconds. */
#define PATH_TIME_MIN                                                         \
	((INT64CONST(2086303) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define PATH_TIME_END                                                         \
	((INT64CONST(2816788) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* Names of the stages, by number. */
static const char *const stage_names[] = {NULL, "lead", "opportunity"};

/* Raises the error for a path that is too large. */
void
path_fail_size(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("touch_path has too many touches"),
					errdetail("It holds %d touches, and less than 1 GB.",
							  PATH_TOUCH_MAX),
					errhint("Take those of a window of time only.")));
}

/* Raises an error for a name that is empty or too long. */
void
path_check_name(const char *what, const char *name, int length)
{
	if (length > 0 && length <= PATH_NAME_MAX)
		return;
	if (length == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a %s must not be empty", what)));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("a %s is too long", what),
			 errdetail("It has %d bytes and begins with \"%.*s\"; at most "
					   "%d are allowed.",
					   length, pg_mbcliplen(name, length, 40), name,
					   PATH_NAME_MAX)));
}

/* Raises an error for a time outside the years 1000 to 2999. */
void
path_check_time(TimestampTz at)
{
	if (at >= PATH_TIME_MIN && at < PATH_TIME_END)
		return;
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("time of a touch out of range: \"%s\"",
						   timestamptz_to_str(at)),
					errhint("Give a time of the years 1000 to 2999.")));
}

/* Raises an error for a weight that is no finite number from 0 on. */
void
path_check_weight(double weight)
{
	if (weight >= 0.0 && !isinf(weight))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the weight of a touch must be finite and not "
						   "below 0, not \"%.15g\"",
						   weight)));
}

/* Returns the stage of a name, or raises an error. */
PathStage
path_stage(const char *name, int length)
{
	for (int i = PATH_STAGE_LEAD; i <= PATH_STAGE_OPPORTUNITY; i++)
		if (strlen(stage_names[i]) == length &&
			memcmp(stage_names[i], name, length) == 0)
			return (PathStage) i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%.*s\" is not a stage of a touch",
						   pg_mbcliplen(name, length, 40), name),
					errhint("Give lead, opportunity or NULL.")));
}

/* Returns the name of a stage, NULL for none. */
const char *
path_stage_name(PathStage stage)
{
	return stage_names[stage];
}

/* Reads a text of at most PATH_NAME_MAX bytes that is valid. */
static bool
check_text(const unsigned char **at, const unsigned char *end, uint64 length)
{
	const char *text = (const char *) *at;

	if (length == 0 || length > PATH_NAME_MAX || length > end - *at ||
		memchr(text, '\0', length) != NULL ||
		!pg_verify_mbstr(GetDatabaseEncoding(), text, (int) length, true))
		return false;
	*at += length;
	return true;
}

/* Reads a label. */
static bool
check_label(const unsigned char **at, const unsigned char *end, int flags,
			PathLabel *label)
{
	uint64 length;

	if (!core_wire_read(at, end, &length))
		return false;
	label->channel = (const char *) *at;
	label->channel_length = (int) length;
	if (!check_text(at, end, length))
		return false;
	label->campaign = NULL;
	label->campaign_length = 0;
	if ((flags & PATH_CAMPAIGNS) == 0)
		return true;
	if (!core_wire_read(at, end, &length))
		return false;
	if (length == 0)
		return true;
	label->campaign = (const char *) *at;
	label->campaign_length = (int) (length - 1);
	return check_text(at, end, length - 1);
}

/* Reads the labels, which must ascend. */
static const char *
check_labels(const unsigned char **at, const unsigned char *end, int flags,
			 uint64 nlabels)
{
	PathLabel last = {0};
	bool campaigns = false;

	for (uint64 i = 0; i < nlabels; i++)
	{
		PathLabel label;

		CHECK_FOR_INTERRUPTS();
		if (!check_label(at, end, flags, &label))
			return "a name is not valid";
		if (i > 0 && path_label_cmp(&last, &label) >= 0)
			return "channels are not in order";
		campaigns |= label.campaign != NULL;
		last = label;
	}
	if (campaigns != ((flags & PATH_CAMPAIGNS) != 0))
		return "there are no campaigns";
	return NULL;
}

/* What was seen of the touches of a path that is checked. */
typedef struct PathSeen
{
	int unit; /* largest that fits */
	int flags;
	uint64 used; /* labels */
	bool *labels;
} PathSeen;

/* Reads the time of a touch that is not the first. */
static bool
check_time(const unsigned char **at, const unsigned char *end, int64 unit,
		   PathTouch *touch, PathSeen *seen)
{
	uint64 units;

	if (!core_wire_read(at, end, &units) ||
		units > (uint64) (PATH_TIME_END - PATH_TIME_MIN) / unit)
		return false;
	touch->at += (int64) units * unit;
	while ((int64) units * unit % path_units[seen->unit] != 0)
		seen->unit--;
	return touch->at < PATH_TIME_END;
}

/* Reads a touch after the one before it. */
static const char *
check_touch(const unsigned char **at, const unsigned char *end, int head,
			uint64 nlabels, PathTouch *touch, PathSeen *seen)
{
	uint64 number;

	if (!core_wire_read(at, end, &number) || number >= nlabels)
		return "a touch has no channel";
	touch->label = (uint32) number;
	seen->used += !seen->labels[number];
	seen->labels[number] = true;
	if ((head & PATH_TIMED) &&
		!check_time(at, end, path_units[head >> PATH_UNIT_SHIFT], touch, seen))
		return "a time is not valid";
	touch->stage = PATH_STAGE_NONE;
	if (head & PATH_STAGES)
	{
		if (*at == end || **at > PATH_STAGE_OPPORTUNITY)
			return "a stage is not valid";
		touch->stage = (PathStage) * (*at)++;
		if (touch->stage != PATH_STAGE_NONE)
			seen->flags |= PATH_STAGES;
	}
	touch->weight = 1.0;
	if (head & PATH_WEIGHTS)
	{
		uint64 word;

		if (end - *at < sizeof(uint64))
			return "a weight is missing";
		word = core_wire_get_word(at);
		memcpy(&touch->weight, &word, sizeof(word));
		if (!(touch->weight >= 0.0) || isinf(touch->weight) ||
			signbit(touch->weight))
			return "a weight is not valid";
		if (touch->weight != 1.0)
			seen->flags |= PATH_WEIGHTS;
	}
	return NULL;
}

/* Do two touches stand in order? */
static bool
check_order(const PathTouch *a, const PathTouch *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	if (a->label != b->label)
		return a->label < b->label;
	if (a->stage != b->stage)
		return a->stage < b->stage;
	return a->weight <= b->weight;
}

/* Reads the touches. */
static const char *
check_touches(const unsigned char *at, const unsigned char *end, int head,
			  uint64 ntouches, uint64 nlabels, PathSeen *seen)
{
	PathTouch last = {0};
	const char *wrong;

	if (head & PATH_TIMED)
	{
		if (end - at < sizeof(int64))
			return "the first time is missing";
		last.at = (TimestampTz) core_wire_get_word(&at);
		if (last.at < PATH_TIME_MIN || last.at >= PATH_TIME_END)
			return "the first time is not valid";
	}
	for (uint64 i = 0; i < ntouches; i++)
	{
		PathTouch touch = last;
		TimestampTz first = last.at;

		CHECK_FOR_INTERRUPTS();
		wrong = check_touch(&at, end, head, nlabels, &touch, seen);
		if (wrong != NULL)
			return wrong;
		if (i == 0 && touch.at != first)
			return "the first step of time is not 0";
		if (i > 0 && (head & PATH_TIMED) && !check_order(&last, &touch))
			return "touches are not in order";
		last = touch;
	}
	if (at != end)
		return "there are bytes behind it";
	if (seen->used != nlabels ||
		seen->flags != (head & (PATH_STAGES | PATH_WEIGHTS)))
		return "it is not in its shortest form";
	if ((head & PATH_TIMED) && seen->unit != head >> PATH_UNIT_SHIFT)
		return "the unit of time is not the largest";
	return NULL;
}

/* Returns NULL when the bytes are a flat path, else what is wrong. */
const char *
path_invalid(const struct varlena *path)
{
	const unsigned char *at = (const unsigned char *) VARDATA_ANY(path);
	const unsigned char *end = at + VARSIZE_ANY_EXHDR(path);
	PathSeen seen = {.unit = PATH_UNITS - 1};
	uint64 ntouches;
	uint64 nlabels;
	int head;
	const char *wrong;

	if (end - at < 4 || at[0] != PATH_VERSION)
		return "its version is not known";
	head = at[1];
	at += 2;
	if (head >> PATH_UNIT_SHIFT >= PATH_UNITS ||
		(head & ~PATH_FLAGS & ((1 << PATH_UNIT_SHIFT) - 1)) != 0 ||
		((head & PATH_TIMED) == 0 && head >> PATH_UNIT_SHIFT != 0))
		return "its flags are not valid";
	if (!core_wire_read(&at, end, &ntouches) || ntouches > PATH_TOUCH_MAX ||
		ntouches > end - at || !core_wire_read(&at, end, &nlabels) ||
		nlabels > ntouches || (ntouches == 0 && head != 0))
		return "its counts are not valid";
	wrong = check_labels(&at, end, head, nlabels);
	if (wrong != NULL)
		return wrong;
	seen.labels = palloc0_array(bool, Max(nlabels, 1));
	wrong = check_touches(at, end, head, ntouches, nlabels, &seen);
	pfree(seen.labels);
	return wrong;
}
