//! Pictures of what a script gathers: `--flame` and `--plot`.
//!
//! A picture's file is created before the script runs, so that nobody waits an hour for one that cannot be written.

mod colour;
mod flame;
mod fold;
mod plot;
mod samples;
mod svg;

use fold::Node;
use samples::Samples;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tapster_runtime::view::{Content, Global, Value};
use tapster_runtime::watch::{Verdict, Watcher};

/// Between two looks at stacks: programs that end take the names of their functions with them.
const LOOKS: Duration = Duration::from_secs(1);

/// Draws flame graphs at the end of a run.
#[derive(Debug)]
pub struct Flames {
    file: PathBuf,
    next: Instant,
}

/// Draws charts at the end of a run.
#[derive(Debug)]
pub struct Plot {
    file: PathBuf,
    samples: Samples,
}

impl Flames {
    /// Into this file.
    pub fn create(file: &OsStr) -> io::Result<Flames> {
        fs::write(file, "")?;
        Ok(Flames { file: file.into(), next: Instant::now() })
    }

    fn write(&self, globals: &[Global]) -> Result<(), String> {
        let trees = globals.iter().filter_map(|global| match &global.content {
            Content::Array(elements) => Some((&global.name, Node::of(elements))),
            Content::One(_) => None,
        });
        let mut trees: Vec<_> = trees.filter(|(_, tree)| tree.weight > 0).collect();
        if trees.is_empty() {
            return Err("no array has elements whose keys are stacks and whose values are numbers".into());
        }
        if let [(name, tree)] = &trees[..] {
            return written(&self.file, &flame::draw(name, tree));
        }
        // Where several arrays have stacks the largest has the file that was asked for.
        trees.sort_by_key(|(_, tree)| std::cmp::Reverse(tree.weight));
        for (nth, (name, tree)) in trees.iter().enumerate() {
            let file = if nth == 0 { self.file.clone() } else { beside(&self.file, name) };
            written(&file, &flame::draw(name, tree))?;
        }
        Ok(())
    }
}

impl Watcher for Flames {
    fn next(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn look(&mut self, globals: &mut dyn FnMut() -> Vec<Global>) -> Verdict {
        globals();
        self.next = Instant::now() + LOOKS;
        Verdict::GoOn
    }

    fn finish(&mut self, globals: &[Global]) -> Result<(), String> {
        self.write(globals).map_err(|error| failed("--flame", &self.file, &error))
    }
}

impl Plot {
    /// Into this file.
    pub fn create(file: &OsStr) -> io::Result<Plot> {
        fs::write(file, "")?;
        Ok(Plot { file: file.into(), samples: Samples::begin() })
    }
}

impl Watcher for Plot {
    fn next(&self) -> Option<Instant> {
        Some(self.samples.next())
    }

    fn look(&mut self, globals: &mut dyn FnMut() -> Vec<Global>) -> Verdict {
        self.samples.take(&globals());
        Verdict::GoOn
    }

    fn finish(&mut self, globals: &[Global]) -> Result<(), String> {
        self.samples.take(globals);
        let picture = plot::draw(&self.samples).ok_or_else(|| "no global has numbers or statistics".to_owned());
        let result = picture.and_then(|picture| written(&self.file, &picture));
        result.map_err(|error| failed("--plot", &self.file, &error))
    }
}

fn written(file: &PathBuf, picture: &str) -> Result<(), String> {
    fs::write(file, picture).map_err(|error| error.to_string())
}

fn failed(option: &str, file: &std::path::Path, error: &str) -> String {
    // What was created for a picture that there is not.
    if fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() == 0) {
        let _ = fs::remove_file(file);
    }
    format!("{option}: cannot draw '{}': {error}", file.display())
}

/// `FILE-NAME.svg` for `FILE.svg`.
fn beside(file: &std::path::Path, name: &str) -> PathBuf {
    let mut stem = file.file_stem().map(OsString::from).unwrap_or_default();
    stem.push(format!("-{name}"));
    if let Some(extension) = file.extension() {
        stem.push(".");
        stem.push(extension);
    }
    file.with_file_name(stem)
}

/// A key as it is shown: its parts with commas between.
pub fn key_text(key: &[Value]) -> String {
    let part = |part: &Value| match part {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Stack(frames) => frames.iter().map(frame_name).collect::<Vec<_>>().join("<"),
        Value::Statistic(_) => String::new(),
    };
    key.iter().map(part).collect::<Vec<_>>().join(",")
}

/// The name of a frame's function, or its address.
pub fn frame_name(place: &tapster_runtime::view::Place) -> String {
    place.function.as_ref().map_or_else(|| format!("{:#x}", place.address), |(name, ..)| name.clone())
}
