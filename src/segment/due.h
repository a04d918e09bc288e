/*
 * When the answers about a row may change next without any change of the
 * row: ids by the slot in which one of the conditions on time may turn. The
 * day of as_of (UTC) has a slot for each quarter of an hour, each day after
 * it has one.
 */
#ifndef IAROS_SEGMENT_DUE_H
#define IAROS_SEGMENT_DUE_H

#include "postgres.h"

#include "segment/audience.h"
#include "segment/program.h"

#define SEGMENT_DUE_QUARTERS 96
/* What is due later than on the last day is due on that one. */
#define SEGMENT_DUE_DAYS 366
#define SEGMENT_DUE_SLOTS (SEGMENT_DUE_QUARTERS + SEGMENT_DUE_DAYS)

typedef struct SegmentDue SegmentDue;

extern SegmentDue *segment_due_create(const SegmentProgram *program);
extern void segment_due_note(SegmentDue *due, int row, TimestampTz at);
extern void segment_due_add(SegmentDue *due, const SegmentBatch *batch,
							const uint64 *ids);
extern AudienceBuilder *segment_due_slot(const SegmentDue *due, int slot);
extern AudienceBuilder *segment_due_open(SegmentDue *due, int slot);
extern TimestampTz segment_due_start(const SegmentDue *due, int slot);

#endif /* IAROS_SEGMENT_DUE_H */
