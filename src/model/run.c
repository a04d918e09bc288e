/* Running a compiled model over blocks of rows. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/layout.h"
#include "model/model.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Most bytes of rows of a block. */
#define RUN_ROW_BYTES (64 * 1024 * 1024)

/* Most bytes of texts that the rows of a block make. */
#define RUN_TEXT_BYTES (256 * 1024 * 1024)

/* Texts that are not in the dictionary, numbered behind it. */
typedef struct RunText
{
	const char *text;
	Size size;
	uint32 next; /* with the same hash, number + 1 */
} RunText;

typedef struct RunTexts
{
	MemoryContext context; /* of the texts, emptied with each block */
	RunText *texts;
	Size bytes; /* of the texts */
	uint32 n;
	uint32 size;
	uint32 buckets[256];
} RunTexts;

/*
 * Begins a run that is kept in a context, of blocks of at most nrows rows; of
 * fewer if rows are so wide.
 */
Run *
run_create(const Model *model, int nrows, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Run *run = palloc0(sizeof(Run));

	run->model = model;
	run->code = model->code;
	run->num = model->num;
	run->context = context;
	run->stride = Max(model->head->nslots, 1);
	run->nrows = Min(Min(nrows, MODEL_BLOCK),
					 Max(1, RUN_ROW_BYTES / (run->stride * sizeof(double))));
	/* A form from outside may tell slots that it never sets. */
	run->rows = palloc_extended(sizeof(double) * run->stride * run->nrows,
								MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	run->texts = palloc0(sizeof(RunTexts));
	run->texts->context = AllocSetContextCreate(context, "iaros model texts",
												ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(old);
	return run;
}

/* Forgets what the last block left: before its inputs are put into slots. */
void
run_begin(Run *run)
{
	memset(run->invalid, 0, run->nrows);
	run->incompatible = false;
	if (run->texts->n > 0)
	{
		MemoryContextReset(run->texts->context);
		run->texts->n = 0;
		run->texts->bytes = 0;
		memset(run->texts->buckets, 0, sizeof(run->texts->buckets));
	}
}

/* Runs the model for the rows whose inputs are in their slots. */
void
run_block(Run *run, int nrows)
{
	ModelRoot root;

	CHECK_FOR_INTERRUPTS();
	model_root(run->model, &root);
	model_step(run, root.step, 0, nrows);
}

/* Space for n doubles, until it is asked for again. */
double *
run_scratch(Run *run, Size n)
{
	if (n > run->nscratch)
	{
		if (run->scratch != NULL)
			pfree(run->scratch);
		run->nscratch = 0;
		run->scratch =
			MemoryContextAllocHuge(run->context, mul_size(n, sizeof(double)));
		run->nscratch = n;
	}
	return run->scratch;
}

/* Keeps a text that the dictionary does not have. */
static uint32
run_text_add(const Run *run, const char *text, Size size, uint32 bucket)
{
	RunTexts *texts = run->texts;
	char *copy;
	RunText *entry;

	texts->bytes += size + sizeof(RunText);
	if (texts->bytes > RUN_TEXT_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("texts that a model makes become too long"),
				 errdetail("Those of %d rows take more than %d MB.",
						   run->nrows, RUN_TEXT_BYTES / (1024 * 1024))));
	copy = MemoryContextAlloc(texts->context, size + 1);
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (texts->n == texts->size)
	{
		texts->size = Max(64, texts->size * 2);
		texts->texts =
			texts->texts == NULL
				? MemoryContextAlloc(run->context,
									 texts->size * sizeof(RunText))
				: repalloc(texts->texts, texts->size * sizeof(RunText));
	}
	entry = &texts->texts[texts->n++];
	entry->text = copy;
	entry->size = size;
	entry->next = texts->buckets[bucket];
	texts->buckets[bucket] = texts->n;
	return texts->n - 1;
}

/* The number of a text; equal texts have equal numbers. */
double
run_text(const Run *run, const char *text, Size size)
{
	RunTexts *texts = run->texts;
	int32 code = model_text_find(run->model, text, size);
	uint32 bucket;

	if (code >= 0)
		return code;
	bucket = model_text_hash(text, size) >> 24;
	for (uint32 i = texts->buckets[bucket]; i != 0;
		 i = texts->texts[i - 1].next)
		if (texts->texts[i - 1].size == size &&
			memcmp(texts->texts[i - 1].text, text, size) == 0)
			return (double) run->model->head->ntexts + (i - 1);
	return (double) run->model->head->ntexts +
		   run_text_add(run, text, size, bucket);
}

/* The text that has a number, not terminated; NULL if none has it. */
const char *
run_text_get(const Run *run, double code, Size *size)
{
	const ModelHead *head = run->model->head;

	*size = 0;
	if (!(code >= 0) || code != floor(code))
		return NULL;
	if (code < head->ntexts)
		return model_text(run->model, (uint32) code, size);
	code -= head->ntexts;
	if (code >= run->texts->n)
		return NULL;
	*size = run->texts->texts[(uint32) code].size;
	return run->texts->texts[(uint32) code].text;
}

/* Runs steps one after the other. */
static void
step_sequence(Run *run, const uint32 *args, int first, int n)
{
	uint32 count = args[0];

	for (uint32 i = 1; i <= count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		model_step(run, args[i], first, n);
	}
}

const ModelOp model_op_sequence = {"sequence", "*m", NULL, NULL,
								   step_sequence};

/* Puts the value of an expression into a slot. */
static void
step_set(Run *run, const uint32 *args, int first, int n)
{
	for (int i = first; i < first + n; i++)
	{
		double *row = run_row(run, i);

		row[args[0]] = model_eval(run, args[1], row);
	}
}

const ModelOp model_op_set = {"set", "sx", NULL, NULL, step_set};
