/*
 * Rules as SQL: the condition of a rule over the columns of a source, as
 * text to put behind WHERE. Each condition compares its column, untouched,
 * with constants of the column's own type, so that indexes serve it. Every
 * operator and type is written with its schema and every constant in a form
 * that no setting changes: the text means the same wherever it is pasted.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "core/source.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "segment/program.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Digits and hyphens of a uuid as PostgreSQL writes it. */
#define UUID_FORM "00000000-0000-0000-0000-000000000000"

/* A rule on its way to text. */
typedef struct SqlWriter
{
	StringInfoData out;
	TupleDesc desc;
	const SegmentSource *source;
	SegmentTime time;
} SqlWriter;

/* A condition and its column. */
typedef struct SqlLeaf
{
	const RuleNode *node;
	SegmentColumn column;
	const char *name;    /* quoted, with a collation that compares bytes */
	bool negated;        /* != and NOT IN, of = and IN */
	const char *literal; /* type of constants */
} SqlLeaf;

/* The keys that values of a type have: the ends may be infinite. */
typedef struct SqlKeys
{
	int64 low;
	int64 min; /* least and greatest that are finite */
	int64 max;
	int64 high;
} SqlKeys;

/* Returns the keys of a kind whose keys are its values. */
static SqlKeys
sql_keys(SegmentKind kind)
{
	switch (kind)
	{
		case SEGMENT_BOOL:
			return (SqlKeys){0, 0, 1, 1};
		case SEGMENT_INT2:
			return (SqlKeys){PG_INT16_MIN, PG_INT16_MIN, PG_INT16_MAX,
							 PG_INT16_MAX};
		case SEGMENT_INT4:
			return (SqlKeys){PG_INT32_MIN, PG_INT32_MIN, PG_INT32_MAX,
							 PG_INT32_MAX};
		case SEGMENT_DATE:
			return (SqlKeys){
				DATEVAL_NOBEGIN, DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE,
				DATE_END_JULIAN - POSTGRES_EPOCH_JDATE - 1, DATEVAL_NOEND};
		case SEGMENT_TIMESTAMP:
		case SEGMENT_TIMESTAMPTZ:
			return (SqlKeys){DT_NOBEGIN, MIN_TIMESTAMP, END_TIMESTAMP - 1,
							 DT_NOEND};
		default:
			return (SqlKeys){PG_INT64_MIN, PG_INT64_MIN, PG_INT64_MAX,
							 PG_INT64_MAX};
	}
}

/* Returns the name of the type of constants that a column is compared with. */
static const char *
sql_literal_type(const SegmentColumn *column)
{
	switch (column->kind)
	{
		case SEGMENT_INT2:
			return "int2";
		case SEGMENT_INT4:
			return "int4";
		case SEGMENT_INT8:
			return "int8";
		case SEGMENT_NUMERIC:
			return "numeric";
		case SEGMENT_FLOAT4:
		case SEGMENT_FLOAT8:
			return "float8";
		case SEGMENT_DATE:
			return "date";
		case SEGMENT_TIMESTAMP:
			return "timestamp";
		case SEGMENT_TIMESTAMPTZ:
			return "timestamptz";
		case SEGMENT_BPCHAR:
			return "bpchar";
		case SEGMENT_NAME:
			return "name";
		case SEGMENT_UUID:
			return "uuid";
		default:
			return "text";
	}
}

/* Appends an operator, with its schema. */
static void
sql_operator(SqlWriter *writer, const char *operator)
{
	appendStringInfo(&writer->out, " OPERATOR(pg_catalog.%s) ", operator);
}

/* Appends a constant, quoted, of a type of PostgreSQL. */
static void
sql_constant(SqlWriter *writer, const char *value, const char *type)
{
	appendStringInfo(&writer->out, "%s::pg_catalog.%s",
					 quote_literal_cstr(value), type);
}

/* Writes a day or a time, which no setting reads in another way. */
static void
sql_time_text(SegmentKind kind, int64 key, char *text)
{
	SqlKeys keys = sql_keys(kind);
	struct pg_tm tm = {0};
	fsec_t fsec = 0;

	if (key < keys.min || key > keys.max)
		strlcpy(text, key < keys.min ? EARLY : LATE, MAXDATELEN + 1);
	else if (kind == SEGMENT_DATE)
	{
		j2date((int) key + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon,
			   &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, text);
	}
	else if (timestamp2tm(key, NULL, &tm, &fsec, NULL, NULL) == 0)
	{
		/* Without it, no offset is written. */
		tm.tm_isdst = 0;
		EncodeDateTime(&tm, fsec, kind == SEGMENT_TIMESTAMPTZ, 0, NULL,
					   USE_ISO_DATES, text);
	}
	else
		elog(ERROR, "timestamp out of range");
}

/* Appends the label of an enum as a constant of its type. */
static void
sql_label(SqlWriter *writer, const SqlLeaf *leaf, Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	appendStringInfo(&writer->out, "%s::%s",
					 quote_literal_cstr(NameStr(
						 ((Form_pg_enum) GETSTRUCT(tuple))->enumlabel)),
					 format_type_extended(leaf->column.type, -1,
										  FORMAT_TYPE_FORCE_QUALIFY));
	ReleaseSysCache(tuple);
}

/* Appends the value of a key. */
static void
sql_key(SqlWriter *writer, const SqlLeaf *leaf, int64 key)
{
	char text[MAXDATELEN + 1];

	switch (leaf->column.kind)
	{
		case SEGMENT_BOOL:
			appendStringInfoString(&writer->out, key != 0 ? "true" : "false");
			return;
		case SEGMENT_ENUM:
			sql_label(writer, leaf, (Oid) key);
			return;
		case SEGMENT_DATE:
		case SEGMENT_TIMESTAMP:
		case SEGMENT_TIMESTAMPTZ:
			sql_time_text(leaf->column.kind, key, text);
			break;
		default:
			pg_lltoa(key, text);
	}
	sql_constant(writer, text, leaf->literal);
}

/* Appends what is true, or false, of every value, and unknown of NULL. */
static void
sql_always(SqlWriter *writer, const SqlLeaf *leaf, bool holds)
{
	appendStringInfo(&writer->out,
					 holds ? "(%s IS NOT NULL OR NULL)"
						   : "(%s IS NULL AND NULL)",
					 leaf->name);
}

/* Appends the column compared with a key. */
static void
sql_compare(SqlWriter *writer, const SqlLeaf *leaf, const char *operator,
			int64 key)
{
	appendStringInfoString(&writer->out, leaf->name);
	sql_operator(writer, operator);
	sql_key(writer, leaf, key);
}

/* Appends what joins two parts of a condition. */
static void
sql_join(SqlWriter *writer, bool all)
{
	appendStringInfoString(&writer->out, all ? " AND " : " OR ");
}

/* Moves the ends of a range to keys that values have; false if none has. */
static bool
sql_fit(const SqlKeys *keys, SegmentRange *range)
{
	if (range->first > keys->high || range->last < keys->low)
		return false;
	range->first = Max(range->first, keys->low);
	range->last = Min(range->last, keys->high);
	/* There is nothing between what is infinite and what is finite. */
	if (range->first > keys->low && range->first < keys->min)
		range->first = keys->min;
	if (range->first > keys->max)
		range->first = keys->high;
	if (range->last < keys->high && range->last > keys->max)
		range->last = keys->max;
	if (range->last < keys->min)
		range->last = keys->low;
	return range->first <= range->last;
}

/* Appends that the column lies in a range, or does not. */
static void
sql_range(SqlWriter *writer, const SqlLeaf *leaf, const SqlKeys *keys,
		  const SegmentRange *range)
{
	SegmentKind kind = leaf->column.kind;
	bool from = range->first > keys->low;
	bool to = range->last < keys->high;
	/* Times end before the next one, which is shorter to write. */
	bool open = kind == SEGMENT_TIMESTAMP || kind == SEGMENT_TIMESTAMPTZ;

	if (from && to)
		appendStringInfoChar(&writer->out, '(');
	if (from)
		sql_compare(writer, leaf, leaf->negated ? "<" : ">=", range->first);
	if (from && to)
		sql_join(writer, !leaf->negated);
	if (to && open)
		sql_compare(writer, leaf, leaf->negated ? ">=" : "<", range->last + 1);
	else if (to)
		sql_compare(writer, leaf, leaf->negated ? ">" : "<=", range->last);
	if (from && to)
		appendStringInfoChar(&writer->out, ')');
}

/* Begins a list of constants, one of which the column is equal to. */
static void
sql_list_begin(SqlWriter *writer, const SqlLeaf *leaf, int n)
{
	appendStringInfoString(&writer->out, leaf->name);
	sql_operator(writer, leaf->negated ? "<>" : "=");
	if (n > 1)
		appendStringInfoString(&writer->out,
							   leaf->negated ? "ALL (ARRAY[" : "ANY (ARRAY[");
}

/* Ends a list of constants. */
static void
sql_list_end(SqlWriter *writer, int n)
{
	if (n > 1)
		appendStringInfoString(&writer->out, "])");
}

/* Appends that the column has one of the single keys of a set. */
static void
sql_singles(SqlWriter *writer, const SqlLeaf *leaf, const SegmentSet *set,
			int n)
{
	int written = 0;

	sql_list_begin(writer, leaf, n);
	for (int i = 0; i < set->n; i++)
	{
		if (set->ranges[i].first != set->ranges[i].last)
			continue;
		if (written++ > 0)
			appendStringInfoString(&writer->out, ", ");
		sql_key(writer, leaf, set->ranges[i].first);
	}
	sql_list_end(writer, n);
}

/* Appends that the value of the column is in a set of keys. */
static void
sql_set(SqlWriter *writer, const SqlLeaf *leaf, SegmentSet *set)
{
	SqlKeys keys = sql_keys(leaf->column.kind);
	int n = 0;
	int singles = 0;
	int pieces;

	for (int i = 0; i < set->n; i++)
	{
		SegmentRange range = set->ranges[i];

		if (!sql_fit(&keys, &range) ||
			(leaf->column.kind == SEGMENT_ENUM && range.first == InvalidOid))
			continue;
		if (range.first == keys.low && range.last == keys.high)
		{
			sql_always(writer, leaf, !leaf->negated);
			return;
		}
		set->ranges[n++] = range;
		singles += range.first == range.last;
	}
	set->n = n;
	if (n == 0)
	{
		sql_always(writer, leaf, leaf->negated);
		return;
	}
	pieces = n - singles + (singles > 0);
	if (pieces > 1)
		appendStringInfoChar(&writer->out, '(');
	if (singles > 0)
		sql_singles(writer, leaf, set, singles);
	for (int i = 0, written = singles > 0; i < n; i++)
	{
		if (set->ranges[i].first == set->ranges[i].last)
			continue;
		if (written++ > 0)
			sql_join(writer, leaf->negated);
		sql_range(writer, leaf, &keys, &set->ranges[i]);
	}
	if (pieces > 1)
		appendStringInfoChar(&writer->out, ')');
}

/*
 * Tells whether AT TIME ZONE, in this session, would take the name of a zone
 * for an abbreviation.
 */
static bool
sql_is_abbreviation(const char *zone)
{
	char *lower = downcase_identifier(zone, strlen(zone), false, false);
	int type = UNKNOWN_FIELD;
	int offset;
	pg_tz *meant;
	DateTimeErrorExtra extra;

	return DecodeTimezoneAbbrev(0, lower, &type, &offset, &meant, &extra) ==
			   0 &&
		   type != UNKNOWN_FIELD;
}

/*
 * Returns the time of a column in the calendar of the zone. A zone is named
 * only where no setting gives the name another meaning.
 */
static char *
sql_local(const SqlWriter *writer, const SqlLeaf *leaf)
{
	const char *zone = pg_get_timezone_name(writer->time.zone);
	long offset;

	if (leaf->column.kind != SEGMENT_TIMESTAMPTZ)
		return pstrdup(leaf->name);
	if (strcmp(zone, "UTC") == 0 || !sql_is_abbreviation(zone))
		return psprintf("(%s AT TIME ZONE %s::pg_catalog.text)", leaf->name,
						quote_literal_cstr(zone));
	if (!pg_get_timezone_offset(writer->time.zone, &offset))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("SQL cannot take days in time zone \"%s\"", zone),
				 errdetail("AT TIME ZONE reads this name as an "
						   "abbreviation, with one offset all year."),
				 errhint("Name a place, such as Europe/Brussels.")));
	return psprintf("(%s AT TIME ZONE '%ld seconds'::pg_catalog.interval)",
					leaf->name, offset);
}

/* Appends that the month of the column is one of those of a set. */
static void
sql_months(SqlWriter *writer, SqlLeaf *leaf, const SegmentSet *set)
{
	int months[MONTHS_PER_YEAR];
	int n = 0;
	char number[12];

	for (int i = 0; i < set->n; i++)
		for (int m = set->ranges[i].first / 32; m <= set->ranges[i].last / 32;
			 m++)
			months[n++] = m;
	leaf->name = psprintf("EXTRACT(month FROM %s)", sql_local(writer, leaf));
	sql_list_begin(writer, leaf, n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&writer->out, ", ");
		pg_ltoa(months[i], number);
		sql_constant(writer, number, "numeric");
	}
	sql_list_end(writer, n);
}

/* Appends that the day of the year of the column is in a set. */
static void
sql_days(SqlWriter *writer, SqlLeaf *leaf, SegmentSet *set)
{
	char *local = sql_local(writer, leaf);

	leaf->name = psprintf("(EXTRACT(month FROM %s) "
						  "OPERATOR(pg_catalog.*) '32'::pg_catalog.numeric "
						  "OPERATOR(pg_catalog.+) EXTRACT(day FROM %s))",
						  local, local);
	leaf->column.kind = SEGMENT_INT8;
	leaf->literal = "numeric";
	sql_set(writer, leaf, set);
}

/* Appends a condition whose values the kernel knows as keys. */
static void
sql_by_keys(SqlWriter *writer, SqlLeaf *leaf)
{
	const RuleNode *node = leaf->node;
	SegmentSet set = segment_condition_set(&leaf->column, node, leaf->negated,
										   &writer->time);

	if (leaf->column.use != SEGMENT_CALENDAR)
		sql_set(writer, leaf, &set);
	else if (node->operator== RULE_MONTH)
		sql_months(writer, leaf, &set);
	else
		sql_days(writer, leaf, &set);
}

/* Appends that the column is less or more than a number, or between two. */
static void
sql_ordered(SqlWriter *writer, const SqlLeaf *leaf)
{
	static const char *const operators[] = {
		[RULE_LT] = "<", [RULE_LE] = "<=", [RULE_GT] = ">", [RULE_GE] = ">="};
	const RuleNode *node = leaf->node;
	bool between = node->operator== RULE_BETWEEN;

	if (between)
		appendStringInfoChar(&writer->out, '(');
	for (int i = 0; i < node->nvalues; i++)
	{
		if (i > 0)
			sql_join(writer, true);
		appendStringInfoString(&writer->out, leaf->name);
		sql_operator(writer, !between
					 ? operators[node->operator] : i == 0 ? ">=" : "<=");
		sql_constant(writer, node->values[i].text, leaf->literal);
	}
	if (between)
		appendStringInfoChar(&writer->out, ')');
}

/* Tells whether a text is a uuid in the form that PostgreSQL writes. */
static bool
sql_is_uuid(const RuleValue *value)
{
	if (value->length != strlen(UUID_FORM))
		return false;
	for (int i = 0; i < value->length; i++)
	{
		char c = value->text[i];

		if (UUID_FORM[i] == '-'
				? c != '-'
				: !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

/* Tells whether values of the column can be equal to a value. */
static bool
sql_can_equal(const SqlLeaf *leaf, const RuleValue *value)
{
	switch (leaf->column.kind)
	{
		case SEGMENT_BPCHAR:
			return value->length == 0 || value->text[value->length - 1] != ' ';
		case SEGMENT_NAME:
			return value->length < NAMEDATALEN;
		case SEGMENT_UUID:
			return sql_is_uuid(value);
		default:
			return true;
	}
}

/* Appends that the column is equal to one of the values. */
static void
sql_equal(SqlWriter *writer, const SqlLeaf *leaf)
{
	const RuleNode *node = leaf->node;
	int n = 0;
	int written = 0;

	for (int i = 0; i < node->nvalues; i++)
		n += sql_can_equal(leaf, &node->values[i]);
	if (n == 0)
	{
		sql_always(writer, leaf, leaf->negated);
		return;
	}
	sql_list_begin(writer, leaf, n);
	for (int i = 0; i < node->nvalues; i++)
	{
		if (!sql_can_equal(leaf, &node->values[i]))
			continue;
		if (written++ > 0)
			appendStringInfoString(&writer->out, ", ");
		sql_constant(writer, node->values[i].text, leaf->literal);
	}
	sql_list_end(writer, n);
}

/*
 * Appends that the column has a text in it. It is LIKE, not strpos() or ^@,
 * since more indexes serve it: B-trees of text_pattern_ops and collation C,
 * SP-GiST and trigrams.
 */
static void
sql_pattern(SqlWriter *writer, const SqlLeaf *leaf)
{
	const RuleValue *value = &leaf->node->values[0];
	StringInfoData pattern;

	initStringInfo(&pattern);
	if (leaf->node->operator== RULE_CONTAINS)
		appendStringInfoChar(&pattern, '%');
	for (int i = 0; i < value->length; i++)
	{
		if (strchr("\\%_", value->text[i]) != NULL)
			appendStringInfoChar(&pattern, '\\');
		appendStringInfoChar(&pattern, value->text[i]);
	}
	appendStringInfoChar(&pattern, '%');
	appendStringInfoString(&writer->out, leaf->name);
	sql_operator(writer, "~~");
	sql_constant(writer, pattern.data, "text");
}

/* Tells whether a condition is about a part of a text. */
static bool
sql_has_pattern(const SqlLeaf *leaf)
{
	return leaf->column.use == SEGMENT_PATTERN ||
		   leaf->column.use == SEGMENT_PREFIX;
}

/* Tells whether constants can be compared with the column as it is. */
static bool
sql_plain(const SqlLeaf *leaf)
{
	const RuleValue *value = &leaf->node->values[0];

	if (!sql_has_pattern(leaf))
		return leaf->column.kind != SEGMENT_CHAR;
	if (leaf->column.kind != SEGMENT_BPCHAR)
		return leaf->column.kind == SEGMENT_TEXT ||
			   leaf->column.kind == SEGMENT_NAME;
	/* The blanks at the end of the column come after such a start. */
	return leaf->node->operator== RULE_STARTS_WITH &&
		value->text[value->length - 1] != ' ';
}

/* Names the column of a condition, in a form that compares bytes. */
static void
sql_name(SqlLeaf *leaf, const FormData_pg_attribute *att)
{
	leaf->name = quote_identifier(NameStr(att->attname));
	if (leaf->column.kind == SEGMENT_ENUM &&
		leaf->column.type != att->atttypid)
		leaf->name = psprintf("%s::%s", leaf->name,
							  format_type_extended(leaf->column.type, -1,
												   FORMAT_TYPE_FORCE_QUALIFY));
	if (leaf->column.kind < SEGMENT_TEXT || leaf->column.kind == SEGMENT_ENUM)
		return;
	if (!sql_plain(leaf))
		leaf->name = psprintf("%s::pg_catalog.text", leaf->name);
	if (OidIsValid(att->attcollation) &&
		!get_collation_isdeterministic(att->attcollation))
		leaf->name = psprintf("(%s COLLATE pg_catalog.\"C\")", leaf->name);
}

/* Appends that the column is NULL, or is not; a row of NULLs is not NULL. */
static void
sql_null(SqlWriter *writer, const FormData_pg_attribute *att, bool null)
{
	appendStringInfo(&writer->out,
					 get_typtype(getBaseType(att->atttypid)) !=
								 TYPTYPE_COMPOSITE &&
							 getBaseType(att->atttypid) != RECORDOID
						 ? (null ? "%s IS NULL" : "%s IS NOT NULL")
						 : (null ? "%s IS NOT DISTINCT FROM NULL"
								 : "%s IS DISTINCT FROM NULL"),
					 quote_identifier(NameStr(att->attname)));
}

/* Appends a condition, which is known to fit its column. */
static void
sql_leaf(SqlWriter *writer, const RuleNode *node)
{
	const FormData_pg_attribute *att = TupleDescAttr(
		writer->desc, segment_source_find(writer->source, node->fact));
	RuleOperator op = node->operator;
	bool field = node->kind == RULE_FIELD;
	SqlLeaf leaf = {.node = node};

	if (field && (op == RULE_IS_NULL || op == RULE_IS_NOT_NULL))
	{
		sql_null(writer, att, op == RULE_IS_NULL);
		return;
	}
	leaf.column.type = getBaseType(att->atttypid);
	leaf.column.kind = segment_kind(leaf.column.type);
	leaf.column.use = segment_condition_use(node, leaf.column.kind);
	leaf.negated = field && (op == RULE_NE || op == RULE_NOT_IN);
	leaf.literal = sql_literal_type(&leaf.column);
	sql_name(&leaf, att);
	if (sql_has_pattern(&leaf))
		sql_pattern(writer, &leaf);
	else if (!field || leaf.column.use == SEGMENT_CALENDAR ||
			 (leaf.column.kind < SEGMENT_TEXT &&
			  (leaf.column.kind < SEGMENT_NUMERIC ||
			   leaf.column.kind > SEGMENT_FLOAT8)) ||
			 leaf.column.kind == SEGMENT_ENUM)
		sql_by_keys(writer, &leaf);
	else if ((op >= RULE_LT && op <= RULE_GE) || op == RULE_BETWEEN)
		sql_ordered(writer, &leaf);
	else
		sql_equal(writer, &leaf);
}

/* Appends a node and those below it. */
static void
sql_node(SqlWriter *writer, const RuleNode *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->nchildren == 0)
	{
		sql_leaf(writer, node);
		return;
	}
	appendStringInfoString(&writer->out,
						   node->kind == RULE_NOT ? "(NOT " : "(");
	for (int i = 0; i < node->nchildren; i++)
	{
		if (i > 0)
			sql_join(writer, node->kind == RULE_AND);
		sql_node(writer, node->children[i]);
	}
	appendStringInfoChar(&writer->out, ')');
}

PG_FUNCTION_INFO_V1(segment_rule_sql);

/*
 * SQL: segment_rule_sql(rule segment_rule, source text, as_of timestamptz,
 * zone text)
 */
Datum
segment_rule_sql(PG_FUNCTION_ARGS)
{
	const SegmentRule *rule = PG_GETARG_SEGMENT_RULE_P(0);
	CoreSource *source =
		core_source_open(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	SqlWriter writer = {.desc = source->desc};

	writer.source = segment_source(source->desc);
	writer.time =
		segment_time(PG_GETARG_TIMESTAMPTZ(2),
					 segment_zone(text_to_cstring(PG_GETARG_TEXT_PP(3))));
	/* It raises the errors of a rule that does not fit. */
	(void) segment_program_bind(CurrentMemoryContext, writer.source, &rule, 1,
								false);
	initStringInfo(&writer.out);
	sql_node(&writer, rule_tree(rule));
	PG_RETURN_TEXT_P(
		cstring_to_text_with_len(writer.out.data, writer.out.len));
}
