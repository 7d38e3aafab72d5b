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
#pragma unroll
            for (int k = 0; k < R; k++) x[k] = alpha * x[k];
            i64 i = (i64)((first + g) * R - row);
            if (vector && i + R <= rows) {
                *reinterpret_cast<Vector<T>*>(at<T>(b, i, j)) = *reinterpret_cast<Vector<T>*>(x);
            } else {
#pragma unroll
                for (int k = 0; k < R; k++)
                    if (i + k >= 0 && i + k < rows) *at<T>(b, i + k, j) = x[k];
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
    }

KERNELS(float, f32)
KERNELS(double, f64)
