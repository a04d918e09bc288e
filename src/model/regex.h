/*
 * Regular expressions as PMML means them: the dialect of Java, run by PCRE2
 * in bounded time.
 */
#ifndef IAROS_MODEL_REGEX_H
#define IAROS_MODEL_REGEX_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "model/model.h"
#include "model/xml.h"

typedef struct Regex Regex;

#define REGEX_CASELESS 1
#define REGEX_LITERAL 2 /* no character has a meaning of its own */

/* When a model is imported. */
extern void regex_check(const XmlNode *node, const char *pattern, int flags,
						const char *replacement);

/* When it runs: valid until the next call. */
extern Regex *regex_get(const Run *run, const char *pattern, Size size,
						int flags);
extern bool regex_find(Regex *regex, const char *text, Size size, Size from,
					   Size *start, Size *end);
extern Size regex_next(const char *text, Size size, Size start, Size end);
extern void regex_replace(StringInfo out, Regex *regex, const char *text,
						  Size size, const char *replacement, Size length);
extern bool regex_is_punctuation(const Run *run, const char *text, Size size);

/* Upper or lower case of a text, by Unicode's simple mapping. */
extern void regex_case(const Run *run, StringInfo out, const char *text,
					   Size size, bool upper);

#endif /* IAROS_MODEL_REGEX_H */
