/*
 * What the compiled parts share. They are freestanding C (no libc), built by jobs/build_kernel.py
 * with clang's vectors, whose lanes are said here and not by the processor: every machine adds in
 * the same order, so that a profile made on a laptop equals one made in Lambda, bit by bit.
 */
#ifndef TIDEMILL_KERNEL_H
#define TIDEMILL_KERNEL_H

#include <stdint.h>

#define LANES 8

typedef double doubles __attribute__((ext_vector_type(LANES)));
typedef int64_t wholes __attribute__((ext_vector_type(LANES)));
typedef uint64_t bits __attribute__((ext_vector_type(LANES)));

/* The same, wherever they lie in memory. */
typedef doubles unaligned_doubles __attribute__((aligned(8)));
typedef wholes unaligned_wholes __attribute__((aligned(8)));

#define EXPORTED __attribute__((visibility("default")))

#endif
