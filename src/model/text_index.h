/* Texts as lists of words, and counting terms in them. */
#ifndef IAROS_MODEL_TEXT_INDEX_H
#define IAROS_MODEL_TEXT_INDEX_H

#include "postgres.h"

#include "model/model.h"

/* The first operand of text_rules. */
#define RULES_CASE 1 /* upper and lower case differ */
#define RULES_WORD 2 /* the expression matches words, not what is between */
#define RULES_FLAGS 3

/* Flags of a row of text_rules, beside those of regular expressions. */
#define ROW_FIRST 4     /* of a table */
#define ROW_RECURSIVE 8 /* its table is applied until nothing changes */
#define ROW_FLAGS 15

/* A word: where its bytes are. */
typedef struct Token
{
	uint32 hash;
	uint32 at;
	uint32 size;
} Token;

typedef struct TokenList
{
	uint32 rules; /* position of the record */
	bool term;    /* is not normalized */
	double code;  /* of the text, if it is in the dictionary */
	Size size;
	char *text; /* else the text */
	int n;
	Token *tokens;
	char *bytes;
} TokenList;

extern const TokenList *text_token_list(const Run *run, uint32 rules,
										double text, bool term);
extern int text_token_distance(const TokenList *a, int i, const TokenList *b,
							   int j, int limit);

#endif /* IAROS_MODEL_TEXT_INDEX_H */
