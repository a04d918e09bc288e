-- funnel_state, retention_state and what they answer: forms, rows, errors.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
CREATE TABLE visit (visitor bigint, at timestamptz, step integer);
INSERT INTO visit VALUES
    (1, '2026-01-01 10:00', 1), (1, '2026-01-01 10:05', 2), (1, '2026-01-03 08:00', 3),
    (2, '2026-01-01 11:00', 1), (2, '2026-01-01 11:10', 0), (2, '2026-01-01 11:30', 2),
    (3, '2026-01-02 09:00', 1), (3, '2026-01-20 09:00', 2), (3, '2026-01-05 09:00', 1), (3, '2026-01-25 09:00', NULL),
    (4, '2026-01-02 09:00', 3), (4, '2026-01-02 09:00', 2), (5, '2026-01-09 09:00', NULL), (NULL, '2026-01-01', 1), (6, NULL, 1);
SELECT iaros.funnel_agg(visitor, at, step) FROM visit;
SELECT iaros.funnel_agg(visitor, at, step) FROM visit WHERE visitor = 1;
SELECT iaros.funnel_agg(visitor, at, step) FROM visit WHERE false;
SELECT iaros.funnel_agg(visitor, at, step) OPERATOR(iaros.=) iaros.funnel_agg(visitor, at, step ORDER BY at DESC) AS same FROM visit;
SELECT iaros.funnel_agg(visitor, at, step) OPERATOR(iaros.<>) iaros.funnel_agg(visitor, at, 1) AS other FROM visit;
CREATE TABLE kept AS SELECT iaros.funnel_agg(visitor, at, step) AS state FROM visit;
SELECT f.* FROM kept, iaros.funnel_rows(state, names => '{seen,cart,paid}') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, 2, "window" => '15 days 01:00') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, mode => 'strict') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, mode => 'unordered') AS f;
SELECT f.* FROM kept, iaros.funnel_customers(state) AS f;
SELECT f.* FROM kept, iaros.funnel_customers(state, 2, '00:00', 'unordered') AS f;
SELECT * FROM iaros.funnel_rows(NULL, 1);
SELECT * FROM iaros.funnel_rows(NULL);

SELECT iaros.retention_agg(visitor, extract(day FROM at)::integer) FROM visit;
SELECT iaros.retention_agg(visitor, extract(day FROM at)::integer, step = 1) FROM visit;
SELECT r.* FROM (SELECT iaros.retention_agg(visitor, extract(day FROM at)::integer) AS state FROM visit) s, iaros.retention_rows(state, 3) r;
SELECT r.* FROM (SELECT iaros.retention_agg(visitor, extract(day FROM at)::integer, step = 2) AS state FROM visit) s, iaros.retention_rows(state, 3, 'on_or_after', 4) r;
SELECT iaros.retention_state_merge(iaros.retention_agg(1, 7), NULL) OPERATOR(iaros.=) iaros.retention_agg(1, 7) AS same, iaros.retention_agg(1, 7) OPERATOR(iaros.<>) iaros.retention_agg(1, 7, false) AS other;
SELECT * FROM iaros.retention_rows(NULL);

-- Errors.
SELECT iaros.funnel_agg(1, 'infinity', 1);
SELECT iaros.funnel_agg(1, '7000-01-01', 1);
SELECT iaros.funnel_agg(1, '2026-01-01', 64);
SELECT iaros.funnel_agg(1, '2026-01-01', -1);
SELECT f.* FROM kept, iaros.funnel_rows(state, 0) AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, 64) AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, 2, '{a}') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, names => '{}') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, names => '{{a,b}}') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, "window" => NULL) AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, "window" => '-1 second') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, "window" => '1 month') AS f;
SELECT f.* FROM kept, iaros.funnel_rows(state, mode => 'Strict') AS f;
SELECT f.* FROM kept, iaros.funnel_customers(state, mode => NULL) AS f;
SELECT * FROM iaros.retention_rows(NULL, 0);
SELECT * FROM iaros.retention_rows(NULL, 1001);
SELECT * FROM iaros.retention_rows(NULL, NULL);
SELECT * FROM iaros.retention_rows(NULL, 1, 'after');
SELECT 'x'::iaros.funnel_state;
SELECT '\x'::iaros.funnel_state;
SELECT '\x0'::iaros.funnel_state;
SELECT '\x0100'::iaros.funnel_state;
SELECT '\x01010101000000000000000000000000000000010100000101'::iaros.funnel_state;
SELECT '\x0102'::iaros.retention_state;
SELECT ''::iaros.retention_state;
DROP TABLE visit, kept;
