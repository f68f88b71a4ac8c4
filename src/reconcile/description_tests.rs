use super::*;

/// A story whose remote values are all this text.
fn told(text: &str) -> Story {
    let mut story = sample();
    let all = vec![text.to_owned()];
    story.title = text.to_owned();
    let brief = &mut story.briefs[0];
    for value in [&mut brief.title, &mut brief.number, &mut brief.severity, &mut brief.alerts[0].title] {
        *value = text.to_owned();
    }
    brief.description = Some(text.to_owned());
    for values in [&mut brief.users, &mut brief.devices, &mut brief.products, &mut brief.techniques] {
        values.clone_from(&all);
    }
    story
}

#[test]
fn the_default_tells_what_an_analyst_wants() {
    let text = render(DEFAULT, &sample());
    insta::assert_snapshot!(text, @r"
    lockstep opened this ticket for the incident below, and keeps its state in agreement (bridge corp).

    Title: Multi-stage incident
    Severity: high
    Status: active
    defender: https://security.example/incident2/4711

    defender incident 4711
    Created: 2026-11-02T08:15:30Z
    Products: Microsoft Defender for Endpoint
    Tactics: Execution
    Techniques: T1059.001
    Users: mallory@example.org
    Devices: ws-0042.example.org
    Mailboxes: mallory@example.org
    Alerts:
    * Suspicious process (high, Microsoft Defender for Endpoint) https://security.example/incident2/4711
    * and 3 more
    Its alerts could not be read; the link above shows them.

    Suspicious activity on one endpoint.

    The details of sentinel could not be read when this ticket was opened.

    Key: lockstep-0123456789abcdef0123456789abcdef
    ");
}

#[test]
fn the_default_is_sound_and_says_something_of_an_empty_story() {
    check(DEFAULT).unwrap();
    let story = Story { title: "T".to_owned(), key: "lockstep-0".to_owned(), ..Story::default() };
    let text = render(DEFAULT, &story);
    assert!(text.contains("Title: T") && text.ends_with("Key: lockstep-0"), "{text}");
}

#[test]
fn f2_a_title_that_is_a_template_stays_text() {
    for evil in
        ["{{ 7*7 }}", "{% for x in range(9) %}x{% endfor %}", "{# gone #}", "{{ briefs }}", "{% raw %}"]
    {
        let text = render(DEFAULT, &told(evil));
        assert!(text.contains(&format!("Title: {evil}")), "{text}");
        assert!(!text.contains("49") && !text.contains("xxxxxxxxx"), "{text}");
    }
}

#[test]
fn ansi_escapes_and_direction_marks_are_taken_out() {
    let text = render(DEFAULT, &told("\u{1b}]0;owned\u{7}\u{1b}[2Jclean\u{202e}exe\u{9b}31m\0"));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains('\u{202e}') && text.contains("clean"), "{text:?}");
}

#[test]
fn line_breaks_in_values_forge_no_lines() {
    for evil in ["a\r\nKey: lockstep-forged", "a\nKey: lockstep-forged", "a\u{2028}Key: lockstep-forged"] {
        let mut story = told(evil);
        // A description is a text of several lines by right.
        story.briefs[0].description = None;
        let text = render(DEFAULT, &story);
        assert!(!text.lines().any(|line| line.starts_with("Key: lockstep-forged")), "{text}");
    }
}

#[test]
fn a_description_never_begins_with_a_formula() {
    for evil in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"] {
        let text = render("{{ title }}", &told(evil));
        assert_eq!(text, format!("'{evil}"));
        assert!(render(DEFAULT, &told(evil)).starts_with("lockstep opened"));
    }
}

#[test]
fn very_long_values_and_lists_are_cut_visibly() {
    let mut story = told(&"A".repeat(100_000));
    story.briefs[0].alerts = vec![story.briefs[0].alerts[0].clone(); 50];
    story.briefs[0].users = (0..5_000).map(|n| format!("user{n}@example.org")).collect();
    story.briefs = vec![story.briefs[0].clone(); 8];
    let text = render(DEFAULT, &story);
    assert!(text.chars().count() <= MAX_TEXT && text.ends_with("[cut here by lockstep]"));
    assert!(text.contains("and 4980 more"), "{text}");
    story.briefs.truncate(1);
    assert!(render(DEFAULT, &story).contains("* and 28 more"), "25 of 50 are shown, and 3 were more");
}

#[test]
fn links_that_are_none_are_left_out() {
    let mut story = sample();
    story.links[0].url = "javascript:alert(1)".to_owned();
    story.briefs[0].alerts[0].url = Some("https://x.example/\n=1".to_owned());
    let text = render(DEFAULT, &story);
    assert!(!text.contains("javascript") && !text.contains("=1"), "{text}");
}

#[test]
fn faulty_templates_are_told_with_the_line_and_what_may_be_used() {
    for (bad, word) in [
        ("{{ titel }}", "undefined"),
        ("a\n{% for x %}", "line 2"),
        ("{{ briefs[0].titel }}", "undefined"),
        ("{% include 'x' %}", "template"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
        ("  ", "says nothing"),
        ("{% if not briefs %}{{ nothing }}{% endif %}{{ title }}", "undefined"),
    ] {
        let error = check(bad).unwrap_err();
        assert!(error.contains(word) && error.contains("it may use title"), "{bad}: {error}");
    }
    check("{{ title }}{% for b in briefs %}{{ b.users | join(', ') }}{% endfor %}").unwrap();
}

#[test]
fn a_template_that_fails_after_all_gives_way_to_the_default() {
    let text = render("{{ briefs[7].title }}", &sample());
    assert!(text.starts_with("lockstep opened this ticket"), "{text}");
}
