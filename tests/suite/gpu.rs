//! What the interpreter of the simulated GPU is spared, told and compared with the document.

use crate::common::{cuts, place};

/// The list of `tests/README.md` is the one that tests ask.
#[test]
fn what_the_interpreter_is_spared_is_written_down() {
    let table = cuts::table().join("\n");
    if place::gpu("the list of cuts").is_some_and(|place| place.is_interpreted()) {
        eprintln!("The interpreter is spared:\n{table}");
    }
    let document = include_str!("../README.md");
    assert!(document.contains(&table), "tests/README.md should hold\n{table}");
}
