/*
 * Helpers that several kernels share: numbers out of numeric, currencies,
 * caches that live as long as the backend, settings.
 */
#ifndef IAROS_CORE_H
#define IAROS_CORE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/numeric.h"

/* Decimals of numeric(16,4), the type of money. */
#define CORE_MONEY_SCALE 4

/*
 * A copy of a catalogue table kept by the backend. The owner of the cache
 * fills it between core_cache_begin() and core_cache_end(); any change of
 * the table, announced by the trigger core_cache_invalidate(), makes it
 * invalid in every backend at commit.
 */
typedef struct CoreCache
{
	const char *relname;   /* table in schema iaros */
	Oid relid;             /* its OID when the cache was filled */
	bool valid;            /* no change was announced since it was read */
	bool filled;           /* the last reading went to its end */
	bool lasting;          /* it may be used beyond its statement */
	TimestampTz statement; /* start of the statement that read it */
	MemoryContext context;
	struct CoreCache *next;
} CoreCache;

extern void core_init(void);

/* numeric.c */
extern bool core_numeric_scaled(Numeric value, int scale, int64 *result);
extern int64 core_numeric_key(Numeric value, int scale);
extern bool core_numeric_fits_scale(Numeric value, int scale);

/* currency.c */
extern int core_currency_minor_unit(const char *code);

/* chance.c */
extern uint64 core_chance_word(int64 key, int64 seed);
extern double core_normal_quantile(double p);
extern double core_log(double x);
extern double core_chance_poisson(int64 key, int64 seed, int32 number,
								  double mean);

/* cache.c */
extern void core_cache_register(CoreCache *cache);
extern bool core_cache_usable(const CoreCache *cache);
extern void core_cache_begin(CoreCache *cache);
extern void core_cache_end(CoreCache *cache);
extern void core_require_install(void);
extern Oid core_relation(const char *relname);

/* setting.c */
extern void setting_init(void);
extern const char *core_setting(const char *name);

#endif /* IAROS_CORE_H */
