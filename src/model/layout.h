/* The layout of the compiled form, for those who write and check it. */
#ifndef IAROS_MODEL_LAYOUT_H
#define IAROS_MODEL_LAYOUT_H

#include "model/model.h"

/* Largest compiled form, and most slots of a row. */
#define MODEL_MAX_SIZE (512 * 1024 * 1024)
#define MODEL_MAX_SLOTS 1000000

extern Size model_size(const ModelHead *head);
extern uint32 model_text_hash(const char *text, Size size);
extern void model_hash(const ModelHead *head, uint8 *hash);
extern void model_check_layout(const void *compiled);
extern void model_check(const void *compiled, Size size);

/* Parts of a record of the kind OP_model, which describes the whole. */
typedef struct ModelInput
{
	uint32 name; /* text */
	uint32 slot;
	uint32 type; /* ValueType */
	uint32 year;
	uint32 flags; /* MODEL_INPUT_* */
} ModelInput;

#define MODEL_INPUT_WORDS 5
#define MODEL_INPUT_LABEL 0x01 /* only residuals ask for it */

typedef struct ModelOutput
{
	uint32 name;
	uint32 slot;
	uint32 type;
	uint32 year;
	uint32 flags; /* MODEL_OUTPUT_* */
} ModelOutput;

#define MODEL_OUTPUT_WORDS 5
#define MODEL_OUTPUT_TARGET 0x01
#define MODEL_OUTPUT_LIST 0x02 /* the text is a list, see inputs */

/* The record of the whole, as its operands lie one after the other. */
typedef struct ModelRoot
{
	uint32 name;     /* text: modelName, or "" */
	uint32 element;  /* text: TreeModel … */
	uint32 function; /* text: classification … */
	uint32 step;
	uint32 value;      /* slot of the predicted value */
	uint32 value_type; /* ValueType */
	uint32 value_year;
	uint32 probability; /* first slot, if there are labels */
	uint32 positive;    /* which label the score is of by default */
	uint32 nlabels;
	const double *labels;
	uint32 ninputs;
	const ModelInput *inputs;
	uint32 noutputs;
	const ModelOutput *outputs;
} ModelRoot;

extern void model_root(const Model *model, ModelRoot *root);
extern char *model_server_text(const char *text, Size size);
extern char *model_name(const Model *model, uint32 code);

#endif /* IAROS_MODEL_LAYOUT_H */
