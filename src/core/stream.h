/*
 * Functions that compute all their rows first and return them one by one.
 * In FROM they run as a plan node, which hands each row to the plan above
 * as it is asked for; elsewhere as a usual set-returning function, whose
 * rows PostgreSQL copies to a store first.
 */
#ifndef IAROS_CORE_STREAM_H
#define IAROS_CORE_STREAM_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"

/* Most functions of this kind, and most arguments of one. */
#define CORE_STREAM_MAX 16
#define CORE_STREAM_ARGS 16

/* The rows of a call; each function puts more behind it. */
typedef struct CoreRows
{
	uint64 n;
	int workers; /* that helped to compute them */
	/* Fills in the wanted columns of row i, in memory of the caller. */
	void (*get)(const struct CoreRows *rows, uint64 i, const bool *wanted,
				Datum *values, bool *nulls);
} CoreRows;

typedef struct CoreStream
{
	const char *name; /* of the function */
	PGFunction function;
	CoreRows *(*open)(TupleDesc desc, const NullableDatum *args);
} CoreStream;

extern void stream_init(void);
extern void core_stream_register(const CoreStream *stream);
extern Datum core_rows_return(FunctionCallInfo fcinfo, const CoreRows *rows);
extern Datum core_stream_call(FunctionCallInfo fcinfo,
							  const CoreStream *stream);

#endif /* IAROS_CORE_STREAM_H */
