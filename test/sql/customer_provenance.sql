-- customer: provenance, what is refused and how, and what wins and why.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

SELECT * FROM iaros.customer_attributes();
INSERT INTO iaros.customer (customer_id, source, first_name, city, birth_date, observed_at, created_at)
VALUES (1001, 'crm', 'Ada', 'London', '1985-12-10', '2026-01-01', '2026-01-02');
SELECT attribute, value, source, observed_at, received_at, priority, wins, reason, stored_as FROM iaros.customer_provenance(1001);
SELECT * FROM iaros.customer_provenance(NULL);
SELECT * FROM iaros.customer_provenance(42);

-- Refused, with all reasons, and nothing is written.
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": "Paris", "citty": "Paris", "birth_date": "10.12.1985", "language": "xx-yy"}', '2026-02-01');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"trait.Bad Name": 1}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"customer_id": 5}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"country": "XX"}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"country": "GBR"}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"birth_date": "1985-02-30", "gender": 1, "time_zone": "Mars/Olympus", "city": ["a"]}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '[1]');
SELECT * FROM iaros.customer_claim_record(1001, 'web', NULL);
SELECT * FROM iaros.customer_claim_record(1001, 'nowhere', '{"city": "Paris"}');
SELECT * FROM iaros.customer_claim_record(4711, 'web', '{"city": "Paris"}');
SELECT * FROM iaros.customer_claim_record(NULL, 'web', '{"city": "Paris"}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": "Paris"}', '1066-10-14');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": "Paris"}', 'infinity');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": "Paris"}', NULL);
SELECT iaros.customer_claim_withdraw(1001, 'web', '{citty}');
SELECT iaros.customer_claim_withdraw(1001, 'nowhere');
SELECT iaros.customer_claim_withdraw(4711, 'web');
SELECT count(*) FROM iaros.customer_claim;
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{}');
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": ""}');

-- The order: priority, time, name of the source.
SELECT * FROM iaros.customer_claim_record(1001, 'web', '{"city": "Paris", "language": "fr", "trait.seat": "aisle"}', '2026-03-01');
SELECT * FROM iaros.customer_claim_record(1001, 'mobile', '{"city": "Lyon", "language": "de", "trait.seat": "aisle"}', '2026-03-02');
SELECT * FROM iaros.customer_claim_record(1001, 'support', '{"gender": "other"}', '2026-03-02');
SELECT * FROM iaros.customer_claim_record(1001, 'pss', '{"gender": "female"}', '2026-03-02');
SELECT * FROM iaros.customer_claim_record(1001, 'loyalty', '{"city": null}', '2020-01-01');
SELECT * FROM iaros.customer_claim_record(1001, 'loyalty', '{"city": "Rome"}', '2019-01-01');
SELECT attribute, value, source, observed_at, priority, wins, reason FROM iaros.customer_provenance(1001);
SELECT first_name, city, language, gender FROM iaros.customer WHERE customer_id = 1001;
SELECT iaros.customer_claim_withdraw(1001, 'loyalty');
SELECT first_name, city, language, gender FROM iaros.customer WHERE customer_id = 1001;

-- A person of two ids: nothing is moved, so nothing has to be moved back.
INSERT INTO iaros.customer (customer_id, source, city, country, observed_at) VALUES (1002, 'loyalty', 'Oslo', 'NO', '2025-01-01');
SELECT iaros.customer_recognise(1002, 1001);
SELECT attribute, value, source, wins, reason, stored_as FROM iaros.customer_provenance(1002) WHERE attribute IN ('city', 'country');
SELECT city, country FROM iaros.customer WHERE customer_id IN (1001, 1002) ORDER BY customer_id;
SELECT iaros.customer_separate(1002);
SELECT attribute, value, source, wins, reason, stored_as FROM iaros.customer_provenance(1001) WHERE attribute IN ('city', 'country');

-- Many at once: what is refused is kept with all reasons.
INSERT INTO iaros.customer_key (source, external_id, customer_id) VALUES ('crm', 'C1', 1001);
SELECT rows, accepted, duplicates, refused FROM iaros.customer_claim_load('external', $$
    SELECT 'C1' AS customer_external_id, 'crm' AS customer_source, NULL AS customer_id, '2026-04-01' AS observed_at, '{"city": "Bonn", "trait.children": 2}'::jsonb AS attributes
    UNION ALL SELECT NULL, NULL, '1002', '2026-04-01', '{"citty": "Bonn", "gender": "q"}'
    UNION ALL SELECT NULL, NULL, '99', '2026-02-30', '[]'
    UNION ALL SELECT NULL, NULL, '1001', '2199-01-01', '{}'$$);
SELECT row_no, reasons FROM iaros.load_reject WHERE load_id = (SELECT max(load_id) FROM iaros.load_run) ORDER BY 1;
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('external', 'claim', '{"customer_id": 1001, "observed_at": "2026-04-01", "attributes": {"city": "Bonn", "trait.children": 2}}');
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('external', 'claim', '{"customer_id": 1001, "observed_at": "2026-04-01", "attributes": {"city": "Trier"}, "more": 1}');
SELECT * FROM iaros.customer_claim_load('nowhere', 'SELECT 1');
SELECT * FROM iaros.customer_claim_load('web', 'SELECT 1 AS customer_id');
SELECT attribute, value, source, wins FROM iaros.customer_provenance(1001) WHERE source = 'external';
