/* Running a NeuralNetwork. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/network.h"

/* What a neuron makes of its sum. */
static double
network_activate(Activation activation, double z, double threshold,
				 double leakage, bool single)
{
	switch (activation)
	{
		case ACTIVATION_THRESHOLD:
			return z > threshold ? 1 : 0;
		case ACTIVATION_LOGISTIC:
			return 1 / model_round(1 + model_exp(-z, single), single);
		case ACTIVATION_TANH:
			return tanh(z);
		case ACTIVATION_EXPONENTIAL:
			return model_exp(z, single);
		case ACTIVATION_RECIPROCAL:
			return 1 / z;
		case ACTIVATION_SQUARE:
			return z * z;
		case ACTIVATION_GAUSS:
			return model_exp(-model_round(z * z, single), single);
		case ACTIVATION_SINE:
			return sin(z);
		case ACTIVATION_COSINE:
			return cos(z);
		case ACTIVATION_ELLIOTT:
			return z / model_round(1 + fabs(z), single);
		case ACTIVATION_ARCTAN:
			return 2 * model_round(atan(z), single) /
				   model_round(M_PI, single);
		case ACTIVATION_RECTIFIER:
			return !(z < 0) ? z : leakage == 0 ? 0 : leakage * z;
		case ACTIVATION_IDENTITY:
		case ACTIVATION_RADIAL:
			break;
	}
	return z;
}

/* Adds what one unit has to say to the sums of all neurons of a layer. */
static void
layer_add(double *restrict sums, const double *restrict weights,
		  uint32 neurons, double x, bool radial, bool single)
{
	if (single)
		for (uint32 i = 0; i < neurons; i++)
		{
			double d = (float) (x - weights[i]);

			sums[i] =
				(float) (sums[i] + (float) (radial ? d * d : weights[i] * x));
		}
	else if (radial)
		for (uint32 i = 0; i < neurons; i++)
		{
			double d = x - weights[i];

			sums[i] += d * d;
		}
	else
		for (uint32 i = 0; i < neurons; i++)
			sums[i] += weights[i] * x;
}

/* Makes the output of a neuron of its sum; num is of its bias. */
static double
layer_finish(const Run *run, const uint32 *layer, double sum,
			 const double *num, bool single)
{
	Activation activation = layer[LAYER_ACTIVATION];
	double z;

	if (activation == ACTIVATION_RADIAL)
	{
		z = model_round(sum / num[0], single);
		z = model_round(z + num[layer[LAYER_NEURONS]], single);
		return model_exp(z, single);
	}
	z = model_round(sum + num[0], single);
	return model_round(
		network_activate(activation, z, run->num[layer[LAYER_THRESHOLD]],
						 run->num[layer[LAYER_LEAKAGE]], single),
		single);
}

/* Runs a layer that is a matrix; returns the numbers of the next one. */
static const double *
layer_dense(const Run *run, const uint32 *layer, double *units, uint32 base,
			const double *num, bool single)
{
	uint32 neurons = layer[LAYER_NEURONS];
	const double *from = units + layer[LAYER_FIRST];
	double *sums = units + base;
	bool radial = layer[LAYER_ACTIVATION] == ACTIVATION_RADIAL;

	memset(sums, 0, neurons * sizeof(double));
	for (uint32 i = 0; i < layer[LAYER_UNITS]; i++, num += neurons)
		layer_add(sums, num, neurons, from[i], radial, single);
	for (uint32 i = 0; i < neurons; i++)
		sums[i] = layer_finish(run, layer, sums[i], num + i, single);
	return num + neurons * (radial ? 2 : 1);
}

/* Runs a layer that is lists; advances the lists. */
static const double *
layer_sparse(const Run *run, const uint32 *layer, double *units, uint32 base,
			 const double *num, const uint32 **links, bool single)
{
	uint32 neurons = layer[LAYER_NEURONS];
	const uint32 *link = *links;
	const double *weight = num;
	const double *bias = num;
	bool radial = layer[LAYER_ACTIVATION] == ACTIVATION_RADIAL;

	for (uint32 i = 0; i < neurons; i++)
	{
		bias += *link;
		link += *link + 1;
	}
	link = *links;
	for (uint32 i = 0; i < neurons; i++)
	{
		double sum = 0;
		uint32 n = *link++;

		for (uint32 j = 0; j < n; j++)
			layer_add(&sum, weight++, 1, units[*link++], radial, single);
		units[base + i] = layer_finish(run, layer, sum, bias + i, single);
	}
	*links = link;
	return bias + neurons * (radial ? 2 : 1);
}

/* Divides the outputs of a layer, or powers of e of them, by their sum. */
static void
layer_normalize(Normalization method, double *units, uint32 n, bool single)
{
	double sum = 0;
	double max = units[0];

	if (method == NORMALIZATION_NONE)
		return;
	for (uint32 i = 1; i < n; i++)
		max = Max(max, units[i]);
	for (uint32 i = 0; i < n; i++)
	{
		if (method == NORMALIZATION_SOFTMAX)
			units[i] = model_exp(model_round(units[i] - max, single), single);
		sum = model_round(sum + units[i], single);
	}
	for (uint32 i = 0; i < n; i++)
		units[i] = model_round(units[i] / sum, single);
}

/* Maps a value back by points of original and normal value. */
static double
network_denormalize(double z, const double *norms, uint32 n, Beyond beyond,
					bool single)
{
	uint32 last = n - 2;
	bool rises = norms[3] > norms[1];
	bool before = rises ? z < norms[1] : z > norms[1];
	bool after = rises ? z > norms[last + 1] : z < norms[last + 1];
	uint32 at = 0;

	if ((before || after) && beyond == BEYOND_MISSING)
		return NAN;
	if ((before || after) && beyond == BEYOND_EXTREME)
		return norms[before ? 0 : last];
	while (at + 4 < n && (rises ? z >= norms[at + 3] : z <= norms[at + 3]))
		at += 2;
	norms += at;
	z = model_round(z - norms[1], single);
	z = model_round(z / model_round(norms[3] - norms[1], single), single);
	z = model_round(z * model_round(norms[2] - norms[0], single), single);
	return model_round(z + norms[0], single);
}

/* Puts inputs into the first units; false if one is missing. */
static bool
network_start(const uint32 *inputs, const double *row, bool single,
			  double *units)
{
	for (uint32 i = 0; i < inputs[0]; i++)
	{
		double value = row[inputs[i + 1]];

		if (isnan(value))
			return false;
		units[i] = model_round(value, single);
	}
	return true;
}

/* Runs all layers. */
static void
network_run(const Run *run, const uint32 *args, double *units)
{
	bool single = args[0];
	uint32 base = args[1];
	const uint32 *links = args + 2 + base;
	const double *num = run->num + links[0];
	const uint32 *layer;
	uint32 nlayers;

	links += 2;
	layer = links + 1 + links[0];
	links++;
	nlayers = *layer++;
	for (uint32 i = 0; i < nlayers; i++, layer += LAYER_WORDS)
	{
		if (layer[LAYER_FIRST] != MODEL_NONE)
			num = layer_dense(run, layer, units, base, num, single);
		else
			num = layer_sparse(run, layer, units, base, num, &links, single);
		layer_normalize(layer[LAYER_NORMALIZATION], units + base,
						layer[LAYER_NEURONS], single);
		base += layer[LAYER_NEURONS];
	}
}

/* Puts outputs into their slots, missing without units, and the winner. */
static void
network_finish(const Run *run, const uint32 *outputs, const double *units,
			   bool single, double *row)
{
	uint32 n = *outputs++;
	uint32 entity = outputs[n * OUTPUT_WORDS];
	double best = NAN;
	double winner = NAN;

	for (uint32 i = 0; i < n; i++, outputs += OUTPUT_WORDS)
	{
		double z = units == NULL ? NAN : units[outputs[0]];

		if (isnan(best) ? !isnan(z) : z > best)
		{
			best = z;
			winner = outputs[2];
		}
		if (outputs[4] > 0)
			z = network_denormalize(z, run->num + outputs[3], outputs[4],
									outputs[5], single);
		row[outputs[1]] = z;
	}
	if (entity != MODEL_NONE)
		row[entity] = winner;
}

/* Number of units, and where the outputs are. */
static const uint32 *
network_outputs(const uint32 *args, uint32 *nunits)
{
	const uint32 *at = args + 2 + args[1] + 2;

	*nunits = args[1];
	at += 1 + at[0];
	for (uint32 n = *at++; n > 0; n--, at += LAYER_WORDS)
		*nunits += at[LAYER_NEURONS];
	return at;
}

/* Runs a network for rows. */
static void
network_step(Run *run, const uint32 *args, int first, int n)
{
	uint32 nunits;
	const uint32 *outputs = network_outputs(args, &nunits);
	double *units = run_scratch(run, nunits);

	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);
		bool known = network_start(args + 1, row, args[0], units);

		CHECK_FOR_INTERRUPTS();
		if (known)
			network_run(run, args, units);
		network_finish(run, outputs, known ? units : NULL, args[0], row);
	}
}

/* Checks the connections of a layer; returns how many numbers they take. */
static bool
layer_check(const uint32 *layer, uint32 base, const uint32 **links,
			const uint32 *end, uint64 *used)
{
	uint32 neurons = layer[LAYER_NEURONS];

	if (layer[LAYER_ACTIVATION] >= ACTIVATIONS ||
		layer[LAYER_NORMALIZATION] >= NORMALIZATIONS || neurons == 0)
		return false;
	*used += (uint64) neurons *
			 (layer[LAYER_ACTIVATION] == ACTIVATION_RADIAL ? 2 : 1);
	if (layer[LAYER_FIRST] != MODEL_NONE)
	{
		*used += (uint64) neurons * layer[LAYER_UNITS];
		return layer[LAYER_FIRST] <= base &&
			   layer[LAYER_UNITS] <= base - layer[LAYER_FIRST];
	}
	for (uint32 i = 0; i < neurons; i++)
	{
		uint32 n;

		if (*links >= end)
			return false;
		n = *(*links)++;
		if (n > (uint32) (end - *links))
			return false;
		*used += n;
		for (; n > 0; n--)
			if (*(*links)++ >= base + i)
				return false;
	}
	return true;
}

/* Checks what the signature of the record cannot tell. */
static bool
network_check(const Model *model, const uint32 *args)
{
	uint32 units = args[1];
	const uint32 *at = args + 2 + units;
	uint32 nnum = at[1];
	uint64 used = 0;
	const uint32 *links = at + 3;
	const uint32 *layer = links + at[2];

	if (args[0] > 1)
		return false;
	at = layer + 1;
	for (uint32 i = 0; i < *layer; i++, at += LAYER_WORDS)
	{
		if (!layer_check(at, units, &links, layer, &used) || used > nnum)
			return false;
		units += at[LAYER_NEURONS];
	}
	if (used != nnum || links != layer)
		return false;
	for (uint32 n = *at++; n > 0; n--, at += OUTPUT_WORDS)
		if (at[0] >= units || at[4] % 2 != 0 || at[4] == 2 ||
			at[5] > BEYOND_EXTREME)
			return false;
	return true;
}

const ModelOp model_op_network = {"network", NETWORK_SIGNATURE, network_check,
								  NULL, network_step};
