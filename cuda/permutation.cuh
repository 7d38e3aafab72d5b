// A keyed permutation of 0..n with random access (src/random/permutation.rs), bit for bit: a Feistel
// network on a grid a×b just above n. Needs random.cuh.

struct Permutation {
    u64 seed, n, a, b;
    u32 stream, rounds;
};

__device__ __forceinline__ u64 shift(const Permutation& p, u64 half, u32 round, u64 modulus) {
    return __umul64hi(word64(philox(p.seed, p.stream, half, round), 0), modulus);
}

__device__ __forceinline__ u64 add_mod(u64 x, u64 y, u64 m) { return x + y < m ? x + y : x + y - m; }

__device__ __forceinline__ u64 sub_mod(u64 x, u64 y, u64 m) { return x < y ? x + m - y : x - y; }

__device__ __forceinline__ u64 permuted(const Permutation& p, u64 x) {
    do {
        u64 l = x / p.b, r = x - l * p.b;
        #pragma unroll 1
        for (u32 round = 0; round < p.rounds; round += 2) {
            l = add_mod(l, shift(p, r, round, p.a), p.a);
            r = add_mod(r, shift(p, l, round + 1, p.b), p.b);
        }
        x = l * p.b + r;
    } while (x >= p.n);
    return x;
}

// The number whose image is x.
__device__ __forceinline__ u64 unpermuted(const Permutation& p, u64 x) {
    do {
        u64 l = x / p.b, r = x - l * p.b;
        #pragma unroll 1
        for (u32 round = p.rounds; round > 0; round -= 2) {
            r = sub_mod(r, shift(p, l, round - 1, p.b), p.b);
            l = sub_mod(l, shift(p, r, round - 2, p.a), p.a);
        }
        x = l * p.b + r;
    } while (x >= p.n);
    return x;
}
