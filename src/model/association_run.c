/* Running associations: the items of a row, and the rules that apply. */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "model/association.h"
#include "model/model.h"

/* Operands of items: slot of a list, slots of the items, their texts. */
static bool
check_items(const Model *model, const uint32 *args)
{
	return args[2] == args[3];
}

/* Marks the items of a text. */
static void
items_mark(const Run *run, const uint32 *args, const char *text, Size size,
		   double *slot)
{
	int32 code = model_text_find(run->model, text, size);

	if (code < 0)
		return;
	for (uint32 i = 0; i < args[3]; i++)
		if (args[4 + i] == (uint32) code)
			slot[i] = 1;
}

/* Marks the items of a list; false if it is missing. */
static bool
items_row(const Run *run, const uint32 *args, double *row)
{
	double *slot = row + args[1];
	Size size;
	const char *text = run_text_get(run, row[args[0]], &size);
	const char *end = text + size;

	for (uint32 i = 0; i < args[2]; i++)
		slot[i] = 0;
	if (text == NULL)
		return false;
	while (text < end)
	{
		const char *next = memchr(text, MODEL_LIST_SEPARATOR, end - text);

		CHECK_FOR_INTERRUPTS();
		if (next == NULL)
			next = end;
		items_mark(run, args, text, next - text, slot);
		text = next + 1;
	}
	return true;
}

/* Marks the items of rows. */
static void
step_items(Run *run, const uint32 *args, int first, int n)
{
	for (int i = first; i < first + n; i++)
		if (!items_row(run, args, run_row(run, i)))
			run->invalid[i] = true;
}

const ModelOp model_op_items = {"items", "sS*t", check_items, NULL,
								step_items};

/*
 * Operands of an association: which rules apply, the rank that is told or how
 * many are, is it a list, slots of the items; then the items of the sets, one
 * set after the other, and the rules in order, five words each: range of the
 * antecedent, range of the consequent, and what is told of it.
 */
enum
{
	ASSOCIATION_ALGORITHM,
	ASSOCIATION_RANK,
	ASSOCIATION_LIST,
	ASSOCIATION_SLOTS,
	ASSOCIATION_NSLOTS,
	ASSOCIATION_MEMBERS,
	ASSOCIATION_HEAD
};

/* Items are those that there are, and sets are ranges of them. */
static bool
check_association(const Model *model, const uint32 *args)
{
	uint32 n = args[ASSOCIATION_MEMBERS];
	const uint32 *members = args + ASSOCIATION_HEAD;
	uint32 nrules = members[n];
	const uint32 *rule = members + n + 1;

	for (uint32 i = 0; i < n; i++)
		if (members[i] >= args[ASSOCIATION_NSLOTS])
			return false;
	for (uint32 i = 0; i < nrules; i++, rule += 5)
		if (rule[0] > n || rule[1] > n - rule[0] || rule[2] > n ||
			rule[3] > n - rule[2])
			return false;
	return args[ASSOCIATION_ALGORITHM] <= ASSOCIATION_RULE;
}

/* Tells whether a row has all items of a set. */
static bool
set_holds(const uint32 *args, const uint32 *range, const double *row)
{
	const uint32 *member = args + ASSOCIATION_HEAD + range[0];
	const double *slot = row + args[ASSOCIATION_SLOTS];

	for (uint32 i = 0; i < range[1]; i++)
		if (slot[member[i]] != 1)
			return false;
	return true;
}

/* Tells whether a rule applies to a row. */
static bool
rule_applies(const uint32 *args, const uint32 *rule, const double *row)
{
	if (!set_holds(args, rule, row))
		return false;
	if (args[ASSOCIATION_ALGORITHM] == ASSOCIATION_RECOMMENDATION)
		return true;
	return set_holds(args, rule + 2, row) ==
		   (args[ASSOCIATION_ALGORITHM] == ASSOCIATION_RULE);
}

/* The text of what is told of the rules that apply, as a list. */
static double
rules_list(const Run *run, const uint32 *args, const uint32 *rule,
		   uint32 nrules, const double *row)
{
	uint32 left =
		args[ASSOCIATION_RANK] == 0 ? nrules : args[ASSOCIATION_RANK];
	StringInfoData list;
	bool first = true;
	double code;

	initStringInfo(&list);
	for (uint32 i = 0; i < nrules && left > 0; i++, rule += 5)
	{
		const char *text;
		Size size;

		CHECK_FOR_INTERRUPTS();
		if (!rule_applies(args, rule, row))
			continue;
		left--;
		if (!first)
			appendStringInfoChar(&list, MODEL_LIST_SEPARATOR);
		first = false;
		text = run_text_get(run, run->num[rule[4]], &size);
		if (text != NULL)
			appendBinaryStringInfo(&list, text, (int) size);
	}
	code = run_text(run, list.data, list.len);
	pfree(list.data);
	return code;
}

/* What is told of the rule of a rank among those that apply, or of many. */
static double
eval_association(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *rule = args + ASSOCIATION_HEAD + args[ASSOCIATION_MEMBERS];
	uint32 nrules = *rule++;
	uint32 rank = 0;

	if (args[ASSOCIATION_LIST] != 0)
		return rules_list(run, args, rule, nrules, row);
	for (uint32 i = 0; i < nrules; i++, rule += 5)
	{
		CHECK_FOR_INTERRUPTS();
		if (rule_applies(args, rule, row) && ++rank == args[ASSOCIATION_RANK])
			return run->num[rule[4]];
	}
	return NAN;
}

const ModelOp model_op_association = {"association", "iiiS*i*(iiiin)",
									  check_association, eval_association,
									  NULL};
