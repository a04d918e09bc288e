-- demo: the same rows for the same arguments, rows that hold together, and
-- what was planted can be found.
BEGIN;
SELECT plan(49);
SET client_min_messages = warning;

-- One hash over all rows of every table that the demo fills.
CREATE FUNCTION pg_temp.fingerprint() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    one text;
    hashes text := '';
BEGIN
    FOREACH relation IN ARRAY iaros.demo_tables() || ARRAY['iaros.customer_key', 'iaros.fx_rate']::regclass[] LOOP
        EXECUTE format('SELECT md5(string_agg(md5(t::text), '''' ORDER BY md5(t::text))) FROM %s t', relation) INTO one;
        hashes := hashes || relation || ' ' || one || E'\n';
    END LOOP;
    RETURN hashes;
END $$;

-- The catalogue of foreign keys and indexes, partitions included.
CREATE FUNCTION pg_temp.catalogue() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT k.conrelid::regclass || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid) || ' ' || k.convalidated
        || coalesce(' ' || obj_description(k.oid, 'pg_constraint'), '')
    FROM pg_constraint k WHERE k.connamespace = 'iaros'::regnamespace AND k.conrelid = ANY (iaros.demo_tables())
    UNION ALL
    SELECT pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid || coalesce(' ' || obj_description(i.indexrelid, 'pg_class'), '')
    FROM pg_index i WHERE i.indrelid = ANY (iaros.demo_tables())
    ORDER BY 1
$$;

-- Refusals.
SELECT throws_ok($$SELECT iaros.demo_generate(0)$$, '22023', NULL, 'no customers are no demo');
SELECT throws_ok($$SELECT iaros.demo_generate(NULL)$$, '22023', NULL, 'nor are NULL customers');
SELECT throws_ok($$SELECT iaros.demo_generate(10, NULL)$$, '22023', NULL, 'a seed is needed');
SELECT throws_ok($$SELECT iaros.demo_generate(10, 1, 'infinity')$$, '22023', NULL, 'as_of is a day');
SELECT iaros.setting_set('base_currency', 'SEK') AS s \gset
SELECT throws_ok($$SELECT iaros.demo_generate(10)$$, '0A000', NULL, 'a base currency without rates is refused');
SELECT iaros.setting_set('base_currency', NULL) AS s \gset
SELECT iaros.customer_create() AS id \gset
SELECT throws_ok($$SELECT iaros.demo_generate(10)$$, '55000', NULL, 'customers that are there are in the way');
SELECT throws_ok($$SELECT iaros.demo_clear()$$, '55000', NULL, 'and are not cleared');
DELETE FROM iaros.customer;

-- Small ones.
SELECT lives_ok($$SELECT iaros.demo_generate(1, 7, '2026-01-31')$$, 'one customer is enough');
SELECT is(iaros.demo_clear(), 1::bigint, 'and goes');
SELECT lives_ok($$SELECT iaros.demo_generate(100, -3, '2024-02-29')$$, 'a leap day, a negative seed');
SELECT is(iaros.demo_clear(), 105::bigint, 'they go too');
SELECT is((SELECT count(*) FROM iaros.fx_rate), 0::bigint, 'with the rates');

-- The same arguments, the same rows; users' indexes and comments stay.
CREATE INDEX of_a_user ON iaros.booking (party_size) WHERE party_size > 3;
COMMENT ON INDEX iaros.of_a_user IS 'mine';
COMMENT ON CONSTRAINT booking_customer_id_fkey ON iaros.booking IS 'mine as well';
SELECT iaros.partition_ensure('2023-11-01', '2026-01-01') AS n \gset
CREATE TEMP TABLE before_it AS SELECT * FROM pg_temp.catalogue() AS c(entry);
SELECT count(*) AS steps FROM iaros.demo_generate(300, 5, '2026-01-01') \gset
CREATE TEMP TABLE print AS SELECT 1 AS run, pg_temp.fingerprint() AS hashes;
SELECT results_eq('SELECT * FROM pg_temp.catalogue()', 'SELECT entry FROM before_it ORDER BY 1',
    'every foreign key and index is back, with its comment');
SELECT iaros.demo_clear() AS n \gset
SET timezone = 'Asia/Tokyo';
SELECT count(*) FROM iaros.demo_generate(300, 5, '2026-01-01') \gset
RESET timezone;
INSERT INTO print SELECT 2, pg_temp.fingerprint();
SELECT is((SELECT hashes FROM print WHERE run = 2), (SELECT hashes FROM print WHERE run = 1),
    'the same arguments give the same rows, whatever the zone of the session');
SELECT iaros.demo_clear() AS n \gset
SELECT count(*) FROM iaros.demo_generate(300, 6, '2026-01-01') \gset
SELECT isnt(pg_temp.fingerprint(), (SELECT hashes FROM print WHERE run = 1), 'another seed gives others');
SELECT iaros.demo_clear() AS n \gset

-- The one that the rest is about.
CREATE TEMP TABLE step AS SELECT * FROM iaros.demo_generate(3000, 11, '2026-01-01');
SELECT bag_has($$SELECT step FROM step WHERE rows > 0$$,
    $$VALUES ('customers'), ('trips'), ('bookings'), ('booking_events'), ('touchpoints'), ('conversions'), ('constraints')$$,
    'each step tells its rows');
SELECT is((SELECT count(*) FROM iaros.customer WHERE kind = 'known'), 3000::bigint, 'as many customers as asked for');
SELECT is((SELECT count(*) FROM iaros.customer WHERE kind = 'anonymous'), 150::bigint, 'and a visitor for twenty of them');
SELECT ok((SELECT count(*) BETWEEN 30 AND 70 FROM iaros.customer_alias), 'a third of whom is recognised');
SELECT cmp_ok((SELECT count(*) / 3000.0 FROM iaros.booking), '>', 9.0, 'about ten bookings each');
SELECT cmp_ok((SELECT count(*) / 3000.0 FROM iaros.booking), '<', 11.0, 'and not many more');
SELECT ok((SELECT count(*) / 3000.0 BETWEEN 45 AND 60 FROM iaros.event), 'about fifty events each');
SELECT is((SELECT iaros.customer_create()) > 3000, true, 'the sequence is behind the keys');
DELETE FROM iaros.customer WHERE source <> 'demo';

-- It holds together.
SELECT is_empty($$SELECT booking_id FROM iaros.booking WHERE amount_base <> iaros.fx_convert(amount, currency, (booked_at AT TIME ZONE 'UTC')::date) AND booking_id % 10 = 0$$,
    'amount_base is what fx_convert() gives');
SELECT is_empty($$SELECT booking_id FROM iaros.booking WHERE NOT iaros.money_valid(amount, currency) OR amount <= 0$$, 'amounts are valid');
SELECT is_empty($$SELECT b.booking_id FROM iaros.booking b JOIN iaros.booking_item i USING (customer_id, booking_id)
    GROUP BY b.customer_id, b.booking_id, b.amount HAVING sum(i.amount) >= b.amount$$, 'items cost less than their booking');
SELECT is_empty($$SELECT booking_id FROM iaros.booking_item GROUP BY customer_id, booking_id HAVING max(line_no) <> count(*) OR count(DISTINCT kind) <> count(*)$$,
    'lines are numbered from 1, each kind once');
SELECT is_empty($$SELECT booking_id FROM iaros.booking WHERE booked_at NOT BETWEEN '2024-01-01' AND '2026-01-01'
    OR departure_at < booked_at OR return_at < departure_at OR (departure_at >= '2026-01-01') <> (status IN ('ticketed', 'confirmed', 'held')) AND iaros.booking_counts(status)$$,
    'bookings are in the window, and flown when their day is over');
SELECT is_empty($$SELECT event_id FROM iaros.event WHERE occurred_at >= '2026-01-01' OR occurred_at < '2023-11-01'$$, 'no event comes after as_of');
SELECT is_empty($$SELECT event_id FROM iaros.event_default$$, 'no event is in the default partition');
SELECT is_empty($$SELECT event_id FROM iaros.event e JOIN iaros.event_kind k USING (kind) WHERE NOT e.properties ?& k.required_properties$$,
    'events have the properties of their kind');
SELECT is_empty($$SELECT event_id FROM iaros.event GROUP BY 1 HAVING count(*) > 1$$, 'event ids are unique');
SELECT is_empty($$SELECT touchpoint_id FROM iaros.touchpoint GROUP BY 1 HAVING count(*) > 1$$, 'touchpoint ids are unique');
SELECT is_empty($$SELECT external_id FROM iaros.booking GROUP BY 1 HAVING count(*) > 1$$, 'natural keys are unique');
SELECT is_empty($$SELECT e.event_id FROM iaros.event e WHERE e.properties ? 'booking_id' AND NOT EXISTS (
    SELECT FROM iaros.booking b WHERE b.customer_id = e.customer_id AND b.booking_id = (e.properties ->> 'booking_id')::bigint)$$,
    'events name bookings of the same customer');
SELECT is_empty($$SELECT conversion_id FROM iaros.conversion c JOIN iaros.booking b USING (customer_id, booking_id)
    WHERE c.value_base <> b.amount_base OR NOT iaros.booking_counts(b.status) OR c.occurred_at <> b.booked_at$$, 'conversions are purchases');
SELECT is_empty($$SELECT * FROM iaros.customer_doctor()$$, 'the doctor finds nothing');

-- Groups.
CREATE TEMP TABLE fact AS
SELECT t.persona, t.purchase_rate, t.spend_mean, coalesce(t.duplicate_of, t.customer_id) AS person_id, b.*
FROM iaros.demo_truth_customers() t JOIN iaros.booking b USING (customer_id);
SELECT cmp_ok((SELECT avg((cabin = 'business')::integer) FROM fact WHERE persona = 'business'), '>', 0.6, 'business travellers fly in business class');
SELECT cmp_ok((SELECT avg(departure_at - booked_at) FROM fact WHERE persona = 'last_minute'), '<', interval '4 days', 'last-minute bookers book late');
SELECT cmp_ok((SELECT avg(party_size) FROM fact WHERE persona = 'family'), '>', 3.0, 'families travel together');
SELECT is_empty($$SELECT booking_id FROM fact WHERE persona = 'lapsed' AND booked_at > '2026-01-01'::date - 189$$, 'the lapsed stopped');
SELECT is_empty($$SELECT customer_id FROM fact WHERE persona = 'new' AND booked_at < '2026-01-01'::date - 75$$, 'the new came lately');
SELECT is_empty($$SELECT p.persona, p.share, s.share FROM iaros.demo_truth_personas() p
    JOIN (SELECT persona, avg(count(*)) OVER (PARTITION BY persona) / sum(count(*)) OVER () AS share
          FROM iaros.demo_truth_customers() WHERE duplicate_of IS NULL GROUP BY persona) s USING (persona)
    WHERE abs(p.share - s.share) > 0.02$$, 'groups have their shares');

-- Spend: amount over the person's own mean is gamma of shape 4, mean 1.
SELECT ok(abs(avg(amount_base / spend_mean) - 1) < 0.02 AND abs(variance(amount_base / spend_mean) - 0.25) < 0.03,
    'spend follows its gamma distribution') FROM fact;

-- Rate: bookings over what the rate and the time lead to expect.
SELECT ok(abs(sum(n)::float8 / sum(expected) - 1) < 0.05, 'bookings come at the planted rate') FROM (
    SELECT f.n, t.purchase_rate * (least(coalesce(t.dropped_out_on, '2026-01-01'), '2026-01-01') - '2024-01-01'::date) / 365.25 AS expected
    FROM iaros.demo_truth_customers() t
    LEFT JOIN (SELECT person_id, count(*) AS n FROM fact GROUP BY person_id) f ON f.person_id = t.customer_id
    WHERE t.duplicate_of IS NULL AND t.joined_on < '2024-01-01') r;

-- Baskets.
SELECT is_empty($$SELECT p.*, f.lift FROM iaros.demo_truth_baskets() p
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE a AND b) * count(*)::float8 / (count(*) FILTER (WHERE a) * count(*) FILTER (WHERE b)) AS lift
        FROM (SELECT bool_or(i.kind = p.item_a) IS TRUE AS a, bool_or(i.kind = p.item_b) IS TRUE AS b
              FROM iaros.booking k LEFT JOIN iaros.booking_item i USING (customer_id, booking_id)
              GROUP BY k.customer_id, k.booking_id) x) f
    WHERE abs(f.lift / p.lift - 1) > 0.2$$, 'items sell together with the planted lift');

-- Channels: journeys are made again from touches of one customer less than
-- 72 hours apart; of people with few bookings, so that they do not overlap.
-- A channel is judged where another one was met too, which makes up for the
-- journeys without any touch, of which those without a booking leave no trace.
CREATE TEMP TABLE journey AS
WITH touch AS (
    SELECT t.customer_id, t.channel, t.occurred_at,
        lag(t.occurred_at) OVER w IS NULL OR t.occurred_at - lag(t.occurred_at) OVER w > interval '3 days' AS first
    FROM iaros.touchpoint t
    WHERE t.customer_id IN (SELECT customer_id FROM iaros.booking GROUP BY 1 HAVING count(*) <= 12)
    WINDOW w AS (PARTITION BY t.customer_id ORDER BY t.occurred_at)
), numbered AS (
    SELECT t.*, count(*) FILTER (WHERE first) OVER (PARTITION BY customer_id ORDER BY occurred_at) AS journey FROM touch t
)
SELECT n.customer_id, array_agg(DISTINCT n.channel) AS channels,
    EXISTS (SELECT FROM iaros.conversion c WHERE c.customer_id = n.customer_id
        AND c.occurred_at BETWEEN max(n.occurred_at) AND min(n.occurred_at) + interval '3 days') AS booked,
    (SELECT t.email_consent FROM iaros.demo_truth t WHERE t.customer_id = n.customer_id) AS email_consent
FROM numbered n GROUP BY n.customer_id, n.journey
HAVING max(n.occurred_at) - min(n.occurred_at) <= interval '3 days';
SELECT is_empty($$SELECT c.channel, c.effect, f.effect FROM iaros.demo_truth_channels() c
    CROSS JOIN LATERAL (
        SELECT ln(count(*) FILTER (WHERE booked AND met) * count(*) FILTER (WHERE NOT booked AND NOT met)::float8
            / (count(*) FILTER (WHERE booked AND NOT met) * count(*) FILTER (WHERE NOT booked AND met))) AS effect
        FROM (SELECT j.booked, c.channel = ANY (j.channels) AS met FROM journey j
              WHERE (c.channel <> 'email' OR j.email_consent) AND array_remove(j.channels, c.channel) <> '{}') x) f
    WHERE abs(f.effect - c.effect) > 0.25$$, 'channels have the planted effect');

-- People stored twice.
SELECT is((SELECT count(DISTINCT duplicate_of) FROM iaros.demo_truth_customers() WHERE duplicate_of IS NOT NULL), 60::bigint,
    'one in fifty is stored twice');
SELECT is_empty($$SELECT d.customer_id FROM iaros.demo_truth d
    JOIN iaros.customer a ON a.customer_id = d.customer_id JOIN iaros.customer b ON b.customer_id = d.duplicate_of
    WHERE (a.first_name, a.last_name) = (b.first_name, b.last_name) OR a.country <> b.country$$, 'with an error in the name');

SELECT * FROM finish();
ROLLBACK;
