/* Associations: what their compiler and their operations share. */
#ifndef IAROS_MODEL_ASSOCIATION_H
#define IAROS_MODEL_ASSOCIATION_H

#include "postgres.h"

#include "model/xml.h"

/* Which rules apply; to all of them the row has the antecedent's items. */
typedef enum AssociationAlgorithm
{
	ASSOCIATION_RECOMMENDATION,
	ASSOCIATION_EXCLUSIVE, /* and not all of the consequent's */
	ASSOCIATION_RULE       /* and all of the consequent's */
} AssociationAlgorithm;

extern bool association_is_list(XmlNode *output);

#endif /* IAROS_MODEL_ASSOCIATION_H */
