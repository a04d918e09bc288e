-- Rendering one plain-text template over many rows of tokens, against a
-- chain of replace(). Variable: rows.
CREATE TEMP TABLE bench_message AS
SELECT i AS customer_id, jsonb_build_object(
    'customer', jsonb_build_object('firstName', 'Ada' || i % 1000, 'tier', 'Gold'),
    'offer', jsonb_build_object('code', 'X' || i, 'discount', i % 50),
    'lastBooking', jsonb_build_object('route', 'FRA-JFK')) AS tokens
FROM generate_series(1, :rows) AS i;
ANALYZE bench_message;

SELECT pg_temp.bench('template_render_text',
    $$SELECT customer_id, iaros.template_render_text(
        'Dear {{customer.firstName}}, as a {{customer.tier}} member you fly {{lastBooking.route}} with {{offer.discount}} % off. Code {{offer.code}}.',
        tokens) AS message
      FROM bench_message$$,
    $$SELECT customer_id, replace(replace(replace(replace(replace(
        'Dear {{customer.firstName}}, as a {{customer.tier}} member you fly {{lastBooking.route}} with {{offer.discount}} % off. Code {{offer.code}}.',
        '{{customer.firstName}}', tokens #>> '{customer,firstName}'),
        '{{customer.tier}}', tokens #>> '{customer,tier}'),
        '{{lastBooking.route}}', tokens #>> '{lastBooking,route}'),
        '{{offer.discount}}', tokens #>> '{offer,discount}'),
        '{{offer.code}}', tokens #>> '{offer,code}') AS message
      FROM bench_message$$,
    :rows);
