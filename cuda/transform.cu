// Walsh-Hadamard transforms of columns, and what subsampled transforms draw.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | hadamard | a tile of 2^10 to 2^14 entries | entries read and written once a pass | 2·4 B (f32), 2·8 B (f64) an entry: 0.37, 0.19 entries/ps |
// | draw | 256 blocks of signs or sampled rows at a time | a bit a coordinate and round; 8 B a row, or a sector each for its bit and its place | some µs |
//
// Flops: an addition an entry and bit, 14 for columns of 2^14, so memory is the bound: an entry passes
// through shared memory once for four bits (f64: three). Columns up to 2^14 (f32) or 2^13 (f64) entries
// take one pass, row-major ones of many columns up to 2^9; longer ones two up to 2^23, 2^22 and 2^18.
//
// Of two passes with d sampled rows the second writes those only: 3n entries and a sector for each of the
// d instead of 4n entries; transposed, the first reads only d. Which rows they are is a bit a row, which a
// warp reads for 32 of them at once; the place is looked up where the bit is set.
//
// Three blocks fit a multiprocessor: by the shared memory of the largest tiles, and by 80 registers. With 4
// loads of 16 bytes a thread under way that is 48 KB, three times what 3 TB/s need at a latency of 0.7 µs.

#include "common.cuh"
#include "random.cuh"
#include "permutation.cuh"
#include "transform.cuh"

template <typename T>
struct Hadamard {
    typedef T Entry;
    typedef T Real;
    struct Factor {};
    static const int RUNS = 4, BITS = sizeof(T) == 4 ? 4 : 3;
    static const bool TWIDDLES = false, CONVOLVES = false, WIDE = true;

    static __device__ __forceinline__ T zero() { return T(0); }
    static __device__ __forceinline__ i64 row(const Mix&, i64 at) { return at; }
    static __device__ __forceinline__ Factor at_entrance(const Mix&, i64) { return {}; }
    static __device__ __forceinline__ Factor at_exit(const Mix&, i64) { return {}; }
    static __device__ __forceinline__ T admit(T x, Factor) { return x; }
    static __device__ __forceinline__ T release(T x, Factor) { return x; }

    // Forwards the second and third diagonals come between the rounds, backwards the third and second.
    static __device__ __forceinline__ T between(const Mix& m, u32 round, i64 at, i64) {
        return flip((T)m.between, signs_from(m, m.trans ? 3 - round : round, at));
    }
    static __device__ __forceinline__ T scaled(const Mix&, T x, T factor) { return x * factor; }

    template <int G>
    static __device__ __forceinline__ void butterfly(const Mix&, T (&x)[1 << G], i64, u32, bool) {
#pragma unroll
        for (u32 q = 0; q < G; q++)
#pragma unroll
            for (u32 k = 0; k < 1u << G; k++)
                if (!(k >> q & 1)) {
                    T a = x[k], b = x[k | 1u << q];
                    x[k] = a + b;
                    x[k | 1u << q] = a - b;
                }
    }
};

// The signs of `rounds` diagonals in blocks of 128, and the sampled rows first.. of an operator: as a list,
// or of each row of the transform whether it is `chosen`, a bit each, all zero before, and its place.
extern "C" __global__ void __launch_bounds__(THREADS)
    draw(u32* signs, u32 sign_stream, u32 rounds, i64 blocks, u64* index, u32* chosen, u32* places,
         Permutation p, u64 first, i64 sampled) {
    i64 drawn = rounds * blocks;
    Block* to = reinterpret_cast<Block*>(signs);
    #pragma unroll 1
    for (i64 t = (i64)blockIdx.x * THREADS + threadIdx.x; t < drawn + sampled;
         t += (i64)gridDim.x * THREADS) {
        if (t < drawn) {
            i64 round = t / blocks;
            to[t] = philox(p.seed, sign_stream, (u64)round, (u32)(t - round * blocks));
            continue;
        }
        u64 row = permuted(p, first + (u64)(t - drawn));
        if (index) {
            index[t - drawn] = row;
        } else {
            atomicOr(chosen + (row >> 5), 1u << (row & 31));
            places[row] = (u32)(t - drawn);
        }
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS, 3) hadamard_##NAME(Mix m) {              \
        pass<Hadamard<T>>(m);                                                                      \
    }

KERNELS(float, f32)
KERNELS(double, f64)
