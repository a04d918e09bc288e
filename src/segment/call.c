/*
 * Calls of functions that ask rules of one record. What was made of rules for
 * a type of record belongs to one place in a query while it runs, and is then
 * kept for the next query: a page that asks for the segments of a customer
 * does not wait for 500 rules to be bound.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "segment/program.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Calls that are kept, and what they may take together. */
#define KEPT_MAX 8
#define KEPT_BYTES (32 * 1024 * 1024)

/* A place in a query that asks rules. */
typedef struct CallPlace
{
	SegmentCall *call; /* NULL: none yet */
	bool constant;     /* the rules never change */
	MemoryContextCallback callback;
} CallPlace;

/* Those that no place has, the last one used first; one more on the way. */
static SegmentCall *kept[KEPT_MAX + 1];
static int nkept = 0;

static uint64 enum_changes = 0;

/* Tells whether an argument is a constant of the query. */
static bool
call_constant(FunctionCallInfo fcinfo, int arg)
{
	const FuncExpr *call = (const FuncExpr *) fcinfo->flinfo->fn_expr;
	const Aggref *aggregate = AggGetAggref(fcinfo);

	/* A transition function has the state before them. */
	if (aggregate != NULL)
		return list_length(aggregate->args) >= arg &&
			   IsA(list_nth_node(TargetEntry, aggregate->args, arg - 1)->expr,
				   Const);
	return call != NULL && IsA(call, FuncExpr) &&
		   list_length(call->args) > arg &&
		   IsA(list_nth(call->args, arg), Const);
}

/* Counts changes of enums, whose labels programs have looked up. */
static void
kept_callback(Datum arg, int cache, uint32 hash)
{
	enum_changes++;
}

/* Ends a call that is kept. */
static void
kept_drop(int i)
{
	MemoryContextDelete(kept[i]->context);
	nkept--;
	memmove(&kept[i], &kept[i + 1], (nkept - i) * sizeof(SegmentCall *));
}

/* Keeps a call that no place needs any more, the last one first. */
static void
kept_put(SegmentCall *call)
{
	Size memory = 0;

	memmove(&kept[1], &kept[0], nkept * sizeof(SegmentCall *));
	kept[0] = call;
	nkept++;
	for (int i = 0; i < nkept; i++)
	{
		memory += MemoryContextMemAllocated(kept[i]->context, true);
		if (i == KEPT_MAX || memory > KEPT_BYTES)
			kept_drop(i--);
	}
}

/* Tells whether a call is of these rules and this type of record. */
static bool
call_serves(const SegmentCall *call, const struct varlena *rules, bool array,
			uint64 row_type)
{
	return call->row_type == row_type && call->array == array &&
		   call->enums == enum_changes && call->program->ready &&
		   VARSIZE(rules) == VARSIZE(call->rules) &&
		   memcmp(rules, call->rules, VARSIZE(rules)) == 0;
}

/* Takes a call of these rules from those that are kept; NULL if none is. */
static SegmentCall *
kept_take(const struct varlena *rules, bool array, uint64 row_type)
{
	for (int i = 0; i < nkept; i++)
		if (call_serves(kept[i], rules, array, row_type))
		{
			SegmentCall *call = kept[i];

			nkept--;
			memmove(&kept[i], &kept[i + 1],
					(nkept - i) * sizeof(SegmentCall *));
			return call;
		}
	return NULL;
}

/* Gives back what a place had when its query ends. */
static void
place_release(void *arg)
{
	CallPlace *place = arg;

	if (place->call != NULL)
		kept_put(place->call);
	place->call = NULL;
}

/* Returns the place of a call. */
static CallPlace *
place_open(FunctionCallInfo fcinfo, const SegmentArgs *args)
{
	static bool registered = false;
	CallPlace *place = fcinfo->flinfo->fn_extra;

	if (place != NULL)
		return place;
	if (!registered)
		CacheRegisterSyscacheCallback(ENUMOID, kept_callback, (Datum) 0);
	registered = true;
	place = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallPlace));
	place->constant = call_constant(fcinfo, args->rules);
	place->callback.func = place_release;
	place->callback.arg = place;
	MemoryContextRegisterResetCallback(fcinfo->flinfo->fn_mcxt,
									   &place->callback);
	fcinfo->flinfo->fn_extra = place;
	return place;
}

/* Binds rules to the type of a record, in the current context. */
static SegmentCall *
call_bind(const struct varlena *rules, bool array, HeapTupleHeader record,
		  uint64 row_type)
{
	SegmentCall *call = palloc0(sizeof(SegmentCall));
	const SegmentRule *one;
	const SegmentRule **all = &one;
	int nrules = 1;

	call->context = CurrentMemoryContext;
	call->enums = enum_changes;
	call->array = array;
	call->rules = memcpy(palloc(VARSIZE(rules)), rules, VARSIZE(rules));
	call->row_type = row_type;
	call->desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(record),
											 HeapTupleHeaderGetTypMod(record));
	if (array)
		all = segment_rules((ArrayType *) call->rules, &nrules);
	else
		one = (const SegmentRule *) call->rules;
	call->hash = segment_rules_hash(all, nrules);
	call->found = palloc(Max(nrules, 1) * sizeof(int32));
	call->program = segment_program_bind(
		call->context, segment_source(call->desc), all, nrules, !array);
	call->values = palloc(Max(call->desc->natts, 1) * sizeof(Datum));
	call->nulls = palloc(Max(call->desc->natts, 1) * sizeof(bool));
	return call;
}

/* Gives a place a call of these rules, one that is kept or a new one. */
static void
place_bind(CallPlace *place, const struct varlena *rules, bool array,
		   HeapTupleHeader record, uint64 row_type)
{
	MemoryContext context;
	MemoryContext caller;

	place_release(place);
	place->call = kept_take(rules, array, row_type);
	if (place->call != NULL)
		return;
	/* An error on the way ends it with the present query. */
	context = AllocSetContextCreate(CurrentMemoryContext, "iaros segment call",
									ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	place->call = call_bind(rules, array, record, row_type);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, TopMemoryContext);
}

/* Returns the zone of a call. */
static pg_tz *
call_zone(SegmentCall *call, const text *name)
{
	int length = VARSIZE_ANY_EXHDR(name);

	if (call->zone == NULL || strlen(call->zone_name) != length ||
		memcmp(call->zone_name, VARDATA_ANY(name), length) != 0)
	{
		char *copy = text_to_cstring(name);

		call->zone = segment_zone(copy);
		strlcpy(call->zone_name, copy, sizeof(call->zone_name));
		pfree(copy);
	}
	return call->zone;
}

/* Returns the moment of a call: the start of the transaction by default. */
static TimestampTz
call_as_of(FunctionCallInfo fcinfo, const SegmentArgs *args)
{
	return args->as_of < PG_NARGS() ? PG_GETARG_TIMESTAMPTZ(args->as_of)
									: GetCurrentTransactionStartTimestamp();
}

/*
 * Evaluates the rules of a call, one or an array of them, on its record.
 * The program is kept while its rules and the type of the record are the
 * same; another moment changes its bounds only.
 */
SegmentCall *
segment_call_evaluate(FunctionCallInfo fcinfo, const SegmentArgs *args,
					  bool array)
{
	CallPlace *place = place_open(fcinfo, args);
	SegmentCall *call = place->call;
	HeapTupleHeader record = PG_GETARG_HEAPTUPLEHEADER(args->record);
	uint64 row_type = assign_record_type_identifier(
		HeapTupleHeaderGetTypeId(record), HeapTupleHeaderGetTypMod(record));
	HeapTupleData tuple;

	if (call == NULL || call->row_type != row_type || !place->constant)
	{
		struct varlena *rules = PG_DETOAST_DATUM(PG_GETARG_DATUM(args->rules));

		if (call == NULL || !call_serves(call, rules, array, row_type))
			place_bind(place, rules, array, record, row_type);
		call = place->call;
		PG_FREE_IF_COPY(rules, args->rules);
	}
	segment_program_at(call->program, call_as_of(fcinfo, args),
					   args->zone < PG_NARGS()
						   ? call_zone(call, PG_GETARG_TEXT_PP(args->zone))
						   : pg_tzset("UTC"));
	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, call->desc, call->values, call->nulls);
	segment_program_row(call->program, call->values, call->nulls);
	PG_FREE_IF_COPY(record, args->record);
	return call;
}
