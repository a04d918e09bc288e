/* ClusteringModel: which center is nearest. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/measure.h"

/*
 * Operands: the measure, centers field by field, what a missing field counts,
 * ids and names; then slots of the value, of its name, of the affinity of
 * each cluster, of ids and affinities of the best ones.
 */
#define CLUSTER_SIGNATURE MEASURE_SIGNATURE "NN*(t?t)ssSSS"
#define CLUSTER_WORDS 2

/* A model while it is compiled. */
typedef struct Clustering
{
	MeasurePlan plan;
	uint32 nclusters;
	double *centers; /* of each field those of all clusters */
	int nweights;
	double *weights; /* of missing fields */
	uint32 *texts;   /* id and name of each cluster */
} Clustering;

/* Where the operands of a record are. */
typedef struct ClusterArgs
{
	Measure measure;
	const double *centers;
	const double *weights;
	uint32 nclusters;
	const uint32 *texts;
	const uint32 *slots; /* value, name, S affinities, S ids, S ranked */
} ClusterArgs;

/* The value of a field that a center has. */
static double
cluster_value(Compiler *c, const MeasurePlan *plan, XmlNode *array, int field,
			  const char *word)
{
	FieldType type = plan->fields[field].field->type;
	double value;

	if (type.type == VALUE_TEXT)
		value = value_parse(c, array, word, type);
	else if (type.type == VALUE_BOOLEAN &&
			 value_from_text(word, VALUE_BOOLEAN, 0, &value))
		;
	else
		value = xml_parse_number(array, word);
	measure_reference(plan, array, field, &value);
	return value;
}

/* Reads the center of a cluster. */
static void
cluster_center(Compiler *c, Clustering *model, XmlNode *node, uint32 cluster)
{
	const MeasurePlan *plan = &model->plan;
	XmlNode *array = xml_need_child(node, "Array");
	char **words;
	int n;

	words = value_words(array, &n);
	if (n != plan->nfields)
		xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
				 "cluster has %d values for %d fields", n, plan->nfields);
	for (int i = 0; i < n; i++)
		model->centers[(Size) i * model->nclusters + cluster] =
			cluster_value(c, plan, array, i, words[i]);
}

/* Reads the clusters. */
static void
cluster_read(Compiler *c, Clustering *model, XmlNode *node, Result *result)
{
	uint32 i = 0;

	model->nclusters = xml_children(node, "Cluster");
	if (model->nclusters == 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no clusters");
	model->centers = palloc_extended((Size) model->nclusters *
										 model->plan.nfields * sizeof(double),
									 MCXT_ALLOC_HUGE);
	model->texts = palloc(model->nclusters * CLUSTER_WORDS * sizeof(uint32));
	result->entities = palloc(model->nclusters * sizeof(double));
	for (XmlNode *cluster = xml_child(node, "Cluster"); cluster != NULL;
		 cluster = xml_next(cluster, "Cluster"), i++)
	{
		const char *id = xml_attr(cluster, "id");
		const char *name = xml_attr(cluster, "name");
		char number[16];

		CHECK_FOR_INTERRUPTS();
		snprintf(number, sizeof(number), "%u", i + 1);
		model->texts[2 * i] = builder_text(c, id != NULL ? id : number);
		model->texts[2 * i + 1] =
			name != NULL ? builder_text(c, name) : MODEL_NONE;
		result->entities[i] = model->texts[2 * i];
		(void) xml_number(cluster, "size", 0);
		/* Where the cluster is on a map, and how it spreads. */
		if (xml_child(cluster, "KohonenMap") != NULL)
			xml_skip(xml_child(cluster, "KohonenMap"));
		if (xml_child(cluster, "Covariances") != NULL)
			xml_skip(xml_child(cluster, "Covariances"));
		if (xml_child(cluster, "Partition") != NULL)
			xml_skip(xml_child(cluster, "Partition"));
		cluster_center(c, model, cluster, i);
	}
	result->nentities = i;
}

/* Reads the fields that are compared. */
static void
cluster_fields(Compiler *c, Scope *scope, Clustering *model, XmlNode *node)
{
	for (XmlNode *field = xml_child(node, "ClusteringField"); field != NULL;
		 field = xml_next(field, "ClusteringField"))
		if (xml_flag(field, "isCenterField", true))
			measure_field(c, scope, field, &model->plan);
		else
			xml_skip(field);
	if (model->plan.nfields == 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no fields to compare");
}

/* Reads what a missing field counts. */
static void
cluster_weights(Clustering *model, XmlNode *node)
{
	XmlNode *weights = xml_child(node, "MissingValueWeights");

	if (weights == NULL)
		return;
	model->weights =
		value_numbers(xml_need_child(weights, "Array"), &model->nweights);
	if (model->nweights != model->plan.nfields)
		xml_fail(weights, ERRCODE_INVALID_PARAMETER_VALUE,
				 "there are %d weights for %d fields", model->nweights,
				 model->plan.nfields);
}

/* Writes the record of the model. */
static void
cluster_emit(Compiler *c, Scope *scope, const Clustering *model,
			 const Result *result)
{
	const MeasurePlan *plan = &model->plan;

	code_begin(c, OP_cluster);
	measure_emit(c, plan);
	code_nums(c, model->centers, model->nclusters * plan->nfields);
	code_nums(c, model->weights, model->nweights);
	code_word(c, model->nclusters);
	for (uint32 i = 0; i < model->nclusters * CLUSTER_WORDS; i++)
		code_word(c, model->texts[i]);
	code_word(c, result->value);
	code_word(c, result->display);
	code_word(c, result->affinity);
	code_word(c, model->nclusters);
	code_word(c, result->entity);
	code_word(c, result->nranked);
	code_word(c, result->ranked);
	code_word(c, result->nranked);
	scope_step(scope, code_end(c));
}

/* Compiles a ClusteringModel. */
void
model_compile_cluster(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	Clustering model = {0};

	if (!xml_is(node, "modelClass", "centerBased"))
		xml_unsupported(node, "modelClass", xml_attr(node, "modelClass"));
	if (!xml_is(node, "functionName", "clustering"))
		xml_unsupported(node, "functionName", xml_attr(node, "functionName"));
	(void) xml_count(node, "numberOfClusters", 0);
	if (xml_child(node, "CenterFields") != NULL)
		xml_unsupported(xml_child(node, "CenterFields"), NULL, NULL);
	measure_begin(scope, node, &model.plan);
	cluster_fields(c, scope, &model, node);
	cluster_weights(&model, node);
	cluster_read(c, &model, node, result);
	result->type = type_text;
	result->value = builder_slots(c, 1);
	result->display = builder_slots(c, 1);
	result->affinity = builder_slots(c, model.nclusters);
	result->nranked = measure_ranks(node, model.nclusters);
	result->entity = builder_slots(c, result->nranked);
	result->ranked = builder_slots(c, result->nranked);
	cluster_emit(c, scope, &model, result);
}

/* Finds the operands of a record. */
static void
cluster_args(const Run *run, const uint32 *args, ClusterArgs *found)
{
	args = measure_read(&found->measure, run, args);
	found->centers = run->num + args[0];
	found->weights = args[3] > 0 ? run->num + args[2] : NULL;
	found->nclusters = args[4];
	found->texts = args + 5;
	found->slots = found->texts + found->nclusters * CLUSTER_WORDS;
}

/* Puts the best clusters of a row into their slots. */
static void
cluster_rank(const ClusterArgs *args, double *row, uint32 *best)
{
	const uint32 *slots = args->slots;
	uint32 nranked = slots[5];
	const double *affinity = row + slots[2];
	uint32 name;

	measure_select(affinity, args->nclusters, nranked,
				   measure_is_similarity(args->measure.metric), best);
	for (uint32 i = 0; i < nranked; i++)
	{
		row[slots[4] + i] = args->texts[CLUSTER_WORDS * best[i]];
		row[slots[6] + i] = affinity[best[i]];
	}
	name = args->texts[CLUSTER_WORDS * best[0] + 1];
	row[slots[0]] = args->texts[CLUSTER_WORDS * best[0]];
	row[slots[1]] = name == MODEL_NONE ? NAN : name;
}

/* Makes the results of a row missing. */
static void
cluster_nothing(const ClusterArgs *args, double *row)
{
	const uint32 *slots = args->slots;

	row[slots[0]] = row[slots[1]] = NAN;
	for (uint32 i = 0; i < args->nclusters; i++)
		row[slots[2] + i] = NAN;
	for (uint32 i = 0; i < slots[5]; i++)
		row[slots[4] + i] = row[slots[6] + i] = NAN;
}

/* Finds the clusters of rows. */
static void
cluster_step(Run *run, const uint32 *args, int first, int n)
{
	ClusterArgs found;
	uint32 *best;

	cluster_args(run, args, &found);
	best = (uint32 *) run_scratch(run, found.nclusters);
	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);

		CHECK_FOR_INTERRUPTS();
		if (measure_run(&found.measure, row, found.weights, found.centers,
						found.nclusters, row + found.slots[2]))
			cluster_rank(&found, row, best);
		else
		{
			run->invalid[i] = true;
			cluster_nothing(&found, row);
		}
	}
}

/* Checks what the signature of the record cannot tell. */
static bool
cluster_check(const Model *model, const uint32 *args)
{
	uint32 nfields;
	uint32 nclusters;
	const uint32 *at = measure_check(model, args, &nfields);

	if (at == NULL)
		return false;
	nclusters = at[4];
	if (nclusters == 0 || nfields == 0 ||
		at[1] != (uint64) nclusters * nfields ||
		(at[3] != 0 && at[3] != nfields))
		return false;
	at += 5 + nclusters * CLUSTER_WORDS;
	return at[3] == nclusters && at[5] >= 1 && at[5] <= nclusters &&
		   at[7] == at[5];
}

const ModelOp model_op_cluster = {"cluster", CLUSTER_SIGNATURE, cluster_check,
								  NULL, cluster_step};
