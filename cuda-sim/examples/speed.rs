//! How fast kernels are interpreted: `cargo run --release -p cuda-sim --example speed`.
//!
//! Prints millions of PTX instructions per second of process CPU time, which other programs on the
//! machine hardly disturb, for loops of arithmetic, shared memory and device memory.

use cuda_sim::exec::Shape;
use cuda_sim::memory::Kind;
use cuda_sim::options::Options;
use cuda_sim::simulator::Simulator;

const KERNELS: &str = r"
.version 8.0
.target sm_80
.address_size 64

.visible .entry arithmetic(.param .u64 out, .param .u32 n)
{
    .reg .pred %p<2>; .reg .f32 %f<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x;
    cvt.rn.f32.u32 %f1, %r2;
    mov.f32 %f2, 0f3F800000;
    mov.u32 %r3, 0;
LOOP:
    fma.rn.f32 %f2, %f2, 0f3F000000, %f1;
    add.f32 %f1, %f1, 0f3F800000;
    xor.b32 %r2, %r2, %r3;
    shl.b32 %r4, %r2, 3;
    add.s32 %r2, %r2, %r4;
    mul.lo.s32 %r5, %r2, 77;
    add.s32 %r3, %r3, 1;
    setp.lt.u32 %p1, %r3, %r1;
    @%p1 bra LOOP;
    cvta.to.global.u64 %rd1, %rd1;
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %rd2, %r2, 4;
    add.s64 %rd3, %rd1, %rd2;
    st.global.f32 [%rd3], %f2;
    ret;
}

.visible .entry shared(.param .u64 out, .param .u32 n)
{
    .reg .pred %p<2>; .reg .f32 %f<8>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
    .shared .align 4 .b8 tile[2048];
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x;
    shl.b32 %r4, %r2, 2;
    mov.u32 %r5, tile;
    add.s32 %r5, %r5, %r4;
    cvt.rn.f32.u32 %f1, %r2;
    st.shared.f32 [%r5], %f1;
    bar.sync 0;
    mov.u32 %r3, 0;
    mov.f32 %f2, 0f00000000;
LOOP:
    ld.shared.f32 %f3, [%r5];
    and.b32 %r6, %r3, 255;
    shl.b32 %r6, %r6, 2;
    mov.u32 %r7, tile;
    add.s32 %r7, %r7, %r6;
    ld.shared.f32 %f4, [%r7];
    fma.rn.f32 %f2, %f3, %f4, %f2;
    add.s32 %r3, %r3, 1;
    setp.lt.u32 %p1, %r3, %r1;
    @%p1 bra LOOP;
    cvta.to.global.u64 %rd1, %rd1;
    mul.wide.u32 %rd2, %r2, 4;
    add.s64 %rd3, %rd1, %rd2;
    st.global.f32 [%rd3], %f2;
    ret;
}

.visible .entry stream(.param .u64 out, .param .u32 n)
{
    .reg .pred %p<2>; .reg .f32 %f<8>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x;
    mov.u32 %r4, %ntid.x;
    shl.b32 %r1, %r1, 8;
    cvta.to.global.u64 %rd1, %rd1;
LOOP:
    mul.wide.u32 %rd2, %r2, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.f32 %f1, [%rd3];
    mul.f32 %f2, %f1, 0f40000000;
    st.global.f32 [%rd3], %f2;
    add.s32 %r2, %r2, %r4;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra LOOP;
    ret;
}
";

/// CPU time of this process in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    // User and system time are the 14th and 15th fields, in hundredths of a second.
    let ticks = |index: usize| fields.get(index).and_then(|t| t.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn main() {
    let mut sim = Simulator::new(&Options::from_env());
    let module = sim.load(KERNELS).unwrap_or_else(|error| panic!("{error:?}"));
    let rounds = 40_000u32;
    let words = 256 * rounds as usize;
    let out = sim.memory.allocate(4 * words, Kind::User).expect("8 GiB suffice");
    sim.fill(out, &[0, 0, 0x80, 0x3F], words).expect("in bounds");
    for name in ["arithmetic", "shared", "stream"] {
        let program = &module.kernels[name];
        let mut params = out.to_le_bytes().to_vec();
        params.extend(rounds.to_le_bytes());
        params.resize(program.param_bytes, 0);
        let shape = Shape { grid: [1, 1, 1], block: [256, 1, 1], dynamic_shared: 0 };
        let start = cpu_seconds();
        sim.launch(program, shape, &params, 0).unwrap_or_else(|error| panic!("{error:?}"));
        let seconds = cpu_seconds() - start;
        let instructions = sim.counters.get(name).map_or(0, |tally| tally.instructions);
        println!("{name:12} {:6.1} M instructions/s", instructions as f64 / seconds / 1e6);
    }
}
