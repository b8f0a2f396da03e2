//! Run-time errors of a script, in the words of SystemTap.

use tapster_compiler::image::{Image, Storage};
use tapster_runtime_ebpf::record::Fault;

/// A run-time error that a handler met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Which.
    pub fault: Fault,
    /// An address or a global's number, as the fault says.
    pub detail: i64,
    /// Where in the script; 0 where there is no place.
    pub position: u32,
    /// The message of [`Fault::Text`].
    pub text: Box<[u8]>,
}

impl Raised {
    /// An error whose message its fault knows.
    pub fn new(fault: Fault, detail: i64, position: u32) -> Raised {
        Raised { fault, detail, position, text: Box::default() }
    }

    /// An error with a message of its own.
    pub fn saying(text: &[u8], position: u32) -> Raised {
        Raised { fault: Fault::Text, detail: 0, position, text: text.into() }
    }

    /// What happened, as a catch block gets it.
    pub fn what(&self, image: &Image) -> Vec<u8> {
        match self.fault {
            Fault::Text => self.text.to_vec(),
            fault => describe(fault, self.detail, image).into_bytes(),
        }
    }

    /// What happened and where, as it stands behind `ERROR: `; `place` tells the token and the line of a position.
    pub fn message(&self, image: &Image, place: &dyn Fn(u32) -> String) -> Vec<u8> {
        let mut message = self.what(image);
        let near = if self.position == 0 { String::new() } else { place(self.position) };
        if !near.is_empty() {
            message.extend_from_slice(b" near ");
            message.extend_from_slice(near.as_bytes());
        }
        message
    }
}

/// The message of a fault, without its place.
fn describe(fault: Fault, detail: i64, image: &Image) -> String {
    let start = fault.text();
    match fault {
        _ if start.ends_with(" at ") && fault != Fault::KernelReadFault => {
            format!("{start}{detail:#x} [man error::fault]")
        }
        Fault::KernelReadFault => format!("{start}{detail:#018x}"),
        Fault::ArrayOverflow => match array_size(image, detail) {
            Some(size) => format!("{start}size limit ({size})"),
            None => format!("{start}MAXMAPENTRIES"),
        },
        _ => start.into(),
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
        let (value, max_entries) = (Value::Long, 3);
        let array =
            Array { map: None, key: vec![], key_size: 8, value, max_entries, sized, wrap: false, ordered: false };
        Image { globals: vec![Global { name: "a".into(), storage: Storage::Array(array) }], ..Image::default() }
    }

    fn said(raised: &Raised, image: &Image) -> [String; 2] {
        let place = |position| format!("operator '/' at g02_div0.stp:1:{position}");
        [raised.message(image, &place), raised.what(image)].map(|text| String::from_utf8(text).expect("ASCII"))
    }

    /// The golden runs g01, g02, g11 and g18.
    #[test]
    fn messages_are_those_of_systemtap() {
        let raised = Raised::new(Fault::DivisionByZero, 0, 43);
        let expected = ["division by 0 near operator '/' at g02_div0.stp:1:43", "division by 0"];
        assert_eq!(said(&raised, &image(false)), expected);
        let what = |fault| said(&Raised::new(fault, 0, 0), &image(false))[0].clone();
        assert_eq!(what(Fault::KernelStringFault), "kernel string copy fault at 0x0 [man error::fault]");
        assert_eq!(what(Fault::ArrayOverflow), "Array overflow, check MAXMAPENTRIES");
        assert_eq!(what(Fault::MaxNesting), "MAXNESTING exceeded");
        assert_eq!(what(Fault::FunctionsExhausted), "all functions exhausted");
        let sized = said(&Raised::new(Fault::ArrayOverflow, 0, 0), &image(true));
        assert_eq!(sized[0], "Array overflow, check size limit (3)");
        assert_eq!(said(&Raised::saying(b"boom", 0), &image(false)), ["boom", "boom"]);
    }
}
