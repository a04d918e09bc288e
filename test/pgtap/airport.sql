-- airport: the reference data is sound, distances are those of the world.
BEGIN;
SELECT plan(26);

-- Time zones.
SELECT is_empty(
    $$SELECT airport, time_zone FROM iaros.airport
      WHERE time_zone NOT IN (SELECT name FROM pg_timezone_names)$$,
    'every time zone is one that the server knows');
-- The sun is a check of codes, signs and zones: clocks differ from it by at
-- most three and a half hours (west of China).
SELECT is_empty(
    $$SELECT airport, time_zone, longitude, clock
      FROM (SELECT airport, time_zone, longitude,
                   extract(epoch FROM timezone(time_zone, timestamptz '2024-01-10 00:00+00')
                                      - timestamp '2024-01-10') / 3600 AS clock
            FROM iaros.airport) AS z
      WHERE abs(mod((clock - longitude / 15 + 36)::numeric, 24) - 12) > 3.5$$,
    'no clock is more than three and a half hours from the sun');
-- Zones of one country are zones of its neighbourhood.
SELECT is_empty(
    $$SELECT a.airport, b.airport FROM iaros.airport a JOIN iaros.airport b
        ON b.country = a.country AND b.airport > a.airport AND b.time_zone <> a.time_zone
      WHERE iaros.distance_km(a.latitude, a.longitude, b.latitude, b.longitude) < 30$$,
    'airports of one country less than 30 km apart have one time zone');

-- Countries.
SELECT is(count(*), 250::bigint, '249 countries of ISO 3166-1 and Kosovo') FROM iaros.country;
SELECT is_empty(
    $$SELECT country FROM iaros.country WHERE (region = 'Americas') <> (continent IN ('North America', 'South America'))
        AND country <> 'GS'$$,
    'the Americas are a region of two continents');
SELECT is_empty(
    $$SELECT country FROM iaros.country WHERE region = 'Middle East' AND continent <> 'Asia'$$,
    'the Middle East lies in Asia');
SELECT is_empty(
    $$SELECT c.country FROM iaros.country c
      WHERE c.country IN ('AT', 'BE', 'BG', 'CY', 'CZ', 'DE', 'DK', 'EE', 'ES', 'FI', 'FR', 'GR', 'HR', 'HU', 'IE',
                          'IT', 'LT', 'LU', 'LV', 'MT', 'NL', 'PL', 'PT', 'RO', 'SE', 'SI', 'SK')
        AND (c.region <> 'Europe' OR NOT EXISTS (SELECT FROM iaros.airport a WHERE a.country = c.country))$$,
    'every country of the European Union has an airport and lies in Europe');
SELECT cmp_ok((SELECT count(DISTINCT country) FROM iaros.airport), '>=', 225::bigint,
    'nearly every country has an airport');
SELECT is_empty(
    $$SELECT a.country, count(*) FROM iaros.airport a
      JOIN (SELECT country, avg(latitude) AS lat FROM iaros.airport GROUP BY country) m USING (country)
      WHERE a.country NOT IN ('US', 'FR', 'RU', 'CL', 'SJ', 'ID', 'AR', 'NO') AND abs(a.latitude - m.lat) > 25
      GROUP BY a.country$$,
    'airports of one country lie together');
SELECT is_empty(
    $$SELECT code FROM unnest(ARRAY['ATL', 'DXB', 'DFW', 'HND', 'LHR', 'DEN', 'IST', 'ORD', 'DEL', 'PVG', 'LAX', 'CAN',
        'ICN', 'CDG', 'JFK', 'SIN', 'PEK', 'AMS', 'MAD', 'BKK', 'FRA', 'HKG', 'KUL', 'CGK', 'MEX', 'GRU', 'SYD', 'JNB',
        'CAI', 'ADD', 'LOS', 'NBO', 'BOG', 'LIM', 'SCL', 'YYZ', 'DOH', 'JED', 'RUH', 'MNL', 'SGN', 'BOM', 'AKL']) AS code
      WHERE code NOT IN (SELECT airport FROM iaros.airport)$$,
    'the largest airports are there');

-- Distances of known pairs, within one per cent.
SELECT ok(abs(iaros.route_distance_km(p.o, p.d) / p.km - 1) < 0.01, format('%s to %s is some %s km', p.o, p.d, p.km))
FROM (VALUES ('JFK', 'LHR', 5540), ('SYD', 'SIN', 6300), ('LAX', 'NRT', 8755), ('DXB', 'LHR', 5500),
             ('SIN', 'JFK', 15340), ('FRA', 'MUC', 300), ('MAD', 'EZE', 10070), ('JNB', 'CPT', 1270)) AS p(o, d, km);

-- Laws of a distance.
SELECT is_empty(
    $$SELECT a.airport, b.airport FROM iaros.airport a, iaros.airport b
      WHERE a.airport < 'BJ' AND b.airport > 'VA'
        AND abs(iaros.distance_km(a.latitude, a.longitude, b.latitude, b.longitude)
                - iaros.distance_km(b.latitude, b.longitude, a.latitude, a.longitude)) > 1e-9$$,
    'there and back are equally far');
SELECT is_empty(
    $$WITH p AS MATERIALIZED (SELECT airport, latitude AS lat, longitude AS lon FROM iaros.airport WHERE airport < 'AM')
      SELECT a.airport, b.airport, c.airport FROM p a, p b, p c
      WHERE iaros.distance_km(a.lat, a.lon, c.lat, c.lon)
            > iaros.distance_km(a.lat, a.lon, b.lat, b.lon) + iaros.distance_km(b.lat, b.lon, c.lat, c.lon) + 1e-9$$,
    'a stop on the way never makes it shorter');
-- The law of cosines, an independent formula, agrees away from its weak spots.
SELECT is_empty(
    $$SELECT a.airport, b.airport FROM iaros.airport a, iaros.airport b
      WHERE a.airport < 'BJ' AND b.airport > 'VA'
        AND abs(iaros.distance_km(a.latitude, a.longitude, b.latitude, b.longitude)
                - 6371.0088 * acos(least(1, greatest(-1, sind(a.latitude) * sind(b.latitude)
                    + cosd(a.latitude) * cosd(b.latitude) * cosd(a.longitude - b.longitude))))) > 0.01$$,
    'haversine and law of cosines agree');

-- Rights: a plain role may use the kernel, not the engine.
CREATE ROLE airport_nobody;
SET LOCAL ROLE airport_nobody;
SELECT is(iaros.haul(iaros.distance_km(0, 0, 0, 90)), 'long', 'kernel functions are for everybody');
SELECT throws_ok($$SELECT iaros.route_kind('JFK', 'LHR')$$, '42501', NULL, 'the engine is not');
SELECT throws_ok($$SELECT iaros.airport_get('LHR')$$, '42501', NULL, 'airport_get is not');
RESET ROLE;

-- Shipped rows are known as such, changed ones too.
SELECT is((SELECT count(*) FROM iaros.airport WHERE shipped_hash IS NULL OR shipped_hash = 'new'), 0::bigint,
    'every shipped airport is sealed');
UPDATE iaros.airport SET name = 'Our own name' WHERE airport = 'LHR';
SELECT is((SELECT string_agg(airport, ' ') FROM iaros.airport a WHERE shipped_hash <> iaros.row_hash(to_jsonb(a))), 'LHR',
    'a row that a user changed no longer has its hash');

SELECT * FROM finish();
ROLLBACK;
