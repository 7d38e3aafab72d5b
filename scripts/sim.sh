#!/bin/sh
# scripts/sim.sh CMD...   run CMD with the simulated CUDA driver and cuBLAS in the library search path
#
# RNLA_SIM_SEED, RNLA_SIM_PREEMPT, RNLA_SIM_MEMORY and RNLA_SIM_STATS are described in cuda-sim/src/options.rs.
# The links live in a directory of their own, so that nothing but this script ever finds them: a
# libcuda.so in target/debug/deps would be taken for the driver by every `cargo test`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cargo build -q --release --manifest-path "$root/Cargo.toml" -p cuda-sim
mkdir -p "$target/cuda-sim"
links=$(cd "$target/cuda-sim" && pwd)
for name in libcuda.so libcuda.so.1 libcublas.so libcublas.so.12; do
    ln -sf ../release/libcuda_sim.so "$links/$name"
done
LD_LIBRARY_PATH=$links${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} RNLA_REQUIRE_GPU=1 exec "$@"
