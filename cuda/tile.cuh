// Tiles of columns in shared memory, and how their entries come from memory and go back.
//
// A column is indexed by a position of `bits` bits. A pass transforms along `points` neighbouring bits
// of it, from bit `shift` on; the other bits and the columns only tell independent transforms apart. A
// tile holds all 2^points positions of 2^lanes such transforms, chosen so that memory is met in whole
// lines: side by side along rows where rows are the fast direction, else along columns.
//
// Positions and columns of a tile are linear in the bits of an entry's number, and so are the places in
// shared memory, by ^. So a thread works out where its first entry is, learns from its warp how far on
// each bit of the number leads, and reaches the other entries by one addition. It has the loads of a batch
// under way together before it waits for the first: four, of 16 bytes each where entries lie side by side
// and aligned, or two of complex numbers that come with factors.

#define THREADS 256

// What a pass reads first and writes last.
enum { SCRATCH = 0, WINDOW = 1, SAMPLED = 2, PRODUCT = 3 };

// The arguments of all kernels of transforms (`Mix` in src/device/cuda/transform/pass.rs).
struct Mix {
    View source, target, scratch;
    // Of a convolution: the product of the spectra so far, in the order of the positions.
    View product;
    // A bit a coordinate, `words` words a round; or null.
    const u32* signs;
    // The sampled rows of a transform of one pass.
    const u64* index;
    // Of several passes: a bit a position whether its row is sampled, and the row outside if it is.
    const u32 *chosen, *places;
    // Tables of cosine transforms: factors at the entrance and at the exit, the diagonal between two
    // rounds, roots of unity.
    const void *enter, *leave, *spectrum, *roots;
    // Order, and the coordinates that exist outside: first.. + count.
    i64 n, first, count;
    // Sampled rows, or positions that a convolution without a wrap may fill.
    i64 sampled, cols;
    // result = factor S A + beta C; `between` goes with the signs between rounds.
    double factor, beta, between;
    u32 words, bits, shift, points, lanes;
    // Lanes are columns; points lie side by side.
    u32 along_cols, points_fast;
    u32 load, store;
    // Whether 16 bytes are loaded and stored at once.
    u32 wide_load, wide_store;
    // Rounds of this pass, and the first one's number.
    u32 rounds, round;
    // The transpose; whether the transform leaves bit-reversed positions.
    u32 trans, reversed;
    // Direction and logarithm of the threads along it when a list of sampled rows is moved.
    u32 by_rows, fast_bits;
    // Of a convolution: whether the product is multiplied, or begun.
    u32 merge;
};

__device__ __forceinline__ u32 mask(u32 bits) { return (1u << bits) - 1; }

// Of a power of two.
__device__ __forceinline__ constexpr u32 log2(u32 x) { return x > 1 ? 1 + log2(x / 2) : 0; }

// The position whose bits are those of `at` backwards, where the transform reverses them.
template <typename K>
__device__ __forceinline__ i64 reversed(const Mix& m, i64 at) {
    return K::TWIDDLES && m.reversed && m.bits ? (i64)(__brevll((u64)at) >> (64 - m.bits)) : at;
}

// 32 signs, of coordinate i in the lowest bit as far as its word has them.
__device__ __forceinline__ u32 signs_from(const Mix& m, u32 round, i64 i) {
    return m.signs ? m.signs[(i64)round * m.words + (i >> 5)] >> (i & 31) : 0;
}

// x, or -x if the lowest bit is set.
__device__ __forceinline__ float flip(float x, u32 bits) {
    return __uint_as_float(__float_as_uint(x) ^ bits << 31);
}
__device__ __forceinline__ double flip(double x, u32 bits) {
    return __longlong_as_double(__double_as_longlong(x) ^ (i64)((u64)bits << 63));
}

// Where an entry of a tile is stored: with this, 32 threads that hold butterflies of 2^BITS entries at
// any bit, or of fewer at a multiple of BITS from 2·BITS on, meet each bank once, and so do threads that
// hold 16 bytes of neighbours, one neighbour after the other. Complex numbers do too where threads take
// neighbours of bit-reversed order. Linear: the places of numbers without a common bit combine by ^.
template <int SIZE>
__device__ __forceinline__ u32 place(u32 e) {
    if (SIZE == 4) return e ^ (e >> 5 & 0xf) ^ (__popc(e & 0x1e0) & 1) << 4;
    if (SIZE == 8)
        return e ^ (e >> 3 & 0xe) ^ (e >> 4 & 3) ^ (e >> 6 & 1) ^ (e >> 7 & 0xf) ^ (e >> 11 & 3);
    return e ^ (e >> 3 & 7) ^ (e >> 6 & 7) ^ (e >> 9 & 7);
}

// One of the transforms of a tile: its other bits and its column.
struct Lane {
    i64 other, col;
};

// Whether transforms are taken in the bit-reversed order of their other bits: in the last of several
// passes, so that what leaves in reversed order lies side by side.
template <typename K>
__device__ __forceinline__ bool turned(const Mix& m) {
    return K::TWIDDLES && m.reversed && !m.along_cols && m.shift == 0 && m.points < m.bits;
}

template <typename K>
__device__ __forceinline__ Lane lane_of(const Mix& m, i64 tile, u32 l) {
    u32 other_bits = m.bits - m.points;
    if (m.along_cols) {
        i64 across = (m.cols + mask(m.lanes)) >> m.lanes;
        i64 other = tile / across;
        return {other, (tile - other * across << m.lanes) + l};
    }
    i64 b = (tile << m.lanes) + l, other = b & ((1ll << other_bits) - 1);
    if (turned<K>(m)) other = (i64)(__brevll((u64)other) >> (64 - other_bits));
    return {other, b >> other_bits};
}

__device__ __forceinline__ i64 low_bits(const Mix& m, i64 other) {
    return other & ((1ll << m.shift) - 1);
}

__device__ __forceinline__ i64 position(const Mix& m, i64 other, u32 p) {
    return (other >> m.shift << (m.shift + m.points)) + ((i64)p << m.shift) + low_bits(m, other);
}

__device__ __forceinline__ u32 number(const Mix& m, u32 p, u32 l) {
    return m.points_fast ? l << m.points | p : p << m.lanes | l;
}

// An entry of a tile: its position in its column, or which of the entries of the transform it is, and
// its number in the tile.
struct Spot {
    i64 at, col;
    u32 entry;
};

// Entry w of a tile, or the entry that leaves as number w: a whole column in the order of its rows,
// reversed positions where they are neighbours.
template <typename K, bool LEAVES>
__device__ __forceinline__ Spot spot(const Mix& m, i64 tile, u32 w) {
    bool points_first = m.points_fast && !(LEAVES && turned<K>(m));
    u32 p = points_first ? w & mask(m.points) : w >> m.lanes;
    u32 l = points_first ? w >> m.points : w & mask(m.lanes);
    Lane lane = lane_of<K>(m, tile, l);
    if (LEAVES && m.points == m.bits)
        return {p, lane.col, number(m, (u32)reversed<K>(m, p), l)};
    i64 at = position(m, lane.other, p);
    if (!LEAVES) return {at, lane.col, w};
    return {reversed<K>(m, at), lane.col, number(m, p, l)};
}

// Runs of V neighbouring entries that a thread has at hand together, by the first of each run.
template <u32 U>
struct Batch {
    i64 at[U];
    // In a matrix, in elements.
    i64 offset[U];
    u32 place[U];
    // Whether it is one of the tile, in a column that there is.
    bool exists[U], valid[U];
};

// Calls body(batch) for the entries of a tile in batches of U runs a thread, with their offsets in a matrix.
template <typename K, bool LEAVES, u32 U, u32 V, typename Body>
__device__ __forceinline__ void batches(const Mix& m, i64 tile, const View& matrix, Body body) {
    constexpr u32 LOG_U = log2(U), LOG_V = log2(V);
    const u32 SIZE = sizeof(typename K::Entry), size = 1u << (m.points + m.lanes);
    // Lane b of a warp finds out where bit b of the number leads.
    Spot mine = spot<K, LEAVES>(m, 0, 1u << (threadIdx.x & 15));
    struct {
        i64 at, offset;
        u32 col, place;
    } bit[LOG_U];
#pragma unroll
    for (u32 b = 0; b < LOG_U; b++) {
        u32 from = 8 + LOG_V + b;
        bit[b].at = __shfl_sync(0xffffffffu, mine.at, from);
        bit[b].col = __shfl_sync(0xffffffffu, (u32)mine.col, from);
        bit[b].offset = bit[b].at * matrix.row_stride + bit[b].col * matrix.col_stride;
        bit[b].place = place<SIZE>(__shfl_sync(0xffffffffu, mine.entry, from));
    }
    #pragma unroll 1
    for (u32 w = threadIdx.x << LOG_V; w < size; w += THREADS * U * V) {
        Spot start = spot<K, LEAVES>(m, tile, w);
        Batch<U> batch;
        batch.at[0] = start.at;
        i64 col[U] = {start.col};
        batch.offset[0] = start.at * matrix.row_stride + start.col * matrix.col_stride;
        batch.place[0] = place<SIZE>(start.entry);
#pragma unroll
        for (u32 u = 1; u < U; u++) {
            u32 b = log2(u & -u), before = u & (u - 1);
            batch.at[u] = batch.at[before] + bit[b].at;
            col[u] = col[before] + bit[b].col;
            batch.offset[u] = batch.offset[before] + bit[b].offset;
            batch.place[u] = batch.place[before] ^ bit[b].place;
        }
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            batch.exists[u] = w + u * THREADS * V < size;
            batch.valid[u] = batch.exists[u] && col[u] < m.cols;
        }
        body(batch);
    }
}

// V neighbours, moved by one instruction.
template <typename E, u32 V>
struct alignas(V * sizeof(E)) Run {
    E x[V];
};

// Entry v of run u, in shared memory.
template <typename E, u32 U>
__device__ __forceinline__ E& entry_of(E* entries, const Batch<U>& batch, u32 u, u32 v) {
    return entries[batch.place[u] ^ v];
}
