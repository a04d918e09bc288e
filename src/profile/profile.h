/*
 * The kernel of profiles: the compact history of a person, and the columns
 * that it has as of a time.
 */
#ifndef IAROS_PROFILE_H
#define IAROS_PROFILE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

/* What becomes of a booking. Those that are held are not in a history. */
#define PROFILE_COUNTED 0
#define PROFILE_CANCELLED 1
#define PROFILE_REFUNDED 2
#define PROFILE_SKIPPED 3 /* is about to be dropped */

/* Facts of a route and a departure; 0: not known. */
#define PROFILE_DOMESTIC 1
#define PROFILE_INTERNATIONAL 2
#define PROFILE_INTERCONTINENTAL 3
#define PROFILE_SHORT 1
#define PROFILE_MEDIUM 2
#define PROFILE_LONG 3
#define PROFILE_WEEKDAY 1
#define PROFILE_WEEKEND 2
#define PROFILE_WINTER 1
#define PROFILE_SUMMER 2

/* What lines of bookings are counted as. */
enum
{
	PROFILE_ANCILLARY,
	PROFILE_SEAT,
	PROFILE_BAG,
	PROFILE_MEAL,
	PROFILE_UPGRADE,
	PROFILE_BUNDLE,
	PROFILE_ITEMS
};

/* Kind of events that are answers to the recommendation question. */
#define PROFILE_NPS "nps_response"

/* No departure is known. */
#define PROFILE_NO_DEPARTURE DT_NOBEGIN

/* Most names of a history. */
#define PROFILE_NAMES_MAX 4096

/* A name of a history: what bookings and series are called by. */
typedef struct ProfileName
{
	const char *text;
	int length;
} ProfileName;

typedef struct ProfileBooking
{
	TimestampTz at;
	int64 owner; /* customer_id under which it is stored */
	int64 id;    /* booking_id, unique for an owner */
	int64 amount;
	TimestampTz departure;
	uint32 items[PROFILE_ITEMS];
	int32 party;
	uint32 origin; /* airport_code(), 0: none */
	uint32 destination;
	int channel; /* index of a name, -1: none */
	uint8 status;
	uint8 cabin; /* 1 is economy, 0: not known */
	uint8 reach;
	uint8 haul;
	uint8 weekday;
	uint8 season;
	uint8 region; /* of the destination */
} ProfileBooking;

/* Something that was done or said; id and value are 0 unless valued. */
typedef struct ProfileEntry
{
	TimestampTz at;
	int64 id;
	int64 value;
} ProfileEntry;

#define PROFILE_VALUED 0x01 /* entries have an id and a value */
#define PROFILE_VISIT 0x02  /* entries are made on our site or application */

typedef struct ProfileSeries
{
	int name;
	uint8 flags;
	int n;
	int room;
	ProfileEntry *entries;
} ProfileSeries;

/*
 * A history in memory. Sorted means: names by their bytes and all in use,
 * bookings by (at, owner, id), series by name, entries by (at, id, value).
 */
typedef struct ProfileHistory
{
	MemoryContext context;
	int nnames;
	int names_room;
	ProfileName *names;
	int nbookings;
	int bookings_room;
	ProfileBooking *bookings;
	int nseries;
	int series_room;
	ProfileSeries *series;
} ProfileHistory;

/* history.c */
extern ProfileHistory *profile_history_create(MemoryContext context);
extern int profile_history_name(ProfileHistory *history, const char *text,
								int length);
extern ProfileBooking *profile_history_add_booking(ProfileHistory *history);
extern ProfileSeries *profile_history_series(ProfileHistory *history,
											 const char *text, int length,
											 uint8 flags);
extern void profile_history_reserve(ProfileHistory *history,
									ProfileSeries *series, int n);
extern void profile_history_add(ProfileHistory *history, ProfileSeries *series,
								TimestampTz at, int64 id, int64 value);
extern void profile_history_skip(ProfileHistory *history,
								 const ProfileHistory *other);
extern void profile_history_merge(ProfileHistory *history,
								  const ProfileHistory *other);
extern void profile_history_remove(ProfileHistory *history,
								   const ProfileHistory *removed);
extern void profile_history_sort_keys(ProfileHistory *history);
extern ProfileBooking *profile_history_key(ProfileHistory *history,
										   int64 owner, int64 id);
extern void profile_history_sort(ProfileHistory *history);
extern const ProfileSeries *profile_history_find(const ProfileHistory *history,
												 const char *text);

/* wire.c */
extern bytea *profile_wire_write(ProfileHistory *history,
								 MemoryContext context);
extern ProfileHistory *profile_wire_read(const bytea *bytes,
										 MemoryContext context);

/* fact.c */
extern void profile_facts(ProfileBooking *booking);

/* column.c */
typedef enum ProfileKind
{
	PROFILE_INTEGER,
	PROFILE_NUMBER,
	PROFILE_TIME,
	PROFILE_TEXT,
	PROFILE_BOOLEAN
} ProfileKind;

typedef struct ProfileColumn
{
	const char *name;
	ProfileKind kind;
} ProfileColumn;

extern const ProfileColumn profile_columns[];
extern const int profile_ncolumns;

extern int profile_column_find(const char *name, int length);
extern TimestampTz profile_columns_read(const ProfileHistory *history,
										TimestampTz as_of, Datum *values,
										bool *nulls);

/* arrive.c */
extern void profile_arrive_init(void);

/* state.c */
extern bytea *profile_state_bytes(Datum datum);
extern TimestampTz profile_as_of(FunctionCallInfo fcinfo, int arg);
extern void profile_init(void);

#endif /* IAROS_PROFILE_H */
