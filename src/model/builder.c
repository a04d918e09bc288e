/* Writing a compiled form: records, numbers, nodes of trees, texts. */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "model/compile.h"
#include "model/layout.h"
#include "utils/memutils.h"

/* Most elements of an array of the compiled form. */
#define BUILDER_MAX_ELEMENTS 0x3FFFFFFF

typedef struct CodeBuffer
{
	uint32 n;
	uint32 size;
	uint32 *words;
} CodeBuffer;

typedef struct NumBuffer
{
	uint32 n;
	uint32 size;
	double *values;
} NumBuffer;

typedef struct NodeBuffer
{
	uint32 n;
	uint32 size;
	TreeNode *nodes;
} NodeBuffer;

/* The dictionary: texts in the order of their numbers, and a hash table. */
typedef struct TextTable
{
	uint32 n;
	uint32 size;
	char **texts;
	uint32 nbuckets;
	uint32 *buckets; /* number + 1 */
	Size nbytes;
} TextTable;

/* Makes room for more elements; returns the array, maybe elsewhere. */
void *
builder_grow(void *array, uint32 n, uint32 more, uint32 *size, Size element)
{
	Size want = add_size(n, more);

	if (want <= *size)
		return array;
	if (want > BUILDER_MAX_ELEMENTS || want * element > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("compiled model is too large"),
				 errdetail("A part of it would have %zu elements.", want)));
	want = Max(want, (Size) *size * 2);
	want = Max(want, 16);
	want = Min(want, MaxAllocSize / element);
	*size = (uint32) want;
	return array == NULL ? palloc(want * element)
						 : repalloc(array, want * element);
}

/* Begins empty buffers. Index 0 of the nodes stays unused. */
void
builder_init(Compiler *c)
{
	TreeNode *dummy;

	c->code = palloc0(sizeof(CodeBuffer));
	c->num = palloc0(sizeof(NumBuffer));
	c->nodes = palloc0(sizeof(NodeBuffer));
	c->texts = palloc0(sizeof(TextTable));
	c->begun = MODEL_NONE;
	dummy = builder_node(c, builder_nodes(c, 1));
	dummy->threshold = 0;
	dummy->skip = 0;
	dummy->test = TREE_LEAF;
}

/* Begins a record. */
void
code_begin(Compiler *c, ModelOpCode op)
{
	Assert(c->begun == MODEL_NONE);
	c->begun = c->code->n;
	code_word(c, op);
}

/* Adds an operand. */
void
code_word(Compiler *c, uint32 word)
{
	CodeBuffer *code = c->code;

	if (code->n == code->size)
		code->words =
			builder_grow(code->words, code->n, 1, &code->size, sizeof(uint32));
	code->words[code->n++] = word;
}

/* Adds a number as an operand. */
void
code_num(Compiler *c, double value)
{
	code_word(c, builder_num(c, value));
}

/* Adds a range of numbers as an operand. */
void
code_nums(Compiler *c, const double *values, uint32 count)
{
	uint32 first = builder_nums(c, values, count);

	code_word(c, first);
	code_word(c, count);
}

/* Adds a list of operands of one word. */
void
code_words(Compiler *c, const uint32 *words, uint32 count)
{
	code_word(c, count);
	for (uint32 i = 0; i < count; i++)
		code_word(c, words[i]);
}

/* Ends the record and returns its position. */
uint32
code_end(Compiler *c)
{
	uint32 at = c->begun;
	uint32 words = c->code->n - at;

	Assert(at != MODEL_NONE);
	if (words > CODE_MAX_WORDS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("compiled model is too large"),
						errdetail("A record would have %u words.", words)));
	c->code->words[at] |= words << 8;
	c->begun = MODEL_NONE;
	return at;
}

/* Stores a number and returns its index. */
uint32
builder_num(Compiler *c, double value)
{
	return builder_nums(c, &value, 1);
}

/* Stores numbers one after the other and returns the index of the first. */
uint32
builder_nums(Compiler *c, const double *values, uint32 count)
{
	NumBuffer *num = c->num;
	uint32 first = num->n;

	num->values =
		builder_grow(num->values, num->n, count, &num->size, sizeof(double));
	if (count > 0)
		memcpy(num->values + first, values, count * sizeof(double));
	num->n += count;
	return first;
}

/* Reserves nodes of trees and returns the index of the first. */
uint32
builder_nodes(Compiler *c, uint32 count)
{
	NodeBuffer *nodes = c->nodes;
	uint32 first = nodes->n;

	nodes->nodes = builder_grow(nodes->nodes, nodes->n, count, &nodes->size,
								sizeof(TreeNode));
	memset(nodes->nodes + first, 0, count * sizeof(TreeNode));
	nodes->n += count;
	return first;
}

/* A node, until the next ones are reserved. */
TreeNode *
builder_node(Compiler *c, uint32 index)
{
	Assert(index < c->nodes->n);
	return &c->nodes->nodes[index];
}

/* Reserves slots of the row and returns the first. */
uint32
builder_slots(Compiler *c, uint32 count)
{
	uint32 first = c->nslots;

	if (count > MODEL_MAX_SLOTS - c->nslots)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("model has too many fields and results"),
						errdetail("A row holds at most %d of them.",
								  MODEL_MAX_SLOTS)));
	c->nslots += count;
	return first;
}

/* Doubles the hash table of the dictionary. */
static void
text_rehash(TextTable *texts)
{
	uint32 nbuckets = texts->nbuckets == 0 ? 64 : texts->nbuckets * 2;

	if (texts->buckets != NULL)
		pfree(texts->buckets);
	texts->buckets = palloc0(nbuckets * sizeof(uint32));
	texts->nbuckets = nbuckets;
	for (uint32 i = 0; i < texts->n; i++)
	{
		uint32 at = model_text_hash(texts->texts[i], strlen(texts->texts[i])) &
					(nbuckets - 1);

		while (texts->buckets[at] != 0)
			at = (at + 1) & (nbuckets - 1);
		texts->buckets[at] = i + 1;
	}
}

/* The number of a text in the dictionary, which it enters if it is new. */
uint32
builder_text(Compiler *c, const char *text)
{
	TextTable *texts = c->texts;
	Size size = strlen(text);
	uint32 at;

	if (texts->n * 2 >= texts->nbuckets)
		text_rehash(texts);
	at = model_text_hash(text, size) & (texts->nbuckets - 1);
	for (; texts->buckets[at] != 0; at = (at + 1) & (texts->nbuckets - 1))
		if (strcmp(texts->texts[texts->buckets[at] - 1], text) == 0)
			return texts->buckets[at] - 1;
	texts->texts =
		builder_grow(texts->texts, texts->n, 1, &texts->size, sizeof(char *));
	texts->texts[texts->n] = pstrdup(text);
	texts->nbytes += size;
	texts->buckets[at] = ++texts->n;
	return texts->n - 1;
}

/* A text of the dictionary. */
const char *
builder_text_get(const Compiler *c, uint32 code)
{
	Assert(code < c->texts->n);
	return c->texts->texts[code];
}

/* Copies the dictionary to its place in the compiled form. */
static void
builder_put_texts(const TextTable *texts, Model *model)
{
	uint32 *text_at = unconstify(uint32 *, model->text_at);
	char *text = unconstify(char *, model->text);
	uint32 bytes = 0;

	for (uint32 i = 0; i < texts->n; i++)
	{
		uint32 size = strlen(texts->texts[i]);

		text_at[i] = bytes;
		memcpy(text + bytes, texts->texts[i], size);
		bytes += size;
	}
	text_at[texts->n] = bytes;
	memcpy(unconstify(uint32 *, model->buckets), texts->buckets,
		   texts->nbuckets * sizeof(uint32));
}

/* Puts the parts together; root is the position of the record of all. */
struct varlena *
builder_finish(Compiler *c, uint32 root)
{
	ModelHead head = {0};
	ModelHead *result;
	Model model;
	Size size;

	if (c->texts->nbuckets == 0)
		text_rehash(c->texts);
	head.layout = MODEL_LAYOUT;
	head.nnum = c->num->n;
	head.nnodes = c->nodes->n;
	head.ncode = c->code->n;
	head.ntexts = c->texts->n;
	head.nbuckets = c->texts->nbuckets;
	head.nbytes = c->texts->nbytes;
	head.nslots = c->nslots;
	head.root = root;
	size = model_size(&head);
	if (size > MODEL_MAX_SIZE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("compiled model is too large"),
						errdetail("It would take %zu bytes; the limit is %zu.",
								  size, (Size) MODEL_MAX_SIZE)));
	result = palloc0(size);
	memcpy(result, &head, sizeof(head));
	SET_VARSIZE(result, size);
	model_view(&model, result);
	if (head.nnum > 0)
		memcpy(unconstify(double *, model.num), c->num->values,
			   head.nnum * sizeof(double));
	memcpy(unconstify(TreeNode *, model.nodes), c->nodes->nodes,
		   head.nnodes * sizeof(TreeNode));
	memcpy(unconstify(uint32 *, model.code), c->code->words,
		   head.ncode * sizeof(uint32));
	builder_put_texts(c->texts, &model);
	model_hash(result, result->hash);
	return (struct varlena *) result;
}
