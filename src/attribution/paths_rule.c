/* What the arguments and rows of attribution_paths() may be. */
#include "attribution/paths.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Returns the microseconds of an interval; false when it has none. */
static bool
rule_microseconds(const Interval *interval, int64 *length)
{
	return interval->month == 0 &&
		   !pg_mul_s64_overflow(interval->day, USECS_PER_DAY, length) &&
		   !pg_add_s64_overflow(*length, interval->time, length) &&
		   *length > 0;
}

/* Returns the microseconds of an argument, 0 for NULL. */
int64
paths_length(const NullableDatum *arg, const char *name)
{
	int64 length;

	if (arg->isnull)
		return 0;
	if (!rule_microseconds(DatumGetIntervalP(arg->value), &length))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s \"%s\" of attribution", name,
						DatumGetCString(
							DirectFunctionCall1(interval_out, arg->value))),
				 errhint("Give a positive interval without months, such as "
						 "30 days; a day has 24 hours.")));
	return length;
}

/* Returns the time that much earlier, or the first there is. */
TimestampTz
paths_before(TimestampTz at, int64 length)
{
	TimestampTz before;

	if (pg_sub_s64_overflow(at, length, &before) || before < MIN_TIMESTAMP)
		return MIN_TIMESTAMP;
	return before;
}

/* Raises an error for the time of a conversion that no path may have. */
void
paths_check_goal_time(TimestampTz at, int64 customer_id)
{
	if (!TIMESTAMP_NOT_FINITE(at))
		return;
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("time of a conversion of customer " INT64_FORMAT
						   " is not finite",
						   customer_id)));
}

/* Returns a number of any type as a float. */
float8
paths_number(Datum value, Oid type)
{
	switch (type)
	{
		case NUMERICOID:
			return DatumGetFloat8(
				DirectFunctionCall1(numeric_float8_no_overflow, value));
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case INT8OID:
			return (float8) DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt16(value);
	}
}
