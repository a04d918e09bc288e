/* The salt of hashes. */
#include "core/hash.h"

#include "miscadmin.h"

/*
 * Returns a number of this backend that is not 0, without which keys could be
 * chosen to meet in one slot.
 */
uint64
core_salt(void)
{
	static uint64 salt = 0;

	while (salt == 0)
		if (!pg_strong_random(&salt, sizeof(salt)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not generate random numbers")));
	return salt;
}
