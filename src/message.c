/*
 * Message templates: a parser that turns a template into a list of nodes,
 * and a renderer that walks the list over a jsonb of values.
 *
 * The syntax is the part of Mustache that needs no sections and no partials:
 *   {{path}}             value, escaped for HTML
 *   {{{path}}} {{&path}} value as it is
 *   {{! text }}          comment, dropped; with its line if it stands alone
 * A path is a list of object keys (or array positions from 0), joined by
 * dots.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define TEMPLATE_MAX_BYTES (1024 * 1024)
#define TEMPLATE_MAX_OUTPUT (16 * 1024 * 1024)
#define TEMPLATE_MAX_DEPTH 16
#define TEMPLATE_MAX_PATH 255

/* An error message quotes at most so many bytes of a token. */
#define TEMPLATE_QUOTED 48

/* Longest array position that is read as a number. */
#define TEMPLATE_INDEX_DIGITS 9

typedef enum TemplateMissing
{
	MISSING_ERROR,
	MISSING_EMPTY,
	MISSING_KEEP
} TemplateMissing;

typedef enum TemplateKind
{
	NODE_TEXT,  /* literal text */
	NODE_VALUE, /* value, escaped where the channel is HTML */
	NODE_RAW    /* value as it is */
} TemplateKind;

/* One key of a path, as a piece of the source. */
typedef struct TemplateStep
{
	int32 offset;
	int32 length;
	int32 index; /* position in an array, -1 if the key is no number */
} TemplateStep;

/* One piece of a template; a token's piece includes its braces. */
typedef struct TemplateNode
{
	TemplateKind kind;
	int32 offset;
	int32 length;
	int32 first_step; /* into the template's steps */
	int32 nsteps;     /* 0 for text */
} TemplateNode;

/* A parsed template; nodes and steps point into its own copy of the text. */
typedef struct Template
{
	char *source;
	int32 length;
	TemplateNode *nodes;
	int32 nnodes;
	int32 node_capacity;
	TemplateStep *steps;
	int32 nsteps;
	int32 step_capacity;
} Template;

/* State of the parser; all positions are bytes from the source's start. */
typedef struct TemplateParser
{
	Template *template;
	int32 text_start; /* first byte not yet in a node */
	bool line_start;  /* does a line start at text_start? */
	int32 open;       /* where the current token starts */
	int32 pos;        /* next byte to read */
} TemplateParser;

/* What one call of a template function keeps for the next. */
typedef struct TemplateCache
{
	MemoryContext context;
	struct varlena *key; /* the argument as it came, toasted or not */
	Template *template;
} TemplateCache;

/* One rendering under way. */
typedef struct TemplateRendering
{
	const Template *template;
	JsonbContainer *tokens;
	TemplateMissing missing;
	bool escape;
	StringInfoData out; /* starts with room for a varlena header */
} TemplateRendering;

/* A path and where it stood, for finding the distinct ones. */
typedef struct TemplatePath
{
	const char *data;
	int32 length;
	int32 ordinal;
} TemplatePath;

/* Is this a byte of white space inside a token? */
static inline bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Is there one more byte to read, and is it this one? */
static inline bool
at_byte(const TemplateParser *parser, char c)
{
	return parser->pos < parser->template->length &&
		   parser->template->source[parser->pos] == c;
}

/* Copies a token for a message: up to its braces, clipped if it is long. */
static char *
quote_token(const Template *template, int32 offset)
{
	const char *start = template->source + offset;
	int32 rest = template->length - offset;
	int32 limit = Min(rest, TEMPLATE_QUOTED);
	int32 length = 0;

	while (length < limit && start[length] != '}' && start[length] != '\n')
		length++;
	while (length < limit && start[length] == '}')
		length++;
	if (length < TEMPLATE_QUOTED)
		return pnstrdup(start, length);
	length = pg_mbcliplen(start, rest, length);
	return psprintf("%.*s...", length, start);
}

/* Counts line and column (in characters) of a position, both from 1. */
static void
locate(const Template *template, int32 offset, int *line, int *column)
{
	int32 line_start = 0;

	*line = 1;
	for (int32 i = 0; i < offset; i++)
	{
		if (template->source[i] == '\n')
		{
			(*line)++;
			line_start = i + 1;
		}
	}
	*column = 1 + pg_mbstrlen_with_len(template->source + line_start,
									   offset - line_start);
}

/* Refuses a token that breaks the syntax. */
static void
pg_attribute_noreturn() malformed(const TemplateParser *parser,
								  const char *detail, const char *hint)
{
	int line;
	int column;

	locate(parser->template, parser->open, &line, &column);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("malformed token \"%s\" at line %d, column %d",
					quote_token(parser->template, parser->open), line, column),
			 errdetail("%s", detail), errhint("%s", hint)));
}

/* Refuses a token that Mustache knows and this renderer does not. */
static void
pg_attribute_noreturn()
	unsupported(const TemplateParser *parser, const char *what)
{
	int line;
	int column;

	locate(parser->template, parser->open, &line, &column);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("unsupported token \"%s\" at line %d, column %d",
					quote_token(parser->template, parser->open), line, column),
			 errdetail("Templates have no %s.", what),
			 errhint("Put the value, as it shall appear, under a key of its "
					 "own and write {{path}}.")));
}

/* Refuses a token whose path is too long or too deep. */
static void
pg_attribute_noreturn() path_limit(const TemplateParser *parser)
{
	int line;
	int column;

	locate(parser->template, parser->open, &line, &column);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("path of token \"%s\" at line %d, column %d is too long",
					quote_token(parser->template, parser->open), line, column),
			 errdetail("A path has at most %d bytes and %d keys.",
					   TEMPLATE_MAX_PATH, TEMPLATE_MAX_DEPTH),
			 errhint("Shorten the path, or close the token with }} where "
					 "it ends.")));
}

/* Checks the size of a template before it is read. */
static void
check_template_size(Size bytes)
{
	if (bytes > TEMPLATE_MAX_BYTES)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("template of \"%zu\" bytes is too large", bytes),
			 errdetail("A template has at most %d bytes.", TEMPLATE_MAX_BYTES),
			 errhint("Refer to images and style sheets by URL "
					 "instead of embedding them.")));
}

/* Adds a node and returns it. */
static TemplateNode *
add_node(Template *template, TemplateKind kind, int32 offset, int32 length)
{
	TemplateNode *node;

	if (template->nnodes == template->node_capacity)
	{
		template->node_capacity *= 2;
		template->nodes = repalloc(template->nodes, template->node_capacity *
														sizeof(TemplateNode));
	}
	node = &template->nodes[template->nnodes++];
	node->kind = kind;
	node->offset = offset;
	node->length = length;
	node->first_step = template->nsteps;
	node->nsteps = 0;
	return node;
}

/* Reads a key as a position in an array; -1 if it is none. */
static int32
parse_index(const char *key, int32 length)
{
	int32 index = 0;

	if (length > TEMPLATE_INDEX_DIGITS)
		return -1;
	for (int32 i = 0; i < length; i++)
	{
		if (key[i] < '0' || key[i] > '9')
			return -1;
		index = index * 10 + (key[i] - '0');
	}
	return index;
}

/* Adds a key to the path under construction. */
static void
add_step(Template *template, int32 offset, int32 length)
{
	TemplateStep *step;

	if (template->nsteps == template->step_capacity)
	{
		template->step_capacity *= 2;
		template->steps = repalloc(template->steps, template->step_capacity *
														sizeof(TemplateStep));
	}
	step = &template->steps[template->nsteps++];
	step->offset = offset;
	step->length = length;
	step->index = parse_index(template->source + offset, length);
}

/* Adds the text before a position, if there is any. */
static void
flush_text(TemplateParser *parser, int32 end)
{
	if (end > parser->text_start)
		add_node(parser->template, NODE_TEXT, parser->text_start,
				 end - parser->text_start);
}

/*
 * Says whether an invisible character starts here: a control character, or,
 * in UTF-8, one of the spaces that editors of HTML mails leave behind.
 */
static bool
is_invisible(const char *data, int32 rest)
{
	const unsigned char *c = (const unsigned char *) data;

	if (c[0] < 0x20 || c[0] == 0x7F)
		return true;
	if (c[0] < 0x80 || GetDatabaseEncoding() != PG_UTF8)
		return false;
	if (rest >= 2 && c[0] == 0xC2 && c[1] == 0xA0) /* U+00A0 */
		return true;
	if (rest < 3)
		return false;
	if (c[0] == 0xE2 && c[1] == 0x80) /* U+2000..200B, U+202F */
		return c[2] <= 0x8B || c[2] == 0xAF;
	return (c[0] == 0xE2 && c[1] == 0x81 &&
			(c[2] == 0x9F || c[2] == 0xA0)) || /* U+205F, U+2060 */
		   (c[0] == 0xE3 && c[1] == 0x80 && c[2] == 0x80) || /* U+3000 */
		   (c[0] == 0xEF && c[1] == 0xBB && c[2] == 0xBF);   /* U+FEFF */
}

/* Moves past white space. */
static void
skip_blanks(TemplateParser *parser)
{
	while (parser->pos < parser->template->length &&
		   is_blank(parser->template->source[parser->pos]))
		parser->pos++;
}

/* Moves past one key of a path and adds it; an empty key is refused. */
static void
parse_step(TemplateParser *parser, int32 path_start)
{
	Template *template = parser->template;
	int32 start = parser->pos;

	for (; parser->pos < template->length; parser->pos++)
	{
		const char *c = template->source + parser->pos;

		if (parser->pos - path_start > TEMPLATE_MAX_PATH)
			path_limit(parser);
		if (*c == '.' || *c == '{' || *c == '}' || is_blank(*c))
			break;
		if (is_invisible(c, template->length - parser->pos))
			malformed(parser,
					  "There is an invisible character inside the token.",
					  "Type the token again as plain text; a non-breaking "
					  "space often comes from an editor.");
	}
	if (parser->pos - path_start > TEMPLATE_MAX_PATH)
		path_limit(parser);
	if (parser->pos == start && parser->pos < template->length)
		malformed(parser,
				  start == path_start ? "There is no path between the braces."
									  : "The path has an empty key.",
				  "Write a path such as {{customer.firstName}}.");
	add_step(template, start, parser->pos - start);
}

/* Moves past a path and returns how many keys it has. */
static int32
parse_path(TemplateParser *parser)
{
	int32 start = parser->pos;
	int32 nsteps = 0;

	for (;;)
	{
		if (nsteps == TEMPLATE_MAX_DEPTH)
			path_limit(parser);
		parse_step(parser, start);
		nsteps++;
		if (!at_byte(parser, '.'))
			return nsteps;
		parser->pos++;
	}
}

/* Moves past the closing braces, which must be as many as the opening. */
static void
parse_close(TemplateParser *parser, int32 braces)
{
	int32 closing = 0;

	skip_blanks(parser);
	if (parser->pos >= parser->template->length)
		malformed(parser, "The token is never closed.",
				  "Close the token with as many braces as open it.");
	if (at_byte(parser, '{'))
		malformed(parser, "There is an opening brace inside the token.",
				  "Close one token before the next one opens.");
	if (!at_byte(parser, '}'))
		malformed(parser, "There is white space inside the path.",
				  "Put white space only next to the braces.");
	while (closing <= braces && at_byte(parser, '}'))
	{
		closing++;
		parser->pos++;
	}
	if (closing != braces)
		malformed(parser, "The closing braces do not match the opening ones.",
				  "Close {{ with }} and {{{ with }}}; put a space before a "
				  "brace that belongs to the text.");
}

/* Names the part of Mustache that a sigil belongs to; NULL if supported. */
static const char *
unsupported_sigil(char sigil)
{
	switch (sigil)
	{
		case '#':
		case '^':
		case '/':
			return "sections";
		case '>':
			return "partials";
		case '<':
		case '$':
			return "inheritance";
		case '=':
			return "change of delimiters";
		default:
			return NULL;
	}
}

/*
 * Says whether the comment that ends at the current position has its line to
 * itself; then tells where that line starts and where the next one does.
 */
static bool
is_standalone(const TemplateParser *parser, int32 *start, int32 *end)
{
	const char *source = parser->template->source;
	int32 length = parser->template->length;

	*start = parser->open;
	while (*start > parser->text_start &&
		   (source[*start - 1] == ' ' || source[*start - 1] == '\t'))
		(*start)--;
	if (*start > parser->text_start ? source[*start - 1] != '\n'
									: !parser->line_start)
		return false;

	*end = parser->pos;
	while (*end < length && (source[*end] == ' ' || source[*end] == '\t'))
		(*end)++;
	if (*end == length)
		return true;
	if (source[*end] == '\r' && *end + 1 < length)
		(*end)++;
	return source[(*end)++] == '\n';
}

/* Drops a comment, as Mustache does, with its line if it stands alone. */
static void
parse_comment(TemplateParser *parser)
{
	const Template *template = parser->template;
	int32 start;
	int32 end;

	for (;; parser->pos++)
	{
		const char *brace = memchr(template->source + parser->pos, '}',
								   template->length - parser->pos);

		if (brace == NULL)
			malformed(parser, "The comment is never closed.",
					  "Close the comment with }}.");
		parser->pos = brace - template->source;
		if (parser->pos + 1 < template->length && brace[1] == '}')
			break;
	}
	parser->pos += 2;
	parser->line_start = is_standalone(parser, &start, &end);
	flush_text(parser, parser->line_start ? start : parser->open);
	if (parser->line_start)
		parser->pos = end;
}

/* Adds the value token whose path starts at the current position. */
static void
parse_value(TemplateParser *parser, TemplateKind kind, int32 braces)
{
	Template *template = parser->template;
	TemplateNode *node;
	int32 first_step;
	int32 nsteps;

	skip_blanks(parser);
	if (at_byte(parser, '.') && parser->pos + 1 < template->length &&
		(template->source[parser->pos + 1] == '}' ||
		 is_blank(template->source[parser->pos + 1])))
		unsupported(parser, "implicit iterator");
	flush_text(parser, parser->open);
	first_step = template->nsteps;
	nsteps = parse_path(parser);
	parse_close(parser, braces);
	node = add_node(template, kind, parser->open, parser->pos - parser->open);
	node->first_step = first_step;
	node->nsteps = nsteps;
	parser->line_start = false;
}

/* Reads the token that opens at the current position. */
static void
parse_token(TemplateParser *parser)
{
	const Template *template = parser->template;
	char sigil;

	parser->open = parser->pos;
	parser->pos += 2;
	if (at_byte(parser, '{'))
	{
		parser->pos++;
		parse_value(parser, NODE_RAW, 3);
		return;
	}
	skip_blanks(parser);
	sigil = parser->pos < template->length ? template->source[parser->pos] : 0;
	if (unsupported_sigil(sigil) != NULL)
		unsupported(parser, unsupported_sigil(sigil));
	if (sigil == '!')
		parse_comment(parser);
	else if (sigil == '&')
	{
		parser->pos++;
		parse_value(parser, NODE_RAW, 2);
	}
	else
		parse_value(parser, NODE_VALUE, 2);
}

/* Moves to the next pair of opening braces; false if there is none. */
static bool
find_token(TemplateParser *parser)
{
	const char *source = parser->template->source;
	int32 length = parser->template->length;

	while (parser->pos < length)
	{
		const char *brace =
			memchr(source + parser->pos, '{', length - parser->pos);

		if (brace == NULL)
			return false;
		parser->pos = brace - source;
		if (parser->pos + 1 < length && brace[1] == '{')
			return true;
		parser->pos++;
	}
	return false;
}

/* Parses a template in the current memory context. */
static Template *
template_compile(const char *source, int32 length)
{
	Template *template = palloc0(sizeof(Template));
	TemplateParser parser = {template, 0, true, 0, 0};

	template->source = pnstrdup(source, length);
	template->length = length;
	template->node_capacity = 16;
	template->nodes = palloc(16 * sizeof(TemplateNode));
	template->step_capacity = 16;
	template->steps = palloc(16 * sizeof(TemplateStep));
	while (find_token(&parser))
	{
		CHECK_FOR_INTERRUPTS();
		parse_token(&parser);
		parser.text_start = parser.pos;
	}
	flush_text(&parser, length);
	return template;
}

/* The path of a token, as a piece of the source. */
static const char *
node_path(const Template *template, const TemplateNode *node, int32 *length)
{
	const TemplateStep *first = &template->steps[node->first_step];
	const TemplateStep *last = first + node->nsteps - 1;

	*length = last->offset + last->length - first->offset;
	return template->source + first->offset;
}

/* Refuses a token whose value is missing or cannot be written as text. */
static void
pg_attribute_noreturn()
	value_error(const Template *template, const TemplateNode *node,
				const char *problem, const char *detail, const char *hint)
{
	int line;
	int column;
	int32 length;
	const char *path = node_path(template, node, &length);

	locate(template, node->offset, &line, &column);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s for token \"%.*s\" at line %d, column %d",
						   problem, length, path, line, column),
					errdetail("%s", detail), errhint("%s", hint)));
}

/* Appends bytes to the result, which is bounded. */
static void
append_bytes(TemplateRendering *rendering, const char *data, Size length)
{
	if (length > TEMPLATE_MAX_OUTPUT + VARHDRSZ - rendering->out.len)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rendered template exceeds \"%d\" bytes",
							   TEMPLATE_MAX_OUTPUT),
						errdetail("A token has a very long value, or stands "
								  "very often in the template."),
						errhint("Check the length of the values passed as "
								"tokens.")));
	appendBinaryStringInfo(&rendering->out, data, (int) length);
}

/* The HTML entity of a character; NULL if it needs none. */
static inline const char *
html_entity(char c)
{
	switch (c)
	{
		case '&':
			return "&amp;";
		case '<':
			return "&lt;";
		case '>':
			return "&gt;";
		case '"':
			return "&quot;";
		case '\'':
			return "&#39;";
		default:
			return NULL;
	}
}

/* Appends bytes with the five characters that HTML reserves escaped. */
static void
append_escaped(TemplateRendering *rendering, const char *data, Size length)
{
	Size start = 0;

	for (Size i = 0; i < length; i++)
	{
		const char *entity = html_entity(data[i]);

		if (entity == NULL)
			continue;
		append_bytes(rendering, data + start, i - start);
		append_bytes(rendering, entity, strlen(entity));
		start = i + 1;
	}
	append_bytes(rendering, data + start, length - start);
}

/* Follows a path into the tokens; false if it leads nowhere or to null. */
static bool
find_value(const TemplateRendering *rendering, const TemplateNode *node,
		   JsonbValue *value)
{
	const Template *template = rendering->template;
	JsonbContainer *container = rendering->tokens;

	for (int32 i = 0; i < node->nsteps; i++)
	{
		const TemplateStep *step = &template->steps[node->first_step + i];
		JsonbValue *found = NULL;

		if (i > 0)
		{
			if (value->type != jbvBinary)
				return false;
			container = value->val.binary.data;
		}
		if (JsonContainerIsObject(container))
			found = getKeyJsonValueFromContainer(
				container, template->source + step->offset, step->length,
				value);
		else if (step->index >= 0)
			found = getIthJsonbValueFromContainer(container, step->index);
		if (found == NULL)
			return false;
		if (found != value)
		{
			*value = *found;
			pfree(found);
		}
	}
	return value->type != jbvNull;
}

/* Deals with a token that has no value. */
static void
render_missing(TemplateRendering *rendering, const TemplateNode *node)
{
	const Template *template = rendering->template;

	if (rendering->missing == MISSING_ERROR)
		value_error(template, node, "missing value",
					"The tokens have no such key, or its value is null.",
					"Add the value, or pass 'empty' or 'keep' for missing.");
	if (rendering->missing == MISSING_KEEP)
		append_bytes(rendering, template->source + node->offset, node->length);
}

/* Appends the value of a token. */
static void
render_value(TemplateRendering *rendering, const TemplateNode *node)
{
	JsonbValue value;
	char *number;

	if (!find_value(rendering, node, &value))
	{
		render_missing(rendering, node);
		return;
	}
	switch (value.type)
	{
		case jbvString:
			if (rendering->escape && node->kind == NODE_VALUE)
				append_escaped(rendering, value.val.string.val,
							   value.val.string.len);
			else
				append_bytes(rendering, value.val.string.val,
							 value.val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(
				numeric_out, NumericGetDatum(value.val.numeric)));
			append_bytes(rendering, number, strlen(number));
			pfree(number);
			break;
		case jbvBool:
			if (value.val.boolean)
				append_bytes(rendering, "true", 4);
			else
				append_bytes(rendering, "false", 5);
			break;
		default:
			value_error(rendering->template, node, "value is no scalar",
						"The value is an object or an array.",
						"Name a key inside the object, or a position in the "
						"array.");
	}
}

/* Renders a compiled template in the current memory context. */
static text *
template_apply(const Template *template, JsonbContainer *tokens,
			   TemplateMissing missing, bool escape)
{
	TemplateRendering rendering = {template, tokens, missing, escape, {0}};
	text *result;

	initStringInfo(&rendering.out);
	enlargeStringInfo(&rendering.out, VARHDRSZ + template->length);
	rendering.out.len = VARHDRSZ;
	for (int32 i = 0; i < template->nnodes; i++)
	{
		const TemplateNode *node = &template->nodes[i];

		CHECK_FOR_INTERRUPTS();
		if (node->kind == NODE_TEXT)
			append_bytes(&rendering, template->source + node->offset,
						 node->length);
		else
			render_value(&rendering, node);
	}
	result = (text *) rendering.out.data;
	SET_VARSIZE(result, rendering.out.len);
	return result;
}

/* Sorts paths by their bytes, equal ones by where they stood. */
static int
compare_paths(const void *a, const void *b)
{
	const TemplatePath *left = a;
	const TemplatePath *right = b;
	int order =
		memcmp(left->data, right->data, Min(left->length, right->length));

	if (order != 0)
		return order;
	if (left->length != right->length)
		return left->length < right->length ? -1 : 1;
	return left->ordinal < right->ordinal ? -1 : 1;
}

/* Sorts paths by where they stood. */
static int
compare_ordinals(const void *a, const void *b)
{
	const TemplatePath *left = a;
	const TemplatePath *right = b;

	return left->ordinal < right->ordinal ? -1 : 1;
}

/* Leaves the first of each set of equal paths, in their old order. */
static int32
distinct_paths(TemplatePath *paths, int32 npaths)
{
	int32 kept = 0;

	qsort(paths, npaths, sizeof(TemplatePath), compare_paths);
	for (int32 i = 0; i < npaths; i++)
	{
		if (kept == 0 || paths[kept - 1].length != paths[i].length ||
			memcmp(paths[kept - 1].data, paths[i].data, paths[i].length) != 0)
			paths[kept++] = paths[i];
	}
	qsort(paths, kept, sizeof(TemplatePath), compare_ordinals);
	return kept;
}

/* Makes an array of the distinct paths of a template. */
static ArrayType *
template_paths(const Template *template)
{
	TemplatePath *paths;
	Datum *datums;
	int32 npaths = 0;

	paths = palloc(Max(1, template->nnodes) * sizeof(TemplatePath));
	for (int32 i = 0; i < template->nnodes; i++)
	{
		const TemplateNode *node = &template->nodes[i];
		TemplatePath *path = &paths[npaths];

		if (node->kind == NODE_TEXT)
			continue;
		path->data = node_path(template, node, &path->length);
		path->ordinal = npaths++;
	}
	npaths = distinct_paths(paths, npaths);
	datums = palloc(Max(1, npaths) * sizeof(Datum));
	for (int32 i = 0; i < npaths; i++)
	{
		CHECK_FOR_INTERRUPTS();
		datums[i] = PointerGetDatum(
			cstring_to_text_with_len(paths[i].data, paths[i].length));
	}
	return construct_array(datums, npaths, TEXTOID, -1, false, TYPALIGN_INT);
}

/* Parses the template of an argument that may be toasted. */
static Template *
compile_datum(struct varlena *datum)
{
	text *source;

	check_template_size(toast_raw_datum_size(PointerGetDatum(datum)) -
						VARHDRSZ);
	source = (text *) pg_detoast_datum_packed(datum);
	return template_compile(VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
}

/*
 * Returns the compiled template of the first argument, from the last call if
 * that had the same one.  The arguments are compared as they come: the whole
 * text, its compressed form, or the pointer to where it is stored, so that a
 * long template out of a table is fetched once and not once a row.
 */
static const Template *
cached_template(FunctionCallInfo fcinfo)
{
	TemplateCache *cache = fcinfo->flinfo->fn_extra;
	struct varlena *key = (struct varlena *) PG_GETARG_POINTER(0);
	MemoryContext context;
	MemoryContext caller;
	TemplateCache *fresh;

	if (VARATT_IS_EXTERNAL(key) && !VARATT_IS_EXTERNAL_ONDISK(key))
		key = detoast_attr(key);
	if (cache != NULL && VARSIZE_ANY(cache->key) == VARSIZE_ANY(key) &&
		memcmp(cache->key, key, VARSIZE_ANY(key)) == 0)
		return cache->template;

	/* Until the template is known to be good, the row owns its memory. */
	context = AllocSetContextCreate(CurrentMemoryContext, "iaros template",
									ALLOCSET_START_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	fresh = palloc(sizeof(TemplateCache));
	fresh->context = context;
	fresh->template = compile_datum(key);
	fresh->key = palloc(VARSIZE_ANY(key));
	memcpy(fresh->key, key, VARSIZE_ANY(key));
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = fresh;
	if (cache != NULL)
		MemoryContextDelete(cache->context);
	return fresh->template;
}

/* Reads the argument that says what to do about missing values. */
static TemplateMissing
parse_missing(const text *word)
{
	const char *data = VARDATA_ANY(word);
	Size length = VARSIZE_ANY_EXHDR(word);

	if (length == 5 && memcmp(data, "error", 5) == 0)
		return MISSING_ERROR;
	if (length == 5 && memcmp(data, "empty", 5) == 0)
		return MISSING_EMPTY;
	if (length == 4 && memcmp(data, "keep", 4) == 0)
		return MISSING_KEEP;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid way to treat missing values: \"%s\"",
						   text_to_cstring(word)),
					errdetail("The argument missing is case-sensitive."),
					errhint("Use 'error', 'empty' or 'keep'.")));
}

/* Renders the template of a call, escaped for HTML or not. */
static text *
render_call(FunctionCallInfo fcinfo, bool escape)
{
	const Template *template = cached_template(fcinfo);
	Jsonb *tokens = PG_GETARG_JSONB_P(1);
	TemplateMissing missing = parse_missing(PG_GETARG_TEXT_PP(2));

	if (!JB_ROOT_IS_OBJECT(tokens))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("tokens must be a JSON object, not \"%s\"",
							   JB_ROOT_IS_SCALAR(tokens) ? "scalar" : "array"),
						errdetail("A path starts with a key of the object."),
						errhint("Pass an object such as {\"customer\": "
								"{\"firstName\": \"Ada\"}}.")));
	return template_apply(template, &tokens->root, missing, escape);
}

PG_FUNCTION_INFO_V1(template_render);
/* Renders a template for HTML. */
PGDLLEXPORT Datum
template_render(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(render_call(fcinfo, true));
}

PG_FUNCTION_INFO_V1(template_render_text);
/* Renders a template for a channel of plain text. */
PGDLLEXPORT Datum
template_render_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(render_call(fcinfo, false));
}

PG_FUNCTION_INFO_V1(template_tokens);
/* Lists the distinct paths that the tokens of a template name. */
PGDLLEXPORT Datum
template_tokens(PG_FUNCTION_ARGS)
{
	const Template *template =
		compile_datum((struct varlena *) PG_GETARG_POINTER(0));

	PG_RETURN_ARRAYTYPE_P(template_paths(template));
}
