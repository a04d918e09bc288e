-- Airports: reference data, distances, kinds of routes.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- distance_km
SELECT round(iaros.distance_km(40.64, -73.78, 51.47, -0.46)::numeric, 1) AS jfk_lhr;
SELECT iaros.distance_km(12.3, 45.6, 12.3, 45.6) AS same_point;
-- A quarter and a half of the circle; antipodes; a pole from all longitudes
SELECT round(iaros.distance_km(0, 0, 0, 90)::numeric, 4) AS quarter, round(iaros.distance_km(0, 0, 0, 180)::numeric, 4) AS half;
SELECT round(iaros.distance_km(40.3, 10.7, -40.3, -169.3)::numeric, 4) AS antipodes;
SELECT round(iaros.distance_km(90, 0, 90, 123)::numeric, 6) AS at_the_pole;
-- One metre, and across the date line
SELECT round((iaros.distance_km(50, 8, 50 + 1 / 111195.0797, 8) * 1000)::numeric, 3) AS metres;
SELECT round(iaros.distance_km(0, 179.5, 0, -179.5)::numeric, 3) AS one_degree;
SELECT iaros.distance_km(NULL, 0, 0, 0) IS NULL, iaros.distance_km('NaN', 0, 0, 0), iaros.distance_km(0, 0, 0, 'NaN');
SELECT iaros.distance_km('Infinity', 0, 0, 0);
-- Inlined into the query that calls it: no call of the function is left.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query; END $$;
SELECT count(*) AS calls FROM pg_temp.plan_of('SELECT iaros.haul(latitude), iaros.distance_km(latitude, longitude, latitude, 0) FROM iaros.airport') AS line WHERE line ~ 'haul|distance_km';

-- haul: the bands of EUROCONTROL, with their limits
SELECT km, iaros.haul(km) FROM unnest(ARRAY[0, 1499.999, 1500, 4000, 4000.001, 20015, 'Infinity', 'NaN', -1, NULL]::float8[]) AS km;

-- country_iso
SELECT count(*), count(DISTINCT code), count(*) FILTER (WHERE code !~ '^[A-Z]{2}$' OR name = '') AS malformed FROM iaros.country_iso();
SELECT region, count(*) FROM iaros.country_iso() GROUP BY region ORDER BY region;
SELECT continent, count(*) FROM iaros.country_iso() GROUP BY continent ORDER BY continent;
SELECT * FROM iaros.country_iso() WHERE code IN ('CI', 'CY', 'EG', 'GB', 'JP', 'RU', 'SA', 'TR', 'XK') ORDER BY code;
-- Sorted, as the comment says
SELECT count(*) AS unsorted FROM (SELECT code, lag(code) OVER (ORDER BY ord) AS before FROM iaros.country_iso() WITH ORDINALITY AS c(code, name, continent, region, ord)) AS x WHERE code COLLATE "C" <= before;

-- airport_iata
SELECT count(*) > 1300 AS many, count(*) - count(DISTINCT code) AS twice, count(*) FILTER (WHERE code !~ '^[A-Z]{3}$' OR name = '' OR city = '') AS malformed FROM iaros.airport_iata();
SELECT * FROM iaros.airport_iata() WHERE code IN ('AKL', 'ATL', 'DXB', 'EZE', 'FRA', 'JNB', 'SIN') ORDER BY code;
SELECT count(*) AS unsorted FROM (SELECT code, lag(code) OVER (ORDER BY ord) AS before FROM iaros.airport_iata() WITH ORDINALITY AS a(code, name, city, country, time_zone, latitude, longitude, ord)) AS x WHERE code COLLATE "C" <= before;
SELECT code FROM iaros.airport_iata() WHERE country NOT IN (SELECT code FROM iaros.country_iso());

-- The tables hold what the functions give, and know it as shipped.
SELECT count(*) AS differ FROM (SELECT code, name, continent, region FROM iaros.country_iso() EXCEPT SELECT country, name, continent, region FROM iaros.country) AS x;
SELECT count(*) AS differ FROM (SELECT code, name, city, country, time_zone, latitude, longitude FROM iaros.airport_iata() EXCEPT SELECT airport, name, city, country, time_zone, latitude, longitude FROM iaros.airport) AS x;
SELECT count(*) AS changed FROM iaros.airport a WHERE shipped_hash IS NOT NULL AND shipped_hash <> iaros.row_hash(to_jsonb(a));

-- airport_get
SELECT * FROM iaros.airport_get('LHR');
SELECT * FROM iaros.airport_get(NULL);
SELECT * FROM iaros.airport_get('QQQ');
SELECT * FROM iaros.airport_get('lhr');
SELECT * FROM iaros.airport_get('LHRX');
SELECT * FROM iaros.airport_get('');

-- route_distance_km
SELECT o, d, round(iaros.route_distance_km(o, d)::numeric) AS km, iaros.haul(iaros.route_distance_km(o, d)), iaros.route_kind(o, d)
FROM (VALUES ('FRA', 'MUC'), ('JFK', 'LAX'), ('LHR', 'CDG'), ('LHR', 'IST'), ('DXB', 'DOH'), ('LHR', 'DXB'), ('JFK', 'GRU'), ('SYD', 'AKL'), ('CDG', 'RUN'), ('CAI', 'RUH'), ('SVO', 'VVO'), ('LHR', 'LHR')) AS r(o, d);
SELECT iaros.route_distance_km('JFK', NULL) IS NULL, iaros.route_kind(NULL, 'JFK') IS NULL;
SELECT iaros.route_distance_km('JFK', 'QQQ');
SELECT iaros.route_kind('QQQ', 'JFK');
SELECT iaros.route_kind(repeat('Q', 1000), 'JFK');

-- What the table refuses
BEGIN;
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('QQQ', 'Test', 'Test', 'DE', 'Europe/Berlin', 50, 8);
SELECT airport, shipped_hash FROM iaros.airport WHERE airport = 'QQQ';
SELECT round(iaros.route_distance_km('QQQ', 'FRA')::numeric) AS km;
ROLLBACK;
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('qqq', 'Test', 'Test', 'DE', 'Europe/Berlin', 50, 8);
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('QQQ', 'Test', 'Test', 'QQ', 'Europe/Berlin', 50, 8);
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('QQQ', 'Test', 'Test', 'DE', 'Europe/Bonn', 50, 8);
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('QQQ', 'Test', 'Test', 'DE', 'Europe/Berlin', 90.1, 8);
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('QQQ', 'Test', 'Test', 'DE', 'Europe/Berlin', 50, 'NaN');
INSERT INTO iaros.airport (airport, name, city, country, time_zone, latitude, longitude) VALUES ('LHR', 'Test', 'Test', 'DE', 'Europe/Berlin', 50, 8);
