/*
 * Compiled models that a backend has at hand, by the hash of their contents.
 * A value that is stored out of line is told by its toast pointer, any other
 * by the hash at its head: none is read to be compared.
 */
#include "postgres.h"

#include <limits.h>

#include "access/detoast.h"
#include "catalog/namespace.h"
#include "lib/ilist.h"
#include "model/layout.h"
#include "model/share.h"
#include "model/store.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

struct StoredModel
{
	uint8 hash[16]; /* the key */
	Model model;
	Size size;
	int uses; /* it stays while it is used */
	dlist_node node;
	MemoryContext context; /* of a copy of its own, else NULL */
};

/* kB of models that a backend keeps without using them. */
static int store_memory = 65536;

static HTAB *stored_models = NULL;
static dlist_head stored_unused = DLIST_STATIC_INIT(stored_unused);
static Size stored_unused_size = 0;

/* Defines the setting. */
void
store_init(void)
{
	DefineCustomIntVariable(
		"iaros.model_memory",
		"Memory for models that a session has used and may use again.", NULL,
		&store_memory, 65536, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, NULL,
		NULL, NULL);
}

/* Tells whether a value is the one that a key was made of. */
bool
store_same(const ModelKey *key, Datum datum)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (VARATT_IS_EXTERNAL_ONDISK(value))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		return key->toasted && pointer.va_valueid == key->valueid &&
			   pointer.va_toastrelid == key->toastrelid;
	}
	if (VARATT_IS_4B_U(value))
		return memcmp(((ModelHead *) value)->hash, key->hash,
					  sizeof(key->hash)) == 0;
	return false;
}

/* Reads the hash of a value, and where it is stored. */
static void
store_key(Datum datum, ModelKey *key)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);
	struct varlena *head;

	memset(key, 0, sizeof(*key));
	if (VARATT_IS_EXTERNAL_ONDISK(value))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		key->toasted = true;
		key->valueid = pointer.va_valueid;
		key->toastrelid = pointer.va_toastrelid;
	}
	head = PG_DETOAST_DATUM_SLICE(datum, 0, sizeof(ModelHead) - VARHDRSZ);
	memcpy(key->hash, ((ModelHead *) head)->hash, sizeof(key->hash));
	if (head != value)
		pfree(head);
}

/* Forgets models that nobody uses, the oldest first, until a size is left. */
static void
store_shrink(Size size)
{
	while (stored_unused_size > size && !dlist_is_empty(&stored_unused))
	{
		StoredModel *stored =
			dlist_tail_element(StoredModel, node, &stored_unused);

		dlist_delete(&stored->node);
		stored_unused_size -= stored->size;
		if (stored->context != NULL)
			MemoryContextDelete(stored->context);
		else
			share_unmap(stored->model.head);
		hash_search(stored_models, stored->hash, HASH_REMOVE, NULL);
	}
}

/* Ends one use of a model: a context that used it goes away. */
static void
store_close(void *arg)
{
	StoredModel *stored = arg;

	if (--stored->uses > 0)
		return;
	dlist_push_head(&stored_unused, &stored->node);
	stored_unused_size += stored->size;
	store_shrink((Size) store_memory * 1024);
}

/* Begins a use of a model, which lasts as long as a context. */
static void
store_use(StoredModel *stored, MemoryContext context)
{
	MemoryContextCallback *callback =
		MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	if (stored->uses++ == 0)
	{
		dlist_delete(&stored->node);
		stored_unused_size -= stored->size;
	}
	callback->func = store_close;
	callback->arg = stored;
	MemoryContextRegisterResetCallback(context, callback);
}

/* The table of models by hash. */
static HTAB *
store_table(void)
{
	HASHCTL info = {0};

	info.keysize = sizeof(((StoredModel *) NULL)->hash);
	info.entrysize = sizeof(StoredModel);
	info.hcxt = CacheMemoryContext;
	return hash_create("iaros models", 64, &info,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* The table in which values of iaros.model_version are stored out of line. */
static Oid
store_shared_relation(void)
{
	Oid schema = get_namespace_oid("iaros", true);
	Oid relid = OidIsValid(schema) ? get_relname_relid("model_version", schema)
								   : InvalidOid;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid result;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	result = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
	ReleaseSysCache(tuple);
	return result;
}

/* A value that is read when it turns out to be needed. */
typedef struct StoreCopy
{
	Datum datum;
	MemoryContext context; /* of the copy, NULL: not read */
	const ModelHead *head;
} StoreCopy;

/* Reads a value into memory of its own. */
static const ModelHead *
store_copy(void *arg)
{
	StoreCopy *copy = arg;
	MemoryContext old;

	if (copy->context != NULL)
		return copy->head;
	copy->context = AllocSetContextCreate(CurrentMemoryContext, "iaros model",
										  ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(copy->context);
	copy->head = (const ModelHead *) PG_DETOAST_DATUM_COPY(copy->datum);
	MemoryContextSwitchTo(old);
	model_check_layout(copy->head);
	return copy->head;
}

/*
 * A model that the backend does not have, and the context of the copy if it
 * is one. Only models of iaros.model_version become files: anybody may
 * compile models, and must not fill the disk.
 */
static const ModelHead *
store_read(Datum datum, const ModelKey *key, MemoryContext *context)
{
	StoreCopy copy = {.datum = datum};
	const ModelHead *head = NULL;

	if (key->toasted && key->toastrelid == store_shared_relation())
		head = share_open(key->hash, store_copy, &copy);
	if (head == NULL)
		head = store_copy(&copy);
	else if (copy.context != NULL)
	{
		MemoryContextDelete(copy.context);
		copy.context = NULL;
	}
	*context = copy.context;
	return head;
}

/* Keeps a model that the backend does not have. */
static StoredModel *
store_add(Datum datum, const ModelKey *key)
{
	MemoryContext context;
	const ModelHead *head = store_read(datum, key, &context);
	StoredModel *stored;
	bool found;

	stored = hash_search(stored_models, key->hash, HASH_ENTER, &found);
	Assert(!found);
	if (context != NULL)
		MemoryContextSetParent(context, CacheMemoryContext);
	stored->context = context;
	stored->size = VARSIZE(head);
	stored->uses = 0;
	model_view(&stored->model, head);
	dlist_push_head(&stored_unused, &stored->node);
	stored_unused_size += stored->size;
	return stored;
}

/*
 * The model that a value is, for use as long as a context lives; key tells it
 * from others.
 */
const Model *
store_open(Datum datum, ModelKey *key, MemoryContext context)
{
	StoredModel *stored;

	if (stored_models == NULL)
		stored_models = store_table();
	store_key(datum, key);
	stored = hash_search(stored_models, key->hash, HASH_FIND, NULL);
	if (stored == NULL)
		stored = store_add(datum, key);
	store_use(stored, context);
	return &stored->model;
}
