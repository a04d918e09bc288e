/*
 * Promotions and a cart: what is read, how a promotion is applied, which may
 * be combined, and the search for the best set. Amounts are whole minor units
 * of the cart's currency, percentages ten-thousandths of a percent.
 */
#ifndef IAROS_PROMO_PROMO_H
#define IAROS_PROMO_PROMO_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "promo/json.h"

#define PROMO_LINES_MAX 10000
#define PROMO_PROMOTIONS_MAX 1000
#define PROMO_LIST_MAX 1000
#define PROMO_BANDS_MAX 100
#define PROMO_CATEGORIES_MAX 64
/* Promotions that are searched: bits of a mask. */
#define PROMO_SEARCH_MAX 64
#define PROMO_QUANTITY_MAX INT64CONST(1000000)
/* Of a cart, so that an amount times PROMO_WHOLE fits 64 bits. */
#define PROMO_AMOUNT_MAX INT64CONST(9000000000000)
#define PROMO_PERCENT_SCALE 4
#define PROMO_WHOLE INT64CONST(1000000) /* 100 percent */
#define PROMO_POINTS_MAX INT64CONST(1000000000)
#define PROMO_POINT_SCALE 6

/* Most points of a route. */
#define PROMO_ROUTE_MAX 20

#define PROMO_NONE (-1)

typedef struct PromoLine
{
	PromoText id;
	JsonbContainer *object;
	JsonbContainer *attributes; /* NULL: none */
	int64 quantity;
	int64 price;
	int64 amount;
	int64 cost; /* of all units; PROMO_NONE when not known */
} PromoLine;

/* What restrictions ask of a line beside applies_to; read when one does. */
typedef struct PromoTrip
{
	const char *points; /* three letters each, four bytes apart */
	int npoints;        /* 0: no route */
	bool departs;
	int32 day; /* of departure, counted from 2000-01-01 */
	PromoItem fare_class;
	PromoItem cabin;
} PromoTrip;

/* What restrictions ask of a purchase as a whole; data NULL: not given. */
typedef struct PromoFacts
{
	const PromoItem *cart;
	bool with_at;
	Timestamp at;    /* UTC */
	Timestamp local; /* as the clock shows where the cart was made */
	PromoItem channel;
	PromoItem segments;
	PromoItem tiers;
	PromoItem party;
	PromoItem first_booking;
	PromoItem places;
} PromoFacts;

typedef struct PromoCart
{
	char currency[4];
	int minor_unit;
	int nlines;
	PromoLine *lines;
	PromoTrip *trips; /* NULL until a promotion restricts them */
	MemoryContext context;
	PromoItem list; /* of the lines */
	PromoFacts facts;
	int64 amount;
	int64 cost; /* PROMO_NONE unless known of every line */
} PromoCart;

typedef struct PromoCategory
{
	PromoText name;
	int rank;
	bool exclusive;
	bool joint;
	int max; /* promotions in a set; PROMO_NONE: any number */
} PromoCategory;

typedef struct PromoPolicy
{
	int max_promotions;  /* PROMO_NONE: any number */
	int candidates;      /* PROMO_NONE: as many as can be searched, no more */
	int64 total_cap;     /* PROMO_NONE: none */
	int64 total_percent; /* PROMO_NONE: none */
	int64 point_value;   /* 10^-PROMO_POINT_SCALE of the currency */
	int ncategories;
	PromoCategory *categories;
} PromoPolicy;

typedef enum PromoKind
{
	PROMO_PERCENTAGE,
	PROMO_FIXED_AMOUNT,
	PROMO_FIXED_PRICE,
	PROMO_PER_UNIT,
	PROMO_TIERED, /* becomes one of the first two, or nothing */
	PROMO_BUY_X_GET_Y,
	PROMO_CHEAPEST,
	PROMO_DEAREST,
	PROMO_FREE,
	PROMO_POINTS,
} PromoKind;

typedef struct PromoBand
{
	int64 from;
	int64 to; /* PROMO_NONE: open */
	int64 percent;
	int64 amount;
} PromoBand;

typedef struct PromoDiscount
{
	PromoKind kind;
	int64 percent;
	int64 amount;
	int64 cap; /* PROMO_NONE: none */
	int64 buy;
	int64 get; /* units that are discounted */
	int64 times;
	int64 points;
	int64 per;     /* PROMO_NONE: points do not depend on the amount */
	bool by_spend; /* tiered */
	int nbands;
	PromoBand *bands;
	PromoItem buy_of; /* data NULL: the lines of applies_to */
} PromoDiscount;

/* A list of ids and codes. */
typedef struct PromoRefs
{
	int n;
	struct PromoRef
	{
		PromoText code; /* data NULL: id */
		int64 id;
	} * refs;
} PromoRefs;

/* Restrictions in the order of their reasons; see restrict.c. */
typedef enum PromoRestriction
{
	PROMO_R_REFUSED,
	PROMO_R_VALID,
	PROMO_R_BOOKING_WEEKDAYS,
	PROMO_R_CHANNELS,
	PROMO_R_CURRENCIES,
	PROMO_R_SEGMENTS,
	PROMO_R_EXCEPT_SEGMENTS,
	PROMO_R_TIERS,
	PROMO_R_PARTY,
	PROMO_R_FIRST_BOOKING,
	/* From here on, of lines. */
	PROMO_R_ROUTES,
	PROMO_R_EXCEPT_ROUTES,
	PROMO_R_FARE_CLASSES,
	PROMO_R_EXCEPT_FARE_CLASSES,
	PROMO_R_CABINS,
	PROMO_R_EXCEPT_CABINS,
	PROMO_R_TRAVEL,
	PROMO_R_BLACKOUT,
	PROMO_R_WEEKDAYS,
	PROMO_RESTRICTIONS
} PromoRestriction;

typedef struct PromoRestricted
{
	uint32 given;  /* bits of PromoRestriction */
	uint32 failed; /* those by which the cart does not qualify */
	bool early;    /* PROMO_R_VALID failed: it has not begun */
	PromoItem items[PROMO_RESTRICTIONS];
} PromoRestricted;

typedef struct Promotion
{
	PromoItem item;
	int64 id;
	PromoText code; /* data NULL: none */
	int64 priority;
	bool order;   /* else item level */
	bool initial; /* base of the discount */
	PromoDiscount discount;
	PromoItem applies_to; /* data NULL: all lines */
	PromoItem except;     /* data NULL: none */
	int64 min_purchase;
	int64 min_quantity;
	bool min_of_cart;
	char currency[4]; /* "": any */
	bool stackable;
	PromoRefs combine_with;
	PromoRefs excludes;
	uint64 categories; /* bits of those of the policy */
	int rank;
	bool asked;                  /* comes first among candidates */
	PromoRestricted *restricted; /* NULL: by nothing */

	/* What the cart makes of it. */
	int nlines;
	int *lines;
	int nbuy;
	int *buy_lines; /* the cheapest unit first, as by_price */
	int *by_price;  /* positions in lines, the cheapest unit first */
	int64 spend;
	int64 units;
	int64 missing_purchase; /* what is missing, 0: nothing */
	int64 missing_quantity;
	int64 missing_units;
	int64 missing_band; /* in the measure of the bands */
	bool wrong_currency;
	bool eligible;
	bool beyond; /* more than there may be candidates */
	int bit;     /* in masks of the search; PROMO_NONE */
	int64 alone; /* what it takes off by itself */
} Promotion;

/* A call: everything that was read. */
typedef struct PromoCase
{
	PromoCart cart;
	PromoPolicy policy;
	int n;
	Promotion *promotions;
	Promotion **by_id; /* in the order of their ids */
	int64 room;        /* most that may be taken off */
	bool with_units;   /* some promotion counts units */

	/* The eligible, in the order in which they are applied. */
	int nbits;
	Promotion *ordered[PROMO_SEARCH_MAX];
	uint64 conflicts[PROMO_SEARCH_MAX];
	uint64 category_bits[PROMO_CATEGORIES_MAX];
	uint64 limited; /* categories with a maximum */

	/* Scratch, one a line. */
	int64 *weights;
	int64 *picked;
} PromoCase;

/* What a promotion takes off. */
typedef struct PromoTaken
{
	int64 total;
	int64 points;
	int64 benefit; /* total and what the points are worth */
} PromoTaken;

/* read_cart.c, read_promotion.c */
extern void promo_read_cart(const PromoItem *item, PromoCart *cart);
extern void promo_read_policy(const PromoItem *item, int minor_unit,
							  PromoPolicy *policy);
extern void promo_read_list(const PromoItem *item, PromoCase *a);
extern void promo_read_one(const PromoItem *item, const PromoCase *a,
						   Promotion *promotion);
extern void promo_read_currency(const PromoItem *item, char *currency,
								int *minor_unit);

/* restrict.c */
extern const char *const promo_restriction_reasons[];
extern void promo_read_restriction(const PromoItem *item, int restriction,
								   Promotion *promotion);
extern void promo_restrict(PromoCart *cart, Promotion *promotion);
extern bool promo_restrict_line(const PromoCart *cart,
								const Promotion *promotion, int line);
extern void promo_restrict_lines(const PromoCart *cart, Promotion *promotion);

/* route.c */
typedef struct PromoRoute
{
	bool leg;  /* each flight, else from the first to the last point */
	bool both; /* in both directions */
	PromoText from;
	PromoText to;
} PromoRoute;

extern void promo_read_route(const PromoItem *item, PromoRoute *route);
extern bool promo_route_parse(PromoText text, PromoRoute *route);
extern void promo_read_trips(PromoCart *cart);
extern int promo_trip_pairs(const PromoTrip *trip, bool leg);
extern void promo_trip_pair(const PromoTrip *trip, bool leg, int i,
							const char **from, const char **to);
extern bool promo_route_holds(const PromoCart *cart, const PromoItem *item,
							  const PromoTrip *trip);

/* select.c */
extern void promo_select_check(const Promotion *promotion);
extern void promo_select(PromoCase *a);

/* price.c */
extern bool promo_counts_units(const Promotion *promotion);
extern int64 promo_pick(const PromoCase *a, const Promotion *promotion,
						const int64 *used, int64 *picked);
extern void promo_use(const PromoCase *a, const Promotion *promotion,
					  int64 *used, int64 times, const int64 *picked);
extern int64 promo_amount(PromoCase *a, const Promotion *promotion,
						  const int64 *left, const int64 *used, int64 *points);
extern PromoTaken promo_apply(PromoCase *a, const Promotion *promotion,
							  int64 *left, int64 *used, int64 room,
							  int64 *lines);
extern int64 promo_points_worth(const PromoCase *a, int64 points);

/* stack.c */
typedef enum PromoClash
{
	PROMO_CLASH_NONE = 0,
	PROMO_CLASH_STACKABLE = 1,
	PROMO_CLASH_EXCLUDES = 2,
	PROMO_CLASH_EXCLUSIVE = 4,
	PROMO_CLASH_CATEGORY = 8,
} PromoClash;

extern int promo_clash(const PromoCase *a, const Promotion *one,
					   const Promotion *other);
extern void promo_order(PromoCase *a);
extern bool promo_fits(const PromoCase *a, uint64 chosen, int bit);
extern uint64 promo_room_for(const PromoCase *a, uint64 chosen,
							 uint64 available);

/* search.c */
typedef enum PromoObjective
{
	PROMO_CUSTOMER,
	PROMO_MARGIN,
	PROMO_PRIORITY,
} PromoObjective;

typedef struct PromoSet
{
	bool found;
	uint64 mask;
	int64 value; /* benefit; its negative for the margin */
	int64 total;
} PromoSet;

typedef struct PromoFound
{
	PromoSet best;
	PromoSet second;
} PromoFound;

extern void promo_search(PromoCase *a, PromoObjective objective,
						 PromoFound *found);
extern int promo_compare_strength(const void *a, const void *b);
extern PromoSet promo_price_mask(PromoCase *a, uint64 mask, uint64 *idle);

/* bound.c */
typedef struct BoundStep
{
	double taken;   /* off a line */
	double slope;   /* of what is left in what was there */
	double unit;    /* taken off a unit */
	double rounded; /* taken off for what rounding may take */
} BoundStep;

/* What the rounding of a promotion takes at most. */
typedef struct PromoRounding
{
	double total; /* of all its lines together */
	double moved; /* of some, which others have more */
} PromoRounding;

/* Which units a promotion discounts after others. */
typedef struct PromoUnits
{
	uint64 rivals; /* that count units of the same lines */
	bool shared;   /* others may use units before */
	int64 get;     /* units it discounts at most */
	int64 rest;    /* units it leaves of its lines at most when taken */
	int64 *picked; /* of each line at most */
	int64 *used;   /* of each line, and each to buy of, at most */
} PromoUnits;

typedef struct PromoBound
{
	BoundStep *steps; /* scratch, one a line of each promotion */
	double *left;     /* scratch, one a line */
	int64 *uses;      /* units that promotions may use, one a line */
	int64 *used;      /* and that those use of which it is known */
	uint64 known;     /* promotions of which it is known what they use */
	double extra;     /* that is left at least beyond what lines say */
	int64 alone[PROMO_SEARCH_MAX];
	PromoRounding rounding[PROMO_SEARCH_MAX];
	double gain[PROMO_SEARCH_MAX];  /* left of an order's price beyond lines */
	double slope[PROMO_SEARCH_MAX]; /* of that in what was there */
	PromoUnits units[PROMO_SEARCH_MAX];
	bool plain;  /* nothing is expected to be left out */
	uint64 best; /* set found so far */
	uint64 must; /* promotions that are in all sets to bound */
	uint64 work; /* lines looked at */
} PromoBound;

extern bool promo_is_price(const Promotion *promotion);
extern int64 promo_bound(PromoCase *a, PromoBound *bound, const int64 *left,
						 const int64 *used, uint64 *useful, int count,
						 int64 room, int64 enough);

/* cover.c */
extern double promo_cover_weight(const PromoCase *a, uint64 promotions,
								 double *weights, int count);
extern int64 promo_cover_alone(const PromoCase *a, const PromoBound *bound,
							   uint64 available, int count);
extern uint64 promo_cover_out(const PromoCase *a, const PromoBound *bound,
							  uint64 available);

/* units.c */
extern void promo_units_start(const PromoCase *a, PromoBound *bound);
extern int64 promo_units(PromoCase *a, PromoBound *bound,
						 const Promotion *promotion, const int64 *left,
						 const int64 *used, uint64 before);

/* result.c */
extern Jsonb *promo_result(PromoCase *a, const char *objective,
						   const PromoFound *found);
extern const char *const promo_clash_names[];

#endif /* IAROS_PROMO_PROMO_H */
