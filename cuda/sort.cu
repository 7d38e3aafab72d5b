// Sparse matrices by the other index: a stable sort of (key, value) pairs by digits of 8 bits, and the
// compressed rows that come of it. The sort is stable and its counters are integers, so the result is
// one and the same for every grid: no float is added here.
//
// | kernel | work of a block | bytes | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | keys_of_operator, keys_of_matrix | steps of 256 entries | 4 read, 12 written an entry | 190 entries/ns |
// | digit_counts | a tile of 2048 pairs, 256 counters | 4 an entry | 750 entries/ns |
// | scan_tiles, add_tiles | a tile of 2048 counters | 16 each a counter, one an entry | 94 a ns |
// | place_pairs | a tile of 2048 pairs | 12 read, 12 written an entry | 125 entries/ns |
// | row_starts | a thread a row: binary search | 8 a row, the search in L2 | 375 rows/ns |
// | operator_rows, matrix_rows | steps of 256 entries | 8 read, 4 + size of T written; matrix_rows reads
//   values at random, a 32-byte sector each | 190, 60 entries/ns |
//
// No flops. A pass over 8 bits of the keys costs 28 bytes an entry, a sort of d < 2^16 keys two passes.
// The number of pairs is read from device memory (`count`), since only the device knows how many
// entries a window of rows has: grids are for the most there can be, blocks beyond leave at once.

#include "common.cuh"

#define THREADS 256
#define ITEMS 8
#define TILE (THREADS * ITEMS)
#define DIGITS 256

// The rows of the columns' entries, counted in the window; entries outside of it get the key `rows`
// and end up behind all others. The value is column << 1 | negative.
extern "C" __global__ void __launch_bounds__(THREADS)
    keys_of_operator(const u32* words, i64 entries, u32 zeta, u32 first, u32 rows, u32* keys,
                     u64* values, u64* count) {
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 e = (i64)blockIdx.x * THREADS + threadIdx.x; e < entries; e += step) {
        u32 word = words[e], row = (word >> 1) - first;
        keys[e] = row < rows ? row : rows;
        values[e] = (u64)(e / zeta) << 1 | (word & 1);
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) *count = (u64)entries;
}

// The columns of the stored entries of a window of rows; the value is the position in the arrays.
extern "C" __global__ void __launch_bounds__(THREADS)
    keys_of_matrix(const u64* row_ptr, i64 rows, const u32* col_idx, u32* keys, u64* values,
                   u64* count) {
    u64 first = row_ptr[0], entries = row_ptr[rows] - first;
    u64 step = (u64)gridDim.x * THREADS;
#pragma unroll 1
    for (u64 e = (u64)blockIdx.x * THREADS + threadIdx.x; e < entries; e += step) {
        keys[e] = col_idx[first + e];
        values[e] = first + e;
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) *count = entries;
}

// counts[digit·tiles + t] <- how many keys of tile t have this digit.
extern "C" __global__ void __launch_bounds__(THREADS)
    digit_counts(const u32* keys, const u64* count, u32 shift, i64 tiles, u64* counts) {
    __shared__ u32 found[DIGITS];
    u64 entries = *count;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        found[threadIdx.x] = 0;
        __syncthreads();
        for (u32 k = 0; k < ITEMS; k++) {
            u64 e = (u64)t * TILE + k * THREADS + threadIdx.x;
            if (e < entries) atomicAdd(&found[keys[e] >> shift & (DIGITS - 1)], 1u);
        }
        __syncthreads();
        counts[(i64)threadIdx.x * tiles + t] = found[threadIdx.x];
    }
}

// Every tile of `data` becomes the sums of what is before an element in its tile; sums[t] is the sum
// of tile t. A thread has ITEMS neighbours.
extern "C" __global__ void __launch_bounds__(THREADS)
    scan_tiles(u64* data, i64 len, u64* sums) {
    __shared__ u64 of_warp[THREADS / 32];
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 tiles = (len + TILE - 1) / TILE;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 start = t * TILE + (i64)threadIdx.x * ITEMS;
        u64 mine[ITEMS], total = 0;
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            mine[k] = total;
            if (start + k < len) total += data[start + k];
        }
        u64 sum = total;
        for (u32 lanes = 1; lanes < 32; lanes <<= 1) {
            u64 before = __shfl_up_sync(0xffffffffu, sum, lanes);
            if (lane >= lanes) sum += before;
        }
        if (lane == 31) of_warp[warp] = sum;
        __syncthreads();
        u64 before = sum - total;
        for (u32 w = 0; w < warp; w++) before += of_warp[w];
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++)
            if (start + k < len) data[start + k] = before + mine[k];
        if (threadIdx.x == THREADS - 1) sums[t] = before + total;
        __syncthreads();
    }
}

// Adds to every tile what is before it.
extern "C" __global__ void __launch_bounds__(THREADS)
    add_tiles(u64* data, i64 len, const u64* sums) {
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 i = (i64)blockIdx.x * THREADS + threadIdx.x; i < len; i += step)
        data[i] += sums[i / TILE];
}

// Moves the pairs of each tile to where their digits go, in their order: `places` are the scanned
// counts. A warp has TILE / 8 neighbours, 32 at a time; equal digits of a warp are ranked by lanes.
extern "C" __global__ void __launch_bounds__(THREADS)
    place_pairs(const u32* keys, const u64* values, const u64* count, u32 shift, i64 tiles,
                const u64* places, u32* keys_out, u64* values_out) {
    __shared__ u32 ranks[THREADS / 32][DIGITS];
    u64 entries = *count;
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles && (u64)t * TILE < entries; t += gridDim.x) {
        for (u32 w = 0; w < THREADS / 32; w++) ranks[w][threadIdx.x] = 0;
        __syncthreads();
        u64 start = (u64)t * TILE + warp * (32 * ITEMS) + lane;
        u32 key[ITEMS], rank[ITEMS];
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            bool inside = start + 32 * k < entries;
            key[k] = inside ? keys[start + 32 * k] : 0;
            // Lanes beyond the end have a digit of their own.
            u32 digit = inside ? key[k] >> shift & (DIGITS - 1) : DIGITS;
            u32 equal = __match_any_sync(0xffffffffu, digit);
            u32 before = inside ? ranks[warp][digit] : 0;
            rank[k] = before + __popc(equal & ((1u << lane) - 1));
            __syncwarp();
            // The last of the equal lanes counts for all of them.
            if (inside && equal >> lane == 1) ranks[warp][digit] = before + __popc(equal);
            __syncwarp();
        }
        __syncthreads();
        u32 sum = 0;
        for (u32 w = 0; w < THREADS / 32; w++) {
            u32 here = ranks[w][threadIdx.x];
            ranks[w][threadIdx.x] = sum;
            sum += here;
        }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            u64 e = start + 32 * k;
            if (e < entries) {
                u32 digit = key[k] >> shift & (DIGITS - 1);
                u64 to = places[(i64)digit * tiles + t] + ranks[warp][digit] + rank[k];
                keys_out[to] = key[k];
                values_out[to] = values[e];
            }
        }
        __syncthreads();
    }
}

// starts[i] <- the first place of a key that is not below i, for i from 0 to `rows`.
extern "C" __global__ void __launch_bounds__(THREADS)
    row_starts(const u32* keys, const u64* count, i64 rows, u64* starts) {
    u64 entries = *count;
    i64 step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 i = (i64)blockIdx.x * THREADS + threadIdx.x; i <= rows; i += step) {
        u64 low = 0, high = entries;
        while (low < high) {
            u64 middle = low + (high - low) / 2;
            if (keys[middle] < (u64)i) low = middle + 1;
            else high = middle;
        }
        starts[i] = low;
    }
}

// The sorted entries of an operator as compressed rows: column and ±scale.
template <typename T>
__device__ __forceinline__ void operator_rows(const u64* sorted, const u64* count, T scale,
                                              u32* col_idx, T* values) {
    u64 entries = *count, step = (u64)gridDim.x * THREADS;
#pragma unroll 1
    for (u64 e = (u64)blockIdx.x * THREADS + threadIdx.x; e < entries; e += step) {
        u64 packed = sorted[e];
        col_idx[e] = (u32)(packed >> 1);
        values[e] = packed & 1 ? -scale : scale;
    }
}

// The sorted entries of a matrix as compressed rows of its transpose: the row that an entry was in,
// the last one that starts at or before it, and its value.
template <typename T>
__device__ __forceinline__ void matrix_rows(const u64* sorted, const u64* count, const u64* row_ptr,
                                            i64 rows, const T* stored, u32* col_idx, T* values) {
    u64 entries = *count, step = (u64)gridDim.x * THREADS;
#pragma unroll 1
    for (u64 e = (u64)blockIdx.x * THREADS + threadIdx.x; e < entries; e += step) {
        u64 place = sorted[e];
        i64 low = 0, high = rows;
        while (high - low > 1) {
            i64 middle = low + (high - low) / 2;
            if (row_ptr[middle] <= place) low = middle;
            else high = middle;
        }
        col_idx[e] = (u32)low;
        values[e] = stored[place];
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        operator_rows_##NAME(const u64* sorted, const u64* count, T scale, u32* col_idx,           \
                             T* values) {                                                          \
        operator_rows<T>(sorted, count, scale, col_idx, values);                                   \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        matrix_rows_##NAME(const u64* sorted, const u64* count, const u64* row_ptr, i64 rows,      \
                           const T* stored, u32* col_idx, T* values) {                             \
        matrix_rows<T>(sorted, count, row_ptr, rows, stored, col_idx, values);                     \
    }

KERNELS(float, f32)
KERNELS(double, f64)
