/* General regression: what its compiler and its operations share. */
#ifndef IAROS_MODEL_GENERAL_H
#define IAROS_MODEL_GENERAL_H

#include "postgres.h"

#include "model/compile.h"

/* What a predictor of a term contributes. */
typedef enum GeneralTerm
{
	TERM_FACTOR,    /* 1 when the value is the number, else 0 */
	TERM_CONTRAST,  /* pairs of a value and what stands for it */
	TERM_COVARIATE, /* the value */
	TERM_POWER      /* the value to the power of the number */
} GeneralTerm;

/* Functions whose inverse makes a prediction of the linear predictor. */
typedef enum GeneralLink
{
	GENERAL_LINK_NONE, /* and no offset and trials either */
	GENERAL_LINK_IDENTITY,
	GENERAL_LINK_LOG,
	GENERAL_LINK_LOGC,
	GENERAL_LINK_LOGIT,
	GENERAL_LINK_LOGLOG,
	GENERAL_LINK_CLOGLOG,
	GENERAL_LINK_PROBIT,
	GENERAL_LINK_CAUCHIT,
	GENERAL_LINK_NEGBIN,
	GENERAL_LINK_ODDSPOWER,
	GENERAL_LINK_POWER
} GeneralLink;

/* How probabilities follow from what was found for all labels but the last. */
typedef enum GeneralClass
{
	CLASS_COMPLEMENT,  /* the last is what the one before leaves */
	CLASS_MULTINOMIAL, /* logits; the last is 0 */
	CLASS_CUMULATIVE   /* sums of probabilities; the last is 1 */
} GeneralClass;

typedef enum GeneralType
{
	GENERAL_REGRESSION,
	GENERAL_LINEAR,
	GENERAL_GENERALIZED,
	GENERAL_MULTINOMIAL,
	GENERAL_ORDINAL,
	GENERAL_COX
} GeneralType;

/* A factor or a covariate. */
typedef struct Predictor
{
	const char *name;
	XmlNode *node;
	bool factor;
	Field *field;
	int ncategories; /* of a contrast matrix, which is row by row */
	XmlNode **categories;
	int ncolumns;
	double *entries;
} Predictor;

/* PCell, or PPCell with a predictor; label is missing if it is for all. */
typedef struct Cell
{
	XmlNode *node;
	const char *parameter;
	double label;
	double beta;
	Predictor *predictor;
	int order;
} Cell;

typedef struct General
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	GeneralType type;
	int npredictors;
	Predictor *predictors;
	int ncells;
	Cell *cells; /* as in the document */
	int nterms;
	Cell *terms; /* by parameter; factors first */
	uint32 link;
	double number;
	uint32 offset;
	uint32 trials;
} General;

/* general.c */
extern void general_fail(XmlNode *node, const char *what);
extern Operand general_number(General *g, const char *name);
extern int general_cells_count(const Cell *cells, int n, double label);
extern uint32 general_sum(General *g, double label, bool own, bool common);
extern uint32 general_sum_all(General *g);

/* general_class.c */
extern void general_class(General *g, Result *result);
extern Operand general_hazard(General *g);

#endif /* IAROS_MODEL_GENERAL_H */
