//! The memory that calls need beside their arguments and results, counted by the allocator.
//!
//! faer's product keeps a packing buffer of twice the last-level cache for every thread that calls
//! it, address space of which it touches what it needs. It is no memory of a call: each thread of
//! the pool has done a product before anything is counted.
//!
//! One test, so that nothing else allocates meanwhile. In debug builds matrices have few columns:
//! what is counted hardly depends on them.

use randnla::decomp::{CqrrptParams, RsvdParams, cqrrpt_in_place, rsvd};
use randnla::{Backend, Blas, Cpu, Mat, Result, Scalar, Sketch, f16};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator with a count of what is alive and of the most that was.
struct Counting;

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn grown(by: usize) {
        let alive = ALIVE.fetch_add(by, Relaxed) + by;
        MOST.fetch_max(alive, Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grown(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::grown(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new memory may be alive together while the contents are copied.
        Self::grown(size);
        // SAFETY: the caller's promise.
        let new = unsafe { System.realloc(ptr, layout, size) };
        ALIVE.fetch_sub(layout.size(), Relaxed);
        new
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

const MIB: usize = 1 << 20;

/// The most bytes that were alive during `call` beyond those before it.
fn extra(call: impl FnOnce() -> Result<()>) -> Result<usize> {
    let before = ALIVE.load(Relaxed);
    MOST.store(before, Relaxed);
    call()?;
    Ok(MOST.load(Relaxed) - before)
}

/// The extra bytes of S·A into memory of the caller.
fn of_apply<T: Scalar>(s: &Sketch, n: usize, row_major: bool) -> Result<usize>
where
    Cpu: Backend<T>,
{
    let cpu = Cpu::new();
    let make = |rows, cols| match row_major {
        true => Mat::<T>::zeros(&cpu, cols, rows).map(Mat::into_transposed),
        false => Mat::zeros(&cpu, rows, cols),
    };
    let (a, mut c) = (make(s.ncols(), n)?, make(s.nrows(), n)?);
    extra(|| s.apply_into(T::one(), &a, T::zero(), c.as_mut()))
}

#[test]
fn extra_memory_is_what_is_promised() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.broadcast(|_| {
        pack_once::<f64>().unwrap();
        pack_once::<f32>().unwrap();
    });
    pool.install(of_families).unwrap();
    pool.install(of_halves).unwrap();
    pool.install(of_rsvd).unwrap();
    pool.install(of_qr_in_place).unwrap();
    pool.install(of_loops_with_a_workspace).unwrap();
}

/// A product on the calling thread alone.
fn pack_once<T: Scalar>() -> Result<()>
where
    Cpu: Backend<T>,
{
    let cpu = Cpu::with_threads(1)?;
    let (a, mut c) = (Mat::identity(&cpu, 300)?, Mat::zeros(&cpu, 300, 300)?);
    cpu.gemm(T::one(), a.as_ref(), a.as_ref(), T::zero(), c.as_mut())
}

fn of_families() -> Result<()> {
    let (d, m) = (1536, 1 << 14);
    let n = if cfg!(debug_assertions) { 16 } else { 1024 };
    let families = [
        ("gaussian", Sketch::gaussian(d, m, 1)?, 16 * MIB),
        ("sparse_stack", Sketch::sparse_stack(d, m, 8, 1)?, 16 * MIB),
        ("sparse_sign", Sketch::sparse_sign(d, m, 8, 1)?, 16 * MIB),
        ("count_sketch", Sketch::count_sketch(d, m, 1)?, 16 * MIB),
        ("srht", Sketch::srht(d, m, 1)?, 16 * MIB),
    ];
    for (name, s, limit) in families {
        for row_major in [false, true] {
            let extra = [of_apply::<f64>(&s, n, row_major)?, of_apply::<f32>(&s, n, row_major)?];
            println!("{name}, row-major {row_major}: f64 {} B, f32 {} B", extra[0], extra[1]);
            assert!(extra.iter().all(|&extra| extra <= limit), "{name}: {extra:?} of {limit}");
        }
    }
    Ok(())
}

/// The positions of all columns would take 32 MiB.
fn of_halves() -> Result<()> {
    let (cpu, s) = (Cpu::new(), Sketch::sparse_stack(64, 1 << 20, 8, 1)?);
    let mut long = Mat::<f16>::zeros(&cpu, 1 << 20, 1)?;
    let mut short = Mat::<f16>::zeros(&cpu, 64, 1)?;
    let extra = [
        extra(|| s.apply_into(1.0, &long, 1.0, short.as_mut()))?,
        extra(|| s.apply_adjoint_into(1.0, &short, 0.0, long.as_mut()))?,
    ];
    println!("sparse_stack on f16: {extra:?} B");
    assert!(extra.iter().all(|&extra| extra <= 24 * MIB), "{extra:?}");
    Ok(())
}

/// A decomposition keeps a few blocks of m + n rows: 3(m + n)(k + p) entries or so, the results
/// among them. It never copies A.
fn of_rsvd() -> Result<()> {
    let (m, n, k, p) = (2048, 1024, 32, 10);
    let cpu = Cpu::new();
    let a = Sketch::uniform(m, n, 1)?.to_mat::<f64, _>(&cpu)?;
    let mut svd = None;
    let extra = extra(|| {
        svd = Some(rsvd(&a, RsvdParams::rank(k).oversampling(p))?);
        Ok(())
    })?;
    let entries = (m + n) * (k + p);
    let blocks = extra as f64 / (8 * entries) as f64;
    println!("rsvd: {extra} B = {blocks:.1} (m + n)(k + p) entries of f64");
    assert!(svd.is_some_and(|svd| svd.rank() == k));
    assert!(blocks <= 4.0, "{blocks}");
    Ok(())
}

/// QR in place keeps some columns and the sketch, no second A.
fn of_qr_in_place() -> Result<()> {
    let (m, n) = (1 << 15, 256);
    let cpu = Cpu::new();
    let mut a = Sketch::uniform(m, n, 1)?.to_mat::<f64, _>(&cpu)?;
    let mut rank = 0;
    let extra = extra(|| {
        rank = cqrrpt_in_place(a.as_mut(), CqrrptParams::default())?.rank();
        Ok(())
    })?;
    println!("cqrrpt_in_place: {extra} B, A has {}", 8 * m * n);
    assert_eq!(rank, n);
    // Two blocks of 64 columns on their way, or the packing of products.
    assert!(extra <= 8 * m * 128 + 16 * MIB, "{extra}");
    Ok(())
}

/// With a workspace, the rounds of a loop but the first take next to nothing from the system.
fn of_loops_with_a_workspace() -> Result<()> {
    let (m, n) = (4096, 512);
    let cpu = Cpu::new().with_workspace(256 * MIB);
    let a = Sketch::uniform(m, n, 1)?.to_mat::<f64, _>(&cpu)?;
    let row_major = Sketch::uniform(n, m, 1)?.to_mat::<f64, _>(&cpu)?.into_transposed();
    let families = [
        Sketch::gaussian(256, m, 1)?,
        Sketch::count_sketch(256, m, 1)?,
        Sketch::srht(256, m, 1)?,
        Sketch::srct(256, m, 1)?,
    ];
    let round = || -> Result<()> {
        for s in families {
            s.apply(&a)?;
            s.apply(&row_major)?;
        }
        rsvd(&a, RsvdParams::rank(32))?;
        Ok(())
    };
    round()?;
    let again = extra(round)?;
    println!("second round with a workspace: {again} B; peak {} B", cpu.workspace_peak());
    // The small factorizations on the host are the allocator's: a few matrices of order 42.
    assert!(again <= MIB, "{again} bytes");
    assert!((16 * MIB..256 * MIB).contains(&cpu.workspace_peak()));
    Ok(())
}
