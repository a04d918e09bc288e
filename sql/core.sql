-- core: installation, settings, currencies and rates, chance, the catalogue
-- of tables.

GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;

-- Kernel: installation ----------------------------------------------------

CREATE FUNCTION @extschema@.install_check() RETURNS void
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.install_check() IS
'Raises 55000 with the hint to CALL iaros.install() when the tables of iaros do not exist in this database. First statement of every engine function. Constant time.';

CREATE FUNCTION @extschema@.cache_invalidate() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cache_invalidate() IS
'Statement trigger of catalogue tables that backends keep a copy of: every backend drops its copy of the table, or of the one that the argument names, when the change commits.';

CREATE FUNCTION @extschema@.domains() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN string_to_array('@DOMAINS@', ' ');
COMMENT ON FUNCTION @extschema@.domains() IS
'Returns the domains of iaros in dependency order, as built into this version.';

CREATE FUNCTION @extschema@.row_hash(content jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN md5((content - 'shipped_hash' - 'created_at' - 'updated_at')::text);
COMMENT ON FUNCTION @extschema@.row_hash(jsonb) IS
'Returns the hash of a row given as to_jsonb(row), leaving out shipped_hash and the times of its making. A shipped row whose shipped_hash still equals it was not changed by a user, so an upgrade may touch it. to_jsonb renders times and intervals as the session says: compare under TimeZone UTC, DateStyle ISO and IntervalStyle postgres, as shipped_seal() does. NULL gives NULL.';

-- Engine: installation ----------------------------------------------------

CREATE FUNCTION @extschema@.schema_step(domain text, step integer)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    INSERT INTO iaros.schema_version (domain, step, extension_version)
    SELECT schema_step.domain, schema_step.step, e.extversion
    FROM pg_extension e WHERE e.extname = 'iaros'
    ON CONFLICT ON CONSTRAINT schema_version_pkey DO NOTHING;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.schema_step(text, integer) IS
'Returns true when that step of a domain''s schema has still to run in this database, and records it as done in the same transaction. For <domain>_install() only.';

CREATE FUNCTION @extschema@.shipped_seal(relation regclass) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres'
    AS $$
DECLARE
    sealed bigint;
BEGIN
    EXECUTE format('UPDATE %s t SET shipped_hash = iaros.row_hash(to_jsonb(t))
                    WHERE t.shipped_hash = ''new''', relation);
    GET DIAGNOSTICS sealed = ROW_COUNT;
    RETURN sealed;
END $$;
COMMENT ON FUNCTION @extschema@.shipped_seal(regclass) IS
'Fills shipped_hash of the rows that an install step has just inserted with shipped_hash = ''new'', and returns how many they are. Rows of users keep NULL.';

CREATE PROCEDURE @extschema@.install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    owner name;
    domain text;
BEGIN
    SELECT pg_get_userbyid(n.nspowner) INTO owner
    FROM pg_namespace n WHERE n.nspname = 'iaros';
    IF owner <> current_user THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('only the owner of schema iaros can install, not "%s"', current_user),
            DETAIL = 'The tables of iaros belong to the owner of its schema.',
            HINT = format('Run SET ROLE %I, or ALTER SCHEMA iaros OWNER TO %I, first.', owner, current_user);
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.install', 0));
    IF to_regclass('iaros.schema_version') IS NULL THEN
        CREATE TABLE iaros.schema_version (
            domain text NOT NULL,
            step integer NOT NULL,
            extension_version text NOT NULL,
            installed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (domain, step)
        );
        COMMENT ON TABLE iaros.schema_version IS
            'One row for each step of a domain''s schema that CALL iaros.install() has run here.';
    END IF;
    FOREACH domain IN ARRAY iaros.domains() LOOP
        EXECUTE format('CALL iaros.%I()', domain || '_install');
    END LOOP;
    PERFORM iaros.partition_ensure();
    PERFORM iaros.access_apply(a.role, a.level) FROM iaros.access_role a;
END $$;
COMMENT ON PROCEDURE @extschema@.install() IS
'Makes the tables, views, triggers and shipped rows of iaros in schema iaros, owned by the caller, who must own the schema. Safe to run again; run it after ALTER EXTENSION iaros UPDATE. All or nothing in one transaction.';

-- Kernel: names -----------------------------------------------------------

CREATE FUNCTION @extschema@.name_nearest(
    name text,
    names text[],
    at_most integer DEFAULT 3)
    RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.name_nearest(text, text[], integer) IS
'Returns those of some names that are alike to one that is not among them, at most so many, the nearest first: the fewest letters changed, added or left out (Levenshtein, at most half of the longer name), then the length more alike, then the first in the array. A name of three letters or more at the beginning or the end of another counts as one change; so does what comes before the first dot, if that makes the rest nearer. Capitals A to Z are as small letters; 64 characters are compared. NULL for none that is alike and for NULL; elements that are NULL are passed over. O(names).';

CREATE FUNCTION @extschema@.name_hint(name text, names text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'Nearest: ' || (SELECT string_agg('"' || n.name || '"', ', ' ORDER BY n.i)
                           FROM unnest(@extschema@.name_nearest(name, names)) WITH ORDINALITY AS n(name, i)) || '.';
COMMENT ON FUNCTION @extschema@.name_hint(text, text[]) IS
'Returns the hint of an error about a name that does not exist: Nearest: "a", "b"., the three nearest of those that do, as name_nearest(). NULL when none is alike. O(names).';

-- Engine: sources of rows -------------------------------------------------

CREATE FUNCTION @extschema@.source_query(source text) RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.source_query(text) IS
'Returns a source of rows as a query that can stand in FROM (...): the name of a relation, looked up in the caller''s search_path, becomes TABLE name; all else is taken as a query, without a semicolon at its end. Runs with the caller''s path and rights. Errors: 22023 empty or NULL, 42P01 no such relation.';

CREATE FUNCTION @extschema@.source_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.source_support(internal) IS
'Planner support of functions whose first argument is a source and that return a row a customer: estimates a tenth of the rows of the relation, and a cost for each of its rows.';

-- Engine: partitions by month ---------------------------------------------

CREATE FUNCTION @extschema@.partition_list()
    RETURNS TABLE (parent regclass, partition regclass, lower_bound date, is_default boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT i.inhparent::regclass, c.oid::regclass,
               (regexp_match(b.bound, 'FROM [(]''([0-9-]{10})'))[1]::date,
               b.bound = 'DEFAULT'
        FROM pg_inherits i
        JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
        JOIN pg_class c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) AS b(bound)
        WHERE p.relnamespace = 'iaros'::regnamespace;
END $$;
COMMENT ON FUNCTION @extschema@.partition_list() IS
'Returns every partition of the tables of iaros that are partitioned by month: its table, itself, the first day it holds (NULL for the default partition), and whether it is the default partition.';

CREATE FUNCTION @extschema@.partition_add(parent regclass, month date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    from_day timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    to_day timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    parent_name text := (SELECT relname FROM pg_class WHERE oid = parent);
    part text := format('%s_%s', parent_name, to_char(month, 'YYYYMM'));
    time_column text;
    default_part regclass;
    moved bigint := 0;
BEGIN
    -- Two sessions that make the same partition take turns.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.install', 0));
    IF to_regclass(format('iaros.%I', part)) IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = parent
                       AND i.inhrelid = to_regclass(format('iaros.%I', part))) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'duplicate_table',
                MESSAGE = format('relation "%s" exists and is no partition of "%s"', part, parent_name),
                HINT = 'Rename it.';
        END IF;
        RETURN 0;
    END IF;
    SELECT a.attname INTO time_column
    FROM pg_partitioned_table t
    JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
    WHERE t.partrelid = parent;
    SELECT l.partition INTO default_part
    FROM iaros.partition_list() l WHERE l.parent = partition_add.parent AND l.is_default;
    EXECUTE format('CREATE TABLE iaros.%I (LIKE %s INCLUDING ALL)', part, parent);
    -- Rows that came before their partition wait in the default partition.
    EXECUTE format('WITH late AS (DELETE FROM %s WHERE %I >= $1 AND %2$I < $2 RETURNING *)
                    INSERT INTO iaros.%I SELECT * FROM late', default_part, time_column, part)
        USING from_day, to_day;
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION iaros.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, part, from_day, to_day);
    RETURN moved;
END $$;
COMMENT ON FUNCTION @extschema@.partition_add(regclass, date) IS
'Makes the partition of a table for the month (UTC) that holds the given day, unless it exists, moves the rows of that month out of the default partition, and returns how many were moved. Locks the table against use while it runs. For the owner of the tables. Error: 42P07 another relation has the name of the partition.';

CREATE FUNCTION @extschema@.partition_ensure(
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    first_month date := date_trunc('month', coalesce(from_day, current_date)::timestamp);
    last_month date := date_trunc('month', coalesce(to_day, (current_date + interval '3 months')::date)::timestamp);
    made bigint := 0;
    want record;
BEGIN
    PERFORM iaros.install_check();
    IF last_month > first_month + interval '50 years' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = 'cannot make partitions for more than 50 years at once',
            HINT = 'Give a shorter range of days.';
    END IF;
    FOR want IN
        SELECT p.oid::regclass AS parent, m::date AS month
        FROM pg_class p
        CROSS JOIN generate_series(first_month::timestamp, last_month::timestamp, interval '1 month') AS m
        WHERE p.relnamespace = 'iaros'::regnamespace AND p.relkind = 'p'
          AND NOT EXISTS (
              SELECT FROM iaros.partition_list() l
              WHERE l.parent = p.oid AND l.lower_bound = m::date)
        ORDER BY p.relname, m
    LOOP
        PERFORM iaros.partition_add(want.parent, want.month);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.partition_ensure(date, date) IS
'Makes the missing monthly partitions of every partitioned table of iaros for the months from one day to another (UTC; default: this month and the three after it) and returns how many were made. For the owner of the tables; the job iaros-partitions calls it.';

CREATE FUNCTION @extschema@.partition_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    made bigint := iaros.partition_ensure();
    stray record;
    month date;
BEGIN
    FOR stray IN
        SELECT l.parent, l.partition, a.attname AS time_column
        FROM iaros.partition_list() l
        JOIN pg_partitioned_table t ON t.partrelid = l.parent
        JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
        WHERE l.is_default
    LOOP
        FOR month IN EXECUTE format(
            'SELECT DISTINCT date_trunc(''month'', %I)::date FROM %s ORDER BY 1 LIMIT 120',
            stray.time_column, stray.partition)
        LOOP
            PERFORM iaros.partition_add(stray.parent, month);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.partition_run() IS
'Body of the job iaros-partitions: makes partitions three months ahead, gives rows that wait in a default partition a partition of their own (at most 120 months a table and call), and returns how many partitions were made.';

-- Kernel: time ------------------------------------------------------------

CREATE FUNCTION @extschema@.time_valid(at timestamptz) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN at >= '1900-01-01 00:00+00'::timestamptz AND at < '2200-01-01 00:00+00'::timestamptz;
COMMENT ON FUNCTION @extschema@.time_valid(timestamptz) IS
'Tells whether a time can be that of something that happened or is planned: from 1900 to 2199, finite. For CHECK constraints, so that one absurd time cannot stop the jobs that count with it. NULL gives NULL. Inlined.';

-- Kernel: money -----------------------------------------------------------

CREATE FUNCTION @extschema@.numeric_scaled(value numeric, scale integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'numeric_scaled'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.numeric_scaled(numeric, integer) IS
'value * 10^scale as an exact 64-bit integer: an amount in minor units when scale is the number of decimals of its currency. scale is between -1000 and 1000, else error 22023. NULL when value is NaN or infinite, has digits other than zero below the scale, or the product does not fit into bigint; also for a NULL argument. Reads the stored digits: O(number of digits), no numeric arithmetic.';

CREATE FUNCTION @extschema@.currency_iso(
    OUT code text,
    OUT numeric_code smallint,
    OUT minor_unit smallint,
    OUT name text,
    OUT historic boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'currency_iso'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 196;

COMMENT ON FUNCTION @extschema@.currency_iso() IS
'The currencies of ISO 4217, in order of code: three-letter code, numeric code, minor_unit = number of decimals (NULL for codes without one, such as XAU or XXX), English name, and historic = true for codes withdrawn in 2009 or later, which old bookings still carry. No table is read.';

CREATE FUNCTION @extschema@.currency_minor_unit(currency text)
RETURNS integer
AS 'MODULE_PATHNAME', 'currency_minor_unit'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.currency_minor_unit(text) IS
'Number of decimals that ISO 4217 gives a currency: 2 for EUR, 0 for JPY, 3 for KWD. currency is a code in upper case; NULL for NULL and for a code without a minor unit (XAU, XXX). Error 22023 for a code that is not in ISO 4217. O(log n).';

CREATE FUNCTION @extschema@.money_valid(amount numeric, currency text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'money_valid'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.money_valid(numeric, text) IS
'True when amount is finite and has no digits other than zero beyond the decimals of the currency, however large it is; false otherwise, and false for a code that is not in ISO 4217 or has no minor unit. NULL for a NULL argument. Never an error. O(number of decimals stored).';

CREATE FUNCTION @extschema@.money_check(amount numeric, currency text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'money_check'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.money_check(numeric, text) IS
'money_valid() for CHECK constraints: true, or an error that names what is wrong instead of false. Error 22023 for a code that is not in ISO 4217 or has no minor unit, 22003 for an amount that is not finite or has more decimals than the currency. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.money_round(amount numeric, currency text)
RETURNS numeric
AS 'MODULE_PATHNAME', 'money_round'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.money_round(numeric, text) IS
'amount rounded to the decimals of the currency, halves away from zero as round(numeric, integer) does. NaN and the infinities stay as they are. Error 22023 for a code that is not in ISO 4217 or has no minor unit. NULL for a NULL argument.';

-- Kernel: chance ----------------------------------------------------------

CREATE FUNCTION @extschema@.chance_seed(salt text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'chance_seed'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_seed(text) IS
'A seed for the chance functions, made of the bytes of salt by FNV-1a (Fowler, Noll, Vo; 64 bits). NULL for NULL. O(length of salt).';

CREATE FUNCTION @extschema@.chance(key bigint, salt text)
RETURNS double precision
AS 'MODULE_PATHNAME', 'chance_by_salt'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance(bigint, text) IS
'A number from [0, 1), uniform with 53 bits, that depends only on key (such as a customer_id) and salt (such as the name of an experiment): chance(key, chance_seed(salt), 0). The same on every machine. NULL for a NULL argument. O(length of salt).';

CREATE FUNCTION @extschema@.chance(key bigint, seed bigint, draw integer)
RETURNS double precision
AS 'MODULE_PATHNAME', 'chance_by_seed'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance(bigint, bigint, integer) IS
'A number from [0, 1), uniform with 53 bits, that depends only on the arguments: key says whose chance it is, seed which world, draw which of the choices made for this key; use each draw for one purpose only. The same on every machine. NULL for a NULL argument. O(1). Source: finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014) over the three arguments in turn.';

CREATE FUNCTION @extschema@.chance_normal(
    key bigint,
    seed bigint,
    draw integer)
RETURNS double precision
AS 'MODULE_PATHNAME', 'chance_normal'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_normal(bigint, bigint, integer) IS
'A number from the normal distribution of mean 0 and variance 1 that depends only on the arguments (see chance). NULL for a NULL argument. O(1). Source: inversion by algorithm AS 241 (Wichura, Applied Statistics 37, 1988).';

CREATE FUNCTION @extschema@.chance_exponential(
    key bigint,
    seed bigint,
    draw integer,
    rate double precision)
RETURNS double precision
AS 'MODULE_PATHNAME', 'chance_exponential'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_exponential(bigint, bigint, integer, double precision) IS
'A number from the exponential distribution of mean 1 / rate that depends only on the arguments (see chance). rate is events per unit of time, positive and finite, else error 22023; 22003 when the value is beyond float8. NULL for a NULL argument. O(1). Source: inversion, -log(u) / rate.';

CREATE FUNCTION @extschema@.chance_gamma(
    key bigint,
    seed bigint,
    draw integer,
    shape double precision,
    scale double precision)
RETURNS double precision
AS 'MODULE_PATHNAME', 'chance_gamma'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_gamma(bigint, bigint, integer, double precision, double precision) IS
'A number from the gamma distribution of mean shape * scale and variance shape * scale^2 that depends only on the arguments (see chance). shape and scale are positive and finite, else error 22023; 22003 when the value is beyond float8. A very small shape gives values that round to 0. NULL for a NULL argument. O(1) expected. Source: Marsaglia and Tsang, ACM TOMS 26, 2000, with their boost for a shape below 1.';

CREATE FUNCTION @extschema@.chance_poisson(
    key bigint,
    seed bigint,
    draw integer,
    mean double precision)
RETURNS integer
AS 'MODULE_PATHNAME', 'chance_poisson'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_poisson(bigint, bigint, integer, double precision) IS
'A count from the Poisson distribution that depends only on the arguments (see chance). mean is from 0 to 1000000, else error 22023. NULL for a NULL argument. O(1) expected. Source: below a mean of 10 inversion by sequential search (Devroye 1986, X.3), from there transformed rejection PTRS (Hoermann, Insurance: Mathematics and Economics 12, 1993).';

CREATE FUNCTION @extschema@.chance_int(
    key bigint,
    seed bigint,
    draw integer,
    n integer)
RETURNS integer
AS 'MODULE_PATHNAME', 'chance_int'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_int(bigint, bigint, integer, integer) IS
'An integer from 0 to n - 1, all equally likely (to one part in 2^32), that depends only on the arguments (see chance). n is at least 1, else error 22023. NULL for a NULL argument. O(1).';

CREATE FUNCTION @extschema@.chance_pick(
    key bigint,
    seed bigint,
    draw integer,
    weights double precision[])
RETURNS integer
AS 'MODULE_PATHNAME', 'chance_pick'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.chance_pick(bigint, bigint, integer, double precision[]) IS
'A position in weights, counted from 1 whatever the subscripts of the array, each with a chance in proportion to its weight, that depends only on the arguments (see chance). Weights need not sum to 1; one of 0 is never picked. Error 22023 for an array that is empty or has several dimensions, for a weight that is negative, NaN, infinite or NULL, and when all are 0; 22003 when their sum is beyond float8. NULL for a NULL argument. O(number of weights).';

-- Engine: settings --------------------------------------------------------

CREATE TYPE @extschema@.setting_kind AS ENUM
    ('boolean', 'integer', 'number', 'text', 'interval', 'currency', 'time_zone');
COMMENT ON TYPE @extschema@.setting_kind IS
'What the text of a setting must read as.';

CREATE FUNCTION @extschema@.setting_get(name text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.setting_get(text) IS
'Returns the value of a setting as text, from a copy that the backend keeps and every change drops. NULL gives NULL. Errors: 42704 when there is no setting of that name. Constant time.';

CREATE FUNCTION @extschema@.setting_valid(kind @extschema@.setting_kind, value text)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    CASE kind
        WHEN 'boolean' THEN RETURN value IN ('true', 'false');
        WHEN 'integer' THEN RETURN value::integer >= 0;
        WHEN 'number' THEN RETURN value::numeric NOT IN ('NaN', 'Infinity', '-Infinity');
        WHEN 'interval' THEN RETURN value::interval >= interval '0';
        -- Not CET and the like: SQL takes those for abbreviations, without
        -- summer time, other code for the zones of that name.
        WHEN 'time_zone' THEN RETURN value IN ('UTC', 'GMT')
            OR EXISTS (SELECT FROM pg_timezone_names n WHERE n.name = value)
                AND NOT EXISTS (SELECT FROM pg_timezone_abbrevs a WHERE a.abbrev = upper(value));
        WHEN 'currency' THEN RETURN iaros.currency_minor_unit(value) IS NOT NULL;
        ELSE RETURN true;
    END CASE;
EXCEPTION WHEN data_exception THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION @extschema@.setting_valid(@extschema@.setting_kind, text) IS
'Tells whether a text reads as a value of a kind of setting: true or false, a whole number from 0 to 2147483647, a finite number, any text, an interval that is not negative, a currency of ISO 4217 that has a minor unit, a time zone by its full name (Europe/Paris; not CET, which SQL takes for an abbreviation). NULL gives NULL.';

CREATE FUNCTION @extschema@.setting_define(
    name text,
    kind @extschema@.setting_kind,
    value text,
    comment text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    INSERT INTO iaros.setting (name, kind, value, default_value, comment)
    VALUES (name, kind, value, value, comment);
END $$;
COMMENT ON FUNCTION @extschema@.setting_define(text, @extschema@.setting_kind, text, text) IS
'Adds a setting with its default value. For <domain>_install() and for users who want settings of their own. Errors: 23505 when it exists, 23514 when the value does not read as the kind.';

CREATE FUNCTION @extschema@.setting_set(name text, value text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    old record;
BEGIN
    PERFORM iaros.install_check();
    SELECT * INTO old FROM iaros.setting s WHERE s.name = setting_set.name FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('setting "%s" does not exist', name),
            HINT = 'List the settings with SELECT * FROM iaros.setting.';
    END IF;
    value := coalesce(value, old.default_value);
    IF NOT iaros.setting_valid(old.kind, value) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid value for setting "%s": "%s"', name, value),
            DETAIL = format('The setting is of kind %s: %s', old.kind, old.comment),
            HINT = format('The default is "%s".', old.default_value);
    END IF;
    UPDATE iaros.setting s SET value = setting_set.value, updated_at = now()
    WHERE s.name = setting_set.name;
    RETURN value;
END $$;
COMMENT ON FUNCTION @extschema@.setting_set(text, text) IS
'Changes a setting and returns its new value; NULL sets the default. A trigger writes the audit row. Takes effect in every backend when the transaction commits. Errors: 42704 no such setting, 22023 value that does not read as the setting''s kind, 55000 base_currency while there are bookings.';

CREATE FUNCTION @extschema@.setting_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF EXISTS (SELECT FROM iaros.fx_rate) OR EXISTS (SELECT FROM iaros.booking) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot change the base currency from "%s" to "%s"', OLD.value, NEW.value),
            DETAIL = 'Rates or bookings are stored in the old base currency.',
            HINT = 'Choose the base currency before the first rate and the first booking.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.setting_guard() IS
'Trigger: refuses another base currency once amounts are stored in the present one.';

-- Engine: rates -----------------------------------------------------------

CREATE FUNCTION @extschema@.fx_rate_get(currency text, day date)
    RETURNS numeric
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found numeric;
    max_age integer;
BEGIN
    PERFORM iaros.install_check();
    IF currency = iaros.setting_get('base_currency') THEN
        RETURN 1;
    END IF;
    PERFORM iaros.currency_minor_unit(currency);
    max_age := iaros.setting_get('fx_max_age_days')::integer;
    SELECT r.rate INTO found
    FROM iaros.fx_rate r
    WHERE r.currency = fx_rate_get.currency
      AND r.day <= fx_rate_get.day AND r.day >= fx_rate_get.day - max_age
    ORDER BY r.day DESC
    LIMIT 1;
    IF found IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'no_data_found',
            MESSAGE = format('no rate for currency "%s" on %s', currency, to_char(day, 'YYYY-MM-DD')),
            DETAIL = format('A rate serves the %s days after its own; there is none from %s to %s.', max_age,
                            to_char(day - max_age, 'YYYY-MM-DD'), to_char(day, 'YYYY-MM-DD')),
            HINT = format('Add one: INSERT INTO iaros.fx_rate (currency, day, rate) VALUES (%L, %L, ...).',
                          currency, to_char(day, 'YYYY-MM-DD'));
    END IF;
    RETURN found;
END $$;
COMMENT ON FUNCTION @extschema@.fx_rate_get(text, date) IS
'Returns how many units of the base currency one unit of a currency is worth on a day: the newest rate on or before the day that is at most fx_max_age_days old; 1 for the base currency itself. NULL gives NULL. Errors: 22023 currency not in ISO 4217, P0002 (no_data_found) no rate. One index look-up.';

CREATE FUNCTION @extschema@.fx_convert(amount numeric, currency text, day date)
    RETURNS numeric
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.money_round(amount * iaros.fx_rate_get(currency, day),
                             iaros.setting_get('base_currency'));
END $$;
COMMENT ON FUNCTION @extschema@.fx_convert(numeric, text, date) IS
'Returns an amount of a currency in the base currency at the rate of a day (see fx_rate_get), rounded half away from zero to the base currency''s minor unit. NULL gives NULL. Errors: those of fx_rate_get.';

-- The catalogue of tables -------------------------------------------------

CREATE FUNCTION @extschema@.table_roles()
    RETURNS TABLE (relation text, role text, access text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
        -- core
        ('schema_version', 'local', 'config'),
        ('setting', 'reference', 'config'),
        ('currency', 'reference', 'config'),
        ('fx_rate', 'reference', 'config'),
        -- audit
        ('audit_log', 'local', 'ledger'),
        ('alert', 'local', 'open'),
        ('access_role', 'local', 'config'),
        ('job', 'reference', 'config'),
        ('job_run', 'local', 'config'),
        -- airport
        ('country', 'reference', 'config'),
        ('airport', 'reference', 'config'),
        -- customer
        ('data_source', 'reference', 'open'),
        ('channel', 'reference', 'open'),
        ('sales_channel', 'reference', 'open'),
        ('identifier_kind', 'reference', 'open'),
        ('item_kind', 'reference', 'open'),
        ('event_kind', 'reference', 'open'),
        ('customer_key', 'local', 'open'),
        ('load_run', 'local', 'open'),
        ('load_reject', 'local', 'open'),
        ('attached_source', 'local', 'ledger'),
        ('customer', 'customer', 'kept'),
        ('customer_identifier', 'customer', 'open'),
        ('customer_alias', 'customer', 'open'),
        ('customer_trait', 'customer', 'open'),
        ('source_priority', 'reference', 'open'),
        ('customer_claim', 'customer', 'ledger'),
        ('booking', 'customer', 'open'),
        ('booking_item', 'customer', 'open'),
        ('event_key', 'customer', 'open'),
        ('event', 'customer', 'open'),
        ('touchpoint_key', 'customer', 'open'),
        ('touchpoint', 'customer', 'open'),
        ('touchpoint_rule', 'reference', 'open'),
        ('conversion', 'customer', 'open'),
        -- consent
        ('purpose', 'reference', 'config'),
        ('topic', 'reference', 'open'),
        ('dnc_reason', 'reference', 'config'),
        ('consent', 'customer', 'ledger'),
        ('dnc', 'customer', 'ledger'),
        ('preference', 'customer', 'ledger'),
        -- loyalty
        ('loyalty_programme', 'reference', 'open'),
        ('loyalty_tier', 'reference', 'open'),
        ('loyalty_key', 'local', 'open'),
        ('loyalty_account', 'customer', 'open'),
        -- profile
        ('profile_stored', 'customer', 'ledger'),
        ('feature_series', 'reference', 'ledger'),
        ('feature_set', 'reference', 'open'),
        ('feature_definition', 'reference', 'open'),
        -- rfm
        ('rfm_scheme', 'reference', 'open'),
        ('rfm_threshold', 'reference', 'open'),
        ('rfm_segment', 'reference', 'open'),
        ('rfm_segment_map', 'reference', 'open'),
        ('rfm_segment_rule', 'reference', 'open'),
        ('rfm_stored', 'customer', 'ledger'),
        ('rfm_history', 'customer', 'ledger'),
        ('rfm_change', 'local', 'ledger'),
        ('rfm_run', 'local', 'ledger'),
        -- model
        ('model_version', 'reference', 'config'),
        -- lifecycle
        ('lifecycle_scheme', 'reference', 'open'),
        ('lifecycle_stage_def', 'reference', 'open'),
        ('lifecycle_rule', 'reference', 'open'),
        ('lifecycle_stage_map', 'reference', 'open'),
        ('lifecycle_action', 'reference', 'open'),
        ('lifecycle_refreshed', 'local', 'open'),
        ('customer_lifecycle_stage', 'customer', 'open'),
        ('value_scheme', 'reference', 'open'),
        ('value_segment_def', 'reference', 'open'),
        ('value_offer', 'reference', 'open'),
        ('customer_value_segment', 'customer', 'open'),
        ('customer_value_history', 'customer', 'open'),
        -- segment
        ('segment_field', 'reference', 'ledger'),
        ('segment', 'reference', 'open'),
        ('segment_fact', 'reference', 'open'),
        ('segment_membership', 'customer', 'open'),
        ('segment_confidence', 'customer', 'open'),
        ('segment_event', 'customer', 'open'),
        ('segment_cut', 'local', 'open'),
        ('segment_sample', 'local', 'open'),
        ('segment_audience', 'local', 'open'),
        ('segment_change', 'local', 'open'),
        ('segment_due', 'local', 'open'),
        -- offer
        ('offer_category', 'reference', 'open'),
        ('offer', 'reference', 'open'),
        ('offer_channel', 'reference', 'open'),
        -- promo
        ('promo', 'reference', 'open'),
        ('promo_category', 'reference', 'open'),
        ('promo_zone', 'reference', 'open'),
        ('promo_product', 'reference', 'open'),
        ('promo_coupon', 'local', 'open'),
        ('promo_limit', 'reference', 'open'),
        ('promo_counter', 'local', 'ledger'),
        ('promo_customer_counter', 'customer', 'ledger'),
        ('promo_redemption', 'customer', 'ledger'),
        ('promo_use', 'customer', 'ledger'),
        ('promo_return', 'customer', 'ledger'),
        ('promo_past', 'local', 'ledger'),
        ('promo_price_log', 'reference', 'open'),
        -- message
        ('message_template', 'reference', 'open'),
        ('outbox', 'local', 'ledger'),
        ('message_event', 'customer', 'ledger'),
        -- campaign
        ('campaign_type', 'reference', 'open'),
        ('campaign', 'reference', 'open'),
        ('campaign_run', 'local', 'ledger'),
        ('campaign_send', 'customer', 'ledger'),
        -- attribution
        ('attribution_scheme', 'reference', 'open'),
        ('attribution_path', 'customer', 'open'),
        ('attribution_day', 'local', 'open'),
        ('attribution_change', 'local', 'open'),
        ('attribution_stale', 'local', 'open'),
        ('attribution_run', 'local', 'open'),
        ('attribution_spend', 'local', 'open'),
        -- demo
        ('demo_truth', 'customer', 'open')
    ) AS t(relation, role, access);
END;
COMMENT ON FUNCTION @extschema@.table_roles() IS
'Returns each table of iaros with its role in distribution (customer: by customer_id; reference: copied to every node; local: on the coordinator) and who writes it (open: roles that operate; kept: they too, but they do not delete; config: roles that administer; ledger: only the gates). The one source for distribution, grants, checks and documents.';

CREATE FUNCTION @extschema@.personal_columns()
    RETURNS TABLE (relation text, attribute text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
        ('customer', 'first_name'),
        ('customer', 'last_name'),
        ('customer', 'birth_date'),
        ('customer', 'street'),
        ('customer', 'postal_code'),
        ('customer_identifier', 'value'),
        ('customer_claim', 'value'),
        ('event', 'properties'),
        ('load_reject', 'payload'),
        ('consent', 'ip'),
        ('consent', 'evidence'),
        ('dnc', 'note'),
        ('loyalty_key', 'member_no'),
        ('loyalty_account', 'member_no'),
        ('outbox', 'recipient'),
        ('outbox', 'subject'),
        ('outbox', 'body'),
        ('outbox', 'last_error'),
        ('message_event', 'detail')
    ) AS t(relation, attribute);
END;
COMMENT ON FUNCTION @extschema@.personal_columns() IS
'Returns the columns that may hold personal data: a role with access level read does not see them, or sees them masked in a view.';

CREATE FUNCTION @extschema@.trigger_roles()
    RETURNS TABLE (relation text, trigger text, purpose text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
        ('setting', 'setting_invalidate', 'cache'),
        ('setting', 'setting_guard', 'check'),
        ('setting', 'setting_audit', 'audit'),
        ('fx_rate', 'fx_rate_audit', 'audit'),
        ('audit_log', 'audit_log_guard', 'guard'),
        ('airport', 'airport_invalidate', 'cache'),
        ('country', 'country_invalidate', 'cache'),
        ('event_kind', 'event_kind_invalidate', 'cache'),
        ('customer', 'customer_deleted', 'audit'),
        ('source_priority', 'source_priority_audit', 'audit'),
        ('customer', 'customer_claim_update', 'derive'),
        ('customer_trait', 'customer_claim_trait_insert', 'derive'),
        ('customer_trait', 'customer_claim_trait_update', 'derive'),
        ('customer_trait', 'customer_claim_trait_delete', 'derive'),
        ('booking', 'booking_base_insert', 'derive'),
        ('booking', 'booking_base_update', 'derive'),
        ('customer_alias', 'rfm_alias_insert', 'log'),
        ('customer_alias', 'rfm_alias_update', 'log'),
        ('customer_alias', 'rfm_alias_delete', 'log'),
        ('customer_alias', 'rfm_alias_truncate', 'log'),
        ('customer', 'rfm_customer_delete', 'clean'),
        ('customer', 'rfm_customer_truncate', 'clean'),
        ('customer', 'lifecycle_customer_delete', 'clean'),
        ('customer', 'lifecycle_customer_truncate', 'clean'),
        ('lifecycle_rule', 'lifecycle_rule_check', 'check'),
        ('booking', 'rfm_booking_insert', 'log'),
        ('booking', 'rfm_booking_update', 'log'),
        ('booking', 'rfm_booking_delete', 'log'),
        ('booking', 'rfm_booking_truncate', 'log'),
        ('booking', 'profile_booking_insert', 'keep'),
        ('booking', 'profile_booking_update', 'keep'),
        ('booking', 'profile_booking_delete', 'keep'),
        ('booking', 'profile_booking_truncate', 'keep'),
        ('booking_item', 'profile_item_insert', 'keep'),
        ('booking_item', 'profile_item_update', 'keep'),
        ('booking_item', 'profile_item_delete', 'keep'),
        ('booking_item', 'profile_item_truncate', 'keep'),
        ('event', 'profile_event_insert', 'keep'),
        ('event', 'profile_event_update_old', 'keep'),
        ('event', 'profile_event_update_new', 'keep'),
        ('event', 'profile_event_delete', 'keep'),
        ('event', 'profile_event_truncate', 'keep'),
        ('event', 'touchpoint_event_insert', 'derive'),
        ('booking', 'conversion_booking_insert', 'derive'),
        ('booking', 'conversion_booking_update', 'derive'),
        ('touchpoint', 'profile_touch_insert', 'keep'),
        ('touchpoint', 'profile_touch_update_old', 'keep'),
        ('touchpoint', 'profile_touch_update_new', 'keep'),
        ('touchpoint', 'profile_touch_delete', 'keep'),
        ('touchpoint', 'profile_touch_truncate', 'keep'),
        ('consent', 'profile_consent_insert', 'keep'),
        ('consent', 'profile_consent_update_old', 'keep'),
        ('consent', 'profile_consent_update_new', 'keep'),
        ('consent', 'profile_consent_delete', 'keep'),
        ('consent', 'profile_consent_truncate', 'keep'),
        ('customer_alias', 'profile_alias_insert', 'keep'),
        ('customer_alias', 'profile_alias_update_old', 'keep'),
        ('customer_alias', 'profile_alias_update_new', 'keep'),
        ('customer_alias', 'profile_alias_delete', 'keep'),
        ('customer_alias', 'profile_alias_truncate', 'keep'),
        ('customer_trait', 'profile_trait_insert', 'keep'),
        ('customer_trait', 'profile_trait_update_old', 'keep'),
        ('customer_trait', 'profile_trait_update_new', 'keep'),
        ('customer_trait', 'profile_trait_delete', 'keep'),
        ('customer_trait', 'profile_trait_truncate', 'keep'),
        ('loyalty_account', 'profile_loyalty_insert', 'keep'),
        ('loyalty_account', 'profile_loyalty_update_old', 'keep'),
        ('loyalty_account', 'profile_loyalty_update_new', 'keep'),
        ('loyalty_account', 'profile_loyalty_delete', 'keep'),
        ('loyalty_account', 'profile_loyalty_truncate', 'keep'),
        ('customer', 'profile_customer_insert', 'keep'),
        ('consent', 'consent_guard', 'guard'),
        ('segment_field', 'segment_field_check', 'check'),
        ('segment', 'segment_rule_check', 'check'),
        ('segment', 'segment_rule_follow', 'derive'),
        ('segment', 'segment_rename_follow', 'derive'),
        ('segment', 'segment_history_guard', 'guard'),
        ('segment', 'segment_used_guard', 'guard'),
        ('customer', 'segment_customer_delete', 'clean'),
        ('customer', 'segment_customer_truncate', 'clean'),
        ('segment', 'segment_invalidate', 'cache'),
        ('segment_field', 'segment_field_invalidate', 'cache'),
        ('segment_cut', 'segment_cut_invalidate', 'cache'),
        ('model_version', 'model_version_keep', 'check'),
        ('model_version', 'model_version_audit', 'audit'),
        ('promo_category', 'promo_category_audit', 'audit'),
        ('promo_zone', 'promo_zone_check', 'check'),
        ('promo', 'promo_prepare', 'check'),
        ('promo', 'promo_gone', 'clean'),
        ('promo', 'promo_keep_delete', 'guard'),
        ('promo', 'promo_keep_id', 'guard'),
        ('promo', 'promo_keep_truncate', 'guard'),
        ('promo', 'promo_audit', 'audit'),
        ('segment', 'promo_segment_follow', 'derive'),
        ('promo_limit', 'promo_limit_audit', 'audit'),
        ('promo_limit', 'promo_limit_recount', 'derive'),
        ('promo_return', 'promo_return_guard', 'guard'),
        ('promo_redemption', 'promo_redemption_past', 'derive'),
        ('promo_redemption', 'promo_redemption_truncate', 'derive'),
        ('promo_redemption', 'promo_count_again', 'derive'),
        ('setting', 'setting_promo_zone', 'derive'),
        ('customer', 'promo_customer_delete', 'clean'),
        ('customer', 'promo_customer_truncate', 'clean'),
        ('promo_redemption', 'promo_redemption_guard', 'guard'),
        ('promo_redemption', 'promo_redemption_follow', 'derive'),
        ('campaign', 'campaign_audit', 'audit'),
        ('campaign', 'campaign_guard', 'check'),
        ('campaign_send', 'campaign_send_guard', 'guard'),
        ('campaign', 'attribution_note_update', 'log'),
        ('campaign', 'attribution_note_delete', 'log'),
        ('campaign', 'attribution_note_truncate', 'log'),
        ('customer', 'attribution_customer_delete', 'clean'),
        ('customer', 'attribution_customer_truncate', 'clean')
    ) AS t(relation, trigger, purpose)
    UNION ALL
    SELECT t.relation, 'attribution_note_' || o.operation, 'log'
    FROM (VALUES ('touchpoint'), ('conversion'), ('customer_alias'), ('attribution_path')) AS t(relation)
    CROSS JOIN (VALUES ('insert'), ('update_old'), ('update_new'), ('delete'), ('truncate')) AS o(operation)
    UNION ALL
    SELECT t.relation, 'segment_note_' || o.operation, 'log'
    FROM (VALUES ('customer'), ('customer_alias'), ('customer_trait'), ('booking'), ('booking_item'), ('event'), ('touchpoint'),
        ('consent'), ('loyalty_account'), ('rfm_stored'), ('customer_lifecycle_stage'), ('customer_value_segment')) AS t(relation)
    CROSS JOIN (VALUES ('insert'), ('update'), ('delete'), ('truncate')) AS o(operation);
END;
COMMENT ON FUNCTION @extschema@.trigger_roles() IS
'Returns the triggers that iaros puts on its tables and why: cache (drop copies), audit (write an audit row), check (refuse), derive (fill a column), guard (a ledger takes no update), log (note for a later run what changed), clean (delete what has no foreign key), keep (bring the change into the profile). Distribution replaces those on customer tables by jobs.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.core_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
IF iaros.schema_step('core', 1) THEN
    CREATE TABLE iaros.setting (
        name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{1,62}$'),
        kind iaros.setting_kind NOT NULL,
        value text NOT NULL,
        default_value text NOT NULL,
        comment text NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT setting_value_kind CHECK (iaros.setting_valid(kind, value)),
        CONSTRAINT setting_default_kind CHECK (iaros.setting_valid(kind, default_value))
    );
    COMMENT ON TABLE iaros.setting IS
        'Settings of iaros, one row each; change them with setting_set(); every change is audited.';
    CREATE TRIGGER setting_invalidate
        AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON iaros.setting
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.cache_invalidate();

    CREATE TABLE iaros.currency (
        currency char(3) PRIMARY KEY CHECK (currency ~ '^[A-Z]{3}$'),
        numeric_code smallint NOT NULL,
        minor_unit smallint,
        name text NOT NULL,
        historic boolean NOT NULL
    );
    COMMENT ON TABLE iaros.currency IS
        'The currencies of ISO 4217 with the number of decimals of their minor unit (NULL: none, not usable for amounts). Filled from currency_iso().';
    INSERT INTO iaros.currency (currency, numeric_code, minor_unit, name, historic)
    SELECT c.code, c.numeric_code, c.minor_unit, c.name, c.historic
    FROM iaros.currency_iso() c;

    CREATE TABLE iaros.fx_rate (
        currency char(3) NOT NULL REFERENCES iaros.currency,
        day date NOT NULL,
        rate numeric(20,10) NOT NULL CHECK (rate > 0 AND rate <> 'NaN'),
        PRIMARY KEY (currency, day)
    );
    COMMENT ON TABLE iaros.fx_rate IS
        'Rates of exchange: units of the base currency for one unit of the currency, from that day on until the next rate, at most fx_max_age_days.';

    PERFORM iaros.setting_define('base_currency', 'currency', 'USD',
        'Currency of amount_base, of values and of budgets. Cannot change once rates or bookings exist.');
    PERFORM iaros.setting_define('fx_max_age_days', 'integer', '7',
        'For how many days after its own a rate of exchange still serves.');
    PERFORM iaros.setting_define('brand_time_zone', 'time_zone', 'UTC',
        'Time zone of calendar days where a customer has none.');
    CREATE TRIGGER setting_guard
        BEFORE UPDATE ON iaros.setting
        FOR EACH ROW
        WHEN (OLD.name = 'base_currency' AND NEW.value IS DISTINCT FROM OLD.value)
        EXECUTE FUNCTION iaros.setting_guard();
END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.core_install() IS
'Makes the tables of the domain core. Called by install().';
