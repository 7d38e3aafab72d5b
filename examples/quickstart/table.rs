//! The table of all compressions.

use crate::study::{Report, Row};
use std::time::Duration;

const COLUMNS: [&str; 11] = [
    "matrix", "shape", "type", "target", "rank", "error", "optimal", "estimate", "time",
    "speed-up", "bytes",
];

pub fn print(reports: &[Report]) {
    let kinds = kinds(reports);
    let mut lines = vec![COLUMNS.map(String::from)];
    for report in reports {
        for (index, row) in report.rows.iter().enumerate() {
            lines.push(line(report, row, &kinds, index == 0));
        }
    }
    let widths: [usize; COLUMNS.len()] =
        std::array::from_fn(|c| lines.iter().map(|l| l[c].chars().count()).max().unwrap_or(0));
    let rule: usize = widths.iter().sum::<usize>() + 2 * (COLUMNS.len() - 1);

    println!();
    for (index, line) in lines.iter().enumerate() {
        // A matrix is named in its first row only.
        if index > 0 && !line[0].is_empty() {
            println!("{}", "─".repeat(rule));
        }
        let cells: Vec<String> = (0..COLUMNS.len())
            .map(|c| match c {
                0..=3 => format!("{:<1$}", line[c], widths[c]),
                _ => format!("{:>1$}", line[c], widths[c]),
            })
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
    println!("{}", "─".repeat(rule));
    println!("{}", legend(&kinds));
}

fn line(report: &Report, row: &Row, kinds: &[&str], first: bool) -> [String; COLUMNS.len()] {
    let matrix = report.matrix;
    let once = |text: String| if first { text } else { String::new() };
    let reference = report.reference.as_ref();
    let note = kinds.iter().zip('a'..).find(|(kind, _)| **kind == row.kind).map_or('?', |k| k.1);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    [
        once(matrix.name.clone()),
        once(format!("{}×{}", matrix.rows, matrix.cols)),
        once(report.dtype.into()),
        row.target.clone(),
        row.rank.to_string(),
        percent(row.error),
        or_dash(reference.map(|r| percent(r.optimal_error(row.rank)))),
        format!("{} {note}", percent(row.estimate)),
        milliseconds(row.time),
        or_dash(
            reference.map(|r| {
                format!("{:.1}×", r.time.as_secs_f64() / row.time.as_secs_f64().max(1e-9))
            }),
        ),
        percent(row.bytes as f64 / report.bytes as f64),
    ]
}

/// The kinds of error estimates that occur; a letter in the table says which.
fn kinds<'a>(reports: &'a [Report]) -> Vec<&'a str> {
    let mut kinds: Vec<&str> =
        reports.iter().flat_map(|r| r.rows.iter().map(|row| row.kind.as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn legend(kinds: &[&str]) -> String {
    let kinds: Vec<String> = kinds
        .iter()
        .zip('a'..)
        .map(|(kind, letter)| format!("\n            {letter}: {kind}"))
        .collect();
    format!(
        "target    rank or relative error that was asked for\n\
         error     ‖A − U·Σ·Vᵀ‖ / ‖A‖ (Frobenius), computed in f64\n\
         optimal   the least error that any matrix of this rank has, from faer's SVD\n\
         estimate  the error as the library reports it:{}\n\
         time      wall time of the call, {} threads, median after a warm-up run\n\
         speed-up  over faer's thin SVD, same type, same run\n\
         bytes     of U, Σ and V, compared with those of A",
        kinds.concat(),
        rayon::current_num_threads(),
    )
}

pub fn percent(fraction: f64) -> String {
    match 100.0 * fraction {
        percent if percent >= 0.1 => format!("{percent:.2} %"),
        0.0 => "0 %".into(),
        percent => format!("{percent:.1e} %"),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", 1e3 * time.as_secs_f64())
}
