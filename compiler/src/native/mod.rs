//! User handlers to machine code, through Cranelift's JIT.

pub mod code;

use code::NativeCode;

use crate::host::{HostFn, HostTable};
use crate::lower::UserHandler;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Signature, UserFuncName};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};

/// Compiles user handlers; entry `n` is handler `n`.
pub fn compile(handlers: &[UserHandler], host: &HostTable) -> NativeCode {
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
    let ids: Vec<FuncId> = handlers.iter().map(|handler| define(&mut module, handler)).collect();
    module.finalize_definitions().expect("the memory for a few handlers can be had and made executable");
    let entries = ids.iter().map(|id| module.get_finalized_function(*id)).collect();
    NativeCode::new(module, entries)
}

fn define(module: &mut JITModule, handler: &UserHandler) -> FuncId {
    let signature = words(module, 1);
    let id = module
        .declare_function(&format!("probe_{}", handler.probe), Linkage::Local, &signature)
        .expect("handlers have names of their own");
    let mut context = Context::for_function(handler.func.clone());
    context.func.name = UserFuncName::user(0, id.as_u32());
    module
        .define_function_with_control_plane(id, &mut context, &mut ControlPlane::default())
        .unwrap_or_else(|error| panic!("Cranelift refuses a handler: {error:?}\n{}", context.func));
    id
}

fn words(module: &JITModule, count: usize) -> Signature {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(I64); count];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

/// Handlers run a few times and mostly wait for the host: compiling fast matters more than their speed.
fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    for (name, value) in [("opt_level", "none"), ("is_pic", "false"), ("enable_verifier", "false")] {
        // Tests run with the verifier on: a handler it refuses is a bug of lowering.
        let value = if name == "enable_verifier" && cfg!(debug_assertions) { "true" } else { value };
        flags.set(name, value).expect("these settings exist");
    }
    let builder = cranelift_native::builder().expect("Cranelift knows this processor");
    builder.finish(settings::Flags::new(flags)).expect("these settings fit together")
}
