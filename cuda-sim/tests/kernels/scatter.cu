// CountSketch of the rows of A: out[h(i), :] += sign(i) A[i, :].
extern "C" __global__ void scatter(const float* __restrict__ a, float* out,
                                   const unsigned* __restrict__ hash, int m, int n) {
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    int i = blockIdx.y * blockDim.y + threadIdx.y;
#if BUG == 2
    if (i >= m) return;
#else
    if (i >= m || j >= n) return;
#endif
    unsigned h = hash[i];
    float value = (h >> 31 ? -1.0f : 1.0f) * a[(size_t)i * n + j];
    float* target = &out[(size_t)(h & 0x7fffffffu) * n + j];
#if BUG == 1
    *target += value;
#else
    atomicAdd(target, value);
#endif
}
