//! cli
pub mod worker;
