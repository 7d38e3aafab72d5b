//! Every kind of file, whole, cut off, and not what it seems.

use super::{Entries, Order, ReadError, SUPPORTED, read, tensors::f16_to_f32};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use npyz::{AutoSerialize, WriterBuilder};
use safetensors::tensor::{Dtype, TensorView};
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that goes away with its handle.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        // Tests run side by side: each file gets a folder of its own.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("randnla-read-{process}-{count}"));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = self.0.parent().map(std::fs::remove_dir_all);
    }
}

/// Reads a file that holds `bytes`.
fn read_bytes(name: &str, bytes: &[u8]) -> Result<super::Contents, ReadError> {
    read(&TempFile::new(name, bytes).0)
}

#[track_caller]
fn assert_refused(name: &str, bytes: &[u8], expected: &str) {
    let message = read_bytes(name, bytes).expect_err("must be refused").to_string();
    assert!(message.contains(name) && message.contains(expected), "{message}");
}

fn npy<T: AutoSerialize + Copy>(order: npyz::Order, shape: &[u64], data: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().order(order).shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(data.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A version 1.0 file with any header text.
fn npy_with_header(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn rgb_picture() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| image::Rgb([(5 * x) as u8, (7 * y) as u8, (x * y) as u8]))
}

#[test]
fn npy_in_both_orders_and_precisions() {
    let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let c = read_bytes("c.npy", &npy(npyz::Order::C, &[2, 3], &data)).unwrap();
    let c = &c.matrices[0];
    assert_eq!((c.name.as_str(), c.rows, c.cols, c.order), ("c", 2, 3, Order::RowMajor));
    assert_eq!(c.entries, Entries::F64(data.to_vec()));

    let data = data.map(|x| x as f32);
    let fortran = read_bytes("f.npy", &npy(npyz::Order::Fortran, &[2, 3], &data)).unwrap();
    let fortran = &fortran.matrices[0];
    assert_eq!((fortran.rows, fortran.cols, fortran.order), (2, 3, Order::ColumnMajor));
    assert_eq!(fortran.entries, Entries::F32(data.to_vec()));

    let big_endian = npy_with_header(">f4", "(1, 2)", &[0x3f, 0x80, 0, 0, 0x40, 0, 0, 0]);
    let big_endian = read_bytes("big.npy", &big_endian).unwrap();
    assert_eq!(big_endian.matrices[0].entries, Entries::F32(vec![1.0, 2.0]));
}

#[test]
fn npy_that_is_no_matrix_or_is_cut_off() {
    assert_refused("one.npy", &npy(npyz::Order::C, &[4], &[0.0f64; 4]), "1 dimension");
    assert_refused("cube.npy", &npy(npyz::Order::C, &[2, 2, 2], &[0.0f64; 8]), "3 dimension");
    assert_refused("int.npy", &npy(npyz::Order::C, &[2, 2], &[0i32; 4]), "dtype <i4");
    assert_refused("none.npy", &npy(npyz::Order::C, &[0, 5], &[0.0f64; 0]), "nothing in it");
    let whole = npy(npyz::Order::C, &[4, 4], &[1.0f64; 16]);
    for len in 6..whole.len() {
        assert_refused("cut.npy", &whole[..len], "cut");
    }
    let shape = "(1099511627776, 1048576)";
    assert_refused("huge.npy", &npy_with_header("<f8", shape, &[0; 64]), "more than 64 bytes");
    // With overflow checks on, npyz itself stops at a product beyond 64 bits.
    #[cfg(not(debug_assertions))]
    {
        let bytes = npy_with_header("<f4", "(4294967296, 4294967297)", &[0; 64]);
        assert_refused("overflow.npy", &bytes, "more than 64 bytes");
    }
}

#[test]
fn safetensors_converts_floats_and_skips_the_rest() {
    let f32s: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let halves: Vec<u8> = [0x3c00u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
    let brains: Vec<u8> = [0x3f80u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.into(), data).unwrap();
    let tensors = [
        ("l.a.weight", view(Dtype::F32, &[2, 2], &f32s)),
        ("l.b", view(Dtype::F64, &[1, 2], &f32s)),
        ("l.c", view(Dtype::F16, &[1, 2], &halves)),
        ("l.d", view(Dtype::BF16, &[2, 1], &brains)),
        ("bias", view(Dtype::F32, &[4], &f32s)),
        ("ids", view(Dtype::I32, &[2, 2], &f32s)),
        ("none", view(Dtype::F32, &[0, 2], &[])),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let contents = read_bytes("model.safetensors", &bytes).unwrap();
    let names: Vec<&str> = contents.matrices.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(contents.matrices[0].entries, Entries::F32(vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(contents.matrices[2].entries, Entries::F32(vec![1.0, -2.0]));
    assert_eq!(contents.matrices[3].entries, Entries::F32(vec![1.0, -2.0]));
    assert_eq!((contents.matrices[3].rows, contents.matrices[3].cols), (2, 1));
    assert_eq!(contents.notes.len(), 3, "{:?}", contents.notes);

    for len in 9..bytes.len() {
        assert_refused("cut.safetensors", &bytes[..len], "cut off");
    }
    let biases = [("bias", view(Dtype::F32, &[4], &f32s))];
    let bytes = safetensors::serialize(biases, None).unwrap();
    assert_refused("biases.safetensors", &bytes, "none of its 1 tensors");
}

#[test]
fn half_precision_is_exact() {
    let cases = [
        (0x0000, 0.0),
        (0x8000, -0.0),
        (0x3c00, 1.0),
        (0xc100, -2.5),
        (0x7bff, 65504.0),
        (0x0400, 2f32.powi(-14)),
        (0x0001, 2f32.powi(-24)),
        (0xfc00, f32::NEG_INFINITY),
    ];
    for (bits, expected) in cases {
        assert_eq!(f16_to_f32(bits).to_bits(), expected.to_bits(), "{bits:#06x}");
    }
    assert!(f16_to_f32(0x7e00).is_nan());
}

#[test]
fn pictures_whole_and_cut_off() {
    let png = encode(rgb_picture(), ImageFormat::Png);
    // The content decides, whatever the name says.
    let colour = read_bytes("colour.npy", &png).unwrap();
    let colour = &colour.matrices[0];
    assert_eq!((colour.rows, colour.cols, colour.channels), (30, 120, Some(3)));
    let Entries::F32(entries) = &colour.entries else { panic!("pictures are f32") };
    assert_eq!(entries[120 * 2 + 3 * 5 + 1], 14.0 / 255.0);

    let grey = GrayImage::from_fn(9, 4, |x, y| image::Luma([(10 * x + y) as u8]));
    let grey = read_bytes("grey.png", &encode(grey, ImageFormat::Png)).unwrap();
    let grey = &grey.matrices[0];
    assert_eq!((grey.rows, grey.cols, grey.channels), (4, 9, Some(1)));

    let jpeg = encode(rgb_picture(), ImageFormat::Jpeg);
    let colour = read_bytes("colour.jpg", &jpeg).unwrap();
    assert_eq!((colour.matrices[0].rows, colour.matrices[0].cols), (30, 120));
    // The last twelve bytes of a PNG are an end mark without data.
    for len in (8..png.len() - 12).step_by(7) {
        assert_refused("cut.png", &png[..len], "cut off");
    }
    for len in (3..jpeg.len()).step_by(7) {
        assert_refused("cut.jpg", &jpeg[..len], "cut off");
    }
}

#[test]
fn matrix_market_of_every_supported_kind() {
    let cases: [(&str, &[f64]); 7] = [
        ("coordinate real general\n% note\n\n2 2 2\n1 1 1.5\n2 1 -2e3", &[1.5, 0.0, -2e3, 0.0]),
        ("coordinate integer symmetric\n2 2 2\n1 1 3\n2 1 4\n", &[3.0, 4.0, 4.0, 0.0]),
        ("coordinate real skew-symmetric\n2 2 1\n2 1 5\n", &[0.0, -5.0, 5.0, 0.0]),
        ("coordinate pattern general\n1 3 2\n1 1\n1 3\n", &[1.0, 0.0, 1.0]),
        ("coordinate real general\n1 1 2\n1 1 1\n1 1 2\n", &[3.0]),
        ("array real general\n2 2\n1\n2\n3\n4\n", &[1.0, 3.0, 2.0, 4.0]),
        ("array integer symmetric\n2 2\n1\n2\n3\n", &[1.0, 2.0, 2.0, 3.0]),
    ];
    for (text, expected) in cases {
        let contents = read_bytes("m.mtx", format!("%%MatrixMarket matrix {text}").as_bytes());
        assert_eq!(contents.unwrap().matrices[0].entries, Entries::F64(expected.to_vec()));
    }
}

#[test]
fn matrix_market_that_is_refused() {
    let cases = [
        ("", "cut off or wrong"),
        ("coordinate complex general\n1 1 1\n1 1 1 0\n", "of complex numbers"),
        ("coordinate real hermitian\n1 1 1\n1 1 1\n", "cut off or wrong"),
        ("coordinate real general\n", "cut off or wrong"),
        ("coordinate real general\n2 2\n", "cut off or wrong"),
        ("coordinate real symmetric\n2 3 0\n", "cut off or wrong"),
        ("coordinate real general\n2 2 2\n1 1 1\n", "2 entries required"),
        ("coordinate real general\n2 2 1\n1 1 1\n2 2 1\n", "1 entries required"),
        ("array real general\n2 2\n1\n2\n3\n", "cut off or wrong"),
        ("coordinate real general\n2 2 1\n1 1\n", "cut off or wrong"),
        ("coordinate real general\n2 2 1\n3 1 1\n", "out of bounds"),
        ("coordinate real general\n2 2 1\n0 1 1\n", "one-indexed"),
        ("coordinate real general\n2 2 1\n1 1 x\n", "3 | 1 1 x"),
        ("coordinate real general\n0 2 0\n", "nothing in it"),
        ("coordinate real general\n1000000 1000000 0\n", "more than 1073741824 bytes"),
        ("coordinate real general\n9999999999999 9999999999999 0\n", "more than"),
        ("array real general\n9999999999999 9999999999999\n1\n", "more than"),
        ("coordinate real general\n999999999999999999999 1 0\n", "no sizes"),
        ("coordinate real general\n1 1 999999999999999999999\n1 1 1\n", "no sizes"),
        ("array real general\n1 -1\n1\n", "no sizes"),
    ];
    for (text, expected) in cases {
        let bytes = format!("%%MatrixMarket matrix {text}");
        assert_refused("m.mtx", bytes.as_bytes(), expected);
    }
}

#[test]
fn other_files_say_what_they_are() {
    assert_refused("empty.npy", b"", "empty");
    assert_refused("a.npz", b"PK\x03\x04....", "ZIP");
    assert_refused("a.gif", b"GIF89a....", "GIF");
    assert_refused("a.csv", b"1,2\n3,4\n", "text without");
    assert_refused("a.npy", &[0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "first bytes [f0, 01");
    assert_refused("a.npy", &[0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9], SUPPORTED);
    let missing = read(std::path::Path::new("no/such.npy")).unwrap_err().to_string();
    assert!(missing.contains("no/such.npy: cannot be read"), "{missing}");
    assert!(read(&std::env::temp_dir()).unwrap_err().to_string().contains("cannot be read"));
}
