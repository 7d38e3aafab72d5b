// Sparse factors by rows, and the product of one with a dense matrix: what sparse.cu and half.cu have
// in common. sparse.cu explains `gather`.

#define THREADS 256

// Lists of entries by row: a matrix in compressed rows, or the columns of an operator (`Lists` in
// src/device/cuda/sparse/mod.rs).
struct Lists {
    const u64* starts;
    const u32* index;
    const void* values;
    u32 zeta;
    u32 first;
    u32 rows;
    u32 unused;
};

// A matrix in compressed rows.
template <typename T>
struct Stored {
    const Lists& x;
    __device__ __forceinline__ u64 begin(i64 i) const { return x.starts[i]; }
    __device__ __forceinline__ u64 end(i64 i) const { return x.starts[i + 1]; }
    __device__ __forceinline__ bool get(u64 e, i64& at, T& value) const {
        at = x.index[e];
        value = static_cast<const T*>(x.values)[e];
        return true;
    }
};

// Row j of Sᵀ for a window of rows of S: entries outside of it are none.
template <typename T>
struct Signs {
    const Lists& x;
    __device__ __forceinline__ u64 begin(i64 i) const { return (u64)i * x.zeta; }
    __device__ __forceinline__ u64 end(i64 i) const { return (u64)(i + 1) * x.zeta; }
    __device__ __forceinline__ bool get(u64 e, i64& at, T& value) const {
        u32 word = x.index[e], row = (word >> 1) - x.first;
        at = row;
        value = word & 1 ? T(-1) : T(1);
        return row < x.rows;
    }
};

// Columns of C of a lane.
#define ACROSS 4

// The entries of part p of row i, of 2^part_bits parts.
template <typename Rows>
__device__ __forceinline__ void part_of(const Rows& x, i64 i, i64 p, u32 part_bits, u64& begin,
                                        u64& end) {
    u64 start = x.begin(i), len = x.end(i) - start;
    begin = start + (len * (u64)p >> part_bits);
    end = start + (len * (u64)(p + 1) >> part_bits);
}

// C <- alpha X B + beta C, (rows · parts) × cols, X by rows. 2^wide lanes lie along the columns, each with
// ACROSS of them, 2^split lanes share a list, and the rest of the warp takes further rows.
// B is stored as In, C as Out, and T is computed with.
template <typename In, typename Out, typename Rows, typename T>
__device__ __forceinline__ void gather(T alpha, const Rows& x, View b, T beta, View c, i64 rows,
                                       u32 part_bits, i64 cols, u32 wide, u32 split) {
    u32 lane = threadIdx.x & 31, across = 1u << wide, shares = 1u << split;
    u32 column = lane & (across - 1), share = lane >> wide & (shares - 1);
    u32 rows_bits = 5 - wide - split;
    i64 lines = rows << part_bits, groups = (lines + (1 << rows_bits) - 1) >> rows_bits;
    i64 work = groups * ((cols + across * ACROSS - 1) / (across * ACROSS));
    i64 warps = (i64)gridDim.x * (THREADS / 32);
    // Rows first: all of B that a panel of columns needs is met before the next panel.
#pragma unroll 1
    for (i64 w = ((i64)blockIdx.x * THREADS + threadIdx.x) >> 5; w < work; w += warps) {
        i64 i = (w % groups << rows_bits) + (lane >> (wide + split));
        i64 j = w / groups * (across * ACROSS) + column;
        T sum[ACROSS] = {};
        if (i < lines) {
            u64 begin, end;
            part_of(x, i % rows, i / rows, part_bits, begin, end);
#pragma unroll 2
            for (u64 e = begin + share; e < end; e += shares) {
                i64 k;
                T value;
                if (!x.get(e, k, value)) continue;
#pragma unroll
                for (int q = 0; q < ACROSS; q++)
                    if (j + q * across < cols) sum[q] += value * widened(*at<In>(b, k, j + q * across));
            }
        }
        for (u32 lanes = across; lanes < across * shares; lanes <<= 1)
#pragma unroll
            for (int q = 0; q < ACROSS; q++) sum[q] += __shfl_xor_sync(0xffffffffu, sum[q], lanes);
        if (i < lines && share == 0)
#pragma unroll
            for (int q = 0; q < ACROSS; q++)
                if (j + q * across < cols)
                    axpby_entry<T>(alpha, &sum[q], beta, at<Out>(c, i, j + q * across));
    }
}
