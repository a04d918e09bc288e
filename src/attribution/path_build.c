/*
 * touch_path_agg(): collects touches. Its value while it does is a varlena of
 * the size it has room for: labels grow from the head, touches from the end.
 * A path is sorted and made small once, by the final function.
 */
#include "attribution/path_build.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Size of a value with its first touch, a size that is not rounded up. */
#define BUILD_FIRST_SIZE 256

/* A label that is not among the first ones is stored again for each touch. */
#define BUILD_KNOWN_LABELS 16

/* A label; its texts follow, the channel first, and bytes up to a word. */
typedef struct BuildLabel
{
	uint16 channel_length;
	int16 campaign_length; /* -1: none */
} BuildLabel;

typedef struct BuildTouch
{
	TimestampTz at;
	double weight;
	uint32 label;
	uint32 stage;
} BuildTouch;

typedef struct PathBuild
{
	int32 vl_len_; /* varlena header, not to be touched directly */
	uint8 version; /* PATH_BUILDING */
	uint8 unused[3];
	uint32 ntouches;
	uint32 nlabels;
	uint32 label_bytes;
	uint32 zero;
	char data[FLEXIBLE_ARRAY_MEMBER];
} PathBuild;

#define BUILD_HEADER offsetof(PathBuild, data)

StaticAssertDecl(BUILD_HEADER % sizeof(int64) == 0 &&
					 BUILD_FIRST_SIZE % sizeof(int64) == 0,
				 "touches are aligned");

/* Returns touch number i, counted from the end. */
static inline BuildTouch *
build_touch(const PathBuild *build, uint32 i)
{
	return (BuildTouch *) ((char *) build + VARSIZE(build)) - 1 - i;
}

/* Returns how many bytes a label takes. */
static inline Size
build_label_size(const PathLabel *label)
{
	return TYPEALIGN(sizeof(uint32), sizeof(BuildLabel) +
										 label->channel_length +
										 label->campaign_length);
}

/* Reads the label at a place, and returns where the next one is. */
static inline const char *
build_read_label(const char *at, PathLabel *label)
{
	const BuildLabel *head = (const BuildLabel *) at;

	at += sizeof(BuildLabel);
	label->channel = at;
	label->channel_length = head->channel_length;
	label->campaign =
		head->campaign_length < 0 ? NULL : at + head->channel_length;
	label->campaign_length = Max(head->campaign_length, 0);
	return (const char *) head + build_label_size(label);
}

/* Returns an empty value. */
static PathBuild *
build_create(void)
{
	PathBuild *build = palloc(BUILD_FIRST_SIZE);

	memset(build, 0, BUILD_HEADER);
	SET_VARSIZE(build, BUILD_FIRST_SIZE);
	build->version = PATH_BUILDING;
	return build;
}

/* Returns a value with the same content and more room. */
static PathBuild *
build_grow(const PathBuild *build, Size need)
{
	Size old = VARSIZE(build);
	Size size = old;
	Size tail = build->ntouches * sizeof(BuildTouch);
	PathBuild *grown;

	while (size - BUILD_HEADER - build->label_bytes - tail < need)
		size *= 2;
	if (size > MaxAllocSize)
		path_fail_size();
	grown = palloc(size);
	memcpy(grown, build, BUILD_HEADER + build->label_bytes);
	SET_VARSIZE(grown, size);
	memcpy((char *) grown + size - tail, (const char *) build + old - tail,
		   tail);
	return grown;
}

/* Returns the number of a label, or how many there are. */
static uint32
build_find(const PathBuild *build, const PathLabel *label)
{
	const char *at = build->data;
	uint32 n = Min(build->nlabels, BUILD_KNOWN_LABELS);

	for (uint32 i = 0; i < n; i++)
	{
		PathLabel known;

		at = build_read_label(at, &known);
		if (known.channel_length == label->channel_length &&
			path_label_cmp(&known, label) == 0)
			return i;
	}
	return build->nlabels;
}

/* Writes a label behind the others. */
static void
build_write_label(PathBuild *build, const PathLabel *label)
{
	char *at = build->data + build->label_bytes;
	BuildLabel head = {label->channel_length,
					   label->campaign == NULL ? -1 : label->campaign_length};

	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	memcpy(at, label->channel, label->channel_length);
	if (label->campaign != NULL)
		memcpy(at + label->channel_length, label->campaign,
			   label->campaign_length);
	build->label_bytes += build_label_size(label);
	build->nlabels++;
}

/* Adds a touch; returns the value, which may have moved. */
static PathBuild *
build_add(PathBuild *build, const PathLabel *label, const PathTouch *touch)
{
	uint32 number = build_find(build, label);
	Size need = sizeof(BuildTouch);
	Size room = VARSIZE(build) - BUILD_HEADER - build->label_bytes -
				build->ntouches * sizeof(BuildTouch);

	if (number == build->nlabels)
		need += build_label_size(label);
	if (build->ntouches == PATH_TOUCH_MAX)
		path_fail_size();
	if (room < need)
		build = build_grow(build, need);
	if (number == build->nlabels)
		build_write_label(build, label);
	*build_touch(build, build->ntouches) =
		(BuildTouch){touch->at, touch->weight, number, touch->stage};
	build->ntouches++;
	return build;
}

/* Returns the labels, palloc'd. */
static PathLabel *
build_labels(const PathBuild *build)
{
	PathLabel *labels = palloc_array(PathLabel, Max(build->nlabels, 1));
	const char *at = build->data;

	for (uint32 i = 0; i < build->nlabels; i++)
		at = build_read_label(at, &labels[i]);
	return labels;
}

/* Makes the flat value of one that was being collected. */
struct varlena *
path_build_finish(const struct varlena *value)
{
	const PathBuild *build = (const PathBuild *) value;
	PathLabel *labels = build_labels(build);
	PathTouch *touches = palloc_array(PathTouch, Max(build->ntouches, 1));
	struct varlena *path;

	for (uint32 i = 0; i < build->ntouches; i++)
	{
		const BuildTouch *from = build_touch(build, i);

		touches[i] =
			(PathTouch){from->at, from->weight, from->label, from->stage};
	}
	path = path_make(labels, build->nlabels, touches, build->ntouches, true);
	pfree(labels);
	pfree(touches);
	return path;
}

/* Adds the touches of a flat path. */
static PathBuild *
build_add_path(PathBuild *build, const struct varlena *path)
{
	PathReader reader;
	PathTouch touch;

	path_read(&reader, path);
	if (!reader.timed && reader.ntouches > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("paths without times cannot be merged"),
				 errdetail("The order of their touches is not known.")));
	while (path_next(&reader, &touch))
	{
		CHECK_FOR_INTERRUPTS();
		build = build_add(build, &reader.labels[touch.label], &touch);
	}
	path_read_end(&reader);
	return build;
}

/* Adds the touches of another value under way. */
static PathBuild *
build_add_build(PathBuild *build, const PathBuild *from)
{
	PathLabel *labels = build_labels(from);
	uint32 ntouches = from->ntouches;

	for (uint32 i = 0; i < ntouches; i++)
	{
		const BuildTouch *old = build_touch(from, i);
		PathTouch touch = {old->at, old->weight, 0, old->stage};

		CHECK_FOR_INTERRUPTS();
		build = build_add(build, &labels[old->label], &touch);
	}
	pfree(labels);
	return build;
}

/* Returns the state of a call as one that may be changed. */
static PathBuild *
build_state(FunctionCallInfo fcinfo)
{
	struct varlena *state;

	if (PG_ARGISNULL(0))
		return build_create();
	state = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	if (!path_is_build(state))
		return build_add_path(build_create(), state);
	if (AggCheckCallContext(fcinfo, NULL) != 0)
		return (PathBuild *) state;
	/* Not ours: it may lie in a page. */
	return build_grow((PathBuild *) state, 0);
}

/* Returns a state: as it is inside an aggregate, else as a flat path. */
static Datum
build_return(FunctionCallInfo fcinfo, PathBuild *build)
{
	if (AggCheckCallContext(fcinfo, NULL) != 0)
		PG_RETURN_POINTER(build);
	PG_RETURN_POINTER(path_build_finish((struct varlena *) build));
}

/* Reads the label in arguments of a call; the second may be missing. */
static void
build_arg_label(FunctionCallInfo fcinfo, PathLabel *label)
{
	text *channel = PG_GETARG_TEXT_PP(2);

	label->channel = VARDATA_ANY(channel);
	label->channel_length = VARSIZE_ANY_EXHDR(channel);
	path_check_name("channel", label->channel, label->channel_length);
	label->campaign = NULL;
	label->campaign_length = 0;
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		text *campaign = PG_GETARG_TEXT_PP(3);

		if (VARSIZE_ANY_EXHDR(campaign) == 0)
			return;
		label->campaign = VARDATA_ANY(campaign);
		label->campaign_length = VARSIZE_ANY_EXHDR(campaign);
		path_check_name("campaign", label->campaign, label->campaign_length);
	}
}

/* Reads the rest of a touch in arguments of a call. */
static void
build_arg_touch(FunctionCallInfo fcinfo, PathTouch *touch)
{
	touch->at = PG_GETARG_TIMESTAMPTZ(1);
	path_check_time(touch->at);
	touch->weight = 1.0;
	touch->stage = PATH_STAGE_NONE;
	if (PG_NARGS() > 4 && !PG_ARGISNULL(4))
	{
		touch->weight = PG_GETARG_FLOAT8(4) + 0.0; /* -0 is 0 */
		path_check_weight(touch->weight);
	}
	if (PG_NARGS() > 5 && !PG_ARGISNULL(5))
	{
		text *stage = PG_GETARG_TEXT_PP(5);

		touch->stage =
			path_stage(VARDATA_ANY(stage), VARSIZE_ANY_EXHDR(stage));
	}
}

PG_FUNCTION_INFO_V1(touch_path_agg_transition);

/*
 * SQL: touch_path_agg_transition(touch_path, at timestamptz, channel text [,
 * campaign text, weight float8, stage text])
 */
Datum
touch_path_agg_transition(PG_FUNCTION_ARGS)
{
	PathLabel label;
	PathTouch touch;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	build_arg_label(fcinfo, &label);
	build_arg_touch(fcinfo, &touch);
	return build_return(fcinfo,
						build_add(build_state(fcinfo), &label, &touch));
}

PG_FUNCTION_INFO_V1(touch_path_combine);

/* SQL: touch_path_combine(touch_path, touch_path) */
Datum
touch_path_combine(PG_FUNCTION_ARGS)
{
	PathBuild *build;
	struct varlena *path;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	build = build_state(fcinfo);
	path = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));
	if (path_is_build(path))
		build = build_add_build(build, (PathBuild *) path);
	else
		build = build_add_path(build, path);
	return build_return(fcinfo, build);
}

PG_FUNCTION_INFO_V1(touch_path_agg_final);

/* SQL: touch_path_agg_final(touch_path) */
Datum
touch_path_agg_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(path_flat(PG_GETARG_DATUM(0)));
}
