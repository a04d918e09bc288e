/*
 * NeuralNetwork: units are the inputs and then the neurons, in the order of
 * the document. A layer whose neurons are all connected to the same run of
 * units is kept as a matrix, unit by unit, so that the sums of all neurons
 * grow together in the order in which one of them would; the connections of
 * other layers are lists.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/compile.h"
#include "model/network.h"

/* A network while it is compiled. */
typedef struct Network
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	FieldTable units; /* slot is the number of the unit */
	const char **ids;
	uint32 nunits;
	uint32 ninputs;
	uint32 *inputs; /* slots */
	uint32 nnum;
	double *num;
	uint32 nlinks;
	uint32 *links;
	uint32 nlayers;
	uint32 *layers;
	/* Connections of the layer that is read. */
	uint32 *from;
	double *weights;
	uint32 *counts; /* of each neuron */
	uint32 noutputs;
	uint32 *outputs; /* unit, slot, id */
	double **norms;
	uint32 *nnorms;
	uint32 *beyond;
} Network;

/* Gives a unit the next number. */
static void
network_unit(Network *net, XmlNode *node)
{
	Field *unit = palloc0(sizeof(Field));

	unit->name = xml_need(node, "id");
	if (field_find(&net->units, unit->name) != NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "neuron \"%s\" is declared twice", unit->name);
	unit->slot = net->nunits;
	field_add(&net->units, unit);
	net->ids[net->nunits++] = unit->name;
}

/* Counts what the document holds, to make room for it. */
static void
network_allocate(Network *net, XmlNode *inputs)
{
	Size nunits = xml_children(inputs, "NeuralInput");
	Size nneurons = 0;
	Size ncons = 0;
	Size nlayers = xml_children(net->node, "NeuralLayer");

	net->inputs = palloc(Max(nunits, 1) * sizeof(uint32));
	for (XmlNode *layer = xml_child(net->node, "NeuralLayer"); layer != NULL;
		 layer = xml_next(layer, "NeuralLayer"))
		for (XmlNode *neuron = xml_child(layer, "Neuron"); neuron != NULL;
			 neuron = xml_next(neuron, "Neuron"))
		{
			nneurons++;
			ncons += xml_children(neuron, "Con");
		}
	nunits += nneurons;
	net->ids = palloc_extended((nunits + 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	net->num = palloc_extended((ncons + 2 * nneurons + 1) * sizeof(double),
							   MCXT_ALLOC_HUGE);
	net->links = palloc_extended((ncons + nneurons + 1) * sizeof(uint32),
								 MCXT_ALLOC_HUGE);
	net->from = palloc_extended((ncons + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	net->weights =
		palloc_extended((ncons + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	net->counts = palloc((nneurons + 1) * sizeof(uint32));
	net->layers = palloc((nlayers + 1) * LAYER_WORDS * sizeof(uint32));
}

/* The type of an input as a number; its expression decides for texts. */
static Operand
network_number(Network *net, XmlNode *node, Operand value)
{
	FieldType type = type_parse(node, value.type);

	if (type.type == VALUE_TEXT)
		type = value.type.type == VALUE_TEXT ? type_double : value.type;
	return expression_cast(net->c, value, type);
}

/* Compiles the inputs. */
static void
network_inputs(Network *net, XmlNode *inputs)
{
	(void) xml_count(inputs, "numberOfInputs", 0);
	for (XmlNode *node = xml_child(inputs, "NeuralInput"); node != NULL;
		 node = xml_next(node, "NeuralInput"))
	{
		XmlNode *derived = xml_need_child(node, "DerivedField");
		XmlNode *child = expression_child(derived);
		Operand value;

		if (child == NULL)
			xml_fail(derived, ERRCODE_INVALID_PARAMETER_VALUE,
					 "input \"%s\" has no expression", xml_need(node, "id"));
		(void) xml_attr(derived, "name");
		network_unit(net, node);
		value = expression_compile(net->c, net->scope, child);
		value = network_number(net, derived, value);
		net->inputs[net->ninputs++] = scope_set(net->c, net->scope, value);
	}
}

/* The unit that a connection comes from; mostly it follows the last one. */
static uint32
network_from(Network *net, XmlNode *con, uint32 guess)
{
	const char *id = xml_need(con, "from");
	Field *unit;

	if (guess < net->nunits && strcmp(net->ids[guess], id) == 0)
		return guess;
	unit = field_find(&net->units, id);
	if (unit == NULL)
		xml_fail(con, ERRCODE_INVALID_PARAMETER_VALUE,
				 "no neuron \"%s\" comes before this one", id);
	return unit->slot;
}

/* Reads the connections of a neuron; returns their number. */
static uint32
network_neuron(Network *net, XmlNode *neuron, uint32 at)
{
	uint32 n = 0;
	uint32 guess = MODEL_NONE;

	for (XmlNode *con = xml_child(neuron, "Con"); con != NULL;
		 con = xml_next(con, "Con"), n++)
	{
		if (guess == MODEL_NONE && at + n > 0)
			guess = net->from[0];
		net->from[at + n] = network_from(net, con, guess);
		net->weights[at + n] =
			model_round(xml_need_number(con, "weight"), net->scope->single);
		guess = net->from[at + n] + 1;
	}
	return n;
}

/* Tells whether all neurons are connected to the same run of units. */
static bool
network_is_dense(const Network *net, uint32 neurons, uint32 base)
{
	uint32 n = net->counts[0];

	for (uint32 i = 0, at = 0; i < neurons; i++)
	{
		if (net->counts[i] != n)
			return false;
		for (uint32 j = 0; j < n; j++, at++)
			if (net->from[at] != net->from[0] + j || net->from[at] >= base)
				return false;
	}
	return true;
}

/* Keeps the connections of a layer as a matrix or as lists. */
static void
network_connect(Network *net, uint32 *layer, uint32 base)
{
	uint32 neurons = layer[LAYER_NEURONS];
	bool dense = network_is_dense(net, neurons, base);
	uint32 n = net->counts[0];
	uint32 at = 0;

	layer[LAYER_FIRST] = dense ? (n == 0 ? 0 : net->from[0]) : MODEL_NONE;
	layer[LAYER_UNITS] = dense ? n : 0;
	for (uint32 i = 0; dense && i < n; i++)
		for (uint32 j = 0; j < neurons; j++)
			net->num[net->nnum++] = net->weights[(Size) j * n + i];
	for (uint32 j = 0; !dense && j < neurons; j++)
	{
		net->links[net->nlinks++] = net->counts[j];
		for (uint32 i = 0; i < net->counts[j]; i++, at++)
		{
			net->links[net->nlinks++] = net->from[at];
			net->num[net->nnum++] = net->weights[at];
		}
	}
}

/* A number that the layer or else the model tells. */
static double
network_setting(Network *net, XmlNode *layer, const char *name, double missing)
{
	return xml_number(layer, name, xml_number(net->node, name, missing));
}

/*
 * Adds the biases of a layer; with radial bases, the denominators of the
 * squares and what is added to the quotients instead.
 */
static void
network_biases(Network *net, XmlNode *layer, Activation activation)
{
	double width = network_setting(net, layer, "width", NAN);
	double altitude = network_setting(net, layer, "altitude", 1);
	bool single = net->scope->single;
	uint32 i = 0;

	for (XmlNode *neuron = xml_child(layer, "Neuron"); neuron != NULL;
		 neuron = xml_next(neuron, "Neuron"))
	{
		double bias = xml_number(neuron, "bias", 0);
		double w = xml_number(neuron, "width", width);

		(void) xml_number(neuron, "altitude", altitude);
		if (activation == ACTIVATION_RADIAL)
		{
			if (isnan(w))
				xml_fail(neuron, ERRCODE_INVALID_PARAMETER_VALUE,
						 "radial basis has no width");
			bias = model_round(w, single);
			bias = -2 * model_round(bias * bias, single);
		}
		net->num[net->nnum++] = model_round(bias, single);
	}
	if (activation != ACTIVATION_RADIAL)
		return;
	for (XmlNode *neuron = xml_child(layer, "Neuron"); neuron != NULL;
		 neuron = xml_next(neuron, "Neuron"))
	{
		double add =
			model_round(log(xml_number(neuron, "altitude", altitude)), single);

		net->num[net->nnum++] = model_round(add * net->counts[i++], single);
	}
}

/* Reads a layer. */
static void
network_layer(Network *net, XmlNode *node)
{
	uint32 *layer = net->layers + LAYER_WORDS * net->nlayers++;
	uint32 base = net->nunits;
	uint32 at = 0;
	int activation =
		xml_choice(net->node, "activationFunction", ACTIVATION_WORDS, -1);

	(void) xml_count(node, "numberOfNeurons", 0);
	activation =
		xml_choice(node, "activationFunction", ACTIVATION_WORDS, activation);
	if (activation < 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "layer has no activation function");
	layer[LAYER_ACTIVATION] = activation;
	layer[LAYER_NORMALIZATION] = xml_choice(
		node, "normalizationMethod", NORMALIZATION_WORDS,
		xml_choice(net->node, "normalizationMethod", NORMALIZATION_WORDS, 0));
	for (XmlNode *neuron = xml_child(node, "Neuron"); neuron != NULL;
		 neuron = xml_next(neuron, "Neuron"))
	{
		uint32 n = network_neuron(net, neuron, at);

		CHECK_FOR_INTERRUPTS();
		net->counts[net->nunits - base] = n;
		at += n;
		network_unit(net, neuron);
	}
	layer[LAYER_NEURONS] = net->nunits - base;
	if (net->nunits == base)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "layer has no neurons");
	network_connect(net, layer, base);
	network_biases(net, node, activation);
	layer[LAYER_THRESHOLD] = builder_num(
		net->c, model_round(network_setting(net, node, "threshold", 0),
							net->scope->single));
	layer[LAYER_LEAKAGE] = builder_num(
		net->c, model_round(network_setting(net, node, "x-leakage", 0),
							net->scope->single));
}

/* The expression of an output, where it is declared elsewhere too. */
static XmlNode *
network_expression(Network *net, XmlNode *output)
{
	XmlNode *derived = xml_need_child(output, "DerivedField");
	XmlNode *node = expression_child(derived);
	Field *field;

	(void) xml_attr(derived, "name");
	(void) type_parse(derived, type_double);
	if (node == NULL || !xml_named(node, "FieldRef"))
		return node;
	field = field_find(&net->c->dictionary, xml_need(node, "field"));
	if (field != NULL)
		return node;
	field = scope_field(net->c, net->scope, node, xml_need(node, "field"));
	if (!xml_named(field->node, "DerivedField"))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "field \"%s\" is no target", field->name);
	return expression_child(field->node);
}

/* Reads the points of a NormContinuous as pairs, original value first. */
static void
network_norms(Network *net, XmlNode *node)
{
	int n = xml_children(node, "LinearNorm");
	double *norms = palloc(Max(n, 1) * 2 * sizeof(double));
	uint32 at = net->noutputs;
	int i = 0;

	net->beyond[at] = xml_choice(node, "outliers", BEYOND_WORDS, 0);
	for (XmlNode *norm = xml_child(node, "LinearNorm"); norm != NULL;
		 norm = xml_next(norm, "LinearNorm"), i += 2)
	{
		norms[i] =
			model_round(xml_need_number(norm, "orig"), net->scope->single);
		norms[i + 1] =
			model_round(xml_need_number(norm, "norm"), net->scope->single);
		if (i > 0 && (norms[i + 1] == norms[i - 1] ||
					  (norms[i + 1] > norms[i - 1]) != (norms[3] > norms[1])))
			xml_fail(norm, ERRCODE_INVALID_PARAMETER_VALUE,
					 "values of norm neither all rise nor all fall");
	}
	if (n < 2)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"NormContinuous\" has fewer than two points");
	net->norms[at] = norms;
	net->nnorms[at] = i;
}

/* Notes an output of a unit that is put into a slot. */
static void
network_output(Network *net, XmlNode *node, uint32 slot)
{
	const char *id = xml_need(node, "outputNeuron");
	Field *unit = field_find(&net->units, id);
	uint32 *output = net->outputs + 3 * net->noutputs++;

	if (unit == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "there is no neuron \"%s\"", id);
	output[0] = unit->slot;
	output[1] = slot;
	output[2] = builder_text(net->c, id);
}

/* Tells whether an expression of an output is about a target. */
static bool
network_is_about(XmlNode *expression, const Field *target)
{
	const char *name =
		expression == NULL ? NULL : xml_attr(expression, "field");

	return target == NULL || (name != NULL && strcmp(name, target->name) == 0);
}

/* Compiles the outputs that are classes of a target. */
static void
network_classes(Network *net, XmlNode *outputs, const Field *target,
				Result *result)
{
	int n = xml_children(outputs, "NeuralOutput");
	uint32 slots = builder_slots(net->c, n);

	result->labels = palloc(n * sizeof(double));
	for (XmlNode *node = xml_child(outputs, "NeuralOutput"); node != NULL;
		 node = xml_next(node, "NeuralOutput"))
	{
		XmlNode *expression = network_expression(net, node);
		double label;

		if (!network_is_about(expression, target))
			continue;
		if (expression == NULL || !xml_named(expression, "NormDiscrete"))
			xml_unsupported(expression == NULL ? node : expression, NULL,
							NULL);
		label = target == NULL
					? scope_label(net->c, net->scope, expression,
								  xml_need(expression, "value"))
					: value_parse(net->c, expression,
								  xml_need(expression, "value"), target->type);
		for (int i = 0; i < result->nlabels; i++)
			if (result->labels[i] == label)
				xml_fail(expression, ERRCODE_INVALID_PARAMETER_VALUE,
						 "class \"%s\" has two neurons",
						 xml_attr(expression, "value"));
		(void) xml_attr(expression, "field");
		(void) xml_attr(expression, "method");
		network_output(net, node, slots + result->nlabels);
		result->labels[result->nlabels++] = label;
	}
	result->probability = slots;
}

/* Compiles the output that is the value of a target. */
static void
network_value(Network *net, XmlNode *outputs, const Field *target,
			  Result *result)
{
	for (XmlNode *node = xml_child(outputs, "NeuralOutput"); node != NULL;
		 node = xml_next(node, "NeuralOutput"))
	{
		XmlNode *expression = network_expression(net, node);

		if (!network_is_about(expression, target))
			continue;
		if (result->value != MODEL_NONE)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "two neurons give the value of the target");
		if (expression == NULL || (!xml_named(expression, "NormContinuous") &&
								   !xml_named(expression, "FieldRef")))
			xml_unsupported(expression == NULL ? node : expression, NULL,
							NULL);
		if (xml_named(expression, "NormContinuous"))
			network_norms(net, expression);
		(void) xml_attr(expression, "field");
		result->value = builder_slots(net->c, 1);
		network_output(net, node, result->value);
	}
	result->type = type_real(net->scope->single);
}

/* Writes the record of the network. */
static void
network_emit(Network *net, uint32 entity)
{
	Compiler *c = net->c;

	code_begin(c, OP_network);
	code_word(c, net->scope->single);
	code_words(c, net->inputs, net->ninputs);
	code_nums(c, net->num, net->nnum);
	code_words(c, net->links, net->nlinks);
	code_word(c, net->nlayers);
	for (uint32 i = 0; i < net->nlayers * LAYER_WORDS; i++)
		code_word(c, net->layers[i]);
	code_word(c, net->noutputs);
	for (uint32 i = 0; i < net->noutputs; i++)
	{
		for (int j = 0; j < 3; j++)
			code_word(c, net->outputs[3 * i + j]);
		code_nums(c, net->norms[i], net->nnorms[i]);
		code_word(c, net->beyond[i]);
	}
	code_word(c, entity);
	scope_step(net->scope, code_end(c));
}

/* Compiles what one target gets of the network. */
static void
network_target(Network *net, XmlNode *outputs, const Field *target,
			   Result *result)
{
	if (net->scope->classifies)
		network_classes(net, outputs, target, result);
	else
		network_value(net, outputs, target, result);
	if (result->nlabels == 0 && result->value == MODEL_NONE)
		xml_fail(outputs, ERRCODE_INVALID_PARAMETER_VALUE,
				 "no neuron gives a value of the target \"%s\"",
				 target == NULL ? "" : target->name);
}

/* Compiles what each of several targets gets. */
static void
network_targets(Network *net, XmlNode *outputs, Result *result)
{
	Scope *scope = net->scope;

	result->ntargets = scope->ntargets;
	result->targets = scope->targets;
	result->target_slots = palloc(scope->ntargets * sizeof(uint32));
	result->target_results = palloc(scope->ntargets * sizeof(Result *));
	for (int i = 0; i < scope->ntargets; i++)
	{
		Result *each = palloc(sizeof(Result));

		result_init(each);
		network_target(net, outputs, scope->targets[i], each);
		result->target_results[i] = each;
	}
}

/* Adds what follows the network: the values of several targets. */
static void
network_finish_targets(Network *net, Result *result)
{
	for (int i = 0; i < result->ntargets; i++)
	{
		Result *each = result->target_results[i];
		FieldType type = result->targets[i]->type;

		if (net->scope->classifies)
		{
			each->type = type;
			result_best(net->c, net->scope, each, each->probability, false);
		}
		else if (type.type != each->type.type)
		{
			Operand value = expression_slot(net->c, each->value, each->type);

			value = expression_cast(net->c, value, type);
			each->value = scope_set(net->c, net->scope, value);
			each->type = type;
		}
		result->target_slots[i] = each->value;
	}
	result->value = result->target_slots[0];
	result->type = result->target_results[0]->type;
}

/* Reads inputs, layers and makes room for outputs. */
static void
network_read(Network *net, XmlNode *outputs)
{
	XmlNode *inputs = xml_need_child(net->node, "NeuralInputs");
	int noutputs = Max(xml_children(outputs, "NeuralOutput"), 1);

	(void) xml_count(net->node, "numberOfLayers", 0);
	(void) xml_count(outputs, "numberOfOutputs", 0);
	network_allocate(net, inputs);
	network_inputs(net, inputs);
	for (XmlNode *layer = xml_child(net->node, "NeuralLayer"); layer != NULL;
		 layer = xml_next(layer, "NeuralLayer"))
		network_layer(net, layer);
	net->outputs = palloc(noutputs * 3 * sizeof(uint32));
	net->norms = palloc0(noutputs * sizeof(double *));
	net->nnorms = palloc0(noutputs * sizeof(uint32));
	net->beyond = palloc0(noutputs * sizeof(uint32));
}

/* Compiles a NeuralNetwork. */
void
model_compile_network(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	Network net = {.c = c, .scope = scope, .node = node};
	XmlNode *outputs = xml_need_child(node, "NeuralOutputs");

	network_read(&net, outputs);
	if (scope->ntargets > 1)
	{
		network_targets(&net, outputs, result);
		network_emit(&net, MODEL_NONE);
		network_finish_targets(&net, result);
		return;
	}
	network_target(&net, outputs, scope->target, result);
	if (!scope->classifies)
	{
		network_emit(&net, MODEL_NONE);
		return;
	}
	result->type = scope->predicts;
	result->entity = builder_slots(c, 1);
	network_emit(&net, result->entity);
	result_best(c, scope, result, result->probability, false);
}
