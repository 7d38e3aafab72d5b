// Transforms of columns, tile by tile in shared memory: what Walsh-Hadamard and Fourier transforms
// have in common.
//
// A column is indexed by a position of `bits` bits. A pass transforms along `points` neighbouring bits
// of it, from bit `shift` on; the other bits and the columns only tell independent transforms apart. A
// tile holds all 2^points positions of 2^lanes such transforms, chosen so that memory is met in whole
// lines: side by side along rows where rows are the fast direction, else along columns. It is loaded,
// transformed for one or more rounds with a diagonal between them, and stored. Butterflies of several
// bits are done in registers, and entries are stored permuted so that they meet no bank twice.
//
// The first pass reads the matrix outside (signs, zero padding, window, factors on the way), the last
// one writes it. A column that fits a tile is read and written once, and only its sampled rows are.

#define THREADS 256

// What a pass reads first and writes last.
enum { SCRATCH = 0, WINDOW = 1, SAMPLED = 2, PRODUCT = 3 };

// The arguments of all kernels of transforms (`Mix` in src/device/cuda/transform.rs).
struct Mix {
    View source, target, scratch;
    // Of a convolution: the product of the spectra so far, in the order of the positions.
    View product;
    // A bit a coordinate, `words` words a round; or null.
    const u32* signs;
    // The sampled rows of the transform.
    const u64* index;
    // Tables of cosine transforms: factors at the entrance and at the exit, the diagonal between two
    // rounds, roots of unity.
    const void *enter, *leave, *spectrum, *roots;
    // Order, and the coordinates that exist outside: first.. + count.
    i64 n, first, count;
    // Sampled rows, or positions that a convolution without a wrap may fill.
    i64 sampled, cols, tiles;
    // result = factor S A + beta C; `between` goes with the signs between rounds.
    double factor, beta, between;
    u32 words, bits, shift, points, lanes;
    // Lanes are columns; points lie side by side.
    u32 along_cols, points_fast;
    u32 load, store;
    // Rounds of this pass, and the first one's number.
    u32 rounds, round;
    // The transpose; whether the transform leaves bit-reversed positions.
    u32 trans, reversed;
    // Direction and logarithm of the threads along it when sampled rows are moved.
    u32 by_rows, fast_bits;
    // Of a convolution: whether the product is multiplied, or begun.
    u32 merge;
};

__device__ __forceinline__ u32 mask(u32 bits) { return (1u << bits) - 1; }

// The position whose bits are those of `at` backwards, where the transform reverses them.
__device__ __forceinline__ i64 reversed(const Mix& m, i64 at) {
    return m.reversed && m.bits ? (i64)(__brevll((u64)at) >> (64 - m.bits)) : at;
}

__device__ __forceinline__ bool negative(const Mix& m, u32 round, i64 i) {
    return m.signs && m.signs[(i64)round * m.words + (i >> 5)] >> (i & 31) & 1;
}

// Where an entry of a tile is stored: with this, 32 threads that hold butterflies of 2^BITS entries at
// any bit, or of fewer at a multiple of BITS from 2·BITS on, meet each bank once. Complex numbers do so too
// where threads take neighbours of bit-reversed order. Linear: the places of numbers without a common bit
// combine by ^.
template <int SIZE>
__device__ __forceinline__ u32 place(u32 e) {
    if (SIZE == 4) return e ^ (e >> 4 & 0x1e) ^ (e >> 8 & 1);
    if (SIZE == 8) return e ^ (e >> 3 & 0xe) ^ (e >> 6 & 1) ^ (e >> 7 & 0xf) ^ (e >> 11 & 3);
    return e ^ (e >> 3 & 7) ^ (e >> 6 & 7) ^ (e >> 9 & 7);
}

// One of the transforms of a tile: its other bits and its column.
struct Lane {
    i64 other, col;
    bool valid;
};

// Whether transforms are taken in the bit-reversed order of their other bits: in the last of several
// passes, so that what leaves in reversed order lies side by side.
__device__ __forceinline__ bool turned(const Mix& m) {
    return m.reversed && !m.along_cols && m.shift == 0 && m.points < m.bits;
}

__device__ __forceinline__ Lane lane_of(const Mix& m, i64 tile, u32 l) {
    u32 other_bits = m.bits - m.points;
    if (m.along_cols) {
        i64 across = (m.cols + mask(m.lanes)) >> m.lanes;
        i64 other = tile / across, col = (tile - other * across << m.lanes) + l;
        return {other, col, col < m.cols};
    }
    i64 b = (tile << m.lanes) + l, col = b >> other_bits;
    i64 other = b & ((1ll << other_bits) - 1);
    if (turned(m)) other = (i64)(__brevll((u64)other) >> (64 - other_bits));
    return {other, col, col < m.cols};
}

__device__ __forceinline__ i64 low_bits(const Mix& m, i64 other) {
    return other & ((1ll << m.shift) - 1);
}

__device__ __forceinline__ i64 position(const Mix& m, i64 other, u32 p) {
    return (other >> m.shift << (m.shift + m.points)) + ((i64)p << m.shift) + low_bits(m, other);
}

template <typename K>
__device__ __forceinline__ u32 slot(const Mix& m, u32 p, u32 l) {
    return place<sizeof(typename K::Entry)>(m.points_fast ? l << m.points | p : p << m.lanes | l);
}

// The threads of a block over lanes and points, the fast direction first.
struct Threads {
    u32 l, p, l_step, p_step;
};

__device__ __forceinline__ Threads threads(bool points_first, u32 points, u32 lanes) {
    u32 t = threadIdx.x, bits = min(points_first ? points : lanes, 8u);
    u32 fast = t & mask(bits), slow = t >> bits, fast_step = 1u << bits, slow_step = THREADS >> bits;
    if (points_first) return {slow, fast, slow_step, fast_step};
    return {fast, slow, fast_step, slow_step};
}

// The entry of the matrix outside that belongs to a position, zero where there is none.
template <typename K>
__device__ __forceinline__ typename K::Entry enter(const Mix& m, i64 at_position, i64 col) {
    typedef typename K::Real T;
    if (at_position >= m.n) return K::zero();
    i64 row = m.trans ? at_position : K::row(m, at_position), i = row - m.first;
    if (i < 0 || i >= m.count) return K::zero();
    T x = *at<T>(m.source, i, col);
    return K::admit(m, negative(m, 0, row) ? -x : x, at_position);
}

// Writes the entry of the transform with number `k` to the row outside where it belongs.
template <typename K>
__device__ __forceinline__ void leave(const Mix& m, i64 k, i64 col, typename K::Entry x) {
    typedef typename K::Real T;
    if (k >= m.n) return;
    i64 row = m.trans ? K::row(m, k) : k, i = row - m.first;
    if (i < 0 || i >= m.count) return;
    T y = K::release(m, x, k);
    if (negative(m, 0, row)) y = -y;
    axpby_entry<T>((T)m.factor, &y, (T)m.beta, at<T>(m.target, i, col));
}

// Writes the entry of the transform with number index[i] to row i outside.
template <typename K>
__device__ __forceinline__ void sample(const Mix& m, i64 i, i64 k, i64 col, typename K::Entry x) {
    typedef typename K::Real T;
    T y = K::release(m, x, k);
    axpby_entry<T>((T)m.factor, &y, (T)m.beta, at<T>(m.target, i, col));
}

template <typename K>
__device__ __forceinline__ void load(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Entry E;
    if (m.load == SAMPLED) {
        for (u32 e = threadIdx.x; e < 1u << (m.points + m.lanes); e += THREADS) entries[e] = K::zero();
        __syncthreads();
        Threads t = threads(m.by_rows, m.fast_bits, m.lanes);
        #pragma unroll 1
        for (u32 l = t.l; l < 1u << m.lanes; l += t.l_step) {
            Lane lane = lane_of(m, tile, l);
            for (i64 i = t.p; lane.valid && i < m.sampled; i += t.p_step) {
                i64 k = (i64)m.index[i];
                entries[slot<K>(m, (u32)k, l)] =
                    K::admit(m, *at<typename K::Real>(m.source, i, lane.col), k);
            }
        }
        return;
    }
    Threads t = threads(m.points_fast, m.points, m.lanes);
    #pragma unroll 1
    for (u32 l = t.l; l < 1u << m.lanes; l += t.l_step) {
        Lane lane = lane_of(m, tile, l);
        i64 start = position(m, lane.other, 0);
        if (m.load == SCRATCH) {
            const E* from = at<E>(m.scratch, start + ((i64)t.p << m.shift), lane.col);
            i64 step = ((i64)t.p_step << m.shift) * m.scratch.row_stride;
            u32 here = slot<K>(m, t.p, l);
            #pragma unroll 4
            for (u32 p = 0; p + t.p < 1u << m.points; p += t.p_step, from += step) {
                E x = K::zero();
                if (lane.valid) x = *from;
                entries[here ^ slot<K>(m, p, 0)] = x;
            }
        } else {
            #pragma unroll 2
            for (u32 p = t.p; p < 1u << m.points; p += t.p_step) {
                E x = K::zero();
                if (lane.valid) x = enter<K>(m, start + ((i64)p << m.shift), lane.col);
                entries[slot<K>(m, p, l)] = x;
            }
        }
    }
}

template <typename K>
__device__ __forceinline__ void store(const Mix& m, i64 tile, const typename K::Entry* entries) {
    typedef typename K::Entry E;
    bool whole = m.points == m.bits;
    bool points_first = m.points_fast && !(m.store == WINDOW && turned(m));
    Threads t = m.store == SAMPLED ? threads(m.by_rows, m.fast_bits, m.lanes)
                                   : threads(points_first, m.points, m.lanes);
    #pragma unroll 1
    for (u32 l = t.l; l < 1u << m.lanes; l += t.l_step) {
        Lane lane = lane_of(m, tile, l);
        if (!lane.valid) continue;
        i64 start = position(m, lane.other, 0);
        if (m.store == SAMPLED) {
            #pragma unroll 1
            for (i64 i = t.p; i < m.sampled; i += t.p_step) {
                i64 k = (i64)m.index[i];
                sample<K>(m, i, k, lane.col, entries[slot<K>(m, (u32)reversed(m, k), l)]);
            }
        } else if (K::CONVOLVES && m.store == PRODUCT) {
            #pragma unroll 1
            for (u32 p = t.p; p < 1u << m.points; p += t.p_step)
                K::keep(m, start + ((i64)p << m.shift), lane.col, entries[slot<K>(m, p, l)]);
        } else if (m.store == SCRATCH) {
            E* to = at<E>(m.scratch, start + ((i64)t.p << m.shift), lane.col);
            i64 step = ((i64)t.p_step << m.shift) * m.scratch.row_stride;
            u32 here = slot<K>(m, t.p, l);
            #pragma unroll 4
            for (u32 p = 0; p + t.p < 1u << m.points; p += t.p_step, to += step)
                *to = entries[here ^ slot<K>(m, p, 0)];
        } else {
            #pragma unroll 1
            for (u32 p = t.p; p < 1u << m.points; p += t.p_step) {
                // A whole column leaves in the order of its rows.
                i64 other = reversed(m, start + ((i64)p << m.shift));
                i64 k = whole ? p : other;
                E x = entries[slot<K>(m, whole ? (u32)other : p, l)];
                if (K::CONVOLVES)
                    for (i64 at = k + m.n; k < m.n && at < m.sampled; at += m.n)
                        x = K::plus(x, entries[slot<K>(m, (u32)at, l)]);
                leave<K>(m, k, lane.col, x);
            }
        }
    }
}

// Butterflies of G bits from point bit q on.
template <typename K, int G>
__device__ __forceinline__ void butterflies(const Mix& m, i64 tile, typename K::Entry* entries, u32 q,
                                            bool inverse) {
    typedef typename K::Entry E;
    u32 s = q + (m.points_fast ? 0 : m.lanes), units = 1u << (m.points + m.lanes - G);
    u32 part[1 << G];
#pragma unroll
    for (u32 k = 0; k < 1u << G; k++) part[k] = place<sizeof(E)>(k << s);
    #pragma unroll 1
    for (u32 u = threadIdx.x; u < units; u += THREADS) {
        u32 e = u >> s << (s + G) | (u & mask(s)), where = place<sizeof(E)>(e);
        E x[1 << G];
#pragma unroll
        for (u32 k = 0; k < 1u << G; k++) x[k] = entries[where ^ part[k]];
        i64 below = 0;
        if (K::TWIDDLES) {
            u32 p = m.points_fast ? e & mask(m.points) : e >> m.lanes;
            u32 l = m.points_fast ? e >> m.points : e & mask(m.lanes);
            below = ((i64)(p & mask(q)) << m.shift) + low_bits(m, lane_of(m, tile, l).other);
        }
        K::template butterfly<G>(m, x, below, m.shift + q, inverse);
#pragma unroll
        for (u32 k = 0; k < 1u << G; k++) entries[where ^ part[k]] = x[k];
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

template <typename K>
__device__ __forceinline__ void pass(const Mix& m) {
    extern __shared__ double2 memory[];
    typename K::Entry* entries = reinterpret_cast<typename K::Entry*>(memory);
    #pragma unroll 1
    for (i64 tile = blockIdx.x; tile < m.tiles; tile += gridDim.x) {
        load<K>(m, tile, entries);
        __syncthreads();
        #pragma unroll 1
        for (u32 r = 0; r < m.rounds; r++) {
            if (r > 0) {
                Threads t = threads(m.points_fast, m.points, m.lanes);
                #pragma unroll 1
                for (u32 l = t.l; l < 1u << m.lanes; l += t.l_step) {
                    Lane lane = lane_of(m, tile, l);
                    i64 start = position(m, lane.other, 0);
                    if (K::CONVOLVES && !lane.valid) continue;
                    #pragma unroll 1
                    for (u32 p = t.p; p < 1u << m.points; p += t.p_step)
                        K::between(m, m.round + r, start + ((i64)p << m.shift), lane.col,
                                   entries[slot<K>(m, p, l)]);
                }
                __syncthreads();
            }
            transform<K>(m, tile, entries, K::TWIDDLES && (m.round + r & 1));
        }
        store<K>(m, tile, entries);
        __syncthreads();
    }
}

// Sampled rows between the matrix outside and columns that do not fit a tile: out of the scratch
// memory, or for the transpose into it.
template <typename K>
__device__ __forceinline__ void move_sampled(const Mix& m) {
    typedef typename K::Entry E;
    u32 across = 1u << m.fast_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> m.fast_bits;
    u32 lines = THREADS >> m.fast_bits;
    i64 fast = m.by_rows ? m.sampled : m.cols, slow = m.by_rows ? m.cols : m.sampled;
    #pragma unroll 1
    for (i64 q = (i64)blockIdx.y * lines + line; q < slow; q += (i64)gridDim.y * lines)
        #pragma unroll 1
        for (i64 p = (i64)blockIdx.x * across + lane; p < fast; p += (i64)gridDim.x * across) {
            i64 i = m.by_rows ? p : q, j = m.by_rows ? q : p, k = (i64)m.index[i];
            if (m.trans)
                *at<E>(m.scratch, k, j) = K::admit(m, *at<typename K::Real>(m.source, i, j), k);
            else
                sample<K>(m, i, k, j, *at<E>(m.scratch, reversed(m, k), j));
        }
}
