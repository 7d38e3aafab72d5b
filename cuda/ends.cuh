// What a pass reads first and writes last: the matrix outside, its sampled rows, scratch memory, and the
// product of a convolution. Needs tile.cuh.
//
// Each function moves a tile by batches of independent accesses: all loads, then all that depends on them.
// U is how many runs of neighbours a thread moves in a batch, V their entries, 16 bytes or one entry.

// Scratch memory, or a matrix that is transformed in place: entries as they are inside.
template <typename K, u32 U, u32 V>
__device__ __forceinline__ void load_scratch(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Entry E;
    batches<K, false, U, V>(m, tile, m.scratch, [&](const Batch<U>& batch) {
        Run<E, V> run[U];
#pragma unroll
        for (u32 u = 0; u < U; u++) {
#pragma unroll
            for (u32 v = 0; v < V; v++) run[u].x[v] = K::zero();
            if (batch.valid[u])
                run[u] = *reinterpret_cast<const Run<E, V>*>(at<E>(m.scratch, 0, 0) + batch.offset[u]);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++)
#pragma unroll
            for (u32 v = 0; v < V; v++)
                if (batch.exists[u]) entry_of(entries, batch, u, v) = run[u].x[v];
    });
}

template <typename K, u32 U, u32 V>
__device__ __forceinline__ void store_scratch(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Entry E;
    batches<K, false, U, V>(m, tile, m.scratch, [&](const Batch<U>& batch) {
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!batch.valid[u]) continue;
            Run<E, V> run;
#pragma unroll
            for (u32 v = 0; v < V; v++) run.x[v] = entry_of(entries, batch, u, v);
            *reinterpret_cast<Run<E, V>*>(at<E>(m.scratch, 0, 0) + batch.offset[u]) = run;
        }
    });
}

// For rows that are not in the order of the positions.
__device__ __forceinline__ View by_columns(const View& matrix) { return {matrix.ptr, 0, matrix.col_stride}; }

// The entries outside that belong to the positions, with signs and factors, zero where there are none.
// Runs of several are of rows in the order of the positions, or of columns.
template <typename K, u32 U, u32 V>
__device__ __forceinline__ void load_window(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Real T;
    const T* source = at<T>(m.source, -m.first, 0);
    u32 down = m.along_cols ? 0 : 1;
    batches<K, false, U, V>(m, tile, V > 1 ? m.source : by_columns(m.source), [&](const Batch<U>& batch) {
        Run<T, V> run[U];
        typename K::Factor factor[U][V];
        u32 signs[U];
        bool inside[U];
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            i64 k = batch.at[u], row = m.trans ? k : K::row(m, k);
            inside[u] = batch.valid[u] && k < m.n && (u64)(row - m.first) < (u64)m.count;
            i64 offset = batch.offset[u] + (V > 1 ? 0 : row * m.source.row_stride);
            if (!inside[u]) continue;
            run[u] = *reinterpret_cast<const Run<T, V>*>(source + offset);
            signs[u] = signs_from(m, 0, row);
#pragma unroll
            for (u32 v = 0; v < V; v++) factor[u][v] = K::at_entrance(m, k + v * down);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++)
#pragma unroll
            for (u32 v = 0; v < V; v++) {
                typename K::Entry x = K::zero();
                if (inside[u])
                    x = K::admit(flip(run[u].x[v], signs[u] >> v * down), factor[u][v]);
                if (batch.exists[u]) entry_of(entries, batch, u, v) = x;
            }
    });
}

// The result for an entry of the transform: factor y + beta old.
template <typename T>
__device__ __forceinline__ T combined(const Mix& m, T y, T old) {
    T sum = (T)m.factor * y;
    return (T)m.beta == T(0) ? sum : sum + (T)m.beta * old;
}

template <typename K, u32 U, u32 V>
__device__ __forceinline__ void store_window(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Real T;
    typedef typename K::Entry E;
    T* target = at<T>(m.target, -m.first, 0);
    u32 down = m.along_cols ? 0 : 1;
    batches<K, true, U, V>(m, tile, V > 1 ? m.target : by_columns(m.target), [&](const Batch<U>& batch) {
        Run<T, V> old[U] = {};
        typename K::Factor factor[U][V];
        u32 signs[U];
        i64 offset[U];
        bool inside[U];
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            i64 k = batch.at[u], row = m.trans ? K::row(m, k) : k;
            inside[u] = batch.valid[u] && k < m.n && (u64)(row - m.first) < (u64)m.count;
            offset[u] = batch.offset[u] + (V > 1 ? 0 : row * m.target.row_stride);
            if (!inside[u]) continue;
            if ((T)m.beta != T(0)) old[u] = *reinterpret_cast<const Run<T, V>*>(target + offset[u]);
            signs[u] = signs_from(m, 0, row);
#pragma unroll
            for (u32 v = 0; v < V; v++) factor[u][v] = K::at_exit(m, k + v * down);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!inside[u]) continue;
            Run<T, V> run;
#pragma unroll
            for (u32 v = 0; v < V; v++) {
                E x = entry_of(entries, batch, u, v);
                if constexpr (K::CONVOLVES) {
                    i64 k = batch.at[u] + v * down;
                    #pragma unroll 1
                    for (i64 beyond = k + m.n; beyond < m.sampled; beyond += m.n) {
                        u32 step = place<sizeof(E)>(number(m, (u32)(k ^ beyond), 0));
                        x = K::plus(x, entries[batch.place[u] ^ v ^ step]);
                    }
                }
                T y = flip(K::release(x, factor[u][v]), signs[u] >> v * down);
                run.x[v] = combined(m, y, old[u].x[v]);
            }
            *reinterpret_cast<Run<T, V>*>(target + offset[u]) = run;
        }
    });
}

// Sampled rows where a column passes through memory several times: each position asks whether its row is
// sampled, and which one outside it is.
template <u32 U>
__device__ __forceinline__ void find_sampled(const Mix& m, const Batch<U>& batch, bool (&found)[U],
                                             u32 (&row)[U]) {
    u32 word[U];
#pragma unroll
    for (u32 u = 0; u < U; u++) word[u] = batch.valid[u] ? m.chosen[batch.at[u] >> 5] : 0;
#pragma unroll
    for (u32 u = 0; u < U; u++) {
        found[u] = word[u] >> (batch.at[u] & 31) & 1;
        if (found[u]) row[u] = m.places[batch.at[u]];
    }
}

template <typename K, u32 U>
__device__ __forceinline__ void load_sampled(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Real T;
    batches<K, false, U, 1>(m, tile, by_columns(m.source), [&](const Batch<U>& batch) {
        bool found[U];
        u32 row[U];
        T y[U];
        typename K::Factor factor[U];
        find_sampled(m, batch, found, row);
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!found[u]) continue;
            y[u] = at<T>(m.source, row[u], 0)[batch.offset[u]];
            factor[u] = K::at_entrance(m, batch.at[u]);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!batch.exists[u]) continue;
            typename K::Entry x = K::zero();
            if (found[u]) x = K::admit(y[u], factor[u]);
            entry_of(entries, batch, u, 0) = x;
        }
    });
}

template <typename K, u32 U>
__device__ __forceinline__ void store_sampled(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Real T;
    batches<K, true, U, 1>(m, tile, by_columns(m.target), [&](const Batch<U>& batch) {
        bool found[U];
        u32 row[U];
        T old[U] = {};
        typename K::Factor factor[U];
        find_sampled(m, batch, found, row);
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!found[u]) continue;
            if ((T)m.beta != T(0)) old[u] = at<T>(m.target, row[u], 0)[batch.offset[u]];
            factor[u] = K::at_exit(m, batch.at[u]);
        }
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!found[u]) continue;
            T y = K::release(entry_of(entries, batch, u, 0), factor[u]);
            at<T>(m.target, row[u], 0)[batch.offset[u]] = combined(m, y, old[u]);
        }
    });
}

// The threads of a block over the lanes of a tile and a list of rows, the fast direction first.
struct Threads {
    u32 l, p, l_step, p_step;
};

__device__ __forceinline__ Threads threads(const Mix& m) {
    u32 t = threadIdx.x, bits = min(m.by_rows ? m.fast_bits : m.lanes, 8u);
    u32 fast = t & mask(bits), slow = t >> bits, fast_step = 1u << bits, slow_step = THREADS >> bits;
    if (m.by_rows) return {slow, fast, slow_step, fast_step};
    return {fast, slow, fast_step, slow_step};
}

// Calls body(i, k, place, column) for the sampled rows i, number k of the transform, of the whole columns in
// a tile.
template <typename K, typename Body>
__device__ __forceinline__ void for_listed(const Mix& m, i64 tile, bool leaves, Body body) {
    const u32 U = 4, SIZE = sizeof(typename K::Entry);
    Threads t = threads(m);
    #pragma unroll 1
    for (u32 l = t.l; l < 1u << m.lanes; l += t.l_step) {
        i64 col = lane_of<K>(m, tile, l).col;
        if (col >= m.cols) continue;
        u32 lane = place<SIZE>(number(m, 0, l));
        #pragma unroll 1
        for (i64 i = t.p; i < m.sampled; i += U * t.p_step) {
            i64 k[U];
#pragma unroll
            for (u32 u = 0; u < U; u++) {
                i64 ahead = i + u * t.p_step;
                k[u] = ahead < m.sampled ? (i64)m.index[ahead] : -1;
            }
#pragma unroll
            for (u32 u = 0; u < U; u++) {
                if (k[u] < 0) continue;
                i64 at = leaves ? reversed<K>(m, k[u]) : k[u];
                body(i + u * t.p_step, k[u], lane ^ place<SIZE>(number(m, (u32)at, 0)), col);
            }
        }
    }
}

template <typename K>
__device__ __forceinline__ void load_listed(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Real T;
    for (u32 e = threadIdx.x; e < 1u << (m.points + m.lanes); e += THREADS) entries[e] = K::zero();
    __syncthreads();
    for_listed<K>(m, tile, false, [&](i64 i, i64 k, u32 place, i64 col) {
        entries[place] = K::admit(*at<T>(m.source, i, col), K::at_entrance(m, k));
    });
}

template <typename K>
__device__ __forceinline__ void store_listed(const Mix& m, i64 tile, const typename K::Entry* entries) {
    typedef typename K::Real T;
    for_listed<K>(m, tile, true, [&](i64 i, i64 k, u32 place, i64 col) {
        T y = K::release(entries[place], K::at_exit(m, k)), *to = at<T>(m.target, i, col);
        *to = combined(m, y, (T)m.beta == T(0) ? T(0) : *to);
    });
}

// The product of a convolution, times a factor's transform; begun by the first one.
template <typename K, u32 U>
__device__ __forceinline__ void store_product(const Mix& m, i64 tile, typename K::Entry* entries) {
    typedef typename K::Entry E;
    batches<K, false, U, 1>(m, tile, m.product, [&](const Batch<U>& batch) {
        E* product = at<E>(m.product, 0, 0);
        E old[U];
#pragma unroll
        for (u32 u = 0; u < U; u++)
            if (batch.valid[u] && m.merge) old[u] = product[batch.offset[u]];
#pragma unroll
        for (u32 u = 0; u < U; u++) {
            if (!batch.valid[u]) continue;
            E x = entry_of(entries, batch, u, 0);
            product[batch.offset[u]] = m.merge ? K::product(old[u], x) : x;
        }
    });
}

template <typename K>
__device__ __forceinline__ void load(const Mix& m, i64 tile, typename K::Entry* entries) {
    const u32 V = 16 / sizeof(typename K::Entry);
    if (m.load == SAMPLED) {
        if (m.points == m.bits)
            load_listed<K>(m, tile, entries);
        else
            load_sampled<K, K::RUNS>(m, tile, entries);
    } else if (m.load == SCRATCH) {
        if (m.wide_load)
            load_scratch<K, 4, V>(m, tile, entries);
        else
            load_scratch<K, 4, 1>(m, tile, entries);
    } else if (K::WIDE && m.wide_load) {
        load_window<K, 4, V>(m, tile, entries);
    } else {
        load_window<K, K::RUNS, 1>(m, tile, entries);
    }
}

template <typename K>
__device__ __forceinline__ void store(const Mix& m, i64 tile, typename K::Entry* entries) {
    const u32 V = 16 / sizeof(typename K::Entry);
    if constexpr (K::CONVOLVES)
        if (m.store == PRODUCT) return store_product<K, K::RUNS>(m, tile, entries);
    if (m.store == SAMPLED) {
        if (m.points == m.bits)
            store_listed<K>(m, tile, entries);
        else
            store_sampled<K, K::RUNS>(m, tile, entries);
    } else if (m.store == SCRATCH) {
        if (m.wide_store)
            store_scratch<K, 4, V>(m, tile, entries);
        else
            store_scratch<K, 4, 1>(m, tile, entries);
    } else if (K::WIDE && m.wide_store) {
        store_window<K, 2, V>(m, tile, entries);
    } else {
        store_window<K, K::RUNS, 1>(m, tile, entries);
    }
}
