//! `doctor`: what is wrong on this node, and what mends it.

use super::{Context, Status};
use anyhow::Result;
use fairlead_attach::{Finding, Node, Severity};

pub(crate) fn run(context: &Context) -> Result<Status> {
    let mut findings = Vec::new();
    let mut node = match context.node() {
        Ok(node) => node,
        // A file that cannot be read is the first thing to mend, and no reason not to
        // look at the rest.
        Err(error) => {
            findings.push(Finding {
                severity: Severity::Problem,
                subject: "configuration".into(),
                what: error.to_string(),
                cure: Some("edit the file".into()),
            });
            Node::without_config(&context.root)?
        }
    };
    let known = context.known(&node);
    node.know(known);
    findings.extend(node.doctor()?);
    context.output.show(&findings, |findings| text(findings))?;
    let unwell = findings
        .iter()
        .any(|finding| finding.severity == Severity::Problem);
    Ok(if unwell { Status::Unwell } else { Status::Done })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Problem => "PROBLEM",
        };
        text += &format!("{mark:<8} {}: {}\n", finding.subject, finding.what);
        if let Some(cure) = &finding.cure {
            text += &format!("{:<8} mend it: {cure}\n", "");
        }
    }
    text + &format!("{}\n", Finding::summary(findings))
}
