// B = A' for a row-major m x n matrix A (n even), through a padded tile; loads are pairs.
extern "C" __global__ void transpose(const float* a, float* b, int m, int n) {
    __shared__ float tile[16][33];
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 32 + 2 * threadIdx.x;
#if BUG == 1
    if (row >= m || col >= n) return;
#endif
    if (row < m && col < n) {
#if BUG == 4
        float2 pair = *(const float2*)(a + (size_t)row * n + col + 1);
#else
        float2 pair = *(const float2*)(a + (size_t)row * n + col);
#endif
        tile[threadIdx.y][2 * threadIdx.x] = pair.x;
        tile[threadIdx.y][2 * threadIdx.x + 1] = pair.y;
#if BUG == 2
        __syncthreads();
#endif
    }
#if BUG != 2
    __syncthreads();
#endif
    int thread = threadIdx.y * 16 + threadIdx.x;
    for (int i = thread; i < 512; i += 256) {
        int r = i % 16, c = i / 16;
        int to_row = blockIdx.x * 32 + c, to_col = blockIdx.y * 16 + r;
#if BUG == 3
        if (to_row < n) b[(size_t)to_row * m + to_col] = tile[r][c];
#else
        if (to_row < n && to_col < m) b[(size_t)to_row * m + to_col] = tile[r][c];
#endif
    }
}
