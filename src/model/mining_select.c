/*
 * MiningModels whose result is that of a segment, or of each: selectFirst,
 * modelChain, multiModelChain, selectAll.
 */
#include "postgres.h"

#include "model/mining.h"

/* The segments, from first to last, of which one can be the one that counts.
 */
static void
select_candidates(const Ensemble *ensemble, int *first, int *last)
{
	*first = 0;
	*last = ensemble->nparts - 1;
	if (ensemble->method == METHOD_CHAIN)
	{
		for (int i = 0; i <= *last; i++)
			if (ensemble->parts[i].always)
				*first = i;
		return;
	}
	for (int i = 0; ensemble->missing != MISSING_SKIP && i < *last; i++)
		if (ensemble->parts[i].always)
			*last = i;
}

/* Makes room for a target more. */
static void
targets_grow(Result *result)
{
	Size more = result->ntargets + 8;

	if (result->ntargets % 8 != 0)
		return;
	if (result->ntargets == 0)
	{
		result->targets = palloc(more * sizeof(Field *));
		result->target_slots = palloc(more * sizeof(uint32));
		result->target_results = palloc(more * sizeof(Result *));
		return;
	}
	result->targets = repalloc(result->targets, more * sizeof(Field *));
	result->target_slots =
		repalloc(result->target_slots, more * sizeof(uint32));
	result->target_results =
		repalloc(result->target_results, more * sizeof(Result *));
}

/* The slot of what a segment predicts for a target, MODEL_NONE if nothing. */
static uint32
part_target(const Part *part, const char *name, FieldType *type)
{
	const Result *found = part->found->result;
	const Field *target = part->found->scope->target;

	for (int i = 0; i < found->ntargets; i++)
		if (strcmp(found->targets[i]->name, name) == 0)
		{
			*type = found->targets[i]->type;
			return found->target_slots[i];
		}
	if (found->ntargets > 0 || target == NULL ||
		strcmp(target->name, name) != 0)
		return MODEL_NONE;
	*type = found->type;
	return found->value;
}

/* Reserves a slot for a target that some of the segments predict. */
static void
target_reserve(Ensemble *ensemble, const Part *parts, int n, Field *target,
			   Result *result)
{
	Field *field = palloc(sizeof(Field));
	uint32 slot = builder_slots(ensemble->c, 1);

	*field = *target;
	for (int i = 0; i < n; i++)
		if (part_target(&parts[i], field->name, &field->type) != MODEL_NONE)
			break;
	mining_put(ensemble, slot, NAN);
	targets_grow(result);
	result->targets[result->ntargets] = field;
	result->target_slots[result->ntargets] = slot;
	result->target_results[result->ntargets] = NULL;
	result->ntargets++;
}

/*
 * In a model for several targets the segment that decides tells which of
 * them have a value.
 */
static void
targets_select(Ensemble *ensemble, Part *parts, int n, Result *result)
{
	Scope *scope = ensemble->scope;
	uint32 nothing = builder_slots(ensemble->c, 1);
	Pairs missed = {0};

	mining_put(ensemble, nothing, NAN);
	result->ntargets = 0;
	for (int i = 0; i < scope->ntargets; i++)
		target_reserve(ensemble, parts, n, scope->targets[i], result);
	for (int i = 0; i < n; i++)
	{
		Pairs pairs = {0};

		mining_part_tell(ensemble, &parts[i]);
		for (int t = 0; t < result->ntargets; t++)
		{
			FieldType type;
			uint32 from =
				part_target(&parts[i], result->targets[t]->name, &type);

			mining_pair(&pairs, from == MODEL_NONE ? nothing : from,
						result->target_slots[t]);
		}
		mining_take(ensemble, parts[i].ran, MODEL_NONE, MODEL_NONE, NULL,
					&pairs);
	}
	if (ensemble->missing != MISSING_RETURN || ensemble->over == MODEL_NONE)
		return;
	for (int t = 0; t < result->ntargets; t++)
		mining_pair(&missed, nothing, result->target_slots[t]);
	mining_take(ensemble, ensemble->over, MODEL_NONE, MODEL_NONE, NULL,
				&missed);
}

/*
 * Fields by the names of the output fields of a segment, as far as segments
 * before it gave them to the model; NULL for others.
 */
static const Field **
chain_fields(Ensemble *ensemble, const Part *part, int *n)
{
	const XmlNode *output = xml_peek_child(part->model, "Output");
	const XmlNode *first = output == NULL ? NULL : output->child;
	const Field **fields;

	*n = 0;
	for (const XmlNode *node = first; node != NULL; node = node->next)
		(*n)++;
	fields = palloc0(sizeof(Field *) * (Size) Max(*n, 1));
	*n = 0;
	for (const XmlNode *node = first; node != NULL; node = node->next)
	{
		const char *name = xml_peek(node, "name");
		const Field *field =
			name == NULL ? NULL : field_find(&ensemble->scope->fields, name);

		if (field != NULL && field->node != NULL &&
			strcmp(field->node->name, "OutputField") == 0)
			fields[*n] = field;
		(*n)++;
	}
	return fields;
}

/*
 * Where segments of a chain have output fields of the same name, those that
 * follow see that of the last one that ran.
 */
static void
chain_join(Ensemble *ensemble, const Part *part, const Field **before, int n)
{
	Compiler *c = ensemble->c;
	Scope *scope = ensemble->scope;
	Pairs pairs = {0};

	for (int i = 0; i < n && part->ran != MODEL_NONE; i++)
	{
		Field *joined;
		uint32 own;

		if (before[i] == NULL)
			continue;
		joined = palloc(sizeof(Field));
		*joined = *field_find(&scope->fields, before[i]->name);
		if (joined->type.type != before[i]->type.type)
			xml_fail(joined->node, ERRCODE_FEATURE_NOT_SUPPORTED,
					 "output field \"%s\" has another type in another "
					 "segment",
					 joined->name);
		own = joined->slot;
		joined->slot = scope_set(
			c, scope, expression_slot(c, before[i]->slot, joined->type));
		mining_pair(&pairs, own, joined->slot);
		field_add(&scope->fields, joined);
	}
	if (pairs.n > 0)
		mining_take(ensemble, part->ran, MODEL_NONE, MODEL_NONE, NULL, &pairs);
}

/* Compiles a segment of a chain, whose output fields the next ones see. */
static void
chain_part(Ensemble *ensemble, Part *part, uint32 flags, bool told)
{
	int n;
	const Field **before = chain_fields(ensemble, part, &n);

	for (int i = 0; i < n; i++)
		told = told || before[i] != NULL;
	mining_part_compile(ensemble, part, flags, told);
	chain_join(ensemble, part, before, n);
	pfree(before);
}

/* The target that some segments predict, for a model that does not tell. */
static Field *
select_target(const Part *parts, int n)
{
	Field *target = parts[0].found->scope->target;

	for (int i = 1; target != NULL && i < n; i++)
	{
		const Field *other = parts[i].found->scope->target;

		if (other == NULL || strcmp(other->name, target->name) != 0)
			return NULL;
	}
	return target;
}

/* selectFirst and modelChain: the result is that of one segment. */
void
mining_select(Ensemble *ensemble, Result *result)
{
	bool returns = ensemble->missing == MISSING_RETURN;
	uint32 flags = 0;
	uint32 ignored;
	int first;
	int last;

	select_candidates(ensemble, &first, &last);
	if (returns)
		flags |= SEGMENT_STOP_MISSING;
	if (ensemble->method == METHOD_FIRST)
		flags |= SEGMENT_STOP_FOUND;
	if (ensemble->missing == MISSING_SKIP)
		flags |= SEGMENT_PASS_MISSING;
	mining_begin(ensemble, flags != 0 && (last > 0 || returns));
	result->segment = builder_slots(ensemble->c, 1);
	mining_put(ensemble, result->segment, NAN);
	for (int i = 0; i < ensemble->nparts; i++)
		if (i <= last)
			chain_part(ensemble, &ensemble->parts[i], flags, i >= first);
		else /* never reached, but it must be right */
			(void) mining_part_model(ensemble, &ensemble->parts[i], &ignored);
	if (first == last)
		mining_result_only(ensemble, &ensemble->parts[first], result);
	else
		mining_result_last(ensemble, &ensemble->parts[first], last - first + 1,
						   result);
	if (ensemble->scope->target == NULL)
		ensemble->scope->target =
			select_target(&ensemble->parts[first], last - first + 1);
	if (ensemble->scope->ntargets > 1 && result->ntargets == 0)
		targets_select(ensemble, &ensemble->parts[first], last - first + 1,
					   result);
	result->nothing = returns ? result->value : result->segment;
	result->passed = true;
}

/* Notes a target that a segment predicts. */
static void
target_add(const Part *part, Result *result, const Field *target,
		   Result *found)
{
	Field *field = palloc(sizeof(Field));
	int n = result->ntargets;

	for (int i = 0; i < n; i++)
		if (strcmp(result->targets[i]->name, target->name) == 0)
			xml_fail(part->node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "two segments predict \"%s\"", target->name);
	targets_grow(result);
	*field = *target;
	field->type = found->type;
	result->targets[n] = field;
	result->target_slots[n] = found->value;
	result->target_results[n] = found;
	result->ntargets++;
}

/* Notes the targets that a segment predicts. */
static void
targets_add(const Part *part, Result *result)
{
	Result *found = part->found->result;

	for (int i = 0; i < found->ntargets; i++)
		if (found->target_results != NULL && found->target_results[i] != NULL)
			target_add(part, result, found->targets[i],
					   found->target_results[i]);
		else
			xml_unsupported(part->model, NULL, NULL);
	if (found->ntargets == 0 && part->found->scope->target != NULL)
		target_add(part, result, part->found->scope->target, found);
}

/* multiModelChain: each segment predicts a target of its own. */
void
mining_multi(Ensemble *ensemble, Result *result)
{
	bool stops = ensemble->missing == MISSING_RETURN;
	Result targets = {0};
	Pairs pairs = {0};

	mining_begin(ensemble, stops);
	for (int i = 0; i < ensemble->nparts; i++)
	{
		Part *part = &ensemble->parts[i];

		chain_part(ensemble, part, stops ? SEGMENT_STOP_MISSING : 0, false);
		targets_add(part, &targets);
		mining_outputs_pass(ensemble, part, NULL);
	}
	for (int i = 0; i < targets.ntargets; i++)
		mining_pair(&pairs, MODEL_NONE, targets.target_slots[i]);
	if (stops)
		mining_outputs_missed(ensemble, &pairs);
	*result = *ensemble->parts[0].found->result;
	result->segment = MODEL_NONE;
	result->nothing = MODEL_NONE;
	result->passed = true;
	result->ntargets = targets.ntargets;
	result->targets = targets.targets;
	result->target_slots = targets.target_slots;
	result->target_results = targets.target_results;
}

/* selectAll: the result is a list of the values of the segments. */
void
mining_all(Ensemble *ensemble, Result *result)
{
	Compiler *c = ensemble->c;
	bool stops = ensemble->missing == MISSING_RETURN;
	Pairs pairs = {0};

	mining_begin(ensemble, stops);
	for (int i = 0; i < ensemble->nparts; i++)
	{
		Part *part = &ensemble->parts[i];

		mining_part_compile(ensemble, part, stops ? SEGMENT_STOP_MISSING : 0,
							true);
		mining_part_tell(ensemble, part);
	}
	mining_labels_join(ensemble->parts, ensemble->nparts, result);
	if (result->type.type > VALUE_TEXT)
		xml_unsupported(ensemble->node, "multipleModelMethod", "selectAll");
	result->value = builder_slots(c, 1);
	code_begin(c, OP_gather);
	code_word(c, result->type.type);
	code_word(c, result->value);
	code_word(c, ensemble->nparts);
	for (int i = 0; i < ensemble->nparts; i++)
	{
		code_word(c, ensemble->parts[i].ran);
		code_word(c, ensemble->parts[i].found->result->value);
	}
	scope_step(ensemble->scope, code_end(c));
	mining_pair(&pairs, MODEL_NONE, result->value);
	if (stops)
		mining_take(ensemble, ensemble->over, MODEL_NONE, MODEL_NONE, NULL,
					&pairs);
	result->nlabels = 0;
	result->labels = NULL;
	result->type = type_text;
	result->list = true;
	result->passed = true;
}
