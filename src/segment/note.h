/* The log of customers about whom something changed. */
#ifndef IAROS_SEGMENT_NOTE_H
#define IAROS_SEGMENT_NOTE_H

extern void segment_note_init(void);

#endif /* IAROS_SEGMENT_NOTE_H */
