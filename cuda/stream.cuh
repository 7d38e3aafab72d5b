// Matrices entry by entry, whatever their strides: how the kernels of blas.cu and norms.cu walk.
//
// A tile is THREADS·BATCH items, an item COUNT entries side by side: 16 bytes where the host says so, rows
// fast at unit stride and every column aligned alike, else one entry. `vector` is then one more than the
// rows before the first that is aligned; these, and those at the end that fill no item, are met one by one.
// 2^tile_bits items of a tile lie along the rows, up to 2^8, then 2^10: a thread has BATCH of them, one
// below the other in long columns (2^10), else in columns side by side. Neighbouring threads are
// neighbouring items, so a warp moves whole lines, and the loads of a batch are all issued before the first is
// used: 64 bytes a thread in flight by vectors, 16 or 32 by entries, where 20 KiB a multiprocessor cover
// the latency of memory.
//
// Instructions: some 60 a tile and thread, and 8 an item, so 6 an entry (f32) by vectors and 23 by
// entries, where an H100 has time for 38 in the 4 bytes of an entry that is read.

#define THREADS 256
#define BATCH 4
// Of the tiles of rows that no vector holds, at most 6.
#define REST_BITS 3

// A number that the compiler computes here, not again wherever it is used.
__device__ __forceinline__ i64 kept(i64 x) {
    asm("" : "+l"(x));
    return x;
}

// The items of a thread in a tile.
template <typename T, int ENTRIES>
struct Batch {
    static const int COUNT = ENTRIES;
    typedef Several<T, ENTRIES> Item;
    struct Items {
        Item of[BATCH];
    };
    // Where they are in a matrix, in bytes from its first entry.
    struct Places {
        char* matrix;
        i64 first, step;
        __device__ __forceinline__ Item* at(int k) const {
            return reinterpret_cast<Item*>(matrix + (first + k * step));
        }
    };
    // The first entry of the first item, and from one item to the next.
    i64 i, j, down, right;
    bool inside[BATCH];

    __device__ __forceinline__ i64 row(int k) const { return i + k * down; }
    __device__ __forceinline__ i64 col(int k) const { return j + k * right; }
    __device__ __forceinline__ Places in(const View& a) const {
        i64 first = (i * a.row_stride + j * a.col_stride) * (i64)sizeof(T);
        i64 step = (down * a.row_stride + right * a.col_stride) * (i64)sizeof(T);
        return {static_cast<char*>(a.ptr), kept(first), kept(step)};
    }
    // What is in the matrix, and zeros; nothing unless it is `wanted`.
    __device__ __forceinline__ Items read(const Places& from, bool wanted) const {
        Items x = {};
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (inside[k] && wanted) x.of[k] = *from.at(k);
        return x;
    }
};

// visit(batch) for every tile of this block; items from number `from` on begin `gap` rows further down.
template <typename T, int COUNT, typename Visit>
__device__ __forceinline__ void tiles(i64 items, i64 from, i64 gap, i64 cols, u32 tile_bits, Visit visit) {
    bool deep = tile_bits > 8;
    u32 bits = deep ? 8 : tile_bits, lane = threadIdx.x & ((1u << bits) - 1);
    i64 down = deep ? THREADS : 0, right = deep ? 0 : THREADS >> bits, wide = BATCH * THREADS >> tile_bits;
#pragma unroll 1
    for (i64 j0 = blockIdx.y * wide; j0 < cols; j0 += gridDim.y * wide)
#pragma unroll 1
        for (i64 i0 = (i64)blockIdx.x << tile_bits; i0 < items; i0 += (i64)gridDim.x << tile_bits) {
            i64 item = i0 + lane, j = j0 + (threadIdx.x >> bits);
            Batch<T, COUNT> batch = {item * COUNT + (item < from ? 0 : gap), j, down * COUNT, right};
#pragma unroll
            for (int k = 0; k < BATCH; k++)
                batch.inside[k] = item + k * down < items && j + k * right < cols;
            visit(batch);
        }
}

// The same for all rows.
template <typename T, typename Visit>
__device__ __forceinline__ void stream(i64 rows, i64 cols, u32 tile_bits, u32 vector, Visit visit) {
    const int COUNT = sizeof(Vector<T>) / sizeof(T);
    i64 head = vector ? vector - 1 : 0, whole = vector ? (rows - head) / COUNT : 0, rest = rows - whole * COUNT;
    if (whole) tiles<T, COUNT>(whole, 0, head, cols, tile_bits, visit);
    if (rest) tiles<T, 1>(rest, head, whole * COUNT, cols, whole ? REST_BITS : tile_bits, visit);
}
