/*
 * From the regular expressions of Java to those of PCRE2. Most of them mean
 * the same in both; what Java alone has is translated, and what PCRE2 alone
 * has, or means in another way, is refused.
 */
#include "postgres.h"

#include "model/regex_java.h"

typedef struct Translation
{
	StringInfo out;
	const char *at;
	const char *end;
	bool started; /* something was written */
	bool in_class;
	int seen; /* REGEX_SAW_* */
	const char *error;
} Translation;

/* Classes that Java calls by other names than PCRE2. */
static const char *const classes[][2] = {
	{"Lower", "lower"}, {"Upper", "upper"}, {"ASCII", "ascii"},
	{"Alpha", "alpha"}, {"Digit", "digit"}, {"Alnum", "alnum"},
	{"Punct", "punct"}, {"Graph", "graph"}, {"Print", "print"},
	{"Blank", "blank"}, {"Cntrl", "cntrl"}, {"XDigit", "xdigit"},
	{"Space", "space"}};

/* The character some places ahead, or 0. */
static char
peek(const Translation *t, int ahead)
{
	return t->end - t->at > ahead ? t->at[ahead] : '\0';
}

/* Copies n characters. */
static void
copy(Translation *t, int n)
{
	n = Min(n, t->end - t->at);
	appendBinaryStringInfo(t->out, t->at, n);
	t->at += n;
}

/* The length of a name in braces, or -1. */
static int
braced(const char *from, const char *end)
{
	const char *close;

	if (from >= end || *from != '{')
		return -1;
	close = memchr(from, '}', end - from);
	return close == NULL || close - from > 64 ? -1 : (int) (close - from) - 1;
}

/* Writes the class that Java calls by a name of POSIX; false if it is none. */
static bool
posix_class(Translation *t, const char *name, int size, bool negated)
{
	int i;

	for (i = 0; i < lengthof(classes); i++)
	{
		if (strlen(classes[i][0]) != size ||
			memcmp(classes[i][0], name, size) != 0)
			continue;
		appendStringInfo(t->out, t->in_class ? "[:%s%s:]" : "[[:%s%s:]]",
						 negated ? "^" : "", classes[i][1]);
		return true;
	}
	return false;
}

/* Translates \p{Name} and \P{Name}. */
static void
property(Translation *t)
{
	int size = braced(t->at + 2, t->end);
	const char *name = t->at + 3;
	char kind = t->at[1];

	if (size < 0)
	{
		copy(t, 3); /* \pL */
		return;
	}
	t->at += size + 4;
	if (posix_class(t, name, size, kind == 'P'))
		return;
	if (size > 2 && memcmp(name, "Is", 2) == 0)
	{
		name += 2;
		size -= 2;
	}
	appendStringInfo(t->out, "\\%c{%.*s}", kind, size, name);
}

/* Translates \u and its four digits. */
static void
code_unit(Translation *t)
{
	char digits[5] = "";
	unsigned long code;
	int i;

	for (i = 0; i < 4; i++)
	{
		digits[i] = peek(t, i + 2);
		if (!isxdigit((unsigned char) digits[i]))
		{
			t->error = "\\u needs four hexadecimal digits";
			return;
		}
	}
	code = strtoul(digits, NULL, 16);
	if (code >= 0xD800 && code <= 0xDFFF)
	{
		t->error = "surrogates are not supported";
		return;
	}
	appendStringInfo(t->out, "\\x{%s}", digits);
	t->at += 6;
}

/* Translates what a backslash begins. */
static void
escape(Translation *t)
{
	const char *end;

	switch (peek(t, 1))
	{
		case 'Q':
			for (end = t->at + 2; end < t->end; end++)
				if (end + 1 < t->end && end[0] == '\\' && end[1] == 'E')
					break;
			copy(t, Min(end + 2, t->end) - t->at);
			return;
		case 'p':
		case 'P':
			property(t);
			return;
		case 'u':
			code_unit(t);
			return;
		case '\0':
		case 'C':
		case 'K':
		case 'N':
		case 'g':
		case 'o':
			t->error = "an escape that Java does not have";
			return;
		default:
			copy(t, 2);
	}
}

/* Translates flags such as (?iu) and (?i:, which begin after "(?". */
static bool
flags(Translation *t)
{
	const char *p = t->at + 2;
	StringInfoData kept;
	bool off = false;
	int on = 0;

	while (p < t->end && strchr("idmsuxU-", *p) != NULL)
		p++;
	if (p >= t->end || p == t->at + 2 || (*p != ')' && *p != ':'))
		return false;
	initStringInfo(&kept);
	for (t->at += 2; t->at < p; t->at++)
	{
		if (*t->at == 'd' || *t->at == 'x' ||
			(*t->at == 'U' && (off || t->started)))
			t->error = "flag d or x, or U that is not at the start";
		else if (*t->at == 'U')
			t->seen |= REGEX_SAW_UNICODE;
		else if (*t->at != 'u')
		{
			off = off || *t->at == '-';
			if (*t->at == 'i')
				t->seen |= REGEX_SAW_CASELESS;
			on++;
			appendStringInfoChar(&kept, *t->at);
		}
	}
	appendStringInfo(t->out, "(?%s", on == 0 ? "" : kept.data);
	if (*p == ')' && on == 0)
		appendStringInfoChar(t->out, ':');
	copy(t, 1);
	pfree(kept.data);
	return true;
}

/* Translates what an opening parenthesis begins. */
static void
group(Translation *t)
{
	char next = peek(t, 2);

	if (peek(t, 1) == '*')
		t->error = "nothing to repeat";
	else if (peek(t, 1) != '?')
		copy(t, 1);
	else if (next == ':' || next == '=' || next == '!' || next == '>')
		copy(t, 3);
	else if (next == '<')
		copy(t, 3);
	else if (!flags(t))
		t->error = "a group that Java does not have";
}

/* Translates a character class; Java's unions and intersections it has not. */
static void class(Translation *t)
{
	copy(t, peek(t, 1) == '^' ? 2 : 1);
	t->in_class = true;
	if (peek(t, 0) == ']')
		copy(t, 1);
	while (t->at < t->end && *t->at != ']' && t->error == NULL)
	{
		if (*t->at == '\\')
			escape(t);
		else if (*t->at == '[' || (*t->at == '&' && peek(t, 1) == '&'))
			t->error = "a class inside a class is not supported";
		else
			copy(t, 1);
	}
	copy(t, 1);
	t->in_class = false;
}

/* Adds the pattern as PCRE2 knows it. */
const char *
regex_translate(StringInfo out, const char *pattern, Size size, int *seen)
{
	Translation t = {.out = out, .at = pattern, .end = pattern + size};

	while (t.at < t.end && t.error == NULL)
	{
		if (*t.at == '\\')
			escape(&t);
		else if (*t.at == '(')
			group(&t);
		else if (*t.at == '[')
			class(&t);
		else
			copy(&t, 1);
		t.started = true;
	}
	*seen = t.seen;
	return t.error;
}
