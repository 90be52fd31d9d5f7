//! Every golden vector through the loaded BPF programs, by `BPF_PROG_TEST_RUN`.

use datapath_api::{Datapath, DropletPorts};
use datapath_kernel_xdp::KernelXdp;
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::Cpu;
use topologies::vectors::{self, Vector, VectorsError};

fn main() -> Result<(), VectorsError> {
    let missing = KernelXdp::default().probe();
    for missing in &missing {
        eprintln!("ignored: needs {missing}");
    }
    let trials = vectors::parse(vectors::BUILT_IN)?
        .into_iter()
        .map(|vector| {
            Trial::test(vector.name.clone(), move || replay(&vector))
                .with_ignored_flag(!missing.is_empty())
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn replay(vector: &Vector) -> Result<(), Failed> {
    let datapath = KernelXdp::default();
    let mut droplet = datapath.install(DropletPorts::Detached, &vector.provision, Cpu(0))?;
    for (number, step) in vector.steps.iter().enumerate() {
        let outcome = droplet.inject(step.ingress, &step.input)?;
        if !step.expected.matches(&outcome) {
            return Err(format!("step {number}: {:?}, not {outcome:?}", step.expected).into());
        }
    }
    let mut learned = droplet.direct_paths()?;
    learned.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    let mut expected = vector.direct_paths_after.clone();
    expected.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    if learned != expected {
        return Err(format!("direct paths are {learned:?}, not {expected:?}").into());
    }
    Ok(())
}
