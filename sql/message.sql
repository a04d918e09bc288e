-- message: templates, tokens, the outbox and what becomes of its messages.

CREATE TYPE @extschema@.outbox_status AS ENUM
    ('queued', 'claimed', 'sent', 'failed', 'dead', 'cancelled');
COMMENT ON TYPE @extschema@.outbox_status IS
'Where a message of the outbox stands. queued: waits for its time; claimed: a worker has it; sent: the provider took it; failed: will be tried again; dead: given up; cancelled: the customer may no longer be contacted.';

CREATE TYPE @extschema@.message_event_kind AS ENUM
    ('sent', 'delivered', 'opened', 'clicked', 'converted',
     'bounced_soft', 'bounced_hard', 'complained', 'unsubscribed');
COMMENT ON TYPE @extschema@.message_event_kind IS
'What can become of a message. sent is written by outbox_ack(), the others come back from the provider.';

-- Kernel: templates -------------------------------------------------------

CREATE FUNCTION @extschema@.template_render(
    template text,
    tokens jsonb,
    missing text DEFAULT 'error')
RETURNS text
AS 'MODULE_PATHNAME', 'template_render'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION @extschema@.template_render(text, jsonb, text) IS
'template with each token replaced by its value, for HTML. {{path}} is the value with & < > " and '' escaped; {{{path}}} and {{&path}} are the value as it is; {{! text }} is dropped, with its line if it stands alone on it. A path is up to 16 object keys (in an array: a position from 0) joined by dots, at most 255 bytes; white space next to the braces is ignored. tokens is a JSON object. Text comes as it is, numbers and booleans as JSON writes them. A value that is absent or null is treated as missing says: ''error'', ''empty'' (nothing) or ''keep'' (the token stays as typed). NULL for a NULL argument. Errors: 22P02 malformed token; 0A000 sections, partials and change of delimiters; 22023 missing value, value that is an object or array, tokens that are no object, another word for missing; 54000 template above 1 MB, result above 16 MB, path too long. Messages name line and column. O(length of the result + tokens * log(keys)); consecutive calls with one template parse it once. Syntax: a part of the Mustache specification.';

CREATE FUNCTION @extschema@.template_render_text(
    template text,
    tokens jsonb,
    missing text DEFAULT 'error')
RETURNS text
AS 'MODULE_PATHNAME', 'template_render_text'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION @extschema@.template_render_text(text, jsonb, text) IS
'template_render() for channels of plain text (SMS, push, subjects of mails): the same arguments, result and errors, and no value is ever escaped.';

CREATE FUNCTION @extschema@.template_tokens(template text)
RETURNS text[]
AS 'MODULE_PATHNAME', 'template_tokens'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION @extschema@.template_tokens(text) IS
'The distinct paths that the tokens of a template name, in order of first appearance; an empty array when there are none, NULL for NULL. Refuses what template_render() refuses: 22P02 malformed token, 0A000 sections, partials and change of delimiters, 54000 template above 1 MB or path too long. O(n log n).';

CREATE FUNCTION @extschema@.message_token_list()
    RETURNS TABLE (token text, description text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 13
BEGIN ATOMIC
    SELECT * FROM (VALUES
        ('customer.id', 'Number of the customer'),
        ('customer.firstName', 'First name'),
        ('customer.lastName', 'Last name'),
        ('customer.tier', 'Tier in the loyalty programme'),
        ('customer.frequentFlyerNumber', 'Number in the loyalty programme'),
        ('lastBooking.route', 'Origin and destination of the last booking: FRA-JFK'),
        ('lastBooking.date', 'Day of the last booking: 2026-01-31'),
        ('offer.code', 'Code to enter: of the promotion of the campaign, else of its offer'),
        ('offer.name', 'Name of the offer of the campaign'),
        ('offer.discount', 'Discount of the promotion of the campaign: 20 % or 50 USD'),
        ('campaign.code', 'Code of the campaign'),
        ('campaign.name', 'Name of the campaign')
    ) AS t(token, description);
END;
COMMENT ON FUNCTION @extschema@.message_token_list() IS
'Returns the tokens that a template may use, with what each stands for.';

CREATE FUNCTION @extschema@.message_template_check(template text, what text)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    used text[] := iaros.template_tokens(template);
    wrong text;
BEGIN
    SELECT u INTO wrong FROM unnest(used) WITH ORDINALITY AS t(u, n)
    WHERE u NOT IN (SELECT l.token FROM iaros.message_token_list() l)
    ORDER BY n LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('token "%s" in %s does not exist', wrong, what),
            HINT = format('Tokens are: %s.', (SELECT string_agg(l.token, ', ') FROM iaros.message_token_list() l));
    END IF;
    RETURN used;
END $$;
COMMENT ON FUNCTION @extschema@.message_template_check(text, text) IS
'Returns the tokens that a template uses when each of them exists (see message_token_list); what says in messages where the template comes from. NULL gives NULL. Errors: 22023 a token that does not exist, and those of template_tokens(): 22P02 malformed token, 0A000, 54000.';

CREATE FUNCTION @extschema@.message_render(template text, tokens jsonb, html boolean)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN html THEN @extschema@.template_render(template, tokens, 'empty')
                ELSE @extschema@.template_render_text(template, tokens, 'empty') END;
COMMENT ON FUNCTION @extschema@.message_render(text, jsonb, boolean) IS
'Returns a template with its tokens replaced: values escaped when html, as they are otherwise, nothing for a value that is missing. NULL gives NULL. Errors: those of template_render(). Inlined.';

-- Engine: templates -------------------------------------------------------

CREATE FUNCTION @extschema@.message_template_set(
    name text,
    channel text,
    body text,
    subject text DEFAULT NULL,
    language text DEFAULT 'en',
    html boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.message_channel_check(message_template_set.channel);
    PERFORM iaros.message_template_check(message_template_set.subject, format('the subject of template "%s"', message_template_set.name));
    PERFORM iaros.message_template_check(message_template_set.body, format('template "%s"', message_template_set.name));
    INSERT INTO iaros.message_template AS t (name, channel, language, subject, body, html)
    VALUES (message_template_set.name, message_template_set.channel, message_template_set.language,
            message_template_set.subject, message_template_set.body, message_template_set.html)
    ON CONFLICT (name, channel, language) DO UPDATE
        SET subject = excluded.subject, body = excluded.body, html = excluded.html, updated_at = now()
    RETURNING t.template_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.message_template_set(text, text, text, text, text, boolean) IS
'Makes or changes the template of a name, channel and language and returns its template_id. html: the body is HTML, so values are escaped in it. Errors: 22P02 malformed token, 22023 token that does not exist or channel through which nothing is sent, 23503 channel that does not exist.';

CREATE FUNCTION @extschema@.message_channel_check(channel text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sends boolean;
BEGIN
    PERFORM iaros.install_check();
    SELECT c.sends INTO sends FROM iaros.channel c WHERE c.channel = message_channel_check.channel;
    IF sends IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN sends IS NULL THEN 'foreign_key_violation' ELSE 'invalid_parameter_value' END,
            MESSAGE = CASE WHEN sends IS NULL THEN format('channel "%s" does not exist', channel)
                           ELSE format('nothing can be sent through channel "%s"', channel) END,
            HINT = format('Channels that send are: %s.',
                (SELECT string_agg(c.channel, ', ' ORDER BY c.channel) FROM iaros.channel c WHERE c.sends));
    END IF;
    RETURN channel;
END $$;
COMMENT ON FUNCTION @extschema@.message_channel_check(text) IS
'Returns the channel when messages can be sent through it. Errors: 23503 when it does not exist or is NULL, 22023 when nothing is sent through it.';

CREATE FUNCTION @extschema@.message_time_check(
    at timestamptz,
    ahead interval DEFAULT '5 minutes')
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF at IS NULL OR NOT iaros.time_valid(at) OR at > now() + ahead THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('time "%s" is out of range', coalesce(at::text, 'NULL')),
            DETAIL = format('Times from 1900 to %s from now are taken.', ahead),
            HINT = 'Leave the argument out for the present moment.';
    END IF;
    RETURN at;
END $$;
COMMENT ON FUNCTION @extschema@.message_time_check(timestamptz, interval) IS
'Returns the time when messages can be worked on as of it: from 1900 to ahead (clocks that differ) after now. Error: 22023 a time outside that, infinite or NULL.';

CREATE FUNCTION @extschema@.message_tokens(
    customer_ids bigint[],
    wanted text[] DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, tokens jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    want_loyalty boolean := wanted IS NULL OR wanted && '{customer.tier,customer.frequentFlyerNumber}';
    want_booking boolean := wanted IS NULL OR wanted && '{lastBooking.route,lastBooking.date}';
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT c.customer_id, jsonb_build_object(
            'customer', jsonb_build_object(
                'id', c.customer_id, 'firstName', c.first_name, 'lastName', c.last_name,
                'tier', l.tier, 'frequentFlyerNumber', l.member_no),
            'lastBooking', jsonb_build_object('route', b.route, 'date', b.day))
        FROM iaros.customer c
        LEFT JOIN LATERAL (
            SELECT a.tier, a.member_no
            FROM iaros.loyalty_account a
            WHERE want_loyalty AND a.cancelled_on IS NULL AND a.customer_id IN (
                SELECT c.customer_id
                UNION ALL
                SELECT x.customer_id FROM iaros.customer_alias x WHERE x.master_id = c.customer_id)
            ORDER BY a.customer_id <> c.customer_id, a.enrolled_on, a.programme
            LIMIT 1) l ON true
        LEFT JOIN LATERAL (
            SELECT k.origin || '-' || k.destination AS route,
                   to_char(k.booked_at AT TIME ZONE iaros.setting_get('brand_time_zone'), 'YYYY-MM-DD') AS day
            FROM iaros.booking k
            WHERE want_booking AND iaros.booking_counts(k.status) AND k.customer_id IN (
                SELECT c.customer_id
                UNION ALL
                SELECT x.customer_id FROM iaros.customer_alias x WHERE x.master_id = c.customer_id)
            ORDER BY k.booked_at DESC, k.booking_id DESC
            LIMIT 1) b ON true
        WHERE c.customer_id = ANY (customer_ids);
END $$;
COMMENT ON FUNCTION @extschema@.message_tokens(bigint[], text[]) IS
'Returns for each customer the values of the tokens customer.* and lastBooking.* as a JSON object; bookings and loyalty accounts of aliases count for their master. wanted names the tokens that will be used (NULL: all); tables that none of them needs are not read. One look-up by index a customer and table.';

CREATE FUNCTION @extschema@.message_recipients(customer_ids bigint[], channel text)
    RETURNS TABLE (customer_id bigint, recipient text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    address_kind text;
BEGIN
    PERFORM iaros.install_check();
    SELECT c.identifier_kind INTO address_kind
    FROM iaros.channel c WHERE c.channel = message_recipients.channel;
    IF address_kind IS NULL THEN
        RETURN QUERY
            SELECT c.customer_id, concat_ws(', ', c.street, c.postal_code, c.city, c.country)
            FROM iaros.customer c
            WHERE c.customer_id = ANY (customer_ids) AND c.street IS NOT NULL;
        RETURN;
    END IF;
    RETURN QUERY
        WITH member AS (
            SELECT u.id AS person, u.id FROM unnest(customer_ids) AS u(id)
            UNION
            SELECT a.master_id, a.customer_id FROM iaros.customer_alias a
            WHERE a.master_id = ANY (customer_ids)
        )
        SELECT DISTINCT ON (m.person) m.person, i.value
        FROM member m
        JOIN iaros.customer_identifier i ON i.customer_id = m.id AND i.kind = address_kind
        ORDER BY m.person, m.id <> m.person, i.is_primary DESC, i.created_at, i.value;
END $$;
COMMENT ON FUNCTION @extschema@.message_recipients(bigint[], text) IS
'Returns the address of each customer on a channel: the primary identifier of the kind that the channel asks for, else the oldest one, else one of an alias; for channels without such a kind (post) the postal address. No row for a customer without an address.';

CREATE FUNCTION @extschema@.message_preview(
    template text,
    channel text,
    customer_id bigint,
    language text DEFAULT 'en')
    RETURNS TABLE (recipient text, subject text, body text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT r.recipient, iaros.message_render(t.subject, k.tokens, false),
               iaros.message_render(t.body, k.tokens, t.html)
        FROM iaros.message_template t
        CROSS JOIN iaros.message_tokens(ARRAY[message_preview.customer_id]) k
        LEFT JOIN iaros.message_recipients(ARRAY[message_preview.customer_id], message_preview.channel) r ON true
        WHERE t.name = template AND t.channel = message_preview.channel
          AND t.language = message_preview.language;
END $$;
COMMENT ON FUNCTION @extschema@.message_preview(text, text, bigint, text) IS
'Returns what a template would send to a customer now: address (NULL when there is none), subject and body; tokens of offers and campaigns stay empty. No row when the template or the customer does not exist. Nothing is queued.';

-- Engine: outbox ----------------------------------------------------------

CREATE FUNCTION @extschema@.outbox_prune() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    pruned bigint;
BEGIN
    PERFORM iaros.install_check();
    DELETE FROM iaros.outbox o
    WHERE o.message_id IN (
        SELECT x.message_id FROM iaros.outbox x
        WHERE x.status IN ('sent', 'dead', 'cancelled')
          AND x.created_at < now() - make_interval(days => iaros.setting_get('outbox_keep_days')::integer)
        LIMIT 10000);
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END $$;
COMMENT ON FUNCTION @extschema@.outbox_prune() IS
'Body of the job iaros-outbox: deletes up to 10,000 messages that are sent, dead or cancelled and were queued more than outbox_keep_days ago, and returns how many. What became of them stays in message_event. For the owner of the tables.';

CREATE FUNCTION @extschema@.message_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'outbox ' || o.channel,
            format('%s messages were given up', count(*)),
            format('See SELECT message_id, last_error FROM iaros.outbox WHERE status = ''dead'' AND channel = %L; try one again with iaros.outbox_retry(message_id).', o.channel)
        FROM iaros.outbox o WHERE o.status = 'dead'
        GROUP BY o.channel;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'outbox ' || o.channel,
            format('messages have been waiting since %s', min(coalesce(o.claimed_until, o.send_after))),
            'Start a worker that calls iaros.outbox_claim() and iaros.outbox_ack().'
        FROM iaros.outbox o
        WHERE o.status IN ('queued', 'failed', 'claimed')
          AND coalesce(o.claimed_until, o.send_after) < now() - interval '1 hour'
        GROUP BY o.channel;
END $$;
COMMENT ON FUNCTION @extschema@.message_doctor() IS
'Findings of doctor() about messages: messages given up, and channels whose messages nobody fetches.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.message_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('message', 1) THEN
    CREATE SEQUENCE iaros.template_id_seq;
    CREATE TABLE iaros.message_template (
        template_id bigint PRIMARY KEY DEFAULT nextval('iaros.template_id_seq'),
        name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
        channel text NOT NULL REFERENCES iaros.channel,
        language text NOT NULL DEFAULT 'en' CHECK (language ~ '^[a-z]{2,3}(-[A-Z]{2})?$'),
        subject text,
        body text NOT NULL CHECK (body <> ''),
        html boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text,
        CONSTRAINT message_template_once UNIQUE (name, channel, language)
    );
    COMMENT ON TABLE iaros.message_template IS
        'Texts of messages with tokens, one for each name, channel and language. A customer gets the language asked for, else its main language, else the setting message_language.';
    INSERT INTO iaros.message_template (name, channel, language, subject, body, html, shipped_hash) VALUES
        ('welcome-1', 'email', 'en', 'Welcome, {{customer.firstName}}',
         '<p>Dear {{customer.firstName}},</p><p>thank you for flying with us. Your first offer is waiting: {{offer.name}}.</p>', true, 'new'),
        ('abandoned-cart-1', 'email', 'en', 'Your trip is still waiting',
         '<p>Dear {{customer.firstName}},</p><p>you left a trip in your cart. It takes two minutes to complete it.</p>', true, 'new'),
        ('abandoned-cart-2', 'email', 'en', '{{offer.discount}} off the trip in your cart',
         '<p>Dear {{customer.firstName}},</p><p>use code <b>{{offer.code}}</b> for {{offer.discount}} off the trip in your cart.</p>', true, 'new'),
        ('abandoned-cart-2', 'sms', 'en', NULL,
         '{{customer.firstName}}, code {{offer.code}} gives you {{offer.discount}} off the trip in your cart.', false, 'new'),
        ('winback-1', 'email', 'en', 'We miss you, {{customer.firstName}}',
         '<p>Dear {{customer.firstName}},</p><p>your last trip with us, {{lastBooking.route}}, was booked on {{lastBooking.date}}. Come back with code <b>{{offer.code}}</b>: {{offer.discount}} off.</p>', true, 'new'),
        ('promotional', 'email', 'en', '{{campaign.name}}: {{offer.name}}',
         '<p>Dear {{customer.firstName}},</p><p>{{offer.name}} is for you. Your code: <b>{{offer.code}}</b>.</p>', true, 'new'),
        ('promotional', 'sms', 'en', NULL,
         '{{customer.firstName}}, {{offer.name}}: code {{offer.code}}.', false, 'new'),
        ('promotional', 'push', 'en', '{{campaign.name}}',
         '{{offer.name}}: code {{offer.code}}', false, 'new');
    PERFORM iaros.shipped_seal('iaros.message_template');

    CREATE SEQUENCE iaros.message_id_seq;
    CREATE SEQUENCE iaros.claim_token_seq;
    CREATE TABLE iaros.outbox (
        message_id bigint PRIMARY KEY DEFAULT nextval('iaros.message_id_seq'),
        idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
        customer_id bigint NOT NULL,
        channel text NOT NULL,
        purpose text NOT NULL,
        topic text,
        campaign_id bigint,
        recipient text NOT NULL,
        subject text,
        body text NOT NULL,
        status iaros.outbox_status NOT NULL DEFAULT 'queued',
        send_after timestamptz NOT NULL DEFAULT now(),
        attempts integer NOT NULL DEFAULT 0,
        claim_token bigint,
        claimed_until timestamptz,
        sent_at timestamptz,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT outbox_once UNIQUE (idempotency_key),
        CONSTRAINT outbox_claimed CHECK ((status = 'claimed') = (claimed_until IS NOT NULL)),
        CONSTRAINT outbox_sent CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
        CONSTRAINT outbox_times CHECK (
            send_after >= '1900-01-01 00:00Z' AND send_after < '2200-01-01 00:00Z'
            AND sent_at >= '1900-01-01 00:00Z' AND sent_at < '2200-01-01 00:00Z')
    );
    COMMENT ON TABLE iaros.outbox IS
        'Messages on their way out. Filled by outbox_enqueue() and campaigns, emptied by workers with outbox_claim(), outbox_ack() and outbox_fail(). A queue: it stays on the coordinator and refers to no other table; the gates that fill it check channel, purpose and topic, so that sending does not lock their few rows for each message.';
    COMMENT ON COLUMN iaros.outbox.claim_token IS
        'Number of the last claim; a worker whose number is older has lost the message.';
    CREATE INDEX outbox_due ON iaros.outbox (channel, (coalesce(claimed_until, send_after)), message_id)
        WHERE status IN ('queued', 'failed', 'claimed');
    CREATE INDEX outbox_done ON iaros.outbox (created_at)
        WHERE status IN ('sent', 'dead', 'cancelled');
    CREATE INDEX outbox_customer ON iaros.outbox (customer_id);
    CREATE INDEX outbox_campaign ON iaros.outbox (campaign_id) WHERE campaign_id IS NOT NULL;

    CREATE SEQUENCE iaros.message_event_id_seq;
    CREATE TABLE iaros.message_event (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        message_event_id bigint NOT NULL DEFAULT nextval('iaros.message_event_id_seq'),
        occurred_at timestamptz NOT NULL,
        message_id bigint NOT NULL,
        kind iaros.message_event_kind NOT NULL,
        channel text NOT NULL REFERENCES iaros.channel,
        campaign_id bigint,
        detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
        received_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, occurred_at, message_event_id),
        CONSTRAINT message_event_once UNIQUE (customer_id, message_id, kind, occurred_at),
        CONSTRAINT message_event_range CHECK (
            occurred_at >= '1900-01-01 00:00Z' AND occurred_at < '2200-01-01 00:00Z')
    ) PARTITION BY RANGE (occurred_at);
    COMMENT ON TABLE iaros.message_event IS
        'What became of messages, partitioned by month. The same kind of event of a message at the same moment is one event. Written by outbox_ack() and message_event_record() only.';
    CREATE TABLE iaros.message_event_default PARTITION OF iaros.message_event DEFAULT;
    CREATE INDEX message_event_time ON iaros.message_event (occurred_at, kind);

    PERFORM iaros.setting_define('message_language', 'text', 'en',
        'Language of templates for customers without a language, or whose language has no template.');
    PERFORM iaros.setting_define('message_max_attempts', 'integer', '5',
        'How often a message is tried before it is given up.');
    PERFORM iaros.setting_define('message_retry_after', 'interval', '1 minute',
        'How long a message waits after its first failure; twice as long after each further one, at most 6 hours.');
    PERFORM iaros.setting_define('outbox_keep_days', 'integer', '90',
        'For how many days messages that are sent, dead or cancelled stay in the outbox.');
    PERFORM iaros.job_define('outbox', '37 3 * * *', 'outbox_prune', interval '2 days', true,
        'Deletes old messages from the outbox.');

    CREATE FUNCTION iaros.outbox_find(
        idempotency_key text,
        customer_id bigint,
        channel text,
        purpose text,
        body text)
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        o record;
    BEGIN
        SELECT x.message_id, x.customer_id, x.channel, x.purpose, x.body INTO o
        FROM iaros.outbox x WHERE x.idempotency_key = outbox_find.idempotency_key;
        IF FOUND AND (iaros.customer_resolve(o.customer_id), o.channel, o.purpose, o.body)
            IS DISTINCT FROM (outbox_find.customer_id, outbox_find.channel, outbox_find.purpose, outbox_find.body)
        THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('idempotency key "%s" belongs to another message', outbox_find.idempotency_key),
                DETAIL = 'Its customer, channel, purpose or body differ.',
                HINT = 'Give each message a key of its own.';
        END IF;
        RETURN o.message_id;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_find(text, bigint, text, text, text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_find(text, bigint, text, text, text) IS
        'Returns the message of an idempotency key, NULL when there is none. Called by outbox_enqueue(). Error: 22023 when the message is for another person, channel or purpose or says something else.';

    CREATE FUNCTION iaros.outbox_enqueue(
        customer_id bigint,
        channel text,
        purpose text,
        body text,
        idempotency_key text,
        subject text DEFAULT NULL,
        topic text DEFAULT NULL,
        recipient text DEFAULT NULL,
        send_after timestamptz DEFAULT now(),
        campaign_id bigint DEFAULT NULL)
        RETURNS TABLE (message_id bigint, reasons text[])
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        person bigint := iaros.customer_resolve(outbox_enqueue.customer_id);
        address text := outbox_enqueue.recipient;
        why text[];
        id bigint;
    BEGIN
        PERFORM iaros.message_channel_check(outbox_enqueue.channel);
        -- Refused here: a constraint would print the row, address and body.
        IF outbox_enqueue.idempotency_key IS NULL OR outbox_enqueue.body IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'null_value_not_allowed',
                MESSAGE = format('%s of a message is NULL',
                    CASE WHEN outbox_enqueue.body IS NULL THEN 'body' ELSE 'idempotency key' END),
                HINT = 'Give each message a body, and a key that is the same when the call is repeated.';
        ELSIF outbox_enqueue.idempotency_key = '' OR starts_with(outbox_enqueue.idempotency_key, 'campaign:') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('idempotency key "%s" cannot be used', outbox_enqueue.idempotency_key),
                DETAIL = 'Keys are not empty, and those that begin with campaign: are for the messages of campaigns.',
                HINT = 'Begin the key with a word of your own.';
        ELSIF outbox_enqueue.send_after < '1900-01-01 00:00Z' OR outbox_enqueue.send_after >= '2200-01-01 00:00Z' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('cannot send a message after "%s"', outbox_enqueue.send_after),
                HINT = 'Give a time from 1900 to 2199.';
        END IF;
        id := iaros.outbox_find(outbox_enqueue.idempotency_key, person, outbox_enqueue.channel,
            outbox_enqueue.purpose, outbox_enqueue.body);
        IF id IS NOT NULL THEN
            RETURN QUERY SELECT id, '{}'::text[];
            RETURN;
        END IF;
        SELECT coalesce(k.reasons, '{}') INTO why
        FROM iaros.consent_check(person, outbox_enqueue.purpose, outbox_enqueue.channel, outbox_enqueue.topic) k
        WHERE NOT k.allowed;
        why := coalesce(why, '{}');
        IF address IS NULL THEN
            SELECT r.recipient INTO address
            FROM iaros.message_recipients(ARRAY[person], outbox_enqueue.channel) r;
        END IF;
        IF address IS NULL THEN
            why := why || format('no_address: the customer has no address on channel %s', outbox_enqueue.channel);
        END IF;
        IF why <> '{}' THEN
            RETURN QUERY SELECT NULL::bigint, why;
            RETURN;
        END IF;
        PERFORM iaros.outbox_notify(outbox_enqueue.channel);
        INSERT INTO iaros.outbox AS o (idempotency_key, customer_id, channel, purpose, topic,
            campaign_id, recipient, subject, body, send_after)
        VALUES (outbox_enqueue.idempotency_key, person, outbox_enqueue.channel, outbox_enqueue.purpose,
            outbox_enqueue.topic, outbox_enqueue.campaign_id, address, outbox_enqueue.subject,
            outbox_enqueue.body, coalesce(outbox_enqueue.send_after, now()))
        ON CONFLICT (idempotency_key) DO NOTHING
        RETURNING o.message_id INTO id;
        IF id IS NULL THEN
            -- Another session queued it in the meantime.
            id := iaros.outbox_find(outbox_enqueue.idempotency_key, person, outbox_enqueue.channel,
                outbox_enqueue.purpose, outbox_enqueue.body);
        END IF;
        RETURN QUERY SELECT id, '{}'::text[];
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_enqueue(bigint, text, text, text, text, text, text, text, timestamptz, bigint) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_enqueue(bigint, text, text, text, text, text, text, text, timestamptz, bigint) IS
        'Gate: queues one message and returns its message_id, or NULL and all reasons why the customer must not get it (consent, do-not-contact, no address). Aliases count as their master. The idempotency key makes it once: a second call returns the first message unchanged. recipient NULL: the customer''s address on the channel. Errors: 23503 channel or topic that does not exist, 22023 channel that does not send, key that is empty, begins with campaign: (those of campaigns) or belongs to a message for another person, channel or purpose or with another body, send_after before 1900 or after 2199, 22004 key or body NULL. SECURITY DEFINER, so that nobody can queue past the check of consent.';

    CREATE FUNCTION iaros.outbox_notify(channel text) RETURNS void
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM pg_notify('iaros_outbox', outbox_notify.channel)
        WHERE NOT EXISTS (
            SELECT FROM iaros.outbox o
            WHERE o.channel = outbox_notify.channel AND o.status IN ('queued', 'failed', 'claimed'));
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_notify(text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_notify(text) IS
        'Sends NOTIFY iaros_outbox with the channel when no message of the channel waits, that is when the next one ends the quiet. Called before messages are queued.';

    CREATE FUNCTION iaros.outbox_claim(
        channel text,
        n integer DEFAULT 100,
        lease interval DEFAULT '5 minutes',
        as_of timestamptz DEFAULT now())
        RETURNS TABLE (message_id bigint, token bigint, customer_id bigint, recipient text,
                       subject text, body text, attempts integer)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        ids bigint[];
        fence bigint := nextval('iaros.claim_token_seq');
        max_attempts integer := iaros.setting_get('message_max_attempts')::integer;
        part record;
    BEGIN
        PERFORM iaros.message_channel_check(outbox_claim.channel);
        PERFORM iaros.message_time_check(outbox_claim.as_of);
        IF n IS NULL OR n NOT BETWEEN 1 AND 10000 OR lease IS NULL
            OR lease <= interval '0' OR lease > interval '1 day'
        THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('cannot claim %s messages for %s', coalesce(n::text, 'NULL'), coalesce(lease::text, 'NULL')),
                HINT = 'Claim 1 to 10000 messages for up to one day.';
        END IF;
        SELECT coalesce(array_agg(x.message_id), '{}') INTO ids
        FROM (SELECT o.message_id FROM iaros.outbox o
              WHERE o.channel = outbox_claim.channel AND o.status IN ('queued', 'failed', 'claimed')
                AND coalesce(o.claimed_until, o.send_after) <= outbox_claim.as_of
              ORDER BY coalesce(o.claimed_until, o.send_after), o.message_id
              LIMIT n FOR UPDATE SKIP LOCKED) x;
        -- A message whose workers died without a word must not go round for ever.
        UPDATE iaros.outbox o SET status = 'dead', claimed_until = NULL,
            last_error = coalesce(o.last_error, 'claimed and never acknowledged')
        WHERE o.message_id = ANY (ids) AND o.attempts >= max_attempts;
        -- Consent may have been withdrawn while the message waited. What holds
        -- now is asked, whatever as_of says.
        FOR part IN
            SELECT o.purpose, o.topic, array_agg(DISTINCT o.customer_id) AS customers
            FROM iaros.outbox o
            WHERE o.message_id = ANY (ids) AND o.status <> 'dead'
            GROUP BY o.purpose, o.topic
        LOOP
            UPDATE iaros.outbox o SET status = 'cancelled', claimed_until = NULL,
                last_error = array_to_string(f.reasons, '; ')
            FROM iaros.consent_filter_ids(part.customers,
                part.purpose, outbox_claim.channel, part.topic,
                greatest(outbox_claim.as_of, now())) f
            WHERE o.message_id = ANY (ids) AND o.status <> 'dead'
              AND o.purpose = part.purpose AND o.topic IS NOT DISTINCT FROM part.topic
              AND o.customer_id = f.customer_id AND NOT f.allowed;
        END LOOP;
        RETURN QUERY
            WITH taken AS (
                UPDATE iaros.outbox o SET status = 'claimed', claim_token = fence,
                    claimed_until = outbox_claim.as_of + lease, attempts = o.attempts + 1
                WHERE o.message_id = ANY (ids) AND o.status NOT IN ('dead', 'cancelled')
                RETURNING o.message_id, o.customer_id, o.recipient, o.subject, o.body, o.attempts, o.send_after)
            SELECT t.message_id, fence, t.customer_id, t.recipient, t.subject, t.body, t.attempts
            FROM taken t ORDER BY t.send_after, t.message_id;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_claim(text, integer, interval, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_claim(text, integer, interval, timestamptz) IS
        'Gate: gives a worker up to n messages of a channel that are due, oldest first, for the length of the lease, with the token that outbox_ack() and outbox_fail() ask for. Workers at the same time get different messages (FOR UPDATE SKIP LOCKED). A lease that ran out makes its message due again. Consent is asked for again, as it is now, also where as_of is past: messages whose customer may no longer be contacted become cancelled, with the reasons in last_error. Messages tried message_max_attempts times become dead. Errors: 23503 channel that does not exist, 22023 channel that does not send, n outside 1 to 10000, lease not positive or above one day, as_of infinite, before 1900 or more than 5 minutes ahead. O(n log size). SECURITY DEFINER, because operate has no direct write on the outbox.';

    CREATE FUNCTION iaros.outbox_ack(message_id bigint, token bigint, at timestamptz DEFAULT now())
        RETURNS boolean
        LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM iaros.install_check();
        PERFORM iaros.message_time_check(outbox_ack.at);
        WITH done AS (
            UPDATE iaros.outbox o SET status = 'sent', sent_at = outbox_ack.at, claimed_until = NULL, last_error = NULL
            WHERE o.message_id = outbox_ack.message_id AND o.claim_token = outbox_ack.token AND o.status = 'claimed'
            RETURNING o.customer_id, o.message_id, o.channel, o.campaign_id)
        INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id)
        SELECT c.customer_id, outbox_ack.at, d.message_id, 'sent', d.channel, d.campaign_id
        FROM done d JOIN iaros.customer c ON c.customer_id = d.customer_id;
        RETURN EXISTS (
            SELECT FROM iaros.outbox o
            WHERE o.message_id = outbox_ack.message_id AND o.claim_token = outbox_ack.token AND o.status = 'sent');
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_ack(bigint, bigint, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_ack(bigint, bigint, timestamptz) IS
        'Gate: records that the provider took a message, and a message_event of kind sent. Returns false and changes nothing when the token is not that of the last claim, so that a worker which was too slow cannot overrule its successor; true again for the same token. NULL gives NULL. Error: 22023 at infinite, before 1900 or more than 5 minutes ahead.';

    CREATE FUNCTION iaros.outbox_fail(
        message_id bigint,
        token bigint,
        error text,
        permanent boolean DEFAULT false,
        at timestamptz DEFAULT now())
        RETURNS iaros.outbox_status
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        max_attempts integer := iaros.setting_get('message_max_attempts')::integer;
        wait interval := iaros.setting_get('message_retry_after')::interval;
        now_is iaros.outbox_status;
        on_channel text;
    BEGIN
        PERFORM iaros.install_check();
        PERFORM iaros.message_time_check(outbox_fail.at);
        UPDATE iaros.outbox o SET
            status = CASE WHEN permanent OR o.attempts >= max_attempts
                          THEN 'dead'::iaros.outbox_status ELSE 'failed' END,
            send_after = outbox_fail.at + least(wait * power(2, least(o.attempts, 30) - 1), interval '6 hours'),
            claimed_until = NULL, last_error = left(error, 1000)
        WHERE o.message_id = outbox_fail.message_id AND o.claim_token = outbox_fail.token AND o.status = 'claimed'
        RETURNING o.status, o.channel INTO now_is, on_channel;
        IF now_is = 'dead' THEN
            -- Without the error: providers repeat the address in it.
            PERFORM iaros.alert_raise('outbox_dead', 'warning', on_channel,
                format('message %s was given up; outbox.last_error tells why', outbox_fail.message_id));
        END IF;
        RETURN now_is;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_fail(bigint, bigint, text, boolean, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_fail(bigint, bigint, text, boolean, timestamptz) IS
        'Gate: records that a message could not be sent and returns what becomes of it: failed (tried again after message_retry_after, doubled with each attempt, at most 6 hours) or dead (permanent, or message_max_attempts reached; raises an alert, which leaves the error out, since providers repeat addresses in it). NULL and no change when the token is not that of the last claim. Error: 22023 at infinite, before 1900 or more than 5 minutes ahead.';

    CREATE FUNCTION iaros.outbox_retry(message_id bigint) RETURNS boolean
        LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM iaros.install_check();
        UPDATE iaros.outbox o SET status = 'queued', attempts = 0, send_after = now()
        WHERE o.message_id = outbox_retry.message_id AND o.status = 'dead';
        RETURN FOUND;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.outbox_retry(bigint) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.outbox_retry(bigint) IS
        'Gate: queues a dead message again, with all its attempts; false when there is no dead message of that id.';

    CREATE FUNCTION iaros.message_event_record(
        message_id bigint,
        kind iaros.message_event_kind,
        occurred_at timestamptz DEFAULT now(),
        detail jsonb DEFAULT '{}')
        RETURNS boolean
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        m record;
        event_kind text;
    BEGIN
        PERFORM iaros.install_check();
        -- The clock of the provider may be ahead.
        PERFORM iaros.message_time_check(message_event_record.occurred_at, interval '1 day');
        SELECT o.customer_id, o.channel, o.campaign_id, o.purpose INTO m
        FROM iaros.outbox o WHERE o.message_id = message_event_record.message_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING
                ERRCODE = 'no_data_found',
                MESSAGE = format('message %s does not exist', coalesce(message_event_record.message_id::text, 'NULL')),
                HINT = 'Messages older than outbox_keep_days are no longer in iaros.outbox.';
        END IF;
        INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id, detail)
        VALUES (m.customer_id, message_event_record.occurred_at, message_event_record.message_id,
                message_event_record.kind, m.channel, m.campaign_id, coalesce(message_event_record.detail, '{}'))
        ON CONFLICT (customer_id, message_id, kind, occurred_at) DO NOTHING;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        IF kind IN ('opened', 'clicked') THEN
            event_kind := CASE m.channel || ' ' || kind
                WHEN 'email opened' THEN 'email_open' WHEN 'email clicked' THEN 'email_click'
                WHEN 'sms clicked' THEN 'sms_click' WHEN 'push opened' THEN 'push_open' END;
            PERFORM iaros.event_record(m.customer_id, event_kind, message_event_record.occurred_at,
                jsonb_strip_nulls(jsonb_build_object('message_id', message_event_record.message_id, 'campaign_id', m.campaign_id)),
                'message')
            WHERE event_kind IS NOT NULL;
            PERFORM iaros.touchpoint_record(m.customer_id, m.channel, message_event_record.occurred_at,
                CASE kind WHEN 'opened' THEN 'open' ELSE 'click' END,
                m.campaign_id, message_event_record.message_id, NULL, 'message');
        ELSIF kind IN ('bounced_hard', 'complained', 'unsubscribed') THEN
            PERFORM iaros.dnc_add(m.customer_id, m.channel,
                CASE kind WHEN 'bounced_hard' THEN 'hard_bounce' WHEN 'complained' THEN 'spam_complaint'
                          ELSE 'unsubscribe' END,
                least(message_event_record.occurred_at, now()));
        END IF;
        RETURN true;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.message_event_record(bigint, iaros.message_event_kind, timestamptz, jsonb) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.message_event_record(bigint, iaros.message_event_kind, timestamptz, jsonb) IS
        'Gate: records what became of a message and draws the consequences in the same transaction: opens and clicks become an event of the customer and a touchpoint; a hard bounce, a complaint or an unsubscription puts the customer on the do-not-contact list of the channel, at once even where the clock of the provider is ahead. Returns false and changes nothing when the message has an event of that kind at that moment already. Errors: P0002 message that does not exist, 22023 occurred_at infinite, before 1900 or more than a day ahead.';
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.message_install() IS
'Makes the tables and gates of the domain message. Called by install().';
