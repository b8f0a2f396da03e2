//! What `-f json` writes follows docs/json.schema.json, and is what happened: `cargo run --manifest-path tests/schema/Cargo.toml`,
//! with the program under test in `TAPSTER_BIN`, or where a release build puts it. Stacks need root.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

fn main() {
    globals_are_told_whole();
    an_error_is_a_record_and_the_exit_code_stands_at_the_end();
    stacks_are_frames_and_losses_have_numbers();
    println!("all records follow the schema");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/schema is in the workspace")
}

fn tapster() -> PathBuf {
    std::env::var_os("TAPSTER_BIN").map_or_else(|| root().join("target/release/tapster"), PathBuf::from)
}

/// Runs a script and gives its records, each of which follows the schema.
fn records(script: &str) -> Vec<Value> {
    let output = Command::new(tapster()).args(["-f", "json", "-T", "20", "-e", script]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let records: Vec<Value> = text.lines().map(parse).collect();
    let (schemas, schema) = schema();
    for record in &records {
        schemas.validate(record, schema).unwrap_or_else(|error| panic!("{record}: {error:#}"));
    }
    let types: Vec<&str> = records.iter().filter_map(|record| record["type"].as_str()).collect();
    assert_eq!([types.first(), types.last()], [Some(&"start"), Some(&"end")], "{text}");
    records
}

fn schema() -> (Schemas, SchemaIndex) {
    let path = root().join("docs/json.schema.json");
    let text = serde_json::from_reader(File::open(&path).expect("it is there")).expect("it is JSON");
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource("schema.json", text).expect("a name");
    let schema = compiler.compile("schema.json", &mut schemas).expect("a schema");
    (schemas, schema)
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

/// The sums are those of the numbers from 1 to 10.
fn globals_are_told_whole() {
    let records = records(
        r#"global sizes, log, n = 7, name, empty
        probe begin {
            for (i = 1; i <= 10; i++) { sizes["a\"b", i % 2] <<< i; log <<< i }
            name = "line\n"; n -= 9; if (n > 0) empty <<< 1
            printf("%d\n", @count(log)); print(@hist_linear(log, 2, 8, 3)); warn("careful"); exit()
        }"#,
    );
    let named = |name: &str| records.iter().find(|record| record["name"] == name).expect("it is told");
    assert_eq!(of(&records, "print")[0]["text"], "10\n");
    assert_eq!(of(&records, "warning")[0]["text"], "careful");
    assert_eq!((&named("n")["value"], &named("name")["value"]), (&Value::from(-2), &Value::from("line\n")));
    assert_eq!(named("empty")["value"], serde_json::json!({"count": 0, "sum": 0}));
    let buckets = serde_json::json!([
        {"low": null, "high": 1, "count": 1}, {"low": 2, "high": 4, "count": 3},
        {"low": 5, "high": 7, "count": 3}, {"low": 8, "high": 10, "count": 3}
    ]);
    assert_eq!(of(&records, "histogram")[0]["histogram"]["buckets"], buckets);
    assert_eq!(named("log")["value"]["histogram"]["buckets"], buckets);
    let odd = of(&records, "element").into_iter().find(|record| record["key"] == serde_json::json!(["a\"b", 1]));
    let expected = serde_json::json!({"count": 5, "sum": 25, "min": 1, "max": 9, "avg": 5});
    assert_eq!(odd.expect("an element")["value"], expected);
}

fn an_error_is_a_record_and_the_exit_code_stands_at_the_end() {
    let records = records("probe begin { z = 0; println(1 / z) }");
    assert!(of(&records, "error")[0]["text"].as_str().is_some_and(|text| text.starts_with("division by 0")));
    assert_eq!(of(&records, "end")[0], &serde_json::json!({"type": "end", "exit_code": 1, "errors": 1}));
}

/// Names of frames are those of /proc/kallsyms, losses are counted.
fn stacks_are_frames_and_losses_have_numbers() {
    let records = records(
        r#"global stacks, few[1], n
        probe kernel.trace("sched_switch") { stacks[backtrace()] <<< 1; few[n++] <<< 1; if (n >= 50) exit() }"#,
    );
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").expect("Linux has it");
    let stacks: Vec<&Value> = of(&records, "element").into_iter().filter(|record| record["name"] == "stacks").collect();
    assert!(!stacks.is_empty());
    for frame in stacks.iter().flat_map(|stack| stack["key"][0]["frames"].as_array().expect("frames")) {
        let Some(symbol) = frame["symbol"].as_str() else { continue };
        let address = frame["address"].as_str().and_then(|text| u64::from_str_radix(&text[2..], 16).ok());
        let start = address.expect("an address") - frame["offset"].as_u64().expect("an offset");
        let line = format!("{start:016x} ");
        assert!(kallsyms.lines().any(|l| l.starts_with(&line) && l.contains(symbol)), "{line}{symbol}");
    }
    let lost = of(&records, "warning").into_iter().find(|record| record["count"].is_u64()).expect("few was full");
    assert!(lost["count"].as_u64() >= Some(49) && lost["text"].as_str().is_some_and(|text| text.contains("few")));
}
