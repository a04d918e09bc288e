/*
 * MiningModel: segments, each a model and a predicate that tells for which
 * rows it is.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/mining.h"

/* multipleModelMethod in that order; vendors have some before the standard. */
static const char *const method_names[] = {"sum",
										   "weightedSum",
										   "average",
										   "weightedAverage",
										   "median",
										   "weightedMedian",
										   "majorityVote",
										   "weightedMajorityVote",
										   "max",
										   "selectFirst",
										   "selectAll",
										   "modelChain",
										   "multiModelChain"};

/* Reads multipleModelMethod. */
static MultipleMethod
method_read(XmlNode *node)
{
	const char *name = xml_need(node, "multipleModelMethod");
	const char *plain = strncmp(name, "x-", 2) == 0 ? name + 2 : name;

	for (int i = 0; i < lengthof(method_names); i++)
		if (strcmp(plain, method_names[i]) == 0)
			return i;
	xml_unsupported(node, "multipleModelMethod", name);
}

/* Reads an attribute that has two names. */
static const char *
vendor_attr(XmlNode *node, const char *name)
{
	return xml_attr(node, name) != NULL ? name : psprintf("x-%s", name);
}

/* Reads a Segment, unless its predicate is False. */
static void
part_read(Ensemble *ensemble, XmlNode *node, int number)
{
	XmlNode *predicate = predicate_child(node);
	Part *part = &ensemble->parts[ensemble->nparts];

	if (predicate == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "segment has no predicate");
	if (xml_named(predicate, "False"))
	{
		xml_skip(node);
		return;
	}
	memset(part, 0, sizeof(*part));
	part->node = node;
	part->id = xml_attr(node, "id");
	if (part->id == NULL)
		part->id = psprintf("%d", number);
	part->weight = xml_number(node, "weight", 1);
	if (part->weight < 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "weight of a segment is negative");
	part->predicate = predicate;
	part->always = predicate_is_true(predicate);
	part->model = compile_model_child(node);
	if (part->model == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "segment has no model that is known");
	part->ran = MODEL_NONE;
	ensemble->nparts++;
}

/* With several models but those of a chain, all do the same as the whole. */
static void
part_check(Ensemble *ensemble, Part *part)
{
	const char *whole = xml_need(ensemble->scope->node, "functionName");
	const char *own = xml_need(part->model, "functionName");

	if (ensemble->method != METHOD_CHAIN && strcmp(whole, "mixed") != 0 &&
		strcmp(whole, own) != 0)
		xml_fail(part->model, ERRCODE_INVALID_PARAMETER_VALUE,
				 "functionName \"%s\" of a segment is not that of the "
				 "MiningModel, \"%s\"",
				 own, whole);
}

/* Reads the Segmentation. */
static void
ensemble_read(Ensemble *ensemble)
{
	XmlNode *node = ensemble->node;
	XmlNode *segment = xml_need_child(node, "Segment");
	int number = 0;

	ensemble->method = method_read(node);
	ensemble->missing =
		xml_choice(node, vendor_attr(node, "missingPredictionTreatment"),
				   "continue|skipSegment|returnMissing", MISSING_CONTINUE);
	ensemble->threshold =
		xml_number(node, vendor_attr(node, "missingThreshold"), 1);
	if (!(ensemble->threshold >= 0 && ensemble->threshold <= 1))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "missingThreshold is not between 0 and 1");
	ensemble->parts = palloc_extended(
		sizeof(Part) * (Size) xml_children(node, "Segment"), MCXT_ALLOC_HUGE);
	for (; segment != NULL; segment = xml_next(segment, "Segment"))
	{
		CHECK_FOR_INTERRUPTS();
		part_read(ensemble, segment, ++number);
	}
	for (int i = 0; i < ensemble->nparts; i++)
		part_check(ensemble, &ensemble->parts[i]);
}

/* Adds a range of slots to a list, if there is one. */
static int
range_add(uint32 *list, int n, uint32 slot, int count)
{
	if (slot == MODEL_NONE || count == 0)
		return n;
	list[2 * n] = slot;
	list[2 * n + 1] = count;
	return n + 1;
}

/* The slots that others read of a segment: first, number, and so on. */
static uint32 *
part_ranges(const Part *part, int *nranges)
{
	const Result *result = part->found->result;
	int n = 0;
	int outputs = 0;
	uint32 *list;

	for (Field *field = part->found->scope->outputs; field != NULL;
		 field = field->next)
		outputs++;
	list =
		palloc(sizeof(uint32) * 2 * (Size) (outputs + result->ntargets + 9));
	n = range_add(list, n, result->value, 1);
	n = range_add(list, n, result->probability, result->nlabels);
	n = range_add(list, n, result->confidence, result->nlabels);
	n = range_add(list, n, result->affinity, result->nentities);
	n = range_add(list, n, result->entity, Max(1, result->nranked));
	n = range_add(list, n, result->ranked, result->nranked);
	n = range_add(list, n, result->reason, result->nreasons);
	n = range_add(list, n, result->display, 1);
	n = range_add(list, n, result->segment, 1);
	for (int i = 0; i < result->ntargets; i++)
		n = range_add(list, n, result->target_slots[i], 1);
	for (Field *field = part->found->scope->outputs; field != NULL;
		 field = field->next)
		n = range_add(list, n, field->slot, 1);
	*nranges = n;
	return list;
}

/* Notes what a segment found among the results of the model. */
static void
part_keep(Ensemble *ensemble, Part *part)
{
	SegmentResult **last = &ensemble->scope->segments;

	if (part > ensemble->parts && part[-1].found != NULL)
		last = &part[-1].found->next;
	part->found->id = part->id;
	part->found->next = NULL;
	*last = part->found;
}

/* Compiles the predicate and the model of a segment; returns its step. */
uint32
mining_part_model(Ensemble *ensemble, Part *part, uint32 *condition)
{
	Compiler *c = ensemble->c;

	CHECK_FOR_INTERRUPTS();
	*condition = part->always
					 ? MODEL_NONE
					 : predicate_compile(c, ensemble->scope, part->predicate);
	part->found = palloc0(sizeof(SegmentResult));
	part->found->result = palloc(sizeof(Result));
	result_init(part->found->result);
	return compile_model(c, ensemble->scope, part->model, part->found->result,
						 &part->found->scope);
}

/*
 * Compiles a segment and adds its step. told: others must know for which rows
 * it ran.
 */
void
mining_part_compile(Ensemble *ensemble, Part *part, uint32 flags, bool told)
{
	Compiler *c = ensemble->c;
	uint32 condition;
	uint32 step = mining_part_model(ensemble, part, &condition);
	uint32 *ranges;
	int nranges;

	part_keep(ensemble, part);
	if (part->always && ensemble->over == MODEL_NONE)
	{
		scope_step(ensemble->scope, step);
		return;
	}
	if (told)
		part->ran = builder_slots(c, 1);
	ranges = part_ranges(part, &nranges);
	code_begin(c, OP_segment);
	code_word(c, flags);
	code_word(c, condition);
	code_word(c, step);
	code_word(c, ensemble->over);
	code_word(c, part->found->result->value);
	code_word(c, part->ran);
	code_word(c, nranges);
	for (int i = 0; i < 2 * nranges; i++)
		code_word(c, ranges[i]);
	scope_step(ensemble->scope, code_end(c));
	pfree(ranges);
}

/* Adds the step that puts a number into a slot. */
void
mining_put(Ensemble *ensemble, uint32 slot, double value)
{
	Operand number = expression_number(ensemble->c, value, type_double);

	scope_put(ensemble->c, ensemble->scope, slot, number.at);
}

/* Makes sure that there is a slot that tells whether a segment ran. */
void
mining_part_tell(Ensemble *ensemble, Part *part)
{
	if (part->ran != MODEL_NONE)
		return;
	part->ran = builder_slots(ensemble->c, 1);
	mining_put(ensemble, part->ran, 1);
}

/* Reserves the slot that tells when the segments of a row are over. */
void
mining_begin(Ensemble *ensemble, bool stops)
{
	ensemble->over = MODEL_NONE;
	if (!stops)
		return;
	ensemble->over = builder_slots(ensemble->c, 1);
	mining_put(ensemble, ensemble->over, SEGMENT_GOING);
}

/* How results of the function of the model are combined. */
CombineMethod
mining_combine_method(Ensemble *ensemble)
{
	XmlNode *model = ensemble->scope->node;
	bool classifies = ensemble->scope->classifies;
	bool votes = ensemble->method == METHOD_VOTE ||
				 ensemble->method == METHOD_WEIGHTED_VOTE;
	bool clusters = xml_is(model, "functionName", "clustering");

	if (classifies && ensemble->method == METHOD_AVERAGE)
		return COMBINE_PROBABILITY;
	if (classifies && ensemble->method == METHOD_WEIGHTED_AVERAGE)
		return COMBINE_WEIGHTED_PROBABILITY;
	if (classifies && ensemble->method == METHOD_MEDIAN)
		return COMBINE_MEDIAN_PROBABILITY;
	if (classifies && ensemble->method == METHOD_MAX)
		return COMBINE_MAX_PROBABILITY;
	if (ensemble->method == METHOD_MAX || votes != (classifies || clusters) ||
		(!votes && !xml_is(model, "functionName", "regression")))
		xml_fail(ensemble->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "multipleModelMethod \"%s\" is not for functionName \"%s\"",
				 method_names[ensemble->method],
				 xml_need(model, "functionName"));
	return (CombineMethod) ensemble->method;
}

/* Labels that the target declares, where a segment does not tell its own. */
static void
labels_complete(Ensemble *ensemble, Result *result)
{
	Field *target = ensemble->scope->target;

	for (int i = 0; i < ensemble->nparts; i++)
	{
		const Result *found = ensemble->parts[i].found->result;

		if (found->nlabels > 0)
			continue;
		if (found->nentities > 0)
			mining_labels_add(result, found->entities, found->nentities);
		else if (target != NULL)
			mining_labels_add(result, target->values, target->nvalues);
	}
	if (result->nlabels == 0)
		xml_fail(ensemble->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "segments have no values to vote for");
}

/* Sets where the probabilities of a segment are, in the order of all labels.
 */
static void
part_order(Ensemble *ensemble, Part *part, const Result *result)
{
	const Result *found = part->found->result;
	bool same = found->nlabels == result->nlabels;
	Pairs pairs = {0};

	if (found->probability == MODEL_NONE)
		xml_fail(part->model, ERRCODE_INVALID_PARAMETER_VALUE,
				 "segment has no probabilities to be combined");
	for (int i = 0; same && i < result->nlabels; i++)
		same = found->labels[i] == result->labels[i];
	part->probability = found->probability;
	if (same)
		return;
	mining_part_tell(ensemble, part);
	part->probability = builder_slots(ensemble->c, result->nlabels);
	mining_pair_labels(&pairs, found, found->probability, result,
					   part->probability);
	mining_take(ensemble, part->ran, found->value, MODEL_NONE, NULL, &pairs);
}

/* Adds the step that combines the segments. */
static void
combine_emit(Ensemble *ensemble, CombineMethod method, const Result *result)
{
	Compiler *c = ensemble->c;
	bool labels = method >= COMBINE_VOTE;

	code_begin(c, OP_combine);
	code_word(c, method);
	code_word(c, ensemble->missing);
	code_word(c, ensemble->scope->single);
	code_num(c, ensemble->threshold);
	code_word(c, result->value);
	code_word(c, labels ? result->probability : result->value);
	code_word(c, labels ? result->nlabels : 0);
	code_nums(c, result->labels, result->nlabels);
	code_word(c, ensemble->nparts);
	for (int i = 0; i < ensemble->nparts; i++)
	{
		const Part *part = &ensemble->parts[i];

		code_word(c, part->ran);
		code_word(c, part->found->result->value);
		code_num(c, part->weight);
		code_word(c, method >= COMBINE_PROBABILITY ? part->probability
												   : MODEL_NONE);
	}
	scope_step(ensemble->scope, code_end(c));
}

/* The other methods: something is calculated from all segments. */
static void
combine_compile(Ensemble *ensemble, Result *result)
{
	Compiler *c = ensemble->c;
	CombineMethod method = mining_combine_method(ensemble);

	mining_begin(ensemble, false);
	for (int i = 0; i < ensemble->nparts; i++)
		mining_part_compile(ensemble, &ensemble->parts[i], 0, true);
	result->value = builder_slots(c, 1);
	if (method < COMBINE_VOTE)
		result->type = type_real(ensemble->scope->single);
	else
	{
		mining_labels_join(ensemble->parts, ensemble->nparts, result);
		labels_complete(ensemble, result);
		result->probability = builder_slots(c, result->nlabels);
	}
	for (int i = 0; method >= COMBINE_PROBABILITY && i < ensemble->nparts; i++)
		part_order(ensemble, &ensemble->parts[i], result);
	combine_emit(ensemble, method, result);
	if (!ensemble->scope->classifies && method >= COMBINE_VOTE)
	{
		/* Clusters: votes are their affinities. */
		result->nentities = result->nlabels;
		result->entities = result->labels;
		result->affinity = result->probability;
		result->entity = result->value;
		result->nlabels = 0;
		result->labels = NULL;
		result->probability = MODEL_NONE;
	}
}

/* Compiles the segments by their method. */
static void
ensemble_compile(Ensemble *ensemble, Result *result)
{
	bool chains = ensemble->method == METHOD_CHAIN ||
				  ensemble->method == METHOD_MULTI_CHAIN;

	if (ensemble->missing == MISSING_SKIP &&
		(chains || ensemble->method == METHOD_ALL))
		xml_unsupported(ensemble->node, "missingPredictionTreatment",
						"skipSegment");
	if (ensemble->method == METHOD_FIRST || ensemble->method == METHOD_CHAIN)
		mining_select(ensemble, result);
	else if (ensemble->method == METHOD_MULTI_CHAIN)
		mining_multi(ensemble, result);
	else if (ensemble->method == METHOD_ALL)
		mining_all(ensemble, result);
	else if (!mining_forest(ensemble, result))
		combine_compile(ensemble, result);
}

/* A MiningModel. */
void
model_compile_mining(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	static const char *const embedded[] = {"DecisionTree", "Regression"};
	Ensemble ensemble = {c, scope};

	check_stack_depth();
	for (int i = 0; i < lengthof(embedded); i++)
		if (xml_peek_child(node, embedded[i]) != NULL)
			xml_unsupported(xml_peek_child(node, embedded[i]), NULL, NULL);
	ensemble.node = xml_need_child(node, "Segmentation");
	ensemble.over = MODEL_NONE;
	ensemble_read(&ensemble);
	result->segment = MODEL_NONE;
	if (ensemble.nparts == 0)
	{
		/* No segment is for any row. */
		result->type = scope->predicts;
		result->value = builder_slots(c, 1);
		mining_put(&ensemble, result->value, NAN);
		return;
	}
	ensemble_compile(&ensemble, result);
}
