// Column-sparse operators and compressed sparse rows: positions, products, searches.
//
// | kernel | work | bytes | flops | bound on an H100 (3 TB/s) |
// |---|---|---|---|---|
// | sparse_stack | a thread two entries, a Philox block | 4 written an entry | - | arithmetic, 200 entries/ns |
// | sparse_sign | a thread a column, ζ²/2 comparisons, in shared memory | 4 written an entry | - | 750 entries/ns, or 4000/ζ comparisons |
// | sparse_sign_wide (ζ > 64) | a warp a column, ζ²/64 comparisons a lane, in shared memory up to ζ = 2048 | 4 an entry | - | comparisons |
// | gather | a warp for 1 to 32 rows of C × up to 128 columns | rows of B that a row names: 4 or 8 B an
//   entry and column, from L2 when the panel of B is there; C once | 2 an entry and column | 375 (f32),
//   187 (f64) products a ns from memory for entries met once |
// | meet | a warp a row of C × 512 columns, 32 warps a row at the most | 8 or 12 B for every pair that meets and
//   8 warps of a row, the other seven reading from L1; C once | 2 | 250 pairs/ns up to 4096 columns, 62 at 16384 |
// | meet_wide (beyond 16384 columns) | a warp a row of C, or up to 32 that share its columns | 8 or 12 B for every
//   pair, and a sector of C read and written; C once before | 2 | 42 pairs/ns, 75 where the rows of C that run stay in L2 |
// | scatter_signs (narrow A) | see scatter.cuh |
// | place_of_non_finite | one warp | a row | - | latency |
//
// Every product but scatter_signs is gather or meet: the host turns lists round (sort.cu) when they are stored by the
// other index. A sum runs over a list in its order, cut among lanes and parts by the shapes alone and
// joined in a fixed order: the same bits for every grid, and no float is added by an atomic.
//
// Few long lists are cut into parts, each with a row of C of its own, rows of part 0 first; `join`
// (dense.cu) adds them. Lists are by increasing column mostly, so warps that run at a time meet the same
// rows of B, which come from L2 after the first.

#include "common.cuh"
#include "random.cuh"
#include "sparse.cuh"
#include "scatter.cuh"

// Threads of a block that makes the positions of distinct rows.
#define SIGN_THREADS 128

// Entries 2·pair and 2·pair + 1 of a column, the words of a Philox block; the second one means nothing
// beyond ζ.
struct alignas(8) Entries {
    u32 word[2];
};

// Entry t of the columns `first` and on of an operator with one row in each of `zeta` blocks of rows.
extern "C" __global__ void __launch_bounds__(THREADS)
    sparse_stack(u64 seed, u32 stream, u32 d, u32 zeta, u64 first, i64 columns, u32* words) {
    i64 pairs = (zeta + 1) / 2, step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 at = (i64)blockIdx.x * THREADS + threadIdx.x; at < columns * pairs; at += step) {
        i64 j = at / pairs;
        u32 pair = (u32)(at - j * pairs);
        Block block = philox(seed, stream, first + j, pair);
        Entries e;
        u64 start = (u64)(2 * pair) * d / zeta;
#pragma unroll
        for (u32 k = 0; k < 2; k++) {
            u64 w = word64(block, k), end = (u64)(2 * pair + k + 1) * d / zeta;
            u32 row = (u32)(start + __umul64hi(w, end - start));
            e.word[k] = row << 1 | (u32)(w & 1);
            start = end;
        }
        u32* out = words + j * zeta + 2 * pair;
        if (zeta % 2 == 0) {
            *reinterpret_cast<Entries*>(out) = e;
        } else {
            out[0] = e.word[0];
            if (2 * pair + 1 < zeta) out[1] = e.word[1];
        }
    }
}

// ζ distinct rows a column by Floyd's algorithm, a thread a column. The words of a warp pass through shared
// memory and leave side by side; those of a column lie `turn` banks from one to the next, so that neither
// 32 columns nor 32 words meet a bank twice (where ζ divides 32).
extern "C" __global__ void __launch_bounds__(SIGN_THREADS)
    sparse_sign(u64 seed, u32 stream, u32 d, u32 zeta, u64 first, i64 columns, u32* words) {
    extern __shared__ u32 memory[];
    u32 lane = threadIdx.x & 31, turn = (31 + zeta) / zeta;
    u32* held = memory + (threadIdx.x >> 5) * (32 * zeta);
    i64 step = (i64)gridDim.x * SIGN_THREADS;
#pragma unroll 1
    for (i64 j0 = (i64)blockIdx.x * SIGN_THREADS + (threadIdx.x & ~31u); j0 < columns; j0 += step) {
        Block block = {};
#pragma unroll 1
        for (u32 t = 0; t < zeta; t++) {
            if (!(t & 1)) block = philox(seed, stream, first + j0 + lane, t >> 1);
            u64 w = t & 1 ? word64(block, 1) : word64(block, 0);
            u32 last = d - (zeta - t), row = (u32)__umul64hi(w, (u64)last + 1);
            bool taken = false;
            for (u32 earlier = 0; earlier < t; earlier++)
                taken |= held[earlier * 32 + (lane + turn * earlier & 31)] >> 1 == row;
            held[t * 32 + (lane + turn * t & 31)] = (taken ? last : row) << 1 | (u32)(w & 1);
        }
        __syncwarp();
        u32 count = (u32)min((i64)32, columns - j0) * zeta;
#pragma unroll 1
        for (u32 e = lane; e < count; e += 32) {
            u32 column = e / zeta, t = e - column * zeta;
            words[j0 * zeta + e] = held[t * 32 + (column + turn * t & 31)];
        }
        __syncwarp();
    }
}

// Words of a column that are held in shared memory; more are looked up where they were written.
#define HELD 2048

// The same for many rows a column: the lanes of a warp share the search. Lane t % 32 holds word t until 32
// leave side by side.
extern "C" __global__ void __launch_bounds__(SIGN_THREADS)
    sparse_sign_wide(u64 seed, u32 stream, u32 d, u32 zeta, u64 first, i64 columns, u32* words) {
    __shared__ u32 memory[SIGN_THREADS / 32][HELD];
    u32 lane = threadIdx.x & 31;
    i64 warps = (i64)gridDim.x * (SIGN_THREADS / 32);
#pragma unroll 1
    for (i64 j = ((i64)blockIdx.x * SIGN_THREADS + threadIdx.x) >> 5; j < columns; j += warps) {
        Block block = {};
        u32 *out = words + j * zeta, mine = 0;
        u32* held = zeta <= HELD ? memory[threadIdx.x >> 5] : out;
#pragma unroll 1
        for (u32 t = 0; t < zeta; t++) {
            if (!(t & 1)) block = philox(seed, stream, first + j, t >> 1);
            u64 w = t & 1 ? word64(block, 1) : word64(block, 0);
            u32 last = d - (zeta - t), row = (u32)__umul64hi(w, (u64)last + 1);
            bool found = lane < (t & 31) && mine >> 1 == row;
            for (u32 earlier = lane; earlier < (t & ~31u); earlier += 32) found |= held[earlier] >> 1 == row;
            bool taken = __any_sync(0xffffffffu, found);
            if (lane == (t & 31)) mine = (taken ? last : row) << 1 | (u32)(w & 1);
            u32 place = (t & ~31u) + lane;
            if (((t & 31) == 31 || t + 1 == zeta) && place <= t) {
                out[place] = mine;
                held[place] = mine;
            }
            __syncwarp();
        }
    }
}

// Columns of a dense row of C that a warp keeps in shared memory.
#define WIDTH 512

// C <- alpha X Y + beta C, both by rows, C (rows · parts) × cols. No row of Y has a column twice, so the lanes
// of a warp never add to one place at a time. The warps of a block have neighbouring columns of one row where
// there are so many: they walk the same lists at about the same time, which come from memory once for all.
template <typename Left, typename Right, typename T>
__device__ __forceinline__ void meet(T alpha, const Left& x, const Right& y, T beta, View c, i64 rows,
                                     u32 part_bits, i64 cols) {
    __shared__ T sums[THREADS / 32][WIDTH];
    u32 lane = threadIdx.x & 31;
    T* sum = sums[threadIdx.x >> 5];
    i64 windows = (cols + WIDTH - 1) / WIDTH, work = (rows << part_bits) * windows;
    i64 warps = (i64)gridDim.x * (THREADS / 32);
#pragma unroll 1
    for (i64 w = ((i64)blockIdx.x * THREADS + threadIdx.x) >> 5; w < work; w += warps) {
        i64 i = w / windows, j0 = w % windows * WIDTH;
        i64 width = min((i64)WIDTH, cols - j0);
        for (i64 j = lane; j < width; j += 32) sum[j] = T(0);
        __syncwarp();
        u64 begin, end;
        part_of(x, i % rows, i / rows, part_bits, begin, end);
#pragma unroll 1
        for (u64 e = begin; e < end; e++) {
            i64 k;
            T left;
            if (!x.get(e, k, left)) continue;
            u64 last = y.end(k);
            for (u64 f = y.begin(k) + lane; f < last; f += 32) {
                i64 j;
                T right;
                if (y.get(f, j, right) && j >= j0 && j - j0 < width) sum[j - j0] += left * right;
            }
            __syncwarp();
        }
        for (i64 j = lane; j < width; j += 32)
            axpby_entry<T>(alpha, &sum[j], beta, at<T>(c, i, j0 + j));
        __syncwarp();
    }
}

// The same for rows of C that are too long for it: sums are made in C, which is scaled by beta first. A warp has
// `width` columns of a row to itself, so the order of a sum is that of the list here too.
template <typename Left, typename Right, typename T>
__device__ __forceinline__ void meet_wide(T alpha, const Left& x, const Right& y, T beta, View c, i64 rows,
                                          u32 part_bits, i64 cols, i64 width) {
    u32 lane = threadIdx.x & 31;
    i64 windows = (cols + width - 1) / width, work = (rows << part_bits) * windows;
    i64 warps = (i64)gridDim.x * (THREADS / 32);
#pragma unroll 1
    for (i64 w = ((i64)blockIdx.x * THREADS + threadIdx.x) >> 5; w < work; w += warps) {
        i64 i = w / windows, j0 = w % windows * width, end_j = min(j0 + width, cols);
        if (beta != T(1))
            for (i64 j = j0 + lane; j < end_j; j += 32)
                axpby_entry<T, T>(T(0), nullptr, beta, at<T>(c, i, j));
        __syncwarp();
        u64 begin, end;
        part_of(x, i % rows, i / rows, part_bits, begin, end);
#pragma unroll 1
        for (u64 e = begin; e < end; e++) {
            i64 k;
            T left;
            if (!x.get(e, k, left)) continue;
            left *= alpha;
            u64 last = y.end(k);
            for (u64 f = y.begin(k) + lane; f < last; f += 32) {
                i64 j;
                T right;
                if (y.get(f, j, right) && j >= j0 && j < end_j) *at<T>(c, i, j) += left * right;
            }
            __syncwarp();
        }
    }
}

// The row of stored entry `place`, and the smallest column of a value of that row that is not finite
// from there on: out[0], out[1]. One warp.
template <typename T>
__device__ __forceinline__ void place_of_non_finite(const u64* row_ptr, i64 rows, const u32* col_idx,
                                                    const T* values, u64 place, u64* out) {
    place += row_ptr[0];
    i64 low = 0, high = rows;
    while (high - low > 1) {
        i64 middle = low + (high - low) / 2;
        if (row_ptr[middle] <= place) low = middle;
        else high = middle;
    }
    u32 column = 0xffffffffu;
    for (u64 e = place + threadIdx.x; e < row_ptr[low + 1]; e += 32) {
        u64 bits = __double_as_longlong((double)values[e]) & 0x7fffffffffffffffull;
        if (bits >= 0x7ff0000000000000ull) column = min(column, col_idx[e]);
    }
    column = __reduce_min_sync(0xffffffffu, column);
    if (threadIdx.x == 0) {
        out[0] = (u64)low;
        out[1] = column;
    }
}

#define MEET(STEM, LEFT, RIGHT, T, NAME)                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        STEM##_##NAME(T alpha, Lists x, Lists y, T beta, View c, i64 rows, u32 part_bits,          \
                      i64 cols) {                                                                  \
        meet(alpha, LEFT<T>{x}, RIGHT<T>{y}, beta, c, rows, part_bits, cols);                      \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                       \
        STEM##_wide_##NAME(T alpha, Lists x, Lists y, T beta, View c, i64 rows, u32 part_bits,     \
                           i64 cols, i64 width) {                                                  \
        meet_wide(alpha, LEFT<T>{x}, RIGHT<T>{y}, beta, c, rows, part_bits, cols, width);          \
    }

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        gather_stored_##NAME(T alpha, Lists x, View b, T beta, View c, i64 rows, u32 part_bits,    \
                             i64 cols, u32 wide, u32 split) {                                      \
        gather<T, T>(alpha, Stored<T>{x}, b, beta, c, rows, part_bits, cols, wide, split);               \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        gather_signs_##NAME(T alpha, Lists x, View b, T beta, View c, i64 rows, u32 part_bits,     \
                            i64 cols, u32 wide, u32 split) {                                       \
        gather<T, T>(alpha, Signs<T>{x}, b, beta, c, rows, part_bits, cols, wide, split);                \
    }                                                                                              \
    MEET(stored_meets_stored, Stored, Stored, T, NAME)                                             \
    MEET(stored_meets_signs, Stored, Signs, T, NAME)                                               \
    MEET(signs_meet_stored, Signs, Stored, T, NAME)                                                \
    extern "C" __global__ void __launch_bounds__(SCATTER_THREADS)                                  \
        scatter_signs_##NAME(T alpha, Lists x, u32 stacked, View a, T beta, View c, i64 inner,     \
                             u32 cols, u32 wide, u32 slices, i64 parts) {                          \
        scatter<T>(alpha, x, stacked, a, beta, c, inner, cols, wide, slices, parts);            \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(32)                                               \
        place_of_non_finite_##NAME(const u64* row_ptr, i64 rows, const u32* col_idx,               \
                                   const T* values, u64 place, u64* out) {                         \
        place_of_non_finite<T>(row_ptr, rows, col_idx, values, place, out);                        \
    }

KERNELS(float, f32)
KERNELS(double, f64)
