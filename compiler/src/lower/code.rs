//! A small vocabulary over Cranelift's builder: what lowering says again and again.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AtomicRmwOp, Block, BlockArg, ExtFuncData, ExternalName, FuncRef, Function, GlobalValueData, InstBuilder,
    MemFlagsData, Signature, SourceLoc, StackSlot, StackSlotData, StackSlotKind, Type, UserExternalName, Value,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::HashMap;
use tapster_lang::Span;

/// A place in memory: a base and bytes added.
#[derive(Clone, Copy, Debug)]
pub struct Addr {
    /// What it is relative to.
    pub base: Base,
    /// Bytes added.
    pub offset: i32,
}

/// What a place is relative to.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// A slot of the function's own stack.
    Slot(StackSlot),
    /// A pointer.
    Pointer(Value),
}

impl Addr {
    /// So many bytes further on.
    pub fn plus(self, bytes: u32) -> Addr {
        Addr { offset: self.offset + bytes as i32, ..self }
    }

    /// Where a pointer points.
    pub fn at(pointer: Value) -> Addr {
        Addr { base: Base::Pointer(pointer), offset: 0 }
    }
}

/// A function under construction.
pub struct Code<'f> {
    /// The builder, for what the vocabulary lacks.
    pub b: FunctionBuilder<'f>,
    names: HashMap<(u32, u32), FuncRef>,
    /// The function's own stack, and how much of it is in use.
    stack: Option<StackSlot>,
    used: u32,
    /// Working memory in use, in the order it was taken, and what can be had again: bytes and offset.
    taken: Vec<(u32, u32)>,
    free: Vec<(u32, u32)>,
    /// Where an error goes, inside a `try`; out of the handler otherwise.
    pub catch: Option<Catch>,
}

/// How much memory is in use: what [`Code::release`] goes back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    stack: u32,
    far: usize,
}

/// Where an error goes.
#[derive(Clone, Copy, Debug)]
pub struct Catch {
    /// The catch block.
    pub block: Block,
    /// What takes the message, and its size.
    pub message: Option<(Addr, u32)>,
}

/// A signature of 64-bit words.
pub fn signature(words: usize) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(I64); words];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

impl<'f> Code<'f> {
    /// Starts a function at its entry block; gives its parameters.
    pub fn start(func: &'f mut Function, context: &'f mut FunctionBuilderContext) -> (Code<'f>, Vec<Value>) {
        let mut b = FunctionBuilder::new(func, context);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        let params = b.block_params(entry).to_vec();
        let names = HashMap::new();
        (Code { b, names, stack: None, used: 0, taken: Vec::new(), free: Vec::new(), catch: None }, params)
    }

    /// Ends the function.
    pub fn finish(mut self) {
        self.b.seal_all_blocks();
        self.b.finalize(TARGET);
    }

    /// What follows belongs to this place in the script.
    pub fn at(&mut self, span: Span) {
        self.b.set_srcloc(SourceLoc::new(span.start));
    }

    /// A number.
    pub fn k(&mut self, number: i64) -> Value {
        self.b.ins().iconst(I64, number)
    }

    /// Calls the function that (namespace, index) names.
    pub fn call(&mut self, namespace: u32, index: u32, args: &[Value]) -> Value {
        let func = match self.names.get(&(namespace, index)) {
            Some(func) => *func,
            None => self.import(namespace, index, args.len()),
        };
        let call = self.b.ins().call(func, args);
        self.b.inst_results(call)[0]
    }

    fn import(&mut self, namespace: u32, index: u32, words: usize) -> FuncRef {
        let name = self.b.func.declare_imported_user_function(UserExternalName { namespace, index });
        let signature = self.b.import_signature(signature(words));
        let func = self.b.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: false,
            patchable: false,
        });
        self.names.insert((namespace, index), func);
        func
    }

    /// The address that (namespace, index) names.
    pub fn symbol(&mut self, namespace: u32, index: u32) -> Value {
        let name = self.b.func.declare_imported_user_function(UserExternalName { namespace, index });
        let global = self.b.func.create_global_value(GlobalValueData::Symbol {
            name: ExternalName::user(name),
            offset: 0.into(),
            colocated: false,
            tls: false,
        });
        self.b.ins().symbol_value(I64, global)
    }

    /// Memory on the function's stack, 8-byte aligned, until [`Code::release`] takes it back.
    pub fn slot(&mut self, bytes: u32) -> Addr {
        // eBPF has 512 bytes for everything, so all of it is one slot, in which what is taken back serves again.
        let new = || self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 0, 3));
        let slot = *self.stack.get_or_insert_with(new);
        let offset = self.used as i32;
        self.used += bytes.next_multiple_of(8).max(8);
        let size = &mut self.b.func.sized_stack_slots[slot].size;
        *size = self.used.max(*size);
        Addr { base: Base::Slot(slot), offset }
    }

    /// Bytes of the stack in use.
    pub fn stack_in_use(&self) -> u32 {
        self.used
    }

    /// Working memory of the target, at the offset that `reserve` gives for so many bytes, until [`Code::release`] takes
    /// it back.
    pub fn far(&mut self, bytes: u32, reserve: impl FnOnce(u32) -> u32) -> u32 {
        let bytes = bytes.next_multiple_of(8);
        // The smallest that is large enough serves again, if it is not so large that something else will miss it.
        let fits = |(size, _): &(u32, u32)| (bytes..=2 * bytes).contains(size);
        let free = self.free.iter().enumerate().filter(|(_, place)| fits(place));
        let place = match free.min_by_key(|(_, (size, _))| *size).map(|(nth, _)| nth) {
            Some(nth) => self.free.swap_remove(nth),
            None => (bytes, reserve(bytes)),
        };
        self.taken.push(place);
        place.1
    }

    /// How much memory is in use.
    pub fn mark(&self) -> Mark {
        Mark { stack: self.used, far: self.taken.len() }
    }

    /// Takes back all memory since a mark. Nothing may refer to it any more.
    pub fn release(&mut self, mark: Mark) {
        self.used = mark.stack;
        self.free.extend(self.taken.drain(mark.far..));
    }

    /// A place as a pointer.
    pub fn pointer(&mut self, addr: Addr) -> Value {
        match addr.base {
            Base::Slot(slot) => self.b.ins().stack_addr(I64, slot, addr.offset),
            Base::Pointer(pointer) if addr.offset == 0 => pointer,
            Base::Pointer(pointer) => self.b.ins().iadd_imm_s(pointer, i64::from(addr.offset)),
        }
    }

    /// Reads a value of a type.
    pub fn load(&mut self, ty: Type, addr: Addr) -> Value {
        let pointer = self.base(addr);
        self.b.ins().load(ty, MemFlagsData::trusted(), pointer, addr.offset)
    }

    /// The pointer that an access to a place is relative to.
    pub fn base(&mut self, addr: Addr) -> Value {
        match addr.base {
            Base::Slot(slot) => self.b.ins().stack_addr(I64, slot, 0),
            Base::Pointer(pointer) => pointer,
        }
    }

    /// Writes a value.
    pub fn store(&mut self, value: Value, addr: Addr) {
        let pointer = self.base(addr);
        self.b.ins().store(MemFlagsData::trusted(), value, pointer, addr.offset);
    }

    /// Writes a number of 64 bits.
    pub fn store_k(&mut self, number: i64, addr: Addr) {
        let value = self.k(number);
        self.store(value, addr);
    }

    /// Fills whole words with zeros.
    pub fn zero(&mut self, addr: Addr, bytes: u32) {
        for word in 0..bytes.div_ceil(8) {
            self.store_k(0, addr.plus(8 * word));
        }
    }

    /// Adds to a word in memory, atomically.
    pub fn atomic_add(&mut self, addr: Addr, value: Value) -> Value {
        let pointer = self.pointer(addr);
        self.b.ins().atomic_rmw(I64, MemFlagsData::trusted(), AtomicRmwOp::Add, pointer, value)
    }

    /// Puts a word in the place of another at once, and gives that one.
    pub fn exchange(&mut self, addr: Addr, word: i64) -> Value {
        let (pointer, word) = (self.pointer(addr), self.k(word));
        self.b.ins().atomic_rmw(I64, MemFlagsData::trusted(), AtomicRmwOp::Xchg, pointer, word)
    }

    /// Reads a number of 1, 2, 4 or 8 bytes as 64 bits.
    pub fn load_sized(&mut self, addr: Addr, size: u8, signed: bool) -> Value {
        let (pointer, flags) = (self.base(addr), MemFlagsData::trusted());
        match (size, signed) {
            (1, true) => self.b.ins().sload8(I64, flags, pointer, addr.offset),
            (2, true) => self.b.ins().sload16(I64, flags, pointer, addr.offset),
            (4, true) => self.b.ins().sload32(flags, pointer, addr.offset),
            _ => {
                let ty = int_type(size);
                let value = self.load(ty, addr);
                self.extend(value, ty, false)
            }
        }
    }

    /// A number of `ty` as 64 bits.
    pub fn extend(&mut self, value: Value, ty: Type, signed: bool) -> Value {
        match (ty, signed) {
            (I64, _) => value,
            (_, true) => self.b.ins().sextend(I64, value),
            (_, false) => self.b.ins().uextend(I64, value),
        }
    }

    /// Cuts a word to the size of its type and extends it again.
    pub fn narrow(&mut self, value: Value, size: u8, signed: bool) -> Value {
        match int_type(size) {
            I64 => value,
            ty => {
                let cut = self.b.ins().ireduce(ty, value);
                self.extend(cut, ty, signed)
            }
        }
    }

    /// 1 or 0.
    pub fn compare(&mut self, cc: IntCC, a: Value, b: Value) -> Value {
        let bit = self.b.ins().icmp(cc, a, b);
        self.b.ins().uextend(I64, bit)
    }

    /// A new block.
    pub fn block(&mut self) -> Block {
        self.b.create_block()
    }

    /// A new block with a parameter of 64 bits.
    pub fn block_with(&mut self) -> (Block, Value) {
        let block = self.b.create_block();
        let value = self.b.append_block_param(block, I64);
        (block, value)
    }

    /// Marks a block as rarely run, so that it stands out of the way.
    pub fn cold(&mut self, block: Block) {
        self.b.set_cold_block(block);
    }

    /// Goes on in another block.
    pub fn to(&mut self, block: Block) {
        self.b.switch_to_block(block);
    }

    /// Jumps.
    pub fn jump(&mut self, block: Block, args: &[Value]) {
        let args: Vec<BlockArg> = args.iter().map(|value| (*value).into()).collect();
        self.b.ins().jump(block, &args);
    }

    /// Jumps to one of two blocks.
    pub fn branch(&mut self, cond: Value, then: Block, other: Block) {
        self.b.ins().brif(cond, then, &[], other, &[]);
    }

    /// Jumps on a comparison with a number.
    pub fn branch_if(&mut self, cc: IntCC, value: Value, number: i64, then: Block, other: Block) {
        let cond = self.b.ins().icmp_imm_s(cc, value, number);
        self.branch(cond, then, other);
    }

    /// Returns a number.
    pub fn ret(&mut self, number: i64) {
        let value = self.k(number);
        self.b.ins().return_(&[value]);
    }
}

/// The integer type of so many bytes.
pub fn int_type(size: u8) -> Type {
    match size {
        1 => I8,
        2 => I16,
        4 => I32,
        _ => I64,
    }
}

/// What the builder wants to know of the target; both targets agree on it.
const TARGET: TargetFrontendConfig = TargetFrontendConfig {
    default_call_conv: CallConv::SystemV,
    pointer_width: target_lexicon::PointerWidth::U64,
    page_size_align_log2: 12,
};
