/*
 * Sources of rows: the text a caller gives becomes a query, which runs with
 * the caller's rights and search_path and hands its rows to a sink.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "core.h"
#include "core/scan.h"
#include "core/source.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/scansup.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A guess for estimates: so many rows of a source belong to one customer. */
#define SOURCE_ROWS_PER_CUSTOMER 10

/* Hands the rows of the executor to a sink. */
typedef struct SourceReceiver
{
	DestReceiver pub;
	const CoreSink *sink;
	void *state;
} SourceReceiver;

/* Tells whether c can stand in an unquoted name, as its first letter too. */
static inline bool
source_name_char(unsigned char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		IS_HIGHBIT_SET(c))
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '$');
}

/* Steps over one name, quoted or not; NULL when there is none. */
static const char *
source_skip_name(const char *at)
{
	if (*at != '"')
	{
		if (!source_name_char((unsigned char) *at, true))
			return NULL;
		while (source_name_char((unsigned char) *at, false))
			at++;
		return at;
	}
	do
	{
		const char *start = ++at;

		at = strchr(start, '"');
		if (at == NULL)
			return NULL;
		at++;
	} while (*at == '"');
	return at;
}

/* Steps over white space. */
static const char *
source_skip_space(const char *at)
{
	while (scanner_isspace(*at))
		at++;
	return at;
}

/* Tells whether text is a name, with or without schema, and nothing else. */
static bool
source_is_name(const char *text)
{
	const char *at = source_skip_name(source_skip_space(text));

	while (at != NULL && *at == '.')
		at = source_skip_name(at + 1);
	return at != NULL && *source_skip_space(at) == '\0';
}

/* Returns TABLE name for a relation that can be seen in search_path. */
static char *
source_relation_query(const char *source)
{
	List *names = stringToQualifiedNameList(source);
	RangeVar *range = makeRangeVarFromNameList(names);
	Oid relid = RangeVarGetRelid(range, NoLock, true);
	char *name;

	if (!OidIsValid(relid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s\" does not exist", NameListToString(names)),
			 errhint("A source is the name of a relation, with its schema "
					 "unless that is in search_path, or a query.")));
	name = DatumGetCString(
		DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)));
	return psprintf("TABLE %s", name);
}

/*
 * Returns a source as a query: the name of a relation becomes TABLE name;
 * all else is taken as a query, without a semicolon at its end.
 */
char *
core_source_query(const char *source)
{
	int length;

	if (source == NULL)
		source = "";
	if (*source_skip_space(source) == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("source is empty"),
						errhint("Give the name of a relation, or a query.")));
	if (source_is_name(source))
		return source_relation_query(source);
	length = strlen(source);
	while (length > 0 &&
		   (scanner_isspace(source[length - 1]) || source[length - 1] == ';'))
		length--;
	/* A new line, since the query may end with a comment. */
	return psprintf("%.*s\n", length, source);
}

/* Shows an error inside the source as one inside a query of ours. */
static void
source_error_callback(void *arg)
{
	const char *query = arg;
	int length = strlen(query);
	int position = geterrposition();

	while (length > 0 && query[length - 1] == '\n')
		length--;
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(pnstrdup(query, length));
	}
	else
		errcontext("source \"%.*s\"", length, query);
}

/* Raises the error for a source that does more than read. */
static void
source_error_writes(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("source is not a query that only reads"),
					errhint("Give the name of a relation, or one SELECT that "
							"changes and locks nothing.")));
}

/* Parses the query of a source and returns its one SELECT. */
static Query *
source_parse(const char *text)
{
	List *statements = pg_parse_query(text);
	Query *query;

	if (list_length(statements) != 1)
		source_error_writes();
	query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), text,
									  NULL, 0, NULL);
	if (query->commandType != CMD_SELECT)
		source_error_writes();
	return linitial_node(Query, pg_rewrite_query(query));
}

/* Opens a source: what columns it has is known then, its rows are not. */
CoreSource *
core_source_open(const char *text)
{
	CoreSource *source = palloc0(sizeof(CoreSource));
	ErrorContextCallback callback;

	source->query = core_source_query(text);
	callback.callback = source_error_callback;
	callback.arg = source->query;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	source->tree = source_parse(source->query);
	source->desc = ExecCleanTypeFromTL(source->tree->targetList);
	error_context_stack = callback.previous;
	return source;
}

/* Returns the number of the column of that name, 0 when there is none. */
int
core_source_attno(const CoreSource *source, const char *name)
{
	for (int i = 0; i < source->desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(source->desc, i)->attname), name) ==
			0)
			return i + 1;
	return 0;
}

/* Returns the names of all columns, for an error. */
char *
core_source_columns(const CoreSource *source)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < source->desc->natts; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "",
						 NameStr(TupleDescAttr(source->desc, i)->attname));
	return list.data;
}

/*
 * Estimates how many different values a column of a source has: what is
 * known of the table's column that it comes from, 0 when nothing is.
 */
double
core_source_distinct(const CoreSource *source, int attno)
{
	const TargetEntry *column = list_nth(source->tree->targetList, attno - 1);
	HeapTuple statistic = NULL;
	HeapTuple relation;
	double distinct = 0;

	/* Of a partitioned table those of its parts together. */
	for (int inherited = 0; inherited <= 1 && statistic == NULL; inherited++)
		statistic = SearchSysCache3(
			STATRELATTINH, ObjectIdGetDatum(column->resorigtbl),
			Int16GetDatum(column->resorigcol), BoolGetDatum(inherited));
	if (statistic == NULL)
		return 0;
	distinct = ((Form_pg_statistic) GETSTRUCT(statistic))->stadistinct;
	ReleaseSysCache(statistic);
	if (distinct >= 0)
		return distinct;
	/* As a share of the rows. */
	relation = SearchSysCache1(RELOID, ObjectIdGetDatum(column->resorigtbl));
	if (!HeapTupleIsValid(relation))
		return 0;
	distinct *= -Max(((Form_pg_class) GETSTRUCT(relation))->reltuples, 0);
	ReleaseSysCache(relation);
	return distinct;
}

/* DestReceiver: nothing to prepare. */
static void
source_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

/* DestReceiver: nothing to release before the end of the query's memory. */
static void
source_shutdown(DestReceiver *self)
{
}

/* DestReceiver: hands on one row. */
static bool
source_receive(TupleTableSlot *slot, DestReceiver *self)
{
	SourceReceiver *receiver = (SourceReceiver *) self;

	receiver->sink->receive(receiver->state, slot);
	return true;
}

/*
 * Plans the query. Rows that go to a sink inside the workers do not pass
 * to the leader, so that they must not cost anything there: the planner is
 * told so while it looks for a plan.
 */
static PlannedStmt *
source_plan(CoreSource *source, const CoreSink *sink)
{
	PlannedStmt *plan;
	int level = NewGUCNestLevel();

	(void) set_config_option("parallel_tuple_cost", "0", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	plan = pg_plan_query(copyObject(source->tree), source->query,
						 CURSOR_OPT_PARALLEL_OK, NULL);
	AtEOXact_GUC(false, level);
	/* Workers that would only send us their rows are no gain. */
	if (!core_scan_push(plan, sink->name) && plan->parallelModeNeeded)
		plan = pg_plan_query(source->tree, source->query,
							 CURSOR_OPT_PARALLEL_OK, NULL);
	return plan;
}

/* Runs the plan to its end. */
static void
source_execute(CoreSource *source, const CoreSink *sink, void *state,
			   PlannedStmt *plan, const void *args, Size size)
{
	SourceReceiver receiver = {
		.pub = {.receiveSlot = source_receive,
				.rStartup = source_startup,
				.rShutdown = source_shutdown,
				.rDestroy = source_shutdown,
				.mydest = DestNone},
		.sink = sink,
		.state = state,
	};
	QueryDesc *run;

	if (!CommandIsReadOnly(plan))
		source_error_writes();
	run = CreateQueryDesc(plan, source->query, GetActiveSnapshot(),
						  InvalidSnapshot, &receiver.pub, NULL, NULL, 0);

	ExecutorStart(run, 0);
	core_scan_attach(run->planstate, sink, state, args, size);
	ExecutorRun(run, ForwardScanDirection, 0, true);
	source->workers = core_scan_workers(run->planstate);
	ExecutorFinish(run);
	ExecutorEnd(run);
	FreeQueryDesc(run);
}

/*
 * Runs a source and hands every row of it to the sink, whose state, begun
 * in the current memory context, is returned.
 */
void *
core_source_run(CoreSource *source, const CoreSink *sink, const void *args,
				Size size)
{
	ErrorContextCallback callback;
	PlannedStmt *plan;
	void *state;
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros source", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	callback.callback = source_error_callback;
	callback.arg = source->query;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	plan = source_plan(source, sink);
	MemoryContextSwitchTo(caller);
	state = sink->begin(args, plan->planTree->plan_rows);
	MemoryContextSwitchTo(context);
	source_execute(source, sink, state, plan, args, size);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return state;
}

/*
 * Estimates the rows of a source: those of a relation as last counted, -1
 * when that is not known.
 */
static double
source_estimate(const char *source)
{
	List *names;
	Oid relid;
	HeapTuple tuple;
	double rows = -1;

	if (!source_is_name(source))
		return -1;
	names = stringToQualifiedNameList(source);
	if (list_length(names) > 2)
		return -1;
	relid = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

/*
 * Estimates the rows that a call returns, and into *read the rows of its
 * source; -1 when that is not known. A function whose first argument is the
 * source returns a row a customer; one that has it after what it applies to
 * the rows returns a row for each.
 */
static double
source_estimate_call(Node *call, double *read)
{
	List *args;
	bool applies;
	Const *source;

	if (call == NULL || !is_funcclause(call))
		return -1;
	args = ((FuncExpr *) call)->args;
	applies = exprType(linitial(args)) != TEXTOID;
	if (list_length(args) < 1 + (applies ? 1 : 0))
		return -1;
	source = list_nth(args, applies ? 1 : 0);
	if (!IsA(source, Const) || source->constisnull ||
		source->consttype != TEXTOID)
		return -1;
	*read = source_estimate(TextDatumGetCString(source->constvalue));
	return applies || *read < 0 ? *read : *read / SOURCE_ROWS_PER_CUSTOMER;
}

PG_FUNCTION_INFO_V1(source_support);

/*
 * SQL: source_support(internal), a planner support function: estimates the
 * cost and the rows of a function of a source, see source_estimate_call().
 * Calling it also loads the library, and so core/stream.c, before plans are
 * made.
 */
Datum
source_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);
	double rows;
	double read;

	if (IsA(request, SupportRequestRows))
	{
		rows = source_estimate_call(((SupportRequestRows *) request)->node,
									&read);
		if (rows < 0)
			PG_RETURN_POINTER(NULL);
		((SupportRequestRows *) request)->rows = clamp_row_est(rows);
		PG_RETURN_POINTER(request);
	}
	if (IsA(request, SupportRequestCost))
	{
		rows = source_estimate_call(((SupportRequestCost *) request)->node,
									&read);
		if (rows < 0)
			PG_RETURN_POINTER(NULL);
		/* Reading, and a handful of steps a row. */
		((SupportRequestCost *) request)->startup =
			read * (cpu_tuple_cost + 4 * cpu_operator_cost);
		((SupportRequestCost *) request)->per_tuple = cpu_operator_cost;
		PG_RETURN_POINTER(request);
	}
	PG_RETURN_POINTER(NULL);
}

PG_FUNCTION_INFO_V1(source_query);

/* SQL: source_query(source text) */
Datum
source_query(PG_FUNCTION_ARGS)
{
	core_require_install();
	PG_RETURN_TEXT_P(cstring_to_text(core_source_query(
		PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}
