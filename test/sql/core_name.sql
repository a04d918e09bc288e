-- Names: the nearest of some to one that does not exist.
SET client_min_messages = warning;

-- letters
SELECT iaros.name_nearest('serch', '{sea,search,searched,NULL,touch}');
SELECT iaros.name_nearest('serch', '{sea,search,searched,NULL,touch}', 1);
SELECT iaros.name_nearest('GOLD', '{silver,Gold,gold,bold}');
SELECT iaros.name_nearest('ab', '{ba,abc,xb}');
SELECT iaros.name_nearest('clmm', '{standard,clm}');
SELECT iaros.name_nearest('éclair', '{éclairs,eclair,Éclair}');

-- beginnings and ends
SELECT iaros.name_nearest('loyal', '{Lost,Loyal Customers,Potential Loyalists}');
SELECT iaros.name_nearest('spend', '{spend_total,totalSpend,spend_90d,speed}', 5);
SELECT iaros.name_nearest('in', '{instagram,inn}');

-- what follows a dot
SELECT iaros.name_nearest('totalSpend', '{booking.count,customer.totalSpend,customer.spend}');
SELECT iaros.name_nearest('cust.totalSpent', '{booking.totalCount,customer.totalSpend}');
SELECT iaros.name_nearest('booking.tier', '{booking.time,customer.tier}');
SELECT iaros.name_nearest('booking.', '{booking.count,.}');
SELECT iaros.name_nearest('a.b.c', '{b.c,x.b.c,c}');

-- none
SELECT iaros.name_nearest('xyzzy', '{booking_count,spend_total}') IS NULL;
SELECT iaros.name_nearest('', '{a,ab}') IS NULL, iaros.name_nearest('a', '{""}') IS NULL, iaros.name_nearest('', '{""}');
SELECT iaros.name_nearest(NULL, '{a}') IS NULL, iaros.name_nearest('a', NULL) IS NULL, iaros.name_nearest('a', '{a}', NULL) IS NULL;
SELECT iaros.name_nearest('a', '{}') IS NULL, iaros.name_nearest('a', '{a}', 0) IS NULL, iaros.name_nearest('a', '{a}', -1) IS NULL;

-- many and long ones
SELECT iaros.name_nearest('n7777', array_agg('n' || i), 2147483647) = iaros.name_nearest('n7777', array_agg('n' || i), 10000),
    (iaros.name_nearest('n7777', array_agg('n' || i)))[1] FROM generate_series(1, 9999) AS i;
SELECT length((iaros.name_nearest(repeat('é', 100000), ARRAY[repeat('é', 70000)]))[1]);
SELECT iaros.name_nearest('b', '{{a,b},{c,b}}');

-- hints
SELECT iaros.name_hint('serch', '{sea,search,"a \"b\""}');
SELECT iaros.name_hint('xyzzy', '{sea,search}') IS NULL, iaros.name_hint(NULL, '{a}') IS NULL, iaros.name_hint('a', NULL) IS NULL;
