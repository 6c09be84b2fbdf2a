/*
 * Numbers of a batch, looked at once: their ends, sums and hashes (profile/numbers.py and
 * profile/distinct.py say what they are for).
 */
#include "kernel.h"

#define BLOCK 1024        /* numbers added before their sum joins the others': errors stay small */
#define EXACT (1ll << 53)  /* a double holds every whole number up to here */
#define LONGEST 0x1p63
#define FIRST_FACTOR 0xBF58476D1CE4E5B9u
#define SECOND_FACTOR 0x94D049BB133111EBu

struct look {
    double low, high;    /* of those that are not NaN */
    double sum, squares;
    int64_t wholes;      /* how many are whole and fit 64 bits */
    int64_t strange;     /* how many are NaN, infinite, or larger than `largest` */
};

struct whole_look {
    int64_t low, high;
    int64_t sum_high;    /* the sum is sum_high * 2^32 + sum_low, exactly, of up to 2^31 numbers */
    int64_t sum_low;
    double squares;
};

static inline double added(doubles lanes) {
    double sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
}

static inline int64_t counted(wholes lanes) {
    int64_t sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
}

/* Look at `size` doubles, at least one. */
EXPORTED void look(const double *values, int64_t size, double largest, struct look *found) {
    doubles low = __builtin_inf(), high = -__builtin_inf(), sum = 0, squares = 0;
    wholes whole = 0, strange = 0;
    for (int64_t at = 0; at < size;) {
        int64_t end = size - at > BLOCK ? at + BLOCK : size;
        doubles block_sum = 0, block_squares = 0;
        for (; at + LANES <= end; at += LANES) {
            doubles x = *(const unaligned_doubles *)(values + at);
            low = x < low ? x : low;
            high = x > high ? x : high;
            block_sum += x;
            block_squares += x * x;
            doubles size_of = __builtin_elementwise_abs(x);
            whole -= (__builtin_elementwise_rint(x) == x) & (size_of < LONGEST);
            strange -= ~(size_of <= largest);
        }
        for (int lane = 0; at < end; at++, lane++) {
            double x = values[at];
            low[lane] = x < low[lane] ? x : low[lane];
            high[lane] = x > high[lane] ? x : high[lane];
            block_sum[lane] += x;
            block_squares[lane] += x * x;
            double size_of = __builtin_fabs(x);
            whole[lane] += __builtin_rint(x) == x && size_of < LONGEST;
            strange[lane] += !(size_of <= largest);
        }
        sum += block_sum;
        squares += block_squares;
    }
    found->low = low[0];
    found->high = high[0];
    for (int lane = 1; lane < LANES; lane++) {
        found->low = low[lane] < found->low ? low[lane] : found->low;
        found->high = high[lane] > found->high ? high[lane] : found->high;
    }
    found->sum = added(sum);
    found->squares = added(squares);
    found->wholes = counted(whole);
    found->strange = counted(strange);
}

/* Return the sum of squared distances from `mean`. */
EXPORTED double deviations(const double *values, int64_t size, double mean) {
    doubles sum = 0;
    for (int64_t at = 0; at < size;) {
        int64_t end = size - at > BLOCK ? at + BLOCK : size;
        doubles block = 0;
        for (; at + LANES <= end; at += LANES) {
            doubles away = *(const unaligned_doubles *)(values + at) - mean;
            block += away * away;
        }
        for (int lane = 0; at < end; at++, lane++) {
            double away = values[at] - mean;
            block[lane] += away * away;
        }
        sum += block;
    }
    return added(sum);
}

/* Look at `size` whole numbers, at least one. */
EXPORTED void look_at_wholes(const int64_t *values, int64_t size, struct whole_look *found) {
    wholes low = INT64_MAX, high = INT64_MIN, sum_low = 0, sum_high = 0;
    doubles squares = 0;
    for (int64_t at = 0; at < size;) {
        int64_t end = size - at > BLOCK ? at + BLOCK : size;
        doubles block = 0;
        for (; at + LANES <= end; at += LANES) {
            wholes x = *(const unaligned_wholes *)(values + at);
            low = x < low ? x : low;
            high = x > high ? x : high;
            sum_low += x & 0xFFFFFFFF;
            sum_high += x >> 32;
            doubles number = __builtin_convertvector(x, doubles);
            block += number * number;
        }
        for (int lane = 0; at < end; at++, lane++) {
            int64_t x = values[at];
            low[lane] = x < low[lane] ? x : low[lane];
            high[lane] = x > high[lane] ? x : high[lane];
            sum_low[lane] += x & 0xFFFFFFFF;
            sum_high[lane] += x >> 32;
            block[lane] += (double)x * (double)x;
        }
        squares += block;
    }
    found->low = low[0];
    found->high = high[0];
    for (int lane = 1; lane < LANES; lane++) {
        found->low = low[lane] < found->low ? low[lane] : found->low;
        found->high = high[lane] > found->high ? high[lane] : found->high;
    }
    found->sum_low = counted(sum_low);
    found->sum_high = counted(sum_high);
    found->squares = added(squares);
}

/* SplitMix64 without its last step (profile/distinct.py: mix). */
static inline bits mixed(bits number) {
    number = (number ^ (number >> 30)) * FIRST_FACTOR;
    return (number ^ (number >> 27)) * SECOND_FACTOR;
}

/* Write those of `size` hashes that are at most `limit` behind `count` others; return how many. */
static inline int64_t kept(bits hashes, int size, uint64_t limit, uint64_t *out, int64_t count) {
    wholes below = (wholes)(hashes <= limit); /* macOS calls those lanes otherwise */
    if (size == LANES && !__builtin_reduce_or(below)) return count;
    for (int lane = 0; lane < size; lane++) {
        out[count] = hashes[lane];
        count += hashes[lane] <= limit;
    }
    return count;
}

static inline bits hash_of_floats(doubles x, uint64_t salt) {
    return mixed(__builtin_bit_cast(bits, x + 0.0) ^ salt); /* minus zero becomes zero */
}

static inline bits hash_of_wholes(wholes x, uint64_t salt) {
    doubles same = __builtin_convertvector(x, doubles);
    wholes exact = (wholes)(x <= EXACT & x >= -EXACT);
    bits number = exact ? __builtin_bit_cast(bits, same) ^ salt : __builtin_bit_cast(bits, x) ^ salt ^ 1;
    return mixed(number);
}

/* Write the hashes up to `limit` of `size` doubles, and return how many there are. */
EXPORTED int64_t hash_floats(
    const double *values, int64_t size, uint64_t salt, uint64_t limit, uint64_t *out
) {
    int64_t at = 0, count = 0;
    for (; at + LANES <= size; at += LANES)
        count = kept(
            hash_of_floats(*(const unaligned_doubles *)(values + at), salt), LANES, limit, out, count
        );
    doubles rest = 0;
    for (int lane = 0; lane < size - at; lane++) rest[lane] = values[at + lane];
    return kept(hash_of_floats(rest, salt), (int)(size - at), limit, out, count);
}

/* The same of whole numbers: those that a double holds have the hash of that double. */
EXPORTED int64_t hash_wholes(
    const int64_t *values, int64_t size, uint64_t salt, uint64_t limit, uint64_t *out
) {
    int64_t at = 0, count = 0;
    for (; at + LANES <= size; at += LANES)
        count = kept(
            hash_of_wholes(*(const unaligned_wholes *)(values + at), salt), LANES, limit, out, count
        );
    wholes rest = 0;
    for (int lane = 0; lane < size - at; lane++) rest[lane] = values[at + lane];
    return kept(hash_of_wholes(rest, salt), (int)(size - at), limit, out, count);
}
