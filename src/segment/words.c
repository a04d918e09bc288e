/*
 * Texts that a column is compared with: as whole words, which a table finds,
 * and as patterns.
 */
#include "postgres.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "segment/program.h"

/* Bytes of a word that its ends hold. */
#define WORD_ENDS 16

/* Texts up to here are copied to be searched; longer patterns are not. */
#define FIND_ROOM 80
#define FIND_PATTERN_MAX (FIND_ROOM - 16)

/*
 * The first and last eight bytes of a text, which may overlap; of a shorter
 * one, all of it. With the length, they tell texts up to 16 bytes apart.
 */
typedef struct WordEnds
{
	uint64 head;
	uint64 tail;
} WordEnds;

/* A text that a column is compared with. */
typedef struct SegmentWord
{
	WordEnds ends;
	int length;
	const char *text;
} SegmentWord;

/* Reads eight bytes. */
static inline uint64
bytes_8(const char *at)
{
	uint64 bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* Reads four bytes. */
static inline uint64
bytes_4(const char *at)
{
	uint32 bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* Returns the ends of a text. */
static inline WordEnds
word_ends(const char *text, int length)
{
	WordEnds ends = {0};

	if (length >= 8)
	{
		ends.head = bytes_8(text);
		ends.tail = bytes_8(text + length - 8);
	}
	else if (length >= 4)
		ends.head = bytes_4(text) | bytes_4(text + length - 4) << 32;
	else if (length > 0)
		ends.head = (uint8) text[0] | (uint64) (uint8) text[length / 2] << 8 |
					(uint64) (uint8) text[length - 1] << 16;
	return ends;
}

/* Stirs eight bytes into a hash. */
static inline uint64
hash_stir(uint64 hash, uint64 bytes)
{
	hash = (hash ^ bytes) * UINT64CONST(0xFF51AFD7ED558CCD);
	return hash ^ hash >> 32;
}

/* Hashes a text. */
static inline uint32
word_hash(const WordEnds *ends, const char *text, int length)
{
	uint64 hash = (uint64) length * UINT64CONST(0x9E3779B97F4A7C15);

	hash = hash_stir(hash_stir(hash, ends->head), ends->tail);
	for (int at = 8; at < length - 8; at += 8)
		hash = hash_stir(hash, bytes_8(text + at));
	return (uint32) hash;
}

/* Returns the number of a text, from 1; 0 when it is none of the words. */
int
segment_words_find(const SegmentWords *words, const char *text, int length)
{
	WordEnds ends;
	uint32 slot;

	if (words->n == 0)
		return 0;
	ends = word_ends(text, length);
	for (slot = word_hash(&ends, text, length) & words->mask;
		 words->slots[slot] != 0; slot = (slot + 1) & words->mask)
	{
		const SegmentWord *word = &words->words[words->slots[slot] - 1];

		if (word->ends.head == ends.head && word->ends.tail == ends.tail &&
			word->length == length &&
			(length <= WORD_ENDS || memcmp(word->text, text, length) == 0))
			return words->slots[slot];
	}
	return 0;
}

/* Enters a word among those that can be found. */
static void
words_index(SegmentWords *words, int number)
{
	const SegmentWord *word = &words->words[number - 1];
	uint32 slot =
		word_hash(&word->ends, word->text, word->length) & words->mask;

	while (words->slots[slot] != 0)
		slot = (slot + 1) & words->mask;
	words->slots[slot] = number;
}

/* Makes room for one more word. */
static void
words_room(SegmentWords *words)
{
	if (words->n < words->room)
		return;
	words->room = Max(8, words->room * 2);
	words->words =
		words->words == NULL
			? palloc(words->room * sizeof(SegmentWord))
			: repalloc(words->words, words->room * sizeof(SegmentWord));
	if (words->slots != NULL)
		pfree(words->slots);
	words->mask = words->room * 4 - 1;
	words->slots = palloc0((Size) words->room * 4 * sizeof(int32));
	for (int i = 1; i <= words->n; i++)
		words_index(words, i);
}

/* Adds a text, which stays where it is, unless it is a word already. */
void
segment_words_add(SegmentWords *words, const char *text, int length)
{
	if (segment_words_find(words, text, length) != 0)
		return;
	words_room(words);
	words->words[words->n++] = (SegmentWord){
		.ends = word_ends(text, length), .length = length, .text = text};
	words_index(words, words->n);
}

/* Returns the first eight bytes of a text in its order; a short one first. */
int64
segment_text_prefix(const char *text, int length)
{
	uint64 bytes = 0;

	if (length >= SEGMENT_PREFIX_MAX)
		bytes = pg_ntoh64(bytes_8(text));
	else
		for (int i = 0; i < length; i++)
			bytes |= (uint64) (uint8) text[i]
					 << (SEGMENT_PREFIX_MAX - 1 - i) * BITS_PER_BYTE;
	/* Bytes have no sign, keys have. */
	return (int64) (bytes ^ UINT64CONST(1) << 63);
}

/* Tells whether a text begins with a pattern. */
static inline bool
text_begins(const SegmentColumn *column, const char *text)
{
	const char *pattern = column->pattern;
	int length = column->pattern_length;

	if (length >= 8)
		return bytes_8(text) == bytes_8(pattern) &&
			   memcmp(text, pattern, length) == 0;
	for (int i = 0; i < length; i++)
		if (text[i] != pattern[i])
			return false;
	return true;
}

#ifdef __SSE2__

/* Which of 16 places have the first and the last byte of a pattern? */
static inline uint32
find_ends(const char *text, int last, __m128i first_byte, __m128i last_byte)
{
	__m128i a = _mm_loadu_si128((const __m128i *) text);
	__m128i b = _mm_loadu_si128((const __m128i *) (text + last));

	return _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first_byte),
										   _mm_cmpeq_epi8(b, last_byte)));
}

/* Tells whether a pattern is at one of 16 places, of which some count. */
static inline bool
find_at(const SegmentColumn *column, const char *text, uint32 places)
{
	const char *pattern = column->pattern;
	int length = column->pattern_length;
	uint32 rest =
		places & find_ends(text, length - 1, _mm_set1_epi8(pattern[0]),
						   _mm_set1_epi8(pattern[length - 1]));

	for (; rest != 0; rest &= rest - 1)
		if (memcmp(text + pg_rightmost_one_pos32(rest), pattern, length) == 0)
			return true;
	return false;
}

/* Copies a text that has less bytes than the room. */
static inline void
find_copy(char *room, const char *text, int length)
{
	if (length < 16)
		memcpy(room, text, length);
	else
	{
		int at = 0;

		for (; at < length - 16; at += 16)
			memcpy(room + at, text + at, 16);
		memcpy(room + length - 16, text + length - 16, 16);
	}
}

/* Tells whether a text that is not too short has a pattern somewhere. */
static bool
text_contains(const SegmentColumn *column, const char *text, int length)
{
	int places = length - column->pattern_length + 1;
	char room[FIND_ROOM] = {0};

	if (column->pattern_length > FIND_PATTERN_MAX)
		return memmem(text, length, column->pattern, column->pattern_length) !=
			   NULL;
	if (places < 16)
	{
		/* Nothing beyond the end is read. */
		find_copy(room, text, length);
		return find_at(column, room, (1U << places) - 1);
	}
	for (; places > 16; places -= 16, text += 16)
		if (find_at(column, text, PG_UINT16_MAX))
			return true;
	/* The last 16 places, some of which may have been looked at. */
	return find_at(column, text + places - 16, PG_UINT16_MAX);
}

#else

/* Tells whether a text has a pattern somewhere. */
static bool
text_contains(const SegmentColumn *column, const char *text, int length)
{
	return memmem(text, length, column->pattern, column->pattern_length) !=
		   NULL;
}

#endif

/* Tells whether a text has the pattern of a column. */
bool
segment_text_matches(const SegmentColumn *column, const char *text, int length)
{
	if (length < column->pattern_length)
		return false;
	return column->prefix ? text_begins(column, text)
						  : text_contains(column, text, length);
}
