/* Scorecard: points for the first attribute of each characteristic. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/compile.h"
#include "model/model.h"

/*
 * Operands. Attributes follow where each characteristic ends, four words
 * each: predicate, points, reason, points of the baseline; then the reasons.
 * Working slots are two for each characteristic: the number of its reason,
 * and what its points differ from the baseline.
 */
enum
{
	CARD_FLAGS,
	CARD_VALUE,
	CARD_INITIAL,
	CARD_REASON, /* first slot of reasons told, and how many */
	CARD_NREASON,
	CARD_WORK,
	CARD_NWORK,
	CARD_ENDS, /* number of characteristics, then they */
	CARD_HEAD
};

#define CARD_SINGLE 1
#define CARD_ABOVE 2
#define CARD_REASONS 4

/* Where the parts of a record are. */
typedef struct Card
{
	const uint32 *args;
	uint32 nends;
	const uint32 *ends;
	uint32 nattributes;
	const uint32 *attributes;
	uint32 nreasons;
	const uint32 *reasons;
} Card;

/* Finds the parts of a record. */
static Card
card_view(const uint32 *args)
{
	Card card;

	card.args = args;
	card.nends = args[CARD_ENDS];
	card.ends = args + CARD_HEAD;
	card.nattributes = card.ends[card.nends];
	card.attributes = card.ends + card.nends + 1;
	card.nreasons = card.attributes[4 * card.nattributes];
	card.reasons = card.attributes + 4 * card.nattributes + 1;
	return card;
}

/* Attributes are in order; reasons and slots are those that there are. */
static bool
check_scorecard(const Model *model, const uint32 *args)
{
	Card card = card_view(args);
	uint32 from = 0;

	for (uint32 i = 0; i < card.nends; from = card.ends[i++])
		if (card.ends[i] < from || card.ends[i] > card.nattributes)
			return false;
	if (from != card.nattributes)
		return false;
	if ((args[CARD_FLAGS] & CARD_REASONS) == 0)
		return true;
	for (uint32 i = 0; i < card.nattributes; i++)
		if (card.attributes[4 * i + 2] >= card.nreasons)
			return false;
	return args[CARD_NWORK] / 2 >= card.nends;
}

/*
 * The points of a characteristic, missing if no attribute holds or the points
 * of the one that does are missing; what the reason needs goes into work.
 */
static double
card_points(const Run *run, const Card *card, uint32 i, double *row,
			double *work)
{
	uint32 flags = card->args[CARD_FLAGS];
	uint32 from = i == 0 ? 0 : card->ends[i - 1];

	for (uint32 at = from; at < card->ends[i]; at++)
	{
		const uint32 *attribute = card->attributes + 4 * at;
		double points;
		double baseline;

		if (model_eval(run, attribute[0], row) != 1)
			continue;
		points = model_eval(run, attribute[1], row);
		if ((flags & CARD_REASONS) == 0)
			return points;
		baseline = run->num[attribute[3]];
		work[0] = attribute[2];
		work[1] =
			(flags & CARD_ABOVE) != 0 ? points - baseline : baseline - points;
		return points;
	}
	return NAN;
}

/*
 * Sums what each reason differs from the baseline, and tells the order in
 * which reasons came up. Returns how many did.
 */
static uint32
card_sums(const Card *card, const double *work, double *sums, double *order)
{
	bool single = (card->args[CARD_FLAGS] & CARD_SINGLE) != 0;
	uint32 n = 0;

	for (uint32 i = 0; i < card->nreasons; i++)
		sums[i] = NAN;
	for (uint32 i = 0; i < card->nends; i++, work += 2)
	{
		double points = model_round(work[1], single);
		uint32 reason;

		/* In a form from outside, slots may be those of something else. */
		if (!(work[0] >= 0 && work[0] < card->nreasons))
			continue;
		reason = (uint32) work[0];
		if (isnan(sums[reason]))
			order[n++] = reason;
		else
			points = model_round(sums[reason] + points, single);
		sums[reason] = isnan(points) ? 0 : points;
	}
	return n;
}

/*
 * Ranks the reasons of a row by their sums; equal ones keep the order in
 * which they came up. Those below 0 are not told.
 */
static void
card_rank(Run *run, const Card *card, double *row)
{
	const uint32 *args = card->args;
	double *sums = run_scratch(run, 2 * (Size) card->nreasons);
	double *order = sums + card->nreasons;
	uint32 n = card_sums(card, row + args[CARD_WORK], sums, order);
	uint32 told = 0;

	for (uint32 i = 0; i < n; i++)
	{
		double reason = order[i];
		double points = sums[(uint32) reason];
		uint32 at;

		CHECK_FOR_INTERRUPTS();
		if (points < 0)
			continue;
		for (at = told; at > 0 && sums[(uint32) order[at - 1]] < points; at--)
			order[at] = order[at - 1];
		order[at] = reason;
		told++;
	}
	for (uint32 i = 0; i < args[CARD_NREASON] && i < told; i++)
		row[args[CARD_REASON] + i] = card->reasons[(uint32) order[i]];
}

/* Scores one row; false if it has no result. */
static bool
card_row(Run *run, const Card *card, double *row)
{
	const uint32 *args = card->args;
	bool single = (args[CARD_FLAGS] & CARD_SINGLE) != 0;
	bool reasons = (args[CARD_FLAGS] & CARD_REASONS) != 0;
	double score = model_round(run->num[args[CARD_INITIAL]], single);

	row[args[CARD_VALUE]] = NAN;
	for (uint32 i = 0; i < args[CARD_NREASON]; i++)
		row[args[CARD_REASON] + i] = NAN;
	for (uint32 i = 0; i < card->nends; i++)
	{
		double points = card_points(
			run, card, i, row, reasons ? row + args[CARD_WORK] + 2 * i : NULL);

		if (isnan(points))
			return false;
		score = model_round(score + model_round(points, single), single);
	}
	row[args[CARD_VALUE]] = score;
	if (reasons)
		card_rank(run, card, row);
	return true;
}

/* Scores rows. */
static void
step_scorecard(Run *run, const uint32 *args, int first, int n)
{
	Card card = card_view(args);

	for (int i = first; i < first + n; i++)
		if (!card_row(run, &card, run_row(run, i)))
			run->invalid[i] = true;
}

const ModelOp model_op_scorecard = {"scorecard", "isnSS*i*(xxin)*t",
									check_scorecard, NULL, step_scorecard};

/* A scorecard that is being compiled. */
typedef struct CardBuilder
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	double baseline;
	bool reasons; /* all that they need is there */
	uint32 nends;
	uint32 *ends;
	uint32 nattributes;
	uint32 maxattributes;
	uint32 *attributes;
	uint32 nreasons;
	uint32 maxreasons;
	uint32 *texts;
} CardBuilder;

/* The number of a reason, which is added when it is new. */
static uint32
card_reason(CardBuilder *b, const char *text)
{
	uint32 code = builder_text(b->c, text);

	CHECK_FOR_INTERRUPTS();
	for (uint32 i = b->nreasons; i > 0; i--)
		if (b->texts[i - 1] == code)
			return i - 1;
	b->texts =
		builder_grow(b->texts, b->nreasons, 1, &b->maxreasons, sizeof(uint32));
	b->texts[b->nreasons] = code;
	return b->nreasons++;
}

/* The points of an attribute: an expression, or else a number. */
static uint32
card_score(CardBuilder *b, XmlNode *node)
{
	XmlNode *child = xml_child(node, "ComplexPartialScore");
	Operand score;

	xml_attr(node, "partialScore");
	if (child == NULL)
		return expression_number(b->c, xml_need_number(node, "partialScore"),
								 type_double)
			.at;
	node = expression_child(child);
	if (node == NULL)
		xml_fail(child, ERRCODE_INVALID_PARAMETER_VALUE,
				 "ComplexPartialScore has no expression");
	score = expression_compile(b->c, b->scope, node);
	if (score.type.type > VALUE_INTEGER)
		score = expression_cast(b->c, score, type_double);
	return score.at;
}

/* Compiles an attribute. */
static void
card_attribute(CardBuilder *b, XmlNode *node, const char *reason,
			   double baseline)
{
	XmlNode *test = predicate_child(node);
	const char *own = xml_attr(node, "reasonCode");
	uint32 words[4];

	if (test == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "attribute has no predicate");
	if (own != NULL)
		reason = own;
	words[0] = predicate_compile(b->c, b->scope, test);
	words[1] = card_score(b, node);
	words[2] = reason == NULL ? 0 : card_reason(b, reason);
	words[3] = builder_num(b->c, baseline);
	if (reason == NULL || isnan(baseline))
		b->reasons = false;
	b->attributes = builder_grow(b->attributes, b->nattributes, 1,
								 &b->maxattributes, sizeof(words));
	memcpy(b->attributes + 4 * (Size) b->nattributes++, words, sizeof(words));
}

/* Compiles the characteristics. */
static void
card_characteristics(CardBuilder *b)
{
	XmlNode *list = xml_need_child(b->node, "Characteristics");
	XmlNode *node = xml_need_child(list, "Characteristic");

	b->ends =
		palloc(mul_size(xml_children(list, "Characteristic"), sizeof(uint32)));
	for (; node != NULL; node = xml_next(node, "Characteristic"))
	{
		const char *reason = xml_attr(node, "reasonCode");
		double baseline = xml_number(node, "baselineScore", b->baseline);

		xml_attr(node, "name");
		for (XmlNode *attribute = xml_need_child(node, "Attribute");
			 attribute != NULL; attribute = xml_next(attribute, "Attribute"))
			card_attribute(b, attribute, reason, baseline);
		b->ends[b->nends++] = b->nattributes;
	}
}

/* Writes the record. */
static void
card_write(CardBuilder *b, Result *result, uint32 flags)
{
	Compiler *c = b->c;
	double initial = xml_number(b->node, "initialScore", 0);
	uint32 nwork = b->reasons ? 2 * b->nends : 0;
	uint32 work = b->reasons ? builder_slots(c, nwork) : 0;

	code_begin(c, OP_scorecard);
	code_word(c, flags);
	code_word(c, result->value);
	code_num(c, initial);
	code_word(c, b->reasons ? result->reason : 0);
	code_word(c, result->nreasons);
	code_word(c, work);
	code_word(c, nwork);
	code_words(c, b->ends, b->nends);
	code_word(c, b->nattributes);
	for (uint32 i = 0; i < 4 * b->nattributes; i++)
		code_word(c, b->attributes[i]);
	code_words(c, b->texts, b->reasons ? b->nreasons : 0);
	scope_step(b->scope, code_end(c));
}

/* Compiles a scorecard. */
void
model_compile_scorecard(Compiler *c, Scope *scope, XmlNode *node,
						Result *result)
{
	CardBuilder b = {c, scope, node};
	bool above = xml_choice(node, "reasonCodeAlgorithm",
							"pointsBelow|pointsAbove", 0) == 1;
	uint32 flags = scope->single ? CARD_SINGLE : 0;

	if (scope->classifies)
		xml_unsupported(node, "functionName", "classification");
	b.baseline = xml_number(node, "baselineScore", NAN);
	b.reasons = xml_flag(node, "useReasonCodes", true);
	xml_attr(node, "baselineMethod");
	card_characteristics(&b);
	result->type = type_real(scope->single);
	result->value = builder_slots(c, 1);
	if (b.reasons)
	{
		flags |= CARD_REASONS | (above ? CARD_ABOVE : 0);
		result->nreasons = Min(b.nreasons, b.nends);
		result->reason = builder_slots(c, result->nreasons);
	}
	card_write(&b, result, flags);
}
