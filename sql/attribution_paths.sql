-- attribution, paths: the touches before each conversion.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_paths(
    touches text,
    conversions text,
    "window" interval DEFAULT '30 days',
    view_window interval DEFAULT NULL,
    dedupe interval DEFAULT NULL,
    click_over_view boolean DEFAULT false,
    restart boolean DEFAULT false,
    aliases text DEFAULT NULL,
    nulls_until timestamptz DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, conversion_id bigint, converted_at timestamptz, value numeric, path @extschema@.touch_path)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100000
    SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.attribution_paths(text, text, interval, interval, interval, boolean, boolean, text, timestamptz) IS
'Returns the path of touches before each conversion, a row a conversion, in an order that depends on the data alone. touches: relation or query, run with the caller''s path and rights, of customer_id (an integer type), at (timestamptz), channel (text) and, where there are any, campaign (text; empty is none), kind (text, in any case: impression, view and open are views; click, visit and NULL are clicks), weight (a number from 0 on; NULL is 1) and stage (text: lead or opportunity; such a touch is a click). conversions: relation or query of customer_id, at and, where there are any, value (a number, returned as it is) and conversion_id (an integer type). Rows without customer, time or channel belong to nobody; a touch whose time is not finite is in no path. A path has the touches of the person in [at - window, at): one at the moment of the conversion does not count. window: without months; a day has 24 hours. view_window: a shorter one for views; NULL: window. dedupe: of touches of a path with the same channel and campaign, one less than this after another that is kept is not, or takes its place when it counts for more: a stage more than a click, a click more than a view; another stage is no repetition. NULL keeps all. click_over_view: a path with a click has no views. restart: touches before the person''s conversion before, at an earlier time, do not count; no touch then is of two conversions at different times. aliases: relation or query of customer_id and master_id; touches and conversions of all ids of a person count together, customer_id of a row is that of the conversion. nulls_until: also returns journeys without a conversion (conversion_id, converted_at and value NULL, customer_id the master''s): touches in no conversion''s window, parted where the next comes more than a window later, if their last one is a window or more before nulls_until, so that no conversion up to then can be missing. Touches of one moment are ordered by channel, then campaign, byte by byte. A path without touches is empty, not NULL. Errors: 42703, 42804 columns that are missing or of a type that does not fit, 22004 a NULL argument that must not be, 22023 a window, view_window or dedupe that is not positive or has months, a view_window longer than window, a weight, stage, kind or empty channel, 22008 the time of a conversion that is not finite or of a touch in a path outside the years 1000 to 2999, 22003 a value that is not finite, 54000 more than 10,000,000 touches of a person that may be in a path, or a name of more than 1,000 bytes, 53200 more rows than iaros.group_memory holds (64 bytes a conversion; 24 a touch that may be in a path, 32 with weights). Linear in the rows and in the touches of all paths.';
