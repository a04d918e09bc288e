/* RuleSetModel: which rules hold, and which of them decides. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/compile.h"
#include "model/model.h"

typedef enum RuleCriterion
{
	RULE_FIRST,
	RULE_SUM,
	RULE_MAX
} RuleCriterion;

/*
 * Operands. The slots are four for each label: its confidence, then working
 * space for the weight of its best rule, that rule, and when it first fired.
 * Rules are six words each: predicate, the rule that comes next when it does
 * not hold, label or MODEL_NONE, weight, confidence, id.
 */
enum
{
	RULESET_CRITERION,
	RULESET_SINGLE,
	RULESET_VALUE,
	RULESET_ENTITY,
	RULESET_SLOTS,
	RULESET_NSLOTS,
	RULESET_LABELS, /* first number, how many */
	RULESET_NLABELS,
	RULESET_DEFAULT, /* label, or MODEL_NONE */
	RULESET_CONFIDENCE,
	RULESET_RULES,
	RULESET_HEAD
};

enum
{
	RULE_TEST,
	RULE_NEXT,
	RULE_LABEL,
	RULE_WEIGHT,
	RULE_CONFIDENCE,
	RULE_ID,
	RULE_WORDS
};

/* Labels are those that there are, and rules lead to later rules. */
static bool
check_ruleset(const Model *model, const uint32 *args)
{
	uint32 n = args[RULESET_NLABELS];
	const uint32 *rule = args + RULESET_HEAD;

	if (args[RULESET_CRITERION] > RULE_MAX ||
		args[RULESET_NSLOTS] != 4 * (uint64) n)
		return false;
	if (args[RULESET_DEFAULT] != MODEL_NONE && args[RULESET_DEFAULT] >= n)
		return false;
	for (uint32 i = 0; i < args[RULESET_RULES]; i++, rule += RULE_WORDS)
		if ((rule[RULE_LABEL] != MODEL_NONE && rule[RULE_LABEL] >= n) ||
			rule[RULE_NEXT] <= i || rule[RULE_NEXT] > args[RULESET_RULES])
			return false;
	return true;
}

/* What labels have so far, one number each. */
typedef struct Fired
{
	double *confidence; /* sum of weights, or confidence of the best rule */
	double *weight;
	double *rule;  /* first word of the best rule's operands */
	double *order; /* missing: none of its rules fired */
	uint32 n;      /* rules that fired */
} Fired;

/* Notes that a rule fired. */
static void
rule_fire(const Run *run, const uint32 *args, uint32 i, Fired *fired)
{
	const uint32 *rule = args + RULESET_HEAD + RULE_WORDS * (Size) i;
	bool single = args[RULESET_SINGLE] != 0;
	uint32 label = rule[RULE_LABEL];
	double weight = run->num[rule[RULE_WEIGHT]];
	bool first = isnan(fired->order[label]);

	if (first)
	{
		fired->order[label] = fired->n;
		fired->confidence[label] = 0;
	}
	fired->n++;
	if (args[RULESET_CRITERION] == RULE_SUM)
		fired->confidence[label] = model_round(
			fired->confidence[label] + model_round(weight, single), single);
	if (!first && (args[RULESET_CRITERION] == RULE_FIRST ||
				   !(fired->weight[label] < weight)))
		return;
	fired->weight[label] = weight;
	fired->rule[label] = i;
	if (args[RULESET_CRITERION] != RULE_SUM)
		fired->confidence[label] =
			model_round(run->num[rule[RULE_CONFIDENCE]], single);
}

/* Tries all rules; those inside one that does not hold are passed over. */
static void
rules_try(const Run *run, const uint32 *args, const double *row, Fired *fired)
{
	const uint32 *rules = args + RULESET_HEAD;

	for (uint32 i = 0; i < args[RULESET_RULES];)
	{
		const uint32 *rule = rules + RULE_WORDS * (Size) i;

		if (model_eval(run, rule[RULE_TEST], row) != 1)
			i = rule[RULE_NEXT];
		else
		{
			if (rule[RULE_LABEL] != MODEL_NONE)
				rule_fire(run, args, i, fired);
			i++;
		}
	}
}

/*
 * The label that decides: of the first rule that fired, or the one with the
 * largest confidence, of equal ones the one that fired first.
 */
static uint32
rules_best(const uint32 *args, const Fired *fired)
{
	uint32 best = MODEL_NONE;

	for (uint32 i = 0; i < args[RULESET_NLABELS]; i++)
	{
		bool earlier;

		if (isnan(fired->order[i]))
			continue;
		if (best == MODEL_NONE)
		{
			best = i;
			continue;
		}
		earlier = fired->order[i] < fired->order[best];
		if (args[RULESET_CRITERION] == RULE_FIRST
				? earlier
				: fired->confidence[i] > fired->confidence[best] ||
					  (earlier &&
					   fired->confidence[i] == fired->confidence[best]))
			best = i;
	}
	return best;
}

/* Makes the confidences what is told: 0 where no rule fired. */
static void
rules_confidence(const uint32 *args, Fired *fired)
{
	bool single = args[RULESET_SINGLE] != 0;

	for (uint32 i = 0; i < args[RULESET_NLABELS]; i++)
		if (isnan(fired->order[i]))
			fired->confidence[i] = 0;
		else if (args[RULESET_CRITERION] == RULE_SUM)
			fired->confidence[i] =
				model_round(fired->confidence[i] / fired->n, single);
}

/* Scores one row; false if no rule fires and there is no default. */
static bool
ruleset_row(const Run *run, const uint32 *args, double *row)
{
	uint32 n = args[RULESET_NLABELS];
	double *slot = row + args[RULESET_SLOTS];
	const double *labels = run->num + args[RULESET_LABELS];
	Fired fired = {slot, slot + n, slot + 2 * n, slot + 3 * n, 0};
	double entity = NAN;
	uint32 best;

	for (uint32 i = 0; i < 4 * n; i++)
		slot[i] = NAN;
	row[args[RULESET_VALUE]] = NAN;
	row[args[RULESET_ENTITY]] = NAN;
	rules_try(run, args, row, &fired);
	rules_confidence(args, &fired);
	best = rules_best(args, &fired);
	if (best == MODEL_NONE)
	{
		best = args[RULESET_DEFAULT];
		if (best == MODEL_NONE)
			return false;
		slot[best] = run->num[args[RULESET_CONFIDENCE]];
	}
	else if (fired.rule[best] >= 0 && fired.rule[best] < args[RULESET_RULES])
		entity = args[RULESET_HEAD + RULE_WORDS * (Size) fired.rule[best] +
					  RULE_ID];
	row[args[RULESET_VALUE]] = labels[best];
	row[args[RULESET_ENTITY]] = entity;
	return true;
}

/* Scores rows. */
static void
step_ruleset(Run *run, const uint32 *args, int first, int n)
{
	for (int i = first; i < first + n; i++)
		if (!ruleset_row(run, args, run_row(run, i)))
			run->invalid[i] = true;
}

const ModelOp model_op_ruleset = {"ruleset", "iissSNin*(xiinnt)",
								  check_ruleset, NULL, step_ruleset};

/* A rule set that is being compiled. */
typedef struct RuleBuilder
{
	Compiler *c;
	Scope *scope;
	Result *result;
	uint32 maxlabels;
	uint32 nrules;
	uint32 maxrules;
	uint32 *rules;
	uint32 nsimple;
} RuleBuilder;

/* The number of a score, which is added when it is new. */
static uint32
rule_label(RuleBuilder *b, XmlNode *node, const char *score)
{
	double label = scope_label(b->c, b->scope, node, score);
	Result *result = b->result;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < result->nlabels; i++)
		if (result->labels[i] == label)
			return i;
	result->labels = builder_grow(result->labels, result->nlabels, 1,
								  &b->maxlabels, sizeof(double));
	result->labels[result->nlabels] = label;
	return result->nlabels++;
}

/* Adds a rule with its predicate; returns its number. */
static uint32
rule_add(RuleBuilder *b, XmlNode *node)
{
	XmlNode *test = predicate_child(node);
	uint32 *rule;

	if (test == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "rule has no predicate");
	b->rules = builder_grow(b->rules, b->nrules, 1, &b->maxrules,
							RULE_WORDS * sizeof(uint32));
	rule = b->rules + RULE_WORDS * (Size) b->nrules;
	rule[RULE_TEST] = predicate_compile(b->c, b->scope, test);
	rule[RULE_NEXT] = b->nrules + 1;
	rule[RULE_LABEL] = MODEL_NONE;
	rule[RULE_WEIGHT] = rule[RULE_CONFIDENCE] = rule[RULE_ID] = 0;
	return b->nrules++;
}

/* Compiles a rule that has a score. */
static void
rule_simple(RuleBuilder *b, XmlNode *node)
{
	const char *id = xml_attr(node, "id");
	XmlNode *list = xml_child(node, "ScoreDistribution");
	uint32 at = rule_add(b, node);
	uint32 *rule = b->rules + RULE_WORDS * (Size) at;

	b->nsimple++;
	rule[RULE_LABEL] = rule_label(b, node, xml_need(node, "score"));
	rule[RULE_WEIGHT] = builder_num(b->c, xml_number(node, "weight", 1));
	rule[RULE_CONFIDENCE] =
		builder_num(b->c, xml_number(node, "confidence", 1));
	rule[RULE_ID] =
		builder_text(b->c, id != NULL ? id : psprintf("%u", b->nsimple));
	xml_attr(node, "recordCount");
	xml_attr(node, "nbCorrect");
	for (; list != NULL; list = xml_next(list, "ScoreDistribution"))
		xml_skip(list);
}

/* Compiles the rules that are directly inside an element. */
static void
rules_compile(RuleBuilder *b, XmlNode *parent)
{
	check_stack_depth();
	for (XmlNode *node = parent->child; node != NULL; node = node->next)
	{
		if (xml_named(node, "SimpleRule"))
		{
			node->read = true;
			rule_simple(b, node);
		}
		else if (xml_named(node, "CompoundRule"))
		{
			uint32 at;

			node->read = true;
			at = rule_add(b, node);
			rules_compile(b, node);
			b->rules[RULE_WORDS * (Size) at + RULE_NEXT] = b->nrules;
		}
	}
}

/* The rules that can decide are the entities. */
static void
rules_entities(RuleBuilder *b)
{
	Result *result = b->result;
	const uint32 *rule = b->rules;

	result->entities = palloc(mul_size(b->nsimple, sizeof(double)));
	for (uint32 i = 0; i < b->nrules; i++, rule += RULE_WORDS)
		if (rule[RULE_LABEL] != MODEL_NONE)
			result->entities[result->nentities++] = rule[RULE_ID];
}

/* Reads how rules are selected: the first method is the default. */
static RuleCriterion
rules_criterion(XmlNode *node)
{
	XmlNode *method = xml_need_child(node, "RuleSelectionMethod");
	const char *words = "firstHit|weightedSum|weightedMax";
	RuleCriterion criterion;

	xml_need(method, "criterion");
	criterion = xml_choice(method, "criterion", words, 0);
	while ((method = xml_next(method, "RuleSelectionMethod")) != NULL)
		xml_choice(method, "criterion", words, 0);
	return criterion;
}

/* Writes the record. */
static void
rules_write(RuleBuilder *b, XmlNode *node, RuleCriterion criterion)
{
	Compiler *c = b->c;
	const char *score = xml_attr(node, "defaultScore");
	double confidence = xml_number(node, "defaultConfidence", NAN);
	uint32 label = score == NULL ? MODEL_NONE : rule_label(b, node, score);
	uint32 n = b->result->nlabels;

	b->result->value = builder_slots(c, 1);
	b->result->entity = builder_slots(c, 1);
	b->result->confidence = builder_slots(c, 4 * n);
	code_begin(c, OP_ruleset);
	code_word(c, criterion);
	code_word(c, b->scope->single);
	code_word(c, b->result->value);
	code_word(c, b->result->entity);
	code_word(c, b->result->confidence);
	code_word(c, 4 * n);
	code_nums(c, b->result->labels, n);
	code_word(c, label);
	code_num(c, confidence);
	code_word(c, b->nrules);
	for (uint32 i = 0; i < RULE_WORDS * b->nrules; i++)
		code_word(c, b->rules[i]);
	scope_step(b->scope, code_end(c));
}

/* Compiles a rule set. */
void
model_compile_ruleset(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	RuleBuilder b = {c, scope, result};
	XmlNode *set = xml_need_child(node, "RuleSet");
	RuleCriterion criterion = rules_criterion(set);

	if (!scope->classifies)
		xml_unsupported(node, "functionName", xml_attr(node, "functionName"));
	xml_attr(set, "recordCount");
	xml_attr(set, "nbCorrect");
	for (XmlNode *list = xml_child(set, "ScoreDistribution"); list != NULL;
		 list = xml_next(list, "ScoreDistribution"))
		xml_skip(list);
	result->type = scope->predicts;
	rules_compile(&b, set);
	rules_entities(&b);
	rules_write(&b, set, criterion);
	/* Without counts of its own, a rule's confidence is its probability. */
	result->probability = result->confidence;
}
