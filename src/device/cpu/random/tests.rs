//! The fills against the scalar definitions, bit for bit, on every instruction set of this processor; the
//! golden hashes that freeze the format.

use super::*;
use crate::random::{self, Stream};

const SEED: u64 = 0x0123_4567_89ab_cdef;
const UNITS: [u64; 4] = [0, 5, (1 << 32) - 3, u64::MAX - 2];

/// FNV-1a, 64 bits, of little-endian bytes.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Compares a fill of blocks with the scalar entries over many shapes.
macro_rules! check_blocks {
    ($fill:ident, $scalar:path, $stream:expr, $type:ty, $per:expr) => {
        for isa in Isa::available() {
            for blocks in [1usize, 2, 3, 5, 7, 8, 9, 16, 19, 384] {
                for units in [1usize, 2, 3, 5, 8, 17] {
                    for (unit0, block0) in UNITS.into_iter().zip([0u32, 1, 1000, (1 << 29) + 7]) {
                        let mut out = vec![<$type>::NAN; $per * blocks * units];
                        $fill(isa, SEED, $stream.number(), block0, blocks, unit0, &mut out);
                        let shown = (isa, blocks, units, unit0, block0);
                        let stride = if blocks > 100 { 61 } else { 1 };
                        for k in (0..out.len()).step_by(stride) {
                            let j = unit0.wrapping_add((k / ($per * blocks)) as u64);
                            let i = $per * block0 + (k % ($per * blocks)) as u32;
                            let want = $scalar(SEED, $stream, i, j);
                            assert_eq!(out[k].to_bits(), want.to_bits(), "{shown:?} {i} {j}");
                        }
                    }
                }
            }
        }
    };
}

#[test]
fn normal_f32_fills_equal_scalar() {
    check_blocks!(fill_normal_f32_at, random::normal_f32, Stream::GaussianF32, f32, 4);
}

#[test]
fn normal_f64_fills_equal_scalar() {
    check_blocks!(fill_normal_f64_at, random::normal_f64, Stream::GaussianF64, f64, 2);
}

#[test]
fn uniform_f32_fills_equal_scalar() {
    check_blocks!(fill_uniform_f32_at, random::uniform_f32, Stream::UniformF32, f32, 4);
}

#[test]
fn uniform_f64_fills_equal_scalar() {
    check_blocks!(fill_uniform_f64_at, random::uniform_f64, Stream::UniformF64, f64, 2);
}

#[test]
fn sign_fills_equal_scalar() {
    for isa in Isa::available() {
        for rows in [1usize, 7, 8, 31, 32, 33, 64, 127, 128, 129, 500, 9000] {
            for units in [1usize, 2, 9] {
                for (unit0, row0) in UNITS.into_iter().zip([0u64, 1, 77, (1 << 33) + 95]) {
                    let mut f = vec![0f32; rows * units];
                    let mut d = vec![0f64; rows * units];
                    let stream = Stream::Rademacher;
                    fill_signs_f32_at(isa, SEED, stream.number(), row0, rows, unit0, &mut f);
                    fill_signs_f64_at(isa, SEED, stream.number(), row0, rows, unit0, &mut d);
                    for k in 0..f.len() {
                        let (i, j) = (row0 + (k % rows) as u64, (k / rows) as u64);
                        let negative = random::sign(SEED, stream, i, unit0.wrapping_add(j));
                        let want = if negative { -1.0 } else { 1.0 };
                        assert_eq!(f[k], want, "{isa:?} {rows} {units} {i} {j}");
                        assert_eq!(d[k], f64::from(want));
                    }
                }
            }
        }
    }
}

#[test]
fn sparse_columns_equal_scalar() {
    for isa in Isa::available() {
        for (d, zeta) in [(1, 1), (8, 8), (100, 3), (4096, 8), (1000, 64), (70, 65), (2000, 777)] {
            for (units, unit0) in [1usize, 2, 70, 300].into_iter().zip(UNITS) {
                let mut signs = vec![0; zeta * units];
                let mut stacks = signs.clone();
                sparse_sign_columns_at(isa, SEED, d, zeta as u32, unit0, &mut signs);
                sparse_stack_columns_at(isa, SEED, d, zeta as u32, unit0, &mut stacks);
                let mut want = vec![0; zeta];
                for c in 0..units {
                    let j = unit0.wrapping_add(c as u64);
                    random::sparse_sign_column(SEED, d, j, &mut want);
                    assert_eq!(signs[c * zeta..][..zeta], want, "{isa:?} {d} {zeta} {j}");
                    random::sparse_stack_column(SEED, d, j, &mut want);
                    assert_eq!(stacks[c * zeta..][..zeta], want, "{isa:?} {d} {zeta} {j}");
                }
            }
        }
    }
}

#[test]
fn block_perm_columns_equal_scalar() {
    let shapes = [
        (1, 700, 1, 1, 1),
        (40, 90, 13, 4, 3),
        (1024, 5000, 16, 4, 2),
        (600, 1 << 41, 3, 3, 65),
        ((1 << 31) - 1, u64::MAX, 1 << 20, 9, 2),
    ];
    for (isa, shape) in Isa::available().into_iter().flat_map(|isa| shapes.map(|s| (isa, s))) {
        let (d, m, blocks, wirings, nnz) = shape;
        let s = random::BlockPerm::new(SEED, d, m, blocks, wirings, nnz);
        let zeta = (wirings * nnz) as usize;
        for (units, unit0) in [(1usize, 0), (2, 43), (70, 20), (89, 1), (600, m - m.min(900))] {
            let units = units.min((m - unit0) as usize);
            let mut columns = vec![0; zeta * units];
            block_perm_columns_at(isa, &s, unit0, &mut columns);
            let mut want = vec![0; zeta];
            for (c, got) in columns.chunks_exact(zeta).enumerate() {
                s.column(unit0 + c as u64, &mut want);
                assert_eq!(got, want, "{isa:?} {shape:?} column {}", unit0 + c as u64);
            }
        }
    }
}

/// Transforms on the extreme words, where a vector version could round or carry differently.
#[test]
fn transforms_equal_scalar_on_edge_words() {
    use super::fill::Family;

    struct Edge<'a, F: Family>([u32; 4], &'a mut [F::Entry]);
    impl<F: Family> Kernel for Edge<'_, F> {
        #[inline(always)]
        fn run<L: Lanes>(self, l: L) {
            let x = self.0.map(|x| l.splat64(u64::from(x) | 0xdead_beef << 32));
            let y = F::vector(l, x);
            let mut buffer = [0u8; 64];
            // SAFETY: a register is at most 64 bytes and the output is one block of 16.
            unsafe {
                l.store(buffer.as_mut_ptr(), y[0]);
                std::ptr::copy_nonoverlapping(buffer.as_ptr(), self.1.as_mut_ptr().cast(), 16);
            }
        }
        fn run_portable(self) {
            F::scalar(self.0, self.1);
        }
    }

    let mut words = vec![0u32, 1, 2, 3, 5, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, u32::MAX];
    words.extend((0..32).flat_map(|b| [1u32 << b, (1 << b) - 1, !(1 << b), (1 << b) + 1]));
    words.extend([0x2000_0000, 0x5fff_ffff, 0x6000_0000, 0x9fff_ffff, 0xa000_0000, 0xdfff_ffff]);
    words.extend([0xaaaa_aaaa, 0xaaaa_aaab, 0x5555_5555, 0x5555_5556, u32::MAX - 127]);
    for isa in Isa::available() {
        for &a in &words {
            for &b in &words {
                let x = [a, b, b, a];
                let (mut p, mut q) = ([0f32; 4], [0f32; 4]);
                launch(isa, Edge::<NormalF32>(x, &mut p));
                NormalF32::scalar(x, &mut q);
                assert_eq!(p.map(f32::to_bits), q.map(f32::to_bits), "{isa:?} {x:x?}");
                launch(isa, Edge::<UniformF32>(x, &mut p));
                UniformF32::scalar(x, &mut q);
                assert_eq!(p.map(f32::to_bits), q.map(f32::to_bits), "{isa:?} {x:x?}");
                let (mut p, mut q) = ([0f64; 2], [0f64; 2]);
                launch(isa, Edge::<NormalF64>(x, &mut p));
                NormalF64::scalar(x, &mut q);
                assert_eq!(p.map(f64::to_bits), q.map(f64::to_bits), "{isa:?} {x:x?}");
                launch(isa, Edge::<UniformF64>(x, &mut p));
                UniformF64::scalar(x, &mut q);
                assert_eq!(p.map(f64::to_bits), q.map(f64::to_bits), "{isa:?} {x:x?}");
            }
        }
    }
}

/// 2¹⁶ entries of every family: 64 columns of 1024 rows, or 8192 sparse columns of 8, around unit
/// 2³². A change here is a change of the format, and needs a new `FORMAT_VERSION`.
#[test]
fn golden_hashes() {
    const SIZE: usize = 1 << 16;
    let u0 = (1u64 << 32) - 32;
    for isa in Isa::available() {
        let (mut f, mut d, mut p) = (vec![0f32; SIZE], vec![0f64; SIZE], vec![0u32; SIZE]);
        let check = |name: &str, want: u64, got: u64| {
            assert_eq!(got, want, "{name} at {isa:?}: {got:#018x}");
        };
        let hash_f32 = |f: &[f32]| fnv(f.iter().flat_map(|x| x.to_le_bytes()));
        let hash_f64 = |d: &[f64]| fnv(d.iter().flat_map(|x| x.to_le_bytes()));
        let hash_u32 = |p: &[u32]| fnv(p.iter().flat_map(|x| x.to_le_bytes()));

        fill_normal_f32_at(isa, SEED, Stream::GaussianF32.number(), 0, 256, u0, &mut f);
        check("normal f32", 0xdfd7_5bcb_891c_129b, hash_f32(&f));
        fill_normal_f64_at(isa, SEED, Stream::GaussianF64.number(), 0, 512, u0, &mut d);
        check("normal f64", 0x957a_0a4a_af5a_f75a, hash_f64(&d));
        fill_uniform_f32_at(isa, SEED, Stream::UniformF32.number(), 0, 256, u0, &mut f);
        check("uniform f32", 0x20b2_2fdb_de1d_b476, hash_f32(&f));
        fill_uniform_f64_at(isa, SEED, Stream::UniformF64.number(), 0, 512, u0, &mut d);
        check("uniform f64", 0x7b11_52a0_9340_40a7, hash_f64(&d));
        fill_signs_f32_at(isa, SEED, Stream::Rademacher.number(), 0, 1024, u0, &mut f);
        check("signs f32", 0xb94a_a433_6cd3_0b25, hash_f32(&f));
        fill_signs_f64_at(isa, SEED, Stream::Rademacher.number(), 0, 1024, u0, &mut d);
        check("signs f64", 0xf04f_828d_fff5_0c25, hash_f64(&d));
        sparse_sign_columns_at(isa, SEED, 1000, 8, u0, &mut p);
        check("sparse sign", 0x9a65_6912_8c06_2ba5, hash_u32(&p));
        sparse_stack_columns_at(isa, SEED, 1000, 8, u0, &mut p);
        check("sparse stack", 0xaabc_8914_72ef_59f8, hash_u32(&p));
        let operator = random::BlockPerm::new(SEED, 1000, 1 << 40, 15, 4, 2);
        block_perm_columns_at(isa, &operator, u0, &mut p);
        check("block perm", 0x8f79_1c8a_0cb6_8904, hash_u32(&p));
    }
    let mut row = Vec::new();
    let laso = fnv((0..1 << 13).flat_map(|i| {
        random::laso_row(SEED, 100, 8, u64::from(u32::MAX) - 5 + i, &mut row);
        let entry = |e: &random::LasoEntry| {
            (e.column << 32 | u64::from(e.count) << 1) + u64::from(e.negative)
        };
        row.iter().flat_map(|e| entry(e).to_le_bytes()).collect::<Vec<_>>()
    }));
    assert_eq!(laso, 0x8ae6_82cd_95f7_8929, "laso: {laso:#018x}");
    let mut permutation = Vec::new();
    for n in [3, 1000, (1 << 33) + 7, 1 << 63] {
        let p = random::Permutation::new(SEED, Stream::SrhtRows, n);
        permutation.extend((0..n.min(4096)).flat_map(|i| p.get(i).to_le_bytes()));
    }
    let permutation = fnv(permutation);
    assert_eq!(permutation, 0x9aae_081c_c0f4_17d4, "permutation: {permutation:#018x}");
}
