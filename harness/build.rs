//! Builds the tester's BPF programs with whichever BPF toolchain is there; see `bpf-build`.

fn main() {
    bpf_build::build("tester");
}
