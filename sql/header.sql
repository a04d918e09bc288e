\echo Use "CREATE EXTENSION iaros" to load this file. \quit

-- Nothing below may resolve a name through the caller's path.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Bodies that are parsed now hold backslashes as they stand.
SET LOCAL standard_conforming_strings TO on;
