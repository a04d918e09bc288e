/* Per-backend copies of catalogue tables, dropped by relcache messages. */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "core.h"
#include "core/group.h"
#include "core/scan.h"
#include "core/stream.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static CoreCache *caches = NULL;

/* Marks the copies of one table, or of all tables, as out of date. */
static void
core_cache_callback(Datum arg, Oid relid)
{
	for (CoreCache *cache = caches; cache != NULL; cache = cache->next)
		if (relid == InvalidOid || relid == cache->relid)
			cache->valid = false;
}

/*
 * Registers the one callback that serves every cache of the library, and
 * the caches of this domain.
 */
void
core_init(void)
{
	CacheRegisterRelcacheCallback(core_cache_callback, (Datum) 0);
	setting_init();
	scan_init();
	stream_init();
	group_init();
}

/* Returns the OID of a table of ours, InvalidOid when it does not exist. */
Oid
core_relation(const char *relname)
{
	Oid schema = get_namespace_oid("iaros", true);

	return OidIsValid(schema) ? get_relname_relid(relname, schema)
							  : InvalidOid;
}

/* Raises an error unless CALL iaros.install() has made the tables. */
void
core_require_install(void)
{
	if (OidIsValid(core_relation("schema_version")))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("iaros is not installed in this database"),
			 errdetail("The extension is code only; its tables do not exist "
					   "yet."),
			 errhint("Run CALL iaros.install() as the owner of schema "
					 "iaros.")));
}

/* Adds a cache to those that are told of changes; called once for each. */
void
core_cache_register(CoreCache *cache)
{
	cache->next = caches;
	caches = cache;
}

/* Tells whether the copy may be read without filling it again. */
bool
core_cache_usable(const CoreCache *cache)
{
	return cache->valid && cache->filled &&
		   (cache->lasting ||
			cache->statement == GetCurrentStatementStartTimestamp());
}

/* Tells whether a snapshot of now may be taken, which sees all commits. */
static bool
core_cache_latest(void)
{
	return !IsolationUsesXactSnapshot() && !IsInParallelMode();
}

/*
 * Prepares a cache for filling: empties it, connects to SPI and pushes the
 * snapshot to read with.
 *
 * The cache is marked valid before it is read: a change that commits while
 * we read then makes it invalid again, instead of being overwritten. It is
 * read under the latest snapshot, since a copy made under an old one would
 * stay old for good. Where a latest snapshot must not be taken, the copy
 * serves the present statement only.
 */
void
core_cache_begin(CoreCache *cache)
{
	core_require_install();
	if (cache->context == NULL)
		cache->context = AllocSetContextCreate(
			TopMemoryContext, "iaros catalogue copy", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(cache->context);
	cache->relid = core_relation(cache->relname);
	cache->filled = false;
	cache->valid = true;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(core_cache_latest() ? GetLatestSnapshot()
										   : GetActiveSnapshot());
}

/* Ends the filling of a cache and decides how long the copy may be kept. */
void
core_cache_end(CoreCache *cache)
{
	PopActiveSnapshot();
	SPI_finish();
	cache->filled = true;
	cache->lasting = core_cache_latest();
	cache->statement = GetCurrentStatementStartTimestamp();
}

PG_FUNCTION_INFO_V1(install_check);

/* Raises the error of core_require_install(); for functions in SQL. */
Datum
install_check(PG_FUNCTION_ARGS)
{
	core_require_install();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cache_invalidate);

/*
 * Trigger: tells every backend that copies of the table, or of the one that
 * the argument names, are out of date.
 */
Datum
cache_invalidate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cache_invalidate must be called as a trigger")));
	CacheInvalidateRelcacheByRelid(
		trigger->tg_trigger->tgnargs > 0
			? core_relation(trigger->tg_trigger->tgargs[0])
			: RelationGetRelid(trigger->tg_relation));
	PG_RETURN_POINTER(NULL);
}
