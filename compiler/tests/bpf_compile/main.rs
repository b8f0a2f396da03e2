//! What the eBPF back end makes of a function, as far as that shows without a kernel: instructions, lines, errors, objects.
mod build;
mod lines;
mod object;

use build::{HELPER, Names, function};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{InstBuilder, TrapCode};
use tapster_compiler::bpf::disasm::disassemble;
use tapster_compiler::bpf::{CompileError, Options, link};

const V4: Options = Options { cpu_v4: true };

fn listing(insns: &[tapster_compiler::bpf::Insn]) -> Vec<String> {
    disassemble(insns).collect()
}

#[test]
fn constants_and_addresses_are_made_where_they_are_used() {
    let f = function(1, |b, names, _| {
        let map = names.map(b, 3);
        let key = b.create_sized_stack_slot(build::slot(8));
        let k = b.ins().iconst(I64, 7);
        b.ins().stack_store(I64, k, key, 0);
        let key = b.ins().stack_addr(I64, key, 0);
        names.call(b, HELPER, 1, &[map, key]);
        names.call(b, HELPER, 3, &[map, key]);
        b.ins().return_(&[k]);
    });
    let code = Names::compile(&f, &Options::default()).expect("it compiles");
    let expected = [
        "0: *(u64 *)(r10 -8) = 7",
        "1: r1 = map_fd[0]",
        "3: r2 = r10",
        "4: r2 += -8",
        "5: call bpf_map_lookup_elem#1",
        "6: r1 = map_fd[0]",
        "8: r2 = r10",
        "9: r2 += -8",
        "10: call bpf_map_delete_elem#3",
        "11: r0 = 7",
        "12: exit",
    ];
    assert_eq!(listing(&code.insns), expected);
    assert_eq!(code.relocs.len(), 2);
    assert_eq!(code.stack, 8);
}

#[test]
fn what_nobody_uses_is_not_there() {
    let f = function(2, |b, names, params| {
        let sum = b.ins().iadd(params[0], params[1]);
        let loaded = b.ins().load(I64, build::flags(), sum, 0);
        names.pseudo(b, 0, &[params[0], loaded, sum]);
        let zero = b.ins().iconst(I64, 0);
        b.ins().return_(&[zero]);
    });
    let code = Names::compile(&f, &Options::default()).expect("it compiles");
    assert_eq!(listing(&code.insns), ["0: r0 = 0", "1: exit"]);
}

#[test]
fn a_checked_pointer_is_three_instructions_in_a_row() {
    let f = function(2, |b, names, params| {
        let limit = b.ins().iconst(I64, 100);
        let pointer = names.pseudo(b, 0, &[params[0], params[1], limit]);
        let value = b.ins().load(I64, build::flags(), pointer, 8);
        b.ins().return_(&[value]);
    });
    let code = Names::compile(&f, &Options::default()).expect("it compiles");
    let expected = ["0: if r2 < 0x64 goto pc+1", "1: r2 = 0", "2: r2 += r1", "3: r0 = *(u64 *)(r2 +8)", "4: exit"];
    assert_eq!(listing(&code.insns), expected);
}

#[test]
fn signed_division_needs_no_branch_before_v4() {
    let f = function(2, |b, _, params| {
        let quotient = b.ins().sdiv(params[0], params[1]);
        b.ins().return_(&[quotient]);
    });
    let old = Names::compile(&f, &Options::default()).expect("it compiles");
    assert!(listing(&old.insns).iter().all(|line| !line.contains("goto") && !line.contains("s/=")));
    let new = Names::compile(&f, &V4).expect("it compiles");
    assert_eq!(listing(&new.insns), ["0: r0 = r1", "1: r0 s/= r2", "2: exit"]);
}

#[test]
fn a_function_may_outgrow_short_jumps_on_v4_only() {
    let f = function(2, |b, names, params| {
        let (long, end) = (b.create_block(), b.create_block());
        let c = b.ins().icmp_imm_s(IntCC::Equal, params[0], 1);
        b.ins().brif(c, long, &[], end, &[]);
        b.switch_to_block(long);
        for i in 0..40_000 {
            let k = b.ins().iconst(I64, i);
            let x = b.ins().iadd(params[1], k);
            b.ins().store(build::flags(), x, params[1], 0);
        }
        names.call(b, HELPER, 5, &[]);
        b.ins().jump(end, &[]);
        b.switch_to_block(end);
        b.ins().return_(&[params[0]]);
    });
    let error = Names::compile(&f, &Options::default()).expect_err("no jump reaches");
    assert!(matches!(error, CompileError::JumpTooFar { insns } if insns > 80_000), "{error}");
    let code = Names::compile(&f, &V4).expect("it compiles");
    let text = listing(&code.insns);
    assert!(text.iter().any(|line| line.contains("gotol pc+")), "{}", text[..9].join("\n"));
}

#[test]
fn errors_say_which_instruction() {
    let f = function(1, |b, _, params| {
        let x = b.ins().fcvt_from_sint(F64, params[0]);
        let y = b.ins().fcvt_to_sint_sat(I64, x);
        b.ins().return_(&[y]);
    });
    let error = Names::compile(&f, &V4).expect_err("eBPF has no floats").to_string();
    assert!(error.starts_with("`fcvt_to_sint_sat` has no translation to eBPF, in `v2 = fcvt_to_sint_sat"), "{error}");
    let f = function(1, |b, _, _| {
        b.ins().trap(TrapCode::unwrap_user(1));
    });
    let error = Names::compile(&f, &V4).expect_err("eBPF cannot trap").to_string();
    assert_eq!(error, "`trap` has no translation to eBPF, in `trap user1`");
    let f = function(3, |b, names, params| {
        let pointer = names.pseudo(b, 0, params);
        b.ins().return_(&[pointer]);
    });
    let error = Names::compile(&f, &V4).expect_err("the limit is not constant").to_string();
    assert!(error.starts_with("the limit of `ptrchk` is a positive constant of 31 bits, in `v3 = call fn0"), "{error}");
}

#[test]
fn too_much_stack_is_broken_down() {
    let f = function(0, |b, names, _| {
        let big = b.create_sized_stack_slot(build::slot(500));
        let address = b.ins().stack_addr(I64, big, 0);
        let calls: Vec<_> = (0..8).map(|_| names.call(b, HELPER, 5, &[address])).collect();
        names.call(b, HELPER, 5, &[]);
        let sum = calls.into_iter().reduce(|a, b_| b.ins().iadd(a, b_)).expect("eight calls");
        b.ins().return_(&[sum]);
    });
    let error = Names::compile(&f, &V4).expect_err("it needs more");
    let CompileError::Stack { slots: 504, spills, kernel: 0 } = error else { panic!("{error}") };
    assert!(spills > 8, "{error}");
    assert!(error.to_string().contains("of which eBPF has 512: 504 for variables, "), "{error}");
}

#[test]
fn linking_keeps_what_is_called_and_counts_the_deepest_stack() {
    let leaf = |bytes: u32| {
        function(1, move |b, names, params| {
            let slot = b.create_sized_stack_slot(build::slot(bytes));
            let address = b.ins().stack_addr(I64, slot, 0);
            names.call(b, HELPER, 16, &[address, params[0]]);
            b.ins().return_(&[params[0]]);
        })
    };
    let caller = |callees: &'static [u32]| {
        function(1, move |b, names, params| {
            let sum = callees.iter().fold(params[0], |sum, callee| names.call(b, build::SUBPROGRAM, *callee, &[sum]));
            b.ins().return_(&[sum]);
        })
    };
    let functions = [leaf(100), caller(&[3, 2]), leaf(32), caller(&[2, 2]), leaf(8)];
    let code: Vec<_> = functions.iter().map(|f| Names::compile(f, &Options::default()).expect("it compiles")).collect();
    let linked = link(&code, 1);
    assert_eq!(linked.functions.iter().map(|f| f.1).collect::<Vec<_>>(), [1, 3, 2]);
    assert_eq!(linked.stack_bytes, 32 + 32 + 32);
    let calls: Vec<_> = listing(&linked.insns).into_iter().filter(|line| line.contains("call pc")).collect();
    let starts: Vec<_> = linked.functions.iter().map(|f| f.0 as i64).collect();
    let target = |line: &String| {
        let (at, distance) = line.split_once(": call pc").expect("a call");
        at.parse::<i64>().expect("a number") + 1 + distance.parse::<i64>().expect("a number")
    };
    assert_eq!(calls.iter().map(target).collect::<Vec<_>>(), [starts[1], starts[2], starts[2], starts[2]]);
}
