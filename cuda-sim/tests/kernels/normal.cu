// Philox4x32-10 and Box-Muller, four numbers a thread.
__device__ __noinline__ uint4 philox(uint4 c, uint2 k) {
    for (int r = 0; r < 10; ++r) {
        unsigned hi0 = __umulhi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        unsigned hi1 = __umulhi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = make_uint4(hi1 ^ c.y ^ k.x, lo1, hi0 ^ c.w ^ k.y, lo0);
        k.x += 0x9E3779B9u;
        k.y += 0xBB67AE85u;
    }
    return c;
}
extern "C" __global__ void normal(float* out, unsigned long long n, unsigned long long seed) {
    unsigned long long t = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x, i = 4 * t;
    if (i >= n) return;
    uint4 r = philox(make_uint4((unsigned)t, (unsigned)(t >> 32), 0u, 0u),
                     make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
    float u0 = ((r.x >> 8) + 0.5f) * 0x1p-24f, u1 = (r.y >> 8) * 0x1p-24f;
    float u2 = ((r.z >> 8) + 0.5f) * 0x1p-24f, u3 = (r.w >> 8) * 0x1p-24f;
    float s0, c0, s1, c1, m0 = sqrtf(-2.0f * logf(u0)), m1 = sqrtf(-2.0f * logf(u2));
    sincosf(6.283185307f * u1, &s0, &c0);
    sincosf(6.283185307f * u3, &s1, &c1);
    float v[4] = {m0 * c0, m0 * s0, m1 * c1, m1 * s1};
    for (int q = 0; q < 4; ++q) {
#if BUG == 1
        if (i + q <= n) out[i + q] = v[q];
#else
        if (i + q < n) out[i + q] = v[q];
#endif
    }
}
