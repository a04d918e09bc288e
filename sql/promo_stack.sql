-- promo: the best set of promotions for a cart. Pure functions, no tables.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_best_set(
    promotions jsonb,
    cart jsonb,
    objective text DEFAULT 'customer',
    policy jsonb DEFAULT '{}')
    RETURNS jsonb
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.promo_best_set(jsonb, jsonb, text, jsonb) IS
'Returns the best allowed set of promotions for a cart, found exactly: its promotions in the order of application with the discount per line, lines, amount, discount and to_pay, points, margin (where every line has a cost), second_best (what the next best set comes to, null: there is none, or the objective is priority), and left_out: every other promotion with all reasons and what is missing. promotions: a list; cart: currency and lines; policy: rules for all promotions; docs/promo.md has their keys. objective: customer (the largest discount, with what points are worth), margin (of the sets to which nothing can be added, the smallest), priority (the strongest promotion, then each next that may be combined). Sets with equal results: the one that has the promotion applied first, where they differ. The order of promotions does not matter. NULL gives NULL. Errors, each with its place: 22023 keys, kinds and values that do not fit, mixed currencies, overlapping bands, ids given twice; 22003 numbers out of range, negative amounts, more decimals than the currency has; 54000 more than 10,000 lines, 1,000 promotions, 64 that apply, texts over 1,000 bytes, or more sets than can be compared. Time grows with the sets that have to be looked at; branch and bound leaves out most.';

CREATE FUNCTION @extschema@.promo_price(
    promotions jsonb,
    cart jsonb,
    policy jsonb DEFAULT '{}')
    RETURNS jsonb
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.promo_price(jsonb, jsonb, jsonb) IS
'Returns what all the given promotions take off a cart, in the order of application: promotions, lines, amount, discount, to_pay, points, margin as for promo_best_set(). NULL gives NULL. Errors: those of promo_best_set(), and 22023 a promotion that does not apply to the cart, promotions that cannot be combined, or more than the policy allows. O(promotions * lines).';

CREATE FUNCTION @extschema@.promo_stackable(
    a jsonb,
    b jsonb,
    policy jsonb DEFAULT '{}')
    RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.promo_stackable(jsonb, jsonb, jsonb) IS
'Tells whether two promotions may be combined: neither is kept out by stackable and combine_with, excludes, or categories of the policy. a and b can be exchanged. NULL gives NULL. Errors: those of promo_best_set() for a promotion and a policy.';

CREATE FUNCTION @extschema@.promo_conflicts(
    promotions jsonb,
    policy jsonb DEFAULT '{}')
    RETURNS TABLE (promotion bigint, other bigint, rules text[])
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000 ROWS 100;
COMMENT ON FUNCTION @extschema@.promo_conflicts(jsonb, jsonb) IS
'Returns the pairs of promotions of a list that may not be combined, by id, the smaller id first, with the rules that say so: stackable (one is not, and does not have the other in combine_with), excludes (one has the other in excludes), exclusive_category (one is in an exclusive category, the other neither in it nor in a joint one), category (both are in a category of which one may be had). NULL gives no row. Errors: those of promo_best_set() for promotions and a policy. O(square of the promotions).';

CREATE FUNCTION @extschema@.promo_check(promotion jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.promo_check(jsonb) IS
'Returns true for a promotion that promo_best_set() takes. Without a currency, amounts have up to 4 decimals. NULL gives NULL. Errors: those of promo_best_set() for a promotion.';

CREATE FUNCTION @extschema@.promo_applies(promotion jsonb, cart jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION @extschema@.promo_applies(jsonb, jsonb) IS
'Tells whether a cart qualifies for a promotion by itself: promo_best_set() would give no reason against it but that others are better. NULL gives NULL. Errors: those of promo_best_set(). O(lines).';

CREATE FUNCTION @extschema@.promo_route_keys(routes text[]) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION @extschema@.promo_route_keys(text[]) IS
'Returns for each route one of its two places, an airport rather than another: a journey on it touches that place, see promo_cart_places(). NULL gives NULL. Error: 22023 a text that is no route. O(routes).';

CREATE FUNCTION @extschema@.promo_route_places(routes text[]) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION @extschema@.promo_route_places(text[]) IS
'Returns the places that routes name, two for each. NULL gives NULL. Error: 22023 a text that is no route. O(routes).';

CREATE FUNCTION @extschema@.promo_cart_places(cart jsonb) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.promo_cart_places(jsonb) IS
'Returns the airports on the routes of a cart''s lines, with the places that each lies in by key places of the cart. NULL gives NULL. Errors: those of promo_best_set() for a cart. O(lines * places of an airport).';
