/*
 * Routes: JFK-LAX in both directions, JFK>LAX in one, leg JFK-LAX for each
 * flight instead of the whole journey. Places are airports, * for all, and
 * what the cart says that an airport lies in.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "promo/promo.h"
#include "segment/rule.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Letters of an airport, and from one to the next in a route. */
#define AIRPORT 3
#define AIRPORT_STEP 4

#define LETTERS 26

/* Takes blanks off both ends of a text. */
static PromoText
route_trim(PromoText text)
{
	while (text.length > 0 && text.data[0] == ' ')
	{
		text.data++;
		text.length--;
	}
	while (text.length > 0 && text.data[text.length - 1] == ' ')
		text.length--;
	return text;
}

/* Finds where one text begins in another, -1 when it is not there. */
static int
route_find(PromoText text, const char *sought)
{
	int length = strlen(sought);

	for (int i = 0; i + length <= text.length; i++)
		if (memcmp(text.data + i, sought, length) == 0)
			return i;
	return -1;
}

/* Reads a route; false when the text is none. */
bool
promo_route_parse(PromoText text, PromoRoute *route)
{
	int at;
	int length = 2;

	*route = (PromoRoute){.both = true};
	if (text.length > 4 && memcmp(text.data, "leg ", 4) == 0)
	{
		route->leg = true;
		text.data += 4;
		text.length -= 4;
	}
	at = route_find(text, "<>");
	if (at < 0)
	{
		length = 1;
		at = route_find(text, ">");
		route->both = at < 0;
		if (at < 0)
			at = route_find(text, "-");
	}
	if (at < 0)
		return false;
	route->from = route_trim((PromoText){text.data, at});
	route->to = route_trim(
		(PromoText){text.data + at + length, text.length - at - length});
	/* Names with a hyphen need <> or >. */
	if (route->from.length == 0 || route->to.length == 0 ||
		route_find(route->to, ">") >= 0 ||
		(length == 1 && route->both && route_find(route->to, "-") >= 0))
		return false;
	return true;
}

/* Raises the error for a text that is no route. */
static void
pg_attribute_noreturn() route_refuse(PromoText text, const PromoItem *item)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no route", promo_clip(text)),
			 item != NULL ? promo_place(item) : 0,
			 errhint("Write JFK-LAX for both directions, JFK>LAX for one, "
					 "Spain<>North America with names, *>US for all to a "
					 "country, leg JFK-LAX for each flight.")));
}

/* Reads a route of a promotion. */
void
promo_read_route(const PromoItem *item, PromoRoute *route)
{
	PromoText text = promo_item_text(item);

	if (!promo_route_parse(text, route))
		route_refuse(text, item);
}

/* Returns how many pairs of places a journey is compared by. */
int
promo_trip_pairs(const PromoTrip *trip, bool leg)
{
	return trip->npoints == 0 ? 0 : leg ? trip->npoints - 1 : 1;
}

/*
 * Returns one of the pairs: a flight, or the whole journey, which for one
 * that ends where it began is from there to the point in its middle.
 */
void
promo_trip_pair(const PromoTrip *trip, bool leg, int i, const char **from,
				const char **to)
{
	int last = trip->npoints - 1;

	if (leg)
	{
		*from = trip->points + i * AIRPORT_STEP;
		*to = *from + AIRPORT_STEP;
		return;
	}
	*from = trip->points;
	if (memcmp(trip->points, trip->points + last * AIRPORT_STEP, AIRPORT) == 0)
		last = trip->npoints / 2;
	*to = trip->points + last * AIRPORT_STEP;
}

/* Finds the list of places that an airport lies in. */
static bool
route_places(const PromoFacts *facts, const char *airport, PromoItem *list)
{
	char key[AIRPORT + 1];

	if (facts->places.data == NULL)
		return false;
	memcpy(key, airport, AIRPORT);
	key[AIRPORT] = '\0';
	return promo_item_find(&facts->places, key, list);
}

/* Tells whether an airport is a place or lies in it. */
static bool
route_in(const PromoFacts *facts, const char *airport, PromoText place)
{
	PromoWalk walk;
	PromoItem list;
	PromoItem one;

	if (place.length == 1 && place.data[0] == '*')
		return true;
	if (place.length == AIRPORT && memcmp(place.data, airport, AIRPORT) == 0)
		return true;
	if (!route_places(facts, airport, &list))
		return false;
	(void) promo_walk_list(&walk, &list, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &one))
		if (promo_text_equal(promo_item_text(&one), place))
			return true;
	return false;
}

/* Tells whether a journey is on a route of a list. */
bool
promo_route_holds(const PromoCart *cart, const PromoItem *item,
				  const PromoTrip *trip)
{
	const PromoFacts *facts = &cart->facts;
	PromoRoute route;

	promo_read_route(item, &route);
	for (int i = 0; i < promo_trip_pairs(trip, route.leg); i++)
	{
		const char *from;
		const char *to;

		promo_trip_pair(trip, route.leg, i, &from, &to);
		if (route_in(facts, from, route.from) && route_in(facts, to, route.to))
			return true;
		if (route.both && route_in(facts, from, route.to) &&
			route_in(facts, to, route.from))
			return true;
	}
	return false;
}

/* Reads the route of a line: JFK-LHR, JFK-LHR-FRA. */
static void
trip_route(const PromoItem *item, PromoTrip *trip)
{
	PromoText text = promo_item_text(item);
	int n = (text.length + 1) / AIRPORT_STEP;
	bool fits = text.length % AIRPORT_STEP == AIRPORT && n >= 2 &&
				n <= PROMO_ROUTE_MAX;

	for (int i = 0; fits && i < text.length; i++)
		fits = i % AIRPORT_STEP == AIRPORT
				   ? text.data[i] == '-'
				   : text.data[i] >= 'A' && text.data[i] <= 'Z';
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no route of a line", promo_clip(text)),
				 promo_place(item),
				 errhint("Write its %d to %d airports as JFK-LHR or "
						 "JFK-LHR-FRA.",
						 2, PROMO_ROUTE_MAX)));
	trip->points = text.data;
	trip->npoints = n;
}

/* Reads the departure of a line: a day, or a time on it. */
static void
trip_departure(const PromoItem *item, PromoTrip *trip)
{
	PromoText text = promo_item_text(item);
	RuleMoment moment;

	if (!rule_moment_parse(text.data, text.length, &moment) ||
		!rule_moment_parse(text.data, strlen("2026-07-04"), &moment))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no day of departure", promo_clip(text)),
				 promo_place(item), errhint("Write it as 2026-07-04.")));
	trip->departs = true;
	trip->day = moment.at / USECS_PER_DAY;
}

/* Reads the attributes of a line that restrictions speak of. */
static void
trip_attributes(const PromoItem *item, PromoTrip *trip)
{
	static const char *const names[] = {"route", "departure", "fare_class",
										"cabin"};
	PromoWalk walk;
	PromoItem value;

	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int name = 0;

		while (name < lengthof(names) &&
			   !promo_text_equal(
				   value.key, (PromoText){names[name], strlen(names[name])}))
			name++;
		if (name == lengthof(names) || promo_item_is_null(&value))
			continue;
		if (name == 0)
			trip_route(&value, trip);
		else if (name == 1)
			trip_departure(&value, trip);
		else
		{
			(void) promo_item_text(&value);
			*(name == 2 ? &trip->fare_class : &trip->cabin) = value;
			(name == 2 ? &trip->fare_class : &trip->cabin)->parent = NULL;
		}
	}
}

/*
 * Reads what restrictions ask of the lines, once: kept as long as the lines,
 * which may be known to calls after this one.
 */
void
promo_read_trips(PromoCart *cart)
{
	PromoTrip *trips;
	PromoWalk walk;
	PromoItem line;
	PromoItem attributes;

	if (cart->trips != NULL)
		return;
	trips = MemoryContextAllocZero(cart->context,
								   Max(cart->nlines, 1) * sizeof(PromoTrip));
	(void) promo_walk_list(&walk, &cart->list, PROMO_LINES_MAX);
	for (int i = 0; promo_walk_next(&walk, &line); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (promo_item_find(&line, "attributes", &attributes))
			trip_attributes(&attributes, &trips[i]);
	}
	cart->trips = trips;
}

/* Texts that are collected for an array. */
typedef struct RouteKeys
{
	int n;
	int room;
	Datum *keys;
} RouteKeys;

/* Adds a text. */
static void
keys_add(RouteKeys *keys, PromoText text)
{
	if (keys->n == keys->room)
	{
		keys->room = Max(16, 2 * keys->room);
		keys->keys = keys->keys == NULL
						 ? palloc(keys->room * sizeof(Datum))
						 : repalloc(keys->keys, keys->room * sizeof(Datum));
	}
	keys->keys[keys->n++] =
		PointerGetDatum(cstring_to_text_with_len(text.data, text.length));
}

/* Makes an array of the keys. */
static Datum
keys_array(const RouteKeys *keys)
{
	return PointerGetDatum(construct_array(keys->keys, keys->n, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/*
 * Returns the end of a route that fewer journeys touch, as far as its text
 * tells: an airport, a name, everywhere.
 */
static PromoText
route_key(const PromoRoute *route)
{
	if (route->from.length == 1 && route->from.data[0] == '*')
		return route->to;
	if (route->from.length != AIRPORT && route->to.length == AIRPORT)
		return route->to;
	return route->from;
}

/* Adds what is wanted of each route of an array. */
static Datum
route_texts(FunctionCallInfo fcinfo, bool both_ends)
{
	RouteKeys keys = {0};
	Datum *texts;
	bool *nulls;
	int n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &texts, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		PromoText text = {"", 0};
		PromoRoute route;

		if (!nulls[i])
			text = (PromoText){VARDATA_ANY(DatumGetPointer(texts[i])),
							   VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i]))};
		if (!promo_route_parse(text, &route))
			route_refuse(text, NULL);
		if (both_ends)
		{
			keys_add(&keys, route.from);
			keys_add(&keys, route.to);
		}
		else
			keys_add(&keys, route_key(&route));
	}
	return keys_array(&keys);
}

PG_FUNCTION_INFO_V1(promo_route_keys);

/* SQL: promo_route_keys(routes text[]) */
PGDLLEXPORT Datum
promo_route_keys(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(route_texts(fcinfo, false));
}

PG_FUNCTION_INFO_V1(promo_route_places);

/* SQL: promo_route_places(routes text[]) */
PGDLLEXPORT Datum
promo_route_places(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(route_texts(fcinfo, true));
}

/* Notes an airport, of three capital letters; false when it was noted. */
static bool
airport_note(uint8 *noted, const char *airport)
{
	int i = 0;

	for (int j = 0; j < AIRPORT; j++)
		i = i * LETTERS + (airport[j] - 'A');
	if ((noted[i / 8] & 1 << i % 8) != 0)
		return false;
	noted[i / 8] |= 1 << i % 8;
	return true;
}

/* Adds an airport and the places that it lies in. */
static void
keys_add_airport(RouteKeys *keys, const PromoFacts *facts, const char *airport)
{
	PromoWalk walk;
	PromoItem list;
	PromoItem place;

	keys_add(keys, (PromoText){airport, AIRPORT});
	if (!route_places(facts, airport, &list))
		return;
	(void) promo_walk_list(&walk, &list, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &place))
		keys_add(keys, promo_item_text(&place));
}

PG_FUNCTION_INFO_V1(promo_cart_places);

/* SQL: promo_cart_places(cart jsonb) */
PGDLLEXPORT Datum
promo_cart_places(PG_FUNCTION_ARGS)
{
	PromoItem item = promo_item_top(PG_GETARG_JSONB_P(0), "cart");
	RouteKeys keys = {0};
	uint8 noted[LETTERS * LETTERS * LETTERS / 8 + 1] = {0};
	PromoCart cart;

	promo_read_cart(&item, &cart);
	promo_read_trips(&cart);
	for (int i = 0; i < cart.nlines; i++)
		for (int j = 0; j < cart.trips[i].npoints; j++)
		{
			const char *airport = cart.trips[i].points + j * AIRPORT_STEP;

			CHECK_FOR_INTERRUPTS();
			if (airport_note(noted, airport))
				keys_add_airport(&keys, &cart.facts, airport);
		}
	PG_RETURN_DATUM(keys_array(&keys));
}
