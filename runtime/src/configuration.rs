//! What the running kernel was configured with: `CONFIG_NET`.

use flate2::read::GzDecoder;
use std::fs;
use std::io::Read;

/// The text of a configuration, empty where the kernel and its package say nothing.
#[derive(Debug)]
pub struct Configuration(String);

impl Configuration {
    /// What the kernel itself says, or else the file that came with this release of it.
    pub fn read(release: &str) -> Configuration {
        let told = || {
            let mut text = String::new();
            GzDecoder::new(fs::File::open("/proc/config.gz").ok()?).read_to_string(&mut text).ok()?;
            Some(text)
        };
        let places = [
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
            format!("/lib/modules/{release}/build/.config"),
        ];
        let text = told().or_else(|| places.iter().find_map(|place| fs::read_to_string(place).ok()));
        Configuration(text.unwrap_or_default())
    }

    /// An option: `y`, `m`, a number, or a string without its quotes.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(quoted.unwrap_or(value).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_the_values_of_their_lines() {
        let text = "# CONFIG_X is not set\nCONFIG_NET=y\nCONFIG_NETFILTER=m\nCONFIG_HZ=250\nCONFIG_LSM=\"a,b\"\n";
        let all = Configuration(text.into());
        let values =
            ["CONFIG_X", "CONFIG_NET", "CONFIG_NETFILTER", "CONFIG_HZ", "CONFIG_LSM"].map(|name| all.get(name));
        assert_eq!(values.each_ref().map(Option::as_deref), [None, Some("y"), Some("m"), Some("250"), Some("a,b")]);
    }
}
