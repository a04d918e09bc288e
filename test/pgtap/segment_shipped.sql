-- segment: the fields that come with iaros, and the predefined segments, each
-- with a customer just inside and one just outside as of 2026-07-01 (a
-- Wednesday).
BEGIN;
SELECT plan(70);

CREATE FUNCTION pg_temp.inside(segment text, customer bigint) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT FROM iaros.customer_segments(customer, '2026-07-01Z') s WHERE s.name = segment) $$;
-- Which of these customers are in a segment.
CREATE FUNCTION pg_temp.who(segment text, VARIADIC customers bigint[]) RETURNS bigint[] LANGUAGE sql AS
$$ SELECT array_agg(c ORDER BY c) FROM unnest(customers) AS c WHERE pg_temp.inside(segment, c) $$;
-- Customer nnn1 is to be inside of segment nnn, nnn2 to nnn9 outside or inside.
CREATE FUNCTION pg_temp.customer(customers bigint[]) RETURNS void LANGUAGE sql AS
$$ INSERT INTO iaros.customer (customer_id) SELECT unnest(customers) ON CONFLICT DO NOTHING $$;
CREATE SEQUENCE pg_temp.external;
CREATE FUNCTION pg_temp.book(customer bigint, ago interval, amount numeric DEFAULT 100, origin text DEFAULT 'JFK',
    destination text DEFAULT 'LHR', cabin text DEFAULT 'economy', channel text DEFAULT 'web', party integer DEFAULT 1,
    lead interval DEFAULT '20 days', item text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.customer(ARRAY[customer]);
    INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, origin, destination, cabin, sales_channel,
        party_size, departure_at, amount, currency)
    SELECT customer, n, 'demo', n::text, t, origin, destination, cabin::iaros.cabin, channel, party, t + lead, amount, 'USD'
    FROM (SELECT nextval('pg_temp.external') AS n, timestamptz '2026-07-01Z' - ago AS t) b;
    INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency)
    SELECT customer, currval('pg_temp.external'), 1, item, 1, 'USD' WHERE item IS NOT NULL;
$$;
CREATE FUNCTION pg_temp.event(customer bigint, kind text, ago interval, properties jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.customer(ARRAY[customer]);
    INSERT INTO iaros.event (customer_id, kind, occurred_at, source, properties)
    VALUES (customer, kind, timestamptz '2026-07-01Z' - ago, 'demo', properties);
$$;

-- Fields.
SELECT is_empty($$SELECT p.name FROM (SELECT unnest(proargnames) AS name FROM pg_proc WHERE oid = 'iaros.profile_at'::regproc) p
    WHERE p.name NOT IN ('as_of', 'customer_id', 'due_at')
      AND NOT EXISTS (SELECT FROM iaros.segment_field f WHERE f.expression ~ ('\mp\.' || p.name || '\M'))$$,
    'every column of a profile can be asked for');
SELECT is((SELECT array_agg(f.field ORDER BY f.field) FROM iaros.segment_field f WHERE f.expression ~ '\mn\.(as_of|day)\M'),
    '{customer.churnLevel,customer.churnRisk,model.churn.score}', 'only these expressions ask for the time');
SELECT is((SELECT array_agg(f.field ORDER BY f.field) FROM iaros.segment_field f WHERE f.moving = 'daily'),
    '{customer.churnLevel,customer.churnRisk,model.churn.score}', 'and these move');
SELECT is_empty($$SELECT f.field FROM iaros.segment_field f
    WHERE f.folded <> (f.kind = 'text' AND f.choices IS NULL) OR f.folded <> (f.expression ~ '^lower\(')$$,
    'texts without a list of values are folded, by their expressions');
SELECT is_empty($$SELECT f.field FROM iaros.segment_field f WHERE f.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(f))$$,
    'fields are sealed');
CREATE FUNCTION pg_temp.fitting(field text, kind text, unit text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    EXECUTE format('CREATE TEMP TABLE typed ON COMMIT DROP AS SELECT s.%I AS v FROM (%s) s LIMIT 0', field, iaros.segment_source_sql(
        ARRAY[jsonb_build_object('field', field, 'operator', 'IS NULL')::iaros.segment_rule], '2026-07-01Z'));
    SELECT format_type(a.atttypid, NULL) INTO found FROM pg_attribute a WHERE a.attrelid = 'pg_temp.typed'::regclass AND a.attname = 'v';
    DROP TABLE pg_temp.typed;
    RETURN found = ANY (CASE WHEN unit IS NOT NULL OR kind = 'time' THEN ARRAY['timestamp with time zone', 'date']
        WHEN kind = 'number' THEN ARRAY['integer', 'numeric', 'double precision', 'smallint', 'bigint']
        WHEN kind = 'boolean' THEN ARRAY['boolean'] ELSE ARRAY['text', 'character', 'iaros.cabin', 'iaros.customer_kind'] END);
END $$;
SELECT is_empty($$SELECT f.field FROM iaros.segment_field f WHERE NOT pg_temp.fitting(f.field, f.kind::text, f.unit)$$,
    'every expression is of a type that its kind allows');
CREATE FUNCTION pg_temp.listed(choices text) RETURNS bigint STRICT LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(q.choice) FROM (%s) q(choice)', choices) INTO n;
    RETURN n;
END $$;
SELECT is_empty($$SELECT f.field FROM iaros.segment_field f WHERE pg_temp.listed(f.choices) = 0$$, 'every list of values has some');
-- Bands, at their bounds: p as one row of numbers, n the time.
CREATE FUNCTION pg_temp.band(field text, p text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE found text[];
BEGIN
    EXECUTE format('SELECT array_agg(%s) FROM (%s) p, (SELECT timestamptz ''2026-07-01Z'' AS as_of, timestamptz ''2026-07-01Z'' AS day) n',
        (SELECT f.expression FROM iaros.segment_field f WHERE f.field = band.field), p) INTO found;
    RETURN found;
END $$;
SELECT is(pg_temp.band('booking.frequencyBand', 'SELECT unnest(ARRAY[0,1,2,5,6,9,10]) AS booking_count_12m'),
    '{0,1,2-5,2-5,6-9,6-9,10+}', 'booking.frequencyBand');
SELECT is(pg_temp.band('booking.advanceBand', 'SELECT unnest(ARRAY[0.99,1,7.99,8,29.99,30,NULL]) AS lead_days_avg'),
    '{last-minute,1-7,1-7,8-30,8-30,30+,NULL}', 'booking.advanceBand');
SELECT is(pg_temp.band('booking.party', 'SELECT unnest(ARRAY[1,1.49,1.5,2.49,2.5,9.9,10,NULL]) AS party_size_avg'),
    '{individual,individual,pair,pair,small group,small group,group,NULL}', 'booking.party');
SELECT is(pg_temp.band('booking.routeKind', 'SELECT * FROM (VALUES (0.49, 0.0), (0.5, 0.49), (0.6, 0.5), (NULL, NULL)) v(international_share, intercontinental_share)'),
    '{domestic,international,intercontinental,NULL}', 'booking.routeKind');
SELECT is(pg_temp.band('customer.churnLevel', $$SELECT 1 AS booking_count, t AS first_booked_at, t AS last_booked_at
    FROM unnest(ARRAY[77, 78, 420, 421, 1620, 1621, NULL]) AS d, LATERAL (SELECT timestamptz '2026-07-01Z' - d * interval '1 day' AS t) x$$),
    '{low,medium,medium,high,high,critical,NULL}', 'customer.churnLevel: 0.3 and 0.7 are medium, 0.9 is high');

-- Segments.
SELECT is((SELECT array_agg(s.name ORDER BY s.segment_id) FROM iaros.segment s WHERE s.segment_id <= 50), ARRAY[
    'High-Value Customers', 'VIP Customers', 'First-Time Bookers', 'Repeat Customers', 'Group Bookers',
    'Corporate Account Travelers', 'Last-Minute Bookers', 'Early Planners', 'Price-Sensitive', 'Premium Seekers',
    'Domestic Travelers', 'International Travelers', 'Transcontinental Travelers', 'Regional Travelers', 'Specific Route Flyers',
    'Frequent Flyers', 'Seasonal Travelers', 'Weekend Travelers', 'Weekday Travelers', 'Mobile Bookers',
    'Web Bookers', 'Agent Bookers', 'New Customers', 'Active Customers', 'At-Risk Customers',
    'Churned Customers', 'Reactivated Customers', 'Win-Back Candidates', 'Email Engaged', 'Email Disengaged',
    'SMS Opted-In', 'App Users', 'Loyalty Program Members', 'Social Media Followers', 'Ancillary Buyers',
    'Upgrade Seekers', 'Bundle Purchasers', 'No Ancillary Buyers', 'High Churn Risk', 'Medium Churn Risk',
    'High Propensity to Buy', 'High LTV Predicted', 'Birthday This Month', 'Anniversary This Month', 'Abandoned Cart',
    'Search but No Book', 'Complained Recently', 'Excellent NPS Score', 'Detractors', 'Referral Program Participants'],
    'the fifty predefined segments, in their order');
SELECT is_empty($$SELECT s.name FROM iaros.segment s WHERE s.kind <> 'dynamic' OR NOT s.enabled OR s.description IS NULL
    OR s.suggested_action IS NULL OR s.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(s))$$,
    'each is dynamic, described, with an action, and sealed');

\o /dev/null
SELECT pg_temp.book(7600011, '10 days', 5000.01), pg_temp.book(7600012, '10 days', 5000), pg_temp.book(7600013, '12 months', 9000);
-- VIP: of some 600 customers one percent is six.
INSERT INTO iaros.customer (customer_id) SELECT 7700000 + i FROM generate_series(1, 480) AS i;
SELECT iaros.segment_refresh('2026-06-01Z');
\o
SELECT is_empty($$SELECT FROM iaros.customer_segments(7700001, '2026-06-01Z') s WHERE s.name = 'VIP Customers'$$, 'SEG-P02: nobody where nobody spent');
\o /dev/null
SELECT pg_temp.book(7700000 + i, '1 hour', 70000 + i) FROM generate_series(1, 8) AS i;
SELECT pg_temp.book(7600021, '1 hour', 80000), pg_temp.book(7600022, '1 hour', 70000);
SELECT pg_temp.book(7600031, '900 days'), pg_temp.book(7600032, '900 days'), pg_temp.book(7600032, '901 days');
SELECT pg_temp.book(7600041, '900 days'), pg_temp.book(7600041, '901 days'), pg_temp.book(7600042, '900 days');
SELECT pg_temp.book(7600051, '90 days', party => 10), pg_temp.book(7600052, '90 days', party => 9);
SELECT pg_temp.customer('{7600061,7600062,7600341,7600342,7600501,7600502,7600503}');
INSERT INTO iaros.customer_trait (customer_id, trait) VALUES (7600061, 'corporate_account'), (7600062, 'social_follower'),
    (7600341, 'social_follower'), (7600342, 'corporate_account'), (7600503, 'referral_participant');
SELECT pg_temp.book(7600071, '90 days', lead => '6 days 23:59:59'), pg_temp.book(7600071, '91 days', lead => '0'),
    pg_temp.book(7600071, '92 days', lead => '7 days'),
    pg_temp.book(7600072, '90 days', lead => '6 days'), pg_temp.book(7600072, '91 days', lead => '7 days');
SELECT pg_temp.book(7600081, '90 days', lead => '30 days'), pg_temp.book(7600081, '91 days', lead => '60 days'),
    pg_temp.book(7600081, '92 days', lead => '29 days 23:59:59'),
    pg_temp.book(7600082, '90 days', lead => '30 days'), pg_temp.book(7600082, '91 days', lead => '29 days 23:59:59');
SELECT pg_temp.book(7600091, '90 days'), pg_temp.book(7600092, '90 days'), pg_temp.book(7600092, '91 days'),
    pg_temp.book(7600092, '92 days', cabin => 'business'), pg_temp.book(7600093, '90 days', cabin => 'premium_economy');
SELECT pg_temp.book(7600101, '90 days'), pg_temp.book(7600101, '91 days', cabin => 'first'),
    pg_temp.book(7600102, '90 days', cabin => 'premium_economy');
SELECT pg_temp.book(7600111, '90 days', destination => 'LAX'), pg_temp.book(7600112, '90 days', destination => 'LAX'),
    pg_temp.book(7600112, '91 days', destination => 'YYZ');
SELECT pg_temp.book(7600121, '90 days', destination => 'LAX'), pg_temp.book(7600121, '91 days', destination => 'YYZ'),
    pg_temp.book(7600122, '90 days', destination => 'LAX');
SELECT pg_temp.book(7600131, '90 days', destination => 'LAX'), pg_temp.book(7600131, '91 days', destination => 'LHR'),
    pg_temp.book(7600132, '90 days', destination => 'YYZ');
SELECT pg_temp.book(7600141, '90 days', origin => 'CDG'), pg_temp.book(7600142, '90 days', origin => 'CDG'),
    pg_temp.book(7600142, '91 days', origin => 'CDG'), pg_temp.book(7600142, '92 days'),
    pg_temp.book(7600143, '90 days', origin => 'JNB', destination => 'NBO');
SELECT pg_temp.book(7600151, '90 days', destination => 'LAX'), pg_temp.book(7600151, '91 days', destination => 'LAX'), pg_temp.book(7600151, '92 days'),
    pg_temp.book(7600152, '90 days', destination => 'LAX'), pg_temp.book(7600152, '91 days'), pg_temp.book(7600152, '92 days');
SELECT pg_temp.book(c, i * interval '30 days') FROM generate_series(1, 9) AS i, unnest('{7600161,7600162}'::bigint[]) AS c;
SELECT pg_temp.book(7600161, '11 months 29 days 23:59:59'), pg_temp.book(7600162, '12 months');
SELECT pg_temp.book(7600171, i * interval '90 days') FROM generate_series(1, 3) AS i;
SELECT pg_temp.book(7600172, i * interval '90 days') FROM generate_series(1, 4) AS i;
SELECT pg_temp.book(7600173, '90 days'), pg_temp.book(7600175, '90 days'), pg_temp.book(7600175, '91 days'), pg_temp.book(7600174, '90 days', lead => NULL), pg_temp.book(7600174, '91 days', lead => NULL);
-- From 2026-06-01 on departs on: 20th a Saturday, 19th a Friday.
SELECT pg_temp.book(7600181, '30 days', lead => '19 days 12:00'), pg_temp.book(7600182, '30 days', lead => '19 days 12:00'),
    pg_temp.book(7600182, '30 days', lead => '18 days 12:00');
SELECT pg_temp.book(7600191, '30 days', lead => '18 days 12:00'), pg_temp.book(7600192, '30 days', lead => '19 days 12:00'),
    pg_temp.book(7600192, '30 days', lead => '18 days 12:00');
SELECT pg_temp.book(7600201, '90 days', channel => 'web'), pg_temp.book(7600201, '91 days', channel => 'mobile'), pg_temp.book(7600201, '92 days', channel => 'mobile'),
    pg_temp.book(7600202, '90 days', channel => 'mobile'), pg_temp.book(7600202, '91 days', channel => 'web'), pg_temp.book(7600202, '92 days', channel => 'web'),
    pg_temp.book(7600221, '90 days', channel => 'web'), pg_temp.book(7600221, '91 days', channel => 'agent'), pg_temp.book(7600221, '92 days', channel => 'agent'),
    pg_temp.book(7600222, '90 days', channel => 'agent'), pg_temp.book(7600222, '91 days', channel => 'web'), pg_temp.book(7600222, '92 days', channel => 'web');
SELECT pg_temp.book(7600231, '29 days 23:59:59'), pg_temp.book(7600232, '30 days'), pg_temp.book(7600232, '1 day');
SELECT pg_temp.book(7600241, '1 day'), pg_temp.book(7600241, '89 days 23:59:59'), pg_temp.book(7600242, '1 day'), pg_temp.book(7600242, '90 days');
SELECT pg_temp.book(7600251, '90 days'), pg_temp.book(7600252, '89 days 23:59:59'), pg_temp.book(7600253, '180 days'), pg_temp.book(7600254, '179 days 23:59:59');
SELECT pg_temp.book(7600271, '89 days 23:59:59'), pg_temp.book(7600271, '269 days 23:59:59'),
    pg_temp.book(7600272, '89 days 23:59:59'), pg_temp.book(7600272, '269 days 23:59:58'),
    pg_temp.book(7600273, '90 days'), pg_temp.book(7600273, '300 days');
SELECT pg_temp.book(7600281, '180 days'), pg_temp.book(7600281, '181 days'), pg_temp.book(7600282, '180 days'),
    pg_temp.book(7600283, '364 days 23:59:59'), pg_temp.book(7600283, '400 days'), pg_temp.book(7600284, '365 days'), pg_temp.book(7600284, '400 days'),
    pg_temp.book(7600285, '179 days 23:59:59'), pg_temp.book(7600285, '181 days');
SELECT pg_temp.event(7600291, 'email_open', t), pg_temp.event(7600292, 'email_open', t)
FROM unnest('{1 day,2 days}'::interval[]) AS t;
SELECT pg_temp.event(7600291, 'email_open', '89 days 23:59:59'), pg_temp.event(7600292, 'email_open', '90 days');
SELECT pg_temp.event(7600301, 'email_open', '90 days'), pg_temp.event(7600302, 'email_open', '89 days 23:59:59'),
    pg_temp.event(7600303, 'email_click', '89 days'), pg_temp.customer('{7600304,7600311,7600312,7600313}');
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at) VALUES
    (7600301, 'email', 'marketing', true, 'test', '2025-01-01Z'), (7600302, 'email', 'marketing', true, 'test', '2025-01-01Z'),
    (7600303, 'email', 'marketing', true, 'test', '2025-01-01Z'), (7600304, 'email', 'marketing', false, 'test', '2025-01-01Z'),
    (7600311, 'sms', 'marketing', true, 'test', '2025-01-01Z'), (7600312, 'sms', 'marketing', true, 'test', '2025-01-01Z'),
    (7600312, 'sms', 'marketing', false, 'test', '2026-06-30 23:59:59Z'), (7600313, 'email', 'marketing', true, 'test', '2025-01-01Z');
SELECT pg_temp.event(7600321, 'app_open', '900 days'), pg_temp.event(7600322, 'login', '1 day');
SELECT pg_temp.customer('{7600331,7600332,7600333}');
INSERT INTO iaros.loyalty_account (customer_id, programme, member_no, tier, enrolled_on, cancelled_on) VALUES
    (7600331, 'frequent_flyer', 'T1', 'member', '2026-07-01', NULL), (7600332, 'frequent_flyer', 'T2', 'member', '2020-01-01', '2026-07-01'),
    (7600333, 'frequent_flyer', 'T3', 'member', '2026-07-02', NULL);
SELECT pg_temp.book(7600351, '900 days', item => 'legroom'), pg_temp.book(7600352, '90 days', item => 'wifi'),
    pg_temp.book(7600353, '90 days', item => 'bag'), pg_temp.book(7600354, '90 days', item => 'meal');
SELECT pg_temp.book(7600361, '900 days', item => 'upgrade'), pg_temp.book(7600362, '90 days', item => 'seat', cabin => 'business');
SELECT pg_temp.book(7600371, '900 days', item => 'bundle'), pg_temp.book(7600372, '90 days', item => 'hotel');
SELECT pg_temp.book(7600381, '90 days', item => 'insurance'), pg_temp.book(7600382, '90 days', item => 'wifi'), pg_temp.customer('{7600383}');
-- One booking: the estimate is t / (180 + t), 0.7 after 420 days, 0.3 after 77.1.
SELECT pg_temp.book(7600391, '421 days'), pg_temp.book(7600392, '420 days');
SELECT pg_temp.book(7600401, '78 days'), pg_temp.book(7600402, '77 days');
SELECT pg_temp.event(7600411, 'search', '6 days 23:59:59', '{"origin": "JFK", "destination": "LHR"}'), pg_temp.event(7600411, 'page_view', '20 days'),
    pg_temp.event(7600412, 'search', '6 days', '{"origin": "JFK", "destination": "LHR"}'), pg_temp.event(7600412, 'page_view', '6 days 00:29'),
    pg_temp.event(7600413, 'search', '7 days', '{"origin": "JFK", "destination": "LHR"}'), pg_temp.event(7600413, 'page_view', '2 days'),
    pg_temp.event(7600414, 'cart_abandoned', '6 days'), pg_temp.event(7600414, 'page_view', '2 days');
-- Booked at this moment: the estimate is 0.75 / (1 + 0.10 - 0.75) of the annual spend.
SELECT pg_temp.book(7600421, '0', 4666.67), pg_temp.book(7600422, '0', 4666.66);
INSERT INTO iaros.customer (customer_id, birth_date) VALUES (7600431, '1990-07-31'), (7600432, '1990-06-30'), (7600433, '1990-08-01'), (7600434, '2000-07-01');
SELECT pg_temp.book(7600441, '2026-07-01Z'::timestamptz - '2025-07-31 23:59:59Z'), pg_temp.book(7600442, '2026-07-01Z'::timestamptz - '2025-08-01Z'),
    pg_temp.book(7600443, '0'), pg_temp.book(7600444, '2026-07-01Z'::timestamptz - '2020-07-01Z');
SELECT pg_temp.event(7600451, 'cart_abandoned', '6 days 23:59:59'), pg_temp.event(7600452, 'cart_abandoned', '7 days');
SELECT pg_temp.event(c, 'search', '29 days 23:59:59', '{"origin": "JFK", "destination": "LHR"}') FROM unnest('{7600461,7600462}'::bigint[]) AS c;
SELECT pg_temp.event(7600463, 'search', '30 days', '{"origin": "JFK", "destination": "LHR"}'),
    pg_temp.book(7600461, '30 days'), pg_temp.book(7600462, '29 days 23:59:59');
SELECT pg_temp.event(7600471, 'complaint', '89 days 23:59:59'), pg_temp.event(7600472, 'complaint', '90 days');
SELECT pg_temp.event(7600480 + i, 'nps_response', '9 days', jsonb_build_object('score', (ARRAY[9, 8, 10, 7, 6, 0])[i])) FROM generate_series(1, 6) AS i;
SELECT pg_temp.event(7600481, 'nps_response', '10 days', '{"score": 0}');
SELECT pg_temp.event(7600501, 'referral', '900 days'), pg_temp.event(7600502, 'feedback', '1 day');
-- The others: Frequent Business, Leisure and Family Travelers, Champions.
SELECT pg_temp.book(7600511, i * interval '7 days', 900, cabin => 'business', lead => '12:00', party => 3) FROM generate_series(1, 10) AS i;
SELECT pg_temp.book(7600512, i * interval '7 days', 900, cabin => 'business', lead => '12:00', party => 2) FROM generate_series(1, 9) AS i;
SELECT pg_temp.book(7600513, i * interval '7 days', lead => '12:00') FROM generate_series(1, 10) AS i;
SELECT pg_temp.book(7600514, i * interval '7 days', cabin => 'first', lead => CASE WHEN i <= 5 THEN interval '3 days 12:00' ELSE interval '12:00' END)
FROM generate_series(1, 10) AS i;
SELECT pg_temp.book(7600533, '30 days', lead => '19 days 12:00') FROM generate_series(1, 3);
SELECT pg_temp.book(7600534, '395 days', lead => '12:00'), pg_temp.book(7600536, '30 days', lead => '18 days 12:00'),
    pg_temp.book(7600535, '30 days', lead => '18 days 12:00'), pg_temp.book(7600535, '30 days', lead => '19 days 12:00');
SELECT pg_temp.book(7600531, '30 days', lead => '19 days 12:00'), pg_temp.book(7600532, '30 days', cabin => 'premium_economy', lead => '19 days 12:00');
SELECT iaros.rfm_refresh('2026-07-01Z'), iaros.lifecycle_refresh('2026-07-01Z'), iaros.value_refresh('2026-07-01Z');
SELECT iaros.segment_refresh('2026-07-01Z');
\o

SELECT is(pg_temp.who('High-Value Customers', 7600011, 7600012, 7600013), '{7600011}', 'SEG-P01: above 5000, in 12 months');
SELECT is(pg_temp.who('VIP Customers', 7600021, 7600022, 7700480), '{7600021}', 'SEG-P02: among the one percent with the highest annual spend');
SELECT is(pg_temp.who('First-Time Bookers', 7600031, 7600032, 7600061), '{7600031}', 'SEG-P03: one booking');
SELECT is(pg_temp.who('Repeat Customers', 7600041, 7600042), '{7600041}', 'SEG-P04: two');
SELECT is(pg_temp.who('Group Bookers', 7600051, 7600052), '{7600051}', 'SEG-P05: ten travellers');
SELECT is(pg_temp.who('Corporate Account Travelers', 7600061, 7600062), '{7600061}', 'SEG-P06: trait corporate_account');
SELECT is(pg_temp.who('Last-Minute Bookers', 7600071, 7600072), '{7600071}', 'SEG-P07: more than half less than seven days ahead');
SELECT is(pg_temp.who('Early Planners', 7600081, 7600082), '{7600081}', 'SEG-P08: more than half 30 days ahead');
SELECT is(pg_temp.who('Price-Sensitive', 7600091, 7600092, 7600093), '{7600091}', 'SEG-P09: economy only');
SELECT is(pg_temp.who('Premium Seekers', 7600101, 7600102), '{7600101}', 'SEG-P10: business or first once');
SELECT is(pg_temp.who('Domestic Travelers', 7600111, 7600112, 7600061), '{7600111}', 'SEG-P11: no other country');
SELECT is(pg_temp.who('International Travelers', 7600121, 7600122), '{7600121}', 'SEG-P12: another country once');
SELECT is(pg_temp.who('Transcontinental Travelers', 7600131, 7600132), '{7600131}', 'SEG-P13: another region once');
SELECT is(pg_temp.who('Regional Travelers', 7600141, 7600142, 7600143), '{7600141}', 'SEG-P14: never out of Europe');
SELECT is(pg_temp.who('Specific Route Flyers', 7600151, 7600152), '{7600151}', 'SEG-P15: New York to Los Angeles most often');
SELECT is(pg_temp.who('Frequent Flyers', 7600161, 7600162), '{7600161}', 'SEG-P16: ten bookings in 12 months');
SELECT is(pg_temp.who('Seasonal Travelers', 7600171, 7600172, 7600173, 7600174, 7600175), '{7600171,7600175}', 'SEG-P17: two or more, three in 12 months, a season');
SELECT is(pg_temp.who('Weekend Travelers', 7600181, 7600182), '{7600181}', 'SEG-P18: more than half on Saturday or Sunday');
SELECT is(pg_temp.who('Weekday Travelers', 7600191, 7600192), '{7600191}', 'SEG-P19: less than half on Saturday or Sunday');
SELECT is(pg_temp.who('Mobile Bookers', 7600201, 7600202), '{7600201}', 'SEG-P20: mobile most often');
SELECT is(pg_temp.who('Web Bookers', 7600202, 7600201), '{7600202}', 'SEG-P21: web most often');
SELECT is(pg_temp.who('Agent Bookers', 7600221, 7600222), '{7600221}', 'SEG-P22: agents most often');
SELECT is(pg_temp.who('New Customers', 7600231, 7600232), '{7600231}', 'SEG-P23: first booking less than 30 days ago');
SELECT is(pg_temp.who('Active Customers', 7600241, 7600242), '{7600241}', 'SEG-P24: two bookings in 90 days');
SELECT is(pg_temp.who('At-Risk Customers', 7600251, 7600252, 7600253, 7600254), '{7600251,7600254}', 'SEG-P25: 90 to 180 days');
SELECT is(pg_temp.who('Churned Customers', 7600253, 7600254, 7600061), '{7600253}', 'SEG-P26: 180 days');
SELECT is(pg_temp.who('Reactivated Customers', 7600271, 7600272, 7600273), '{7600271}', 'SEG-P27: back after 180 days, in the last 90');
SELECT is(pg_temp.who('Win-Back Candidates', 7600281, 7600282, 7600283, 7600284, 7600285), '{7600281,7600283}',
    'SEG-P28: two bookings, the last 180 to 365 days ago');
SELECT is(pg_temp.who('Email Engaged', 7600291, 7600292), '{7600291}', 'SEG-P29: three e-mails opened in 90 days');
SELECT is(pg_temp.who('Email Disengaged', 7600301, 7600302, 7600303, 7600304), '{7600301}', 'SEG-P30: consented and opened nothing in 90 days');
SELECT is(pg_temp.who('SMS Opted-In', 7600311, 7600312, 7600313), '{7600311}', 'SEG-P31: consent to text messages, not withdrawn');
SELECT is(pg_temp.who('App Users', 7600321, 7600322), '{7600321}', 'SEG-P32: opened the application');
SELECT is(pg_temp.who('Loyalty Program Members', 7600331, 7600332, 7600333), '{7600331}', 'SEG-P33: from the day of enrolment to that of leaving');
SELECT is(pg_temp.who('Social Media Followers', 7600341, 7600342), '{7600341}', 'SEG-P34: trait social_follower');
SELECT is(pg_temp.who('Ancillary Buyers', 7600351, 7600352, 7600353, 7600354), '{7600351,7600353,7600354}', 'SEG-P35: a seat, a bag or a meal');
SELECT is(pg_temp.who('Upgrade Seekers', 7600361, 7600362), '{7600361}', 'SEG-P36: an upgrade');
SELECT is(pg_temp.who('Bundle Purchasers', 7600371, 7600372), '{7600371}', 'SEG-P37: a bundle');
SELECT is(pg_temp.who('No Ancillary Buyers', 7600381, 7600382, 7600383), '{7600381}', 'SEG-P38: booked, no ancillary');
SELECT is(pg_temp.who('High Churn Risk', 7600391, 7600392), '{7600391}', 'SEG-P39: above 70 %');
SELECT is(pg_temp.who('Medium Churn Risk', 7600401, 7600402, 7600391, 7600392), '{7600392,7600401}', 'SEG-P40: 30 to 70 %, both included');
SELECT is(pg_temp.who('High Propensity to Buy', 7600411, 7600412, 7600413, 7600414), '{7600411,7600414}', 'SEG-P41: search or cart in seven days, two sessions');
SELECT is(pg_temp.who('High LTV Predicted', 7600421, 7600422), '{7600421}', 'SEG-P42: above 10000');
SELECT is(pg_temp.who('Birthday This Month', 7600431, 7600432, 7600433, 7600434), '{7600431,7600434}', 'SEG-P43: born in July');
SELECT is(pg_temp.who('Anniversary This Month', 7600441, 7600442, 7600443, 7600444), '{7600441,7600444}', 'SEG-P44: first booking in July of an earlier year');
SELECT is(pg_temp.who('Abandoned Cart', 7600451, 7600452), '{7600451}', 'SEG-P45: seven days');
SELECT is(pg_temp.who('Search but No Book', 7600461, 7600462, 7600463), '{7600461}', 'SEG-P46: searched and did not book in 30 days');
SELECT is(pg_temp.who('Complained Recently', 7600471, 7600472), '{7600471}', 'SEG-P47: 90 days');
SELECT is(pg_temp.who('Excellent NPS Score', 7600481, 7600482, 7600483, 7600484), '{7600481,7600483}', 'SEG-P48: 9 and 10, the last answer');
SELECT is(pg_temp.who('Detractors', 7600481, 7600484, 7600485, 7600486, 7600061), '{7600485,7600486}', 'SEG-P49: 0 to 6, the last answer');
SELECT is(pg_temp.who('Referral Program Participants', 7600501, 7600502, 7600503), '{7600501,7600503}', 'SEG-P50: an event referral, or the trait');
SELECT is(pg_temp.who('Champions', 7600511, 7600031), '{7600511}', 'Champions: by RFM');
SELECT is(pg_temp.who('Frequent Business Travelers', 7600511, 7600512, 7600513, 7600514), '{7600511}', 'ten bookings in business class on working days');
SELECT is(pg_temp.who('Leisure Travelers', 7600531, 7600532, 7600511, 7600533, 7600534, 7600535, 7600536), '{7600531,7600535}', 'one or two at a weekend in economy class');
SELECT is(pg_temp.who('Family Travelers', 7600511, 7600512), '{7600511}', 'three travellers');
SELECT is(pg_temp.who('Lapsed Customers', 7600253, 7600254), '{7600253}', 'as Churned Customers');
SELECT * FROM finish();
ROLLBACK;
