// What every kernel file begins with. No CUDA headers: the compiler's built-ins are enough.
//
// Matrices come as a View: an address and two strides in elements, any sign. Positions are 64-bit:
// matrices may have more than 2^31 entries. Kernels are launched with as many blocks as are useful
// and step through the rest, so every size is right with every grid.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

struct View {
    void* ptr;
    i64 row_stride;
    i64 col_stride;
};

template <typename T>
__device__ __forceinline__ T* at(const View& a, i64 i, i64 j) {
    return static_cast<T*>(a.ptr) + (i * a.row_stride + j * a.col_stride);
}

// Numbers as they are computed with, and as they are stored: the same here, others in half.cuh.
__device__ __forceinline__ float widened(float x) { return x; }
__device__ __forceinline__ double widened(double x) { return x; }
__device__ __forceinline__ void store(float* to, float x) { *to = x; }
__device__ __forceinline__ void store(double* to, double x) { *to = x; }

// alpha a + beta b as BLAS has it: nothing is read where its factor is zero.
template <typename T, typename S>
__device__ __forceinline__ void axpby_entry(T alpha, const T* a, T beta, S* b) {
    T sum = alpha == T(0) ? T(0) : alpha * *a;
    store(b, beta == T(0) ? sum : sum + beta * widened(*b));
}

__device__ __forceinline__ double warp_sum(double x) {
    for (int lanes = 16; lanes; lanes >>= 1) x += __shfl_xor_sync(0xffffffffu, x, lanes);
    return x;
}

// 16 bytes, moved by one instruction.
template <typename T>
struct alignas(16) Vector {
    T x[16 / sizeof(T)];
};

// Numbers moved by one instruction, 16 bytes at most.
template <typename T, int COUNT>
struct alignas(COUNT * sizeof(T)) Several {
    T x[COUNT];
};
