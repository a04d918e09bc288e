/*
 * The log of what changed: statement triggers that note in segment_change
 * the customers of the rows of a statement, and bring segments that are
 * marked real-time up to date.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/note.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/*
 * Most customers that a statement notes one by one. Beyond, it notes that
 * anybody may have changed, which asks for a whole refresh: that is faster
 * than to compute so many by index.
 */
#define NOTE_MAX 100000

/* The customers of a statement: a set that is sorted when it is full. */
typedef struct NoteIds
{
	int64 *ids;
	int n;
	int size;
	bool many; /* more than NOTE_MAX */
} NoteIds;

#define ST_SORT note_sort
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Tells whether a segment is kept in real time; kept by the backend. */
static CoreCache segment_cache = {.relname = "segment"};
static bool segment_realtime = false;

/* Sorts the customers and drops those that repeat. */
static void
note_compact(NoteIds *note)
{
	int n = 0;

	note_sort(note->ids, note->n);
	for (int i = 0; i < note->n; i++)
		if (i == 0 || note->ids[i] != note->ids[i - 1])
			note->ids[n++] = note->ids[i];
	note->n = n;
}

/* Adds a customer. */
static inline void
note_add(NoteIds *note, int64 id)
{
	if (note->n > 0 && note->ids[note->n - 1] == id)
		return;
	if (note->n == note->size)
	{
		note_compact(note);
		if (note->n > NOTE_MAX)
		{
			note->many = true;
			return;
		}
		if (note->n > note->size / 2)
		{
			note->size *= 2;
			note->ids = repalloc(note->ids, note->size * sizeof(int64));
		}
	}
	note->ids[note->n++] = id;
}

/* Adds the customers that the rows of a transition table name. */
static void
note_read(NoteIds *note, Trigger *trigger, TupleDesc desc,
		  Tuplestorestate *store)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	AttrNumber attnos[2];

	for (int i = 0; i < trigger->tgnargs; i++)
		attnos[i] = SPI_fnumber(desc, trigger->tgargs[i]);
	tuplestore_select_read_pointer(
		store, tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND));
	tuplestore_rescan(store);
	while (!note->many && tuplestore_gettupleslot(store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < trigger->tgnargs; i++)
		{
			bool isnull;
			Datum id = slot_getattr(slot, attnos[i], &isnull);

			if (!isnull)
				note_add(note, DatumGetInt64(id));
		}
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Raises an error unless the trigger was made as segment_install() does. */
static TriggerData *
note_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(data->tg_event) ||
		!TRIGGER_FIRED_AFTER(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("segment_note must be called by a statement trigger "
						"after the statement")));
	for (int i = 0; i < data->tg_trigger->tgnargs; i++)
	{
		TupleDesc desc = RelationGetDescr(data->tg_relation);
		AttrNumber attno = SPI_fnumber(desc, data->tg_trigger->tgargs[i]);

		if (i > 1 || attno <= 0 || SPI_gettypeid(desc, attno) != INT8OID)
			ereport(ERROR,
					(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					 errmsg("segment_note takes the names of one or two "
							"columns of type bigint")));
	}
	/* Else who may not write the log could do so by a table of his own. */
	if (pg_class_aclcheck(core_relation("segment_change"),
						  data->tg_relation->rd_rel->relowner,
						  ACL_INSERT) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of table \"%s\" may not write "
							   "iaros.segment_change",
							   RelationGetRelationName(data->tg_relation))));
	return data;
}

/* Appends one row to segment_change; NULL stands for anybody. */
static void
note_insert(Relation log, int64 id, bool anybody)
{
	Datum values[] = {Int64GetDatum(id), BoolGetDatum(false)};
	bool nulls[] = {anybody, false};
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(log), values, nulls);

	simple_heap_insert(log, tuple);
	heap_freetuple(tuple);
}

/* Appends the customers to segment_change, past the rights of the caller. */
static void
note_write(const NoteIds *note)
{
	Relation log =
		table_open(core_relation("segment_change"), RowExclusiveLock);

	/* Rows are put into the heap and nothing else. */
	if (log->rd_rel->relkind != RELKIND_RELATION ||
		RelationGetDescr(log)->natts != 2 || log->rd_rel->relhasindex ||
		log->rd_rel->relhastriggers)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("iaros.segment_change was altered"),
						errdetail("It has the columns customer_id and moved, "
								  "no index and no trigger.")));
	if (note->many)
		note_insert(log, 0, true);
	else
		for (int i = 0; i < note->n; i++)
			note_insert(log, note->ids[i], false);
	table_close(log, NoLock);
	CommandCounterIncrement();
}

/* Returns whether some segment is kept in real time. */
static bool
note_realtime(void)
{
	if (!core_cache_usable(&segment_cache))
	{
		core_cache_begin(&segment_cache);
		SPI_execute("SELECT FROM iaros.segment s WHERE s.realtime AND "
					"s.enabled AND s.kind OPERATOR(pg_catalog.=) 'dynamic' "
					"LIMIT 1",
					true, 1);
		segment_realtime = SPI_processed > 0;
		core_cache_end(&segment_cache);
	}
	return segment_realtime;
}

/* Brings the real-time segments of the customers up to date. */
static void
note_apply(const NoteIds *note)
{
	Datum *values = palloc(note->n * sizeof(Datum));
	Oid type = INT8ARRAYOID;
	Datum ids;

	for (int i = 0; i < note->n; i++)
		values[i] = Int64GetDatum(note->ids[i]);
	ids = PointerGetDatum(construct_array(values, note->n, INT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	SPI_connect();
	SPI_execute_with_args("SELECT iaros.segment_apply_realtime($1)", 1, &type,
						  &ids, NULL, false, 0);
	SPI_finish();
}

PG_FUNCTION_INFO_V1(segment_note);

/*
 * SQL: statement trigger: notes the customers that the columns named by its
 * arguments hold in the rows of the statement; anybody after TRUNCATE.
 */
Datum
segment_note(PG_FUNCTION_ARGS)
{
	TriggerData *data = note_trigger(fcinfo);
	TupleDesc desc = RelationGetDescr(data->tg_relation);
	NoteIds note = {.size = 64,
					.many = TRIGGER_FIRED_BY_TRUNCATE(data->tg_event)};
	Oid user;
	int context;

	note.ids = palloc(note.size * sizeof(int64));
	if (data->tg_oldtable != NULL)
		note_read(&note, data->tg_trigger, desc, data->tg_oldtable);
	if (data->tg_newtable != NULL)
		note_read(&note, data->tg_trigger, desc, data->tg_newtable);
	note_compact(&note);
	note.many = note.many || note.n > NOTE_MAX;
	if (note.n == 0 && !note.many)
		PG_RETURN_POINTER(NULL);
	note_write(&note);
	if (note.many)
		PG_RETURN_POINTER(NULL);
	/* Who records bookings needs no right on segments. */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(data->tg_relation->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	if (note_realtime())
		note_apply(&note);
	SetUserIdAndSecContext(user, context);
	PG_RETURN_POINTER(NULL);
}

/* Registers the copy of what segments are kept in real time. */
void
segment_note_init(void)
{
	core_cache_register(&segment_cache);
}
