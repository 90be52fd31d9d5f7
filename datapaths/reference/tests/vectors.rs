//! Every golden vector through the reference datapath.

use datapath_api::{Datapath, DropletPorts};
use datapath_reference::Reference;
use netdev::Cpu;
use topologies::vectors;

#[test]
fn all_golden_vectors_pass() {
    let vectors = vectors::parse(vectors::BUILT_IN).unwrap();
    assert_eq!(vectors.len(), 84);
    let both = |vector| [false, true].map(|caches_flows| (Reference { caches_flows }, vector));
    for (reference, vector) in vectors.iter().flat_map(both) {
        let mut droplet = reference
            .install(DropletPorts::Detached, &vector.provision, Cpu(0))
            .unwrap();
        for (number, step) in vector.steps.iter().enumerate() {
            let outcome = droplet.inject(step.ingress, &step.input).unwrap();
            assert!(
                step.expected.matches(&outcome),
                "{} step {number}: {:?}, not {outcome:?}",
                vector.name,
                step.expected
            );
        }
        let mut learned = droplet.direct_paths().unwrap();
        learned.sort_by_key(|path| (path.vni, path.ip.to_bits()));
        let mut expected = vector.direct_paths_after.clone();
        expected.sort_by_key(|path| (path.vni, path.ip.to_bits()));
        assert_eq!(learned, expected, "{}", vector.name);
    }
}
