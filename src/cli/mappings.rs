//! `lockstep mappings`.

use std::fmt::Write as _;

use clap::Subcommand;
use comfy_table::{Cell, Table};

use super::output::{FormatArg, clean};
use super::source::Source;
use super::{ConfigArg, Exit, Global};
use super::{explain, link};
use crate::model::{Field, MappingId, MappingState, MemberState, RecordRef};
use crate::server::views::{MappingList, MappingView, MemberView};

/// The commands of `mappings`.
#[derive(Debug, Subcommand)]
pub enum MappingsCommand {
    /// List mappings, in order of id
    List {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        format: FormatArg,
        /// Only those after this id
        #[arg(long, value_name = "ID")]
        after: Option<MappingId>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show a mapping with its history
    Show {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        format: FormatArg,
        /// The mapping, as listed
        id: MappingId,
    },
    /// Put records into one mapping that lockstep did not bring together
    Link {
        #[command(flatten)]
        config: ConfigArg,
        /// A record of the mapping, such as `defender/incident/4711`
        record: RecordRef,
        /// The record that joins it; its system is asked whether it is there
        other: RecordRef,
        /// Ask nobody: the worker reads the record, and drops the link if there is none
        #[arg(long)]
        unchecked: bool,
    },
    /// Take a record out of its mapping
    Unlink {
        #[command(flatten)]
        config: ConfigArg,
        /// The record
        record: RecordRef,
    },
}

pub(super) async fn run(command: MappingsCommand, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    match command {
        MappingsCommand::List { config, format, after, limit } => {
            let limit = usize::try_from(limit)?;
            let list = Source::open(&config.load()?)?.mappings(after, limit).await?;
            format.print(&list, render)?;
        }
        MappingsCommand::Show { config, format, id } => {
            let story = Source::open(&config.load()?)?.story(id).await?;
            format.print(&story, explain::render_story)?;
        }
        MappingsCommand::Link { config, record, other, unchecked } => {
            link::link(&config.load()?, &record, &other, unchecked).await?;
        }
        MappingsCommand::Unlink { config, record } => link::unlink(&config.load()?, &record).await?,
    }
    Ok(Exit::Done)
}

fn render(list: &MappingList) -> String {
    if list.mappings.is_empty() {
        return "no mappings".to_owned();
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["MAPPING", "BRIDGE", "STATUS", "RECORDS", "TITLE"]);
    for mapping in &list.mappings {
        let records: Vec<String> = mapping.members.iter().map(record).collect();
        let title = clean(mapping.title.as_deref().unwrap_or("-"));
        table.add_row([
            Cell::new(mapping.id),
            Cell::new(&mapping.bridge),
            Cell::new(status(mapping)),
            Cell::new(clean(&records.join("\n")).replace("\\n", "\n")),
            Cell::new(title),
        ]);
    }
    let mut text = table.trim_fmt();
    if let Some(next) = list.next {
        let _ = write!(text, "\nmore: lockstep mappings list --after {next}");
    }
    text
}

fn record(member: &MemberView) -> String {
    let pending = if member.state == MemberState::Awaited { " (not read yet)" } else { "" };
    format!("{}{pending}", member.record)
}

fn status(mapping: &MappingView) -> String {
    match &mapping.state {
        MappingState::Live => mapping.agreed(Field::Status).to_owned(),
        MappingState::MergedInto(other) => format!("merged into {other}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::sample::SampleStore;
    use crate::server::views;

    #[test]
    fn mappings_are_listed_as_a_table() {
        let mut list = views::list(&SampleStore::new(), None, 10).unwrap();
        list.next = Some(list.mappings[0].id);
        insta::assert_snapshot!(render(&list), @r#"
         MAPPING           BRIDGE  STATUS  RECORDS                                                 TITLE
         86a7db672ae38118  corp    closed  defender/incident/4711                                  Phishing <b>mail</b> reported
                                           sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11
        more: lockstep mappings list --after 86a7db672ae38118
        "#);
    }
}
