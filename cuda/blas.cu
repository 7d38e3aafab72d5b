// Scaled copies, and permutations of rows, for matrices of any strides.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | axpby | 1024 items (stream.cuh) a turn: 1024 entries, or 16 KiB | entries read and written once | 2·4 B (f32), 2·8 B (f64) an entry: 0.37, 0.19 entries/ps |
// | transpose | a tile of 32×32 a turn | the same | the same |
// | move_rows | as axpby | the same, and 8 B a row | the same |
// | scale_by | as axpby | the same, in place, and the factors | the same |
// | mirror | a tile of 32×32 a turn | half of the matrix read, half written | n² entries |
//
// Flops are a few an entry, far below the ridge of 22 (f32) and 11 (f64) flops a byte. The host turns
// matrices so that rows are the fast direction of what is written. A thread loads four items before it uses
// the first, by 16 bytes where alignment and strides allow.

#include "common.cuh"
#include "stream.cuh"

// B <- alpha A + beta B, A and B fast along the same direction.
template <typename T>
__device__ __forceinline__ void axpby(T alpha, View a, T beta, View b, i64 rows, i64 cols,
                                      u32 tile_bits, u32 vector) {
    stream<T>(rows, cols, tile_bits, vector, [&](auto batch) {
        auto to = batch.in(b);
        auto x = batch.read(batch.in(a), alpha != T(0)), y = batch.read(to, beta != T(0));
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            if (!batch.inside[k]) continue;
#pragma unroll
            for (int c = 0; c < batch.COUNT; c++)
                axpby_entry<T>(alpha, &x.of[k].x[c], beta, &y.of[k].x[c]);
            *to.at(k) = y.of[k];
        }
    });
}

// The same with A fast along the columns: tiles of 32×32 turn in shared memory, padded so that
// neither direction meets a bank twice. A thread has four entries of a tile on each side.
#define TILE 32
#define LINES (THREADS / TILE)
template <typename T>
__device__ __forceinline__ void transpose(T alpha, View a, T beta, View b, i64 rows, i64 cols) {
    __shared__ T tile[TILE][TILE + 1];
    u32 x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    i64 tiles_down = (rows + TILE - 1) / TILE, tiles = tiles_down * ((cols + TILE - 1) / TILE);
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 i0 = t % tiles_down * TILE, j0 = t / tiles_down * TILE;
        T given[BATCH] = {}, old[BATCH] = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (i0 + y + k * LINES < rows && j0 + x < cols) given[k] = *at<T>(a, i0 + y + k * LINES, j0 + x);
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (beta != T(0) && i0 + x < rows && j0 + y + k * LINES < cols)
                old[k] = *at<T>(b, i0 + x, j0 + y + k * LINES);
#pragma unroll
        for (int k = 0; k < BATCH; k++) tile[y + k * LINES][x] = given[k];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            axpby_entry<T>(alpha, &tile[x][y + k * LINES], beta, &old[k]);
            if (i0 + x < rows && j0 + y + k * LINES < cols) *at<T>(b, i0 + x, j0 + y + k * LINES) = old[k];
        }
        __syncthreads();
    }
}

// B[:, j] <- scale[j] B[:, j], or B[i, :] <- scale[i] B[i, :] where `by_rows`; factors are aligned as
// rows are.
template <typename T>
__device__ __forceinline__ void scale_by(const T* scale, u32 by_rows, View b, i64 rows, i64 cols,
                                         u32 tile_bits, u32 vector) {
    stream<T>(rows, cols, tile_bits, vector, [&](auto batch) {
        typedef typename decltype(batch)::Item Item;
        auto to = batch.in(b);
        auto x = batch.read(to, true);
        Item factors[BATCH] = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            if (!batch.inside[k]) continue;
            if (by_rows) {
                factors[k] = *reinterpret_cast<const Item*>(scale + batch.row(k));
            } else {
                T factor = scale[batch.col(k)];
#pragma unroll
                for (int c = 0; c < batch.COUNT; c++) factors[k].x[c] = factor;
            }
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            if (!batch.inside[k]) continue;
#pragma unroll
            for (int c = 0; c < batch.COUNT; c++) x.of[k].x[c] *= factors[k].x[c];
            *to.at(k) = x.of[k];
        }
    });
}

// B[i, :] <- A[index[i], :] (gather) or B[index[i], :] <- A[i, :] (scatter). `along_rows`: rows are
// the fast direction, else columns are; threads go along it, by vectors along columns only.
template <typename T>
__device__ __forceinline__ void move_rows(const u64* index, u32 scatter, View a, View b, i64 rows,
                                          i64 cols, u32 along_rows, u32 tile_bits, u32 vector) {
    i64 fast = along_rows ? rows : cols, slow = along_rows ? cols : rows;
    stream<T>(fast, slow, tile_bits, vector, [&](auto batch) {
        typedef typename decltype(batch)::Item Item;
        i64 i = kept(along_rows ? batch.i : batch.j), down = kept(along_rows ? batch.down : batch.right);
        i64 j = kept(along_rows ? batch.j : batch.i), right = kept(along_rows ? batch.right : batch.down);
        i64 place[BATCH] = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (batch.inside[k]) place[k] = (i64)index[i + k * down];
        Item x[BATCH] = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const T* from = at<T>(a, scatter ? i + k * down : place[k], j + k * right);
            if (batch.inside[k]) x[k] = *reinterpret_cast<const Item*>(from);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            T* to = at<T>(b, scatter ? place[k] : i + k * down, j + k * right);
            if (batch.inside[k]) *reinterpret_cast<Item*>(to) = x[k];
        }
    });
}

// G[j, i] <- G[i, j] for i > j: the other triangle of a symmetric matrix, tile by tile.
template <typename T>
__device__ __forceinline__ void mirror(View g, i64 n) {
    __shared__ T tile[TILE][TILE + 1];
    u32 x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    i64 side = (n + TILE - 1) / TILE;
#pragma unroll 1
    for (i64 t = blockIdx.x; t < side * side; t += gridDim.x) {
        i64 i0 = t % side * TILE, j0 = t / side * TILE;
        if (i0 < j0) continue;
        T given[BATCH] = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            i64 i = i0 + x, j = j0 + y + k * LINES;
            if (i < n && j < i) given[k] = *at<T>(g, i, j);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) tile[y + k * LINES][x] = given[k];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            i64 i = i0 + y + k * LINES, j = j0 + x;
            if (i < n && j < i) *at<T>(g, j, i) = tile[x][y + k * LINES];
        }
        __syncthreads();
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        axpby_##NAME(T alpha, View a, T beta, View b, i64 rows, i64 cols, u32 tile_bits,           \
                     u32 vector) {                                                                 \
        axpby<T>(alpha, a, beta, b, rows, cols, tile_bits, vector);                                \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        transpose_##NAME(T alpha, View a, T beta, View b, i64 rows, i64 cols) {                    \
        transpose<T>(alpha, a, beta, b, rows, cols);                                               \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        scale_by_##NAME(const T* scale, u32 by_rows, View b, i64 rows, i64 cols, u32 tile_bits,    \
                        u32 vector) {                                                              \
        scale_by<T>(scale, by_rows, b, rows, cols, tile_bits, vector);                             \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        move_rows_##NAME(const u64* index, u32 scatter, View a, View b, i64 rows, i64 cols,        \
                         u32 along_rows, u32 tile_bits, u32 vector) {                              \
        move_rows<T>(index, scatter, a, b, rows, cols, along_rows, tile_bits, vector);             \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4) mirror_##NAME(View g, i64 n) {        \
        mirror<T>(g, n);                                                                           \
    }

KERNELS(float, f32)
KERNELS(double, f64)
