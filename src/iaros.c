/* The module: magic block and start of each domain that needs one. */
#include "postgres.h"

#include "airport.h"
#include "attribution/paths.h"
#include "core/core.h"
#include "fmgr.h"
#include "model/init.h"
#include "profile/feature.h"
#include "profile/profile.h"
#include "promo/code.h"
#include "rfm/rfm.h"
#include "segment/audience.h"
#include "segment/like.h"
#include "segment/program.h"

PG_MODULE_MAGIC;

void _PG_init(void);

/* Starts the domains that keep something in the backend. */
void
_PG_init(void)
{
	core_init();
	airport_init();
	profile_init();
	feature_init();
	rfm_init();
	model_init();
	audience_init();
	segment_agg_init();
	segment_init();
	segment_like_init();
	promo_init();
	paths_init();
}
