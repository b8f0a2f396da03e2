#!/bin/bash
# Makes the .deb and the .rpm, and uses what was made: the program in an empty root, the .deb in a fresh Debian.
#
#   tests/packages.sh            all of it, of a static program: a second build of everything, so it is run by hand
#   tests/packages.sh static     the static program alone
#   tests/packages.sh built      packages of target/release/tapster as it lies there: nothing is built
#   tests/packages.sh deb        the .deb alone, of the same: what every change must pass
#
# As root, on Debian or a relative of it. debootstrap, cargo-deb and cargo-generate-rpm are installed where they are missing, the latter
# into target/tools: without optimisation, as they are built longer than they run.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-all}
PATH=$PWD/target/tools/bin:$PATH
target=x86_64-unknown-linux-gnu
package=target/package
# A fresh Debian, kept for the next time.
debian=target/debian
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

case $mode in
  static) crates=() programs=() ;;
  deb) crates=(cargo-deb) programs=(debootstrap) ;;
  *) crates=(cargo-deb cargo-generate-rpm) programs=(debootstrap rpm) ;;
esac
for tool in "${crates[@]}"; do
  command -v "$tool" > /dev/null ||
    cargo install --quiet --debug --locked --root target/tools --target-dir target/tools/build "$tool"
done
for tool in "${programs[@]}"; do
  command -v "$tool" > /dev/null || apt-get -qq install -y --no-install-recommends "$tool"
done

step() { echo "== $SECONDS s: $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

# What a package needs of a machine: the kernel's own files, not a library.
in_root() {
  unshare --mount --propagation private bash -euc '
    root=$1; shift
    mkdir -p "$root"/{proc,sys,dev}
    mount --rbind /proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
    PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C exec chroot "$root" "$@"' in_root "$@"
}

if [ "$mode" = built ] || [ "$mode" = deb ]; then
  program=target/release/tapster
else
  step "a static program"
  RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --profile dist --locked -p tapster --target $target --target-dir target/static
  program=target/static/$target/dist/tapster
  ls -l $program
  ! ldd $program 2> /dev/null | grep '=>' || fail "$program wants libraries"

  step "in a root with nothing in it"
  mkdir -p "$root/empty/tmp"
  cp $program "$root/empty/"
  out=$(in_root "$root/empty" /tapster -e 'probe begin { println(6 * 7) exit() }')
  [ "$out" = 42 ] || fail "it printed '$out'"
  in_root "$root/empty" /tapster -T 2 --strict -e 'global n probe kernel.trace("sched_switch") { n[backtrace()] <<< 1 }
    probe end { foreach (stack in n) { print_stack(stack); break } println("switches") }' > "$root/out"
  grep -q '\[kernel\]' "$root/out" && grep -qx switches "$root/out" || fail "it traced nothing: $(cat "$root/out")"
fi
[ "$mode" != static ] || { step "passed"; exit; }

step "manual page and completions, by the program itself"
rm -rf $package; mkdir -p $package
cp $program $package/
$program man | gzip -9n > $package/tapster.1.gz
$program completions bash > $package/tapster.bash
$program completions zsh > $package/_tapster
$program completions fish > $package/tapster.fish

step "packages"
cargo deb --quiet --no-build --no-strip -p tapster --output $package/
[ "$mode" = deb ] || cargo generate-rpm --package cli --output $package/
ls -l $package

# Both lists of files are written by hand, in one manifest.
files_of_deb() { dpkg-deb --fsys-tarfile $package/*.deb | tar -t | sed -n 's,^\./,/,; s,^/usr/share/zsh/vendor-completions,/usr/share/zsh/site-functions,; /\/doc\//d; /[^\/]$/p'; }
files_of_rpm() { rpm -qlp $package/*.rpm | grep -v '/doc/\|/licenses/'; }
[ "$mode" = deb ] || step "the .rpm has what it should"
[ "$mode" = deb ] || diff <(files_of_deb | sort) <(files_of_rpm | sort) || fail "the .deb (<) and the .rpm (>) differ"

step "a fresh Debian"
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
if [ ! -e $debian/complete ]; then
  rm -rf --one-file-system $debian; mkdir -p $debian
  debootstrap --variant=minbase --include=bash-completion,libcap2-bin "$suite" $debian/root > $debian/log ||
    fail "$(tail $debian/log)"
  touch $debian/complete
fi
cp -a $debian/root "$root/debian"

step "the .deb, installed, used and removed"
cp $package/tapster_*.deb "$root/debian/tmp/"
# shellcheck disable=SC2016
in_root "$root/debian" bash -euc '
  trap "echo \"FAILED in line \$LINENO: \$BASH_COMMAND\" >&2" ERR; set -E
  is() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\"" >&2; false; }; }
  dpkg -i /tmp/tapster_*.deb
  is "$(tapster -e "probe begin { println(6 * 7) exit() }")" 42
  # One that traces, and names what it saw.
  timeout 60 tapster -T 2 /usr/share/tapster/scripts/slab-by-site.stp > /tmp/sites
  grep -q "+0x" /tmp/sites
  tapster doctor > /tmp/doctor; grep -q "^Linux $(uname -r)" /tmp/doctor
  zcat /usr/share/man/man1/tapster.1.gz | grep -q "^.TH tapster 1"
  # The shell finds the completion by itself, and 124 says that it did.
  . /usr/share/bash-completion/bash_completion
  _completion_loader tapster || is $? 124
  complete -p tapster | grep -q _clap_complete_tapster
  # Somebody without any right but those of the file.
  setcap cap_bpf,cap_perfmon,cap_syslog+ep /usr/bin/tapster
  setpriv --reuid=65534 --regid=65534 --clear-groups \
    tapster -T 1 -e "global n probe kernel.trace(\"sched_switch\") { n++ } probe end { println(n > 0) }" > /tmp/nobody
  is "$(cat /tmp/nobody)" 1
  dpkg --purge tapster
  [ ! -e /usr/bin/tapster ] && [ ! -e /usr/share/tapster ]'
step "passed"
