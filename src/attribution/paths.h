/*
 * Paths of persons: touches and conversions read from two sources, brought
 * together person by person.
 */
#ifndef IAROS_ATTRIBUTION_PATHS_H
#define IAROS_ATTRIBUTION_PATHS_H

#include "postgres.h"

#include "attribution/path.h"
#include "core/group.h"
#include "utils/dsa.h"

/* Which touches a path has, see attribution_paths(). Lengths in microseconds.
 */
typedef struct PathsRules
{
	int64 window;
	int64 view_window;
	int64 dedupe; /* 0: none */
	bool click_over_view;
	bool restart;
	bool journeys;            /* those without a conversion, too */
	TimestampTz closed_until; /* if their last touch is not after this */
} PathsRules;

/* How the value of a conversion is kept. */
typedef enum PathsValue
{
	PATHS_VALUE_NULL,
	PATHS_VALUE_HERE, /* a numeric with a header of one byte */
	PATHS_VALUE_ASIDE /* among the long ones of its process */
} PathsValue;

#define PATHS_VALUE_ROOM 24

/* A conversion, 64 bytes. */
typedef struct PathsGoal
{
	CoreRecord head;   /* person, time */
	int64 customer_id; /* as the source has it */
	int64 conversion_id;
	uint8 identified; /* it has a conversion_id */
	uint8 kept;       /* PathsValue */
	char unused[6];
	union
	{
		char here[PATHS_VALUE_ROOM];
		struct
		{
			uint64 hash; /* comes first: the order is that of data */
			uint64 place;
			uint64 process;
		} aside;
	} value;
} PathsGoal;

/* A touch, 24 bytes; a weight follows when the source has weights. */
typedef struct PathsTouch
{
	CoreRecord head; /* person, time */
	uint32 label;    /* its number in the process that read it */
	uint16 process;  /* 0 for the leader */
	uint8 stage;     /* PathStage */
	bool view;
} PathsTouch;

typedef struct PathsWeighted
{
	PathsTouch touch;
	float8 weight;
} PathsWeighted;

/* Channels with campaigns, each with a number. */
typedef struct PathsNames PathsNames;

/* What was read. */
typedef struct PathsData
{
	CoreGroup *goals;
	char **values; /* by process: values that were kept aside */
	CoreGroup *touches;
	Size touch_size;
	const PathLabel *labels; /* in their order */
	uint32 nlabels;
	uint32 **numbers; /* by worker's process and number: the leader's */
	uint32 *ranks;    /* by that: the place among the labels */
	int workers;
} PathsData;

/* paths_read.c */
extern PathsData paths_read(const PathsRules *rules, const char *touches,
							const char *conversions, const char *aliases);
extern void paths_read_init(void);

/* paths_rule.c */
extern int64 paths_length(const NullableDatum *arg, const char *name);
extern TimestampTz paths_before(TimestampTz at, int64 length);
extern void paths_check_goal_time(TimestampTz at, int64 customer_id);
extern float8 paths_number(Datum value, Oid type);

/* paths_name.c */
extern PathsNames *paths_names_create(void);
extern uint32 paths_names_put(PathsNames *names, const PathLabel *label);
extern dsa_pointer paths_names_publish(const PathsNames *names,
									   dsa_area *area);
extern uint32 *paths_names_adopt(PathsNames *names, dsa_area *area,
								 dsa_pointer published);
extern const PathLabel *paths_names_sort(PathsNames *names, uint32 *nlabels,
										 uint32 **ranks);

/* paths.c */
extern void paths_init(void);

#endif /* IAROS_ATTRIBUTION_PATHS_H */
