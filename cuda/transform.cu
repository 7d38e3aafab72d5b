// Walsh-Hadamard transforms of columns, and what subsampled transforms draw.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | hadamard | tiles of 2^10 to 2^14 entries | entries read and written once a pass | 2·4 B (f32), 2·8 B (f64) an entry: 0.37, 0.19 entries/ps |
// | hadamard_move | 256 entries of sampled rows at a time | entries read and written once, 8 B a row | the same |
// | draw | 256 blocks of signs or sampled rows at a time | a bit a coordinate and round, 8 B a row | some µs |
//
// Flops: an addition an entry and bit, 14 for columns of 2^14, so memory is the bound: an entry passes
// through shared memory once for four bits (f64: three). Columns up to 2^14 (f32) or 2^13 (f64) entries
// take one pass, row-major ones of many columns up to 2^9; longer ones two up to 2^23, 2^22 and 2^18.

#include "common.cuh"
#include "random.cuh"
#include "permutation.cuh"
#include "transform.cuh"

template <typename T>
struct Hadamard {
    typedef T Entry;
    typedef T Real;
    static const int BITS = sizeof(T) == 4 ? 4 : 3;
    static const bool TWIDDLES = false, CONVOLVES = false;

    static __device__ __forceinline__ T zero() { return T(0); }
    static __device__ __forceinline__ i64 row(const Mix&, i64 at) { return at; }
    static __device__ __forceinline__ T admit(const Mix&, T x, i64) { return x; }
    static __device__ __forceinline__ T release(const Mix&, T x, i64) { return x; }
    static __device__ __forceinline__ T plus(T x, T y) { return x + y; }
    static __device__ __forceinline__ void keep(const Mix&, i64, i64, T) {}

    // Forwards the second and third diagonals come between the rounds, backwards the third and second.
    static __device__ __forceinline__ void between(const Mix& m, u32 round, i64 at, i64, T& x) {
        T factor = (T)m.between;
        x *= negative(m, m.trans ? 3 - round : round, at) ? -factor : factor;
    }

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

// The signs of `rounds` diagonals in blocks of 128, and the sampled rows first.. of an operator.
extern "C" __global__ void __launch_bounds__(THREADS)
    draw(u32* signs, u32 sign_stream, u32 rounds, i64 blocks, u64* index, Permutation p, u64 first,
         i64 sampled) {
    i64 drawn = rounds * blocks;
    Block* to = reinterpret_cast<Block*>(signs);
    #pragma unroll 1
    for (i64 t = (i64)blockIdx.x * THREADS + threadIdx.x; t < drawn + sampled;
         t += (i64)gridDim.x * THREADS) {
        if (t < drawn) {
            i64 round = t / blocks;
            to[t] = philox(p.seed, sign_stream, (u64)round, (u32)(t - round * blocks));
        } else {
            index[t - drawn] = permuted(p, first + (u64)(t - drawn));
        }
    }
}

#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS) hadamard_##NAME(Mix m) {                 \
        pass<Hadamard<T>>(m);                                                                      \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS) hadamard_move_##NAME(Mix m) {            \
        move_sampled<Hadamard<T>>(m);                                                              \
    }

KERNELS(float, f32)
KERNELS(double, f64)
