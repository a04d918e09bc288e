-- airline_loyalty_members and bank_marketing as tables of the user's own:
-- rules and the plain SQL that someone would write by hand have the same
-- members, exactly.
\ir check.psql
SET search_path = public, iaros;

-- Compares rules with SQL on a table: by segment_scan() and as WHERE.
CREATE TABLE pg_temp.pair (source text, n integer, rule segment_rule, plain text);
CREATE FUNCTION pg_temp.compare(name text, as_of timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    p record;
    want audience;
    found audience;
    total bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %I', name) INTO total;
    FOR p IN
        SELECT q.*, s.members
        FROM pair q
        JOIN segment_scan((SELECT array_agg(rule ORDER BY n) FROM pair WHERE source = name), name, 'id', as_of) s ON s.rule = q.n
        WHERE q.source = name ORDER BY q.n
    LOOP
        EXECUTE format('SELECT audience_agg(id) FROM %I WHERE %s', name, p.plain) INTO want;
        EXECUTE format('SELECT audience_agg(id) FROM %I WHERE %s', name, segment_rule_sql(p.rule, name, as_of)) INTO found;
        IF p.members <> want OR found <> want THEN
            RAISE EXCEPTION '%, rule %: segment_scan() finds %, segment_rule_sql() % and % is true of %', name, p.n,
                audience_count(p.members), audience_count(found), p.plain, audience_count(want);
        END IF;
        IF audience_count(want) IN (0, total) THEN
            RAISE EXCEPTION '%, rule % tells nobody apart', name, p.n;
        END IF;
        RAISE NOTICE '%, rule %: % of %, %', name, p.n, audience_count(want), total, p.plain;
    END LOOP;
END $$;

CREATE TEMP TABLE member_text (loyalty_number text, country text, province text, city text, postal_code text, gender text,
    education text, salary text, marital_status text, loyalty_card text, clv text, enrollment_type text,
    enrollment_year text, enrollment_month text, cancellation_year text, cancellation_month text);
\copy member_text from program 'gzip -dc "$IAROS_DATA/airline_loyalty_members.csv.gz"' csv header
CREATE TYPE card AS ENUM ('Star', 'Nova', 'Aurora');
CREATE TABLE member AS
SELECT loyalty_number::bigint AS id, province, city::varchar(40), postal_code::char(7), gender, education::name, salary::integer,
    marital_status, loyalty_card::card, clv::numeric(12, 2), enrollment_type, make_date(enrollment_year::integer, enrollment_month::integer, 1) AS enrolled,
    make_timestamptz(cancellation_year::integer, cancellation_month::integer, 1, 0, 0, 0, 'UTC') AS "Member.Cancelled", cancellation_year IS NULL AS active
FROM member_text;
SELECT pg_temp.check_equal('members', count(*), 16737::bigint) FROM member \g /dev/null
INSERT INTO pair VALUES
    ('member', 1, '{"field": "salary", "operator": "<", "value": 0}', 'salary < 0'),
    ('member', 2, '{"field": "salary", "operator": "IS NULL"}', 'salary IS NULL'),
    ('member', 3, '{"field": "salary", "operator": "BETWEEN", "value": [60000, 80000.5]}', 'salary BETWEEN 60000 AND 80000'),
    ('member', 4, '{"logic": "NOT", "rules": [{"field": "salary", "operator": ">=", "value": 50000}]}', 'NOT salary >= 50000'),
    ('member', 5, '{"field": "clv", "operator": ">", "value": 8000.25}', 'clv > 8000.25'),
    ('member', 6, '{"field": "loyalty_card", "operator": "IN", "value": ["Aurora", "Nova"]}', $$loyalty_card IN ('Aurora', 'Nova')$$),
    ('member', 7, '{"field": "province", "operator": "NOT IN", "value": ["Ontario", "Quebec"]}', $$province NOT IN ('Ontario', 'Quebec')$$),
    ('member', 8, '{"field": "city", "operator": "STARTS WITH", "value": "Van"}', $$city LIKE 'Van%'$$),
    ('member', 9, '{"field": "postal_code", "operator": "CONTAINS", "value": "6E"}', $$postal_code LIKE '%6E%'$$),
    ('member', 10, '{"field": "enrolled", "operator": ">=", "value": "2018-02-01"}', $$enrolled >= '2018-02-01'$$),
    ('member', 11, '{"field": "enrolled", "within": "1 year"}', $$enrolled > '2017-12-31' AND enrolled <= '2018-12-31'$$),
    ('member', 12, '{"field": "enrolled", "operator": "MONTH", "value": "this"}', 'extract(month FROM enrolled) = 12'),
    ('member', 13, '{"field": "enrolled", "operator": "ANNIVERSARY", "value": "31 days"}', 'extract(month FROM enrolled) = 1'),
    ('member', 14, '{"field": "Member.Cancelled", "within": "6 months"}', $$"Member.Cancelled" > '2018-06-30 12:00+00' AND "Member.Cancelled" <= '2018-12-31 12:00+00'$$),
    ('member', 15, '{"field": "member.cancelled", "operator": "BETWEEN", "value": ["2016-01-01", "2017-12-31"]}', $$"Member.Cancelled" >= '2016-01-01 00:00+00' AND "Member.Cancelled" < '2018-01-01 00:00+00'$$),
    ('member', 16, '{"field": "enrolled", "operator": ">=", "value": "5 years"}', $$enrolled <= '2013-12-31'$$),
    ('member', 17, '{"logic": "AND", "rules": [{"field": "active", "operator": "=", "value": true}, {"field": "loyalty_card", "operator": "=", "value": "Star"}, {"field": "education", "operator": "!=", "value": "College"}, {"field": "clv", "operator": "<=", "value": 4000}]}',
        $$active AND loyalty_card = 'Star' AND education <> 'College' AND clv <= 4000$$),
    ('member', 18, '{"logic": "OR", "rules": [{"logic": "AND", "rules": [{"field": "gender", "operator": "=", "value": "Female"}, {"field": "marital_status", "operator": "=", "value": "Single"}]}, {"logic": "NOT", "rules": [{"logic": "OR", "rules": [{"field": "enrollment_type", "operator": "=", "value": "Standard"}, {"field": "salary", "operator": "<", "value": 90000}]}]}]}',
        $$gender = 'Female' AND marital_status = 'Single' OR NOT (enrollment_type = 'Standard' OR salary < 90000)$$),
    ('member', 19, '{"logic": "AND", "rules": [{"field": "member.cancelled", "operator": "=", "value": null}, {"field": "enrollment_type", "operator": "CONTAINS", "value": "2018"}]}',
        $$"Member.Cancelled" IS NULL AND enrollment_type LIKE '%2018%'$$),
    ('member', 20, '{"logic": "NOT", "rules": [{"field": "member.cancelled", "before": "365 days"}]}', $$NOT "Member.Cancelled" <= '2017-12-31 12:00+00'$$);
SELECT pg_temp.compare('member', '2018-12-31 12:00+00') \g /dev/null

CREATE TABLE contact (age smallint, job text, marital text, education text, "default" text, housing text, loan text, contact text, month char(3),
    day_of_week char(5), duration integer, campaign integer, pdays integer, previous bigint, poutcome text, emp_var_rate numeric,
    cons_price_idx double precision, cons_conf_idx real, euribor3m double precision, nr_employed numeric(6, 1), y text);
\copy contact from program 'gzip -dc "$IAROS_DATA/bank_marketing.csv.gz"' csv header
ALTER TABLE contact ADD id bigint GENERATED ALWAYS AS IDENTITY;
SELECT pg_temp.check_equal('contacts', count(*), 41188::bigint), pg_temp.check_equal('yes', count(*) FILTER (WHERE y = 'yes'), 4640::bigint) FROM contact \g /dev/null
INSERT INTO pair VALUES
    ('contact', 1, '{"field": "y", "operator": "=", "value": "yes"}', $$y = 'yes'$$),
    ('contact', 2, '{"field": "age", "operator": ">", "value": 59.5}', 'age >= 60'),
    ('contact', 3, '{"field": "age", "operator": "NOT IN", "value": [30, 31, 32.5, 40000]}', 'age NOT IN (30, 31)'),
    ('contact', 4, '{"field": "job", "operator": "CONTAINS", "value": "-"}', $$strpos(job, '-') > 0$$),
    ('contact', 5, '{"field": "job", "operator": "STARTS WITH", "value": "admin."}', $$left(job, 6) = 'admin.'$$),
    ('contact', 6, '{"field": "education", "operator": "IN", "value": ["basic.4y", "basic.6y", "basic.9y"]}', $$education IN ('basic.4y', 'basic.6y', 'basic.9y')$$),
    ('contact', 7, '{"field": "default", "operator": "!=", "value": "no"}', $$"default" <> 'no'$$),
    ('contact', 8, '{"field": "month", "operator": "IN", "value": ["mar", "sep", "oct", "dec"]}', $$month IN ('mar', 'sep', 'oct', 'dec')$$),
    ('contact', 9, '{"field": "day_of_week", "operator": "=", "value": "fri"}', $$day_of_week = 'fri'$$),
    ('contact', 10, '{"field": "pdays", "operator": "!=", "value": 999}', 'pdays <> 999'),
    ('contact', 11, '{"field": "emp_var_rate", "operator": "=", "value": -1.8}', 'emp_var_rate = -1.8'),
    ('contact', 12, '{"field": "emp_var_rate", "operator": "BETWEEN", "value": [-1.1, 1.1]}', 'emp_var_rate BETWEEN -1.1 AND 1.1'),
    ('contact', 13, '{"field": "cons_price_idx", "operator": "=", "value": 93.994}', 'cons_price_idx = 93.994::float8'),
    ('contact', 14, '{"field": "cons_conf_idx", "operator": ">=", "value": -36.4}', 'cons_conf_idx >= (-36.4)::float8'),
    ('contact', 15, '{"field": "cons_conf_idx", "operator": "IN", "value": [-36.5, -40]}', 'cons_conf_idx IN (-36.5, -40)'),
    ('contact', 16, '{"field": "euribor3m", "operator": "<", "value": 1.4}', 'euribor3m < 1.4'),
    ('contact', 17, '{"field": "nr_employed", "operator": "<=", "value": 5099.1}', 'nr_employed <= 5099.1'),
    ('contact', 18, '{"logic": "AND", "rules": [{"field": "contact", "operator": "=", "value": "cellular"}, {"field": "previous", "operator": ">=", "value": 1}, {"field": "poutcome", "operator": "=", "value": "success"}, {"logic": "OR", "rules": [{"field": "housing", "operator": "=", "value": "yes"}, {"field": "loan", "operator": "=", "value": "yes"}]}]}',
        $$contact = 'cellular' AND previous >= 1 AND poutcome = 'success' AND (housing = 'yes' OR loan = 'yes')$$),
    ('contact', 19, '{"logic": "NOT", "rules": [{"logic": "AND", "rules": [{"field": "marital", "operator": "=", "value": "married"}, {"field": "duration", "operator": ">", "value": 180}, {"field": "campaign", "operator": "<", "value": 3}]}]}',
        $$NOT (marital = 'married' AND duration > 180 AND campaign < 3)$$),
    ('contact', 20, '{"logic": "OR", "rules": [{"field": "campaign", "operator": ">", "value": 10}, {"logic": "AND", "rules": [{"field": "age", "operator": "<", "value": 25}, {"field": "job", "operator": "=", "value": "student"}, {"logic": "NOT", "rules": [{"field": "education", "operator": "=", "value": "unknown"}]}]}]}',
        $$campaign > 10 OR age < 25 AND job = 'student' AND education <> 'unknown'$$);
SELECT pg_temp.compare('contact', '2010-11-30') \g /dev/null
