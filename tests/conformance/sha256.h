/* SHA-256 (FIPS 180-4), for comparing texts that may not be copied. */
#ifndef STRATA_TESTS_SHA256_H
#define STRATA_TESTS_SHA256_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t sha256_rotate(uint32_t x, unsigned bits) {
    return x >> bits | x << (32 - bits);
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes, found by search on integers. */
static void sha256_constants(uint32_t k[64]) {
    unsigned found = 0;
    for (uint32_t n = 2; found < 64; n++) {
        uint32_t d = 2;
        while (d * d <= n && n % d) d++;
        if (d * d <= n) continue;
        unsigned __int128 low = 0, high = (unsigned __int128)8 << 32;
        while (high - low > 1) { /* largest r with r^3 <= n * 2^96 */
            unsigned __int128 r = (low + high) / 2;
            if (r * r * r <= (unsigned __int128)n << 96) {
                low = r;
            } else {
                high = r;
            }
        }
        k[found++] = (uint32_t)low;
    }
}

static void sha256_block(uint32_t h[8], const unsigned char *block, const uint32_t k[64]) {
    uint32_t w[64], v[8];
    for (unsigned i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
                   block[4 * i + 3];
            continue;
        }
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (sha256_rotate(a, 7) ^ sha256_rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (sha256_rotate(b, 17) ^ sha256_rotate(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t s1 = sha256_rotate(v[4], 6) ^ sha256_rotate(v[4], 11) ^ sha256_rotate(v[4], 25);
        uint32_t s0 = sha256_rotate(v[0], 2) ^ sha256_rotate(v[0], 13) ^ sha256_rotate(v[0], 22);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) h[i] += v[i];
}

static void sha256_text(char out[65], const char *data, size_t length) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t h[8], k[64];
    unsigned char last[128] = {0};
    size_t whole = length / 64 * 64, rest = length - whole, size = rest < 56 ? 64 : 128;
    sha256_constants(k);
    memcpy(h, start, sizeof h);
    for (size_t at = 0; at < whole; at += 64) sha256_block(h, (const unsigned char *)data + at, k);
    memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    for (unsigned i = 0; i < 8; i++) last[size - 1 - i] = (unsigned char)((uint64_t)length * 8 >> (8 * i));
    for (size_t at = 0; at < size; at += 64) sha256_block(h, last + at, k);
    for (unsigned i = 0; i < 8; i++) snprintf(out + 8 * i, 9, "%08x", (unsigned)h[i]);
}

#endif
