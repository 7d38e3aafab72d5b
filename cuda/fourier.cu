// Cosine transforms and convolutions of columns of any length, through complex Fourier transforms.
//
// X_k = c_k sum_t x_t cos(pi (2t + 1) k / 2n), c_0 = sqrt(1/n), else sqrt(2/n), is the real part of
// c_k e^(-i pi k / 2n) V_k, where V is the Fourier transform of the even entries of x in order, then the
// odd ones backwards (Makhoul, IEEE ASSP 28, 1980). The inverse is the transpose, the same transform
// with the factors at its entrance. V comes from butterflies of one bit a stage, entrance in natural
// order and exit bit-reversed, where n is a power of two. Else it is a convolution with the chirp
// e^(i pi k^2 / n) (Bluestein, 1970) of 2^bits >= 2n - 1 entries: transform, product with the chirp's
// transform, inverse transform from bit-reversed to natural order, so that nothing is ever permuted.
//
// | kernel | a block does | bytes needed | bound on an H100 (3 TB/s) |
// |---|---|---|---|
// | cosine | a tile of 2^10 to 2^13 complex entries | reals at both ends, complex numbers between passes | f32, one pass: 8 B an entry, 0.37 entries/ps |
// | convolve | the same, a transform a factor and one back | reals in, complex products out and in, reals out | f32, one pass, two factors: 28 B an entry, 0.1 entries/ps |
// | convolve_fold | 256 entries at a time | complex numbers read, reals written | 12 B (f32) an entry |
// | cosine_tables | 256 places of the tables at a time | four tables of 8 or 16 B an entry | some µs |
//
// Flops: 10 an entry and two bits of `bits`. Roots of unity come from a table, evaluated in f64 from
// exact fractions of a turn and rounded, so their errors do not grow with n. Columns up to
// 2^13 (f32) or 2^12 (f64) complex numbers take one pass, longer ones two up to 2^18 where they leave in
// bit-reversed order: the last pass takes transforms together whose results are neighbours.
//
// A real column is transformed as a complex one, which is twice the flops and, between passes, twice the
// bytes. Two real columns x and y as one x + iy would halve both, but the results part by V_k and V_(n-k):
// their bit-reversed positions lie in one tile where a column fits it, in two tiles of the last of several
// passes. Factors of a convolution cannot be paired at all, since products of (x + iy) mix the columns; a
// transform of n reals as one of n / 2 complex numbers parts by V_k and V_(n/2-k), with the same two tiles.
// So two passes move 16 B (f32) an entry between them beside the 8 B needed; one pass moves none.
//
// A multiprocessor holds three blocks (f32) or two (f64), by registers as by the shared memory of the largest
// tiles. Two entries a thread are under way, each with its factor: 18 or 24 KB, and 3 TB/s need 16 KB.

#include "common.cuh"
#include "transform.cuh"

template <typename T>
struct alignas(2 * sizeof(T)) Complex {
    T re, im;
};

template <typename T>
__device__ __forceinline__ Complex<T> times(Complex<T> a, Complex<T> b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// e^(-i pi p / q), p < 2q.
template <typename T>
__device__ __forceinline__ Complex<T> unit(u64 p, u64 q, double factor) {
    double x = p <= q ? (double)p / (double)q : -(double)(2 * q - p) / (double)q;
    double s, c;
    sincospi(x, &s, &c);
    return {(T)(factor * c), (T)(-factor * s)};
}

template <typename T>
struct Cosine {
    typedef Complex<T> Entry;
    typedef T Real;
    typedef Entry Factor;
    static const int RUNS = 2, BITS = 3;
    static const bool TWIDDLES = true, CONVOLVES = false, WIDE = false;

    static __device__ __forceinline__ Entry zero() { return {T(0), T(0)}; }

    // The even rows in order, then the odd ones backwards.
    static __device__ __forceinline__ i64 row(const Mix& m, i64 at) {
        return 2 * at < m.n ? 2 * at : 2 * (m.n - 1 - at) + 1;
    }

    static __device__ __forceinline__ Factor at_entrance(const Mix& m, i64 at) {
        return static_cast<const Entry*>(m.enter)[at];
    }
    static __device__ __forceinline__ Factor at_exit(const Mix& m, i64 k) {
        return static_cast<const Entry*>(m.leave)[k];
    }
    static __device__ __forceinline__ Entry admit(T x, Factor factor) {
        return {x * factor.re, x * factor.im};
    }
    static __device__ __forceinline__ T release(Entry x, Factor factor) {
        return x.re * factor.re - x.im * factor.im;
    }

    static __device__ __forceinline__ Entry between(const Mix& m, u32, i64 at, i64) {
        return static_cast<const Entry*>(m.spectrum)[at];
    }
    static __device__ __forceinline__ Entry scaled(const Mix&, Entry x, Entry factor) {
        return times(x, factor);
    }

    // Stages of bits s + q: the root of order 2^(s + q + 1) to the power of what lies below the bit. The
    // powers of each order lie side by side, from place 2^(s + q) on: so do those that a warp needs.
    template <int G>
    static __device__ __forceinline__ void butterfly(const Mix& m, Entry (&x)[1 << G], i64 below, u32 s,
                                                     bool inverse) {
        const Entry* roots = static_cast<const Entry*>(m.roots);
#pragma unroll
        for (u32 stage = 0; stage < G; stage++) {
            if (inverse) {
                u32 q = stage;
#pragma unroll
                for (u32 k = 0; k < 1u << G; k++)
                    if (!(k >> q & 1)) {
                        Entry w = roots[below + ((i64)(1u << q | (k & ((1u << q) - 1))) << s)];
                        w.im = -w.im;
                        Entry a = x[k], b = times(x[k | 1u << q], w);
                        x[k] = {a.re + b.re, a.im + b.im};
                        x[k | 1u << q] = {a.re - b.re, a.im - b.im};
                    }
            } else {
                u32 q = G - 1 - stage;
#pragma unroll
                for (u32 k = 0; k < 1u << G; k++)
                    if (!(k >> q & 1)) {
                        Entry w = roots[below + ((i64)(1u << q | (k & ((1u << q) - 1))) << s)];
                        Entry a = x[k], b = x[k | 1u << q];
                        x[k] = {a.re + b.re, a.im + b.im};
                        x[k | 1u << q] = times(Entry{a.re - b.re, a.im - b.im}, w);
                    }
            }
        }
    }
};

// Circular convolutions of columns of length n: transform of each factor, product with the spectra of
// the others, and transform back, where n is not a power of two of columns with so many zeros behind
// them that nothing wraps, and what lies beyond n is added to the front.
template <typename T>
struct Convolution : Cosine<T> {
    typedef Complex<T> Entry;
    struct Factor {};
    static const bool CONVOLVES = true;

    static __device__ __forceinline__ i64 row(const Mix&, i64 at) { return at; }
    static __device__ __forceinline__ Factor at_entrance(const Mix&, i64) { return {}; }
    static __device__ __forceinline__ Factor at_exit(const Mix&, i64) { return {}; }
    static __device__ __forceinline__ Entry admit(T x, Factor) { return {x, T(0)}; }
    static __device__ __forceinline__ T release(Entry x, Factor) { return x.re; }

    static __device__ __forceinline__ Entry plus(Entry x, Entry y) { return {x.re + y.re, x.im + y.im}; }
    static __device__ __forceinline__ Entry product(Entry x, Entry y) { return times(x, y); }

    // The product of the other factors. With it goes a power of two: 1 over the length of the transforms.
    static __device__ __forceinline__ Entry between(const Mix& m, u32, i64, i64 offset) {
        return static_cast<const Entry*>(m.product.ptr)[offset];
    }
    static __device__ __forceinline__ Entry scaled(const Mix& m, Entry x, Entry factor) {
        T power = (T)m.between;
        return times(Entry{power * x.re, power * x.im}, factor);
    }
};

// Columns that do not fit a tile: out of the scratch memory, what lies beyond n added to the front.
template <typename T>
__device__ __forceinline__ void fold(const Mix& m) {
    u32 across = 1u << m.fast_bits, lane = threadIdx.x & (across - 1), line = threadIdx.x >> m.fast_bits;
    u32 lines = THREADS >> m.fast_bits;
    i64 fast = m.by_rows ? m.n : m.cols, slow = m.by_rows ? m.cols : m.n;
    #pragma unroll 1
    for (i64 q = (i64)blockIdx.y * lines + line; q < slow; q += (i64)gridDim.y * lines)
        #pragma unroll 1
        for (i64 p = (i64)blockIdx.x * across + lane; p < fast; p += (i64)gridDim.x * across) {
            i64 i = m.by_rows ? p : q, j = m.by_rows ? q : p;
            T sum = T(0);
            #pragma unroll 1
            for (i64 k = i; k < m.sampled; k += m.n) sum += at<Complex<T>>(m.scratch, k, j)->re;
            axpby_entry<T>((T)m.factor, &sum, (T)m.beta, at<T>(m.target, i, j));
        }
}

// The tables of order n: factors at entrance and exit, the roots of unity of orders 2, 4, ..., 2^bits (half
// of each, from half the order on), and where the transform is a convolution the chirp, wrapped around,
// times 2^-bits.
template <typename T>
__device__ __forceinline__ void tables(i64 n, u32 bits, u32 convolve, u32 trans, Complex<T>* enter,
                                       Complex<T>* leave, Complex<T>* roots, Complex<T>* chirp) {
    i64 size = 1ll << bits;
    #pragma unroll 1
    for (i64 t = (i64)blockIdx.x * THREADS + threadIdx.x; t < size; t += (i64)gridDim.x * THREADS) {
        u64 order = (u64)n;
        if (t) {
            u64 half = 1ull << (63 - __clzll(t));
            roots[t] = unit<T>((u64)t - half, half, 1.0);
        }
        if (t < n) {
            // t^2 / n as a fraction of 4n steps, and with it t / 2n.
            u64 square = convolve ? (u64)t * (u64)t % (2 * order) * 2 : 0, both = square + (u64)t;
            both = both < 4 * order ? both : both - 4 * order;
            // The constant is at the entrance, so that nothing between exceeds the result much.
            double scale = n > 1 ? sqrt(2.0 / (double)n) : 1.0;
            double first = n > 1 && t == 0 ? 0.70710678118654752440 : 1.0;
            enter[t] = unit<T>(trans ? both : square, 2 * order, trans ? scale * first : scale);
            leave[t] = unit<T>(trans ? square : both, 2 * order, trans ? 1.0 : first);
        }
        if (convolve) {
            i64 k = t < n ? t : size - t;
            Complex<T> h = {T(0), T(0)};
            if (k < n) {
                h = unit<T>((u64)k * (u64)k % (2 * order), order, 1.0 / (double)size);
                h.im = -h.im;
            }
            chirp[t] = h;
        }
    }
}

#define BLOCKS(T) (sizeof(T) == 4 ? 3 : 2)
#define KERNELS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS(T)) cosine_##NAME(Mix m) {        \
        pass<Cosine<T>>(m);                                                                        \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS(T)) convolve_##NAME(Mix m) {      \
        pass<Convolution<T>>(m);                                                                   \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS) convolve_fold_##NAME(Mix m) {            \
        fold<T>(m);                                                                                \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        cosine_tables_##NAME(i64 n, u32 bits, u32 convolve, u32 trans, Complex<T>* enter,          \
                             Complex<T>* leave, Complex<T>* roots, Complex<T>* chirp) {            \
        tables<T>(n, bits, convolve, trans, enter, leave, roots, chirp);                           \
    }

KERNELS(float, f32)
KERNELS(double, f64)
