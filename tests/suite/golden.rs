//! The frozen bits of the operators: FNV-1a hashes of `to_mat`, one a family and scalar type.
//!
//! They pin the streams, the shapes, the scale and the windows on top of the random numbers, whose
//! own hashes stand beside the fills. A release that changes one raises `random::FORMAT_VERSION`.
//! The cosines of SRCT come from a library whose rounding depends on the instruction set, so for
//! that family the hash is of where an entry is zero, positive or negative.

use crate::common::{Backends, Place, on_every_device};
use randnla::{Backend, Family, Mat, Scalar, Sketch};

fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn hash<T: Scalar, D: Backend<T>>(family: Family, device: &D) -> u64 {
    let s = Sketch::of_family(family, 13, 50, 3, 0x0123_4567_89ab_cdef).unwrap();
    let s: Mat<T, D> = s.rows(1..12).columns(3..50).to_mat(device).unwrap();
    let entries = s.to_vec().unwrap();
    match family {
        Family::Srct => fnv(entries.iter().map(|x| match x.to_f64() {
            x if x.abs() < 1e-4 => 0,
            x => 1 + u8::from(x < 0.0),
        })),
        _ => fnv(entries.iter().flat_map(|x| x.to_f64().to_le_bytes())),
    }
}

fn the_entries_of_every_family_are_frozen<D: Backends>(place: &Place<D>) {
    let golden: [(Family, u64, u64); 13] = [
        (Family::Gaussian, 0xd54ce3dfc10ee2af, 0x4ccb889336c9daaa),
        (Family::Rademacher, 0xf575f3986870269a, 0x06f9009bd0520bff),
        (Family::Uniform, 0x2f70adaabf175d95, 0xfbf5e69eb63417f7),
        (Family::SparseSign, 0x8375aecde6ce52a5, 0x4dbe721f9894885d),
        (Family::SparseStack, 0xf5f3eb3623c10125, 0x8fd387e25e2d4fd5),
        (Family::CountSketch, 0x4806cf67e472dfc5, 0x4806cf67e472dfc5),
        (Family::Laso, 0xc918e78e6a524bb9, 0xee118ce574b2b1d0),
        (Family::RowSampling, 0xeabebf01116aa3d1, 0x6a533b4ba2de8a25),
        (Family::Srht, 0x26b9a262e0052f1a, 0x5603a98babc26d7f),
        (Family::Srct, 0xc730c7939c1deaca, 0xc730c7939c1deaca),
        (Family::HadamardDiagonal, 0x6fa9035053380db7, 0xd08de4f543ff61c4),
        (Family::Haar, 0x37fa42bdc61762cf, 0x48b58d00ebef9b1a),
        (Family::BlockPermSjlt, 0, 0),
    ];
    for (family, double, single) in golden {
        let what = format!("{family:?}");
        let got = place.result(&what, |device| {
            (hash::<f64, D>(family, device), hash::<f32, D>(family, device))
        });
        assert_eq!(got, (double, single), "{what} in f64 and f32: {got:#018x?}");
    }
}

on_every_device! { the_entries_of_every_family_are_frozen }
