/*
 * The compiled form: where its parts are, and checking one that comes from
 * outside. Each record is checked by the signature of its operation, and by
 * the operation itself where a signature cannot say it.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/layout.h"

/* What the records of an operation are. */
typedef enum RecordKind
{
	RECORD_NONE,
	RECORD_EXPRESSION,
	RECORD_STEP,
	RECORD_ROOT
} RecordKind;

/*
 * Work that one row may cost, in records that are evaluated, before a form
 * is refused: a compiled model evaluates each of its records a few times.
 */
#define CHECK_MAX_COST 1e8

/* Deepest nesting of records. */
#define CHECK_MAX_DEPTH 5000

typedef struct Check
{
	Model model;
	uint8 *kind;   /* of the record that begins at a word */
	float *cost;   /* of evaluating it once */
	uint16 *depth; /* of the records inside it */
	double sum;    /* cost of the record that is looked at */
	int deepest;
} Check;

/* Refuses a compiled form. */
static void
check_fail(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid compiled model"), errdetail("%s", what)));
}

/* Bytes of a form with such a head; 0 when it cannot be. */
Size
model_size(const ModelHead *head)
{
	uint64 size = MAXALIGN(sizeof(ModelHead));

	size += (uint64) head->nnum * sizeof(double);
	size += (uint64) head->nnodes * sizeof(TreeNode);
	size += MAXALIGN((uint64) head->ncode * sizeof(uint32));
	size += MAXALIGN(((uint64) head->ntexts + 1) * sizeof(uint32));
	size += MAXALIGN((uint64) head->nbuckets * sizeof(uint32));
	size += head->nbytes;
	return (Size) size;
}

/* Finds the parts of a compiled form. */
void
model_view(Model *model, const void *compiled)
{
	const ModelHead *head = compiled;
	const void *at = (const char *) compiled + MAXALIGN(sizeof(ModelHead));

	model->head = head;
	model->num = at;
	at = model->num + head->nnum;
	model->nodes = at;
	at = model->nodes + head->nnodes;
	model->code = at;
	at = (const char *) at + MAXALIGN(head->ncode * sizeof(uint32));
	model->text_at = at;
	at = (const char *) at +
		 MAXALIGN(((Size) head->ntexts + 1) * sizeof(uint32));
	model->buckets = at;
	at = (const char *) at + MAXALIGN(head->nbuckets * sizeof(uint32));
	model->text = at;
}

/* The hash by which texts are found in the dictionary. */
uint32
model_text_hash(const char *text, Size size)
{
	return hash_bytes((const unsigned char *) text, (int) size);
}

/* The hash of what follows the hash: the first 16 bytes of its SHA-256. */
void
model_hash(const ModelHead *head, uint8 *hash)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	Size skip = offsetof(ModelHead, nnum);

	if (pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) head + skip,
							 VARSIZE(head) - skip) < 0 ||
		pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
	{
		pg_cryptohash_free(ctx);
		elog(ERROR, "could not compute a SHA-256 hash");
	}
	pg_cryptohash_free(ctx);
	memcpy(hash, digest, sizeof(head->hash));
}

/* The number of a text in the dictionary, -1 if it is not there. */
int32
model_text_find(const Model *model, const char *text, Size size)
{
	uint32 mask = model->head->nbuckets - 1;
	uint32 at = model_text_hash(text, size) & mask;

	for (; model->buckets[at] != 0; at = (at + 1) & mask)
	{
		uint32 code = model->buckets[at] - 1;
		uint32 start = model->text_at[code];

		if (model->text_at[code + 1] - start == size &&
			memcmp(model->text + start, text, size) == 0)
			return (int32) code;
	}
	return -1;
}

/* A text of the dictionary, not terminated. */
const char *
model_text(const Model *model, uint32 code, Size *size)
{
	*size = model->text_at[code + 1] - model->text_at[code];
	return model->text + model->text_at[code];
}

/* A text of a model in the encoding of the database, terminated. */
char *
model_server_text(const char *text, Size size)
{
	return pg_any_to_server(pnstrdup(text, size), (int) size, PG_UTF8);
}

/* A text of the dictionary in the encoding of the database, terminated. */
char *
model_name(const Model *model, uint32 code)
{
	Size size;
	const char *text = model_text(model, code, &size);

	return model_server_text(text, size);
}

/* Reads the record of the whole. */
void
model_root(const Model *model, ModelRoot *root)
{
	const uint32 *at = model->code + model->head->root + 1;

	root->name = at[0];
	root->element = at[1];
	root->function = at[2];
	root->step = at[3];
	root->value = at[4];
	root->value_type = at[5];
	root->value_year = at[6];
	root->nlabels = at[8];
	root->labels = model->num + at[7];
	root->probability = at[9];
	root->positive = at[11];
	root->ninputs = at[12];
	root->inputs = (const ModelInput *) (at + 13);
	at += 13 + root->ninputs * MODEL_INPUT_WORDS;
	root->noutputs = at[0];
	root->outputs = (const ModelOutput *) (at + 1);
}

/* Types and the range of probabilities cannot be told by a signature. */
static bool
check_model(const Model *model, const uint32 *args)
{
	ModelRoot root;

	model_root(model, &root);
	if (root.value_type >= VALUE_TYPES || root.value_year > MODEL_MAX_YEAR)
		return false;
	/* args[10] is the number of slots of probabilities. */
	if (args[10] != root.nlabels || root.positive > root.nlabels ||
		(root.nlabels > 0 && root.positive == root.nlabels))
		return false;
	for (uint32 i = 0; i < root.ninputs; i++)
		if (root.inputs[i].type >= VALUE_TYPES ||
			root.inputs[i].year > MODEL_MAX_YEAR)
			return false;
	for (uint32 i = 0; i < root.noutputs; i++)
		if (root.outputs[i].type >= VALUE_TYPES ||
			root.outputs[i].year > MODEL_MAX_YEAR)
			return false;
	return true;
}

const ModelOp model_op_model = {"model", "tttmsiiNSi*(tsiii)*(tsiii)",
								check_model, NULL, NULL};

/* Notes that the record looked at contains one that costs so much. */
static void
check_contains(Check *check, uint32 at)
{
	check->sum += check->cost[at];
	check->deepest = Max(check->deepest, check->depth[at]);
}

/* Tells whether a word refers to an earlier record of a kind. */
static bool
check_record(Check *check, uint32 word, uint32 before, RecordKind kind)
{
	if (word >= before || check->kind[word] != kind)
		return false;
	check_contains(check, word);
	return true;
}

/* Tells whether two words are a range inside so many elements. */
static bool
check_range(const uint32 *at, uint32 n)
{
	return at[0] <= n && at[1] <= n - at[0];
}

/* Checks one operand; returns its words, 0 when it is wrong. */
static uint32
check_operand(Check *check, char letter, const uint32 *at, const uint32 *end,
			  uint32 record)
{
	const ModelHead *head = check->model.head;
	bool ok = false;

	if (at >= end)
		return 0;
	switch (letter)
	{
		case 'i':
			ok = true;
			break;
		case 's':
			ok = *at < head->nslots;
			break;
		case 't':
			ok = *at < head->ntexts;
			break;
		case 'n':
			ok = *at < head->nnum;
			break;
		case 'T':
			ok = *at > 0 && *at < head->nnodes;
			break;
		case 'x':
			ok = check_record(check, *at, record, RECORD_EXPRESSION);
			break;
		case 'm':
			ok = check_record(check, *at, record, RECORD_STEP);
			break;
		case 'N':
		case 'S':
			ok = at + 2 <= end &&
				 check_range(at, letter == 'N' ? head->nnum : head->nslots);
			/* A record may run through what it names. */
			check->sum += ok ? at[1] : 0;
			return ok ? 2 : 0;
	}
	return ok ? 1 : 0;
}

static uint32 check_operands(Check *check, const char *from, const char *to,
							 const uint32 *at, const uint32 *end,
							 uint32 record);

/* Checks a list: its number, then the operands that from to to describe. */
static uint32
check_list(Check *check, const char *from, const char *to, const uint32 *at,
		   const uint32 *end, uint32 record)
{
	const uint32 *start = at;
	uint32 n;

	if (at >= end)
		return 0;
	n = *at++;
	if (n > (uint32) (end - at))
		return 0;
	for (uint32 i = 0; i < n; i++)
	{
		uint32 words = check_operands(check, from, to, at, end, record);

		if (words == 0)
			return 0;
		at += words;
	}
	return (uint32) (at - start);
}

/* Checks the operands that a part of a signature describes. */
static uint32
check_operands(Check *check, const char *from, const char *to,
			   const uint32 *at, const uint32 *end, uint32 record)
{
	const uint32 *start = at;

	while (from < to)
	{
		uint32 words;

		if (*from == '*')
		{
			const char *item = ++from;
			const char *after = item + 1;

			if (*item == '(')
			{
				item++;
				after = item + strcspn(item, ")");
			}
			words = check_list(check, item, after, at, end, record);
			from = after + (*after == ')');
		}
		else if (*from == '?')
		{
			words = at < end && *at == MODEL_NONE
						? 1
						: check_operand(check, from[1], at, end, record);
			from += 2;
		}
		else
			words = check_operand(check, *from++, at, end, record);
		if (words == 0)
			return 0;
		at += words;
	}
	return (uint32) (at - start);
}

/* Checks the record at a position; returns its words. */
static uint32
check_one(Check *check, uint32 record)
{
	const ModelHead *head = check->model.head;
	const uint32 *at = check->model.code + record;
	uint32 words = CODE_WORDS(*at);
	const ModelOp *op;

	if (CODE_OP(*at) >= OP_COUNT || words == 0 || words > head->ncode - record)
		check_fail("A record has no operation or goes beyond the end.");
	op = model_ops[CODE_OP(*at)];
	check->sum = words;
	check->deepest = 0;
	if (check_operands(check, op->signature,
					   op->signature + strlen(op->signature), at + 1,
					   at + words, record) != words - 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid compiled model"),
						errdetail("A record \"%s\" is wrong.", op->name)));
	check->kind[record] = op->eval != NULL   ? RECORD_EXPRESSION
						  : op->step != NULL ? RECORD_STEP
											 : RECORD_ROOT;
	check->cost[record] = check->sum;
	check->depth[record] = check->deepest + 1;
	if (check->sum > CHECK_MAX_COST || check->deepest >= CHECK_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model would take too long for a row"),
				 errdetail("Its parts refer to each other too often or too "
						   "deep.")));
	return words;
}

/* Checks what operations themselves know of their records. */
static void
check_meaning(const Model *model)
{
	for (uint32 record = 0; record < model->head->ncode;)
	{
		const uint32 *at = model->code + record;
		const ModelOp *op = model_ops[CODE_OP(*at)];

		CHECK_FOR_INTERRUPTS();
		if (op->check != NULL && !op->check(model, at + 1))
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("invalid compiled model"),
							errdetail("A record \"%s\" is wrong.", op->name)));
		record += CODE_WORDS(*at);
	}
}

/* Checks the records, and that the root is one. */
static void
check_code(const Model *model)
{
	const ModelHead *head = model->head;
	Check check = {.model = *model};

	check.kind = palloc0(head->ncode);
	check.cost = palloc0(head->ncode * sizeof(float));
	check.depth = palloc0(head->ncode * sizeof(uint16));
	for (uint32 record = 0; record < head->ncode;)
	{
		CHECK_FOR_INTERRUPTS();
		record += check_one(&check, record);
	}
	if (head->root >= head->ncode || check.kind[head->root] != RECORD_ROOT)
		check_fail("It has no root.");
	pfree(check.kind);
	pfree(check.cost);
	pfree(check.depth);
	check_meaning(model);
}

/* Checks the dictionary: each text valid, once, and found by its hash. */
static void
check_texts(const Model *model)
{
	const ModelHead *head = model->head;
	uint32 used = 0;

	if (head->nbuckets == 0 || (head->nbuckets & (head->nbuckets - 1)) != 0 ||
		head->ntexts >= head->nbuckets)
		check_fail("Its dictionary has a wrong size.");
	if (model->text_at[0] != 0 || model->text_at[head->ntexts] != head->nbytes)
		check_fail("Its dictionary has wrong bounds.");
	for (uint32 i = 0; i < head->ntexts; i++)
		if (model->text_at[i] > model->text_at[i + 1] ||
			model->text_at[i + 1] > head->nbytes)
			check_fail("Its dictionary has wrong bounds.");
	for (uint32 i = 0; i < head->nbuckets; i++)
	{
		if (model->buckets[i] > head->ntexts)
			check_fail("Its dictionary has a wrong bucket.");
		used += model->buckets[i] != 0;
	}
	if (used != head->ntexts)
		check_fail("Its dictionary has a wrong bucket.");
	for (uint32 i = 0; i < head->ntexts; i++)
	{
		Size size;
		const char *text = model_text(model, i, &size);

		CHECK_FOR_INTERRUPTS();
		if (!pg_verify_mbstr(PG_UTF8, text, (int) size, true) ||
			model_text_find(model, text, size) != (int32) i)
			check_fail("Its dictionary has a wrong text.");
	}
}

/* Raises an error unless a compiled form was made for this library. */
void
model_check_layout(const void *compiled)
{
	const ModelHead *head = compiled;

	if (head->layout != MODEL_LAYOUT)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("compiled model has layout %u, not %u", head->layout,
					MODEL_LAYOUT),
			 errhint("Compile the PMML again with model_compile(); "
					 "UPDATE iaros.model_version SET pmml = pmml does that "
					 "for models that are stored.")));
}

/*
 * Raises an error unless a compiled form can be run safely. A form of another
 * layout passes when it is whole, so that a dump of an older version can be
 * restored; it is refused when it is used.
 */
void
model_check(const void *compiled, Size size)
{
	const ModelHead *head = compiled;
	uint8 hash[sizeof(head->hash)];
	Model model;

	if (size < MAXALIGN(sizeof(ModelHead)) || size > MODEL_MAX_SIZE ||
		VARSIZE(head) != size)
		check_fail("Its size is wrong.");
	model_hash(head, hash);
	if (memcmp(hash, head->hash, sizeof(hash)) != 0)
		check_fail("Its hash is wrong.");
	if (head->layout != MODEL_LAYOUT)
		return;
	if (model_size(head) != size)
		check_fail("Its size is wrong.");
	if (head->nslots > MODEL_MAX_SLOTS || head->nnodes == 0)
		check_fail("Its head is wrong.");
	model_view(&model, head);
	check_texts(&model);
	check_code(&model);
}
