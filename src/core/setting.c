/* Settings: rows of iaros.setting, read through a copy in the backend. */
#include "postgres.h"

#include "core.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct SettingEntry
{
	char name[NAMEDATALEN]; /* hash key */
	char *value;
} SettingEntry;

static CoreCache setting_cache = {.relname = "setting"};
static HTAB *settings = NULL;

/* Read by SQL only: iaros.claim_source of the session. */
static char *claim_source = NULL;

/* Registers the copy of the settings; at library load. */
void
setting_init(void)
{
	core_cache_register(&setting_cache);
	DefineCustomStringVariable(
		"iaros.claim_source",
		"Source whose claims the changes of customers made by hand are.",
		"Empty: manual.", &claim_source, "", PGC_USERSET, 0, NULL, NULL, NULL);
}

/* Makes the empty hash table inside the cache's context. */
static void
setting_table_create(void)
{
	HASHCTL ctl = {0};

	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(SettingEntry);
	ctl.hcxt = setting_cache.context;
	settings = hash_create("iaros settings", 64, &ctl,
						   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* Copies one row of the result into the hash table. */
static void
setting_store(HeapTuple row, TupleDesc desc)
{
	char *name = SPI_getvalue(row, desc, 1);
	char *value = SPI_getvalue(row, desc, 2);
	SettingEntry *entry;

	/* Somebody altered the table: such a row is no setting. */
	if (name == NULL || value == NULL || strlen(name) >= NAMEDATALEN)
		return;
	entry = hash_search(settings, name, HASH_ENTER, NULL);
	entry->value = MemoryContextStrdup(setting_cache.context, value);
}

/* Reads the whole table; it has some dozens of rows. */
static void
setting_fill(void)
{
	core_cache_begin(&setting_cache);
	setting_table_create();
	if (SPI_execute("SELECT name, value FROM iaros.setting", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read iaros.setting");
	for (uint64 i = 0; i < SPI_processed; i++)
		setting_store(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	core_cache_end(&setting_cache);
}

/*
 * Returns the value of a setting as text, NULL when there is none of that
 * name. The string lives until the setting table changes: copy it to keep
 * it.
 */
const char *
core_setting(const char *name)
{
	SettingEntry *entry;

	if (strlen(name) >= NAMEDATALEN)
		return NULL;
	if (!core_cache_usable(&setting_cache))
		setting_fill();
	entry = hash_search(settings, name, HASH_FIND, NULL);
	return entry == NULL ? NULL : entry->value;
}

PG_FUNCTION_INFO_V1(setting_get);

/* SQL: the value of a setting, an error when there is none of that name. */
Datum
setting_get(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *value = core_setting(name);

	if (value == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("setting \"%s\" does not exist", name),
						errhint("List the settings with SELECT * FROM "
								"iaros.setting.")));
	PG_RETURN_TEXT_P(cstring_to_text(value));
}
