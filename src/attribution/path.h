/*
 * Type touch_path: the touches of one person in the order of time. A touch
 * has a channel, a campaign or none, a stage or none and a weight.
 *
 * A value is a string of bytes after its header, read in place, at any
 * alignment and with a header of one or four bytes:
 *
 *   1 byte    version, PATH_VERSION
 *   1 byte    flags, PATH_*; the upper three bits are the unit of times
 *   number    touches
 *   number    labels
 *   for each label, ascending by channel, then campaign, byte by byte:
 *     number    length of the channel, and its bytes
 *     with PATH_CAMPAIGNS: 0 for none, or 1 + length, and the bytes
 *   with PATH_TIMED, and touches: 8 bytes, time of the first, little-endian
 *   for each touch, in order:
 *     number    of its label, from 0
 *     with PATH_TIMED: number of units since the touch before
 *     with PATH_STAGES: 1 byte, PathStage
 *     with PATH_WEIGHTS: 8 bytes, float8, little-endian
 *
 * A number has 7 bits a byte, lowest first, the upper bit set when more
 * follow. Touches ascend by time, then label, stage and weight; those of a
 * path without times are in the order they were given in. Every label is
 * used; equal paths have equal bytes.
 *
 * While an aggregate collects touches its value has another form, which
 * path_flat() turns into this one; see path_build.c.
 */
#ifndef IAROS_ATTRIBUTION_PATH_H
#define IAROS_ATTRIBUTION_PATH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

#define PATH_VERSION 1

#define PATH_TIMED 0x01
#define PATH_CAMPAIGNS 0x02
#define PATH_STAGES 0x04
#define PATH_WEIGHTS 0x08
#define PATH_FLAGS 0x0F

/* Longest name of a channel or campaign, in bytes. */
#define PATH_NAME_MAX 1000

/* Most touches of a path. */
#define PATH_TOUCH_MAX 10000000

/* What a touch began; the numbers are stored. */
typedef enum PathStage
{
	PATH_STAGE_NONE = 0,
	PATH_STAGE_LEAD = 1,
	PATH_STAGE_OPPORTUNITY = 2
} PathStage;

/* What a touch is of. Texts are not terminated. */
typedef struct PathLabel
{
	const char *channel;
	const char *campaign; /* NULL: none */
	int channel_length;
	int campaign_length;
} PathLabel;

typedef struct PathTouch
{
	TimestampTz at; /* 0 in a path without times */
	double weight;  /* 1 unless given */
	uint32 label;
	PathStage stage;
} PathTouch;

/* Labels that a reader holds without allocating. */
#define PATH_READER_LABELS 32

/* Reads a path from its first touch to its last. */
typedef struct PathReader
{
	bool timed;
	uint32 ntouches;
	uint32 nlabels;
	const PathLabel *labels;
	/* For path.c alone from here. */
	int flags;
	int64 unit;
	uint32 next;
	TimestampTz at;
	const unsigned char *cursor;
	PathLabel few[PATH_READER_LABELS];
} PathReader;

/*
 * path.c: flat values. A datum may be short, toasted, or of an aggregate
 * under way; what is not flat is made so in the current context.
 */
extern struct varlena *path_flat(Datum datum);
/* Begins to read a flat value, which must stay; reads the labels. */
extern void path_read(PathReader *reader, const struct varlena *path);
extern bool path_next(PathReader *reader, PathTouch *touch);
/* Frees what path_read() allocated for many labels. */
extern void path_read_end(PathReader *reader);
/*
 * Makes a flat value of touches, which are sorted in place when timed. Labels
 * may repeat and come in any order.
 */
extern struct varlena *path_make(const PathLabel *labels, uint32 nlabels,
								 PathTouch *touches, uint32 ntouches,
								 bool timed);
/* Compares labels by channel, then campaign; none comes first. */
extern int path_label_cmp(const PathLabel *a, const PathLabel *b);

/* path_build.c: of an aggregate under way. */
extern struct varlena *path_build_finish(const struct varlena *build);

/* path_check.c: raise errors for what no path may hold. */
extern void path_check_name(const char *what, const char *name, int length);
extern void path_check_time(TimestampTz at);
extern void path_check_weight(double weight);
extern PathStage path_stage(const char *name, int length);
extern const char *path_stage_name(PathStage stage);
/* Returns NULL when the bytes are a flat path, else what is wrong. */
extern const char *path_invalid(const struct varlena *path);

#endif /* IAROS_ATTRIBUTION_PATH_H */
