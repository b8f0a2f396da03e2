//! Whole sessions without a kernel handler.

pub(crate) mod script;

use super::*;
use crate::run::tests::Shown;
use script::offset;

/// Runs an image; gives its exit code, its output and what it said beside it.
fn ran(image: Image, options: Options) -> (i32, String, String) {
    let (out, err) = (Shown::default(), Shown::default());
    let place = Box::new(|_| "operator '/'".into());
    let (out_box, err_box) = (Box::new(out.clone()), Box::new(err.clone()));
    let options = Options { out: out_box, err: err_box, place, ..options };
    let outcome = Session::load(image, options).expect("loads").begin().attach().expect("attaches").run().finish();
    (outcome.code, out.text(), err.text())
}

const ERRORS: &str = "Number of errors";

/// The golden run g02.
#[test]
fn an_error_ends_the_run_and_error_handlers_take_the_place_of_end_handlers() {
    let image = script::image(
        "probe begin { printf(\"a\\n\"); z = 0; printf(\"%d\\n\", 1 / z); printf(\"b\\n\") } \
         probe begin(1) { printf(\"begin1 runs?\\n\") } probe end { printf(\"end runs?\\n\") } \
         probe error { printf(\"error probe\\n\") }",
    );
    let (code, out, err) = ran(image, Options::default());
    assert_eq!((code, &*out), (1, "a\nerror probe\n"));
    assert_eq!(err, format!("ERROR: division by 0 near operator '/'\nWARNING: {ERRORS}: 1, skipped probes: 0\n"));
}

/// `--suppress-handler-errors` as language.md, section 11, saw it: five errors, end probes, exit code 0.
#[test]
fn suppressed_errors_are_only_counted() {
    let image = script::image(
        "global n probe begin { z = 0; printf(\"%d\\n\", 1 / z) } \
         probe timer.ms(1) { n++; if (n == 4) exit(); z = 0; printf(\"%d\\n\", 1 / z) } \
         probe end { printf(\"end %d\\n\", n) } probe error { printf(\"error\\n\") }",
    );
    let (code, out, err) = ran(image, Options { suppress_errors: true, ..Options::default() });
    assert_eq!((code, &*out), (0, "end 4\n"));
    assert_eq!(err, format!("WARNING: {ERRORS}: 5, skipped probes: 0\n"));
}

/// The golden run g15 at ten times its speed: the first timer only runs while `on` is set.
#[test]
fn a_timer_waits_for_its_condition() {
    let mut image = script::image(
        "global on, n, m \
         probe timer.ms(10) { if (on > 1) printf(\"never\\n\"); n++ } \
         probe timer.ms(10) { m++; if (m == 3) on = 1; if (m == 8) on = 0; if (m == 12) exit() } \
         probe end { printf(\"%d%d\\n\", n >= 3 && n <= 6, m) }",
    );
    image.handlers[0].condition = Some(offset(&image, "on"));
    assert_eq!(ran(image, Options::default()), (0, "112\n".into(), String::new()));
}
