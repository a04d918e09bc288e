/*
 * Numbers out of numeric: exact 64-bit integers from its stored digits,
 * without arithmetic on numeric and without memory of its own.
 */
#include "postgres.h"

#include "common/int.h"
#include "core/core.h"
#include "fmgr.h"

/*
 * The structs of numeric are private to the server's numeric.c, but their
 * bytes are its storage format and hence fixed. After the varlena header
 * come
 *
 *   short form  uint16: 1 0 sign:1 dscale:6 weight:7 (two's complement)
 *   long form   uint16: 0 sign:1 dscale:14, then int16 weight
 *   special     uint16: 1 1 ...: NaN, Infinity, -Infinity
 *
 * and then int16 digits in base 10000, the first one worth
 * 10000^weight. With a one-byte varlena header nothing is aligned.
 */
#define NUM_FORM_MASK 0xC000
#define NUM_FORM_SPECIAL 0xC000
#define NUM_FORM_SHORT 0x8000
#define NUM_LONG_NEGATIVE 0x4000
#define NUM_SHORT_NEGATIVE 0x2000
#define NUM_SHORT_WEIGHT_SIGN 0x0040
#define NUM_SHORT_WEIGHT_MASK 0x003F

#define NUM_BASE 10000
#define NUM_BASE_DIGITS 4

/* So many base 10000 digits always fit 64 bits. */
#define NUM_WHOLE_DIGITS 4

#define NUM_MINUS_INFINITY 0xF000

/* Keys of numbers up to here have room for one bit more. */
#define NUM_KEY_MAX (INT64CONST(1) << 61)

/* Bounds of the scale in SQL, those of numeric itself. */
#define NUM_SCALE_MAX NUMERIC_MAX_SCALE
#define NUM_SCALE_MIN (-NUMERIC_MAX_SCALE)

/* What the bytes of a finite numeric say. */
typedef struct NumericView
{
	bool negative;
	int weight;         /* power of 10000 of the first digit */
	int ndigits;        /* number of base 10000 digits */
	const char *digits; /* int16 each, not aligned */
} NumericView;

/* 10^0 to 10^4: what is left of a base 10000 digit above a cut. */
static const int num_pow10[NUM_BASE_DIGITS + 1] = {1, 10, 100, 1000, 10000};

/* Reads an unaligned 16-bit word. */
static inline uint16
num_word(const char *at)
{
	uint16 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Base 10000 digit number i, 0 to 9999. */
static inline int
num_digit(const NumericView *view, int i)
{
	return num_word(view->digits + (Size) i * sizeof(int16));
}

/* Opens a detoasted numeric; false when it is NaN or infinite. */
static bool
num_open(Numeric value, NumericView *view)
{
	const char *data = VARDATA_ANY(value);
	Size size = VARSIZE_ANY_EXHDR(value);
	Size header_size;
	uint16 header;

	Assert(size >= sizeof(uint16));
	header = num_word(data);
	if ((header & NUM_FORM_MASK) == NUM_FORM_SPECIAL)
		return false;
	if ((header & NUM_FORM_MASK) == NUM_FORM_SHORT)
	{
		view->negative = (header & NUM_SHORT_NEGATIVE) != 0;
		view->weight = header & NUM_SHORT_WEIGHT_MASK;
		if (header & NUM_SHORT_WEIGHT_SIGN)
			view->weight |= ~NUM_SHORT_WEIGHT_MASK;
		header_size = sizeof(uint16);
	}
	else
	{
		Assert(size >= 2 * sizeof(uint16));
		view->negative = (header & NUM_LONG_NEGATIVE) != 0;
		view->weight = (int16) num_word(data + sizeof(uint16));
		header_size = 2 * sizeof(uint16);
	}
	view->ndigits = (int) ((size - header_size) / sizeof(int16));
	view->digits = data + header_size;
	return true;
}

/*
 * Splits digit i at the decimal place given by scale: *kept is its part at
 * or above the place, *lost the part below, and the result how many decimal
 * digits the kept part has (0 to 4).
 */
static inline int
num_split(const NumericView *view, int i, int scale, int *kept, int *lost)
{
	int digit = num_digit(view, i);
	int exponent = NUM_BASE_DIGITS * (view->weight - i) + scale;
	int width =
		exponent >= 0 ? NUM_BASE_DIGITS : Max(NUM_BASE_DIGITS + exponent, 0);
	int unit = num_pow10[NUM_BASE_DIGITS - width];

	*kept = digit / unit;
	*lost = digit % unit;
	return width;
}

/* Multiplies by 10^power; false when the product does not fit. */
static bool
num_shift(int64 *value, int power)
{
	if (*value == 0)
		return true;
	for (; power > 0; power--)
	{
		if (pg_mul_s64_overflow(*value, 10, value))
			return false;
	}
	return true;
}

/*
 * The same for a scale of whole base 10000 digits, which that of money is:
 * no digit is split. False, too, when the number may not fit.
 */
static inline bool
num_scaled_whole(const NumericView *view, int scale, int64 *result)
{
	/* Base 10000 digits down to the scale. */
	int ndigits = view->weight + 1 + scale / NUM_BASE_DIGITS;
	int64 sum = 0;
	int i = 0;

	if (ndigits > NUM_WHOLE_DIGITS || view->ndigits > ndigits)
		return false;
	for (; i < view->ndigits; i++)
		sum = sum * NUM_BASE + num_digit(view, i);
	for (; i < ndigits; i++)
		sum *= NUM_BASE;
	*result = view->negative ? -sum : sum;
	return true;
}

/*
 * Writes value * 10^scale to *result; false when value is not finite, has
 * digits other than zero below the scale, or the product is no int64.
 */
bool
core_numeric_scaled(Numeric value, int scale, int64 *result)
{
	NumericView view;
	int64 sum = 0;
	int i;

	if (!num_open(value, &view))
		return false;
	if (scale % NUM_BASE_DIGITS == 0 && num_scaled_whole(&view, scale, result))
		return true;

	/* Summed as a negative number, whose range is one larger. */
	for (i = 0; i < view.ndigits; i++)
	{
		int kept;
		int lost;
		int width = num_split(&view, i, scale, &kept, &lost);

		if (lost != 0 || pg_mul_s64_overflow(sum, num_pow10[width], &sum) ||
			pg_sub_s64_overflow(sum, kept, &sum))
			return false;
	}
	if (!num_shift(&sum, NUM_BASE_DIGITS * (view.weight - i + 1) + scale))
		return false;
	if (!view.negative && sum == PG_INT64_MIN)
		return false;
	*result = view.negative ? sum : -sum;
	return true;
}

/* Returns the key of a value that is not finite. */
static int64
num_key_special(Numeric value)
{
	uint16 header = num_word(VARDATA_ANY(value));

	return header == NUM_MINUS_INFINITY ? PG_INT64_MIN : PG_INT64_MAX;
}

/* Returns the key of a number whose magnitude is scaled, + more below. */
static inline int64
num_key(bool negative, int64 scaled, bool more)
{
	if (scaled > NUM_KEY_MAX)
		return negative ? PG_INT64_MIN : PG_INT64_MAX;
	return negative ? -2 * scaled - more : 2 * scaled + more;
}

/* The same for numbers of any size. */
static int64
num_key_slow(const NumericView *view, int scale)
{
	int64 sum = 0;
	int i;

	for (i = 0; i < view->ndigits; i++)
	{
		int kept;
		int lost;
		int width = num_split(view, i, scale, &kept, &lost);

		if (pg_mul_s64_overflow(sum, num_pow10[width], &sum) ||
			pg_add_s64_overflow(sum, kept, &sum))
			return num_key(view->negative, PG_INT64_MAX, false);
		for (int j = i + 1; width < NUM_BASE_DIGITS && j < view->ndigits; j++)
			lost |= num_digit(view, j);
		if (width < NUM_BASE_DIGITS)
			return num_key(view->negative, sum, lost != 0);
	}
	if (!num_shift(&sum, NUM_BASE_DIGITS * (view->weight - i + 1) + scale))
		sum = PG_INT64_MAX;
	return num_key(view->negative, sum, false);
}

/*
 * Returns a key in the order of numbers: 2 * floor(value * 10^scale), + 1
 * when value has digits below the scale. Numbers beyond 2^61 at that scale
 * have the keys of the infinities of their sign, and NaN that of Infinity.
 */
int64
core_numeric_key(Numeric value, int scale)
{
	NumericView view;
	int ndigits;
	int64 sum = 0;
	int i = 0;
	bool more = false;

	if (!num_open(value, &view))
		return num_key_special(value);
	/* Base 10000 digits down to the scale, see num_scaled_whole(). */
	ndigits = view.weight + 1 + scale / NUM_BASE_DIGITS;
	if (scale % NUM_BASE_DIGITS != 0 || ndigits > NUM_WHOLE_DIGITS ||
		ndigits < 0)
		return num_key_slow(&view, scale);
	for (; i < view.ndigits && i < ndigits; i++)
		sum = sum * NUM_BASE + num_digit(&view, i);
	for (; i < ndigits; i++)
		sum *= NUM_BASE;
	for (; i < view.ndigits && !more; i++)
		more = num_digit(&view, i) != 0;
	return num_key(view.negative, sum, more);
}

/*
 * Tells whether value is finite and has no digit other than zero below the
 * scale, however large it is.
 */
bool
core_numeric_fits_scale(Numeric value, int scale)
{
	NumericView view;
	int i;

	if (!num_open(value, &view))
		return false;
	for (i = view.ndigits - 1; i >= 0; i--)
	{
		int kept;
		int lost;

		if (num_split(&view, i, scale, &kept, &lost) == NUM_BASE_DIGITS)
			return true;
		if (lost != 0)
			return false;
	}
	return true;
}

/* Raises an error unless the scale is one that numeric can have. */
static void
num_check_scale(int scale)
{
	if (scale < NUM_SCALE_MIN || scale > NUM_SCALE_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scale \"%d\" is out of range", scale),
						errdetail("A scale is between %d and %d.",
								  NUM_SCALE_MIN, NUM_SCALE_MAX)));
}

PG_FUNCTION_INFO_V1(numeric_scaled);

/* SQL: numeric_scaled(value numeric, scale integer) */
PGDLLEXPORT Datum
numeric_scaled(PG_FUNCTION_ARGS)
{
	Numeric value = (Numeric) PG_GETARG_VARLENA_PP(0);
	int scale = PG_GETARG_INT32(1);
	int64 result;

	num_check_scale(scale);
	if (!core_numeric_scaled(value, scale, &result))
		PG_RETURN_NULL();
	PG_RETURN_INT64(result);
}
