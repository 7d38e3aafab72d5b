//! Every form of an instruction that is implemented, against values worked by hand from the manual.

mod bits;
mod compare;
mod control;
mod convert;
mod floating;
mod integer;
mod matrix;
mod memory;
mod run;
mod warp;

use std::collections::BTreeSet;

/// All tests of instructions, run once more to see which forms they cover.
const TESTS: [&[fn()]; 9] = [
    integer::TESTS,
    floating::TESTS,
    bits::TESTS,
    compare::TESTS,
    convert::TESTS,
    memory::TESTS,
    control::TESTS,
    warp::TESTS,
    matrix::TESTS,
];

#[test]
fn every_form_is_tested() {
    TESTS.concat().iter().for_each(|test| test());
    let tested = run::tested();
    let missing: Vec<_> = cuda_sim::forms().difference(&tested).collect();
    assert!(missing.is_empty(), "implemented, but not tested: {missing:#?}");
    let unknown: Vec<_> = tested.difference(cuda_sim::forms()).collect();
    assert!(unknown.is_empty(), "tested, but not listed: {unknown:#?}");
}

/// The forms in the PTX files of a folder of the repository.
fn forms_of(folder: &str) -> BTreeSet<String> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut forms = BTreeSet::new();
    for file in files.map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(file).unwrap();
        let bodies = text.split("\n{").skip(1).filter_map(|body| body.split("\n}").next());
        forms.extend(bodies.flat_map(run::names));
    }
    assert!(forms.len() > 50, "{folder} has hardly any instructions");
    forms
}

/// A new instruction in a kernel needs a line in the list of forms, and so a test.
#[test]
fn kernels_use_listed_forms_only() {
    for folder in ["../cuda/ptx", "tests/kernels/ptx"] {
        let forms = forms_of(folder);
        let missing: Vec<_> = forms.difference(cuda_sim::forms()).collect();
        assert!(missing.is_empty(), "in {folder}, but not implemented: {missing:#?}");
    }
}

/// What nobody uses is refused by name, not misread.
#[test]
fn other_forms_are_refused() {
    let mut sim = run::simulator();
    for code in [
        "add.sat.s32 %r1, %r2, %r3",
        "add.rz.f32 %r1, %r2, %r3",
        "max.ftz.f32 %r1, %r2, %r3",
        "add.cc.u32 %r1, %r2, %r3",
        "add.nonsense.s32 %r1, %r2, %r3",
        "setp.lt.and.s32 %p1, %r1, %r2, %p2",
        "ld.volatile.global.u32 %r1, [%d1]",
        "ld.global.s8 %r1, [%d1]",
        "atom.global.cas.b32 %r1, [%d1], %r2, %r3",
        "atom.shared.cta.add.u32 %r1, [%r2], %r3",
        "shfl.up.b32 %r1, %r2, 1, 0",
        "bar.arrive 1, 64",
        "brx.idx %r1, table",
        "wgmma.fence",
    ] {
        let text = format!(".visible .entry k() {{ {} {code}; }}", run::REGISTERS);
        let Err(error) = sim.load(&text) else { panic!("{code} was accepted") };
        let name = code.split(' ').next().unwrap();
        let expected = format!("{name} is not supported");
        assert!(format!("{error:?}").contains(&expected), "{code}: {error:?}");
    }
    for code in ["add.s32 %r1, %r2", "fma.rn.f32 %r1, %r2, %r3", "mov.u32 %r1, %r2, %r3"] {
        let text = format!(".visible .entry k() {{ {} {code}; }}", run::REGISTERS);
        let Err(error) = sim.load(&text) else { panic!("{code} was accepted") };
        assert!(format!("{error:?}").contains("operands"), "{code}: {error:?}");
    }
}
