//! An image into the kernel, or the next one where the kernel refuses it.
//!
//! Whether a function can have a trampoline the kernel says as late as one is put there: those are put before anything
//! of the script has run, so that it can still be compiled for another rung. Handlers that stand before their script has
//! begun are held back.

use crate::attach::Attached;
use crate::load::{self, LoadError, Loaded, Rejection};
use crate::sys::process;
use tapster_compiler::image::{Image, When};
use tapster_runtime_ebpf::state;

/// Makes another image of the script that does without what the kernel has refused, where there is one.
pub type Again<'a> = dyn FnMut(&Refusal<'_>) -> Option<Image> + 'a;

/// What the kernel has refused.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// Its verifier does not accept a program.
    Rejected(&'a Rejection),
    /// Nobody may stand at these places in that way, and why.
    Places(&'a [(String, String)]),
}

/// What is in the kernel.
pub(super) struct Ready {
    pub(super) image: Image,
    pub(super) loaded: Loaded,
    /// Those at trampolines, where programs are attached at all.
    pub(super) attached: Attached,
}

/// Loads an image and attaches what the kernel may refuse as late as this.
pub(super) fn load(mut image: Image, attaches: bool, again: &mut Again) -> Result<Ready, LoadError> {
    loop {
        // A shell's limit is a thousand; what is missing the kernel says.
        let _ = process::allow_files(load::descriptors(&image));
        match load::load(&image) {
            Ok(loaded) => {
                let mut attached = Attached::default();
                if attaches {
                    hold_back(&image, &loaded);
                    attached = Attached::trampolines(&image.programs, &loaded.programs);
                }
                let refused = attached.refused(&image.programs);
                let next = if refused.is_empty() { None } else { again(&Refusal::Places(&refused)) };
                let Some(other) = next else {
                    attached.accept(&image.programs)?;
                    return Ok(Ready { image, loaded, attached });
                };
                image = other;
            }
            Err(error) => image = instead(&error, again).ok_or(error)?,
        }
    }
}

/// Another image, where that may help.
fn instead(error: &LoadError, again: &mut Again) -> Option<Image> {
    match error {
        LoadError::Rejected(rejection) => again(&Refusal::Rejected(rejection)),
        LoadError::Program { rungs, source, .. } => {
            let why = format!("{} when loaded", crate::sys::errno_name(source));
            let places: Vec<(String, String)> = rungs.iter().map(|rung| (rung.clone(), why.clone())).collect();
            again(&Refusal::Places(&places))
        }
        _ => None,
    }
}

/// Whether a script has handlers that come before all others.
pub(super) fn begins(image: &Image) -> bool {
    image.handlers.iter().any(|handler| matches!(handler.when, When::Begin(_)))
}

/// What stands already waits for the script to begin. What the wall clock is ahead of the kernel's it may ask at once.
fn hold_back(image: &Image, loaded: &Loaded) {
    // A block without room for them belongs to a script without handlers in the kernel.
    let _ = loaded.state.write(state::STOPPING, &u64::from(begins(image)).to_ne_bytes());
    let _ = loaded.state.write(state::WALL, &process::ahead().to_ne_bytes());
}
