// Numbers of 16 bits, and tensor-core products of them. Inline PTX: NVRTC's built-ins know neither.

struct F16 {
    unsigned short bits;
};
struct BF16 {
    unsigned short bits;
};

__device__ __forceinline__ float widened(F16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
__device__ __forceinline__ float widened(BF16 x) { return __uint_as_float((u32)x.bits << 16); }

// To nearest, ties to even.
__device__ __forceinline__ void store(F16* to, float x) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to->bits) : "f"(x));
}
__device__ __forceinline__ void store(BF16* to, float x) {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(x));
}

// Two numbers in a register, the first one low.
template <typename H>
__device__ __forceinline__ u32 pack(float low, float high);
template <>
__device__ __forceinline__ u32 pack<F16>(float low, float high) {
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
template <>
__device__ __forceinline__ u32 pack<BF16>(float low, float high) {
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

// 8 and 16 bytes to global memory, which the compiler does not put together behind shuffles and products of
// tensor cores.
__device__ __forceinline__ void store_two(void* to, u32 x, u32 y) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};"
                 :
                 : "l"(__cvta_generic_to_global(to)), "r"(x), "r"(y)
                 : "memory");
}
__device__ __forceinline__ void store_four(float* to, float x, float y, float z, float w) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};"
                 :
                 : "l"(__cvta_generic_to_global(to)), "f"(x), "f"(y), "f"(z), "f"(w)
                 : "memory");
}

// Twice the number 1.
template <typename H>
__device__ __forceinline__ u32 ones();
template <>
__device__ __forceinline__ u32 ones<F16>() {
    return 0x3c003c00u;
}
template <>
__device__ __forceinline__ u32 ones<BF16>() {
    return 0x3f803f80u;
}

// D += A B for A of 16×16 and B of 16×8 in a warp, summed in f32. With g = lane / 4 and q = lane % 4 a
// lane holds of A the rows g (a[0], a[2]) and g + 8 (a[1], a[3]), in the columns 2q, 2q + 1 and from
// a[2] on 8 more; of B the column g in those rows; of D the columns 2q, 2q + 1 of the row g, then g + 8.
template <typename H>
__device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1);
#define MULTIPLY(H, NAME)                                                                          \
    template <>                                                                                    \
    __device__ __forceinline__ void multiply<H>(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." NAME "." NAME ".f32 "                \
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"             \
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                              \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));              \
    }
MULTIPLY(F16, "f16")
MULTIPLY(BF16, "bf16")

// Four matrices of 8×8 numbers from shared memory; lanes 8i to 8i + 7 name the rows of the i-th. A lane
// gets the numbers 2q and 2q + 1 of row g of each, TURNED: of column g.
template <bool TURNED>
__device__ __forceinline__ void load_matrices(u32 (&x)[4], const void* row) {
    u32 address = (u32)__cvta_generic_to_shared(row);
    if (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(address)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(address)
                     : "memory");
}
