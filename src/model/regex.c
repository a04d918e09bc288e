/*
 * Regular expressions of models. They are the work of strangers, and so are
 * texts: PCRE2 runs with limits, a call at each place of a text looks for a
 * request to stop, and all memory belongs to the run.
 */
#include "postgres.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/regex.h"
#include "model/regex_java.h"
#include "utils/memutils.h"

#define REGEX_MAX_PATTERN 65536
#define REGEX_MAX_RESULT (16 * 1024 * 1024)
#define REGEX_HEAP_KB 20480

/* Steps from one place of a text, and from all of them. */
#define REGEX_MIN_STEPS 20000
#define REGEX_MAX_STEPS 1000000
#define REGEX_ALL_STEPS 100000000

#define REGEX_ENTRIES 1024

/* Of texts that are longer a step of a match may take long. */
#define REGEX_LONG_TEXT 65536

/* Groups of one pattern, the whole match among them. */
#define REGEX_MAX_GROUPS 256

/* Entries of the cache that are for patterns of our own. */
enum
{
	REGEX_PUNCTUATION = REGEX_ENTRIES,
	REGEX_WHOLE,
	REGEX_ALL_ENTRIES
};

struct Regex
{
	char *pattern; /* NULL if the entry is empty */
	Size size;
	int flags;
	struct RegexCache *cache;
	pcre2_code *code;
	pcre2_code *watched; /* looks for a cancel at each step, or NULL */
};

struct RegexCache
{
	MemoryContext context;
	pcre2_general_context *general;
	pcre2_compile_context *compile;
	pcre2_match_context *match;
	pcre2_match_data *data; /* of the last match, whose ever */
	Regex entries[REGEX_ALL_ENTRIES];
};

/* Memory for PCRE2, which knows what to do when there is none. */
static void *
regex_malloc(PCRE2_SIZE size, void *context)
{
	return MemoryContextAllocExtended(context, size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/* Takes memory of PCRE2 back. */
static void
regex_free(void *pointer, void *context)
{
	if (pointer != NULL)
		pfree(pointer);
}

/* Ends a match when a request to stop waits, at each place it begins. */
static int
regex_callout(pcre2_callout_block *block, void *arg)
{
	if (InterruptPending && INTERRUPTS_CAN_BE_PROCESSED())
		return PCRE2_ERROR_CALLOUT;
	return 0;
}

/* Fails for want of memory. */
static void
regex_no_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* A cache whose memory is a child of the given context. */
static struct RegexCache *
regex_cache(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(
		parent, "regular expressions of a model", ALLOCSET_DEFAULT_SIZES);
	struct RegexCache *cache =
		MemoryContextAllocZero(context, sizeof(struct RegexCache));

	cache->context = context;
	cache->general =
		pcre2_general_context_create(regex_malloc, regex_free, context);
	if (cache->general == NULL)
		regex_no_memory();
	cache->compile = pcre2_compile_context_create(cache->general);
	cache->match = pcre2_match_context_create(cache->general);
	cache->data = pcre2_match_data_create(REGEX_MAX_GROUPS, cache->general);
	if (cache->compile == NULL || cache->match == NULL || cache->data == NULL)
		regex_no_memory();
	pcre2_set_newline(cache->compile, PCRE2_NEWLINE_ANYCRLF);
	pcre2_set_max_pattern_length(cache->compile, 4 * REGEX_MAX_PATTERN);
	pcre2_set_heap_limit(cache->match, REGEX_HEAP_KB);
	pcre2_set_callout(cache->match, regex_callout, NULL);
	return cache;
}

/* The pattern for PCRE2, which calls out where a match begins. */
static const char *
regex_source(StringInfo source, const char *pattern, Size size, int *flags)
{
	const char *error;
	int seen = 0;

	initStringInfo(source);
	if (*flags & REGEX_LITERAL)
	{
		appendBinaryStringInfo(source, pattern, size);
		return NULL;
	}
	appendStringInfoString(source, "(?C1)");
	error = regex_translate(source, pattern, size, &seen);
	*flags |= seen;
	return error;
}

/*
 * The options of PCRE2 that our flags stand for. Where case does not matter,
 * PCRE2 would look through all the rest of the text for the other case of the
 * first letter at each match.
 */
static uint32
regex_options(int flags)
{
	uint32 options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;

	if (flags & REGEX_LITERAL)
		options = PCRE2_UTF | PCRE2_LITERAL;
	if (flags & REGEX_CASELESS)
		options |= PCRE2_CASELESS;
	if (flags & REGEX_SAW_UNICODE)
		options |= PCRE2_UCP;
	if (flags & (REGEX_CASELESS | REGEX_SAW_CASELESS))
		options |= PCRE2_NO_START_OPTIMIZE;
	return options;
}

/*
 * The code for a text of a size. One step may run through all of the text, so
 * of a long one each step looks for a cancel.
 */
static pcre2_code *
regex_code(Regex *regex, Size size)
{
	StringInfoData source;
	int flags = regex->flags;
	int number;
	PCRE2_SIZE offset;

	if (size <= REGEX_LONG_TEXT)
		return regex->code;
	if (regex->watched != NULL)
		return regex->watched;
	if (regex_source(&source, regex->pattern, regex->size, &flags) == NULL)
		regex->watched =
			pcre2_compile((PCRE2_SPTR) source.data, source.len,
						  regex_options(flags) | PCRE2_AUTO_CALLOUT, &number,
						  &offset, regex->cache->compile);
	pfree(source.data);
	return regex->watched == NULL ? regex->code : regex->watched;
}

/* Compiles a pattern; NULL, or why it cannot. */
static const char *
regex_compile(Regex *regex, const char *pattern, Size size, int flags)
{
	StringInfoData source;
	const char *error;
	int number;
	PCRE2_SIZE offset;
	uint32 groups = 0;
	PCRE2_UCHAR message[160];

	if (size > REGEX_MAX_PATTERN)
		return "it is too long";
	error = regex_source(&source, pattern, size, &flags);
	if (error == NULL)
	{
		regex->code = pcre2_compile((PCRE2_SPTR) source.data, source.len,
									regex_options(flags), &number, &offset,
									regex->cache->compile);
		if (regex->code == NULL)
		{
			pcre2_get_error_message(number, message, sizeof(message));
			error = pstrdup((char *) message);
		}
	}
	pfree(source.data);
	if (error != NULL)
		return error;
	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	return groups < REGEX_MAX_GROUPS ? NULL : "it has too many groups";
}

/* The cache of a run, made when it is first asked for. */
static struct RegexCache *
regex_run_cache(const Run *run)
{
	Run *changed = (Run *) run;

	if (run->regexes == NULL)
		changed->regexes = regex_cache(run->context);
	return run->regexes;
}

/* Empties an entry of the cache. */
static void
regex_forget(Regex *regex)
{
	if (regex->code != NULL)
		pcre2_code_free(regex->code);
	if (regex->watched != NULL)
		pcre2_code_free(regex->watched);
	if (regex->pattern != NULL)
		pfree(regex->pattern);
	memset(regex, 0, sizeof(Regex));
}

/* The compiled form of a pattern in an entry of the cache. */
static Regex *
regex_entry(struct RegexCache *cache, Regex *regex, const char *pattern,
			Size size, int flags)
{
	const char *error;

	if (regex->pattern != NULL && regex->size == size &&
		regex->flags == flags && memcmp(regex->pattern, pattern, size) == 0)
		return regex;
	regex_forget(regex);
	regex->cache = cache;
	error = regex_compile(regex, pattern, size, flags);
	if (error != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
						errmsg("invalid regular expression: %s", error)));
	regex->pattern = MemoryContextAlloc(cache->context, size + 1);
	memcpy(regex->pattern, pattern, size);
	regex->size = size;
	regex->flags = flags;
	return regex;
}

/* The compiled form of a pattern, kept for the time it is asked again. */
Regex *
regex_get(const Run *run, const char *pattern, Size size, int flags)
{
	struct RegexCache *cache = regex_run_cache(run);
	uint32 hash = hash_bytes((const unsigned char *) pattern,
							 (int) Min(size, REGEX_MAX_PATTERN));

	return regex_entry(cache, &cache->entries[(hash + flags) % REGEX_ENTRIES],
					   pattern, size, flags);
}

/* The compiled form of a pattern that has an entry for itself. */
static Regex *
regex_own(const Run *run, int entry, const char *pattern)
{
	struct RegexCache *cache = regex_run_cache(run);

	return regex_entry(cache, &cache->entries[entry], pattern, strlen(pattern),
					   0);
}

/* Reports why a match could not be made. */
static void
regex_fail(int code)
{
	PCRE2_UCHAR message[160];

	if (code == PCRE2_ERROR_NOMEMORY)
		regex_no_memory();
	if (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT ||
		code == PCRE2_ERROR_HEAPLIMIT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("regular expression takes too many steps")));
	pcre2_get_error_message(code, message, sizeof(message));
	ereport(ERROR, (errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
					errmsg("regular expression failed: %s", message)));
}

/* Looks for the first match at or behind an offset. */
bool
regex_find(Regex *regex, const char *text, Size size, Size from, Size *start,
		   Size *end)
{
	uint32 options = from == 0 ? 0 : PCRE2_NO_UTF_CHECK;
	uint32 steps = REGEX_ALL_STEPS / (size + 1);
	pcre2_code *compiled = regex_code(regex, size);
	PCRE2_SIZE *found;
	int code;

	steps = Max(REGEX_MIN_STEPS, Min(REGEX_MAX_STEPS, steps));
	pcre2_set_match_limit(regex->cache->match, steps);
	if (from > size)
		return false;
	do
	{
		CHECK_FOR_INTERRUPTS();
		code = pcre2_match(compiled, (PCRE2_SPTR) text, size, from, options,
						   regex->cache->data, regex->cache->match);
	} while (code == PCRE2_ERROR_CALLOUT);
	if (code == PCRE2_ERROR_NOMATCH)
		return false;
	if (code < 0)
		regex_fail(code);
	found = pcre2_get_ovector_pointer(regex->cache->data);
	*start = found[0];
	*end = found[1];
	return true;
}

/* Where to look on behind a match: one character on if it was empty. */
Size
regex_next(const char *text, Size size, Size start, Size end)
{
	if (end > start)
		return end;
	if (end >= size)
		return size + 1;
	return end +
		   Min(pg_utf_mblen((const unsigned char *) text + end), size - end);
}

/* Appends, but not without end. */
static void
regex_append(StringInfo out, const char *text, Size size)
{
	if (size > REGEX_MAX_RESULT || out->len + size > REGEX_MAX_RESULT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text becomes too long")));
	appendBinaryStringInfo(out, text, (int) size);
}

/* Reads $1 or ${name}; moves behind it. The number of the group, or -1. */
static int
replacement_group(const Regex *regex, const char **at, const char *end)
{
	const char *p = *at + 1;
	const char *close;
	uint32 count;
	int group;
	char name[64];

	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &count);
	if (p < end && *p == '{')
	{
		close = memchr(p, '}', end - p);
		if (close == NULL || close - p > sizeof(name))
			return -1;
		strlcpy(name, p + 1, close - p);
		*at = close + 1;
		group =
			pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR) name);
		return group < 0 ? -1 : group;
	}
	if (p >= end || !isdigit((unsigned char) *p) || *p - '0' > count)
		return -1;
	for (group = *p++ - '0'; p < end && isdigit((unsigned char) *p); p++)
	{
		if ((uint32) group * 10 + (*p - '0') > count)
			break;
		group = group * 10 + (*p - '0');
	}
	*at = p;
	return group;
}

/* Appends a group of the last match, if it took part. */
static void
append_group(StringInfo out, const Regex *regex, const char *text, int group)
{
	PCRE2_SIZE *found = pcre2_get_ovector_pointer(regex->cache->data);

	if (found[2 * group] != PCRE2_UNSET)
		regex_append(out, text + found[2 * group],
					 found[2 * group + 1] - found[2 * group]);
}

/*
 * Appends what stands for a match; without out, only tells whether the
 * replacement is well formed.
 */
static bool
replacement_expand(StringInfo out, const Regex *regex, const char *text,
				   const char *at, Size length)
{
	const char *end = at + length;
	int group;

	while (at < end)
	{
		if (*at == '$' && !(at + 1 < end && at[1] == '$'))
		{
			group = replacement_group(regex, &at, end);
			if (group < 0)
				return false;
			if (out != NULL)
				append_group(out, regex, text, group);
			continue;
		}
		if (*at == '$' || *at == '\\')
			at++;
		if (at >= end)
			return false;
		if (out != NULL)
			regex_append(out, at, 1);
		at++;
	}
	return true;
}

/* Appends the text with all matches replaced. */
void
regex_replace(StringInfo out, Regex *regex, const char *text, Size size,
			  const char *replacement, Size length)
{
	Size from = 0;
	Size done = 0;
	Size start;
	Size end;

	while (regex_find(regex, text, size, from, &start, &end))
	{
		end = Max(start, end);
		if (start > done)
			regex_append(out, text + done, start - done);
		if (!replacement_expand(out, regex, text, replacement, length))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid replacement \"%.*s\"",
								   (int) Min(length, 100), replacement)));
		done = end;
		from = regex_next(text, size, start, end);
	}
	regex_append(out, text + done, size - done);
}

/* Refuses a pattern, or its replacement, that could not run. */
void
regex_check(const XmlNode *node, const char *pattern, int flags,
			const char *replacement)
{
	Regex regex = {0};
	const char *error;

	regex.cache = regex_cache(CurrentMemoryContext);
	error = regex_compile(&regex, pattern, strlen(pattern), flags);
	if (error != NULL)
		xml_fail(node, ERRCODE_INVALID_REGULAR_EXPRESSION,
				 "invalid regular expression \"%s\": %s", pattern, error);
	if (replacement != NULL &&
		!replacement_expand(NULL, &regex, NULL, replacement,
							strlen(replacement)))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "invalid replacement \"%s\"", replacement);
	MemoryContextDelete(regex.cache->context);
}

/* Whether the first character of a text is punctuation of Unicode. */
bool
regex_is_punctuation(const Run *run, const char *text, Size size)
{
	Regex *regex;
	Size start;
	Size end;

	if ((unsigned char) *text < 0x80)
		return *text != '\0' &&
			   strchr("!\"#%&'()*,-./:;?@[\\]_{}", *text) != NULL;
	regex = regex_own(run, REGEX_PUNCTUATION, "\\A\\p{P}");
	size = Min(size, pg_utf_mblen((const unsigned char *) text));
	return regex_find(regex, text, size, 0, &start, &end);
}

/* The case of a text of ASCII; false if it is not. */
static bool
ascii_case(StringInfo out, const char *text, Size size, bool upper)
{
	Size i;

	for (i = 0; i < size; i++)
		if ((unsigned char) text[i] >= 0x80)
			return false;
	enlargeStringInfo(out, (int) size);
	for (i = 0; i < size; i++)
		out->data[out->len++] =
			upper ? pg_ascii_toupper(text[i]) : pg_ascii_tolower(text[i]);
	out->data[out->len] = '\0';
	return true;
}

/* Letters whose other case PCRE2 does not know. */
static const char *const odd_letters[2][2][2] = {
	{{"\xC4\xB0", "i\xCC\x87"}, {"\xC4\xB0", "i\xCC\x87"}},
	{{"\xC3\x9F", "SS"}, {"\xC4\xB1", "I"}}};

/* Copies a text with those letters in the other case. */
static void
change_odd_letters(StringInfo out, const char *text, Size size, bool upper)
{
	Size i;
	int k;

	for (i = 0; i < size; i++)
	{
		for (k = 0; k < 2; k++)
			if (i + 1 < size &&
				memcmp(text + i, odd_letters[upper][k][0], 2) == 0)
				break;
		if (k == 2)
			appendStringInfoChar(out, text[i]);
		else
		{
			appendStringInfoString(out, odd_letters[upper][k][1]);
			i++;
		}
	}
}

/*
 * Appends the text in upper or lower case. PCRE2 knows the cases of Unicode
 * whatever the locale of the database is.
 */
void
regex_case(const Run *run, StringInfo out, const char *text, Size size,
		   bool upper)
{
	const char *replacement = upper ? "\\U$0" : "\\L$0";
	StringInfoData source;
	Regex *regex;
	PCRE2_SIZE room;
	int code;

	if (size > REGEX_MAX_RESULT)
		regex_append(out, text, size);
	if (ascii_case(out, text, size, upper))
		return;
	regex = regex_own(run, REGEX_WHOLE, "(?s).+");
	initStringInfo(&source);
	change_odd_letters(&source, text, size, upper);
	room = 2 * (Size) source.len + 16;
	enlargeStringInfo(out, (int) room);
	code =
		pcre2_substitute(regex->code, (PCRE2_SPTR) source.data, source.len, 0,
						 PCRE2_SUBSTITUTE_EXTENDED, regex->cache->data, NULL,
						 (PCRE2_SPTR) replacement, PCRE2_ZERO_TERMINATED,
						 (PCRE2_UCHAR *) out->data + out->len, &room);
	pfree(source.data);
	if (code < 0)
		regex_fail(code);
	out->len += (int) room;
}
