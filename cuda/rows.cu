// Row-sparse operators in compressed rows, and compressed rows made dense.
//
// | kernel | work | bytes | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | laso_draws | a thread two draws, a Philox block | 8 written a draw | 375 draws/ns |
// | sampled_draws | a thread a row, ten Philox blocks or more | 8 written a row | some µs |
// | count_draws | a thread a draw, ζ comparisons with its row, in L1 | 8 read, 4 written a draw | memory, or ζ/4000 ns a draw |
// | write_rows | a thread a draw, ζ comparisons of those that count | 12 read a draw, 4 + size of T written an entry | the same |
// | expand | a warp a row | 4 + size of T read, a sector of 32 written an entry | 75 entries/ns |
//
// No flops but a square root an entry. A row is ζ draws of a column with a sign, packed
// `column << 1 | negative`. Equal columns of a row are one entry, that of the first draw, and entries
// go by increasing column: positions are counted by comparing all draws of a row, which needs neither
// a sort nor shared memory, and ζ is some hundreds at most where these operators are of use. How many
// entries a row keeps is known on the device only; their starts are summed there (sort.cu).

#include "common.cuh"
#include "random.cuh"
#include "permutation.cuh"

#define THREADS 256

// The draws of rows `first` and on of a LASO operator with m columns.
extern "C" __global__ void __launch_bounds__(THREADS)
    laso_draws(u64 seed, u32 stream, u64 m, u32 zeta, u64 first, i64 rows, u64* draws) {
    i64 pairs = ((i64)zeta + 1) / 2, step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 p = (i64)blockIdx.x * THREADS + threadIdx.x; p < rows * pairs; p += step) {
        i64 i = p / pairs, t = 2 * (p - i * pairs);
        Block block = philox(seed, stream, first + (u64)i, (u32)(t / 2));
        Vector<u64> both;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u64 w = word64(block, half);
            both.x[half] = __umul64hi(w, m) << 1 | (w & 1);
        }
        u64* out = draws + i * zeta + t;
        if (zeta % 2 == 0) {
            *reinterpret_cast<Vector<u64>*>(out) = both;
        } else {
            out[0] = both.x[0];
            if (t + 1 < zeta) out[1] = both.x[1];
        }
    }
}

// The same for rows of a sampled identity, one draw a row.
extern "C" __global__ void __launch_bounds__(THREADS)
    sampled_draws(Permutation p, u64 first, i64 rows, u64* draws) {
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 i = (i64)blockIdx.x * THREADS + threadIdx.x; i < rows; i += step)
        draws[i] = permuted(p, first + (u64)i) << 1;
}

// How often the column of a draw occurs in its row, 0 unless the draw is the first one of a column in
// first.. + cols; lengths[i] <- how many are not 0, added to what it holds.
extern "C" __global__ void __launch_bounds__(THREADS)
    count_draws(const u64* draws, i64 rows, u32 zeta, u64 first, u64 cols, u32* counts, u64* lengths) {
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 e = (i64)blockIdx.x * THREADS + threadIdx.x; e < rows * zeta; e += step) {
        i64 i = e / zeta, start = i * zeta;
        u64 column = draws[e] >> 1;
        u32 count = 0;
        bool first_draw = true;
        for (u32 t = 0; t < zeta; t++) {
            bool same = draws[start + t] >> 1 == column;
            count += same;
            if (same && start + t < e) first_draw = false;
        }
        bool kept = first_draw && column - first < cols;
        counts[e] = kept ? count : 0;
        if (kept) atomicAdd(&lengths[i], 1ull);
    }
}

// The entries that count, by increasing column from starts[i] on: scale·√count with the sign of the
// first draw.
template <typename T>
__device__ __forceinline__ void write_rows(const u64* draws, const u32* counts, const u64* starts,
                                           i64 rows, u32 zeta, u64 first, double scale, u32* col_idx,
                                           T* values) {
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 e = (i64)blockIdx.x * THREADS + threadIdx.x; e < rows * zeta; e += step) {
        u32 count = counts[e];
        if (!count) continue;
        i64 i = e / zeta, start = i * zeta;
        u64 draw = draws[e], column = draw >> 1, place = starts[i];
        for (u32 t = 0; t < zeta; t++)
            if (counts[start + t] && draws[start + t] >> 1 < column) place++;
        double value = __dmul_rn(scale, __dsqrt_rn((double)count));
        col_idx[place] = (u32)(column - first);
        values[place] = (T)(draw & 1 ? -value : value);
    }
}

// C[i, j] <- entry (i, first + j) of compressed rows; C held zeros.
template <typename T>
__device__ __forceinline__ void expand(const u64* row_ptr, const u32* col_idx, const T* values,
                                       u64 first, View c, i64 rows, u64 cols) {
    u32 lane = threadIdx.x & 31;
    i64 warps = (i64)gridDim.x * (THREADS / 32);
#pragma unroll 1
    for (i64 i = ((i64)blockIdx.x * THREADS + threadIdx.x) >> 5; i < rows; i += warps) {
        u64 end = row_ptr[i + 1];
#pragma unroll 1
        for (u64 e = row_ptr[i] + lane; e < end; e += 32) {
            u64 j = col_idx[e] - first;
            if (j < cols) *at<T>(c, i, (i64)j) = values[e];
        }
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        write_rows_##NAME(const u64* draws, const u32* counts, const u64* starts, i64 rows,        \
                          u32 zeta, u64 first, double scale, u32* col_idx, T* values) {            \
        write_rows<T>(draws, counts, starts, rows, zeta, first, scale, col_idx, values);           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        expand_##NAME(const u64* row_ptr, const u32* col_idx, const T* values, u64 first, View c,  \
                      i64 rows, u64 cols) {                                                        \
        expand<T>(row_ptr, col_idx, values, first, c, rows, cols);                                 \
    }

KERNELS(float, f32)
KERNELS(double, f64)
