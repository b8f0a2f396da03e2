//! What a script says to its user beside its output.

use crate::run::Run;

/// Prints text as it is.
pub fn print(run: &mut Run, text: &[u8]) {
    if run.goes_on() {
        run.output.text().extend_from_slice(text);
        run.output.rendered();
    }
}

/// Prints a line.
pub fn log(run: &mut Run, text: &[u8]) {
    if run.goes_on() {
        run.output.text().extend_from_slice(text);
        run.output.text().push(b'\n');
        run.output.rendered();
    }
}

/// Says a warning.
pub fn warn(run: &mut Run, text: &[u8]) {
    if run.goes_on() {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        run.output.warn_bytes(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::run_showing;
    use tapster_compiler::image::Image;

    /// The golden run g11, and function::warn(3stap) on line feeds.
    #[test]
    fn a_log_goes_out_and_a_warning_beside_it() {
        let (mut run, out, err) = run_showing(Image::default());
        log(&mut run, b"logged");
        warn(&mut run, b"careful");
        warn(&mut run, b"again\n");
        assert_eq!(out.text(), "logged\n");
        assert_eq!(err.text(), "WARNING: careful\nWARNING: again\n");
    }
}
