-- profile, property: after random changes of every table that profiles are
-- made of, the histories kept by triggers, those made anew by index and by
-- the rebuild are the same, and the columns as of several times, also by
-- what is stored, are those of plain SQL.
BEGIN;
\ir profile_reference.inc
SELECT plan(40);
SET LOCAL timezone = 'UTC';
INSERT INTO iaros.customer (customer_id) SELECT 700000 + i FROM generate_series(1, 60) AS i;

CREATE FUNCTION pg_temp.at(seed bigint, draw integer) RETURNS timestamptz LANGUAGE sql AS
$$SELECT now() - interval '500 days' + iaros.chance_int(seed, 41, draw, 520 * 1440) * interval '1 minute'
    + CASE WHEN iaros.chance_int(seed, 41, draw + 1, 3) = 0 THEN iaros.chance_int(seed, 41, draw + 2, 1000000) ELSE 0 END * interval '1 microsecond'$$;

CREATE FUNCTION pg_temp.somebody(seed bigint, draw integer) RETURNS bigint LANGUAGE sql AS
$$SELECT 700001 + iaros.chance_int(seed, 42, draw, 60)::bigint$$;

-- One round of changes; many statements of few rows, some of many.
CREATE FUNCTION pg_temp.round(r bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n integer := CASE WHEN r % 4 = 0 THEN 80 ELSE 1 + iaros.chance_int(r, 43, 1, 6) END;
    what integer := CASE WHEN r < 6 THEN r ELSE iaros.chance_int(r, 43, 2, 16) END;
BEGIN
    CASE what
    WHEN 0, 1, 2 THEN
        INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, origin, destination, cabin,
            sales_channel, party_size, departure_at, amount, currency)
        SELECT pg_temp.somebody(s, 1), 700000000 + s % 977, 'demo', s::text, pg_temp.at(s, 1),
            (enum_range(NULL::iaros.booking_status))[1 + iaros.chance_int(s, 44, 1, 7)],
            (ARRAY['JFK', 'LHR', 'FRA', 'SYD', NULL])[o.i], CASE WHEN o.i < 5 THEN (ARRAY['LAX', 'CDG', 'SIN', 'MUC'])[1 + iaros.chance_int(s, 44, 3, 4)] END,
            (enum_range(NULL::iaros.cabin))[1 + iaros.chance_int(s, 44, 4, 5)], (ARRAY['web', 'mobile', 'agent', NULL])[1 + iaros.chance_int(s, 44, 5, 4)],
            1 + iaros.chance_int(s, 44, 6, 12), CASE WHEN iaros.chance_int(s, 44, 7, 4) > 0 THEN pg_temp.at(s, 1) + (iaros.chance_int(s, 44, 8, 1800) - 60) * interval '1 hour' END,
            iaros.chance_int(s, 44, 9, 100000) / 100.0, 'USD'
        FROM generate_series(r * 1000, r * 1000 + n) AS s
        CROSS JOIN LATERAL (SELECT 1 + iaros.chance_int(s, 44, 2, 5) AS i) o
        ON CONFLICT DO NOTHING;
    WHEN 3, 4 THEN
        INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency)
        SELECT b.customer_id, b.booking_id, 1 + (r % 1000), k.kind, 1, 'USD'
        FROM iaros.booking b CROSS JOIN iaros.item_kind k
        WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 1, 6) = 0 AND iaros.chance_int(b.booking_id, r, 2, 15) = hashtext(k.kind) & 15
        ON CONFLICT DO NOTHING;
    WHEN 5, 6 THEN
        INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source, properties)
        SELECT pg_temp.somebody(s, 2), s, k.kind, pg_temp.at(s, 4),
            'demo', CASE WHEN k.kind = 'nps_response' THEN jsonb_build_object('score', iaros.chance_int(s, 45, 3, 13)) ELSE '{}' END
        FROM generate_series(r * 1000, r * 1000 + 3 * n) AS s
        CROSS JOIN LATERAL (SELECT (ARRAY['email_open', 'email_click', 'search', 'cart_abandoned', 'app_open', 'page_view', 'complaint',
            'nps_response', 'referral', 'login', 'feedback'])[1 + iaros.chance_int(s, 45, 1, 11)] AS kind) k;
        INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source)
        SELECT e.customer_id, e.event_id + 500, 'page_view', e.occurred_at + iaros.chance_int(e.event_id, 45, 4, 61) * interval '1 minute', 'demo'
        FROM iaros.event e WHERE e.customer_id > 700000 AND e.event_id BETWEEN r * 1000 AND r * 1000 + 40;
    WHEN 7 THEN
        INSERT INTO iaros.touchpoint (customer_id, touchpoint_id, occurred_at, channel, kind, source)
        SELECT pg_temp.somebody(s, 3), s, pg_temp.at(s, 7), (ARRAY['email', 'display'])[1 + iaros.chance_int(s, 46, 1, 2)],
            (ARRAY['open', 'click'])[1 + iaros.chance_int(s, 46, 2, 2)], 'demo'
        FROM generate_series(r * 1000, r * 1000 + n) AS s;
        INSERT INTO iaros.consent (customer_id, consent_id, channel, purpose, given, source, recorded_at)
        SELECT pg_temp.somebody(s, 4), s, (ARRAY['email', 'sms', 'push', 'all'])[1 + iaros.chance_int(s, 46, 3, 4)],
            (ARRAY['marketing', 'analytics'])[1 + iaros.chance_int(s, 46, 4, 2)], iaros.chance_int(s, 46, 5, 2) = 0, 'test',
            date_trunc('day', pg_temp.at(s, 9))
        FROM generate_series(r * 1000, r * 1000 + n) AS s;
    WHEN 8 THEN
        UPDATE iaros.booking b SET status = (enum_range(NULL::iaros.booking_status))[1 + iaros.chance_int(b.booking_id, r, 3, 7)]
        WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 4, 5) = 0;
    WHEN 9 THEN
        UPDATE iaros.booking b SET booked_at = pg_temp.at(r + b.booking_id, 12), amount_base = b.amount_base + 1, fare_class = 'Y'
        WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 5, 12) = 0
          AND coalesce(b.return_at >= b.departure_at, true);
        UPDATE iaros.booking b SET fare_class = 'Q' WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 6, 3) = 0;
    WHEN 10 THEN
        DELETE FROM iaros.booking b WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 7, 9) = 0;
        DELETE FROM iaros.event e WHERE e.customer_id > 700000 AND iaros.chance_int(e.event_id, r, 8, 9) = 0;
    WHEN 11 THEN
        UPDATE iaros.event e SET occurred_at = e.occurred_at + interval '1 day', kind = 'email_open'
        WHERE e.customer_id > 700000 AND iaros.chance_int(e.event_id, r, 9, 9) = 0;
        UPDATE iaros.touchpoint t SET kind = 'visit' WHERE t.customer_id > 700000 AND iaros.chance_int(t.touchpoint_id, r, 10, 5) = 0;
        DELETE FROM iaros.touchpoint t WHERE t.customer_id > 700000 AND iaros.chance_int(t.touchpoint_id, r, 11, 5) = 0;
    WHEN 12, 13 THEN
        PERFORM iaros.customer_recognise(x.a, x.b)
        FROM (SELECT pg_temp.somebody(r, 5) AS a, pg_temp.somebody(r, 6) AS b) x
        WHERE x.a <> x.b AND x.a <> iaros.customer_resolve(x.b);
    WHEN 14 THEN
        PERFORM iaros.customer_separate(a.customer_id) FROM iaros.customer_alias a
        WHERE a.customer_id > 700000 AND iaros.chance_int(a.customer_id, r, 12, 2) = 0;
    WHEN 15 THEN
        -- A booking that moves, a line that changes.
        UPDATE iaros.booking b SET customer_id = pg_temp.somebody(b.booking_id + r, 7)
        WHERE b.customer_id > 700000 AND iaros.chance_int(b.booking_id, r, 13, 12) = 0
          AND NOT EXISTS (SELECT FROM iaros.booking_item i WHERE i.customer_id = b.customer_id AND i.booking_id = b.booking_id)
          AND NOT EXISTS (SELECT FROM iaros.booking x WHERE x.customer_id > 700000 AND x.customer_id <> b.customer_id AND x.booking_id = b.booking_id);
        UPDATE iaros.booking_item i SET kind = 'upgrade' WHERE i.customer_id > 700000 AND iaros.chance_int(i.booking_id, r, 14, 9) = 0;
        DELETE FROM iaros.booking_item i WHERE i.customer_id > 700000 AND iaros.chance_int(i.booking_id, r, 15, 9) = 0;
    END CASE;
END $$;

CREATE FUNCTION pg_temp.rounds(first_round integer, last_round integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    FOR r IN first_round .. last_round LOOP
        PERFORM pg_temp.round(r);
    END LOOP;
    RETURN NEXT is_empty('SELECT * FROM iaros.profile_check()', format('after round %s the profiles are those of the rows', last_round));
    RETURN NEXT is_empty('SELECT * FROM pg_temp.profile_differences(now())', 'and the columns are those of plain SQL now');
    RETURN NEXT is_empty(format('SELECT * FROM pg_temp.profile_differences(%L)', pg_temp.at(last_round, 20)), 'and at another time');
    RETURN NEXT is_empty(format('SELECT * FROM pg_temp.profile_differences(%L)', now() + last_round * interval '1 day'), 'and at one to come');
END $$;

SELECT * FROM pg_temp.rounds(0, 40);
SELECT * FROM pg_temp.rounds(41, 80);
SELECT * FROM pg_temp.rounds(81, 120);
SELECT * FROM pg_temp.rounds(121, 160);
SELECT * FROM pg_temp.rounds(161, 200);
SELECT * FROM pg_temp.rounds(201, 240);
SELECT * FROM pg_temp.rounds(241, 280);
SELECT cmp_ok((SELECT count(*) FROM iaros.customer_alias a WHERE a.customer_id > 700000), '>', 3::bigint, 'some are aliases');
SELECT cmp_ok((SELECT count(*) FROM iaros.booking b WHERE b.customer_id > 700000), '>', 300::bigint, 'there are bookings');
SELECT cmp_ok((SELECT count(*) FROM iaros.event e WHERE e.customer_id > 700000), '>', 1000::bigint, 'and events');

-- What is stored is right where profile_at() takes it, at any time.
CREATE FUNCTION pg_temp.stale(as_of timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM iaros.profile_at($1) p JOIN pg_temp.profile_reference($1) r USING (customer_id)
    WHERE (p.booking_count, p.booking_count_12m, p.spend_12m, p.search_30d, p.session_30d, p.next_departure_at, p.cabin_top, p.touch_90d, p.sms_opt_in)
        IS DISTINCT FROM (r.booking_count, r.booking_count_12m, r.spend_12m, r.search_30d, r.session_30d, r.next_departure_at, r.cabin_top, r.touch_90d, r.sms_opt_in)$$;
SELECT is(pg_temp.stale(now() + h * interval '7 hours'), 0::bigint, format('profile_at() in %s hours', h * 7)) FROM generate_series(0, 3) AS h;

SELECT is_empty($$SELECT p.customer_id, t.at
    FROM (VALUES (now()), (now() - interval '100 days'), (now() + interval '20 days')) AS t(at), iaros.profile_at(t.at) p, iaros.customer_profile(p.customer_id, t.at) f
    WHERE p.customer_id > 700000 AND to_jsonb(f) - '{master_id,kind,gender,country,nationality,city,language,home_airport}'::text[]
        IS DISTINCT FROM to_jsonb(p) - '{customer_id,due_at}'::text[]$$, 'customer_profile() is the row of profile_at()');

SELECT is(iaros.profile_rebuild(), 0::bigint, 'the rebuild finds nothing to mend');
SET LOCAL session_replication_role = replica;
UPDATE iaros.profile_stored SET state = '\x01000000', booking_count = 7 WHERE customer_id % 3 = 0 AND customer_id > 700000;
DELETE FROM iaros.profile_stored WHERE customer_id % 3 = 1 AND customer_id > 700000;
SET LOCAL session_replication_role = origin;
SELECT cmp_ok((SELECT count(*) FROM iaros.profile_check()), '>', 15::bigint, 'profile_check() sees what is wrong');
SELECT cmp_ok(iaros.profile_rebuild(), '>', 15::bigint, 'the rebuild mends it');
SELECT is_empty('SELECT * FROM iaros.profile_check()', 'all of it');
SELECT * FROM finish();
ROLLBACK;
