// Transforms of columns, tile by tile in shared memory: what Walsh-Hadamard and Fourier transforms
// have in common.
//
// A tile (tile.cuh) is loaded, transformed for one or more rounds with a diagonal between them, and
// stored. Butterflies of several bits are done in registers, and entries are stored permuted so that they
// meet no bank twice.
//
// The first pass reads the matrix outside (signs, zero padding, window, factors on the way), the last
// one writes it. A column that fits a tile is read and written once. Of the rows of a transform those that
// are sampled are the only ones written, or for the transpose read.

#include "tile.cuh"
#include "ends.cuh"

// Butterflies of G bits from point bit q on.
template <typename K, int G>
__device__ __forceinline__ void butterflies(const Mix& m, i64 tile, typename K::Entry* entries, u32 q,
                                            bool inverse) {
    typedef typename K::Entry E;
    u32 s = q + (m.points_fast ? 0 : m.lanes), units = 1u << (m.points + m.lanes - G);
    // Places in bytes.
    u64 bit[G], part[1 << G] = {};
#pragma unroll
    for (u32 b = 0; b < G; b++) bit[b] = place<sizeof(E)>(1u << (s + b)) * (u32)sizeof(E);
#pragma unroll
    for (u32 k = 1; k < 1u << G; k++) part[k] = part[k & (k - 1)] ^ bit[log2(k & -k)];
    #pragma unroll 1
    for (u32 u = threadIdx.x; u < units; u += THREADS) {
        u32 e = u >> s << (s + G) | (u & mask(s));
        u64 where = place<sizeof(E)>(e) * (u32)sizeof(E);
        char* memory = reinterpret_cast<char*>(entries);
        E x[1 << G];
#pragma unroll
        for (u32 k = 0; k < 1u << G; k++) x[k] = *reinterpret_cast<E*>(memory + (where ^ part[k]));
        i64 below = 0;
        if (K::TWIDDLES) {
            u32 p = m.points_fast ? e & mask(m.points) : e >> m.lanes;
            u32 l = m.points_fast ? e >> m.points : e & mask(m.lanes);
            below = ((i64)(p & mask(q)) << m.shift) + low_bits(m, lane_of<K>(m, tile, l).other);
        }
        K::template butterfly<G>(m, x, below, m.shift + q, inverse);
#pragma unroll
        for (u32 k = 0; k < 1u << G; k++) *reinterpret_cast<E*>(memory + (where ^ part[k])) = x[k];
    }
    __syncthreads();
}

template <typename K>
__device__ __forceinline__ void butterflies(const Mix& m, i64 tile, typename K::Entry* entries, u32 q,
                                            u32 bits, bool inverse) {
    if (bits == 1) butterflies<K, 1>(m, tile, entries, q, inverse);
    if (bits == 2) butterflies<K, 2>(m, tile, entries, q, inverse);
    if (bits == 3) butterflies<K, 3>(m, tile, entries, q, inverse);
    if (K::BITS == 4 && bits == 4) butterflies<K, K::BITS>(m, tile, entries, q, inverse);
}

// From the highest bit down, inverse rounds from the lowest up. Where BITS do not divide the bits, the
// rest is at the top: neighbouring threads meet neighbouring places there.
template <typename K>
__device__ __forceinline__ void transform(const Mix& m, i64 tile, typename K::Entry* entries,
                                          bool inverse) {
    #pragma unroll 1
    for (u32 done = 0; done < m.points;) {
        u32 left = m.points - done, rest = inverse ? 0 : left % K::BITS;
        u32 bits = rest ? rest : min((u32)K::BITS, left);
        butterflies<K>(m, tile, entries, inverse ? done : m.points - done - bits, bits, inverse);
        done += bits;
    }
}

// The diagonal before a round.
template <typename K, u32 U>
__device__ __forceinline__ void diagonal(const Mix& m, i64 tile, typename K::Entry* entries, u32 round) {
    typedef typename K::Entry E;
    batches<K, false, U, 1>(m, tile, m.product, [&](const Batch<U>& batch) {
        E factor[U];
        bool used[U];
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            used[u] = K::CONVOLVES ? batch.valid[u] : batch.exists[u];
            if (used[u]) factor[u] = K::between(m, round, batch.at[u], batch.offset[u]);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!used[u]) continue;
            E& x = entry_of(entries, batch, u, 0);
            x = K::scaled(m, x, factor[u]);
        }
    });
    __syncthreads();
}

// A tile by a block.
template <typename K>
__device__ __forceinline__ void pass(const Mix& m) {
    extern __shared__ double2 memory[];
    typename K::Entry* entries = reinterpret_cast<typename K::Entry*>(memory);
    i64 tile = blockIdx.x;
    load<K>(m, tile, entries);
    __syncthreads();
    #pragma unroll 1
    for (u32 r = 0; r < m.rounds; r++) {
        if (r > 0) diagonal<K, 2>(m, tile, entries, m.round + r);
        transform<K>(m, tile, entries, K::TWIDDLES && (m.round + r & 1));
    }
    store<K>(m, tile, entries);
}
