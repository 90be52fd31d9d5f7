//! Builds the BPF programs with whichever BPF toolchain is there; see `bpf-build`.

fn main() {
    bpf_build::build("ovs-ebpf");
}
