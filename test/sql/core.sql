-- core: exact texts of errors, settings, rates, the catalogue of tables.
\set VERBOSITY terse
SELECT iaros.domains() @> '{core,audit,customer}' AS domains;
SELECT domain, step, extension_version FROM iaros.schema_version WHERE domain IN ('core', 'audit', 'customer') ORDER BY 1;
CALL iaros.install();
SELECT name, kind, value, default_value FROM iaros.setting WHERE name IN ('base_currency', 'fx_max_age_days', 'brand_time_zone') ORDER BY 1;

\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT iaros.setting_get('no_such');
SELECT iaros.setting_set('no_such', 'x');
SELECT iaros.setting_set('fx_max_age_days', 'x');
SELECT iaros.setting_get(NULL);
SELECT kind, iaros.setting_valid(kind, value), value FROM (VALUES
    ('boolean'::iaros.setting_kind, 'true'), ('boolean', 'yes'), ('integer', '12'), ('integer', '1.5'),
    ('number', '1.5'), ('number', 'NaN'), ('interval', '3 days'), ('interval', 'x'), ('text', ''),
    ('currency', 'EUR'), ('currency', 'XXQ'), ('currency', 'XAU')) AS v(kind, value);

-- Rates.
BEGIN;
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1);
SELECT iaros.fx_rate_get('EUR', '2026-01-08');
SELECT iaros.fx_convert(12.34, 'EUR', '2026-01-08');
SELECT iaros.fx_rate_get('EUR', '2026-01-09');
ROLLBACK;
SELECT iaros.fx_rate_get('XXQ', '2026-01-09');
SELECT iaros.fx_rate_get(NULL, '2026-01-09');

-- install() is for the owner of the schema.
BEGIN;
CREATE ROLE regress_iaros_stranger;
GRANT EXECUTE ON PROCEDURE iaros.install() TO regress_iaros_stranger;
SET LOCAL ROLE regress_iaros_stranger;
DO $$
BEGIN
    CALL iaros.install();
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE '%: %', SQLSTATE, regexp_replace(SQLERRM, '"[^"]*"', '"..."');
END $$;
ROLLBACK;

-- Tables use the types of the extension, so it cannot be dropped from under them.
\set VERBOSITY terse
DROP EXTENSION iaros;

-- A cached table may be changed only through its trigger.
SELECT iaros.cache_invalidate();
