/*
 * attribution_state: what some models credited to each channel. In memory an
 * expanded object around sums of 128 bits: credit in units of 10^-12,
 * conversions of 10^-18.
 */
#ifndef IAROS_ATTRIBUTION_CREDIT_STATE_H
#define IAROS_ATTRIBUTION_CREDIT_STATE_H

#include "postgres.h"

#include "attribution/credit.h"
#include "utils/expandeddatum.h"

/* Decimals of the sums. */
#define STATE_SCALE 12

#define STATE_MODEL_MAX 64
#define STATE_CHANNEL_MAX 10000000

typedef struct StateSum
{
	int128 credit;
	int128 conversions;
} StateSum;

typedef struct StateChannel
{
	const char *name; /* not terminated; NULL: no touch */
	int length;
	uint32 hash;
} StateChannel;

typedef struct AttributionState
{
	ExpandedObjectHeader hdr;
	int magic;
	int decimals;
	int nmodels;
	CreditModel *models;
	struct varlena *given; /* array the models were read from, or NULL */
	uint32 nchannels;      /* number 0 is no touch */
	uint32 room;
	StateChannel *channels;
	StateSum *sums;  /* nmodels for each channel */
	uint32 nslots;   /* a power of 2 */
	uint32 *slots;   /* number of a channel, 0 for none */
	CreditPath path; /* to work with */
	uint32 nnumbers; /* of labels, to work with */
	uint32 *numbers;
	bool *direct;
	struct varlena *flat; /* while there is no change */
} AttributionState;

/* credit_state.c */
extern AttributionState *credit_state_create(MemoryContext parent, int nmodels,
											 int decimals);
extern uint32 credit_state_channel(AttributionState *state, const char *name,
								   int length);
/* Adds a conversion, or several of the same path. */
extern void credit_state_add(AttributionState *state,
							 const struct varlena *path, int64 conversions,
							 int64 amount, int scale);
extern void credit_state_merge(AttributionState *state,
							   const AttributionState *from);
extern bool credit_state_same_models(const AttributionState *a,
									 const AttributionState *b);

/* credit_wire.c */
extern struct varlena *credit_state_wire_write(const AttributionState *state);
extern AttributionState *credit_state_wire_read(const struct varlena *flat,
												MemoryContext parent);

/* credit_agg.c: of a value, not to be changed. */
extern AttributionState *credit_state_from_datum(Datum datum);
extern int credit_state_decimals(int32 decimals);
/* Puts a numeric in as many decimals as it needs, at least so many. */
extern int64 credit_state_amount(Datum value, int decimals, int *scale);

#endif /* IAROS_ATTRIBUTION_CREDIT_STATE_H */
