//! What Graph and Azure Resource Manager have in common: how they say no, and what a write does about it.

pub(super) mod answers;
pub(super) mod yielding;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod testing;
