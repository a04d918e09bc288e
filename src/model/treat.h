/* Operands of the step that treats missing, invalid and extreme values. */
#ifndef IAROS_MODEL_TREAT_H
#define IAROS_MODEL_TREAT_H

#include "postgres.h"

/* What becomes of invalid values: lower two bits of the flags. */
#define TREAT_RETURN_INVALID 0
#define TREAT_AS_IS 1
#define TREAT_AS_MISSING 2
#define TREAT_AS_VALUE 3
#define TREAT_INVALID_MASK 3

#define TREAT_REFUSE_MISSING 0x04 /* missing makes the result invalid */
#define TREAT_INNER 0x08          /* a model around has checked the value */
#define TREAT_TRIVIAL 0x10        /* all values of the type pass */
#define TREAT_OUTLIER_SHIFT 8
#define TREAT_OUTLIER_AS_IS 0
#define TREAT_OUTLIER_MISSING 1
#define TREAT_OUTLIER_EXTREME 2

/* Which ends belong to an interval. */
#define TREAT_CLOSED_RIGHT 1
#define TREAT_CLOSED_LEFT 2

/*
 * A value that does not have the type of its field is a NaN of its own,
 * which holds the number of its text. Only inputs hold such values.
 */
extern double treat_incompatible(double text);

#endif /* IAROS_MODEL_TREAT_H */
