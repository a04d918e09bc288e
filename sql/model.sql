-- model: PMML compiled to a program, and scoring with it.

CREATE TYPE @extschema@.model;

CREATE FUNCTION @extschema@.model_in(cstring) RETURNS @extschema@.model
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_in(cstring) IS
'Input of type model: the binary form in base64, checked as by model_recv; a summary may stand before it, as model_out writes it, which must be right. Errors: 22P02, 22P03.';

CREATE FUNCTION @extschema@.model_out(@extschema@.model) RETURNS cstring
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_out(@extschema@.model) IS
'Output of type model: a summary (element, function, numbers of inputs, outputs and nodes of trees), then the binary form in base64.';

CREATE FUNCTION @extschema@.model_recv(internal) RETURNS @extschema@.model
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_recv(internal) IS
'Binary input of type model. Every record, reference, bound and the hash are checked; 22P03 if anything is wrong. O(size).';

CREATE FUNCTION @extschema@.model_send(@extschema@.model) RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_send(@extschema@.model) IS
'Binary output of type model. Numbers have the byte order of the machine.';

CREATE TYPE @extschema@.model (
    INPUT = @extschema@.model_in,
    OUTPUT = @extschema@.model_out,
    RECEIVE = @extschema@.model_recv,
    SEND = @extschema@.model_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.model IS
'A predictive model, compiled from PMML into flat arrays. Stored out of line and not compressed; a hash at its head tells it from others.';

CREATE FUNCTION @extschema@.model_compile(pmml text) RETURNS @extschema@.model
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_compile(text) IS
'Compiles a PMML document (3.0 to 4.4.1), of which the first model counts, and checks its ModelVerification. NULL gives NULL. Errors name element and line: 2200M no well-formed XML, 22023 no valid PMML, 42704 a field that is not defined, 2201B no valid regular expression, 0A000 not supported, 54000 a limit, 22000 a verification that fails. O(size of the document).';

CREATE FUNCTION @extschema@.model_summary(@extschema@.model) RETURNS jsonb
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.model_summary(@extschema@.model) IS
'What a model is: name, element, function, names of inputs and outputs, nodes of trees, slots of a row, layout, bytes, hash. NULL gives NULL. O(size).';

CREATE FUNCTION @extschema@.model_hash(@extschema@.model) RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'model_hash_bytes';
COMMENT ON FUNCTION @extschema@.model_hash(@extschema@.model) IS
'The 16 bytes by which a model is told from others, the beginning of the SHA-256 of its contents. NULL gives NULL. Reads the head only.';

CREATE FUNCTION @extschema@.model_score(model @extschema@.model, inputs record, label text DEFAULT NULL)
RETURNS float8
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'model_score_record';
COMMENT ON FUNCTION @extschema@.model_score(@extschema@.model, record, text) IS
'The number that a model gives for a row: the predicted value of a regression, the probability of a class. Inputs are columns of their name (exactly, else in any case); a NULL is a missing value. label: the class; by default, of two, the greater number or true, else the later in the order of the target''s values. NULL when the model or the row is NULL or the model predicts nothing. Errors: 42703 a column is missing, 22023 the model gives no number or has no such class.';

CREATE FUNCTION @extschema@.model_score(model @extschema@.model, inputs jsonb, label text DEFAULT NULL)
RETURNS float8
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'model_score_json';
COMMENT ON FUNCTION @extschema@.model_score(@extschema@.model, jsonb, text) IS
'As model_score(model, record, text) for an object with a key for each input; null and an absent key are missing values. A literal needs ::jsonb.';

CREATE FUNCTION @extschema@.model_predict(model @extschema@.model, inputs record) RETURNS jsonb
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'model_predict_record';
COMMENT ON FUNCTION @extschema@.model_predict(@extschema@.model, record) IS
'All that a model gives for a row: an object with the target (_target if it has no name) and every field of its Output; what is missing is null, infinite numbers are texts. NULL gives NULL. Errors: 42703 a column is missing.';

CREATE FUNCTION @extschema@.model_predict(model @extschema@.model, inputs jsonb) RETURNS jsonb
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'model_predict_json';
COMMENT ON FUNCTION @extschema@.model_predict(@extschema@.model, jsonb) IS
'As model_predict(model, record) for an object with a key for each input. A literal needs ::jsonb.';

CREATE FUNCTION @extschema@.model_scores(model @extschema@.model, inputs record,
    OUT label text, OUT probability float8)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 200 ROWS 3
AS 'MODULE_PATHNAME', 'model_scores_record';
COMMENT ON FUNCTION @extschema@.model_scores(@extschema@.model, record) IS
'The probability of each class for a row, in the order of the model. No rows for NULL. Errors: 42703 a column is missing, 22023 the model has no probabilities of classes.';

CREATE FUNCTION @extschema@.model_scores(model @extschema@.model, inputs jsonb,
    OUT label text, OUT probability float8)
RETURNS SETOF record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200 ROWS 3
AS 'MODULE_PATHNAME', 'model_scores_json';
COMMENT ON FUNCTION @extschema@.model_scores(@extschema@.model, jsonb) IS
'As model_scores(model, record) for an object with a key for each input. A literal needs ::jsonb.';

CREATE FUNCTION @extschema@.model_scan(
    model @extschema@.model,
    source text,
    key text DEFAULT 'customer_id',
    label text DEFAULT NULL)
    RETURNS TABLE (id bigint, score float8, predicted text)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 1000
    SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.model_scan(@extschema@.model, text, text, text) IS
'Scores all rows of a source, in blocks and in parallel where PostgreSQL can. source: the name of a relation or a query, run with the caller''s path and rights; its columns are bound to inputs as by model_score(). key: the column of keys, smallint, integer or bigint; rows without key are left out. label: the class whose probability is the score; by default, of two, the greater number or true, else the later in the order of the target''s values, and the predicted one of more. Result, in no order: the key, the score (as of model_score(), NULL where it is missing and for models without number), the predicted class, NULL for models that predict a number. Errors: those of the source and of model_score(); 22004 model is NULL, 42703 a column is missing, 42804 key is no integer. Linear in the rows; keeps 16 or 24 bytes a row.';
