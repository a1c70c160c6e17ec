/* The whole public interface of libstrata. docs/c-api.md has an example. */
#ifndef STRATA_STRATA_H
#define STRATA_STRATA_H

#include "strata/error.h"
#include "strata/grade.h"
#include "strata/run.h"
#include "strata/version.h"
#include "strata/vlm.h"

#endif
