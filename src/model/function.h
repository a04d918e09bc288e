/* The functions that PMML has built in, as the operation "apply" runs them. */
#ifndef IAROS_MODEL_FUNCTION_H
#define IAROS_MODEL_FUNCTION_H

#include "postgres.h"

#include "model/model.h"
#include "model/xml.h"

/* How a result is computed, beside the number of the function. */
#define FUNCTION_NUMBER 0xFF
#define FUNCTION_FLOAT 0x100   /* is rounded to 32 bits */
#define FUNCTION_INTEGER 0x200 /* is whole and has 32 bits */
#define FUNCTION_MISSING 0x400 /* is missing where it would be invalid */
#define FUNCTION_FLAGS 0x700

typedef struct FunctionCall
{
	const Run *run;
	const double *row;
	const double *args;
	int n;
	uint32 flags;
} FunctionCall;

typedef double (*FunctionBody)(const FunctionCall *call);

extern double function_invalid(const FunctionCall *call);

/* Numbers: function_math.c, function_normal.c. */
extern double function_add(const FunctionCall *call);
extern double function_subtract(const FunctionCall *call);
extern double function_multiply(const FunctionCall *call);
extern double function_divide(const FunctionCall *call);
extern double function_modulo(const FunctionCall *call);
extern double function_min(const FunctionCall *call);
extern double function_max(const FunctionCall *call);
extern double function_sum(const FunctionCall *call);
extern double function_avg(const FunctionCall *call);
extern double function_median(const FunctionCall *call);
extern double function_product(const FunctionCall *call);
extern double function_pow(const FunctionCall *call);
extern double function_threshold(const FunctionCall *call);
extern double function_round(const FunctionCall *call);
extern double function_hypot(const FunctionCall *call);
extern double function_atan2(const FunctionCall *call);
extern double function_normal_cdf(const FunctionCall *call);
extern double function_normal_pdf(const FunctionCall *call);
extern double function_normal_idf(const FunctionCall *call);

/* Texts: function_text.c. */
extern double function_uppercase(const FunctionCall *call);
extern double function_lowercase(const FunctionCall *call);
extern double function_length(const FunctionCall *call);
extern double function_substring(const FunctionCall *call);
extern double function_trim(const FunctionCall *call);
extern double function_concat(const FunctionCall *call);
extern double function_replace(const FunctionCall *call);
extern double function_matches(const FunctionCall *call);

/* Formats and dates: function_format.c, function_date.c. */
extern double function_format_number(const FunctionCall *call);
extern const char *function_number_format_error(const char *pattern, Size size,
												bool whole);
extern double function_format_datetime(const FunctionCall *call);
extern const char *function_datetime_format_error(const char *pattern,
												  Size size, ValueType type);
extern double function_days_since(const FunctionCall *call);
extern double function_seconds_since(const FunctionCall *call);
extern double function_seconds_of_day(const FunctionCall *call);

#endif /* IAROS_MODEL_FUNCTION_H */
