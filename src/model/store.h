/* Compiled models that a backend has at hand. */
#ifndef IAROS_MODEL_STORE_H
#define IAROS_MODEL_STORE_H

#include "postgres.h"

#include "model/model.h"

typedef struct StoredModel StoredModel;

/* What tells one value of type model from another without reading it. */
typedef struct ModelKey
{
	bool toasted;
	Oid toastrelid;
	Oid valueid;
	uint8 hash[16];
} ModelKey;

extern void store_init(void);
extern bool store_same(const ModelKey *key, Datum datum);
extern const Model *store_open(Datum datum, ModelKey *key,
							   MemoryContext context);

#endif /* IAROS_MODEL_STORE_H */
