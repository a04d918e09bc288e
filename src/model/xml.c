/*
 * XML documents become trees of elements.
 *
 * The document is read by libxml2, whose callbacks build the tree. Nothing
 * raises an error while libxml2 is at work: what goes wrong is noted, the
 * parser is stopped, and the error is raised when it is gone.
 *
 * Documents can be hostile: entities cannot be declared, nothing is fetched,
 * and size, depth, number of elements and memory are limited.
 */
#include "postgres.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/xml.h"

#define XML_MAX_SIZE ((Size) 512 * 1024 * 1024)
#define XML_MAX_DEPTH 512
#define XML_MAX_ELEMENTS 20000000
#define XML_MAX_ATTRIBUTES 1000
#define XML_MAX_MEMORY ((Size) 2 * 1024 * 1024 * 1024)

/*
 * libxml2 compares each attribute of an element with all others before it
 * tells them, so their number is limited before it sees them.
 */
#define XML_MAX_ASSIGNMENTS 20000

/* Bytes given to the parser at once; interrupts are noticed between. */
#define XML_PIECE 65536

/* Memory is taken from PostgreSQL in chunks that grow up to the second. */
#define XML_CHUNK_MIN 32768
#define XML_CHUNK_MAX 1048576

/* Names are kept once, found by the address libxml2 keeps them at. */
#define XML_NAMES 1024

typedef struct XmlName
{
	const xmlChar *key;
	const char *name;
} XmlName;

/* An element whose end has not been seen. */
typedef struct XmlOpen
{
	XmlNode *node;
	XmlNode *last; /* child */
	Size text;     /* where its text begins */
} XmlOpen;

typedef struct XmlParser
{
	xmlParserCtxt *ctxt;
	/* What is still to be read. */
	const char *data;
	Size left;
	/* The tree. */
	XmlNode *root;
	int nelements;
	int depth;
	XmlOpen open[XML_MAX_DEPTH];
	XmlName names[XML_NAMES];
	/* Text of all open elements, the innermost last. */
	char *text;
	Size ntext;
	Size maxtext;
	/* Memory of the tree. */
	MemoryContext context;
	char *chunk;
	Size chunk_left;
	Size chunk_size;
	Size used;
	/* What went wrong first. */
	int sqlstate; /* 0 if nothing did */
	int line;
	char message[256];
	char detail[256];
} XmlParser;

/* Notes an error, unless there is one. */
static void
xml_note(XmlParser *parser, int sqlstate, const char *message,
		 const char *detail)
{
	if (parser->sqlstate != 0)
		return;
	parser->sqlstate = sqlstate;
	parser->line = xmlSAX2GetLineNumber(parser->ctxt);
	strlcpy(parser->message, message, sizeof(parser->message));
	strlcpy(parser->detail, detail, sizeof(parser->detail));
}

/* Notes an error and stops the parser, but not while it reads. */
static void
xml_stop(XmlParser *parser, int sqlstate, const char *message,
		 const char *detail)
{
	xml_note(parser, sqlstate, message, detail);
	xmlStopParser(parser->ctxt);
}

/* Notes that there is not enough memory, or that its limit is reached. */
static void
xml_stop_memory(XmlParser *parser, Size size)
{
	if (parser->used + size > XML_MAX_MEMORY)
		xml_stop(parser, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "PMML document is too large",
				 "its tree takes more than 2 gigabytes");
	else
		xml_stop(parser, ERRCODE_OUT_OF_MEMORY, "out of memory",
				 "while the PMML document was read");
}

/* Gets memory that may be absent: NULL stops the parser. */
static void *
xml_get(XmlParser *parser, Size size)
{
	void *result = NULL;

	if (parser->used + size <= XML_MAX_MEMORY)
		result = MemoryContextAllocExtended(
			parser->context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (result == NULL)
		xml_stop_memory(parser, size);
	else
		parser->used += size;
	return result;
}

/* Memory of the tree, or NULL. */
static void *
xml_alloc(XmlParser *parser, Size size)
{
	char *result;

	size = MAXALIGN(size);
	if (size > parser->chunk_left)
	{
		if (size > XML_CHUNK_MIN / 4)
			return xml_get(parser, size);
		parser->chunk = xml_get(parser, parser->chunk_size);
		if (parser->chunk == NULL)
		{
			parser->chunk_left = 0;
			return NULL;
		}
		parser->chunk_left = parser->chunk_size;
		parser->chunk_size = Min(parser->chunk_size * 2, XML_CHUNK_MAX);
	}
	result = parser->chunk;
	parser->chunk += size;
	parser->chunk_left -= size;
	return result;
}

/* A copy with a zero byte behind it, or NULL. */
static const char *
xml_copy(XmlParser *parser, const char *text, Size size)
{
	char *copy = xml_alloc(parser, size + 1);

	if (copy != NULL)
	{
		memcpy(copy, text, size);
		copy[size] = '\0';
	}
	return copy;
}

/* The copy of a name of libxml2; names that recur share one. */
static const char *
xml_intern(XmlParser *parser, const xmlChar *key)
{
	uint32 slot =
		(uint32) (((uintptr_t) key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) %
		XML_NAMES;
	XmlName *entry = &parser->names[slot];

	if (entry->key != key)
	{
		const char *name =
			xml_copy(parser, (const char *) key, strlen((const char *) key));

		if (name == NULL)
			return NULL;
		entry->key = key;
		entry->name = name;
	}
	return entry->name;
}

/* Tells whether another element may begin here. */
static bool
xml_element_fits(XmlParser *parser, int nattrs)
{
	const char *detail = NULL;

	if (parser->depth >= XML_MAX_DEPTH)
		detail = "elements are nested more than 512 deep";
	else if (parser->nelements >= XML_MAX_ELEMENTS)
		detail = "it has more than 20000000 elements";
	else if (nattrs > XML_MAX_ATTRIBUTES)
		detail = "an element has more than 1000 attributes";
	if (detail != NULL)
		xml_stop(parser, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "PMML document is too large", detail);
	return detail == NULL;
}

/*
 * Copies attributes: five pointers each. Those with a prefix are none of
 * PMML's (xsi:schemaLocation, xml:space) and are left out.
 */
static bool
xml_copy_attributes(XmlParser *parser, XmlNode *node, int n,
					const xmlChar **from)
{
	if (n == 0)
		return true;
	node->attrs = xml_alloc(parser, n * sizeof(XmlAttr));
	if (node->attrs == NULL)
		return false;
	for (int i = 0; i < n; i++, from += 5)
	{
		XmlAttr *attr = &node->attrs[node->nattrs];

		if (from[1] != NULL)
			continue;
		attr->name = xml_intern(parser, from[0]);
		attr->value =
			xml_copy(parser, (const char *) from[3], from[4] - from[3]);
		attr->read = false;
		if (attr->name == NULL || attr->value == NULL)
			return false;
		node->nattrs++;
	}
	return true;
}

/* Puts an element below the innermost open one and opens it. */
static void
xml_open(XmlParser *parser, XmlNode *node)
{
	XmlOpen *open = &parser->open[parser->depth];

	if (parser->depth == 0)
		parser->root = node;
	else
	{
		XmlOpen *parent = open - 1;

		node->parent = parent->node;
		if (parent->last == NULL)
			parent->node->child = node;
		else
			parent->last->next = node;
		parent->last = node;
	}
	open->node = node;
	open->last = NULL;
	open->text = parser->ntext;
	parser->depth++;
	parser->nelements++;
}

/* Called by libxml2 where an element begins. */
static void
xml_start(void *arg, const xmlChar *name, const xmlChar *prefix,
		  const xmlChar *uri, int nnamespaces, const xmlChar **namespaces,
		  int nattrs, int ndefaulted, const xmlChar **attrs)
{
	XmlParser *parser = arg;
	XmlNode *node;

	if (parser->sqlstate != 0 || !xml_element_fits(parser, nattrs))
		return;
	node = xml_alloc(parser, sizeof(XmlNode));
	if (node == NULL)
		return;
	memset(node, 0, sizeof(XmlNode));
	node->name = xml_intern(parser, name);
	node->line = xmlSAX2GetLineNumber(parser->ctxt);
	if (node->name != NULL && xml_copy_attributes(parser, node, nattrs, attrs))
		xml_open(parser, node);
}

/* Tells whether there is nothing but white space. */
static bool
xml_is_blank(const char *text, Size size)
{
	for (Size i = 0; i < size; i++)
		if (text[i] != ' ' && text[i] != '\n' && text[i] != '\t' &&
			text[i] != '\r')
			return false;
	return true;
}

/* Called by libxml2 where an element ends. */
static void
xml_end(void *arg, const xmlChar *name, const xmlChar *prefix,
		const xmlChar *uri)
{
	XmlParser *parser = arg;
	XmlOpen *open;
	const char *text;
	Size size;

	if (parser->sqlstate != 0 || parser->depth == 0)
		return;
	open = &parser->open[--parser->depth];
	text = parser->text + open->text;
	size = parser->ntext - open->text;
	parser->ntext = open->text;
	if (size > 0 && (open->node->child == NULL || !xml_is_blank(text, size)))
		open->node->text = xml_copy(parser, text, size);
}

/* Makes room for more text of open elements. */
static bool
xml_text_room(XmlParser *parser, Size size)
{
	Size room = Max(parser->maxtext * 2, parser->ntext + size);
	char *text;

	if (parser->ntext + size <= parser->maxtext)
		return true;
	room = Max(room, 1024);
	text = xml_get(parser, room);
	if (text == NULL)
		return false;
	memcpy(text, parser->text, parser->ntext);
	pfree(parser->text);
	parser->used -= parser->maxtext;
	parser->text = text;
	parser->maxtext = room;
	return true;
}

/* Called by libxml2 for a piece of text. */
static void
xml_characters(void *arg, const xmlChar *text, int size)
{
	XmlParser *parser = arg;

	if (parser->sqlstate != 0 || parser->depth == 0 ||
		!xml_text_room(parser, size))
		return;
	memcpy(parser->text + parser->ntext, text, size);
	parser->ntext += size;
}

/* Called by libxml2 for <!DOCTYPE>, before any ENTITY in it is read. */
static void
xml_doctype(void *arg, const xmlChar *name, const xmlChar *external,
			const xmlChar *system)
{
	xml_stop(arg, ERRCODE_INVALID_XML_DOCUMENT,
			 "PMML document must not have a document type declaration",
			 "there is a DOCTYPE");
}

/* Called by libxml2 for a name that is none of the predefined entities. */
static xmlEntityPtr
xml_find_entity(void *arg, const xmlChar *name)
{
	return NULL;
}

/* Called by libxml2 with an error; warnings and namespaces do not matter. */
#if LIBXML_VERSION >= 21200
static void
xml_error(void *arg, const xmlError *error)
#else
static void
xml_error(void *arg, xmlErrorPtr error)
#endif
{
	XmlParser *parser = arg;
	int size;

	if (error->level != XML_ERR_FATAL || parser->sqlstate != 0)
		return;
	parser->sqlstate = ERRCODE_INVALID_XML_DOCUMENT;
	parser->line = error->line;
	strlcpy(parser->message, "PMML is not well-formed XML",
			sizeof(parser->message));
	strlcpy(parser->detail, error->message == NULL ? "" : error->message,
			sizeof(parser->detail));
	size = strlen(parser->detail);
	while (size > 0 && (unsigned char) parser->detail[size - 1] <= ' ')
		parser->detail[--size] = '\0';
}

/*
 * Called by libxml2 for the next bytes. Where it should give up the document
 * ends: stopping the parser here would take away what it reads into.
 */
static int
xml_read(void *arg, char *buffer, int size)
{
	XmlParser *parser = arg;
	Size n = Min(Min((Size) size, parser->left), XML_PIECE);

	if (InterruptPending && (QueryCancelPending || ProcDiePending))
	{
		xml_note(parser, ERRCODE_QUERY_CANCELED, "canceling PMML parsing",
				 "an interrupt is pending");
		return 0;
	}
	memcpy(buffer, parser->data, n);
	parser->data += n;
	parser->left -= n;
	return (int) n;
}

/* What libxml2 calls. */
static xmlSAXHandler xml_handler = {
	.initialized = XML_SAX2_MAGIC,
	.startElementNs = xml_start,
	.endElementNs = xml_end,
	.characters = xml_characters,
	.ignorableWhitespace = xml_characters,
	.cdataBlock = xml_characters,
	.internalSubset = xml_doctype,
	.getEntity = xml_find_entity,
	.serror = xml_error,
};

/* Lets libxml2 read the document. Nothing in here raises an error. */
static void
xml_run(XmlParser *parser)
{
	parser->ctxt = xmlCreateIOParserCtxt(&xml_handler, parser, xml_read, NULL,
										 parser, XML_CHAR_ENCODING_UTF8);
	if (parser->ctxt == NULL)
	{
		parser->sqlstate = ERRCODE_OUT_OF_MEMORY;
		strlcpy(parser->message, "out of memory", sizeof(parser->message));
		return;
	}
	xmlCtxtUseOptions(parser->ctxt, XML_PARSE_NONET | XML_PARSE_HUGE |
										XML_PARSE_IGNORE_ENC |
										XML_PARSE_NOWARNING);
	xmlParseDocument(parser->ctxt);
	if (!parser->ctxt->wellFormed && parser->sqlstate == 0)
		xml_stop(parser, ERRCODE_INVALID_XML_DOCUMENT,
				 "PMML is not well-formed XML", "");
	xmlFreeParserCtxt(parser->ctxt);
}

/* Raises what went wrong, if anything did. */
static void
xml_raise(XmlParser *parser)
{
	int size;
	char *detail;

	CHECK_FOR_INTERRUPTS();
	if (parser->sqlstate == 0)
		return;
	size =
		pg_encoding_mbcliplen(PG_UTF8, parser->detail, strlen(parser->detail),
							  sizeof(parser->detail) - 8);
	detail = pg_any_to_server(pnstrdup(parser->detail, size), size, PG_UTF8);
	ereport(ERROR,
			(errcode(parser->sqlstate), errmsg_internal("%s", parser->message),
			 errdetail("Line %d: %s.", parser->line, detail)));
}

/* Refuses elements with a great many attributes. */
static void
xml_check_assignments(const char *data, Size size)
{
	char last = '\0'; /* that is no white space */
	int n = 0;

	for (Size i = 0; i < size; i++)
	{
		char c = data[i];

		if (c == '<')
			n = 0;
		else if (last == '=' && (c == '"' || c == '\'') &&
				 ++n > XML_MAX_ASSIGNMENTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("PMML document is too large"),
					 errdetail("An element has more than %d attributes.",
							   XML_MAX_ATTRIBUTES)));
		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			last = c;
	}
}

/* Reads a document in UTF-8, whatever encoding its declaration names. */
XmlNode *
xml_parse(const char *data, Size size)
{
	XmlParser *parser = palloc0(sizeof(XmlParser));
	XmlNode *root;

	if (size > XML_MAX_SIZE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("PMML document is too large"),
						errdetail("It has more than 512 megabytes.")));
	xml_check_assignments(data, size);
	parser->data = data;
	parser->left = size;
	parser->context = CurrentMemoryContext;
	parser->chunk_size = XML_CHUNK_MIN;
	parser->maxtext = 4096;
	parser->text = palloc(parser->maxtext);
	xmlInitParser();
	xml_run(parser);
	xml_raise(parser);
	root = parser->root;
	pfree(parser->text);
	pfree(parser);
	return root;
}
