/* JSON text as a tree in which each part knows its place. */
#ifndef IAROS_SEGMENT_JSON_H
#define IAROS_SEGMENT_JSON_H

#include "postgres.h"

typedef enum RuleItemKind
{
	RULE_ITEM_NULL,
	RULE_ITEM_BOOLEAN,
	RULE_ITEM_NUMBER,
	RULE_ITEM_TEXT,
	RULE_ITEM_LIST,
	RULE_ITEM_OBJECT,
} RuleItemKind;

typedef struct RuleItem
{
	RuleItemKind kind;
	struct RuleItem *parent;
	const char *key;  /* in an object */
	int index;        /* in a list */
	const char *text; /* of a scalar: without quotes and escapes */
	int nchildren;
	int capacity;
	struct RuleItem **children;
} RuleItem;

extern RuleItem *rule_item_read(const char *json, int length);
extern RuleItem *rule_item_find(const RuleItem *object, const char *key);
/* Part of ereport(): the detail that says where. */
extern int rule_item_place(const RuleItem *item);
/* For messages: a text cut to a readable length. */
extern const char *rule_clip(const char *text);

#endif /* IAROS_SEGMENT_JSON_H */
