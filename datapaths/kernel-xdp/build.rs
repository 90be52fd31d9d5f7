//! Builds the BPF programs with whichever BPF toolchain is there; see `bpf-build`.

fn main() {
    bpf_build::build_all(&[("mizar-xdp", "BPF_OBJECT"), ("mizar-stages", "BPF_STAGES")]);
}
