-- promo: the shapes of results and errors of the best set.
SET search_path TO iaros, public;
\set cart '{"currency": "EUR", "lines": [{"id": "1", "product": "JFK-LHR", "kind": "fare", "quantity": 2, "price": 120.00, "cost": 80, "attributes": {"cabin": "economy", "party": 2, "flex": true}}, {"id": 2, "product": "bag", "kind": "ancillary", "price": 35.50, "cost": 5}]}'
\set one '{"currency": "EUR", "lines": [{"id": "1", "price": 10}]}'
-- a result in full
SELECT jsonb_pretty(promo_best_set('[
    {"id": 1, "code": "SUMMER20", "priority": 1, "discount": {"kind": "percentage", "value": 20, "cap": 50}, "min_purchase": 100},
    {"id": 2, "code": "LOYALTY10", "priority": 2, "discount": {"kind": "percentage", "value": 10}},
    {"id": 3, "code": "BAG", "discount": {"kind": "free"}, "applies_to": {"kind": "ancillary", "product": ["bag", "seat"]}},
    {"id": 4, "code": "ONLY", "stackable": false, "combine_with": ["BAG"], "discount": {"kind": "fixed_amount", "value": 60}},
    {"id": 5, "code": "BIG", "min_purchase": 1000, "discount": {"kind": "fixed_amount", "value": 60}, "applies_to": {"cabin": "first"}}]', :'cart'));
SELECT promo_best_set('[]', :'cart');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": []}');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 10}}]', '{"currency": "EUR", "lines": []}') -> 'left_out';
SELECT promo_best_set(NULL, :'cart'), promo_price(NULL, :'cart'), promo_stackable(NULL, '{}');
-- each kind of discount
CREATE TEMP TABLE kind (n serial, rest jsonb);
INSERT INTO kind (rest) VALUES
    ('{"discount": {"kind": "percentage", "value": 33.3333}}'),
    ('{"discount": {"kind": "percentage", "value": 50, "cap": 10}}'),
    ('{"discount": {"kind": "percentage", "value": 100}}'),
    ('{"discount": {"kind": "fixed_amount", "value": 400}}'),
    ('{"discount": {"kind": "fixed_amount", "value": 20}, "level": "item"}'),
    ('{"discount": {"kind": "fixed_price", "value": 100}}'),
    ('{"discount": {"kind": "fixed_price", "value": 100}, "level": "item"}'),
    ('{"discount": {"kind": "per_unit", "value": 50}}'),
    ('{"discount": {"kind": "tiered", "bands": [{"from": 300, "percentage": 30}, {"from": 200, "percentage": 20}]}}'),
    ('{"discount": {"kind": "tiered", "by": "quantity", "bands": [{"from": 3, "amount": 5}]}}'),
    ('{"discount": {"kind": "tiered", "by": "quantity", "bands": [{"from": 5, "amount": 5}]}}'),
    ('{"discount": {"kind": "tiered", "bands": [{"from": 100, "to": 200, "percentage": 20}]}}'),
    ('{"discount": {"kind": "buy_x_get_y", "buy": 2, "get": 1}}'),
    ('{"discount": {"kind": "buy_x_get_y", "buy": 2, "get": 1, "percentage": 50, "buy_of": {"kind": "fare"}}}'),
    ('{"discount": {"kind": "buy_x_get_y", "buy": 3, "get": 2}}'),
    ('{"discount": {"kind": "cheapest"}}'),
    ('{"discount": {"kind": "dearest", "percentage": 10, "units": 2}}'),
    ('{"discount": {"kind": "free"}, "applies_to": {"kind": "ancillary"}}'),
    ('{"discount": {"kind": "points", "points": 5, "per": 10}}'),
    ('{"discount": {"kind": "points", "points": 500}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "applies_to": {"cabin": ["economy", "business"], "party": 2.0, "flex": true}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "applies_to": {"party": "2"}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "except": {"product": "JFK-LHR", "cabin": "x"}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "applies_to": {"id": "2"}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "min_purchase": 300, "min_quantity": 5, "applies_to": {"kind": "x"}}'),
    ('{"discount": {"kind": "percentage", "value": 10}, "min_purchase": 40, "min_of": "lines", "applies_to": {"kind": "ancillary"}}'),
    ('{"discount": {"kind": "fixed_amount", "value": 1.234}, "currency": "KWD"}');
SELECT n, r -> 'discount' AS discount, r -> 'points' AS points, r #> '{promotions,0,lines}' AS lines, r #> '{left_out,0,reasons}' AS reasons
FROM kind CROSS JOIN LATERAL promo_best_set(jsonb_build_array(rest || '{"id": 1}'), :'cart') AS r ORDER BY n;
-- no decimals, three decimals
SELECT promo_price('[{"id": 1, "discount": {"kind": "percentage", "value": 10}}]', '{"currency": "JPY", "lines": [{"id": "a", "price": 1005}, {"id": "b", "price": 1000, "quantity": 3}]}');
SELECT promo_price('[{"id": 1, "discount": {"kind": "percentage", "value": 10}}]', '{"currency": "KWD", "lines": [{"id": "a", "price": 10.005}]}');
-- units are used once, what is exclusive, categories, limits of the policy
SELECT promo_price('[{"id": 1, "discount": {"kind": "buy_x_get_y", "buy": 1, "get": 1}}, {"id": 2, "discount": {"kind": "cheapest"}}]',
    '{"currency": "EUR", "lines": [{"id": "1", "price": 10, "quantity": 3}]}') -> 'promotions';
CREATE TEMP TABLE stack (n serial, promotions jsonb, policy jsonb);
INSERT INTO stack (promotions, policy) VALUES
    ('[{"id": 1, "stackable": false}, {"id": 2}]', '{}'),
    ('[{"id": 1, "stackable": false, "combine_with": [2]}, {"id": 2}]', '{}'),
    ('[{"id": 1, "combine_with": ["B"]}, {"id": 2, "code": "B", "combine_with": ["C", 1]}]', '{}'),
    ('[{"id": 1, "combine_with": ["B"]}, {"id": 2, "code": "B", "combine_with": ["C"]}]', '{}'),
    ('[{"id": 1, "excludes": [2]}, {"id": 2}]', '{}'),
    ('[{"id": 1, "categories": ["X"]}, {"id": 2}]', '{"categories": [{"name": "X", "kind": "exclusive"}]}'),
    ('[{"id": 1, "categories": ["X"]}, {"id": 2, "categories": ["X"]}]', '{"categories": [{"name": "X", "kind": "exclusive"}]}'),
    ('[{"id": 1, "categories": ["X"]}, {"id": 2, "categories": ["J"]}]', '{"categories": [{"name": "X", "kind": "exclusive"}, {"name": "J", "kind": "joint"}]}'),
    ('[{"id": 1, "categories": ["X"]}, {"id": 2, "categories": ["X"]}]', '{"categories": [{"name": "X", "max": 1}]}'),
    ('[{"id": 1}, {"id": 2}]', '{"max_promotions": 1}'),
    ('[{"id": 1}, {"id": 2}]', '{"total_cap": 0.5}'),
    ('[{"id": 1}, {"id": 2}]', '{"total_cap_percentage": 10}');
SELECT n, promo_stackable(p -> 0, p -> 1, policy) AS stackable, promo_stackable(p -> 1, p -> 0, policy) AS again,
    (SELECT c::text FROM promo_conflicts(p, policy) c) AS conflict, r -> 'discount' AS discount, r -> 'left_out' AS left_out
FROM stack
CROSS JOIN LATERAL (SELECT jsonb_agg(q || '{"discount": {"kind": "fixed_amount", "value": 1}}' ORDER BY q ->> 'id') AS p FROM jsonb_array_elements(promotions) AS q) s
CROSS JOIN LATERAL promo_best_set(p, :'one', 'customer', policy) AS r ORDER BY n;
SELECT r -> 'discount' AS discount, r -> 'left_out' AS left_out
FROM promo_best_set('[{"id": 1, "categories": ["X"], "discount": {"kind": "fixed_amount", "value": 1}}, {"id": 2, "categories": ["X"], "discount": {"kind": "fixed_amount", "value": 2}}, {"id": 3, "categories": ["X"], "discount": {"kind": "fixed_amount", "value": 3}}]',
    :'one', 'customer', '{"categories": [{"name": "X", "max": 2, "rank": 1}]}') AS r;
-- objectives
SELECT o, r -> 'discount' AS discount, r -> 'margin' AS margin, r -> 'second_best' AS second_best, jsonb_path_query_array(r, '$.promotions[*].id') AS ids
FROM unnest('{customer,margin,priority}'::text[]) AS o
CROSS JOIN LATERAL promo_best_set('[{"id": 1, "priority": 1, "excludes": [2, 3], "discount": {"kind": "fixed_amount", "value": 12}}, {"id": 2, "priority": 2, "discount": {"kind": "fixed_amount", "value": 9}}, {"id": 3, "priority": 2, "discount": {"kind": "fixed_amount", "value": 8}}]', :'cart', o) AS r;
SELECT r -> 'points' AS points, r -> 'points_worth' AS worth, r -> 'discount' AS discount
FROM promo_best_set('[{"id": 1, "excludes": [2], "discount": {"kind": "fixed_amount", "value": 2}}, {"id": 2, "discount": {"kind": "points", "points": 500}}]', :'cart', 'customer', '{"point_value": 0.005}') AS r;
-- restrictions of the purchase: just inside, just outside, with the reason
\set friday '{"currency": "EUR", "at": "2026-07-03T23:30:00-05:00", "channel": "web", "segments": ["Champions", "Loyal"], "tiers": ["GOLD"], "party": 3, "first_booking": true, "customer": 1, "booking": 7, "lines": [{"id": "1", "price": 100}]}'
CREATE TEMP TABLE whole (n serial, rest jsonb, more jsonb DEFAULT '{}');
INSERT INTO whole (rest, more) VALUES
    ('{"valid": {"from": "2026-07-04T04:30:00Z"}}', '{}'),
    ('{"valid": {"from": "2026-07-04T04:30:00.000001Z"}}', '{}'),
    ('{"valid": {"to": "2026-07-04T04:30:00Z"}}', '{}'),
    ('{"valid": {"to": "2026-07-04T04:30:00.000001Z"}}', '{}'),
    ('{"valid": {"from": "2026-07-03", "to": "2026-07-04"}}', '{}'),
    ('{"valid": {"from": "2026-07-04"}}', '{}'),
    ('{"valid": {"to": "2026-07-03"}}', '{}'),
    ('{"valid": {"from": null, "to": null}}', '{}'),
    ('{"booking_weekdays": [5]}', '{}'),
    ('{"booking_weekdays": [1, 2, 3, 4, 6, 7]}', '{}'),
    ('{"channels": ["web", "app"]}', '{}'),
    ('{"channels": ["Web"]}', '{}'),
    ('{"channels": ["web"]}', '{"channel": null}'),
    ('{"currencies": ["EUR", "USD"]}', '{}'),
    ('{"currencies": ["USD"]}', '{}'),
    ('{"currency": "USD", "currencies": ["USD"]}', '{}'),
    ('{"segments": ["Loyal", "At Risk"]}', '{}'),
    ('{"segments": ["At Risk"]}', '{}'),
    ('{"segments": ["Loyal"]}', '{"segments": []}'),
    ('{"except_segments": ["At Risk"]}', '{}'),
    ('{"except_segments": ["At Risk", "Champions"]}', '{}'),
    ('{"except_segments": ["Champions"]}', '{"segments": null}'),
    ('{"tiers": ["GOLD"]}', '{}'),
    ('{"tiers": ["PLATINUM"]}', '{}'),
    ('{"tiers": ["GOLD"]}', '{"tiers": null}'),
    ('{"party": {"min": 3, "max": 3}}', '{}'),
    ('{"party": {"min": 4}}', '{}'),
    ('{"party": {"max": 2}}', '{}'),
    ('{"party": {"max": 1}}', '{"party": null}'),
    ('{"first_booking": true}', '{}'),
    ('{"first_booking": true}', '{"first_booking": false}'),
    ('{"first_booking": true}', '{"first_booking": null}'),
    ('{"first_booking": false}', '{"first_booking": false}'),
    ('{"refused": [{"reason": "limit", "scope": "total"}, {"reason": "house"}]}', '{}'),
    ('{"refused": []}', '{}'),
    ('{"valid": {"from": "2026-08-01"}, "channels": ["app"], "tiers": ["PLATINUM"], "min_purchase": 120}', '{}');
SELECT n, rest, nullif(more, '{}') AS more, promo_applies(promotion, asked) AS applies, r #> '{left_out,0,reasons}' AS reasons
FROM whole
CROSS JOIN LATERAL (SELECT rest || '{"id": 1, "discount": {"kind": "percentage", "value": 10}}' AS promotion, jsonb_strip_nulls(:'friday' || more) AS asked) AS c
CROSS JOIN LATERAL promo_best_set(jsonb_build_array(promotion), asked) AS r ORDER BY n;
-- restrictions of lines: which of them are taken something off
\set trip '{"currency": "EUR", "places": {"JFK": ["NYC", "US", "United States", "North America"], "LHR": ["LON", "GB", "United Kingdom", "Europe"], "FRA": ["FRA", "DE", "Germany", "Europe"], "CDG": ["PAR", "FR", "France", "Europe", "Euro zone"]}, "lines": [{"id": "out", "price": 100, "attributes": {"route": "JFK-LHR-FRA", "departure": "2026-07-04T09:00:00+02:00", "fare_class": "Y", "cabin": "economy"}}, {"id": "back", "price": 100, "attributes": {"route": "FRA-JFK", "departure": "2026-07-20", "fare_class": "J", "cabin": "business"}}, {"id": "round", "price": 100, "attributes": {"route": "CDG-JFK-CDG", "departure": "2026-07-31", "fare_class": "M", "cabin": "economy"}}, {"id": "bag", "price": 30, "product": "bag"}]}'
CREATE TEMP TABLE part (n serial, rest jsonb);
INSERT INTO part (rest) VALUES
    ('{"routes": ["JFK-FRA"]}'), ('{"routes": ["JFK>FRA"]}'), ('{"routes": ["FRA>JFK"]}'), ('{"routes": ["JFK-LHR"]}'),
    ('{"routes": ["leg JFK-LHR"]}'), ('{"routes": ["leg LHR>JFK"]}'), ('{"routes": ["CDG>JFK"]}'), ('{"routes": ["JFK>CDG"]}'),
    ('{"routes": ["leg JFK>CDG"]}'), ('{"routes": ["Germany<>North America"]}'), ('{"routes": ["Germany>North America"]}'),
    ('{"routes": ["Europe>US"]}'), ('{"routes": ["Euro zone<>NYC"]}'), ('{"routes": ["*>US"]}'), ('{"routes": ["US-*", "SIN-SYD"]}'),
    ('{"routes": ["*-*"]}'), ('{"routes": ["leg *>LHR"]}'), ('{"routes": ["SIN-SYD"]}'), ('{"routes": ["germany-US"]}'),
    ('{"except_routes": ["JFK-FRA"]}'), ('{"except_routes": ["*-*"]}'), ('{"except_routes": ["*-*"], "applies_to": {"id": ["out", "back"]}}'),
    ('{"fare_classes": ["Y", "M"]}'), ('{"fare_classes": ["y"]}'), ('{"except_fare_classes": ["Y", "M"]}'),
    ('{"cabins": ["business"]}'), ('{"cabins": ["first"]}'), ('{"except_cabins": ["economy"]}'),
    ('{"travel": {"from": "2026-07-04", "to": "2026-07-20"}}'), ('{"travel": {"from": "2026-07-05", "to": "2026-07-21"}}'),
    ('{"travel": {"to": "2026-07-04"}}'), ('{"travel": {"from": "2026-07-31"}}'), ('{"travel": {}}'),
    ('{"blackout": [{"from": "2026-07-04", "to": "2026-07-05"}, {"from": "2026-07-31", "to": "2026-08-01"}]}'),
    ('{"blackout": [{}]}'), ('{"blackout": [{}], "cabins": ["economy"]}'),
    ('{"weekdays": [6]}'), ('{"weekdays": [1, 5]}'), ('{"weekdays": [2]}'),
    ('{"cabins": ["economy"], "weekdays": [1]}'), ('{"cabins": ["economy"], "min_purchase": 250, "min_of": "lines"}');
SELECT n, rest, jsonb_path_query_array(r, '$.promotions[0].lines[*].id') AS lines, r #> '{left_out,0,reasons}' AS reasons
FROM part CROSS JOIN LATERAL promo_best_set(jsonb_build_array(rest || '{"id": 1, "discount": {"kind": "percentage", "value": 10}}'), :'trip') AS r ORDER BY n;
SELECT bool_and(promo_applies(rest || '{"id": 1, "discount": {"kind": "percentage", "value": 10}}', :'trip') = (r -> 'left_out' = '[]')) AS applies_agrees
FROM part CROSS JOIN LATERAL promo_best_set(jsonb_build_array(rest || '{"id": 1, "discount": {"kind": "percentage", "value": 10}}'), :'trip') AS r;
-- where journeys go
SELECT promo_route_keys('{JFK-LAX,JFK>LAX,leg Spain<>MAD,*>US,US>*,*-*,"North America <> BCN"}'), promo_route_places('{JFK-LAX,"leg Spain<>North America",*>US}'),
    promo_route_keys('{}'), promo_route_places('{}'), promo_route_keys(NULL) IS NULL, promo_route_places(NULL) IS NULL;
SELECT promo_cart_places(:'trip'), promo_cart_places(:'one'), promo_cart_places(NULL) IS NULL;
SELECT promo_check('{"id": 1, "routes": ["JFK-LAX"], "discount": {"kind": "fixed_amount", "value": 1.2345}}'), promo_check(NULL), promo_applies(NULL, :'one'), promo_applies('{}', NULL);
-- errors say where
\set VERBOSITY default
SELECT promo_best_set('{}', :'one');
SELECT promo_best_set('3', :'one');
SELECT promo_best_set('[3]', :'one');
SELECT promo_best_set('[{}]', :'one');
SELECT promo_best_set('[{"id": 1}]', :'one');
SELECT promo_best_set('[{"id": "x", "discount": {}}]', :'one');
SELECT promo_best_set('[{"id": 1.5, "discount": {}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "gift"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": -5}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 0}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 100.0001}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 10.00001}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": "10"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 10, "buy": 1}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 10, "Buy": 1}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "fixed_amount", "value": 0.001}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "fixed_amount", "value": 1e300}}]', :'one');
SELECT promo_best_set('[{"id": 1, "level": "order", "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "stackable": true, "combine_with": [2], "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "combine_with": 2, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "stackable": 1, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "currency": "eur", "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "applies_to": {"a": {"b": 1}}, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "applies_to": {"a": ["x", null]}, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "applies_to": 7, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "free"}}, {"id": 1, "discount": {"kind": "free"}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "tiered", "bands": []}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "tiered", "bands": [{"from": 1, "to": 3, "amount": 1}, {"from": 2, "amount": 1}]}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "tiered", "bands": [{"from": 1, "amount": 1}, {"from": 1, "amount": 2}]}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "tiered", "bands": [{"from": 1, "to": 1, "amount": 1}]}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "tiered", "bands": [{"from": 1, "amount": 1, "percentage": 1}]}}]', :'one');
SELECT promo_best_set('[{"id": 1, "discount": {"kind": "points", "points": 1000000000, "per": 0.01}}]', :'one');
SELECT promo_best_set('[]', '[]');
SELECT promo_best_set('[]', '{"lines": []}');
SELECT promo_best_set('[]', '{"currency": "XXX", "lines": []}');
SELECT promo_best_set('[]', '{"currency": "EUR"}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"price": 1}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1"}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": -1}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1.001}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "cost": -1}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "currency": "USD"}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "quantity": 0}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "quantity": 1000001}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 90000000000, "quantity": 1000000}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 90000000000}, {"id": "2", "price": 0.01}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1}, {"id": 1, "price": 1}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "attributes": {"a": []}}]}');
SELECT promo_best_set('[]', '{"currency": "EUR", "lines": [{"id": "1", "price": 1, "colour": "red"}]}');
SELECT promo_best_set('[]', :'one', 'cheap');
SELECT promo_best_set('[]', :'one', 'customer', '{"max": 1}');
SELECT promo_best_set('[]', :'one', 'customer', '{"categories": [{"name": "X"}, {"name": "X"}]}');
SELECT promo_best_set('[]', :'one', 'customer', '{"categories": [{"name": "X", "kind": "odd"}]}');
SELECT promo_best_set('[]', :'one', 'customer', '{"categories": [{"rank": 1}]}');
SELECT promo_price('[{"id": 1, "min_purchase": 11, "discount": {"kind": "free"}}]', :'one');
SELECT promo_price('[{"id": 1, "excludes": [2], "discount": {"kind": "free"}}, {"id": 2, "discount": {"kind": "free"}}]', :'one');
SELECT promo_price('[{"id": 1, "discount": {"kind": "free"}}, {"id": 2, "discount": {"kind": "free"}}]', :'one', '{"max_promotions": 1}');
SELECT promo_stackable('{"id": 1}', '{"id": 2, "discount": {"kind": "free"}}');
-- restrictions that are none
SELECT promo_check('{"id": 1, "discount": {"kind": "fixed_amount", "value": 1.23456}}');
SELECT promo_check('{"id": 1}');
SELECT promo_check('[]');
SELECT promo_check('{"id": 1, "valid": "2026-07-04", "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "valid": {"from": "July"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "valid": {"from": "2026-02-30"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "valid": {"until": "2026-07-04"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "valid": {"from": "2026-07-04", "to": "2026-07-04"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "travel": {"from": "2026-07-04T12:00:00Z"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "blackout": {"from": "2026-07-04"}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "blackout": [{"from": "2026-07-04"}, {"from": "2026-07-04", "to": "2026-07-03"}], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "weekdays": [0], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "weekdays": [8], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "booking_weekdays": ["Monday"], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "channels": "web", "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "segments": [7], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "tiers": [null], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "party": 2, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "party": {"min": 3, "max": 2}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "party": {"min": 0}, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "first_booking": 1, "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "refused": [{"text": "no"}], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "routes": ["JFK"], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "routes": ["JFK-"], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "routes": ["Saint-Denis-JFK"], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "except_routes": ["JFK>LHR>FRA"], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "routes": [7], "discount": {"kind": "free"}}');
SELECT promo_check('{"id": 1, "discount": {"kind": "free"}}' || jsonb_build_object('segments', (SELECT jsonb_agg(i::text) FROM generate_series(1, 1001) AS i)));
SELECT promo_route_keys('{JFK-LAX,JFK}');
SELECT promo_route_places('{NULL}');
SELECT promo_route_keys(ARRAY[repeat('x', 1000000)]);
SELECT promo_applies('{"id": 1, "valid": {"from": "2026-07-04"}, "discount": {"kind": "free"}}', :'one');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "at": "2026-07-04", "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "at": "2026-07-04T12:00:00", "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "at": 7, "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "channel": 7, "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "segments": "Loyal", "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "tiers": [7], "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "party": 0, "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "first_booking": "yes", "lines": []}');
SELECT promo_applies('{"id": 1, "discount": {"kind": "free"}}', '{"currency": "EUR", "places": {"JFK": "US"}, "lines": []}');
SELECT promo_applies('{"id": 1, "routes": ["*-*"], "discount": {"kind": "free"}}', '{"currency": "EUR", "lines": [{"id": 1, "price": 1, "attributes": {"route": "jfk-lhr"}}]}');
SELECT promo_applies('{"id": 1, "routes": ["*-*"], "discount": {"kind": "free"}}', '{"currency": "EUR", "lines": [{"id": 1, "price": 1, "attributes": {"route": "JFK"}}]}');
SELECT promo_applies('{"id": 1, "routes": ["*-*"], "discount": {"kind": "free"}}', '{"currency": "EUR", "lines": [{"id": 1, "price": 1, "attributes": {"route": 7}}]}');
SELECT promo_applies('{"id": 1, "routes": ["*-*"], "discount": {"kind": "free"}}', '{"currency": "EUR", "lines": [{"id": 1, "price": 1}, {"id": 2, "price": 1, "attributes": {"departure": "soon"}}]}');
SELECT promo_cart_places(jsonb_build_object('currency', 'EUR', 'lines', jsonb_build_array(jsonb_build_object('id', 1, 'price', 1, 'attributes', jsonb_build_object('route', repeat('JFK-', 20) || 'LHR')))));
SELECT promo_cart_places('{"currency": "EUR"}');
-- what combines in a circle is no error
SELECT promo_stackable('{"id": 1, "code": "A", "combine_with": ["B"], "discount": {"kind": "free"}}', '{"id": 2, "code": "B", "combine_with": ["A"], "discount": {"kind": "free"}}');
-- large input
SELECT promo_best_set(jsonb_build_array(jsonb_build_object('id', 1, 'code', repeat('x', 1001), 'discount', '{"kind": "free"}'::jsonb)), :'one');
SELECT promo_best_set(format('[{"id": 1, "applies_to": {"%s": %s1%s}, "discount": {"kind": "free"}}]', repeat('k', 100), repeat('[', 2000), repeat(']', 2000))::jsonb, :'one');
SELECT promo_best_set((SELECT jsonb_agg(i) FROM generate_series(1, 1001) AS i), :'one');
SELECT promo_best_set((SELECT jsonb_agg(jsonb_build_object('id', i, 'discount', '{"kind": "percentage", "value": 1}'::jsonb)) FROM generate_series(1, 65) AS i), :'one');
SELECT promo_best_set('[]', jsonb_build_object('currency', 'EUR', 'lines', (SELECT jsonb_agg(i) FROM generate_series(1, 10001) AS i)));
SELECT r -> 'discount' AS discount, r -> 'to_pay' AS to_pay, jsonb_array_length(r -> 'lines') AS lines, jsonb_path_query_array(r, '$.promotions[*].id') AS ids
FROM promo_best_set((SELECT jsonb_agg(jsonb_build_object('id', i, 'discount', jsonb_build_object('kind', 'percentage', 'value', i), 'excludes', CASE i WHEN 3 THEN '[1, 2]' ELSE '[]' END::jsonb)) FROM generate_series(1, 5) AS i),
    jsonb_build_object('currency', 'EUR', 'lines', (SELECT jsonb_agg(jsonb_build_object('id', i, 'price', i % 97 + 0.37, 'quantity', 1 + i % 3)) FROM generate_series(1, 10000) AS i))) AS r;
SELECT r -> 'discount' AS discount FROM promo_best_set('[{"id": 1, "discount": {"kind": "percentage", "value": 99.9999, "cap": 80000000000}}, {"id": 2, "discount": {"kind": "buy_x_get_y", "buy": 1, "get": 999999}}]',
    '{"currency": "EUR", "lines": [{"id": "1", "price": 90000, "quantity": 1000000}]}') AS r;
-- 10,000 lines with restrictions
SELECT r -> 'discount' AS discount, jsonb_array_length(r #> '{promotions,0,lines}') AS lines
FROM promo_best_set('[{"id": 1, "routes": ["US<>Europe"], "cabins": ["economy"], "travel": {"from": "2026-07-01", "to": "2026-07-15"}, "discount": {"kind": "percentage", "value": 10}}]',
    jsonb_build_object('currency', 'EUR', 'places', '{"JFK": ["US"], "LHR": ["Europe"]}'::jsonb, 'lines', (SELECT jsonb_agg(jsonb_build_object('id', i, 'price', 10, 'attributes',
        jsonb_build_object('route', CASE i % 2 WHEN 0 THEN 'JFK-LHR' ELSE 'LHR-FRA' END, 'cabin', 'economy', 'departure', date '2026-07-01' + i % 30))) FROM generate_series(1, 10000) AS i))) AS r;
