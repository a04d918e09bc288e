/* Which number of a model is its score. */
#ifndef IAROS_MODEL_SCORE_H
#define IAROS_MODEL_SCORE_H

#include "postgres.h"

#include "model/layout.h"

extern uint32 score_slot(const Run *run, const ModelRoot *root,
						 const text *label);

#endif /* IAROS_MODEL_SCORE_H */
