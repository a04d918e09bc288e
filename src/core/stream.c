/*
 * Set-returning functions as a plan node. PostgreSQL stores all rows of a
 * function in FROM before it reads the first of them, which for millions of
 * rows takes longer than many a computation. Where such a function stands
 * alone in FROM, the planner is given a node that returns each row when it
 * is asked for, and only the columns that are used.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/explain.h"
#include "core/stream.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#define STREAM_NAME "iaros rows"

/* Rows that share one reset of memory in a store. */
#define STREAM_BATCH 256

typedef struct CoreStreamState
{
	CustomScanState css;
	const CoreStream *stream;
	Oid function;
	List *args;        /* ExprStates */
	Bitmapset *params; /* on which they depend */
	bool *wanted;
	MemoryContext context;
	CoreRows *rows; /* NULL before the first row */
	uint64 next;
} CoreStreamState;

static const CoreStream *streams[CORE_STREAM_MAX];
static int nstreams = 0;
static set_rel_pathlist_hook_type next_hook = NULL;

/* Makes a function known; at library load. */
void
core_stream_register(const CoreStream *stream)
{
	Assert(nstreams < CORE_STREAM_MAX);
	streams[nstreams++] = stream;
}

/* Returns rows as a usual set-returning function does, all stored first. */
Datum
core_rows_return(FunctionCallInfo fcinfo, const CoreRows *rows)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	/* The query says which columns a function of records has. */
	int flags = get_func_rettype(fcinfo->flinfo->fn_oid) == RECORDOID &&
						result->expectedDesc != NULL
					? SRF_SINGLE_USE_EXPECTED
					: 0;
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	int natts;
	Datum *values;
	bool *nulls;
	bool *wanted;

	SetSingleFuncCall(fcinfo, flags);
	natts = result->setDesc->natts;
	values = palloc(natts * sizeof(Datum));
	nulls = palloc(natts * sizeof(bool));
	wanted = palloc(natts * sizeof(bool));
	memset(wanted, true, natts * sizeof(bool));
	caller = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < rows->n; i++)
	{
		if (i % STREAM_BATCH == 0)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
		}
		rows->get(rows, i, wanted, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/* The whole of the C function: called where the node does not stand. */
Datum
core_stream_call(FunctionCallInfo fcinfo, const CoreStream *stream)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
	{
		if (result == NULL || !IsA(result, ReturnSetInfo) ||
			result->expectedDesc == NULL)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function %s needs a list of columns", stream->name),
				 errhint("Call it in FROM, with AS and the columns.")));
		desc = result->expectedDesc;
	}
	return core_rows_return(fcinfo, stream->open(desc, fcinfo->args));
}

/* Returns the stream behind a function, NULL when it is none of ours. */
static const CoreStream *
stream_find(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	const CoreStream *found = NULL;
	FmgrInfo info;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	for (int i = 0; i < nstreams && found == NULL; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		/* What a strict function does with NULL, PostgreSQL does for it. */
		if (proc->prolang == ClanguageId && !proc->proisstrict &&
			strcmp(NameStr(proc->proname), streams[i]->name) == 0)
			found = streams[i];
	}
	ReleaseSysCache(tuple);
	if (found == NULL)
		return NULL;
	/* Somebody else's function of that name, or one with settings. */
	fmgr_info(function, &info);
	return info.fn_addr == found->function ? found : NULL;
}

/* Returns the function in FROM when the node can run it, or NULL. */
static RangeTblFunction *
stream_function(const RelOptInfo *rel, const RangeTblEntry *rte)
{
	RangeTblFunction *function;
	FuncExpr *call;

	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality ||
		list_length(rte->functions) != 1 || !bms_is_empty(rel->lateral_relids))
		return NULL;
	function = linitial_node(RangeTblFunction, rte->functions);
	call = (FuncExpr *) function->funcexpr;
	if (!IsA(call, FuncExpr) || list_length(call->args) > CORE_STREAM_ARGS ||
		stream_find(call->funcid) == NULL)
		return NULL;
	return function;
}

/* Collects the columns of a function that a query uses. */
static Bitmapset *
stream_columns(const RelOptInfo *rel)
{
	Bitmapset *columns = NULL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	pull_varattnos(
		(Node *) extract_actual_clauses(rel->baserestrictinfo, false),
		rel->relid, &columns);
	return columns;
}

static CustomPathMethods stream_path_methods;

/* Planner: gives a function of ours in FROM the node instead of a store. */
static void
stream_hook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	RangeTblFunction *function;
	CustomPath *path;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);
	if (rel->pathlist == NIL || (function = stream_function(rel, rte)) == NULL)
		return;
	/* Of whole rows only the function itself can make values. */
	if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber,
					  stream_columns(rel)))
		return;
	path = makeNode(CustomPath);
	path->path = *(Path *) linitial(rel->pathlist);
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = list_make1(function);
	path->methods = &stream_path_methods;
	rel->pathlist = list_make1(path);
}

/*
 * Describes the rows of a function: as declared, as the query says, or the
 * one column of a function of values.
 */
static TupleDesc
stream_desc(const RangeTblFunction *function)
{
	TupleDesc desc;
	Oid type;

	if (function->funccolnames != NIL)
		return BuildDescFromLists(
			function->funccolnames, function->funccoltypes,
			function->funccoltypmods, function->funccolcollations);
	switch (get_expr_result_type(function->funcexpr, &type, &desc))
	{
		case TYPEFUNC_COMPOSITE:
			return desc;
		case TYPEFUNC_SCALAR:
			desc = CreateTemplateTupleDesc(1);
			TupleDescInitEntry(desc, 1, "value", type, -1, 0);
			return desc;
		default:
			elog(ERROR, "a function of rows must return rows");
	}
}

/* Lists all columns of the function as what the node returns. */
static List *
stream_tlist(const RangeTblFunction *function, Index rti)
{
	List *tlist = NIL;
	TupleDesc desc = stream_desc(function);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		Var *var = makeVar(rti, i + 1, column->atttypid, column->atttypmod,
						   column->attcollation, 0);

		tlist =
			lappend(tlist, makeTargetEntry((Expr *) var, i + 1,
										   NameStr(column->attname), false));
	}
	return tlist;
}

/* Lists the numbers of the columns that a query uses. */
static List *
stream_wanted(const RelOptInfo *rel, int ncolumns)
{
	Bitmapset *columns = stream_columns(rel);
	List *wanted = NIL;

	for (int i = 1; i <= ncolumns; i++)
		if (bms_is_member(i - FirstLowInvalidHeapAttributeNumber, columns))
			wanted = lappend_int(wanted, i);
	return wanted;
}

/* Planner: makes the node. */
static Plan *stream_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
						 List *tlist, List *clauses, List *custom_plans);

static const CustomScanMethods stream_scan_methods;

static Plan *
stream_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
			List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	RangeTblFunction *function =
		linitial_node(RangeTblFunction, path->custom_private);
	FuncExpr *call = (FuncExpr *) function->funcexpr;

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->custom_scan_tlist = stream_tlist(function, rel->relid);
	scan->custom_exprs = call->args;
	scan->custom_private =
		list_make2(list_make1_oid(call->funcid),
				   stream_wanted(rel, list_length(scan->custom_scan_tlist)));
	scan->flags = path->flags;
	scan->methods = &stream_scan_methods;
	return &scan->scan.plan;
}

/* Raises an error unless the user may call the function. */
static void
stream_check_rights(Oid function)
{
	AclResult result = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

/* Executor: prepares the arguments. */
static void
stream_begin(CustomScanState *css, EState *estate, int eflags)
{
	CoreStreamState *state = (CoreStreamState *) css;
	CustomScan *scan = (CustomScan *) css->ss.ps.plan;
	ListCell *cell;

	state->function = linitial_oid(linitial(scan->custom_private));
	state->stream = stream_find(state->function);
	if (state->stream == NULL)
		elog(ERROR, "function %u is no stream", state->function);
	stream_check_rights(state->function);
	state->args = ExecInitExprList(scan->custom_exprs, &css->ss.ps);
	state->params = pull_paramids((Expr *) scan->custom_exprs);
	state->wanted =
		palloc0(list_length(scan->custom_scan_tlist) * sizeof(bool));
	foreach (cell, (List *) lsecond(scan->custom_private))
		state->wanted[lfirst_int(cell) - 1] = true;
	state->context = AllocSetContextCreate(estate->es_query_cxt, "iaros rows",
										   ALLOCSET_DEFAULT_SIZES);
}

/* Computes the rows. */
static void
stream_open(CoreStreamState *state)
{
	NullableDatum args[CORE_STREAM_ARGS];
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleDesc desc = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	ListCell *cell;
	int n = 0;

	foreach (cell, state->args)
	{
		args[n].value = ExecEvalExpr(lfirst(cell), econtext, &args[n].isnull);
		n++;
	}
	state->rows = state->stream->open(desc, args);
	state->next = 0;
	MemoryContextSwitchTo(caller);
}

/* Executor: returns the next row before conditions are tested. */
static TupleTableSlot *
stream_next(ScanState *scan)
{
	CoreStreamState *state = (CoreStreamState *) scan;
	TupleTableSlot *slot = scan->ss_ScanTupleSlot;
	MemoryContext caller;

	if (state->rows == NULL)
		stream_open(state);
	ExecClearTuple(slot);
	if (state->next >= state->rows->n)
		return slot;
	caller =
		MemoryContextSwitchTo(scan->ps.ps_ExprContext->ecxt_per_tuple_memory);
	state->rows->get(state->rows, state->next++, state->wanted,
					 slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	return ExecStoreVirtualTuple(slot);
}

/* Executor: a row of ours never changes. */
static bool
stream_recheck(ScanState *scan, TupleTableSlot *slot)
{
	return true;
}

/* Executor: returns the next row. */
static TupleTableSlot *
stream_exec(CustomScanState *css)
{
	return ExecScan(&css->ss, stream_next, stream_recheck);
}

/* Executor: frees the rows. */
static void
stream_end(CustomScanState *css)
{
	MemoryContextDelete(((CoreStreamState *) css)->context);
}

/* Executor: begins again, with new rows if an argument changed. */
static void
stream_rescan(CustomScanState *css)
{
	CoreStreamState *state = (CoreStreamState *) css;

	state->next = 0;
	/* A condition may have changed alone: the rows are the same. */
	if (bms_overlap(css->ss.ps.chgParam, state->params))
	{
		state->rows = NULL;
		MemoryContextReset(state->context);
	}
	ExecScanReScan(&css->ss);
}

/* EXPLAIN: names the function, and shows its arguments when asked to. */
static void
stream_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	CoreStreamState *state = (CoreStreamState *) css;
	CustomScan *scan = (CustomScan *) css->ss.ps.plan;
	List *context;

	ExplainPropertyText("Function", state->stream->name, es);
	if (es->analyze && state->rows != NULL)
		ExplainPropertyInteger("Workers Launched", NULL, state->rows->workers,
							   es);
	if (!es->verbose)
		return;
	context =
		set_deparse_context_plan(es->deparse_cxt, &scan->scan.plan, ancestors);
	ExplainPropertyText(
		"Arguments",
		deparse_expression((Node *) scan->custom_exprs, context, false, false),
		es);
}

static const CustomExecMethods stream_exec_methods = {
	.CustomName = STREAM_NAME,
	.BeginCustomScan = stream_begin,
	.ExecCustomScan = stream_exec,
	.EndCustomScan = stream_end,
	.ReScanCustomScan = stream_rescan,
	.ExplainCustomScan = stream_explain,
};

/* Executor: makes the state of the node. */
static Node *
stream_create_state(CustomScan *scan)
{
	CoreStreamState *state = palloc0(sizeof(CoreStreamState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &stream_exec_methods;
	return (Node *) state;
}

static const CustomScanMethods stream_scan_methods = {
	.CustomName = STREAM_NAME,
	.CreateCustomScanState = stream_create_state,
};

static CustomPathMethods stream_path_methods = {
	.CustomName = STREAM_NAME,
	.PlanCustomPath = stream_plan,
};

/* Registers the node and asks the planner to be told of functions. */
void
stream_init(void)
{
	RegisterCustomScanMethods(&stream_scan_methods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = stream_hook;
}
