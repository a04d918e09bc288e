-- campaign: campaigns, their triggers, and the tick that sends them.

CREATE TYPE @extschema@.campaign_status AS ENUM
    ('draft', 'approved', 'running', 'paused', 'completed', 'stopped');
COMMENT ON TYPE @extschema@.campaign_status IS
'Where a campaign stands. Only a running campaign sends; completed and stopped ones never run again.';

CREATE TYPE @extschema@.campaign_trigger AS ENUM ('schedule', 'event', 'segment');
COMMENT ON TYPE @extschema@.campaign_trigger IS
'What makes a campaign send: schedule (its audience, once or at intervals), event (each customer who does something) or segment (each customer who enters its segment).';

CREATE TYPE @extschema@.campaign_outcome AS ENUM ('sent', 'suppressed');
COMMENT ON TYPE @extschema@.campaign_outcome IS
'What came of one trigger for one customer: a message was queued, or reasons spoke against it.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.campaign_every_valid(every interval) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN every >= interval '1 minute'
        AND least(extract(year FROM every), extract(month FROM every), extract(day FROM every),
                  extract(hour FROM every), extract(minute FROM every), extract(second FROM every)) >= 0;
COMMENT ON FUNCTION @extschema@.campaign_every_valid(interval) IS
'Tells whether a schedule may repeat at an interval: a minute or more, with no part below zero (1 month -29 days has one). NULL gives NULL. Inlined.';

CREATE FUNCTION @extschema@.campaign_from(
    to_status @extschema@.campaign_status,
    approval boolean)
    RETURNS @extschema@.campaign_status[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE to_status
        WHEN 'approved' THEN '{draft}'
        WHEN 'running' THEN CASE WHEN approval THEN '{approved,paused}' ELSE '{draft,approved,paused}' END
        WHEN 'paused' THEN '{running}'
        WHEN 'completed' THEN '{running}'
        WHEN 'stopped' THEN '{draft,approved,running,paused}'
        ELSE '{}' END::@extschema@.campaign_status[];
COMMENT ON FUNCTION @extschema@.campaign_from(@extschema@.campaign_status, boolean) IS
'Returns the states from which a campaign may come to a state; approval: only approved campaigns may run. Empty for draft, where campaigns begin, and for NULL. Inlined.';

CREATE FUNCTION @extschema@.campaign_occurrence(
    schedule_at timestamptz,
    every interval,
    as_of timestamptz,
    zone text DEFAULT 'UTC')
    RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    start_at timestamp := timezone(zone, schedule_at);
    until_at timestamp := timezone(zone, as_of);
    months integer := date_part('year', every) * 12 + date_part('month', every);
    -- A mean month of the Gregorian calendar has 2629746 seconds.
    step float8 := months * 2629746.0 + date_part('epoch', every - make_interval(months => months));
    k integer;
BEGIN
    IF schedule_at IS NULL OR as_of IS NULL OR schedule_at > as_of THEN
        RETURN NULL;
    ELSIF every IS NULL THEN
        RETURN schedule_at;
    ELSIF NOT iaros.campaign_every_valid(every) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN every < interval '1 minute'
                THEN format('interval "%s" is too short for a schedule', every)
                ELSE format('interval "%s" has a part below zero', every) END,
            HINT = 'The finest grain of a schedule is one minute, and no part of the interval may be negative.';
    END IF;
    -- The estimate is off by a few where months differ in length.
    k := floor(date_part('epoch', until_at - start_at) / step)::integer + 2;
    WHILE k > 0 AND timezone(zone, start_at + k * every) > as_of LOOP
        k := k - 1;
    END LOOP;
    RETURN timezone(zone, start_at + k * every);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_occurrence(timestamptz, interval, timestamptz, text) IS
'Returns the last occurrence of a schedule at or before as_of: schedule_at plus whole multiples of every, counted in a time zone, so that 9:00 stays 9:00 when the clocks change and 31 January plus one month is the last of February. NULL before the first occurrence and for NULL; every NULL: schedule_at itself. Error: 22023 interval below a minute or with a part below zero. Constant time.';

-- Engine: the life of a campaign ------------------------------------------

CREATE FUNCTION @extschema@.campaign_create(
    code text,
    name text,
    channel text,
    template text,
    segment text DEFAULT NULL,
    trigger_kind @extschema@.campaign_trigger DEFAULT 'schedule',
    schedule_at timestamptz DEFAULT NULL,
    every interval DEFAULT NULL,
    event_kind text DEFAULT NULL,
    delay interval DEFAULT '0',
    backlog interval DEFAULT '1 day',
    not_booked_since_trigger boolean DEFAULT false,
    not_left_since_trigger boolean DEFAULT true,
    again_after interval DEFAULT '1 day',
    offer text DEFAULT NULL,
    promo text DEFAULT NULL,
    purpose text DEFAULT 'marketing',
    topic text DEFAULT NULL,
    type text DEFAULT 'sale',
    description text DEFAULT NULL,
    valid tstzrange DEFAULT '(,)',
    goal_kind text DEFAULT NULL,
    goal_value numeric DEFAULT NULL,
    budget_base numeric DEFAULT NULL,
    message_cost_base numeric DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    segment_no bigint;
    offer_no bigint;
    promo_no bigint;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.message_channel_check(campaign_create.channel);
    PERFORM iaros.campaign_known('purpose', campaign_create.purpose);
    PERFORM iaros.campaign_known('topic', campaign_create.topic);
    PERFORM iaros.campaign_known('event_kind', campaign_create.event_kind);
    PERFORM iaros.campaign_known('campaign_type', campaign_create.type);
    PERFORM iaros.campaign_known('offer', campaign_create.offer);
    IF segment IS NOT NULL THEN
        segment_no := iaros.segment_find(campaign_create.segment);
    END IF;
    SELECT o.offer_id INTO offer_no FROM iaros.offer o WHERE o.code = campaign_create.offer;
    promo_no := iaros.campaign_promo(campaign_create.promo);
    INSERT INTO iaros.campaign AS c (code, name, type, description, channel, template, purpose, topic,
        segment_id, offer_id, promo_id, trigger_kind, schedule_at, every, event_kind, delay, backlog,
        not_booked_since_trigger, not_left_since_trigger, again_after, valid, goal_kind, goal_value,
        budget_base, message_cost_base)
    VALUES (campaign_create.code, campaign_create.name, campaign_create.type, campaign_create.description,
        campaign_create.channel, campaign_create.template, campaign_create.purpose, campaign_create.topic,
        segment_no, offer_no, promo_no, campaign_create.trigger_kind, campaign_create.schedule_at,
        campaign_create.every, campaign_create.event_kind, campaign_create.delay, campaign_create.backlog,
        campaign_create.not_booked_since_trigger, campaign_create.not_left_since_trigger,
        campaign_create.again_after, campaign_create.valid, campaign_create.goal_kind,
        campaign_create.goal_value, campaign_create.budget_base, campaign_create.message_cost_base)
    RETURNING c.campaign_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_create(text, text, text, text, text, @extschema@.campaign_trigger, timestamptz, interval, text, interval, interval, boolean, boolean, interval, text, text, text, text, text, text, tstzrange, text, numeric, numeric, numeric) IS
'Makes a campaign as a draft and returns its campaign_id. segment, offer, promo: by name or code. schedule: sends to the segment at schedule_at (NULL: as soon as it runs) and then every interval. event: sends to each customer (of the segment, if one is given) delay after an event of the kind. segment: sends to each customer delay after entering the segment. backlog: what is later than that is not sent any more. not_booked_since_trigger: not to those who booked since. not_left_since_trigger: for segment, only to those who have been in it ever since they entered. again_after: for events and entries, at most one message a customer within it. budget_base and message_cost_base: in the base currency; nothing is sent beyond the budget. Writes an audit row. Errors: 23503 channel, segment, offer, promotion, purpose, topic, event kind or type that does not exist, 22023 channel that does not send, 23505 code in use, 23514 value outside its range.';

CREATE FUNCTION @extschema@.campaign_known(relation text, value text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    key_column text := CASE relation WHEN 'event_kind' THEN 'kind' WHEN 'campaign_type' THEN 'type'
        WHEN 'offer' THEN 'code' ELSE relation END;
    known boolean;
BEGIN
    PERFORM iaros.install_check();
    IF value IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM iaros.%I WHERE %I = $1)', relation, key_column)
        INTO known USING value;
    IF NOT known THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('%s "%s" does not exist', replace(relation, '_', ' '), value),
            HINT = format('List them with SELECT %I FROM iaros.%I.', key_column, relation);
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_known(text, text) IS
'Refuses what a campaign names but a table (purpose, topic, event_kind, campaign_type or offer) does not hold. NULL passes. Error: 23503.';

CREATE FUNCTION @extschema@.campaign_promo(promo text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.promo_find(promo);
EXCEPTION WHEN undefined_object OR invalid_text_representation OR program_limit_exceeded THEN
    RAISE EXCEPTION USING
        ERRCODE = 'foreign_key_violation',
        MESSAGE = format('promo "%s" does not exist', left(promo, 64)),
        HINT = 'List them with SELECT code FROM iaros.promo.';
END $$;
COMMENT ON FUNCTION @extschema@.campaign_promo(text) IS
'Returns the promo_id of the promotion of a code that a campaign names. NULL gives NULL. Error: 23503.';

CREATE FUNCTION @extschema@.campaign_fields_check(
    code text,
    segment_id bigint,
    trigger_kind @extschema@.campaign_trigger,
    channel text,
    template text)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t record;
    templates integer := 0;
BEGIN
    PERFORM iaros.install_check();
    IF segment_id IS NULL AND trigger_kind <> 'event' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('campaign "%s" has no audience', code),
            DETAIL = CASE trigger_kind WHEN 'schedule' THEN 'A scheduled campaign sends to the customers of a segment.'
                ELSE 'It sends to the customers who enter a segment.' END,
            HINT = 'Set campaign.segment_id; SELECT * FROM iaros.segment_list() lists the segments.';
    END IF;
    PERFORM iaros.message_channel_check(channel);
    FOR t IN
        SELECT m.language, m.subject, m.body FROM iaros.message_template m
        WHERE m.name = campaign_fields_check.template AND m.channel = campaign_fields_check.channel
        ORDER BY m.language
    LOOP
        templates := templates + (t.language = iaros.setting_get('message_language'))::integer;
        PERFORM iaros.campaign_template_check(template, t.language, t.subject);
        PERFORM iaros.campaign_template_check(template, t.language, t.body);
    END LOOP;
    IF templates = 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('template "%s" does not exist for channel "%s" in language "%s"',
                template, channel, iaros.setting_get('message_language')),
            HINT = 'Make it with iaros.message_template_set(); SELECT name, channel, language FROM iaros.message_template lists what there is.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_fields_check(text, bigint, @extschema@.campaign_trigger, text, text) IS
'campaign_check() for fields that are not stored yet, with the same errors. Called by it and by the trigger campaign_guard.';

CREATE FUNCTION @extschema@.campaign_check(campaign_id bigint) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    PERFORM iaros.install_check();
    SELECT x.code, x.segment_id, x.trigger_kind, x.channel, x.template INTO c
    FROM iaros.campaign x WHERE x.campaign_id = campaign_check.campaign_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('campaign %s does not exist', coalesce(campaign_id::text, 'NULL')),
            HINT = 'List the campaigns with SELECT * FROM iaros.campaign_list().';
    END IF;
    PERFORM iaros.campaign_fields_check(c.code, c.segment_id, c.trigger_kind, c.channel, c.template);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_check(bigint) IS
'Refuses a campaign that cannot run, with the first thing that is wrong: 42704 campaign or template that does not exist, 55000 no audience, 23503 or 22023 channel, 22P02 malformed token, 22023 token that does not exist. Changes nothing.';

CREATE FUNCTION @extschema@.campaign_template_check(template text, language text, content text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    place text := format('template "%s" (%s)', template, language);
    message text;
    detail text;
BEGIN
    PERFORM iaros.message_template_check(content, place);
EXCEPTION WHEN invalid_text_representation OR feature_not_supported THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING
        ERRCODE = SQLSTATE,
        MESSAGE = format('%s: %s', place, message),
        DETAIL = detail,
        HINT = 'Tokens are written {{customer.firstName}}; SELECT * FROM iaros.message_token_list() lists them.';
END $$;
COMMENT ON FUNCTION @extschema@.campaign_template_check(text, text, text) IS
'message_template_check() that names the template and language in every message. NULL content passes. Errors: 22P02 malformed token, 0A000 sections and partials, 22023 token that does not exist.';

CREATE FUNCTION @extschema@.campaign_move_check(
    code text,
    from_status @extschema@.campaign_status,
    to_status @extschema@.campaign_status)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    allowed iaros.campaign_status[] := iaros.campaign_from(to_status,
        iaros.setting_get('campaign_approval')::boolean);
BEGIN
    IF from_status = ANY (allowed) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = CASE WHEN from_status IS NULL
            THEN format('campaign "%s" cannot be made as %s', code, to_status)
            ELSE format('campaign "%s" is %s and cannot become %s', code, from_status, to_status) END,
        HINT = CASE WHEN from_status IS NULL OR allowed = '{}' THEN 'Campaigns begin as drafts.'
            ELSE format('It must be %s for that.', array_to_string(allowed, ' or ')) END;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_move_check(text, @extschema@.campaign_status, @extschema@.campaign_status) IS
'Refuses with 55000 that a campaign of a code comes from one state (NULL: it is made) to another, unless campaign_from() and the setting campaign_approval allow it.';

CREATE FUNCTION @extschema@.campaign_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    before iaros.campaign_status := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END;
BEGIN
    IF NEW.status IS NOT DISTINCT FROM coalesce(before, 'draft') THEN
        IF before IS NULL OR NEW.status <> 'running'
            OR (NEW.segment_id, NEW.trigger_kind, NEW.channel, NEW.template)
                IS NOT DISTINCT FROM (OLD.segment_id, OLD.trigger_kind, OLD.channel, OLD.template)
        THEN
            RETURN NEW;
        END IF;
    ELSE
        PERFORM iaros.campaign_move_check(NEW.code, before, NEW.status);
    END IF;
    IF NEW.status IN ('approved', 'running') THEN
        PERFORM iaros.campaign_fields_check(NEW.code, NEW.segment_id, NEW.trigger_kind, NEW.channel, NEW.template);
    END IF;
    IF NEW.status = 'running' THEN
        NEW.launched_at := coalesce(NEW.launched_at, now());
        IF NEW.trigger_kind = 'schedule' THEN
            NEW.schedule_at := coalesce(NEW.schedule_at, now());
        END IF;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_guard() IS
'Trigger of iaros.campaign: whoever writes the table directly gets no further than campaign_approve(), campaign_launch() and the like. A campaign begins as a draft, changes its state only as campaign_from() allows, and passes campaign_check() when it is approved, when it starts to run and when a running one changes its audience, trigger, channel or template.';

CREATE FUNCTION @extschema@.campaign_move(
    campaign_id bigint,
    to_status @extschema@.campaign_status)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    PERFORM iaros.install_check();
    SELECT x.code, x.status INTO c FROM iaros.campaign x
    WHERE x.campaign_id = campaign_move.campaign_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('campaign %s does not exist', coalesce(campaign_id::text, 'NULL')),
            HINT = 'List the campaigns with SELECT * FROM iaros.campaign_list().';
    END IF;
    PERFORM iaros.campaign_move_check(c.code, c.status, to_status);
    UPDATE iaros.campaign x SET status = to_status
    WHERE x.campaign_id = campaign_move.campaign_id;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_move(bigint, @extschema@.campaign_status) IS
'Brings a campaign to another state, as far as campaign_from() allows; triggers check what it is then (campaign_guard) and write the audit row. Waits for a tick that is at the campaign, so that nothing more is queued once this returns. Errors: 42704 no such campaign, 55000 its state does not allow it, those of campaign_check() for approved and running.';

CREATE FUNCTION @extschema@.campaign_approve(campaign_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.campaign_check(campaign_id);
    PERFORM iaros.campaign_move(campaign_id, 'approved');
END $$;
COMMENT ON FUNCTION @extschema@.campaign_approve(bigint) IS
'Approves a draft that can run. With the setting campaign_approval only approved campaigns can be launched. Writes an audit row. Errors: those of campaign_check() and 55000 when it is no draft.';

CREATE FUNCTION @extschema@.campaign_launch(campaign_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.campaign_check(campaign_id);
    PERFORM iaros.campaign_move(campaign_id, 'running');
END $$;
COMMENT ON FUNCTION @extschema@.campaign_launch(bigint) IS
'Lets a campaign run, for the first time or after a pause. The next tick takes up what is due by then, as far back as its backlog. Writes an audit row. Errors: those of campaign_check() and 55000 when its state does not allow it.';

CREATE FUNCTION @extschema@.campaign_pause(campaign_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.campaign_move(campaign_id, 'paused');
END $$;
COMMENT ON FUNCTION @extschema@.campaign_pause(bigint) IS
'Stops a running campaign until campaign_launch(). Messages that are queued already go out. Writes an audit row. Errors: 42704 no such campaign, 55000 it does not run.';

CREATE FUNCTION @extschema@.campaign_stop(campaign_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.campaign_move(campaign_id, 'stopped');
END $$;
COMMENT ON FUNCTION @extschema@.campaign_stop(bigint) IS
'Ends a campaign for good. Messages that are queued already go out. Writes an audit row. Errors: 42704 no such campaign, 55000 it has ended already.';

CREATE FUNCTION @extschema@.campaign_list(in_status @extschema@.campaign_status DEFAULT NULL)
    RETURNS TABLE (campaign_id bigint, code text, name text, type text, status @extschema@.campaign_status,
        channel text, template text, segment text, trigger_kind @extschema@.campaign_trigger, sent bigint, suppressed bigint,
        launched_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT c.campaign_id, c.code, c.name, c.type, c.status, c.channel, c.template, s.name, c.trigger_kind,
            coalesce(r.sent, 0), coalesce(r.suppressed, 0), c.launched_at
        FROM iaros.campaign c
        LEFT JOIN iaros.segment s ON s.segment_id = c.segment_id
        LEFT JOIN LATERAL (
            SELECT sum(x.sent)::bigint AS sent, sum(x.suppressed)::bigint AS suppressed
            FROM iaros.campaign_run x WHERE x.campaign_id = c.campaign_id) r ON true
        WHERE in_status IS NULL OR c.status = in_status
        ORDER BY c.campaign_id;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_list(@extschema@.campaign_status) IS
'Returns the campaigns of a state (NULL: all) in the order in which they were made, with how many messages they queued and how many were suppressed.';

CREATE FUNCTION @extschema@.campaign_get(code text)
    RETURNS TABLE (campaign_id bigint, status @extschema@.campaign_status, detail jsonb)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT c.campaign_id, c.status, jsonb_strip_nulls(to_jsonb(c) - 'campaign_id' - 'status'
            || jsonb_build_object('segment', s.name, 'offer', o.code, 'promo', p.code::text))
        FROM iaros.campaign c
        LEFT JOIN iaros.segment s ON s.segment_id = c.segment_id
        LEFT JOIN iaros.offer o ON o.offer_id = c.offer_id
        LEFT JOIN iaros.promo p ON p.promo_id = c.promo_id
        WHERE c.code = campaign_get.code;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_get(text) IS
'Returns the campaign of a code with all its fields; no row when there is none.';

-- Engine: the tick --------------------------------------------------------

CREATE FUNCTION @extschema@.campaign_tokens(campaign_id bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (
        SELECT jsonb_build_object(
            'campaign', jsonb_build_object('code', c.code, 'name', c.name),
            'offer', jsonb_build_object(
                'code', coalesce(p.code::text, o.code), 'name', coalesce(o.name, p.name),
                'discount', coalesce(iaros.promo_discount_text(p.discount, p.currency::text),
                    trim_scale(o.discount_percent) || ' %')))
        FROM iaros.campaign c
        LEFT JOIN iaros.offer o ON o.offer_id = c.offer_id
        LEFT JOIN iaros.promo p ON p.promo_id = c.promo_id
        WHERE c.campaign_id = campaign_tokens.campaign_id);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_tokens(bigint) IS
'Returns the values of the tokens that are the same for all customers of a campaign: campaign.* and offer.*. NULL when there is no such campaign.';

CREATE FUNCTION @extschema@.campaign_due_events(
    campaign_id bigint,
    as_of timestamptz DEFAULT now(),
    batch integer DEFAULT 1000)
    RETURNS TABLE (customer_id bigint, trigger_key text, trigger_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
DECLARE
    c record;
BEGIN
    PERFORM iaros.install_check();
    SELECT x.campaign_id, x.trigger_kind, x.event_kind, x.segment_id,
        as_of - x.delay AS until_at, as_of - x.delay - x.backlog AS after_at INTO c
    FROM iaros.campaign x
    WHERE x.campaign_id = campaign_due_events.campaign_id AND x.trigger_kind <> 'schedule';
    RETURN QUERY
        SELECT h.customer_id, h.key, h.at
        FROM (
            -- The plan is made for one campaign and keeps one of the two.
            SELECT e.customer_id, 'event:' || e.event_id AS key, e.occurred_at AS at, e.event_id AS id
            FROM iaros.event e
            WHERE c.trigger_kind = 'event' AND e.kind = c.event_kind
              AND e.occurred_at > c.after_at AND e.occurred_at <= c.until_at
            UNION ALL
            SELECT e.customer_id, 'entry:' || e.segment_event_id, e.at, e.segment_event_id
            FROM iaros.segment_event e
            WHERE c.trigger_kind = 'segment' AND e.segment_id = c.segment_id AND e.entered
              AND e.at > c.after_at AND e.at <= c.until_at) h
        LEFT JOIN iaros.customer_alias a ON a.customer_id = h.customer_id
        -- An alias may have outlived its master: nobody is there to be answered.
        JOIN iaros.customer k ON k.customer_id = coalesce(a.master_id, h.customer_id)
        WHERE (c.segment_id IS NULL OR c.trigger_kind = 'segment' OR EXISTS (
              SELECT FROM iaros.segment_membership m
              WHERE m.customer_id = ANY (ARRAY(
                        SELECT k.customer_id
                        UNION ALL
                        SELECT x.customer_id FROM iaros.customer_alias x WHERE x.master_id = k.customer_id))
                AND c.segment_id = ANY (m.segment_ids)))
          AND NOT EXISTS (
              SELECT FROM iaros.campaign_send s
              WHERE s.customer_id IN (h.customer_id, a.master_id)
                AND s.campaign_id = c.campaign_id AND s.trigger_key = h.key)
        ORDER BY h.at, h.id
        LIMIT batch;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_due_events(bigint, timestamptz, integer) IS
'Returns what a campaign has to answer as of a time, oldest first, at most batch: events of its kind (key event:<event_id>), of customers of its segment if it has one, or entries into its segment (key entry:<segment_event_id>), from delay + backlog before it (exclusive) to delay before it (inclusive), of a person who exists, and not answered yet. No row for a campaign on a schedule. O(events of the kind, or entries, within the backlog).';

CREATE FUNCTION @extschema@.campaign_batch_limit(campaign_id bigint, batch integer)
    RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (
        SELECT CASE WHEN c.budget_base IS NULL OR coalesce(c.message_cost_base, 0) = 0 THEN batch
                    ELSE greatest(0, least(batch, floor(c.budget_base / c.message_cost_base) - coalesce((
                        SELECT sum(r.sent) FROM iaros.campaign_run r
                        WHERE r.campaign_id = c.campaign_id), 0))) END::integer
        FROM iaros.campaign c
        WHERE c.campaign_id = campaign_batch_limit.campaign_id);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_batch_limit(bigint, integer) IS
'Returns how many more messages a campaign can pay from its budget, at most batch.';

CREATE FUNCTION @extschema@.campaign_run_schedule(
    campaign_id bigint,
    as_of timestamptz,
    batch integer)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    c record;
    r record;
    occurrence timestamptz;
    key text;
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    SELECT x.code, x.schedule_at, x.every, x.backlog, x.segment_id INTO c
    FROM iaros.campaign x WHERE x.campaign_id = campaign_run_schedule.campaign_id;
    -- An occurrence that was begun is brought to its end before the next.
    SELECT x.trigger_key, x.occurrence_at, x.last_customer_id INTO r
    FROM iaros.campaign_run x
    WHERE x.campaign_id = campaign_run_schedule.campaign_id
      AND x.finished_at IS NULL AND x.advanced_at >= as_of - c.backlog
    ORDER BY x.occurrence_at LIMIT 1;
    IF NOT FOUND THEN
        occurrence := iaros.campaign_occurrence(c.schedule_at, c.every, as_of, iaros.setting_get('brand_time_zone'));
        key := to_char(occurrence AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
        IF occurrence < as_of - c.backlog AND c.every IS NULL AND NOT EXISTS (
            SELECT FROM iaros.campaign_run x WHERE x.campaign_id = campaign_run_schedule.campaign_id)
        THEN
            PERFORM iaros.alert_raise('campaign_missed', 'warning', c.code,
                format('campaign "%s" was due at %s and nothing was sent within its backlog', c.code, occurrence));
            PERFORM iaros.campaign_move(campaign_run_schedule.campaign_id, 'completed');
            RETURN 0;
        END IF;
        IF occurrence IS NULL OR occurrence < as_of - c.backlog THEN
            RETURN 0;
        END IF;
        IF EXISTS (SELECT FROM iaros.campaign_run x
                   WHERE x.campaign_id = campaign_run_schedule.campaign_id AND x.trigger_key = key) THEN
            RETURN 0;
        END IF;
        SELECT key AS trigger_key, occurrence AS occurrence_at, 0::bigint AS last_customer_id INTO r;
    END IF;
    SELECT coalesce(array_agg(m.customer_id), '{}') INTO ids
    FROM (SELECT s.customer_id FROM iaros.segment_membership s
          WHERE s.customer_id > r.last_customer_id AND s.segment_ids @> ARRAY[c.segment_id]
          ORDER BY s.customer_id LIMIT batch) m;
    PERFORM iaros.campaign_dispatch(campaign_run_schedule.campaign_id, ids,
        array_fill(r.trigger_key, ARRAY[cardinality(ids)]),
        array_fill(r.occurrence_at, ARRAY[cardinality(ids)]),
        as_of, r.trigger_key, r.occurrence_at, cardinality(ids) < batch);
    IF cardinality(ids) < batch AND c.every IS NULL THEN
        PERFORM iaros.campaign_move(campaign_run_schedule.campaign_id, 'completed');
    END IF;
    RETURN cardinality(ids);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_run_schedule(bigint, timestamptz, integer) IS
'Sends the next batch of the last occurrence of a campaign on a schedule and returns how many customers it took up. An occurrence is one row of campaign_run, which remembers how far it came. Called by campaign_tick(), which holds the lock on the campaign.';

CREATE FUNCTION @extschema@.campaign_run_events(
    campaign_id bigint,
    as_of timestamptz,
    batch integer)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];
    keys text[];
    times timestamptz[];
BEGIN
    PERFORM iaros.install_check();
    SELECT array_agg(d.customer_id), array_agg(d.trigger_key), array_agg(d.trigger_at)
    INTO ids, keys, times
    FROM iaros.campaign_due_events(campaign_run_events.campaign_id, as_of, batch) d;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM iaros.campaign_dispatch(campaign_run_events.campaign_id, ids, keys, times, as_of, 'events', as_of);
    RETURN cardinality(ids);
END $$;
COMMENT ON FUNCTION @extschema@.campaign_run_events(bigint, timestamptz, integer) IS
'Answers the next batch of events of a campaign, or of entries into its segment, and returns how many. Called by campaign_tick(), which holds the lock on the campaign.';

CREATE FUNCTION @extschema@.campaign_step(
    campaign_id bigint,
    as_of timestamptz DEFAULT now(),
    batch integer DEFAULT 1000)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
    affordable integer;
    failure text;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.message_time_check(as_of);
    -- Whoever holds the campaign does its work; the others go on.
    SELECT x.code, x.trigger_kind, x.valid INTO c
    FROM iaros.campaign x
    WHERE x.campaign_id = campaign_step.campaign_id AND x.status = 'running'
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    IF upper(c.valid) <= as_of THEN
        PERFORM iaros.campaign_move(campaign_step.campaign_id, 'completed');
        RETURN 0;
    END IF;
    affordable := iaros.campaign_batch_limit(campaign_step.campaign_id, batch);
    IF affordable = 0 THEN
        PERFORM iaros.alert_raise('campaign_budget', 'info', c.code,
            format('campaign "%s" has spent its budget', c.code));
        PERFORM iaros.campaign_move(campaign_step.campaign_id, 'completed');
        RETURN 0;
    END IF;
    BEGIN
        RETURN CASE c.trigger_kind
            WHEN 'schedule' THEN iaros.campaign_run_schedule(campaign_step.campaign_id, as_of, affordable)
            ELSE iaros.campaign_run_events(campaign_step.campaign_id, as_of, affordable) END;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded
        OR undefined_object OR no_data_found OR feature_not_supported
    THEN
        GET STACKED DIAGNOSTICS failure = MESSAGE_TEXT;
        PERFORM iaros.alert_raise('campaign_failed', 'error', c.code,
            format('campaign "%s" could not send: %s', c.code, failure));
        RETURN 0;
    END;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_step(bigint, timestamptz, integer) IS
'Does the next batch of one campaign and returns how many customers, events or entries it took up. Nothing, when the campaign does not run or another session is at it. What is wrong with the campaign itself (a template that was broken since, say) raises an alert and leaves nothing behind, so that it does not hold up the others.';

CREATE FUNCTION @extschema@.campaign_tick(
    as_of timestamptz DEFAULT now(),
    batch integer DEFAULT 1000)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one record;
    done bigint := 0;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.message_time_check(as_of);
    IF batch IS NULL OR batch NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot run campaigns in batches of %s', coalesce(batch::text, 'NULL')),
            HINT = 'Give a batch of 1 to 100000 customers.';
    END IF;
    FOR one IN
        SELECT x.campaign_id FROM iaros.campaign x
        WHERE x.status = 'running' AND (lower_inf(x.valid) OR lower(x.valid) <= as_of)
        ORDER BY x.campaign_id
    LOOP
        done := done + iaros.campaign_step(one.campaign_id, as_of, batch);
    END LOOP;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_tick(timestamptz, integer) IS
'Body of the job iaros-campaigns: finds what is due by as_of and not done in every running campaign, and queues the messages: one batch a campaign, aliases counted as their master, each customer asked for consent, all in the caller''s transaction. Returns how many customers, events or entries it took up; 0 means that nothing is due. A customer gets at most one message for each trigger, whatever runs at the same time. What a missed tick would have sent, the next one sends, unless it is later than the backlog of the campaign. An as_of that is past decides what is due; consent is asked as it is now. Error: 22023 batch outside 1 to 100000, as_of infinite, before 1900 or more than 5 minutes ahead. O(batch * log) a campaign, and O(events or entries within the backlog) for the others.';

CREATE FUNCTION @extschema@.campaign_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'campaign ' || c.code,
            'it runs, but its template does not exist for its channel',
            'Make it with iaros.message_template_set(), or pause the campaign.'
        FROM iaros.campaign c
        WHERE c.status = 'running' AND NOT EXISTS (
            SELECT FROM iaros.message_template t
            WHERE t.name = c.template AND t.channel = c.channel
              AND t.language = iaros.setting_get('message_language'));
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'campaign ' || c.code,
            'it runs, but its segment is disabled',
            'Enable the segment, or pause the campaign.'
        FROM iaros.campaign c JOIN iaros.segment s ON s.segment_id = c.segment_id
        WHERE c.status = 'running' AND NOT s.enabled;
    -- Entries bear the time at which the refresh began that notes them.
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'campaign ' || c.code,
            format('it answers entries into its segment for %s, but a refresh of the segments took %s',
                   c.delay + c.backlog, justify_hours(date_trunc('second', r.took))),
            'Give it a longer backlog.'
        FROM iaros.campaign c
        CROSS JOIN (
            SELECT max(j.finished_at - j.started_at) AS took FROM iaros.job_run j
            WHERE j.job = 'segments' AND j.started_at > now() - interval '7 days') r
        WHERE c.status = 'running' AND c.trigger_kind = 'segment' AND r.took > c.delay + c.backlog
        ORDER BY c.campaign_id;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_doctor() IS
'Findings of doctor() about campaigns: running ones without a template, with a disabled segment, or whose backlog is shorter than a refresh of the segments took in the last 7 days, so that they miss entries.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.campaign_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('campaign', 1) THEN
    CREATE TABLE iaros.campaign_type (
        type text PRIMARY KEY CHECK (type ~ '^[a-z][a-z0-9_]{0,40}$'),
        class text NOT NULL CHECK (class IN ('promotional', 'transactional', 'lifecycle', 'triggered',
            'drip', 're-engagement', 'cross-sell', 'upsell')),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.campaign_type IS 'Types of campaigns, in eight classes. Add your own.';
    INSERT INTO iaros.campaign_type (type, class, description, shipped_hash) VALUES
        ('sale', 'promotional', 'Announcement of a sale', 'new'),
        ('flash_sale', 'promotional', 'Sale of a few hours', 'new'),
        ('limited_offer', 'promotional', 'Offer for a limited time', 'new'),
        ('seasonal', 'promotional', 'Promotion of a season', 'new'),
        ('booking_confirmation', 'transactional', 'Confirmation of a booking', 'new'),
        ('payment_receipt', 'transactional', 'Receipt of a payment', 'new'),
        ('itinerary_update', 'transactional', 'Change of an itinerary', 'new'),
        ('boarding_pass', 'transactional', 'Delivery of a boarding pass', 'new'),
        ('welcome', 'lifecycle', 'Welcome of a new customer', 'new'),
        ('onboarding', 'lifecycle', 'First steps of a new customer', 'new'),
        ('anniversary', 'lifecycle', 'Birthday or anniversary', 'new'),
        ('renewal', 'lifecycle', 'Reminder of a renewal', 'new'),
        ('abandoned_cart', 'triggered', 'A cart was left', 'new'),
        ('abandoned_browse', 'triggered', 'A search was left', 'new'),
        ('post_purchase', 'triggered', 'After a purchase', 'new'),
        ('review_request', 'triggered', 'Request for a review', 'new'),
        ('education', 'drip', 'Series that explains', 'new'),
        ('nurture', 'drip', 'Series that keeps in touch', 'new'),
        ('product_training', 'drip', 'Series about the use of a product', 'new'),
        ('customer_success', 'drip', 'Series that helps customers get what they came for', 'new'),
        ('winback', 're-engagement', 'Inactive customers', 'new'),
        ('reactivation', 're-engagement', 'Lapsed customers', 'new'),
        ('wake_up', 're-engagement', 'Dormant customers', 'new'),
        ('complementary', 'cross-sell', 'What goes with a booking', 'new'),
        ('bundle', 'cross-sell', 'Bundles', 'new'),
        ('upgrade_offer', 'cross-sell', 'Opportunity of an upgrade', 'new'),
        ('premium_seat', 'upsell', 'Better seat', 'new'),
        ('cabin_upgrade', 'upsell', 'Better cabin', 'new'),
        ('ancillary', 'upsell', 'Ancillary services', 'new');
    PERFORM iaros.shipped_seal('iaros.campaign_type');

    CREATE SEQUENCE iaros.campaign_id_seq;
    CREATE TABLE iaros.campaign (
        campaign_id bigint PRIMARY KEY DEFAULT nextval('iaros.campaign_id_seq'),
        code text NOT NULL UNIQUE,
        name text NOT NULL CHECK (name <> ''),
        type text NOT NULL DEFAULT 'sale' REFERENCES iaros.campaign_type,
        description text,
        status iaros.campaign_status NOT NULL DEFAULT 'draft',
        channel text NOT NULL REFERENCES iaros.channel,
        template text NOT NULL,
        purpose text NOT NULL DEFAULT 'marketing' REFERENCES iaros.purpose,
        topic text REFERENCES iaros.topic,
        segment_id bigint REFERENCES iaros.segment,
        offer_id bigint REFERENCES iaros.offer,
        promo_id bigint REFERENCES iaros.promo,
        trigger_kind iaros.campaign_trigger NOT NULL,
        schedule_at timestamptz,
        every interval,
        event_kind text REFERENCES iaros.event_kind,
        delay interval NOT NULL DEFAULT '0',
        backlog interval NOT NULL DEFAULT '1 day',
        not_booked_since_trigger boolean NOT NULL DEFAULT false,
        not_left_since_trigger boolean NOT NULL DEFAULT true,
        again_after interval NOT NULL DEFAULT '1 day',
        valid tstzrange NOT NULL DEFAULT '(,)',
        goal_kind text,
        goal_value numeric(16,4),
        budget_base numeric(16,4),
        message_cost_base numeric(16,4),
        launched_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT campaign_code CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{1,39}$'),
        CONSTRAINT campaign_event CHECK ((trigger_kind = 'event') = (event_kind IS NOT NULL)),
        CONSTRAINT campaign_entry CHECK (trigger_kind <> 'segment' OR segment_id IS NOT NULL),
        CONSTRAINT campaign_every CHECK (every IS NULL OR (trigger_kind = 'schedule' AND iaros.campaign_every_valid(every))),
        CONSTRAINT campaign_schedule CHECK (
            schedule_at >= '1900-01-01 00:00Z' AND schedule_at < '2200-01-01 00:00Z'),
        CONSTRAINT campaign_delay CHECK (delay >= interval '0' AND again_after >= interval '0'),
        CONSTRAINT campaign_backlog CHECK (backlog > interval '0'),
        CONSTRAINT campaign_valid CHECK (NOT isempty(valid)),
        CONSTRAINT campaign_budget CHECK (budget_base >= 0 AND message_cost_base >= 0),
        CONSTRAINT campaign_goal CHECK (goal_kind IN ('revenue', 'conversions', 'sends') AND goal_value > 0)
    );
    COMMENT ON TABLE iaros.campaign IS
        'Campaigns: to whom, what, through which channel, and when. Made by campaign_create(), moved by campaign_launch(), campaign_pause() and campaign_stop(); every change is audited.';
    COMMENT ON COLUMN iaros.campaign.backlog IS 'What is later than this is not sent any more.';
    COMMENT ON COLUMN iaros.campaign.not_left_since_trigger IS
        'Entries into a segment: only who has been in it ever since gets the message.';
    COMMENT ON COLUMN iaros.campaign.again_after IS 'Events and entries: at most one message to a customer within this time.';
    COMMENT ON COLUMN iaros.campaign.budget_base IS 'In the base currency; nothing is sent beyond it.';
    CREATE INDEX campaign_segment ON iaros.campaign (segment_id) WHERE segment_id IS NOT NULL;
    CREATE INDEX campaign_running ON iaros.campaign (campaign_id) WHERE status = 'running';
    CREATE TRIGGER campaign_guard
        BEFORE INSERT OR UPDATE ON iaros.campaign
        FOR EACH ROW EXECUTE FUNCTION iaros.campaign_guard();
    CREATE TRIGGER campaign_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.campaign
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('campaign_id');

    CREATE TABLE iaros.campaign_run (
        campaign_id bigint NOT NULL REFERENCES iaros.campaign ON DELETE CASCADE,
        trigger_key text NOT NULL,
        occurrence_at timestamptz NOT NULL,
        started_at timestamptz NOT NULL,
        advanced_at timestamptz NOT NULL,
        finished_at timestamptz,
        last_customer_id bigint NOT NULL DEFAULT 0,
        sent bigint NOT NULL DEFAULT 0,
        suppressed bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (campaign_id, trigger_key)
    );
    COMMENT ON TABLE iaros.campaign_run IS
        'How far campaigns are: one row for each occurrence of a schedule, and one (trigger_key events) for all events or entries of a campaign.';

    CREATE TABLE iaros.campaign_send (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        campaign_id bigint NOT NULL REFERENCES iaros.campaign,
        trigger_key text NOT NULL,
        trigger_at timestamptz NOT NULL,
        outcome iaros.campaign_outcome NOT NULL,
        reasons text[] NOT NULL DEFAULT '{}',
        message_id bigint,
        at timestamptz NOT NULL,
        PRIMARY KEY (customer_id, campaign_id, trigger_key),
        CONSTRAINT campaign_send_message CHECK ((outcome = 'sent') = (message_id IS NOT NULL)),
        CONSTRAINT campaign_send_reasons CHECK ((outcome = 'suppressed') = (reasons <> '{}'))
    );
    COMMENT ON TABLE iaros.campaign_send IS
        'Ledger of what each trigger of a campaign led to for each customer: a message, or the reasons against it. Its primary key is what keeps a customer from getting a message twice. trigger_key is the time of an occurrence, event:<event_id> or entry:<segment_event_id>.';
    CREATE INDEX campaign_send_campaign ON iaros.campaign_send (campaign_id, at);
    CREATE TRIGGER campaign_send_guard
        BEFORE UPDATE ON iaros.campaign_send
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.ledger_guard();

    PERFORM iaros.setting_define('campaign_approval', 'boolean', 'false',
        'Whether a campaign must be approved before it is launched.');
    PERFORM iaros.job_define('campaigns', '* * * * *', 'campaign_tick', interval '10 minutes', true,
        'Queues the messages of running campaigns that are due.');

    CREATE FUNCTION iaros.campaign_dispatch(
        campaign_id bigint,
        customer_ids bigint[],
        trigger_keys text[],
        trigger_times timestamptz[],
        as_of timestamptz DEFAULT now(),
        run_key text DEFAULT 'by hand',
        occurrence_at timestamptz DEFAULT now(),
        finished boolean DEFAULT false)
        RETURNS TABLE (sent bigint, suppressed bigint)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 1
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        c record;
        own jsonb := iaros.campaign_tokens(campaign_dispatch.campaign_id);
        used text[];
        main_language text := iaros.setting_get('message_language');
        persons bigint[];
        limited boolean;
        stays boolean;
    BEGIN
        PERFORM iaros.message_time_check(campaign_dispatch.as_of);
        SELECT x.campaign_id, x.code, x.channel, x.template, x.purpose, x.topic, x.segment_id,
            x.not_booked_since_trigger, x.not_left_since_trigger, x.again_after, x.trigger_kind INTO c
        FROM iaros.campaign x
        WHERE x.campaign_id = campaign_dispatch.campaign_id AND x.status = 'running';
        IF NOT FOUND THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('campaign %s does not run', coalesce(campaign_dispatch.campaign_id::text, 'NULL')),
                HINT = 'Launch it with iaros.campaign_launch().';
        END IF;
        limited := c.trigger_kind <> 'schedule' AND c.again_after > interval '0';
        stays := c.trigger_kind = 'segment' AND c.not_left_since_trigger;
        SELECT coalesce(array_agg(DISTINCT u.token), '{}') INTO used
        FROM iaros.message_template t
        CROSS JOIN LATERAL unnest(iaros.template_tokens(concat(t.subject, ' ', t.body))) AS u(token)
        WHERE t.name = c.template AND t.channel = c.channel;
        persons := ARRAY(
            SELECT DISTINCT coalesce(a.master_id, u.id)
            FROM unnest(customer_ids) AS u(id)
            LEFT JOIN iaros.customer_alias a ON a.customer_id = u.id ORDER BY 1);
        -- Who is being deleted is gone before the statement below looks.
        PERFORM FROM iaros.customer k WHERE k.customer_id = ANY (persons)
        ORDER BY k.customer_id FOR KEY SHARE;
        PERFORM iaros.outbox_notify(c.channel);
        -- Planned for these arrays each time. plan_cache_mode would do that too,
        -- but would also reach the checks of foreign keys, row by row.
        EXECUTE $send$
        WITH due AS MATERIALIZED (
            SELECT DISTINCT ON (1, 2) coalesce(a.master_id, u.id) AS person, u.key, u.at, u.id
            FROM unnest($1, $2, $3) AS u(id, key, at)
            LEFT JOIN iaros.customer_alias a ON a.customer_id = u.id
            ORDER BY 1, 2, 3, 4
        ), member AS MATERIALIZED (
            SELECT u.person, u.person AS id FROM unnest($5) AS u(person)
            UNION ALL
            SELECT a.master_id, a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY ($5)
        ), prior AS (
            -- An own row with the key is what the claim below runs into; OFFSET 0
            -- keeps this a look-up by key while the ledger grows.
            SELECT r.person, r.key, bool_or(s.trigger_key = r.key) AS same
            FROM due r
            JOIN member m ON m.person = r.person AND ($12 OR m.id <> m.person)
            CROSS JOIN LATERAL (
                SELECT x.trigger_key, x.at FROM iaros.campaign_send x
                WHERE x.customer_id = m.id AND x.campaign_id = $6 AND x.outcome = 'sent'
                OFFSET 0) s
            WHERE s.trigger_key = r.key OR ($12 AND s.at > $4 - $11)
            GROUP BY r.person, r.key
        ), booked AS (
            SELECT DISTINCT r.person, r.key
            FROM due r
            JOIN member m ON m.person = r.person
            JOIN iaros.booking b ON b.customer_id = m.id
            WHERE $13 AND iaros.booking_counts(b.status)
              AND b.booked_at >= r.at AND b.booked_at <= $4
        ), inside AS (
            SELECT DISTINCT m.person
            FROM member m
            JOIN iaros.segment_membership s ON s.customer_id = m.id
            WHERE $17 AND s.segment_ids @> ARRAY[$18]
        ), gone AS (
            -- Who left under the id that entered, or is not in it under any.
            SELECT r.person, r.key
            FROM due r
            JOIN iaros.segment_event e ON e.customer_id = r.id AND e.at > r.at
            WHERE $17 AND e.segment_id = $18 AND NOT e.entered
            UNION
            SELECT r.person, r.key
            FROM due r
            LEFT JOIN inside i ON i.person = r.person
            WHERE $17 AND i.person IS NULL
        ), coupon AS MATERIALIZED (
            -- Where nobody can use the code of the promotion itself.
            SELECT DISTINCT ON (m.person) m.person, k.code::text AS code
            FROM member m
            JOIN iaros.promo_coupon k ON k.customer_id = m.id
            WHERE k.promo_id = $19 AND k.is_active AND (k.valid IS NULL OR upper_inf(k.valid) OR upper(k.valid) > $4)
            ORDER BY m.person, k.created_at DESC, k.code
        ), weighed AS (
            SELECT r.person, r.key, r.at, f.reasons || array_remove(ARRAY[
                CASE WHEN a.recipient IS NULL THEN format('no_address: the customer has no address on channel %s', $7) END,
                CASE WHEN p.same THEN 'already_sent: the customer got this under an alias'
                     WHEN p.person IS NOT NULL THEN format('again_too_soon: one message within %s', $11) END,
                CASE WHEN b.person IS NOT NULL THEN 'booked_since_trigger: the customer has booked since' END,
                CASE WHEN g.person IS NOT NULL THEN 'left_segment: the customer has left the segment since' END,
                CASE WHEN $19 IS NOT NULL AND q.person IS NULL THEN 'no_coupon: the customer has no coupon of the promotion' END],
                NULL) AS reasons, a.recipient
            FROM due r
            -- What holds now is asked, whatever as_of says.
            JOIN iaros.consent_filter_ids($5, $9, $7, $10, greatest($4, now())) f ON f.customer_id = r.person
            LEFT JOIN iaros.message_recipients($5, $7) a ON a.customer_id = r.person
            LEFT JOIN prior p ON p.person = r.person AND p.key = r.key
            LEFT JOIN booked b ON b.person = r.person AND b.key = r.key
            LEFT JOIN gone g ON g.person = r.person AND g.key = r.key
            LEFT JOIN coupon q ON q.person = r.person
        ), decided AS MATERIALIZED (
            -- Of several triggers of a person the first that may be answered is.
            SELECT w.person, w.key, w.at, w.recipient,
                CASE WHEN $12 AND w.reasons = '{}'
                          AND row_number() OVER (PARTITION BY w.person, w.reasons = '{}' ORDER BY w.at, w.key) > 1
                     THEN ARRAY[format('again_too_soon: one message within %s', $11)]
                     ELSE w.reasons END AS reasons
            FROM weighed w
        ), claimed AS (
            -- The claim: of two that insert the same key one gets no row.
            INSERT INTO iaros.campaign_send AS s (customer_id, campaign_id, trigger_key, trigger_at, outcome, reasons, message_id, at)
            SELECT d.person, $6, d.key, d.at,
                CASE WHEN d.reasons = '{}' THEN 'sent' ELSE 'suppressed' END::iaros.campaign_outcome,
                d.reasons, CASE WHEN d.reasons = '{}' THEN nextval('iaros.message_id_seq') END, $4
            FROM (SELECT x.person, x.key, x.at, x.reasons FROM decided x
                  JOIN iaros.customer k ON k.customer_id = x.person
                  ORDER BY x.person, x.key) d
            ON CONFLICT (customer_id, campaign_id, trigger_key) DO NOTHING
            RETURNING s.customer_id, s.trigger_key, s.outcome, s.message_id
        ), queued AS (
            INSERT INTO iaros.outbox (message_id, idempotency_key, customer_id, channel, purpose, topic,
                campaign_id, recipient, subject, body, send_after)
            SELECT k.message_id, format('campaign:%s:%s:%s', $6, k.customer_id, k.trigger_key),
                k.customer_id, $7, $9, $10, $6, d.recipient,
                iaros.message_render(t.subject, v.tokens, false),
                iaros.message_render(t.body, v.tokens, t.html), $4
            FROM claimed k
            JOIN decided d ON d.person = k.customer_id AND d.key = k.trigger_key
            JOIN (SELECT g.customer_id, g.tokens || CASE WHEN q.code IS NULL THEN $15 ELSE jsonb_set($15, '{offer,code}', to_jsonb(q.code)) END AS tokens
                  FROM iaros.message_tokens($5, $14) g LEFT JOIN coupon q ON q.person = g.customer_id OFFSET 0) v ON v.customer_id = k.customer_id
            JOIN iaros.customer x ON x.customer_id = k.customer_id
            CROSS JOIN LATERAL (
                SELECT m.subject, m.body, m.html FROM iaros.message_template m
                WHERE m.name = $8 AND m.channel = $7
                  AND m.language IN (x.language, split_part(x.language, '-', 1), $16)
                ORDER BY m.language IS DISTINCT FROM x.language, m.language IS DISTINCT FROM split_part(x.language, '-', 1)
                LIMIT 1) t
            WHERE k.outcome = 'sent'
            ORDER BY k.message_id
            -- A key that is taken is a message that was queued before.
            ON CONFLICT (idempotency_key) DO NOTHING
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM queued),
               (SELECT count(*) FROM claimed k WHERE k.outcome = 'suppressed')
        $send$ INTO sent, suppressed
        USING customer_ids, trigger_keys, trigger_times, as_of, persons, c.campaign_id, c.channel, c.template,
            c.purpose, c.topic, c.again_after, limited, c.not_booked_since_trigger, used, own, main_language,
            stays, c.segment_id,
            (SELECT p.promo_id FROM iaros.campaign x JOIN iaros.promo p ON p.promo_id = x.promo_id
             WHERE x.campaign_id = c.campaign_id AND p.applied = 'coupon' AND 'offer.code' = ANY (used));
        -- Without a template nothing must look as if it had been sent.
        IF cardinality(persons) > 0 AND NOT EXISTS (
            SELECT FROM iaros.message_template m
            WHERE m.name = c.template AND m.channel = c.channel AND m.language = main_language)
        THEN
            RAISE EXCEPTION USING
                ERRCODE = 'undefined_object',
                MESSAGE = format('template "%s" does not exist for channel "%s"', c.template, c.channel),
                HINT = 'Make it with iaros.message_template_set(), or stop the campaign.';
        END IF;
        INSERT INTO iaros.campaign_run AS x (campaign_id, trigger_key, occurrence_at, started_at,
            advanced_at, finished_at, last_customer_id, sent, suppressed)
        VALUES (c.campaign_id, run_key, campaign_dispatch.occurrence_at, as_of, as_of,
            CASE WHEN finished THEN as_of END,
            -- Of those that exist, so that no made-up id skips the rest.
            coalesce((SELECT max(k.customer_id) FROM iaros.customer k WHERE k.customer_id = ANY (customer_ids)), 0),
            campaign_dispatch.sent, campaign_dispatch.suppressed)
        ON CONFLICT (campaign_id, trigger_key) DO UPDATE
            SET advanced_at = excluded.advanced_at, finished_at = excluded.finished_at,
                last_customer_id = greatest(x.last_customer_id, excluded.last_customer_id),
                sent = x.sent + excluded.sent, suppressed = x.suppressed + excluded.suppressed;
        IF cardinality(persons) > 0 THEN
            PERFORM iaros.audit_append('campaign.send', 'campaign', c.campaign_id::text, NULL,
                jsonb_build_object('run', run_key, 'as_of', as_of,
                    'sent', campaign_dispatch.sent, 'suppressed', campaign_dispatch.suppressed));
        END IF;
        RETURN NEXT;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.campaign_dispatch(bigint, bigint[], text[], timestamptz[], timestamptz, text, timestamptz, boolean) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.campaign_dispatch(bigint, bigint[], text[], timestamptz[], timestamptz, text, timestamptz, boolean) IS
        'Gate: answers triggers of a running campaign (three arrays of one length: customer, key, time), writes one row of campaign_send for each customer and key that has none, queues the messages of those against whom nothing speaks, adds to its row of campaign_run (run_key, occurrence_at; finished: nothing of it is left), and returns how many were queued and how many suppressed. Aliases count as their master. Consent is asked as it is now, also where as_of is past. One statement for the whole set. Errors: 55000 campaign that does not run, 42704 template that does not exist, 22023 as_of infinite, before 1900 or more than 5 minutes ahead. SECURITY DEFINER, so that nobody writes the ledger or the outbox past the check of consent.';
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.campaign_install() IS
'Makes the tables and gates of the domain campaign. Called by install().';
