// Walsh-Hadamard transform of each row (a power of two long) in dynamic shared memory.
extern "C" __global__ void __launch_bounds__(256) fwht(float* x, int n, float scale) {
    extern __shared__ float s[];
    float* row = x + (size_t)blockIdx.x * n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = row[i];
#if BUG != 1
    __syncthreads();
#endif
    for (int h = 1; h < n; h <<= 1) {
#if BUG == 3
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
#else
        for (int i = threadIdx.x; i < n / 2; i += blockDim.x) {
#endif
            int j = ((i & ~(h - 1)) << 1) | (i & (h - 1));
            float a = s[j], b = s[j + h];
            s[j] = a + b;
            s[j + h] = a - b;
        }
#if BUG != 2
        __syncthreads();
#endif
    }
    for (int i = threadIdx.x; i < n; i += blockDim.x) row[i] = s[i] * scale;
}
