-- rfm, schemes: ways to score, maps of cells to segments, what rfm_compute()
-- goes by; the migration matrix and the picture of the cells.

-- Engine: schemes ---------------------------------------------------------

CREATE TYPE @extschema@.rfm_scheme_kind AS ENUM ('threshold', 'quantile', 'ntile');
COMMENT ON TYPE @extschema@.rfm_scheme_kind IS
'How a scheme scores a dimension without thresholds: threshold (it must have them), quantile (as many customers to each score as ties allow, equal values always together), ntile (as NTILE of SQL does, equal values in the order of customer_id).';

CREATE TYPE @extschema@.rfm_ties AS ENUM ('low', 'high');
COMMENT ON TYPE @extschema@.rfm_ties IS
'Which score of a quantile scheme equal values all get when a cut falls among them: the lower or the higher.';

CREATE FUNCTION @extschema@.rfm_scheme_check(scheme text)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.rfm_scheme s WHERE s.scheme = rfm_scheme_check.scheme) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('RFM scheme "%s" does not exist', coalesce(scheme, 'NULL')),
            HINT = format('Schemes: %s.', (SELECT string_agg(s.scheme, ', ' ORDER BY s.scheme) FROM iaros.rfm_scheme s));
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_scheme_check(text) IS
'Checks that a scheme exists. Error: 23503 when it does not, or for NULL.';

CREATE FUNCTION @extschema@.rfm_bounds_list()
    RETURNS TABLE (scheme text, dimension text, bounds numeric[], problem text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT s.scheme, d.dimension, has.bounds,
            CASE WHEN has.scores IS NULL AND s.kind <> 'threshold' THEN NULL
                WHEN has.scores IS DISTINCT FROM needs.scores THEN
                    format('A scheme of %s levels needs one for each of the scores %s; there are %s.', s.levels,
                        array_to_string(needs.scores, ', '), coalesce('those of ' || array_to_string(has.scores, ', '), 'none'))
                WHEN EXISTS (SELECT FROM generate_subscripts(has.bounds, 1) AS i WHERE has.bounds[i] >= has.bounds[i + 1]) THEN
                    format('Those of the scores %s are %s, which do not ascend.',
                        array_to_string(has.scores, ', '), array_to_string(has.bounds, ', '))
            END
        FROM iaros.rfm_scheme s
        -- Fewer days are the better score, so recency counts scores down.
        CROSS JOIN (VALUES ('recency', -1), ('frequency', 1), ('monetary', 1)) AS d(dimension, way)
        CROSS JOIN LATERAL (
            SELECT array_agg(t.lower_bound ORDER BY d.way * t.score) AS bounds,
                array_agg(t.score::integer ORDER BY d.way * t.score) AS scores
            FROM iaros.rfm_threshold t
            WHERE t.scheme = s.scheme AND t.dimension = d.dimension) AS has
        CROSS JOIN LATERAL (
            SELECT array_agg(n ORDER BY d.way * n) AS scores
            FROM generate_series(1, s.levels::integer) AS n
            WHERE n <> CASE d.way WHEN 1 THEN 1 ELSE s.levels END) AS needs;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_bounds_list() IS
'Returns the thresholds of every scheme and dimension, ascending (NULL: none, the dimension is scored by quantiles), and what is wrong with them (NULL: nothing). Linear in the thresholds.';

CREATE FUNCTION @extschema@.rfm_bounds(scheme text, dimension text)
    RETURNS numeric[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    l record;
BEGIN
    SELECT x.bounds, x.problem INTO l FROM iaros.rfm_bounds_list() x
    WHERE x.scheme = rfm_bounds.scheme AND x.dimension = rfm_bounds.dimension;
    IF NOT FOUND THEN
        PERFORM iaros.rfm_scheme_check(scheme);
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is not a dimension of RFM', coalesce(dimension, 'NULL')),
            HINT = 'Dimensions: recency, frequency, monetary.';
    END IF;
    IF l.problem IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid thresholds of RFM scheme "%s" for %s', scheme, dimension),
            DETAIL = l.problem,
            HINT = 'Thresholds are rows of iaros.rfm_threshold: days of recency, ascending from the second best score to 1, bookings and amounts from score 2 to the best.';
    END IF;
    RETURN l.bounds;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_bounds(text, text) IS
'Returns the thresholds of a scheme for a dimension (recency, frequency, monetary), ascending, one fewer than the scheme has levels; NULL when the scheme scores the dimension by quantiles. Errors: 23503 no such scheme, 22023 no such dimension, or thresholds that are not complete or do not ascend.';

CREATE FUNCTION @extschema@.rfm_since(as_of timestamptz, period interval)
    RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    -- In UTC, so that the session's time zone does not matter.
    since timestamptz := (as_of AT TIME ZONE 'UTC' - period) AT TIME ZONE 'UTC';
BEGIN
    IF NOT isfinite(as_of) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the time of an RFM score must be finite, not "%s"', as_of);
    ELSIF NOT (period > interval '0' AND since < as_of) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the period of an RFM score must be positive, not "%s"', period),
            HINT = 'NULL stands for the period of the scheme.';
    END IF;
    RETURN coalesce(since, '-infinity');
END $$;
COMMENT ON FUNCTION @extschema@.rfm_since(timestamptz, interval) IS
'Returns the time a period before as_of, in UTC; -infinity when the period is NULL. NULL as_of gives -infinity. Errors: 22023 as_of not finite, period not positive, 22008 a time that PostgreSQL does not know.';

CREATE FUNCTION @extschema@.rfm_convert(bounds numeric[], from_currency text, to_currency text, as_of timestamptz)
    RETURNS numeric[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    day date := (as_of AT TIME ZONE 'UTC')::date;
    from_rate numeric;
    to_rate numeric;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.currency_minor_unit(to_currency);
    IF bounds IS NULL OR from_currency IS NULL OR to_currency IS NULL OR from_currency = to_currency THEN
        RETURN bounds;
    END IF;
    from_rate := iaros.fx_rate_get(from_currency, day);
    to_rate := iaros.fx_rate_get(to_currency, day);
    -- Divided last, so that what comes out even is exact.
    RETURN ARRAY(
        SELECT trim_scale(b.bound * from_rate / to_rate)
        FROM unnest(bounds) WITH ORDINALITY AS b(bound, n)
        ORDER BY b.n);
END $$;
COMMENT ON FUNCTION @extschema@.rfm_convert(numeric[], text, text, timestamptz) IS
'Returns thresholds of one currency in another at the rates of the day (UTC) of a time, unrounded; as they are when the currencies are the same or one is NULL, which means amounts of no stated currency. NULL bounds give NULL. Errors: 22023 other currency not in ISO 4217, P0002 (no_data_found) no rate. Two index look-ups.';

CREATE FUNCTION @extschema@.rfm_terms(
    scheme text,
    as_of timestamptz,
    period interval,
    currency text,
    OUT scheme_name text,
    OUT kind text,
    OUT levels integer,
    OUT ties text,
    OUT lapsed boolean,
    OUT since timestamptz,
    OUT until timestamptz,
    OUT zone text,
    OUT recency_bounds integer[],
    OUT frequency_bounds numeric[],
    OUT monetary_bounds numeric[],
    OUT segments text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    s record;
BEGIN
    PERFORM iaros.install_check();
    scheme_name := coalesce(scheme, iaros.setting_get('rfm_scheme'));
    PERFORM iaros.rfm_scheme_check(scheme_name);
    SELECT * INTO s FROM iaros.rfm_scheme x WHERE x.scheme = scheme_name;
    kind := s.kind;
    levels := s.levels;
    ties := s.ties;
    lapsed := s.lapsed;
    until := coalesce(as_of, now());
    since := iaros.rfm_since(until, coalesce(period, s.period));
    zone := iaros.setting_get('brand_time_zone');
    recency_bounds := iaros.rfm_bounds(scheme_name, 'recency')::integer[];
    frequency_bounds := iaros.rfm_bounds(scheme_name, 'frequency');
    monetary_bounds := iaros.rfm_convert(iaros.rfm_bounds(scheme_name, 'monetary'), s.currency, currency, until);
    IF s.segment_map IS NULL THEN
        segments := array_fill(NULL::text, ARRAY[levels ^ 3]::integer[]);
    ELSE
        segments := ARRAY(SELECT c.segment FROM iaros.rfm_map_cells(s.segment_map) c ORDER BY c.score);
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_terms(text, timestamptz, interval, text) IS
'Returns what rfm_compute() goes by. scheme: NULL is the one of setting rfm_scheme; as_of: NULL is now; period: NULL is that of the scheme; currency: of the amounts, NULL is not stated. Result: the scheme, its kind, levels and ties; whether customers without purchase in the period are scored; since when, excluded (-infinity without period), until when, included, and in which time zone''s days; the ascending thresholds of each dimension (NULL: by quantiles), those of monetary value in the currency of the amounts at the rate of the day; and the segments of all levels ^ 3 cells in the order 111, 112 ... (NULL: none). Errors: 23503 no such scheme, 22023 thresholds that are not complete or do not ascend, period not positive, as_of not finite, currency not in ISO 4217, P0002 no rate.';

-- Engine: maps ------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_map_cells(map text)
    RETURNS TABLE (score @extschema@.rfm, segment text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    levels integer;
BEGIN
    PERFORM iaros.install_check();
    SELECT m.levels INTO levels FROM iaros.rfm_segment_map m WHERE m.map = rfm_map_cells.map;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('RFM segment map "%s" does not exist', coalesce(map, 'NULL')),
            HINT = format('Maps: %s.', (SELECT string_agg(m.map, ', ' ORDER BY m.map) FROM iaros.rfm_segment_map m));
    END IF;
    RETURN QUERY
        SELECT iaros.rfm_make(c.r, c.f, c.m), (
            SELECT u.segment FROM iaros.rfm_segment_rule u
            WHERE u.map = rfm_map_cells.map AND u.r @> c.r AND u.f @> c.f AND u.m @> c.m
            ORDER BY u.rank LIMIT 1)
        FROM (
            SELECT x AS r, y AS f, z AS m
            FROM generate_series(1, levels) AS x, generate_series(1, levels) AS y, generate_series(1, levels) AS z) AS c
        ORDER BY c.r, c.f, c.m;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_map_cells(text) IS
'Returns every cell of a map of segments, in order, with its segment: that of the first rule by rank whose ranges hold the three scores, NULL where none does. Error: 23503 no such map. Cells times rules.';

CREATE FUNCTION @extschema@.rfm_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'setting rfm_scheme',
            format('the scheme "%s" does not exist', iaros.setting_get('rfm_scheme')),
            'Choose one with iaros.setting_set(''rfm_scheme'', ...).'
        WHERE NOT EXISTS (SELECT FROM iaros.rfm_scheme s WHERE s.scheme = iaros.setting_get('rfm_scheme'));
    RETURN QUERY
        SELECT 'info'::iaros.alert_severity, format('RFM scheme %s', s.scheme),
            'it is in use and gives no segments, since it names no map',
            format('UPDATE iaros.rfm_scheme SET segment_map = ''standard'' WHERE scheme = %L.', s.scheme)
        FROM iaros.rfm_scheme s
        WHERE s.scheme = iaros.setting_get('rfm_scheme') AND s.segment_map IS NULL;
    RETURN QUERY
        SELECT CASE WHEN l.scheme = iaros.setting_get('rfm_scheme') THEN 'error' ELSE 'warning' END::iaros.alert_severity,
            format('RFM scheme %s', l.scheme), format('its thresholds for %s cannot be used', l.dimension), l.problem
        FROM iaros.rfm_bounds_list() l
        WHERE l.problem IS NOT NULL
        ORDER BY l.scheme, l.dimension;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('RFM segment map %s', m.map),
            format('%s of its %s cells have no segment, the first is %s', c.without, c.cells, c.first_cell),
            'Add a rule of the last rank whose ranges hold everything.'
        FROM iaros.rfm_segment_map m
        CROSS JOIN LATERAL (
            SELECT count(*) AS cells, count(*) FILTER (WHERE x.segment IS NULL) AS without,
                min(x.score::text) FILTER (WHERE x.segment IS NULL) AS first_cell
            FROM iaros.rfm_map_cells(m.map) x) AS c
        WHERE c.without > 0
        ORDER BY m.map;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('RFM segment map %s', m.map),
            format('its rule %s (%s) holds no cell of %s levels', u.rank, u.segment, m.levels),
            'Correct the ranges of the rule, or delete it.'
        FROM iaros.rfm_segment_map m
        JOIN iaros.rfm_segment_rule u ON u.map = m.map
        CROSS JOIN LATERAL (SELECT int4range(1, m.levels, '[]') AS range) AS l
        WHERE NOT (u.r && l.range AND u.f && l.range AND u.m && l.range)
        ORDER BY m.map, u.rank;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_doctor() IS
'Findings of doctor() about RFM: a scheme in use that does not exist or has no map, thresholds that are not complete or do not ascend, maps with cells that no rule holds or rules that hold no cell.';

-- Engine: migration -------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_migration_check(from_at timestamptz, to_at timestamptz, stored boolean, terms text)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF from_at IS NULL OR to_at IS NULL OR NOT isfinite(from_at) OR NOT isfinite(to_at) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a migration needs two finite times',
            DETAIL = format('They are %s and %s.', coalesce(from_at::text, 'NULL'), coalesce(to_at::text, 'NULL'));
    ELSIF from_at > to_at THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a migration cannot go from "%s" back to "%s"', from_at, to_at),
            HINT = 'Give the earlier time first.';
    ELSIF stored AND terms IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a stored migration takes no scheme, period, currency or columns',
            DETAIL = format('The history was stored by the scheme of its time, but "%s" was given.', terms),
            HINT = 'Give a source of purchases too, so that they are scored anew.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_migration_check(timestamptz, timestamptz, boolean, text) IS
'Checks the arguments of rfm_migration(): both times, whether the history is asked, and any of the terms of scoring. Error: 22023.';

CREATE FUNCTION @extschema@.rfm_migration(
    from_at timestamptz,
    to_at timestamptz,
    source text DEFAULT NULL,
    scheme text DEFAULT NULL,
    period interval DEFAULT NULL,
    currency text DEFAULT NULL,
    columns text[] DEFAULT NULL)
    RETURNS TABLE (from_segment text, to_segment text, customers bigint, share numeric)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    query text;
BEGIN
    PERFORM iaros.rfm_migration_check(from_at, to_at, source IS NULL, coalesce(scheme, period::text, currency, columns::text));
    IF source IS NOT NULL THEN
        query := iaros.source_query(source);
    END IF;
    RETURN QUERY
        WITH at_both AS (
            SELECT h.at_end, h.customer_id, h.segment
            FROM (
                -- The last row of each customer up to each of the two times.
                SELECT e.at_end, x.customer_id, x.segment, pg_catalog.row_number() OVER (
                    PARTITION BY e.at_end, x.customer_id ORDER BY x.since DESC) AS n
                FROM iaros.rfm_history x
                JOIN (VALUES (false, from_at), (true, to_at)) AS e(at_end, at) ON x.since OPERATOR(pg_catalog.<=) e.at
                WHERE query IS NULL) AS h
            WHERE h.n OPERATOR(pg_catalog.=) 1
            UNION ALL
            SELECT e.at_end, c.customer_id, c.segment
            FROM (VALUES (false, from_at), (true, to_at)) AS e(at_end, at)
            CROSS JOIN LATERAL iaros.rfm_compute(query, scheme, e.at, period, currency, columns) AS c
            WHERE query IS NOT NULL AND c.customer_id IS NOT NULL
        ), moved AS (
            SELECT pg_catalog.max(b.segment) FILTER (WHERE NOT b.at_end) AS from_segment,
                pg_catalog.max(b.segment) FILTER (WHERE b.at_end) AS to_segment
            FROM at_both AS b
            GROUP BY b.customer_id
        )
        SELECT m.from_segment, m.to_segment, pg_catalog.count(*),
            pg_catalog.round(pg_catalog.count(*) OPERATOR(pg_catalog./)
                pg_catalog.sum(pg_catalog.count(*)) OVER (PARTITION BY m.from_segment), 4)
        FROM moved AS m
        WHERE m.from_segment IS NOT NULL OR m.to_segment IS NOT NULL
        GROUP BY m.from_segment, m.to_segment
        ORDER BY m.from_segment, m.to_segment;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_migration(timestamptz, timestamptz, text, text, interval, text, text[]) IS
'Returns how many customers went from which segment to which between two times, and their share of those who were in the first. NULL on a side: without segment then (no purchase yet, none in the period of a scheme that does not score these, or a cell without rule); who has none at both times is left out. source: purchases as for rfm_compute(), scored at both times by scheme, period, currency and columns; NULL: what rfm_refresh() stored in rfm_history. Errors: 22023 times not finite or not in order, or scheme, period, currency or columns without source; with source those of rfm_compute(). Linear in the source, read twice, or in the history.';

-- Kernel: picture ---------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_heatmap_colour(level double precision, OUT fill text, OUT ink text)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT concat('#', string_agg(lpad(to_hex(round(255 * CASE WHEN c.light <= 0.0031308 THEN 12.92 * c.light
               ELSE 1.055 * power(c.light, 1 / 2.4) - 0.055 END)::integer), 2, '0'), '' ORDER BY c.n)),
           CASE WHEN sum(c.weight * c.light) > 0.179 THEN '#000000' ELSE '#ffffff' END
    -- Lightness falls evenly from 0.97 to 0.35, hue turns from yellow to blue.
    FROM (SELECT least(greatest(level, 0), 1) AS t) AS x,
        LATERAL (SELECT 0.97 - 0.62 * x.t AS l, 0.05 + 0.04 * sin(pi() * x.t) AS chroma, 105 + 160 * x.t AS hue) AS p,
        LATERAL (SELECT p.chroma * cosd(p.hue) AS a, p.chroma * sind(p.hue) AS b) AS q,
        LATERAL (SELECT power(p.l + 0.3963377774 * q.a + 0.2158037573 * q.b, 3) AS l,
            power(p.l - 0.1055613458 * q.a - 0.0638541728 * q.b, 3) AS m,
            power(p.l - 0.0894841775 * q.a - 1.2914855480 * q.b, 3) AS s) AS k,
        LATERAL (VALUES
            (1, 0.2126, 4.0767416621 * k.l - 3.3077115913 * k.m + 0.2309699292 * k.s),
            (2, 0.7152, -1.2684380046 * k.l + 2.6097574011 * k.m - 0.3413193965 * k.s),
            (3, 0.0722, -0.0041960863 * k.l - 0.7034186147 * k.m + 1.7076147010 * k.s)) AS c(n, weight, light);
END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_colour(double precision) IS
'Returns a colour of a scale whose equal steps look equally large, for a level from 0 (light yellow) to 1 (dark blue), and black or white, whichever can be read on it (contrast 4.5 or more, as WCAG 2 measures it). Levels outside are taken as the nearer end; NULL gives NULL. The scale runs through the colour space OKLab of B. Ottosson (2020): lightness linear, so that it also holds in grey. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_share(share numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN share IS NULL THEN '&#8211;'
        WHEN share > 0 AND share < 0.0005 THEN '&lt; 0.1 %'
        ELSE concat(round(100 * share, 1), ' %') END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_share(numeric) IS
'Returns a share as XML text in percent with one decimal; a dash for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_number(value numeric, decimals integer) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN abs(value) < 1e15 THEN to_char(round(value, decimals), 'FM999,999,999,999,990' || rpad('', least(decimals, 5) + (decimals > 0)::integer, '.00000'))
        ELSE value::text END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_number(numeric, integer) IS
'Returns a number with so many decimals (0 to 5) and commas between thousands; one of 10 ^ 15 or more, or that is none, as it is. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_escape(content text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Characters that XML does not allow become a question mark.
    content := regexp_replace(content, E'[\\u0001-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]', '?', 'g');
    RETURN replace(replace(replace(replace(content, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;');
END $$;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_escape(text) IS
'Returns a text as content of an XML element or attribute. NULL gives NULL. Linear in its length.';

CREATE FUNCTION @extschema@.rfm_heatmap_cell(x integer, y integer, name text, customers bigint, customers_share numeric, monetary numeric, monetary_share numeric, shade double precision)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT concat(
        format('<g><title>%s: customers %s (%s), revenue %s (%s)</title>', name, @extschema@.rfm_heatmap_number(customers, 0),
            @extschema@.rfm_heatmap_share(customers_share), @extschema@.rfm_heatmap_number(monetary, 2),
            @extschema@.rfm_heatmap_share(monetary_share)),
        format('<rect x="%s" y="%s" width="92" height="60" fill="%s"/>', x, y,
            CASE WHEN customers > 0 THEN c.fill ELSE '#f0f0f0' END),
        CASE WHEN customers > 0 THEN concat(
            format('<g fill="%s" text-anchor="middle"><text x="%s" y="%s" font-size="16" font-weight="bold">%s</text>',
                c.ink, x + 46, y + 28, @extschema@.rfm_heatmap_share(customers_share)),
            format('<text x="%s" y="%s" font-size="12">%s</text></g>', x + 46, y + 47, @extschema@.rfm_heatmap_share(monetary_share)))
        END,
        E'</g>\n')
    FROM @extschema@.rfm_heatmap_colour(coalesce(shade, 0)) AS c;
END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_cell(integer, integer, text, bigint, numeric, numeric, numeric, double precision) IS
'Returns one cell of the picture of rfm_heatmap() as SVG: its left upper corner, name, figures, and the level of its colour from 0 to 1. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_legend(x integer, y integer, width integer, caption text, top numeric)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT concat(
        format(E'<text x="%s" y="%s" font-size="12">%s</text>\n', x, y, caption),
        -- Edges on whole pixels, so that no seams show.
        (SELECT string_agg(format('<rect x="%s" y="%s" width="%s" height="12" fill="%s"/>',
            x + width * i / 48, y + 8, width * (i + 1) / 48 - width * i / 48,
            (@extschema@.rfm_heatmap_colour(i / 47.0::double precision)).fill), E'\n' ORDER BY i)
         FROM generate_series(0, 47) AS i),
        E'\n',
        (SELECT string_agg(format(E'<text x="%s" y="%s" font-size="12" text-anchor="%s">%s</text>\n',
            x + width * i / 2, y + 36, (ARRAY['start', 'middle', 'end'])[i + 1],
            CASE WHEN i = 0 THEN '0 %' ELSE @extschema@.rfm_heatmap_share(top * i / 2) END), '' ORDER BY i)
         FROM generate_series(0, 2) AS i));
END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_legend(integer, integer, integer, text, numeric) IS
'Returns the legend of the picture of rfm_heatmap() as SVG: its left upper corner, width, caption as XML, and the share that the darkest colour stands for. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_head(wide integer, high integer, title text, customers numeric, without numeric, monetary numeric)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT concat(
        format(E'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%1$s" height="%2$s" role="img" aria-label="%3$s">\n', wide, high, t.whole),
        format(E'<title>%s</title>\n<desc>%s. In each cell: share of customers, below it share of revenue. %s</desc>\n', t.whole, t.sums,
            'Rows are scores of frequency, columns scores of recency, both ascending to the right top.'),
        format(E'<rect width="%s" height="%s" fill="#ffffff"/>\n<g font-family="Helvetica, Arial, sans-serif" fill="#1a1a1a">\n', wide, high),
        format(E'<text x="22" y="34" font-size="20" font-weight="bold">%s</text>\n', t.shown),
        format(E'<text x="22" y="58" font-size="13">%s</text>\n', t.sums),
        format(E'<text x="22" y="78" font-size="13" fill="#555555">In each cell: share of customers, below it share of revenue</text>\n'))
    FROM (SELECT @extschema@.rfm_heatmap_escape(title) AS whole,
        -- A bold letter of this size is about 12 wide.
        CASE WHEN char_length(title) > wide / 12 - 4 THEN @extschema@.rfm_heatmap_escape(left(title, wide / 12 - 5)) || '&#8230;'
            ELSE @extschema@.rfm_heatmap_escape(title) END AS shown,
        concat('Customers: ', @extschema@.rfm_heatmap_number(customers, 0),
            CASE WHEN without > 0 THEN format(' (%s more without score)', @extschema@.rfm_heatmap_number(without, 0)) END,
            coalesce(', revenue: ' || @extschema@.rfm_heatmap_number(monetary, 2), ', no shares of revenue')) AS sums) AS t;
END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_head(integer, integer, text, numeric, numeric, numeric) IS
'Returns the beginning of the picture of rfm_heatmap() as SVG: its width and height, its title, of which it shows as much as fits, how many customers it shows, how many more have no score, and the monetary value of all (NULL: it has no shares). Linear in the title.';

CREATE FUNCTION @extschema@.rfm_heatmap_axes(r_levels integer, f_levels integer) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT concat(
        E'<g font-size="14" text-anchor="middle">\n',
        (SELECT string_agg(format('<text x="%s" y="%s">%s</text>', 76 + 94 * (r - 1) + 46, 100 + 62 * f_levels + 18, r), '' ORDER BY r)
         FROM generate_series(1, r_levels) AS r),
        (SELECT string_agg(format('<text x="62" y="%s">%s</text>', 100 + 62 * (f_levels - f) + 35, f), '' ORDER BY f)
         FROM generate_series(1, f_levels) AS f),
        format(E'\n<text x="%s" y="%s">Recency score (%s: bought last)</text>\n', 75 + 47 * r_levels, 100 + 62 * f_levels + 42, r_levels),
        format(E'<text transform="translate(28 %s) rotate(-90)">Frequency score</text>\n</g>\n', 99 + 31 * f_levels));
END;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_axes(integer, integer) IS
'Returns the axes of the picture of rfm_heatmap() as SVG, for so many scores of recency and of frequency. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_heatmap_draw(grid jsonb, title text, shade text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    -- Cells of 92 x 60 with 2 between them, below a heading of 100.
    size record;
    wide integer;
    cells text;
    axes text;
    legend text;
BEGIN
    IF shade NOT IN ('customers', 'revenue') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a heat map has no colours for "%s"', shade),
            HINT = 'Colours show the share of customers or of revenue.';
    END IF;
    SELECT greatest(max(g.r), 2) AS r, greatest(max(g.f), 2) AS f,
        coalesce(sum(g.customers) FILTER (WHERE g.r IS NOT NULL), 0) AS customers,
        coalesce(sum(g.customers) FILTER (WHERE g.r IS NULL), 0) AS without,
        coalesce(sum(g.monetary) FILTER (WHERE g.r IS NOT NULL), 0) AS monetary,
        count(g.monetary_share) > 0 AS shared,
        greatest(max(CASE shade WHEN 'customers' THEN g.customers_share ELSE g.monetary_share END), 0) AS top
    INTO size
    FROM jsonb_to_recordset(grid) AS g(r integer, f integer, customers bigint, customers_share numeric, monetary numeric, monetary_share numeric);
    wide := greatest(76 + 94 * size.r + 22, 440);
    SELECT string_agg(iaros.rfm_heatmap_cell(76 + 94 * (g.r - 1), 100 + 62 * (size.f - g.f), format('R %s, F %s', g.r, g.f),
        g.customers, g.customers_share, g.monetary, g.monetary_share,
        (CASE shade WHEN 'customers' THEN g.customers_share ELSE g.monetary_share END / nullif(size.top, 0))::double precision),
        '' ORDER BY g.f DESC, g.r)
    INTO cells
    FROM jsonb_to_recordset(grid) AS g(r integer, f integer, customers bigint, customers_share numeric, monetary numeric, monetary_share numeric)
    WHERE g.r IS NOT NULL;
    axes := iaros.rfm_heatmap_axes(size.r, size.f);
    IF size.top > 0 THEN
        legend := iaros.rfm_heatmap_legend(76, 176 + 62 * size.f, least(94 * size.r - 2, 300), format('Colour: share of %s', shade), size.top);
    END IF;
    RETURN concat(
        iaros.rfm_heatmap_head(wide, CASE WHEN size.top > 0 THEN 232 ELSE 158 END + 62 * size.f, title, size.customers, size.without,
            CASE WHEN size.shared THEN size.monetary END),
        cells, axes, legend, E'</g>\n</svg>\n');
END $$;
COMMENT ON FUNCTION @extschema@.rfm_heatmap_draw(jsonb, text, text) IS
'Returns the picture of rfm_heatmap() for the rows of rfm_grid() as an array of objects, its title, and what its colours show: customers or revenue. NULL for a NULL argument. Error: 22023 for other colours. Linear in the rows.';

-- Engine: picture ---------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_grid(
    source text DEFAULT 'iaros.customer_rfm',
    levels integer DEFAULT 5)
    RETURNS TABLE (r integer, f integer, customers bigint, customers_share numeric, monetary numeric, monetary_share numeric)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    query text := iaros.source_query(source);
BEGIN
    IF levels IS NULL OR levels OPERATOR(pg_catalog.<) 2 OR levels OPERATOR(pg_catalog.>) 9 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = pg_catalog.format('scores have 2 to 9 levels, not "%s"', coalesce(levels::text, 'NULL'));
    END IF;
    RETURN QUERY EXECUTE pg_catalog.format(
        'WITH cell AS MATERIALIZED (
            SELECT iaros.rfm_r(q.score::iaros.rfm)::pg_catalog.int4 AS r, iaros.rfm_f(q.score::iaros.rfm)::pg_catalog.int4 AS f,
                pg_catalog.count(*) AS customers, coalesce(pg_catalog.sum(q.monetary::pg_catalog.numeric), 0) AS monetary
            FROM (%s) AS q
            GROUP BY 1, 2
        ), total AS (
            SELECT pg_catalog.sum(c.customers) AS customers, pg_catalog.sum(c.monetary) AS monetary
            FROM cell AS c WHERE c.r IS NOT NULL
        )
        SELECT g.r, g.f, coalesce(c.customers, 0),
            CASE WHEN g.r IS NOT NULL
                THEN pg_catalog.round(coalesce(c.customers, 0) OPERATOR(pg_catalog./) t.customers, 6) END,
            coalesce(c.monetary, 0),
            -- There are no shares of nothing, of a loss, or of what is no number.
            CASE WHEN g.r IS NOT NULL AND t.monetary OPERATOR(pg_catalog.>) 0 AND t.monetary OPERATOR(pg_catalog.<) ''Infinity''
                THEN pg_catalog.round(coalesce(c.monetary, 0) OPERATOR(pg_catalog./) t.monetary, 6) END
        FROM total AS t
        CROSS JOIN (
            SELECT x.r, y.f
            FROM (SELECT greatest(%s, pg_catalog.max(c.r), pg_catalog.max(c.f)) AS levels FROM cell AS c) AS n,
                pg_catalog.generate_series(1, n.levels) AS x(r), pg_catalog.generate_series(1, n.levels) AS y(f)
            UNION SELECT o.r, o.f FROM cell AS o WHERE o.r IS NULL) AS g
        LEFT JOIN cell AS c ON c.r OPERATOR(pg_catalog.=) g.r AND c.f OPERATOR(pg_catalog.=) g.f
            OR c.r IS NULL AND g.r IS NULL
        ORDER BY g.r, g.f', query, levels);
END $$;
COMMENT ON FUNCTION @extschema@.rfm_grid(text, integer) IS
'Returns for each pair of scores of recency and frequency how many customers there are and their monetary value, and the shares of both, to six decimals. source: a relation or a query, run with the caller''s path and rights, with columns score (rfm) and monetary, one row a customer; the default is what rfm_refresh() made. levels, 2 to 9: pairs of scores up to this come even without a customer, and up to the highest score of the source if that is higher. Customers without score come as one last row, with r, f and the shares NULL, and are no part of the totals. Shares of monetary value are NULL unless its total is a positive number. NULL monetary adds nothing. Errors: 22023 levels or an empty source, 42P01, 42703 and others of the source. Linear in the source.';

CREATE FUNCTION @extschema@.rfm_heatmap(
    source text DEFAULT 'iaros.customer_rfm',
    title text DEFAULT NULL,
    levels integer DEFAULT 5,
    shade text DEFAULT 'customers')
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    grid jsonb;
BEGIN
    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(g)) INTO grid
    FROM iaros.rfm_grid(iaros.source_query(source), levels) AS g;
    RETURN iaros.rfm_heatmap_draw(grid, coalesce(title, 'Customers by recency and frequency'), coalesce(shade, 'customers'));
END $$;
COMMENT ON FUNCTION @extschema@.rfm_heatmap(text, text, integer, text) IS
'Returns a picture of the cells of recency and frequency as SVG text: in each the share of customers and below it the share of monetary value, the best customers at the right top. source and levels: as rfm_grid(); a higher score in the source makes the picture larger. title: the heading (NULL: a plain one). shade: whether colours show the share of customers (also for NULL) or of revenue. The picture is well-formed XML without scripts, styles or references, has title and description for readers of screens, and a title of figures for each cell. Errors: 22023 shade, and those of rfm_grid(). Linear in the source.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.rfm_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('rfm', 1) THEN
    CREATE TABLE iaros.rfm_segment (
        segment text PRIMARY KEY CHECK (segment <> ''),
        rank integer NOT NULL,
        description text NOT NULL,
        strategy text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.rfm_segment IS
        'Segments of RFM cells, best first by rank, with what they are and what to do about them.';
    INSERT INTO iaros.rfm_segment (segment, rank, description, strategy, shipped_hash) VALUES
        ('Champions', 1, 'Booked very recently, book often and spend the most', 'Reward them, upsell premium', 'new'),
        ('Loyal Customers', 2, 'Book often and spend much', 'Cross-sell, loyalty programme', 'new'),
        ('Potential Loyalists', 3, 'Booked recently, several times or for much', 'Nurture, engage regularly', 'new'),
        ('Recent Customers', 4, 'Booked very recently, but seldom so far', 'Onboard', 'new'),
        ('Promising', 5, 'Booked recently, seldom and for little so far', 'Encourage a repeat booking', 'new'),
        ('Needs Attention', 6, 'Above average, but it has been a while', 'Reactivate, special offers', 'new'),
        ('About to Sleep', 7, 'Below average, and it has been a while', 'Win-back campaigns', 'new'),
        ('At Risk', 8, 'Booked often and spent much, but long ago', 'Aggressive retention', 'new'),
        ('Can''t Lose Them', 9, 'Were among the best, but have not booked for very long', 'Win-back, premium offers', 'new'),
        ('Hibernating', 10, 'Last booked long ago, seldom or for little', 'Low-cost re-engagement', 'new'),
        ('Lost', 11, 'Lowest in all three', 'Minimal spend, surveys', 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_segment');

    CREATE TABLE iaros.rfm_segment_map (
        map text PRIMARY KEY CHECK (map ~ '^[a-z][a-z0-9_]{0,40}$'),
        levels smallint NOT NULL DEFAULT 5 CHECK (levels BETWEEN 2 AND 9),
        description text NOT NULL,
        shipped_hash text,
        CONSTRAINT rfm_segment_map_levels UNIQUE (map, levels)
    );
    COMMENT ON TABLE iaros.rfm_segment_map IS
        'Maps of RFM cells to segments, for scores from 1 to levels. Add your own.';
    INSERT INTO iaros.rfm_segment_map (map, levels, description, shipped_hash) VALUES
        ('standard', 5, 'Eleven segments: 32 cells as they are listed in the field, the other 93 by ordered rules', 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_segment_map');

    CREATE TABLE iaros.rfm_segment_rule (
        map text NOT NULL REFERENCES iaros.rfm_segment_map ON UPDATE CASCADE ON DELETE CASCADE,
        rank integer NOT NULL,
        segment text NOT NULL REFERENCES iaros.rfm_segment ON UPDATE CASCADE,
        r int4range NOT NULL DEFAULT '(,)' CHECK (NOT isempty(r)),
        f int4range NOT NULL DEFAULT '(,)' CHECK (NOT isempty(f)),
        m int4range NOT NULL DEFAULT '(,)' CHECK (NOT isempty(m)),
        shipped_hash text,
        PRIMARY KEY (map, rank)
    );
    COMMENT ON TABLE iaros.rfm_segment_rule IS
        'Rules of a map: the first by rank whose ranges hold the scores of recency, frequency and monetary value names the segment. A range that is left out holds all scores. The rules of map standard come from rfm_shipped_rules().';
    CREATE INDEX rfm_segment_rule_by_segment ON iaros.rfm_segment_rule (segment);
    INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r, f, m, shipped_hash)
    SELECT 'standard', u.rank, u.segment, u.r, u.f, u.m, 'new'
    FROM iaros.rfm_shipped_rules() u;
    PERFORM iaros.shipped_seal('iaros.rfm_segment_rule');

    CREATE TABLE iaros.rfm_scheme (
        scheme text PRIMARY KEY CHECK (scheme ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        kind iaros.rfm_scheme_kind NOT NULL DEFAULT 'threshold',
        levels smallint NOT NULL DEFAULT 5 CHECK (levels BETWEEN 2 AND 9),
        period interval CHECK (period > interval '0'),
        lapsed boolean NOT NULL DEFAULT true,
        ties iaros.rfm_ties NOT NULL DEFAULT 'low',
        currency char(3) REFERENCES iaros.currency,
        segment_map text,
        shipped_hash text,
        -- A map of other levels has no segment for some scores, or none at all.
        CONSTRAINT rfm_scheme_map FOREIGN KEY (segment_map, levels) REFERENCES iaros.rfm_segment_map (map, levels)
    );
    COMMENT ON TABLE iaros.rfm_scheme IS
        'Ways to score RFM. A dimension with rows in rfm_threshold is scored by them, any other as kind says. Add your own.';
    COMMENT ON COLUMN iaros.rfm_scheme.levels IS 'Scores go from 1 to this.';
    COMMENT ON COLUMN iaros.rfm_scheme.period IS
        'How far back purchases count for frequency and monetary value (NULL: all); recency always reads the last purchase ever.';
    COMMENT ON COLUMN iaros.rfm_scheme.lapsed IS
        'Whether customers without purchase in the period are scored, as 0 purchases of 0 (else they have no score and are in no quantile).';
    COMMENT ON COLUMN iaros.rfm_scheme.ties IS
        'Where a cut of kind quantile falls among equal values: the lower or the higher score for all of them.';
    COMMENT ON COLUMN iaros.rfm_scheme.currency IS
        'Currency of the thresholds of monetary value (NULL: that of the amounts, whatever it is).';
    COMMENT ON COLUMN iaros.rfm_scheme.segment_map IS
        'The map, of as many levels, that names the segments (NULL: there are none).';
    CREATE INDEX rfm_scheme_by_map ON iaros.rfm_scheme (segment_map);
    INSERT INTO iaros.rfm_scheme (scheme, description, kind, period, lapsed, currency, segment_map, shipped_hash) VALUES
        ('threshold', 'Fixed thresholds in days, bookings and US dollars', 'threshold', interval '12 months', true, 'USD', 'standard', 'new'),
        ('quantile', 'Five equal parts of all customers, equal values together', 'quantile', NULL, true, NULL, 'standard', 'new'),
        ('ntile', 'As NTILE(5) of SQL over all customers', 'ntile', NULL, true, NULL, 'standard', 'new'),
        ('ntile_12_months', 'As NTILE(5) of SQL over those who bought in 12 months', 'ntile', interval '12 months', false, NULL, 'standard', 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_scheme');

    CREATE TABLE iaros.rfm_threshold (
        scheme text NOT NULL REFERENCES iaros.rfm_scheme ON UPDATE CASCADE ON DELETE CASCADE,
        dimension text NOT NULL CHECK (dimension IN ('recency', 'frequency', 'monetary')),
        score smallint NOT NULL,
        lower_bound numeric NOT NULL CHECK (lower_bound NOT IN ('NaN', 'Infinity', '-Infinity')),
        shipped_hash text,
        PRIMARY KEY (scheme, dimension, score),
        CONSTRAINT rfm_threshold_score CHECK (score BETWEEN 2 AND 9 AND dimension <> 'recency' OR score BETWEEN 1 AND 8 AND dimension = 'recency'),
        CONSTRAINT rfm_threshold_days CHECK (dimension <> 'recency' OR lower_bound = trunc(lower_bound) AND abs(lower_bound) <= 100000)
    );
    COMMENT ON TABLE iaros.rfm_threshold IS
        'Lowest value (days, purchases, amount in the currency of the scheme) of each score of a scheme; the range ends before the threshold that follows. The best score of recency and score 1 of the others need none.';
    INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound, shipped_hash) VALUES
        ('threshold', 'recency', 4, 31, 'new'),
        ('threshold', 'recency', 3, 91, 'new'),
        ('threshold', 'recency', 2, 181, 'new'),
        ('threshold', 'recency', 1, 365, 'new'),
        ('threshold', 'frequency', 2, 2, 'new'),
        ('threshold', 'frequency', 3, 3, 'new'),
        ('threshold', 'frequency', 4, 5, 'new'),
        ('threshold', 'frequency', 5, 10, 'new'),
        ('threshold', 'monetary', 2, 501, 'new'),
        ('threshold', 'monetary', 3, 1001, 'new'),
        ('threshold', 'monetary', 4, 2501, 'new'),
        ('threshold', 'monetary', 5, 5000, 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_threshold');

    PERFORM iaros.setting_define('rfm_scheme', 'text', 'threshold',
        'The scheme of rfm_scheme by which rfm_refresh() scores, and rfm_compute() where none is named.');
    CALL iaros.rfm_install_refresh();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.rfm_install() IS
'Makes the tables of the domain rfm. Called by install().';
