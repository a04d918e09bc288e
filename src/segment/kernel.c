/*
 * Inner loops over the rows of a batch. The processor decides at run time
 * which build of them is used: the module is compiled for any machine of its
 * architecture, which need not have the wide registers of another.
 */
#include "postgres.h"

#include "segment/program.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define SEGMENT_TARGETS
#include <immintrin.h>
#endif

#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

/* Writes for each key how many cuts are not above it. */
static void
count_plain(const int64 *keys, const int64 *cuts, int ncuts, uint16 *counts)
{
	memset(counts, 0, SEGMENT_BATCH * sizeof(uint16));
	for (int i = 0; i < ncuts; i++)
	{
		int64 cut = cuts[i];

		for (int row = 0; row < SEGMENT_BATCH; row++)
			counts[row] += keys[row] >= cut;
	}
}

/* Writes codes of one byte, 0 where nulls is 255. */
static pg_attribute_always_inline void
narrow_body(const uint16 *counts, const uint8 *nulls, uint8 *restrict codes)
{
	for (int row = 0; row < SEGMENT_BATCH; row++)
		codes[row] = (uint8) (counts[row] + 1) & (uint8) ~nulls[row];
}

#ifdef __SSE2__

/* Masks the rows whose codes of one byte are in ranges. */
static pg_attribute_always_inline void
mask_narrow_body(const uint8 *codes, const SegmentCodes *ranges, int nranges,
				 uint64 *mask)
{
	const __m128i zero = _mm_setzero_si128();

	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int part = 0; part < 64; part += 16)
		{
			__m128i code =
				_mm_load_si128((const __m128i *) (codes + word * 64 + part));
			__m128i in = zero;

			for (int i = 0; i < nranges; i++)
			{
				__m128i above =
					_mm_sub_epi8(code, _mm_set1_epi8((char) ranges[i].first));

				/* Unsigned, what is below the range is far above it. */
				in = _mm_or_si128(
					in, _mm_cmpeq_epi8(
							_mm_subs_epu8(
								above, _mm_set1_epi8((char) ranges[i].width)),
							zero));
			}
			bits |= (uint64) (uint32) _mm_movemask_epi8(in) << part;
		}
		mask[word] = bits;
	}
}

/* Masks the rows whose codes of two bytes are in ranges. */
static pg_attribute_always_inline void
mask_wide_body(const uint16 *codes, const SegmentCodes *ranges, int nranges,
			   uint64 *mask)
{
	const __m128i zero = _mm_setzero_si128();

	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int part = 0; part < 64; part += 16)
		{
			const __m128i *at = (const __m128i *) (codes + word * 64 + part);
			__m128i low = _mm_load_si128(at);
			__m128i high = _mm_load_si128(at + 1);
			__m128i in = zero;

			for (int i = 0; i < nranges; i++)
			{
				__m128i first = _mm_set1_epi16((short) ranges[i].first);
				__m128i width = _mm_set1_epi16((short) ranges[i].width);
				__m128i a = _mm_cmpeq_epi16(
					_mm_subs_epu16(_mm_sub_epi16(low, first), width), zero);
				__m128i b = _mm_cmpeq_epi16(
					_mm_subs_epu16(_mm_sub_epi16(high, first), width), zero);

				in = _mm_or_si128(in, _mm_packs_epi16(a, b));
			}
			bits |= (uint64) (uint32) _mm_movemask_epi8(in) << part;
		}
		mask[word] = bits;
	}
}

#else

/* Masks the rows whose codes of one byte are in ranges. */
static inline void
mask_narrow_body(const uint8 *codes, const SegmentCodes *ranges, int nranges,
				 uint64 *mask)
{
	memset(mask, 0, SEGMENT_WORDS * sizeof(uint64));
	for (int i = 0; i < nranges; i++)
		for (int row = 0; row < SEGMENT_BATCH; row++)
			mask[row / 64] |=
				(uint64) ((uint8) (codes[row] - ranges[i].first) <=
						  ranges[i].width)
				<< row % 64;
}

/* Masks the rows whose codes of two bytes are in ranges. */
static inline void
mask_wide_body(const uint16 *codes, const SegmentCodes *ranges, int nranges,
			   uint64 *mask)
{
	memset(mask, 0, SEGMENT_WORDS * sizeof(uint64));
	for (int i = 0; i < nranges; i++)
		for (int row = 0; row < SEGMENT_BATCH; row++)
			mask[row / 64] |=
				(uint64) ((uint16) (codes[row] - ranges[i].first) <=
						  ranges[i].width)
				<< row % 64;
}

#endif

/* The loops that are the same for all processors, built for one kind. */
#define KERNELS(name, target)                                                 \
	target static void narrow_##name(const uint16 *counts,                    \
									 const uint8 *nulls, uint8 *codes)        \
	{                                                                         \
		narrow_body(counts, nulls, codes);                                    \
	}                                                                         \
	target static void mask_narrow_##name(const uint8 *codes,                 \
										  const SegmentCodes *ranges,         \
										  int nranges, uint64 *mask)          \
	{                                                                         \
		mask_narrow_body(codes, ranges, nranges, mask);                       \
	}                                                                         \
	target static void mask_wide_##name(const uint16 *codes,                  \
										const SegmentCodes *ranges,           \
										int nranges, uint64 *mask)            \
	{                                                                         \
		mask_wide_body(codes, ranges, nranges, mask);                         \
	}

KERNELS(plain, )

static const SegmentKernels kernels_plain = {.count_most = 4,
											 .count = count_plain,
											 .narrow = narrow_plain,
											 .mask_narrow = mask_narrow_plain,
											 .mask_wide = mask_wide_plain};

#ifdef SEGMENT_TARGETS

KERNELS(avx2, TARGET_AVX2)

/* Writes for each key how many cuts are not above it. */
TARGET_AVX2 static void
count_avx2(const int64 *keys, const int64 *cuts, int ncuts, uint16 *counts)
{
	for (int row = 0; row < SEGMENT_BATCH; row += 8)
	{
		__m256i a = _mm256_loadu_si256((const __m256i *) (keys + row));
		__m256i b = _mm256_loadu_si256((const __m256i *) (keys + row + 4));
		__m256i above_a = _mm256_setzero_si256();
		__m256i above_b = _mm256_setzero_si256();
		__m256i both;

		/* A comparison that holds gives -1. */
		for (int i = 0; i < ncuts; i++)
		{
			__m256i cut = _mm256_set1_epi64x(cuts[i]);

			above_a = _mm256_add_epi64(above_a, _mm256_cmpgt_epi64(cut, a));
			above_b = _mm256_add_epi64(above_b, _mm256_cmpgt_epi64(cut, b));
		}
		/* Of each four, the low halves: rows 0 1 4 5 2 3 6 7. */
		both = _mm256_castps_si256(_mm256_shuffle_ps(
			_mm256_castsi256_ps(above_a), _mm256_castsi256_ps(above_b), 0x88));
		both = _mm256_permute4x64_epi64(both, 0xD8);
		both = _mm256_add_epi32(both, _mm256_set1_epi32(ncuts));
		_mm_storeu_si128((__m128i *) (counts + row),
						 _mm_packus_epi32(_mm256_castsi256_si128(both),
										  _mm256_extracti128_si256(both, 1)));
	}
}

/* Writes for each key how many cuts are not above it. */
TARGET_AVX512 static void
count_avx512(const int64 *keys, const int64 *cuts, int ncuts, uint16 *counts)
{
	const __m512i one = _mm512_set1_epi64(1);

	for (int row = 0; row < SEGMENT_BATCH; row += 16)
	{
		__m512i a = _mm512_loadu_si512(keys + row);
		__m512i b = _mm512_loadu_si512(keys + row + 8);
		__m512i upto_a = _mm512_setzero_si512();
		__m512i upto_b = _mm512_setzero_si512();

		for (int i = 0; i < ncuts; i++)
		{
			__m512i cut = _mm512_set1_epi64(cuts[i]);

			upto_a = _mm512_mask_add_epi64(
				upto_a, _mm512_cmpge_epi64_mask(a, cut), upto_a, one);
			upto_b = _mm512_mask_add_epi64(
				upto_b, _mm512_cmpge_epi64_mask(b, cut), upto_b, one);
		}
		_mm_storeu_si128((__m128i *) (counts + row),
						 _mm512_cvtepi64_epi16(upto_a));
		_mm_storeu_si128((__m128i *) (counts + row + 8),
						 _mm512_cvtepi64_epi16(upto_b));
	}
}

/* Writes codes of one byte, 0 where nulls is 255. */
TARGET_AVX512 static void
narrow_avx512(const uint16 *counts, const uint8 *nulls, uint8 *codes)
{
	narrow_body(counts, nulls, codes);
}

/* Masks the rows whose codes of one byte are in ranges. */
TARGET_AVX512 static void
mask_narrow_avx512(const uint8 *codes, const SegmentCodes *ranges, int nranges,
				   uint64 *mask)
{
	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		__m512i code = _mm512_load_si512(codes + word * 64);
		uint64 bits = 0;

		for (int i = 0; i < nranges; i++)
			bits |= _mm512_cmple_epu8_mask(
				_mm512_sub_epi8(code,
								_mm512_set1_epi8((char) ranges[i].first)),
				_mm512_set1_epi8((char) ranges[i].width));
		mask[word] = bits;
	}
}

/* Masks the rows whose codes of two bytes are in ranges. */
TARGET_AVX512 static void
mask_wide_avx512(const uint16 *codes, const SegmentCodes *ranges, int nranges,
				 uint64 *mask)
{
	uint32 *half = (uint32 *) mask;

	for (int i = 0; i < SEGMENT_WORDS * 2; i++)
	{
		__m512i code = _mm512_load_si512(codes + i * 32);
		uint32 bits = 0;

		for (int k = 0; k < nranges; k++)
			bits |= _mm512_cmple_epu16_mask(
				_mm512_sub_epi16(code,
								 _mm512_set1_epi16((short) ranges[k].first)),
				_mm512_set1_epi16((short) ranges[k].width));
		half[i] = bits;
	}
}

static const SegmentKernels kernels_avx2 = {.count_most = 16,
											.count = count_avx2,
											.narrow = narrow_avx2,
											.mask_narrow = mask_narrow_avx2,
											.mask_wide = mask_wide_avx2};

static const SegmentKernels kernels_avx512 = {.count_most = 32,
											  .count = count_avx512,
											  .narrow = narrow_avx512,
											  .mask_narrow =
												  mask_narrow_avx512,
											  .mask_wide = mask_wide_avx512};

#endif

/* Returns the loops for the processor that this runs on. */
const SegmentKernels *
segment_kernels(void)
{
	static const SegmentKernels *chosen = NULL;

	if (chosen == NULL)
	{
		chosen = &kernels_plain;
#ifdef SEGMENT_TARGETS
		if (__builtin_cpu_supports("avx2"))
			chosen = &kernels_avx2;
		if (__builtin_cpu_supports("avx512bw") &&
			__builtin_cpu_supports("avx512vl"))
			chosen = &kernels_avx512;
#endif
	}
	return chosen;
}
