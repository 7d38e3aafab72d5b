// The operator of BlockPerm-SJLT, and its product with a dense matrix in any type of storage, which block_perm.cu
// explains.

// The operator and its window (`BlockPerm` in src/device/cuda/block_perm.rs).
struct BlockPerm {
    u64 seed;
    // Columns and rows of a short block; the first `longer` ones have one more.
    u64 short_columns;
    u32 longer_columns, short_rows, longer_rows;
    u32 blocks, wirings, nnz, stream;
    // The window.
    u32 first_row, rows;
    u64 first_column;
    i64 columns;
};

__device__ __forceinline__ u64 row_start(const BlockPerm& s, u32 g) {
    return (u64)g * s.short_rows + min(g, s.longer_rows);
}

__device__ __forceinline__ u64 column_start(const BlockPerm& s, u32 h) {
    return h * s.short_columns + min(h, s.longer_columns);
}

// Where two draws of a column in a block of rows pick from: draws 2·pair and 2·pair + 1.
struct Parts {
    u32 start, middle, end;
};

__device__ __forceinline__ Parts parts_of(const BlockPerm& s, u32 g, u32 pair) {
    u64 start = row_start(s, g), length = row_start(s, g + 1) - start, q = 2 * pair;
    return {(u32)(start + q * length / s.nnz), (u32)(start + (q + 1) * length / s.nnz),
            (u32)(start + (q + 2) * length / s.nnz)};
}

// These two entries of column `unit`; the second one means nothing if nnz is odd and the pair the last.
struct alignas(8) Entries {
    u32 word[2];
};

__device__ __forceinline__ Entries entries(const BlockPerm& s, u64 unit, u32 wiring, u32 pair,
                                           const Parts& parts) {
    Block block = philox(s.seed, s.stream, unit, wiring * ((s.nnz + 1) / 2) + pair);
    u64 first = word64(block, 0), second = word64(block, 1);
    u32 upper = parts.start + (u32)__umul64hi(first, parts.middle - parts.start);
    u32 lower = parts.middle + (u32)__umul64hi(second, parts.end - parts.middle);
    return {{upper << 1 | (u32)(first & 1), lower << 1 | (u32)(second & 1)}};
}

// Warps of a block; rows of C that a warp sums, rows of A that it takes at once, and how many of them side by
// side; lanes that share such a row, 16 bytes of sums each.
#define WARPS 2
#define SLICE 64
#define TILE 32
#define COPIES 4
#define LANES 8

// Where 16-byte piece `piece` of a row lies in a tile of rows of 128 bytes: V neighbouring rows lie alike, the
// next V crosswise. V entries are such a piece as they are summed; halves are stored in 8 bytes.
template <int V>
__device__ __forceinline__ u32 piece_at(u32 row, u32 piece) {
    return row * LANES + (piece ^ (row / V & (LANES - 1)));
}

// Where entry (row, column) lies in such a tile.
template <int V>
__device__ __forceinline__ u32 entry_at(u32 row, u32 column) {
    return piece_at<V>(row, column / V) * V + column % V;
}

// V neighbouring entries from x on, of which the first `count` exist and others count as zero.
template <typename T, int V, typename In>
__device__ __forceinline__ Vector<T> read(const In* x, i64 count, bool aligned) {
    Vector<T> out = {};
    if (count >= V && aligned) {
        Several<In, V> piece = *reinterpret_cast<const Several<In, V>*>(x);
#pragma unroll
        for (int k = 0; k < V; k++) out.x[k] = widened(piece.x[k]);
        return out;
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (k < count) out.x[k] = widened(x[k]);
    return out;
}

// alpha x + beta c for V neighbouring entries from c on, of which the first `count` exist.
template <typename T, int V>
__device__ __forceinline__ void write(T alpha, const Vector<T>& x, T beta, T* c, i64 count,
                                      bool aligned) {
    if (count >= V && aligned) {
        Vector<T> sum = {};
        if (beta != T(0)) sum = *reinterpret_cast<Vector<T>*>(c);
#pragma unroll
        for (int k = 0; k < V; k++) axpby_entry<T>(alpha, &x.x[k], beta, &sum.x[k]);
        *reinterpret_cast<Vector<T>*>(c) = sum;
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (k < count) axpby_entry<T>(alpha, &x.x[k], beta, c + k);
}

// Loads rows i.. of A, TILE of them of which those up to `end` are wanted, and columns j... to j + 8V: lane
// l gets piece l % 8 of rows l / 8, l / 8 + 4, ....
template <typename In, typename T, bool BY_ROWS>
struct Panel {
    static const int V = 16 / sizeof(T);
    static const int PIECES = TILE / COPIES;
    View a;
    i64 j, cols;
    bool aligned;
    Vector<T>* stage;

    __device__ __forceinline__ void load(i64 i, i64 end, Vector<T> (&x)[PIECES]) const {
        u32 lane = threadIdx.x & 31;
#pragma unroll
        for (u32 k = 0; k < PIECES; k++) {
            if (BY_ROWS) {
                i64 row = i + k * COPIES + lane / LANES, column = j + lane % LANES * V;
                i64 count = row < end ? cols - column : 0;
                x[k] = read<T, V>(at<In>(a, row, 0) + column, count, aligned);
            } else {
                // Eight lanes take 8V rows of a column, a warp four columns.
                i64 row = i + (k / (2 * V) * LANES + lane % LANES) * V;
                i64 column = j + k % (2 * V) * 4 + lane / LANES;
                i64 count = column < cols ? end - row : 0;
                x[k] = read<T, V>(at<In>(a, 0, column) + row, count, aligned);
            }
        }
    }

    // Turns what was loaded from columns into rows.
    __device__ __forceinline__ void turn(Vector<T> (&x)[PIECES]) const {
        if (BY_ROWS) return;
        u32 lane = threadIdx.x & 31;
        T* entries = reinterpret_cast<T*>(stage);
        __syncwarp();
#pragma unroll
        for (u32 k = 0; k < PIECES; k++) {
            u32 row = (k / (2 * V) * LANES + lane % LANES) * V, column = k % (2 * V) * 4 + lane / LANES;
#pragma unroll
            for (u32 v = 0; v < V; v++) entries[entry_at<V>(row + v, column)] = x[k].x[v];
        }
        __syncwarp();
#pragma unroll
        for (u32 k = 0; k < PIECES; k++)
            x[k] = stage[piece_at<V>(k * COPIES + lane / LANES, lane % LANES)];
    }
};

// What a warp does: slice `slice` of the rows of C, panel `panel` of its columns, part `part` of each block
// of rows of A. C has a row a row of the window and part, those of part 0 first. A is stored as In.
template <typename In, bool BY_ROWS, typename T>
__device__ __forceinline__ void times(T alpha, const BlockPerm& s, const u32* inputs, View a,
                                      u32 aligned, T beta, View c, i64 cols, u32 slices, i64 parts) {
    const int V = 16 / sizeof(T);
    extern __shared__ Vector<float> shared[];
    const u32 SUMS = COPIES * SLICE * LANES, STAGE = BY_ROWS ? 0 : TILE * LANES;
    u32 lane = threadIdx.x & 31, copy = lane / LANES, piece = lane % LANES;
    Vector<T>* sums = reinterpret_cast<Vector<T>*>(shared) + threadIdx.x / 32 * (SUMS + STAGE);
    Vector<T>* mine = sums + copy * SLICE * LANES;
    Panel<In, T, BY_ROWS> panel = {a, 0, cols, (aligned & 1) != 0, sums + SUMS};

    u32 g0 = s.first_row < s.longer_rows * (s.short_rows + 1)
                 ? s.first_row / (s.short_rows + 1)
                 : s.longer_rows + (s.first_row - s.longer_rows * (s.short_rows + 1)) / s.short_rows;
    u32 last = s.first_row + s.rows;
    i64 panels = (cols + LANES * V - 1) / (LANES * V);
    i64 groups = (panels + WARPS - 1) / WARPS;
    i64 work = slices * parts * groups;
    // All slices of a group of panels run side by side: they read the same panels of A.
#pragma unroll 1
    for (i64 w = blockIdx.x; w < work; w += gridDim.x) {
        i64 p = w / slices % parts, at_panel = w / (slices * parts) * WARPS + threadIdx.x / 32;
        u32 slices_a_block = (s.short_rows + (s.longer_rows ? 1 : 0) + SLICE - 1) / SLICE;
        u32 slice = (u32)(w % slices), g = g0 + slice / slices_a_block;
        u64 g_start = row_start(s, g), g_length = row_start(s, g + 1) - g_start;
        // The rows of the slice: SLICE of a block, inside of the window.
        u64 from = g_start + (u64)(slice % slices_a_block) * SLICE;
        u64 to = min(min(from + SLICE, g_start + g_length), (u64)last);
        from = max(from, (u64)s.first_row);
        if (from >= to || at_panel >= panels) continue;
        u32 first = (u32)from, height = (u32)(to - from);
        panel.j = at_panel * (LANES * V);
        __syncwarp();
        for (u32 k = lane; k < SUMS; k += 32) sums[k] = {};
        __syncwarp();
#pragma unroll 1
        for (u32 wiring = 0; wiring < s.wirings; wiring++) {
            u32 h = inputs[(i64)g * s.wirings + wiring];
            // The rows of A of this block in the window, and this part of them.
            i64 begin = (i64)max(column_start(s, h), s.first_column) - (i64)s.first_column;
            i64 end = min((i64)(column_start(s, h + 1) - s.first_column), s.columns);
            i64 length = end - begin;
            end = begin + length * (p + 1) / parts;
            begin = begin + length * p / parts;
            if (begin >= end) continue;
            Parts picked = parts_of(s, g, 0);
            // Whole pieces of columns; rows too, so that the layout changes no bit.
            i64 i = begin - begin % COPIES;
            i64 readable = BY_ROWS ? end : s.columns;
            Vector<T> x[TILE / COPIES], next[TILE / COPIES];
            panel.load(i, readable, next);
#pragma unroll 1
            for (; i < end; i += TILE) {
#pragma unroll
                for (int k = 0; k < TILE / COPIES; k++) x[k] = next[k];
                panel.turn(x);
                if (i + TILE < end) panel.load(i + TILE, readable, next);
#pragma unroll 1
                for (u32 pair = 0; 2 * pair < s.nnz; pair++) {
                    i64 row = i + lane;
                    if (s.nnz > 2) picked = parts_of(s, g, pair);
                    Entries e = entries(s, s.first_column + row, wiring, pair, picked);
                    // Rows of A outside of the part meet no row of C.
                    bool valid = row >= begin && row < end;
                    if (!valid) e.word[0] = ~0u;
                    if (!valid || 2 * pair + 1 >= s.nnz) e.word[1] = ~0u;
#pragma unroll
                    for (u32 k = 0; k < TILE / COPIES; k++)
#pragma unroll
                        for (u32 half = 0; half < 2; half++) {
                            u32 word = __shfl_sync(0xffffffffu, e.word[half], k * COPIES + copy);
                            u32 to_row = (word >> 1) - first;
                            if (to_row >= height) continue;
                            Vector<T>* sum = mine + piece_at<V>(to_row, piece);
                            Vector<T> y = *sum;
                            T sign = word & 1 ? T(-1) : T(1);
#pragma unroll
                            for (int v = 0; v < V; v++) y.x[v] += sign * x[k].x[v];
                            *sum = y;
                        }
                }
            }
        }
        __syncwarp();
        i64 top = p * s.rows + (first - s.first_row);
        if (aligned & 2) {
            // C by columns: V rows of a column.
            const T* entries = reinterpret_cast<const T*>(sums);
#pragma unroll 1
            for (u32 k = 0; k < SLICE / (LANES * V) * 2 * V; k++) {
                u32 row = (k / (2 * V) * LANES + piece) * V, column = k % (2 * V) * 4 + copy;
                Vector<T> y = {};
#pragma unroll
                for (int part = 0; part < COPIES; part++)
#pragma unroll
                    for (u32 v = 0; v < V; v++)
                        y.x[v] += entries[part * SLICE * LANES * V + entry_at<V>(row + v, column)];
                i64 count = panel.j + column < cols ? (i64)height - row : 0;
                write<T, V>(alpha, y, beta, at<T>(c, 0, panel.j + column) + (top + row), count,
                            (aligned & 4) != 0 && (top & (V - 1)) == 0);
            }
        } else {
#pragma unroll 1
            for (u32 row = copy; row < height; row += COPIES) {
                Vector<T> y = {};
#pragma unroll
                for (int part = 0; part < COPIES; part++) {
                    Vector<T> x = sums[part * SLICE * LANES + piece_at<V>(row, piece)];
#pragma unroll
                    for (int v = 0; v < V; v++) y.x[v] += x.x[v];
                }
                i64 column = panel.j + piece * V;
                write<T, V>(alpha, y, beta, at<T>(c, top + row, 0) + column, cols - column,
                            (aligned & 4) != 0);
            }
        }
    }
}
