//! `tapster doctor`: what this kernel and this user may do.

use crate::standard;
use std::process::ExitCode;
use tapster_compiler::world::World;
use tapster_lang::diagnostic::json_string;
use tapster_runtime::Machine;
use tapster_runtime::doctor::{Finding, examine};

/// Says what is there and what is not; fails where no script can look at the kernel.
pub fn doctor(for_machines: bool) -> ExitCode {
    let machine = Machine::new();
    let findings = examine(&machine);
    let text = if for_machines { json(&machine, &findings) } else { page(&machine, &findings) };
    let written = standard::write(text.as_bytes());
    let lacks = findings.iter().any(|finding| finding.essential && finding.lack.is_some());
    if lacks || !written { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn page(machine: &Machine, findings: &[Finding]) -> String {
    let mut page = format!("Linux {} on {}\n\n", machine.release(), std::env::consts::ARCH);
    for finding in findings {
        let sign = if finding.lack.is_some() { "no " } else { "yes" };
        page.push_str(&format!("{sign}  {:<16} {}\n", finding.name, finding.purpose));
        if let Some(lack) = &finding.lack {
            page.push_str(&format!(
                "       why:    {lack}\n       costs:  {}\n       remedy: {}\n",
                finding.cost, finding.remedy
            ));
        }
    }
    let essential: Vec<&str> = lacking(findings, true).collect();
    page.push_str(&match essential.is_empty() {
        true if lacking(findings, false).next().is_none() => "\nNothing is missing.\n".to_owned(),
        true => "\nScripts run; what is missing costs what is said above.\n".to_owned(),
        false => format!("\nScripts cannot look at the kernel without {}.\n", essential.join(", ")),
    });
    page
}

fn lacking(findings: &[Finding], essential: bool) -> impl Iterator<Item = &str> {
    let lacks = move |finding: &&Finding| finding.lack.is_some() && finding.essential == essential;
    findings.iter().filter(lacks).map(|finding| finding.name)
}

/// `{"version":1,"release":…,"architecture":…,"checks":[{"name":…,"ok":…,"purpose":…,"lack":…,"cost":…,"remedy":…,"essential":…}]}`
fn json(machine: &Machine, findings: &[Finding]) -> String {
    let mut text = String::from("{\"version\":1,\"release\":");
    json_string(machine.release(), &mut text);
    text.push_str(&format!(",\"architecture\":\"{}\",\"checks\":[", std::env::consts::ARCH));
    for (nth, finding) in findings.iter().enumerate() {
        text.push_str(if nth > 0 { ",\n{" } else { "\n{" });
        text.push_str(&format!("\"name\":\"{}\",\"ok\":{}", finding.name, finding.lack.is_none()));
        let fields = [
            ("purpose", Some(finding.purpose)),
            ("lack", finding.lack.as_deref()),
            ("cost", Some(finding.cost)),
            ("remedy", Some(finding.remedy)),
        ];
        for (name, value) in fields {
            text.push_str(&format!(",\"{name}\":"));
            match value {
                Some(value) => json_string(value, &mut text),
                None => text.push_str("null"),
            }
        }
        text.push_str(&format!(",\"essential\":{}}}", finding.essential));
    }
    text.push_str("\n]}\n");
    text
}
