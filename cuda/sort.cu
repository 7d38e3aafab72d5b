// Sparse matrices by the other index: a stable sort of (key, value) pairs by digits of 8 bits, and the
// compressed rows that come of it. The sort is stable and its counters are integers, so the result is
// one and the same for every grid: no float is added here.
//
// | kernel | work of a block | bytes | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | keys_of_operator, keys_of_matrix | steps of 256 entries | 4 read, 12 written an entry | 190 entries/ns |
// | digit_counts | 4 tiles of 4096 pairs, 256 counters each | 4 an entry, 8 a counter | 660 entries/ns |
// | scan_tiles, add_tiles | a tile of 2048 counters | 16 each a counter, one an entry | 94 a ns |
// | place_pairs | a tile of 4096 pairs, in its new order in shared memory | 12 read, 12 written an entry | 125 entries/ns |
// | row_starts | a thread a row: binary search | 8 a row, the search in L2 | 375 rows/ns |
// | operator_rows, matrix_rows | steps of 256 entries | 8 read, 4 + size of T written; matrix_rows reads
//   values at random, a 32-byte sector each | 190, 60 entries/ns |
//
// No flops. A pass over 8 bits of the keys costs 28 bytes an entry, a sort of d < 2^16 keys two passes.
// Shared memory is met where the digits say, so banks are met twice: pairs a warp at a time, 16 bytes each.
// The number of pairs is read from device memory (`count`), since only the device knows how many
// entries a window of rows has: grids are for the most there can be, blocks beyond leave at once.

#include "common.cuh"

#define THREADS 256
// Pairs and counters of a tile.
#define ITEMS 16
#define TILE (THREADS * ITEMS)
#define SCANNED 8
#define SCAN_TILE (THREADS * SCANNED)
#define DIGITS 256
#define NEIGHBOURS 4

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

// counts[digit·tiles + t] <- how many keys of tile t have this digit. A block takes a multiple of NEIGHBOURS
// tiles, of which there are as many, so that whole sectors of counters are written.
extern "C" __global__ void __launch_bounds__(THREADS)
    digit_counts(const u32* keys, const u64* count, u32 shift, i64 tiles, u64* counts) {
    // Neighbouring tiles lie eight banks apart: a warp writes eight digits of all.
    __shared__ u32 found[NEIGHBOURS][DIGITS + 8];
    u64 entries = *count;
#pragma unroll 1
    for (i64 t = (i64)blockIdx.x * NEIGHBOURS; t < tiles; t += (i64)gridDim.x * NEIGHBOURS) {
        for (u32 n = 0; n < NEIGHBOURS; n++) found[n][threadIdx.x] = 0;
        __syncthreads();
#pragma unroll 1
        for (u32 n = 0; n < NEIGHBOURS; n++)
#pragma unroll
            for (u32 k = 0; k < ITEMS; k++) {
                u64 e = (u64)(t + n) * TILE + k * THREADS + threadIdx.x;
                if (e < entries) atomicAdd(&found[n][keys[e] >> shift & (DIGITS - 1)], 1u);
            }
        __syncthreads();
        for (u32 k = threadIdx.x; k < NEIGHBOURS * DIGITS; k += THREADS)
            counts[(i64)(k / NEIGHBOURS) * tiles + t + k % NEIGHBOURS] = found[k % NEIGHBOURS][k / NEIGHBOURS];
        __syncthreads();
    }
}

// Sums of what is before an element of a warp, and of all.
template <typename T>
__device__ __forceinline__ T before_in_warp(T x, T& all) {
    u32 lane = threadIdx.x & 31;
    T sum = x;
#pragma unroll
    for (u32 lanes = 1; lanes < 32; lanes <<= 1) {
        T before = __shfl_up_sync(0xffffffffu, sum, lanes);
        if (lane >= lanes) sum += before;
    }
    all = __shfl_sync(0xffffffffu, sum, 31);
    return sum - x;
}

// Every tile of `data` becomes the sums of what is before an element in its tile; sums[t] is the sum
// of tile t. A warp has SCANNED lines of 32.
extern "C" __global__ void __launch_bounds__(THREADS)
    scan_tiles(u64* data, i64 len, u64* sums) {
    __shared__ u64 of_warp[THREADS / 32];
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 tiles = (len + SCAN_TILE - 1) / SCAN_TILE;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 start = t * SCAN_TILE + warp * (32 * SCANNED) + lane;
        u64 mine[SCANNED], total = 0;
#pragma unroll
        for (u32 k = 0; k < SCANNED; k++) {
            u64 all;
            mine[k] = total + before_in_warp<u64>(start + 32 * k < len ? data[start + 32 * k] : 0, all);
            total += all;
        }
        if (lane == 0) of_warp[warp] = total;
        __syncthreads();
        u64 before = 0;
        for (u32 w = 0; w < warp; w++) before += of_warp[w];
#pragma unroll
        for (u32 k = 0; k < SCANNED; k++)
            if (start + 32 * k < len) data[start + 32 * k] = before + mine[k];
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
        data[i] += sums[i / SCAN_TILE];
}

// Moves the pairs of each tile to where their digits go, in their order: `places` are the scanned
// counts. A warp has TILE / 8 neighbours, 32 at a time; equal digits of a warp are ranked by lanes. Keys, then
// values, pass through shared memory in their new order, so that those of a digit leave side by side.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    place_pairs(const u32* keys, const u64* values, const u64* count, u32 shift, i64 tiles,
                const u64* places, u32* keys_out, u64* values_out) {
    __shared__ u32 ranks[THREADS / 32][DIGITS];
    __shared__ u64 staged[TILE];
    // Where the pairs of a digit leave, counted from their place in the tile.
    __shared__ u64 leave[DIGITS];
    __shared__ u32 of_warp[THREADS / 32];
    u32* staged_keys = reinterpret_cast<u32*>(staged);
    u64 entries = *count;
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles && (u64)t * TILE < entries; t += gridDim.x) {
        for (u32 w = 0; w < THREADS / 32; w++) ranks[w][threadIdx.x] = 0;
        __syncthreads();
        u64 first = (u64)t * TILE, start = first + warp * (32 * ITEMS) + lane;
        u32 key[ITEMS], place[ITEMS];
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            bool inside = start + 32 * k < entries;
            key[k] = inside ? keys[start + 32 * k] : 0;
            // Lanes beyond the end have a digit of their own.
            u32 digit = inside ? key[k] >> shift & (DIGITS - 1) : DIGITS;
            u32 equal = __match_any_sync(0xffffffffu, digit);
            u32 before = inside ? ranks[warp][digit] : 0;
            place[k] = before + __popc(equal & ((1u << lane) - 1));
            __syncwarp();
            // The last of the equal lanes counts for all of them.
            if (inside && equal >> lane == 1) ranks[warp][digit] = before + __popc(equal);
            __syncwarp();
        }
        __syncthreads();
        u32 sum = 0, all;
#pragma unroll
        for (u32 w = 0; w < THREADS / 32; w++) sum += ranks[w][threadIdx.x];
        u32 smaller = before_in_warp<u32>(sum, all);
        if (lane == 0) of_warp[warp] = all;
        __syncthreads();
        for (u32 w = 0; w < warp; w++) smaller += of_warp[w];
        leave[threadIdx.x] = places[(i64)threadIdx.x * tiles + t] - smaller;
#pragma unroll
        for (u32 w = 0; w < THREADS / 32; w++) {
            u32 here = ranks[w][threadIdx.x];
            ranks[w][threadIdx.x] = smaller;
            smaller += here;
        }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++)
            if (start + 32 * k < entries) {
                place[k] += ranks[warp][key[k] >> shift & (DIGITS - 1)];
                staged_keys[place[k]] = key[k];
            }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            u32 e = k * THREADS + threadIdx.x;
            if (first + e < entries) {
                key[k] = staged_keys[e];
                keys_out[leave[key[k] >> shift & (DIGITS - 1)] + e] = key[k];
            }
        }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++)
            if (start + 32 * k < entries) staged[place[k]] = values[start + 32 * k];
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < ITEMS; k++) {
            u32 e = k * THREADS + threadIdx.x;
            if (first + e < entries)
                values_out[leave[key[k] >> shift & (DIGITS - 1)] + e] = staged[e];
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
