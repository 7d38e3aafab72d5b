//! Names the shared library as programs that load the CUDA driver ask for it.
//!
//! The file itself stays `libcuda_sim.so`: a file called `libcuda.so` in a cargo output directory
//! would be put before the real driver by `cargo test`, which adds that directory to the search path.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
    }
}
