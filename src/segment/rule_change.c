/* What rules read, and rules made of rules. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "segment/rule.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

/* The rows of segment_rule_facts(). */
typedef struct FactRows
{
	CoreRows rows;
	const RuleNode **conditions;
} FactRows;

/* A fact and the rule that comes in its place. */
typedef struct Replacement
{
	const char *fact;
	const SegmentRule *rule;
} Replacement;

typedef struct Replacing
{
	int n;
	Replacement *replacements; /* by fact */
	int nnodes;                /* of what comes out, before repeats go */
	Size size;
} Replacing;

/* Collects the conditions of a rule; only counts them while list is NULL. */
static void
fact_collect(const RuleNode *node, const RuleNode **list, int *n)
{
	if (node->fact != NULL)
	{
		if (list != NULL)
			list[*n] = node;
		(*n)++;
	}
	for (int i = 0; i < node->nchildren; i++)
		fact_collect(node->children[i], list, n);
}

/* Orders conditions by the facts that they read. */
static int
fact_compare(const void *a, const void *b)
{
	return strcmp((*(const RuleNode *const *) a)->fact,
				  (*(const RuleNode *const *) b)->fact);
}

/* Returns what kind of fact a condition reads. */
static const char *
fact_kind(const RuleNode *node)
{
	if (node->kind == RULE_EVENT)
		return "event";
	if (node->kind == RULE_SEGMENT)
		return "segment";
	if (node->operator== RULE_TOP)
		return "top";
	return node->operator== RULE_BOTTOM ? "bottom" : "field";
}

/* Fills in a row of segment_rule_facts(). */
static void
fact_row(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	const RuleNode *node = ((const FactRows *) rows)->conditions[i];

	values[0] = CStringGetTextDatum(node->fact);
	values[1] = CStringGetTextDatum(fact_kind(node));
	values[2] =
		DirectFunctionCall1(jsonb_in, CStringGetDatum(rule_fact_json(node)));
	memset(nulls, false, 3 * sizeof(bool));
}

PG_FUNCTION_INFO_V1(segment_rule_facts);
/* The facts that a rule reads, each once. */
Datum
segment_rule_facts(PG_FUNCTION_ARGS)
{
	RuleNode *tree = rule_tree(PG_GETARG_SEGMENT_RULE_P(0));
	FactRows facts = {.rows.get = fact_row};
	int n = 0;

	fact_collect(tree, NULL, &n);
	facts.conditions = palloc(n * sizeof(RuleNode *));
	n = 0;
	fact_collect(tree, facts.conditions, &n);
	qsort(facts.conditions, n, sizeof(RuleNode *), fact_compare);
	for (int i = 0; i < n; i++)
		if (i == 0 ||
			fact_compare(&facts.conditions[i - 1], &facts.conditions[i]) != 0)
			facts.conditions[facts.rows.n++] = facts.conditions[i];
	return core_rows_return(fcinfo, &facts.rows);
}

/* Returns a group of rules. */
static SegmentRule *
rule_group(RuleKind kind, const SegmentRule *a, const SegmentRule *b)
{
	RuleNode *children[2];
	RuleNode group = {.kind = kind, .children = children, .nchildren = 1};

	children[0] = rule_tree(a);
	if (b != NULL)
		children[group.nchildren++] = rule_tree(b);
	return rule_make(&group);
}

PG_FUNCTION_INFO_V1(segment_rule_and);
/* Both rules. */
Datum
segment_rule_and(PG_FUNCTION_ARGS)
{
	PG_RETURN_SEGMENT_RULE_P(rule_group(RULE_AND, PG_GETARG_SEGMENT_RULE_P(0),
										PG_GETARG_SEGMENT_RULE_P(1)));
}

PG_FUNCTION_INFO_V1(segment_rule_or);
/* One of two rules, or both. */
Datum
segment_rule_or(PG_FUNCTION_ARGS)
{
	PG_RETURN_SEGMENT_RULE_P(rule_group(RULE_OR, PG_GETARG_SEGMENT_RULE_P(0),
										PG_GETARG_SEGMENT_RULE_P(1)));
}

PG_FUNCTION_INFO_V1(segment_rule_not);
/* The negation of a rule. */
Datum
segment_rule_not(PG_FUNCTION_ARGS)
{
	PG_RETURN_SEGMENT_RULE_P(
		rule_group(RULE_NOT, PG_GETARG_SEGMENT_RULE_P(0), NULL));
}

/* Orders replacements by fact. */
static int
replacement_compare(const void *a, const void *b)
{
	return strcmp(((const Replacement *) a)->fact,
				  ((const Replacement *) b)->fact);
}

/* Reads an array that has no NULL. */
static Datum *
replace_array(ArrayType *array, char align, int *n)
{
	Datum *values;

	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("facts and rules must not be null")));
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, align, &values,
					  NULL, n);
	return values;
}

/* Reads which facts are to be replaced by which rules. */
static void
replace_open(Replacing *replacing, ArrayType *facts, ArrayType *rules)
{
	int nrules;
	Datum *names = replace_array(facts, TYPALIGN_INT, &replacing->n);
	Datum *values = replace_array(rules, TYPALIGN_INT, &nrules);

	if (replacing->n != nrules)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d facts cannot be replaced by %d rules",
							   replacing->n, nrules),
						errhint("Give one rule for each fact.")));
	replacing->replacements = palloc(Max(nrules, 1) * sizeof(Replacement));
	for (int i = 0; i < nrules; i++)
	{
		replacing->replacements[i].fact = TextDatumGetCString(names[i]);
		replacing->replacements[i].rule = DatumGetSegmentRuleP(values[i]);
	}
	qsort(replacing->replacements, nrules, sizeof(Replacement),
		  replacement_compare);
	for (int i = 1; i < nrules; i++)
		if (replacement_compare(&replacing->replacements[i - 1],
								&replacing->replacements[i]) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("fact \"%s\" is given twice",
								   replacing->replacements[i].fact)));
}

/* Adds to what comes out, before it is there. */
static void
replace_count(Replacing *replacing, const SegmentRule *rule)
{
	replacing->nnodes += rule->nnodes;
	replacing->size += VARSIZE(rule);
	rule_check_size(replacing->nnodes, 0, replacing->size);
}

/* Replaces the conditions of a tree, which it changes. */
static RuleNode *
replace_node(Replacing *replacing, RuleNode *node)
{
	const Replacement *found;
	Replacement key = {.fact = node->fact};

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	for (int i = 0; i < node->nchildren; i++)
		node->children[i] = replace_node(replacing, node->children[i]);
	if (node->fact == NULL)
		return node;
	found = bsearch(&key, replacing->replacements, replacing->n,
					sizeof(Replacement), replacement_compare);
	if (found == NULL)
		return node;
	replace_count(replacing, found->rule);
	return rule_tree(found->rule);
}

PG_FUNCTION_INFO_V1(segment_rule_replace);
/* A rule whose conditions on some facts are replaced by other rules. */
Datum
segment_rule_replace(PG_FUNCTION_ARGS)
{
	SegmentRule *rule = PG_GETARG_SEGMENT_RULE_P(0);
	Replacing replacing = {0};

	replace_open(&replacing, PG_GETARG_ARRAYTYPE_P(1),
				 PG_GETARG_ARRAYTYPE_P(2));
	replace_count(&replacing, rule);
	PG_RETURN_SEGMENT_RULE_P(
		rule_make(replace_node(&replacing, rule_tree(rule))));
}
