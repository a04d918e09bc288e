/* Treating missing, invalid and extreme values of inputs. */
#include "postgres.h"

#include "model/model.h"
#include "model/treat.h"

/* Upper half of the NaN that stands for a value of a wrong type. */
#define TREAT_INCOMPATIBLE 0x7FFA0000u

/* The operands of the step. */
typedef struct Treat
{
	uint32 from;
	uint32 slot;
	uint32 flags;
	const double *valid;
	uint32 nvalid;
	const double *missing;
	uint32 nmissing;
	const double *invalid;
	uint32 ninvalid;
	const uint32 *marks;
	uint32 nmarks;
	const double *intervals;
	uint32 nintervals;
	double missing_value;
	double invalid_value;
	double low;
	double high;
} Treat;

typedef union TreatBits
{
	double value;
	uint64 bits;
} TreatBits;

/* What stands for a value of a wrong type, whose text has that number. */
double
treat_incompatible(double text)
{
	TreatBits bits;

	bits.bits = ((uint64) TREAT_INCOMPATIBLE << 32) | (uint32) text;
	return bits.value;
}

/* Tells whether a value has a wrong type, and the number of its text. */
static inline bool
treat_is_incompatible(double value, uint32 *text)
{
	TreatBits bits = {.value = value};

	*text = (uint32) bits.bits;
	return (bits.bits >> 32) == TREAT_INCOMPATIBLE;
}

/* Reads a range of numbers. */
static const double *
treat_range(const Run *run, const uint32 **args, uint32 *n)
{
	const double *values = run->num + (*args)[0];

	*n = (*args)[1];
	*args += 2;
	return values;
}

/* Reads the operands. */
static void
treat_read(const Run *run, const uint32 *args, Treat *treat)
{
	treat->from = args[0];
	treat->slot = args[1];
	treat->flags = args[2];
	args += 3;
	treat->valid = treat_range(run, &args, &treat->nvalid);
	treat->missing = treat_range(run, &args, &treat->nmissing);
	treat->invalid = treat_range(run, &args, &treat->ninvalid);
	treat->nmarks = args[0];
	treat->marks = args + 1;
	args += 1 + treat->nmarks;
	treat->intervals = treat_range(run, &args, &treat->nintervals);
	treat->nintervals /= 3;
	treat->missing_value = args[0] == MODEL_NONE ? NAN : run->num[args[0]];
	treat->invalid_value = args[1] == MODEL_NONE ? NAN : run->num[args[1]];
	treat->low = run->num[args[2]];
	treat->high = run->num[args[3]];
}

/* Tells whether a value is in one of the intervals. */
static bool
treat_inside(const Treat *treat, double value)
{
	for (uint32 i = 0; i < treat->nintervals; i++)
	{
		const double *interval = treat->intervals + 3 * i;
		int closed = (int) interval[2];

		if ((value > interval[0] ||
			 (value == interval[0] && (closed & TREAT_CLOSED_LEFT))) &&
			(value < interval[1] ||
			 (value == interval[1] && (closed & TREAT_CLOSED_RIGHT))))
			return true;
	}
	return false;
}

/* Tells whether a value of the type is valid. */
static bool
treat_is_valid(const Treat *treat, double value)
{
	if (number_find(treat->valid, treat->nvalid, value) < treat->nvalid)
		return true;
	if (number_find(treat->invalid, treat->ninvalid, value) < treat->ninvalid)
		return false;
	/* Where values are told to be valid, only they are. */
	if (treat->nvalid > 0)
		return false;
	return treat->nintervals == 0 || treat_inside(treat, value);
}

/* What a missing value becomes. */
static double
treat_missing(const Treat *treat, bool *invalid)
{
	if (treat->flags & TREAT_REFUSE_MISSING)
		*invalid = true;
	return treat->missing_value;
}

/* What an invalid value becomes; it has a wrong type, or not. */
static double
treat_invalid(const Treat *treat, double value, bool typed, bool *invalid)
{
	switch (treat->flags & TREAT_INVALID_MASK)
	{
		case TREAT_AS_MISSING:
			return treat->missing_value;
		case TREAT_AS_VALUE:
			return treat->invalid_value;
		case TREAT_AS_IS:
			if (!isnan(treat->invalid_value))
				return treat->invalid_value;
			if (typed)
				return value;
			break;
	}
	*invalid = true;
	return NAN;
}

/* What a valid value becomes, which may be extreme. */
static double
treat_outlier(const Treat *treat, double value)
{
	double bound;

	if (value < treat->low)
		bound = treat->low;
	else if (value > treat->high)
		bound = treat->high;
	else
		return value;
	switch ((treat->flags >> TREAT_OUTLIER_SHIFT) & 3)
	{
		case TREAT_OUTLIER_MISSING:
			return treat->missing_value;
		case TREAT_OUTLIER_EXTREME:
			return bound;
		default:
			return value;
	}
}

/* What a value that is not a number becomes: missing, or of a wrong type. */
static double
treat_nan(const Treat *treat, double value, bool *invalid)
{
	uint32 text;

	if (!treat_is_incompatible(value, &text))
		return treat_missing(treat, invalid);
	for (uint32 i = 0; i < treat->nmarks; i++)
		if (treat->marks[i] == text)
			return treat_missing(treat, invalid);
	return treat_invalid(treat, NAN, false, invalid);
}

/* What a value becomes. */
static double
treat_value(const Treat *treat, double value, bool *invalid)
{
	if (isnan(value))
		return treat_nan(treat, value, invalid);
	if (!(treat->flags & TREAT_INNER))
	{
		if (number_find(treat->missing, treat->nmissing, value) <
			treat->nmissing)
			return treat_missing(treat, invalid);
		if (!treat_is_valid(treat, value))
			return treat_invalid(treat, value, true, invalid);
	}
	return treat_outlier(treat, value);
}

/* Treats the values of a field. */
static void
step_treat(Run *run, const uint32 *args, int first, int n)
{
	Treat treat;

	if ((args[2] & TREAT_TRIVIAL) && !run->incompatible)
		return;
	treat_read(run, args, &treat);
	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);

		row[treat.slot] =
			treat_value(&treat, row[treat.from], &run->invalid[i]);
	}
}

/* Intervals are three numbers each; the third tells which ends belong. */
static bool
check_treat(const Model *model, const uint32 *args)
{
	const uint32 *intervals = args + 10 + args[9];

	if (intervals[1] % 3 != 0)
		return false;
	for (uint32 i = 2; i < intervals[1]; i += 3)
	{
		double closed = model->num[intervals[0] + i];

		if (!(closed >= 0 &&
			  closed <= (TREAT_CLOSED_LEFT | TREAT_CLOSED_RIGHT)))
			return false;
	}
	return !(args[2] & TREAT_TRIVIAL) || args[0] == args[1];
}

const ModelOp model_op_treat = {"treat", "ssiNNN*tN?n?nnn", check_treat, NULL,
								step_treat};
