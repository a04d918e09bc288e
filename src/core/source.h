/*
 * Rows of a source: a relation or a query that a caller names in text. Its
 * rows are handed to a sink, slot by slot, in this process and, where the
 * plan allows it, in parallel workers.
 */
#ifndef IAROS_CORE_SOURCE_H
#define IAROS_CORE_SOURCE_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "utils/dsa.h"

/* Most sinks that the library can have. */
#define CORE_SINK_MAX 16

/*
 * What takes the rows. Each process that receives rows begins a state of
 * its own from the same arguments, which are plain bytes. A worker then
 * publishes its state in shared memory, and the leader merges what workers
 * published into its own.
 */
typedef struct CoreSink
{
	const char *name;
	void *(*begin)(const void *args, double rows); /* rows: a guess */
	void (*receive)(void *state, TupleTableSlot *slot);
	dsa_pointer (*publish)(void *state, dsa_area *area);
	void (*merge)(void *state, dsa_area *area, dsa_pointer published);
} CoreSink;

/* A source that was parsed, and may run once. */
typedef struct CoreSource
{
	char *query;        /* text of the query */
	struct Query *tree; /* its one SELECT, rewritten */
	TupleDesc desc;     /* columns of its rows */
	int workers;        /* that ran with this process */
} CoreSource;

extern void core_sink_register(const CoreSink *sink);
extern char *core_source_query(const char *source);
extern CoreSource *core_source_open(const char *source);
extern int core_source_attno(const CoreSource *source, const char *name);
extern char *core_source_columns(const CoreSource *source);
extern double core_source_distinct(const CoreSource *source, int attno);
extern void *core_source_run(CoreSource *source, const CoreSink *sink,
							 const void *args, Size size);

#endif /* IAROS_CORE_SOURCE_H */
