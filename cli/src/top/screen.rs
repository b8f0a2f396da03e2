//! Draws the state: title, tables' names, rows, a histogram, the script's prints, keys.

use super::state::State;
use super::table::{Cell, Row, Table};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};
use tapster_runtime::view::Buckets;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
/// Lines of a histogram at most, with its title.
const HISTOGRAM: u16 = 13;
/// Lines of the script's prints at most.
const PRINTS: u16 = 4;
/// A key's column is at most this wide.
const KEY_WIDEST: usize = 40;

const KEYS: &str = "q quit  Tab next  < > sort by  r turn  / filter  Enter unfold  p pause";

/// Draws everything.
pub fn draw(state: &State, prints: &[String], area: Rect, to: &mut Buffer) {
    let mut page = Page { to, area };
    let seconds = state.began.elapsed().as_secs();
    let paused = if state.is_paused { "  [paused]" } else { "" };
    page.line(0, &format!("tapster top: {}  {}:{:02}{paused}", state.script, seconds / 60, seconds % 60), BOLD);
    page.names(state);
    let rows = state.rows();
    let selected = rows.get(state.row.min(rows.len().saturating_sub(1))).copied();
    let prints = &prints[prints.len().saturating_sub(usize::from(PRINTS.min(area.height / 5)))..];
    let footer = area.height.saturating_sub(1);
    let above_prints = footer.saturating_sub(prints.len() as u16);
    for (nth, line) in prints.iter().enumerate() {
        page.line(above_prints + nth as u16, line, FAINT);
    }
    let histogram = selected.and_then(|row| Some((row, row.histogram.as_ref()?)));
    let room = HISTOGRAM.min(above_prints / 2);
    let above_histogram = match histogram {
        Some((row, buckets)) => above_prints - page.histogram(row, buckets, above_prints, room),
        None => above_prints,
    };
    match state.table() {
        Some(table) => page.rows(state, table, &rows, above_histogram),
        None => page.line(3, "no global has been written yet", PLAIN),
    }
    page.footer(state, footer, rows.len());
}

struct Page<'a> {
    to: &'a mut Buffer,
    area: Rect,
}

impl Page<'_> {
    fn line(&mut self, y: u16, text: &str, style: Style) {
        self.text(0, y, text, style);
    }

    /// Writes a text from a column on; what does not fit is not there.
    fn text(&mut self, x: u16, y: u16, text: &str, style: Style) {
        if y < self.area.height && x < self.area.width {
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let room = usize::from(self.area.width - x);
            self.to.set_stringn(self.area.x + x, self.area.y + y, text, room, style);
        }
    }

    fn names(&mut self, state: &State) {
        let mut x = 0;
        for (nth, table) in state.tables.iter().enumerate() {
            let name = format!(" {} ({}) ", table.name, table.rows.len());
            self.text(x, 1, &name, if nth == state.shown { CHOSEN } else { PLAIN });
            x += name.chars().count() as u16 + 1;
        }
    }

    fn footer(&mut self, state: &State, y: u16, rows: usize) {
        let text = match (state.is_typing, state.filter.is_empty()) {
            (true, _) => format!("filter: {}_  ({rows} rows)  Enter keeps it, Esc clears it", state.filter),
            (false, false) => format!("filter: {} ({rows} rows)  {KEYS}", state.filter),
            (false, true) => KEYS.into(),
        };
        self.line(y, &text, CHOSEN);
    }

    /// The rows from line 2 on, until `end`.
    fn rows(&mut self, state: &State, table: &Table, rows: &[&Row], end: u16) {
        let (column, descending) = state.order(table);
        let title = |nth: usize| match nth == column {
            true => format!("{}{}", table.titles[nth], if descending { "▼" } else { "▲" }),
            false => table.titles[nth].clone(),
        };
        let titles: Vec<String> = (0..table.titles.len()).map(title).collect();
        let widths = widths(&titles, rows, usize::from(self.area.width));
        let numbers: Vec<bool> = (0..titles.len()).map(|nth| is_of_numbers(rows, nth)).collect();
        self.cells(2, &titles, &widths, &numbers, BOLD);
        let selected = state.row.min(rows.len().saturating_sub(1));
        let mut lines: Vec<(Line<'_>, bool)> = Vec::new();
        for (nth, row) in rows.iter().enumerate() {
            lines.push((Line::Row(row), nth == selected));
            if state.unfolded.contains(&(table.name.clone(), row.id.clone())) {
                lines.extend(row.frames.iter().map(|frame| (Line::Frame(frame), false)));
            }
        }
        let room = usize::from(end.saturating_sub(3));
        let at = lines.iter().position(|(_, chosen)| *chosen).unwrap_or(0);
        // The selected row stays in sight, with its frames as far as there is room.
        let first = (at + 1).saturating_sub(room.saturating_sub(room / 3)).min(lines.len().saturating_sub(room));
        for (y, (line, chosen)) in (3..end).zip(lines.iter().skip(first)) {
            match line {
                Line::Row(row) => {
                    let texts: Vec<String> = row.cells.iter().map(Cell::text).collect();
                    self.cells(y, &texts, &widths, &numbers, if *chosen { CHOSEN } else { PLAIN });
                }
                Line::Frame(frame) => self.text(4, y, frame, PLAIN),
            }
        }
    }

    fn cells(&mut self, y: u16, texts: &[String], widths: &[usize], numbers: &[bool], style: Style) {
        let mut line = String::new();
        for ((text, width), is_number) in texts.iter().zip(widths).zip(numbers) {
            let text: String = text.chars().take(*width).collect();
            line += &if *is_number { format!("{text:>width$} ") } else { format!("{text:<width$} ") };
        }
        self.line(y, line.trim_end(), style);
    }

    /// A histogram that ends above a line; gives how many lines it took.
    fn histogram(&mut self, row: &Row, buckets: &Buckets, end: u16, room: u16) -> u16 {
        let used = |count: &i64| *count > 0;
        let Some((first, last)) = buckets.counts.iter().position(used).zip(buckets.counts.iter().rposition(used))
        else {
            return 0;
        };
        let lines = (last - first + 1).min(usize::from(room.saturating_sub(1)));
        if lines == 0 {
            return 0;
        }
        let taken = lines as u16 + 1;
        let hidden = last + 1 - first - lines;
        let more = if hidden > 0 { format!("  ({hidden} more below)") } else { String::new() };
        let key: Vec<String> = row.cells[..row.keys].iter().map(Cell::text).collect();
        self.line(end - taken, &format!("── {}{more}", key.join(", ")), BOLD);
        let most = buckets.counts.iter().copied().max().unwrap_or(1).max(1);
        let width = usize::from(self.area.width).saturating_sub(34);
        for (nth, y) in (first..first + lines).zip(end - taken + 1..) {
            let count = buckets.counts[nth];
            let bar = "█".repeat((count as u128 * width as u128 / most as u128) as usize);
            let tip = if bar.is_empty() && count > 0 { "▏" } else { "" };
            self.line(y, &format!("{:>22} {bar}{tip} {count}", label(buckets, nth)), PLAIN);
        }
        taken
    }
}

enum Line<'a> {
    Row(&'a Row),
    Frame(&'a str),
}

fn label(buckets: &Buckets, nth: usize) -> String {
    match buckets.bounds(nth) {
        (Some(low), Some(high)) if low == high => low.to_string(),
        (Some(low), Some(high)) if high.abs() < 1_000_000_000 => format!("{low} .. {high}"),
        (Some(low), _) => format!("{low} .."),
        (None, Some(high)) => format!(".. {high}"),
        (None, None) => String::new(),
    }
}

fn is_of_numbers(rows: &[&Row], column: usize) -> bool {
    rows.iter().any(|row| row.cells[column].is_number())
}

/// What each column takes: words give way where all together are too wide.
fn widths(titles: &[String], rows: &[&Row], room: usize) -> Vec<usize> {
    let widest = |nth: usize| {
        let cells = rows.iter().map(|row| row.cells[nth].text().chars().count());
        cells.chain([titles[nth].chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..titles.len()).map(widest).collect();
    let words: Vec<usize> = (0..titles.len()).filter(|nth| !is_of_numbers(rows, *nth)).collect();
    let numbers: usize = widths.iter().enumerate().filter(|(nth, _)| !words.contains(nth)).map(|(_, w)| w + 1).sum();
    let share = room.saturating_sub(numbers) / words.len().max(1);
    for nth in words {
        widths[nth] = widths[nth].min(share.saturating_sub(1).max(8)).min(KEY_WIDEST.max(share.saturating_sub(1)));
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime::view::{Content, Element, Global, Value};

    fn screen(width: u16, height: u16) -> Vec<String> {
        let element = |nth: i64| Element {
            key: vec![Value::Text(format!("process number {nth}").into_bytes())],
            value: Value::Number(nth),
        };
        let mut state = State::new("x.stp".into());
        state.take(&[Global { name: "n".into(), content: Content::Array((0..100).map(element).collect()) }]);
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        draw(&state, &["printed".into()], area, &mut buffer);
        let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(line).collect()
    }

    #[test]
    fn the_largest_stand_first_whatever_the_size() {
        let lines = screen(80, 24);
        assert!(lines[1].contains("n (100)"), "{lines:#?}");
        assert!(lines[3].contains("process number 99") && lines[4].contains("process number 98"), "{lines:#?}");
        assert!(lines[22].contains("printed") && lines[23].contains("q quit"), "{lines:#?}");
        for (width, height) in [(1, 1), (20, 5), (3, 40), (300, 2), (20, 24)] {
            assert_eq!(screen(width, height).len(), usize::from(height));
        }
    }
}
