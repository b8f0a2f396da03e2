//! Run-time errors of a script, in the words of SystemTap.

use tapster_compiler::image::{Image, Storage};
use tapster_runtime_ebpf::record::Fault;

/// A run-time error that a handler met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Which.
    pub fault: Fault,
    /// An address or a global's number, as the fault says.
    pub detail: i64,
    /// Where in the script; 0 where there is no place.
    pub position: u32,
}

impl Raised {
    /// What happened, as it stands behind `ERROR: `; `place` tells the token and the line of a position.
    pub fn message(&self, image: &Image, place: &dyn Fn(u32) -> String) -> String {
        let what = describe(self.fault, self.detail, image);
        let near = if self.position == 0 { String::new() } else { place(self.position) };
        if near.is_empty() { what } else { format!("{what} near {near}") }
    }
}

/// The message of a fault, without its place.
pub fn describe(fault: Fault, detail: i64, image: &Image) -> String {
    match fault {
        Fault::DivisionByZero => "division by 0".into(),
        Fault::EmptyAggregate => "empty aggregate".into(),
        Fault::KernelStringFault => format!("kernel string copy fault at {detail:#x} [man error::fault]"),
        Fault::KernelReadFault => format!("read fault [man error::fault] at {detail:#018x}"),
        Fault::MaxAction => "MAXACTION exceeded".into(),
        Fault::ArrayOverflow => match array_size(image, detail) {
            Some(size) => format!("Array overflow, check size limit ({size})"),
            None => "Array overflow, check MAXMAPENTRIES".into(),
        },
    }
}

/// The size that the script gave an array.
fn array_size(image: &Image, global: i64) -> Option<u32> {
    match &image.globals.get(usize::try_from(global).ok()?)?.storage {
        Storage::Array(array) if array.sized => Some(array.max_entries),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_compiler::image::{Array, Global, Value};

    fn image(sized: bool) -> Image {
        let array = Array { map: None, key: vec![], key_size: 8, value: Value::Long, max_entries: 3, sized };
        Image { globals: vec![Global { name: "a".into(), storage: Storage::Array(array) }], ..Image::default() }
    }

    #[test]
    fn messages_are_those_of_systemtap() {
        let place = |position| format!("operator '/' at g02_div0.stp:1:{position}");
        let raised = Raised { fault: Fault::DivisionByZero, detail: 0, position: 43 };
        assert_eq!(raised.message(&image(false), &place), "division by 0 near operator '/' at g02_div0.stp:1:43");
        let raised = Raised { fault: Fault::KernelStringFault, detail: 0, position: 0 };
        assert_eq!(raised.message(&image(false), &place), "kernel string copy fault at 0x0 [man error::fault]");
        assert_eq!(describe(Fault::ArrayOverflow, 0, &image(false)), "Array overflow, check MAXMAPENTRIES");
        assert_eq!(describe(Fault::ArrayOverflow, 0, &image(true)), "Array overflow, check size limit (3)");
    }
}
