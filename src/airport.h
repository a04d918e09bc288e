/* What bookings ask of airports: where they lie, and their local time. */
#ifndef IAROS_AIRPORT_H
#define IAROS_AIRPORT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

#define AIRPORT_CODE_LEN 3

/* Regions of table country, in the order of airport_region_name(). */
#define AIRPORT_REGIONS 6

typedef struct Airport
{
	uint32 code;    /* three letters, hash key */
	uint16 country; /* two letters */
	uint8 region;   /* 1 to AIRPORT_REGIONS, 0: none of them */
	float8 latitude;
	float8 longitude;
	pg_tz *zone; /* NULL: the server does not know it */
} Airport;

extern void airport_init(void);
extern uint32 airport_code(const char *letters);
extern const Airport *airport_find(uint32 code);
extern const char *airport_region_name(uint8 region);
extern float8 airport_distance_km(const Airport *from, const Airport *to);

#endif /* IAROS_AIRPORT_H */
