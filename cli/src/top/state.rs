//! What the user has chosen: which table, in which order, which rows; and what the keys change about it.

use super::keys::Key;
use super::table::{self, Counts, Row, Table};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tapster_runtime::view::Global;
use tapster_runtime::watch::Verdict;

/// The state of the screen.
#[derive(Debug)]
pub struct State {
    /// The script's name.
    pub script: String,
    pub began: Instant,
    pub tables: Vec<Table>,
    /// The table that is shown.
    pub shown: usize,
    /// The selected row, as it stands on the screen.
    pub row: usize,
    /// What rows must have in them.
    pub filter: String,
    /// The filter is being typed.
    pub is_typing: bool,
    pub is_paused: bool,
    /// Rows whose stacks are unfolded, by table and row.
    pub unfolded: HashSet<(String, String)>,
    /// By table: the column that orders it, and whether the largest stands first.
    orders: HashMap<String, (usize, bool)>,
    before: Option<(Counts, Instant)>,
}

impl State {
    /// Nothing is known yet.
    pub fn new(script: String) -> State {
        State {
            script,
            began: Instant::now(),
            tables: Vec::new(),
            shown: 0,
            row: 0,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            unfolded: HashSet::new(),
            orders: HashMap::new(),
            before: None,
        }
    }

    /// Takes what the globals hold now.
    pub fn take(&mut self, globals: &[Global]) {
        let now = Instant::now();
        let before = self.before.as_ref().map(|(counts, when)| (counts, now - *when));
        self.tables = table::tables(globals, before.filter(|(_, elapsed)| *elapsed > Duration::ZERO));
        self.before = Some((table::counts(globals), now));
        self.shown = self.shown.min(self.tables.len().saturating_sub(1));
    }

    /// The table that is shown.
    pub fn table(&self) -> Option<&Table> {
        self.tables.get(self.shown)
    }

    /// The column that orders a table, and whether the largest stands first: at first the one behind the key.
    pub fn order(&self, table: &Table) -> (usize, bool) {
        let (column, descending) = self.orders.get(&table.name).copied().unwrap_or((table.keys, true));
        (column.min(table.titles.len().saturating_sub(1)), descending)
    }

    /// The rows that match, in order.
    pub fn rows(&self) -> Vec<&Row> {
        let Some(table) = self.table() else { return Vec::new() };
        let (column, descending) = self.order(table);
        let mut rows: Vec<&Row> = table.rows.iter().filter(|row| row.matches(&self.filter)).collect();
        rows.sort_by(|one, other| {
            let order = one.cells[column].compare(&other.cells[column]);
            let order = if descending { order.reverse() } else { order };
            order.then_with(|| one.id.cmp(&other.id))
        });
        rows
    }

    /// What a key does.
    pub fn key(&mut self, key: Key) -> Verdict {
        if key == Key::Interrupt {
            return Verdict::End;
        }
        if self.is_typing {
            self.type_filter(key);
            return Verdict::GoOn;
        }
        match key {
            Key::Char('q') => return Verdict::End,
            Key::Char('/') => self.is_typing = true,
            Key::Char('p' | ' ') => self.is_paused = !self.is_paused,
            Key::Char('r') => self.turn(),
            Key::Tab | Key::Char('n') => self.show(1),
            Key::BackTab | Key::Char('N') => self.show(self.tables.len().saturating_sub(1)),
            Key::Right | Key::Char('>') => self.sort(1),
            Key::Left | Key::Char('<') => self.sort(usize::MAX),
            Key::Down | Key::Char('j') => self.row += 1,
            Key::Up | Key::Char('k') => self.row = self.row.saturating_sub(1),
            Key::PageDown => self.row += 10,
            Key::PageUp => self.row = self.row.saturating_sub(10),
            Key::Home => self.row = 0,
            Key::End => self.row = usize::MAX,
            Key::Enter => self.fold(),
            Key::Escape => self.filter.clear(),
            _ => {}
        }
        self.row = self.row.min(self.rows().len().saturating_sub(1));
        Verdict::GoOn
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.is_typing = false,
            Key::Escape => (self.is_typing, self.filter) = (false, String::new()),
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.row = 0;
    }

    /// Shows another table.
    fn show(&mut self, by: usize) {
        if !self.tables.is_empty() {
            self.shown = (self.shown + by) % self.tables.len();
            self.row = 0;
        }
    }

    /// Orders by the next column or the one before.
    fn sort(&mut self, by: usize) {
        let Some(table) = self.table() else { return };
        let (column, descending) = self.order(table);
        let columns = table.titles.len();
        let column = if by == 1 { (column + 1) % columns } else { (column + columns - 1) % columns };
        let name = table.name.clone();
        self.orders.insert(name, (column, descending));
    }

    /// Turns the order round.
    fn turn(&mut self) {
        let Some(table) = self.table() else { return };
        let (column, descending) = self.order(table);
        let name = table.name.clone();
        self.orders.insert(name, (column, !descending));
    }

    /// Unfolds the selected row's stacks, or folds them.
    fn fold(&mut self) {
        let Some(name) = self.table().map(|table| table.name.clone()) else { return };
        let Some(id) = self.rows().get(self.row).map(|row| row.id.clone()) else { return };
        let row = (name, id);
        if !self.unfolded.remove(&row) {
            self.unfolded.insert(row);
        }
    }
}
