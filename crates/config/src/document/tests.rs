use super::*;
use proptest::prelude::*;

const SAMPLE: &str = "\
# head
; more

[DEFAULT]
id = 1

# about nodes
[cluster]
nodes = n1 n2
\tn3
  # inside

\tn4
name=c1

[other]
[cluster]
name = c2
";

fn sample() -> Document {
    Document::parse(SAMPLE).unwrap()
}

#[test]
fn a_file_is_read() {
    let d = sample();
    let sections: Vec<_> = d.sections().collect();
    assert_eq!(sections, ["DEFAULT", "cluster", "other"]);
    assert_eq!(d.get("cluster", "nodes"), Some("n1 n2\nn3\n\nn4"));
    assert_eq!(d.get("cluster", "name"), Some("c2"), "the last one counts");
    assert!(d.has_section("other"));
    assert_eq!(d.options("other").count(), 0);
    let options: Vec<_> = d.options("cluster").map(|(o, _)| o).collect();
    assert_eq!(options, ["nodes", "name"]);
    assert_eq!(d.to_string(), SAMPLE);
}

#[test]
fn a_change_touches_its_own_lines_only() {
    let mut d = sample();
    assert!(d.set("cluster", "name", "c3").unwrap());
    assert!(!d.set("cluster", "name", " c3 ").unwrap());
    assert_eq!(d.to_string(), SAMPLE.replace("name = c2", "name = c3"));

    let mut d = sample();
    d.set("cluster", "nodes", "a\nb").unwrap();
    let wanted = SAMPLE.replace(
        "nodes = n1 n2\n\tn3\n  # inside\n\n\tn4\n",
        "nodes = a\n\tb\n  # inside\n",
    );
    assert_eq!(d.to_string(), wanted);

    let mut d = sample();
    d.set("DEFAULT", "x", "1").unwrap();
    assert_eq!(
        d.to_string(),
        SAMPLE.replace("id = 1\n", "id = 1\nx = 1\n"),
        "before the comment of the next section"
    );
}

#[test]
fn a_new_section_goes_to_the_end_and_default_to_the_front() {
    let mut d = Document::parse("# c\n\n# of a\n[a]\nx=1").unwrap();
    d.set("b", "y", "2").unwrap();
    d.set("DEFAULT", "id", "u").unwrap();
    assert_eq!(
        d.to_string(),
        "# c\n\n[DEFAULT]\nid = u\n\n# of a\n[a]\nx=1\n\n[b]\ny = 2\n"
    );
    let mut empty = Document::default();
    empty.set("DEFAULT", "id", "u").unwrap();
    empty.set("b", "y", "").unwrap();
    assert_eq!(empty.to_string(), "[DEFAULT]\nid = u\n\n[b]\ny =\n");
}

#[test]
fn the_layout_of_a_line_stays() {
    let mut d = Document::parse("[a]\r\nx=1\r\ny  =   2\r\nz =").unwrap();
    for (option, value) in [("x", "7"), ("y", "8"), ("z", "9"), ("w", "6")] {
        d.set("a", option, value).unwrap();
    }
    assert_eq!(
        d.to_string(),
        "[a]\r\nx=7\r\ny  =   8\r\nz = 9\r\nw = 6\r\n"
    );
}

#[test]
fn an_option_is_removed_wherever_it_is() {
    let mut d = sample();
    assert!(d.unset("cluster", "name"));
    assert!(!d.unset("cluster", "name"));
    assert_eq!(d.get("cluster", "name"), None);
    assert!(d.unset("cluster", "nodes"));
    assert!(!d.has_section("cluster"), "its last option is gone");
    let text = d.to_string();
    assert!(text.contains("# about nodes") && text.contains("# inside"));
    assert!(d.remove_section("other"));
    assert!(!d.remove_section("other"));
}

#[test]
fn a_section_is_removed_with_what_is_inside() {
    let mut d = Document::parse("[a]\nx=1\n# in\ny=2\n\n# of b\n[b]\nz=3\n").unwrap();
    assert!(d.remove_section("a"));
    assert_eq!(d.to_string(), "# of b\n[b]\nz=3\n");
}

#[test]
fn a_line_without_meaning_is_named() {
    for (text, line, word) in [
        ("[a]\nfoo\n", 2, "option = value"),
        ("x = 1\n", 1, "[DEFAULT]"),
        ("[a\n", 1, "']' is missing"),
        ("[a] b\n", 1, "comment"),
        ("[]\n", 1, "name"),
        ("\n[a]\n x = 1\n", 3, "indentation"),
        ("[a]\na b = 1\n", 2, "name"),
        ("[a]\n= 1\n", 2, "name"),
    ] {
        let error = Document::parse(text).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(word), "{message}");
        assert!(message.starts_with(&format!("line {line}, ")), "{message}");
    }
    assert!(Document::parse("\u{feff}[a] ; note\nx = 1\n").is_ok());
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let mut d = Document::default();
    for (section, option, value) in [
        ("", "a", "1"),
        (" a", "a", "1"),
        ("a]", "a", "1"),
        ("a\nb", "a", "1"),
        ("a", "", "1"),
        ("a", "a b", "1"),
        ("a", "a=b", "1"),
        ("a", "#a", "1"),
        ("a", "[a", "1"),
        ("a", "a", "1\n# 2"),
    ] {
        assert!(
            d.set(section, option, value).is_err(),
            "{section:?} {option:?} {value:?}"
        );
    }
    assert_eq!(d, Document::default());
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("  ".to_owned()),
        "[#;] ?[ -~]{0,8}",
        "\\[[ab]\\]",
        "[xyz] ?= ?[a-z ]{0,5}",
        "\t[a-z#=\\[ ]{1,5}",
    ]
}

fn file() -> impl Strategy<Value = String> {
    let end = prop_oneof![Just("\n"), Just("\r\n")];
    (proptest::collection::vec(line(), 0..25), end, any::<bool>()).prop_map(|(lines, end, last)| {
        let text = format!("[a]{end}{}", lines.join(end));
        if last { text + end } else { text }
    })
}

proptest! {
    #[test]
    fn an_unedited_file_is_the_same_bytes(text in file()) {
        if let Ok(d) = Document::parse(&text) {
            prop_assert_eq!(d.to_string(), text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,60}") {
        if let Ok(d) = Document::parse(&text) {
            prop_assert_eq!(d.to_string(), text);
        }
    }

    /// After any edits the text reads back as the document in memory, and every
    /// comment of the file is still there.
    #[test]
    fn edits_read_back(
        text in file(),
        edits in proptest::collection::vec(("[abc]", "[xyz]", proptest::option::of("(?s)[a-z \n\t=\\[\\]#]{0,8}")), 1..8),
    ) {
        let Ok(mut d) = Document::parse(&text) else { return Ok(()) };
        let comments = |t: &str| {
            let mut c: Vec<_> = t.lines().filter(|l| is_comment(l)).map(|l| l.trim().to_owned()).collect();
            c.sort();
            c
        };
        let before = comments(&text);
        for (section, option, value) in edits {
            match value {
                None => {
                    d.unset(&section, &option);
                    prop_assert_eq!(d.get(&section, &option), None);
                }
                Some(value) => if d.set(&section, &option, &value).is_ok() {
                    let lines = value.trim().split('\n').map(str::trim).collect::<Vec<_>>().join("\n");
                    prop_assert_eq!(d.get(&section, &option), Some(lines.as_str()));
                }
            }
            let again = Document::parse(&d.to_string()).unwrap();
            let flat = |d: &Document| -> Vec<_> {
                let all = d.sections().flat_map(|s| d.options(s).map(move |(o, v)| (s.to_owned(), o.to_owned(), v.to_owned())));
                all.collect()
            };
            prop_assert_eq!(flat(&again), flat(&d));
        }
        prop_assert_eq!(comments(&d.to_string()), before);
    }

    #[test]
    fn set_then_unset_leaves_no_trace(text in file(), value in "[a-z]{1,5}") {
        let Ok(mut d) = Document::parse(&text) else { return Ok(()) };
        prop_assume!(text.ends_with('\n'));
        d.set("new", "option", &value).unwrap();
        d.unset("new", "option");
        // A file that ended in a blank line lends it to the new section.
        let after = d.to_string();
        prop_assert_eq!(after.trim_end(), text.trim_end());
    }
}
