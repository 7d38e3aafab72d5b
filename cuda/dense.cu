// Dense random operators: entries generated where they are needed.
//
// `fill`: B <- alpha S for a window of S. Bytes needed: the entries written once, 4 or 8 B each.
// Work: a Philox block (20 wide multiplications, some 80 integer operations) makes four f32 or two f64
// entries, and 40 (f32) or 76 (f64) multiply-adds turn it into normals. Bound on an H100: f32 normals,
// some 40 instructions an entry at 132·128·1.7e9 = 29e12 a second, 0.7 entries/ps against 0.75 that
// memory takes; f64 normals are bound by the arithmetic, half rate and twice as many, 0.15 entries/ps.
// A thread makes one block, so a column-major B gets 16-byte stores side by side.
//
// Signs: a block is 128 of them. A warp makes 32 blocks, one a lane, then writes them one after the
// other, four rows a lane: whole lines again. Bound by memory.

#include "common.cuh"
#include "random.cuh"

#define THREADS 256

// B[i, j] <- alpha S[row + i, col + j] for entries of a family.
template <typename Family, typename T>
__device__ __forceinline__ void fill(View b, i64 rows, i64 cols, u64 row, u64 col, u64 seed, u32 stream,
                                     T alpha, u32 by_rows, u32 fast_bits) {
    const int R = Rows<T>::COUNT;
    // Blocks of R rows that meet the window, the first one perhaps in part.
    u64 first = row / R;
    i64 groups = (i64)((row + rows + R - 1) / R - first);
    u32 across = 1u << fast_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> fast_bits;
    u32 lines = THREADS >> fast_bits;
    i64 fast = by_rows ? groups : cols, slow = by_rows ? cols : groups;
    bool vector = b.row_stride == 1 && row % R == 0 && ((u64)b.ptr & 15) == 0 &&
                  b.col_stride % R == 0;
#pragma unroll 1
    for (i64 q = (i64)blockIdx.y * lines + line; q < slow; q += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 p = (i64)blockIdx.x * across + lane; p < fast; p += (i64)gridDim.x * across) {
            i64 g = by_rows ? p : q, j = by_rows ? q : p;
            T x[R];
            entries(Family(), philox(seed, stream, col + j, (u32)(first + g)), x);
            Vector<T> scaled;
#pragma unroll
            for (int k = 0; k < R; k++) scaled.x[k] = alpha * x[k];
            i64 i = (i64)((first + g) * R - row);
            if (vector && i + R <= rows) {
                *reinterpret_cast<Vector<T>*>(at<T>(b, i, j)) = scaled;
            } else {
#pragma unroll
                for (int k = 0; k < R; k++)
                    if (i + k >= 0 && i + k < rows) *at<T>(b, i + k, j) = scaled.x[k];
            }
        }
}

// B[i, j] <- ±alpha. A warp takes 32 neighbouring pairs of (128-row block, column).
template <typename T>
__device__ __forceinline__ void signs(View b, i64 rows, i64 cols, u64 row, u64 col, u64 seed,
                                      u32 stream, T alpha) {
    u64 first = row / 128;
    i64 groups = (i64)((row + rows + 127) / 128 - first);
    u32 lane = threadIdx.x & 31;
    i64 warp = ((i64)blockIdx.x * THREADS + threadIdx.x) >> 5;
    i64 warps = (i64)gridDim.x * (THREADS / 32);
    bool by_rows = b.row_stride == 1 || b.col_stride != 1;
#pragma unroll 1
    for (i64 w = warp; w * 32 < groups * cols; w += warps) {
        i64 mine = w * 32 + lane;
        i64 g = by_rows ? mine % groups : mine / cols, j = by_rows ? mine / groups : mine % cols;
        Block block = {};
        if (mine < groups * cols) block = philox(seed, stream, col + j, (u32)(first + g));
        if (by_rows) {
            // Block after block, the lanes along its rows.
            for (int k = 0; k < 32; k++) {
                i64 other = w * 32 + k;
                i64 i0 = (i64)((first + (u64)(other % groups)) * 128 - row), at_j = other / groups;
#pragma unroll
                for (int part = 0; part < 4; part++) {
                    u32 word = __shfl_sync(0xffffffffu, block.x[part], k);
                    i64 i = i0 + part * 32 + lane;
                    if (other < groups * cols && i >= 0 && i < rows)
                        *at<T>(b, i, at_j) = word >> lane & 1 ? -alpha : alpha;
                }
            }
        } else if (mine < groups * cols) {
            // Lanes lie side by side along a row already.
            i64 i0 = (i64)((first + g) * 128 - row);
#pragma unroll
            for (int part = 0; part < 4; part++)
                for (int bit = 0; bit < 32; bit++) {
                    i64 i = i0 + part * 32 + bit;
                    if (i >= 0 && i < rows)
                        *at<T>(b, i, j) = block.x[part] >> bit & 1 ? -alpha : alpha;
                }
        }
    }
}

// Products with few columns: entries are consumed by the thread that makes them.
//
// A is packed by rows of WIDTH entries, zeros where it has fewer, so that a row is read by 16-byte
// loads, the same for all threads of a warp: they come from L1. A thread keeps the sums of its part of
// the inner dimension; parts depend on shapes only, and `join` adds them in their order.
//
// `times` (S A): a thread has a block of R rows of S, R·WIDTH sums, and walks along the columns.
// `adjoint` (S^T A): a thread has a column of S, WIDTH sums, and walks down the blocks.
// Flops: 2·WIDTH an entry of S beside its generation. Bytes: A once a block of threads, mostly from L2;
// the sums once a part. Bound on an H100: the generation (see `fill`, its arithmetic without the
// writes: 0.7 entries/ps in f32, 0.15 in f64 normals), with WIDTH = 16 in f32 16 multiply-adds more.

#define FUSED_THREADS 128

struct Rademacher {};

// The entries of R rows of a column; blocks of signs are kept while they last.
template <typename Family, typename T>
struct Source {
    __device__ __forceinline__ void read(u64 seed, u32 stream, u64 unit, u64 group,
                                         T (&x)[Rows<T>::COUNT]) {
        entries(Family(), philox(seed, stream, unit, (u32)group), x);
    }
};
template <typename T>
struct Source<Rademacher, T> {
    Block block;
    u64 unit = 0, held = ~0ull;
    __device__ __forceinline__ void read(u64 seed, u32 stream, u64 at, u64 group,
                                         T (&x)[Rows<T>::COUNT]) {
        u64 row = group * Rows<T>::COUNT;
        if (row / 128 != held || at != unit) block = philox(seed, stream, at, (u32)(row / 128));
        held = row / 128;
        unit = at;
        u32 low = row & 32 ? block.x[1] : block.x[0], high = row & 32 ? block.x[3] : block.x[2];
        u32 word = (row & 64 ? high : low) >> (row & 31);
#pragma unroll
        for (int k = 0; k < Rows<T>::COUNT; k++) x[k] = word >> k & 1 ? T(-1) : T(1);
    }
};

template <int WIDTH, typename T>
__device__ __forceinline__ void load_row(const T* from, T (&a)[WIDTH]) {
    const int LANES = 16 / sizeof(T);
#pragma unroll
    for (int v = 0; v < WIDTH / LANES; v++) {
        Vector<T> part = reinterpret_cast<const Vector<T>*>(from)[v];
#pragma unroll
        for (int l = 0; l < LANES; l++) a[v * LANES + l] = part.x[l];
    }
}

// The sums of a block of rows of S, one of groups·R rows × WIDTH by columns: 16 bytes a thread and column.
template <int WIDTH, typename T>
__device__ __forceinline__ void leave(const T (&sum)[Rows<T>::COUNT][WIDTH], i64 p, i64 groups, i64 g,
                                      T* partial) {
    const int R = Rows<T>::COUNT;
    T* out = partial + (p * WIDTH * groups + g) * R;
#pragma unroll
    for (int c = 0; c < WIDTH; c++) {
        Vector<T> rows;
#pragma unroll
        for (int k = 0; k < R; k++) rows.x[k] = sum[k][c];
        *reinterpret_cast<Vector<T>*>(out + c * groups * R) = rows;
    }
}

// `times` for signs where a warp has 32 neighbouring blocks of rows: these are of one or two Philox blocks, so a
// lane makes those of one column in 32, and hands their words on through shared memory.
template <int WIDTH, typename T>
__device__ __forceinline__ void times_signs(u64 seed, u32 stream, u64 first, i64 groups, u64 col, i64 cols,
                                            const T* a, i64 part, i64 parts, T* partial, u32 group_bits) {
    const int R = Rows<T>::COUNT;
    __shared__ Block blocks[FUSED_THREADS / 32][2][32];
    u32 across = 1u << group_bits, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    u32 line = threadIdx.x >> group_bits, lines = FUSED_THREADS >> group_bits;
#pragma unroll 1
    for (i64 p = (i64)blockIdx.y * lines + line; p < parts; p += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 g = (i64)blockIdx.x * across + (threadIdx.x & (across - 1)); g - lane < groups;
             g += (i64)gridDim.x * across) {
            T sum[R][WIDTH] = {};
            u64 row = (first + g - lane) * R, block = row / 128;
            // This lane's rows, counted from the first of the block.
            u32 mine = (u32)(row % 128) + lane * R;
            bool two = row % 128 + 32 * R > 128;
            const u32* words = &blocks[warp][mine / 128][0].x[mine / 32 % 4];
            i64 end = min(cols, (p + 1) * part);
#pragma unroll 1
            for (i64 from = p * part; from < end; from += 32) {
                __syncwarp();
                blocks[warp][0][lane] = philox(seed, stream, col + from + lane, (u32)block);
                if (two) blocks[warp][1][lane] = philox(seed, stream, col + from + lane, (u32)block + 1);
                __syncwarp();
                u32 count = (u32)min((i64)32, end - from);
#pragma unroll 1
                for (u32 j = 0; j < count; j++) {
                    T row[WIDTH];
                    u32 word = words[4 * j] >> mine % 32;
                    load_row<WIDTH>(a + (from + j) * WIDTH, row);
#pragma unroll
                    for (int k = 0; k < R; k++)
#pragma unroll
                        for (int c = 0; c < WIDTH; c++) sum[k][c] += (word >> k & 1 ? T(-1) : T(1)) * row[c];
                }
            }
            if (g < groups) leave<WIDTH, T>(sum, p, groups, g, partial);
        }
}

template <typename Family>
struct AreSigns {
    static const bool VALUE = false;
};
template <>
struct AreSigns<Rademacher> {
    static const bool VALUE = true;
};

// partial[p] <- S[:, part p] A[part p, :].
template <typename Family, int WIDTH, typename T>
__device__ __forceinline__ void times(u64 seed, u32 stream, u64 first, i64 groups, u64 col, i64 cols,
                                      const T* a, i64 part, i64 parts, T* partial, u32 group_bits) {
    if (AreSigns<Family>::VALUE && group_bits >= 5) {
        times_signs<WIDTH, T>(seed, stream, first, groups, col, cols, a, part, parts, partial, group_bits);
        return;
    }
    const int R = Rows<T>::COUNT;
    u32 across = 1u << group_bits, lane = threadIdx.x & (across - 1);
    u32 line = threadIdx.x >> group_bits, lines = FUSED_THREADS >> group_bits;
#pragma unroll 1
    for (i64 p = (i64)blockIdx.y * lines + line; p < parts; p += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 g = (i64)blockIdx.x * across + lane; g < groups; g += (i64)gridDim.x * across) {
            T sum[R][WIDTH] = {};
            Source<Family, T> source;
            i64 end = min(cols, (p + 1) * part);
#pragma unroll 1
            for (i64 j = p * part; j < end; j++) {
                T x[R], row[WIDTH];
                source.read(seed, stream, col + j, first + g, x);
                load_row<WIDTH>(a + j * WIDTH, row);
#pragma unroll
                for (int k = 0; k < R; k++)
#pragma unroll
                    for (int c = 0; c < WIDTH; c++) sum[k][c] += x[k] * row[c];
            }
            leave<WIDTH, T>(sum, p, groups, g, partial);
        }
}

// partial[p] <- S[part p, :]^T A[part p, :], cols × WIDTH by columns; parts and A in blocks of R rows.
template <typename Family, int WIDTH, typename T>
__device__ __forceinline__ void adjoint(u64 seed, u32 stream, u64 first, i64 groups, u64 col, i64 cols,
                                        const T* a, i64 part, i64 parts, T* partial) {
    const int R = Rows<T>::COUNT;
#pragma unroll 1
    for (i64 p = blockIdx.y; p < parts; p += gridDim.y)
#pragma unroll 1
        for (i64 j = (i64)blockIdx.x * FUSED_THREADS + threadIdx.x; j < cols;
             j += (i64)gridDim.x * FUSED_THREADS) {
            T sum[WIDTH] = {};
            Source<Family, T> source;
            i64 end = min(groups, (p + 1) * part);
#pragma unroll 1
            for (i64 g = p * part; g < end; g++) {
                T x[R], row[WIDTH];
                source.read(seed, stream, col + j, first + g, x);
#pragma unroll
                for (int k = 0; k < R; k++) {
                    load_row<WIDTH>(a + (g * R + k) * WIDTH, row);
#pragma unroll
                    for (int c = 0; c < WIDTH; c++) sum[c] += x[k] * row[c];
                }
            }
            T* out = partial + p * WIDTH * cols + j;
#pragma unroll
            for (int c = 0; c < WIDTH; c++) out[c * cols] = sum[c];
        }
}

// Entries of C of a block that shares their parts among 32 lanes each.
#define JOINED 8

// C <- alpha sum of the parts + beta C, parts `step` entries apart; neighbouring threads are neighbours in a
// column (`by_rows`) or in a row. Where they are `shared`, a warp has four lanes for each of JOINED entries, and
// the warps the rest: sectors are read whole. The sums of lanes are added in a fixed order.
template <typename T>
__device__ __forceinline__ void join(T alpha, View partial, i64 parts, i64 step, T beta, View c, i64 rows,
                                     i64 cols, u32 by_rows, u32 shared) {
    __shared__ T sums[THREADS / 32][JOINED];
    u32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    i64 fast = by_rows ? rows : cols, len = rows * cols;
    i64 width = shared ? JOINED : THREADS, first = shared ? 4 * warp + lane / JOINED : 0;
    // The same number of turns for all threads, since they wait for each other.
#pragma unroll 1
    for (i64 start = (i64)blockIdx.x * width; start < len; start += gridDim.x * width) {
        i64 entry = start + (shared ? lane % JOINED : threadIdx.x);
        bool inside = entry < len;
        i64 q = entry / fast, p = entry - q * fast, i = by_rows ? p : q, j = by_rows ? q : p;
        T sum = T(0);
        if (inside) {
            const T* from = at<T>(partial, i, j);
            for (i64 k = first; k < parts; k += shared ? 32 : 1) sum += from[k * step];
        }
        if (shared) {
            sum += __shfl_xor_sync(0xffffffffu, sum, JOINED);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2 * JOINED);
            if (lane < JOINED) sums[warp][lane] = sum;
            __syncthreads();
            T part[THREADS / 32];
#pragma unroll
            for (u32 w = 0; w < THREADS / 32; w++) part[w] = sums[w][lane % JOINED];
#pragma unroll
            for (u32 apart = 1; apart < THREADS / 32; apart <<= 1)
#pragma unroll
                for (u32 w = 0; w < THREADS / 32; w += 2 * apart) part[w] += part[w + apart];
            sum = part[0];
            __syncthreads();
        }
        if (inside && (!shared || threadIdx.x < JOINED)) axpby_entry<T>(alpha, &sum, beta, at<T>(c, i, j));
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        gaussian_##NAME(View b, i64 rows, i64 cols, u64 row, u64 col, u64 seed, u32 stream,        \
                        T alpha, u32 by_rows, u32 fast_bits) {                                     \
        fill<Gaussian, T>(b, rows, cols, row, col, seed, stream, alpha, by_rows, fast_bits);       \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        uniform_##NAME(View b, i64 rows, i64 cols, u64 row, u64 col, u64 seed, u32 stream,         \
                       T alpha, u32 by_rows, u32 fast_bits) {                                      \
        fill<Uniform, T>(b, rows, cols, row, col, seed, stream, alpha, by_rows, fast_bits);        \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        signs_##NAME(View b, i64 rows, i64 cols, u64 row, u64 col, u64 seed, u32 stream,           \
                     T alpha) {                                                                    \
        signs<T>(b, rows, cols, row, col, seed, stream, alpha);                                    \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        join_##NAME(T alpha, View partial, i64 parts, i64 step, T beta, View c, i64 rows,          \
                    i64 cols, u32 by_rows, u32 shared) {                                           \
        join<T>(alpha, partial, parts, step, beta, c, rows, cols, by_rows, shared);                \
    }

KERNELS(float, f32)
KERNELS(double, f64)

#define FUSED(FAMILY, FAMILY_NAME, WIDTH, T, NAME)                                                 \
    extern "C" __global__ void __launch_bounds__(FUSED_THREADS)                                    \
        FAMILY_NAME##_times_##WIDTH##_##NAME(u64 seed, u32 stream, u64 first, i64 groups, u64 col, \
                                             i64 cols, const T* a, i64 part, i64 parts,            \
                                             T* partial, u32 group_bits) {                         \
        times<FAMILY, WIDTH, T>(seed, stream, first, groups, col, cols, a, part, parts, partial,   \
                                group_bits);                                                       \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(FUSED_THREADS)                                    \
        FAMILY_NAME##_adjoint_##WIDTH##_##NAME(u64 seed, u32 stream, u64 first, i64 groups,        \
                                               u64 col, i64 cols, const T* a, i64 part, i64 parts, \
                                               T* partial) {                                       \
        adjoint<FAMILY, WIDTH, T>(seed, stream, first, groups, col, cols, a, part, parts,          \
                                  partial);                                                        \
    }
#define FUSED_FAMILIES(WIDTH, T, NAME)       \
    FUSED(Gaussian, gaussian, WIDTH, T, NAME) \
    FUSED(Uniform, uniform, WIDTH, T, NAME)   \
    FUSED(Rademacher, signs, WIDTH, T, NAME)

FUSED_FAMILIES(4, float, f32)
FUSED_FAMILIES(4, double, f64)
FUSED_FAMILIES(16, float, f32)
FUSED_FAMILIES(16, double, f64)
