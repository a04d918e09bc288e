/* The record of a SupportVectorMachineModel, for writing and running it. */
#ifndef IAROS_MODEL_SVM_H
#define IAROS_MODEL_SVM_H

#include "model/model.h"

typedef enum SvmKernel
{
	SVM_LINEAR,
	SVM_POLYNOMIAL,
	SVM_RADIAL,
	SVM_SIGMOID,
	SVM_COEFFICIENTS /* none: coefficients are of the fields themselves */
} SvmKernel;

#define SVM_KERNELS (SVM_COEFFICIENTS + 1)

typedef enum SvmMethod
{
	SVM_REGRESSION,  /* value of the only machine */
	SVM_AGAINST_ALL, /* a machine for each class */
	SVM_AGAINST_ONE, /* votes by a threshold */
	SVM_BINARY       /* votes by values that are near 0 or 1 */
} SvmMethod;

#define SVM_METHODS (SVM_BINARY + 1)

/*
 * Operands: whether arithmetic is single, kernel, method; gamma, coef0,
 * degree; slots of fields; vectors, of each field those of all; what vectors
 * and coefficients machines have, one after the other; of each machine their
 * number, the constant, the threshold and the classes below and above it;
 * classes, their slots and the slot of the value.
 */
#define SVM_SIGNATURE "iiinnn*sN*iN*(innii)NSs"
#define SVM_MACHINE_WORDS 5

#endif /* IAROS_MODEL_SVM_H */
