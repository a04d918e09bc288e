/* Airports: rows of iaros.airport, read through a copy in the backend. */
#include "postgres.h"

#include <math.h>

#include "airport.h"
#include "core/core.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Mean radius of the Earth, as in distance_km(). */
#define AIRPORT_EARTH_KM 6371.0088

#define AIRPORT_RADIANS(degrees) ((degrees) * (M_PI / 180.0))

static const char *const airport_regions[AIRPORT_REGIONS] = {
	"Africa", "Americas", "Asia", "Europe", "Middle East", "Oceania"};

/* The copy is made of both tables. */
static CoreCache airport_cache = {.relname = "airport"};
static CoreCache country_cache = {.relname = "country"};
static HTAB *airports = NULL;

/* Registers the copies of the tables. */
void
airport_init(void)
{
	core_cache_register(&airport_cache);
	core_cache_register(&country_cache);
}

/* Packs the three letters of a code. */
uint32
airport_code(const char *letters)
{
	return (uint32) (uint8) letters[0] << 16 |
		   (uint32) (uint8) letters[1] << 8 | (uint8) letters[2];
}

/* Returns the name of a region, NULL for 0. */
const char *
airport_region_name(uint8 region)
{
	return region == 0 ? NULL : airport_regions[region - 1];
}

/* Returns the number of a region, 0 when there is none of that name. */
static uint8
airport_region(const char *name)
{
	for (int i = 0; i < AIRPORT_REGIONS; i++)
		if (strcmp(airport_regions[i], name) == 0)
			return i + 1;
	return 0;
}

/* Copies one row of the result into the hash table. */
static void
airport_store(HeapTuple row, TupleDesc desc)
{
	char *value[6];
	uint32 code;
	Airport *airport;

	for (int i = 0; i < lengthof(value); i++)
	{
		value[i] = SPI_getvalue(row, desc, i + 1);
		if (value[i] == NULL)
			return;
	}
	if (strlen(value[0]) != AIRPORT_CODE_LEN || strlen(value[1]) != 2)
		return;
	code = airport_code(value[0]);
	airport = hash_search(airports, &code, HASH_ENTER, NULL);
	airport->country =
		(uint16) ((uint8) value[1][0] << 8 | (uint8) value[1][1]);
	airport->region = airport_region(value[2]);
	airport->latitude = strtod(value[3], NULL);
	airport->longitude = strtod(value[4], NULL);
	airport->zone = pg_tzset(value[5]);
}

/* Reads both tables; they have some thousands of rows. */
static void
airport_fill(void)
{
	HASHCTL ctl = {0};

	/* Marked valid before it is read, so a change meanwhile is not lost. */
	core_cache_begin(&country_cache);
	core_cache_end(&country_cache);
	core_cache_begin(&airport_cache);
	ctl.keysize = sizeof(uint32);
	ctl.entrysize = sizeof(Airport);
	ctl.hcxt = airport_cache.context;
	airports = hash_create("iaros airports", 2048, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (SPI_execute("SELECT a.airport, a.country, c.region, a.latitude, "
					"a.longitude, a.time_zone FROM iaros.airport a "
					"JOIN iaros.country c ON c.country OPERATOR(pg_catalog.=) "
					"a.country",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read iaros.airport");
	for (uint64 i = 0; i < SPI_processed; i++)
		airport_store(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	core_cache_end(&airport_cache);
}

/* Returns the airport of a code, NULL when there is none. */
const Airport *
airport_find(uint32 code)
{
	if (!core_cache_usable(&airport_cache) ||
		!core_cache_usable(&country_cache))
		airport_fill();
	return hash_search(airports, &code, HASH_FIND, NULL);
}

/* Great-circle distance by the haversine formula, as distance_km(). */
float8
airport_distance_km(const Airport *from, const Airport *to)
{
	float8 half = AIRPORT_RADIANS(to->latitude - from->latitude) / 2;
	float8 mean = AIRPORT_RADIANS(to->latitude + from->latitude) / 2;
	float8 turn = AIRPORT_RADIANS(to->longitude - from->longitude) / 2;
	float8 both = cos(AIRPORT_RADIANS(from->latitude)) *
				  cos(AIRPORT_RADIANS(to->latitude));
	float8 sine = sin(half) * sin(half) + both * sin(turn) * sin(turn);
	float8 cosine = sin(mean) * sin(mean) + both * cos(turn) * cos(turn);

	return 2 * AIRPORT_EARTH_KM * atan2(sqrt(sine), sqrt(cosine));
}
