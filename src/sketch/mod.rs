//! x
mod operator;
pub use operator::{Family, Sketch};
