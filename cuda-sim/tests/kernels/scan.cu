// Sums of all prefixes within each warp through shared memory, then the sum of each block.
__constant__ float weights[4] = {1.0f, 2.0f, 3.0f, 4.0f};
extern "C" __global__ void scan(const float* __restrict__ x, float* prefix, float* total,
                                unsigned* count, int n) {
    __shared__ float s[128];
    __shared__ float sum;
    int i = blockIdx.x * 128 + threadIdx.x, lane = threadIdx.x & 31;
    if (threadIdx.x == 0) sum = 0.0f;
    s[threadIdx.x] = i < n ? weights[i & 3] * x[i] : 0.0f;
    __syncthreads();
    for (int o = 1; o < 32; o <<= 1) {
        float other = lane >= o ? s[threadIdx.x - o] : 0.0f;
#if BUG != 1
        __syncwarp();
#endif
        s[threadIdx.x] += other;
#if BUG != 2
        __syncwarp();
#endif
    }
    if (i < n) prefix[i] = s[threadIdx.x];
#if BUG == 3
    if (lane == 31) sum += s[threadIdx.x];
#else
    if (lane == 31) atomicAdd(&sum, s[threadIdx.x]);
#endif
#if BUG != 4
    __syncthreads();
#endif
    if (threadIdx.x == 0) {
        total[blockIdx.x] = sum;
        unsigned done = atomicAdd(count, 1u);
#if BUG == 5
        __threadfence();
        if (done == gridDim.x - 1)
            for (int b = 1; b < gridDim.x; ++b) total[0] += total[b];
#endif
    }
#if BUG == 6
    __syncthreads();
    if (threadIdx.x == 0) prefix[0] = __ldg(&prefix[blockIdx.x * 128 + 1]);
#endif
#if BUG == 7
    if (threadIdx.x == 0) {
        unsigned long long address = __cvta_generic_to_shared(s);
        asm volatile("st.global.f32 [%0], %1;" ::"l"(address), "f"(sum) : "memory");
    }
#endif
#if BUG == 8
    while (atomicAdd(count, 0u) != gridDim.x + 1) {}
#endif
#if BUG == 9
    if (threadIdx.x == 200 - 128 * (int)blockIdx.x) __trap();
#endif
#if BUG == 10
    if (threadIdx.x < 64) asm volatile("bar.sync 1, 128;" ::: "memory");
#endif
}
