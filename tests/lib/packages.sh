# Debian packages that the build, the demo and the tests need, and how they get
# onto the machine. Sourced by tests/run and tests/demo (bash).

packages_build=(gcc make cmake ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libxml2-dev libyaml-dev
    libsystemd-dev libsqlite3-dev libjansson-dev libmicrohttpd-dev libgnutls28-dev libssl-dev libcsv-dev libglib2.0-dev
    libcmocka-dev python3 openssl curl ca-certificates)
packages_test=(systemd systemd-container debootstrap lintian dpkg-dev man-db universal-ctags clang clang-format libclang-rt-14-dev nginx-light libnginx-mod-http-lua valgrind)

# Prints those of its arguments that are not installed.
packages_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
    done
}

packages_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# Installs without letting a package start its service: the tests start what
# they need themselves, and nothing may keep running afterwards.
packages_install_quietly() {
    local policy=/usr/sbin/policy-rc.d made='' status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | packages_as_root tee "$policy" >/dev/null
        packages_as_root chmod 755 "$policy"
        made=yes
    fi
    packages_as_root apt-get -q -y --no-install-recommends install "$@" || status=$?
    [ -z "$made" ] || packages_as_root rm -f "$policy"
    return "$status"
}

# packages_ensure PACKAGE...: installs what is missing; silent and quick when
# nothing is.
packages_ensure() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "missing packages: ${missing[*]}" >&2
        echo "run this as root or install sudo, or install them by hand" >&2
        return 1
    fi
    echo "installing: ${missing[*]}" >&2
    packages_as_root apt-get -q update >&2 || return 1
    packages_install_quietly "${missing[@]}" >&2 || return 1
    # nginx serves the tests only, never port 80 of this machine
    if printf '%s\n' "${missing[@]}" | grep -qx nginx-light && command -v systemctl >/dev/null; then
        packages_as_root systemctl --quiet disable nginx >&2 || true
    fi
}
