/*
 * Inner loops over containers of bits. The processor decides at run time
 * which build of them is used: the module is compiled for any machine of its
 * architecture, which need not have an instruction that counts bits.
 */
#include "postgres.h"

#include "segment/audience_layout.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define AUDIENCE_TARGETS
#endif

/* So that a word is not 0. */
#define LAST_BIT (UINT64CONST(1) << 63)

/* Counts the bits that are set. */
static pg_attribute_always_inline uint32
count_body(const uint64 *words)
{
	uint64 n = 0;

	for (int i = 0; i < AUDIENCE_WORDS; i++)
		n += __builtin_popcountll(words[i]);
	return (uint32) n;
}

/* Counts the bits that are set in both. */
static pg_attribute_always_inline uint32
count_and_body(const uint64 *a, const uint64 *b)
{
	uint64 n = 0;

	for (int i = 0; i < AUDIENCE_WORDS; i++)
		n += __builtin_popcountll(a[i] & b[i]);
	return (uint32) n;
}

/* Counts runs: bits that are set and whose lower neighbour is not. */
static pg_attribute_always_inline uint32
count_runs_body(const uint64 *words, uint32 most)
{
	uint64 carry = 0;
	uint32 n = 0;

	for (int i = 0; i < AUDIENCE_WORDS; i += 64)
	{
		for (int k = i; k < i + 64; k++)
		{
			n += __builtin_popcountll(words[k] & ~(words[k] << 1 | carry));
			carry = words[k] >> 63;
		}
		if (n > most)
			break;
	}
	return n;
}

/* Combines two words. */
static pg_attribute_always_inline uint64
combine_word(uint64 a, uint64 b, AudienceOp op)
{
	switch (op)
	{
		case AUDIENCE_OR:
			return a | b;
		case AUDIENCE_AND:
			return a & b;
		case AUDIENCE_MINUS:
			return a & ~b;
		case AUDIENCE_XOR:
			return a ^ b;
	}
	pg_unreachable();
}

/* Combines words, and counts the bits of the result. */
static pg_attribute_always_inline uint32
combine_body(uint64 *result, const uint64 *a, const uint64 *b, AudienceOp op)
{
	uint64 n = 0;

	for (int i = 0; i < AUDIENCE_WORDS; i++)
	{
		uint64 word = combine_word(a[i], b[i], op);

		result[i] = word;
		n += __builtin_popcountll(word);
	}
	return (uint32) n;
}

/*
 * Lists the bits that are set. Words of an array have few, but a processor
 * cannot predict whether none, one or two: so two are written in any case.
 */
static pg_attribute_always_inline uint32
list_body(const uint64 *words, uint16 *values)
{
	uint32 n = 0;

	for (uint32 i = 0; i < AUDIENCE_WORDS; i++)
	{
		uint64 word = words[i];
		uint32 bits = __builtin_popcountll(word);
		uint16 *at = values + n;

		n += bits;
		for (int k = 0; k < AUDIENCE_LIST_SLACK; k++, word &= word - 1)
			*at++ = (uint16) (i * 64 + audience_lowest(word | LAST_BIT));
		for (uint32 k = AUDIENCE_LIST_SLACK; k < bits; k++, word &= word - 1)
			*at++ = (uint16) (i * 64 + audience_lowest(word));
	}
	return n;
}

/* The loops, built for one kind of processor. */
#define KERNELS(name, target)                                                 \
	target static uint32 count_##name(const uint64 *words)                    \
	{                                                                         \
		return count_body(words);                                             \
	}                                                                         \
	target static uint32 count_and_##name(const uint64 *a, const uint64 *b)   \
	{                                                                         \
		return count_and_body(a, b);                                          \
	}                                                                         \
	target static uint32 count_runs_##name(const uint64 *words, uint32 most)  \
	{                                                                         \
		return count_runs_body(words, most);                                  \
	}                                                                         \
	target static uint32 or_##name(uint64 *result, const uint64 *a,           \
								   const uint64 *b)                           \
	{                                                                         \
		return combine_body(result, a, b, AUDIENCE_OR);                       \
	}                                                                         \
	target static uint32 and_##name(uint64 *result, const uint64 *a,          \
									const uint64 *b)                          \
	{                                                                         \
		return combine_body(result, a, b, AUDIENCE_AND);                      \
	}                                                                         \
	target static uint32 minus_##name(uint64 *result, const uint64 *a,        \
									  const uint64 *b)                        \
	{                                                                         \
		return combine_body(result, a, b, AUDIENCE_MINUS);                    \
	}                                                                         \
	target static uint32 xor_##name(uint64 *result, const uint64 *a,          \
									const uint64 *b)                          \
	{                                                                         \
		return combine_body(result, a, b, AUDIENCE_XOR);                      \
	}                                                                         \
	target static uint32 list_##name(const uint64 *words, uint16 *values)     \
	{                                                                         \
		return list_body(words, values);                                      \
	}                                                                         \
	static const AudienceKernels kernels_##name = {                           \
		count_##name,                                                         \
		count_and_##name,                                                     \
		count_runs_##name,                                                    \
		{or_##name, and_##name, minus_##name, xor_##name},                    \
		list_##name}

KERNELS(plain, );
#ifdef AUDIENCE_TARGETS
KERNELS(popcnt, __attribute__((target("popcnt,bmi"))));
KERNELS(avx512, __attribute__((target("popcnt,bmi,avx512f,avx512bw,avx512vl,"
									  "avx512vpopcntdq"))));
#endif

/* Returns the loops for the processor that this runs on. */
const AudienceKernels *
audience_kernels(void)
{
	static const AudienceKernels *chosen = NULL;

	if (chosen == NULL)
	{
		chosen = &kernels_plain;
#ifdef AUDIENCE_TARGETS
		if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi"))
			chosen = &kernels_popcnt;
		if (chosen == &kernels_popcnt && __builtin_cpu_supports("avx512bw") &&
			__builtin_cpu_supports("avx512vl") &&
			__builtin_cpu_supports("avx512vpopcntdq"))
			chosen = &kernels_avx512;
#endif
	}
	return chosen;
}

/* Sets the bits from first to last. */
void
audience_bits_fill(uint64 *words, uint32 first, uint32 last)
{
	uint32 from = first >> 6;
	uint32 to = last >> 6;
	uint64 low = ~UINT64CONST(0) << (first & 63);
	uint64 high = ~UINT64CONST(0) >> (63 - (last & 63));

	if (from == to)
	{
		words[from] |= low & high;
		return;
	}
	words[from] |= low;
	for (uint32 i = from + 1; i < to; i++)
		words[i] = ~UINT64CONST(0);
	words[to] |= high;
}

/* Sets the bits of a container: of so many values, or runs. */
void
audience_bits_add(uint64 *words, const void *data, AudienceKind kind,
				  uint32 units)
{
	const uint16 *values = data;
	const uint64 *others = data;
	const AudienceRun *runs = data;

	switch (kind)
	{
		case AUDIENCE_ARRAY:
			for (uint32 i = 0; i < units; i++)
				words[values[i] >> 6] |= UINT64CONST(1) << (values[i] & 63);
			break;
		case AUDIENCE_BITS:
			for (int i = 0; i < AUDIENCE_WORDS; i++)
				words[i] |= others[i];
			break;
		case AUDIENCE_RUNS:
			for (uint32 i = 0; i < units; i++)
				audience_bits_fill(words, runs[i].first,
								   (uint32) runs[i].first + runs[i].more);
			break;
	}
}

/* Finds the next run of bits from *at on, and sets *at behind it. */
bool
audience_bits_next_run(const uint64 *words, uint32 *at, uint32 *first,
					   uint32 *last)
{
	uint32 i = *at;
	uint64 word = 0;

	while (i < AUDIENCE_CHUNK && (word = words[i >> 6] >> (i & 63)) == 0)
		i = (i | 63) + 1;
	if (i == AUDIENCE_CHUNK)
		return false;
	*first = i += audience_lowest(word);
	/* Zeros come in from above: none of them is taken for an end. */
	while (i < AUDIENCE_CHUNK && (word = ~words[i >> 6] >> (i & 63)) == 0)
		i = (i | 63) + 1;
	if (i < AUDIENCE_CHUNK)
		i += audience_lowest(word);
	*last = i - 1;
	*at = i;
	return true;
}

/* Lists the runs of bits, and returns their number. */
uint32
audience_bits_runs(const uint64 *words, AudienceRun *runs)
{
	uint32 n = 0;
	uint32 at = 0;
	uint32 first;
	uint32 last;

	while (audience_bits_next_run(words, &at, &first, &last))
	{
		runs[n].first = (uint16) first;
		runs[n++].more = (uint16) (last - first);
	}
	return n;
}
