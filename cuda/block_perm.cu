// BlockPerm-SJLT (src/random/block_perm.rs): wirings, positions, and the product with a dense matrix.
//
// | kernel | work | bytes needed | flops | bound on an H100 (3 TB/s; L2 5.5 TB/s; shared memory 29 TB/s) |
// |---|---|---|---|---|
// | block_perm_wiring | a thread a pair of wired blocks | 4 written a pair | - | latency: two keyed permutations |
// | block_perm_columns | a thread two entries, a Philox block | 4 written an entry | - | arithmetic, 100 entries/ns |
// | block_perm_rows, block_perm_cols | a warp for 64 rows of C × 128 bytes of sums | A κ times, C once | 2κs an entry of A |
//   κ = 4, s = 2: issue of instructions, 22 (f32) or 40 (f64) an entry and pass on the simulator, 1.3 TB of A
//   a second; L2 1.4; shared memory, where an entry of C is read and written for each of the κs entries of a
//   column, 1.8. A comes from memory once where the L2 cache holds the panels that run, 128 bytes a row of A.
//   These are bounds of throughput: the sums leave room for 3 blocks of two warps a multiprocessor, whose
//   shuffles, loads and sums wait for each other, so latency may well keep it below. Halves are summed in f32:
//   as many instructions an entry as f32 and half its bytes, 64 a row of A |
//
// block_perm_rows: a block of rows of C meets κ blocks of rows of A only, and a warp sums a slice of it in
// shared memory. Eight lanes share a row of A, 16 bytes of sums each, so a warp takes four rows at a time; each
// has sums of its own, which are joined when they leave. No two threads ever add to one place: there are
// no atomics and no barriers, and the order of a sum is that of the wirings and of the rows of A. The lanes
// make the positions of 32 columns of S at a time in registers and pass them on by shuffles; none are in
// memory. Rows of 128 bytes meet all banks once; column-major A and C pass through shared memory in tiles whose
// 16-byte pieces lie crosswise, so that columns of a tile meet each bank once too.

#include "common.cuh"
#include "half.cuh"
#include "random.cuh"
#include "permutation.cuh"
#include "block_perm.cuh"

#define THREADS 256

// What each wiring joins to each block: blocks of rows to those of columns, or the other way round if
// `inverse`; table[block · wirings + wiring].
extern "C" __global__ void __launch_bounds__(THREADS)
    block_perm_wiring(Permutation places, Permutation shifts, u32 wirings, u32 inverse, u32* table) {
    i64 pairs = (i64)places.n * wirings;
#pragma unroll 1
    for (i64 t = (i64)blockIdx.x * THREADS + threadIdx.x; t < pairs; t += (i64)gridDim.x * THREADS) {
        u64 block = (u64)t / wirings, turn = permuted(shifts, (u64)t - block * wirings);
        u64 joined = inverse ? unpermuted(places, sub_mod(block, turn, places.n))
                             : add_mod(permuted(places, block), turn, places.n);
        table[t] = (u32)joined;
    }
}

// The entries of the columns of the window, wiring by wiring; a thread has two draws of one wiring.
extern "C" __global__ void __launch_bounds__(THREADS)
    block_perm_columns(BlockPerm s, const u32* outputs, u32* words) {
    u32 pairs = (s.nnz + 1) / 2;
    u64 longer = s.longer_columns * (s.short_columns + 1);
    i64 work = s.columns * ((i64)s.wirings * pairs), step = (i64)gridDim.x * THREADS;
#pragma unroll 1
    for (i64 t = (i64)blockIdx.x * THREADS + threadIdx.x; t < work; t += step) {
        u64 run = (u64)t / pairs, unit = run / s.wirings;
        u32 pair = (u32)((u64)t - run * pairs), wiring = (u32)(run - unit * s.wirings);
        unit += s.first_column;
        u64 h = unit < longer ? unit / (s.short_columns + 1)
                              : s.longer_columns + (unit - longer) / s.short_columns;
        u32 g = outputs[h * s.wirings + wiring];
        Entries e = entries(s, unit, wiring, pair, parts_of(s, g, pair));
        u32* out = words + run * s.nnz + 2 * pair;
        if (s.nnz % 2 == 0) {
            *reinterpret_cast<Entries*>(out) = e;
        } else {
            out[0] = e.word[0];
            if (2 * pair + 1 < s.nnz) out[1] = e.word[1];
        }
    }
}

#define TIMES(T, IN, NAME, STEM, BY_ROWS)                                                          \
    extern "C" __global__ void __launch_bounds__(32 * WARPS)                                       \
        block_perm_##STEM##_##NAME(T alpha, BlockPerm s, const u32* inputs, View a, u32 aligned,   \
                                   T beta, View c, i64 cols, u32 slices, i64 parts) {              \
        times<IN, BY_ROWS>(alpha, s, inputs, a, aligned, beta, c, cols, slices, parts);            \
    }
#define KERNELS(T, IN, NAME)            \
    TIMES(T, IN, NAME, rows, true)      \
    TIMES(T, IN, NAME, cols, false)

KERNELS(float, float, f32)
KERNELS(double, double, f64)
KERNELS(float, F16, f16)
KERNELS(float, BF16, bf16)
