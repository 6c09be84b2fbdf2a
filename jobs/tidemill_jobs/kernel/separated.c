/*
 * Rows of separated text, read in one pass: cells become numbers, flags and views of texts, laid out
 * as Arrow has them. What is not plain (`007`, NaN, a ragged row, a stray quote, no UTF-8) is not
 * judged here: NOT_PLAIN sends the block to a parser that knows more (profile/separated.py).
 *
 * Sources:
 *   Langdale and Lemire, Parsing gigabytes of JSON per second (VLDB Journal 2019): 64 bytes as bits.
 *   Lemire, Number parsing at a gigabyte per second (Software: Practice and Experience, 2021), in the
 *   form of Eisel: the nearest double of 19 digits and a power of ten, by two multiplications.
 */
#include "kernel.h"

#define CHUNK 64
#define EXACT 0x1p53        /* a larger one may have lost digits */
#define EXACT_POWER 22      /* 10^22 is the greatest power of ten that a double holds exactly */
#define LEAST_POWER -348    /* of the table `powers`, two words for each */
#define GREATEST_POWER 347
#define DIGITS 19           /* that 64 bits hold whatever they are */
#define LONGEST_NUMBER 32
#define INLINE 12           /* bytes of a text that stand in its view */
#define ZEROS 0x3030303030303030u

enum kind { TEXT, WHOLE, FLOAT, FLAG };
enum outcome { READ, NOT_PLAIN };
enum buffer { OWN, UNESCAPED };  /* where a view points to */

typedef uint8_t bytes __attribute__((ext_vector_type(CHUNK), aligned(1)));
typedef _Bool flags __attribute__((ext_vector_type(CHUNK)));
typedef uint8_t half_bytes __attribute__((ext_vector_type(LONGEST_NUMBER), aligned(1)));
typedef _Bool half_flags __attribute__((ext_vector_type(LONGEST_NUMBER)));
typedef uint64_t unaligned_word __attribute__((aligned(1)));
typedef uint32_t unaligned_half __attribute__((aligned(1)));

struct column {
    int64_t kind;
    void *values;    /* int64, double, bits of flags (all zero before), or views of 16 bytes */
    uint8_t *valid;  /* bits, all one before */
    int64_t missing; /* not 0 where some cell is empty */
};

/* A number that more digits decide than are looked at here. */
struct hard {
    int64_t column, row, from, to;
};

struct block {
    const uint8_t *text;  /* CHUNK bytes behind its end can be read */
    int64_t size, at;     /* where the first row begins; afterwards: the first that was not read */
    int64_t rows;         /* room for so many; afterwards: how many were read */
    int64_t separator, width;
    struct column *columns;
    uint8_t *unescaped;   /* as long as the text, and as much behind */
    int64_t unescaped_size;
    struct hard *hard;
    int64_t hards;        /* room for so many; afterwards: how many there are */
    const uint64_t *powers;
};

static const double POWERS[EXACT_POWER + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};
static const uint64_t TENS[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

static inline uint64_t word(const uint8_t *at) { return *(const unaligned_word *)at; }
static inline uint64_t half(const uint8_t *at) { return *(const unaligned_half *)at; }
static inline uint64_t below(int64_t bit) { return ((uint64_t)1 << bit) - 1; }
static inline uint64_t where(flags found) { return __builtin_bit_cast(uint64_t, found); }

static inline uint64_t equal(bytes chunk, uint8_t byte) {
    return where(__builtin_convertvector(chunk == byte, flags));
}

/* Of each bit, whether an odd number is set up to it. */
static inline uint64_t parity(uint64_t mask) {
    for (int step = 1; step < CHUNK; step *= 2) mask ^= mask << step;
    return mask;
}

static inline int are_digits(uint64_t eight) {
    uint64_t high = 0xF0F0F0F0F0F0F0F0u;
    return ((eight & high) | (((eight + 0x0606060606060606u) & high) >> 4)) == 0x3333333333333333u;
}

static inline uint64_t of_digits(uint64_t eight) {
    uint64_t mask = 0x000000FF000000FFu;
    eight -= ZEROS;
    eight = eight * 10 + (eight >> 8);
    return (uint32_t)(
        ((eight & mask) * (100 + (1000000ull << 32)) + ((eight >> 16) & mask) * (1 + (10000ull << 32)))
        >> 32
    );
}

/* Append `count` digits to a number; return whether they are digits. */
static inline int append(const uint8_t *at, int64_t count, uint64_t *number) {
    int plain = 1;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t eight = word(at);
        plain &= are_digits(eight);
        *number = *number * 100000000 + of_digits(eight);
    }
    if (!count) return plain;
    uint64_t eight = word(at) << (64 - 8 * count) | ZEROS >> (8 * count);
    *number = *number * TENS[count] + of_digits(eight);
    return plain & are_digits(eight);
}

static inline int read_whole(const uint8_t *at, int64_t size, int64_t *value) {
    int minus = *at == '-', sign = minus | (*at == '+');
    at += sign;
    size -= sign;
    if (size < 1 || size > DIGITS || (*at == '0' && size > 1 && !sign)) return 0; /* 007 */
    uint64_t number = 0;
    if (!append(at, size, &number) || number > INT64_MAX) return 0;
    *value = minus ? -(int64_t)number : (int64_t)number;
    return 1;
}

/* The double nearest to number * 10^power; 0 where this does not tell, or it is none of the normal. */
static int nearest(uint64_t number, int64_t power, const uint64_t *powers, double *value) {
    if (power < LEAST_POWER || power > GREATEST_POWER) return 0;
    const uint64_t *ten = powers + 2 * (power - LEAST_POWER);
    int zeros = __builtin_clzll(number);
    number <<= zeros;
    uint64_t exponent = (uint64_t)(((217706 * power) >> 16) + 64 + 1023) - (uint64_t)zeros;
    unsigned __int128 product = (unsigned __int128)number * ten[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if ((high & 0x1FF) == 0x1FF && low + number < number) {
        product = (unsigned __int128)number * ten[1];
        uint64_t carried = low + (uint64_t)(product >> 64);
        high += carried < low;
        if ((high & 0x1FF) == 0x1FF && carried + 1 == 0 && (uint64_t)product + number < number)
            return 0;
        low = carried;
    }
    uint64_t top = high >> 63;
    uint64_t mantissa = high >> (top + 9);
    exponent -= 1 ^ top;
    if (low == 0 && (high & 0x1FF) == 0 && (mantissa & 3) == 1) return 0;
    mantissa += mantissa & 1;
    mantissa >>= 1;
    if (mantissa >> 53) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent - 1 >= 0x7FF - 1) return 0;
    uint64_t found = exponent << 52 | (mantissa & 0x000FFFFFFFFFFFFFu);
    *value = __builtin_bit_cast(double, found);
    return 1;
}

static inline int is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* The parts of a number, byte after byte: -1 no plain number, 0 there are more digits, 1 it is all. */
static int taken_apart(const uint8_t *at, const uint8_t *end, uint64_t *number, int64_t *power) {
    int64_t digits = 0, fraction = 0, seen = 0, exponent = 0;
    for (int after = 0;; at++) {
        if (at < end && *at == '.' && !after) {
            after = 1;
        } else if (at < end && is_digit(*at)) {
            seen++;
            fraction += after;
            digits += digits || *at != '0';
            if (digits <= DIGITS) *number = *number * 10 + (*at - '0');
        } else {
            break;
        }
    }
    if (!seen) return -1;
    if (at < end && (*at | 32) == 'e') {
        at++;
        int minus = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        if (at == end || end - at > 5) return -1;
        for (; at < end && is_digit(*at); at++) exponent = exponent * 10 + (*at - '0');
        if (minus) exponent = -exponent;
    }
    int64_t more = digits > DIGITS ? digits - DIGITS : 0;
    *power = exponent - fraction + more;
    return at < end ? -1 : !more;
}

/* Return 1 with the value, 0 where digits behind the 19th decide, -1 for no plain number. */
static inline int read_float(
    const uint8_t *at, int64_t size, const uint64_t *powers, double *value
) {
    int minus = *at == '-', sign = minus | (*at == '+');
    at += sign;
    size -= sign;
    if (size < 1 || size > LONGEST_NUMBER) return -1;
    if (*at == '0' && size > 1 && is_digit(at[1]) && !sign) return -1; /* 007 */
    half_flags points = __builtin_convertvector(*(const half_bytes *)at == '.', half_flags);
    uint64_t point = __builtin_bit_cast(uint32_t, points) & below(size);
    int64_t whole = point ? __builtin_ctzll(point) : size;
    int64_t fraction = point ? size - whole - 1 : 0;
    uint64_t number = 0;
    int64_t power = -fraction;
    int all = 1, plain = size - !!point <= DIGITS && whole && append(at, whole, &number)
        && append(at + whole + 1, fraction, &number);
    if (!plain) {
        number = 0;
        all = taken_apart(at, at + size, &number, &power);
        if (all < 0) return -1;
    }
    if (!all) {
        double above;
        if (!nearest(number, power, powers, value) || !nearest(number + 1, power, powers, &above))
            return 0;
        if (*value != above) return 0;
    } else if (number == 0) {
        *value = 0;
    } else if (number <= 1ull << 53 && power <= 0 && power >= -EXACT_POWER) {
        *value = (double)number / POWERS[-power];
    } else if (!nearest(number, power, powers, value)) {
        return 0;
    }
    if (*value >= EXACT) return -1;
    if (minus) *value = -*value;
    return 1;
}

/* 1 true, 0 false, -1 neither. */
static inline int read_flag(const uint8_t *at, int64_t size) {
    uint32_t four = (uint32_t)half(at);
    if (size == 4 && (four == 0x65757274 || four == 0x65757254 || four == 0x45555254)) return 1;
    if (size != 5) return -1;
    int lower = (four == 0x736C6166 || four == 0x736C6146) && at[4] == 'e';
    return lower || (four == 0x534C4146 && at[4] == 'E') ? 0 : -1;
}

static inline void write_view(
    uint64_t *view, const uint8_t *at, int64_t size, enum buffer buffer, int64_t offset
) {
    uint64_t start = half(at), rest = word(at + 4);
    if (size > INLINE) {
        view[0] = (uint64_t)size | start << 32;
        view[1] = (uint64_t)buffer | (uint64_t)offset << 32;
        return;
    }
    int64_t after = size > 4 ? size - 4 : 0, before = size - after;
    view[0] = (uint64_t)size | (start & below(8 * before)) << 32;
    view[1] = after == 8 ? rest : rest & below(8 * after);
}

static int is_utf8(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        uint8_t first = *at++;
        if (first < 0x80) continue;
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - at < more) return 0;
        uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        if (*at < low || *at > high) return 0;
        for (int next = 1; next < more; next++)
            if ((at[next] & 0xC0) != 0x80) return 0;
        at += more;
    }
    return 1;
}

/* Write the view of a text that may hold quotes, carriage returns or more than ASCII. */
static int read_special(struct block *block, int64_t from, int64_t to, uint64_t *view) {
    const uint8_t *at = block->text + from, *end = block->text + to;
    if (!is_utf8(at, end)) return 0;
    int quoted = *at == '"';
    if (quoted && (end - at < 2 || *--end != '"')) return 0;
    at += quoted;
    int64_t quotes = 0;
    for (const uint8_t *each = at; each < end; each++) {
        if (*each == '\r' && !quoted) return 0;
        if (*each != '"') continue;
        if (!quoted || ++each == end || *each != '"') return 0;
        quotes++;
    }
    int64_t size = end - at - quotes;
    if (!quotes) {
        write_view(view, at, size, OWN, at - block->text);
        return 1;
    }
    uint8_t *text = block->unescaped + block->unescaped_size;
    for (int64_t next = 0; next < size; next++) {
        text[next] = *at;
        at += *at == '"' ? 2 : 1;
    }
    write_view(view, text, size, UNESCAPED, block->unescaped_size);
    block->unescaped_size += size;
    return 1;
}

/* Write one cell: 1 as it is; 0 not, or a number of too many digits; -1 no plain number. */
static inline int read_cell(
    struct block *block, struct column *column, int64_t row, int64_t from, int64_t to, int special
) {
    const uint8_t *text = block->text;
    if (from < to && text[from] == '"' && (column->kind == WHOLE || column->kind == FLOAT)) {
        from++; /* a number in quotes is one */
        if (text[--to] != '"' || to < from) return -1;
    }
    const uint8_t *at = text + from;
    if (from == to) {
        column->missing = 1;
        column->valid[row >> 3] &= (uint8_t)~(1 << (row & 7));
        if (column->kind == TEXT) write_view((uint64_t *)column->values + 2 * row, at, 0, OWN, 0);
        else if (column->kind != FLAG) ((int64_t *)column->values)[row] = 0;
        return 1;
    }
    if (column->kind == TEXT) {
        uint64_t *view = (uint64_t *)column->values + 2 * row;
        if (special) return read_special(block, from, to, view);
        write_view(view, at, to - from, OWN, from);
        return 1;
    }
    if (column->kind == FLAG) {
        int flag = read_flag(at, to - from);
        if (flag > 0) ((uint8_t *)column->values)[row >> 3] |= (uint8_t)(1 << (row & 7));
        return flag >= 0;
    }
    if (column->kind == WHOLE) return read_whole(at, to - from, (int64_t *)column->values + row);
    return read_float(at, to - from, block->powers, (double *)column->values + row);
}

/* Read the whole rows, as far as there is room. */
EXPORTED int64_t read_rows(struct block *block) {
    const uint8_t *text = block->text;
    uint8_t separator = (uint8_t)block->separator;
    int64_t last = block->width - 1, room = block->rows, hard_room = block->hards;
    int64_t column = 0, from = block->at, latest = -1;
    uint64_t inside = 0;
    block->rows = block->hards = block->unescaped_size = 0;
    for (int64_t base = block->at; base < block->size; base += CHUNK) {
        bytes chunk = *(const bytes *)(text + base);
        uint64_t within = block->size - base < CHUNK ? below(block->size - base) : ~(uint64_t)0;
        uint64_t quotes = equal(chunk, '"') & within;
        uint64_t ends = (equal(chunk, separator) | equal(chunk, '\n')) & within;
        uint64_t strange = where(__builtin_convertvector(chunk >= 0x80, flags)) & within;
        strange |= quotes | (equal(chunk, '\r') & within);
        if (strange) latest = base + CHUNK - 1 - __builtin_clzll(strange);
        if (quotes | inside) {
            uint64_t quoted = parity(quotes) ^ inside;
            inside = quoted >> 63 ? ~(uint64_t)0 : 0;
            ends &= ~quoted;
        }
        for (; ends; ends &= ends - 1) {
            int64_t at = base + __builtin_ctzll(ends), to = at;
            int ending = text[at] == '\n';
            if (ending != (column == last)) return NOT_PLAIN;
            if (ending && to > from && text[to - 1] == '\r') to--;
            if (ending && !last && to == from) return NOT_PLAIN; /* a blank line */
            int found = read_cell(
                block, block->columns + column, block->rows, from, to, latest >= from
            );
            if (found < 0 || (!found && block->columns[column].kind != FLOAT)) return NOT_PLAIN;
            if (!found) {
                if (block->hards == hard_room) return NOT_PLAIN;
                block->hard[block->hards++] = (struct hard){column, block->rows, from, to};
            }
            from = at + 1;
            column = ending ? 0 : column + 1;
            if (!ending) continue;
            block->at = from;
            if (++block->rows == room) return READ;
        }
    }
    return READ;
}
