/*
 * XML as a tree: what libxml2's parser reports, in memory of PostgreSQL.
 * Elements and attributes remember whether anybody asked for them, so that
 * what the compiler does not know can be refused by name and line.
 */
#ifndef IAROS_MODEL_XML_H
#define IAROS_MODEL_XML_H

#include "postgres.h"

typedef struct XmlAttr
{
	const char *name;
	const char *value;
	bool read;
} XmlAttr;

typedef struct XmlNode
{
	const char *name; /* without prefix */
	int line;
	bool read;
	int nattrs;
	XmlAttr *attrs;
	const char *text; /* all characters directly inside, NULL if none */
	struct XmlNode *parent;
	struct XmlNode *child; /* first child element */
	struct XmlNode *next;  /* next sibling element */
} XmlNode;

extern XmlNode *xml_parse(const char *data, Size size);

/* Attributes. */
extern const char *xml_attr(XmlNode *node, const char *name);
extern const char *xml_peek(const XmlNode *node, const char *name);
extern const char *xml_need(XmlNode *node, const char *name);
extern bool xml_is(XmlNode *node, const char *attr, const char *value);
extern double xml_number(XmlNode *node, const char *name, double missing);
extern double xml_need_number(XmlNode *node, const char *name);
extern int xml_count(XmlNode *node, const char *name, int missing);
extern bool xml_flag(XmlNode *node, const char *name, bool missing);
extern int xml_choice(XmlNode *node, const char *name, const char *words,
					  int missing);
extern double xml_parse_number(XmlNode *node, const char *text);

/* Elements. */
extern XmlNode *xml_child(XmlNode *node, const char *name);
extern const XmlNode *xml_peek_child(const XmlNode *node, const char *name);
extern XmlNode *xml_need_child(XmlNode *node, const char *name);
extern XmlNode *xml_next(XmlNode *node, const char *name);
extern XmlNode *xml_first(XmlNode *node);
extern XmlNode *xml_after(XmlNode *node);
extern int xml_children(XmlNode *node, const char *name);
extern bool xml_named(const XmlNode *node, const char *name);
extern const char *xml_local(const char *name);
extern XmlNode *xml_walk(const XmlNode *root, XmlNode *node, bool below);
extern void xml_skip(XmlNode *node);
extern void xml_check_read(XmlNode *root);

/* Errors name the element and its line. */
extern void xml_fail(const XmlNode *node, int sqlstate, const char *format,
					 ...) pg_attribute_printf(3, 4) pg_attribute_noreturn();
extern void xml_unsupported(const XmlNode *node, const char *attr,
							const char *value) pg_attribute_noreturn();

#endif /* IAROS_MODEL_XML_H */
