// Softmax of each row: two block-wide reductions through warp shuffles and one shared buffer.
__device__ __forceinline__ float warp_max(float v) {
#if BUG == 4
    if ((threadIdx.x & 31) < 16)
#endif
    for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
    return v;
}
__device__ __forceinline__ float warp_sum(float v) {
#if BUG == 5
    const unsigned mask = 0x7fffffffu;
#else
    const unsigned mask = 0xffffffffu;
#endif
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(mask, v, o);
    return v;
}
extern "C" __global__ void softmax(float* x, int n) {
    __shared__ float part[32];
    float* row = x + (size_t)blockIdx.x * n;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    float top = -3.402823466e38f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) top = fmaxf(top, row[i]);
    top = warp_max(top);
    if (lane == 0) part[warp] = top;
#if BUG != 1
    __syncthreads();
#endif
#if BUG == 3
    top = warp_max(part[lane]);
#else
    top = warp_max(lane < warps ? part[lane] : -3.402823466e38f);
#endif
#if BUG != 2
    __syncthreads();
#endif
    float sum = 0.0f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float e = expf(row[i] - top);
        row[i] = e;
        sum += e;
    }
    sum = warp_sum(sum);
    if (lane == 0) part[warp] = sum;
    __syncthreads();
    sum = warp_sum(lane < warps ? part[lane] : 0.0f);
    float inverse = 1.0f / sum;
    for (int i = threadIdx.x; i < n; i += blockDim.x) row[i] *= inverse;
}
