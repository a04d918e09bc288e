/*
 * A touch_path while an aggregate collects it: one value with room to grow,
 * which the transition function changes in place. It has no memory context
 * of its own, since there may be millions of groups.
 */
#ifndef IAROS_ATTRIBUTION_PATH_BUILD_H
#define IAROS_ATTRIBUTION_PATH_BUILD_H

#include "attribution/path.h"

/* In the place of PATH_VERSION. */
#define PATH_BUILDING 0xFF

/* Units of time, and where their number is in the flags of a flat path. */
#define PATH_UNITS 6
#define PATH_UNIT_SHIFT 5

extern const int64 path_units[PATH_UNITS];

/* Is this value one that is being collected? */
static inline bool
path_is_build(const struct varlena *path)
{
	return *(const unsigned char *) VARDATA_ANY(path) == PATH_BUILDING;
}

/* path_check.c: raises the error for a path that is too large. */
extern void path_fail_size(void) pg_attribute_noreturn();

#endif /* IAROS_ATTRIBUTION_PATH_BUILD_H */
