//! Configuration: load, validate, secrets.

pub mod secret;
