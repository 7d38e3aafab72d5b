// Matrices stored in f16 and bf16: conversions, and products with sparse factors, computed in f32.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | move, turn | 256 to 2048 entries, tiles of 32×32 | entries read and written once: 6 B from or to f32, 4 B between halves | 0.5, 0.75 entries/ps |
// | scatter_signs | see scatter.cuh | 2 B an entry of A, sums of f32 once | instructions |
// | gather | see sparse.cu | 2 B an entry of X and column, from L2 when the panel is there; C once | 1500 products a ns from memory for entries met once |
//
// Two flops an entry or product: memory is the bound. Neighbouring lanes are neighbouring entries of
// what is written; a lane moves 16 bytes of the longer type where alignment allows. (half_dense.cu has products
// with dense operators.)

#include "common.cuh"
#include "half.cuh"
#include "sparse.cuh"
#include "scatter.cuh"

// Entries that 16 bytes hold, of the longer type.
template <typename From, typename To>
struct Moved {
    static const int COUNT = sizeof(From) + sizeof(To) > 4 ? 4 : 8;
};

// B <- alpha A + beta B, A and B fast along their rows; COUNT rows a lane where they may be moved at once.
template <typename From, typename To>
__device__ __forceinline__ void move(float alpha, View a, float beta, View b, i64 rows, i64 cols,
                                     u32 row_bits, u32 vector) {
    u32 across = 1u << row_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> row_bits;
    u32 lines = THREADS >> row_bits;
    const int COUNT = Moved<From, To>::COUNT;
    i64 fast = vector ? (rows + COUNT - 1) / COUNT : rows;
#pragma unroll 1
    for (i64 j = (i64)blockIdx.y * lines + line; j < cols; j += (i64)gridDim.y * lines)
#pragma unroll 1
        for (i64 i = (i64)blockIdx.x * across + lane; i < fast; i += (i64)gridDim.x * across) {
            i64 first = COUNT * i;
            if (vector && first + COUNT <= rows) {
                Several<From, COUNT> given = {};
                Several<To, COUNT> target = {};
                if (alpha != 0.0f)
                    given = *reinterpret_cast<const Several<From, COUNT>*>(at<From>(a, first, j));
                Several<To, COUNT>* to = reinterpret_cast<Several<To, COUNT>*>(at<To>(b, first, j));
                if (beta != 0.0f) target = *to;
#pragma unroll
                for (int k = 0; k < COUNT; k++) {
                    float x = widened(given.x[k]);
                    axpby_entry<float>(alpha, &x, beta, &target.x[k]);
                }
                *to = target;
            } else {
#pragma unroll 1
                for (i64 r = vector ? first : i; r < (vector ? rows : i + 1); r++) {
                    float x = alpha != 0.0f ? widened(*at<From>(a, r, j)) : 0.0f;
                    axpby_entry<float>(alpha, &x, beta, at<To>(b, r, j));
                }
            }
        }
}

// The same with A fast along its columns, by tiles of 32×32.
template <typename From, typename To>
__device__ __forceinline__ void turn(float alpha, View a, float beta, View b, i64 rows, i64 cols) {
    __shared__ float tile[32][33];
    u32 x = threadIdx.x & 31, y = threadIdx.x >> 5;
    i64 tiles_down = (rows + 31) / 32, tiles = tiles_down * ((cols + 31) / 32);
#pragma unroll 1
    for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
        i64 i0 = t % tiles_down * 32, j0 = t / tiles_down * 32;
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + k < rows && j0 + x < cols) tile[k][x] = widened(*at<From>(a, i0 + k, j0 + x));
        __syncthreads();
#pragma unroll 2
        for (u32 k = y; k < 32; k += THREADS / 32)
            if (i0 + x < rows && j0 + k < cols)
                axpby_entry<float>(alpha, &tile[x][k], beta, at<To>(b, i0 + x, j0 + k));
        __syncthreads();
    }
}

#define MOVES(FROM, FROM_NAME, TO, TO_NAME)                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        move_##FROM_NAME##_##TO_NAME(float alpha, View a, float beta, View b, i64 rows, i64 cols,  \
                                     u32 row_bits, u32 vector) {                                   \
        move<FROM, TO>(alpha, a, beta, b, rows, cols, row_bits, vector);                           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        turn_##FROM_NAME##_##TO_NAME(float alpha, View a, float beta, View b, i64 rows, i64 cols) { \
        turn<FROM, TO>(alpha, a, beta, b, rows, cols);                                             \
    }

#define GATHER(ROWS_OF, ROWS_NAME, IN, IN_NAME, OUT, OUT_NAME)                                     \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        gather_##ROWS_NAME##_##IN_NAME##_##OUT_NAME(float alpha, Lists x, View b, float beta,      \
                                                    View c, i64 rows, u32 part_bits, i64 cols,     \
                                                    u32 wide, u32 split) {                         \
        gather<IN, OUT>(alpha, ROWS_OF<float>{x}, b, beta, c, rows, part_bits, cols, wide, split); \
    }

#define SCATTER(IN, IN_NAME)                                                                       \
    extern "C" __global__ void __launch_bounds__(SCATTER_THREADS)                                  \
        scatter_signs_##IN_NAME(float alpha, Lists x, u32 stacked, View a, float beta, View c,     \
                                i64 inner, u32 cols, u32 wide, u32 slices, i64 parts) {            \
        scatter<IN>(alpha, x, stacked, a, beta, c, inner, cols, wide, slices, parts);              \
    }

#define KERNELS(H, NAME)                            \
    SCATTER(H, NAME)                                \
    MOVES(H, NAME, float, f32)                      \
    MOVES(float, f32, H, NAME)                      \
    MOVES(H, NAME, H, NAME)                         \
    GATHER(Signs, signs, H, NAME, H, NAME)          \
    GATHER(Signs, signs, H, NAME, float, f32)       \
    GATHER(Stored, stored, H, NAME, H, NAME)        \
    GATHER(Stored, stored, H, NAME, float, f32)

KERNELS(F16, f16)
KERNELS(BF16, bf16)
