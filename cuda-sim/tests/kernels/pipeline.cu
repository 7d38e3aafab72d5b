// Tensor-core product of bfloats, C[16 x 8] per warp: cp.async double stage, ldmatrix, mma.sync.
typedef unsigned short bf16;
__device__ __forceinline__ unsigned shared_address(const void* p) {
    return (unsigned)__cvta_generic_to_shared(p);
}
extern "C" __global__ void pipeline(const bf16* a, const bf16* b, float* c, int n, int k) {
    __shared__ __align__(16) bf16 as[2][16][24], bs[2][16][8];
    int lane = threadIdx.x, row0 = blockIdx.y * 16, col0 = blockIdx.x * 8;
    float d[4] = {0.f, 0.f, 0.f, 0.f};
    auto stage = [&](int s, int k0) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::
            "r"(shared_address(&as[s][lane / 2][lane % 2 * 8])),
            "l"(a + (size_t)(row0 + lane / 2) * k + k0 + lane % 2 * 8) : "memory");
        if (lane < 16)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::
                "r"(shared_address(&bs[s][lane][0])), "l"(b + (size_t)(k0 + lane) * n + col0) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    stage(0, 0);
    for (int k0 = 0, s = 0; k0 < k; k0 += 16, s ^= 1) {
        if (k0 + 16 < k) {
            stage(s ^ 1, k0 + 16);
#if BUG == 1
            asm volatile("cp.async.wait_group 2;" ::: "memory");
#else
            asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
#if BUG != 2
        __syncwarp();
#endif
        unsigned x[4], y[2];
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
            : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
            : "r"(shared_address(&as[s][lane % 16][lane / 16 * 8])));
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
            : "=r"(y[0]), "=r"(y[1]) : "r"(shared_address(&bs[s][lane % 16][0])));
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
#if BUG != 3
        __syncwarp();
#endif
    }
    int g = lane / 4, q = lane % 4;
    float* top = &c[(size_t)(row0 + g) * n + col0 + 2 * q];
    float* bottom = &c[(size_t)(row0 + g + 8) * n + col0 + 2 * q];
    *(float2*)top = make_float2(d[0], d[1]);
    *(float2*)bottom = make_float2(d[2], d[3]);
}
