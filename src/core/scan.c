/*
 * A plan node between Gather and the plan below it. Each process that runs
 * it hands the rows of the plan below to a sink of its own and returns no
 * row. Workers publish what their sinks have made of the rows in shared
 * memory, where the leader merges it into its sink when all are done. So
 * any plan whose last step is to gather rows from workers serves a sink in
 * parallel, and no row passes through a tuple queue.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/parallel.h"
#include "core/scan.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"

#define SCAN_NAME "iaros sink"

/* Beyond the ids that the planner gives to the nodes of a plan. */
#define SCAN_PLAN_NODE_ID 0x3FFFFFFF

/* In shared memory: what workers need, and what they made. */
typedef struct ScanShared
{
	int nworkers;
	double rows; /* of the plan below, a guess */
	Size args_size;
	/* nworkers dsa_pointers, then the arguments of the sink */
	dsa_pointer published[FLEXIBLE_ARRAY_MEMBER];
} ScanShared;

typedef struct CoreScanState
{
	CustomScanState css;
	const CoreSink *sink;
	void *state;      /* of the sink in this process */
	const void *args; /* of the sink */
	Size args_size;
	ScanShared *shared;
	dsa_area *area;
	bool merged;
} CoreScanState;

static const CoreSink *sinks[CORE_SINK_MAX];
static int nsinks = 0;

/* Makes a sink known by its name, in workers too; at library load. */
void
core_sink_register(const CoreSink *sink)
{
	Assert(nsinks < CORE_SINK_MAX);
	sinks[nsinks++] = sink;
}

/* Returns the sink of that name. */
static const CoreSink *
scan_sink(const char *name)
{
	for (int i = 0; i < nsinks; i++)
		if (strcmp(sinks[i]->name, name) == 0)
			return sinks[i];
	elog(ERROR, "sink \"%s\" is not registered", name);
	return NULL;
}

/* Where the arguments of the sink are in shared memory. */
static inline char *
scan_shared_args(ScanShared *shared)
{
	return (char *) &shared->published[shared->nworkers];
}

/* Starts the plan below. */
static void
scan_begin(CustomScanState *css, EState *estate, int eflags)
{
	CustomScan *scan = (CustomScan *) css->ss.ps.plan;

	css->custom_ps =
		list_make1(ExecInitNode(linitial(scan->custom_plans), estate, eflags));
}

/* Hands all rows of the plan below to the sink and returns none. */
static TupleTableSlot *
scan_exec(CustomScanState *css)
{
	CoreScanState *scan = (CoreScanState *) css;
	PlanState *below = linitial(css->custom_ps);
	const CoreSink *sink = scan->sink;
	TupleTableSlot *slot;

	if (scan->state == NULL)
		scan->state = sink->begin(scan->args, scan->shared->rows);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		slot = ExecProcNode(below);
		if (TupIsNull(slot))
			break;
		sink->receive(scan->state, slot);
	}
	if (IsParallelWorker())
		scan->shared->published[ParallelWorkerNumber] =
			sink->publish(scan->state, css->ss.ps.state->es_query_dsa);
	return ExecClearTuple(css->ss.ps.ps_ResultTupleSlot);
}

/* Ends the plan below. */
static void
scan_end(CustomScanState *css)
{
	ExecEndNode(linitial(css->custom_ps));
}

/* A plan of ours runs once. */
static void
scan_rescan(CustomScanState *css)
{
	elog(ERROR, "a sink cannot be run twice");
}

/* Leader: how much shared memory is needed. */
static Size
scan_estimate(CustomScanState *css, ParallelContext *context)
{
	CoreScanState *scan = (CoreScanState *) css;
	Size size = offsetof(ScanShared, published);

	size = add_size(size, mul_size(context->nworkers, sizeof(dsa_pointer)));
	return add_size(size, scan->args_size);
}

/* Leader: fills the shared memory. */
static void
scan_share(CustomScanState *css, ParallelContext *context, void *coordinate)
{
	CoreScanState *scan = (CoreScanState *) css;
	ScanShared *shared = coordinate;

	shared->nworkers = context->nworkers;
	shared->rows = css->ss.ps.plan->plan_rows;
	shared->args_size = scan->args_size;
	for (int i = 0; i < shared->nworkers; i++)
		shared->published[i] = InvalidDsaPointer;
	memcpy(scan_shared_args(shared), scan->args, scan->args_size);
	scan->shared = shared;
	scan->area = css->ss.ps.state->es_query_dsa;
}

/* Worker: finds the sink and its arguments. */
static void
scan_share_worker(CustomScanState *css, shm_toc *toc, void *coordinate)
{
	CoreScanState *scan = (CoreScanState *) css;

	scan->shared = coordinate;
	scan->args = scan_shared_args(scan->shared);
	scan->args_size = scan->shared->args_size;
}

/* Leader, when all workers are done: merges what they published. */
static void
scan_shutdown(CustomScanState *css)
{
	CoreScanState *scan = (CoreScanState *) css;

	if (IsParallelWorker() || scan->shared == NULL || scan->merged)
		return;
	scan->merged = true;
	for (int i = 0; i < scan->shared->nworkers; i++)
		if (DsaPointerIsValid(scan->shared->published[i]))
			scan->sink->merge(scan->state, scan->area,
							  scan->shared->published[i]);
}

static const CustomExecMethods scan_exec_methods = {
	.CustomName = SCAN_NAME,
	.BeginCustomScan = scan_begin,
	.ExecCustomScan = scan_exec,
	.EndCustomScan = scan_end,
	.ReScanCustomScan = scan_rescan,
	.EstimateDSMCustomScan = scan_estimate,
	.InitializeDSMCustomScan = scan_share,
	.InitializeWorkerCustomScan = scan_share_worker,
	.ShutdownCustomScan = scan_shutdown,
};

/* Makes the node's state, in the leader and in each worker. */
static Node *
scan_create_state(CustomScan *scan)
{
	CoreScanState *state = palloc0(sizeof(CoreScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &scan_exec_methods;
	state->sink = scan_sink(strVal(linitial(scan->custom_private)));
	return (Node *) state;
}

static const CustomScanMethods scan_methods = {
	.CustomName = SCAN_NAME,
	.CreateCustomScanState = scan_create_state,
};

/* Registers the node; workers load the library and so know it. */
void
scan_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}

/* Tells whether a column of Gather is column i of the plan below. */
static bool
scan_column_is_plain(const TargetEntry *entry, const TargetEntry *below, int i)
{
	const Var *var = (const Var *) entry->expr;

	/* Constants are not looked up below, where they stand all the same. */
	if (IsA(var, Const))
		return equal(entry->expr, below->expr);
	return IsA(var, Var) && var->varno == OUTER_VAR && var->varattno == i;
}

/* Tells whether Gather hands on the rows of the plan below as they are. */
static bool
scan_gather_is_plain(const Gather *gather)
{
	const Plan *below = outerPlan(gather);
	int i = 0;
	ListCell *cell;
	ListCell *cell_below;

	if (gather->single_copy || gather->plan.qual != NIL || below == NULL)
		return false;
	forboth (cell, gather->plan.targetlist, cell_below, below->targetlist)
	{
		if (!scan_column_is_plain(lfirst_node(TargetEntry, cell),
								  lfirst_node(TargetEntry, cell_below), ++i))
			return false;
	}
	return i == list_length(below->targetlist) &&
		   i == list_length(gather->plan.targetlist);
}

/* Makes the node over a plan, with the same columns. */
static Plan *
scan_make(Plan *below, const char *sink)
{
	CustomScan *scan = makeNode(CustomScan);
	ListCell *cell;

	scan->scan.plan = (Plan){
		.type = T_CustomScan,
		.startup_cost = below->startup_cost,
		.total_cost = below->total_cost,
		.plan_rows = below->plan_rows,
		.plan_width = below->plan_width,
		.parallel_aware = true,
		.parallel_safe = true,
		.plan_node_id = SCAN_PLAN_NODE_ID,
		.extParam = bms_copy(below->extParam),
		.allParam = bms_copy(below->allParam),
	};
	foreach (cell, below->targetlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Oid type = exprType((Node *) entry->expr);
		int32 typmod = exprTypmod((Node *) entry->expr);
		Oid collation = exprCollation((Node *) entry->expr);
		Const *column = makeNullConst(type, typmod, collation);
		Var *var =
			makeVar(INDEX_VAR, entry->resno, type, typmod, collation, 0);

		scan->custom_scan_tlist =
			lappend(scan->custom_scan_tlist,
					makeTargetEntry((Expr *) column, entry->resno,
									entry->resname, false));
		scan->scan.plan.targetlist =
			lappend(scan->scan.plan.targetlist,
					makeTargetEntry((Expr *) var, entry->resno, entry->resname,
									entry->resjunk));
	}
	scan->custom_plans = list_make1(below);
	scan->custom_private = list_make1(makeString(pstrdup(sink)));
	scan->methods = &scan_methods;
	return &scan->scan.plan;
}

/*
 * Returns how many workers to ask for. The leader works here as hard as a
 * worker; with a worker a core it would wait for a core, and the others for
 * it.
 */
static int
scan_workers(int planned)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores > 1 ? Min(planned, cores - 1) : planned;
}

/*
 * Puts the node below the Gather at the top of a plan; false when there is
 * none that it could serve.
 */
bool
core_scan_push(PlannedStmt *plan, const char *sink)
{
	Gather *gather = (Gather *) plan->planTree;

	if (!IsA(gather, Gather) || !scan_gather_is_plain(gather))
		return false;
	outerPlan(gather) = scan_make(outerPlan(gather), sink);
	gather->num_workers = scan_workers(gather->num_workers);
	return true;
}

/* Gives the node of a plan that core_scan_push() changed its sink. */
void
core_scan_attach(PlanState *root, const CoreSink *sink, void *state,
				 const void *args, Size size)
{
	CoreScanState *scan;

	if (!IsA(root, GatherState) || !IsA(outerPlanState(root), CustomScanState))
		return;
	scan = (CoreScanState *) outerPlanState(root);
	if (scan->css.methods != &scan_exec_methods)
		return;
	Assert(scan->sink == sink);
	scan->state = state;
	scan->args = args;
	scan->args_size = size;
}

/* Returns how many workers took part in a plan that has run. */
int
core_scan_workers(const PlanState *root)
{
	return IsA(root, GatherState)
			   ? ((const GatherState *) root)->nworkers_launched
			   : 0;
}
