-- promo: mutated carts and promotions give an answer or a specific error.
BEGIN;
SELECT plan(3);
SELECT setseed(0.61);
CREATE TEMP TABLE outcome (state text, times bigint DEFAULT 1);
DO $$
DECLARE
    promotions text := '[{"id": 1, "code": "A", "discount": {"kind": "percentage", "value": 10, "cap": 5}, "valid": {"from": "2026-07-01", "to": "2026-08-01T10:00:00Z"},
        "routes": ["JFK-LAX", "Spain>North America", "leg LHR-JFK"], "fare_classes": ["Y", "B"], "travel": {"from": "2026-07-01"},
        "blackout": [{"from": "2026-07-04", "to": "2026-07-09"}], "weekdays": [1, 7], "booking_weekdays": [1], "party": {"min": 2, "max": 5},
        "segments": ["a"], "tiers": ["gold"], "channels": ["web"], "currencies": ["USD"], "first_booking": true,
        "refused": [{"reason": "x", "y": [1]}], "asked": true},
        {"id": 2, "combine_with": ["A", 1], "discount": {"kind": "tiered", "bands": [{"from": 1, "amount": 3}]}, "cabins": ["economy"], "except_routes": ["*>US"]}]';
    cart text := '{"currency": "USD", "at": "2026-07-05T12:00:00+02:00", "channel": "web", "segments": ["a", "b"], "tiers": ["gold"], "party": 3,
        "first_booking": true, "places": {"MAD": ["Spain", "Europe"], "JFK": ["North America"]}, "customer": 1, "booking": 2, "lines": [
        {"id": 1, "price": 100, "attributes": {"route": "MAD-LHR-JFK", "departure": "2026-07-06", "fare_class": "Y", "cabin": "economy"}},
        {"id": 2, "price": 50.25, "quantity": 2}]}';
    words text[] := ARRAY['null', '""', '[]', '{}', '-1', '1e30', '0.00001', '"x"', '[null]', 'true', '[[1]]', '99999999999', '"2026-02-30"', '"A-B-C"', '1e-400'];
    letters text := '0123456789-:T>Z[]{}",. eE+nulltrue*AJX';
    of_cart boolean;
    mutated text;
    state text;
    p jsonb;
    c jsonb;
BEGIN
    FOR i IN 1..20000 LOOP
        of_cart := random() < 0.5;
        mutated := CASE WHEN of_cart THEN cart ELSE promotions END;
        FOR k IN 0..floor(random() * 3)::integer LOOP
            mutated := CASE WHEN random() < 0.5
                THEN regexp_replace(mutated, '([:,[] ?)("[^"]*"|[0-9.]+|true)', concat('\1', words[1 + floor(random() * cardinality(words))::integer]),
                    1 + floor(random() * length(mutated))::integer, 1)
                ELSE overlay(mutated PLACING substr(letters, 1 + floor(random() * length(letters))::integer, 1)
                    FROM 1 + floor(random() * length(mutated))::integer FOR floor(random() * 2)::integer) END;
        END LOOP;
        BEGIN
            p := CASE WHEN of_cart THEN promotions ELSE mutated END;
            c := CASE WHEN of_cart THEN mutated ELSE cart END;
            PERFORM iaros.promo_best_set(p, c), iaros.promo_cart_places(c), iaros.promo_applies(p -> 0, c), iaros.promo_check(p -> 1);
            state := 'answer';
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
        END;
        INSERT INTO outcome VALUES (state);
    END LOOP;
END $$;
SELECT ok((SELECT count(*) FROM outcome WHERE state = 'answer') > 500, 'some are taken');
SELECT ok((SELECT count(*) FROM outcome WHERE state IN ('22003', '22023')) > 3000, 'many are refused with their place');
SELECT is_empty($$SELECT state, count(*) FROM outcome WHERE state NOT IN ('answer', '22003', '22023', '22P02', '54000') GROUP BY 1$$,
    'no other error comes of them');
SELECT * FROM finish();
ROLLBACK;
