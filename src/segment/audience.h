/*
 * Type audience: a set of ids from 0 to 2^63 - 1, compressed. The ids are
 * cut into chunks by their upper 48 bits; the lower 16 bits of a chunk are
 * in a container, which is an array, a bitset or a list of runs, whichever
 * is smallest.
 */
#ifndef IAROS_SEGMENT_AUDIENCE_H
#define IAROS_SEGMENT_AUDIENCE_H

#include "postgres.h"

#include "fmgr.h"

/* One flat little-endian layout, used in place; audience.c describes it. */
typedef struct Audience Audience;

#define DatumGetAudienceP(datum) audience_from_datum(datum)
#define AudiencePGetDatum(audience) PointerGetDatum(audience)
#define PG_GETARG_AUDIENCE_P(n) DatumGetAudienceP(PG_GETARG_DATUM(n))
#define PG_RETURN_AUDIENCE_P(audience) PG_RETURN_POINTER(audience)

/* A set that grows: ids come in any order, fast when they ascend. */
typedef struct AudienceBuilder AudienceBuilder;

extern void audience_init(void);

/* build.c */
extern AudienceBuilder *audience_builder_create(MemoryContext context);
extern void audience_builder_add(AudienceBuilder *builder, uint64 id);
/* Adds first + i for each bit i of bits that is set; ids below 2^63. */
extern void audience_builder_add_bits(AudienceBuilder *builder, uint64 first,
									  uint64 bits);
extern void audience_builder_merge(AudienceBuilder *builder,
								   const Audience *audience);
extern uint64 audience_builder_count(AudienceBuilder *builder);
extern Size audience_builder_memory(const AudienceBuilder *builder);
/* The flat form, palloc'd in the current context; the builder stays. */
extern Audience *audience_builder_finish(AudienceBuilder *builder);

/* audience_agg.c: flat and in memory, not to be changed. */
extern Audience *audience_from_datum(Datum datum);

/* audience_set.c */
extern uint64 audience_cardinality(const Audience *audience);
extern Audience *audience_union(const Audience *a, const Audience *b);

/* audience.c: raises the error for an id that is NULL-free but below 0. */
extern uint64 audience_id_check(int64 id);

#endif /* IAROS_SEGMENT_AUDIENCE_H */
