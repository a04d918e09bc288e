/* Leaves of trees: labels, and the rows of numbers that leaves stand for. */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "model/tree_build.h"
#include "utils/memutils.h"

/* Most labels of a classification. */
#define TREE_MAX_LABELS 10000

/* The bucket where the search for a row begins. */
static uint32
rowset_bucket(const RowSet *set, const double *row)
{
	return hash_bytes((const unsigned char *) row,
					  (int) (set->width * sizeof(double))) &
		   (set->nbuckets - 1);
}

/* Finds a row, or the empty bucket where it belongs. */
static uint32
rowset_search(const RowSet *set, const double *row)
{
	uint32 at = rowset_bucket(set, row);
	Size bytes = set->width * sizeof(double);

	while (set->buckets[at] != 0 &&
		   memcmp(set->rows + (Size) (set->buckets[at] - 1) * set->width, row,
				  bytes) != 0)
		at = (at + 1) & (set->nbuckets - 1);
	return at;
}

/* Makes room for one more row. */
static void
rowset_grow(RowSet *set)
{
	if (set->n == set->size)
	{
		Size size = Max(16, (Size) set->size * 2);

		if (size * set->width * sizeof(double) > MaxAllocSize)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("compiled model is too large"),
							errdetail("Its trees have too many results.")));
		set->rows =
			set->rows == NULL
				? palloc(size * set->width * sizeof(double))
				: repalloc(set->rows, size * set->width * sizeof(double));
		set->size = (uint32) size;
	}
	if (set->n * 2 < set->nbuckets)
		return;
	set->nbuckets = Max(64, set->nbuckets * 2);
	if (set->buckets != NULL)
		pfree(set->buckets);
	set->buckets = palloc0(set->nbuckets * sizeof(uint32));
	for (uint32 i = 0; i < set->n; i++)
		set->buckets[rowset_search(set, set->rows + (Size) i * set->width)] =
			i + 1;
}

/* The number of a row, which is added if it is new. */
uint32
tree_rowset_add(RowSet *set, const double *row)
{
	uint32 at;

	rowset_grow(set);
	at = rowset_search(set, row);
	if (set->buckets[at] == 0)
	{
		memcpy(set->rows + (Size) set->n * set->width, row,
			   set->width * sizeof(double));
		set->buckets[at] = ++set->n;
	}
	return set->buckets[at] - 1;
}

/* The number of a row, -1 if it is not there. */
int32
tree_rowset_find(const RowSet *set, const double *row)
{
	return set->nbuckets == 0
			   ? -1
			   : (int32) set->buckets[rowset_search(set, row)] - 1;
}

/* Attributes that are understood, though not all of them always count. */
static const char *const node_attributes[] = {"id", "score", "recordCount",
											  "defaultChild"};
static const char *const share_attributes[] = {"value", "recordCount",
											   "probability", "confidence"};

/* Notes the predicate of a node. */
static void
element_predicate(TreeElement *element, XmlNode *child)
{
	if (element->predicate != NULL)
		xml_fail(child, ERRCODE_INVALID_PARAMETER_VALUE,
				 "node has more than one predicate");
	element->predicate = child;
}

/* Finds what a Node element is made of. */
void
tree_element(XmlNode *node, TreeElement *element)
{
	memset(element, 0, sizeof(*element));
	element->node = node;
	for (int i = 0; i < lengthof(node_attributes); i++)
		xml_attr(node, node_attributes[i]);
	for (XmlNode *child = xml_first(node); child != NULL;
		 child = xml_after(child))
	{
		if (xml_named(child, "Node"))
		{
			if (element->nchildren++ == 0)
				element->child = child;
		}
		else if (xml_named(child, "ScoreDistribution"))
		{
			if (element->distribution == NULL)
				element->distribution = child;
			for (int i = 0; i < lengthof(share_attributes); i++)
				xml_attr(child, share_attributes[i]);
		}
		else if (xml_named(child, "Partition"))
			xml_skip(child);
		else if (xml_named(child, "SimplePredicate") ||
				 xml_named(child, "SimpleSetPredicate") ||
				 xml_named(child, "CompoundPredicate") ||
				 xml_named(child, "True") || xml_named(child, "False"))
			element_predicate(element, child);
		else
			xml_unsupported(child, NULL, NULL);
	}
	if (element->predicate == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "node has no predicate");
}

/* The value of a label. */
static double
tree_label(TreeBuild *build, XmlNode *node, const char *text)
{
	return scope_label(build->c, build->scope, node, text);
}

/* Adds a label, if it is new. */
static void
labels_add(TreeBuild *build, XmlNode *node, double label)
{
	if (tree_rowset_add(&build->labels, &label) >= TREE_MAX_LABELS)
		xml_fail(node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "there are more than %d labels", TREE_MAX_LABELS);
}

/* The node after another in the order of the document, NULL at the end. */
static XmlNode *
labels_next(XmlNode *node, const XmlNode *root)
{
	XmlNode *next = xml_child(node, "Node");

	while (next == NULL && node != root)
	{
		next = xml_next(node, "Node");
		node = node->parent;
	}
	return next;
}

/* Collects labels: those with a share in a leaf, or those leaves predict. */
static void
labels_collect(TreeBuild *build, XmlNode *root, bool shares)
{
	for (XmlNode *node = root; node != NULL; node = labels_next(node, root))
	{
		const char *score = xml_attr(node, "score");

		CHECK_FOR_INTERRUPTS();
		if (!shares && score != NULL)
			labels_add(build, node, tree_label(build, node, score));
		for (XmlNode *share = xml_child(node, "ScoreDistribution");
			 shares && share != NULL;
			 share = xml_next(share, "ScoreDistribution"))
			labels_add(build, share,
					   tree_label(build, share, xml_need(share, "value")));
	}
}

/*
 * Collects the labels of trees in the order in which their leaves name them,
 * which is the one that decides between equals. Tells whether leaves have
 * distributions.
 */
bool
tree_labels(TreeBuild *build, XmlNode **trees, int ntrees)
{
	const Field *target = build->scope->target;
	bool shares;

	build->labels.width = 1;
	for (int i = 0; i < ntrees; i++)
		labels_collect(build, xml_need_child(trees[i], "Node"), true);
	shares = build->labels.n > 0;
	for (int i = 0; target != NULL && i < target->nvalues; i++)
		labels_add(build, trees[0], target->values[i]);
	for (int i = 0; i < ntrees; i++)
		labels_collect(build, xml_need_child(trees[i], "Node"), false);
	return shares;
}

/* What the ScoreDistribution elements of a node tell. */
typedef struct Shares
{
	TreeBuild *build;
	bool has_probabilities;
	double sum;
	double best;
	double winner; /* the label of the best */
	bool has_confidences;
} Shares;

/* The share of a label: its probability, or how many records it has. */
static double
share_read(Shares *shares, XmlNode *node)
{
	bool single = shares->build->tree_single;
	double value = xml_number(node, "probability", NAN);

	if (shares->has_probabilities && !(value >= 0 && value <= 1))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "probability is missing or not between 0 and 1");
	if (!shares->has_probabilities)
		value = xml_need_number(node, "recordCount");
	if (!(value >= 0) || isinf(value))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "recordCount is not a count");
	value = model_round(value, single);
	shares->sum = model_round(shares->sum + value, single);
	return value;
}

/* Puts a number in a part of the row of a leaf. */
static inline void
row_put(TreeBuild *build, uint32 part, uint32 label, double value)
{
	if (part != MODEL_NONE)
		build->row[part + label] = value;
}

/* Puts the same number in all labels of a part. */
static void
row_fill(TreeBuild *build, uint32 part, double value)
{
	for (uint32 i = 0; part != MODEL_NONE && i < build->labels.n; i++)
		build->row[part + i] = value;
}

/* Reads a ScoreDistribution. */
static void
share_put(Shares *shares, XmlNode *node, bool *seen)
{
	TreeBuild *build = shares->build;
	double label = tree_label(build, node, xml_need(node, "value"));
	int32 number = tree_rowset_find(&build->labels, &label);
	double value = share_read(shares, node);
	double confidence = xml_number(node, "confidence", NAN);

	if (seen[number])
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "label \"%s\" has two distributions",
				 xml_need(node, "value"));
	seen[number] = true;
	if (!(value <= shares->best))
	{
		shares->best = value;
		shares->winner = label;
	}
	row_put(build, build->parts.probability, number, value);
	row_put(build, build->parts.records, number,
			xml_number(node, "recordCount", NAN));
	if (isnan(confidence))
		return;
	shares->has_confidences = true;
	row_put(build, build->parts.confidence, number,
			model_round(confidence, build->tree_single));
}

/* Makes probabilities of what is known of labels. */
static void
shares_end(const Shares *shares)
{
	TreeBuild *build = shares->build;
	double *probability = build->row + build->parts.probability;
	uint32 n = build->labels.n;

	if (build->parts.probability == MODEL_NONE)
		return;
	for (uint32 i = 0; i < n && shares->sum != 1; i++)
		probability[i] = shares->sum == 0
							 ? NAN
							 : model_round(probability[i] / shares->sum,
										   build->tree_single);
	/* They stand in for confidences where those decide. */
	if (build->missing >= TREE_WEIGHTED_CONFIDENCE && !shares->has_confidences)
		memcpy(build->row + build->parts.confidence, probability,
			   n * sizeof(double));
}

/* Reads the distribution of labels at a node; returns the winner. */
static double
shares_put(TreeBuild *build, XmlNode *first)
{
	Shares shares = {build};
	bool *seen = palloc0(build->labels.n * sizeof(bool));

	shares.has_probabilities = xml_attr(first, "probability") != NULL;
	shares.best = NAN;
	shares.winner = NAN;
	row_fill(build, build->parts.probability, 0);
	row_fill(build, build->parts.confidence, 0);
	row_fill(build, build->parts.records, 0);
	for (XmlNode *node = first; node != NULL;
		 node = xml_next(node, "ScoreDistribution"))
		share_put(&shares, node, seen);
	pfree(seen);
	shares_end(&shares);
	return shares.winner;
}

/* Puts the results of a classification. */
static void
row_classify(TreeBuild *build, const TreeElement *element)
{
	const char *score = xml_attr(element->node, "score");
	double label = NAN;

	if (element->distribution != NULL)
		label = shares_put(build, element->distribution);
	if (score != NULL)
		label = tree_label(build, element->node, score);
	row_put(build, build->parts.value, 0, label);
	if (!isnan(label))
		row_put(build, build->parts.vote, 0,
				tree_rowset_find(&build->labels, &label));
}

/* Begins the row of a leaf. */
static void
row_begin(TreeBuild *build)
{
	if (build->row == NULL)
		build->row = palloc(build->parts.width * sizeof(double));
	for (uint32 i = 0; i < build->parts.width; i++)
		build->row[i] = NAN;
}

/* The id of a node: told, or its number in the document. */
static double
row_entity(TreeBuild *build, const TreeElement *element)
{
	const char *id = xml_attr(element->node, "id");
	char number[16];

	if (id != NULL)
		return builder_text(build->c, id);
	snprintf(number, sizeof(number), "%u", element->index);
	return builder_text(build->c, number);
}

/* Adds the row of results without any; returns its number. */
uint32
tree_row_missing(TreeBuild *build)
{
	row_begin(build);
	return tree_rowset_add(&build->rows, build->row);
}

/* Adds the row of what rows get that end at a node; returns its number. */
uint32
tree_row(TreeBuild *build, const TreeElement *element)
{
	const char *score = xml_attr(element->node, "score");
	bool single = build->single || build->tree_single;

	row_begin(build);
	if (build->classifies)
		row_classify(build, element);
	else if (score != NULL)
		row_put(build, build->parts.value, 0,
				model_round(xml_parse_number(element->node, score), single));
	if (build->parts.entity != MODEL_NONE)
		row_put(build, build->parts.entity, 0, row_entity(build, element));
	row_put(build, build->parts.count, 0,
			xml_number(element->node, "recordCount", NAN));
	if (build->single && build->parts.probability != MODEL_NONE)
		for (uint32 i = 0; i < build->labels.n; i++)
			row_put(build, build->parts.probability, i,
					(float) build->row[build->parts.probability + i]);
	return tree_rowset_add(&build->rows, build->row);
}
