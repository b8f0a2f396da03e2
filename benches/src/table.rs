//! Aligned tables of plain text, and how figures stand in them.

use std::fmt::{self, Display, Formatter};

/// A table: the first column is aligned to the left, the others to the right.
#[derive(Debug)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these column heads.
    pub fn new(heads: &[&str]) -> Table {
        Table(vec![heads.iter().map(|head| (*head).to_owned()).collect()])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let width = |column| self.0.iter().map(|row| cell_width(row, column)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line += &if column == 0 { format!("  {cell:<width$}") } else { format!("   {cell:>width$}") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `-`, where there is nothing.
pub fn nothing() -> String {
    "-".into()
}

/// Whether an aim is reached: `≤ 10: met`.
pub fn aim(value: f64, most: Option<f64>) -> String {
    most.map_or_else(nothing, |most| format!("≤ {}: {}", count(most), if value <= most { "met" } else { "missed" }))
}

/// A whole number, in groups of three digits.
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0.4, 338.0, 7630.0, 1234567.2].map(count), ["0", "338", "7,630", "1,234,567"]);
        assert_eq!(count(-12345.0), "-12,345");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["", "ours"]);
        table.row(vec!["a µ".into(), "1".into()]);
        assert_eq!(table.to_string(), "        ours\n  a µ      1\n");
    }

    #[test]
    fn an_aim_may_be_reached_exactly() {
        assert_eq!([32.0, 32.5].map(|value| aim(value, Some(32.0))), ["≤ 32: met", "≤ 32: missed"]);
        assert_eq!(aim(1.0, None), "-");
    }
}
