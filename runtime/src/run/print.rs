//! Printing: formats, stacks and histograms, to the output or into a string.

use super::Run;
use crate::interned::Interned;
use crate::sys::bpf::Map;
use tapster_compiler::image::Format;

/// What handles in a print's arguments stand for.
pub struct Handles<'a> {
    interned: &'a mut Interned,
    maps: &'a [Map],
    warning: &'a mut Option<String>,
}

impl Handles<'_> {
    /// Appends a stack as text.
    pub fn stack(&mut self, handle: u64, out: &mut Vec<u8>) {
        let warning = self.interned.stack_text(self.maps, handle, out);
        if self.warning.is_none() {
            *self.warning = warning;
        }
    }
}

impl Run {
    /// Prints a format; `render` knows where its arguments are.
    pub fn print(&mut self, index: usize, render: impl FnOnce(&Format, Handles<'_>, &mut Vec<u8>)) {
        if !self.goes_on() {
            return;
        }
        // The buffer changes places for as long as the rest of the run is looked at.
        let mut text = std::mem::take(self.output.text());
        let warning = self.render(index, &mut text, render);
        *self.output.text() = text;
        self.output.rendered();
        warning.into_iter().for_each(|warning| self.output.warn(warning));
    }

    /// Appends what a format prints to a string.
    pub fn format(&mut self, index: usize, out: &mut Vec<u8>, render: impl FnOnce(&Format, Handles<'_>, &mut Vec<u8>)) {
        let warning = self.render(index, out, render);
        warning.into_iter().for_each(|warning| self.output.warn(warning));
    }

    fn render(
        &mut self,
        index: usize,
        out: &mut Vec<u8>,
        render: impl FnOnce(&Format, Handles<'_>, &mut Vec<u8>),
    ) -> Option<String> {
        let format = self.image.formats.get(index)?;
        let mut warning = None;
        let handles = Handles { interned: &mut self.interned, maps: self.globals.maps(), warning: &mut warning };
        render(format, handles, out);
        warning
    }

    /// Prints a stack, one symbol a line.
    pub fn print_stack(&mut self, handle: u64) {
        if !self.goes_on() {
            return;
        }
        if self.output.is_for_machines() {
            return self.tell_stack(handle);
        }
        let warning = self.interned.print_stack(self.globals.maps(), handle, self.output.text());
        self.output.rendered();
        if let Some(warning) = warning {
            self.output.warn(warning);
        }
    }
}
