// Norms and searches: what leaves numbers for the host.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | largest, non_finite | 1024 items (stream.cuh) a turn | entries read once | 4 or 8 B an entry: 0.75, 0.37 entries/ps |
// | squares | 8 warps a part of 4096 entries each | the same, and 8 B for 32768 entries | the same |
// | column_squares | 1024 rows of 8 columns or more | the same, and 8 B for 1024 rows of a column | the same |
// | column_squares_by_rows | 1024 rows of 32 columns or more | the same | the same |
// | add_partial | a column of partial sums | 8 B a sum | the same |
//
// Flops: three an entry in f64, 7·10^12 entries a second. Threads load four items, 64 bytes of vectors or as
// many entries, before they use the first. Maxima do not depend on the order of anything. A sum of
// squares has one order, that of positions in the matrix: sums by position modulo the entries that a warp loads at
// once are added by the bits of these positions. Whether they are loaded by 16 bytes makes no difference, nor does
// the grid: the same numbers give the same bits at every address.

#include "common.cuh"
#include "stream.cuh"

#define WARPS (THREADS / 32)

// The bits of |x|: ordered as the numbers are, a NaN above infinity.
__device__ __forceinline__ u32 magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }
__device__ __forceinline__ u64 magnitude(double x) {
    return (u64)__double_as_longlong(x) & 0x7fffffffffffffffull;
}

__device__ __forceinline__ double from_magnitude(u32 bits) { return (double)__uint_as_float(bits); }
__device__ __forceinline__ double from_magnitude(u64 bits) { return __longlong_as_double((i64)bits); }

__device__ __forceinline__ u32 warp_max(u32 x) { return __reduce_max_sync(0xffffffffu, x); }
__device__ __forceinline__ u64 warp_max(u64 x) {
    for (int lanes = 16; lanes; lanes >>= 1) x = max(x, __shfl_xor_sync(0xffffffffu, x, lanes));
    return x;
}

// The bits of the largest |a_ij| as f64 into *out, which holds 0; an atomic operation a block.
template <typename T>
__device__ __forceinline__ void largest(View a, i64 rows, i64 cols, u32 tile_bits, u32 vector, u64* out) {
    typedef decltype(magnitude(T(0))) Bits;
    __shared__ Bits most[WARPS];
    Bits greatest = 0;
    stream<T>(rows, cols, tile_bits, vector, [&](auto batch) {
        auto x = batch.read(batch.in(a), true);
#pragma unroll
        for (int k = 0; k < BATCH; k++)
#pragma unroll
            for (int c = 0; c < batch.COUNT; c++) greatest = max(greatest, magnitude(x.of[k].x[c]));
    });
    greatest = warp_max(greatest);
    if ((threadIdx.x & 31) == 0) most[threadIdx.x >> 5] = greatest;
    __syncthreads();
    if (threadIdx.x) return;
#pragma unroll
    for (int w = 1; w < WARPS; w++) greatest = max(greatest, most[w]);
    if (greatest) atomicMax(out, magnitude(from_magnitude(greatest)));
}

// The smallest i·cols + j of an entry that is not finite into *out, which holds 2^64 − 1.
// `turned`: the matrix was transposed by the host, so rows and columns change places.
template <typename T>
__device__ __forceinline__ void non_finite(View a, i64 rows, i64 cols, u32 tile_bits, u32 vector,
                                           u32 turned, u64* out) {
    u64 first = ~0ull;
    const auto infinity = magnitude(T(1e308) * T(1e308));
    stream<T>(rows, cols, tile_bits, vector, [&](auto batch) {
        auto x = batch.read(batch.in(a), true);
        auto greatest = magnitude(T(0));
#pragma unroll
        for (int k = 0; k < BATCH; k++)
#pragma unroll
            for (int c = 0; c < batch.COUNT; c++) greatest = max(greatest, magnitude(x.of[k].x[c]));
        if (greatest < infinity) return;
#pragma unroll
        for (int k = 0; k < BATCH; k++)
#pragma unroll
            for (int c = 0; c < batch.COUNT; c++) {
                u64 i = batch.row(k) + c, j = batch.col(k);
                if (magnitude(x.of[k].x[c]) >= infinity) first = min(first, turned ? j * rows + i : i * cols + j);
            }
    });
    if (first != ~0ull) atomicMin(out, first);
}

template <int COUNT>
__device__ __forceinline__ void join_in_thread(double (&sum)[COUNT]) {
#pragma unroll
    for (int apart = 1; apart < COUNT; apart *= 2)
#pragma unroll
        for (int c = 0; c < COUNT; c += 2 * apart) sum[c] += sum[c + apart];
}

// The sum of COUNT sums a lane, of 2^lane_bits lanes each: position p among them is in lane p / COUNT where they
// were met by vectors, else in lane p mod 2^lane_bits. Neighbours are added first, then pairs, ….
template <int COUNT>
__device__ __forceinline__ double joined(double (&sum)[COUNT], u32 lane_bits, u32 vector) {
    if (vector) {
        join_in_thread(sum);
        for (u32 apart = 1; apart >> lane_bits == 0; apart <<= 1)
            sum[0] += __shfl_xor_sync(0xffffffffu, sum[0], apart);
    } else {
        for (u32 apart = 1; apart >> lane_bits == 0; apart <<= 1)
#pragma unroll
            for (int c = 0; c < COUNT; c++) sum[c] += __shfl_xor_sync(0xffffffffu, sum[c], apart);
        join_in_thread(sum);
    }
    return sum[0];
}

// Adds (factor·x)² for what is loaded in a turn: of position s·COUNT·lanes + p to the sum of p.
template <int COUNT, typename T>
__device__ __forceinline__ void add_squares(const Several<T, COUNT> (&x)[BATCH], double factor,
                                            double (&sum)[COUNT]) {
#pragma unroll
    for (int s = 0; s < BATCH; s++)
#pragma unroll
        for (int c = 0; c < COUNT; c++) {
            double y = factor * (double)x[s].x[c];
            sum[c] = __fma_rn(y, y, sum[c]);
        }
}

// Entries of positions from `start` on in BATCH·COUNT·2^lane_bits, of which a lane has COUNT side by side or
// every 2^lane_bits-th; at(p) is the address of one, or null where there is none.
template <typename T, int COUNT, typename At>
__device__ __forceinline__ void load(Several<T, COUNT> (&x)[BATCH], u32 start, u32 lane_bits, u32 vector, At at) {
    u32 lane = threadIdx.x & ((1u << lane_bits) - 1);
    if (vector) {
#pragma unroll
        for (int s = 0; s < BATCH; s++) {
            const T* from = at(start + ((s << lane_bits) + lane) * COUNT);
            if (from) x[s] = *reinterpret_cast<const Several<T, COUNT>*>(from);
        }
    } else {
#pragma unroll
        for (int s = 0; s < BATCH; s++)
#pragma unroll
            for (int c = 0; c < COUNT; c++) {
                const T* from = at(start + ((s * COUNT + c) << lane_bits) + lane);
                if (from) x[s].x[c] = *from;
            }
    }
}

// Entries of a warp's part of a sum.
#define PART_BITS 12

// partial[t] <- sum of (factor·a)² over the parts 8t to 8t + 7, each 2^row_bits rows of 2^(PART_BITS - row_bits)
// columns; factor is a power of two.
template <typename T>
__device__ __forceinline__ void squares(View a, i64 rows, i64 cols, u32 row_bits, u32 vector,
                                        double factor, double* partial) {
    const int COUNT = sizeof(Vector<T>) / sizeof(T);
    __shared__ double sums[WARPS];
    u32 warp = threadIdx.x >> 5, col_bits = PART_BITS - row_bits;
    i64 down = (rows + (1 << row_bits) - 1) >> row_bits;
    i64 parts = down * ((cols + (1 << col_bits) - 1) >> col_bits);
#pragma unroll 1
    for (i64 t = blockIdx.x; t * WARPS < parts; t += gridDim.x) {
        i64 part = t * WARPS + warp, across = part / down;
        i64 i0 = (part - across * down) << row_bits, j0 = across << col_bits;
        // None where the part does not exist.
        u32 count = (u32)max((i64)0, min((i64)1 << col_bits, cols - j0)) << row_bits;
        double sum[COUNT] = {};
#pragma unroll 1
        for (u32 start = 0; start < count; start += BATCH * COUNT * 32) {
            Several<T, COUNT> x[BATCH] = {};
            load<T, COUNT>(x, start, 5, vector, [&](u32 p) {
                i64 i = i0 + (p & ((1u << row_bits) - 1));
                return i < rows && p < count ? at<T>(a, i, j0 + (p >> row_bits)) : nullptr;
            });
            add_squares(x, factor, sum);
        }
        double total = joined(sum, 5, vector);
        if ((threadIdx.x & 31) == 0) sums[warp] = total;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (u32 w = 1; w < WARPS; w++) total += sums[w];
            partial[t] = total;
        }
        __syncthreads();
    }
}

// Rows of a part of a sum over a column.
#define COLUMN_ROWS 1024

// partial[t + tiles·j] <- sum of (factor·a)² over the rows of tile t of column j, rows fast: 2^lane_bits lanes
// share a column.
template <typename T>
__device__ __forceinline__ void column_squares(View a, i64 rows, i64 cols, u32 lane_bits, u32 vector,
                                               double factor, double* partial) {
    const int COUNT = sizeof(Vector<T>) / sizeof(T);
    i64 tiles = (rows + COLUMN_ROWS - 1) / COLUMN_ROWS, width = THREADS >> lane_bits;
    i64 groups = (cols + width - 1) / width;
#pragma unroll 1
    for (i64 work = blockIdx.x; work < tiles * groups; work += gridDim.x) {
        i64 group = work / tiles, t = work - group * tiles;
        i64 i0 = t * COLUMN_ROWS, j = group * width + (threadIdx.x >> lane_bits);
        u32 count = (u32)min((i64)COLUMN_ROWS, rows - i0);
        double sum[COUNT] = {};
#pragma unroll 1
        for (u32 start = 0; start < count; start += (BATCH * COUNT) << lane_bits) {
            Several<T, COUNT> x[BATCH] = {};
            load<T, COUNT>(x, start, lane_bits, vector,
                           [&](u32 p) { return p < count && j < cols ? at<T>(a, i0 + p, j) : nullptr; });
            add_squares(x, factor, sum);
        }
        double total = joined(sum, lane_bits, vector);
        if ((threadIdx.x & ((1u << lane_bits) - 1)) == 0 && j < cols) partial[t + tiles * j] = total;
    }
}

// The same with columns fast: a thread sums COUNT columns side by side over every 2^group_bits-th row, and the
// groups meet in shared memory, padded so that neither direction meets a bank twice.
template <int COUNT, typename T>
__device__ __forceinline__ void column_squares_by_rows(View a, i64 rows, i64 cols, u32 group_bits,
                                                       double factor, double* partial, double* sums) {
    const u32 LINE = THREADS + 16 / COUNT;
    u32 width = THREADS >> group_bits, group = threadIdx.x / width, lane = threadIdx.x % width;
    i64 tiles = (rows + COLUMN_ROWS - 1) / COLUMN_ROWS;
    i64 blocks = (cols + width * COUNT - 1) / (width * COUNT);
#pragma unroll 1
    for (i64 work = blockIdx.x; work < tiles * blocks; work += gridDim.x) {
        i64 block = work / tiles, t = work - block * tiles;
        i64 i0 = t * COLUMN_ROWS, j0 = block * width * COUNT, j = j0 + lane * COUNT;
        u32 count = j < cols ? (u32)min((i64)COLUMN_ROWS, rows - i0) : 0;
        i64 next = (a.row_stride << group_bits) * (i64)sizeof(T);
        typename Batch<T, COUNT>::Places from = {(char*)at<T>(a, i0 + group, j), 0, kept(next)};
        double sum[COUNT] = {};
#pragma unroll 1
        for (u32 row = group; row < count; row += BATCH << group_bits, from.first += BATCH * next) {
            Several<T, COUNT> x[BATCH] = {};
#pragma unroll
            for (int s = 0; s < BATCH; s++)
                if (row + (s << group_bits) < count) x[s] = *from.at(s);
            add_squares(x, factor, sum);
        }
#pragma unroll
        for (int c = 0; c < COUNT; c++) sums[c * LINE + threadIdx.x] = sum[c];
        __syncthreads();
#pragma unroll
        for (u32 c = 0; c < COUNT; c++) {
            u32 column = c * THREADS + threadIdx.x;
            if (column >= width * COUNT) break;
            const double* of = sums + column % COUNT * LINE + column / COUNT;
            double total = of[0];
            for (u32 g = 1; g >> group_bits == 0; g++) total += of[g * width];
            if (j0 + column < cols) partial[t + tiles * (j0 + column)] = total;
        }
        __syncthreads();
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
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        largest_##NAME(View a, i64 rows, i64 cols, u32 tile_bits, u32 vector, u64* out) {          \
        largest<T>(a, rows, cols, tile_bits, vector, out);                                         \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        non_finite_##NAME(View a, i64 rows, i64 cols, u32 tile_bits, u32 vector, u32 turned,       \
                          u64* out) {                                                              \
        non_finite<T>(a, rows, cols, tile_bits, vector, turned, out);                              \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        squares_##NAME(View a, i64 rows, i64 cols, u32 row_bits, u32 vector, double factor,        \
                       double* partial) {                                                          \
        squares<T>(a, rows, cols, row_bits, vector, factor, partial);                              \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        column_squares_##NAME(View a, i64 rows, i64 cols, u32 lane_bits, u32 vector,               \
                              double factor, double* partial) {                                    \
        column_squares<T>(a, rows, cols, lane_bits, vector, factor, partial);                      \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        column_squares_by_rows_##NAME(View a, i64 rows, i64 cols, u32 group_bits, u32 vector,      \
                                      double factor, double* partial) {                            \
        const int COUNT = sizeof(Vector<T>) / sizeof(T);                                           \
        __shared__ double sums[COUNT * THREADS + 16];                                              \
        if (vector)                                                                                \
            column_squares_by_rows<COUNT, T>(a, rows, cols, group_bits, factor, partial, sums);    \
        else                                                                                       \
            column_squares_by_rows<1, T>(a, rows, cols, group_bits, factor, partial, sums);        \
    }

KERNELS(float, f32)
KERNELS(double, f64)
