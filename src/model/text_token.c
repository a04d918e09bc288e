/*
 * Texts as lists of words. Models count thousands of terms in one text, so
 * the words of the texts of a block are kept.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/regex.h"
#include "model/text_index.h"
#include "utils/memutils.h"

/* Lists that are kept: of texts of the dictionary, and of others. */
#define TOKEN_FIXED 16384
#define TOKEN_MADE 512

/* Bytes of texts that are not in the dictionary whose lists are kept. */
#define TOKEN_MADE_BYTES (4 * 1024 * 1024)

/* Largest list, and most times that one table is applied. */
#define TOKEN_MAX 1000000
#define TOKEN_MAX_ROUNDS 1000

struct TokenCache
{
	MemoryContext context;
	TokenList *fixed[2][TOKEN_FIXED]; /* of texts, and of terms */
	TokenList *made[2][TOKEN_MADE];
	Size made_bytes[2]; /* of their texts */
};

/* Words while they are found. */
typedef struct TokenBuffer
{
	const Run *run;
	bool fold; /* to one case */
	StringInfoData bytes;
	Token *tokens;
	int n;
	int size;
} TokenBuffer;

/* Adds a word; one case stands for both when they do not differ. */
static void
token_add(TokenBuffer *buffer, const char *text, Size size)
{
	StringInfoData upper;
	Token *token;

	if (buffer->n >= TOKEN_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text has too many words")));
	if (buffer->n == buffer->size)
	{
		buffer->size *= 2;
		buffer->tokens =
			repalloc(buffer->tokens, buffer->size * sizeof(Token));
	}
	token = &buffer->tokens[buffer->n++];
	token->at = buffer->bytes.len;
	if (buffer->fold)
	{
		initStringInfo(&upper);
		regex_case(buffer->run, &upper, text, size, true);
		regex_case(buffer->run, &buffer->bytes, upper.data, upper.len, false);
		pfree(upper.data);
	}
	else
		appendBinaryStringInfo(&buffer->bytes, text, (int) size);
	token->size = buffer->bytes.len - token->at;
	token->hash = hash_bytes(
		(const unsigned char *) buffer->bytes.data + token->at, token->size);
}

/* Adds a word without the punctuation around it, if anything is left. */
static void
token_add_trimmed(TokenBuffer *buffer, const char *text, Size size)
{
	Size length;
	Size last;

	while (size > 0 && regex_is_punctuation(buffer->run, text, size))
	{
		length = pg_utf_mblen((const unsigned char *) text);
		length = Min(length, size);
		text += length;
		size -= length;
	}
	while (size > 0)
	{
		for (last = size - 1; last > 0 && (text[last] & 0xC0) == 0x80;)
			last--;
		if (!regex_is_punctuation(buffer->run, text + last, size - last))
			break;
		size = last;
	}
	if (size > 0)
		token_add(buffer, text, size);
}

/* Takes a text apart by the regular expression of the rules. */
static void
tokenize(TokenBuffer *buffer, const uint32 *rules, const char *text, Size size)
{
	bool words = rules[0] & RULES_WORD;
	Size length;
	const char *pattern = model_text(buffer->run->model, rules[1], &length);
	Regex *regex = regex_get(buffer->run, pattern, length, 0);
	Size from = 0;
	Size done = 0;
	Size start;
	Size end;

	if (size == 0)
		return;
	while (regex_find(regex, text, size, from, &start, &end))
	{
		end = Max(start, end);
		if (words)
			token_add(buffer, text + start, end - start);
		else if (start > done)
			token_add_trimmed(buffer, text + done, start - done);
		done = Max(done, end);
		from = regex_next(text, size, start, end);
	}
	if (!words && done < size)
		token_add_trimmed(buffer, text + done, size - done);
}

/* Applies the rows of one table to a text, which it replaces. */
static void
apply_rows(const Run *run, const uint32 *rows, uint32 n, StringInfo text)
{
	uint32 i;

	for (i = 0; i < n; i++)
	{
		const uint32 *row = rows + 3 * i;
		Size length;
		const char *in = model_text(run->model, row[0], &length);
		Regex *regex = regex_get(run, in, length,
								 row[2] & (REGEX_CASELESS | REGEX_LITERAL));
		const char *replacement = model_text(run->model, row[1], &length);
		StringInfoData out;

		initStringInfo(&out);
		regex_replace(&out, regex, text->data, text->len, replacement, length);
		pfree(text->data);
		*text = out;
	}
}

/* Applies one table, until nothing changes if it says so. */
static void
apply_table(const Run *run, const uint32 *rows, uint32 n, StringInfo text)
{
	bool again = rows[2] & ROW_RECURSIVE;
	int round = 0;

	do
	{
		char *before = again ? pnstrdup(text->data, text->len) : NULL;
		Size size = text->len;

		CHECK_FOR_INTERRUPTS();
		if (++round > TOKEN_MAX_ROUNDS)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("normalization of a text does not end")));
		apply_rows(run, rows, n, text);
		if (again)
		{
			again = size != text->len || memcmp(before, text->data, size) != 0;
			pfree(before);
		}
	} while (again);
}

/* Applies all tables of the rules. */
static void
normalize(const Run *run, const uint32 *rules, StringInfo text)
{
	uint32 count = rules[2];
	const uint32 *rows = rules + 3;
	uint32 first = 0;
	uint32 next;

	while (first < count)
	{
		next = first + 1;
		while (next < count && !(rows[3 * next + 2] & ROW_FIRST))
			next++;
		apply_table(run, rows + 3 * first, next - first, text);
		first = next;
	}
}

/* Makes the list of words of a text. */
static TokenList *
token_make(const Run *run, uint32 record, const char *text, Size size,
		   bool term)
{
	const uint32 *rules = run->code + record + 1;
	TokenList *list = palloc0(sizeof(TokenList));
	TokenBuffer buffer = {.run = run, .fold = !(rules[0] & RULES_CASE)};
	StringInfoData normal;

	initStringInfo(&normal);
	initStringInfo(&buffer.bytes);
	buffer.size = 16;
	buffer.tokens = palloc(buffer.size * sizeof(Token));
	if (size > MaxAllocSize / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text is too long")));
	appendBinaryStringInfo(&normal, text, (int) size);
	if (!term)
		normalize(run, rules, &normal);
	tokenize(&buffer, rules, normal.data, normal.len);
	pfree(normal.data);
	list->rules = record;
	list->term = term;
	list->n = buffer.n;
	list->tokens = buffer.tokens;
	list->bytes = buffer.bytes.data;
	return list;
}

/* Gives the memory of a list back. */
static void
token_free(TokenList *list)
{
	if (list == NULL)
		return;
	if (list->text != NULL)
		pfree(list->text);
	pfree(list->tokens);
	pfree(list->bytes);
	pfree(list);
}

/* The cache of a run, made when it is first asked for. */
static struct TokenCache *
token_cache(const Run *run)
{
	struct TokenCache *cache = run->tokens;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(run->context, sizeof(*cache));
		cache->context = AllocSetContextCreate(
			run->context, "words of texts of a model", ALLOCSET_DEFAULT_SIZES);
		((Run *) run)->tokens = cache;
	}
	return cache;
}

/* Makes a list that stays in the cache in the place of another. */
static TokenList *
token_replace(const Run *run, TokenList **place, uint32 rules,
			  const char *text, Size size, bool term)
{
	MemoryContext old = MemoryContextSwitchTo(token_cache(run)->context);

	token_free(*place);
	*place = NULL;
	*place = token_make(run, rules, text, size, term);
	MemoryContextSwitchTo(old);
	return *place;
}

/* Forgets the lists of texts, or of terms, that are not in the dictionary. */
static void
token_forget_made(struct TokenCache *cache, bool term)
{
	for (int i = 0; i < TOKEN_MADE; i++)
	{
		token_free(cache->made[term][i]);
		cache->made[term][i] = NULL;
	}
	cache->made_bytes[term] = 0;
}

/* The words of a text that is not in the dictionary. */
static TokenList *
token_list_made(const Run *run, uint32 rules, const char *text, Size size,
				bool term)
{
	struct TokenCache *cache = token_cache(run);
	uint32 hash = hash_bytes((const unsigned char *) text, (int) size);
	TokenList **place = &cache->made[term][(hash + rules * 31) % TOKEN_MADE];
	TokenList *list = *place;

	if (list != NULL && list->rules == rules && list->term == term &&
		list->size == size && memcmp(list->text, text, size) == 0)
		return list;
	if (cache->made_bytes[term] > TOKEN_MADE_BYTES)
		token_forget_made(cache, term);
	list = token_replace(run, place, rules, text, size, term);
	list->text = MemoryContextAlloc(cache->context, size + 1);
	memcpy(list->text, text, size);
	list->size = size;
	cache->made_bytes[term] += size;
	return list;
}

/* The words of a text by rules; NULL if there is no such text. */
const TokenList *
text_token_list(const Run *run, uint32 rules, double code, bool term)
{
	Size size;
	const char *text = run_text_get(run, code, &size);
	TokenList **place;
	TokenList *list;

	if (text == NULL)
		return NULL;
	if (code >= run->model->head->ntexts)
		return token_list_made(run, rules, text, size, term);
	place = &token_cache(run)
				 ->fixed[term][((uint32) code + rules * 31) % TOKEN_FIXED];
	list = *place;
	if (list == NULL || list->code != code || list->rules != rules ||
		list->term != term)
	{
		list = token_replace(run, place, rules, text, size, term);
		list->code = code;
	}
	return list;
}

/* The characters of a word. */
static pg_wchar *
token_characters(const TokenList *list, int i, int *n)
{
	const Token *token = &list->tokens[i];
	pg_wchar *characters = palloc(sizeof(pg_wchar) * ((Size) token->size + 1));

	*n = pg_encoding_mb2wchar_with_len(PG_UTF8, list->bytes + token->at,
									   characters, token->size);
	return characters;
}

/*
 * The least number of characters to insert, delete and replace that makes two
 * words equal; only cells near the diagonal can be within the limit.
 */
static int
edit_distance(const pg_wchar *a, int na, const pg_wchar *b, int nb, int limit)
{
	int *above = palloc(sizeof(int) * ((Size) nb + 2));
	int *cells = palloc(sizeof(int) * ((Size) nb + 2));
	int *swap;
	int i;
	int j;

	for (j = 0; j <= nb; j++)
		above[j] = j;
	for (i = 1; i <= na; i++)
	{
		int from = Max(1, i - limit);
		int to = Min(nb, i + limit);

		CHECK_FOR_INTERRUPTS();
		cells[from - 1] = from == 1 ? i : limit + 1;
		for (j = from; j <= to; j++)
		{
			int best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = Min(best, cells[j - 1] + 1);
			if (j < i + limit)
				best = Min(best, above[j] + 1);
			cells[j] = best;
		}
		swap = above;
		above = cells;
		cells = swap;
	}
	i = above[nb];
	pfree(above);
	pfree(cells);
	return i;
}

/* The distance of two words if it is within a limit, else -1. */
int
text_token_distance(const TokenList *a, int i, const TokenList *b, int j,
					int limit)
{
	const Token *x = &a->tokens[i];
	const Token *y = &b->tokens[j];
	pg_wchar *left;
	pg_wchar *right;
	int nleft;
	int nright;
	int result = -1;

	if (x->hash == y->hash && x->size == y->size &&
		memcmp(a->bytes + x->at, b->bytes + y->at, x->size) == 0)
		return 0;
	if (limit <= 0)
		return -1;
	left = token_characters(a, i, &nleft);
	right = token_characters(b, j, &nright);
	limit = Min(limit, Max(nleft, nright));
	if (abs(nleft - nright) <= limit)
		result = edit_distance(left, nleft, right, nright, limit);
	pfree(left);
	pfree(right);
	return result <= limit ? result : -1;
}
