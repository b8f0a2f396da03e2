//! A machine whose one program may be anything.

use super::world::Small;
use tapster_compiler::world::{Features, Refusal, Rung, SlabCache, Wanted, World};

/// Asks for everything that there is.
#[allow(dead_code, reason = "not everybody who includes this file needs it")]
pub const SCRIPT: &str = "
probe process(\"/program\").function(\"*\") ? { println($$parms, pp()) }
probe process(\"/program\").function(\"sum\") ? { println($p$$, $p->next->range->low) }
probe process(\"/program\").function(\"*@*:1-99999\").return ? { println(pp()) }
probe process(\"/program\").function(\"sum\").return ? { println($return, @entry($label)) }
probe process(\"/program\").statement(\"*@*:*\") ? { println($$vars) }
probe process(\"/program\").statement(0x1200) ? { println(pp()) }
probe process(\"/program\").function(\"*\").label(\"*\") ? { println($$vars) }
probe process(\"/program\").mark(\"*\") ? { println($$vars, pp()) }
probe process(\"/program\").plt(\"*\") ? { println(pp()) }
probe process(\"/program\").library(\"*\").function(\"*\") ? { println(pp()) }
probe kernel.function(\"*@*\").inline ? { println($$parms, pp()) }
probe kernel.function(\"*@*.c:1-9999\") ? { println($$parms, pp()) }
probe kernel.function(\"sum\").label(\"*\") ? { println($$vars, pp()) }
probe kernel.statement(\"sum@*:*\") ? { println($$vars, $p$$) }
probe begin { exit() }
";
/// A machine that has one program.
#[allow(dead_code, reason = "not everybody who includes this file needs it")]
pub struct Holding {
    pub kernel: Small,
    pub program: Vec<u8>,
    /// What dwz has put into a file of its own.
    pub shared: Option<Vec<u8>>,
}

impl World for Holding {
    fn release(&self) -> &str {
        self.kernel.release()
    }

    fn btf(&self, module: &str) -> Option<&[u8]> {
        self.kernel.btf(module)
    }

    fn features(&self) -> Features {
        self.kernel.features()
    }

    fn offers(&self, rung: Rung, wanted: &Wanted) -> Result<(), Refusal> {
        self.kernel.offers(rung, wanted)
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn file(&self, path: &str) -> Option<&[u8]> {
        match path {
            // It may be the kernel's, too.
            "/program" | "/usr/lib/debug/boot/vmlinux-6.18.0-small" => Some(&self.program),
            "/shared" => self.shared.as_deref(),
            _ => None,
        }
    }

    fn symbols(&self) -> Option<&str> {
        Some("ffffffff81000000 T _text\n")
    }

    fn executable(&self, name: &str) -> Option<String> {
        (name == "/program").then(|| name.to_owned())
    }

    fn program_of(&self, _: u32) -> Option<String> {
        None
    }

    fn identity(&self, _: &str) -> Option<(u32, u64)> {
        Some((1, 2))
    }

    fn library(&self, _: &str, _: &[String]) -> Option<String> {
        Some("/program".into())
    }

    fn has_unmerged_slab_cache(&self, name: &str) -> bool {
        self.kernel.has_unmerged_slab_cache(name)
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        self.kernel.slab_caches()
    }
}
