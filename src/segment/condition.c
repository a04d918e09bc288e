/*
 * Conditions of rules as sets of keys: which types of columns an operator
 * and its values fit, and which values of a column they ask for.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "segment/program.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Decimals of a number of a rule. */
#define DECIMALS_MAX 9

/* Bits of the keys of numbers: there are larger and smaller values. */
#define NUMBER_KEY_MAX (INT64CONST(1) << 61)

/* A number of a rule: below 10^15, with at most nine decimals. */
typedef struct Decimal
{
	bool negative;
	int64 whole;
	int64 decimals; /* in billionths */
	int ndecimals;
} Decimal;

static const int64 powers[DECIMALS_MAX + 1] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

/* Returns the family of a type, which is no domain. */
SegmentKind
segment_kind(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return SEGMENT_BOOL;
		case INT2OID:
			return SEGMENT_INT2;
		case INT4OID:
			return SEGMENT_INT4;
		case INT8OID:
			return SEGMENT_INT8;
		case NUMERICOID:
			return SEGMENT_NUMERIC;
		case FLOAT4OID:
			return SEGMENT_FLOAT4;
		case FLOAT8OID:
			return SEGMENT_FLOAT8;
		case DATEOID:
			return SEGMENT_DATE;
		case TIMESTAMPOID:
			return SEGMENT_TIMESTAMP;
		case TIMESTAMPTZOID:
			return SEGMENT_TIMESTAMPTZ;
		case TEXTOID:
		case VARCHAROID:
			return SEGMENT_TEXT;
		case BPCHAROID:
			return SEGMENT_BPCHAR;
		case NAMEOID:
			return SEGMENT_NAME;
		case CHAROID:
			return SEGMENT_CHAR;
		case UUIDOID:
			return SEGMENT_UUID;
		default:
			return get_typtype(type) == TYPTYPE_ENUM ? SEGMENT_ENUM
													 : SEGMENT_OTHER;
	}
}

/* Tells whether values are integers. */
static inline bool
kind_is_integer(SegmentKind kind)
{
	return kind >= SEGMENT_INT2 && kind <= SEGMENT_INT8;
}

/* Tells whether values are numbers. */
static inline bool
kind_is_number(SegmentKind kind)
{
	return kind >= SEGMENT_INT2 && kind <= SEGMENT_FLOAT8;
}

/* Tells whether values are days or times. */
static inline bool
kind_is_time(SegmentKind kind)
{
	return kind >= SEGMENT_DATE && kind <= SEGMENT_TIMESTAMPTZ;
}

/* Tells whether values are compared as texts. */
static inline bool
kind_is_text(SegmentKind kind)
{
	return kind >= SEGMENT_TEXT;
}

/* Tells which use of a column a condition needs. */
SegmentUse
segment_condition_use(const RuleNode *node, SegmentKind kind)
{
	if (node->kind != RULE_FIELD)
		return SEGMENT_VALUE;
	switch (node->operator)
	{
		case RULE_MONTH:
		case RULE_ANNIVERSARY:
			return SEGMENT_CALENDAR;
		case RULE_CONTAINS:
		case RULE_STARTS_WITH:
			/* The labels of an enum are known: those that have the pattern. */
			if (kind == SEGMENT_ENUM)
				return SEGMENT_VALUE;
			return node->operator== RULE_STARTS_WITH && node->values[0]
						   .length <= SEGMENT_PREFIX_MAX
					   ? SEGMENT_PREFIX
					   : SEGMENT_PATTERN;
		default:
			return SEGMENT_VALUE;
	}
}

/* Tells whether an operator can ask for values of a kind. */
static bool
operator_fits(RuleOperator op, SegmentKind kind)
{
	switch (op)
	{
		case RULE_IS_NULL:
		case RULE_IS_NOT_NULL:
			return true;
		case RULE_EQ:
		case RULE_NE:
		case RULE_IN:
		case RULE_NOT_IN:
			return kind != SEGMENT_OTHER;
		case RULE_LT:
		case RULE_LE:
		case RULE_GT:
		case RULE_GE:
		case RULE_BETWEEN:
			return kind_is_number(kind) || kind_is_time(kind);
		case RULE_CONTAINS:
		case RULE_STARTS_WITH:
			return kind_is_text(kind);
		case RULE_TOP:
		case RULE_BOTTOM:
			return kind == SEGMENT_BOOL;
		default:
			return kind_is_time(kind);
	}
}

/* Tells whether a value can be compared with values of a kind. */
static bool
value_fits(const RuleValue *value, SegmentKind kind)
{
	RuleMoment moment;

	if (kind == SEGMENT_BOOL)
		return value->kind == RULE_BOOLEAN;
	if (kind_is_number(kind))
		return value->kind == RULE_NUMBER;
	if (kind_is_text(kind))
		return value->kind == RULE_TEXT || value->kind == RULE_DURATION;
	return value->kind == RULE_DURATION ||
		   (value->kind == RULE_TEXT &&
			rule_moment_parse(value->text, value->length, &moment) &&
			(kind != SEGMENT_DATE || moment.day));
}

/*
 * Tells whether a condition can be asked of a column; if a value cannot, it
 * is written to *misfit.
 */
bool
segment_condition_fits(const RuleNode *node, SegmentKind kind,
					   const RuleValue **misfit)
{
	RuleOperator op = node->operator;

	*misfit = NULL;
	if (node->kind == RULE_EVENT)
		return kind_is_integer(kind);
	if (node->kind == RULE_SEGMENT)
		return kind == SEGMENT_BOOL;
	if (!operator_fits(node->operator, kind))
		return false;
	/* All values of these were read when the rule was. */
	if (op > RULE_STARTS_WITH)
		return true;
	for (int i = 0; i < node->nvalues && *misfit == NULL; i++)
		if (!value_fits(&node->values[i], kind))
			*misfit = &node->values[i];
	/* From an age to a day makes no sense. */
	if (*misfit == NULL && op == RULE_BETWEEN &&
		node->values[0].kind != node->values[1].kind)
		*misfit = &node->values[1];
	return *misfit == NULL;
}

/* Tells whether the set of a condition depends on the moment. */
bool
segment_condition_timed(const RuleNode *node, SegmentKind kind)
{
	RuleOperator op = node->operator;

	return node->kind == RULE_FIELD && kind_is_time(kind) &&
		   op != RULE_IS_NULL && op != RULE_IS_NOT_NULL;
}

/* Takes a number in its canonical form apart. */
static Decimal
decimal_read(const RuleValue *value)
{
	Decimal number = {.negative = value->text[0] == '-'};
	const char *at = value->text + number.negative;
	int64 unit = powers[DECIMALS_MAX];

	for (; isdigit((unsigned char) *at); at++)
		number.whole = number.whole * 10 + (*at - '0');
	if (*at == '.')
		at++;
	for (; isdigit((unsigned char) *at) && unit > 1; at++)
	{
		unit /= 10;
		number.decimals += (*at - '0') * unit;
		number.ndecimals++;
	}
	return number;
}

/* Returns the values of an integer column that are equal to a number. */
static SegmentRange
range_integer(const RuleValue *value)
{
	Decimal number = decimal_read(value);
	int64 below = number.whole;

	if (number.negative)
		below = -below - (number.decimals > 0);
	/* Between two integers nothing is, but both bounds are right. */
	return (SegmentRange){.first = below + (number.decimals > 0),
						  .last = below};
}

/* Returns the key of a number at the scale of its column. */
static int64
number_key(const Decimal *number, int scale)
{
	int64 scaled = number->whole * powers[scale] +
				   number->decimals / powers[DECIMALS_MAX - scale];

	return 2 * (number->negative ? -scaled : scaled);
}

/* Returns a number of a rule as numeric. */
static Numeric
value_numeric(const RuleValue *value)
{
	return DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(value->text),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Orders numerics. */
static int
numeric_order(const void *a, const void *b)
{
	return DatumGetInt32(
		DirectFunctionCall2(numeric_cmp, NumericGetDatum(*(Numeric const *) a),
							NumericGetDatum(*(Numeric const *) b)));
}

/* Remembers a number that a numeric column is compared with. */
static void
learn_number(SegmentColumn *column, const RuleValue *value)
{
	Decimal number = decimal_read(value);

	column->decimals = Max(column->decimals, number.ndecimals);
	column->largest = Max(column->largest, number.whole + 1);
	if (column->nnumbers == column->numbers_room)
	{
		column->numbers_room = Max(16, column->numbers_room * 2);
		column->numbers =
			column->numbers == NULL
				? palloc(column->numbers_room * sizeof(RuleValue *))
				: repalloc(column->numbers,
						   column->numbers_room * sizeof(RuleValue *));
	}
	column->numbers[column->nnumbers++] = value;
}

/* Makes a column know the values of a condition on it. */
void
segment_condition_learn(SegmentColumn *column, const RuleNode *node)
{
	RuleOperator op = node->operator;

	column->nvalues += Max(node->nvalues, 1);
	if (column->use != SEGMENT_VALUE || node->kind != RULE_FIELD ||
		op > RULE_BETWEEN)
		return;
	for (int i = 0; i < node->nvalues; i++)
	{
		if (column->kind == SEGMENT_NUMERIC)
			learn_number(column, &node->values[i]);
		else if (column->words != NULL)
			segment_words_add(column->words, node->values[i].text,
							  node->values[i].length);
	}
}

/* Makes the list of all numbers that a column is compared with. */
static void
settle_bounds(SegmentColumn *column)
{
	int n = 0;

	column->wide = true;
	column->bounds = palloc(column->nnumbers * sizeof(Numeric));
	for (int i = 0; i < column->nnumbers; i++)
		column->bounds[i] = value_numeric(column->numbers[i]);
	qsort(column->bounds, column->nnumbers, sizeof(Numeric), numeric_order);
	for (int i = 1; i < column->nnumbers; i++)
		if (numeric_order(&column->bounds[n], &column->bounds[i]) != 0)
			column->bounds[++n] = column->bounds[i];
	column->nbounds = n + 1;
}

/*
 * Chooses the scale of a numeric column, when all of its conditions are
 * known: best are whole digits of numeric, which are four decimals.
 */
void
segment_column_settle(SegmentColumn *column)
{
	static const int wholes[] = {0, 4, 8};

	if (column->kind != SEGMENT_NUMERIC || column->use != SEGMENT_VALUE)
		return;
	for (int i = 0; i <= lengthof(wholes); i++)
	{
		column->scale = i < lengthof(wholes) ? wholes[i] : column->decimals;
		if (column->scale >= column->decimals &&
			column->largest <= NUMBER_KEY_MAX / powers[column->scale])
			return;
	}
	settle_bounds(column);
}

/* Returns the key of a number among the bounds of a numeric column. */
static SegmentRange
range_numeric(const SegmentColumn *column, const RuleValue *value)
{
	SegmentRange range;

	if (column->wide)
	{
		Numeric number = value_numeric(value);
		Numeric *bound = bsearch(&number, column->bounds, column->nbounds,
								 sizeof(Numeric), numeric_order);

		Assert(bound != NULL);
		range.first = 2 * (bound - column->bounds) + 1;
	}
	else
	{
		Decimal number = decimal_read(value);

		range.first = number_key(&number, column->scale);
	}
	range.last = range.first;
	return range;
}

/* Returns the moments of a column that a day or a time stands for. */
static SegmentRange
range_moment(const SegmentColumn *column, const RuleValue *value,
			 const SegmentTime *time)
{
	RuleMoment moment;
	SegmentRange range;

	if (!rule_moment_parse(value->text, value->length, &moment))
		elog(ERROR, "value \"%s\" is no day or time", value->text);
	range.first = moment.at;
	if (column->kind == SEGMENT_DATE)
		range.first = segment_time_floor(moment.at);
	else if (column->kind == SEGMENT_TIMESTAMP && moment.zoned)
		range.first = segment_time_local(moment.at, time->zone);
	else if (column->kind == SEGMENT_TIMESTAMPTZ && !moment.zoned)
		range.first = segment_time_utc(moment.at, time->zone);
	range.last = range.first;
	if (!moment.day || column->kind == SEGMENT_DATE)
		return range;
	range.last = moment.at + USECS_PER_DAY;
	if (column->kind == SEGMENT_TIMESTAMPTZ)
		range.last = segment_time_utc(range.last, time->zone);
	range.last--;
	return range;
}

/* Returns so many units of a duration. */
RuleDuration
segment_duration(const RuleDuration *duration, int64 units)
{
	RuleDuration length = {.count = units, .unit = duration->unit};

	switch (duration->unit)
	{
		case 's':
			length.micros = units * USECS_PER_SEC;
			break;
		case 'm':
			length.micros = units * USECS_PER_MINUTE;
			break;
		case 'h':
			length.micros = units * USECS_PER_HOUR;
			break;
		case 'd':
			length.micros = units * USECS_PER_DAY;
			break;
		case 'w':
			length.micros = units * 7 * USECS_PER_DAY;
			break;
		case 'M':
			length.months = units;
			break;
		default:
			length.months = units * MONTHS_PER_YEAR;
	}
	return length;
}

/*
 * Returns as_of moved by a duration as a column sees it: a moment, a local
 * time, or the start of the day of as_of moved.
 */
static Timestamp
time_moved(const SegmentColumn *column, const SegmentTime *time,
		   const RuleDuration *duration, int sign)
{
	TimestampTz from = column->kind == SEGMENT_DATE
						   ? (int64) time->day * USECS_PER_DAY
						   : time->as_of;

	from = rule_duration_shift(from, duration, sign);
	return column->kind == SEGMENT_TIMESTAMP
			   ? segment_time_local(from, time->zone)
			   : from;
}

/* Returns the last key of a column that is not after a time. */
static int64
key_upto(const SegmentColumn *column, Timestamp at)
{
	return column->kind == SEGMENT_DATE ? segment_time_floor(at) : at;
}

/* Returns the last key of a column that is before a time. */
static int64
key_before(const SegmentColumn *column, Timestamp at)
{
	return key_upto(column, at - 1);
}

/* Returns the last key of a column whose age is at least so many units. */
static int64
key_aged(const SegmentColumn *column, const SegmentTime *time,
		 const RuleDuration *unit, int64 units)
{
	RuleDuration age = segment_duration(unit, units);

	return key_upto(column, time_moved(column, time, &age, -1));
}

/* Returns the values whose age, in whole units, is that of a rule. */
static SegmentRange
range_age(const SegmentColumn *column, const RuleValue *value,
		  const SegmentTime *time)
{
	const RuleDuration *age = &value->duration;

	return (SegmentRange){
		.first = key_aged(column, time, age, (int64) age->count + 1) + 1,
		.last = key_aged(column, time, age, age->count)};
}

/* Returns the oid of a label of an enum; InvalidOid when it has none. */
static Oid
enum_label(Oid type, const RuleValue *value)
{
	NameData label;

	if (value->length >= NAMEDATALEN)
		return InvalidOid;
	namestrcpy(&label, value->text);
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
						   ObjectIdGetDatum(type), NameGetDatum(&label));
}

/* Returns the values of an enum whose labels have a pattern. */
static SegmentSet
set_labels(const SegmentColumn *column, const RuleNode *node)
{
	RuleOperator op = node->operator;
	SegmentSet set = {0};
	CatCList *labels =
		SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(column->type));

	for (int i = 0; i < labels->n_members; i++)
	{
		Form_pg_enum label =
			(Form_pg_enum) GETSTRUCT(&labels->members[i]->tuple);
		const char *found =
			strstr(NameStr(label->enumlabel), node->values[0].text);

		if (found != NULL &&
			(op == RULE_CONTAINS || found == NameStr(label->enumlabel)))
			segment_set_add(&set, label->oid, label->oid);
	}
	ReleaseSysCacheList(labels);
	segment_set_sort(&set);
	return set;
}

/* Returns the keys of the values that are equal to a value of a rule. */
static SegmentRange
range_equal(const SegmentColumn *column, const RuleValue *value,
			const SegmentTime *time)
{
	int64 key;

	if (column->kind == SEGMENT_NUMERIC)
		return range_numeric(column, value);
	if (kind_is_integer(column->kind))
		return range_integer(value);
	if (kind_is_time(column->kind))
		return value->kind == RULE_DURATION
				   ? range_age(column, value, time)
				   : range_moment(column, value, time);
	if (column->kind == SEGMENT_BOOL)
		key = value->text[0] == 't';
	else if (column->kind == SEGMENT_ENUM)
		key = enum_label(column->type, value);
	else if (kind_is_number(column->kind))
		key = segment_float_key(DatumGetFloat8(
			DirectFunctionCall1(float8in, CStringGetDatum(value->text))));
	else
		key = segment_words_find(column->words, value->text, value->length);
	return (SegmentRange){.first = key, .last = key};
}

/* Returns the values from one to another, both included. */
static SegmentSet
set_between(const SegmentColumn *column, const RuleNode *node,
			const SegmentTime *time)
{
	SegmentRange low = range_equal(column, &node->values[0], time);
	SegmentRange high = range_equal(column, &node->values[1], time);
	SegmentSet set = {0};

	/* The older is the earlier. */
	if (kind_is_time(column->kind) && node->values[0].kind == RULE_DURATION)
		segment_set_add(&set, high.first, low.last);
	else
		segment_set_add(&set, low.first, high.last);
	return set;
}

/* Returns the values that are less or more than a value. */
static SegmentSet
set_compared(const SegmentColumn *column, const RuleNode *node,
			 const SegmentTime *time)
{
	SegmentRange equal = range_equal(column, &node->values[0], time);
	RuleOperator op = node->operator;
	SegmentSet set = {0};

	/* A greater age is an earlier time. */
	if (kind_is_time(column->kind) && node->values[0].kind == RULE_DURATION)
		op = op == RULE_LT   ? RULE_GT
			 : op == RULE_LE ? RULE_GE
			 : op == RULE_GT ? RULE_LT
							 : RULE_LE;
	if (op == RULE_LT)
		segment_set_add(&set, PG_INT64_MIN, equal.first - 1);
	else if (op == RULE_LE)
		segment_set_add(&set, PG_INT64_MIN, equal.last);
	else if (op == RULE_GT)
		segment_set_add(&set, equal.last + 1, PG_INT64_MAX);
	else
		segment_set_add(&set, equal.first, PG_INT64_MAX);
	return set;
}

/* Returns the values that are equal to one of the values of a condition. */
static SegmentSet
set_listed(const SegmentColumn *column, const RuleNode *node,
		   const SegmentTime *time)
{
	SegmentSet set = {0};

	for (int i = 0; i < node->nvalues; i++)
	{
		SegmentRange equal = range_equal(column, &node->values[i], time);

		segment_set_add(&set, equal.first, equal.last);
	}
	segment_set_sort(&set);
	return set;
}

/* Returns the times of WITHIN, BEFORE and NEXT. */
static SegmentSet
set_relative(const SegmentColumn *column, const RuleNode *node,
			 const SegmentTime *time)
{
	RuleOperator op = node->operator;
	const RuleDuration *length = &node->values[0].duration;
	RuleDuration none = {0};
	Timestamp now = time_moved(column, time, &none, 1);
	SegmentSet set = {0};
	Timestamp moved;

	if (op == RULE_NEXT)
	{
		moved = time_moved(column, time, length, 1);
		segment_set_add(&set, key_before(column, now) + 1,
						key_before(column, moved));
		return set;
	}
	moved = time_moved(column, time, length, -1);
	if (op == RULE_WITHIN)
		segment_set_add(&set, key_upto(column, moved) + 1,
						key_upto(column, now));
	else
		segment_set_add(&set, PG_INT64_MIN, key_upto(column, moved));
	return set;
}

/* Returns the days of the months of a condition. */
static SegmentSet
set_months(const RuleNode *node, const SegmentTime *time)
{
	int now = segment_time_calendar(time->day) / 32;
	SegmentSet set = {0};

	for (int i = 0; i < node->nvalues; i++)
	{
		const RuleValue *value = &node->values[i];
		int month = value->kind == RULE_NUMBER ? pg_strtoint32(value->text)
					: strcmp(value->text, "this") == 0 ? now
					: strcmp(value->text, "last") == 0 ? (now + 10) % 12 + 1
													   : now % 12 + 1;

		segment_set_add(&set, month * 32, month * 32 + 31);
	}
	segment_set_sort(&set);
	return set;
}

/*
 * Returns the days of the year that come within a number of days, today
 * included. In a year without February 29 the 28th stands for it.
 */
static SegmentSet
set_anniversary(const RuleNode *node, const SegmentTime *time)
{
	const RuleDuration *length = &node->values[0].duration;
	int64 end = segment_time_floor(
		rule_duration_shift((int64) time->day * USECS_PER_DAY, length, 1));
	SegmentSet set = {0};

	/* In eight years every day comes. */
	end = Min(end, (int64) time->day + 8 * 366);
	for (int64 day = time->day; day <= end; day++)
	{
		int key = segment_time_calendar(day);

		segment_set_add(&set, key, key);
		if (key == 2 * 32 + 28 && segment_time_calendar(day + 1) == 3 * 32 + 1)
			segment_set_add(&set, key + 1, key + 1);
	}
	segment_set_sort(&set);
	return set;
}

/* Returns a set of one range. */
static SegmentSet
set_one(int64 first, int64 last)
{
	SegmentSet set = {0};

	segment_set_add(&set, first, last);
	return set;
}

/* Returns the texts that begin with one. */
static SegmentSet
set_prefix(const RuleValue *value)
{
	int free_bits = (SEGMENT_PREFIX_MAX - value->length) * BITS_PER_BYTE;
	int64 first = segment_text_prefix(value->text, value->length);

	return set_one(first, first | (int64) ((UINT64CONST(1) << free_bits) - 1));
}

/* Returns where a condition on a field is true, but for NULL. */
static SegmentSet
set_field(const SegmentColumn *column, const RuleNode *node,
		  const SegmentTime *time)
{
	switch (node->operator)
	{
		case RULE_EQ:
		case RULE_NE:
		case RULE_IN:
		case RULE_NOT_IN:
			return set_listed(column, node, time);
		case RULE_BETWEEN:
			return set_between(column, node, time);
		case RULE_WITHIN:
		case RULE_BEFORE:
		case RULE_NEXT:
			return set_relative(column, node, time);
		case RULE_MONTH:
			return set_months(node, time);
		case RULE_ANNIVERSARY:
			return set_anniversary(node, time);
		case RULE_CONTAINS:
		case RULE_STARTS_WITH:
			if (column->kind == SEGMENT_ENUM)
				return set_labels(column, node);
			return column->use == SEGMENT_PREFIX ? set_prefix(&node->values[0])
												 : set_one(1, 1);
		case RULE_TOP:
		case RULE_BOTTOM:
			return set_one(1, 1);
		default:
			return set_compared(column, node, time);
	}
}

/* Returns where a condition that is not of RULE_FIELD is true. */
static SegmentSet
set_fact(const RuleNode *node)
{
	if (node->kind == RULE_SEGMENT)
		return set_one(1, 1);
	return set_one(node->at_least < 0 ? PG_INT64_MIN : node->at_least,
				   node->at_most < 0 ? PG_INT64_MAX : node->at_most);
}

/* Returns the values for which a condition, or its negation, is true. */
SegmentSet
segment_condition_set(const SegmentColumn *column, const RuleNode *node,
					  bool negated, const SegmentTime *time)
{
	RuleOperator op = node->operator;
	SegmentSet set;

	if (node->kind == RULE_FIELD &&
		(op == RULE_IS_NULL || op == RULE_IS_NOT_NULL))
	{
		set = segment_set_all();
		if ((op == RULE_IS_NULL) != negated)
			set = (SegmentSet){.null = true};
		return set;
	}
	set = node->kind == RULE_FIELD ? set_field(column, node, time)
								   : set_fact(node);
	if (node->kind == RULE_FIELD && (op == RULE_NE || op == RULE_NOT_IN))
		negated = !negated;
	return negated ? segment_set_rest(&set) : set;
}
