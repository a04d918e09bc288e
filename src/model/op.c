/* The table of operations. */
#include "postgres.h"

#include "model/model.h"

#define MODEL_OP_ADDRESS(name) &model_op_##name,
const ModelOp *const model_ops[OP_COUNT] = {MODEL_OPS(MODEL_OP_ADDRESS)};
#undef MODEL_OP_ADDRESS
