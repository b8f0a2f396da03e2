//! A thin layer over `FunctionBuilder` for writing test functions.
use crate::host::Host;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    Block, BlockArg, Function, InstBuilder, MemFlagsData, SourceLoc, StackSlot, StackSlotData, StackSlotKind, Type,
    Value,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{FuncId, Module};

pub struct Body<'a> {
    pub b: FunctionBuilder<'a>,
    pub host: &'a mut Host,
    pub params: Vec<Value>,
}

pub fn flags() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// Builds function `index` of the host's program.
pub fn build(host: &mut Host, index: usize, args: usize, write: impl FnOnce(&mut Body)) -> Function {
    let mut function = host.function(index, args);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let mut body = Body { b, host, params };
    write(&mut body);
    let Body { mut b, host, .. } = body;
    b.seal_all_blocks();
    b.finalize(host.module.target_config());
    function
}

/// Builds a program of one function.
pub fn entry(host: &mut Host, write: impl FnOnce(&mut Body)) -> Vec<Function> {
    let index = host.declare(1);
    vec![build(host, index, 1, write)]
}

impl Body<'_> {
    pub fn k(&mut self, x: i64) -> Value {
        self.b.ins().iconst(I64, x)
    }

    /// A word of the context.
    pub fn arg(&mut self, i: i32) -> Value {
        let context = self.params[0];
        self.load(I64, context, 8 * i)
    }

    pub fn load(&mut self, ty: Type, pointer: Value, offset: i32) -> Value {
        self.b.ins().load(ty, flags(), pointer, offset)
    }

    pub fn store(&mut self, value: Value, pointer: Value, offset: i32) {
        self.b.ins().store(flags(), value, pointer, offset);
    }

    pub fn slot(&mut self, size: u32) -> StackSlot {
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3))
    }

    /// A slot of zeroed words.
    pub fn zeroed(&mut self, words: i32) -> StackSlot {
        let slot = self.slot(8 * words as u32);
        for i in 0..words {
            let zero = self.k(0);
            self.b.ins().stack_store(I64, zero, slot, 8 * i);
        }
        slot
    }

    pub fn at(&mut self, slot: StackSlot, offset: i32) -> Value {
        self.b.ins().stack_addr(I64, slot, offset)
    }

    pub fn map(&mut self, index: usize) -> Value {
        let global = self.host.module.declare_data_in_func(self.host.map(index), self.b.func);
        self.b.ins().symbol_value(I64, global)
    }

    /// The address of an array map's value.
    pub fn map_value(&mut self, index: usize) -> Value {
        let global = self.host.module.declare_data_in_func(self.host.value(index), self.b.func);
        self.b.ins().symbol_value(I64, global)
    }

    pub fn call(&mut self, name: &str, args: &[Value]) -> Value {
        let id = self.host.helper(name);
        self.call_id(id, args)
    }

    pub fn call_function(&mut self, index: usize, args: &[Value]) -> Value {
        let id = self.host.subprograms[index];
        self.call_id(id, args)
    }

    fn call_id(&mut self, id: FuncId, args: &[Value]) -> Value {
        let callee = self.host.module.declare_func_in_func(id, self.b.func);
        let call = self.b.ins().call(callee, args);
        self.b.inst_results(call)[0]
    }

    pub fn function_address(&mut self, index: usize) -> Value {
        let callee = self.host.module.declare_func_in_func(self.host.subprograms[index], self.b.func);
        self.b.ins().func_addr(I64, callee)
    }

    pub fn cmp(&mut self, cond: IntCC, x: Value, k: i64) -> Value {
        self.b.ins().icmp_imm_s(cond, x, k)
    }

    pub fn block(&mut self) -> Block {
        self.b.create_block()
    }

    pub fn block_with(&mut self, ty: Type) -> (Block, Value) {
        let block = self.b.create_block();
        (block, self.b.append_block_param(block, ty))
    }

    /// Goes on in another block, and on another source line.
    pub fn to(&mut self, block: Block) {
        self.b.set_srcloc(SourceLoc::new(block.as_u32()));
        self.b.switch_to_block(block);
    }

    pub fn branch(&mut self, condition: Value, then: Block, otherwise: Block) {
        self.branch_with(condition, then, &[], otherwise, &[]);
    }

    pub fn branch_with(&mut self, condition: Value, then: Block, a: &[Value], otherwise: Block, b: &[Value]) {
        let args = |values: &[Value]| values.iter().map(|v| BlockArg::from(*v)).collect::<Vec<_>>();
        self.b.ins().brif(condition, then, &args(a), otherwise, &args(b));
    }

    pub fn jump(&mut self, block: Block, args: &[Value]) {
        let args: Vec<BlockArg> = args.iter().map(|v| (*v).into()).collect();
        self.b.ins().jump(block, &args);
    }

    pub fn ret(&mut self, k: i64) {
        let k = self.k(k);
        self.b.ins().return_(&[k]);
    }

    /// The value of array map `index`, not null: the function goes on where it is not.
    pub fn array(&mut self, index: usize) -> Value {
        let slot = self.slot(4);
        let zero = self.b.ins().iconst(I32, 0);
        self.b.ins().stack_store(I64, zero, slot, 0);
        let (map, key) = (self.map(index), self.at(slot, 0));
        let value = self.call("lookup", &[map, key]);
        let (found, missing) = (self.block(), self.block());
        let is_there = self.cmp(IntCC::NotEqual, value, 0);
        self.branch(is_there, found, missing);
        self.to(missing);
        self.ret(1);
        self.to(found);
        value
    }

    /// Stores results where the test compares them, and returns.
    pub fn finish(&mut self, results: &[Value]) {
        let pointer = self.array(0);
        for (i, result) in results.iter().enumerate() {
            self.store(*result, pointer, 8 * i as i32);
        }
        self.ret(0);
    }
}
