/* The plan node by which parallel workers hand their rows to a sink. */
#ifndef IAROS_CORE_SCAN_H
#define IAROS_CORE_SCAN_H

#include "postgres.h"

#include "core/source.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"

extern void scan_init(void);
extern bool core_scan_push(PlannedStmt *plan, const char *sink);
extern int core_scan_workers(const PlanState *root);
extern void core_scan_attach(PlanState *root, const CoreSink *sink,
							 void *state, const void *args, Size size);

#endif /* IAROS_CORE_SCAN_H */
