// C <- alpha S A + beta C for narrow A, S by columns as they are indexed: no list is turned. sparse.cu and half.cu
// have it in common.
//
// A warp sums a slice of 64 rows of C in shared memory, 128 bytes a row in f32 and 256 in f64: 2^wide >= n lanes
// lie along the n <= 32 columns, and the others take further rows of A into sums of their own (`copies`), which
// are joined in a fixed order when they leave. Each lane adds to its own bank: no two ever add to one place,
// there are no atomics, and barriers only where sums are joined. Slices of the same rows of A lie side by side in
// a block, so A and the words come from memory once. Parts of the rows of A have sums of their own, rows of C of
// part 0 first; `join` (dense.cu) adds them. All cuts depend on shapes only: the same bits for every grid.
//
// For each row of A, with q words of a column that may name rows of a slice (two or so where S is stacked and a
// slice is not much shorter than a stack, else all ζ): bytes n·sizeof(A) from memory, 4ζ of words from L2, where a
// chunk of them was just written; flops 2ζn; the pairs that a warp reads and writes, slices·q·n/32 of them, take
// 128-byte lines of shared memory twice: on an H100 (29 TB/s) 0.3 ps for each slice, word and column. Instructions
// are the bound, some 19 for each slice, word and lane: 0.65 ps. Turning the lists costs ζ·100 bytes with two digits,
// 33 ps a word of a column, before the product starts: src/device/cuda/sparse/scatter.rs has the rule.

// Rows of a slice, threads of a block, rows of A that a lane loads ahead, and words of each at once.
#define SLICE 64
#define SCATTER_THREADS 128
#define AHEAD 4
#define WORDS 4

__device__ __forceinline__ float signed_by(u32 word, float x) {
    return __uint_as_float(__float_as_uint(x) ^ word << 31);
}
__device__ __forceinline__ double signed_by(u32 word, double x) { return word & 1 ? -x : x; }

// Adds the values to the sums that words t to t + COUNT of their rows name, one after the other.
template <int COUNT, typename T>
__device__ __forceinline__ void add(T* sums, const T (&value)[AHEAD], const u32* const (&of_row)[AHEAD], u32 t,
                                    u32 low, u32 height) {
    u32 word[AHEAD][COUNT];
#pragma unroll
    for (int q = 0; q < AHEAD; q++)
#pragma unroll
        for (int s = 0; s < COUNT; s++) word[q][s] = of_row[q][t + s];
#pragma unroll
    for (int q = 0; q < AHEAD; q++)
#pragma unroll
        for (int s = 0; s < COUNT; s++) {
            u32 to = (word[q][s] >> 1) - low;
            if (to < height) sums[to * 32] += signed_by(word[q][s], value[q]);
        }
}

// A is inner × cols, S's columns are the lists of x. `stacked` is the number of rows of all of S where its t-th
// word names one of rows t·stacked/ζ to (t + 1)·stacked/ζ, else 0. A is stored as In.
template <typename In, typename T>
__device__ __forceinline__ void scatter(T alpha, const Lists& x, u32 stacked, View a, T beta, View c,
                                        i64 inner, u32 cols, u32 wide, u32 slices, i64 parts) {
    extern __shared__ Vector<float> slice_sums[];
    u32 lane = threadIdx.x & 31, across = 1u << wide, copies = 32u >> wide;
    u32 column = lane & (across - 1), copy = lane >> wide, zeta = x.zeta;
    T* sums = reinterpret_cast<T*>(slice_sums) + (threadIdx.x >> 5) * (SLICE * 32);
    T* mine = sums + lane;
    i64 warps = (i64)gridDim.x * (SCATTER_THREADS / 32), work = slices * parts;
#pragma unroll 1
    for (i64 w = ((i64)blockIdx.x * SCATTER_THREADS + threadIdx.x) >> 5; w < work; w += warps) {
        i64 p = w / slices;
        u32 top = (u32)(w % slices) * SLICE, low = x.first + top, height = min((u32)SLICE, x.rows - top);
        u32 begin = 0, end = zeta;
        if (stacked) {
            begin = (u32)((u64)low * zeta / stacked);
            while ((u64)(begin + 1) * stacked / zeta <= low) begin++;
            end = begin + 1;
            while (end < zeta && (u64)end * stacked / zeta < low + height) end++;
        }
#pragma unroll 4
        for (u32 r = 0; r < SLICE; r++) mine[r * 32] = T(0);
        i64 last = inner * (p + 1) / parts;
#pragma unroll 1
        for (i64 k = inner * p / parts + copy; k < last; k += copies * AHEAD) {
            // Zeros to the rows of a last word, where there are no more rows or columns of A.
            T value[AHEAD];
            const u32* of_row[AHEAD];
#pragma unroll
            for (int q = 0; q < AHEAD; q++) {
                i64 row = min(k + q * copies, last - 1);
                bool valid = k + q * copies < last && column < cols;
                value[q] = valid ? T(widened(*at<In>(a, row, column))) : T(0);
                of_row[q] = x.index + row * zeta;
            }
            u32 t = begin;
#pragma unroll 1
            for (; t + WORDS <= end; t += WORDS) add<WORDS>(mine, value, of_row, t, low, height);
#pragma unroll 1
            for (; t < end; t++) add<1>(mine, value, of_row, t, low, height);
        }
        __syncwarp();
        // A lane begins with a copy that lies in a bank of its own.
#pragma unroll 1
        for (u32 e = lane; e < height << wide; e += 32) {
            u32 r = e >> wide, j = e & (across - 1);
            T sum = T(0);
#pragma unroll 1
            for (u32 s = 0; s < copies; s++)
                sum += sums[r * 32 + ((s + r & (copies - 1)) << wide) + j];
            if (j < cols) axpby_entry<T>(alpha, &sum, beta, at<T>(c, p * x.rows + (top + r), j));
        }
        __syncwarp();
    }
}
