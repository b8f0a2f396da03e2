//! User handlers to machine code, through Cranelift's JIT.

pub mod code;

use code::NativeCode;

use crate::host::{HostFn, HostTable};
use crate::lower::user::{FUNCTION, HOST};
use crate::lower::{UserFunction, UserHandler};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Function, Signature, UserExternalName, UserFuncName};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use std::collections::HashMap;

/// Compiles user handlers and the functions they call; entry `n` is handler `n`.
pub fn compile(handlers: &[UserHandler], functions: &[UserFunction], host: &HostTable) -> NativeCode {
    if handlers.is_empty() {
        return NativeCode::default();
    }
    let mut builder = JITBuilder::with_isa(isa(), default_libcall_names());
    for (function, address) in HostFn::ALL.iter().zip(&host.0) {
        builder.symbol(function.name(), *address);
    }
    let mut module = JITModule::new(builder);
    // Host functions come first: lowering names them by their numbers, and the module numbers what it is told of.
    for function in HostFn::ALL {
        let signature = words(&module, function.arity() + 1);
        let id = module.declare_function(function.name(), Linkage::Import, &signature);
        debug_assert_eq!(id.map(FuncId::as_u32).ok(), Some(*function as u32));
    }
    let declared: HashMap<u32, u32> = functions.iter().map(|function| declare(&mut module, function)).collect();
    for function in functions {
        let id = FuncId::from_u32(declared[&(function.id as u32)]);
        define(&mut module, id, &function.func, &declared);
    }
    let mut ids = Vec::with_capacity(handlers.len());
    for (nth, handler) in handlers.iter().enumerate() {
        let signature = words(&module, 1);
        let id = module
            .declare_function(&format!("handler_{nth}"), Linkage::Local, &signature)
            .expect("handlers have names of their own");
        define(&mut module, id, &handler.func, &declared);
        ids.push(id);
    }
    module.finalize_definitions().expect("the memory for a few handlers can be had and made executable");
    let entries = ids.iter().map(|id| module.get_finalized_function(*id)).collect();
    NativeCode::new(module, entries)
}

/// Whether handlers may have the runtime look into the kernel. Facts of a handler are counted among it, though nearly all
/// of them are known elsewhere.
pub fn asks_kernel(handlers: &[UserHandler], functions: &[UserFunction]) -> bool {
    const ASKING: [HostFn; 3] = [HostFn::read_number, HostFn::read_text, HostFn::fact];
    let asks = |name: &UserExternalName| {
        name.namespace == HOST && ASKING.iter().any(|function| *function as u32 == name.index)
    };
    let mut all = handlers.iter().map(|handler| &handler.func).chain(functions.iter().map(|function| &function.func));
    all.any(|func| func.params.user_named_funcs().values().any(asks))
}

/// Makes a function of the script known: its number here, and the module's.
fn declare(module: &mut JITModule, function: &UserFunction) -> (u32, u32) {
    let signature = words(module, function.func.signature.params.len());
    let id = module
        .declare_function(&format!("function_{}", function.id), Linkage::Local, &signature)
        .expect("functions have names of their own");
    (function.id as u32, id.as_u32())
}

fn define(module: &mut JITModule, id: FuncId, func: &Function, declared: &HashMap<u32, u32>) {
    let mut context = Context::for_function(func.clone());
    context.func.name = UserFuncName::user(0, id.as_u32());
    // Lowering numbers the script's functions by themselves; the module has one sequence for all.
    let names: Vec<_> = context.func.params.user_named_funcs().iter().map(|(at, name)| (at, name.clone())).collect();
    for (at, name) in names {
        if name.namespace == FUNCTION {
            let index = declared[&name.index];
            context.func.params.reset_user_func_name(at, UserExternalName { namespace: 0, index });
        }
    }
    module
        .define_function_with_control_plane(id, &mut context, &mut ControlPlane::default())
        .unwrap_or_else(|error| panic!("Cranelift refuses a handler: {error:?}\n{}", context.func));
}

fn words(module: &JITModule, count: usize) -> Signature {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(I64); count];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

/// Handlers run a few times and mostly wait for the host: compiling fast matters more than their speed. The linear
/// allocator halves the time of a compilation, and no loop tried became slower by it.
const SETTINGS: &[(&str, &str)] =
    &[("opt_level", "none"), ("regalloc_algorithm", "single_pass"), ("is_pic", "false"), ("enable_verifier", "false")];

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    for &(name, value) in SETTINGS {
        // Tests run with the verifier on: a handler it refuses is a bug of lowering.
        let value = if name == "enable_verifier" && cfg!(debug_assertions) { "true" } else { value };
        flags.set(name, value).expect("these settings exist");
    }
    let builder = cranelift_native::builder().expect("Cranelift knows this processor");
    builder.finish(settings::Flags::new(flags)).expect("these settings fit together")
}
