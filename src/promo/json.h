/* Walks through jsonb without copying it; each part knows its place. */
#ifndef IAROS_PROMO_JSON_H
#define IAROS_PROMO_JSON_H

#include "postgres.h"

#include "utils/jsonb.h"

/* Text of somebody else's, not terminated. */
typedef struct PromoText
{
	const char *data;
	int length;
} PromoText;

typedef struct PromoItem
{
	const struct PromoItem *parent;
	PromoText key; /* in an object, or of the argument at the top */
	int index;     /* in a list */
	JEntry entry;
	char *data;
	uint32 length;
} PromoItem;

/* Where a walk through an object or a list is. */
typedef struct PromoWalk
{
	const PromoItem *of;
	JsonbContainer *container;
	bool object;
	int n; /* of values */
	int next;
	uint32 key_offset;
	uint32 value_offset;
} PromoWalk;

extern PromoItem promo_item_top(Jsonb *json, const char *name);
extern bool promo_item_is_null(const PromoItem *item);
extern bool promo_item_is_text(const PromoItem *item);
extern bool promo_item_is_list(const PromoItem *item);
extern JsonbContainer *promo_item_object(const PromoItem *item);
extern bool promo_item_scalar(const PromoItem *item, JsonbValue *value);
extern void promo_walk(PromoWalk *walk, const PromoItem *item);
extern int promo_walk_list(PromoWalk *walk, const PromoItem *item, int most);
extern bool promo_walk_next(PromoWalk *walk, PromoItem *item);
extern bool promo_item_find(const PromoItem *object, const char *key,
							PromoItem *item);

extern PromoText promo_item_text(const PromoItem *item);
extern void promo_item_texts(const PromoItem *item, int most);
extern bool promo_item_boolean(const PromoItem *item);
extern int64 promo_item_scaled(const PromoItem *item, int scale, int64 most);
extern int64 promo_item_integer(const PromoItem *item, int64 least,
								int64 most);
extern int promo_item_key(const PromoItem *item, const char *const *names,
						  int n);
extern int promo_item_choice(const PromoItem *item, const char *const *names,
							 int n);
extern void promo_item_refuse(const PromoItem *item, const char *wanted)
	pg_attribute_noreturn();
extern void promo_item_missing(const PromoItem *object, const char *key)
	pg_attribute_noreturn();

/* Parts of ereport(): where, and a text cut to a readable length. */
extern int promo_place(const PromoItem *item);
extern const char *promo_clip(PromoText text);
extern const char *promo_item_shown(const PromoItem *item);

/* Tells whether two texts are the same bytes. */
static inline bool
promo_text_equal(PromoText a, PromoText b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

#endif /* IAROS_PROMO_JSON_H */
