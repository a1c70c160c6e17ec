/* MD5 (RFC 1321): only to recognise published files by the sums that others print. */
#ifndef STRATA_BASE_MD5_H
#define STRATA_BASE_MD5_H

#include <stddef.h>

/* 32 lower-case hex digits and NUL. */
void strata_md5_text(char out[33], const void *bytes, size_t length);

#endif
