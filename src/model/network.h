/* The record of a NeuralNetwork, for writing and running it. */
#ifndef IAROS_MODEL_NETWORK_H
#define IAROS_MODEL_NETWORK_H

#include "model/model.h"

typedef enum Activation
{
	ACTIVATION_THRESHOLD,
	ACTIVATION_LOGISTIC,
	ACTIVATION_TANH,
	ACTIVATION_IDENTITY,
	ACTIVATION_EXPONENTIAL,
	ACTIVATION_RECIPROCAL,
	ACTIVATION_SQUARE,
	ACTIVATION_GAUSS,
	ACTIVATION_SINE,
	ACTIVATION_COSINE,
	ACTIVATION_ELLIOTT,
	ACTIVATION_ARCTAN,
	ACTIVATION_RECTIFIER,
	ACTIVATION_RADIAL
} Activation;

#define ACTIVATION_WORDS                                                      \
	"threshold|logistic|tanh|identity|exponential|reciprocal|square|Gauss|"   \
	"sine|cosine|Elliott|arctan|rectifier|radialBasis"
#define ACTIVATIONS (ACTIVATION_RADIAL + 1)

typedef enum Normalization
{
	NORMALIZATION_NONE,
	NORMALIZATION_SIMPLEMAX,
	NORMALIZATION_SOFTMAX
} Normalization;

#define NORMALIZATION_WORDS "none|simplemax|softmax"
#define NORMALIZATIONS (NORMALIZATION_SOFTMAX + 1)

/* How a value beyond the ends of a NormContinuous is mapped back. */
typedef enum Beyond
{
	BEYOND_AS_IS,
	BEYOND_MISSING,
	BEYOND_EXTREME
} Beyond;

#define BEYOND_WORDS "asIs|asMissingValues|asExtremeValues"

/* A layer: operands of the record; the first unit is NONE for lists. */
#define LAYER_WORDS 7
#define LAYER_ACTIVATION 0
#define LAYER_NORMALIZATION 1
#define LAYER_NEURONS 2
#define LAYER_FIRST 3
#define LAYER_UNITS 4
#define LAYER_THRESHOLD 5
#define LAYER_LEAKAGE 6

/* An output: unit, slot, id of the unit, numbers that map it back. */
#define OUTPUT_WORDS 6
#define NETWORK_SIGNATURE "i*sN*i*(iiiiinn)*(istNi)?s"

#endif /* IAROS_MODEL_NETWORK_H */
