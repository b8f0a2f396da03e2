//! Lines of the source: which instructions they became.

use super::Debug;

/// An instruction that a line begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its address.
    pub address: u64,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u64,
}

impl Debug<'_> {
    /// The rows of the line table within a range of addresses, in their order.
    pub fn rows(&self, place: super::Place, (start, end): (u64, u64)) -> Vec<Row> {
        let Some(program) = self.linked(place.unit).and_then(|unit| unit.line_program.clone()) else {
            return Vec::new();
        };
        let (mut found, mut rows) = (Vec::new(), program.rows());
        let mut names: Vec<(u64, Option<String>)> = Vec::new();
        while let Ok(Some((_, row))) = rows.next_row() {
            if !(start..end).contains(&row.address()) || !row.is_stmt() || row.end_sequence() {
                continue;
            }
            let index = row.file_index();
            let known = names.iter().position(|(known, _)| *known == index);
            let nth = known.unwrap_or_else(|| {
                names.push((index, self.file_name(place.unit, index)));
                names.len() - 1
            });
            if let (Some(line), Some(file)) = (row.line(), &names[nth].1) {
                found.push(Row { address: row.address(), file: file.clone(), line: line.get() });
            }
        }
        found.sort_by_key(|row| row.address);
        found
    }

    /// Whether a function has code of some lines of its file; true of all where none are wanted.
    pub fn spans(&self, function: &super::Function, wanted: Option<(u64, u64)>) -> bool {
        let Some((first, last)) = wanted else { return true };
        let rows = self.rows(function.place, (function.address, function.end));
        let own = rows.iter().filter(|row| row.file == function.file && row.line >= function.line);
        let end = own.map(|row| row.line).max().unwrap_or(function.line);
        // What follows in the file may have been copied into this one.
        function.line <= last && first <= end && self.next_in_file(function).is_none_or(|next| first < next)
    }

    /// The line at which the next function of the file is declared.
    fn next_in_file(&self, function: &super::Function) -> Option<u64> {
        let unit = function.place.unit;
        let root = self.unit(function.place).entries().next_dfs().ok()??.offset();
        let all = self.children(super::Place { unit, offset: root }).into_iter();
        let functions = all.filter(|(_, tag)| *tag == gimli::constants::DW_TAG_subprogram).map(|(place, _)| place);
        let lines = functions.filter_map(|place| Some((self.number(place, gimli::constants::DW_AT_decl_line)?, place)));
        let behind = lines.filter(|(line, place)| {
            *line > function.line && self.declared_in(*place).is_some_and(|file| file == function.file)
        });
        behind.map(|(line, _)| line).min()
    }

    /// Where a function's parameters are in the places that are said of them: behind what stores them, where that has
    /// a line of its own.
    pub fn behind_prologue(&self, function: &super::Function) -> Option<u64> {
        let rows = self.rows(function.place, (function.address, function.end));
        rows.into_iter().map(|row| row.address).find(|address| *address > function.address)
    }
}
