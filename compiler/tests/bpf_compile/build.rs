//! Functions whose names need no module: the namespace says what kind of thing the index is.
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, Function, GlobalValueData, InstBuilder, MemFlagsData, Signature,
    StackSlotData, StackSlotKind, UserExternalName, UserFuncName, Value,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_codegen::settings;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::sync::LazyLock;
use tapster_compiler::bpf::{Code, CompileError, Options, Pseudo, Symbol, compile};

pub const HELPER: u32 = 0;
pub const SUBPROGRAM: u32 = 1;
pub const MAP: u32 = 2;
pub const MAP_VALUE: u32 = 3;
pub const PSEUDO: u32 = 4;

/// Pseudo operations by index.
const PSEUDOS: [Pseudo; 3] = [Pseudo::PtrChk, Pseudo::PtrAdd, Pseudo::MayGoto];

pub struct Names;

impl Names {
    pub fn resolve(namespace: u32, index: u32) -> Symbol {
        match namespace {
            HELPER => Symbol::Helper(index),
            SUBPROGRAM => Symbol::Subprogram(index as usize),
            MAP => Symbol::Map(index as usize),
            MAP_VALUE => Symbol::MapValue { map: index as usize, offset: 0 },
            _ => Symbol::Pseudo(PSEUDOS[index as usize]),
        }
    }

    pub fn compile(function: &Function, options: &Options) -> Result<Code, CompileError> {
        compile(function, &Self::resolve, options)
    }

    pub fn call(&self, b: &mut FunctionBuilder, namespace: u32, index: u32, args: &[Value]) -> Value {
        let name = b.func.declare_imported_user_function(UserExternalName { namespace, index });
        let signature = b.func.import_signature(signature(args.len()));
        let name = ExternalName::User(name);
        let callee = b.import_function(ExtFuncData { name, signature, colocated: false, patchable: false });
        let call = b.ins().call(callee, args);
        b.inst_results(call)[0]
    }

    pub fn pseudo(&self, b: &mut FunctionBuilder, index: u32, args: &[Value]) -> Value {
        self.call(b, PSEUDO, index, args)
    }

    pub fn map(&self, b: &mut FunctionBuilder, index: u32) -> Value {
        self.symbol(b, MAP, index)
    }

    pub fn symbol(&self, b: &mut FunctionBuilder, namespace: u32, index: u32) -> Value {
        let name = ExternalName::User(b.func.declare_imported_user_function(UserExternalName { namespace, index }));
        let global = b.func.create_global_value(GlobalValueData::Symbol {
            name,
            offset: 0.into(),
            colocated: false,
            tls: false,
        });
        b.ins().symbol_value(I64, global)
    }
}

fn signature(args: usize) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(I64); args];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

pub fn flags() -> MemFlagsData {
    MemFlagsData::trusted()
}

pub fn slot(size: u32) -> StackSlotData {
    StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3)
}

pub fn function(args: usize, write: impl FnOnce(&mut FunctionBuilder, &Names, &[Value])) -> Function {
    let mut function = Function::with_name_signature(UserFuncName::default(), signature(args));
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    write(&mut b, &Names, &params);
    b.seal_all_blocks();
    b.finalize(*CONFIG);
    function
}

/// Any 64-bit target does.
static CONFIG: LazyLock<TargetFrontendConfig> = LazyLock::new(|| {
    let isa = cranelift_native::builder().expect("Cranelift compiles for this machine");
    isa.finish(settings::Flags::new(settings::builder())).expect("the defaults fit together").frontend_config()
});
