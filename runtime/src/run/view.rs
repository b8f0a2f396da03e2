//! What the globals hold, read for whoever shows it, and the records for machines that are made of it.

use super::Run;
use crate::interned::Interned;
use crate::library::symbols::{Place, place_of};
use crate::output::{json, stack};
use crate::process_symbol::Processes;
use crate::sys::bpf::Map;
use crate::table::Table;
use crate::view::{Content, Element, Global, Statistic, Value};
use std::rc::Rc;
use tapster_compiler::image::{self, Array, KeyKind, KeyPart, Storage};
use tapster_runtime_ebpf::aggregate::read;

impl Run {
    /// All globals that the script writes, as they are now.
    pub fn view(&mut self) -> Vec<Global> {
        self.globals.look_again();
        (0..self.image.globals.len()).filter_map(|number| self.view_of(number)).collect()
    }

    fn view_of(&mut self, number: usize) -> Option<Global> {
        let content = match self.rows(number) {
            Some((array, table)) => {
                Content::Array(table.live_rows().map(|row| self.element(&array, &table, row)).collect())
            }
            None => Content::One(self.scalar(number)?),
        };
        Some(Global { name: self.image.globals[number].name.clone(), content })
    }

    /// What a global holds that is written and no array.
    fn scalar(&mut self, number: usize) -> Option<Value> {
        match self.image.globals[number].storage {
            Storage::Constant | Storage::Array(_) => None,
            Storage::Long { offset } => Some(Value::Number(self.state.read(offset) as i64)),
            Storage::Text { offset, size } => {
                let words = (0..size.div_ceil(8)).map(|word| self.state.read(offset + 8 * word));
                let text: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
                Some(Value::Text(until_nul(&text).into()))
            }
            Storage::ScalarAggregate { layout, .. } => {
                let value = self.globals.statistic(number, None).map(<[u8]>::to_vec);
                let value = value.unwrap_or_else(|| vec![0; layout.size() as usize]);
                Some(Value::Statistic(Statistic::new(&layout, &value)))
            }
        }
    }

    /// An array and its elements.
    fn rows(&mut self, number: usize) -> Option<(Array, Rc<Table>)> {
        let table = self.globals.elements(number)?;
        Some((self.globals.array(number)?.clone(), table))
    }

    fn element(&mut self, array: &Array, table: &Table, row: u32) -> Element {
        let mut reader = self.reader();
        let key = array.key.iter().map(|part| reader.part(part, table.key(row))).collect();
        let element = Element { key, value: reader.value(array.value, table.value(row)) };
        let warning = reader.warning;
        warning.into_iter().for_each(|warning| self.output.warn(warning));
        element
    }

    fn reader(&mut self) -> Reader<'_> {
        let (interned, processes) = (&mut self.interned, &mut self.processes);
        Reader { interned, processes, maps: self.globals.maps(), warning: None }
    }

    /// Writes the first record.
    pub fn tell_start(&mut self) {
        if self.output.is_for_machines() {
            let line = json::record("start", |out| {
                json::number("schema", json::SCHEMA.into(), out);
                json::text("tapster", env!("CARGO_PKG_VERSION").as_bytes(), out);
            });
            self.output.record(&line);
        }
    }

    /// Writes the last record.
    pub fn tell_end(&mut self, code: i32, errors: u32) {
        if self.output.is_for_machines() {
            let line = json::record("end", |out| {
                json::number("exit_code", code.into(), out);
                json::number("errors", errors.into(), out);
            });
            self.output.record(&line);
            self.output.flush();
        }
    }

    /// Writes a record for each global of the script, and one for each element of its arrays.
    pub fn tell_globals(&mut self) {
        self.globals.look_again();
        for number in 0..self.image.globals.len() {
            let name = self.image.globals[number].name.clone();
            if let Some(value) = self.scalar(number) {
                self.output.record(&json::global(&name, &value));
            }
            let Some((array, table)) = self.rows(number) else { continue };
            for row in table.live_rows() {
                let element = self.element(&array, &table, row);
                self.output.record(&json::element(&name, &element));
            }
        }
    }

    /// Writes a record of a stack.
    pub fn tell_stack(&mut self, handle: u64) {
        let mut reader = self.reader();
        let (frames, warning) = (reader.frames(handle), reader.warning);
        self.output.record(&json::stack(&frames));
        warning.into_iter().for_each(|warning| self.output.warn(warning));
    }
}

/// What keys and values stand for.
struct Reader<'a> {
    interned: &'a mut Interned,
    processes: &'a mut Processes,
    maps: &'a [Map],
    warning: Option<String>,
}

impl Reader<'_> {
    fn part(&mut self, part: &KeyPart, key: &[u8]) -> Value {
        let number = || read(key, part.offset);
        match part.kind {
            KeyKind::Long => Value::Number(number()),
            KeyKind::Text(size) => Value::Text(until_nul(&key[part.offset as usize..][..size as usize]).into()),
            KeyKind::Interned => Value::Text(until_nul(self.interned.text(self.maps, number() as u64)).into()),
            KeyKind::Stack => Value::Stack(self.frames(number() as u64)),
        }
    }

    fn value(&mut self, value: image::Value, bytes: &[u8]) -> Value {
        match value {
            image::Value::Long => Value::Number(read(bytes, 0)),
            image::Value::Text(_) => Value::Text(until_nul(bytes).into()),
            image::Value::Stack => Value::Stack(self.frames(read(bytes, 0) as u64)),
            image::Value::Aggregate(layout) => Value::Statistic(Statistic::new(&layout, bytes)),
        }
    }

    fn frames(&mut self, handle: u64) -> Vec<Place> {
        let (known, symbols, warning) = self.interned.frames(self.maps, handle);
        self.warning = self.warning.take().or(warning);
        let mut process = self.processes.of(known.process.into());
        let place = |address: &u64| match *address >= stack::KERNEL {
            true => place_of(*address, symbols.get(*address)),
            false => process.known(*address).place.clone(),
        };
        known.frames.iter().map(place).collect()
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}
