-- One tick that sends a mail to each of rows / 10 customers, with ledger,
-- consent, aliases and addresses, against two plain INSERTs (ledger and queue,
-- same constraints) that check consent and do-not-contact in one join and know
-- nothing of aliases, reasons or languages. The same messages come out.
-- Variable: rows.
BEGIN;
INSERT INTO iaros.customer (customer_id, source, first_name)
SELECT i, 'crm', 'Ann' || i % 1000 FROM generate_series(1, :rows / 10) AS i;
INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary)
SELECT i, 'email', 'c' || i || '@example.org', true FROM generate_series(1, :rows / 10) AS i;
-- One in ten never agreed, one in a hundred withdrew, one in fifty bounced.
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at)
SELECT i, 'email', 'marketing', true, 'form', timestamptz '2026-01-01' FROM generate_series(1, :rows / 10) AS i WHERE i % 10 > 0
UNION ALL
SELECT i, 'email', 'marketing', false, 'form', '2026-02-01' FROM generate_series(1, :rows / 10) AS i WHERE i % 100 = 7;
INSERT INTO iaros.dnc (customer_id, channel, reason, added_at)
SELECT i, 'email', 'hard_bounce', timestamptz '2026-02-01' FROM generate_series(1, :rows / 10) AS i WHERE i % 50 = 3;
SELECT iaros.segment_create('bench') AS segment_id \gset
INSERT INTO iaros.segment_membership (customer_id, segment_ids)
SELECT i, ARRAY[:segment_id] FROM generate_series(1, :rows / 10) AS i;
CREATE TABLE bench_outbox (LIKE iaros.outbox INCLUDING ALL);
CREATE TABLE bench_send (LIKE iaros.campaign_send INCLUDING ALL);
ALTER TABLE bench_send
    ADD FOREIGN KEY (customer_id) REFERENCES iaros.customer,
    ADD FOREIGN KEY (campaign_id) REFERENCES iaros.campaign;
SELECT iaros.message_template_set('bench', 'email', '<p>Dear {{customer.firstName}}, {{offer.discount}} off with code {{offer.code}}.</p>',
    subject => '{{campaign.name}}', html => true) IS NOT NULL AS made \gset
ANALYZE;

CREATE FUNCTION pg_temp.bench_campaign() RETURNS bigint LANGUAGE sql AS $$
    SELECT iaros.campaign_create(format('BENCH-%s', nextval('iaros.campaign_id_seq')), 'Bench', 'email', 'bench',
        segment => 'bench', promo => 'WELCOME10', schedule_at => '2026-03-01 09:00Z') $$;
CREATE FUNCTION pg_temp.bench_ours()
RETURNS TABLE (customer_id bigint, recipient text, subject text, body text) LANGUAGE plpgsql AS $$
DECLARE
    id bigint := pg_temp.bench_campaign();
BEGIN
    PERFORM iaros.campaign_launch(id);
    PERFORM iaros.campaign_tick('2026-03-01 09:00Z', 100000);
    RETURN QUERY SELECT o.customer_id, o.recipient, o.subject, o.body FROM iaros.outbox o WHERE o.campaign_id = id;
END $$;
CREATE FUNCTION pg_temp.bench_plain()
RETURNS TABLE (customer_id bigint, recipient text, subject text, body text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    id bigint := pg_temp.bench_campaign();
BEGIN
    INSERT INTO bench_send (customer_id, campaign_id, trigger_key, trigger_at, outcome, reasons, message_id, at)
    SELECT m.customer_id, id, 'bench', now(), 'sent', '{}', nextval('iaros.message_id_seq'), now()
    FROM iaros.segment_membership m
    JOIN iaros.segment s ON s.segment_id = ANY (m.segment_ids) AND s.name = 'bench'
    JOIN LATERAL (
        SELECT c.given FROM iaros.consent c
        WHERE c.customer_id = m.customer_id AND c.purpose = 'marketing' AND c.channel IN ('email', 'all')
        ORDER BY c.recorded_at DESC LIMIT 1) c ON c.given
    WHERE NOT EXISTS (
        SELECT FROM iaros.dnc d
        WHERE d.customer_id = m.customer_id AND d.channel IN ('email', 'all') AND d.removed_at IS NULL)
    ON CONFLICT DO NOTHING;
    INSERT INTO bench_outbox (message_id, idempotency_key, customer_id, channel, purpose, campaign_id, recipient, subject, body)
    SELECT s.message_id, 'bench:' || s.message_id, s.customer_id, 'email', 'marketing', s.campaign_id, i.value, 'Bench',
        replace(replace(replace('<p>Dear {{customer.firstName}}, {{offer.discount}} off with code {{offer.code}}.</p>',
            '{{customer.firstName}}', c.first_name), '{{offer.discount}}', '10 %'), '{{offer.code}}', 'WELCOME10')
    FROM bench_send s
    JOIN iaros.customer c ON c.customer_id = s.customer_id
    JOIN iaros.customer_identifier i ON i.customer_id = s.customer_id AND i.kind = 'email' AND i.is_primary
    WHERE s.campaign_id = id;
    RETURN QUERY SELECT o.customer_id, o.recipient, o.subject, o.body FROM bench_outbox o WHERE o.campaign_id = id;
END $$;

SELECT pg_temp.bench('campaign_tick', 'SELECT * FROM pg_temp.bench_ours()', 'SELECT * FROM pg_temp.bench_plain()', :rows / 10);
ROLLBACK;
