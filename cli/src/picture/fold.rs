//! Arrays keyed by stacks as a tree: what stacks have in common from their roots on is one branch.

use std::collections::BTreeMap;
use tapster_runtime::view::{Element, Place, Value};

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nobody's: another part of the key.
    Label,
    /// A program's.
    Program,
    /// The kernel's.
    Kernel,
    /// A kernel module's.
    Module,
}

/// A frame with all that is above it.
#[derive(Debug, Default)]
pub struct Node {
    /// What it and all above it weigh.
    pub weight: u64,
    /// What stands on it.
    pub above: BTreeMap<(Kind, String), Node>,
}

impl Node {
    /// The tree of those elements whose keys have stacks and whose values are numbers above zero.
    pub fn of(elements: &[Element]) -> Node {
        let mut root = Node::default();
        for element in elements {
            let weight = element.value.weight().and_then(|weight| u64::try_from(weight).ok());
            if let (Some(weight @ 1..), Some(path)) = (weight, path(&element.key)) {
                root.add(path.into_iter(), weight);
            }
        }
        root
    }

    fn add(&mut self, mut path: impl Iterator<Item = (Kind, String)>, weight: u64) {
        self.weight = self.weight.saturating_add(weight);
        if let Some(frame) = path.next() {
            self.above.entry(frame).or_default().add(path, weight);
        }
    }

    /// How many frames stand on each other at most, without this one.
    pub fn depth(&self) -> usize {
        self.above.values().map(|node| 1 + node.depth()).max().unwrap_or(0)
    }
}

/// A key from the root on: other parts first, then stacks, the kernel's outermost. Nothing where it has no stack.
fn path(key: &[Value]) -> Option<Vec<(Kind, String)>> {
    let (mut path, mut program, mut kernel) = (Vec::new(), Vec::new(), Vec::new());
    let mut has_stack = false;
    for part in key {
        match stack(part) {
            Some(frames) => {
                has_stack = true;
                for frame in frames.into_iter().rev() {
                    if frame.0 == Kind::Program { &mut program } else { &mut kernel }.push(frame);
                }
            }
            None => path.extend(label(part).map(|text| (Kind::Label, text))),
        }
    }
    path.append(&mut program);
    path.append(&mut kernel);
    has_stack.then_some(path)
}

fn label(part: &Value) -> Option<String> {
    match part {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Value::Stack(_) | Value::Statistic(_) => None,
    }
}

/// The frames of a part of a key, innermost first, where it is a stack or the text of one.
fn stack(part: &Value) -> Option<Vec<(Kind, String)>> {
    match part {
        Value::Stack(places) => Some(places.iter().map(frame).collect()),
        Value::Text(text) => text_stack(std::str::from_utf8(text).ok()?),
        Value::Number(_) | Value::Statistic(_) => None,
    }
}

fn frame(place: &Place) -> (Kind, String) {
    let module = place.module.as_ref().map(|(module, _)| module.as_str());
    let kind = match module {
        _ if place.address < 1 << 63 => Kind::Program,
        Some("kernel") | None => Kind::Kernel,
        Some(_) => Kind::Module,
    };
    let name = match (&place.function, &place.module) {
        (Some((name, ..)), _) => name.clone(),
        // All that is not known of a file stands together.
        (None, Some((module, _))) => format!("[{}]", file_name(module)),
        (None, None) => format!("{:#x}", place.address),
    };
    (kind, name)
}

/// What `sprint_stack()`, `sprint_ubacktrace()` and their kind give: a line each, `name+0x1/0x10 [module]` with or
/// without an address before it.
fn text_stack(text: &str) -> Option<Vec<(Kind, String)>> {
    // Addresses alone are no stack that anybody wants to see.
    let is_named = text.contains("+0x");
    let lines = text.lines().filter(|line| is_named && !line.trim().is_empty());
    let frames: Vec<_> = lines.map(text_frame).collect::<Option<_>>()?;
    (!frames.is_empty()).then_some(frames)
}

fn text_frame(line: &str) -> Option<(Kind, String)> {
    let line = line.trim();
    let (address, name) = match line.split_once(" : ") {
        Some((address, name)) => (Some(address), name),
        None => (None, line),
    };
    let (name, module) = match name.strip_suffix(']').and_then(|line| line.rsplit_once(" [")) {
        Some((name, module)) => (name, Some(module)),
        None => (name, None),
    };
    let is_file = module.is_some_and(|module| module.contains('/'));
    let kind = match module {
        _ if is_file => Kind::Program,
        Some("kernel") | None => Kind::Kernel,
        Some(_) => Kind::Module,
    };
    match (name.rsplit_once("+0x"), module) {
        (Some((name, offset)), _) if is_offset(offset) => Some((kind, name.into())),
        (None, Some(module)) if name.starts_with("0x") => Some((kind, format!("[{}]", file_name(module)))),
        // An address alone is a frame where it stands as print_stack() writes it.
        (None, None) if address.is_none() && name.starts_with("0x") && !name.contains(' ') => Some((kind, name.into())),
        _ => None,
    }
}

/// `10`, or with the function's length `10/0x300`.
fn is_offset(text: &str) -> bool {
    text.split("/0x").all(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The last part of a path, without the offset behind it.
fn file_name(module: &str) -> &str {
    let module = module.rsplit_once("+0x").map_or(module, |(module, _)| module);
    module.rsplit('/').next().unwrap_or(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: u64, name: &str, module: &str) -> Value {
        let function = (!name.is_empty()).then(|| (name.to_owned(), 4, 16));
        Value::Stack(vec![Place { address, function, module: Some((module.into(), 0x10)) }])
    }

    #[test]
    fn a_key_is_a_path_from_the_process_into_the_kernel() {
        let key = [
            place(!0, "vfs_read", "kernel"),
            Value::Text(b"cat".to_vec()),
            place(0x40, "main", "/bin/cat"),
            Value::Number(7),
        ];
        let names: Vec<(Kind, String)> = path(&key).expect("it has stacks");
        let expected = [(Kind::Label, "cat"), (Kind::Label, "7"), (Kind::Program, "main"), (Kind::Kernel, "vfs_read")];
        assert_eq!(names, expected.map(|(kind, name)| (kind, name.to_owned())));
        assert_eq!(path(&key[1..2]), None);
    }

    #[test]
    fn text_of_stacks_is_understood() {
        let frames = |text: &str| text_stack(text).map(|frames| frames.into_iter().map(|f| f.1).collect::<Vec<_>>());
        let lines = "main+0x4 [/bin/app]\n0x7f12 [/lib/libc.so.6+0x1234]\n";
        assert_eq!(frames(lines), Some(vec!["main".into(), "[libc.so.6]".into()]));
        let full = " 0xffffffff81316340 : vfs_read+0x0/0x300 [kernel]\n 0xffffffffc1000000\n";
        assert_eq!(frames(full), Some(vec!["vfs_read".into(), "0xffffffffc1000000".into()]));
        for other in ["", "bash", "two words", "a : b", "0x10", "a+0x1 apples"] {
            assert_eq!(frames(other), None, "{other}");
        }
    }

    #[test]
    fn what_stacks_share_is_one_branch() {
        let element = |name: &str, weight| Element {
            key: vec![Value::Text(format!("{name}+0x1\nmain+0x2\n").into_bytes())],
            value: Value::Number(weight),
        };
        let root = Node::of(&[element("a", 3), element("b", 4), element("c", 0)]);
        assert_eq!((root.weight, root.above.len(), root.depth()), (7, 1, 2));
        let (_, main) = root.above.first_key_value().expect("main");
        assert_eq!(main.above.values().map(|node| node.weight).collect::<Vec<_>>(), [3, 4]);
    }
}
