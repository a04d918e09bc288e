-- The models of attribution against what the demo planted.
BEGIN;
SET client_min_messages = warning;
SELECT plan(8);
SELECT count(*) FROM iaros.demo_generate(1500, 7, '2026-01-01');
SELECT bag_eq('SELECT channel FROM iaros.demo_attribution_truth()', 'SELECT channel FROM iaros.demo_truth_channels()', 'every planted channel was met');
SELECT cmp_ok((SELECT abs(sum(share) - 1) FROM iaros.demo_attribution_truth()), '<', 0.001, 'the true shares are shares');
SELECT is((SELECT share FROM iaros.demo_attribution_truth() WHERE channel = 'social'), 0.0000, 'a channel without effect brought nothing');
-- The same by all journeys, also those that ended without a booking: what the
-- planted model says of each with and without the channel.
CREATE TEMP TABLE journey AS
SELECT row_number() OVER () AS n, p.converted_at IS NOT NULL AS booked, t.email_consent, iaros.touch_path_channels(p.path) AS channels
FROM iaros.attribution_paths(iaros.attribution_touch_sql(), iaros.attribution_goal_sql(), '3 days', nulls_until => now()) p
JOIN iaros.demo_truth t ON t.customer_id = p.customer_id;
CREATE TEMP TABLE odds AS
SELECT g.consent, (SELECT count(*) FILTER (WHERE j.booked) / (count(*) FILTER (WHERE NOT j.booked)
        / (1 - (SELECT exp(sum(ln(1 - c.presence))) FROM iaros.demo_truth_channels() c WHERE c.channel <> 'email' OR g.consent)))
        FROM journey j WHERE j.email_consent = g.consent)
    / (SELECT exp(sum(ln(1 - c.presence + c.presence * c.odds_ratio))) FROM iaros.demo_truth_channels() c WHERE c.channel <> 'email' OR g.consent) AS base
FROM (VALUES (false), (true)) g(consent);
CREATE TEMP TABLE brought AS
SELECT c.channel, sum(o / (1 + o) - o / c.odds_ratio / (1 + o / c.odds_ratio)) AS bookings
FROM journey j
JOIN odds b ON b.consent = j.email_consent
JOIN iaros.demo_truth_channels() c ON c.channel = ANY (j.channels)
CROSS JOIN LATERAL (SELECT b.base * (SELECT exp(sum(ln(x.odds_ratio))) FROM iaros.demo_truth_channels() x WHERE x.channel = ANY (j.channels))) AS m(o)
GROUP BY c.channel;
SELECT is_empty($$SELECT t.channel, t.share, b.bookings / s.bookings FROM iaros.demo_attribution_truth() t JOIN brought b USING (channel)
    CROSS JOIN (SELECT sum(bookings) AS bookings FROM brought) s WHERE abs(t.share - b.bookings / s.bookings) > 0.015$$, 'shares by all journeys, with and without the channel, are about the same');
SELECT is((SELECT count(DISTINCT model) FROM iaros.demo_attribution()), 11::bigint, 'eleven models are judged');
SELECT is_empty('SELECT model FROM iaros.demo_attribution() GROUP BY model HAVING abs(sum(share) - 1) > 0.001', 'the shares of each add up');
SELECT bag_eq('SELECT model, round(avg(abs(difference)), 4) FROM iaros.demo_attribution() GROUP BY model', $$VALUES
    ('first', 0.0404), ('last', 0.0398), ('last_non_direct', 0.0500), ('linear', 0.0396), ('time_decay(1 day)', 0.0397),
    ('u_shaped(0.4, 0.4)', 0.0399), ('w_shaped(0.3, 0.3, 0.3)', 0.0397), ('markov', 0.0427), ('markov(2)', 0.0412),
    ('shapley', 0.0398), ('shapley(rate)', 0.0442)$$, 'how far each is from the truth');
SELECT is_empty($$SELECT key FROM iaros.attribution_compare('{linear,markov,shapley}', "window" => '3 days') WHERE key NOT IN (SELECT channel FROM iaros.demo_truth_channels()) AND key <> 'none'$$, 'no other channel earns anything');
SELECT * FROM finish();
ROLLBACK;
