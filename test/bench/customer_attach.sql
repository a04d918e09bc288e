-- Tables of the user's own: the first load of rows events and of rows / 4
-- bookings, then changes of the table in one statement, in batches of 1,000
-- and row by row, through source_attach() against what a good engineer would
-- write for just this table: one INSERT ... SELECT, and statement triggers
-- that copy rows without checking them. Variable: rows.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT iaros.partition_ensure('2025-01-01', '2025-12-31') > 0 AS made \gset
INSERT INTO iaros.data_source (source, description) VALUES ('ours', 'Attached'), ('plain', 'By hand');
INSERT INTO iaros.customer (customer_id, source) SELECT i, 'crm' FROM generate_series(1, :rows / 20) AS i;
INSERT INTO iaros.customer_key (source, external_id, customer_id) SELECT 'crm', 'C' || i, i FROM generate_series(1, :rows / 20) AS i;
CREATE TABLE bench_raw AS
SELECT i AS id, 'C' || 1 + iaros.chance_int(i, 1, 1, :rows / 20) AS client, (ARRAY['login', 'page_view', 'app_open', 'email_open'])[1 + i % 4] AS what,
    timestamptz '2025-01-01 UTC' + i * 7919::bigint % 31000000 * interval '1 second' AS at, 'page ' || i % 100 AS page, (i % 100000 / 100.0)::numeric AS price
FROM generate_series(1, :rows) AS i;
CREATE TABLE own_ours AS TABLE bench_raw;
CREATE TABLE own_plain AS TABLE bench_raw;
CREATE TABLE bench_sale AS SELECT * FROM bench_raw WHERE id <= :rows / 4;
ALTER TABLE bench_raw ADD PRIMARY KEY (id);
ALTER TABLE own_ours ADD PRIMARY KEY (id);
ALTER TABLE own_plain ADD PRIMARY KEY (id);
ALTER TABLE bench_sale ADD PRIMARY KEY (id);
ANALYZE;

CREATE FUNCTION pg_temp.attach() RETURNS void LANGUAGE sql AS $$
    SELECT iaros.source_attach('event', 'own_ours', '{"external_id": "id", "customer_external_id": "client", "customer_source": {"value": "crm"},
        "kind": "what", "occurred_at": "at", "properties": {"fields": {"page": "page"}}}', 'ours')
$$;
CREATE FUNCTION pg_temp.plain_insert() RETURNS void LANGUAGE sql AS $$
    WITH f AS MATERIALIZED (
        SELECT nextval('iaros.event_id_seq') AS event_id, k.customer_id, r.* FROM own_plain r
        JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client),
    key AS (
        INSERT INTO iaros.event_key (customer_id, source, external_id, event_id, occurred_at)
        SELECT f.customer_id, 'plain', f.id::text, f.event_id, f.at FROM f)
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source, properties)
    SELECT f.customer_id, f.event_id, f.what, f.at, 'plain', jsonb_build_object('page', f.page) FROM f
$$;
-- Without the ledger of keys, so that no change could ever find its event.
CREATE FUNCTION pg_temp.bare_insert() RETURNS void LANGUAGE sql AS $$
    INSERT INTO iaros.event (customer_id, kind, occurred_at, source, properties)
    SELECT k.customer_id, r.what, r.at, 'plain', jsonb_build_object('page', r.page) FROM own_plain r
    JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client
$$;
CREATE FUNCTION pg_temp.bench_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        WITH f AS MATERIALIZED (
            SELECT nextval('iaros.event_id_seq') AS event_id, k.customer_id, r.* FROM news r
            JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client),
        key AS (
            INSERT INTO iaros.event_key (customer_id, source, external_id, event_id, occurred_at)
            SELECT f.customer_id, 'plain', f.id::text, f.event_id, f.at FROM f)
        INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source, properties)
        SELECT f.customer_id, f.event_id, f.what, f.at, 'plain', jsonb_build_object('page', f.page) FROM f;
    ELSIF TG_OP = 'UPDATE' THEN
        -- Keys, customers and times are taken not to change.
        UPDATE iaros.event e SET kind = r.what, properties = jsonb_build_object('page', r.page)
        FROM news r
        JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client
        JOIN iaros.event_key w ON w.customer_id = k.customer_id AND w.source = 'plain' AND w.external_id = r.id::text
        WHERE e.customer_id = w.customer_id AND e.occurred_at = w.occurred_at AND e.event_id = w.event_id;
    ELSE
        WITH gone AS (
            DELETE FROM iaros.event_key w USING olds r, iaros.customer_key k
            WHERE k.source = 'crm' AND k.external_id = r.client AND w.customer_id = k.customer_id AND w.source = 'plain' AND w.external_id = r.id::text
            RETURNING w.customer_id, w.occurred_at, w.event_id)
        DELETE FROM iaros.event e USING gone g
        WHERE e.customer_id = g.customer_id AND e.occurred_at = g.occurred_at AND e.event_id = g.event_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bench_insert AFTER INSERT ON own_plain REFERENCING NEW TABLE AS news FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.bench_trigger();
CREATE TRIGGER bench_update AFTER UPDATE ON own_plain REFERENCING NEW TABLE AS news FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.bench_trigger();
CREATE TRIGGER bench_delete AFTER DELETE ON own_plain REFERENCING OLD TABLE AS olds FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.bench_trigger();

-- What there is of a source, as one row.
CREATE FUNCTION pg_temp.stored(source text) RETURNS TABLE (events bigint, hash numeric) LANGUAGE sql AS $$
    SELECT count(*), sum(hashtextextended(concat_ws('|', e.customer_id, e.kind, e.occurred_at, e.properties), 0)::numeric)
    FROM iaros.event e WHERE e.source = $1
$$;
-- Both ways once, from nothing.
CREATE FUNCTION pg_temp.first(what text) RETURNS TABLE (events bigint, hash numeric) LANGUAGE plpgsql AS $$
BEGIN
    IF what = 'attach' THEN
        IF EXISTS (SELECT FROM iaros.attached_source a WHERE a.source = 'ours') THEN
            PERFORM iaros.source_detach('ours', 'event');
        END IF;
        DELETE FROM iaros.event_key k WHERE k.source = 'ours';
    END IF;
    TRUNCATE iaros.event, iaros.event_key;
    EXECUTE format('SELECT pg_temp.%I()', what);
    RETURN QUERY SELECT s.* FROM pg_temp.stored(CASE what WHEN 'attach' THEN 'ours' ELSE 'plain' END) s;
END $$;
-- Runs a statement on one of the tables for ids 1 to rows, batch by batch.
CREATE FUNCTION pg_temp.change(side text, statement text, rows bigint, batch bigint) RETURNS TABLE (events bigint, hash numeric) LANGUAGE plpgsql AS $$
BEGIN
    FOR low IN 1 .. rows BY batch LOOP
        EXECUTE format(statement, 'own_' || side) USING low, least(low + batch - 1, rows);
    END LOOP;
    RETURN QUERY SELECT s.* FROM pg_temp.stored(side) s;
END $$;
CREATE FUNCTION pg_temp.bench_change(name text, statement text, rows bigint, batch bigint, runs integer) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.bench(name, format('SELECT * FROM pg_temp.change(%L, %L, %s, %s)', 'ours', statement, rows, batch),
        format('SELECT * FROM pg_temp.change(%L, %L, %s, %s)', 'plain', statement, rows, batch), rows, runs)
$$;

SELECT pg_temp.bench('events: first load, bare INSERT', $$SELECT * FROM pg_temp.first('attach')$$, $$SELECT * FROM pg_temp.first('bare_insert')$$, :rows, 1);
SELECT pg_temp.bench('events: first load', $$SELECT * FROM pg_temp.first('attach')$$, $$SELECT * FROM pg_temp.first('plain_insert')$$, :rows, 1);
-- Both are there now.
SELECT FROM pg_temp.first('attach') \g /dev/null
SELECT pg_temp.plain_insert() \g /dev/null
SELECT pg_temp.bench_change('events: UPDATE of all rows', $$UPDATE %I SET page = 'x' || page, what = 'login' WHERE id BETWEEN $1 AND $2$$, :rows, :rows, 1);
SELECT pg_temp.bench_change('events: UPDATE, 1,000 a statement', $$UPDATE %I SET page = 'y' || page WHERE id BETWEEN $1 AND $2$$, :rows / 10, 1000, 1);
SELECT pg_temp.bench_change('events: UPDATE, one a statement', $$UPDATE %I SET page = 'z' || page WHERE id BETWEEN $1 AND $2$$, 200, 1, 2);
SELECT pg_temp.bench_change('events: DELETE and INSERT of all rows', $$WITH d AS (DELETE FROM %1$I WHERE id %% 100000000 BETWEEN $1 AND $2 RETURNING *)
    INSERT INTO %1$I SELECT id + CASE WHEN id > 100000000 THEN -100000000 ELSE 100000000 END, client, what, at, page, price FROM d$$, :rows, :rows, 1);
SELECT pg_temp.bench_change('events: INSERT, 1,000 a statement', $$INSERT INTO %1$I SELECT r.id - $1 + 1 + (SELECT coalesce(max(x.id), 200000000) FROM %1$I x WHERE x.id > 200000000),
    r.client, r.what, r.at, r.page, r.price FROM bench_raw r WHERE r.id BETWEEN $1 AND $2$$, :rows / 10, 1000, 1);
SELECT pg_temp.bench_change('events: DELETE, 1,000 a statement', $$DELETE FROM %1$I WHERE id = ANY (ARRAY(
    SELECT x.id FROM %1$I x WHERE x.id > 200000000 ORDER BY x.id LIMIT $2 - $1 + 1))$$, :rows / 10, 1000, 1);
SELECT pg_temp.bench_change('events: INSERT, one a statement', $$INSERT INTO %1$I SELECT r.id - $1 + 1 + (SELECT coalesce(max(x.id), 200000000) FROM %1$I x WHERE x.id > 200000000),
    r.client, r.what, r.at, r.page, r.price FROM bench_raw r WHERE r.id BETWEEN $1 AND $2$$, 200, 1, 2);

-- Is it in step? Against a comparison of what this map says.
SELECT pg_temp.bench('source_check', $$SELECT count(*) FROM iaros.source_check('ours')$$, $$
    SELECT count(*) FROM own_ours r
    JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client
    FULL JOIN (SELECT w.external_id, e.customer_id, e.kind, e.occurred_at, e.properties FROM iaros.event_key w
        JOIN iaros.event e ON e.customer_id = w.customer_id AND e.occurred_at = w.occurred_at AND e.event_id = w.event_id
        WHERE w.source = 'ours') o ON o.external_id = r.id::text AND o.customer_id = k.customer_id
    WHERE (o.kind, o.occurred_at, o.properties) IS DISTINCT FROM (r.what, r.at, jsonb_build_object('page', r.page))$$, :rows, 1);

CREATE FUNCTION pg_temp.sales(side text) RETURNS TABLE (bookings bigint, value numeric) LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM iaros.attached_source a WHERE a.source = 'ours' AND a.kind = 'booking') THEN
        PERFORM iaros.source_detach('ours', 'booking');
    END IF;
    TRUNCATE iaros.booking CASCADE;
    IF side = 'ours' THEN
        PERFORM iaros.source_attach('booking', 'bench_sale', '{"external_id": "id", "customer_external_id": "client", "customer_source": {"value": "crm"},
            "booked_at": "at", "amount": "price", "currency": {"value": "USD"}}', 'ours');
    ELSE
        INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency, amount_base)
        SELECT k.customer_id, 'plain', r.id, r.at, r.price, 'USD', r.price FROM bench_sale r
        JOIN iaros.customer_key k ON k.source = 'crm' AND k.external_id = r.client;
    END IF;
    RETURN QUERY SELECT count(*), sum(b.amount_base) FROM iaros.booking b WHERE b.source = side;
END $$;
SELECT pg_temp.bench('bookings: first load', $$SELECT * FROM pg_temp.sales('ours')$$, $$SELECT * FROM pg_temp.sales('plain')$$, :rows / 4, 1);
ROLLBACK;
