/* Type promo_code: reading, comparing, sorting, hashing, check character. */
#include "postgres.h"

#include "promo/code.h"
#include "common/hashfn.h"
#include "lib/hyperloglog.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"

/* Bytes of a value in a message. */
#define CODE_CLIP 64

/* Characters in an abbreviated key: 34 ** 12 < 2 ** 64. */
#define CODE_KEY_LENGTH 12

/* Keys after which it is asked whether they tell codes apart. */
#define CODE_KEYS_ENOUGH 10000

/* clang-format off */
const uint8 promo_code_values[256] = {
	['0'] = 1, ['O'] = 1,
	['1'] = 2, ['I'] = 2, ['L'] = 2,
	['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14,
	['E'] = 15, ['F'] = 16, ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20,
	['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24, ['R'] = 25, ['S'] = 26,
	['T'] = 27, ['U'] = 28, ['V'] = 29, ['W'] = 30, ['X'] = 31, ['Y'] = 32,
	['Z'] = 33,
};
/* clang-format on */

const char promo_code_symbols[PROMO_CODE_CLASSES + 1] =
	"0123456789ABCDEFGHJKMNPQRSTUVWXYZ";

/* Tells whether a character is left out of codes. */
static inline bool
code_is_separator(char c)
{
	return c == '-' || c == '.' || c == '_' || c == ' ' ||
		   (c >= '\t' && c <= '\r');
}

/* Returns a text, quoted and cut to a length that a message can hold. */
const char *
promo_code_clip(const char *text, int length)
{
	int clipped = pg_mbcliplen(text, length, CODE_CLIP);

	return psprintf("\"%.*s%s\"", clipped, text,
					clipped < length ? "..." : "");
}

/* Describes the first character of a text, which may be hard to see. */
static const char *
code_describe(const char *text, int length)
{
	unsigned char c = *text;

	if (c < ' ' || c == 0x7f)
		return psprintf("U+%04X", c);
	length = Min(pg_mblen(text), length);
	if (c < 0x80 || GetDatabaseEncoding() != PG_UTF8)
		return psprintf("\"%.*s\"", length, text);
	return psprintf("\"%.*s\" (U+%04X)", length, text,
					utf8_to_unicode((const unsigned char *) text));
}

/* Raises the error for a character that codes do not have. */
static bool
code_error_character(const char *text, int length, int at, const char *what,
					 Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid character %s in %s",
					code_describe(text + at, length - at), what),
			 errdetail("It is character %d of %s.",
					   pg_mbstrlen_with_len(text, at) + 1,
					   promo_code_clip(text, length)),
			 errhint("Codes are of letters A to Z and digits; blanks, dashes, "
					 "dots and underscores are left out.")));
}

/*
 * Adds what a text has from a place on to a code, in upper case and without
 * separators. False after a soft error; what names the text in it.
 */
bool
promo_code_append(PromoCodeText *code, const char *text, int length, int from,
				  const char *what, Node *escontext)
{
	for (int i = from; i < length; i++)
	{
		char c = pg_ascii_toupper((unsigned char) text[i]);

		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		if (code_is_separator(c))
			continue;
		if (promo_code_values[(unsigned char) c] == 0)
			return code_error_character(text, length, i, what, escontext);
		if (code->length == PROMO_CODE_MAX)
			ereturn(escontext, false,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("promotion code is longer than %d characters",
							PROMO_CODE_MAX),
					 errdetail("It is too long from character %d of %s on: "
							   "%s.",
							   pg_mbstrlen_with_len(text, i) + 1, what,
							   promo_code_clip(text, length))));
		code->data[code->length++] = c;
	}
	return true;
}

/* Makes the value of a code. */
PromoCode *
promo_code_make(const PromoCodeText *code)
{
	return (PromoCode *) cstring_to_text_with_len(code->data, code->length);
}

/* Reads a code, the one way in; NULL after a soft error. */
static PromoCode *
code_read(const char *text, int length, Node *escontext)
{
	PromoCodeText code = {0};

	if (!promo_code_append(&code, text, length, 0, "promotion code",
						   escontext))
		return NULL;
	if (code.length == 0)
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("promotion code %s has no characters",
						promo_code_clip(text, length)),
				 errhint("Codes are of letters A to Z and digits, at least "
						 "one.")));
	return promo_code_make(&code);
}

/* Compares the classes of two codes; a code comes before its extensions. */
static inline int
code_compare(const PromoCode *a, const PromoCode *b)
{
	const char *adata = VARDATA_ANY(a);
	const char *bdata = VARDATA_ANY(b);
	int alength = VARSIZE_ANY_EXHDR(a);
	int blength = VARSIZE_ANY_EXHDR(b);
	int length = Min(alength, blength);

	for (int i = 0; i < length; i++)
	{
		int diff = promo_code_class(adata[i]) - promo_code_class(bdata[i]);

		if (diff != 0)
			return diff;
	}
	return alength - blength;
}

/* Compares the codes that a comparison function got. */
static inline int
code_compare_arguments(FunctionCallInfo fcinfo)
{
	PromoCode *a = PG_GETARG_PROMO_CODE_PP(0);
	PromoCode *b = PG_GETARG_PROMO_CODE_PP(1);
	int result = code_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* Writes the character of the class of each character; returns how many. */
static int
code_normal(const PromoCode *code, char *normal)
{
	const char *data = VARDATA_ANY(code);
	int length = Min((int) VARSIZE_ANY_EXHDR(code), PROMO_CODE_MAX);

	for (int i = 0; i < length; i++)
		normal[i] = promo_code_symbols[promo_code_class(data[i])];
	return length;
}

/* Sums classes times weights of characters that so many others follow. */
int
promo_code_sum(const char *data, int length, int following)
{
	int sum = 0;

	for (int i = 0; i < length; i++)
		sum += promo_code_class(data[i]) *
			   promo_code_weight(following + length - 1 - i);
	return sum % PROMO_CODE_CLASSES;
}

/*
 * Returns the class that brings the sum of the others to 0 modulo 33, at a
 * place that so many characters follow. 17 is the inverse of 2.
 */
int
promo_code_check_class(int sum, int following)
{
	int inverse = promo_code_weight(following) == 1 ? 1 : 17;

	return (PROMO_CODE_CLASSES - sum) * inverse % PROMO_CODE_CLASSES;
}

PG_FUNCTION_INFO_V1(promo_code_in);
/* Input function. */
Datum
promo_code_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);

	PG_RETURN_POINTER(code_read(text, strlen(text), fcinfo->context));
}

PG_FUNCTION_INFO_V1(promo_code_out);
/* Output function. */
Datum
promo_code_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(text_to_cstring(PG_GETARG_PROMO_CODE_PP(0)));
}

PG_FUNCTION_INFO_V1(promo_code_recv);
/* Binary input function: the text. */
Datum
promo_code_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int length;
	char *text =
		pq_getmsgtext(message, message->len - message->cursor, &length);

	PG_RETURN_POINTER(code_read(text, length, NULL));
}

PG_FUNCTION_INFO_V1(promo_code_send);
/* Binary output function: the text. */
Datum
promo_code_send(PG_FUNCTION_ARGS)
{
	PromoCode *code = PG_GETARG_PROMO_CODE_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendtext(&message, VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

PG_FUNCTION_INFO_V1(promo_code_from_text);
/* Cast from text. */
Datum
promo_code_from_text(PG_FUNCTION_ARGS)
{
	text *value = PG_GETARG_TEXT_PP(0);

	PG_RETURN_POINTER(
		code_read(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), NULL));
}

PG_FUNCTION_INFO_V1(promo_code_cmp);
/* Order of the classes. */
Datum
promo_code_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(code_compare_arguments(fcinfo));
}

PG_FUNCTION_INFO_V1(promo_code_eq);
/* Equal. */
Datum
promo_code_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(promo_code_ne);
/* Not equal. */
Datum
promo_code_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(promo_code_lt);
/* Before. */
Datum
promo_code_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(promo_code_le);
/* Before or equal. */
Datum
promo_code_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(promo_code_gt);
/* After. */
Datum
promo_code_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(promo_code_ge);
/* After or equal. */
Datum
promo_code_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(code_compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(promo_code_hash);
/* Hash of 32 bits. */
Datum
promo_code_hash(PG_FUNCTION_ARGS)
{
	PromoCode *code = PG_GETARG_PROMO_CODE_PP(0);
	char normal[PROMO_CODE_MAX];
	int length = code_normal(code, normal);

	PG_FREE_IF_COPY(code, 0);
	PG_RETURN_INT32((int32) hash_bytes((unsigned char *) normal, length));
}

PG_FUNCTION_INFO_V1(promo_code_hash_extended);
/* Hash of 64 bits for a seed. */
Datum
promo_code_hash_extended(PG_FUNCTION_ARGS)
{
	PromoCode *code = PG_GETARG_PROMO_CODE_PP(0);
	char normal[PROMO_CODE_MAX];
	int length = code_normal(code, normal);

	PG_FREE_IF_COPY(code, 0);
	PG_RETURN_INT64((int64) hash_bytes_extended(
		(unsigned char *) normal, length, (uint64) PG_GETARG_INT64(1)));
}

/* Sorting: compares two values. */
static int
code_sort_compare(Datum x, Datum y, SortSupport support)
{
	PromoCode *a = DatumGetPromoCodePP(x);
	PromoCode *b = DatumGetPromoCodePP(y);
	int result = code_compare(a, b);

	if ((Pointer) a != DatumGetPointer(x))
		pfree(a);
	if ((Pointer) b != DatumGetPointer(y))
		pfree(b);
	return result;
}

#if SIZEOF_DATUM == 8

/* What is known of the keys made so far. */
typedef struct CodeKeys
{
	int64 n;
	hyperLogLogState distinct;
	bool counting;
} CodeKeys;

/* Sorting: returns the key of a code, its first characters as a number. */
static Datum
code_sort_key(Datum value, SortSupport support)
{
	CodeKeys *keys = support->ssup_extra;
	PromoCode *code = DatumGetPromoCodePP(value);
	const unsigned char *data = (const unsigned char *) VARDATA_ANY(code);
	int length = VARSIZE_ANY_EXHDR(code);
	uint64 key = 0;

	for (int i = 0; i < CODE_KEY_LENGTH; i++)
		key = key * (PROMO_CODE_CLASSES + 1) +
			  (i < length ? promo_code_values[data[i]] : 0);
	keys->n++;
	if (keys->counting)
		addHyperLogLog(&keys->distinct,
					   murmurhash32((uint32) (key ^ key >> 32)));
	if ((Pointer) code != DatumGetPointer(value))
		pfree(code);
	return UInt64GetDatum(key);
}

/* Sorting: tells whether too many codes begin alike for keys to help. */
static bool
code_sort_abort(int memtupcount, SortSupport support)
{
	CodeKeys *keys = support->ssup_extra;

	if (!keys->counting || keys->n < CODE_KEYS_ENOUGH)
		return false;
	keys->counting = false;
	return estimateHyperLogLog(&keys->distinct) < keys->n / 100.0;
}

/* Makes a sort compare numbers first. */
static void
code_sort_abbreviate(SortSupport support)
{
	CodeKeys *keys =
		MemoryContextAllocZero(support->ssup_cxt, sizeof(CodeKeys));
	MemoryContext caller = MemoryContextSwitchTo(support->ssup_cxt);

	initHyperLogLog(&keys->distinct, 10);
	MemoryContextSwitchTo(caller);
	keys->counting = true;
	support->ssup_extra = keys;
	support->comparator = ssup_datum_unsigned_cmp;
	support->abbrev_converter = code_sort_key;
	support->abbrev_abort = code_sort_abort;
	support->abbrev_full_comparator = code_sort_compare;
}
#endif

PG_FUNCTION_INFO_V1(promo_code_sortsupport);
/* Tells a sort how to compare. */
Datum
promo_code_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport support = (SortSupport) PG_GETARG_POINTER(0);

	support->comparator = code_sort_compare;
#if SIZEOF_DATUM == 8
	if (support->abbreviate)
		code_sort_abbreviate(support);
#endif
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(promo_code_normal);
/* SQL: promo_code_normal(code promo_code) */
Datum
promo_code_normal(PG_FUNCTION_ARGS)
{
	char normal[PROMO_CODE_MAX];
	int length = code_normal(PG_GETARG_PROMO_CODE_PP(0), normal);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(normal, length));
}

PG_FUNCTION_INFO_V1(promo_code_check);
/* SQL: promo_code_check(code promo_code) */
Datum
promo_code_check(PG_FUNCTION_ARGS)
{
	PromoCode *code = PG_GETARG_PROMO_CODE_PP(0);
	int sum = promo_code_sum(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), 1);
	int class = promo_code_check_class(sum, 0);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(&promo_code_symbols[class], 1));
}

PG_FUNCTION_INFO_V1(promo_code_valid);
/* SQL: promo_code_valid(code promo_code) */
Datum
promo_code_valid(PG_FUNCTION_ARGS)
{
	PromoCode *code = PG_GETARG_PROMO_CODE_PP(0);
	int length = VARSIZE_ANY_EXHDR(code);

	PG_RETURN_BOOL(length > 1 &&
				   promo_code_sum(VARDATA_ANY(code), length, 0) == 0);
}
