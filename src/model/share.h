/* Compiled models as files that all backends map. */
#ifndef IAROS_MODEL_SHARE_H
#define IAROS_MODEL_SHARE_H

#include "postgres.h"

#include "model/layout.h"

extern const ModelHead *
share_open(const uint8 *hash, const ModelHead *(*read)(void *arg), void *arg);
extern void share_unmap(const ModelHead *head);

#endif /* IAROS_MODEL_SHARE_H */
