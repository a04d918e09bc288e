/*
 * Operations that expressions and predicates are lowered to, for those who
 * compile them.
 */
#ifndef IAROS_MODEL_EXPRESSION_H
#define IAROS_MODEL_EXPRESSION_H

#include "postgres.h"

#include "model/compile.h"

/* Deepest nesting of expressions, predicates and calls of functions. */
#define EXPRESSION_MAX_DEPTH 1000

/* What the op logic makes of its operands. */
typedef enum LogicKind
{
	LOGIC_AND,
	LOGIC_OR,
	LOGIC_XOR,
	LOGIC_SURROGATE, /* the first that is not missing */
	LOGIC_NOT,       /* of the first */
	LOGIC_MISSING,   /* any is missing */
	LOGIC_PRESENT    /* none is missing */
} LogicKind;

#define LOGIC_KINDS (LOGIC_PRESENT + 1)

/* How the op compare compares. */
typedef enum CompareKind
{
	COMPARE_EQUAL,
	COMPARE_NOT_EQUAL,
	COMPARE_LESS,
	COMPARE_LESS_EQUAL,
	COMPARE_GREATER,
	COMPARE_GREATER_EQUAL
} CompareKind;

#define COMPARE_KINDS (COMPARE_GREATER_EQUAL + 1)
#define COMPARE_TEXT 8 /* added to a kind: by the order of characters */

/* What the op member does beside looking a value up. */
#define MEMBER_NOT 1      /* is not in */
#define MEMBER_MISSING 2  /* a missing value is none of the list */
#define MEMBER_HAS_NONE 4 /* a missing value is in the list */

/* The value of an expression, which most often is a slot or a number. */
static inline double
expression_eval(const Run *run, uint32 at, const double *row)
{
	const uint32 *word = run->code + at;

	switch (CODE_OP(*word))
	{
		case OP_slot:
			return row[word[1]];
		case OP_number:
			return run->num[word[1]];
		default:
			return model_ops[CODE_OP(*word)]->eval(run, word + 1, row);
	}
}

static inline bool
type_is_number(FieldType type)
{
	return type.type == VALUE_DOUBLE || type.type == VALUE_FLOAT ||
		   type.type == VALUE_INTEGER;
}

/* operand.c */
extern Operand operand_make(uint32 at, FieldType type);
extern Operand operand_cheap(Compiler *c, Scope *scope, Operand value);
extern Operand operand_default(Compiler *c, XmlNode *node, Operand value,
							   const char *text);
extern FieldType type_common(FieldType left, FieldType right);

/* cast.c */
#define VALUE_FORMAT_SIZE 64
extern double cast_value(ValueType from, int from_year, ValueType to,
						 int to_year, double value);
extern int value_format(char *buffer, ValueType type, double value);

/* logic.c */
extern uint32 logic_emit(Compiler *c, LogicKind kind, const uint32 *operands,
						 uint32 n);
extern uint32 compare_emit(Compiler *c, int kind, uint32 left, uint32 right,
						   const double *order, uint32 norder);
extern uint32 member_emit(Compiler *c, uint32 flags, uint32 value,
						  double *values, uint32 n);
extern uint32 choose_emit(Compiler *c, uint32 test, uint32 yes, uint32 no);

/* The model around the body of a function. */
extern Scope *expression_model(Scope *scope);

/* norm.c, map.c, call.c: kinds of expressions. */
extern Operand norm_continuous_compile(Compiler *c, Scope *scope,
									   XmlNode *node);
extern Operand norm_discrete_compile(Compiler *c, Scope *scope, XmlNode *node);
extern Operand discretize_compile(Compiler *c, Scope *scope, XmlNode *node);
extern Operand map_compile(Compiler *c, Scope *scope, XmlNode *node);
extern Operand call_compile(Compiler *c, Scope *scope, XmlNode *node);

/* expression.c */
extern XmlNode *expression_among(XmlNode *node);
extern FieldType expression_written_type(XmlNode *node);
extern double expression_written_value(Compiler *c, const char *text,
									   FieldType type);

/* text_index.c */
extern Operand expression_text_index(Compiler *c, Scope *scope, XmlNode *node);

#endif /* IAROS_MODEL_EXPRESSION_H */
