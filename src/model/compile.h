/*
 * From PMML to the compiled form.
 *
 * Each kind of model has a function model_compile_x() in a file of its own,
 * which adds steps to the scope it is given and tells in a Result where they
 * leave what they find. Inputs, Targets and Output are compiled around it.
 */
#ifndef IAROS_MODEL_COMPILE_H
#define IAROS_MODEL_COMPILE_H

#include "postgres.h"

#include "model/model.h"
#include "model/xml.h"

typedef enum OpType
{
	OPTYPE_CONTINUOUS,
	OPTYPE_CATEGORICAL,
	OPTYPE_ORDINAL
} OpType;

/* A type of PMML; year belongs to VALUE_DAYS_SINCE, VALUE_SECONDS_SINCE. */
typedef struct FieldType
{
	ValueType type;
	OpType optype;
	int year;
} FieldType;

/* operand.c: types as constants, and that of sums of so many bits. */
extern const FieldType type_double;
extern const FieldType type_float;
extern const FieldType type_text;
extern const FieldType type_boolean;

static inline FieldType
type_real(bool single)
{
	return single ? type_float : type_double;
}

/* What is known of a field before anybody uses it. */
typedef enum FieldState
{
	FIELD_READY,   /* its slot is set */
	FIELD_DERIVED, /* node is the DerivedField */
	FIELD_MINED,   /* node is the MiningField */
	FIELD_RUNNING  /* being compiled: asked again, it is a cycle */
} FieldState;

/* A field that expressions can name. */
typedef struct Field
{
	const char *name;
	FieldType type;
	uint32 slot;
	XmlNode *node;         /* where it is declared */
	int nvalues;           /* declared valid values, in order; 0 if none */
	double *values;        /* as slots hold them */
	struct Domain *domain; /* of a field of the dictionary, else NULL */
	FieldState state;
	struct Field *next;
} Field;

/* Fields by name. */
typedef struct FieldTable
{
	uint32 n;
	uint32 nbuckets;
	Field **buckets;
} FieldTable;

/* What an expression stands for. */
typedef struct Operand
{
	uint32 at; /* its record */
	FieldType type;
	bool cheap;    /* a number or a slot: may be evaluated many times */
	bool constant; /* a number, which is: */
	double value;
} Operand;

/* A parameter of a function, bound to what it is called with. */
typedef struct Parameter
{
	const char *name;
	Operand value;
	struct Parameter *next;
} Parameter;

/*
 * A model or a function's body: the fields it sees beside those of the
 * scopes around it, and the steps that run in it, in order.
 */
typedef struct Scope
{
	struct Scope *parent;
	XmlNode *node; /* the model */
	FieldTable fields;
	struct Parameter *parameters; /* of a function, else NULL */
	bool treats;                  /* its mining schema changes values */
	bool single;                  /* x-mathContext="float" */
	bool classifies;              /* functionName="classification" */
	Field *target;                /* NULL if it has none */
	int ntargets; /* more than one in models for several targets */
	Field **targets;
	FieldType predicts; /* type of the target, or what stands for it */
	Field *outputs;     /* fields of its Output, by next */
	struct SegmentResult *segments; /* of a MiningModel */
	uint32 nsteps;
	uint32 maxsteps;
	uint32 *steps;
} Scope;

/*
 * Where a model leaves what it finds. value is set by every model; the rest
 * is MODEL_NONE or 0 where the model does not have it.
 */
typedef struct Result
{
	FieldType type;     /* of the value */
	uint32 value;       /* slot: number, or label as the target's type */
	int nlabels;        /* of a classification, in the order of the model */
	double *labels;     /* as slots of the target's type hold them */
	uint32 probability; /* first of nlabels slots */
	uint32 confidence;  /* first of nlabels slots */
	int nentities;      /* clusters, neighbours' ranks, rules, nodes */
	double *entities;   /* their ids: texts */
	uint32 affinity;    /* first of nentities slots: of each entity */
	int nranked;        /* best entities, best first */
	uint32 entity;      /* first of max(1, nranked) slots: ids, texts */
	uint32 ranked;      /* first of nranked slots: their affinities */
	int nreasons;       /* reason codes, most important first */
	uint32 reason;      /* first of nreasons slots: texts */
	int ntargets;       /* of a model for several targets, else 0 */
	Field **targets;
	uint32 *target_slots;
	struct Result **target_results; /* or NULL, each or all */
	uint32 display; /* slot of what to show for the value, a text */
	uint32 segment; /* slot: id of the segment whose result it is, a text */
	bool passed;    /* it is a segment's: own Targets do not change it */
	uint32 nothing; /* slot: missing where no segment passed anything */
	bool list;      /* value is a text: a list of what segments found */
	/* Other outputs (ruleValue, support …): the record of an expression. */
	uint32 (*feature)(void *arg, XmlNode *output, FieldType *type);
	void *feature_arg;
} Result;

/* A segment of a MiningModel, for outputs that name it. */
typedef struct SegmentResult
{
	const char *id;
	Result *result;
	Scope *scope;
	struct SegmentResult *next;
} SegmentResult;

typedef struct Compiler
{
	XmlNode *root; /* PMML */
	int version;   /* 3.0 is 300, 4.4.1 is 441 */
	FieldTable dictionary;
	XmlNode *transformations; /* TransformationDictionary or NULL */
	Scope *top;
	uint32 ninputs;
	uint32 maxinputs;
	uint32 *inputs; /* words of ModelInput each, see layout.h */
	uint32 nslots;
	int depth;    /* of models and expressions inside each other */
	int expanded; /* bodies of functions put in where they are called */
	struct CodeBuffer *code;
	struct NumBuffer *num;
	struct NodeBuffer *nodes;
	struct TextTable *texts;
	struct TextRules *text_rules; /* of TextIndex elements */
	/* The record that is being written. */
	uint32 begun;
} Compiler;

typedef void (*ModelCompile)(Compiler *c, Scope *scope, XmlNode *node,
							 Result *result);

/* builder.c: writing records. Operands of a record are complete before it. */
extern void builder_init(Compiler *c);
extern void *builder_grow(void *array, uint32 n, uint32 more, uint32 *size,
						  Size element);
extern void code_begin(Compiler *c, ModelOpCode op);
extern void code_word(Compiler *c, uint32 word);
extern void code_num(Compiler *c, double value);         /* n */
extern void code_nums(Compiler *c, const double *values, /* N */
					  uint32 count);
extern void code_words(Compiler *c, const uint32 *words, /* *y of one word */
					   uint32 count);
extern uint32 code_end(Compiler *c);
extern uint32 builder_num(Compiler *c, double value);
extern uint32 builder_nums(Compiler *c, const double *values, uint32 count);
extern uint32 builder_text(Compiler *c, const char *text);
extern const char *builder_text_get(const Compiler *c, uint32 code);
extern uint32 builder_slots(Compiler *c, uint32 count);
extern uint32 builder_nodes(Compiler *c, uint32 count);
extern TreeNode *builder_node(Compiler *c, uint32 index);
extern struct varlena *builder_finish(Compiler *c, uint32 root);

/* compile.c: models and their scopes. */
extern uint32 compile_model(Compiler *c, Scope *parent, XmlNode *node,
							Result *result, Scope **scope_out);
extern XmlNode *compile_model_child(XmlNode *node);
extern void compile_input(Compiler *c, Field *field, uint32 flags);
extern void scope_step(Scope *scope, uint32 step);
extern uint32 scope_set(Compiler *c, Scope *scope, Operand value);
extern void scope_put(Compiler *c, Scope *scope, uint32 slot, uint32 at);
extern void result_init(Result *result);
extern void result_best(Compiler *c, Scope *scope, Result *result,
						uint32 slots, bool smallest);
extern double scope_label(Compiler *c, Scope *scope, XmlNode *node,
						  const char *text);

/* field.c: finding fields; a derived field is compiled when first found. */
extern Field *scope_field(Compiler *c, Scope *scope, XmlNode *node,
						  const char *name);
extern Field *scope_find(Compiler *c, Scope *scope, const char *name);
extern void field_add(FieldTable *table, Field *field);
extern Field *field_find(const FieldTable *table, const char *name);
extern void scope_derived(Scope *scope, XmlNode *transformations);

/* schema.c: the data dictionary and mining schemas. */
extern void schema_dictionary(Compiler *c, XmlNode *dictionary);
extern void schema_mining(Compiler *c, Scope *scope, XmlNode *schema);
extern void schema_use(Compiler *c, Scope *scope, Field *field);

/* value.c: types, values, arrays. */
extern FieldType type_parse(XmlNode *node, FieldType missing);
extern bool type_try(const char *name, FieldType *type);
extern bool value_from_text(const char *text, ValueType type, int year,
							double *value);
extern double value_parse(Compiler *c, XmlNode *node, const char *text,
						  FieldType type);
extern bool value_try(Compiler *c, const char *text, FieldType type,
					  double *value);
extern char **value_words(XmlNode *array, int *n);
extern double *value_array(Compiler *c, XmlNode *array, FieldType type,
						   int *n);
extern double *value_numbers(XmlNode *array, int *n);

/* target.c, output.c: what surrounds a model. */
extern XmlNode *target_find(Scope *scope, XmlNode *targets);
extern void target_compile(Compiler *c, Scope *scope, XmlNode *targets,
						   Result *result);
extern void output_compile(Compiler *c, Scope *scope, XmlNode *output,
						   Result *result);

/* expression.c, predicate.c: the first for any expression element. */
extern Operand expression_compile(Compiler *c, Scope *scope, XmlNode *node);
extern XmlNode *expression_child(XmlNode *node);
extern Operand expression_number(Compiler *c, double value, FieldType type);
extern Operand expression_slot(Compiler *c, uint32 slot, FieldType type);
extern Operand expression_field(Compiler *c, Scope *scope, XmlNode *node,
								const char *name);
extern Operand expression_cast(Compiler *c, Operand value, FieldType type);
extern Operand expression_apply(Compiler *c, XmlNode *node,
								const char *function, Operand *args, int n);
extern XmlNode *predicate_child(XmlNode *node);
extern uint32 predicate_compile(Compiler *c, Scope *scope, XmlNode *node);
extern bool predicate_is_true(XmlNode *node);
extern double predicate_value(Compiler *c, XmlNode *node, const Field *field,
							  const char *text);

/* The kinds of models. */
extern void model_compile_tree(Compiler *c, Scope *scope, XmlNode *node,
							   Result *result);
extern void model_compile_regression(Compiler *c, Scope *scope, XmlNode *node,
									 Result *result);
extern void model_compile_general(Compiler *c, Scope *scope, XmlNode *node,
								  Result *result);
extern void model_compile_mining(Compiler *c, Scope *scope, XmlNode *node,
								 Result *result);
extern void model_compile_network(Compiler *c, Scope *scope, XmlNode *node,
								  Result *result);
extern void model_compile_bayes(Compiler *c, Scope *scope, XmlNode *node,
								Result *result);
extern void model_compile_scorecard(Compiler *c, Scope *scope, XmlNode *node,
									Result *result);
extern void model_compile_cluster(Compiler *c, Scope *scope, XmlNode *node,
								  Result *result);
extern void model_compile_svm(Compiler *c, Scope *scope, XmlNode *node,
							  Result *result);
extern void model_compile_neighbor(Compiler *c, Scope *scope, XmlNode *node,
								   Result *result);
extern void model_compile_ruleset(Compiler *c, Scope *scope, XmlNode *node,
								  Result *result);
extern void model_compile_association(Compiler *c, Scope *scope, XmlNode *node,
									  Result *result);

#endif /* IAROS_MODEL_COMPILE_H */
