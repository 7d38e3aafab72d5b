//! Loads, stores, atomics, variables and asynchronous copies.

use super::run::{DATA, class, covers, d, f, fault_of, lanes, try_lanes};
use cuda_sim::fault::FaultKind::{InvalidArgument, OutOfBounds, Uninitialised, WrongSpace};

pub const TESTS: &[fn()] = &[
    loads,
    stores,
    stores_to_arguments,
    generic_addresses,
    variables_of_the_module,
    atomics,
    atomics_of_many_threads,
    asynchronous_copies,
    fences,
];

/// Variables of the module with the words of [`DATA`] and without.
fn declarations() -> String {
    let words = DATA.map(|word| word.to_string()).join(", ");
    format!(
        ".const .align 16 .b64 constant[4] = {{{words}}};\n\
         .global .align 16 .b64 filled[4] = {{{words}}};\n.global .align 16 .b64 global[4];"
    )
}

const VARIABLES: &str = ".shared .align 16 .b8 shared[32]; .local .align 16 .b8 local[32];";

/// Code that lets `%d2` point to 32 bytes of a space (`""` for generic addresses), those of [`DATA`]
/// or zeros.
fn pointer(space: &str, words: [u64; 4]) -> String {
    let filled = words == DATA;
    let fill = |prefix: &str, variable: &str| {
        let store = |(n, word): (usize, &u64)| {
            format!("mov.b64 %d3, {word}; st.{prefix}b64 [{variable}+{}], %d3; ", 8 * n)
        };
        words.iter().enumerate().map(store).collect::<String>()
    };
    match space {
        "" => fill("shared.", "shared") + "mov.u64 %d2, shared; cvta.shared.u64 %d2, %d2;",
        "shared." | "local." => {
            fill(space, &space[..space.len() - 1])
                + &format!("mov.u64 %d2, {};", &space[..space.len() - 1])
        }
        "global." | "global.nc." if filled => "mov.u64 %d2, filled;".to_string(),
        "global." => "mov.u64 %d2, global;".to_string(),
        "const." => "mov.u64 %d2, constant;".to_string(),
        _ => unreachable!("{space} has no pointers"),
    }
}

fn run(code: &str) -> u64 {
    let code = format!("{VARIABLES} {code}");
    match try_lanes(&declarations(), &code, 1) {
        Ok(values) => values[0],
        Err(error) => panic!("{code}\n{error}"),
    }
}

/// Code that leaves register `n` of the class of `ty` in `%d15`.
fn result(ty: &str, n: usize) -> String {
    match class(ty) {
        'h' => format!("cvt.u64.u16 %d15, %h{n};"),
        'r' => format!("cvt.u64.u32 %d15, %r{n};"),
        _ => format!("mov.b64 %d15, %d{n};"),
    }
}

/// `%r5` or `{%r5, %r6, …}`.
fn list(ty: &str, count: usize) -> String {
    let x = class(ty);
    let names: Vec<_> = (5..5 + count).map(|n| format!("%{x}{n}")).collect();
    if count == 1 { names[0].clone() } else { format!("{{{}}}", names.join(", ")) }
}

/// Loads and stores of one shape, at the offset of their size.
struct Transfer {
    vector: &'static str,
    types: &'static [&'static str],
    /// The elements that are loaded from [`DATA`].
    loaded: &'static [u64],
    /// Memory after the words of [`DATA`], cut to the size of an element, were stored among zeros.
    stored: [u64; 4],
}

const TRANSFERS: [Transfer; 7] = [
    Transfer {
        vector: "",
        types: &["u16", "b16"],
        loaded: &[0x4433],
        stored: [0x0000_0000_2211_0000, 0, 0, 0],
    },
    Transfer {
        vector: "",
        types: &["u32", "b32", "f32"],
        loaded: &[0x8877_6655],
        stored: [0x4433_2211_0000_0000, 0, 0, 0],
    },
    Transfer {
        vector: "",
        types: &["u64", "b64", "f64"],
        loaded: &[0xFFEE_DDCC_BBAA_9900],
        stored: [0, 0x8877_6655_4433_2211, 0, 0],
    },
    Transfer {
        vector: "v2.",
        types: &["u32", "b32", "f32"],
        loaded: &[0xBBAA_9900, 0xFFEE_DDCC],
        stored: [0, 0xBBAA_9900_4433_2211, 0, 0],
    },
    Transfer {
        vector: "v2.",
        types: &["u64", "b64", "f64"],
        loaded: &[0x0F1E_2D3C_4B5A_6978, 0x8796_A5B4_C3D2_E1F0],
        stored: [0, 0, 0x8877_6655_4433_2211, 0xFFEE_DDCC_BBAA_9900],
    },
    Transfer {
        vector: "v4.",
        types: &["u16", "b16"],
        loaded: &[0x9900, 0xBBAA, 0xDDCC, 0xFFEE],
        stored: [0, 0xE1F0_6978_9900_2211, 0, 0],
    },
    Transfer {
        vector: "v4.",
        types: &["u32", "b32", "f32"],
        loaded: &[0x4B5A_6978, 0x0F1E_2D3C, 0xC3D2_E1F0, 0x8796_A5B4],
        stored: [0, 0, 0xBBAA_9900_4433_2211, 0xC3D2_E1F0_4B5A_6978],
    },
];

impl Transfer {
    /// Bytes of all elements, which is also the offset.
    fn bytes(&self) -> usize {
        self.types[0][1..].parse::<usize>().unwrap() / 8 * self.loaded.len()
    }
}

#[test]
fn loads() {
    for space in ["", "global.", "global.nc.", "shared.", "local.", "param.", "const."] {
        for transfer in &TRANSFERS {
            let (count, offset) = (transfer.loaded.len(), transfer.bytes());
            let (set_up, place) = match space {
                "param." => (String::new(), format!("data+{offset}")),
                _ => (pointer(space, DATA), format!("%d2+{offset}")),
            };
            for ty in transfer.types {
                let load = format!("ld.{space}{}{ty}", transfer.vector);
                for (n, &expected) in transfer.loaded.iter().enumerate() {
                    let (registers, result) = (list(ty, count), result(ty, 5 + n));
                    let code = format!("{set_up} {load} {registers}, [{place}]; {result}");
                    assert_eq!(run(covers(&load, &code)), expected, "{code}");
                }
            }
        }
    }
}

/// Code that puts the words of [`DATA`] into the registers of [`list`].
fn elements(ty: &str, count: usize) -> String {
    let x = class(ty);
    let bits = &ty[1..];
    let element = |n: usize| format!("mov.b{bits} %{x}{}, {}; ", 5 + n, DATA[n]);
    (0..count).map(element).collect()
}

#[test]
fn stores() {
    for space in ["", "global.", "shared.", "local."] {
        for transfer in &TRANSFERS {
            let (count, offset) = (transfer.loaded.len(), transfer.bytes());
            for ty in transfer.types {
                let store = format!("st.{space}{}{ty}", transfer.vector);
                let (elements, registers) = (elements(ty, count), list(ty, count));
                let set_up = format!("{} {elements}", pointer(space, [0; 4]));
                for (n, &expected) in transfer.stored.iter().enumerate() {
                    let code = format!(
                        "{set_up} {store} [%d2+{offset}], {registers}; ld.{space}b64 %d15, [%d2+{}];",
                        8 * n
                    );
                    assert_eq!(run(covers(&store, &code)), expected, "{code}");
                }
            }
        }
    }
}

/// Arguments of calls: the function returns one of the words that it was given.
#[test]
fn stores_to_arguments() {
    for transfer in &TRANSFERS {
        let (count, offset) = (transfer.loaded.len(), transfer.bytes());
        for ty in transfer.types {
            let store = format!("st.param.{}{ty}", transfer.vector);
            let (elements, registers) = (elements(ty, count), list(ty, count));
            let zeros: String =
                (0..4).map(|n| format!("st.param.b64 [words+{}], 0; ", 8 * n)).collect();
            for (n, &expected) in transfer.stored.iter().enumerate() {
                let function = format!(
                    ".func (.param .b64 word) pick(.param .align 16 .b8 words[32])\n{{\n\
                     .reg .b64 %d<2>; ld.param.b64 %d1, [words+{}]; st.param.b64 [word], %d1; \
                     ret;\n}}",
                    8 * n
                );
                let code = format!(
                    "{elements} {{ .param .align 16 .b8 words[32]; {zeros} \
                     {store} [words+{offset}], {registers}; .param .b64 word; \
                     call.uni (word), pick, (words); ld.param.b64 %d15, [word]; }}"
                );
                let word = try_lanes(&function, covers(&store, &code), 1).unwrap()[0];
                assert_eq!(word, expected, "{code}");
            }
        }
    }
}

/// Whether an address is in reach and of which space is decided for each access.
#[test]
fn generic_addresses() {
    for space in ["shared", "local"] {
        let code = format!(
            "mov.u64 %d2, {space}; cvta.{space}.u64 %d3, %d2; st.b32 [%d3+4], 11; \
             ld.{space}.u32 %r1, [{space}+4]; cvt.u64.u32 %d15, %r1;"
        );
        assert_eq!(run(&code), 11);
        let past = format!("{VARIABLES} mov.u64 %d2, {space}; cvta.{space}.u64 %d3, %d2; ");
        let past = past + "st.b32 [%d3+32], 11;";
        assert_eq!(fault_of("", &past, 1), Some(OutOfBounds));
        let wrong = format!("{VARIABLES} mov.u64 %d2, {space}; cvta.{space}.u64 %d3, %d2; ");
        let wrong = wrong + "st.global.b32 [%d3], 11;";
        assert_eq!(fault_of("", &wrong, 1), Some(WrongSpace));
        // An address of 32 bits wraps around as such.
        let code = format!(
            "mov.u32 %r2, {space}; sub.s32 %r2, %r2, 2048; st.{space}.u32 [%r2+2052], 7; \
             ld.{space}.u32 %r1, [{space}+4]; cvt.u64.u32 %d15, %r1;"
        );
        assert_eq!(run(&code), 7);
    }
}

#[test]
fn variables_of_the_module() {
    let declarations = ".const .align 4 .f32 table[3] = {0f3F800000, 0f40000000, 0f40400000};\n\
                        .global .align 8 .u64 where = table+4;\n\
                        .global .align 4 .u32 zeros[4];\n\
                        .global .align 2 .b8 bytes[4] = {1, 2, 3};\n\
                        .shared .align 4 .b8 module_shared[16];";
    for (code, expected) in [
        ("ld.const.f32 %r1, [table+8];", f(3.0)),
        ("ld.global.u64 %d1, [where]; ld.f32 %r1, [%d1];", f(2.0)),
        ("ld.global.u32 %r1, [zeros+12];", 0),
        ("ld.global.b32 %r1, [bytes];", 0x0003_0201),
        ("st.shared.u32 [module_shared+4], 6; ld.shared.u32 %r1, [module_shared+4];", 6),
    ] {
        let code = format!("{code} cvt.u64.u32 %d15, %r1;");
        assert_eq!(try_lanes(declarations, &code, 1).unwrap(), [expected], "{code}");
    }
}

/// Variables lie apart, and what lies between is nobody's; banks are those of variables that touch.
#[test]
fn running_past_a_variable_meets_no_other() {
    for space in ["shared", "local"] {
        let two =
            |code: &str| format!(".{space} .align 4 .b8 x[8]; .{space} .align 4 .b8 y[8]; {code}");
        let write = format!("st.{space}.u32 [y], 1; st.{space}.u32 [x+8], 2;");
        assert_eq!(fault_of("", &two(&write), 1), Some(OutOfBounds));
        let read = format!("st.{space}.u32 [y], 1; ld.{space}.u32 %r1, [x+8];");
        assert_eq!(fault_of("", &two(&read), 1), Some(OutOfBounds));
        let below = format!("st.{space}.u32 [y-4], 2;");
        assert_eq!(fault_of("", &two(&below), 1), Some(OutOfBounds));
        let bank = two("mov.u32 %r1, x; mov.u32 %r2, y; sub.u32 %r3, %r2, %r1; \
                        and.b32 %r3, %r3, 127; cvt.u64.u32 %d15, %r3;");
        assert_eq!(lanes(&bank, 1), [8]);
    }
    let dynamic = ".extern .shared .align 16 .b8 dynamic[];";
    let past = ".shared .align 4 .b8 x[8]; mov.u32 %r1, dynamic; st.shared.u32 [x+8], 2;";
    assert_eq!(fault_of(dynamic, past, 1), Some(OutOfBounds));
    let total = ".shared .align 4 .b8 x[8]; .shared .align 4 .b8 y[12]; st.shared.u32 [x], 0; \
                 st.shared.u32 [y], 0; mov.u32 %r1, %total_smem_size; cvt.u64.u32 %d15, %r1;";
    assert_eq!(lanes(total, 1), [20]);
}

/// Kind and type, memory before, operand, memory after.
type Row = (&'static str, u64, u64, u64);

#[test]
fn atomics() {
    let (minus5, minus5_64) = (0xFFFF_FFFB, u64::MAX - 4);
    let rows: &[Row] = &[
        ("add.u32", 0xFFFF_FFFF, 3, 2),
        ("add.u64", u64::MAX, 3, 2),
        ("add.u64", 0xFFFF_FFFF, 1, 1 << 32),
        ("add.f32", f(0.5), f(1.0), f(1.5)),
        ("add.f32", f(1.0), f(2f32.powi(-24)), f(1.0)),
        ("add.f32", f(1.0), f(f32::NAN), 0x7FFF_FFFF),
        ("add.f64", d(0.5), d(1.0), d(1.5)),
        ("add.f64", 1, 1, 2),
        ("min.s32", 7, minus5, minus5),
        ("min.s32", minus5, 7, minus5),
        ("min.u32", 7, minus5, 7),
        ("max.s32", minus5, 7, 7),
        ("max.u32", 7, minus5, minus5),
        ("min.s64", 7, minus5_64, minus5_64),
        ("min.u64", 7, minus5_64, 7),
        ("max.s64", minus5_64, 7, 7),
        ("max.u64", 7, minus5_64, minus5_64),
        ("and.b32", 0b1010, 0b1100, 0b1000),
        ("or.b32", 0b1010, 0b1100, 0b1110),
        ("xor.b32", 0b1010, 0b1100, 0b0110),
    ];
    for space in ["global.", "shared."] {
        // Global additions of singles flush subnormal numbers, shared ones do not.
        let flushed = ("add.f32", 1, 1, if space == "global." { 0 } else { 2 });
        for &(name, before, operand, after) in rows.iter().chain([&flushed]) {
            let ty = name.split_once('.').unwrap().1;
            let (x, bits) = (class(ty), &ty[1..]);
            let mark = if bits == "32" { 0x5A5A_5A5A << 32 } else { 0 };
            let set_up = format!(
                "{} mov.b64 %d3, {}; st.{space}b64 [%d2+8], %d3; mov.b{bits} %{x}5, {operand};",
                pointer(space, [0; 4]),
                mark | before
            );
            let memory = format!("ld.{space}b64 %d15, [%d2+8];");
            let old = result(ty, 6);
            let atom = format!("atom.{space}{name}");
            let code = format!("{set_up} {atom} %{x}6, [%d2+8], %{x}5; {old}");
            assert_eq!(run(covers(&atom, &code)), before, "{code}");
            let code = format!("{set_up} {atom} %{x}6, [%d2+8], %{x}5; {memory}");
            assert_eq!(run(&code), mark | after, "{code}");
            let red = format!("red.{space}{name}");
            let code = format!("{set_up} {red} [%d2+8], %{x}5; {memory}");
            assert_eq!(run(covers(&red, &code)), mark | after, "{code}");
        }
    }
}

#[test]
fn atomics_of_many_threads() {
    let many = |instruction: &str, before: u64, threads| {
        let code = format!(
            "{VARIABLES} setp.ne.u32 %p1, %r31, 0; @%p1 bra GO; mov.b64 %d1, {before}; \
             st.shared.b64 [shared], %d1; GO: bar.sync 0; {instruction} bar.sync 0; \
             ld.shared.u32 %r1, [shared]; cvt.u64.u32 %d15, %r1;"
        );
        lanes(&code, threads)[0]
    };
    assert_eq!(many("atom.shared.add.u32 %r1, [shared], 3;", 1, 64), 193);
    assert_eq!(many("red.shared.add.f32 [shared], 0f3F800000;", f(0.5), 4), f(4.5));
    assert_eq!(many("red.shared.max.u32 [shared], %r31;", 7, 40), 39);
}

#[test]
fn asynchronous_copies() {
    let copy = |form: &str, size: &str, after: &str| {
        format!(
            "{VARIABLES} mov.u64 %d1, filled; mov.u32 %r1, shared; st.shared.u64 [shared+8], 1; \
             {form} [%r1], [%d1], {size}; {after} ld.shared.u64 %d15, [shared];"
        )
    };
    let run = |code: &str| try_lanes(&declarations(), code, 1);
    let (ca, cg) = ("cp.async.ca.shared.global", "cp.async.cg.shared.global");
    let wait = "cp.async.commit_group; cp.async.wait_group 0;";
    for (form, size, expected) in [
        (ca, "8", 0x8877_6655_4433_2211),
        (ca, "8, 3", 0x33_2211),
        (ca, "8, 0", 0),
        (cg, "16", 0x8877_6655_4433_2211),
        (cg, "16, 5", 0x55_4433_2211),
    ] {
        let code = copy(form, size, wait);
        covers(form, &code);
        covers("cp.async.{commit_group,wait_group}", &code);
        assert_eq!(run(&code).unwrap(), [expected], "{code}");
    }
    let second = copy(cg, "16", wait).replace("%d15, [shared]", "%d15, [shared+8]");
    assert_eq!(run(&second).unwrap(), [0xFFEE_DDCC_BBAA_9900]);
    for early in ["", "cp.async.commit_group;", "cp.async.commit_group; cp.async.wait_group 1;"] {
        let fault = run(&copy(ca, "8", early)).unwrap_err().fault;
        assert_eq!(fault.kind, Uninitialised, "{early}");
    }
    let fault = run(&copy(ca, "8, 9", wait)).unwrap_err().fault;
    assert_eq!(fault.kind, InvalidArgument, "reads more than it writes");
    let mut sim = super::run::simulator();
    for (size, part) in [("8", "copies 16"), ("12", "4, 8 or 16")] {
        let text = format!(
            ".visible .entry k() {{ {} {cg} [%r1], [%d1], {size}; }}",
            super::run::REGISTERS
        );
        let Err(error) = sim.load(&text) else { panic!("{text} was accepted") };
        assert!(format!("{error:?}").contains(part), "{error:?}");
    }
}

/// Memory is sequentially consistent here, so fences do nothing; nor do they order threads.
#[test]
fn fences() {
    for fence in ["membar.cta", "membar.gl", "membar.sys"] {
        let code = format!(
            "{VARIABLES} st.shared.u64 [shared], 5; {fence}; ld.shared.u64 %d15, [shared];"
        );
        assert_eq!(lanes(covers(fence, &code), 1), [5]);
    }
}
