/*
 * JSON text to a tree, by PostgreSQL's own parser. Its semantic actions check
 * what the parser does not: depth, repeated keys, too many keys.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "segment/json.h"
#include "segment/rule.h"

/* Levels of JSON: two a group, then a condition, its where and a list. */
#define ITEM_DEPTH_MAX (2 * RULE_DEPTH_MAX + 3)

/* Bytes of a text in a message. */
#define ITEM_CLIP 64

/* What the semantic actions know. */
typedef struct ItemReader
{
	RuleItem *root;
	RuleItem *current; /* object or list that is open */
	const char *key;   /* of the value that comes next in an object */
	int depth;
} ItemReader;

/* Returns a text cut to a length. */
static const char *
item_clip(const char *text, int limit)
{
	int length = strlen(text);

	if (length <= limit)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, length, limit - 3), text);
}

/* Returns a text cut to a length that a message can hold. */
const char *
rule_clip(const char *text)
{
	return item_clip(text, ITEM_CLIP);
}

/* Tells whether a key needs no quotes. */
static bool
item_is_plain(const char *key)
{
	return *key != '\0' &&
		   strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_") == strlen(key);
}

/* Writes the place of an item: rules[2].value. */
static void
item_write_place(StringInfo out, const RuleItem *item)
{
	if (item->parent == NULL)
		return;
	item_write_place(out, item->parent);
	if (item->key == NULL)
		appendStringInfo(out, "[%d]", item->index);
	else
		appendStringInfo(out, item_is_plain(item->key) ? "%s%s" : "%s\"%s\"",
						 out->len > 0 ? "." : "", rule_clip(item->key));
}

/* Returns the place of an item as text. */
static const char *
item_place(const RuleItem *item)
{
	StringInfoData place;

	initStringInfo(&place);
	item_write_place(&place, item);
	return place.len > 0 ? place.data : "the top";
}

/* Sets the detail of an error: where in the JSON it is. */
int
rule_item_place(const RuleItem *item)
{
	return errdetail("At %s.", item_place(item));
}

/* Returns the value of a key, NULL when it is not there. */
RuleItem *
rule_item_find(const RuleItem *object, const char *key)
{
	for (int i = 0; i < object->nchildren; i++)
		if (strcmp(object->children[i]->key, key) == 0)
			return object->children[i];
	return NULL;
}

/* Makes the item that the parser is at, without adding it. */
static RuleItem
item_next(const ItemReader *reader, RuleItemKind kind, const char *text)
{
	RuleItem item = {.kind = kind, .parent = reader->current, .text = text};

	if (reader->current != NULL)
	{
		item.key = reader->key;
		item.index = reader->current->nchildren;
	}
	return item;
}

/* Adds the item that the parser is at to what is open. */
static RuleItem *
item_add(ItemReader *reader, RuleItemKind kind, const char *text)
{
	RuleItem *item = palloc(sizeof(RuleItem));
	RuleItem *parent = reader->current;

	*item = item_next(reader, kind, text);
	reader->key = NULL;
	if (parent == NULL)
	{
		reader->root = item;
		return item;
	}
	if (parent->nchildren == parent->capacity)
	{
		parent->capacity = Max(4, 2 * parent->capacity);
		parent->children =
			parent->children == NULL
				? palloc(parent->capacity * sizeof(RuleItem *))
				: repalloc(parent->children,
						   parent->capacity * sizeof(RuleItem *));
	}
	parent->children[parent->nchildren++] = item;
	return item;
}

/* Opens an object or a list, unless that is too deep. */
static void
item_open(ItemReader *reader, RuleItemKind kind)
{
	RuleItem *item = item_add(reader, kind, NULL);

	CHECK_FOR_INTERRUPTS();
	if (++reader->depth > ITEM_DEPTH_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rule has more than %d levels", RULE_DEPTH_MAX),
						rule_item_place(item),
						errhint("Groups of the same logic can be one.")));
	reader->current = item;
}

/* Closes an object or a list. */
static void
item_close(ItemReader *reader)
{
	reader->current = reader->current->parent;
	reader->depth--;
}

/* Semantic action: an object begins. */
static JsonActionResult
item_object_start(void *state)
{
	item_open(state, RULE_ITEM_OBJECT);
	JSON_ACTION_RETURN();
}

/* Semantic action: a list begins. */
static JsonActionResult
item_list_start(void *state)
{
	item_open(state, RULE_ITEM_LIST);
	JSON_ACTION_RETURN();
}

/* Semantic action: an object or a list ends. */
static JsonActionResult
item_end(void *state)
{
	item_close(state);
	JSON_ACTION_RETURN();
}

/* Semantic action: a key of an object, which must be the first of its name. */
static JsonActionResult
item_key(void *state, char *key, bool isnull)
{
	ItemReader *reader = state;
	RuleItem *object = reader->current;

	if (rule_item_find(object, key) != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("key \"%s\" is given twice", rule_clip(key)),
						rule_item_place(object)));
	if (object->nchildren >= RULE_KEYS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("object has more than %d keys", RULE_KEYS_MAX),
						rule_item_place(object)));
	reader->key = key;
	JSON_ACTION_RETURN();
}

/* Semantic action: a scalar. */
static JsonActionResult
item_scalar(void *state, char *token, JsonTokenType type)
{
	RuleItemKind kind = type == JSON_TOKEN_STRING   ? RULE_ITEM_TEXT
						: type == JSON_TOKEN_NUMBER ? RULE_ITEM_NUMBER
						: type == JSON_TOKEN_NULL   ? RULE_ITEM_NULL
													: RULE_ITEM_BOOLEAN;

	item_add(state, kind, token);
	JSON_ACTION_RETURN();
}

/* Returns which character a lexer is at. */
static int
item_character(const JsonLexContext *lex)
{
	const char *at =
		lex->token_start != NULL ? lex->token_start : lex->token_terminator;

	return 1 + pg_mbstrlen_with_len(lex->input, at - lex->input);
}

/* Raises the error for a text that is no JSON, at the item it broke off. */
static void
item_syntax_error(const ItemReader *reader, JsonLexContext *lex,
				  JsonParseErrorType error)
{
	RuleItem item = item_next(reader, RULE_ITEM_NULL, NULL);
	const RuleItem *at =
		item.key != NULL || item.parent == NULL ? &item : item.parent;

	ereport(ERROR,
			(errcode(error == JSON_UNICODE_CODE_POINT_ZERO
						 ? ERRCODE_UNTRANSLATABLE_CHARACTER
						 : ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("rule is not valid JSON"),
			 errdetail("At %s, character %d. %s", item_place(at),
					   item_character(lex),
					   item_clip(json_errdetail(error, lex), 4 * ITEM_CLIP))));
}

/* Reads JSON text; length is that of the text, which is longer than none. */
RuleItem *
rule_item_read(const char *json, int length)
{
	ItemReader reader = {0};
	JsonSemAction actions = {.semstate = &reader,
							 .object_start = item_object_start,
							 .object_end = item_end,
							 .array_start = item_list_start,
							 .array_end = item_end,
							 .object_field_start = item_key,
							 .scalar = item_scalar};
	JsonLexContext *lex;
	JsonParseErrorType error;

	lex = JsonLexContextCreate(unconstify(char *, json), length,
							   GetDatabaseEncoding());
	error = pg_parse_json(lex, &actions);
	if (error != JSON_SUCCESS)
		item_syntax_error(&reader, lex, error);
	return reader.root;
}
