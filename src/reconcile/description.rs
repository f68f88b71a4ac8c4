//! The description of a ticket, from the bridge's template.

/// The template of bridges that give none.
pub(crate) const DEFAULT: &str = "{{ title }}";
