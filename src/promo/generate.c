/* Generates codes by a rule, no two of one meaning. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/stream.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "promo/rule.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Most codes of a call. */
#define GENERATE_MAX 10000000

/* An odd number near 2^64 over the golden ratio. */
#define GENERATE_GOLDEN UINT64CONST(0x9E3779B97F4A7C15)

/*
 * Codes as they are asked for, one after the other. Where the rule has many
 * times as many codes as are wanted, they are drawn, and seen[], a hash table
 * of keys with 0 for none, tells those that came before. Where it has not,
 * order[] holds the numbers of all codes and is shuffled, a step a code.
 */
typedef struct CodeMaker
{
	PromoCodeRule *rule;
	PromoRandom random;
	uint64 at; /* codes made so far */
	uint64 space;
	uint64 *seen;
	int shift; /* of a hash to a slot */
	uint32 *order;
} CodeMaker;

typedef struct CodeRows
{
	CoreRows rows;
	CodeMaker *maker;
} CodeRows;

/* Begins with the first code. */
static void
maker_start(CodeMaker *maker)
{
	promo_random_rewind(&maker->random);
	maker->at = 0;
	if (maker->seen != NULL)
		memset(maker->seen, 0, sizeof(uint64) << (64 - maker->shift));
	for (uint32 i = 0; maker->order != NULL && i < maker->space; i++)
		maker->order[i] = i;
}

/* Raises an error unless so many codes can be made. */
static void
maker_check(const CodeMaker *maker, int32 n)
{
	if (n < 0 || n > GENERATE_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of codes \"%d\" is not from 0 to %d", n,
							   GENERATE_MAX)));
	if ((uint64) n > maker->space)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("rule has fewer than %d codes", n),
			 errdetail("Of codes that differ in more than look-alike "
					   "characters it has " UINT64_FORMAT ".%s",
					   maker->space,
					   maker->rule->check_at < 0
						   ? ""
						   : " The check character is of the same kind as the "
							 "random ones."),
			 errhint("Make \"length\" larger; a thousand times as many codes "
					 "as are wanted keep them from being guessed.")));
}

/* Prepares to make n codes of a rule. */
static CodeMaker *
maker_open(Jsonb *rule, int32 n, const NullableDatum *seed)
{
	CodeMaker *maker = palloc0(sizeof(CodeMaker));

	maker->rule = promo_rule_read(rule);
	maker->space = promo_rule_space(maker->rule);
	maker_check(maker, n);
	if (seed->isnull)
		promo_random_start(&maker->random);
	else
		promo_random_seed(&maker->random, DatumGetInt64(seed->value));
	if (maker->space / 2 < (uint64) n)
		maker->order = palloc_extended(Max(maker->space, 1) * sizeof(uint32),
									   MCXT_ALLOC_HUGE);
	else
	{
		/* At most three of four slots are used. */
		maker->shift = 60;
		while ((UINT64CONST(3) << (62 - maker->shift)) < (uint64) n)
			maker->shift--;
		maker->seen = palloc_extended(sizeof(uint64) << (64 - maker->shift),
									  MCXT_ALLOC_HUGE);
	}
	maker_start(maker);
	return maker;
}

/* Notes a code; false when one of its meaning came before. */
static bool
maker_note(CodeMaker *maker, const PromoCodeText *code)
{
	const PromoCodeRule *rule = maker->rule;
	uint64 mask = (UINT64CONST(1) << (64 - maker->shift)) - 1;
	uint64 key = 1;
	uint64 slot;

	/*
	 * Codes of one meaning have one key. Long codes may share a key by
	 * chance; then one of them is not used.
	 */
	for (int i = 0; i < rule->nplaces; i++)
		key = key * PROMO_CODE_CLASSES +
			  promo_code_class(code->data[rule->places[i].at]);
	key = Max(key, 1);
	slot = key * GENERATE_GOLDEN >> maker->shift;
	for (; maker->seen[slot] != 0; slot = (slot + 1) & mask)
		if (maker->seen[slot] == key)
			return false;
	maker->seen[slot] = key;
	return true;
}

/* Makes the next code. */
static void
maker_next(CodeMaker *maker, PromoCodeText *code)
{
	if (maker->order != NULL)
	{
		uint64 other =
			maker->at +
			promo_random_below(&maker->random, maker->space - maker->at);
		uint32 number = maker->order[other];

		maker->order[other] = maker->order[maker->at];
		maker->order[maker->at] = number;
		promo_rule_number(maker->rule, number, code);
	}
	else
		do
			promo_rule_draw(maker->rule, &maker->random, code);
		while (!maker_note(maker, code));
	maker->at++;
}

/* Returns code number i; quick when the one before was asked for last. */
static void
generate_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
			 bool *nulls)
{
	CodeMaker *maker = ((const CodeRows *) rows)->maker;
	PromoCodeText code;

	if (i < maker->at)
		maker_start(maker);
	do
	{
		if (maker->at % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		maker_next(maker, &code);
	} while (maker->at <= i);
	values[0] = PointerGetDatum(promo_code_make(&code));
	nulls[0] = false;
}

/* Opens promo_code_generate(). */
static CoreRows *
generate_open(TupleDesc desc, const NullableDatum *args)
{
	CodeRows *codes = palloc0(sizeof(CodeRows));

	codes->rows.get = generate_get;
	if (args[0].isnull || args[1].isnull)
		return &codes->rows;
	codes->rows.n = DatumGetInt32(args[1].value);
	codes->maker = maker_open(DatumGetJsonbP(args[0].value),
							  DatumGetInt32(args[1].value), &args[2]);
	return &codes->rows;
}

PG_FUNCTION_INFO_V1(promo_code_generate);

static const CoreStream generate_stream = {
	.name = "promo_code_generate",
	.function = promo_code_generate,
	.open = generate_open,
};

/*
 * SQL: promo_code_generate(rule jsonb, n integer, seed bigint), where the node
 * of streams does not stand
 */
Datum
promo_code_generate(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	CodeRows *codes;
	Datum value;
	bool isnull;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;

		context = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		context->user_fctx = generate_open(NULL, fcinfo->args);
		MemoryContextSwitchTo(caller);
	}
	context = SRF_PERCALL_SETUP();
	codes = context->user_fctx;
	if (context->call_cntr >= codes->rows.n)
		SRF_RETURN_DONE(context);
	generate_get(&codes->rows, context->call_cntr, NULL, &value, &isnull);
	SRF_RETURN_NEXT(context, value);
}

PG_FUNCTION_INFO_V1(promo_code_generate_support);

/*
 * SQL: promo_code_generate_support(internal), a planner support function: the
 * rows are as many as are asked for. Calling it also loads the library, and so
 * core/stream.c, before plans are made.
 */
Datum
promo_code_generate_support(PG_FUNCTION_ARGS)
{
	Node *node = (Node *) PG_GETARG_POINTER(0);
	SupportRequestRows *request = (SupportRequestRows *) node;
	Node *n;

	if (!IsA(node, SupportRequestRows) || !is_funcclause(request->node))
		PG_RETURN_POINTER(NULL);
	n = estimate_expression_value(request->root,
								  lsecond(((FuncExpr *) request->node)->args));
	if (!IsA(n, Const) || ((Const *) n)->constisnull)
		PG_RETURN_POINTER(NULL);
	request->rows = Max(DatumGetInt32(((Const *) n)->constvalue), 0);
	PG_RETURN_POINTER(request);
}

/* Makes the functions that return rows known to the node that runs them. */
void
promo_init(void)
{
	core_stream_register(&generate_stream);
}
