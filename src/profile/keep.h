/* Rows of profile_stored, to be changed one by one. */
#ifndef IAROS_PROFILE_KEEP_H
#define IAROS_PROFILE_KEEP_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "profile/profile.h"

typedef struct ProfileKeep ProfileKeep;

extern AttrNumber profile_attno(TupleDesc desc, const char *name, Oid type,
								int guess);
extern ProfileKeep *profile_keep_open(void);
extern bool profile_keep_change(ProfileKeep *table, int64 person,
								const ProfileHistory *removed,
								ProfileHistory *added, bool are_new);
extern void profile_keep_close(ProfileKeep *table);

#endif /* IAROS_PROFILE_KEEP_H */
