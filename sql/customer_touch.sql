-- customer, touch: touchpoints and conversions out of loads, web events and
-- bookings.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.touchpoint_host(url text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN btrim(url) = '' THEN '' ELSE
        regexp_replace(lower(substring(left(url, 2000) FROM '^[[:space:]]*[A-Za-z][A-Za-z0-9+.-]*:/*([^/?#[:space:]]+)')), '^.*@|^www[.]|:[0-9]*$', '', 'g') END;
COMMENT ON FUNCTION @extschema@.touchpoint_host(text) IS
'Returns the host of an address (https://www.example.com/a gives example.com): in lower case, without www., user and port; the empty text for an empty one, NULL for NULL and for what is no address. Inlined.';

CREATE FUNCTION @extschema@.touchpoint_entrance(properties jsonb, own_hosts text DEFAULT '') RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object('source', e.source, 'medium', e.medium, 'campaign', e.campaign,
        'click', e.click, 'host', e.host))
    FROM (
        SELECT nullif(lower(btrim(left(properties ->> 'utm_source', 200))), '') AS source,
            nullif(lower(btrim(left(properties ->> 'utm_medium', 200))), '') AS medium,
            nullif(btrim(left(properties ->> 'utm_campaign', 200)), '') AS campaign,
            (SELECT k FROM unnest('{gclid,gbraid,wbraid,msclkid,fbclid,ttclid,li_fat_id,irclickid}'::text[]) WITH ORDINALITY AS u(k, n)
             WHERE properties ->> k <> '' ORDER BY n LIMIT 1) AS click,
            @extschema@.touchpoint_host(properties ->> 'referrer') AS host,
            @extschema@.touchpoint_host(properties ->> 'url') AS own
    ) AS e
    WHERE coalesce(e.source, e.medium, e.campaign, e.click) IS NOT NULL
       OR e.host IS NOT NULL AND e.host IS DISTINCT FROM e.own
          AND e.host <> ALL (string_to_array(
              -- As touchpoint_host() writes them.
              regexp_replace(replace(lower(coalesce(own_hosts, '')), ' ', ''), '(?<![^,])www[.]|:[0-9]*(?![^,])', '', 'g'), ','));
END;
COMMENT ON FUNCTION @extschema@.touchpoint_entrance(jsonb, text) IS
'Returns how somebody came to a page, of the properties of its event: an object with source, medium and campaign (utm_source, utm_medium, utm_campaign; the first two in lower case), click (the name of the click id that an advertising network added: gclid, fbclid …) and host (of referrer; empty when the page was opened directly), as far as they are there. NULL when the properties tell of no entrance: they have none of these, or only a referrer on the same host as url or on one of own_hosts (separated by commas; www., port and case do not matter). NULL for NULL.';

-- Engine: touchpoints of web events ---------------------------------------

CREATE FUNCTION @extschema@.touchpoint_apply(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    customer_ids bigint[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
DECLARE
    own_hosts text;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    own_hosts := iaros.setting_get('web_own_hosts');
    WITH entrance AS MATERIALIZED (
        SELECT e.customer_id, e.event_id, e.occurred_at, e.kind, e.source,
            iaros.touchpoint_entrance(e.properties, own_hosts) AS came
        FROM iaros.event e
        WHERE e.occurred_at >= from_time AND e.occurred_at < to_time
          AND (customer_ids IS NULL OR e.customer_id = ANY (customer_ids))
          AND e.properties ?| '{utm_source,utm_medium,utm_campaign,gclid,gbraid,wbraid,msclkid,fbclid,ttclid,li_fat_id,irclickid,referrer}'::text[]
    ), fresh AS MATERIALIZED (
        SELECT nextval('iaros.touchpoint_id_seq') AS touchpoint_id, q.*
        FROM (
            SELECT e.customer_id, e.occurred_at, e.source, 'event:' || e.event_id AS external_id,
                r.channel, r.kind, e.came ->> 'campaign' AS campaign
            FROM entrance e
            CROSS JOIN LATERAL (
                SELECT u.channel, u.kind FROM iaros.touchpoint_rule u
                WHERE u.enabled AND e.kind = ANY (u.event_kinds)
                  AND (u.source_pattern IS NULL OR coalesce(e.came ->> 'source', '') ~ u.source_pattern)
                  AND (u.medium_pattern IS NULL OR coalesce(e.came ->> 'medium', '') ~ u.medium_pattern)
                  AND (u.click_pattern IS NULL OR coalesce(e.came ->> 'click', '') ~ u.click_pattern)
                  AND (u.host_pattern IS NULL OR e.came ->> 'host' ~ u.host_pattern)
                ORDER BY u.rank, u.rule COLLATE "C" LIMIT 1) r
            WHERE e.came IS NOT NULL AND r.channel IS NOT NULL
              AND NOT EXISTS (SELECT FROM iaros.touchpoint_key k WHERE k.customer_id = e.customer_id
                  AND k.source = e.source AND k.external_id = 'event:' || e.event_id)
            ORDER BY e.customer_id, e.event_id) q
    ), new_key AS (
        INSERT INTO iaros.touchpoint_key (customer_id, source, external_id, touchpoint_id, occurred_at)
        SELECT f.customer_id, f.source, f.external_id, f.touchpoint_id, f.occurred_at FROM fresh f
        ON CONFLICT (customer_id, source, external_id) DO NOTHING
        RETURNING touchpoint_id)
    INSERT INTO iaros.touchpoint (customer_id, touchpoint_id, occurred_at, channel, kind, campaign, source)
    SELECT f.customer_id, f.touchpoint_id, f.occurred_at, f.channel, f.kind, f.campaign, f.source
    FROM fresh f JOIN new_key k ON k.touchpoint_id = f.touchpoint_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.touchpoint_apply(timestamptz, timestamptz, bigint[]) IS
'Makes touchpoints of the events in [from_time, to_time), of all customers or of customer_ids, by which somebody came to us (see touchpoint_entrance), as the first rule of touchpoint_rule that holds says, and returns how many were new. An event makes one touchpoint, once: its natural key is the source of the event and event:<event_id>. New events do so by themselves; call it for events from before a rule. Touchpoints of earlier rules stay as they are. One pass over the events of the time.';

-- Engine: conversions of bookings -----------------------------------------

CREATE FUNCTION @extschema@.conversion_apply(customer_ids bigint[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
DECLARE
    ids bigint[];
    gone bigint;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    -- Customers with something to do are locked in a statement of its own, so
    -- that the next ones see what those who held them have committed. Who has
    -- a change that is not committed yet does the same after it.
    ids := ARRAY(
        SELECT DISTINCT b.customer_id
        FROM iaros.booking b
        LEFT JOIN iaros.conversion o ON o.customer_id = b.customer_id AND o.booking_id = b.booking_id AND o.kind = 'booking'
        WHERE (customer_ids IS NULL OR b.customer_id = ANY (customer_ids))
          AND CASE WHEN iaros.booking_counts(b.status)
              THEN o.conversion_id IS NULL OR o.occurred_at <> b.booked_at OR o.value_base <> b.amount_base
              ELSE o.conversion_id IS NOT NULL END);
    IF ids = '{}' THEN
        RETURN 0;
    END IF;
    PERFORM iaros.customer_lock(ids);
    DELETE FROM iaros.conversion c USING iaros.booking b
    WHERE c.customer_id = b.customer_id AND c.booking_id = b.booking_id AND c.kind = 'booking'
      AND NOT iaros.booking_counts(b.status)
      AND b.customer_id = ANY (ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO iaros.conversion AS c (customer_id, occurred_at, kind, booking_id, value_base, source)
    SELECT b.customer_id, b.booked_at, 'booking', b.booking_id, b.amount_base, b.source
    FROM iaros.booking b
    LEFT JOIN iaros.conversion o ON o.customer_id = b.customer_id AND o.booking_id = b.booking_id AND o.kind = 'booking'
    WHERE iaros.booking_counts(b.status)
      AND b.customer_id = ANY (ids)
      AND (o.conversion_id IS NULL OR o.occurred_at <> b.booked_at OR o.value_base <> b.amount_base)
    ORDER BY b.customer_id, b.booking_id
    ON CONFLICT ON CONSTRAINT conversion_booking_once DO UPDATE
        SET occurred_at = excluded.occurred_at, value_base = excluded.value_base;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN gone + done;
END $$;
COMMENT ON FUNCTION @extschema@.conversion_apply(bigint[]) IS
'Brings the conversions of kind booking to what the bookings say, of all customers or of customer_ids, and returns how many changed: each booking that counts has one, at its time and with its amount in the base currency; others have none. With setting conversion_from_booking on, bookings do so by themselves; call it once for those from before. The customers whose conversions change are locked, so that two at once leave what the later one sees. O(bookings).';

-- Loading -----------------------------------------------------------------

CREATE FUNCTION @extschema@.load_touchpoint_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{external_id,customer_id,customer_external_id,customer_source,channel,occurred_at,kind,campaign,position,stage,cost,currency}'::text[],
    '{external_id,channel,occurred_at}'::text[],
$checks$
SELECT t.*, old.*, c.customer_id AS owner_id, c.customer_id || ' ' || t.external_id AS natural_key, money.cost_base,
    jsonb_strip_nulls(jsonb_build_object('occurred_at', t.occurred_at)
        || CASE WHEN old.old_gone THEN '{}' ELSE jsonb_build_object('channel', t.channel, 'kind', t.kind,
            'campaign', t.campaign, 'position', t."position", 'stage', t.stage, 'cost_base', money.cost_base) END) AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.external_id IS NOT NULL, 'external_id', t.payload, true, true),
        iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, k.customer_id, c.customer_id),
        iaros.load_refusal(t.channel IS NOT NULL, 'channel', t.payload, true, true),
        CASE WHEN t.channel IS NOT NULL AND n.channel IS NULL THEN format('channel_unknown: "%s"', left(t.channel, 60)) END,
        iaros.load_refusal(t.occurred_at IS NOT NULL, 'occurred_at', t.payload, true, true),
        iaros.load_refusal(t.kind IN ('impression', 'open', 'click', 'visit'), 'kind', t.payload, false, true),
        iaros.load_refusal(length(t.campaign) <= 200, 'campaign', t.payload, false, true),
        iaros.load_refusal(t."position" BETWEEN 1 AND 32767, 'position', t.payload, false, true),
        iaros.load_refusal(t.stage IN ('lead', 'opportunity'), 'stage', t.payload, false, true),
        CASE WHEN t.cost < 0 THEN format('cost_negative: %s', t.cost)
             WHEN t.cost >= 1e12 OR money.cost_base >= 1e12 THEN format('cost_range: %s', t.cost)
             ELSE iaros.load_refusal(t.cost IS NOT NULL, 'cost', t.payload, false, true) END,
        CASE WHEN t.currency IS NOT NULL AND m.currency IS NULL THEN format('currency_unknown: "%s"', left(t.currency, 60)) END,
        CASE WHEN t.cost IS NOT NULL AND m.currency IS NOT NULL AND t.occurred_at IS NOT NULL AND money.rate IS NULL
             THEN format('rate_missing: %s on %s', m.currency, (t.occurred_at AT TIME ZONE 'UTC')::date) END
    ], NULL) AS reasons
FROM (
    SELECT s.row_no, s.payload, nullif(x.external_id, '') AS external_id,
        iaros.load_integer(x.customer_id) AS customer_id, nullif(x.customer_external_id, '') AS customer_external_id,
        coalesce(nullif(x.customer_source, ''), $1) AS customer_source, nullif(x.channel, '') AS channel,
        iaros.load_time(x.occurred_at) AS occurred_at, nullif(x.kind, '') AS kind, nullif(btrim(x.campaign), '') AS campaign,
        iaros.load_integer(x."position") AS "position", nullif(x.stage, '') AS stage,
        iaros.load_number(x.cost) AS cost, nullif(x.currency, '') AS currency
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(external_id text, customer_id text, customer_external_id text, customer_source text, channel text,
             occurred_at text, kind text, campaign text, "position" text, stage text, cost text, currency text)
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
LEFT JOIN iaros.customer c ON c.customer_id = coalesce(t.customer_id, k.customer_id)
LEFT JOIN iaros.channel n ON n.channel = t.channel
LEFT JOIN iaros.currency m ON m.currency::text = coalesce(t.currency, iaros.setting_get('base_currency')) AND m.minor_unit IS NOT NULL
LEFT JOIN LATERAL (
    SELECT r.rate, round(t.cost * r.rate, 8) AS cost_base
    FROM (SELECT CASE WHEN m.currency = iaros.setting_get('base_currency') THEN 1 ELSE (
        SELECT f.rate FROM iaros.fx_rate f
        WHERE f.currency = m.currency AND f.day <= (t.occurred_at AT TIME ZONE 'UTC')::date
          AND f.day >= (t.occurred_at AT TIME ZONE 'UTC')::date - iaros.setting_get('fx_max_age_days')::integer
        ORDER BY f.day DESC LIMIT 1) END AS rate) r
    OFFSET 0) money ON true
$checks$,
$stored$
LEFT JOIN iaros.touchpoint_key w ON w.customer_id = c.customer_id AND w.source = $1 AND w.external_id = t.external_id
-- A key whose touchpoint is gone, say with its partition, still tells its time.
LEFT JOIN LATERAL (
    SELECT q.customer_id IS NULL AS old_gone, CASE WHEN q.customer_id IS NULL
        THEN jsonb_build_object('occurred_at', w.occurred_at) ELSE to_jsonb(q) END AS old_content
    FROM (SELECT w.touchpoint_id OFFSET 0) l
    LEFT JOIN LATERAL (
        SELECT p.* FROM iaros.touchpoint p
        WHERE p.customer_id = w.customer_id AND p.occurred_at = w.occurred_at AND p.touchpoint_id = w.touchpoint_id
        OFFSET 0) q ON true
    WHERE l.touchpoint_id IS NOT NULL) old ON true
$stored$,
'external_id, owner_id, channel, occurred_at, kind, campaign, "position", stage, cost_base',
$writes$
fresh AS MATERIALIZED (
    SELECT nextval('iaros.touchpoint_id_seq') AS touchpoint_id, q.*
    FROM (SELECT * FROM checked WHERE verdict = 'new' ORDER BY owner_id, external_id COLLATE "C") q),
new_key AS (
    INSERT INTO iaros.touchpoint_key (customer_id, source, external_id, touchpoint_id, occurred_at)
    SELECT f.owner_id, $1, f.external_id, f.touchpoint_id, f.occurred_at FROM fresh f),
new_touchpoint AS (
    INSERT INTO iaros.touchpoint (customer_id, touchpoint_id, occurred_at, channel, kind, campaign_id, campaign, "position", stage, cost_base, source)
    SELECT f.owner_id, f.touchpoint_id, f.occurred_at, f.channel, coalesce(f.kind, 'click'), g.campaign_id, f.campaign, f."position", f.stage,
        f.cost_base, $1
    FROM fresh f LEFT JOIN iaros.campaign g ON g.code = f.campaign)
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_touchpoint_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of touchpoint_load(), as SQL for load_rows().';

CREATE FUNCTION @extschema@.load_conversion_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{external_id,customer_id,customer_external_id,customer_source,occurred_at,kind,value,currency}'::text[],
    '{external_id,occurred_at,value}'::text[],
$checks$
SELECT t.*, old.*, c.customer_id AS owner_id, c.customer_id || ' ' || t.external_id AS natural_key, money.value_base,
    jsonb_strip_nulls(jsonb_build_object('occurred_at', t.occurred_at, 'kind', t.kind, 'value_base', money.value_base)) AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.external_id IS NOT NULL, 'external_id', t.payload, true, true),
        iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, k.customer_id, c.customer_id),
        iaros.load_refusal(t.occurred_at IS NOT NULL, 'occurred_at', t.payload, true, true),
        iaros.load_refusal(t.kind ~ '^[a-z][a-z0-9_]{0,40}$', 'kind', t.payload, false, true),
        CASE WHEN t.value < 0 THEN format('value_negative: %s', t.value)
             WHEN t.value >= 1e12 OR money.value_base >= 1e12 THEN format('value_range: %s', t.value)
             ELSE iaros.load_refusal(t.value IS NOT NULL, 'value', t.payload, true, true) END,
        CASE WHEN t.currency IS NOT NULL AND m.currency IS NULL THEN format('currency_unknown: "%s"', left(t.currency, 60)) END,
        CASE WHEN NOT iaros.money_valid(t.value, m.currency::text) THEN format('value_decimals: %s %s', t.value, m.currency) END,
        CASE WHEN m.currency IS NOT NULL AND t.occurred_at IS NOT NULL AND money.rate IS NULL
             THEN format('rate_missing: %s on %s', m.currency, (t.occurred_at AT TIME ZONE 'UTC')::date) END
    ], NULL) AS reasons
FROM (
    SELECT s.row_no, s.payload, nullif(x.external_id, '') AS external_id,
        iaros.load_integer(x.customer_id) AS customer_id, nullif(x.customer_external_id, '') AS customer_external_id,
        coalesce(nullif(x.customer_source, ''), $1) AS customer_source,
        iaros.load_time(x.occurred_at) AS occurred_at, nullif(x.kind, '') AS kind,
        iaros.load_number(x.value) AS value, nullif(x.currency, '') AS currency
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(external_id text, customer_id text, customer_external_id text, customer_source text,
             occurred_at text, kind text, value text, currency text)
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
LEFT JOIN iaros.customer c ON c.customer_id = coalesce(t.customer_id, k.customer_id)
LEFT JOIN iaros.currency m ON m.currency::text = coalesce(t.currency, iaros.setting_get('base_currency')) AND m.minor_unit IS NOT NULL
LEFT JOIN LATERAL (
    SELECT r.rate, iaros.money_round(t.value * r.rate, iaros.setting_get('base_currency')) AS value_base
    FROM (SELECT CASE WHEN m.currency = iaros.setting_get('base_currency') THEN 1 ELSE (
        SELECT f.rate FROM iaros.fx_rate f
        WHERE f.currency = m.currency AND f.day <= (t.occurred_at AT TIME ZONE 'UTC')::date
          AND f.day >= (t.occurred_at AT TIME ZONE 'UTC')::date - iaros.setting_get('fx_max_age_days')::integer
        ORDER BY f.day DESC LIMIT 1) END AS rate) r
    OFFSET 0) money ON true
$checks$,
$stored$
LEFT JOIN LATERAL (
    SELECT to_jsonb(q) AS old_content
    FROM (SELECT v.* FROM iaros.conversion v
          WHERE v.customer_id = c.customer_id AND v.source = $1 AND v.external_id = t.external_id
          OFFSET 0) q) old ON true
$stored$,
'external_id, owner_id, occurred_at, kind, value_base',
$writes$
new_conversion AS (
    INSERT INTO iaros.conversion (customer_id, occurred_at, kind, value_base, source, external_id)
    SELECT f.owner_id, f.occurred_at, coalesce(f.kind, 'booking'), f.value_base, $1, f.external_id
    FROM checked f WHERE f.verdict = 'new' ORDER BY f.owner_id, f.external_id COLLATE "C")
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_conversion_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of conversion_load(), as SQL for load_rows().';

CREATE FUNCTION @extschema@.touchpoint_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('touchpoint', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.touchpoint_load(text, text) IS
'Loads touchpoints of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: external_id, channel, occurred_at, and the customer as customer_id or customer_external_id (with customer_source, when it is another source). Others: kind (impression, open, click, visit; click by default), campaign (its code or name; campaign_id is filled where it is the code of one of ours), position (place of the link or advertisement, from 1), stage (lead, opportunity), cost, which becomes cost_base at the rate of the day (UTC), rounded to 8 decimals (an impression costs fractions of a cent; divide what a network states in micros by a million), currency (the base currency by default); and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. Touchpoints may come late and in any order. A row whose key is stored already is a duplicate when it states nothing else, and refused as conflict when it does. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.conversion_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('conversion', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.conversion_load(text, text) IS
'Loads conversions of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: external_id, occurred_at, value, and the customer as customer_id or customer_external_id (with customer_source, when it is another source). Others: kind (booking by default), currency of value (the base currency by default), which becomes value_base at the rate of the day (UTC); and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. A row whose key is stored already is a duplicate when it states nothing else, and refused as conflict when it does. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.customer_install_touch()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.touchpoint_rule (
        rule text PRIMARY KEY CHECK (rule ~ '^[a-z][a-z0-9_]{0,40}$'),
        rank integer NOT NULL,
        event_kinds text[] NOT NULL DEFAULT '{page_view}',
        source_pattern text CHECK (('' ~ coalesce(source_pattern, '')) IS NOT NULL),
        medium_pattern text CHECK (('' ~ coalesce(medium_pattern, '')) IS NOT NULL),
        click_pattern text CHECK (('' ~ coalesce(click_pattern, '')) IS NOT NULL),
        host_pattern text CHECK (('' ~ coalesce(host_pattern, '')) IS NOT NULL),
        channel text REFERENCES iaros.channel,
        kind text NOT NULL DEFAULT 'visit' CHECK (kind IN ('impression', 'open', 'click', 'visit')),
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.touchpoint_rule IS
        'Which touchpoint an event makes by which somebody came to us: the enabled rule of lowest rank whose patterns all match what touchpoint_entrance() says (regular expressions; NULL matches everything; a source, medium or click that is not there is empty, while host_pattern asks for a referrer, which is empty on a direct visit). Add your own.';
    COMMENT ON COLUMN iaros.touchpoint_rule.channel IS 'NULL: such an event makes no touchpoint.';
    INSERT INTO iaros.touchpoint_rule (rule, rank, source_pattern, medium_pattern, click_pattern, host_pattern, channel, kind, shipped_hash) VALUES
        ('email', 10, NULL, '^(e-?mail|newsletter)$', NULL, NULL, 'email', 'click', 'new'),
        ('sms', 20, NULL, '^(sms|text)$', NULL, NULL, 'sms', 'click', 'new'),
        ('push', 30, NULL, '^(web[_ -]?|mobile[_ -]?)?(push|notification)$', NULL, NULL, 'push', 'click', 'new'),
        ('affiliate', 40, NULL, '^affiliates?$', NULL, NULL, 'affiliate', 'click', 'new'),
        ('affiliate_click', 50, NULL, NULL, '^irclickid$', NULL, 'affiliate', 'click', 'new'),
        ('metasearch', 60, NULL, '^(meta|meta[_ -]?search|(price[_ -]?)?comparison)$', NULL, NULL, 'metasearch', 'click', 'new'),
        ('display', 70, NULL, '^(display|banner|cpm|interstitial|programmatic|video)$', NULL, NULL, 'display', 'click', 'new'),
        ('paid_social', 80, NULL, '^(paid[_ -]?social|social[_ -]?(paid|ads?))$', NULL, NULL, 'paid_social', 'click', 'new'),
        ('paid_social_site', 90, '^(facebook|fb|instagram|ig|meta|tiktok|linkedin|pinterest|snapchat|twitter|x|reddit)([.]com)?$', '^(cpc|ppc|cpa|paid.*|ads?)$', NULL, NULL, 'paid_social', 'click', 'new'),
        ('paid_search', 100, NULL, '^(cpc|ppc|cpa|sem|paid|paid[_ -]?search|ads?)$', NULL, NULL, 'paid_search', 'click', 'new'),
        ('paid_search_click', 110, NULL, '^$', '^(gclid|gbraid|wbraid|msclkid)$', NULL, 'paid_search', 'click', 'new'),
        ('social', 120, NULL, '^(social|social[_ -]?(media|network)|sm)$', NULL, NULL, 'social', 'visit', 'new'),
        ('social_click', 130, NULL, '^$', '^(fbclid|ttclid|li_fat_id)$', NULL, 'social', 'visit', 'new'),
        ('organic_search', 140, NULL, '^organic([_ -]?search)?$', NULL, NULL, 'organic_search', 'visit', 'new'),
        ('metasearch_site', 150, NULL, '^$', NULL, '(^|[.])(kayak|skyscanner|momondo|trivago|cheapflights|jetcost|liligo|wego)[.][a-z.]+$', 'metasearch', 'click', 'new'),
        ('social_site', 160, NULL, '^$', NULL, '(^|[.])(facebook|instagram|tiktok|linkedin|lnkd|pinterest|snapchat|twitter|t|x|reddit|youtube|youtu|threads|vk|weibo)[.](com|co|net|in|be)$', 'social', 'visit', 'new'),
        ('search_site', 170, NULL, '^$', NULL, '^(([a-z0-9-]+[.])*search[.]|(m|cn|images|html|lite|start)[.])?(google|bing|yahoo|duckduckgo|baidu|yandex|ecosia|startpage|qwant|naver|seznam)[.](com?[.])?[a-z]{2,3}$|^com[.]google[.]android[.]googlequicksearchbox$', 'organic_search', 'visit', 'new'),
        ('direct', 180, '^$', '^$', '^$', '^$', 'direct', 'visit', 'new'),
        ('referral', 1000, NULL, NULL, NULL, NULL, 'referral', 'visit', 'new');
    PERFORM iaros.shipped_seal('iaros.touchpoint_rule');
    PERFORM iaros.setting_define('web_own_hosts', 'text', '',
        'Hosts of your own web sites, separated by commas (www., port and case do not matter): coming from one of them is no entrance.');
    PERFORM iaros.setting_define('conversion_from_booking', 'boolean', 'false',
        'Whether each booking that counts is a conversion of kind booking by itself.');

    CREATE FUNCTION iaros.touchpoint_event_follow()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        came record;
    BEGIN
        SELECT array_agg(DISTINCT n.customer_id) AS ids, min(n.occurred_at) AS first_at, max(n.occurred_at) AS last_at INTO came
        FROM new_rows n
        WHERE n.properties ?| '{utm_source,utm_medium,utm_campaign,gclid,gbraid,wbraid,msclkid,fbclid,ttclid,li_fat_id,irclickid,referrer}'::text[];
        IF came.ids IS NOT NULL THEN
            PERFORM iaros.touchpoint_apply(came.first_at, came.last_at + interval '1 microsecond', came.ids);
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.touchpoint_event_follow() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.touchpoint_event_follow() IS
        'Statement trigger: makes touchpoints of new events by which somebody came to us, see touchpoint_apply(). SECURITY DEFINER, so that who records events needs no right on touchpoints.';
    CREATE TRIGGER touchpoint_event_insert AFTER INSERT ON iaros.event
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.touchpoint_event_follow();

    CREATE FUNCTION iaros.conversion_booking_follow()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF iaros.setting_get('conversion_from_booking')::boolean AND EXISTS (SELECT FROM new_rows) THEN
            PERFORM iaros.conversion_apply((SELECT array_agg(DISTINCT n.customer_id) FROM new_rows n));
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.conversion_booking_follow() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.conversion_booking_follow() IS
        'Statement trigger: where setting conversion_from_booking is on, brings the conversions of the customers of new and changed bookings to what these say, see conversion_apply(). SECURITY DEFINER, so that who records bookings needs no right on conversions.';
    CREATE TRIGGER conversion_booking_insert AFTER INSERT ON iaros.booking
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.conversion_booking_follow();
    CREATE TRIGGER conversion_booking_update AFTER UPDATE ON iaros.booking
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.conversion_booking_follow();
END $install$;
COMMENT ON PROCEDURE @extschema@.customer_install_touch() IS
'Makes the rules and triggers by which touchpoints come out of events and conversions out of bookings. Called by customer_install().';
