/*
 * When the answers about a row may change next without any change of the
 * row: ids by the day on which one of the conditions on time may turn.
 */
#ifndef IAROS_SEGMENT_DUE_H
#define IAROS_SEGMENT_DUE_H

#include "postgres.h"

#include "segment/audience.h"
#include "segment/program.h"

/* Days that are told apart; what is due later is due on the last one. */
#define SEGMENT_DUE_DAYS 366

typedef struct SegmentDue SegmentDue;

extern SegmentDue *segment_due_create(const SegmentProgram *program);
extern void segment_due_note(SegmentDue *due, int row, TimestampTz at);
extern void segment_due_add(SegmentDue *due, const SegmentBatch *batch,
							const uint64 *ids);
/* The ids due so many days after as_of, or NULL. */
extern AudienceBuilder *segment_due_day(const SegmentDue *due, int day);
extern AudienceBuilder *segment_due_open(SegmentDue *due, int day);
extern DateADT segment_due_date(const SegmentDue *due, int day);

#endif /* IAROS_SEGMENT_DUE_H */
