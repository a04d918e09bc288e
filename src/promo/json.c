/*
 * Reads jsonb where it lies. The iterator of PostgreSQL allocates for every
 * object and list; a cart is read in less time than that takes.
 */
#include "postgres.h"

#include "core/core.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "promo/json.h"
#include "utils/builtins.h"

/* Bytes of a text in a message. */
#define PROMO_CLIP 64

/* Longest text, in bytes. */
#define PROMO_TEXT_MAX 1000

/* Returns a text cut to a length that a message can hold. */
const char *
promo_clip(PromoText text)
{
	if (text.length <= PROMO_CLIP)
		return pnstrdup(text.data, text.length);
	return psprintf("%.*s...",
					pg_mbcliplen(text.data, text.length, PROMO_CLIP - 3),
					text.data);
}

/* Writes the place of an item: promotions[2].discount.value. */
static void
item_write_place(StringInfo out, const PromoItem *item)
{
	if (item->parent != NULL)
		item_write_place(out, item->parent);
	if (item->key.data == NULL)
		appendStringInfo(out, "[%d]", item->index);
	else
		appendStringInfo(out, "%s%s", item->parent != NULL ? "." : "",
						 promo_clip(item->key));
}

/* Sets the detail of an error: where in the arguments it is. */
int
promo_place(const PromoItem *item)
{
	StringInfoData place;

	initStringInfo(&place);
	item_write_place(&place, item);
	return errdetail("At %s.", place.data);
}

/* Returns the whole of an argument as an item. */
PromoItem
promo_item_top(Jsonb *json, const char *name)
{
	PromoItem item = {.key = {.data = name, .length = strlen(name)},
					  .entry = JENTRY_ISCONTAINER,
					  .data = (char *) &json->root,
					  .length = VARSIZE(json) - VARHDRSZ};

	if (JsonContainerIsScalar(&json->root))
	{
		item.entry = json->root.children[0];
		item.data = (char *) &json->root.children[1];
		item.length = JBE_OFFLENFLD(item.entry);
	}
	return item;
}

/* Tells whether an item is an object or a list, by a bit of its header. */
static bool
item_is_container(const PromoItem *item, uint32 flag)
{
	uint32 header;

	if (!JBE_ISCONTAINER(item->entry))
		return false;
	header = ((JsonbContainer *) item->data)->header;
	return (header & flag) != 0 && (header & JB_FSCALAR) == 0;
}

/* Tells whether an item is the JSON null. */
bool
promo_item_is_null(const PromoItem *item)
{
	return JBE_ISNULL(item->entry);
}

/* Tells whether an item is a text. */
bool
promo_item_is_text(const PromoItem *item)
{
	return JBE_ISSTRING(item->entry);
}

/* Tells whether an item is a list. */
bool
promo_item_is_list(const PromoItem *item)
{
	return item_is_container(item, JB_FARRAY);
}

/* Returns an item as a message shows it. */
const char *
promo_item_shown(const PromoItem *item)
{
	PromoText text = {.data = item->data, .length = item->length};

	if (JBE_ISSTRING(item->entry))
		return promo_clip(text);
	if (JBE_ISNUMERIC(item->entry))
	{
		text.data = DatumGetCString(
			DirectFunctionCall1(numeric_out, PointerGetDatum(item->data)));
		text.length = strlen(text.data);
		return promo_clip(text);
	}
	if (JBE_ISCONTAINER(item->entry))
		return promo_item_is_list(item) ? "a list" : "an object";
	return JBE_ISNULL(item->entry)        ? "null"
		   : JBE_ISBOOL_TRUE(item->entry) ? "true"
										  : "false";
}

/* Raises the error for an item of another kind than is needed. */
void
promo_item_refuse(const PromoItem *item, const char *wanted)
{
	bool quoted = JBE_ISSTRING(item->entry) || JBE_ISNUMERIC(item->entry);

	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					quoted ? errmsg("expected %s, not \"%s\"", wanted,
									promo_item_shown(item))
						   : errmsg("expected %s, not %s", wanted,
									promo_item_shown(item)),
					promo_place(item)));
}

/* Returns the object that an item must be. */
JsonbContainer *
promo_item_object(const PromoItem *item)
{
	if (!item_is_container(item, JB_FOBJECT))
		promo_item_refuse(item, "an object");
	return (JsonbContainer *) item->data;
}

/* Reads a text, a number or a boolean; false when the item is none. */
bool
promo_item_scalar(const PromoItem *item, JsonbValue *value)
{
	if (JBE_ISSTRING(item->entry))
	{
		value->type = jbvString;
		value->val.string.val = item->data;
		value->val.string.len = item->length;
	}
	else if (JBE_ISNUMERIC(item->entry))
	{
		value->type = jbvNumeric;
		value->val.numeric = (Numeric) item->data;
	}
	else if (JBE_ISBOOL(item->entry))
	{
		value->type = jbvBool;
		value->val.boolean = JBE_ISBOOL_TRUE(item->entry);
	}
	else
		return false;
	return true;
}

/* Begins to walk through an object. */
void
promo_walk(PromoWalk *walk, const PromoItem *item)
{
	walk->of = item;
	walk->container = promo_item_object(item);
	walk->object = true;
	walk->n = JsonContainerSize(walk->container);
	walk->next = 0;
	walk->key_offset = 0;
	walk->value_offset =
		walk->n > 0 ? getJsonbOffset(walk->container, walk->n) : 0;
}

/* Begins to walk through a list of at most so many; returns how many. */
int
promo_walk_list(PromoWalk *walk, const PromoItem *item, int most)
{
	if (!promo_item_is_list(item))
		promo_item_refuse(item, "a list");
	walk->of = item;
	walk->container = (JsonbContainer *) item->data;
	walk->object = false;
	walk->n = JsonContainerSize(walk->container);
	walk->next = 0;
	walk->value_offset = 0;
	if (walk->n > most)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("list has %d items, at most %d are allowed",
							   walk->n, most),
						promo_place(item)));
	return walk->n;
}

/* Returns where the value ends whose entry and start are given. */
static inline uint32
item_end(JEntry entry, uint32 start)
{
	return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry)
							  : start + JBE_OFFLENFLD(entry);
}

/* Goes to the next value; false at the end. */
bool
promo_walk_next(PromoWalk *walk, PromoItem *item)
{
	JEntry *entries = walk->container->children;
	char *data;
	uint32 start = walk->value_offset;
	int i = walk->next++;

	if (i >= walk->n)
		return false;
	item->parent = walk->of;
	item->index = i;
	item->key.data = NULL;
	if (walk->object)
	{
		data = (char *) &entries[2 * walk->n];
		item->key.data = data + walk->key_offset;
		item->key.length = item_end(entries[i], walk->key_offset);
		item->key.length -= walk->key_offset;
		walk->key_offset += item->key.length;
		item->entry = entries[walk->n + i];
	}
	else
	{
		data = (char *) &entries[walk->n];
		item->entry = entries[i];
	}
	walk->value_offset = item_end(item->entry, start);
	if (JBE_ISNUMERIC(item->entry) || JBE_ISCONTAINER(item->entry))
		start = INTALIGN(start);
	item->data = data + start;
	item->length = walk->value_offset - start;
	return true;
}

/* Finds the value of a key; false when it is not there, or null. */
bool
promo_item_find(const PromoItem *object, const char *key, PromoItem *item)
{
	PromoText wanted = {.data = key, .length = strlen(key)};
	PromoWalk walk;

	promo_walk(&walk, object);
	while (promo_walk_next(&walk, item))
		if (promo_text_equal(item->key, wanted))
			return !promo_item_is_null(item);
	return false;
}

/* Returns a text that is not empty and not too long. */
PromoText
promo_item_text(const PromoItem *item)
{
	PromoText text = {.data = item->data, .length = item->length};

	if (!JBE_ISSTRING(item->entry))
		promo_item_refuse(item, "a text");
	if (text.length == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("text is empty"), promo_place(item)));
	if (text.length > PROMO_TEXT_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text has %d bytes, at most %d are allowed",
							   text.length, PROMO_TEXT_MAX),
						promo_place(item)));
	return text;
}

/* Checks a list of at most so many texts. */
void
promo_item_texts(const PromoItem *item, int most)
{
	PromoWalk walk;
	PromoItem value;

	(void) promo_walk_list(&walk, item, most);
	while (promo_walk_next(&walk, &value))
		(void) promo_item_text(&value);
}

/* Returns a boolean. */
bool
promo_item_boolean(const PromoItem *item)
{
	if (!JBE_ISBOOL(item->entry))
		promo_item_refuse(item, "true or false");
	return JBE_ISBOOL_TRUE(item->entry);
}

/* Returns a number from 0 to most / 10^scale, times 10^scale. */
int64
promo_item_scaled(const PromoItem *item, int scale, int64 most)
{
	int64 result;

	if (!JBE_ISNUMERIC(item->entry))
		promo_item_refuse(item, "a number");
	if (core_numeric_scaled((Numeric) item->data, scale, &result))
	{
		if (result < 0)
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("\"%s\" is less than zero",
								   promo_item_shown(item)),
							promo_place(item)));
		if (result <= most)
			return result;
	}
	else if (!core_numeric_fits_scale((Numeric) item->data, scale))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("\"%s\" has more than %d decimals",
							   promo_item_shown(item), scale),
						promo_place(item)));
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("\"%s\" is out of range", promo_item_shown(item)),
					promo_place(item)));
}

/* Returns a whole number within bounds. */
int64
promo_item_integer(const PromoItem *item, int64 least, int64 most)
{
	int64 result;

	if (!JBE_ISNUMERIC(item->entry))
		promo_item_refuse(item, "a whole number");
	if (!core_numeric_scaled((Numeric) item->data, 0, &result) ||
		result < least || result > most)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is not a whole number from " INT64_FORMAT
						" to " INT64_FORMAT,
						promo_item_shown(item), least, most),
				 promo_place(item)));
	return result;
}

/* Returns which of some names a text is, -1 when it is none. */
static int
item_name(PromoText text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (text.length == (int) strlen(names[i]) &&
			memcmp(text.data, names[i], text.length) == 0)
			return i;
	return -1;
}

/* Lists names for a hint. */
static const char *
item_names(const char *const *names, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	return list.data;
}

/* Returns which of some keys that of an item is. */
int
promo_item_key(const PromoItem *item, const char *const *names, int n)
{
	int found = item_name(item->key, names, n);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"%s\" is not known", promo_clip(item->key)),
				 promo_place(item->parent),
				 errhint("The keys are %s.", item_names(names, n))));
	return found;
}

/* Returns which of some names a text is. */
int
promo_item_choice(const PromoItem *item, const char *const *names, int n)
{
	int found = item_name(promo_item_text(item), names, n);

	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not known here", promo_item_shown(item)),
				 promo_place(item),
				 errhint("It is one of %s.", item_names(names, n))));
	return found;
}

/* Raises the error for an object without a key that it needs. */
void
promo_item_missing(const PromoItem *object, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("key \"%s\" is missing", key), promo_place(object)));
}
