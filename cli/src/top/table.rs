//! Globals as tables: one for each array, one for all that is none.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;
use tapster_runtime::view::{Buckets, Content, Global, Place, Value};

/// A table.
#[derive(Debug, Default)]
pub struct Table {
    /// The array's name.
    pub name: String,
    /// Titles of its columns.
    pub titles: Vec<String>,
    /// How many of them are parts of the key.
    pub keys: usize,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug)]
pub struct Row {
    /// What makes it another row than the others.
    pub id: String,
    /// A cell for each column.
    pub cells: Vec<Cell>,
    /// How many of them are the key's.
    pub keys: usize,
    /// The frames of its stacks, a line each, outermost last.
    pub frames: Vec<String>,
    /// The buckets of its statistic.
    pub histogram: Option<Buckets>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number.
    Number(i64),
    /// A number by the second.
    Rate(f64),
    /// Not known.
    Nothing,
}

/// What is called by no name of an array.
const SCALARS: &str = "globals";
/// What is shown of statistics.
const EXTRACTORS: [&str; 5] = ["count", "sum", "min", "avg", "max"];

/// The numbers whose change is a rate, by table and row.
pub type Counts = HashMap<(String, String), i64>;

/// Makes tables of globals; rates are against what was counted so long ago.
pub fn tables(globals: &[Global], before: Option<(&Counts, Duration)>) -> Vec<Table> {
    let mut scalars = Table { name: SCALARS.into(), keys: 1, ..Table::default() };
    let mut tables = Vec::new();
    let ones: Vec<(&str, &Value)> = globals.iter().filter_map(one).collect();
    scalars.titles = titles(["name".into()], ones.iter().map(|(_, value)| *value));
    let rate = |table: &str, row: &str, now: Option<i64>| rate(before, table, row, now);
    for (name, value) in &ones {
        let mut row = Row::new((*name).into(), vec![Cell::Text((*name).into())]);
        row.take(value, &scalars.titles[1..], rate(SCALARS, name, counted(value)));
        scalars.rows.push(row);
    }
    for global in globals {
        let Content::Array(elements) = &global.content else { continue };
        let keys = elements.first().map_or(1, |element| element.key.len());
        let key_titles = (1..=keys).map(|nth| if keys == 1 { "key".to_owned() } else { format!("key {nth}") });
        let mut table = Table { name: global.name.clone(), keys, ..Table::default() };
        table.titles = titles(key_titles, elements.iter().map(|element| &element.value));
        for element in elements {
            let id = id(&element.key);
            let mut row = Row::new(id, element.key.iter().map(key_cell).collect());
            row.frames = element.key.iter().flat_map(frames).collect();
            let rate = rate(&table.name, &row.id, counted(&element.value));
            row.take(&element.value, &table.titles[keys..], rate);
            table.rows.push(row);
        }
        tables.push(table);
    }
    if !scalars.rows.is_empty() {
        tables.push(scalars);
    }
    tables
}

/// What rates of the next tables are made of.
pub fn counts(globals: &[Global]) -> Counts {
    let mut counts = Counts::new();
    for global in globals {
        match &global.content {
            Content::One(value) => {
                counts.extend(counted(value).map(|count| ((SCALARS.into(), global.name.clone()), count)));
            }
            Content::Array(elements) => counts.extend(elements.iter().filter_map(|element| {
                let key = (global.name.clone(), id(&element.key));
                Some((key, counted(&element.value)?))
            })),
        }
    }
    counts
}

fn one(global: &Global) -> Option<(&str, &Value)> {
    match &global.content {
        Content::One(value) => Some((&global.name, value)),
        Content::Array(_) => None,
    }
}

/// A key as text: of stacks that look the same the addresses differ.
fn id(key: &[Value]) -> String {
    let part = |part: &Value| match part {
        Value::Stack(places) => places.iter().map(|place| format!("{:x} ", place.address)).collect(),
        other => key_cell(other).text(),
    };
    key.iter().map(part).collect::<Vec<_>>().join("\0")
}

/// The key's columns, then those of the values: of statistics one for each extractor, and last the rate.
fn titles<'a>(keys: impl IntoIterator<Item = String>, values: impl Iterator<Item = &'a Value> + Clone) -> Vec<String> {
    let mut titles: Vec<String> = keys.into_iter().collect();
    let has = |is: fn(&Value) -> bool| values.clone().any(is);
    if has(|value| !matches!(value, Value::Statistic(_))) {
        titles.push("value".into());
    }
    if has(|value| matches!(value, Value::Statistic(_))) {
        titles.extend(EXTRACTORS.map(String::from));
    }
    if has(|value| counted(value).is_some()) {
        titles.push("/s".into());
    }
    titles
}

fn counted(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Statistic(statistic) => statistic.get("count"),
        Value::Text(_) | Value::Stack(_) => None,
    }
}

fn rate(before: Option<(&Counts, Duration)>, table: &str, row: &str, now: Option<i64>) -> Cell {
    let Some(((counts, elapsed), now)) = before.zip(now) else { return Cell::Nothing };
    let before = counts.get(&(table.to_owned(), row.to_owned())).copied().unwrap_or(0);
    match elapsed.as_secs_f64() {
        seconds if seconds > 0.0 => Cell::Rate(now.wrapping_sub(before) as f64 / seconds),
        _ => Cell::Nothing,
    }
}

fn key_cell(part: &Value) -> Cell {
    match part {
        Value::Number(number) => Cell::Number(*number),
        Value::Text(text) => Cell::Text(String::from_utf8_lossy(text).trim_end().into()),
        Value::Stack(places) => Cell::Text(stack(places)),
        Value::Statistic(_) => Cell::Nothing,
    }
}

/// A stack in one cell: its innermost function, and how many there are.
fn stack(places: &[Place]) -> String {
    match places.first() {
        Some(place) => format!("{} +{}", crate::picture::frame_name(place), places.len() - 1),
        None => "(no stack)".into(),
    }
}

fn frames(part: &Value) -> Vec<String> {
    let Value::Stack(places) = part else { return Vec::new() };
    let line = |place: &Place| match (&place.function, &place.module) {
        (Some((name, offset, _)), Some((module, _))) => format!("{name}+{offset:#x} [{module}]"),
        (Some((name, offset, _)), None) => format!("{name}+{offset:#x}"),
        (None, Some((module, offset))) => format!("{:#x} [{module}+{offset:#x}]", place.address),
        (None, None) => format!("{:#x}", place.address),
    };
    places.iter().map(line).collect()
}

impl Row {
    fn new(id: String, cells: Vec<Cell>) -> Row {
        Row { id, keys: cells.len(), cells, frames: Vec::new(), histogram: None }
    }

    /// Fills the columns behind the key.
    fn take(&mut self, value: &Value, titles: &[String], rate: Cell) {
        for title in titles {
            self.cells.push(match (title.as_str(), value) {
                ("/s", _) => rate.clone(),
                ("value", Value::Statistic(_)) => Cell::Nothing,
                ("value", value) => key_cell(value),
                (extractor, Value::Statistic(statistic)) => {
                    statistic.get(extractor).map_or(Cell::Nothing, Cell::Number)
                }
                _ => Cell::Nothing,
            });
        }
        match value {
            Value::Stack(_) => self.frames.extend(frames(value)),
            Value::Statistic(statistic) => self.histogram = statistic.histogram.clone(),
            Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// Whether any of its words has this in it; upper and lower case are the same.
    pub fn matches(&self, wanted: &str) -> bool {
        let wanted = wanted.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty() || self.cells.iter().any(|cell| has(&cell.text())) || self.frames.iter().any(|line| has(line))
    }
}

impl Cell {
    /// As it is shown.
    pub fn text(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Number(number) => number.to_string(),
            Cell::Rate(rate) if rate.abs() < 10.0 && *rate != 0.0 => format!("{rate:.1}"),
            Cell::Rate(rate) => format!("{rate:.0}"),
            Cell::Nothing => String::new(),
        }
    }

    /// Whether it stands at the right of its column.
    pub fn is_number(&self) -> bool {
        matches!(self, Cell::Number(_) | Cell::Rate(_))
    }

    /// Numbers by size, words by letters; what is not known comes first.
    pub fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
            (Cell::Rate(one), Cell::Rate(other)) => one.total_cmp(other),
            (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Nothing => 0,
            Cell::Number(_) | Cell::Rate(_) => 1,
            Cell::Text(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime::view::Element;

    fn array(values: &[(&str, i64)]) -> Vec<Global> {
        let element = |(key, value): &(&str, i64)| Element {
            key: vec![Value::Text(key.as_bytes().into())],
            value: Value::Number(*value),
        };
        vec![
            Global { name: "n".into(), content: Content::Array(values.iter().map(element).collect()) },
            Global { name: "total".into(), content: Content::One(Value::Number(7)) },
        ]
    }

    #[test]
    fn rates_are_the_change_by_the_second() {
        let before = counts(&array(&[("a", 10)]));
        let tables = tables(&array(&[("a", 30), ("b", 4)]), Some((&before, Duration::from_secs(2))));
        assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["n", SCALARS]);
        assert_eq!(tables[0].titles, ["key", "value", "/s"]);
        let cells: Vec<Vec<String>> =
            tables[0].rows.iter().map(|row| row.cells.iter().map(Cell::text).collect()).collect();
        assert_eq!(cells, [["a", "30", "10"], ["b", "4", "2.0"]]);
        assert_eq!(tables[1].rows[0].cells[2], Cell::Rate(0.0));
    }

    #[test]
    fn rows_are_found_by_any_word() {
        let tables = tables(&array(&[("Kworker", 1)]), None);
        assert!(tables[0].rows[0].matches("kwork") && tables[0].rows[0].matches("") && !tables[0].rows[0].matches("x"));
    }
}
