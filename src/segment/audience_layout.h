/*
 * The bytes of an audience:
 *
 *   head       32 bytes: length of the varlena, version, members, largest
 *              id, containers, 0
 *   directory  16 bytes for each container, ascending
 *   data       of the containers in the order of the directory, each filled
 *              up to 8 bytes with zeros
 *
 * A container holds the ids of one chunk, those that have the upper 48 bits
 * in common, by their lower 16 bits:
 *
 *   array  ascending, 2 bytes each
 *   bits   65,536 bits in 1,024 words of 8 bytes, lowest first
 *   runs   ascending, none next to another; first and number less 1 of each,
 *          2 bytes both
 *
 * What needs at most 4 bytes lies in the directory instead of an offset.
 * Of the three, the smallest is used; of two equal ones, the first above.
 * So each set has one form, and equal sets have equal bytes.
 *
 * All numbers are little-endian, and used where they lie.
 */
#ifndef IAROS_SEGMENT_AUDIENCE_LAYOUT_H
#define IAROS_SEGMENT_AUDIENCE_LAYOUT_H

#include "postgres.h"

#include "core/stream.h"
#include "segment/audience.h"
#include "utils/array.h"
#include "utils/memutils.h"

#ifdef WORDS_BIGENDIAN
#error "type audience is made for little-endian machines"
#endif

#define AUDIENCE_VERSION 1

#define AUDIENCE_CHUNK 65536    /* ids of a chunk */
#define AUDIENCE_WORDS 1024     /* words of bits */
#define AUDIENCE_BITS_SIZE 8192 /* bytes of bits */
#define AUDIENCE_ARRAY_MAX 4096 /* members that an array can hold */
#define AUDIENCE_LIST_SLACK 2   /* values that a list may write too many */
#define AUDIENCE_RUNS_MAX 2048  /* runs that are no larger than bits */
#define AUDIENCE_INLINE_MAX 4   /* bytes that lie in the directory */
#define AUDIENCE_KEY_BITS 47    /* of the number of a chunk */
#define AUDIENCE_SIZE_MAX MaxAllocSize
#define AUDIENCE_ENTRIES_MAX                                                  \
	((AUDIENCE_SIZE_MAX - sizeof(Audience)) / sizeof(AudienceEntry))

typedef enum AudienceKind
{
	AUDIENCE_ARRAY,
	AUDIENCE_BITS,
	AUDIENCE_RUNS,
} AudienceKind;

typedef struct AudienceRun
{
	uint16 first;
	uint16 more; /* number of ids less 1 */
} AudienceRun;

typedef struct AudienceEntry
{
	uint64 head;   /* number of the chunk, then members less 1 in 16 bits */
	uint32 offset; /* from the end of the directory; or the data */
	uint16 kind;
	uint16 nruns; /* 0 unless the kind is runs */
} AudienceEntry;

struct Audience
{
	int32 vl_len_; /* varlena header, not to be touched directly */
	uint32 version;
	uint64 cardinality;
	uint64 last; /* largest id, 0 when there is none */
	uint32 nentries;
	uint32 zero;
	AudienceEntry entries[FLEXIBLE_ARRAY_MEMBER];
};

StaticAssertDecl(sizeof(AudienceEntry) == 16, "an entry has 16 bytes");
StaticAssertDecl(sizeof(Audience) == 32, "the head has 32 bytes");

/* Returns the number of the chunk of an entry. */
static inline uint64
audience_key(const AudienceEntry *entry)
{
	return entry->head >> 16;
}

/* Returns the members of a container, at least 1. */
static inline uint32
audience_members(const AudienceEntry *entry)
{
	return (uint32) (entry->head & 0xFFFF) + 1;
}

/* Returns the values of an array, the ids of bits, or the number of runs. */
static inline uint32
audience_units(const AudienceEntry *entry)
{
	return entry->kind == AUDIENCE_RUNS ? entry->nruns
										: audience_members(entry);
}

/* Returns the bytes that a container needs. */
static inline uint32
audience_bytes(const AudienceEntry *entry)
{
	switch ((AudienceKind) entry->kind)
	{
		case AUDIENCE_ARRAY:
			return audience_members(entry) * sizeof(uint16);
		case AUDIENCE_BITS:
			return AUDIENCE_BITS_SIZE;
		case AUDIENCE_RUNS:
			return entry->nruns * sizeof(AudienceRun);
	}
	pg_unreachable();
}

/* Returns the bytes that a container takes after the directory. */
static inline uint32
audience_space(const AudienceEntry *entry)
{
	uint32 bytes = audience_bytes(entry);

	return bytes <= AUDIENCE_INLINE_MAX ? 0 : TYPEALIGN(8, bytes);
}

/* Returns where the data of a container lie. */
static inline const void *
audience_data(const Audience *audience, const AudienceEntry *entry)
{
	if (audience_bytes(entry) <= AUDIENCE_INLINE_MAX)
		return &entry->offset;
	return (const char *) &audience->entries[audience->nentries] +
		   entry->offset;
}

/* Returns the kind of a container, the smallest. */
static inline AudienceKind
audience_kind(uint32 members, uint32 nruns)
{
	uint32 plain = Min(members * sizeof(uint16), AUDIENCE_BITS_SIZE);

	if (nruns * sizeof(AudienceRun) < plain)
		return AUDIENCE_RUNS;
	return members <= AUDIENCE_ARRAY_MAX ? AUDIENCE_ARRAY : AUDIENCE_BITS;
}

/* Returns the position of the lowest bit that is set. */
static inline int
audience_lowest(uint64 word)
{
	return __builtin_ctzll(word);
}

/* audience_bits.c: inner loops over the words of bits. */
typedef enum AudienceOp
{
	AUDIENCE_OR,
	AUDIENCE_AND,
	AUDIENCE_MINUS,
	AUDIENCE_XOR,
} AudienceOp;

typedef struct AudienceKernels
{
	/* Bits that are set. */
	uint32 (*count)(const uint64 *words);
	/* Bits that are set in both. */
	uint32 (*count_and)(const uint64 *a, const uint64 *b);
	/* Runs of bits, counted until there are more than the most. */
	uint32 (*count_runs)(const uint64 *words, uint32 most);
	/* Combines words into result, and counts its bits. */
	uint32 (*combine[4])(uint64 *result, const uint64 *a, const uint64 *b);
	/*
	 * Lists the bits that are set, ascending, and returns their number.
	 * Writes up to AUDIENCE_LIST_SLACK values more.
	 */
	uint32 (*list)(const uint64 *words, uint16 *values);
} AudienceKernels;

extern const AudienceKernels *audience_kernels(void);
extern void audience_bits_fill(uint64 *words, uint32 first, uint32 last);
extern void audience_bits_add(uint64 *words, const void *data,
							  AudienceKind kind, uint32 units);
extern bool audience_bits_next_run(const uint64 *words, uint32 *at,
								   uint32 *first, uint32 *last);
extern uint32 audience_bits_runs(const uint64 *words, AudienceRun *runs);

/* audience_write.c: makes an audience, container by container, ascending. */
typedef struct AudienceWriter
{
	Audience *audience;
	char *data; /* after room for the most entries */
	Size used;
	Size room;
	Size max_entries;
} AudienceWriter;

extern void audience_write_begin(AudienceWriter *writer, Size max_entries,
								 Size max_data);
extern void audience_write_array(AudienceWriter *writer, uint64 key,
								 const uint16 *values, uint32 n);
extern void audience_write_bits(AudienceWriter *writer, uint64 key,
								const uint64 *words, uint32 members);
extern void audience_write_runs(AudienceWriter *writer, uint64 key,
								const AudienceRun *runs, uint32 nruns);
extern void audience_write_entry(AudienceWriter *writer,
								 const Audience *audience,
								 const AudienceEntry *entry);
extern Audience *audience_write_end(AudienceWriter *writer);
extern uint64 audience_largest(const Audience *audience);
extern uint32 audience_runs_members(const AudienceRun *runs, uint32 nruns);
extern void audience_error_size(void) pg_attribute_noreturn();

/* audience_ids.c: reads the ids as runs, ascending, each as long as it is. */
typedef struct AudienceCursor
{
	const Audience *audience;
	uint32 entry; /* next container */
	uint32 at;    /* next value, bit or run in it */
} AudienceCursor;

extern bool audience_container_run(const AudienceEntry *entry,
								   const void *data, uint32 *at, uint32 *first,
								   uint32 *last);
extern bool audience_next_run(AudienceCursor *cursor, uint64 *first,
							  uint64 *last);

extern ArrayType *audience_make_array(uint64 n);

/* audience.c */
extern PGDLLEXPORT Datum audience_to_array(PG_FUNCTION_ARGS);

/* audience_transpose.c */
extern const CoreStream audience_transpose_stream;

/* audience_check.c */
extern const char *audience_flaw(const Audience *audience, Size size);

/* audience_set.c */
extern uint64 audience_overlap(const Audience *a, const Audience *b);
extern Audience *audience_combine(const Audience *a, const Audience *b,
								  AudienceOp op);

#endif /* IAROS_SEGMENT_AUDIENCE_LAYOUT_H */
