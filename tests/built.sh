# Builds programs and tests once, in one set of features: a selection of packages of its own would build the crates
# below them again, with other features, and replace the programs that are tested. Sourced in the workspace's root by bash.

# Builds every program and every test binary, and prints cargo's messages as JSON. What does not build leaves the rest built.
# Programs have no tests of their own (tests/rules.rs), so none is linked a second time for them.
# PROGRAMS_BUILT names the directory of the programs, for what would build them itself.
build_all() {
    PROGRAMS_BUILT=$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug
    export PROGRAMS_BUILT
    cargo test --workspace --lib --test '*' --locked --no-run --no-fail-fast --message-format=json-render-diagnostics </dev/null
}

# Prints name, directory and path of each test binary that cargo's messages name: those of LONGEST in its order, then the rest.
#   test_binaries MESSAGES LONGEST
test_binaries() {
    jq --raw-output --arg longest "$2" '
        select(.reason == "compiler-artifact" and .profile.test and .executable)
        | [.target.name, (.manifest_path | rtrimstr("/Cargo.toml")), .executable,
           (.target.name as $name | $longest | split(" ") | index($name) // length)]
        | @tsv' "$1" | sort --stable --field-separator=$'\t' --key=4,4n | cut -f 1-3
}
