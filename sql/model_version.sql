-- model, by name: versions of models, and their files.

CREATE FUNCTION @extschema@.model_files()
    RETURNS TABLE (name text, hash bytea, bytes bigint, modified_epoch float8)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.model_files() IS
'Returns the files, in directory iaros_model below the data directory of this server, in one named by the OID of this database, that sessions map to share models: name, model_hash() of the model, bytes, and when it was written in seconds since 1970. A file holds nothing that table model_version does not hold: one that is missing is written again by the first session that wants it. Only files of this database are shown.';

CREATE FUNCTION @extschema@.model_file_remove(name text) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.model_file_remove(text) IS
'Removes a file that model_files() lists; false when it is gone already. Sessions that have it mapped keep it. NULL gives NULL. Error: 22023 no name of a model''s file.';

CREATE FUNCTION @extschema@.model_file_prune() RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (
        SELECT count(*) FILTER (WHERE iaros.model_file_remove(f.name))
        FROM iaros.model_files() f
        WHERE NOT EXISTS (SELECT FROM iaros.model_version v WHERE v.hash = f.hash)
          AND f.modified_epoch < extract(epoch FROM now() - interval '1 day'));
END $$;
COMMENT ON FUNCTION @extschema@.model_file_prune() IS
'Body of the job iaros-model_files: removes files of models that no row of model_version has any more, a day after they were written, and returns how many.';

CREATE FUNCTION @extschema@.model_version_keep() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    NEW.compiled := iaros.model_compile(NEW.pmml);
    NEW.hash := iaros.model_hash(NEW.compiled);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.model_version_keep() IS
'Row trigger of model_version: compiles the PMML, so that the compiled form is never another one.';

CREATE FUNCTION @extschema@.model_version_audit() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one record := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    PERFORM iaros.audit_append(
        format('%s.%s', TG_TABLE_NAME, lower(TG_OP)), TG_TABLE_NAME,
        format('%s,%s', one.name, one.version), NULL,
        jsonb_build_object('hash', encode(one.hash, 'hex')));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.model_version_audit() IS
'Row trigger of model_version: an audit row with name, version and hash, without the model itself.';

CREATE FUNCTION @extschema@.model_import(name text, pmml text) RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    newest integer;
    stored text;
    made integer;
BEGIN
    PERFORM iaros.install_check();
    IF name IS NULL OR pmml IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'name and PMML of a model must not be NULL';
    END IF;
    IF name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('"%s" cannot be the name of a model', name),
            HINT = 'A name has lower-case letters, digits and underscores, a letter first, at most 63 characters.';
    END IF;
    -- Two imports of one name take turns, or they would take one number.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.model ' || name, 0));
    SELECT v.version, v.pmml INTO newest, stored FROM iaros.model_version v
    WHERE v.name = model_import.name
    ORDER BY v.version DESC LIMIT 1;
    IF stored = model_import.pmml THEN
        RETURN newest;
    END IF;
    INSERT INTO iaros.model_version AS v (name, version, pmml)
    VALUES (model_import.name, coalesce(newest, 0) + 1, model_import.pmml)
    RETURNING v.version INTO made;
    RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.model_import(text, text) IS
'Compiles a PMML document and stores it as the newest version of a model; returns the version, from 1. The same document again is no new version. An audit row is written. Errors: those of model_compile(); 22004 an argument is NULL, 23514 a name that is not a lower-case word.';

CREATE FUNCTION @extschema@.model_list()
    RETURNS TABLE (name text, version integer, element text, function text, inputs text[], outputs text[], bytes integer, created_at timestamptz, created_by text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
    SELECT v.name, v.version, s.summary ->> 'element', s.summary ->> 'function',
        ARRAY(SELECT jsonb_array_elements_text(s.summary -> 'inputs')),
        ARRAY(SELECT jsonb_array_elements_text(s.summary -> 'outputs')),
        (s.summary ->> 'bytes')::integer, v.created_at, v.created_by
    FROM iaros.model_version v
    CROSS JOIN LATERAL (SELECT iaros.model_summary(v.compiled) AS summary OFFSET 0) s
    ORDER BY v.name, v.version;
END $$;
COMMENT ON FUNCTION @extschema@.model_list() IS
'Returns the versions of all models without the models themselves: what model_summary() says of each, when it was stored and by whom. The newest version of a name is the one that serves. Error: 0A000 a version was compiled by another version of the library; UPDATE iaros.model_version SET pmml = pmml compiles all again.';

CREATE FUNCTION @extschema@.model_get(name text, version integer DEFAULT NULL) RETURNS @extschema@.model
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    compiled iaros.model;
BEGIN
    PERFORM iaros.install_check();
    SELECT v.compiled INTO compiled FROM iaros.model_version v
    WHERE v.name = model_get.name AND v.version = coalesce(model_get.version, v.version)
    ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'no_data_found',
            MESSAGE = CASE WHEN version IS NULL THEN format('there is no model "%s"', name)
                ELSE format('there is no version %s of model "%s"', version, name) END,
            HINT = 'model_import() stores one.';
    END IF;
    RETURN compiled;
END $$;
COMMENT ON FUNCTION @extschema@.model_get(text, integer) IS
'Returns a model by name: a version, or the newest for NULL. In a query over many rows write (SELECT iaros.model_get(...)), which is asked once. Error: P0002 there is none.';

CREATE FUNCTION @extschema@.model_score(name text, inputs jsonb, label text DEFAULT NULL) RETURNS float8
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.model_score(iaros.model_get(name), inputs, label);
END $$;
COMMENT ON FUNCTION @extschema@.model_score(text, jsonb, text) IS
'As model_score(model, jsonb, text) for the newest version of the model with a name. Errors: those, and P0002 there is no such model.';

CREATE PROCEDURE @extschema@.model_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('model', 1) THEN
    CREATE TABLE iaros.model_version (
        name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
        version integer NOT NULL CHECK (version > 0),
        hash bytea NOT NULL,
        pmml text NOT NULL,
        compiled iaros.model NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by text NOT NULL DEFAULT current_user,
        PRIMARY KEY (name, version)
    );
    COMMENT ON TABLE iaros.model_version IS
        'Models by name and version: the PMML document and what was compiled of it. Sessions that use them share one copy in memory.';
    COMMENT ON COLUMN iaros.model_version.hash IS 'model_hash() of the compiled form, filled in by a trigger.';
    COMMENT ON COLUMN iaros.model_version.compiled IS 'The compiled form, made of the PMML by a trigger.';
    CREATE INDEX model_version_hash ON iaros.model_version (hash);
    -- Documents are long; the usual compression takes longer than compiling.
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        ALTER TABLE iaros.model_version ALTER COLUMN pmml SET COMPRESSION lz4;
    END IF;
    -- Out of line as soon as the row is not short, so that it has a file.
    ALTER TABLE iaros.model_version SET (toast_tuple_target = 128);
    CREATE TRIGGER model_version_keep BEFORE INSERT OR UPDATE OF pmml, compiled, hash ON iaros.model_version
        FOR EACH ROW EXECUTE FUNCTION iaros.model_version_keep();
    CREATE TRIGGER model_version_audit AFTER INSERT OR UPDATE OR DELETE ON iaros.model_version
        FOR EACH ROW EXECUTE FUNCTION iaros.model_version_audit();
    PERFORM iaros.job_define('model_files', '7 4 * * *', 'model_file_prune', interval '2 days', false,
        'Removes files of models that are in no table any more.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.model_install() IS
'Makes the table of the domain model. Called by install().';
