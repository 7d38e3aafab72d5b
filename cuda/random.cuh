// The random numbers of the library (src/random), bit for bit: Philox4x32-10 and the transforms to
// normals and uniforms. Every floating-point operation is written as an intrinsic with its rounding,
// so that neither contraction nor fast-math can change a bit.

struct alignas(16) Block {
    u32 x[4];
};

// The block of counter (block, unit low, unit high, stream) under the key of a seed.
__device__ __forceinline__ Block philox(u64 seed, u32 stream, u64 unit, u32 block) {
    u32 c0 = block, c1 = (u32)unit, c2 = (u32)(unit >> 32), c3 = stream;
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        u32 h0 = __umulhi(0xd2511f53u, c0), l0 = 0xd2511f53u * c0;
        u32 h1 = __umulhi(0xcd9e8d57u, c2), l1 = 0xcd9e8d57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    return {{c0, c1, c2, c3}};
}

// 64-bit word 0 or 1 of a block.
__device__ __forceinline__ u64 word64(const Block& b, int half) {
    return (u64)b.x[2 * half] | (u64)b.x[2 * half + 1] << 32;
}

// −2 ln u for a normal number u in (0, 1].
__device__ __forceinline__ float minus_two_ln(float u) {
    u32 t = __float_as_uint(u) - 0x3f2aaaabu;
    float e = __int2float_rn((int)t >> 23);
    float f = __fadd_rn(__uint_as_float((t & 0x007fffffu) + 0x3f2aaaabu), -1.0f);
    float f2 = __fmul_rn(f, f);
    float even = 0.25703418f, odd = -0.2355224f;
    even = __fmaf_rn(even, f2, 0.24388176f);
    odd = __fmaf_rn(odd, f2, -0.21627417f);
    even = __fmaf_rn(even, f2, 0.33359432f);
    odd = __fmaf_rn(odd, f2, -0.28598633f);
    even = __fmaf_rn(even, f2, 0.49999633f);
    odd = __fmaf_rn(odd, f2, -0.39999527f);
    even = __fmaf_rn(even, f2, 1.0f);
    odd = __fmaf_rn(odd, f2, -0.6666667f);
    float q = __fmaf_rn(odd, f, even);
    return __fmaf_rn(e, -0x1.62e430p+0f, __fmaf_rn(f2, q, __fmul_rn(-2.0f, f)));
}

__device__ __forceinline__ double minus_two_ln(double u) {
    const double even_powers[10] = {0.9999999999999991,   0.5000000000005926,  0.33333333321791064,
                                    0.2500000102610551,   0.19999950053058524, 0.1666812153891714,
                                    0.14259320271036433,  0.1279922261496167,  0.09072989010695778,
                                    0.17383325350627507};
    const double odd_powers[10] = {-0.666666666666666,   -0.4000000000005187,  -0.2857142856094968,
                                   -0.22222223171238983, -0.18181771471832198, -0.15385985975029154,
                                   -0.13308339573348513, -0.1204913511499906,  -0.0858336439941798,
                                   -0.16577638968062527};
    u64 t = (u64)__double_as_longlong(u) - 0x3fe5555555555555ull;
    double e = __ll2double_rn((i64)t >> 52);
    double f = __dadd_rn(
        __longlong_as_double((i64)((t & 0x000fffffffffffffull) + 0x3fe5555555555555ull)), -1.0);
    double f2 = __dmul_rn(f, f);
    double even = even_powers[9], odd = odd_powers[9];
#pragma unroll
    for (int k = 8; k >= 0; k--) {
        even = __fma_rn(even, f2, even_powers[k]);
        odd = __fma_rn(odd, f2, odd_powers[k]);
    }
    double q = __fma_rn(odd, f, even);
    return __fma_rn(e, -1.3862943611198906, __fma_rn(f2, q, __dmul_rn(-2.0, f)));
}

// Cosine and sine of y/2^32 turns.
__device__ __forceinline__ void cos_sin(u32 y, float& c, float& s) {
    float theta = __fmul_rn(__int2float_rn((int)(y << 2)), 0x1.921fb6p-32f);
    float t2 = __fmul_rn(theta, theta);
    float p = __fmaf_rn(__fmaf_rn(-0.00019496137f, t2, 0.008331983f), t2, -0.16666651f);
    float sine = __fmaf_rn(__fmul_rn(theta, t2), p, theta);
    float r = __fmaf_rn(2.4432971e-05f, t2, -0.0013887313f);
    r = __fmaf_rn(__fmaf_rn(r, t2, 0.041666646f), t2, -0.5f);
    float cosine = __fmaf_rn(r, t2, 1.0f);
    // Bits 31 and 30 of q are the quadrant: 1 and 3 swap, 2 and 3 negate the sine, 1 and 2 the cosine.
    u32 q = y + (1u << 29);
    bool swap = q >> 30 & 1;
    c = __uint_as_float(__float_as_uint(swap ? sine : cosine) ^ ((q ^ q << 1) & 0x80000000u));
    s = __uint_as_float(__float_as_uint(swap ? cosine : sine) ^ (q & 0x80000000u));
}

// Cosine and sine of y/2^64 turns, y cut to its 54 top bits.
__device__ __forceinline__ void cos_sin(u64 y, double& c, double& s) {
    const double sines[7] = {1.5707963267948966,     -0.6459640975062388,    0.07969262624587942,
                             -0.0046817541301858836, 0.00016044113675158593, -3.5985994204190104e-06,
                             5.628602478716026e-08};
    const double cosines[7] = {-1.2337005501361697,    0.25366950790104276,     -0.020863480763222846,
                               0.0009192602732379642,  -2.5202031527216873e-05, 4.710464167246257e-07,
                               -6.305262810027237e-09};
    double t = __dmul_rn(__ll2double_rn((i64)(y << 2) >> 12), 2.220446049250313e-16);
    double t2 = __dmul_rn(t, t);
    double p = sines[6], r = cosines[6];
#pragma unroll
    for (int k = 5; k >= 0; k--) {
        p = __fma_rn(p, t2, sines[k]);
        r = __fma_rn(r, t2, cosines[k]);
    }
    double sine = __dmul_rn(p, t), cosine = __fma_rn(r, t2, 1.0);
    u64 q = y + (1ull << 61);
    bool swap = q >> 62 & 1;
    const u64 minus = 1ull << 63;
    c = __longlong_as_double(__double_as_longlong(swap ? sine : cosine) ^ (i64)((q ^ q << 1) & minus));
    s = __longlong_as_double(__double_as_longlong(swap ? cosine : sine) ^ (i64)(q & minus));
}

// What a block of random words becomes: ROWS entries below each other.
struct Gaussian {};
struct Uniform {};

__device__ __forceinline__ void entries(Gaussian, const Block& b, float (&out)[4]) {
#pragma unroll
    for (int pair = 0; pair < 2; pair++) {
        float u = __fadd_rn(__uint2float_rn(b.x[2 * pair]), 0.5f);
        float radius = __fsqrt_rn(minus_two_ln(__fmul_rn(u, 2.3283064365386963e-10f)));
        float c, s;
        cos_sin(b.x[2 * pair + 1], c, s);
        out[2 * pair] = __fmul_rn(radius, c);
        out[2 * pair + 1] = __fmul_rn(radius, s);
    }
}

__device__ __forceinline__ void entries(Gaussian, const Block& b, double (&out)[2]) {
    double u = __ull2double_rn((word64(b, 0) >> 11) + 1);
    double radius = __dsqrt_rn(minus_two_ln(__dmul_rn(u, 1.1102230246251565e-16)));
    double c, s;
    cos_sin(word64(b, 1), c, s);
    out[0] = __dmul_rn(radius, c);
    out[1] = __dmul_rn(radius, s);
}

__device__ __forceinline__ void entries(Uniform, const Block& b, float (&out)[4]) {
#pragma unroll
    for (int k = 0; k < 4; k++)
        out[k] = __fmul_rn(__int2float_rn((int)(b.x[k] >> 7 | 1u) - (1 << 24)), 1.0323827e-7f);
}

__device__ __forceinline__ void entries(Uniform, const Block& b, double (&out)[2]) {
#pragma unroll
    for (int k = 0; k < 2; k++)
        out[k] = __dmul_rn(__ll2double_rn((i64)(word64(b, k) >> 10 | 1ull) - (1ll << 53)),
                           1.9229626863835638e-16);
}

// Entries of one block of words.
template <typename T>
struct Rows;
template <>
struct Rows<float> {
    static const int COUNT = 4;
};
template <>
struct Rows<double> {
    static const int COUNT = 2;
};
