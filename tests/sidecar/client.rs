//! The example client of the documentation, against the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lockstep::emulator::DefenderEdit;
use serde_json::{Value, json};

use crate::rig::Rig;

/// Ends the client with the test.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // One that cannot be killed is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tickets(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

fn ticket(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A person edits a ticket in the software.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut now = ticket(path);
    change(&mut now);
    let draft = path.with_extension("edit");
    fs::write(&draft, now.to_string()).unwrap();
    fs::rename(draft, path).unwrap();
}

#[test]
fn the_documentation_shows_the_example_client() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    assert!(read("docs/sidecar.md").contains(&read("docs/examples/sidecar_client.py")), "copy it there");
}

#[test]
fn the_example_client_keeps_a_folder_of_tickets_in_agreement() {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/sidecar_client.py");
    if !Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: there is no python3 here, so {program} was not tried");
        return;
    }
    let mut rig = Rig::new();
    let (defender, sentinel) = rig.incident();
    rig.start();
    let folder = rig.dir.path().join("tickets");
    fs::create_dir(&folder).unwrap();
    let url = format!("http://{}", rig.api);
    let _client = Client(Command::new("python3").args([program, &url]).arg(&folder).spawn().unwrap());
    rig.until("the ticket is opened", |_| tickets(&folder).len() == 1);
    let file = tickets(&folder).remove(0);

    rig.emulator
        .human_defender(defender, "ana@example.org", &DefenderEdit::comment("isolated host7"))
        .unwrap();
    rig.emulator
        .human_defender(defender, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    rig.until("the close arrives", |_| {
        let ticket = ticket(&file);
        ticket["status"] == "closed" && ticket["comments"].as_array().unwrap().len() == 1
    });
    assert_eq!(ticket(&file)["verdict"], "true-positive/phishing");

    edit(&file, |ticket| {
        ticket["status"] = json!("active");
        ticket["comments"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "id": "1", "author": "ben", "text": "not over yet" }));
    });
    rig.until("the reopening arrives", |rig| {
        rig.defender(defender, "status") == "inProgress" && rig.sentinel(&sentinel, "status") == "Active"
    });
    rig.until("the comment arrives", |rig| rig.defender(defender, "comments").contains("not over yet"));
    assert_eq!(ticket(&file)["status"], "active");
}
