/* Running a SupportVectorMachineModel. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/svm.h"

/* Where the operands of a record are. */
typedef struct SvmArgs
{
	bool single;
	SvmKernel kernel;
	SvmMethod method;
	double gamma;
	double coef0;
	double degree;
	uint32 nfields;
	const uint32 *fields;
	uint32 nvectors;
	const double *vectors;
	const uint32 *support;
	const double *coefficients;
	uint32 nmachines;
	const uint32 *machines;
	const double *labels;
	uint32 nlabels;
	uint32 slots;
	uint32 value;
} SvmArgs;

/* Finds the operands of a record. */
static void
svm_args(const double *num, const uint32 *args, SvmArgs *svm)
{
	svm->single = args[0];
	svm->kernel = args[1];
	svm->method = args[2];
	svm->gamma = num[args[3]];
	svm->coef0 = num[args[4]];
	svm->degree = num[args[5]];
	svm->nfields = args[6];
	svm->fields = args + 7;
	args = svm->fields + svm->nfields;
	svm->vectors = num + args[0];
	svm->nvectors = svm->nfields == 0 ? 0 : args[1] / svm->nfields;
	if (svm->kernel == SVM_COEFFICIENTS)
		svm->nvectors = svm->nfields;
	svm->support = args + 3;
	args = svm->support + args[2];
	svm->coefficients = num + args[0];
	svm->nmachines = args[2];
	svm->machines = args + 3;
	args = svm->machines + svm->nmachines * SVM_MACHINE_WORDS;
	svm->labels = num + args[0];
	svm->nlabels = args[1];
	svm->slots = args[2];
	svm->value = args[4];
}

/* Adds products with a field of all vectors, or squares of differences. */
static void
svm_add(double *restrict sums, const double *restrict vectors, uint32 n,
		double x, bool radial, bool single)
{
	if (single)
		for (uint32 i = 0; i < n; i++)
		{
			double d = (float) (x - vectors[i]);

			sums[i] =
				(float) (sums[i] + (float) (radial ? d * d : x * vectors[i]));
		}
	else if (radial)
		for (uint32 i = 0; i < n; i++)
		{
			double d = x - vectors[i];

			sums[i] += d * d;
		}
	else
		for (uint32 i = 0; i < n; i++)
			sums[i] += x * vectors[i];
}

/* Makes values of the kernel of products or distances. */
static double
svm_kernel_value(const SvmArgs *svm, double sum)
{
	bool single = svm->single;
	double z;

	switch (svm->kernel)
	{
		case SVM_RADIAL:
			z = model_round(-sum * svm->gamma, single);
			return model_exp(z, single);
		case SVM_POLYNOMIAL:
			z = model_round(sum * svm->gamma, single);
			z = model_round(z + svm->coef0, single);
			return svm->degree == 1 ? z
									: model_round(pow(z, svm->degree), single);
		case SVM_SIGMOID:
			z = model_round(sum * svm->gamma, single);
			z = model_round(z + svm->coef0, single);
			return model_round(tanh(z), single);
		case SVM_LINEAR:
		case SVM_COEFFICIENTS:
			break;
	}
	return sum;
}

/* Compares a row to all vectors; false if a field is missing. */
static bool
svm_compare(const SvmArgs *svm, const double *row, double *values)
{
	bool radial = svm->kernel == SVM_RADIAL;

	memset(values, 0, svm->nvectors * sizeof(double));
	for (uint32 i = 0; i < svm->nfields; i++)
	{
		double x = model_round(row[svm->fields[i]], svm->single);

		if (isnan(x))
			return false;
		if (svm->kernel == SVM_COEFFICIENTS)
			values[i] = x;
		else
			svm_add(values, svm->vectors + (Size) i * svm->nvectors,
					svm->nvectors, x, radial, svm->single);
	}
	for (uint32 i = 0; i < svm->nvectors; i++)
		values[i] = svm_kernel_value(svm, values[i]);
	return true;
}

/* The value of a machine. */
static double
svm_machine(const SvmArgs *svm, const double *num, const uint32 *machine,
			const uint32 *support, const double *coefficients,
			const double *values)
{
	double sum = 0;

	for (uint32 i = 0; i < machine[0]; i++)
		sum =
			model_round(sum + model_round(coefficients[i] * values[support[i]],
										  svm->single),
						svm->single);
	return model_round(sum + num[machine[1]], svm->single);
}

/* The class that a machine votes for; none if its value is out of range. */
static uint32
svm_vote(const SvmArgs *svm, const double *num, const uint32 *machine,
		 double value)
{
	if (svm->method == SVM_AGAINST_ONE)
		return value < num[machine[2]] ? machine[3] : machine[4];
	value = model_whole(value);
	return value == 1 ? machine[3] : value == 0 ? machine[4] : MODEL_NONE;
}

/*
 * Turns votes into shares and finds the winner: of equal ones the one that
 * got its first vote first.
 */
static void
svm_elect(const SvmArgs *svm, const uint32 *firsts, double *row)
{
	double *votes = row + svm->slots;
	uint32 best = 0;

	for (uint32 i = 1; i < svm->nlabels; i++)
		if (votes[i] > votes[best] ||
			(votes[i] == votes[best] && firsts[i] < firsts[best]))
			best = i;
	row[svm->value] = svm->labels[best];
	for (uint32 i = 0; i < svm->nlabels; i++)
		votes[i] = model_round(votes[i] / svm->nmachines, svm->single);
}

/* Runs the machines of a row; false if there is no result. */
static bool
svm_row(const SvmArgs *svm, const double *num, double *row, double *values)
{
	uint32 *firsts = (uint32 *) (values + svm->nvectors);
	const uint32 *support = svm->support;
	const double *coefficients = svm->coefficients;

	if (!svm_compare(svm, row, values))
		return false;
	for (uint32 i = 0; i < svm->nlabels; i++)
	{
		row[svm->slots + i] = 0;
		firsts[i] = svm->nmachines;
	}
	for (uint32 i = 0; i < svm->nmachines; i++)
	{
		const uint32 *machine = svm->machines + i * SVM_MACHINE_WORDS;
		double value =
			svm_machine(svm, num, machine, support, coefficients, values);

		support += machine[0];
		coefficients += machine[0];
		if (svm->method == SVM_REGRESSION)
			row[svm->value] = value;
		else if (svm->method == SVM_AGAINST_ALL)
			row[svm->slots + machine[3]] = value;
		else
		{
			uint32 vote = svm_vote(svm, num, machine, value);

			if (vote == MODEL_NONE)
				return false;
			row[svm->slots + vote]++;
			firsts[vote] = Min(firsts[vote], i);
		}
	}
	if (svm->method == SVM_AGAINST_ONE || svm->method == SVM_BINARY)
		svm_elect(svm, firsts, row);
	return true;
}

/* Runs the model for rows. */
static void
svm_step(Run *run, const uint32 *args, int first, int n)
{
	SvmArgs svm;
	double *values;

	svm_args(run->num, args, &svm);
	values = run_scratch(run, (Size) svm.nvectors + svm.nlabels);
	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);

		CHECK_FOR_INTERRUPTS();
		if (svm_row(&svm, run->num, row, values))
			continue;
		run->invalid[i] = true;
		row[svm.value] = NAN;
		for (uint32 j = 0; j < svm.nlabels; j++)
			row[svm.slots + j] = NAN;
	}
}

/* Checks the machines: what they have, and their classes. */
static bool
svm_check_machines(const SvmArgs *svm, uint32 nsupport)
{
	uint64 used = 0;

	for (uint32 i = 0; i < svm->nmachines; i++)
	{
		const uint32 *machine = svm->machines + i * SVM_MACHINE_WORDS;

		used += machine[0];
		if (svm->method != SVM_REGRESSION &&
			(machine[3] >= svm->nlabels || machine[4] >= svm->nlabels))
			return false;
	}
	for (uint32 i = 0; i < nsupport; i++)
		if (svm->support[i] >= svm->nvectors)
			return false;
	return used == nsupport && svm->nmachines > 0;
}

/* Checks what the signature of the record cannot tell. */
static bool
svm_check(const Model *model, const uint32 *args)
{
	SvmArgs svm;
	const uint32 *at;
	uint32 nnum;
	uint32 nsupport;

	if (args[0] > 1 || args[1] >= SVM_KERNELS || args[2] >= SVM_METHODS)
		return false;
	svm_args(model->num, args, &svm);
	at = svm.fields + svm.nfields;
	nnum = at[1];
	nsupport = at[2];
	at = svm.support + nsupport;
	if (svm.nfields == 0 || at[1] != nsupport ||
		(svm.kernel != SVM_COEFFICIENTS &&
		 nnum != (uint64) svm.nvectors * svm.nfields))
		return false;
	at = svm.machines + svm.nmachines * SVM_MACHINE_WORDS;
	return at[3] == svm.nlabels && svm_check_machines(&svm, nsupport) &&
		   (svm.method == SVM_REGRESSION || svm.nlabels > 0);
}

const ModelOp model_op_svm = {"svm", SVM_SIGNATURE, svm_check, NULL, svm_step};
