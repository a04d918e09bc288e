/*
 * Rules become a program: their conditions are bound to the columns of a
 * row, what several rules have in common becomes one term, and the moment of
 * the question turns conditions into codes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "segment/program.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/* Values of one column before another takes the next ones: codes end. */
#define COLUMN_VALUES_MAX 30000

/* Near names that a hint lists, and how much they may differ. */
#define NEAR_NAMES 3
#define NEAR_DISTANCE 4

/* Ranges of a leaf that are compared one by one; more are looked up. */
#define LEAF_RANGES_MAX 12

/* The way from the top of a rule to a node. */
typedef struct BindPlace
{
	const struct BindPlace *above;
	int index;
} BindPlace;

/* A node of a rule and the one column that is read below it, or -1. */
typedef struct BindNode
{
	const RuleNode *node;
	int column;
	struct BindNode **children;
} BindNode;

typedef struct Bind
{
	SegmentProgram *program;
	const SegmentSource *source;
	int rule; /* that is being bound, from 0 */
	uint32 mask;
	int32 *slots; /* terms by hash, -1: free */
} Bind;

/* Returns the columns of a type of row. */
SegmentSource *
segment_source(TupleDesc desc)
{
	SegmentSource *source = palloc(sizeof(SegmentSource));

	source->natts = desc->natts;
	source->names = palloc(desc->natts * sizeof(char *));
	source->types = palloc(desc->natts * sizeof(Oid));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		source->names[i] =
			att->attisdropped ? NULL : pstrdup(NameStr(att->attname));
		source->types[i] = att->atttypid;
	}
	return source;
}

/* Part of ereport(): says where in which rule a condition is. */
static int
bind_errdetail(const Bind *bind, const BindPlace *place)
{
	StringInfoData path;

	initStringInfo(&path);
	for (; place->above != NULL; place = place->above)
	{
		char *rest = pstrdup(path.data);

		resetStringInfo(&path);
		appendStringInfo(&path, "rules[%d]%s%s", place->index,
						 rest[0] != '\0' ? "." : "", rest);
	}
	if (path.len == 0)
		appendStringInfoString(&path, "the top");
	if (bind->program->nrules == 1)
		return errdetail("At %s.", path.data);
	return errdetail("At %s of rule %d.", path.data, bind->rule + 1);
}

/* Returns how much two names differ. */
static int
name_distance(const char *a, const char *b)
{
	return varstr_levenshtein_less_equal(a, strlen(a), b, strlen(b), 1, 1, 1,
										 NEAR_DISTANCE, true);
}

/* Returns the names of the columns nearest to a name, NULL for none. */
static char *
bind_near_names(const SegmentSource *source, const char *name)
{
	StringInfoData list;
	/* All short names are near. */
	int far = Min(NEAR_DISTANCE, (int) strlen(name) / 3);
	int n = 0;

	initStringInfo(&list);
	for (int distance = 0; distance <= far; distance++)
		for (int i = 0; i < source->natts && n < NEAR_NAMES; i++)
			if (source->names[i] != NULL &&
				name_distance(source->names[i], name) == distance)
				appendStringInfo(&list, "%s\"%s\"", n++ > 0 ? ", " : "",
								 source->names[i]);
	return n > 0 ? list.data : NULL;
}

/* Raises the error for a fact that the row does not have. */
static void
bind_error_missing(const Bind *bind, const RuleNode *node,
				   const BindPlace *place)
{
	char *near = bind_near_names(bind->source, node->fact);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the record has no column \"%s\"", node->fact),
			 bind_errdetail(bind, place),
			 near != NULL ? errhint("Columns with similar names: %s.", near)
			 : node->kind == RULE_FIELD
				 ? 0
				 : errhint("It stands for %s \"%s\".",
						   node->kind == RULE_EVENT ? "event" : "segment",
						   node->name)));
}

/* Raises the error for a name that several columns have. */
static void
bind_error_ambiguous(const Bind *bind, const RuleNode *node,
					 const BindPlace *place)
{
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_COLUMN),
			 errmsg("the record has several columns \"%s\"", node->fact),
			 bind_errdetail(bind, place)));
}

/*
 * Returns the number of a column, from 0: its name as it is, else in any
 * case. SEGMENT_MISSING when there is none, SEGMENT_AMBIGUOUS for several.
 */
int
segment_source_find(const SegmentSource *source, const char *name)
{
	int found = SEGMENT_MISSING;

	for (int any_case = 0; any_case <= 1 && found == SEGMENT_MISSING;
		 any_case++)
		for (int i = 0; i < source->natts; i++)
			if (source->names[i] != NULL &&
				(any_case ? pg_strcasecmp(source->names[i], name)
						  : strcmp(source->names[i], name)) == 0)
				found = found == SEGMENT_MISSING ? i : SEGMENT_AMBIGUOUS;
	return found;
}

/* Returns the column that a condition reads. */
static int
bind_attno(const Bind *bind, const RuleNode *node, const BindPlace *place)
{
	int attno = segment_source_find(bind->source, node->fact);

	if (attno == SEGMENT_MISSING)
		bind_error_missing(bind, node, place);
	if (attno == SEGMENT_AMBIGUOUS)
		bind_error_ambiguous(bind, node, place);
	return attno;
}

/* Raises the error for a condition that does not fit its column. */
static void
bind_error_type(const Bind *bind, const RuleNode *node, int attno,
				const RuleValue *misfit, const BindPlace *place)
{
	const char *type = format_type_be(bind->source->types[attno]);

	if (misfit != NULL)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("value \"%.*s\" does not fit \"%s\" of type %s",
							   pg_mbcliplen(misfit->text, misfit->length, 100),
							   misfit->text, node->fact, type),
						bind_errdetail(bind, place)));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 node->kind == RULE_FIELD
				 ? errmsg("operator %s does not fit \"%s\" of type %s",
						  rule_operator_name(node->operator), node->fact, type)
				 : errmsg("\"%s\" is of type %s, not %s", node->fact, type,
						  node->kind == RULE_EVENT ? "bigint" : "boolean"),
			 bind_errdetail(bind, place)));
}

/* Tells whether a column serves a condition in its use. */
static bool
column_serves(const SegmentColumn *column, const RuleNode *node, int attno,
			  SegmentUse use)
{
	if (column->attno != attno || column->use != use ||
		column->nvalues + node->nvalues > COLUMN_VALUES_MAX)
		return false;
	return use != SEGMENT_PATTERN ||
		   (column->prefix == (node->operator== RULE_STARTS_WITH) &&
			column->pattern_length == node->values[0].length &&
			memcmp(column->pattern, node->values[0].text,
				   column->pattern_length) == 0);
}

/* Adds a column to the program. */
static int
column_add(SegmentProgram *program, const RuleNode *node, int attno,
		   SegmentKind kind, Oid type, SegmentUse use)
{
	SegmentColumn *column;

	if (program->ncolumns == program->columns_room)
	{
		program->columns_room = Max(16, program->columns_room * 2);
		program->columns =
			program->columns == NULL
				? palloc(program->columns_room * sizeof(SegmentColumn))
				: repalloc_huge(program->columns,
								program->columns_room * sizeof(SegmentColumn));
	}
	column = &program->columns[program->ncolumns];
	memset(column, 0, sizeof(SegmentColumn));
	column->attno = attno;
	column->kind = kind;
	column->type = type;
	column->use = use;
	if (use == SEGMENT_PATTERN)
	{
		column->prefix = node->operator== RULE_STARTS_WITH;
		column->pattern = node->values[0].text;
		column->pattern_length = node->values[0].length;
	}
	else if (kind >= SEGMENT_TEXT && kind != SEGMENT_ENUM)
		column->words = palloc0(sizeof(SegmentWords));
	program->last = Max(program->last, attno + 1);
	return program->ncolumns++;
}

/* Returns the column that a condition reads, checked and made if need be. */
static int
bind_column(Bind *bind, const RuleNode *node, const BindPlace *place)
{
	SegmentProgram *program = bind->program;
	int attno = bind_attno(bind, node, place);
	Oid type = getBaseType(bind->source->types[attno]);
	SegmentKind kind = segment_kind(type);
	SegmentUse use = segment_condition_use(node, kind);
	const RuleValue *misfit;
	int i = program->ncolumns - 1;

	if (!segment_condition_fits(node, kind, &misfit))
		bind_error_type(bind, node, attno, misfit, place);
	while (i >= 0 && !column_serves(&program->columns[i], node, attno, use))
		i--;
	if (i < 0)
		i = column_add(program, node, attno, kind, type, use);
	segment_condition_learn(&program->columns[i], node);
	if (segment_condition_timed(node, kind))
		program->columns[i].timed = program->timed = true;
	return i;
}

/* Binds the conditions of a node and those below it to columns. */
static BindNode *
bind_columns(Bind *bind, const RuleNode *node, const BindPlace *place)
{
	BindNode *bound = palloc(sizeof(BindNode));

	check_stack_depth();
	bound->node = node;
	if (node->nchildren == 0)
	{
		bound->column = bind_column(bind, node, place);
		return bound;
	}
	bound->children = palloc(node->nchildren * sizeof(BindNode *));
	for (int i = 0; i < node->nchildren; i++)
	{
		BindPlace below = {.above = place, .index = i};

		bound->children[i] = bind_columns(bind, node->children[i], &below);
	}
	bound->column = bound->children[0]->column;
	for (int i = 1; i < node->nchildren; i++)
		if (bound->children[i]->column != bound->column)
			bound->column = -1;
	return bound;
}

/* Hashes what a node says. */
static uint32
node_hash(const RuleNode *node)
{
	uint32 hash =
		murmurhash32(node->kind * 64 + (node->kind == RULE_FIELD
											? node->operator
											: 0));

	if (node->fact != NULL)
		hash =
			hash_combine(hash, hash_bytes((const unsigned char *) node->fact,
										  strlen(node->fact)));
	for (int i = 0; i < node->nvalues; i++)
		hash = hash_combine(
			hash, hash_bytes((const unsigned char *) node->values[i].text,
							 node->values[i].length));
	for (int i = 0; i < node->nchildren; i++)
		hash = hash_combine(hash, node_hash(node->children[i]));
	return hash;
}

/* Tells whether two values are the same. */
static bool
value_equal(const RuleValue *a, const RuleValue *b)
{
	return a->kind == b->kind && a->length == b->length &&
		   memcmp(a->text, b->text, a->length) == 0;
}

/* Tells whether two nodes say the same. */
static bool
node_equal(const RuleNode *a, const RuleNode *b)
{
	if (a->kind != b->kind || a->nvalues != b->nvalues ||
		a->nchildren != b->nchildren ||
		(a->kind == RULE_FIELD && a->operator!= b->operator) ||
		(a->kind == RULE_EVENT &&
		 (a->at_least != b->at_least || a->at_most != b->at_most)) ||
		(a->fact != NULL && strcmp(a->fact, b->fact) != 0))
		return false;
	for (int i = 0; i < a->nvalues; i++)
		if (!value_equal(&a->values[i], &b->values[i]))
			return false;
	for (int i = 0; i < a->nchildren; i++)
		if (!node_equal(a->children[i], b->children[i]))
			return false;
	return true;
}

/* Tells whether two terms are the same. */
static bool
term_equal(const SegmentTerm *a, const SegmentTerm *b)
{
	if (a->hash != b->hash || a->kind != b->kind)
		return false;
	if (a->kind != SEGMENT_LEAF)
		return a->nparts == b->nparts &&
			   memcmp(a->parts, b->parts, a->nparts * sizeof(int)) == 0;
	if (a->column != b->column || a->all != b->all ||
		a->nmembers != b->nmembers)
		return false;
	for (int i = 0; i < a->nmembers; i++)
		if (a->members[i].negated != b->members[i].negated ||
			!node_equal(a->members[i].node, b->members[i].node))
			return false;
	return true;
}

/* Enters a term among those that can be found again. */
static void
term_index(Bind *bind, int term)
{
	uint32 slot = bind->program->terms[term].hash & bind->mask;

	while (bind->slots[slot] >= 0)
		slot = (slot + 1) & bind->mask;
	bind->slots[slot] = term;
}

/* Makes room for one more term. */
static void
term_room(Bind *bind)
{
	SegmentProgram *program = bind->program;
	Size room = program->terms_room * 2;

	if (program->nterms < program->terms_room)
		return;
	program->terms_room = room;
	program->terms = repalloc_huge(program->terms, room * sizeof(SegmentTerm));
	bind->mask = room * 2 - 1;
	bind->slots = repalloc_huge(bind->slots, room * 2 * sizeof(int32));
	memset(bind->slots, -1, room * 2 * sizeof(int32));
	for (int i = 0; i < program->nterms; i++)
		term_index(bind, i);
}

/* Returns the number of a term, the same for equal ones. */
static int
term_add(Bind *bind, const SegmentTerm *term)
{
	SegmentProgram *program = bind->program;
	uint32 slot = term->hash & bind->mask;

	for (; bind->slots[slot] >= 0; slot = (slot + 1) & bind->mask)
		if (term_equal(&program->terms[bind->slots[slot]], term))
			return bind->slots[slot];
	term_room(bind);
	program->terms[program->nterms] = *term;
	term_index(bind, program->nterms);
	return program->nterms++;
}

/* Makes a leaf of conditions on one column. */
static int
term_leaf(Bind *bind, int column, bool all, SegmentMember *members,
		  int nmembers)
{
	SegmentTerm term = {.kind = SEGMENT_LEAF,
						.column = column,
						.all = nmembers == 1 || all,
						.members = members,
						.nmembers = nmembers};

	term.hash = murmurhash32(column * 2 + term.all);
	for (int i = 0; i < nmembers; i++)
		term.hash = hash_combine(term.hash, node_hash(members[i].node) +
												members[i].negated);
	return term_add(bind, &term);
}

/* Orders numbers of terms. */
static int
term_order(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* Makes a group of terms. */
static int
term_group(Bind *bind, bool all, int *parts, int nparts)
{
	SegmentTerm term = {.kind = all ? SEGMENT_AND : SEGMENT_OR,
						.parts = parts,
						.hash = murmurhash32(all)};

	qsort(parts, nparts, sizeof(int), term_order);
	for (int i = 0; i < nparts; i++)
		if (i == 0 || parts[i] != parts[term.nparts - 1])
			parts[term.nparts++] = parts[i];
	if (term.nparts == 1)
		return parts[0];
	for (int i = 0; i < term.nparts; i++)
		term.hash = hash_combine(term.hash, murmurhash32(parts[i]));
	return term_add(bind, &term);
}

/* Collects the children of a group that read a column as one leaf. */
static int
bind_leaf(Bind *bind, const BindNode *group, int column, bool all,
		  bool negated)
{
	int n = group->node->nchildren;
	SegmentMember *members = palloc(n * sizeof(SegmentMember));
	int nmembers = 0;

	for (int i = 0; i < n; i++)
		if (group->children[i]->column == column)
			members[nmembers++] = (SegmentMember){
				.node = group->children[i]->node, .negated = negated};
	return term_leaf(bind, column, all, members, nmembers);
}

/* Returns the term of a node, or of its negation. */
static int
bind_term(Bind *bind, const BindNode *bound, bool negated)
{
	const RuleNode *node = bound->node;
	bool all = (node->kind == RULE_AND) != negated;
	int *parts;
	int nparts = 0;

	if (node->kind == RULE_NOT)
		return bind_term(bind, bound->children[0], !negated);
	if (bound->column >= 0)
	{
		SegmentMember *member = palloc(sizeof(SegmentMember));

		*member = (SegmentMember){.node = node, .negated = negated};
		return term_leaf(bind, bound->column, true, member, 1);
	}
	parts = palloc(node->nchildren * sizeof(int));
	for (int i = 0; i < node->nchildren; i++)
	{
		const BindNode *child = bound->children[i];
		int j = 0;

		if (child->column < 0)
			parts[nparts++] = bind_term(bind, child, negated);
		else
		{
			while (bound->children[j]->column != child->column)
				j++;
			/* The first of a column takes all of it. */
			if (j == i)
				parts[nparts++] =
					bind_leaf(bind, bound, child->column, all, negated);
		}
	}
	return term_group(bind, all, parts, nparts);
}

static SegmentSet node_set(const SegmentColumn *column,
						   const SegmentMember *member,
						   const SegmentTime *time);

/* Returns the values for which members of a group hold, all or one. */
static SegmentSet
members_set(const SegmentColumn *column, bool all,
			const SegmentMember *members, int nmembers,
			const SegmentTime *time)
{
	SegmentSet set = node_set(column, &members[0], time);

	for (int i = 1; i < nmembers; i++)
	{
		SegmentSet next = node_set(column, &members[i], time);

		if (all)
			set = segment_set_and(&set, &next);
		else
			segment_set_join(&set, &next);
	}
	if (!all)
		segment_set_sort(&set);
	return set;
}

/* Returns the values for which a node, or its negation, is true. */
static SegmentSet
node_set(const SegmentColumn *column, const SegmentMember *member,
		 const SegmentTime *time)
{
	const RuleNode *node = member->node;
	SegmentMember *members;

	check_stack_depth();
	if (node->nchildren == 0)
		return segment_condition_set(column, node, member->negated, time);
	members = palloc(node->nchildren * sizeof(SegmentMember));
	for (int i = 0; i < node->nchildren; i++)
		members[i] = (SegmentMember){.node = node->children[i],
									 .negated = member->negated !=
												(node->kind == RULE_NOT)};
	return members_set(column, (node->kind == RULE_AND) != member->negated,
					   members, node->nchildren, time);
}

/* Adds a range of codes to a leaf; the next one where they touch. */
static void
leaf_add(SegmentTerm *leaf, int first, int last)
{
	SegmentCodes *before = &leaf->codes[leaf->ncodes - 1];

	if (leaf->ncodes > 0 && before->first + before->width + 1 == first)
		before->width += last - first + 1;
	else
		leaf->codes[leaf->ncodes++] =
			(SegmentCodes){.first = first, .width = last - first};
}

/* Turns the values of a leaf into codes. */
static void
leaf_codes(SegmentTerm *leaf, const SegmentColumn *column,
		   const SegmentSet *set)
{
	leaf->ncodes = 0;
	leaf->codes = palloc((set->n + 1) * sizeof(SegmentCodes));
	leaf->table = NULL;
	if (set->null)
		leaf_add(leaf, 0, 0);
	for (int i = 0; i < set->n; i++)
		leaf_add(leaf, segment_column_code(column, set->ranges[i].first),
				 segment_column_code(column, set->ranges[i].last));
	if (leaf->ncodes <= LEAF_RANGES_MAX)
		return;
	leaf->table = palloc0(column->ncuts + 2);
	for (int i = 0; i < leaf->ncodes; i++)
		memset(leaf->table + leaf->codes[i].first, 1,
			   leaf->codes[i].width + 1);
}

/* Orders keys. */
static int
key_order(const void *a, const void *b)
{
	int64 one = *(const int64 *) a;
	int64 two = *(const int64 *) b;

	return (one > two) - (one < two);
}

/* Cuts the keys of a column where the sets of its leaves begin and end. */
static void
column_cut(SegmentColumn *column, const SegmentSet *sets)
{
	Size room = 0;
	int64 *cuts;
	int n = 0;
	int ncuts = 0;

	for (int i = 0; i < column->nleaves; i++)
		room += 2 * sets[i].n;
	/* One more ends the search. */
	cuts = palloc_extended((room + 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < column->nleaves; i++)
		for (int j = 0; j < sets[i].n; j++)
		{
			if (sets[i].ranges[j].first > PG_INT64_MIN)
				cuts[n++] = sets[i].ranges[j].first;
			if (sets[i].ranges[j].last < PG_INT64_MAX)
				cuts[n++] = sets[i].ranges[j].last + 1;
		}
	qsort(cuts, n, sizeof(int64), key_order);
	for (int i = 0; i < n; i++)
		if (ncuts == 0 || cuts[i] != cuts[ncuts - 1])
			cuts[ncuts++] = cuts[i];
	if (ncuts > PG_UINT16_MAX - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("conditions tell %d values of a column apart", ncuts),
				 errdetail("They may tell %d apart.", PG_UINT16_MAX - 1)));
	cuts[ncuts] = PG_INT64_MAX;
	segment_column_cut(column, cuts, ncuts);
}

/* Makes the codes of a column and its leaves. */
static void
column_bound(SegmentProgram *program, SegmentColumn *column)
{
	MemoryContext work = AllocSetContextCreate(
		CurrentMemoryContext, "iaros segment sets", ALLOCSET_DEFAULT_SIZES);
	MemoryContext lasting = MemoryContextSwitchTo(work);
	SegmentSet *sets = palloc(column->nleaves * sizeof(SegmentSet));

	for (int i = 0; i < column->nleaves; i++)
	{
		const SegmentTerm *leaf = &program->terms[column->leaves[i]];

		CHECK_FOR_INTERRUPTS();
		sets[i] = members_set(column, leaf->all, leaf->members, leaf->nmembers,
							  &program->time);
	}
	MemoryContextSwitchTo(lasting);
	column_cut(column, sets);
	for (int i = 0; i < column->nleaves; i++)
		leaf_codes(&program->terms[column->leaves[i]], column, &sets[i]);
	MemoryContextDelete(work);
}

/* Makes a program fit for questions of a moment. */
void
segment_program_at(SegmentProgram *program, TimestampTz as_of, pg_tz *zone)
{
	MemoryContext caller;
	bool first = !program->ready;

	if (program->ready && (!program->timed || program->time.as_of == as_of) &&
		program->time.zone == zone)
		return;
	program->ready = false;
	program->time = segment_time(as_of, zone);
	MemoryContextReset(program->bounds);
	program->row = NULL;
	caller = MemoryContextSwitchTo(program->bounds);
	program->zone = segment_zone_create(program->bounds, zone);
	for (int i = 0; i < program->ncolumns; i++)
	{
		SegmentColumn *column = &program->columns[i];

		if (!first && !column->timed)
			continue;
		MemoryContextSwitchTo(column->timed ? program->bounds
											: program->context);
		column_bound(program, column);
	}
	MemoryContextSwitchTo(caller);
	program->ready = true;
}

/* Lists the leaves of each column. */
static void
program_index(SegmentProgram *program)
{
	for (int i = 0; i < program->nterms; i++)
		if (program->terms[i].kind == SEGMENT_LEAF)
			program->columns[program->terms[i].column].nleaves++;
	for (int i = 0; i < program->ncolumns; i++)
	{
		program->columns[i].leaves =
			palloc(Max(program->columns[i].nleaves, 1) * sizeof(int));
		program->columns[i].nleaves = 0;
	}
	for (int i = 0; i < program->nterms; i++)
		if (program->terms[i].kind == SEGMENT_LEAF)
		{
			SegmentColumn *column =
				&program->columns[program->terms[i].column];

			column->leaves[column->nleaves++] = i;
		}
}

/* Begins a program without terms. */
static void
program_begin(Bind *bind, int nrules, bool denials)
{
	SegmentProgram *program = palloc0(sizeof(SegmentProgram));

	program->context = CurrentMemoryContext;
	program->bounds = AllocSetContextCreate(
		CurrentMemoryContext, "iaros segment bounds", ALLOCSET_DEFAULT_SIZES);
	program->nrules = nrules;
	program->roots = palloc(Max(nrules, 1) * sizeof(int));
	if (denials)
		program->denials = palloc(Max(nrules, 1) * sizeof(int));
	program->terms_room = 16;
	program->terms = palloc(program->terms_room * sizeof(SegmentTerm));
	bind->program = program;
	bind->mask = program->terms_room * 2 - 1;
	bind->slots = palloc((bind->mask + 1) * sizeof(int32));
	memset(bind->slots, -1, (bind->mask + 1) * sizeof(int32));
}

/*
 * Binds rules to the columns of a source, in a context that only the program
 * uses. With denials, the program also tells where the rules are false.
 */
SegmentProgram *
segment_program_bind(MemoryContext context, const SegmentSource *source,
					 const SegmentRule **rules, int nrules, bool denials)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Bind bind = {.source = source};
	BindPlace top = {0};

	program_begin(&bind, nrules, denials);
	for (int i = 0; i < nrules; i++)
	{
		BindNode *bound;

		CHECK_FOR_INTERRUPTS();
		bind.rule = i;
		bound = bind_columns(&bind, rule_tree(rules[i]), &top);
		bind.program->roots[i] = bind_term(&bind, bound, false);
		if (denials)
			bind.program->denials[i] = bind_term(&bind, bound, true);
	}
	pfree(bind.slots);
	for (int i = 0; i < bind.program->ncolumns; i++)
		segment_column_settle(&bind.program->columns[i]);
	program_index(bind.program);
	MemoryContextSwitchTo(caller);
	return bind.program;
}

/* Returns the rules of an array, of which none may be NULL. */
const SegmentRule **
segment_rules(ArrayType *array, int *nrules)
{
	Datum *values;
	bool *nulls;
	const SegmentRule **rules;
	int16 length;
	bool by_value;
	char align;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align,
					  &values, &nulls, nrules);
	rules = palloc(Max(*nrules, 1) * sizeof(SegmentRule *));
	for (int i = 0; i < *nrules; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("rule %d is NULL", i + 1)));
		rules[i] = DatumGetSegmentRuleP(values[i]);
	}
	return rules;
}

/* Hashes rules; what means the same has the same hash. */
uint64
segment_rules_hash(const SegmentRule **rules, int nrules)
{
	uint64 hash = nrules;

	for (int i = 0; i < nrules; i++)
		hash = hash_combine64(
			hash, hash_bytes_extended((const unsigned char *) rules[i],
									  VARSIZE(rules[i]), 0));
	return hash;
}
