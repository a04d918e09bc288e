/* From the regular expressions of Java to those of PCRE2. */
#ifndef IAROS_MODEL_REGEX_JAVA_H
#define IAROS_MODEL_REGEX_JAVA_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* Flags in a pattern: (?U), classes such as \w are those of Unicode; (?i). */
#define REGEX_SAW_UNICODE 0x10
#define REGEX_SAW_CASELESS 0x20

/* Adds the pattern as PCRE2 knows it; NULL, or why there is none. */
extern const char *regex_translate(StringInfo out, const char *pattern,
								   Size size, int *seen);

#endif /* IAROS_MODEL_REGEX_JAVA_H */
