/* What the shared library exports: the declarations marked STRATA_API, and nothing else. */
#ifndef STRATA_EXPORT_H
#define STRATA_EXPORT_H

#if defined(__GNUC__)
#define STRATA_API __attribute__((visibility("default")))
#else
#define STRATA_API
#endif

#endif
