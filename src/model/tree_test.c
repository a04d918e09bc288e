/*
 * Nodes of a TreeModel become states: children are tried one after the
 * other, so a node is a chain of tests, built from its end.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"
#include "model/tree_build.h"

/* Larger sets and deeper compounds are predicates of the record. */
#define TEST_MAX_RANGES 8
#define TEST_MAX_PARTS 16
#define TEST_MAX_NESTING 2

typedef enum TestKind
{
	TEST_TRUE,
	TEST_FALSE,
	TEST_LESS,    /* than value */
	TEST_EQUAL,   /* to value */
	TEST_MISSING, /* it is missing */
	TEST_SET,     /* it is in one of the ranges */
	TEST_COMPOUND,
	TEST_OTHER
} TestKind;

/* In the order of the words that booleanOperator may be. */
typedef enum CompoundKind
{
	COMPOUND_AND,
	COMPOUND_OR,
	COMPOUND_XOR,
	COMPOUND_SURROGATE
} CompoundKind;

/* A predicate, as far as it can be told by tests of a slot. */
typedef struct TreeTest
{
	TestKind kind;
	bool negated;
	uint32 slot; /* MODEL_NONE unless it is about one field */
	double value;
	double next;    /* the next larger value */
	XmlNode *node;  /* of compounds and others */
	int nranges;    /* of sets, ascending: [low, high) */
	double *ranges; /* low and high of each */
} TreeTest;

static void test_read(TreeBuild *build, XmlNode *node, TreeTest *test);
static int test_state(TreeBuild *build, const TreeTest *test, int yes, int no,
					  int unknown, int nesting);

/* The next larger value that a field can have. */
static double
test_next(const Field *field, double value)
{
	switch (field->type.type)
	{
		case VALUE_INTEGER:
		case VALUE_BOOLEAN:
		case VALUE_TEXT:
		case VALUE_DATE:
			if (value == floor(value) && fabs(value) < 1e15)
				return value + 1;
			break;
		default:
			break;
	}
	return nextafter(value, INFINITY);
}

/* Reads the value of a comparison; other values are left to predicates. */
static void
test_compare(TreeBuild *build, const Field *field, int comparison,
			 TreeTest *test)
{
	XmlNode *node = test->node;
	bool equality = comparison < 2;

	test->value =
		predicate_value(build->c, node, field, xml_need(node, "value"));
	if (!isfinite(test->value) ||
		(!equality &&
		 (field->type.type == VALUE_TEXT ||
		  (field->type.optype == OPTYPE_ORDINAL && field->nvalues > 0))))
		return;
	test->slot = field->slot;
	test->kind = equality ? TEST_EQUAL : TEST_LESS;
	test->next = test_next(field, test->value);
	if (equality && field->type.type == VALUE_BOOLEAN &&
		(test->value == 0 || test->value == 1))
	{
		/* One test does: false is less than a half. */
		test->kind = TEST_LESS;
		test->negated = (test->value == 1) == (comparison == 0);
		test->value = 0.5;
	}
	else if (equality)
		test->negated = comparison == 1;
	else
	{
		/* Up to a value is less than the next; greater is not up to. */
		if (comparison == 3 || comparison == 4)
			test->value = nextafter(test->value, INFINITY);
		test->negated = comparison >= 4;
	}
	if (!isfinite(test->value) || !isfinite(test->next))
		test->kind = TEST_OTHER;
}

/* Reads a SimplePredicate. */
static void
test_simple(TreeBuild *build, TreeTest *test)
{
	XmlNode *node = test->node;
	Field *field =
		scope_field(build->c, build->scope, node, xml_need(node, "field"));
	int comparison;

	xml_need(node, "operator");
	comparison = xml_choice(node, "operator",
							"equal|notEqual|lessThan|lessOrEqual|greaterThan|"
							"greaterOrEqual|isMissing|isNotMissing",
							0);
	if (comparison < 6)
	{
		test_compare(build, field, comparison, test);
		return;
	}
	test->kind = TEST_MISSING;
	test->slot = field->slot;
	test->negated = comparison == 7;
}

/* Reads a SimpleSetPredicate, whose values are made to ranges. */
static void
test_set(TreeBuild *build, TreeTest *test)
{
	XmlNode *node = test->node;
	Field *field =
		scope_field(build->c, build->scope, node, xml_need(node, "field"));
	XmlNode *array = xml_need_child(node, "Array");
	int n;
	double *values = value_array(build->c, array, field->type, &n);

	xml_need(node, "booleanOperator");
	test->negated =
		xml_choice(node, "booleanOperator", "isIn|isNotIn", 0) == 1;
	number_sort(values, n);
	test->ranges = palloc(Max(n, 1) * 2 * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double *last = test->ranges + 2 * (test->nranges - 1);
		double next = test_next(field, values[i]);

		if (!isfinite(values[i]) || !isfinite(next))
			return;
		if (test->nranges > 0 && last[1] >= values[i])
		{
			last[1] = next;
			continue;
		}
		last[2] = values[i];
		last[3] = next;
		test->nranges++;
	}
	pfree(values);
	if (test->nranges > TEST_MAX_RANGES)
		return;
	test->kind = TEST_SET;
	test->slot = field->slot;
}

/* Reads a predicate. */
static void
test_read(TreeBuild *build, XmlNode *node, TreeTest *test)
{
	memset(test, 0, sizeof(*test));
	test->kind = TEST_OTHER;
	test->slot = MODEL_NONE;
	test->node = node;
	if (xml_named(node, "SimplePredicate"))
		test_simple(build, test);
	else if (xml_named(node, "SimpleSetPredicate"))
		test_set(build, test);
	else if (xml_named(node, "CompoundPredicate"))
		test->kind = TEST_COMPOUND;
	else if (xml_named(node, "True"))
		test->kind = TEST_TRUE;
	else if (xml_named(node, "False"))
		test->kind = TEST_FALSE;
	else
		xml_unsupported(node, NULL, NULL);
}

/* Tells whether of two tests of a value that is known one holds. */
static bool
test_complements(const TreeTest *a, const TreeTest *b)
{
	return a->kind == b->kind && a->slot == b->slot &&
		   a->negated != b->negated &&
		   (a->kind == TEST_LESS || a->kind == TEST_EQUAL) &&
		   a->value == b->value;
}

/* The state of rows whose value may be in ranges from one up to another. */
static int
test_ranges(TreeBuild *build, const TreeTest *test, int from, int to, int yes,
			int no, int unknown)
{
	const double *ranges = test->ranges;
	int middle = (from + to) / 2;
	int above;

	if (to == from)
		return tree_state_less(build, test->slot, 0, no, no, unknown);
	if (to - from == 1)
	{
		above = tree_state_less(build, test->slot, ranges[2 * from + 1], yes,
								no, unknown);
		/* Missing is not less, so it goes on to the test above. */
		return tree_state_less(build, test->slot, ranges[2 * from], no, above,
							   above);
	}
	above = test_ranges(build, test, middle, to, yes, no, unknown);
	return tree_state_less(build, test->slot, ranges[2 * middle],
						   test_ranges(build, test, from, middle, yes, no, no),
						   above, above);
}

/* The state of a compound's parts from one on, which are and, or, xor. */
static int
test_parts(TreeBuild *build, const TreeTest *tests, int n, CompoundKind kind,
		   int yes, int no, int unknown, int nesting)
{
	/* States of the rest: when so far it is true, false, unknown. */
	int if_true = yes;
	int if_false = no;
	int if_unknown = unknown;

	for (int i = n - 1; i >= 0; i--)
	{
		int t = if_true;
		int f = if_false;
		int u = if_unknown;

		switch (kind)
		{
			case COMPOUND_AND:
				if_true = test_state(build, &tests[i], t, no, u, nesting);
				if_unknown = test_state(build, &tests[i], u, no, u, nesting);
				break;
			case COMPOUND_OR:
				if_false = test_state(build, &tests[i], yes, f, u, nesting);
				if_unknown = test_state(build, &tests[i], yes, u, u, nesting);
				break;
			case COMPOUND_XOR:
				if_true = test_state(build, &tests[i], f, t, unknown, nesting);
				if_false =
					test_state(build, &tests[i], t, f, unknown, nesting);
				break;
			case COMPOUND_SURROGATE:
				if_unknown = test_state(build, &tests[i], yes, no, u, nesting);
				break;
		}
	}
	if (kind == COMPOUND_AND)
		return if_true;
	return kind == COMPOUND_SURROGATE ? if_unknown : if_false;
}

/* The state of rows that are tested by a predicate of the record. */
static int
test_other(TreeBuild *build, XmlNode *node, int yes, int no, int unknown)
{
	uint32 record = predicate_compile(build->c, build->scope, node);

	return tree_state_predicate(build, tree_state_add_predicate(build, record),
								yes, no, unknown);
}

/* The state of rows that are tested by a compound predicate. */
static int
test_compound(TreeBuild *build, XmlNode *node, int yes, int no, int unknown,
			  int nesting)
{
	TreeTest tests[TEST_MAX_PARTS];
	int n = 0;
	int kind;

	xml_need(node, "booleanOperator");
	kind = xml_choice(node, "booleanOperator", "and|or|xor|surrogate", 0);
	for (XmlNode *child = xml_first(node); child != NULL;
		 child = xml_after(child))
		n++;
	if (n == 0 || n > TEST_MAX_PARTS || nesting >= TEST_MAX_NESTING)
		return test_other(build, node, yes, no, unknown);
	n = 0;
	for (XmlNode *child = xml_first(node); child != NULL;
		 child = xml_after(child))
	{
		test_read(build, child, &tests[n++]);
		if (tests[n - 1].kind == TEST_OTHER)
			return test_other(build, node, yes, no, unknown);
	}
	return test_parts(build, tests, n, kind, yes, no, unknown, nesting + 1);
}

/* The state of rows that are tested by a predicate. */
static int
test_state(TreeBuild *build, const TreeTest *test, int yes, int no,
		   int unknown, int nesting)
{
	int negative = test->negated ? yes : no;
	int positive = test->negated ? no : yes;

	switch (test->kind)
	{
		case TEST_TRUE:
			return yes;
		case TEST_FALSE:
			return no;
		case TEST_LESS:
			return tree_state_less(build, test->slot, test->value, positive,
								   negative, unknown);
		case TEST_EQUAL:
			return tree_state_equal(build, test->slot, test->value, test->next,
									positive, negative, unknown);
		case TEST_MISSING:
			return tree_state_missing(build, test->slot, positive, negative);
		case TEST_SET:
			return test_ranges(build, test, 0, test->nranges, positive,
							   negative, unknown);
		case TEST_COMPOUND:
			return test_compound(build, test->node, yes, no, unknown, nesting);
		default:
			return test_other(build, test->node, yes, no, unknown);
	}
}

/* A child of a node: what it asks, and where its rows go on. */
typedef struct TreeChild
{
	TreeTest test;
	int enter;
	const char *id;
} TreeChild;

/* The state of rows without a result. */
static int
tree_nowhere(TreeBuild *build)
{
	if (build->nowhere < 0)
		build->nowhere = tree_state_leaf(build, tree_row_missing(build));
	return build->nowhere;
}

/* The state of rows for which no child of a node is true. */
static int
tree_no_child(TreeBuild *build, const TreeElement *element)
{
	if (!build->last_prediction || xml_attr(element->node, "score") == NULL)
		return tree_nowhere(build);
	return tree_state_leaf(build, tree_row(build, element));
}

/* The state of rows for which it is unknown whether a child is true. */
static int
tree_unknown(TreeBuild *build, const TreeElement *element,
			 const TreeChild *children, uint32 n)
{
	const char *id = xml_attr(element->node, "defaultChild");

	if (build->missing == TREE_LAST_PREDICTION)
		return tree_state_leaf(build, tree_row(build, element));
	if (build->missing != TREE_DEFAULT_CHILD || id == NULL)
		return tree_nowhere(build);
	for (uint32 i = 0; i < n; i++)
		if (children[i].id != NULL && strcmp(children[i].id, id) == 0)
			return children[i].enter;
	xml_fail(element->node, ERRCODE_INVALID_PARAMETER_VALUE,
			 "defaultChild=\"%s\" is not a child", id);
}

/* The state of rows that try the children of a node in order. */
static int
tree_chain(TreeBuild *build, const TreeElement *element,
		   const TreeChild *children, uint32 n)
{
	bool goes_on = build->missing == TREE_NONE;
	int next = tree_no_child(build, element);
	int unknown = goes_on ? next : tree_unknown(build, element, children, n);
	const TreeChild *follower = NULL;
	uint32 slot = MODEL_NONE; /* of the tests that follow */

	for (uint32 i = n; i-- > 0;)
	{
		const TreeChild *child = &children[i];
		const TreeTest *test = &child->test;
		int no = next;

		if (test->kind == TEST_FALSE)
			continue;
		if (follower != NULL && test_complements(test, &follower->test))
			no = follower->enter;
		/* A value that is missing passes all tests of it that follow. */
		if (goes_on && (test->slot == MODEL_NONE || test->slot != slot))
			unknown = next;
		slot = test->slot;
		if (goes_on && test->kind == TEST_MISSING && !test->negated)
			unknown = child->enter;
		next = test_state(build, test, child->enter, no, unknown, 0);
		follower = child;
	}
	return next;
}

/* The state of rows that are at a node. */
static int
tree_node(TreeBuild *build, const TreeElement *element)
{
	TreeChild *children;
	uint32 n = 0;
	int state;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (element->nchildren == 0)
		return tree_state_leaf(build, tree_row(build, element));
	children = palloc_extended((Size) element->nchildren * sizeof(TreeChild),
							   MCXT_ALLOC_HUGE);
	for (XmlNode *node = element->child; node != NULL;
		 node = xml_next(node, "Node"))
	{
		TreeChild *child = &children[n++];
		TreeElement inner;

		tree_element(node, &inner);
		inner.index = ++build->nnodes;
		child->id = xml_attr(node, "id");
		test_read(build, inner.predicate, &child->test);
		child->enter = tree_node(build, &inner);
	}
	state = tree_chain(build, element, children, n);
	pfree(children);
	return state;
}

/* Builds the states of a tree, and returns the one in which rows begin. */
int
tree_build(TreeBuild *build, XmlNode *root)
{
	TreeElement element;
	TreeTest test;
	int enter;
	int nowhere;

	tree_element(root, &element);
	element.index = build->nnodes = 1;
	test_read(build, element.predicate, &test);
	enter = tree_node(build, &element);
	nowhere = tree_nowhere(build);
	return test_state(build, &test, enter, nowhere, nowhere, 0);
}
