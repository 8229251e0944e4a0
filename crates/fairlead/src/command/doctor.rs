//! `doctor`: what is wrong on this node, and what mends it.

use super::{Context, Status};
use anyhow::Result;
use fairlead_attach::{Finding, Severity};

pub(crate) fn run(context: &Context) -> Result<Status> {
    let findings = context.node()?.doctor()?;
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
            Severity::Ok => "ok      ",
            Severity::Note => "note    ",
            Severity::Problem => "PROBLEM ",
        };
        text += &format!("{mark} {}: {}\n", finding.subject, finding.what);
        if let Some(cure) = &finding.cure {
            text += &format!("          mend it: {cure}\n");
        }
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    text + &format!(
        "{} checks: {} problems, {} notes\n",
        findings.len(),
        count(Severity::Problem),
        count(Severity::Note)
    )
}
