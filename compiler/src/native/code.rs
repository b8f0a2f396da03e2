//! The machine code of user handlers, and the memory it lies in.

use cranelift_jit::JITModule;

/// Machine code of the user handlers.
#[derive(Default)]
pub struct NativeCode {
    module: Option<JITModule>,
    entries: Vec<*const u8>,
}

/// A handler's machine code: takes the run's context ([`crate::host::ContextHeader`] is its start), gives 0.
pub type Entry = unsafe extern "C" fn(*mut core::ffi::c_void) -> i64;

impl NativeCode {
    /// Takes a module whose functions are finalised, and the addresses of its handlers.
    pub(super) fn new(module: JITModule, entries: Vec<*const u8>) -> NativeCode {
        NativeCode { module: Some(module), entries }
    }

    /// The handler with this number.
    ///
    /// The code may be called as long as `self` lives, with the context that its host functions expect.
    pub fn entry(&self, index: usize) -> Entry {
        // SAFETY: every entry was finalised from a CLIF function of exactly this signature, and `self` keeps its memory.
        unsafe { core::mem::transmute::<*const u8, Entry>(self.entries[index]) }
    }
}

impl core::fmt::Debug for NativeCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} native handlers", self.entries.len())
    }
}

impl Drop for NativeCode {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: entries are only reachable through `self`, which is going away.
            unsafe { module.free_memory() }
        }
    }
}
