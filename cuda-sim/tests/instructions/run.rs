//! Running snippets of PTX, and keeping account of the forms that are tested.

use cuda_sim::exec::Shape;
use cuda_sim::fault::{Diagnosis, FaultKind};
use cuda_sim::memory::Kind;
use cuda_sim::options::Options;
use cuda_sim::simulator::{LaunchError, Simulator};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// The forms whose results were compared with expected ones.
static TESTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub fn tested() -> BTreeSet<String> {
    TESTED.lock().unwrap().clone()
}

/// The names of the instructions in a text.
pub fn names(text: &str) -> Vec<String> {
    let is_name = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['%', '[', '('])
    };
    let code = |line| str::split(line, "//").next().unwrap_or_default();
    // Marks of source lines end with the line, instructions with a semicolon.
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(".loc"));
    let code = lines.map(code).collect::<Vec<_>>().join("\n");
    let first = |statement: &str| {
        let mut words = statement.split_whitespace().skip_while(|word| word.starts_with('@'));
        words.next().filter(is_name).map(str::to_string)
    };
    code.split([';', '{', '}', ':']).filter_map(first).collect()
}

/// Notes that a test compares what the forms of a pattern do in `code`.
pub fn covers<'c>(pattern: &str, code: &'c str) -> &'c str {
    for form in cuda_sim::expand(pattern) {
        assert!(names(code).contains(&form), "{form} is not in {code}");
        TESTED.lock().unwrap().insert(form);
    }
    code
}

/// A simulator with the default settings, whatever the environment says.
pub fn simulator() -> Simulator {
    Simulator::new(&Options::default())
}

/// All ones in 32 and in 64 bits.
pub const M1: u64 = 0xFFFF_FFFF;
pub const L1: u64 = u64::MAX;

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

/// The words of the kernel's second parameter, which is called `data`.
pub const DATA: [u64; 4] =
    [0x8877_6655_4433_2211, 0xFFEE_DDCC_BBAA_9900, 0x0F1E_2D3C_4B5A_6978, 0x8796_A5B4_C3D2_E1F0];

/// Runs `code` with one thread and returns the register number 0 that it names, as 64 bits.
///
/// `inputs` go to the registers whose number is 1, 2, …, in whichever class the code names it;
/// predicates included.
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
         .visible .entry snippet(.param .u64 out, .param .align 16 .b8 data[32])\n{{\n\
         {REGISTERS}\nmov.u32 %r31, %tid.x;\n{code}\n\
         .reg .b64 %address<3>;\nld.param.u64 %address0, [out];\n\
         cvta.to.global.u64 %address0, %address0;\nmov.u32 %r31, %tid.x;\n\
         mul.wide.u32 %address1, %r31, 8;\nadd.s64 %address0, %address0, %address1;\n\
         st.global.u64 [%address0], %d15;\nret;\n}}"
    );
    let mut sim = simulator();
    let module = sim.load(&text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
    let out = sim.memory.allocate(8 * threads as usize, Kind::User).unwrap();
    let shape = Shape { grid: [1; 3], block: [threads, 1, 1], dynamic_shared: 0 };
    let params = [out, 0, DATA[0], DATA[1], DATA[2], DATA[3]].map(u64::to_le_bytes).concat();
    match sim.launch(&module.kernels["snippet"], shape, &params, 0) {
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

/// Checks rows of one instruction, its inputs and its result.
pub fn check(rows: &[(&str, &[u64], u64)]) {
    for (code, inputs, expected) in rows {
        let result = evaluate(code, inputs);
        assert_eq!(
            result, *expected,
            "{code} with {inputs:x?} gives {result:#x}, not {expected:#x}"
        );
        let form = names(code);
        assert_eq!(form.len(), 1, "{code} is not one instruction");
        covers(&form[0], code);
    }
}

/// The letter of the snippets' registers that hold a type.
pub fn class(ty: &str) -> char {
    match &ty[1..] {
        "16" => 'h',
        "32" => 'r',
        "64" => 'd',
        _ => 'p',
    }
}
