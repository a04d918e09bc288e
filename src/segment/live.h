/* The segments of a few customers, answered at once. */
#ifndef IAROS_SEGMENT_LIVE_H
#define IAROS_SEGMENT_LIVE_H

extern void segment_live_init(void);

#endif /* IAROS_SEGMENT_LIVE_H */
