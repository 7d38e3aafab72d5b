//! Running snippets of PTX.
#![allow(dead_code)] // every test file uses a part of this

use cuda_sim::exec::Shape;
use cuda_sim::fault::{Diagnosis, FaultKind};
use cuda_sim::memory::Kind;
use cuda_sim::options::Options;
use cuda_sim::simulator::{LaunchError, Simulator};

/// A simulator with the default settings, whatever the environment says.
pub fn simulator() -> Simulator {
    Simulator::new(&Options::default())
}

/// Bits of a single.
pub fn f(x: f32) -> u64 {
    x.to_bits().into()
}

/// Bits of a double.
pub fn d(x: f64) -> u64 {
    x.to_bits()
}

/// The registers that snippets may use.
pub const REGISTERS: &str =
    ".reg .pred %p<8>; .reg .b16 %h<16>; .reg .b32 %r<32>; .reg .b64 %d<16>;";

/// Runs `code` with one thread and returns the first register that it names, as 64 bits.
///
/// `inputs` go to the registers whose number is 1, 2, …, in whichever class the code names it;
/// predicates included. The result is register number 0.
pub fn evaluate(code: &str, inputs: &[u64]) -> u64 {
    let names = |class: char, number: usize| {
        let name = format!("%{class}{number}");
        code.match_indices(&name)
            .any(|(at, _)| !code[at + name.len()..].starts_with(|c: char| c.is_ascii_digit()))
    };
    let class_of =
        |number: usize| ['h', 'r', 'd', 'p'].into_iter().find(|&class| names(class, number));
    let mut body = String::new();
    for (index, value) in inputs.iter().enumerate() {
        let number = index + 1;
        body += &match class_of(number) {
            Some('h') => format!("mov.b16 %h{number}, {value};\n"),
            Some('r') => format!("mov.b32 %r{number}, {value};\n"),
            Some('d') => format!("mov.b64 %d{number}, {value};\n"),
            Some(_) => format!("setp.ne.u32 %p{number}, {value}, 0;\n"),
            None => panic!("{code} names no register {number}"),
        };
    }
    body += code;
    body += match class_of(0) {
        Some('h') => "\ncvt.u64.u16 %d15, %h0;",
        Some('r') => "\ncvt.u64.u32 %d15, %r0;",
        Some('d') => "\nmov.b64 %d15, %d0;",
        _ => "\nselp.b64 %d15, 1, 0, %p0;",
    };
    lanes(&body, 1)[0]
}

/// Runs `code` with a block of threads and returns what each leaves in `%d15`; `%r31` holds its number.
pub fn lanes(code: &str, threads: u32) -> Vec<u64> {
    match try_lanes("", code, threads) {
        Ok(values) => values,
        Err(error) => panic!("{code}\n{error}"),
    }
}

/// The same with declarations at module scope, and the diagnosis of a fault.
pub fn try_lanes(declarations: &str, code: &str, threads: u32) -> Result<Vec<u64>, Box<Diagnosis>> {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n{declarations}\n\
         .visible .entry snippet(.param .u64 out)\n{{\n{REGISTERS}\nmov.u32 %r31, %tid.x;\n\
         {code}\n\
         .reg .b64 %address<3>;\nld.param.u64 %address0, [out];\n\
         cvta.to.global.u64 %address0, %address0;\nmov.u32 %r31, %tid.x;\n\
         mul.wide.u32 %address1, %r31, 8;\nadd.s64 %address0, %address0, %address1;\n\
         st.global.u64 [%address0], %d15;\nret;\n}}"
    );
    let mut sim = simulator();
    let module = sim.load(&text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
    let out = sim.memory.allocate(8 * threads as usize, Kind::User).unwrap();
    let shape = Shape { grid: [1; 3], block: [threads, 1, 1], dynamic_shared: 0 };
    match sim.launch(&module.kernels["snippet"], shape, &out.to_le_bytes(), 0) {
        Ok(()) => {}
        Err(LaunchError::Fault(diagnosis)) => return Err(diagnosis),
        Err(LaunchError::Invalid(message)) => panic!("{message}"),
    }
    let mut bytes = vec![0; 8 * threads as usize];
    sim.read(out, &mut bytes).unwrap();
    Ok(bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect())
}

/// The kind of fault that a snippet causes.
pub fn fault_of(declarations: &str, code: &str, threads: u32) -> Option<FaultKind> {
    try_lanes(declarations, code, threads).err().map(|diagnosis| diagnosis.fault.kind)
}

/// Checks rows of instruction, inputs and result.
pub fn check(rows: &[(&str, &[u64], u64)]) {
    for (code, inputs, expected) in rows {
        let result = evaluate(code, inputs);
        assert_eq!(
            result, *expected,
            "{code} with {inputs:x?} gives {result:#x}, not {expected:#x}"
        );
    }
}
