/* The rebuild of profiles from all rows in one pass. */
#ifndef IAROS_PROFILE_BUILD_H
#define IAROS_PROFILE_BUILD_H

#include "postgres.h"

#include "utils/numeric.h"

/* state.c */
extern int64 profile_amount(Numeric amount);
extern int profile_status(Oid value);
extern uint8 profile_cabin(Oid value);
extern uint32 profile_airport(const BpChar *code);

/* build.c */
extern void profile_build_init(void);

#endif /* IAROS_PROFILE_BUILD_H */
