/*
 * New bookings and events: statement triggers that add them to the
 * histories of their customers, as they come, without a plan.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "profile/build.h"
#include "profile/keep.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* Columns of booking that a history asks for. */
enum
{
	ROW_CUSTOMER,
	ROW_BOOKING,
	ROW_BOOKED_AT,
	ROW_STATUS,
	ROW_AMOUNT,
	ROW_CABIN,
	ROW_CHANNEL,
	ROW_ORIGIN,
	ROW_DESTINATION,
	ROW_PARTY,
	ROW_DEPARTURE,
	ROW_COLUMNS
};

static const char *const row_names[ROW_COLUMNS] = {
	"customer_id", "booking_id", "booked_at",     "status",
	"amount_base", "cabin",      "sales_channel", "origin",
	"destination", "party_size", "departure_at"};

static const Oid row_types[ROW_COLUMNS] = {
	INT8OID, INT8OID,   TIMESTAMPTZOID, InvalidOid, NUMERICOID,    InvalidOid,
	TEXTOID, BPCHAROID, BPCHAROID,      INT4OID,    TIMESTAMPTZOID};

/* Columns of event that a history asks for. */
enum
{
	EVENT_CUSTOMER,
	EVENT_ID,
	EVENT_KIND,
	EVENT_AT,
	EVENT_PROPERTIES,
	EVENT_COLUMNS
};

static const char *const event_names[EVENT_COLUMNS] = {
	"customer_id", "event_id", "kind", "occurred_at", "properties"};

static const Oid event_types[EVENT_COLUMNS] = {INT8OID, INT8OID, TEXTOID,
											   TIMESTAMPTZOID, JSONBOID};

/* A new booking, with a channel of the statement, and whose it is. */
typedef struct ArrivedBooking
{
	int64 person;
	ProfileBooking booking;
} ArrivedBooking;

#define ST_SORT arrive_sort_bookings
#define ST_ELEMENT_TYPE ArrivedBooking
#define ST_COMPARE(a, b)                                                      \
	((a)->person < (b)->person ? -1 : (a)->person > (b)->person)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* A new event, and the person whose it is. */
typedef struct ArrivedEvent
{
	int64 person;
	ProfileEntry entry;
	int kind; /* index of the kinds of the statement */
} ArrivedEvent;

#define ST_SORT arrive_sort_events
#define ST_ELEMENT_TYPE ArrivedEvent
#define ST_COMPARE(a, b)                                                      \
	((a)->person < (b)->person ? -1 : (a)->person > (b)->person)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Who writes. */
typedef struct ArriveUser
{
	Oid id;
	int context;
} ArriveUser;

/* Rows of event_kind. */
typedef struct EventKind
{
	char name[NAMEDATALEN]; /* hash key */
	bool visit;
} EventKind;

static CoreCache kind_cache = {.relname = "event_kind"};
static HTAB *event_kinds = NULL;

/* Returns the person that a customer is. */
static int64
arrive_person(Relation aliases, int64 customer)
{
	TupleDesc desc = RelationGetDescr(aliases);
	int64 person = customer;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;
	bool isnull;

	ScanKeyInit(&key, profile_attno(desc, "customer_id", INT8OID, 0),
				BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(customer));
	scan = systable_beginscan(aliases, RelationGetPrimaryKeyIndex(aliases),
							  true, GetLatestSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		person = DatumGetInt64(
			heap_getattr(tuple, profile_attno(desc, "master_id", INT8OID, 1),
						 desc, &isnull));
	systable_endscan(scan);
	return person;
}

/* Returns the index of a name in the history of names of a statement. */
static int
arrive_name(ProfileHistory *names, Datum value)
{
	text *name = DatumGetTextPP(value);

	return profile_history_name(names, VARDATA_ANY(name),
								VARSIZE_ANY_EXHDR(name));
}

/* Reads a new booking; false for one that is held. */
static bool
arrive_read_booking(TupleTableSlot *slot, const AttrNumber *attnos,
					ArrivedBooking *row, ProfileHistory *channels)
{
	ProfileBooking *booking = &row->booking;
	const Datum *values = slot->tts_values;
	const bool *nulls = slot->tts_isnull;
	int status;

#define ROW_VALUE(column) values[attnos[column] - 1]
#define ROW_NULL(column) nulls[attnos[column] - 1]
	memset(row, 0, sizeof(ArrivedBooking));
	status = profile_status(DatumGetObjectId(ROW_VALUE(ROW_STATUS)));
	if (status < 0)
		return false;
	booking->status = status;
	booking->owner = DatumGetInt64(ROW_VALUE(ROW_CUSTOMER));
	booking->id = DatumGetInt64(ROW_VALUE(ROW_BOOKING));
	booking->at = DatumGetTimestampTz(ROW_VALUE(ROW_BOOKED_AT));
	booking->amount = profile_amount(DatumGetNumeric(ROW_VALUE(ROW_AMOUNT)));
	booking->party = DatumGetInt32(ROW_VALUE(ROW_PARTY));
	booking->channel = -1;
	booking->departure = ROW_NULL(ROW_DEPARTURE)
							 ? PROFILE_NO_DEPARTURE
							 : DatumGetTimestampTz(ROW_VALUE(ROW_DEPARTURE));
	if (!ROW_NULL(ROW_CABIN))
		booking->cabin = profile_cabin(DatumGetObjectId(ROW_VALUE(ROW_CABIN)));
	if (!ROW_NULL(ROW_CHANNEL))
		booking->channel = arrive_name(channels, ROW_VALUE(ROW_CHANNEL));
	if (!ROW_NULL(ROW_ORIGIN) && !ROW_NULL(ROW_DESTINATION))
	{
		booking->origin =
			profile_airport(DatumGetBpCharPP(ROW_VALUE(ROW_ORIGIN)));
		booking->destination =
			profile_airport(DatumGetBpCharPP(ROW_VALUE(ROW_DESTINATION)));
	}
	profile_facts(booking);
#undef ROW_VALUE
#undef ROW_NULL
	return true;
}

/* Begins to read the new rows of a statement from the start. */
static TupleTableSlot *
arrive_begin(TriggerData *trigger, AttrNumber *attnos,
			 const char *const *names, const Oid *types, int n)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Tuplestorestate *store = trigger->tg_newtable;

	for (int i = 0; i < n; i++)
		attnos[i] = profile_attno(desc, names[i], types[i], i);
	tuplestore_select_read_pointer(
		store, tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND));
	tuplestore_rescan(store);
	return MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

/* Reads the next row, in a context that is emptied of the one before. */
static bool
arrive_next(TriggerData *trigger, TupleTableSlot *slot, MemoryContext row)
{
	CHECK_FOR_INTERRUPTS();
	ExecClearTuple(slot);
	MemoryContextReset(row);
	if (!tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
		return false;
	slot_getallattrs(slot);
	return true;
}

/* Makes room for one element for each new row. */
static void *
arrive_room(TriggerData *trigger, Size size)
{
	int64 rows = Max(tuplestore_tuple_count(trigger->tg_newtable), 1);

	return palloc_extended(mul_size(rows, size), MCXT_ALLOC_HUGE);
}

/* Reads the new bookings of a statement, sorted by person. */
static ArrivedBooking *
arrive_read_bookings(TriggerData *trigger, ProfileHistory *channels, int64 *n)
{
	AttrNumber attnos[ROW_COLUMNS];
	TupleTableSlot *slot =
		arrive_begin(trigger, attnos, row_names, row_types, ROW_COLUMNS);
	Relation aliases =
		table_open(core_relation("customer_alias"), AccessShareLock);
	ArrivedBooking *rows = arrive_room(trigger, sizeof(ArrivedBooking));
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work =
		AllocSetContextCreate(caller, "iaros row", ALLOCSET_SMALL_SIZES);

	*n = 0;
	MemoryContextSwitchTo(work);
	while (arrive_next(trigger, slot, work))
	{
		ArrivedBooking *row = &rows[*n];

		if (!arrive_read_booking(slot, attnos, row, channels))
			continue;
		row->person = *n > 0 && row[-1].booking.owner == row->booking.owner
						  ? row[-1].person
						  : arrive_person(aliases, row->booking.owner);
		(*n)++;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	ExecDropSingleTupleTableSlot(slot);
	table_close(aliases, NoLock);
	arrive_sort_bookings(rows, *n);
	return rows;
}

/* Notes a person without profile. */
static ArrayBuildState *
arrive_note_missing(ArrayBuildState *missing, MemoryContext context,
					int64 person)
{
	return accumArrayResult(missing, Int64GetDatum(person), false, INT8OID,
							context);
}

/*
 * Makes the profiles of persons who had none: their customer is new in the
 * same statement, and was given none yet.
 */
static void
arrive_apply(ArrayBuildState *missing)
{
	Oid type = INT8ARRAYOID;
	Datum persons;

	if (missing == NULL)
		return;
	persons = makeArrayResult(missing, CurrentMemoryContext);
	SPI_connect();
	SPI_execute_with_args("SELECT iaros.profile_gate_apply($1)", 1, &type,
						  &persons, NULL, false, 0);
	SPI_finish();
}

/* Adds new bookings, sorted by person, to the histories. */
static void
arrive_add_bookings(const ArrivedBooking *rows, int64 n,
					const ProfileHistory *channels)
{
	ProfileKeep *table = profile_keep_open();
	MemoryContext work = AllocSetContextCreate(
		CurrentMemoryContext, "iaros histories", ALLOCSET_DEFAULT_SIZES);
	ArrayBuildState *missing = NULL;

	for (int64 i = 0; i < n;)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);
		ProfileHistory *added = profile_history_create(work);
		int64 person = rows[i].person;

		for (; i < n && rows[i].person == person; i++)
		{
			ProfileBooking *booking = profile_history_add_booking(added);

			*booking = rows[i].booking;
			if (booking->channel >= 0)
			{
				const ProfileName *name = &channels->names[booking->channel];

				booking->channel =
					profile_history_name(added, name->text, name->length);
			}
		}
		if (!profile_keep_change(table, person, NULL, added, true))
			missing = arrive_note_missing(missing, caller, person);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	profile_keep_close(table);
	MemoryContextDelete(work);
	arrive_apply(missing);
}

/* Raises an error unless it is the trigger of new rows of a table. */
static TriggerData *
arrive_trigger(FunctionCallInfo fcinfo, const char *table)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_newtable == NULL ||
		RelationGetRelid(trigger->tg_relation) != core_relation(table))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("profile_%s_new must be called as a trigger after "
						"inserts into iaros.%s",
						table, table)));
	return trigger;
}

/*
 * Goes on with the rights of the owner of the table, as SECURITY DEFINER
 * does: who records rows may not read airports or settings. Queries below
 * qualify their operators, since search_path is that of the caller.
 */
static ArriveUser
arrive_become_owner(Relation relation)
{
	ArriveUser user;

	GetUserIdAndSecContext(&user.id, &user.context);
	SetUserIdAndSecContext(relation->rd_rel->relowner,
						   user.context | SECURITY_LOCAL_USERID_CHANGE);
	return user;
}

PG_FUNCTION_INFO_V1(profile_booking_new);

/*
 * SQL: statement trigger of table booking: adds new bookings to the
 * histories of their customers.
 */
Datum
profile_booking_new(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = arrive_trigger(fcinfo, "booking");
	ProfileHistory *channels = profile_history_create(CurrentMemoryContext);
	ArriveUser user = arrive_become_owner(trigger->tg_relation);
	int64 n;
	ArrivedBooking *rows = arrive_read_bookings(trigger, channels, &n);

	if (n > 0)
		arrive_add_bookings(rows, n, channels);
	SetUserIdAndSecContext(user.id, user.context);
	PG_RETURN_POINTER(NULL);
}

/* Copies one row of event_kind into the hash table. */
static void
kind_store(HeapTuple row, TupleDesc desc)
{
	char *name = SPI_getvalue(row, desc, 1);
	char *visit = SPI_getvalue(row, desc, 2);
	EventKind *kind;

	if (name == NULL || visit == NULL || strlen(name) >= NAMEDATALEN)
		return;
	kind = hash_search(event_kinds, name, HASH_ENTER, NULL);
	kind->visit = visit[0] == 't';
}

/* Reads the kinds of events; there are some dozens. */
static void
kind_fill(void)
{
	HASHCTL ctl = {0};

	core_cache_begin(&kind_cache);
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(EventKind);
	ctl.hcxt = kind_cache.context;
	event_kinds = hash_create("iaros event kinds", 64, &ctl,
							  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	if (SPI_execute("SELECT kind, origin OPERATOR(pg_catalog.=) ANY "
					"('{website,mobile}'::pg_catalog.text[]) "
					"FROM iaros.event_kind",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read iaros.event_kind");
	for (uint64 i = 0; i < SPI_processed; i++)
		kind_store(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	core_cache_end(&kind_cache);
}

/* Are events of a kind made on our site or in our application? */
static bool
kind_is_visit(const char *name)
{
	EventKind *kind;

	if (!core_cache_usable(&kind_cache))
		kind_fill();
	kind = hash_search(event_kinds, name, HASH_FIND, NULL);
	return kind != NULL && kind->visit;
}

/* Returns the score of an answer, -1 without, as profile_nps_value(). */
static int64
event_score(Datum properties)
{
	Jsonb *json = DatumGetJsonbP(properties);
	JsonbValue *score = getKeyJsonValueFromContainer(&json->root, "score",
													 strlen("score"), NULL);
	char *text;

	if (score == NULL)
		return -1;
	if (score->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(
			numeric_out, NumericGetDatum(score->val.numeric)));
	else if (score->type == jbvString)
		text = pnstrdup(score->val.string.val, score->val.string.len);
	else
		return -1;
	if (strcmp(text, "10") == 0)
		return 10;
	return text[0] >= '0' && text[0] <= '9' && text[1] == '\0' ? text[0] - '0'
															   : -1;
}

/* Reads the new events of a statement, sorted by person. */
static ArrivedEvent *
arrive_read_events(TriggerData *trigger, ProfileHistory *kinds, int64 *n)
{
	AttrNumber attnos[EVENT_COLUMNS];
	TupleTableSlot *slot =
		arrive_begin(trigger, attnos, event_names, event_types, EVENT_COLUMNS);
	Relation aliases =
		table_open(core_relation("customer_alias"), AccessShareLock);
	ArrivedEvent *rows = arrive_room(trigger, sizeof(ArrivedEvent));
	int nps = profile_history_name(kinds, PROFILE_NPS, strlen(PROFILE_NPS));
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work =
		AllocSetContextCreate(caller, "iaros row", ALLOCSET_SMALL_SIZES);
	int64 customer = 0;
	int64 person = 0;

	*n = 0;
	MemoryContextSwitchTo(work);
	while (arrive_next(trigger, slot, work))
	{
		ArrivedEvent *row = &rows[(*n)++];
		int64 id = DatumGetInt64(slot->tts_values[attnos[EVENT_CUSTOMER] - 1]);

		memset(row, 0, sizeof(ArrivedEvent));
		if (*n == 1 || id != customer)
			person = arrive_person(aliases, id);
		customer = id;
		row->person = person;
		row->entry.at =
			DatumGetTimestampTz(slot->tts_values[attnos[EVENT_AT] - 1]);
		row->kind =
			arrive_name(kinds, slot->tts_values[attnos[EVENT_KIND] - 1]);
		if (row->kind != nps)
			continue;
		row->entry.id = DatumGetInt64(slot->tts_values[attnos[EVENT_ID] - 1]);
		row->entry.value =
			event_score(slot->tts_values[attnos[EVENT_PROPERTIES] - 1]);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	ExecDropSingleTupleTableSlot(slot);
	table_close(aliases, NoLock);
	arrive_sort_events(rows, *n);
	return rows;
}

/* Returns what kinds mean for their series. */
static uint8 *
arrive_flags(const ProfileHistory *kinds)
{
	uint8 *flags = palloc0(kinds->nnames);

	for (int i = 0; i < kinds->nnames; i++)
	{
		char *name = pnstrdup(kinds->names[i].text, kinds->names[i].length);

		if (kind_is_visit(name))
			flags[i] |= PROFILE_VISIT;
		if (strcmp(name, PROFILE_NPS) == 0)
			flags[i] |= PROFILE_VALUED;
	}
	return flags;
}

/* Adds new events, sorted by person, to the histories. */
static void
arrive_add_events(const ArrivedEvent *rows, int64 n,
				  const ProfileHistory *kinds)
{
	uint8 *flags = arrive_flags(kinds);
	ProfileKeep *table = profile_keep_open();
	MemoryContext work = AllocSetContextCreate(
		CurrentMemoryContext, "iaros histories", ALLOCSET_DEFAULT_SIZES);
	ArrayBuildState *missing = NULL;

	for (int64 i = 0; i < n;)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);
		ProfileHistory *added = profile_history_create(work);
		int64 person = rows[i].person;

		for (; i < n && rows[i].person == person; i++)
		{
			const ProfileName *name = &kinds->names[rows[i].kind];
			const ProfileEntry *entry = &rows[i].entry;

			profile_history_add(added,
								profile_history_series(added, name->text,
													   name->length,
													   flags[rows[i].kind]),
								entry->at, entry->id, entry->value);
		}
		if (!profile_keep_change(table, person, NULL, added, false))
			missing = arrive_note_missing(missing, caller, person);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	profile_keep_close(table);
	MemoryContextDelete(work);
	arrive_apply(missing);
}

PG_FUNCTION_INFO_V1(profile_event_new);

/*
 * SQL: statement trigger of table event: adds new events to the histories of
 * their customers.
 */
Datum
profile_event_new(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = arrive_trigger(fcinfo, "event");
	ProfileHistory *kinds = profile_history_create(CurrentMemoryContext);
	ArriveUser user = arrive_become_owner(trigger->tg_relation);
	int64 n;
	ArrivedEvent *rows = arrive_read_events(trigger, kinds, &n);

	if (n > 0)
		arrive_add_events(rows, n, kinds);
	SetUserIdAndSecContext(user.id, user.context);
	PG_RETURN_POINTER(NULL);
}

/* Registers the copy of the kinds of events. */
void
profile_arrive_init(void)
{
	core_cache_register(&kind_cache);
}
