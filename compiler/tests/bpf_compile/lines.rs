//! Source lines of the instructions.
use crate::build::{HELPER, Names, SUBPROGRAM, function};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Function, InstBuilder, SourceLoc};
use tapster_compiler::bpf::{Options, link};

fn lines(f: &Function) -> Vec<(usize, u32)> {
    Names::compile(f, &Options::default()).expect("it compiles").lines
}

#[test]
fn a_record_is_made_where_the_line_changes() {
    let f = function(0, |b, names, _| {
        // The parameters have no line: the first instruction gets the first one there is.
        b.set_srcloc(SourceLoc::new(7));
        names.call(b, HELPER, 5, &[]);
        names.call(b, HELPER, 5, &[]);
        b.set_srcloc(SourceLoc::new(8));
        names.call(b, HELPER, 5, &[]);
        b.set_srcloc(SourceLoc::default());
        names.call(b, HELPER, 5, &[]);
        b.set_srcloc(SourceLoc::new(8));
        names.call(b, HELPER, 5, &[]);
        b.set_srcloc(SourceLoc::new(7));
        let zero = b.ins().iconst(I64, 0);
        b.ins().return_(&[zero]);
    });
    assert_eq!(lines(&f), [(0, 7), (2, 8), (5, 7)]);
}

#[test]
fn one_instruction_has_one_record() {
    let f = function(1, |b, names, params| {
        let (then, end) = (b.create_block(), b.create_block());
        b.set_srcloc(SourceLoc::new(1));
        let c = b.ins().icmp_imm_s(IntCC::Equal, params[0], 0);
        b.ins().brif(c, then, &[], end, &[]);
        b.switch_to_block(then);
        b.set_srcloc(SourceLoc::new(2));
        names.call(b, HELPER, 5, &[]);
        // Falls through: this line has no instruction.
        b.set_srcloc(SourceLoc::new(3));
        b.ins().jump(end, &[]);
        b.switch_to_block(end);
        b.set_srcloc(SourceLoc::new(4));
        let zero = b.ins().iconst(I64, 0);
        b.ins().return_(&[zero]);
    });
    let lines = lines(&f);
    assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0), "{lines:?}");
    assert_eq!(lines, [(0, 1), (1, 2), (2, 4)]);
}

#[test]
fn every_linked_function_starts_with_a_record() {
    let entry = function(0, |b, names, _| {
        b.set_srcloc(SourceLoc::new(3));
        let x = names.call(b, SUBPROGRAM, 1, &[]);
        b.ins().return_(&[x]);
    });
    let silent = function(0, |b, _, _| {
        let k = b.ins().iconst(I64, 1);
        b.ins().return_(&[k]);
    });
    let code = [entry, silent].map(|f| Names::compile(&f, &Options::default()).expect("it compiles"));
    assert_eq!(link(&code, 0).lines, [(0, 3), (2, 3)]);
    assert_eq!(link(&code, 1).lines, []);
}
