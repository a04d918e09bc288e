/* The segments of one customer, as a sorted array. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* An array of bigint without NULLs, in ascending order. */
typedef struct MemberIds
{
	const int64 *ids;
	int n;
} MemberIds;

/* Reads an array; raises the error for one that is not sorted. */
static MemberIds
member_ids(ArrayType *array)
{
	MemberIds member = {0};

	if (ARR_NDIM(array) == 0)
		return member;
	member.ids = (const int64 *) ARR_DATA_PTR(array);
	member.n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("segments must be one array without NULL")));
	for (int i = 1; i < member.n; i++)
		if (member.ids[i] <= member.ids[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("segments must be in ascending order"),
					 errdetail(INT64_FORMAT " comes after " INT64_FORMAT ".",
							   member.ids[i], member.ids[i - 1])));
	return member;
}

/* Tells whether an id is in the array, from *at on, which moves up to it. */
static inline bool
member_has(const MemberIds *member, int64 id, int *at)
{
	while (*at < member->n && member->ids[*at] < id)
		(*at)++;
	return *at < member->n && member->ids[*at] == id;
}

PG_FUNCTION_INFO_V1(segment_ids_merge);

/*
 * SQL: segment_ids_merge(current_ids bigint[], managed_ids bigint[],
 * computed_ids bigint[]) returns bigint[]
 */
Datum
segment_ids_merge(PG_FUNCTION_ARGS)
{
	MemberIds current = member_ids(PG_GETARG_ARRAYTYPE_P(0));
	MemberIds managed = member_ids(PG_GETARG_ARRAYTYPE_P(1));
	MemberIds computed = member_ids(PG_GETARG_ARRAYTYPE_P(2));
	Datum *merged = palloc(sizeof(Datum) * (current.n + computed.n + 1));
	int at = 0;
	int i = 0;
	int j = 0;
	int n = 0;

	while (i < current.n || j < computed.n)
	{
		bool both = i < current.n && j < computed.n &&
					current.ids[i] == computed.ids[j];
		bool first = j >= computed.n ||
					 (i < current.n && current.ids[i] <= computed.ids[j]);
		int64 id = first ? current.ids[i] : computed.ids[j];
		bool kept = member_has(&managed, id, &at) ? both || !first : first;

		if (kept)
			merged[n++] = Int64GetDatum(id);
		i += first;
		j += both || !first;
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(merged, n, INT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
