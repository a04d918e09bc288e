/* What a MiningModel takes over from the segments that decide. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/mining.h"

/* Adds a pair. */
void
mining_pair(Pairs *pairs, uint32 from, uint32 to)
{
	pairs->words = builder_grow(pairs->words, pairs->n, 1, &pairs->max,
								2 * sizeof(uint32));
	pairs->words[2 * pairs->n] = from;
	pairs->words[2 * pairs->n + 1] = to;
	pairs->n++;
}

/* Adds the step that takes over slots where another slot is 1. */
void
mining_take(Ensemble *ensemble, uint32 when, uint32 value, uint32 id_slot,
			const char *id, const Pairs *pairs)
{
	Compiler *c = ensemble->c;

	code_begin(c, OP_take);
	code_word(c, when);
	code_word(c, value);
	code_word(c, id_slot);
	code_num(c, id_slot == MODEL_NONE ? 0 : builder_text(c, id));
	code_word(c, pairs->n);
	for (uint32 i = 0; i < 2 * pairs->n; i++)
		code_word(c, pairs->words[i]);
	scope_step(ensemble->scope, code_end(c));
}

/* The number of a label in a result; -1 if it is none. */
static int
label_index(const Result *result, double label)
{
	for (int i = 0; i < result->nlabels; i++)
		if (result->labels[i] == label)
			return i;
	return -1;
}

/* Adds labels that a result does not have yet. */
void
mining_labels_add(Result *result, const double *labels, int n)
{
	if (n == 0 ||
		(n == result->nlabels &&
		 memcmp(labels, result->labels, sizeof(double) * (Size) n) == 0))
		return;
	result->labels =
		result->labels == NULL
			? palloc(sizeof(double) * Max(n, 1))
			: repalloc(result->labels,
					   sizeof(double) * ((Size) result->nlabels + n));
	for (int i = 0; i < n; i++)
		if (label_index(result, labels[i]) < 0)
			result->labels[result->nlabels++] = labels[i];
}

/* A type that holds the values of two; both are texts or none is. */
static FieldType
type_join(const Part *part, FieldType left, FieldType right)
{
	if (left.type == right.type)
		return left;
	if (left.type > VALUE_INTEGER || right.type > VALUE_INTEGER)
		xml_fail(part->model, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "segments predict values of different kinds");
	left.type = VALUE_DOUBLE;
	return left;
}

/* Gathers labels and the type of the results of segments. */
void
mining_labels_join(const Part *parts, int n, Result *result)
{
	result->type = parts[0].found->result->type;
	for (int i = 0; i < n; i++)
	{
		const Result *found = parts[i].found->result;

		CHECK_FOR_INTERRUPTS();
		result->type = type_join(&parts[i], result->type, found->type);
		mining_labels_add(result, found->labels, found->nlabels);
	}
}

/* Have all of the results a list of slots of this kind, as long as the first?
 */
static bool
parts_have(const Part *parts, int n, Size slot, Size count)
{
	for (int i = 0; i < n; i++)
	{
		const char *first = (const char *) parts[0].found->result;
		const char *found = (const char *) parts[i].found->result;

		if (*(const uint32 *) (found + slot) == MODEL_NONE)
			return false;
		if (count != 0 &&
			*(const int *) (found + count) != *(const int *) (first + count))
			return false;
	}
	return true;
}

/* Adds the pairs of a list of slots, label by label. */
void
mining_pair_labels(Pairs *pairs, const Result *found, uint32 from,
				   const Result *result, uint32 to)
{
	if (to == MODEL_NONE)
		return;
	for (int i = 0; i < result->nlabels; i++)
	{
		int label = label_index(found, result->labels[i]);

		mining_pair(pairs, label < 0 ? MODEL_NONE : from + label, to + i);
	}
}

/* Adds the pairs of a list of slots. */
static void
pairs_list(Pairs *pairs, uint32 from, uint32 to, int n)
{
	for (int i = 0; to != MODEL_NONE && i < n; i++)
		mining_pair(pairs, from + i, to + i);
}

/* Adds a pair for each slot of what a segment found that the whole has. */
static void
pairs_result(Pairs *pairs, const Result *found, const Result *result)
{
	mining_pair(pairs, found->value, result->value);
	mining_pair_labels(pairs, found, found->probability, result,
					   result->probability);
	mining_pair_labels(pairs, found, found->confidence, result,
					   result->confidence);
	pairs_list(pairs, found->entity, result->entity, Max(1, result->nranked));
	pairs_list(pairs, found->ranked, result->ranked, result->nranked);
	pairs_list(pairs, found->display, result->display, 1);
	pairs_list(pairs, found->reason, result->reason, result->nreasons);
}

/* Reserves slots for what all of some segments have. */
static void
result_join(Ensemble *ensemble, const Part *parts, int n, Result *result)
{
	Compiler *c = ensemble->c;
	const Result *first = parts[0].found->result;
	uint32 start = c->nslots;

	result->list = first->list;
	for (int i = 1; i < n; i++)
		if (parts[i].found->result->list != first->list)
			xml_fail(parts[i].model, ERRCODE_FEATURE_NOT_SUPPORTED,
					 "segments predict values of different kinds");
	mining_labels_join(parts, n, result);
	result->value = builder_slots(c, 1);
	if (parts_have(parts, n, offsetof(Result, probability), 0))
		result->probability = builder_slots(c, result->nlabels);
	if (parts_have(parts, n, offsetof(Result, confidence), 0))
		result->confidence = builder_slots(c, result->nlabels);
	if (parts_have(parts, n, offsetof(Result, entity),
				   offsetof(Result, nranked)))
	{
		result->nranked = first->nranked;
		result->entity = builder_slots(c, Max(1, first->nranked));
	}
	if (parts_have(parts, n, offsetof(Result, display), 0))
		result->display = builder_slots(c, 1);
	if (result->nranked > 0 &&
		parts_have(parts, n, offsetof(Result, ranked), 0))
		result->ranked = builder_slots(c, result->nranked);
	if (parts_have(parts, n, offsetof(Result, reason),
				   offsetof(Result, nreasons)))
	{
		result->nreasons = first->nreasons;
		result->reason = builder_slots(c, first->nreasons);
	}
	for (uint32 slot = start; slot < c->nslots; slot++)
		mining_put(ensemble, slot, NAN);
}

/* Does the model itself have an output field of that name? */
static bool
output_is_own(const Ensemble *ensemble, const char *name)
{
	const XmlNode *output = xml_peek_child(ensemble->scope->node, "Output");

	for (const XmlNode *field = output == NULL ? NULL : output->child;
		 field != NULL; field = field->next)
	{
		const char *own = xml_peek(field, "name");

		if (own != NULL && strcmp(own, name) == 0)
			return true;
	}
	return false;
}

/* The output field of a name that segments gave to the model, or its end. */
static Field **
output_find(Scope *scope, const char *name)
{
	Field **at = &scope->outputs;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

/*
 * Makes output fields of a segment output fields of the model. With pairs
 * they are one of several segments' that can be asked: they get slots of
 * their own, one for each name, and pairs from and to.
 */
void
mining_outputs_pass(Ensemble *ensemble, const Part *part, Pairs *pairs)
{
	for (Field *field = part->found->scope->outputs; field != NULL;
		 field = field->next)
	{
		Field **at = output_find(ensemble->scope, field->name);

		if (output_is_own(ensemble, field->name))
			continue;
		if (*at == NULL)
		{
			*at = palloc(sizeof(Field));
			**at = *field;
			(*at)->next = NULL;
			if (pairs != NULL)
			{
				(*at)->slot = builder_slots(ensemble->c, 1);
				mining_put(ensemble, (*at)->slot, NAN);
			}
		}
		else if ((*at)->type.type != field->type.type)
			xml_fail(field->node, ERRCODE_FEATURE_NOT_SUPPORTED,
					 "output field \"%s\" has another type in another "
					 "segment",
					 field->name);
		if (pairs != NULL)
			mining_pair(pairs, field->slot, (*at)->slot);
	}
}

/* Empties what segments gave to the model for rows that it has no result for.
 */
void
mining_outputs_missed(Ensemble *ensemble, Pairs *missed)
{
	for (Field *field = ensemble->scope->outputs; field != NULL;
		 field = field->next)
		mining_pair(missed, MODEL_NONE, field->slot);
	if (missed->n > 0)
		mining_take(ensemble, ensemble->over, MODEL_NONE, MODEL_NONE, NULL,
					missed);
}

/* Makes the result that of the last of some segments that ran. */
void
mining_result_last(Ensemble *ensemble, Part *parts, int n, Result *result)
{
	Pairs missed = {0};

	result_join(ensemble, parts, n, result);
	for (int i = 0; i < n; i++)
	{
		const Result *found = parts[i].found->result;
		Pairs pairs = {0};

		mining_part_tell(ensemble, &parts[i]);
		pairs_result(&pairs, found, result);
		mining_outputs_pass(ensemble, &parts[i], &pairs);
		mining_take(ensemble, parts[i].ran, found->value, result->segment,
					parts[i].id, &pairs);
	}
	if (ensemble->missing != MISSING_RETURN)
		return;
	pairs_result(&missed, result, result);
	for (uint32 i = 0; i < missed.n; i++)
		missed.words[2 * i] = MODEL_NONE;
	mining_outputs_missed(ensemble, &missed);
}

/* Makes the result that of a segment. */
void
mining_result_only(Ensemble *ensemble, const Part *part, Result *result)
{
	uint32 id = result->segment;
	Pairs none = {0};
	Pairs missed = {0};

	*result = *part->found->result;
	result->segment = id;
	mining_outputs_pass(ensemble, part, NULL);
	if (ensemble->missing == MISSING_RETURN)
		mining_outputs_missed(ensemble, &missed);
	if (part->ran == MODEL_NONE)
		mining_put(ensemble, id, builder_text(ensemble->c, part->id));
	else
		mining_take(ensemble, part->ran, MODEL_NONE, id, part->id, &none);
}
