/*
 * The aggregates of audiences. Their state is an audience in memory: an
 * expanded object around a builder, changed in place.
 */
#include "postgres.h"

#include "fmgr.h"
#include "segment/audience_layout.h"
#include "utils/expandeddatum.h"

#define STATE_MAGIC 0x41554449

typedef struct AudienceState
{
	ExpandedObjectHeader hdr;
	int magic;
	AudienceBuilder *builder;
	Audience *flat; /* of the builder, while it is not changed */
} AudienceState;

/* Makes the state flat, once for a change. */
static Audience *
state_flat(AudienceState *state)
{
	if (state->flat == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->hdr.eoh_context);

		state->flat = audience_builder_finish(state->builder);
		MemoryContextSwitchTo(caller);
	}
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(state_flat((AudienceState *) header));
}

/* Expanded object: the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	Audience *flat = state_flat((AudienceState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods state_methods = {state_flat_size,
													state_flatten};

/* Makes an empty state in a context of its own below parent. */
static AudienceState *
state_create(MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "iaros audience", ALLOCSET_SMALL_SIZES);
	AudienceState *state =
		MemoryContextAllocZero(context, sizeof(AudienceState));

	EOH_init_header(&state->hdr, &state_methods, context);
	state->magic = STATE_MAGIC;
	state->builder = audience_builder_create(context);
	return state;
}

/* Returns the audience of a datum, flat and not to be changed. */
Audience *
audience_from_datum(Datum datum)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
	{
		AudienceState *state = (AudienceState *) DatumGetEOHP(datum);

		Assert(state->magic == STATE_MAGIC);
		return state_flat(state);
	}
	return (Audience *) PG_DETOAST_DATUM(datum);
}

/*
 * Returns the state that a transition function may change: its own, or a
 * copy when it is not called by an aggregate.
 */
static AudienceState *
state_writable(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	Datum datum = PG_GETARG_DATUM(0);
	bool aggregate = AggCheckCallContext(fcinfo, &context) != 0;
	AudienceState *state;

	if (aggregate && VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
	{
		state = (AudienceState *) DatumGetEOHP(datum);
		if (state->flat != NULL)
			pfree(state->flat);
		state->flat = NULL;
		return state;
	}
	state = state_create(aggregate ? context : CurrentMemoryContext);
	audience_builder_merge(state->builder, audience_from_datum(datum));
	return state;
}

PG_FUNCTION_INFO_V1(audience_add);

/* SQL: audience_add(audience, id bigint), also the transition function */
Datum
audience_add(PG_FUNCTION_ARGS)
{
	uint64 id = audience_id_check(PG_GETARG_INT64(1));
	AudienceState *state = state_writable(fcinfo);

	audience_builder_add(state->builder, id);
	return EOHPGetRWDatum(&state->hdr);
}

PG_FUNCTION_INFO_V1(audience_accumulate);

/* SQL: audience_accumulate(audience, audience), in place in an aggregate */
Datum
audience_accumulate(PG_FUNCTION_ARGS)
{
	Audience *other = PG_GETARG_AUDIENCE_P(1);
	AudienceState *state = state_writable(fcinfo);

	audience_builder_merge(state->builder, other);
	return EOHPGetRWDatum(&state->hdr);
}
