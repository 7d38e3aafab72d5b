// C = A B, row-major, in tiles of 16 x 16.
#define TILE 16
extern "C" __global__ void gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[TILE][TILE + 1], bs[TILE][TILE + 1];
    int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    for (int t = 0; t < k; t += TILE) {
        int ak = t + threadIdx.x, bk = t + threadIdx.y;
#if BUG == 3
        as[threadIdx.y][threadIdx.x] = row < m ? a[(size_t)row * k + ak] : 0.0f;
#else
        as[threadIdx.y][threadIdx.x] = row < m && ak < k ? a[(size_t)row * k + ak] : 0.0f;
#endif
        bs[threadIdx.y][threadIdx.x] = bk < k && col < n ? b[(size_t)bk * n + col] : 0.0f;
#if BUG != 1
        __syncthreads();
#endif
#pragma unroll
        for (int q = 0; q < TILE; ++q) sum = fmaf(as[threadIdx.y][q], bs[q][threadIdx.x], sum);
#if BUG != 2
        __syncthreads();
#endif
    }
#if BUG == 4
    if (row <= m && col < n) c[(size_t)row * n + col] = sum;
#else
    if (row < m && col < n) c[(size_t)row * n + col] = sum;
#endif
}
