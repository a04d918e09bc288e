/*
 * Rows of one or more sources, grouped by a 64-bit key: a store of records
 * of one size, which a sink (core/source.h) appends in any order and which
 * are then walked key by key, in the order of a second number, such as a
 * time. Takes the bytes of its records, and while they are appended up to
 * 64 kB for each of 256 partitions more.
 */
#ifndef IAROS_CORE_GROUP_H
#define IAROS_CORE_GROUP_H

#include "postgres.h"

#include "utils/dsa.h"

/* Most stores that can be walked side by side. */
#define CORE_GROUP_STORES 8

/* The head of every record; its size is a multiple of 8. */
typedef struct CoreRecord
{
	int64 key;   /* such as a customer */
	int64 order; /* such as a time */
} CoreRecord;

typedef struct CoreGroup CoreGroup;

/* The records of one key in a store, in order. */
typedef struct CoreSpan
{
	char *first;
	uint64 n;
} CoreSpan;

/*
 * A walk through stores side by side: keys in the same order in each, which
 * depends on nothing but the keys.
 */
typedef struct CoreWalk
{
	int nstores;
	CoreGroup *stores[CORE_GROUP_STORES];
	int partition;                    /* its keys are being walked */
	CoreSpan rest[CORE_GROUP_STORES]; /* of the partition */
	int64 key;
	CoreSpan spans[CORE_GROUP_STORES]; /* the records of the key, or none */
} CoreWalk;

extern void group_init(void);
extern CoreGroup *core_group_create(Size size);
extern void *core_group_add(CoreGroup *group, int64 key, int64 order);
extern uint64 core_group_count(const CoreGroup *group);
extern dsa_pointer core_group_publish(CoreGroup *group, dsa_area *area);
extern void core_group_adopt(CoreGroup *group, dsa_area *area,
							 dsa_pointer published);
extern void core_walk_begin(CoreWalk *walk, CoreGroup **stores, int nstores);
extern bool core_walk_next(CoreWalk *walk);

#endif /* IAROS_CORE_GROUP_H */
