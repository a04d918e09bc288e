-- loyalty: programmes, tiers, accounts of members.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.loyalty_active(
    enrolled_on date,
    cancelled_on date,
    day date)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN enrolled_on <= day AND (cancelled_on IS NULL OR cancelled_on > day);
COMMENT ON FUNCTION @extschema@.loyalty_active(date, date, date) IS
'Tells whether a membership of [enrolled_on, cancelled_on) holds on a day; cancelled_on NULL: it has no end. NULL when enrolled_on or day is NULL. Inlined.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.loyalty_account_get(
    customer_id bigint,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (programme text, member_no text, tier text, tier_name text, points bigint,
        enrolled_on date, cancelled_on date, active boolean, stored_as bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    ids bigint[] := ARRAY(SELECT iaros.customer_ids(loyalty_account_get.customer_id));
    today date := (coalesce(as_of, now()) AT TIME ZONE 'UTC')::date;
BEGIN
    -- A query that names a column needs the right to read it.
    RETURN QUERY EXECUTE format(
        'SELECT a.programme, %s, a.tier, t.name, a.points, a.enrolled_on, a.cancelled_on,
            iaros.loyalty_active(a.enrolled_on, a.cancelled_on, $2) AS active, a.customer_id
         FROM iaros.loyalty_account a
         JOIN iaros.loyalty_tier t ON t.programme = a.programme AND t.tier = a.tier
         WHERE a.customer_id = ANY ($1)
         ORDER BY active DESC, t.rank DESC, a.programme, a.customer_id',
        CASE WHEN has_column_privilege('iaros.loyalty_account', 'member_no', 'SELECT')
            THEN 'a.member_no' ELSE 'NULL::text' END)
        USING ids, today;
END $$;
COMMENT ON FUNCTION @extschema@.loyalty_account_get(bigint, timestamptz) IS
'Returns the accounts of a person, under any id: programme, number, tier, points, since when, and whether it is active on the day of as_of (UTC); active ones first, then by rank of the tier. The number is NULL for roles that may not read it. No row for a customer without account. Tiers and points are those of today. A few index look-ups.';

CREATE FUNCTION @extschema@.loyalty_enrol(
    customer_id bigint,
    programme text DEFAULT 'frequent_flyer',
    member_no text DEFAULT NULL,
    tier text DEFAULT NULL,
    enrolled_on date DEFAULT current_date,
    points bigint DEFAULT 0)
    RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    number text;
    prefix text;
    holder bigint;
    master bigint := iaros.customer_resolve(customer_id);
BEGIN
    SELECT p.member_prefix INTO prefix
    FROM iaros.loyalty_programme p WHERE p.programme = loyalty_enrol.programme;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('loyalty programme "%s" does not exist', coalesce(loyalty_enrol.programme, 'NULL')),
            HINT = format('Programmes: %s.', (SELECT string_agg(p.programme, ', ' ORDER BY p.programme)
                                             FROM iaros.loyalty_programme p));
    END IF;
    PERFORM iaros.customer_require(master);
    -- One enrolment of a person at a time, so that no second account appears.
    PERFORM FROM iaros.customer c WHERE c.customer_id = master FOR NO KEY UPDATE;
    SELECT a.member_no INTO number
    FROM iaros.loyalty_account a
    WHERE a.programme = loyalty_enrol.programme
      AND a.customer_id IN (SELECT iaros.customer_ids(master))
    ORDER BY a.customer_id = master DESC, a.customer_id
    LIMIT 1;
    IF FOUND THEN
        RETURN number;
    END IF;
    number := coalesce(btrim(loyalty_enrol.member_no),
        prefix || lpad(nextval('iaros.loyalty_member_seq')::text, 9, '0'));
    INSERT INTO iaros.loyalty_account (customer_id, programme, member_no, tier, enrolled_on, points)
    VALUES (master, loyalty_enrol.programme, number,
        coalesce(loyalty_enrol.tier, (SELECT t.tier FROM iaros.loyalty_tier t
            WHERE t.programme = loyalty_enrol.programme ORDER BY t.rank LIMIT 1)),
        loyalty_enrol.enrolled_on, loyalty_enrol.points);
    INSERT INTO iaros.loyalty_key AS k (programme, member_no, customer_id)
    VALUES (loyalty_enrol.programme, number, master)
    ON CONFLICT ON CONSTRAINT loyalty_key_pkey DO UPDATE SET customer_id = k.customer_id
    RETURNING k.customer_id INTO holder;
    IF holder <> master THEN
        RAISE EXCEPTION USING
            ERRCODE = 'unique_violation',
            MESSAGE = format('member number "%s" of programme "%s" belongs to another customer', number, loyalty_enrol.programme),
            HINT = 'Give another number, or none to have one made.';
    END IF;
    INSERT INTO iaros.customer_identifier (customer_id, kind, value, source)
    VALUES (master, 'frequent_flyer', number, 'loyalty')
    ON CONFLICT ON CONSTRAINT customer_identifier_pkey DO NOTHING;
    RETURN number;
END $$;
COMMENT ON FUNCTION @extschema@.loyalty_enrol(bigint, text, text, text, date, bigint) IS
'Makes the account of a person in a programme and returns its number: the one given, or the programme''s prefix and nine digits. The account is kept under the master id; the number also becomes an identifier of kind frequent_flyer. tier NULL: the lowest. A person who has an account, under any id, keeps it unchanged and its number is returned, also when two sessions do it at once. Errors: 23503 customer, programme or tier that does not exist, 23505 number of another customer, 23514 empty number or negative points.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.loyalty_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'loyalty_account',
            format('%s accounts whose number is missing in loyalty_key, or belongs to another customer there', count(*)),
            'Add the rows to iaros.loyalty_key, or use loyalty_enrol().'
        FROM iaros.loyalty_account a
        LEFT JOIN iaros.loyalty_key k ON k.programme = a.programme AND k.member_no = a.member_no
        WHERE k.customer_id IS DISTINCT FROM a.customer_id
        HAVING count(*) > 0;
END $$;
COMMENT ON FUNCTION @extschema@.loyalty_doctor() IS
'Findings of doctor() about loyalty: accounts whose number is not kept unique.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.loyalty_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('loyalty', 1) THEN
    CREATE TABLE iaros.loyalty_programme (
        programme text PRIMARY KEY CHECK (programme ~ '^[a-z][a-z0-9_]{0,40}$'),
        name text NOT NULL,
        member_prefix text NOT NULL CHECK (member_prefix ~ '^[A-Z0-9]{0,6}$'),
        shipped_hash text
    );
    COMMENT ON TABLE iaros.loyalty_programme IS
        'Loyalty programmes; member_prefix starts the numbers that loyalty_enrol() makes. Add your own.';
    INSERT INTO iaros.loyalty_programme (programme, name, member_prefix, shipped_hash) VALUES
        ('frequent_flyer', 'Frequent flyer programme', 'FF', 'new');
    PERFORM iaros.shipped_seal('iaros.loyalty_programme');

    CREATE TABLE iaros.loyalty_tier (
        programme text NOT NULL REFERENCES iaros.loyalty_programme,
        tier text NOT NULL CHECK (tier ~ '^[a-z][a-z0-9_]{0,40}$'),
        name text NOT NULL,
        rank integer NOT NULL,
        shipped_hash text,
        PRIMARY KEY (programme, tier),
        CONSTRAINT loyalty_tier_rank UNIQUE (programme, rank)
    );
    COMMENT ON TABLE iaros.loyalty_tier IS
        'Tiers of the programmes; a higher rank is a better tier, the lowest is where members start.';
    INSERT INTO iaros.loyalty_tier (programme, tier, name, rank, shipped_hash) VALUES
        ('frequent_flyer', 'member', 'Member', 0, 'new'),
        ('frequent_flyer', 'silver', 'Silver', 1, 'new'),
        ('frequent_flyer', 'gold', 'Gold', 2, 'new'),
        ('frequent_flyer', 'platinum', 'Platinum', 3, 'new');
    PERFORM iaros.shipped_seal('iaros.loyalty_tier');

    CREATE SEQUENCE iaros.loyalty_member_seq;
    CREATE TABLE iaros.loyalty_account (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        programme text NOT NULL REFERENCES iaros.loyalty_programme,
        member_no text NOT NULL CHECK (member_no <> '' AND length(member_no) <= 40),
        tier text NOT NULL,
        points bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
        enrolled_on date NOT NULL DEFAULT current_date,
        cancelled_on date,
        PRIMARY KEY (customer_id, programme),
        FOREIGN KEY (programme, tier) REFERENCES iaros.loyalty_tier,
        CONSTRAINT loyalty_account_period CHECK (cancelled_on >= enrolled_on)
    );
    COMMENT ON TABLE iaros.loyalty_account IS
        'Members of loyalty programmes, in [enrolled_on, cancelled_on). Made by loyalty_enrol(), which keeps numbers unique in loyalty_key.';
    CREATE INDEX loyalty_account_tier ON iaros.loyalty_account (programme, tier);

    CREATE TABLE iaros.loyalty_key (
        programme text NOT NULL REFERENCES iaros.loyalty_programme,
        member_no text NOT NULL CHECK (member_no <> ''),
        customer_id bigint NOT NULL,
        PRIMARY KEY (programme, member_no)
    );
    COMMENT ON TABLE iaros.loyalty_key IS
        'Ledger of member numbers: which customer got which. It is looked up by number, not by customer_id, so it stays on the coordinator and has no foreign key to customer.';
    CREATE INDEX loyalty_key_customer ON iaros.loyalty_key (customer_id);
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.loyalty_install() IS
'Makes the tables of the domain loyalty. Called by install().';
