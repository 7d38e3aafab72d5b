//! Fused products in parts, and which inputs are copied.

use super::*;
use crate::Cpu;
use crate::device::cuda::tests::gpu;

#[test]
fn parts_cover_a_window_once() {
    for (start, len) in [(0, 1), (0, 16), (5, 11), (7, 40), (16, 16), (1 << 40, 70)] {
        let parts: Vec<_> = parts_of(&(start..start + len), 16).collect();
        assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, len));
        assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= 16));
        assert!(parts.windows(2).all(|two| {
            two[0].end == two[1].start && (start + two[1].start).is_multiple_of(16)
        }));
    }
}

/// Sums of small integers are exact, so parts give the bits of the whole.
#[test]
fn gpu_fused_products_in_parts_are_exact() {
    let Some(cuda) = gpu("fused products in parts") else { return };
    let whole = Sketch::rademacher(300, 310, 5).unwrap().raw();
    let windows = [whole, whole.rows(3..258).columns(1..262), whole.rows(129..132)];
    for (case, s) in (0..24).map(|case| (case, windows[case % 3])) {
        let op = if case % 2 == 0 { Op::NoTrans } else { Op::Trans };
        let n = [1, 4, 5, 16, 18][case % 5];
        let (d, m) = s.shape();
        let (rows, inner) = if op == Op::NoTrans { (d, m) } else { (m, d) };
        let entry = |i: usize, j: usize| ((i * 7 + j * 3) % 9) as f64 - 4.0;
        let a = Mat::from_fn(&cuda, inner, n, entry).unwrap();
        let mut c = Mat::from_fn(&cuda, rows, n, entry).unwrap();
        // 8 or 32 rows at a time.
        fill_times_by(&cuda, 128, &s, op, 2.0, a.as_ref(), -1.0, c.as_mut()).unwrap();
        let dense = s.to_mat::<f64, _>(&Cpu::new()).unwrap();
        let dense = if op == Op::NoTrans { dense.as_ref() } else { dense.transpose() };
        let exact = Mat::from_fn(&Cpu::new(), rows, n, |i, j| {
            let sum: f64 = (0..inner).map(|l| dense.get(i, l) * entry(l, j)).sum();
            2.0 * sum - entry(i, j)
        });
        assert_eq!(c.to_vec().unwrap(), exact.unwrap().to_vec().unwrap(), "case {case}");
    }
}

/// What the kernels can read as it is, is not copied.
#[test]
fn gpu_inputs_in_the_layout_of_the_kernels_are_read_in_place() {
    let Some(cuda) = gpu("inputs in place") else { return };
    let s = Sketch::gaussian(40, 64, 1).unwrap();
    let host = vec![1.0f32; 65 * 16];
    let rows = |n| Mat::from_row_major(&cuda, &host[..64 * n], 64, n).unwrap();
    let copied = |s: &Sketch, op, a: MatRef<'_, f32, Cuda>, width| {
        let packed = Packed::new(&cuda, s, op, a, width).unwrap();
        assert!(packed._copy.is_some() || packed.start == a.as_ptr().addr() as u64);
        packed._copy.is_some()
    };
    assert!(!copied(&s, Op::NoTrans, rows(16).as_ref(), 16));
    assert!(!copied(&s, Op::NoTrans, rows(4).as_ref(), 4));
    assert!(copied(&s, Op::NoTrans, rows(15).as_ref(), 16), "fewer columns");
    let columns = Mat::from_column_major(&cuda, &host[..1024], 64, 16).unwrap();
    assert!(copied(&s, Op::NoTrans, columns.as_ref(), 16), "columns");
    let memory = Mat::from_column_major(&cuda, &host, 65 * 16, 1).unwrap();
    let odd = memory.as_ref().as_ptr().wrapping_add(1);
    // SAFETY: the memory has one row more.
    let odd = unsafe { MatRef::from_raw_parts(&cuda, odd, (64, 16), (16, 1)) }.unwrap();
    assert!(copied(&s, Op::NoTrans, odd, 16), "not aligned to 16 bytes");
    let a = rows(16);
    assert!(!copied(&s, Op::Trans, a.rows(0..40), 16));
    assert!(copied(&s.rows(0..39), Op::Trans, a.rows(0..39), 16), "half a block of rows");
    assert!(copied(&s.rows(1..37), Op::Trans, a.rows(0..36), 16), "not at a block of rows");
}
