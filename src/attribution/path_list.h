/* The touches of a path in memory, to be changed. */
#ifndef IAROS_ATTRIBUTION_PATH_LIST_H
#define IAROS_ATTRIBUTION_PATH_LIST_H

#include "attribution/path.h"

typedef struct PathList
{
	bool timed;
	uint32 nlabels;
	uint32 ntouches;
	uint32 label_room;
	uint32 touch_room;
	PathLabel *labels; /* may repeat */
	PathTouch *touches;
} PathList;

extern PathList *path_list_create(uint32 room);
/* Adds a touch and its label, whose texts must stay. */
extern void path_list_add(PathList *list, const PathLabel *label,
						  const PathTouch *touch);
/* Reads a flat path, which must stay. */
extern PathList *path_list_read(const struct varlena *path);
extern struct varlena *path_list_make(PathList *list);

#endif /* IAROS_ATTRIBUTION_PATH_LIST_H */
