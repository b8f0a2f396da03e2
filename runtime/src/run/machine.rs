//! The script's globals and stacks as records for machines.

use super::Run;
use crate::interned::Interned;
use crate::output::json;
use crate::sys::bpf::Map;
use crate::table::Table;
use std::rc::Rc;
use tapster_compiler::image::{KeyKind, KeyPart, Storage, Value};
use tapster_runtime_ebpf::aggregate::read;

impl Run {
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
            match self.image.globals[number].storage {
                Storage::Constant => {}
                Storage::Long { offset } => {
                    let value = self.state.read(offset) as i64;
                    self.tell_global(number, |out| out.push_str(&value.to_string()));
                }
                Storage::Text { offset, size } => {
                    let words = (0..size.div_ceil(8)).map(|word| self.state.read(offset + 8 * word));
                    let text: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
                    self.tell_global(number, |out| json::bytes(until_nul(&text), out));
                }
                Storage::ScalarAggregate { layout, .. } => {
                    let value = self.globals.statistic(number, None).map(<[u8]>::to_vec);
                    let value = value.unwrap_or_else(|| vec![0; layout.size() as usize]);
                    self.tell_global(number, |out| json::statistic(&layout, &value, out));
                }
                Storage::Array(_) => self.tell_array(number),
            }
        }
    }

    fn tell_global(&mut self, number: usize, value: impl FnOnce(&mut String)) {
        let name = &self.image.globals[number].name;
        let line = json::record("global", |out| {
            json::text("name", name.as_bytes(), out);
            out.push_str(",\"value\":");
            value(out);
        });
        self.output.record(&line);
    }

    fn tell_array(&mut self, number: usize) {
        let Some(table) = self.globals.elements(number) else { return };
        let Some(array) = self.globals.array(number).cloned() else { return };
        let name = self.image.globals[number].name.clone();
        let rows: Vec<u32> = table.live_rows().collect();
        for row in rows {
            let mut told = Told { interned: &mut self.interned, maps: self.globals.maps(), warning: None };
            let line = json::record("element", |out| {
                json::text("name", name.as_bytes(), out);
                out.push_str(",\"key\":");
                json::list(array.key.iter(), out, |part, out| told.part(part, table.key(row), out));
                out.push_str(",\"value\":");
                told.value(array.value, &table, row, out);
            });
            let warning = told.warning;
            self.output.record(&line);
            warning.into_iter().for_each(|warning| self.output.warn(warning));
        }
    }

    /// Writes a record of a stack.
    pub fn tell_stack(&mut self, handle: u64) {
        let mut told = Told { interned: &mut self.interned, maps: self.globals.maps(), warning: None };
        let line = json::record("stack", |out| {
            out.push_str(",\"frames\":");
            told.frames(handle, out);
        });
        let warning = told.warning;
        self.output.record(&line);
        warning.into_iter().for_each(|warning| self.output.warn(warning));
    }
}

/// What keys and values stand for.
struct Told<'a> {
    interned: &'a mut Interned,
    maps: &'a [Map],
    warning: Option<String>,
}

impl Told<'_> {
    fn part(&mut self, part: &KeyPart, key: &[u8], out: &mut String) {
        let number = || read(key, part.offset);
        match part.kind {
            KeyKind::Long => out.push_str(&number().to_string()),
            KeyKind::Text(size) => json::bytes(until_nul(&key[part.offset as usize..][..size as usize]), out),
            KeyKind::Interned => json::bytes(until_nul(self.interned.text(self.maps, number() as u64)), out),
            KeyKind::Stack => self.stack(number() as u64, out),
        }
    }

    fn value(&mut self, value: Value, table: &Rc<Table>, row: u32, out: &mut String) {
        let bytes = table.value(row);
        match value {
            Value::Long => out.push_str(&read(bytes, 0).to_string()),
            Value::Text(_) => json::bytes(until_nul(bytes), out),
            Value::Stack => self.stack(read(bytes, 0) as u64, out),
            Value::Aggregate(layout) => json::statistic(&layout, bytes, out),
        }
    }

    fn stack(&mut self, handle: u64, out: &mut String) {
        out.push_str("{\"frames\":");
        self.frames(handle, out);
        out.push('}');
    }

    fn frames(&mut self, handle: u64, out: &mut String) {
        let (frames, symbols, warning) = self.interned.frames(self.maps, handle);
        json::frames(frames, symbols, out);
        self.warning = self.warning.take().or(warning);
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}
