-- offer: the catalogue of offers and for whom each is meant.

CREATE TYPE @extschema@.offer_stage AS ENUM ('acquisition', 'growth', 'retention', 'win_back');
COMMENT ON TYPE @extschema@.offer_stage IS
'Stage of a customer''s life that an offer is meant for: acquisition (no booking yet, or the first in the last 30 days), growth (booked in the last 90 days), retention (last booking 90 to 180 days ago), win_back (180 days ago or longer).';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.offer_create(
    code text,
    name text,
    category text,
    description text DEFAULT NULL,
    lifecycle_stage @extschema@.offer_stage DEFAULT NULL,
    target_segment text DEFAULT NULL,
    min_customer_value numeric DEFAULT NULL,
    max_customer_value numeric DEFAULT NULL,
    channels text[] DEFAULT '{}',
    item_kind text DEFAULT NULL,
    cabin @extschema@.cabin DEFAULT NULL,
    members_only boolean DEFAULT false,
    discount_percent numeric DEFAULT NULL,
    valid_from timestamptz DEFAULT NULL,
    valid_to timestamptz DEFAULT NULL,
    model_class integer DEFAULT NULL,
    weight numeric DEFAULT 1)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    segment_name text;
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.offer_category c WHERE c.category = offer_create.category) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('offer category "%s" does not exist', offer_create.category),
            HINT = 'List the categories with SELECT * FROM iaros.offer_category; add your own there.';
    END IF;
    IF offer_create.target_segment IS NOT NULL THEN
        SELECT s.name INTO segment_name FROM iaros.segment s
        WHERE s.segment_id = iaros.segment_find(offer_create.target_segment);
    END IF;
    INSERT INTO iaros.offer (code, name, category, description, lifecycle_stage, target_segment,
        min_customer_value, max_customer_value, item_kind, cabin, members_only,
        discount_percent, valid, model_class, weight)
    VALUES (upper(btrim(offer_create.code)), offer_create.name, offer_create.category,
        offer_create.description, offer_create.lifecycle_stage, segment_name,
        offer_create.min_customer_value, offer_create.max_customer_value,
        offer_create.item_kind, offer_create.cabin, offer_create.members_only,
        offer_create.discount_percent, tstzrange(offer_create.valid_from, offer_create.valid_to),
        offer_create.model_class, offer_create.weight)
    RETURNING offer_id INTO id;
    INSERT INTO iaros.offer_channel (offer_id, channel)
    SELECT DISTINCT id, c FROM unnest(offer_create.channels) AS c;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.offer_create(text, text, text, text, @extschema@.offer_stage, text, numeric, numeric, text[], text, @extschema@.cabin, boolean, numeric, timestamptz, timestamptz, integer, numeric) IS
'Adds an offer to the catalogue and returns its offer_id. Conditions left NULL ask for nothing: lifecycle_stage; target_segment, a segment by name; the bounds [min_customer_value, max_customer_value) of spend in 12 months in the base currency; channels, empty for all; [valid_from, valid_to). item_kind and cabin say what the offer is about, discount_percent what a message may state; weight (0 to 10) scales its score in recommendations. Errors: 23505 code or model_class is taken, 23503 category, channel or item kind that does not exist, 42704 segment that does not exist, 23514 value outside its range, 22000 valid_to before valid_from.';

CREATE FUNCTION @extschema@.offer_list(
    only_active boolean DEFAULT true,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (offer_id bigint, code text, name text, description text, category text,
        lifecycle_stage @extschema@.offer_stage, target_segment text,
        min_customer_value numeric, max_customer_value numeric, channels text[],
        item_kind text, cabin @extschema@.cabin, members_only boolean, discount_percent numeric,
        valid tstzrange, is_active boolean, model_class integer, weight numeric)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT o.offer_id, o.code, o.name, o.description, o.category, o.lifecycle_stage,
            o.target_segment, o.min_customer_value, o.max_customer_value,
            ARRAY(SELECT h.channel FROM iaros.offer_channel h WHERE h.offer_id = o.offer_id ORDER BY 1),
            o.item_kind, o.cabin, o.members_only, o.discount_percent, o.valid,
            o.is_active, o.model_class, o.weight
        FROM iaros.offer o
        WHERE NOT only_active OR (o.is_active AND o.valid @> as_of)
        ORDER BY o.offer_id;
END $$;
COMMENT ON FUNCTION @extschema@.offer_list(boolean, timestamptz) IS
'Returns the offers that are active and valid at a time, or all of them; channels is empty for an offer that every channel may carry. NULL gives no row.';

CREATE FUNCTION @extschema@.offer_get(offer text)
    RETURNS TABLE (offer_id bigint, code text, name text, description text, category text,
        lifecycle_stage @extschema@.offer_stage, target_segment text,
        min_customer_value numeric, max_customer_value numeric, channels text[],
        item_kind text, cabin @extschema@.cabin, members_only boolean, discount_percent numeric,
        valid tstzrange, is_active boolean, model_class integer, weight numeric)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT o.* FROM iaros.offer_list(false) o
        WHERE o.code = upper(btrim(offer_get.offer)) OR o.offer_id::text = offer_get.offer;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('offer "%s" does not exist', left(offer_get.offer, 64)),
            HINT = 'List the offers with SELECT * FROM iaros.offer_list(false).';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.offer_get(text) IS
'Returns one offer, given by its code or by its offer_id as text. NULL gives no row. Error: 42704 no such offer.';

CREATE FUNCTION @extschema@.offer_activate(offer text, is_active boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    SELECT g.offer_id INTO id FROM iaros.offer_get(offer_activate.offer) g;
    UPDATE iaros.offer o SET is_active = offer_activate.is_active, updated_at = now()
    WHERE o.offer_id = id AND o.is_active <> offer_activate.is_active;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.offer_activate(text, boolean) IS
'Takes an offer (by code or offer_id) out of use (false) or back into it (true); nothing is deleted. Returns false when it was so already. NULL gives NULL. Error: 42704 no such offer.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.offer_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('offer', 1) THEN
    CREATE TABLE iaros.offer_category (
        category text PRIMARY KEY CHECK (category ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.offer_category IS 'Kinds of offers. Add your own.';
    INSERT INTO iaros.offer_category (category, description, shipped_hash) VALUES
        ('points', 'More points of the loyalty programme', 'new'),
        ('discount', 'A lower price', 'new'),
        ('access', 'Access to lounges, fast track, early sales', 'new'),
        ('upgrade', 'A better cabin', 'new'),
        ('ancillary', 'Something beside the seat', 'new'),
        ('bundle', 'Several things at one price', 'new');
    PERFORM iaros.shipped_seal('iaros.offer_category');

    CREATE SEQUENCE iaros.offer_id_seq;
    CREATE TABLE iaros.offer (
        offer_id bigint PRIMARY KEY DEFAULT nextval('iaros.offer_id_seq'),
        model_class integer UNIQUE,
        code text NOT NULL UNIQUE,
        name text NOT NULL CHECK (name <> ''),
        description text,
        category text NOT NULL REFERENCES iaros.offer_category,
        lifecycle_stage iaros.offer_stage,
        target_segment text REFERENCES iaros.segment (name) ON UPDATE CASCADE,
        min_customer_value numeric(16,4),
        max_customer_value numeric(16,4),
        item_kind text REFERENCES iaros.item_kind,
        cabin iaros.cabin,
        members_only boolean NOT NULL DEFAULT false,
        discount_percent numeric(5,2),
        valid tstzrange NOT NULL DEFAULT '(,)',
        is_active boolean NOT NULL DEFAULT true,
        weight numeric(6,4) NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text,
        CONSTRAINT offer_code CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{1,39}$' AND code !~ '^[0-9]+$'),
        CONSTRAINT offer_model_class CHECK (model_class >= 0),
        CONSTRAINT offer_value_bounds CHECK (min_customer_value >= 0 AND max_customer_value > coalesce(min_customer_value, 0)),
        CONSTRAINT offer_discount CHECK (discount_percent > 0 AND discount_percent <= 100),
        CONSTRAINT offer_valid CHECK (NOT isempty(valid)),
        CONSTRAINT offer_weight CHECK (weight BETWEEN 0 AND 10)
    );
    COMMENT ON TABLE iaros.offer IS
        'The catalogue of offers. Conditions that are NULL ask for nothing. Offers are taken out of use by is_active, not deleted.';
    COMMENT ON COLUMN iaros.offer.model_class IS 'Class that a model of next best offers predicts for this offer.';
    COMMENT ON COLUMN iaros.offer.min_customer_value IS 'Spend in 12 months, base currency, from which on the offer is meant for a customer.';
    COMMENT ON COLUMN iaros.offer.max_customer_value IS 'Spend in 12 months, base currency, from which on the offer is not meant for a customer any more.';
    COMMENT ON COLUMN iaros.offer.weight IS 'Scales the score of the offer in recommendations; 1 leaves it as it is.';
    CREATE INDEX offer_target_segment ON iaros.offer (target_segment) WHERE target_segment IS NOT NULL;
    CREATE INDEX offer_by_category ON iaros.offer (category);
    CREATE INDEX offer_item_kind ON iaros.offer (item_kind) WHERE item_kind IS NOT NULL;

    CREATE TABLE iaros.offer_channel (
        offer_id bigint NOT NULL REFERENCES iaros.offer ON DELETE CASCADE,
        channel text NOT NULL REFERENCES iaros.channel,
        PRIMARY KEY (offer_id, channel)
    );
    COMMENT ON TABLE iaros.offer_channel IS
        'Channels that may carry an offer; an offer without a row goes through every channel.';
    CREATE INDEX offer_channel_channel ON iaros.offer_channel (channel);

    INSERT INTO iaros.offer (model_class, code, name, description, category, lifecycle_stage,
        target_segment, min_customer_value, max_customer_value, item_kind, cabin, members_only,
        discount_percent, shipped_hash) VALUES
        (0, 'DOUBLE_POINTS', 'Double points', 'Double points on the next flight.',
         'points', 'growth', NULL, NULL, NULL, NULL, NULL, true, NULL, 'new'),
        (1, 'WELCOME_DISCOUNT', 'Welcome discount', 'Ten percent off the next booking of a new customer.',
         'discount', 'acquisition', NULL, NULL, NULL, NULL, NULL, false, 10, 'new'),
        (2, 'WINBACK_DISCOUNT', 'Win-back discount', 'Twenty percent off for customers who have not booked for half a year.',
         'discount', 'win_back', 'Lapsed Customers', NULL, NULL, NULL, NULL, false, 20, 'new'),
        (3, 'LOUNGE_ACCESS', 'Lounge access', 'One visit to the lounge for customers who spend more than 5,000 a year.',
         'access', NULL, 'High-Value Customers', 5000, NULL, 'lounge', NULL, false, NULL, 'new'),
        (4, 'BUSINESS_UPGRADE', 'Upgrade to business class', 'Upgrade at a fixed price, shown before check-in.',
         'upgrade', NULL, NULL, 1000, NULL, 'upgrade', 'business', false, NULL, 'new'),
        (5, 'EXTRA_LEGROOM', 'Seat with extra legroom', 'A seat with extra legroom on the next flight.',
         'ancillary', NULL, NULL, NULL, NULL, 'legroom', NULL, false, NULL, 'new'),
        (6, 'FAMILY_BUNDLE', 'Family bundle', 'Seats together, a bag each and meals at one price.',
         'bundle', NULL, 'Family Travelers', NULL, NULL, 'bundle', NULL, false, NULL, 'new'),
        (7, 'CART_SAVER', 'Five percent off the cart', 'Five percent off the booking that was left in the cart.',
         'discount', NULL, 'Abandoned Cart', NULL, NULL, NULL, NULL, false, 5, 'new');
    PERFORM iaros.shipped_seal('iaros.offer');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.offer_install() IS
'Makes the tables of the domain offer. Called by install().';
