/* The nearest of some names to one that does not exist, for hints. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

/* So many characters of a name are compared. */
#define NAME_COMPARED 64

/* A beginning or an end counts from so many bytes on. */
#define NAME_PIECE 3

/* A name as it is compared: capital letters of ASCII made small. */
typedef struct NameText
{
	char *text;
	int length; /* in bytes */
} NameText;

/* A name that is near enough. */
typedef struct NameNear
{
	int position;
	int distance; /* in changes of a letter */
	int longer;   /* difference of the lengths */
} NameNear;

/* Returns a text as it is compared. */
static NameText
name_compared(const text *name)
{
	NameText result;

	result.length = pg_mbcharcliplen(VARDATA_ANY(name),
									 VARSIZE_ANY_EXHDR(name), NAME_COMPARED);
	result.text = pnstrdup(VARDATA_ANY(name), result.length);
	for (int i = 0; i < result.length; i++)
		result.text[i] = pg_ascii_tolower((unsigned char) result.text[i]);
	return result;
}

/* Returns what follows the first dot of a name, the whole name without. */
static NameText
name_tail(NameText name)
{
	const char *dot = memchr(name.text, '.', name.length);
	NameText tail = name;

	if (dot == NULL)
		return name;
	tail.text += dot + 1 - name.text;
	tail.length -= dot + 1 - name.text;
	return tail;
}

/* Tells whether one name begins or ends with the other. */
static bool
name_is_piece(NameText a, NameText b)
{
	NameText piece = a.length < b.length ? a : b;
	NameText whole = a.length < b.length ? b : a;

	return piece.length >= NAME_PIECE &&
		   (memcmp(whole.text, piece.text, piece.length) == 0 ||
			memcmp(whole.text + whole.length - piece.length, piece.text,
				   piece.length) == 0);
}

/* Returns the distance of two names, -1 when they are not alike. */
static int
name_distance(NameText a, NameText b)
{
	int most = Max(a.length, b.length) / 2;
	int distance;

	if (a.length == b.length && memcmp(a.text, b.text, a.length) == 0)
		return 0;
	if (name_is_piece(a, b))
		return 1;
	distance = varstr_levenshtein_less_equal(a.text, a.length, b.text,
											 b.length, 1, 1, 1, most, true);
	return distance <= most ? distance : -1;
}

/*
 * Returns the distance of two names, or of what follows their first dot,
 * which is one more; -1 when neither are alike.
 */
static int
name_distance_dotted(NameText a, NameText b)
{
	NameText a_tail = name_tail(a);
	NameText b_tail = name_tail(b);
	int distance = name_distance(a, b);
	int tails;

	if (a_tail.text == a.text && b_tail.text == b.text)
		return distance;
	tails = name_distance(a_tail, b_tail);
	if (tails < 0)
		return distance;
	return distance < 0 ? tails + 1 : Min(distance, tails + 1);
}

/* Order of names: the nearer, of the length more alike, the first given. */
static int
name_near_compare(const void *left, const void *right)
{
	const NameNear *a = left;
	const NameNear *b = right;

	if (a->distance != b->distance)
		return a->distance - b->distance;
	if (a->longer != b->longer)
		return a->longer - b->longer;
	return a->position - b->position;
}

/* Finds the names that are alike, in their order, and returns how many. */
static int
name_find(NameText name, const Datum *names, const bool *nulls, int n,
		  NameNear *near)
{
	int found = 0;

	for (int i = 0; i < n; i++)
	{
		NameText other;
		int distance;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		other = name_compared(DatumGetTextPP(names[i]));
		distance = name_distance_dotted(name, other);
		if (distance >= 0)
			near[found++] =
				(NameNear){i, distance, abs(other.length - name.length)};
		pfree(other.text);
	}
	qsort(near, found, sizeof(NameNear), name_near_compare);
	return found;
}

PG_FUNCTION_INFO_V1(name_nearest);

/* SQL: name_nearest(name text, names text[], at_most integer) */
Datum
name_nearest(PG_FUNCTION_ARGS)
{
	int at_most = PG_GETARG_INT32(2);
	Datum *names;
	bool *nulls;
	int n;
	NameNear *near;
	Datum *nearest;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, &nulls, &n);
	near = palloc(Max(n, 1) * sizeof(NameNear));
	n = Min(
		name_find(name_compared(PG_GETARG_TEXT_PP(0)), names, nulls, n, near),
		at_most);
	if (n <= 0)
		PG_RETURN_NULL();
	nearest = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
		nearest[i] = names[near[i].position];
	PG_RETURN_ARRAYTYPE_P(
		construct_array(nearest, n, TEXTOID, -1, false, TYPALIGN_INT));
}
