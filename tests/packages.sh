#!/bin/bash
# Builds the static program, the .deb and the .rpm, and uses what was built: the program in an empty root, the .deb in a
# fresh Debian. No part of CI's run, as it is a second build of everything: docs/install.md says when to run it.
#
#   tests/packages.sh            all of it, as root; needs debootstrap, cargo-deb and cargo-generate-rpm
#   tests/packages.sh static     the program alone
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
program=target/$target/release/tapster
package=target/package
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

step() { echo "== $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

# What a package needs of a machine: the kernel's own files, not a library.
in_root() {
  unshare --mount --propagation private bash -euc '
    root=$1; shift
    mkdir -p "$root"/{proc,sys,dev}
    mount --rbind /proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
    chroot "$root" "$@"' in_root "$@"
}

step "a static program"
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target $target
! ldd $program 2> /dev/null | grep -q '=>' || fail "$program wants libraries: $(ldd $program)"

step "in a root with nothing in it"
mkdir -p "$root/empty/tmp"
cp $program "$root/empty/"
out=$(in_root "$root/empty" /tapster -e 'probe begin { println(6 * 7) exit() }')
[ "$out" = 42 ] || fail "it printed '$out'"
in_root "$root/empty" /tapster -T 2 --strict -e 'global n probe kernel.trace("sched_switch") { n[backtrace()] <<< 1 }
  probe end { foreach (stack in n) { print_stack(stack); break } println("switches") }' > "$root/out"
grep -q '\[kernel\]' "$root/out" && grep -qx switches "$root/out" || fail "it traced nothing: $(cat "$root/out")"
[ "${1:-}" != static ] || { echo "== passed"; exit; }

step "manual page and completions, by the program itself"
rm -rf $package; mkdir -p $package
$program man | gzip -9n > $package/tapster.1.gz
$program completions bash > $package/tapster.bash
$program completions zsh > $package/_tapster
$program completions fish > $package/tapster.fish

step "packages"
cargo deb --quiet --no-build --no-strip --target $target -p tapster --output $package/
cargo generate-rpm --package cli --target $target --output $package/
ls -l $package

step "the .rpm has what it should"
file $package/*.rpm | grep -q RPM || fail "no package"

step "the .deb in a fresh Debian"
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
debootstrap --variant=minbase "$suite" "$root/debian" > "$root/debootstrap.log" || fail "$(tail "$root/debootstrap.log")"
cp $package/tapster_*.deb "$root/debian/tmp/"
in_root "$root/debian" sh -euc '
  dpkg -i /tmp/tapster_*.deb
  [ "$(tapster -e "probe begin { println(6 * 7) exit() }")" = 42 ]
  tapster -V
  tapster doctor > /tmp/doctor; grep -q "BTF" /tmp/doctor
  timeout 60 tapster -T 2 /usr/share/tapster/scripts/slab-by-site.stp > /tmp/sites
  grep -q "\[kernel\]\|+0x" /tmp/sites
  dpkg -L tapster | grep -q /usr/share/bash-completion/completions/tapster
  dpkg --purge tapster
  ! command -v tapster'
echo "== passed"
