/* Type audience in SQL: binary form, comparison, operators, casts. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "segment/audience_layout.h"
#include "utils/array.h"

/* Returns an id, or raises the error for one that no audience can hold. */
uint64
audience_id_check(int64 id)
{
	if (id < 0)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("id %lld is out of range for an audience",
							   (long long) id),
						errdetail("Ids are 0 to 9223372036854775807.")));
	return (uint64) id;
}

PG_FUNCTION_INFO_V1(audience_recv);

/* SQL: binary input of type audience */
Datum
audience_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	Audience *audience = palloc(add_size(size, VARHDRSZ));
	const char *flaw;

	pq_copymsgbytes(message, (char *) audience + VARHDRSZ, (int) size);
	SET_VARSIZE(audience, size + VARHDRSZ);
	flaw = audience_flaw(audience, size + VARHDRSZ);
	if (flaw != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of an audience"),
						errdetail("%s", flaw)));
	PG_RETURN_AUDIENCE_P(audience);
}

PG_FUNCTION_INFO_V1(audience_send);

/* SQL: binary output of type audience */
Datum
audience_send(PG_FUNCTION_ARGS)
{
	Audience *audience = PG_GETARG_AUDIENCE_P(0);
	Audience *copy = palloc(VARSIZE(audience));

	memcpy(copy, audience, VARSIZE(audience));
	PG_RETURN_BYTEA_P(copy);
}

/* Returns whether two audiences are the same set. */
static bool
audience_equals(const Audience *a, const Audience *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Returns whether two containers are the same. */
static bool
same_container(const Audience *a, const Audience *b, uint32 i)
{
	const AudienceEntry *x = &a->entries[i];
	const AudienceEntry *y = &b->entries[i];

	return x->head == y->head && x->kind == y->kind && x->nruns == y->nruns &&
		   memcmp(audience_data(a, x), audience_data(b, y),
				  audience_bytes(x)) == 0;
}

/*
 * Compares two audiences as arrays of their ascending ids are compared: by
 * the first id that differs; the shorter comes first when it has no other.
 */
static int
audience_compare(const Audience *a, const Audience *b)
{
	AudienceCursor of_a = {.audience = a};
	AudienceCursor of_b = {.audience = b};
	uint64 first[2];
	uint64 last[2];

	while (of_a.entry < a->nentries && of_a.entry < b->nentries &&
		   same_container(a, b, of_a.entry))
		of_a.entry++;
	of_b.entry = of_a.entry;
	for (;;)
	{
		bool more_a = audience_next_run(&of_a, &first[0], &last[0]);
		bool more_b = audience_next_run(&of_b, &first[1], &last[1]);

		if (!more_a || !more_b)
			return (int) more_a - (int) more_b;
		if (first[0] != first[1])
			return first[0] < first[1] ? -1 : 1;
		/* The shorter run goes on with a larger id, or not at all. */
		if (last[0] < last[1])
			return audience_next_run(&of_a, &first[0], &last[0]) ? 1 : -1;
		if (last[1] < last[0])
			return audience_next_run(&of_b, &first[1], &last[1]) ? -1 : 1;
	}
}

PG_FUNCTION_INFO_V1(audience_eq);

/* SQL: audience = audience */
Datum
audience_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(
		audience_equals(PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1)));
}

PG_FUNCTION_INFO_V1(audience_ne);

/* SQL: audience <> audience */
Datum
audience_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(
		!audience_equals(PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1)));
}

PG_FUNCTION_INFO_V1(audience_cmp);

/* SQL: order of two audiences, as btree wants it */
Datum
audience_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(
		audience_compare(PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1)));
}

PG_FUNCTION_INFO_V1(audience_lt);

/* SQL: audience < audience */
Datum
audience_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(DatumGetInt32(audience_cmp(fcinfo)) < 0);
}

PG_FUNCTION_INFO_V1(audience_le);

/* SQL: audience <= audience */
Datum
audience_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(DatumGetInt32(audience_cmp(fcinfo)) <= 0);
}

PG_FUNCTION_INFO_V1(audience_gt);

/* SQL: audience > audience */
Datum
audience_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(DatumGetInt32(audience_cmp(fcinfo)) > 0);
}

PG_FUNCTION_INFO_V1(audience_ge);

/* SQL: audience >= audience */
Datum
audience_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(DatumGetInt32(audience_cmp(fcinfo)) >= 0);
}

PG_FUNCTION_INFO_V1(audience_hash);

/* SQL: hash of an audience */
Datum
audience_hash(PG_FUNCTION_ARGS)
{
	Audience *audience = PG_GETARG_AUDIENCE_P(0);

	return hash_any((unsigned char *) VARDATA(audience),
					VARSIZE(audience) - VARHDRSZ);
}

PG_FUNCTION_INFO_V1(audience_hash_extended);

/* SQL: hash of an audience with a seed */
Datum
audience_hash_extended(PG_FUNCTION_ARGS)
{
	Audience *audience = PG_GETARG_AUDIENCE_P(0);

	return hash_any_extended((unsigned char *) VARDATA(audience),
							 VARSIZE(audience) - VARHDRSZ, PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(audience_or);

/* SQL: audience | audience */
Datum
audience_or(PG_FUNCTION_ARGS)
{
	PG_RETURN_AUDIENCE_P(audience_combine(
		PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1), AUDIENCE_OR));
}

PG_FUNCTION_INFO_V1(audience_and);

/* SQL: audience & audience */
Datum
audience_and(PG_FUNCTION_ARGS)
{
	PG_RETURN_AUDIENCE_P(audience_combine(
		PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1), AUDIENCE_AND));
}

PG_FUNCTION_INFO_V1(audience_minus);

/* SQL: audience - audience */
Datum
audience_minus(PG_FUNCTION_ARGS)
{
	PG_RETURN_AUDIENCE_P(audience_combine(
		PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1), AUDIENCE_MINUS));
}

PG_FUNCTION_INFO_V1(audience_xor);

/* SQL: audience # audience */
Datum
audience_xor(PG_FUNCTION_ARGS)
{
	PG_RETURN_AUDIENCE_P(audience_combine(
		PG_GETARG_AUDIENCE_P(0), PG_GETARG_AUDIENCE_P(1), AUDIENCE_XOR));
}

PG_FUNCTION_INFO_V1(audience_overlap_count);

/* SQL: audience_overlap_count(a audience, b audience) */
Datum
audience_overlap_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) audience_overlap(PG_GETARG_AUDIENCE_P(0),
											 PG_GETARG_AUDIENCE_P(1)));
}

PG_FUNCTION_INFO_V1(audience_jaccard);

/* SQL: audience_jaccard(a audience, b audience) */
Datum
audience_jaccard(PG_FUNCTION_ARGS)
{
	Audience *a = PG_GETARG_AUDIENCE_P(0);
	Audience *b = PG_GETARG_AUDIENCE_P(1);
	uint64 both = audience_overlap(a, b);
	uint64 either = a->cardinality + b->cardinality - both;

	PG_RETURN_FLOAT8(either == 0 ? 1.0 : (double) both / (double) either);
}

PG_FUNCTION_INFO_V1(audience_from_array);

/* SQL: audience_from_array(ids bigint[]), the cast */
Datum
audience_from_array(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const int64 *ids = (const int64 *) ARR_DATA_PTR(array);
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros audience", ALLOCSET_DEFAULT_SIZES);
	AudienceBuilder *builder = audience_builder_create(context);
	Audience *audience;

	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("an audience cannot hold NULL"),
						errhint("Leave NULLs out by array_remove().")));
	for (int i = 0; i < n; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		audience_builder_add(builder, audience_id_check(ids[i]));
	}
	audience = audience_builder_finish(builder);
	MemoryContextDelete(context);
	PG_RETURN_AUDIENCE_P(audience);
}

PG_FUNCTION_INFO_V1(audience_to_array);

/* SQL: audience_to_array(audience), the cast */
Datum
audience_to_array(PG_FUNCTION_ARGS)
{
	AudienceCursor cursor = {.audience = PG_GETARG_AUDIENCE_P(0)};
	uint64 n = cursor.audience->cardinality;
	ArrayType *array;
	int64 *ids;
	uint64 first;
	uint64 last;

	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
	array = audience_make_array(n);
	ids = (int64 *) ARR_DATA_PTR(array);
	while (audience_next_run(&cursor, &first, &last))
		for (uint64 id = first; id <= last; id++)
			*ids++ = (int64) id;
	Assert((char *) ids == (char *) array + VARSIZE(array));
	PG_RETURN_ARRAYTYPE_P(array);
}
