-- segment, update: who is in each segment, kept by what changed, by what
-- time does, and whole; who entered and left, and why.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_evaluate(
    rules @extschema@.segment_rule[],
    as_of timestamptz,
    customer_ids bigint[])
    RETURNS @extschema@.audience[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET random_page_cost = 1.1
    AS $$
DECLARE
    found iaros.audience[];
BEGIN
    PERFORM iaros.install_check();
    IF cardinality(rules) = 0 THEN
        RETURN '{}';
    END IF;
    WITH scanned AS MATERIALIZED (
        SELECT x.rule, x.due_at, x.members
        FROM iaros.segment_scan(rules, iaros.segment_source_sql(rules, as_of, customer_ids), 'customer_id', as_of,
            iaros.setting_get('brand_time_zone'), true) x),
    kept AS (
        INSERT INTO iaros.segment_due AS d (due_at, members)
        SELECT s.due_at, s.members FROM scanned s WHERE s.rule IS NULL
        ON CONFLICT (due_at) DO UPDATE SET members = d.members OPERATOR(iaros.|) excluded.members)
    SELECT array_agg(s.members ORDER BY s.rule) INTO found FROM scanned s WHERE s.rule IS NOT NULL;
    RETURN found;
END $$;
COMMENT ON FUNCTION @extschema@.segment_evaluate(@extschema@.segment_rule[], timestamptz, bigint[]) IS
'Returns for each rule, as it is run, the audience for which it holds as of a time, among customer_ids or among all when that is NULL, and notes in segment_due when each customer has to be looked at again. One scan. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_ids_moved(before_ids bigint[], after_ids bigint[])
    RETURNS TABLE (segment_id bigint, entered boolean)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4
    -- No SET clause, since it would keep the function from being inlined.
    AS $$
    SELECT u.id, true FROM pg_catalog.unnest($2) AS u(id) WHERE u.id OPERATOR(pg_catalog.<>) ALL ($1)
    UNION ALL
    SELECT u.id, false FROM pg_catalog.unnest($1) AS u(id) WHERE u.id OPERATOR(pg_catalog.<>) ALL ($2)
    $$;
COMMENT ON FUNCTION @extschema@.segment_ids_moved(bigint[], bigint[]) IS
'Returns the segments that a customer entered and left, from those before and those after. NULL is no segment. Linear in the product of both.';

CREATE FUNCTION @extschema@.segment_write(
    candidates @extschema@.audience,
    managed bigint[],
    audiences @extschema@.audience[],
    as_of timestamptz,
    noted @extschema@.audience,
    ruled bigint[])
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    -- Rows are asked for in the order in which they mostly lie.
    SET random_page_cost = 1.1
    AS $$
DECLARE
    ids bigint[];
    narrow iaros.audience[];
    lacking bigint[];
    changed bigint;
BEGIN
    PERFORM iaros.install_check();
    -- Who differs, as far as can be seen without a lock.
    ids := ARRAY(SELECT iaros.audience_ids(candidates));
    narrow := ARRAY(
        SELECT a.members OPERATOR(iaros.&) candidates
        FROM unnest(audiences) WITH ORDINALITY AS a(members, n) ORDER BY a.n);
    SELECT array_agg(c.id ORDER BY c.id), array_agg(c.id ORDER BY c.id) FILTER (WHERE m.customer_id IS NULL) INTO ids, lacking
    FROM unnest(ids) AS c(id)
    LEFT JOIN iaros.audience_transpose(managed, narrow) t ON t.customer_id = c.id
    LEFT JOIN (SELECT * FROM iaros.segment_membership x WHERE x.customer_id = ANY (ids)) m ON m.customer_id = c.id
    WHERE iaros.segment_ids_merge(coalesce(m.segment_ids, '{}'), managed, coalesce(t.segment_ids, '{}'))
        <> coalesce(m.segment_ids, '{}');
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    IF lacking IS NOT NULL THEN
        -- Customers who are being deleted are gone after this.
        PERFORM FROM iaros.customer c WHERE c.customer_id = ANY (lacking) ORDER BY c.customer_id FOR KEY SHARE;
        INSERT INTO iaros.segment_membership (customer_id)
        SELECT c.customer_id FROM iaros.customer c WHERE c.customer_id = ANY (lacking) ORDER BY c.customer_id
        ON CONFLICT DO NOTHING;
    END IF;
    -- A deletion of one who is locked now waits before it takes the row, and
    -- after that the events, along.
    PERFORM FROM iaros.segment_membership m WHERE m.customer_id = ANY (ids) ORDER BY m.customer_id FOR UPDATE;
    WITH target AS MATERIALIZED (
        SELECT m.customer_id, m.segment_ids AS before_ids,
            iaros.segment_ids_merge(m.segment_ids, managed, coalesce(t.segment_ids, '{}')) AS after_ids
        FROM iaros.segment_membership m
        LEFT JOIN iaros.audience_transpose(managed, narrow) t ON t.customer_id = m.customer_id
        WHERE m.customer_id = ANY (ids)
          -- Who changed after the log was taken was not seen as is now.
          AND m.customer_id NOT IN (SELECT l.customer_id FROM iaros.segment_change l WHERE l.customer_id IS NOT NULL)),
    skipped AS (
        INSERT INTO iaros.segment_change (customer_id, moved)
        SELECT DISTINCT l.customer_id, true FROM iaros.segment_change l WHERE l.customer_id = ANY (ids)),
    written AS (
        UPDATE iaros.segment_membership m
        SET segment_ids = w.after_ids, updated_at = now()
        FROM target w WHERE m.customer_id = w.customer_id AND w.after_ids <> w.before_ids
        RETURNING m.customer_id),
    told AS (
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered, reason)
        SELECT w.customer_id, segment_write.as_of, i.id, i.entered,
            CASE WHEN i.id = ANY (ruled) THEN 'rule'
                 WHEN iaros.audience_contains(noted, w.customer_id) THEN 'data' ELSE 'time' END::iaros.segment_reason
        FROM target w
        CROSS JOIN LATERAL iaros.segment_ids_moved(w.before_ids, w.after_ids) AS i(id, entered)
        WHERE w.after_ids <> w.before_ids
        ORDER BY w.customer_id, i.id)
    SELECT count(*) INTO changed FROM written;
    RETURN changed;
END $$;
COMMENT ON FUNCTION @extschema@.segment_write(@extschema@.audience, bigint[], @extschema@.audience[], timestamptz, @extschema@.audience, bigint[]) IS
'Brings segment_membership of the candidates to what the audiences of the managed segments say, notes who entered or left in segment_event, and returns for how many customers something changed. Rows are locked in order of customer_id, then compared again. noted: whose data changed; ruled: segments whose rule changed; both are the reasons that are noted. Customers in segment_change are left for the next run, since they changed after they were computed. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_cut_freeze(as_of timestamptz, whole boolean)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    facts text[];
    definitions jsonb[];
    cuts jsonb[];
BEGIN
    PERFORM iaros.install_check();
    -- Not for nothing: it makes every backend read the rules anew.
    IF EXISTS (SELECT FROM iaros.segment_cut u WHERE NOT EXISTS (SELECT FROM iaros.segment_fact f WHERE f.fact = u.fact)) THEN
        DELETE FROM iaros.segment_cut u
        WHERE NOT EXISTS (SELECT FROM iaros.segment_fact f WHERE f.fact = u.fact);
    END IF;
    SELECT array_agg(f.fact ORDER BY f.fact), array_agg(f.definition ORDER BY f.fact) INTO facts, definitions
    FROM (SELECT DISTINCT f.fact, f.definition FROM iaros.segment_fact f
          JOIN iaros.segment s ON s.segment_id = f.segment_id AND s.enabled
          JOIN iaros.segment_field d ON d.field = f.definition ->> 'field'
          WHERE f.kind IN ('top', 'bottom')) f
    LEFT JOIN iaros.segment_cut u ON u.fact = f.fact
    WHERE whole OR u.fact IS NULL OR u.as_of > segment_cut_freeze.as_of
       OR u.as_of <= segment_cut_freeze.as_of - iaros.setting_get('segment_cut_hours')::integer * interval '1 hour';
    IF facts IS NULL THEN
        RETURN 0;
    END IF;
    -- By itself, since the planner would call it once more.
    cuts := iaros.segment_cut_compute(definitions, as_of);
    INSERT INTO iaros.segment_cut AS u (fact, cut, as_of)
    SELECT f.fact, f.cut, segment_cut_freeze.as_of
    FROM unnest(facts, cuts) AS f(fact, cut)
    ON CONFLICT (fact) DO UPDATE SET cut = excluded.cut, as_of = excluded.as_of;
    RETURN cardinality(facts);
END $$;
COMMENT ON FUNCTION @extschema@.segment_cut_freeze(timestamptz, boolean) IS
'Freezes the cut points of TOP and BOTTOM conditions of segments that were never frozen, or longer than segment_cut_hours ago, or all when whole, and returns how many. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_changes_take(
    as_of timestamptz,
    OUT anybody boolean,
    OUT noted @extschema@.audience,
    OUT moved @extschema@.audience,
    OUT due @extschema@.audience)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    WITH taken AS (
        DELETE FROM iaros.segment_change l RETURNING l.customer_id, l.moved)
    SELECT coalesce(bool_or(t.customer_id IS NULL), false), coalesce(iaros.audience_agg(x.id), '{}'),
        coalesce(iaros.audience_agg(x.id) FILTER (WHERE t.moved), '{}')
    INTO anybody, noted, moved
    FROM taken t
    LEFT JOIN iaros.customer_alias a ON a.customer_id = t.customer_id
    CROSS JOIN LATERAL (VALUES (t.customer_id), (a.master_id)) AS x(id);
    WITH taken AS (
        DELETE FROM iaros.segment_due d WHERE d.due_at <= as_of RETURNING d.members)
    SELECT coalesce(iaros.audience_merge(t.members), '{}') INTO due FROM taken t;
END $$;
COMMENT ON FUNCTION @extschema@.segment_changes_take(timestamptz) IS
'Takes what segment_change and, up to as_of, segment_due hold, and returns it: customers, and their masters, whose data changed; those of them whose membership was written, or left, without their audiences; those whose time has come; whether anybody may have changed. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_audience_store(
    ids bigint[],
    meanings text[],
    audiences @extschema@.audience[],
    as_of timestamptz)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    INSERT INTO iaros.segment_audience AS a (segment_id, meaning, as_of, members, customers)
    SELECT u.id, u.meaning, segment_audience_store.as_of, u.members, iaros.audience_count(u.members)
    FROM unnest(ids, meanings, audiences) AS u(id, meaning, members)
    ON CONFLICT (segment_id) DO UPDATE SET meaning = excluded.meaning, as_of = excluded.as_of, customers = excluded.customers,
        members = CASE WHEN a.members OPERATOR(iaros.=) excluded.members THEN a.members ELSE excluded.members END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_audience_store(bigint[], text[], @extschema@.audience[], timestamptz) IS
'Stores the audiences of segments as they are correct as of a time; the bytes of one that did not change stay. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_refresh_static(changed @extschema@.audience, whole boolean, as_of timestamptz)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
    audiences iaros.audience[];
    everyone iaros.audience;
BEGIN
    PERFORM iaros.install_check();
    -- Persons, who may be in it under their aliases.
    SELECT changed OPERATOR(iaros.|) coalesce(iaros.audience_agg(l.customer_id), '{}') INTO everyone
    FROM iaros.customer_alias l WHERE iaros.audience_contains(changed, l.master_id);
    SELECT array_agg(s.segment_id ORDER BY s.segment_id), array_agg(
        CASE WHEN whole OR a.members IS NULL THEN coalesce((
                SELECT iaros.audience_agg(coalesce(l.master_id, m.customer_id)) FROM iaros.segment_membership m
                LEFT JOIN iaros.customer_alias l ON l.customer_id = m.customer_id
                WHERE m.segment_ids @> ARRAY[s.segment_id]), '{}')
            ELSE a.members OPERATOR(iaros.-) everyone OPERATOR(iaros.|) coalesce(k.members, '{}') END
        ORDER BY s.segment_id)
    INTO ids, audiences
    FROM iaros.segment s
    LEFT JOIN iaros.segment_audience a ON a.segment_id = s.segment_id
    LEFT JOIN (
        SELECT i.id, iaros.audience_agg(coalesce(l.master_id, m.customer_id)) AS members
        FROM iaros.segment_membership m
        LEFT JOIN iaros.customer_alias l ON l.customer_id = m.customer_id
        CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
        WHERE m.customer_id = ANY (ARRAY(SELECT iaros.audience_ids(everyone)))
        GROUP BY i.id) k ON k.id = s.segment_id
    WHERE s.kind = 'static';
    PERFORM iaros.segment_audience_store(ids, NULL, audiences, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.segment_refresh_static(@extschema@.audience, boolean, timestamptz) IS
'Brings the audiences of static segments to what segment_membership says of the customers who changed, or of all. For segment_refresh().';

CREATE FUNCTION @extschema@.segment_refresh_run(as_of timestamptz, latest boolean, whole boolean, checked boolean)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_variable
DECLARE
    taken record;
    all_anew boolean := whole;
    changed iaros.audience;
    ids bigint[];
    rules iaros.segment_rule[];
    meanings text[];
    anew boolean[];
    ruled bigint[];
    fresh iaros.audience[];
    part iaros.audience[];
    before iaros.audience[];
    after iaros.audience[];
    candidates iaros.audience;
    moved bigint;
    broken jsonb;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.segment_cut_freeze(as_of, whole);
    IF whole OR NOT EXISTS (SELECT FROM iaros.segment_sample t WHERE t.as_of <= as_of
            AND t.as_of > as_of - iaros.setting_get('segment_cut_hours')::integer * interval '1 hour')
    THEN
        PERFORM iaros.segment_sample_take(as_of);
    END IF;
    SELECT t.* INTO taken FROM iaros.segment_changes_take(as_of) t;
    -- What happens from here on is left for the next run, so none of it may
    -- be later than the time of this one.
    IF latest THEN
        as_of := clock_timestamp();
    END IF;
    changed := taken.noted OPERATOR(iaros.|) taken.due;
    all_anew := all_anew OR taken.anybody
        OR as_of < (SELECT max(a.as_of) FROM iaros.segment_audience a)
        -- By index, so many take longer than all of them in one scan.
        OR iaros.audience_count(changed) * 5 > (
            SELECT CASE WHEN c.reltuples > 0 THEN c.reltuples ELSE (SELECT count(*) FROM iaros.profile_stored p) END
            FROM pg_class c WHERE c.oid = 'iaros.profile_stored'::regclass);
    -- Nobody deletes a segment while it is filled.
    PERFORM FROM iaros.segment s ORDER BY s.segment_id FOR KEY SHARE;
    -- Segments that are switched off have no rule, and nobody. One whose
    -- rule is broken is not managed: its customers stay.
    SELECT array_agg(x.segment_id ORDER BY x.segment_id) FILTER (WHERE x.error IS NULL),
        array_agg(x.rule ORDER BY x.segment_id) FILTER (WHERE x.error IS NULL),
        array_agg(x.meaning ORDER BY x.segment_id) FILTER (WHERE x.error IS NULL),
        array_agg(x.rule IS NOT NULL AND (all_anew OR x.differs OR x.moved) ORDER BY x.segment_id) FILTER (WHERE x.error IS NULL),
        coalesce(array_agg(x.segment_id) FILTER (WHERE x.error IS NULL AND x.differs), '{}'),
        array_agg(x.members ORDER BY x.segment_id) FILTER (WHERE x.error IS NULL),
        jsonb_object_agg(x.name, x.error) FILTER (WHERE x.error IS NOT NULL)
    INTO ids, rules, meanings, anew, ruled, before, broken
    FROM (
        SELECT s.segment_id, s.name, k.rule, k.meaning, k.error, a.meaning IS DISTINCT FROM k.meaning AS differs,
            k.moving = 'always' OR k.moving = 'daily' AND date_trunc('day', as_of, 'UTC') > a.as_of AS moved,
            coalesce(a.members, (SELECT iaros.audience_agg(m.customer_id) FROM iaros.segment_membership m
                                 WHERE m.segment_ids @> ARRAY[s.segment_id]), '{}') AS members
        FROM iaros.segment s
        LEFT JOIN iaros.segment_compile(checked, as_of) k ON k.segment_id = s.segment_id
        LEFT JOIN iaros.segment_audience a ON a.segment_id = s.segment_id
        WHERE s.kind = 'dynamic') x;
    PERFORM iaros.alert_raise('segment_rule', 'error', b.key, format('the rule of segment "%s" cannot be computed: %s', b.key, b.value))
    FROM jsonb_each_text(broken) AS b ORDER BY b.key;
    -- What changes until they can be computed again is not remembered.
    UPDATE iaros.segment_audience a SET meaning = NULL
    WHERE a.meaning IS NOT NULL AND a.segment_id <> ALL (ids)
      AND a.segment_id IN (SELECT s.segment_id FROM iaros.segment s WHERE s.kind = 'dynamic');
    IF all_anew THEN
        DELETE FROM iaros.segment_due d;
    END IF;
    fresh := iaros.segment_evaluate(ARRAY(SELECT rules[n] FROM generate_subscripts(ids, 1) AS n WHERE anew[n] ORDER BY n), as_of, NULL);
    part := iaros.segment_evaluate(ARRAY(SELECT rules[n] FROM generate_subscripts(ids, 1) AS n
            WHERE NOT anew[n] AND rules[n] IS NOT NULL AND iaros.audience_count(changed) > 0 ORDER BY n),
        as_of, ARRAY(SELECT iaros.audience_ids(changed)));
    SELECT array_agg(x.after ORDER BY x.n), coalesce(iaros.audience_merge(x.differs), '{}') INTO after, candidates
    FROM (
        SELECT y.n, y.after, before[y.n] OPERATOR(iaros.#) y.after AS differs
        FROM (
            SELECT n, CASE WHEN rules[n] IS NULL THEN '{}'
                WHEN anew[n] THEN fresh[count(*) FILTER (WHERE anew[n]) OVER upto]
                WHEN part = '{}' THEN before[n]
                ELSE before[n] OPERATOR(iaros.-) changed OPERATOR(iaros.|)
                    part[count(*) FILTER (WHERE NOT anew[n] AND rules[n] IS NOT NULL) OVER upto] END AS after
            FROM generate_subscripts(ids, 1) AS n
            WINDOW upto AS (ORDER BY n)) y) x;
    moved := iaros.segment_write(candidates OPERATOR(iaros.|) taken.moved, ids, after, as_of, taken.noted, ruled);
    PERFORM iaros.segment_audience_store(ids, meanings, after, as_of);
    PERFORM iaros.segment_refresh_static(changed, all_anew, as_of);
    RETURN moved;
END $$;
COMMENT ON FUNCTION @extschema@.segment_refresh_run(timestamptz, boolean, boolean, boolean) IS
'The work of segment_refresh(). latest: as_of moves on to the moment at which the log of changes was taken. checked: fields whose expressions fail are looked for first, and segments that ask for them left as they are.';

CREATE FUNCTION @extschema@.segment_refresh(as_of timestamptz DEFAULT now(), whole boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    until timestamptz := as_of;
    latest boolean := as_of IS NULL OR as_of = now();
BEGIN
    PERFORM iaros.install_check();
    -- One refresh at a time: the next one starts from what this one wrote.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.segment_refresh', 0));
    IF latest THEN
        until := clock_timestamp();
    END IF;
    PERFORM iaros.segment_time_check(until);
    BEGIN
        RETURN iaros.segment_refresh_run(until, latest, coalesce(whole, false), false);
    EXCEPTION WHEN OTHERS THEN
        -- A field whose expression fails: found and left out.
        IF iaros.segment_error_stops(SQLSTATE) THEN
            RAISE;
        END IF;
        RETURN iaros.segment_refresh_run(until, latest, coalesce(whole, false), true);
    END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_refresh(timestamptz, boolean) IS
'Brings all dynamic segments to what their rules say as of a time (NULL or now(): the moment at which no other refresh runs any more), writes segment_membership, segment_audience and a row of segment_event for each customer that entered or left, and returns for how many customers something changed. Computed are the customers whose data changed since the last refresh, by segment_change, and those whose time has come, by segment_due; for all customers, in one scan, the segments that are new, whose rule or cut point changed, or that ask for a field that is moving (always, or daily and this is the first refresh of a day of UTC); everything when whole is true, as_of is before that of the last refresh, or more than a fifth of the customers changed. Customers leave a segment that is no longer enabled; those of a segment whose rule fails stay, and an alert (kind segment_rule) is raised. Static segments only get their audience. One refresh at a time; bookings and segment_apply() go on beside it. Error: 22008 as_of before 1900 or after 2199.';

CREATE FUNCTION @extschema@.segment_apply(
    customer_ids bigint[],
    as_of timestamptz DEFAULT now(),
    realtime_only boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    until timestamptz := as_of;
    persons bigint[];
    changed bigint;
BEGIN
    PERFORM iaros.install_check();
    persons := ARRAY(
        SELECT c.customer_id FROM iaros.customer c
        WHERE c.customer_id = ANY (customer_ids || ARRAY(
            SELECT a.master_id FROM iaros.customer_alias a WHERE a.customer_id = ANY (customer_ids)))
        ORDER BY c.customer_id);
    -- Others who compute the same customers wait here, and see what is
    -- written below.
    FOR attempt IN 1 .. 2 LOOP
        PERFORM FROM iaros.segment_membership m WHERE m.customer_id = ANY (persons) ORDER BY m.customer_id FOR UPDATE;
        GET DIAGNOSTICS changed = ROW_COUNT;
        EXIT WHEN attempt = 2 OR changed = cardinality(persons);
        INSERT INTO iaros.segment_membership (customer_id)
        SELECT c.customer_id FROM iaros.customer c
        WHERE c.customer_id = ANY (persons)
          AND NOT EXISTS (SELECT FROM iaros.segment_membership m WHERE m.customer_id = c.customer_id)
        ORDER BY c.customer_id
        ON CONFLICT DO NOTHING;
    END LOOP;
    IF until IS NULL OR until = now() THEN
        until := clock_timestamp();
    END IF;
    PERFORM iaros.segment_time_check(until);
    FOR attempt IN 0 .. 2 LOOP
        BEGIN
            WITH target AS MATERIALIZED (
                SELECT m.customer_id, m.segment_ids AS before_ids, iaros.segment_ids_merge(m.segment_ids, l.asked, l.held) AS after_ids
                FROM iaros.segment_live(persons, until, coalesce(realtime_only, false), attempt) l
                JOIN iaros.segment_membership m ON m.customer_id = l.customer_id),
            written AS (
                UPDATE iaros.segment_membership m
                SET segment_ids = w.after_ids, updated_at = now()
                FROM target w WHERE m.customer_id = w.customer_id AND w.after_ids <> w.before_ids
                RETURNING m.customer_id),
            told AS (
                INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered, reason)
                SELECT w.customer_id, until, i.id, i.entered, 'data'
                FROM target w
                CROSS JOIN LATERAL iaros.segment_ids_moved(w.before_ids, w.after_ids) AS i(id, entered)
                WHERE w.after_ids <> w.before_ids
                ORDER BY w.customer_id, i.id),
            -- The next refresh brings the audiences along.
            logged AS (
                INSERT INTO iaros.segment_change (customer_id, moved) SELECT w.customer_id, true FROM written w)
            SELECT count(*) INTO changed FROM written;
            RETURN changed;
        EXCEPTION WHEN OTHERS THEN
            -- A field whose expression fails is left out by the next attempt.
            IF attempt = 2 OR iaros.segment_error_stops(SQLSTATE) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.segment_apply(bigint[], timestamptz, boolean) IS
'Brings the dynamic segments of some customers up to date at once, as segment_refresh() would: ids that are aliases count for their master, ids of nobody are passed over, a NULL array is none. NULL or now() as time: the moment at which no other call for these customers runs any more. realtime_only: only segments that are marked so. Returns for how many customers something changed. Calls for different customers, bookings and refreshes run beside each other. Error: 22008 as_of before 1900 or after 2199. A few profiles.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, format('segment %s', s.name),
            format('its rule cannot be computed: %s', k.error),
            'Change the rule, or bring the field back; its customers stay as they are until then.'
        FROM iaros.segment_compile(true) k
        JOIN iaros.segment s ON s.segment_id = k.segment_id
        WHERE k.error IS NOT NULL ORDER BY s.segment_id;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('segment %s', l.name),
            coalesce('it is correct as of ' || l.correct_as_of || ' only', 'it was never refreshed'),
            'Look at job iaros-segments, or run SELECT iaros.segment_refresh().'
        FROM iaros.segment_late l WHERE l.error IS NULL ORDER BY l.segment_id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_doctor() IS
'Findings of doctor() about segments: rules that cannot be computed any more, segments that were not refreshed for longer than segment_late_minutes.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.segment_install_refresh()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
DECLARE
    t record;
BEGIN
    PERFORM iaros.setting_define('segment_cut_hours', 'integer', '24',
        'For how many hours the cut points of TOP and BOTTOM conditions are kept before segment_refresh() freezes them anew.');
    PERFORM iaros.setting_define('segment_late_minutes', 'integer', '60',
        'After how many minutes without refresh a segment is late: see view segment_late.');

    CREATE TABLE iaros.segment_cut (
        fact text PRIMARY KEY,
        cut jsonb NOT NULL,
        as_of timestamptz NOT NULL
    );
    COMMENT ON TABLE iaros.segment_cut IS
        'The points above or below which TOP and BOTTOM conditions of segments hold, as segment_refresh() froze them as of a time; JSON null: no customer had a value.';

    CREATE TABLE iaros.segment_sample (
        field text PRIMARY KEY,
        type text NOT NULL,
        sample text NOT NULL,
        sampled integer NOT NULL,
        population bigint NOT NULL,
        as_of timestamptz NOT NULL
    );
    COMMENT ON TABLE iaros.segment_sample IS
        'The values of each field of the same sampled customers, as an array in text form, for audience_estimate(). Written by segment_refresh().';

    CREATE TABLE iaros.segment_audience (
        segment_id bigint PRIMARY KEY REFERENCES iaros.segment ON DELETE CASCADE,
        meaning text,
        as_of timestamptz NOT NULL,
        members iaros.audience NOT NULL,
        customers bigint NOT NULL
    );
    COMMENT ON TABLE iaros.segment_audience IS
        'Who was in each segment, correct as of a time. Written by segment_refresh().';
    COMMENT ON COLUMN iaros.segment_audience.meaning IS 'Of the rule as it was run, see segment_compile(); NULL: a static segment, or one that is not enabled or could not be computed since.';

    CREATE TABLE iaros.segment_change (
        customer_id bigint,
        moved boolean NOT NULL DEFAULT false
    );
    COMMENT ON TABLE iaros.segment_change IS
        'Log of customers something about whom changed since the last segment_refresh(), as often as it did; NULL: anybody may have changed. Written by triggers (segment_note()), taken by segment_refresh().';
    COMMENT ON COLUMN iaros.segment_change.moved IS 'The membership was written, or could not be, and the audiences do not say so.';

    CREATE TABLE iaros.segment_due (
        due_at timestamptz PRIMARY KEY,
        members iaros.audience NOT NULL
    );
    COMMENT ON TABLE iaros.segment_due IS
        'The customers who may enter or leave a segment from a time on though nothing happens, since time passes. Written and taken by segment_refresh().';

    CREATE VIEW iaros.segment_late AS
        SELECT s.segment_id, s.name, a.as_of AS correct_as_of, now() - a.as_of AS late_by, k.error
        FROM iaros.segment s
        LEFT JOIN iaros.segment_compile() k ON k.segment_id = s.segment_id
        LEFT JOIN iaros.segment_audience a ON a.segment_id = s.segment_id
        WHERE s.kind = 'dynamic' AND s.enabled
          AND (k.error IS NOT NULL OR a.as_of IS NULL
               OR a.as_of < now() - iaros.setting_get('segment_late_minutes')::integer * interval '1 minute');
    COMMENT ON VIEW iaros.segment_late IS
        'Enabled dynamic segments that were never refreshed (correct_as_of NULL) or longer than segment_late_minutes ago, or whose rule has an error.';

    CREATE FUNCTION iaros.segment_apply_realtime(customer_ids bigint[])
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        RETURN iaros.segment_apply(customer_ids, NULL, true);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.segment_apply_realtime(bigint[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.segment_apply_realtime(bigint[]) IS
        'Gate: segment_apply() for segments that are marked real-time. Called by trigger segment_note(). SECURITY DEFINER, so that who records bookings needs no right on segments.';

    CREATE FUNCTION iaros.segment_customer_gone()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        -- Who writes such rows holds the customer, so none comes after this.
        IF TG_OP = 'DELETE' THEN
            DELETE FROM iaros.segment_event e USING old_rows o WHERE e.customer_id = o.customer_id;
        ELSE
            DELETE FROM iaros.segment_event;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.segment_customer_gone() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.segment_customer_gone() IS
        'Statement trigger: deletes rows of segment_event of customers that are deleted. SECURITY DEFINER, so that who deletes a customer needs no right on that table.';
    CREATE TRIGGER segment_customer_delete AFTER DELETE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_customer_gone();
    CREATE TRIGGER segment_customer_truncate AFTER TRUNCATE ON iaros.customer
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_customer_gone();

    FOR t IN
        SELECT r.relation, r.columns FROM (VALUES
            ('customer', '''customer_id'''), ('customer_alias', '''customer_id'', ''master_id'''),
            ('customer_trait', '''customer_id'''), ('booking', '''customer_id'''), ('booking_item', '''customer_id'''),
            ('event', '''customer_id'''), ('touchpoint', '''customer_id'''), ('consent', '''customer_id'''),
            ('loyalty_account', '''customer_id'''), ('rfm_stored', '''customer_id'''),
            ('customer_lifecycle_stage', '''customer_id'''), ('customer_value_segment', '''customer_id''')) AS r(relation, columns)
    LOOP
        EXECUTE format('CREATE TRIGGER segment_note_insert AFTER INSERT ON iaros.%I
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_note(%s)', t.relation, t.columns);
        EXECUTE format('CREATE TRIGGER segment_note_update AFTER UPDATE ON iaros.%I
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_note(%s)', t.relation, t.columns);
        EXECUTE format('CREATE TRIGGER segment_note_delete AFTER DELETE ON iaros.%I
            REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_note(%s)', t.relation, t.columns);
        EXECUTE format('CREATE TRIGGER segment_note_truncate AFTER TRUNCATE ON iaros.%I
            FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_note(%s)', t.relation, t.columns);
    END LOOP;

    PERFORM iaros.job_define('segments', '*/15 * * * *', 'segment_run', interval '2 hours', false,
        'Keeps all segments and notes who entered and left.');
END $install$;
COMMENT ON PROCEDURE @extschema@.segment_install_refresh() IS
'Makes the tables, view and triggers by which segments are kept. Called by segment_install().';

CREATE FUNCTION @extschema@.segment_note() RETURNS trigger
    AS 'MODULE_PATHNAME'
    LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.segment_note() IS
'Statement trigger: notes in segment_change the customers in the columns that its arguments name, of the rows of the statement; more than 100,000 of them, or TRUNCATE, as anybody. Then brings segments that are marked real-time up to date for these customers. It writes with the rights of the owner of the table, who must be one that may write segment_change.';

CREATE FUNCTION @extschema@.segment_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.segment_refresh();
END $$;
COMMENT ON FUNCTION @extschema@.segment_run() IS
'Body of the job iaros-segments: segment_refresh() as of now; returns for how many customers something changed.';
