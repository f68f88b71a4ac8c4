//! `decide`, the pure three-way merge of a mapping.

mod policy;

pub use policy::{
    ClosingPolicy, Conflicts, Direction, Filter, Late, NativeSync, Policy, Reopen, SystemPolicy,
};
