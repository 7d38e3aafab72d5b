// Scaled copies, permutations of rows, and norms, for matrices of any strides.
//
// | kernel | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|
// | axpby, transpose | entries read and written once | 2·4 B (f32), 2·8 B (f64) an entry: 0.37, 0.19 entries/ps |
// | gather_rows, scatter_rows | the same, and 8 B a row | the same |
// | scale_columns | the same, in place | the same |
// | largest, squares, column_squares, non_finite | entries read once | 4 or 8 B an entry |
// | mirror | half of the matrix read, half written | n² entries |
//
// Flops are a few an entry, far below the ridge of 22 (f32) and 11 (f64) flops a byte. The host turns
// matrices so that rows are the fast direction of what is written; neighbouring threads are
// neighbouring rows, and a warp moves whole 128-byte lines. A block is 256 threads, 2^row_bits of them
// along the rows: short columns do not leave threads idle.

#include "common.cuh"

#define THREADS 256

// B <- alpha A + beta B, A and B fast along the same direction.
template <typename T>
__device__ __forceinline__ void axpby(T alpha, View a, T beta, View b, i64 rows, i64 cols,
                                      u32 row_bits) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    #pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
        for (i64 i = (i64)blockIdx.x * across + lane; i < rows; i += (i64)gridDim.x * across)
            axpby_entry<T>(alpha, at<T>(a, i, j), beta, at<T>(b, i, j));
}

// The same with A fast along the columns: tiles of 32×32 turn in shared memory, padded so that
// neither direction meets a bank twice.
template <typename T>
__device__ __forceinline__ void transpose(T alpha, View a, T beta, View b, i64 rows, i64 cols) {
    __shared__ T tile[32][33];
    u32 x = threadIdx.x & 31, y = threadIdx.x >> 5;
    i64 tiles_down = (rows + 31) / 32, tiles = tiles_down * ((cols + 31) / 32);
    #pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 i0 = t % tiles_down * 32, j0 = t / tiles_down * 32;
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + k < rows && j0 + x < cols) tile[k][x] = *at<T>(a, i0 + k, j0 + x);
        __syncthreads();
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + x < rows && j0 + k < cols)
                axpby_entry<T>(alpha, &tile[x][k], beta, at<T>(b, i0 + x, j0 + k));
        __syncthreads();
    }
}

// B[:, j] <- scale[j] B[:, j], or B[i, :] <- scale[i] B[i, :] where `by_rows`.
template <typename T>
__device__ __forceinline__ void scale_by(const T* scale, u32 by_rows, View b, i64 rows, i64 cols,
                                         u32 row_bits) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    #pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
        for (i64 i = (i64)blockIdx.x * across + lane; i < rows; i += (i64)gridDim.x * across)
            *at<T>(b, i, j) *= scale[by_rows ? i : j];
}

// B[i, :] <- A[index[i], :] (gather) or B[index[i], :] <- A[i, :] (scatter). `along_rows`: rows are
// the fast direction, else columns are; threads go along it.
template <typename T>
__device__ __forceinline__ void move_rows(const u64* index, u32 scatter, View a, View b, i64 rows,
                                          i64 cols, u32 along_rows, u32 fast_bits) {
    u32 across = 1u << fast_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> fast_bits;
    u32 lines = THREADS >> fast_bits;
    i64 fast = along_rows ? rows : cols, slow = along_rows ? cols : rows;
    #pragma unroll 1
    for (i64 q = (i64)blockIdx.y * lines + line; q < slow; q += (i64)gridDim.y * lines)
        for (i64 p = (i64)blockIdx.x * across + lane; p < fast; p += (i64)gridDim.x * across) {
            i64 i = along_rows ? p : q, j = along_rows ? q : p, k = (i64)index[i];
            *at<T>(b, scatter ? k : i, j) = *at<T>(a, scatter ? i : k, j);
        }
}

// G[j, i] <- G[i, j] for i > j: the other triangle of a symmetric matrix, tile by tile.
template <typename T>
__device__ __forceinline__ void mirror(View g, i64 n) {
    __shared__ T tile[32][33];
    u32 x = threadIdx.x & 31, y = threadIdx.x >> 5;
    i64 side = (n + 31) / 32;
    #pragma unroll 1
    for (i64 t = blockIdx.x; t < side * side; t += gridDim.x) {
        i64 i0 = t % side * 32, j0 = t / side * 32;
        if (i0 < j0) continue;
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + x < n && j0 + k < n && i0 + x > j0 + k)
                tile[k][x] = *at<T>(g, i0 + x, j0 + k);
        __syncthreads();
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + k < n && j0 + x < n && i0 + k > j0 + x) *at<T>(g, j0 + x, i0 + k) = tile[x][k];
        __syncthreads();
    }
}

// The bits of |x|: ordered as the numbers are, a NaN above infinity.
__device__ __forceinline__ u32 magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }
__device__ __forceinline__ u64 magnitude(double x) {
    return (u64)__double_as_longlong(x) & 0x7fffffffffffffffull;
}

__device__ __forceinline__ double from_magnitude(u32 bits) { return (double)__uint_as_float(bits); }
__device__ __forceinline__ double from_magnitude(u64 bits) { return __longlong_as_double((i64)bits); }

// The bits of the largest |a_ij| as f64 into *out, which holds 0. The order of a maximum does not
// matter.
template <typename T>
__device__ __forceinline__ void largest(View a, i64 rows, i64 cols, u32 row_bits, u64* out) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    auto greatest = magnitude(T(0));
    #pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
        for (i64 i = (i64)blockIdx.x * across + lane; i < rows; i += (i64)gridDim.x * across)
            greatest = max(greatest, magnitude(*at<T>(a, i, j)));
    u64 most = magnitude(from_magnitude(greatest));
    for (int lanes = 16; lanes; lanes >>= 1) {
        u64 other = __shfl_xor_sync(0xffffffffu, most, lanes);
        most = other > most ? other : most;
    }
    if ((threadIdx.x & 31) == 0 && most) atomicMax(out, most);
}

// The smallest i·cols + j of an entry that is not finite into *out, which holds 2^64 − 1.
// `turned`: the matrix was transposed by the host, so rows and columns change places.
template <typename T>
__device__ __forceinline__ void non_finite(View a, i64 rows, i64 cols, u32 row_bits, u32 turned,
                                           u64* out) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    u64 first = ~0ull;
    const auto infinity = magnitude(T(1e308) * T(1e308));
    #pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
        for (i64 i = (i64)blockIdx.x * across + lane; i < rows; i += (i64)gridDim.x * across) {
            if (magnitude(*at<T>(a, i, j)) < infinity) continue;
            first = min(first, turned ? (u64)j * rows + i : (u64)i * cols + j);
        }
    if (first != ~0ull) atomicMin(out, first);
}

// Tiles of SQUARES_ROWS × SQUARES_COLS entries, whose sums are added in the order of tiles: the same
// bits for every grid.
#define SQUARES_ROWS 1024
#define SQUARES_COLS 32

// partial[t] <- sum of (factor·a)² over tile t; factor is a power of two.
template <typename T>
__device__ __forceinline__ void squares(View a, i64 rows, i64 cols, u32 row_bits, double factor,
                                        double* partial) {
    __shared__ double sums[THREADS / 32];
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    i64 down = (rows + SQUARES_ROWS - 1) / SQUARES_ROWS;
    i64 tiles = down * ((cols + SQUARES_COLS - 1) / SQUARES_COLS);
    #pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 i0 = t % down * SQUARES_ROWS, j0 = t / down * SQUARES_COLS;
        i64 i1 = min(rows, i0 + SQUARES_ROWS), j1 = min(cols, j0 + SQUARES_COLS);
        double sum = 0;
        for (i64 j = j0 + line; j < j1; j += lines)
            for (i64 i = i0 + lane; i < i1; i += across) {
                double x = factor * (double)*at<T>(a, i, j);
                sum = __fma_rn(x, x, sum);
            }
        sum = warp_sum(sum);
        if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = sum;
        __syncthreads();
        if (threadIdx.x == 0) {
            double total = 0;
            for (u32 w = 0; w < THREADS / 32; w++) total += sums[w];
            partial[t] = total;
        }
        __syncthreads();
    }
}

// partial[t + tiles·j] <- sum of (factor·a)² over rows of tile t of column j. 2^lane_bits lanes share a
// column: up to 32 where rows are fast, one where columns are.
template <typename T>
__device__ __forceinline__ void column_squares(View a, i64 rows, i64 cols, u32 lane_bits,
                                               double factor, double* partial) {
    i64 tiles = (rows + SQUARES_ROWS - 1) / SQUARES_ROWS;
    u32 width = THREADS >> lane_bits, step = 1u << lane_bits, first = threadIdx.x & (step - 1);
    i64 groups = (cols + width - 1) / width;
    #pragma unroll 1
    for (i64 work = blockIdx.x; work < tiles * groups; work += gridDim.x) {
        i64 t = work % tiles, i1 = min(rows, (t + 1) * SQUARES_ROWS);
        i64 j = work / tiles * width + (threadIdx.x >> lane_bits);
        double sum = 0;
        if (j < cols)
            for (i64 i = t * SQUARES_ROWS + first; i < i1; i += step) {
                double x = factor * (double)*at<T>(a, i, j);
                sum = __fma_rn(x, x, sum);
            }
        for (u32 lanes = step / 2; lanes; lanes >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
        if (first == 0 && j < cols) partial[t + tiles * j] = sum;
    }
}

// out[j] <- sum of partial[0..count] + j·count, in a fixed order: 256 interleaved sums, then theirs.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    add_partial(const double* partial, i64 count, i64 columns, double* out) {
    __shared__ double sums[THREADS];
    for (i64 j = blockIdx.x; j < columns; j += gridDim.x) {
        double sum = 0;
        for (i64 t = threadIdx.x; t < count; t += THREADS) sum += partial[t + j * count];
        sums[threadIdx.x] = sum;
        __syncthreads();
        for (u32 half = THREADS / 2; half; half >>= 1) {
            if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
            __syncthreads();
        }
        if (threadIdx.x == 0) out[j] = sums[0];
        __syncthreads();
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        axpby_##NAME(T alpha, View a, T beta, View b, i64 rows, i64 cols, u32 row_bits) {          \
        axpby<T>(alpha, a, beta, b, rows, cols, row_bits);                                         \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        transpose_##NAME(T alpha, View a, T beta, View b, i64 rows, i64 cols) {                    \
        transpose<T>(alpha, a, beta, b, rows, cols);                                               \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        scale_by_##NAME(const T* scale, u32 by_rows, View b, i64 rows, i64 cols, u32 row_bits) {   \
        scale_by<T>(scale, by_rows, b, rows, cols, row_bits);                                      \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        move_rows_##NAME(const u64* index, u32 scatter, View a, View b, i64 rows, i64 cols,        \
                         u32 along_rows, u32 fast_bits) {                                          \
        move_rows<T>(index, scatter, a, b, rows, cols, along_rows, fast_bits);                     \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4) mirror_##NAME(View g, i64 n) {           \
        mirror<T>(g, n);                                                                           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        largest_##NAME(View a, i64 rows, i64 cols, u32 row_bits, u64* out) {                       \
        largest<T>(a, rows, cols, row_bits, out);                                                  \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        non_finite_##NAME(View a, i64 rows, i64 cols, u32 row_bits, u32 turned, u64* out) {        \
        non_finite<T>(a, rows, cols, row_bits, turned, out);                                       \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        squares_##NAME(View a, i64 rows, i64 cols, u32 row_bits, double factor, double* partial) { \
        squares<T>(a, rows, cols, row_bits, factor, partial);                                      \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                          \
        column_squares_##NAME(View a, i64 rows, i64 cols, u32 lane_bits, double factor,            \
                              double* partial) {                                                   \
        column_squares<T>(a, rows, cols, lane_bits, factor, partial);                              \
    }

KERNELS(float, f32)
KERNELS(double, f64)
