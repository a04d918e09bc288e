/*
 * Restrictions: to whom, when, where and on what a promotion is given. Those
 * of the purchase as a whole hold or fail; those of lines choose lines.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "promo/promo.h"
#include "segment/rule.h"

/* Names by which reasons are given, in the order of PromoRestriction. */
const char *const promo_restriction_reasons[] = {
	"refused",    "expired",           "booking_weekday", "channel",
	"currency",   "segment",           "except_segment",  "tier",
	"party",      "first_booking",     "route",           "except_route",
	"fare_class", "except_fare_class", "cabin",           "except_cabin",
	"travel",     "blackout",          "weekday"};

StaticAssertDecl(lengthof(promo_restriction_reasons) == PROMO_RESTRICTIONS,
				 "reasons and restrictions differ");

#define BIT(restriction) ((uint32) 1 << (restriction))

/* Restrictions that a line must fulfil when the purchase has lines for it. */
#define OF_LINES (~(BIT(PROMO_R_ROUTES) - 1))

/* Begin and end of a window; each may be open. */
typedef struct Window
{
	bool begins;
	bool ends;
	RuleMoment from;
	RuleMoment to;
} Window;

/* Reads a day or a time. */
static RuleMoment
read_moment(const PromoItem *item, bool day)
{
	PromoText text = promo_item_text(item);
	RuleMoment moment;

	if (!rule_moment_parse(text.data, text.length, &moment) ||
		(day && !moment.day))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no %s", promo_clip(text),
							   day ? "day" : "day or time"),
						promo_place(item),
						errhint(day ? "Write it as 2026-07-04."
									: "Write it as 2026-07-04 or "
									  "2026-07-04T12:00:00Z.")));
	return moment;
}

/* Reads a window [from, to). */
static void
read_window(const PromoItem *item, bool days, Window *window)
{
	static const char *const keys[] = {"from", "to"};
	PromoWalk walk;
	PromoItem value;

	*window = (Window){0};
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (promo_item_is_null(&value))
			continue;
		*(key == 0 ? &window->from : &window->to) = read_moment(&value, days);
		*(key == 0 ? &window->begins : &window->ends) = true;
	}
	if (window->begins && window->ends && window->to.at <= window->from.at &&
		window->from.zoned == window->to.zoned)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window ends before it begins"), promo_place(item),
				 errhint("The end is not in the window: one day is from "
						 "2026-07-04 to 2026-07-05.")));
}

/* Tells whether a day is in a window of days. */
static bool
window_has_day(const PromoItem *item, int32 day)
{
	Window window;

	read_window(item, true, &window);
	return (!window.begins || window.from.at / USECS_PER_DAY <= day) &&
		   (!window.ends || day < window.to.at / USECS_PER_DAY);
}

/* Reads who may come: a number from min to max. */
static void
read_party(const PromoItem *item, int64 *min, int64 *max)
{
	static const char *const keys[] = {"min", "max"};
	PromoWalk walk;
	PromoItem value;

	*min = 1;
	*max = PROMO_QUANTITY_MAX;
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (!promo_item_is_null(&value))
			*(key == 0 ? min : max) =
				promo_item_integer(&value, 1, PROMO_QUANTITY_MAX);
	}
	if (*max < *min)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max is below min"), promo_place(item)));
}

/* Tells whether a list of days of the week, 1 Monday to 7, has one. */
static bool
weekdays_have(const PromoItem *item, int weekday)
{
	PromoWalk walk;
	PromoItem value;
	bool found = false;

	(void) promo_walk_list(&walk, item, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
		found |= promo_item_integer(&value, 1, 7) == weekday;
	return found;
}

/* Returns the day of the week of a day, 1 Monday to 7. */
static int
weekday_of(int64 day)
{
	/* 2000-01-01 was a Saturday. */
	return ((day % 7 + 7) % 7 + 5) % 7 + 1;
}

/* Checks a list of routes. */
static void
check_routes(const PromoItem *item)
{
	PromoWalk walk;
	PromoItem value;
	PromoRoute route;

	(void) promo_walk_list(&walk, item, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
		promo_read_route(&value, &route);
}

/* Checks a list of windows of days. */
static void
check_windows(const PromoItem *item)
{
	PromoWalk walk;
	PromoItem value;
	Window window;

	(void) promo_walk_list(&walk, item, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
		read_window(&value, true, &window);
}

/* Checks a list of reasons, objects with a reason; tells whether it has any.
 */
static bool
check_refused(const PromoItem *item)
{
	PromoWalk walk;
	PromoItem value;
	PromoItem reason;
	int n = promo_walk_list(&walk, item, PROMO_LIST_MAX);

	while (promo_walk_next(&walk, &value))
	{
		if (!promo_item_find(&value, "reason", &reason))
			promo_item_missing(&value, "reason");
		(void) promo_item_text(&reason);
	}
	return n > 0;
}

/* Reads and checks a restriction; its item must stay where it is. */
void
promo_read_restriction(const PromoItem *item, int restriction,
					   Promotion *promotion)
{
	Window window;
	int64 min;
	int64 max;

	if (restriction == PROMO_R_REFUSED)
	{
		if (!check_refused(item))
			return;
	}
	else if (restriction == PROMO_R_VALID || restriction == PROMO_R_TRAVEL)
		read_window(item, restriction == PROMO_R_TRAVEL, &window);
	else if (restriction == PROMO_R_BOOKING_WEEKDAYS ||
			 restriction == PROMO_R_WEEKDAYS)
		(void) weekdays_have(item, 0);
	else if (restriction == PROMO_R_PARTY)
		read_party(item, &min, &max);
	else if (restriction == PROMO_R_FIRST_BOOKING)
	{
		if (!promo_item_boolean(item))
			return;
	}
	else if (restriction == PROMO_R_ROUTES ||
			 restriction == PROMO_R_EXCEPT_ROUTES)
		check_routes(item);
	else if (restriction == PROMO_R_BLACKOUT)
		check_windows(item);
	else
		promo_item_texts(item, PROMO_LIST_MAX);
	if (promotion->restricted == NULL)
		promotion->restricted = palloc0(sizeof(PromoRestricted));
	promotion->restricted->given |= BIT(restriction);
	promotion->restricted->items[restriction] = *item;
}

/* Tells whether a list of texts has one. */
static bool
list_has(const PromoItem *list, PromoText text)
{
	PromoWalk walk;
	PromoItem value;

	(void) promo_walk_list(&walk, list, 100 * PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
		if (promo_text_equal(promo_item_text(&value), text))
			return true;
	return false;
}

/* Tells whether a fact, a text, is one of a list. */
static bool
fact_in(const PromoItem *fact, const PromoItem *list)
{
	return fact->data != NULL && list_has(list, promo_item_text(fact));
}

/* Tells whether one of some facts is in a list. */
static bool
facts_in(const PromoItem *facts, const PromoItem *list)
{
	PromoWalk walk;
	PromoItem value;

	if (facts->data == NULL)
		return false;
	(void) promo_walk_list(&walk, list, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
		if (list_has(facts, promo_item_text(&value)))
			return true;
	return false;
}

/* Tells whether a moment has come; a day begins where the cart was made. */
static bool
has_come(const PromoFacts *facts, const RuleMoment *moment)
{
	return moment->at <= (moment->zoned ? facts->at : facts->local);
}

/* Returns the day of a time, also of one before 2000. */
static int64
day_of(Timestamp at)
{
	return at / USECS_PER_DAY - (at % USECS_PER_DAY < 0);
}

/* Tells whether a cart was made within the window of booking. */
static bool
holds_valid(const PromoFacts *facts, PromoRestricted *restricted)
{
	Window window;

	read_window(&restricted->items[PROMO_R_VALID], false, &window);
	restricted->early = window.begins && !has_come(facts, &window.from);
	return !restricted->early && !(window.ends && has_come(facts, &window.to));
}

/* Tells whether so many travel as a promotion asks for. */
static bool
holds_party(const PromoFacts *facts, const PromoItem *item)
{
	int64 min;
	int64 max;
	int64 party = 1;

	read_party(item, &min, &max);
	if (facts->party.data != NULL)
		party = promo_item_integer(&facts->party, 1, PROMO_QUANTITY_MAX);
	return party >= min && party <= max;
}

/* Returns which restrictions of the purchase as a whole fail. */
static uint32
failed_facts(const PromoCart *cart, PromoRestricted *restricted)
{
	const PromoFacts *facts = &cart->facts;
	const PromoItem *items = restricted->items;
	const PromoText currency = {cart->currency, 3};
	uint32 given = restricted->given;
	uint32 failed = given & BIT(PROMO_R_REFUSED);

#define FAILS(restriction, holds)                                             \
	((given & BIT(restriction)) != 0 && !(holds) ? BIT(restriction) : 0)

	if ((given & (BIT(PROMO_R_VALID) | BIT(PROMO_R_BOOKING_WEEKDAYS))) != 0 &&
		!facts->with_at)
		promo_item_missing(facts->cart, "at");
	failed |= FAILS(PROMO_R_VALID, holds_valid(facts, restricted));
	failed |= FAILS(PROMO_R_BOOKING_WEEKDAYS,
					weekdays_have(&items[PROMO_R_BOOKING_WEEKDAYS],
								  weekday_of(day_of(facts->local))));
	failed |= FAILS(PROMO_R_CHANNELS,
					fact_in(&facts->channel, &items[PROMO_R_CHANNELS]));
	failed |= FAILS(PROMO_R_CURRENCIES,
					list_has(&items[PROMO_R_CURRENCIES], currency));
	failed |= FAILS(PROMO_R_SEGMENTS,
					facts_in(&facts->segments, &items[PROMO_R_SEGMENTS]));
	failed |=
		FAILS(PROMO_R_EXCEPT_SEGMENTS,
			  !facts_in(&facts->segments, &items[PROMO_R_EXCEPT_SEGMENTS]));
	failed |=
		FAILS(PROMO_R_TIERS, facts_in(&facts->tiers, &items[PROMO_R_TIERS]));
	failed |= FAILS(PROMO_R_PARTY, holds_party(facts, &items[PROMO_R_PARTY]));
	failed |= FAILS(PROMO_R_FIRST_BOOKING,
					facts->first_booking.data != NULL &&
						promo_item_boolean(&facts->first_booking));
	return failed;
#undef FAILS
}

/* Notes by which restrictions of the whole a cart does not qualify. */
void
promo_restrict(PromoCart *cart, Promotion *promotion)
{
	PromoRestricted *restricted = promotion->restricted;

	if (restricted == NULL)
		return;
	restricted->failed = failed_facts(cart, restricted);
	if ((restricted->given & OF_LINES) != 0)
		promo_read_trips(cart);
}

/* Tells whether a journey is on one of the routes of a list. */
static bool
on_routes(const PromoCart *cart, const PromoItem *list, const PromoTrip *trip)
{
	PromoWalk walk;
	PromoItem route;

	if (trip->npoints == 0)
		return false;
	(void) promo_walk_list(&walk, list, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &route))
		if (promo_route_holds(cart, &route, trip))
			return true;
	return false;
}

/* Tells whether a day is within a window of a list. */
static bool
in_windows(const PromoItem *list, int32 day)
{
	PromoWalk walk;
	PromoItem window;

	(void) promo_walk_list(&walk, list, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &window))
		if (window_has_day(&window, day))
			return true;
	return false;
}

/* Tells whether a line fulfils one restriction. */
static bool
line_holds(const PromoCart *cart, const PromoItem *item, int restriction,
		   const PromoTrip *trip)
{
	switch (restriction)
	{
		case PROMO_R_ROUTES:
			return on_routes(cart, item, trip);
		case PROMO_R_EXCEPT_ROUTES:
			return !on_routes(cart, item, trip);
		case PROMO_R_FARE_CLASSES:
			return fact_in(&trip->fare_class, item);
		case PROMO_R_EXCEPT_FARE_CLASSES:
			return !fact_in(&trip->fare_class, item);
		case PROMO_R_CABINS:
			return fact_in(&trip->cabin, item);
		case PROMO_R_EXCEPT_CABINS:
			return !fact_in(&trip->cabin, item);
		case PROMO_R_TRAVEL:
			return trip->departs && window_has_day(item, trip->day);
		case PROMO_R_BLACKOUT:
			return !trip->departs || !in_windows(item, trip->day);
		default:
			return trip->departs && weekdays_have(item, weekday_of(trip->day));
	}
}

/* Tells whether a line fulfils all restrictions of lines. */
bool
promo_restrict_line(const PromoCart *cart, const Promotion *promotion,
					int line)
{
	const PromoRestricted *restricted = promotion->restricted;

	if (restricted == NULL || (restricted->given & OF_LINES) == 0)
		return true;
	CHECK_FOR_INTERRUPTS();
	for (int i = PROMO_R_ROUTES; i < PROMO_RESTRICTIONS; i++)
		if ((restricted->given & BIT(i)) != 0 &&
			!line_holds(cart, &restricted->items[i], i, &cart->trips[line]))
			return false;
	return true;
}

/* Notes the restrictions that no line of a cart fulfils. */
void
promo_restrict_lines(const PromoCart *cart, Promotion *promotion)
{
	PromoRestricted *restricted = promotion->restricted;

	if (restricted == NULL)
		return;
	for (int i = PROMO_R_ROUTES; i < PROMO_RESTRICTIONS; i++)
	{
		bool held = (restricted->given & BIT(i)) == 0;

		for (int line = 0; line < cart->nlines && !held; line++)
		{
			CHECK_FOR_INTERRUPTS();
			held =
				line_holds(cart, &restricted->items[i], i, &cart->trips[line]);
		}
		if (!held)
			restricted->failed |= BIT(i);
	}
}
