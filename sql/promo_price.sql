-- promo: the log of prices, and the lowest one before a reduction.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_price_record(
    product text,
    price numeric,
    currency text,
    market text DEFAULT '*',
    reduced boolean DEFAULT false,
    at timestamptz DEFAULT now())
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    before record;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.currency_minor_unit(promo_price_record.currency), iaros.money_check(promo_price_record.price, promo_price_record.currency);
    SELECT l.price, l.reduced INTO before FROM iaros.promo_price_log l
    WHERE l.product = promo_price_record.product AND l.market = promo_price_record.market AND l.currency = promo_price_record.currency
      AND l.at <= promo_price_record.at
    ORDER BY l.at DESC LIMIT 1;
    IF FOUND AND (before.price, before.reduced) IS NOT DISTINCT FROM (promo_price_record.price, promo_price_record.reduced) THEN
        RETURN false;
    END IF;
    INSERT INTO iaros.promo_price_log (product, market, currency, at, price, reduced)
    VALUES (promo_price_record.product, promo_price_record.market, promo_price_record.currency, promo_price_record.at, promo_price_record.price, promo_price_record.reduced)
    ON CONFLICT ON CONSTRAINT promo_price_log_pkey DO UPDATE SET price = excluded.price, reduced = excluded.reduced;
    RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.promo_price_record(text, numeric, text, text, boolean, timestamptz) IS
'Records that a product costs so much in a market and currency from a time on; NULL price: it is not for sale. reduced: the price is announced as a reduction. A market is a name of yours; * is one too, and stands for no other. Returns false, and writes nothing, where that was so already. Errors: 23502 NULL, 23514 negative price, time before 1900, 22003 more decimals than the currency has, 22023 currency not in ISO 4217. One index look-up.';

CREATE FUNCTION @extschema@.promo_price_lowest(
    product text,
    currency text,
    market text DEFAULT '*',
    reduced_at timestamptz DEFAULT now(),
    days integer DEFAULT 30,
    progressive boolean DEFAULT false,
    OUT lowest numeric,
    OUT lowest_at timestamptz,
    OUT window_from timestamptz,
    OUT known_from timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    window_to timestamptz;
BEGIN
    PERFORM iaros.install_check();
    IF days IS NULL OR days NOT BETWEEN 1 AND 3650 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('days is %s, not 1 to 3650', coalesce(days::text, '(NULL)'));
    END IF;
    -- The error for a currency that there is none of, also without prices.
    PERFORM iaros.currency_minor_unit(currency);
    -- A reduction that is under way began before.
    window_to := coalesce((
        SELECT CASE WHEN l.reduced THEN l.at END FROM iaros.promo_price_log l
        WHERE l.product = promo_price_lowest.product AND l.market = promo_price_lowest.market
          AND l.currency = promo_price_lowest.currency AND l.at <= promo_price_lowest.reduced_at
        ORDER BY l.at DESC LIMIT 1), promo_price_lowest.reduced_at);
    IF progressive THEN
        -- The reductions before this one, without a break and ever lower.
        window_to := coalesce((
            SELECT min(r.at) FROM (
                SELECT l.at, bool_and(l.reduced AND (l.after IS NULL OR l.after < l.price))
                    OVER (ORDER BY l.at DESC) AS unbroken
                FROM (SELECT l.at, l.reduced, l.price, lead(l.price) OVER (ORDER BY l.at) AS after
                      FROM iaros.promo_price_log l
                      WHERE l.product = promo_price_lowest.product AND l.market = promo_price_lowest.market
                        AND l.currency = promo_price_lowest.currency AND l.at <= promo_price_lowest.reduced_at) AS l) AS r
            WHERE r.unbroken), window_to);
    END IF;
    window_from := window_to - make_interval(days => days);
    SELECT min(l.at) INTO known_from FROM iaros.promo_price_log l
    WHERE l.product = promo_price_lowest.product AND l.market = promo_price_lowest.market AND l.currency = promo_price_lowest.currency
      AND l.price IS NOT NULL;
    -- Prices of the window, and the one that was in force when it began.
    SELECT l.price, l.at INTO lowest, lowest_at
    FROM iaros.promo_price_log l
    WHERE l.product = promo_price_lowest.product AND l.market = promo_price_lowest.market AND l.currency = promo_price_lowest.currency
      AND l.at < window_to AND l.price IS NOT NULL
      AND l.at >= coalesce((
          SELECT max(b.at) FROM iaros.promo_price_log b
          WHERE b.product = promo_price_lowest.product AND b.market = promo_price_lowest.market AND b.currency = promo_price_lowest.currency
            AND b.at <= window_from), '-infinity')
    ORDER BY l.price, l.at LIMIT 1;
    lowest := iaros.money_round(lowest, currency);
END $$;
COMMENT ON FUNCTION @extschema@.promo_price_lowest(text, text, text, timestamptz, integer, boolean) IS
'Returns the lowest price that a product had in a market and currency within so many days before a reduction at a time (within a recorded reduction: before it began), the one in force when these days began included and that of the reduction not, since when it was in force, when the days began, and since when prices are known; lowest is NULL where there was none. That is the prior price of Directive 98/6/EC, Article 6a (as amended by Directive (EU) 2019/2161), paragraphs 1 and 2. progressive (paragraph 5): before reductions that follow each other without a break, each lower than the last, the days are those before the first of them. Errors: 22023 days outside 1 to 3650, currency not in ISO 4217. O(prices of the product in that time).';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.promo_install_price()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.promo_price_log (
        product text NOT NULL CHECK (product <> ''),
        market text NOT NULL CHECK (market <> ''),
        currency char(3) NOT NULL REFERENCES iaros.currency,
        at timestamptz NOT NULL CHECK (iaros.time_valid(at)),
        price numeric(16,4) CHECK (price >= 0),
        reduced boolean NOT NULL DEFAULT false,
        CONSTRAINT promo_price_log_pkey PRIMARY KEY (product, market, currency, at),
        CONSTRAINT promo_price_log_money CHECK (iaros.money_check(price, currency))
    );
    COMMENT ON TABLE iaros.promo_price_log IS
        'Prices of products by market and currency, each in force until the next one; price NULL: not for sale. Filled by promo_price_record().';
    COMMENT ON COLUMN iaros.promo_price_log.reduced IS 'The price was announced as a reduction.';
    CREATE INDEX promo_price_log_currency ON iaros.promo_price_log (currency);
END $install$;
COMMENT ON PROCEDURE @extschema@.promo_install_price() IS
'Makes the table of prices. Called by promo_install().';
