/*
 * TextIndex: how often a term is in a text. Two records: text_rules says how
 * texts are taken apart, and is shared by all terms; text_index counts one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"
#include "model/regex.h"
#include "model/text_index.h"

/* What a count becomes. */
typedef enum TermWeight
{
	WEIGHT_FREQUENCY,
	WEIGHT_BINARY,
	WEIGHT_LOGARITHMIC,
	WEIGHT_AUGMENTED
} TermWeight;

#define WEIGHT_WORDS                                                          \
	"termFrequency|binary|logarithmic|augmentedNormalizedTermFrequency"

/* Largest distance of words that are taken as equal. */
#define INDEX_MAX_DISTANCE 1000

/* Most rows of the tables of one TextIndex. */
#define INDEX_MAX_ROWS 100000

/* Rules that were written already, the latest first. */
typedef struct TextRules
{
	char *key;
	uint32 at;
	struct TextRules *next;
} TextRules;

/* How many of them are compared before rules are written once more. */
#define INDEX_REMEMBERED 16

/* Operands of text_index. */
typedef struct IndexArgs
{
	uint32 rules;
	uint32 text;
	uint32 term;
	uint32 weight;
	uint32 best; /* only the closest hits count */
	uint32 distance;
} IndexArgs;

/* Tells whether the flags of rules are some that there are. */
static bool
check_rules(const Model *model, const uint32 *args)
{
	uint32 i;

	if ((args[0] & ~RULES_FLAGS) != 0)
		return false;
	for (i = 0; i < args[2]; i++)
		if ((args[3 + 3 * i + 2] & ~ROW_FLAGS) != 0)
			return false;
	return true;
}

/* Rules have no value; they are read by those who use them. */
static double
eval_rules(const Run *run, const uint32 *args, const double *row)
{
	return NAN;
}

const ModelOp model_op_text_rules = {"text_rules", "it*(tti)", check_rules,
									 eval_rules, NULL};

/* Tells whether the first operand is rules, and the numbers are in range. */
static bool
check_index(const Model *model, const uint32 *words)
{
	const IndexArgs *args = (const IndexArgs *) words;

	return CODE_OP(model->code[args->rules]) == OP_text_rules &&
		   args->weight < WEIGHT_AUGMENTED && args->best <= 1 &&
		   args->distance <= INDEX_MAX_DISTANCE;
}

/* The distance of a term from the words at a place of a text, or -1. */
static int
hit_distance(const TokenList *text, int at, const TokenList *term, int limit)
{
	int sum = 0;
	int i;

	for (i = 0; i < term->n; i++)
	{
		int distance = text_token_distance(text, at + i, term, i, limit - sum);

		if (distance < 0)
			return -1;
		sum += distance;
	}
	return sum;
}

/* How often a term is in a text. */
static int
count_hits(const TokenList *text, const TokenList *term, const IndexArgs *args)
{
	int limit = (int) args->distance;
	int count = 0;
	int closest = limit;
	int i;

	if (term->n == 0)
		return 0;
	for (i = 0; i + term->n <= text->n; i++)
	{
		int distance = hit_distance(text, i, term, limit);

		CHECK_FOR_INTERRUPTS();
		if (distance < 0)
			continue;
		if (args->best && distance < closest)
			count = 0;
		if (args->best && distance > closest)
			continue;
		closest = args->best ? distance : closest;
		count++;
		if (args->weight == WEIGHT_BINARY)
			break;
	}
	return count;
}

/* The weight of a term in a text. */
static double
eval_index(const Run *run, const uint32 *words, const double *row)
{
	const IndexArgs *args = (const IndexArgs *) words;
	double text = expression_eval(run, args->text, row);
	double term = expression_eval(run, args->term, row);
	const TokenList *text_words;
	const TokenList *term_words;
	int count;

	if (isnan(text) || isnan(term))
		return NAN;
	CHECK_FOR_INTERRUPTS();
	term_words = text_token_list(run, args->rules, term, true);
	text_words = text_token_list(run, args->rules, text, false);
	if (text_words == NULL || term_words == NULL)
		return NAN;
	count = count_hits(text_words, term_words, args);
	return args->weight == WEIGHT_LOGARITHMIC ? log10(1.0 + count) : count;
}

const ModelOp model_op_text_index = {"text_index", "xxxiii", check_index,
									 eval_index, NULL};

/* Rules while they are read. */
typedef struct RulesBuffer
{
	uint32 flags;
	uint32 pattern;
	uint32 *rows;
	uint32 nrows;
	uint32 size;
} RulesBuffer;

/* The text of a cell, which must be there; it may be empty. */
static const char *
cell_text(XmlNode *row, const char *column)
{
	XmlNode *cell = xml_need_child(row, column);

	return cell->text == NULL ? "" : cell->text;
}

/* Reads one row of a table. */
static void
read_row(Compiler *c, RulesBuffer *rules, XmlNode *table, XmlNode *row,
		 uint32 flags)
{
	XmlNode *cell = xml_child(row, xml_attr(table, "regexField") != NULL
									   ? xml_attr(table, "regexField")
									   : "regex");
	const char *in_field = xml_attr(table, "inField");
	const char *out_field = xml_attr(table, "outField");
	const char *in = cell_text(row, in_field == NULL ? "string" : in_field);
	const char *out = cell_text(row, out_field == NULL ? "stem" : out_field);

	if (cell == NULL || cell->text == NULL ||
		pg_strcasecmp(cell->text, "true") != 0)
		flags |= REGEX_LITERAL;
	regex_check(row, in, flags & (REGEX_CASELESS | REGEX_LITERAL), out);
	if (rules->nrows >= INDEX_MAX_ROWS)
		xml_fail(row, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "tables have more than %d rows", INDEX_MAX_ROWS);
	rules->rows = builder_grow(rules->rows, rules->nrows, 1, &rules->size,
							   3 * sizeof(uint32));
	rules->rows[3 * rules->nrows] = builder_text(c, in);
	rules->rows[3 * rules->nrows + 1] = builder_text(c, out);
	rules->rows[3 * rules->nrows + 2] = flags;
	rules->nrows++;
	for (cell = xml_first(row); cell != NULL; cell = xml_after(cell))
		xml_skip(cell);
}

/* Reads what the words of a table are, which does not change its effect. */
static void
read_table_words(XmlNode *table)
{
	static const char *const patterns[] = {"wordSeparatorCharacterRE",
										   "wordRE", "x-wordRE"};

	xml_flag(table, "tokenize", true);
	for (int i = 0; i < lengthof(patterns); i++)
	{
		const char *pattern = xml_attr(table, patterns[i]);

		if (pattern != NULL)
			regex_check(table, pattern, 0, NULL);
	}
	if (xml_count(table, "maxLevenshteinDistance", 0) > 0)
		xml_unsupported(table, "maxLevenshteinDistance",
						xml_attr(table, "maxLevenshteinDistance"));
}

/* Reads one table of normalizations. */
static void
read_table(Compiler *c, RulesBuffer *rules, XmlNode *table)
{
	bool sensitive =
		xml_flag(table, "isCaseSensitive", rules->flags & RULES_CASE);
	uint32 flags = sensitive ? 0 : REGEX_CASELESS;
	uint32 first = ROW_FIRST;
	XmlNode *rows = xml_need_child(table, "InlineTable");
	XmlNode *row;

	read_table_words(table);
	if (xml_flag(table, "recursive", false))
		flags |= ROW_RECURSIVE;
	for (row = xml_child(rows, "row"); row != NULL; row = xml_next(row, "row"))
	{
		read_row(c, rules, table, row, flags | first);
		first = 0;
	}
}

/* Reads how the texts of a TextIndex are taken apart. */
static void
read_rules(Compiler *c, RulesBuffer *rules, XmlNode *node)
{
	const char *separator = xml_attr(node, "wordSeparatorCharacterRE");
	const char *word = xml_attr(node, "x-wordRE");
	const char *plain = xml_attr(node, "wordRE");
	XmlNode *table;

	if (!xml_flag(node, "tokenize", true))
		xml_unsupported(node, "tokenize", xml_attr(node, "tokenize"));
	word = plain != NULL ? plain : word;
	if (xml_flag(node, "isCaseSensitive", false))
		rules->flags |= RULES_CASE;
	if (word != NULL)
		rules->flags |= RULES_WORD;
	else
		word = separator != NULL ? separator : "\\s+";
	regex_check(node, word, 0, NULL);
	rules->pattern = builder_text(c, word);
	for (table = xml_child(node, "TextIndexNormalization"); table != NULL;
		 table = xml_next(table, "TextIndexNormalization"))
		read_table(c, rules, table);
}

/* What tells rules from others. */
static char *
rules_key(const RulesBuffer *rules)
{
	StringInfoData key;
	int i;

	initStringInfo(&key);
	appendStringInfo(&key, "%u %u", rules->flags, rules->pattern);
	for (i = 0; i < 3 * rules->nrows; i++)
		appendStringInfo(&key, " %u", rules->rows[i]);
	return key.data;
}

/* Writes the record of rules, or finds an equal one. */
static uint32
write_rules(Compiler *c, XmlNode *node)
{
	RulesBuffer rules = {0};
	TextRules *known;
	char *key;
	int n = 0;

	read_rules(c, &rules, node);
	key = rules_key(&rules);
	for (known = c->text_rules; known != NULL && n++ < INDEX_REMEMBERED;
		 known = known->next)
		if (strcmp(known->key, key) == 0)
			return known->at;
	code_begin(c, OP_text_rules);
	code_word(c, rules.flags);
	code_word(c, rules.pattern);
	code_word(c, rules.nrows);
	for (n = 0; n < 3 * rules.nrows; n++)
		code_word(c, rules.rows[n]);
	known = palloc(sizeof(TextRules));
	known->at = code_end(c);
	known->key = key;
	known->next = c->text_rules;
	c->text_rules = known;
	if (rules.rows != NULL)
		pfree(rules.rows);
	return known->at;
}

/* Compiles a TextIndex. */
Operand
expression_text_index(Compiler *c, Scope *scope, XmlNode *node)
{
	Operand result = {.type = {VALUE_INTEGER, OPTYPE_CONTINUOUS, 0}};
	Operand text =
		expression_field(c, scope, node, xml_need(node, "textField"));
	XmlNode *child = expression_child(node);
	int weight =
		xml_choice(node, "localTermWeights", WEIGHT_WORDS, WEIGHT_FREQUENCY);
	int best = xml_choice(node, "countHits", "allHits|bestHits", 0);
	int distance = xml_count(node, "maxLevenshteinDistance", 0);
	Operand term;
	uint32 rules;

	if (weight == WEIGHT_AUGMENTED)
		xml_unsupported(node, "localTermWeights",
						xml_attr(node, "localTermWeights"));
	if (distance > INDEX_MAX_DISTANCE)
		xml_fail(node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "maxLevenshteinDistance is greater than %d",
				 INDEX_MAX_DISTANCE);
	if (child == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"TextIndex\" lacks an expression");
	term = expression_compile(c, scope, child);
	if (text.type.type != VALUE_TEXT)
		text = expression_cast(c, text, type_text);
	if (term.type.type != VALUE_TEXT)
		term = expression_cast(c, term, type_text);
	rules = write_rules(c, node);
	code_begin(c, OP_text_index);
	code_word(c, rules);
	code_word(c, text.at);
	code_word(c, term.at);
	code_word(c, weight);
	code_word(c, best);
	code_word(c, distance);
	result.at = code_end(c);
	if (weight == WEIGHT_LOGARITHMIC)
		result.type.type = VALUE_DOUBLE;
	return result;
}
