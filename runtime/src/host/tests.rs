//! Host functions, called as generated code calls them.

use super::*;
use crate::run::tests::{ALL, array, run};
use tapster_compiler::host::{Extractor, HostFn, LibraryFn, Sort, SortBy};
use tapster_compiler::image::{
    ArgKind, Conversion, Format, Global, Image, KeyKind, KeyPart, Measure, Piece, Storage, Value,
};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

/// Calls a host function as generated code does.
fn call(run: &mut Run, function: HostFn, args: &[i64]) -> i64 {
    assert_eq!(args.len(), function.arity(), "{}", function.name());
    let address = table().0[function as usize];
    let run: *mut Run = run;
    let at = |n: usize| args.get(n).copied().unwrap_or(0);
    // SAFETY: a function of the table takes its context and up to five words; in the C calling convention those it
    // does not take do it no harm. The addresses among them are those of the tests' own values.
    unsafe {
        let function: unsafe extern "C" fn(*mut Run, i64, i64, i64, i64, i64) -> i64 = std::mem::transmute(address);
        function(run, at(0), at(1), at(2), at(3), at(4))
    }
}

/// The first words of what a walk visits.
fn walked(run: &mut Run, walk: i64) -> Vec<i64> {
    let mut keys = Vec::new();
    loop {
        let key = call(run, HostFn::walk_next, &[walk]);
        if key == 0 {
            break;
        }
        // SAFETY: a walk's keys stay where they are until it ends.
        keys.push(unsafe { (key as *const i64).read_unaligned() });
    }
    call(run, HostFn::walk_end, &[walk]);
    keys
}

fn sort(by: SortBy, descending: bool) -> i64 {
    Sort { by, descending }.encode()
}

/// What a function that writes a string of at most 64 bytes with its NUL writes.
fn written(write: impl FnOnce(i64) -> i64) -> String {
    let mut out = [0xffu8; 64];
    write(out.as_mut_ptr() as i64);
    let text = CStr::from_bytes_until_nul(&out).expect("a NUL");
    text.to_str().expect("ASCII").into()
}

fn of<T: ?Sized>(value: &T) -> i64 {
    std::ptr::from_ref(value).cast::<u8>() as i64
}

#[test]
fn the_table_has_every_function_of_the_list() {
    assert_eq!(table().0.len(), HostFn::ALL.len());
}

#[test]
fn elements_are_set_read_walked_and_deleted() {
    let image = Image { globals: vec![array("a", Value::Long, 2)], ..Image::default() };
    let (mut run, _) = run(image);
    let run = &mut *run;
    for n in [7i64, 3] {
        assert_eq!(call(run, HostFn::array_set, &[0, of(&n), of(&(n * 10))]), 0);
    }
    let overflow = call(run, HostFn::array_set, &[0, of(&1i64), of(&1i64)]);
    assert_eq!(overflow, Fault::ArrayOverflow as i64);
    let mut out = 0i64;
    assert_eq!(call(run, HostFn::array_get, &[0, of(&7i64), &raw mut out as i64]), 1);
    assert_eq!(out, 70);
    assert_eq!(call(run, HostFn::array_get, &[0, of(&8i64), &raw mut out as i64]), 0);
    assert_eq!(out, 0);
    let sort = sort(SortBy::Key(0), false);
    let walk = call(run, HostFn::walk_begin, &[0, 0, 0, sort, -1]);
    assert_eq!(walked(run, walk), [3, 7]);
    call(run, HostFn::array_delete, &[0, of(&3i64)]);
    assert_eq!(call(run, HostFn::array_has, &[0, of(&3i64)]), 0);
    call(run, HostFn::array_delete, &[0, 0]);
    assert_eq!(call(run, HostFn::array_has, &[0, of(&7i64)]), 0);
}

#[test]
fn string_elements_end_at_their_nul() {
    let (mut run, _) = run(Image { globals: vec![array("a", Value::Text(8), 2)], ..Image::default() });
    let mut out = [0xffu8; 8];
    call(&mut run, HostFn::array_set, &[0, of(&1i64), of(b"0123456789\0")]);
    call(&mut run, HostFn::array_get, &[0, of(&1i64), out.as_mut_ptr() as i64]);
    assert_eq!(&out, b"0123456\0");
    call(&mut run, HostFn::array_set, &[0, of(&1i64), of(b"ab\0junk")]);
    call(&mut run, HostFn::array_get, &[0, of(&1i64), out.as_mut_ptr() as i64]);
    assert_eq!(&out, b"ab\0\0\0\0\0\0");
}

#[test]
fn statistics_are_added_to_and_read() {
    let layout = Layout { parts: ALL, histogram: Histogram::None };
    let image = Image { globals: vec![array("a", Value::Aggregate(layout), 2)], ..Image::default() };
    let (mut run, _) = run(image);
    let (key, mut out) = (5i64, 0i64);
    for value in [3, 8] {
        assert_eq!(call(&mut run, HostFn::aggregate_add, &[0, of(&key), value]), 0);
    }
    let mut read = |extractor: Extractor, key: i64| {
        let fault = call(&mut run, HostFn::aggregate_read, &[0, of(&key), extractor as i64, &raw mut out as i64]);
        (fault, out)
    };
    assert_eq!(read(Extractor::Count, 5), (0, 2));
    assert_eq!(read(Extractor::Max, 5), (0, 8));
    assert_eq!(read(Extractor::Count, 6), (0, 0));
    assert_eq!(read(Extractor::Avg, 6).0, Fault::EmptyAggregate as i64);
}

#[test]
fn prints_take_their_arguments_from_words() {
    let conversion = |kind, arg| {
        Piece::Conversion(Conversion { flag: None, width: Measure::None, precision: Measure::None, kind, arg })
    };
    let pieces = vec![conversion(b'd', ArgKind::Long), conversion(b's', ArgKind::Text(16))];
    let (mut run, shown) = run(Image { formats: vec![Format { pieces }], ..Image::default() });
    let args = [42, of(b" find\0")];
    call(&mut run, HostFn::print, &[0, of(&args)]);
    call(&mut run, HostFn::print, &[99, 0]);
    run.output.flush();
    assert_eq!(shown.text(), "42 find");
}

#[test]
fn texts_are_copied_compared_and_interned() {
    let (mut run, _) = run(Image::default());
    let mut to = [0xffu8; 6];
    call(&mut run, HostFn::copy_text, &[of(b"dentry\0"), to.as_mut_ptr() as i64, 6]);
    assert_eq!(&to, b"dentr\0");
    call(&mut run, HostFn::copy_text, &[of(b"a\0"), to.as_mut_ptr() as i64, 6]);
    assert_eq!(&to, b"a\0\0\0\0\0");
    let mut order = |a: &[u8], b: &[u8]| call(&mut run, HostFn::compare_text, &[of(a), of(b)]);
    assert!(order(b"a\0", b"b\0") < 0 && order(b"b\0", b"a\0") > 0 && order(b"a\0x", b"a\0y") == 0);
    assert!(order(b"\xff\0", b"a\0") > 0, "strings compare as unsigned bytes");
    let handle = call(&mut run, HostFn::intern, &[of(b"a long name\0")]);
    let address = call(&mut run, HostFn::text_of, &[handle]);
    // SAFETY: interned texts stay where they are and end with a NUL.
    assert_eq!(unsafe { CStr::from_ptr(address as *const c_char) }, c"a long name");
    let mut name = [0xffu8; 4];
    call(&mut run, HostFn::execname, &[name.as_mut_ptr() as i64, 4]);
    assert_eq!(name[3], 0);
}

#[test]
fn texts_are_appended_and_formatted_as_far_as_they_fit() {
    let conversion = |kind, arg| {
        Piece::Conversion(Conversion { flag: None, width: Measure::None, precision: Measure::None, kind, arg })
    };
    let pieces = vec![conversion(b'd', ArgKind::Long), conversion(b's', ArgKind::Text(16))];
    let (mut run, shown) = run(Image { formats: vec![Format { pieces }], ..Image::default() });
    let mut to = *b"ab\0\xff\xff\xff\xff\xff";
    let at = to.as_mut_ptr() as i64;
    call(&mut run, HostFn::append_text, &[at, 8, of(b"cd\0")]);
    assert_eq!((&to[..5], run.truncations()), (&b"abcd\0"[..], 0));
    call(&mut run, HostFn::append_text, &[at, 8, at]);
    assert_eq!((&to, run.truncations()), (b"abcdabc\0", 1));
    call(&mut run, HostFn::append_text, &[at, 8, of(b"x\0")]);
    assert_eq!((&to, run.truncations()), (b"abcdabc\0", 2));
    let args = [42, of(b" find\0")];
    let mut format = |size| written(|out| call(&mut run, HostFn::format_text, &[0, of(&args), out, size]));
    assert_eq!([format(64), format(4)], ["42 find", "42 "]);
    run.output.flush();
    assert_eq!((shown.text(), run.truncations()), (String::new(), 3));
}

#[test]
fn an_error_is_on_its_way_until_it_is_caught() {
    let (mut run, _) = run(Image::default());
    call(&mut run, HostFn::raise, &[Fault::DivisionByZero as i64, 0, 43]);
    call(&mut run, HostFn::raise, &[Fault::MaxAction as i64, 0, 44]);
    assert_eq!(run.pending_for_tests(), (1, Some(Raised::new(Fault::DivisionByZero, 0, 43))), "the first one stays");
    assert_eq!(written(|out| call(&mut run, HostFn::caught, &[out, 64])), "division by 0");
    assert_eq!(run.pending_for_tests(), (0, None));
    call(&mut run, HostFn::raise_text, &[of(b"boom\0")]);
    assert_eq!(run.pending_for_tests(), (1, Some(Raised::saying(b"boom", 0))));
    assert_eq!(call(&mut run, HostFn::caught, &[0, 0]), 0);
    call(&mut run, HostFn::raise, &[999, 0, 43]);
    assert_eq!(run.pending_for_tests(), (0, None));
}

#[test]
fn exit_and_facts_reach_the_run() {
    for function in [HostFn::exit, HostFn::abort] {
        let (mut run, _) = run(Image::default());
        assert!(!run.is_exiting());
        call(&mut run, function, &[]);
        assert!(run.is_exiting() && run.has_exited());
        assert_eq!(call(&mut run, HostFn::fact, &[Fact::Pid as i64]), i64::from(std::process::id()));
    }
}

/// The golden run g09: `@hist_linear(lin, 0, 5, 1)` of -10..10.
#[test]
fn buckets_are_read_and_walked() {
    let layout = Layout { parts: ALL, histogram: Histogram::Linear { low: 0, high: 5, interval: 1 } };
    let storage = Storage::ScalarAggregate { offset: 0, layout, in_kernel: false };
    let (mut run, _) = run(Image { globals: vec![Global { name: "lin".into(), storage }], ..Image::default() });
    let run = &mut *run;
    let mut out = 0i64;
    let mut bucket =
        |run: &mut Run, number: i64| (call(run, HostFn::bucket, &[0, 0, number, &raw mut out as i64]), out);
    assert_eq!(bucket(run, 0).0, Fault::EmptyAggregate as i64);
    let unsorted = sort(SortBy::Unsorted, false);
    let walk = call(run, HostFn::walk_buckets, &[0, 0, unsorted, -1]);
    assert!(walked(run, walk).is_empty());
    (-10..=10).for_each(|value| assert_eq!(call(run, HostFn::aggregate_add, &[0, 0, value]), 0));
    let walk = call(run, HostFn::walk_buckets, &[0, 0, unsorted, -1]);
    let buckets: Vec<String> =
        walked(run, walk).into_iter().map(|number| format!("{number}:{}", bucket(run, number).1)).collect();
    assert_eq!(buckets.join(" "), "0:10 1:1 2:1 3:1 4:1 5:1 6:1 7:5");
    assert_eq!(bucket(run, 8).0, Fault::HistogramIndex as i64);
    assert_eq!(bucket(run, -1).0, Fault::HistogramIndex as i64);
    let walk = call(run, HostFn::walk_buckets, &[0, 0, sort(SortBy::Value(Extractor::Count), true), 2]);
    assert_eq!(walked(run, walk), [0, 7]);
    let text = written(|out| call(run, HostFn::histogram_text, &[0, 0, out, 64]));
    assert_eq!(text, "value |-------------------------------------------------- count"[..63]);
}

#[test]
fn slices_are_walked_found_and_deleted() {
    let mut global = array("a", Value::Long, 9);
    let Storage::Array(a) = &mut global.storage else { unreachable!("it is an array") };
    let part = |offset| KeyPart { offset, kind: KeyKind::Long };
    (a.key, a.key_size) = (vec![part(0), part(8)], 16);
    let (mut run, _) = run(Image { globals: vec![global], ..Image::default() });
    let run = &mut *run;
    for key in [[1i64, 5], [9, 6], [8, 6], [7, 6], [3, 5], [4, 5]] {
        assert_eq!(call(run, HostFn::array_set, &[0, of(&key), of(&1i64)]), 0);
    }
    let (fives, sixes) = ([0i64, 5], [0i64, 6]);
    let walk = call(run, HostFn::walk_begin, &[0, of(&fives), 0b10, sort(SortBy::Key(0), true), 2]);
    assert_eq!(walked(run, walk), [4, 3], "the limit counts what is in the slice");
    call(run, HostFn::array_delete_slice, &[0, of(&fives), 0b10]);
    assert_eq!(call(run, HostFn::array_has_slice, &[0, of(&fives), 0b10]), 0);
    assert_eq!(call(run, HostFn::array_has_slice, &[0, of(&sixes), 0b10]), 1);
}

/// E13 and E15 of the golden run g01, and `t("strlen", …)` of g07.
#[test]
fn functions_of_the_library_take_and_give_words_and_texts() {
    let (mut run, _) = run(Image { regexes: vec![b"(l+)o".to_vec()], ..Image::default() });
    let run = &mut *run;
    let long = |run: &mut Run, function: LibraryFn, args: &[i64]| {
        let mut out = 0i64;
        (call(run, HostFn::call, &[function as i64, args.as_ptr() as i64, &raw mut out as i64, 0]), out)
    };
    let text = |run: &mut Run, function: LibraryFn, args: &[i64]| {
        written(|out| call(run, HostFn::call, &[function as i64, args.as_ptr() as i64, out, 64]))
    };
    assert_eq!(long(run, LibraryFn::strlen, &[of(b"hello\0")]), (0, 5));
    assert_eq!(long(run, LibraryFn::strtol, &[of(b"0x1f\0"), 16]), (0, 31));
    assert_eq!(long(run, LibraryFn::strpos, &[of(b"hello\0"), of(b"x\0")]), (0, -1));
    assert_eq!(text(run, LibraryFn::substr, &[of(b"abc\0"), 10, 2]), "");
    assert_eq!(text(run, LibraryFn::errno_str, &[-2]), "ENOENT");
    assert_eq!(call(run, HostFn::match_text, &[0, of(b"hello\0")]), 1);
    assert_eq!(text(run, LibraryFn::matched, &[1]), "ll");
    assert_eq!(call(run, HostFn::match_text, &[7, of(b"hello\0")]), 0, "there is no such pattern");
    assert_eq!(long(run, LibraryFn::stringat, &[of(b"abc\0"), 5]).0, Fault::Text as i64);
    call(run, HostFn::raise, &[Fault::Text as i64, 0, 0]);
    assert_eq!(written(|out| call(run, HostFn::caught, &[out, 64])), "Position out of bounds");
    let mut own = *b"abcdef\0";
    let args = [own.as_mut_ptr() as i64, 2, 3];
    call(run, HostFn::call, &[LibraryFn::substr as i64, of(&args), own.as_mut_ptr() as i64, 7]);
    assert_eq!(&own[..4], b"cde\0", "the result may lie where the argument does");
    assert_eq!(call(run, HostFn::call, &[999, 0, 0, 0]), 0);
}
