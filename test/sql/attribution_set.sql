-- path_set: text form, errors, and what is read from a small set.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL search_path TO public, iaros;

-- Text, valid and not.
SELECT path_agg(path, conversions, value, nulls) FROM (VALUES ('search > email', 2, 30.5, 1), ('email', 1, 10, 4), ('', 1, NULL, 0), ('search > email', 0, NULL, 2)) v(path, conversions, value, nulls) \gset
SELECT :'path_agg';
SELECT :'path_agg'::path_set::text = :'path_agg' AS same, :'path_agg'::path_set = :'path_agg'::path_set AS eq, :'path_agg'::path_set <> path_agg('a', 1, 1, 1) AS ne;
SELECT '\x01000000'::path_set;
SELECT ''::path_set;
SELECT '\x'::path_set;
\set VERBOSITY terse
SELECT '\xz'::path_set;
\set VERBOSITY default
SELECT '\x00000000'::path_set;
SELECT '\x010d0000'::path_set;
SELECT '\x01000100'::path_set;
SELECT '\x0100010001'::path_set;
SELECT '\x01000101ff00'::path_set;
SELECT '\x01000201620161'::path_set;
SELECT '\x01000101610101000100'::path_set;
SELECT '\x0100010161010100010000'::path_set;
SELECT '\x010001016101010101000000'::path_set;
SELECT '\x010001016101010000000000'::path_set;
SELECT '\x0100010161010100000100'::path_set;
SELECT '\x01000101610201000001000001000100'::path_set;
SELECT '\x01000101610100010000'::path_set;
SELECT '\x0101010161010100010002'::path_set;
SELECT '\x010101016101010001000200'::path_set;
SELECT '\x0101010161010100010014'::path_set;
SELECT '\x01000101610100ffffffffffffffffff010000'::path_set;
SELECT '\x0100010161010100010000'::path_set;

-- What is in it.
SELECT * FROM path_top(:'path_agg');
SELECT * FROM path_steps(:'path_agg');
SELECT * FROM path_transitions(:'path_agg');
SELECT channel, round(removal_effect::numeric, 12) AS removal_effect, conversions, credit FROM attribution_markov(:'path_agg');
SELECT channel, round(removal_effect::numeric, 12) AS removal_effect, conversions, credit FROM attribution_markov(:'path_agg', 2, 0);
SELECT channel, round(share::numeric, 12) AS share, conversions, credit, error_bound FROM attribution_shapley(:'path_agg');
SELECT channel, round(share::numeric, 12) AS share, conversions, credit, error_bound FROM attribution_shapley(:'path_agg', 'rate', decimals => 4);
SELECT "order", states, round(log_likelihood::numeric, 9) AS log_likelihood, chosen FROM attribution_markov_order(:'path_agg', 2, 2);
SELECT channel, conversions, low <= conversions AND conversions <= high AS inside FROM attribution_interval(:'path_agg');
SELECT shapley_values('{0,1,2,5}');

-- Errors.
SELECT path_agg('a', -1, 0, 0);
SELECT path_agg('a', 0, 'NaN', 0);
SELECT path_agg('a', 0, 1e25, 0);
SELECT path_agg('a', 0, 0.0000000000001, 0), path_agg('a', 0, 0.0000000000005, 0);
SELECT path_agg('a', 9223372036854775807, 0, 1);
SELECT path_agg('a', 0, v, 0) FROM unnest('{9999999999999999999999999,1}'::numeric[]) v;
SELECT path_agg('a >  > b', 1, 0, 0);
SELECT * FROM attribution_markov(NULL, 5);
SELECT * FROM attribution_markov(NULL, NULL);
SELECT * FROM attribution_markov(NULL, 1, 13);
SELECT * FROM attribution_markov(NULL, 1, NULL);
SELECT * FROM attribution_markov_order(NULL, 0);
SELECT * FROM attribution_markov_order(NULL, 1, 21);
SELECT * FROM attribution_markov_order(NULL, 1, NULL);
SELECT * FROM attribution_shapley(NULL, 'luck');
SELECT * FROM attribution_shapley(NULL, 'rate', 0);
SELECT * FROM attribution_shapley(NULL, NULL);
SELECT * FROM attribution_interval(NULL, 'first');
SELECT * FROM attribution_interval(NULL, 'markov(5)');
SELECT * FROM attribution_interval(NULL, replicates => 1);
SELECT * FROM attribution_interval(NULL, level => 1);
SELECT * FROM attribution_interval(NULL, seed => NULL);
SELECT * FROM path_top(NULL, 0);
SELECT * FROM path_steps(NULL, 0);
SELECT shapley_values('{0,1,2}');
SELECT shapley_values('{1,1}');
SELECT shapley_values('{0,NULL}');
SELECT shapley_values('{0,Infinity}');
SELECT shapley_values('{0,1e308,-1e308,1e308}');
ROLLBACK;
