//! The PTX that ships: for compute capability 8.0, made by `examples/ptx.rs`. The driver translates it
//! for later GPUs.

macro_rules! shipped {
    ($($name:literal),*) => {
        /// By the name of the file of kernels.
        pub(super) const PTX: [(&str, &str); 11] =
            [$(($name, include_str!(concat!("../../../cuda/ptx/", $name, ".ptx")))),*];
    };
}
shipped!(
    "blas",
    "block_perm",
    "dense",
    "fourier",
    "half",
    "half_dense",
    "norms",
    "rows",
    "sort",
    "sparse",
    "transform"
);
