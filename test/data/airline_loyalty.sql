-- airline_loyalty_members and airline_flight_activity: members as customers
-- with a loyalty account, their months as events, and the published figures.
\ir check.psql
SELECT iaros.setting_set('base_currency', 'CAD') \g /dev/null
INSERT INTO iaros.event_kind (kind, origin, description, required_properties) VALUES
    ('flight_month', 'booking', 'Flights and points of a month', '{total_flights,distance,points_accumulated,points_redeemed}');
INSERT INTO iaros.loyalty_programme (programme, name, member_prefix) VALUES ('northern_lights', 'Northern Lights Air', '');
INSERT INTO iaros.loyalty_tier (programme, tier, name, rank) VALUES
    ('northern_lights', 'star', 'Star', 0), ('northern_lights', 'nova', 'Nova', 1), ('northern_lights', 'aurora', 'Aurora', 2);
SELECT iaros.partition_ensure('2017-01-01', '2018-12-31') \g /dev/null

CREATE TEMP TABLE member (loyalty_number text, country text, province text, city text, postal_code text, gender text,
    education text, salary text, marital_status text, loyalty_card text, clv text, enrollment_type text,
    enrollment_year text, enrollment_month text, cancellation_year text, cancellation_month text);
\copy member from program 'gzip -dc "$IAROS_DATA/airline_loyalty_members.csv.gz"' csv header
CREATE TEMP TABLE activity (line_id bigserial, loyalty_number text, year text, month text, flights_booked text,
    flights_with_companions text, total_flights text, distance text, points_accumulated text, points_redeemed text,
    dollar_cost_points_redeemed text);
\copy activity (loyalty_number, year, month, flights_booked, flights_with_companions, total_flights, distance, points_accumulated, points_redeemed, dollar_cost_points_redeemed) from program 'gzip -dc "$IAROS_DATA/airline_flight_activity.csv.gz"' csv header
ANALYZE member, activity;
SELECT pg_temp.check_equal('rows of activity', count(*), 405624::bigint),
    pg_temp.check_equal('rows without a flight', count(*) FILTER (WHERE total_flights = '0'), 197992::bigint),
    pg_temp.check_equal('points with a fraction', count(*) FILTER (WHERE points_accumulated::numeric % 1 <> 0), 20937::bigint)
FROM activity \g /dev/null
SELECT pg_temp.check_equal('keys that come more than once', count(*), 3912::bigint)
FROM (SELECT FROM activity GROUP BY loyalty_number, year, month HAVING count(*) > 1) k \g /dev/null
SELECT pg_temp.check_equal('exact repeats', sum(n - 1), 1864::numeric)
FROM (SELECT count(*) AS n FROM activity GROUP BY loyalty_number, year, month, flights_booked, flights_with_companions,
      total_flights, distance, points_accumulated, points_redeemed, dollar_cost_points_redeemed) k \g /dev/null

-- Members. A negative salary is kept as published: it is a trait of theirs.
CREATE TEMP VIEW loyalty_member AS
SELECT loyalty_number AS external_id, loyalty_number AS frequent_flyer, lower(gender) AS gender,
    CASE country WHEN 'Canada' THEN 'CA' ELSE country END AS country, city, postal_code,
    jsonb_strip_nulls(jsonb_build_object('province', province, 'education', education, 'salary', salary::numeric,
        'marital_status', marital_status, 'clv', clv::numeric, 'enrollment_type', enrollment_type)) AS traits
FROM member;
SELECT pg_temp.check_load('members', $$SELECT * FROM iaros.customer_load('loyalty', 'loyalty_member')$$, '{16737,16737,0,0}') \g /dev/null

INSERT INTO iaros.loyalty_account (customer_id, programme, member_no, tier, enrolled_on, cancelled_on)
SELECT k.customer_id, 'northern_lights', m.loyalty_number, lower(m.loyalty_card),
    make_date(m.enrollment_year::integer, m.enrollment_month::integer, 1),
    make_date(m.cancellation_year::integer, m.cancellation_month::integer, 1)
FROM member m
JOIN iaros.customer_key k ON k.source = 'loyalty' AND k.external_id = m.loyalty_number;
INSERT INTO iaros.loyalty_key (programme, member_no, customer_id)
SELECT programme, member_no, customer_id FROM iaros.loyalty_account;

SELECT pg_temp.check_equal('accounts', count(*), 16737::bigint),
    pg_temp.check_equal('cancelled', count(cancelled_on), 2067::bigint)
FROM iaros.loyalty_account \g /dev/null
SELECT pg_temp.check_equal('negative salaries', count(*) FILTER (WHERE trait = 'salary' AND value::numeric < 0), 20::bigint),
    pg_temp.check_equal('missing salaries', 16737 - count(*) FILTER (WHERE trait = 'salary'), 4238::bigint),
    pg_temp.check_equal('members of the 2018 promotion', count(*) FILTER (WHERE trait = 'enrollment_type' AND value = '"2018 Promotion"'), 971::bigint)
FROM iaros.customer_trait \g /dev/null
SELECT pg_temp.check_equal('missing salaries outside College', count(*), 0::bigint)
FROM iaros.customer_trait e
WHERE e.trait = 'education' AND e.value <> '"College"'
  AND NOT EXISTS (SELECT FROM iaros.customer_trait s WHERE s.customer_id = e.customer_id AND s.trait = 'salary') \g /dev/null
SELECT pg_temp.check_equal('accounts without their customer', (SELECT count(*) FROM iaros.loyalty_account a
    WHERE NOT EXISTS (SELECT FROM iaros.customer_identifier i
        WHERE i.customer_id = a.customer_id AND i.kind = 'frequent_flyer' AND i.value = a.member_no)), 0::bigint) \g /dev/null

-- Months: of rows with one key the first is taken, one that says the same is
-- a duplicate, one that says something else is refused.
CREATE TEMP VIEW loyalty_month AS
SELECT concat(loyalty_number, '-', year, '-', lpad(month, 2, '0')) AS external_id, loyalty_number AS customer_external_id,
    'flight_month' AS kind, concat(year, '-', lpad(month, 2, '0'), '-01') AS occurred_at,
    jsonb_build_object('flights_booked', flights_booked::numeric, 'flights_with_companions', flights_with_companions::numeric,
        'total_flights', total_flights::numeric, 'distance', distance::numeric, 'points_accumulated', points_accumulated::numeric,
        'points_redeemed', points_redeemed::numeric, 'dollar_cost', dollar_cost_points_redeemed::numeric) AS properties
FROM activity ORDER BY line_id;
SELECT pg_temp.check_load('months', $$SELECT * FROM iaros.event_load('loyalty', 'loyalty_month')$$,
    '{405624,401688,1862,2074}') AS months \gset
SELECT pg_temp.check_equal('months with another content', pg_temp.refused(:months, 'conflict_in_load'), 2074::bigint),
    pg_temp.check_equal('months, 24 of each member', (SELECT count(*) FROM iaros.event), 16737::bigint * 24),
    pg_temp.check_equal('months in the default partition', (SELECT count(*) FROM iaros.event_default), 0::bigint)
\g /dev/null
-- Every row is stored, a duplicate of a stored row, or kept as refused.
SELECT pg_temp.check_equal('points of all rows but the duplicates', s.points + r.points, a.points),
    pg_temp.check_equal('fractions among them', s.fractions + r.fractions, a.fractions)
FROM (SELECT sum((properties ->> 'points_accumulated')::numeric) AS points,
        count(*) FILTER (WHERE (properties ->> 'points_accumulated')::numeric % 1 <> 0) AS fractions FROM iaros.event) s,
    (SELECT sum((payload #>> '{properties,points_accumulated}')::numeric) AS points,
        count(*) FILTER (WHERE (payload #>> '{properties,points_accumulated}')::numeric % 1 <> 0) AS fractions
     FROM iaros.load_reject WHERE load_id = :months) r,
    (SELECT sum(points_accumulated::numeric) AS points, count(*) FILTER (WHERE points_accumulated::numeric % 1 <> 0) AS fractions
     FROM (SELECT x.*, first_value(ROW(flights_booked, flights_with_companions, total_flights, distance, points_accumulated,
                points_redeemed, dollar_cost_points_redeemed)::text) OVER w
            = ROW(flights_booked, flights_with_companions, total_flights, distance, points_accumulated,
                points_redeemed, dollar_cost_points_redeemed)::text AND row_number() OVER w > 1 AS duplicate
           FROM activity x
           WINDOW w AS (PARTITION BY loyalty_number, year, month ORDER BY line_id)) y
     WHERE NOT duplicate) a
\g /dev/null

-- The same again: nothing changes.
SELECT pg_temp.fingerprint() AS before \gset
SELECT pg_temp.check_load('members again', $$SELECT * FROM iaros.customer_load('loyalty', 'loyalty_member')$$, '{16737,0,16737,0}'),
    pg_temp.check_load('months again', $$SELECT * FROM iaros.event_load('loyalty', 'loyalty_month')$$, '{405624,0,403550,2074}')
\g /dev/null
SELECT pg_temp.check_equal('rows of the domain after loading twice', pg_temp.fingerprint(), :'before') \g /dev/null
