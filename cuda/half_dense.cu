// Dense operators times matrices stored in f16 and bf16, summed in f32 by tensor cores.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | times, adjoint | 128 rows of C × 64 columns, a part of the inner dimension | A in halves once for 128 rows of C, from L2 after the first; the sums, 4 B, once a part | the generation of S: below |
// | join | 256 entries of C at a time | 4 B an entry and part, C once | memory |
// | panel | 256 blocks of 4 rows of S at a time, of 128 for signs | 2 B an entry written | the generation: 0.7 entries/ps (f32 normals), for signs memory |
//
// `times` is S A, `adjoint` is S^T A for up to 64 columns. A warp multiplies 32 rows by tensor cores,
// and the fragments of S are never anywhere but in its registers: a Philox block is four rows of a
// column of S, and which rows of a fragment are which rows of S is ours to say. Row 4g + r of the 32 is
// row g (r even) or g + 8 (r odd) of the first (r < 2) or the second fragment, so a lane generates
// whole blocks and keeps all it has generated. For `adjoint` the inner index runs along the blocks: the
// four rows of a block are the inner indices that a lane holds, and the rows of A are put into shared
// memory in that order. Flops: 2·64 an entry of S on tensor cores, beside some 40 instructions that
// generate a normal (0.7 entries/ps, 90 Tflop/s with 64 columns), 15 a uniform, and 5 a sign, of which
// a lane makes 64 from two blocks (6 entries/ps, near the rate of the tensor cores). Products of more
// columns generate panels of S and leave them to cuBLAS.
//
// A passes through shared memory, 64 inner indices at a time, in rows of 72 halves: 16-byte stores and
// ldmatrix meet each bank once. Copies are not asynchronous: three blocks fit a multiprocessor, and
// generate while one of them waits. Sums are left in f32, for at most 16 MiB of them at a time, which
// stay in L2 until `join` has narrowed them.
//
// Every sum has a fixed order: parts depend on shapes only, and `join` adds them one after the other.

#include "common.cuh"
#include "half.cuh"
#include "random.cuh"

#define THREADS 256

// The 4 rows of a block in column `unit` of S.
struct Rademacher {};
template <typename Family>
__device__ __forceinline__ void rows_of(Family, u64 seed, u32 stream, u64 unit, u64 group,
                                        float (&x)[4]) {
    entries(Family(), philox(seed, stream, unit, (u32)group), x);
}

// The blocks of 4 rows `first`.. of columns `col`.. of S, column-major with columns of ld halves.
template <typename H, typename Family>
__device__ __forceinline__ void panel(Family, H* b, i64 ld, i64 groups, i64 cols, u64 first, u64 col,
                                      u64 seed, u32 stream, u32 row_bits) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
#pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 g = (i64)blockIdx.x * across + lane; g < groups; g += (i64)gridDim.x * across) {
            float x[4];
            rows_of(Family(), seed, stream, col + j, first + g, x);
            *reinterpret_cast<uint2*>(b + j * ld + 4 * g) =
                make_uint2(pack<H>(x[0], x[1]), pack<H>(x[2], x[3]));
        }
}

// The same for signs: a lane makes a block of 128 rows, and the warp writes 32 of them one after the other.
template <typename H>
__device__ __forceinline__ void panel(Rademacher, H* b, i64 ld, i64 groups, i64 cols, u64 first, u64 col,
                                      u64 seed, u32 stream, u32) {
    u64 top = first / 32;
    i64 down = (i64)((first + groups + 31) / 32 - top);
    u32 lane = threadIdx.x & 31;
    i64 warp = ((i64)blockIdx.y * gridDim.x + blockIdx.x) * (THREADS / 32) + (threadIdx.x >> 5);
    i64 warps = (i64)gridDim.x * gridDim.y * (THREADS / 32);
#pragma unroll 1
    for (i64 start = 32 * warp; start < down * cols; start += 32 * warps) {
        i64 mine = start + lane, j = mine / down;
        Block block = philox(seed, stream, col + j, (u32)(top + (mine - j * down)));
        i64 at = start % down;
        j = start / down;
        u32 count = (u32)min((i64)32, down * cols - start);
#pragma unroll 1
        for (u32 k = 0; k < count; k++) {
            u32 word = 0;
#pragma unroll
            for (u32 part = 0; part < 4; part++) {
                u32 given = __shfl_sync(0xffffffffu, block.x[part], k);
                word = lane / 8 == part ? given >> lane % 8 * 4 : word;
            }
            i64 g = (i64)((top + at) * 32 + lane - first);
            u32 two = ones<H>();
            if (g >= 0 && g < groups)
                store_two(b + j * ld + 4 * g, two ^ ((word & 1) << 15 | (word & 2) << 30),
                          two ^ ((word & 4) << 13 | (word & 8) << 28));
            if (++at == down) {
                at = 0;
                j++;
            }
        }
    }
}

// Columns of C, rows of C and of a warp, inner indices of a tile of A, and halves of its lines.
#define COLUMNS 64
#define ROWS 128
#define WARP_ROWS 32
#define DEPTH 64
#define LINE 72
#define PRODUCT_THREADS 128

// Sums of op(S) A, and what `join` makes of them: C <- alpha op(S) A + beta C (`Product` in
// src/device/cuda/half.rs).
struct Product {
    View a, c;
    u64 seed;
    // Row and column of S, in the whole operator, where the window starts.
    u64 row, col;
    // Rows of C, rows of A, columns.
    i64 outer, inner, n;
    // Tiles of A of a part; the sums of a part are COLUMNS columns of ld rows.
    i64 part, parts, ld;
    // Rows above the first one of C in its tile, and of A: those of S start where a block does.
    u32 above, before;
    u32 stream;
    // Whether A is fast along its rows, and may be read by 16 bytes.
    u32 rows_fast, vector;
    float alpha, beta;
    float* partial;
};

// Where inner index k of 16 lies in shared memory: as it is, or the four rows of a block where lane
// k / 4 holds them.
template <bool ADJOINT>
__device__ __forceinline__ u32 inner_place(u32 k) {
    if (!ADJOINT) return k;
    return (k & ~15u) | (k >> 1 & 6) | (k & 1) | (k & 2) << 2;
}

// Entry (k, j) of A, zero outside, to its place in a line of a column (rows fast) or of a row.
template <typename H, bool ADJOINT>
__device__ __forceinline__ void load_entry(const Product& m, i64 k0, u32 k, u32 j,
                                           unsigned short* tile) {
    H x = {0};
    if (j < m.n && k0 + k >= 0 && k0 + k < m.inner) x = *at<H>(m.a, k0 + k, j);
    u32 place = inner_place<ADJOINT>(k);
    tile[m.rows_fast ? j * LINE + place : place * LINE + j] = x.bits;
}

// Rows `k0`.. of A.
template <typename H, bool ADJOINT>
__device__ __forceinline__ void load_tile(const Product& m, i64 k0, unsigned short* tile) {
    if (m.vector) {
#pragma unroll 2
        for (u32 e = threadIdx.x; e < DEPTH * COLUMNS / 8; e += PRODUCT_THREADS) {
            u32 chunk = 8 * (e & 7), line = e >> 3;
            u32 k = m.rows_fast ? chunk : line, j = m.rows_fast ? line : chunk;
            u32 down = m.rows_fast ? 8 : 1, right = m.rows_fast ? 1 : 8;
            if (j + right <= m.n && k0 + k >= 0 && k0 + k + down <= m.inner) {
                uint4 x = *reinterpret_cast<const uint4*>(at<H>(m.a, k0 + k, j));
                if (ADJOINT && m.rows_fast) {
                    // Two blocks of four rows.
                    uint2* to = reinterpret_cast<uint2*>(tile + line * LINE + inner_place<true>(chunk));
                    to[0] = make_uint2(x.x, x.z);
                    to[2] = make_uint2(x.y, x.w);
                } else {
                    u32 place = m.rows_fast ? line : inner_place<ADJOINT>(line);
                    *reinterpret_cast<uint4*>(tile + place * LINE + chunk) = x;
                }
            } else {
#pragma unroll 1
                for (u32 v = 0; v < 8; v++)
                    load_entry<H, ADJOINT>(m, k0, m.rows_fast ? k + v : k, m.rows_fast ? j : j + v, tile);
            }
        }
    } else {
#pragma unroll 4
        for (u32 e = threadIdx.x; e < DEPTH * COLUMNS; e += PRODUCT_THREADS) {
            u32 fast = e & 63, slow = e >> 6;
            load_entry<H, ADJOINT>(m, k0, m.rows_fast ? fast : slow, m.rows_fast ? slow : fast, tile);
        }
    }
}

// What a lane holds of the entries of S for 32 rows of C and a tile of A: `prepare` for the tile, then
// `get` for 16 inner indices at a time. `outer` is the row of C, `inner` the row of A, in the operator.
template <typename H, typename Family, bool ADJOINT>
struct Entries {
    __device__ __forceinline__ void prepare(const Product&, u64, u64) {}
    __device__ __forceinline__ void get(const Product& m, u64 outer, u64 inner, u32 step,
                                        u32 (&s)[2][4]) {
        u32 lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
        if (ADJOINT) {
#pragma unroll
            for (int r = 0; r < 4; r++) {
                float x[4];
                rows_of(Family(), m.seed, m.stream, outer + 4 * g + r, inner / 4 + 4 * step + q, x);
                s[r / 2][r % 2] = pack<H>(x[0], x[1]);
                s[r / 2][2 + r % 2] = pack<H>(x[2], x[3]);
            }
        } else {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float x[4], y[4];
                u64 unit = inner + 16 * step + 8 * half + 2 * q;
                rows_of(Family(), m.seed, m.stream, unit, outer / 4 + g, x);
                rows_of(Family(), m.seed, m.stream, unit + 1, outer / 4 + g, y);
#pragma unroll
                for (int r = 0; r < 4; r++) s[r / 2][2 * half + r % 2] = pack<H>(x[r], y[r]);
            }
        }
    }
};

// Signs of 32 columns of S at a time, a column a lane, handed on by shuffles.
template <typename H, bool ADJOINT>
struct Entries<H, Rademacher, ADJOINT> {
    u32 words[2];
    // Word `which` of a block, a number known only at run time.
    static __device__ __forceinline__ u32 word(const Block& b, u32 which) {
        u32 low = which & 1 ? b.x[1] : b.x[0], high = which & 1 ? b.x[3] : b.x[2];
        return which & 2 ? high : low;
    }
    __device__ __forceinline__ void prepare(const Product& m, u64 outer, u64 inner) {
        u32 lane = threadIdx.x & 31;
        if (ADJOINT) {
            Block block = philox(m.seed, m.stream, outer + lane, (u32)(inner / 128));
            words[0] = inner & 64 ? block.x[2] : block.x[0];
            words[1] = inner & 64 ? block.x[3] : block.x[1];
        } else {
#pragma unroll
            for (int k = 0; k < 2; k++)
                words[k] = word(philox(m.seed, m.stream, inner + 32 * k + lane, (u32)(outer / 128)),
                                (u32)(outer / 32) & 3);
        }
    }
    static __device__ __forceinline__ u32 signs(u32 low, u32 high) {
        return ones<H>() ^ ((low & 1) << 15 | high << 31);
    }
    __device__ __forceinline__ void get(const Product&, u64, u64, u32 step, u32 (&s)[2][4]) {
        u32 lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
        u32 held = step < 2 ? words[0] : words[1];
        if (ADJOINT) {
#pragma unroll
            for (int r = 0; r < 4; r++) {
                u32 bits = __shfl_sync(0xffffffffu, held, 4 * g + r) >> (16 * (step & 1) + 4 * q);
                s[r / 2][r % 2] = signs(bits, bits >> 1);
                s[r / 2][2 + r % 2] = signs(bits >> 2, bits >> 3);
            }
        } else {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                u32 from = 16 * (step & 1) + 8 * half + 2 * q;
                u32 x = __shfl_sync(0xffffffffu, held, from) >> (4 * g);
                u32 y = __shfl_sync(0xffffffffu, held, from + 1) >> (4 * g);
#pragma unroll
                for (int r = 0; r < 4; r++) s[r / 2][2 * half + r % 2] = signs(x >> r, y >> r);
            }
        }
    }
};

// partial[p] <- op(S) A of part p, a column after the other.
template <typename H, typename Family, bool ADJOINT>
__device__ __forceinline__ void product(const Product& m) {
    __shared__ alignas(16) unsigned short tile[DEPTH * LINE];
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    u64 outer_first = (ADJOINT ? m.col : m.row) - m.above, inner_first = (ADJOINT ? m.row : m.col) - m.before;
    i64 above = m.above, before = m.before;
    i64 down = (above + m.outer + ROWS - 1) / ROWS, depth = (before + m.inner + DEPTH - 1) / DEPTH;
    // The row of a matrix that this lane names to ldmatrix.
    u32 matrix = lane >> 3, line = lane & 7;
    u32 at_k = 8 * (matrix & 1), at_j = 8 * (matrix >> 1);
#pragma unroll 1
    for (i64 p = blockIdx.y; p < m.parts; p += gridDim.y)
#pragma unroll 1
        for (i64 t = blockIdx.x; t < down; t += gridDim.x) {
            i64 first = t * ROWS + warp * WARP_ROWS;
            bool active = first + WARP_ROWS > above && first < above + m.outer;
            float sum[2][COLUMNS / 8][4] = {};
            Entries<H, Family, ADJOINT> source;
            i64 end = min(depth, (p + 1) * m.part);
#pragma unroll 1
            for (i64 k = p * m.part; k < end; k++) {
                __syncthreads();
                load_tile<H, ADJOINT>(m, k * DEPTH - before, tile);
                __syncthreads();
                if (!active) continue;
                u64 outer = outer_first + first, inner = inner_first + k * DEPTH;
                source.prepare(m, outer, inner);
#pragma unroll 1
                for (u32 step = 0; step < DEPTH / 16; step++) {
                    u32 s[2][4];
                    source.get(m, outer, inner, step, s);
#pragma unroll
                    for (u32 pair = 0; pair < COLUMNS / 16; pair++) {
                        if (16 * pair >= m.n) continue;
                        u32 a[4], k_line = 16 * step + at_k, j_line = 16 * pair + at_j;
                        if (m.rows_fast) load_matrices<false>(a, tile + (j_line + line) * LINE + k_line);
                        else load_matrices<true>(a, tile + (k_line + line) * LINE + j_line);
#pragma unroll
                        for (int f = 0; f < 2; f++) {
                            multiply<H>(sum[f][2 * pair], s[f], a[0], a[1]);
                            multiply<H>(sum[f][2 * pair + 1], s[f], a[2], a[3]);
                        }
                    }
                }
            }
            if (!active) continue;
            i64 row = first + 4 * g;
#pragma unroll
            for (int c = 0; c < COLUMNS / 8; c++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    i64 j = 8 * c + 2 * q + e;
                    if (j >= m.n) continue;
                    store_four(m.partial + (p * COLUMNS + j) * m.ld + row, sum[0][c][e], sum[0][c][2 + e],
                               sum[1][c][e], sum[1][c][2 + e]);
                }
        }
}

// C <- alpha sum of the parts + beta C.
template <typename H>
__device__ __forceinline__ void join(const Product& m, u32 row_bits) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
#pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < m.n; j += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 i = (i64)blockIdx.x * across + lane; i < m.outer; i += (i64)gridDim.x * across) {
            const float* from = m.partial + j * m.ld + m.above + i;
            float sum = 0.0f;
#pragma unroll 8
            for (i64 p = 0; p < m.parts; p++) sum += from[p * COLUMNS * m.ld];
            axpby_entry<float>(m.alpha, &sum, m.beta, at<H>(m.c, i, j));
        }
}

#define FAMILY(H, NAME, FAMILY_OF, FAMILY_NAME)                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        FAMILY_NAME##_panel_##NAME(H* b, i64 ld, i64 groups, i64 cols, u64 first, u64 col,         \
                                   u64 seed, u32 stream, u32 row_bits) {                           \
        panel<H>(FAMILY_OF(), b, ld, groups, cols, first, col, seed, stream, row_bits);            \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 3)                               \
        FAMILY_NAME##_times_##NAME(Product m) {                                                    \
        product<H, FAMILY_OF, false>(m);                                                           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 3)                               \
        FAMILY_NAME##_adjoint_##NAME(Product m) {                                                  \
        product<H, FAMILY_OF, true>(m);                                                            \
    }

#define KERNELS(H, NAME)                                                                           \
    FAMILY(H, NAME, Gaussian, gaussian)                                                            \
    FAMILY(H, NAME, Uniform, uniform)                                                              \
    FAMILY(H, NAME, Rademacher, signs)                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS) join_##NAME(Product m, u32 row_bits) {   \
        join<H>(m, row_bits);                                                                      \
    }

KERNELS(F16, f16)
KERNELS(BF16, bf16)
