/* The version of the program and of the file formats it writes. */
#ifndef STRATA_VERSION_H
#define STRATA_VERSION_H

#include "strata/export.h"

#define STRATA_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* STRATA_VERSION of the library that is linked, which may be newer than the header. */
STRATA_API const char *strata_version(void);

#ifdef __cplusplus
}
#endif
#endif
