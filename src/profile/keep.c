/*
 * Profiles kept current: the table profile_stored is changed row by row with
 * the functions by which logical replication applies changes, since a plan
 * for each statement would cost more than a booking.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "profile/keep.h"
#include "profile/profile.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Columns of profile_stored before those of profile_columns. */
enum
{
	KEEP_CUSTOMER,
	KEEP_AS_OF,
	KEEP_DUE_AT,
	KEEP_STATE,
	KEEP_COLUMNS
};

/* The only column that is an enum. */
#define KEEP_ENUM "cabin_top"

static const char *const keep_names[KEEP_COLUMNS] = {"customer_id", "as_of",
													 "due_at", "state"};

/* The table while it is changed. */
struct ProfileKeep
{
	Relation relation;
	Oid index; /* the primary key */
	AttrNumber fixed[KEEP_COLUMNS];
	AttrNumber *columns; /* of profile_columns */
	EState *estate;
	ResultRelInfo *info;
	EPQState epq;
	TupleTableSlot *search;
	TupleTableSlot *found;
	TupleTableSlot *changed;
	MemoryContext person; /* what one person takes */
};

/*
 * Returns the number of a column, which mostly is where it was made; of type
 * InvalidOid are enums. An altered type would be read as what it is not.
 */
AttrNumber
profile_attno(TupleDesc desc, const char *name, Oid type, int guess)
{
	for (int i = 0; i < desc->natts; i++)
	{
		int at = (guess + i) % desc->natts;
		Form_pg_attribute column = TupleDescAttr(desc, at);

		if (column->attisdropped ||
			strcmp(NameStr(column->attname), name) != 0)
			continue;
		if (OidIsValid(type) ? column->atttypid == type
							 : type_is_enum(column->atttypid))
			return at + 1;
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of a table of iaros is of type %s", name,
					format_type_be(column->atttypid)),
			 errdetail("It must be %s.",
					   OidIsValid(type) ? format_type_be(type) : "an enum")));
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of a table of iaros does not exist",
						   name)));
	return 0;
}

/* Finds the columns of the table. */
static void
keep_columns(ProfileKeep *table)
{
	static const Oid kinds[] = {[PROFILE_INTEGER] = INT4OID,
								[PROFILE_NUMBER] = NUMERICOID,
								[PROFILE_TIME] = TIMESTAMPTZOID,
								[PROFILE_TEXT] = TEXTOID,
								[PROFILE_BOOLEAN] = BOOLOID};
	TupleDesc desc = RelationGetDescr(table->relation);
	Oid types[KEEP_COLUMNS] = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};

	types[KEEP_STATE] = GetSysCacheOid2(
		TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("profile_state"),
		ObjectIdGetDatum(RelationGetNamespace(table->relation)));
	for (int i = 0; i < KEEP_COLUMNS; i++)
		table->fixed[i] = profile_attno(desc, keep_names[i], types[i], i);
	table->columns = palloc(profile_ncolumns * sizeof(AttrNumber));
	for (int i = 0; i < profile_ncolumns; i++)
	{
		const ProfileColumn *column = &profile_columns[i];
		Oid type = strcmp(column->name, KEEP_ENUM) == 0 ? InvalidOid
														: kinds[column->kind];

		table->columns[i] =
			profile_attno(desc, column->name, type, KEEP_COLUMNS + i);
	}
}

/* Notes that a column is changed, for triggers and generated columns. */
static void
keep_note_column(RangeTblEntry *entry, AttrNumber attno)
{
	entry->updatedCols = bms_add_member(
		entry->updatedCols, attno - FirstLowInvalidHeapAttributeNumber);
}

/* Makes the state in which the executor changes the table. */
static EState *
keep_estate(const ProfileKeep *table)
{
	Relation relation = table->relation;
	EState *estate = CreateExecutorState();
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
	for (int i = KEEP_CUSTOMER + 1; i < KEEP_COLUMNS; i++)
		keep_note_column(entry, table->fixed[i]);
	for (int i = 0; i < profile_ncolumns; i++)
		keep_note_column(entry, table->columns[i]);
	ExecInitRangeTable(estate, list_make1(entry));
	estate->es_output_cid = GetCurrentCommandId(true);
	estate->es_snapshot = GetActiveSnapshot();
	return estate;
}

/* Opens the table to change its rows. */
ProfileKeep *
profile_keep_open(void)
{
	ProfileKeep *table = palloc0(sizeof(ProfileKeep));

	core_require_install();
	table->relation =
		table_open(core_relation("profile_stored"), RowExclusiveLock);
	table->index = RelationGetPrimaryKeyIndex(table->relation);
	if (!OidIsValid(table->index))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("iaros.profile_stored has no primary key")));
	keep_columns(table);
	table->estate = keep_estate(table);
	table->info = makeNode(ResultRelInfo);
	InitResultRelInfo(table->info, table->relation, 1, NULL, 0);
	ExecOpenIndices(table->info, false);
	EvalPlanQualInit(&table->epq, table->estate, NULL, NIL, -1);
	table->search =
		table_slot_create(table->relation, &table->estate->es_tupleTable);
	table->found =
		table_slot_create(table->relation, &table->estate->es_tupleTable);
	table->changed =
		table_slot_create(table->relation, &table->estate->es_tupleTable);
	table->person = AllocSetContextCreate(CurrentMemoryContext, "iaros person",
										  ALLOCSET_DEFAULT_SIZES);
	AfterTriggerBeginQuery();
	return table;
}

/* Closes the table; what was changed is seen by what follows. */
void
profile_keep_close(ProfileKeep *table)
{
	AfterTriggerEndQuery(table->estate);
	EvalPlanQualEnd(&table->epq);
	ExecCloseIndices(table->info);
	ExecCloseResultRelations(table->estate);
	ExecResetTupleTable(table->estate->es_tupleTable, false);
	table_close(table->relation, NoLock);
	FreeExecutorState(table->estate);
	MemoryContextDelete(table->person);
	CommandCounterIncrement();
}

/* Finds and locks the newest row of a person. */
static bool
keep_find(ProfileKeep *table, int64 person)
{
	TupleTableSlot *search = table->search;

	ExecClearTuple(search);
	memset(search->tts_isnull, true,
		   search->tts_tupleDescriptor->natts * sizeof(bool));
	search->tts_values[table->fixed[KEEP_CUSTOMER] - 1] =
		Int64GetDatum(person);
	search->tts_isnull[table->fixed[KEEP_CUSTOMER] - 1] = false;
	ExecStoreVirtualTuple(search);
	return RelationFindReplTupleByIndex(table->relation, table->index,
										LockTupleNoKeyExclusive, search,
										table->found);
}

/* Returns the value of an enum for its label. */
static Datum
keep_enum(Oid type, Datum label)
{
	HeapTuple tuple =
		SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
						CStringGetDatum(TextDatumGetCString(label)));
	Oid value;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "enum %u has no value \"%s\"", type,
			 TextDatumGetCString(label));
	value = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	return ObjectIdGetDatum(value);
}

/* Fills in the columns of a history as of now. */
static void
keep_fill(ProfileKeep *table, ProfileHistory *history)
{
	TupleTableSlot *slot = table->changed;
	TupleDesc desc = slot->tts_tupleDescriptor;
	Datum *values = palloc0(profile_ncolumns * sizeof(Datum));
	bool *nulls = palloc0(profile_ncolumns * sizeof(bool));
	TimestampTz as_of = GetCurrentTimestamp();
	bytea *bytes = profile_wire_write(history, CurrentMemoryContext);
	TimestampTz due = profile_columns_read(history, as_of, values, nulls);

	slot->tts_values[table->fixed[KEEP_AS_OF] - 1] =
		TimestampTzGetDatum(as_of);
	slot->tts_values[table->fixed[KEEP_DUE_AT] - 1] = TimestampTzGetDatum(due);
	slot->tts_values[table->fixed[KEEP_STATE] - 1] = PointerGetDatum(bytes);
	for (int i = 0; i < profile_ncolumns; i++)
	{
		int at = table->columns[i] - 1;
		Oid type = TupleDescAttr(desc, at)->atttypid;

		slot->tts_values[at] = profile_columns[i].kind == PROFILE_TEXT &&
									   type != TEXTOID && !nulls[i]
								   ? keep_enum(type, values[i])
								   : values[i];
		slot->tts_isnull[at] = nulls[i];
	}
}

/*
 * Changes the history of a person: one is taken out, then another added.
 * are_new: bookings that are there already were read with their lines, of
 * which the new ones know nothing, and stay. False for who has no profile.
 * Persons must come in ascending order.
 */
bool
profile_keep_change(ProfileKeep *table, int64 person,
					const ProfileHistory *removed, ProfileHistory *added,
					bool are_new)
{
	MemoryContext caller;
	ProfileHistory *history;
	int natts = RelationGetDescr(table->relation)->natts;

	CHECK_FOR_INTERRUPTS();
	if (!keep_find(table, person))
		return false;
	caller = MemoryContextSwitchTo(table->person);
	slot_getallattrs(table->found);
	history = profile_wire_read(
		DatumGetByteaPP(
			table->found->tts_values[table->fixed[KEEP_STATE] - 1]),
		table->person);
	if (removed != NULL)
		profile_history_remove(history, removed);
	if (are_new)
		profile_history_skip(added, history);
	if (added != NULL)
		profile_history_merge(history, added);
	ExecClearTuple(table->changed);
	memcpy(table->changed->tts_values, table->found->tts_values,
		   natts * sizeof(Datum));
	memcpy(table->changed->tts_isnull, table->found->tts_isnull,
		   natts * sizeof(bool));
	keep_fill(table, history);
	ExecStoreVirtualTuple(table->changed);
	MemoryContextSwitchTo(caller);
	ExecSimpleRelationUpdate(table->info, table->estate, &table->epq,
							 table->found, table->changed);
	ExecClearTuple(table->changed);
	ExecClearTuple(table->found);
	ResetPerTupleExprContext(table->estate);
	MemoryContextReset(table->person);
	return true;
}

/* Returns the elements of an array argument, and how many there are. */
static Datum *
keep_array(FunctionCallInfo fcinfo, int arg, Oid type, bool **nulls, int *n)
{
	ArrayType *array;
	Datum *elements;
	int16 length;
	bool by_value;
	char align;

	*n = 0;
	if (PG_ARGISNULL(arg))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(arg);
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &elements, nulls,
					  n);
	return elements;
}

/* Returns a history of an array, NULL where there is none. */
static ProfileHistory *
keep_history(const Datum *states, const bool *nulls, int n, int i)
{
	if (i >= n || nulls[i])
		return NULL;
	return profile_wire_read(DatumGetByteaPP(states[i]), CurrentMemoryContext);
}

/* Raises an error unless the caller may change profiles. */
static void
keep_check_rights(void)
{
	Oid relid;
	AclResult result;

	core_require_install();
	relid = core_relation("profile_stored");
	result = pg_class_aclcheck(relid, GetUserId(), ACL_UPDATE);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, "profile_stored");
}

PG_FUNCTION_INFO_V1(profile_keep_put);

/*
 * SQL: profile_keep_put(persons bigint[], removed profile_state[], added
 * profile_state[])
 */
Datum
profile_keep_put(PG_FUNCTION_ARGS)
{
	MemoryContext work;
	MemoryContext caller;
	bool *nulls[3];
	int n[3];
	Datum *persons;
	Datum *removed;
	Datum *added;
	ProfileKeep *table;

	keep_check_rights();
	persons = keep_array(fcinfo, 0, INT8OID, &nulls[0], &n[0]);
	removed = keep_array(
		fcinfo, 1, get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 1)),
		&nulls[1], &n[1]);
	added = keep_array(
		fcinfo, 2, get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 2)),
		&nulls[2], &n[2]);
	if (n[0] == 0)
		PG_RETURN_VOID();
	table = profile_keep_open();
	work = AllocSetContextCreate(CurrentMemoryContext, "iaros histories",
								 ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < n[0]; i++)
	{
		if (nulls[0][i])
			continue;
		caller = MemoryContextSwitchTo(work);
		profile_keep_change(table, DatumGetInt64(persons[i]),
							keep_history(removed, nulls[1], n[1], i),
							keep_history(added, nulls[2], n[2], i), false);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	profile_keep_close(table);
	MemoryContextDelete(work);
	PG_RETURN_VOID();
}
