//! Strides beyond 2³¹ elements, with few entries: every row or every column of a matrix lies in an allocation
//! of its own. The simulator puts these 64 GiB apart, all at the same distance, so no memory is needed between
//! them, and an offset that is cut to 32 bits ends outside of all of them. One test in a process of its own,
//! since an allocation of another would change the distance.

#[path = "hardware/gpu.rs"]
mod shared;

use randnla::{
    Blas, BlockPermParams, Csr, Cuda, Device, Half, HalfKernels, MatMut, MatRef, Op, Result,
    Scalar, Sketch, SketchBackend, SketchKernels, SparseKernels, Storage, StorageKernels,
    TransformKernels, bf16, f16,
};

type Buffer<T> = <Cuda as Device>::Buffer<T>;

/// What lies far apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Far {
    Nothing,
    Columns,
    Rows,
}

const PLACES: [Far; 3] = [Far::Nothing, Far::Columns, Far::Rows];

/// A matrix in lines that lie apart, or in one.
struct Spread<T: Storage> {
    lines: Vec<Buffer<T>>,
    shape: (usize, usize),
    strides: (isize, isize),
    far: Far,
    cuda: Cuda,
}

impl<T: Storage> Spread<T> {
    fn new(
        cuda: &Cuda,
        far: Far,
        (rows, cols): (usize, usize),
        f: impl Fn(usize, usize) -> f64,
    ) -> Result<Self> {
        let entry = |i: usize, j: usize| T::narrow(Scalar::from_f64(f(i, j)));
        let lines: Vec<Vec<T>> = match far {
            Far::Nothing => vec![(0..rows * cols).map(|k| entry(k % rows, k / rows)).collect()],
            Far::Columns => (0..cols).map(|j| (0..rows).map(|i| entry(i, j)).collect()).collect(),
            Far::Rows => (0..rows).map(|i| (0..cols).map(|j| entry(i, j)).collect()).collect(),
        };
        let mut buffers = Vec::new();
        for line in &lines {
            buffers.push(cuda.scratch::<T>(line.len())?);
        }
        for (line, buffer) in lines.iter().zip(&mut buffers) {
            cuda.upload(line, buffer)?;
        }
        let starts: Vec<usize> = buffers.iter().map(|b| Cuda::as_ptr(b).addr()).collect();
        let steps: Vec<usize> = starts.windows(2).map(|two| two[1] - two[0]).collect();
        let step = steps.first().map_or(1, |&step| step / size_of::<T>()) as isize;
        assert!(steps.iter().all(|&s| s == steps[0] && s / size_of::<T>() > 1 << 32), "{steps:?}");
        let strides = match far {
            Far::Nothing => (1, rows as isize),
            Far::Columns => (1, step),
            Far::Rows => (step, 1),
        };
        Ok(Self { lines: buffers, shape: (rows, cols), strides, far, cuda: cuda.clone() })
    }

    fn view(&self) -> MatRef<'_, T, Cuda> {
        let first = Cuda::as_ptr(&self.lines[0]);
        // SAFETY: the strides lead from line to line, and inside of them.
        unsafe { MatRef::from_raw_parts(&self.cuda, first, self.shape, self.strides) }.unwrap()
    }

    fn view_mut(&mut self) -> MatMut<'_, T, Cuda> {
        let first = Cuda::as_mut_ptr(&mut self.lines[0]);
        // SAFETY: as above.
        unsafe { MatMut::from_raw_parts(&self.cuda, first, self.shape, self.strides) }.unwrap()
    }

    /// By columns.
    fn entries(&self) -> Result<Vec<f64>> {
        let (rows, cols) = self.shape;
        let mut lines = Vec::new();
        for line in &self.lines {
            let len = rows * cols / self.lines.len();
            let mut host = vec![T::default(); len];
            self.cuda.download(line, &mut host)?;
            lines.push(host);
        }
        let entry = |k: usize| match self.far {
            Far::Nothing => lines[0][k],
            Far::Columns => lines[k / rows][k % rows],
            Far::Rows => lines[k % rows][k / rows],
        };
        let wide = |x: T| Scalar::to_f64(x.widen());
        Ok((0..rows * cols).map(|k| wide(entry(k))).collect())
    }
}

/// Small integers, which no sum here rounds.
fn entry(i: usize, j: usize) -> f64 {
    ((i * 7 + j * 3) % 9) as f64 - 4.0
}

/// A call gives the same wherever A and C lie; T stores A and U C.
fn same<T: Storage, U: Storage>(
    cuda: &Cuda,
    what: &str,
    shapes: [(usize, usize); 2],
    call: impl Fn(MatRef<'_, T, Cuda>, MatMut<'_, U, Cuda>) -> Result<()>,
) {
    let run = |from: Far, to: Far| -> Result<Vec<f64>> {
        let a = Spread::<T>::new(cuda, from, shapes[0], entry)?;
        let mut c = Spread::<U>::new(cuda, to, shapes[1], |i, j| entry(j, i))?;
        call(a.view(), c.view_mut())?;
        c.entries()
    };
    let expected = run(Far::Nothing, Far::Nothing).unwrap();
    for from in PLACES {
        for to in PLACES {
            let case = format!("{what} {}, {from:?} to {to:?} apart", core::any::type_name::<T>());
            let got = run(from, to).unwrap_or_else(|error| panic!("{case}: {error}"));
            for (k, (x, y)) in got.iter().zip(&expected).enumerate() {
                assert!((x - y).abs() <= 1e-3 * (1.0 + y.abs()), "{case}: {k}: {x}, near {y}");
            }
        }
    }
}

#[test]
fn gpu_far_strides_are_followed() {
    let Some(cuda) = shared::gpu("gpu_far") else { return };
    // SAFETY: a driver is loaded; the symbol is only looked for.
    let simulated = unsafe {
        let driver = cudarc::driver::sys::culib();
        driver.get::<*const ()>(b"cuda_sim_stats\0").is_ok()
    };
    if !simulated {
        return shared::skipped("gpu_far", "a real driver puts allocations where it likes");
    }
    copies(&cuda);
    operators(&cuda);
    transforms(&cuda);
    sparse(&cuda);
    norms(&cuda);
    halves::<f16>(&cuda);
    halves::<bf16>(&cuda);
}

fn copies(cuda: &Cuda) {
    let shape = (40, 36);
    same::<f32, f32>(cuda, "axpby", [shape; 2], |a, c| cuda.axpby(2.0, a, -1.0, c));
    same::<f64, f64>(cuda, "transposed", [(36, 40), shape], |a, c| {
        cuda.axpby(2.0, a.transpose(), 0.0, c)
    });
    same::<f64, f64>(cuda, "backwards", [shape; 2], |a, c| {
        cuda.axpby(1.0, a.reverse_rows(), 0.0, c)
    });
    same::<f32, f32>(cuda, "gather", [shape, (3, 36)], |a, c| cuda.gather_rows(&[39, 0, 7], a, c));
    same::<f32, f32>(cuda, "scatter", [(3, 36), shape], |a, c| {
        cuda.scatter_rows(&[39, 0, 7], a, c)
    });
    let factors: Vec<f32> = (0..36).map(|j| j as f32).collect();
    same::<f32, f32>(cuda, "factors", [shape; 2], |_, c| cuda.scale_columns(&factors, c));
    same::<f32, f32>(cuda, "gemm", [shape, (40, 40)], |a, c| {
        cuda.gemm(1.0, a, a.transpose(), 1.0, c)
    });
}

fn operators(cuda: &Cuda) {
    for s in [Sketch::gaussian(19, 33, 1), Sketch::rademacher(19, 33, 1)].map(Result::unwrap) {
        same::<f32, f32>(cuda, "fill", [(1, 1), (19, 33)], |_, c| cuda.fill(&s, 1.0, c));
    }
    let operators = [
        Sketch::uniform(24, 50, 1),
        Sketch::sparse_stack(24, 50, 4, 1),
        Sketch::count_sketch(24, 50, 1),
        Sketch::block_perm_sjlt(24, 50, BlockPermParams::new().blocks(4), 1),
        Sketch::block_perm_sjlt(130, 300, BlockPermParams::new(), 1),
        Sketch::laso(24, 50, 4, 1),
        Sketch::row_sampling(24, 50, 1),
        Sketch::srht(24, 50, 1),
        Sketch::srct(24, 50, 1),
        Sketch::hadamard_diagonal(24, 50, 1),
    ];
    for s in operators.map(Result::unwrap) {
        let (d, m) = s.shape();
        for n in [3, 20] {
            let what = format!("{:?} {d}×{m}, {n} columns", s.family());
            same::<f32, f32>(cuda, &what, [(m, n), (d, n)], |a, c| s.apply_into(1.0, a, 0.5, c));
            same::<f64, f64>(cuda, &format!("{what}, adjoint"), [(d, n), (m, n)], |a, c| {
                s.apply_adjoint_into(1.0, a, 0.5, c)
            });
        }
    }
}

fn transforms(cuda: &Cuda) {
    let fwht = |a: MatRef<'_, f32, Cuda>, mut c: MatMut<'_, f32, Cuda>| {
        cuda.axpby(1.0, a, 0.0, c.as_mut())?;
        cuda.fwht(c)
    };
    for shape in [(16, 5), (1024, 3)] {
        same::<f32, f32>(cuda, "fwht", [shape; 2], fwht);
    }
    for shape in [(30, 5), (64, 3)] {
        same::<f32, f32>(cuda, "dct", [shape; 2], |a, mut c| {
            cuda.axpby(1.0, a, 0.0, c.as_mut())?;
            cuda.dct(Op::Trans, c)
        });
    }
    same::<f64, f64>(cuda, "convolve", [(21, 5); 2], |a, c| cuda.convolve(1.0, &[a, a], 0.0, c));
    // Two passes through memory, by columns.
    let run = |far| -> Result<Vec<f64>> {
        let a = Spread::<f32>::new(cuda, far, (1 << 15, 2), entry)?;
        let mut c = Spread::<f32>::new(cuda, far, (1 << 15, 2), entry)?;
        fwht(a.view(), c.view_mut())?;
        c.entries()
    };
    assert_eq!(run(Far::Columns).unwrap(), run(Far::Nothing).unwrap());
}

fn sparse(cuda: &Cuda) {
    let triplets: Vec<(usize, usize, f32)> = (0..90).map(|k| (k % 30, k * 7 % 41, 1.0)).collect();
    let x = Csr::from_triplets(cuda, (30, 41), &triplets).unwrap();
    let x = x.as_ref();
    for n in [3, 20] {
        same::<f32, f32>(cuda, "spmm", [(41, n), (30, n)], |b, c| {
            cuda.spmm(1.0, x, Op::NoTrans, b, 0.5, c)
        });
        same::<f32, f32>(cuda, "spmm, transposed", [(30, n), (41, n)], |b, c| {
            cuda.spmm(1.0, x, Op::Trans, b, 0.5, c)
        });
    }
    same::<f32, f32>(cuda, "expand", [(1, 1), (30, 41)], |_, c| cuda.expand(x, 0, c));
    let s = Sketch::sparse_stack(8, 30, 4, 1).unwrap();
    same::<f32, f32>(cuda, "signs on CSR", [(1, 1), (8, 41)], |_, c| s.apply_into(1.0, x, 0.5, c));
}

fn norms(cuda: &Cuda) {
    for far in PLACES {
        let peak = |i, j| if (i, j) == (17, 8) { 100.0 } else { entry(i, j) };
        let a = Spread::<f32>::new(cuda, far, (18, 9), peak).unwrap();
        assert_eq!(cuda.max_abs(a.view()), Ok(100.0), "{far:?}");
        let all: f64 = a.entries().unwrap().iter().map(|x| x * x).sum();
        assert_eq!(cuda.sum_of_squares(a.view(), 0), Ok(all), "{far:?}");
        let mut sums = [0.0; 9];
        cuda.column_sums_of_squares(a.view(), 0, &mut sums).unwrap();
        assert_eq!(sums.iter().sum::<f64>(), all, "{far:?}");
        let hole = |i, j| if (i, j) == (17, 8) { f64::NAN } else { entry(i, j) };
        let a = Spread::<f32>::new(cuda, far, (18, 9), hole).unwrap();
        assert_eq!(cuda.find_non_finite(a.view()), Ok(Some((17, 8))), "{far:?}");
    }
}

fn halves<H: Half>(cuda: &Cuda)
where
    Cuda: HalfKernels<H> + SketchBackend<H>,
{
    for shape in [(40, 36), (64, 8)] {
        same::<H, H>(cuda, "copy", [shape; 2], |a, c| StorageKernels::<H>::copy(cuda, a, c));
        same::<H, f32>(cuda, "widen", [shape; 2], |a, c| HalfKernels::<H>::widen(cuda, a, c));
        same::<f32, H>(cuda, "narrow", [shape; 2], |a, c| cuda.narrow(2.0, a, -1.0, c));
    }
    for s in
        [Sketch::rademacher(24, 50, 1), Sketch::sparse_stack(24, 50, 4, 1), Sketch::srht(24, 50, 1)]
    {
        let s = s.unwrap().raw();
        for n in [3, 70] {
            let what = format!("{:?}, {n} columns", s.family());
            same::<H, H>(cuda, &what, [(50, n), (24, n)], |a, c| s.apply_into(0.0625, a, 0.0, c));
        }
    }
}
