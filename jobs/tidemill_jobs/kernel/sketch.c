/*
 * Thin a batch for the quantile sketch (profile/sampled.py): rows are sorted side by side, one in
 * each lane of the processor's registers, and every so manyth number of each stays.
 *
 * Sixteen numbers of a row are sorted without touching memory, and merged to a row by bitonic
 * merging. Both: Batcher, *Sorting networks and their applications* (AFIPS 1968).
 */
#include "kernel.h"

#define SIDE 4 /* rows side by side: sixteen registers hold sixteen numbers of each */
#define ROW 64
#define RUN 16

typedef double rank __attribute__((ext_vector_type(SIDE)));
typedef rank unaligned_rank __attribute__((aligned(8)));

#define ALWAYS static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

/* Put the lesser numbers of two ranks into the first, lane by lane. */
ALWAYS void exchange(rank *one, rank *other) {
    rank lesser = *one < *other ? *one : *other;
    *other = *one < *other ? *other : *one;
    *one = lesser;
}

/* Sort RUN ranks: Batcher's odd-even merge sort. */
ALWAYS void sort_run(rank *run) {
    rank kept[RUN];
    UNROLLED for (int at = 0; at < RUN; at++) kept[at] = run[at];
    UNROLLED for (int half = 1; half < RUN; half *= 2)
        UNROLLED for (int apart = half; apart >= 1; apart /= 2)
            UNROLLED for (int block = 0; block < RUN; block += 2 * half)
                UNROLLED for (int from = apart % half; from + apart < 2 * half; from += 2 * apart)
                    UNROLLED for (int at = block + from; at < block + from + apart; at++)
                        exchange(&kept[at], &kept[at + apart]);
    UNROLLED for (int at = 0; at < RUN; at++) run[at] = kept[at];
}

/* Sort RUN ranks that ascend and then descend, or the other way round. */
ALWAYS void merge_run(rank *kept) {
    UNROLLED for (int apart = RUN / 2; apart >= 1; apart /= 2)
        UNROLLED for (int block = 0; block < RUN; block += 2 * apart)
            UNROLLED for (int at = block; at < block + apart; at++)
                exchange(&kept[at], &kept[at + apart]);
}

/* Exchange between two runs, the second one read backwards where `turned`, and sort each. */
ALWAYS void merge_pair(rank *low, rank *high, int turned) {
    rank kept[RUN];
    UNROLLED for (int at = 0; at < RUN; at++) {
        rank *other = &high[turned ? RUN - 1 - at : at];
        kept[at] = low[at];
        exchange(&kept[at], other);
    }
    merge_run(kept);
    UNROLLED for (int at = 0; at < RUN; at++) low[at] = kept[at];
    UNROLLED for (int at = 0; at < RUN; at++) kept[at] = high[at];
    merge_run(kept);
    UNROLLED for (int at = 0; at < RUN; at++) high[at] = kept[at];
}

/* Sort the ranks of rows. */
static void sort_rows(rank *rows) {
    for (int run = 0; run < ROW; run += RUN) sort_run(rows + run);
    for (int run = 0; run < ROW; run += 2 * RUN) merge_pair(rows + run, rows + run + RUN, 1);
    for (int half = 2 * RUN; half < ROW; half *= 2)
        for (int block = 0; block < ROW; block += 2 * half) {
            rank *merged = rows + block;
            for (int at = 0; at < half; at++) exchange(&merged[at], &merged[2 * half - 1 - at]);
            for (int run = 0; run < 2 * half; run += 2 * RUN)
                merge_pair(merged + run, merged + run + RUN, 0);
        }
}

/*
 * Keep every 2^`shift`-th number of each row, in ascending order; return how many.
 * Which one is the first goes on by `per_row` of 2^64 from row to row, from `start` on.
 * `size` is a multiple of SIDE * ROW; none is NaN. `out` may be `values`.
 */
EXPORTED int64_t thin(
    const double *values, int64_t size, int shift, uint64_t start, uint64_t per_row, double *out
) {
    rank rows[ROW];
    int64_t count = 0;
    for (int64_t at = 0; at < size; at += SIDE * ROW) {
        UNROLLED for (int place = 0; place < ROW; place++)
            rows[place] = *(const unaligned_rank *)(values + at + SIDE * place);
        sort_rows(rows);
        for (int lane = 0; lane < SIDE; lane++, start += per_row) {
            const double *kept = (const double *)rows + lane;
            for (int place = (int)(start >> (64 - shift)); place < ROW; place += 1 << shift)
                out[count++] = kept[SIDE * place];
        }
    }
    return count;
}
