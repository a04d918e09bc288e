/* Making a compiled form of PMML. */
#ifndef IAROS_MODEL_IMPORT_H
#define IAROS_MODEL_IMPORT_H

#include "postgres.h"

#include "model/compile.h"

/* functionName of a model; others are told by the element. */
#define MODEL_REGRESSION 0
#define MODEL_CLASSIFICATION 1

extern struct varlena *model_compile_pmml(const char *text, Size size);
extern uint32 output_flags(const Field *field);
extern void verify_model(XmlNode *node, const struct varlena *compiled);

#endif /* IAROS_MODEL_IMPORT_H */
