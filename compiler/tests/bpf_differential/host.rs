//! Native stand-ins for the kernel's maps and helpers, and the JIT module that shares the IR with the eBPF back end.
use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, Function, Signature, UserFuncName, types::I64};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{DataId, FuncId, Linkage, Module};
use std::collections::HashMap;
use tapster_compiler::bpf::{Pseudo, Symbol};

/// A map: an array of one value, or a hash.
pub struct Model {
    key_size: usize,
    value_size: usize,
    pub array: Vec<u8>,
    pub hash: HashMap<Vec<u8>, Box<[u8]>>,
}

impl Model {
    fn new(key_size: usize, value_size: usize) -> Self {
        let array = if key_size == 4 { vec![0; value_size] } else { vec![] };
        Self { key_size, value_size, array, hash: HashMap::new() }
    }
}

/// The native form of an entry function.
pub type Entry = unsafe extern "C" fn(*const u64) -> i64;

struct External {
    name: &'static str,
    address: *const u8,
    symbol: Symbol,
    args: usize,
}

const fn external(name: &'static str, address: *const u8, symbol: Symbol, args: usize) -> External {
    External { name, address, symbol, args }
}

fn externals() -> Vec<External> {
    vec![
        external("ptrchk", ptrchk as *const u8, Symbol::Pseudo(Pseudo::PtrChk), 3),
        external("ptradd", ptradd as *const u8, Symbol::Pseudo(Pseudo::PtrAdd), 2),
        external("opaque", opaque as *const u8, Symbol::Pseudo(Pseudo::Opaque), 1),
        external("may_goto", may_goto as *const u8, Symbol::Pseudo(Pseudo::MayGoto), 0),
        external("lookup", lookup as *const u8, Symbol::Helper(1), 2),
        external("update", update as *const u8, Symbol::Helper(2), 4),
        external("ktime", ktime as *const u8, Symbol::Helper(5), 0),
        external("comm", comm as *const u8, Symbol::Helper(16), 2),
        external("read_str", read_str as *const u8, Symbol::Helper(115), 3),
        external("loop", bpf_loop as *const u8, Symbol::Helper(181), 4),
    ]
}

/// One program's module: names are declared here, and mean something to both back ends.
pub struct Host {
    pub module: JITModule,
    helpers: Vec<(&'static str, Symbol, FuncId)>,
    maps: Vec<DataId>,
    values: Vec<DataId>,
    pub subprograms: Vec<FuncId>,
    /// The maps' contents, at addresses the machine code has.
    pub models: Box<[Model]>,
}

impl Host {
    pub fn new() -> Self {
        let mut models: Box<[Model]> = Box::new([Model::new(4, 64), Model::new(4, 272), Model::new(16, 8)]);
        let mut builder = JITBuilder::with_isa(isa(), cranelift_module::default_libcall_names());
        for external in externals() {
            builder.symbol(external.name, external.address);
        }
        for (i, model) in models.iter_mut().enumerate() {
            builder.symbol(format!("map{i}"), std::ptr::from_mut(model).cast_const().cast());
            builder.symbol(format!("value{i}"), model.array.as_ptr());
        }
        let mut module = JITModule::new(builder);
        let mut data = |name: String| module.declare_data(&name, Linkage::Import, true, false).expect("a new name");
        let maps = (0..models.len()).map(|i| data(format!("map{i}"))).collect();
        let values = (0..models.len()).map(|i| data(format!("value{i}"))).collect();
        let mut helper =
            |e: &External| module.declare_function(e.name, Linkage::Import, &signature(e.args)).expect("new");
        let helpers = externals().iter().map(|e| (e.name, e.symbol, helper(e))).collect();
        Self { module, helpers, maps, values, subprograms: vec![], models }
    }

    /// Declares the next function of the program; the first is the entry.
    pub fn declare(&mut self, args: usize) -> usize {
        let index = self.subprograms.len();
        let id =
            self.module.declare_function(&format!("f{index}"), Linkage::Local, &signature(args)).expect("a new name");
        self.subprograms.push(id);
        index
    }

    pub fn function(&self, index: usize, args: usize) -> Function {
        Function::with_name_signature(UserFuncName::user(0, self.subprograms[index].as_u32()), signature(args))
    }

    pub fn helper(&self, name: &str) -> FuncId {
        self.helpers.iter().find(|helper| helper.0 == name).expect("a known helper").2
    }

    pub fn map(&self, index: usize) -> DataId {
        self.maps[index]
    }

    pub fn value(&self, index: usize) -> DataId {
        self.values[index]
    }

    /// What a name of the IR stands for: cranelift-module gives functions namespace 0 and data namespace 1.
    pub fn symbol(&self, namespace: u32, index: u32) -> Symbol {
        if namespace == 1 {
            let map = self.maps.iter().position(|id| id.as_u32() == index);
            let value = self.values.iter().position(|id| id.as_u32() == index);
            return map.map_or_else(|| Symbol::MapValue { map: value.expect("a map"), offset: 0 }, Symbol::Map);
        }
        if let Some(subprogram) = self.subprograms.iter().position(|id| id.as_u32() == index) {
            return Symbol::Subprogram(subprogram);
        }
        self.helpers.iter().find(|helper| helper.2.as_u32() == index).expect("a helper").1
    }

    /// Compiles everything natively. The entry may be called as long as the host lives.
    pub fn finish(&mut self, functions: &[Function]) -> Entry {
        for (id, function) in self.subprograms.iter().zip(functions) {
            let mut context = Context::for_function(function.clone());
            self.module.define_function(*id, &mut context).expect("the function compiles natively");
        }
        self.module.finalize_definitions().expect("every name is defined");
        let code = self.module.get_finalized_function(self.subprograms[0]);
        // SAFETY: the entry of every program here takes a context and returns a word.
        unsafe { std::mem::transmute::<*const u8, Entry>(code) }
    }
}

fn signature(args: usize) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(I64); args];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    for (name, value) in [("opt_level", "none"), ("is_pic", "false"), ("use_colocated_libcalls", "false")] {
        flags.set(name, value).expect("a known setting");
    }
    let builder = cranelift_native::builder().expect("Cranelift compiles for this machine");
    builder.finish(settings::Flags::new(flags)).expect("the settings fit together")
}

unsafe extern "C" fn lookup(map: *mut Model, key: *const u8) -> *mut u8 {
    // SAFETY: the IR passes a map of this module and a key as long as the map's, as the verifier checked.
    let (map, key) = unsafe {
        let map = &mut *map;
        let key = std::slice::from_raw_parts(key, map.key_size);
        (map, key)
    };
    if !map.array.is_empty() {
        return if key == [0; 4] { map.array.as_mut_ptr() } else { std::ptr::null_mut() };
    }
    map.hash.get_mut(key).map_or(std::ptr::null_mut(), |value| value.as_mut_ptr())
}

unsafe extern "C" fn update(map: *mut Model, key: *const u8, value: *const u8, _flags: u64) -> i64 {
    // SAFETY: as in `lookup`; the value is as long as the map's.
    let (map, key, value) = unsafe {
        let map = &mut *map;
        let (key_size, value_size) = (map.key_size, map.value_size);
        (map, std::slice::from_raw_parts(key, key_size), std::slice::from_raw_parts(value, value_size))
    };
    if map.array.is_empty() {
        map.hash.insert(key.to_vec(), value.into());
    } else if key == [0; 4] {
        map.array.copy_from_slice(value);
    }
    0
}

/// The name of this thread, as the kernel's helper gives it.
pub fn current_comm() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

unsafe extern "C" fn comm(buffer: *mut u8, size: u64) -> i64 {
    // SAFETY: the verifier checked that so much may be written.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, size as usize) };
    buffer.fill(0);
    let name = current_comm();
    let length = buffer.len().min(name.len());
    buffer[..length].copy_from_slice(&name[..length]);
    0
}

extern "C" fn ktime() -> u64 {
    // Never compared: the two runs are at different times.
    0
}

unsafe extern "C" fn read_str(destination: *mut u8, size: u64, source: *const u8) -> i64 {
    for i in 0..size as usize {
        // SAFETY: the verifier checked the destination, and the tests keep the source inside a map's value.
        unsafe {
            let byte = if i + 1 == size as usize { 0 } else { *source.add(i) };
            *destination.add(i) = byte;
            if byte == 0 {
                return i as i64 + 1;
            }
        }
    }
    0
}

unsafe extern "C" fn bpf_loop(
    count: u64,
    body: extern "C" fn(u64, *mut u8) -> i64,
    context: *mut u8,
    _flags: u64,
) -> i64 {
    let mut done = 0;
    for i in 0..count {
        done += 1;
        if body(i, context) != 0 {
            break;
        }
    }
    done
}

extern "C" fn ptrchk(base: i64, index: u64, limit: u64) -> i64 {
    if index < limit { base.wrapping_add(index as i64) } else { base }
}

extern "C" fn ptradd(base: i64, index: i64) -> i64 {
    base.wrapping_add(index)
}

extern "C" fn opaque(x: i64) -> i64 {
    x
}

extern "C" fn may_goto() -> i64 {
    0
}
