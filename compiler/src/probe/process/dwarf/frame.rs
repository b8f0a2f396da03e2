//! Where a function's frame is at an instruction: what unwinders know.

use super::{Sections, Slice};
use gimli::{BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, LittleEndian, UnwindContext, UnwindSection};
use std::cell::OnceCell;

/// What a program has to unwind its stack, and what only its debug information has.
pub struct Frames<'d> {
    own: EhFrame<Slice<'d>>,
    debug: DebugFrame<Slice<'d>>,
    bases: BaseAddresses,
    /// The functions that each of them knows.
    own_index: Index,
    debug_index: Index,
}

/// Functions by their addresses: where each begins, where it ends, and where in the section it stands. Made when it is
/// needed: the kernel has sixty thousand.
type Index = OnceCell<Vec<(u64, u64, usize)>>;

impl<'d> Frames<'d> {
    /// Of some sections; reads nothing yet.
    pub fn new(sections: &'d Sections) -> Frames<'d> {
        let mut debug = DebugFrame::new(&sections.debug_frames, LittleEndian);
        debug.set_address_size(8);
        Frames {
            own: EhFrame::new(&sections.frames, LittleEndian),
            debug,
            bases: BaseAddresses::default().set_eh_frame(sections.frames_address),
            own_index: Index::new(),
            debug_index: Index::new(),
        }
    }

    /// How to find the stack's end before the call, at an instruction.
    pub fn rule_at(&self, address: u64) -> Option<CfaRule<usize>> {
        let own = rule_at(&self.own, &self.bases, &self.own_index, address);
        own.or_else(|| rule_at(&self.debug, &self.bases, &self.debug_index, address))
    }
}

fn rule_at<'d, S: UnwindSection<Slice<'d>>>(
    section: &S,
    bases: &BaseAddresses,
    index: &Index,
    address: u64,
) -> Option<CfaRule<usize>> {
    let index = index.get_or_init(|| functions(section, bases));
    let nth = index.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
    let (_, _, offset) = *index.get(nth).filter(|(_, end, _)| address < *end)?;
    let function = section.fde_from_offset(bases, offset.into(), S::cie_from_offset).ok()?;
    let mut context = UnwindContext::new();
    let row = function.unwind_info_for_address(section, bases, &mut context, address).ok()?;
    Some(row.cfa().clone())
}

fn functions<'d, S: UnwindSection<Slice<'d>>>(section: &S, bases: &BaseAddresses) -> Vec<(u64, u64, usize)> {
    let (mut found, mut entries) = (Vec::new(), section.entries(bases));
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(function) = entry else { continue };
        if let Ok(function) = function.parse(S::cie_from_offset) {
            found.push((function.initial_address(), function.end_address(), function.offset()));
        }
    }
    found.sort_unstable();
    found
}
