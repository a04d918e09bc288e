/* The bytes of an rfm_state. */
#ifndef IAROS_RFM_WIRE_H
#define IAROS_RFM_WIRE_H

#include "postgres.h"

#include "rfm/table.h"

extern bytea *rfm_wire_write(RfmTable *table, MemoryContext context);
extern RfmTable *rfm_wire_read(const bytea *bytes, MemoryContext context);

#endif /* IAROS_RFM_WIRE_H */
