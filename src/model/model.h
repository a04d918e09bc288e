/*
 * The compiled form of a model, and running it.
 *
 * A model is a program over rows of doubles. A row has a slot for each input,
 * derived field, result and output; NaN is missing; a text is its number in
 * the model's dictionary (texts made while running get numbers behind it);
 * a boolean is 0 or 1; a date is a number of days since 1970-01-01, a time
 * one of seconds, a timestamp one of seconds since 1970-01-01.
 *
 * The program is an array of words: records, each an operation and its
 * operands. A record refers only to records before it, so running it ends.
 * What operands mean is told by the signature of the operation (ModelOp), by
 * which a program from outside is checked as well (layout.c).
 *
 * Steps write slots for a range of rows; expressions give a double. A
 * predicate is an expression: 1 true, 0 false, NaN unknown.
 */
#ifndef IAROS_MODEL_MODEL_H
#define IAROS_MODEL_MODEL_H

#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#define MODEL_LAYOUT 1

/* Rows that are run together. */
#define MODEL_BLOCK 1024

/* As many are enough where trees stay in the cache, see model_is_large(). */
#define MODEL_BLOCK_SMALL 128

/* Trees of so many nodes leave no room for rows in a cache of 1 MB. */
#define MODEL_LARGE_NODES 50000

/* Years that types can count from end here. */
#define MODEL_MAX_YEAR 9999

/* Between the values of a list that is one text. */
#define MODEL_LIST_SEPARATOR '\x1F'

/* No slot, no text, no record. */
#define MODEL_NONE UINT32_MAX

/* What a double in a slot stands for. */
typedef enum ValueType
{
	VALUE_DOUBLE,
	VALUE_FLOAT,   /* a double that 32 bits hold */
	VALUE_INTEGER, /* whole */
	VALUE_BOOLEAN,
	VALUE_TEXT,
	VALUE_DATE,
	VALUE_TIME,
	VALUE_TIMESTAMP,
	VALUE_DAYS_SINCE,    /* whole days since January 1 of a year */
	VALUE_SECONDS_SINCE, /* whole seconds since January 1 of a year */
	VALUE_SECONDS        /* whole seconds of the day */
} ValueType;

#define VALUE_TYPES (VALUE_SECONDS + 1)

/*
 * A node of a tree: 12 bytes. An inner node compares the value of a column
 * with a threshold: the row goes to the node at its own index + skip - 1 when
 * it is less, and to the one after that when it is not, or missing. A leaf
 * skips nothing and looks at column 0, which is always missing, so that a
 * walk that goes on stays where it is; its threshold is the result, or holds
 * the number of a row of results in the lower 32 bits.
 *
 * Columns are, from 1 on, slots and negated slots, listed by the record; test
 * is the number of a column times TREE_LANES, or one of those below. Before
 * the nodes of a record stands a node that tells which record it is.
 */
typedef struct pg_attribute_packed() TreeNode
{
	double threshold;
	uint16 skip;
	uint16 test;
}
TreeNode;

#define TREE_LANES 16         /* rows that walk together */
#define TREE_LEAF 0           /* test of a leaf */
#define TREE_OWNER 0xFFFC     /* lower 32 bits: position of the record */
#define TREE_FAR 0xFFFD       /* goes on at that node of the tree */
#define TREE_REFUTED 0xFFFE   /* the predicate of that number is false */
#define TREE_PREDICATE 0xFFFF /* it is true */
#define TREE_MAX_COLUMNS 4095
#define TREE_MAX_SKIP 65535

/* What the lower 32 bits of a threshold hold. */
static inline uint32
tree_number(double threshold)
{
	uint64 bits;

	memcpy(&bits, &threshold, sizeof(bits));
	return (uint32) bits;
}

/* A threshold that holds a number. */
static inline double
tree_threshold(uint32 number)
{
	uint64 bits = UINT64CONST(0x7FF8000000000000) | number;
	double threshold;

	memcpy(&threshold, &bits, sizeof(threshold));
	return threshold;
}

/* The compiled form, a varlena. Arrays follow. */
typedef struct ModelHead
{
	int32 vl_len_;
	uint32 layout;  /* MODEL_LAYOUT */
	uint8 hash[16]; /* of all that comes after it */
	uint32 nnum;
	uint32 nnodes;
	uint32 ncode;
	uint32 ntexts;
	uint32 nbuckets; /* of the dictionary, a power of two */
	uint32 nbytes;   /* of all texts */
	uint32 nslots;
	uint32 root; /* position of the record OP_MODEL */
} ModelHead;

/* Where the arrays of a compiled form are. */
typedef struct Model
{
	const ModelHead *head;
	const double *num;
	const TreeNode *nodes;
	const uint32 *code;
	const uint32 *text_at; /* ntexts + 1 */
	const uint32 *buckets; /* text number + 1, 0: empty */
	const char *text;
} Model;

/* A run of a model over blocks of rows, one after the other. */
typedef struct Run
{
	const Model *model;
	const uint32 *code;
	const double *num;
	double *rows;               /* MODEL_BLOCK of them */
	uint32 stride;              /* doubles from row to row */
	int nrows;                  /* most rows of a block */
	bool incompatible;          /* some input has a wrong type (treat.h) */
	bool invalid[MODEL_BLOCK];  /* rows that have no result */
	struct RunTexts *texts;     /* made while running */
	struct RegexCache *regexes; /* NULL until one is used */
	struct TokenCache *tokens;  /* NULL until a text is indexed */
	double *scratch;
	Size nscratch;
	MemoryContext context; /* lives as long as the run */
} Run;

static inline double *
run_row(const Run *run, int row)
{
	return run->rows + (Size) row * run->stride;
}

/* Tells whether trees are fetched from memory again for each block. */
static inline bool
model_is_large(const Model *model)
{
	return model->head->nnodes > MODEL_LARGE_NODES;
}

/* Notes that a row, told by where it is, has no result. */
static inline void
run_refuse(Run *run, const double *row)
{
	Size i = (Size) (row - run->rows) / run->stride;

	if (i < MODEL_BLOCK)
		run->invalid[i] = true;
}

/*
 * An operation. Signature, one letter an operand:
 *   i  a number that the operation itself checks when it runs
 *   s  a slot            S  two words: first slot, number of slots
 *   t  a text            n  an index into num
 *   N  two words: first index into num, how many
 *   x  an expression     m  a step     T  a node of a tree that is a root
 *   *y a number of operands y, then the operands; *(yz) groups
 *   ?y as y, or MODEL_NONE
 * check tells whether operands fit each other; NULL if there is nothing.
 */
typedef struct ModelOp
{
	const char *name;
	const char *signature;
	bool (*check)(const Model *model, const uint32 *args);
	double (*eval)(const Run *run, const uint32 *args, const double *row);
	void (*step)(Run *run, const uint32 *args, int first, int n);
} ModelOp;

/* A record is a word of this kind, then its operands. */
#define CODE_OP(word) ((word) &0xFF)
#define CODE_WORDS(word) ((word) >> 8) /* with the first */
#define CODE_MAX_WORDS 0xFFFFFF

/* All operations: OP_x is described by model_op_x. */
#define MODEL_OPS(X)                                                          \
	X(model)                                                                  \
	X(sequence)                                                               \
	X(set)                                                                    \
	X(treat)                                                                  \
	X(number)                                                                 \
	X(slot)                                                                   \
	X(apply)                                                                  \
	X(choose)                                                                 \
	X(logic)                                                                  \
	X(compare)                                                                \
	X(member)                                                                 \
	X(default)                                                                \
	X(cast)                                                                   \
	X(map)                                                                    \
	X(discretize)                                                             \
	X(norm_continuous)                                                        \
	X(norm_discrete)                                                          \
	X(text_rules)                                                             \
	X(text_index)                                                             \
	X(linear)                                                                 \
	X(coefficient)                                                            \
	X(pick)                                                                   \
	X(normalize)                                                              \
	X(best)                                                                   \
	X(target)                                                                 \
	X(gate)                                                                   \
	X(tree)                                                                   \
	X(tree_weighted)                                                          \
	X(forest)                                                                 \
	X(segment)                                                                \
	X(take)                                                                   \
	X(combine)                                                                \
	X(gather)                                                                 \
	X(general_regression)                                                     \
	X(general_class)                                                          \
	X(hazard)                                                                 \
	X(scorecard)                                                              \
	X(bayes)                                                                  \
	X(ruleset)                                                                \
	X(items)                                                                  \
	X(association)                                                            \
	X(network)                                                                \
	X(svm)                                                                    \
	X(cluster)                                                                \
	X(neighbor)

#define MODEL_OP_CODE(name) OP_##name,
typedef enum ModelOpCode
{
	MODEL_OPS(MODEL_OP_CODE) OP_COUNT
} ModelOpCode;
#undef MODEL_OP_CODE

#define MODEL_OP_EXTERN(name) extern const ModelOp model_op_##name;
MODEL_OPS(MODEL_OP_EXTERN)
#undef MODEL_OP_EXTERN

extern const ModelOp *const model_ops[OP_COUNT];

/* The value of an expression for a row. */
static inline double
model_eval(const Run *run, uint32 at, const double *row)
{
	const uint32 *word = run->code + at;

	return model_ops[CODE_OP(*word)]->eval(run, word + 1, row);
}

/* Runs a step for n rows of the block. */
static inline void
model_step(Run *run, uint32 at, int first, int n)
{
	const uint32 *word = run->code + at;

	model_ops[CODE_OP(*word)]->step(run, word + 1, first, n);
}

/* run.c */
extern Run *run_create(const Model *model, int nrows, MemoryContext context);
extern void run_begin(Run *run);
extern void run_block(Run *run, int nrows);
extern double *run_scratch(Run *run, Size n);
extern double run_text(const Run *run, const char *text, Size size);
extern const char *run_text_get(const Run *run, double code, Size *size);

/* number.c: numbers in order. */
extern void number_sort(double *values, Size n);
extern uint32 number_find(const double *values, uint32 n, double value);

/* layout.c */
extern void model_view(Model *model, const void *compiled);
extern int32 model_text_find(const Model *model, const char *text, Size size);
extern const char *model_text(const Model *model, uint32 code, Size *size);

/* value.c */
extern double value_epoch(int year);

/* A result that is 32 bits wide, or not. */
static inline double
model_round(double value, bool single)
{
	return single ? (double) (float) value : value;
}

/* The nearest whole number, the greater one of two. */
static inline double
model_whole(double value)
{
	double low = floor(value);

	return value - low >= 0.5 ? low + 1 : low;
}

/* e to a power; for a result that is 32 bits wide, of an e that is. */
static inline double
model_exp(double value, bool single)
{
	return single ? (double) (float) pow(2.7182817, value) : exp(value);
}

#endif /* IAROS_MODEL_MODEL_H */
