/*
 * What differs between the versions of PostgreSQL that iaros is built on.
 * Macros carry the name of the newer API; no other file tests
 * PG_VERSION_NUM.
 */
#ifndef IAROS_COMPAT_H
#define IAROS_COMPAT_H

/*
 * The module is built with hidden symbols. Until PostgreSQL 15 the server's
 * headers leave it to the module to export what the server calls.
 */
#ifndef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 140000
#error "iaros needs PostgreSQL 14 or newer"
#endif

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(name) EmitWarningsOnPlaceholders(name)
#endif

#if PG_VERSION_NUM < 160000
extern PGDLLEXPORT void _PG_init(void);

#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname)                                         \
	extern PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS);                      \
	extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_,            \
														funcname)(void);      \
	const Pg_finfo_record *CppConcat(pg_finfo_, funcname)(void)               \
	{                                                                         \
		static const Pg_finfo_record my_finfo = {1};                          \
		return &my_finfo;                                                     \
	}                                                                         \
	extern int no_such_variable

/* Arrays of a type are allocated by name from late minor versions on. */
#include "storage/shmem.h"

#ifndef palloc_array
#define palloc_array(type, count)                                             \
	((type *) palloc(mul_size(sizeof(type), (count))))
#define palloc0_array(type, count)                                            \
	((type *) palloc0(mul_size(sizeof(type), (count))))
#endif

/* Input errors are soft from PostgreSQL 16 on. */
#define ereturn(context, dummy_value, ...)                                    \
	do                                                                        \
	{                                                                         \
		(void) (context);                                                     \
		ereport(ERROR, __VA_ARGS__);                                          \
	} while (0)

/* What an abbreviation of a zone is comes back apart from 16 on. */
#include "utils/datetime.h"

typedef int DateTimeErrorExtra;
#define DecodeTimezoneAbbrev(field, token, ftype, offset, tz, extra)          \
	((void) (extra),                                                          \
	 *(ftype) = DecodeTimezoneAbbrev(field, token, offset, tz), 0)

/* Semantic actions of the JSON parser tell how they went from 16 on. */
#define JsonActionResult void
#define JSON_ACTION_RETURN() return
#else
#define JsonActionResult JsonParseErrorType
#define JSON_ACTION_RETURN() return JSON_SUCCESS
#endif

/* A lexer of JSON that takes escapes out of texts. */
#if PG_VERSION_NUM < 170000
#define JsonLexContextCreate(json, length, encoding)                          \
	makeJsonLexContextCstringLen(json, length, encoding, true)
#else
#define JsonLexContextCreate(json, length, encoding)                          \
	makeJsonLexContextCstringLen(NULL, json, length, encoding, true)
#endif

#endif /* IAROS_COMPAT_H */
